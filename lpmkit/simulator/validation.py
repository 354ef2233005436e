"""The answer to whether a partition may move: every refusal follows from the state of the world. Pure functions.

The groups come in the order of IVM's own table (`IBMDOC:iphc3ivmvalidation`), with the state of the partition first
because IVM picks active or inactive mobility by it (`IVM-migrlpar`). The first group that fails is reported, with
everything in it that is wrong. The wording is in `recalled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import (
    NOT_ACTIVATED,
    OPERATING,
    RUNNING,
    Disk,
    FcPair,
    Frame,
    Partition,
    Pool,
    ScsiPair,
    Vios,
    World,
)
from lpmkit.simulator.placement import (
    Placement,
    Wish,
    Wishes,
    in_the_pool,
    luns_behind,
    movers,
    place,
    seen_by,
    servers_with_sea,
)
from lpmkit.simulator.recalled import message


@dataclass(frozen=True, slots=True)
class Demands:
    """The options of an order that decide what a validation refuses."""

    wishes: Wishes = field(default_factory=Wishes)
    disks_tested: bool = False
    #: ``--migsriov 2`` moves without the logical ports for which there is no room (`HMC9`).
    ports_required: bool = True
    #: ``--requirerr 2`` moves without remote restart where the target has none (`HMC8`).
    restart_required: bool = True
    #: ``--redundantmsps 1`` fails where two pairs are not to be had (`RedMSP`).
    two_movers: bool = False
    #: ``--vlanbridge 2`` moves without bridges on the target (`HMC7`).
    bridges_required: bool = True
    #: ``--redundantvios 1`` fails where fewer I/O servers than now would serve the partition (`HMC7`).
    servers_required: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A partition, the frame it is on, and the frame it is to go to."""

    world: World
    partition: Partition
    source: Frame
    target: Frame
    demands: Demands = field(default_factory=Demands)

    def placed(self) -> Placement:
        """The place that every adapter would have."""
        return place(self.world, self.partition, self.source, self.target, self.demands.wishes)

    @property
    def active(self) -> bool:
        return self.partition.state == RUNNING

    @property
    def kind(self) -> str:
        return "active" if self.active else "inactive"


IBM_I = "os400"

Group = Callable[[Question], Iterator[str]]


def refusals(question: Question) -> list[str]:
    """The messages of the first group that fails; none when the partition may move."""
    for group in GROUPS:
        found = list(group(question))
        if found:
            return found
    return []


def warnings(question: Question) -> list[str]:
    """The warnings that ``-v`` adds: a LUN with fewer paths on the target than it could have."""
    found: list[str] = []
    for server, _, disk in _luns(question):
        there = seen_by(server, disk)
        if there is not None and 0 < there.failed_paths < len(question.world.storage_ports):
            found.append(message("one-path", disk=there.name, system=question.target.system_name))
    moved = question.partition
    if moved.vterm_open:
        found.append(message("vterm", partition=moved.name))
    if _served_by_fewer(question):
        found.append(message("multipath", partition=moved.name))
    return found


def _served_by_fewer(question: Question) -> bool:
    """True if fewer I/O servers than now would serve the disks."""
    moved, placed = question.partition, question.placed()
    scsi = len({pair.server for pair in placed.scsi}) < len({pair.server for pair in moved.scsi})
    return scsi or len({pair.server for pair in placed.fc}) < len({pair.server for pair in moved.fc})


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
    wanted = question.demands.wishes.dest_lpar_id
    if wanted is not None and wanted in question.world.lpar_ids(question.target) and moved.migration is None:
        yield message("id", number=wanted, system=question.target.system_name)


def _rmc(question: Question) -> Iterator[str]:
    by_rmc = question.partition.environment != IBM_I  # `PYPVM`: IBM i does not require RMC
    if question.active and by_rmc and question.partition.rmc_state != "active":
        yield message("rmc", partition=question.partition.name)
    for frame in (question.source, question.target):
        if frame.hmc is not None:
            unreached = [server.name for server in frame.servers if server.rmc_state != "active"]
            if len(unreached) == len(frame.servers):
                yield message("rmc", partition=unreached[0])


def _capability(question: Question) -> Iterator[str]:
    for frame in (question.source, question.target):
        if frame.state != OPERATING:
            yield message("system-state", system=frame.system_name, state=frame.state)
            continue
        if not frame.enterprise:
            yield message("not-enterprise", system=frame.system_name)
        elif question.active and all(server.vasi is None for server in frame.servers):
            yield message("vasi", system=frame.system_name)
        elif question.active and not movers(frame):
            yield message("msp", system=frame.system_name)
    yield from _chosen_movers(question)
    source, target = question.source, question.target
    if _blocked(source.firmware, target.firmware):
        yield message("firmware", source=source.firmware, target=target.firmware)
    if source.memory_region_mb != target.memory_region_mb:
        yield message("region", source=source.memory_region_mb, target=target.memory_region_mb)
    preferred = question.partition.says("desired_lpar_proc_compat_mode", "default")
    modes = ((question.partition.compat_mode,) if question.active else ()) + (preferred,)
    for mode in modes:
        if mode not in ("default", *target.compat_modes):
            yield message("compat", mode=mode)


#: Releases of firmware that do not move to one another: from (first, last) to (first, last) (`IBM-FW-POWER7`).
BLOCKED_FIRMWARE = (
    ((340, 349), (730, 783)),
    ((710, 719), (760, 783)),
    ((720, 729), (770, 783)),
    ((760, 769), (710, 719)),
    ((770, 783), (710, 729)),
)


def _blocked(source: str, target: str) -> bool:
    """
    >>> _blocked("AL720_101", "AL770_052"), _blocked("AL730_101", "AL770_052"), _blocked("", "AL770_052")
    (True, False, False)
    """
    releases = [int("".join(filter(str.isdigit, level.partition("_")[0])) or 0) for level in (source, target)]
    return any(
        all(first <= release <= last for release, (first, last) in zip(releases, spans, strict=True))
        for spans in BLOCKED_FIRMWARE
    )


def _chosen_movers(question: Question) -> Iterator[str]:
    """Movers that the order names must be such."""
    if not question.active:
        return
    for frame, wish in (
        (question.source, question.demands.wishes.source_msp),
        (question.target, question.demands.wishes.dest_msp),
    ):
        if wish is not None and movers(frame) and not any(wish.means(one) for one in movers(frame)):
            yield message("msp", system=frame.system_name)
    for here, there in question.demands.wishes.both_pairs:
        for frame, wish in ((question.source, here), (question.target, there)):
            if not any(wish.means(one) for one in movers(frame)):
                yield message("msp", system=frame.system_name)
    if question.demands.two_movers and min(len(movers(question.source)), len(movers(question.target))) < 2:
        yield message("redundant-msps")


def mover_of(frame: Frame, wish: Wish | None) -> Vios:
    """The I/O server that moves a partition: the one asked for, else the first that can, else the first."""
    able = movers(frame) or frame.servers
    return next((one for one in able if wish is not None and wish.means(one)), able[0])


def pool_there(moved: Partition, source: Frame, target: Frame, wishes: Wishes) -> Pool | None:
    """The shared processor pool on the target: the one asked for by name or number, ``None`` when there is
    none such.
    """
    if wishes.pool is not None or wishes.pool_id is not None:
        asked = (pool for pool in target.every_pool if wishes.pool == pool.name or wishes.pool_id == pool.number)
        return next(asked, None)
    name = next((pool.name for pool in source.every_pool if pool.number == moved.pool), "")
    kept = [pool for pool in target.every_pool if recalled.POOL_GOES_WITH_ITS_NAME and pool.name == name]
    return (*kept, *target.every_pool)[0]


def _limits(question: Question) -> Iterator[str]:
    for frame in (question.source, question.target):
        supported = frame.active_migrations_supported if question.active else frame.inactive_migrations_supported
        if question.world.migrations_on(frame.name, question.kind) >= supported:
            yield message("limit", system=frame.system_name, supported=supported)


def _resources(question: Question) -> Iterator[str]:
    world, target, moved = question.world, question.target, question.partition
    memory, processors = world.free_memory_mb(target), world.free_processor_units(target)
    if moved.says("mem_mode", "ded") == "ded" and memory < moved.memory.mb:
        yield message("memory", needed=moved.memory.mb, available=memory)
    if processors < moved.processors.units:
        yield message("processors", needed=f"{moved.processors.units:.2f}", available=f"{processors:.2f}")
    placed = question.placed()
    for server in target.servers:
        used = [pair.server_slot for pair in placed.scsi if pair.server == server.name]
        used += [pair.server_slot for pair in placed.fc if pair.server == server.name]
        if any(slot >= server.max_virtual_slots for slot in used):
            yield message("slots", system=target.system_name)
    yield from _named_otherwise(question)
    if pool_there(moved, question.source, target, question.demands.wishes) is None:
        yield message(
            "pool", pool=question.demands.wishes.pool or question.demands.wishes.pool_id, system=target.system_name
        )


def _named_otherwise(question: Question) -> Iterator[str]:
    """Adapters for which the record names an I/O server or a slot that they would not get."""
    placed, wishes = question.placed(), question.demands.wishes
    pairs: list[tuple[ScsiPair | FcPair, Wish | None]] = [(pair, wishes.scsi.get(pair.slot)) for pair in placed.scsi]
    pairs += [(pair, wishes.fc.get(pair.slot)) for pair in placed.fc]
    for pair, wish in pairs:
        if wish is None:
            continue
        if not wish.means(question.target.server(pair.server)):
            wanted = wish.server or wish.server_id
            yield message("no-such-server", slot=pair.slot, server=wanted, system=question.target.system_name)
        elif wish.server_slot not in (None, pair.server_slot):
            yield message("slot-taken", number=wish.server_slot, server=pair.server)


def _adapters(question: Question) -> Iterator[str]:
    moved = question.partition
    for slot in moved.physical_slots:
        yield message("physical", slot=f"{question.source.planar}-P1-{slot.location}")
    for number in moved.serial_slots:
        yield message("serial", slot=number, partition=moved.name)
    if any(not port.migratable for port in moved.logical_ports):
        yield message("sriov", partition=moved.name)
    wanted = question.active and question.demands.ports_required
    for port in question.placed().portless if wanted else ():
        yield message("sriov-room", number=port, partition=moved.name, system=question.target.system_name)
    free = [one for one in question.target.paging if not one.used and one.size_mb >= moved.memory.max_mb]
    if moved.says("mem_mode", "ded") == "shared" and not (question.target.memory_pool_mb and free):
        yield message("shared-memory", partition=moved.name)
    restarts = moved.says("simplified_remote_restart_capable", "0") == "1"
    if restarts and question.demands.restart_required and not _restarts(question.target):
        yield message("restart", partition=moved.name, system=question.target.system_name)
    if moved.environment == IBM_I and moved.says("os400_restricted_io_mode", "1") != "1":
        yield message("restricted-io", partition=moved.name)
    for name, usually, key, only_active in UNFIT:
        if moved.says(name, usually) != usually and (question.active or not only_active):
            yield message(key, partition=moved.name)


def _restarts(frame: Frame) -> bool:
    """True if a system has simplified remote restart: POWER8 and later (the generation is recalled)."""
    return any(mode == "POWER10" or mode.removeprefix("POWER")[:1] in "89" for mode in frame.compat_modes[1:])


#: Fields of a partition's listings that stand in the way of a move, what they must say, the message, and whether only
#: an active move minds
#: (docs/checks.md, prerequisites 17 to 22, 37 and 38).
UNFIT = (
    ("run_num_huge_pages", "0", "huge-pages", True),
    ("bsr_arrays", "0", "bsr", True),
    ("lhea_logical_ports", "none", "hea", True),
    ("redundant_err_path_reporting", "0", "error-path", False),
    ("work_group_id", "none", "work-group", True),
    ("migration_disabled", "0", "disabled", False),
    ("vtpm_enabled", "0", "vtpm", False),
)


def _redundancy(question: Question) -> Iterator[str]:
    if question.demands.servers_required and _served_by_fewer(question):
        yield message("multipath", partition=question.partition.name)


def _readiness(question: Question) -> Iterator[str]:
    """The operating system's refusal when it is asked, last of all (`IBMDOC:iphc3ivmvalidation` #8)."""
    if question.active and not question.partition.ready:
        yield message("not-ready", partition=question.partition.name)


def _storage(question: Question) -> Iterator[str]:
    told: set[str] = set()
    for pair in question.partition.scsi:
        for mapped in pair.disks:
            if mapped.kind == "optical" and not mapped.backing:
                continue  # an empty drive is removed on the way (`KSH-IVM`)
            if mapped.kind == "optical":
                yield message("media", vtd=mapped.vtd, backing=mapped.backing.rsplit("/", 1)[-1])
            elif mapped.kind == "pool_unit":
                continue
            elif mapped.kind != "lun" or question.source.server(pair.server).disk(mapped.backing) is None:
                yield message("backing", vtd=mapped.vtd, backing=mapped.backing)
    yield from _pool_units(question)
    for server, _, disk in _luns(question):
        for text in _lun(question, server, disk):
            if text not in told:
                told.add(text)
                yield text
    for kind, slot in question.placed().homeless:
        facts = {"partition": question.partition.name, "slot": slot, "system": question.target.system_name}
        yield message("no-fc-port" if kind == "fc" else "no-nic-port", **facts)
    if question.demands.disks_tested:
        yield from _masking(question)


def _pool_units(question: Question) -> Iterator[str]:
    """Units of a shared storage pool whose server on the target is not in the cluster, or does not work there."""
    for before, after in zip(question.partition.scsi, question.placed().scsi, strict=True):
        for mapped in before.disks:
            if mapped.kind == "pool_unit" and not in_the_pool(question.world, before.server, after.server):
                facts = {"backing": mapped.backing, "vtd": mapped.vtd, "system": question.target.system_name}
                yield message("pool-unit", **facts)


def _masking(question: Question) -> Iterator[str]:
    """``--npivval portdisk``: that every WWPN is shown all the disks, and not only zoned (`HMC8`)."""
    wanted = {disk.lun for disk in question.partition.npiv_disks}
    for pair in question.partition.fc:
        for wwpn in pair.wwpns:
            if not wanted <= set(question.world.luns_of(wwpn)):
                yield message("no-fc-disk", partition=question.partition.name, slot=pair.slot, wwpn=wwpn)


def _luns(question: Question) -> Iterator[tuple[Vios, ScsiPair, Disk]]:
    """The partition's LUNs as the source's I/O servers see them, each with the server of the target that would serve
    it.
    """
    for before, after in zip(question.partition.scsi, question.placed().scsi, strict=True):
        for _, disk in luns_behind(question.source, before):
            yield question.target.server(after.server), before, disk


def _lun(question: Question, server: Vios, here: Disk) -> Iterator[str]:
    system, there = question.target.system_name, seen_by(server, here)
    if here.reserve_policy != "no_reserve":
        policy = here.reserve_policy
        yield message("reserve", disk=here.name, system=question.source.system_name, policy=policy)
    if there is None:
        yield message("lun", disk=here.name, unique_id=here.unique_id, system=system)
        return
    if there.failed_paths >= len(question.world.storage_ports):
        yield message("paths", disk=there.name, system=system)
    if there.pvid != here.pvid and "none" not in (there.pvid, here.pvid):
        yield message("pvid", disk=there.name, source=here.pvid, target=there.pvid)
    if there.reserve_policy != "no_reserve":
        yield message("reserve", disk=there.name, system=system, policy=there.reserve_policy)
    served = question.world.scsi_of(question.target, server.name)
    mapped_there = {each.backing for _, pair in served for each in pair.disks}
    if there.volume_group is not None or there.name in mapped_there:
        yield message("in-use", disk=there.name, system=system)


def _network(question: Question) -> Iterator[str]:
    if not question.demands.bridges_required:
        return
    for adapter in question.partition.ethernets:
        for vlan in adapter.vlans:
            if not any(servers_with_sea(question.target, vlan, adapter.vswitch)):
                yield message("vlan", vlan=vlan)


GROUPS: tuple[Group, ...] = (
    _ends, _state, _rmc, _capability, _limits, _resources, _adapters, _storage, _network, _redundancy, _readiness
)  # fmt: skip
