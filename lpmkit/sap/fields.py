"""The model's values from named fields: the same for a SOAP answer, a line of ``sapcontrol``, a row of a function
module's table.

Names are lower case with underscores (`lock_name` of the command line is `lock-name` in XML), values are texts, numbers
or ``None``. A field that is missing or empty means zero, nothing or "unknown" (real answers leave out what is empty,
`SAPAGENT`, `SUSE-EXPORTER`); a field that holds something else than it should raises `UnexpectedReply` with the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from lpmkit.errors import UnexpectedReply
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap.model import (
    JAVA_NODE,
    Activity,
    Alert,
    Colour,
    DispatcherQueue,
    Enqueue,
    Instance,
    Lock,
    LogEntry,
    Process,
    WorkProcess,
)
from lpmkit.sap.recalled import DIALOG_TYPES, PROGRAM_TYPES, STATUS_WORDS, TYPE_WORDS, WEB_TYPES

Fields = JsonMapping

#: Words of all sources (SOAP, command line, TH_WPINFO, dpmon), lower case (`LEANX`, `SAPCONTROL-WSDL`, `SAPAGENT`).
ACTIVITIES: Mapping[str, Activity] = {
    "wait": Activity.WAITING,
    "waiting": Activity.WAITING,
    "run": Activity.RUNNING,
    "running": Activity.RUNNING,
    "hold": Activity.ON_HOLD,
    "on hold": Activity.ON_HOLD,
    "stop": Activity.STOPPED,
    "stopped": Activity.STOPPED,
    "ended": Activity.ENDED,
    "end": Activity.ENDED,
    "shutdown": Activity.SHUTDOWN,
}
#: WP_ISTATUS of TH_WPINFO: the one number that a source names (`SAPNOTE:39412`).
ISTATUS_WAITING = 2
#: The terminal that SM04 shows for a session over RFC (`SAP-ADMIN-RFC`).
RFC_TERMINAL = "APPC-TM"
_TIMES = ("%Y %m %d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%d %H%M%S", "%Y%m%d%H%M%S")
_DURATION = re.compile(r"(?:(\d{1,9}):)?(\d{1,9}):(\d{2})")
_MAX_DIGITS = 18


def name_of(label: str) -> str:
    """A field's name in one form.

    >>> name_of("lock-name"), name_of("instanceNr"), name_of("WP_NO")
    ('lock_name', 'instancenr', 'wp_no')
    """
    return label.strip().lower().replace("-", "_").replace(" ", "_")


def text(row: Fields, *names: str) -> str:
    """The first field that is not empty, as text without blanks around it."""
    for name in names:
        value = row.get(name)
        if value not in (None, ""):
            return str(value).strip()
    return ""


def number(row: Fields, *names: str) -> int | None:
    """A whole number, ``None`` where the field is empty.

    Raises `UnexpectedReply` for something else, or more digits than a counter has.
    """
    printed = text(row, *names)
    if not printed:
        return None
    bare = printed.replace(".", "").replace(",", "") if re.fullmatch(r"\d{1,3}([.,]\d{3})+", printed) else printed
    if not re.fullmatch(r"-?\d+", bare) or len(bare) > _MAX_DIGITS:
        raise UnexpectedReply(f"{names[0]} should be a number", line=_shown(row))
    return int(bare)


def flag(row: Fields, *names: str) -> bool | None:
    """Yes or no in the words of every source; ``None`` where the field is empty."""
    printed = text(row, *names).lower()
    if not printed:
        return None
    if printed in ("yes", "true", "x", "1", "ja", "j", "y"):
        return True
    if printed in ("no", "false", "0", "nein", "n"):
        return False
    raise UnexpectedReply(f"{names[0]} should be yes or no", line=_shown(row))


def colour(row: Fields, name: str = "dispstatus") -> Colour:
    """A state colour, with or without its prefix; grey where the field is empty."""
    printed = text(row, name).removeprefix("SAPControl-").upper()
    if not printed:
        return Colour.GRAY
    try:
        return Colour(printed)
    except ValueError:
        raise UnexpectedReply(f"{name} should be a colour", line=_shown(row)) from None


def moment(printed: str) -> datetime | None:
    """A time of day as the system prints it; ``None`` for an initial one (blank or zeros).

    Raises `UnexpectedReply` for another form.

    >>> moment("2015 03 23 05:03:45"), moment("00000000 000000")
    (datetime.datetime(2015, 3, 23, 5, 3, 45), None)
    >>> moment("20081107 240000")
    datetime.datetime(2008, 11, 8, 0, 0)
    """
    printed = printed.strip()
    if not printed.strip("0 :."):
        return None
    for form in _TIMES:
        try:
            return datetime.strptime(printed, form)  # noqa: DTZ007 - the system prints no zone
        except ValueError:
            continue
    if re.fullmatch(r"\d{8} 240000", printed):  # SAP's end of a day
        start = moment(f"{printed[:8]} 000001")
        return None if start is None else start + timedelta(days=1, seconds=-1)
    raise UnexpectedReply("this should be a time", line=printed[:80])


def date_and_time(row: Fields, date: str, time: str) -> datetime | None:
    """DATE and TIME fields of a table; ``None`` where the date is initial.

    XML has hyphens and colons in them, RFC has not.

    >>> date_and_time({"ENDDATE": "2008-11-07", "ENDTIME": "00:00:00"}, "ENDDATE", "ENDTIME")
    datetime.datetime(2008, 11, 7, 0, 0)
    """
    day = text(row, date).replace("-", "")
    if not day.strip("0 "):
        return None
    return moment(f"{day} {text(row, time).replace(':', '') or '000000'}")


def duration(row: Fields, *names: str) -> int | None:
    """``H:MM:SS`` (hours without bound), ``M:SS`` or plain seconds, as seconds.

    >>> duration({"elapsed": "1031:02:07"}, "elapsed"), duration({"time": "311"}, "time"), duration({}, "time")
    (3711727, 311, None)
    """
    printed = text(row, *names)
    if not printed:
        return None
    match = _DURATION.fullmatch(printed)
    if match is None:
        return number(row, *names)
    return int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])


def _shown(row: Fields) -> str:
    return ", ".join(f"{name}: {value}" for name, value in row.items() if value not in (None, ""))[:300]


# --- rows -----------------------------------------------------------------------------------------------------------


def activity(printed: str, waiting: bool | None = None) -> Activity:
    """A work process' state from the word in whichever language, and from the number where there is one.

    >>> activity("Wait").value, activity("wartet").value, activity("čeká", waiting=True).value, activity("čeká").value
    ('waiting', 'waiting', 'waiting', 'other')
    """
    if waiting:
        return Activity.WAITING
    word = printed.strip().lower()
    return ACTIVITIES.get(STATUS_WORDS.get(word, word), Activity.OTHER)


def kind(printed: str) -> str:
    """A work process' type: ``BTC`` is ``BGD`` in some releases and languages."""
    word = printed.strip().upper()
    return TYPE_WORDS.get(word, word)


def is_of_a_person(logon_type: str, terminal: str) -> bool:
    """True for a session that a person may sit at, not a program's; a type that is not known counts where it has a
    terminal other than `RFC_TERMINAL`.

    >>> [is_of_a_person(*one) for one in (("GUI", "PC0815"), ("4", ""), ("RFC", "PC0815"), ("7", "APPC-TM"), ("", ""))]
    [True, True, False, False, True]
    """
    kind_of = logon_type.upper()
    if kind_of in DIALOG_TYPES or kind_of in WEB_TYPES:
        return True
    return kind_of not in PROGRAM_TYPES and terminal not in ("", RFC_TERMINAL)


def process(row: Fields) -> Process:
    """GetProcessList. A process that is stopped has neither start nor elapsed time; it may still have a pid."""
    return Process(
        name=required(row, "name").removesuffix(".EXE"),
        pid=number(row, "pid") or None,
        colour=colour(row),
        text=text(row, "textstatus"),
        started=moment(text(row, "starttime")),
        elapsed_s=duration(row, "elapsedtime"),
        description=text(row, "description"),
        instance=text(row, "instance"),
    )


def java_process(row: Fields) -> Process:
    """J2EEGetProcessList: a node of a Java instance, with the name of its state and a text for it (`SAP-PORTA`)."""
    said = text(row, "statetext") or text(row, "state")
    return Process(
        name=required(row, "name"),
        pid=number(row, "pid") or None,
        colour=_java_colour(f"{text(row, 'state')} {said}".upper()),
        text=said,
        started=moment(text(row, "starttime")),
        elapsed_s=duration(row, "elapsedtime"),
        description=JAVA_NODE,
    )


def _java_colour(state: str) -> Colour:
    """The colour of a node's state (J2EE-PSTATE, `SAPCONTROL-WSDL`). While only its core runs, its applications do not.

    >>> [_java_colour(word).value for word in ("J2EE-RUNNING RUNNING", "J2EE_STOPPED", "J2EE_STARTING APPS", "?")]
    ['GREEN', 'GRAY', 'YELLOW', 'RED']
    >>> [_java_colour(word).value for word in ("J2EE-CORE-RUNNING", "J2EE-MAINTENANCE", "J2EE-UNKNOWN")]
    ['YELLOW', 'YELLOW', 'RED']
    """
    if any(word in state for word in ("STARTING", "STOPPING", "INITIAL", "CORE", "MAINTENANCE")):
        return Colour.YELLOW
    if "RUNNING" in state and "NOT RUNNING" not in state:
        return Colour.GREEN
    return Colour.GRAY if "STOPPED" in state else Colour.RED


def required(row: Fields, *names: str) -> str:
    printed = text(row, *names)
    if not printed:
        raise UnexpectedReply(f"a row without {names[0]}", line=_shown(row) or "an empty row")
    return printed


def work_process(row: Fields) -> WorkProcess:
    """ABAPGetWPTable, and with `Instance` ABAPGetSystemWPTable."""
    return WorkProcess(
        number=number(row, "no") or 0,
        type=kind(required(row, "typ")),
        pid=number(row, "pid") or None,
        activity=activity(required(row, "status")),
        said=text(row, "status"),
        reason=text(row, "reason"),
        restarts=flag(row, "start"),
        errors=number(row, "err") or 0,
        semaphore=text(row, "sem"),
        cpu_s=duration(row, "cpu"),
        request_s=duration(row, "time"),
        program=text(row, "program"),
        client=text(row, "client"),
        user=text(row, "user"),
        action=text(row, "action"),
        table=text(row, "table"),
        server=text(row, "instance"),
    )


def work_process_of_rfc(row: Fields, server: str = "") -> WorkProcess:
    """A row of TH_WPINFO's WPLIST. Its texts follow the logon language, so the numbers beside them are asked first."""
    istatus = number(row, "wp_istatus")
    return WorkProcess(
        number=number(row, "wp_index", "wp_no") or 0,
        type=kind(required(row, "wp_typ")),
        pid=number(row, "wp_pid") or None,
        activity=activity(text(row, "wp_status"), None if istatus is None else istatus == ISTATUS_WAITING),
        said=text(row, "wp_status"),
        reason=text(row, "wp_waiting"),
        restarts=flag(row, "wp_restart"),
        errors=number(row, "wp_dumps") or 0,
        semaphore=text(row, "wp_sem"),
        cpu_s=duration(row, "wp_cpu"),
        request_s=duration(row, "wp_eltime"),
        program=text(row, "wp_report"),
        client=text(row, "wp_mandt"),
        user=text(row, "wp_bname"),
        action=text(row, "wp_action"),
        table=text(row, "wp_table"),
        server=server,
    )


def queue(row: Fields) -> DispatcherQueue:
    return DispatcherQueue(
        type=required(row, "typ"),
        now=number(row, "now") or 0,
        high=number(row, "high") or 0,
        most=number(row, "max") or 0,
        writes=number(row, "writes") or 0,
        reads=number(row, "reads") or 0,
    )


def log_entry(row: Fields) -> LogEntry:
    return LogEntry(
        at=moment(text(row, "time")),
        type=text(row, "typ"),
        client=text(row, "client"),
        user=text(row, "user"),
        transaction=text(row, "tcode"),
        number=text(row, "mno"),
        text=text(row, "text"),
        colour=colour(row, "severity"),
    )


def instance(row: Fields) -> Instance:
    printed = number(row, "instancenr")
    if printed is None:
        raise UnexpectedReply("an instance without its number", line=_shown(row))
    features = tuple(part.strip() for part in text(row, "features").split("|") if part.strip())
    return Instance(required(row, "hostname"), f"{printed:02}", features, colour(row))


def lock(row: Fields) -> Lock:
    return Lock(
        name=required(row, "lock_name"),
        argument=text(row, "lock_arg"),
        mode=text(row, "lock_mode"),
        owner=text(row, "owner"),
        client=text(row, "client"),
        user=text(row, "user"),
        transaction=text(row, "transaction"),
        object=text(row, "object"),
        backup=flag(row, "backup"),
    )


def enqueue(row: Fields) -> Enqueue:
    told = (number(row, name) for name in ("enqueue_errors", "dequeue_errors"))
    errors = [count for count in told if count is not None]
    states = [colour(row, name) for name in ("owner_state", "arguments_state", "locks_state") if text(row, name)]
    return Enqueue(
        locks=number(row, "locks_now"),
        locks_most=number(row, "locks_max"),
        requests=number(row, "enqueue_requests"),
        rejects=number(row, "enqueue_rejects"),
        errors=sum(errors) if errors else None,
        replication=colour(row, "replication_state") if text(row, "replication_state") else None,
        state=max(states, key=_GRAVITY.index) if states else None,
        cleanups=number(row, "cleanup_requests"),
    )


#: The ratings of a table, the least grave first.
_GRAVITY = (Colour.GRAY, Colour.GREEN, Colour.YELLOW, Colour.RED)


def alerts(rows: list[JsonObject]) -> tuple[Alert, ...]:
    """The nodes of GetAlertTree that are yellow or red, each by its path: names repeat under several parents
    (`SAPCONTROL-CHECK`).
    """
    found = []
    for row in rows:
        rated = colour(row, "actualvalue")
        if rated in (Colour.YELLOW, Colour.RED):
            printed = text(row, "aldescription", "description")
            found.append(Alert(_path(rows, row), rated, printed))
    return tuple(found)


def _path(rows: list[JsonObject], row: Fields) -> str:
    names, seen = [text(row, "name")], 0
    parent = number(row, "parent")
    while parent is not None and 0 <= parent < len(rows) and seen < len(rows):
        names.append(text(rows[parent], "name"))
        parent, seen = number(rows[parent], "parent"), seen + 1
    return " / ".join(reversed(names))
