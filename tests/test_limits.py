"""Limits: one judgement before, during and after a move, and the site file, orders and verdicts that carry them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lpmkit.analysis import AnswerState, analyse, summary
from lpmkit.analysis.limits import Measured, against, commit_stall, job_delay, time_out_question
from lpmkit.analysis.model import Interval
from lpmkit.checks import Verdict, ready
from lpmkit.checks.limits import applicable_quantities, limit_findings
from lpmkit.config import load_site
from lpmkit.errors import SiteFileError, UsageError
from lpmkit.limits import QUANTITIES, Limit, LimitState, MoveLimits, judge, limits_from_words, read_limits
from lpmkit.migration.status import order_of
from lpmkit.oracle.state import WaitChange
from lpmkit.plan import load_plan, save_plan
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.rules.question import Question
from lpmkit.runs.folder import Run, write_document
from lpmkit.sap.judge import SapOutcome
from lpmkit.sap.model import JobStatus
from lpmkit.survey.model import Survey, SystemFacts
from tests.made_runs import WALL, Made, S, make
from tests.scripted_moves import ORDER, move_folder

SITE = """\
frames:
  a: {manager: ivm, host: a, mover_address: 192.0.2.1}
  b: {manager: ivm, host: b, mover_address: 192.0.2.2}
"""


def expected(p90: float, whole_p90: float = 300.0, **effects_p90: float) -> Prediction:
    effects = {name: Quantiles(value / 2, value / 1.5, value) for name, value in effects_p90.items()}
    return Prediction(
        Quantiles(20, 30, 40), Quantiles(60, 100, whole_p90), Quantiles(1, 2, 3), Quantiles(p90 / 2, p90 / 1.5, p90),
        0.0, 3, "3 moves", **effects,
    )  # fmt: skip


# --- the judgement --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (1.0, 2.0, LimitState.PASSED),
        (1.0, 2.0000001, LimitState.COULD_NOT_TELL),
        (2.0, 2.0000001, LimitState.COULD_NOT_TELL),
        (2.0000001, 2.1, LimitState.FAILED),
        (None, None, LimitState.COULD_NOT_TELL),
        (1.0, None, LimitState.COULD_NOT_TELL),
        (3.0, None, LimitState.FAILED),
        (None, 1.0, LimitState.PASSED),
    ],
)
def test_a_limit_fails_only_where_even_the_lower_bound_exceeds_it(
    low: float | None, high: float | None, state: LimitState
) -> None:
    assert judge(low, high, Limit(fail=2)) is state


def test_a_limit_that_warns_never_hides_one_that_fails() -> None:
    for low in range(8):
        for high in range(low, 8):
            strict, both = judge(low, high, Limit(fail=4)), judge(low, high, Limit(warn=2, fail=4))
            assert both is (LimitState.WARNED if strict is LimitState.PASSED and high > 2 else strict)


def test_bounds_are_shown_rounded_outwards_beside_their_limit() -> None:
    state, text = against(Limit(fail=1.6335), Measured(1.621733, 1.633489))
    assert (state, text) == (LimitState.PASSED, "1.621 s … 1.634 s, within 1.6335 s")


# --- where they are written -------------------------------------------------------------------------------------------


def test_limits_of_an_order_lie_over_those_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        f"{SITE}limits:\n  suspension_s: {{warn: 1.5, fail: 2}}\n  brown_out_s: 9\n"
        "  window: {begin: 2026-11-30T22:00:00+01:00, end: 2026-11-30T23:00:00+01:00}\n  guard: {remaining_s: 900}\n"
    )
    site = load_site(tmp_path / "site.yaml")
    words = limits_from_words({"suspension": "3"}, "/2026-11-30T23:30+01:00", "stop")
    limits = site.limits.with_order(words)
    assert limits.suspension_s == Limit(fail=3)
    assert limits.brown_out_s == Limit(fail=9)
    assert limits.window.sentence() == "2026-11-30 22:00:00 +01:00 … 2026-11-30 23:30:00 +01:00"
    assert (limits.guard.on_breach, limits.guard.remaining_s) == ("stop", 900)
    assert read_limits(limits.as_data()) == limits


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("limits: {suspension_s: {warn: 3, fail: 2}}", 4, "warn (3 s) lies above fail (2 s)"),
        ("limits: {suspension_s: -1}", 4, "greater than or equal to 0"),
        ("limits: {suspension_s: .nan}", 4, "finite"),
        ("limits: {suspension_s: {}}", 4, "a number of seconds"),
        ("limits: {suspended_s: 2}", 4, "limits.suspended_s: there is no such key"),
        ("limits:\n  window: {end: 2026-11-30 23:00:00}", 5, "timezone"),
        ("limits:\n  window: {begin: 2026-11-30T23:00:00Z, end: 2026-11-30T22:00:00Z}", 5, "ends before it begins"),
        ("limits: {guard: {on_breach: kill}}", 4, "'tell' or 'stop'"),
    ],
)
def test_a_wrong_limit_in_the_site_file_is_named_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    (tmp_path / "site.yaml").write_text(f"{SITE}{text}\n")
    with pytest.raises(SiteFileError) as refused:
        load_site(tmp_path / "site.yaml")
    assert says in str(refused.value)
    assert f"line {line}" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "window"),
    [({"suspended": "2"}, None), ({"suspension": "soon"}, None), ({}, "2026-11-30T22:00Z"), ({}, "22:00/23:00")],
)
def test_a_wrong_limit_on_the_command_line_is_a_usage_error(words: dict[str, str], window: str | None) -> None:
    with pytest.raises(UsageError):
        limits_from_words(words, window, None)


def test_an_order_that_is_read_from_a_run_keeps_its_options_and_limits(tmp_path: Path) -> None:
    order = replace(ORDER, options={"requirerr": "2"}, limits={"suspension_s": {"fail": 2.0}})
    assert order_of(move_folder(tmp_path, order=order)) == order


# --- before the move --------------------------------------------------------------------------------------------------


def test_the_predicted_p90_is_held_against_the_limit_and_the_window() -> None:
    begin = datetime(2026, 11, 30, 22, tzinfo=UTC)
    limits = read_limits({"suspension_s": 2, "window": {"begin": begin, "end": begin + timedelta(minutes=10)}})
    start_ns = int(begin.timestamp()) * S

    def verdicts(prediction: Prediction | NoForecast, starts_ns: int = start_ns) -> list[str]:
        return [one.verdict.value for one in limit_findings(limits, "p", prediction, starts_ns)]

    assert verdicts(expected(1.9)) == ["pass", "pass"]
    assert verdicts(expected(2.1)) == ["fail", "pass"]
    assert verdicts(expected(1.9, whole_p90=601)) == ["pass", "fail"]
    assert verdicts(expected(1.9), start_ns + 700 * S) == ["pass", "fail"]
    assert verdicts(NoForecast("x")) == ["unknown", "unknown"]
    assert limit_findings(MoveLimits(), "p", NoForecast("x"), 0) == ()


def test_a_prediction_that_breaks_a_limit_is_not_ready_and_no_failure_once_it_was_measured(tmp_path: Path) -> None:
    findings = limit_findings(MoveLimits(suspension_s=Limit(fail=2)), "bxaix85", expected(3.0), 0)
    assert [one.verdict for one in findings] == [Verdict.FAIL]
    assert ready(findings).value == "not ready"
    rows = [{"key": "keys", "verdict": "pass"}, {"key": findings[0].key, "verdict": "fail"}]
    run = made(tmp_path, {"suspension_s": 2}, findings=rows)
    assert analyse(run).verdict.question("checks").state is AnswerState.PASSED


EVERY_LIMIT = {
    "suspension_s": 2,
    "session_outage_s": 5,
    "brown_out_s": {"warn": 3},
    "job_delay_s": 6,
    "commit_stall_s": 3,
}


def test_every_limit_is_held_before_the_move_against_the_predicted_p90() -> None:
    limits = read_limits(EVERY_LIMIT)
    assert set(EVERY_LIMIT) == set(QUANTITIES)
    told = expected(1.9, session_outage_s=5.1, brown_out_s=4, job_delay_s=5.9)
    assert {one.key: one.verdict.value for one in limit_findings(limits, "p", told, 0)} == {
        "limit-suspension": "pass",
        "limit-session-outage": "fail",
        "limit-brown-out": "warn",
        "limit-job-delay": "pass",
        "limit-commit-stall": "unknown",
    }, "what was not predicted never passes"
    of_linux = applicable_quantities(Survey("p", SystemFacts("a"), SystemFacts("b")))
    assert of_linux == ("suspension_s", "session_outage_s", "brown_out_s"), "neither SAP nor a database is in it"
    assert len(limit_findings(limits, "p", told, 0, of_linux)) == 3


# --- after the move ---------------------------------------------------------------------------------------------------


def made(folder: Path, limits: dict[str, Any], made_run: Made | None = None, **documents: Any) -> Run:
    run = make(folder, made_run or Made(), **documents)
    write_document(run.path, "run", {**run.manifest, "limits": limits})
    return Run(run.path)


@pytest.mark.parametrize(
    ("limit", "state", "says"),
    [
        ({"fail": 2}, AnswerState.PASSED, "within 2 s"),
        ({"warn": 1.0, "fail": 2}, AnswerState.PASSED, "above the warning limit of 1 s"),
        ({"fail": 1.0}, AnswerState.FAILED, "the limit is 1 s"),
        ({"fail": 1.537}, AnswerState.NOT_EVALUATED, "may exceed the limit of 1.537 s"),
    ],
)
def test_the_measured_suspension_is_held_against_its_limit(
    tmp_path: Path, limit: dict[str, float], state: AnswerState, says: str
) -> None:
    analysis = analyse(made(tmp_path, {"suspension_s": limit}))
    question = analysis.verdict.question("suspended")
    assert question.state is state
    assert says in question.answer
    told = summary(analysis)["verdict"]
    row = next(one for one in told["questions"] if one["key"] == "suspended")
    assert row.get("warns", False) is ("warn" in limit)


def test_a_limit_of_an_earlier_version_still_counts(tmp_path: Path) -> None:
    assert analyse(made(tmp_path, {"suspend_s": 1})).verdict.question("suspended").state is AnswerState.FAILED


def test_session_outage_and_brown_out_have_limits(tmp_path: Path) -> None:
    slow = Made(slow_after_ms=400.0)
    analysis = analyse(made(tmp_path, {"session_outage_s": 1, "brown_out_s": 60}, slow))
    keys = {one.key: one.state for one in analysis.verdict.questions if one.key.startswith("limit-")}
    assert keys == {"limit-session-outage": AnswerState.FAILED, "limit-brown-out": AnswerState.PASSED}
    assert analysis.verdict.state is AnswerState.FAILED


def test_a_limit_of_something_that_nobody_measured_never_passes(tmp_path: Path) -> None:
    blind = Made(ticks=False, echo=False)
    analysis = analyse(made(tmp_path, {"session_outage_s": 99, "brown_out_s": 99}, blind))
    states = {one.key: one.state for one in analysis.verdict.questions}
    assert states["limit-session-outage"] is AnswerState.NOT_EVALUATED


def test_no_limit_asks_no_question(tmp_path: Path) -> None:
    assert [one.key for one in analyse(made(tmp_path, {})).verdict.questions if one.key.startswith("limit-")] == []


def test_limits_that_cannot_be_read_leave_the_suspension_open(tmp_path: Path) -> None:
    question = analyse(made(tmp_path, {"suspension_s": "two"})).verdict.question("suspended")
    assert question.state is AnswerState.NOT_EVALUATED


@pytest.mark.parametrize(
    ("tolerates", "state"), [(20, "passed"), (1, "failed"), (1.537, "not evaluated"), (None, "not evaluated")]
)
def test_the_measured_suspension_is_held_against_the_time_outs_of_clusters(
    tmp_path: Path, tolerates: float | None, state: str
) -> None:
    survey = {"guest": {"clusters": [{"kind": "PowerHA", "process": "clstrmgr", "tolerates_s": tolerates}]}}
    question = analyse(made(tmp_path, {}, survey=survey)).verdict.question("time-outs")
    assert question.state.value == state
    assert "PowerHA" in question.answer


@pytest.mark.parametrize(
    ("system", "state", "says"),
    [
        ({"profiles": [{"instance": "00", "values": {}}]}, "passed",
         "SAP BX5 (rdisp/keepalive_timeout) waits 60 s (the default"),
        ({"profiles": [{"instance": "00", "values": {"gw/conn_pending": "1"}}]}, "failed",
         "SAP BX5 (gw/conn_pending) waits 1 s"),
        ({"profiles": [{"instance": "00", "values": {"gw/conn_pending": "$(X)"}}]}, "not evaluated",
         "(gw/conn_pending) is not known"),
        ({"profiles": None, "missed": [{"question": "profiles", "configured": True}]}, "not evaluated",
         "SAP BX5 is not known"),
    ],
)  # fmt: skip
def test_the_measured_suspension_is_held_against_the_time_outs_of_sap(
    tmp_path: Path, system: dict[str, Any], state: str, says: str
) -> None:
    survey = {"sap": [{"system": "BX5", **system}]}
    question = next(time_out_question(Interval(1_400_000_000, 1_500_000_000), survey, ()))
    assert question.state.value == state
    assert says in question.answer


def test_nothing_is_asked_of_a_sap_system_whose_profiles_no_interface_reads() -> None:
    unread = {"system": "BX5", "profiles": None, "missed": [{"question": "profiles", "configured": False}]}
    for system in (unread, {"system": "BX5"}):
        assert list(time_out_question(Interval(1, 2), {"sap": [system]}, ())) == []


def test_a_move_outside_of_its_window_fails_and_one_within_passes(tmp_path: Path) -> None:
    begin = datetime.fromtimestamp(WALL / S, tz=UTC)
    for name, end_s, state in (("in", 60, "passed"), ("late", 25, "failed")):
        window = {"begin": begin.isoformat(), "end": (begin + timedelta(seconds=end_s)).isoformat()}
        question = analyse(made(tmp_path / name, {"window": window})).verdict.question("window")
        assert question.state.value == state


def test_a_commit_stall_is_bounded_by_its_bucket_and_a_missing_histogram_passes_nothing() -> None:
    class Database:
        waits: tuple[WaitChange, ...] = ()

    found: Any = Database()
    assert judge(commit_stall(found).low_s, commit_stall(found).high_s, Limit(fail=9)) is LimitState.COULD_NOT_TELL
    found.waits = (WaitChange("log file sync", 7, 2.1, 2048),)
    assert (commit_stall(found).low_s, commit_stall(found).high_s) == (1.024, 2.048)
    found.waits = (WaitChange("log file sync", 7, 2.1, None),)
    assert commit_stall(found).high_s is None
    found.waits = (WaitChange("log file sync", 0, 0.0, None),)
    assert commit_stall(found).high_s == 0


def outcome_with(*delays: float | None, running: int = 0, jobs: AnswerState = AnswerState.PASSED) -> SapOutcome:
    """A SAP system whose jobs ran at the suspension, with their delays; some of them run on."""
    lines = []
    for number, delay in enumerate(delays):
        status = JobStatus.RUNNING if number < running else JobStatus.FINISHED
        job = SimpleNamespace(title=f"JOB {number}", status=status)
        lines.append(SimpleNamespace(verdict="pass", delay_s=delay, course=SimpleNamespace(status=status, job=job)))
    question = Question("sap-jobs-BX5", "", jobs, "")
    return SapOutcome("BX5", (question,), tuple(lines), (), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (outcome_with(1.0, 50.0), LimitState.PASSED),
        (outcome_with(1.0, 59.0), LimitState.COULD_NOT_TELL),
        (outcome_with(63.0), LimitState.FAILED),
        (outcome_with(), LimitState.PASSED),
        (outcome_with(None, running=1), LimitState.COULD_NOT_TELL),
        (outcome_with(1.0, jobs=AnswerState.NOT_EVALUATED), LimitState.COULD_NOT_TELL),
    ],
)
def test_the_delay_of_jobs_is_known_to_the_seconds_that_sap_prints(outcome: SapOutcome, state: LimitState) -> None:
    found = job_delay(outcome)
    assert judge(found.low_s, found.high_s, Limit(fail=60)) is state


def test_a_move_of_a_plan_has_limits_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        "moves:\n"
        "  - {partition: a, target: b, limits: {suspension_s: 2, guard: {on_breach: stop}}}\n"
        "  - {partition: c, target: b}\n"
    )
    moves = load_plan(tmp_path / "plan.yaml").moves
    assert [one.limits.as_data() for one in moves] == [
        {"suspension_s": {"fail": 2.0}, "guard": {"on_breach": "stop"}},
        {},
    ]
    save_plan(load_plan(tmp_path / "plan.yaml"), tmp_path / "again.yaml")
    assert load_plan(tmp_path / "again.yaml").moves == moves
