"""Tying a clock of the watched host to ours, with bounds that hold.

The offset θ is the host's reading minus ours at the same instant. An exchange sent at s, stamped g by the host,
received at r gives g − r ≤ θ(r) and θ(s) ≤ g − s, whatever the network did. A tick that only arrives (at a) gives g − a
≤ θ(a). Between these moments θ may drift by `DRIFT`; the bounds are carried along and intersected. Where they cannot
all be true the clock was stepped.

The host may have moved, so its clock before a silence proves nothing about its clock afterwards: bounds are never
carried across a break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lpmkit.analysis.model import MILLISECOND, SECOND, BoolArray, FloatArray, Interval
from lpmkit.runs.cells import Int64Array

#: Relative drift allowed between two clocks: 50 ppm nominal for each, and a clock that is being slewed (500 ppm at
#: most).
DRIFT = 600e-6
#: A clock that is corrected in a hurry: Linux takes a tick a tenth longer or shorter (`ADJTIMEX`), and chrony slews by
#: a twelfth unless it is told otherwise (`CHRONY-CONF`).
SLEW = 0.1005
#: A stretch of time that contradicts the one before it so soon is of a clock that is being slewed.
SLEWED_NS = SECOND
#: This number of contradictions in a row, each within a second of the last, is one slew.
_SLEWED_STEPS = 4
#: Constraints that enclose θ by no more than this multiple of the closest ones are close.
_CLOSE = 4
#: Without questions the offset is bounded on one side only; then the fastest delivery is assumed to have taken no
#: longer than this.
DELIVERY_NS = 50 * MILLISECOND
#: and it is taken from ticks that came over at least this long: all that came in a shorter time may have been held up
#: together.
_ENOUGH_NS = SECOND
#: The time before the first sample that shows a step in which the step is looked for.
_PENDING_NS = 300 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Epoch:
    """Bounds of θ in one stretch without a break, as constraint arrays relative to a base."""

    since_ns: int
    until_ns: int
    base_t: int
    base_v: int
    lower_t: FloatArray
    lower_v: FloatArray
    upper_t: FloatArray
    upper_v: FloatArray
    #: The instants between which constraints of both kinds show that the clock was not slewed, where it is slewed
    #: nearby; beyond these θ may move by `SLEW`.
    steady: tuple[float, float] | None = None

    def at(self, moments_ns: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Bounds of θ at each moment. Without an upper constraint it is the lower one plus `DELIVERY_NS`."""
        t = (moments_ns - self.base_t).astype(np.float64)
        lower = _envelope(t, self.lower_t, self.lower_v)
        upper = -_envelope(t, self.upper_t, -self.upper_v)
        if self.steady is not None:
            more = (SLEW - DRIFT) * np.abs(t - np.clip(t, *self.steady))
            lower, upper = lower - more, upper + more
        upper = np.where(np.isinf(upper), lower + DELIVERY_NS, upper)
        lower = np.where(np.isinf(lower), upper - DELIVERY_NS, lower)
        return (
            np.floor(np.minimum(lower, upper)).astype(np.int64) + self.base_v,
            np.ceil(np.maximum(lower, upper)).astype(np.int64) + self.base_v,
        )

    @property
    def two_sided(self) -> bool:
        return len(self.upper_t) > 0


def _telling(epochs: Sequence[Epoch]) -> bool:
    """True where a stretch bounds θ: by an answered question, or by ticks for long enough that one of them will have
    come without delay.
    """
    return any(epoch.two_sided for epoch in epochs) or (
        len(epochs) > 0 and epochs[-1].until_ns - epochs[0].since_ns >= _ENOUGH_NS
    )


def _envelope(t: FloatArray, at: FloatArray, value: FloatArray) -> FloatArray:
    """The highest of ``value − DRIFT·|t − at|`` over all constraints; ``at`` is sorted."""
    if len(at) == 0:
        return np.full(len(t), -np.inf)
    forward = np.concatenate([[-np.inf], np.maximum.accumulate(value + DRIFT * at)])
    backward = np.concatenate([np.maximum.accumulate((value - DRIFT * at)[::-1])[::-1], [-np.inf]])
    place = np.searchsorted(at, t, side="right")
    best: FloatArray = np.maximum(forward[place] - DRIFT * t, backward[place] + DRIFT * t)
    return best


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Stamped questions: sent, answered and the host's stamp; all known, in the order of ``answered``."""

    sent: Int64Array
    answered: Int64Array
    stamp: Int64Array


@dataclass(frozen=True, slots=True)
class Alignment:
    """θ over a record: ``stretches[i]`` are the epochs between break ``i − 1`` and break ``i``, ``doubts[i]`` where
    one epoch became the next.
    """

    stretches: tuple[tuple[Epoch, ...], ...]
    doubts: tuple[tuple[Interval, ...], ...]
    #: Of the ticks that came just after each break, and may have been stamped before it: the lower bound of θ that they
    #: show if the clock stood still in it at most.
    held: tuple[int | None, ...] = ()

    def at(self, moments_ns: Int64Array, stretch: int) -> tuple[Int64Array, Int64Array] | None:
        """Bounds of θ at moments of one stretch, ``None`` when nothing is known about it.

        Where the clock may have stood either way, both ways.
        """
        epochs = self.stretches[stretch]
        if not _telling(epochs):
            return None
        lower, upper = epochs[0].at(moments_ns)
        for epoch, doubt in zip(epochs[1:], self.doubts[stretch], strict=True):
            here = moments_ns >= doubt.lo_ns
            if here.any():
                sure = moments_ns[here] > doubt.hi_ns
                lo, hi = epoch.at(moments_ns[here])
                lower[here] = np.where(sure, lo, np.minimum(lo, lower[here]))
                upper[here] = np.where(sure, hi, np.maximum(hi, upper[here]))
        return lower, upper

    def nearest(
        self, stamps: Int64Array, moments_ns: Int64Array, stretch: int
    ) -> tuple[Int64Array, Int64Array | None] | None:
        """Bounds for a stretch that has none of its own: when stamps were taken, by the nearest stretches that have
        some.

        The latest instants are ``None`` unless both sides are known: the clock is as it was before or as it is after.
        """
        before = next((i for i in range(stretch - 1, -1, -1) if _telling(self.stretches[i])), None)
        after = next((i for i in range(stretch + 1, len(self.stretches)) if _telling(self.stretches[i])), None)
        found = [bounds for i in (before, after) if i is not None and (bounds := self.at(moments_ns, i)) is not None]
        if not found:
            return None
        earliest = np.minimum.reduce([stamps - bounds[1] for bounds in found])
        return earliest, np.maximum.reduce([stamps - bounds[0] for bounds in found]) if len(found) == 2 else None

    def bounds(self, moment_ns: int, stretch: int) -> Interval | None:
        """Bounds of θ at one moment."""
        found = self.at(np.array([moment_ns], dtype=np.int64), stretch)
        return Interval(int(found[0][0]), int(found[1][0])) if found else None

    def is_slewed(self, stretch: int) -> bool:
        """True where θ moves faster in a stretch than `DRIFT` allows, for long."""
        return any(epoch.steady is not None for epoch in self.stretches[stretch])

    def at_least(self, moment_ns: int, stretch: int) -> int | None:
        """The lower bound of θ alone, by whatever came in a stretch whose clock was not set; ``None`` where nothing
        did.
        """
        moment = np.array([moment_ns], dtype=np.int64)
        shown = [int(epoch.at(moment)[0][0]) for epoch in self.stretches[stretch]]
        shown += [held for held in self.held[stretch : stretch + 1] if held is not None]
        return max(shown, default=None)

    def steps(self) -> Iterator[tuple[Interval, Interval, bool]]:
        """Steps of the clock in the middle of a quiet stretch, with bounds of their size, and whether it was slewed:
        many small steps in a row.
        """
        for epochs, doubts in zip(self.stretches, self.doubts, strict=True):
            first = 0
            for last in range(1, len(epochs)):
                if last + 1 < len(epochs) and epochs[last].until_ns - epochs[last].since_ns < SLEWED_NS:
                    continue
                earlier, later, slewed = epochs[first], epochs[last], last - first >= _SLEWED_STEPS
                moments = (earlier.until_ns, later.since_ns) if slewed else (later.since_ns, later.since_ns)
                was, now = (
                    epoch.at(np.array([moment], dtype=np.int64))
                    for epoch, moment in zip((earlier, later), moments, strict=True)
                )
                step = Interval(int(now[0][0] - was[1][0]), int(now[1][0] - was[0][0]))
                yield Interval(min(doubts[first].lo_ns, earlier.until_ns - _PENDING_NS), later.since_ns), step, slewed
                first = last


def align(
    asked: Exchanges,
    arrived: Int64Array,
    arrived_stamp: Int64Array,
    breaks: Sequence[Interval],
    pending_ns: Sequence[int],
    held_ns: int,
) -> Alignment:
    """Fit θ separately between ``breaks`` (sorted, apart). A break's interval is taken out altogether.

    Ticks that arrive within ``pending_ns`` after a break, one figure for each, may have been stamped before it;
    ``held_ns`` is how long any may be held.
    """
    stretches, held = [], []
    edges = [-(2**62), *(edge for gap in breaks for edge in (gap.lo_ns, gap.hi_ns)), 2**62]
    for index in range(0, len(edges), 2):
        since, until = edges[index], edges[index + 1]
        exchange = (asked.sent >= since) & (asked.answered <= until)
        settled = since + pending_ns[index // 2 - 1] if index else since
        tick = (arrived >= settled) & (arrived <= until)
        pending = (arrived >= since) & (arrived < settled) & (arrived <= until)
        held.append(int((arrived_stamp - arrived)[pending].max()) if pending.any() else None)
        stretches.append(
            tuple(
                _epochs(
                    np.concatenate([asked.answered[exchange], arrived[tick]]),
                    np.concatenate([(asked.stamp - asked.answered)[exchange], (arrived_stamp - arrived)[tick]]),
                    asked.sent[exchange],
                    (asked.stamp - asked.sent)[exchange],
                )
            )
        )
    doubts = [tuple(_doubt(a, b, held_ns) for a, b in pairwise(epochs)) for epochs in stretches]
    return Alignment(tuple(stretches), tuple(doubts), tuple(held))


def _doubt(earlier: Epoch, later: Epoch, held_ns: int) -> Interval:
    """Between two epochs: from when the clock may already have been as in the later one to when it surely was, for what
    may have been held up.

    A constraint of the earlier one that the later one's offset contradicts proves the earlier.
    """
    lower_t, upper_t = earlier.lower_t, earlier.upper_t
    base_t, base_v = earlier.base_t, earlier.base_v
    proofs = [float(earlier.since_ns - base_t)]
    if len(lower_t):
        _, most = later.at((lower_t + base_t).astype(np.int64))
        proofs += lower_t[earlier.lower_v > (most - base_v)][-1:].tolist()
    if len(upper_t):
        least, _ = later.at((upper_t + base_t).astype(np.int64))
        proofs += upper_t[earlier.upper_v < (least - base_v)][-1:].tolist()
    return Interval(base_t + int(max(proofs)), later.since_ns + held_ns)


def _epochs(lower_t: Int64Array, lower_v: Int64Array, upper_t: Int64Array, upper_v: Int64Array) -> Iterator[Epoch]:
    """Cut where the constraints contradict each other, so that each epoch is consistent."""
    if len(lower_t) == 0:
        return
    base_t, base_v = int(lower_t[0]), int(lower_v[0])
    times = np.concatenate([lower_t, upper_t])
    values = np.concatenate([lower_v, upper_v])
    is_upper = np.arange(len(times)) >= len(lower_t)
    order = np.argsort(times, kind="stable")
    t = (times[order] - base_t).astype(np.float64)
    v = (values[order] - base_v).astype(np.float64)
    is_upper = is_upper[order]
    edges = [0]
    while edges[-1] < len(t):
        first = edges[-1]
        edges.append(first + _consistent(t[first:], v[first:], is_upper[first:]))
    short = [t[last - 1] - t[first] < SLEWED_NS for first, last in pairwise(edges)]
    for number, (first, last) in enumerate(pairwise(edges)):
        here = slice(first, last)
        up = is_upper[here]
        # a clock that is set, or stands still, contradicts itself once
        is_slewed = any(all(short[at : at + 3]) for at in range(max(0, number - 3), min(number + 2, len(short) - 2)))
        yield Epoch(
            since_ns=base_t + int(t[first]),
            until_ns=base_t + int(t[last - 1]),
            base_t=base_t,
            base_v=base_v,
            lower_t=t[here][~up],
            lower_v=v[here][~up],
            upper_t=t[here][up],
            upper_v=v[here][up],
            steady=_steady(t[here], v[here], up) if is_slewed else None,
        )


def _steady(t: FloatArray, v: FloatArray, is_upper: BoolArray) -> tuple[float, float]:
    """Between which instants constraints enclose θ closely from both sides; else where there are any at all.

    A question that waited until TCP sent it again bounds nothing closely.
    """
    lower, at = ~is_upper, t[is_upper]
    if not lower.any() or not len(at):
        return float(t[0]), float(t[-1])
    apart = v[is_upper] - _envelope(at, t[lower], v[lower])
    close = at[apart <= _CLOSE * apart.min() + MILLISECOND]
    return float(close[0]), float(close[-1])


def _consistent(t: FloatArray, v: FloatArray, is_upper: BoolArray) -> int:
    """The number of constraints from the first on that can all be true."""
    lower = np.maximum.accumulate(np.where(is_upper, -np.inf, v + DRIFT * t)) - DRIFT * t
    upper = np.minimum.accumulate(np.where(is_upper, v - DRIFT * t, np.inf)) + DRIFT * t
    contradiction = np.flatnonzero(lower > upper + 1.0)
    return int(contradiction[0]) if len(contradiction) else len(t)
