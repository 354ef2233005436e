"""Listings that only an HMC has: virtual Fibre Channel, virtual NICs, SR-IOV ports, pools, and candidates on the
target.

Marks are those of docs/sources.md. Where the name of a field is recalled only (D) the docstring notes it. All fields
are asked for by name: a level that knows none of them refuses, and the fact becomes a gap of the survey, never an
empty list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lpmkit.control.listings import Listing, flag, known, names, needed, needed_number, number, units, whole
from lpmkit.control.system_listings import number_or_any, unless_any
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import (
    AffinityScore,
    MemoryPool,
    MoverPair,
    PagingDevice,
    Place,
    Places,
    Pool,
    SriovLogicalPort,
    SriovPort,
    VirtualFcAdapter,
    VnicAdapter,
    VnicBacking,
)

FC = Listing(
    (
        "lpar_name",
        "lpar_id",
        "slot_num",
        "adapter_type",
        "remote_lpar_name",
        "remote_lpar_id",
        "remote_slot_num",
        "wwpns",
    ),
    (("is_required",),),
)
VNIC = Listing(
    ("lpar_name", "lpar_id", "slot_num", "backing_devices"), (("backing_device_states",), ("port_vlan_id", "mac_addr"))
)
SRIOV_PORT = Listing(("adapter_id", "phys_port_id"), (("phys_port_label", "phys_port_loc"), ("state",)))
POOL = Listing(("name", "shared_proc_pool_id"), (("max_pool_proc_units", "curr_reserved_pool_proc_units"),))
PARTITION_POOL = Listing(("lpar_name", "lpar_id", "curr_shared_proc_pool_id", "curr_shared_proc_pool_name"))
MOVERS = Listing(("source_msp_name", "source_msp_id", "ipaddr_mappings"))
LOGICAL_PORT = Listing(
    ("lpar_name", "lpar_id", "adapter_id", "logical_port_id"), (("phys_port_id", "capacity"), ("migratable",))
)
AFFINITY = Listing(("lpar_name", "lpar_id", "curr_lpar_score"))
MEMORY_POOL = Listing(("curr_pool_mem", "curr_avail_pool_mem"))
PAGING_DEVICE = Listing(("device_name", "size"), (("state",),))
PLACES = Listing(
    ("possible_virtual_scsi_mappings", "suggested_virtual_scsi_mappings"),
    (("possible_virtual_fc_mappings", "suggested_virtual_fc_mappings"),),
)

#: Fields of a backing device behind the I/O server's name: id, adapter, port, logical port, two capacities, priority,
#: two limits (A `HMCMCP`).
BEHIND_THE_NAME = 9


def read_fc_adapters(text: str) -> tuple[VirtualFcAdapter, ...]:
    r"""``lshwres -r virtualio --rsubtype fc --level lpar``::

        p8a-vios1,1,21,server,p8npiv01,4,5,,0
        p8npiv01,4,5,client,p8a-vios1,1,21,"c050760871fa0010,c050760871fa0011",1

    Both ends of each pair; the field ``wwpns`` as monitoring programs read it (C), a sample of the whole row is not
    known (D).

    >>> adapter, = read_fc_adapters('p,4,5,client,v1,1,21,"C050760871FA0010,c050760871fa0011",1\n')
    >>> adapter.wwpns, adapter.remote_slot
    (('c050760871fa0010', 'c050760871fa0011'), 21)
    """
    return tuple(_fc_adapter(row) for row in FC.read_any(text))


def _fc_adapter(row: Mapping[str, str]) -> VirtualFcAdapter:
    return VirtualFcAdapter(
        needed(row, "lpar_name"),
        needed_number(row, "lpar_id"),
        needed_number(row, "slot_num"),
        needed(row, "adapter_type"),
        unless_any(row.get("remote_lpar_name")),
        number_or_any(row.get("remote_lpar_id")),
        number_or_any(row.get("remote_slot_num")),
        flag(row.get("is_required")),
        tuple(wwpn.lower() for wwpn in names(row.get("wwpns"))),
    )


def read_vnics(text: str) -> tuple[VnicAdapter, ...]:
    r"""``lshwres -r virtualio --rsubtype vnic --level lpar``::

        p8vnic01,5,7,"sriov/v1/1/1/0/27004001/2.0/2.0/50/100.0/100.0","sriov/27004001/1/Operational",100,2E8F11005007

    Virtual NICs with their backing devices: ``sriov/VIOS/id/adapter/port/…``, behind that the logical port, two
    capacities, the priority and two limits; states ``sriov/logical port/active/state`` (A `HMCMCP`).

    >>> nic, = read_vnics('p,5,7,sriov/v1/1/2/0/27004001/2.0/2.0/50/100.0/100.0,sriov/27004001/1/Operational,100,'
    ...     '2E8F11005007\n')
    >>> backing, = nic.backing
    >>> backing.server, backing.adapter, backing.port
    ('v1', 2, 0)
    >>> backing.capacity, backing.priority, backing.active, backing.state
    (2.0, 50, True, 'Operational')
    """
    return tuple(_vnic(row) for row in VNIC.read_any(text))


def _vnic(row: Mapping[str, str]) -> VnicAdapter:
    states = {
        parts[1]: (parts[2] == "1", parts[3])
        for item in names(row.get("backing_device_states"))
        if len(parts := item.split("/")) >= 4
    }
    return VnicAdapter(
        needed(row, "lpar_name"),
        needed_number(row, "lpar_id"),
        needed_number(row, "slot_num"),
        known(row.get("mac_addr")),
        number(row.get("port_vlan_id")),
        tuple(_with_state(_backing(item), states) for item in names(row.get("backing_devices"))),
    )


def _backing(item: str) -> VnicBacking:
    parts = item.split("/")
    if len(parts) < 5 or parts[0] != "sriov":
        raise UnexpectedReply("a backing device as sriov/VIOS/id/adapter/port/… was expected", line=item)
    behind = min(len(parts) - 2, BEHIND_THE_NAME)  # a name may hold the separator itself
    server = "/".join(parts[1:-behind])
    server_id, adapter, port, *rest = parts[-behind:]
    backing = VnicBacking(server, whole(server_id), whole(adapter), whole(port))
    if len(rest) >= 4:
        backing = replace(backing, logical_port=rest[0], capacity=units(rest[1]), priority=number(rest[3]))
    return backing


def _with_state(backing: VnicBacking, states: Mapping[str, tuple[bool, str]]) -> VnicBacking:
    active, state = states.get(backing.logical_port or "", (None, None))
    return replace(backing, active=active, state=state)


def read_sriov_ports(text: str) -> tuple[SriovPort, ...]:
    r"""``lshwres -r sriov --rsubtype physport --level eth``, ``ethc`` or ``roce``: fields A `HMCMCP`; ``state`` 1 has
    a link (D).

    >>> read_sriov_ports("1,0,prod,U78C9.001.WZS0A1B-P1-C6-T1,1\n")[0].label
    'prod'
    """
    return tuple(
        SriovPort(
            needed_number(row, "adapter_id"),
            needed_number(row, "phys_port_id"),
            known(row.get("phys_port_loc")),
            known(label) if (label := row.get("phys_port_label")) != "none" else None,
            flag(row.get("state")),
        )
        for row in SRIOV_PORT.read_any(text)
    )


def read_logical_ports(text: str, level: str = "eth") -> tuple[SriovLogicalPort, ...]:
    r"""``lshwres -r sriov --rsubtype logport --level eth`` or ``roce``::

        p10lnx01,7,1,27004003,0,2.0,1

    The logical ports that partitions own, I/O servers among them for virtual NICs, each with its physical port and its
    share of it in percent (A `HMCMCP`; ``migratable`` `OPTEST`, `AVOCADO`, C). Unconfigured ones, which no partition
    owns, are left out.

    >>> port, = read_logical_ports("p10lnx01,7,1,27004003,0,2.0,1\nnull,null,1,27004004,null,null,null\n")
    >>> port.logical_port, port.port, port.capacity, port.migratable, port.level
    ('27004003', 0, 2.0, True, 'eth')
    """
    return tuple(
        SriovLogicalPort(
            needed(row, "lpar_name"),
            needed_number(row, "lpar_id"),
            needed_number(row, "adapter_id"),
            needed(row, "logical_port_id"),
            level,
            flag(row.get("migratable")),
            number(row.get("phys_port_id")),
            units(row.get("capacity")),
        )
        for row in LOGICAL_PORT.read_any(text)
        if known(row.get("lpar_id")) is not None
    )


def read_affinity_scores(text: str) -> tuple[AffinityScore, ...]:
    r"""``lsmemopt -r lpar -o currscore`` (A `HMCMCP`; 0 to 100 B `HMC-LSMEMOPT`)::

        p9da10v1t,1,100
        dalpar2rrd1t,17,none

    >>> [one.score for one in read_affinity_scores("p9da10v1t,1,100\ndalpar2rrd1t,17,none\n")]
    [100, None]
    """
    return tuple(
        AffinityScore(
            needed(row, "lpar_name"),
            needed_number(row, "lpar_id"),
            None if (score := needed(row, "curr_lpar_score")) == "none" else whole(score),
        )
        for row in AFFINITY.read_any(text)
    )


def read_memory_pools(text: str) -> tuple[MemoryPool, ...]:
    r"""``lshwres -r mempool``: the shared memory pool, of which a system has at most one (D)::

        16384,8192

    >>> read_memory_pools("16384,8192\n")[0].available_mb
    8192
    """
    return tuple(
        MemoryPool(needed_number(row, "curr_pool_mem"), number(row.get("curr_avail_pool_mem")))
        for row in MEMORY_POOL.read_any(text)
    )


def read_paging_devices(text: str) -> tuple[PagingDevice, ...]:
    r"""``lshwres -r mempool --rsubtype pgdev``: size in MB; a free one is ``Inactive`` (D)::

        hdisk9,8192,Inactive

    >>> read_paging_devices("hdisk9,8192,Inactive\n")[0].size_mb
    8192
    """
    return tuple(
        PagingDevice(needed(row, "device_name"), number(row.get("size")), known(row.get("state")))
        for row in PAGING_DEVICE.read_any(text)
    )


def read_pools(text: str) -> tuple[Pool, ...]:
    r"""``lshwres -r procpool``: fields as monitoring programs ask for them; the default pool has no limits (C).

    >>> read_pools("DefaultPool,0,null,null\nSAP pool,1,12.00,0.00\n")[1]
    Pool(number=1, name='SAP pool', max_units=12.0, reserved_units=0.0)
    """
    return tuple(
        Pool(
            needed_number(row, "shared_proc_pool_id"),
            needed(row, "name"),
            units(row.get("max_pool_proc_units")),
            units(row.get("curr_reserved_pool_proc_units")),
        )
        for row in POOL.read_any(text)
    )


def read_partition_pools(text: str) -> dict[int, tuple[int | None, str | None]]:
    r"""The pool's number and name of each partition, out of ``lshwres -r proc --level lpar`` (C); none for dedicated
    processors and I/O servers.

    >>> read_partition_pools("p8aix01,3,1,SAP pool\nbig,4,null,null\n")
    {3: (1, 'SAP pool'), 4: (None, None)}
    """
    return {
        needed_number(row, "lpar_id"): (
            number(row.get("curr_shared_proc_pool_id")),
            known(row.get("curr_shared_proc_pool_name")),
        )
        for row in PARTITION_POOL.read_any(text)
    }


def read_mover_pairs(text: str) -> tuple[MoverPair, ...]:
    r"""``lslparmigr -r msp`` (D)::

        v1,1,"10.0.0.1//1/v1b/10.0.0.2,10.0.0.1//2/v2b/10.0.0.3"

    For each mover of the source, the movers of the target that its address reaches.

    >>> [(one.source, one.target, one.target_address) for one in read_mover_pairs('v1,1,"10.0.0.1//1/v1b/10.0.0.2,'
    ...     '10.0.0.1//2/v2b/10.0.0.3"\n')]
    [('v1', 'v1b', '10.0.0.2'), ('v1', 'v2b', '10.0.0.3')]
    """
    return tuple(
        _mover_pair(needed(row, "source_msp_name"), needed_number(row, "source_msp_id"), item)
        for row in MOVERS.read_any(text)
        for item in names(row.get("ipaddr_mappings"))
    )


def _mover_pair(source: str, source_id: int, item: str) -> MoverPair:
    parts = item.split("/")
    if len(parts) < 5:
        raise UnexpectedReply("a pair of addresses as ADDRESS//ID/NAME/ADDRESS was expected", line=item)
    return MoverPair(source, source_id, parts[0], "/".join(parts[3:-1]), whole(parts[2]), parts[-1])


def read_places(text: str) -> Places:
    r"""``lslparmigr -r virtualio`` (D)::

        "2/p8b-vios1/1,2/p8b-vios2/2",2/p8b-vios1/1,none,none

    >>> places = read_places('"2/p8b-vios1/1,2/p8b-vios2/2",2/p8b-vios1/1,none,none\n')
    >>> [place.server for place in places.scsi], places.fc
    (['p8b-vios1', 'p8b-vios2'], ())
    """
    rows = PLACES.read_any(text)
    if len(rows) != 1:
        raise UnexpectedReply(f"one line was expected and {len(rows)} came")
    fields = (
        field
        for kind in ("scsi", "fc")
        for field in (f"possible_virtual_{kind}_mappings", f"suggested_virtual_{kind}_mappings")
    )
    return Places(*(tuple(_place(item) for item in names(rows[0].get(field))) for field in fields))


def _place(item: str) -> Place:
    parts = item.split("/")
    if len(parts) < 3:
        raise UnexpectedReply("a mapping as SLOT/VIOS/ID was expected", line=item)
    return Place(whole(parts[0]), "/".join(parts[1:-1]), whole(parts[-1]))
