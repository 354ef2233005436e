"""The expectation of a move before it begins: from the facts of its partition, and from what past moves teach.

`posterior` makes distributions of both; `lpmkit.prediction.predicting` plays the move with draws from them. Pure
functions; docs/prediction.md has the arithmetic and its limits. Bytes, seconds, bytes per second.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lpmkit.prediction.distributions import LogNormal, MoveDistribution, WriteDistribution, pooled
from lpmkit.prediction.effects import multiples
from lpmkit.prediction.moves import Inputs, ObservedMove, Scale
from lpmkit.prediction.nights import Slowing, slowing, usual_beside
from lpmkit.prediction.rounds import CopyRules

MB = 1e6
#: Only the newest past moves are used.
MAX_HISTORY = 80
#: Minimum number of past moves with known paging before the dirty rate is scaled by paging.
MIN_PAGED = 5
#: Minimum number of past copies before the delay of a pass is estimated.
MIN_LAGS = 5


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
#: (`LPM-LOG`). Nothing shows in advance which network it is, so either is as likely; each figure is the middle of its
#: kind and scatters as that of a known link does. P10 and P90 of both together, 65 and 890 MB/s, are those of the
#: bandwidth.
#: PowerVM resumes before the last page has arrived: only a share of the rest is sent during the suspension.
POWERVM = Prior(
    touched_of_memory=LogNormal(0.85, 0.25),
    touched_of_known=LogNormal(1.0, 0.05),
    bandwidth=LogNormal(240 * MB, 1.02),
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
    bytes_per_s = move.fitted.bytes_per_s * slow.load(move.inputs.beside) ** slow.power
    return replace(move, fitted=replace(move.fitted, bytes_per_s=bytes_per_s))


def _beside(alone: LogNormal, inputs: Inputs, usual: float, slow: Slowing) -> LogNormal:
    """The bandwidth with the copies beside it that the inputs name.

    How far they slow it down is not known exactly: that counts as far as the past copies had more or fewer beside them.
    """
    doubt = slow.error * (math.log(slow.load(inputs.beside)) - math.log(slow.load(usual)))
    return LogNormal(alone.median / slow.load(inputs.beside) ** slow.power, math.hypot(alone.spread, doubt))


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


def level(inputs: Inputs, other: Inputs) -> int:
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
        score -= (0.3, 0.6, 1.0)[level(inputs, move.inputs)] * 2.5 * np.log1p(off**2 / 4)
    weights = np.exp(score - score.max())
    return _belief(fixed_s, weights), _belief(speed, weights)


def _belief(values: Any, weights: Any) -> LogNormal:
    logarithms = np.log(values)
    middle = float(np.average(logarithms, weights=weights))
    spread = math.sqrt(float(np.average((logarithms - middle) ** 2, weights=weights)))
    return LogNormal(math.exp(middle), max(spread, 0.1))
