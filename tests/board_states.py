"""Run folders in every state that a board can show, each as its recorder has left it at one moment.

A folder whose recorder is at work is held as a recorder holds it, for as long as the context lasts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lpmkit.analysis import write_summary
from lpmkit.board.follow import board_of
from lpmkit.board.model import Board
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Sample
from tests.made_runs import START, WALL, Made, MadeClock, S, make

FIXTURE = Path(__file__).parent.parent / "fixtures" / "runs" / "ivm-move"
#: The suspension of the moves here, and their phases until then.
SUSPENDED = (40.0, 41.6)
PHASES = ((0.0, "prepared"), (10.0, "asked"), (11.5, "starting"), (14.0, "copying"))
LEFT = (*PHASES, (41.9, "switched"))
THERE = (*LEFT, (42.6, "settled"))
#: The day of the recorded move.
RECORDED = "2026-11-30"
_DOCUMENTS = ("findings", "validation", "prediction")
#: Four more notes in the record, as they come.
REFUSED = "HSCLA246 The management console cannot communicate with partition bxaix85."


@dataclass(frozen=True, slots=True)
class Case:
    """A state: the time since the first sample, the phases so far, and whether the recorder is at work."""

    at_s: float
    phases: tuple[tuple[float, str], ...]
    recorded: bool = True
    ended: bool = False
    suspend: tuple[float, float] | None = SUSPENDED
    network_out: tuple[tuple[float, float], ...] = ()
    ticks: bool = True
    copied_at: float | None = None
    more: Callable[[RunWriter], None] = lambda writer: None
    analysed: bool = False


def _refused(writer: RunWriter) -> None:
    writer.event("recorder", "answer", what="migrate", status=1, text=REFUSED)
    _reading(writer, "blade13", "Running", "Not Migrating")


def _broken(writer: RunWriter) -> None:
    writer.event(
        "recorder",
        "answer",
        what="migrate",
        status=1,
        text="HSCLA27C The operation to get the physical device location failed.",
    )
    _reading(writer, "blade13", "Migrating - Running", "Migration Failed", 2197758093, 2097209203)
    _reading(writer, "blade14", None, None)


def _reading(writer: RunWriter, where: str, partition: str | None, migration: str | None, *sent: int) -> None:
    counted = dict(zip(("bytes_transmitted", "bytes_remaining"), sent or (None, None), strict=True))
    data = {"partition_state": partition, "migration_state": migration, "lpar_id": 2, **counted}
    writer.event("recorder", "reading", where=where, **data)


def _copying(writer: RunWriter) -> None:
    _reading(writer, "blade13", "Migrating - Running", "Migration Starting", 2_900_000_000, 1_700_000_000)
    _reading(writer, "blade14", None, None)


def _resumed(writer: RunWriter) -> None:
    _reading(writer, "blade13", "Migrating - Running", "Migration Starting", 4_600_000_000, 0)
    _reading(writer, "blade14", None, None)


def _nearly_copied(writer: RunWriter) -> None:
    _reading(writer, "blade13", "Migrating - Running", "Migration Starting", 4_595_000_000, 5_000_000)
    _reading(writer, "blade14", None, None)


def _forecast(writer: RunWriter) -> None:
    _copying(writer)
    writer.event("recorder", "forecast", remaining_s={"p10": 12.0, "p50": 16.0, "p90": 40.0})


def _elsewhere(writer: RunWriter) -> None:
    why = "not asked for: bxaix85 is not on blade13 any more; nothing was moved by this run"
    writer.event("recorder", "phase", phase="failed", was="prepared", why=why, seen=None)


def _down(writer: RunWriter) -> None:
    _reading(writer, "blade13", "Error", "Not Migrating")
    _reading(writer, "blade14", None, None)
    writer.event("recorder", "phase", phase="failed", was="copying", why="", seen="at-home")


CASES: Mapping[str, Case] = {
    "lead-in": Case(5.0, PHASES[:1]),
    "asked": Case(10.6, PHASES[:2]),
    "copying": Case(29.0, PHASES, more=_forecast),
    "suspended": Case(41.2, PHASES, more=_resumed),
    "resumed": Case(43.0, PHASES, more=_resumed),
    "switched": Case(42.2, LEFT),
    "arrived": Case(50.0, THERE),
    "moved": Case(62.0, THERE, recorded=False, ended=True, analysed=True),
    "stopped": Case(25.0, (*PHASES, (24.0, "stopped")), recorded=False, ended=True, suspend=None),
    "failed": Case(13.0, (*PHASES[:2], (12.0, "failed")), suspend=None, more=_refused),
    "needs-recovery": Case(29.0, (*PHASES, (28.0, "needs-recovery")), suspend=None, more=_broken),
    "recorder-gone": Case(29.0, PHASES, recorded=False),
}
_OUT: dict[str, Any] = {"suspend": None, "network_out": (SUSPENDED,)}
#: Silences that are not, or not surely, the suspension: no answer in mid-copy, a break of the network after which the
#: manager has not reported yet, the same without stamps from inside, and one after which it reports the copy again,
#: or its last rest.
CASES_ALIKE: Mapping[str, Case] = {
    "silent": Case(25.2, PHASES, suspend=(24.0, 25.6), copied_at=60.0),
    "break": Case(44.5, PHASES, copied_at=60.0, **_OUT),
    "break-without-stamps": Case(44.5, PHASES, ticks=False, **_OUT),
    "break-reported": Case(43.0, PHASES, more=_copying),
    "rest-reported": Case(43.0, PHASES, more=_nearly_copied),
}
#: Ends of a move that are no "not moved": the partition was gone before the command, and it does not run any more.
CASES_ENDED: Mapping[str, Case] = {
    "elsewhere": Case(12.0, PHASES[:1], recorded=False, ended=True, suspend=None, more=_elsewhere),
    "down": Case(29.0, PHASES, recorded=False, ended=True, suspend=None, more=_down),
}
#: All states of the banner, with that of a run that has not begun.
STATES = ("ready", *CASES)


@contextmanager
def board_in(folder: Path, state: str, language: str = "en") -> Iterator[tuple[Run, Board]]:
    """A run folder in a state, and its board in a language."""
    with ExitStack() as held:
        case = {**CASES, **CASES_ALIKE, **CASES_ENDED}.get(state)
        yield _begun(folder, case, held, language) if case is not None else _ready(folder, language)


def _documents() -> dict[str, Any]:
    return {name: json.loads((FIXTURE / f"{name}.json").read_text()) for name in _DOCUMENTS}


def _ready(folder: Path, language: str) -> tuple[Run, Board]:
    from lpmkit.runs.folder import create  # noqa: PLC0415

    clock = MadeClock()
    order = {
        "partition": "bxaix85",
        "source": "blade13",
        "target": "blade14",
        "target_machine": "",
        "target_address": "",
        "target_user": "",
    }
    run = create(folder, mode="move", title="ready", facts={"order": order, "lead_in_s": 10, "tail_s": 20}, clock=clock)
    for name, value in _documents().items():
        write_document(run.path, name, value)
    return run, board_of(run, clock, language=language)


def _begun(folder: Path, case: Case, held: ExitStack, language: str) -> tuple[Run, Board]:
    made = Made(
        duration_s=case.at_s,
        suspend=case.suspend,
        network_out=case.network_out,
        ticks=case.ticks,
        copied_at=case.copied_at,
        phases=case.phases,
        ended=case.ended,
        icmp=True,
        connect=False,
        tick_hz=25,
        icmp_ms=50,
    )
    run = make(folder, made, **_documents())
    facts = run.manifest
    order = {**facts["order"], "target_machine": "7998-61X*10072EA"}
    workload = [
        one
        for one in json.loads((FIXTURE / "run.json").read_text())["probes"]
        if one["kind"] in ("sap", "alert", "sql")
    ]
    write_document(run.path, "run", {**facts, "order": order, "lead_in_s": 10, "tail_s": 20, "probes": workload})
    clock = MadeClock(START + round(case.at_s * S))
    _answers(run, clock)
    run = Run(run.path)
    with RunWriter(run.path, clock) as writer:
        _session(writer)
        sql = [Sample(n, answered_ns=START + n * S // 2) for n in range(1, int(2 * min(case.at_s, SUSPENDED[0])))]
        writer.samples("ora-sql-BX5", sql)
        case.more(writer)
    if case.analysed:
        write_summary(run.path)
    if case.recorded:
        held.enter_context(RunWriter(run.path, clock))
    return run, board_of(run, clock, language=language)


def _session(writer: RunWriter) -> None:
    data = {"connection": 1, "way": "sqlplus", "sid": "25", "instance": "BX5", "status": "OPEN"}
    writer.event("ora-sql-BX5", "db-session", probe="ora-sql-BX5", **data)
    writer.event("ora-alert-BX5", "alert-log", probe="ora-alert-BX5", path="/oracle/BX5/alert_BX5.log")


def _answers(run: Run, clock: MadeClock) -> None:
    """The answers of SAP and the alert log in the recorded move, as if they were given now."""
    folder = run.path / "observations"
    folder.mkdir(exist_ok=True)
    for path in (FIXTURE / "observations").glob("*.jsonl"):
        if not path.name.startswith(("sap-BX5", "ora-alert")):
            continue
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        # the database was started weeks before, which a shifted clock does not show
        rows = [row for row in rows if str((row.get("when") or [RECORDED])[0]) >= RECORDED]
        newest = max(row.get("answered_ns") or row.get("mono_ns") or 0 for row in rows)
        shift = clock.now_ns - newest - S // 2
        with (folder / path.name).open("w") as file:
            for row in rows:
                times = {name: row[name] + shift for name in ("asked_ns", "answered_ns", "mono_ns") if row.get(name)}
                wall = {"wall_ns": clock.now_ns + shift * 0 + WALL - START} if row.get("wall_ns") else {}
                file.write(json.dumps({**row, **times, **wall}) + "\n")


__all__ = ["CASES", "STATES", "Case", "board_in", "replace"]
