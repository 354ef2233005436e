"""Sightings for the licence ledger from the utilization samples of an HMC: its answer to
``lslparutil -r lpar -m SYSTEM -d 60 -s h`` (C `HMCSCAN`).

A sample is a record of one partition on that system with its processors. Its time is the console's local one, to the
second and without a zone, so the zone of the console has to be known; a time that is there twice, or not at all, when
clocks are changed is left out.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from lpmkit.control.listings import is_empty, records
from lpmkit.errors import UnexpectedReply, UsageError
from lpmkit.json_values import JsonMapping
from lpmkit.runs.licences import Entitlement, Sighting

#: The form of a sample's time: month, day, year.
_TIME = "%m/%d/%Y %H:%M:%S"


def utilization_sightings(path: Path, frame: str, zone: ZoneInfo) -> tuple[dict[str, list[Sighting]], tuple[str, ...]]:
    """Sightings by partition, and what could not be placed, of one file with the samples of one managed system.

    Raises `UsageError` for a file that has no records.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = [] if is_empty(text) else records(text)
    except (OSError, ValueError, UnexpectedReply) as error:
        raise UsageError(f"this is no output of `lslparutil -r lpar -m {frame}`: {error}", where=str(path)) from None
    sightings: dict[str, list[Sighting]] = {}
    missing: dict[str, int] = {}
    for row in rows:
        if row.get("resource_type", "lpar") != "lpar" or row.get("event_type", "sample") != "sample":
            continue
        try:
            name, seen = row["lpar_name"], _seen(row, frame, zone)
        except (KeyError, ValueError) as error:
            why = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error)
            missing[why] = missing.get(why, 0) + 1
            continue
        sightings.setdefault(name, []).append(seen)
    return sightings, tuple(f"{path.name}: {count} samples: {why}" for why, count in missing.items())


def _seen(row: JsonMapping, frame: str, zone: ZoneInfo) -> Sighting:
    moment = datetime.strptime(row["time"], _TIME).replace(tzinfo=zone)
    if moment.utcoffset() != moment.replace(fold=1).utcoffset():
        raise ValueError("when clocks are changed their time is not certain")
    mode = row["curr_proc_mode"]
    cores = row["curr_procs"] if mode.startswith("ded") else row["curr_proc_units"]
    at_ns, entitled = int(moment.timestamp()) * 10**9, Entitlement(float(cores), mode)
    return Sighting(at_ns, frame, "", entitled, f"lslparutil ({frame})")
