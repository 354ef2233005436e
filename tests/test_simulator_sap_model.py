"""The SAP system that the simulator keeps: work processes, jobs, logs, tables. No process, no port, no waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmkit.simulator.guest import from_json, install
from lpmkit.simulator.landscape import load
from lpmkit.simulator.sap import envelope, functions, mishaps, monitor
from lpmkit.simulator.sap.abap import AbapException, Call, Conversation, Result, Row
from lpmkit.simulator.sap.alerts import alert_tree
from lpmkit.simulator.sap.command_line import run, sapcontrol
from lpmkit.simulator.sap.installation import Installation, from_entry, hardware_key
from lpmkit.simulator.sap.recalled import XMI_MESSAGES
from lpmkit.simulator.sap.records import Job
from lpmkit.simulator.sap.system import LONGEST_TICK_S, TICK_S, System
from lpmkit.simulator.sap.tables import TABLES, BadClause, select, where

OLD = Installation("BX5", "00", kernel="640", basis="620", licensed=("000071DA4C00", "000072EA4C00"))
NEW = Installation("P7D", "00", "01", kernel="753", basis="750")
SYSTEM = System(OLD, "bxaix85", 1215000000.0, 1218226442.0)
EVENING = 1218226442.0  # Fri Aug  8 20:14:02 2008


def system_of(installed: Installation = OLD, wall_s: float = EVENING, german: bool = False) -> System:
    return System(installed, "bxaix85", wall_s - 3_000_000, wall_s, lambda: "000071DA4C00", german)


def work(system: System, seconds: float) -> None:
    """Let it work without a break."""
    for _ in range(round(seconds / TICK_S)):
        system.advance(TICK_S, system.wall_s + TICK_S)


def called(system: System, name: str) -> Job:
    return next(job for job in system.jobs if job.name == name)


def started_s(job: Job) -> float:
    """The time at which a job that has started did so."""
    assert job.started_s is not None
    return job.started_s


def ended_s(job: Job) -> float:
    """The time at which a job that has ended did so."""
    assert job.ended_s is not None
    return job.ended_s


def rfc(
    system: System, name: str, conversation: Conversation | None = None, language: str = "E", **given: Any
) -> Result:
    values = {key: value for key, value in given.items() if isinstance(value, str)}
    tables = {key: value for key, value in given.items() if not isinstance(value, str)}
    return functions.call(
        Call(system, name, values, tables, conversation or Conversation(), language, lambda line: (line + "\n", 0))
    )


def read_jobs(system: System, clause: str = "", fields: str = "JOBNAME STATUS") -> list[str]:
    answer = rfc(
        system,
        "RFC_READ_TABLE",
        QUERY_TABLE="TBTCO",
        OPTIONS=[{"TEXT": clause}],
        FIELDS=[{"FIELDNAME": name} for name in fields.split()],
    )
    return [str(row["WA"]) for row in answer.tables["DATA"]]


# --- work processes and jobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("installed", [OLD, NEW])
def test_it_has_forty_work_processes_and_twenty_five_jobs_in_every_state(installed: Installation) -> None:
    system = system_of(installed)
    kinds = Counter(each.kind for each in system.work_processes)
    assert sum(kinds.values()) == 40
    assert set(kinds) == {"DIA", "UPD", "BTC", "SPO", "UP2"} | ({"ENQ"} if installed.classic else set())
    assert len(system.jobs) == 25
    assert set(Counter(job.status for job in system.jobs)) == set("RFASP")
    assert len({(job.name, job.count) for job in system.jobs}) == 25
    pids = [each.pid for each in system.work_processes] + [each.pid for each in system.processes()]
    assert len(set(pids)) == 40 + len(system.processes())


def test_a_running_job_occupies_a_background_work_process_and_gets_on() -> None:
    system = system_of()
    job = called(system, "SD_BILLING_VF06")
    before, lines = job.objects_done, len(job.log)
    worker = system.work_processes[job.worker_number]
    assert (worker.kind, worker.pid, worker.program) == ("BTC", job.worker_pid, "SDBILLDL")
    work(system, 12)
    assert job.objects_done > before
    assert len(job.log) > lines
    assert job.log[-1].text.endswith(f"of {job.plan.objects} objects processed")
    assert job.worker is worker


def test_a_job_is_later_by_as_long_as_the_partition_stood_still() -> None:
    """The wall clock goes on in a suspension, the work does not."""
    ran, stood = system_of(), system_of()
    work(ran, 300)
    work(stood, 20)
    stood.advance(0.0, stood.wall_s + 11)
    work(stood, 280)
    name = "WM_TRANSFER_ORDERS"
    assert called(ran, name).status == called(stood, name).status == "F"
    assert ended_s(called(stood, name)) - ended_s(called(ran, name)) == pytest.approx(11, abs=2 * TICK_S)
    assert called(stood, name).objects_done == called(ran, name).objects_done == 640


def test_a_job_that_fell_due_in_the_suspension_starts_after_it() -> None:
    system = system_of()
    job = called(system, "Z_STOCK_INTERFACE")
    work(system, 5)
    assert job.status == "S"
    system.advance(TICK_S, EVENING + 30)
    assert job.status == "R"
    assert job.started_s == EVENING + 30
    assert job.scheduled_s == EVENING + 8


def test_a_periodic_job_schedules_the_next_one_and_keeps_a_history() -> None:
    system = system_of()
    work(system, 60)
    runs = [job for job in system.jobs if job.name == "Z_STOCK_INTERFACE"]
    assert [job.status for job in runs][:4] == ["F", "F", "F", "R"]
    assert runs[-1].status == "S"
    assert {job.log[-1].text for job in runs[:3]} == {"Job finished"}
    gaps = [round(started_s(after) - started_s(before)) for before, after in pairwise(runs[:4])]
    assert gaps == [15, 15, 15]


def test_a_job_of_several_steps_says_which_one_it_is_at() -> None:
    system = system_of()
    job = called(system, "PM_DEADLINE_MONITOR")
    assert job.step == 0
    work(system, 40)
    assert job.step == 1
    assert any(line.text.startswith("Step 002 started (program RISTRA20") for line in job.log)


def test_a_ready_job_waits_for_a_free_background_work_process() -> None:
    system = system_of()
    for each in system.work_processes:
        if each.kind == "BTC" and each.free:
            each.take(system.wall_s, 1e9, "OTHER", "100", "SOMEBODY")
    work(system, 10)
    job = called(system, "Z_STOCK_INTERFACE")
    assert job.status == "Y"
    next(each for each in system.work_processes if each.program == "OTHER").let_go()
    work(system, 1)
    assert job.status == "R"


def test_the_jobs_that_failed_before_say_why() -> None:
    system = system_of()
    failed = [job for job in system.jobs if job.status == "A"]
    assert [job.name for job in failed] == ["Z_EDI_OUT_FTP", "Z_PRICE_UPLOAD"]
    assert all(ended_s(job) < EVENING and job.log[-1].text == "Job cancelled" for job in failed)
    assert [dump.error for dump in system.dumps] == ["RAISE_EXCEPTION", "CONVT_NO_NUMBER"]
    assert [entry.number for entry in system.syslog if entry.severity == "RED"] == ["AB0", "AB1", "AB0", "AB1"]


def test_users_work_and_their_steps_pass_through_the_queues() -> None:
    system = system_of()
    before = system.queues["DIA"].writes
    last = {session.number: session.last_s for session in system.sessions}
    work(system, 60)
    assert system.queues["DIA"].writes > before + 14
    assert system.queues["UPD"].writes > 21_904
    assert all(session.last_s > last[session.number] for session in system.sessions)


def test_a_thousand_hours_leave_no_more_than_can_be_kept() -> None:
    system = system_of()
    for _ in range(3000):
        system.advance(20.0, system.wall_s + 20.0)
    assert len(system.jobs) <= 302
    assert {job.status for job in system.jobs} >= {"F", "R", "S", "P"}
    assert len(system.syslog) <= 500


HEART = (
    "import sys, time; from lpmkit.simulator.sap.installation import Installation;"
    "from lpmkit.simulator.sap.system import Heart, System;"
    "s = System(Installation('BX5', '00'), 'h', time.time() - 1e6, time.time()); Heart(s).start();"
    "[print(s.work_s, time.monotonic(), flush=True) for _ in sys.stdin]"
)


def test_a_stopped_process_does_no_work() -> None:
    """Of all the time between two looks, what it was stopped for is not work, but for one tick's worth of doubt."""
    child = subprocess.Popen([sys.executable, "-c", HEART], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:

        def look() -> tuple[float, float]:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            done, now = map(float, child.stdout.readline().split())
            return done, now

        first = look()
        while look()[0] == first[0]:
            pass
        before = look()
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.5)
        os.kill(child.pid, signal.SIGCONT)
        while (after := look())[0] == before[0]:
            pass
        assert child.stdin is not None
        child.stdin.close()
    assert after[1] - before[1] >= 1.5
    assert after[0] - before[0] <= (after[1] - before[1]) - 1.5 + LONGEST_TICK_S


# --- what a move may do ---------------------------------------------------------------------------------------------


def test_a_cancelled_job_leaves_a_dump_a_log_and_a_free_work_process() -> None:
    system = system_of()
    mishaps.strike(system, "sap-job-cancelled", "SD_BILLING_VF06")
    job = called(system, "SD_BILLING_VF06")
    assert (job.status, job.worker) == ("A", None)
    assert system.work_processes[job.worker_number].free
    assert system.dumps[-1].error == "ZDATE_LARGE_TIME_DIFF"
    assert [line.text for line in job.log][-2:] == ["ABAP/4 processor: ZDATE_LARGE_TIME_DIFF", "Job cancelled"]


def test_a_work_process_that_died_comes_back_with_another_pid_and_one_more_error() -> None:
    system = system_of()
    before = [each.pid for each in system.work_processes]
    mishaps.strike(system, "sap-work-process-died", "3")
    changed = [each for each, pid in zip(system.work_processes, before, strict=True) if each.pid != pid]
    assert [(each.number, each.errors) for each in changed] == [(3, 1)]
    assert [entry.number for entry in system.syslog[-2:]] == ["Q02", "Q01"]
    row = rfc(system, "TH_WPINFO").tables["WPLIST"][3]
    assert (row["WP_DUMPS"], row["WP_PID"]) == ("1", str(changed[0].pid))


def test_a_user_who_was_cut_off_is_gone_with_his_lock() -> None:
    system = system_of()
    assert "HOFFMANP" in {lock.user for lock in system.locks()}
    mishaps.strike(system, "sap-user-cut", "HOFFMANP")
    assert "HOFFMANP" not in {lock.user for lock in system.locks()}
    assert "HOFFMANP" not in {row["BNAME"] for row in rfc(system, "TH_USER_LIST").tables["LIST"]}
    assert system.syslog[-1].text == "Connection to user 23 (HOFFMANP), terminal PCFI0007 lost"


def test_without_its_dispatcher_a_job_stands_in_the_table_as_running_and_is_not() -> None:
    system = system_of(NEW)
    mishaps.strike(system, "sap-dispatcher-gone", None)
    assert called(system, "SD_BILLING_VF06").status == "R"
    assert system.running() == []
    reply = sapcontrol(system, ["-nr", "00", "-function", "GetProcessList"])
    assert reply.status == 0
    assert "disp+work, Dispatcher, GRAY, Stopped, , , " in reply.out
    assert "igswd_mt, IGS Watchdog, GREEN" in reply.out
    reply = sapcontrol(system, ["-nr", "00", "-function", "ABAPGetWPTable"])
    assert (reply.status, reply.out.splitlines()[-1]) == (1, "FAIL: DpAttachStartService failed")
    assert "DpMonInit failed" in monitor.dpmon(system, ["pf=x", "p"], "q\n").out
    before = called(system, "WM_TRANSFER_ORDERS").done_s
    work(system, 10)
    assert called(system, "WM_TRANSFER_ORDERS").done_s == before


def test_the_enqueue_server_of_today_has_a_replica_until_it_loses_it() -> None:
    assert not any(lock.backup for lock in system_of(OLD).locks())
    system = system_of(NEW)
    statistic = ["-nr", "01", "-function", "EnqGetStatistic"]
    assert all(lock.backup for lock in system.locks())
    assert "replication_state: GREEN" in sapcontrol(system, statistic).out
    mishaps.strike(system, "sap-replication-lost", None)
    assert not any(lock.backup for lock in system.locks())
    assert "replication_state: RED" in sapcontrol(system, statistic).out


def test_a_very_long_job_log_keeps_its_beginning_and_its_end() -> None:
    system = system_of()
    work(system, 4000)
    log = called(system, "MRP_RUN_PLANT_1000").log
    assert len(log) == 500
    assert log[0].text == "Job started"
    assert log[-1].wall_s > system.wall_s - 6


def test_a_stale_row_is_recognised_and_mended_by_the_status_check() -> None:
    system, mine = system_of(NEW), Conversation({"XBP"})
    job = called(system, "SD_BILLING_VF06")
    assert job.worker is not None
    job.worker.let_go()
    job.worker = None
    given = {"JOBNAME": job.name, "JOBCOUNT": job.count, "EXTERNAL_USER_NAME": "ME"}
    assert rfc(system, "BAPI_XBP_JOB_STATUS_GET", mine, **given).exports["STATUS"] == "R"
    checked = rfc(system, "BAPI_XBP_JOB_STATUS_CHECK", mine, **given).exports
    assert (checked["STATUS_ACCORDING_TO_DB"], checked["ACTUAL_STATUS"]) == ("R", "A")


# --- function modules -----------------------------------------------------------------------------------------------


def test_rows_are_cut_by_the_offsets_that_come_back() -> None:
    system = system_of()
    asked = [{"FIELDNAME": name} for name in ("STATUS", "JOBNAME", "STEPCOUNT")]
    answer = rfc(system, "RFC_READ_TABLE", QUERY_TABLE="TBTCO", FIELDS=asked, ROWCOUNT="2", ROWSKIPS="3", DELIMITER="|")
    places = {row["FIELDNAME"]: (int(row["OFFSET"]), int(row["LENGTH"])) for row in answer.tables["FIELDS"]}
    assert places == {"STATUS": (0, 1), "JOBNAME": (2, 32), "STEPCOUNT": (35, 10)}
    assert [row["WA"] for row in answer.tables["DATA"]] == [
        f"F|{'FI_DUNNING_RUN_0100':<32}|         2",
        f"F|{'MM_IV_GR_MAINTAIN':<32}|         1",
    ]


def test_a_newer_basis_returns_the_columns_in_the_order_of_the_table() -> None:
    swapped = [row["FIELDNAME"] for row in _fields(system_of(NEW))]
    assert _fields(system_of(OLD))[0]["FIELDNAME"] == "STATUS"
    assert swapped == ["JOBNAME", "STATUS"]


def _fields(system: System) -> Sequence[Row]:
    asked = [{"FIELDNAME": "STATUS"}, {"FIELDNAME": "JOBNAME"}]
    return rfc(system, "RFC_READ_TABLE", QUERY_TABLE="TBTCO", FIELDS=asked, NO_DATA="X").tables["FIELDS"]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"QUERY_TABLE": "TBTCO"}, "DATA_BUFFER_EXCEEDED"),
        ({"QUERY_TABLE": "NOTHING"}, "TABLE_NOT_AVAILABLE"),
        ({"QUERY_TABLE": "SNAP", "FIELDS": [{"FIELDNAME": "NOTHING"}]}, "FIELD_NOT_VALID"),
        ({"QUERY_TABLE": "SNAP", "OPTIONS": [{"TEXT": "DATUM GE"}]}, "OPTION_NOT_VALID"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_exception_with_its_key(given: dict[str, Any], key: str) -> None:
    with pytest.raises(AbapException) as refused:
        rfc(system_of(), "RFC_READ_TABLE", **given)
    assert refused.value.key == key


def test_a_window_over_midnight_needs_both_halves() -> None:
    midnight = EVENING + (86400 - EVENING % 86400)
    system = system_of(wall_s=midnight + 600)
    work(system, 60)
    both = "( ENDDATE = '20080808' AND ENDTIME > '233000' ) OR ENDDATE > '20080808'"
    naive = "ENDDATE >= '20080808' AND ENDTIME > '233000'"
    ended = {job.name for job in system.jobs if job.ended_s and job.ended_s > midnight - 1800}
    assert {row.split()[0] for row in read_jobs(system, both)} == ended
    assert {row.split()[0] for row in read_jobs(system, naive)} == {"Z_PRICE_UPLOAD"} < ended


def test_an_iso_date_matches_nothing_and_is_no_error() -> None:
    assert read_jobs(system_of(), "STRTDATE = '2008-08-08'") == []
    assert len(read_jobs(system_of(), "STRTDATE = '20080808'")) == 14


@pytest.mark.parametrize(
    "clause", ["STATUS", "STATUS = R", "( STATUS = 'R'", "STATUS = 'R' STATUS", "NIX = '1'", "STATUS ? 'R'"]
)
def test_a_clause_that_is_none_is_refused(clause: str) -> None:
    with pytest.raises(BadClause):
        where(clause, TABLES["TBTCO"])


@given(
    st.lists(
        st.sampled_from(["STATUS", "STEPCOUNT", "=", "'R'", "1", "²", "(", ")", "AND", "OR", "NOT", "LIKE", "'", "%"])
    ).map(" ".join)
)
def test_any_clause_is_understood_or_refused(clause: str) -> None:
    try:
        select(SYSTEM, TABLES["TBTCO"], clause)
    except BadClause:
        pass  # refused, as it should be


@given(st.binary() | st.text().map(lambda text: f"<Envelope><Body><a>{text}</a></Body></Envelope>".encode()))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    try:
        assert envelope.read(body).name == "a"
    except envelope.BadRequest:
        pass  # refused, as it should be


def test_like_not_and_quotes_are_understood() -> None:
    system, table = system_of(), TABLES["TBTCO"]
    names = {row["JOBNAME"].rstrip() for row in select(system, table, "JOBNAME LIKE 'FI_%' AND NOT STATUS EQ 'F'")}
    assert names == {"FI_SAPF124_CLEARING", "FI_PAYMENT_PROPOSAL"}
    assert select(system, table, "JOBNAME = 'It''s'") == []


def test_texts_follow_the_language_and_numbers_do_not() -> None:
    system = system_of(german=True)
    german = rfc(system, "TH_WPINFO", language="DE").tables["WPLIST"]
    english = rfc(system, "TH_WPINFO", language="EN").tables["WPLIST"]
    assert {row["WP_STATUS"] for row in german} == {"läuft", "wartet"}
    assert {row["WP_STATUS"] for row in english} == {"Running", "Waiting"}
    assert [row["WP_ISTATUS"] for row in german] == [row["WP_ISTATUS"] for row in english]
    assert "wartet" in monitor.dpmon(system, ["pf=x", "l"], "q\n").out
    assert "Laufzeitfehler" in sapcontrol(system_of(NEW, german=True), ["-nr", "0", "-function", "ABAPReadSyslog"]).out


def test_the_scheduler_interface_lives_in_the_conversation_and_an_empty_result_is_an_error() -> None:
    system, mine = system_of(), Conversation()
    selection = [{"JOBNAME": "*", "USERNAME": "*", "RUNNING": "X"}]
    assert (
        _message(rfc(system, "BAPI_XBP_JOB_SELECT", mine, EXTERNAL_USER_NAME="ME", JOB_SELECT_PARAM=selection))
        == "MSG_NOT_LOGGED_ON"
    )
    offered = [row["VERSION"] for row in rfc(system, "SXMI_VERSIONS_GET", mine, INTERFACE="XBP").tables["VERSIONS"]]
    assert offered == ["0.1", "1.0", "2.0"]
    logon = {"EXTCOMPANY": "US", "EXTPRODUCT": "IT", "INTERFACE": "XBP"}
    assert rfc(system, "BAPI_XMI_LOGON", mine, VERSION="3.0", **logon).exports["SESSIONID"] == ""
    assert len(str(rfc(system, "BAPI_XMI_LOGON", mine, VERSION="2.0", **logon).exports["SESSIONID"])) == 24
    heads = rfc(system, "BAPI_XBP_JOB_SELECT", mine, EXTERNAL_USER_NAME="ME", JOB_SELECT_PARAM=selection).tables[
        "JOB_HEAD"
    ]
    assert {head["JOBNAME"] for head in heads} == {job.name for job in system.running()}
    for asked, said in (
        ({"JOBNAME": "NIX*", "USERNAME": "*"}, "MSG_NO_JOBS_FOUND"),
        ({"USERNAME": "*"}, "MSG_SELECT_JOBNAME_MISSING"),
        ({"JOBNAME": "*"}, "MSG_SELECT_USERNAME_MISSING"),
    ):
        assert (
            _message(rfc(system, "BAPI_XBP_JOB_SELECT", mine, EXTERNAL_USER_NAME="ME", JOB_SELECT_PARAM=[asked]))
            == said
        )
    assert _message(rfc(system, "BAPI_XBP_JOB_SELECT", mine, JOB_SELECT_PARAM=selection)) == "MSG_EXT_USER_MISSING"
    assert (
        _message(rfc(system, "BAPI_XBP_JOB_SELECT", EXTERNAL_USER_NAME="ME", JOB_SELECT_PARAM=selection))
        == "MSG_NOT_LOGGED_ON"
    )


def _message(result: Result) -> str:
    answer = result.exports["RETURN"]
    assert isinstance(answer, Mapping)
    return next(key for key, (number, _) in XMI_MESSAGES.items() if number == answer["NUMBER"])


def test_an_operating_system_command_is_cut_at_128_characters() -> None:
    system = system_of()
    long = "x" * 200
    answer = rfc(system, "SXPG_COMMAND_EXECUTE", COMMANDNAME="ZLSCONF", ADDITIONAL_PARAMETERS=long)
    assert (answer.exports["STATUS"], [row["LENGTH"] for row in answer.tables["EXEC_PROTOCOL"]]) == ("O", [128, 89])
    with pytest.raises(AbapException, match="allowed"):
        rfc(system, "SXPG_COMMAND_EXECUTE", COMMANDNAME="ZLSCONF", ADDITIONAL_PARAMETERS="; rm -rf /")
    with pytest.raises(AbapException, match="not defined"):
        rfc(system, "SXPG_COMMAND_EXECUTE", COMMANDNAME="RM")


def test_dumps_and_broken_updates_are_rows() -> None:
    system = system_of()
    found = rfc(system, "RFC_READ_TABLE", QUERY_TABLE="SNAP", FIELDS=[{"FIELDNAME": "FLIST"}, {"FIELDNAME": "UNAME"}])
    row = str(found.tables["DATA"][1]["WA"])
    assert not row.startswith("SDBATCH")
    assert "FC015CONVT_NO_NUMBER" in row
    updates = select(system, TABLES["VBHDR"], "VBUSR = 'BECKERA'")
    assert [row["VBDATE"] for row in updates] == ["20080808085902"]


# --- command line ---------------------------------------------------------------------------------------------------


def test_the_hardware_key_follows_the_frame_and_licences_are_for_keys() -> None:
    system = System(OLD, "bxaix85", EVENING - 3e6, EVENING, lambda: "000072EA4C00")
    key, shown = (run(system, "saplicense", [option], str) for option in ("-get", "-show"))
    assert key is not None
    assert shown is not None
    assert hardware_key("000072EA4C00") in key.out
    assert hardware_key("000071DA4C00") not in key.out
    assert hardware_key("000071DA4C00") in shown.out
    assert hardware_key("000071DA4C00")[0].isalpha()
    assert len(hardware_key("000071DA4C00")) == 11


def test_an_old_kernel_has_no_start_service_and_a_new_one_no_old_licence_tool() -> None:
    for installed, there, missing in ((OLD, "saplicense", "sapcontrol"), (NEW, "sapcontrol", "saplicense")):
        assert run(system_of(installed), there, [], str) is not None
        assert run(system_of(installed), missing, [], str) is None


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        ("-nr 00 -function GetProcessList", 3, "OK"),
        ("-nr 1 -function GetProcessList", 3, "OK"),
        ("-nr 01 -function ABAPGetWPTable", 1, "FAIL: DpAttachStartService failed"),
        (
            "-nr 42 -function GetProcessList",
            1,
            "FAIL: NIECONN_REFUSED (Connection refused), NiRawConnect failed in plugin_fopen()",
        ),
        ("-nr 00 -function Nothing", 1, "FAIL: Unknown function"),
        ("-prot NI_HTTP -user p7dadm secret -host h -nr 00 -function GetQueueStatistic", 0, "OK"),
    ],
)
def test_sapcontrol_ends_with_the_status_of_its_kind(arguments: str, status: int, line: str) -> None:
    reply = sapcontrol(system_of(NEW), arguments.split())
    assert (reply.status, reply.out.splitlines()[3]) == (status, line)


def test_script_form_counts_the_items_past_nine() -> None:
    reply = sapcontrol(system_of(NEW), ["-format", "script", "-nr", "00", "-function", "ABAPGetWPTable"])
    assert "39 Typ: UP2" in reply.out.splitlines()
    assert "0 No: 0" in reply.out.splitlines()


def test_sapcontrol_without_sense_shows_its_usage() -> None:
    assert sapcontrol(system_of(NEW), ["-function"]).status == 1
    assert "Usage" in sapcontrol(system_of(NEW), ["-nr", "00"]).out


def test_dpmon_prints_what_its_keys_ask_for_until_q() -> None:
    system = system_of()
    out = monitor.dpmon(system, ["pf=/usr/sap/BX5/SYS/profile/BX5_DVEBMGS00_bxaix85", "p"], "v\nd\nq\nc\n").out
    assert out.count("MRP_RUN") == 0
    assert "RMMRP000" in out
    assert "|T23_U4023_M0    |100|HOFFMANP" in out
    assert "|BTC   |" in out
    assert "RFC-Connections" not in out


def test_the_tree_of_alerts_has_its_parents_first() -> None:
    tree = alert_tree(system_of())
    assert tree[0][1] == -1
    assert all(0 <= node[1] < at for at, node in enumerate(tree) if at)
    assert [node[0] for node in tree].count("Percentage_Used") == 3
    assert next(node for node in tree if node[0] == "AbortedJobs")[3] == "2"


# --- landscape ------------------------------------------------------------------------------------------------------


def test_a_licence_is_installed_for_every_frame() -> None:
    world = load()
    home = world.home("bxaix85")
    assert home is not None
    guest = from_json(install(world, home, EVENING, "secret").to_json())
    assert guest.sap is not None
    assert guest.sap.licensed == ("000071DA4C00", "000072EA4C00")
    assert (guest.sap.sid, guest.sap.password, guest.sap.has_start_service) == ("BX5", "secret", False)


@pytest.mark.parametrize(
    "entry",
    [
        {"sid": "X"},
        {"sid": "X", "instance": "00", "colour": "red"},
        {"sid": "X", "instance": "00", "central_services": "01"},
    ],
)
def test_a_wrong_sap_entry_of_a_landscape_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        from_entry(entry)
