"""Packing of partitions onto target frames: which goes where, with which id, and why one cannot go.

Plain values in, plain values out; no machine is involved. Memory is in MB, processors in units. ``None`` is not known,
and what is not known is never taken as room.

Every target keeps within its memory, processors, slots, ports, pools and ids in any order in which the moves may run:
room that another move frees is used only by a move that comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

#: Tolerance in the comparison of processing units, which managers print with two digits.
UNIT_ERROR = 1e-6


@dataclass(frozen=True, slots=True)
class Need:
    """The needs of a partition on a target. ``barred`` holds the reasons that keep it from a target, by target.

    ``adapters`` are the server adapters that are made for it on the target, ``fibre`` those of them with a Fibre
    Channel port. ``pool`` is its shared processor pool by name, ``None`` for the default one or dedicated processors.
    ``cluster`` is the label of its cluster. ``lpar_id`` is the id that it should have on the target.
    """

    partition: str
    source: str
    lpar_id: int
    memory_mb: int | None
    processors: float | None
    adapters: int | None
    fibre: int = 0
    pool: str | None = None
    affinity: str | None = None
    cluster: str | None = None
    inactive: bool = False
    barred: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """Free capacity of a target. ``pools`` holds the free units of each shared processor pool by name; `None` is no
    limit.
    """

    target: str
    memory_mb: int | None
    processors: float | None
    slots: int | None
    fibre_ports: int | None = None
    taken_ids: frozenset[int] = frozenset()
    pools: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """A partition with its target and its id there; ``after`` are the moves whose room it uses."""

    need: Need
    target: str
    lpar_id: int
    after: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """A partition that cannot go, with the reason for each target."""

    need: Need
    reasons: Mapping[str, tuple[str, ...]]

    def sentence(self) -> str:
        """The reasons in words; equal ones of several targets once.

        >>> need = Need("a", "p8a", 3, 1, 1.0, 1)
        >>> Left(need, {"p8b": ("no VLAN 7",), "p8c": ("no VLAN 7",)}).sentence()
        'p8b, p8c: no VLAN 7'
        """
        targets: dict[tuple[str, ...], list[str]] = {}
        for target, why in self.reasons.items():
            targets.setdefault(why, []).append(target)
        return "; ".join(f"{', '.join(names)}: {', '.join(why)}" for why, names in targets.items())


@dataclass(frozen=True, slots=True)
class Packing:
    """The result: placed partitions in the order of the moves, and those that cannot go."""

    placed: tuple[Placed, ...]
    left: tuple[Left, ...]


@dataclass
class _Shelf:
    """A target while it is packed. ``leaving`` are partitions that leave it and whose room is not used yet."""

    room: Room
    memory_mb: int
    processors: float
    slots: int
    fibre_ports: int
    pools: dict[str, float | None]
    holds: list[Need] = field(default_factory=list)
    leaving: list[Need] = field(default_factory=list)
    used_leavers: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, room: Room) -> _Shelf:
        return cls(
            room, room.memory_mb or 0, room.processors or 0.0, room.slots or 0, room.fibre_ports or 0, dict(room.pools)
        )

    def put(self, need: Need, sign: int = 1) -> None:
        """Take the room of a partition, or with ``sign`` -1 give it back."""
        self.memory_mb -= sign * (need.memory_mb or 0)
        self.processors -= sign * (need.processors or 0.0)
        self.slots -= sign * (need.adapters or 0)
        self.fibre_ports -= sign * need.fibre
        left = self.pools.get(need.pool) if need.pool is not None else None
        if need.pool is not None and left is not None:
            self.pools[need.pool] = left - sign * (need.processors or 0.0)

    def why_not(self, need: Need) -> tuple[str, ...]:
        """The reasons why a partition has no room here; empty if it has."""
        unknown = tuple(_unknown(need, self.room))
        return (*need.barred.get(self.room.target, ()), *(unknown or self._short(need)))

    def _short(self, need: Need) -> Iterable[str]:
        if (need.memory_mb or 0) > self.memory_mb:
            yield f"needs {need.memory_mb} MB of memory, {self.memory_mb} MB are left"
        if (need.processors or 0.0) > self.processors + UNIT_ERROR:
            yield f"needs {need.processors:g} processors, {max(0.0, self.processors):.4g} are left"
        if (need.adapters or 0) > self.slots:
            yield f"needs {need.adapters} virtual slots of a VIOS, {max(0, self.slots)} are left"
        if need.fibre > self.fibre_ports:
            yield f"needs {need.fibre} Fibre Channel ports, {max(0, self.fibre_ports)} are left"
        units = self.pools.get(need.pool) if need.pool is not None else None
        if units is not None and (need.processors or 0.0) > units + UNIT_ERROR:
            yield f"needs {need.processors:g} processors of the pool {need.pool}, {max(0.0, units):.4g} are left"


def _unknown(need: Need, room: Room) -> Iterable[str]:
    """The figures that are not known, of the partition or of the target."""
    figures = {
        "memory": (need.memory_mb, room.memory_mb),
        "processors": (need.processors, room.processors),
        "virtual slots": (need.adapters, room.slots),
    }
    if need.fibre:
        figures["Fibre Channel ports"] = (need.fibre, room.fibre_ports)
    for name, (needed, free) in figures.items():
        if needed is None:
            yield f"not known: the {name} that {need.partition} needs"
        elif free is None:
            yield f"not known: the {name} free on {room.target}"


#: A rule that orders the targets of a partition, best first.
Worth = Callable[[Need, _Shelf], tuple[float, ...]]


def pack(needs: Sequence[Need], rooms: Sequence[Room]) -> Packing:
    """Place as many partitions as have room; those that cannot go are named with the reasons.

    Twice: evenly over the targets, and, if that leaves one over, as tight as possible; after that a partition that is
    placed makes room for one that is not, where it fits elsewhere. No search through all combinations is made.
    """
    even = _packed(needs, rooms, _even)
    if not even.left:
        return even
    tight = _packed(needs, rooms, _tight)
    return min((even, tight), key=lambda packing: (len(packing.left), -_memory(packing.placed)))


def _memory(placed: Iterable[Placed]) -> int:
    return sum(one.need.memory_mb or 0 for one in placed)


def _kinship(need: Need, shelf: _Shelf) -> tuple[float, ...]:
    """Members of one cluster apart, an affinity group together, the same pool, the same id."""
    mates = sum(need.cluster is not None and other.cluster == need.cluster for other in shelf.holds)
    group = sum(need.affinity is not None and other.affinity == need.affinity for other in shelf.holds)
    no_pool = need.pool is not None and need.pool not in shelf.room.pools
    return (mates, no_pool, -group, need.lpar_id in shelf.room.taken_ids)


def _fullness(need: Need, shelf: _Shelf) -> float:
    """Share of memory or processors, whichever is more, that are used once the partition is here."""
    memory, processors = shelf.room.memory_mb or 1, shelf.room.processors or 1.0
    left = min(
        (shelf.memory_mb - (need.memory_mb or 0)) / memory, (shelf.processors - (need.processors or 0)) / processors
    )
    return 1 - left


def _even(need: Need, shelf: _Shelf) -> tuple[float, ...]:
    return (*_kinship(need, shelf), _fullness(need, shelf))


def _tight(need: Need, shelf: _Shelf) -> tuple[float, ...]:
    return (-_fullness(need, shelf), *_kinship(need, shelf))


def _packed(needs: Sequence[Need], rooms: Sequence[Room], worth: Worth) -> Packing:
    shelves = {room.target: _Shelf.of(room) for room in rooms}
    places: dict[str, str] = {}
    after: dict[str, tuple[str, ...]] = {}
    waiting = sorted(needs, key=lambda need: _hardness(need, rooms))
    while True:
        # Again after every round: what leaves a target, or was sent elsewhere, makes room for what had none.
        left = [need for need in waiting if not _settled(need, shelves, places, after, worth)]
        if len(left) == len(waiting):
            break
        waiting = left
    order = sorted((need for need in needs if need.partition in places), key=_length)
    ids = _ids(order, places, {room.target: room.taken_ids for room in rooms})
    return Packing(
        tuple(
            Placed(
                need,
                places[need.partition],
                ids[need.partition],
                after.get(need.partition, ()),
                tuple(_remarks(need, shelves[places[need.partition]], ids[need.partition])),
            )
            for need in order
        ),
        tuple(Left(need, {name: _why_left(need, shelf) for name, shelf in shelves.items()}) for need in left),
    )


def _hardness(need: Need, rooms: Sequence[Room]) -> tuple[float, ...]:
    """The order of packing: those with the fewest targets first, then those that take the largest share of one."""
    possible = sum(room.target not in need.barred for room in rooms)
    memory = max((room.memory_mb or 0 for room in rooms), default=0) or 1
    processors = max((room.processors or 0.0 for room in rooms), default=0.0) or 1.0
    return (possible, -max((need.memory_mb or 0) / memory, (need.processors or 0.0) / processors))


def _length(need: Need) -> tuple[bool, int, str]:
    """The order of the moves: longest copies first, so that the last one ends early; inactive ones copy nothing."""
    return (need.inactive, -(need.memory_mb or 0), need.partition)


def _settled(
    need: Need, shelves: Mapping[str, _Shelf], places: dict[str, str], after: dict[str, tuple[str, ...]], worth: Worth
) -> bool:
    """Place a partition where it is best, or by sending another one elsewhere; false if it has no room."""
    target = _best(need, shelves, worth)
    if target is None:
        return _swapped(need, shelves, places, after)
    places[need.partition], after[need.partition] = target, _take(need, shelves, target)
    return True


def _best(need: Need, shelves: Mapping[str, _Shelf], worth: Worth) -> str | None:
    """The best target with room for a partition, without the room of leaving ones if possible."""
    for with_leavers in (False, True):
        able = [
            name
            for name, shelf in shelves.items()
            if name != need.source and not _with_leavers(shelf, with_leavers).why_not(need)
        ]
        if able:
            return min(able, key=lambda name: (*worth(need, shelves[name]), name))
    return None


def _with_leavers(shelf: _Shelf, used: bool) -> _Shelf:
    """The shelf as it is once everything has left that is to leave it."""
    if not used or not shelf.leaving:
        return shelf
    copy = _Shelf(
        shelf.room, shelf.memory_mb, shelf.processors, shelf.slots, shelf.fibre_ports, dict(shelf.pools), shelf.holds
    )
    for need in shelf.leaving:
        copy.put(need, -1)
    return copy


def _take(need: Need, shelves: Mapping[str, _Shelf], target: str) -> tuple[str, ...]:
    """Put a partition on its target; returns the moves that it comes after because it uses their room.

    A later move to the same target comes after them too: nobody could say which of the two uses it.
    """
    shelf = shelves[target]
    while shelf.why_not(need) and shelf.leaving:
        leaver = shelf.leaving.pop(0)
        shelf.put(leaver, -1)
        shelf.used_leavers.append(leaver.partition)
    shelf.put(need)
    shelf.holds.append(need)
    if need.source in shelves:
        shelves[need.source].leaving.append(need)
    return tuple(shelf.used_leavers)


def _swapped(
    need: Need, shelves: Mapping[str, _Shelf], places: dict[str, str], after: dict[str, tuple[str, ...]]
) -> bool:
    """Place a partition by sending another one to another target; true if that was possible."""
    for name, shelf in shelves.items():
        if name == need.source or need.barred.get(name) or any(_unknown(need, shelf.room)):
            continue
        for other in list(shelf.holds):
            if after.get(other.partition):
                continue
            shelf.put(other, -1)
            elsewhere = next(
                (
                    there
                    for there, room in shelves.items()
                    if there not in (name, other.source) and not room.used_leavers and not room.why_not(other)
                ),
                None,
            )
            if elsewhere is None or shelf.why_not(need):
                shelf.put(other)
                continue
            shelf.holds.remove(other)
            shelves[elsewhere].put(other)
            shelves[elsewhere].holds.append(other)
            places[other.partition] = elsewhere
            places[need.partition], after[need.partition] = name, _take(need, shelves, name)
            return True
    return False


def _ids(order: Sequence[Need], places: Mapping[str, str], taken: Mapping[str, frozenset[int]]) -> dict[str, int]:
    """An id for each partition: the one that it should have where it is free, else the lowest that nobody has or
    wants.
    """
    used = {target: set(ids) for target, ids in taken.items()}
    ids: dict[str, int] = {}
    for need in order:
        own = used[places[need.partition]]
        if need.lpar_id > 0 and need.lpar_id not in own:
            ids[need.partition] = need.lpar_id
            own.add(need.lpar_id)
    for need in order:
        if need.partition not in ids:
            own = used[places[need.partition]]
            ids[need.partition] = next(number for number in count(1) if number not in own)
            own.add(ids[need.partition])
    return ids


def _remarks(need: Need, shelf: _Shelf, lpar_id: int) -> Iterable[str]:
    """The remarks on a placement that a reader of the plan should know."""
    yield from need.remarks.get(shelf.room.target, ())
    if lpar_id != need.lpar_id:
        yield f"gets the id {lpar_id}, because {need.lpar_id} is taken on {shelf.room.target}"
    if need.pool is not None and need.pool not in shelf.room.pools:
        yield f"{shelf.room.target} has no shared processor pool {need.pool}: it joins another one"
    mates = [
        other.partition for other in shelf.holds if need.cluster and other.cluster == need.cluster and other != need
    ]
    if mates:
        yield f"shares {shelf.room.target} with {', '.join(sorted(mates))} of the cluster {need.cluster}"


def _why_left(need: Need, shelf: _Shelf) -> tuple[str, ...]:
    """The reasons of one target at the end, when everything else is in its place."""
    return ("is there already",) if shelf.room.target == need.source else shelf.why_not(need)
