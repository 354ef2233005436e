"""Statements of pages and panels: a count is of everything, a state is of now, a next step can be taken where it
stands.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import lpmkit
from lpmkit.analysis import write_summary
from lpmkit.board.events import event_text
from lpmkit.checks import CHECKS, Finding, Verdict, examine
from lpmkit.checks.wording import count_findings
from lpmkit.cli import main
from lpmkit.commands.survey import print_findings
from lpmkit.errors import NotAllowed
from lpmkit.migration.recovery import RecoveryAction
from lpmkit.migration.status import RunStatus, still_observed
from lpmkit.notebook import acknowledgement
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.move import MovePanel
from lpmkit.notebook.record import RunChooser, WriteUpPanel, ledger_table
from lpmkit.notebook.tables import findings_table
from lpmkit.notebook.verdict import judged
from lpmkit.plots.colours import colour, kind_of, lane_order
from lpmkit.plots.live import Lanes
from lpmkit.runbook import Runbook
from lpmkit.runs.away import ledger
from lpmkit.runs.folder import Run
from lpmkit.runs.writer import RunWriter
from lpmkit.survey.model import Survey
from lpmkit.timeline import Clock, Sample, wait_until
from tests.made_runs import Made, make
from tests.test_widgets import (
    COPYING,
    HERE,
    Recorder,
    book,
    enabled,
    prepared,
    recorder,
    run,
    site,
    told,
)

__all__ = ["book", "recorder", "run", "site"]
FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
PACKAGE = Path(lpmkit.__file__).parent


def findings() -> list[Finding]:
    """Of each verdict some, two of them left to the firmware."""
    made = [("pass", 5), ("warn", 2), ("unknown", 1), ("not applicable", 1)]
    found = [
        Finding(f"{word}-{n}", f"{word} {n}", Verdict(word), "bvio82") for word, count in made for n in range(count)
    ]
    left = [Finding(f"left-{n}", f"left {n}", Verdict.UNKNOWN, "bvio82", only_firmware=True) for n in range(2)]
    return [*found, *left]


# --- counts ---------------------------------------------------------------------------------------------------------


def test_notebook_and_terminal_count_the_same_findings(capsys: pytest.CaptureFixture[str]) -> None:
    words = "5 pass, 2 warn, 0 fail, 1 unknown, 2 left to the validation"
    assert count_findings(findings()).words() == words
    assert words in findings_table(findings()).data
    print_findings(findings())
    assert words in " ".join(capsys.readouterr().out.split())
    assert "2 validated" in findings_table(findings(), True).data


def test_passed_checks_are_folded_and_what_needs_somebody_is_not() -> None:
    shown = findings_table(findings()).data
    open_part = shown[: shown.index("<details>")]
    assert re.findall(r"<td[^>]*>(warn|unknown|pass|left) \d ", open_part) == ["unknown", "warn", "warn"]
    assert "<summary>5 passed</summary>" in shown


@pytest.mark.parametrize("path", sorted((PACKAGE.parent / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_notebook_counts_a_part_of_the_findings(path: Path) -> None:
    source = "".join(line for cell in json.loads(path.read_text())["cells"] for line in cell["source"])
    assert not re.search(r"findings_table\(\s*\[", source)


# --- readings and questions -----------------------------------------------------------------------------------------


def test_a_reading_from_before_the_move_is_no_answer_to_it(book: Runbook, run: Run, recorder: Recorder) -> None:
    panel = MovePanel(book, run)
    recorder.begins()
    recorder.enters("asked")
    assert enabled(panel) == {"stop"}
    assert "Recommended action: wait." in told(panel)
    assert "did not begin" not in told(panel) + panel.why_not.value
    recorder.reads(HERE)  # a manager lists a migration only some seconds after it was asked for
    assert "Recommended action: wait." in told(panel)


@pytest.mark.parametrize("phase", ["starting", "copying", "switched"])
def test_one_reading_does_not_end_a_migration(phase: str, book: Runbook, run: Run, recorder: Recorder) -> None:
    course = RunStatus(run, book.clock)
    recorder.begins()
    recorder.enters("asked", phase)
    recorder.reads(COPYING)
    for reading in (HERE, replace(COPYING, migration_state="Migration Failed")):
        recorder.reads(reading)
        proposal = course.proposal()
        assert proposal is not None
        assert proposal[0].action is RecoveryAction.WAIT
    recorder.enters("needs-recovery")
    proposal = course.proposal()
    assert proposal is not None
    assert proposal[0].action is RecoveryAction.RECOVER, "once the recorder says so, it counts"


def test_without_a_recorder_the_last_reading_is_what_there_is(book: Runbook, run: Run) -> None:
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        Recorder(writer).enters("asked", "copying")
        Recorder(writer).reads(replace(COPYING, migration_state="Migration Failed"))
    proposal = RunStatus(run, book.clock).proposal()
    assert proposal is not None
    assert proposal[0].action is RecoveryAction.RECOVER


# --- unfinished observations ----------------------------------------------------------------------------------------


def test_nothing_final_is_written_about_a_run_that_is_still_observed(book: Runbook, run: Run) -> None:
    panel = WriteUpPanel(book, run)
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        Recorder(writer).enters("asked", "copying", "settled")
        panel.do()
        assert "The recording goes on for about" in panel.says.value
        (verdict,) = judged(book, run)
        assert "The recording goes on for about" in verdict.data
        said = CliRunner().invoke(main, ["write-up", str(run.path), "--form", "md"])
        assert said.exit_code == 2
        assert "the observation is not complete" in said.output
        assert not (run.path / "write-up").exists()
        writer.event("recorder", "tail-over", goes_on_s=60.0, probes="sap-BX5")
        assert still_observed(run) == "", "only logs are read on"
    assert still_observed(run) == "", "its recorder died: the record says where it ends"


# --- pages made once ------------------------------------------------------------------------------------------------


def test_a_partition_is_away_from_the_moment_its_move_settled(tmp_path: Path) -> None:
    done = make(tmp_path, Made(duration_s=26.0, suspend=(15.0, 16.5)))
    assert not (done.path / "summary.json").exists(), "nobody has asked for the verdict"
    assert [(stay.partition, stay.now_on) for stay in ledger(tmp_path)] == [("bxaix85", "blade14")]


def test_a_run_that_goes_on_after_it_was_analysed_is_read_again(tmp_path: Path) -> None:
    made = Made(duration_s=26.0, suspend=(15.0, 16.5), phases=((0.0, "prepared"), (5.0, "asked"), (9.0, "copying")))
    early = make(tmp_path, replace(made, ended=False))
    write_summary(early.path)
    assert ledger(tmp_path) == []
    with RunWriter(early.path) as writer:
        Recorder(writer).enters("settled")
    assert [stay.partition for stay in ledger(tmp_path)] == ["bxaix85"]


def test_a_list_that_was_empty_says_so_no_longer_when_there_is_a_run(book: Runbook) -> None:
    chooser = RunChooser(book)
    assert "No run in" in chooser.note.value
    first = prepared(book.site)
    chooser.refresh()
    assert chooser.note.value == ""
    assert chooser.run().name == first.name
    assert "on their home frames" in ledger_table(book).data


def test_the_label_of_a_run_says_nothing_twice(book: Runbook) -> None:
    done = make(book.site.runs.folder, Made(duration_s=26.0, suspend=None, phases=((0.0, "asked"), (20.0, "failed"))))
    write_summary(done.path)
    ((label, _),) = RunChooser(book).list.options
    assert "not moved, failed" in label
    assert "failed, failed" not in label


# --- clicks and states ----------------------------------------------------------------------------------------------


def test_a_name_is_not_asked_for_where_a_move_cannot_begin(book: Runbook, run: Run, recorder: Recorder) -> None:
    panel = MovePanel(book, run)
    recorder.begins()
    recorder.enters("asked", "copying")
    recorder.reads(COPYING)
    assert enabled(panel) == {"stop"}
    assert "this run has begun; a run folder records one move" in panel.why_not.value
    panel.press("move")
    assert panel.confirm.layout.display == "none"


def test_an_acknowledgement_is_gone_after_a_while_and_trouble_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledgement, "STAYS_S", 0.05)
    says = Acknowledgement()
    says.trouble(NotAllowed("there is no validation"))
    says.done("move requested")
    assert "✓ move requested" in says.value
    assert wait_until(lambda: says.value == "", clock=Clock(), timeout_s=10)
    says.done("move requested")
    says.trouble("no answer")
    assert not wait_until(lambda: says.value == "", clock=Clock(), timeout_s=0.3)


# --- words ----------------------------------------------------------------------------------------------------------


def _steps(path: Path) -> Iterator[str]:
    """The next steps of a module's errors."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "next_step":
            yield " ".join(str(part.value) for part in ast.walk(node.value) if isinstance(part, ast.Constant))


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("commands", "simulator")
    ],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_a_next_step_names_no_cell_and_no_option_of_a_command_that_is_not_named(path: Path) -> None:
    for step in _steps(path):
        assert not re.search(r"\bcells?\b|repeat the command", step), step
        if "--site" in step:
            assert "lpmkit" in step


def test_a_command_to_copy_has_the_names_of_this_move(book: Runbook, run: Run, recorder: Recorder) -> None:
    survey = json.loads((FIXTURES / "ivm-move" / "survey.json").read_text())
    (run.path / "survey.json").write_text(json.dumps(survey))
    recorder.begins()
    recorder.enters("asked", "copying", "needs-recovery")
    recorder.reads(replace(COPYING, migration_state="Migration Failed"))
    proposal = RunStatus(run, book.clock).proposal()
    assert proposal is not None
    own, sent = proposal[0].commands
    assert own == f"lpmkit recover {run.path}"
    assert f"-m {survey['source']['frame']['name']} " in sent
    assert not re.search(r"\b(SOURCE|TARGET|SYSTEM|PARTITION)\b", sent)


@pytest.mark.parametrize(("name", "hmcs"), [("ivm-move", False), ("hmc-move", True)])
def test_whoever_must_act_is_there(name: str, hmcs: bool) -> None:
    survey = Survey.from_dict(json.loads((FIXTURES / name / "survey.json").read_text()))
    owners = {finding.who for finding in examine(survey)}
    assert ("HMC administrator" in owners) is hmcs
    assert any(check.who == "HMC administrator" for check in CHECKS)


def test_live_lanes_and_charts_have_one_table_of_colours_and_one_order(run: Run) -> None:
    names = ["ora-sql-BX5", "tcp-connect", "icmp", "sap-ni-3200", "ssh-echo", "ssh-ticks"]
    with RunWriter(run.path) as writer:
        for name in names:
            writer.samples(name, [Sample(1, answered_ns=Clock().mono_ns())])
        writer.flush()
        lanes = Lanes(run)
        lanes.follow()
    assert lanes.names == tuple(sorted(names, key=lane_order))
    assert lanes.names[0] == "ssh-ticks"
    assert lanes.names[-1] == "ora-sql-BX5"
    assert re.findall(r'<path fill="(#\w+)"', lanes.svg()) == [colour(kind_of(name)) for name in lanes.names]


RAW = re.compile(r"[{}\[\]]|\bNone\b|\bnull\b|\bTrue\b|\bFalse\b|_|, ,|: ,|\d{14}")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/events.jsonl")), ids=lambda path: path.parent.name)
def test_an_event_is_told_without_raw_values(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path.parent, tmp_path / "run")
    for event in Run(tmp_path / "run").events():
        if event.kind in ("tcp", "clock", "forecast"):
            continue  # figures of the analysis, in no list of events
        text = event_text(event)
        machine = "".join(str(value) for value in event.data.values() if isinstance(value, str))
        raw = [found for found in RAW.findall(text) if found not in machine]
        assert text
        assert raw == [], text
