"""Every kind of Power set-up, fine and broken, under an IVM and under an HMC: the simulated firmware and the checks
held against one table.

A row says what firmware does with the set-up, and the source of that (docs/sources.md); never what a check says of
it. ``recalled`` stands where no source could be opened. Landscapes are read once; a row changes a world by a fault
or by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lpmkit.checks import Answer, Finding, Verdict, examine, ready
from lpmkit.control.aix import Subsystem
from lpmkit.control.aix_identity import Identity
from lpmkit.control.clusters import ClusterMember
from lpmkit.inventory import Device
from lpmkit.simulator.chassis import Frame, LogicalPort, PagingDevice, Partition, ScsiPair, VirtualDisk, World
from lpmkit.simulator.faults import KINDS
from lpmkit.survey.model import Guest
from tests.in_process import place

PASS, WARN, FAIL, UNKNOWN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN
NONE = Verdict.NOT_APPLICABLE

#: What a partition that is well says of itself; nobody logs in to it here.
WELL = Guest(
    Identity(machine_id="000071DA4C00"),
    adapters=(Device("ent0", "Available", "Virtual I/O Ethernet Adapter (l-lan)"),),
    rmc=Subsystem("ctrmc", "rsct", 4128890, "active"),
    clusters=(),
)
#: Landscape, source and target of each partition.
MOVES = {
    "bxaix85": ("js22", "bvio82", "bvio83"),
    "bxaix86": ("js22", "bvio82", "bvio83"),
    "p7aix01": ("p7pair", "p7a", "p7b"),
    **dict.fromkeys(("p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06"), ("p8pair", "p8a", "p8b")),
    "p8ibmi01": ("p8pair", "p8b", "p8a"),
    **dict.fromkeys(
        ("p10aix01", "p10npiv01", "p10lin01", "p10ibmi01", "p10sriov01", "p10sriov02"), ("p10pair", "p10a", "p10b")
    ),
}


@dataclass(frozen=True)
class Setup:
    """A set-up: what firmware does with it, by its source, and what the checks about it say."""

    kind: str
    partition: str
    firmware: str
    checks: Mapping[str, Verdict]
    source: str
    faults: tuple[str, ...] = ()
    change: Callable[[World], World] | None = None
    guest: Guest = WELL
    options: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    expected_s: float | None = None

    def __str__(self) -> str:
        how = "-".join(
            (*self.faults, self.change.__name__ if self.change else "", *self.options.values(), *self.mapping)
        ).strip("-")
        return f"{self.kind}-{self.partition}-{self.firmware}-{how}".replace(" ", "_")


# -- changes by hand ---------------------------------------------------------------------------------------------------


def _on(partition: str, change: Callable[[Partition], Partition]) -> Callable[[World], World]:
    def changed(world: World) -> World:
        moved = world.home(partition)
        assert moved is not None
        return world.with_partition(change(moved))

    changed.__name__ = change.__name__
    return changed


def _at(frame: str, change: Callable[[Frame], Frame]) -> Callable[[World], World]:
    def changed(world: World) -> World:
        return world.with_frame(change(world.frame(frame)))

    changed.__name__ = change.__name__
    return changed


def suspended(moved: Partition) -> Partition:
    return replace(moved, state="Suspended", rmc_state="inactive")


def not_activated(moved: Partition) -> Partition:
    return replace(moved, state="Not Activated", rmc_state="none")


def without_rmc(moved: Partition) -> Partition:
    return replace(moved, rmc_state="inactive")


def _with(*disks: VirtualDisk) -> Callable[[Partition], Partition]:
    def more(moved: Partition) -> Partition:
        return replace(moved, scsi=tuple(replace(pair, disks=(*pair.disks, *disks)) for pair in moved.scsi))

    more.__name__ = disks[0].vtd
    return more


EMPTY_DRIVE = _with(VirtualDisk("vtopt0", "", "optical"))
TAPE = _with(VirtualDisk("vttape0", "rmt0", "tape"))
CEPH = _with(VirtualDisk("vtscsi9", "rbd0", "logical_volume"))


def iscsi(world: World) -> World:
    """Every LUN over iSCSI: the same device names and numbers, other identifiers."""
    for frame in world.frames:
        changed = frame
        for server in frame.servers:
            disks = tuple(
                replace(disk, unique_id=disk.unique_id.replace("fcp", "iscsi")) if disk.lun else disk
                for disk in server.disks
            )
            changed = changed.with_server(replace(server, disks=disks))
        world = world.with_frame(changed)
    return world


def without_limbo(frame: Frame) -> Frame:
    """One bridge of a failover pair in LIMBO."""
    first = frame.servers[0]
    assert first.sea is not None
    return frame.with_server(replace(first, sea=replace(first.sea, state="LIMBO")))


def shared_memory(*devices: PagingDevice) -> Callable[[World], World]:
    def pooled(world: World) -> World:
        for frame in world.frames:
            world = world.with_frame(replace(frame, memory_pool_mb=65536, paging=devices))
        moved = world.home("p8aix01")
        assert moved is not None
        return world.with_partition(replace(moved, attributes=(("mem_mode", "shared"),)))

    pooled.__name__ = "_".join(f"{one.size_mb}{'used' if one.used else ''}" for one in devices) or "no_device"
    return pooled


def levels(source: str, target: str) -> Callable[[World], World]:
    def changed(world: World) -> World:
        for frame, level in zip(world.frames, (source, target), strict=True):
            world = world.with_frame(replace(frame, firmware=level))
        return world

    changed.__name__ = f"{source}_{target}"
    return changed


def power7(frame: Frame) -> Frame:
    return replace(frame, compat_modes=("default", "POWER6", "POWER6+", "POWER7"))


def power7_mode(world: World) -> World:
    """A target of POWER7, and the partition in its mode, with simplified remote restart."""
    moved = world.home("p8aix01")
    assert moved is not None
    restarts = (("simplified_remote_restart_capable", "1"),)
    world = world.with_partition(replace(moved, compat_mode="POWER7", attributes=restarts))
    return world.with_frame(power7(world.frame("p8b")))


def id_taken(world: World) -> World:
    """The partition's id belongs to another one on the target."""
    moved = world.home("bxaix85") or world.home("p8aix01")
    assert moved is not None
    target = next(frame for frame in world.frames if frame.name != moved.frame)
    scsi = (ScsiPair(2, target.vios.name, world.free_server_slot(target), 98),)
    other = replace(
        moved, name="another", frame=target.name, state="Not Activated", scsi=scsi, host=False, rmc_state="none"
    )
    return world.with_partition(other)


def prefers(moved: Partition) -> Partition:
    """It runs in an older mode than the one it prefers, which the target has not."""
    return replace(moved, attributes=(("desired_lpar_proc_compat_mode", "POWER9"),))


def full_ports(world: World) -> World:
    """The SR-IOV ports of the target have nothing left."""
    target = world.frame("p8b")
    ports = tuple(
        LogicalPort(port.adapter, port.port, f"2700{port.adapter}00{port.port}", capacity=99.0) for port in target.sriov
    )
    other = world.home("p8aix06")
    assert other is not None
    neighbour = replace(
        other, name="full", frame="p8b", lpar_id=88, scsi=(), fc=(), ethernets=(), host=False, logical_ports=ports
    )
    return world.with_partition(neighbour)


def keystore(moved: Partition) -> Partition:
    return replace(moved, attributes=(("keystore_kbytes", "64"),))


def _guest(*texts: tuple[str, str, str | None]) -> Guest:
    return replace(WELL, adapters=tuple(Device(name, "Available", text, where) for name, text, where in texts))


ETHERCHANNEL = _guest(
    ("ent0", "Virtual I/O Ethernet Adapter (l-lan)", None),
    ("ent1", "Virtual I/O Ethernet Adapter (l-lan)", None),
    ("ent2", "EtherChannel / IEEE 802.3ad Link Aggregation", None),
    ("ent3", "VLAN", None),
)
OVER_HARDWARE = _guest(
    ("ent0", "4-Port 10/100/1000 Base-TX PCI-Express Adapter (14106803)", "02-00"),
    ("ent2", "EtherChannel / IEEE 802.3ad Link Aggregation", None),
)
VNIC_CLIENT = _guest(("ent0", "Virtual NIC Client Adapter (vnic)", None))
VF = _guest(("ent0", "PCIe3 4-Port 10GbE SR Adapter VF(df1028e214100f04)", "00-00"))


def clustered(kind: str, seconds: float) -> Guest:
    return replace(WELL, clusters=(ClusterMember(kind, "clstrmgr", seconds),))


# -- the table ---------------------------------------------------------------------------------------------------------

FIRST_PAIR = {"source_msp_name": "p10a-vios1", "dest_msp_name": "p10b-vios1"}
BOTH_PAIRS = {"redundant_msps": "1/p10a-vios1/1//p10b-vios2/2/,1/p10a-vios2/2//p10b-vios1/1/"}
NO_SUCH_PAIR = {"redundant_msps": "1/p10a-vios1/1//p10b-vios9/9/,1/p10a-vios2/2//p10b-vios1/1/"}
VALIDATION = "IBMDOC:iphc3ivmvalidation"
BOTH = ("bxaix85", "p8aix01")


def each(kind: str, firmware: str, checks: Mapping[str, Verdict], source: str, *faults: str) -> list[Setup]:
    """The same set-up under an IVM and under an HMC."""
    return [Setup(kind, partition, firmware, checks, source, faults) for partition in BOTH]


SETUPS = [
    # nothing in the way
    *(Setup("plain", partition, "takes", {}, VALIDATION) for partition in MOVES if partition not in ("p10sriov02",
                                                                                                     "bxaix86")),
    # what is behind a disk
    *each("whole LUN", "takes", {"whole-luns": PASS, "same-luns": PASS, "luns-free": PASS}, "KSH-IVM"),
    *each("whole LUN", "refuses", {"same-luns": FAIL}, "NOVA-IVM", "lun-not-seen"),
    *each("whole LUN", "refuses", {"luns-free": FAIL}, "KSH-IVM", "lun-in-use"),
    *each("whole LUN", "refuses", {"same-luns": FAIL}, "recalled", "pvid-differs"),
    *each("whole LUN", "refuses", {"reserve-policy": FAIL}, "KSH-IVM", "reserve-policy"),
    *each("whole LUN", "refuses", {"paths": FAIL}, "recalled", "path-lost"),
    Setup("whole LUN", "bxaix85", "takes", {"paths": WARN}, "recalled", ("one-path-lost",)),
    *each("logical volume", "refuses", {"whole-luns": FAIL}, "KSH-IVM", "logical-volume"),
    Setup("logical volume", "bxaix86", "refuses", {"whole-luns": FAIL}, "KSH-IVM"),
    *each("file", "refuses", {"whole-luns": FAIL}, "KSH-IVM", "file-backed"),
    *each("optical", "refuses", {"optical": FAIL}, "KSH-IVM", "optical-media"),
    *(Setup("optical", name, "takes", {"optical": WARN}, "KSH-IVM", change=_on(name, EMPTY_DRIVE)) for name in BOTH),
    *(Setup("tape", name, "refuses", {"whole-luns": FAIL}, "recalled", change=_on(name, TAPE)) for name in BOTH),
    Setup("Ceph", "p8aix01", "refuses", {"whole-luns": FAIL}, "NOVA-PVM", change=_on("p8aix01", CEPH)),
    *(Setup("iSCSI", name, "takes", {"same-luns": PASS}, "NOVA-PVM", change=iscsi) for name in BOTH),
    Setup("iSCSI", "p8aix01", "refuses", {"same-luns": FAIL}, "NOVA-PVM", ("lun-not-seen",), iscsi),
    Setup("pool unit", "p10aix01", "takes", {"storage-pool": PASS, "same-luns": NONE}, "NOVA-PVM"),
    Setup("pool unit", "p10aix01", "refuses", {"storage-pool": FAIL}, "NOVA-PVM", ("node-down",)),
    Setup("NPIV", "p8npiv01", "takes", {"wwpn-pairs": PASS, "fc-zoned": PASS, "fc-masked": UNKNOWN}, "HMC8"),
    Setup("NPIV", "p8npiv01", "refuses", {"fc-zoned": FAIL}, "HMC8", ("wwpn-not-zoned",)),
    Setup("NPIV", "p8npiv01", "takes", {"fc-masked": UNKNOWN}, "HMC8", ("wwpn-not-masked",)),
    Setup("NPIV", "p8npiv01", "refuses", {"fc-ports": FAIL}, VALIDATION, ("fc-ports-full",)),
    # adapters
    *each("virtual Ethernet", "takes", {"bridged": PASS, "virtual-adapters": PASS}, VALIDATION),
    *each("virtual Ethernet", "refuses", {"bridged": FAIL}, VALIDATION, "no-sea"),
    *each("virtual Ethernet", "refuses", {"bridged": FAIL}, VALIDATION, "vlan-missing"),
    Setup("virtual Ethernet", "p8aix01", "refuses", {"bridged": FAIL}, VALIDATION, ("vswitch-differs",)),
    Setup("SEA failover", "p8aix01", "takes", {"bridged": PASS}, "SNAP"),
    Setup("SEA failover", "p8aix01", "takes", {"bridged": WARN}, "recalled", change=_at("p8b", without_limbo)),
    *each("SEA failover", "refuses", {"bridged": FAIL}, "recalled", "sea-limbo"),
    Setup("vNIC", "p8vnic01", "takes", {"vnic": PASS, "virtual-adapters": PASS}, "AVOCADO", guest=VNIC_CLIENT),
    Setup("vNIC", "p8vnic01", "refuses", {"vnic": FAIL}, "HMC9", ("no-link",)),
    *(Setup("EtherChannel", name, "takes", {"virtual-adapters": PASS}, VALIDATION,
            guest=ETHERCHANNEL) for name in BOTH),
    *(
        Setup(
            "EtherChannel",
            name,
            "refuses",
            {"virtual-adapters": FAIL, "physical-slots": FAIL},
            VALIDATION,
            ("physical-adapter",),
            guest=OVER_HARDWARE,
        )
        for name in BOTH
    ),
    *each("physical", "refuses", {"physical-slots": FAIL}, "KSH-IVM", "physical-adapter"),
    *each("host Ethernet", "refuses", {"host-ethernet": FAIL}, "recalled", "hea-port"),
    Setup("SR-IOV", "p10sriov01", "takes", {"sriov": WARN}, "HMC9"),
    Setup("SR-IOV", "p10sriov02", "refuses", {"sriov": FAIL, "virtual-adapters": FAIL}, "HMC9", guest=VF),
    Setup("SR-IOV", "p8aix01", "refuses", {"sriov": FAIL}, "HMC9", ("sriov-port",)),
    *each("serial", "refuses", {"serial-adapters": FAIL}, "recalled", "serial-adapter"),
    # memory and processors
    *each("room", "refuses", {"memory-room": FAIL}, VALIDATION, "no-room-memory"),
    *each("room", "refuses", {"processor-room": FAIL}, VALIDATION, "no-room-processors"),
    Setup("room", "p8aix06", "refuses", {"memory-room": FAIL}, VALIDATION, ("no-room-memory:p8aix06",)),
    *each("memory region", "takes", {"memory-region": PASS}, "NOVA-PVM"),
    *each("memory region", "refuses", {"memory-region": FAIL}, "NOVA-PVM", "region-size"),
    *each("huge pages", "refuses", {"huge-pages": FAIL}, VALIDATION, "huge-pages"),
    Setup("shared memory", "bxaix85", "refuses", {"dedicated-memory": UNKNOWN}, "IVM-migrlpar", ("shared-memory",)),
    Setup("shared memory", "p8aix01", "refuses", {"dedicated-memory": FAIL}, "IVM-migrlpar", ("shared-memory",)),
    Setup(
        "shared memory",
        "p8aix01",
        "takes",
        {"dedicated-memory": PASS},
        "IVM-migrlpar",
        change=shared_memory(PagingDevice("hdisk9", 32768)),
    ),
    Setup(
        "shared memory",
        "p8aix01",
        "refuses",
        {"dedicated-memory": FAIL},
        "IVM-migrlpar",
        change=shared_memory(PagingDevice("hdisk9", 32768, used=True), PagingDevice("hdisk10", 4096)),
    ),
    *each("compatibility mode", "refuses", {"compat-mode": FAIL}, "NOVA-PVM", "compat-mode"),
    *each("compatibility mode", "takes", {"compat-mode": PASS}, "NOVA-PVM"),
    Setup("processor pool", "p8aix01", "takes", {"pool": WARN}, "HMC7", ("pool-missing",)),
    # the partition
    *(Setup("suspended", name, "refuses", {"partition-running": FAIL}, VALIDATION,
            change=_on(name, suspended)) for name in BOTH),
    *each("open firmware", "refuses", {"partition-running": FAIL}, VALIDATION, "not-running"),
    *(
        Setup("not activated", name, "takes", {"partition-running": WARN}, "IVM-migrlpar",
              change=_on(name, not_activated))
        for name in BOTH
    ),
    *each("RMC", "refuses", {"rmc-manager": FAIL}, VALIDATION, "rmc-inactive"),
    Setup("RMC", "p8ibmi01", "takes", {"rmc-manager": PASS}, "PYPVM", change=_on("p8ibmi01", without_rmc)),
    Setup("IBM i", "p10ibmi01", "takes", {"restricted-io": PASS}, "IBMI-LPM"),
    Setup("IBM i", "p10ibmi01", "refuses", {"restricted-io": FAIL}, "IBMI-LPM", ("free-io:p10ibmi01",)),
    Setup("IBM i", "p10ibmi01", "refuses", {"error-path-reporting": FAIL}, "IBMI-LPM",
          ("error-path-reporting:p10ibmi01",)),
    *each("error path reporting", "refuses", {"error-path-reporting": FAIL}, "recalled", "error-path-reporting"),
    *each("barrier register", "refuses", {"barrier-register": FAIL}, "recalled", "bsr-arrays"),
    *each("workload group", "refuses", {"workload-group": FAIL}, "recalled", "work-group"),
    Setup("mobility disabled", "p8aix01", "refuses", {"mobility-allowed": FAIL}, "FIELD-ADMIN", ("mobility-disabled",)),
    Setup("mobility disabled", "bxaix85", "refuses", {"mobility-allowed": UNKNOWN}, "FIELD-ADMIN",
          ("mobility-disabled",)),
    Setup("remote restart", "p8aix01", "takes", {"remote-restart": WARN}, "HMC8", ("simplified-restart",)),
    Setup("remote restart", "p8aix01", "takes", {"remote-restart": WARN}, "HMC8", ("remote-restart",)),
    Setup("remote restart", "p8aix01", "refuses", {"remote-restart": FAIL}, "HMC8", change=power7_mode),
    Setup("affinity group", "p8aix01", "takes", {"affinity-group": WARN}, "recalled", ("affinity-group",)),
    Setup("profiles", "p8aix01", "takes", {"profile": WARN}, "recalled", ("second-profile",)),
    Setup("terminal", "p8aix01", "takes", {"terminal": UNKNOWN}, "NOVA-PVM", ("vterm-open",)),
    Setup("terminal", "bxaix85", "takes", {"terminal": UNKNOWN}, "NOVA-PVM", ("vterm-open",)),
    Setup("virtual TPM", "p10aix01", "takes", {"trusted-data": PASS}, "HMC-CHTSKEY"),
    Setup("virtual TPM", "p10aix01", "refuses", {"trusted-data": UNKNOWN}, "recalled", ("vtpm:p10aix01",)),
    Setup("keystore", "p10aix01", "takes", {"trusted-data": UNKNOWN}, "recalled", change=_on("p10aix01", keystore)),
    *each("readiness", "refuses", {"system-ready": UNKNOWN}, VALIDATION, "os-not-ready"),
    Setup("guest level", "bxaix85", "refuses", {"guest-level": FAIL}, "DW-LPM", ("old-system",)),
    Setup("guest level", "p8aix01", "refuses", {"guest-level": FAIL}, "DW-LPM", ("old-system",)),
    *each("cluster", "takes", {"cluster": PASS}, "ORACLE-CSS"),
    Setup(
        "cluster", "bxaix85", "takes", {"cluster": PASS}, "ORACLE-CSS", guest=clustered("PowerHA", 30), expected_s=3.0
    ),
    # ids, names, slots
    *each("name", "refuses", {"name-free": FAIL}, "KSH-IVM", "name-taken"),
    Setup("id", "bxaix85", "takes", {"id-free": WARN}, "IBMDOC:iphc3attributes", change=id_taken),
    Setup("id", "p8aix01", "takes", {"id-free": WARN}, "IBMDOC:iphc3attributes", change=id_taken),
    Setup("slots", "bxaix85", "refuses", {"virtual-slots": FAIL}, "KSH-IVM", ("slots-full",)),
    # Whether an HMC would use slots below 11 is not known: neither is what it would do with those that are free.
    Setup("slots", "p8aix01", "refuses", {"virtual-slots": UNKNOWN}, "KSH-IVM", ("slots-full",)),
    Setup("slots", "p8npiv01", "refuses", {"virtual-slots": UNKNOWN}, "KSH-IVM", ("slots-full",)),
    # the systems and their managers
    *each("enterprise", "refuses", {"enterprise": FAIL}, "DW-LPM", "not-enterprise"),
    *each("mover", "takes", {"vasi": PASS}, VALIDATION),
    *each("mover", "refuses", {"vasi": FAIL}, VALIDATION, "no-vasi"),
    Setup("mover", "p7aix01", "refuses", {"movers": FAIL, "movers-connected": FAIL}, "OPTEST", ("no-msp",)),
    Setup("mover", "p8aix01", "refuses", {"movers": FAIL}, "OPTEST", ("no-msp",)),
    Setup("mover", "p8aix01", "takes", {"multipath": WARN, "rmc-vios": WARN}, "BOND", ("one-vios",)),
    Setup(
        "redundant VIOS", "p8aix01", "refuses", {"multipath": FAIL}, "HMC7", ("one-vios",),
        options={"redundantvios": "1"}
    ),
    Setup("redundant VIOS", "p8aix01", "takes", {"multipath": PASS}, "HMC7", options={"redundantvios": "1"}),
    Setup("virtual Ethernet", "p8aix01", "takes", {"bridged": WARN}, "HMC7", ("no-sea",), options={"vlanbridge": "2"}),
    Setup("compatibility mode", "p8aix01", "refuses", {"compat-mode": FAIL}, "IBM-PCM", change=_on("p8aix01", prefers)),
    Setup("vNIC", "p8vnic01", "refuses", {"vnic": FAIL}, "HMCMCP", change=full_ports),
    Setup("SR-IOV", "p10sriov01", "takes", {"sriov": PASS}, "HMC9", options={"migsriov": "1"}),
    Setup("SR-IOV", "p10sriov01", "refuses", {"sriov": FAIL}, "HMC9", ("no-link:p10sriov01",),
          options={"migsriov": "1"}),
    Setup("SR-IOV", "p10sriov01", "takes", {"sriov": WARN}, "HMC9", ("no-link:p10sriov01",), options={"migsriov": "2"}),
    Setup("redundant movers", "p10aix01", "takes", {"redundant-movers": PASS}, "RedMSP"),
    Setup("redundant movers", "p10aix01", "takes", {"redundant-movers": WARN}, "recalled", mapping=FIRST_PAIR),
    Setup(
        "redundant movers",
        "p10aix01",
        "takes",
        {"redundant-movers": PASS},
        "RedMSP",
        mapping=FIRST_PAIR,
        options={"redundantmsps": "0"},
    ),
    Setup("redundant movers", "p10aix01", "takes", {"redundant-movers": PASS}, "RedMSP", mapping=BOTH_PAIRS),
    Setup(
        "redundant movers", "p10aix01", "takes", {"redundant-movers": PASS}, "RedMSP", options={"redundantmsps": "1"}
    ),
    Setup(
        "redundant movers",
        "p10aix01",
        "refuses",
        {"redundant-movers": FAIL},
        "RedMSP",
        ("one-vios",),
        options={"redundantmsps": "1"},
    ),
    Setup("redundant movers", "p10aix01", "refuses", {"redundant-movers": FAIL}, "RedMSP", mapping=NO_SUCH_PAIR),
    Setup("RMC of the VIOS", "p8aix01", "refuses", {"rmc-vios": FAIL}, VALIDATION, ("vios-rmc-inactive",)),
    *each("moves at once", "refuses", {"concurrency": FAIL}, "NOVA-PVM", "migration-limit"),
    Setup("keys", "bxaix85", "refuses", {"keys": FAIL}, "NOVA-IVM", ("keys-not-exchanged",)),
    Setup("power", "p8aix01", "refuses", {"operating": FAIL}, "ZIU", ("no-power",)),
    *each("VIOS level", "refuses", {"vios-level": FAIL}, "DW-LPM", "old-vios"),
    Setup("firmware", "p8aix01", "takes", {"firmware-pair": PASS}, "IBM-FW-POWER8"),
    Setup("firmware", "p10aix01", "takes", {"firmware-pair": PASS}, "IBM-FW-Power11"),
    Setup(
        "firmware",
        "p7aix01",
        "refuses",
        {"firmware-pair": FAIL},
        "IBM-FW-POWER7",
        change=levels("AL720_101", "AL770_052"),
    ),
    Setup(
        "firmware", "p7aix01", "takes", {"firmware-pair": PASS}, "IBM-FW-POWER8",
        change=levels("AL730_142", "AL770_052")
    ),
]  # fmt: skip


def judged(setup: Setup) -> tuple[tuple[Finding, ...], bool, str]:
    """The findings of the checks, whether the firmware takes it, and its words."""
    landscape, source, target = MOVES[setup.partition]
    with place(landscape, *setup.faults) as up:
        if setup.change is not None:
            up.chassis.change(setup.change)
        order = replace(up.order(setup.partition, source, target, setup.mapping), options=dict(setup.options))
        survey = replace(up.survey(order), guest=setup.guest, expected_suspension_s=setup.expected_s)
        reply = up.control(source).validate(order)
    return examine(survey), reply.status == 0, reply.text


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_the_firmware_and_the_checks_say_the_same_of_a_set_up(setup: Setup) -> None:
    findings, taken, words = judged(setup)
    assert ("takes" if taken else "refuses") == setup.firmware, words
    by_key = {key: {one.verdict for one in findings if one.key == key} for key in setup.checks}
    for key, verdict in setup.checks.items():
        assert verdict in by_key[key], (key, [dict(one.facts) for one in findings if one.key == key])
        assert verdict is not PASS or by_key[key] == {PASS}, key
    failing = [(one.key, one.about, dict(one.facts)) for one in findings if one.verdict is FAIL]
    if setup.firmware == "takes":
        assert not failing
    else:
        assert PASS not in setup.checks.values(), "nothing passes that the firmware refuses"
        told = [one for one in findings if one.key in setup.checks and one.verdict in (FAIL, UNKNOWN)]
        assert all(one.remedy for one in told)
        if FAIL in setup.checks.values():
            assert ready(findings) is Answer.NOT_READY
    if not setup.checks and setup.partition not in ("p8lin01", "p10lin01", "p8ibmi01", "p10ibmi01", "p10sriov01"):
        assert ready(findings) is Answer.READY


def test_every_row_names_a_source_and_every_kind_is_fine_somewhere_or_broken() -> None:
    page = (Path(__file__).parent.parent / "docs" / "sources.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE))
    assert {setup.source for setup in SETUPS} <= keys | {"recalled"}
    for kind in {setup.kind for setup in SETUPS}:
        managers = {MOVES[setup.partition][0] for setup in SETUPS if setup.kind == kind}
        assert managers, kind
    given = {fault.partition(":")[0] for setup in SETUPS for fault in setup.faults}
    landscape_faults = {name for name, kind in KINDS.items() if kind.where == "landscape"}
    # SAP's licence is no matter of the firmware, and a cluster is read in the partition.
    assert given == landscape_faults - {"sap-licence-missing", "cluster"}
    two_sided = {"whole LUN", "optical", "iSCSI", "pool unit", "NPIV", "virtual Ethernet", "SEA failover", "vNIC"}
    two_sided |= {"EtherChannel", "SR-IOV", "shared memory", "compatibility mode", "remote restart", "firmware"}
    two_sided |= {"virtual TPM", "IBM i", "mover", "memory region", "RMC", "redundant movers"}
    for kind in two_sided:
        assert {setup.firmware for setup in SETUPS if setup.kind == kind} == {"takes", "refuses"}, kind
