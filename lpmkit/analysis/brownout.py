"""The slow time after a resume: the host runs again, and answers later than it used to (pages that are still fetched, caches that are cold).

The measure is the lead-in of the same run: of a hundred values one exceeded its 99 % point. A second after the resume in which clearly more do is slow;
the brown-out lasts until the last slow second that belongs together with the first ones. Its length is known to a second, whatever the probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lpmkit.analysis.model import SECOND, BoolArray, BrownOut, Interval, Suspension, Trace
from lpmkit.analysis.noise import within
from lpmkit.runs.samples import MISSING, Int64Array

#: How long after a resume is looked at.
LOOKED_NS = 60 * SECOND
#: So many quiet seconds end it; what is slow again later has a reason of its own.
_QUIET_SECONDS = 3
#: With fewer values the lead-in tells no 99 % point.
_MIN_USUAL = 100
_USUAL_SHARE = 0.01


def brown_outs(still: Suspension, traces: Sequence[Trace], stalls: Sequence[Interval]) -> tuple[BrownOut, ...]:
    """The slow time after one suspension, by each probe whose lead-in says what is usual."""
    found = (_brown_out(still, trace, stalls) for trace in traces if trace.host == still.host)
    return tuple(one for one in found if one is not None)


def _brown_out(still: Suspension, trace: Trace, stalls: Sequence[Interval]) -> BrownOut | None:
    usual = trace.noise.sample
    if len(usual) < _MIN_USUAL:
        return None
    high = int(np.quantile(usual, 1 - _USUAL_SHARE))
    moments, took, since = _after(still, trace, stalls)
    if not len(took):
        return None
    second = (moments - since) // SECOND
    slow = _slow_seconds(second, took > high)
    median, worst = None, None
    if slow:
        inside = took[second < slow]
        median, worst = int(np.median(inside)), int(inside.max())
    lasted = Interval((slow - 1) * SECOND, slow * SECOND) if slow else Interval(0, 0)
    looked = int(moments.max()) - since
    return BrownOut(
        still, trace.probe, trace.kind, since, lasted, looked, int(np.median(usual)), high, median, worst
    )  # fmt: skip


def _after(still: Suspension, trace: Trace, stalls: Sequence[Interval]) -> tuple[Int64Array, Int64Array, int]:
    """When something was asked or made after the resume, what it took, and since when it counts.

    What was asked before, or had to wait behind what was, tells of the suspension and of TCP, not of a slow host: a question counts once one that
    was sent after the resume has been answered in its turn.
    """
    ticks = trace.kind == "ticks"
    moments = trace.answered if ticks else trace.sent
    took, answered = trace.took, trace.answered
    known = (took != MISSING) & (moments != MISSING)
    since = still.end.hi_ns
    if ticks:  # the first tick is late by the suspension itself
        known &= took < max(still.length.lo_ns // 2, trace.noise.threshold_ns)
    else:
        waited = known & (trace.sent < since) & (answered > since)
        since = max(since, int(answered[waited].max(initial=since)))
    kept = known & (moments > since) & (moments <= since + LOOKED_NS)
    kept &= ~within(np.where(answered == MISSING, moments, answered), [stall.widened(SECOND // 50) for stall in stalls])
    return moments[kept], took[kept], since


def _slow_seconds(second: Int64Array, over: BoolArray) -> int:
    """How many seconds from the first on belong to the slow time."""
    slow, quiet = 0, 0
    for number in range(int(second.max()) + 1):
        here = over[second == number]
        expected = _USUAL_SHARE * len(here)
        if len(here) and here.sum() >= expected + 4 * math.sqrt(expected) + 1:
            slow, quiet = number + 1, 0
        elif (quiet := quiet + 1) >= _QUIET_SECONDS:
            break
    return slow
