"""The kernel's log of a partition with Linux: how it is asked for, what counts as new, and what a line means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis.error_logs import error_log_question
from lpmkit.analysis.model import Interval
from lpmkit.control.linux import LinuxShell
from lpmkit.control.linux_logs import DMESG, FIELDS, JOURNAL, LINES_READ, read_dmesg, read_journal
from lpmkit.errors import NotPermitted, UnexpectedReply
from lpmkit.report.timeline import read_stamp
from lpmkit.rules.question import AnswerState, Question
from lpmkit.simulator.chassis import LoggedError
from lpmkit.simulator.guest import install
from lpmkit.simulator.shells import linux as simulated
from lpmkit.simulator.shells.reply import Context
from lpmkit.ssh.session import RecordedSession, Reply, command_line
from lpmkit.survey.machine_logs import LogLine, Logs
from lpmkit.timeline import Event
from lpmkit.wording.phrase_book import phrase_book
from tests.in_process import landscape

FIXTURES = Path(__file__).parent.parent / "fixtures" / "linux-9"
TROUBLE = (FIXTURES / "journalctl" / "trouble_of_a_move.txt").read_text(encoding="utf-8")
HURT = (FIXTURES / "dmesg" / "file_system_hurt.txt").read_text(encoding="utf-8")
HINT = (
    "Hint: You are currently not seeing messages from other users and the system.\n"
    "      Users in groups 'adm', 'systemd-journal' can see all messages.\n"
)
HOUR = Interval(0, 3_600_000_000_000)
JOURNAL_OF = ("lin1", "journal")
STALL = "rcu: INFO: rcu_sched self-detected stall on CPU"


def shell(*replies: tuple[Sequence[str], int, str, str]) -> LinuxShell:
    told = [Reply("lin1", command_line(words), status, out, error) for words, status, out, error in replies]
    return LinuxShell(RecordedSession("lin1", told))


def line(text: str, level: int = 3, stamp: str = "1796115600.000001", log: str = "journal") -> LogLine:
    return LogLine("lin1", log, stamp, "kernel", text, type=str(level))


def judged(new: Sequence[LogLine], old: Sequence[LogLine] = (), **told: Any) -> Question:
    before = Logs(tuple(old), (), (JOURNAL_OF,))
    events = [Event(0, 0, 0, "recorder", "log", asdict(each)) for each in new]
    events.append(Event(0, 0, 0, "recorder", "logs-read", {"logs": [list(JOURNAL_OF)], **told}))
    question = error_log_question("lin1", events, before.to_dict(), HOUR)
    assert question is not None
    return question


def test_an_older_systemd_is_asked_without_the_list_of_fields() -> None:
    refused = ((*JOURNAL, FIELDS), 1, "", "journalctl: unrecognized option '--output-fields=PRIORITY,MESSAGE'\n")
    assert shell(refused, (JOURNAL, 0, TROUBLE, "")).journal() == read_journal(TROUBLE)


def test_the_command_line_of_the_kernel_is_not_asked_for() -> None:
    assert "PRIORITY=5" not in JOURNAL
    assert "notice" not in DMESG[-1].split(",")
    assert "SYSLOG_FACILITY=0" in JOURNAL
    assert "-k" in DMESG


def test_a_level_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(UnexpectedReply):
        read_dmesg("kern  :notice: [    0.000000] Kernel command line: root=/dev/sda\n")


@pytest.mark.parametrize(
    ("status", "error"), [(0, HINT), (1, "No journal files were opened due to insufficient permissions.\n")]
)
def test_an_account_that_may_not_see_the_journal_is_told_what_to_do(status: int, error: str) -> None:
    with pytest.raises(NotPermitted, match="systemd-journal"):
        shell(((*JOURNAL, FIELDS), status, "", error)).journal()


def test_a_journal_without_a_line_of_the_kernel_was_not_read() -> None:
    with pytest.raises(UnexpectedReply, match="no line of the kernel"):
        shell(((*JOURNAL, FIELDS), 0, "-- No entries --\n", "")).journal()


def test_a_ring_buffer_that_may_not_be_read_is_no_empty_one() -> None:
    refusal = "dmesg: read kernel buffer failed: Operation not permitted\n"
    with pytest.raises(NotPermitted, match="dmesg_restrict"):
        shell((DMESG, 1, "", refusal)).dmesg()
    assert shell((DMESG, 0, HURT, "")).dmesg() == read_dmesg(HURT)


@pytest.mark.parametrize(
    ("text", "level", "state", "warns"),
    [
        ("Out of memory: Killed process 20711 (disp+work) total-vm:8388608kB", 3, AnswerState.FAILED, False),
        ("EXT4-fs (dm-3): Remounting filesystem read-only", 2, AnswerState.FAILED, False),
        ("XFS (dm-1): Log I/O Error Detected. Shutting down filesystem", 1, AnswerState.FAILED, False),
        ("Buffer I/O error on dev dm-0, logical block 31457158, async page read", 3, AnswerState.FAILED, False),
        ("I/O error, dev sda, sector 42002577 op 0x1:(WRITE)", 3, AnswerState.FAILED, False),
        ("java[4711]: segfault (11) at 0 nip 10000a4c lr 10000a30 code 1", 6, AnswerState.FAILED, False),
        ("Kernel panic - not syncing: Fatal exception", 0, AnswerState.FAILED, False),
        ("MCE: CPU3: machine check (Severe)  Real address Load [Not recovered]", 3, AnswerState.FAILED, False),
        ("EEH: Frozen PE#1fd on PHB#3 detected", 3, AnswerState.PASSED, True),
        ("INFO: task java:4711 blocked for more than 120 seconds.", 3, AnswerState.PASSED, True),
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 23s! [java:4711]", 0, AnswerState.PASSED, True),
        (STALL, 3, AnswerState.PASSED, True),
        ("device-mapper: multipath: 253:3: Failing path 8:32.", 4, AnswerState.PASSED, True),
        ("mobility: ibm,suspend-me error: 9000", 3, AnswerState.PASSED, True),
        ("ibmvnic 30000005: a text that nobody knows", 3, AnswerState.PASSED, True),
        ("device-mapper: multipath: 253:3: Reinstating path 8:32.", 4, AnswerState.PASSED, False),
        ("ibmvfc 30000004: Partition migrated, Re-enabling adapter", 6, AnswerState.PASSED, False),
    ],
)
def test_a_line_counts_by_what_the_kernel_says_else_by_its_level(
    text: str, level: int, state: AnswerState, warns: bool
) -> None:
    question = judged([line(text, level)])
    assert (question.state, question.warns, question.counts) == (state, warns, True)
    assert (text in question.answer) == (state is AnswerState.FAILED or warns)


def test_a_disk_error_below_multipath_warns_and_one_above_it_fails() -> None:
    failover = line("device-mapper: multipath: 253:3: Failing path 8:32.", 4)
    assert judged([line("I/O error, dev sdc, sector 1 op 0x1:(WRITE)"), failover]).state is AnswerState.PASSED
    assert judged([line("I/O error, dev dm-3, sector 1 op 0x1:(WRITE)"), failover]).state is AnswerState.FAILED


def test_a_stall_tells_that_the_clock_may_have_run_on() -> None:
    assert "the clock ran on" in judged([line(STALL)]).answer
    assert "in der die Uhr weiterlief" in phrase_book("de")(judged([line(STALL)]).answer)


def test_what_the_kernel_often_says_is_nothing_new_and_what_fails_is_never_silent() -> None:
    hourly = [line("ibmvnic 30000005: odd", stamp=f"{1796000000 + 3600 * at}.000000") for at in range(100)]
    killed = [line(f"Out of memory: Killed process {at} (java)", stamp=each.stamp) for at, each in enumerate(hourly)]
    assert not judged(hourly[:1], hourly).warns
    again = judged(killed[:1], killed)
    assert (again.state, again.warns) == (AnswerState.PASSED, True)


def test_a_log_that_wrapped_between_two_readings_does_not_pass_and_a_failure_in_it_stays_one() -> None:
    torn = [list(JOURNAL_OF)]
    question = judged([line(STALL)], torn=torn)
    assert (question.state, question.counts) == (AnswerState.NOT_EVALUATED, True)
    assert "wrapped" in question.answer
    assert judged([line("Kernel panic - not syncing")], torn=torn).state is AnswerState.FAILED


def test_a_log_is_torn_where_no_earlier_line_is_left_or_too_many_are_new() -> None:
    old, new = line("old", stamp="1.000000"), line("new", stamp="2.000000")
    many = tuple(line("new", stamp=f"{at}.000000") for at in range(LINES_READ))
    read = (JOURNAL_OF,)
    assert Logs((new,), (), read).torn_since(Logs((old,), (), read)) == (JOURNAL_OF,)
    assert Logs((new, old), (), read).torn_since(Logs((old,), (), read)) == ()
    assert Logs((new,), (), read).torn_since(Logs((), (), read)) == ()
    assert Logs(many, (), read).torn_since(Logs((), (), read)) == (JOURNAL_OF,)


def test_lines_of_a_log_that_was_not_read_before_are_not_new() -> None:
    before = Logs((), (), (JOURNAL_OF,))
    later = Logs((line("Kernel panic", log="dmesg"),), (), (("lin1", "dmesg"),))
    assert later.since(before) == ()


def test_a_kernel_log_that_was_not_read_is_told_in_german_with_what_to_do() -> None:
    gaps = [{"what": "journal", "where": "lin1", "why": "lin1: the account may not read the kernel's log."}]
    question = error_log_question("lin1", [], {"lines": [], "gaps": gaps, "read": []}, HOUR)
    assert question is not None
    assert (question.state, question.counts) == (AnswerState.NOT_EVALUATED, False)
    assert "wurde vor der Migration nicht gelesen" in phrase_book("de")(question.answer)


def test_the_stamp_of_a_journal_is_an_instant_and_that_of_dmesg_is_none() -> None:
    stamp = read_stamp(read_journal(TROUBLE)[0].stamp, 2026)
    assert stamp is not None
    assert stamp.at.replace(tzinfo=UTC) == datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
    assert read_stamp(read_dmesg(HURT)[1].stamp, 2026) is None


def test_the_simulated_linux_answers_and_a_move_adds_what_a_kernel_writes() -> None:
    world = landscape("p10pair")
    found = next(each for each in world.partitions if each.name == "p10lin01")
    linux_guest = install(world, found, 1796115600.0)

    def asked() -> str:
        reply = simulated.run(linux_guest, [*JOURNAL, FIELDS], Context())
        assert reply is not None
        return reply.out

    before = read_journal(asked())
    assert before
    assert "command line" not in asked()
    done = LoggedError(linux_guest.boot_wall_s + 900, "A5E6DB96", "CLIENT_PMIG_DONE", "I", "S", "pmig", "", "")
    linux_guest = linux_guest.taking(None, (done,))
    new = read_journal(asked())[len(before) :]
    assert new[0].text.endswith("Re-enabling adapter!")
    assert not judged([line(each.text, each.level) for each in new]).warns
    assert json.loads(asked().splitlines()[0])["PRIORITY"] == "6"
