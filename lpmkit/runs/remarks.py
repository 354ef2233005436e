"""Additions to a run by people: change record, remarks, deviations, follow-up, sign-off. Lines of ``remarks.jsonl``.

A line is never changed; a correction is another line. The record itself is not touched, and a write-up shows author and
time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lpmkit.account.person import acting_person
from lpmkit.errors import RecordError, UsageError
from lpmkit.json_values import parse_json
from lpmkit.runs.files import open_plain, read_plain
from lpmkit.timeline import Clock

NAME = "remarks.jsonl"
#: Kinds of remarks. ``change`` describes the change record and has its own fields.
KINDS = ("change", "remark", "deviation", "follow-up", "back-out", "approval", "sign-off")
#: Fields of a ``change``: number, window, operator, approver, and the system's name in the change record.
CHANGE_FIELDS = ("number", "window", "operator", "approver", "system")


@dataclass(frozen=True, slots=True)
class Remark:
    """One addition: time (``wall_ns``, nanoseconds since 1970), login of the author (``by``), and the ``owner`` of an
    action.

    """

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
    """Append a remark.

    Raises `UsageError` for an unknown kind, an empty remark or an unknown field, `RecordError` if it cannot be written.
    """
    fields_set = {name: value.strip() for name, value in (fields or {}).items() if value and value.strip()}
    if kind not in KINDS:
        raise UsageError(f"{kind} is no kind of remark", next_step=f"One of {', '.join(KINDS)}.")
    if unknown := sorted(set(fields_set) - set(CHANGE_FIELDS)):
        raise UsageError(f"a change has no field {', '.join(unknown)}", next_step=f"It has {', '.join(CHANGE_FIELDS)}.")
    if kind != "change" and fields_set:
        raise UsageError(f"{', '.join(fields_set)} belong to the change", next_step="Give them with --kind change.")
    if not text.strip() and not fields_set:
        raise UsageError("the remark is empty", next_step="Give a text, or a field of the change.")
    remark = Remark(
        (clock or Clock()).wall_ns(), by or acting_person().login, kind, text.strip(), owner.strip(), fields_set
    )
    row = {
        "wall_ns": remark.wall_ns,
        "by": remark.by,
        "kind": kind,
        "text": remark.text,
        "owner": remark.owner,
        "fields": fields_set,
    }
    path = folder / NAME
    try:
        ends_with_newline = not path.exists() or read_plain(path)[-1:] in (b"", b"\n")
        with open_plain(path, "ab") as file:
            file.write((b"" if ends_with_newline else b"\n") + json.dumps(row, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RecordError(
            f"{NAME} cannot be written: {error.strerror or error}",
            where=str(folder),
            next_step="Free some space there and try again; earlier remarks are intact.",
        ) from error
    return remark


def remarks(folder: Path) -> tuple[list[Remark], int]:
    """Every remark in the order of writing, and the number of unreadable lines."""
    path = folder / NAME
    if not path.exists():
        return [], 0
    parsed, unreadable = [], 0
    try:
        lines = read_plain(path).splitlines()
    except OSError as error:
        raise RecordError(f"{NAME} cannot be read: {error.strerror or error}", where=str(folder)) from error
    for line in lines:
        if not line.strip():
            continue
        try:
            parsed.append(_remark(parse_json(line)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            unreadable += 1
    return parsed, unreadable


def _remark(row: Any) -> Remark:
    fields = {str(name): str(value) for name, value in (row.get("fields") or {}).items()}
    return Remark(int(row["wall_ns"]), str(row["by"]), str(row["kind"]), str(row["text"]), str(row["owner"]), fields)


def change_of(remarks: list[Remark]) -> dict[str, str]:
    """The fields of the change, each by its last remark."""
    fields: dict[str, str] = {}
    for remark in remarks:
        if remark.kind == "change":
            fields |= remark.fields
    return fields
