"""An answer that is about less than it seems: half of the instances, another system, another database, an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lpmkit.checks import Verdict
from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.sap import host, sapcontrol
from lpmkit.sap.commands_way import CommandsWay
from lpmkit.sap.functions import MAX_ROWS, Functions
from lpmkit.sap.load import Load
from lpmkit.sap.model import (
    Activity,
    Colour,
    DispatcherQueue,
    Enqueue,
    Instance,
    Job,
    JobStatus,
    Licence,
    Missed,
    SapSnapshot,
    Update,
    User,
    WorkProcess,
)
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.sources import QueryWindow, WebServiceWay
from lpmkit.sap.system import System
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.ssh.session import Reply
from tests.test_sap_checks import WELL, findings
from tests.test_sap_judge import at, btc, judged, seen

ASKED = QueryWindow(at(0), at(1))
WP_HEAD = "No, Typ, Pid, Status, Reason, Start, Err, Sem, Cpu, Time, Program, Client, User, Action, Table"
TWO = (
    "hostname, instanceNr, httpPort, httpsPort, startPriority, features, dispstatus\n"
    "bxaix85, 0, 50013, 50014, 3, ABAP|GATEWAY, GREEN\nbxaix85, 3, 50313, 50314, 3, ABAP|GATEWAY, {third}"
)


@dataclass
class Shell:
    """A login whose ``sapcontrol`` prints these tables, by function and instance number; others fail."""

    tables: dict[tuple[str, str], str]
    where: str = "bx5adm@bxaix85"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def run(self, arguments: Sequence[str], timeout_s: float = 20.0, stdin: str = "") -> Reply:
        status, printed = 127, ""
        if arguments[0] == "sapcontrol":
            function, number = arguments[-1], arguments[2]
            self.asked.append((function, number))
            table = self.tables.get((function, number))
            said = "FAIL: DpAttachStartService failed" if table is None else f"OK\n{table}"
            status, printed = (1 if table is None else 0), f"\n07.11.2008 21:00:00\n{function}\n{said}\n"
        return Reply(self.where, " ".join(arguments), status, printed, "", began_ns=0, ended_ns=0, wall_ns=0)

    def close(self) -> None: ...


def named(sid: str) -> str:
    return f"property, propertytype, value\nSAPSYSTEMNAME, string, {sid}"


@pytest.mark.parametrize(("third", "open_"), [("GREEN", True), ("YELLOW", True), ("GRAY", False)])
def test_an_instance_that_is_up_and_never_answers_is_missing_in_the_answer(third: str, open_: bool) -> None:
    """One that was stopped before has nothing to answer."""
    shell = Shell(
        {
            ("GetSystemInstanceList", "00"): TWO.format(third=third),
            ("ABAPGetWPTable", "00"): f"{WP_HEAD}\n0, DIA, 7486, Wait, , yes, , , 0:21:40, , , , , ,",
            ("ABAPReadSyslog", "00"): "Time, Typ, Client, User, Tcode, MNo, Text, Severity",
        }
    )
    system = System("BX5", SapSystemSettings(partition="x"), [CommandsWay("BX5", shell, ["00", "03"])], Load(6000))
    system.ask("instances")
    for question in ("work_processes", "system_log", "work_processes"):
        told = system.ask(question)
        assert told.rows is not None
        assert told.trouble.startswith("instance 03 did not answer") == open_, told.trouble
    assert system.ask("instances").trouble == ""


@pytest.mark.parametrize("seconds", [(10, 40), (10,), (40,)], ids=["before and after", "before", "after"])
def test_a_question_that_one_instance_does_not_answer_is_open(seconds: tuple[int, ...]) -> None:
    looks = [seen("queues", second, DispatcherQueue("ABAP/DIA", 0, 5, 2000, 1, 1)) for second in (10, 40)]
    assert judged(*looks).question("sap-queues-BX5").state == "passed"
    torn = [
        replace(one, trouble="instance 03 did not answer: no") if s in seconds else one
        for s, one in zip((10, 40), looks, strict=True)
    ]
    found = judged(*torn).question("sap-queues-BX5")
    assert found.state == "not evaluated"
    assert "instance 03 did not answer" in found.answer


def test_a_check_of_which_half_was_looked_at_passes_not() -> None:
    half = replace(WELL, missed=(Missed("work_processes", "instance 03 did not answer: no"),))
    assert findings(half)["sap-work-processes"].verdict is Verdict.UNKNOWN
    down = replace(half, work_processes=(WorkProcess(0, "UPD", None, Activity.ENDED),))
    assert findings(down)["sap-work-processes"].verdict is Verdict.WARN


@pytest.mark.parametrize(("sid", "answers"), [("BX5", True), ("QX5", False)])
def test_an_instance_number_of_another_system_answers_nothing(sid: str, answers: bool) -> None:
    queue = "Typ, Now, High, Max, Writes, Reads\nABAP/DIA, 0, 5, 2000, 1, 1"
    shell = Shell({("GetInstanceProperties", "00"): named(sid), ("GetQueueStatistic", "00"): queue})
    way = CommandsWay("BX5", shell, ["00"])
    for _ in range(2):
        if answers:
            assert len(way.ask("queues", ASKED)[0]) == 1
        else:
            with pytest.raises(UnexpectedReply, match="instance 00 is of QX5, not of BX5"):
                way.ask("queues", ASKED)
    assert shell.asked.count(("GetInstanceProperties", "00")) == 1
    assert ("GetQueueStatistic", "00") in shell.asked or not answers


@pytest.mark.parametrize("sid", ["BX5", "QX5", ""])
def test_a_start_service_of_another_system_answers_nothing(sid: str) -> None:
    class Start:
        where = "https://bxaix85:50014"

        def call(self, function: str, /, **arguments: Any) -> list[dict[str, Any]]:
            if function == "GetInstanceProperties":
                if not sid:
                    raise CommandRefused("it refuses", status=1)
                return [{"property": "SAPSYSTEMNAME", "value": sid}]
            return [{"typ": "ABAP/DIA", "now": 0, "high": 5, "max": 2000}]

        def close(self) -> None: ...

    way = WebServiceWay("BX5", {"00": Start()})  # type: ignore[dict-item]
    if sid == "QX5":
        with pytest.raises(UnexpectedReply, match="is of QX5"):
            way.ask("queues", ASKED)
    else:
        assert len(way.ask("queues", ASKED)[0]) == 1


def test_a_number_that_two_hosts_have_with_other_features_is_of_neither() -> None:
    """ASCS01 here and D01 there: nothing says that 01 has no lock server, or no work process."""
    listed = [
        seen("instances", 1, Instance("a", "01", ("MESSAGESERVER", "ENQUE")), Instance("b", "1", ("ABAP",))),
        *(seen("enqueue", second, Enqueue(4, 9, 100, 0, 0, Colour.GREEN)) for second in (10, 40)),
    ]
    questions = judged(*listed, instances=("01",))
    assert "does not apply" not in questions.question("sap-queues-BX5").answer
    assert questions.question("sap-enqueue-BX5").state == "passed"
    alike = seen("instances", 1, Instance("a", "01", ("ABAP", "IGS")), Instance("b", "01", ("ABAP",)))
    assert "does not apply" in judged(alike, instances=("01",)).question("sap-enqueue-BX5").answer


def test_a_row_of_a_running_process_that_was_cut_off_is_no_process_without_a_pid() -> None:
    head = "GetProcessList\nOK\nname, description, dispstatus, textstatus, starttime, elapsedtime, pid\n"
    with pytest.raises(UnexpectedReply, match="without start and pid"):
        sapcontrol.read_processes(f"{head}icman, ICM, GREEN, Run\n")
    (stopped,) = sapcontrol.read_processes(f"{head}hdbnameserver, HDB Nameserver, RED, Stopped, , , 0\n")
    assert (stopped.pid, stopped.colour) == (None, Colour.RED)


# -- the licence -------------------------------------------------------------------------------------------------------

OLD = Licence("A0000000001", "NetWeaver_ORA", permanent=True, valid=True, system="BX5")
NEW = replace(OLD, key="B0000000002")
JAVA = replace(OLD, product="J2EE-Engine_ORA")


@pytest.mark.parametrize(
    ("before", "after", "state", "warns", "checked"),
    [
        ((OLD,), (NEW,), "passed", False, Verdict.PASS),
        ((OLD,), (replace(NEW, system="BX4"),), "failed", False, Verdict.WARN),
        ((OLD,), (replace(NEW, product="NetWeaver_DB6"),), "failed", False, Verdict.WARN),
        ((OLD, JAVA), (NEW,), "passed", True, Verdict.WARN),
        ((OLD, JAVA), (NEW, replace(JAVA, key=NEW.key)), "passed", False, Verdict.PASS),
        ((replace(OLD, valid=False),), (replace(NEW, product="NetWeaver_DB6"),), "passed", False, Verdict.PASS),
        ((replace(OLD, product="", system=""),), (NEW,), "passed", False, Verdict.PASS),
    ],
    ids=["right", "another system", "another database", "not for Java", "for both", "none was used", "not told"],
)
def test_a_licence_is_of_this_system_and_for_what_it_uses(
    before: tuple[Licence, ...], after: tuple[Licence, ...], state: str, warns: bool, checked: Verdict
) -> None:
    was = SapSnapshot("BX5", 1, {}, hardware_key=OLD.key, licences=before)
    now = replace(was, hardware_key=NEW.key, licences=(*before, *after))
    found = judged(before=was, after=now).question("sap-licence-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer
    assert findings(replace(WELL, licences=(*before, *after)))["sap-licence"].verdict is checked


def test_a_list_of_licences_that_stops_half_way_is_none() -> None:
    entry = (
        "System                : BX5\nHardware Key          : B0000000002\nSoftware Product      : NetWeaver_ORA\n"
        "Type of License Key   : temporary\nValidity              : valid\n"
    )
    whole = (
        f"List of installed License Keys:\n=====\n\n1. License Key:\n-----\n{entry}\n-----\n1 license keys listed.\n"
    )
    assert host.read_licences(whole)[0].permanent is False
    for cut in ("B0000000002", "NetWeaver_ORA", "Validity              : valid"):
        with pytest.raises(UnexpectedReply, match="stops before"):
            host.read_licences(whole[: whole.index(cut) + len(cut)])


# -- jobs --------------------------------------------------------------------------------------------------------------


def job(count: str, second: float, status: JobStatus = JobStatus.RUNNING, pid: int | None = 41) -> Job:
    return Job("ZFI_RUN", count, status, server="a_BX5_00", pid=pid, started=at(second))


def carried(second: float, program: str) -> WorkProcess:
    return replace(btc(41, int(second) + 100), server="a_BX5_00", program=program)


@pytest.mark.parametrize(
    ("beside", "state"),
    [((), "passed"), ((job("2", 36),), "failed"), ((job("2", 36, JobStatus.FINISHED),), "passed"), ((job("2", 36, pid=42),), "passed")],
    ids=["alone", "another in its process", "which has ended", "in another process"],
)  # fmt: skip
def test_a_job_whose_process_does_a_later_one_is_stale(beside: tuple[Job, ...], state: str) -> None:
    looks = [
        *(seen("jobs", second, job("1", -500)) for second in (2, 12, 22)),
        *(seen("jobs", second, job("1", -500), *beside) for second in (40, 60, 80)),
        *(seen("work_processes", second, carried(second, "ZA"), replace(carried(second, "ZB"), number=9, pid=42)) for second in (5, 25, 45, 65)),
    ]  # fmt: skip
    found = judged(*looks).question("sap-jobs-BX5")
    assert found.state == state, found.answer
    assert ("stale" in found.answer) == (state == "failed")


@pytest.mark.parametrize("status", [JobStatus.RELEASED, JobStatus.SCHEDULED, JobStatus.READY, JobStatus.UNKNOWN])
def test_a_job_that_ran_and_waits_again_is_not_known(status: JobStatus) -> None:
    looks = [
        seen("jobs", 10, job("1", -500)),
        *(seen("jobs", second, job("1", -500, status, None)) for second in (40, 60)),
    ]
    found = judged(*looks).question("sap-jobs-BX5")
    assert found.state == "not evaluated"
    assert f"ran, and is {status.word} now" in found.answer
    waited = [seen("jobs", second, job("1", -500, status, None)) for second in (10, 40, 60)]
    assert judged(*waited).question("sap-jobs-BX5").state == "passed"


def test_a_job_on_a_server_that_is_not_watched_is_named() -> None:
    away = replace(job("1", -500), server="b_BX5_05")
    looks = [seen("jobs", second, away) for second in (10, 40, 60)]
    looks += [seen("work_processes", second, carried(second, "")) for second in (5, 15, 50)]
    found = judged(*looks).question("sap-jobs-BX5")
    assert found.state == "passed"
    assert found.answer == "still listed as running on servers that are not watched: ZFI_RUN 1 on b_BX5_05"


# -- locks and queues --------------------------------------------------------------------------------------------------


def lock_server(**changed: Any) -> str:
    figures = {
        "locks-now": 4, "locks-max": 9, "enqueue-requests": 100, "enqueue-rejects": 0, "enqueue-errors": 1, "dequeue-errors": 2,
        "owner-state": "GREEN", "arguments-state": "GREEN", "locks-state": "GREEN", "cleanup-requests": 12, "replication-state": "GREEN",
    } | {name.replace("_", "-"): value for name, value in changed.items()}  # fmt: skip
    return "EnqGetStatistic\nOK\n" + "".join(f"{name}: {value}\n" for name, value in figures.items())


@pytest.mark.parametrize(
    ("changed", "state", "warns"),
    [
        ({}, "passed", False),
        ({"dequeue_errors": 27}, "failed", False),
        ({"owner_state": "RED"}, "failed", False),
        ({"arguments_state": "RED"}, "failed", False),
        ({"cleanup_requests": 13}, "passed", True),
    ],
)
def test_every_figure_of_the_lock_server_that_tells_a_loss_counts(
    changed: dict[str, Any], state: str, warns: bool
) -> None:
    was, now = (sapcontrol.read_enqueue(lock_server(**each))[0] for each in ({}, changed))
    found = judged(seen("enqueue", 10, was), seen("enqueue", 40, now)).question("sap-enqueue-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


@pytest.mark.parametrize(
    ("high", "after", "state", "warns"),
    [(12, 12, "passed", False), (12, 1999, "passed", False), (12, 2000, "passed", True), (2000, 2000, "passed", False)],
)
def test_a_queue_that_was_full_between_two_looks_warns(high: int, after: int, state: str, warns: bool) -> None:
    looks = [
        seen("queues", second, DispatcherQueue("ABAP/DIA", 0, mark, 2000, 1, 1))
        for second, mark in ((10, high), (40, after))
    ]
    found = judged(*looks).question("sap-queues-BX5")
    assert (found.state, found.warns) == (state, warns), found.answer


def test_a_queue_that_is_not_listed_any_more_is_not_drained() -> None:
    dialog, internal = (DispatcherQueue(name, 0, 5, 2000, 1, 1) for name in ("ABAP/DIA", "ICM/Intern"))
    found = judged(seen("queues", 10, dialog, internal), seen("queues", 40, internal)).question("sap-queues-BX5")
    assert (found.state, found.answer) == ("not evaluated", "not listed after the suspension: ABAP/DIA")


def lock_looks(since: Sequence[int], before: Sequence[int] = (100, 400)) -> list[SapObservation]:
    counts = [*zip((-90, 20), before, strict=True), *zip(range(40, 400, 30), since, strict=False)]
    return [seen("enqueue", second, Enqueue(4, 9, count, 0, 0, Colour.GREEN)) for second, count in counts]


@pytest.mark.parametrize(
    ("looks", "warns"),
    [
        (lock_looks([410] * 6), True),
        (lock_looks([410, 420, 430, 440, 440, 440, 440, 440]), True),
        (lock_looks([410] * 3), False),
        (lock_looks([*[410] * 6, 420]), False),
        (lock_looks([101] * 12, before=(100, 101)), False),
    ],
    ids=["not since", "not any more", "not long", "asked at the end", "was seldom asked"],
)
def test_a_lock_server_that_nobody_asks_any_more_warns(looks: list[SapObservation], warns: bool) -> None:
    found = judged(*looks).question("sap-enqueue-BX5")
    assert (found.state, found.warns) == ("passed", warns), found.answer


def update_looks(waiting: dict[int, int], before: int = 0) -> list[SapObservation]:
    """Looks at as many waiting updates, by the second; those of before the pause are others."""
    early = [Update(f"B{number}", None, "A", "100", "0") for number in range(before)]
    return [
        seen("updates", 10, *early),
        *(seen("updates", second, *(Update(f"K{number}", None, "A", "100", "0") for number in range(count)))
          for second, count in waiting.items()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("looks", "warns"),
    [
        (update_looks(dict.fromkeys(range(40, 400, 60), 3)), True),
        (update_looks(dict.fromkeys(range(40, 300, 60), 3)), False),
        (update_looks({**dict.fromkeys(range(40, 400, 60), 3), 400: 0}), False),
        (update_looks(dict.fromkeys(range(40, 400, 60), 3), before=1), False),
    ],
    ids=["stand", "not long", "done at the end", "some waited before"],
)
def test_few_updates_that_nobody_does_warn(looks: list[SapObservation], warns: bool) -> None:
    found = judged(*looks).question("sap-updates-BX5")
    assert (found.state, found.warns) == ("passed", warns), found.answer


def queue_looks(*since: tuple[int, int], before: tuple[int, int] = (0, 900)) -> list[SapObservation]:
    told = [(10, *before), *((40 + 15 * place, *each) for place, each in enumerate(since))]
    return [seen("queues", second, DispatcherQueue("ABAP/UPD", now, 60, 2000, 1, reads)) for second, now, reads in told]


@pytest.mark.parametrize(
    ("looks", "warns"),
    [
        (queue_looks(*[(12, 910)] * 5), True),
        (queue_looks((12, 910), (0, 922), *[(3, 922)] * 5), True),
        (queue_looks(*[(12, 910)] * 4), False),
        (queue_looks(*[(12, 910 + taken) for taken in range(5)]), False),
        (queue_looks(*[(12, 900)] * 5, before=(2, 900)), False),
        (queue_looks(*[(12, 0)] * 5), False),
    ],
    ids=["stands", "stands at the end", "not long", "is worked off", "stood before", "not counted"],
)
def test_a_short_queue_from_which_nothing_is_taken_warns(looks: list[SapObservation], warns: bool) -> None:
    found = judged(*looks).question("sap-queues-BX5")
    assert (found.state, found.warns) == ("passed", warns), found.answer


@pytest.mark.parametrize(
    ("way", "numbers", "state"),
    [("rfc", ("00",), "passed"), ("rfc", ("00", "03"), "not evaluated"), ("dpmon", ("00", "03"), "passed")],
)
def test_function_modules_list_the_sessions_of_one_server(way: str, numbers: tuple[str, ...], state: str) -> None:
    rows = [User("T1", "100", "A", terminal="PC1"), User("T2", "100", "B", terminal="PC2")]
    listed = seen("instances", 1, *(Instance("bxaix85", number, ("ABAP",)) for number in numbers))
    looks = [listed, *(seen("users", second, *rows, way=way) for second in (10, 40))]
    assert judged(*looks, instances=numbers).question("sap-users-BX5").state == state
    lost = [*looks[:2], seen("users", 40, rows[0], way=way)]
    assert judged(*lost, instances=numbers).question("sap-users-BX5").state == "failed"


def test_a_job_whose_age_is_not_known_is_not_short() -> None:
    run = Job("ZFI_RUN", "1", JobStatus.RUNNING, program="ZA", pid=7, started=at(0))
    there = WorkProcess(9, "BTC", 7, Activity.RUNNING, program="ZA", request_s=60)
    for snapshot, verdict in (
        (replace(WELL, jobs=(replace(run, started=None),)), Verdict.UNKNOWN),
        (replace(WELL, jobs=(run,), zone_offset_s=None), Verdict.UNKNOWN),
        (replace(WELL, jobs=(replace(run, started=None),), work_processes=(there,)), Verdict.PASS),
        (replace(WELL, jobs=(), zone_offset_s=None), Verdict.PASS),
    ):
        assert findings(snapshot)["sap-long-jobs"].verdict is verdict


def test_every_lock_server_that_answers_is_checked() -> None:
    none, lock = Enqueue(0, 9, 0, 0, 0, Colour.GRAY), Enqueue(4, 9, 100, 0, 0, Colour.RED)
    for rows in ((none, lock), (lock, none)):
        assert findings(replace(WELL, enqueue=rows))["sap-enqueue"].verdict is Verdict.WARN
    assert (
        findings(replace(WELL, enqueue=(none, replace(lock, replication=Colour.GREEN))))["sap-enqueue"].verdict
        is Verdict.PASS
    )


# -- an answer that never comes ----------------------------------------------------------------------------------------


def held(
    reason: str, seconds: Sequence[int], pid: int = 7, activity: Activity = Activity.ON_HOLD
) -> list[SapObservation]:
    free = WorkProcess(0, "DIA", 1, Activity.WAITING)
    row = WorkProcess(1, "DIA", pid, activity, reason=reason, program="SAPMV45A", user="A")
    return [seen("work_processes", second, free, row) for second in seconds]


IDLE = [*held("", (2, 10), activity=Activity.WAITING)]


@pytest.mark.parametrize(
    ("looks", "warns"),
    [
        (held("ENQ", range(40, 200, 20)), True),
        (held("Enqueue response", range(40, 200, 20)), True),
        (held("Internal response (number range)", range(40, 200, 20), activity=Activity.STOPPED), True),
        ([*held("", (40, 60), activity=Activity.WAITING), *held("ENQ", range(80, 300, 20))], True),
        ([*held("ENQ", range(40, 200, 20)), *held("", (220,), activity=Activity.WAITING)], False),
        (held("ENQ", range(40, 90, 10)), False),
        (held("RFC", range(40, 200, 20)), False),
        (held("Session in PRIV mode", range(40, 200, 20), activity=Activity.STOPPED), False),
    ],
    ids=["old word", "new word", "number range", "later", "answered", "not long", "a partner's", "held"],
)
def test_a_work_process_that_waits_for_a_lost_answer_warns(looks: list[SapObservation], warns: bool) -> None:
    found = judged(*IDLE, *looks).question("sap-work-processes-BX5")
    assert (found.state, found.warns) == ("passed", warns), found.answer
    assert ("DIA 1 has waited for an answer" in found.answer) == warns


def test_a_disk_that_lsconf_does_not_list_any_more_warns() -> None:
    lines = ("Machine Serial Number: 1", "Memory Size: 1 MB", "", "* hdisk0  U1-V2-C2  Disk", "+ mem0    Memory")
    moved = (lines[0].replace("1", "2"), *lines[1:])
    for after, warns in ((moved, False), ((*moved[:3], moved[4]), True), (moved[:4], False)):
        was, now = (SapSnapshot("BX5", 1, {}, lsconf=one) for one in (lines, after))
        found = judged(before=was, after=now).question("sap-host-BX5")
        assert (found.state, found.warns) == ("passed", warns), found.answer
        assert ("not listed any more: hdisk0" in found.answer) == warns


@pytest.mark.parametrize("count", [MAX_ROWS - 1, MAX_ROWS])
def test_a_table_that_is_cut_off_at_the_bound_is_no_answer(count: int) -> None:
    """Which rows are cut off is not told: the new ones may be."""

    class Caller:
        where, session = "rfc", ""

        def call(self, function: str, /, tables: Sequence[str] = (), **given: Any) -> dict[str, Any]:
            fields, at = [], 0
            for one in given["FIELDS"]:
                fields.append({"FIELDNAME": one["FIELDNAME"], "OFFSET": at, "LENGTH": 32})
                at += 32
            return {"FIELDS": fields, "DATA": [{"WA": f"K{number}"} for number in range(min(count, given["ROWCOUNT"]))]}

        def close(self) -> None: ...

    of = Functions(Caller())
    if count < MAX_ROWS:
        assert len(of.updates()) == count
    else:
        with pytest.raises(UnexpectedReply, match="2000 rows of VBHDR or more"):
            of.updates()


@pytest.mark.parametrize(
    ("state", "known", "answer"),
    [("", False, "not evaluated"), ("", True, "passed"), ("0", False, "passed"), ("13", False, "failed")],
)
def test_an_update_whose_state_is_not_told_may_have_failed(state: str, known: bool, answer: str) -> None:
    """VBRC is left out where a row does not fit, or the release does not know it."""
    row = Update("K1", None, "A", "100", state)
    looks = [seen("updates", 10, *([row] if known else [])), *(seen("updates", second, row) for second in (40, 100))]
    assert judged(*looks).question("sap-updates-BX5").state == answer
    verdict = {"": Verdict.UNKNOWN, "0": Verdict.PASS, "13": Verdict.WARN}[state]
    assert findings(replace(WELL, updates=(row,)))["sap-updates"].verdict is verdict
