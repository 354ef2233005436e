"""The reason why a partition is not on its target: the migration was refused, stopped, rolled back, or interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lpmkit.timeline import Event


@dataclass(frozen=True, slots=True)
class Interruption:
    """A migration that ended half way, until it was in order again; ``until_ns`` is ``None`` where it never was.

    ``percent`` of the copy was done. ``recovered_by`` asked for a recovery; empty without a request. Nanoseconds
    since 1970.
    """

    since_ns: int
    until_ns: int | None
    percent: int | None
    recovered_by: str = ""
    forced: bool = False


def interruptions(events: Sequence[Event], operator: str) -> Iterator[Interruption]:
    """Every interruption of the run. ``operator`` asked for a recovery whose request has no name."""
    phases = [event for event in events if event.kind == "phase"]
    for place, event in enumerate(phases):
        if event.data.get("phase") != "needs-recovery":
            continue
        until_ns = next((later.wall_ns for later in phases[place + 1 :]), None)
        within = [one for one in events if event.wall_ns <= one.wall_ns <= (until_ns or one.wall_ns)]
        asked = [one.data for one in within if one.kind == "intent" and one.data.get("what") == "recover"]
        named = [one.data for one in within if one.kind == "request" and one.data.get("what") == "recover"]
        by = str((named[-1].get("by") if named else "") or operator) if asked else ""
        forced = bool(asked and asked[-1].get("force"))
        yield Interruption(event.wall_ns, until_ns, percent_copied(events, event.wall_ns), by, forced)


def percent_copied(events: Sequence[Event], until_ns: int) -> int | None:
    """The part of the copy that was done at a moment, by the manager's last counters; ``None`` where none moved."""
    counted = [
        (event.data["bytes_transmitted"], event.data["bytes_remaining"])
        for event in events
        if event.kind == "reading" and event.wall_ns <= until_ns and event.data.get("bytes_transmitted")
    ]
    if not counted or counted[-1][1] is None:
        return None
    sent, left = counted[-1]
    return int(100 * sent / (sent + left))


def why_not_moved(events: Sequence[Event]) -> str:
    """The reason why a partition was not moved, of a run whose last phase is failed, stopped or needs-recovery."""
    last = next(event for event in reversed(events) if event.kind == "phase")
    phase, ended_ns = str(last.data.get("phase")), last.wall_ns
    broken = list(interruptions(events, ""))
    if broken:
        recovered = any(one.kind == "intent" and one.data.get("what") == "recover" for one in events)
        then = " and rolled back by recovery" if recovered else " and was rolled back"
        return f"the migration was interrupted{_at(broken[-1].percent)}{'' if phase == 'needs-recovery' else then}"
    if phase == "stopped":
        breach = stopped_by_guard(events)
        asked = f"the migration was stopped{_at(percent_copied(events, ended_ns))} as asked for"
        return f"the guard stopped the copy: {breach}" if breach else asked
    answers = [event.data for event in events if event.kind == "answer" and event.data.get("what") == "migrate"]
    refused = next((data for data in answers if data.get("status") not in (0, None)), None)
    copied = percent_copied(events, ended_ns)
    if refused is not None:
        words = " ".join(str(refused.get("text") or "").split()) or "it gave no message"
        if copied is None:
            return f"the migration was refused by the manager: {words}"
        return f"the migration failed{_at(copied)} and was rolled back: {words}"
    names = {str(event.data.get("phase")) for event in events if event.kind == "phase"}
    if names & {"starting", "copying", "switched"}:
        return f"the migration was rolled back{_at(copied)}; the manager gave no message"
    return "the manager started no migration and gave no message"


def _at(percent: int | None) -> str:
    return "" if percent is None else f" at {percent} %"


def stopped_by_guard(events: Sequence[Event]) -> str:
    """The breach for which the guard had the copy stopped or called off; empty where it did not."""
    asked = [event for event in events if event.kind == "request" and event.data.get("by") == "guard"]
    return str(asked[-1].data.get("why", "")) if asked else ""
