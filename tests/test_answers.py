"""Answers for programs: errors as JSON, and exit statuses that tell what arrived from what is proved."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from lpmkit.cli import all_commands, main
from lpmkit.commands.console import COULD_NOT_TELL, DONE_OPEN, FINE, NOT_FINE
from lpmkit.commands.plan import status_of
from lpmkit.commands.progress import is_complete, report_and_leave, status_of_verdict
from lpmkit.commands.setup import _serve
from lpmkit.errors import RecordError, UnexpectedReply
from lpmkit.plan.schedule import Stage

KEYS = ["kind", "error", "where", "asked", "answered", "next_step"]


def with_json() -> Iterator[tuple[str, ...]]:
    """Every command that has --json, as it is typed."""
    for name, command in all_commands().items():
        parts: dict[tuple[str, ...], click.Command] = {(name,): command}
        parts |= {(name, word): part for word, part in getattr(command, "commands", {}).items()}
        for words, part in parts.items():
            hands_on = part.context_settings.get("ignore_unknown_options")  # to the program that it starts
            if not hands_on and any("--json" in parameter.opts for parameter in part.params):
                yield words


@pytest.mark.parametrize("words", list(with_json()), ids=" ".join)
def test_an_error_in_the_options_of_any_command_is_json_too(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--json", "--no-such-option"])
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert list(answer) == KEYS
    assert "no-such-option" in answer["error"].lower()
    assert "Usage:" in result.stderr, "people read it as before"
    assert CliRunner().invoke(main, [*words, "--no-such-option"]).stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["check", "bxaix85", "--to", "bvio83"], ["move", "bxaix85", "--to", "bvio83"], ["home"], ["attach", "none"],
        ["inventory"], ["plan", "attach", "none"], ["site", "show"], ["write-up", "none"], ["predictions"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_error_of_the_library_is_json_with_its_parts(words: list[str], tmp_path: Path) -> None:
    file = str(tmp_path / "absent.yaml")
    result = CliRunner().invoke(main, ["--site", file, *words, "--json"])
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert list(answer) == KEYS
    assert answer["error"] == f"there is no site file {file!r}"
    assert result.stderr.startswith("lpmkit: ")
    assert CliRunner().invoke(main, ["--site", file, *words]).stdout == ""


def test_what_a_machine_was_asked_and_answered_are_values_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(_: object) -> None:
        raise UnexpectedReply("no table", where="hmc01", asked="lssyscfg", line="HSCL\x1b[2J", next_step="Report it.")

    monkeypatch.setattr("lpmkit.doctor.examine_machine", odd)
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == COULD_NOT_TELL
    assert json.loads(result.stdout) == {
        "kind": "unexpected-reply", "error": "no table", "where": "hmc01", "asked": "lssyscfg",
        "answered": '"HSCL\x1b[2J"', "next_step": "Report it.",
    }  # fmt: skip
    assert "\x1b" not in result.stdout


def test_a_defect_and_a_cancelled_question_are_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpmkit.doctor.examine_machine", lambda _: 1 / 0)
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == COULD_NOT_TELL
    assert "ZeroDivisionError" in json.loads(result.stdout)["error"]

    def cancelled(_: object) -> None:
        raise click.Abort

    monkeypatch.setattr("lpmkit.doctor.examine_machine", cancelled)
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"].startswith("Cancelled")


# --- statuses --------------------------------------------------------------------------------------------------------


def found(state: str, moved: str | None, *others: str) -> dict[str, Any]:
    questions = [] if moved is None else [{"key": "moved", "state": moved, "counts": True}]
    questions += [{"key": f"other{at}", "state": each, "counts": True} for at, each in enumerate(others)]
    return {"verdict": {"state": state, "line": "", "questions": questions}}


@pytest.mark.parametrize(
    ("summary", "status", "complete"),
    [
        (found("passed", "passed", "passed"), FINE, True),
        (found("failed", "passed", "failed"), NOT_FINE, True),
        (found("failed", "passed", "failed", "not evaluated"), NOT_FINE, False),
        (found("failed", "failed"), NOT_FINE, True),
        (found("not evaluated", "passed", "not evaluated"), DONE_OPEN, False),
        (found("not evaluated", "not evaluated"), COULD_NOT_TELL, False),
        (found("not evaluated", None, "not evaluated"), COULD_NOT_TELL, False),
        (found("passed", None, "passed"), FINE, True),
    ],
)
def test_a_move_that_arrived_with_questions_open_is_told_from_one_that_may_not_have(
    summary: dict[str, Any], status: int, complete: bool
) -> None:
    assert status_of_verdict(summary) == status
    assert is_complete(summary) is complete


@pytest.mark.parametrize(
    ("summary", "after_move", "status"),
    [
        (found("passed", "passed"), True, DONE_OPEN),
        (found("failed", "passed", "failed"), True, NOT_FINE),
        (found("not evaluated", "not evaluated"), True, COULD_NOT_TELL),
        (found("passed", "passed"), False, COULD_NOT_TELL),
        (found("passed", None, "passed"), True, COULD_NOT_TELL),
    ],
)
def test_a_report_that_cannot_be_written_does_not_undo_a_move(
    summary: dict[str, Any], after_move: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise RecordError("no space left", where=str(tmp_path))

    monkeypatch.setattr("lpmkit.analysis.headline", lambda *_: "")
    monkeypatch.setattr("lpmkit.report.page.write_analysed", full)
    monkeypatch.setattr("lpmkit.analysis.analyse", lambda run: run)
    monkeypatch.setattr("lpmkit.analysis.summary", lambda _: summary)
    monkeypatch.setattr("lpmkit.commands.progress.print_summary", lambda *_: None)
    run: Any = SimpleNamespace(
        verdict=None, suspension=None, path=tmp_path, manifest={}, events=list, is_recorded=lambda: False
    )
    with pytest.raises(SystemExit) as left:
        report_and_leave(run, True, after_move=after_move)
    assert left.value.code == status
    answer = json.loads(capsys.readouterr().out)
    assert (answer["report"], answer["complete"]) == (None, False)


@pytest.mark.parametrize(
    ("moves", "status"),
    [
        ([(Stage.ARRIVED, "passed"), (Stage.ARRIVED, "passed")], FINE),
        ([(Stage.ARRIVED, "passed"), (Stage.ARRIVED, "not evaluated")], DONE_OPEN),
        ([(Stage.ARRIVED, "passed"), (Stage.ARRIVED, "")], DONE_OPEN),
        ([(Stage.ARRIVED, "not evaluated"), (Stage.ARRIVED, "failed")], NOT_FINE),
        ([(Stage.ARRIVED, "passed"), (Stage.FAILED, "")], NOT_FINE),
        ([(Stage.ARRIVED, "passed"), (Stage.MOVING, "")], COULD_NOT_TELL),
    ],
)
def test_a_plan_has_the_statuses_of_its_moves(moves: list[tuple[Stage, str]], status: int) -> None:
    now: Any = SimpleNamespace(moves=[SimpleNamespace(stage=stage, verdict=verdict) for stage, verdict in moves])
    assert status_of(now) == status


def test_a_server_that_ends_before_it_listens_is_an_error_and_one_that_listens_is_told_once(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _serve([sys.executable, "-c", "raise SystemExit(3)"], {}, tell=lambda _: False) == 3
    answer = json.loads(capfd.readouterr().out)
    assert list(answer) == KEYS
    assert "status 3" in answer["error"]
    told: list[int] = []

    def tell(pid: int) -> bool:
        told.append(pid)
        (tmp_path / "told").touch()
        return True

    waits = "import os, sys, time\nprint('noise')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    assert _serve([sys.executable, "-c", waits, str(tmp_path / "told")], {}, tell=tell) == 0
    assert len(told) == 1
    assert capfd.readouterr().out == ""
