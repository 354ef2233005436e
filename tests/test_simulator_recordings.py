"""The recordings are the referee: what the simulator prints is what they say, letter by letter.

Simulator and readers were written apart from one another. Recordings that hold times or counters are left out; so are those
that stand for another machine than those of the landscape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmkit.simulator import Simulator
from tests.simulator_cases import FAST, migrate, ssh

FIXTURES = Path(__file__).parents[1] / "fixtures"

#: Commands whose whole reply follows from the state.
STEADY = {
    "aix-5.3": "lparstat_i lspath lspv oslevel uname_L uname_f uname_m uname_n uname_u lsdev_adapter",
    "ivm-1.5": "lshwres_eth lshwres_io_slot lshwres_mem_lpar lshwres_mem_sys lshwres_proc_lpar lshwres_proc_sys lshwres_scsi "
    "lshwres_virtual_slots lslparmigr_lpar lslparmigr_sys lssyscfg_lpar lssyscfg_sys mkauthkeys",
    "vios-1.5": "ioslevel lsdev_attr_reserve_policy lsdev_attr_unique_id lsdev_dev lsdev_virtual lsmap_all lsmap_all_fmt lsmap_net "
    "lspath lspv lspv_size lsvopt",
}


def recordings(moment: str) -> list[Any]:
    found = []
    for release, commands in STEADY.items():
        for command in commands.split():
            for path in sorted((FIXTURES / release / command).glob("*.json")):
                about = json.loads(path.read_text(encoding="utf-8"))
                if about.get("host") and about.get("command") and about.get("moment") == moment:
                    found.append(pytest.param(path, about, id=f"{command}/{path.stem}"))
    return found


@pytest.fixture(scope="module")
def before() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def after() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as simulator:
        assert ssh(simulator, "bvio82", migrate()).status == 0
        yield simulator


def compare(simulator: Simulator, path: Path, about: dict[str, Any]) -> None:
    answer = ssh(simulator, about["host"], about["command"], about["stdin"])
    assert answer.out == path.with_suffix(".txt").read_text(encoding="utf-8")
    assert answer.status == about["status"]
    assert answer.err == about["stderr"]


@pytest.mark.parametrize(("path", "about"), recordings("before"))
def test_before_a_move(before, path, about):
    compare(before, path, about)


@pytest.mark.parametrize(("path", "about"), recordings("after"))
def test_after_a_move(after, path, about):
    compare(after, path, about)
