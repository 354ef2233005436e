"""Listings of one managed system, which an IVM and an HMC answer alike, with their readers.

Each listing is beside the reader of its answer and shares its list of fields with it (`lpmkit.control.listings`).
The readers also take the default form of the same listings, ``name=value``, in which captures of other levels mostly
come.

A field that is only recalled is in a table named ``RECALLED_…``; nothing depends on it, a level that knows none of
it answers with fewer fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lpmkit.control.base import MigrationReading
from lpmkit.control.listings import (
    Listing,
    flag,
    known,
    lines,
    names,
    needed,
    needed_number,
    number,
    records,
    units,
    whole,
)
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import (
    Frame,
    Partition,
    PhysicalSlot,
    Profile,
    VirtualEthernetAdapter,
    VirtualScsiAdapter,
)

Value = TypeVar("Value")


#: Names of the byte counters of ``lslparmigr -r lpar`` (D): no capture is known. A level without them costs nothing.
RECALLED_MIGRATION_COUNTERS = ("bytes_transmitted", "bytes_remaining")


SYSTEM = Listing(("name", "type_model", "serial_num", "state"), (("capabilities",), ("lpar_proc_compat_modes",)))


SYSTEM_MEMORY = Listing(("configurable_sys_mem", "curr_avail_sys_mem", "sys_firmware_mem", "mem_region_size"))


SYSTEM_PROCESSORS = Listing(("configurable_sys_proc_units", "curr_avail_sys_proc_units"))


SYSTEM_MIGRATIONS = Listing(
    (
        "num_inactive_migrations_supported",
        "num_active_migrations_supported",
        "num_inactive_migrations_in_progress",
        "num_active_migrations_in_progress",
    )
)


PARTITION = Listing(
    ("name", "lpar_id", "state"),
    (
        ("lpar_env", "os_version", "logical_serial_num", "rmc_state", "rmc_ipaddr"),
        ("work_group_id", "redundant_err_path_reporting"),
        ("dlpar_mem_capable", "dlpar_proc_capable"),
        ("curr_lpar_proc_compat_mode",),
    ),
)


PARTITION_STATE = Listing(("name", "lpar_id", "state"))


#: The whole list of a system, which has a VIOS in it: a system without one takes part in no move.
WHOLE_LIST = Listing(("name", "lpar_id", "state"), (("lpar_env",),))


PARTITION_MEMORY = Listing(("lpar_name", "lpar_id", "curr_mem"), (("curr_num_huge_pages",), ("mem_mode",)))


PARTITION_PROCESSORS = Listing(("lpar_name", "lpar_id", "curr_proc_mode"), (("curr_proc_units",), ("curr_procs",)))


PARTITION_SLOTS = Listing(("lpar_name", "lpar_id", "curr_max_virtual_slots"))


SCSI = Listing(
    ("lpar_name", "lpar_id", "slot_num", "adapter_type", "remote_lpar_name", "remote_lpar_id", "remote_slot_num"),
    (("is_required",),),
)


ETHERNET = Listing(
    ("lpar_name", "lpar_id", "slot_num", "port_vlan_id", "addl_vlan_ids", "is_trunk", "mac_addr"), (("vswitch",),)
)


PHYSICAL_SLOT = Listing(("drc_name", "description", "lpar_name"))


MIGRATION = Listing(("name", "lpar_id", "migration_state"), (RECALLED_MIGRATION_COUNTERS,))


@dataclass(frozen=True, slots=True)
class Capacity:
    """``lshwres --level sys``, memory in MB."""

    configurable: float
    available: float
    firmware_mb: int | None = None
    region_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Migrations:
    """``lslparmigr -r sys``: how many moves the system takes, and how many run."""

    inactive_supported: int
    active_supported: int
    inactive_in_progress: int
    active_in_progress: int


@dataclass(frozen=True, slots=True)
class Resources:
    """The fields of ``lshwres --level lpar`` for one partition; ``None`` where a field is not printed."""

    name: str
    lpar_id: int
    memory_mb: int | None = None
    huge_pages: int | None = None
    proc_mode: str | None = None
    proc_units: float | None = None
    virtual_processors: int | None = None
    max_virtual_slots: int | None = None
    memory_mode: str | None = None
    pending_memory_mb: int | None = None
    pending_proc_units: float | None = None
    pending_processors: int | None = None


def read_systems(text: str) -> tuple[Frame, ...]:
    r"""``lssyscfg -r sys``::

        Server-7998-61X-SN10071DA,7998-61X,10071DA,Operating,"active_lpar_mobility_capable,…","default,POWER6"

    The names, the state, what the system is capable of (only what it has is listed) and its processor modes.
    `NOVA-IVM`, A and C; the states A from `ZIU`.

    >>> text = ('Server-7998-61X-SN10071DA,7998-61X,10071DA,Operating,"active_lpar_mobility_capable,a","default,'
    ...     'POWER6"\n')
    >>> frame, = read_systems(text)
    >>> frame.machine, frame.active_mobility_capable, frame.proc_compat_modes
    ('7998-61X*10071DA', True, ('default', 'POWER6'))
    """
    return tuple(frame_of(row, names(row.get("capabilities"))) for row in SYSTEM.read_any(text))


def frame_of(row: Mapping[str, str], capabilities: tuple[str, ...]) -> Frame:
    """A managed system from named fields; the managers list its capabilities in ways of their own."""
    return Frame(
        name=needed(row, "name"),
        type_model=needed(row, "type_model"),
        serial=needed(row, "serial_num"),
        state=known(row.get("state")),
        capabilities=capabilities,
        proc_compat_modes=names(row.get("lpar_proc_compat_modes")),
    )


def read_system_memory(text: str) -> Capacity:
    r"""``lshwres -r mem --level sys``::

        32768,19584,1408,64

    Configurable and available memory, what firmware holds, the size of a memory region; MB. `NOVA-IVM`, A.

    >>> read_system_memory("32768,19584,1408,64\n")
    Capacity(configurable=32768, available=19584, firmware_mb=1408, region_mb=64)
    """
    row = only(SYSTEM_MEMORY.read_any(text))
    return Capacity(
        needed_number(row, "configurable_sys_mem"),
        needed_number(row, "curr_avail_sys_mem"),
        number(row.get("sys_firmware_mem")),
        number(row.get("mem_region_size")),
    )


def read_system_processors(text: str) -> Capacity:
    r"""``lshwres -r proc --level sys``::

        8.00,5.50

    Configurable and available processing units. `NOVA-IVM`, A.

    >>> read_system_processors("8.00,5.50\n").available
    5.5
    """
    row = only(SYSTEM_PROCESSORS.read_any(text))
    configurable, available = (units(needed(row, field)) for field in SYSTEM_PROCESSORS.required)
    return Capacity(configurable or 0.0, available or 0.0)


def read_system_migrations(text: str) -> Migrations:
    r"""``lslparmigr -r sys``::

        64,8,0,0

    Inactive and active moves supported, inactive and active in progress. `NOVA-IVM`, A.

    >>> read_system_migrations("64,8,0,1\n")
    Migrations(inactive_supported=64, active_supported=8, inactive_in_progress=0, active_in_progress=1)
    """
    row = only(SYSTEM_MIGRATIONS.read_any(text))
    return Migrations(*(needed_number(row, field) for field in SYSTEM_MIGRATIONS.required))


def only(rows: Sequence[Value]) -> Value:
    """The one row of a listing that has one; raises `UnexpectedReply` for none or more."""
    if len(rows) != 1:
        raise UnexpectedReply(f"one line was expected and {len(rows)} came")
    return rows[0]


def read_partitions(text: str) -> tuple[Partition, ...]:
    r"""``lssyscfg -r lpar -F``::

        bxaix85,2,Running,aixlinux,AIX 5.3 5300-07-03-0811,10071DA2,active,192.0.2.85,none,0,1,1,POWER6

    One partition a line; what a level does not list is ``None``. Fields `ZIU` A, the IVM's ``0,0,none`` `NOVA-IVM` A.

    >>> partition, = read_partitions("bxaix85,2,Running,aixlinux,AIX 5.3,10071DA2,active,192.0.2.85,none,0,1,1,"
    ...     "POWER6\n")
    >>> partition.rmc_state, partition.dlpar_mem_capable, partition.redundant_error_path_reporting
    ('active', True, False)
    >>> partition, = read_partitions("name=nim1,lpar_id=5,lpar_env=aixlinux,state=Running,a_new_field=1\n")
    >>> partition.name, partition.lpar_id, partition.rmc_state
    ('nim1', 5, None)
    """
    return tuple(partition_of(row) for row in PARTITION.read_any(text))


def read_state_of(text: str, partition: str) -> Partition | None:
    r"""One partition out of ``lssyscfg -r lpar -F name,lpar_id,state``; ``None`` where it is not among the rows.

    Only its own row is read: a neighbour that the manager prints as ``null`` costs nothing. Raises `UnexpectedReply`
    where two rows have its name.

    >>> read_state_of("null,null,null\ndb,5,Running\n", "db").state, read_state_of("vio1,1,Running\n", "db")
    ('Running', None)
    """
    row = _row_of(PARTITION_STATE.read_any(text), partition)
    return None if row is None else partition_of(row)


def read_migration_of(text: str, partition: str) -> MigrationReading | None:
    r"""One partition's row of ``lslparmigr -r lpar``, likewise.

    >>> read_migration_of("vio1,1,null,null,null\ndb,5,Not Migrating,null,null\n", "db").migration_state
    'Not Migrating'
    """
    row = _row_of(MIGRATION.read_any(text), partition)
    return None if row is None else migration_of(row)


def _row_of(rows: Sequence[Mapping[str, str]], partition: str) -> Mapping[str, str] | None:
    own = [row for row in rows if row.get("name") == partition]
    return only(own) if own else None


def partition_of(row: Mapping[str, str]) -> Partition:
    """A partition from named fields, of whichever form; fields it does not know are left alone."""
    return Partition(
        name=needed(row, "name"),
        lpar_id=needed_number(row, "lpar_id"),
        state=needed(row, "state"),
        environment=known(row.get("lpar_env")),
        os_version=known(row.get("os_version")),
        logical_serial=known(row.get("logical_serial_num")),
        rmc_state=known(row.get("rmc_state")),
        rmc_ipaddr=known(row.get("rmc_ipaddr")),
        dlpar_mem_capable=flag(row.get("dlpar_mem_capable")),
        dlpar_proc_capable=flag(row.get("dlpar_proc_capable")),
        work_group=known(row.get("work_group_id")),
        redundant_error_path_reporting=flag(row.get("redundant_err_path_reporting")),
        proc_compat_mode=known(row.get("curr_lpar_proc_compat_mode")),
        msp=flag(row.get("msp")),
        profile=known(row.get("curr_profile")),
        time_reference=flag(row.get("time_ref")),
        desired_proc_compat_mode=known(row.get("desired_lpar_proc_compat_mode")),
        remote_restart_capable=flag(row.get("remote_restart_capable")),
        suspend_capable=flag(row.get("suspend_capable")),
        mobility_disabled=flag(row.get("migration_disabled")),
        affinity_group=known(row.get("affinity_group_id")),
        simplified_remote_restart_capable=flag(row.get("simplified_remote_restart_capable")),
        restricted_io=flag(row.get("os400_restricted_io_mode")),
        vtpm_enabled=flag(row.get("vtpm_enabled")),
        keystore_kb=number(row.get("keystore_kbytes")),
    )


def read_partition_memory(text: str) -> tuple[Resources, ...]:
    r"""``lshwres -r mem --level lpar``::

        10-071DA,1,2048,null
        bxaix85,2,4096,0

    Memory in MB and huge pages; the I/O server has no figure for these (`ZIU`, A).

    >>> [row.huge_pages for row in read_partition_memory("10-071DA,1,2048,null\nbxaix85,2,4096,0\n")]
    [None, 0]
    """
    return tuple(
        Resources(
            *_identity(row),
            memory_mb=number(row.get("curr_mem")),
            huge_pages=number(row.get("curr_num_huge_pages")),
            memory_mode=known(row.get("mem_mode")),
            pending_memory_mb=number(row.get("pend_mem")),
        )
        for row in PARTITION_MEMORY.read_any(text)
    )


def read_partition_processors(text: str) -> tuple[Resources, ...]:
    r"""``lshwres -r proc --level lpar``::

        bxaix85,2,shared,0.80,2
        big,4,ded,null,7

    Mode, processing units (none for dedicated processors), processors or virtual processors. `ZIU`, A.

    >>> [(row.proc_units, row.virtual_processors) for row in read_partition_processors("a,2,shared,0.80,2\n"
    ...     "b,4,ded,null,7\n")]
    [(0.8, 2), (None, 7)]
    """
    return tuple(
        Resources(
            *_identity(row),
            proc_mode=known(row.get("curr_proc_mode")),
            proc_units=units(row.get("curr_proc_units")),
            virtual_processors=number(row.get("curr_procs")),
            pending_proc_units=units(row.get("pend_proc_units")),
            pending_processors=number(row.get("pend_procs")),
        )
        for row in PARTITION_PROCESSORS.read_any(text)
    )


def read_partition_slots(text: str) -> tuple[Resources, ...]:
    r"""``lshwres -r virtualio --rsubtype slot --level lpar``::

        10-071DA,1,64

    How many virtual slots the partition may have. `ZIU`, A.

    >>> read_partition_slots("10-071DA,1,64\n")[0].max_virtual_slots
    64
    """
    return tuple(
        Resources(*_identity(row), max_virtual_slots=number(row.get("curr_max_virtual_slots")))
        for row in PARTITION_SLOTS.read_any(text)
    )


def _identity(row: Mapping[str, str]) -> tuple[str, int]:
    return needed(row, "lpar_name"), needed_number(row, "lpar_id")


def read_scsi_adapters(text: str) -> tuple[VirtualScsiAdapter, ...]:
    r"""``lshwres -r virtualio --rsubtype scsi --level lpar``::

        10-071DA,1,11,server,bxaix85,2,2,0
        bxaix85,2,2,client,10-071DA,1,11,1

    Both ends of each pair; ``any`` at a server that accepts every client. `ZIU`, A.

    >>> adapter, = read_scsi_adapters("vios1,2,10,server,,any,any,0\n")
    >>> adapter.remote_lpar_id, adapter.remote_slot, adapter.required
    (None, None, False)
    """
    return tuple(_scsi_adapter(row) for row in SCSI.read_any(text))


def _scsi_adapter(row: Mapping[str, str]) -> VirtualScsiAdapter:
    return VirtualScsiAdapter(
        *_identity(row),
        slot=needed_number(row, "slot_num"),
        adapter_type=needed(row, "adapter_type"),
        remote_partition=unless_any(row.get("remote_lpar_name")),
        remote_lpar_id=number_or_any(row.get("remote_lpar_id")),
        remote_slot=number_or_any(row.get("remote_slot_num")),
        required=flag(row.get("is_required")),
    )


def unless_any(value: str | None) -> str | None:
    """The partition's name; ``None`` for ``any``, a server adapter that accepts any client (`ZIU`, A)."""
    return None if value == "any" else known(value)


def number_or_any(value: str | None) -> int | None:
    """A whole number; ``None`` for ``any`` or for no value."""
    return number(unless_any(value))


def read_ethernet_adapters(text: str) -> tuple[VirtualEthernetAdapter, ...]:
    r"""``lshwres -r virtualio --rsubtype eth --level lpar``::

        vios1,2,7,7,"10,11",1,26E6B0002007,ETHERNET0

    VLANs, whether it is the trunk of a bridge, MAC address, virtual switch where there is one. `ZIU`, A.

    >>> adapter, = read_ethernet_adapters('vios1,2,7,7,"10,11",1,26E6B0002007,ETHERNET0\n')
    >>> adapter.vlans, adapter.is_trunk, adapter.vswitch
    ((7, 10, 11), True, 'ETHERNET0')
    >>> line = "lpar_name=v, lpar_id=2, slot_num=7, is_trunk=1, port_vlan_id=7,addl_vlan_ids=,mac_addr=26E6B0002007\n"
    >>> read_ethernet_adapters(line)[0].vlans
    (7,)
    """
    return tuple(_ethernet_adapter(row) for row in ETHERNET.read_any(text))


def _ethernet_adapter(row: Mapping[str, str]) -> VirtualEthernetAdapter:
    return VirtualEthernetAdapter(
        *_identity(row),
        slot=needed_number(row, "slot_num"),
        port_vlan_id=needed_number(row, "port_vlan_id"),
        additional_vlan_ids=tuple(whole(vlan) for vlan in names(row.get("addl_vlan_ids"))),
        is_trunk=flag(row.get("is_trunk")) is True,
        mac=known(row.get("mac_addr")),
        vswitch=known(row.get("vswitch")),
    )


def read_physical_slots(text: str) -> tuple[PhysicalSlot, ...]:
    r"""``lshwres -r io --rsubtype slot``::

        U787F.001.DPM0XLZ-P1-C4,PCI-X 1Gb Ethernet,vios2

    The physical slots of a partition; a movable one has none, which IVM says with VIOSI01040010-0003. `ZIU`, A;
    `KSH-IVM`, C.

    >>> read_physical_slots("")
    ()
    >>> read_physical_slots("U787F.001.DPM0XLZ-P1-C4,Ethernet,vios2\n")[0].partition
    'vios2'
    >>> read_physical_slots("drc_name=U1-P1-C4,lpar_id=none,description=Empty slot\n")[0].partition is None
    True
    """
    return tuple(_physical_slot(row) for row in PHYSICAL_SLOT.read_any(text))


def _physical_slot(row: Mapping[str, str]) -> PhysicalSlot:
    return PhysicalSlot(needed(row, "drc_name"), row.get("description", ""), known(row.get("lpar_name")))


def read_profiles(text: str) -> tuple[Profile, ...]:
    r"""``lssyscfg -r prof`` in its own form, which is kept word for word (`ZIU`, A).

    >>> profile, = read_profiles('name=normal,lpar_name=p8aix01,lpar_id=3,"virtual_scsi_adapters=2/client/1/v1/11/1,'
    ...     '3/client/2/v2/11/1"\n')
    >>> profile.name, profile.partition, profile.record.startswith("name=normal,")
    ('normal', 'p8aix01', True)
    """
    return tuple(
        Profile(needed(row, "name"), needed(row, "lpar_name"), needed_number(row, "lpar_id"), line)
        for line, row in zip(lines(text), records(text), strict=False)
    )


def read_migrations(text: str) -> tuple[MigrationReading, ...]:
    r"""``lslparmigr -r lpar``::

        bxaix85,2,Not Migrating,null,null
        bxaix85,2,Migration Starting,1194721280,3100246016

    The migration's state (`NOVA-IVM`, A and C) and, where a level has them, the mover's byte counters (D). The
    partition's own state is not in it.

    >>> reading, = read_migrations("bxaix85,2,Migration Starting,1194721280,3100246016\n")
    >>> reading.migration_state, reading.bytes_transmitted
    ('Migration Starting', 1194721280)
    >>> read_migrations("bxaix85,2,Not Migrating\n")[0].bytes_remaining is None
    True
    """
    return tuple(migration_of(row) for row in MIGRATION.read_any(text))


def migration_of(row: Mapping[str, str]) -> MigrationReading:
    """The migration reading of a row of ``lslparmigr -r lpar``."""
    transmitted, remaining = RECALLED_MIGRATION_COUNTERS
    return MigrationReading(
        partition_state=None,
        migration_state=needed(row, "migration_state"),
        bytes_transmitted=_counter(row.get(transmitted)),
        bytes_remaining=_counter(row.get(remaining)),
        lpar_id=number(row.get("lpar_id")),
    )


def _counter(value: str | None) -> int | None:
    """A recalled field: whatever is not a number counts as not said."""
    return int(value) if value and value.isascii() and value.isdigit() else None
