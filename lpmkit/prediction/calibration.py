"""How wide an interval said during a copy has to be, learned from what was said during past copies. Pure functions.

The model's own P10 and P90 are guesses about its own error. Past copies say how far it really was off, in units of the width that it claimed:
the quantiles of these scores are by how much the next intervals are drawn out or in (split-conformal). Many forecasts of one copy are one observation,
so they share one vote. A forecast near the end of a copy is held against those near the end of others, and newer copies count more, which follows
a site that changes (adaptive conformal inference, Gibbs and Candès 2021, in its batch form).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.rounds import Floats

#: The model's own claim counts as much as so many past copies, less the more of them there are, and nothing from `ENOUGH` on.
OWN_CLAIM, ENOUGH = 4.0, 20
#: Forecasts are alike when the parts of the copy that were said to be over differ by no more than about this.
ALIKE = 0.15
#: A copy counts so much less than the one after it.
FADES = 0.98
MIN_WIDTH_S = 0.01
#: Intervals are drawn in or out by no more than this.
MOST = 8.0


@dataclass(frozen=True, slots=True)
class Held:
    """One forecast of a past copy: the part of the copy that it said was over, what it said by itself, and what was really left (seconds)."""

    gone: float
    said: Quantiles
    left_s: float

    @property
    def score(self) -> float:
        """How far it was off in units of the half width that it claimed; positive when more was left than it said."""
        off = self.left_s - self.said.p50
        half = self.said.p90 - self.said.p50 if off > 0 else self.said.p50 - self.said.p10
        return off / max(half, MIN_WIDTH_S)


def gone(age_s: float, left_s: float) -> float:
    """The part of a copy that is said to be over, ``age_s`` after it began.

    >>> gone(3.0, 1.0)
    0.75
    """
    return age_s / max(age_s + left_s, 1e-9)


class Calibration:
    """What past copies say about the width of an interval. ``copies`` holds the forecasts of each, oldest first; none leaves intervals as they are."""

    def __init__(self, copies: Sequence[Sequence[Held]]) -> None:
        known = [copy for copy in copies if copy]
        self._count = len(known)
        self._copy = np.array([number for number, copy in enumerate(known) for _ in copy], int)
        self._score = np.array([one.score for copy in known for one in copy])
        self._gone = np.array([one.gone for copy in known for one in copy])

    def stretched(self, said: Quantiles, gone_now: float) -> Quantiles:
        """The interval drawn out or in to what held in the past; P50 stays."""
        low, high = self.factors(gone_now)
        return Quantiles(
            max(0.0, said.p50 - low * (said.p50 - said.p10)), said.p50, said.p50 + high * (said.p90 - said.p50)
        )

    def factors(self, gone_now: float) -> tuple[float, float]:
        """By how much the lower and the upper half are stretched."""
        if not self._count:
            return 1.0, 1.0
        vote = self._votes(gone_now)
        votes = float(vote.sum())
        own = max(0.0, OWN_CLAIM - votes * OWN_CLAIM / ENOUGH)
        score, vote = np.append(self._score, _CLAIM), np.append(vote, np.full(len(_CLAIM), own / len(_CLAIM)))
        votes += own
        if votes <= 0:
            return 1.0, 1.0
        order = np.argsort(score)
        reached = (np.cumsum(vote[order]) - vote[order] / 2) / votes
        # Of so many copies the next one may lie beyond all: the conformal bound is a little further out than the plain quantile.
        outside = max(0.1 * (votes + 1) - 0.5, 0.0) / votes
        low, high = (float(np.interp(part, reached, score[order])) for part in (outside, 1 - outside))
        return min(max(-low, 0.0), MOST), min(max(high, 0.0), MOST)

    def _votes(self, gone_now: float) -> Floats:
        """What every forecast counts. A copy's vote is that of its forecast that is most alike, and its forecasts share it by how alike they are."""
        alike = np.exp(-0.5 * ((self._gone - gone_now) / ALIKE) ** 2)
        nearest, together = np.zeros(self._count), np.bincount(self._copy, alike, self._count)
        np.maximum.at(nearest, self._copy, alike)
        faded = nearest * FADES ** np.arange(self._count - 1, -1, -1)
        return np.asarray(alike * (faded / np.maximum(together, 1e-12))[self._copy], dtype=np.float64)


def _normal_scores(count: int) -> list[float]:
    """Middles of equal parts of a normal distribution whose P90 is 1."""
    unit = NormalDist(0.0, 1 / NormalDist().inv_cdf(0.9))
    return [unit.inv_cdf((number + 0.5) / count) for number in range(count)]


_CLAIM = np.array(_normal_scores(40))
