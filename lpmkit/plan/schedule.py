"""Scheduling constraints of a plan as functions of plain values. No machine is involved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import Limits, MovePlan, PlannedMove


class Stage(StrEnum):
    """Stage of one move of a plan."""

    WAITING = "waiting"
    PREPARING = "preparing"  #: surveyed, checked and validated; not yet requested
    MOVING = "moving"
    WATCHING = "watching"  #: runs on the target, within the post-migration window
    ARRIVED = "arrived"  #: over, with no failure found
    FAILED = "failed"  #: refused, rolled back, stopped, or arrived with a verdict that it failed
    RECOVERY = "needs recovery"
    DROPPED = "dropped"  #: not requested, because an earlier move it depends on did not arrive


#: Stages in which a move occupies its frames, movers and link.
UNDER_WAY = (Stage.PREPARING, Stage.MOVING)
#: The beginning of a partition's state while it is moved (`OPTEST`, C).
MIGRATING = "Migrating"
#: Final stages, unless an operator acts.
OVER = (Stage.ARRIVED, Stage.FAILED, Stage.RECOVERY, Stage.DROPPED)
#: Stages of an earlier move that drop the moves depending on it.
LOST = (Stage.FAILED, Stage.RECOVERY, Stage.DROPPED)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A move that is prepared or running: frames, active or inactive, and movers (frame names if there is no
    choice). ``pairs`` are those movers as people read them, with their addresses.
    """

    partition: str
    source: str
    target: str
    inactive: bool = False
    movers: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    @property
    def frames(self) -> tuple[str, str]:
        """Source and target frame."""
        return (self.source, self.target)


@dataclass(frozen=True, slots=True)
class Queue:
    """The moves that may start next, in the plan's order; the reasons of the waiting ones; the dropped ones with their
    reasons.
    """

    ready: tuple[str, ...]
    waits: Mapping[str, str]
    dropped: Mapping[str, str]


def halts(plan: MovePlan, stages: Mapping[str, Stage]) -> str | None:
    """Reason to start no further move; `None` while there is none.

    A migration that needs recovery halts every plan: until then its frames cannot take the next move.
    """
    unrecovered = [name for name, stage in stages.items() if stage is Stage.RECOVERY]
    if unrecovered:
        return f"{', '.join(unrecovered)} must be recovered first"
    failed = [name for name, stage in stages.items() if stage is Stage.FAILED]
    if failed and plan.on_failure == "stop":
        return f"{', '.join(failed)} failed, and the plan stops at a failure"
    return None


#: Cluster software in a partition: its kind and the cluster's name, empty if unknown.
Membership = tuple[str, str]


def queue(
    plan: MovePlan, stages: Mapping[str, Stage], clusters: Mapping[str, frozenset[Membership]], halted: str | None
) -> Queue:
    """Sort the waiting moves. ``clusters`` is the cluster software found in partitions so far."""
    ready: list[str] = []
    waits: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for move in plan.moves:
        name = move.partition
        if stages[name] is not Stage.WAITING:
            continue
        lost = [earlier for earlier in move.after if stages[earlier] in LOST or earlier in dropped]
        awaited = [earlier for earlier in move.after if stages[earlier] is not Stage.ARRIVED]
        if lost and halted is None:
            dropped[name] = f"it comes after {', '.join(lost)}, which did not arrive"
        elif halted is not None:
            waits[name] = halted
        elif awaited:
            waits[name] = f"comes after {', '.join(awaited)}"
        elif mate := cluster_mate(plan, name, stages, clusters):
            waits[name] = mate
        else:
            ready.append(name)
    return Queue(tuple(ready), waits, dropped)


def cluster_mate(
    plan: MovePlan, partition: str, stages: Mapping[str, Stage], clusters: Mapping[str, frozenset[Membership]]
) -> str | None:
    """Reason to wait for another member of the same cluster, which is being moved or still recorded.

    Clusters of the plan take precedence. Other partitions that run the same cluster software count as members of one
    cluster, unless both report a name and the names differ.
    """
    own = plan.clusters_of(partition)
    for other, stage in stages.items():
        if other == partition or stage not in (*UNDER_WAY, Stage.WATCHING):
            continue
        other_clusters = plan.clusters_of(other)
        if own and other_clusters:
            if both := [name for name in own if name in other_clusters]:
                return f"{other} of the cluster {', '.join(both)} is moving"
        elif shared := shared_clusters(clusters.get(partition, frozenset()), clusters.get(other, frozenset())):
            return (
                f"{other} is moving and runs {', '.join(shared)} too; "
                "put them into different `clusters:` if they are not of one cluster"
            )
    return None


def cluster_mate_elsewhere(plan: MovePlan, partition: str, others: Mapping[str, str]) -> str | None:
    """Reason to wait for another member of a cluster of the plan, which somebody else moves. ``others`` are the
    partitions of others' moves under way, each with who moves it.
    """
    for cluster in plan.clusters_of(partition):
        for member in plan.clusters[cluster]:
            if member != partition and member in others:
                return f"{member} of the cluster {cluster} is moving ({others[member]})"
    return None


def not_there_yet(move: PlannedMove, listed: Collection[tuple[str, Partition]]) -> str | None:
    """Reason to wait for a partition that another plan moves: no manager shows it on the frame named, at rest, and
    nowhere else. ``listed`` are the partitions of all frames that could be asked.
    """
    for name, frame in move.wait_for.items():
        states = {at: partition.state for at, partition in listed if partition.name == name}
        if states.keys() != {frame} or states[frame].startswith(MIGRATING):
            shown = ", ".join(f"{at}: {state}" for at, state in sorted(states.items())) or "no frame lists it"
            return f"waits for {name} on {frame}; another plan moves it ({shown})"
    return None


def shared_clusters(memberships: frozenset[Membership], other_memberships: frozenset[Membership]) -> list[str]:
    """Clusters that both partitions may be members of, as text."""
    return sorted(
        {
            f"{kind} {name or other_name}".strip()
            for kind, name in memberships
            for other_kind, other_name in other_memberships
            if kind == other_kind and (not name or not other_name or name == other_name)
        }
    )


def hold(
    move: UnderWay,
    under_way: Sequence[UnderWay],
    frames: Mapping[str, Frame],
    limits: Limits,
    at_most: Mapping[str, int],
) -> str | None:
    """Reason to wait for a free place on frames, movers or link; `None` when the move may start.

    ``frames`` are the systems as their managers show them now, so moves started elsewhere count. A manager that
    reports no limit is given one move at a time. ``at_most`` holds the limits of movers, as far as known.
    """
    for name in move.frames:
        allowed, running = room_of_frame(frames[name], inactive=move.inactive)
        own = sum(name in other.frames and other.inactive == move.inactive for other in under_way)
        # The manager may not count a move yet that was requested a moment ago.
        busy = max(own, running)
        if busy >= allowed:
            return f"{name} takes {allowed} at once and is busy with {busy}"
        if limits.frame is not None and own >= limits.frame:
            return f"the plan allows {limits.frame} at once on {name}"
    on_link = sum(set(other.frames) == set(move.frames) for other in under_way)
    if on_link >= limits.link:
        return f"the plan allows {limits.link} at once between {move.source} and {move.target}"
    for mover in move.movers:
        max_moves = min((limit for limit in (limits.mover, at_most.get(mover)) if limit is not None), default=None)
        own = sum(mover in other.movers for other in under_way)
        if max_moves is not None and own >= max_moves:
            return f"the mover {mover} takes {max_moves} at once"
    return None


def room_of_frame(frame: Frame, *, inactive: bool) -> tuple[int, int]:
    """Capacity of a frame for simultaneous moves, and how many of it are in use."""
    if inactive:
        allowed, running = frame.inactive_migrations_supported, frame.inactive_migrations_in_progress
    else:
        allowed, running = frame.active_migrations_supported, frame.active_migrations_in_progress
    return 1 if allowed is None else allowed, running or 0


def least_busy(pairs: Sequence[MoverPair], under_way: Sequence[UnderWay]) -> MoverPair | None:
    """The pair of movers with the fewest moves of this plan, then the lowest partition ids; ``None`` without pairs."""

    def load(pair: MoverPair) -> tuple[int, int, int]:
        """Moves over the pair, then its partition ids."""
        movers = (pair.source, pair.target)
        return sum(name in other.movers for other in under_way for name in movers), pair.source_id, pair.target_id

    return min(pairs, key=load, default=None)


@dataclass(frozen=True, slots=True)
class Fit:
    """Fit of a partition's memory (MB) and processors on the target at its turn; `None` for an unknown figure."""

    partition: str
    fits: bool | None
    why: str


def fits(moves: Sequence[tuple[Partition, str, str]], frames: Mapping[str, Frame]) -> tuple[Fit, ...]:
    """Simulate memory and processors for (partition, source, target) in the plan's order, starting from those free now.

    An active move takes its memory along and frees it at the source; an inactive partition needs none until it starts.
    """
    memory = {name: frame.memory_available_mb for name, frame in frames.items()}
    units = {name: frame.proc_units_available for name, frame in frames.items()}
    results = []
    for partition, source, target in moves:
        if partition.state == "Not Activated":
            results.append(Fit(partition.name, True, "not activated: it takes memory when it starts"))
            continue
        need, free = partition.memory_mb, memory[target]
        if need is None or free is None:
            results.append(
                Fit(partition.name, None, f"{partition.name if need is None else target} reports no memory figure")
            )
            continue
        short = [f"memory {need} MB of {free} MB"] if need > free else []
        processors, idle = _processors(partition), units[target]
        if processors is not None and idle is not None and processors > idle + 1e-9:
            short.append(f"processors {processors:g} of {idle:g}")
        results.append(Fit(partition.name, not short, ", ".join(short) or f"{need} MB of {free} MB free"))
        if not short:
            memory[target] = free - need
            memory[source] = None if memory[source] is None else memory[source] + need  # type: ignore[operator]
            if processors is not None:
                units[target] = None if idle is None else idle - processors
                units[source] = None if units[source] is None else units[source] + processors  # type: ignore[operator]
    return tuple(results)


def _processors(partition: Partition) -> float | None:
    """Processors that the partition takes along; for dedicated ones the manager prints no units."""
    if partition.proc_units is None and partition.virtual_processors is not None and partition.proc_mode != "shared":
        return float(partition.virtual_processors)
    return partition.proc_units
