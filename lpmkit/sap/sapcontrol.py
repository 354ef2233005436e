"""Readers of what ``sapcontrol`` prints, in list and in script format (`SAPAGENT`, `SAP-RA`).

A whole answer ends with ``OK`` and a table, or with ``FAIL: …``. The date line above may be missing or share its line
with the function's name, so the reader looks for the header, not for a line number. Every line below the header is a
row or an error; nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.json_values import JsonMapping
from lpmkit.sap import fields
from lpmkit.sap.model import Alert, Colour, DispatcherQueue, Enqueue, Instance, Lock, LogEntry, Process, WorkProcess

#: Exit statuses of GetProcessList that are answers: neither all running nor all stopped, all running, all stopped.
ANSWERED = frozenset({0, 3, 4})

#: The columns of each function, as its header line prints them, and the one whose text may hold commas.
COLUMNS: Mapping[str, tuple[tuple[str, ...], str | None]] = {
    "GetProcessList": (
        ("name", "description", "dispstatus", "textstatus", "starttime", "elapsedtime", "pid"),
        "textstatus",
    ),
    # more columns stand before and between them (`SAPCONTROL-WSDL`: `telnetPort` is the first)
    "J2EEGetProcessList": (("name", "pid", "state", "statetext"), "statetext"),
    "ABAPGetWPTable": (
        (
            "no",
            "typ",
            "pid",
            "status",
            "reason",
            "start",
            "err",
            "sem",
            "cpu",
            "time",
            "program",
            "client",
            "user",
            "action",
            "table",
        ),
        "action",
    ),
    "GetSystemInstanceList": (
        ("hostname", "instancenr", "httpport", "httpsport", "startpriority", "features", "dispstatus"),
        None,
    ),
    "GetQueueStatistic": (("typ", "now", "high", "max", "writes", "reads"), None),
    "ABAPReadSyslog": (("time", "typ", "client", "user", "tcode", "mno", "text", "severity"), "text"),
    "EnqGetLockTable": (
        (
            "lock_name",
            "lock_arg",
            "lock_mode",
            "owner",
            "owner_vb",
            "use_count_owner",
            "use_count_owner_vb",
            "client",
            "user",
            "transaction",
            "object",
            "backup",
        ),
        "lock_arg",
    ),
    "GetInstanceProperties": (("property", "propertytype", "value"), "value"),
    "GetVersionInfo": (("filename", "versioninfo", "time"), "versioninfo"),
}
_DATE = re.compile(r"(\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d)")
_SCRIPT = re.compile(r"(\d{1,6}) ([A-Za-z_][\w-]*):(?: (.*))?")
_PAIR = re.compile(r"([A-Za-z][\w -]*?)\s*:\s*(.*)")
_FAIL = re.compile(r"FAIL(?:ED)?: (.*)")


@dataclass(frozen=True, slots=True)
class SapControlReply:
    """The rows of one call, as named fields, and the server's clock when it answered."""

    function: str
    at: datetime | None
    rows: tuple[dict[str, str], ...]


def read_answer(printed: str, function: str) -> SapControlReply:
    """Read either format.

    Raises `CommandRefused` for a ``FAIL`` line and `UnexpectedReply` for anything that is no whole answer.
    """
    if printed and not printed.endswith("\n"):
        raise UnexpectedReply("the reply stops in the middle of a line", line=printed.rsplit("\n", 1)[-1][:200])
    at, lines = _past_heading(_lines(printed), function)
    if lines and _SCRIPT.fullmatch(lines[0]):
        return SapControlReply(function, at, _script_rows(lines))
    return SapControlReply(function, at, _list_rows(lines, function))


def _lines(printed: str) -> list[str]:
    # splitlines() would also split at separators that a field may hold
    return [line.rstrip("\r") for line in printed.split("\n")]


def _past_heading(lines: Sequence[str], function: str) -> tuple[datetime | None, list[str]]:
    at, whole = None, False
    for number, line in enumerate(lines):
        bare = line.strip()
        failed = _FAIL.search(bare)
        if failed and not whole:
            raise CommandRefused(f"{function} failed", status=1, answered=failed[1])
        if whole:
            return at, [rest for rest in lines[number:] if rest.strip()]
        date = _DATE.match(bare)
        if date:
            at = fields.moment(date[1])
            bare = bare[date.end() :].strip()
        if bare.endswith("OK") and bare.removesuffix("OK").strip() in ("", function):
            whole = True
        elif bare and bare != function:
            raise UnexpectedReply(f"this is no answer of {function}", line=bare[:200])
    if not whole:
        raise UnexpectedReply(f"{function} did not say OK", line=next((one for one in lines if one.strip()), "")[:200])
    return at, []


def _list_rows(lines: Sequence[str], function: str) -> tuple[dict[str, str], ...]:
    if not lines:
        return ()
    if function == "EnqGetStatistic" and _PAIR.fullmatch(lines[0].strip()):
        return (_pairs(lines),)
    names = [fields.name_of(part) for part in lines[0].split(",")]
    wanted, loose = COLUMNS.get(function, (tuple(names), None))
    if names[0] != wanted[0] and not set(wanted) <= set(names):
        raise UnexpectedReply(f"this is not the header of {function}", line=lines[0][:200])
    return tuple(_cut(line, names, loose if loose in names else None) for line in lines[1:])


def _pairs(lines: Sequence[str]) -> dict[str, str]:
    """EnqGetStatistic prints no table but a value on each line."""
    found = {}
    for line in lines:
        pair = _PAIR.fullmatch(line.strip())
        if pair is None:
            raise UnexpectedReply("this is no name with a value", line=line[:200])
        found[fields.name_of(pair[1])] = pair[2].strip()
    return found


def _cut(line: str, names: Sequence[str], loose: str | None) -> dict[str, str]:
    """A row by its columns: as many from the left and from the right as there are beside the one that may hold commas.

    A row may lack empty columns at its end. More columns than names, and none that may hold a comma, is an error.
    """
    parts = [part.strip() for part in line.split(",")]
    if len(parts) > len(names):
        if loose is None:
            raise UnexpectedReply(f"more than {len(names)} columns", line=line[:200])
        left = names.index(loose)
        right = len(names) - left - 1
        middle = line.split(",")[left : len(parts) - right]
        parts = [*parts[:left], ",".join(middle).strip(), *parts[len(parts) - right :]]
    elif len(parts) < 2 and len(names) > 1:
        raise UnexpectedReply("this is no row of the table", line=line[:200])
    return dict(zip(names, [*parts, *[""] * (len(names) - len(parts))], strict=True))


def _script_rows(lines: Sequence[str]) -> tuple[dict[str, str], ...]:
    """``<index> <name>: <value>``, cut at the first colon and blank: values hold colons."""
    rows: dict[int, dict[str, str]] = {}
    for line in lines:
        match = _SCRIPT.fullmatch(line)
        if match is None:
            raise UnexpectedReply("this is no line of the script format", line=line[:200])
        row = rows.setdefault(int(match[1]), {})
        name = fields.name_of(match[2])
        if name in row:
            raise UnexpectedReply(f"{name} stands twice in one row", line=line[:200])
        row[name] = (match[3] or "").strip()
    return tuple(row for _, row in sorted(rows.items()))


# --- one reader for each question -------------------------------------------------------------------------------------

Value = TypeVar("Value")


def _each(printed: str, function: str, make: Callable[[JsonMapping], Value]) -> tuple[Value, ...]:
    return tuple(make(row) for row in read_answer(printed, function).rows)


def read_processes(printed: str) -> tuple[Process, ...]:
    """``-function GetProcessList``. Raises `UnexpectedReply` where a row of a running process was cut off: its pid is
    the last column.
    """
    rows = _each(printed, "GetProcessList", fields.process)
    for row in rows:
        if row.colour is Colour.GREEN and row.pid is None and row.started is None:
            raise UnexpectedReply("a row without start and pid", line=f"{row.name}, {row.description}, {row.text}")
    return rows


def read_java_processes(printed: str) -> tuple[Process, ...]:
    """``-function J2EEGetProcessList``"""
    return _each(printed, "J2EEGetProcessList", fields.java_process)


def read_work_processes(printed: str) -> tuple[WorkProcess, ...]:
    """``-function ABAPGetWPTable``"""
    return _each(printed, "ABAPGetWPTable", fields.work_process)


def read_instances(printed: str) -> tuple[Instance, ...]:
    """``-function GetSystemInstanceList``"""
    return _each(printed, "GetSystemInstanceList", fields.instance)


def read_queues(printed: str) -> tuple[DispatcherQueue, ...]:
    """``-function GetQueueStatistic``"""
    return _each(printed, "GetQueueStatistic", fields.queue)


def read_system_log(printed: str) -> tuple[LogEntry, ...]:
    """``-function ABAPReadSyslog``"""
    return _each(printed, "ABAPReadSyslog", fields.log_entry)


def read_locks(printed: str) -> tuple[Lock, ...]:
    """``-function EnqGetLockTable``"""
    return _each(printed, "EnqGetLockTable", fields.lock)


def read_enqueue(printed: str) -> tuple[Enqueue, ...]:
    """``-function EnqGetStatistic``"""
    return _each(printed, "EnqGetStatistic", fields.enqueue)


def read_alerts(printed: str) -> tuple[Alert, ...]:
    """``-function GetAlertTree``"""
    return fields.alerts(list(read_answer(printed, "GetAlertTree").rows))
