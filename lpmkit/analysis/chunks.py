"""A host over a record of any length: stretch by stretch, so that what is in memory at a time does not grow with the
record.

A short record is one stretch. Of a longer one each stretch is read with a margin on either side, and keeps what begins
within it; a stretch never ends while a probe is silent that speaks again. Where nothing happened, traces keep a sign of
life now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpmkit.analysis.brownout import brown_outs, closed_after, explained
from lpmkit.analysis.classify import classed
from lpmkit.analysis.clock_rates import slews
from lpmkit.analysis.combine import answered_by_itself, session_outages, shown_by_a_clock, suspensions
from lpmkit.analysis.late_start import about_late_starts
from lpmkit.analysis.layers import SIGNS_ONLY, own_noise
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    BoolArray,
    BrownOut,
    ClockRate,
    HostAnalysis,
    Interval,
    Noise,
    Outage,
    OutageKind,
    SessionOutage,
    Signals,
    Suspension,
    Trace,
)
from lpmkit.analysis.noise import MIN_SILENCE_NS
from lpmkit.analysis.record import Record, SampleSource
from lpmkit.analysis.session_outage import split_sessions
from lpmkit.analysis.signals import HostTraces, host_traces
from lpmkit.runs.cells import MISSING, Int64Array

#: A record with up to this number of samples of one host is read whole.
WHOLE_ROWS = 1_000_000
#: Otherwise the length of a stretch, and its reach beyond its ends: nothing that lies farther apart bears on the other.
STRETCH_NS = 90 * SECOND
MARGIN_NS = 15 * SECOND
#: A silence may lengthen a stretch by up to this factor.
_MAX_STRETCHES = 15
#: Around whatever happened traces keep everything, elsewhere one row of so much time.
_KEPT_NS = 10 * SECOND
_THIN_NS = 100 * MILLISECOND


@dataclass(frozen=True, slots=True)
class _Part:
    """The results of one stretch."""

    found: HostTraces
    outages: tuple[Outage, ...]
    suspensions: tuple[Suspension, ...]
    sessions: tuple[SessionOutage, ...]
    brown_outs: tuple[BrownOut, ...]
    own_noise_ns: int | None


def host_analysis(host: str, record: Record) -> HostAnalysis:
    """One host over all recorders: clocks, silences and suspensions of each recorder's life on their own."""
    known: dict[str, Noise] = {}
    parts = _lives(host, record, known, frozenset())
    its_own = answered_by_itself([still for part in parts for still in part.suspensions])
    if any(its_own.intersection(still.contradicted) for part in parts for still in part.suspensions):
        # whose kernel answers is known from one suspension of the record, and decides what other silences were
        parts = _lives(host, record, known, its_own)
    rates = tuple(_joined([rate for part in parts for rate in part.found.rates]))
    notes = [note for part in parts for note in part.found.notes]
    if any(part.suspensions for part in parts):
        notes.append(about_late_starts(record.late_starts, {one.kind for part in parts for one in part.found.traces}))
    own = max((part.own_noise_ns for part in parts if part.own_noise_ns is not None), default=None)
    return HostAnalysis(
        host=host,
        traces=tuple(_one_each([trace for part in parts for trace in part.found.traces])),
        noises=known,
        suspensions=tuple(suspension for part in parts for suspension in part.suspensions),
        outages=tuple(outage for part in parts for outage in part.outages),
        sessions=tuple(session for part in parts for session in part.sessions),
        brown_outs=tuple(brown_out for part in parts for brown_out in part.brown_outs),
        steps=(*(step for part in parts for step in part.found.steps), *slews(list(rates))),
        offset_ns=next((part.found.offset for part in parts if part.found.offset), None),
        rates=rates,
        tie=next((part.found.tie for part in parts if part.found.tie), None),
        notes=tuple(filter(None, dict.fromkeys(notes))),
        own_noise_ns=own,
        shortest_ns=_shortest(known, [trace for part in parts for trace in part.found.traces], own),
    )


def _shortest(known: Mapping[str, Noise], traces: Sequence[Trace], own_noise_ns: int | None) -> int | None:
    """The shortest suspension that could have been detected: beyond the own noise, and long enough for the probes that
    were there.
    """
    kinds = {trace.kind: trace for trace in traces if trace.kind not in SIGNS_ONLY}
    if not kinds:
        return None
    if "ticks" in kinds and "icmp" in kinds:
        needed = MIN_SILENCE_NS + 2 * max(kinds["ticks"].interval_ns, kinds["icmp"].interval_ns)
    else:
        needed = min(known[trace.probe].threshold_ns + trace.interval_ns for trace in kinds.values())
    return max(needed, own_noise_ns or 0)


def _lives(host: str, record: Record, known: dict[str, Noise], its_own: frozenset[str]) -> list[_Part]:
    return [
        part
        for (name, _), sources in record.sources.items()
        if name == host
        for part in _life(host, sources, record, known, its_own)
    ]


def _life(
    host: str, sources: Sequence[SampleSource], record: Record, known: dict[str, Noise], its_own: frozenset[str]
) -> Iterator[_Part]:
    """The stretches of one recorder's life."""
    span = sources[0].span
    for source in sources[1:]:
        span = span.hull(source.span)
    if sum(source.rows for source in sources) <= WHOLE_ROWS:
        yield _part(host, [source.between(span) for source in sources], record, known, its_own, None)
        return
    since = span.lo_ns
    while since < span.hi_ns:
        until, signals = _stretch(sources, since, span)
        stretch = Interval(since, until - 1 if until < span.hi_ns else until)
        yield _part(host, signals, record, known, its_own, stretch)
        since = until


def _stretch(sources: Sequence[SampleSource], since: int, span: Interval) -> tuple[int, list[Signals]]:
    """The next stretch: where it ends, and what was seen in it and around it."""
    for times in range(1, _MAX_STRETCHES + 1):
        until = min(span.hi_ns, since + times * STRETCH_NS)
        if span.hi_ns - until < STRETCH_NS // 2:
            until = span.hi_ns
        reach = Interval(since - MARGIN_NS, until + MARGIN_NS)
        signals = [source.between(reach) for source in sources if source.span.overlaps(reach)]
        waits = [signal for signal in signals if _is_silent(signal, until) and _ends_later(signal, sources, reach)]
        if until == span.hi_ns or not waits:
            break
    return until, signals


def _is_silent(signals: Signals, moment: int) -> bool:
    """True where nothing was heard around ``moment`` of a probe that had spoken."""
    if signals.kind == "syn":  # asks during silences only
        return False
    came = np.sort(signals.answered[signals.spoke])
    before = np.searchsorted(came, moment)
    heard = len(came) > before > 0 and came[before] - came[before - 1] < MARGIN_NS // 3
    return bool(len(came)) and not heard


def _ends_later(signals: Signals, sources: Sequence[SampleSource], reach: Interval) -> bool:
    return any(source.probe == signals.probe and source.span.hi_ns > reach.hi_ns for source in sources)


def _part(
    host: str,
    signals: Sequence[Signals],
    record: Record,
    known: dict[str, Noise],
    its_own: frozenset[str],
    stretch: Interval | None,
) -> _Part:
    found = host_traces(
        host, signals, record.lead_in, record.baseline, record.stalls, known, is_lead_in=bool(record.phases)
    )
    inside = [outage for outage in found.outages if outage.outer.overlaps(record.window)]
    own = own_noise(found.traces, record.stalls)
    outages = shown_by_a_clock(
        classed(inside, found.traces, record.stalls, its_own, own or 0),
        found.traces,
        found.alignments,
        found.breaks,
    )
    outages, still, slow = _agreed(outages, found, record)
    closed = [one for each in still if (one := closed_after(each, found.traces)) is not None]
    outages = tuple(sorted([*outages, *closed], key=lambda one: one.begin))
    sessions = split_sessions(
        session_outages(outages, found.traces, still), outages, found.traces, still, record.events
    )
    if stretch is None:
        return _Part(found, outages, still, sessions, slow, own)
    kept = _Part(
        found,
        tuple(outage for outage in outages if stretch.contains(outage.begin.lo_ns)),
        tuple(one for one in still if stretch.contains(one.begin.lo_ns)),
        tuple(session for session in sessions if stretch.contains(session.began.lo_ns)),
        tuple(one for one in slow if stretch.contains(one.of.begin.lo_ns)),
        own,
    )
    happened = [outage.outer for outage in outages] + [one.outer for one in still]
    busy = [one.widened(_KEPT_NS) for one in happened]
    clipped = (replace(rate, over=over) for rate in found.rates if (over := rate.over.intersect(stretch)))
    thinned = replace(
        found,
        traces=tuple(_thinned(trace, stretch, busy) for trace in found.traces),
        steps=tuple(step for step in found.steps if stretch.contains(step.at.hi_ns)),
        rates=tuple(clipped),
        offset=found.offset if stretch.contains(record.lead_in.hi_ns) else None,
        alignments={},
        breaks=(),
        outages=(),
    )
    return replace(kept, found=thinned)


def _agreed(
    outages: tuple[Outage, ...], found: HostTraces, record: Record
) -> tuple[tuple[Outage, ...], tuple[Suspension, ...], tuple[BrownOut, ...]]:
    """The suspensions, the brown-outs after them, and the outages without what these explain, until nothing more is."""
    while True:
        still = suspensions(
            outages,
            found.traces,
            record.stalls,
            found.alignments,
            found.breaks,
            record.late_starts,
            announced=bool(record.phases),
        )
        slow = tuple(one for each in still for one in brown_outs(each, found.traces, record.stalls))
        cleared = explained(outages, still, slow, found.traces)
        left, were = (sum(one.kind is OutageKind.SUSPENSION for one in some) for some in (cleared, outages))
        if left == were:
            return cleared, still, slow
        outages = cleared


def _thinned(trace: Trace, stretch: Interval, busy: Sequence[Interval]) -> Trace:
    """A trace's rows of this stretch: all that lie near something that happened, elsewhere one of each `_THIN_NS`."""
    heard = (trace.alive_hi >= stretch.lo_ns) & (trace.alive_hi <= stretch.hi_ns)
    moments = np.where(trace.sent == MISSING, trace.answered, trace.sent)
    asked = (moments >= stretch.lo_ns) & (moments <= stretch.hi_ns)
    signs = heard & (_near(trace.alive_hi, busy) | _first_of_each(trace.alive_hi))
    rows = asked & (_near(moments, busy) | _first_of_each(moments) | trace.late)
    return replace(
        trace,
        alive_lo=trace.alive_lo[signs],
        alive_hi=trace.alive_hi[signs],
        sent=trace.sent[rows],
        answered=trace.answered[rows],
        late=trace.late[rows],
        took=trace.took[rows],
        signs=int(heard.sum()),
        thinned_ns=_THIN_NS,
    )


def _near(moments: Int64Array, busy: Sequence[Interval]) -> BoolArray:
    inside = np.zeros(len(moments), dtype=np.bool_)
    for span in busy:
        inside |= (moments >= span.lo_ns) & (moments <= span.hi_ns)
    return inside


def _first_of_each(moments: Int64Array) -> BoolArray:
    slots = moments // _THIN_NS
    first = np.ones(len(moments), dtype=np.bool_)
    first[1:] = slots[1:] != slots[:-1]
    return first


def _one_each(traces: Sequence[Trace]) -> Iterator[Trace]:
    """The traces of each probe and recorder joined, in the order in which they first come."""
    groups: dict[tuple[str, int], list[Trace]] = {}
    for trace in traces:
        groups.setdefault((trace.probe, trace.segment), []).append(trace)
    for first, *more in groups.values():
        if not more:
            yield first
            continue
        every, span = (first, *more), first.span
        for one in more:
            span = span.hull(one.span)
        yield replace(
            first,
            span=span,
            alive_lo=np.concatenate([one.alive_lo for one in every]),
            alive_hi=np.concatenate([one.alive_hi for one in every]),
            sent=np.concatenate([one.sent for one in every]),
            answered=np.concatenate([one.answered for one in every]),
            late=np.concatenate([one.late for one in every]),
            took=np.concatenate([one.took for one in every]),
            signs=sum(one.signs for one in every),
            interval_ns=min(one.interval_ns for one in every),
            paces=_changes([pace for one in every for pace in one.paces]),
        )


def _changes(paces: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The paces whose interval differs from the one before."""
    return tuple(pace for was, pace in zip([(0, 0), *paces], paces, strict=False) if was[1] != pace[1])


def _joined(rates: Sequence[ClockRate]) -> Iterator[ClockRate]:
    """Rates of one clock that follow each other and can be one, as one with the bounds of both."""
    by_clock: dict[str, list[ClockRate]] = {}
    for rate in rates:
        mine = by_clock.setdefault(rate.clock, [])
        was = mine[-1] if mine else None
        touches = was is not None and 0 <= rate.over.lo_ns - was.over.hi_ns <= 1
        if was is not None and touches and rate.lo_ppm <= was.hi_ppm and was.lo_ppm <= rate.hi_ppm:
            lo, hi = max(was.lo_ppm, rate.lo_ppm), min(was.hi_ppm, rate.hi_ppm)
            mine[-1] = replace(was, over=was.over.hull(rate.over), lo_ppm=lo, hi_ppm=hi)
        else:
            mine.append(rate)
    for mine in by_clock.values():
        yield from mine
