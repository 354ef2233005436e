"""The late start: the time from a machine's resume until the processes of its partition run again.

A kernel that is asked shows the resume, and the first tick after it shows the late start. Where processes alone show
the resume, it lies before their first sign by a late start that nobody saw: by one such as earlier moves of this site
had, which the recorder keeps in the run (``recorder-started``); before there are any, by one such as is known
of other machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.layers import KERNEL
from lpmkit.analysis.model import MILLISECOND, SECOND, Interval, Trace
from lpmkit.runs.cells import Int64Array
from lpmkit.timeline import Event

#: Late starts as long as a site has few of its own: half at once, as of a partition that was frozen; the others as of
#: servers whose kernel came back 20 to 120 ms before their processes. Emulated guests are later, 143 ms in the median
#: (benchmarks.qemu.linux): their processors are slower than any server's.
FIRST_DAY_NS = tuple(milliseconds * MILLISECOND for milliseconds in (0, 0, 0, 0, 5, 20, 50, 120))
#: With so many of its own a site needs them no more.
ENOUGH = 20
#: A longer one is no late start but a host that hangs.
MOST_NS = 10 * SECOND


@dataclass(frozen=True, slots=True)
class LateStarts:
    """Late starts that are likely where none is seen, in nanoseconds; ``moves`` of them are of this site."""

    seen_ns: Int64Array
    moves: int = 0

    @property
    def most_ns(self) -> int:
        """The longest: an inner edge allows for it."""
        return int(self.seen_ns.max())


def late_starts(seen_ns: Sequence[int] = ()) -> LateStarts:
    """The late starts of a site's moves, with those of the first day as long as they are few.

    >>> late_starts([3_000_000]).most_ns, late_starts([3_000_000] * 20).most_ns
    (120000000, 3000000)
    """
    few = len(seen_ns) < ENOUGH
    return LateStarts(np.array([*seen_ns, *(FIRST_DAY_NS if few else ())], dtype=np.int64), len(seen_ns))


def of_record(events: Iterable[Event]) -> LateStarts | None:
    """The late starts that the first recorder knew of; ``None`` in a run of an earlier version, which keeps its
    figures.
    """
    for event in events:
        if event.kind == "recorder-started" and isinstance(event.data.get("late_starts_s"), list):
            return late_starts([round(seen_s * SECOND) for seen_s in event.data["late_starts_s"] if _is_one(seen_s)])
    return None


def _is_one(seen_s: object) -> bool:
    """A folder holds what somebody wrote there."""
    return isinstance(seen_s, int | float) and 0 <= seen_s * SECOND <= MOST_NS


def about_late_starts(usual: LateStarts | None, kinds: Iterable[str]) -> str:
    """The reason why a suspension's lower bound is lower without a kernel probe; empty with one."""
    if usual is None or not set(kinds) or not set(KERNEL).isdisjoint(kinds):
        return ""
    late_ms = usual.most_ns // MILLISECOND
    known = f"based on {usual.moves} earlier move{'s' * (usual.moves != 1)} of this site"
    late = f"processes that start up to {late_ms} ms after the resume"
    return f"no kernel probe: the lower bound allows for {late} ({known})"


def kernel_heard(traces: Sequence[Trace], inside_ns: int, until_ns: int) -> bool:
    """True where a kernel that was asked answered soon after a resume: it would have answered earlier, had it run."""
    return any(
        trace.kind in KERNEL and bool(((trace.alive_hi > inside_ns) & (trace.alive_lo <= until_ns)).any())
        for trace in traces
    )


def seen_late_start(traces: Sequence[Trace], inside_ns: int, end: Interval) -> Interval | None:
    """The time from the resume to the first sign of a process; ``None`` where no kernel shows the resume, or no process
    spoke within ten seconds.
    """
    if not kernel_heard(traces, inside_ns, end.hi_ns + SECOND):
        return None
    first: Interval | None = None
    for trace in traces:
        after = trace.alive_lo >= inside_ns
        if trace.kind in ("ticks", "echo") and after.any():
            at = int(np.argmin(np.where(after, trace.alive_hi, 2**62)))
            spoke = Interval(int(trace.alive_lo[at]), int(trace.alive_hi[at]))
            first = spoke if first is None or spoke.hi_ns < first.hi_ns else first
    if first is None or first.lo_ns - end.hi_ns > MOST_NS:
        return None
    return Interval(max(0, first.lo_ns - end.hi_ns), max(0, first.hi_ns - end.lo_ns))
