"""What there is: frames, their I/O servers, partitions, disks, adapters.

Plain frozen values, in the words of the manuals. ``None`` means *not known* (nobody could or would say), never zero,
never "no". Memory is in MB as the managers print it, processing power in units (1.0 is one processor).
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
        """The name that firmware knows it by, ``7998-61X*10071DA``."""
        return f"{self.type_model}*{self.serial}"

    @property
    def active_mobility_capable(self) -> bool:
        """PowerVM Enterprise shows as this capability (powervm.md 1.6, 4.3 #1)."""
        return "active_lpar_mobility_capable" in self.capabilities


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

    @property
    def is_vios(self) -> bool:
        return self.environment == "vioserver"


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
        return (self.port_vlan_id, *self.additional_vlan_ids)


@dataclass(frozen=True, slots=True)
class PhysicalSlot:
    """A physical adapter slot owned by a partition (``lshwres -r io --rsubtype slot``)."""

    drc_name: str
    description: str
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class VirtualTarget:
    """One virtual target device: what a client sees as a disk (``lsmap -all``)."""

    name: str
    lun: str
    backing: str
    status: str | None = None
    physloc: str | None = None
    mirrored: str | None = None


@dataclass(frozen=True, slots=True)
class VirtualScsiServer:
    """A virtual SCSI server adapter of a VIOS and what hangs on it (``lsmap -all``)."""

    name: str
    physloc: str
    client_lpar_id: int
    targets: tuple[VirtualTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class SharedEthernet:
    """A virtual trunk adapter and the SEA over it (``lsmap -all -net``); ``sea`` is ``None`` where none was found."""

    virtual_adapter: str
    physloc: str
    sea: str | None = None
    backing: str | None = None
    status: str | None = None
    backing_physloc: str | None = None
    vlans: tuple[int, ...] = ()


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
class Device:
    """A row of ``lsdev``."""

    name: str
    status: str
    description: str


@dataclass(frozen=True, slots=True)
class Vios:
    """A virtual I/O server; under IVM it is also the manager and the mover."""

    name: str
    level: str | None = None
    scsi_servers: tuple[VirtualScsiServer, ...] = ()
    shared_ethernets: tuple[SharedEthernet, ...] = ()
    disks: tuple[PhysicalDisk, ...] = ()
    paths: tuple[DiskPath, ...] = ()
    devices: tuple[Device, ...] = ()
    media: tuple[tuple[str, str], ...] = field(default=())
