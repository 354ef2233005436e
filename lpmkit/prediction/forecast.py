"""Forecast of the remaining copy, renewed at every reading of the manager's byte counters. Pure functions.

No series of these counters is published, so both meanings of "remaining" are supported. Memory written meanwhile is
added either when a pass ends (`Counting.REFILLS`) or as it is written (`Counting.GROWS`). In both, sent plus left grows
by exactly the memory written: in steps in the first, continuously in the second. Passes follow from it, and from the
passes the dirty rate and the writable set. `lpmkit.prediction.rounds` simulates the rest with draws that fit the
readings. Percentages are never extrapolated: the percentage of a manager restarts with every pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

import numpy as np

from lpmkit.json_values import JsonObject
from lpmkit.prediction.calibration import Calibration, elapsed_share
from lpmkit.prediction.distributions import LogNormal, MoveDistribution, Quantiles, WriteDistribution
from lpmkit.prediction.effects import effects_of
from lpmkit.prediction.rounds import Draws, Flags, Floats, added_bytes, dirtied_bytes, run_copy

#: One reading: monotonic nanoseconds, bytes sent so far, bytes left.
Reading = tuple[int, int, int]

WINDOW_S = 30.0
#: Pairs of seconds and share: the bandwidth has changed if that of the last seconds differs by more than the share.
#: Older readings are then left out.
CHANGED = ((3.0, 0.10), (1.0, 0.25))
#: Scatter of the one-second rates above which the mean is used instead of a robust slope.
UNSTEADY = 0.2
DRAWS = 400
#: Agreement of two passes of one move with the curve; from moves between emulators (`benchmarks.qemu`).
PASS_ERROR = 0.02
#: Share of the draws that must not converge before a warning. A choice: one false warning in ten at most.
SURE = 0.9


class Counting(StrEnum):
    """Meaning of the manager's "remaining"."""

    REFILLS = "refills"  #: memory written is added when a pass ends
    GROWS = "grows"  #: memory written is added at once
    UNKNOWN = "unknown"  #: no writes observed yet


@dataclass(frozen=True, slots=True)
class WriteObservation:
    """Memory written within one pass, observed ``age_s`` seconds after the pass began.

    ``kept_bytes`` were still unsent then; the moment itself is known to ``age_error_s``.
    """

    number: int
    age_s: float
    added_bytes: float
    kept_bytes: float = 0.0
    age_error_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CopyState:
    """State of the copy inferred from the byte counters. Bytes, seconds, bytes per second; ``None`` if not yet known.

    ``written`` holds the observed writes, oldest first.
    ``pass_left_bytes`` is the unsent part of the current pass, without memory written since it began.
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
    written: tuple[WriteObservation, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The rest of a copy.

    ``remaining_s`` lasts until the suspension, ``whole_s`` until the end of the move; ``stall`` is the probability
    that the copy does not converge. ``dirty_bytes_per_s`` and ``writable_bytes`` are medians of the draws that fit.
    ``age_s`` is the age of the copy at this time. ``claimed`` is the rest by the model alone; `calibrated` derives
    ``remaining_s`` from it. ``effects`` are what the move costs beside the suspension, in seconds by name.
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
    effects: Mapping[str, Quantiles] = field(default_factory=dict)

    def calibrated(self, calibration: Calibration) -> Forecast:
        """The same forecast with intervals as wide as past copies require."""
        calibrated_rest = calibration.widened(self.claimed, elapsed_share(self.age_s, self.claimed.p50))
        shift = self.whole_s.p50 - self.claimed.p50
        whole_s = Quantiles(
            min(self.whole_s.p10, shift + calibrated_rest.p10),
            self.whole_s.p50,
            max(self.whole_s.p90, shift + calibrated_rest.p90),
        )
        return replace(self, remaining_s=calibrated_rest, whole_s=whole_s)

    def as_data(self) -> JsonObject:
        """The forecast as JSON values."""
        return asdict(self)


def usable(readings: Sequence[tuple[int, int | None, int | None]]) -> list[Reading]:
    """The readings with both counters since the copy began, in the order of time, without repeated moments."""
    complete = [(at, sent, unsent) for at, sent, unsent in readings if sent is not None and unsent is not None]
    series: list[Reading] = []
    for reading in complete:
        if series and (reading[0] <= series[-1][0] or reading[1] < series[-1][1]):
            continue
        if reading[1] == 0:
            series.clear()
            if reading[2] == 0:
                continue
        series.append(reading)
    return series


def copy_state(readings: Sequence[tuple[int, int | None, int | None]]) -> CopyState | None:
    """Infer the state of the copy from its readings; ``None`` before anything was sent."""
    series = usable(readings)
    if not series or not series[-1][1]:
        return None
    at = np.array([reading[0] for reading in series], float) / 1e9
    sent = np.array([reading[1] for reading in series], float)
    unsent = np.array([reading[2] for reading in series], float)
    rate, error = bandwidth(at, sent)
    counting = counting_of(sent, unsent)
    began_s = at[0] - (sent[0] / rate if rate else 0.0)
    read_passes = _grown if counting is Counting.GROWS else _refilled
    number, since_s, pass_left, written = read_passes(at, sent, unsent, began_s)
    return CopyState(
        counting=counting,
        began_ns=int(began_s * 1e9),
        at_ns=series[-1][0],
        known_bytes=float(sent[0] + unsent[0]),
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
    """Bandwidth of the last half minute and its relative error.

    A robust slope; only of the last seconds if the bandwidth has changed. If one-second rates scatter by more than
    `UNSTEADY`, the mean is used, and a few slow seconds do not count as a change.

    >>> bandwidth(np.arange(5.0), np.arange(5.0) * 80)
    (80.0, 0.02)
    """
    recent = at_s >= at_s[-1] - WINDOW_S
    rate, error = _slope(at_s[recent], sent_bytes[recent]), 0.02 if recent.sum() > 4 else 0.1
    if rate is None or len(at_s) < 5:
        return rate, error
    scatter, seconds = _unsteady(at_s[recent], sent_bytes[recent])
    if scatter > UNSTEADY:
        rate = float((sent_bytes[-1] - sent_bytes[recent][0]) / (at_s[-1] - at_s[recent][0]))
        error = max(error, min(scatter / math.sqrt(seconds), 1.0))
    for span, part in CHANGED:
        late = at_s >= min(at_s[-1] - span, at_s[-4])
        short = _slope(at_s[late], sent_bytes[late])
        if short and abs(math.log(short / rate)) > max(part, 3 * scatter / math.sqrt(span)):
            rate, error = short, max(0.05, min(scatter, 1.0))
    return rate, error


def _unsteady(at_s: Floats, sent_bytes: Floats) -> tuple[float, int]:
    """Robust scatter of the logarithms of one-second rates, and their number.

    Computed from successive differences, so a rate that changed once is steady before and after.
    """
    starts = [0]
    for index in range(1, len(at_s)):
        if at_s[index] - at_s[starts[-1]] >= 1.0:
            starts.append(index)
    rates = np.diff(sent_bytes[starts]) / np.diff(at_s[starts])
    if len(rates) < 3:
        return 0.0, 1
    logs = np.log(np.maximum(rates, 1e-3 * max(float(rates.max()), 1.0)))
    return 1.4826 / math.sqrt(2) * float(np.median(np.abs(np.diff(logs)))), len(rates)


def _slope(at_s: Floats, values: Floats) -> float | None:
    """Median slope between readings that are at least half of the span apart; ``None`` if not positive."""
    step = max(1, len(at_s) // 60)
    at_s, values = at_s[::-step][::-1], values[::-step][::-1]
    first, second = np.triu_indices(len(at_s), 1)
    apart = at_s[second] - at_s[first]
    wide = apart >= 0.5 * (at_s[-1] - at_s[0])
    if not len(apart) or not apart[wide].any():
        return None
    slope = float(np.median((values[second] - values[first])[wide] / apart[wide]))
    return slope if slope > 0 else None


def counting_of(sent: Floats, unsent: Floats) -> Counting:
    """The meaning of "remaining", from the growth of sent plus left."""
    growth = np.diff(sent + unsent)
    if len(growth) < 2 or growth.clip(0).sum() < 0.01 * (sent[0] + unsent[0]):
        return Counting.UNKNOWN
    return Counting.GROWS if np.median(growth) > 0.2 * growth.mean() else Counting.REFILLS


Passes = tuple[int, float, float, list[WriteObservation]]


def _refilled(at: Floats, sent: Floats, unsent: Floats, began_s: float) -> Passes:
    """Passes of `Counting.REFILLS`: a pass ends between two readings when sent plus left grew by a step."""
    growth, moved = np.diff(sent + unsent), np.diff(sent)
    noise = np.maximum(0.004 * (sent[0] + unsent[0]), 0.2 * moved)
    written: list[WriteObservation] = []
    since, number = began_s, 1
    for index in np.flatnonzero(growth > noise):
        span, before, sending = float(at[index + 1] - at[index]), float(unsent[index]), float(moved[index])
        # If no more was unsent than was sent in between, the pass ended as that ran out; otherwise at an
        # unknown moment.
        ran_out = before < sending
        edge = float(at[index]) + span * (before / sending if ran_out else 0.5)
        unsent_then = 0.0 if ran_out else before - sending / 2
        written.append(
            WriteObservation(number, edge - since, float(growth[index]), unsent_then, span / (10 if ran_out else 3))
        )
        since, number = edge, number + 1
    return number, since, float(unsent[-1]), written


def _grown(at: Floats, sent: Floats, unsent: Floats, began_s: float) -> Passes:
    """Passes of `Counting.GROWS`: a pass ends when the memory unsent at its begin was sent. Four samples per pass."""
    total = sent + unsent
    written: list[WriteObservation] = []
    since, number = began_s, 1
    base = size_end = float(total[0])
    while True:
        complete = sent[-1] >= size_end
        until = float(np.interp(size_end, sent, at)) if complete else float(at[-1])
        for part in (0.25, 0.5, 0.75, 1.0):
            moment = since + part * (until - since)
            grown = float(np.interp(moment, at, total)) - base
            if moment > at[0] and grown > 0:
                written.append(WriteObservation(number, moment - since, grown))
        following = float(np.interp(until, at, total))
        if not complete or following <= size_end:
            break
        since, number, base, size_end = until, number + 1, following, following
    return number, since, max(0.0, size_end - float(sent[-1])), written


def draw_writing(
    state: CopyState, prior: WriteDistribution, max_bytes: float, rng: np.random.Generator, count: int
) -> tuple[Floats, Floats, Flags]:
    """Draw dirty rate, writable set and write order from their posterior given the observed writes.

    A grid of rate and set, first coarse, then finer around the most probable values, weighted by prior and likelihood.
    """
    shares, parts = [], []
    for in_order in (False, True):
        rates, spans = _wide(state, prior, max_bytes)
        for _ in range(2):
            rate, span = (grid.ravel() for grid in np.meshgrid(rates, spans))
            weights = np.exp(_normal(_fit(state, prior, max_bytes, rate, span, in_order)))
            rates, spans = _narrower(rate, weights, rates), _narrower(span, weights, spans)
        rate, span = (grid.ravel() for grid in np.meshgrid(rates, spans))
        score = _fit(state, prior, max_bytes, rate, span, in_order)
        cell = np.log((rates[1] - rates[0]) * (spans[1] - spans[0]))
        shares.append(float(np.logaddexp.reduce(score + cell)))
        parts.append(_sampled(rates, spans, rate, span, np.exp(_normal(score)), rng, count))
    probability = 1 / (1 + math.exp(min(50.0, shares[0] - shares[1])))
    in_order_flags = (np.arange(count) + 0.5) / count < probability
    rng.shuffle(in_order_flags)
    rate = np.where(in_order_flags, parts[1][0], parts[0][0])
    span = np.where(in_order_flags, parts[1][1], parts[0][1])
    return rate, np.minimum(span, max_bytes), in_order_flags


def _normal(score: Floats) -> Floats:
    return np.asarray(score - score.max(), dtype=np.float64)


def _wide(state: CopyState, prior: WriteDistribution, max_bytes: float) -> tuple[Floats, Floats]:
    """The coarse grid: the range of the prior, extended to the observed writes."""
    dirty, writable = prior.dirty_bytes_per_s, prior.writable_bytes
    rates = np.log(dirty.median) + np.linspace(-4, 4, 41) * max(dirty.spread, 0.05)
    spans = np.log(min(writable.median, max_bytes)) + np.linspace(-4, 4, 31) * max(writable.spread, 0.05)
    spans = np.linspace(spans[0], min(spans[-1], math.log(max_bytes)), 31)
    if state.written:
        sightings = np.log(
            [max(1.0, observation.added_bytes / max(observation.age_s, 1e-3)) for observation in state.written]
        )
        rates = np.linspace(min(rates[0], sightings.min() - 0.5), max(rates[-1], sightings.max() + 1.5), 41)
    return rates, spans


def _sampled(
    rates: Floats, spans: Floats, rate: Floats, span: Floats, weights: Floats, rng: np.random.Generator, count: int
) -> tuple[Floats, Floats]:
    """Draw grid points by weight, each jittered within its cell."""
    positions = (np.arange(count) + rng.random(count)) / count
    chosen = np.searchsorted(np.cumsum(weights) / weights.sum(), positions).clip(0, len(weights) - 1)
    rng.shuffle(chosen)
    jitter = rng.random((2, count)) - 0.5
    rates_drawn = np.exp(rate[chosen] + jitter[0] * (rates[1] - rates[0]))
    return rates_drawn, np.exp(span[chosen] + jitter[1] * (spans[1] - spans[0]))


def _narrower(values: Floats, weights: Floats, grid: Floats) -> Floats:
    """A grid with the same number of points around the most probable values."""
    middle = float(np.average(values, weights=weights))
    sigma = float(np.sqrt(np.average((values - middle) ** 2, weights=weights)))
    reach = max(4 * sigma, 2 * float(grid[1] - grid[0]))
    return np.linspace(middle - reach, middle + reach, len(grid))


def _fit(
    state: CopyState, prior: WriteDistribution, max_bytes: float, log_rate: Floats, log_span: Floats, in_order: bool
) -> Floats:
    """Log posterior of the grid points: prior plus a Student likelihood (4 degrees) that discounts outliers."""
    span = np.minimum(np.exp(log_span), max_bytes)
    rate, order = np.exp(log_rate), np.full(len(span), in_order)
    score = prior.log_weight(log_rate, log_span, in_order) - 1e3 * (np.exp(log_span) > 1.02 * max_bytes)
    numbers = [observation.number for observation in state.written]
    for observation in state.written:
        expected = dirtied_bytes(rate, span, order, max(observation.age_s, 1e-3))
        expected = added_bytes(
            expected, np.full_like(span, observation.kept_bytes), span, order, observation.number == 1
        )
        scale = PASS_ERROR * expected + rate * observation.age_error_s + 1.0
        off = (expected - observation.added_bytes) / scale
        # Four samples of one pass are one observation; an old pass weighs less than the last ones.
        share = 0.95 ** min(max(numbers) - observation.number, 6) / numbers.count(observation.number)
        score = score - share * (np.log(scale) + 2.5 * np.log1p(off**2 / 4))
    return score


def forecast(
    readings: Sequence[tuple[int, int | None, int | None]],
    expected: MoveDistribution,
    *,
    count: int = DRAWS,
    seed: int = 1,
) -> Forecast | None:
    """Forecast the rest of the copy from readings, oldest first; ``None`` before bytes and bandwidth are known."""
    state = copy_state(readings)
    if state is None or state.bytes_per_s is None:
        return None
    draws = _fitting(state, expected, count, seed)
    outcomes = run_copy(draws, expected.rules, state.pass_left_bytes, state.pass_age_s, state.pass_number == 1)
    rng = np.random.default_rng(seed + 1)
    scatter = np.exp(0.02 * rng.standard_normal(count))
    late = (
        expected.lag_s + expected.lag_per_pass_s * outcomes.passes + expected.lag_error_s * rng.standard_normal(count)
    )
    rest_s = np.maximum(outcomes.copy_s * scatter + late, 0.0)
    stall = float(1 - outcomes.converged.mean())
    claimed = Quantiles.of(rest_s)
    return Forecast(
        remaining_s=claimed,
        whole_s=Quantiles.of(outcomes.whole_s - outcomes.copy_s + rest_s),
        suspended_s=Quantiles.of(outcomes.suspended_s),
        stall=stall,
        # Do not warn from the prior alone: writes must have been observed.
        will_not_converge=bool(state.written) and stall >= SURE and _stall_at_best(state, draws, expected) >= SURE,
        counting=state.counting,
        passes=state.pass_number,
        bytes_per_s=state.bytes_per_s,
        dirty_bytes_per_s=float(np.median(draws.dirty_bytes_per_s)),
        writable_bytes=float(np.median(draws.writable_bytes)),
        age_s=(state.at_ns - state.began_ns) / 1e9,
        claimed=claimed,
        effects=effects_of(outcomes.suspended_s, expected.effects, seed + 3),
    )


def _stall_at_best(state: CopyState, draws: Draws, expected: MoveDistribution) -> float:
    """Probability of a stall if a bandwidth that has just dropped recovers: a dip of a second is no reason to warn."""
    recovery = max(1.0, (state.steady_bytes_per_s or 0.0) / (state.bytes_per_s or 1.0))
    hopeful = replace(draws, bytes_per_s=draws.bytes_per_s * recovery)
    outcomes = run_copy(hopeful, expected.rules, state.pass_left_bytes, state.pass_age_s, state.pass_number == 1)
    return float(1 - outcomes.converged.mean())


def _fitting(state: CopyState, expected: MoveDistribution, count: int, seed: int) -> Draws:
    """Draws of all parameters, given the state of the copy."""
    assert state.bytes_per_s is not None
    drawn = expected.draws(count, seed)
    rng = np.random.default_rng(seed + 2)
    max_bytes = max(state.known_bytes, 1.0)
    dirty, writable, in_order = draw_writing(state, expected.writing, max_bytes, rng, count)
    return Draws(
        touched_bytes=np.full(count, max_bytes),
        bytes_per_s=LogNormal(state.bytes_per_s, state.bytes_per_s_error).draw(rng, count),
        dirty_bytes_per_s=dirty,
        writable_bytes=writable,
        in_order=in_order,
        stop_bytes=drawn.stop_bytes,
        fixed_s=drawn.fixed_s,
        switch_bytes_per_s=drawn.switch_bytes_per_s,
        residual_share=drawn.residual_share,
        around_s=drawn.around_s * 0.4,
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parameters fitted to the whole series of a past copy; later moves are predicted from them."""

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
    readings: Sequence[tuple[int, int | None, int | None]], expected: MoveDistribution, end_ns: int | None = None
) -> Fitted | None:
    """Fit a copy that is over; ``None`` if its readings show no copy.

    ``end_ns`` is the end of the copy if it is known better than from the readings.
    """
    series = usable(readings)
    state = copy_state(series)
    if state is None:
        return None
    end_s = _last_sent(series) if end_ns is None else end_ns / 1e9
    began_s = state.began_ns / 1e9
    if end_s <= began_s:
        return None
    prior = expected.writing
    wide = WriteDistribution(
        LogNormal(prior.dirty_bytes_per_s.median, 2.0), LogNormal(prior.writable_bytes.median, 1.0)
    )
    rng = np.random.default_rng(1)
    dirty, writable, in_order = draw_writing(state, wide, max(state.known_bytes, 1.0), rng, 200)
    figures = Fitted(
        began_ns=state.began_ns,
        bytes_per_s=state.sent_bytes / (end_s - began_s),
        touched_bytes=state.known_bytes,
        dirty_bytes_per_s=float(np.median(dirty)),
        writable_bytes=float(np.median(writable)),
        in_order=float(in_order.mean()),
        last_left_bytes=float(series[-1][2]),
        sent_bytes=state.sent_bytes,
        copy_s=end_s - began_s,
        passes=state.pass_number,
    )
    lag_s, lag_passes = _lag(series, figures, expected, end_s)
    return replace(figures, lag_s=lag_s, lag_passes=lag_passes)


def _lag(series: Sequence[Reading], figures: Fitted, expected: MoveDistribution, end_s: float) -> tuple[float, float]:
    """Delay of the copy's actual end against the simulated one with known parameters, and the passes remaining then.

    The means of a few moments of the copy: work of the manager besides sending.
    """
    lags = []
    for part in (0.5, 0.6, 0.7, 0.8):
        index = int(part * len(series))
        state = copy_state(series[: index + 1])
        if state is None or state.bytes_per_s is None:
            continue
        draw = replace(
            expected.draws(1, 1),
            touched_bytes=np.array([figures.touched_bytes]),
            bytes_per_s=np.array([state.bytes_per_s]),
            dirty_bytes_per_s=np.array([figures.dirty_bytes_per_s]),
            writable_bytes=np.array([figures.writable_bytes]),
            in_order=np.array([figures.in_order > 0.5]),
            stop_bytes=np.array([expected.stop_bytes.median]),
        )
        outcomes = run_copy(draw, expected.rules, state.pass_left_bytes, state.pass_age_s, state.pass_number == 1)
        if outcomes.converged[0]:
            lags.append((end_s - state.at_ns / 1e9 - float(outcomes.copy_s[0]), float(outcomes.passes[0])))
    return (
        (float(np.mean([lag for lag, _ in lags])), float(np.mean([count for _, count in lags]))) if lags else (0.0, 0.0)
    )


def _last_sent(series: Sequence[Reading]) -> float:
    """Time of the last change of the sent counter, in seconds of the monotonic clock."""
    moved = [after[0] for before, after in pairwise(series) if after[1] > before[1]]
    return (moved[-1] if moved else series[-1][0]) / 1e9
