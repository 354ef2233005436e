"""What becomes of a SAP system between the first look after a pause and the last: losses that nobody sees at once, and
what is well again at the end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from lpmkit.sap.model import (
    Activity,
    Colour,
    DispatcherQueue,
    Dump,
    Enqueue,
    Job,
    JobStatus,
    Licence,
    LogEntry,
    Process,
    SapSnapshot,
    Update,
    User,
    WorkProcess,
)
from lpmkit.sap.observation import SapObservation
from tests.test_sap_judge import PAUSE, WALL, at, btc, judged, seen

LOOKS = range(35, 935, 30)


def people(count: int, kind: str = "GUI") -> list[User]:
    return [User(f"T{number}", "100", f"USER{number}", terminal=f"PC{number}", type=kind) for number in range(count)]


def quiet(rows: list[User], since: int = -900) -> list[SapObservation]:
    """Looks at the same sessions in the quarter of an hour before the pause."""
    return [seen("users", second, *rows) for second in range(since, 30, 30)]


def left(rows: list[User], *gone: tuple[int, int]) -> list[SapObservation]:
    """Looks after the pause; of each (second, count) so many more are gone from that second on."""
    return [seen("users", second, *rows[sum(count for at_s, count in gone if second >= at_s) :]) for second in LOOKS]


@pytest.mark.parametrize(
    ("gone", "state", "warns"),
    [
        (((100, 29),), "failed", False),  # the keep-alive ran out for all of them
        (((100, 5),), "failed", False),
        (tuple((second, 1) for second in range(60, 930, 40)), "failed", False),  # one after the other
        (((100, 1),), "passed", False),
        (((100, 1), (400, 1), (700, 1)), "passed", False),
        (((100, 3),), "passed", True),
    ],
    ids=["most at once", "five at once", "one by one", "one", "three, each by itself", "three at once"],
)
def test_sessions_that_go_after_the_first_look_are_held_against_how_people_log_off(
    gone: tuple[tuple[int, int], ...], state: str, warns: bool
) -> None:
    rows = people(41)
    found = judged(*quiet(rows), *left(rows, *gone)).question("sap-users-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


def test_people_who_log_off_as_before_pass() -> None:
    rows = people(80)
    before = [seen("users", second, *rows[max(0, (second + 900) // 30) :]) for second in range(-900, 30, 30)]
    kept = rows[31:]
    found = judged(*before, *left(kept, *((second, 1) for second in LOOKS))).question("sap-users-BX5")
    assert (found.state, found.warns) == ("passed", False), found.answer


def test_without_a_time_before_only_sessions_that_go_together_fail() -> None:
    rows = people(41)
    one_by_one = tuple((second, 1) for second in range(60, 930, 40))
    for gone, state, warns in ((((100, 29),), "failed", False), (one_by_one, "passed", True)):
        found = judged(seen("users", 20, *rows), *left(rows, *gone)).question("sap-users-BX5")
        assert (found.state, found.warns) == (state, warns), found.answer


def test_most_sessions_over_http_that_are_gone_are_told_and_those_of_programs_are_not() -> None:
    rows = [*people(3), *[replace(row, tid=f"W{row.tid}") for row in people(60, "HTTP")]]
    found = judged(*quiet(rows), *[seen("users", second, *rows[:3]) for second in LOOKS]).question("sap-users-BX5")
    assert (found.state, found.warns) == ("passed", True), found.answer
    assert "60 of 60 sessions over HTTP gone" in found.answer
    found = judged(*quiet(rows), *[seen("users", second, *rows[:50]) for second in LOOKS]).question("sap-users-BX5")
    assert (found.state, found.warns) == ("passed", False), "they end by their time-out all day"


def test_an_update_that_somebody_posted_again_was_terminated_all_the_same() -> None:
    broken = Update("9", None, "A", "100", "13")
    rows = [seen("updates", 20), seen("updates", 60, broken), seen("updates", 120)]
    assert judged(*rows).question("sap-updates-BX5").state == "failed"
    assert judged(seen("updates", 20, broken), *rows[1:]).question("sap-updates-BX5").state == "passed"


SERVED = Enqueue(143, 3597, 500, 0, 0, Colour.GREEN)


@pytest.mark.parametrize(
    ("meanwhile", "state", "warns"),
    [
        (replace(SERVED, locks=0, requests=3), "failed", False),
        (replace(SERVED, locks=140, requests=3), "passed", True),
        (replace(SERVED, errors=4, requests=510), "failed", False),
        (replace(SERVED, replication=Colour.YELLOW, requests=510), "passed", True),
        (replace(SERVED, requests=510), "passed", False),
    ],
    ids=["began without the locks", "began with them", "errors", "no replica for a while", "as before"],
)
def test_a_lock_server_is_judged_from_look_to_look(meanwhile: Enqueue, state: str, warns: bool) -> None:
    """At the end it has more requests than before the pause again, and as many locks."""
    last = replace(SERVED, locks=150, requests=900, errors=meanwhile.errors)
    found = judged(seen("enqueue", 20, SERVED), seen("enqueue", 60, meanwhile), seen("enqueue", 900, last))
    question = found.question("sap-enqueue-BX5")
    assert (question.state, question.warns) == (state, warns), question.answer


def test_errors_of_a_lock_server_that_was_started_again_later_are_not_forgotten() -> None:
    looks = [replace(SERVED, errors=4), replace(SERVED, locks=140, requests=3), replace(SERVED, requests=900)]
    rows = [seen("enqueue", 60 + 30 * number, one) for number, one in enumerate(looks)]
    assert "4 new errors" in judged(seen("enqueue", 20, SERVED), *rows).question("sap-enqueue-BX5").answer


@pytest.mark.parametrize(
    ("yellow", "state", "warns"),
    [
        (range(41, 71), "passed", False),
        (range(41, 251), "passed", True),
        (range(41, 401), "failed", False),
        (range(100, 401), "failed", False),
        (range(370, 401), "passed", True),
    ],
    ids=["half a minute", "minutes, and green again", "to the end", "from the second minute on", "at the end"],
)
def test_a_process_that_is_not_green_is_judged_by_how_long(yellow: range, state: str, warns: bool) -> None:
    green = Process("disp+work", 4711, Colour.GREEN, "Running", instance="00")
    looks = [
        seen("processes", second, replace(green, colour=Colour.YELLOW if second in yellow else Colour.GREEN))
        for second in range(40, 401, 15)
    ]
    found = judged(seen("processes", 20, green), *looks).question("sap-processes-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


# -- jobs that were to begin -------------------------------------------------------------------------------------------


def due(second: float, status: str = "S", name: str = "DUE") -> Job:
    return Job(name, "20010001", JobStatus(status), planned=at(second))


def jobs_over(rows: list[Job], then: list[Job], work: WorkProcess) -> list[SapObservation]:
    looks = [seen("jobs", 20, *rows), seen("work_processes", 21, work)]
    return looks + [one for second in range(40, 640, 60) for one in (
        seen("jobs", second, *then), seen("work_processes", second + 5, work))]  # fmt: skip


FREE, BUSY = btc(1, 5, activity=Activity.WAITING), btc(1, 5)
STARTED = replace(due(60, "R", "OTHER"), started=at(61), pid=2)


@pytest.mark.parametrize(
    ("rows", "then", "work", "state", "warns"),
    [
        ([due(60)], [due(60)], FREE, "failed", False),
        ([due(25)], [due(25, "Y")], FREE, "failed", False),
        ([due(60)], [due(60)], BUSY, "passed", True),
        ([due(60)], [due(60), replace(STARTED, status=JobStatus.FINISHED, ended=at(70))], FREE, "passed", True),
        ([due(60), due(-900, name="OLD")], [due(60), due(-900, name="OLD")], FREE, "passed", True),
        ([due(-900)], [due(-900)], FREE, "passed", False),
        ([due(3000)], [due(3000)], FREE, "passed", False),
        ([due(520)], [due(520)], FREE, "passed", False),
    ],
    ids=["none starts", "stays ready", "all busy", "others start", "one waited before", "overdue", "later", "just due"],
)
def test_a_job_that_was_due_and_does_not_start_is_told(
    rows: list[Job], then: list[Job], work: WorkProcess, state: str, warns: bool
) -> None:
    found = judged(*jobs_over(rows, then, work)).question("sap-jobs-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


def far(pid: int) -> Job:
    started = datetime.fromisoformat("2008-11-07T19:00:00")
    return Job("FAR", "1", JobStatus.RUNNING, server="bxapp02_BX5_00", pid=pid, started=started, user="BATCH")


def test_a_job_on_a_server_that_nobody_watches_is_not_called_stale() -> None:
    here = replace(far(1), name="HERE", server="bxaix85_BX5_00")
    work = [btc(1, 5), btc(1, 9)]
    rows = [seen("jobs", 10, far(77), here), seen("work_processes", 15, work[0]), seen("jobs", 20, far(77), here)]
    for second in range(40, 340, 60):
        rows += [seen("jobs", second, far(77), here), seen("work_processes", second + 5, work[1])]
    found = judged(*rows)
    assert found.question("sap-jobs-BX5").state == "passed", found.question("sap-jobs-BX5").answer
    text = next(line.text for line in found.jobs if line.course.job.name == "FAR")
    assert "running on bxapp02_BX5_00, whose work processes are not watched" in text
    gone = [replace(one, rows=(btc(3, 1),)) if one.question == "work_processes" and one.asked_ns > PAUSE.end_ns else one
            for one in rows]  # fmt: skip
    assert judged(*gone).question("sap-jobs-BX5").state == "failed", "the job of the watched server is stale"


def test_without_a_look_at_the_work_processes_before_nobody_knows_where_a_job_runs() -> None:
    rows = [seen("jobs", 20, far(77))]
    for second in range(40, 340, 60):
        rows += [seen("jobs", second, far(77)), seen("work_processes", second + 5, FREE)]
    assert judged(*rows).question("sap-jobs-BX5").state == "not evaluated"


# -- what is compared with what ----------------------------------------------------------------------------------------


def test_work_processes_that_two_interfaces_name_differently_are_held_against_each_other_by_number() -> None:
    before = [btc(1, 5, number=0, server="bxaix85_BX5_00"), btc(2, 5, number=1, server="bxaix85_BX5_00")]
    after = [replace(row, server="") for row in before]
    rows = [seen("work_processes", 20, *before), seen("work_processes", 40, *after, way="sapcontrol")]
    found = judged(*rows).question("sap-work-processes-BX5")
    assert (found.state, "none restarted" in found.answer) == ("passed", True), found.answer
    other = replace(rows[1], rows=(after[0], replace(after[1], errors=1)))
    assert judged(rows[0], other).question("sap-work-processes-BX5").state == "failed"
    two = replace(rows[0], rows=(before[0], replace(before[1], server="bxapp02_BX5_10")))
    assert judged(two, rows[1]).question("sap-work-processes-BX5").state == "not evaluated"


def test_a_maintenance_certificate_is_no_licence_for_the_new_machine() -> None:
    def licensed(*products: str) -> SapSnapshot:
        rows = [Licence("B0000000002", product, permanent=True, valid=True) for product in products]
        return SapSnapshot("BX5", WALL, {}, licences=tuple(rows), hardware_key="B0000000002")

    for products, state in ((["Maintenance_ORA"], "failed"), (["Maintenance_ORA", "NetWeaver_ORA"], "passed")):
        found = judged(before=licensed("NetWeaver_ORA"), after=licensed(*products))
        assert found.question("sap-licence-BX5").state == state


RUNS = Process("disp+work", 4711, Colour.GREEN, "Running", instance="00")
BY_NAME = Process("dw.sapBX5_D00", 4711, instance="00", from_ps=True)


@pytest.mark.parametrize(
    ("question", "before", "other"),
    [("processes", RUNS, BY_NAME), ("users", people(1)[0], replace(people(1)[0], server="00"))],
)
def test_looks_by_two_interfaces_are_not_compared_and_an_earlier_look_by_the_same_one_is(
    question: str, before: Process | User, other: Process | User
) -> None:
    """The start service hung during the copy: the last look before the pause is by the names in ``ps``."""
    early, late = seen(question, 5, before, way="sapcontrol"), seen(question, 20, other, way="ps")
    after = [seen(question, second, before, way="sapcontrol") for second in (40, 110)]
    key = f"sap-{question}-BX5"
    assert judged(early, late, *after).question(key).state == "passed"
    found = judged(late, *after).question(key)
    assert (found.state, found.answer) == (
        "not evaluated", "read by ps before the suspension and by sapcontrol after it")  # fmt: skip


@pytest.mark.parametrize(("second", "state"), [(40, "failed"), (-100, "passed")])
def test_a_log_that_was_first_read_after_the_pause_is_judged_by_its_stamps(second: float, state: str) -> None:
    row = LogEntry(at(second), "DIA", "100", "A", "", "BYM", "SQL error 3113")
    refused, first = seen("system_log", 10, trouble="no answer"), seen("system_log", 60, row)
    assert judged(refused, first, seen("system_log", 930)).question("sap-log-BX5").state == state
    unplaced = [replace(one, zone_offset_s=None) for one in (first, seen("system_log", 930))]
    assert judged(refused, *unplaced).question("sap-log-BX5").state == "not evaluated"


def test_dumps_that_were_first_read_after_the_pause_are_judged_by_their_stamps() -> None:
    dump = Dump(at(40), "bxaix85", "A", "100", "ZDATE_LARGE_TIME_DIFF")
    quiet_log = [seen("system_log", 10), seen("system_log", 930)]
    rows = [seen("dumps", 10, trouble="no answer"), seen("dumps", 60, dump), *quiet_log]
    found = judged(*rows)
    assert found.question("sap-log-BX5").state == "failed"
    assert "1 since the suspension" in found.question("sap-dumps-BX5").answer
    rows[1] = replace(rows[1], zone_offset_s=None)
    assert judged(*rows).question("sap-dumps-BX5").state == "not evaluated"


def test_the_queues_of_two_instances_are_each_held_against_their_own() -> None:
    def queues(*waiting: int) -> list[DispatcherQueue]:
        return [DispatcherQueue("ABAP/DIA", now, now, 14000, 1, 1) for now in waiting]

    for then, state in (((90, 100), "failed"), ((0, 100), "passed"), ((0, 90), "passed")):
        found = judged(seen("queues", 20, *queues(0, 100)), seen("queues", 40, *queues(*then)))
        assert found.question("sap-queues-BX5").state == state, then


@pytest.mark.parametrize(
    ("waiting", "state", "warns"),
    [
        ((340, 60, 0, 0, 0, 0, 0), "passed", False),
        ((0, 0, 0, 0, 0, 0, 60), "passed", True),
        ((0, 0, 0, 0, 0, 60, 70), "failed", False),
        ((0, 60, 60, 60, 60, 60, 0), "passed", True),
        ((60,), "failed", False),
    ],
    ids=["worked off", "a burst at the end", "grows", "jammed for a minute", "one look"],
)
def test_a_queue_is_judged_by_how_long_it_is_too_long(waiting: tuple[int, ...], state: str, warns: bool) -> None:
    looks = [
        seen("queues", 40 + 15 * number, DispatcherQueue("ABAP/DIA", now, 340, 14000, 1, 1))
        for number, now in enumerate(waiting)
    ]
    found = judged(seen("queues", 20, DispatcherQueue("ABAP/DIA", 0, 9, 14000, 1, 1)), *looks)
    question = found.question("sap-queues-BX5")
    assert (question.state, question.warns) == (state, warns), question.answer


def jam_looks(kinds: str, busy: str, seconds: range, server: str = "") -> list[SapObservation]:
    """Looks at one work process of each type, those of ``busy`` at work."""
    rows = [
        WorkProcess(number, kind, 100 + number, Activity.RUNNING if kind in busy.split() else Activity.WAITING)
        for number, kind in enumerate(kinds.split())
    ]
    return [seen("work_processes", second, *[replace(row, server=server) for row in rows]) for second in seconds]


@pytest.mark.parametrize(
    ("busy", "state", "warns"),
    [
        ("DIA", "failed", False),
        ("UPD", "passed", True),
        ("UP2", "passed", True),
        ("SPO", "passed", True),
        ("BTC", "passed", False),
        ("", "passed", False),
    ],
)
def test_a_type_of_work_process_that_is_never_free_after_the_pause_is_told(busy: str, state: str, warns: bool) -> None:
    kinds = "DIA UPD UP2 BTC SPO"
    before, after = jam_looks(kinds, "", range(0, 28, 4)), jam_looks(kinds, busy, range(34, 300, 4))
    found = judged(*before, *after).question("sap-work-processes-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer
    busy_before = judged(*jam_looks(kinds, busy, range(0, 28, 4)), *after).question("sap-work-processes-BX5")
    assert (busy_before.state, busy_before.warns) == ("passed", False), busy_before.answer
    free_once = [*after[:20], *jam_looks(kinds, "", range(120, 121)), *after[21:]]
    found = judged(*before, *sorted(free_once, key=lambda look: look.asked_ns)).question("sap-work-processes-BX5")
    assert (found.state, found.warns) == ("passed", bool(state != "passed" or warns)), found.answer
    only_for_a_while = [*after[:20], *jam_looks(kinds, "", range(118, 300, 4))]
    found = judged(*before, *only_for_a_while).question("sap-work-processes-BX5")
    assert (found.state, found.warns) == ("passed", bool(state != "passed" or warns)), found.answer
    begins_later = [*jam_looks(kinds, "", range(34, 60, 4)), *jam_looks(kinds, busy, range(60, 400, 4))]
    found = judged(*before, *begins_later).question("sap-work-processes-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


def test_a_server_without_a_free_dialog_process_is_jammed_though_another_has_some() -> None:
    def looks(busy: str, seconds: range) -> list[SapObservation]:
        one, other = jam_looks("DIA UPD", busy, seconds, "a_BX5_00"), jam_looks("DIA UPD", "", seconds, "b_BX5_01")
        return [
            replace(mine, rows=(*(mine.rows or ()), *(others.rows or ())))
            for mine, others in zip(one, other, strict=True)
        ]

    before = looks("", range(0, 28, 4))
    for busy, state in (("DIA", "failed"), ("", "passed")):
        found = judged(*before, *looks(busy, range(34, 300, 4))).question("sap-work-processes-BX5")
        assert found.state == state, found.answer


REFUSED_LATER: dict[str, list[Any]] = {
    "users": people(3),
    "processes": [Process("icman", 7, Colour.GREEN, instance="00")],
    "updates": [],
    "queues": [DispatcherQueue("ABAP/DIA", 0, 5, 14000, 1, 1)],
    "enqueue": [Enqueue(143, 3597, 500, 0, 0, Colour.GREEN)],
    "work_processes": [WorkProcess(0, "DIA", 7, Activity.WAITING)],
}


@pytest.mark.parametrize("question", REFUSED_LATER)
def test_a_question_that_is_refused_until_the_end_of_watching_is_open(question: str) -> None:
    """The recording of the move ends long before; the other questions show how long was watched."""
    rows = REFUSED_LATER[question]
    before, other = seen(question, 20, *rows), "queues" if question != "queues" else "processes"
    watched = [before, *(seen(question, second, *rows) for second in (35, 50))]
    others = [seen(other, second, *REFUSED_LATER[other]) for second in (20, 40, 400)]
    refused = [seen(question, second, trouble="HTTP 500") for second in (65, 200, 390)]
    key, until = f"sap-{question.replace('_', '-')}-BX5", PAUSE.end_ns + 20 * 10**9
    assert judged(*watched, *others, until_ns=until).question(key).state == "passed"
    found = judged(*watched, *refused, *others, until_ns=until).question(key)
    assert found.state == "not evaluated", found.answer
    assert "HTTP 500" in found.details
    again = judged(*watched, *refused, seen(question, 395, *rows), *others, until_ns=until).question(key)
    assert again.state == "passed", "it was seen again at the end"


def instance(number: str, pid: int | None, colour: Colour = Colour.GREEN) -> list[Process]:
    return [
        Process(name, pid if pid is None or pid < 0 else pid + place, colour, description=name, instance=number)
        for place, name in enumerate(("disp+work", "icman"))
    ]


@pytest.mark.parametrize(
    ("before", "after", "state", "warns"),
    [
        ([*instance("00", 1), *instance("03", -1, Colour.GRAY)], [*instance("00", 1), *instance("03", 50)], "passed", True),
        ([*instance("00", 1), *instance("03", -1, Colour.GRAY)], [*instance("00", 1), *instance("03", -1, Colour.GRAY)], "passed", True),
        ([*instance("00", 1), *instance("03", -1, Colour.GRAY)], [*instance("00", 9), *instance("03", 50)], "failed", False),
        (instance("03", None, Colour.GRAY), instance("03", 50), "not evaluated", False),
        (instance("03", None, Colour.GRAY), instance("03", None, Colour.GRAY), "not evaluated", False),
        ([*instance("00", 1), *instance("03", 30, Colour.GRAY)], [*instance("00", 1), *instance("03", 50)], "not evaluated", False),
        ([*instance("00", 1), *instance("03", 30)], [*instance("00", 1), *instance("03", -1, Colour.GRAY)], "failed", False),
    ],
    ids=["started since", "stays stopped", "another one restarted", "all stopped, started", "all stopped",
         "gray with pids, started", "ran and is stopped"],
)  # fmt: skip
def test_an_instance_that_was_stopped_before_the_move_lost_nothing(
    before: list[Process], after: list[Process], state: str, warns: bool
) -> None:
    looks = [seen("processes", second, *before) for second in (0, 20)]
    looks += [seen("processes", second, *after) for second in range(40, 140, 15)]
    found = judged(*looks).question("sap-processes-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


def test_an_instance_that_went_down_in_the_copy_was_not_stopped_before_the_move() -> None:
    up, down = [*instance("00", 1), *instance("03", 30)], [*instance("00", 1), *instance("03", -1, Colour.GRAY)]
    looks = [seen("processes", 0, *up), *(seen("processes", second, *down) for second in (20, 40, 140))]
    found = judged(*looks).question("sap-processes-BX5")
    assert (found.state, found.warns) != ("passed", False), found.answer
    assert "stopped before" not in found.answer
