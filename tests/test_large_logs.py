"""Logs that are far longer than what is looked back at: where they are cut changes no answer, and what is left out of
a record is counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import AnswerState, analyse
from lpmkit.oracle import log_tail
from lpmkit.oracle.alert_log import AlertReader, LogEvent
from lpmkit.oracle.event_rows import as_row
from lpmkit.oracle.log_tail import AlertFollower
from lpmkit.report.page import render
from lpmkit.report.timeline import MARKS_SHOWN
from lpmkit.report.writeup import written
from lpmkit.report.writeup.forms import markdown
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.wording.words import words_of
from tests.made_runs import START, WALL, MadeClock, S
from tests.test_alert_log import HostWithFiles
from tests.test_record_agrees import CASES, written_run
from tests.test_sap_judge import entry, judged, seen

#: When the records here begin, and how far an entry's stamp is from it.
BEGIN = datetime.fromtimestamp(WALL / S, tz=UTC)
#: What is looked back at in these tests.
SEEN = 1 << 14


def at(seconds: float, *lines: str) -> str:
    """An entry of an alert log, as 12.2 and later print it."""
    return "\n".join([f"{BEGIN + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}+00:00", *lines, ""])


def of_days(size: int) -> str:
    """An alert log of at least so many bytes: log switches, and now and then an error with its lines."""
    entries, length, number = [], 0, 0
    while length < size:
        number += 1
        lines = [f"Thread 1 advanced to log sequence {number} (LGWR switch)"]
        if number % 9 == 0:
            lines = [
                "Errors in file /oracle/BX5/trace/bx5_ora_1.trc:",
                "ORA-00600: internal error code, arguments: [1]",
            ]
            lines += [f"ORA-{code:05}: what came with it" for code in range(600, 640)]
        entries.append(at(-600_000 + number, *lines))
        length += len(entries[-1])
    return "".join(entries)


def events_of(text: str) -> list[LogEvent]:
    """The events of a whole alert log."""
    reader = AlertReader()
    return [*reader.feed(text.encode()), *reader.settle()]


def described(events: Sequence[LogEvent]) -> list[tuple[int, str, str]]:
    return [(event.offset, str(event.when), event.text) for event in events]


@pytest.mark.parametrize("extra", range(0, 2400, 101))
def test_a_log_that_is_cut_anywhere_begins_with_its_first_whole_entry(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "LOOK_BACK", SEEN)
    text, log = of_days(3 * SEEN) + at(-60, "x" * extra), tmp_path / "alert_BX5.log"
    log.write_text(text)
    follower = AlertFollower(HostWithFiles(), str(log))
    assert follower.poll() == ()
    whole = events_of(text)
    assert all(event.when is not None for event in follower.before)
    assert described(follower.before) == described(whole)[-len(follower.before) :]
    assert len(text) - follower.before[0].offset > SEEN // 2, "what is there to be seen is seen"
    with log.open("a") as file:
        file.write(at(15, "ORA-00600: of now"))
    now = [*follower.poll(), *follower.poll()]
    assert [(event.text, event.when is not None) for event in now] == [("ORA-00600: of now", True)]


def moved_with(folder: Path, before: Sequence[LogEvent], now: Sequence[str]) -> Run:
    """A clean move in which the alert log had entries ``before`` and wrote others ``now``, as texts."""
    run = written_run(folder, replace(CASES["clean"], events=()))
    options = {"sid": "BX5", "rules": None}
    probe: dict[str, Any] = {"name": "ora-alert-BX5", "kind": "alert", "group": "oracle", "options": options}
    write_document(run.path, "run", {**run.manifest, "probes": [probe]})
    clock = MadeClock()
    with RunWriter(run.path, clock) as writer:
        writer.event("probe:ora-alert-BX5", "alert-log", probe="ora-alert-BX5", path="alert_BX5.log")
        since: int | None = None
        for second, some in ((0, before), (20, events_of("".join(now)))):
            for event in some:
                row = as_row(event, "alert_BX5.log", START + second * S, WALL + second * S, since)
                writer.observation_rows("ora-alert-BX5", json.dumps(row).encode() + b"\n")
            since = START + second * S
    return Run(run.path)


def test_errors_of_days_ago_and_a_cut_entry_say_nothing_of_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "LOOK_BACK", SEEN)
    log = tmp_path / "alert_BX5.log"
    log.write_text(of_days(3 * SEEN))
    follower = AlertFollower(HostWithFiles(), str(log))
    follower.poll()
    now = [at(16.6, "Thread 1 advanced to log sequence 4711 (LGWR switch)")]
    run = moved_with(tmp_path / "runs", follower.before, now)
    analysis = analyse(run)
    question = analysis.verdict.question("oracle-alert-BX5")
    assert question.state is AnswerState.PASSED, question
    assert "alert log" not in analysis.verdict.sentence
    for language in ("en", "de"):
        text = markdown(written(run, analysis, words_of(language)), "plots")
        assert "ORA-00600" not in text


def test_entries_that_a_record_leaves_out_are_counted(tmp_path: Path) -> None:
    now = [
        at(16 + number / 100, f"Time drifted forward by ({number + 2000000}) micro seconds") for number in range(150)
    ]
    run = moved_with(tmp_path, (), now)
    analysis = analyse(run)
    marks = len(analysis.databases[0].marks)
    assert marks > 2 * MARKS_SHOWN
    left = marks - MARKS_SHOWN
    for language, says in (("en", f"{left} more entries"), ("de", f"{left} weitere Einträge")):
        text = markdown(written(run, analysis, words_of(language)), "plots")
        assert text.count("drifted forward") <= 2 * MARKS_SHOWN
        assert says in text
        page = render(run, analysis, {}, words_of(language))
        assert says in page
        assert len(page) < 400_000


@pytest.mark.parametrize("gone", [0, 1, 700, 1999])
def test_a_system_log_of_thousands_of_entries_whose_oldest_are_gone_has_the_same_answer(gone: int) -> None:
    old = [entry(-4000 + number, "R68", f"Perform rollback {number}") for number in range(2000)]
    for number, state in (("R68", "passed"), ("BYM", "failed")):
        found = judged(seen("system_log", 10, *old[gone:]), seen("system_log", 930, entry(40, number)))
        assert found.question("sap-log-BX5").state == state
