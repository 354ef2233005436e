"""The question about the machines' own error logs: AIX's (``errpt``) and those of the I/O servers (``errlog``).

An entry counts by what it says (``error_log.yaml``), else by its type, and is held against how often the same one came
before the move: the log of weeks is there. The type of an entry (P permanent, T temporary, U unknown, I information)
is `IBM-ERRPT`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lpmkit.analysis.model import Interval
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.rules.table import BaseRule, Class, RuleForm, RuleTable, texts
from lpmkit.rules.usual import chance_of, held_against_usual
from lpmkit.timeline import Event

KEY, TITLE = "error-log", "Error logs: no new errors?"
#: The logs that are judged, by the command that prints them.
PARTITION_LOG, SERVER_LOG = "errpt", "errlog"
_BY_TYPE = {"I": Class.ROUTINE}
#: How many entries an answer names.
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLogRule(BaseRule):
    """One line of the table; see the head of ``error_log.yaml``."""

    contains: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def fits(self, resource: str, description: str) -> bool:
        return resource in self.resources or any(text in description for text in self.contains)


class ErrorLogRules(RuleTable[ErrorLogRule]):
    """The table for the error logs."""

    form = RuleForm(ErrorLogRule, {"contains": texts, "resources": texts}, choosing=("contains", "resources"))
    file = Path(__file__).with_name("error_log.yaml")

    def meaning(self, resource: str, description: str, entry_type: str) -> Class:
        """The class of an entry, before it is held against the time before the move."""
        capitals = description.upper()
        rule = next((rule for rule in self if rule.fits(resource, capitals)), None)
        return rule.meaning if rule else _BY_TYPE.get(entry_type, Class.WARN)


def error_log_question(
    partition: str, events: Sequence[Event], before: JsonMapping | None, window: Interval
) -> Question | None:
    """Whether the error logs hold new errors; ``None`` for a run of an earlier version, which did not keep them.

    ``before`` is the document ``logs-before``, ``window`` the time between both readings.
    """
    if before is None:
        return None
    not_read, always = _not_read(partition, events, before)
    if not_read:
        return Question(KEY, TITLE, AnswerState.NOT_EVALUATED, not_read, counts=not always)
    graded = list(_graded(events, before.get("lines") or (), (window.hi_ns - window.lo_ns) / 3.6e12, partition))
    failed = [text for meaning, text in graded if meaning is Class.FAIL]
    warned = [text for meaning, text in graded if meaning is Class.WARN]
    if failed:
        return Question(KEY, TITLE, AnswerState.FAILED, _listed(failed + warned), reply=ReplyWord.NO)
    unread, lost = _servers_not_read(events, before)
    if unread or lost:
        details = f"errlog of {', '.join(sorted({*unread, *lost}))} was not read"
        if warned:
            details += f"; with warnings: {_listed(warned)}"
        return Question(KEY, TITLE, AnswerState.NOT_EVALUATED, details, counts=bool(lost))
    if warned:
        return Question(KEY, TITLE, AnswerState.PASSED, f"with warnings: {_listed(warned)}", warns=True)
    return Question(KEY, TITLE, AnswerState.PASSED, "", reply=ReplyWord.YES)


def _not_read(partition: str, events: Sequence[Event], before: JsonMapping) -> tuple[str, bool]:
    """The reason why the partition's log cannot be judged, empty where it can; and whether it is one of the site (no
    AIX, no way to log in) rather than of this move.
    """
    own = (partition, PARTITION_LOG)
    unread = {(str(gap.get("where")), str(gap.get("what"))): str(gap.get("why")) for gap in before.get("gaps") or ()}
    if own in unread:
        return f"errpt of {partition} was not read before the move: {unread[own]}", True
    readings = [event for event in events if event.kind == "logs-read"]
    if not readings:
        return "not read after the move", False
    read = {(str(where), str(log)) for where, log in readings[-1].data.get("logs") or ()}
    return ("", False) if own in read else (f"errpt of {partition} was not read after the move", False)


def _servers_not_read(events: Sequence[Event], before: JsonMapping) -> tuple[set[str], set[str]]:
    """The I/O servers whose log could not be read before the move, and those where it could then and not afterwards."""
    unread = {str(gap.get("where")) for gap in before.get("gaps") or () if gap.get("what") == SERVER_LOG}
    known = {str(where) for where, log in before.get("read") or () if log == SERVER_LOG}
    last = [event for event in events if event.kind == "logs-read"][-1]
    read = {str(where) for where, log in last.data.get("logs") or () if log == SERVER_LOG}
    return unread, known - unread - read


def _graded(
    events: Sequence[Event], earlier: Sequence[Mapping[str, Any]], hours: float, partition: str
) -> Iterator[tuple[Class, str]]:
    """The class of each kind of entry that is new, and the entry as a person reads it."""
    rules = ErrorLogRules.standard()
    usual = Counter(_kind(line) for line in earlier)
    fresh: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for event in events:
        if event.kind == "log" and event.data.get("log") in (PARTITION_LOG, SERVER_LOG):
            fresh.setdefault(_kind(event.data), []).append(event.data)
    for kind, lines in fresh.items():
        line = lines[0]
        resource, description = str(line.get("resource")), str(line.get("description"))
        meaning = rules.meaning(resource, description, str(line.get("type")))
        if meaning is Class.FAIL and line.get("where") != partition:
            meaning = Class.WARN  # an I/O server serves others too
        if meaning in (Class.FAIL, Class.WARN):
            length = _hours_of([str(row.get("stamp")) for row in earlier if _log(row) == _log(line)])
            meaning = held_against_usual(meaning, chance_of(len(lines), hours, usual[kind], length))
        times = f"{len(lines)} × " if len(lines) > 1 else ""
        yield meaning, f"{line.get('where')}: {times}{description} ({resource}, {line.get('identifier')})"


def _log(line: Mapping[str, Any]) -> tuple[str, str]:
    return str(line.get("where")), str(line.get("log"))


def _kind(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (*_log(line), str(line.get("identifier")), str(line.get("resource")))


def _hours_of(stamps: Sequence[str]) -> float:
    """The hours between the oldest and the newest of the stamps ``MMDDhhmmYY``; 0 where nothing can be said."""
    moments = []
    for text in stamps:
        with suppress(ValueError):  # a stamp that cannot be read says nothing of the time
            moments.append(datetime.strptime(text, "%m%d%H%M%y"))  # noqa: DTZ007 - a log's local time has no zone
    return (max(moments) - min(moments)) / timedelta(hours=1) if moments else 0.0


def _listed(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return "; ".join(entries[:_SHOWN]) + more
