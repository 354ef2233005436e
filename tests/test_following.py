"""The lines for whoever follows a run at the prompt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.commands.progress import follow_and_report
from lpmkit.config import Site
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import describe, state
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.runs.writer import RunWriter
from tests.made_runs import Made, make


def _followed(run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        follow_and_report(Runbook(Site()), run, as_json=True)
    return capsys.readouterr().err


def test_who_follows_a_run_whose_recorder_died_is_told_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path, Made(duration_s=8.0, suspend=None, ended=False))
    said = _followed(run, capsys)
    assert "The recorder died" in said
    assert f"lpmkit attach {run.path}" in said
    assert "Report: " in said
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-ended", reason="settled")
    assert "The recorder died" not in _followed(run, capsys)


def test_lead_in_and_copy_are_told_in_the_same_words_everywhere(tmp_path: Path) -> None:
    now = state(make(tmp_path, Made(duration_s=5.0)))
    quiet = replace(now, phase=Phase.PREPARED, lead_in_left_s=12.0)
    assert describe(quiet) == "quiet lead-in, 12 s to go"
    copied = replace(
        now.progress, transmitted=2_500_000_000, left=500_000_000, rounds=2, bytes_per_s=60e6, remaining_s=9.0
    )
    copying = replace(now, phase=Phase.COPYING, progress=copied, lead_in_left_s=None)
    assert describe(copying) == "2,500 MB sent, 500 MB left, pass 2, 60 MB/s, about 9 s to go"
    assert describe(replace(copying, phase=Phase.SETTLED)) == "2,500 MB sent, 500 MB left, pass 2"
    assert describe(replace(copying, progress=replace(copied, transmitted=None))) == ""
