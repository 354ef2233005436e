"""The types of the answer of ``alert`` with ``--json``."""

from __future__ import annotations

from typing_extensions import TypedDict


class LogMoment(TypedDict):
    """A time as a log has it: ISO 8601, with a zone if ``zoned``."""

    earliest: str
    latest: str | None
    zoned: bool


AlertRule = TypedDict(
    "AlertRule",
    {
        "rule": str,
        "class": str,
        "count": int,
        "reason": str,
        "first": LogMoment | None,
        "last": LogMoment | None,
        "usual_per_hour": float | None,
    },
)


AlertEvent = TypedDict(
    "AlertEvent",
    {
        "rule": str | None,
        "class": str,
        "codes": list[str],
        "when": LogMoment | None,
        "byte": int,
        "text": list[str],
        "argument": str | None,
        "incident": str | None,
        "client": str | None,
    },
)


class AlertWitness(TypedDict):
    """A stretch that the database measured itself."""

    what: str
    seconds: float
    resolution_s: float
    at: str | None
    when: LogMoment | None


class AlertSource(TypedDict):
    """The extent of the log that was read."""

    size_bytes: int
    read_from_byte: int
    lines: int
    events: int
    events_inside: int
    events_before: int
    events_without_time: int
    cut_bytes: int
    time_forms: dict[str, int]


class AlertAnswer(TypedDict):
    """``alert``: the evaluation of an Oracle alert log."""

    file: str
    verdict: str
    counts: dict[str, int]
    rules: list[AlertRule]
    events: list[AlertEvent]
    witnesses: list[AlertWitness]
    log: AlertSource
