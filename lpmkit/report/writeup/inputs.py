"""The inputs of the sections of a write-up, and the words for their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lpmkit.analysis import Analysis, Interval
from lpmkit.analysis.outcome import MoveOutcome
from lpmkit.json_values import JsonObject
from lpmkit.report.facts import document_of, shown
from lpmkit.report.other_places import SeenElsewhere, seen_elsewhere
from lpmkit.report.writeup.document import Table
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import Remark, remarks
from lpmkit.timeline import Event, outwards
from lpmkit.wording.titles import question_title
from lpmkit.wording.words import Words

#: A space at which no line is broken.
TOGETHER = "\u00a0"
STATES = ("pass", "passed", "warn", "fail", "failed", "unknown", "not evaluated", "not applicable")


@dataclass(frozen=True)
class WriteUpInputs:
    """Everything that the sections are made from."""

    run: Run
    analysis: Analysis
    words: Words

    @cached_property
    def events(self) -> list[Event]:
        """All events of the run."""
        return self.run.events()

    @cached_property
    def remarks(self) -> tuple[list[Remark], int]:
        """Remarks of the run, and the number of unreadable lines."""
        return remarks(self.run.path)

    @cached_property
    def surveys(self) -> tuple[Any, Any]:
        """The surveys before and after the move."""
        return document_of(self.run, "survey"), document_of(self.run, "survey-after")

    @cached_property
    def elsewhere(self) -> SeenElsewhere:
        """What other places saw."""
        return seen_elsewhere(self.run, self.analysis)

    @property
    def order(self) -> JsonObject:
        """The order of the move; empty for a watch."""
        return self.run.manifest.get("order") or {}

    @property
    def is_move(self) -> bool:
        """True if the run is a move, not a watch."""
        return self.analysis.mode == "move"

    @property
    def outcome(self) -> MoveOutcome:
        """The outcome of the move. Raises `AssertionError` for a watch."""
        assert self.analysis.verdict.outcome is not None
        return self.analysis.verdict.outcome

    @property
    def partition(self) -> str:
        """The partition that moved, or the hosts that were watched."""
        return str(self.order.get("partition") or ", ".join(host.host for host in self.analysis.hosts))

    def of_kind(self, *kinds: str) -> list[Remark]:
        """Remarks of these kinds."""
        return [remark for remark in self.remarks[0] if remark.kind in kinds]


# --- words for values -----------------------------------------------------------------------------------------------


def seconds_text(words: Words, span: Interval) -> str:
    """Bounds in seconds, rounded outwards to milliseconds so that they still hold; one number if both are equal."""
    lo, hi = (words.number(bound, 3) for bound in outwards(span.lo_ns, span.hi_ns))
    text = f"{lo} s" if lo == hi else f"{lo} … {hi} s"
    return text.replace(" ", TOGETHER)


def utc_of(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)


def both_times(words: Words, wall_ns: int, digits: int = 0) -> tuple[str, str]:
    """A moment in UTC and in the local time of the machine where this is written."""
    moment = utc_of(wall_ns)
    local = moment.astimezone()
    part = f".{moment.microsecond // 1000:03d}" if digits else ""
    zone = f"{TOGETHER}{local.tzname()}" if local.tzname() else ""
    return f"{words.date(moment)}{TOGETHER}{moment:%H:%M:%S}{part}", f"{local:%H:%M:%S}{part}{zone}"


def is_utc_here(wall_ns: int) -> bool:
    """True where the local time of this machine is UTC at a moment: it is not shown a second time then."""
    return not utc_of(wall_ns).astimezone().utcoffset()


def instants(words: Words, lo_ns: int, hi_ns: int, *, is_local: bool = False) -> str:
    """Two instants that bound a third, rounded outwards to milliseconds; whole seconds where both are."""
    unit = 1_000_000
    edges = (lo_ns // unit * unit, -(-hi_ns // unit) * unit)
    digits = 0 if all(edge % 1_000_000_000 == 0 for edge in edges) else 3
    first, last = (both_times(words, edge, digits) for edge in edges)
    if is_local:
        begin, zone = first[1].partition(TOGETHER)[0], last[1]
        return f"{begin} … {zone}"
    same_day = first[0][:10] == last[0][:10]
    return f"{first[0]} … {last[0][11:] if same_day else last[0]}"


def recorded_text(source: WriteUpInputs) -> str:
    """The times between which there are samples."""
    if not any(host.traces for host in source.analysis.hosts):
        return source.words("none")
    span, wall = source.analysis.record, source.analysis.wall
    edges = wall.at(span.lo_ns), wall.at(span.hi_ns)
    local = "" if is_utc_here(edges[0]) else f" ({instants(source.words, *edges, is_local=True)})"
    return f"{instants(source.words, *edges)} UTC{local}"


def state_word(words: Words, word: str) -> str:
    return words(f"state.{word}") if word in STATES else word


def questions_table(source: WriteUpInputs, keys: Sequence[str]) -> Table:
    """The rows of the verdict whose keys begin so."""
    words = source.words
    asked = [question for question in source.analysis.verdict.questions if question.key.startswith(tuple(keys))]
    rows = [
        (
            question_title(words, one.key, one.title),
            state_word(words, one.state.value),
            words.said(" — ".join(filter(None, (one.answer, one.why)))),
        )
        for one in asked
    ]
    head = tuple(words(f"head.{name}") for name in ("question", "state", "answer"))
    return Table(head, tuple(rows), states=(1,))


def facts_text(words: Words, finding: JsonObject) -> str:
    facts = finding.get("facts")
    if not isinstance(facts, dict):
        return words.said(shown(facts))
    texts = (
        (name, words.figure(value) if isinstance(value, float) else words.said(shown(value)))
        for name, value in facts.items()
    )
    return ", ".join(f"{words.said(str(name))}: {text}" for name, text in texts)
