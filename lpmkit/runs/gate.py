"""Validation of everything read from a run folder: a document or a line may be anything; foreign content is
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping
from lpmkit.timeline import Event

#: The phases that an event can name (`lpmkit.migration.phases.Phase`).
PHASES = frozenset(
    {"prepared", "asked", "starting", "copying", "switched", "settled", "failed", "stopped", "needs-recovery"}
)
_EVENT_FIELDS = {"mono_ns", "wall_ns", "segment", "source", "kind", "data"}
_REPLY_TEXTS = ("where", "command", "output", "error")
_REPLY_FIELDS = {*_REPLY_TEXTS, "status", "stdin", "began_ns", "ended_ns", "wall_ns", "over"}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - not NaN


def _whole(value: object) -> bool:
    return type(value) is int


def _whole_if_any(value: object) -> bool:
    return value is None or _whole(value)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _rows_of_numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and row and all(map(_number, row)) for row in value)


#: Required fields of each kind of event; an event without them is invalid.
REQUIRED: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "phase": {"phase": lambda value: value in PHASES if isinstance(value, str) else False},
    "recorder-ended": {"reason": _text, "watched_to_ns": _whole_if_any},
    "tail-over": {"goes_on_s": _number, "watched_to_ns": _whole_if_any},
    "reading": {"where": _text},
    "control-lost": {"where": _text, "error": _text},
    "pace": {"probe": _text, "first_seq": _whole, "interval_ns": _whole},
    "clock": {"uncertainty_ns": _whole_if_any},
    "disk-full": {"error": _text},
    "tcp": {"probe": _text, "rows": _rows_of_numbers, "silent_since_ns": _whole, "answered_ns": _whole},
    "forecast": {"remaining_s": lambda value: isinstance(value, dict) and _number(value.get("p50"))},
    "over": {"partition": _text, "stage": _text, "why": _text},
    "moving": {"partition": _text, "run": _text},
    "goes-on": {"despite": lambda value: isinstance(value, list) and all(map(_text, value))},
    "again": {"partition": _text},
    "put-back": {"partition": _text},
    "preparing": {"partition": _text},
    "observed": {"partition": _text, "place": _text, "why": _text},
}


def is_event(row: Any) -> bool:
    """True if a JSON value is an event."""
    if not isinstance(row, dict) or not isinstance(row.get("data", {}), dict):
        return False
    if not all(_whole(row.get(name)) for name in ("mono_ns", "wall_ns", "segment")):
        return False
    if not (_text(row.get("source")) and _text(row.get("kind"))) or not row.keys() <= _EVENT_FIELDS:
        return False
    data = row.get("data", {})
    return all(fits(data.get(name)) for name, fits in REQUIRED.get(row["kind"], {}).items())


def event_of(row: JsonMapping) -> Event:
    """The event of a row that `is_event`."""
    return Event(row["mono_ns"], row["wall_ns"], row["segment"], row["source"], row["kind"], row.get("data", {}))


def is_reply(row: Any) -> bool:
    """True if a JSON value is a command and its reply."""
    if not isinstance(row, dict) or not row.keys() <= _REPLY_FIELDS:
        return False
    status = row.get("status")
    texts = all(_text(row.get(name)) for name in _REPLY_TEXTS) and _text(row.get("over", ""))
    return texts and (status is None or _whole(status))


#: The kind of value that each document holds.
DOCUMENTS: Mapping[str, tuple[type, ...]] = {
    "survey": (dict,),
    "survey-after": (dict,),
    "validation": (dict,),
    "prediction": (dict,),
    "summary": (dict,),
    "waiting": (dict,),
    "findings": (list, dict),
    "changes": (list,),
    "logs-before": (dict,),
    "observers": (list,),
    "not-observed": (dict,),
}


#: The content that parts of documents may have where they are read without their reader.
PARTS: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(
        ("survey", "survey-after"),
        dict.fromkeys(("source", "target", "guest"), lambda part: part is None or isinstance(part, dict)),
    ),
    "validation": {"passed": lambda passed: passed is None or isinstance(passed, bool)},
}


def not_a_document(name: str, value: object) -> str | None:
    """The reason why a JSON value is not the document of that name; ``None`` if it can be."""
    kinds = DOCUMENTS.get(name)
    if kinds is None:
        return None
    if not isinstance(value, kinds):
        return f"it holds {'null' if value is None else type(value).__name__}"
    if isinstance(value, list) and not all(isinstance(row, dict) for row in value):
        return "a row of it is no object"
    if isinstance(value, dict):
        for part, fits in PARTS.get(name, {}).items():
            if not fits(value.get(part)):
                return f"{part} is a {type(value[part]).__name__}"
    return None


def not_ours(folder: Path, name: str, trouble: str) -> RecordError:
    """The error for a document that lpmkit did not write, or that was damaged."""
    return RecordError(
        f"{name} is none of lpmkit: {trouble}",
        where=str(folder),
        next_step="Move it aside or restore it from a copy; the rest of the run can be read without it.",
    )
