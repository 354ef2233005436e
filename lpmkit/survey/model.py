"""Values of a survey: both ends of a move, the partition seen from inside, and the gaps.

A fact that could not be gathered is ``None``, and a `Gap` names what could not be looked at, where and why. `lpmkit.checks` reads a survey;
it can be kept as JSON and judged again later, without a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from lpmkit.control.aix import Identity, Subsystem
from lpmkit.control.aix_memory import MemoryUse
from lpmkit.control.base import MigrationReading
from lpmkit.control.clusters import ClusterMember
from lpmkit.inventory import (
    Device,
    DiskPath,
    Frame,
    MoverPair,
    Partition,
    PhysicalDisk,
    PhysicalSlot,
    Places,
    Pool,
    Profile,
    SriovPort,
    Vios,
    VirtualEthernetAdapter,
    VirtualFcAdapter,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VnicAdapter,
)
from lpmkit.sap.model import SapSnapshot

#: Names that a VIOS makes up itself and does not keep over a move (B `IBMDOC:p8hc3_ivmprocess`).
GENERATED_TARGET_NAMES = "vtscsi"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be looked at: which fact, on which machine, and what came instead of it."""

    what: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """One end of the move. ``None`` is "could not look"; an empty tuple was looked at and holds nothing.

    ``manager`` is ``ivm`` or ``hmc``. Under an HMC with several I/O servers ``vios`` holds what all of them have, see `together`.
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
    """What the partition's own operating system says."""

    identity: Identity
    adapters: tuple[Device, ...] | None = None
    disks: tuple[PhysicalDisk, ...] | None = None
    paths: tuple[DiskPath, ...] | None = None
    rmc: Subsystem | None = None
    #: What a forecast can use. Whatever a level lacks of it is no gap: no check needs it.
    memory: MemoryUse | None = None
    #: Cluster software that runs there.
    clusters: tuple[ClusterMember, ...] | None = None


@dataclass(frozen=True, slots=True)
class KeyTest:
    """What ``mkauthkeys --test`` answered."""

    status: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Survey:
    """The facts about moving one partition from one frame to another, and what could not be gathered."""

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
    #: What only the managers can say of the target: movers that can talk, places for adapters. ``None`` is not known, or there is nothing to choose.
    mover_pairs: tuple[MoverPair, ...] | None = None
    places: Places | None = None
    #: How long the suspension will be in nine of ten moves, where somebody could say.
    expected_suspension_s: float | None = None
    #: The SAP systems in the partition that the site file names.
    sap: tuple[SapSnapshot, ...] = ()

    @property
    def moving(self) -> Partition | None:
        """The partition as the source's manager lists it."""
        return self.source.partition(self.partition)

    def why_not(self, what: str, where: str) -> str:
        """The reason of a gap, or a sentence that nobody looked."""
        reasons = [gap.why for gap in self.gaps if gap.what == what and gap.where == where]
        return reasons[0] if reasons else f"{where} did not say: {what}"

    def to_dict(self) -> dict[str, Any]:
        """The survey as JSON values; `from_dict` brings it back whole."""
        document: dict[str, Any] = TypeAdapter(Survey).dump_python(self, mode="json")
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Survey:
        """A survey that was kept with `to_dict`. Raises `pydantic.ValidationError` for something else."""
        return TypeAdapter(Survey).validate_python(document)


def servers_of(survey: Survey) -> tuple[VirtualScsiServer, ...] | None:
    """The source's server adapters that serve the partition; ``None`` when that cannot be told.

    They are found by the partition's id; an adapter whose client is not connected shows 0 and is found by its slot, from the
    manager's list.
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
    """Whether a virtual target keeps its name over a move: one that a person named does, a generated one does not.

    >>> keeps_its_name("bxaix85_rvg"), keeps_its_name("vtscsi2")
    (True, False)
    """
    return not (
        target_device.startswith(GENERATED_TARGET_NAMES)
        and target_device.removeprefix(GENERATED_TARGET_NAMES).isdigit()
    )


def disk_named(side: SystemFacts, name: str) -> PhysicalDisk | None:
    disks = side.vios.disks if side.vios else None
    return next((disk for disk in disks or () if disk.name == name), None)


def same_disk(side: SystemFacts, wanted: PhysicalDisk) -> tuple[PhysicalDisk | None, str | None]:
    """The same LUN on another side and how it was recognised: by ``unique_id``, which decides, or else by PVID."""
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
    """Every sight of that LUN on another side: each of its I/O servers may have one."""
    first, how = same_disk(side, wanted)
    if first is None:
        return ()
    if how == "PVID":
        return (first,)
    return tuple(disk for disk in (side.vios.disks if side.vios else None) or () if disk.unique_id == wanted.unique_id)


def bridge_for(side: SystemFacts, vlan: int, vswitch: str | None = None) -> str | None:
    """The SEA of a side that bridges a VLAN; ``None`` when there is none, or the side could not be read."""
    vios = side.vios
    if vios is None or vios.trunks is None or vios.shared_ethernets is None:
        return None
    seas = {bridge.virtual_adapter: bridge.sea for bridge in vios.shared_ethernets if bridge.sea}
    for trunk in vios.trunks:
        same_switch = vswitch is None or trunk.vswitch is None or trunk.vswitch == vswitch
        if vlan in trunk.vlans and same_switch:
            return seas.get(trunk.adapter)
    return None
