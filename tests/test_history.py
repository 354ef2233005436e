"""Runs side by side, a site's history, and what a partition itself knows of its moves."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lpmkit.analysis import analyse, write_summary
from lpmkit.cli import main
from lpmkit.control.aix_logs import ErrorReport
from lpmkit.errors import RecordError
from lpmkit.report.comparison import comparison_page, figures, history_page, labels, overlay, trend
from lpmkit.runs.away import ledger
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.history import NAME, History
from lpmkit.runs.remarks import add_remark
from lpmkit.survey.was_moved import past_moves
from tests.made_runs import Made, make


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two moves of one partition, suspended for 1.5 s and for 3 s."""
    folder = tmp_path_factory.mktemp("two")
    runs = [
        make(folder / name, Made(seed=seed, duration_s=26.0, suspend=(15.0, 15.0 + length)))
        for seed, (name, length) in enumerate((("a", 1.5), ("b", 3.0)), start=1)
    ]
    for run in runs:
        write_summary(run.path)
    return runs


def test_two_runs_are_put_side_by_side_with_the_bounds_of_each(two: list[Run], tmp_path: Path) -> None:
    said = CliRunner().invoke(
        main, ["compare", *(str(run.path) for run in two), "--html", str(tmp_path / "c.html"), "--json"]
    )
    assert said.exit_code == 0, said.output
    rows = {row["figure"]: row for row in json.loads(said.stdout)["rows"]}
    analyses = [analyse(run) for run in two]
    assert figures(analyses) == list(rows.values())
    for label, truth in zip(labels(analyses), (1.5, 3.0), strict=True):
        low, high = (float(one) for one in rows["suspended, bounds"][label].removesuffix(" s").split(" s … "))
        assert low <= truth <= high
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page == comparison_page(analyses)
    assert "data:image/png;base64," in page


def test_the_suspensions_are_laid_over_each_other_from_their_own_begin(two: list[Run]) -> None:
    analyses = [analyse(run) for run in two]
    bars, waits = overlay(analyses).axes
    assert [text.get_text() for text in bars.get_yticklabels()] == labels(analyses)
    outer = [collection.get_paths()[0].get_extents() for collection in bars.collections[::2]]
    for box, analysis in zip(outer, analyses, strict=True):
        still = analysis.suspension
        assert still is not None
        assert box.x0 == pytest.approx((still.begin.lo_ns - still.begin.middle_ns) / 1e9)
        assert box.x1 == pytest.approx((still.end.hi_ns - still.begin.middle_ns) / 1e9)
    assert len([line for line in waits.get_lines() if str(line.get_label()).startswith("2")]) == 2


# --- the history ----------------------------------------------------------------------------------------------------


def _kept(folder: Path, number: int, suspended: float, **changes: Any) -> Path:
    """A run folder as it is left, with the little that a history reads."""
    path = folder / f"run-{number:05d}"
    path.mkdir(parents=True)
    about = {"partition": "bxaix85", "source": "bvio82", "target": "bvio83", "outcome": "settled", **changes}
    order = {name: about[name] for name in ("partition", "source", "target")}
    created = f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}+00:00"
    write_document(path, "run", {"mode": "move", "created": created, "by": "root", "order": order})
    phases = [("asked", 0), ("copying", 10), (about["outcome"], 70)]
    summary = {
        "verdict": {"state": "passed", "line": "Moved."},
        "suspension": {
            "length": {"low": suspended - 0.01, "high": suspended + 0.01},
            "likely": {"low": suspended, "high": suspended, "best": suspended},
        },
        "hosts": [
            {
                "session_outages": [
                    {
                        "waited": {
                            "low": suspended + 0.1,
                            "high": suspended + 0.6,
                            "typed_at_first_unanswered": suspended + 0.5,
                        }
                    }
                ]
            }
        ],
        "phases": [{"phase": name, "began": {"utc": created, "mono_ns": at * 10**9}} for name, at in phases],
        "own_stalls": {"total": {"high": 0.0}},
    }
    write_document(path, "summary", summary)
    write_document(path, "prediction", {"inputs": {"memory_bytes": 4 << 30}, "actual": {"copy_s": 60.0}})
    return path


def test_a_partition_left_its_home_when_it_was_found_on_the_target_not_at_the_survey(tmp_path: Path) -> None:
    path = _kept(tmp_path, 1, 1.5)
    summary = json.loads((path / "summary.json").read_text())
    summary["phases"][-1]["began"]["utc"] = "2026-01-01T22:07:31.000000Z"
    write_document(path, "summary", summary)
    (stay,) = ledger(tmp_path)
    assert stay.as_row()["left (UTC)"] == "2026-01-01 22:07"
    assert History(tmp_path).rows(History(tmp_path).moves())[0][0] == "2026-01-01 22:07"


def test_a_move_that_took_twice_as_long_as_usual_is_said_to(tmp_path: Path) -> None:
    for number, length in enumerate((1.5, 1.6, 1.7, 9.9)):
        _kept(tmp_path, number, length, outcome="failed" if length > 9 else "settled")
    _kept(tmp_path, 8, 3.2)
    past = History(tmp_path)
    last = past.moves()[-1]
    said = {one.figure: one for one in past.beside_the_usual(last)}
    assert str(said["suspended"]) == "suspended 3.2 s, 2.0 times the usual 1.6 s (median of 3 earlier moves of bxaix85)"
    assert said["suspended"].stands_out
    assert not said["copy"].stands_out
    assert past.beside_the_usual(past.moves()[2]) == [], "two earlier moves make nothing usual"


def test_where_a_partition_has_no_past_its_pair_of_frames_has(tmp_path: Path) -> None:
    for number in range(3):
        _kept(tmp_path, number, 1.0, partition=f"other{number}")
    _kept(tmp_path, 9, 1.0, partition="new")
    past = History(tmp_path)
    assert {one.of for one in past.beside_the_usual(past.moves()[-1])} == {"bvio82 to bvio83"}


def test_the_index_follows_the_folders_and_holds_nothing_of_its_own(tmp_path: Path) -> None:
    first, second = _kept(tmp_path, 1, 1.5), _kept(tmp_path, 2, 1.6, source="bvio83", target="bvio82")
    assert [one.run for one in History(tmp_path).moves()] == [first.name, second.name]
    add_remark(first, "change", fields={"number": "CHG1"})
    summary = json.loads((second / "summary.json").read_text())
    summary["suspension"]["likely"]["best"] = 2.5
    write_document(second, "summary", summary)
    past = History(tmp_path)
    assert [(one.change, one.suspended_s) for one in past.moves()] == [("CHG1", 1.5), ("", 2.5)]
    assert [one.run for one in past.moves(way=("bvio83", "bvio82"))] == [second.name]
    assert len(past.moves(frame="bvio83")) == 2
    before = past.moves()
    (tmp_path / NAME).unlink()
    assert History(tmp_path).moves() == before
    for path in sorted(second.iterdir()):
        path.unlink()
    second.rmdir()
    assert [one.run for one in History(tmp_path).moves()] == [first.name]


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        _kept(tmp_path, number, 1.5)
    History(tmp_path)
    read: list[str] = []
    import lpmkit.runs.history as module  # noqa: PLC0415

    really = module.read_move

    def noted(folder: Path) -> Any:
        read.append(folder.name)
        return really(folder)

    monkeypatch.setattr(module, "read_move", noted)
    assert len(History(tmp_path).moves()) == 3
    assert read == []
    _kept(tmp_path, 7, 1.5)
    assert len(History(tmp_path).moves()) == 4
    assert read == ["run-00007"]


def test_a_run_that_cannot_be_read_is_named_and_one_without_analysis_has_no_figures(tmp_path: Path) -> None:
    _kept(tmp_path, 1, 1.5)
    (_kept(tmp_path, 2, 1.5) / "run.json").write_text("{")
    (_kept(tmp_path, 3, 1.5) / "summary.json").unlink()
    past = History(tmp_path)
    assert set(past.unreadable) == {"run-00002"}
    assert [(one.state, one.suspended_s) for one in past.moves()] == [("passed", 1.5), ("not analysed", None)]
    assert "run-00002 cannot be read" in history_page(past, past.moves(), "x")


def test_an_index_that_cannot_be_kept_or_is_none_changes_nothing_that_is_found(tmp_path: Path) -> None:
    _kept(tmp_path, 1, 1.5)
    (tmp_path / NAME).write_bytes(b"this is no database at all, and longer than a header of one would be" * 20)
    past = History(tmp_path)
    assert not past.kept
    assert [one.suspended_s for one in past.moves()] == [1.5]
    (tmp_path / NAME).unlink()
    index = sqlite3.connect(tmp_path / NAME)
    index.execute("CREATE TABLE runs (something TEXT)")
    index.commit()
    index.close()
    assert [one.suspended_s for one in History(tmp_path).moves()] == [1.5], "an index of another format is made again"
    with pytest.raises(RecordError, match="no folder of runs"):
        History(tmp_path / "nowhere")


def test_a_real_run_stands_in_the_history_with_the_figures_of_its_summary(two: list[Run]) -> None:
    run = two[0]
    (move,) = History(run.path.parent).moves()
    summary = json.loads((run.path / "summary.json").read_text())
    assert move.suspended_s == summary["suspension"]["likely"]["best"]
    assert move.outcome == "settled"
    assert move.session_s is not None
    assert trend([move, replace(move, partition="other")]) is not None


def test_the_command_lists_the_newest_and_writes_the_page(tmp_path: Path) -> None:
    for number in range(5):
        _kept(tmp_path, number, 1.5 + number)
    terminal = CliRunner()
    said = terminal.invoke(
        main, ["history", "--runs", str(tmp_path), "--last", "2", "--json", "--html", str(tmp_path / "h.html")]
    )
    assert said.exit_code == 0, said.output
    assert [one["run"] for one in json.loads(said.stdout)["runs"]] == ["run-00003", "run-00004"]
    page = (tmp_path / "h.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 6
    assert "× the usual" in page
    assert terminal.invoke(main, ["history", "--runs", str(tmp_path / "none")]).exit_code == 3


# --- what a partition knows -----------------------------------------------------------------------------------------

A, B = "000071DA4C00", "000072EA4C00"


def _log(*entries: tuple[str, str]) -> list[ErrorReport]:
    return [
        ErrorReport(label, "0", f"{number:02d}:00", number, machine, "bxaix85", "x", "")
        for number, (label, machine) in enumerate(entries)
    ]


STARTED, DONE, ABORTED, OTHER = "CLIENT_PMIG_STARTED", "CLIENT_PMIG_DONE", "CLIENT_PMIG_ABORTED", "TTY_HOG"


@pytest.mark.parametrize(
    "entries",
    [
        [(OTHER, A), (STARTED, A), (DONE, B), (OTHER, B)],
        [(OTHER, A), (STARTED, A), (DONE, A), ("PARTID_CHANGE", A), (OTHER, B)],
        [(STARTED, A), (DONE, A)],
    ],
    ids=["the end is logged on the target", "the end is logged under the old id", "nothing was logged since"],
)
def test_a_logged_move_is_found_once_with_both_machines(entries: list[tuple[str, str]]) -> None:
    (found,) = past_moves(_log(*entries), B)
    assert (found.came_from, found.went_to, found.outcome) == (A, B, "completed")


def test_there_and_back_an_abort_and_a_move_without_entries_are_told_apart() -> None:
    found = past_moves(
        _log(
            (STARTED, A),
            (DONE, B),
            (STARTED, B),
            (ABORTED, B),
            (OTHER, B),
            (OTHER, A),
            (STARTED, A),
            (DONE, B),
            (STARTED, B),
        ),
        B,
    )
    assert [(one.came_from, one.went_to, one.outcome) for one in found] == [
        (A, B, "completed"),
        (B, B, "aborted"),
        (B, A, "between two entries"),
        (A, B, "completed"),
        (B, "", "still under way, or its end is not logged"),
    ]


def test_a_log_without_moves_shows_none() -> None:
    assert past_moves(_log((OTHER, A), (OTHER, A)), A) == []
    assert past_moves([], A) == []
