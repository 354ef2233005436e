"""Our own part in what was seen: when this machine stood still, and when no recorder looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from lpmkit.analysis.model import MILLISECOND, Interval, Noise
from lpmkit.analysis.noise import noise
from lpmkit.runs.cells import MISSING, Int64Array

#: Our own ticker may be this late before it counts as a stall, however quiet it usually is.
MIN_STALL_NS = 20 * MILLISECOND


def stalls(
    due: Int64Array, answered: Int64Array, usual: Int64Array | None = None
) -> tuple[tuple[Interval, ...], Noise]:
    """Stalls of the observer, by our own ticker, and its noise. The stall lasts from when it was due to when it ran.

    The threshold follows the 99 % point: it is the machine as it is today that is judged, and its stalls are what the
    rest contains. ``usual`` is an even selection of all latenesses, where ``due`` and ``answered`` hold the late ticks
    only.
    """
    known = (due != MISSING) & (answered != MISSING)
    late = (answered - due)[known]
    every = late if usual is None else usual
    level = noise(every[:0], every, f"{len(every)} ticks of the observer", (0.0, 0, MIN_STALL_NS))
    most = int(np.quantile(every, 0.99)) if len(every) else 0
    threshold = max(MIN_STALL_NS, min(4 * most, 5 * MIN_STALL_NS))
    worst = max(level.worst_ns, int(late.max(initial=0)))
    level = Noise(level.quantile_ns, level.median_ns, worst, level.count, threshold, level.basis, sample=level.sample)
    where = np.flatnonzero(late > threshold)
    begins, ends = due[known][where], answered[known][where]
    return merged([Interval(int(a), int(b)) for a, b in zip(begins, ends, strict=True)]), level


def merged(spans: Sequence[Interval], apart_ns: int = 0) -> tuple[Interval, ...]:
    """Spans joined where they overlap or lie closer than ``apart_ns``.

    >>> merged([Interval(5, 9), Interval(0, 6), Interval(20, 21)])
    (Interval(lo_ns=0, hi_ns=9), Interval(lo_ns=20, hi_ns=21))
    """
    joined: list[Interval] = []
    for span in sorted(spans):
        if joined and span.lo_ns <= joined[-1].hi_ns + apart_ns:
            joined[-1] = joined[-1].hull(span)
        else:
            joined.append(span)
    return tuple(joined)


def holes(observed: Mapping[int, Interval]) -> tuple[Interval, ...]:
    """Holes between the lives of two recorders, from the span that each observed (by segment)."""
    spans = merged([observed[segment] for segment in sorted(observed)])
    return tuple(Interval(a.hi_ns, b.lo_ns) for a, b in pairwise(spans) if b.lo_ns > a.hi_ns)
