"""The truth of a simulation: what really happened and when, one JSON object a line, for tests to compare with.

Every entry has the moment before and the moment after on both clocks: the event lies between them. The clocks are those
of the operating system (``CLOCK_MONOTONIC`` and the time of day), so that another process can compare its own stamps.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks."""

    mono_ns: int
    wall_ns: int


def now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time_ns())


@dataclass(frozen=True, slots=True)
class Bracket:
    """Something happened after ``before`` and had happened by ``after``."""

    before: Stamp
    after: Stamp


class Truth:
    """Appends to the truth file; every entry is flushed at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, bracket: Bracket | None = None, **facts: object) -> None:
        """Write one event down; without a bracket it is a moment, now."""
        if bracket is None:
            moment = now()
            bracket = Bracket(moment, moment)
        entry = {
            "event": event,
            "mono_ns_before": bracket.before.mono_ns,
            "mono_ns_after": bracket.after.mono_ns,
            "wall_ns_before": bracket.before.wall_ns,
            "wall_ns_after": bracket.after.wall_ns,
            **facts,
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read(path: Path) -> list[dict[str, object]]:
    """The entries of a truth file, whole lines only."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
