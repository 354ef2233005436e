"""PowerVM nouns: frames, their I/O servers, partitions, disks, adapters.

Frozen values in the terms of the manuals. ``None`` means *not known*, never zero and never "no".
Memory is in MB as the managers print it, processing power in units (1.0 is one processor).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Frame:
    """A managed system: a blade under IVM, a server under an HMC (``lssyscfg -r sys``, ``lshwres --level sys``)."""

    name: str
    type_model: str
    serial: str
    state: str | None = None
    capabilities: tuple[str, ...] = ()
    proc_compat_modes: tuple[str, ...] = ()
    memory_configurable_mb: int | None = None
    memory_available_mb: int | None = None
    memory_region_mb: int | None = None
    proc_units_configurable: float | None = None
    proc_units_available: float | None = None
    active_migrations_supported: int | None = None
    active_migrations_in_progress: int | None = None
    inactive_migrations_supported: int | None = None
    inactive_migrations_in_progress: int | None = None

    @property
    def machine(self) -> str:
        """Type, model and serial as firmware writes them, ``7998-61X*10071DA``."""
        return f"{self.type_model}*{self.serial}"

    @property
    def virtual_fc_capable(self) -> bool | None:
        """True if it supports virtual Fibre Channel; ``None`` where the manager lists no capabilities."""
        return "virtual_fc_capable" in self.capabilities if self.capabilities else None

    @property
    def active_mobility_capable(self) -> bool:
        """True with PowerVM Enterprise, which shows as this capability (C `NOVA-IVM`, A `ZIU`)."""
        return "active_lpar_mobility_capable" in self.capabilities

    @property
    def generation(self) -> int | None:
        """The POWER generation: the highest processor compatibility mode that the manager lists (A `ZIU`).

        >>> Frame("s", "8286-42A", "1", proc_compat_modes=("default", "POWER6+", "POWER7", "POWER8")).generation
        8
        """
        return self._newest_mode()[0]

    @property
    def highest_mode(self) -> str | None:
        """The processor compatibility mode of the newest generation that the manager lists, the last of several.

        >>> Frame("s", "9105-22A", "1", proc_compat_modes=("default", "POWER10", "POWER9", "POWER9_base")).highest_mode
        'POWER10'
        """
        return self._newest_mode()[1]

    def _newest_mode(self) -> tuple[int | None, str | None]:
        matches = [re.match(r"POWER(\d+)", mode, re.IGNORECASE) for mode in self.proc_compat_modes]
        numbered = [(int(match[1]), match.string) for match in matches if match]
        return max(reversed(numbered), key=lambda mode: mode[0], default=(None, None))


class OperatingSystem(StrEnum):
    """The operating system of a partition, from its environment and level in the manager's listing."""

    AIX = "AIX"
    LINUX = "Linux"
    IBM_I = "IBM i"
    VIOS = "VIOS"


@dataclass(frozen=True, slots=True)
class Partition:
    """One logical partition as its manager lists it (``lssyscfg -r lpar`` and ``lshwres --level lpar``)."""

    name: str
    lpar_id: int
    state: str
    environment: str | None = None
    os_version: str | None = None
    logical_serial: str | None = None
    rmc_state: str | None = None
    rmc_ipaddr: str | None = None
    dlpar_mem_capable: bool | None = None
    dlpar_proc_capable: bool | None = None
    work_group: str | None = None
    redundant_error_path_reporting: bool | None = None
    proc_compat_mode: str | None = None
    memory_mb: int | None = None
    huge_pages: int | None = None
    proc_units: float | None = None
    virtual_processors: int | None = None
    proc_mode: str | None = None
    max_virtual_slots: int | None = None
    msp: bool | None = None
    #: The shared processor pool; ``None`` for dedicated processors, or if the manager does not report it.
    pool_id: int | None = None
    pool: str | None = None
    #: The name of the profile that the partition was last activated with.
    profile: str | None = None
    time_reference: bool | None = None
    desired_proc_compat_mode: str | None = None
    remote_restart_capable: bool | None = None
    suspend_capable: bool | None = None
    mobility_disabled: bool | None = None
    #: ``ded`` or ``shared``: whether its memory is its own.
    memory_mode: str | None = None
    affinity_group: str | None = None
    simplified_remote_restart_capable: bool | None = None
    #: Of IBM i: whether it may own virtual adapters only.
    restricted_io: bool | None = None
    vtpm_enabled: bool | None = None
    #: The size of the platform keystore; 0 where the partition has none.
    keystore_kb: int | None = None
    #: The memory that the partition gets when it is activated next, where the manager lists it.
    pending_memory_mb: int | None = None
    pending_proc_units: float | None = None
    pending_processors: int | None = None

    @property
    def is_vios(self) -> bool:
        """True for a virtual I/O server."""
        return self.environment == "vioserver"

    @property
    def operating_system(self) -> OperatingSystem | None:
        """The operating system by environment (``os400``, ``vioserver``) or level; ``None`` if neither identifies it
        (`ZIU`, A).

        >>> Partition("a", 3, "Running", "aixlinux", "Linux/Red Hat 5.14.0 9.2 (Plow)").operating_system
        <OperatingSystem.LINUX: 'Linux'>
        >>> Partition("a", 3, "Running", "aixlinux", "Unknown").operating_system is None
        True
        """
        if self.environment == "os400":
            return OperatingSystem.IBM_I
        if self.is_vios:
            return OperatingSystem.VIOS
        version = self.os_version or ""
        prefixes = {"AIX": OperatingSystem.AIX, "Linux": OperatingSystem.LINUX, "VIOS": OperatingSystem.VIOS}
        prefixes |= {"IBM i": OperatingSystem.IBM_I, "OS/400": OperatingSystem.IBM_I, "i5/OS": OperatingSystem.IBM_I}
        return next((system for prefix, system in prefixes.items() if version.startswith(prefix)), None)


@dataclass(frozen=True, slots=True)
class VirtualScsiAdapter:
    """One end of a virtual SCSI pair (``lshwres -r virtualio --rsubtype scsi --level lpar``)."""

    partition: str
    lpar_id: int
    slot: int
    adapter_type: str
    remote_partition: str | None = None
    remote_lpar_id: int | None = None
    remote_slot: int | None = None
    required: bool | None = None


@dataclass(frozen=True, slots=True)
class VirtualEthernetAdapter:
    """One virtual Ethernet adapter (``--rsubtype eth``)."""

    partition: str
    lpar_id: int
    slot: int
    port_vlan_id: int
    additional_vlan_ids: tuple[int, ...] = ()
    is_trunk: bool = False
    mac: str | None = None
    vswitch: str | None = None

    @property
    def vlans(self) -> tuple[int, ...]:
        """The port VLAN and the tagged ones."""
        return (self.port_vlan_id, *self.additional_vlan_ids)


@dataclass(frozen=True, slots=True)
class VirtualFcAdapter:
    """One end of a virtual Fibre Channel pair (``--rsubtype fc``).

    A client adapter has two WWPNs, lower case; the second one is for a move.
    """

    partition: str
    lpar_id: int
    slot: int
    adapter_type: str
    remote_partition: str | None = None
    remote_lpar_id: int | None = None
    remote_slot: int | None = None
    required: bool | None = None
    wwpns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VnicBacking:
    """A backing device of a virtual NIC: a logical SR-IOV port, served by an I/O server. ``capacity`` is in percent."""

    server: str
    server_id: int
    adapter: int
    port: int
    logical_port: str | None = None
    capacity: float | None = None
    priority: int | None = None
    active: bool | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class VnicAdapter:
    """A client's virtual NIC (``--rsubtype vnic``)."""

    partition: str
    lpar_id: int
    slot: int
    mac: str | None = None
    port_vlan_id: int | None = None
    backing: tuple[VnicBacking, ...] = ()


@dataclass(frozen=True, slots=True)
class SriovPort:
    """A physical port of an SR-IOV adapter (``lshwres -r sriov --rsubtype physport``); ``up`` with a link."""

    adapter: int
    port: int
    location: str | None = None
    label: str | None = None
    up: bool | None = None


@dataclass(frozen=True, slots=True)
class SriovLogicalPort:
    """A logical SR-IOV port that a partition owns itself (``lshwres -r sriov --rsubtype logport``).

    ``level`` is ``eth`` or ``roce``. A ``migratable`` one has a virtual backup device and moves with ``--migsriov``.
    ``port`` is the physical port, ``capacity`` its share of that in percent.
    """

    partition: str
    lpar_id: int
    adapter: int
    logical_port: str
    level: str = "eth"
    migratable: bool | None = None
    port: int | None = None
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class PagingDevice:
    """A paging space device of a shared memory pool (``lshwres -r mempool --rsubtype pgdev``), ``size`` in MB."""

    name: str
    size_mb: int | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class MemoryPool:
    """The shared memory pool of a system (``lshwres -r mempool``), memory in MB."""

    size_mb: int
    available_mb: int | None = None
    paging_devices: tuple[PagingDevice, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A shared processor pool (``lshwres -r procpool``); pool 0 is the default one and has no limit."""

    number: int
    name: str
    max_units: float | None = None
    reserved_units: float | None = None


@dataclass(frozen=True, slots=True)
class AffinityScore:
    """The affinity of a partition's processors and memory (``lsmemopt -o currscore``): 0 is the worst, 100 perfect.

    ``None`` where the manager gives the partition no score.
    """

    partition: str
    lpar_id: int
    score: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A partition profile (``lssyscfg -r prof``), with every field as the manager prints it."""

    name: str
    partition: str
    lpar_id: int
    record: str


@dataclass(frozen=True, slots=True)
class MoverPair:
    """Two mover service partitions that reach each other, with their addresses (``lslparmigr -r msp``)."""

    source: str
    source_id: int
    source_address: str
    target: str
    target_id: int
    target_address: str
    #: The console knows redundant movers, and so can use this pair beside another.
    redundant: bool = False

    @property
    def words(self) -> str:
        """Both movers with their addresses, as far as they are known.

        >>> MoverPair("a1", 1, "192.0.2.1", "b2", 2, "").words
        'a1 (192.0.2.1) → b2'
        """
        ends = ((self.source, self.source_address), (self.target, self.target_address))
        return " → ".join(f"{name} ({address})" if address else name for name, address in ends)


@dataclass(frozen=True, slots=True)
class Place:
    """An I/O server of the target for the adapter in a client's slot, as ``lslparmigr -r virtualio`` names it."""

    slot: int
    server: str
    server_id: int


@dataclass(frozen=True, slots=True)
class Places:
    """Candidates: the I/O servers of the target for each adapter, possible and suggested by the manager."""

    scsi: tuple[Place, ...] = ()
    scsi_suggested: tuple[Place, ...] = ()
    fc: tuple[Place, ...] = ()
    fc_suggested: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class PhysicalSlot:
    """A physical adapter slot owned by a partition (``lshwres -r io --rsubtype slot``)."""

    drc_name: str
    description: str
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class VirtualTarget:
    """One virtual target device, which a client sees as a disk, drive or tape (``lsmap -all``)."""

    name: str
    lun: str
    backing: str
    status: str | None = None
    physloc: str | None = None
    mirrored: str | None = None


@dataclass(frozen=True, slots=True)
class VirtualScsiServer:
    """A virtual SCSI server adapter of a VIOS with its virtual targets (``lsmap -all``)."""

    name: str
    physloc: str
    client_lpar_id: int
    targets: tuple[VirtualTarget, ...] = ()

    @property
    def slot(self) -> int | None:
        """The virtual slot, from the location's ``-C`` part; it ties a vhost to the client's adapter.

        >>> VirtualScsiServer("vhost0", "U7998.61X.10071DA-V1-C11", 2).slot
        11
        """
        return _slot_of(self.physloc)


@dataclass(frozen=True, slots=True)
class VirtualFcServer:
    """A virtual Fibre Channel server adapter of a VIOS (``lsmap -all -npiv``).

    ``port`` is its physical port, if any.
    """

    name: str
    physloc: str
    client_lpar_id: int
    client: str | None = None
    client_os: str | None = None
    status: str | None = None
    port: str | None = None
    port_location: str | None = None
    ports_logged_in: int | None = None
    flags: str | None = None
    client_device: str | None = None
    client_location: str | None = None

    @property
    def slot(self) -> int | None:
        """The virtual slot, from the location's ``-C`` part.

        >>> VirtualFcServer("vfchost0", "U8286.42A.21A3F5C-V1-C21", 4).slot
        21
        """
        return _slot_of(self.physloc)


@dataclass(frozen=True, slots=True)
class FcPort:
    """A physical Fibre Channel port for virtual adapters (``lsnports``): ports and WWPNs, in all and left."""

    name: str
    location: str
    fabric: bool
    ports: int
    ports_left: int
    wwpns: int
    wwpns_left: int


def _slot_of(physloc: str) -> int | None:
    parts = [part for part in physloc.split("-") if part[:1] == "C" and part[1:].isdigit()]
    return int(parts[-1][1:]) if parts else None


@dataclass(frozen=True, slots=True)
class SharedEthernet:
    """A virtual trunk adapter and the SEA over it (``lsmap -all -net``); ``sea`` is ``None`` where there is none.

    ``state`` is that of a failover SEA (``PRIMARY``, ``BACKUP``, ``LIMBO``, …), ``link_up`` that of its physical ports
    (``entstat -all``); both are ``None`` where the page does not print them.
    """

    virtual_adapter: str
    physloc: str
    sea: str | None = None
    backing: str | None = None
    status: str | None = None
    backing_physloc: str | None = None
    state: str | None = None
    link_up: bool | None = None


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A virtual I/O server in the cluster of a shared storage pool (``cluster -status``)."""

    name: str
    machine: str
    state: str
    pool_state: str | None = None


@dataclass(frozen=True, slots=True)
class StorageCluster:
    """The cluster that a virtual I/O server belongs to, which serves its shared storage pools."""

    name: str
    state: str
    nodes: tuple[ClusterNode, ...] = ()


@dataclass(frozen=True, slots=True)
class PhysicalDisk:
    """A disk of a VIOS (``lspv``, ``lsdev -dev hdiskN -attr``)."""

    name: str
    pvid: str | None = None
    volume_group: str | None = None
    unique_id: str | None = None
    reserve_policy: str | None = None
    size_mb: int | None = None


@dataclass(frozen=True, slots=True)
class DiskPath:
    """One path of a disk (``lspath``, ``pcmpath query device``)."""

    disk: str
    status: str
    parent: str
    connection: str = ""


@dataclass(frozen=True, slots=True)
class MultipathPath:
    """One row of ``pcmpath query device``."""

    number: int
    path: str
    state: str
    mode: str
    selected: int
    errors: int
    preferred: bool = True

    @property
    def healthy(self) -> bool:
        """True for OPEN (in use) or CLOSE (opened by nothing), with mode NORMAL."""
        return self.state in ("OPEN", "CLOSE") and self.mode == "NORMAL"


@dataclass(frozen=True, slots=True)
class MultipathDisk:
    """A disk as SDDPCM lists it (``pcmpath query device``)."""

    disk: str
    serial: str
    algorithm: str
    device_type: str
    paths: tuple[MultipathPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Trunk:
    """A virtual trunk adapter below an SEA (``entstat -all``)."""

    adapter: str
    port_vlan_id: int
    vlan_tags: tuple[int, ...] = ()
    active: bool | None = None
    vswitch: str | None = None

    @property
    def vlans(self) -> tuple[int, ...]:
        """The port VLAN and the tagged ones."""
        return (self.port_vlan_id, *self.vlan_tags)


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """A row of ``errpt`` or ``errlog``; ``stamp`` is as printed, ``MMDDhhmmYY`` in the machine's local time."""

    identifier: str
    stamp: str
    error_type: str
    error_class: str
    resource: str
    description: str


@dataclass(frozen=True, slots=True)
class Device:
    """A row of ``lsdev``."""

    name: str
    status: str
    description: str
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Vios:
    """A virtual I/O server; under IVM it is also the manager and the mover.

    A group that is ``None`` could not be read; an empty one was read and holds nothing. ``media`` are the virtual
    optical devices with their media, ``None`` for an empty tray. ``clusters`` is asked for only where a partition
    has a disk of a shared storage pool.
    """

    name: str
    level: str | None = None
    scsi_servers: tuple[VirtualScsiServer, ...] | None = None
    shared_ethernets: tuple[SharedEthernet, ...] | None = None
    trunks: tuple[Trunk, ...] | None = None
    disks: tuple[PhysicalDisk, ...] | None = None
    paths: tuple[DiskPath, ...] | None = None
    multipath: tuple[MultipathDisk, ...] | None = None
    devices: tuple[Device, ...] | None = None
    media: tuple[tuple[str, str | None], ...] | None = None
    fc_servers: tuple[VirtualFcServer, ...] | None = None
    fc_ports: tuple[FcPort, ...] | None = None
    clusters: tuple[StorageCluster, ...] | None = None
    #: Level of the system's firmware, such as ``EA350_038``.
    firmware: str | None = None
