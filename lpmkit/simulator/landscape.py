"""Reading a landscape file: which frames, disks and partitions there are when the simulator starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lpmkit.simulator.chassis import (
    RUNNING,
    Disk,
    Frame,
    Hmc,
    Memory,
    Partition,
    Processors,
    Sea,
    Vios,
    VirtualDisk,
    Workload,
    World,
    lowest_free,
)
from lpmkit.simulator.sap import installation

#: A mapping out of the YAML file; its values are whatever the file says.
Entry = Mapping[str, Any]

BUILT_IN = Path(__file__).parent / "landscapes"


class LandscapeError(Exception):
    """The landscape file does not describe a landscape."""


def load(path: Path | None = None) -> World:
    """Read a landscape: a file, or the name of one that comes with the simulator (``js22``, the default, or ``p7pair``)."""
    path = path or BUILT_IN / "js22.yaml"
    if not path.exists() and (BUILT_IN / f"{path}.yaml").exists():
        path = BUILT_IN / f"{path}.yaml"
    try:
        entry = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return _world(entry)
    except OSError as problem:
        raise LandscapeError(f"{path}: {problem.strerror}") from problem
    except (KeyError, TypeError, ValueError) as problem:
        raise LandscapeError(f"{path}: missing or wrong entry {problem}") from problem


def _world(entry: Entry) -> World:
    storage = entry["storage"]
    frames = tuple(_frame(frame, storage["luns"]) for frame in entry["frames"])
    partitions: list[Partition] = []
    for each in entry["partitions"]:
        taken = {found.vhost for found in partitions if found.frame == each["frame"]}
        partitions.append(_partition(each, lowest_free(taken, 0)))
    consoles = {hmc["host"] for hmc in entry.get("hmcs", ())}
    homeless = {frame.hmc for frame in frames if frame.hmc is not None} - consoles
    if homeless:
        raise ValueError(f"hmc: {', '.join(sorted(homeless))}")
    unknown = {found.frame for found in partitions} - {frame.name for frame in frames}
    if unknown:
        raise ValueError(f"frame: {', '.join(sorted(unknown))}")
    return World(
        name=str(entry["name"]),
        link_mb_per_second=float(entry["link"]["megabytes_per_second"]),
        mover_mb_per_second=float(entry["link"]["mover_megabytes_per_second"]),
        storage_model=str(storage["model"]),
        storage_ports=tuple(str(port) for port in storage["ports"]),
        frames=frames,
        partitions=tuple(partitions),
        hmcs=tuple(Hmc(**{key: str(value) for key, value in hmc.items()}) for hmc in entry.get("hmcs", ())),
    )


def _frame(entry: Entry, luns: Entry) -> Frame:
    return Frame(
        name=entry["name"],
        system_name=entry["system_name"],
        type_model=entry["type_model"],
        serial=str(entry["serial"]),
        firmware=entry["firmware"],
        memory_mb=int(entry["memory_mb"]),
        firmware_memory_mb=int(entry["firmware_memory_mb"]),
        memory_region_mb=int(entry["memory_region_mb"]),
        processors=int(entry["processors"]),
        clock_mhz=int(entry["clock_mhz"]),
        compat_modes=tuple(entry["compat_modes"]),
        enterprise=bool(entry["enterprise"]),
        active_migrations_supported=int(entry["active_migrations_supported"]),
        inactive_migrations_supported=int(entry["inactive_migrations_supported"]),
        planar=entry["planar"],
        unique_frame_id=str(entry["unique_frame_id"]),
        vios=_vios(entry["vios"]),
        disks=tuple(_disk(disk, luns, entry["serial"]) for disk in entry["disks"]),
        hmc=entry.get("hmc"),
    )


def _vios(entry: Entry) -> Vios:
    sea = entry.get("sea")
    return Vios(
        name=entry["name"],
        hostname=entry["hostname"],
        lpar_id=int(entry["lpar_id"]),
        level=str(entry["level"]),
        memory_mb=int(entry["memory_mb"]),
        proc_units=float(entry["proc_units"]),
        virtual_processors=int(entry["virtual_processors"]),
        address=entry["address"],
        max_virtual_slots=int(entry["max_virtual_slots"]),
        sea=_sea(sea) if sea else None,
        vasi=entry.get("vasi"),
        physical_ethernet=entry["physical_ethernet"],
    )


def _sea(entry: Entry) -> Sea:
    return Sea(
        name=entry["name"],
        backing=entry["backing"],
        trunk=entry["trunk"],
        slot=int(entry["slot"]),
        port_vlan_id=int(entry["port_vlan_id"]),
        additional_vlan_ids=tuple(int(vlan) for vlan in entry["additional_vlan_ids"]),
        mac=str(entry["mac"]),
    )


def _disk(entry: Entry, luns: Entry, serial: str) -> Disk:
    lun = entry.get("lun")
    facts = luns[lun] if lun is not None else entry
    return Disk(
        name=entry["name"],
        pvid=str(facts["pvid"]),
        unique_id=str(facts.get("unique_id", f"2A1135000C50{serial}ST973452SS03IBMsas")),
        size_mb=int(entry["size_mb"]),
        lun=lun,
        volume_group=entry.get("volume_group"),
        reserve_policy=entry.get("reserve_policy", "no_reserve"),
    )


def _partition(entry: Entry, vhost: int) -> Partition:
    state, host = entry["state"], bool(entry.get("host", False))
    oracle = entry.get("oracle", {})
    return Partition(
        name=entry["name"],
        frame=entry["frame"],
        lpar_id=int(entry["lpar_id"]),
        state=state,
        environment=entry["environment"],
        os_version=entry["os_version"],
        level=str(entry.get("level", "")),
        memory=Memory(**{key: int(value) for key, value in entry["memory"].items()}),
        processors=_processors(entry["processors"]),
        scsi_slot=int(entry["slots"]["scsi"]),
        ethernet_slot=int(entry["slots"]["ethernet"]),
        server_slot=int(entry["server_slot"]),
        vhost=vhost,
        mac=str(entry["mac"]),
        port_vlan_id=int(entry["port_vlan_id"]),
        address=entry.get("address", ""),
        host=host,
        disks=_virtual_disks(entry["disks"]),
        rmc_state=entry.get("rmc_state", _rmc_state(state, host)),
        workload=Workload(**{key: float(value) for key, value in entry.get("workload", {}).items()}),
        compat_mode=entry.get("compat_mode", "POWER6"),
        sap=installation.from_entry(entry.get("sap", {})),
        oracle_sid=str(oracle.get("sid", "")),
        oracle_version=str(oracle.get("version", "")),
    )


def _rmc_state(state: str, host: bool) -> str:
    """IVM says ``none`` of a partition that never had a connection (NOVA-IVM: ``0,0,none``)."""
    return "active" if host and state == RUNNING else "none"


def _processors(entry: Entry) -> Processors:
    return Processors(
        mode=entry["mode"],
        min_units=float(entry["min_units"]),
        units=float(entry["units"]),
        max_units=float(entry["max_units"]),
        min_virtual=int(entry["min"]),
        virtual=int(entry["virtual"]),
        max_virtual=int(entry["max"]),
        sharing=entry["sharing"],
        weight=int(entry["weight"]),
    )


def _virtual_disks(entries: Sequence[Entry]) -> tuple[VirtualDisk, ...]:
    return tuple(
        VirtualDisk(each["vtd"], each["backing"], each.get("kind", "lun"), each.get("volume_group")) for each in entries
    )
