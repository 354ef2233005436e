r"""SQL against the instance: its views as tables of a small database in memory, so that any reasonable query gets the
answer it should.

Only the views of the release are there; for others, and for those that the user may not see, the answer is ORA-00942 as
in life. Times are texts in ISO form until ``to_char`` makes something of them.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lpmkit.simulator.oracle.instance import OPEN, Instance, Member, OracleError, Session
from lpmkit.simulator.oracle.ttc import Column, Value

Rows = list[tuple[Value, ...]]
#: The one-row table that a site may let the probes write to.
BEAT_TABLE = "lpmkit_beat"
_SELECT = re.compile(r"\s*(select|with)\b", re.I)
_CHANGES = re.compile(r"\s*(update|insert|delete|merge)\b", re.I)
_HARMLESS = re.compile(r"\s*(alter\s+session|set\s+transaction|begin\s+null)\b", re.I)
_TABLE = re.compile(r"\b(?:from|join|update|into)\s+((?:\w+\.)?[\w$]+)|\b(g?v_?\$\w+)\b", re.I)


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of a query; of a change how many rows it changed."""

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    changed: int = 0


class Views:
    """Answers SQL for any number of sessions."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._lock = threading.Lock()
        self._asking: Session | None = None
        self._memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        functions: tuple[tuple[str, int, Callable[..., Any]], ...] = (
            ("to_char", 1, lambda value: None if value is None else str(value)),
            ("to_char", 2, to_char),
            (
                "to_number",
                1,
                lambda value: None if value is None else (int(value) if float(value).is_integer() else float(value)),
            ),
            ("to_timestamp_tz", 2, lambda value, form: str(value).replace(" +", "+")),
            ("to_date", 2, lambda value, form: value),
            ("nvl", 2, lambda value, other: other if value is None else value),
            ("sys_context", 2, self._context),
            ("to_utc", 1, lambda value: value),
        )
        for name, count, function in functions:
            self._memory.create_function(name, count, function)
        self._memory.execute(f"create table {BEAT_TABLE} (at text)")
        self._memory.execute(f"insert into {BEAT_TABLE} values (null)")  # noqa: S608 - a name of our own

    def ask(self, sql: str, session: Session) -> Answer:
        """Answer one statement. Raises `OracleError`."""
        self._check(session)
        sql = sql.strip().rstrip(";").rstrip()
        if _HARMLESS.match(sql):
            return Answer()
        if not _SELECT.match(sql) and not _CHANGES.match(sql):
            raise OracleError(900)
        with self._lock:
            self._asking = session
            self._lay_out(sql)
            return self._run(sql)

    def commit(self, session: Session) -> float:
        """Make it durable; returns how long it took, which is what a commit costs its caller."""
        self._check(session)
        began = time.monotonic()
        if self.instance.switches.commit_delay_s:
            time.sleep(self.instance.switches.commit_delay_s)
        took = time.monotonic() - began + 0.0006
        self.instance.committed(took)
        return took

    def _check(self, session: Session) -> None:
        if session.killed.is_set():
            raise OracleError(28 if self.instance.state == OPEN else 3113)
        if self.instance.state != OPEN:
            raise OracleError(1034)
        if self.instance.switches.sql_error:
            raise OracleError(self.instance.switches.sql_error)

    def _run(self, sql: str) -> Answer:
        try:
            cursor = self._memory.execute(translated(sql, self.instance.log.now()))
            if cursor.description is None:
                return Answer(changed=cursor.rowcount)
            rows = cursor.fetchall()
        except sqlite3.Error as problem:
            raise _as_oracle(str(problem)) from problem
        names = [str(one[0]).replace("_nr_", "#").upper()[:30] for one in cursor.description]
        numeric = (
            [
                any(value is not None for value in cells) and not any(isinstance(v, str) for v in cells)
                for cells in zip(*rows, strict=True)
            ]
            if rows
            else [False] * len(names)
        )
        return Answer(
            tuple(Column(name, is_number) for name, is_number in zip(names, numeric, strict=True)), tuple(rows)
        )

    def _lay_out(self, sql: str) -> None:
        """Make the views that a statement names as they are now."""
        named = {name.lower().removeprefix("sys.") for found in _TABLE.findall(sql) for name in found if name}
        for name in named - {BEAT_TABLE}:
            make = _VIEWS.get(name.replace("v_$", "v$"))
            if make is None or self.instance.release < _SINCE.get(name, (0,)) or name in self.instance.switches.hidden:
                raise OracleError(942)
            columns, rows = make(self.instance)
            if name == "v$instance" and self._asking is not None and self._asking.member is not None:
                columns, rows = _on_member(columns, rows, self._asking.member)
            table = '"' + name.replace("#", "_nr_") + '"'
            self._memory.execute(f"drop table if exists {table}")
            self._memory.execute(f"create table {table} ({', '.join(each.replace('#', '_nr_') for each in columns)})")
            # names of our own
            places = ", ".join("?" * len(columns))
            self._memory.executemany(f"insert into {table} values ({places})", rows)  # noqa: S608

    def _context(self, space: str, name: str) -> Value:
        session = self._asking
        known = {"sid": str(session.sid) if session else None, "session_user": session.username if session else None,
                 "instance_name": self.instance.sid, "db_name": self.instance.sid, "service_name": self.instance.sid,
                 "con_name": self.instance.container or self.instance.sid}  # fmt: skip
        return known.get(str(name).lower())


def translated(sql: str, wall_s: float) -> str:
    """A statement as the small database understands it.

    >>> translated("select serial#, sysdate from v$session", 0)
    "select serial_nr_, '1970-01-01 00:00:00' from v$session"
    """
    now = datetime.fromtimestamp(wall_s, tz=UTC)
    sql = re.sub(r"(\w)#", r"\1_nr_", sql)
    sql = re.sub(r"\bsystimestamp\b", f"'{now:%Y-%m-%d %H:%M:%S.%f+00:00}'", sql, flags=re.I)
    return re.sub(r"\bsysdate\b", f"'{now:%Y-%m-%d %H:%M:%S}'", sql, flags=re.I)


def _as_oracle(problem: str) -> OracleError:
    if "no such column" in problem:
        return OracleError(904, '"' + problem.rpartition(":")[2].strip().replace("_nr_", "#").upper() + '"')
    if "no such table" in problem:
        return OracleError(942)
    return OracleError(933)


def to_char(value: Value, form: str) -> Value:
    """A moment in a form of TO_CHAR.

    >>> to_char("2008-08-08 20:14:02", "YYYYMMDDHH24MISS")
    '20080808201402'
    >>> to_char("2008-08-08 20:14:02.25+00:00", 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM')
    '2008-08-08T20:14:02.250000+00:00'
    """
    if value is None or not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    parts = {
        "YYYY": f"{moment:%Y}",
        "MM": f"{moment:%m}",
        "DD": f"{moment:%d}",
        "HH24": f"{moment:%H}",
        "MI": f"{moment:%M}",
        "SS": f"{moment:%S}",
        "FF6": f"{moment:%f}",
        "FF3": f"{moment:%f}"[:3],
        "TZH": "+00",
        "TZM": "00",
        '"T"': "T",
    }
    return re.sub("|".join(sorted(map(re.escape, parts), key=len, reverse=True)), lambda found: parts[found[0]], form)


def _text(wall_s: float) -> str:
    return f"{datetime.fromtimestamp(wall_s, tz=UTC):%Y-%m-%d %H:%M:%S}"


# --- the views ------------------------------------------------------------------------------------------------------


def _instance(of: Instance) -> tuple[Sequence[str], Rows]:
    columns = (
        "instance_number",
        "instance_name",
        "host_name",
        "version",
        "startup_time",
        "status",
        "parallel",
        "logins",
        "archiver",
        "database_status",
        "instance_role",
        "active_state",
        "shutdown_pending",
    )
    return columns, [
        (
            1,
            of.sid,
            of.host,
            of.version,
            _text(of.started_wall_s),
            "OPEN",
            "NO",
            "ALLOWED",
            "STARTED",
            "ACTIVE",
            "PRIMARY_INSTANCE",
            "NORMAL",
            "NO",
        )
    ]


def _on_member(columns: Sequence[str], rows: Rows, member: Member) -> tuple[Sequence[str], Rows]:
    """``V$INSTANCE`` as a session sees it that the service has put on another instance of the cluster."""
    there: dict[str, Value] = {
        "instance_name": member.name,
        "host_name": member.host,
        "startup_time": _text(member.started_wall_s),
        "instance_number": 2,
    }
    return columns, [tuple(there.get(column, value) for column, value in zip(columns, rows[0], strict=True))]


def _gv_instance(of: Instance) -> tuple[Sequence[str], Rows]:
    columns, ((*mine,),) = _instance(of)
    rows: Rows = [(1, *mine)]
    for number, one in enumerate(of.around.members, start=2):
        told: dict[str, Value] = {
            "instance_number": number,
            "instance_name": one.name,
            "host_name": one.host,
            "startup_time": _text(one.started_wall_s),
            "status": one.status,
            "parallel": "YES",
        }
        rows.append((number, *(told.get(column, value) for column, value in zip(columns, mine, strict=True))))
    return ("inst_id", *columns), rows


def _archive_dest(of: Instance) -> tuple[Sequence[str], Rows]:
    columns = ("dest_id", "status", "target", "destination", "error", "transmit_mode", "net_timeout")
    return columns, [
        (number, one.status, "STANDBY", one.name, one.error,
         "ASYNCHRONOUS" if one.net_timeout_s is None else "PARALLELSYNC", one.net_timeout_s or 0)
        for number, one in enumerate(of.around.standbys, start=2)
    ]  # fmt: skip


def _archive_dest_status(of: Instance) -> tuple[Sequence[str], Rows]:
    return ("dest_id", "status", "type", "recovery_mode", "gap_status"), [
        (number, one.status, "PHYSICAL", "MANAGED REAL TIME APPLY", "NO GAP" if one.status == "VALID" else None)
        for number, one in enumerate(of.around.standbys, start=2)
    ]


def _dataguard_stats(of: Instance) -> tuple[Sequence[str], Rows]:
    """As intervals are printed: ``+00 00:01:35``.

    On a primary the view is empty in life; here it tells of the first standby.
    """
    rows: Rows = []
    heard = f"{datetime.fromtimestamp(of.log.now(), tz=UTC):%m/%d/%Y %H:%M:%S}"
    for one in of.around.standbys[:1]:
        minutes, seconds = divmod(one.lag_s, 60)
        rows += [
            (name, f"+00 00:{minutes:02d}:{seconds:02d}", "day(2) to second(0) interval", "", heard)
            for name in ("transport lag", "apply lag")
        ]
    return ("name", "value", "unit", "time_computed", "datum_time"), rows


def _asm_diskgroup(of: Instance) -> tuple[Sequence[str], Rows]:
    return ("group_number", "name", "state", "type", "offline_disks"), [
        (number, one.name, one.state, "NORMAL", one.offline_disks)
        for number, one in enumerate(of.around.disk_groups, start=1)
    ]


def _database(of: Instance) -> tuple[Sequence[str], Rows]:
    columns: dict[str, Value] = {
        "name": of.sid,
        "open_mode": "READ WRITE",
        "log_mode": "ARCHIVELOG",
        "database_role": "PRIMARY",
        "protection_mode": of.around.protection_mode,
        "protection_level": of.around.protection_level or of.around.protection_mode,
    }
    if of.release >= (10, 1):
        columns["db_unique_name"] = of.sid
    if of.release >= (10, 2):
        threshold = of.around.failover_threshold_s
        columns |= {"fs_failover_status": "SYNCHRONIZED" if threshold else "DISABLED",
                    "fs_failover_threshold": threshold,
                    "fs_failover_observer_present": "YES" if threshold else ""}  # fmt: skip
    if of.release >= (12, 1):
        columns["cdb"] = "YES" if of.container else "NO"
    return tuple(columns), [tuple(columns.values())]


def _failover_config(of: Instance) -> tuple[Sequence[str], Rows]:
    """The broker's own view, from 23ai on."""
    columns = ("fast_start_failover_mode", "ping_interval", "ping_retry")
    mode = "ZERO DATA LOSS" if of.around.failover_threshold_s else "DISABLED"
    return columns, [(mode, of.around.observer_ping_ms, of.around.observer_retries)]


def _active_services(of: Instance) -> tuple[Sequence[str], Rows]:
    numbers = [1, *range(2, 2 + len(of.around.members))] if of.switches.service_everywhere else [1]
    return ("inst_id", "name"), [(number, of.sid) for number in numbers]


def _session(of: Instance) -> tuple[Sequence[str], Rows]:
    with of.lock:
        rows: Rows = [
            (
                one.sid,
                one.serial,
                one.username or None,
                one.status,
                one.kind,
                one.program,
                one.machine,
                _text(one.logon_wall_s),
            )
            for one in of.sessions.values()
        ]
    return ("sid", "serial#", "username", "status", "type", "program", "machine", "logon_time"), rows


def _system_event(of: Instance) -> tuple[Sequence[str], Rows]:
    with of.lock:
        return ("event", "total_waits", "total_timeouts", "time_waited_micro"), [
            (name, one.count, 0, one.micros) for name, one in of.events.items()
        ]


def _event_histogram(of: Instance) -> tuple[Sequence[str], Rows]:
    with of.lock:
        rows: Rows = [
            (name, edge, count) for name, one in of.events.items() for edge, count in sorted(one.buckets.items())
        ]
    return ("event", "wait_time_milli", "wait_count"), rows


def _log(of: Instance) -> tuple[Sequence[str], Rows]:
    since = _text(of.switched_wall_s)
    return ("group#", "thread#", "sequence#", "status", "first_time"), [
        (1 + (of.sequence - back) % 4, 1, of.sequence - back, "CURRENT" if not back else "INACTIVE", since)
        for back in range(4)
    ]


def _parameter(of: Instance) -> tuple[Sequence[str], Rows]:
    return ("name", "value"), [
        ("background_dump_dest", of.log.folder),
        ("cluster_database", "FALSE"),
        ("db_name", of.sid),
    ]


def _osstat(of: Instance) -> tuple[Sequence[str], Rows]:
    return ("stat_name", "value"), [
        ("NUM_CPUS", 4),
        ("NUM_LCPUS", 4),
        ("NUM_VCPUS", 2),
        ("LOAD", 0.42),
        ("PHYSICAL_MEMORY_BYTES", 4294967296),
    ]


def _diag_info(of: Instance) -> tuple[Sequence[str], Rows]:
    folder = of.log.folder.removesuffix("/trace")
    return ("inst_id", "name", "value"), [(1, "Diag Trace", f"{folder}/trace"), (1, "Diag Alert", f"{folder}/alert")]


def _diag_alert_ext(of: Instance) -> tuple[Sequence[str], Rows]:
    """The messages of ``log.xml``."""
    path = of.log.file.parent.parent / "alert" / "log.xml"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    rows: Rows = []
    for found in re.finditer(r"<msg time='([^']+)'.*?<txt>(.*?)\n </txt>", text, re.S):
        moment = datetime.fromisoformat(found[1])
        body = found[2].replace("&apos;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        rows.append((f"{moment:%Y-%m-%d %H:%M:%S.%f+00:00}", "rdbms", 1, 16, "4063494", body + "\n", None))
    return (
        "originating_timestamp",
        "component_id",
        "message_type",
        "message_level",
        "process_id",
        "message_text",
        "problem_key",
    ), rows


def _pdbs(of: Instance) -> tuple[Sequence[str], Rows]:
    rows: Rows = (
        [] if of.container in (None, "CDB$ROOT") else [(3, of.container, "READ WRITE", "NO", _text(of.started_wall_s))]
    )
    return ("con_id", "name", "open_mode", "restricted", "open_time"), rows


def _dual(of: Instance) -> tuple[Sequence[str], Rows]:
    return ("dummy",), [("X",)]


_VIEWS: dict[str, Callable[[Instance], tuple[Sequence[str], Rows]]] = {
    "dual": _dual,
    "v$instance": _instance,
    "gv$instance": _gv_instance,
    "v$database": _database,
    "gv$active_services": _active_services,
    "v$session": _session,
    "v$system_event": _system_event,
    "v$event_histogram": _event_histogram,
    "v$log": _log,
    "v$parameter": _parameter,
    "v$osstat": _osstat,
    "v$diag_info": _diag_info,
    "v$diag_alert_ext": _diag_alert_ext,
    "v$pdbs": _pdbs,
    "v$archive_dest": _archive_dest,
    "v$archive_dest_status": _archive_dest_status,
    "v$dataguard_stats": _dataguard_stats,
    "v$fast_start_failover_config": _failover_config,
    "v$asm_diskgroup": _asm_diskgroup,
}
_SINCE = {
    "v$event_histogram": (10,),
    "v$osstat": (10,),
    "gv$active_services": (10, 1),
    "v$pdbs": (12, 1),
    "v$diag_info": (11,),
    "v$diag_alert_ext": (11, 2),
    "v$archive_dest_status": (10, 1),
    "v$dataguard_stats": (10, 2),
    "v$fast_start_failover_config": (23,),
}
