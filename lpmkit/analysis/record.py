"""The plain values of a run folder: signals by host and recorder, phases, time of day, our own stalls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lpmkit.analysis.breaks import TOLD_BATCH_NS
from lpmkit.analysis.late_start import LateStarts, of_record
from lpmkit.analysis.model import SECOND, Interval, Noise, PhaseSpan, Signals, WallClock
from lpmkit.analysis.observer_stalls import MIN_STALL_NS, holes, stalls
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping
from lpmkit.runs.cells import MISSING, Int64Array
from lpmkit.runs.folder import Run
from lpmkit.runs.samples import Columns, Piece, columns, pieces
from lpmkit.timeline import Event

#: The time after the end of a move in which silences still count as its own.
TAIL_NS = 60 * SECOND
#: A monotonic clock that differs by this much from the time of day was started again, where no boot is noted.
_RESTARTED_NS = 5 * SECOND
#: Rows of our own ticker that are looked at together, and how many of its latenesses are kept to judge by.
_ROWS_AT_ONCE = 500_000
_OWN_SAMPLE = 200_000
_KINDS = ("ticks", "echo", "connect", "icmp", "observer", "ni")


@dataclass(frozen=True, slots=True)
class RateChange:
    """A pace from sample ``first_seq`` of a probe on: the interval, and how long a host gathered its ticks;
    nanoseconds.
    """

    first_seq: int
    interval_ns: int
    batch_ns: int


@dataclass(frozen=True, slots=True)
class SampleSource:
    """The samples of one probe in one recorder's life, in the folder; `between` reads some.

    ``span`` is what they cover, on the first recorder's clock.
    """

    probe: str
    host: str
    kind: str
    segment: int
    told_ns: int
    kept: tuple[RateChange, ...]
    shift: int
    pieces: tuple[Piece, ...]
    span: Interval

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def between(self, span: Interval) -> Signals:
        """The samples sent or answered within ``span``, in the order of the schedule."""
        lo, hi = span.lo_ns - self.shift, span.hi_ns - self.shift
        table = columns([piece for piece in self.pieces if piece.lo_ns <= hi and piece.hi_ns >= lo])
        return _signals(self, table, lo, hi)


@dataclass(frozen=True, slots=True)
class Record:
    """A run as plain values, and where its samples are, by (host, segment); all times on the first recorder's
    monotonic clock.
    """

    sources: Mapping[tuple[str, int], tuple[SampleSource, ...]]
    events: tuple[Event, ...]
    span: Interval
    lead_in: Interval
    #: The span in which the baseline is looked for: the lead-in of a move, the whole of a watch.
    baseline: Interval
    window: Interval
    stalls: tuple[Interval, ...]
    monitor: Noise | None
    holes: tuple[Interval, ...]
    phases: tuple[PhaseSpan, ...]
    readings: tuple[JsonMapping, ...]
    wall: WallClock
    #: The samples of the observer's own ticker.
    observer: tuple[SampleSource, ...] = ()
    #: The nanoseconds that were added to each segment's monotonic readings.
    shifts: Mapping[int, int] = field(default_factory=dict)
    late_starts: LateStarts | None = None


def read(run: Run) -> Record:
    """Read everything that the analysis needs. Tolerates what a run that still grows, or was cut off, lacks."""
    events = run.events()
    shifts = _shifts(events)
    events = [_shifted(event, shifts) for event in events]
    started = {event.data.get("probe", event.source): event.data for event in events if event.kind == "probe-started"}
    signals: dict[tuple[str, int], list[SampleSource]] = {}
    own: list[SampleSource] = []
    for one in _sources(run, started, shifts, _paces(events)):
        if one.kind == "observer":
            own.append(one)
        else:
            signals.setdefault((one.host, one.segment), []).append(one)
    observed = _observed([*own, *(one for group in signals.values() for one in group)])
    span = _span(observed, events)
    phases = _phases(events, span)
    own_stalls, monitor = _own(own)
    return Record(
        sources={key: tuple(group) for key, group in sorted(signals.items())},
        events=tuple(events),
        span=span,
        lead_in=_lead_in(phases, span, run.manifest),
        baseline=span if _begin_of_move(phases) is None else _lead_in(phases, span, run.manifest),
        window=_window(phases, span, str(run.manifest.get("mode"))),
        stalls=own_stalls,
        monitor=monitor,
        holes=holes(observed),
        phases=phases,
        readings=tuple({"mono_ns": event.mono_ns, **event.data} for event in events if event.kind == "reading"),
        wall=_wall(events),
        observer=tuple(own),
        shifts=shifts,
        late_starts=of_record(events),
    )


def _shifts(events: Sequence[Event]) -> dict[int, int]:
    """Offsets that put each segment's monotonic readings on the first one's clock.

    The monotonic clock starts again with a boot of the observer, and runs on when its time of day is set. Recorders
    note the boot; in runs of earlier versions an offset from the time of day that changed says that there was one. A
    process of probes that was started again has a segment of its own, and its recorder's clock.
    """
    apart: dict[int, int] = {}
    boots: dict[int, str] = {}
    owners: dict[int, int] = {}
    for event in events:
        if event.kind == "recorder-started":
            boots[event.segment] = str(event.data.get("boot") or "")
        apart.setdefault(event.segment, event.wall_ns - event.mono_ns)
        owners.setdefault(
            event.segment, event.segment if event.segment in boots else next(reversed(boots), event.segment)
        )
    first = min(apart, default=0)

    def shift(segment: int) -> int:
        owner = owners[segment]
        if boots.get(owner) and boots.get(owner) == boots.get(first):
            return 0
        change = apart[owner] - apart[first]
        return change if abs(change) > _RESTARTED_NS else 0

    return {segment: shift(segment) for segment in apart}


def _shifted(event: Event, shifts: Mapping[int, int]) -> Event:
    shift = shifts.get(event.segment, 0)
    if not shift:
        return event
    data = event.data
    if data.get("watched_to_ns") is not None:
        data = {**data, "watched_to_ns": data["watched_to_ns"] + shift}
    if event.kind == "tcp":
        rows = [[row[0] + shift, *row[1:]] for row in data["rows"]]
        data = {**data, "rows": rows, **{name: data[name] + shift for name in ("silent_since_ns", "answered_ns")}}
    return Event(event.mono_ns + shift, event.wall_ns, event.segment, event.source, event.kind, data)


def _default_host(manifest: JsonMapping) -> str:
    order = manifest.get("order")
    if isinstance(order, dict) and order.get("partition"):
        return str(order["partition"])
    hosts = manifest.get("hosts")
    return str(hosts[0]) if isinstance(hosts, list) and hosts else str(manifest.get("title", "the host"))


def _paces(events: Sequence[Event]) -> dict[tuple[str, int], list[RateChange]]:
    """The rates that the probes reported, by (probe, segment), in the order of samples."""
    found: dict[tuple[str, int], list[RateChange]] = {}
    for event in events:
        if event.kind == "pace":
            data = event.data
            kept = RateChange(
                int(data["first_seq"]), int(data["interval_ns"]), int(data.get("batch_ns") or TOLD_BATCH_NS)
            )
            found.setdefault((str(data["probe"]), event.segment), []).append(kept)
    return {key: sorted(kept, key=lambda one: one.first_seq) for key, kept in found.items()}


def _steps(seq: Int64Array, kept: Sequence[RateChange], otherwise_ns: int) -> tuple[Int64Array, Int64Array]:
    """The interval that leads to each sample and the ticks' batch, as reported; as seen in the samples where nothing
    was reported.
    """
    if not kept:
        return np.full(len(seq), otherwise_ns), np.full(len(seq), TOLD_BATCH_NS)
    which = np.searchsorted([one.first_seq for one in kept], seq, side="right") - 1
    which = np.maximum(which, 0)
    return np.array([one.interval_ns for one in kept])[which], np.array([one.batch_ns for one in kept])[which]


def _sources(
    run: Run,
    started: Mapping[str, JsonMapping],
    shifts: Mapping[int, int],
    paces: Mapping[tuple[str, int], Sequence[RateChange]],
) -> Iterator[SampleSource]:
    for file in run.sample_files():
        try:
            found = tuple(piece for piece in pieces(file, run.unreadable) if piece.rows)
        except RecordError:
            run.unreadable[f"samples/{file.path.name}"] = 1  # left out: its probe did not look
            continue
        told = started.get(file.probe, {})
        base, _, suffix = file.probe.partition("@")
        host = suffix or str(told.get("host") or "") or _default_host(run.manifest)
        shift = shifts.get(file.segment, 0)
        times = [t + shift for piece in found for t in (piece.lo_ns, piece.hi_ns) if t != MISSING]
        if times:
            span, kind = Interval(min(times), max(times)), str(told.get("kind") or _guess_kind(base))
            interval, kept = int(told.get("interval_ns") or 0), tuple(paces.get((file.probe, file.segment), ()))
            yield SampleSource(file.probe, host, kind, file.segment, interval, kept, shift, found, span)


def _guess_kind(name: str) -> str:
    """The kind in a probe's name, for the oldest run folders: their manifest lists no probes."""
    return next((kind for kind in _KINDS if kind in name), name)


def _signals(source: SampleSource, table: Columns, lo: int, hi: int) -> Signals:
    sent = np.where(table.sent_ns == MISSING, table.due_ns, table.sent_ns)
    came = (table.answered_ns >= lo) & (table.answered_ns <= hi)
    spoke = table.answered & (table.answered_ns != MISSING)
    if source.kind == "ticks":
        wanted = spoke & came
    else:
        # what was not sent has no answer
        wanted = (table.sent_ns if source.kind in ("icmp", "connect", "ack", "syn") else sent) != MISSING
        wanted &= came | ((sent >= lo) & (sent <= hi))
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(table.seq[rows], kind="stable")]
    step, batch = _steps(table.seq[rows], source.kept, _interval(source.kind, table, rows, source.told_ns))
    return Signals(
        probe=source.probe,
        host=source.host,
        kind=source.kind,
        segment=source.segment,
        interval_ns=int(step.min()) if len(step) else SECOND,
        sent=_moved((table.due_ns if source.kind == "observer" else sent)[rows], source.shift),
        answered=_moved(table.answered_ns[rows], source.shift),
        remote_due=table.remote_due_ns[rows],
        mono=table.remote_mono_ns[rows],
        wall=table.remote_wall_ns[rows],
        spoke=spoke[rows],
        step=step,
        batch=batch,
    )


def _moved(times: Int64Array, shift: int) -> Int64Array:
    return np.where(times == MISSING, MISSING, times + shift) if shift else times


def _interval(kind: str, table: Columns, rows: Int64Array, told_ns: int) -> int:
    """The probe's interval as it was kept: a server may force a slower one than was asked for."""
    due = table.remote_due_ns[rows] if kind == "ticks" else table.due_ns[rows]
    if kind == "ticks" and len(due) and (due == MISSING).any():
        stamps = table.remote_mono_ns[rows]
        due = stamps if (stamps != MISSING).all() else table.remote_wall_ns[rows]
    due = due[due != MISSING]
    steps = np.diff(due)
    steps = steps[steps > 0]
    return int(np.median(steps)) if len(steps) >= 5 else told_ns or SECOND


def _observed(sources: Sequence[SampleSource]) -> dict[int, Interval]:
    """The spans that each recorder's life covers with samples."""
    found: dict[int, Interval] = {}
    for source in sources:
        found[source.segment] = found[source.segment].hull(source.span) if source.segment in found else source.span
    return found


def _span(observed: Mapping[int, Interval], events: Sequence[Event]) -> Interval:
    times = [edge for span in observed.values() for edge in (span.lo_ns, span.hi_ns)]
    times = times or [event.mono_ns for event in events] or [0]
    return Interval(min(times), max(times))


def _own(own: Sequence[SampleSource]) -> tuple[tuple[Interval, ...], Noise | None]:
    """Our stalls. Of a long record only the late ticks and an even selection of all are kept at a time."""
    every = 1 + sum(one.rows for one in own) // _OWN_SAMPLE
    due, answered, usual = [], [], []
    for one in own:
        for some in _together(one.pieces):
            table = columns(some)
            known = (table.due_ns != MISSING) & (table.answered_ns != MISSING)
            late = (table.answered_ns - table.due_ns)[known]
            usual.append(late[::every])
            stood = late > MIN_STALL_NS
            due.append(_moved(table.due_ns[known][stood], one.shift))
            answered.append(_moved(table.answered_ns[known][stood], one.shift))
    return stalls(np.concatenate(due), np.concatenate(answered), np.concatenate(usual)) if due else ((), None)


def _together(some: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces in groups of at most `_ROWS_AT_ONCE` rows."""
    group: list[Piece] = []
    for piece in some:
        if group and sum(one.rows for one in group) + piece.rows > _ROWS_AT_ONCE:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _phases(events: Sequence[Event], span: Interval) -> tuple[PhaseSpan, ...]:
    told = [event for event in events if event.kind == "phase"]
    told = [one for i, one in enumerate(told) if i == 0 or one.data.get("phase") != told[i - 1].data.get("phase")]
    ends = [event.mono_ns for event in told[1:]] + [max(span.hi_ns, told[-1].mono_ns)] if told else []
    return tuple(
        PhaseSpan(str(event.data.get("phase", "?")), event.mono_ns, until, str(event.data.get("why", "")))
        for event, until in zip(told, ends, strict=True)
    )


def _begin_of_move(phases: Sequence[PhaseSpan]) -> int | None:
    return next((phase.since_ns for phase in phases if phase.name != "prepared"), None)


def _lead_in(phases: Sequence[PhaseSpan], span: Interval, manifest: JsonMapping) -> Interval:
    """The quiet time before the move; of a watch, its first minute."""
    begin = _begin_of_move(phases)
    if begin is not None:
        return Interval(span.lo_ns, max(span.lo_ns, begin))
    wanted = manifest.get("lead_in_s")
    lead_s = float(wanted) if isinstance(wanted, int | float) and wanted > 0 else 60.0
    return Interval(span.lo_ns, min(span.hi_ns, span.lo_ns + int(lead_s * SECOND)))


def _window(phases: Sequence[PhaseSpan], span: Interval, mode: str) -> Interval:
    begin = _begin_of_move(phases)
    if mode != "move" or begin is None:
        return span
    finals = [phase.since_ns for phase in phases if phase.name in ("settled", "failed", "stopped", "needs-recovery")]
    return Interval(begin, min(span.hi_ns, max(finals) + TAIL_NS) if finals else max(begin, span.hi_ns))


def _wall(events: Sequence[Event]) -> WallClock:
    anchors = [event for event in events if event.kind == "clock"] or list(events)
    mono = np.array([event.mono_ns for event in anchors], dtype=np.int64)
    order = np.argsort(mono, kind="stable")
    offset = np.array([event.wall_ns - event.mono_ns for event in anchors], dtype=np.int64)
    error = max([int(event.data.get("uncertainty_ns", 0)) for event in anchors], default=0)
    return WallClock(mono[order], offset[order], error)
