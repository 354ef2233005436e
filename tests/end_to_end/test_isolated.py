"""A partition with a network of its own: its kernel is a witness of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lpmkit.analysis import analyse
from lpmkit.rehearsal import Rehearsal
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import SPEED, Hold, Terminal, assert_contains_the_truth, is_watched, soon, truth

QUICK = ("--lead-in", "4", "--tail", "3")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="a network namespace needs root and ip")
def test_ticks_and_the_kernels_echoes_agree_on_a_suspension(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with Rehearsal(tmp_path / "sim", speed=SPEED, options=["--isolate", "--fault", hold.fault]) as rehearsal:
        terminal = Terminal(rehearsal.site_file)
        run = terminal.validated()
        moving = terminal.start("move", "bxaix85", "--to", "bvio83", "--confirm", "bxaix85", *QUICK, "--json")
        soon(lambda: is_watched(run, "ssh-ticks", "ssh-echo", "icmp"))
        hold.let_go()
        said = terminal.answered(moving)
        really = truth(rehearsal)
    found = analyse(Run(run.path)).suspension
    assert found is not None, said
    assert {"ticks", "icmp"} <= set(found.mechanisms)
    assert found.contradicted == ()
    assert_contains_the_truth(said.json, really)
