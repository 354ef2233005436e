"""The nouns of the analysis. Frozen values; every time is nanoseconds on the observer's monotonic clock.

``None`` means "not known". Hard and soft facts are kept apart: an *outer* interval follows from facts alone ("it ran at
t"), an *inner* one also needs the assumption that a healthy host would have spoken by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from lpmkit.analysis.outcome import MoveOutcome
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question
from lpmkit.runs.cells import Int64Array
from lpmkit.sap.judge import SapOutcome
from lpmkit.timeline import outwards

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
#: Kinds of probes that keep a session open: TCP may wait before it sends again, and people on such a session wait with
#: it.
SESSIONS = ("echo", "ni", "sql", "commit")
SECOND = 1_000_000_000
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A stretch of time or a range for a figure, both ends included, in nanoseconds.

    >>> Interval(0, 10).intersect(Interval(5, 20))
    Interval(lo_ns=5, hi_ns=10)
    """

    lo_ns: int
    hi_ns: int

    @property
    def length_ns(self) -> int:
        return self.hi_ns - self.lo_ns

    @property
    def middle_ns(self) -> int:
        return (self.lo_ns + self.hi_ns) // 2

    def contains(self, moment_ns: int) -> bool:
        return self.lo_ns <= moment_ns <= self.hi_ns

    def overlaps(self, other: Interval) -> bool:
        return self.lo_ns <= other.hi_ns and other.lo_ns <= self.hi_ns

    def intersect(self, other: Interval) -> Interval | None:
        lo, hi = max(self.lo_ns, other.lo_ns), min(self.hi_ns, other.hi_ns)
        return Interval(lo, hi) if lo <= hi else None

    def hull(self, other: Interval) -> Interval:
        return Interval(min(self.lo_ns, other.lo_ns), max(self.hi_ns, other.hi_ns))

    def widened(self, by_ns: int) -> Interval:
        return Interval(self.lo_ns - by_ns, self.hi_ns + by_ns)


def uncovered_ns(span: Interval, covers: Iterable[Interval]) -> int:
    """The part of ``span`` that none of ``covers`` covers, nanoseconds.

    >>> uncovered_ns(Interval(0, 10), [Interval(2, 4), Interval(3, 5), Interval(9, 20)])
    6
    """
    left, at = 0, span.lo_ns
    for cover in sorted(covers):
        if cover.hi_ns <= at:
            continue
        if cover.lo_ns >= span.hi_ns:
            break
        left += max(0, cover.lo_ns - at)
        at = max(at, cover.hi_ns)
    return left + max(0, span.hi_ns - at)


class OutageKind(StrEnum):
    """The class of a silence."""

    SUSPENSION = "suspension"  #: every mechanism that could have spoken was silent, and our own monitor was quiet
    BROWN_OUT = "brown-out"  #: processes or services that came late after the suspension just before
    UNDECIDED = "undecided"  #: one mechanism alone was silent: a suspension and a break of the network look the same
    MICRO_STOP = "micro-stop"  #: the ticking process stood still; others answered meanwhile, or were too slow to tell
    NETWORK = "network"  #: the host ticked on, and nothing reached us
    APPLICATION = "application"  #: one service was silent while the host ran and was reachable
    OBSERVER = "observer"  #: this machine stood still, not the other
    NOT_OBSERVED = "not observed"  #: between two recorders; nobody looked


class Method(StrEnum):
    """The data that the length of a silence was measured with. `lpmkit.analysis.wording` has the words for it."""

    TICK_STAMPS = "tick-stamps"  #: the ticks' own stamps
    CLOCK_JUMP = "clock-jump"  #: the jump of a guest clock that did not count the pause
    TICK_ARRIVALS = "tick-arrivals"  #: when ticks arrived, whose stamps show no pause
    QUESTIONS = "questions"  #: questions and their answers


class LikelyBy(StrEnum):
    """The method behind the likely length of a suspension. `lpmkit.analysis.wording` has the words for it."""

    DRAWN = "drawn"  #: drawn from where the signs of life next to it most likely lie
    COARSE = "coarse"  #: the whole length, because its witness has no distribution
    CLOCK = "clock"  #: what a guest clock missed that stopped meanwhile


class ClockVerdict(StrEnum):
    """The behaviour of a guest clock over a silence. `lpmkit.analysis.wording` has the words for it."""

    COUNTED = "counted"
    STOPPED = "stopped"
    SET_FORWARD = "set-forward"
    SET_BACK = "set-back"
    COUNTED_ONE_SECOND = "counted-one-second"
    COUNTED_PARTLY = "counted-partly"


@dataclass(frozen=True, slots=True)
class Signals:
    """The samples of one probe in one recorder's life, in the order of the schedule.

    Arrays as in `lpmkit.runs.folder.SampleTable`.

    ``step`` is the interval that was kept before each sample, ``interval_ns`` the shortest of them; ``batch`` how long
    ticks were gathered before they were sent.
    """

    probe: str
    host: str
    kind: str
    segment: int
    interval_ns: int
    sent: Int64Array
    answered: Int64Array
    remote_due: Int64Array
    mono: Int64Array
    wall: Int64Array
    spoke: BoolArray
    step: Int64Array
    batch: Int64Array

    @property
    def slower(self) -> Int64Array:
        """The excess of the interval before each sample over the shortest."""
        return self.step - self.interval_ns

    def stamp(self, clock: str) -> Int64Array:
        return self.mono if clock == "monotonic" else self.wall

    def picked(self, which: BoolArray | Int64Array) -> Signals:
        return Signals(
            self.probe,
            self.host,
            self.kind,
            self.segment,
            self.interval_ns,
            self.sent[which],
            self.answered[which],
            self.remote_due[which],
            self.mono[which],
            self.wall[which],
            self.spoke[which],
            self.step[which],
            self.batch[which],
        )


def _none() -> Int64Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Trace:
    """The view of one probe in one recorder's life: signs of life as facts, and the silences between them.

    Fact ``i``: the host ran at some instant of ``[alive_lo[i], alive_hi[i]]``. ``due``, ``sent``, ``answered`` are as
    recorded (``MISSING`` where there is none), in the order of the schedule; ``late`` marks ticks that went unanswered
    beyond the probe's threshold. ``interval_ns`` is the shortest interval that was kept, ``paces`` are (since when,
    which) where there were several.
    """

    probe: str
    host: str
    kind: str
    segment: int
    interval_ns: int
    span: Interval
    alive_lo: Int64Array
    alive_hi: Int64Array
    sent: Int64Array
    answered: Int64Array
    late: BoolArray
    took: Int64Array  #: of questions the round trip, of ticks the lateness; `MISSING` where there was no answer
    noise: Noise
    signs: int  #: signs of life in all
    paces: tuple[tuple[int, int], ...] = ()
    thinned_ns: int = 0  #: where nothing happened, one row of so much time was kept; 0: all were
    perhaps: Int64Array = field(default_factory=_none)  #: when, by their stamps, those of a pending batch were made

    def interval_at(self, moment_ns: int) -> int:
        """The interval that was kept at a moment: the probes are slower where nothing can happen."""
        return next((interval for since, interval in reversed(self.paces) if since <= moment_ns), self.interval_ns)

    def intervals_at(self, moments_ns: Int64Array) -> Int64Array:
        """`interval_at` of each."""
        since = np.array([pace[0] for pace in self.paces], dtype=np.int64)
        intervals = np.array([self.interval_ns, *(pace[1] for pace in self.paces)], dtype=np.int64)
        return intervals[np.searchsorted(since, moments_ns, side="right")]

    def apart_at(self, moments_ns: Int64Array) -> Int64Array:
        """The time before each moment in which the last sign of life may lie without a silence between them."""
        return max(self.noise.threshold_ns, self.thinned_ns) + 2 * self.intervals_at(moments_ns)


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of a probe when nothing happens: lateness of ticks, or round trips of questions.

    ``quantile_ns`` is the empirical 99.9 % point over ``count`` samples of the lead-in while our own monitor was quiet;
    ``threshold_ns`` is what a silence must exceed to count. ``sample`` is a thinned copy of the lead-in, for the likely
    interval.
    """

    quantile_ns: int
    median_ns: int
    worst_ns: int
    count: int
    threshold_ns: int
    basis: str
    alarms: int = 0  #: how often the lead-in exceeded the threshold: false alarms, since nothing happened there
    over_ns: int = 0  #: how much of the lead-in the probe saw
    lost_share: float = 0.0  #: of requests that are sent once, the share lost where nothing happens
    lost_in_a_row: int = 0  #: how many of them are lost in a row there
    sample: Int64Array = field(repr=False, default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch without a sign of life from one probe.

    ``inner`` is where it surely would have spoken, ``outer`` what facts allow.

    ``begin`` and ``end`` are the intervals of its two ends: ``outer`` is [begin.lo, end.hi], ``inner`` [begin.hi,
    end.lo]. ``kind`` is the class, ``why`` a sentence. ``length`` bounds the duration; it can be tighter than the ends
    (a clock that jumped shows only the length).
    """

    probe: str
    host: str
    kind: OutageKind | None
    begin: Interval
    end: Interval
    length: Interval
    method: Method
    why: str = ""
    set_on: Interval | None = None  #: by so much a clock was set on soon after, if it had stood still meanwhile
    missed_ns: int | None = None  #: the most likely of that, where ticks in between tell it

    @property
    def is_proved_by_clock(self) -> bool:
        """True where the clock's offset, bounded from both sides, jumped: no lateness, here or there, looks like that.
        That a clock was *set on* is read from how late ticks came, and a starved host's come late too.
        """
        return self.method is Method.CLOCK_JUMP and self.set_on is None

    @property
    def outer(self) -> Interval:
        return Interval(self.begin.lo_ns, self.end.hi_ns)

    @property
    def inner(self) -> Interval | None:
        return Interval(self.begin.hi_ns, self.end.lo_ns) if self.begin.hi_ns < self.end.lo_ns else None

    @property
    def core(self) -> Interval:
        """The inner stretch, or its middle when the inner one is empty."""
        if self.inner is not None:
            return self.inner
        return Interval(self.outer.middle_ns, self.outer.middle_ns)


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A clock of the watched host moved against ours: ``step`` (positive: forward) at some instant of ``at``."""

    host: str
    clock: str
    at: Interval
    step: Interval
    about: str


@dataclass(frozen=True, slots=True)
class ClockRate:
    """The rate of a clock of the watched host against ours over a stretch: between ``lo_ppm`` and ``hi_ppm``
    millionths faster.
    """

    host: str
    clock: str
    over: Interval
    lo_ppm: float
    hi_ppm: float


@dataclass(frozen=True, slots=True)
class ClockTie:
    """A clock of the watched host read beside ours before anything was silent: at ``at_ns`` of ours it was ``offset``
    ahead. Two observers of one host tie their own clocks by it.
    """

    clock: str
    at_ns: int
    offset: Interval


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The reading of one guest clock over one silence: the part of it that the clock counted.

    ``doubts_ns`` are the widths of the bounds of its offset before and after, whose sum is that of ``missed``.
    """

    clock: str
    counted: Interval
    missed: Interval
    verdict: ClockVerdict
    doubts_ns: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Suspension:
    """The agreed answer: the host stood still from some instant of ``begin`` to some instant of ``end``.

    ``length`` is the hull of the duration (hard outside, soft inside), ``likely`` the 95 % interval, ``best_ns`` its
    middle value, ``likely_by`` how both were found.
    """

    host: str
    begin: Interval
    end: Interval
    length: Interval
    likely: Interval
    best_ns: int
    likely_by: LikelyBy
    witnesses: tuple[Outage, ...]
    mechanisms: tuple[str, ...]
    disagreement: tuple[str, ...]
    clocks: tuple[ClockReading, ...]
    stalled_ns: int
    method: Method
    contradicted: tuple[str, ...] = ()  #: kernel-answered probes that spoke during it
    resumed_ns: int | None = None  #: the most likely moment of the resume: the brown-out begins there
    ended_by: str = ""  #: the probe that gave the first sign of life after it
    limp_ns: int = 0  #: how much later than usual the host answered in the first second after it
    late_start: Interval | None = None  #: from the resume to its first process; ``None`` without a kernel's answer

    @property
    def outer(self) -> Interval:
        return Interval(self.begin.lo_ns, self.end.hi_ns)

    @property
    def is_alone(self) -> bool:
        """True where one mechanism alone shows it, and no clock that stood still: that proves no suspension."""
        return len(self.mechanisms) < 2 and all(one.verdict is not ClockVerdict.STOPPED for one in self.clocks)


@dataclass(frozen=True, slots=True)
class Split:
    """The parts of a session outage by cause.

    ``path_ns``: how long the way was closed or the host stood still. ``waited_ns``: how long after that our own
    TCP still waited to send again. ``repeats``: how often it had sent again, ``None`` where it could not be looked at;
    ``how`` names the evidence."""

    path_ns: Interval
    waited_ns: Interval
    repeats: int | None
    how: str


@dataclass(frozen=True, slots=True)
class BrownOut:
    """The view of one probe after one resume; nanoseconds. ``values`` are round trips of questions, lateness of ticks.

    ``lasted`` is nought to nought where no second was slow. ``high_ns`` is the lead-in's 99 % point; ``slow_median_ns``
    and ``worst_ns`` are of the slow time.
    """

    of: Suspension
    probe: str
    kind: str
    since_ns: int
    lasted: Interval
    looked_ns: int
    usual_ns: int
    high_ns: int
    slow_median_ns: int | None
    worst_ns: int | None


@dataclass(frozen=True, slots=True)
class SessionOutage:
    """The outage that a logged-in user felt on one open session.

    ``waited_ns``: the wait of a user who typed at the first unanswered moment. ``bounds``: the least and most that any
    user could have waited. ``split`` has its parts by cause, ``login`` is true where the same program answered before
    and after. ``after_resume_ns``: the part of it after the agreed end of the suspension (our own TCP's retransmission
    wait, queues), if there is one.
    """

    probe: str
    host: str
    began: Interval
    ended_ns: int
    waited_ns: int
    bounds: Interval
    after_resume_ns: Interval | None
    slow_until_ns: int
    unanswered: int
    split: Split | None = None
    login: str = ""


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The answer to every question, and one over all. ``outcome`` is what became of the move; ``None`` of a watch."""

    state: AnswerState
    sentence: str
    questions: tuple[Question, ...]
    outcome: MoveOutcome | None = None

    def question(self, key: str) -> Question:
        return next(question for question in self.questions if question.key == key)


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """One phase of the move as the control point's polls showed it; ``until_ns`` is when the next began."""

    name: str
    since_ns: int
    until_ns: int
    why: str = ""


def by_certainty(still: Suspension) -> tuple[bool, bool, int]:
    """A key that orders suspensions: those that several mechanisms agree on last, then by length."""
    return not still.is_alone, not still.contradicted, still.length.hi_ns


@dataclass(frozen=True, slots=True)
class HostAnalysis:
    """Everything found about one watched host."""

    host: str
    traces: tuple[Trace, ...] = field(repr=False)
    noises: Mapping[str, Noise]
    suspensions: tuple[Suspension, ...]
    outages: tuple[Outage, ...]
    sessions: tuple[SessionOutage, ...]
    brown_outs: tuple[BrownOut, ...]
    steps: tuple[ClockStep, ...]
    offset_ns: Interval | None
    rates: tuple[ClockRate, ...] = ()
    notes: tuple[str, ...] = ()
    own_noise_ns: int | None = (
        None  #: gaps of all probes together up to here are the host's own noise; `None` where the record is too short
    )
    tie: ClockTie | None = None  #: `None` where the host stamped nothing before its first silence
    shortest_ns: int | None = None  #: the shortest suspension that would have been told; `None` where nothing watched

    @property
    def suspension(self) -> Suspension | None:
        """The longest one that several mechanisms agree on; where there is none, the longest that is doubted."""
        return max(self.suspensions, key=by_certainty, default=None)


@dataclass(frozen=True, slots=True)
class UnobservedStretch:
    """A stretch in which a probe did not look, and why as far as the record shows."""

    probe: str
    kind: str
    span: Interval
    why: str = ""


@dataclass(frozen=True, slots=True)
class MissingRows:
    """Rows of a probe that were written and are not in the folder any more."""

    probe: str
    missing: int
    written: int

    def __str__(self) -> str:
        return f"{self.missing} of {self.written} rows of {self.probe} are missing from the run folder"


@dataclass(frozen=True, slots=True)
class Coverage:
    """One probe: the stretches in which it looked, the gaps, and how many of its samples were answered and not
    answered.
    """

    probe: str
    host: str
    kind: str
    looked: tuple[Interval, ...]
    gaps: tuple[UnobservedStretch, ...]
    answered: int
    unanswered: int
    #: The reason why it cannot look, where that is by design; empty for any other.
    declined: str = ""
    #: Rows that were written and are gone; ``None`` where all are there.
    missing: MissingRows | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis of a run. ``window`` is where silences were looked for, ``record`` what the samples cover."""

    name: str
    mode: str
    record: Interval
    window: Interval
    hosts: tuple[HostAnalysis, ...]
    stalls: tuple[Interval, ...]
    monitor: Noise | None
    holes: tuple[Interval, ...]
    phases: tuple[PhaseSpan, ...]
    readings: tuple[JsonMapping, ...] = field(repr=False)
    verdict: RunVerdict
    wall: WallClock = field(repr=False)
    unreadable: Mapping[str, int]
    notes: tuple[str, ...] = ()
    sap: tuple[SapOutcome, ...] = field(default=(), repr=False)
    databases: tuple[Any, ...] = ()  #: `lpmkit.analysis.oracle.DatabaseAnalysis`, by SID
    coverage: tuple[Coverage, ...] = field(default=(), repr=False)

    @property
    def suspension(self) -> Suspension | None:
        """The longest suspension of all hosts, or ``None`` when there was none."""
        found = [host.suspension for host in self.hosts if host.suspension]
        return max(found, key=by_certainty, default=None)

    @property
    def longest_wait(self) -> Interval | None:
        """The least and the most that a user of the slowest open session waited: the bounds of the longest of all
        waits, whichever it is; ``None`` where no session was silent.
        """
        waits = [session.bounds for host in self.hosts for session in host.sessions]
        if not waits:
            return None
        return Interval(max(wait.lo_ns for wait in waits), max(wait.hi_ns for wait in waits))

    @property
    def move_ns(self) -> int | None:
        """The time from the command to running on the target, as polled; ``None`` where one of them was not seen."""
        begin = next((phase.since_ns for phase in self.phases if phase.name != "prepared"), None)
        end = next((phase.since_ns for phase in self.phases if phase.name == "settled"), None)
        return None if begin is None or end is None else end - begin

    @property
    def move_bounds(self) -> Interval | None:
        """The least and the most of `move_ns`: the partition arrived after the last reading before the poll that found
        it there.
        """
        begin = next((phase.since_ns for phase in self.phases if phase.name != "prepared"), None)
        end = next((phase.since_ns for phase in self.phases if phase.name == "settled"), None)
        if begin is None or end is None:
            return None
        polls = [int(reading["mono_ns"]) for reading in self.readings if "mono_ns" in reading]
        # the poll that found it is a reading itself, just before the phase
        earlier = sorted(at for at in polls if begin <= at < end)[:-1]
        return Interval((earlier[-1] if earlier else begin) - begin, end - begin)

    @property
    def unseen_s(self) -> float:
        """The time that was not observed, in seconds, rounded up to a tenth, as every form prints it."""
        return outwards(0, sum(hole.length_ns for hole in self.holes), 1)[1]

    @property
    def stalled_s(self) -> float:
        """The time in which the observer itself stood still, in seconds, rounded up to a hundredth."""
        return outwards(0, sum(stall.length_ns for stall in self.stalls), 2)[1]

    @property
    def other_silences(self) -> int:
        """The number of silences that belong to no suspension: of the network, of a single service, micro-stops."""
        kinds = (OutageKind.NETWORK, OutageKind.APPLICATION, OutageKind.MICRO_STOP)
        return sum(outage.kind in kinds for host in self.hosts for outage in host.outages)


@dataclass(frozen=True, slots=True)
class WallClock:
    """Time of day for the observer's monotonic readings: anchors, read off linearly between them."""

    mono_ns: Int64Array
    offset_ns: Int64Array
    uncertainty_ns: int

    def at(self, mono_ns: int) -> int:
        """Nanoseconds since 1970 UTC."""
        if len(self.mono_ns) == 0:
            return mono_ns
        base = int(self.offset_ns[0])
        more = np.interp(mono_ns - int(self.mono_ns[0]), self.mono_ns - self.mono_ns[0], self.offset_ns - base)
        return mono_ns + base + int(more)
