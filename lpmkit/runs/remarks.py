"""What people add to a run afterwards: the change's number, remarks, deviations, follow-up, sign-off. One line each in ``remarks.jsonl``, never changed.

A correction is another line. The run's own record is not touched, and a write-up shows who said what and when.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpmkit.errors import RecordError, UsageError
from lpmkit.person import acting_person
from lpmkit.runs.files import open_plain
from lpmkit.timeline import Clock

NAME = "remarks.jsonl"
#: What a remark can be. ``change`` describes the change record and has fields of its own.
KINDS = ("change", "remark", "deviation", "follow-up", "back-out", "approval", "sign-off")
#: The fields of a ``change``: its number, the window, who carried it out, who approved it, the system's name in the change record.
CHANGE_FIELDS = ("number", "window", "operator", "approver", "system")


@dataclass(frozen=True, slots=True)
class Remark:
    """One addition. ``wall_ns`` is when it was made (nanoseconds since 1970), ``by`` who was logged in, ``owner`` who has to act."""

    wall_ns: int
    by: str
    kind: str
    text: str = ""
    owner: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def add_remark(
    folder: Path,
    kind: str,
    text: str = "",
    *,
    owner: str = "",
    fields: Mapping[str, str] | None = None,
    by: str | None = None,
    clock: Clock | None = None,
) -> Remark:
    """Add a line. Raises `UsageError` for an unknown kind, an empty remark or a field that a change does not have, `RecordError` when it cannot be written."""
    given = {name: value.strip() for name, value in (fields or {}).items() if value and value.strip()}
    if kind not in KINDS:
        raise UsageError(f"{kind} is no kind of remark", next_step=f"One of {', '.join(KINDS)}.")
    if unknown := sorted(set(given) - set(CHANGE_FIELDS)):
        raise UsageError(f"a change has no field {', '.join(unknown)}", next_step=f"It has {', '.join(CHANGE_FIELDS)}.")
    if kind != "change" and given:
        raise UsageError(f"{', '.join(given)} belong to the change", next_step="Give them with --kind change.")
    if not text.strip() and not given:
        raise UsageError("the remark is empty", next_step="Say something, or name a field of the change.")
    made = Remark((clock or Clock()).wall_ns(), by or acting_person().login, kind, text.strip(), owner.strip(), given)
    row = {
        "wall_ns": made.wall_ns,
        "by": made.by,
        "kind": kind,
        "text": made.text,
        "owner": made.owner,
        "fields": given,
    }
    path = folder / NAME
    try:
        whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
        with open_plain(path, "ab") as file:
            file.write((b"" if whole else b"\n") + json.dumps(row, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RecordError(
            f"{NAME} cannot be written: {error.strerror or error}",
            where=str(folder),
            next_step="Free some space there and say it again; what was said before is still there.",
        ) from error
    return made


def remarks(folder: Path) -> tuple[list[Remark], int]:
    """Every remark in the order in which they were made, and how many lines could not be read."""
    path = folder / NAME
    if not path.exists():
        return [], 0
    found, unreadable = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            found.append(_remark(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            unreadable += 1
    return found, unreadable


def _remark(row: Any) -> Remark:
    fields = {str(name): str(value) for name, value in (row.get("fields") or {}).items()}
    return Remark(int(row["wall_ns"]), str(row["by"]), str(row["kind"]), str(row["text"]), str(row["owner"]), fields)


def change_of(said: list[Remark]) -> dict[str, str]:
    """The fields of the change, each as it was said last."""
    known: dict[str, str] = {}
    for one in said:
        if one.kind == "change":
            known |= one.fields
    return known
