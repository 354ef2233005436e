"""Classify silences. The class follows from the other probes that spoke meanwhile; no model is needed."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from lpmkit.analysis.layers import (
    KERNEL,
    TOGETHER_NS,
    belongs_to,
    gap_with_losses,
    loses_in_a_row,
    loses_within,
    widest_gap,
)
from lpmkit.analysis.model import MILLISECOND, SESSIONS, Interval, Method, Outage, OutageKind, Trace, uncovered_ns
from lpmkit.runs.cells import MISSING

#: Probes whose silence alone can mean that the host is out of reach; any other probe speaks for its own service only.
REACHABILITY = ("ticks", "echo", "connect", "ni", *KERNEL)
#: A kernel answers at once; a process may be held up for this long more by everything that happens in its host.
_KERNEL_SLACK_NS = 5 * MILLISECOND
#: The share of lost requests below which a lost one and a lost question beside it have one reason.
_RARELY = 0.005
#: A probe without a sign of life for this time before a silence is deaf, not silent.
_DEAF_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Company:
    """The other probes during a silence: those that spoke, those that should have and did not, those that could not."""

    spoke: tuple[Trace, ...]
    silent: tuple[Trace, ...]
    blind: tuple[Trace, ...]

    def names(self, which: str) -> str:
        return ", ".join(trace.probe for trace in getattr(self, which))


def company(core: Interval, others: Sequence[Trace]) -> Company:
    """The traces of ``others`` that gave a sign of life that lies wholly inside ``core``."""
    spoke, silent, blind = [], [], []
    for trace in others:
        if not trace.span.overlaps(core):
            continue
        if _voices(trace, core):
            spoke.append(trace)
        elif trace.kind == "syn" or not _spoke_before(trace, core):
            continue  # it asks during silences only, so it has no silence of its own
        elif _was_silent(trace, core):
            silent.append(trace)
        else:
            blind.append(trace)
    return Company(tuple(spoke), tuple(silent), tuple(blind))


def _was_silent(trace: Trace, core: Interval) -> bool:
    """True where a probe without a sign of life in ``core`` should have given one.

    One that asked nothing meanwhile, because we did not run, could not have.
    """
    interval = trace.interval_at(core.middle_ns)
    needed = interval + trace.noise.quantile_ns + 20 * MILLISECOND
    if trace.kind not in KERNEL:
        return core.length_ns >= needed
    if trace.kind == "ack":
        return _was_not_acknowledged(trace, core)
    if loses_within(core, trace):
        return True
    # by when the replies came: a request that waited in a queue was sent during the silence
    before = int(trace.alive_hi[trace.alive_hi <= core.middle_ns].max(initial=-(2**62)))
    after = int(trace.alive_hi[trace.alive_hi > core.middle_ns].min(initial=2**62))
    asked = (trace.sent > before) & (trace.sent < after - 2 * MILLISECOND)
    usual_ns = max(4, trace.noise.lost_in_a_row + 2) * interval
    needed = max(usual_ns, core.length_ns + 2 * trace.noise.median_ns, trace.noise.quantile_ns)
    return bool(asked.any()) and after - before >= needed


def _was_not_acknowledged(trace: Trace, core: Interval) -> bool:
    """True where a question sent early in ``core`` reached a kernel that did not acknowledge it in its time.

    Later ones show nothing: TCP holds back what follows a loss until it sends again, also where the way is open by
    then.
    """
    unanswered = (trace.sent <= core.middle_ns) & ((trace.answered == MISSING) | (trace.answered > core.hi_ns))
    first = int(trace.sent[unanswered].min(initial=2**62))
    slack = trace.interval_at(core.middle_ns) + TOGETHER_NS
    return core.lo_ns - slack <= first and first + trace.noise.threshold_ns <= core.hi_ns


def _began_or_ended_together(outage: Outage, core: Interval, trace: Trace) -> bool:
    """True where a probe fell silent or spoke again with the ticks, or was silent for hardly longer.

    A process that is starved while the network is out is silent together with all other probes, but its silence has
    edges of its own.
    """
    middle = core.middle_ns
    last = int(trace.alive_hi[trace.alive_hi <= middle].max(initial=-(2**62)))
    # A request reaches a kernel when it is sent, what TCP carries perhaps only once it is sent again.
    came = trace.alive_lo if trace.kind == "icmp" else trace.alive_hi
    first = int(came[trace.alive_lo > middle].min(initial=2**62))
    slack = trace.interval_at(middle) + trace.noise.quantile_ns + TOGETHER_NS
    together = outage.begin.lo_ns - last <= slack or first - outage.end.hi_ns <= slack
    return together or 2 * outage.outer.length_ns >= first - last


def _spoke_before(trace: Trace, core: Interval) -> bool:
    since = core.lo_ns - max(_DEAF_NS, 3 * trace.interval_at(core.lo_ns))
    return bool(((trace.alive_hi >= since) & (trace.alive_hi <= core.lo_ns)).any())


def answered_by_kernel(outage: Outage, traces: Sequence[Trace]) -> tuple[Trace, ...]:
    """The probes that a kernel answered deep inside the silence of the host's machine."""
    core = machine_core(outage, traces)
    return company(deep(core, _KERNEL_SLACK_NS), [trace for trace in traces if trace.kind in KERNEL]).spoke


def machine_core(outage: Outage, traces: Sequence[Trace]) -> Interval:
    """The stretch of a silence of the ticks in which the machine itself was silent, as far as other probes show one;
    else its core.

    A silence whose length is known better than its place (a clock that stopped) is placed in the middle of the widest
    gap that other probes leave.
    """
    others = [trace for trace in traces if trace.probe != outage.probe and trace.kind in REACHABILITY]
    gap, with_losses = widest_gap(outage.outer, others), gap_with_losses(outage.outer, others)
    kernels = [trace for trace in others if trace.kind in KERNEL]
    # A kernel may take its time to acknowledge: where it spoke, its silence in a gap has to be shown.
    needs_kernel = bool(company(deep(outage.core, _KERNEL_SLACK_NS), kernels).spoke)
    for stretch in (with_losses, gap):
        silent = company(deep(stretch), others).silent if stretch is not None else ()
        if stretch is None or not silent:
            continue
        shown = stretch is with_losses or not needs_kernel or any(one.kind in KERNEL for one in silent)
        if shown and all(belongs_to(stretch, outage, _slack(one, stretch)) for one in silent):
            return stretch
    known_place = outage.inner is not None and 2 * outage.inner.length_ns > outage.length.lo_ns
    if known_place or gap.length_ns < outage.length.lo_ns:
        return outage.core
    half = outage.length.lo_ns // 2
    return Interval(gap.middle_ns - half, gap.middle_ns + half)


def _slack(trace: Trace, gap: Interval) -> int:
    return trace.interval_at(gap.middle_ns) + trace.noise.quantile_ns + TOGETHER_NS


def deep(core: Interval, most_ns: int = 50 * MILLISECOND) -> Interval:
    """The middle of a silence: a sign of life at its very edge places the edge, and does not disprove the silence."""
    margin = min(most_ns, core.length_ns // 5)
    return Interval(core.lo_ns + margin, core.hi_ns - margin)


def classed(
    outages: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    its_own: Container[str] = (),
    own_noise_ns: int = 0,
) -> tuple[Outage, ...]:
    """The same silences with their class and why. ``traces`` and ``outages`` are of one host.

    ``its_own`` are probes that the host's own kernel is known to answer: they fell silent with everything else in a
    suspension. Gaps of all probes up to ``own_noise_ns`` are the host's own noise.
    """
    stamps = [outage for outage in outages if _from_stamps(outage, traces)]
    rest = [outage for outage in outages if outage not in stamps]
    done = [_ticks_class(stamp, traces, stalls, its_own, own_noise_ns) for stamp in stamps]
    done += [_asked_class(one, rest, done[: len(stamps)], traces, stalls) for one in rest]
    return tuple(sorted(done, key=lambda one: one.begin))


def _kind_of(outage: Outage, traces: Sequence[Trace]) -> str:
    return next(trace.kind for trace in traces if trace.probe == outage.probe)


def _from_stamps(outage: Outage, traces: Sequence[Trace]) -> bool:
    return _kind_of(outage, traces) == "ticks" and outage.method is not Method.TICK_ARRIVALS


def _as(outage: Outage, kind: OutageKind, why: str) -> Outage:
    return replace(outage, kind=kind, why=why)


def _ours(outage: Outage, stalls: Sequence[Interval], least_ns: int) -> Outage | None:
    """The silence as ours, when our own stalls leave less of it than would have been noticed."""
    core = outage.core
    wide = [stall.widened(5 * MILLISECOND) for stall in stalls if stall.overlaps(outage.outer)]
    left = uncovered_ns(core, wide) if core.length_ns else 0
    if wide and left < max(least_ns, core.length_ns // 10):
        return _as(outage, OutageKind.OBSERVER, "the observer stalled at the same time")
    return None


def _ticks_class(
    outage: Outage,
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
    its_own: Container[str],
    own_noise_ns: int,
) -> Outage:
    mine = next(trace for trace in traces if trace.probe == outage.probe)
    ours = _ours(outage, stalls, mine.interval_at(outage.core.middle_ns))
    if ours is not None and not outage.is_proved_by_clock:  # no stall of ours moves a clock there
        return ours
    others = [trace for trace in traces if trace.probe != outage.probe and trace.kind in REACHABILITY]
    core = machine_core(outage, traces)
    processes = company(deep(core), [other for other in others if other.kind not in KERNEL])
    kernel = company(deep(core, _KERNEL_SLACK_NS), [other for other in others if other.kind in KERNEL])
    if kernel.spoke and processes.silent and not processes.spoke:
        return _disputed(outage, processes, kernel, its_own)
    if not processes.spoke and (processes.silent or (kernel.silent and not kernel.spoke)):
        late_alone = not loses_in_a_row(core, traces) and gap_with_losses(outage.outer, others) is None
        return _silent_together(outage, core, (*processes.silent, *kernel.silent), own_noise_ns if late_alone else 0)
    return _by_ticks_alone(outage, processes, kernel)


def _by_ticks_alone(outage: Outage, processes: Company, kernel: Company) -> Outage:
    """The class of a silence of the ticks that no other probe shares."""
    if processes.spoke:
        return _as(outage, OutageKind.MICRO_STOP, f"{processes.names('spoke')} answered meanwhile, so the host ran")
    if outage.is_proved_by_clock and not kernel.spoke:
        why = "a clock of the host stood still while no tick came, no observer stall"
        return _as(outage, OutageKind.SUSPENSION, why)
    blind = ", ".join(one.probe for one in (*processes.blind, *kernel.blind))
    if kernel.spoke or blind:
        ran = f"{kernel.names('spoke')} answered meanwhile, so its kernel ran; " if kernel.spoke else ""
        return _as(outage, OutageKind.MICRO_STOP, f"{ran}too short for {blind or 'any other process'} to tell")
    return _as(outage, OutageKind.UNDECIDED, "ticks silent, no observer stall; nothing else was watching")


def _silent_together(outage: Outage, core: Interval, silent: Sequence[Trace], own_noise_ns: int) -> Outage:
    """A suspension, unless the others were silent already and stayed so: then the network was out and only the ticks
    can decide.
    """
    finest = min(silent, key=lambda one: one.interval_at(core.middle_ns))
    if not _began_or_ended_together(outage, core, finest):
        why = f"during a longer silence of {finest.probe}, a break of the network: only the ticks can tell"
        return _as(outage, OutageKind.MICRO_STOP, why)
    length_ns = outage.length.hi_ns if outage.method is Method.CLOCK_JUMP else core.length_ns
    if not outage.is_proved_by_clock and length_ns <= own_noise_ns:
        size = f"{length_ns / MILLISECOND:.0f} ms is within its own noise of {own_noise_ns / MILLISECOND:.0f} ms"
        return _as(outage, OutageKind.MICRO_STOP, f"the host was silent for {size}")
    names = ", ".join(one.probe for one in silent)
    return _as(outage, OutageKind.SUSPENSION, f"{outage.probe} and {names} silent together, no observer stall")


def _disputed(outage: Outage, processes: Company, kernel: Company, its_own: Container[str]) -> Outage:
    """All processes stalled while a kernel answered: CPU starvation where that is known to be the host's own kernel.

    Otherwise a host that hangs, or an answer that was not the host's: shown, not decided.
    """
    names = kernel.names("spoke")
    if any(one.probe in its_own for one in kernel.spoke):
        why = f"{names} answered meanwhile, which the host's own kernel does: its processes waited for a processor"
        return _as(outage, OutageKind.MICRO_STOP, why)
    together = f"{outage.probe} and {processes.names('silent')} silent together, no observer stall"
    return _as(outage, OutageKind.SUSPENSION, f"{together}; but {names} was answered meanwhile")


def _asked_class(
    outage: Outage,
    rest: Sequence[Outage],
    stopped: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
) -> Outage:
    felt, mine = _felt(outage), next(trace for trace in traces if trace.probe == outage.probe)
    suspended = next(
        (
            one
            for one in stopped
            if one.kind is OutageKind.SUSPENSION
            and (_shares(one, felt) or _lost_in(outage, one, mine) or _is_within(outage, one))
        ),
        None,
    )
    if suspended is not None:
        why = f"contains the suspension measured by {suspended.probe}, plus TCP retransmission"
        return _as(outage, OutageKind.SUSPENSION, why)
    shared = next((one for one in stopped if _shares(one, felt)), None)
    ours = _ours(outage, stalls, mine.noise.quantile_ns)
    if ours is not None:
        return ours
    if mine.kind not in REACHABILITY:
        return _as(outage, OutageKind.APPLICATION, "this service alone was silent")
    reach = {trace.probe for trace in traces if trace.kind in REACHABILITY} - {outage.probe}
    names = ", ".join(sorted({one.probe for one in rest if one.probe in reach and _felt(one).overlaps(felt)}))
    if not any(trace.kind == "ticks" and _ticked_around(trace, felt) for trace in traces):
        return _without_ticks(outage, names, traces)
    if shared is not None and shared.kind is not None and 2 * shared.outer.length_ns >= felt.length_ns:
        return _as(outage, shared.kind, f"contains the gap measured by {shared.probe}: {shared.why}")
    return _while_it_ticked(outage, names, rest, mine, traces)


def _while_it_ticked(
    outage: Outage, names: str, rest: Sequence[Outage], mine: Trace, traces: Sequence[Trace]
) -> Outage:
    by_kernel = mine.kind in KERNEL
    short = [one for one in rest if _kind_of(one, traces) in KERNEL and _felt(one).overlaps(_felt(outage))]
    ticks = [trace for trace in traces if trace.kind == "ticks"]
    if short and not any(_tells(trace, one) for trace in ticks for one in short):
        together = f"{names} silent too; " if names else ""
        return _as(outage, OutageKind.UNDECIDED, f"{together}too short for the ticks to tell")
    if names:
        return _as(outage, OutageKind.NETWORK, f"the host ticked on; {names} silent too, so nothing reached us")
    if by_kernel:
        return _as(outage, OutageKind.NETWORK, "the host ticked on; echo requests or their answers were lost")
    if any(_lost_with(mine, outage, trace) for trace in traces if trace.kind == "icmp"):
        why = "its question was lost with echo requests: a suspension or a break of the network, too short to tell"
        return _as(outage, OutageKind.UNDECIDED, why)
    return _as(outage, OutageKind.APPLICATION, "the host ticked on and other probes reached it")


def _ticked_around(trace: Trace, felt: Interval) -> bool:
    """True where ticks came from before a silence and from after its begin: a session that began later or ended shows
    nothing of it.
    """
    return bool((trace.alive_lo <= felt.lo_ns).any() and (trace.alive_lo >= felt.lo_ns).any())


def _lost_with(mine: Trace, outage: Outage, asked: Trace) -> bool:
    """True where the first question of a silence was sent when a request was lost that hardly any other is."""
    near = asked.interval_at(outage.begin.lo_ns) + MILLISECOND
    lost = asked.sent[asked.answered == MISSING]
    return asked.noise.lost_share < _RARELY and bool((abs(lost - _first_late(mine, outage)) <= near).any())


def _first_late(mine: Trace, outage: Outage) -> int:
    """The time at which the first late question of a silence was sent."""
    return int(mine.sent[mine.late & (mine.sent >= outage.begin.lo_ns)].min(initial=outage.begin.hi_ns))


def _tells(trace: Trace, outage: Outage) -> bool:
    """True where the ticks would have shown a silence of this length, or where one came in it."""
    longest = max(trace.noise.threshold_ns, trace.interval_at(outage.core.middle_ns))
    return outage.core.length_ns > longest or _voices(trace, outage.core)


def _felt(outage: Outage) -> Interval:
    """The time from the first question that should have been answered to the first answer."""
    return Interval(outage.begin.hi_ns, max(outage.begin.hi_ns, outage.end.hi_ns))


def _shares(suspended: Outage, felt: Interval) -> bool:
    """True where a silence holds a good part of a suspension, not just its edge."""
    common = suspended.core.intersect(felt)
    return common is not None and common.length_ns >= min(suspended.core.length_ns, felt.length_ns) // 4


def _is_within(outage: Outage, suspended: Outage) -> bool:
    """True where most of a silence whose edges are as wide as itself lies in a suspension."""
    common = suspended.outer.intersect(outage.outer)
    return outage.inner is None and common is not None and 2 * common.length_ns >= outage.outer.length_ns


def _lost_in(outage: Outage, suspended: Outage, mine: Trace) -> bool:
    """True where the first question of a silence was sent within a suspension, however late TCP then sent it again."""
    return suspended.begin.lo_ns <= _first_late(mine, outage) <= suspended.end.hi_ns


def _without_ticks(outage: Outage, names: str, traces: Sequence[Trace]) -> Outage:
    """The class of a silence without ticks: an answer of another probe means a busy service, otherwise a suspension
    looks like a break of the network.

    One mechanism alone, or none that any process of the host takes part in, is not decided.
    """
    others = [trace for trace in traces if trace.probe != outage.probe and trace.kind in REACHABILITY]
    with_us = company(deep(_felt(outage)), others)
    if with_us.spoke:
        return _as(outage, OutageKind.APPLICATION, f"{with_us.names('spoke')} answered meanwhile")
    together = f"{names} silent too; " if names else ""
    silent = [trace for trace in traces if trace.probe == outage.probe or trace.probe in names.split(", ")]
    kinds = {one.kind for one in silent}
    why = f"{together}without ticks a break of the network looks the same"
    if len(kinds) < 2 or not kinds.intersection(SESSIONS):
        return _as(outage, OutageKind.UNDECIDED, f"{why}, and no session was open" if len(kinds) > 1 else why)
    return _as(outage, OutageKind.SUSPENSION, why)


def _voices(trace: Trace, core: Interval) -> bool:
    return bool(((trace.alive_lo >= core.lo_ns) & (trace.alive_hi <= core.hi_ns)).any())
