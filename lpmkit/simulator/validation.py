"""Whether a partition may move: every refusal follows from the state of the world. Pure functions.

The groups come in the order of IVM's own table (IBMDOC:iphc3ivmvalidation), with the state of the partition first because
IVM picks active or inactive mobility by it (IVM-migrlpar). The first group that fails is reported, with everything in it
that is wrong. The wording is in `recalled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lpmkit.simulator.chassis import NOT_ACTIVATED, RUNNING, Disk, Frame, Partition, VirtualDisk, World
from lpmkit.simulator.recalled import message


@dataclass(frozen=True, slots=True)
class Question:
    """A partition, the frame it is on, and the frame it is to go to."""

    world: World
    partition: Partition
    source: Frame
    target: Frame

    @property
    def active(self) -> bool:
        return self.partition.state == RUNNING

    @property
    def kind(self) -> str:
        return "active" if self.active else "inactive"


Group = Callable[[Question], Iterator[str]]


def refusals(question: Question) -> list[str]:
    """The messages of the first group that fails; none when the partition may move."""
    for group in GROUPS:
        found = list(group(question))
        if found:
            return found
    return []


def warnings(question: Question) -> list[str]:
    """What ``-v`` adds: a LUN with fewer paths on the target than it could have."""
    found: list[str] = []
    for _, disk in _luns(question):
        if disk is not None and 0 < disk.failed_paths < len(question.world.storage_ports):
            found.append(message("one-path", disk=disk.name, system=question.target.system_name))
    return found


def _ends(question: Question) -> Iterator[str]:
    if question.source.name == question.target.name:
        yield message("same")


def _state(question: Question) -> Iterator[str]:
    moved = question.partition
    if moved.migration is not None:
        yield message("already", partition=moved.name)
    elif moved.state not in (RUNNING, NOT_ACTIVATED):
        yield message("state", partition=moved.name, state=moved.state)
    if question.world.partition(question.target.name, moved.name) is not None and moved.migration is None:
        yield message("name", partition=moved.name)


def _rmc(question: Question) -> Iterator[str]:
    if question.active and question.partition.rmc_state != "active":
        yield message("rmc", partition=question.partition.name)
    for frame in (question.source, question.target):
        if frame.hmc is not None and frame.vios.rmc_state != "active":
            yield message("rmc", partition=frame.vios.name)


def _capability(question: Question) -> Iterator[str]:
    for frame in (question.source, question.target):
        if not frame.enterprise:
            yield message("not-enterprise", system=frame.system_name)
        elif question.active and frame.vios.vasi is None:
            yield message("vasi", system=frame.system_name)
        elif question.active and frame.hmc is not None and not frame.vios.msp:
            yield message("msp", system=frame.system_name)
    source, target = question.source, question.target
    if source.memory_region_mb != target.memory_region_mb:
        yield message("region", source=source.memory_region_mb, target=target.memory_region_mb)
    if question.partition.compat_mode not in target.compat_modes:
        yield message("compat", mode=question.partition.compat_mode)


def _limits(question: Question) -> Iterator[str]:
    for frame in (question.source, question.target):
        supported = frame.active_migrations_supported if question.active else frame.inactive_migrations_supported
        if question.world.migrations_on(frame.name, question.kind) >= supported:
            yield message("limit", system=frame.system_name, supported=supported)


def _resources(question: Question) -> Iterator[str]:
    world, target, moved = question.world, question.target, question.partition
    memory, processors = world.free_memory_mb(target), world.free_processor_units(target)
    if memory < moved.memory.mb:
        yield message("memory", needed=moved.memory.mb, available=memory)
    if processors < moved.processors.units:
        yield message("processors", needed=f"{moved.processors.units:.2f}", available=f"{processors:.2f}")
    if world.free_server_slot(target) >= target.vios.max_virtual_slots:
        yield message("slots", system=target.system_name)


def _adapters(question: Question) -> Iterator[str]:
    for slot in question.partition.physical_slots:
        yield message("physical", slot=f"{question.source.planar}-P1-{slot.location}")


def _storage(question: Question) -> Iterator[str]:
    for mapped in question.partition.disks:
        if mapped.kind == "optical":
            yield message("media", vtd=mapped.vtd, backing=mapped.backing.rsplit("/", 1)[-1])
        elif mapped.kind != "lun" or question.source.disk(mapped.backing) is None:
            yield message("backing", vtd=mapped.vtd, backing=mapped.backing)
    for mapped, there in _luns(question):
        yield from _lun(question, mapped, there)


def _luns(question: Question) -> Iterator[tuple[VirtualDisk, Disk | None]]:
    """The partition's LUNs, and each as the target sees it: the same ``unique_id``, whatever its name."""
    for mapped in question.partition.disks:
        here = question.source.disk(mapped.backing) if mapped.kind == "lun" else None
        if here is not None:
            yield mapped, seen_by(question.target, here)


def seen_by(frame: Frame, disk: Disk) -> Disk | None:
    return next((each for each in frame.disks if each.unique_id == disk.unique_id), None)


def _lun(question: Question, mapped: VirtualDisk, there: Disk | None) -> Iterator[str]:
    here, system = question.source.disk(mapped.backing), question.target.system_name
    if here is None:
        return
    if here.reserve_policy != "no_reserve":
        policy = here.reserve_policy
        yield message("reserve", disk=here.name, system=question.source.system_name, policy=policy)
    if there is None:
        yield message("lun", disk=here.name, unique_id=here.unique_id, system=system)
        return
    if there.failed_paths >= len(question.world.storage_ports):
        yield message("paths", disk=there.name, system=system)
    if there.pvid != here.pvid:
        yield message("pvid", disk=there.name, source=here.pvid, target=there.pvid)
    if there.reserve_policy != "no_reserve":
        yield message("reserve", disk=there.name, system=system, policy=there.reserve_policy)
    mapped_there = {each.backing for found in question.world.on(question.target.name) for each in found.disks}
    if there.volume_group is not None or there.name in mapped_there:
        yield message("in-use", disk=there.name, system=system)


def _network(question: Question) -> Iterator[str]:
    sea = question.target.vios.sea
    if sea is None or question.partition.port_vlan_id not in sea.vlans:
        yield message("vlan", vlan=question.partition.port_vlan_id)


GROUPS: tuple[Group, ...] = (
    _ends, _state, _rmc, _capability, _limits, _resources, _adapters, _storage, _network
)  # fmt: skip
