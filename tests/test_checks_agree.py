"""The findings of the checks beside the verdict of each set-up (tests/test_setups.py): codes, remedies, and what only a
validation that tries the disks finds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.checks import Finding, Verdict, examine
from lpmkit.errors import UsageError
from tests.in_process import place
from tests.test_setups import MOVES, WELL


def judged(partition: str, fault: str) -> tuple[tuple[Finding, ...], bool, str]:
    """The findings of the checks, whether the firmware refuses, and its words."""
    landscape, source, target = MOVES[partition]
    with place(landscape, *([fault] if fault else [])) as up:
        order = up.order(partition, source, target)
        findings = examine(replace(up.survey(order), guest=WELL))
        reply = up.control(source).validate(order)
    return findings, reply.status != 0, reply.text


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
