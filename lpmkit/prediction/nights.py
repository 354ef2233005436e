"""The things that moves of one night have in common: they share links and movers, and the load of the network that
night.

Pure functions of past moves. `beside` counts the copies that ran over the same frames meanwhile, `slowing` learns from
it how far copies slow one another down, `night_of` finds which moves belong together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lpmkit.prediction.rounds import Floats

if TYPE_CHECKING:
    from lpmkit.prediction.moves import ObservedMove

#: Seconds between the begins of two copies after which another night begins. A choice: a change window lasts hours, and
#: the next is a day away.
APART_S = 6 * 3600.0
#: Least scatter of the logarithm of the bandwidths of equal copies.
MIN_SCATTER = 0.05


@dataclass(frozen=True, slots=True)
class Slowing:
    """The degree to which copies slow one another down. ``room`` of them go over a frame as fast as one alone; with *n*
    others beside it, more than that, a copy has room/(1 + n) to this power of the bandwidth. 0: they have all they
    need; 1: one link or mover is all that they share.
    """

    power: float
    error: float
    room: float = 1.0

    def load(self, others: float) -> float:
        """The factor by which the copies are more than have room, with so many others; 1 at least.

        >>> Slowing(1.0, 0.0, room=2.0).load(1.0), Slowing(1.0, 0.0, room=2.0).load(3.0)
        (1.0, 2.0)
        """
        return max(1.0, (1 + others) / self.room)

    def at(self, common: Floats, own: Floats) -> Floats:
        """Powers between 0 and 1, by the standard score of what the durations of a night have in common and by one of
        their own.

        A network that is slow for one copy is one that it fills: others beside it share it. A fast one has room for
        them. So the two go together, until past copies show the power.
        """
        tie = TIED * min(1.0, self.error / FIRST_DAY.error) ** 2
        power = self.power + self.error * (tie * common + math.sqrt(1 - tie**2) * own)
        return np.asarray(np.clip(power, 0.0, 1.0), dtype=np.float64)


#: Streams share the mover's processor and the link (`DW-LPM`). One stream of 80 MB/s has two thirds of 1 Gb Ethernet:
#: four would have 1/2.6 of it each and ten 1/6.4, which are powers of 0.7 and 0.8. One of 725 MB/s (`LPM-LOG`) has more
#: than half of 10 Gb (powers of 0.6 and 0.76) and little of a faster network (0). So a little above the middle, and as
#: wide as anything between 0 and 1 (standard deviation of the uniform distribution).
FIRST_DAY = Slowing(0.6, 0.29)
#: Copies that may go over a frame before they slow one another down, from which `slowing` chooses.
ROOMS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
#: Correlation of the power with the length of the night's moves without past copies. A choice, for the reason that
#: `Slowing.at` has: nothing published shows how close it is.
TIED = 0.8


def beside(moves: Sequence[ObservedMove]) -> list[float]:
    """The number of other copies over one of the frames of each move, as a mean over the time of its copy.

    0 where it is not known when the move was.
    """
    frames = [frozenset(move.inputs.movers.split(" to ")) for move in moves]
    spans = sorted((span, index) for index, move in enumerate(moves) if (span := _span(move)) is not None)
    counts = [0.0] * len(moves)
    for position, (span, index) in enumerate(spans):
        for other_span, other in spans[position + 1 :]:
            if other_span[0] >= span[1]:
                break
            if frames[index] & frames[other]:
                together_ns = min(span[1], other_span[1]) - other_span[0]
                counts[index] += together_ns / (span[1] - span[0])
                counts[other] += together_ns / (other_span[1] - other_span[0])
    return counts


def _span(move: ObservedMove) -> tuple[int, int] | None:
    """The begin and end of a copy, in nanoseconds since 1970; ``None`` where they are not known, as of a copy within
    one reading of its counters.
    """
    if move.began_ns is None or not move.actual.copy_s:
        return None
    return move.began_ns, move.began_ns + max(1, round(move.actual.copy_s * 1e9))


def with_beside(moves: Sequence[ObservedMove]) -> list[ObservedMove]:
    """The moves with what ran beside each among their inputs."""
    return [
        replace(move, inputs=replace(move.inputs, beside=round(count, 3)))
        for move, count in zip(moves, beside(moves), strict=True)
    ]


def usual_beside(past: Sequence[ObservedMove]) -> float:
    """The number of others that past copies had beside them: the one in the middle on the scale of 1 + n."""
    counts = [move.inputs.beside for move in past if move.fitted is not None]
    return float(np.expm1(np.mean(np.log1p(counts)))) if counts else 0.0


def slowing(past: Sequence[ObservedMove]) -> Slowing:
    """The slowing that past copies show, each against the others over the same movers.

    For each of `ROOMS` a Bayesian linear regression of the logarithm of the bandwidth on that of the load, with a level
    for each pair of movers and the scatter that the copies have. The room with the best fit counts; one for more than a
    single copy has to fit better by what another unknown is worth (Schwarz).
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for move in past:
        if move.fitted is not None and move.fitted.bytes_per_s > 0:
            groups.setdefault(move.inputs.movers, []).append((move.inputs.beside, math.log(move.fitted.bytes_per_s)))
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return FIRST_DAY
    best, learned = -math.inf, FIRST_DAY
    for room in ROOMS:
        fit, told = _with_room(room, several)
        fit -= 0.0 if room == 1 else 0.5 * math.log(sum(map(len, several)))
        if fit > best:
            best, learned = fit, told
    return learned


def _with_room(room: float, groups: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, Slowing]:
    """The regression with so much room: the logarithm of its likelihood, and the slowing that it shows."""
    form = Slowing(0.0, 0.0, room)
    centred = []
    for group in groups:
        points = np.array([(math.log(form.load(others)), speed) for others, speed in group])
        centred.append(points - points.mean(axis=0))
    more, speed = np.concatenate(centred).T
    power, error, scatter = FIRST_DAY.power, FIRST_DAY.error, MIN_SCATTER
    for _ in range(5):
        off = speed + power * more
        scatter = max(1.4826 * float(np.median(np.abs(off))), MIN_SCATTER)
        # A copy that is far off counts less (Student's weights, four degrees of freedom).
        weights = 5 / (4 + (off / scatter) ** 2)
        precision = 1 / FIRST_DAY.error**2 + float(np.sum(weights * more**2)) / scatter**2
        told = FIRST_DAY.power / FIRST_DAY.error**2 - float(np.sum(weights * more * speed)) / scatter**2
        power, error = min(1.0, max(0.0, told / precision)), precision**-0.5
    fit = -float(np.sum(math.log(scatter) + 2.5 * np.log1p(((speed + power * more) / scatter) ** 2 / 4)))
    return fit, Slowing(power, error, room)


def night_of(moves: Sequence[ObservedMove]) -> list[int]:
    """A number for each move, the same for those of one night; a move of unknown time has a night of its own."""
    known = sorted((move.began_ns, index) for index, move in enumerate(moves) if move.began_ns is not None)
    nights, night = [-1 - index for index in range(len(moves))], 0
    for position, (began_ns, index) in enumerate(known):
        if position and began_ns - known[position - 1][0] > APART_S * 1e9:
            night += 1
        nights[index] = night
    return nights
