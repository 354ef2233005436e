"""Facts: when the host was certainly running, from stamped ticks and from answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lpmkit.analysis.breaks import Break
from lpmkit.analysis.clocks import DELIVERY_NS, Alignment
from lpmkit.analysis.model import (
    Signals,
)
from lpmkit.runs.cells import MISSING, Int64Array


def tick_facts(
    ticks: Signals, stamp: Int64Array | None, alignment: Alignment | None, breaks: Sequence[Break]
) -> tuple[Int64Array, Int64Array]:
    """Times of the ticks, as bounds on our clock."""
    arrival = ticks.answered
    if stamp is None or alignment is None:
        return arrival - DELIVERY_NS, arrival.copy()
    lo, hi = arrival - DELIVERY_NS, arrival.copy()
    stretch = np.searchsorted([gap.first for gap in breaks], np.arange(len(arrival)), side="right")
    for index in range(len(breaks) + 1):
        here = stretch == index
        moments = arrival[here]
        if index < len(breaks):  # a pending batch was stamped before the break and came after it
            moments = np.minimum(moments, breaks[index].window.lo_ns)
        bounds = _at_stamps(alignment, stamp[here], moments, index) if here.any() else None
        if bounds is not None:
            lo[here] = stamp[here] - bounds[1]
            hi[here] = np.minimum(arrival[here], stamp[here] - bounds[0])
        elif here.any():  # held up between two breaks
            near = alignment.nearest(stamp[here], moments, index)
            lo[here] = np.minimum(lo[here], near[0]) if near is not None else lo[here]
            if near is not None and near[1] is not None:
                lo[here], hi[here] = near[0], np.minimum(arrival[here], near[1])
    return np.minimum(lo, hi), hi


def _at_stamps(
    alignment: Alignment, stamps: Int64Array, moments_ns: Int64Array, stretch: int
) -> tuple[Int64Array, Int64Array] | None:
    """The bounds of the offset when stamps were taken, which was at ``moments_ns`` or before: what was held up may have
    been stamped when a clock that is slewed was elsewhere.
    """
    bounds = alignment.at(moments_ns, stretch)
    if bounds is None or not alignment.is_slewed(stretch):
        return bounds
    taken = np.minimum(moments_ns, stamps - bounds[0] - (bounds[1] - bounds[0]) // 2)
    return alignment.at(taken, stretch)


def asked_facts(
    asked: Signals, stamp: Int64Array | None, alignment: Alignment | None, breaks: Sequence[Break]
) -> tuple[Int64Array, Int64Array]:
    """Times at which the host dealt with each answered question: between sent and answered, closer where it stamped
    its answer.
    """
    lo, hi = asked.sent.copy(), asked.answered.copy()
    if stamp is None or alignment is None:
        return lo, hi
    known = stamp != MISSING
    begins = np.array([gap.window.lo_ns for gap in breaks], dtype=np.int64)
    ends = np.array([gap.window.hi_ns for gap in breaks], dtype=np.int64)
    earliest = np.searchsorted(ends, asked.sent, side="right")
    latest = np.searchsorted(begins, asked.answered, side="left")
    low, high = np.full(len(lo), 2**62), np.full(len(lo), -(2**62))
    for index in range(len(breaks) + 1):
        here = known & (earliest <= index) & (index <= latest)
        bounds = _at_stamps(alignment, stamp[here], asked.answered[here], index) if here.any() else None
        if bounds is None:
            known &= ~here
            continue
        low[here] = np.minimum(low[here], stamp[here] - bounds[1])
        high[here] = np.maximum(high[here], stamp[here] - bounds[0])
    lo[known] = np.clip(low[known], lo[known], hi[known])
    hi[known] = np.clip(high[known], lo[known], hi[known])
    return lo, hi
