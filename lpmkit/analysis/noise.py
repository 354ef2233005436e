"""How punctual a probe is when nothing happens, and how often it would cry wolf: what every threshold and every soft edge rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpmkit.analysis.model import MILLISECOND, SECOND, BoolArray, Interval, Noise, Signals
from lpmkit.runs.samples import MISSING, Int64Array

#: A silence shorter than this is never reported, however quiet the lead-in was.
MIN_SILENCE_NS = 40 * MILLISECOND
MIN_LATE_ANSWER_NS = 100 * MILLISECOND
#: What a kernel answers comes at once or not at all; it is also asked more often.
MIN_LATE_ECHO_REPLY_NS = 40 * MILLISECOND
#: A pause between batches says nothing below this, longer by what the batches are longer than ten a second.
MIN_ARRIVAL_SILENCE_NS = 400 * MILLISECOND
_NOISE_SAMPLE = 2000


def within(moments: Int64Array, spans: Sequence[Interval]) -> BoolArray:
    """Which moments lie in one of the spans."""
    inside = np.zeros(len(moments), dtype=np.bool_)
    for span in spans:
        inside |= (moments >= span.lo_ns) & (moments <= span.hi_ns)
    return inside


def noise(values: Int64Array, basis: str, threshold: tuple[float, int, int]) -> Noise:
    """The noise of a probe from its quiet values; ``threshold`` is (factor on the quantile, plus, at least)."""
    factor, plus, least = threshold
    quantile = int(np.quantile(values, 0.999)) if len(values) else 0
    thinned = values[:: max(1, len(values) // _NOISE_SAMPLE)]
    return Noise(
        quantile_ns=quantile,
        median_ns=int(np.median(values)) if len(values) else 0,
        worst_ns=int(values.max()) if len(values) else 0,
        count=len(values),
        threshold_ns=max(least, int(factor * quantile) + plus),
        basis=basis if len(values) else "no quiet samples: the least threshold stands",
        sample=np.sort(thinned),
    )


def tick_lateness(signals: Signals, clock: str | None) -> Int64Array:
    """How much later each tick was made than the first free slot after the one before it; the first is 0.

    A ticker that oversleeps skips slots, so its lateness against its own slot never exceeds one period and hides the rest.
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
    moments: Int64Array, values: Int64Array, usable: BoolArray, lead_in: Interval
) -> tuple[Int64Array, str]:
    """The usable values inside the lead-in, silences left out; of the whole record when that is too little."""
    inside = usable & (moments >= lead_in.lo_ns) & (moments <= lead_in.hi_ns)
    where = "the lead-in"
    if inside.sum() < 20:
        inside, where = usable, "the whole record: the lead-in is too short"
    if not inside.any():
        return values[:0], ""
    outlying = inside & (values > 250 * MILLISECOND + 3 * int(np.median(values[inside])))
    inside &= ~outlying
    left_out = f", {int(outlying.sum())} silences left out" if outlying.any() else ""
    return values[inside], f"{int(inside.sum())} samples of {where}{left_out}"


def alarms_an_hour(level: Noise) -> float | None:
    """At most so many false alarms an hour, with 95 % confidence: the upper Poisson limit for what the lead-in showed. ``None`` without a lead-in.

    A lead-in in which nothing happened says little: three events per its own length cannot be excluded.

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


def noise_of(signals: Signals, clocks: Sequence[str], lead_in: Interval, stalls: Sequence[Interval]) -> Noise:
    """The noise of one probe in the lead-in, while our own monitor was quiet, and how often it gave a false alarm there."""
    if signals.kind == "ticks":
        clock = next((one for one in clocks if stamp_of(signals, one) is not None), None)
        moments, values = signals.answered, tick_lateness(signals, clock)
        least = MIN_ARRIVAL_SILENCE_NS if clock is None else MIN_SILENCE_NS
        threshold = (3.0, 2 * signals.interval_ns, least)
    else:
        spoke = signals.spoke
        moments, values = signals.answered[spoke], signals.answered[spoke] - signals.sent[spoke]
        least = MIN_LATE_ECHO_REPLY_NS if signals.kind == "icmp" else MIN_LATE_ANSWER_NS
        threshold = (2.0, 0, least)
    stalled = within(moments, [stall.widened(20 * MILLISECOND) for stall in stalls])
    usable = (moments != MISSING) & ~stalled
    quiet, basis = quiet_values(moments, values, usable, lead_in)
    level = noise(quiet, basis, threshold)
    inside = usable & (moments >= lead_in.lo_ns) & (moments <= lead_in.hi_ns)
    over = int(moments[inside].max() - moments[inside].min()) if inside.any() else 0
    return replace(level, alarms=int((values[inside] > level.threshold_ns).sum()), over_ns=over)


def stamp_of(signals: Signals, clock: str | None) -> Int64Array | None:
    """The stamps of one guest clock, where nearly every sample has one."""
    if clock is None:
        return None
    stamp = signals.stamp(clock)
    return stamp if len(stamp) and (stamp != MISSING).mean() > 0.9 else None
