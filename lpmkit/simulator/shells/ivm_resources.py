"""The records behind ``lshwres``: memory, processors, virtual and physical adapters (powervm.md 1.7: ZIU, NOVA-IVM)."""

from __future__ import annotations

from lpmkit.simulator.chassis import FIRST_SERVER_SLOT, Frame, Partition, PhysicalSlot, World
from lpmkit.simulator.shells.ivm_records import units
from lpmkit.simulator.shells.records import Record


def memory_of_system(world: World, frame: Frame) -> Record:
    free = str(world.free_memory_mb(frame))
    return {
        "configurable_sys_mem": str(frame.memory_mb),
        "curr_avail_sys_mem": free,
        "pend_avail_sys_mem": free,
        "installed_sys_mem": str(frame.memory_mb),
        "deconfig_sys_mem": "0",
        "sys_firmware_mem": str(frame.firmware_memory_mb),
        "mem_region_size": str(frame.memory_region_mb),
        "configurable_num_sys_huge_pages": "0",
        "curr_avail_num_sys_huge_pages": "0",
    }


def memory_of_vios(frame: Frame) -> Record:
    """Lines of a VIOS lack the huge-page fields (ZIU)."""
    vios = frame.vios
    return _memory(vios.name, vios.lpar_id, 512, vios.memory_mb, vios.memory_mb * 2, vios.memory_mb, client=False)


def memory_of_partition(found: Partition) -> Record:
    memory = found.memory
    run = memory.mb if found.holds_memory else 0
    return _memory(found.name, found.lpar_id, memory.min_mb, memory.mb, memory.max_mb, run, client=True)


def _memory(name: str, lpar_id: int, least: int, now: int, most: int, run: int, *, client: bool) -> Record:
    huge = {"num_huge_pages": "0"} if client else {}
    record = {"lpar_name": name, "lpar_id": str(lpar_id)}
    for when in ("curr", "pend"):
        record |= {f"{when}_min_mem": str(least), f"{when}_mem": str(now), f"{when}_max_mem": str(most)}
    record |= {"run_min_mem": str(least if run else 0), "run_mem": str(run)}
    for when in ("curr", "pend"):
        record |= {f"{when}_{part}{key}": value for key, value in huge.items() for part in ("min_", "", "max_")}
    record |= {f"run_{key}": value for key, value in huge.items()}
    return {**record, "mem_mode": "ded"}


def processors_of_system(world: World, frame: Frame) -> Record:
    free, whole = units(world.free_processor_units(frame)), units(frame.processors)
    return {
        "configurable_sys_proc_units": whole,
        "curr_avail_sys_proc_units": free,
        "pend_avail_sys_proc_units": free,
        "installed_sys_proc_units": whole,
        "deconfig_sys_proc_units": "0",
        "min_proc_units_per_virtual_proc": "0.10",
        "max_virtual_procs_per_lpar": "64",
        "max_procs_per_lpar": "64",
        "max_curr_virtual_procs_per_aixlinux_lpar": "64",
        "max_curr_virtual_procs_per_vios_lpar": "64",
        "max_curr_procs_per_aixlinux_lpar": "64",
        "max_curr_procs_per_vios_lpar": "64",
    }


def processors_of_vios(frame: Frame) -> Record:
    vios = frame.vios
    least, most = min(0.1, vios.proc_units), float(frame.processors)
    bounds = (least, vios.proc_units, most, 1, vios.virtual_processors, frame.processors)
    return _processors(vios.name, vios.lpar_id, "shared", bounds, "uncap", 192, running=True)


def processors_of_partition(found: Partition) -> Record:
    shape = found.processors
    bounds = (
        shape.min_units,
        shape.units,
        shape.max_units,
        shape.min_virtual,
        shape.virtual,
        shape.max_virtual,
    )
    return _processors(
        found.name, found.lpar_id, shape.mode, bounds, shape.sharing, shape.weight, running=found.holds_memory
    )


def _processors(
    name: str,
    lpar_id: int,
    mode: str,
    bounds: tuple[float, float, float, int, int, int],
    sharing: str,
    weight: int,
    *,
    running: bool,
) -> Record:
    """A dedicated partition has no unit fields (ZIU)."""
    low, now, high, least, virtual, most = bounds
    record = {"lpar_name": name, "lpar_id": str(lpar_id)}
    for when in ("curr", "pend"):
        record[f"{when}_proc_mode"] = mode
        if mode == "shared":
            record |= {
                f"{when}_min_proc_units": units(low),
                f"{when}_proc_units": units(now),
                f"{when}_max_proc_units": units(high),
            }
        record |= {f"{when}_min_procs": str(least), f"{when}_procs": str(virtual), f"{when}_max_procs": str(most)}
        record |= {f"{when}_sharing_mode": sharing, f"{when}_uncap_weight": str(weight)}
    if mode == "shared":
        record["run_proc_units"] = units(now if running else 0)
    return {**record, "run_procs": str(virtual if running else 0), "run_uncap_weight": str(weight if running else 0)}


def scsi_adapters(world: World, frame: Frame) -> list[Record]:
    """Client adapters of the partitions and the server adapters on the VIOS that face them."""
    vios = frame.vios
    rows: list[Record] = []
    for found in world.on(frame.name):
        client = (found.name, found.lpar_id, found.scsi_slot)
        server = (vios.name, vios.lpar_id, found.server_slot)
        rows += [_scsi(client, "client", server), _scsi(server, "server", client)]
    return sorted(rows, key=lambda row: (int(row["lpar_id"]), int(row["slot_num"])))


def _scsi(own: tuple[str, int, int], side: str, remote: tuple[str, int, int]) -> Record:
    """An adapter and the one that it faces, each as name, id and slot."""
    name, lpar_id, slot = own
    remote_name, remote_id, remote_slot = remote
    return {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_num": str(slot),
        "state": "1",
        "is_required": "1" if side == "client" else "0",
        "adapter_type": side,
        "remote_lpar_id": str(remote_id),
        "remote_lpar_name": remote_name,
        "remote_slot_num": str(remote_slot),
    }


def ethernet_adapters(world: World, frame: Frame) -> list[Record]:
    rows: list[Record] = []
    sea = frame.vios.sea
    if sea is not None:
        owner = (frame.vios.name, frame.vios.lpar_id, sea.slot)
        rows.append(_ethernet(owner, sea.port_vlan_id, sea.mac, trunk=True, additional=sea.additional_vlan_ids))
    for found in world.on(frame.name):
        owner = (found.name, found.lpar_id, found.ethernet_slot)
        rows.append(_ethernet(owner, found.port_vlan_id, found.mac, trunk=False))
    return rows


def _ethernet(
    owner: tuple[str, int, int], vlan: int, mac: str, *, trunk: bool, additional: tuple[int, ...] = ()
) -> Record:
    name, lpar_id, slot = owner
    row = {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_num": str(slot),
        "state": "1",
        "is_required": str(int(not trunk)),
        "is_trunk": str(int(trunk)),
    }
    if trunk:
        row["trunk_priority"] = "1"
    return row | {
        "ieee_virtual_eth": str(int(bool(additional))),
        "port_vlan_id": str(vlan),
        "vswitch": "ETHERNET0",
        "addl_vlan_ids": ",".join(map(str, additional)),
        "mac_addr": mac,
    }


def serial_adapters(world: World, frame: Frame) -> list[Record]:
    owners = [(frame.vios.name, frame.vios.lpar_id), *((each.name, each.lpar_id) for each in world.on(frame.name))]
    return [_serial(name, lpar_id, slot) for name, lpar_id in owners for slot in (0, 1)]


def _serial(name: str, lpar_id: int, slot: int) -> Record:
    return {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_num": str(slot),
        "state": "1",
        "is_required": "1",
        "connect_status": "unavailable",
        "adapter_type": "server",
        "supports_hmc": "1",
        "remote_lpar_id": "any",
        "remote_lpar_name": "",
        "remote_slot_num": "any",
    }


def slot_limits(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype slot --level lpar`` (ZIU)."""
    rows: list[Record] = [
        _limit(frame.vios.name, frame.vios.lpar_id, frame.vios.max_virtual_slots, next_slot(world, frame))
    ]
    return rows + [_limit(found.name, found.lpar_id, 10, 5) for found in world.on(frame.name)]


def next_slot(world: World, frame: Frame) -> int:
    return max(world.free_server_slot(frame), FIRST_SERVER_SLOT)


def _limit(name: str, lpar_id: int, most: int, following: int) -> Record:
    return {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "curr_max_virtual_slots": str(most),
        "pend_max_virtual_slots": str(most),
        "next_avail_virtual_slot": str(following),
    }


def slots(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype slot --level slot``: every slot and what is in it (NOVA-IVM: ``0,serial`` ``2,scsi`` ``3,reserved``)."""
    vios = frame.vios
    inside = {0: "serial", 1: "serial", 2: "reserved"}
    if vios.sea is not None:
        inside[vios.sea.slot] = "eth"
    inside |= {found.server_slot: "scsi" for found in world.on(frame.name)}
    rows = [_slot(vios.name, vios.lpar_id, slot, what) for slot, what in sorted(inside.items())]
    for found in world.on(frame.name):
        client = {0: "serial", 1: "serial", found.scsi_slot: "scsi", found.ethernet_slot: "eth"}
        rows += [_slot(found.name, found.lpar_id, slot, what) for slot, what in sorted(client.items())]
    return rows


def _slot(name: str, lpar_id: int, slot: int, config: str) -> Record:
    return {"slot_num": str(slot), "lpar_id": str(lpar_id), "lpar_name": name, "config": config, "state": "1"}


def physical_slots(world: World, frame: Frame) -> list[Record]:
    """``-r io --rsubtype slot``. Everything belongs to the VIOS of a blade, unless a partition was given something."""
    vios = frame.vios
    rows = [
        _io(frame, PhysicalSlot("21010200", "C5", "RAID Controller"), vios.name, vios.lpar_id),
        _io(frame, PhysicalSlot("21010201", "C6", "Fibre Channel Serial Bus"), vios.name, vios.lpar_id),
        _io(frame, PhysicalSlot("21010202", "T5", "Universal Serial Bus UHC Spec"), vios.name, vios.lpar_id),
    ]
    for found in world.on(frame.name):
        for slot in found.physical_slots:
            rows.append(_io(frame, slot, found.name, found.lpar_id))
    return rows


def _io(frame: Frame, slot: PhysicalSlot, name: str, lpar_id: int) -> Record:
    return {
        "unit_phys_loc": frame.planar,
        "bus_id": "512",
        "phys_loc": slot.location,
        "drc_index": slot.drc_index,
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_io_pool_id": "none",
        "description": slot.description,
        "feature_codes": "none",
        "drc_name": f"{frame.planar}-P1-{slot.location}",
    }
