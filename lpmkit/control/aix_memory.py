"""Memory use of a partition, as AIX prints it: the minimum that a copy has to send, and a hint of the rate of writing.

A page that was never touched is not sent, and what was touched and is free again may be: so what has to be sent lies
between the memory in use and all of it. AIX has no counter for the rate of writing. Pages filled with zeros, read in
and written out go up and down with it, and say no more than that one partition writes more than another, or than
itself at another time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lpmkit.control.aix_identity import read_lparstat
from lpmkit.control.listings import lines, understood, whole
from lpmkit.errors import RemoteError, UnexpectedReply
from lpmkit.ssh.session import Reply, Session

Value = TypeVar("Value")

#: ``svmon`` and ``vmstat`` count in pages of 4 KB, whatever sizes there are besides (manual pages of both, B).
PAGE_BYTES = 4096
#: Counters that are nearer to each other in time say nothing about a rate.
MIN_WATCH_S = 0.2


@dataclass(frozen=True, slots=True)
class RealMemory:
    """The partition's memory in bytes, as it sees it; ``None`` for what the command does not say.

    ``in_use`` are the frames that hold something, the file cache and the pinned ones among them. ``virtual`` is the
    working storage that was touched, a part of which may be in paging space.
    """

    size: int
    in_use: int
    pinned: int | None = None
    virtual: int | None = None
    files: int | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Paging:
    """Pages since the start of the system: filled with zeros, read in, written out."""

    zero_filled: int
    paged_in: int
    paged_out: int

    @property
    def pages(self) -> int:
        """All of them: each is a page of memory that was written, or soon before."""
        return self.zero_filled + self.paged_in + self.paged_out


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory use of a partition before a move; ``None`` is not known, and ``missing`` gives the reason.

    ``paging_bytes_per_s`` was watched for ``watched_s`` seconds; it puts partitions in an order and is no rate of
    writing.
    """

    memory: RealMemory | None = None
    paging_bytes_per_s: float | None = None
    watched_s: float | None = None
    mode: str | None = None
    missing: tuple[str, ...] = ()


def read_svmon(text: str) -> RealMemory:
    r"""``svmon -G``, in pages; later levels add columns at the end of the first table (AIX 5.1 and 5.2 manual pages,
    B; a capture, A)::

                       size       inuse        free         pin     virtual   mmode
        memory      1003520     1000352        3168      466861     1468212     Ded
        pg space    2097152      829774

    >>> read_svmon("               size       inuse        free         pin     virtual\n"
    ...     "memory  100  90  10  30  80\n").in_use // 4096
    90
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    other = [row for row in rows if row[0] == "Unit:" and row[1:] != ["page"]]
    if other:
        raise UnexpectedReply("figures in pages were expected", line=" ".join(other[0]))
    head = next((row for row in rows if row[:2] == ["size", "inuse"]), None)
    values = next((row[1:] for row in rows if row[0] == "memory"), None)
    if head is None or values is None or len(head) != len(values) or "pin" not in head:
        raise UnexpectedReply("this is not the table of svmon -G", line=text.partition("\n")[0])
    columns = dict(zip(head, values, strict=True))
    return RealMemory(
        size=_bytes(columns["size"]),
        in_use=_bytes(columns["inuse"]),
        pinned=_bytes(columns["pin"]),
        virtual=_bytes(columns["virtual"]) if "virtual" in columns else None,
        mode=columns.get("mmode"),
    )


def read_vmstat_v(text: str) -> RealMemory:
    r"""``vmstat -v``, a figure and its name in each line (manual page of AIX 7.3, B; layout from a printed sample, B)::

              1310720 memory pages
              1217707 lruable pages
               144217 free pages
               106158 pinned pages
                 20.0 minperm percentage

    >>> found = read_vmstat_v("  1000 memory pages\n   100 free pages\n  20.0 minperm percentage\n   250 file pages\n")
    >>> found.in_use // 4096, found.files // 4096, found.pinned
    (900, 250, None)
    """
    figures = _figures(text)
    size, free = _counted(figures, "memory pages"), _counted(figures, "free pages")
    pinned, files = figures.get("pinned pages"), figures.get("file pages")
    return RealMemory(
        size=size * PAGE_BYTES,
        in_use=(size - free) * PAGE_BYTES,
        pinned=None if pinned is None else _bytes(pinned),
        files=None if files is None else _bytes(files),
    )


def read_vmstat_s(text: str) -> Paging:
    r"""``vmstat -s``: counters since the start of the system (labels from the program's own messages, A)::

               3492560274 total address trans. faults
                   116707 page ins
                  3595620 page outs
                627328604 zero filled pages faults

    >>> read_vmstat_s("    7 page ins\n    8 page outs\n    9 zero filled pages faults\n").pages
    24
    """
    figures = _figures(text)
    return Paging(
        _counted(figures, "zero filled pages faults"), _counted(figures, "page ins"), _counted(figures, "page outs")
    )


_FIGURE = re.compile(r"\s*(?P<figure>[0-9][0-9.,]*)\s+(?P<name>\S.*?)\s*")


def _figures(text: str) -> dict[str, str]:
    figures = {}
    for line in lines(text):
        if line.strip():
            row = _FIGURE.fullmatch(line)
            if row is None:
                raise UnexpectedReply("a figure and its name were expected", line=line)
            figures[row["name"]] = row["figure"]
    return figures


def _counted(figures: dict[str, str], name: str) -> int:
    if name not in figures:
        raise UnexpectedReply(f"the line {name!r} is missing")
    return whole(figures[name])


def _bytes(pages: str) -> int:
    return whole(pages) * PAGE_BYTES


class MemoryWatch:
    """Asks for the counters and for the memory when it is made, and for the counters again at `end`.

    What lies between is the time that it watched.
    """

    def __init__(self, session: Session) -> None:
        self._missing = list[str]()
        self._first = self._counters(session)
        plain = self._try(session, ["vmstat", "-v"], lambda reply: understood(reply, read_vmstat_v))
        # Only root may ask svmon, and it comes with the performance tools; it knows the working storage besides.
        whole_ = self._try(session, ["svmon", "-G"], lambda reply: understood(reply, read_svmon))
        self._memory = _together(whole_, plain)
        self._stat = self._try(session, ["lparstat", "-i"], lambda reply: understood(reply, read_lparstat))

    def end(self, session: Session) -> MemoryUse:
        """The memory use. Never raises for a command that is refused or not known.

        Waits until the counters were watched for `MIN_WATCH_S`. ``session`` must not be a caching one.
        """
        rate, watched, last = None, None, None
        if self._first:
            since_s = time.monotonic() - self._first[0]
            time.sleep(min(MIN_WATCH_S, max(0.0, MIN_WATCH_S - since_s)))
            last = self._counters(session)
        if self._first and last:
            watched = last[0] - self._first[0]
            if watched >= MIN_WATCH_S and last[1].pages >= self._first[1].pages:
                rate = (last[1].pages - self._first[1].pages) * PAGE_BYTES / watched
            else:
                self._missing.append(f"paging: the counters were watched for {watched:.1f} s, which says nothing")
        return MemoryUse(
            memory=self._memory,
            paging_bytes_per_s=rate,
            watched_s=watched,
            mode=dict(self._stat.labels).get("Memory Mode") if self._stat else None,
            missing=tuple(self._missing),
        )

    def _counters(self, session: Session) -> tuple[float, Paging] | None:
        moments: list[float] = []

        def read(reply: Reply) -> Paging:
            moments.append((reply.began_ns + reply.ended_ns) / 2e9)
            return understood(reply, read_vmstat_s)

        paging = self._try(session, ["vmstat", "-s"], read)
        return None if paging is None else (moments[0], paging)

    def _try(self, session: Session, arguments: list[str], reader: Callable[[Reply], Value]) -> Value | None:
        try:
            return reader(session.run(arguments))
        except RemoteError as trouble:
            self._missing.append(str(trouble))
            return None


def _together(svmon: RealMemory | None, vmstat: RealMemory | None) -> RealMemory | None:
    if svmon is None or vmstat is None:
        return svmon or vmstat
    return RealMemory(svmon.size, svmon.in_use, svmon.pinned, svmon.virtual, vmstat.files, svmon.mode)
