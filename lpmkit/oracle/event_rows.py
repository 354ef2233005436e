"""Events of an alert log as rows of a run folder, and back: raw, so that a later reader may classify them by other
rules.
"""

from __future__ import annotations

from datetime import datetime

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle.alert_log import EventKind, LogEvent
from lpmkit.oracle.log_xml import Tags
from lpmkit.oracle.stamps import Moment

#: Of an event that is longer the rest is left out of the run; its ``line_count`` says how long it was.
MAX_LINES = 60


def as_row(event: LogEvent, path: str, seen_mono_ns: int, seen_wall_ns: int, since_ns: int | None = None) -> JsonObject:
    """One event, its file, and when we saw it.

    ``since_ns``: the log was read to its end then, and did not have this event.
    """
    tags = event.tags
    return {
        "mono_ns": seen_mono_ns,
        "wall_ns": seen_wall_ns,
        "since_ns": since_ns,
        "path": path,
        "offset": event.offset,
        "line_count": event.line_count,
        "kind": event.kind.value,
        "when": _times(event.when),
        "inner": _times(event.inner),
        "whole": event.whole,
        "lines": list(event.lines[:MAX_LINES]),
        "tags": None
        if tags is None
        else [tags.process, tags.type, tags.level, tags.component, tags.problem, tags.container],
    }


def from_row(row: JsonMapping) -> LogEvent:
    """The event of a row. Raises `ValueError`, `KeyError` or `TypeError` for what is none."""
    tags = row.get("tags")
    return LogEvent(
        when=_moment(row["when"]),
        lines=tuple(str(line) for line in row["lines"]),
        offset=int(row["offset"]),
        line_count=int(row["line_count"]),
        kind=EventKind(row["kind"]),
        inner=_moment(row.get("inner")),
        whole=bool(row.get("whole", True)),
        tags=None if tags is None else Tags(*tags),
    )


def _times(moment: Moment | None) -> list[str] | None:
    return None if moment is None else [moment.earliest.isoformat(), moment.latest.isoformat()]


def _moment(times: list[str] | None) -> Moment | None:
    return None if times is None else Moment(datetime.fromisoformat(times[0]), datetime.fromisoformat(times[1]))
