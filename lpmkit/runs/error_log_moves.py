"""Sightings for the licence ledger from a partition's own error log, as ``lpmkit was-moved HOST --json`` printed it.

The log's times are local and to the second, so the zone of the partition has to be known. It shows machine ids, not
frames: an id that a recorded run knows gets the frame's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lpmkit.errors import RecordError, UsageError
from lpmkit.runs.folder import Run
from lpmkit.runs.licences import Entitlement, Onward, Sighting

#: The form in which the log prints a time: ``Thu Sep  3 21:33:36 CEST 2026``; the zone may be missing.
_STAMP = re.compile(r"(?:\w{3}\s+)?([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d\d:\d\d:\d\d)\s+(?:[A-Z]\S*\s+)?(\d{4})")
_NO_ENTITLEMENT = Entitlement(None, "")


def log_sightings(path: Path, zone: ZoneInfo, frames: Mapping[str, str]) -> tuple[str, list[Sighting], tuple[str, ...]]:
    """Partition, sightings, and what could not be placed, of one file. ``frames`` are frames by machine id.

    Raises `UsageError` for a file that is not such an output.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        partition = str(document["identity"].get("lpar_name") or document["host"])
        moves = [dict(move) for move in document["moves"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"this is no output of `lpmkit was-moved HOST --json`: {error}", where=str(path)) from None
    found: list[Sighting] = []
    missing: list[str] = []
    for move in moves:
        try:
            found += _of(move, zone, frames, path.name)
        except (ValueError, KeyError) as error:
            missing.append(f"{partition}: a move of {move.get('started') or move.get('ended')}: {error}")
    return partition, found, tuple(missing)


def _of(move: Mapping[str, Any], zone: ZoneInfo, frames: Mapping[str, str], source: str) -> Iterator[Sighting]:
    """The sightings of one move: where it was when it began, and where when it ended."""
    outcome = str(move["outcome"])
    is_open = not move["ended"]
    moved = outcome in ("completed", "between two entries")
    if move["started"]:
        onward = Onward.OPEN if is_open else Onward.MOVED if moved else Onward.NOTHING
        yield _seen(move["started"], move["came_from"], zone, frames, source, onward)
    if not is_open:
        yield _seen(move["ended"], move["went_to"], zone, frames, source, Onward.NOTHING)


def _seen(
    stamp: str, machine_id: str, zone: ZoneInfo, frames: Mapping[str, str], source: str, onward: Onward
) -> Sighting:
    match = _STAMP.fullmatch(stamp.strip())
    if match is None:
        raise ValueError(f"the time {stamp!r} cannot be read")
    month, day, time, year = match.groups()
    moment = datetime.strptime(f"{year} {month} {day} {time}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
    frame = frames.get(machine_id) or f"machine ID {machine_id}"
    return Sighting(int(moment.timestamp()) * 10**9, frame, "", _NO_ENTITLEMENT, f"error log ({source})", onward)


def machine_ids(folder: Path) -> dict[str, str]:
    """Frames by machine id (``uname -m``), from the partitions' own answers before and after recorded moves."""
    frames: dict[str, str] = {}
    for path in sorted(folder.glob("*/run.json")):
        try:
            run = Run(path.parent)
            order = run.manifest.get("order") or {}
            for name, end in (("survey", "source"), ("survey-after", "target")):
                identity = ((run.document(name) or {}).get("guest") or {}).get("identity") or {}
                if identity.get("machine_id") and order.get(end):
                    frames.setdefault(str(identity["machine_id"]), str(order[end]))
        except (RecordError, OSError, ValueError, AttributeError):
            continue  # the ledger itself names runs that cannot be read
    return frames
