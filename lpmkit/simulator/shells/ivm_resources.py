"""The records behind ``lshwres``: memory, processors, virtual and physical adapters (`ZIU`, `NOVA-IVM`)."""

from __future__ import annotations

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Frame, Partition, PhysicalSlot, Vios, World, lowest_free
from lpmkit.simulator.shells.ivm_records import otherwise, units
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


def memory_of_vios(vios: Vios) -> Record:
    """Lines of a VIOS lack the huge-page fields (`ZIU`)."""
    return _memory(vios.name, vios.lpar_id, 512, vios.memory_mb, vios.memory_mb * 2, vios.memory_mb, client=False)


def memory_of_partition(found: Partition) -> Record:
    memory = found.memory
    run = memory.mb if found.holds_memory else 0
    return otherwise(
        _memory(found.name, found.lpar_id, memory.min_mb, memory.mb, memory.max_mb, run, client=True), found
    )


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


def processors_of_vios(frame: Frame, vios: Vios) -> Record:
    least, most = min(0.1, vios.proc_units), float(frame.processors)
    bounds = (least, vios.proc_units, most, 1, vios.virtual_processors, frame.processors)
    return _processors(vios.name, vios.lpar_id, "shared", bounds, "uncap", 192, running=True)


def processors_of_partition(frame: Frame, found: Partition) -> Record:
    shape = found.processors
    bounds = (
        shape.min_units,
        shape.units,
        shape.max_units,
        shape.min_virtual,
        shape.virtual,
        shape.max_virtual,
    )
    record = _processors(
        found.name, found.lpar_id, shape.mode, bounds, shape.sharing, shape.weight, running=found.holds_memory
    )
    if frame.hmc is None or shape.mode != "shared":
        return record
    pool = next(each for each in frame.every_pool if each.number == found.pool)
    return {**record, "curr_shared_proc_pool_id": str(pool.number), "curr_shared_proc_pool_name": pool.name}


def memory_pool(world: World, frame: Frame) -> list[Record]:
    """``lshwres -r mempool``: the shared memory pool, where there is one (recalled)."""
    used = sum(found.memory.mb for found in world.on(frame.name) if found.says("mem_mode", "ded") == "shared")
    pool = {"curr_pool_mem": str(frame.memory_pool_mb), "curr_avail_pool_mem": str(frame.memory_pool_mb - used)}
    return [pool] if frame.memory_pool_mb else []


def paging_devices(world: World, frame: Frame) -> list[Record]:
    """``lshwres -r mempool --rsubtype pgdev`` (recalled)."""
    return [
        {"device_name": one.name, "size": str(one.size_mb), "state": "Active" if one.used else "Inactive"}
        for one in frame.paging
    ]


def pools(world: World, frame: Frame) -> list[Record]:
    """``lshwres -r procpool``: fields as monitoring programs ask for them; pool 0 has neither limit nor reserve (C)."""
    rows: list[Record] = []
    for pool in frame.every_pool:
        inside = [
            found for found in world.on(frame.name) if found.pool == pool.number and found.processors.mode == "shared"
        ]
        limits = (
            dict.fromkeys(("-max_pool_proc_units", "-curr_reserved_pool_proc_units"), "null")
            if pool.number == 0
            else {
                "max_pool_proc_units": units(pool.max_units),
                "curr_reserved_pool_proc_units": units(pool.reserved_units),
                "pend_reserved_pool_proc_units": units(pool.reserved_units),
            }
        )
        rows.append(
            {
                "name": pool.name,
                "shared_proc_pool_id": str(pool.number),
                **limits,
                "lpar_ids": ",".join(str(found.lpar_id) for found in inside) or "none",
                "lpar_names": ",".join(found.name for found in inside) or "none",
            }
        )
    return rows


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
    """A dedicated partition has no unit fields (`ZIU`)."""
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
    rows: list[Record] = []
    for vios in frame.servers:
        for found, pair in world.scsi_of(frame, vios.name):
            client = (found.name, found.lpar_id, pair.slot)
            server = (vios.name, vios.lpar_id, pair.server_slot)
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


def fc_adapters(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype fc``: both ends of every pair; the client's has its two WWPNs in ``wwpns`` (C: monitoring programs
    read them there).
    """
    rows: list[Record] = []
    for vios in frame.servers:
        for found, pair in world.fc_of(frame, vios.name):
            client = (found.name, found.lpar_id, pair.slot)
            server = (vios.name, vios.lpar_id, pair.server_slot)
            rows.append({**_scsi(client, "client", server), "wwpns": ",".join(pair.wwpns), "topology": "1"})
            rows.append({**_scsi(server, "server", client), "wwpns": "", "topology": "1"})
    return sorted(rows, key=lambda row: (int(row["lpar_id"]), int(row["slot_num"])))


def vnics(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype vnic``. ``backing_devices`` up to the port is C (avocado), the rest of it recalled; states C."""
    rows: list[Record] = []
    for found in world.on(frame.name):
        for nic in found.vnics:
            active = min((one.priority for one in nic.backing), default=0)
            ordered = sorted(nic.backing, key=lambda one: one.priority)
            rows.append(
                {
                    "lpar_name": found.name,
                    "lpar_id": str(found.lpar_id),
                    "slot_num": str(nic.slot),
                    "desired_mode": "ded",
                    "curr_mode": "ded",
                    "auto_priority_failover": "1",
                    "port_vlan_id": str(nic.port_vlan_id),
                    "pvid_priority": "0",
                    "allowed_vlan_ids": "all",
                    "mac_addr": nic.mac,
                    "allowed_os_mac_addrs": "all",
                    "desired_capacity": "",
                    "backing_devices": ",".join(
                        recalled.backing_device(one, frame.server(one.server).lpar_id) for one in ordered
                    ),
                    "backing_device_states": ",".join(
                        f"sriov/{one.logical_port}/{int(one.priority == active)}/Operational" for one in ordered
                    ),
                }
            )
    return rows


def sriov_ports(world: World, frame: Frame, level: str) -> list[Record]:
    """``lshwres -r sriov --rsubtype physport --level eth``, ``ethc`` or ``roce`` (fields `HMCMCP`)."""
    rows: list[Record] = []
    for port in (each for each in frame.sriov if each.level == level):
        used = world.sriov_capacity_used(frame, port.adapter, port.port)
        rows.append(
            {
                "adapter_id": str(port.adapter),
                "phys_port_id": str(port.port),
                "state": str(int(port.link_up)),
                "phys_port_type": "eth",
                "phys_port_label": port.label,
                "phys_port_sub_label": "",
                "phys_port_loc": port.location,
                "curr_eth_logical_ports": str(int(used > 0)),
                "allocated_capacity": f"{used:.1f}",
            }
        )
    return rows


def logical_ports(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype logport --level eth``: the logical ports that partitions own, and I/O servers for virtual NICs
    (fields `HMCMCP`; ``migratable`` `OPTEST`, C).
    """
    rows = [
        _logical_port(
            (found.name, found.lpar_id), (port.adapter, port.port, port.number), port.capacity, port.migratable
        )
        for found in world.on(frame.name)
        for port in found.logical_ports
    ]
    return rows + [
        _logical_port(
            (one.server, frame.server(one.server).lpar_id),
            (one.adapter, one.port, one.logical_port),
            one.capacity,
            False,
        )
        for found in world.on(frame.name)
        for nic in found.vnics
        for one in nic.backing
    ]


def _logical_port(owner: tuple[str, int], place: tuple[int, int, str], capacity: float, migratable: bool) -> Record:
    """A logical port: its owner's name and id; adapter, physical port and number."""
    name, lpar_id = owner
    adapter, port, number = place
    return {
        "config_id": "0",
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "adapter_id": str(adapter),
        "logical_port_id": number,
        "phys_port_id": str(port),
        "migratable": str(int(migratable)),
        "capacity": f"{capacity:.1f}",
    }


def switches(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype vswitch``: the virtual switches of a system (C)."""
    rows: list[Record] = []
    for name in frame.vswitches:
        vlans = {vlan for vios in frame.servers if vios.sea and vios.sea.vswitch == name for vlan in vios.sea.vlans}
        vlans |= {
            vlan
            for found in world.on(frame.name)
            for one in found.ethernets
            if one.vswitch == name
            for vlan in one.vlans
        }
        rows.append({"vswitch": name, "switch_mode": "VEB", "vlan_ids": ",".join(map(str, sorted(vlans))) or "none"})
    return rows


def ethernet_adapters(world: World, frame: Frame) -> list[Record]:
    rows: list[Record] = []
    for vios in frame.servers:
        sea = vios.sea
        if sea is not None:
            owner = (vios.name, vios.lpar_id, sea.slot)
            rows.append(_ethernet(owner, sea.port_vlan_id, sea.mac, sea.vswitch, sea.additional_vlan_ids, sea.priority))
    for found in world.on(frame.name):
        for one in found.ethernets:
            owner = (found.name, found.lpar_id, one.slot)
            rows.append(_ethernet(owner, one.port_vlan_id, one.mac, one.vswitch, one.additional_vlan_ids))
    return rows


def _ethernet(
    owner: tuple[str, int, int], vlan: int, mac: str, vswitch: str, additional: tuple[int, ...] = (), priority: int = 0
) -> Record:
    """An adapter; one with a trunk ``priority`` is the trunk of a bridge."""
    name, lpar_id, slot = owner
    trunk = priority > 0
    row = {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "slot_num": str(slot),
        "state": "1",
        "is_required": str(int(not trunk)),
        "is_trunk": str(int(trunk)),
    }
    if trunk:
        row["trunk_priority"] = str(priority)
    return row | {
        "ieee_virtual_eth": str(int(bool(additional))),
        "port_vlan_id": str(vlan),
        "vswitch": vswitch,
        "addl_vlan_ids": ",".join(map(str, additional)),
        "mac_addr": mac,
    }


def serial_adapters(world: World, frame: Frame) -> list[Record]:
    servers = ((each.name, each.lpar_id) for each in frame.servers)
    owners: list[tuple[str, int, tuple[int, ...]]] = [(*server, (0, 1)) for server in servers]
    owners += [(each.name, each.lpar_id, (0, 1, *each.serial_slots)) for each in world.on(frame.name)]
    return [_serial(name, lpar_id, slot) for name, lpar_id, slots in owners for slot in slots]


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
    """``--rsubtype slot --level lpar`` (`ZIU`)."""
    rows: list[Record] = [
        _limit(vios.name, vios.lpar_id, vios.max_virtual_slots, world.free_server_slot(frame, vios.name))
        for vios in frame.servers
    ]
    return rows + [
        _limit(found.name, found.lpar_id, found.max_virtual_slots, lowest_free(set(found.slots), 5))
        for found in world.on(frame.name)
    ]


def _limit(name: str, lpar_id: int, most: int, following: int) -> Record:
    return {
        "lpar_name": name,
        "lpar_id": str(lpar_id),
        "curr_max_virtual_slots": str(most),
        "pend_max_virtual_slots": str(most),
        "next_avail_virtual_slot": str(following),
    }


def slots(world: World, frame: Frame) -> list[Record]:
    """``--rsubtype slot --level slot``: every slot and what is in it (`NOVA-IVM`: ``0,serial`` ``2,scsi``
    ``3,reserved``).
    """
    rows: list[Record] = []
    for vios in frame.servers:
        inside = {0: "serial", 1: "serial", 2: "reserved"}
        if vios.sea is not None:
            inside[vios.sea.slot] = "eth"
        inside |= {pair.server_slot: "scsi" for _, pair in world.scsi_of(frame, vios.name)}
        inside |= {pair.server_slot: "fc" for _, pair in world.fc_of(frame, vios.name)}
        rows += [_slot(vios.name, vios.lpar_id, slot, what) for slot, what in sorted(inside.items())]
    for found in world.on(frame.name):
        rows += [_slot(found.name, found.lpar_id, slot, what) for slot, what in sorted(found.slots.items())]
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
