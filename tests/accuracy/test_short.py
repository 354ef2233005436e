"""The benchmark of accuracy in its short form: a real OpenSSH server, really frozen and cut off sixty times while the
other tests load this machine.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.accuracy.rig import FREEZER


@pytest.mark.skipif(os.geteuid() != 0 or not FREEZER.is_dir(), reason="needs root and the freezer of cgroup v1")
def test_the_hull_holds_the_truth_of_every_freeze_and_no_cut_or_stall_of_ours_is_called_a_suspension(
    tmp_path: Path,
) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.accuracy", "--short", "--seed", "11", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    _, _, violations = said.stdout.partition("## Violations")
    assert said.returncode == 0, violations or said.stderr
    assert "* none" in violations
