"""The suspension that independent witnesses agree on, and the outage of sessions beside it.

Facts of all probes are intersected: the host ran at some instant of [lo, hi], so with M inside the suspension S ≥ lo
for every fact before M, and E ≤ hi for every fact after it. That is always right. Where the host would have spoken and
did not is only likely: the soft edges come from the finest witness, are never claimed finer than its noise, and widen
where another witness contradicts them. See also `lpmkit.analysis.estimate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lpmkit.analysis.breaks import CLOCK_MISSED_NS, Break, clock_readings
from lpmkit.analysis.classify import answered_by_kernel, deep, machine_core
from lpmkit.analysis.clocks import Alignment
from lpmkit.analysis.estimate import (
    Likely,
    Signs,
    by_a_clock_that_stood_still,
    likely_length,
    limp,
    missed_from,
    signs_of,
    spoke_last,
    stood_still,
)
from lpmkit.analysis.late_start import LateStarts, kernel_heard, seen_late_start
from lpmkit.analysis.layers import LostRequests, gaps_with_room, loses_throughout, lost_requests, widest_gap
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    SESSIONS,
    ClockReading,
    Interval,
    LikelyBy,
    Method,
    Outage,
    OutageKind,
    SessionOutage,
    Suspension,
    Trace,
    uncovered_ns,
)
from lpmkit.analysis.silences import MIN_LATENESS_NS, MIN_WAKE_NS
from lpmkit.runs.cells import MISSING

_RANK = {"ticks": 0, "icmp": 1, "echo": 2, "ni": 3, "connect": 4}


def suspensions(
    outages: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    alignments: dict[str, Alignment],
    breaks: Sequence[Break],
    usual: LateStarts | None,
    *,
    announced: bool,
) -> tuple[Suspension, ...]:
    """Every agreed suspension of one host in one recorder's life. ``outages`` are classed.

    Where one is ``announced``, by a move, an undecided silence is worked out as well: the verdict names the one
    mechanism that shows it.
    """
    kinds_taken = (OutageKind.SUSPENSION, OutageKind.UNDECIDED) if announced else (OutageKind.SUSPENSION,)
    kinds = {trace.probe: trace.kind for trace in traces}
    silences = [outage for outage in outages if outage.kind in kinds_taken]
    ranked = sorted(silences, key=lambda silence: (_RANK.get(kinds[silence.probe], 9), silence.begin))
    references: list[Outage] = []
    for one in ranked:
        if not any(one.outer.overlaps(other.outer) for other in references):
            references.append(one)
    return tuple(
        agree(
            reference,
            [other for other in silences if other is reference or other.outer.overlaps(reference.core)],
            traces,
            stalls,
            alignments,
            breaks,
            usual,
        )
        for reference in sorted(references, key=lambda reference: reference.begin)
    )


def shown_by_a_clock(
    outages: Sequence[Outage], traces: Sequence[Trace], alignments: dict[str, Alignment], breaks: Sequence[Break]
) -> tuple[Outage, ...]:
    """The same classed outages; a micro-stop over which the host's monotonic clock stood still is a suspension, if the
    other probes leave room for it.

    That clock is not set by hand, and neither a starved process nor a break of the network moves it.
    """
    return tuple(_shown_by_a_clock(outage, traces, alignments, breaks) for outage in outages)


def _shown_by_a_clock(
    outage: Outage, traces: Sequence[Trace], alignments: dict[str, Alignment], breaks: Sequence[Break]
) -> Outage:
    if outage.kind is not OutageKind.MICRO_STOP or outage.method is not Method.TICK_STAMPS:
        return outage
    for reading in clock_readings(alignments, breaks, outage.outer, outage.length):
        shows = reading.clock == "monotonic" and CLOCK_MISSED_NS <= reading.missed.lo_ns <= outage.length.hi_ns
        room = widest_gap(outage.outer, traces).length_ns >= reading.missed.lo_ns
        if shows and room and reading.missed.lo_ns >= reading.missed.length_ns:
            why = "the host's monotonic clock stood still meanwhile"
            return replace(outage, kind=OutageKind.SUSPENSION, why=why)
    return outage


def answered_by_itself(stills: Sequence[Suspension]) -> frozenset[str]:
    """Probes that went silent during a suspension: proof that their replies come from the host itself and not from a
    proxy.
    """
    return frozenset(witness.probe for still in stills if not still.contradicted for witness in still.witnesses)


def agree(
    reference: Outage,
    witnesses: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    alignments: dict[str, Alignment],
    breaks: Sequence[Break],
    usual: LateStarts | None,
) -> Suspension:
    """One suspension from its finest witness, the facts of every probe, and what the others show.

    It ends with the first sign of the machine, whatever gave it. What its processes were late after that is no part of
    it.
    """
    contradicted = answered_by_kernel(reference, traces)
    if _had_room(reference, traces, clock_readings(alignments, breaks, reference.outer, reference.length)) is not None:
        contradicted = ()  # beside those answers the host stopped for as long as its clock did
    deaf = {one.probe for one in contradicted}
    heard = [one for one in traces if one.probe not in deaf]
    core = machine_core(reference, heard)
    inside_ns = deep(core).lo_ns
    signs = signs_of(reference, heard, inside_ns)
    lost = lost_requests(Interval(signs.not_before, signs.not_after), heard)
    if lost.begin is not None and lost.begin.lo_ns > reference.begin.hi_ns:
        # A queue on the way held what came first, until it was full: that shows no stop.
        lost = replace(lost, begin=None)
    stamped_early = _stamped_early(reference, heard, inside_ns)
    limp_ns = limp(signs.not_after, heard)
    unseen = None if lost.end is not None or kernel_heard(heard, inside_ns, signs.not_after + SECOND) else usual
    begin, end = _edges(reference, signs, lost, max(limp_ns, unseen.most_ns if unseen else 0))
    if stamped_early is not None:
        begin = Interval(min(begin.lo_ns, stamped_early.lo_ns), begin.hi_ns)
    disagreement = [
        (
            f"{one.probe} was answered during it: the kernel at that address ran on while the host's "
            "processes stood still"
        )
        for one in contradicted
    ]
    disagreement += _disagreements(reference, witnesses, begin)
    begin, end = _near_stalls(begin, end, stalls)
    most = end.hi_ns - begin.lo_ns
    if stamped_early is None:
        most = min(reference.length.hi_ns, most)
    least = max(0, end.lo_ns - begin.hi_ns)
    if reference.method is Method.CLOCK_JUMP and reference.length.lo_ns <= most:
        # The jump is a hard bound of its own and needs no edges; one that exceeds this silence is of several.
        least = reference.length.lo_ns
    length = Interval(min(most, least), most)
    trace = next(one for one in traces if one.probe == reference.probe)
    clocks = clock_readings(alignments, breaks, Interval(begin.lo_ns, end.hi_ns), length)
    if lost.end is None and (stood_ns := stood_still(clocks, length)) is not None:
        # What that clock counted of the silence the host ran, and its answers were late.
        end, length = _ended_by(begin.lo_ns + stood_ns, end), _as_short_as(stood_ns, length)
        clocks = clock_readings(alignments, breaks, Interval(begin.lo_ns, end.hi_ns), length)
    if lost.begin is None and lost.end is None:
        begin, end = _where_it_had_room(begin, end, clocks, reference, heard)
    set_on = _set_on(reference, begin, signs, heard)
    if set_on is not None:
        end, length = _ended_by(begin.lo_ns + set_on.lo_ns, end), _as_short_as(set_on.lo_ns, length)
    slot = spoke_last(trace, reference, inside_ns).lo_ns + trace.interval_at(reference.begin.lo_ns)
    missed_ns = missed_from(signs.last.lo_ns, slot, core.middle_ns, heard if lost.begin is None else ())
    drawn = likely_length(begin, end, length, trace, signs, missed_ns, lost, limp_ns, unseen)
    if stamped_early is not None:
        earliest_ns = drawn.span.hi_ns + max(0, signs.last.lo_ns - stamped_early.middle_ns)
        drawn = replace(drawn, span=Interval(drawn.span.lo_ns, min(length.hi_ns, earliest_ns)))
    likely = by_a_clock_that_stood_still(clocks, length, drawn)
    if set_on is not None and (missed := set_on.intersect(length)) is not None:
        # What lies between the two stamps beside that is a tick, as long as the host kept its pace.
        best_ns = max(missed.lo_ns, missed.hi_ns - trace.interval_at(reference.begin.lo_ns))
        if reference.missed_ns is not None:
            best_ns = min(max(reference.missed_ns, missed.lo_ns), missed.hi_ns)
        likely = Likely(missed, best_ns, LikelyBy.CLOCK)
    return Suspension(
        host=reference.host,
        begin=begin,
        end=end,
        length=length,
        likely=likely.span,
        best_ns=likely.best_ns,
        likely_by=likely.method,
        witnesses=tuple(sorted(witnesses, key=lambda witness: witness.outer.length_ns)),
        mechanisms=tuple(dict.fromkeys(one.kind for one in traces if one.probe in {w.probe for w in witnesses})),
        disagreement=tuple(disagreement),
        clocks=clocks,
        stalled_ns=length.hi_ns - uncovered_ns(Interval(begin.lo_ns, begin.lo_ns + length.hi_ns), stalls),
        method=reference.method,
        contradicted=tuple(one.probe for one in contradicted),
        resumed_ns=end.hi_ns if lost.end is None else min(end.hi_ns, lost.end.middle_ns),
        limp_ns=limp_ns,
        late_start=seen_late_start(heard, inside_ns, end),
        ended_by=signs.ended_by,
    )


def _stamped_early(reference: Outage, traces: Sequence[Trace], inside_ns: int) -> Interval | None:
    """The bounds of the host's stop by the requests that were lost, where the batch that was pending then has ticks
    stamped after that; ``None`` where it has not.

    Either the way was closed before the host stopped, or its clock stood still, and was set on before the batch left:
    such ticks were made after the resume.
    """
    if not any(((one.perhaps > reference.begin.lo_ns - SECOND) & (one.perhaps <= inside_ns)).any() for one in traces):
        return None
    sure = [
        replace(one, alive_lo=one.alive_lo[known], alive_hi=one.alive_hi[known])
        for one, known in ((one, ~np.isin(one.alive_lo, one.perhaps)) for one in traces)
    ]
    mine = next(one for one in sure if one.probe == reference.probe)
    before = mine.alive_lo[mine.alive_hi <= inside_ns]
    last_sure_ns = min(reference.begin.lo_ns, int(before.max(initial=-(2**62))))
    earlier = replace(reference, begin=Interval(last_sure_ns, reference.begin.hi_ns))
    signs = signs_of(earlier, sure, inside_ns)
    lost = lost_requests(Interval(signs.not_before, signs.not_after), sure).begin
    latest = max(int(one.perhaps[one.perhaps <= inside_ns].max(initial=-(2**62))) for one in traces)
    return lost if lost is not None and latest > lost.hi_ns + MIN_LATENESS_NS else None


def _had_room(reference: Outage, traces: Sequence[Trace], clocks: Sequence[ClockReading]) -> Interval | None:
    """The time from the first to the last stretch of a silence, between signs of life, that has room for what the
    monotonic clock missed; ``None`` where it missed nothing, or no stretch has.
    """
    least_ns = _missed_ns(clocks)
    return gaps_with_room(reference.outer, traces, least_ns) if least_ns >= CLOCK_MISSED_NS else None


def _missed_ns(clocks: Sequence[ClockReading]) -> int:
    """The least time that the monotonic clock missed; 0 where it is not known."""
    return max((one.missed.lo_ns for one in clocks if one.clock == "monotonic"), default=0)


def _where_it_had_room(
    begin: Interval, end: Interval, clocks: Sequence[ClockReading], reference: Outage, traces: Sequence[Trace]
) -> tuple[Interval, Interval]:
    """The two ends; where only acknowledgements show the kernel, as wide as the stretches of its silence are apart that
    have room for what the monotonic clock missed.

    Behind a short stop a busy host's processes may be silent for longer than in it, and nothing tells which was which.
    """
    room = _had_room(reference, traces, clocks)
    if room is None or any(one.kind == "icmp" and (one.answered != MISSING).any() for one in traces):
        return begin, end
    least_ns = _missed_ns(clocks)
    begin = Interval(min(begin.lo_ns, room.lo_ns), max(begin.hi_ns, room.hi_ns - least_ns))
    return begin, Interval(min(end.lo_ns, room.lo_ns + least_ns), max(end.hi_ns, room.hi_ns))


def _ended_by(moment_ns: int, end: Interval) -> Interval:
    """The end, which may be as early as ``moment_ns``."""
    return Interval(min(end.lo_ns, moment_ns), end.hi_ns)


def _as_short_as(least_ns: int, length: Interval) -> Interval:
    """The length, which may be as little as ``least_ns``."""
    return Interval(min(length.lo_ns, least_ns), length.hi_ns)


def _set_on(reference: Outage, begin: Interval, signs: Signs, traces: Sequence[Trace]) -> Interval | None:
    """The time by which the host's clock was set on after it had stood still, where requests were lost for as long:
    those of a second suspension, which looks the same by the clock, would have been answered in between.
    """
    if reference.method is Method.CLOCK_JUMP:
        return reference.set_on
    if reference.set_on is None or signs.not_after < begin.lo_ns + reference.set_on.lo_ns:
        return None
    meanwhile = Interval(begin.hi_ns, begin.lo_ns + reference.set_on.lo_ns)
    return reference.set_on if any(loses_throughout(meanwhile, trace) for trace in traces) else None


def _edges(reference: Outage, signs: Signs, lost: LostRequests, late_ns: int) -> tuple[Interval, Interval]:
    """The two ends: outside by facts alone, inside by what was missed and by how late things ran after the resume."""
    begin_lo, end_hi = signs.not_before, signs.not_after
    missed = reference.begin.hi_ns
    if lost.begin is not None:
        missed = min(missed, lost.begin.hi_ns + MIN_LATENESS_NS)
    moved = begin_lo + MIN_LATENESS_NS if begin_lo > missed else 0
    wake_ns = max(MIN_WAKE_NS, reference.end.length_ns) if reference.method is Method.TICK_STAMPS else 0
    end_lo = min(reference.end.lo_ns, end_hi - wake_ns)
    if lost.end is not None and lost.end.lo_ns <= end_hi:  # later, the way was closed while the host ran
        end_lo = lost.end.lo_ns - MIN_LATENESS_NS
    else:
        end_lo = min(end_lo, end_hi - late_ns)
    return Interval(begin_lo, max(missed, begin_lo, moved)), Interval(max(begin_lo, min(end_lo, end_hi)), end_hi)


def _disagreements(reference: Outage, witnesses: Sequence[Outage], begin: Interval) -> list[str]:
    said = []
    if begin.lo_ns > reference.begin.hi_ns:
        more = (begin.lo_ns - reference.begin.hi_ns) / MILLISECOND
        said.append(f"a sign of life {more:.1f} ms after {reference.probe} should have ticked: the begin was widened")
    for other in witnesses:
        if other is reference or other.inner is None:
            continue
        inner = other.inner
        if inner.lo_ns < begin.lo_ns - MILLISECOND and other.begin.hi_ns < begin.lo_ns:
            early = (begin.lo_ns - inner.lo_ns) / MILLISECOND
            said.append(f"{other.probe} was late already {early:.1f} ms before the last sign of life")
    return said


def _near_stalls(begin: Interval, end: Interval, stalls: Sequence[Interval]) -> tuple[Interval, Interval]:
    """Soft edges reach over a stall of ours that touches them: a machine that stood still vouches for no silence."""
    for stall in stalls:
        if stall.overlaps(begin) and stall.hi_ns < end.lo_ns:
            begin = Interval(begin.lo_ns, max(begin.hi_ns, stall.hi_ns))
        if stall.overlaps(end) and stall.lo_ns > begin.hi_ns:
            end = Interval(min(end.lo_ns, stall.lo_ns), end.hi_ns)
    return begin, end


def session_outages(
    outages: Sequence[Outage], traces: Sequence[Trace], agreed: Sequence[Suspension]
) -> tuple[SessionOutage, ...]:
    """Outages of open sessions as their users felt them: every silence of the echo, of the connection to a SAP
    dispatcher and of a session with a database.
    """
    gathered = []
    for trace in traces:
        if trace.kind not in SESSIONS:
            continue
        for outage in outages:
            if outage.probe == trace.probe and outage.kind is not OutageKind.OBSERVER:
                gathered.append(_session_outage(outage, trace, agreed))
    return tuple(gathered)


def _session_outage(outage: Outage, trace: Trace, agreed: Sequence[Suspension]) -> SessionOutage:
    known = trace.answered > 0
    typed = trace.late & (trace.sent >= outage.begin.lo_ns) & (trace.sent <= outage.end.hi_ns)
    answered = trace.answered[known & (trace.answered >= outage.end.hi_ns)]
    ended = int(answered.min(initial=2**62)) if len(answered) else outage.end.hi_ns
    first = int(trace.sent[typed].min(initial=outage.begin.hi_ns))
    # of what was asked before: a question from the last moments of the outage is answered in time, with the others
    early = known & (trace.sent < first) & (trace.answered <= outage.end.hi_ns) & ~trace.late
    last_answer = int(trace.answered[early].max(initial=outage.begin.lo_ns))
    its_answer = trace.answered[typed & known]
    waited = (int(its_answer[0]) if len(its_answer) else ended) - first
    during = next((one for one in agreed if one.outer.overlaps(outage.outer)), None)
    after = Interval(max(0, ended - during.end.hi_ns), max(0, ended - during.end.lo_ns)) if during else None
    late_after = trace.late & known & (trace.sent >= ended) & (trace.sent <= ended + 10 * SECOND)
    slow = int(trace.answered[late_after].max(initial=ended))
    return SessionOutage(
        probe=trace.probe,
        host=trace.host,
        began=Interval(min(last_answer, first), first),
        ended_ns=ended,
        waited_ns=waited,
        bounds=Interval(waited, waited + first - min(last_answer, first)),
        after_resume_ns=after,
        slow_until_ns=slow,
        unanswered=int((typed & ~known).sum()),
    )
