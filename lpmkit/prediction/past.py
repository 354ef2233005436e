"""The index of past moves' outcomes, beside the runs: what predictions of later moves are made from.

An SQLite file in the folder of runs, written only where the history keeps its index too
(`lpmkit.runs.history`). It contains nothing beyond the run folders, and may be deleted.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.prediction.calibration import PastForecast
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.forecast import Fitted
from lpmkit.prediction.moves import Actual, Inputs, ObservedMove, Prediction
from lpmkit.runs.history import NAME as HISTORY
from lpmkit.runs.history import elsewhere

NAME = ".prediction.sqlite"
#: Version of the index; one of another version is made again.
FORMAT = 3


def indexed(runs: Path, read: Callable[[Path], ObservedMove | None]) -> dict[str, ObservedMove]:
    """The usable past moves of a folder of runs by the name of the run; ``read`` reads the run folders that changed.

    Without an index that can be kept every folder is read.
    """
    stamps = _stamps(runs)
    if (runs / HISTORY).exists():
        try:
            with closing(sqlite3.connect(runs / NAME, timeout=10.0)) as index, index:
                return _refreshed(index, runs, stamps, read)
        except (sqlite3.Error, ValueError, KeyError, TypeError):
            pass  # a read-only folder, or a damaged index: the run folders have everything
    moves = {name: read(runs / name) for name in stamps}
    return {name: move for name, move in moves.items() if move is not None}


def _refreshed(
    index: sqlite3.Connection, runs: Path, stamps: dict[str, str], read: Callable[[Path], ObservedMove | None]
) -> dict[str, ObservedMove]:
    if index.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        index.execute("DROP TABLE IF EXISTS outcomes")
        index.execute(f"PRAGMA user_version = {FORMAT}")
    index.execute("CREATE TABLE IF NOT EXISTS outcomes (run TEXT PRIMARY KEY, stamp TEXT, outcome TEXT)")
    rows = {run: (stamp, text) for run, stamp, text in index.execute("SELECT run, stamp, outcome FROM outcomes")}
    index.executemany("DELETE FROM outcomes WHERE run = ?", [(run,) for run in rows.keys() - stamps.keys()])
    moves: dict[str, ObservedMove] = {}
    for run, stamp in stamps.items():
        known = rows.get(run)
        if known is not None and known[0] == stamp:
            move = as_move(json.loads(known[1])) if known[1] else None
        else:
            move = read(runs / run)
            text = "" if move is None else json.dumps(as_data(move))
            index.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", (run, stamp, text))
        if move is not None:
            moves[run] = move
    return moves


def observed_elsewhere(runs: Path) -> list[ObservedMove]:
    """The past moves that other hosts shared; one that cannot be read is left out."""
    moves = []
    for row in elsewhere(runs):
        try:
            moves.append(as_move(json.loads(row.observed or "")))
        except (ValueError, KeyError, TypeError):
            continue
    return moves


def _stamps(runs: Path) -> dict[str, str]:
    """Modification times and sizes of the documents that an outcome is read from, by the name of the run."""
    stamps = {}
    try:
        with os.scandir(runs) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return {}
    for name in names:
        # A path object for each of thousands of files costs more than the call.
        stamp = [_stamp(f"{runs}/{name}/{document}.json") for document in ("prediction", "summary", "run")]
        if stamp[0]:
            stamps[name] = " ".join(stamp)
    return stamps


def _stamp(path: str) -> str:
    try:
        facts = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    return f"{facts.st_mtime_ns}.{facts.st_size}"


def as_data(move: ObservedMove) -> JsonObject:
    """A past move as JSON values; `as_move` reads it."""
    return {**asdict(move), "predicted": None if move.predicted is None else move.predicted.as_data()}


def as_move(data: JsonMapping) -> ObservedMove:
    """Inverse of `as_data`."""
    return ObservedMove(
        inputs=Inputs(**data["inputs"]),
        actual=Actual(**data["actual"]),
        fitted=None if data["fitted"] is None else Fitted(**data["fitted"]),
        predicted=None if data["predicted"] is None else Prediction.from_data(data["predicted"]),
        held=tuple(PastForecast(one["elapsed"], Quantiles(**one["claimed"]), one["left_s"]) for one in data["held"]),
        began_ns=data.get("began_ns"),
        late_start_s=data.get("late_start_s"),
    )
