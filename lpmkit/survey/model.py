"""Values of a survey: both ends of a move, the partition as its operating system describes it, and the gaps.

A fact that could not be read is ``None``, and a `Gap` names fact, machine and reason.
`lpmkit.checks` judges a survey. It is stored as JSON and can be judged again later, without a machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

from pydantic import TypeAdapter

from lpmkit.control.aix import Subsystem
from lpmkit.control.aix_identity import Identity
from lpmkit.control.aix_memory import MemoryUse
from lpmkit.control.base import MigrationReading
from lpmkit.control.clusters import ClusterMember
from lpmkit.inventory import (
    AffinityScore,
    Device,
    DiskPath,
    Frame,
    MemoryPool,
    MoverPair,
    OperatingSystem,
    Partition,
    PhysicalDisk,
    PhysicalSlot,
    Places,
    Pool,
    Profile,
    SharedEthernet,
    SriovLogicalPort,
    SriovPort,
    Vios,
    VirtualEthernetAdapter,
    VirtualFcAdapter,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VirtualTarget,
    VnicAdapter,
)
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle.snapshot import DatabaseSnapshot
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.sap.model import SapSnapshot

#: The state of a partition that does not run and can be activated.
NOT_ACTIVATED = "Not Activated"
#: Names that a VIOS makes up itself and does not keep over a move (B `IBMDOC:p8hc3_ivmprocess`).
GENERATED_TARGET_NAMES = "vtscsi"


#: Name of the fact that a forecast gives.
_SUSPENSION = "predicted suspension"


@dataclass(frozen=True, slots=True)
class Gap:
    """A fact that could not be read: its name, the machine and the reason."""

    what: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The facts of one managed system. ``None`` could not be read; an empty tuple was read and holds nothing.

    ``manager`` is ``ivm`` or ``hmc``. Where there are several I/O servers, ``vios`` is the union of all of them
    (`lpmkit.survey.gather.merge_vios`).
    """

    name: str
    frame: Frame | None = None
    partitions: tuple[Partition, ...] | None = None
    scsi_adapters: tuple[VirtualScsiAdapter, ...] | None = None
    ethernet_adapters: tuple[VirtualEthernetAdapter, ...] | None = None
    vios: Vios | None = None
    manager: str = "ivm"
    #: The I/O servers that were asked, by the names of the site file; empty where one logs in to the only one.
    asked: tuple[str, ...] = ()
    #: The same I/O servers as ``vios``, each by itself and with its own names.
    servers: tuple[Vios, ...] = ()
    fc_adapters: tuple[VirtualFcAdapter, ...] | None = None
    vnics: tuple[VnicAdapter, ...] | None = None
    sriov_ports: tuple[SriovPort, ...] | None = None
    pools: tuple[Pool, ...] | None = None
    profiles: tuple[Profile, ...] | None = None
    logical_ports: tuple[SriovLogicalPort, ...] | None = None
    affinity_scores: tuple[AffinityScore, ...] | None = None
    #: Read only where the partition uses shared memory.
    memory_pools: tuple[MemoryPool, ...] | None = None

    def partition(self, name: str) -> Partition | None:
        """The partition of that name; ``None`` when it is not listed or the list could not be read."""
        return next((partition for partition in self.partitions or () if partition.name == name), None)

    def server(self, name: str) -> Vios | None:
        """The I/O server of that name, by itself."""
        return next((vios for vios in self.servers if vios.name == name), None)

    @property
    def io_servers(self) -> tuple[Partition, ...]:
        """The partitions that are I/O servers; under IVM there is exactly one."""
        return tuple(partition for partition in self.partitions or () if partition.is_vios)


@dataclass(frozen=True, slots=True)
class Guest:
    """The facts that the partition's own operating system gave."""

    identity: Identity
    adapters: tuple[Device, ...] | None = None
    disks: tuple[PhysicalDisk, ...] | None = None
    paths: tuple[DiskPath, ...] | None = None
    rmc: Subsystem | None = None
    #: For the forecast. A missing figure is no gap: no check needs it.
    memory: MemoryUse | None = None
    #: Cluster software that runs there.
    clusters: tuple[ClusterMember, ...] | None = None

    @property
    def answered(self) -> bool:
        """True where the login worked: some question at least was answered."""
        return any(fact is not None for fact in (self.adapters, self.disks, self.paths, self.rmc, self.clusters))


@dataclass(frozen=True, slots=True)
class KeyTest:
    """The answer of ``mkauthkeys --test``."""

    status: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Survey:
    """The facts about moving one partition from one frame to another, and the gaps."""

    partition: str
    source: SystemFacts
    target: SystemFacts
    guest: Guest | None = None
    migration: MigrationReading | None = None
    physical_slots: tuple[PhysicalSlot, ...] | None = None
    keys: KeyTest | None = None
    gaps: tuple[Gap, ...] = ()
    #: One manager has both frames, so there are no keys between managers to be tested.
    one_manager: bool = False
    #: Movers that reach each other, and candidates for the adapters; only the managers know them.
    #: ``None`` is not known, or there is nothing to choose.
    mover_pairs: tuple[MoverPair, ...] | None = None
    places: Places | None = None
    #: The 90th percentile of the predicted suspension, in seconds.
    expected_suspension_s: float | None = None
    #: The SAP systems in the partition that the site file names.
    sap: tuple[SapSnapshot, ...] = ()
    #: The databases in the partition that the site file says how to log on to; asked before a move only.
    databases: tuple[DatabaseSnapshot, ...] = ()
    #: The attributes of the order (``migrlpar -i``); ``None`` in a survey that belongs to no order.
    mapping: Mapping[str, str] | None = None
    #: The options of the order (`lpmkit.control.move_options`).
    options: Mapping[str, str] | None = None

    @property
    def frames(self) -> tuple[Frame | None, Frame | None]:
        """Source and target as their managers list them."""
        return self.source.frame, self.target.frame

    @property
    def moving(self) -> Partition | None:
        """The partition as the source's manager lists it."""
        return self.source.partition(self.partition)

    @property
    def operating_system(self) -> OperatingSystem | None:
        """The operating system of the partition: as the manager lists it, else as its own identity shows; ``None`` if
        neither.
        """
        listed = self.moving.operating_system if self.moving else None
        if listed is not None or self.guest is None:
            return listed
        own = self.guest.identity.system
        return next((system for system in OperatingSystem if system.value == own), None)

    def why_not(self, what: str, where: str) -> str:
        """The reason of a gap, or that the fact was not read."""
        reasons = [gap.why for gap in self.gaps if gap.what == what and gap.where == where]
        return reasons[0] if reasons else f"not read from {where}: {what}"

    def expecting(self, suspension_s: float | NoForecast) -> Survey:
        """The survey with the 90th percentile of the predicted suspension, in seconds; or with the reason why there is
        none among its gaps.
        """
        if isinstance(suspension_s, NoForecast):
            return replace(self, gaps=(*self.gaps, Gap(_SUSPENSION, self.partition, suspension_s.why)))
        return replace(self, expected_suspension_s=suspension_s)

    @property
    def why_no_suspension(self) -> str:
        """The reason why there is no prediction of the suspension."""
        reasons = [gap.why for gap in self.gaps if gap.what == _SUSPENSION]
        return f"there is no prediction of the suspension{f': {reasons[0]}' if reasons else ''}"

    def to_dict(self) -> JsonObject:
        """The survey as JSON values; `from_dict` brings it back whole."""
        document: JsonObject = _kept_form().dump_python(self, mode="json")
        return document

    @classmethod
    def from_dict(cls, document: JsonMapping) -> Survey:
        """A survey that was kept with `to_dict`. Raises `pydantic.ValidationError` for something else."""
        return _kept_form().validate_python(document)


@cache
def _kept_form() -> TypeAdapter[Survey]:
    """The form in which a survey is kept; to make it takes longer than to read a hundred surveys."""
    return TypeAdapter(Survey)


class Backing(StrEnum):
    """The kinds of device behind a virtual target."""

    DISK = "disk"
    POOL_UNIT = "logical unit of a shared storage pool"
    FILE = "file"
    OPTICAL = "optical media"
    TAPE = "tape drive"
    NOTHING = "nothing"
    OTHER = "a logical volume, or of a kind that is not recognised"


#: A logical unit as ``lsmap -all`` prints it: its name, a dot, and its identifier in hexadecimal digits (A, a field
#: capture).
_POOL_UNIT = re.compile(r".+\.[0-9a-f]{16,}", re.IGNORECASE)
#: Names of disks on an I/O server: MPIO and PCM disks, PowerPath and SDD ones (`SNAP`, A; the last two D).
_DISK = re.compile(r"(hdisk|hdiskpower|vpath)\d+(@.+)?")


#: The repository of virtual optical media, where media have any name (A `NOVA-IVM`).
MEDIA_LIBRARY = "/var/vio/VMLibrary/"


def is_physical_drive(target: VirtualTarget) -> bool:
    """True for a drive of the I/O server itself that a partition was given."""
    return re.fullmatch(r"cd\d+(@.+)?", target.backing) is not None


def backing_kind(target: VirtualTarget) -> Backing:
    """The kind of device behind a virtual target, by its name and that of the target (`SNAP`, `ZIU`, A; tape D).

    >>> backing_kind(VirtualTarget("rvg", "0x81", "rvg_lu.6a9f00c1b2d34e5f60718293a4b5c6d7")).name
    'POOL_UNIT'
    >>> names = ("hdisk5", "lv02", "/var/vio/x", "rmt0", "cd0", "/var/vio/VMLibrary/aix72_dvd1", "")
    >>> [backing_kind(VirtualTarget("a", "0x81", name)).name for name in names]
    ['DISK', 'OTHER', 'FILE', 'TAPE', 'OPTICAL', 'OPTICAL', 'NOTHING']
    """
    name, backing = target.name, target.backing
    in_a_tray = name.startswith("vtopt") or backing.startswith(MEDIA_LIBRARY) or backing.endswith(".iso")
    if in_a_tray or is_physical_drive(target):
        return Backing.OPTICAL
    if name.startswith("vttape") or re.fullmatch(r"rmt\d+(@.+)?", backing):
        return Backing.TAPE
    if not backing:
        return Backing.NOTHING
    if backing.startswith("/"):
        return Backing.FILE
    if _POOL_UNIT.fullmatch(backing):
        return Backing.POOL_UNIT
    return Backing.DISK if _DISK.fullmatch(backing) else Backing.OTHER


def servers_of(survey: Survey) -> tuple[VirtualScsiServer, ...] | None:
    """The source's server adapters that serve the partition; ``None`` where a list is missing.

    They are found by the partition's id. An adapter whose client is not connected has 0 and is found by its slot, from
    the manager's list.
    """
    moving, vios = survey.moving, survey.source.vios
    if moving is None or vios is None or vios.scsi_servers is None:
        return None
    slots = {
        adapter.remote_slot
        for adapter in survey.source.scsi_adapters or ()
        if adapter.lpar_id == moving.lpar_id and adapter.adapter_type == "client"
    }
    return tuple(
        server
        for server in vios.scsi_servers
        if server.client_lpar_id == moving.lpar_id or (server.client_lpar_id == 0 and server.slot in slots)
    )


def keeps_its_name(target_device: str) -> bool:
    """True for a virtual target that keeps its name over a move; a generated name is not kept.

    >>> keeps_its_name("bxaix85_rvg"), keeps_its_name("vtscsi2")
    (True, False)
    """
    return not (
        target_device.startswith(GENERATED_TARGET_NAMES)
        and target_device.removeprefix(GENERATED_TARGET_NAMES).isdigit()
    )


def disk_named(side: SystemFacts, name: str) -> PhysicalDisk | None:
    """The disk of that name on a side's I/O servers."""
    disks = side.vios.disks if side.vios else None
    return next((disk for disk in disks or () if disk.name == name), None)


def same_disk(side: SystemFacts, wanted: PhysicalDisk) -> tuple[PhysicalDisk | None, str | None]:
    """The same LUN on another side and its proof: ``unique_id``, which decides, or else the PVID."""
    disks = (side.vios.disks if side.vios else None) or ()
    if wanted.unique_id:
        for disk in disks:
            if disk.unique_id == wanted.unique_id:
                return disk, "unique_id and PVID" if disk.pvid and disk.pvid == wanted.pvid else "unique_id"
    for disk in disks:
        if wanted.pvid and disk.pvid == wanted.pvid and not (disk.unique_id and wanted.unique_id):
            return disk, "PVID"
    return None, None


def adapters_of(survey: Survey) -> tuple[VirtualEthernetAdapter, ...] | None:
    """The partition's virtual Ethernet adapters; ``None`` when they could not be listed."""
    moving, listed = survey.moving, survey.source.ethernet_adapters
    if moving is None or listed is None:
        return None
    return tuple(adapter for adapter in listed if adapter.lpar_id == moving.lpar_id)


def same_disks(side: SystemFacts, wanted: PhysicalDisk) -> tuple[PhysicalDisk, ...]:
    """The disks on another side that are this LUN, at most one for each I/O server."""
    first, how = same_disk(side, wanted)
    if first is None:
        return ()
    if how == "PVID":
        return (first,)
    return tuple(disk for disk in (side.vios.disks if side.vios else None) or () if disk.unique_id == wanted.unique_id)


#: The status of a device that is configured; very old levels of ``lsmap`` print none (`ZIU`, A).
AVAILABLE = "Available"
#: States of an SEA that forwards packets; a failover SEA prints one, another SEA none (A, field captures).
FORWARDING = frozenset({None, "PRIMARY", "PRIMARY_SH", "BACKUP_SH"})
#: States of an SEA that waits for its partner to fail.
WAITING = frozenset({"BACKUP", "STANDBY"})


def is_configured(device: VirtualTarget | SharedEthernet) -> bool:
    """False for a device that the VIOS knows and does not serve (``Status`` of ``lsmap``: ``Defined``, ``Stopped``)."""
    return device.status in (None, AVAILABLE)


def forwards(bridge: SharedEthernet) -> bool:
    """True for an SEA that forwards packets now, by its failover state and its physical link."""
    return is_configured(bridge) and bridge.state in FORWARDING and bridge.link_up is not False


def bridges_for(side: SystemFacts, vlan: int, vswitch: str | None = None) -> tuple[SharedEthernet, ...] | None:
    """The SEAs of a side that bridge a VLAN, one for each trunk; ``None`` when the side could not be read."""
    vios = side.vios
    if vios is None or vios.trunks is None or vios.shared_ethernets is None:
        return None
    by_adapter = {bridge.virtual_adapter: bridge for bridge in vios.shared_ethernets if bridge.sea}
    return tuple(
        by_adapter[trunk.adapter]
        for trunk in vios.trunks
        if trunk.adapter in by_adapter
        and vlan in trunk.vlans
        and (vswitch is None or trunk.vswitch is None or trunk.vswitch == vswitch)
    )


def bridge_for(side: SystemFacts, vlan: int, vswitch: str | None = None) -> str | None:
    """The SEA of a side that bridges a VLAN, one that forwards before others; ``None`` when there is none."""
    bridges = sorted(bridges_for(side, vlan, vswitch) or (), key=lambda bridge: not forwards(bridge))
    return bridges[0].sea if bridges else None
