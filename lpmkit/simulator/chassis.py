"""The world: two frames, their VIOS, disks and partitions, and their states. No I/O and no clock in here.

A `World` is an immutable value. Every command line prints from one, every check judges one, and a move is a sequence of
them; so a listing never shows half of a change. `Chassis` holds the present one and exchanges it under a lock.

What is free (memory, processors, slots, numbers) is never stored: it is what the others leave.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from lpmkit.simulator.sap.installation import Installation

RUNNING = "Running"
NOT_ACTIVATED = "Not Activated"
MIGRATING_RUNNING = "Migrating - Running"
MIGRATING_NOT_ACTIVATED = "Migrating - Not Activated"
NOT_MIGRATING = "Not Migrating"
OPERATING = "Operating"
POWER_OFF = "Power Off"

FIRST_SERVER_SLOT = 11
"""The first slot that IVM gives to a virtual SCSI server adapter (seen on a JS22: ``V1-C11``, `GIB-JS22`)."""


DEFAULT_VSWITCH = "ETHERNET0"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as one VIOS sees it. ``lun`` is ``None`` for a disk inside the blade."""

    name: str
    pvid: str
    unique_id: str
    size_mb: int
    lun: str | None = None
    volume_group: str | None = None
    reserve_policy: str = "no_reserve"
    failed_paths: int = 0


@dataclass(frozen=True, slots=True)
class Sea:
    """A shared Ethernet adapter: which VLANs a frame's virtual switch is bridged to."""

    name: str
    backing: str
    trunk: str
    slot: int
    port_vlan_id: int
    additional_vlan_ids: tuple[int, ...]
    mac: str
    vswitch: str = DEFAULT_VSWITCH
    priority: int = 1
    #: A failover state other than the one that follows from the priority: ``LIMBO`` of an SEA whose physical link is
    #: down.
    state: str = ""

    @property
    def vlans(self) -> tuple[int, ...]:
        return (self.port_vlan_id, *self.additional_vlan_ids)


@dataclass(frozen=True, slots=True)
class LoggedError:
    """An entry of an error log: ``wall_s`` is the time of day, ``machine_id`` what ``uname -m`` said then."""

    wall_s: float
    identifier: str
    label: str
    type: str
    error_class: str
    resource: str
    description: str
    machine_id: str = ""


@dataclass(frozen=True, slots=True)
class FcPort:
    """A physical Fibre Channel port of a VIOS that virtual adapters may use (``lsnports``); ``fabric`` is the switch
    it is plugged into.
    """

    name: str
    location: str
    fabric: str
    ports: int = 64
    wwpns: int = 2048


@dataclass(frozen=True, slots=True)
class Vios:
    """An I/O server of a frame, which may be its mover and, where there is no HMC, is its manager (IVM) as well."""

    name: str
    hostname: str
    lpar_id: int
    level: str
    memory_mb: int
    proc_units: float
    virtual_processors: int
    address: str
    max_virtual_slots: int
    sea: Sea | None
    vasi: str | None
    physical_ethernet: str
    disks: tuple[Disk, ...] = ()
    fc_ports: tuple[FcPort, ...] = ()
    errors: tuple[LoggedError, ...] = ()
    moved_bytes_out: int = 0
    moved_bytes_in: int = 0
    msp: bool = True
    rmc_state: str = "active"

    def disk(self, name: str) -> Disk | None:
        return next((disk for disk in self.disks if disk.name == name), None)


@dataclass(frozen=True, slots=True)
class Hmc:
    """A management console: an appliance of its own, with the level that ``lshmc -V`` tells."""

    host: str
    address: str
    version: str
    release: str
    service_pack: str
    build: str


@dataclass(frozen=True, slots=True)
class Pool:
    """A shared processor pool. Every system has the one numbered 0."""

    number: int
    name: str
    max_units: float = 0.0
    reserved_units: float = 0.0


DEFAULT_POOL = Pool(0, "DefaultPool")


@dataclass(frozen=True, slots=True)
class SriovPort:
    """A physical port of an SR-IOV adapter, behind which virtual NICs stand."""

    adapter: int
    port: int
    location: str
    label: str = ""
    link_up: bool = True
    #: The level at which a manager lists it: ``eth``, or ``roce`` for the port of a RoCE adapter (`HMCMCP`).
    level: str = "eth"


@dataclass(frozen=True, slots=True)
class PagingDevice:
    """A paging space device of a shared memory pool; ``used`` by a partition, or free."""

    name: str
    size_mb: int
    used: bool = False


@dataclass(frozen=True, slots=True)
class StoragePool:
    """A shared storage pool and the cluster of I/O servers that serves it; ``down`` nodes are still members."""

    cluster: str
    cluster_id: str
    name: str
    size_mb: int
    servers: tuple[str, ...]
    down: tuple[str, ...] = ()

    def serves(self, server: str) -> bool:
        """True if an I/O server is a node that works."""
        return server in self.servers and server not in self.down


@dataclass(frozen=True, slots=True)
class Frame:
    """A managed system: a blade under the IVM of its VIOS, or, with ``hmc``, a server under that console."""

    name: str
    system_name: str
    type_model: str
    serial: str
    firmware: str
    memory_mb: int
    firmware_memory_mb: int
    memory_region_mb: int
    processors: int
    clock_mhz: int
    compat_modes: tuple[str, ...]
    enterprise: bool
    active_migrations_supported: int
    inactive_migrations_supported: int
    planar: str
    unique_frame_id: str
    servers: tuple[Vios, ...]
    pools: tuple[Pool, ...] = ()
    vswitches: tuple[str, ...] = (DEFAULT_VSWITCH,)
    sriov: tuple[SriovPort, ...] = ()
    #: The shared memory pool; 0 where the system has none.
    memory_pool_mb: int = 0
    paging: tuple[PagingDevice, ...] = ()
    keys_exchanged: bool = True
    foreign_migrations: int = 0
    hmc: str | None = None
    state: str = OPERATING

    @property
    def machine(self) -> str:
        """``7998-61X*10071DA``, as ``migrlpar -t`` takes it (`KSH-IVM`)."""
        return f"{self.type_model}*{self.serial}"

    @property
    def unit(self) -> str:
        """``U7998.61X.10071DA``, the start of every virtual location code (`GIB-JS22`, `ZIU`)."""
        return f"U{self.type_model.replace('-', '.')}.{self.serial}"

    @property
    def vios(self) -> Vios:
        """The I/O server that is spoken to: the first, or the one that `at` chose."""
        return self.servers[0]

    @property
    def every_pool(self) -> tuple[Pool, ...]:
        return (DEFAULT_POOL, *self.pools)

    def at(self, server: str) -> Frame:
        """The same frame as the I/O server of that name sees it."""
        own = self.server(server)
        return replace(self, servers=(own, *(other for other in self.servers if other.name != server)))

    def server(self, name: str) -> Vios:
        """The I/O server of that name; `KeyError` when there is none."""
        for each in self.servers:
            if each.name == name:
                return each
        raise KeyError(name)

    def with_server(self, changed: Vios) -> Frame:
        """The frame with one I/O server exchanged, found by its name."""
        return replace(self, servers=tuple(changed if old.name == changed.name else old for old in self.servers))

    def each_server(self, change: Callable[[Vios], Vios]) -> Frame:
        return replace(self, servers=tuple(change(one) for one in self.servers))

    def called(self, name: str) -> bool:
        """True if ``-m`` or ``-t`` with this name means this frame: both forms work in the field (`NOVA-IVM`,
        `KSH-IVM`).
        """
        return name in (self.system_name, self.machine)


@dataclass(frozen=True, slots=True)
class VirtualDisk:
    """A virtual target device: what the client sees as a disk, and what backs it on the VIOS.

    ``kind`` is ``lun``, ``pool_unit`` (a logical unit of a shared storage pool, ``backing`` is its name and
    identifier), ``logical_volume``, ``file``, ``optical`` or ``tape``. ``volume_group`` is the client's.
    """

    vtd: str
    backing: str
    kind: str = "lun"
    volume_group: str | None = None

    @property
    def generated(self) -> bool:
        """True if the VIOS made this name up; such names are not kept over a move (`IBMDOC:p8hc3_ivmprocess`)."""
        return self.vtd.startswith("vtscsi") and self.vtd[6:].isdigit()


@dataclass(frozen=True, slots=True)
class ScsiPair:
    """A client's virtual SCSI adapter and the server adapter (``vhost``) that faces it, with the disks behind them."""

    slot: int
    server: str
    server_slot: int
    vhost: int
    disks: tuple[VirtualDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class FcPair:
    """A client's virtual Fibre Channel adapter, its two WWPNs, and the server adapter (``vfchost``) on a physical port.

    One WWPN is logged in; the other is for the target of a move, where it logs in before the first one is given up.
    """

    slot: int
    server: str
    server_slot: int
    vfchost: int
    port: str
    wwpns: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ethernet:
    """A client's virtual Ethernet adapter."""

    slot: int
    mac: str
    port_vlan_id: int
    additional_vlan_ids: tuple[int, ...] = ()
    vswitch: str = DEFAULT_VSWITCH

    @property
    def vlans(self) -> tuple[int, ...]:
        return (self.port_vlan_id, *self.additional_vlan_ids)


@dataclass(frozen=True, slots=True)
class Backing:
    """The device behind a virtual NIC: a logical port of an SR-IOV port, through a VIOS.

    The lowest ``priority`` is the active one.
    """

    server: str
    adapter: int
    port: int
    logical_port: str
    capacity: float = 2.0
    priority: int = 50


@dataclass(frozen=True, slots=True)
class Vnic:
    """A client's virtual NIC and its backing devices."""

    slot: int
    mac: str
    port_vlan_id: int
    backing: tuple[Backing, ...] = ()


@dataclass(frozen=True, slots=True)
class LogicalPort:
    """A logical SR-IOV port that a partition owns itself; a ``migratable`` one has a virtual device to fall back on."""

    adapter: int
    port: int
    number: str
    migratable: bool = False
    capacity: float = 2.0


@dataclass(frozen=True, slots=True)
class NpivDisk:
    """A LUN that a partition sees through its own WWPNs. ``volume_group`` is the client's."""

    lun: str
    volume_group: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    min_mb: int
    mb: int
    max_mb: int


@dataclass(frozen=True, slots=True)
class Processors:
    mode: str
    min_units: float
    units: float
    max_units: float
    min_virtual: int
    virtual: int
    max_virtual: int
    sharing: str
    weight: int


@dataclass(frozen=True, slots=True)
class Workload:
    """The use that a partition makes of its memory, in the terms of `transfer`."""

    touched_mb: float = 1024
    dirty_mb_per_second: float = 2
    writable_set_mb: float = 64
    post_resume_fetch_mb: float = 16


@dataclass(frozen=True, slots=True)
class PhysicalSlot:
    """A physical adapter that a partition owns: with one it cannot move."""

    drc_index: str
    location: str
    description: str


@dataclass(frozen=True, slots=True)
class Migration:
    """The state of a move, as both managers report it."""

    number: int
    type: str
    source: str
    target: str
    source_lpar_id: int
    dest_lpar_id: int
    state: str
    phase: str
    remote_manager: str
    remote_user: str
    source_msp: str = ""
    dest_msp: str = ""
    bytes_transmitted: int = 0
    bytes_remaining: int = 0
    stream: int = 1
    cancellable: bool = True
    mover_running: bool = True


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition's record on one frame.

    While it moves there are two: itself and the shell (``is_shell``) on the target.
    """

    name: str
    frame: str
    lpar_id: int
    state: str
    environment: str
    os_version: str
    level: str
    memory: Memory
    processors: Processors
    scsi: tuple[ScsiPair, ...]
    ethernets: tuple[Ethernet, ...]
    address: str
    host: bool
    """Whether one can log in to it."""
    rmc_state: str
    workload: Workload
    compat_mode: str = "POWER6"
    physical_slots: tuple[PhysicalSlot, ...] = ()
    migration: Migration | None = None
    is_shell: bool = False
    sap: Installation | None = None
    oracle_sid: str = ""
    oracle_version: str = ""
    #: What else there is of a database: names of standby databases (``standby``), of disk groups (``asm``), other
    #: instances as NAME@HOST (``members``).
    oracle_around: tuple[tuple[str, tuple[str, ...]], ...] = ()
    fc: tuple[FcPair, ...] = ()
    vnics: tuple[Vnic, ...] = ()
    logical_ports: tuple[LogicalPort, ...] = ()
    npiv_disks: tuple[NpivDisk, ...] = ()
    pool: int = 0
    max_virtual_slots: int = 10
    profiles: tuple[str, ...] = ()
    uuid: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """Fields of the listings that are not as usual: ``("work_group_id", "1")``.

    The checks of a move look at the same fields.
    """
    serial_slots: tuple[int, ...] = ()
    """Virtual serial adapters besides the two that every partition has."""
    ready: bool = True
    """Whether the operating system and its DR scripts would let a move happen."""
    vterm_open: bool = False
    clusters: tuple[tuple[str, float], ...] = ()
    """Cluster software in it, by the names of `recalled.CLUSTERS`, with the seconds that it waits for a silent member;
    0 where nobody set them.
    """
    shared: bool = False
    """It answers from the simulator's own process and not from one of its own, as hundreds can: it is suspended by
    saying so, and runs neither SAP nor a database.
    """

    @property
    def disks(self) -> tuple[VirtualDisk, ...]:
        """The disks that the client sees through its first virtual SCSI adapter; the others are second paths to the
        same.
        """
        return self.scsi[0].disks if self.scsi else ()

    @property
    def is_linux(self) -> bool:
        """True if Linux runs in it, by the level that its manager lists."""
        return self.os_version.startswith("Linux")

    @property
    def mac(self) -> str:
        """The MAC address of the first network adapter of either kind."""
        addresses = [one.mac for one in self.ethernets] + [one.mac for one in self.vnics]
        return addresses[0] if addresses else ""

    def says(self, field: str, usually: str) -> str:
        """The value of a field in a listing of the partition."""
        return dict(self.attributes).get(field, usually)

    @property
    def slots(self) -> dict[int, str]:
        """The slots that are taken and by what."""
        own = dict.fromkeys((0, 1, *self.serial_slots), "serial")
        own |= {pair.slot: "scsi" for pair in self.scsi} | {pair.slot: "fc" for pair in self.fc}
        return own | {one.slot: "eth" for one in self.ethernets} | {one.slot: "vnic" for one in self.vnics}

    @property
    def holds_memory(self) -> bool:
        return self.state != NOT_ACTIVATED


@dataclass(frozen=True, slots=True)
class Fabric:
    """A Fibre Channel switch network: which WWPNs are zoned to which ports of the storage."""

    name: str
    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def zoned(self, wwpn: str) -> tuple[str, ...]:
        """The storage ports that a WWPN may talk to here."""
        return next((ports for name, ports in self.zones if name == wwpn), ())


@dataclass(frozen=True, slots=True)
class World:
    """Everything that exists, at one moment."""

    name: str
    link_mb_per_second: float
    mover_mb_per_second: float
    storage_model: str
    storage_ports: tuple[str, ...]
    frames: tuple[Frame, ...]
    partitions: tuple[Partition, ...]
    luns: tuple[Disk, ...] = ()
    fabrics: tuple[Fabric, ...] = ()
    masked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    hmcs: tuple[Hmc, ...] = ()
    storage_pools: tuple[StoragePool, ...] = ()
    #: Managers whose SSH is as old as they are; see `lpmkit.simulator.old_ssh`.
    old_ssh: bool = False

    def frame(self, name: str) -> Frame:
        """The frame that operators call so; `KeyError` when there is none."""
        for frame in self.frames:
            if frame.name == name:
                return frame
        raise KeyError(name)

    def frame_called(self, name: str) -> Frame | None:
        """The frame that ``-m``/``-t`` means."""
        return next((frame for frame in self.frames if frame.called(name)), None)

    def under(self, hmc: str) -> tuple[Frame, ...]:
        """The frames that a console manages."""
        return tuple(frame for frame in self.frames if frame.hmc == hmc)

    def on(self, frame: str) -> tuple[Partition, ...]:
        """The partitions that a frame lists, shells included, by id."""
        found = [partition for partition in self.partitions if partition.frame == frame]
        return tuple(sorted(found, key=lambda partition: partition.lpar_id))

    def partition(self, frame: str, name: str) -> Partition | None:
        return next((found for found in self.on(frame) if found.name == name), None)

    def home(self, name: str) -> Partition | None:
        """The record of the partition itself, never its shell."""
        return next((found for found in self.partitions if found.name == name and not found.is_shell), None)

    def free_memory_mb(self, frame: Frame) -> int:
        held = sum(found.memory.mb for found in self.on(frame.name) if found.holds_memory)
        servers = sum(server.memory_mb for server in frame.servers)
        return frame.memory_mb - frame.firmware_memory_mb - servers - held

    def free_processor_units(self, frame: Frame) -> float:
        held = sum(found.processors.units for found in self.on(frame.name) if found.holds_memory)
        servers = sum(server.proc_units for server in frame.servers)
        return round(frame.processors - servers - held, 2)

    def free_lpar_id(self, frame: Frame) -> int:
        """The lowest id that nobody has (the id is kept only if it is free, `IBMDOC:iphc3attributes`)."""
        return lowest_free(self.lpar_ids(frame), 1)

    def lpar_ids(self, frame: Frame) -> set[int]:
        return {*(server.lpar_id for server in frame.servers), *(found.lpar_id for found in self.on(frame.name))}

    def scsi_of(self, frame: Frame, server: str) -> list[tuple[Partition, ScsiPair]]:
        """The virtual SCSI pairs that an I/O server serves."""
        return [(found, pair) for found in self.on(frame.name) for pair in found.scsi if pair.server == server]

    def fc_of(self, frame: Frame, server: str) -> list[tuple[Partition, FcPair]]:
        """The virtual Fibre Channel pairs that an I/O server serves."""
        return [(found, pair) for found in self.on(frame.name) for pair in found.fc if pair.server == server]

    def server_slots(self, frame: Frame, server: str) -> set[int]:
        scsi = {pair.server_slot for _, pair in self.scsi_of(frame, server)}
        return scsi | {pair.server_slot for _, pair in self.fc_of(frame, server)}

    def free_server_slot(self, frame: Frame, server: str | None = None) -> int:
        return lowest_free(self.server_slots(frame, server or frame.vios.name), FIRST_SERVER_SLOT)

    def sriov_capacity_used(self, frame: Frame, adapter: int, port: int) -> float:
        """Percent of a physical SR-IOV port that logical ports have, those of virtual NICs among them."""
        here = self.on(frame.name)
        shares: list[Backing | LogicalPort] = [one for found in here for nic in found.vnics for one in nic.backing]
        shares += [one for found in here for one in found.logical_ports]
        return sum(one.capacity for one in shares if (one.adapter, one.port) == (adapter, port))

    def fabric(self, name: str) -> Fabric | None:
        return next((fabric for fabric in self.fabrics if fabric.name == name), None)

    def luns_of(self, wwpn: str) -> tuple[str, ...]:
        """The LUNs that the storage lets a WWPN see (masking)."""
        return next((luns for name, luns in self.masked if name == wwpn), ())

    def pool_of(self, server: str) -> StoragePool | None:
        """The shared storage pool whose cluster an I/O server is a node of."""
        return next((pool for pool in self.storage_pools if server in pool.servers), None)

    def migrations_on(self, frame: str, kind: str = "active") -> int:
        """The number of moves of a kind in which a frame takes part, on either end."""
        moving = (found.migration for found in self.on(frame) if found.migration is not None)
        own = sum(1 for migration in moving if migration.type == kind)
        return own + (self.frame(frame).foreign_migrations if kind == "active" else 0)

    def with_frame(self, changed: Frame) -> World:
        return replace(self, frames=tuple(changed if old.name == changed.name else old for old in self.frames))

    def with_partition(self, changed: Partition) -> World:
        """The world with one record exchanged, found by frame and name, or added."""
        key = (changed.frame, changed.name)
        if self.partition(*key) is None:
            return replace(self, partitions=(*self.partitions, changed))
        kept = tuple(changed if (old.frame, old.name) == key else old for old in self.partitions)
        return replace(self, partitions=kept)

    def without(self, frame: str, name: str) -> World:
        kept = tuple(found for found in self.partitions if (found.frame, found.name) != (frame, name))
        return replace(self, partitions=kept)


def lowest_free(taken: set[int], first: int) -> int:
    """
    >>> lowest_free({1, 2, 4}, 1)
    3
    """
    while first in taken:
        first += 1
    return first


class Chassis:
    """Holds the present `World`. `change` exchanges it for the one a function makes of it, one change at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    @property
    def world(self) -> World:
        return self._world

    def change(self, step: Callable[[World], World]) -> World:
        """Make the next world. Raises what ``step`` raises, and then nothing has changed."""
        with self._changed:
            self._world = step(self._world)
            self._changed.notify_all()
            return self._world

    def wait_for(self, holds: Callable[[World], bool], timeout_s: float) -> bool:
        """Wait until something holds of the world; ``False`` when it did not in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: holds(self._world), timeout_s)
