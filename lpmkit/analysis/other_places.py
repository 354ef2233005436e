"""One host watched from two places: whether a silence at the one was heard through at the other.

Two observers have two clocks, and nothing of one is put on the other's without a bound. What ties them is the watched
host: both read its clock before anything was silent, so that the difference of their own clocks is known within the
sum of both bounds, and from there within `DRIFT`. Where that cannot be had, nothing is compared but lengths.

A host that was heard at the other place in the middle of a silence ran: the silence was the path's. Only ticks and
lines of a session count, which processes of the host give; an answer of a kernel may be another machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from lpmkit.analysis.classify import deep
from lpmkit.analysis.clocks import DRIFT
from lpmkit.analysis.model import ClockTie, HostAnalysis, Interval, Outage, OutageKind, Trace

#: Kinds of probes that a process of the host answers.
BY_PROCESSES = ("ticks", "echo")
#: Classes of silences that a break of the path could be, or is.
OF_THE_PATH = (OutageKind.UNDECIDED, OutageKind.NETWORK)


class Heard(StrEnum):
    """The answer to whether another place heard a host during a silence."""

    YES = "heard"
    NO = "silent too"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class ComparedSilence:
    """A silence at one place, and what the other heard meanwhile. ``at_ns`` is its begin on the clock of the place that
    reports; ``None`` where a silence of the other place cannot be put there. ``within_ns`` is how well the clocks are
    tied.
    """

    is_ours: bool
    kind: OutageKind
    at_ns: int | None
    length: Interval
    heard: Heard
    within_ns: int | None


def ahead(ours: ClockTie | None, theirs: ClockTie | None, moment_ns: int) -> Interval | None:
    """The time by which the other observer's clock is ahead of ours at a moment of ours, nanoseconds; ``None`` where
    the two read no common clock of the host.

    >>> ahead(ClockTie("monotonic", 0, Interval(90, 110)), ClockTie("monotonic", 500, Interval(-410, -390)), 0)
    Interval(lo_ns=479, hi_ns=521)
    """
    if ours is None or theirs is None or ours.clock != theirs.clock:
        return None
    difference = Interval(ours.offset.lo_ns - theirs.offset.hi_ns, ours.offset.hi_ns - theirs.offset.lo_ns)
    read_ns = theirs.at_ns - difference.middle_ns  # when the other place read it, by our clock
    return difference.widened(int(DRIFT * (abs(read_ns - ours.at_ns) + abs(moment_ns - read_ns))) + 1)


def same_length(ours: Interval, theirs: Interval) -> bool:
    """True if two lengths, each by the clock of its observer, can be of one suspension."""
    rate_ns = int(DRIFT * max(ours.hi_ns, theirs.hi_ns))
    return ours.widened(rate_ns).overlaps(theirs)


def compared(ours: HostAnalysis, theirs: HostAnalysis) -> Iterator[ComparedSilence]:
    """The silences of one host at both places, each with what the other place heard; ours first."""
    is_set = any(step.clock == tie.clock for host in (ours, theirs) if (tie := host.tie) for step in host.steps)
    tie = None if is_set else theirs.tie
    for kind, begin_ns, core, length in _silences(ours):
        between = ahead(ours.tie, tie, core.middle_ns)
        heard = _heard(core, theirs.traces, between)
        yield ComparedSilence(True, kind, begin_ns, length, heard, _half_ns(between))
    for kind, begin_ns, core, length in _silences(theirs):
        back = ahead(tie, ours.tie, core.middle_ns)
        heard = _heard(core, ours.traces, back)
        at_ns = None if back is None else begin_ns + back.middle_ns
        yield ComparedSilence(False, kind, at_ns, length, heard, _half_ns(back))


def _silences(host: HostAnalysis) -> Iterator[tuple[OutageKind, int, Interval, Interval]]:
    """Class, begin, core and length of the suspensions of a host, and of its other silences that may be the path's;
    of silences at the same time the longest.
    """
    told: list[Interval] = []
    for still in host.suspensions:
        told.append(still.outer)
        yield OutageKind.SUSPENSION, still.begin.lo_ns, _core(still.begin, still.end), still.length
    others = [one for one in host.outages if one.kind in OF_THE_PATH]
    for one in sorted(others, key=_length_ns, reverse=True):
        if one.kind is not None and not any(one.outer.overlaps(other) for other in told):
            told.append(one.outer)
            yield one.kind, one.begin.lo_ns, one.core, one.length


def _half_ns(between: Interval | None) -> int | None:
    return None if between is None else -(-between.length_ns // 2)


def _length_ns(one: Outage) -> int:
    return one.outer.length_ns


def _core(begin: Interval, end: Interval) -> Interval:
    """The span from the latest begin to the earliest end; their middle where that leaves nothing."""
    if begin.hi_ns < end.lo_ns:
        return Interval(begin.hi_ns, end.lo_ns)
    middle_ns = Interval(begin.lo_ns, end.hi_ns).middle_ns
    return Interval(middle_ns, middle_ns)


def _heard(core: Interval, traces: Sequence[Trace], between: Interval | None) -> Heard:
    """The answer to whether the other place heard the host in the middle of a silence, by its traces."""
    if between is None:
        return Heard.UNKNOWN
    inside = deep(core)
    looked, may_have_spoken = False, False
    for trace in traces:
        if trace.kind not in BY_PROCESSES:
            continue
        earliest, latest = trace.alive_lo - between.hi_ns, trace.alive_hi - between.lo_ns
        if ((earliest >= inside.lo_ns) & (latest <= inside.hi_ns)).any():
            return Heard.YES
        may_have_spoken |= bool(((latest >= inside.lo_ns) & (earliest <= inside.hi_ns)).any())
        span = Interval(trace.span.lo_ns - between.lo_ns, trace.span.hi_ns - between.hi_ns)
        usual_ns = int(trace.apart_at(np.array([inside.middle_ns + between.middle_ns], dtype=np.int64))[0])
        looked |= span.lo_ns <= inside.lo_ns and inside.hi_ns <= span.hi_ns and inside.length_ns > usual_ns
    return Heard.NO if looked and not may_have_spoken else Heard.UNKNOWN
