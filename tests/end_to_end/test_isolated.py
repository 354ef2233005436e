"""A partition with a network of its own: its kernel is a witness of its own."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from lpmkit.analysis import analyse
from lpmkit.rehearsal import Rehearsal
from lpmkit.run import Run
from tests.end_to_end.cases import SPEED, Terminal, assert_contains_the_truth, truth

QUICK = ("--lead-in", "4", "--tail", "3")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="a network namespace needs root and ip")
def test_ticks_and_the_kernels_echoes_agree_on_a_suspension(tmp_path: Path) -> None:
    with Rehearsal(tmp_path / "sim", speed=SPEED, options=["--isolate"]) as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = terminal.validated()
        said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--json")
        really = truth(rehearsal)
    found = analyse(Run(run.path)).suspension
    assert found is not None, said
    assert {"ticks", "icmp"} <= set(found.mechanisms)
    assert found.contradicted == ()
    assert_contains_the_truth(said.json, really)


def test_the_kernel_of_this_machine_is_no_witness_for_a_partition_on_loopback(tmp_path: Path) -> None:
    with Rehearsal(tmp_path / "sim", speed=SPEED) as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = terminal.validated()
        said = terminal.type("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--json")
        really = truth(rehearsal)
    assert "icmp" not in run.probes()
    told = [
        event.data["what"]
        for event in run.events()
        if event.data.get("probe") == "icmp" and event.kind == "probe-trouble"
    ]
    assert [re.sub(r"127(\.\d+){3}", "LOOPBACK", line) for line in told] == [
        "not looked at: LOOPBACK: this address is this machine's own kernel"
    ]
    found = analyse(Run(run.path)).suspension
    assert found is not None, "and so it cannot turn the suspension into a micro-stop"
    assert "ticks" in found.mechanisms
    assert_contains_the_truth(said.json, really)
