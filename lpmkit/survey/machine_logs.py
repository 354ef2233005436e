"""The machines' own logs before and after a move: the error logs of the partition and of the I/O servers, and what the
partition's system wrote of the move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial

from lpmkit.config import FrameSettings, HostSettings, Site
from lpmkit.control.aix import AixShell
from lpmkit.control.base import Order
from lpmkit.control.linux import LinuxShell
from lpmkit.control.linux_logs import LINES_READ, KernelLine
from lpmkit.errors import RemoteError
from lpmkit.inventory import ErrorEntry
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.ssh.client import SshSession, open_session
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Session, Transcript
from lpmkit.survey.connect import vios_shells
from lpmkit.survey.gather import runs_linux
from lpmkit.survey.model import Gap


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry of a machine's own error log.

    ``stamp`` is as the machine prints it, in its local time, to the minute or second; of the kernel of Linux in
    seconds (`KernelLine`).
    """

    where: str
    log: str
    stamp: str
    resource: str
    description: str
    identifier: str = ""
    #: Of an entry of ``errpt`` or ``errlog``: P, T, I or U, and H, S, O or U; of the kernel of Linux its level, 0 to 7.
    type: str = ""
    error_class: str = ""


@dataclass(frozen=True, slots=True)
class Logs:
    """The entries of the logs of a move's machines, the logs that were read (machine and log), and those that could
    not be.
    """

    lines: tuple[LogLine, ...]
    gaps: tuple[Gap, ...]
    read: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> JsonObject:
        """The logs as JSON values, for the document ``logs-before``."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "gaps": [asdict(gap) for gap in self.gaps],
            "read": [list(log) for log in self.read],
        }

    @classmethod
    def from_dict(cls, values: JsonMapping) -> Logs:
        """The logs of such a document. Raises `TypeError` or `LookupError` for other values."""
        return cls(
            tuple(LogLine(**line) for line in values["lines"]),
            tuple(Gap(**gap) for gap in values["gaps"]),
            tuple((str(where), str(log)) for where, log in values["read"]),
        )

    def since(self, earlier: Logs) -> tuple[LogLine, ...]:
        """The lines that are new, oldest first.

        Only logs that could be read both times: an old entry must not pass for a new one.
        """
        unread = {(gap.where, gap.what) for gap in (*earlier.gaps, *self.gaps)}
        known = set(earlier.read) - unread
        seen = Counter(earlier.lines)
        fresh = []
        for line in self.lines:
            if seen[line] > 0:
                seen[line] -= 1
            elif (line.where, line.log) in known:
                fresh.append(line)
        return tuple(reversed(fresh))

    def torn_since(self, earlier: Logs) -> tuple[tuple[str, str], ...]:
        """The kernel's logs of which no earlier line is left (it wrapped, was cleared, or the system was started), or
        of which more lines are new than are read: what was written between the readings need not all be there.
        """
        torn = []
        for where, log in self.read:
            old, now = (
                [line for line in logs.lines if (line.where, line.log) == (where, log)] for logs in (earlier, self)
            )
            if log in KERNEL_LOGS and (old or len(now) >= LINES_READ) and not set(old) & set(now):
                torn.append((where, log))
        return tuple(torn)


#: The logs of the kernel of Linux, the better one first, and how each is read.
KERNEL_LOGS: Mapping[str, Callable[[LinuxShell], tuple[KernelLine, ...]]] = {
    "journal": LinuxShell.journal,
    "dmesg": LinuxShell.dmesg,
}


class NoErrorLog(Exception):
    """The partition's operating system has no error log of AIX's kind. Caught where the logs are read."""


def logs_of(site: Site, order: Order, secrets: Secrets, transcript: Transcript | None = None) -> Logs:
    """Read ``errpt``, the DLPAR lines of the partition's syslog and what nmon noted there, and ``errlog`` of the I/O
    servers; of each the newest line first. Linux has none of the first three: there the kernel's log is read.
    """
    log_lines: list[LogLine] = []
    gaps: list[Gap] = []
    done: list[tuple[str, str]] = []
    without_errpt: list[str] = []

    def read(where: str, log: str, settings: HostSettings, ask: Callable[[SshSession], Iterable[LogLine]]) -> None:
        try:
            with closing(open_session(site, settings, secrets=secrets, transcript=transcript)) as session:
                log_lines.extend(ask(session))
            done.append((where, log))
        except NoErrorLog:
            without_errpt.append(where)
        except RemoteError as error:
            gaps.append(Gap(log, where, str(error)))

    for frame in (order.source, order.target):
        settings = site.frame(frame)
        for name in settings.vios or (frame,):
            read(name, "errlog", settings, partial(_errlog, settings, name))
    partition = site.partitions.get(order.partition)
    if partition is None:
        gaps.append(Gap("errpt", order.partition, "the site file does not say how to log in to it"))
    else:
        read(order.partition, "errpt", partition, partial(_errpt, order.partition))
        if without_errpt:
            for log in KERNEL_LOGS:
                read(order.partition, log, partition, partial(_kernel_lines, order.partition, log))
                if (order.partition, log) in done:
                    gaps = [gap for gap in gaps if gap.where != order.partition]
                    break
            return Logs(tuple(log_lines), tuple(gaps), tuple(done))
        read(order.partition, "syslog", partition, partial(_dr_lines, order.partition))
        if partition.nmon is not None:
            read(order.partition, "nmon", partition, partial(_change_rows, order.partition, partition.nmon))
    return Logs(tuple(log_lines), tuple(gaps), tuple(done))


def _errlog(settings: FrameSettings, name: str, session: Session) -> list[LogLine]:
    shells = vios_shells(settings, session)
    return _entries(name, "errlog", (shells.get(name) or shells[settings.host]).error_log())


def _errpt(name: str, session: Session) -> list[LogLine]:
    if runs_linux(session):
        raise NoErrorLog
    return _entries(name, "errpt", AixShell(session).error_log())


def _kernel_lines(name: str, log: str, session: Session) -> list[LogLine]:
    told = KERNEL_LOGS[log](LinuxShell(session))
    return [LogLine(name, log, line.stamp, "kernel", line.text, type=str(line.level)) for line in reversed(told)]


def _entries(where: str, log: str, entries: Iterable[ErrorEntry]) -> list[LogLine]:
    return [
        LogLine(
            where,
            log,
            entry.stamp,
            entry.resource,
            entry.description,
            entry.identifier,
            entry.error_type,
            entry.error_class,
        )
        for entry in entries
    ]


def _dr_lines(name: str, session: Session) -> list[LogLine]:
    written = [LogLine(name, "syslog", line.stamp, line.process, line.text) for line in AixShell(session).dr_lines()]
    return written[::-1]


def _change_rows(name: str, folder: str, session: Session) -> list[LogLine]:
    return [LogLine(name, "nmon", row.stamp, "nmon", row.text) for row in AixShell(session).change_rows(folder)][::-1]
