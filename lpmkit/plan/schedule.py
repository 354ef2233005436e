"""What holds a move of a plan back, as functions of plain values. Nothing here talks to a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import Limits, MovePlan


class Stage(StrEnum):
    """Where one move of a plan stands."""

    WAITING = "waiting"
    PREPARING = "preparing"  #: surveyed, checked and validated; nothing was asked for
    MOVING = "moving"
    WATCHING = "watching"  #: it runs on the target, and is watched for the length of the tail
    ARRIVED = "arrived"  #: over and fine, as far as could be told
    FAILED = "failed"  #: refused, rolled back, stopped, or arrived with a verdict that it failed
    RECOVERY = "needs recovery"
    DROPPED = "dropped"  #: not asked for, because what it comes after did not arrive


#: Stages in which a move takes a place on its frames, movers and link.
UNDER_WAY = (Stage.PREPARING, Stage.MOVING)
#: Stages in which nothing more becomes of a move by itself.
OVER = (Stage.ARRIVED, Stage.FAILED, Stage.RECOVERY, Stage.DROPPED)
#: Stages of which a move that comes after can no longer hope for anything.
LOST = (Stage.FAILED, Stage.RECOVERY, Stage.DROPPED)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A move that is being prepared or made: where, whether the partition is not activated, and through which movers (the frames' names where nobody chooses)."""

    partition: str
    source: str
    target: str
    inactive: bool = False
    movers: tuple[str, ...] = ()

    @property
    def frames(self) -> tuple[str, str]:
        return (self.source, self.target)


@dataclass(frozen=True, slots=True)
class Queue:
    """What may be looked at next, in the plan's order; why each of the others waits; and what is dropped, with the reason."""

    ready: tuple[str, ...]
    waits: Mapping[str, str]
    dropped: Mapping[str, str]


def halts(plan: MovePlan, stages: Mapping[str, Stage]) -> str | None:
    """Why no further move is started after what has happened; ``None`` while all is well.

    A migration that was left in between halts every plan: until somebody has recovered it, its frames are not in a state to take the next one.
    """
    left = [name for name, stage in stages.items() if stage is Stage.RECOVERY]
    if left:
        return f"{', '.join(left)} must be recovered first (`lpmkit recover RUN`)"
    failed = [name for name, stage in stages.items() if stage is Stage.FAILED]
    if failed and plan.on_failure == "stop":
        return f"{', '.join(failed)} failed, and the plan says to stop then"
    return None


#: Cluster software in a partition: its kind, and the name of the cluster where it told it, else an empty text.
Membership = tuple[str, str]


def queue(
    plan: MovePlan, stages: Mapping[str, Stage], clusters: Mapping[str, frozenset[Membership]], halted: str | None
) -> Queue:
    """Sort the moves that wait. ``clusters`` is the cluster software that was found in partitions so far."""
    ready: list[str] = []
    waits: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for move in plan.moves:
        name = move.partition
        if stages[name] is not Stage.WAITING:
            continue
        lost = [other for other in move.after if stages[other] in LOST or other in dropped]
        awaited = [other for other in move.after if stages[other] is not Stage.ARRIVED]
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
    """Why a partition must wait for another member of its cluster, which is on its way or still watched.

    Two partitions that the plan puts into clusters are held to that. Of the others two that run the same cluster software count as members of one cluster, unless both told
    the name of theirs and the names differ.
    """
    mine = plan.cluster_of(partition)
    for other, stage in stages.items():
        if other == partition or stage not in (*UNDER_WAY, Stage.WATCHING):
            continue
        theirs = plan.cluster_of(other)
        if mine is not None and theirs is not None:
            if mine == theirs:
                return f"{other} of the cluster {mine} is on its way"
        elif shared := _shared(clusters.get(partition, frozenset()), clusters.get(other, frozenset())):
            return f"{other} is on its way and runs {', '.join(shared)} too; `clusters:` can say that they are not of one cluster"
    return None


def _shared(some: frozenset[Membership], others: frozenset[Membership]) -> list[str]:
    """What both may be members of, in words."""
    return sorted(
        {
            f"{kind} {name or theirs}".strip()
            for kind, name in some
            for other, theirs in others
            if kind == other and (not name or not theirs or name == theirs)
        }
    )


def hold(
    move: UnderWay,
    under_way: Sequence[UnderWay],
    frames: Mapping[str, Frame],
    limits: Limits,
    at_most: Mapping[str, int],
) -> str | None:
    """Why a move must wait for room on its frames, movers or link; ``None`` when it may start.

    ``frames`` are the systems as their managers show them now: what others move there counts. A manager that does not say how many it takes is given one at
    a time. ``at_most`` is what movers take, as far as they were asked.
    """
    for name in move.frames:
        allowed, running = _room(frames[name], inactive=move.inactive)
        ours = sum(name in one.frames and one.inactive == move.inactive for one in under_way)
        # A move that was only just asked for may not be counted there yet.
        busy = max(ours, running)
        if busy >= allowed:
            return f"{name} takes {allowed} at once and is busy with {busy}"
        if limits.frame is not None and ours >= limits.frame:
            return f"the plan allows {limits.frame} at once on {name}"
    same = sum(set(one.frames) == set(move.frames) for one in under_way)
    if same >= limits.link:
        return f"the plan allows {limits.link} at once between {move.source} and {move.target}"
    for mover in move.movers:
        most = min((some for some in (limits.mover, at_most.get(mover)) if some is not None), default=None)
        ours = sum(mover in one.movers for one in under_way)
        if most is not None and ours >= most:
            return f"the mover {mover} takes {most} at once"
    return None


def _room(frame: Frame, *, inactive: bool) -> tuple[int, int]:
    """How many moves a frame takes at once and how many it is busy with."""
    if inactive:
        allowed, running = frame.inactive_migrations_supported, frame.inactive_migrations_in_progress
    else:
        allowed, running = frame.active_migrations_supported, frame.active_migrations_in_progress
    return 1 if allowed is None else allowed, running or 0


def least_busy(pairs: Sequence[MoverPair], under_way: Sequence[UnderWay]) -> MoverPair | None:
    """The pair of movers that carries the fewest of our moves; among equals the lowest partition ids. ``None`` where there is nothing to choose."""

    def load(pair: MoverPair) -> tuple[int, int, int]:
        mine = (pair.source, pair.target)
        return sum(name in one.movers for one in under_way for name in mine), pair.source_id, pair.target_id

    return min(pairs, key=load, default=None)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a partition's memory (MB) and processors fit the target when its turn comes; ``None`` where somebody did not say."""

    partition: str
    fits: bool | None
    why: str


def fits(moves: Sequence[tuple[Partition, str, str]], frames: Mapping[str, Frame]) -> tuple[Fit, ...]:
    """Walk through (partition, source, target) in the plan's order with the memory and processors that are free now; what left a frame is free there afterwards.

    An activated partition takes its memory along; one that is not takes none until it starts.
    """
    memory = {name: frame.memory_available_mb for name, frame in frames.items()}
    units = {name: frame.proc_units_available for name, frame in frames.items()}
    found = []
    for partition, source, target in moves:
        if partition.state == "Not Activated":
            found.append(Fit(partition.name, True, "not activated: it takes memory when it starts"))
            continue
        need, free = partition.memory_mb, memory[target]
        if need is None or free is None:
            found.append(
                Fit(partition.name, None, f"{partition.name if need is None else target} does not say its memory")
            )
            continue
        short = [f"memory {need} MB of {free} MB"] if need > free else []
        processors, idle = _processors(partition), units[target]
        if processors is not None and idle is not None and processors > idle + 1e-9:
            short.append(f"processors {processors:g} of {idle:g}")
        found.append(Fit(partition.name, not short, ", ".join(short) or f"{need} MB of {free} MB free"))
        if not short:
            memory[target] = free - need
            memory[source] = None if memory[source] is None else memory[source] + need  # type: ignore[operator]
            if processors is not None:
                units[target] = None if idle is None else idle - processors
                units[source] = None if units[source] is None else units[source] + processors  # type: ignore[operator]
    return tuple(found)


def _processors(partition: Partition) -> float | None:
    """Processors that it takes along; of dedicated ones the manager prints no units."""
    if partition.proc_units is None and partition.virtual_processors is not None and partition.proc_mode != "shared":
        return float(partition.virtual_processors)
    return partition.proc_units
