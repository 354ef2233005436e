"""The change that a landscape fault makes in the world, so that every listing and every check sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lpmkit.simulator.chassis import (
    NOT_ACTIVATED,
    Disk,
    Frame,
    LogicalPort,
    Partition,
    PhysicalSlot,
    ScsiPair,
    Vios,
    VirtualDisk,
    World,
)
from lpmkit.simulator.faults import CLUSTERS, Fault
from lpmkit.simulator.guest import identity

Change = Callable[[World, Partition, Fault], World]


def perturb(world: World, fault: Fault) -> World:
    """The world with a landscape fault in it; other faults leave it as it is."""
    change = CHANGES.get(fault.effect)
    if change is None:
        return world
    return change(world, _concerned(world, fault), fault)


def _concerned(world: World, fault: Fault) -> Partition:
    """The partition that the fault names, else the first one that can be logged in to."""
    named = world.home(fault.object) if fault.object else None
    has: Callable[[Partition], object] = {
        "wwpn-not-zoned": lambda found: found.fc,
        "wwpn-not-masked": lambda found: found.fc,
    }.get(fault.effect, lambda found: found.host)
    return named or next((found for found in world.partitions if has(found)), world.partitions[0])


def _on_targets(change: Callable[[World, Partition, Frame], Frame]) -> Change:
    def changed(world: World, moved: Partition, fault: Fault) -> World:
        for frame in world.frames:
            if frame.name != moved.frame:
                world = world.with_frame(change(world, moved, frame))
        return world

    return changed


def _on_partition(change: Callable[[Partition], Partition]) -> Change:
    return lambda world, moved, fault: world.with_partition(change(moved))


def _on_target_disk(change: Callable[[Disk], Disk | None]) -> Change:
    """Change how the targets see the LUN behind one of the partition's disks: the one named, else the last."""

    def changed(world: World, moved: Partition, fault: Fault) -> World:
        source = world.frame(moved.frame)
        backing = [disk.backing for disk in moved.disks if disk.kind == "lun"]
        if not backing:
            return world
        here = source.server(moved.scsi[0].server)
        wanted = here.disk(fault.object if fault.object in backing and fault.object else backing[-1])
        for frame in world.frames:
            if wanted is None or frame.name == moved.frame:
                continue
            world = world.with_frame(frame.each_server(partial(_seeing, wanted=wanted, change=change)))
        return world

    return changed


def _seeing(server: Vios, wanted: Disk, change: Callable[[Disk], Disk | None]) -> Vios:
    seen = [change(disk) if disk.unique_id == wanted.unique_id else disk for disk in server.disks]
    return replace(server, disks=tuple(disk for disk in seen if disk is not None))


def _on_target_servers(change: Callable[[Vios], Vios]) -> Change:
    return _on_targets(lambda world, moved, frame: frame.each_server(change))


def _little_memory(world: World, moved: Partition, frame: Frame) -> Frame:
    too_much = world.free_memory_mb(frame) - moved.memory.mb // 2
    return replace(frame, memory_mb=frame.memory_mb - too_much)


def _few_processors(world: World, moved: Partition, frame: Frame) -> Frame:
    taken = world.free_processor_units(frame) - moved.processors.units / 2
    return frame.with_server(replace(frame.vios, proc_units=round(frame.vios.proc_units + taken, 2)))


def _other_backing(kind: str, backing: str) -> Callable[[Partition], Partition]:
    def changed(moved: Partition) -> Partition:
        first, *others = moved.disks
        name = backing.format(name=moved.name)
        return _with_disks(moved, (replace(first, kind=kind, backing=name), *others))

    return changed


def _with_media(moved: Partition) -> Partition:
    drive = VirtualDisk("vtopt0", "/var/vio/VMLibrary/aix53tl7_1.iso", "optical")
    return _with_disks(moved, (*moved.disks, drive))


def _with_disks(moved: Partition, disks: tuple[VirtualDisk, ...]) -> Partition:
    """The partition with other disks behind its first virtual SCSI adapter."""
    return replace(moved, scsi=(replace(moved.scsi[0], disks=disks), *moved.scsi[1:])) if moved.scsi else moved


def _with_adapter(moved: Partition) -> Partition:
    slot = PhysicalSlot("21010203", "C9", "PCI-E 1Gb Ethernet Adapter")
    return replace(moved, physical_slots=(slot,))


def _with_logical_port(moved: Partition) -> Partition:
    port = LogicalPort(1, 0, "27004003")
    return replace(moved, logical_ports=(*moved.logical_ports, port))


def _nodes_down(world: World, moved: Partition, fault: Fault) -> World:
    """The I/O servers of the targets do not work in the cluster of their shared storage pool."""
    away = tuple(server.name for frame in world.frames if frame.name != moved.frame for server in frame.servers)
    return replace(world, storage_pools=tuple(replace(pool, down=away) for pool in world.storage_pools))


def _other_vlan(world: World, moved: Partition, fault: Fault) -> World:
    def bridging(server: Vios) -> Vios:
        sea = server.sea
        return (
            server
            if sea is None
            else replace(server, sea=replace(sea, additional_vlan_ids=(*sea.additional_vlan_ids, 20)))
        )

    world = world.with_frame(world.frame(moved.frame).each_server(bridging))
    ethernets = tuple(replace(one, port_vlan_id=20) for one in moved.ethernets)
    return world.with_partition(replace(moved, ethernets=ethernets))


def _namesake(world: World, moved: Partition, fault: Fault) -> World:
    for frame in world.frames:
        if frame.name != moved.frame:
            twin = replace(
                moved,
                frame=frame.name,
                lpar_id=world.free_lpar_id(frame),
                state=NOT_ACTIVATED,
                scsi=(ScsiPair(2, frame.vios.name, world.free_server_slot(frame), 98),),
                fc=(),
                vnics=(),
                npiv_disks=(),
                host=False,
                rmc_state="none",
                os_version="Unknown",
            )
            world = world.with_partition(twin)
    return world


def _licensed_here_only(world: World, moved: Partition, fault: Fault) -> World:
    if moved.sap is None:
        return world
    here = identity(world.frame(moved.frame), moved.lpar_id).machine_id
    return world.with_partition(replace(moved, sap=replace(moved.sap, licensed=(here,))))


def _last_wwpn(moved: Partition) -> str:
    return moved.fc[-1].wwpns[1] if moved.fc else ""


def _without_zone(world: World, moved: Partition, fault: Fault) -> World:
    unzoned = fault.object if fault.object and fault.object != moved.name else _last_wwpn(moved)
    fabrics = (replace(one, zones=tuple(zone for zone in one.zones if zone[0] != unzoned)) for one in world.fabrics)
    return replace(world, fabrics=tuple(fabrics))


def _without_mask(world: World, moved: Partition, fault: Fault) -> World:
    hidden = fault.object if fault.object and fault.object != moved.name else _last_wwpn(moved)
    return replace(world, masked=tuple(one for one in world.masked if one[0] != hidden))


def _one_server(world: World, moved: Partition, frame: Frame) -> Frame:
    return frame.with_server(replace(frame.servers[-1], rmc_state="inactive"))


def _without_npiv(world: World, moved: Partition, frame: Frame) -> Frame:
    """As many ports as are taken already."""

    def full(server: Vios) -> Vios:
        taken = [pair.port for _, pair in world.fc_of(frame, server.name)]
        return replace(server, fc_ports=tuple(replace(port, ports=taken.count(port.name)) for port in server.fc_ports))

    return frame.each_server(full)


def _on_another_switch(server: Vios) -> Vios:
    return server if server.sea is None else replace(server, sea=replace(server.sea, vswitch="VSWITCH2"))


def _saying(**fields: str) -> Change:
    """A field of the partition's listings is not as usual."""
    return _on_partition(lambda moved: replace(moved, attributes=(*moved.attributes, *fields.items())))


def _in_a_cluster(world: World, moved: Partition, fault: Fault) -> World:
    member = (fault.message or CLUSTERS[0], fault.delay_s)
    return world.with_partition(replace(moved, clusters=(*moved.clusters, member)))


CHANGES: dict[str, Change] = {
    "cluster": _in_a_cluster,
    "wwpn-not-zoned": _without_zone,
    "wwpn-not-masked": _without_mask,
    "fc-ports-full": _on_targets(_without_npiv),
    "no-link": _on_targets(
        lambda world, moved, frame: replace(frame, sriov=tuple(replace(port, link_up=False) for port in frame.sriov))
    ),
    "pool-missing": _on_targets(lambda world, moved, frame: replace(frame, pools=())),
    "vswitch-differs": _on_target_servers(_on_another_switch),
    "one-vios": _on_targets(_one_server),
    "huge-pages": _saying(curr_num_huge_pages="16", pend_num_huge_pages="16", run_num_huge_pages="16"),
    "bsr-arrays": _saying(bsr_arrays="1"),
    "hea-port": _saying(lhea_logical_ports="23000000/1/1/5/none"),
    "sriov-port": _on_partition(_with_logical_port),
    "node-down": _nodes_down,
    "free-io": _saying(os400_restricted_io_mode="0"),
    "vtpm": _saying(vtpm_enabled="1"),
    "simplified-restart": _saying(simplified_remote_restart_capable="1"),
    "error-path-reporting": _saying(redundant_err_path_reporting="1"),
    "work-group": _saying(work_group_id="1"),
    "mobility-disabled": _saying(migration_disabled="1"),
    "shared-memory": _saying(mem_mode="shared"),
    "serial-adapter": _on_partition(lambda moved: replace(moved, serial_slots=(*moved.serial_slots, 9))),
    "os-not-ready": _on_partition(lambda moved: replace(moved, ready=False)),
    "old-vios": _on_target_servers(lambda server: replace(server, level="1.3.0.1", vasi=None)),
    "old-system": _on_partition(lambda moved: replace(moved, os_version="AIX 5.3 5300-04-02-0614", ready=False)),
    "no-power": _on_targets(lambda world, moved, frame: replace(frame, state="Power Off")),
    "remote-restart": _saying(remote_restart_capable="1"),
    "affinity-group": _saying(affinity_group_id="1"),
    "second-profile": _on_partition(
        lambda moved: replace(moved, profiles=(*(moved.profiles or (moved.name,)), "small"))
    ),
    "vterm-open": _on_partition(lambda moved: replace(moved, vterm_open=True)),
    "sap-licence-missing": _licensed_here_only,
    "no-room-memory": _on_targets(_little_memory),
    "no-room-processors": _on_targets(_few_processors),
    "physical-adapter": _on_partition(_with_adapter),
    "logical-volume": _on_partition(_other_backing("logical_volume", "lv_{name}")),
    "file-backed": _on_partition(_other_backing("file", "/var/vio/storagepools/fbpool/{name}")),
    "optical-media": _on_partition(_with_media),
    "lun-not-seen": _on_target_disk(lambda disk: None),
    "pvid-differs": _on_target_disk(lambda disk: replace(disk, pvid="00c72ea90badd15c")),
    "lun-in-use": _on_target_disk(lambda disk: replace(disk, volume_group="datavg")),
    "path-lost": _on_target_disk(lambda disk: replace(disk, failed_paths=99)),
    "one-path-lost": _on_target_disk(lambda disk: replace(disk, failed_paths=1)),
    "reserve-policy": _on_target_disk(lambda disk: replace(disk, reserve_policy="single_path")),
    "no-sea": _on_target_servers(lambda server: replace(server, sea=None)),
    "sea-limbo": _on_target_servers(
        lambda server: server if server.sea is None else replace(server, sea=replace(server.sea, state="LIMBO"))
    ),
    "vlan-missing": _other_vlan,
    "region-size": _on_targets(lambda world, moved, frame: replace(frame, memory_region_mb=frame.memory_region_mb * 2)),
    "compat-mode": _on_targets(lambda world, moved, frame: replace(frame, compat_modes=("default", "POWER5"))),
    "not-enterprise": _on_targets(lambda world, moved, frame: replace(frame, enterprise=False)),
    "no-vasi": _on_target_servers(lambda server: replace(server, vasi=None)),
    "no-msp": _on_target_servers(lambda server: replace(server, msp=False)),
    "vios-rmc-inactive": _on_target_servers(lambda server: replace(server, rmc_state="inactive")),
    "rmc-inactive": _on_partition(lambda moved: replace(moved, rmc_state="inactive")),
    "not-running": _on_partition(lambda moved: replace(moved, state="Open Firmware", rmc_state="inactive")),
    "name-taken": _namesake,
    "slots-full": _on_targets(
        lambda world, moved, frame: frame.each_server(
            lambda server: replace(server, max_virtual_slots=world.free_server_slot(frame, server.name))
        )
    ),
    "keys-not-exchanged": _on_targets(lambda world, moved, frame: replace(frame, keys_exchanged=False)),
    "migration-limit": _on_targets(
        lambda world, moved, frame: replace(frame, foreign_migrations=frame.active_migrations_supported)
    ),
}
