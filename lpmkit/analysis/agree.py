"""The suspension that independent witnesses agree on, and the outage of sessions beside it.

Facts of all probes are intersected: the host ran at some instant of [lo, hi], so with M inside the suspension S ≥ lo for every fact before M, and
E ≤ hi for every fact after it. That is always right. Where the host would have spoken and did not is only likely: the soft
edges come from the finest witness, are never claimed finer than its noise, and widen where another witness contradicts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lpmkit.analysis.classing import KERNEL, answered_by_kernel
from lpmkit.analysis.clocks import Alignment
from lpmkit.analysis.signals import LEAST_LATENESS_NS, LEAST_WAKE_NS, STOOD_STILL, Break, clock_readings
from lpmkit.analysis.values import (
    MILLISECOND,
    SECOND,
    SESSIONS,
    BoolArray,
    ClockReading,
    Interval,
    Kind,
    Outage,
    SessionOutage,
    Suspension,
    Trace,
    uncovered_ns,
)
from lpmkit.samples import MISSING

_RANK = {"ticks": 0, "icmp": 1, "echo": 2, "ni": 3, "connect": 4}
_NEAR_NS = 30 * SECOND
_DRAWS = 4000
#: How the delay after a resume dies away, as a share of the allowance for it, and how little is known of that (a factor, as the spread of its logarithm).
_WAKE_SHARE, _WAKE_SPREAD = 0.03, 0.8


def suspensions(
    outages: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    alignments: dict[str, Alignment],
    breaks: Sequence[Break],
) -> tuple[Suspension, ...]:
    """Every agreed suspension of one host in one recorder's life. ``outages`` are classed."""
    kinds = {trace.probe: trace.kind for trace in traces}
    silences = [one for one in outages if one.kind is Kind.SUSPENSION]
    ranked = sorted(silences, key=lambda one: (_RANK.get(kinds[one.probe], 9), one.begin))
    references: list[Outage] = []
    for one in ranked:
        if not any(one.outer.overlaps(other.outer) for other in references):
            references.append(one)
    return tuple(
        agree(
            one,
            [other for other in silences if other is one or other.outer.overlaps(one.core)],
            traces,
            stalls,
            alignments,
            breaks,
        )
        for one in sorted(references, key=lambda one: one.begin)
    )


def answered_by_itself(stills: Sequence[Suspension]) -> frozenset[str]:
    """The probes that were silent with a host in a suspension: what a kernel answers there, the host's own answers, and nobody else for its address."""
    return frozenset(witness.probe for one in stills if not one.contradicted for witness in one.witnesses)


def agree(
    reference: Outage,
    witnesses: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    alignments: dict[str, Alignment],
    breaks: Sequence[Break],
) -> Suspension:
    """One suspension from its finest witness, everybody's facts, and what the others say."""
    contradicted = answered_by_kernel(reference, traces)
    deaf = {one.probe for one in contradicted}
    signs = _signs(reference, [one for one in traces if one.probe not in deaf])
    begin_lo, end_hi = signs.not_before, signs.not_after
    moved_begin = begin_lo + LEAST_LATENESS_NS if begin_lo > reference.begin.hi_ns else 0
    wake_ns = max(LEAST_WAKE_NS, reference.end.length_ns) if reference.method == "tick stamps" else 0
    begin = Interval(begin_lo, max(reference.begin.hi_ns, begin_lo, moved_begin))
    end = Interval(min(reference.end.lo_ns, end_hi, end_hi - wake_ns), end_hi)
    disagreement = [
        f"{one.probe} was answered in the midst of it: the kernel at that address ran on while the host's processes stood still"
        for one in contradicted
    ]
    disagreement += _disagreements(reference, witnesses, begin, end)
    begin, end = _near_stalls(begin, end, stalls)
    most = min(reference.length.hi_ns, end.hi_ns - begin.lo_ns)
    least = min(most, reference.length.lo_ns, max(0, end.lo_ns - begin.hi_ns))
    if reference.method == "jump of the guest clock's offset":
        least = min(most, reference.length.lo_ns)  # the jump is a hard bound of its own; it needs no edges
    trace = next(one for one in traces if one.probe == reference.probe)
    length = Interval(least, most)
    kernels = [one for one in traces if one.kind in KERNEL and all(one is not other for other in contradicted)]
    clocks = clock_readings(alignments, breaks, reference)
    slot = _spoke_last(trace, reference).lo_ns + trace.interval_at(reference.begin.lo_ns)
    missed = _missed_from(signs.last.lo_ns, slot, reference.core.middle_ns, kernels)
    likely, best = likely_length(begin, end, length, trace, signs, missed)
    likely, best = _by_a_clock_that_stood_still(clocks, length, likely, best)
    return Suspension(
        host=reference.host,
        begin=begin,
        end=end,
        length=length,
        likely=likely,
        best_ns=best,
        witnesses=tuple(sorted(witnesses, key=lambda one: one.outer.length_ns)),
        mechanisms=tuple(dict.fromkeys(one.kind for one in traces if one.probe in {w.probe for w in witnesses})),
        disagreement=tuple(disagreement),
        clocks=clocks,
        stalled_ns=length.hi_ns - uncovered_ns(Interval(begin.lo_ns, begin.lo_ns + length.hi_ns), stalls),
        method=reference.method,
        contradicted=tuple(one.probe for one in contradicted),
    )


def _by_a_clock_that_stood_still(
    clocks: Sequence[ClockReading], length: Interval, likely: Interval, best_ns: int
) -> tuple[Interval, int]:
    """What a guest clock missed is how long the host stood still, closer than any tick shows it, where it fits what the ticks show.

    That it began to stand and ran again together with the host is likely, not proved: the hull stays as it is.
    """
    still = [one.missed for one in clocks if one.verdict == STOOD_STILL and one.missed.overlaps(likely)]
    if not still:
        return likely, best_ns
    missed = min(still, key=lambda one: one.length_ns)
    missed = Interval(max(missed.lo_ns, length.lo_ns), min(missed.hi_ns, length.hi_ns))
    return missed, missed.middle_ns


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs of life next to a suspension, of every probe's.

    ``not_before`` and ``not_after`` are facts: the last instant known to be before it and the first known to be after. ``last`` and ``first`` are where the
    last sign and the first most likely lie: no more is left open of them than the clocks usually leave, or than a usual round trip takes. Neither a
    question that was put while nobody could answer nor a clock that is not yet tied again makes it more likely that the host spoke long before it was heard.
    """

    not_before: int
    not_after: int
    last: Interval
    first: Interval


def _signs(reference: Outage, traces: Sequence[Trace]) -> Signs:
    middle = reference.core.middle_ns
    not_before, not_after = reference.begin.lo_ns, reference.end.hi_ns
    last, first = Interval(not_before, not_before), Interval(not_after, not_after)
    for trace in traces:
        not_before = max(not_before, int(trace.alive_lo[_before(trace, middle)].max(initial=not_before)))
        last = max(last, _spoke_last(trace, reference))
        after = (trace.alive_lo >= middle) & (trace.alive_lo <= middle + _NEAR_NS)
        if after.any():
            at = int(np.argmin(np.where(after, trace.alive_hi, 2**62)))
            hi = int(trace.alive_hi[at])
            if hi <= first.hi_ns:
                first = Interval(max(int(trace.alive_lo[at]), hi - _usual_doubt(trace)), hi)
            not_after = min(not_after, hi)
    return Signs(not_before, not_after, last, first)


def _before(trace: Trace, middle: int) -> BoolArray:
    return (trace.alive_hi <= middle) & (trace.alive_hi >= middle - _NEAR_NS)


def _spoke_last(trace: Trace, reference: Outage) -> Interval:
    """Where the last sign of life of one probe before a silence most likely lies."""
    before = _before(trace, reference.core.middle_ns)
    if not before.any():
        return Interval(reference.begin.lo_ns, reference.begin.lo_ns)
    lo, hi, usual = trace.alive_lo[before], trace.alive_hi[before], _usual_doubt(trace)
    if (
        trace.kind == "ticks"
    ):  # stamped there: as soon after its stamp as usual, however badly the clock is tied just now
        lo = np.maximum(lo, hi - usual)
    at = int(np.argmax(lo))
    return Interval(int(lo[at]), min(int(hi[at]), int(lo[at]) + usual))


def _usual_doubt(trace: Trace) -> int:
    """How much is usually left open of when a sign of life was given."""
    if trace.kind == "ticks":
        return int(np.median(trace.alive_hi - trace.alive_lo)) if len(trace.alive_lo) else 0
    return trace.noise.median_ns


def _disagreements(reference: Outage, witnesses: Sequence[Outage], begin: Interval, end: Interval) -> list[str]:
    said = []
    if begin.lo_ns > reference.begin.hi_ns:
        more = (begin.lo_ns - reference.begin.hi_ns) / MILLISECOND
        said.append(f"a sign of life {more:.1f} ms after {reference.probe} should have ticked: the begin was widened")
    if end.hi_ns < reference.end.lo_ns:
        more = (reference.end.lo_ns - end.hi_ns) / MILLISECOND
        said.append(f"a sign of life {more:.1f} ms before {reference.probe} allows for: the end was widened")
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


def _missed_from(begin_lo: int, slot: int, middle: int, kernels: Sequence[Trace]) -> int:
    """By when something is known to have been missed: the tick's slot, or the first echo request that got no answer in time."""
    missed = slot
    for trace in kernels:
        unanswered = (trace.answered == MISSING) | (trace.answered > middle)
        sent = trace.sent[unanswered & (trace.sent >= begin_lo) & (trace.sent <= middle)]
        missed = min(missed, int(sent.min(initial=missed)))
    return max(begin_lo, missed)


def likely_length(
    begin: Interval, end: Interval, length: Interval, trace: Trace, signs: Signs, missed_ns: int
) -> tuple[Interval, int]:
    """The 95 % interval and the middle of the duration.

    The last and the first sign of life are drawn evenly from where they most likely lie. The begin is drawn evenly from the last one on, for as long as it
    was until ``missed_ns``, when the next was missed, and a lateness as in the lead-in; the end before the first one by a wake-up of such a lateness and a
    delay that dies away within the allowance. Same input, same answer.
    """
    if trace.kind != "ticks" or length.length_ns == 0:
        return length, length.middle_ns  # too coarse for a distribution: all of the interval is as likely
    generator = np.random.default_rng(20080215)
    late = trace.noise.sample if len(trace.noise.sample) else np.zeros(1, dtype=np.int64)
    last, first = signs.last, signs.first
    slot = max(0, missed_ns - last.lo_ns) + generator.choice(late, _DRAWS)
    began = last.lo_ns + generator.random(_DRAWS) * last.length_ns + generator.random(_DRAWS) * slot
    usual_wake = _WAKE_SHARE * end.length_ns * np.exp(_WAKE_SPREAD * generator.standard_normal(_DRAWS))
    woke = generator.choice(late, _DRAWS) + generator.exponential(usual_wake)
    ended = first.hi_ns - generator.random(_DRAWS) * first.length_ns - woke
    drawn = np.maximum(ended, end.lo_ns) - np.minimum(began, begin.hi_ns)
    lo, middle, hi = (int(value) for value in np.quantile(drawn, [0.025, 0.5, 0.975]))
    lo, middle, hi = (min(max(value, length.lo_ns), length.hi_ns) for value in (lo, middle, hi))
    return Interval(lo, hi), middle


def session_outages(
    outages: Sequence[Outage], traces: Sequence[Trace], agreed: Sequence[Suspension]
) -> tuple[SessionOutage, ...]:
    """What people logged in over an open session felt: every silence of the echo, of the connection to a SAP dispatcher and of a session with a database."""
    found = []
    for trace in traces:
        if trace.kind not in SESSIONS:
            continue
        for outage in outages:
            if outage.probe == trace.probe and outage.kind is not Kind.OBSERVER:
                found.append(_session_outage(outage, trace, agreed))
    return tuple(found)


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
