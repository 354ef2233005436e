"""Every rule passes on the reference case, fails on the one fact that it is about, and does not pass without that
fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from lpmkit.checks import CHECKS, Answer, Finding, Verdict, examine, machine_id_of, ready
from lpmkit.checks.judging import RuleResult, bases, once, prerequisites
from lpmkit.control.aix import Subsystem
from lpmkit.control.aix_identity import Identity
from lpmkit.control.base import MigrationReading
from lpmkit.control.clusters import ClusterMember, cluster_kinds
from lpmkit.inventory import (
    ClusterNode,
    Device,
    DiskPath,
    FcPort,
    Frame,
    MemoryPool,
    MoverPair,
    MultipathDisk,
    MultipathPath,
    PagingDevice,
    Partition,
    PhysicalDisk,
    PhysicalSlot,
    Place,
    Places,
    Pool,
    Profile,
    SharedEthernet,
    SriovLogicalPort,
    SriovPort,
    StorageCluster,
    Trunk,
    Vios,
    VirtualEthernetAdapter,
    VirtualFcAdapter,
    VirtualFcServer,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VirtualTarget,
    VnicAdapter,
    VnicBacking,
)
from lpmkit.oracle.snapshot import DatabaseSnapshot
from lpmkit.survey.gather import merge_vios
from lpmkit.survey.model import Gap, Guest, KeyTest, Survey, SystemFacts

LUN1 = PhysicalDisk("hdisk1", "00c71da1e5b1f0a2", unique_id="200B75BALB1400007", reserve_policy="no_reserve")
LUN2 = PhysicalDisk("hdisk2", "00c71da1e5b21b37", unique_id="200B75BALB1400107", reserve_policy="no_reserve")
OWN = PhysicalDisk("hdisk0", "000071da3f1b6d20", volume_group="rootvg")
VASI = Device("vasi0", "Available", "Virtual Asynchronous Services Interface (VASI)")
PATHS = tuple(DiskPath(disk, "Enabled", parent) for disk in ("hdisk1", "hdisk2") for parent in ("fscsi0", "fscsi1"))
DRIVEN = MultipathDisk(
    "hdisk1", "75BALB14000", "Load Balance", "2107900", (MultipathPath(0, "p0", "OPEN", "NORMAL", 1, 0),)
)


def a_vios(name: str, serial: str, *servers: VirtualScsiServer) -> Vios:
    return Vios(
        name,
        "1.5.1.1-FP-10.1",
        scsi_servers=servers,
        shared_ethernets=(
            SharedEthernet("ent4", f"U7998.61X.{serial}-V1-C3-T1", "ent6", "ent0", "Available", link_up=True),
        ),
        trunks=(Trunk("ent4", 1),),
        disks=(OWN, LUN1, LUN2),
        paths=PATHS,
        multipath=(DRIVEN,),
        devices=(VASI,),
        media=(),
    )


def a_frame(name: str, serial: str) -> Frame:
    return Frame(
        f"Server-7998-61X-SN{serial}",
        "7998-61X",
        serial,
        "Operating",
        capabilities=("active_lpar_mobility_capable", "inactive_lpar_mobility_capable"),
        proc_compat_modes=("default", "POWER6"),
        memory_configurable_mb=16384,
        memory_available_mb=11776,
        memory_region_mb=64,
        proc_units_configurable=4.0,
        proc_units_available=3.2,
        active_migrations_supported=4,
        active_migrations_in_progress=0,
        inactive_migrations_supported=64,
        inactive_migrations_in_progress=0,
    )


def a_server(name: str) -> Partition:
    return Partition(name, 1, "Running", "vioserver", max_virtual_slots=64)


MOVING = Partition(
    "bxaix85",
    2,
    "Running",
    "aixlinux",
    "AIX 5.3 5300-07-03-0811",
    rmc_state="active",
    dlpar_mem_capable=True,
    dlpar_proc_capable=True,
    work_group="none",
    redundant_error_path_reporting=False,
    proc_compat_mode="POWER6",
    memory_mb=4096,
    huge_pages=0,
    proc_units=0.8,
    virtual_processors=2,
    proc_mode="shared",
)
CLIENT = VirtualScsiAdapter("bxaix85", 2, 2, "client", "10-071DA", 1, 11, True)
MAPPED = VirtualScsiServer(
    "vhost0",
    "U7998.61X.10071DA-V1-C11",
    2,
    (
        VirtualTarget("bxaix85_rvg", "0x8100000000000000", "hdisk1", "Available"),
        VirtualTarget("vtscsi1", "0x8200000000000000", "hdisk2", "Available"),
    ),
)
RECORD = (
    "name=normal,lpar_name=bxaix85,lpar_id=2,max_mem=8192,io_slots=none,bsr_arrays=0,lhea_logical_ports=none,"
    '"virtual_serial_adapters=0/server/1/any//any/1,1/server/1/any//any/1"'
)
PROFILE = Profile("normal", "bxaix85", 2, RECORD)
REFERENCE = Survey(
    partition="bxaix85",
    source=SystemFacts(
        "bvio82",
        a_frame("bvio82", "10071DA"),
        (a_server("10-071DA"), MOVING),
        (CLIENT, VirtualScsiAdapter("10-071DA", 1, 11, "server", "bxaix85", 2, 2, False)),
        (VirtualEthernetAdapter("bxaix85", 2, 4, 1, mac="6A8880001204"),),
        a_vios("bvio82", "10071DA", MAPPED),
        fc_adapters=(),
        vnics=(),
        profiles=(PROFILE,),
    ),
    target=SystemFacts(
        "bvio83",
        a_frame("bvio83", "10072EA"),
        (a_server("10-072EA"),),
        (),
        (VirtualEthernetAdapter("10-072EA", 1, 3, 1, is_trunk=True),),
        a_vios("bvio83", "10072EA"),
        fc_adapters=(),
    ),
    guest=Guest(
        Identity(hostname="bxaix85", machine_id="000071DA4C00"),
        adapters=(
            Device("ent0", "Available", "Virtual I/O Ethernet Adapter (l-lan)"),
            Device("vscsi0", "Available", "Virtual SCSI Client Adapter"),
        ),
        rmc=Subsystem("ctrmc", "rsct", 3801192, "active"),
        clusters=(),
    ),
    migration=MigrationReading("Running", "Not Migrating"),
    physical_slots=(),
    keys=KeyTest(0, ""),
)


# -- ways to alter one fact of the reference case ----------------------------------------------------------------------

Altered = Callable[[Survey], Survey]


def moving(**facts: Any) -> Altered:
    def alter(survey: Survey) -> Survey:
        server, partition = survey.source.partitions or ()
        return replace(survey, source=replace(survey.source, partitions=(server, replace(partition, **facts))))

    return alter


def side(which: str, **facts: Any) -> Altered:
    return lambda survey: replace(survey, **{which: replace(getattr(survey, which), **facts)})


def frame(which: str, **facts: Any) -> Altered:
    return lambda survey: side(which, frame=replace(getattr(survey, which).frame, **facts))(survey)


def vios(which: str, **facts: Any) -> Altered:
    return lambda survey: side(which, vios=replace(getattr(survey, which).vios, **facts))(survey)


def guest(**facts: Any) -> Altered:
    return lambda survey: replace(survey, guest=replace(survey.guest or Guest(Identity()), **facts))


def whole(**facts: Any) -> Altered:
    return lambda survey: replace(survey, **facts)


def lists(*more: Partition) -> Altered:
    return side("target", partitions=(a_server("10-072EA"), *more))


def hangs_on(*targets: VirtualTarget) -> Altered:
    return vios("source", scsi_servers=(replace(MAPPED, targets=targets),))


def sees(which: str, *disks: PhysicalDisk) -> Altered:
    return vios(which, disks=(OWN, *disks))


def profiled(old: str, new: str) -> Altered:
    return side("source", profiles=(replace(PROFILE, record=RECORD.replace(old, new)),))


def in_a_memory_pool(*devices: PagingDevice) -> Altered:
    """The partition with shared memory, and a pool on the target with these paging devices."""
    return lambda survey: side("target", memory_pools=(MemoryPool(16384, 8192, devices),))(
        moving(memory_mode="shared")(survey)
    )


RVG = MAPPED.targets[0]
POOL_UNIT = replace(RVG, backing="rvg_lu.6a9f00c1b2d34e5f60718293a4b5c6d7")
NODE = ClusterNode("10-072EA", "7998-61X0210072EA", "OK", "OK")
CLUSTER = StorageCluster("sspcl1", "OK", (ClusterNode("10-071DA", "7998-61X0210071DA", "OK", "OK"), NODE))


def pooled(
    target: tuple[StorageCluster, ...] | None, source: tuple[StorageCluster, ...] | None = (CLUSTER,)
) -> Altered:
    """The partition with a disk of a shared storage pool, and these clusters on both ends."""

    def alter(survey: Survey) -> Survey:
        return vios("target", clusters=target)(vios("source", clusters=source)(hangs_on(POOL_UNIT)(survey)))

    return alter


def bridging(which: str, *bridges: tuple[str | None, bool | None]) -> Altered:
    """The partition's VLAN on SEAs with these states and links."""

    def alter(survey: Survey) -> Survey:
        seas = tuple(
            SharedEthernet(
                f"ent{40 + number}", "U1-V1-C3-T1", f"ent{60 + number}", "ent0", "Available", None, state, link
            )
            for number, (state, link) in enumerate(bridges)
        )
        trunks = tuple(Trunk(sea.virtual_adapter, 1, (), active=True) for sea in seas)
        return vios(which, shared_ethernets=seas, trunks=trunks)(survey)

    return alter


def served_as(which: str, status: str) -> Altered:
    """A side whose SEA has this status in ``lsmap -all -net``."""
    sea = SharedEthernet("ent4", "U7998.61X.1-V1-C3-T1", "ent6", "ent0", status, link_up=True)
    return vios(which, shared_ethernets=(sea,))


def read_one_by_one(which: str, *servers: Vios) -> Altered:
    """A side whose I/O servers were read each by itself."""
    return side(which, servers=servers, asked=tuple(server.name for server in servers))


def both(*alters: Altered) -> Altered:
    def alter(survey: Survey) -> Survey:
        for one in alters:
            survey = one(survey)
        return survey

    return alter


NOT_ACTIVATED = moving(state="Not Activated")
LOGICAL = SriovLogicalPort("bxaix85", 2, 1, "27004003", "eth", migratable=False)
OPTICAL = VirtualTarget("vtopt0", "0x8300000000000000", "", "Available")
NEIGHBOUR = VirtualScsiServer("vhost0", "U7998.61X.10072EA-V1-C11", 2, (VirtualTarget("rvg", "0x81", "hdisk1"),))
FC = Device("fcs0", "Available", "4Gb FC PCI Express Adapter (df1000fe)", "05-08")
HEA = Device("ent1", "Available", "Logical Host Ethernet Port (lp-hea)")
BROKEN = MultipathDisk(
    "hdisk1", "75BALB14000", "Load Balance", "2107900", (MultipathPath(0, "p0", "CLOSE", "FAILED", 1, 9),)
)

FAILS: list[tuple[str, Altered]] = [
    ("partition-running", moving(state="Open Firmware")),
    ("partition-running", side("source", partitions=(a_server("10-071DA"),))),
    ("partition-running", moving(environment="vioserver")),
    ("not-migrating", whole(migration=MigrationReading("Migrating - Running", "Migration Starting"))),
    ("two-systems", frame("target", serial="10071DA")),
    ("operating", frame("target", state="Power Off")),
    ("mobility-allowed", moving(mobility_disabled=True)),
    ("dedicated-memory", lambda survey: side("target", memory_pools=())(moving(memory_mode="shared")(survey))),
    ("dedicated-memory", in_a_memory_pool(PagingDevice("hdisk9", 2048, "Inactive"))),
    ("dedicated-memory", in_a_memory_pool(PagingDevice("hdisk9", 8192, "Active"))),
    ("dedicated-memory", in_a_memory_pool(PagingDevice("hdisk9", 4096, "Inactive"))),
    ("barrier-register", profiled("bsr_arrays=0", "bsr_arrays=2")),
    ("host-ethernet", profiled("ports=none", "ports=23000000/1/1/5/none")),
    ("serial-adapters", profiled("1/server/1", "9/server/1")),
    ("vios-level", vios("target", level="1.3.0.0")),
    ("guest-level", moving(os_version="AIX 5.3 5300-06-01-0000")),
    *(("guest-level", moving(os_version=text)) for text in ("AIX 5.2 5200-10-06-0000", "AIX 5.2")),
    ("guest-level", moving(environment="os400", os_version="i5/OS V6R1M0 600 0")),
    ("guest-level", moving(environment="os400", os_version="IBM i Licensed Internal Code 6.1.1 360 0")),
    ("vios-level", both(moving(environment="os400"), vios("target", level="2.2.1.3"))),
    ("enterprise", frame("source", capabilities=("shared_proc_capable",))),
    ("enterprise", frame("target", capabilities=("inactive_lpar_mobility_capable",))),
    ("keys", whole(keys=KeyTest(1, "HSCL3653 not set up"))),
    ("keys", whole(keys=KeyTest(0, "not set up for user padmin"))),
    ("concurrency", frame("target", active_migrations_in_progress=4)),
    ("vasi", vios("target", devices=())),
    ("vasi", vios("source", devices=(replace(VASI, status="Defined"),))),
    ("rmc-manager", moving(rmc_state="none")),
    ("rmc-manager", moving(dlpar_mem_capable=False)),
    ("rmc-partition", guest(rmc=Subsystem("ctrmc", "rsct", None, "inoperative"))),
    ("name-free", lists(Partition("bxaix85", 5, "Not Activated"))),
    ("memory-region", frame("target", memory_region_mb=128)),
    ("memory-room", frame("target", memory_available_mb=4095)),
    ("processor-room", frame("target", proc_units_available=0.7)),
    ("processor-room", moving(proc_units=None, virtual_processors=4)),
    ("compat-mode", moving(proc_compat_mode="POWER7")),
    ("compat-mode", moving(desired_proc_compat_mode="POWER7")),
    ("compat-mode", profiled("bsr_arrays=0", "bsr_arrays=0,lpar_proc_compat_mode=POWER7")),
    ("compat-mode", both(NOT_ACTIVATED, moving(proc_compat_mode=None, desired_proc_compat_mode="POWER7"))),
    ("virtual-slots", side("target", partitions=(replace(a_server("10-072EA"), max_virtual_slots=3),))),
    ("huge-pages", moving(huge_pages=1)),
    ("workload-group", moving(work_group="3")),
    ("error-path-reporting", moving(redundant_error_path_reporting=True)),
    ("physical-slots", whole(physical_slots=(PhysicalSlot("U1-P1-C4", "Ethernet", "bxaix85"),))),
    ("physical-slots", both(NOT_ACTIVATED, profiled("io_slots=none", "io_slots=21010002/none/1"))),
    ("virtual-adapters", guest(adapters=(FC,))),
    ("virtual-adapters", guest(adapters=(HEA,))),
    ("whole-luns", hangs_on(replace(RVG, backing="lv_bxaix85"))),
    ("whole-luns", hangs_on(replace(RVG, backing="/var/vio/storagepools/pool/bxaix85"))),
    ("whole-luns", hangs_on(replace(RVG, backing="hdisk0"))),
    ("whole-luns", hangs_on(replace(RVG, backing="", status="Defined"))),
    *(("bridged", served_as("target", status)) for status in ("Defined", "Stopped")),
    ("optical", hangs_on(RVG, replace(OPTICAL, backing="/var/vio/VMLibrary/aix53.iso"))),
    ("same-luns", sees("target", LUN1)),
    ("same-luns", sees("target", LUN1, replace(LUN2, pvid="00c71da1ffffffff"))),
    ("same-luns", sees("target", LUN1, replace(LUN2, unique_id="a copy of it"))),
    ("luns-free", vios("target", scsi_servers=(NEIGHBOUR,))),
    ("luns-free", sees("target", replace(LUN1, volume_group="datavg"), LUN2)),
    ("reserve-policy", sees("source", replace(LUN1, reserve_policy="single_path"), LUN2)),
    ("reserve-policy", sees("target", LUN1, replace(LUN2, reserve_policy="single_path"))),
    ("paths", vios("target", paths=tuple(replace(path, status="Failed") for path in PATHS))),
    ("paths", vios("source", multipath=(BROKEN,))),
    ("bridged", vios("target", trunks=(Trunk("ent4", 2, (3, 4)),))),
    *(
        ("bridged", bridging(which, (state, None)))
        for which in ("source", "target")
        for state in ("LIMBO", "UNHEALTHY", "RECOVERY", "INIT")
    ),
    ("bridged", bridging("target", ("LIMBO", False), ("BACKUP", True))),
    ("bridged", bridging("target", ("PRIMARY", False))),
    ("bridged", bridging("target", (None, False))),
    ("bridged", bridging("target", ("BACKUP", True), ("BACKUP", True))),
    ("storage-pool", pooled(())),
    ("storage-pool", pooled((replace(CLUSTER, name="another"),))),
    ("storage-pool", pooled((replace(CLUSTER, nodes=CLUSTER.nodes[:1]),))),
    ("storage-pool", pooled((replace(CLUSTER, nodes=(CLUSTER.nodes[0], replace(NODE, state="DOWN"))),))),
    ("storage-pool", pooled((replace(CLUSTER, nodes=(CLUSTER.nodes[0], replace(NODE, pool_state="DOWN"))),))),
    ("whole-luns", hangs_on(RVG, replace(RVG, name="vttape0", backing="rmt0"))),
    ("bridged", vios("source", trunks=())),
]

#: The reference case under an HMC: its I/O servers are partitions like others, and tell more of themselves.
SERVER = Partition(
    "vios1", 1, "Running", "vioserver", rmc_state="active", max_virtual_slots=64, msp=True, time_reference=True
)
#: The moving partition as an HMC lists it.
UNDER_AN_HMC = replace(
    MOVING,
    pool="DefaultPool",
    pool_id=0,
    memory_mode="ded",
    mobility_disabled=False,
    remote_restart_capable=False,
    affinity_group="none",
)
PAIR = MoverPair("vios1", 1, "192.0.2.82", "vios1", 1, "192.0.2.83")


def under_an_hmc(**facts: Any) -> Altered:
    """Both sides under one HMC, with these facts of the target's I/O server."""

    def alter(survey: Survey) -> Survey:
        asked = ("vios1", "vios2")
        source = replace(survey.source, manager="hmc", asked=asked, partitions=(SERVER, UNDER_AN_HMC), logical_ports=())
        there = (replace(SERVER, **facts),)
        target = replace(survey.target, manager="hmc", asked=asked, partitions=there, pools=(Pool(0, "DefaultPool"),))
        return replace(
            survey, source=source, target=target, keys=None, one_manager=True, mover_pairs=(PAIR,), places=Places()
        )

    return alter


def hmc(*alters: Altered) -> Altered:
    """The reference case under an HMC, altered further."""

    def alter(survey: Survey) -> Survey:
        survey = under_an_hmc()(survey)
        for one in alters:
            survey = one(survey)
        return survey

    return alter


WWPNS = ("c050760871fa0010", "c050760871fa0011")
FIBRE = VirtualFcAdapter("bxaix85", 2, 5, "client", "vios1", 1, 21, True, WWPNS)
LOGGED_IN = VirtualFcServer("vfchost0", "U8286.42A.10071DA-V1-C21", 2, status="LOGGED_IN", port="fcs0")
PORT = FcPort("fcs0", "U1-P1-C6-T1", True, 64, 40, 2048, 1900)
HOSTED = Places(fc=(Place(5, "vios1", 1),))


def fibre(*alters: Altered) -> Altered:
    """The reference case under an HMC with a virtual Fibre Channel adapter too."""
    return hmc(
        side("source", fc_adapters=(FIBRE,)),
        vios("source", level="2.2.3.4", fc_servers=(LOGGED_IN,)),
        vios("target", level="2.2.3.4", fc_ports=(PORT,)),
        moving(os_version="AIX 5.3 5300-12-01-0000"),
        whole(places=HOSTED),
        *alters,
    )


NIC = VnicAdapter("bxaix85", 2, 7, backing=(VnicBacking("vios1", 1, 1, 0), VnicBacking("vios2", 2, 2, 0)))
UP, DOWN = SriovPort(1, 0, up=True), SriovPort(2, 0, up=False)


#: Half of a NIC is more than this port has left.
NIC = replace(NIC, backing=tuple(replace(one, capacity=2.0) for one in NIC.backing))
FULL = SriovLogicalPort("vios1", 1, 1, "27004001", "eth", migratable=False, port=0, capacity=99.0)
#: A mover without the device that it works through.
NO_VASI = Vios("vios1", "2.2.3.4", devices=())


TWO_SERVERS = side("source", scsi_adapters=(CLIENT, replace(CLIENT, slot=3, remote_lpar_id=3)))
MIGRATABLE = hmc(
    side("source", logical_ports=(replace(LOGICAL, migratable=True, port=0, capacity=2.0),)),
    side("target", logical_ports=()),
)


def virtual_nic(*ports: SriovPort) -> Altered:
    return hmc(side("source", vnics=(NIC,)), side("target", sriov_ports=ports, logical_ports=()))


def clustered(tolerates_s: float | None, expected_s: float | None = 6.0, kind: str = "Oracle Clusterware") -> Altered:
    member = ClusterMember(kind, "/u01/grid/bin/ocssd.bin", tolerates_s)
    return lambda survey: whole(expected_suspension_s=expected_s)(guest(clusters=(member,))(survey))


#: A primary database whose commits wait for a standby database 30 s, and whose observer does.
GUARDED = DatabaseSnapshot("BX5", (19,), "PRIMARY", "MAXIMUM PROTECTION", (30.0,), "SYNCHRONIZED", 30.0, net={})


def guarded(expected_s: float | None, **facts: Any) -> Altered:
    return whole(databases=(replace(GUARDED, **facts),), expected_suspension_s=expected_s)


FAILS += [
    ("oracle-protection", guarded(31.0)),
    ("oracle-protection", guarded(6.0, net_timeouts_s=(30.0, 5.0))),
    ("oracle-failover", guarded(31.0)),
    ("oracle-failover", guarded(6.0, failover_threshold_s=6.0)),
    ("oracle-failover", guarded(2.0, release=(23, 26), observer_waits_s=1.0)),
    ("oracle-net", guarded(6.0, net={"SQLNET.RECV_TIMEOUT": "5"})),
    ("oracle-net", guarded(6.0, net={"SQLNET.SEND_TIMEOUT": "5", "SQLNET.RECV_TIMEOUT": "?"})),
    *(("cluster", clustered(5.0, kind=kind)) for kind in cluster_kinds()),
    ("movers-connected", hmc(whole(mover_pairs=()))),
    ("mobility-allowed", hmc(moving(mobility_disabled=True))),
    ("wwpn-pairs", fibre(side("source", fc_adapters=(replace(FIBRE, wwpns=WWPNS[:1]),)))),
    ("fc-ports", fibre(vios("target", fc_ports=(replace(PORT, ports_left=0),)))),
    ("fc-ports", fibre(vios("target", fc_ports=(replace(PORT, wwpns_left=1),)))),
    ("fc-ports", fibre(vios("target", fc_ports=(replace(PORT, fabric=False),)))),
    ("fc-zoned", fibre(whole(places=Places()))),
    ("vnic", virtual_nic(DOWN, DOWN)),
    ("vnic", both(virtual_nic(UP, DOWN), side("target", logical_ports=(FULL,)))),
    ("vasi", both(hmc(), read_one_by_one("target", NO_VASI, replace(NO_VASI, name="vios2", devices=(VASI,))))),
    ("sriov", hmc(side("source", logical_ports=(LOGICAL,)))),
    ("sriov", hmc(side("source", logical_ports=(replace(LOGICAL, level="roce", migratable=None),)))),
    ("multipath", both(under_an_hmc(), TWO_SERVERS, whole(options={"redundantvios": "1"}))),
    ("vnic", both(virtual_nic(UP, DOWN), whole(options={"redundantvnicbkdev": "1"}))),
    ("sriov", both(MIGRATABLE, side("target", sriov_ports=(DOWN,)), whole(options={"migsriov": "1"}))),
    ("sriov", both(MIGRATABLE, side("target", sriov_ports=(DOWN,)))),
    (
        "sriov",
        both(MIGRATABLE, side("target", sriov_ports=(UP,), logical_ports=(FULL,)), whole(options={"migsriov": "1"})),
    ),
    ("restricted-io", hmc(moving(environment="os400", restricted_io=False))),
    ("rmc-manager", hmc(moving(environment="os400", dlpar_mem_capable=False))),
    ("redundant-movers", hmc(whole(options={"redundantmsps": "1"}))),
    ("redundant-movers", hmc(whole(mapping={"source_msp_name": "nobody"}))),
    ("redundant-movers", hmc(whole(mapping={"redundant_msps": "vios1"}))),
    ("sriov", hmc(profiled("bsr_arrays=0", "bsr_arrays=0,sriov_eth_logical_ports=27004003/1/0"))),
    (
        "remote-restart",
        hmc(moving(remote_restart_capable=None, simplified_remote_restart_capable=True)),
    ),
]
FAILS += [
    (
        "firmware-pair",
        lambda survey: vios("source", firmware="AL720_101")(vios("target", firmware="AL770_052")(survey)),
    )
]
FAILS += [("movers", under_an_hmc(msp=False)), ("rmc-vios", under_an_hmc(rmc_state="inactive"))]

FAILS += [
    ("vios-level", fibre(vios("target", level="1.5.1.1"))),
    ("guest-level", fibre(moving(os_version="AIX 5.3 5300-08-01-0000"))),
    ("vios-level", both(virtual_nic(UP, UP), vios("target", level="2.2.3.90"))),
]

WARNS: list[tuple[str, Altered]] = [
    ("partition-running", moving(state="Not Activated")),
    (
        "profile",
        lambda survey: moving(profile="normal")(
            side("source", profiles=(PROFILE, replace(PROFILE, name="small")))(survey)
        ),
    ),
    ("time-reference", under_an_hmc(time_reference=False)),
    ("oracle-protection", guarded(16.0)),
    ("oracle-protection", guarded(1.0, net_timeouts_s=None)),
    ("oracle-protection", guarded(1.0, net_timeouts_s=(30.0, None))),
    ("oracle-protection", guarded(1.0, role="PHYSICAL STANDBY")),
    ("oracle-protection", guarded(40.0, protection_mode="MAXIMUM AVAILABILITY")),
    ("oracle-failover", guarded(16.0)),
    ("oracle-failover", guarded(40.0, role="PHYSICAL STANDBY")),
    ("oracle-net", guarded(31.0)),
    ("oracle-net", guarded(6.0, net={"SQLNET.RECV_TIMEOUT": "11"})),
    *(("cluster", clustered(None, 40.0, kind)) for kind in cluster_kinds()),
    *(("cluster", clustered(10.0, kind=kind)) for kind in cluster_kinds()),
    ("pool", hmc(moving(pool="SAP pool", pool_id=1))),
    ("remote-restart", hmc(moving(remote_restart_capable=True))),
    (
        "remote-restart",
        hmc(moving(simplified_remote_restart_capable=True), frame("target", proc_compat_modes=("default", "POWER8"))),
    ),
    ("sriov", both(MIGRATABLE, side("target", sriov_ports=(UP,)))),
    ("sriov", both(MIGRATABLE, side("target", sriov_ports=(DOWN,)), whole(options={"migsriov": "2"}))),
    ("vnic", both(virtual_nic(DOWN, DOWN), whole(options={"vniccfg": "2"}))),
    ("bridged", both(bridging("target", ("LIMBO", False)), whole(options={"vlanbridge": "2"}))),
    ("bridged", both(vios("target", trunks=(Trunk("ent4", 2),)), whole(options={"vlanbridge": "2"}))),
    (
        "remote-restart",
        hmc(
            moving(remote_restart_capable=None, simplified_remote_restart_capable=True),
            whole(options={"requirerr": "2"}),
        ),
    ),
    ("bridged", bridging("target", ("PRIMARY", True), ("LIMBO", False))),
    ("whole-luns", hangs_on(RVG, replace(RVG, name="vtscsi1", backing="hdisk2", status="Defined"))),
    ("storage-pool", pooled((replace(CLUSTER, nodes=(*CLUSTER.nodes, replace(NODE, name="b", state="DOWN"))),))),
    ("virtual-adapters", guest(adapters=(Device("new0", "Available", "An adapter of a later level"),))),
    ("affinity-group", hmc(moving(affinity_group="3"))),
    ("fc-logged-in", fibre(vios("source", fc_servers=(replace(LOGGED_IN, status="NOT_LOGGED_IN"),)))),
    ("fc-logged-in", fibre(vios("source", fc_servers=()))),
    (
        "fc-zoned",
        fibre(
            side("source", fc_adapters=(FIBRE, replace(FIBRE, slot=6, remote_lpar_id=3))),
            whole(places=Places(fc=(Place(5, "vios1", 1), Place(6, "vios1", 1)))),
        ),
    ),
    ("multipath", hmc(side("source", scsi_adapters=(CLIENT, replace(CLIENT, slot=3, remote_lpar_id=3))))),
    ("multipath", under_an_hmc(rmc_state="inactive")),
    ("vnic", virtual_nic(UP, DOWN)),
    ("guest-level", both(virtual_nic(UP, UP), moving(os_version="AIX 7.1 7100-03-09-1717"))),
    ("id-free", lists(replace(a_server("10-072EA"), name="bxlin90", lpar_id=2))),
    ("concurrency", frame("source", active_migrations_in_progress=1)),
    ("memory-room", frame("target", memory_available_mb=4100)),
    ("optical", hangs_on(RVG, OPTICAL)),
    (
        "optical",
        both(hangs_on(RVG, replace(OPTICAL, name="cdrom_p1")), vios("source", media=(("cdrom_p1", None),))),
    ),
    ("physical-slots", both(NOT_ACTIVATED, profiled("io_slots=none", "io_slots=21010002/none/0"))),
    (
        "vasi",
        both(
            hmc(),
            side("target", partitions=(SERVER, replace(SERVER, name="vios2", lpar_id=3))),
            read_one_by_one("target", NO_VASI, replace(NO_VASI, name="vios2", devices=(VASI,))),
        ),
    ),
    ("paths", vios("target", paths=(replace(PATHS[0], status="Failed"), *PATHS[1:]), multipath=None)),
    ("sap-hardware-key", whole()),
    ("sap-hardware-key", guest(identity=Identity(machine_id="00C71DA14C00"))),
]

UNKNOWNS: list[tuple[str, Altered]] = [
    ("operating", frame("target", state=None)),
    ("mobility-allowed", hmc(moving(mobility_disabled=None))),
    ("mobility-allowed", whole()),
    ("dedicated-memory", hmc(moving(memory_mode=None))),
    ("dedicated-memory", moving(memory_mode="shared")),
    ("dedicated-memory", frame("source", capabilities=("active_mem_sharing_capable",))),
    ("remote-restart", hmc(moving(remote_restart_capable=None))),
    ("restricted-io", hmc(moving(environment="os400"))),
    ("trusted-data", hmc(moving(vtpm_enabled=None))),
    ("trusted-data", hmc(moving(vtpm_enabled=True, keystore_kb=0))),
    ("trusted-data", hmc(moving(vtpm_enabled=False, keystore_kb=64))),
    (
        "remote-restart",
        hmc(moving(simplified_remote_restart_capable=None), frame("source", proc_compat_modes=("POWER9",))),
    ),
    ("sriov", hmc(side("source", logical_ports=None))),
    ("storage-pool", pooled(None)),
    ("storage-pool", pooled((CLUSTER,), ())),
    ("bridged", side("source", ethernet_adapters=())),
    ("bridged", bridging("target", (None, None))),
    ("bridged", bridging("source", (None, None), ("BACKUP", None))),
    ("guest-level", moving(environment="os400", os_version="IBM i 7.1.0 000 0")),
    ("bridged", hmc(side("target", asked=("vios9",)), bridging("target", ("BACKUP", True)))),
    ("bridged", hmc(side("target", asked=("vios9",)), vios("target", trunks=(Trunk("ent4", 2),)))),
    ("same-luns", hmc(side("target", asked=("vios9",)), sees("target", LUN1))),
    ("luns-free", hmc(side("target", asked=("vios9",)))),
    *(
        (key, hmc(side("source", asked=("vios9",), scsi_adapters=(replace(CLIENT, remote_partition="vios1"),))))
        for key in ("whole-luns", "optical", "same-luns", "reserve-policy", "paths")
    ),
    ("fc-ports", fibre(side("target", asked=("vios9",)), vios("target", fc_ports=()))),
    (
        "dedicated-memory",
        both(in_a_memory_pool(PagingDevice("hdisk9", 8192, "Inactive")), profiled("max_mem=8192,", "")),
    ),
    ("vasi", both(hmc(), read_one_by_one("target", replace(NO_VASI, name="vios2", devices=(VASI,))))),
    ("vnic", both(virtual_nic(UP), side("target", logical_ports=(replace(FULL, capacity=None),)))),
    ("vnic", both(virtual_nic(UP), side("target", logical_ports=None))),
    (
        "sriov",
        both(
            MIGRATABLE,
            side("target", sriov_ports=(UP,), logical_ports=(replace(FULL, capacity=None),)),
            whole(options={"migsriov": "1"}),
        ),
    ),
    (
        "remote-restart",
        hmc(
            moving(simplified_remote_restart_capable=True),
            frame("target", proc_compat_modes=("default", "POWER8")),
            whole(options={"requirerr": "1"}),
        ),
    ),
    ("guest-level", moving(os_version="AIX 5.3")),
    ("guest-level", moving(os_version="AIX 7")),
    ("guest-level", moving(environment="os400", os_version="Unknown")),
    ("virtual-adapters", guest(adapters=())),
    ("fc-zoned", fibre(side("source", fc_adapters=()))),
    *(("guest-level", moving(os_version=text)) for text in ("AIX 5.3 5300-00-00-0000", "0.0.0.0.0.0", "Nieznane")),
    ("memory-room", moving(state="Not Activated", memory_mb=0)),
    ("processor-room", moving(state="Not Activated", proc_units=0.0, virtual_processors=0)),
    ("affinity-group", hmc(moving(affinity_group=None))),
    ("barrier-register", side("source", profiles=None)),
    ("barrier-register", profiled("bsr_arrays=0,", "")),
    ("host-ethernet", side("source", profiles=())),
    ("host-ethernet", side("source", profiles=(PROFILE, replace(PROFILE, name="small")))),
    ("serial-adapters", side("source", profiles=None)),
    ("profile", side("source", profiles=None)),
    ("vios-level", vios("source", level=None)),
    ("guest-level", moving(os_version=None)),
    ("guest-level", moving(os_version="Unknown")),
    ("firmware-pair", whole()),
    ("cluster", guest(clusters=None)),
    ("oracle-protection", guarded(None)),
    ("oracle-protection", guarded(1.0, protection_mode=None)),
    ("oracle-failover", guarded(None)),
    ("oracle-failover", guarded(1.0, failover_status=None)),
    ("oracle-failover", guarded(1.0, failover_threshold_s=None)),
    ("oracle-failover", guarded(1.0, release=(23, 26))),
    ("oracle-failover", guarded(1.0, role=None)),
    ("oracle-net", guarded(1.0, net=None)),
    ("oracle-net", guarded(None)),
    ("oracle-net", guarded(1.0, net={"SQLNET.RECV_TIMEOUT": "10 min"})),
    *(("cluster", clustered(30.0, None, kind)) for kind in cluster_kinds()),
    ("redundant-movers", hmc(whole(mover_pairs=None))),
    ("redundant-movers", hmc(whole(mover_pairs=()))),
    ("movers-connected", hmc(whole(mover_pairs=None))),
    ("movers-connected", whole(keys=KeyTest(1, "not set up"))),
    ("time-reference", under_an_hmc(time_reference=None)),
    ("pool", hmc(moving(pool=None, pool_id=None))),
    ("pool", hmc(moving(pool="SAP pool", pool_id=1), side("target", pools=None))),
    ("wwpn-pairs", hmc(side("source", fc_adapters=None))),
    ("fc-logged-in", fibre(vios("source", fc_servers=None))),
    ("fc-ports", fibre(vios("target", fc_ports=None))),
    ("fc-zoned", fibre(whole(places=None))),
    ("fc-masked", fibre()),
    ("multipath", hmc(side("source", scsi_adapters=None))),
    ("vnic", hmc(side("source", vnics=None))),
    ("vnic", hmc(side("source", vnics=(NIC,)))),
    ("vnic", virtual_nic(replace(UP, up=None))),
    ("virtual-slots", under_an_hmc(max_virtual_slots=11)),
    ("terminal", whole()),
    ("optimizer", under_an_hmc()),
    ("mains", whole()),
    ("system-ready", whole()),
    ("partition-running", side("source", partitions=None)),
    ("partition-running", side("source", partitions=())),
    ("not-migrating", whole(migration=None)),
    ("not-migrating", whole(migration=MigrationReading("Running", None))),
    ("two-systems", side("target", frame=None)),
    ("enterprise", side("source", frame=None)),
    ("enterprise", frame("target", capabilities=())),
    ("keys", whole(keys=None)),
    ("keys", whole(keys=KeyTest(None, ""))),
    ("concurrency", frame("target", active_migrations_supported=None)),
    ("concurrency", side("source", frame=None)),
    ("vasi", vios("target", devices=None)),
    ("vasi", side("source", vios=None)),
    ("rmc-manager", moving(rmc_state=None)),
    ("rmc-partition", whole(guest=None)),
    ("rmc-partition", guest(rmc=None)),
    ("name-free", side("target", partitions=None)),
    ("id-free", side("target", partitions=None)),
    ("id-free", side("source", partitions=(a_server("10-071DA"),))),
    ("memory-region", frame("source", memory_region_mb=None)),
    ("memory-room", moving(memory_mb=None)),
    ("memory-room", side("target", frame=None)),
    ("processor-room", moving(proc_units=None, virtual_processors=None)),
    ("processor-room", frame("target", proc_units_available=None)),
    ("compat-mode", moving(proc_compat_mode=None)),
    ("compat-mode", frame("target", proc_compat_modes=())),
    ("virtual-slots", side("target", partitions=())),
    ("virtual-slots", side("target", scsi_adapters=None)),
    ("huge-pages", moving(huge_pages=None)),
    ("workload-group", moving(work_group=None)),
    ("error-path-reporting", moving(redundant_error_path_reporting=None)),
    ("physical-slots", whole(physical_slots=None)),
    ("virtual-adapters", guest(adapters=None)),
    ("whole-luns", vios("source", scsi_servers=None)),
    ("whole-luns", vios("source", scsi_servers=())),
    ("whole-luns", vios("source", disks=None)),
    ("optical", vios("source", scsi_servers=None)),
    ("same-luns", vios("target", disks=None)),
    ("same-luns", sees("target", LUN1, replace(LUN2, unique_id=None))),
    ("luns-free", vios("target", scsi_servers=None)),
    ("luns-free", sees("target", LUN1)),
    ("reserve-policy", sees("source", replace(LUN1, reserve_policy=None), LUN2)),
    ("reserve-policy", vios("target", disks=None)),
    ("paths", vios("source", paths=None, multipath=None)),
    ("paths", vios("target", paths=(), multipath=())),
    ("bridged", vios("target", trunks=None)),
    ("bridged", side("source", ethernet_adapters=None)),
    ("sap-hardware-key", whole(guest=None)),
    ("sap-hardware-key", side("target", frame=None)),
]


WARNS += [("io-servers", under_an_hmc(name="vios3"))]
UNKNOWNS += [
    ("io-servers", under_an_hmc(environment="aixlinux")),
    ("movers", under_an_hmc(msp=None)),
    ("rmc-vios", under_an_hmc(rmc_state=None)),
]


def keyed(cases: list[tuple[str, Altered]]) -> list[Any]:
    return [pytest.param(key, alter, id=f"{key}-{number}") for number, (key, alter) in enumerate(cases)]


def findings_of(key: str, survey: Survey) -> tuple[Finding, ...]:
    return tuple(finding for finding in examine(survey) if finding.key == key)


def test_the_reference_case_is_ready_and_warns_of_the_hardware_key_only() -> None:
    findings = examine(REFERENCE)
    assert ready(findings) is Answer.READY
    assert {finding.key for finding in findings if not (finding.verdict is Verdict.PASS or finding.only_firmware)} == {
        "sap-hardware-key",
        "optical",
        "storage-pool",
    }


def test_the_reference_case_under_one_hmc_is_ready_and_needs_no_keys() -> None:
    findings = examine(under_an_hmc()(REFERENCE))
    assert ready(findings) is Answer.READY
    assert {"movers", "rmc-vios", "io-servers"} <= {finding.key for finding in findings}
    (keys,) = (finding for finding in findings if finding.key == "keys")
    assert keys.facts == {"managers": "the same for both systems"}


def test_an_ivm_is_not_asked_what_only_an_hmc_knows() -> None:
    only_hmc = {check.key for check in CHECKS if check.basis.hmc and not check.basis.ivm} - {"mobility-allowed"}
    assert {"movers", "rmc-vios", "fc-zoned", "vnic", "pool"} <= only_hmc
    assert not only_hmc & {finding.key for finding in examine(REFERENCE)}


@pytest.mark.parametrize(("key", "alter"), keyed(FAILS))
def test_a_rule_fails_on_its_fact_and_says_what_to_type_and_who(key: str, alter: Altered) -> None:
    failed = [finding for finding in findings_of(key, alter(REFERENCE)) if finding.verdict is Verdict.FAIL]
    assert failed
    assert all(finding.remedy and finding.who and finding.facts and finding.about for finding in failed)


@pytest.mark.parametrize(("key", "alter"), keyed(WARNS))
def test_a_rule_warns_where_the_move_is_not_hindered(key: str, alter: Altered) -> None:
    verdicts = {finding.verdict for finding in findings_of(key, alter(REFERENCE))}
    assert Verdict.WARN in verdicts
    assert verdicts <= {Verdict.WARN, Verdict.PASS}


@pytest.mark.parametrize(("key", "alter"), keyed(UNKNOWNS))
def test_a_rule_without_its_fact_is_unknown_and_never_passes(key: str, alter: Altered) -> None:
    unknown = [finding for finding in findings_of(key, alter(REFERENCE)) if finding.verdict is Verdict.UNKNOWN]
    assert unknown
    assert all(finding.remedy and finding.who for finding in unknown)
    assert all(
        finding.facts["only the firmware can tell" if finding.only_firmware else "not known"] for finding in unknown
    )


#: What is asked of both kinds of manager in the same way: the same facts under the one give the same verdict under the
#: other.
ASKED_OF_BOTH = {check.key for check in CHECKS if check.basis.ivm and check.basis.hmc}
#: Under one HMC there are no keys between managers, and the movers are known by their addresses; a level is asked for
#: what an IVM has not.
OTHERWISE = {"keys", "movers-connected", "dedicated-memory", "virtual-slots"}


@pytest.mark.parametrize(
    ("key", "alter", "verdict"),
    [
        pytest.param(key, alter, verdict, id=f"{key}-{verdict}-{number}")
        for verdict, cases in ((Verdict.FAIL, FAILS), (Verdict.UNKNOWN, UNKNOWNS))
        for number, (key, alter) in enumerate(cases)
        if key in ASKED_OF_BOTH - OTHERWISE
    ],
)
def test_a_rule_says_the_same_under_an_hmc(key: str, alter: Altered, verdict: Verdict) -> None:
    said = [finding for finding in findings_of(key, alter(under_an_hmc()(REFERENCE))) if finding.verdict is verdict]
    assert said
    assert all(finding.remedy for finding in said)
    asked = ("the manager: ", "the partition: ", "the target's manager: ", "the database: ")
    assert all(one.startswith(asked) for one in said[0].asked)


def test_every_number_of_the_catalogue_has_a_check_and_every_check_its_line_in_it() -> None:
    assert {check.key for check in CHECKS} == set(bases())
    assert {check.basis.number for check in CHECKS} - {None} == set(prerequisites())


def test_whatever_could_be_asked_says_with_which_command() -> None:
    told = {check.key for check in CHECKS if check.basis.ivm or check.basis.hmc}
    silent = {check.key for check in CHECKS} - told
    assert silent == {"mains", "terminal"} | {key for key in silent if key.startswith("sap-")}
    (finding,) = findings_of("fc-zoned", fibre()(REFERENCE))
    assert finding.asked == (
        (
            "the manager: lslparmigr -r virtualio -m Server-7998-61X-SN10072EA -t '7998-61X*10072EA' --filter "
            "lpar_names=bxaix85"
        ),
    )
    assert finding.code == "HSCLA319"


def test_names_in_commands_to_copy_cannot_be_anything_but_names() -> None:
    odd = whole(partition="a;reboot")(REFERENCE)
    (finding,) = findings_of("barrier-register", odd)
    assert finding.asked == ("the manager: lssyscfg -r prof --filter lpar_names='a;reboot'",)


def test_a_partition_that_is_not_activated_is_asked_nothing_of_its_memory_and_its_system() -> None:
    still = moving(state="Not Activated", rmc_state="inactive", huge_pages=4)(REFERENCE)
    findings = examine(still)
    assert ready(findings) is Answer.READY
    assert not {"rmc-manager", "huge-pages", "vasi", "system-ready"} & {finding.key for finding in findings}
    full = frame("target", inactive_migrations_in_progress=64)(still)
    assert Verdict.FAIL in {finding.verdict for finding in findings_of("concurrency", full)}


def test_what_only_the_firmware_can_tell_keeps_nobody_from_being_ready() -> None:
    only = [finding for finding in examine(REFERENCE) if finding.only_firmware]
    assert {"system-ready", "mains", "firmware-pair", "terminal"} <= {finding.key for finding in only}
    assert ready(only) is Answer.COULD_NOT_TELL
    assert ready([*only, Finding("keys", "", Verdict.PASS, "x")]) is Answer.READY


@pytest.mark.parametrize("kind", cluster_kinds())
def test_a_timer_that_was_read_and_is_long_enough_passes(kind: str) -> None:
    (finding,) = findings_of("cluster", clustered(30.0, kind=kind)(REFERENCE))
    assert finding.verdict is Verdict.PASS
    assert finding.facts[f"{kind} waits s"] == "30"


@pytest.mark.parametrize(
    ("alter", "verdicts"),
    [
        (guarded(6.0), (Verdict.PASS, Verdict.PASS)),
        (guarded(14.0, protection_mode="MAXIMUM AVAILABILITY"), (Verdict.PASS, Verdict.PASS)),
        (guarded(None, protection_mode="MAXIMUM PERFORMANCE", failover_status="DISABLED"), (Verdict.PASS,) * 2),
        (guarded(None, protection_mode="MAXIMUM PERFORMANCE", failover_status="BYSTANDER"), (Verdict.PASS,) * 2),
        (guarded(1.0, release=(23, 26), observer_waits_s=0.0), (Verdict.PASS, Verdict.PASS)),
        (guarded(9.0, release=(10, 1), failover_status=None), (Verdict.PASS, Verdict.NOT_APPLICABLE)),
    ],
)
def test_partners_of_a_database_that_wait_long_enough_or_not_at_all_hinder_nothing(
    alter: Altered, verdicts: tuple[Verdict, Verdict]
) -> None:
    survey = alter(REFERENCE)
    found = [*findings_of("oracle-protection", survey), *findings_of("oracle-failover", survey)]
    assert tuple(one.verdict for one in found) == verdicts
    assert {one.about for one in found} == {"BX5"}


def test_a_database_that_nobody_could_log_on_to_is_unknown_with_its_own_reason() -> None:
    silent = DatabaseSnapshot("BX5", gaps={"logon": "ORA-01033: ORACLE initialization or shutdown in progress"})
    survey = whole(databases=(silent,))(REFERENCE)
    for key in ("oracle-protection", "oracle-failover"):
        (one,) = findings_of(key, survey)
        assert (one.verdict, one.facts["not known"]) == (Verdict.UNKNOWN, silent.gaps["logon"])


def test_a_level_that_is_only_recalled_warns_and_does_not_decide() -> None:
    recalled = both(virtual_nic(UP, UP), moving(os_version="AIX 7.1 7100-03-09-1717"))
    assert [finding.verdict for finding in findings_of("guest-level", recalled(REFERENCE))] == [Verdict.WARN]


#: What no command of a manager tells beforehand, at any level: these never say more than that, and what to do.
FIRMWARE_ALONE = {"trusted-data", "fc-masked", "terminal", "optimizer", "mains", "system-ready"}


def test_every_rule_is_shown_to_say_no_and_to_say_that_it_does_not_know() -> None:
    # those about a SAP system are shown in test_sap_checks.py
    asked_of_sap = {check.key for check in CHECKS if check.key.startswith("sap-") and not check(REFERENCE)}
    keys = {check.key for check in CHECKS} - asked_of_sap
    assert len(asked_of_sap) == 7
    assert {key for key, _ in (*FAILS, *WARNS)} == keys - FIRMWARE_ALONE
    assert {key for key, _ in UNKNOWNS} == keys


def test_a_fault_of_a_rule_costs_one_finding_and_never_passes() -> None:
    def faulty(survey: Survey) -> RuleResult:
        raise KeyError("slot")

    (finding,) = replace(CHECKS[0], judges=once(faulty))(REFERENCE)
    assert finding.verdict is Verdict.UNKNOWN
    assert "KeyError" in str(finding.facts["not known"])
    odd = side("source", profiles=(replace(PROFILE, record='"name=normal'),))(REFERENCE)
    assert {one.verdict for one in findings_of("barrier-register", odd)} == {Verdict.UNKNOWN}


def test_keys_of_rules_are_unique() -> None:
    assert len({check.key for check in CHECKS}) == len(CHECKS)


#: Lists that hold what a rule forbids, or what lies outside of the survey's own reach: fewer of them is better, and
#: rightly so.
FEWER_IS_BETTER = {
    ("physical_slots", "physical-slots"),
    ("guest.adapters", "virtual-adapters"),
    ("guest.clusters", "cluster"),
    ("source.logical_ports", "sriov"),
    ("source.logical_ports", "virtual-adapters"),
    ("source.fc_adapters", "multipath"),
    ("target.logical_ports", "vnic"),
    ("target.logical_ports", "sriov"),
    ("target.vios.scsi_servers", "luns-free"),
    ("source.vnics", "vnic"),
    ("source.vnics", "vios-level"),
    ("source.vnics", "guest-level"),
    ("source.vios.multipath", "paths"),
    ("target.vios.multipath", "paths"),
    ("source.fc_adapters", "vios-level"),
    ("source.fc_adapters", "guest-level"),
}
#: Judged from single values of the two systems, of which no list tells.
FROM_SINGLE_VALUES = {
    "two-systems",
    "operating",
    "concurrency",
    "memory-region",
    "keys",
    "not-migrating",
    "movers-connected",
}
BLOCKS = {Verdict.FAIL, Verdict.UNKNOWN}


def lists_of(value: Any, path: str = "") -> list[str]:
    """The paths of all tuples in a survey's own fields."""
    found = []
    for field in fields(value):
        content, name = getattr(value, field.name), f"{path}{field.name}"
        if isinstance(content, tuple) and content:
            found.append(name)
        elif is_dataclass(content):
            found += lists_of(content, f"{name}.")
    return found


def emptied(survey: Any, path: str) -> Any:
    head, _, rest = path.partition(".")
    return replace(survey, **{head: emptied(getattr(survey, head), rest) if rest else ()})


CASES_OF_ALL = [
    pytest.param(alter, id=f"{key}-{number}")
    for number, (key, alter) in enumerate(
        (("reference", whole()), ("hmc", under_an_hmc()), ("fibre", fibre()), *FAILS, *WARNS)
    )
]


@pytest.mark.parametrize("alter", CASES_OF_ALL)
def test_no_check_gets_better_when_a_list_is_emptied(alter: Altered) -> None:
    survey = alter(REFERENCE)
    before = {(finding.key, finding.about): finding.verdict for finding in examine(survey) if not finding.only_firmware}
    for path in lists_of(survey):
        if path == "gaps" or path.endswith((".asked", ".servers")):
            continue
        for finding in examine(emptied(survey, path)):
            was = before.get((finding.key, finding.about)) or before.get((finding.key, survey.target.name))
            if (path, finding.key) in FEWER_IS_BETTER or was is None:
                continue
            assert finding.verdict is not Verdict.PASS or was is Verdict.PASS, (path, finding)
            assert finding.verdict in BLOCKS or was not in BLOCKS, (path, was, finding)


@pytest.mark.parametrize("alter", [whole(), under_an_hmc(), fibre()])
def test_no_check_passes_where_all_lists_are_empty(alter: Altered) -> None:
    survey = alter(REFERENCE)
    for path in lists_of(survey):
        survey = emptied(survey, path)
    assert {finding.key for finding in examine(survey) if finding.verdict is Verdict.PASS} <= FROM_SINGLE_VALUES


def test_migratable_ports_that_are_ordered_and_find_room_pass() -> None:
    found = both(MIGRATABLE, side("target", sriov_ports=(UP,)), whole(options={"migsriov": "1"}))
    assert [one.verdict for one in findings_of("sriov", found(REFERENCE))] == [Verdict.PASS]


@pytest.mark.parametrize("key", ["same-luns", "luns-free", "reserve-policy", "paths"])
def test_a_disk_of_a_shared_storage_pool_is_not_judged_as_a_lun(key: str) -> None:
    found = findings_of(key, pooled((CLUSTER,))(REFERENCE))
    assert {finding.verdict for finding in found} == {Verdict.NOT_APPLICABLE}
    assert [finding.verdict for finding in findings_of("storage-pool", pooled((CLUSTER,))(REFERENCE))] == [Verdict.PASS]


@pytest.mark.parametrize(
    "device",
    [
        Device("ent1", "Available", "Virtual NIC Client Adapter (vnic)"),
        Device("ent4", "Available", "EtherChannel / IEEE 802.3ad Link Aggregation"),
        Device("ent5", "Available", "VLAN"),
        Device("fcs0", "Available", "Virtual Fibre Channel Client Adapter", "C5-T1"),
        Device("vsa0", "Available", "LPAR Virtual Serial Adapter"),
    ],
)
def test_an_adapter_that_moves_is_no_hardware(device: Device) -> None:
    (finding,) = findings_of("virtual-adapters", guest(adapters=(device,))(REFERENCE))
    assert finding.verdict is Verdict.PASS


def test_no_remedy_removes_what_was_not_recognised() -> None:
    strange = Device("new0", "Available", "An adapter of a later level")
    (adapters,) = findings_of("virtual-adapters", guest(adapters=(strange, FC))(REFERENCE))
    (disks,) = findings_of("whole-luns", hangs_on(replace(RVG, backing="something_new"))(REFERENCE))
    for finding in (adapters, disks):
        assert finding.verdict is Verdict.FAIL
        assert not re.search(r"rmdev|rmvdev|rmsyscfg|-o r\b", finding.remedy)


@pytest.mark.parametrize("system", ["Linux/Red Hat 5.14.0 9.2 (Plow)", "IBM i V7R4M0 440 0"])
def test_linux_and_ibm_i_are_not_judged_as_aix_that_does_not_answer(system: str) -> None:
    survey = replace(moving(os_version=system)(REFERENCE), guest=None)
    found = {finding.key: finding.verdict for finding in examine(survey)}
    for key in ("rmc-partition", "virtual-adapters", "sap-hardware-key"):
        assert found[key] is Verdict.NOT_APPLICABLE, key
    assert found["guest-level"] is (Verdict.NOT_APPLICABLE if system.startswith("Linux") else Verdict.PASS)
    remedies = {finding.key: finding.remedy for finding in examine(survey) if finding.verdict is Verdict.UNKNOWN}
    assert "administrator" in remedies["cluster"] if system.startswith("Linux") else "cluster" not in remedies
    assert not [key for key, remedy in remedies.items() if "AIX" in remedy or "answers" in remedy], remedies


def test_a_level_that_the_partition_gives_goes_before_the_manager() -> None:
    survey = guest(identity=Identity(level="5300-12-01-0000"))(moving(os_version="AIX 5.3 5300-00-00-0000")(REFERENCE))
    (finding,) = findings_of("guest-level", survey)
    assert finding.verdict is Verdict.PASS
    assert finding.facts["level by oslevel -s"] == "AIX 5300-12-01-0000"


def test_a_partition_that_is_not_activated_needs_what_it_would_get() -> None:
    record = RECORD + ",desired_mem=8192,desired_proc_units=2.0,desired_procs=4"
    off = moving(state="Not Activated", memory_mb=0, proc_units=0.0, virtual_processors=0)
    survey = side("source", profiles=(replace(PROFILE, record=record),))(off(REFERENCE))
    survey = frame("target", memory_available_mb=4096, proc_units_available=1.0)(survey)
    for key, needed in (("memory-room", 8192), ("processor-room", 2.0)):
        (finding,) = findings_of(key, survey)
        assert (finding.verdict, finding.facts.get("needed MB", finding.facts.get("needed units"))) == (
            Verdict.FAIL,
            needed,
        )
    (pending,) = findings_of("memory-room", moving(pending_memory_mb=2048)(survey))
    assert pending.facts["needed MB"] == 2048


@pytest.mark.parametrize(
    ("state", "helps"),
    [
        ("Suspended", "chlparstate -o resume"),
        ("Suspending", "Wait until it is Running"),
        ("Resuming", "Wait until it is Running"),
        ("Starting", "Wait until it is Running"),
        ("Shutting Down", "Wait until it is Running"),
        ("Open Firmware", "boot its operating system"),
        ("Error", "lsrefcode"),
        ("Not Available", "System operating"),
        ("Migrating - Running", "No migration under way"),
        ("Migrating - Not Activated", "No migration under way"),
        ("Hibernating at a later level", "lsrefcode"),
    ],
)
def test_a_partition_that_is_not_off_is_never_told_to_be_started(state: str, helps: str) -> None:
    (finding,) = findings_of("partition-running", moving(state=state)(REFERENCE))
    assert finding.verdict is Verdict.FAIL
    assert helps in finding.remedy
    assert "-o on" not in finding.remedy


@pytest.mark.parametrize(
    ("state", "helps"),
    [("Power Off", "-o on"), ("Incomplete", "-o rebuild"), ("Recovery", "-o recover"), ("Error", "lsrefcode -r sys")],
)
def test_a_system_is_switched_on_only_where_it_is_off(state: str, helps: str) -> None:
    found = [one for one in findings_of("operating", frame("target", state=state)(REFERENCE)) if one.remedy]
    assert [helps in one.remedy for one in found] == [True]
    assert ("-o on" in found[0].remedy) is (state == "Power Off")


def test_a_mode_is_supported_however_it_is_spelled_and_the_default_always() -> None:
    alike = both(
        moving(proc_compat_mode="Power9_Base", desired_proc_compat_mode="default"),
        frame("target", proc_compat_modes=("POWER8", "POWER9_base", "POWER9")),
    )
    (finding,) = findings_of("compat-mode", alike(REFERENCE))
    assert finding.verdict is Verdict.PASS


def test_shared_memory_needs_no_free_memory_of_the_system() -> None:
    alter = both(in_a_memory_pool(PagingDevice("hdisk9", 8192, "Inactive")), frame("target", memory_available_mb=64))
    found = {one.key: one.verdict for one in examine(alter(REFERENCE))}
    assert (found["memory-room"], found["dedicated-memory"]) == (Verdict.NOT_APPLICABLE, Verdict.PASS)


def test_zeros_behind_the_release_are_a_level_where_the_partition_itself_says_so() -> None:
    own = guest(identity=Identity(level="6100-00-00-0000"))(REFERENCE)
    (finding,) = findings_of("guest-level", own)
    assert finding.verdict is Verdict.PASS


def test_a_stale_pvid_is_read_again_and_not_zoned() -> None:
    stale = sees("target", LUN1, replace(LUN2, pvid="00c71da1ffffffff"))(REFERENCE)
    (finding,) = findings_of("same-luns", stale)
    assert finding.verdict is Verdict.FAIL
    assert "cfgdev" in finding.remedy
    assert "Zone" not in finding.remedy


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        ("EA340_039", "EA350_038", Verdict.PASS),
        ("EA350_038", "EA340_039", Verdict.UNKNOWN),
        ("EA340_039", "EA340_039", Verdict.UNKNOWN),
        ("EM340_039", "AM740_088", Verdict.FAIL),
        ("EM340_038", "EM350_085", Verdict.UNKNOWN),
        ("EA320_061", "EA320_061", Verdict.UNKNOWN),
        ("AL720_101", "AL763_023", Verdict.PASS),
        ("AL720_101", "AL770_052", Verdict.FAIL),
        ("AM780_056", "AL710_119", Verdict.FAIL),
        ("EM350_085", "SV860_138", Verdict.PASS),
        ("AM760_034", "SV840_100", Verdict.UNKNOWN),
        ("AM760_034", "SV840_113", Verdict.PASS),
        ("SV860_138", "VL950_045", Verdict.UNKNOWN),
        ("VL910_122", "MH1050_012", Verdict.PASS),
        ("MH1061_021", "MH1061_021", Verdict.PASS),
        ("ML1110_022", "VL940_050", Verdict.PASS),
        ("VL940_050", "ML1110_022", Verdict.UNKNOWN),
        ("VL940_050", None, Verdict.UNKNOWN),
    ],
)
def test_the_firmware_of_a_pair_is_held_against_the_vendors_matrices(
    source: str, target: str | None, verdict: Verdict
) -> None:
    survey = vios("source", firmware=source)(vios("target", firmware=target)(REFERENCE))
    (finding,) = findings_of("firmware-pair", survey)
    assert finding.verdict is verdict
    told = " ".join(map(str, finding.facts.values()))
    assert source in told
    assert finding.only_firmware is (verdict is Verdict.UNKNOWN)
    if target is not None:
        assert target in told


def test_a_pool_that_the_order_names_and_a_licence_that_is_there_are_no_warnings() -> None:
    pool = hmc(moving(pool="ORACLE", pool_id=2), side("target", pools=(Pool(1, "ORACLE"),)))
    assert [f.verdict for f in findings_of("pool", pool(REFERENCE))] == [Verdict.WARN]
    for mapping in ({"shared_proc_pool_name": "ORACLE"}, {"shared_proc_pool_id": "1"}):
        named = replace(pool(REFERENCE), mapping=mapping)
        assert [f.verdict for f in findings_of("pool", named)] == [Verdict.PASS]


def test_an_empty_survey_passes_nothing() -> None:
    findings = examine(Survey("bxaix85", SystemFacts("bvio82"), SystemFacts("bvio83")))
    assert {finding.verdict for finding in findings} == {Verdict.UNKNOWN}
    assert ready(findings) is Answer.COULD_NOT_TELL


def test_an_unknown_gives_the_reason_of_the_gap() -> None:
    silent = replace(REFERENCE, physical_slots=None, gaps=(Gap("physical slots", "bvio82", "bvio82: no answer"),))
    (finding,) = findings_of("physical-slots", silent)
    assert finding.facts == {"not known": "bvio82: no answer"}


def test_a_failure_weighs_more_than_an_unknown() -> None:
    findings = [Finding("a", "", Verdict.UNKNOWN, "x"), Finding("b", "", Verdict.FAIL, "x")]
    assert ready(findings) is Answer.NOT_READY


def test_a_rule_about_both_sides_answers_for_each() -> None:
    assert [finding.about for finding in findings_of("enterprise", REFERENCE)] == ["bvio82", "bvio83"]


def test_the_hardware_key_of_the_target_is_said_to_be_derived() -> None:
    (finding,) = findings_of("sap-hardware-key", REFERENCE)
    assert finding.facts["uname -m now"] == "000071DA4C00"
    assert finding.facts["on the target, derived from its serial"] == "000072EA4C00"
    assert "licence" in finding.remedy


def test_a_hardware_key_is_not_derived_where_the_rule_does_not_hold_for_the_source() -> None:
    (finding,) = findings_of("sap-hardware-key", guest(identity=Identity(machine_id="00C71DA14C00"))(REFERENCE))
    assert finding.facts["on the target, derived from its serial"] == "cannot be derived"


def test_the_derivation_holds_for_the_blade_that_it_was_seen_on() -> None:
    """`GLPI`: serial 106BDCA shows as 0006BDCA."""
    assert machine_id_of("106BDCA").startswith("0006BDCA")


def test_a_lun_is_found_under_another_name_on_the_target() -> None:
    renamed = sees("target", replace(LUN1, name="hdisk7"), replace(LUN2, name="hdisk8"))(REFERENCE)
    (finding,) = findings_of("same-luns", renamed)
    assert finding.verdict is Verdict.PASS
    assert finding.facts == {"hdisk1": "hdisk7 by unique_id and PVID", "hdisk2": "hdisk8 by unique_id and PVID"}


# -- two I/O servers on a frame ----------------------------------------------------------------------------------------


def two_each(second: Vios) -> Survey:
    """The reference case with two I/O servers on either frame; ``second`` is the target's second one."""
    first, other = a_vios("v1", "10071DA", MAPPED), a_vios("v2", "10071DA", replace(MAPPED, name="vhost5"))
    survey = under_an_hmc()(REFERENCE)
    servers = (SERVER, replace(SERVER, name="vios2", lpar_id=3))
    source = replace(
        survey.source, vios=merge_vios("p7a", {"v1": first, "v2": other}), partitions=(*servers, UNDER_AN_HMC)
    )
    target = replace(
        survey.target, vios=merge_vios("p7b", {"w1": a_vios("w1", "10072EA"), "w2": second}), partitions=servers
    )
    return replace(survey, source=source, target=target)


def test_both_io_servers_of_a_frame_are_looked_at() -> None:
    survey = two_each(a_vios("w2", "10072EA"))
    assert ready(examine(survey)) is Answer.READY
    (finding,) = findings_of("luns-free", survey)
    assert set(finding.facts) == {"hdisk1@w1", "hdisk1@w2", "hdisk2@w1", "hdisk2@w2"}


SECOND: list[tuple[str, Verdict, dict[str, Any]]] = [
    ("luns-free", Verdict.FAIL, {"scsi_servers": (NEIGHBOUR,)}),
    ("reserve-policy", Verdict.FAIL, {"disks": (OWN, replace(LUN1, reserve_policy="single_path"), LUN2)}),
    ("same-luns", Verdict.WARN, {"disks": (OWN, LUN1)}),
    ("same-luns", Verdict.UNKNOWN, {"disks": None}),
    ("paths", Verdict.UNKNOWN, {"paths": None, "multipath": None}),
    ("luns-free", Verdict.UNKNOWN, {"scsi_servers": None}),
]


@pytest.mark.parametrize(("key", "verdict", "facts"), SECOND)
def test_what_is_wrong_with_the_second_io_server_only_is_not_passed_over(
    key: str, verdict: Verdict, facts: dict[str, Any]
) -> None:
    survey = two_each(replace(a_vios("w2", "10072EA"), **facts))
    assert verdict in {finding.verdict for finding in findings_of(key, survey)}


def test_a_full_second_io_server_is_a_warning_while_the_first_has_room() -> None:
    survey = two_each(a_vios("w2", "10072EA"))
    full = replace(SERVER, name="vios2", lpar_id=3, max_virtual_slots=2)
    survey = replace(survey, target=replace(survey.target, partitions=(SERVER, full)))
    (finding,) = findings_of("virtual-slots", survey)
    assert finding.verdict is Verdict.WARN
    assert "vios2" in finding.remedy


def test_an_io_server_that_is_switched_off_hinders_only_when_there_is_no_other() -> None:
    survey = two_each(a_vios("w2", "10072EA"))
    off = replace(SERVER, name="vios2", lpar_id=3, state="Not Activated", rmc_state="inactive")
    one_of_two = replace(survey, target=replace(survey.target, partitions=(SERVER, off)))
    alone = replace(survey, target=replace(survey.target, partitions=(off,)))
    assert {finding.verdict for finding in findings_of("rmc-vios", one_of_two)} == {Verdict.PASS, Verdict.WARN}
    assert Verdict.FAIL in {finding.verdict for finding in findings_of("rmc-vios", alone)}


def test_an_io_server_of_the_source_that_runs_and_is_not_reached_hinders() -> None:
    survey = two_each(a_vios("w2", "10072EA"))
    lost = replace(SERVER, name="vios2", lpar_id=3, rmc_state="inactive")
    there = replace(survey, target=replace(survey.target, partitions=(SERVER, lost)))
    here = replace(survey, source=replace(survey.source, partitions=(SERVER, lost, UNDER_AN_HMC)))
    assert Verdict.WARN in {finding.verdict for finding in findings_of("rmc-vios", there)}
    assert Verdict.FAIL in {finding.verdict for finding in findings_of("rmc-vios", here)}


def test_a_client_that_is_not_connected_is_found_by_its_slot() -> None:
    """``lsmap`` shows 0x00000000 then."""
    loose = vios("source", scsi_servers=(replace(MAPPED, client_lpar_id=0),))(REFERENCE)
    (finding,) = findings_of("whole-luns", loose)
    assert finding.facts["disks"] == 2
