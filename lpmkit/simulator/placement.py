"""The places of a partition's adapters on the target: by the ``-i`` record where it names them, else as a manager would
choose.

Pure functions.

A pair of adapters that two I/O servers serve on the source is spread over two on the target where that can be done. How
a manager really chooses is not known (D); it is in one place, here, so that ``lslparmigr`` suggests what ``migrlpar``
then does.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lpmkit.simulator.chassis import (
    FIRST_SERVER_SLOT,
    Backing,
    Disk,
    FcPair,
    FcPort,
    Frame,
    LogicalPort,
    Partition,
    ScsiPair,
    Vios,
    VirtualDisk,
    Vnic,
    World,
    lowest_free,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """The place that one adapter shall have: on which server, in which slot of it, on which port; what is ``None`` is
    left to the manager.
    """

    server: str = ""
    server_id: int | None = None
    server_slot: int | None = None
    port: str | None = None

    def means(self, server: Vios) -> bool:
        return (self.server in ("", server.name)) and (self.server_id in (None, server.lpar_id))


@dataclass(frozen=True, slots=True)
class VnicWish:
    """The place that one backing device shall have; ``of`` is the source's adapter and port that it replaces."""

    where: Wish
    adapter: int
    port: int
    capacity: float | None
    of: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """The wishes of an ``-i`` record. ``bad`` is a part that cannot be understood."""

    scsi: Mapping[int, Wish] = field(default_factory=dict)
    fc: Mapping[int, Wish] = field(default_factory=dict)
    vnics: Mapping[int, tuple[VnicWish, ...]] = field(default_factory=dict)
    dest_lpar_id: int | None = None
    pool: str | None = None
    pool_id: int | None = None
    source_msp: Wish | None = None
    dest_msp: Wish | None = None
    #: The two pairs of ``redundant_msps``: source and target of each.
    both_pairs: tuple[tuple[Wish, Wish], ...] = ()
    bad: str | None = None


KNOWN = [
    "virtual_scsi_mappings",
    "virtual_fc_mappings",
    "vnic_mappings",
    "dest_lpar_id",
    "shared_proc_pool_id",
    "shared_proc_pool_name",
    "source_msp_name",
    "source_msp_id",
    "dest_msp_name",
    "dest_msp_id",
    "source_msp_ipaddr",
    "dest_msp_ipaddr",
    "redundant_msps",
]


def wishes_of(record: str | None) -> Wishes:
    """Read an ``-i`` record (`PYPVM`, `RedMSP`).

    >>> wishes_of('"virtual_fc_mappings=3/v1/1//fcs0,4//2",dest_lpar_id=12').fc[4].server_id
    2
    >>> wishes_of("colour=red").bad
    'colour'
    """
    said: dict[str, str] = {}
    for part in next(csv.reader([record or ""]), []):
        name, equals, value = part.partition("=")
        if not equals or name not in KNOWN or name in said:
            return Wishes(bad=name)
        said[name] = value.strip('"')
    try:
        both = _both_pairs(_items(said.get("redundant_msps")))
        return Wishes(
            scsi=dict(_adapter(item) for item in _items(said.get("virtual_scsi_mappings"))),
            fc=dict(_adapter(item) for item in _items(said.get("virtual_fc_mappings"))),
            vnics=_vnic_wishes(_items(said.get("vnic_mappings"))),
            dest_lpar_id=int(said["dest_lpar_id"]) if "dest_lpar_id" in said else None,
            pool=said.get("shared_proc_pool_name"),
            pool_id=int(said["shared_proc_pool_id"]) if "shared_proc_pool_id" in said else None,
            source_msp=_mover(said, "source") or (both[0][0] if both else None),
            dest_msp=_mover(said, "dest") or (both[0][1] if both else None),
            both_pairs=both,
        )
    except (ValueError, IndexError):
        return Wishes(bad=record)


def _items(value: str | None) -> list[list[str]]:
    return [item.split("/") for item in (value or "").split(",") if item]


def _adapter(item: list[str]) -> tuple[int, Wish]:
    slot, server, server_id, server_slot, port = (*item, "", "", "", "")[:5]
    if len(item) > 5 or len(item) < 2:
        raise ValueError(item)
    return int(slot), Wish(server, _whole(server_id), _whole(server_slot), port or None)


def _whole(text: str) -> int | None:
    return int(text) if text else None


def _vnic_wishes(items: list[list[str]]) -> dict[int, tuple[VnicWish, ...]]:
    """``slot/ded/[vios]/[id]/[adapter]/[port]/[capacity][/source adapter/source port]`` (`AVOCADO`)."""
    found: dict[int, tuple[VnicWish, ...]] = {}
    for item in items:
        slot, _, server, server_id, adapter, port, capacity, *of = (*item, "")[:10]
        source = (int(of[0]), int(of[1])) if len(of) >= 2 and of[0] and of[1] else None
        wish = VnicWish(
            Wish(server, _whole(server_id)), int(adapter), int(port), float(capacity) if capacity else None, source
        )
        found[int(slot)] = (*found.get(int(slot), ()), wish)
    return found


def _both_pairs(items: list[list[str]]) -> tuple[tuple[Wish, Wish], ...]:
    """``GROUP/source name/id/address/target name/id/address``, twice with the same group (`RedMSP`)."""
    if items and (len(items) != 2 or any(len(item) != 7 for item in items) or items[0][0] != items[1][0]):
        raise ValueError(items)
    return tuple((Wish(item[1], _whole(item[2])), Wish(item[4], _whole(item[5]))) for item in items)


def _mover(said: Mapping[str, str], end: str) -> Wish | None:
    name, number = said.get(f"{end}_msp_name"), said.get(f"{end}_msp_id")
    return None if name is None and number is None else Wish(name or "", _whole(number or ""))


# --- what could be


def seen_by(server: Vios, disk: Disk) -> Disk | None:
    """The same LUN as an I/O server sees it: the same ``unique_id``, whatever its name."""
    return next((each for each in server.disks if each.unique_id == disk.unique_id), None)


def luns_behind(source: Frame, pair: ScsiPair) -> list[tuple[VirtualDisk, Disk]]:
    """The LUNs behind a virtual SCSI adapter; what is no LUN is not in it."""
    server = source.server(pair.server)
    found = [(mapped, server.disk(mapped.backing)) for mapped in pair.disks if mapped.kind == "lun"]
    return [(mapped, disk) for mapped, disk in found if disk is not None]


def in_the_pool(world: World, server: str, other: str) -> bool:
    """True if another I/O server works in the cluster of the shared storage pool that this one serves."""
    pool = world.pool_of(server)
    return pool is not None and pool.serves(other)


def _unreached(frame: Frame, server: Vios) -> bool:
    """True if the console does not reach an I/O server; an IVM always reaches itself."""
    return frame.hmc is not None and server.rmc_state != "active"


def can_serve(world: World, source: Frame, target: Frame, server: Vios, pair: ScsiPair) -> bool:
    """True if an I/O server of the target could take a virtual SCSI adapter with all its disks."""
    if _unreached(target, server):
        return False
    used = {disk.backing for _, one in world.scsi_of(target, server.name) for disk in one.disks}
    for mapped in pair.disks:
        if mapped.kind == "pool_unit" and not in_the_pool(world, pair.server, server.name):
            return False
    for _, disk in luns_behind(source, pair):
        there = seen_by(server, disk)
        if there is None or there.volume_group is not None or there.name in used:
            return False
    return True


def fits(world: World, target: Frame, server: Vios, port: FcPort, pair: FcPair) -> bool:
    """True if a physical port could take a virtual Fibre Channel adapter: a free port, and both WWPNs zoned in its
    fabric (B: both are tested).
    """
    fabric = world.fabric(port.fabric)
    taken = sum(1 for _, one in world.fc_of(target, server.name) if one.port == port.name)
    zoned = fabric is not None and all(fabric.zoned(wwpn) for wwpn in pair.wwpns)
    return zoned and taken < port.ports and not _unreached(target, server)


def fc_ports_for(world: World, target: Frame, pair: FcPair) -> list[tuple[Vios, FcPort]]:
    """Every physical port of the target that could take a virtual Fibre Channel adapter."""
    return [
        (server, port)
        for server in target.servers
        for port in server.fc_ports
        if fits(world, target, server, port, pair)
    ]


def scsi_servers_for(world: World, source: Frame, target: Frame, pair: ScsiPair) -> list[Vios]:
    return [server for server in target.servers if can_serve(world, source, target, server, pair)]


# --- what is chosen


@dataclass(frozen=True, slots=True)
class Placement:
    """Every adapter as it will be on the target.

    ``homeless`` are the Fibre Channel and NIC slots for which there is no place.
    """

    scsi: tuple[ScsiPair, ...]
    fc: tuple[FcPair, ...]
    vnics: tuple[Vnic, ...]
    homeless: tuple[tuple[str, int], ...] = ()
    logical_ports: tuple[LogicalPort, ...] = ()
    #: Numbers of migratable logical ports without a place.
    portless: tuple[str, ...] = ()


def place(world: World, moved: Partition, source: Frame, target: Frame, wishes: Wishes) -> Placement:
    """Give every adapter a place on the target, its slot on the server and its number."""
    slots = {server.name: world.server_slots(target, server.name) for server in target.servers}
    scsi: list[ScsiPair] = []
    for pair in moved.scsi:
        server = _scsi_server(world, source, target, pair, wishes.scsi.get(pair.slot), [one.server for one in scsi])
        taken = {one.vhost for _, one in world.scsi_of(target, server.name)} | {
            one.vhost for one in scsi if one.server == server.name
        }
        scsi.append(
            ScsiPair(
                pair.slot,
                server.name,
                _slot(slots[server.name], wishes.scsi.get(pair.slot)),
                lowest_free(taken, 0),
                _disks_there(world, source, target, server, pair, scsi),
            )
        )
    fc, homeless = _place_fc(world, moved, target, wishes, slots)
    vnics, without = _place_vnics(world, moved, target, wishes)
    ports, portless = _place_ports(moved, target)
    return Placement(tuple(scsi), fc, vnics, (*homeless, *without), ports, portless)


def _slot(taken: set[int], wish: Wish | None) -> int:
    asked = wish.server_slot if wish else None
    slot = asked if asked is not None and asked not in taken else lowest_free(taken, FIRST_SERVER_SLOT)
    taken.add(slot)
    return slot


def _scsi_server(
    world: World, source: Frame, target: Frame, pair: ScsiPair, wish: Wish | None, used: Sequence[str]
) -> Vios:
    if wish is not None:
        return next(filter(wish.means, target.servers), target.servers[0])
    able = scsi_servers_for(world, source, target, pair)
    fresh = [server for server in able if server.name not in used]
    rest = [server for server in target.servers if server.name not in used]
    return (fresh or able or rest or list(target.servers))[0]


def _disks_there(
    world: World, source: Frame, target: Frame, server: Vios, pair: ScsiPair, before: Sequence[ScsiPair]
) -> tuple[VirtualDisk, ...]:
    """The same LUNs by the target's names. A name that somebody chose is kept, a generated one is made again."""
    served = [one for _, one in world.scsi_of(target, server.name)] + [
        one for one in before if one.server == server.name
    ]
    names = {disk.vtd for one in served for disk in one.disks}
    here = source.server(pair.server)
    made: list[VirtualDisk] = []
    for mapped in pair.disks:
        disk = here.disk(mapped.backing)
        there = seen_by(server, disk) if disk is not None else None
        vtd = mapped.vtd
        if mapped.generated or vtd in names:
            numbers = {int(name[6:]) for name in names if VirtualDisk(name, "").generated}
            vtd = f"vtscsi{lowest_free(numbers, 0)}"
        names.add(vtd)
        made.append(replace(mapped, vtd=vtd, backing=there.name if there is not None else mapped.backing))
    return tuple(made)


def _place_fc(
    world: World, moved: Partition, target: Frame, wishes: Wishes, slots: dict[str, set[int]]
) -> tuple[tuple[FcPair, ...], tuple[tuple[str, int], ...]]:
    made: list[FcPair] = []
    homeless: list[tuple[str, int]] = []
    for pair in moved.fc:
        able = fc_ports_for(world, target, pair)
        wish = wishes.fc.get(pair.slot)
        if wish is not None:
            able = [(server, port) for server, port in able if wish.means(server) and wish.port in (None, port.name)]
        if not able:
            homeless.append(("fc", pair.slot))
            continue
        used = {(one.server, one.port) for one in made}
        server, port = min(able, key=lambda each: _worn(each, made, used))
        numbers = {one.vfchost for _, one in world.fc_of(target, server.name)} | {
            one.vfchost for one in made if one.server == server.name
        }
        slot = _slot(slots[server.name], wish)
        made.append(FcPair(pair.slot, server.name, slot, lowest_free(numbers, 0), port.name, pair.wwpns))
    return tuple(made), tuple(homeless)


def _worn(place: tuple[Vios, FcPort], made: Sequence[FcPair], used: set[tuple[str, str]]) -> tuple[int, int]:
    """The degree to which this partition uses a place already: another server is better, another port of the same one
    next.
    """
    server, port = place
    return sum(1 for one in made if one.server == server.name), int((server.name, port.name) in used)


def _place_vnics(
    world: World, moved: Partition, target: Frame, wishes: Wishes
) -> tuple[tuple[Vnic, ...], tuple[tuple[str, int], ...]]:
    made: list[Vnic] = []
    homeless: list[tuple[str, int]] = []
    for nic in moved.vnics:
        backing: list[Backing] = []
        for number, old in enumerate(nic.backing):
            found = _backing(world, target, nic, old, (number, wishes.vnics.get(nic.slot, ())), backing)
            if found is not None:
                backing.append(found)
        if not backing or (nic.slot in wishes.vnics and len(backing) < len(wishes.vnics[nic.slot])):
            homeless.append(("vnic", nic.slot))
            continue
        made.append(replace(nic, backing=tuple(backing)))
    return tuple(made), tuple(homeless)


def _place_ports(moved: Partition, target: Frame) -> tuple[tuple[LogicalPort, ...], tuple[str, ...]]:
    """Migratable logical ports on physical ports of the target that have a link, each on one of its own.

    How a manager chooses is not known (D).
    """
    free = [port for port in target.sriov if port.link_up]
    wanted = [port for port in moved.logical_ports if port.migratable]
    made = tuple(
        replace(old, adapter=new.adapter, port=new.port, number=f"2700{new.adapter}{new.port:02d}9")
        for old, new in zip(wanted, free, strict=False)
    )
    return made, tuple(port.number for port in wanted[len(made) :])


def _backing(
    world: World,
    target: Frame,
    nic: Vnic,
    old: Backing,
    order: tuple[int, Sequence[VnicWish]],
    before: Sequence[Backing],
) -> Backing | None:
    """One backing device on the target: the port that was asked for, else the next that has a link and its capacity
    left, and is not used by this NIC. ``order`` is the number of the backing device and all that was asked for.
    """
    number, asked = order
    wish = next((one for one in asked if one.of == (old.adapter, old.port)), None)
    if wish is None and asked:
        wish = next((one for at, one in enumerate(asked) if one.of is None and at == number), None)
        if wish is None:
            return None
    ports = [port for port in target.sriov if port.link_up]
    servers = [server for server in target.servers if not _unreached(target, server)]
    if wish is not None:
        ports = [port for port in ports if (port.adapter, port.port) == (wish.adapter, wish.port)]
        servers = [server for server in servers if wish.where.means(server)]
    free = [port for port in ports if (port.adapter, port.port) not in {(one.adapter, one.port) for one in before}]
    fresh = [server for server in servers if server.name not in {one.server for one in before}]
    if not free or not servers:
        return None
    capacity = wish.capacity if wish is not None and wish.capacity is not None else old.capacity
    free = [port for port in free if world.sriov_capacity_used(target, port.adapter, port.port) + capacity <= 100.0]
    if not free:
        return None
    port, server = free[0], (fresh or servers)[0]
    logical = f"2700{port.adapter}{port.port:02d}{nic.slot % 10}"
    return Backing(server.name, port.adapter, port.port, logical, capacity, old.priority)


def servers_with_sea(target: Frame, vlan: int, vswitch: str) -> Iterator[Vios]:
    """The I/O servers of a frame that bridge a VLAN of a virtual switch."""
    for server in target.servers:
        sea = server.sea
        if sea is not None and not sea.state and vlan in sea.vlans and sea.vswitch == vswitch:
            yield server


def movers(frame: Frame) -> tuple[Vios, ...]:
    """The I/O servers of a frame that can move a running partition.

    Under an IVM it is always the one (`IBMDOC:iphc3ivmvalidation`).
    """
    able = (server for server in frame.servers if server.vasi is not None)
    return tuple(server for server in able if frame.hmc is None or (server.msp and server.rmc_state == "active"))
