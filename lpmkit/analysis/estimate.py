"""The most likely length of a suspension, inside what is proved.

The outer bound takes every sign of life at the farthest that it can be. Here each is placed where it most likely was,
the begin and the end are drawn between what spoke and what was missed, and a clock of the host that stood still is
heard. Nothing here widens or narrows the hull.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.breaks import CLOCK_MISSED_NS
from lpmkit.analysis.late_start import LateStarts
from lpmkit.analysis.layers import LostRequests, loses_anyway
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    BoolArray,
    ClockReading,
    ClockVerdict,
    Interval,
    LikelyBy,
    Outage,
    Trace,
)
from lpmkit.runs.cells import MISSING

_NEAR_NS = 30 * SECOND
_DRAWS = 4000
#: A clock that stood still is used alone if it is tied this closely.
_WELL_TIED_NS = 15 * MILLISECOND
#: With fewer answers after a resume these show nothing.
_MIN_AFTER = 5
_JUST_AFTER_NS = SECOND // 2
#: The rate at which the delay after a resume dies away, as a share of the allowance for it, and how little is known of
#: that (a factor, as the spread of its logarithm).
_WAKE_SHARE, _WAKE_SPREAD = 0.03, 0.8


@dataclass(frozen=True, slots=True)
class Likely:
    """The 95 % interval of a length, its middle, and the method that gave them."""

    span: Interval
    best_ns: int
    method: LikelyBy


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of life next to a suspension, of every probe's.

    ``not_before`` and ``not_after`` are facts: the last instant known to be before it and the first known to be after.
    ``last`` and ``first`` are where the last sign and the first most likely lie: no more is left open of them than the
    clocks usually leave, or than a usual round trip takes. Neither a unanswered question nor a clock whose offset is
    not yet known is evidence that the host was alive earlier. ``ended_by`` is the probe of the first sign after it.
    """

    not_before: int
    not_after: int
    last: Interval
    first: Interval
    ended_by: str


def signs_of(reference: Outage, traces: Sequence[Trace], inside_ns: int) -> Signs:
    """The signs of life on both sides of a silence.

    ``inside_ns`` is an instant at which the machine was already silent.

    Early in its silence is best: what was asked after that instant and answered at all, however late, was answered
    after the resume.
    """
    not_before, not_after = reference.begin.lo_ns, reference.end.hi_ns
    last, first, ended_by = Interval(not_before, not_before), Interval(not_after, not_after), reference.probe
    for trace in traces:
        not_before = max(not_before, int(trace.alive_lo[_before(trace, inside_ns)].max(initial=not_before)))
        last = max(last, spoke_last(trace, reference, inside_ns))
        after = (trace.alive_lo >= inside_ns) & (trace.alive_lo <= reference.end.hi_ns + _NEAR_NS)
        if after.any():
            at = int(np.argmin(np.where(after, trace.alive_hi, 2**62)))
            hi = int(trace.alive_hi[at])
            if hi <= first.hi_ns:
                first = Interval(max(int(trace.alive_lo[at]), hi - _usual_doubt(trace)), hi)
            if hi < not_after:
                not_after, ended_by = hi, trace.probe
    return Signs(not_before, not_after, last, first, ended_by)


def _before(trace: Trace, inside_ns: int) -> BoolArray:
    return (trace.alive_hi <= inside_ns) & (trace.alive_hi >= inside_ns - _NEAR_NS)


def spoke_last(trace: Trace, reference: Outage, inside_ns: int) -> Interval:
    """The most likely moment of the last sign of life of one probe before a silence."""
    before = _before(trace, inside_ns)
    if not before.any():
        return Interval(reference.begin.lo_ns, reference.begin.lo_ns)
    lo, hi, usual = trace.alive_lo[before], trace.alive_hi[before], _usual_doubt(trace)
    if trace.kind == "ticks":
        # it was stamped there, so it lies as little before its latest instant as usual, however badly the clock is tied
        # just then
        lo = np.maximum(lo, hi - usual)
    at = int(np.argmax(lo))
    return Interval(int(lo[at]), min(int(hi[at]), int(lo[at]) + usual))


def _usual_doubt(trace: Trace) -> int:
    """The usual uncertainty of the moment of a sign of life."""
    if trace.kind == "ticks":
        return int(np.median(trace.alive_hi - trace.alive_lo)) if len(trace.alive_lo) else 0
    return trace.noise.median_ns


def missed_from(begin_lo: int, slot: int, inside_ns: int, traces: Sequence[Trace]) -> int:
    """The time by which something is known to have been missed: the tick's slot, or the first echo request that was not
    answered before ``inside_ns``.
    """
    missed = slot
    for trace in traces:
        if trace.kind == "icmp" and not loses_anyway(trace):
            unanswered = (trace.answered == MISSING) | (trace.answered > inside_ns)
            sent = trace.sent[unanswered & (trace.sent >= begin_lo) & (trace.sent <= inside_ns)]
            missed = min(missed, int(sent.min(initial=missed)))
    return max(begin_lo, missed)


def limp(resumed_ns: int, traces: Sequence[Trace]) -> int:
    """Extra lateness of the host's answers and ticks just after its resume: its first sign of life may have been as
    late.

    The median of its kernel's answers where it is asked often enough, else of its ticks: another silence soon after
    does not count.
    """
    for kind in ("icmp", "ticks"):
        for trace in traces:
            if trace.kind != kind:
                continue
            moments = trace.sent if kind == "icmp" else trace.answered
            near = (moments >= resumed_ns) & (moments <= resumed_ns + _JUST_AFTER_NS) & (trace.took != MISSING)
            if near.sum() >= _MIN_AFTER:
                return max(0, int(np.median(trace.took[near])) - trace.noise.quantile_ns)
    return 0


def likely_length(
    begin: Interval,
    end: Interval,
    length: Interval,
    trace: Trace,
    signs: Signs,
    missed_ns: int,
    lost: LostRequests,
    limp_ns: int,
    unseen: LateStarts | None = None,
) -> Likely:
    """The length by the signs of life and by the requests that were lost.

    The last and the first sign of life are drawn evenly from where they most likely lie. The begin is drawn evenly from
    the last one on until ``missed_ns``, when the next tick was missed, and a lateness as in the baseline; the end
    before the first one by such a lateness and a delay that dies away within its allowance, or as slowly as the host
    was late after the resume; where no kernel shows the resume (``unseen``), by a late start of its processes, too.
    Requests that were lost enclose both: a resume that would lie after the first request that reached the host is drawn
    evenly from between the last one lost and that one. Same input, same answer.
    """
    if trace.kind != "ticks" or length.length_ns == 0:
        return Likely(length, length.middle_ns, LikelyBy.COARSE)
    generator = np.random.default_rng(20080215)
    late = trace.noise.sample if len(trace.noise.sample) else np.zeros(1, dtype=np.int64)
    last, first = signs.last, signs.first
    missed = missed_ns + generator.choice(late, _DRAWS)
    since = np.full(_DRAWS, last.lo_ns) + generator.random(_DRAWS) * last.length_ns
    open_ns = missed - last.lo_ns
    if lost.begin is not None:
        since = np.maximum(since, lost.begin.lo_ns)
        open_ns = np.minimum(missed, lost.begin.hi_ns) - since
    began = since + generator.random(_DRAWS) * np.maximum(0, open_ns)
    usual_wake = max(_WAKE_SHARE * end.length_ns, limp_ns) * np.exp(_WAKE_SPREAD * generator.standard_normal(_DRAWS))
    woke = generator.choice(late, _DRAWS) + generator.exponential(usual_wake)
    if unseen is not None:
        woke += generator.choice(unseen.seen_ns, _DRAWS)
    ended = first.hi_ns - generator.random(_DRAWS) * first.length_ns - woke
    if lost.end is not None and lost.end.lo_ns < first.hi_ns:
        reached = lost.end.lo_ns + generator.random(_DRAWS) * lost.end.length_ns
        ended = np.where((ended > lost.end.hi_ns) | (ended < lost.end.lo_ns), reached, ended)
    drawn = np.maximum(ended, end.lo_ns) - np.minimum(began, begin.hi_ns)
    lo, middle, hi = (int(value) for value in np.quantile(drawn, [0.025, 0.5, 0.975]))
    lo, middle, hi = (min(max(value, length.lo_ns), length.hi_ns) for value in (lo, middle, hi))
    return Likely(Interval(lo, hi), middle, LikelyBy.DRAWN)


def likely_missed(missed: Interval, doubts_ns: tuple[int, int]) -> Interval:
    """The 95 % interval of what a clock missed, whose offset lies somewhere within its bounds before and after: that
    both are at their farthest ends is unlikely.

    The difference of two even distributions is a trapezoid; of it 2.5 % are cut off at either end.

    >>> likely_missed(Interval(0, 2000), (1000, 1000)), likely_missed(Interval(0, 1000), (1000, 0))
    (Interval(lo_ns=223, hi_ns=1777), Interval(lo_ns=25, hi_ns=975))
    """
    less, more = sorted(doubts_ns)
    cut = (more * less / 20) ** 0.5 if less >= more / 20 else more / 40 + less / 2
    return Interval(missed.lo_ns + int(cut), missed.hi_ns - int(cut))


def stood_still(clocks: Sequence[ClockReading], length: Interval) -> int | None:
    """The least time that the monotonic clock stood still in a silence that lasted clearly longer; ``None`` where it
    did not.

    Nobody sets that clock, and no hypervisor is known that lets it run on for a part of the pause. One that counts a
    second of it and no more is taken at its word.
    """
    for reading in clocks:
        missed, partly = reading.missed, reading.verdict is ClockVerdict.COUNTED_PARTLY
        if reading.clock == "monotonic" and partly and CLOCK_MISSED_NS <= missed.lo_ns < length.lo_ns:
            return missed.lo_ns
    return None


def by_a_clock_that_stood_still(clocks: Sequence[ClockReading], length: Interval, otherwise: Likely) -> Likely:
    """The length by a guest clock that stood still, closer than any tick shows it: its timers slept on, so the first
    tick comes up to a period late.

    That it stopped and ran again together with the host is likely, not proved: the guaranteed bounds stay as they are.
    """
    still = [clock for clock in clocks if clock.verdict is ClockVerdict.STOPPED and clock.missed.overlaps(length)]
    if not still:
        return otherwise
    reading = min(still, key=lambda one: one.missed.length_ns)
    missed = Interval(max(reading.missed.lo_ns, length.lo_ns), min(reading.missed.hi_ns, length.hi_ns))
    if reading.missed.length_ns <= _WELL_TIED_NS:
        missed = likely_missed(reading.missed, reading.doubts_ns).intersect(length) or missed
    both = missed.intersect(otherwise.span)
    if both is None and missed.length_ns > max(_WELL_TIED_NS, otherwise.span.length_ns):
        # badly tied, and the signs of life came later than it allows: the nearest that it does allow
        return Likely(missed, min(max(otherwise.best_ns, missed.lo_ns), missed.hi_ns), LikelyBy.CLOCK)
    if both is None or missed.length_ns <= max(_WELL_TIED_NS, otherwise.span.length_ns):
        return Likely(missed, missed.middle_ns, LikelyBy.CLOCK)
    # A clock that is badly tied just then only cuts off what it excludes.
    return Likely(both, min(max(otherwise.best_ns, both.lo_ns), both.hi_ns), otherwise.method)
