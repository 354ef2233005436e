"""The alert log of every release: the recordings, any cut and any damage, following, and what is judged from it.

A recording is two files as in `test_recordings`; ``mark`` is the one of the reference on SAP and Oracle (V verified, S
seen in excerpts, U recalled), and ``meanings`` is what the table of rules says of each event.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import re
import string
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpmkit.errors import CommandRefused, NotFound, SiteFileError, UnexpectedReply, UsageError
from lpmkit.oracle.alert_log import AlertReader, Counts, EventKind, LogEvent, read_alert_log, read_events
from lpmkit.oracle.diag import DiagFollower
from lpmkit.oracle.event_rows import as_row, from_row
from lpmkit.oracle.judge import MAX_SHAPES, Judge, LogPosition, LogWindow, examine, find_start
from lpmkit.oracle.log_tail import (
    AlertFollower,
    LogTail,
    Position,
    find_alert_log,
    find_clusterware_log,
)
from lpmkit.oracle.rules import LogRules
from lpmkit.rules.table import Class
from lpmkit.simulator import Simulator
from lpmkit.simulator.oracle.instance import LOG_SWITCH_EVERY_S
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock, wait_until

FIXTURES = Path(__file__).parent.parent / "fixtures"
KEYS = {"source", "from", "mark", "host", "command", "moment", "stdin", "status", "stderr", "reader", "expected"}
RECORDINGS = sorted(FIXTURES.glob("oracle-*/*/*.json"))
RULES = LogRules.standard()


def local(year: int, month: int, day: int, *clock: int) -> datetime:
    hour, minute, second, microsecond = (*clock, 0, 0, 0, 0)[:4]
    # as a log without zones prints it
    return datetime(year, month, day, hour, minute, second, microsecond)  # noqa: DTZ001


def named(path: Path) -> str:
    return str(path.relative_to(FIXTURES).with_suffix(""))


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


def text_of(path: Path) -> bytes:
    return path.with_suffix(".txt").read_bytes()


def read_whole(data: bytes) -> tuple[list[LogEvent], Counts]:
    reader = AlertReader()
    return list(read_events([data], reader)), reader.counts


def accounted(events: Sequence[LogEvent], counts: Counts) -> bool:
    """Every line is a stamp, blank, or in exactly one event."""
    in_events = sum(event.line_count for event in events)
    return in_events == counts.in_events and counts.lines == counts.stamps + counts.blank + in_events


# -- recordings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_a_recording_is_read_and_classified_as_its_companion_says(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    events = read_alert_log(text_of(path).decode())
    assert [as_json(asdict(event)) for event in events] == notes["expected"]
    for event, meaning in zip(events, notes["meanings"], strict=True):
        found = RULES.classify(event)
        said = {
            "class": found.meaning.value,
            "rule": found.rule.key if found.rule else None,
            "codes": list(found.codes),
        }
        if found.witness:
            said["witness"] = as_json(asdict(found.witness))
        assert said == meaning


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_a_recording_says_where_it_comes_from(path: Path) -> None:
    notes = json.loads(path.read_text(encoding="utf-8"))
    assert set(notes) == KEYS | {"meanings"}
    assert notes["source"] in ("recorded", "documented", "composed")
    assert notes["mark"] in ("V", "S", "U")
    assert notes["from"]


def test_every_text_has_its_companion_and_every_form_of_time_a_recording() -> None:
    assert {path.with_suffix("") for path in FIXTURES.glob("oracle-*/*/*.txt")} == {
        path.with_suffix("") for path in RECORDINGS
    }
    forms = {form.value for path in RECORDINGS for form in read_whole(text_of(path))[1].forms}
    assert forms == {"ctime", "iso", "adrci", "trace", "xml"}


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_where_the_pieces_are_cut_changes_nothing(path: Path) -> None:
    data = text_of(path)
    whole, counts = read_whole(data)
    for size in (1, 2, 7, 64):
        reader = AlertReader()
        assert list(read_events((data[at : at + size] for at in range(0, len(data), size)), reader)) == whole
        assert reader.counts == counts
    assert accounted(whole, counts)


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_an_offset_is_where_the_event_begins(path: Path) -> None:
    data = text_of(path)
    for event in read_whole(data)[0]:
        line = data[event.offset :].split(b"\n", 1)[0].decode()
        assert event.lines[0] in (line, line[: len(event.lines[0])]) or line.startswith("<msg ")


# -- whatever comes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_damage_never_breaks_the_reader_and_every_line_is_accounted_for(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray(b"".join(text_of(path) for path in dice.sample(RECORDINGS, 6)))
    for _ in range(dice.randrange(1, 60)):
        if len(data) < 300:
            break
        at, kind = dice.randrange(len(data)), dice.randrange(4)
        if kind == 0:
            data[at] = dice.randrange(256)
        elif kind == 1:
            del data[at : at + dice.randrange(1, 80)]
        elif kind == 2:
            data[at:at] = dice.choice(
                [b"\0" * 40, b"\n", b"\xff\xfe", b"<msg ", b"</msg>\n", b"\r\n", b"*" * 71 + b"\n"]
            )
        else:
            data = data[: max(200, at)]
    reader, judge, events = AlertReader(), Judge(LogWindow(local(2012, 7, 12))), []
    pieces = (bytes(data[at : at + 97]) for at in range(0, len(data), 97))
    for event in read_events(pieces, reader):
        events.append(event)
        judge.add(RULES.classify(event))
    assert accounted(events, reader.counts)
    assert reader.counts.lines == bytes(data).count(b"\n") + (not data.endswith(b"\n"))
    assert reader.is_idle
    assert judge.judgement().inside + judge.judgement().before == len(events)
    assert 0 <= find_start(io.BytesIO(data), len(data), LogWindow(local(2012, 7, 12))) <= len(data)


@pytest.mark.parametrize(
    "data", [b"x" * 3_000_000, b"\0" * 3_000_000 + b"\nORA-600\n", b"a\n" + b"y" * 600_000 + b"\nb\n"]
)
def test_a_line_without_measure_is_cut_and_counted(data: bytes) -> None:
    reader = AlertReader()
    events = list(read_events((data[at : at + 65536] for at in range(0, len(data), 65536)), reader))
    assert accounted(events, reader.counts)
    assert reader.counts.cut_bytes > 300_000
    assert max(len(event.text) for event in events) <= 256 * 1024 + 1


def test_memory_does_not_grow_with_the_log() -> None:
    piece = b"".join(text_of(path) + b"\n" for path in RECORDINGS) * 4

    def peak(times: int) -> int:
        tracemalloc.start()
        for _ in read_events(piece for _ in range(times)):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(24) < 1.5 * peak(3)


def test_an_event_without_end_is_cut_into_bounded_ones() -> None:
    data = b"Fri Aug 15 14:27:20 2003\nSystem parameters\n" + b"  a = 1\n" * 5000
    events, counts = read_whole(data)
    assert accounted(events, counts)
    assert max(event.line_count for event in events) <= 1000


def test_two_encodings_in_one_file_are_both_read() -> None:
    events, _ = read_whole("Fri Aug 15 14:27:20 2003\nGröße\n".encode() + "Größe\n".encode("latin-1"))
    assert [event.text for event in events] == ["Größe", "Größe"]


def test_after_a_month_that_nobody_knows_there_is_no_time_and_nothing_is_lost() -> None:
    events, counts = read_whole("Fri Aug 15 14:27:20 2003\na\nVi Août 15 14:27:21 2003\nb\n".encode())
    assert [(event.when is None, event.kind) for event in events] == [
        (False, EventKind.MESSAGE),
        (True, EventKind.UNKNOWN_STAMP),
        (True, EventKind.MESSAGE),
    ]
    assert counts.timeless == 2


def test_a_line_of_a_block_that_comes_much_later_belongs_to_another() -> None:
    text = (
        "Fri Aug 15 14:27:20 2003\nFatal NI connect error 12170.\nFri Aug 15 14:27:{}\nTNS-12535: TNS:operation "
        "timed out\n"
    )
    assert len(read_alert_log(text.format("25 2003"))) == 1
    assert len(read_alert_log(text.format("55 2003"))) == 2


def test_two_network_errors_in_a_row_are_two_events() -> None:
    block = text_of(FIXTURES / "oracle-10.2/alert_log/network_block_before_its_stamp.json")
    events, _ = read_whole(block.replace(b"  Client address", b"\n# Client") * 2)
    assert [event.kind for event in events].count(EventKind.NETWORK) == 2


# -- rules -------------------------------------------------------------------------------------------------------------


def meaning_of(line: str, rules: LogRules = RULES) -> Class:
    return rules.classify(LogEvent(None, (line,), 0, 1)).meaning


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("ORA-600: internal error code", Class.FAIL),
        ("opiodr aborting process unknown ospid (3) as a result of ORA-609", Class.EXPECTED),
        ("opiodr aborting process unknown ospid (3) as a result of ORA-3136", Class.EXPECTED),
        ("WARNING: inbound connection timed out (ORA-3136)", Class.WARN),
        ("Result = ORA-0", Class.OTHER),
        ("ORA-00478: SMON process terminated with error", Class.FAIL),
        ("ORA-00312: online log 1 thread 1: '/oracle/BX5/origlogA'", Class.FAIL),
        ("ORA-28500: nobody has a rule for this", Class.UNKNOWN),
        ("Thread 1 cannot allocate new log, sequence 5\nPrivate strand flush not complete", Class.ROUTINE),
        ("PMON (ospid: 12): terminating the instance due to ORA error 484", Class.FAIL),
        ("Error 16063 archiving LNO:1 to 'stby'", Class.WARN),
        # losses without a code
        ("Pluggable database PDB1 closed", Class.FAIL),
        # a start is the end of what ran before, and no more than that
        ("Pluggable database PDB1 opened read write", Class.WARN),
        ("PDB2(5):Pluggable database PDB2 opening in read write", Class.WARN),
        ("PDB2(5):Opening pdb with no Resource Manager plan active", Class.WARN),
        ("PDB$SEED(2):Opening pdb with no Resource Manager plan active", Class.OTHER),
        ("LGWR started with pid=12, OS id=7733320 ", Class.WARN),
        ("SMCO started with pid=24, OS id=2446 ", Class.OTHER),
        ("SUCCESS: diskgroup DATA was mounted", Class.WARN),
        ("NOTE: client P7D1:P7D:cluster1 deregistered", Class.WARN),
        ("Primary database is in MAXIMUM PERFORMANCE mode", Class.WARN),
        ("Physical Standby Database mounted.", Class.WARN),
        ("ALTER SYSTEM SET log_archive_dest_2='' SCOPE=BOTH;", Class.WARN),
        ("ALTER SYSTEM SET log_archive_dest_state_2='DEFER' SCOPE=BOTH;", Class.WARN),
        ("ALTER SYSTEM SET log_archive_dest_state_2='ENABLE' SCOPE=BOTH;", Class.OTHER),
        ("ALTER SYSTEM SET fal_server='' SCOPE=BOTH;", Class.WARN),
        ("ALTER SYSTEM SET fal_server='BX5S' SCOPE=BOTH;", Class.OTHER),
        ("ALTER SYSTEM SET dg_broker_start=FALSE SCOPE=BOTH;", Class.WARN),
        # the clusterware takes a service away
        ("ALTER SYSTEM SET service_names='BX5' SCOPE=MEMORY SID='BX51';", Class.WARN),
        (
            "ALTER SYSTEM SET local_listener='(ADDRESS=(PROTOCOL=TCP)(HOST=192.0.2.9)(PORT=1521))' SID='BX51';",
            Class.WARN,
        ),
        ("ALTER SYSTEM SET job_queue_processes=0 SCOPE=MEMORY;", Class.WARN),
        ("ALTER SYSTEM SET open_cursors=800 SCOPE=BOTH;", Class.ROUTINE),
        # an orderly stop
        ("Managed Standby Recovery Canceled (BX5)", Class.WARN),
        ("ALTER DATABASE RECOVER MANAGED STANDBY DATABASE CANCEL", Class.WARN),
        ("Stopping background process MMON", Class.WARN),
        ("Stopping background process VKRM", Class.OTHER),
        ("PDB1(3):JIT: pid 42991 requesting full stop", Class.WARN),
        ("SMON: disabling tx recovery", Class.WARN),
        ("LMHB (ospid: 5352) kills LMS0 (ospid: 5344).", Class.UNKNOWN),
        ("Fetching gap sequence in thread 1, gap sequence 84-84", Class.WARN),
        # one copy less
        ("NOTE: process _user89478_bx51 (89478) initiating offline of disk 3.3915946321 (DATA_0003)", Class.FAIL),
        ("WARNING: Disk SCRATCH_05 in mode 0x7f is now being offlined", Class.FAIL),
        ("WARNING: Disk (SCRATCH_05) will be dropped in: (30596) secs on ASM inst: (2)", Class.FAIL),
        ("WARNING: Write Failed. group:1 disk:3 AU:91224 offset:65536 size:8192", Class.WARN),
        ("CRS-1604: CSSD voting file is offline: /dev/rhdisk7", Class.FAIL),
        ("CRS-1605: CSSD voting file is online: /dev/rhdisk7", Class.ROUTINE),
        ("ALTER SYSTEM SET event='ORA-600 trace name errorstack level 3' SCOPE=BOTH;", Class.ROUTINE),
        (
            "Primary has heard from neither observer nor target standby within FastStartFailoverThreshold seconds",
            Class.FAIL,
        ),
        ("WARNING: Instance shutdown required to protect primary.", Class.FAIL),
        (">>> WAITED TOO LONG FOR A ROW CACHE ENQUEUE LOCK! pid=33", Class.FAIL),
        ("ERROR: no read quorum in group: required 2, found 1 disks", Class.FAIL),
        ("NOTE: cache dismounting (not clean) group 1/0x10F (DATA)", Class.FAIL),
        ("NOTE: cache dismounted group 1/0x10F (DATA)", Class.FAIL),
        ("SQL> alter diskgroup DATA dismount force /* ASM SERVER */", Class.FAIL),
        ("minact-scn: useg scan erroring out with error e:12751", Class.WARN),
        ("minact-scn: Inst 1 is now the master inc#:2 mmon proc-id:8 status:0x7", Class.ROUTINE),
        # a line that quotes others
        ("Patch Description: STARTUP FAILS ORA-600 [X] DURING ROLLING RU APPLY", Class.ROUTINE),
        ("PDB1(3):Patch Description: TERMINATING THE INSTANCE DUE TO ORA-1578", Class.ROUTINE),
        ("ORA-00600: internal error code, arguments: [Patch Description: x]", Class.FAIL),
        # what happens every day
        ("Error ORA-235 occurred during an un-locked control file transaction.", Class.ROUTINE),
        ("ORA-28 : opiodr aborting process unknown ospid (4522_1)", Class.EXPECTED),
        ("ORA-03135: connection lost contact", Class.WARN),
        ("ORA-00604: error occurred at recursive SQL level 1", Class.WARN),
        ("ORA-00604: error occurred at recursive SQL level 1\nORA-01110: data file 4", Class.UNKNOWN),
        ("ORA-19815: WARNING: db_recovery_file_dest_size is 86.00% used", Class.WARN),
        ("ORA-16665: timeout waiting for the result from a member", Class.WARN),
        (
            (
                "Errors in file x.trc:\nORA-00609: could not attach to incoming connection\nORA-12537: "
                "TNS:connection closed"
            ),
            Class.WARN,
        ),
        ("Domain Action Reconfiguration started (domid 3, new da inc 5, cluster inc 2)", Class.ROUTINE),
        ("Dirty Detach Reconfiguration complete (total time 0.1 secs)", Class.ROUTINE),
        ("Reconfiguration started (old inc 4, new inc 6)", Class.WARN),
        # the clusterware, in any language
        ("CRS-1607: Knoten bxaix86 wird entfernt", Class.FAIL),
        ("CRS-1609: このノードは", Class.FAIL),
        ("CRS-1612: Network communication with node bxaix86 (2) missing for 50% of timeout interval.", Class.WARN),
        ("CRS-1617: The IPMI device driver is not available", Class.ROUTINE),
        ("CRS-1621: The IPMI configuration data for this node was not found", Class.ROUTINE),
    ],
)
def test_the_table_says(line: str, meaning: Class) -> None:
    assert meaning_of(line) is meaning


def test_a_code_that_is_cut_off_is_not_taken_for_another() -> None:
    events = read_alert_log("Fri Aug 15 14:27:20 2003\nORA-0060")
    assert RULES.classify(events[0]).meaning is Class.UNKNOWN


def test_every_rule_has_a_reason_and_what_is_recalled_stands_alone() -> None:
    keys = [rule.key for rule in RULES]
    assert len(keys) == len(set(keys))
    assert all(rule.reason and rule.source and rule.mark in ("V", "S", "U") for rule in RULES)
    assert {rule.key for rule in RULES if rule.mark == "U"} == {
        "block-read-again",
        "block-recovered",
        "clusterware-clock",
        "clusterware-lost-something",
        "clusterware-status",
        "cssd-not-scheduled",
        "data-file-offline",
        "disk-group-mounted",
        "distributed-in-doubt",
        "file-error",
        "hang-reported",
        "instance-of-the-cluster-died",
        "instance-killed",
        "internal-errors-flood",
        "processes-not-started",
        "role-changed",
        "standby-away",
        "state-changed",
        "storage-path-down",
        "undo-needs-recovery",
    }


def test_a_site_s_rule_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {key: our-batch, class: routine, codes: [ORA-60], reason: our batch retries, source: us}\n")
    assert meaning_of("ORA-00060: Deadlock detected.") is Class.WARN
    assert meaning_of("ORA-00060: Deadlock detected.", LogRules.standard(path)) is Class.ROUTINE


@pytest.mark.parametrize(
    "row",
    [
        "- {key: a, class: fail, reason: r, source: s}",
        "- {key: a, class: awful, codes: [ORA-1], reason: r, source: s}",
        "- {key: a, class: fail, codes: [ORA-x], reason: r, source: s}",
        "- {key: a, class: fail, contains: text, reason: r, source: s}",
        "- {key: a, class: fail, pattern: '(', reason: r, source: s}",
        "- {key: a, class: fail, kodes: [ORA-1], reason: r, source: s}",
        "- 7",
        "key: a",
        "- [",
    ],
)
def test_a_rule_that_cannot_be_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(row)
    with pytest.raises(SiteFileError):
        LogRules.standard(path)


# -- judging -----------------------------------------------------------------------------------------------------------


NOON = local(2008, 8, 8, 12)


def switches(count: int, every_s: int, text: str, begin: datetime = NOON) -> str:
    """A log with something at an interval."""
    return "".join(f"{begin + timedelta(seconds=n * every_s):%a %b %e %H:%M:%S %Y}\n{text}\n" for n in range(count))


STALL = "Thread 1 cannot allocate new log, sequence 4712\nCheckpoint not complete"


def judged(text: str, since: datetime | None) -> Any:
    judge = Judge(LogWindow(since))
    for event in read_alert_log(text):
        judge.add(RULES.classify(event))
    return judge.judgement()


def test_what_comes_as_often_as_ever_is_routine_and_what_comes_more_often_is_a_warning() -> None:
    assert judged(switches(240, 60, STALL), local(2008, 8, 8, 14)).verdict == "pass"
    busier = switches(120, 60, STALL) + switches(240, 30, STALL, local(2008, 8, 8, 14))
    assert judged(busier, local(2008, 8, 8, 14)).verdict == "warn"
    assert judged(busier, None).verdict == "unknown"  # nobody knows what is usual


def test_only_what_came_since_counts() -> None:
    text = switches(1, 1, "ORA-00600: old") + switches(2, 1, "Thread 1 advanced to log", local(2008, 8, 8, 14))
    assert judged(text, None).verdict == "fail"
    assert judged(text, local(2008, 8, 8, 13, 59)).verdict == "pass"


def test_a_second_that_began_before_the_window_and_may_end_in_it_is_inside() -> None:
    text = switches(1, 1, "ORA-00600: now")
    assert judged(text, local(2008, 8, 8, 12, 0, 0, 500_000)).verdict == "fail"
    assert judged(text, local(2008, 8, 8, 12, 0, 1)).verdict == "pass"


def test_a_time_with_a_zone_needs_the_zone_of_a_log_without_one() -> None:
    text = switches(1, 1, "ORA-00600: now")
    with pytest.raises(UsageError):
        judged(text, datetime.fromisoformat("2008-08-08T10:00:00Z"))
    window = LogWindow.asked("2008-08-08T10:00:00Z", zone="Europe/Berlin")
    judge = Judge(window)
    judge.add(RULES.classify(read_alert_log(text)[0]))
    assert judge.judgement().verdict == "fail"


def test_only_the_tail_of_a_long_log_is_read_and_its_answer_is_that_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "alert_BX5.log"
    path.write_text(
        switches(60_000, 1, "Thread 1 advanced to log sequence 1 (LGWR switch)\n  Current log# 1") + "ORA-00600: x\n"
    )
    since = local(2008, 8, 8, 12) + timedelta(seconds=59_000)
    found = examine(path, LogWindow(since, usual=timedelta(minutes=1)))
    assert found.started_at > found.size / 2
    assert found.judgement.inside == judged(path.read_text(), since).inside == 1001


def test_a_clock_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alert_BX5.log"
    again = switches(3600, 1, "x", local(2008, 10, 26, 2)) * 2
    path.write_text(switches(60_000, 1, "x", local(2008, 10, 25)) + again)
    found = examine(path, LogWindow(local(2008, 10, 26, 2, 30), usual=timedelta(0)))
    assert found.judgement.inside == 5400, "what stands below 02:30 was written after it, whatever its stamp says"
    assert found.started_at > 0


def test_a_jump_of_the_clock_counts_when_it_was_and_not_when_the_stamp_above_was() -> None:
    text = text_of(FIXTURES / "oracle-11.2/vktm_trace/jumps_under_an_old_stamp.json").decode()

    def jumps(window: LogWindow) -> list[float]:
        judge = Judge(window)
        for event in read_alert_log(text):
            judge.add(RULES.classify(event))
        return [witness.seconds for _, witness in judge.judgement().witnesses]

    assert jumps(LogWindow()) == [1.604372, 5.100246, 2.900778]
    assert jumps(LogWindow.asked("2012-07-12T13:00Z", zone="America/New_York")) == [2.900778]
    assert jumps(LogWindow.asked("2012-07-12T09:00", zone="America/New_York")) == [2.900778]
    assert jumps(LogWindow.asked("2012-07-12T05:00", zone="America/New_York")) == [5.100246, 2.900778]
    assert jumps(LogWindow.asked("2012-07-12T09:00")) == [2.900778]
    assert jumps(LogWindow.asked("2012-07-12T05:00")) == [1.604372, 5.100246, 2.900778]  # the first may have been after


def test_what_is_no_alert_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    listener = b"01-MAR-2026 10:00:05 * (CONNECT_DATA=(SID=BX5)) * (ADDRESS=(HOST=192.0.2.9)) * establish * BX5 * 0\n"
    stamped = b"2026-03-01T10:00:05.000000+01:00\n" + listener
    for content in (b"", b"\x1f\x8b\x08" + bytes(range(256)), b"root:x:0:0\n" * 100, listener, stamped):
        path.write_bytes(content)
        with pytest.raises(UnexpectedReply):
            examine(path)
    with pytest.raises(NotFound):
        examine(tmp_path / "none.log")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lpmkit.cli", "alert", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_s_exit_statuses(tmp_path: Path) -> None:
    log = tmp_path / "alert_BX5.log"
    log.write_text(switches(3, 60, "Thread 1 advanced to log sequence 1"))
    assert command(str(log)).returncode == 0
    log.write_text(log.read_text() + "ORA-00600: internal error code, arguments: [a[b]\n")
    said = command(str(log), "--json")
    assert said.returncode == 1
    assert json.loads(said.stdout)["events"][0]["codes"] == ["ORA-00600"]
    assert command(str(log), "--since", "2008-08-09").returncode == 0
    assert command(str(log), "--since", "yesterday").returncode == 2
    assert command(str(log), "--since", "2008-08-08T10:00Z").returncode == 2
    assert command(str(tmp_path / "none")).returncode == 2
    log.write_text("nothing\n")
    assert command(str(log)).returncode == 3


# -- following ---------------------------------------------------------------------------------------------------------


class HostWithFiles:
    """A session that answers ``ls``, ``wc`` and ``tail`` from files here, and decodes what they print as `SshSession`
    does.
    """

    where = "bxaix85"

    def __init__(self, *, tells_inodes: bool = True) -> None:
        self.tells_inodes = tells_inodes

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        words = [word for word in arguments if self.tells_inodes or word != "-i"]
        done = subprocess.run(list(words), capture_output=True, check=False, env={**os.environ, "LANG": "C"})
        try:
            text = done.stdout.decode()
        except UnicodeDecodeError:
            text = done.stdout.decode("latin-1")
        return Reply(self.where, " ".join(words), done.returncode, text, done.stderr.decode())

    def close(self) -> None: ...


def over_a_login(path: Path, position: Position | None = None) -> LogTail:
    return AlertFollower(HostWithFiles(), str(path), position)


def without_inodes(path: Path, position: Position | None = None) -> LogTail:
    return AlertFollower(HostWithFiles(tells_inodes=False), str(path), position)


everywhere = pytest.mark.parametrize("follow", [over_a_login])
HEAD = "Fri Aug  8 20:14:02 2008\nThread 1 advanced to log sequence 1 (LGWR switch)\n"


def texts(follower: LogTail, polls: int = 2) -> list[str]:
    return [event.text for _ in range(polls) for event in follower.poll()]


def add(path: Path, data: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(data.encode() if isinstance(data, str) else data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "alert_BX5.log"
    path.write_text(HEAD)
    return path


@everywhere
def test_only_what_is_new_is_given_and_the_time_above_holds(follow: Any, log: Path) -> None:
    follower = follow(log)
    assert texts(follower) == []
    add(log, "ORA-00600: x\n")
    events = [*follower.poll(), *follower.poll()]
    assert [(event.text, str(event.when)) for event in events] == [("ORA-00600: x", "2008-08-08 20:14:02")]
    assert log.read_bytes()[events[0].offset :] == b"ORA-00600: x\n"


@everywhere
def test_a_half_line_waits_until_it_is_whole_also_in_the_middle_of_a_letter(follow: Any, log: Path) -> None:
    follower = follow(log)
    follower.poll()
    line = "Größe 日本\n".encode()
    for at in range(len(line) - 1):
        add(log, line[at : at + 1])
        assert texts(follower) == []
    add(log, b"\n")
    assert texts(follower) == ["Größe 日本"]


@everywhere
@pytest.mark.parametrize("coding", ["latin-1", "utf-8"])
def test_a_line_of_letters_that_both_encodings_have_is_counted_in_bytes(follow: Any, log: Path, coding: str) -> None:
    log.write_text(HEAD * 3)
    follower = follow(log)
    follower.poll()
    add(log, "Größe überschritten\n".encode(coding))
    assert texts(follower) == ["Größe überschritten"]
    assert follower.position.offset == log.stat().st_size


@everywhere
def test_one_encoding_after_the_other_loses_no_byte(follow: Any, log: Path) -> None:
    follower = follow(log)
    follower.poll()
    for word in ("Größe", "naïve", "Ende"):
        for coding in ("latin-1", "utf-8"):
            add(log, f"{word}\n".encode(coding))
            assert texts(follower) == [word]
    assert follower.position.offset == log.stat().st_size
    assert not follower.gaps


@everywhere
def test_a_log_that_was_moved_away_is_read_to_its_end_and_the_new_one_from_its_beginning(
    follow: Any, log: Path
) -> None:
    follower = follow(log)
    follower.poll()
    add(log, "the last words\n")
    log.rename(log.with_name("alert_BX5.log.old"))
    assert texts(follower, 1) == []  # it is not there just now
    log.write_text(
        HEAD + "the first words, of a log that is longer than the old one was, so that its size alone would not tell\n"
    )
    assert texts(follower) == [
        "the last words",
        "Thread 1 advanced to log sequence 1 (LGWR switch)",
        "the first words, of a log that is longer than the old one was, so that its size alone would not tell",
    ]
    assert not follower.gaps


@everywhere
@pytest.mark.parametrize("kept", [True, False])
def test_of_a_log_that_never_comes_back_the_rest_is_read_or_missed(follow: Any, log: Path, kept: bool) -> None:
    follower = follow(log)
    follower.poll()
    add(log, "ORA-00600: the last words\n")
    log.rename(log.with_name("alert_BX5.log.old")) if kept else log.unlink()
    assert texts(follower) == []
    assert not follower.is_there
    last = [event.text for event in follower.finish()]
    assert last == (["ORA-00600: the last words"] if kept else [])
    assert [gap for gap in follower.gaps if "was moved away; what stood in it after byte" in gap] == (
        [] if kept else follower.gaps
    )
    assert bool(follower.gaps) is not kept


def listed(*nodes: str, language: str = "CSSD Reconfiguration complete. Active nodes are {}.") -> Any:
    return event_of("[cssd(1602)]CRS-1601:" + language.format("".join(f"{node} " for node in nodes)))


def event_of(text: str) -> LogEvent:
    return LogEvent(None, tuple(text.splitlines()), 0, 1)


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (listed("n1", "n2", "n3"), listed("n1", "n3"), "fail"),
        (listed("n1", "n3"), listed("n1", "n2", "n3"), "warn"),
        (listed("n1", "n2", language="CSSD 重新配置完毕。活动节点为 {}。"), listed("n1", language="CSSD 重新配置完毕。活动节点为 {}。"), "fail"),
        (event_of("List of instances (total 2) :\n 1 2"), event_of("List of instances (total 1) :\n 1"), "fail"),
        (event_of("List of instances:\n 1 2 (myinst: 1) "), event_of("List of instances:\n 1 2 (myinst: 1) "), "pass"),
    ],
)  # fmt: skip
def test_a_member_that_the_last_list_of_a_cluster_had_is_missed(before: LogEvent, now: LogEvent, verdict: str) -> None:
    judge = Judge()
    judge.add_placed(RULES.classify(before), LogPosition.BEFORE, None)
    judge.add_placed(RULES.classify(now), LogPosition.INSIDE, timedelta(seconds=1))
    assert judge.judgement().verdict == verdict


@pytest.mark.parametrize(("clients", "verdict"), [(2, "pass"), (200, "warn")])
def test_clients_that_went_away_in_a_crowd_are_a_warning(clients: int, verdict: str) -> None:
    judge = Judge()
    for number in range(clients):
        text = f"opiodr aborting process unknown ospid ({number}) as a result of ORA-609"
        judge.add_placed(RULES.classify(event_of(text)), LogPosition.INSIDE, timedelta(seconds=1))
    assert judge.judgement().verdict == verdict


def test_time_for_which_the_clusterware_did_not_run_is_a_witness() -> None:
    line = "CRS-1719: Cluster Synchronization Service daemon (CSSD) clssnmvWorkerThread not scheduled for 7150 msecs."
    witness = RULES.classify(event_of(line)).witness
    assert str(witness) == "CSSD not scheduled: 7.150 s"


class RotatedWhileRead(HostWithFiles):
    """A host on which the log is moved away just before a command: the path is another file, or none, from then on."""

    def __init__(self, log: Path, command: str, new: str | None) -> None:
        super().__init__()
        self.log, self.command, self.new = log, command, new
        self.armed = False

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        if self.armed and arguments[0] == self.command:
            self.armed = False
            self.log.rename(self.log.with_name("alert_BX5.log.old"))
            if self.new is not None:
                self.log.write_text(self.new)
        return super().run(arguments, timeout_s=timeout_s, stdin=stdin)


@pytest.mark.parametrize("command", ["ls", "wc", "tail"])
@pytest.mark.parametrize("new", [None, "", HEAD + "another log's first words\n", "its first words " * 20 + "\n"])
def test_a_log_that_is_moved_away_between_two_commands_of_one_poll_loses_nothing(
    log: Path, command: str, new: str | None
) -> None:
    host = RotatedWhileRead(log, command, new)
    follower = AlertFollower(host, str(log))
    follower.poll()
    add(log, "the last words\n")
    host.armed = True
    seen = texts(follower, 1)
    if new is None:
        log.write_text(new := HEAD + "made again\n")
    add(log, "and on\n")
    seen += texts(follower, 4)
    lines = [line for text in seen for line in text.splitlines()]
    stamp = HEAD.splitlines()[0]
    assert lines == ["the last words", *(line for line in (new + "and on").splitlines() if line != stamp)]
    assert not follower.gaps


@pytest.mark.parametrize("follow", [over_a_login, without_inodes])
@pytest.mark.parametrize("content", ["short\n", HEAD[::-1].strip() + "\n", "longer than before " * 10 + "\n"])
def test_a_log_that_was_emptied_or_written_anew_is_read_from_its_beginning_and_the_gap_is_named(
    follow: Any, log: Path, content: str
) -> None:
    follower = follow(log)
    follower.poll()
    log.write_text(content)
    assert "\n".join(texts(follower, 3)) == content.strip("\n")
    assert len(follower.gaps) == 1


@everywhere
def test_a_position_outlives_the_program(follow: Any, log: Path) -> None:
    follower = follow(log)
    follower.poll()
    position = follower.position
    add(log, "while nobody looked\n")
    again = follow(log, position)
    found = [*again.poll(), *again.poll()]
    assert [(one.text, str(one.when)) for one in found] == [("while nobody looked", "2008-08-08 20:14:02")]


@everywhere
def test_the_beginning_is_a_position_too(follow: Any, log: Path) -> None:
    assert texts(follow(log, Position())) == ["Thread 1 advanced to log sequence 1 (LGWR switch)"]


def test_a_log_that_is_not_there_is_an_error_and_not_silence(tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match="No such file"):
        over_a_login(tmp_path / "none").poll()


def test_the_log_is_found_where_sap_puts_it_or_where_the_instance_says() -> None:
    class Answers(HostWithFiles):
        def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
            there = [word for word in arguments if word.endswith("/trace/alert_BX5.log")]
            return Reply("h", "", 0 if there else 2, "\n".join(there), "ls: not found")

    assert find_alert_log(Answers(), "BX5") == "/oracle/BX5/saptrace/diag/rdbms/bx5/BX5/trace/alert_BX5.log"
    assert find_alert_log(Answers(), "BX5", "/u01/trace/") == "/u01/trace/alert_BX5.log"
    with pytest.raises(NotFound):
        find_alert_log(Answers(), "BX5", "/u01/bdump")


def test_the_simulated_database_goes_on_logging_and_stands_still_with_its_partition() -> None:
    """Over real SSH, from where SAP puts it; while the partition is stopped not a byte is written."""

    def events_within(seconds: float) -> list[LogEvent]:
        events: list[LogEvent] = []

        def some() -> bool:
            events.extend(follower.poll())
            return bool(events)

        wait_until(some, clock=Clock(), timeout_s=seconds, every_s=0.2)
        return events

    with Simulator(speed=200) as simulator:
        session = SshSession(route("bxaix85", simulator.ssh_config))
        try:
            path = find_alert_log(session, "BX5")
            follower = AlertFollower(session, path)
            assert follower.poll() == ()
            before = events_within(30)
            host = simulator.hosts["bxaix85"]
            file = simulator.directory / "partitions" / "bxaix85" / path.lstrip("/")
            host.suspend()
            size = file.stat().st_size
            due_s = LOG_SWITCH_EVERY_S + 0.5
            assert not wait_until(lambda: file.stat().st_size != size, clock=Clock(), timeout_s=due_s)
            host.resume()
            after = events_within(30)
        finally:
            session.close()
    assert {RULES.classify(event).meaning for event in [*before, *after]} == {Class.ROUTINE}
    assert before
    assert after
    assert follower.position.inode is not None
    assert not follower.gaps


class View:
    """V$DIAG_ALERT_EXT of a database: its entries by their times, and the present."""

    def __init__(self, *entries: str) -> None:
        self.entries, self.now = list(entries), "10:00:00.000000"

    def rows(self, sql: str, limit_s: float = 0.0) -> list[tuple[str | None, ...]]:
        if "systimestamp" in sql:
            return [(f"2026-03-01 {self.now} +00:00",)]
        since = re.search(r"'2026-03-01 ([\d:.]+) ", sql)
        assert since is not None
        found = sorted(entry for entry in self.entries if entry.split()[0] > since[1])
        return [(f"2026-03-01 {one.split()[0]} +00:00", "rdbms", "1", "16", "1", one, None) for one in found]


def test_by_sql_each_entry_comes_once_also_when_the_clock_was_set_back() -> None:
    view = View("09:59:59.000000 before")
    follower = DiagFollower(view)  # type: ignore[arg-type]
    assert follower.poll() == ()

    def new(*entries: str) -> list[str]:
        view.entries += entries
        return [event.text.partition(" ")[2] for event in follower.poll()]

    assert new("10:00:05.462000 one") == ["one"]
    assert new("10:00:05.462000 two of the same millisecond") == ["two of the same millisecond"]
    assert new("09:59:58.000000 after the clock was set back") == ["after the clock was set back"]
    assert new() == []
    assert new("09:59:59.000000 before") == ["before"], "the same words a second time"
    assert [event.text.partition(" ")[2] for event in follower.before] == ["before"], "what is usual there"


def test_a_log_that_grew_beyond_measure_is_taken_up_near_its_end_and_the_gap_is_named(log: Path) -> None:
    follower = over_a_login(log)
    follower.poll()
    add(log, "x" * 99 + "\n")
    add(log, ("y" * 99 + "\n") * 180_000)
    events = [*follower.poll(), *follower.poll()]
    assert follower.position.offset == log.stat().st_size
    assert {event.text[0] for event in events} == {"y"}
    assert len(follower.gaps) == 1


WORDS = st.sampled_from(
    [
        "Fri Aug 15 14:27:20 2003", "2017-03-24T17:49:39.327480+09:00", "*** 2012-06-04 12:19:37.462",
        "ORA-00600: internal error", "",
        "Fatal NI connect error 12170.", "    ns main err code: 12535", "*" * 71, "  Client address: (ADDRESS=x)",
        "<msg time='2017-03-24T17:49:39.327+09:00'",
        " type='UNKNOWN'>", " <txt>x &lt; y", " </txt>", "</msg>", "Thread 1 cannot allocate new log, sequence 8",
        "Checkpoint not complete", "WARNING: inbound connection timed out (ORA-3136)",
    ]
)  # fmt: skip


@given(
    st.lists(st.one_of(WORDS, st.text(max_size=30)), max_size=25),
    st.lists(st.integers(0, 400), max_size=6),
    st.booleans(),
)
def test_any_lines_in_any_pieces_are_accounted_for_and_come_back_from_a_run(
    lines: list[str], cuts: list[int], ended: bool
) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass") + (b"\n" if ended else b"")
    reader, events, at = AlertReader(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        events += reader.feed(data[at:cut])
        at = max(at, cut)
    events += reader.finish()
    counts = reader.counts
    assert counts.lines == counts.stamps + counts.blank + counts.in_events
    assert sum(event.line_count for event in events) == counts.in_events
    for event in events:
        back = from_row(json.loads(json.dumps(as_row(event, "alert.log", 1, 2))))
        assert (back.when, back.kind, back.lines) == (event.when, event.kind, event.lines[:60])
        LogRules.standard().classify(back)


# -- stamps and blocks as they are in the field ------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["THAIST", "GRNLNDST", "<-03>", "GMT+03:00", "CEST", "UTC", ""])
def test_the_zone_names_of_aix_are_part_of_a_stamp(zone: str) -> None:
    (event,) = read_alert_log(f"Fri Aug 15 14:27:20 {zone + ' ' if zone else ''}2003\nORA-00600: x\n")
    assert str(event.when) == "2003-08-15 14:27:20"


@pytest.mark.parametrize("address", ["(ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.9)(PORT=51001))", "(LOCAL=NO)"])
@pytest.mark.parametrize("number", [12537, 12547, 12543, 12514, 12571, 12637])
def test_a_network_block_is_one_event_whatever_its_address_looks_like(number: int, address: str) -> None:
    text = (
        f"Fri Aug 15 14:27:20 2003\nFatal NI connect error {number}, connecting to:\n {address}\n\n  VERSION "
        "INFORMATION:\n"
        "\tTNS for IBM/AIX RISC System/6000: Version 11.2.0.4.0 - Production\n  Time: 15-AUG-2003 14:27:20\n  "
        "Tracing not turned on.\n"
        f"  Tns error struct:\n    ns main err code: {number}\n    \nTNS-{number}: TNS:gone\n    ns secondary "
        "err code: 12560\n    nt main err code: 517\n    \n"
        "TNS-00517: Lost contact\n    nt secondary err code: 32\n    nt OS err code: 0\n"
    )
    (event,) = read_alert_log(text)
    entry = RULES.classify(event)
    assert (event.kind, entry.meaning) == (EventKind.NETWORK, Class.WARN)
    assert entry.client == (address if "ADDRESS" in address else None)


def test_a_stack_of_a_pluggable_database_is_one_event_and_names_it() -> None:
    text = (
        "2026-03-01T10:00:07.500+00:00\nPDB1(3):Errors in file /x/BX5_ora_1.trc  (incident=1) (PDBNAME=PDB1):\n"
        "PDB1(3):ORA-00600: internal error code, arguments: [a]\nPDB2(4):ORA-00060: deadlock\n"
    )
    first, second = read_alert_log(text)
    assert (first.container, len(first.lines), second.container) == ("PDB1", 2, "PDB2")
    element = (
        "<msg time='2026-03-01T10:00:07.500+00:00' pid='1' con_id='3' con_name='PDB1'>\n <txt>ORA-00600: x\n "
        "</txt>\n</msg>\n"
    )
    (event,) = read_alert_log(element)
    assert event.container == "PDB1"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01 10:00:07.500 [OCSSD(4522)]CRS-1609: Dieser Knoten kann nicht mit anderen Knoten kommunizieren\n",
        "2026-03-01 10:00:07.500\n[cssd(4522)]CRS-1609:This node is unable to communicate with other nodes\n",
        "2026-03-01 10:00:07.500: \n[cssd(4522)]CRS-1609:This node is unable to communicate with other nodes\n",
    ],
)
def test_the_clusterwares_log_is_read(text: str) -> None:
    (event,) = read_alert_log(text)
    assert (str(event.when), RULES.classify(event).meaning) == ("2026-03-01 10:00:07.500000", Class.FAIL)


def test_an_excerpt_without_a_stamp_is_judged_and_a_file_of_something_else_is_not(tmp_path: Path) -> None:
    path = tmp_path / "excerpt.txt"
    path.write_text(
        "Fatal NI connect error 12170.\n  Time: 14-MAR-2018 21:07:55\n    TNS-12535: TNS:operation timed out\n"
    )
    assert examine(path).judgement.verdict == "warn"
    path.write_text("ORA-00600: internal error code, arguments: [x]\n")
    assert examine(path).judgement.verdict == "fail"


# -- codes that no rule knows ------------------------------------------------------------------------------------------


def hourly(code: str, before: int, after: int) -> str:
    begin = local(2008, 8, 8, 12)
    steps = [begin + timedelta(seconds=3500 * n / before) for n in range(before)]
    steps += [begin + timedelta(hours=1, seconds=600 * (n + 1) / (after + 1)) for n in range(after)]
    steps = [begin - timedelta(hours=1), *steps]
    texts = ["Thread 1 advanced to log sequence 8", *[f"{code}: text"] * (len(steps) - 1)]
    return "".join(f"{at:%a %b %e %H:%M:%S %Y}\n{text}\n" for at, text in zip(steps, texts, strict=True))


@pytest.mark.parametrize(
    ("code", "before", "after", "verdict"),
    [
        ("ORA-28500", 60, 10, "pass"),
        ("ORA-28500", 1, 10, "warn"),
        ("ORA-28500", 0, 1, "warn"),
        ("ORA-01118", 60, 10, "pass"),
        ("ORA-01118", 0, 1, "fail"),
        ("ORA-27300", 0, 1, "warn"),
        ("ORA-27102", 0, 1, "fail"),
    ],
)
def test_a_code_that_no_rule_knows_rests_on_the_time_before_and_on_its_family(
    code: str, before: int, after: int, verdict: str
) -> None:
    assert judged(hourly(code, before, after), local(2008, 8, 8, 13)).verdict == verdict


def test_each_code_of_a_warning_has_a_rate_of_its_own() -> None:
    text = hourly("ORA-12012", 60, 1)
    assert judged(text, local(2008, 8, 8, 13)).verdict == "pass"
    verdict = judged(text + "Fri Aug  8 13:30:00 2008\nORA-04031: unable to allocate\n", local(2008, 8, 8, 13))
    found = {(tally.key, tally.meaning, tally.count) for tally in verdict.tallies}
    assert found == {("resources", Class.ROUTINE, 1), ("resources", Class.WARN, 1)}
    assert judged(text + "ORA-04031: in the same stack\n", local(2008, 8, 8, 13)).verdict == "warn"


def test_a_resource_that_fails_all_day_hides_no_other() -> None:
    failed = "[CRSD(1)]CRS-2765:Resource 'ora.{}' has failed on server 'bxaix85'.\n"
    log = "".join(f"2008-08-08 12:{n:02}:00.000 {failed.format('ons')}" for n in range(10, 60, 5))
    log += f"2008-08-08 13:05:00.000 {failed.format('ons')}"
    assert judged(log, local(2008, 8, 8, 13)).verdict == "pass"
    log += f"2008-08-08 13:06:00.000 {failed.format('bx5.db')}"
    assert judged(log, local(2008, 8, 8, 13)).verdict == "fail"


def test_a_site_s_own_warning_is_one_however_often_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {key: ours, class: warn, codes: [ORA-28500], reason: we want to know, source: us}\n")
    rules, judge = LogRules.standard(path), Judge(LogWindow(local(2008, 8, 8, 13)))
    for event in read_alert_log(hourly("ORA-28500", 60, 10)):
        judge.add(rules.classify(event))
    assert judge.judgement().verdict == "warn"


# -- where the clusterware writes --------------------------------------------------------------------------------------


class ClusterHost:
    """A host that answers the commands that look for the clusterware's log."""

    where = "bxaix85"

    def __init__(self, olr: str, base: str, there: str) -> None:
        self._olr, self._base, self._there = olr, base, there
        self.processes = "    PID COMMAND\n"

    def run(self, arguments: Any, **_: Any) -> Any:
        program = arguments[0]
        if program == "cat":
            return SimpleNamespace(status=0 if self._olr else 1, output=self._olr)
        if program == "env":
            return SimpleNamespace(status=0, output=self._base)
        if program == "ps":
            return SimpleNamespace(status=0, output=self.processes)
        return SimpleNamespace(status=0, output=self._there if self._there in arguments else "")


OLR = "olrconfig_loc=/u01/app/19/grid/cdata/bxaix85.olr\ncrs_home=/u01/app/19/grid\n"


@pytest.mark.parametrize(
    ("olr", "base", "there", "found"),
    [
        (OLR, "/u01/app/grid\n", "/u01/app/grid/diag/crs/bxaix85/crs/trace/alert.log", True),
        (OLR, "/u01/app/grid\n", "/u01/app/19/grid/log/bxaix85/alertbxaix85.log", True),
        (OLR, "orabase: not found\n", "/u01/app/19/grid/log/bxaix85/alertbxaix85.log", True),
        (OLR, "/u01/app/grid\n", "/elsewhere/alert.log", False),
        ("", "", "", False),
    ],
)
def test_the_clusterwares_log_is_found_in_its_places(olr: str, base: str, there: str, found: bool) -> None:
    session: Any = ClusterHost(olr, base, there)
    assert find_clusterware_log(session, "BXAIX85.example.net") == (there if found else None)


def test_a_clusterware_that_runs_and_whose_log_is_nowhere_is_no_clusterware_without_a_log() -> None:
    session: Any = ClusterHost(OLR, "/u01/app/grid\n", "")
    session.processes = "    PID COMMAND\n 418022 /u01/app/19/grid/bin/ocssd.bin\n"
    with pytest.raises(NotFound, match="clusterware"):
        find_clusterware_log(session, "bxaix85")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Cause - 'Instance is being terminated due to fatal process death (pid: 4, ospid: 1, PMON)'",
         "instance-killed"),
        ("KCF: read, write or open error, block=0x1 online=1", "file-error"),
        ("Remote instance kill is issued with system inc 8", "instance-killed"),
        ("Detected an inconsistent instance membership by instance 2", "instance-killed"),
        ("LGWR: All standby destinations have failed", "standby-away"),
        ("Destination LOG_ARCHIVE_DEST_2 is UNSYNCHRONIZED", "standby-away"),
        ("RFS[1]: Possible network disconnect with primary database", "standby-away"),
        ("LGWR: Network asynch I/O wait error 3135 log 1 service 'BX5S'", "standby-away"),
        ("The primary database is no longer observed by the target standby", "standby-away"),
        ("LMON (ospid: 1) has not called a wait for 60 secs.", "hang-reported"),
        ("DIA0 Critical Database Process As Root: Hang ID 1 blocks 5 sessions", "hang-reported"),
        ("Suspending MMON action 'x' for 82800 seconds", "hang-reported"),
        ("Global Enqueue Services Deadlock detected (DID = 1)", "hang-reported"),
        ("Process startup failed, error stack:", "processes-not-started"),
        ("NOTE: process _user4711 initiating offline of disk 0.1 (DATA_0000) with mask 0x7e", "asm-disk-offline"),
        ("ERROR: disk 0 (DATA_0000) in group 1 (DATA) cannot be offlined because all disks [0] would be offline.",
         "asm-offline-refused"),
        ("DDE: Problem Key 'ORA 600 [x]' was flood controlled (0x6) (incident: 1)", "internal-errors-flood"),
        ("PDB1(3):Time drifted forward by (1043293) micro seconds at 3436684671088", "vktm-drift-length"),
        ("(3):Pluggable database PDB1 closed", "container-closed"),
        ("LMS0 (ospid: 1234) received an instance eviction notification from instance 2 [2]", "evicted"),
        ("Waiting for clusterware split-brain resolution", "evicted"),
        ("Received an instance abort message from instance 1", "evicted"),
        ("Instance Critical Process (pid: 15, ospid: 12345, LGWR) died unexpectedly", "instance-killed"),
        ("Beginning crash recovery of 1 threads", "recovered-after-a-crash"),
        ("System state dump requested by (instance=1, osid=4711 (PMON)), summary=[abnormal instance termination].",
         "instance-killed"),
        ("Pluggable database PDB1 dropped", "container-closed"),
        ("PDB1(3):Pluggable database PDB1 opened in restricted mode", "container-closed"),
        ("Pluggable database PDB1 opened read only", "container-closed"),
        ("Direct NFS: channel id [0] path [192.0.2.8] to filer [nas1] via local [192.0.2.2] is DOWN",
         "storage-path-down"),
        ("DISTRIB TRAN BX5.1234.5.6.7\n  is local tran 5.6.7 (hex=05.06.07)", "distributed-in-doubt"),
        ("SMON: mark undo segment 12 as needs recovery", "undo-needs-recovery"),
        ("Beginning instance recovery of 1 threads", "recovered-after-a-crash"),
        ("Completed: ALTER DATABASE OPEN", "database-opened-or-closed"),
        ("alter database close normal", "database-opened-or-closed"),
        ("ALTER DATABASE DISMOUNT", "database-opened-or-closed"),
        ('Completed: alter database "PRD" mount', "database-opened-or-closed"),
        ("Thread 1 closed at log sequence 77", "database-opened-or-closed"),
        ("ALTER DATABASE COMMIT TO SWITCHOVER TO PHYSICAL STANDBY", "role-changed"),
        ("Corrupt block relative dba: 0x0100007b (file 4, block 123)", "block-corrupt-without-a-code"),
        ("ERROR: cache read a corrupt block: group=1(DATA) dsk=3 blk=0", "block-corrupt-without-a-code"),
        ("Reread of rdba: 0x0100007b (file 4, block 123) found valid data", "block-read-again"),
        ("Automatic datafile offline due to media error on", "data-file-offline"),
        ("Read of datafile '/oracle/PRD/x.data1' (fno 7) header failed with ORA-01207", "data-file-offline"),
        ("KCF: write/open error block=0x1234 online=1", "file-error"),
        ("ARC0: Error 19504 Creating archive log file to '/oracle/PRD/oraarch/PRDarch1_123.dbf'", "instance-stalled"),
        ("ARCH: Archival stopped, error occurred. Will continue retrying", "instance-stalled"),
        ("ORACLE Instance PRD, archival error, archiver continuing", "archiver-in-trouble"),
        ("ERROR: diskgroup FRA was not mounted", "asm-dismounted"),
        ("LMON (ospid: 123) waits for latch 'enqueue hash chains' for 81 secs.", "long-wait"),
        ("PING[ARC2]: Heartbeat failed to connect to standby 'stby'. Error is 12170.", "standby-away"),
        ("Restarting dead background process QMN0", "process-died"),
        ("[CRSD(1)]CRS-2765: Resource 'ora.prd.db' has failed on server 'n1'.", "clusterware-lost-something"),
        ("[OHASD(1)]CRS-8500: Oracle Clusterware OHASD process is starting with operating system process ID 1",
         "clusterware-started"),
        ("[OCSSD(1)]CRS-1632: Node n2 is being removed from the cluster in cluster incarnation 12",
         "clusterware-lost-something"),
        ("[OCTSSD(1)]CRS-2408: The clock on host n1 has been updated by the Cluster Time Synchronization Service",
         "clusterware-clock"),
        ("found dead shared server 'S000', pid = (10, 1)", "process-died"),
        ("LMS0 (ospid: 10410) has detected no messaging activity from instance 1", "interconnect"),
        ("Waiting for instances to leave: 2", "interconnect"),
        ("* dead instance detected - domain 1 invalid = TRUE", "instance-killed"),
        ("Standby became primary SCN: 229593025", "role-changed"),
        ("Attempt to do a Terminal Recovery (BX5)", "role-changed"),
        ("Data Guard Broker: Beginning failover", "role-changed"),
        ("Database role changed from PRIMARY to PHYSICAL STANDBY [kcvs.c:1]", "role-changed"),
        ("MRP0: Background Media Recovery terminated with error 1274", "recovery-of-the-standby-ended"),
        ("MRP0: Background Media Recovery cancelled with status 16037", "standby-away"),
        ("LGWR (PID:73912): LAD:2 network reconnect abandoned", "standby-away"),
        ("Checker run found 2 new persistent data failures", "data-failure-found"),
        ("NOTE: halting all I/Os to diskgroup 3 (OCR)", "asm-quorum"),
        ("NOTE: LGWR doing non-clean dismount of group 3 (OCR)", "asm-quorum"),
        ("WARNING: dirty detached from domain 3", "asm-quorum"),
        ("Successful close of redo thread 1", "database-opened-or-closed"),
        ("Thread 1 opened at log sequence 813", "database-opened-or-closed"),
        ("SMON: enabling cache recovery", "database-opened-or-closed"),
        ("CLOSE: all sessions shutdown successfully.", "instance-shut-down"),
        ("Completely zero block found during buffer read", "block-corrupt-without-a-code"),
        ("ORA-00742: Log read detects lost write in thread 1 sequence 2 block 3", "redo-log-error"),
        ("ALTER SYSTEM enable restricted session;", "logons-held-back"),
        ("[CRSD(1)]CRS-5504: Node down event reported for node 'n2'.", "clusterware-lost-something"),
        ("[OCSSD(1)]CRS-1663: Member kill issued by PID 1 for 1 members, group DBBX5", "clusterware-lost-something"),
        ("[CRSCTL(1)]CRS-1013: The OCR location in an ASM disk group is inaccessible", "clusterware-lost-something"),
        ("[CRSD(3)]CRS-8500: Oracle Clusterware CRSD 进程以操作系统进程 ID 3 开头", "clusterware-started"),
        ("[cssd(3)]CRS-1713:CSSD daemon is started in clustered mode", "clusterware-started"),
        ("[CRSD(3)]CRS-8505: Oracle Clusterware CRSD 进程遇到内部错误 CRS-01019", "clusterware-internal-error"),
        ("[CRSD(3)]CRS-2878: Failed to restart resource 'ora.bx5.db'", "clusterware-lost-something"),
        ("List of instances (total 1) :\n 1\nDead instances (total 1) :\n 2", "instance-of-the-cluster-died"),
        ("ORA-16830: primary isolated from fast-start failover partners: shutting down", "failover-threatens"),
        ("Dumping diagnostic data in directory=[cdmp_1], requested by (instance=2, osid=1), summary=[incident=2].",
         "dump-requested"),
        ("File #55 added to control file as 'UNNAMED00055' because", "standby-file-missing"),
        ("LOST A DISK WRITE OF BLOCK 26, FILE 7", "block-corrupt-without-a-code"),
        ("Automatic block media recovery requested for (file# 4, block# 17)", "block-recovered"),
        ("Incomplete read from log member '/redo/redo05.log'. Trying next member.", "redo-member-read-in-part"),
        ("RFS[8]: No standby redo logfiles available for thread 1", "standby-trouble"),
        ("[cssd(3)]CRS-1714:Unable to discover any voting files", "clusterware-lost-something"),
        ("ORA-00600: interner Fehlercode, Argumente: [kcbz_1], [], []", "internal-error"),
        ("ORA-01092: ORACLE-Instanz beendet. Verbindungstrennung erzwungen", "instance-terminated"),
    ],
)  # fmt: skip
def test_a_loss_without_a_code_behind_a_prefix_or_in_another_language_has_its_rule(text: str, key: str) -> None:
    event = read_alert_log(f"2026-03-01T10:00:05.000000+00:00\n{text}\n")[-1]
    rule = LogRules.standard().classify(event).rule
    assert rule is not None
    assert rule.key == key
    assert rule.meaning is not Class.ROUTINE


@pytest.mark.parametrize(
    "text",
    [
        "Pluggable database PDB1 pseudo opening",
        "Pluggable database PDB$SEED opened read only",
        "Direct NFS: channel id [0] path [192.0.2.8] to filer [nas1] via local [192.0.2.2] is UP",
        "DDE: Problem Key 'ORA 1555 [x]' was flood controlled (0x6) (incident: 1)",
        "NOTE: ASM did background COD recovery for group 1/0x1 (DATA)",
        "NSS2 started with pid=41, OS id=1",
        "ALTER DATABASE BACKUP CONTROLFILE TO TRACE",
        "Completed: ALTER DATABASE END BACKUP",
        "ALTER DATABASE DATAFILE '/oracle/PRD/x.data1' RESIZE 2000M",
        "ALTER SYSTEM ARCHIVE LOG",
        "Opatch validation is skipped for PDB PDB1 (con_id=3)",
        "TABLE SYS.ERROR_LOG: ADDED INTERVAL PARTITION SYS_P1234 (4567) VALUES LESS THAN (7)",
        "Media Recovery Waiting for thread 1 sequence 99",
        "Deleted Oracle managed file +FRA/PRD/1_2.arc",
    ],
)
def test_everyday_lines_beside_them_have_none(text: str) -> None:
    event = LogRules.standard().classify(*read_alert_log(f"2026-03-01T10:00:05.000000+00:00\n{text}\n"))
    assert (event.rule, event.meaning) == (None, Class.OTHER)


def test_a_network_block_of_any_platform_is_one_event_with_its_client() -> None:
    """Stamps stand between its lines from 12.2 on, and each platform names its protocol adapters."""
    lines = ["*" * 71, "Fatal NI connect error 12170.", "  VERSION INFORMATION:",
             "\tTNS for 64-bit Windows: Version 19.0.0.0.0",
             "\tWindows NT TCP/IP NT Protocol Adapter for 64-bit Windows: Version 19.0.0.0.0", "  Version 19.3.0.0.0",
             "  Time: 01-MAR-2026 11:01:46", "TNS-12535: TNS:operation timed out", "    nt secondary err code: 60",
             "  Client address: (ADDRESS=(PROTOCOL=TCPS)(HOST=2001:db8::9)(PORT=51001))"]  # fmt: skip
    log = "".join(f"2026-03-01T10:01:46.{number}00000+00:00\n{line}\n" for number, line in enumerate(lines))
    (event,) = read_alert_log(log)
    assert RULES.classify(event).client == "(ADDRESS=(PROTOCOL=TCPS)(HOST=2001:db8::9)(PORT=51001))"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("ARC1 (PID:5242): Archived Log entry 12 added for T-1.S-9 LAD:1", Class.ROUTINE),
        ("ARC1 (PID:5242): T-1.S-9 was given up: nothing more was heard, LAD:2 stopped", Class.UNKNOWN),
        ("Starting background process CJQ0", Class.ROUTINE),
        ("Starting background process CJQ0 failed", Class.UNKNOWN),
        ("opidrv aborting process J001 ospid (1234) as a result of ORA-28", Class.ROUTINE),
        ("idle dispatcher 'D000' terminated, pid = (24, 1)", Class.ROUTINE),
    ],
)
def test_a_rule_that_knows_a_line_by_little_covers_no_trouble(text: str, meaning: Class) -> None:
    assert meaning_of(text) is meaning


def test_what_oracle_files_as_an_error_is_one_whatever_its_words() -> None:
    xml = (
        "<msg time='2026-03-01T10:01:46.462+00:00' type='{}' level='1' pid='1'>\n"
        " <txt>LGWR gives way to {}\n </txt>\n</msg>\n"
    )
    quiet = xml.format("NOTIFICATION", 7)
    assert judged(quiet, None).verdict == "pass"
    assert judged(quiet + xml.format("ERROR", 8), None).verdict == "warn"


@pytest.mark.parametrize(
    ("text", "before", "after", "verdict"),
    [
        ("WARNING: Heavy swapping detected on the system", 0, 1, "warn"),
        ("WARNING: a cursor of 0x{n:x} was lost", 60, 10, "pass"),
        ("WARNING: a cursor of 0x{n:x} was lost", 0, 1, "warn"),
        ("LGWR: something that was never seen was lost at {n}", 0, 1, "warn"),
        ("Detected change in CPU count to {n}", 0, 1, "pass"),
        ("WARNING: too many parse errors, count=100 SQL hash=0x{n:x}", 0, 1, "pass"),
    ],
)
def test_a_line_that_speaks_of_trouble_rests_on_the_time_before(
    text: str, before: int, after: int, verdict: str
) -> None:
    numbered = (line for n in itertools.count() if (line := text.format(n=n + 10)))
    log = re.sub("CODE: text", lambda _: next(numbered), hourly("CODE", before, after))
    assert judged(log, local(2008, 8, 8, 13)).verdict == verdict


def test_the_memory_for_lines_that_speak_of_trouble_is_that_of_a_table() -> None:
    kinds = [f"failed {''.join(name)}" for name in itertools.product(string.ascii_lowercase, repeat=2)]
    log = "".join(f"Fri Aug  8 13:00:{n % 60:02d} 2008\n{kind}\n" for n, kind in enumerate(kinds))
    verdict = judged(log, local(2008, 8, 8, 13))
    assert verdict.verdict == "warn"
    assert len(verdict.tallies) <= MAX_SHAPES + 2


BLOCK = "(file 13, block 15)"
CORRUPT = (
    f"Hex dump of {BLOCK} in trace file /oracle/BX5_ora_1.trc\nCorrupt block relative dba: 0x0340000f {BLOCK}\n"
    f"Fractured block found during backing up datafile\nData in bad block:\n type: 6 format: 2\n"
)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"{CORRUPT}Reread {BLOCK} found same corrupt data", "fail"),
        (f"{CORRUPT}Reread of blocknum=15, file=/oracle/x.data1, found valid data", "warn"),
        (f"{CORRUPT}Read datafile mirror 'D1' {BLOCK} found same corrupt data (no logical check)\n"
         f"Read datafile mirror 'D2' {BLOCK} found valid data\nHex dump of {BLOCK} in trace file /x.trc\n"
         f"Repaired corruption at {BLOCK}", "warn"),
        (f"{CORRUPT}Reread {BLOCK} found valid data\nCorrupt block relative dba: 0x03400010 (file 13, block 16)", "fail"),
        (CORRUPT, "fail"),
        ("SUCCESS: diskgroup RECO was dismounted", "warn"),
        ("WARNING: diskgroup RECO was dismounted", "fail"),
        ("Exception [type: SIGSEGV, Address not mapped to object] [ADDR:0x38] [PC:0x1, kgl()+1]", "fail"),
    ],
)  # fmt: skip
def test_what_the_log_takes_back_or_says_in_words(text: str, verdict: str) -> None:
    assert judged(f"2026-03-01T10:00:30.482000+01:00\n{text}\n", None).verdict == verdict


@pytest.mark.parametrize("head", ["", "48113-Sun Mar  1 10:00:32 2026\n", "4:ORA-1 \nSun Mar  1 10:10:32 2026\nx\n"])
def test_what_has_no_readable_time_is_not_left_out_by_since(head: str, tmp_path: Path) -> None:
    file = tmp_path / "excerpt.log"
    file.write_text(f"48115:ORA-00600: internal error code, arguments: [kcb]\n{head}--\n")
    assert examine(file, LogWindow.asked("2026-03-01T10:00")).judgement.verdict == "fail"
    file.write_text(f"48115:ORA-00600: internal error code\nSun Mar  1 09:10:32 2026\n{head}")
    assert examine(file, LogWindow.asked("2026-03-01T10:00")).judgement.verdict != "fail"


def test_an_incident_counts_by_its_problem_key() -> None:
    xml = (
        "<msg time='2026-03-01T10:01:46.462+00:00' type='INCIDENT_ERROR' level='1' prob_key='{}'>\n"
        " <txt>Errors in file /oracle/BX5_ora_991.trc  (incident=48114):\n </txt>\n</msg>\n"
    )
    assert judged(xml.format("ORA 7445 [kglic0()+1100]"), None).verdict == "fail"
    assert judged(xml.format("ORA 700 [kskvmstatact]"), None).verdict == "warn"


@pytest.mark.parametrize(
    ("before_min", "after_s", "verdict"),
    [
        ([], 320, "fail"),
        ([-400, -399, -399, -398, -398, -397, -397, -396], 320, "warn"),
        ([-400, -399, -399, -398, -398, -397, -397, -396], 900, "pass"),
        ([-600], 320, "warn"),
        (list(range(-700, 0, 30)), 320, "pass"),
    ],
    ids=["never", "a burst", "a burst, and late", "once", "all the time"],
)
def test_a_burst_of_the_night_is_no_rate_for_what_follows_a_suspension(
    before_min: list[int], after_s: int, verdict: str
) -> None:
    """The suspension is from 300 s to 312 s after the begin of the move, and the log goes on for 15 minutes."""
    pause = timedelta(seconds=300), timedelta(seconds=312)
    judge = Judge(LogWindow(usual=timedelta(hours=12)), pause=pause)
    (event,) = read_alert_log('2026-03-01T10:00:30+01:00\nORA-15025: could not open disk "/dev/rhdisk9"\n')
    (switch,) = read_alert_log("2026-03-01T10:00:30+01:00\nThread 1 advanced to log sequence 9 (LGWR switch)\n")
    judge.add_placed(RULES.classify(switch), LogPosition.USUAL, -timedelta(hours=12))
    for minutes in before_min:
        judge.add_placed(RULES.classify(event), LogPosition.USUAL, timedelta(minutes=minutes))
    judge.add_placed(RULES.classify(event), LogPosition.INSIDE, timedelta(seconds=after_s))
    judge.add_placed(RULES.classify(switch), LogPosition.INSIDE, timedelta(seconds=900))
    assert judge.judgement().verdict == verdict
