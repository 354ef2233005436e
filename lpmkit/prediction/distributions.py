"""Distributions of the figures of a move, and draws from them. Bytes, seconds, bytes per second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpmkit.prediction.rounds import CopyRules, Draws, Floats

#: Lower limit of any spread: the scatter of equal moves.
MIN_SPREAD = 0.015


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Values exceeded in nine, five and one of ten cases, by the model's own account."""

    p10: float
    p50: float
    p90: float

    @classmethod
    def of(cls, values: Floats) -> Quantiles:
        """The quantiles of samples.

        >>> Quantiles.of(np.arange(101.0))
        Quantiles(p10=10.0, p50=50.0, p90=90.0)
        """
        return cls(*(float(value) for value in np.quantile(values, (0.1, 0.5, 0.9))))

    @classmethod
    def from_data(cls, data: Mapping[str, float] | None) -> Quantiles | None:
        """Distribution from its stored JSON; `None` stays `None`."""
        return cls(**data) if data else None

    def scaled(self, low: float, middle: float, high: float) -> Quantiles:
        """Multiply each quantile by its factor and sort the results."""
        values = sorted((self.p10 * low, self.p50 * middle, self.p90 * high))
        return Quantiles(*values)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A positive uncertain figure: its median and the standard deviation of its logarithm."""

    median: float
    spread: float

    @property
    def quantiles(self) -> Quantiles:
        """P10, P50 and P90."""
        width = math.exp(self.spread * 1.2816)
        return Quantiles(self.median / width, self.median, self.median * width)

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Draw ``count`` values with the given generator."""
        return self.median * np.exp(self.spread * rng.standard_normal(count))


@dataclass(frozen=True, slots=True)
class WriteDistribution:
    """Distribution of a partition's memory writes.

    The initial dirty rate, the size of the set that is rewritten, and the probability that it is written in address
    order.
    """

    dirty_bytes_per_s: LogNormal
    writable_bytes: LogNormal
    in_order: float = 0.5

    def log_weight(self, log_rate: Floats, log_span: Floats, in_order: bool) -> Floats:
        """The logarithm of the density at these figures, up to a constant."""
        rate = (log_rate - np.log(self.dirty_bytes_per_s.median)) / self.dirty_bytes_per_s.spread
        span = (log_span - np.log(self.writable_bytes.median)) / self.writable_bytes.spread
        order = min(max(self.in_order if in_order else 1 - self.in_order, 0.01), 0.99)
        return np.asarray(np.log(order) - 0.5 * (rate**2 + span**2), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class MoveDistribution:
    """Distribution of all parameters of a move before it begins."""

    touched_bytes: LogNormal
    bytes_per_s: LogNormal
    writing: WriteDistribution
    stop_bytes: LogNormal
    fixed_s: LogNormal
    switch_bytes_per_s: LogNormal
    around_s: LogNormal
    residual_share: float = 1.0
    max_bytes: float = float("inf")
    lag_s: float = 0.0  #: median delay of past copies against the computed end, independent of the passes
    lag_per_pass_s: float = 0.0  #: additional delay for each remaining pass
    lag_error_s: float = 0.0
    effects: Mapping[str, LogNormal] = field(default_factory=dict)  #: multiples of the suspension, by effect
    rules: CopyRules = field(default_factory=CopyRules)

    def draws(self, count: int, seed: int) -> Draws:
        """``count`` draws; the same seed gives the same draws."""
        rng = np.random.default_rng(seed)
        touched = np.minimum(self.touched_bytes.draw(rng, count), self.max_bytes)
        return Draws(
            touched_bytes=touched,
            bytes_per_s=self.bytes_per_s.draw(rng, count),
            dirty_bytes_per_s=self.writing.dirty_bytes_per_s.draw(rng, count),
            writable_bytes=np.minimum(self.writing.writable_bytes.draw(rng, count), touched),
            in_order=rng.random(count) < self.writing.in_order,
            stop_bytes=self.stop_bytes.draw(rng, count),
            fixed_s=self.fixed_s.draw(rng, count),
            switch_bytes_per_s=self.switch_bytes_per_s.draw(rng, count),
            residual_share=np.full(count, self.residual_share),
            around_s=self.around_s.draw(rng, count),
        )


def pooled(prior: LogNormal, levels: Sequence[tuple[Sequence[float], float]]) -> LogNormal:
    """Update a distribution with past figures, level by level, from the site down to the same partition.

    Normal on the logarithm. A level is a pair: its figures without those of narrower levels, and their assumed scatter.
    Each level moves the median towards the median of its figures, the more figures the further. The resulting spread
    includes the scatter of the narrowest level.

    >>> pooled(LogNormal(80.0, 0.6), [])
    LogNormal(median=80.0, spread=0.6)
    >>> round(pooled(LogNormal(80.0, 0.6), [([100.0, 101.0, 99.0], 0.08)]).median)
    100
    """
    middle, variance, apart = math.log(prior.median), prior.spread**2, 0.0
    for values, scatter in levels:
        logs = [math.log(value) for value in values if value > 0]
        if logs:
            # A figure of the wider level holds for its members only within its scatter.
            variance += apart
            apart = _scatter(logs, scatter**2)
            # The median of n figures is as good as the mean of two thirds of them.
            precision = max(1.0, len(logs) / 1.57) / apart
            middle = (middle / variance + float(np.median(logs)) * precision) / (1 / variance + precision)
            variance = 1 / (1 / variance + precision)
    if not apart:
        return prior
    return LogNormal(math.exp(middle), min(math.sqrt(variance + apart), max(prior.spread, MIN_SPREAD)))


def _scatter(logarithms: Sequence[float], prior_variance: float) -> float:
    """Variance within a level: the assumed one while there are few figures, then more and more the observed one."""
    middle, count = float(np.median(logarithms)), len(logarithms)
    own = (1.4826 * float(np.median(np.abs(np.asarray(logarithms) - middle)))) ** 2
    return max((3 * prior_variance + (count - 1) * own) / (count + 2), MIN_SPREAD**2)
