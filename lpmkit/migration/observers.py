"""The other places that watch what a run watches: their names, their run folders, and why one does not watch.

A run keeps them in its document ``observers``. Each place writes a run folder of its own beside it, a watch
(`lpmkit.plan.observing`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lpmkit.errors import LpmError
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import state
from lpmkit.runs.folder import Run, write_document
from lpmkit.timeline import Clock

#: The document of a run with the other places that watch, and that of a watch with the reason why its place does not.
OBSERVERS, NOT_OBSERVED = "observers", "not-observed"


@dataclass(frozen=True, slots=True)
class Observer:
    """A place that was to watch: its run folder by name; without one ``why`` says why it was not asked."""

    place: str
    run: str = ""
    why: str = ""


def note_observers(run: Run, observers: Collection[Observer]) -> None:
    """Write the places that watch besides into the folder of a run. Raises `RecordError`."""
    write_document(run.path, OBSERVERS, [asdict(observer) for observer in observers])


def observers_of(run: Run) -> list[Observer]:
    """The other places that were to watch what a run watches. Raises `RecordError` for foreign content."""
    return run.read(OBSERVERS, lambda rows: [_observer(row) for row in rows]) or []


def _observer(row: Mapping[str, Any]) -> Observer:
    place, name, why = row["place"], row["run"], row["why"]
    if not all(isinstance(text, str) for text in (place, name, why)) or "/" in name or name.startswith("."):
        raise ValueError("an observer is a place, the name of a folder, and a reason")
    return Observer(place, name, why)


def watch_of(run: Run, observer: Observer) -> Run:
    """The folder of an observer, which lies beside the run's. Raises `NotFound` where it is not here."""
    return Run(run.path.parent / observer.run)


def why_not(run: Run, observer: Observer, clock: Clock | None = None) -> str:
    """The reason why a place does not watch, or did not to the end; empty while it watches, after it was ended, and
    before the move is asked for.
    """
    if not observer.run:
        return observer.why
    try:
        watch = watch_of(run, observer)
        now = state(watch, clock)
        if now.recorded or now.ended is not None:
            return ""
        if now.has_begun:
            return "its recorder died"
        told, move = watch.document(NOT_OBSERVED) or {}, state(run, clock)
        early = move.phase is Phase.PREPARED and move.ended is None
        return str(told.get("why") or ("" if early else "no recorder has begun there"))
    except LpmError as error:
        return str(error)
