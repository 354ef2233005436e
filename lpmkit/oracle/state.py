"""The state of a database, asked for again and again: sessions, costs of waits, state of redo, standby and disks.

Read-only, and never the Diagnostics Pack.

Every question is independent: what a release does not have, or the user may not see, is a gap with its reason, and the
rest is there. `FACTS` names views of `ORACLE-REF`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle.drivers import Connection, Row
from lpmkit.oracle.errors import QueryFailed
from lpmkit.rules.usual import chance_by_rate

#: Our own session, and that the instance is the one it was: small enough to be asked twice a second.
BEAT = (
    "select s.sid, s.serial#, to_char(s.logon_time, 'YYYYMMDDHH24MISS'), to_char(i.startup_time, "
    "'YYYYMMDDHH24MISS'), i.instance_name, i.version, i.status,"
    " i.host_name, i.instance_number,"
    " to_char(systimestamp, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF6TZH:TZM')"
    " from v$session s, v$instance i where s.sid = to_number(sys_context('userenv', 'sid'))"
)
BEAT_COLUMNS = (
    "sid",
    "serial",
    "logon_time",
    "startup_time",
    "instance",
    "version",
    "status",
    "host_name",
    "instance_number",
    "server_time",
)
#: The oldest session of a pool that renews itself: pools renew theirs after minutes or hours (``maxLifetime``).
OLDEST_POOL_S = 12 * 3600.0
#: Ends of sessions that chance explains less often than this are the move's; a lone session of an hour's age is then.
HARDLY = 0.01
#: How long sessions that a pause broke stay listed: until their next call, or until PMON finds them dead. A choice.
NOTICED_S = 180.0
WAITS = ("log file sync", "log file parallel write", "control file parallel write", "db file parallel write")
_IN_WAITS = ", ".join(f"'{name}'" for name in WAITS)


@dataclass(frozen=True, slots=True)
class Fact:
    """One question: the names of its columns, its statement, and the first release that has it."""

    name: str
    columns: tuple[str, ...]
    sql: str
    since: tuple[int, ...] = ()


FACTS: tuple[Fact, ...] = (
    Fact("instance", ("instance_name", "host_name", "version", "startup_time", "status", "database_status", "logins",
                      "archiver", "parallel", "active_state", "shutdown_pending"),
         (
             "select instance_name, host_name, version, to_char(startup_time, 'YYYYMMDDHH24MISS'), status, "
             "database_status, logins, archiver, parallel, active_state, shutdown_pending from v$instance"
         )),
    Fact("database", ("name", "open_mode", "log_mode", "database_role", "protection_mode", "protection_level"),
         "select name, open_mode, log_mode, database_role, protection_mode, protection_level from v$database"),
    Fact("container", ("con_name", "cdb"), "select sys_context('userenv', 'con_name'), cdb from v$database", (12, 1)),
    Fact("pluggable", ("name", "open_mode", "restricted", "open_time"),
         "select name, open_mode, restricted, to_char(open_time, 'YYYYMMDDHH24MISS') from v$pdbs", (12, 1)),
    Fact("unique_name", ("db_unique_name",), "select db_unique_name from v$database", (10, 1)),
    Fact("service", ("inst_id",),
         "select distinct inst_id from gv$active_services where name ="
         " sys_context('userenv', 'service_name')", (10, 1)),
    # services of Oracle's own and of Data Pump come and go
    Fact("services", ("name",),
         "select distinct s.name from gv$active_services s, v$instance i where s.inst_id = i.instance_number"
         " and s.name not like 'SYS%'", (10, 1)),
    Fact("failover", ("status", "threshold", "observer"),
         (
             "select fs_failover_status, fs_failover_threshold, fs_failover_observer_present from v$database"
         ), (10, 2)),
    Fact("population", ("type", "status", "count", "oldest_logon"),
         (
             "select type, status, count(*), to_char(min(logon_time), 'YYYYMMDDHH24MISS') from v$session group by "
             "type, status"
         )),
    Fact("sessions", ("sid", "serial", "username", "program", "machine", "logon_time"),
         (
             "select sid, serial#, username, program, machine, to_char(logon_time, 'YYYYMMDDHH24MISS') from "
             "v$session where username is not null"
         )),
    Fact("waits", ("event", "total_waits", "total_timeouts", "time_waited_micro"),
         # names of our own
         f"select event, total_waits, total_timeouts, time_waited_micro"  # noqa: S608
         f" from v$system_event where event in ({_IN_WAITS})"),
    Fact("histogram", ("event", "wait_time_milli", "wait_count"),
         "select event, wait_time_milli, wait_count from v$event_histogram where event like 'log file%'", (10, 1)),
    Fact("redo", ("sequence", "status", "first_time"),
         "select sequence#, status, to_char(first_time, 'YYYYMMDDHH24MISS') from v$log where status = 'CURRENT'"),
    Fact("machine", ("stat_name", "value"),
         "select stat_name, value from v$osstat where stat_name in"
         " ('NUM_CPUS', 'NUM_LCPUS', 'NUM_VCPUS', 'PHYSICAL_MEMORY_BYTES')", (10, 1)),
    Fact("standby", ("dest_id", "status", "target", "error"),
         "select dest_id, status, target, error from v$archive_dest where status <> 'INACTIVE' and target = 'STANDBY'"),
    # at the primary: whether the other side applies, and whether redo is missing there
    Fact("standby_apply", ("dest_id", "recovery_mode"),
         "select dest_id, recovery_mode from v$archive_dest_status where type in ('PHYSICAL', 'LOGICAL')", (10, 1)),
    Fact("standby_gap", ("dest_id", "gap_status"),
         "select dest_id, gap_status from v$archive_dest_status where type in ('PHYSICAL', 'LOGICAL')", (11, 2)),
    # at the standby: a lag is as old as the last that was heard from the primary
    Fact("standby_heard", ("name", "datum_time"),
         "select name, datum_time from v$dataguard_stats where name in ('transport lag', 'apply lag')", (11, 2)),
    Fact("standby_lag", ("name", "value"),
         "select name, value from v$dataguard_stats where name in ('transport lag', 'apply lag')", (10, 2)),
    Fact("cluster", ("inst_id", "instance_name", "host_name", "status", "startup_time"),
         (
             "select inst_id, instance_name, host_name, status, to_char(startup_time, 'YYYYMMDDHH24MISS') from "
             "gv$instance"
         )),
    Fact("asm", ("name", "state", "type", "offline_disks"),
         "select name, state, type, offline_disks from v$asm_diskgroup"),
)  # fmt: skip


def beat_of(rows: Sequence[Row]) -> dict[str, str | None]:
    """The one row of `BEAT` by its names. Raises `ValueError` for anything else.

    >>> instance = ("BX5", "10.2.0.2.0", "OPEN", "bxaix85", "1")
    >>> beat_of([("12", "7", "20080808201400", "20080601060000", *instance, "2008-08-08T20:14:02.1+00:00")])["serial"]
    '7'
    """
    if len(rows) != 1 or len(rows[0]) != len(BEAT_COLUMNS):
        raise ValueError(f"one row of {len(BEAT_COLUMNS)} columns was expected, there are {len(rows)}")
    return dict(zip(BEAT_COLUMNS, rows[0], strict=True))


def identity(beat: Mapping[str, str | None]) -> tuple[str | None, ...]:
    """The values that stay the same while a session lives on: also its instance and that instance's host, which a
    service may change at a logon.
    """
    return tuple(beat.get(name) for name in ("sid", "serial", "logon_time", "startup_time", "instance", "host_name"))


def instance_of(beat: JsonMapping) -> tuple[str, str] | None:
    """The instance and its host as a session was told them; ``None`` in runs of earlier versions, which did not ask."""
    name, host = beat.get("instance"), beat.get("host_name")
    return (str(name), str(host)) if name and host else None


def gather(
    connection: Connection, limit_s: float, release: tuple[int, ...] = (), questions: Sequence[Fact] = FACTS
) -> JsonObject:
    """Ask every question once that the release has an answer to: ``{"facts": {name: [row, …]}, "gaps": {name: why}}``.

    Raises `QueryFailed` only when the session is gone.
    """
    facts: dict[str, list[dict[str, str | None]]] = {}
    gaps: dict[str, str] = {}
    for fact in questions:
        if release and release < fact.since:
            continue
        try:
            rows = connection.rows(fact.sql, limit_s)
            facts[fact.name] = [dict(zip(fact.columns, row, strict=True)) for row in rows]
        except QueryFailed as error:
            if error.dead:
                raise
            gaps[fact.name] = error.what
        except ValueError:
            gaps[fact.name] = "an answer with another number of columns than was asked for"
    return {"facts": facts, "gaps": gaps}


def is_the_watched(sid: str, service: str, instances: Iterable[str], states: Iterable[JsonMapping]) -> bool:
    """False where what answered bears the watched SID nowhere: as instance, also numbered as in a cluster, as database
    or as container. A service of another name, as the site file may have one for a listener, is the operator's choice.

    >>> is_the_watched("BX5", "", ["QX5"], []), is_the_watched("BX5", "bx5", ["BX51"], [])
    (False, True)
    """
    if service and service.lower() != sid.lower():
        return True
    numbered = re.compile(rf"{re.escape(sid)}(?:_?\d+)?", re.IGNORECASE)
    names = [
        str(row.get(column)).lower()
        for facts in states
        for fact, column in (("database", "name"), ("unique_name", "db_unique_name"), ("container", "con_name"))
        for row in facts.get(fact, ())
    ]
    return sid.lower() in names or any(numbered.fullmatch(name) for name in instances)


def release_in(beat: JsonMapping) -> tuple[int, ...]:
    """The release that a session was told; empty where that is no release.

    >>> release_in({"version": "19.0.0.0.0"})[:2], release_in({})
    ((19, 0), ())
    """
    parts = str(beat.get("version") or "").split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()


# --- before and after -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionsRetained:
    """The sessions between two states: how many there were, are, and are the same, which are missing, which of them
    exceed the everyday ends, and which belonged to a backup or an export, that was done or was broken off.
    """

    before: int
    after: int
    same: int
    lost: tuple[str, ...]
    beyond_usual: tuple[str, ...] = ()
    utilities: tuple[str, ...] = ()


#: The server's own processes that work for another session or a job, and end with it: slaves of a parallel statement,
#: jobs of the scheduler (`ORACLE-REF`, background processes). The session that they worked for is one of its own.
_SLAVE = re.compile(r"\((?:P[0-9A-Z]{3}|J[0-9A-Z]{3}|PZ\d\d|PP\d\d)\)$")
#: Programs that end when their work is done: RMAN with its channels, Data Pump with its workers.
_UTILITY = re.compile(r"^(?:rman|expdp|impdp|exp|imp|sqlldr)(?:\.exe)?(?:@|$)|\(D[MW][0-9A-Z]{2}\)$", re.IGNORECASE)


_Pool = tuple[str, str, str]
#: SID, SERIAL# and logon time: an instance that was started again numbers its sessions anew.
SessionKey = tuple[str, str, str]


def session_key(row: JsonMapping) -> SessionKey:
    """The identity of a session among all of a database."""
    return str(row.get("sid")), str(row.get("serial")), str(row.get("logon_time"))


@dataclass(frozen=True, slots=True)
class _Session:
    """A session by what separates its pool from others, and its age in seconds; ``None`` where the database's time is
    not known.
    """

    user: str
    program: str
    machine: str
    age_s: float | None

    @property
    def label(self) -> str:
        return f"{self.user} ({self.program})"

    @property
    def pool(self) -> _Pool:
        return self.user, self.program, self.machine


def sessions_kept(
    before: JsonMapping,
    looks: Sequence[tuple[JsonMapping, float]],
    own: frozenset[SessionKey] = frozenset(),
) -> SessionsRetained | None:
    """Sessions by (SID, SERIAL#, logon time), in ``looks`` after the suspension, each so many seconds after ``before``.

    ``own`` are the probes' own, which come and go; ``None`` when one side is not known.

    A pool renews its sessions all the time. How often follows from their ages: n sessions that are A old on average are
    renewed every 2 A / n. What ended in that time and is hardly by chance is ``beyond_usual``. Of those that end after
    the first look a single one counts only where its pool opened another one, else somebody logged off; and of a pool
    that renews itself half have to be gone, for its oldest end first and sooner than their ages tell. Slaves end with
    the statement that they work for; whether a utility was done or broken off its own log says: both never count.
    """
    early, late = _sessions(before, own), [(_sessions(look, own), look, gap_s) for look, gap_s in looks]
    if early is None or not late or any(sessions is None for sessions, _, _ in late):
        return None
    pools: dict[_Pool, list[_Session]] = {}
    for session in early.values():
        pools.setdefault(session.pool, []).append(session)
    beyond: dict[_Pool, list[str]] = {}
    lost: dict[_Pool, list[str]] = {}
    after: Mapping[SessionKey, _Session] = {}
    for number, (sessions, look, gap_s) in enumerate(late):
        after, lost_before, lost = sessions or {}, lost, {}
        for key, session in early.items():
            if key not in after:
                lost.setdefault(session.pool, []).append(session.label)
        opened = _pools_opened(before, look) if number else frozenset()
        for pool, labels in lost.items():
            if _SLAVE.search(pool[1]) or _UTILITY.search(pool[1]):
                continue
            expected, more = usual_ends(pools[pool], gap_s), len(labels) - len(lost_before.get(pool, ()))
            if number and not (more > 1 or (more == 1 and pool in opened)):
                continue
            if number and expected and 2 * len(labels) < len(pools[pool]):
                continue
            if chance_by_rate(len(labels), expected) < HARDLY:
                beyond[pool] = labels
    utilities = {pool: labels for pool, labels in lost.items() if _UTILITY.search(pool[1])}
    return SessionsRetained(
        len(early),
        len(after),
        len(early.keys() & after.keys()),
        _everybody(lost),
        _everybody(beyond),
        _everybody(utilities),
    )


def _everybody(lost: Mapping[_Pool, Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted(label for labels in lost.values() for label in labels))


def _pools_opened(before: JsonMapping, after: JsonMapping) -> frozenset[_Pool]:
    """The pools with a session that was not there before."""
    early, late = (_sessions(state, frozenset()) or {} for state in (before, after))
    return frozenset(session.pool for key, session in late.items() if key not in early)


def usual_ends(pool: Sequence[_Session], gap_s: float) -> float:
    """The number of sessions of a pool that end in a time on average; 0 where their ages are not known."""
    ages = [session.age_s for session in pool if session.age_s is not None and session.age_s > 0]
    if not ages or len(ages) < len(pool):
        return 0.0
    # a pool of sessions that are days old does not renew itself
    return gap_s * len(ages) / (2 * sum(ages) / len(ages)) if max(ages) < OLDEST_POOL_S else 0.0


def _sessions(facts: JsonMapping, own: frozenset[SessionKey]) -> dict[SessionKey, _Session] | None:
    rows = facts.get("facts", {}).get("sessions")
    if rows is None:
        return None
    now = _local_time(facts)
    return {
        key: _Session(
            str(row["username"]), str(row["program"] or "?"), str(row.get("machine") or "?"), _age_s(row, now)
        )
        for row in rows
        if (key := session_key(row)) not in own
    }


def _local_time(facts: JsonMapping) -> datetime | None:
    """The database host's local time in a state, as ``logon_time`` is printed."""
    try:
        return datetime.fromisoformat(str((facts.get("own") or {}).get("server_time"))).replace(tzinfo=None)
    except ValueError:
        return None


def _age_s(row: JsonMapping, now: datetime | None) -> float | None:
    try:
        # the database's local time has no zone
        logon = datetime.strptime(str(row["logon_time"]), "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        return None
    return (now - logon).total_seconds() if now is not None else None


@dataclass(frozen=True, slots=True)
class WaitChange:
    """The cost of a wait event between two states: count, seconds in all, and the longest bucket that a wait fell into
    (milliseconds, an upper bound).
    """

    event: str
    waits: int
    seconds: float
    longest_ms: int | None


def waits_between(before: JsonMapping, after: JsonMapping) -> tuple[WaitChange, ...]:
    """The difference of the counters. A counter that went back belongs to another instance: nothing is said of it."""
    early = {row["event"]: row for row in before.get("facts", {}).get("waits", ())}
    buckets = _buckets_between(before, after)
    found = []
    for row in after.get("facts", {}).get("waits", ()):
        was = early.get(row["event"])
        if was is None:
            continue
        waits, micros = (
            whole(row["total_waits"]) - whole(was["total_waits"]),
            whole(row["time_waited_micro"]) - whole(was["time_waited_micro"]),
        )
        if waits < 0 or micros < 0:
            continue
        found.append(
            WaitChange(str(row["event"]), waits, micros / 1e6, max(buckets.get(str(row["event"]), ()), default=None))
        )
    return tuple(found)


def _buckets_between(before: JsonMapping, after: JsonMapping) -> dict[str, list[int]]:
    early = {
        (row["event"], row["wait_time_milli"]): whole(row["wait_count"])
        for row in before.get("facts", {}).get("histogram", ())
    }
    grown: dict[str, list[int]] = {}
    for row in after.get("facts", {}).get("histogram", ()):
        if whole(row["wait_count"]) > early.get((row["event"], row["wait_time_milli"]), 0):
            grown.setdefault(str(row["event"]), []).append(whole(row["wait_time_milli"]))
    return grown


def whole(value: Any) -> int:
    return int(float(value or 0))


def state_changes(before: JsonMapping, after: JsonMapping) -> list[tuple[str, str, str]]:
    """The values that changed, of those that should stay or are worth a look: (what, before, after).

    Counters and sessions are compared elsewhere.
    """
    rows = []
    for name in ("instance", "database", "pluggable", "machine", "standby", "cluster", "asm"):
        early, late = before.get("facts", {}).get(name), after.get("facts", {}).get(name)
        if early is None or late is None:
            continue
        for label, old, new in _labelled(name, early, late):
            if old != new:
                rows.append((label, old or "—", new or "—"))
    return rows


def _labelled(
    name: str, early: Sequence[JsonMapping], late: Sequence[JsonMapping]
) -> list[tuple[str, str | None, str | None]]:
    key = {"pluggable": "name", "machine": "stat_name", "standby": "dest_id", "cluster": "inst_id", "asm": "name"}.get(
        name
    )
    old = {str(row[key]) if key else "": row for row in early}
    new = {str(row[key]) if key else "": row for row in late}
    columns = [column for column in next((one.columns for one in FACTS if one.name == name), ()) if column != key]
    return [
        (f"{name}{' ' + each if each else ''} {column}", old.get(each, {}).get(column), new.get(each, {}).get(column))
        for each in {**old, **new}
        for column in columns
    ]
