"""Silences: gaps in ticks, arrivals and answers, with guaranteed bounds and inner edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lpmkit.analysis.breaks import (
    BATCH_LATE_NS,
    CLOCK_MISSED_NS,
    TOLD_BATCH_NS,
    Break,
    mixed_from,
    settled,
    unsettled,
)
from lpmkit.analysis.clocks import DELIVERY_NS, DRIFT, Alignment
from lpmkit.analysis.model import (
    MILLISECOND,
    SESSIONS,
    BoolArray,
    Interval,
    Method,
    Noise,
    Outage,
    Signals,
)
from lpmkit.analysis.noise import MIN_SILENCE_NS
from lpmkit.runs.cells import MISSING, Int64Array

#: Soft edges are never claimed finer than this: a process that is punctual on average is not punctual on demand,
MIN_LATENESS_NS = 2 * MILLISECOND


#: least of all just after everything in the host was resumed at once.
MIN_WAKE_NS = 6 * MILLISECOND


#: The assumed difference of the fastest deliveries before and after a silence, where nothing bounds it.
DELIVERY_CHANGE_NS = 5 * MILLISECOND


#: The last ticks of so many batches show what a clock missed: each is sent as soon as it is made.
_BATCHES_TELL = 3


#: Ticks on either side of a jump of their stamps, of which the fastest was hardly under way.
_NEAR = 50


#: Ticks and kernel are silent together when this much of the kernel's silence is without a tick.
_SHARED = 0.6


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
    """Stretches without a tick, in the host's own stamps: longer than the threshold, or shorter where one of ``shared``
    covers them.

    ``slept_on``: the timers of the host may not have counted the pause: its first tick then comes up to one period
    late.
    """
    lo, hi = facts
    gaps = lo[1:] - hi[:-1]
    long, silences = gaps > level.threshold_ns + 2 * ticks.slower[1:], []
    for span in shared:
        slowest = int(ticks.step.max(initial=0))
        within_it = Interval(span.lo_ns - slowest, span.hi_ns + slowest)
        first = max(0, int(np.searchsorted(hi, within_it.lo_ns)) - 2)
        last = int(np.searchsorted(hi, within_it.hi_ns)) + 2
        here = slice(first, last)
        common = np.minimum(lo[1:][here], within_it.hi_ns) - np.maximum(hi[:-1][here], within_it.lo_ns)
        missed_one = gaps[here] > ticks.step[1:][here] + MIN_LATENESS_NS
        long[here] |= missed_one & (common > max(MIN_SILENCE_NS, int(_SHARED * span.length_ns)))
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
        silences.append(
            Outage(ticks.probe, ticks.host, None, begin, end, Interval(min(least, most), most), Method.TICK_STAMPS)
        )
    return silences


def _local_noise(late: Int64Array, first: int, level: Noise) -> tuple[int, int]:
    """Allowed lateness of the tick that did not come, and of the first one after: from the lead-in and from what is
    near.

    A gap longer than the threshold is a silence of its own and no sample of lateness.
    """
    near = late[max(1, first - 200) : first]
    after = late[first + 1 : first + 31]
    near, after = near[near < level.threshold_ns], after[after < level.threshold_ns]
    before = max(MIN_LATENESS_NS, level.quantile_ns, int(near.max(initial=0)))
    wake = max(MIN_WAKE_NS, before, 2 * int(after.max(initial=0)))
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

    The jump is a hard bound of the length from below; above it the clock may have counted what lies between two ticks,
    which their stamps show. Returns also which facts cannot be placed before or after the jump.
    """
    lo, hi = facts
    silences, doubtful, numbers = [], np.zeros(len(lo), dtype=np.bool_), np.arange(len(lo))
    for index, one in enumerate(breaks):
        before = unsettled(alignment, breaks, one.window.lo_ns, index)
        after = settled(alignment, breaks, one.window.hi_ns, index + 1)
        mixed = mixed_from(ticks, stamp, one)
        if (one.stamped and mixed is None) or before is None or after is None:
            continue
        missed = Interval(before.lo_ns - after.hi_ns, before.hi_ns - after.lo_ns)
        if missed.lo_ns < CLOCK_MISSED_NS:
            continue
        first = one.first if mixed is None else mixed
        last, resumed = int(lo[first - 1]), one.window.hi_ns
        pending = (numbers >= first) & (lo < resumed)
        if mixed is not None:
            pending |= (numbers >= first) & (ticks.answered <= resumed + 3 * TOLD_BATCH_NS)
        near = stamp[first - 1 : first + int(pending.sum()) + 2]
        length = Interval(missed.lo_ns, missed.hi_ns + int(np.diff(near).max(initial=0)))
        begin = Interval(last, max(last, resumed - length.lo_ns))
        end = Interval(min(resumed, last + length.lo_ns), resumed)
        silences.append(Outage(ticks.probe, ticks.host, None, begin, end, length, Method.CLOCK_JUMP))
        doubtful |= pending
        lo[pending] = np.maximum(stamp[pending] - before.hi_ns, last)
        hi[pending] = np.maximum(ticks.answered[pending], lo[pending])
    return silences, doubtful


def silences_set_on(
    ticks: Signals, facts: tuple[Int64Array, Int64Array], stamp: Int64Array, breaks: Sequence[Break], level: Noise
) -> tuple[list[Outage], BoolArray]:
    """Silences that a clock did not count, and was set on by soon after: its offset is the same before and after.

    The ticks in between came one after the other, each as long after its stamp as the stamps jump then, and what
    followed came at once: no host that was stopped there sends any. Returns also which facts cannot be placed.
    """
    lo, _ = facts
    silences, doubtful = [], np.zeros(len(lo), dtype=np.bool_)
    for next_one in (gap.first for gap in breaks if gap.stamped):
        lag = ticks.answered - stamp
        jump, under_way = int(stamp[next_one] - stamp[next_one - 1]), lag - lag[next_one : next_one + _NEAR].min()
        prompt = np.flatnonzero(under_way[:next_one] < jump - CLOCK_MISSED_NS)
        if jump < MIN_SILENCE_NS or not len(prompt) or prompt[-1] + 1 >= next_one:
            continue
        first = int(prompt[-1]) + 1
        late = int(ticks.batch[next_one]) + BATCH_LATE_NS
        was_as_now = abs(under_way[max(0, first - _NEAR) : first].min()) < CLOCK_MISSED_NS
        is_set_on = was_as_now and under_way[next_one] <= late
        ends = _batch_ends(ticks.answered, first, next_one)
        if not is_set_on or not _came_in_step(ticks.answered, stamp, ends):
            continue
        last, resumed = int(lo[first - 1]), int(ticks.answered[first])
        # What it missed is what its stamps lag behind; by how much it was set on is somebody's choice.
        missed = int(lag[first:next_one].min() - lag[max(0, first - _NEAR) : first].min())
        least = max(0, min(missed, jump - int(ticks.step[next_one]) - level.quantile_ns - MIN_WAKE_NS))
        length = Interval(max(0, least - DELIVERY_CHANGE_NS), missed + DELIVERY_CHANGE_NS)
        best = missed if len(ends) >= _BATCHES_TELL else max(least, min(missed, jump) - int(ticks.step[next_one]))
        begin = Interval(last, max(last, resumed - length.lo_ns))
        end = Interval(min(resumed, last + length.lo_ns), resumed)
        silences.append(
            Outage(ticks.probe, ticks.host, None, begin, end, length, Method.CLOCK_JUMP, set_on=length, missed_ns=best)
        )
        doubtful[first:next_one] = True
    return silences, doubtful


def _batch_ends(arrival: Int64Array, first: int, until: int) -> Int64Array:
    """The last tick of each batch among those from ``first`` to before ``until``."""
    ends = np.flatnonzero(np.diff(arrival[first:until]) > 0) + first
    return np.append(ends, until - 1)


def _came_in_step(arrival: Int64Array, stamp: Int64Array, ends: Int64Array) -> bool:
    """True where batches came one after the other as they were stamped: what was pending comes at once, however many
    batches it is.
    """
    made, came = (int(of[ends[-1]] - of[ends[0]]) for of in (stamp, arrival))
    return made > BATCH_LATE_NS and 3 * came > made


def clock_set_between(
    silences: Sequence[Outage], ticks: Signals, facts: tuple[Int64Array, Int64Array]
) -> tuple[list[Outage], Int64Array]:
    """The same silences of ticks, where two with no arrival between them may be one, after which the clock was set on;
    and the latest instants of the ticks.

    A clock that missed a suspension, and was set on by what it missed while nothing came through, shows two silences:
    one until the processes run, and one where it was set. Its offset is the same before and after, and what was made
    in between is stamped too early: by no more than the second silence, and no more than it was under way.
    """
    widened, (lo, hi) = list(silences), facts
    latest = hi.copy()
    for at, (one, other) in enumerate(pairwise(silences)):
        first, last = np.searchsorted(hi, one.end.hi_ns), np.searchsorted(lo, other.begin.lo_ns, side="right")
        if first >= last or ticks.answered[first] < other.end.lo_ns:
            continue
        between = slice(int(first), int(last))
        missed = min(int((ticks.answered[between] - hi[between]).min()), other.length.hi_ns)
        if missed < CLOCK_MISSED_NS:
            continue
        latest[between] += missed
        end, begin = one.end, other.begin
        widened[at] = replace(
            widened[at],
            end=replace(end, hi_ns=end.hi_ns + missed),
            length=replace(one.length, hi_ns=one.length.hi_ns + missed),
            set_on=Interval(other.length.lo_ns, other.length.hi_ns) if missed == other.length.hi_ns else None,
        )
        widened[at + 1] = replace(
            other,
            begin=replace(begin, hi_ns=max(begin.hi_ns, min(begin.hi_ns + missed, other.end.hi_ns))),
            length=replace(other.length, lo_ns=max(0, other.length.lo_ns - missed)),
        )
    return widened, latest


def unsure_ticks(ticks: Signals, stamp: Int64Array, alignment: Alignment, breaks: Sequence[Break]) -> BoolArray:
    """Ticks that came in the burst before a jump of the stamps, over which the clock missed time: made before the stop
    or just after the resume.

    A batch may have been pending at the stop, and a host that limps is late once more soon after its resume. Their
    stamps do not separate the two.
    """
    unsure = np.zeros(len(stamp), dtype=np.bool_)
    for index, one in enumerate(breaks):
        before = alignment.bounds(one.window.lo_ns, index)
        after = settled(alignment, breaks, one.window.hi_ns, index + 1)
        if not one.stamped or before is None or after is None or before.lo_ns - after.hi_ns < CLOCK_MISSED_NS:
            continue
        burst = int(np.searchsorted(ticks.answered[: one.first], one.window.hi_ns))
        unsure[burst : one.first] = True
    return unsure


def pending_ticks(ticks: Signals, stamp: Int64Array, breaks: Sequence[Break]) -> BoolArray:
    """Ticks of the batch that was pending where the stamps jump: made before the stop, most likely.

    A clock that stood still, and was set on before the batch left, stamps ticks made after the resume just so.
    """
    pending = np.zeros(len(stamp), dtype=np.bool_)
    for one in breaks:
        if one.stamped and stamp[one.first] - stamp[one.first - 1] >= MIN_SILENCE_NS:
            burst = int(np.searchsorted(ticks.answered[: one.first], one.window.hi_ns))
            held = int(ticks.batch[one.first]) + BATCH_LATE_NS
            pending[burst : one.first] = stamp[burst : one.first] >= stamp[one.first - 1] - held
    return pending


def begun_earlier(silences: Sequence[Outage], lo: Int64Array, unsure: BoolArray) -> list[Outage]:
    """The same silences of ticks; one that seems to begin with an unsure tick may have begun with the last sure one
    before it.
    """
    widened = []
    for one in silences:
        last = int(np.searchsorted(lo, one.begin.lo_ns))
        while 0 < last < len(lo) and unsure[last]:
            last -= 1
        if last < len(lo) and lo[last] < one.begin.lo_ns:
            begin = Interval(int(lo[last]), one.begin.hi_ns)
            length = Interval(one.length.lo_ns, max(one.length.hi_ns, one.end.hi_ns - begin.lo_ns))
            one = replace(one, begin=begin, length=length)  # noqa: PLW2901
        widened.append(one)
    return widened


def arrival_silences(
    ticks: Signals, facts: tuple[Int64Array, Int64Array], breaks: Sequence[Break], silences: Sequence[Outage]
) -> list[Outage]:
    """Pauses in the arrival of ticks while the ticks' stamps show that the host ran on."""
    gathered = []
    for gap in breaks:
        if gap.stamped or any(silence.outer.overlaps(gap.window) for silence in silences):
            continue
        last = min(int(facts[0][gap.first - 1]), gap.window.lo_ns)
        late = int(ticks.batch[gap.first]) + BATCH_LATE_NS
        begin = Interval(last, gap.window.lo_ns + late)
        end = Interval(max(begin.hi_ns, gap.window.hi_ns - late), gap.window.hi_ns)
        length = Interval(end.lo_ns - begin.hi_ns, end.hi_ns - begin.lo_ns)
        gathered.append(Outage(ticks.probe, ticks.host, None, begin, end, length, Method.TICK_ARRIVALS))
    return gathered


def late_questions(asked: Signals, threshold_ns: int) -> BoolArray:
    """Flags of the questions that were not answered in time, or not at all."""
    took = np.where(asked.spoke, asked.answered - asked.sent, 2**62)
    return np.asarray(took > threshold_ns)


def asked_silences(asked: Signals, facts: tuple[Int64Array, Int64Array], late: BoolArray, level: Noise) -> list[Outage]:
    """Runs of questions that were not answered in time, as silences.

    A lost echo request is no silence while the ones beside it were answered; several lost in a row are one, however
    late answers usually are.
    """
    silences = []
    needed = max(-(-MIN_SILENCE_NS // max(1, asked.interval_ns)), level.lost_in_a_row + 1)
    for first, last in _runs(late):
        silence = _one_asked_silence(asked, facts, first, last, level)
        if silence is None:
            continue
        spoke = asked.spoke[first : last + 1]
        lost = max((b - a + 1 for a, b in _runs(~spoke)), default=0)
        usual_ns = level.threshold_ns + (0 if spoke.all() else 2 * level.lost_in_a_row * asked.interval_ns)
        is_long = silence.outer.length_ns > usual_ns and (spoke.any() or not level.lost_in_a_row)
        if asked.kind != "icmp" or is_long or lost >= needed:
            silences.append(silence)
    return silences


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
    usual = max(level.quantile_ns, MIN_LATENESS_NS)
    resumed = int(min([*answers.tolist(), *after.tolist()]))
    begin_lo = int(lo[:first][asked.spoke[:first]].max(initial=-(2**62)))
    begin = Interval(min(begin_lo, resumed), min(resumed, max(begin_lo, int(asked.sent[first]) + usual)))
    least_end = _least_end(asked, begin.hi_ns, resumed, last, usual)
    end = Interval(min(resumed, least_end), resumed)
    length = Interval(max(0, end.lo_ns - begin.hi_ns), end.hi_ns - begin.lo_ns)
    return Outage(asked.probe, asked.host, None, begin, end, length, Method.QUESTIONS)


def _least_end(asked: Signals, begin_ns: int, resumed_ns: int, last: int, usual_ns: int) -> int:
    """The earliest moment at which the host may have run again.

    A new connection is its own question: the last one that was late was sent before. On a session TCP may have waited
    before it sent again; it doubles its pauses, so at least about half of the silence was real.
    """
    if asked.kind in SESSIONS:
        return begin_ns + max(0, (resumed_ns - begin_ns - 200 * MILLISECOND) // 2)
    return max(begin_ns, min(int(asked.sent[last]), resumed_ns) - usual_ns)
