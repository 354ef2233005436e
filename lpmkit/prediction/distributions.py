"""What is believed of a move: figures with their uncertainty, and guesses drawn from them. Bytes, seconds, bytes per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lpmkit.prediction.rounds import CopyRules, Draws, Floats


@dataclass(frozen=True, slots=True)
class Quantiles:
    """What is exceeded in nine of ten, five of ten and one of ten cases, by the model's own account."""

    p10: float
    p50: float
    p90: float

    @classmethod
    def of(cls, values: Floats) -> Quantiles:
        """
        >>> Quantiles.of(np.arange(101.0))
        Quantiles(p10=10.0, p50=50.0, p90=90.0)
        """
        return cls(*(float(value) for value in np.quantile(values, (0.1, 0.5, 0.9))))

    @classmethod
    def from_data(cls, kept: Mapping[str, float] | None) -> Quantiles | None:
        """What was kept as JSON; ``None`` stays ``None``."""
        return cls(**kept) if kept else None

    def scaled(self, low: float, middle: float, high: float) -> Quantiles:
        """Each quantile times its factor, in order whatever the factors are."""
        values = sorted((self.p10 * low, self.p50 * middle, self.p90 * high))
        return Quantiles(*values)


@dataclass(frozen=True, slots=True)
class Belief:
    """A positive figure one is not sure of: its median, and how far it may be off as the deviation of its logarithm."""

    median: float
    spread: float

    def draw(self, dice: np.random.Generator, count: int) -> Floats:
        return self.median * np.exp(self.spread * dice.standard_normal(count))


@dataclass(frozen=True, slots=True)
class Writing:
    """What is believed of how a partition writes: the rate at first, the set written again and again, and how likely it goes through it in order."""

    dirty_bytes_per_s: Belief
    writable_bytes: Belief
    in_order: float = 0.5

    def log_weight(self, log_rate: Floats, log_span: Floats, in_order: bool) -> Floats:
        """The logarithm of the belief in these figures."""
        rate = (log_rate - np.log(self.dirty_bytes_per_s.median)) / self.dirty_bytes_per_s.spread
        span = (log_span - np.log(self.writable_bytes.median)) / self.writable_bytes.spread
        order = min(max(self.in_order if in_order else 1 - self.in_order, 0.01), 0.99)
        return np.asarray(np.log(order) - 0.5 * (rate**2 + span**2), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is believed of a move before it begins, each figure with its uncertainty."""

    touched_bytes: Belief
    bytes_per_s: Belief
    writing: Writing
    stop_bytes: Belief
    fixed_s: Belief
    switch_bytes_per_s: Belief
    around_s: Belief
    residual_share: float = 1.0
    most_bytes: float = float("inf")
    lag_s: float = 0.0  #: how much later past copies ended than the rounds said, whatever their number
    lag_per_pass_s: float = 0.0  #: and besides for every pass that was still to come
    lag_error_s: float = 0.0
    rules: CopyRules = field(default_factory=CopyRules)

    def draws(self, count: int, seed: int) -> Draws:
        """So many guesses; the same seed gives the same."""
        dice = np.random.default_rng(seed)
        touched = np.minimum(self.touched_bytes.draw(dice, count), self.most_bytes)
        return Draws(
            touched_bytes=touched,
            bytes_per_s=self.bytes_per_s.draw(dice, count),
            dirty_bytes_per_s=self.writing.dirty_bytes_per_s.draw(dice, count),
            writable_bytes=np.minimum(self.writing.writable_bytes.draw(dice, count), touched),
            in_order=dice.random(count) < self.writing.in_order,
            stop_bytes=self.stop_bytes.draw(dice, count),
            fixed_s=self.fixed_s.draw(dice, count),
            switch_bytes_per_s=self.switch_bytes_per_s.draw(dice, count),
            residual_share=np.full(count, self.residual_share),
            around_s=self.around_s.draw(dice, count),
        )
