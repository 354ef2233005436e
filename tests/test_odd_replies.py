"""Replies that machines give besides the good ones: noise, other levels, and what a reader gets wrong costs
one fact.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lpmkit.control.aix_identity import read_lpar_label, read_machine_id
from lpmkit.control.codes import explain
from lpmkit.control.dialect import dialect_of
from lpmkit.control.listings import records, understood
from lpmkit.control.vios import read_level
from lpmkit.control.vios_statistics import read_shared_ethernet
from lpmkit.errors import LoginRefused, UnexpectedReply
from lpmkit.ssh.session import Reply
from lpmkit.survey.gather import Gathering, survey_move
from tests.in_process import place

NOTICE = "WARNING: Your password will expire in 3 days.\n"


class Silent:
    """A session that answers everything with one reply."""

    where = "vios9"

    def __init__(self, status: int, text: str) -> None:
        self._status, self._text = status, text

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        return Reply(self.where, " ".join(arguments), self._status, self._text, "")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "fault", [ValueError("x"), IndexError("x"), KeyError("x"), TypeError("x"), ZeroDivisionError()]
)
def test_a_fault_of_a_reader_costs_one_fact_and_keeps_the_text(fault: Exception) -> None:
    def reader(text: str) -> str:
        raise fault

    asking = Gathering()
    reply = Reply("p8a", "lshwres -r mem", 0, "some odd text\n", "")
    assert asking.ask("memory", "p8a", lambda: understood(reply, reader)) is None
    assert asking.ask("level", "p8a", lambda: "2.2.3.4") == "2.2.3.4"
    (gap,) = asking.gaps
    assert (gap.what, gap.where) == ("memory", "p8a")
    assert "could not be read" in gap.why
    assert "some odd text" in gap.why


def test_a_fault_outside_of_a_reader_costs_one_fact_too() -> None:
    asking = Gathering()
    assert asking.ask("memory", "p8a", lambda: int("none")) is None
    assert "could not be read" in asking.gaps[0].why


def test_login_notices_around_a_line_are_not_the_answer() -> None:
    assert read_machine_id(NOTICE + "000071DA4C00\n") == "000071DA4C00"
    assert read_lpar_label("2 bxaix85\n" + NOTICE) == (2, "bxaix85")
    assert read_level(NOTICE + "2.2.3.4\n") == "2.2.3.4"
    with pytest.raises(UnexpectedReply) as refused:
        read_machine_id(NOTICE + "nothing good\n")
    assert refused.value.line == NOTICE.strip()


def test_an_expired_password_is_called_that() -> None:
    with pytest.raises(LoginRefused, match="expired"):
        dialect_of(Silent(1, "WARNING: Your password has expired.\n3004-327 You must change your password now.\n"))


def test_a_bridge_without_a_virtual_adapter_has_no_trunk() -> None:
    page = read_shared_ethernet("ETHERNET STATISTICS (ent6) :\nDevice Type: Shared Ethernet Adapter\n")
    assert (page.sea, page.trunks) == ("ent6", ())


@pytest.mark.parametrize(("word", "up"), [("Up", True), ("Down", False)])
def test_the_state_of_a_bridge_and_its_link_are_read(word: str, up: bool) -> None:
    text = f"ETHERNET STATISTICS (ent6) :\n    State: LIMBO\nPhysical Port Link Status: {word}\n"
    page = read_shared_ethernet(text)
    assert (page.state, page.link_up) == ("LIMBO", up)


def test_a_field_may_begin_with_a_digit() -> None:
    (row,) = records("name=p7a,state=Operating,5250_application_capable=0\n")
    assert row["5250_application_capable"] == "0"


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("HSCL3681 x", "HSCL3681", "already powered on"),
        ("HSCL1558 x", "HSCL1558", "already powered off"),
        ("HSCL0DB4 x", "HSCL0DB4", "shut down"),
        ("HSCL3205 x", "HSCL3205", "busy"),
        ("VIOS_DETAILED_ERROR\nThe OS command return code is 69", "RC 69", "not zoned"),
        ("HSCL2929 x", "HSCL2929", "slots"),
        ("HSCL2932 x", "HSCL2932", "memory"),
    ],
)
def test_a_code_means_what_its_source_says(text: str, code: str, word: str) -> None:
    (found,) = explain(text)
    assert found.code == code
    assert found.known is not None
    assert word in found.known.meaning


def test_after_a_move_nothing_is_asked_about_the_partition_that_left() -> None:
    with place("p8pair") as up:
        order = up.order("p8aix01", "p8a", "p8b")
        before = survey_move(order, up.control("p8a"))
        asked = len(up.asked)
        after = survey_move(order, up.control("p8a"), after=True)
        commands = up.asked[asked:]
    assert before.physical_slots is not None
    assert after.physical_slots is None
    assert after.gaps == ()
    assert not [
        command for command in commands if "-r io" in command or "-r virtualio" in command or "-r msp" in command
    ]


def test_the_simulator_refuses_an_id_that_is_taken() -> None:
    with place("p8pair") as up:
        words = [
            "migrlpar",
            "-o",
            "v",
            "-m",
            up.world.frame("p8a").system_name,
            "-t",
            up.world.frame("p8b").system_name,
        ]
        reply = up.session("hmc02").run([*words, "-p", "p8aix01", "-i", "dest_lpar_id=1"])
    assert reply.status != 0
    assert "in use" in reply.text
