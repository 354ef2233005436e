"""A forecast that cannot be made ends no check, no move, no plan and no report; the reason is told."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from lpmkit.checks import Answer
from lpmkit.checks.limits import limit_findings
from lpmkit.checks.nightly import expecting
from lpmkit.inventory import Partition
from lpmkit.limits import MoveLimits
from lpmkit.plan import MovePlan
from lpmkit.plan.board import FollowedPlan
from lpmkit.plan.book import MoveCheck, checked_plan
from lpmkit.plan.page import write_page
from lpmkit.plan.timetable import Expected
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.report.page import write_report
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.survey.model import Survey, SystemFacts
from lpmkit.wording.words import words_of
from tests.scripted_machines import Machines, conduct, planned, stages_of

WHY = "ZeroDivisionError: no figure is left"


def fails(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("no figure is left")


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path, dict.fromkeys("ab", "p8a"))


def notes_of(folder: Run) -> list[str]:
    return [str(event.data["text"]) for event in folder.events() if event.kind == "note"]


@pytest.mark.parametrize(
    ("place", "note"),
    [
        ("lpmkit.runbook.examination.inputs_of", f"a: no forecast: {WHY}"),
        ("lpmkit.plan.expecting.history", f"no forecast yet: {WHY}"),
    ],
)
def test_a_prediction_that_fails_ends_no_conductor_and_is_noted(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, place: str, note: str
) -> None:
    machines.foresees = partial(Runbook.predict, cast(Any, machines))
    monkeypatch.setattr(place, fails)
    folder, now = conduct(machines, planned({"partition": "a"}, {"partition": "b"}))
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}
    assert notes_of(folder).count(note) == 1


def test_the_page_of_a_plan_says_why_there_is_no_forecast(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = conduct(machines, planned({"partition": "a"}))
    monkeypatch.setattr("lpmkit.plan.board.running_outlook", fails)
    page = write_page(folder).read_text(encoding="utf-8")
    assert f"No forecast: {WHY}." in page
    ahead = FollowedPlan(folder).outlook()
    assert ahead is not None
    assert ahead.as_data()["no_forecast"] == WHY


@pytest.mark.parametrize("place", ["history", "inputs_of", "with_duration", "surroundings", "outlook"])
def test_a_plan_is_checked_without_a_forecast_and_its_window_is_not_known(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("lpmkit.plan.book._checked", partial(_looked, window_end_ns=1))
    monkeypatch.setattr(f"lpmkit.plan.book.{place}", fails)
    checked = checked_plan(cast(Runbook, machines), planned({"partition": "a"}))
    assert checked.outlook.sentence() == f"No forecast: {WHY}."
    assert checked.outlook.last_safe_start_ns is None
    assert checked.answer.value == "could not tell"
    assert words_of("de").said(checked.outlook.sentence()).startswith("Keine Vorhersage: ")


def _looked(book: Runbook, plan: MovePlan, *_: object, window_end_ns: int) -> tuple[Any, ...]:
    run = book.prepare(cast(Any, book).order("a", "p8b", there=book.landscape()))
    expected = Expected("a", "p8a", "p8b", None, window_end_ns=window_end_ns)
    return (MoveCheck("a", "p8a", "p8b", (), Answer.READY, fits=True, run=run, expected=expected),)


def test_a_check_without_a_prediction_says_why_the_suspension_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    survey, partition = (
        Survey("a", SystemFacts("p8a"), SystemFacts("p8b")),
        Partition("a", 3, "Running", memory_mb=1024),
    )
    assert expecting(survey, partition, ()).expected_suspension_s
    monkeypatch.setattr("lpmkit.checks.nightly.predict", fails)
    for past in ((), NoForecast(WHY)):
        without = expecting(survey, partition, past)
        assert without.expected_suspension_s is None
        assert without.why_no_suspension == f"there is no prediction of the suspension: {WHY}"


def test_a_report_is_written_when_past_predictions_cannot_be_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(__file__).parent.parent / "fixtures" / "runs" / "ivm-move", tmp_path / "run")
    monkeypatch.setattr("lpmkit.report.page.history", fails)
    assert f"Past predictions not evaluated: {WHY}" in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_the_limits_of_a_check_say_why_nothing_is_predicted() -> None:
    limits = MoveLimits.model_validate({"suspension_s": 2.0})
    (finding,) = limit_findings(limits, "a", NoForecast(WHY), 0)
    assert finding.verdict.value == "unknown"
    assert finding.facts["not known"] == f"there is no prediction of the suspension: {WHY}"
