"""The noise of a probe: how punctual it is when nothing happens, and how often it would cry wolf. Every threshold and
every soft edge rests on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpmkit.analysis.model import MILLISECOND, SECOND, BoolArray, Interval, Noise, Signals
from lpmkit.runs.cells import MISSING, Int64Array

#: A silence shorter than this is never reported, however quiet the lead-in was.
MIN_SILENCE_NS = 40 * MILLISECOND
MIN_LATE_ANSWER_NS = 100 * MILLISECOND
#: The least lateness of an echo reply: a kernel's answer comes at once or not at all, and it is asked more often.
MIN_LATE_ECHO_REPLY_NS = 40 * MILLISECOND
#: A kernel acknowledges within half a second, by itself where no answer takes the acknowledgement along (RFC 1122,
#: 4.2.3.2).
MIN_LATE_ACK_NS = 500 * MILLISECOND
_MIN_LATE_NS = {"icmp": MIN_LATE_ECHO_REPLY_NS, "ack": MIN_LATE_ACK_NS}
#: A pause between batches is no sign below this, longer by what the batches are longer than ten a second.
MIN_ARRIVAL_SILENCE_NS = 400 * MILLISECOND
_NOISE_SAMPLE = 2000
#: Two quantiles of the worst value of each second; the Gumbel distribution through them is the noise.
_LOWER, _UPPER = 0.25, 0.75
#: The densest part of the seconds, this share of them on a scale of ratios, is noise. So is what lies above it by up to
#: this multiple of its own ratio:
#: events lie apart from it, noise that is wide is wide there already (benchmarks.accuracy has an event in every other
#: second).
_DENSEST, _ABOVE = 0.3, 3
#: Noise below this is all alike.
_QUIET_NS = 10 * MILLISECOND
#: With this probability at most does noise exceed a limit within the seconds that it is for.
_FALSE_ALARM = 0.01
#: With fewer seconds the distribution is not known.
MIN_SECONDS = 10
#: Seconds that thresholds are made for.
HOUR = 3600


def within(moments: Int64Array, spans: Sequence[Interval]) -> BoolArray:
    """Flags of the moments that lie in one of the spans."""
    inside = np.zeros(len(moments), dtype=np.bool_)
    for span in spans:
        inside |= (moments >= span.lo_ns) & (moments <= span.hi_ns)
    return inside


#: Longest record whose seconds are numbered one by one: four months.
_MAX_SECONDS = 10_000_000


def extreme(worst: Int64Array, seconds: int) -> int | None:
    """The value that noise exceeds within that number of seconds with one chance in a hundred, from the worst values of
    some; ``None`` from too few.

    >>> extreme(np.arange(80, 120) * MILLISECOND // 10, 3600) // MILLISECOND
    10
    """
    if len(worst) < MIN_SECONDS:
        return None
    low, high = np.quantile(_without_events(worst), [_LOWER, _UPPER])
    reduced = [-math.log(-math.log(share)) for share in (_LOWER, _UPPER)]
    scale = (high - low) / (reduced[1] - reduced[0])
    return int(low + scale * (math.log(seconds / _FALSE_ALARM) - reduced[0]))


def _without_events(worst: Int64Array) -> Int64Array:
    """The seconds of noise alone: the densest part of all, and what lies around it."""
    ordered = np.sort(np.maximum(worst, _QUIET_NS))
    span = max(1, int(_DENSEST * len(ordered)))
    ratio = np.log(ordered[span:] / ordered[:-span])
    at = int(np.argmin(ratio))
    limit = ordered[at + span] * np.exp(_ABOVE * ratio[at])
    return ordered[: int(np.searchsorted(ordered, limit, side="right"))]


def worst_of_seconds(moments: Int64Array, values: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The number of the second of each value, and the worst value of each second that has one, by that number."""
    if not len(moments):
        return moments, values
    second = (moments - moments.min()) // SECOND
    if int(second.max()) > _MAX_SECONDS or int(second.min()) < 0:
        second = _closed_up(second)
    worst = np.full(int(second.max()) + 1, -1, dtype=np.int64)
    np.maximum.at(worst, second, values)
    return second, worst


def _closed_up(second: Int64Array) -> Int64Array:
    """The same with every gap as one empty second: a row of nonsense may lie centuries apart."""
    distinct, place = np.unique(second, return_inverse=True)
    steps = np.minimum(np.diff(distinct).astype(np.uint64), 2).astype(np.int64)
    return np.asarray(np.concatenate(([0], np.cumsum(steps)))[place], dtype=np.int64)


def noise(moments: Int64Array, values: Int64Array, basis: str, threshold: tuple[float, int, int]) -> Noise:
    """The noise of a probe from its quiet values; ``threshold`` is (factor on the quantile, plus, at least)."""
    factor, plus, least = threshold
    quantile = int(np.quantile(values, 0.999)) if len(values) else 0
    thinned = values[:: max(1, len(values) // _NOISE_SAMPLE)]
    worst = worst_of_seconds(moments, values)[1]
    by_seconds = extreme(worst[worst >= 0], HOUR) or 0
    return Noise(
        quantile_ns=quantile,
        median_ns=int(np.median(values)) if len(values) else 0,
        worst_ns=int(values.max()) if len(values) else 0,
        count=len(values),
        threshold_ns=max(least, int(factor * quantile) + plus, by_seconds),
        basis=basis if len(values) else "no quiet samples: the least threshold stands",
        sample=np.sort(thinned),
    )


def tick_lateness(signals: Signals, clock: str | None) -> Int64Array:
    """The lateness of each tick against the first free slot after the one before it; the first is 0.

    A ticker that oversleeps skips slots, so its lateness against its own slot never exceeds one period and hides the
    rest.
    """
    if clock is None:
        stamp, due = signals.answered, signals.answered
    else:
        stamp = signals.stamp(clock)
        due = signals.remote_due if clock == "monotonic" else np.full(len(stamp), MISSING)
        due = np.where(due == MISSING, stamp, due)
    late = stamp[1:] - due[:-1] - signals.step[1:]
    return np.concatenate([[0], np.maximum(late, 0)]).astype(np.int64)


def quiet_values(
    moments: Int64Array, values: Int64Array, usable: BoolArray, baseline: Interval, least_ns: int
) -> tuple[BoolArray, str]:
    """Flags of the quiet values of the baseline, wherever they lie in it, and a text about it; of the whole record when
    these are too few.

    A second in which something happened, and the one after it, are left out: its worst value is beyond the range of the
    other seconds, and beyond ``least_ns``.
    """
    inside = usable & (moments >= baseline.lo_ns) & (moments <= baseline.hi_ns)
    where = "the baseline"
    if inside.sum() < 20:
        inside, where = usable, "the whole record: the baseline is too short"
    if not inside.any():
        return inside, ""
    second, worst = worst_of_seconds(moments[inside], values[inside])
    seen = worst[worst >= 0]
    limit = extreme(seen, len(seen))
    if limit is None:
        limit = 250 * MILLISECOND + 3 * int(np.median(values[inside]))
    happened = worst > max(limit, least_ns)
    happened[1:] |= happened[:-1].copy()
    quiet = inside.copy()
    quiet[inside] = ~happened[second]
    left_out = f", {int(happened.sum())} seconds left out in which something happened" if happened.any() else ""
    return quiet, f"{int(quiet.sum())} samples of {where}{left_out}"


#: The share of the seconds that lose the fewest requests: what is lost in them is lost by chance or by a limit,
#: however much happens in the others.
_QUIETEST = 0.1
#: The longest run of lost requests of a second, as a share of what chance would make it, of a limit to their number.
_LIMITED = 0.6


def usual_losses(asked: Signals, baseline: Interval) -> tuple[float, int]:
    """The share of the requests of one probe that is lost where nothing happens, and how many in a row chance does not
    lose, but for one time in a hundred.

    Requests are lost one by one, or by a limit on requests a second: then the runs are all alike, and shorter than by
    chance.
    """
    here = (asked.sent >= baseline.lo_ns) & (asked.sent <= baseline.hi_ns)
    sent, lost = asked.sent[here], ~asked.spoke[here]
    if len(sent) < 2 or not lost.any() or lost.all():
        return 0.0, 0
    second = (sent - sent[0]) // SECOND
    every = np.bincount(second)
    usual = float(np.quantile(np.bincount(second, lost)[every > 0] / every[every > 0], _QUIETEST))
    if not usual:
        return 0.0, 0
    came = sent[~lost]
    longest = -(-MIN_SILENCE_NS // max(1, asked.interval_ns))
    missing = np.round(np.diff(came) / max(1, asked.interval_ns)) - 1
    alone = int(((missing > 0) & (missing < longest)).sum())
    share = min(0.9, max(usual, max(alone, 1) / len(sent)))
    by_chance = math.ceil(math.log(100 * len(sent)) / -math.log(share)) - 1
    worst = worst_of_seconds(came[1:], missing.astype(np.int64))[1]
    typical, most = np.quantile(worst, [0.5, 0.9])
    expected = math.log(max(2.0, len(sent) / max(1, len(every)) * (1 - share))) / -math.log(share)
    in_a_row = min(by_chance, int(most) + 1) if typical < _LIMITED * expected else by_chance
    return usual, in_a_row


def alarms_an_hour(level: Noise) -> float | None:
    """The most false alarms an hour, with 95 % confidence: the upper Poisson limit for what the lead-in showed.

    ``None`` without a lead-in.

    A baseline in which nothing happened proves little: three events per its own length cannot be excluded.

    >>> quiet = Noise(0, 0, 0, 6000, 0, "", over_ns=60_000_000_000)
    >>> round(alarms_an_hour(quiet), 1)
    179.7
    """
    if level.over_ns <= 0:
        return None
    low, high = 0.0, 10.0 + 4.0 * level.alarms
    while high - low > 1e-6:
        middle = (low + high) / 2
        term = total = math.exp(-middle)
        for number in range(1, level.alarms + 1):
            term *= middle / number
            total += term
        low, high = (middle, high) if total > 0.05 else (low, middle)
    return high / (level.over_ns / (3600 * SECOND))


def noise_of(
    signals: Signals, clocks: Sequence[str], baseline: Interval, stalls: Sequence[Interval], *, is_lead_in: bool
) -> Noise:
    """The noise of one probe in the baseline, while our own monitor was quiet, and how often it gave a false alarm
    there.

    In the lead-in of a move nothing happens, so whatever exceeds the threshold there is a false alarm (``is_lead_in``);
    elsewhere what is quiet counts.
    """
    if signals.kind == "ticks":
        clock = next((one for one in clocks if stamp_of(signals, one) is not None), None)
        moments, values = signals.answered, tick_lateness(signals, clock)
        least = MIN_ARRIVAL_SILENCE_NS if clock is None else MIN_SILENCE_NS
        threshold = (3.0, 2 * signals.interval_ns, least)
    else:
        spoke = signals.spoke
        moments, values = signals.answered[spoke], signals.answered[spoke] - signals.sent[spoke]
        least = _MIN_LATE_NS.get(signals.kind, MIN_LATE_ANSWER_NS)
        threshold = (2.0, 0, least)
    stalled = within(moments, [stall.widened(20 * MILLISECOND) for stall in stalls])
    usable = (moments != MISSING) & ~stalled
    quiet, basis = quiet_values(moments, values, usable, baseline, least)
    level = noise(moments[quiet], values[quiet], basis, threshold)
    counted = usable & (moments >= baseline.lo_ns) & (moments <= baseline.hi_ns) if is_lead_in else quiet
    over = len(np.unique(moments[counted] // SECOND)) * SECOND
    share, in_a_row = usual_losses(signals, baseline) if signals.kind == "icmp" else (0.0, 0)
    alarms = int((values[counted] > level.threshold_ns).sum())
    return replace(level, alarms=alarms, over_ns=over, lost_share=share, lost_in_a_row=in_a_row)


def stamp_of(signals: Signals, clock: str | None) -> Int64Array | None:
    """The stamps of one guest clock, where nearly every sample has one."""
    if clock is None:
        return None
    stamp = signals.stamp(clock)
    return stamp if len(stamp) and (stamp != MISSING).mean() > 0.9 else None
