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
        return min((self._pair() for _ in range(tries)), key=lambda pair: pair.uncertainty_ns)

    def _pair(self) -> Anchor:
        before = self.mono_ns()
        wall = self.wall_ns()
        after = self.mono_ns()
        return Anchor((before + after) // 2, wall, (after - before + 1) // 2)


def wait_until(condition: Callable[[], bool], *, clock: Clock, timeout_s: float, every_s: float = 0.05) -> bool:
    """Poll ``condition`` until it holds; false after ``timeout_s`` without success."""
    deadline = clock.mono_ns() + int(timeout_s * 1e9)
    while not condition():
        if clock.mono_ns() >= deadline:
            return False
        clock.sleep(every_s)
    return True
