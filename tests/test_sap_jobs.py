"""All the jobs of a simulated system through a pause, held against what the system itself knows: every verdict, every
delay, what a log and a step say.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

from lpmkit.analysis import analyse
from lpmkit.plots.sap import job_bars
from lpmkit.sap.functions import Functions
from lpmkit.sap.job_history import Pause
from lpmkit.sap.judge import Case, JobLine, SapOutcome, judge
from lpmkit.sap.load import Load
from lpmkit.sap.model import SapSnapshot
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.rfc import Refused
from lpmkit.sap.sources import FunctionsWay
from lpmkit.sap.system import System
from lpmkit.settings.sap import SapSlo, SapSystemSettings
from lpmkit.simulator.sap import functions, jobs, mishaps
from lpmkit.simulator.sap.abap import AbapException, Call, Conversation
from lpmkit.simulator.sap.installation import Installation
from lpmkit.simulator.sap.records import Job
from lpmkit.simulator.sap.system import System as Model
from lpmkit.simulator.sap.work import JOBS
from lpmkit.timeline import Clock
from tests.made_runs import Made, make

S = 1_000_000_000
WALL_S = 1_226_088_000.0
STOPPED_AT_S, STOPPED_FOR_S, UNTIL_S = 25, 3.0, 120


class Hands(Clock):
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def mono_ns(self) -> int:
        return int((5000 + self.now) * S)

    def wall_ns(self) -> int:
        return int((WALL_S + self.now) * S)


@dataclass
class Inside:
    """Calls the function modules of a model without anything between, in one conversation, or in a new one
    each time.
    """

    model: Model
    keeps_session: bool = True
    where: str = "inside"
    conversation: Conversation = field(default_factory=Conversation)
    called: list[str] = field(default_factory=list)

    @property
    def session(self) -> str:
        return "1" if self.keeps_session else ""

    def call(self, function: str, /, tables: Sequence[str] = (), **imports: Any) -> Mapping[str, Any]:
        self.called.append(function)
        given = {name: [value] if isinstance(value, dict) else value for name, value in imports.items()}
        rows = {name: value for name, value in given.items() if isinstance(value, list)}
        values = {
            name: "01" if isinstance(value, bytes) else str(value) for name, value in given.items() if name not in rows
        }
        talk = self.conversation if self.keeps_session else Conversation()
        try:
            found = functions.call(Call(self.model, function, values, rows, talk, "E", lambda line: ("", 127)))
        except AbapException as problem:
            raise Refused(function, problem.key, problem.text, self.where) from None
        return {**found.exports, **{name: [dict(row) for row in each] for name, each in found.tables.items()}}

    def close(self) -> None: ...


@dataclass
class Watched:
    """A model that went through a pause, what was seen of it, and what was said."""

    model: Model
    outcome: SapOutcome
    before: Mapping[str, str]
    observations: Sequence[SapObservation]

    def line(self, job: Job) -> JobLine:
        return next(one for one in self.outcome.jobs if one.course.key == f"{job.name}/{job.count}")


def watched(at_resume: Callable[[Model], None] = lambda model: None, *, keeps_session: bool = True) -> Watched:
    """Watch a system for two minutes of its own time, with a pause in it during which its clock goes on and nothing
    else.
    """
    clock = Hands()
    model = Model(Installation("BX5", "00"), "bxaix85", WALL_S - 4e6, WALL_S)
    way = FunctionsWay("rfc", Functions(Inside(model, keeps_session)), history_days=7, lsconf_command="ZLSCONF")
    system = System("BX5", SapSystemSettings(partition="bxaix85", zone="UTC"), [way], Load(6000, clock), clock=clock)
    began, seen, before, pause = clock.wall_ns(), [system.ask("job_list")], {}, Pause(0, 0)
    history = system.ask("history").rows
    for second in range(UNTIL_S):
        if second == STOPPED_AT_S:
            before = {f"{job.name}/{job.count}": job.status for job in model.jobs}
            stopped = clock.mono_ns()
            clock.now += STOPPED_FOR_S
            pause = Pause(stopped, clock.mono_ns())
            model.wall_s = WALL_S + clock.now
            at_resume(model)
        clock.now += 1
        model.advance(1.0, WALL_S + clock.now)
        if second % 3 == 0:
            seen += [system.ask(name, began) for name in ("jobs", "work_processes")]
        if second % 10 == 0:
            seen.append(system.ask("job_logs", began))
        if second % 20 == 0:
            seen += [system.ask(name, began - 3600 * S) for name in ("dumps", "users")]
    case = Case("BX5", SapSlo(), seen, pause, SapSnapshot("BX5", began, {}, history=history), watch_after_s=0.0)
    return Watched(model, judge(case), before, seen)


@pytest.fixture(scope="module")
def quiet() -> Watched:
    return watched()


def right(found: Watched, job: Job) -> str:
    """The verdict that a job should get, from what the system itself knows."""
    if found.before.get(f"{job.name}/{job.count}") != "R":
        return ""
    return {"R": "pass", "F": "pass", "A": "fail"}[job.status]


def test_every_one_of_the_twenty_five_jobs_is_listed_and_gets_the_right_verdict(quiet: Watched) -> None:
    planned = [job for job in quiet.model.jobs if any(job.plan is plan for plan in JOBS)][: len(JOBS)]
    assert len(planned) == 25
    said = {job.name: (quiet.line(job).verdict, right(quiet, job)) for job in planned}
    assert {name: each for name, each in said.items() if each[0] != each[1]} == {}
    by_status: dict[str, int] = {}
    for job in planned:
        by_status[job.status] = by_status.get(job.status, 0) + 1
    # behind it, at work, failed for their own reasons, begun meanwhile, still ahead
    assert by_status["A"] == 2
    assert {"R", "F", "S", "P"} <= by_status.keys()
    assert sum(verdict == "pass" for verdict, _ in said.values()) >= 8
    assert quiet.outcome.question("sap-jobs-BX5").state == "passed", quiet.outcome.question("sap-jobs-BX5")


def test_every_later_run_of_a_periodic_job_gets_the_right_verdict_too(quiet: Watched) -> None:
    seen = {line.course.key for line in quiet.outcome.jobs}
    later = [job for job in quiet.model.jobs[25:] if f"{job.name}/{job.count}" in seen]
    assert len(later) >= 8
    assert [(job.name, quiet.line(job).verdict) for job in later] == [(job.name, right(quiet, job)) for job in later]


def test_jobs_that_failed_before_are_said_to_have_failed_before_and_why(quiet: Watched) -> None:
    texts = {line.course.job.name: line.text for line in quiet.outcome.jobs if line.course.status.value == "A"}
    assert texts.keys() == {"Z_EDI_OUT_FTP", "Z_PRICE_UPLOAD"}
    assert "CONVT_NO_NUMBER" in texts["Z_PRICE_UPLOAD"]
    assert all("before the suspension" in text for text in texts.values())


def test_a_job_that_ran_through_the_pause_is_late_by_it_against_its_own_history(quiet: Watched) -> None:
    crossed = [
        job for job in quiet.model.jobs if quiet.before.get(f"{job.name}/{job.count}") == "R" and job.status == "F"
    ]
    assert {job.name for job in crossed} >= {"WM_TRANSFER_ORDERS", "PM_DEADLINE_MONITOR", "Z_ORDER_IMPORT"}
    for job in crossed:
        past = [
            one.ended_s - one.started_s
            for one in (*quiet.model.earlier_jobs, *quiet.model.jobs)
            if one.name == job.name and one is not job and one.ended_s and one.started_s and one.ended_s < WALL_S
        ]
        assert job.ended_s is not None
        assert job.started_s is not None
        truth = (job.ended_s - job.started_s) - statistics.median(past)
        delay = quiet.line(job).delay_s
        assert delay == pytest.approx(truth, abs=2.0), job.name  # four stamps of whole seconds
        assert delay is not None
        assert delay > 0.5
        assert f"{delay:+.0f} s against the median of 5 runs" in quiet.line(job).text


def test_a_running_job_is_seen_to_go_on_by_its_log_its_step_and_its_process(quiet: Watched) -> None:
    long = next(job for job in quiet.model.jobs if job.name == "CO_ACTUAL_SETTLEMENT")
    text = quiet.line(long).text
    assert f"runs on in process {long.worker_pid}" in text
    assert f"step {long.step + 1} of 3" in text
    assert "its job log continued" in text
    assert "usually" in text


def test_without_a_session_jobs_come_from_the_table_with_the_reason_and_logs_are_not_told() -> None:
    found = watched(keeps_session=False)
    listed = [one for one in found.observations if one.question == "jobs"]
    assert {one.way for one in listed} == {
        "rfc, RFC_READ_TABLE on TBTCO (XBP needs a session and the service keeps none)"
    }
    logs = [one for one in found.observations if one.question == "job_logs"]
    assert all(one.rows is None and "job logs need the job interface" in one.trouble for one in logs)
    assert found.outcome.question("sap-jobs-BX5").state == "passed"


def cancelled(model: Model) -> None:
    mishaps.job_cancelled(model, "SD_BILLING_VF06")


def test_a_job_that_the_move_cancelled_fails_with_its_reason_and_no_other_does() -> None:
    found = watched(cancelled)
    failed = [line for line in found.outcome.jobs if line.verdict == "fail"]
    assert [line.course.job.name for line in failed] == ["SD_BILLING_VF06"]
    assert "ZDATE_LARGE_TIME_DIFF" in failed[0].text


def lost_its_process(model: Model) -> None:
    """The work process is gone and nobody wrote so into the table: it says R for ever."""
    job = next(one for one in model.jobs if one.name == "FI_SAPF124_CLEARING")
    assert job.worker is not None
    job.worker.let_go()
    job.worker = None


def test_a_job_whose_work_process_is_gone_is_stale_whatever_the_table_says() -> None:
    found = watched(lost_its_process)
    failed = [line for line in found.outcome.jobs if line.verdict == "fail"]
    assert [line.course.job.name for line in failed] == ["FI_SAPF124_CLEARING"]
    assert "a stale status" in failed[0].text


def test_the_history_holds_a_run_of_each_of_the_last_days() -> None:
    model = Model(Installation("BX5", "00"), "bxaix85", WALL_S - 4e6, WALL_S)
    runs = jobs.earlier_runs(model)
    assert len({(one.name, one.count) for one in runs}) == len(runs)
    assert all(one.ended_s is not None and one.ended_s < WALL_S for one in runs)


def test_the_chart_shows_every_job_and_says_of_each_without_a_bar_why_it_has_none(
    quiet: Watched, tmp_path: Path
) -> None:
    axes = job_bars(analyse(make(tmp_path, Made(duration_s=60.0, suspend=(25.0, 28.0)))), quiet.outcome.jobs)
    titles = [label.get_text() for label in axes.get_yticklabels()]
    planned = [job for job in quiet.model.jobs if any(job.plan is plan for plan in JOBS)]
    assert {f"{job.name} {job.count}" for job in planned} <= set(titles)
    low, high = axes.get_xlim()
    bars: dict[int, list[Rectangle]] = {}
    for one in axes.patches:
        if isinstance(one, Rectangle) and one.get_height() == pytest.approx(0.64):
            bars.setdefault(round(one.get_y() + 0.32), []).append(one)
            assert one.get_x() <= high
            assert one.get_x() + one.get_width() >= low
    said = {round(text.xy[1]): text.get_text().strip() for text in axes.texts if isinstance(text, Annotation)}
    named = dict(enumerate(titles))
    assert set(named) == set(bars) | set(said)
    spoken = {named[lane].split()[0]: text for lane, text in said.items()}
    assert spoken["Z_PRICE_UPLOAD"].startswith("◂ aborted at")
    assert spoken["MM_IV_GR_MAINTAIN"].startswith("◂ finished at")
    assert spoken["RDDIMPDP"] == "waits for an event"
    assert spoken["Z_MONTH_END_FI"] == "not released"
    assert spoken["EU_PUT"].startswith("▸ planned for")
    crossing = titles.index(next(title for title in titles if title.startswith("WM_TRANSFER_ORDERS")))
    assert any(one.get_x() < 0 < 3 < one.get_x() + one.get_width() for one in bars[crossing])
