"""Calibration of the interval widths of forecasts, learned from past copies. Pure functions.

P10 and P90 of the model are estimates of its own error. Past copies show the actual error in units of the claimed
width:
the quantiles of these scores scale the next intervals (split-conformal). Many forecasts of one copy are one
observation,
so they share one vote. A forecast near the end of a copy is compared with those near the end of others, and newer
copies
weigh more, which follows a site that changes (adaptive conformal inference, Gibbs and Candès 2021, in its batch form).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.rounds import Floats

#: Votes of the model's own interval, decreasing to none at `MIN_COPIES` past copies. A choice:
#: four votes keep the first few copies from dominating.
OWN_CLAIM, MIN_COPIES = 4.0, 20
#: Width of the kernel that compares forecasts by the elapsed share of the copy.
ALIKE = 0.15
#: Weight of a copy relative to the next newer one: a half after 34 copies.
FADES = 0.98
MIN_WIDTH_S = 0.01
#: Limit of the factor that widens or narrows an interval.
MAX_STRETCH = 8.0


@dataclass(frozen=True, slots=True)
class PastForecast:
    """One forecast of a past copy: elapsed share at that time, claimed interval and actual rest (seconds)."""

    elapsed: float
    claimed: Quantiles
    left_s: float

    @property
    def score(self) -> float:
        """Error of a forecast in units of its claimed half width; positive if more time was left than forecast."""
        off = self.left_s - self.claimed.p50
        half = self.claimed.p90 - self.claimed.p50 if off > 0 else self.claimed.p50 - self.claimed.p10
        return off / max(half, MIN_WIDTH_S)


def elapsed_share(age_s: float, left_s: float) -> float:
    """Share of a copy that has elapsed ``age_s`` after its begin, with ``left_s`` to go.

    >>> elapsed_share(3.0, 1.0)
    0.75
    """
    return age_s / max(age_s + left_s, 1e-9)


class Calibration:
    """Interval widths learned from past copies. ``copies`` holds the forecasts of each, oldest first; without any,
    intervals stay unchanged.

    ``copies`` holds the forecasts of each copy, oldest first; without any, intervals stay unchanged.
    """

    def __init__(self, copies: Sequence[Sequence[PastForecast]]) -> None:
        nonempty = [copy for copy in copies if copy]
        self._count = len(nonempty)
        self._copy = np.array([number for number, copy in enumerate(nonempty) for _ in copy], int)
        self._score = np.array([forecast.score for copy in nonempty for forecast in copy])
        self._elapsed = np.array([forecast.elapsed for copy in nonempty for forecast in copy])

    def widened(self, claimed: Quantiles, share_now: float) -> Quantiles:
        """Widen or narrow the interval so that it would have held in the past; P50 stays."""
        low, high = self.factors(share_now)
        return Quantiles(
            max(0.0, claimed.p50 - low * (claimed.p50 - claimed.p10)),
            claimed.p50,
            claimed.p50 + high * (claimed.p90 - claimed.p50),
        )

    def factors(self, share_now: float) -> tuple[float, float]:
        """Factors of the lower and of the upper half of the interval."""
        if not self._count:
            return 1.0, 1.0
        vote = self._votes(share_now)
        votes = float(vote.sum())
        own = max(0.0, OWN_CLAIM - votes * OWN_CLAIM / MIN_COPIES)
        score, vote = np.append(self._score, _CLAIM), np.append(vote, np.full(len(_CLAIM), own / len(_CLAIM)))
        votes += own
        if votes <= 0:
            return 1.0, 1.0
        order = np.argsort(score)
        reached = (np.cumsum(vote[order]) - vote[order] / 2) / votes
        # The next copy may lie beyond all past ones: the conformal bound is slightly wider than the plain quantile.
        outside = max(0.1 * (votes + 1) - 0.5, 0.0) / votes
        low, high = (float(np.interp(part, reached, score[order])) for part in (outside, 1 - outside))
        return min(max(-low, 0.0), MAX_STRETCH), min(max(high, 0.0), MAX_STRETCH)

    def _votes(self, share_now: float) -> Floats:
        """Weight of every forecast. A copy has the weight of its most similar forecast, shared among its forecasts by
        similarity.

        The vote of a copy is the similarity of its most similar forecast; its forecasts share it in proportion to
        similarity.
        """
        alike = np.exp(-0.5 * ((self._elapsed - share_now) / ALIKE) ** 2)
        nearest, together = np.zeros(self._count), np.bincount(self._copy, alike, self._count)
        np.maximum.at(nearest, self._copy, alike)
        faded = nearest * FADES ** np.arange(self._count - 1, -1, -1)
        return np.asarray(alike * (faded / np.maximum(together, 1e-12))[self._copy], dtype=np.float64)


def _normal_scores(count: int) -> list[float]:
    """Midpoints of equal parts of a normal distribution whose P90 is 1."""
    unit = NormalDist(0.0, 1 / NormalDist().inv_cdf(0.9))
    return [unit.inv_cdf((number + 0.5) / count) for number in range(count)]


_CLAIM = np.array(_normal_scores(40))
