"""The inside of a partition with AIX or Linux: its identity, its disks, its error log. A value that travels as JSON.

The chassis makes a `Guest` and hands it to the partition's own process. After a move it sends a new `Identity` and the
error log entries; the rest (boot time, disks, address, processes) stays, as it does in life (`IBMDOC:iphc3attributes`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Frame, LoggedError, Partition, World
from lpmkit.simulator.sap.installation import Installation

UP_SINCE_S = 41 * 86400 + 5 * 3600 + 42 * 60


@dataclass(frozen=True, slots=True)
class Identity:
    """The part of a partition's identity that changes with the machine."""

    type_model: str
    serial: str
    machine_id: str
    system_id: str
    unique_id: str
    lpar_id: int
    clock_mhz: int
    firmware: str
    processors_in_system: int


_ETHERNET = "Virtual I/O Ethernet Adapter (l-lan)"


@dataclass(frozen=True, slots=True)
class GuestDisk:
    name: str
    pvid: str
    volume_group: str
    size_mb: int
    npiv: bool = False
    unique_id: str = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """The system in a partition. ``boot_wall_s`` is when it was started, on its own clock."""

    name: str
    address: str
    level: str
    memory_mb: int
    min_memory_mb: int
    max_memory_mb: int
    mode: str
    units: float
    min_units: float
    max_units: float
    virtual: int
    min_virtual: int
    max_virtual: int
    sharing: str
    weight: int
    mac: str
    compat_mode: str
    boot_wall_s: float
    identity: Identity
    disks: tuple[GuestDisk, ...]
    errors: tuple[LoggedError, ...]
    rmc_active: bool
    physical: tuple[str, ...] = ()
    sap: Installation | None = None
    oracle_sid: str = ""
    touched_mb: float = 0.0
    dirty_mb_per_second: float = 0.0
    oracle_version: str = ""
    oracle_around: Mapping[str, Sequence[str]] = field(default_factory=dict)
    adapters: tuple[tuple[str, str], ...] = ()
    clusters: tuple[tuple[str, float], ...] = ()
    #: Linux, whose ``level`` is what a manager lists of it; else AIX.
    is_linux: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def taking(self, identity: Identity | None, errors: tuple[LoggedError, ...]) -> Guest:
        """The system after a message from the chassis."""
        return replace(self, identity=identity or self.identity, errors=(*self.errors, *errors))


def identity(frame: Frame, lpar_id: int) -> Identity:
    """The identity of a partition on a frame.

    ``uname -m`` is ``00``, the six last digits of the serial and ``4C00`` (`GLPI`: ``106BDCA`` gives ``0006BDCA``; the
    join is recalled); ``uname -u`` is ``IBM,03`` and the serial (`GLPI`, a JS12); the low digits of ``uname -f`` are
    the id (`GIB-PARTID`).
    """
    return Identity(
        type_model=frame.type_model,
        serial=frame.serial,
        machine_id=f"000{frame.serial[-5:]}4C00".upper(),
        system_id=f"IBM,03{frame.serial}",
        unique_id=frame.unique_frame_id[: 16 - len(f"{lpar_id:X}")] + f"{lpar_id:X}",
        lpar_id=lpar_id,
        clock_mhz=frame.clock_mhz,
        firmware=frame.firmware,
        processors_in_system=frame.processors,
    )


def install(world: World, found: Partition, wall_s: float, sap_password: str = "") -> Guest:
    """The system of a partition as it is when the simulator starts: up for six weeks, with an ordinary error log."""
    frame = world.frame(found.frame)
    here = identity(frame, found.lpar_id)
    shape, boot = found.processors, wall_s - UP_SINCE_S
    return Guest(
        name=found.name,
        address=found.address,
        level=found.os_version if found.is_linux else found.level,
        memory_mb=found.memory.mb,
        min_memory_mb=found.memory.min_mb,
        max_memory_mb=found.memory.max_mb,
        mode=shape.mode,
        units=shape.units,
        min_units=shape.min_units,
        max_units=shape.max_units,
        virtual=shape.virtual,
        min_virtual=shape.min_virtual,
        max_virtual=shape.max_virtual,
        sharing=shape.sharing,
        weight=shape.weight,
        mac=found.mac,
        compat_mode=found.compat_mode,
        boot_wall_s=boot,
        identity=here,
        disks=_disks(world, frame, found),
        errors=_history(here.machine_id, boot),
        rmc_active=found.rmc_state == "active",
        physical=tuple(slot.description for slot in found.physical_slots),
        sap=_installed(world, found, sap_password),
        oracle_sid=found.oracle_sid,
        touched_mb=found.workload.touched_mb,
        dirty_mb_per_second=found.workload.dirty_mb_per_second,
        oracle_version=found.oracle_version,
        oracle_around=dict(found.oracle_around),
        adapters=_adapters(found),
        clusters=found.clusters,
        is_linux=found.is_linux,
    )


def _adapters(found: Partition) -> tuple[tuple[str, str], ...]:
    """The partition's virtual adapters as its AIX names them (texts `GLPI`; Fibre Channel as field notes show it,
    virtual NIC recalled).
    """
    network = [_ETHERNET for _ in found.ethernets] + [recalled.AIX_VIRTUAL_NIC for _ in found.vnics]
    return (
        *((f"ent{at}", text) for at, text in enumerate(network)),
        *((f"fcs{at}", "Virtual Fibre Channel Client Adapter") for at in range(len(found.fc))),
        *((f"vscsi{at}", "Virtual SCSI Client Adapter") for at in range(len(found.scsi))),
    )


def _installed(world: World, found: Partition, password: str) -> Installation | None:
    """The SAP system with its password, and with licences for the hardware keys of every frame unless the world says
    of which only.
    """
    if found.sap is None:
        return None
    every = tuple(identity(frame, found.lpar_id).machine_id for frame in world.frames)
    return replace(found.sap, password=password, licensed=found.sap.licensed or every)


def _disks(world: World, frame: Frame, found: Partition) -> tuple[GuestDisk, ...]:
    disks: list[GuestDisk] = []
    for mapped in found.disks:
        if mapped.kind == "optical":
            continue
        backing = frame.server(found.scsi[0].server).disk(mapped.backing)
        pvid = backing.pvid if backing is not None else f"00{frame.serial[-6:].lower()}0badcafe"
        if mapped.kind == "pool_unit":
            pvid = f"00{mapped.backing[-14:]}"
        size = backing.size_mb if backing is not None else 20480
        unique_id = backing.unique_id if backing is not None else ""
        disks.append(GuestDisk(f"hdisk{len(disks)}", pvid, mapped.volume_group or "None", size, unique_id=unique_id))
    for each in found.npiv_disks:
        lun = next(lun for lun in world.luns if lun.lun == each.lun)
        name, group = f"hdisk{len(disks)}", each.volume_group or "None"
        disks.append(GuestDisk(name, lun.pvid, group, lun.size_mb, True, lun.unique_id))
    return tuple(disks)


def _history(machine_id: str, boot: float) -> tuple[LoggedError, ...]:
    """The entries of an error log after a start (identifiers and texts as any AIX prints them)."""
    return (
        LoggedError(boot, "9DBCFDEE", "ERRLOG_ON", "T", "O", "errdemon", "ERROR LOGGING TURNED ON", machine_id),
        LoggedError(boot - 95, "2BFA76F6", "REBOOT_ID", "T", "S", "SYSPROC", "SYSTEM SHUTDOWN BY USER", machine_id),
    )


def from_json(text: str) -> Guest:
    """The inverse of `Guest.to_json`."""
    entry: dict[str, Any] = json.loads(text)
    entry["identity"] = Identity(**entry["identity"])
    entry["disks"] = tuple(GuestDisk(**disk) for disk in entry["disks"])
    entry["errors"] = tuple(LoggedError(**error) for error in entry["errors"])
    entry["physical"] = tuple(entry["physical"])
    entry["adapters"] = tuple((name, text) for name, text in entry["adapters"])
    entry["clusters"] = tuple((kind, waits_s) for kind, waits_s in entry["clusters"])
    if entry["sap"] is not None:
        entry["sap"] = Installation(**{**entry["sap"], "licensed": tuple(entry["sap"]["licensed"])})
    return Guest(**entry)
