"""When things happened, who saw them, and on which clock.

Two clocks of the observer (the machine that runs lpmkit) are kept side by side: ``mono_ns`` is
``CLOCK_MONOTONIC`` in nanoseconds, to subtract; ``wall_ns`` is nanoseconds since 1970 UTC, to talk about.
An `Anchor` ties them. Monotonic readings are comparable within one boot of the observer, that is within one
`segment` of a run and, as long as the observer was not restarted, between its segments.

What a probe sees is a `Sample`: one for every tick of its schedule. What is reported once is an `Event`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of one tick of a probe."""

    ANSWERED = "answered"  #: the partition itself spoke
    SILENT = "silent"  #: no answer came before the probe gave this tick up
    REFUSED = "refused"  #: the host answered with a refusal: its kernel is alive, the service is not
    LOST = "lost"  #: the connection that carried the question broke


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick of one probe. All times in nanoseconds; ``None`` means not known or not applicable.

    ``due_ns``, ``sent_ns`` and ``answered_ns`` are on the observer's monotonic clock. For a tick stream, where the
    partition is the sender, ``due_ns`` and ``sent_ns`` are ``None`` and ``answered_ns`` is when the tick *arrived* here.
    The ``remote_*`` stamps were taken by the partition at the moment it ran: ``remote_due_ns`` and ``remote_mono_ns`` on its
    monotonic clock, ``remote_wall_ns`` on its time of day.
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
    """Something reported once. ``source`` says by whom, ``kind`` what, ``data`` the facts (JSON values only)."""

    mono_ns: int
    wall_ns: int
    segment: int
    source: str
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One pair of readings of both clocks, true within ``uncertainty_ns`` (half the time that the pair took)."""

    mono_ns: int
    wall_ns: int
    uncertainty_ns: int


class Clock:
    """The observer's clocks. Whatever waits or stamps takes one as an argument, so that tests can bring their own."""

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def anchor(self, tries: int = 5) -> Anchor:
        """The tightest of a few paired readings."""
        return min((self._pair() for _ in range(tries)), key=lambda pair: pair.uncertainty_ns)

    def _pair(self) -> Anchor:
        before = self.mono_ns()
        wall = self.wall_ns()
        after = self.mono_ns()
        return Anchor((before + after) // 2, wall, (after - before + 1) // 2)


def wait_until(condition: Callable[[], bool], *, clock: Clock, timeout_s: float, every_s: float = 0.05) -> bool:
    """Ask ``condition`` until it holds; False when ``timeout_s`` have passed first."""
    deadline = clock.mono_ns() + int(timeout_s * 1e9)
    while not condition():
        if clock.mono_ns() >= deadline:
            return False
        clock.sleep(every_s)
    return True
