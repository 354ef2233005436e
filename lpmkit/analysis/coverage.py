"""The times at which each probe looked, and what they withhold from the verdict.

An answer that passed needs that somebody looked all the time. A probe that died, never began, was refused or was
starved leaves a gap here, and the questions that depend on it are "not evaluated" with the stretch and the reason.
Taking data away therefore never makes an answer pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lpmkit.analysis.model import (
    SECOND,
    Coverage,
    HostAnalysis,
    Interval,
    MissingRows,
    OutageKind,
    UnobservedStretch,
    WallClock,
)
from lpmkit.analysis.observer_stalls import merged
from lpmkit.analysis.record import Record, SampleSource
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.runs.cells import MISSING, Int64Array
from lpmkit.runs.samples import Columns, columns
from lpmkit.timeline import EndCode, Event, TroubleCode, end_code, time_of_day, trouble_code

#: Seconds after its recorder's start within which a probe looks: a login may take as long, and a second program is
#: tried where the first fails.
START_NS = 45 * SECOND
#: No row for longer than this, and for more than this number of intervals, is a gap of a probe that owes a row for each
#: interval.
GAP_NS, GAP_INTERVALS = 3 * SECOND, 4
#: Probes of a host; the others are judged with their system (SAP, Oracle).
HOST_KINDS = ("ticks", "echo", "connect", "icmp", "ack")
SESSION_KINDS = ("ticks", "echo")
OBSERVER = "observer"
#: Gaps that a text names.
_SHOWN = 3


def coverage(record: Record, manifest: JsonMapping, missing: Mapping[str, MissingRows]) -> tuple[Coverage, ...]:
    """Work out for each probe that was ordered or left samples when it looked. ``missing`` are rows that the folder
    has lost, by probe.
    """
    sources: dict[str, list[SampleSource]] = {}
    for source in (*(one for group in record.sources.values() for one in group), *record.observer):
        if source.kind in (*HOST_KINDS, OBSERVER):
            sources.setdefault(source.probe, []).append(source)
    ordered = dict(_ordered(record.events, manifest))
    until = end_of_watching(record)
    coverages = [
        _of_probe(record, probe, *ordered.get(probe, ("", "")), sources.get(probe, ()), until)
        for probe in sorted({*sources, *ordered})
    ]
    others = [
        Coverage(rows.probe, "", "", (), (), 0, 0, missing=rows)
        for rows in missing.values()
        if rows.probe not in {one.probe for one in coverages}
    ]
    return (*(replace(one, missing=missing.get(one.probe)) for one in coverages), *others)


def _ordered(events: Sequence[Event], manifest: JsonMapping) -> Iterator[tuple[str, tuple[str, str]]]:
    """The probes of hosts that were ordered or began: name, then kind and host."""
    for event in events:
        if event.kind == "probe-started" and event.data.get("kind") in (*HOST_KINDS, OBSERVER):
            yield str(event.data.get("probe", event.source)), (str(event.data["kind"]), str(event.data.get("host", "")))
    for order in manifest.get("probes") or ():
        if isinstance(order, dict) and order.get("kind") in HOST_KINDS and isinstance(order.get("name"), str):
            yield order["name"], (str(order["kind"]), str(order.get("host", "")))


def end_of_watching(record: Record) -> int:
    """The moment up to which the usual probes had to look: the end of the recording, or of the
    post-migration window.

    Older runs do not have the moment at which the probes were asked to end, only that at which all of them had.
    """
    over = [_watched_to(event) for event in record.events if event.kind == "tail-over"]
    ended = [_watched_to(event) for event in record.events if event.kind == "recorder-ended"]
    if over:
        return over[-1]
    return min(ended[-1], record.span.hi_ns) if ended else record.span.hi_ns


def _watched_to(event: Event) -> int:
    asked = event.data.get("watched_to_ns")
    return event.mono_ns if asked is None else min(int(asked), event.mono_ns)


def _of_probe(
    record: Record, probe: str, kind: str, host: str, sources: Sequence[SampleSource], until: int
) -> Coverage:
    kind = kind or sources[0].kind
    host = sources[0].host if sources else host
    troubles = [
        e for e in record.events if e.kind == "probe-trouble" and probe in str(e.data.get("probe", "")).split(", ")
    ]
    declined = next((str(e.data.get("what")) for e in troubles if trouble_code(e.data) is TroubleCode.BY_DESIGN), "")
    looked: list[Interval] = []
    answered = unanswered = 0
    for source in sorted(sources, key=lambda one: one.span):
        rows = _Rows(source)
        looked += rows.stretches
        answered, unanswered = answered + rows.answered, unanswered + rows.unanswered
    if kind in SESSION_KINDS:
        looked = _without_broken_sessions(looked, record.events, probe)
    spans = merged(looked)
    between = _between(record, spans, until, longest_between(sources))
    gaps = [] if declined and not spans else sorted({*between, *_restarts(sources), *_deaths(troubles, spans, until)})
    named = tuple(UnobservedStretch(probe, kind, span, _reason(span, troubles)) for span in gaps)
    return Coverage(probe, host, kind, spans, named, answered, unanswered, declined if not spans else "")


def _restarts(sources: Sequence[SampleSource]) -> Iterator[Interval]:
    """The times between two lives of a probe: its process or its recorder died, so nothing was observed, however short
    they were.
    """
    for before, after in pairwise(sorted(sources, key=lambda source: source.span)):
        if after.segment != before.segment and after.span.lo_ns > before.span.hi_ns:
            yield Interval(before.span.hi_ns, after.span.lo_ns)


def _deaths(troubles: Sequence[Event], looked: Sequence[Interval], until: int) -> Iterator[Interval]:
    """The times after a death of a probe's process, up to its next row, however short they were."""
    for event in troubles:
        if trouble_code(event.data) is TroubleCode.DIED:
            after = [span.lo_ns for span in looked if span.lo_ns > event.mono_ns]
            end = min(after, default=until)
            if end > event.mono_ns:
                yield Interval(event.mono_ns, end)


class _Rows:
    """The rows of one source: the stretches that they cover and how many were answered."""

    def __init__(self, source: SampleSource) -> None:
        self.answered = self.unanswered = 0
        times = [self._times(source, columns([piece])) for piece in source.pieces]
        every = np.sort(np.concatenate(times)) if times else np.zeros(0, dtype=np.int64)
        self.stretches = list(_stretches(every + source.shift, longest_between([source])))

    def _times(self, source: SampleSource, table: Columns) -> Int64Array:
        spoke = table.answered & (table.answered_ns != MISSING)
        self.answered += int(spoke.sum())
        self.unanswered += int(len(table) - spoke.sum())
        if source.kind == "ticks":
            return np.asarray(table.answered_ns[spoke], dtype=np.int64)
        # What was not sent was not looked at: this machine stood still.
        times = table.answered_ns if source.kind == OBSERVER else table.sent_ns
        return np.asarray(times[times != MISSING], dtype=np.int64)


def longest_between(sources: Iterable[SampleSource]) -> int:
    """The longest time between two rows of a probe that looks all the time, nanoseconds.

    Ticks are sent by the host: their silence is a finding, no gap.
    """
    intervals = [change.interval_ns for source in sources for change in source.kept]
    intervals += [source.told_ns for source in sources]
    return max(GAP_NS, GAP_INTERVALS * max(intervals, default=0))


def _stretches(times: Int64Array, tolerance_ns: int) -> Iterator[Interval]:
    if not len(times):
        return
    breaks = np.flatnonzero(np.diff(times) > tolerance_ns)
    begins, ends = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(times) - 1]])
    for begin, end in zip(begins, ends, strict=True):
        yield Interval(int(times[begin]), int(times[end]))


def _without_broken_sessions(looked: Sequence[Interval], events: Sequence[Event], probe: str) -> list[Interval]:
    """Stretches of a session's probe without the times between a break of its session and the next session."""
    away: list[Interval] = []
    since: int | None = None
    for event in events:
        if event.data.get("probe") != probe:
            continue
        if event.kind == "probe-trouble" and since is None:
            since = event.mono_ns
        elif event.kind == "session" and since is not None:
            away.append(Interval(since, max(since, event.mono_ns)))
            since = None
    return [rest for span in looked for rest in _minus(span, away)]


def _minus(span: Interval, away: Sequence[Interval]) -> Iterator[Interval]:
    begin = span.lo_ns
    for gap in away:
        if gap.length_ns <= GAP_NS or gap.hi_ns <= begin or gap.lo_ns >= span.hi_ns:
            continue
        if gap.lo_ns > begin:
            yield Interval(begin, gap.lo_ns)
        begin = gap.hi_ns
    if begin < span.hi_ns:
        yield Interval(begin, span.hi_ns)


def _between(record: Record, looked: Sequence[Interval], until: int, tolerance_ns: int) -> Iterator[Interval]:
    """The times of a recording in which a probe did not look, given the stretches in which it did."""
    started = [event.mono_ns for event in record.events if event.kind == "recorder-started"]
    begin = min([*started, record.span.lo_ns])
    if not looked:
        yield Interval(begin, max(begin, until))
        return
    if looked[0].lo_ns > begin + max(START_NS, tolerance_ns):
        yield Interval(begin, looked[0].lo_ns)
    for before, after in pairwise(looked):
        if after.lo_ns - before.hi_ns > tolerance_ns:
            yield Interval(before.hi_ns, after.lo_ns)
    if until - looked[-1].hi_ns > tolerance_ns:
        yield Interval(looked[-1].hi_ns, until)


def _reason(span: Interval, troubles: Sequence[Event]) -> str:
    near = [e for e in troubles if span.lo_ns - GAP_NS <= e.mono_ns <= span.hi_ns + GAP_NS]
    return str(near[0].data.get("what", "")) if near else ""


# --- the verdict ----------------------------------------------------------------------------------------------------


def unfinished(record: Record, manifest: JsonMapping) -> str:
    """The reason why a recording is not complete as ordered: it goes on, its recorder died, or it was shorter.

    Empty where it is complete: its recorder has ended, or the post-migration window is over (``tail-over``) and only
    SAP's logs are still read.
    """
    last = [event for event in record.events if event.kind in ("recorder-started", "recorder-ended", "tail-over")]
    if not last or last[-1].kind == "tail-over":
        return ""
    if last[-1].kind == "recorder-started":
        return "the recorder has not ended properly: it is still at work, or it died"
    end = end_code(last[-1].data)
    if end in (EndCode.TROUBLE, EndCode.DEFECT):
        return f"the recorder ended early ({last[-1].data.get('reason', '')})"
    ordered = manifest.get("duration_s")
    if isinstance(ordered, int | float) and end is not EndCode.ASKED:
        recorded_s = (last[-1].mono_ns - min(e.mono_ns for e in record.events)) / SECOND
        if recorded_s < ordered - GAP_NS / SECOND:
            return f"{recorded_s:.0f} s of the {ordered:g} s ordered were recorded"
    return ""


def withheld(
    questions: Iterable[Question],
    coverages: Sequence[Coverage],
    record: Record,
    hosts: Sequence[HostAnalysis],
    manifest: JsonMapping,
) -> tuple[Question, ...]:
    """The questions, where those that passed although a probe did not look are not evaluated, with the gaps in words.

    So are silences that were found only while the observer's own ticker did not run: they may be stalls of the
    observer.
    """
    incomplete = unfinished(record, manifest)
    return tuple(_weighed(question, coverages, record, hosts, incomplete) for question in questions)


def _weighed(
    question: Question,
    coverages: Sequence[Coverage],
    record: Record,
    hosts: Sequence[HostAnalysis],
    incomplete: str,
) -> Question:
    if (
        question.key == "outages"
        and question.state is AnswerState.FAILED
        and (doubt := _doubt(coverages, record, hosts))
    ):
        return replace(
            question, state=AnswerState.NOT_EVALUATED, details=f"{question.details}; but {doubt}", reply=None
        )
    reasons = list(dict.fromkeys(_reasons(question.key, coverages, record, hosts, incomplete)))
    if question.state is not AnswerState.PASSED or not reasons:
        return question
    more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    text = "; ".join(reasons[:_SHOWN]) + more
    if question.key == "complete":
        return replace(question, state=AnswerState.NOT_EVALUATED, details=text, reply=ReplyWord.NO)
    details = f"{question.details}; but {text}" if question.details else text
    return replace(question, state=AnswerState.NOT_EVALUATED, details=details, reply=None)


def _doubt(coverages: Sequence[Coverage], record: Record, hosts: Sequence[HostAnalysis]) -> str:
    """The gap of the observer's own ticker in which all unexpected silences lie; empty where one lies elsewhere."""
    gaps = [gap for one in coverages if one.kind == OBSERVER for gap in one.gaps]
    silences = [outage.outer for host in hosts for outage in host.outages if outage.kind is not OutageKind.SUSPENSION]
    within = [[gap for gap in gaps if gap.span.lo_ns < span.hi_ns and span.lo_ns < gap.span.hi_ns] for span in silences]
    return in_words(within[0][:1], record.wall)[0] if within and all(within) else ""


#: Questions that depend on what looked: the kinds of probes, and whether only within the window of the move.
_DEPENDS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "complete": ((*HOST_KINDS, OBSERVER), False),
    "outages": ((*HOST_KINDS, OBSERVER), False),
    "suspended": ((*HOST_KINDS, OBSERVER), True),
    "session": (SESSION_KINDS, True),
    "limit-session-outage": (SESSION_KINDS, True),
    "limit-brown-out": (HOST_KINDS, True),
    "time-outs": ((*HOST_KINDS, OBSERVER), True),
}


def _is_the_host(gap: UnobservedStretch, host: str, hosts: Sequence[HostAnalysis]) -> bool:
    """True if a gap of ticks is the host's own silence: it lies within a suspension that several mechanisms agree
    on, and nothing happened to the probe.
    """
    return (
        gap.kind == "ticks"
        and not gap.why
        and any(
            still.outer.widened(SECOND).contains(gap.span.lo_ns)
            and still.outer.widened(SECOND).contains(gap.span.hi_ns)
            for one in hosts
            if one.host == host
            for still in one.suspensions
            if not still.is_alone and not still.contradicted
        )
    )


def _reasons(
    key: str, coverages: Sequence[Coverage], record: Record, hosts: Sequence[HostAnalysis], incomplete: str
) -> Iterator[str]:
    if key not in _DEPENDS:
        return
    kinds, only_window = _DEPENDS[key]
    if incomplete and key in ("complete", "outages"):
        yield incomplete
    watched = [one for one in coverages if one.kind in kinds and one.kind != OBSERVER]
    for host in dict.fromkeys(one.host for one in watched):
        if key not in ("session", "limit-session-outage") and not any(
            one.answered for one in watched if one.host == host
        ):
            yield f"{host} never answered"
    gaps: list[UnobservedStretch] = []
    for one in coverages:
        if one.missing is not None and (one.kind in kinds or key == "complete"):
            yield str(one.missing)
        for gap in one.gaps if one.kind in kinds else ():
            if only_window and (gap.span.hi_ns <= record.window.lo_ns or gap.span.lo_ns >= record.window.hi_ns):
                continue
            if _is_the_host(gap, one.host, hosts):
                continue
            gaps.append(gap)
    yield from in_words(gaps, record.wall)


def in_words(gaps: Iterable[UnobservedStretch], wall: WallClock) -> list[str]:
    """Gaps as texts for people, one for all probes that did not look at the same time; times in UTC."""
    names: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        times = " to ".join(time_of_day(wall.at(edge)) for edge in (gap.span.lo_ns, gap.span.hi_ns))
        name = "the observer's own ticker" if gap.kind == OBSERVER else gap.probe
        names.setdefault((times, gap.why), []).append(name)
    return [
        f"{', '.join(dict.fromkeys(some))} did not look from {times} UTC" + (f" ({why})" if why else "")
        for (times, why), some in names.items()
    ]


def rows(coverages: Sequence[Coverage], wall: WallClock) -> list[JsonObject]:
    """The coverage as JSON values: when each probe looked, when not and why, and what answered."""

    def span(interval: Interval) -> JsonObject:
        edges = ("begin", interval.lo_ns), ("end", interval.hi_ns)
        return {name: {"mono_ns": edge, "wall_ns": wall.at(edge)} for name, edge in edges}

    return [
        {
            "probe": one.probe,
            "host": one.host,
            "kind": one.kind,
            "looked": [span(interval) for interval in one.looked],
            "not_looked": [{**span(gap.span), "why": gap.why} for gap in one.gaps],
            "answered": one.answered,
            "unanswered": one.unanswered,
            "declined": one.declined,
            "missing_rows": one.missing.missing if one.missing is not None else 0,
        }
        for one in coverages
    ]
