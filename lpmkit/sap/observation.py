"""A question about a SAP system, asked once: its answer, or why there is none, as a run keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lpmkit.errors import UnexpectedReply
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap.model import (
    Alert,
    DispatcherQueue,
    Dump,
    Enqueue,
    Instance,
    Job,
    JobHistory,
    JobLog,
    Licence,
    Lock,
    LogEntry,
    Process,
    SystemIdentity,
    Update,
    User,
    WorkProcess,
)


class MissingReason(StrEnum):
    """The reason why a question has no answer."""

    NOT_CONFIGURED = "not-configured"  #: nothing in the site file could answer it
    NOT_ANSWERED = "not-answered"  #: what could have answered did not


#: The begin of the trouble in older runs, which have no `MissingReason.NOT_CONFIGURED`.
_OLD_NOT_CONFIGURED = "no way in the site file tells it"
#: The text of a process from ``ps`` in older runs, which have no `Process.from_ps`.
_OLD_FROM_PS = "running, by its name in ps"


#: The type of a question's rows. Questions whose answer is one value have one row.
ROWS: Mapping[str, type] = {
    "identity": SystemIdentity,
    "instances": Instance,
    "processes": Process,
    "work_processes": WorkProcess,
    "queues": DispatcherQueue,
    "jobs": Job,
    "job_list": Job,
    "job_logs": JobLog,
    "history": JobHistory,
    "users": User,
    "system_log": LogEntry,
    "dumps": Dump,
    "locks": Lock,
    "enqueue": Enqueue,
    "updates": Update,
    "alerts": Alert,
    "licences": Licence,
}


@dataclass(frozen=True, slots=True)
class SapObservation:
    """One question, asked once: between ``asked_ns`` and ``answered_ns`` on the observer's monotonic clock the answer
    was true.

    ``rows`` is ``None`` without an answer; then ``reason`` has a code and ``trouble`` the words. With rows ``trouble``
    names what may be missing in them. ``session`` is the identity of the conversation that carried it, where a way has
    one; ``segment`` the recorder's life in which it was asked.
    """

    system: str
    question: str
    way: str
    asked_ns: int
    answered_ns: int
    wall_ns: int
    rows: tuple[Any, ...] | None = None
    trouble: str = ""
    session: str = ""
    zone_offset_s: int | None = None
    segment: int = 1
    reason: MissingReason | None = None

    def as_data(self) -> JsonObject:
        """JSON values; rows without what is at its default."""
        kept = {
            "system": self.system,
            "question": self.question,
            "way": self.way,
            "asked_ns": self.asked_ns,
            "answered_ns": self.answered_ns,
            "wall_ns": self.wall_ns,
        }
        if self.rows is None:
            return {**kept, "trouble": self.trouble, "reason": (self.reason or MissingReason.NOT_ANSWERED).value}
        rows = _adapter(ROWS[self.question]).dump_python(self.rows, mode="json", exclude_defaults=True)
        more = {"trouble": self.trouble, "session": self.session, "zone_offset_s": self.zone_offset_s}
        return {**kept, **{name: value for name, value in more.items() if value not in ("", None)}, "rows": rows}


Row = TypeVar("Row")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(row: type) -> TypeAdapter[Any]:
    if row not in _ADAPTERS:
        _ADAPTERS[row] = TypeAdapter(tuple[row, ...])  # type: ignore[valid-type]
    return _ADAPTERS[row]


def read_observation(data: JsonMapping) -> SapObservation:
    """An observation that was kept with `SapObservation.as_data`. Raises `UnexpectedReply` for something else."""
    try:
        rows = data.get("rows")
        return SapObservation(
            system=str(data["system"]),
            question=str(data["question"]),
            way=str(data["way"]),
            asked_ns=int(data["asked_ns"]),
            answered_ns=int(data["answered_ns"]),
            wall_ns=int(data["wall_ns"]),
            rows=None if rows is None else _rows_of(data["question"], rows),
            trouble=str(data.get("trouble", "")),
            session=str(data.get("session", "")),
            zone_offset_s=data.get("zone_offset_s"),
            segment=int(data.get("segment", 1)),
            reason=_reason_of(data) if rows is None else None,
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise UnexpectedReply(f"this is no observation of a SAP system: {error}", line=str(data)[:200]) from error


def _rows_of(question: str, rows: Any) -> tuple[Any, ...]:
    found = _adapter(ROWS[question]).validate_python(rows)
    if question == "processes":
        return tuple(replace(row, from_ps=True) if row.text == _OLD_FROM_PS else row for row in found)
    return tuple(found)


def _reason_of(data: JsonMapping) -> MissingReason:
    """The kept reason; of an observation without one, the reason that its words give."""
    if "reason" in data:
        return MissingReason(data["reason"])
    old = str(data.get("trouble", "")).startswith(_OLD_NOT_CONFIGURED)
    return MissingReason.NOT_CONFIGURED if old else MissingReason.NOT_ANSWERED
