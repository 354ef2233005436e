"""Runs that earlier versions recorded: read by this version with the same verdict and the same figures.

Each folder of ``fixtures/runs`` is a run, or the folder of runs of a plan; the JSON file beside it tells what was
recorded, what was normalised and what the version that recorded it made of it. An expected value changes only when the
analysis is meant to judge otherwise, never because a text changed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lpmkit.cli import main

FOLDER = Path(__file__).parent.parent / "fixtures" / "runs"
NOTES = sorted(FOLDER.glob("*.json"))
#: What a path of the machine that recorded, or its user, would look like.
OF_ONE_MACHINE = re.compile(rb"/tmp/|/work/|/home/|/root\b|/Users/|BEGIN [A-Z ]*PRIVATE KEY")


def notes_of(path: Path) -> dict[str, Any]:
    notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notes


def expectations() -> Iterator[Any]:
    """Every recorded run with what is expected of it."""
    for path in NOTES:
        expected = notes_of(path)["expected"]
        if "runs" in expected:
            for name, value in expected["runs"].items():
                yield pytest.param(path.with_suffix("") / name, value, id=f"{path.stem}-{name}")
        else:
            yield pytest.param(path.with_suffix(""), expected, id=path.stem)


def figures(worked_out: dict[str, Any]) -> dict[str, Any]:
    """The codes and figures of a summary that an expectation holds."""
    still = worked_out["suspension"]
    sessions = [row for host in worked_out["hosts"] for row in host["session_outages"]]
    return {
        "state": worked_out["verdict"]["state"],
        "questions": {row["key"]: row["state"] for row in worked_out["verdict"]["questions"]},
        "suspension": still
        and {
            "length": {edge: still["length"][edge] for edge in ("low", "high")},
            "likely": {edge: round(still["likely"][edge], 6) for edge in ("low", "best", "high")},
            "begin": {edge: still["begin"][edge]["mono_ns"] for edge in ("earliest", "latest")},
            "end": {edge: still["end"][edge]["mono_ns"] for edge in ("earliest", "latest")},
            "mechanisms": sorted(still["mechanisms"]),
        },
        "session_outages": {row["probe"]: {edge: row["waited"][edge] for edge in ("low", "high")} for row in sessions},
        "silences": {host["host"]: len(host["silences"]) for host in worked_out["hosts"]},
        "phases": [row["phase"] for row in worked_out["phases"]],
    }


def answer(*words: str) -> Any:
    """The answer for programs of a command of lpmkit."""
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code in (0, 1), done.output  # 1: the verdict that was read is not a good one
    return json.loads(done.stdout)


@pytest.mark.parametrize(("folder", "expected"), list(expectations()))
def test_an_old_run_has_the_verdict_and_the_figures_that_it_had(
    tmp_path: Path, folder: Path, expected: dict[str, Any]
) -> None:
    run = shutil.copytree(folder, tmp_path / folder.name)
    worked_out = answer("analyse", str(run))
    assert figures(worked_out) == expected
    assert not worked_out["unreadable_lines"]


@pytest.fixture(scope="module")
def plan_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the runs of the plan; a plan names its runs by their path, so the copy names those beside it."""
    runs = shutil.copytree(FOLDER / "plan", tmp_path_factory.mktemp("site") / "runs")
    for events in runs.glob("plans/*/events.jsonl"):
        events.write_text(events.read_text(encoding="utf-8").replace("/site/runs", str(runs)), encoding="utf-8")
    for name in notes_of(FOLDER / "plan.json")["expected"]["runs"]:
        answer("analyse", str(runs / name))
    return runs


def test_the_page_of_an_old_plan_has_the_stages_and_figures_that_it_had(plan_runs: Path) -> None:
    (folder,) = plan_runs.glob("plans/*")
    expected = notes_of(FOLDER / "plan.json")["expected"]["plan"]
    rows = {row["partition"]: row for row in answer("plan", "report", str(folder))["moves"]}
    assert {name: {key: row[key] for key in expected[name]} for name, row in rows.items()} == expected
    page = (folder / "plan.html").read_text(encoding="utf-8")
    assert all(name in page for name in expected)


def test_the_history_lists_old_runs_with_their_figures(plan_runs: Path) -> None:
    rows = {row["run"]: row for row in answer("history", "--runs", str(plan_runs))["runs"]}
    expected = notes_of(FOLDER / "plan.json")["expected"]["runs"]
    assert {name: row["state"] for name, row in rows.items()} == {name: was["state"] for name, was in expected.items()}
    for name, was in expected.items():
        best = was["suspension"] and pytest.approx(was["suspension"]["likely"]["best"], abs=1e-6)
        assert rows[name]["suspended_s"] == best, name


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_write_up_of_an_old_run_holds_its_bounds(tmp_path: Path, language: str) -> None:
    run = shutil.copytree(FOLDER / "ivm-move", tmp_path / "ivm-move")
    written = answer("write-up", str(run), "--form", "md", "--language", language)
    text = Path(written["md"]).read_text(encoding="utf-8")
    low = notes_of(FOLDER / "ivm-move.json")["expected"]["suspension"]["length"]["low"]
    whole, _, decimals = f"{low:.3f}".partition(".")
    assert re.search(rf"{whole}[.,]{decimals}( s)? … 1[.,]5\d* s", text), text[:2000]


def test_a_recorded_run_holds_nothing_of_the_machine_that_recorded_it() -> None:
    assert [path for path in NOTES if not path.with_suffix("").is_dir()] == []
    paths = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(paths) > 100
    assert [path for path in paths if OF_ONE_MACHINE.search(path.read_bytes())] == []
