"""From a run folder to plain values: signals by host and recorder, phases, time of day, our own stalls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpmkit.analysis.ours import holes, stalls
from lpmkit.analysis.signals import Signals
from lpmkit.analysis.values import SECOND, Interval, Noise, Phase, WallClock
from lpmkit.run import MISSING, Int64Array, Run, SampleTable
from lpmkit.timeline import Event

#: How long after the end of a move silences still count as its own.
TAIL_NS = 60 * SECOND
#: A monotonic clock that stands this much otherwise against the time of day was started anew: the observer was restarted.
_RESTARTED_NS = 5 * SECOND
_KINDS = ("ticks", "echo", "connect", "icmp", "observer", "ni")


@dataclass(frozen=True, slots=True)
class Record:
    """A run as plain values. ``signals`` are by (host, segment); all times on the first recorder's monotonic clock."""

    signals: Mapping[tuple[str, int], tuple[Signals, ...]]
    events: tuple[Event, ...]
    span: Interval
    lead_in: Interval
    window: Interval
    stalls: tuple[Interval, ...]
    monitor: Noise | None
    holes: tuple[Interval, ...]
    phases: tuple[Phase, ...]
    readings: tuple[Mapping[str, Any], ...]
    wall: WallClock
    #: What was added to each segment's monotonic readings.
    shifts: Mapping[int, int] = field(default_factory=dict)


def read(run: Run) -> Record:
    """Read everything that the analysis needs. Tolerates what a run that still grows, or was cut off, lacks."""
    events = run.events()
    shifts = _shifts(events)
    events = [_shifted(event, shifts) for event in events]
    started = {event.data.get("probe", event.source): event.data for event in events if event.kind == "probe-started"}
    tables = {name: run.samples(name) for name in run.probes()}
    tables = {name: table for name, table in tables.items() if len(table)}
    signals: dict[tuple[str, int], list[Signals]] = {}
    own: list[Signals] = []
    for name, table in tables.items():
        for one in _signals(name, table, started.get(name, {}), _default_host(run.manifest), shifts):
            if one.kind == "observer":
                own.append(one)
            else:
                signals.setdefault((one.host, one.segment), []).append(one)
    observed = _observed([*own, *(one for group in signals.values() for one in group)])
    span = _span(observed, events)
    phases = _phases(events, span)
    own_stalls, monitor = _own(own)
    return Record(
        signals={key: tuple(group) for key, group in sorted(signals.items())},
        events=tuple(events),
        span=span,
        lead_in=_lead_in(phases, span, run.manifest),
        window=_window(phases, span, str(run.manifest.get("mode"))),
        stalls=own_stalls,
        monitor=monitor,
        holes=holes(observed),
        phases=phases,
        readings=tuple({"mono_ns": event.mono_ns, **event.data} for event in events if event.kind == "reading"),
        wall=_wall(events),
        shifts=shifts,
    )


def _shifts(events: Sequence[Event]) -> dict[int, int]:
    """What to add to each segment's monotonic readings so that all are on the first one's clock."""
    apart: dict[int, int] = {}
    for event in events:
        apart.setdefault(event.segment, event.wall_ns - event.mono_ns)
    base = apart[min(apart)] if apart else 0
    return {segment: (value - base if abs(value - base) > _RESTARTED_NS else 0) for segment, value in apart.items()}


def _shifted(event: Event, shifts: Mapping[int, int]) -> Event:
    shift = shifts.get(event.segment, 0)
    if not shift:
        return event
    return Event(event.mono_ns + shift, event.wall_ns, event.segment, event.source, event.kind, event.data)


def _default_host(manifest: Mapping[str, Any]) -> str:
    order = manifest.get("order")
    if isinstance(order, dict) and order.get("partition"):
        return str(order["partition"])
    hosts = manifest.get("hosts")
    return str(hosts[0]) if isinstance(hosts, list) and hosts else str(manifest.get("title", "the host"))


def _signals(
    name: str, table: SampleTable, started: Mapping[str, Any], default_host: str, shifts: Mapping[int, int]
) -> list[Signals]:
    base, _, suffix = name.partition("@")
    host = suffix or str(started.get("host") or "") or default_host
    kind = str(started.get("kind") or _guess_kind(base))
    numbers = np.unique(table.segment).tolist()
    return [_one_segment(name, host, kind, table, int(number), started, shifts) for number in numbers]


def _guess_kind(name: str) -> str:
    return next((kind for kind in _KINDS if kind in name), name)


def _one_segment(
    name: str,
    host: str,
    kind: str,
    table: SampleTable,
    segment: int,
    started: Mapping[str, Any],
    shifts: Mapping[int, int],
) -> Signals:
    rows = np.flatnonzero(table.segment == segment)
    rows = rows[np.argsort(table.seq[rows], kind="stable")]
    spoke = (table.outcome[rows] == "answered") & (table.answered_ns[rows] != MISSING)
    if kind == "ticks":
        rows, spoke = rows[spoke], spoke[spoke]
    else:
        asked = np.where(table.sent_ns[rows] == MISSING, table.due_ns[rows], table.sent_ns[rows]) != MISSING
        if kind == "icmp":
            asked = table.sent_ns[rows] != MISSING  # what we did not send says nothing of the host
        rows, spoke = rows[asked], spoke[asked]
    sent = np.where(table.sent_ns[rows] == MISSING, table.due_ns[rows], table.sent_ns[rows])
    due = table.due_ns[rows]
    shift = shifts.get(segment, 0)
    return Signals(
        probe=name,
        host=host,
        kind=kind,
        segment=segment,
        interval_ns=_interval(kind, table, rows, int(started.get("interval_ns") or 0)),
        sent=_moved(due if kind == "observer" else sent, shift),
        answered=_moved(table.answered_ns[rows], shift),
        remote_due=table.remote_due_ns[rows],
        mono=table.remote_mono_ns[rows],
        wall=table.remote_wall_ns[rows],
        spoke=spoke.astype(np.bool_),
    )


def _moved(times: Int64Array, shift: int) -> Int64Array:
    return np.where(times == MISSING, MISSING, times + shift) if shift else times


def _interval(kind: str, table: SampleTable, rows: Int64Array, told_ns: int) -> int:
    """The probe's interval as it was kept: a server may force a slower one than was asked for."""
    due = table.remote_due_ns[rows] if kind == "ticks" else table.due_ns[rows]
    if kind == "ticks" and len(due) and (due == MISSING).any():
        stamps = table.remote_mono_ns[rows]
        due = stamps if (stamps != MISSING).all() else table.remote_wall_ns[rows]
    due = due[due != MISSING]
    steps = np.diff(due)
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) >= 5 else told_ns or SECOND


def _observed(signals: Sequence[Signals]) -> dict[int, Interval]:
    """What each recorder's life covers with samples."""
    found: dict[int, Interval] = {}
    for one in signals:
        times = np.concatenate([one.sent[one.sent != MISSING], one.answered[one.answered != MISSING]])
        if len(times):
            span = Interval(int(times.min()), int(times.max()))
            found[one.segment] = found[one.segment].hull(span) if one.segment in found else span
    return found


def _span(observed: Mapping[int, Interval], events: Sequence[Event]) -> Interval:
    times = [edge for span in observed.values() for edge in (span.lo_ns, span.hi_ns)]
    times = times or [event.mono_ns for event in events] or [0]
    return Interval(min(times), max(times))


def _own(own: Sequence[Signals]) -> tuple[tuple[Interval, ...], Noise | None]:
    if not own:
        return (), None
    due = np.concatenate([one.sent for one in own])
    return stalls(due, np.concatenate([one.answered for one in own]))


def _phases(events: Sequence[Event], span: Interval) -> tuple[Phase, ...]:
    told = [event for event in events if event.kind == "phase"]
    told = [one for i, one in enumerate(told) if i == 0 or one.data.get("phase") != told[i - 1].data.get("phase")]
    ends = [event.mono_ns for event in told[1:]] + [max(span.hi_ns, told[-1].mono_ns)] if told else []
    return tuple(
        Phase(str(event.data.get("phase", "?")), event.mono_ns, until, str(event.data.get("why", "")))
        for event, until in zip(told, ends, strict=True)
    )


def _begin_of_move(phases: Sequence[Phase]) -> int | None:
    return next((one.since_ns for one in phases if one.name != "prepared"), None)


def _lead_in(phases: Sequence[Phase], span: Interval, manifest: Mapping[str, Any]) -> Interval:
    """The quiet time before the move; of a watch, its first minute."""
    begin = _begin_of_move(phases)
    if begin is not None:
        return Interval(span.lo_ns, max(span.lo_ns, begin))
    wanted = manifest.get("lead_in_s")
    lead_s = float(wanted) if isinstance(wanted, int | float) and wanted > 0 else 60.0
    return Interval(span.lo_ns, min(span.hi_ns, span.lo_ns + int(lead_s * SECOND)))


def _window(phases: Sequence[Phase], span: Interval, mode: str) -> Interval:
    begin = _begin_of_move(phases)
    if mode != "move" or begin is None:
        return span
    finals = [one.since_ns for one in phases if one.name in ("settled", "failed", "stopped", "needs-recovery")]
    return Interval(begin, min(span.hi_ns, max(finals) + TAIL_NS) if finals else max(begin, span.hi_ns))


def _wall(events: Sequence[Event]) -> WallClock:
    anchors = [event for event in events if event.kind == "clock"] or list(events)
    mono = np.array([event.mono_ns for event in anchors], dtype=np.int64)
    order = np.argsort(mono, kind="stable")
    offset = np.array([event.wall_ns - event.mono_ns for event in anchors], dtype=np.int64)
    error = max([int(event.data.get("uncertainty_ns", 0)) for event in anchors], default=0)
    return WallClock(mono[order], offset[order], error)
