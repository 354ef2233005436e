"""The outcome of a move: its kind, where the partition is as far as that is known, why, and the next command.

One value for every front end. A state that needs somebody to act is never hidden behind "not moved".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lpmkit.analysis.not_moved import interruptions, stopped_by_guard, why_not_moved
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState
from lpmkit.runs.whereabouts import stayed, was_inactive
from lpmkit.timeline import Event, time_of_day

#: The states of a partition that runs or is about to (`lpmkit.migration.phases.STATES`).
_RUNS = ("Running", "Migrating - Running")


class OutcomeKind(StrEnum):
    """The kinds of outcomes. The values are stored in ``summary.json``."""

    MOVED = "moved"
    MOVED_BROKEN = "moved after an interruption"
    RESTARTED = "moved and restarted"
    UNPROVED = "arrived, by which command is not known"
    NEEDS_RECOVERY = "needs recovery"
    STAYED = "stayed"
    DOWN = "stayed and does not run"
    ELSEWHERE = "not moved by this run"
    CALLED_OFF = "called off"
    NOT_ASKED = "not asked for"
    NOT_KNOWN = "not known"


#: The head of the verdict for each kind.
HEADS: Mapping[OutcomeKind, str] = {
    OutcomeKind.MOVED: "Moved",
    OutcomeKind.MOVED_BROKEN: "Moved, after an interruption",
    OutcomeKind.RESTARTED: "Moved, but restarted",
    OutcomeKind.UNPROVED: "Arrived",
    OutcomeKind.NEEDS_RECOVERY: "Needs recovery",
    OutcomeKind.STAYED: "Not moved",
    OutcomeKind.DOWN: "Not moved, and not running",
    OutcomeKind.ELSEWHERE: "Not moved by this run",
    OutcomeKind.CALLED_OFF: "Called off",
    OutcomeKind.NOT_ASKED: "No move was asked for",
    OutcomeKind.NOT_KNOWN: "Not known whether it moved",
}
_PASSED = (OutcomeKind.MOVED, OutcomeKind.MOVED_BROKEN, OutcomeKind.RESTARTED)
_OPEN = (OutcomeKind.UNPROVED, OutcomeKind.NOT_ASKED, OutcomeKind.NOT_KNOWN)
_WITHOUT_PLACE = (OutcomeKind.NEEDS_RECOVERY, OutcomeKind.ELSEWHERE, OutcomeKind.NOT_KNOWN)


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """The outcome of a move. The texts are empty where there is nothing to say; ``heard`` is when the partition was
    last heard of.
    """

    kind: OutcomeKind
    place: str = ""
    heard: str = ""
    cause: str = ""
    doubt: str = ""
    next_command: str = ""

    @property
    def state(self) -> AnswerState:
        """The answer to the question whether it moved."""
        if self.kind in _PASSED:
            return AnswerState.PASSED
        return AnswerState.NOT_EVALUATED if self.kind in _OPEN else AnswerState.FAILED

    @property
    def is_there(self) -> bool:
        """True where the partition is known to be on the target."""
        return self.kind in (*_PASSED, OutcomeKind.UNPROVED)

    @property
    def is_at_home(self) -> bool:
        """True where the partition is known to be on the source, or nothing was asked for that could move it."""
        return self.kind in (OutcomeKind.STAYED, OutcomeKind.DOWN, OutcomeKind.CALLED_OFF, OutcomeKind.NOT_ASKED)

    @property
    def details(self) -> str:
        """All that is known of the outcome as one text; it begins with the head where the partition may be anywhere."""
        head = HEADS[self.kind]
        begin = (head[:1].lower() + head[1:],) if self.kind in _WITHOUT_PLACE else ()
        return "; ".join((*begin, *self.sentences))

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that is known of the outcome, most important first, without capitals and full stops."""
        return tuple(filter(None, (self.place, self.heard, self.cause, self.doubt)))


def outcome_of(events: Sequence[Event], order: JsonMapping, run: str, answered_ns: int | None = None) -> MoveOutcome:
    """The outcome of a run of this name by its events. ``answered_ns`` is when the partition was last heard of,
    nanoseconds since 1970.
    """
    kind, cause = _kind(events, order)
    place = _place(kind, events, order)
    heard = f"it answered last at {time_of_day(answered_ns)} UTC" if answered_ns and kind in _WITHOUT_PLACE else ""
    look = f"lpmkit recover {run} --look"
    after = {
        OutcomeKind.NEEDS_RECOVERY: f"lpmkit recover {run}",
        OutcomeKind.ELSEWHERE: look,
        OutcomeKind.NOT_KNOWN: look,
        OutcomeKind.DOWN: look,
    }
    doubt = "which command moved it is not known" if kind is OutcomeKind.UNPROVED else ""
    return MoveOutcome(kind, place, heard, cause, doubt, after.get(kind, ""))


def _kind(events: Sequence[Event], order: JsonMapping) -> tuple[OutcomeKind, str]:
    """The kind of the outcome and its cause."""
    phases = [event for event in events if event.kind == "phase"]
    last: JsonMapping = phases[-1].data if phases else {}
    phase, why = str(last.get("phase") or ""), str(last.get("why") or "")
    if phase == "settled":
        return _arrived(events, order)
    if phase == "needs-recovery":
        return OutcomeKind.NEEDS_RECOVERY, why_not_moved(events)
    if phase == "failed" and not stayed(last):
        # it may be anywhere: the recorder asked for nothing, or somebody else moves it
        text = why.removesuffix("; nothing was moved by this run")
        return OutcomeKind.ELSEWHERE, f"the move was {text}" if text.startswith("not asked for") else text
    if phase in ("failed", "stopped"):
        is_down = _is_down(events, str(order.get("source")))
        return OutcomeKind.DOWN if is_down else OutcomeKind.STAYED, why_not_moved(events)
    return _unfinished(events, phase)


def _unfinished(events: Sequence[Event], phase: str) -> tuple[OutcomeKind, str]:
    """The kind and the cause where the last phase does not end a move."""
    is_asked = any(event.kind == "intent" and event.data.get("what") == "migrate" for event in events)
    if phase not in ("", "prepared") or is_asked:
        return OutcomeKind.NOT_KNOWN, f"the last phase seen is {phase or 'prepared'}"
    if breach := stopped_by_guard(events):
        return OutcomeKind.CALLED_OFF, f"the guard called the move off: {breach}"
    if any(event.kind == "request" and event.data.get("what") == "stop" for event in events):
        return OutcomeKind.CALLED_OFF, "no command to move was sent"
    if any(event.kind == "recorder-started" for event in events):
        return OutcomeKind.NOT_ASKED, "the record ends before the command to move"
    return OutcomeKind.NOT_ASKED, "nothing was recorded: the move is prepared only"


def _arrived(events: Sequence[Event], order: JsonMapping) -> tuple[OutcomeKind, str]:
    way = f"{order.get('partition', 'the partition')} from {order.get('source', '?')} to {order.get('target', '?')}"
    refused = next((event.data for event in events if is_refusal(event)), None)
    if refused is not None:
        words = " ".join(str(refused.get("text") or "").split()) or "it gave no message"
        return OutcomeKind.UNPROVED, f"the command to move ended with status {refused['status']}: {words}"
    broken = bool(list(interruptions(events, "")))
    how = str(next(event.data for event in reversed(events) if event.kind == "phase").get("why") or "")
    cause = f"{way}; {how or 'gone from the source, running on the target'}"
    return OutcomeKind.MOVED_BROKEN if broken else OutcomeKind.MOVED, cause


def is_refusal(event: Event) -> bool:
    """True for the answer to a command to move that failed."""
    is_answer = event.kind == "answer" and event.data.get("what") == "migrate"
    return is_answer and event.data.get("status") not in (0, None)


# --- where it is ----------------------------------------------------------------------------------------------------


def _place(kind: OutcomeKind, events: Sequence[Event], order: JsonMapping) -> str:
    partition, source = str(order.get("partition", "the partition")), str(order.get("source", "the source"))
    if kind is OutcomeKind.STAYED:
        return f"{partition} {'is' if was_inactive(events, source) else 'runs'} on {source} as before"
    if kind is OutcomeKind.DOWN:
        return f"{partition} is on {source} and does not run: {_last(events, source).get('partition_state')}"
    if kind is OutcomeKind.UNPROVED:
        return f"{partition} runs on {order.get('target', 'the target')}"
    if kind not in _WITHOUT_PLACE:
        return ""
    listed = [_listed(events, str(order.get(side))) for side in ("source", "target")]
    known = ", ".join(filter(None, listed))
    return f"where {partition} runs is not proved" + (f": {known}" if known else "")


def _since_it_began(events: Sequence[Event], frame: str) -> list[Event]:
    """The readings of a frame since the move was asked for, or all where it was not."""
    begin = next((e.mono_ns for e in events if e.kind == "phase" and e.data.get("phase") != "prepared"), 0)
    readings = [event for event in events if event.kind == "reading" and event.data.get("where") == frame]
    return [event for event in readings if event.mono_ns >= begin]


def _listed(events: Sequence[Event], frame: str) -> str:
    """The last state in which a frame's manager listed the partition; empty where it was not asked."""
    told = _since_it_began(events, frame)
    if not told or "partition_state" not in told[-1].data:
        return ""
    data, at = told[-1].data, f"at {time_of_day(told[-1].wall_ns)} UTC"
    if data.get("partition_state") is None:
        return f"{frame} did not list it {at}"
    states = ", ".join(str(one) for one in (data["partition_state"], data.get("migration_state")) if one)
    return f"{frame} listed it {at} as {states}"


def _last(events: Sequence[Event], frame: str) -> JsonMapping:
    told: list[Any] = _since_it_began(events, frame)
    return told[-1].data if told else {}


def _is_down(events: Sequence[Event], source: str) -> bool:
    """True where the source's manager listed the partition last as not running, though it ran before."""
    state = _last(events, source).get("partition_state")
    return state is not None and state not in _RUNS and not was_inactive(events, source)
