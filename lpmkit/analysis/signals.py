"""Facts of a probe's samples ("the host ran at some instant of …") and silences (where such facts are missing).

Pure functions of arrays. `host_traces` does one host in one recorder's life; clocks are fitted separately in every
recorder's life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpmkit.analysis.breaks import (
    CLOCK_MISSED_NS,
    Break,
    apart,
    asked_breaks,
    fit,
    stopped_clock_breaks,
    tick_breaks,
    usable_clocks,
)
from lpmkit.analysis.clock_rates import rates
from lpmkit.analysis.clocks import DELIVERY_NS, Alignment
from lpmkit.analysis.facts import asked_facts, tick_facts
from lpmkit.analysis.layers import SIGNS_ONLY
from lpmkit.analysis.model import (
    MILLISECOND,
    SECOND,
    BoolArray,
    ClockRate,
    ClockStep,
    ClockTie,
    Interval,
    Noise,
    Outage,
    Signals,
    Trace,
)
from lpmkit.analysis.noise import noise_of, stamp_of, tick_lateness
from lpmkit.analysis.silences import (
    arrival_silences,
    asked_silences,
    begun_earlier,
    clock_set_between,
    frozen_silences,
    late_questions,
    pending_ticks,
    silences_set_on,
    tick_silences,
    unsure_ticks,
)
from lpmkit.runs.cells import MISSING, Int64Array


@dataclass(frozen=True, slots=True)
class HostTraces:
    """The results of `host_traces` for one recorder's life."""

    traces: tuple[Trace, ...]
    outages: tuple[Outage, ...]
    steps: tuple[ClockStep, ...]
    offset: Interval | None
    clock: str | None
    tie: ClockTie | None
    alignments: dict[str, Alignment]
    breaks: tuple[Break, ...]
    rates: tuple[ClockRate, ...]
    notes: tuple[str, ...]


def host_traces(
    host: str,
    signals: Sequence[Signals],
    lead_in: Interval,
    baseline: Interval,
    stalls: Sequence[Interval],
    known: dict[str, Noise],
    *,
    is_lead_in: bool,
) -> HostTraces:
    """Facts, silences and clock findings for one host in one recorder's life.

    ``known`` holds the noise of each probe once it is known; what is missing there is taken from ``baseline``, the
    lead-in of a move (``is_lead_in``) or the whole of a watch.
    """
    ticks = next((signal for signal in signals if signal.kind == "ticks" and len(signal.answered) > 1), None)
    asked = [signal for signal in signals if signal.kind not in ("ticks", *SIGNS_ONLY) and len(signal.sent)]
    echo = [one for one in asked if one.kind == "echo"]
    clocks = usable_clocks(signals)
    for one in signals:
        if one.probe not in known:
            known[one.probe] = noise_of(one, clocks, baseline, stalls, is_lead_in=is_lead_in)
    breaks, clock, alignments = _clocks(ticks, asked, echo, clocks, known)
    alignment = alignments.get(clock) if clock else None
    traces: list[Trace] = []
    outages: list[Outage] = []
    notes: list[str] = []
    by_kernel = [
        silence.outer
        for one in asked
        if one.kind == "icmp"
        for silence in asked_silences(
            one, (one.sent, one.answered), late_questions(one, known[one.probe].threshold_ns), known[one.probe]
        )
    ]
    if ticks is not None:
        slept_on = _slept_on(clock, breaks, alignments)
        found, trace = _of_ticks(
            ticks, clock, alignment, breaks, known[ticks.probe], by_kernel, is_echoed=bool(echo), slept_on=slept_on
        )
        outages += found
        traces.append(trace)
    for one in asked:
        stamp = stamp_of(one, clock)
        facts = asked_facts(one, stamp, alignment, breaks)
        late_ones = late_questions(one, known[one.probe].threshold_ns)
        outages += asked_silences(one, facts, late_ones, known[one.probe])
        took = np.where(one.spoke, one.answered - one.sent, MISSING)
        traces.append(_trace(one, facts, late_ones, took, known[one.probe]))
    for one in (signal for signal in signals if signal.kind in SIGNS_ONLY and len(signal.sent)):
        took = np.where(one.spoke, one.answered - one.sent, MISSING)
        late_ones = late_questions(one, known[one.probe].threshold_ns)
        traces.append(_trace(one, (one.sent, one.answered), late_ones, took, known[one.probe]))
    if clock is None and signals:
        notes.append("the host stamped nothing: its heartbeats are placed by their arrival alone")
    elif not echo:
        notes.append(
            "no echo: the clock offset is bounded on one side only, the other assumes that the fastest tick "
            f"took at most {DELIVERY_NS // MILLISECOND} ms"
        )
    running = [rate for name, one in alignments.items() for rate in rates(host, name, one)]
    return HostTraces(
        traces=tuple(traces),
        outages=tuple(sorted(outages, key=lambda outage: outage.begin)),
        steps=tuple(_steps(host, alignments)),
        offset=alignment.bounds(lead_in.hi_ns, 0) if alignment else None,
        clock=clock,
        tie=_tie(clock, alignment, min([lead_in.hi_ns, *(gap.window.lo_ns for gap in breaks)])),
        alignments=alignments,
        breaks=tuple(breaks),
        rates=tuple(running),
        notes=tuple(notes),
    )


def _tie(clock: str | None, alignment: Alignment | None, at_ns: int) -> ClockTie | None:
    """The host's clock beside ours at a moment before the first break."""
    offset = alignment.bounds(at_ns, 0) if alignment else None
    return None if clock is None or offset is None else ClockTie(clock, at_ns, offset)


def _of_ticks(
    ticks: Signals,
    clock: str | None,
    alignment: Alignment | None,
    breaks: Sequence[Break],
    level: Noise,
    by_kernel: Sequence[Interval],
    *,
    is_echoed: bool,
    slept_on: bool,
) -> tuple[list[Outage], Trace]:
    """The silences of the ticks, and the ticks that are signs of life whose place is known.

    ``by_kernel`` are silences of what the host's kernel answers; ``slept_on`` as in `tick_silences`.
    """
    stamp = stamp_of(ticks, clock)
    facts = tick_facts(ticks, stamp, alignment, breaks)
    frozen: list[Outage] = []
    doubtful, unsure, pending = (np.zeros(len(ticks.answered), dtype=np.bool_) for _ in range(3))
    if stamp is not None and alignment is not None:
        frozen, doubtful = frozen_silences(ticks, facts, stamp, alignment, breaks)
        set_on, unplaced = silences_set_on(ticks, facts, stamp, breaks, level)
        frozen += [one for one in set_on if not any(one.outer.overlaps(other.outer) for other in frozen)]
        doubtful |= unplaced
        unsure = unsure_ticks(ticks, stamp, alignment, breaks)
        pending = pending_ticks(ticks, stamp, breaks) & ~unsure & ~doubtful
    perhaps = facts[0][pending]
    unsure = unsure[~doubtful]
    sure = ticks.picked(~doubtful)
    sure_facts = (facts[0][~doubtful], facts[1][~doubtful])
    late = tick_lateness(sure, clock if stamp is not None else None)
    found = tick_silences(sure, sure_facts, stamp_of(sure, clock), late, level, is_echoed, slept_on, by_kernel)
    found = begun_earlier(found, sure_facts[0], unsure)
    found, latest = clock_set_between(found, sure, sure_facts)
    found = [one for one in found if not any(one.outer.overlaps(other.outer) for other in frozen)] + frozen
    never = np.zeros(int((~unsure).sum()), dtype=np.bool_)
    certain = (sure_facts[0][~unsure], latest[~unsure])
    trace = replace(_trace(sure.picked(~unsure), certain, never, late[~unsure], level), perhaps=perhaps)
    return found + arrival_silences(ticks, facts, breaks, found), trace


def _clocks(
    ticks: Signals | None,
    asked: Sequence[Signals],
    echo: Sequence[Signals],
    clocks: Sequence[str],
    known: dict[str, Noise],
) -> tuple[list[Break], str | None, dict[str, Alignment]]:
    """The guest clock to trust: the monotonic one, unless it missed a silence that the time of day counted without
    being set.
    """
    fits: dict[str, tuple[list[Break], dict[str, Alignment]]] = {}
    for clock in clocks:
        breaks = _breaks(ticks, asked, clock, known)
        found = {name: fit(ticks, echo, name, breaks) for name in clocks}
        stopped = stopped_clock_breaks(ticks, found.values()) if ticks is not None else []
        if stopped:
            breaks = apart(sorted([*breaks, *stopped], key=lambda one: one.first))
            found = {name: fit(ticks, echo, name, breaks) for name in clocks}
        fits[clock] = breaks, found
    if not fits:
        return _breaks(ticks, asked, None, known), None, {}
    chosen = clocks[0]
    if len(clocks) == 2 and _missed(*fits[chosen], chosen) and not _is_unsteady(*fits[clocks[1]], clocks[1]):
        chosen = clocks[1]
    return fits[chosen][0], chosen, fits[chosen][1]


def _breaks(ticks: Signals | None, asked: Sequence[Signals], clock: str | None, known: dict[str, Noise]) -> list[Break]:
    if ticks is not None:
        return tick_breaks(ticks, stamp_of(ticks, clock), known[ticks.probe].threshold_ns)
    pause = max([known[one.probe].threshold_ns + one.interval_ns for one in asked], default=SECOND)
    return asked_breaks(asked, pause)


def _slept_on(clock: str | None, breaks: Sequence[Break], alignments: dict[str, Alignment]) -> bool:
    """True where the host's timers may have slept on after a pause: they run on its monotonic clock, which did not
    count it all.
    """
    return clock != "monotonic" or _missed(breaks, alignments, clock)


def _missed(breaks: Sequence[Break], alignments: dict[str, Alignment], clock: str) -> bool:
    for index, one in enumerate(breaks):
        before = alignments[clock].bounds(one.window.lo_ns, index)
        after = alignments[clock].bounds(one.window.hi_ns, index + 1)
        if before and after and before.lo_ns - after.hi_ns > CLOCK_MISSED_NS:
            return True
    return False


def _is_unsteady(breaks: Sequence[Break], alignments: dict[str, Alignment], clock: str) -> bool:
    """True where a clock missed a part of a silence, or was set: over a silence or while the host ran.

    Its stamps then show gaps that were none.
    """
    if _missed(breaks, alignments, clock):
        return True
    for index, one in enumerate(breaks):
        before = alignments[clock].bounds(one.window.lo_ns, index)
        after = alignments[clock].bounds(one.window.hi_ns, index + 1)
        if before and after and before.hi_ns - after.lo_ns < -CLOCK_MISSED_NS:
            return True
    steps = alignments[clock].steps()
    return any(step.lo_ns > CLOCK_MISSED_NS or step.hi_ns < -CLOCK_MISSED_NS for _, step, slewed in steps if not slewed)


def _steps(host: str, alignments: dict[str, Alignment]) -> list[ClockStep]:
    steps = []
    for clock, alignment in alignments.items():
        for at, step, slewed in alignment.steps():
            if step.lo_ns > MILLISECOND or step.hi_ns < -MILLISECOND:
                way = "forward" if step.lo_ns > 0 else "back"
                how = f"slewed {way} for {at.length_ns / SECOND:.1f} s" if slewed else f"set {way}"
                steps.append(ClockStep(host, clock, at, step, f"{how} while the host ran (nothing was silent)"))
    return steps


def _trace(
    signals: Signals, facts: tuple[Int64Array, Int64Array], late: BoolArray, took: Int64Array, level: Noise
) -> Trace:
    spoke = signals.spoke
    times = np.concatenate([signals.answered[spoke], signals.sent[signals.sent != MISSING]])
    return Trace(
        probe=signals.probe,
        host=signals.host,
        kind=signals.kind,
        segment=signals.segment,
        interval_ns=signals.interval_ns,
        span=Interval(int(times.min(initial=2**62)), int(times.max(initial=-(2**62)))),
        alive_lo=facts[0][spoke],
        alive_hi=facts[1][spoke],
        sent=signals.sent,
        answered=signals.answered,
        late=late,
        took=took,
        noise=level,
        signs=int(spoke.sum()),
        paces=_paces(signals),
    )


def _paces(signals: Signals) -> tuple[tuple[int, int], ...]:
    """Since when which interval was kept, on our clock: by when the first sample of it was sent, or came."""
    if not len(signals.step):
        return ()
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(signals.step) != 0]))
    moments = np.where(signals.sent == MISSING, signals.answered, signals.sent)
    return tuple((int(moments[first]), int(signals.step[first])) for first in firsts)
