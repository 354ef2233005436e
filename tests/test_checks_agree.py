"""The checks and the firmware's validation say the same of a move: for everything that can stand in its way, under an
IVM and under an HMC.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.checks import Answer, Finding, Verdict, examine, ready
from lpmkit.control.aix import Identity, Subsystem
from lpmkit.errors import UsageError
from lpmkit.inventory import Device
from lpmkit.simulator.faults import KINDS
from lpmkit.survey.model import Guest
from tests.in_process import place

#: What a partition that is well says of itself; nobody logs in to it here.
WELL = Guest(
    Identity(machine_id="000071DA4C00"),
    adapters=(Device("ent0", "Available", "Virtual I/O Ethernet Adapter (l-lan)"),),
    rmc=Subsystem("ctrmc", "rsct", 4128890, "active"),
    clusters=(),
)
#: Faults of things that this partition has not.
OF_FIBRE = {"wwpn-not-zoned", "wwpn-not-masked", "fc-ports-full"}
ELSEWHERE = {*OF_FIBRE, "no-link", "pool-missing", "sap-licence-missing", "node-down"}
#: Attributes that only systems under an HMC have.
UNDER_AN_HMC = {"sriov-port", "simplified-restart"}
LANDSCAPE = [name for name, kind in KINDS.items() if kind.where == "landscape"]
#: The firmware refuses for these and no command tells them beforehand: the check that says so.
FIRMWARE_ALONE = {
    ("js22", "os-not-ready"): "system-ready",
    ("js22", "mobility-disabled"): "mobility-allowed",
    ("p8pair", "os-not-ready"): "system-ready",
}

MOVES = {
    "bxaix85": ("js22", "bvio82", "bvio83"),
    "p8aix01": ("p8pair", "p8a", "p8b"),
    "p8npiv01": ("p8pair", "p8a", "p8b"),
    "p8vnic01": ("p8pair", "p8a", "p8b"),
    "p8aix06": ("p8pair", "p8a", "p8b"),
    "p7aix01": ("p7pair", "p7a", "p7b"),
    "bxaix86": ("js22", "bvio82", "bvio83"),
}
CASES = [
    *((partition, "") for partition in MOVES),
    *(
        ("bxaix85", fault)
        for fault in LANDSCAPE
        if fault not in ELSEWHERE | UNDER_AN_HMC | {"no-msp", "vios-rmc-inactive", "one-vios"}
    ),
    *(("p8aix01", fault) for fault in LANDSCAPE if fault not in ELSEWHERE | {"keys-not-exchanged"}),
    *(("p8npiv01", fault) for fault in (*sorted(OF_FIBRE), "slots-full", "pool-missing")),
    ("p8vnic01", "no-link"),
    ("p8aix06", "no-room-memory"),
    ("p7aix01", "no-msp"),
]


def judged(partition: str, fault: str) -> tuple[tuple[Finding, ...], bool, str]:
    """What the checks find, whether the firmware refuses, and its words."""
    landscape, source, target = MOVES[partition]
    with place(landscape, *([fault] if fault else [])) as up:
        order = up.order(partition, source, target)
        findings = examine(replace(up.survey(order), guest=WELL))
        reply = up.control(source).validate(order)
    return findings, reply.status != 0, reply.text


@pytest.mark.parametrize(("partition", "fault"), CASES)
def test_the_checks_and_the_firmware_agree(partition: str, fault: str) -> None:
    findings, refused, words = judged(partition, fault)
    against = [(one.key, one.about) for one in findings if one.verdict is Verdict.FAIL]
    alone = FIRMWARE_ALONE.get((MOVES[partition][0], fault))
    if alone is not None:
        assert refused
        assert [one.verdict for one in findings if one.key == alone] == [Verdict.UNKNOWN]
    elif refused:
        assert ready(findings) is not Answer.READY, words
        assert any(
            one.verdict in (Verdict.FAIL, Verdict.UNKNOWN) and one.remedy and not one.only_firmware for one in findings
        )
    else:
        assert not against, words


@pytest.mark.parametrize("partition", ["bxaix85", "p8aix01", "p8npiv01", "p8vnic01", "p8aix06", "p7aix01"])
def test_a_partition_with_nothing_in_its_way_is_ready_and_the_firmware_takes_it(partition: str) -> None:
    findings, refused, words = judged(partition, "")
    assert ready(findings) is Answer.READY, [(one.key, one.facts) for one in findings if one.verdict is Verdict.UNKNOWN]
    assert not refused, words


@pytest.mark.parametrize(
    ("partition", "fault", "code"),
    [
        ("p8npiv01", "wwpn-not-zoned", "HSCLA319"),
        ("p8aix01", "rmc-inactive", "HSCLA246"),
        ("p8aix01", "lun-not-seen", "HSCLA24E"),
    ],
)
def test_the_check_names_the_code_that_the_firmware_gives(partition: str, fault: str, code: str) -> None:
    findings, _, words = judged(partition, fault)
    assert code in words
    assert code in {one.code for one in findings if one.verdict is Verdict.FAIL}


@pytest.mark.parametrize(
    ("partition", "fault", "key"),
    [
        ("p8aix01", "remote-restart", "remote-restart"),
        ("p8aix01", "simplified-restart", "remote-restart"),
        ("p8aix01", "affinity-group", "affinity-group"),
        ("p8aix01", "second-profile", "profile"),
        ("p8aix01", "pool-missing", "pool"),
        ("p8aix01", "one-vios", "multipath"),
        ("bxaix85", "one-path-lost", "paths"),
    ],
)
def test_what_does_not_hinder_a_move_is_warned_of(partition: str, fault: str, key: str) -> None:
    findings, refused, words = judged(partition, fault)
    assert not refused, words
    assert Verdict.WARN in {one.verdict for one in findings if one.key == key}


def test_a_target_without_power_is_named_as_such() -> None:
    findings, refused, _ = judged("p8aix01", "no-power")
    assert refused
    (there,) = (one for one in findings if one.key == "operating" and one.verdict is Verdict.FAIL)
    assert there.facts == {"state": "Power Off"}
    assert "chsysstate" in there.remedy


def test_what_the_storage_hides_is_not_passed() -> None:
    findings, refused, _ = judged("p8npiv01", "wwpn-not-masked")
    (masked,) = (one for one in findings if one.key == "fc-masked")
    assert not refused
    assert (masked.verdict, masked.only_firmware) == (Verdict.UNKNOWN, True)
    assert "--npivval portdisk" in masked.remedy
    assert "lpmkit validate p8npiv01 --to p8b --npiv-disks" in masked.remedy


@pytest.mark.parametrize(("fault", "status"), [("", 0), ("wwpn-not-masked", 1)])
def test_what_the_storage_hides_is_found_by_a_validation_that_tries_the_disks(fault: str, status: int) -> None:
    with place("p8pair", *([fault] if fault else [])) as up:
        order = up.order("p8npiv01", "p8a", "p8b")
        assert up.control("p8a").validate(order).status == 0
        reply = up.control("p8a").validate(order, disks=True)
    assert "--npivval portdisk" in reply.command
    assert reply.status == status
    assert ("c050760871fa0013" in reply.text) == (status != 0)


@pytest.mark.parametrize(
    ("landscape", "partition", "source", "target"),
    [("p7pair", "p7aix01", "p7a", "p7b"), ("js22", "bxaix85", "bvio82", "bvio83")],
)
def test_a_manager_that_cannot_try_the_disks_is_not_asked_to(
    landscape: str, partition: str, source: str, target: str
) -> None:
    with place(landscape) as up:
        order = up.order(partition, source, target)
        with pytest.raises(UsageError, match="Validate without"):
            up.control(source).validate(order, disks=True)
        assert not any("--npivval" in command for command in up.asked)
        if landscape == "p7pair":
            words = ["migrlpar", "-o", "v", "-m", up.world.frame(source).system_name, "-t", order.target_machine]
            assert up.session("hmc01").run([*words, "-p", partition, "--npivval", "portdisk"]).status == 1
