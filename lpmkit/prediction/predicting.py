"""Prediction of a move before it begins. Bytes, seconds, bytes per second.

`predict` plays the copy with a thousand draws from what is believed (`lpmkit.prediction.prior`,
`lpmkit.prediction.rounds`). The result is corrected by the errors that today's model would have made for the most
similar past moves. During the move `lpmkit.prediction.forecast` renews the rest; `lpmkit.prediction.history` stores
predictions beside actual figures and reads them again as past moves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from lpmkit.prediction.distributions import MIN_SPREAD, MoveDistribution, Quantiles
from lpmkit.prediction.effects import drawn_effects
from lpmkit.prediction.moves import FIGURES, Inputs, ObservedMove, Prediction
from lpmkit.prediction.nights import night_of
from lpmkit.prediction.prior import MAX_HISTORY, MB, POWERVM, Prior, level, posterior
from lpmkit.prediction.rounds import CopyOutcomes, run_copy

DRAWS = 1000
SEED = 20_240_229
#: Number of past moves, the most similar ones, whose errors correct a prediction. A choice, not measured.
NEIGHBOURS = 5
#: From this number of past moves on, the interval comes from their errors and not from the model (split-conformal
#: bounds of 80 % need at least 9 errors; 20 keep the outermost one from deciding alone).
MIN_MOVES = 20


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
    if not usable:
        return "no past moves, so the ranges are wide"
    own = sum(level(inputs, move.inputs) == 2 for move in past)
    return f"{usable} past move{'s' * (usable != 1)}, {own} of this partition over these movers"


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
#: bandwidth of the site is one unknown for all of them and has nine tenths of the variance of what is believed
#: (`lpmkit.prediction.prior.POWERVM`: 1.02 squared beside 0.25 squared of the touched memory, and writing); and with
#: many, before there are two nights: of all moves, and of those that run at the same time (a choice). The share falls
#: from the one to the other: half of the way with so many past moves.
COMMON, COMMON_LATER, HALVED_BY = 0.9, (0.1, 0.3), 5.0
#: Standard scores beyond which an error counts no more: one move that stalled shows nothing of its night.
FAR_OFF = 2.5
#: Nights that this counts as, beside the past nights themselves.
COMMON_COUNTS = 2.0


@dataclass(frozen=True, slots=True)
class Common:
    """Shares of the variance of a duration's error that moves have in common: all of a ``night``, and ``beside`` that
    those that ran at the same time. Both are 0 or more, and 0.95 together at most.
    """

    night: float
    beside: float


def common_shares(past: Sequence[ObservedMove], prior: Prior = POWERVM) -> Common:
    """The shares of a site.

    A pair of moves gives the product of their errors over the mean square of all, in units of what was claimed (the
    intraclass correlation); the pairs of a night count as one. What copies do to one another while they run at the same
    time is in the errors of both, and nothing of it is left for a move that comes later: only pairs that did not run at
    the same time show what all of a night have in common.
    """
    past = tuple(past)[-MAX_HISTORY:]
    at_first, beside_too = (later + (COMMON - later) / (1 + len(past) / HALVED_BY) for later in COMMON_LATER)
    by_night: dict[int, list[tuple[float, tuple[float, float] | None]]] = {}
    for night, move, error in zip(night_of(past), past, leave_one_out(past, prior), strict=True):
        if "whole_s" in error.logs:
            score = error.logs["whole_s"] / error.spreads["whole_s"]
            by_night.setdefault(night, []).append((min(max(score, -FAR_OFF), FAR_OFF), _around_copy(move)))
    several = [moves for moves in by_night.values() if len(moves) > 1]
    if len(by_night) < 2 or not several:
        return Common(at_first, beside_too - at_first)
    square = float(np.mean([score**2 for moves in several for score, _ in moves]))
    apart, together = [], []
    for moves in several:
        pairs = [(one[0] * other[0], _met(one[1], other[1])) for one, other in itertools.combinations(moves, 2)]
        apart += _mean([product for product, met in pairs if not met])
        together += _mean([product for product, met in pairs if met])
    of_night, all_in = (
        min(max((COMMON_COUNTS * guess + sum(told) / square) / (COMMON_COUNTS + len(told)), 0.0), 0.95)
        for guess, told in ((at_first, apart), (beside_too, together))
    )
    return Common(of_night, max(0.0, all_in - of_night))


def _mean(products: Sequence[float]) -> list[float]:
    return [float(np.mean(products))] if products else []


def _around_copy(move: ObservedMove) -> tuple[float, float] | None:
    """A time within which the whole move ran, in seconds since 1970; ``None`` if not known."""
    actual = move.actual
    if move.began_ns is None or actual.copy_s is None or actual.whole_s is None:
        return None
    began_s, around_s = move.began_ns / 1e9, max(0.0, actual.whole_s - actual.copy_s)
    return began_s - around_s, began_s + actual.copy_s + around_s


def _met(span: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return span is not None and other is not None and span[0] < other[1] and other[0] < span[1]


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
