"""The records behind ``lssyscfg``: one function per listing, from a world to ordered fields.

Field names, their order and their values follow `ZIU`, `NOVA-IVM` and `XCAT`. A name that starts with
``-`` can be asked for with ``-F`` and is not part of the plain listing.
"""

from __future__ import annotations

from lpmkit.simulator.chassis import OPERATING, RUNNING, Ethernet, Frame, Partition, ScsiPair, Vios, World
from lpmkit.simulator.shells.records import Record

HEX_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def units(value: float) -> str:
    """Processing units have two decimals on IVM (`NOVA-IVM`: ``8.00,5.50``)."""
    return f"{value:.2f}"


def logical_serial(frame: Frame, lpar_id: int) -> str:
    """The serial number and one character for the id (`ZIU`: ``6535CCG5`` is id 5, ``6535CCGF`` id 15)."""
    return frame.serial + HEX_DIGITS[lpar_id % len(HEX_DIGITS)]


def system(world: World, frame: Frame, sys_time: str) -> Record:
    """``lssyscfg -r sys``. Capabilities lists only what is present, in one quoted value (`NOVA-IVM`)."""
    mobility = ["active_lpar_mobility_capable", "inactive_lpar_mobility_capable"] if frame.enterprise else []
    common = ["cod_proc_capable", "vet_activation_capable", "shared_proc_capable"]
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


def vios_partition(frame: Frame, vios: Vios) -> Record:
    active = vios.rmc_state == "active" and frame.state == OPERATING
    record = _lpar(
        vios.name,
        frame,
        vios.lpar_id,
        "vioserver",
        RUNNING if frame.state == OPERATING else "Not Available",
        f"VIOS {vios.level}",
        vios.rmc_state if active else "inactive",
        vios.address if active else "",
        frame.compat_modes[-1],
    )
    return {**record, "-msp": str(int(vios.msp))}


def state_of(frame: Frame, found: Partition) -> str:
    """A system without power says that of its partitions (state `ZIU`; that it is this one is recalled)."""
    return found.state if frame.state == OPERATING else "Not Available"


def partition(frame: Frame, found: Partition) -> Record:
    """A line of ``lssyscfg -r lpar``. A shell on the target has not told anything of its system yet."""
    rmc, version = ("inactive", "Unknown") if found.is_shell else (found.rmc_state, found.os_version)
    if frame.state != OPERATING:
        rmc = "inactive"
    address = found.address if rmc == "active" else ""
    record = _lpar(
        found.name,
        frame,
        found.lpar_id,
        found.environment,
        state_of(frame, found),
        version,
        rmc,
        address,
        found.compat_mode,
    )
    own = {"default_profile": found.profiles[0], "curr_profile": found.profiles[0]} if found.profiles else {}
    whole = {
        **record,
        **own,
        "-msp": "0",
        "-migration_disabled": "0",
        "-simplified_remote_restart_capable": "0",
        "-affinity_group_id": "none",
        "-os400_restricted_io_mode": "1" if found.environment == "os400" else "null",
        **({"-vtpm_enabled": "0"} if _has_restart(frame) else {}),
        **({"-keystore_kbytes": "0"} if "POWER10" in frame.compat_modes else {}),
        **({"-uuid": found.uuid} if found.uuid else {}),
    }
    return otherwise(whole, found)


def otherwise(record: Record, found: Partition) -> Record:
    """The record with the fields in it that are not as usual of this partition."""
    return {key: found.says(key.lstrip("-"), value) for key, value in record.items()}


def _has_restart(frame: Frame) -> bool:
    """True if a system lists remote restart: POWER7 and later (`ZIU`)."""
    return any(mode.removeprefix("POWER")[:1] in "789" or mode == "POWER10" for mode in frame.compat_modes[1:])


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
    capable = str(int(rmc_state == "active" or environment == "os400"))  # IBM i is reconfigured without RMC (recalled)
    power7 = {"suspend_capable": "0", "remote_restart_capable": "0"} if _has_restart(frame) else {}
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
        **power7,
        "-dlpar_mem_capable": capable,
        "-dlpar_proc_capable": capable,
        "-dlpar_io_capable": capable,
        "-rmc_osshutdown_capable": capable,
        "-lpar_type": environment,
    }


def profiles(frame: Frame, found: Partition) -> list[Record]:
    """Every profile of a partition; the others are like the one that it was activated with."""
    current = profile(frame, found)
    return [{**current, "name": name} for name in found.profiles or (current["name"],)]


def profile(frame: Frame, found: Partition) -> Record:
    """A line of ``lssyscfg -r prof``; IVM has one per partition, with the partition's name (`XCAT`)."""
    shape, memory = found.processors, found.memory
    pool = next((each for each in frame.every_pool if each.number == found.pool), frame.every_pool[0])
    pooled = {"shared_proc_pool_id": str(pool.number), "shared_proc_pool_name": pool.name} if frame.hmc else {}
    record = {
        "name": found.profiles[0] if found.profiles else found.name,
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
        **pooled,
        "io_slots": ",".join(f"{slot.drc_index}/none/1" for slot in found.physical_slots) or "none",
        "lpar_io_pool_ids": "none",
        "max_virtual_slots": str(found.max_virtual_slots),
        "virtual_serial_adapters": ",".join(f"{slot}/server/1/any//any/1" for slot in (0, 1, *found.serial_slots)),
        "virtual_scsi_adapters": ",".join(_scsi_of(frame, pair) for pair in found.scsi) or "none",
        "virtual_eth_adapters": ",".join(_ethernet_of(frame, one) for one in found.ethernets) or "none",
        **({"virtual_fc_adapters": _fc_of(frame, found)} if found.fc else {}),
        **({"vnic_adapters": _vnics_of(frame, found)} if found.vnics else {}),
        "boot_mode": "norm",
        "auto_start": "1",
        "power_ctrl_lpar_ids": "none",
        "bsr_arrays": "0",
        "lhea_logical_ports": "none",
        **_logical_ports_of(frame, found),
        "lpar_proc_compat_mode": "default",
    }
    return otherwise(record, found)


def _logical_ports_of(frame: Frame, found: Partition) -> dict[str, str]:
    """The field of an HMC with SR-IOV adapters; ``none`` where the partition has no logical port."""
    ports = ",".join(f"{port.number}/{port.adapter}/{port.port}" for port in found.logical_ports)
    return {"sriov_eth_logical_ports": ports or "none"} if frame.sriov else {}


def _scsi_of(frame: Frame, pair: ScsiPair) -> str:
    """slot/client/remote id/remote name/remote slot/required (`XCAT`)."""
    server = frame.server(pair.server)
    return f"{pair.slot}/client/{server.lpar_id}/{server.name}/{pair.server_slot}/1"


def _ethernet_of(frame: Frame, one: Ethernet) -> str:
    """slot/IEEE/PVID/[more VLANs]/trunk priority/required, and on an HMC [/vswitch/MAC/allowed/qos] (`ZIU`)."""
    more = ",".join(map(str, one.additional_vlan_ids))
    text = f"{one.slot}/{int(bool(more))}/{one.port_vlan_id}/{more}/0/1"
    text = f"{text}/{one.vswitch}/{one.mac}/all/none" if frame.hmc else text
    return f'"{text}"' if more else text


def _fc_of(frame: Frame, found: Partition) -> str:
    """Each in quotes of its own, for its two WWPNs have a comma between them (`ZIU`)."""
    return ",".join(
        f'"{pair.slot}/client/{frame.server(pair.server).lpar_id}/{pair.server}/{pair.server_slot}/{",".join(pair.wwpns)}/1"'
        for pair in found.fc
    )


def _vnics_of(frame: Frame, found: Partition) -> str:
    """slot:ded:…:sriov/vios/id/adapter/port/capacity/priority/max capacity, as op-test takes it apart."""
    rows = []
    for nic in found.vnics:
        behind = ",".join(
            f"sriov/{one.server}/{frame.server(one.server).lpar_id}/{one.adapter}/{one.port}/{one.capacity}/{one.priority}/100.0"
            for one in nic.backing
        )
        row = f"{nic.slot}:ded:1:{nic.port_vlan_id}:0:all::all:0:{behind}"
        rows.append(f'"{row}"' if "," in row else row)
    return ",".join(rows)
