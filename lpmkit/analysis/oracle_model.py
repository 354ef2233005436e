"""The results of the analysis of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lpmkit.analysis.model import Interval
from lpmkit.json_values import JsonMapping
from lpmkit.oracle import state as facts
from lpmkit.oracle.judge import LogPosition, LogVerdict
from lpmkit.rules.question import Question
from lpmkit.rules.table import Class


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the alert log's lane: somewhere in ``at`` on our clock."""

    at: Interval
    meaning: Class
    rule: str
    text: str
    place: LogPosition
    printed: str


@dataclass(frozen=True, slots=True)
class OwnMeasure:
    """A length that the database measured itself.

    ``agrees`` is ``None`` where there is no suspension to hold it against.
    """

    what: str
    seconds: float
    resolution_s: float
    at: Interval
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class DatabaseAnalysis:
    """Everything found about one database.

    ``before`` and ``after`` are states as `lpmkit.oracle.state.gather` has them, ``None`` where it was not asked.
    """

    sid: str
    host: str
    way: str
    version: str | None
    before: JsonMapping | None
    after: JsonMapping | None
    sessions: tuple[JsonMapping, ...]
    kept: facts.SessionsRetained | None
    waits: tuple[facts.WaitChange, ...]
    changes: tuple[tuple[str, str, str], ...]
    gaps: Mapping[str, str]
    judgement: LogVerdict | None
    marks: tuple[Mark, ...]
    measures: tuple[OwnMeasure, ...]
    paths: tuple[str, ...]
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()
