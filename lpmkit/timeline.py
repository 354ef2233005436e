"""Samples and events, and the clocks that time them.

The observer (the host that runs lpmkit) records two clocks: ``mono_ns`` is ``CLOCK_MONOTONIC`` in nanoseconds, for
differences; ``wall_ns`` is nanoseconds since 1970 UTC, for display. An `Anchor` ties them. Monotonic readings are
comparable within one boot of the observer: within one `segment` of a run, and between segments unless it was rebooted.

A probe records a `Sample` for every tick of its schedule. An `Event` is recorded once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lpmkit.json_values import JsonMapping


class Outcome(StrEnum):
    """Outcome of one tick of a probe."""

    ANSWERED = "answered"  #: the partition itself replied
    SILENT = "silent"  #: no reply within the time limit of this tick
    REFUSED = "refused"  #: the host refused: its kernel is alive, the service is not
    LOST = "lost"  #: the connection of the request broke


class TroubleCode(StrEnum):
    """The kinds of a probe's trouble that its text alone does not decide (``code`` of ``probe-trouble``)."""

    DIED = "died"  #: the probe's process ended by itself, and another one is started
    BY_DESIGN = "by-design"  #: it cannot look here: another host in between, an address of this machine


def trouble_code(data: JsonMapping) -> TroubleCode | None:
    """The kind of a probe's trouble; ``None`` for any other. Runs of earlier versions show it by their text.

    >>> trouble_code({"code": "died"}), trouble_code({"what": "not looked at: a jump host"}), trouble_code({})
    (<TroubleCode.DIED: 'died'>, <TroubleCode.BY_DESIGN: 'by-design'>, None)
    """
    if "code" in data:
        return next((code for code in TroubleCode if code == data["code"]), None)
    what = str(data.get("what"))
    if "ended by itself" in what:
        return TroubleCode.DIED
    return TroubleCode.BY_DESIGN if what.startswith("not looked at") else None


class EndCode(StrEnum):
    """The ways in which a recorder ends (``code`` of ``recorder-ended``)."""

    DONE = "done"  #: the move is over, or what was recorded is
    ASKED = "asked"  #: somebody asked it to end
    TROUBLE = "trouble"  #: a machine or the disk ended it
    DEFECT = "defect"  #: an error of lpmkit's own


def end_code(data: JsonMapping) -> EndCode:
    """The way in which a recorder ended. Runs of earlier versions show it by their reason.

    >>> end_code({"reason": "trouble: no answer"}), end_code({"code": "asked", "reason": "x"})
    (<EndCode.TROUBLE: 'trouble'>, <EndCode.ASKED: 'asked'>)
    """
    code = next((code for code in EndCode if code == data.get("code")), None)
    reason = str(data.get("reason", ""))
    if code is not None:
        return code
    early = next((code for code in (EndCode.TROUBLE, EndCode.DEFECT) if reason.startswith(code.value)), None)
    return early or (EndCode.ASKED if "asked to end" in reason else EndCode.DONE)


def time_of_day(wall_ns: int) -> str:
    """The time of day in UTC of a moment in nanoseconds since 1970.

    >>> time_of_day(1_700_000_000_900_000_000)
    '22:13:20'
    """
    seconds = wall_ns // 1_000_000_000 % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def outwards(low_ns: int, high_ns: int, digits: int = 3) -> tuple[float, float]:
    """Bounds of a duration in seconds, rounded outwards to ``digits`` decimals, so that they still hold.

    Every text with bounds uses it.

    >>> outwards(1_532_400_000, 1_547_100_000), outwards(2_000_000_000, 2_000_000_000, 1)
    ((1.532, 1.548), (2.0, 2.0))
    """
    unit = 10 ** (9 - digits)
    return (low_ns // unit) / 10**digits, -(-high_ns // unit) / 10**digits


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick of one probe. All times in nanoseconds; ``None`` means unknown or not applicable.

    ``due_ns``, ``sent_ns`` and ``answered_ns`` are on the observer's monotonic clock. In a tick stream the
    partition is the sender: ``due_ns`` and ``sent_ns`` are ``None`` and ``answered_ns`` is the *arrival* of the
    tick at the observer. The ``remote_*`` stamps were taken by the partition while it ran: ``remote_due_ns`` and
    ``remote_mono_ns`` on its monotonic clock, ``remote_wall_ns`` on its wall clock.
    """

    seq: int
    due_ns: int | None = None
    sent_ns: int | None = None
    answered_ns: int | None = None
    remote_due_ns: int | None = None
    remote_mono_ns: int | None = None
    remote_wall_ns: int | None = None
    outcome: Outcome = Outcome.ANSWERED
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is recorded once, with its ``source``, its ``kind`` and the facts in ``data`` (JSON values
    only).
    """

    mono_ns: int
    wall_ns: int
    segment: int
    source: str
    kind: str
    data: JsonMapping = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A paired reading of both clocks, exact within ``uncertainty_ns`` (half of the time that the pair took)."""

    mono_ns: int
    wall_ns: int
    uncertainty_ns: int


class Clock:
    """The observer's clocks. Code that waits or stamps takes one as an argument, so that tests can replace it."""

    def mono_ns(self) -> int:
        """Monotonic clock in nanoseconds."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        time.sleep(seconds)

    def anchor(self, tries: int = 5) -> Anchor:
        """The paired reading with the smallest uncertainty out of ``tries``."""
        before, wall, after = self.mono_ns(), self.wall_ns(), self.mono_ns()
        for _ in range(tries - 1):  # every packet that arrives has its pair: no objects in between
            again = self.mono_ns(), self.wall_ns(), self.mono_ns()
            if again[2] - again[0] < after - before:
                before, wall, after = again
        return Anchor((before + after) // 2, wall, (after - before + 1) // 2)


def wait_until(condition: Callable[[], bool], *, clock: Clock, timeout_s: float, every_s: float = 0.05) -> bool:
    """Poll ``condition`` until it holds; false after ``timeout_s`` without success."""
    deadline = clock.mono_ns() + int(timeout_s * 1e9)
    while not condition():
        if clock.mono_ns() >= deadline:
            return False
        clock.sleep(every_s)
    return True
