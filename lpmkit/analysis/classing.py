"""What a silence was. The class falls out of who else spoke meanwhile; no model is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpmkit.analysis.values import MILLISECOND, Interval, Kind, Outage, Trace, uncovered_ns

#: Probes whose silence alone can mean that the host is out of reach; any other probe speaks for its own service only.
REACHABILITY = ("ticks", "echo", "connect", "icmp")
#: Probes that a kernel answers, whether or not any process of the host runs.
KERNEL = ("icmp",)
#: A kernel answers at once; a process may be held up for this long more by everything that happens in its host.
_KERNEL_SLACK_NS = 5 * MILLISECOND
#: A probe that gave no sign of life for so long before a silence is deaf, not silent.
_DEAF_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Company:
    """The other probes during a silence: who spoke, who should have and did not, who could not tell."""

    spoke: tuple[Trace, ...]
    silent: tuple[Trace, ...]
    blind: tuple[Trace, ...]

    def names(self, which: str) -> str:
        return ", ".join(trace.probe for trace in getattr(self, which))


def company(core: Interval, others: Sequence[Trace]) -> Company:
    """Who of ``others`` gave a sign of life that lies wholly inside ``core``."""
    spoke, silent, blind = [], [], []
    for trace in others:
        if not trace.span.overlaps(core):
            continue
        first = int(np.searchsorted(trace.alive_lo, core.lo_ns)) if _is_sorted(trace) else 0
        inside = (trace.alive_lo[first:] >= core.lo_ns) & (trace.alive_hi[first:] <= core.hi_ns)
        if inside.any():
            spoke.append(trace)
        elif not _spoke_before(trace, core):
            continue
        elif core.length_ns >= trace.interval_ns + trace.noise.quantile_ns + _slack_ns(trace):
            silent.append(trace)
        else:
            blind.append(trace)
    return Company(tuple(spoke), tuple(silent), tuple(blind))


def _slack_ns(trace: Trace) -> int:
    return _KERNEL_SLACK_NS if trace.kind in KERNEL else 20 * MILLISECOND


def _spoke_before(trace: Trace, core: Interval) -> bool:
    since = core.lo_ns - max(_DEAF_NS, 3 * trace.interval_ns)
    return bool(((trace.alive_hi >= since) & (trace.alive_hi <= core.lo_ns)).any())


def answered_by_kernel(outage: Outage, traces: Sequence[Trace]) -> tuple[Trace, ...]:
    """Whose kernel answered deep inside a silence of the host's processes."""
    return company(deep(outage.core, _KERNEL_SLACK_NS), [one for one in traces if one.kind in KERNEL]).spoke


def deep(core: Interval, most_ns: int = 50 * MILLISECOND) -> Interval:
    """The middle of a silence: a sign of life at its very edge says where the edge is, not that there was no silence."""
    margin = min(most_ns, core.length_ns // 5)
    return Interval(core.lo_ns + margin, core.hi_ns - margin)


def _is_sorted(trace: Trace) -> bool:
    return trace.kind == "ticks"


def classed(outages: Sequence[Outage], traces: Sequence[Trace], stalls: Sequence[Interval]) -> tuple[Outage, ...]:
    """The same silences with their class and why. ``traces`` and ``outages`` are of one host."""
    stamps = [one for one in outages if _from_stamps(one, traces)]
    rest = [one for one in outages if one not in stamps]
    done = [_ticks_class(one, traces, stalls) for one in stamps]
    suspended = [one for one in done if one.kind is Kind.SUSPENSION]
    done += [_asked_class(one, rest, suspended, traces, stalls) for one in rest]
    return tuple(sorted(done, key=lambda one: one.begin))


def _kind_of(outage: Outage, traces: Sequence[Trace]) -> str:
    return next(trace.kind for trace in traces if trace.probe == outage.probe)


def _from_stamps(outage: Outage, traces: Sequence[Trace]) -> bool:
    return _kind_of(outage, traces) == "ticks" and outage.method != "arrival of ticks"


def _as(outage: Outage, kind: Kind, why: str) -> Outage:
    return replace(outage, kind=kind, why=why)


def _ours(outage: Outage, stalls: Sequence[Interval], least_ns: int) -> Outage | None:
    """The silence as ours, when our own stalls leave less of it than would have been noticed."""
    core = outage.core
    wide = [stall.widened(5 * MILLISECOND) for stall in stalls if stall.overlaps(outage.outer)]
    left = uncovered_ns(core, wide) if core.length_ns else 0
    if wide and left < max(least_ns, core.length_ns // 10):
        return _as(outage, Kind.OBSERVER, "our own monitor stood still at the same time")
    return None


def _ticks_class(outage: Outage, traces: Sequence[Trace], stalls: Sequence[Interval]) -> Outage:
    mine = next(trace for trace in traces if trace.probe == outage.probe)
    ours = _ours(outage, stalls, mine.interval_ns)
    if ours is not None:
        return ours
    others = [trace for trace in traces if trace.probe != outage.probe and trace.kind in REACHABILITY]
    processes = company(deep(outage.core), [one for one in others if one.kind not in KERNEL])
    kernel = company(deep(outage.core, _KERNEL_SLACK_NS), [one for one in others if one.kind in KERNEL])
    if processes.spoke:
        return _as(outage, Kind.MICRO_STOP, f"{processes.names('spoke')} answered meanwhile, so the host ran")
    if kernel.spoke and processes.silent:
        return _as(outage, Kind.SUSPENSION, _disputed(outage, processes, kernel))
    if processes.silent or (kernel.silent and not kernel.spoke):
        names = ", ".join(one.probe for one in (*processes.silent, *kernel.silent))
        return _as(outage, Kind.SUSPENSION, f"{outage.probe} and {names} silent together, our own monitor quiet")
    blind = ", ".join(one.probe for one in (*processes.blind, *kernel.blind))
    if kernel.spoke or blind:
        ran = f"{kernel.names('spoke')} answered meanwhile, so its kernel ran; " if kernel.spoke else ""
        return _as(outage, Kind.MICRO_STOP, f"{ran}too short for {blind or 'any other process'} to tell")
    return _as(outage, Kind.SUSPENSION, "ticks silent, our own monitor quiet; nothing else was watching")


def _disputed(outage: Outage, processes: Company, kernel: Company) -> str:
    """Every process stood still and a kernel answered: a host that hangs, or an answer that was not the host's. Shown, not decided."""
    return (
        f"{outage.probe} and {processes.names('silent')} silent together, our own monitor quiet; "
        f"but {kernel.names('spoke')} was answered meanwhile"
    )


def _asked_class(
    outage: Outage,
    rest: Sequence[Outage],
    suspended: Sequence[Outage],
    traces: Sequence[Trace],
    stalls: Sequence[Interval],
) -> Outage:
    felt = _felt(outage)
    shared = next((one for one in suspended if _shares(one, felt)), None)
    if shared is not None:
        return _as(
            outage, Kind.SUSPENSION, f"holds the suspension that {shared.probe} shows, and the wait to send again"
        )
    mine = next(trace for trace in traces if trace.probe == outage.probe)
    ours = _ours(outage, stalls, mine.noise.quantile_ns)
    if ours is not None:
        return ours
    if mine.kind not in REACHABILITY:
        return _as(outage, Kind.APPLICATION, "this service alone was silent")
    reach = {trace.probe for trace in traces if trace.kind in REACHABILITY} - {outage.probe}
    names = ", ".join(sorted({one.probe for one in rest if one.probe in reach and _felt(one).overlaps(felt)}))
    if any(trace.kind == "ticks" and _voices(trace, deep(felt)) for trace in traces):
        return _while_it_ticked(outage, names, by_kernel=mine.kind in KERNEL)
    return _without_ticks(outage, names, traces)


def _while_it_ticked(outage: Outage, names: str, *, by_kernel: bool) -> Outage:
    if names:
        return _as(outage, Kind.NETWORK, f"the host ticked on; {names} silent too, so nothing reached us")
    if by_kernel:
        return _as(outage, Kind.NETWORK, "the host ticked on; echo requests or their answers were lost")
    return _as(outage, Kind.APPLICATION, "the host ticked on and other probes reached it")


def _felt(outage: Outage) -> Interval:
    """From the first question that should have been answered to the first answer."""
    return Interval(outage.begin.hi_ns, max(outage.begin.hi_ns, outage.end.hi_ns))


def _shares(suspended: Outage, felt: Interval) -> bool:
    """Whether a silence holds a good part of a suspension, not just its edge."""
    common = suspended.core.intersect(felt)
    return common is not None and common.length_ns >= min(suspended.core.length_ns, felt.length_ns) // 4


def _without_ticks(outage: Outage, names: str, traces: Sequence[Trace]) -> Outage:
    """Without ticks a break of the network looks like a suspension; an answer of another probe means a busy service."""
    others = [one for one in traces if one.probe != outage.probe and one.kind in REACHABILITY]
    with_us = company(deep(_felt(outage)), others)
    if with_us.spoke:
        return _as(outage, Kind.APPLICATION, f"{with_us.names('spoke')} answered meanwhile")
    together = f"{names} silent too; " if names else ""
    return _as(outage, Kind.SUSPENSION, f"{together}without ticks a break of the network looks the same")


def _voices(trace: Trace, core: Interval) -> bool:
    return bool(((trace.alive_lo >= core.lo_ns) & (trace.alive_hi <= core.hi_ns)).any())
