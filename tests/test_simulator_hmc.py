"""The simulated HMC: hscroot's shell, its errors on standard output, its VIOS behind viosrvcmd, its
blocking migrlpar.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lpmkit.config import load_site
from lpmkit.control.hmc import read_console_level
from lpmkit.control.messages import messages
from lpmkit.simulator import Simulator
from lpmkit.ssh.session import Reply
from tests.simulator_cases import FAST, connected, ssh, until

A, B = "Server-9117-MMD-SN1045EE7", "9117-MMD*1052C4F"
MOVE = f"migrlpar -o m -m {A} -t '{B}' -p p7aix01"
FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="module")
def still() -> Iterator[Simulator]:
    with Simulator("p7pair", speed=FAST) as simulator:
        yield simulator


def test_the_console_is_a_host_of_its_own_and_its_io_servers_are_none(still: Simulator) -> None:
    assert set(still.servers) == {"hmc01"}
    site = load_site(still.site_file)
    assert site.frame("p7a").system == A
    assert site.frame("p7b").vios == ("p7b-vios1",)


def test_its_prompt_names_user_and_host(still: Simulator) -> None:
    with connected(still, "hmc01") as client:
        channel = client.invoke_shell()
        said = b""
        while b"~> " not in said:
            said += channel.recv(1024)
    assert said.decode().strip() == "hscroot@hmc01:~>"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lssyscfg -r sys -F name,active_lpar_mobility_capable", f"{A},1\nServer-9117-MMD-SN1052C4F,1\n"),
        (f"lssyscfg -r sys -m '{B}' -F serial_num,state", "1052C4F,Operating\n"),
        (f"lssyscfg -r lpar -m {A} -F name,msp,rmc_state", "p7a-vios1,1,active\np7aix01,0,active\n"),
        (f"lslparmigr -r lpar -m {A} -F name,migration_state", "p7aix01,Not Migrating\n"),
        (f"viosrvcmd -m {A} -p p7a-vios1 -c ioslevel", "2.2.3.4\n"),
    ],
)
def test_its_listings_are_about_the_system_named(still: Simulator, line: str, expected: str) -> None:
    answer = ssh(still, "hmc01", line)
    assert (answer.status, answer.out, answer.err) == (0, expected, "")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("lssyscfg -r lpar -F name", "-m"),
        ("lssyscfg -r lpar -m nosuch -F name", "nosuch"),
        ("lssyscfg -r sys -F name,capabilities", "capabilities"),
        (f"lssyscfg -r lpar -m {A} --filter lpar_names=nosuch -F name", "HSCL8012 The partition named nosuch was not"),
        (f"viosrvcmd -m {A} -p nosuch -c ioslevel", "HSCL8012"),
        (f"viosrvcmd -m {A} -p p7a-vios1 -c 'ioscli ioslevel'", "ioscli"),
        (f"{MOVE} --async", "--async"),
        (f"migrlpar -o s -m {A} -p p7aix01", "No migration operation"),
        ("mkauthkeys --test --ip 192.0.2.99 -u hscroot", "192.0.2.99"),
    ],
)
def test_its_errors_come_on_standard_output_with_status_1(still: Simulator, line: str, word: str) -> None:
    answer = ssh(still, "hmc01", line)
    assert (answer.status, answer.err) == (1, "")
    assert word in answer.out


def test_nothing_found_is_said_on_standard_output_and_is_no_error(still: Simulator) -> None:
    line = f"lshwres -r io -m {A} --rsubtype slot --filter lpar_names=p7aix01"
    answer = ssh(still, "hmc01", line)
    assert (answer.status, answer.out, answer.err) == (0, "No results were found.\n", "")
    assert ssh(still, "hmc01", f"LANG=de_DE {line}").out == "Es wurden keine Ergebnisse gefunden.\n"


def test_it_says_what_it_is_as_the_recording_does(still: Simulator) -> None:
    recorded = FIXTURES / "hmc-7" / "lshmc_V" / "v7r7.9.0.txt"
    assert ssh(still, "hmc01", "lshmc -V").out == recorded.read_text()
    assert read_console_level(recorded.read_text()).version == "7"


def test_its_rmc_list_names_io_servers_and_partitions(still: Simulator) -> None:
    rows = ssh(still, "hmc01", "lspartition -dlpar").lines
    heads = [re.fullmatch(r"<#\d+> Partition:<\d+\*[^,]+, ([^,]*), [^,]+>", row) for row in rows[::2]]
    assert [head[1] for head in heads if head] == ["p7a-vios1", "p7aix01", "p7b-vios1"]
    assert [row.strip().split(",")[0] for row in rows[1::2]] == ["Active:<1>"] * 3


def test_it_has_no_commands_of_another_machine(still: Simulator) -> None:
    assert {ssh(still, "hmc01", name).status for name in ("ioscli ioslevel", "lsmap -all", "oem_setup_env")} == {127}


def test_a_refused_validation_has_the_captured_wording() -> None:
    recording = json.loads((FIXTURES / "hmc-8" / "migrlpar" / "rmc_of_the_partition.json").read_text())
    with Simulator("p7pair", speed=FAST, faults=["rmc-inactive"]) as simulator:
        answer = ssh(simulator, "hmc01", MOVE.replace("-o m", "-o v"))
    (said,) = messages(Reply("hmc01", "", answer.status, answer.out, answer.err))
    assert answer.status == 1
    assert {"code": said.code, "text": said.text.replace("p7aix01", "cafid2odb08")} == recording["expected"][0]


def test_a_move_blocks_until_it_is_over_and_goes_on_when_the_caller_is_gone() -> None:
    with Simulator("p7pair", speed=20) as simulator:
        done = threading.Event()

        def ask() -> None:
            ssh(simulator, "hmc01", MOVE)
            done.set()

        asked = threading.Thread(target=ask)
        asked.start()
        until(lambda: (moving := simulator.world.home("p7aix01")) and moving.migration)
        assert not done.is_set()
        simulator.drop("hmc01", 0.2)
        until(lambda: (moved := simulator.world.home("p7aix01")) and moved.frame == "p7b" and not moved.migration)
        asked.join(30)
