"""Reading a landscape file: which frames, disks and partitions there are when the simulator starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lpmkit.simulator import estate
from lpmkit.simulator.chassis import (
    DEFAULT_VSWITCH,
    RUNNING,
    Backing,
    Disk,
    Ethernet,
    Fabric,
    FcPair,
    FcPort,
    Frame,
    Hmc,
    LogicalPort,
    Memory,
    NpivDisk,
    Partition,
    Pool,
    Processors,
    ScsiPair,
    Sea,
    SriovPort,
    StoragePool,
    Vios,
    VirtualDisk,
    Vnic,
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
    """Read a landscape: a file, or the name of one that comes with the simulator (``js22``, the default, ``p7pair``,
    ``p8pair``, ``p10pair`` or ``estate``).
    """
    path = path or BUILT_IN / "js22.yaml"
    if not path.is_file() and str(path) == "estate":
        return of_many()
    if not path.is_file() and (BUILT_IN / f"{path}.yaml").exists():
        path = BUILT_IN / f"{path}.yaml"
    try:
        entry = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return _world(entry)
    except OSError as problem:
        raise LandscapeError(f"{path}: {problem.strerror}") from problem
    except (KeyError, TypeError, ValueError) as problem:
        raise LandscapeError(f"{path}: missing or wrong entry {problem}") from problem


def of_many(frames: int = 8, each: int = 25, *, under_one: int = 4) -> World:
    """This many frames in pairs, with this many partitions each, ``under_one`` console this many of the frames; see
    `estate`.
    """
    return _world(estate.entry(frames, each, under_one))


def _world(entry: Entry) -> World:
    storage = entry["storage"]
    luns = tuple(_lun(name, facts) for name, facts in storage["luns"].items())
    frames = tuple(_frame(frame, storage["luns"]) for frame in entry["frames"])
    partitions: list[Partition] = []
    for each in entry["partitions"]:
        here = [found for found in partitions if found.frame == each["frame"]]
        frame = next((frame for frame in frames if frame.name == each["frame"]), None)
        partitions.append(_partition(each, here, frame))
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
        luns=luns,
        fabrics=tuple(_fabric(name, zones) for name, zones in entry.get("fabrics", {}).items()),
        masked=tuple((wwpn, tuple(map(str, seen))) for wwpn, seen in storage.get("masked", {}).items()),
        old_ssh=bool(entry.get("old_ssh", False)),
        storage_pools=tuple(_storage_pool(each) for each in storage.get("pools", ())),
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
        servers=_servers(entry, luns),
        pools=tuple(_pool(pool) for pool in entry.get("pools", ())),
        vswitches=tuple(entry.get("vswitches", (DEFAULT_VSWITCH,))),
        sriov=tuple(SriovPort(**port) for port in entry.get("sriov", ())),
        hmc=entry.get("hmc"),
    )


def _servers(entry: Entry, luns: Entry) -> tuple[Vios, ...]:
    """The I/O servers of a frame: one as ``vios`` with its ``disks`` beside it, or several in a list, each with its
    own.
    """
    if isinstance(entry["vios"], Mapping):
        return (_vios(entry["vios"], entry["disks"], luns, entry["serial"]),)
    return tuple(_vios(each, each["disks"], luns, entry["serial"]) for each in entry["vios"])


def _pool(entry: Entry) -> Pool:
    return Pool(int(entry["number"]), entry["name"], float(entry["max_units"]), float(entry.get("reserved_units", 0)))


def _lun(name: str, facts: Entry) -> Disk:
    return Disk("", str(facts["pvid"]), str(facts["unique_id"]), int(facts.get("size_mb", 51200)), lun=str(name))


def _storage_pool(entry: Entry) -> StoragePool:
    cluster, cluster_id, name = (str(entry[key]) for key in ("cluster", "cluster_id", "name"))
    return StoragePool(cluster, cluster_id, name, int(entry["size_mb"]), tuple(entry["servers"]))


def _fabric(name: str, zones: Entry) -> Fabric:
    return Fabric(name, tuple((wwpn, tuple(map(str, ports))) for wwpn, ports in zones.items()))


def _vios(entry: Entry, disks: Sequence[Entry], luns: Entry, serial: str) -> Vios:
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
        disks=tuple(_disk(disk, luns, serial) for disk in disks),
        fc_ports=tuple(FcPort(**port) for port in entry.get("fc_ports", ())),
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
        vswitch=entry.get("vswitch", DEFAULT_VSWITCH),
        priority=int(entry.get("priority", 1)),
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


def _partition(entry: Entry, here: Sequence[Partition], frame: Frame | None) -> Partition:
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
        scsi=_scsi(entry, here, frame),
        ethernets=_ethernets(entry),
        address=entry.get("address", ""),
        host=host,
        shared=entry.get("host") == "shared",
        rmc_state=entry.get("rmc_state", _rmc_state(state, host)),
        workload=Workload(**{key: float(value) for key, value in entry.get("workload", {}).items()}),
        compat_mode=entry.get("compat_mode", "POWER6"),
        sap=installation.from_entry(entry.get("sap", {})),
        oracle_sid=str(oracle.get("sid", "")),
        oracle_version=str(oracle.get("version", "")),
        oracle_around=tuple(
            (name, tuple(map(str, oracle[name]))) for name in ("standby", "asm", "members") if name in oracle
        ),
        fc=_fc(entry.get("fc", ()), here),
        vnics=tuple(_vnic(each) for each in entry.get("vnics", ())),
        logical_ports=tuple(_logical_port(each) for each in entry.get("logical_ports", ())),
        attributes=tuple((str(name), str(value)) for name, value in entry.get("attributes", {}).items()),
        npiv_disks=tuple(NpivDisk(str(each["lun"]), each.get("volume_group")) for each in entry.get("npiv_disks", ())),
        pool=int(entry.get("pool", 0)),
        max_virtual_slots=int(entry.get("max_virtual_slots", 10)),
        profiles=tuple(entry.get("profiles", ())),
        uuid=str(entry.get("uuid", "")),
        clusters=tuple((str(kind), float(waits_s)) for kind, waits_s in entry.get("clusters", {}).items()),
    )


def _scsi(entry: Entry, here: Sequence[Partition], frame: Frame | None) -> tuple[ScsiPair, ...]:
    """Virtual SCSI adapters: a list of them, or, as on a blade, one whose parts stand in the partition's entry."""
    only = {
        "slot": entry.get("slots", {}).get("scsi"),
        "server_slot": entry.get("server_slot"),
        "disks": entry.get("disks"),
    }
    found: list[ScsiPair] = []
    for each in entry.get("scsi", (only,) if entry.get("disks") else ()):
        server = each.get("server", frame.vios.name if frame is not None else "")
        taken = {pair.vhost for one in here for pair in one.scsi if pair.server == server}
        taken |= {pair.vhost for pair in found if pair.server == server}
        disks = _virtual_disks(each["disks"])
        found.append(ScsiPair(int(each["slot"]), server, int(each["server_slot"]), lowest_free(taken, 0), disks))
    return tuple(found)


def _fc(entries: Sequence[Entry], here: Sequence[Partition]) -> tuple[FcPair, ...]:
    found: list[FcPair] = []
    for each in entries:
        taken = {pair.vfchost for one in here for pair in one.fc if pair.server == each["server"]}
        taken |= {pair.vfchost for pair in found if pair.server == each["server"]}
        first, second = each["wwpns"]
        found.append(
            FcPair(
                int(each["slot"]),
                each["server"],
                int(each["server_slot"]),
                lowest_free(taken, 0),
                each["port"],
                (first, second),
            )
        )
    return tuple(found)


def _ethernets(entry: Entry) -> tuple[Ethernet, ...]:
    slot = entry.get("slots", {}).get("ethernet")
    only = {"slot": slot, "mac": entry.get("mac"), "port_vlan_id": entry.get("port_vlan_id")}
    return tuple(
        Ethernet(
            int(each["slot"]),
            str(each["mac"]),
            int(each["port_vlan_id"]),
            tuple(int(vlan) for vlan in each.get("additional_vlan_ids", ())),
            each.get("vswitch", DEFAULT_VSWITCH),
        )
        for each in entry.get("ethernets", (only,) if slot is not None else ())
    )


def _vnic(entry: Entry) -> Vnic:
    backing = tuple(Backing(**{**each, "logical_port": str(each["logical_port"])}) for each in entry["backing"])
    return Vnic(int(entry["slot"]), str(entry["mac"]), int(entry["port_vlan_id"]), backing)


def _logical_port(entry: Entry) -> LogicalPort:
    return LogicalPort(**{**entry, "number": str(entry["number"])})


def _rmc_state(state: str, host: bool) -> str:
    """IVM says ``none`` of a partition that never had a connection (`NOVA-IVM`: ``0,0,none``)."""
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
