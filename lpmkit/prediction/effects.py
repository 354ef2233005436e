"""The costs of a move to its users besides the suspension: the wait of an open session, the brown-out, the delay of
jobs and the stall of commits. Pure functions of plain values; seconds.

Each is predicted as a multiple of the suspension. On the first day the multiple is `FIRST_DAY`; what past moves
measured replaces it, first over the site and then for the partition, as for every other figure of a move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpmkit.prediction.distributions import LogNormal, Quantiles, pooled
from lpmkit.prediction.rounds import Floats

#: Multiples of the suspension before anything was measured, wide on purpose.
#:
#: * A session: TCP doubles its waits (`RFC6298`, 5.5), so that it sends again between one and two suspensions after
#:   the first loss; less where nothing was sent at first.
#: * A brown-out: the pages that are still on the source are fetched when they are touched (`VERITAS-LPM`), and what
#:   queued up is worked off. How long that takes is published nowhere: a guess over a factor of thirty.
#: * A job stands still for the suspension and runs slower in the brown-out; its times are whole seconds (`SE80`).
#: * A commit in flight waits for the suspension; its length is known to a power of two (V$EVENT_HISTOGRAM,
#:   `ORACLE-REF`).
FIRST_DAY: Mapping[str, LogNormal] = {
    "session_outage_s": LogNormal(1.4, 0.35),
    "brown_out_s": LogNormal(1.0, 1.3),
    "job_delay_s": LogNormal(1.6, 0.9),
    "commit_stall_s": LogNormal(1.1, 0.4),
}
#: Assumed scatter (standard deviation of logarithms) of a multiple while there are few, as `prior.OVER_SITE`.
SCATTER = 0.45


def multiples(
    past: Sequence[tuple[str, float | None, Mapping[str, float | None]]], partition: str
) -> dict[str, LogNormal]:
    """The multiple of the suspension for each effect. ``past`` holds the partition, the suspension and the effects of
    each past move; ``None`` for what was not measured.

    >>> multiples([], "bxaix85") == dict(FIRST_DAY)
    True
    >>> twice = [("bxaix85", 2.0, {"session_outage_s": 4.0})] * 20
    >>> round(multiples(twice, "bxaix85")["session_outage_s"].median, 1)
    2.0
    """
    learned = {}
    for name, first_day in FIRST_DAY.items():
        levels: tuple[list[float], list[float]] = ([], [])
        for whose, suspended_s, effects in past:
            effect_s = effects.get(name)
            if suspended_s and effect_s:
                levels[whose == partition].append(effect_s / suspended_s)
        learned[name] = pooled(first_day, [(values, SCATTER) for values in levels])
    return learned


def drawn_effects(suspended_s: Floats, factors: Mapping[str, LogNormal], seed: int) -> dict[str, Floats]:
    """The effects of each draw of a suspension; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    return {name: suspended_s * factor.draw(rng, len(suspended_s)) for name, factor in factors.items()}


def effects_of(suspended_s: Floats, factors: Mapping[str, LogNormal], seed: int) -> dict[str, Quantiles]:
    """P10, P50 and P90 of each effect."""
    return {name: Quantiles.of(values) for name, values in drawn_effects(suspended_s, factors, seed).items()}
