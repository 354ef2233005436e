"""The rate of a clock of the watched host against ours, and its changes.

Over a stretch in which a clock is not adjusted its offset is a straight line in time, θ(t) = a + b·t, that passes above
every lower constraint of `lpmkit.analysis.clocks.Epoch` and below every upper one: a linear program in two variables,
which the convex hulls of the constraints solve (Zhang, Liu and Xia). Its solutions bound the drift b. Where no line
fits, the clock was slewed; where it jumped, `clocks` has cut already.

The lines do not tighten the bounds of a suspension: a slew that began a moment before it would bend θ by as much as the
line would gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lpmkit.analysis.clocks import DRIFT, Alignment, Epoch
from lpmkit.analysis.model import MILLISECOND, SECOND, ClockRate, ClockStep, FloatArray, Interval

#: A line may miss by this much: what temperature does to a quartz, and rounding.
_WANDER_NS = 20_000.0
#: Constraints kept of each kind; leaving some out only loosens the bounds.
_KEPT = 512
#: A shorter stretch gives no rate.
_MIN_NS = 2 * SECOND
#: A change of rate below this is not reported (parts per million).
_MIN_SLEW_PPM = 50.0


@dataclass(frozen=True, slots=True)
class _Points:
    """Constraints of one kind, in time order, relative to the epoch's base; thinned to the tightest of each piece of
    time.
    """

    t: FloatArray
    v: FloatArray

    def until(self, end: float) -> _Points:
        return _Points(self.t[self.t <= end], self.v[self.t <= end])

    def since(self, begin: float) -> _Points:
        return _Points(self.t[self.t >= begin], self.v[self.t >= begin])

    def __len__(self) -> int:
        return len(self.t)


def _thinned(t: FloatArray, v: FloatArray) -> _Points:
    """The highest constraint of each piece of time."""
    if len(t) <= _KEPT:
        return _Points(t, v)
    edges = np.linspace(0, len(t), _KEPT + 1).astype(int)
    lengths = np.diff(edges)
    highest = np.flatnonzero(v == np.repeat(np.maximum.reduceat(v, edges[:-1]), lengths))
    at = highest[np.searchsorted(highest, edges[:-1])]  # the first of each piece
    return _Points(t[at], v[at])


def _above(points: _Points) -> _Points:
    """The upper convex hull."""
    kept: list[int] = []
    t, v = points.t.tolist(), points.v.tolist()  # read one by one, an array's numbers cost several times as much
    for i, (time, value) in enumerate(zip(t, v, strict=True)):
        while len(kept) > 1:
            first, middle = kept[-2], kept[-1]
            if (v[middle] - v[first]) * (time - t[first]) > (value - v[first]) * (t[middle] - t[first]):
                break
            kept.pop()
        kept.append(i)
    return _Points(points.t[kept], points.v[kept])


def _slopes(hull: _Points) -> FloatArray:
    apart = np.diff(hull.t)
    known = apart > 0
    slopes: FloatArray = np.diff(hull.v)[known] / apart[known]
    return slopes


def drift_bounds(lower: _Points, upper: _Points) -> tuple[float, float] | None:
    """The least and the greatest drift of a line above ``lower`` and below ``upper``; ``None`` when there is none.

    ``upper`` holds negated values, so that both are bounded from below.
    """
    low, high = _above(lower), _above(upper)
    slopes = np.concatenate([_slopes(low), -_slopes(high), [-DRIFT, DRIFT]])
    slopes = np.unique(np.clip(slopes, -DRIFT, DRIFT))
    floor = (low.v[None, :] - slopes[:, None] * low.t[None, :]).max(axis=1)
    ceiling = -(high.v[None, :] + slopes[:, None] * high.t[None, :]).max(axis=1)
    room = ceiling - floor + 2 * _WANDER_NS
    fits = np.flatnonzero(room >= 0)
    if len(fits) == 0:
        return None
    return _root(slopes, room, int(fits[0]), -1), _root(slopes, room, int(fits[-1]), 1)


def _root(slopes: FloatArray, room: FloatArray, at: int, step: int) -> float:
    """The point at which the room, which is linear between two slopes, is used up beyond the last slope that fits."""
    beyond = at + step
    if not 0 <= beyond < len(slopes):
        return float(slopes[at])
    share = room[at] / (room[at] - room[beyond])
    return float(slopes[at] + share * (slopes[beyond] - slopes[at]))


def rates(host: str, clock: str, alignment: Alignment) -> list[ClockRate]:
    """The drift of a clock over every stretch in which one line fits, each on its own: before and after a move it runs
    on other hardware.
    """
    return [
        replace(rate, host=host, clock=clock)
        for stretch in alignment.stretches
        for epoch in stretch
        for rate in _of_epoch(epoch)
    ]


def _of_epoch(epoch: Epoch) -> Iterator[ClockRate]:
    lower = _thinned(epoch.lower_t, epoch.lower_v)
    upper = _thinned(epoch.upper_t, -epoch.upper_v)
    began, end = 0.0, float(epoch.until_ns - epoch.base_t)
    began = float(epoch.since_ns - epoch.base_t)
    while end - began >= _MIN_NS and len(lower) > 1 and len(upper) > 1:
        last, found = _longest(lower, upper, began, end)
        if found is not None and last - began >= _MIN_NS:
            since, until = (round(one) + epoch.base_t for one in (began, last))
            yield ClockRate("", "", Interval(since, until), found[0] * 1e6, found[1] * 1e6)
        began = last
        lower, upper = lower.since(began), upper.since(began)


def _longest(lower: _Points, upper: _Points, began: float, end: float) -> tuple[float, tuple[float, float] | None]:
    """Up to when one line fits, to a hundredth of what there is, and the bounds of its drift; at least a piece is
    always taken, whether or not one line fits it.
    """

    def fits(last: float) -> bool:
        return _drift(lower, upper, last) is not None or not (len(lower.until(last)) and len(upper.until(last)))

    whole = _drift(lower, upper, end)
    if whole is not None:
        return end, whole
    good, bad = began, end
    while bad - good > max((end - began) / 100, SECOND / 5):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    last = max(good, began + SECOND / 5)
    return last, _drift(lower, upper, last)


def _drift(lower: _Points, upper: _Points, last: float) -> tuple[float, float] | None:
    """The bounds up to ``last``; ``None`` where no line fits, or nothing is known of one side."""
    some, more = lower.until(last), upper.until(last)
    return drift_bounds(some, more) if len(some) and len(more) else None


def slews(found: list[ClockRate]) -> list[ClockStep]:
    """Moments at which the rate of a clock changed while the host ran: it was slewed.

    ``step`` is the distance of the second stretch from the first's line.
    """
    steps = []
    for earlier, later in pairwise(found):
        if (earlier.host, earlier.clock) != (later.host, later.clock):
            continue
        apart_ns = later.over.lo_ns - earlier.over.hi_ns
        least, most = later.lo_ppm - earlier.hi_ppm, later.hi_ppm - earlier.lo_ppm
        sure = max(least, -most)
        if sure < _MIN_SLEW_PPM or apart_ns > SECOND:
            continue
        size = Interval(round(least * later.over.length_ns / 1e6), round(most * later.over.length_ns / 1e6))
        at = Interval(later.over.lo_ns - SECOND, later.over.lo_ns + SECOND)
        about = (
            f"slewed: its rate changed by {least:.0f} … {most:.0f} millionths for {later.over.length_ns / SECOND:.1f} s"
        )
        steps.append(ClockStep(later.host, later.clock, at, size, about))
    return [step for step in steps if max(abs(step.step.lo_ns), abs(step.step.hi_ns)) > MILLISECOND // 2]
