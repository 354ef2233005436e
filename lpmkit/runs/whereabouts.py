"""The frame where a partition was seen when a move ended, from the phases that a run recorded."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.json_values import JsonMapping
from lpmkit.timeline import Event

#: The code of a phase in which the managers showed the partition on the source, not migrating
#: (`Observation.AT_HOME.code`).
AT_HOME = "at-home"
#: The begin of a last phase's reason where the managers showed the partition on the source, not migrating, in runs
#: whose phases have no code of what was seen.
_AT_HOME_THEN = ("runs on the source", "the manager refused: ")


def was_seen_at_home(phase: JsonMapping) -> bool:
    """True where the managers showed the partition on the source, not migrating, when a phase began."""
    if "seen" in phase:
        return str(phase["seen"]) == AT_HOME
    return str(phase.get("why") or "").startswith(_AT_HOME_THEN)


def stayed(phase: JsonMapping) -> bool:
    """True for a last phase that left the partition on its source: stopped, or refused or rolled back.

    >>> stayed({"phase": "failed", "why": "not asked for: it is not on bvio82 any more", "seen": None})
    False
    """
    name = phase.get("phase")
    return name == "stopped" or (name == "failed" and (not phase.get("why") or was_seen_at_home(phase)))


def was_inactive(events: Sequence[Event], source: str) -> bool:
    """True if the partition was not activated in a run's first reading of the source."""
    first = next((event for event in events if event.kind == "reading" and event.data.get("where") == source), None)
    return first is not None and first.data.get("partition_state") == "Not Activated"
