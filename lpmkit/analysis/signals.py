"""From a probe's samples to facts ("the host ran at some instant of …") and silences (where such facts are missing).

Pure functions of arrays. `host_traces` does one host in one recorder's life; clocks are fitted anew in every recorder's life.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.clock_rates import rates
from lpmkit.analysis.clocks import DELIVERY_NS, DRIFT, Alignment, Exchanges, align
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    SESSIONS,
    BoolArray,
    ClockRate,
    ClockReading,
    ClockStep,
    ClockVerdict,
    Interval,
    Method,
    Noise,
    Outage,
    Signals,
    Trace,
)
from lpmkit.analysis.noise import LEAST_ARRIVAL_SILENCE_NS, LEAST_SILENCE_NS, noise_of, stamp_of, tick_lateness
from lpmkit.runs.samples import MISSING, Int64Array

#: Ticks come in batches, about ten a second where the record does not say how many.
TOLD_BATCH_NS = 100 * MILLISECOND
#: A batch may be this late on its way, beyond its own schedule.
_BATCH_LATE_NS = 50 * MILLISECOND
#: Soft edges are never claimed finer than this: a process that is punctual on average is not punctual on demand,
LEAST_LATENESS_NS = 2 * MILLISECOND
#: least of all just after everything in the host was resumed at once.
LEAST_WAKE_NS = 6 * MILLISECOND
#: A guest clock that missed more than this of a silence did not count it.
CLOCK_MISSED_NS = 20 * MILLISECOND
#: Ticks come at a thousand a second at most.
_MOST_IN_A_SECOND = 1500
#: How alike the fastest deliveries before and after a silence are assumed to be, where nothing bounds them.
DELIVERY_CHANGE_NS = 5 * MILLISECOND
#: Ticks and kernel are silent together when this much of the kernel's silence is without a tick.
_SHARED = 0.6


@dataclass(frozen=True, slots=True)
class Break:
    """Where the watched host may have stopped: ``first`` is the first tick after it (−1 without ticks).

    ``window`` lies between the last arrival before and the first after; ``stamped`` says that the ticks' own stamps jump.
    """

    first: int
    window: Interval
    stamped: bool


@dataclass(frozen=True, slots=True)
class HostTraces:
    """What `host_traces` found in one recorder's life."""

    traces: tuple[Trace, ...]
    outages: tuple[Outage, ...]
    steps: tuple[ClockStep, ...]
    offset: Interval | None
    clock: str | None
    alignments: dict[str, Alignment]
    breaks: tuple[Break, ...]
    rates: tuple[ClockRate, ...]
    notes: tuple[str, ...]


# --- clocks and breaks ----------------------------------------------------------------------------------------------


def usable_clocks(signals: Sequence[Signals]) -> list[str]:
    """The guest clocks that ticks and echoes stamp, the better first."""
    stamped = [one for one in signals if one.kind in ("ticks", "echo") and one.spoke.any()]
    return [
        clock
        for clock in ("monotonic", "time of day")
        if any((one.stamp(clock)[one.spoke] != MISSING).mean() > 0.9 for one in stamped)
    ]


def tick_breaks(ticks: Signals, stamp: Int64Array | None, threshold_ns: int) -> list[Break]:
    """Where the stamps jump (or run backwards) or the arrivals pause."""
    arrival = ticks.answered
    usual = np.maximum(LEAST_ARRIVAL_SILENCE_NS + ticks.batch - TOLD_BATCH_NS, 4 * ticks.step)
    paused = np.flatnonzero(np.diff(arrival) > _either(usual)) + 1
    breaks: dict[int, Break] = {}
    taken = set()
    if stamp is not None:
        steps = np.diff(stamp)
        for first in (np.flatnonzero((steps > threshold_ns + 2 * ticks.slower[1:]) | (steps < 0)) + 1).tolist():
            burst = _burst_start(arrival, stamp, first)
            taken.add(burst)
            breaks[first] = Break(first, Interval(int(arrival[burst - 1]), int(arrival[burst])), stamped=True)
    for first in paused.tolist():
        if first not in taken:
            breaks[first] = Break(first, Interval(int(arrival[first - 1]), int(arrival[first])), stamped=False)
    return _apart([breaks[first] for first in sorted(breaks)])


def stopped_clock_breaks(ticks: Signals, alignments: Iterable[Alignment]) -> list[Break]:
    """Where a clock fell back while no tick came for as long and a batch besides: it stood still, and so did the host.

    Its stamps show nothing of that, and a pause of a few batches alone would be too short to count.
    """
    arrival, pauses = ticks.answered, np.diff(ticks.answered)
    found: dict[int, Break] = {}
    for alignment in alignments:
        for at, step in alignment.steps():
            first = max(1, int(np.searchsorted(arrival, at.lo_ns)))
            last = min(len(pauses), int(np.searchsorted(arrival, at.hi_ns)) + 2)
            if step.hi_ns > -CLOCK_MISSED_NS or first >= last:
                continue
            longest = first - 1 + int(np.argmax(pauses[first - 1 : last]))
            usual = int(np.median(pauses[max(0, longest - 200) : longest][pauses[max(0, longest - 200) : longest] > 0]))
            if pauses[longest] >= usual // 2 - step.hi_ns:
                window = Interval(int(arrival[longest]), int(arrival[longest + 1]))
                found[longest + 1] = Break(longest + 1, window, stamped=False)
    return list(found.values())


def _either(values: Int64Array) -> Int64Array:
    """For each gap between two samples the greater of their values: while a pace changes, what still comes by the old one is not late."""
    return np.maximum(values[1:], values[:-1])


def _burst_start(arrival: Int64Array, stamp: Int64Array, first: int) -> int:
    """The first tick of the batch that came when the host ran again: a pending batch was stamped before and came after."""
    since = max(0, first - _MOST_IN_A_SECOND)
    set_back = np.flatnonzero(np.diff(stamp[since:first]) < 0)
    since += int(set_back[-1]) + 1 if len(set_back) else 0  # before that the stamps are in no order with these
    oldest = since + int(np.searchsorted(stamp[since:first], stamp[first - 1] - SECOND))
    pauses = np.diff(arrival[oldest : first + 1])
    return oldest + 1 + int(np.argmax(pauses)) if len(pauses) else first


def asked_breaks(asked: Sequence[Signals], pause_ns: int) -> list[Break]:
    """Without ticks: where no answer of any kind came for longer than ``pause_ns``, and by what the probe that answered last was slower then."""
    arrivals = np.concatenate([one.answered[one.spoke] for one in asked] or [_NONE])
    slower = np.concatenate([one.slower[one.spoke] for one in asked] or [_NONE])
    order = np.argsort(arrivals, kind="stable")
    arrivals, slower = arrivals[order], slower[order]
    firsts = np.flatnonzero(np.diff(arrivals) > pause_ns + _either(slower)) + 1 if len(arrivals) else _NONE
    return _apart([Break(-1, Interval(int(arrivals[i - 1]), int(arrivals[i])), stamped=False) for i in firsts.tolist()])


def _apart(breaks: list[Break]) -> list[Break]:
    """Breaks whose windows do not overlap; where two do, the later one begins where the earlier ends."""
    kept: list[Break] = []
    for one in breaks:
        lo = max(one.window.lo_ns, kept[-1].window.hi_ns) if kept else one.window.lo_ns
        kept.append(Break(one.first, Interval(lo, max(lo, one.window.hi_ns)), one.stamped))
    return kept


def fit(ticks: Signals | None, echo: Sequence[Signals], clock: str, breaks: Sequence[Break]) -> Alignment:
    """Bounds of one guest clock's offset, between the breaks."""
    stamped = [one.picked(one.spoke & (one.stamp(clock) != MISSING)) for one in echo]
    asked = Exchanges(
        np.concatenate([one.sent for one in stamped] or [_NONE]),
        np.concatenate([one.answered for one in stamped] or [_NONE]),
        np.concatenate([one.stamp(clock) for one in stamped] or [_NONE]),
    )
    known = ticks.picked(ticks.stamp(clock) != MISSING) if ticks is not None else None
    arrived, stamp = (known.answered, known.stamp(clock)) if known is not None else (_NONE, _NONE)
    held = 2 * TOLD_BATCH_NS + (int(ticks.batch.max(initial=0)) if ticks is not None else 0)
    return align(asked, arrived, stamp, [one.window for one in breaks], _pending(ticks, breaks), held)


_NONE = np.zeros(0, dtype=np.int64)


def _pending(ticks: Signals | None, breaks: Sequence[Break]) -> list[int]:
    """How long after each break ticks may come that were stamped before it: as long as they were gathered there, and two batches of the usual length."""
    if ticks is None or not len(ticks.batch):
        return [3 * TOLD_BATCH_NS for _ in breaks]
    firsts = [min(max(one.first, 0), len(ticks.batch) - 1) for one in breaks]
    return [2 * TOLD_BATCH_NS + int(ticks.batch[max(0, first - 1) : first + 1].max()) for first in firsts]


def clock_readings(alignments: dict[str, Alignment], breaks: Sequence[Break], over: Outage) -> tuple[ClockReading, ...]:
    """For one silence: how much of it each guest clock missed, by the step of its offset across it."""
    index = next((i for i, one in enumerate(breaks) if one.window.overlaps(over.outer)), None)
    if index is None:
        return ()
    readings = []
    for clock, alignment in alignments.items():
        before = alignment.bounds(over.begin.lo_ns, index)
        after = alignment.bounds(over.end.hi_ns, index + 1)
        if before is None or after is None:
            continue
        missed = Interval(before.lo_ns - after.hi_ns, before.hi_ns - after.lo_ns)
        counted = Interval(over.length.lo_ns - missed.hi_ns, over.length.hi_ns - missed.lo_ns)
        readings.append(ClockReading(clock, counted, missed, _counted(missed, over.length)))
    return tuple(readings)


def _counted(missed: Interval, length: Interval) -> ClockVerdict:
    if missed.contains(0) or abs(missed.middle_ns) < MILLISECOND:
        return ClockVerdict.COUNTED
    if missed.overlaps(length):
        return ClockVerdict.STOPPED
    if missed.hi_ns < 0:
        return ClockVerdict.SET_FORWARD
    if missed.hi_ns >= length.hi_ns:
        return ClockVerdict.SET_BACK
    counted = Interval(length.lo_ns - missed.hi_ns, length.hi_ns - missed.lo_ns)
    capped = counted.widened(MILLISECOND).contains(SECOND) and length.lo_ns > SECOND + 20 * MILLISECOND
    return ClockVerdict.COUNTED_ONE_SECOND if capped else ClockVerdict.COUNTED_PARTLY


# --- facts ----------------------------------------------------------------------------------------------------------


def tick_facts(
    ticks: Signals, stamp: Int64Array | None, alignment: Alignment | None, breaks: Sequence[Break]
) -> tuple[Int64Array, Int64Array]:
    """When each tick was made, as bounds on our clock."""
    arrival = ticks.answered
    if stamp is None or alignment is None:
        return arrival - DELIVERY_NS, arrival.copy()
    lo, hi = arrival - DELIVERY_NS, arrival.copy()
    stretch = np.searchsorted([one.first for one in breaks], np.arange(len(arrival)), side="right")
    for index in range(len(breaks) + 1):
        here = stretch == index
        moments = arrival[here]
        if index < len(breaks):  # a pending batch was stamped before the break and came after it
            moments = np.minimum(moments, breaks[index].window.lo_ns)
        bounds = alignment.at(moments, index) if here.any() else None
        if bounds is not None:
            lo[here] = stamp[here] - bounds[1]
            hi[here] = np.minimum(arrival[here], stamp[here] - bounds[0])
        elif here.any():  # held up between two breaks
            near = alignment.nearest(stamp[here], moments, index)
            lo[here] = np.minimum(lo[here], near[0]) if near is not None else lo[here]
            if near is not None and near[1] is not None:
                lo[here], hi[here] = near[0], np.minimum(arrival[here], near[1])
    return np.minimum(lo, hi), hi


def asked_facts(
    asked: Signals, stamp: Int64Array | None, alignment: Alignment | None, breaks: Sequence[Break]
) -> tuple[Int64Array, Int64Array]:
    """When the host dealt with each answered question: between sent and answered, closer where it stamped its answer."""
    lo, hi = asked.sent.copy(), asked.answered.copy()
    if stamp is None or alignment is None:
        return lo, hi
    known = stamp != MISSING
    begins = np.array([one.window.lo_ns for one in breaks], dtype=np.int64)
    ends = np.array([one.window.hi_ns for one in breaks], dtype=np.int64)
    earliest = np.searchsorted(ends, asked.sent, side="right")
    latest = np.searchsorted(begins, asked.answered, side="left")
    low, high = np.full(len(lo), 2**62), np.full(len(lo), -(2**62))
    for index in range(len(breaks) + 1):
        here = known & (earliest <= index) & (index <= latest)
        bounds = alignment.at(asked.answered[here], index) if here.any() else None
        if bounds is None:
            known &= ~here
            continue
        low[here] = np.minimum(low[here], stamp[here] - bounds[1])
        high[here] = np.maximum(high[here], stamp[here] - bounds[0])
    lo[known] = np.clip(low[known], lo[known], hi[known])
    hi[known] = np.clip(high[known], lo[known], hi[known])
    return lo, hi


# --- silences -------------------------------------------------------------------------------------------------------


def tick_silences(
    ticks: Signals,
    facts: tuple[Int64Array, Int64Array],
    stamp: Int64Array | None,
    late: Int64Array,
    level: Noise,
    two_sided: bool,
    slept_on: bool,
    shared: Sequence[Interval] = (),
) -> list[Outage]:
    """Stretches without a tick, in the host's own stamps: longer than the threshold, or shorter where one of ``shared`` covers them.

    ``slept_on`` says that the timers of the host may not have counted the pause: its first tick then comes up to one period late.
    """
    lo, hi = facts
    gaps = lo[1:] - hi[:-1]
    long, found = gaps > level.threshold_ns + 2 * ticks.slower[1:], []
    for span in shared:
        slowest = int(ticks.step.max(initial=0))
        within_it = Interval(span.lo_ns - slowest, span.hi_ns + slowest)
        first = max(0, int(np.searchsorted(hi, within_it.lo_ns)) - 2)
        last = int(np.searchsorted(hi, within_it.hi_ns)) + 2
        here = slice(first, last)
        common = np.minimum(lo[1:][here], within_it.hi_ns) - np.maximum(hi[:-1][here], within_it.lo_ns)
        long[here] |= common > max(LEAST_SILENCE_NS, int(_SHARED * span.length_ns))
    silent = np.flatnonzero(long)
    for last in silent.tolist():
        first = last + 1
        due = int(ticks.remote_due[last])
        to_slot = due - int(stamp[last]) if stamp is not None and stamp is ticks.mono and due != MISSING else 0
        before, wake = _local_noise(late, first, level)
        step = int(ticks.step[first])
        wake += step if slept_on else 0
        slot = int(hi[last]) + to_slot + step
        begin = Interval(int(lo[last]), max(int(hi[last]), slot + before))
        end = Interval(int(lo[first]) - wake, int(hi[first]))
        most = end.hi_ns - begin.lo_ns
        if stamp is not None and not two_sided:
            middle = (int(lo[first]) + int(hi[first]) - int(lo[last]) - int(hi[last])) // 2
            most = min(most, int(middle * (1 + DRIFT)) + DELIVERY_CHANGE_NS)
        least = max(0, end.lo_ns - begin.hi_ns)
        if stamp is None:
            least = max(0, least - DELIVERY_NS)
        found.append(
            Outage(ticks.probe, ticks.host, None, begin, end, Interval(min(least, most), most), Method.TICK_STAMPS)
        )
    return found


def _local_noise(late: Int64Array, first: int, level: Noise) -> tuple[int, int]:
    """Allowed lateness of the tick that did not come, and of the first one after: from the lead-in and from what is near.

    What is longer than the threshold is a silence of its own and says nothing of lateness.
    """
    near = late[max(1, first - 200) : first]
    after = late[first + 1 : first + 31]
    near, after = near[near < level.threshold_ns], after[after < level.threshold_ns]
    before = max(LEAST_LATENESS_NS, level.quantile_ns, int(near.max(initial=0)))
    wake = max(LEAST_WAKE_NS, before, 2 * int(after.max(initial=0)))
    limit = level.threshold_ns
    return min(before, limit), min(wake, limit)


def frozen_silences(
    ticks: Signals,
    facts: tuple[Int64Array, Int64Array],
    stamp: Int64Array,
    alignment: Alignment,
    breaks: Sequence[Break],
) -> tuple[list[Outage], BoolArray]:
    """Silences that the guest clock did not count at all: its stamps run on, its offset jumps.

    The jump is a hard bound of the length from below; above it the clock may have counted what lies between two ticks, which their stamps show.
    Returns also which facts cannot be placed before or after the jump.
    """
    lo, hi = facts
    found, doubtful, numbers = [], np.zeros(len(lo), dtype=np.bool_), np.arange(len(lo))
    for index, one in enumerate(breaks):
        before = alignment.bounds(one.window.lo_ns, index)
        after = alignment.bounds(one.window.hi_ns, index + 1)
        if one.stamped or before is None or after is None:
            continue
        missed = Interval(before.lo_ns - after.hi_ns, before.hi_ns - after.lo_ns)
        if missed.lo_ns < CLOCK_MISSED_NS:
            continue
        last, resumed = int(lo[one.first - 1]), one.window.hi_ns
        pending = (numbers >= one.first) & (lo < resumed)
        near = stamp[one.first - 1 : one.first + int(pending.sum()) + 2]
        length = Interval(missed.lo_ns, missed.hi_ns + int(np.diff(near).max(initial=0)))
        begin = Interval(last, max(last, resumed - length.lo_ns))
        end = Interval(min(resumed, last + length.lo_ns), resumed)
        found.append(Outage(ticks.probe, ticks.host, None, begin, end, length, Method.CLOCK_JUMP))
        doubtful |= pending
        lo[pending] = np.maximum(stamp[pending] - before.hi_ns, last)
        hi[pending] = np.maximum(ticks.answered[pending], lo[pending])
    return found, doubtful


def arrival_silences(
    ticks: Signals, facts: tuple[Int64Array, Int64Array], breaks: Sequence[Break], silences: Sequence[Outage]
) -> list[Outage]:
    """Pauses in the arrival of ticks while the ticks' stamps show that the host ran on."""
    found = []
    for one in breaks:
        if one.stamped or any(silence.outer.overlaps(one.window) for silence in silences):
            continue
        last = min(int(facts[0][one.first - 1]), one.window.lo_ns)
        late = int(ticks.batch[one.first]) + _BATCH_LATE_NS
        begin = Interval(last, one.window.lo_ns + late)
        end = Interval(max(begin.hi_ns, one.window.hi_ns - late), one.window.hi_ns)
        length = Interval(end.lo_ns - begin.hi_ns, end.hi_ns - begin.lo_ns)
        found.append(Outage(ticks.probe, ticks.host, None, begin, end, length, Method.TICK_ARRIVALS))
    return found


def late_questions(asked: Signals, threshold_ns: int) -> BoolArray:
    """Which questions were not answered in time, or not at all."""
    took = np.where(asked.spoke, asked.answered - asked.sent, 2**62)
    return np.asarray(took > threshold_ns)


def asked_silences(asked: Signals, facts: tuple[Int64Array, Int64Array], late: BoolArray, level: Noise) -> list[Outage]:
    """Runs of questions that were not answered in time, as silences."""
    found = []
    for first, last in _runs(late):
        silence = _one_asked_silence(asked, facts, first, last, level)
        # a lost request is no silence while the ones beside it were answered
        if silence is not None and (asked.kind != "icmp" or silence.outer.length_ns > level.threshold_ns):
            found.append(silence)
    return found


def _runs(flags: BoolArray) -> list[tuple[int, int]]:
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def _one_asked_silence(
    asked: Signals, facts: tuple[Int64Array, Int64Array], first: int, last: int, level: Noise
) -> Outage | None:
    lo, hi = facts
    answers = hi[first : last + 1][asked.spoke[first : last + 1]]
    after = hi[last + 1 : last + 2]
    if first == 0 or (len(answers) == 0 and len(after) == 0):
        return None  # it had not yet spoken, or never spoke again: nothing bounds that side
    usual = max(level.quantile_ns, LEAST_LATENESS_NS)
    resumed = int(min([*answers.tolist(), *after.tolist()]))
    begin_lo = int(lo[:first][asked.spoke[:first]].max(initial=-(2**62)))
    begin = Interval(min(begin_lo, resumed), min(resumed, max(begin_lo, int(asked.sent[first]) + usual)))
    least_end = _least_end(asked, begin.hi_ns, resumed, last, usual)
    end = Interval(min(resumed, least_end), resumed)
    length = Interval(max(0, end.lo_ns - begin.hi_ns), end.hi_ns - begin.lo_ns)
    return Outage(asked.probe, asked.host, None, begin, end, length, Method.QUESTIONS)


def _least_end(asked: Signals, begin_ns: int, resumed_ns: int, last: int, usual_ns: int) -> int:
    """The earliest moment at which the host may have run again.

    A new connection is its own question: the last one that was late was sent before. On a session TCP may have waited before it sent again; it
    doubles its pauses, so at least about half of the silence was real.
    """
    if asked.kind in SESSIONS:
        return begin_ns + max(0, (resumed_ns - begin_ns - 200 * MILLISECOND) // 2)
    return max(begin_ns, min(int(asked.sent[last]), resumed_ns) - usual_ns)


# --- one host -------------------------------------------------------------------------------------------------------


def host_traces(
    host: str,
    signals: Sequence[Signals],
    lead_in: Interval,
    stalls: Sequence[Interval],
    known: dict[str, Noise],
) -> HostTraces:
    """Facts, silences and clock findings for one host in one recorder's life. ``known`` keeps the noise of earlier ones."""
    ticks = next((one for one in signals if one.kind == "ticks" and len(one.answered) > 1), None)
    asked = [one for one in signals if one.kind != "ticks" and len(one.sent)]
    echo = [one for one in asked if one.kind == "echo"]
    clocks = usable_clocks(signals)
    for one in signals:
        if one.probe not in known:
            known[one.probe] = noise_of(one, clocks, lead_in, stalls)
    breaks, clock, alignments = _clocks(ticks, asked, echo, clocks, known)
    alignment = alignments.get(clock) if clock else None
    traces: list[Trace] = []
    outages: list[Outage] = []
    notes: list[str] = []
    by_kernel = [
        silence.outer
        for one in asked
        if one.kind == "icmp"
        for silence in asked_silences(
            one, (one.sent, one.answered), late_questions(one, known[one.probe].threshold_ns), known[one.probe]
        )
    ]
    if ticks is not None:
        stamp = stamp_of(ticks, clock)
        facts = tick_facts(ticks, stamp, alignment, breaks)
        frozen: list[Outage] = []
        doubtful = np.zeros(len(ticks.answered), dtype=np.bool_)
        if stamp is not None and alignment is not None:
            frozen, doubtful = frozen_silences(ticks, facts, stamp, alignment, breaks)
        sure = ticks.picked(~doubtful)
        sure_facts = (facts[0][~doubtful], facts[1][~doubtful])
        late = tick_lateness(sure, clock if stamp is not None else None)
        found = tick_silences(
            sure,
            sure_facts,
            stamp_of(sure, clock),
            late,
            known[ticks.probe],
            bool(echo),
            _slept_on(clock, breaks, alignments),
            by_kernel,
        )
        found = [one for one in found if not any(one.outer.overlaps(other.outer) for other in frozen)] + frozen
        outages += found + arrival_silences(ticks, facts, breaks, found)
        never = np.zeros(len(sure.answered), dtype=np.bool_)
        traces.append(_trace(sure, sure_facts, never, late, known[ticks.probe]))
    for one in asked:
        stamp = stamp_of(one, clock)
        facts = asked_facts(one, stamp, alignment, breaks)
        late_ones = late_questions(one, known[one.probe].threshold_ns)
        outages += asked_silences(one, facts, late_ones, known[one.probe])
        took = np.where(one.spoke, one.answered - one.sent, MISSING)
        traces.append(_trace(one, facts, late_ones, took, known[one.probe]))
    if clock is None and signals:
        notes.append("the host stamped nothing: its signs of life are placed by their arrival alone")
    elif not echo:
        notes.append(
            f"no echo: the clock offset is bounded on one side only, the other assumes that the fastest tick took at most {DELIVERY_NS // MILLISECOND} ms"
        )
    running = [rate for name, one in alignments.items() for rate in rates(host, name, one)]
    return HostTraces(
        traces=tuple(traces),
        outages=tuple(sorted(outages, key=lambda one: one.begin)),
        steps=tuple(_steps(host, alignments)),
        offset=alignment.bounds(lead_in.hi_ns, 0) if alignment else None,
        clock=clock,
        alignments=alignments,
        breaks=tuple(breaks),
        rates=tuple(running),
        notes=tuple(notes),
    )


def _clocks(
    ticks: Signals | None,
    asked: Sequence[Signals],
    echo: Sequence[Signals],
    clocks: Sequence[str],
    known: dict[str, Noise],
) -> tuple[list[Break], str | None, dict[str, Alignment]]:
    """The guest clock to trust: the monotonic one, unless it missed a silence that the time of day counted, and nobody set that."""
    fits: dict[str, tuple[list[Break], dict[str, Alignment]]] = {}
    for clock in clocks:
        breaks = _breaks(ticks, asked, clock, known)
        found = {name: fit(ticks, echo, name, breaks) for name in clocks}
        stopped = stopped_clock_breaks(ticks, found.values()) if ticks is not None else []
        if stopped:
            breaks = _apart(sorted([*breaks, *stopped], key=lambda one: one.first))
            found = {name: fit(ticks, echo, name, breaks) for name in clocks}
        fits[clock] = breaks, found
    if not fits:
        return _breaks(ticks, asked, None, known), None, {}
    chosen = clocks[0]
    if len(clocks) == 2 and _missed(*fits[chosen], chosen) and not _is_unsteady(*fits[clocks[1]], clocks[1]):
        chosen = clocks[1]
    return fits[chosen][0], chosen, fits[chosen][1]


def _breaks(ticks: Signals | None, asked: Sequence[Signals], clock: str | None, known: dict[str, Noise]) -> list[Break]:
    if ticks is not None:
        return tick_breaks(ticks, stamp_of(ticks, clock), known[ticks.probe].threshold_ns)
    pause = max([known[one.probe].threshold_ns + one.interval_ns for one in asked], default=SECOND)
    return asked_breaks(asked, pause)


def _slept_on(clock: str | None, breaks: Sequence[Break], alignments: dict[str, Alignment]) -> bool:
    """Whether the host's timers may have slept on after a pause: they run on its monotonic clock, which did not count it all."""
    return clock != "monotonic" or _missed(breaks, alignments, clock)


def _missed(breaks: Sequence[Break], alignments: dict[str, Alignment], clock: str) -> bool:
    for index, one in enumerate(breaks):
        before = alignments[clock].bounds(one.window.lo_ns, index)
        after = alignments[clock].bounds(one.window.hi_ns, index + 1)
        if before and after and before.lo_ns - after.hi_ns > CLOCK_MISSED_NS:
            return True
    return False


def _is_unsteady(breaks: Sequence[Break], alignments: dict[str, Alignment], clock: str) -> bool:
    """Whether a clock missed a part of a silence, or was set: over a silence or while the host ran. Its stamps then show gaps that were none."""
    if _missed(breaks, alignments, clock):
        return True
    for index, one in enumerate(breaks):
        before = alignments[clock].bounds(one.window.lo_ns, index)
        after = alignments[clock].bounds(one.window.hi_ns, index + 1)
        if before and after and before.hi_ns - after.lo_ns < -CLOCK_MISSED_NS:
            return True
    steps = alignments[clock].steps()
    return any(step.lo_ns > CLOCK_MISSED_NS or step.hi_ns < -CLOCK_MISSED_NS for _, step in steps)


def _steps(host: str, alignments: dict[str, Alignment]) -> list[ClockStep]:
    return [
        ClockStep(
            host,
            clock,
            at,
            step,
            f"set {'forward' if step.lo_ns > 0 else 'back'} while the host ran (nothing was silent)",
        )
        for clock, alignment in alignments.items()
        for at, step in alignment.steps()
        if step.lo_ns > MILLISECOND or step.hi_ns < -MILLISECOND
    ]


def _trace(
    signals: Signals, facts: tuple[Int64Array, Int64Array], late: BoolArray, took: Int64Array, level: Noise
) -> Trace:
    spoke = signals.spoke
    times = np.concatenate([signals.answered[spoke], signals.sent[signals.sent != MISSING]])
    return Trace(
        probe=signals.probe,
        host=signals.host,
        kind=signals.kind,
        segment=signals.segment,
        interval_ns=signals.interval_ns,
        span=Interval(int(times.min(initial=2**62)), int(times.max(initial=-(2**62)))),
        alive_lo=facts[0][spoke],
        alive_hi=facts[1][spoke],
        sent=signals.sent,
        answered=signals.answered,
        late=late,
        took=took,
        noise=level,
        signs=int(spoke.sum()),
        paces=_paces(signals),
    )


def _paces(signals: Signals) -> tuple[tuple[int, int], ...]:
    """Since when which interval was kept, on our clock: by when the first sample of it was sent, or came."""
    if not len(signals.step):
        return ()
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(signals.step) != 0]))
    moments = np.where(signals.sent == MISSING, signals.answered, signals.sent)
    return tuple((int(moments[first]), int(signals.step[first])) for first in firsts)
