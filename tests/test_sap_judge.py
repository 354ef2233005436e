"""The verdict on a SAP system after a move, from made observations with a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.errors import SiteFileError
from lpmkit.rules.table import Class
from lpmkit.sap.job_history import Pause
from lpmkit.sap.judge import Case, NiLane, judge
from lpmkit.sap.model import (
    Activity,
    Colour,
    DispatcherQueue,
    Dump,
    Enqueue,
    Instance,
    Job,
    JobHistory,
    JobLog,
    JobStatus,
    Licence,
    LogEntry,
    Missed,
    Process,
    SapSnapshot,
    Update,
    User,
    WorkProcess,
)
from lpmkit.sap.observation import MissingReason, SapObservation, read_observation
from lpmkit.sap.rules import SapRules
from lpmkit.settings.sap import SapSlo

S = 1_000_000_000
#: The record begins here on both clocks; the pause is from 30 s to 32 s.
MONO, WALL = 5_000 * S, 1_226_088_000 * S
PAUSE = Pause(MONO + 30 * S, MONO + 32 * S)
ZERO = datetime.fromisoformat("2008-11-07T20:00:00")


def at(second: float) -> datetime:
    """A second of the record on the system's clock, which is UTC here."""
    return ZERO + timedelta(seconds=second)


def seen(
    question: str, second: float, *rows: Any, way: str = "rfc", trouble: str = "", session: str = ""
) -> SapObservation:
    asked = MONO + int(second * S)
    return SapObservation(
        "BX5",
        question,
        "" if trouble else way,
        asked,
        asked + S // 100,
        WALL + int(second * S),
        None if trouble else rows,
        trouble,
        session,
        zone_offset_s=0,
    )


def judged(*observations: SapObservation, **more: Any) -> Any:
    return judge(Case("BX5", observations=observations, pause=PAUSE, **{"slo": SapSlo(), **more}))


def job(
    name: str, status: str, pid: int | None = None, started: float = -60, ended: float | None = None, **more: Any
) -> Job:
    return Job(
        name,
        "20000001",
        JobStatus(status),
        user="BATCH",
        pid=pid,
        started=None if status in "SYP" else at(started),
        ended=None if ended is None else at(ended),
        **more,
    )


def btc(pid: int, cpu: int, number: int = 9, activity: Activity = Activity.RUNNING, **more: Any) -> WorkProcess:
    return WorkProcess(
        number,
        "BTC",
        pid,
        activity,
        cpu_s=cpu,
        program="ZJOB" if activity is Activity.RUNNING else "",
        user="BATCH",
        **more,
    )


def jobs_and_work(
    before: Sequence[Job], after: Sequence[Job], work: Sequence[WorkProcess], then: Sequence[WorkProcess]
) -> list[SapObservation]:
    """One look at each before the pause, and after it jobs, work, jobs."""
    return [
        seen("jobs", 20, *before),
        seen("work_processes", 21, *work),
        seen("jobs", 35, *after),
        seen("work_processes", 40, *then),
        seen("jobs", 45, *after),
    ]


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_a_job_that_runs_on_in_its_process_and_uses_the_processor_passes() -> None:
    one = job("LONG", "R", 4711)
    found = judged(*jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 19)]))
    assert found.question("sap-jobs-BX5").state == "passed"
    assert found.jobs[0].text == "runs on in process 4711"


def test_a_job_whose_process_stands_still_is_not_known_to_run() -> None:
    one = job("LONG", "R", 4711)
    found = judged(*jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 10)]))
    assert found.question("sap-jobs-BX5").state == "not evaluated"


def test_a_status_without_a_process_is_stale_and_fails() -> None:
    one = job("LONG", "R", 4711)
    found = judged(*jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 10, activity=Activity.WAITING)]))
    assert found.question("sap-jobs-BX5").state == "failed"
    assert "stale" in found.question("sap-jobs-BX5").answer


def test_a_job_that_ended_between_two_looks_is_not_called_stale() -> None:
    one = job("LONG", "R", 4711)
    done = job("LONG", "F", started=-60, ended=38)
    observations = [
        seen("jobs", 20, one),
        seen("work_processes", 21, btc(4711, 10)),
        seen("jobs", 35, one),
        seen("work_processes", 40, btc(4711, 20, activity=Activity.WAITING)),
        seen("jobs", 45, done),
    ]
    assert judged(*observations).question("sap-jobs-BX5").state == "passed"


def test_a_job_that_the_move_aborted_fails_with_its_reason() -> None:
    broken = job("LONG", "A", started=-60, ended=33)
    found = judged(
        *jobs_and_work([job("LONG", "R", 4711)], [broken], [btc(4711, 10)], []),
        seen("dumps", 10),
        seen("dumps", 46, Dump(at(33), "bxaix85", "BATCH", "100", "ZDATE_LARGE_TIME_DIFF")),
    )
    said = found.question("sap-jobs-BX5")
    assert said.state == "failed"
    assert "ZDATE_LARGE_TIME_DIFF" in said.answer
    assert found.question("sap-log-BX5").state == "failed"


def test_a_job_that_failed_for_its_own_reasons_before_is_nobodys_fault() -> None:
    broken = job("OWN", "A", started=-600, ended=5)
    one = job("LONG", "R", 4711)
    found = judged(*jobs_and_work([one, broken], [one, broken], [btc(4711, 10)], [btc(4711, 19)]))
    assert found.question("sap-jobs-BX5").state == "passed"
    assert next(line for line in found.jobs if line.course.job.name == "OWN").text.startswith(
        "aborted before the suspension"
    )


def test_an_abort_in_the_last_looks_shadow_is_placed_by_the_systems_stamp() -> None:
    """The last look before the pause was ten seconds ago: who ended within them is known by the stamp alone."""
    observations = [seen("jobs", 20, job("X", "R", 1)), seen("jobs", 35, job("X", "A", started=-60, ended=24))]
    assert judged(*observations).question("sap-jobs-BX5").state == "passed"
    observations = [seen("jobs", 20, job("X", "R", 1)), seen("jobs", 35, job("X", "A", started=-60, ended=30))]
    assert judged(*observations).question("sap-jobs-BX5").state == "failed"


@pytest.mark.parametrize(("ended", "state"), [(60, "passed"), (400, "failed")])
def test_a_finished_job_is_held_against_its_own_history(ended: float, state: str) -> None:
    before = SapSnapshot("BX5", WALL, {}, history=(JobHistory("LONG", 5, 100.0, 150.0),))
    one, done = job("LONG", "R", 4711), job("LONG", "F", started=-60, ended=ended)
    observations = [seen("jobs", 20, one), seen("jobs", 35, one), seen("jobs", 500, done)]
    found = judged(*observations, before=before)
    assert found.question("sap-jobs-BX5").state == state
    assert found.jobs[0].delay_s == ended + 60 - 100


def test_a_job_after_midnight_is_on_the_same_axis() -> None:
    night = datetime.fromisoformat("2008-11-07T23:59:50")
    shift = (night - ZERO).total_seconds()
    one = replace(job("N", "F"), started=night, ended=night + timedelta(seconds=25))
    observation = seen("jobs", shift + 40, one)
    found = judge(Case("BX5", SapSlo(), [observation], PAUSE))
    course = found.jobs[0].course
    assert course.started_ns == MONO + int(shift * S)
    assert course.ended_ns == MONO + int((shift + 25) * S)


def test_work_that_a_way_shows_without_names_is_followed_by_its_process() -> None:
    one = Job("", "", JobStatus.RUNNING, program="ZJOB", user="BATCH", pid=4711)
    gone = Job("", "", JobStatus.RUNNING, program="ZOTHER", user="EDI", pid=4712)
    log = LogEntry(at(33), "BTC", "100", "EDI", "", "AB0", 'Run-time error "TIME_OUT" occurred')
    observations = [
        *jobs_and_work([one, gone], [one], [btc(4711, 10), btc(4712, 3, number=10)], [btc(4711, 12)]),
        seen("system_log", 10),
    ]
    found = judged(*observations, seen("system_log", 50))
    assert found.question("sap-jobs-BX5").state == "passed"
    found = judged(*observations, seen("system_log", 50, log))
    assert found.question("sap-jobs-BX5").state == "failed"
    assert "TIME_OUT" in found.question("sap-jobs-BX5").answer
    found = judged(*observations[:-1])
    assert found.question("sap-jobs-BX5").state == "not evaluated"  # nobody tells how it ended


# -- processes and work processes --------------------------------------------------------------------------------------


def dispatcher(**more: Any) -> Process:
    return Process(
        **{"name": "disp+work", "pid": 1, "colour": Colour.GREEN, "started": at(-9000), "instance": "00", **more}
    )


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (dispatcher(), "passed"),
        (dispatcher(started=at(-8999)), "passed"),
        (dispatcher(pid=2), "failed"),
        (dispatcher(started=at(33)), "failed"),
        (dispatcher(pid=None, colour=Colour.GRAY), "failed"),
        (dispatcher(colour=Colour.RED), "failed"),
        (dispatcher(colour=Colour.YELLOW), "not evaluated"),
        (dispatcher(name="gwrd"), "failed"),
    ],
    ids=["same", "a second of rounding", "pid", "start", "stopped", "red", "yellow", "gone"],
)
def test_a_process_is_the_same_by_pid_and_start(then: Process, state: str) -> None:
    found = judged(seen("processes", 20, dispatcher()), seen("processes", 40, then))
    assert found.question("sap-processes-BX5").state == state


GREEN, YELLOW, GRAY = (dispatcher(colour=colour) for colour in (Colour.GREEN, Colour.YELLOW, Colour.GRAY))
STOPPED = Process("icman", None, Colour.GRAY, "Stopped", instance="00")
HALTED = replace(STOPPED, pid=4711)


@pytest.mark.parametrize(
    ("before", "then", "state", "warns"),
    [
        ([GREEN], [[YELLOW], [YELLOW]], "failed", False),
        ([GREEN], [[YELLOW], [GREEN]], "passed", False),
        ([GREEN], [[GREEN], [YELLOW]], "passed", True),
        ([YELLOW], [[YELLOW], [YELLOW]], "passed", True),
        ([GRAY], [[GRAY], [GRAY]], "not evaluated", False),
        ([GREEN, STOPPED], [[GREEN, STOPPED], [GREEN, STOPPED]], "passed", True),
    ],
    ids=[
        "yellow since",
        "yellow and green",
        "green and yellow",
        "as before",
        "gray with a pid",
        "one stopped as before",
    ],
)
def test_a_process_with_the_same_pid_is_well_only_where_it_is_green(
    before: list[Process], then: list[list[Process]], state: str, warns: bool
) -> None:
    looks = [seen("processes", 40 + 70 * number, *rows) for number, rows in enumerate(then)]
    found = judged(seen("processes", 20, *before), *looks).question("sap-processes-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (btc(1, 5), "passed"),
        (btc(2, 5), "failed"),
        (btc(2, 5, activity=Activity.ENDED), "failed"),
        (replace(btc(1, 5), pid=None), "failed"),
        (btc(1, 5, errors=1), "failed"),
        (btc(1, 5, activity=Activity.STOPPED), "failed"),
        (btc(1, 5, activity=Activity.ENDED), "failed"),
        (btc(1, 5, number=8), "failed"),
    ],
    ids=["same", "restarted", "ended with another pid", "no pid", "terminated", "stopped", "ended", "gone"],
)
def test_a_work_process_is_intact_or_named(then: WorkProcess, state: str) -> None:
    found = judged(seen("work_processes", 20, btc(1, 5)), seen("work_processes", 40, then))
    assert found.question("sap-work-processes-BX5").state == state


def test_an_answer_that_spans_the_pause_is_neither_before_nor_after() -> None:
    spanning = replace(seen("work_processes", 29, btc(2, 5)), answered_ns=PAUSE.end_ns + S)
    assert judged(spanning).question("sap-work-processes-BX5").state == "not evaluated"


# -- users, logs, the rest ---------------------------------------------------------------------------------------------


def test_a_user_that_is_gone_right_after_the_pause_fails_one_that_leaves_later_does_not() -> None:
    a, b = User("T1", "100", "A"), User("T2", "100", "B")
    assert judged(seen("users", 20, a, b), seen("users", 35, a)).question("sap-users-BX5").state == "failed"
    end_s = 32
    found = judged(seen("users", 20, a, b), seen("users", end_s + 0.1, a, b), seen("users", end_s + 4, a))
    assert found.question("sap-users-BX5").state == "failed", "the dispatcher came upon it after the first look"
    later = judged(seen("users", 20, a, b), seen("users", 35, a, b), seen("users", 65, a))
    assert later.question("sap-users-BX5").state == "passed"
    assert "1 session ended later" in later.question("sap-users-BX5").answer
    allowed = judged(seen("users", 20, a, b), seen("users", 35, a), slo=SapSlo(lost_users=1))
    assert allowed.question("sap-users-BX5").state == "passed"


def test_a_list_of_processes_that_is_empty_after_the_pause_does_not_pass() -> None:
    found = judged(seen("processes", 20, Process("gwrd", 4711, instance="00")), seen("processes", 40))
    assert found.question("sap-processes-BX5").state == "not evaluated"
    assert "no process after the suspension" in found.question("sap-processes-BX5").answer


def test_dispatcher_queues_that_are_not_listed_after_the_pause_do_not_pass() -> None:
    found = judged(seen("queues", 20, DispatcherQueue("ABAP/DIA", 0, 9, 14000, 90, 90)), seen("queues", 40))
    assert found.question("sap-queues-BX5").state == "not evaluated"


def entry(second: float, number: str, text: str = "", user: str = "A") -> LogEntry:
    return LogEntry(at(second), "DIA", "100", user, "", number, text)


def test_the_log_is_judged_from_the_pause_on_and_only_by_what_is_new() -> None:
    old = entry(-100, "BYM", "SQL error 3113")
    found = judged(seen("system_log", 10, old), seen("system_log", 930, entry(40, "R68")))
    assert found.question("sap-log-BX5").state == "passed"
    found = judged(seen("system_log", 10), seen("system_log", 930, entry(40, "BYM")))
    assert found.question("sap-log-BX5").state == "failed"
    found = judged(seen("system_log", 10), seen("system_log", 930, entry(40, "BYM"), entry(44, "BYY")))
    assert found.question("sap-log-BX5").state == "passed"
    assert "work-process-lost-database" in found.question("sap-log-BX5").answer  # and is to be read


def test_an_entry_that_comes_late_but_was_stamped_before_the_pause_is_not_the_moves() -> None:
    found = judged(seen("system_log", 10), seen("system_log", 930, entry(25, "BYM")))
    assert found.question("sap-log-BX5").state == "passed"


def test_a_log_that_was_not_read_for_the_quarter_of_an_hour_does_not_pass() -> None:
    found = judged(seen("system_log", 10), seen("system_log", 60))
    assert found.question("sap-log-BX5").state == "not evaluated"
    assert "15 are asked for" in found.question("sap-log-BX5").answer


def test_a_log_that_was_read_before_the_pause_alone_does_not_pass_however_short_the_watch() -> None:
    refused = seen("system_log", 40, trouble="Permission denied")
    found = judged(seen("system_log", 10), refused, watch_after_s=0.0).question("sap-log-BX5")
    assert (found.state, "Permission denied" in found.answer) == ("not evaluated", True)
    dumps = judged(seen("dumps", 10), seen("dumps", 40, trouble="Permission denied")).question("sap-dumps-BX5")
    assert dumps.state == "not evaluated"


def test_a_log_of_which_a_reading_since_the_pause_may_lack_entries_does_not_pass() -> None:
    late = replace(seen("system_log", 930, entry(40, "R68")), trouble="it was begun anew")
    found = judged(seen("system_log", 10), read_observation(late.as_data()))
    assert found.question("sap-log-BX5").state == "not evaluated"
    assert "it was begun anew" in found.question("sap-log-BX5").answer
    found = judged(seen("system_log", 10), replace(late, rows=(entry(40, "BYM"),)))
    assert found.question("sap-log-BX5").state == "failed"


def test_what_comes_as_often_as_before_is_routine() -> None:
    rules = SapRules.standard()
    usual = [entry(-n, "R49") for n in range(10)]
    assert rules.tallies([entry(40, "R49")] * 3, usual, 0.25)[0].meaning is Class.ROUTINE
    assert rules.tallies([entry(40, "R49")] * 30, usual, 0.25)[0].meaning is Class.WARN
    assert rules.tallies([entry(40, "ZZ9")], usual, 0.25)[0].meaning is Class.UNKNOWN
    assert rules.tallies([entry(40, "GI0")], usual, 0.25)[0].key == "lock-handling"


@pytest.mark.parametrize(
    ("number", "text", "colour", "state"),
    [
        ("ZZ9", "Operation mode NIGHT active", Colour.GREEN, "passed"),
        ("ZZ9", "Verbindung zum Message-Server verloren", Colour.GREEN, "not evaluated"),
        ("ZZ9", "Connection to message server (on host sapascs) lost", Colour.GREEN, "not evaluated"),
        ("ZZ9", "Přerušeno", Colour.RED, "not evaluated"),
        ("ZZ9", "Update terminated", Colour.GRAY, "failed"),
        ("ZZ9", "Verbuchung abgebrochen", Colour.GRAY, "failed"),
        ("ZZ9", "Work process 7 (pid 991) terminated by signal 11", Colour.RED, "failed"),
        ("GI0", "Error calling the central lock handler", Colour.RED, "failed"),
    ],
)
def test_an_entry_that_no_rule_knows_does_not_pass_where_it_speaks_of_trouble(
    number: str, text: str, colour: Colour, state: str
) -> None:
    row = replace(entry(40, number, text), colour=colour)
    found = judged(seen("system_log", 10), seen("system_log", 930, row)).question("sap-log-BX5")
    assert found.state == state, found.answer


def test_an_entry_that_speaks_of_trouble_is_not_hidden_by_others_of_its_number_but_by_its_own_rate() -> None:
    lost = [replace(entry(-60 * n, "ZZ9", "Partner lost"), colour=Colour.RED) for n in range(1, 30)]
    quiet = [entry(-60 * n, "ZZ9", f"Batch {n} began") for n in range(1, 30)]
    new = replace(entry(40, "ZZ9", "Partner lost"), colour=Colour.RED)
    for usual, state in ((quiet, "not evaluated"), (lost, "passed")):
        found = judged(seen("system_log", 10, *usual), seen("system_log", 930, new))
        assert found.question("sap-log-BX5").state == state


def test_an_entry_of_every_day_is_known_from_the_log_of_hours_ago() -> None:
    """A daily report is rated red, and no rule knows its number (`SALT-SAPCONTROL`)."""
    text = 'Monitoring: Program RSUSR003 Reports "Security check passed"'
    daily = [replace(entry(-86_000 * day, "E03", text), colour=Colour.RED) for day in (1, 2)]
    new = replace(entry(600, "E03", text), colour=Colour.RED)
    for before, state, warns in ((daily, "passed", True), ([entry(-170_000, "R68")], "not evaluated", False)):
        found = judged(seen("system_log", 10, *before), seen("system_log", 930, new)).question("sap-log-BX5")
        assert (found.state, found.warns) == (state, warns)


def test_a_burst_of_routine_entries_warns_unless_the_site_calls_them_routine(tmp_path: Path) -> None:
    usual = [entry(-600 * n, "R68") for n in range(1, 6)]
    rows = [entry(40, "R68")] * 300
    own = tmp_path / "rules.yaml"
    own.write_text("- {key: ours, class: routine, numbers: [R68], reason: known, source: us}\n", encoding="utf-8")
    assert SapRules.standard().tallies(rows, usual, 0.25)[0].meaning is Class.WARN
    assert SapRules.standard().tallies(rows[:3], usual, 0.25)[0].meaning is Class.ROUTINE
    assert SapRules.standard(own).tallies(rows, usual, 0.25)[0].meaning is Class.ROUTINE


def test_what_warns_in_the_log_warns_in_the_verdict() -> None:
    found = judged(seen("system_log", 10), seen("system_log", 930, entry(40, "BYM"), entry(44, "BYY")))
    assert found.question("sap-log-BX5").warns


def test_a_sites_own_rules_come_first_and_a_bad_one_is_named(tmp_path: Path) -> None:
    own = tmp_path / "rules.yaml"
    own.write_text("- {key: ours, class: routine, numbers: [BYM], reason: known, source: us}\n")
    assert SapRules.standard(own).tallies([entry(40, "BYM")], [], 0.25)[0].meaning is Class.ROUTINE
    own.write_text("- {key: ours, class: terrible, numbers: [BYM], reason: known, source: us}\n- {key: other}\n")
    with pytest.raises(SiteFileError, match=r"rule 1 .*rule 2"):
        SapRules.standard(own)


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (Enqueue(3, 100, 5, 0, 0, Colour.GREEN), "passed"),
        (Enqueue(3, 100, 5, 0, 0, Colour.RED), "failed"),
        (Enqueue(3, 100, 5, 0, 2, Colour.GREEN), "failed"),
    ],
)
def test_the_lock_servers_replica_has_to_be_green_again(then: Enqueue, state: str) -> None:
    was = Enqueue(3, 100, 4, 0, 0, Colour.GREEN)
    assert judged(seen("enqueue", 20, was), seen("enqueue", 40, then)).question("sap-enqueue-BX5").state == state


def test_updates_that_pile_up_without_an_error_fail_beyond_the_rate_of_before() -> None:
    rows = [Update(str(number), None, "A", "100", "0") for number in range(200)]
    quiet, waiting = seen("updates", 20), seen("updates", 40, *rows)
    assert judged(quiet, waiting).question("sap-updates-BX5").state == "failed"
    looks = [seen("updates", second, *rows[: 5 * second]) for second in range(0, 30, 5)]
    assert judged(*looks, waiting).question("sap-updates-BX5").state == "passed"


def test_updates_and_queues_are_held_against_their_limits() -> None:
    was, now = Update("1", None, "A", "100", "13"), Update("2", None, "A", "100", "13")
    assert judged(seen("updates", 20, was), seen("updates", 40, was)).question("sap-updates-BX5").state == "passed"
    assert judged(seen("updates", 20, was), seen("updates", 40, was, now)).question("sap-updates-BX5").state == "failed"
    queue = DispatcherQueue("ABAP/DIA", 0, 5, 14000, 1, 1)
    full = replace(queue, now=400, high=400)
    assert judged(seen("queues", 20, queue), seen("queues", 40, full)).question("sap-queues-BX5").state == "failed"


def snapshot(key: str, *licences: Licence) -> SapSnapshot:
    return SapSnapshot("BX5", WALL, {}, licences=licences, hardware_key=key)


def test_the_licence_is_judged_by_the_key_of_the_machine_it_runs_on_now() -> None:
    old, new = Licence("A0000000001", permanent=True, valid=True), Licence("B0000000002", permanent=True, valid=True)
    before = snapshot("A0000000001", old)
    key = "sap-licence-BX5"
    assert judged(before=before, after=snapshot("B0000000002", old, new)).question(key).state == "passed"
    assert judged(before=before, after=snapshot("B0000000002", old)).question(key).state == "failed"
    temporary = replace(new, permanent=False)
    assert judged(before=before, after=snapshot("B0000000002", old, temporary)).question(key).state == "failed"
    assert judged(before=before).question(key).state == "not evaluated"


def test_a_way_that_is_missing_does_not_count_against_the_move_one_that_failed_does() -> None:
    missing = replace(seen("updates", 5, trouble="any words"), reason=MissingReason.NOT_CONFIGURED)
    without = judged(missing).question("sap-updates-BX5")
    broken = judged(seen("updates", 5, trouble="rfc: it does not let LPMKIT in")).question("sap-updates-BX5")
    assert (without.state, without.counts) == ("not evaluated", False)
    assert (broken.state, broken.counts) == ("not evaluated", True)
    gap = SapSnapshot("BX5", WALL, {}, missed=(Missed("licences", "x", False), Missed("hardware_key", "x", False)))
    assert judged(before=gap, after=gap).question("sap-licence-BX5").counts is False


OLD = {"system": "BX5", "way": "", "asked_ns": MONO, "answered_ns": MONO, "wall_ns": WALL}


@pytest.mark.parametrize(
    ("kept", "counts"),
    [
        ({"trouble": "no way in the site file tells it (rfc, soap_rfc would)"}, False),
        ({"trouble": "rfc: it does not let LPMKIT in"}, True),
        ({"trouble": "other words", "reason": "not-configured"}, False),
        ({"trouble": "other words", "reason": "not-answered"}, True),
    ],
)
def test_why_a_question_has_no_answer_is_kept_as_a_code_and_older_runs_are_read(
    kept: dict[str, str], counts: bool
) -> None:
    said = read_observation({**OLD, "question": "updates", **kept})
    question = judged(said).question("sap-updates-BX5")
    assert (question.state, question.counts) == ("not evaluated", counts)
    assert read_observation(said.as_data()) == said
    assert said.as_data()["reason"] == ("not-answered" if counts else "not-configured")


@pytest.mark.parametrize("mark", [{"text": "running, by its name in ps"}, {"text": "any words", "from_ps": True}])
def test_a_start_worked_out_from_ps_is_not_held_against_another(mark: dict[str, Any]) -> None:
    def processes(second: float, started: datetime, **marks: Any) -> SapObservation:
        row = {"name": "dw", "pid": 7, "started": started.isoformat(), **marks}
        moment = MONO + int(second * S)
        times = {"asked_ns": moment, "answered_ns": moment}
        return read_observation({**OLD, **times, "question": "processes", "way": "ps", "rows": [row]})

    later = at(60)
    assert judged(processes(5, at(0), **mark), processes(40, later, **mark)).questions[1].state == "passed"
    assert judged(processes(5, at(0)), processes(40, later)).questions[1].state == "failed"


def test_a_conversation_that_reopened_is_a_finding() -> None:
    rows = [seen("users", second, session="94/1") for second in (5, 20)]
    assert judged(*rows).question("sap-rfc-BX5").state == "passed"
    assert judged(*rows, seen("users", 40, session="95/2")).question("sap-rfc-BX5").state == "failed"


def test_a_recorder_that_takes_over_is_no_reconnect_and_reads_nothing_twice() -> None:
    rows = [seen("users", 5, session="94/1"), replace(seen("users", 40, session="95/2"), segment=2)]
    assert judged(*rows).question("sap-rfc-BX5").state == "passed"
    log = [entry(-50, "R68"), entry(33, "Q04"), entry(34, "Q04")]
    observations = [
        seen("system_log", 10, log[0]),
        seen("system_log", 35, *log[1:]),
        replace(seen("system_log", 60, *log), segment=2),
    ]
    (tally,) = judged(*observations).log
    assert (tally.key, tally.count) == ("user-connection-lost", 2)


@pytest.mark.parametrize(
    ("lane", "state"),
    [
        (NiLane("sap-ni-BX5-00", 1, 0, 2.1, answered=True), "passed"),
        (NiLane("sap-ni-BX5-00", 2, 1, 2.1, answered=True), "failed"),
        (NiLane("sap-ni-BX5-00", 1, 0, 40.0, answered=True), "failed"),
        (NiLane("sap-ni-BX5-00", 0, 0, None, answered=False, trouble="refused"), "not evaluated"),
    ],
    ids=["kept", "reconnect", "too long", "never there"],
)
def test_the_connection_to_the_dispatcher_is_kept_or_lost(lane: NiLane, state: str) -> None:
    assert judged(lanes=[lane]).question("sap-ni-BX5").state == state


def test_nothing_seen_passes_nothing() -> None:
    assert {one.state for one in judged().questions} == {"not evaluated"}


# -- the host seen from inside -----------------------------------------------------------------------------------------

LSCONF = (
    "System Model: IBM,7998-61X",
    "Machine Serial Number: 10071DA",
    "Number Of Processors: 2",
    "Processor Clock Speed: 4005 MHz",
    "LPAR Info: 2 bxaix85",
    "Memory Size: 4096 MB",
    "Console Login: enable",
    "",
    "\tPercent Used: 4%",
    "* ent0             U7998.61X.10071DA-V2-C4-T1    Virtual I/O Ethernet Adapter (l-lan)",
)


def host_said(*changes: tuple[str, str], moved: bool = True, target: str = "10072EA") -> Any:
    """The answer when ``lsconf`` came out changed in these words."""
    after = "\n".join(LSCONF)
    for old, new in changes:
        assert old in after
        after = after.replace(old, new)
    told = [
        SapSnapshot("BX5", WALL, {"lsconf": "soap_rfc"}, lsconf=lines) for lines in (LSCONF, tuple(after.split("\n")))
    ]
    return judged(before=told[0], after=told[1], moved=moved, target_serial=target).question("sap-host-BX5")


MOVED = (("10071DA", "10072EA"), ("LPAR Info: 2", "LPAR Info: 3"), ("-V2-", "-V3-"))


def test_another_machine_and_the_same_partition_pass_and_name_what_changed() -> None:
    said = host_said(*MOVED, ("4005", "4700"))
    assert said.state == "passed"
    assert "Machine Serial Number: 10071DA → 10072EA" in said.answer
    assert "Processor Clock Speed: 4005 MHz → 4700 MHz" in said.answer
    assert "no other line changed" in said.answer  # the places of the devices are the same places


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("Memory Size: 4096", "Memory Size: 3072"), "Memory Size: 4096 MB → 3072 MB"),
        (("Processors: 2", "Processors: 1"), "Number Of Processors: 2 → 1"),
        (("10072EA", "10079ZZ"), "the target's is 10072EA"),
    ],
)
def test_less_memory_fewer_processors_or_a_third_machine_fail(change: tuple[str, str], named: str) -> None:
    said = host_said(*MOVED, change)
    assert said.state == "failed"
    assert named in said.answer


@pytest.mark.parametrize(
    ("had", "has", "state", "named"),
    [
        (0.8, 0.8, "passed", "Entitled Capacity 0.8"),
        (0.8, 0.4, "failed", "Entitled Capacity: 0.8 → 0.4"),
        (0.8, None, "passed", "the entitled capacity was not told"),
    ],
)
def test_another_entitlement_fails_and_one_that_is_not_told_is_said_not_to_be(
    had: float, has: float | None, state: str, named: str
) -> None:
    moved = tuple(line.replace("10071DA", "10072EA") for line in LSCONF)
    before, after = (
        SapSnapshot("BX5", WALL, {}, lsconf=lines, entitlement=one) for lines, one in ((LSCONF, had), (moved, has))
    )
    said = judged(before=before, after=after).question("sap-host-BX5")
    assert said.state == state
    assert named in said.answer


def test_the_same_serial_after_a_move_fails_and_is_right_without_one() -> None:
    assert "is 10071DA still" in host_said().answer
    assert host_said().state == "failed"
    assert host_said(moved=False).state == "passed"
    assert host_said(*MOVED, moved=False).state == "failed"


def test_every_other_line_that_changed_is_named_and_fails_nothing() -> None:
    said = host_said(
        *MOVED, ("Percent Used: 4%", "Percent Used: 5%"), ("Console Login: enable", "Console Login: disable")
    )
    assert said.state == "passed"
    assert "Console Login: enable → disable" in said.answer
    assert "gone: Percent Used: 4%" in said.answer
    assert "new: Percent Used: 5%" in said.answer


def test_lsconf_that_nobody_could_ask_is_a_gap_and_no_pass() -> None:
    was = SapSnapshot("BX5", WALL, {"lsconf": "rfc"}, lsconf=LSCONF)
    failed = SapSnapshot("BX5", WALL, {}, missed=(Missed("lsconf", "rfc: COMMAND_NOT_FOUND"),))
    said = judged(before=was, after=failed).question("sap-host-BX5")
    assert (said.state, said.counts) == ("not evaluated", True)
    assert "could not look after the move: rfc: COMMAND_NOT_FOUND" in said.answer
    without = SapSnapshot("BX5", WALL, {}, missed=(Missed("lsconf", "x", False),))
    assert judged(before=without, after=without).question("sap-host-BX5").counts is False
    assert judged(before=was).question("sap-host-BX5").counts is True


# -- progress by log ---------------------------------------------------------------------------------------------------


def log_seen(second: float, lines: int, stamped: float) -> SapObservation:
    return seen("job_logs", second, JobLog("LONG", "20000001", lines, 2, f"line {lines}", at(stamped)))


@pytest.mark.parametrize(
    ("logs", "state"),
    [
        ([(20, 5, 19), (40, 6, 38)], "passed"),  # a line stamped after the pause
        ([(20, 5, 19), (40, 6, 29)], "not evaluated"),  # one that was written before it, after the last look
        ([(20, 5, 19), (40, 5, 19)], "not evaluated"),
        ([(40, 5, 19), (50, 6, 19)], "passed"),  # it grew between two looks after it
    ],
    ids=["stamped after", "written before", "nothing new", "grew after"],
)
def test_a_job_whose_process_tells_nothing_goes_on_when_its_log_does(
    logs: list[tuple[float, int, float]], state: str
) -> None:
    one = job("LONG", "R", 4711, steps=3)
    rows = jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 10)])
    found = judged(*rows, *(log_seen(*each) for each in logs))
    assert found.question("sap-jobs-BX5").state == state
    assert "step 2 of 3" in found.jobs[0].text


def test_a_log_that_went_on_does_not_hide_a_work_process_that_is_gone() -> None:
    one = job("LONG", "R", 4711)
    rows = jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 10, activity=Activity.WAITING)])
    assert judged(*rows, log_seen(35, 6, 34)).jobs[0].verdict == "fail"


def test_how_long_a_job_has_run_stands_beside_what_is_usual_for_it() -> None:
    one = job("LONG", "R", 4711, started=-90)
    rows = jobs_and_work([one], [one], [btc(4711, 10)], [btc(4711, 19)])
    before = SapSnapshot("BX5", WALL, {}, history=(JobHistory("LONG", 4, 600.0, 650.0),))
    assert "135 s so far, usually 600 s (median of 4 runs)" in judged(*rows, before=before).jobs[0].text


def test_two_ways_in_have_a_conversation_each() -> None:
    rows = [seen("users", 5, session="94/1"), seen("users", 40, session="http/1", way="soap_rfc")]
    assert judged(*rows).question("sap-rfc-BX5").state == "passed"


# -- systems of every kind ---------------------------------------------------------------------------------------------


def tenant(name: str, pid: int, description: str = "HDB Indexserver", started: float = -9000) -> Process:
    return Process(name, pid, Colour.GREEN, started=at(started), description=description, instance="00")


@pytest.mark.parametrize(
    ("then", "state", "says"),
    [
        ([tenant("hdbindexserver", 1), tenant("hdbindexserver", 2)], "passed", ""),
        ([tenant("hdbindexserver", 2), tenant("hdbindexserver", 1)], "passed", ""),
        ([tenant("hdbindexserver", 1), tenant("hdbindexserver", 9, started=33)], "failed", "another pid (2, now 9)"),
        ([tenant("hdbindexserver", 8, started=33), tenant("hdbindexserver", 9, started=33)], "failed", "another pid"),
        ([tenant("hdbindexserver", 1)], "failed", "hdbindexserver is gone"),
        ([tenant("hdbindexserver", 1), tenant("hdbindexserver", 2, started=40)], "failed", "started at"),
    ],
)
def test_processes_with_one_name_are_told_apart(then: list[Process], state: str, says: str) -> None:
    before = [tenant("hdbindexserver", 1), tenant("hdbindexserver", 2)]
    question = judged(seen("processes", 20, *before), seen("processes", 40, *then)).question("sap-processes-BX5")
    assert (question.state, says in question.answer) == (state, True)


def table(*pids: int, errors: int = 0) -> list[WorkProcess]:
    return [
        WorkProcess(number, "DIA", pid, Activity.WAITING, errors=errors if number == 0 else 0)
        for number, pid in enumerate(pids)
    ]


@pytest.mark.parametrize(
    ("then", "limit", "state"),
    [
        (table(99, 2, 3, 4), 4, "passed"),
        (table(1, 2, 3), 4, "passed"),
        (table(99, 98, 97, 4), 4, "failed"),
        (table(99, 2, 3, 4), 0, "failed"),
        (table(99, 2, 3, 4, errors=1), 4, "failed"),
    ],
    ids=["heap limit", "dynamic, given back", "most of them", "limit of the site", "terminated"],
)
def test_a_work_process_that_ends_in_an_everyday_way_is_a_remark(
    then: list[WorkProcess], limit: int, state: str
) -> None:
    found = judged(
        seen("work_processes", 20, *table(1, 2, 3, 4)),
        seen("work_processes", 40, *then),
        slo=SapSlo(work_process_restarts=limit),
    )
    assert found.question("sap-work-processes-BX5").state == state


def test_work_processes_that_are_renewed_at_the_rate_of_before_are_everyday_even_all_of_them() -> None:
    """`rdisp/wp_auto_restart` renews one after the other (`SAPNOTE:158346`)."""
    looks = [seen("work_processes", second, *table(*(second + n for n in range(4)))) for second in range(0, 101, 2)]
    assert judged(*looks).question("sap-work-processes-BX5").state == "passed"
    quiet = [seen("work_processes", second, *table(1, 2, 3, 4)) for second in range(0, 30, 2)]
    after = seen("work_processes", 40, *table(9, 8, 7, 6))
    assert judged(*quiet, after).question("sap-work-processes-BX5").state == "failed"


def test_a_work_process_in_the_middle_of_a_restart_is_everyday_and_one_that_stays_down_is_not() -> None:
    well, down = table(1, 2, 3, 4), table(1, 2, 3, 4)
    down[0] = replace(down[0], pid=None, activity=Activity.ENDED, restarts=True)
    before = seen("work_processes", 20, *well)
    once = [before, seen("work_processes", 40, *well), seen("work_processes", 44, *down)]
    twice = [*once, seen("work_processes", 48, *down)]
    assert judged(*once).question("sap-work-processes-BX5").state == "passed"
    assert judged(*twice).question("sap-work-processes-BX5").state == "failed"


@pytest.mark.parametrize(
    ("then", "state"),
    [([Activity.ON_HOLD] * 4, "failed"), ([Activity.RUNNING] * 4, "failed"),
     ([*[Activity.RUNNING] * 3, Activity.WAITING], "passed")],
    ids=["on hold", "running", "one is free"],
)  # fmt: skip
def test_dialog_work_processes_that_are_all_busy_since_the_suspension_serve_nobody(
    then: list[Activity], state: str
) -> None:
    before = [seen("work_processes", second, *table(1, 2, 3, 4)) for second in range(0, 30, 4)]
    busy = [replace(row, activity=activity) for row, activity in zip(table(1, 2, 3, 4), then, strict=True)]
    after = [seen("work_processes", second, *busy) for second in range(34, 114, 10)]
    assert judged(*before, *after).question("sap-work-processes-BX5").state == state
    full = [replace(one, rows=tuple(busy)) for one in before]
    assert judged(*full, *after).question("sap-work-processes-BX5").state == "passed", "it was so before"


SERVER = Process("disp+work", 1, Colour.GREEN, started=at(-9000), elapsed_s=9020, instance="00")
NODE = Process("server0", 2, Colour.GREEN, description="Java node", instance="00")


@pytest.mark.parametrize(
    ("before", "then", "state"),
    [
        ([SERVER, NODE], [SERVER], "not evaluated"),
        ([replace(SERVER, colour=Colour.YELLOW)], [replace(SERVER, colour=Colour.RED)], "failed"),
        ([SERVER], [replace(SERVER, started=at(-5400), elapsed_s=9040)], "passed"),
        ([SERVER], [replace(SERVER, started=at(-5400), elapsed_s=7)], "failed"),
    ],
    ids=["Java nodes not listed again", "from yellow to red", "printed in summer time", "started again"],
)
def test_a_process_that_is_worse_or_not_listed_again_does_not_pass(
    before: list[Process], then: list[Process], state: str
) -> None:
    found = judged(seen("processes", 20, *before), seen("processes", 40, *then), instances=("00",))
    assert found.question("sap-processes-BX5").state == state


def works(*types: str) -> list[WorkProcess]:
    return [WorkProcess(number, kind, number + 1, Activity.WAITING) for number, kind in enumerate(types)]


@pytest.mark.parametrize(
    ("then", "state"),
    [
        ([replace(works("DIA")[0], activity=Activity.STOPPED, reason="PRIV"), *works("DIA", "DIA", "UPD", "SPO")[1:]],
         "passed"),
        ([replace(works("DIA")[0], activity=Activity.STOPPED), *works("DIA", "DIA", "UPD", "SPO")[1:]], "failed"),
        (works("DIA", "BTC", "BTC", "SPO"), "passed"),
        (works("DIA", "DIA", "UPD"), "failed"),
    ],
    ids=["PRIV mode", "stopped", "operation mode", "no spool work process is left"],
)  # fmt: skip
def test_a_work_process_that_a_session_holds_is_well_and_a_type_without_any_is_not(
    then: list[WorkProcess], state: str
) -> None:
    before = works("DIA", "DIA", "UPD", "SPO")
    found = judged(seen("work_processes", 20, *before), seen("work_processes", 40, *then))
    assert found.question("sap-work-processes-BX5").state == state


@pytest.mark.parametrize(
    "stamp_s", [35 - 300, 35 - 3600, 35 + 600], ids=["clock slow", "zone an hour off", "clock fast"]
)
def test_a_stamp_that_the_readings_contradict_hides_nothing(stamp_s: float) -> None:
    log = [seen("system_log", 25), seen("system_log", 40, entry(stamp_s, "BYM")), seen("system_log", 935)]
    assert judged(*log).question("sap-log-BX5").state == "failed"
    jobs = [seen("jobs", 20, job("X", "R", 1)), seen("jobs", 35, job("X", "A", started=-60, ended=stamp_s))]
    assert judged(*jobs).question("sap-jobs-BX5").state == "failed"


LOCKS = Enqueue(4, 9, 100, 0, 5, Colour.GREEN, Colour.GREEN)


@pytest.mark.parametrize(
    ("then", "state"),
    [
        ([replace(LOCKS, requests=0), replace(LOCKS, replication=Colour.GRAY)], "failed"),
        ([replace(LOCKS, requests=0), replace(LOCKS, requests=12, errors=2)], "failed"),
        ([replace(LOCKS, requests=0), replace(LOCKS, requests=12, errors=0)], "passed"),
        ([replace(LOCKS, requests=0), replace(LOCKS, requests=12, errors=0, locks=0)], "failed"),
        ([LOCKS], "not evaluated"),
    ],
    ids=[
        "the second is without its replica",
        "errors since the counters started again",
        "started again",
        "started again without the locks",
        "one is missing",
    ],
)
def test_each_lock_server_is_compared_and_counters_that_began_anew_count_from_zero(
    then: list[Enqueue], state: str
) -> None:
    before = [replace(LOCKS, requests=0), LOCKS]
    found = judged(seen("enqueue", 20, *before), seen("enqueue", 40, *then))
    assert found.question("sap-enqueue-BX5").state == state


def test_what_an_instance_has_not_got_does_not_apply() -> None:
    central = [Instance("bxaix85", "1", ("MESSAGESERVER", "ENQUE"))]
    server = dispatcher(name="enserver", instance="01")
    rows = [seen("instances", 3, *central), seen("processes", 20, server), seen("processes", 40, server)]
    rows += [seen("work_processes", second, trouble="refused") for second in (4, 34)]
    lanes = [NiLane("sap-ni-BX5-01", 0, 0, None, answered=False, trouble="refused")]
    found = judged(*rows, instances=("01",), lanes=lanes)
    for key in ("ni", "work-processes", "jobs", "users", "updates", "queues", "log", "dumps"):
        question = found.question(f"sap-{key}-BX5")
        assert (question.state, question.counts) == ("not evaluated", False), key
        assert "does not apply: no watched instance has ABAP" in question.answer, key
    assert found.question("sap-processes-BX5").state == "passed"
    unknown = judged(*rows[1:], instances=("01",), lanes=lanes)
    assert unknown.question("sap-work-processes-BX5").counts, "what the features do not tell is asked for"


def test_a_probe_that_died_after_its_first_look_leaves_the_question_open() -> None:
    rows = [seen("processes", 20, dispatcher()), seen("processes", 40, dispatcher())]
    whole = judged(*rows, until_ns=MONO + 100 * S, every_s={"processes": 15.0})
    cut = judged(*rows, until_ns=MONO + 400 * S, every_s={"processes": 15.0})
    assert whole.question("sap-processes-BX5").state == "passed"
    question = cut.question("sap-processes-BX5")
    assert question.state == "not evaluated"
    assert "not observed in the last 360 s" in question.answer


def test_a_question_that_is_asked_less_often_than_the_recording_went_on_says_so() -> None:
    before = seen("updates", (PAUSE.begin_ns - MONO) / S - 2)
    told = judged(before, until_ns=PAUSE.end_ns + 20 * S, every_s={"updates": 60.0})
    assert "the recording went on for 20 s, and it is looked at every 60 s" in told.question("sap-updates-BX5").answer
