"""Layers of life during a silence: the machine (any answer of its kernel), its processes (ticks, echoes), its services.

After a resume a kernel answers before its processes are scheduled and their pages are fetched. So the machine's silence
is the suspension, and what follows until its processes run as before is the brown-out. A kernel that answers throughout
a silence of its processes proves that the machine ran: no suspension.

Requests show the edges of the machine's silence closer than answers do, because those that reach a stopped machine's
old place are lost. The last request that was not lost before, and the first one lost, enclose the stop; the last one
lost, and the first one answered, however late, enclose the resume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.model import MILLISECOND, SECOND, Interval, Outage, Trace
from lpmkit.analysis.noise import HOUR, MIN_SILENCE_NS, extreme, within, worst_of_seconds
from lpmkit.runs.cells import MISSING, Int64Array

#: Probes that a kernel answers, whether or not any process of the host runs.
KERNEL = ("icmp", "ack", "syn")
#: Of these, what shows that a host ran and, by itself, never that it was silent: acknowledgements are silent with the
#: echo whose questions they acknowledge, and requests for a connection are sent during silences only.
SIGNS_ONLY = ("ack", "syn")
#: Requests that are sent once: one that is not answered did not reach the host, or its answer was lost.
SENT_ONCE = ("icmp", "syn")
#: Two probes that stop for one reason stop within their intervals, their noise and this.
TOGETHER_NS = 20 * MILLISECOND
#: The machine's silence must cover this share of its processes' silence, unless both begin or end together.
_COVERS = 0.5
#: Stalls of an emulator and of a busy partition have a heavier tail than the distribution that is fitted
#: (benchmarks.qemu.linux).
_HEAVY_TAIL = 2.0
#: A request for a connection is open for this long at least; a host that limps may answer later.
_SYN_OPEN_NS = 200 * MILLISECOND
#: Requests lost in a row that prove an absence; fewer are lost on every network.
_MIN_LOST = 3
#: The share of lost requests above which lost ones enclose nothing: a limit to their rate loses those that waited for a
#: slow host as well.
_MAX_LOST_SHARE = 0.05
#: Requests looked at on both sides of a gap: those that are lost there as well were lost on the way.
_BEYOND = 3


def gaps_with_room(within: Interval, traces: Sequence[Trace], least_ns: int) -> Interval | None:
    """The time from the begin of the first to the end of the last stretch of ``within`` that holds no sign of life of
    any trace and is at least so long; ``None`` where none is.
    """
    since, until = _gaps(within, traces)
    roomy = until - since >= least_ns
    return Interval(int(since[roomy].min()), int(until[roomy].max())) if roomy.any() else None


def widest_gap(within: Interval, traces: Sequence[Trace]) -> Interval:
    """The widest stretch of ``within`` that holds no sign of life of any trace, both ends facts.

    A sign of life lies somewhere between two instants. It is in a stretch if both are.
    """
    since, until = _gaps(within, traces)
    at = int(np.argmax(until - since))
    return Interval(int(since[at]), max(int(since[at]), int(until[at])))


def _gaps(within: Interval, traces: Sequence[Trace]) -> tuple[Int64Array, Int64Array]:
    """From each sign of life to the next, the ends of ``within`` included."""
    lows, highs = _signs(within, traces)
    since = np.concatenate([[within.lo_ns], lows])
    until = np.minimum.accumulate(np.concatenate([[within.hi_ns], highs[::-1]]))[::-1]
    return since, until


def gap_with_losses(within: Interval, traces: Sequence[Trace]) -> Interval | None:
    """The gap of all probes in which requests were lost in a row, `None` without losses: there the machine itself was
    silent, not only slow.
    """
    lost = lost_requests(within, traces)
    if lost.between is None or lost.between.length_ns < MIN_SILENCE_NS:
        return None
    middle = lost.between.middle_ns
    lows, highs = _signs(within, traces)
    since = int(lows[highs <= middle].max(initial=within.lo_ns))
    until = int(highs[lows > since].min(initial=within.hi_ns))
    return Interval(since, max(since, until))


def _signs(within: Interval, traces: Sequence[Trace]) -> tuple[Int64Array, Int64Array]:
    lows, highs = [], []
    for trace in traces:
        inside = (trace.alive_lo >= within.lo_ns) & (trace.alive_hi <= within.hi_ns)
        lows.append(trace.alive_lo[inside])
        highs.append(trace.alive_hi[inside])
    low = np.concatenate(lows) if lows else np.zeros(0, dtype=np.int64)
    high = np.concatenate(highs) if highs else np.zeros(0, dtype=np.int64)
    order = np.argsort(low, kind="stable")
    return low[order], high[order]


def belongs_to(gap: Interval, outage: Outage, slack_ns: int) -> bool:
    """True where a gap of every probe is the cause of a silence of the processes: it covers it, or begins or ends
    together with it.
    """
    if gap.length_ns >= _COVERS * outage.core.length_ns:
        return True
    return gap.lo_ns <= outage.begin.hi_ns + slack_ns or gap.hi_ns >= outage.end.lo_ns - slack_ns


def own_noise(traces: Sequence[Trace], stalls: Sequence[Interval]) -> int | None:
    """The gap of all probes together that the host's own noise does not reach in an hour, but for one chance in a
    hundred: a longer one can be detected.

    ``None`` for a record that is too short, or in which nothing spoke. Acknowledgements of what was sent during a
    silence, and requests that are sent then only, would count its seconds several times.
    """
    spoke = [trace for trace in traces if len(trace.alive_lo) and trace.kind not in SIGNS_ONLY]
    if not spoke:
        return None
    span = Interval(min(one.span.lo_ns for one in spoke), max(one.span.hi_ns for one in spoke))
    lows, highs = _signs(span, spoke)
    until = np.minimum.accumulate(highs[::-1])[::-1]
    since, gaps = lows[:-1], until[1:] - lows[:-1]
    stalled = within(since, [stall.widened(SECOND // 50) for stall in stalls])
    worst = worst_of_seconds(since[~stalled], gaps[~stalled])[1]
    limit = extreme(worst[worst > 0], HOUR)
    return None if limit is None else int(_HEAVY_TAIL * limit)


@dataclass(frozen=True, slots=True)
class LostRequests:
    """Requests around the machine's silence.

    ``begin`` and ``end`` enclose its two ends, as likely as that requests to an absent host are lost. ``between`` is
    from the first one lost to the last.

    ``None`` where no request shows it: all were answered, or the last one lost came after a sign of life.
    """

    begin: Interval | None = None
    end: Interval | None = None
    between: Interval | None = None


def lost_requests(gap: Interval, traces: Sequence[Trace]) -> LostRequests:
    """The edges of a gap by the requests that were lost in it, of the probe that asked most often."""
    asked = [trace for trace in traces if trace.kind in SENT_ONCE and len(trace.sent) and len(trace.alive_lo)]
    if not asked:
        return LostRequests()
    trace = min(asked, key=lambda one: (one.interval_at(gap.middle_ns), one.probe))
    interval = trace.interval_at(gap.middle_ns)
    near = (trace.sent >= gap.lo_ns - _BEYOND * interval) & (trace.sent <= gap.hi_ns + _BEYOND * interval)
    sent, lost = trace.sent[near], (trace.answered == MISSING)[near]
    inside = np.flatnonzero(lost)
    if not len(inside):
        return LostRequests()
    # The longest run: a request may be lost for a reason of its own.
    runs = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
    run = max(runs, key=len)
    if len(run) < telling_losses(trace) or loses_anyway(trace):
        return LostRequests()
    first, last = int(run[0]), int(run[-1])
    begin = end = None
    # What was lost before the last sign of life, or after the next one, was lost on the way.
    if sent[first] >= gap.lo_ns and trace.kind != "syn":  # those begin when the host is silent already
        received = sent[:first][~lost[:first]]
        begin = Interval(min(max(gap.lo_ns, int(received.max(initial=gap.lo_ns))), int(sent[first])), int(sent[first]))
    is_shown = last + 1 < len(sent) and not lost[last + 1]
    if trace.kind == "syn" and is_shown:
        # Where the one before was given up by then, it may have reached a host that had not yet come to answer.
        is_shown = bool(trace.answered[near][last + 1] - sent[last] < _SYN_OPEN_NS)
    if sent[last] <= gap.hi_ns and is_shown:
        end = Interval(int(sent[last]), max(int(sent[last]), min(int(sent[last + 1]), gap.hi_ns)))
    in_it = sent[first] >= gap.lo_ns and end is not None
    return LostRequests(begin, end, Interval(int(sent[first]), int(sent[last])) if in_it else None)


def loses_anyway(trace: Trace) -> bool:
    """True where a probe loses too many requests all the time for a lost one to show anything."""
    return trace.noise.lost_share > _MAX_LOST_SHARE


def telling_losses(trace: Trace) -> int:
    """The number of requests in a row that are lost to an absent host only."""
    return max(_MIN_LOST, trace.noise.lost_in_a_row + 1)


def loses_in_a_row(gap: Interval, traces: Sequence[Trace]) -> bool:
    """True where requests were lost throughout a gap, as those to an absent host are: a host that is only slow answers
    late.
    """
    lost = lost_requests(gap, traces)
    return lost.between is not None and lost.between.length_ns >= MIN_SILENCE_NS


def loses_throughout(span: Interval, trace: Trace) -> bool:
    """True where a probe lost all that it sent once within a span, up to its end."""
    if trace.kind not in SENT_ONCE:
        return False
    inside = (trace.sent >= span.lo_ns) & (trace.sent <= span.hi_ns)
    last = int(trace.sent[inside].max(initial=-(2**62)))
    lost = (trace.answered == MISSING)[inside]
    return bool(lost.all()) and len(lost) >= telling_losses(trace) and 2 * last >= span.lo_ns + span.hi_ns


def loses_within(core: Interval, trace: Trace) -> bool:
    """True where a probe lost several requests in a row that it sent during a silence."""
    inside = (trace.sent >= core.lo_ns) & (trace.sent <= core.hi_ns)
    lost, needed = np.flatnonzero((trace.answered == MISSING)[inside]), telling_losses(trace)
    if len(lost) < needed:
        return False
    return max(map(len, np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1))) >= needed
