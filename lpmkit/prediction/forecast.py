"""How long the copy still takes, renewed at every reading of the manager's byte counters. Pure functions.

Nobody has published a series of these counters, so both readings of "remaining" are understood. Either what was written meanwhile is added at
once when a pass ends (`Counting.REFILLS`), or it is added as it is written (`Counting.GROWS`). In both, sent plus left grows by exactly what
was written; in the first in steps, in the second all the time. From it follow the passes, and from the passes the rate of writing and the set
that is written again and again. `lpmkit.prediction.rounds` plays the rest with many guesses that fit what was seen. Percent are never extrapolated: the
percentage of a manager starts anew with every pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from lpmkit.prediction.calibration import Calibration, gone
from lpmkit.prediction.distributions import Belief, Expectation, Quantiles, Writing
from lpmkit.prediction.rounds import Draws, Flags, Floats, added_bytes, dirtied_bytes, play

#: One reading: monotonic nanoseconds, bytes sent so far, bytes left.
Reading = tuple[int, int, int]

WINDOW_S = 30.0
#: A bandwidth that was different by more than this part in the last so many seconds has changed; the older readings are then left out.
CHANGED = ((3.0, 0.10), (1.0, 0.25))
#: A bandwidth whose single seconds lie further apart than this has no rate of its own.
UNSTEADY = 0.2
DRAWS = 400
#: How well two passes of one move agree with the curve; from moves between emulators.
PASS_ERROR = 0.02
#: "Will not converge" is said when at least this part of the guesses says so.
SURE = 0.9


class Counting(StrEnum):
    """What the manager's "remaining" means."""

    REFILLS = "refills"  #: what was written is added when a pass ends
    GROWS = "grows"  #: what is written is added at once
    UNKNOWN = "unknown"  #: nothing was written yet, as far as one can see


@dataclass(frozen=True, slots=True)
class Written:
    """So many bytes were added to what is left, ``age_s`` seconds after the pass of that number began.

    ``kept_bytes`` were still unsent then; the moment itself is known to ``age_error_s``.
    """

    number: int
    age_s: float
    added_bytes: float
    kept_bytes: float = 0.0
    age_error_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a series of readings shows. Bytes, seconds, bytes per second; ``None`` where it does not show it yet.

    ``written``, oldest first, is what was seen to be written.
    ``pass_left_bytes`` is what the pass of now has still to send, without what was written since it began.
    """

    counting: Counting
    began_ns: int
    at_ns: int
    known_bytes: float
    sent_bytes: float
    bytes_per_s: float | None
    bytes_per_s_error: float
    steady_bytes_per_s: float | None  #: over the whole last half minute, whether it changed or not
    pass_number: int
    pass_age_s: float
    pass_left_bytes: float
    written: tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The rest of a copy. ``remaining_s`` lasts until the suspension, ``whole_s`` until the move is over; ``stall`` is the probability that the
    copy never gets small enough. ``dirty_bytes_per_s`` and ``writable_bytes`` are the middle of the guesses that fit.

    ``age_s`` is how long the copy ran by then. ``claimed`` is the rest as the model alone has it; `calibrated` makes ``remaining_s`` of it.
    """

    remaining_s: Quantiles
    whole_s: Quantiles
    suspended_s: Quantiles
    stall: float
    will_not_converge: bool
    counting: Counting
    passes: int
    bytes_per_s: float
    dirty_bytes_per_s: float
    writable_bytes: float
    age_s: float
    claimed: Quantiles

    def calibrated(self, calibration: Calibration) -> Forecast:
        """The same with intervals as wide as past copies say they have to be."""
        rest = calibration.stretched(self.claimed, gone(self.age_s, self.claimed.p50))
        shift = self.whole_s.p50 - self.claimed.p50
        whole = Quantiles(
            min(self.whole_s.p10, shift + rest.p10), self.whole_s.p50, max(self.whole_s.p90, shift + rest.p90)
        )
        return replace(self, remaining_s=rest, whole_s=whole)

    def as_data(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def usable(readings: Sequence[tuple[int, int | None, int | None]]) -> list[Reading]:
    """The readings with both counters, from the last that saw nothing sent, in the order of time and without repetitions of a moment."""
    known = [(at, sent, left) for at, sent, left in readings if sent is not None and left is not None]
    kept: list[Reading] = []
    for one in known:
        if kept and (one[0] <= kept[-1][0] or one[1] < kept[-1][1]):
            continue
        if one[1] == 0:
            kept.clear()
            if one[2] == 0:
                continue
        kept.append(one)
    return kept


def look(readings: Sequence[tuple[int, int | None, int | None]]) -> Seen | None:
    """Read the series; ``None`` when there is nothing to read in it yet."""
    series = usable(readings)
    if not series or not series[-1][1]:
        return None
    at = np.array([one[0] for one in series], float) / 1e9
    sent = np.array([one[1] for one in series], float)
    left = np.array([one[2] for one in series], float)
    rate, error = bandwidth(at, sent)
    counting = counting_of(sent, left)
    began_s = at[0] - (sent[0] / rate if rate else 0.0)
    find = _grown if counting is Counting.GROWS else _refilled
    number, since_s, pass_left, written = find(at, sent, left, began_s)
    return Seen(
        counting=counting,
        began_ns=int(began_s * 1e9),
        at_ns=series[-1][0],
        known_bytes=float(sent[0] + left[0]),
        sent_bytes=float(sent[-1]),
        bytes_per_s=rate,
        bytes_per_s_error=error,
        steady_bytes_per_s=_slope(at[at >= at[-1] - WINDOW_S], sent[at >= at[-1] - WINDOW_S]),
        pass_number=number,
        pass_age_s=float(at[-1] - since_s),
        pass_left_bytes=pass_left,
        written=tuple(written),
    )


def bandwidth(at_s: Floats, sent_bytes: Floats) -> tuple[float | None, float]:
    """The robust slope of the bytes sent over the last half minute, and its relative error; only of the last seconds when it changed.

    Where it goes up and down by more than `UNSTEADY` from second to second, what comes is best told by the mean, and a few slow seconds are no change.

    >>> bandwidth(np.arange(5.0), np.arange(5.0) * 80)
    (80.0, 0.02)
    """
    recent = at_s >= at_s[-1] - WINDOW_S
    found, error = _slope(at_s[recent], sent_bytes[recent]), 0.02 if recent.sum() > 4 else 0.1
    if found is None or len(at_s) < 5:
        return found, error
    scatter, seconds = _unsteady(at_s[recent], sent_bytes[recent])
    if scatter > UNSTEADY:
        found = float((sent_bytes[-1] - sent_bytes[recent][0]) / (at_s[-1] - at_s[recent][0]))
        error = max(error, min(scatter / math.sqrt(seconds), 1.0))
    for span, part in CHANGED:
        late = at_s >= min(at_s[-1] - span, at_s[-4])
        short = _slope(at_s[late], sent_bytes[late])
        if short and abs(math.log(short / found)) > max(part, 3 * scatter / math.sqrt(span)):
            found, error = short, max(0.05, min(scatter, 1.0))
    return found, error


def _unsteady(at_s: Floats, sent_bytes: Floats) -> tuple[float, int]:
    """How far the rates of single seconds lie apart (a robust deviation of their logarithms), and how many there were.

    By the steps from one to the next: a rate that changed once is steady before and after.
    """
    kept = [0]
    for index in range(1, len(at_s)):
        if at_s[index] - at_s[kept[-1]] >= 1.0:
            kept.append(index)
    rates = np.diff(sent_bytes[kept]) / np.diff(at_s[kept])
    if len(rates) < 3:
        return 0.0, 1
    logs = np.log(np.maximum(rates, 1e-3 * max(float(rates.max()), 1.0)))
    return 1.4826 / math.sqrt(2) * float(np.median(np.abs(np.diff(logs)))), len(rates)


def _slope(at_s: Floats, values: Floats) -> float | None:
    """The median of the slopes between readings that are far apart (half of the span or more)."""
    step = max(1, len(at_s) // 60)
    at_s, values = at_s[::-step][::-1], values[::-step][::-1]
    first, second = np.triu_indices(len(at_s), 1)
    apart = at_s[second] - at_s[first]
    wide = apart >= 0.5 * (at_s[-1] - at_s[0])
    if not len(apart) or not apart[wide].any():
        return None
    found = float(np.median((values[second] - values[first])[wide] / apart[wide]))
    return found if found > 0 else None


def counting_of(sent: Floats, left: Floats) -> Counting:
    """In steps or all the time: how sent plus left grew."""
    growth = np.diff(sent + left)
    if len(growth) < 2 or growth.clip(0).sum() < 0.01 * (sent[0] + left[0]):
        return Counting.UNKNOWN
    return Counting.GROWS if np.median(growth) > 0.2 * growth.mean() else Counting.REFILLS


Passes = tuple[int, float, float, list[Written]]


def _refilled(at: Floats, sent: Floats, left: Floats, began_s: float) -> Passes:
    """A pass ends between two readings when sent plus left grew by a step."""
    growth, moved = np.diff(sent + left), np.diff(sent)
    noise = np.maximum(0.004 * (sent[0] + left[0]), 0.2 * moved)
    written: list[Written] = []
    since, number = began_s, 1
    for index in np.flatnonzero(growth > noise):
        span, before, sending = float(at[index + 1] - at[index]), float(left[index]), float(moved[index])
        # When no more was left than was sent in between, the pass ended as that ran out; else all that is known is that it ended in between.
        ran_out = before < sending
        edge = float(at[index]) + span * (before / sending if ran_out else 0.5)
        kept = 0.0 if ran_out else before - sending / 2
        written.append(Written(number, edge - since, float(growth[index]), kept, span / (10 if ran_out else 3)))
        since, number = edge, number + 1
    return number, since, float(left[-1]), written


def _grown(at: Floats, sent: Floats, left: Floats, began_s: float) -> Passes:
    """A pass ends when as much was sent as was left when it began. Four points within each pass tell how much was written by then."""
    known = sent + left
    written: list[Written] = []
    since, number = began_s, 1
    base = size_end = float(known[0])
    while True:
        done = sent[-1] >= size_end
        until = float(np.interp(size_end, sent, at)) if done else float(at[-1])
        for part in (0.25, 0.5, 0.75, 1.0):
            moment = since + part * (until - since)
            grown = float(np.interp(moment, at, known)) - base
            if moment > at[0] and grown > 0:
                written.append(Written(number, moment - since, grown))
        following = float(np.interp(until, at, known))
        if not done or following <= size_end:
            break
        since, number, base, size_end = until, number + 1, following, following
    return number, since, max(0.0, size_end - float(sent[-1])), written


def written_guesses(
    seen: Seen, believed: Writing, most_bytes: float, dice: np.random.Generator, count: int
) -> tuple[Floats, Floats, Flags]:
    """Guesses of the rate of writing, the writable set and its order that fit both what was believed before and what was seen.

    A grid of rate and set, coarse and then finer around what is likely; every point weighs what belief and readings give it.
    """
    shares, parts = [], []
    for in_order in (False, True):
        rates, spans = _wide(seen, believed, most_bytes)
        for _ in range(2):
            rate, span = (grid.ravel() for grid in np.meshgrid(rates, spans))
            weights = np.exp(_normal(_fit(seen, believed, most_bytes, rate, span, in_order)))
            rates, spans = _narrower(rate, weights, rates), _narrower(span, weights, spans)
        rate, span = (grid.ravel() for grid in np.meshgrid(rates, spans))
        score = _fit(seen, believed, most_bytes, rate, span, in_order)
        cell = np.log((rates[1] - rates[0]) * (spans[1] - spans[0]))
        shares.append(float(np.logaddexp.reduce(score + cell)))
        parts.append(_sampled(rates, spans, rate, span, np.exp(_normal(score)), dice, count))
    probability = 1 / (1 + math.exp(min(50.0, shares[0] - shares[1])))
    in_order_flags = (np.arange(count) + 0.5) / count < probability
    dice.shuffle(in_order_flags)
    rate = np.where(in_order_flags, parts[1][0], parts[0][0])
    span = np.where(in_order_flags, parts[1][1], parts[0][1])
    return rate, np.minimum(span, most_bytes), in_order_flags


def _normal(score: Floats) -> Floats:
    return np.asarray(score - score.max(), dtype=np.float64)


def _wide(seen: Seen, believed: Writing, most_bytes: float) -> tuple[Floats, Floats]:
    """The coarse grid: all that is believed possible, and what the sightings ask for."""
    dirty, writable = believed.dirty_bytes_per_s, believed.writable_bytes
    rates = np.log(dirty.median) + np.linspace(-4, 4, 41) * max(dirty.spread, 0.05)
    spans = np.log(min(writable.median, most_bytes)) + np.linspace(-4, 4, 31) * max(writable.spread, 0.05)
    spans = np.linspace(spans[0], min(spans[-1], math.log(most_bytes)), 31)
    if seen.written:
        sightings = np.log([max(1.0, one.added_bytes / max(one.age_s, 1e-3)) for one in seen.written])
        rates = np.linspace(min(rates[0], sightings.min() - 0.5), max(rates[-1], sightings.max() + 1.5), 41)
    return rates, spans


def _sampled(
    rates: Floats, spans: Floats, rate: Floats, span: Floats, weights: Floats, dice: np.random.Generator, count: int
) -> tuple[Floats, Floats]:
    """Points of the grid as often as they weigh, each moved within its cell."""
    places = (np.arange(count) + dice.random(count)) / count
    chosen = np.searchsorted(np.cumsum(weights) / weights.sum(), places).clip(0, len(weights) - 1)
    dice.shuffle(chosen)
    jitter = dice.random((2, count)) - 0.5
    found_rate = np.exp(rate[chosen] + jitter[0] * (rates[1] - rates[0]))
    return found_rate, np.exp(span[chosen] + jitter[1] * (spans[1] - spans[0]))


def _narrower(values: Floats, weights: Floats, grid: Floats) -> Floats:
    """A grid of as many points over what is likely."""
    middle = float(np.average(values, weights=weights))
    sigma = float(np.sqrt(np.average((values - middle) ** 2, weights=weights)))
    reach = max(4 * sigma, 2 * float(grid[1] - grid[0]))
    return np.linspace(middle - reach, middle + reach, len(grid))


def _fit(
    seen: Seen, believed: Writing, most_bytes: float, log_rate: Floats, log_span: Floats, in_order: bool
) -> Floats:
    """The logarithm of belief times how well the sightings agree; one that is far off counts little (Student, 4 degrees)."""
    span = np.minimum(np.exp(log_span), most_bytes)
    rate, order = np.exp(log_rate), np.full(len(span), in_order)
    score = believed.log_weight(log_rate, log_span, in_order) - 1e3 * (np.exp(log_span) > 1.02 * most_bytes)
    numbers = [one.number for one in seen.written]
    for one in seen.written:
        expected = dirtied_bytes(rate, span, order, max(one.age_s, 1e-3))
        expected = added_bytes(expected, np.full_like(span, one.kept_bytes), span, order, one.number == 1)
        scale = PASS_ERROR * expected + rate * one.age_error_s + 1.0
        off = (expected - one.added_bytes) / scale
        # Four points of one pass are one observation; an old pass counts less than the last ones.
        share = 0.95 ** min(max(numbers) - one.number, 6) / numbers.count(one.number)
        score = score - share * (np.log(scale) + 2.5 * np.log1p(off**2 / 4))
    return score


def forecast(
    readings: Sequence[tuple[int, int | None, int | None]], expected: Expectation, *, count: int = DRAWS, seed: int = 1
) -> Forecast | None:
    """The rest of the copy after these readings, oldest first; ``None`` as long as no bytes and no bandwidth were seen."""
    seen = look(readings)
    if seen is None or seen.bytes_per_s is None:
        return None
    draws = _fitting(seen, expected, count, seed)
    course = play(draws, expected.rules, seen.pass_left_bytes, seen.pass_age_s, seen.pass_number == 1)
    dice = np.random.default_rng(seed + 1)
    scatter = np.exp(0.02 * dice.standard_normal(count))
    late = expected.lag_s + expected.lag_per_pass_s * course.passes + expected.lag_error_s * dice.standard_normal(count)
    rest_s = np.maximum(course.copy_s * scatter + late, 0.0)
    stall = float(1 - course.converged.mean())
    claimed = Quantiles.of(rest_s)
    return Forecast(
        remaining_s=claimed,
        whole_s=Quantiles.of(course.whole_s - course.copy_s + rest_s),
        suspended_s=Quantiles.of(course.suspended_s),
        stall=stall,
        # A prior alone is no reason to warn: something must have been seen to be written.
        will_not_converge=bool(seen.written) and stall >= SURE and _stall_at_best(seen, draws, expected) >= SURE,
        counting=seen.counting,
        passes=seen.pass_number,
        bytes_per_s=seen.bytes_per_s,
        dirty_bytes_per_s=float(np.median(draws.dirty_bytes_per_s)),
        writable_bytes=float(np.median(draws.writable_bytes)),
        age_s=(seen.at_ns - seen.began_ns) / 1e9,
        claimed=claimed,
    )


def _stall_at_best(seen: Seen, draws: Draws, expected: Expectation) -> float:
    """The probability of a stall if a bandwidth that has just fallen comes back: a dip of a second is no reason to warn."""
    best = max(1.0, (seen.steady_bytes_per_s or 0.0) / (seen.bytes_per_s or 1.0))
    hopeful = replace(draws, bytes_per_s=draws.bytes_per_s * best)
    course = play(hopeful, expected.rules, seen.pass_left_bytes, seen.pass_age_s, seen.pass_number == 1)
    return float(1 - course.converged.mean())


def _fitting(seen: Seen, expected: Expectation, count: int, seed: int) -> Draws:
    """The guesses after looking."""
    assert seen.bytes_per_s is not None
    before = expected.draws(count, seed)
    dice = np.random.default_rng(seed + 2)
    most = max(seen.known_bytes, 1.0)
    dirty, writable, in_order = written_guesses(seen, expected.writing, most, dice, count)
    return Draws(
        touched_bytes=np.full(count, most),
        bytes_per_s=Belief(seen.bytes_per_s, seen.bytes_per_s_error).draw(dice, count),
        dirty_bytes_per_s=dirty,
        writable_bytes=writable,
        in_order=in_order,
        stop_bytes=before.stop_bytes,
        fixed_s=before.fixed_s,
        switch_bytes_per_s=before.switch_bytes_per_s,
        residual_share=before.residual_share,
        around_s=before.around_s * 0.4,
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a whole series showed, looked at afterwards: the figures that later moves are predicted from."""

    began_ns: int
    bytes_per_s: float
    touched_bytes: float
    dirty_bytes_per_s: float
    writable_bytes: float
    in_order: float
    last_left_bytes: float
    sent_bytes: float
    copy_s: float
    passes: int
    lag_s: float = 0.0
    lag_passes: float = 0.0


def fitted(
    readings: Sequence[tuple[int, int | None, int | None]], expected: Expectation, end_ns: int | None = None
) -> Fitted | None:
    """Look at a copy that is over; ``None`` when its readings do not show one. ``end_ns`` is when it ended, if that is known better than from them."""
    series = usable(readings)
    seen = look(series)
    if seen is None:
        return None
    end_s = _last_sent(series) if end_ns is None else end_ns / 1e9
    began_s = seen.began_ns / 1e9
    if end_s <= began_s:
        return None
    believed = expected.writing
    wide = Writing(Belief(believed.dirty_bytes_per_s.median, 2.0), Belief(believed.writable_bytes.median, 1.0))
    dice = np.random.default_rng(1)
    dirty, writable, in_order = written_guesses(seen, wide, max(seen.known_bytes, 1.0), dice, 200)
    found = Fitted(
        began_ns=seen.began_ns,
        bytes_per_s=seen.sent_bytes / (end_s - began_s),
        touched_bytes=seen.known_bytes,
        dirty_bytes_per_s=float(np.median(dirty)),
        writable_bytes=float(np.median(writable)),
        in_order=float(in_order.mean()),
        last_left_bytes=float(series[-1][2]),
        sent_bytes=seen.sent_bytes,
        copy_s=end_s - began_s,
        passes=seen.pass_number,
    )
    lag_s, lag_passes = _lag(series, found, expected, end_s)
    return replace(found, lag_s=lag_s, lag_passes=lag_passes)


def _lag(series: Sequence[Reading], found: Fitted, expected: Expectation, end_s: float) -> tuple[float, float]:
    """How much later the copy ended than the rounds say with all parameters known: what a manager does besides sending. And the passes that it still
    took. The means of a few moments."""
    lags = []
    for part in (0.5, 0.6, 0.7, 0.8):
        index = int(part * len(series))
        seen = look(series[: index + 1])
        if seen is None or seen.bytes_per_s is None:
            continue
        one = replace(
            expected.draws(1, 1),
            touched_bytes=np.array([found.touched_bytes]),
            bytes_per_s=np.array([seen.bytes_per_s]),
            dirty_bytes_per_s=np.array([found.dirty_bytes_per_s]),
            writable_bytes=np.array([found.writable_bytes]),
            in_order=np.array([found.in_order > 0.5]),
            stop_bytes=np.array([expected.stop_bytes.median]),
        )
        course = play(one, expected.rules, seen.pass_left_bytes, seen.pass_age_s, seen.pass_number == 1)
        if course.converged[0]:
            lags.append((end_s - seen.at_ns / 1e9 - float(course.copy_s[0]), float(course.passes[0])))
    return (
        (float(np.mean([lag for lag, _ in lags])), float(np.mean([count for _, count in lags]))) if lags else (0.0, 0.0)
    )


def _last_sent(series: Sequence[Reading]) -> float:
    """When the counter of bytes sent moved last, in seconds of the monotonic clock."""
    moved = [after[0] for before, after in pairwise(series) if after[1] > before[1]]
    return (moved[-1] if moved else series[-1][0]) / 1e9
