"""What there is: frames, their I/O servers, partitions, disks, adapters.

Plain frozen values, in the words of the manuals. ``None`` means *not known* (nobody could or would say), never zero,
never "no". Memory is in MB as the managers print it, processing power in units (1.0 is one processor).
"""

from __future__ import annotations

from dataclasses import dataclass


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
    max_virtual_slots: int | None = None
    msp: bool | None = None

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

    @property
    def slot(self) -> int | None:
        """The virtual slot, from the location's ``-C`` part; what ties a vhost to the client's adapter.

        >>> VirtualScsiServer("vhost0", "U7998.61X.10071DA-V1-C11", 2).slot
        11
        """
        parts = [part for part in self.physloc.split("-") if part[:1] == "C" and part[1:].isdigit()]
        return int(parts[-1][1:]) if parts else None


@dataclass(frozen=True, slots=True)
class SharedEthernet:
    """A virtual trunk adapter and the SEA over it (``lsmap -all -net``); ``sea`` is ``None`` where none was found."""

    virtual_adapter: str
    physloc: str
    sea: str | None = None
    backing: str | None = None
    status: str | None = None
    backing_physloc: str | None = None


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
        """OPEN where the device is in use, CLOSE where nothing has opened it, NORMAL in both."""
        return self.state in ("OPEN", "CLOSE") and self.mode == "NORMAL"


@dataclass(frozen=True, slots=True)
class MultipathDisk:
    """A disk as SDDPCM sees it (``pcmpath query device``)."""

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

    A group that is ``None`` could not be looked at; an empty one was looked at and holds nothing. ``media`` are the virtual
    optical devices with what is loaded in them, ``None`` for an empty tray.
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
