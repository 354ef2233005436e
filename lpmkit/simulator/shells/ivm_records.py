"""The records behind ``lssyscfg`` and ``lshwres``: one function per listing, from a world to ordered fields.

Field names, their order and their values follow powervm.md 1.6 and 1.7 (ZIU, NOVA-IVM, XCAT). A name that starts with
``-`` can be asked for with ``-F`` and is not part of the plain listing.
"""

from __future__ import annotations

from lpmkit.simulator.chassis import FIRST_SERVER_SLOT, RUNNING, Frame, Partition, World
from lpmkit.simulator.shells.records import Record

HEX_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def units(value: float) -> str:
    """Processing units have two decimals on IVM (NOVA-IVM: ``8.00,5.50``)."""
    return f"{value:.2f}"


def logical_serial(frame: Frame, lpar_id: int) -> str:
    """The serial number and one character for the id (ZIU: ``6535CCG5`` is id 5, ``6535CCGF`` id 15)."""
    return frame.serial + HEX_DIGITS[lpar_id % len(HEX_DIGITS)]


def system(world: World, frame: Frame, sys_time: str) -> Record:
    """``lssyscfg -r sys``. Capabilities lists only what is present, in one quoted value (NOVA-IVM)."""
    mobility = ["active_lpar_mobility_capable", "inactive_lpar_mobility_capable"] if frame.enterprise else []
    common = [
        "vet_activation_capable",
        "shared_proc_capable",
        "micro_lpar_capable",
        "dlpar_mem_capable",
        "cod_proc_capable",
    ]
    return {
        "name": frame.system_name,
        "type_model": frame.type_model,
        "serial_num": frame.serial,
        "ipaddr": frame.vios.address,
        "state": "Operating",
        "sys_time": sys_time,
        "power_off_policy": "0",
        "power_on_lpar_start_policy": "autostart",
        "max_lpars": "40",
        "service_lpar_id": str(frame.vios.lpar_id),
        "service_lpar_name": frame.vios.name,
        "capabilities": ",".join([*mobility, *common]),
        "lpar_proc_compat_modes": ",".join(frame.compat_modes),
        "-active_lpar_mobility_capable": str(int(frame.enterprise)),
        "-inactive_lpar_mobility_capable": str(int(frame.enterprise)),
        "-vet_activation_capable": "1",
        "-virtual_io_server_capable": "1",
        "-lpar_proc_compat_mode_capable": "1",
        "-virtual_fc_capable": "0",
    }


def vios_partition(frame: Frame) -> Record:
    vios = frame.vios
    record = _lpar(vios.name, frame, vios.lpar_id, "vioserver", RUNNING, f"VIOS {vios.level}", "active", vios.address)
    return {**record, "-msp": "1"}


def partition(frame: Frame, found: Partition) -> Record:
    """A line of ``lssyscfg -r lpar``. A shell on the target has not told anything of its system yet."""
    rmc, version = ("inactive", "Unknown") if found.shell else (found.rmc_state, found.os_version)
    address = found.address if rmc == "active" else ""
    record = _lpar(
        found.name, frame, found.lpar_id, found.environment, found.state, version, rmc, address, found.compat_mode
    )
    return {**record, "-msp": "0"}


def _lpar(
    name: str,
    frame: Frame,
    lpar_id: int,
    environment: str,
    state: str,
    os_version: str,
    rmc_state: str,
    rmc_address: str,
    compat_mode: str = "POWER6",
) -> dict[str, str]:
    capable = str(int(rmc_state == "active"))
    return {
        "name": name,
        "lpar_id": str(lpar_id),
        "lpar_env": environment,
        "state": state,
        "resource_config": "1",
        "os_version": os_version,
        "logical_serial_num": logical_serial(frame, lpar_id),
        "default_profile": name,
        "curr_profile": name,
        "work_group_id": "none",
        "shared_proc_pool_util_auth": "0",
        "allow_perf_collection": "0",
        "power_ctrl_lpar_ids": "none",
        "boot_mode": "norm",
        "lpar_keylock": "norm",
        "auto_start": "1",
        "redundant_err_path_reporting": "0",
        "rmc_state": rmc_state,
        "rmc_ipaddr": rmc_address,
        "time_ref": "0",
        "lpar_avail_priority": "127",
        "desired_lpar_proc_compat_mode": "default",
        "curr_lpar_proc_compat_mode": compat_mode,
        "-dlpar_mem_capable": capable,
        "-dlpar_proc_capable": capable,
        "-dlpar_io_capable": capable,
        "-rmc_osshutdown_capable": capable,
        "-lpar_type": environment,
    }


def profile(frame: Frame, found: Partition) -> Record:
    """A line of ``lssyscfg -r prof``; IVM has one per partition, with the partition's name (XCAT)."""
    shape, memory = found.processors, found.memory
    server = f"{found.scsi_slot}/client/{frame.vios.lpar_id}/{frame.vios.name}/{found.server_slot}/1"
    return {
        "name": found.name,
        "lpar_name": found.name,
        "lpar_id": str(found.lpar_id),
        "lpar_env": found.environment,
        "all_resources": "0",
        "min_mem": str(memory.min_mb),
        "desired_mem": str(memory.mb),
        "max_mem": str(memory.max_mb),
        "min_num_huge_pages": "0",
        "desired_num_huge_pages": "0",
        "max_num_huge_pages": "0",
        "proc_mode": shape.mode,
        "min_proc_units": units(shape.min_units),
        "desired_proc_units": units(shape.units),
        "max_proc_units": units(shape.max_units),
        "min_procs": str(shape.min_virtual),
        "desired_procs": str(shape.virtual),
        "max_procs": str(shape.max_virtual),
        "sharing_mode": shape.sharing,
        "uncap_weight": str(shape.weight),
        "io_slots": ",".join(f"{slot.drc_index}/none/1" for slot in found.physical_slots) or "none",
        "lpar_io_pool_ids": "none",
        "max_virtual_slots": "20",
        "virtual_serial_adapters": "0/server/1/any//any/1,1/server/1/any//any/1",
        "virtual_scsi_adapters": server,
        "virtual_eth_adapters": f"{found.ethernet_slot}/0/{found.port_vlan_id}//0/1",
        "boot_mode": "norm",
        "auto_start": "1",
        "power_ctrl_lpar_ids": "none",
        "bsr_arrays": "0",
        "lhea_logical_ports": "none",
        "lpar_proc_compat_mode": "default",
    }


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
        rows.append(
            _scsi(found.name, found.lpar_id, found.scsi_slot, "client", vios.lpar_id, vios.name, found.server_slot)
        )
        rows.append(
            _scsi(vios.name, vios.lpar_id, found.server_slot, "server", found.lpar_id, found.name, found.scsi_slot)
        )
    return sorted(rows, key=lambda row: (int(row["lpar_id"]), int(row["slot_num"])))


def _scsi(name: str, lpar_id: int, slot: int, side: str, remote_id: int, remote: str, remote_slot: int) -> Record:
    return {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_num": str(slot),
        "state": "1",
        "is_required": "1" if side == "client" else "0",
        "adapter_type": side,
        "remote_lpar_id": str(remote_id),
        "remote_lpar_name": remote,
        "remote_slot_num": str(remote_slot),
    }


def ethernet_adapters(world: World, frame: Frame) -> list[Record]:
    rows: list[Record] = []
    sea = frame.vios.sea
    if sea is not None:
        rows.append(
            _ethernet(
                frame.vios.name, frame.vios.lpar_id, sea.slot, True, sea.port_vlan_id, sea.additional_vlan_ids, sea.mac
            )
        )
    for found in world.on(frame.name):
        rows.append(_ethernet(found.name, found.lpar_id, found.ethernet_slot, False, found.port_vlan_id, (), found.mac))
    return rows


def _ethernet(
    name: str, lpar_id: int, slot: int, trunk: bool, vlan: int, additional: tuple[int, ...], mac: str
) -> Record:
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
    return rows + [_limit(found.name, found.lpar_id, 20, 5) for found in world.on(frame.name)]


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
        _io(frame, "21010200", "C5", "RAID Controller", vios.name, vios.lpar_id),
        _io(frame, "21010201", "C6", "Fibre Channel Serial Bus", vios.name, vios.lpar_id),
        _io(frame, "21010202", "T5", "Universal Serial Bus UHC Spec", vios.name, vios.lpar_id),
    ]
    for found in world.on(frame.name):
        for slot in found.physical_slots:
            rows.append(_io(frame, slot.drc_index, slot.location, slot.description, found.name, found.lpar_id))
    return rows


def _io(frame: Frame, index: str, location: str, description: str, name: str, lpar_id: int) -> Record:
    return {
        "unit_phys_loc": frame.planar,
        "bus_id": "512",
        "phys_loc": location,
        "drc_index": index,
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_io_pool_id": "none",
        "description": description,
        "feature_codes": "none",
        "drc_name": f"{frame.planar}-P1-{location}",
    }
