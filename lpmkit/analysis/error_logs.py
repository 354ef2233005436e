"""The question about the machines' own error logs: AIX's (``errpt``), those of the I/O servers (``errlog``) and the
kernel's of Linux (``journal``, else ``dmesg``).

An entry counts by what it says (``error_log.yaml``, ``kernel_log.yaml``), else by its type or level, and is held
against how often the same one came before the move: the log of weeks is there. The type of an entry (P permanent,
T temporary, U unknown, I information) is `IBM-ERRPT`, the level of a line of the kernel is `SYSTEMD-JOURNAL`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from lpmkit.analysis.model import Interval
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.rules.table import BaseRule, Class, RuleForm, RuleTable, texts
from lpmkit.rules.usual import chance_of, held_against_usual
from lpmkit.timeline import Event

KEY, TITLE = "error-log", "Error logs: no new errors?"
#: The logs that are judged, by the command that prints them.
PARTITION_LOG, SERVER_LOG, KERNEL_LOGS = "errpt", "errlog", ("journal", "dmesg")
_PARTITION_LOGS = (PARTITION_LOG, *KERNEL_LOGS)
#: The number of entries that an answer names.
_SHOWN = 3
_NUMBERS = re.compile(r"\b(?:0x)?[0-9a-f]{8,}\b|0x[0-9a-f]+|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLogRule(BaseRule):
    """One line of the table; see the head of ``error_log.yaml``."""

    contains: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    eased_by: tuple[str, ...] = ()
    note: str = ""

    def fits(self, resource: str, description: str) -> bool:
        return resource in self.resources or any(text in description for text in self.contains)


class ErrorLogRules(RuleTable[ErrorLogRule]):
    """The table for the error logs."""

    form = RuleForm(
        ErrorLogRule,
        {"contains": texts, "resources": texts, "eased_by": texts, "note": str},
        choosing=("contains", "resources"),
    )
    file = Path(__file__).with_name("error_log.yaml")
    #: The types of entries that are routine where no rule knows them; all others warn.
    routine: ClassVar[frozenset[str]] = frozenset("I")

    def meaning(
        self, resource: str, description: str, entry_type: str, others: Collection[str] = ()
    ) -> tuple[Class, str]:
        """The class of an entry, before it is held against the time before the move, and the remark with it.

        ``others`` are the texts of all new entries, in capitals.
        """
        capitals = description.upper()
        rule = next((rule for rule in self if rule.fits(resource, capitals)), None)
        if rule is None:
            return (Class.ROUTINE if entry_type in self.routine else Class.WARN), ""
        if any(text in other for other in others for text in rule.eased_by):
            return Class.WARN, rule.note
        return rule.meaning, rule.note


class KernelLogRules(ErrorLogRules):
    """The table for the kernel's log of Linux, whose types are levels from 0 (emergency) to 7 (debug)."""

    file = Path(__file__).with_name("kernel_log.yaml")
    routine = frozenset("4567")


def rules_of(log: str) -> ErrorLogRules:
    """The table for a log."""
    return KernelLogRules.standard() if log in KERNEL_LOGS else ErrorLogRules.standard()


def error_log_question(
    partition: str, events: Sequence[Event], before: JsonMapping | None, window: Interval
) -> Question | None:
    """The question whether the error logs hold new errors; ``None`` for a run of an earlier version, which did not keep
    them.

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
    missing, counts = _missing(partition, events, before)
    if missing:
        details = missing + (f"; with warnings: {_listed(warned)}" if warned else "")
        return Question(KEY, TITLE, AnswerState.NOT_EVALUATED, details, counts=counts)
    if warned:
        return Question(KEY, TITLE, AnswerState.PASSED, f"with warnings: {_listed(warned)}", warns=True)
    return Question(KEY, TITLE, AnswerState.PASSED, "", reply=ReplyWord.YES)


def _not_read(partition: str, events: Sequence[Event], before: JsonMapping) -> tuple[str, bool]:
    """The reason why the partition's log cannot be judged, empty where it can; and whether it is one of the site (no
    AIX, no way to log in) rather than of this move.
    """
    unread = {
        str(gap.get("what")): str(gap.get("why"))
        for gap in before.get("gaps") or ()
        if gap.get("where") == partition and gap.get("what") in _PARTITION_LOGS
    }
    if unread:
        return "; ".join(
            f"{log} of {partition} was not read before the move: {why}" for log, why in unread.items()
        ), True
    known = {str(log) for where, log in before.get("read") or () if where == partition}
    own = next((log for log in _PARTITION_LOGS if log in known), PARTITION_LOG)
    readings = [event for event in events if event.kind == "logs-read"]
    if not readings:
        return "not read after the move", False
    read = {(str(where), str(log)) for where, log in readings[-1].data.get("logs") or ()}
    return ("", False) if (partition, own) in read else (f"{own} of {partition} was not read after the move", False)


def _missing(partition: str, events: Sequence[Event], before: JsonMapping) -> tuple[str, bool]:
    """A sentence on logs that were not read, empty where nothing is missing; and true if the cause lies in this move
    rather than in the site.
    """
    torn = {
        str(log)
        for event in events
        if event.kind == "logs-read"
        for where, log in event.data.get("torn") or ()
        if where == partition
    }
    if torn:
        return f"{min(torn)} of {partition} was not read whole after the move: it wrapped or began anew", True
    unread, lost = _servers_not_read(events, before)
    return (
        (f"errlog of {', '.join(sorted({*unread, *lost}))} was not read", bool(lost)) if unread or lost else ("", False)
    )


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
    usual = Counter(_kind(line) for line in earlier)
    fresh: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for event in events:
        if event.kind == "log" and event.data.get("log") in (*_PARTITION_LOGS, SERVER_LOG):
            fresh.setdefault(_kind(event.data), []).append(event.data)
    texts_of_log: dict[tuple[str, str], set[str]] = {}
    for lines in fresh.values():
        texts_of_log.setdefault(_log(lines[0]), set()).update(str(line.get("description")).upper() for line in lines)
    for kind, lines in fresh.items():
        line = lines[0]
        log, resource, description = (str(line.get(name)) for name in ("log", "resource", "description"))
        meaning, note = rules_of(log).meaning(resource, description, str(line.get("type")), texts_of_log[_log(line)])
        if meaning is Class.FAIL and line.get("where") != partition:
            meaning = Class.WARN  # an I/O server serves others too
        if meaning in (Class.FAIL, Class.WARN):
            length = _hours_of([str(row.get("stamp")) for row in earlier if _log(row) == _log(line)])
            held = held_against_usual(meaning, chance_of(len(lines), hours, usual[kind], length))
            # The kernel's log may be that of hours: what failed then does not excuse what fails now.
            is_silenced = log in KERNEL_LOGS and meaning is Class.FAIL and held is Class.ROUTINE
            meaning = Class.WARN if is_silenced else held
        times = f"{len(lines)} × " if len(lines) > 1 else ""
        about = note if log in KERNEL_LOGS else f"{resource}, {line.get('identifier')}"
        yield meaning, f"{line.get('where')}: {times}{description}" + (f" ({about})" if about else "")


def _log(line: Mapping[str, Any]) -> tuple[str, str]:
    return str(line.get("where")), str(line.get("log"))


def _kind(line: Mapping[str, Any]) -> tuple[str, ...]:
    """The key by which two entries are the same: of the kernel's lines the text without its numbers."""
    if line.get("log") in KERNEL_LOGS:
        return (*_log(line), _NUMBERS.sub("#", str(line.get("description"))))
    return (*_log(line), str(line.get("identifier")), str(line.get("resource")))


def _hours_of(stamps: Sequence[str]) -> float:
    """The hours between the oldest and the newest of the stamps ``MMDDhhmmYY``, or in seconds with a decimal point;
    0 where nothing is known.
    """
    moments = []
    for text in stamps:
        with suppress(ValueError, OverflowError):  # a stamp that cannot be read says nothing of the time
            if "." in text:
                moments.append(datetime(1970, 1, 1) + timedelta(seconds=float(text)))  # noqa: DTZ001 - for differences
            else:
                moments.append(datetime.strptime(text, "%m%d%H%M%y"))  # noqa: DTZ007 - a log's local time has no zone
    return (max(moments) - min(moments)) / timedelta(hours=1) if moments else 0.0


def _listed(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return "; ".join(entries[:_SHOWN]) + more
