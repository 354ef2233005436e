"""Every rule passes on the reference case, fails on the one fact that it is about, and does not pass without that fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lpmkit.checks import CHECKS, Answer, Finding, Verdict, examine, machine_id_of, ready
from lpmkit.control import MigrationReading
from lpmkit.control.aix import Identity, Subsystem
from lpmkit.inventory import (
    Device,
    DiskPath,
    Frame,
    MultipathDisk,
    MultipathPath,
    Partition,
    PhysicalDisk,
    PhysicalSlot,
    SharedEthernet,
    Trunk,
    Vios,
    VirtualEthernetAdapter,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VirtualTarget,
)
from lpmkit.survey import Gap, Guest, KeyTest, Side, Survey, together

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
        shared_ethernets=(SharedEthernet("ent4", f"U7998.61X.{serial}-V1-C3-T1", "ent6", "ent0", "Available"),),
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
    )


def a_server(name: str) -> Partition:
    return Partition(name, 1, "Running", "vioserver", max_virtual_slots=64)


MOVING = Partition(
    "bxaix85",
    2,
    "Running",
    "aixlinux",
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
REFERENCE = Survey(
    partition="bxaix85",
    source=Side(
        "bvio82",
        a_frame("bvio82", "10071DA"),
        (a_server("10-071DA"), MOVING),
        (CLIENT, VirtualScsiAdapter("10-071DA", 1, 11, "server", "bxaix85", 2, 2, False)),
        (VirtualEthernetAdapter("bxaix85", 2, 4, 1, mac="6A8880001204"),),
        a_vios("bvio82", "10071DA", MAPPED),
    ),
    target=Side(
        "bvio83",
        a_frame("bvio83", "10072EA"),
        (a_server("10-072EA"),),
        (),
        (VirtualEthernetAdapter("10-072EA", 1, 3, 1, is_trunk=True),),
        a_vios("bvio83", "10072EA"),
    ),
    guest=Guest(
        Identity(hostname="bxaix85", machine_id="000071DA4C00"),
        adapters=(
            Device("ent0", "Available", "Virtual I/O Ethernet Adapter (l-lan)"),
            Device("vscsi0", "Available", "Virtual SCSI Client Adapter"),
        ),
        rmc=Subsystem("ctrmc", "rsct", 3801192, "active"),
    ),
    migration=MigrationReading("Running", "Not Migrating"),
    physical_slots=(),
    keys=KeyTest(0, ""),
)


# -- ways to alter one fact of the reference case ----------------------------------------------------------------------------

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


RVG = MAPPED.targets[0]
OPTICAL = VirtualTarget("vtopt0", "0x8300000000000000", "", "Available")
NEIGHBOUR = VirtualScsiServer("vhost0", "U7998.61X.10072EA-V1-C11", 2, (VirtualTarget("rvg", "0x81", "hdisk1"),))
FC = Device("fcs0", "Available", "4Gb FC PCI Express Adapter (df1000fe)", "05-08")
HEA = Device("ent1", "Available", "Logical Host Ethernet Port (lp-hea)")
BROKEN = MultipathDisk(
    "hdisk1", "75BALB14000", "Load Balance", "2107900", (MultipathPath(0, "p0", "CLOSE", "FAILED", 1, 9),)
)

FAILS: list[tuple[str, Altered]] = [
    ("partition-running", moving(state="Not Activated")),
    ("partition-running", side("source", partitions=(a_server("10-071DA"),))),
    ("not-migrating", whole(migration=MigrationReading("Migrating - Running", "Migration Starting"))),
    ("two-systems", frame("target", serial="10071DA")),
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
    ("virtual-slots", side("target", partitions=(replace(a_server("10-072EA"), max_virtual_slots=3),))),
    ("huge-pages", moving(huge_pages=1)),
    ("workload-group", moving(work_group="3")),
    ("error-path-reporting", moving(redundant_error_path_reporting=True)),
    ("physical-slots", whole(physical_slots=(PhysicalSlot("U1-P1-C4", "Ethernet", "bxaix85"),))),
    ("virtual-adapters", guest(adapters=(FC,))),
    ("virtual-adapters", guest(adapters=(HEA,))),
    ("whole-luns", hangs_on(replace(RVG, backing="lv_bxaix85"))),
    ("whole-luns", hangs_on(replace(RVG, backing="/var/vio/storagepools/pool/bxaix85"))),
    ("whole-luns", hangs_on(replace(RVG, backing="hdisk0"))),
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
    ("bridged", vios("source", trunks=())),
]

#: The reference case under an HMC: its I/O servers are partitions like others, and tell more of themselves.
SERVER = Partition("vios1", 1, "Running", "vioserver", rmc_state="active", max_virtual_slots=64, msp=True)


def under_an_hmc(**facts: Any) -> Altered:
    """Both sides under one HMC, with these facts of the target's I/O server."""

    def alter(survey: Survey) -> Survey:
        asked = ("vios1", "vios2")
        source = replace(survey.source, manager="hmc", asked=asked, partitions=(SERVER, MOVING))
        target = replace(survey.target, manager="hmc", asked=asked, partitions=(replace(SERVER, **facts),))
        return replace(survey, source=source, target=target, keys=None, one_manager=True)

    return alter


FAILS += [("movers", under_an_hmc(msp=False)), ("rmc-vios", under_an_hmc(rmc_state="inactive"))]

WARNS: list[tuple[str, Altered]] = [
    ("id-free", lists(replace(a_server("10-072EA"), name="bxlin90", lpar_id=2))),
    ("concurrency", frame("source", active_migrations_in_progress=1)),
    ("memory-room", frame("target", memory_available_mb=4100)),
    ("optical", hangs_on(RVG, OPTICAL)),
    ("paths", vios("target", paths=(replace(PATHS[0], status="Failed"), *PATHS[1:]), multipath=None)),
    ("sap-hardware-key", whole()),
    ("sap-hardware-key", guest(identity=Identity(machine_id="00C71DA14C00"))),
]

UNKNOWNS: list[tuple[str, Altered]] = [
    ("partition-running", side("source", partitions=None)),
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
    assert {finding.key for finding in findings if finding.verdict is not Verdict.PASS} == {"sap-hardware-key"}


def test_the_reference_case_under_one_hmc_is_ready_and_needs_no_keys() -> None:
    findings = examine(under_an_hmc()(REFERENCE))
    assert ready(findings) is Answer.READY
    assert {"movers", "rmc-vios", "io-servers"} <= {finding.key for finding in findings}
    (keys,) = (finding for finding in findings if finding.key == "keys")
    assert keys.facts == {"managers": "one and the same"}


def test_an_ivm_is_not_asked_what_only_an_hmc_knows() -> None:
    assert not {"movers", "rmc-vios", "io-servers"} & {finding.key for finding in examine(REFERENCE)}


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
    assert all(finding.facts["not known"] for finding in unknown)


def test_every_rule_is_shown_to_say_no_and_to_say_that_it_does_not_know() -> None:
    # those about a SAP system are shown in test_sap_checks.py
    asked_of_sap = {check.key for check in CHECKS if check.key.startswith("sap-") and not check(REFERENCE)}
    keys = {check.key for check in CHECKS} - asked_of_sap
    assert len(asked_of_sap) == 6
    assert {key for key, _ in (*FAILS, *WARNS)} == keys
    assert {key for key, _ in UNKNOWNS} == keys


def test_keys_of_rules_are_unique() -> None:
    assert len({check.key for check in CHECKS}) == len(CHECKS)


def test_an_empty_survey_passes_nothing() -> None:
    findings = examine(Survey("bxaix85", Side("bvio82"), Side("bvio83")))
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


# -- two I/O servers on a frame ------------------------------------------------------------------------------------------------------


def two_each(second: Vios) -> Survey:
    """The reference case with two I/O servers on either frame; ``second`` is the target's second one."""
    first, other = a_vios("v1", "10071DA", MAPPED), a_vios("v2", "10071DA", replace(MAPPED, name="vhost5"))
    survey = under_an_hmc()(REFERENCE)
    servers = (SERVER, replace(SERVER, name="vios2", lpar_id=3))
    source = replace(survey.source, vios=together("p7a", {"v1": first, "v2": other}), partitions=(*servers, MOVING))
    target = replace(
        survey.target, vios=together("p7b", {"w1": a_vios("w1", "10072EA"), "w2": second}), partitions=servers
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


def test_a_client_that_is_not_connected_is_found_by_its_slot() -> None:
    """``lsmap`` shows 0x00000000 then."""
    loose = vios("source", scsi_servers=(replace(MAPPED, client_lpar_id=0),))(REFERENCE)
    (finding,) = findings_of("whole-luns", loose)
    assert finding.facts["disks"] == 2
