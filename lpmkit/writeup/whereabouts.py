"""On which frame a partition was, from when to when, by the run folders beside a run: what a licence audit asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpmkit.run import Run


@dataclass(frozen=True, slots=True)
class Stay:
    """A partition on a frame. Times are nanoseconds since 1970, ``None`` where no run tells; ``run`` is the run by which it came (or left, of the first)."""

    frame: str
    machine: str
    since_ns: int | None
    until_ns: int | None
    run: str


@dataclass(frozen=True, slots=True)
class _Move:
    name: str
    source: str
    source_machine: str
    target: str
    target_machine: str
    at_ns: int


def whereabouts(run: Run) -> tuple[list[Stay], list[str]]:
    """The stays of the run's partition, oldest first, and the names of run folders that could not be read.

    Only moves that ended on the target count. Where a partition left another frame than the one it had come to, somebody moved it without
    lpmkit: its coming there is not known then.
    """
    partition = (run.manifest.get("order") or {}).get("partition")
    moves, unreadable = [], []
    for path in sorted(run.path.parent.glob("*/run.json")):
        try:
            found = _move(path.parent, partition)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            unreadable.append(path.parent.name)
            continue
        if found is not None:
            moves.append(found)
    moves.sort(key=lambda one: one.at_ns)
    stays: list[Stay] = []
    for number, move in enumerate(moves):
        came = moves[number - 1] if number and moves[number - 1].target == move.source else None
        if came is None:
            stays.append(Stay(move.source, move.source_machine, None, move.at_ns, move.name))
        after = moves[number + 1] if number + 1 < len(moves) else None
        left = after.at_ns if after is not None and after.source == move.target else None
        stays.append(Stay(move.target, move.target_machine, move.at_ns, left, move.name))
    return stays, unreadable


def _move(folder: Path, partition: Any) -> _Move | None:
    order = json.loads((folder / "run.json").read_text(encoding="utf-8")).get("order") or {}
    if order.get("partition") != partition or not (folder / "summary.json").exists():
        return None
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    settled = [one["began"]["utc"] for one in summary["phases"] if one["phase"] == "settled"]
    if not settled:
        return None
    return _Move(
        folder.name,
        str(order["source"]),
        _source_machine(folder),
        str(order["target"]),
        str(order.get("target_machine") or ""),
        _wall_ns(settled[-1]),
    )


def _source_machine(folder: Path) -> str:
    """Type, model and serial of the frame that was left, as the survey before found it."""
    path = folder / "survey.json"
    if not path.exists():
        return ""
    frame = (json.loads(path.read_text(encoding="utf-8")).get("source") or {}).get("frame") or {}
    return f"{frame['type_model']}*{frame['serial']}" if frame.get("type_model") and frame.get("serial") else ""


def _wall_ns(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    return round(moment.timestamp() * 1e6) * 1000
