"""Breaks: places where a host's clocks or its answers paused, and the clock alignments on either side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.clocks import Alignment, Exchanges, align
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    ClockReading,
    ClockVerdict,
    Interval,
    Signals,
)
from lpmkit.analysis.noise import HOUR, MIN_ARRIVAL_SILENCE_NS, extreme, worst_of_seconds
from lpmkit.runs.cells import MISSING, Int64Array

#: Ticks come in batches, about ten a second where the record does not have their number.
TOLD_BATCH_NS = 100 * MILLISECOND


#: A batch may be this late on its way, beyond its own schedule.
BATCH_LATE_NS = 50 * MILLISECOND


#: A guest clock that missed more than this of a silence did not count it.
CLOCK_MISSED_NS = 20 * MILLISECOND
#: A clock that counted a second of a silence and no more is recognised where what it counted is known this closely.
_CAPPED_WITHIN_NS = 200 * MILLISECOND
#: The fastest of some ticks is no later than this on its way, beyond what an exchange shows.
_TICK_DELIVERY_NS = 2 * MILLISECOND
#: A clock's offset after a suspension is looked for up to so much later: 600 millionths of drift are 3 ms then.
_SETTLED_NS = 5 * SECOND


#: The most pauses, one soon after the other, in which a clock that fell back once may have been stopped.
_STOPS_AT_ONCE = 3


#: Ticks come at a thousand a second at most.
_MAX_IN_A_SECOND = 1500


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the watched host may have stopped: ``first`` is the first tick after it (−1 without ticks).

    ``window`` lies between the last arrival before and the first after; ``stamped`` is true where the ticks' own stamps
    jump.
    """

    first: int
    window: Interval
    stamped: bool


def usable_clocks(signals: Sequence[Signals]) -> list[str]:
    """The guest clocks that ticks and echoes stamp, the better first."""
    stamped = [signal for signal in signals if signal.kind in ("ticks", "echo") and signal.spoke.any()]
    return [
        clock
        for clock in ("monotonic", "time of day")
        if any((one.stamp(clock)[one.spoke] != MISSING).mean() > 0.9 for one in stamped)
    ]


def tick_breaks(ticks: Signals, stamp: Int64Array | None, threshold_ns: int) -> list[Break]:
    """Places where the stamps jump (or run backwards) or the arrivals pause."""
    arrival = ticks.answered
    usual = np.maximum(MIN_ARRIVAL_SILENCE_NS + ticks.batch - TOLD_BATCH_NS, 4 * ticks.step)
    usual = np.maximum(usual, _usual_pause(arrival))
    paused = np.flatnonzero(np.diff(arrival) > _either(usual)) + 1
    breaks: dict[int, Break] = {}
    taken = set()
    if stamp is not None:
        steps = np.diff(stamp)
        for first in (np.flatnonzero((steps > threshold_ns + 2 * ticks.slower[1:]) | (steps < 0)) + 1).tolist():
            burst = _burst_start(arrival, stamp, first)
            if came_as_made(arrival, stamp, burst, first):
                burst = first  # the host had run on before its clock was set
            taken.add(burst)
            breaks[first] = Break(first, Interval(int(arrival[burst - 1]), int(arrival[burst])), stamped=True)
    for first in paused.tolist():
        if first not in taken:
            breaks[first] = Break(first, Interval(int(arrival[first - 1]), int(arrival[first])), stamped=False)
    return apart([breaks[first] for first in sorted(breaks)])


def _usual_pause(arrival: Int64Array) -> int:
    """The pause between batches that this host's own noise explains."""
    worst = worst_of_seconds(arrival[1:], np.diff(arrival))[1]
    return extreme(worst[worst > 0], HOUR) or 0


def stopped_clock_breaks(ticks: Signals, alignments: Iterable[Alignment]) -> list[Break]:
    """Pauses that a guest clock did not count: it stepped back by as long as no tick arrived, and a batch besides.

    Its stamps show nothing of that, and a pause of a few batches alone would be too short to count.
    """
    arrival, pauses = ticks.answered, np.diff(ticks.answered)
    found: dict[int, Break] = {}
    for alignment in alignments:
        for at, step, _ in alignment.steps():
            first = max(1, int(np.searchsorted(arrival, at.lo_ns)))
            last = min(len(pauses), int(np.searchsorted(arrival, at.hi_ns)) + 2)
            if step.hi_ns > -CLOCK_MISSED_NS or first >= last:
                continue
            before = pauses[max(0, first - 201) : first - 1]
            usual = int(np.median(before[before > 0])) if (before > 0).any() else 0
            long = first - 1 + np.flatnonzero(pauses[first - 1 : last] >= usual // 2 - step.hi_ns)
            if len(long):  # any of them may be the one
                window = Interval(int(arrival[long[0]]), int(arrival[long[-1] + 1]))
                found[int(long[0]) + 1] = Break(int(long[0]) + 1, window, stamped=False)
                continue
            stops, left = [], -step.hi_ns
            for pause in (np.argsort(pauses[first - 1 : last])[::-1] + first - 1)[:_STOPS_AT_ONCE].tolist():
                stops.append(pause)
                left -= int(pauses[pause]) - usual // 2
                if left <= 0 or pauses[pause] < usual // 2 + CLOCK_MISSED_NS:
                    break
            if left <= 0:
                for pause in stops:
                    window = Interval(int(arrival[pause]), int(arrival[pause + 1]))
                    found[pause + 1] = Break(pause + 1, window, stamped=False)
    return list(found.values())


def _either(values: Int64Array) -> Int64Array:
    """The greater value of the two samples of each gap: while a pace changes, what still comes by the old one is not
    late.
    """
    return np.maximum(values[1:], values[:-1])


def _burst_start(arrival: Int64Array, stamp: Int64Array, first: int) -> int:
    """The first tick of the batch that came when the host ran again: a pending batch was stamped before and came
    after.
    """
    since = max(0, first - _MAX_IN_A_SECOND)
    set_back = np.flatnonzero(np.diff(stamp[since:first]) < 0)
    since += int(set_back[-1]) + 1 if len(set_back) else 0  # before that the stamps are in no order with these
    oldest = since + int(np.searchsorted(stamp[since:first], stamp[first - 1] - SECOND))
    pauses = np.diff(arrival[oldest : first + 1])
    return oldest + 1 + int(np.argmax(pauses)) if len(pauses) else first


def came_as_made(arrival: Int64Array, stamp: Int64Array, burst: int, first: int) -> bool:
    """True where the ticks between two came at the pace at which they were stamped: a pending batch comes at once."""
    if burst >= first:
        return False
    made, came = int(stamp[first - 1] - stamp[burst]), int(arrival[first - 1] - arrival[burst])
    return made > TOLD_BATCH_NS and 2 * came > made


def mixed_from(ticks: Signals, stamp: Int64Array, one: Break) -> int | None:
    """The first tick of a burst that holds more than a batch before its stamps jump, `None` where it does not.

    Some of these were made before the break and some after it: a host that limps is late once more soon after its
    resume.
    """
    if not one.stamped:
        return None
    burst = int(np.searchsorted(ticks.answered[: one.first], one.window.hi_ns))
    if burst >= one.first:
        return None
    held = int(ticks.batch[burst]) + BATCH_LATE_NS
    return burst if int(stamp[one.first - 1] - stamp[burst]) > held else None


def asked_breaks(asked: Sequence[Signals], pause_ns: int) -> list[Break]:
    """Breaks without ticks: where no answer of any kind came for longer than ``pause_ns``, and by what the probe that
    answered last was slower then.
    """
    arrivals = np.concatenate([one.answered[one.spoke] for one in asked] or [_NONE])
    slower = np.concatenate([one.slower[one.spoke] for one in asked] or [_NONE])
    order = np.argsort(arrivals, kind="stable")
    arrivals, slower = arrivals[order], slower[order]
    firsts = np.flatnonzero(np.diff(arrivals) > pause_ns + _either(slower)) + 1 if len(arrivals) else _NONE
    return apart([Break(-1, Interval(int(arrivals[i - 1]), int(arrivals[i])), stamped=False) for i in firsts.tolist()])


def apart(breaks: list[Break]) -> list[Break]:
    """Breaks whose windows do not overlap; where two do, the later one begins where the earlier ends."""
    kept: list[Break] = []
    for gap in breaks:
        lo = max(gap.window.lo_ns, kept[-1].window.hi_ns) if kept else gap.window.lo_ns
        kept.append(Break(gap.first, Interval(lo, max(lo, gap.window.hi_ns)), gap.stamped))
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
    return align(asked, arrived, stamp, [gap.window for gap in breaks], _pending(ticks, breaks), held)


_NONE = np.zeros(0, dtype=np.int64)


def _pending(ticks: Signals | None, breaks: Sequence[Break]) -> list[int]:
    """Time after each break in which ticks may come that were stamped before it: as long as they were gathered there,
    and two batches of the usual length.
    """
    if ticks is None or not len(ticks.batch):
        return [3 * TOLD_BATCH_NS for _ in breaks]
    firsts = [min(max(gap.first, 0), len(ticks.batch) - 1) for gap in breaks]
    return [2 * TOLD_BATCH_NS + int(ticks.batch[max(0, first - 1) : first + 1].max()) for first in firsts]


def clock_readings(
    alignments: dict[str, Alignment], breaks: Sequence[Break], over: Interval, length: Interval
) -> tuple[ClockReading, ...]:
    """The time that each guest clock missed of one suspension within ``over``, of ``length``, by the step of its offset
    across it.
    """
    crossed = [index for index, one in enumerate(breaks) if one.window.overlaps(over)]
    earlier = sum(one.window.hi_ns < over.lo_ns for one in breaks)
    first, last = (crossed[0], crossed[-1] + 1) if crossed else (earlier, earlier)
    readings = []
    for clock, alignment in alignments.items():
        before = unsettled(alignment, breaks, over.lo_ns, first)
        after = settled(alignment, breaks, over.hi_ns, last) if crossed else alignment.bounds(over.hi_ns, last)
        if before is None or after is None:
            continue
        missed = Interval(before.lo_ns - after.hi_ns, before.hi_ns - after.lo_ns)
        counted = Interval(length.lo_ns - missed.hi_ns, length.hi_ns - missed.lo_ns)
        doubts_ns = before.length_ns, after.length_ns
        readings.append(ClockReading(clock, counted, missed, _counted(missed, length), doubts_ns))
    return tuple(readings)


def settled(alignment: Alignment, breaks: Sequence[Break], moment_ns: int, stretch: int) -> Interval | None:
    """The offset after a suspension: of the first stretch that bounds it soon after, as processes that come late make
    breaks of their own.
    """
    for index in range(stretch, len(breaks) + 1):
        since_ns = max(moment_ns, breaks[index - 1].window.hi_ns)
        if since_ns > moment_ns + _SETTLED_NS:
            return None
        if (bounds := alignment.bounds(since_ns, index)) is not None:
            return _stopped_again(alignment, breaks, moment_ns, stretch, index, bounds) or bounds
    return None


def unsettled(alignment: Alignment, breaks: Sequence[Break], moment_ns: int, stretch: int) -> Interval | None:
    """The offset before a suspension: of the stretch before it, and where nothing bounds that one closely, because the
    host had stopped just before, by what came in it and by what the next one that is bounded allows.
    """
    if (bounds := alignment.bounds(moment_ns, stretch)) is not None or not stretch:
        return bounds
    for index in range(stretch + 1, len(breaks) + 1):
        if (bounds := alignment.bounds(breaks[index - 1].window.hi_ns, index)) is not None:
            return _stopped_again(alignment, breaks, moment_ns, stretch, index, bounds)
    return None


def _stopped_again(
    alignment: Alignment, breaks: Sequence[Break], moment_ns: int, stretch: int, bounded: int, bounds: Interval
) -> Interval | None:
    """The offset in a stretch that only ticks bound, from below, where the clock stood still once more before the
    stretch that is bounded: it missed no more than the breaks between the two lasted. ``None`` where it did not.
    """
    for index in range(stretch, bounded):
        least = alignment.at_least(moment_ns, index)
        if least is not None and least > bounds.hi_ns + _TICK_DELIVERY_NS:
            return Interval(least, bounds.hi_ns + sum(one.window.length_ns for one in breaks[index:bounded]))
    return None


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
    # bounds that are hundreds of milliseconds apart hold a whole second by chance
    capped = counted.widened(MILLISECOND).contains(SECOND) and counted.length_ns <= _CAPPED_WITHIN_NS
    capped &= length.lo_ns > SECOND + 20 * MILLISECOND
    return ClockVerdict.COUNTED_ONE_SECOND if capped else ClockVerdict.COUNTED_PARTLY
