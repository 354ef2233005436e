"""A world of noise as a run folder: the samples, observations and events that the probes would have left of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.noise.everyday import ASKED, BEGIN, END, RESUME, SETTLED, SURVEYED, World
from lpmkit.oracle.alert_log import read_alert_log
from lpmkit.oracle.event_rows import as_row
from lpmkit.probes.orders import ProbeOrder
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.sap.model import (
    Colour,
    DispatcherQueue,
    Enqueue,
    Instance,
    Process,
    SapSnapshot,
    WorkProcess,
)
from lpmkit.sap.observation import SapObservation
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.timeline import Outcome, Sample
from tests.made_runs import START, WALL, Made, MadeClock, S, make

Value = TypeVar("Value")
SAP_HOURS = 1
#: How often each question is asked here, seconds.
EVERY = {"work_processes": 4, "jobs": 10, "processes": 15, "queues": 15, "users": 30, "enqueue": 30,
         "system_log": 30, "dumps": 60, "updates": 60}  # fmt: skip
LOG = "/oracle/BX5/saptrace/background/alert_BX5.log"


def recorded(world: World, folder: Path) -> Run:
    """The run of a world. Nothing of its truth is in it but what probes see."""
    phases = (
        (0.0, "prepared"),
        (ASKED, "asked"),
        (ASKED + 1, "starting"),
        (ASKED + 3, "copying"),
        (SETTLED, "settled"),
    )
    made = Made(
        seed=world.seed + 1, duration_s=END, suspend=(BEGIN, RESUME), tick_hz=10, connect=False, echo=False,
        observer=False, phases=phases, ended=False,
    )  # fmt: skip
    run = make(folder, made, survey={"sap": [asdict(_snapshot(world))]})
    orders = list(_orders())
    write_document(run.path, "run", {**run.manifest, "probes": [order.as_data() for order in orders]})
    run, clock = Run(run.path), MadeClock()
    with RunWriter(run.path, clock) as writer:
        _database(world, writer, clock)
        _system(world, writer)
        clock.now_ns = ns(END)
        writer.event("recorder", "recorder-ended", reason="settled")
    return Run(run.path)


def ns(at: float) -> int:
    return START + round(at * S)


def at(history: Sequence[tuple[float, Value]], moment: float) -> Value:
    """The state that holds at a moment."""
    return next(value for begin, value in reversed(history) if begin <= moment)


def looks(every: float, first: float = 2.0) -> Iterator[float]:
    """The times at which a question is answered: none while the partition stands."""
    moment = first
    while moment < END:
        yield RESUME + 0.1 if BEGIN <= moment < RESUME else moment
        moment += every


def _orders() -> Iterator[ProbeOrder]:
    for kind, name, every in (
        ("sql", "sql", 0.5),
        ("logon", "logon", 5),
        ("db-state", "state", 20),
        ("alert", "alert", 2),
    ):
        options = {"sid": "BX5", "way": {"way": "thin"}, "limits": {}}
        yield ProbeOrder(
            name=f"ora-{name}-BX5", kind=kind, interval_ns=int(every * S), host="bxaix85", about=kind, group="oracle",
            options=options,
        )  # fmt: skip
    settings = SapSystemSettings(partition="bxaix85", instances=("00",), watch_after_minutes=1.0)
    yield ProbeOrder(
        name="sap-BX5", kind="sap", interval_ns=S, host="bxaix85", about="states", group="sap",
        options={"sid": "BX5", "settings": settings.model_dump(mode="json")},
    )  # fmt: skip


# --- the database


def _database(world: World, writer: RunWriter, clock: MadeClock) -> None:
    clock.now_ns = ns(0.5)
    for kind, every in (("sql", 0.5), ("logon", 5.0)):
        writer.event(
            f"ora-{kind}-BX5", "probe-started", probe=f"ora-{kind}-BX5", kind=kind, host="bxaix85",
            interval_ns=int(every * S),
        )  # fmt: skip
        writer.samples(f"ora-{kind}-BX5", list(_samples(world, kind, every)))
    writer.event("ora-alert-BX5", "alert-log", probe="ora-alert-BX5", path=LOG, hostname="bxaix85")
    for begin, serial in world.own_serial:
        clock.now_ns = ns(begin + 1)
        writer.event("ora-sql-BX5", "db-session", probe="ora-sql-BX5", **_beat(world, begin + 1, serial))
    rows = [_state(world, moment) for moment in looks(20.0)]
    writer.observation_rows("ora-state-BX5", _lines(rows))
    writer.observation_rows("ora-alert-BX5", _lines(list(_log_rows(world))))


def _samples(world: World, kind: str, every: float) -> Iterator[Sample]:
    moment, seq = 1.0, 0
    while moment < END - 1:
        seq += 1
        answered = moment + 0.004
        if BEGIN <= moment < RESUME:
            answered = RESUME + 0.02
        failed = kind == "logon" and any(begin <= moment < end for begin, end in world.logon_fails)
        outcome = Outcome.SILENT if failed else Outcome.ANSWERED
        yield Sample(seq, ns(moment), ns(moment), None if failed else ns(answered), outcome=outcome)
        moment += every


def _beat(world: World, moment: float, serial: str) -> dict[str, str]:
    zone = timezone(timedelta(minutes=world.zone_minutes[1]))
    there = datetime.fromtimestamp((WALL + round(moment * S)) / 1e9, tz=UTC).astimezone(zone)
    return {
        "sid": "12", "serial": serial, "logon_time": "20260301100000", "startup_time": world.started_at(moment),
        "instance": "BX5", "host_name": "bxaix85", "version": "19.0.0.0.0", "status": "OPEN",
        "server_time": there.isoformat(timespec="microseconds"),
    }  # fmt: skip


def _state(world: World, moment: float) -> dict[str, Any]:
    zone = timezone(timedelta(minutes=world.zone_minutes[1]))
    base = datetime.fromtimestamp(WALL / 1e9, tz=UTC).astimezone(zone).replace(tzinfo=None)
    sessions = [
        {"sid": str(one.sid), "serial": str(int(one.logon) % 65536), "username": one.user, "program": one.user.lower(),
         "machine": "app1", "logon_time": f"{base + timedelta(seconds=one.logon):%Y%m%d%H%M%S}"}
        for one in world.sessions if one.logon <= moment < one.ends
    ]  # fmt: skip
    disks = [
        {"name": "DATA", "state": "CONNECTED", "type": "NORMAL", "offline_disks": str(at(world.offline_disks, moment))}
    ]
    return {
        "mono_ns": ns(moment), "wall_ns": WALL + round(moment * S), "own": _beat(world, moment, "99"),
        "own_sent_ns": ns(moment), "own_answered_ns": ns(moment) + S // 200,
        "facts": {"sessions": sessions, "asm": disks}, "gaps": {},
    }  # fmt: skip


def _log_rows(world: World) -> Iterator[dict[str, Any]]:
    offset = 0
    for moment, lines in sorted(world.log):
        if moment > END - 3:
            continue
        zone = timezone(timedelta(minutes=world.log_zone_minutes(moment)))
        there = datetime.fromtimestamp((WALL + round(moment * S)) / 1e9, tz=UTC).astimezone(zone)
        stamp = there.isoformat(timespec="microseconds") if world.is_zoned else f"{there:%a %b %d %H:%M:%S %Y}"
        text = "\n".join((stamp, *lines)) + "\n"
        seen = 1.0 if moment < 1 else 1.0 + 2 * (int((moment - 1) // 2) + 1)
        if BEGIN <= seen < RESUME:
            seen = RESUME + 0.3
        for event in read_alert_log(text):
            since = None if moment < 1 else ns(seen - 2)
            yield as_row(replace(event, offset=offset), LOG, ns(seen), WALL + round(seen * S), since)
        offset += len(text)
    for moment in looks(10.0):
        yield {"mono_ns": ns(moment), "wall_ns": WALL + round(moment * S), "read": [LOG]}


# --- the SAP system


def _stamp(moment: float) -> datetime:
    return datetime.fromtimestamp((WALL + round(moment * S)) // S, tz=UTC).replace(tzinfo=None)


def _system(world: World, writer: RunWriter) -> None:
    rows = [_seen("instances", 1.0, (Instance("bxaix85", "00", ("ABAP", "ENQUE")),))]
    for question, every in EVERY.items():
        last = -1e9
        for moment in looks(every):
            rows.append(_seen(question, moment, _answer(world, question, last, moment)))
            last = moment
    writer.observation_rows("sap-BX5", _lines([row.as_data() for row in rows]))


def _seen(question: str, moment: float, rows: tuple[Any, ...]) -> SapObservation:
    return SapObservation(
        "BX5",
        question,
        "webservice",
        ns(moment),
        ns(moment) + S // 100,
        WALL + round(moment * S),
        rows,
        zone_offset_s=0,
    )


def _answer(world: World, question: str, last: float, moment: float) -> tuple[Any, ...]:
    if question == "work_processes":
        return tuple(one for one in _workers(world, moment))
    if question == "jobs":
        # a run's last state counts
        newest = {job.key: (begin, job) for begin, job in world.jobs if begin <= moment}
        return tuple(replace(job, started=_stamp(-600)) for _, job in newest.values())
    if question == "processes":
        return tuple(
            Process(name, at(pids, moment), Colour.GREEN, "Running", _stamp(-9000), description=name, instance="00")
            for name, pids in world.processes.items()
        )
    if question == "queues":
        waiting = at(world.waiting, moment)
        return (DispatcherQueue("ABAP/DIA", waiting, max(9, waiting), 14000, 90, 90),)
    if question == "users":
        return tuple(user for user, begin, end in world.users if begin <= moment < end)
    if question == "enqueue":
        replica = Colour.GREEN if at(world.replicated, moment) else Colour.RED
        return (Enqueue(4, 14, 90, 0, 0, replica, Colour.GREEN),)
    if question == "updates":
        return tuple(update for begin, update in world.updates if begin <= moment)
    if question == "system_log":
        log = sorted(world.syslog, key=lambda one: one[0])
        return tuple(replace(row, at=_stamp(when)) for when, row in log if last < when <= moment)
    dumps = sorted(world.dumps, key=lambda one: one[0])
    return tuple(replace(row, at=_stamp(when)) for when, row in dumps if last < when <= moment)


def _workers(world: World, moment: float) -> Iterator[WorkProcess]:
    for history in world.workers.values():
        worker = at(history, moment)
        if worker is not None:
            yield worker


def _snapshot(world: World) -> SapSnapshot:
    users = tuple(user for user, begin, end in world.users if begin <= SURVEYED < end)
    return SapSnapshot("BX5", WALL + round(SURVEYED * S), {"users": "webservice"}, users=users)


def _lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
