"""Prediction of a move before it begins. Bytes, seconds, bytes per second.

`posterior` combines the facts of the partition with the site's past moves into distributions, and `predict`
simulates the copy with a thousand draws from them (`lpmkit.prediction.rounds`). The result is corrected by the
errors that today's model would have made for the most similar past moves. During the move
`lpmkit.prediction.forecast` renews the rest; `lpmkit.prediction.history` stores predictions beside actual figures
and reads them again as past moves.

Nothing here reads or writes files. docs/prediction.md has the arithmetic and its limits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.prediction.calibration import PastForecast
from lpmkit.prediction.distributions import (
    MIN_SPREAD,
    LogNormal,
    MoveDistribution,
    Quantiles,
    WriteDistribution,
    pooled,
)
from lpmkit.prediction.effects import FIRST_DAY, drawn_effects, multiples
from lpmkit.prediction.forecast import Fitted
from lpmkit.prediction.nights import Slowing, night_of, slowing, usual_beside
from lpmkit.prediction.rounds import CopyOutcomes, CopyRules, run_copy

MB = 1e6
DRAWS = 1000
SEED = 20_240_229
#: Number of past moves, the most similar ones, whose errors correct a prediction. A choice, not measured.
NEIGHBOURS = 5
#: From this number of past moves on, the interval comes from their errors and not from the model (split-conformal
#: bounds of 80 % need at least 9 errors; 20 keep the outermost one from deciding alone).
MIN_MOVES = 20
#: Only the newest past moves are used.
MAX_HISTORY = 80
#: Minimum number of past moves with known paging before the dirty rate is scaled by paging.
MIN_PAGED = 5
#: Minimum number of past copies before the delay of a pass is estimated.
MIN_LAGS = 5
#: The effects of a move beside its suspension.
EFFECTS = tuple(FIRST_DAY)
#: The predicted figures, as the fields of `Prediction` and `Actual` are called.
FIGURES = ("copy_s", "whole_s", "sent_bytes", "suspended_s", *EFFECTS)
#: Their labels for people.
LABELS = {
    "copy_s": "copy",
    "whole_s": "whole move",
    "sent_bytes": "bytes sent",
    "suspended_s": "suspension",
    "session_outage_s": "session outage",
    "brown_out_s": "brown-out",
    "job_delay_s": "delay of SAP jobs",
    "commit_stall_s": "commit stall",
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Known facts about a move before it begins; `None` for unknown ones. ``movers`` names the pair of movers, in the
    direction of the move.

    ``None`` where unknown. ``movers`` names source and destination, in this order.
    """

    partition: str
    movers: str
    memory_bytes: float
    touched_bytes: float | None = None
    dirty_bytes_per_s: float | None = None
    writable_bytes: float | None = None
    link_bytes_per_s: float | None = None
    virtual_processors: int | None = None
    #: Memory in use as the partition reports it: touched memory lies between this and all memory.
    in_use_bytes: float | None = None
    #: Paged bytes per second, in and out: an indicator of the dirty rate.
    paging_bytes_per_s: float | None = None
    #: Other copies over one of the same frames, as a mean over the time of the copy.
    beside: float = 0.0
    #: SAP systems and databases whose jobs and commits the move may hold up.
    has_sap: bool = True
    has_databases: bool = True

    @property
    def bracket_bytes(self) -> float | None:
        """Geometric mean of memory in use and all memory; ``None`` without the former."""
        return math.sqrt(min(self.in_use_bytes, self.memory_bytes) * self.memory_bytes) if self.in_use_bytes else None

    @property
    def known_bytes(self) -> float:
        """Touched memory if known or bracketed, otherwise all memory."""
        return self.touched_bytes or self.bracket_bytes or self.memory_bytes


#: A factor that is computed from the inputs of a move.
Scale = Callable[[Inputs], float]


@dataclass(frozen=True, slots=True)
class Actual:
    """Outcome of a move; `None` for figures that were not observed."""

    copy_s: float | None = None
    whole_s: float | None = None
    sent_bytes: float | None = None
    suspended_s: float | None = None
    session_outage_s: float | None = None
    brown_out_s: float | None = None
    job_delay_s: float | None = None
    commit_stall_s: float | None = None

    @property
    def effects(self) -> dict[str, float | None]:
        """The effects beside the suspension, by name."""
        return {name: getattr(self, name) for name in EFFECTS}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction before the move. ``stall`` is the probability that the copy does not converge, ``past_moves`` the
    number of moves behind it.

    ``stall`` is the probability that the copy does not converge; ``past_moves`` is the number of moves it is based on.
    """

    copy_s: Quantiles
    whole_s: Quantiles
    sent_bytes: Quantiles
    suspended_s: Quantiles
    stall: float
    past_moves: int
    basis: str
    #: ``None`` in predictions of earlier versions, and for what the partition does not have.
    session_outage_s: Quantiles | None = None
    brown_out_s: Quantiles | None = None
    job_delay_s: Quantiles | None = None
    commit_stall_s: Quantiles | None = None

    def figure(self, name: str) -> Quantiles | None:
        """One of `FIGURES`; ``None`` where it was not predicted."""
        predicted: Quantiles | None = getattr(self, name)
        return predicted

    def ranges(self) -> str:
        """P10 … P90 of copy, suspension and effects for people."""
        copy, suspended = self.copy_s, self.suspended_s
        parts = [f"copy {copy.p10:.0f} … {copy.p90:.0f} s", f"suspended {suspended.p10:.1f} … {suspended.p90:.1f} s"]
        for name in EFFECTS:
            if (predicted := self.figure(name)) is not None:
                parts.append(f"{LABELS[name]} {predicted.p10:.1f} … {predicted.p90:.1f} s")
        return ", ".join(parts)

    def sentence(self) -> str:
        """The prediction for people: P10 … P90 as the range of 4 of 5 moves, and what it is based on."""
        risk = f"; {self.stall:.0%} risk that the copy does not converge" if self.stall >= 0.1 else ""
        return f"{self.ranges()} (4 of 5 moves are expected to lie in each range; based on {self.basis}){risk}"

    def as_data(self) -> JsonObject:
        """The prediction as JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: JsonMapping) -> Prediction:
        """Inverse of `as_data`."""
        figures: dict[str, Any] = {name: Quantiles.from_data(data.get(name)) for name in EFFECTS}
        figures |= {name: Quantiles(**data[name]) for name in FIGURES if name not in EFFECTS}
        return cls(**figures, stall=data["stall"], past_moves=data["past_moves"], basis=data["basis"])


@dataclass(frozen=True, slots=True)
class ObservedMove:
    """A past move: inputs, actual figures, fitted parameters, prediction, and the forecasts during its copy
    (``held``). ``began_ns`` is when its copy began, in nanoseconds since 1970; ``None`` where that was not kept.
    """

    inputs: Inputs
    actual: Actual
    fitted: Fitted | None = None
    predicted: Prediction | None = None
    held: tuple[PastForecast, ...] = ()
    began_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Prior:
    """Site-independent prior distributions: wide, and for PowerVM partly guessed (docs/prediction.md has the details).

    Fields named ``…_of_…`` are factors on the named input and apply if that input is known.
    """

    touched_of_memory: LogNormal
    touched_of_known: LogNormal
    bandwidth: LogNormal
    bandwidth_of_link: LogNormal
    dirty: LogNormal
    dirty_of_known: LogNormal
    writable_of_touched: LogNormal
    writable_of_known: LogNormal
    stop_bytes: LogNormal
    fixed_s: LogNormal
    switch_bytes_per_s: LogNormal
    around_s: LogNormal
    residual_share: float
    rules: CopyRules


#: A stream on 1 Gb Ethernet has about 80 MB/s (`DW-LPM`), a mover's log on a faster network shows 725 MB/s
#: (`LPM-LOG`): taken for P10 and P90 of the bandwidth, since nothing tells beforehand which network it is.
#: PowerVM resumes before the last page has arrived: only a share of the rest is sent during the suspension.
POWERVM = Prior(
    touched_of_memory=LogNormal(0.85, 0.25),
    touched_of_known=LogNormal(1.0, 0.05),
    bandwidth=LogNormal(240 * MB, 0.86),
    bandwidth_of_link=LogNormal(0.8, 0.25),
    dirty=LogNormal(8 * MB, 1.3),
    dirty_of_known=LogNormal(1.0, 0.2),
    writable_of_touched=LogNormal(0.1, 0.9),
    writable_of_known=LogNormal(1.0, 0.4),
    stop_bytes=LogNormal(48 * MB, 0.8),
    fixed_s=LogNormal(1.2, 0.6),
    switch_bytes_per_s=LogNormal(100 * MB, 0.6),
    around_s=LogNormal(35.0, 0.6),
    residual_share=0.3,
    rules=CopyRules(),
)

#: Assumed scatter (standard deviation of logarithms) while there are few past figures: over the site, and for one
#: partition or one pair of movers. Guesses; `_scatter` replaces them by the observed scatter as moves accumulate.
OVER_SITE, OVER_PAIR = 0.45, 0.08


def posterior(inputs: Inputs, past: Sequence[ObservedMove], prior: Prior = POWERVM) -> MoveDistribution:
    """The distribution of a move's parameters, given its inputs and past moves."""
    slow = slowing(past)
    usual = usual_beside(past)
    fitted_moves = [_alone(move, slow) for move in past if move.fitted is not None]

    def learn(prior_factor: LogNormal, figure: str, scale_by: str | Scale | None, *alike: str) -> LogNormal:
        """The distribution of ``figure`` (a field of `Fitted`), learned as a factor on an input.

        ``scale_by`` is that input; ``alike`` are the inputs that narrow down past moves, in this order.
        """

        def scale_of(move_inputs: Inputs) -> float:
            """The value that ``figure`` is relative to."""
            if scale_by is None:
                return 1.0
            return float((scale_by(move_inputs) if callable(scale_by) else getattr(move_inputs, scale_by)) or 0)

        scale = scale_of(inputs)
        values: list[list[float]] = [[] for _ in range(len(alike) + 1)]
        for move in fitted_moves:
            reference = scale_of(move.inputs)
            if reference > 0:
                depth = _depth(inputs, move.inputs, alike)
                values[depth].append(getattr(move.fitted, figure) / reference)
        apart = [OVER_SITE, *(OVER_PAIR for _ in alike)]
        factor = pooled(prior_factor, list(zip(values, apart, strict=True)))
        return LogNormal(factor.median * scale, factor.spread)

    touched_belief, touched = _touched(inputs, prior)
    span = "writable_bytes" if inputs.writable_bytes else "known_bytes"
    link = "link_bytes_per_s" if inputs.link_bytes_per_s else None
    dirty: str | Scale = "dirty_bytes_per_s" if inputs.dirty_bytes_per_s else by_paging(fitted_moves)
    dirty_belief = prior.dirty_of_known if inputs.dirty_bytes_per_s else prior.dirty
    fixed, switch = _switch_over(inputs, fitted_moves, prior)
    around = [_around(move) for move in fitted_moves]
    lag_s, lag_per_pass_s, lag_error_s = _lag(fitted_moves)
    return MoveDistribution(
        touched_bytes=learn(touched_belief, "touched_bytes", touched, "partition"),
        bytes_per_s=_beside(
            learn(prior.bandwidth_of_link if link else prior.bandwidth, "bytes_per_s", link, "movers", "partition"),
            inputs,
            usual,
            slow,
        ),
        writing=WriteDistribution(
            _positive(inputs, learn(dirty_belief, "dirty_bytes_per_s", dirty, "partition")),
            learn(
                prior.writable_of_known if inputs.writable_bytes else prior.writable_of_touched,
                "writable_bytes",
                span,
                "partition",
            ),
            _in_order(inputs, fitted_moves),
        ),
        stop_bytes=pooled(
            prior.stop_bytes, [([move.fitted.last_left_bytes for move in fitted_moves if move.fitted], OVER_SITE)]
        ),
        fixed_s=fixed,
        switch_bytes_per_s=switch,
        around_s=pooled(prior.around_s, [([value for value in around if value], OVER_SITE)]),
        residual_share=prior.residual_share,
        max_bytes=inputs.memory_bytes * 1.1,
        lag_s=lag_s,
        lag_per_pass_s=lag_per_pass_s,
        lag_error_s=lag_error_s,
        effects=multiples(
            [(move.inputs.partition, move.actual.suspended_s, move.actual.effects) for move in past], inputs.partition
        ),
        rules=prior.rules,
    )


def _alone(move: ObservedMove, slow: Slowing) -> ObservedMove:
    """The move with the bandwidth that its copy would have had without others beside it."""
    if move.fitted is None or not move.inputs.beside:
        return move
    bytes_per_s = move.fitted.bytes_per_s * (1 + move.inputs.beside) ** slow.power
    return replace(move, fitted=replace(move.fitted, bytes_per_s=bytes_per_s))


def _beside(alone: LogNormal, inputs: Inputs, usual: float, slow: Slowing) -> LogNormal:
    """The bandwidth with the copies beside it that the inputs name.

    How far they slow it down is not known exactly: that counts as far as the past copies had more or fewer beside them.
    """
    doubt = slow.error * (math.log1p(inputs.beside) - math.log1p(usual))
    return LogNormal(alone.median / (1 + inputs.beside) ** slow.power, math.hypot(alone.spread, doubt))


def _touched(inputs: Inputs, prior: Prior) -> tuple[LogNormal, str]:
    """The factor of touched memory and the input it applies to. Memory in use and all memory count as P10 and P90."""
    if inputs.touched_bytes:
        return prior.touched_of_known, "touched_bytes"
    if inputs.in_use_bytes:
        width = math.log(inputs.memory_bytes / min(inputs.in_use_bytes, inputs.memory_bytes))
        return LogNormal(1.0, max(width / 2.563, prior.touched_of_known.spread)), "bracket_bytes"
    return prior.touched_of_memory, "memory_bytes"


def by_paging(past: Sequence[ObservedMove]) -> Scale:
    """Factor between paging and dirty rate over past moves; 1 if too little is known.

    The factor is paging to a power: the median slope of all pairs of moves on logarithms (Theil-Sen), within 0 … 1,
    times their rank correlation (Kendall), so that chance variation gets a power near 0.
    """
    points = [
        (math.log(move.inputs.paging_bytes_per_s + MB / 100), math.log(move.fitted.dirty_bytes_per_s))
        for move in past
        if move.fitted and move.inputs.paging_bytes_per_s is not None and move.fitted.dirty_bytes_per_s > 0
    ]
    pairs = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.combinations(points, 2) if abs(b[0] - a[0]) > 0.05]
    if len(points) < MIN_PAGED or not pairs:
        return lambda _: 1.0
    slope = min(1.0, max(0.0, float(np.median([up / along for along, up in pairs]))))
    agreed = float(np.mean([np.sign(along * up) for along, up in pairs]))
    power, middle = slope * max(0.0, agreed), float(np.median([along for along, _ in points]))

    def factor(inputs: Inputs) -> float:
        """Factor for a move with these inputs."""
        if inputs.paging_bytes_per_s is None:
            return 1.0
        return math.exp(power * (math.log(inputs.paging_bytes_per_s + MB / 100) - middle))

    return factor


def _in_order(inputs: Inputs, past: Sequence[ObservedMove]) -> float:
    """Probability that the partition writes its set in order, from its own past moves; even odds count as two moves."""
    own_moves = [move.fitted.in_order for move in past if move.fitted and move.inputs.partition == inputs.partition]
    return (1.0 + sum(own_moves)) / (2 + len(own_moves))


def _depth(inputs: Inputs, other: Inputs, alike: Sequence[str]) -> int:
    """Number of inputs in ``alike``, taken in order, in which two moves agree."""
    for depth, name in enumerate(alike):
        if getattr(inputs, name) != getattr(other, name):
            return depth
    return len(alike)


def _level(inputs: Inputs, other: Inputs) -> int:
    if inputs.partition == other.partition and inputs.movers == other.movers:
        return 2
    return 1 if inputs.movers == other.movers else 0


def _positive(inputs: Inputs, dirty: LogNormal) -> LogNormal:
    """A small positive dirty rate for a partition that is known to write nothing; the logarithm of zero does not
    exist.
    """
    return LogNormal(max(1.0, inputs.memory_bytes * 1e-5), 0.5) if inputs.dirty_bytes_per_s == 0 else dirty


def _around(move: ObservedMove) -> float | None:
    actual = move.actual
    if actual.whole_s is None or actual.copy_s is None:
        return None
    return actual.whole_s - actual.copy_s - (actual.suspended_s or 0.0)


def _lag(past: Sequence[ObservedMove]) -> tuple[float, float, float]:
    """Delay of past copies against the simulated end, in seconds: constant part, part per remaining pass, robust
    scatter.

    Shrunk towards zero while there are few copies.
    """
    lags = np.array([(move.fitted.lag_s, move.fitted.lag_passes) for move in past if move.fitted]).reshape(-1, 2)
    if not len(lags):
        return 0.0, 0.0, 0.0
    drawn = len(lags) / (len(lags) + 2)
    first, second = np.triu_indices(len(lags), 1)
    more = lags[second, 1] - lags[first, 1]
    apart = np.abs(more) >= 1.0
    per_pass = 0.0
    if len(lags) >= MIN_LAGS and apart.any():
        slopes = (lags[second, 0] - lags[first, 0])[apart] / more[apart]
        per_pass = max(0.0, float(np.median(slopes))) * drawn
    offset = lags[:, 0] - per_pass * lags[:, 1]
    middle = float(np.median(offset))
    return middle * drawn, per_pass, 1.4826 * float(np.median(np.abs(offset - middle)))


def _switch_over(inputs: Inputs, past: Sequence[ObservedMove], prior: Prior) -> tuple[LogNormal, LogNormal]:
    """Fixed part of the suspension and bandwidth during it, fitted to past suspensions on a grid around the prior.

    Moves of the same partition or the same movers weigh more.
    """
    suspended_moves = [move for move in past if move.actual.suspended_s and move.fitted]
    if not suspended_moves:
        return prior.fixed_s, prior.switch_bytes_per_s
    steps = np.linspace(-3.0, 3.0, 49)
    fixed, switch = (grid.ravel() for grid in np.meshgrid(steps, steps))
    score = -0.5 * (fixed**2 + switch**2)
    fixed_s = prior.fixed_s.median * np.exp(fixed * prior.fixed_s.spread)
    speed = prior.switch_bytes_per_s.median * np.exp(switch * prior.switch_bytes_per_s.spread)
    for move in suspended_moves[-MAX_HISTORY:]:
        assert move.fitted is not None
        assert move.actual.suspended_s is not None
        predicted_s = fixed_s + prior.residual_share * move.fitted.last_left_bytes / speed
        off = np.log(move.actual.suspended_s / predicted_s) / 0.3
        score -= (0.3, 0.6, 1.0)[_level(inputs, move.inputs)] * 2.5 * np.log1p(off**2 / 4)
    weights = np.exp(score - score.max())
    return _belief(fixed_s, weights), _belief(speed, weights)


def _belief(values: Any, weights: Any) -> LogNormal:
    logarithms = np.log(values)
    middle = float(np.average(logarithms, weights=weights))
    spread = math.sqrt(float(np.average((logarithms - middle) ** 2, weights=weights)))
    return LogNormal(math.exp(middle), max(spread, 0.1))


def predict(
    inputs: Inputs, past: Sequence[ObservedMove] = (), prior: Prior = POWERVM, *, count: int = DRAWS, seed: int = SEED
) -> Prediction:
    """Predict a move. The same inputs, past moves and seed give the same prediction."""
    past = list(past)[-MAX_HISTORY:]
    expected = posterior(inputs, past, prior)
    draws = expected.draws(count, seed)
    outcomes = run_copy(draws, expected.rules)
    plain = _figures(expected, outcomes, seed)
    errors = leave_one_out(tuple(past), prior)
    corrected: dict[str, Any] = {name: _corrected(inputs, name, plain[name], errors) for name in FIGURES}
    usable = sum(move.actual.copy_s is not None for move in past)
    absent = {"job_delay_s": not inputs.has_sap, "commit_stall_s": not inputs.has_databases}
    corrected |= {name: None for name, is_absent in absent.items() if is_absent}
    return Prediction(**corrected, stall=_stall(outcomes), past_moves=usable, basis=_basis(inputs, past, usable))


def _figures(expected: MoveDistribution, outcomes: CopyOutcomes, seed: int) -> dict[str, Quantiles]:
    """P10, P50 and P90 of each of `FIGURES`, of simulated outcomes."""
    effects = drawn_effects(outcomes.suspended_s, expected.effects, seed + 3)
    return {name: Quantiles.of(effects[name] if name in effects else getattr(outcomes, name)) for name in FIGURES}


def _stall(outcomes: CopyOutcomes) -> float:
    return float(1 - outcomes.converged.mean())


def _basis(inputs: Inputs, past: Sequence[ObservedMove], usable: int) -> str:
    own = sum(_level(inputs, move.inputs) == 2 for move in past)
    same = f", {own} of this partition over these movers" if usable else ""
    return f"{usable} past move{'s' * (usable != 1)}{same}"


@dataclass(frozen=True, slots=True)
class PredictionError:
    """Error of today's model for one past move, predicted from the other moves.

    By figure: the logarithm of actual over predicted, and the standard deviation that the model claimed for it.
    """

    inputs: Inputs
    logs: Mapping[str, float]
    spreads: Mapping[str, float]


@lru_cache(maxsize=4)
def leave_one_out(past: tuple[ObservedMove, ...], prior: Prior = POWERVM) -> tuple[PredictionError, ...]:
    """Predict every past move from those of other nights: corrections and intervals derive from these errors.

    While there is one night only, from its other moves. The errors are those of every move that is predicted from the
    same past, so the last ones are kept.
    """
    errors, nights = [], night_of(past)
    for index, move in enumerate(past):
        other_moves = [other for other, night in zip(past, nights, strict=True) if night != nights[index]]
        if not other_moves:
            other_moves = [*past[:index], *past[index + 1 :]]
        expected = posterior(move.inputs, other_moves, prior)
        outcomes = run_copy(expected.draws(200, SEED + 1), expected.rules)
        logs, spreads, figures = {}, {}, _figures(expected, outcomes, SEED + 1)
        for name in FIGURES:
            actual, predicted = getattr(move.actual, name), figures[name]
            if actual and predicted.p10 > 0:
                logs[name], spreads[name] = math.log(actual / predicted.p50), _spread(predicted)
        errors.append(PredictionError(move.inputs, logs, spreads))
    return tuple(errors)


#: Share of the variance of a duration's error that all moves of a night have in common: without past moves, since the
#: bandwidth of the site is one unknown for all of them; and with many, before two nights tell. Choices. The share falls
#: from the one to the other: half of the way with so many past moves.
COMMON, COMMON_LATER, HALVED_BY = 0.8, 0.3, 5.0
#: Nights that this counts as, beside the past nights themselves.
COMMON_COUNTS = 2.0


def common_share(past: Sequence[ObservedMove], prior: Prior = POWERVM) -> float:
    """Share of the variance of a duration's error that the moves of one night have in common, between 0 and 0.95.

    Each past night with several moves has its own: the mean product of two errors over their mean square, in units of
    what was claimed (the intraclass correlation).
    """
    past = tuple(past)[-MAX_HISTORY:]
    at_first = COMMON_LATER + (COMMON - COMMON_LATER) / (1 + len(past) / HALVED_BY)
    by_night: dict[int, list[float]] = {}
    for night, error in zip(night_of(past), leave_one_out(past, prior), strict=True):
        if "whole_s" in error.logs:
            by_night.setdefault(night, []).append(error.logs["whole_s"] / error.spreads["whole_s"])
    several = [np.array(scores) for scores in by_night.values() if len(scores) > 1]
    if len(by_night) < 2 or not several:
        return at_first
    square = float(np.mean(np.concatenate(several) ** 2))
    products = [(scores.sum() ** 2 - (scores**2).sum()) / (len(scores) * (len(scores) - 1)) for scores in several]
    told = (COMMON_COUNTS * at_first + float(np.sum(products)) / square) / (COMMON_COUNTS + len(products))
    return min(max(told, 0.0), 0.95)


def _spread(predicted: Quantiles) -> float:
    """Standard deviation of the logarithm that corresponds to P10 … P90, at least `MIN_SPREAD`."""
    return max(math.log(predicted.p90 / predicted.p10) / 2.563, MIN_SPREAD)


def _corrected(inputs: Inputs, figure: str, plain: Quantiles, errors: Sequence[PredictionError]) -> Quantiles:
    """The model's figure, corrected by the errors of similar past moves; from `MIN_MOVES` on with a conformal
    interval.
    """
    usable_errors = [error for error in errors if figure in error.logs]
    if len(usable_errors) < 3:
        return plain
    shift = _typical(inputs, figure, usable_errors)
    middle = plain.p50 * math.exp(shift)
    if len(usable_errors) < MIN_MOVES:
        return plain.scaled(math.exp(shift), math.exp(shift), math.exp(shift))
    scores = sorted(
        (error.logs[figure] - _typical(error.inputs, figure, [other for other in usable_errors if other is not error]))
        / error.spreads[figure]
        for error in usable_errors
    )
    # In units of the claimed spread, so that a precise prediction keeps a narrow interval.
    low, high = (bound * _spread(plain) for bound in conformal(scores))
    return Quantiles(middle * math.exp(min(low, 0.0)), middle, middle * math.exp(max(high, 0.0)))


def conformal(errors: Sequence[float], outside: float = 0.1) -> tuple[float, float]:
    """Split-conformal bounds of the next error: it lies beyond either with probability ``outside``, for any
    distribution.

    >>> conformal([float(n) for n in range(1, 20)])
    (2.0, 18.0)
    """
    ordered, count = sorted(errors), len(errors)
    low = max(1, math.floor((count + 1) * outside + 1e-9))
    high = min(count, math.ceil((count + 1) * (1 - outside) - 1e-9))
    return ordered[low - 1], ordered[high - 1]


def _typical(inputs: Inputs, figure: str, errors: Sequence[PredictionError]) -> float:
    """Median error of the most similar past moves, shrunk towards zero while there are few."""
    near = sorted(errors, key=lambda error: distance(inputs, error.inputs))[:NEIGHBOURS]
    return float(np.median([error.logs[figure] for error in near])) * len(near) / (len(near) + 1)


def distance(inputs: Inputs, other: Inputs) -> float:
    """Dissimilarity of two moves: partition, movers, and the ratios of their known figures.

    >>> distance(Inputs("a", "x>y", 1e9), Inputs("a", "x>y", 1e9))
    0.0
    """
    total = 0.5 * (inputs.partition != other.partition) + 0.5 * (inputs.movers != other.movers)
    total += abs(math.log(inputs.known_bytes / other.known_bytes))
    for name in ("dirty_bytes_per_s", "link_bytes_per_s", "writable_bytes", "paging_bytes_per_s"):
        value, other_value = getattr(inputs, name), getattr(other, name)
        if value is not None and other_value is not None:
            total += abs(math.log((value + 1 * MB) / (other_value + 1 * MB)))
    return total
