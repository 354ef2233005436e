"""From the site file to the machines: which manager drives a frame, and a survey of both ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass

from lpmkit.config import HostSettings, Secrets, Site
from lpmkit.control import Control, Order
from lpmkit.control.aix import AixShell, Identity
from lpmkit.control.ivm import Ivm
from lpmkit.control.vios import ViosShell
from lpmkit.errors import RemoteError
from lpmkit.inventory import ErrorEntry
from lpmkit.session import Transcript
from lpmkit.ssh import SshSession, open_session
from lpmkit.survey import Gap, Row, Snapshot, Survey, changed, gather


def control_of(site: Site, frame: str, *, secrets: Secrets, transcript: Transcript | None = None) -> Control:
    """The manager of one frame of the site. Nothing is sent before it is used."""
    return Ivm(frame, open_session(site, site.frame(frame), secrets=secrets, transcript=transcript))


def survey_both_ends(site: Site, order: Order, secrets: Secrets, transcript: Transcript | None = None) -> Survey:
    """Log in to both frames and, where the site says how, to the partition, and gather everything about a move."""
    with ExitStack() as stack:

        def shell(settings: HostSettings) -> SshSession:
            return stack.enter_context(closing(open_session(site, settings, secrets=secrets, transcript=transcript)))

        def control(frame: str) -> Control:
            return stack.enter_context(closing(control_of(site, frame, secrets=secrets, transcript=transcript)))

        partition = site.partitions.get(order.partition)
        return gather(
            order,
            control(order.source),
            control(order.target),
            ViosShell(shell(site.frame(order.source))),
            ViosShell(shell(site.frame(order.target))),
            AixShell(shell(partition)) if partition else None,
        )


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry of a machine's own error log. ``stamp`` is as the machine prints it, in its local time, to the minute or second."""

    where: str
    log: str
    stamp: str
    resource: str
    description: str
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Logs:
    """What the logs of a move's machines hold, and the ones that could not be read."""

    lines: tuple[LogLine, ...]
    gaps: tuple[Gap, ...]

    def since(self, earlier: Logs) -> tuple[LogLine, ...]:
        """The lines that are new, oldest first. Only logs that could be read both times: an old entry must not pass for a new one."""
        unread = {(gap.where, gap.what) for gap in (*earlier.gaps, *self.gaps)}
        seen = Counter(earlier.lines)
        fresh = []
        for line in self.lines:
            if seen[line] > 0:
                seen[line] -= 1
            elif (line.where, line.log) not in unread:
                fresh.append(line)
        return tuple(reversed(fresh))


def logs_of(site: Site, order: Order, secrets: Secrets, transcript: Transcript | None = None) -> Logs:
    """Read ``errpt`` of the partition and ``errlog`` of both I/O servers, newest first as they print."""
    lines: list[LogLine] = []
    gaps: list[Gap] = []

    def read(where: str, log: str, settings: HostSettings, ask: Callable[[SshSession], tuple[ErrorEntry, ...]]) -> None:
        try:
            with closing(open_session(site, settings, secrets=secrets, transcript=transcript)) as session:
                found = ask(session)
        except RemoteError as error:
            gaps.append(Gap(log, where, str(error)))
            return
        lines.extend(LogLine(where, log, one.stamp, one.resource, one.description, one.identifier) for one in found)

    for frame in (order.source, order.target):
        read(frame, "errlog", site.frame(frame), lambda session: ViosShell(session).error_log())
    partition = site.partitions.get(order.partition)
    if partition is None:
        gaps.append(Gap("errpt", order.partition, "the site file does not say how to log in to it"))
    else:
        read(order.partition, "errpt", partition, lambda session: AixShell(session).error_log())
    return Logs(tuple(lines), tuple(gaps))


def changes(before: Survey, after: Survey) -> tuple[Row, ...]:
    """What became of the partition's identity between two surveys: on which frame it is, who it says it is, when it booted."""
    return changed(_snapshot(before), _snapshot(after))


def _snapshot(survey: Survey) -> Snapshot:
    # During the switch both may list it; where it runs is where it is.
    sides = [
        side
        for side in (survey.source, survey.target)
        if (one := side.partition(survey.partition)) and one.state == "Running"
    ]
    side = sides[0] if len(sides) == 1 else None
    identity = survey.guest.identity if survey.guest else Identity()
    return Snapshot(side.name if side else None, identity, side.frame.machine if side and side.frame else None)
