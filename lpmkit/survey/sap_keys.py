"""SAP's hardware key of each frame, learned from earlier runs: whenever the system was asked there, its key was kept
beside the machine's serial number.

How SAP reckons the key is not public (`SAP2048`), so a key is only known where it was seen. A key belongs to a
machine, not to a name: one that was seen on a machine of another serial number than the frame has now is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lpmkit.json_values import JsonMapping, parse_json
from lpmkit.runs.files import read_plain
from lpmkit.sap.model import SapSnapshot

#: The newest runs that are looked at.
MAX_RUNS = 200
#: Both ends of a move are in one survey; where the system was is known by the serial number that it saw itself.
_DOCUMENTS = ("survey-after.json", "survey.json")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A hardware key as ``saplikey -get`` printed it during a run, and the serial number of the machine under it."""

    key: str
    serial: str
    run: str

    def __str__(self) -> str:
        return f"seen in {self.run} on machine {self.serial}"


def key_history(folder: Path, sid: str, unreadable: list[str]) -> Iterator[KeyRecord]:
    """Every record of a system's key, the newest run first.

    Documents that cannot be read are named in ``unreadable``.
    """
    if not folder.is_dir():
        return
    runs = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.name, reverse=True)
    for run in runs[:MAX_RUNS]:
        for name in _DOCUMENTS:
            try:
                document = parse_json(read_plain(run / name))
            except FileNotFoundError:
                continue  # a watch has none, and a run without an end no second one
            except (OSError, ValueError, RecursionError):
                unreadable.append(f"{run.name}/{name}")
                continue
            yield from _of_document(document, sid, run.name)


def _of_document(document: Any, sid: str, run: str) -> Iterator[KeyRecord]:
    rows = document.get("sap") if isinstance(document, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or row.get("system") != sid:
            continue
        key, serial = row.get("hardware_key"), row.get("machine_serial") or _serial_of_guest(document)
        if isinstance(key, str) and isinstance(serial, str) and key and serial:
            yield KeyRecord(key, serial, run)


def _serial_of_guest(document: JsonMapping) -> Any:
    """The machine's serial as AIX gave it, where SAP was not asked for it."""
    guest = document.get("guest")
    identity = guest.get("identity") if isinstance(guest, dict) else None
    return identity.get("serial") if isinstance(identity, dict) else None


def with_past_keys(snapshot: SapSnapshot, folder: Path, serials: Mapping[str, str]) -> SapSnapshot:
    """The snapshot with the keys of those frames that earlier runs saw, and what they say against the site file's.

    ``serials`` are the frames' own, by name.
    """
    seen: dict[str, list[KeyRecord]] = {}
    unreadable: list[str] = []
    for record in key_history(folder, snapshot.system, unreadable):
        seen.setdefault(record.serial, []).append(record)
    keys, sources = dict(snapshot.hardware_keys), dict(snapshot.keys_from)
    for frame, serial in serials.items():
        records = seen.get(serial, [])
        if not records:
            if unreadable and frame not in keys:
                more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
                sources[frame] = f"what earlier runs saw cannot all be read: {unreadable[0]}{more}"
            continue
        newest, runs = records[0], len({record.run for record in records})
        others = {record.key for record in records} - {newest.key}
        if frame in keys:
            agrees = (
                "and an earlier run saw the same" if keys[frame] == newest.key else f"but {newest.key} was {newest}"
            )
            sources[frame] = f"{sources.get(frame, 'the site file')}, {agrees}"
            continue
        keys[frame] = newest.key
        doubt = f"; unsure: other runs saw {', '.join(sorted(others))} there" if others else ""
        sources[frame] = f"{newest}, as it has it now ({runs} run{'s' if runs > 1 else ''}){doubt}"
    return replace(snapshot, hardware_keys=keys, keys_from=sources)
