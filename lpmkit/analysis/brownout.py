"""The slow time after a resume: the host runs again, and answers later than it used to (pages that are still fetched,
caches that are cold).

The measure is the lead-in of the same run: of a hundred values one exceeded its 99 % point. A second after the resume
in which clearly more do is slow; the brown-out lasts until the last slow second that belongs together with the first
ones. Its length is known to a second, whatever the probe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lpmkit.analysis.breaks import CLOCK_MISSED_NS
from lpmkit.analysis.layers import SIGNS_ONLY, loses_in_a_row, telling_losses
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    BoolArray,
    BrownOut,
    ClockVerdict,
    Interval,
    Method,
    Outage,
    OutageKind,
    Suspension,
    Trace,
)
from lpmkit.analysis.noise import within
from lpmkit.runs.cells import MISSING, Int64Array

#: The time after a resume in which a brown-out is looked for.
LOOKED_NS = 60 * SECOND
#: Ticks show how long it lasted to so much, where several belong into each.
_TICK_WINDOW_NS = 100 * MILLISECOND
#: A host that answers so much later than usual after its resume limps.
MIN_LIMP_NS = 10 * MILLISECOND
#: A host that limps may be silent altogether once more, so soon after its first sign of life.
_AT_ONCE_NS = SECOND // 2
#: Requests that are lost for longer than this after the host runs again are lost on the way.
_CLOSED_NS = SECOND // 2
#: Quiet windows of the ticks that end it, or quiet seconds; later slowness has a reason of its own.
_QUIET_TICK_WINDOWS = 5
_QUIET_SECONDS = 3
#: With fewer values the baseline has no 99 % point.
_MIN_USUAL = 100
_USUAL_SHARE = 0.01


def brown_outs(still: Suspension, traces: Sequence[Trace], stalls: Sequence[Interval]) -> tuple[BrownOut, ...]:
    """The slow time after one suspension, by each probe whose baseline shows the usual values."""
    drawn_out = (
        _brown_out(still, trace, stalls)
        for trace in traces
        if trace.host == still.host and trace.kind not in SIGNS_ONLY
    )
    return tuple(one for one in drawn_out if one is not None)


def _brown_out(still: Suspension, trace: Trace, stalls: Sequence[Interval]) -> BrownOut | None:
    usual = trace.noise.sample
    if len(usual) < _MIN_USUAL:
        return None
    high = int(np.quantile(usual, 1 - _USUAL_SHARE))
    moments, took, since = _after(still, trace, stalls)
    if not len(took):
        return None
    step = _TICK_WINDOW_NS if trace.kind == "ticks" and trace.interval_at(since) * 5 <= _TICK_WINDOW_NS else SECOND
    window = (moments - since) // step
    missing_is_slow = trace.kind == "ticks"
    quiet = _QUIET_SECONDS if step == SECOND else _QUIET_TICK_WINDOWS
    silent = np.unique(window[took > trace.noise.threshold_ns]) if missing_is_slow else np.zeros(0, dtype=np.int64)
    slow = _slow_windows(window, took > high, quiet, silent, missing_is_slow=missing_is_slow)
    median, worst = None, None
    if slow and (window < slow).any():
        inside = took[window < slow]
        median, worst = int(np.median(inside)), int(inside.max())
    lasted = Interval((slow - 1) * step, slow * step) if slow else Interval(0, 0)
    looked = int(moments.max()) - since
    return BrownOut(
        still, trace.probe, trace.kind, since, lasted, looked, int(np.median(usual)), high, median, worst
    )  # fmt: skip


def _after(still: Suspension, trace: Trace, stalls: Sequence[Interval]) -> tuple[Int64Array, Int64Array, int]:
    """Times of questions or ticks after the resume, their durations, and the time from which they count.

    A question asked before, or one that waited behind it, shows the suspension and TCP, not a slow host: a question
    counts once one that was sent after the resume has been answered in its turn. Ticks count from the most likely
    moment of the resume on, by their stamps.
    """
    ticks = trace.kind == "ticks"
    took, answered = trace.took, trace.answered
    if ticks:
        moments = trace.alive_hi if len(trace.alive_hi) == len(answered) else answered
        since = still.end.hi_ns if still.resumed_ns is None else still.resumed_ns
        known = took != MISSING
        took = np.minimum(took, np.maximum(0, moments - since))  # what was due before is late since the resume
    else:
        moments, since = trace.sent, still.end.hi_ns
        known = (took != MISSING) & (moments != MISSING)
        waited = known & (trace.sent < since) & (answered > since)
        since = max(since, int(answered[waited].max(initial=since)))
    kept = known & (moments > since) & (moments <= since + LOOKED_NS)
    kept &= ~within(np.where(answered == MISSING, moments, answered), [stall.widened(SECOND // 50) for stall in stalls])
    return moments[kept], took[kept], since


def _slow_windows(
    window: Int64Array, over: BoolArray, quiet_windows: int, silent: Int64Array, *, missing_is_slow: bool
) -> int:
    """Number of windows of time from the first on that belong to the slow time.

    A window in ``silent`` holds a silence of its own and is slow; ``missing_is_slow`` where a host that runs must have
    spoken in each.
    """
    slow, quiet = 0, 0
    for number in range(int(window.max()) + 1):
        here = over[window == number]
        expected = _USUAL_SHARE * len(here)
        missing = number in silent or (missing_is_slow and not len(here))
        if missing or (len(here) and here.sum() >= expected + 4 * math.sqrt(expected) + 1):
            slow, quiet = number + 1, 0
        elif (quiet := quiet + 1) >= quiet_windows:
            break
    return slow


def explained(
    outages: Sequence[Outage], stills: Sequence[Suspension], slow: Sequence[BrownOut], traces: Sequence[Trace]
) -> tuple[Outage, ...]:
    """The same outages; what began in the brown-out after a suspension is part of it.

    That includes a silence of all probes while the host limps, unless a clock stood still in it: that shows a
    suspension of its own. Where requests are lost in a row the way was closed or the machine stopped once more, unless
    the host was as late since its resume where it did answer: what is sent to one that waits for pages may be lost.
    """
    spans = [(still, _brown_out_of(still, slow)) for still in stills]
    waits = [witness for still in _waits_for_pages(spans, traces) for witness in still.witnesses]
    return tuple(
        replace(outage, kind=OutageKind.BROWN_OUT, why=_AS_LATE)
        if _is_as_late(outage, spans, traces)
        else outage
        if loses_in_a_row(outage.outer, traces)
        else replace(outage, kind=OutageKind.BROWN_OUT, why=_FOR_PAGES)
        if outage in waits
        else _explained(outage, spans)
        for outage in outages
    )


_AS_LATE = "in the brown-out after the suspension: the host had been as late since, and answered"
_FOR_PAGES = "soon after the suspension, and unlike in it the host's clock ran on: it waited, it did not stop"


def _is_as_late(outage: Outage, spans: Sequence[tuple[Suspension, Interval]], traces: Sequence[Trace]) -> bool:
    """True for what looks like a suspension in a brown-out, and is no longer than the host was late in it before."""
    if outage.kind is not OutageKind.SUSPENSION or outage.is_proved_by_clock:
        return False
    others = [still for still, _ in spans if outage not in still.witnesses]
    return any(
        span.contains(outage.begin.hi_ns)
        and outage not in still.witnesses
        and outage.length.hi_ns <= _worst_since(still, outage.begin.lo_ns, others, traces)
        for still, span in spans
    )


def _worst_since(still: Suspension, until_ns: int, stills: Sequence[Suspension], traces: Sequence[Trace]) -> int:
    """The host's worst delay between the end of a suspension and a later moment, in nanoseconds: by its kernel's
    answers and by ticks that no other suspension made late. An answer over TCP does not count; it may have waited for
    TCP.
    """
    worst, others = 0, [one.outer.widened(_TICK_WINDOW_NS) for one in stills if one is not still]
    for trace in traces:
        if trace.host == still.host and trace.kind in ("icmp", "ticks"):
            moments, took, _ = _after(still, trace, ())
            over = moments if trace.kind == "ticks" else moments + took
            worst = max(worst, int(took[(over <= until_ns) & ~within(over, others)].max(initial=0)))
    return worst


def _waits_for_pages(spans: Sequence[tuple[Suspension, Interval]], traces: Sequence[Trace]) -> Iterator[Suspension]:
    """Apparent suspensions that were waits for memory pages: in the brown-out after a suspension, or at once after it,
    where the clock stood still in the first and ran on in the second, and no request was lost.
    """
    stood, until = False, 0
    for still, span in sorted(spans, key=lambda one: one[0].begin):
        readings = [one for one in still.clocks if one.clock == "monotonic"]
        ran = bool(readings) and all(one.missed.hi_ns < CLOCK_MISSED_NS for one in readings)
        if stood and ran and still.begin.lo_ns <= until and not loses_in_a_row(still.outer, traces):
            yield still
        elif readings:
            stood, until = any(one.verdict is ClockVerdict.STOPPED for one in readings), 0
        until = max(until, span.hi_ns + _AT_ONCE_NS)


def closed_after(still: Suspension, traces: Sequence[Trace]) -> Outage | None:
    """The break of the network after a suspension: requests were lost on, long after the host ran again.

    A network that was not told the partition's new place, or has not learnt it yet, loses what is sent to it.
    """
    ran_ns = min(still.end.hi_ns, still.begin.hi_ns + still.length.hi_ns)
    for trace in traces:
        if trace.kind != "icmp" or trace.host != still.host:
            continue
        first = int(np.searchsorted(trace.sent, ran_ns))
        answered = np.flatnonzero(trace.answered[first:] != MISSING)
        lost = int(answered[0]) if len(answered) else 0
        if lost < telling_losses(trace) or trace.sent[first + lost - 1] - ran_ns < _CLOSED_NS:
            continue
        begin = Interval(min(still.end.lo_ns, ran_ns), ran_ns)
        end = Interval(int(trace.sent[first + lost - 1]), int(trace.answered[first + lost]))
        length = Interval(end.lo_ns - begin.hi_ns, end.hi_ns - begin.lo_ns)
        why = "requests were lost although the host ran again: the way to it was not yet open"
        return Outage(trace.probe, trace.host, OutageKind.NETWORK, begin, end, length, Method.QUESTIONS, why)
    return None


def _brown_out_of(still: Suspension, slow: Sequence[BrownOut]) -> Interval:
    """The time from the begin of a suspension until its processes ran as before again, at the latest."""
    lasted = [one.since_ns + one.lasted.hi_ns for one in slow if one.of is still and one.kind in ("ticks", "echo")]
    return Interval(still.begin.lo_ns, max([still.end.hi_ns, *lasted]))


_EXPLAINED = (OutageKind.MICRO_STOP, OutageKind.APPLICATION, OutageKind.NETWORK, OutageKind.UNDECIDED)


def _explained(outage: Outage, spans: Sequence[tuple[Suspension, Interval]]) -> Outage:
    for still, span in spans:
        if not span.contains(outage.begin.hi_ns) or outage in still.witnesses:
            continue
        own = outage.is_proved_by_clock
        at_once = still.end.lo_ns <= outage.begin.lo_ns <= still.end.hi_ns + _AT_ONCE_NS
        again = outage.kind is OutageKind.SUSPENSION and at_once and not own
        if outage.kind in _EXPLAINED or (again and still.limp_ns >= MIN_LIMP_NS):
            why = "in the brown-out after the suspension: the host was slow, it did not stop"
            return replace(outage, kind=OutageKind.BROWN_OUT, why=why)
    return outage
