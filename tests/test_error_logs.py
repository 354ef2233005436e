"""The question about the machines' error logs: what is new in them, held against what was usual, and who looked."""

from __future__ import annotations

from typing import Any

import pytest

from lpmkit.analysis.error_logs import ErrorLogRules, KernelLogRules, error_log_question
from lpmkit.analysis.model import Interval
from lpmkit.rules.question import AnswerState, Question
from lpmkit.rules.table import Class
from lpmkit.survey.machine_logs import Logs
from lpmkit.survey.model import Gap
from lpmkit.timeline import Event

HOUR = Interval(0, 3_600_000_000_000)
#: A month of a log in which one path failed each day.
DAYS = [f"11{day:02d}030026" for day in range(1, 30)]


def line(
    description: str, resource: str = "SYSPROC", kind: str = "P", where: str = "aix1", **more: str
) -> dict[str, str]:
    log = "errpt" if where == "aix1" else "errlog"
    entry = {"where": where, "log": log, "stamp": "1130230526", "resource": resource, "description": description}
    return {**entry, "identifier": "A924A5FC", "type": kind, "error_class": "S", **more}


def asked(new: list[dict[str, str]], old: list[dict[str, str]] | None = None, **more: Any) -> Question | None:
    read = more.get("read", [["aix1", "errpt"], ["vios1", "errlog"]])
    events = [Event(0, 0, 0, "recorder", "log", entry) for entry in new]
    if read is not None:
        events.append(Event(0, 0, 0, "recorder", "logs-read", {"logs": read}))
    known = [["aix1", "errpt"], ["vios1", "errlog"]]
    before = {"lines": old or [], "gaps": more.get("gaps", []), "read": known}
    return error_log_question("aix1", events, None if more.get("old_run") else before, HOUR)


@pytest.mark.parametrize(
    ("entry", "state", "warns"),
    [
        (line("Client Partition Migration Completed", "pmig", "I"), AnswerState.PASSED, False),
        (line("Partition ID changed since last boot.", "sys0", "I"), AnswerState.PASSED, False),
        (line("UNABLE TO ALLOCATE SPACE IN FILE SYSTEM", "SYSJ2", "I"), AnswerState.PASSED, False),
        (line("Client Partition Migration Aborted", "pmig", "I"), AnswerState.PASSED, True),
        (line("CONNECTION FAILURE", "hdisk4", "P"), AnswerState.PASSED, True),
        (line("A text that nobody knows", "ent0", "T"), AnswerState.PASSED, True),
        (line("SOFTWARE PROGRAM ABNORMALLY TERMINATED"), AnswerState.FAILED, False),
        (line("QUORUM LOST, VOLUME GROUP CLOSING", "LVDD", "U"), AnswerState.FAILED, False),
        (line("PHYSICAL PARTITION MARKED STALE", "LVDD", "U"), AnswerState.FAILED, False),
        (line("ERROR LOGGING TURNED ON", "errdemon", "T"), AnswerState.FAILED, False),
        (line("SOFTWARE PROGRAM ABNORMALLY TERMINATED", where="vios1"), AnswerState.PASSED, True),
    ],
)  # fmt: skip
def test_an_entry_counts_by_what_it_says_and_whose_it_is(
    entry: dict[str, str], state: AnswerState, warns: bool
) -> None:
    question = asked([entry])
    assert question is not None
    assert (question.state, question.warns, question.counts) == (state, warns, True)
    if state is AnswerState.FAILED or warns:
        assert entry["description"] in question.answer


def test_what_comes_every_day_is_nothing_new() -> None:
    daily = [line("SOFTWARE PROGRAM ABNORMALLY TERMINATED", stamp=stamp) for stamp in DAYS]
    usual, rare = asked([daily[0]], daily), asked([daily[0]], [daily[0], daily[-1]])
    assert usual is not None
    assert rare is not None
    assert (usual.state, usual.warns) == (AnswerState.PASSED, False)
    assert (rare.state, rare.warns) == (AnswerState.PASSED, True)


def test_a_log_that_was_not_read_never_passes() -> None:
    gap = {"what": "errpt", "where": "aix1", "why": "no login"}
    unread, lost, dead = asked([], gaps=[gap]), asked([], read=[["vios1", "errlog"]]), asked([], read=None)
    for question, counts in ((unread, False), (lost, True), (dead, True)):
        assert question is not None
        assert (question.state, question.counts) == (AnswerState.NOT_EVALUATED, counts)
    assert asked([], old_run=True) is None


def test_the_log_of_an_io_server_that_was_not_read_is_named_and_what_failed_stays_failed() -> None:
    gap = {"what": "errlog", "where": "vios2", "why": "no login"}
    never, lost = asked([], gaps=[gap]), asked([], read=[["aix1", "errpt"]])
    for question, counts, name in ((never, False, "vios2"), (lost, True, "vios1")):
        assert question is not None
        assert (question.state, question.counts) == (AnswerState.NOT_EVALUATED, counts)
        assert f"errlog of {name} was not read" in question.answer
    failed = asked([line("SOFTWARE PROGRAM ABNORMALLY TERMINATED")], gaps=[gap])
    assert failed is not None
    assert failed.state is AnswerState.FAILED


def test_an_empty_log_that_was_read_passes() -> None:
    question = asked([])
    assert question is not None
    assert question.answer == "yes"


def test_logs_are_stored_and_read_again() -> None:
    logs = Logs((), (Gap("errlog", "vios1", "refused"),), (("aix1", "errpt"),))
    assert Logs.from_dict(logs.to_dict()) == logs


def test_every_rule_has_a_source() -> None:
    rules = [*ErrorLogRules.standard(), *KernelLogRules.standard()]
    assert all(rule.reason and rule.source and rule.mark in ("V", "S", "U") for rule in rules)
    assert {rule.meaning for rule in rules} == {Class.FAIL, Class.WARN, Class.EXPECTED}
    assert all(text == text.upper() for rule in rules for text in (*rule.contains, *rule.eased_by))
