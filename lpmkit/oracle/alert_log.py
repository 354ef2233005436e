r"""The alert log, read as it comes: bytes in, events out, whatever release wrote them.

::

    Fri Aug 15 14:27:20 2003
    Thread 1 advanced to log sequence 812 (LGWR switch)
      Current log# 2 seq# 812 mem# 0: /oracle/BX5/origlogB/log_g12m1.dbf

A line belongs to the last stamp above it. `AlertReader` goes line by line and groups afterwards, since processes write
among each other:

- an indented line, and a line known to go with the one before (`GOES_WITH`), continues an event; any other line begins
  one;
- lines shaped like a network error block go to the open block, also when stamps and other messages are between them.
  Its own ``Time:`` counts where the log prints local time, for there the stamp follows the text (`ALERT-LOGS`); in a
  log with zones the stamp above counts;
- in a trace file a stamp holds for the line below it only; what comes further down lies somewhere before the next one;
- a statement that the line above announces is an event of its own kind: it is the application's text, and no message;
- ``log.xml`` is the same events in ``<msg>`` elements without a root; a block spread over several is joined by process;
- a stamp whose month is in an unknown language is kept as an event, and it and what follows have no time.

Every line is a stamp, blank, or in exactly one event: `Counts` proves it. What is half written stays in the reader
until it is whole. Nothing grows with the file: lines, events and open blocks are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum

from lpmkit.oracle.log_xml import Tags, read_element
from lpmkit.oracle.stamps import Moment, Stamp, StampForm, glued_stamp, read_inner_time, read_stamp

MAX_BYTES_IN_A_LINE = 256 * 1024
MAX_LINES_IN_AN_EVENT = 1000
MAX_OPEN_BLOCKS = 16
#: A block is over when its last line is this much older than the newest stamp, or this number of other lines ago.
BLOCK_AGE, BLOCK_DISTANCE = timedelta(seconds=10), 60

#: Lines that are not indented and still continue: (how the event begins, how they begin). An empty beginning fits any
#: event.
GOES_WITH: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("Additional information:", "IBM AIX RISC System/6000 Error", "Linux-x86_64 Error", "SVR4 Error")),
    ("", ("...Current username=", "...Application:")),
    ("ORA-", ("ORA-",)),
    ("Errors in file", ("ORA-", "Incident details in:", "Use ADRCI")),
    ("Error ORA-235", ("error can be ignored",)),
    ("Thread ", ("Checkpoint not complete", "Private strand flush not complete", "All online logs")),
    (
        "Hex dump of (file",
        (
            "Corrupt block",
            "Bad ",
            "Fractured block",
            "Completely zero block",
            "Data in bad block",
            "Read",
            "Reread",
            "Repaired corruption",
        ),
    ),
    ("Warning: VKTM detected a", ("Time drifts can result", "Please see the VKTM trace file", "/")),
    ("Memory Notification:", ("Heap size", "Details in trace file", "KGL object name")),
    ("--ATTENTION--", ("Time drifted", "Please see the VKTM trace file", "/")),
)
_FIRST_WORDS = tuple(beginning for _, beginnings in GOES_WITH for beginning in beginnings)

#: Beginnings of lines that announce a statement, which comes on the next line, also below a stamp of its own
#: (`ALERT-LOGS`).
_ANNOUNCES = ("ORA-01555 caused by SQL statement below", "PARSE ERROR: ospid=")
#: The beginning of a statement. `alter` and `create` are none: the server echoes those of its own.
_STATEMENT = re.compile(
    r"\s*(?:/\*.*?\*/\s*)?\(*\s*(?:select|insert|update|delete|merge|with|begin|declare|call|explain)\b", re.I
)

#: The beginning of a further line of a statement; no message begins so.
_CLAUSE = re.compile(
    r"(?:from|where|and|or|having|values|union|minus|intersect|(?:group|order|connect) by|start with"
    r"|(?:inner |left |right |full |cross |outer )*join)\b|[(),]",
    re.I,
)

_NET = re.compile(
    r"\*{20,}\s*$|Fatal NI connect error|TNS-\d+:"
    r"|\s+(?:TNS-\d+:|VERSION INFORMATION:|TNS for |[\w/ ]{3,40} Protocol Adapter for |Version \d|Time: \d|"
    r"Tracing (?:not|to)|Tns error struct"
    r"|n[st] (?:main|secondary|OS) err code|Client address:|\(DESCRIPTION ?=|\(CONNECT_DATA ?=|\(ADDRESS ?=|\(LOCAL=)|"
    r"\(DESCRIPTION ?=|\(ADDRESS ?="
)
_NET_FIRST = frozenset(" \t*FT(")
_OFFSET_SIGNS = (" +", " -")
_CONTAINER = re.compile(r"([A-Za-z][\w$#]{0,127})\(\d{1,5}\):(.*)", re.S)
_STARS = "*" * 20
_FATAL = "Fatal NI connect error"
_TIMED_OUT = "WARNING: inbound connection timed out"


def _split_container(line: str) -> tuple[str | None, str]:
    """The container that a line of a multi-tenant database names in front, and the line without it.

    >>> _split_container("PDB1(3):ORA-00600: internal error"), _split_container("Thread 1 advanced")
    (('PDB1', 'ORA-00600: internal error'), (None, 'Thread 1 advanced'))
    """
    if line.find("):", 2, 140) < 0 or (match := _CONTAINER.match(line)) is None:
        return None, line
    return match[1], match[2] or " "


class EventKind(Enum):
    """The form of an event."""

    MESSAGE = "message"
    NETWORK = "network"
    UNKNOWN_STAMP = "unknown stamp"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One thing that the log says.

    ``when`` is ``None`` when no stamp above could be read. ``offset`` is where its first line begins, in bytes;
    ``line_count`` how many lines of the file it took. ``inner`` is the block's own time. ``whole`` is false for a last
    line without an end and for a cut element.
    """

    when: Moment | None
    lines: tuple[str, ...]
    offset: int
    line_count: int
    kind: EventKind = EventKind.MESSAGE
    inner: Moment | None = None
    whole: bool = True
    tags: Tags | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def container(self) -> str | None:
        """The pluggable database that the event is about; ``None`` for the instance, and where there are none."""
        if self.tags is not None and self.tags.container:
            return self.tags.container
        return _split_container(self.lines[0])[0] if self.lines else None

    @property
    def headline(self) -> str:
        """The line that says most to a person: the first that is not a row of stars."""
        return next((line.strip() for line in self.lines if not line.startswith(_STARS)), "")


@dataclass(slots=True)
class Counts:
    """The account of the lines: ``lines`` is ``stamps + blank + in_events`` whenever the reader has finished.

    ``timeless`` are events without a time; ``cut_bytes`` what was too long for a line, or zeros of a hole in the file.
    """

    lines: int = 0
    stamps: int = 0
    blank: int = 0
    in_events: int = 0
    events: int = 0
    timeless: int = 0
    cut_bytes: int = 0
    forms: dict[StampForm, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    """An event in the making."""

    when: Moment | None
    offset: int
    lines: list[str]
    count: int = 1
    inner: Moment | None = None
    tags: Tags | None = None
    stamp_follows: bool = False
    last_seen: Moment | None = None
    last_line: int = 0
    kind: EventKind = EventKind.MESSAGE


class AlertReader:
    r"""Takes the bytes of an alert log in whatever pieces and gives its events.

    >>> reader = AlertReader()
    >>> [event.text for event in reader.feed(b"Fri Aug 15 14:27:20 2003\nORA-00600: internal error code, argum")]
    []
    >>> [event.text for event in reader.feed(b"ents: [kcbz]\nFri Aug 15 14:27:21 2003\n")]
    ['ORA-00600: internal error code, arguments: [kcbz]']

    ``offset`` is the position of the first byte in the file. ``stamp`` is the time that holds for it, when it is known
    from before.
    """

    def __init__(self, offset: int = 0, stamp: Moment | None = None) -> None:
        self.counts = Counts()
        self.stamp = stamp
        self.offset = offset
        self._tail = b""
        self._dropping = False
        self._fresh = False
        self._in_trace = False
        self._announced = False
        self._open: _Group | None = None
        self._last_inner: Moment | None = None
        self._blocks: dict[str | None, _Group] = {}
        self._element: list[str] | None = None
        self._element_offset = 0
        self._ready: list[LogEvent] = []

    @property
    def is_idle(self) -> bool:
        """True if nothing is held: no half line, no event that could go on."""
        return not (self._tail or self._dropping or self._open or self._blocks or self._element)

    def feed(self, data: bytes) -> list[LogEvent]:
        """The events that became whole with these bytes."""
        data = self._tail + data
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        if end:
            self._take_lines(data[:end])
        if len(self._tail) > MAX_BYTES_IN_A_LINE:
            self._cut_tail()
        return self._handed_out()

    def settle(self) -> list[LogEvent]:
        """The events that are held in case they go on; a half line and a half element stay.

        For a log that has been quiet for a while.
        """
        self._close()
        self._close_blocks()
        return self._handed_out()

    def finish(self) -> list[LogEvent]:
        """All that is left at the end of the file; a last line without an end is taken as it is and its event is not
        ``whole``.
        """
        half = bool(self._tail)
        if half:
            tail, self._tail = self._tail, b""
            self._take_lines(tail + b"\n")
            self.offset -= 1
        self._give_up_element()
        ready = [*self._handed_out(), *self.settle()]
        if half and ready:
            last = max(range(len(ready)), key=lambda index: ready[index].offset)
            ready[last] = replace(ready[last], whole=False)
        return ready

    # -- lines ---------------------------------------------------------------------------------------------------------

    def _take_lines(self, data: bytes) -> None:
        offset, take, counts = self.offset, self._take, self.counts
        for raw in data[:-1].split(b"\n"):
            if self._dropping:
                counts.cut_bytes += len(raw)
                self._dropping = False
            else:
                counts.lines += 1
                take(self._decoded(raw), offset)
            offset += len(raw) + 1
        self.offset = offset

    def _decoded(self, raw: bytes) -> str:
        if raw[:1] == b"\0":
            kept = raw.lstrip(b"\0")
            self.counts.cut_bytes += len(raw) - len(kept)
            raw = kept
        if raw[-1:] == b"\r":
            raw = raw[:-1]
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def _cut_tail(self) -> None:
        """A line beyond all measure: its beginning is the line, the rest is counted."""
        tail, self._tail = self._tail, b""
        if self._dropping:
            self.counts.cut_bytes += len(tail)
        else:
            self.counts.lines += 1
            self.counts.cut_bytes += len(tail) - MAX_BYTES_IN_A_LINE
            self._take(self._decoded(tail[:MAX_BYTES_IN_A_LINE]), self.offset)
            self._dropping = True
        self.offset += len(tail)

    def _take(self, line: str, offset: int) -> None:
        if self._element is not None or line.startswith("<msg "):
            self._take_element_line(line, offset)
            return
        if not line or line.isspace():
            self.counts.blank += 1
            return
        if line[-7:-5] in _OFFSET_SIGNS and (glued := glued_stamp(line)):
            self._take(glued[0], offset)
            self._set_stamp(glued[1])
            return
        if line[0] in _NET_FIRST and _NET.match(line):
            self._take_block_line(None, [line], 1, offset, None)
            return
        container, bare = _split_container(line)
        if self._goes_on(bare, container):
            assert self._open is not None
            self._open.lines.append(line)
            self._open.count += 1
            return
        stamp = read_stamp(line)
        if stamp is None:
            self._begin(line, offset)
        elif stamp.moment is None:
            self._take_unknown_stamp(line, offset)
        else:
            self._set_stamp(stamp)
            if stamp.rest.strip():
                self._begin(stamp.rest, offset)
            else:
                self.counts.stamps += 1

    def _goes_on(self, line: str, container: str | None) -> bool:
        group = self._open
        if group is None or group.count >= MAX_LINES_IN_AN_EVENT:
            return False
        if line[0] in " \t" or (group.kind is EventKind.STATEMENT and _CLAUSE.match(line)):
            return True
        if not line.startswith(_FIRST_WORDS):
            return False
        mine, head = _split_container(group.lines[0])
        if container is not None and container != mine:
            return False
        return any(head.startswith(begins) and line.startswith(words) for begins, words in GOES_WITH)

    def _begin(self, line: str, offset: int) -> None:
        self._close()
        group = self._open = _Group(self.stamp, offset, [line])
        if self._announced and is_statement(line):
            group.kind = EventKind.STATEMENT
        self._announced = announces_statement(line)
        if not self._fresh and self._in_trace:
            group.stamp_follows = True
        elif not self._fresh and line.startswith(_TIMED_OUT) and (self.stamp is None or not self.stamp.zoned):
            group.stamp_follows = True
            group.when = self._later_of(self.stamp, self._last_inner)
        self._fresh = False

    @staticmethod
    def _later_of(stamp: Moment | None, inner: Moment | None) -> Moment | None:
        """The last time that is known to have passed: the stamp above, or the time inside the block above."""
        after = inner.comes_later_by(stamp) if inner is not None else None
        return inner if after is not None and after > timedelta(0) else stamp

    def _set_stamp(self, stamp: Stamp) -> None:
        forms = self.counts.forms
        forms[stamp.form] = forms.get(stamp.form, 0) + 1
        self._close(stamp.moment)
        self.stamp, self._fresh = stamp.moment, True
        self._in_trace = stamp.form is StampForm.TRACE
        if self._blocks:
            self._close_old_blocks()

    def _take_unknown_stamp(self, line: str, offset: int) -> None:
        self._close()
        self.stamp, self._fresh = None, False
        self._give(LogEvent(None, (line,), offset, 1, EventKind.UNKNOWN_STAMP))

    # -- network blocks ------------------------------------------------------------------------------------------------

    def _take_block_line(self, key: str | None, lines: list[str], count: int, offset: int, tags: Tags | None) -> None:
        if key is None:
            self._close()  # an ordinary event does not go on behind a line of a block
        block = self._blocks.get(key)
        if block is not None and _begins_anew(lines, block):
            self._close_block(key)
            block = None
        if block is None:
            if len(self._blocks) >= MAX_OPEN_BLOCKS:
                self._close_block(next(iter(self._blocks)))
            block = self._blocks[key] = _Group(self.stamp, offset, [], 0, tags=tags)
        block.lines += lines
        block.count += count
        block.last_seen, block.last_line = self.stamp, self.counts.lines
        for line in lines:
            block.inner = block.inner or read_inner_time(line)
        if any("Client address:" in line for line in lines) or block.count >= MAX_LINES_IN_AN_EVENT:
            self._close_block(key)

    def _close_old_blocks(self) -> None:
        for key, block in list(self._blocks.items()):
            age = None if self.stamp is None else self.stamp.comes_later_by(block.last_seen)
            if (age is not None and age > BLOCK_AGE) or self.counts.lines - block.last_line > BLOCK_DISTANCE:
                self._close_block(key)

    def _close_blocks(self) -> None:
        for key in list(self._blocks):
            self._close_block(key)

    def _close_block(self, key: str | None) -> None:
        block = self._blocks.pop(key)
        when = block.when
        if block.inner is not None and (when is None or not when.zoned):
            when = block.inner
        self._last_inner = block.inner
        kind = EventKind.NETWORK if any(not line.startswith(_STARS) for line in block.lines) else EventKind.MESSAGE
        self._give(LogEvent(when, tuple(block.lines), block.offset, block.count, kind, block.inner, tags=block.tags))

    # -- log.xml -------------------------------------------------------------------------------------------------------

    def _take_element_line(self, line: str, offset: int) -> None:
        if self._element is not None and line.startswith("<msg "):
            self._give_up_element()
        if self._element is None:
            self._close()
            self._element, self._element_offset = [], offset
        self._element.append(line)
        if line.endswith(("</msg>", "/>")) and (line.endswith("</msg>") or len(self._element) == 1):
            self._take_element(whole=True)
        elif len(self._element) >= MAX_LINES_IN_AN_EVENT:
            self._give_up_element()

    def _give_up_element(self) -> None:
        if self._element is not None:
            self._take_element(whole=False)

    def _take_element(self, *, whole: bool) -> None:
        assert self._element is not None
        lines, self._element = self._element, None
        when, tags, body = read_element("\n".join(lines))
        self.stamp = when
        self.counts.forms[StampForm.XML] = self.counts.forms.get(StampForm.XML, 0) + 1
        said = [line for line in body.split("\n") if line.strip()]
        if self._blocks:
            self._close_old_blocks()
        if whole and not said:
            self.counts.blank += len(lines)
        elif whole and all(_NET.match(line) for line in said):
            self._take_block_line(tags.process or "", said, len(lines), self._element_offset, tags)
        else:
            kind = EventKind.MESSAGE
            if said and self._announced and is_statement(said[0]):
                kind = EventKind.STATEMENT
            self._announced = bool(said) and announces_statement(said[-1])
            self._give(LogEvent(when, tuple(said), self._element_offset, len(lines), kind, whole=whole, tags=tags))

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _close(self, following: Moment | None = None) -> None:
        group, self._open = self._open, None
        if group is not None:
            when = self._time_of(group, following) if group.stamp_follows else group.when
            self._give(LogEvent(when, tuple(group.lines), group.offset, group.count, group.kind))

    def _time_of(self, group: _Group, following: Moment | None) -> Moment | None:
        """The time of an event whose stamp follows it: after the one above and before the one below, as far as there
        are any.
        """
        if group.when is None or following is None:
            return group.when.onwards if group.when and self._in_trace else group.when or following
        return group.when.until(following)

    def _give(self, event: LogEvent) -> None:
        counts = self.counts
        counts.events += 1
        counts.in_events += event.line_count
        counts.timeless += event.when is None
        self._ready.append(event)

    def _handed_out(self) -> list[LogEvent]:
        ready, self._ready = self._ready, []
        return ready


def announces_statement(line: str) -> bool:
    """True if a line announces a statement on the next one.

    >>> announces_statement("PDB1(3):PARSE ERROR: ospid=55579, error=923 for statement:")
    True
    """
    return line.endswith((":", ": ")) and _split_container(line)[1].startswith(_ANNOUNCES)


def is_statement(line: str) -> bool:
    """True if a line, where one is announced, begins a statement.

    >>> is_statement("SELECT 1 FROM DUAL"), is_statement("Instance terminated by USER, pid = 1")
    (True, False)
    """
    return _STATEMENT.match(_split_container(line)[1]) is not None


def _begins_anew(lines: list[str], block: _Group) -> bool:
    """True if these lines begin another block: a row of stars after text, or a second fatal error."""
    if lines[0].startswith(_STARS):
        return any(not line.startswith(_STARS) for line in block.lines)
    return lines[0].startswith(_FATAL) and any(line.startswith(_FATAL) for line in block.lines)


def read_events(pieces: Iterable[bytes], reader: AlertReader | None = None) -> Iterator[LogEvent]:
    """The events of a log that comes in pieces, to its end. Memory does not grow with the log."""
    reader = reader or AlertReader()
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.finish()


def read_alert_log(text: str) -> tuple[LogEvent, ...]:
    r"""The events of a log that is at hand as text; for recordings and small pieces.

    >>> event, = read_alert_log((
    ...     "2017-03-24T17:49:39.327480+09:00\nThread 1 advanced to log sequence 8 (LGWR switch)\n"
    ...     "  Current log# 2\n"
    ... ))
    >>> print(event.when, len(event.lines))
    2017-03-24 17:49:39.327480+09:00 2
    """
    return tuple(read_events([text.encode()]))
