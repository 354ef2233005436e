"""What is said to whoever follows a run at the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmkit.commands.progress import follow_and_report
from lpmkit.config import Site
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run, RunWriter
from tests.made_runs import Made, make


def _followed(run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        follow_and_report(Runbook(Site()), run, as_json=True)
    return capsys.readouterr().err


def test_who_follows_a_run_whose_recorder_died_is_told_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path, Made(duration_s=8.0, suspend=None))
    said = _followed(run, capsys)
    assert "The recorder is gone" in said
    assert f"lpmkit attach {run.path}" in said
    assert "Report: " in said
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-ended", reason="settled")
    assert "The recorder is gone" not in _followed(run, capsys)
