"""Live lanes of the last half minute, one for each probe, followed as the run folder grows.

A `Lanes` holds only the window, reads only new rows, and draws at most one mark per column, so a redraw costs the same
however long the run lasts and however often a probe samples. It draws SVG because browsers retain decoded bitmaps: two
PNGs a second took half a gigabyte in two minutes (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from lpmkit.plots.colours import colour, kind_of, lane_order
from lpmkit.runs.folder import Run
from lpmkit.runs.samples import Int64Array, Tail
from lpmkit.timeline import Clock

WINDOW_S = 30.0
#: Number of columns in a lane, in units of the drawing.
COLUMNS = 720
_NONE: Int64Array = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Lane:
    """One probe as text: seconds since its last heartbeat (``None``: never), and its longest gap in the window."""

    probe: str
    ago_s: float | None
    longest_s: float


@dataclass(frozen=True, slots=True)
class Marks:
    """A lane that is not a probe's: times (monotonic nanoseconds), each with shape and colour."""

    name: str
    at: Sequence[tuple[int, str, str]]


class Lanes:
    """The lanes of a run. `follow` reads new samples; `words` and `svg` present them."""

    def __init__(self, run: Run, clock: Clock | None = None) -> None:
        self._run, self._clock = run, clock or Clock()
        self._tails: dict[str, Tail] = {}
        self._answered: dict[str, Int64Array] = {}
        self._oldest: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._end = 0

    def follow(self) -> None:
        """Read the samples written since the last call.

        The window ends now while the run is recorded, otherwise at its newest heartbeat.
        """
        newest = {file.probe: file for file in self._run.sample_files()}  # by recorder's life, so the last one counts
        for name, file in newest.items():
            if name not in self._tails or self._tails[name].file.segment != file.segment:
                self._tails[name] = Tail(file)
            received = self._tails[name].answers()
            answers = np.concatenate([self._answered.get(name, _NONE), received])
            if len(answers):
                self._oldest.setdefault(name, int(answers.min()))
                self._newest[name] = max(self._newest.get(name, 0), int(answers.max()))
            self._answered[name] = answers
        watched = [when for name, when in self._newest.items() if not name.startswith("observer")]
        self._end = self._clock.mono_ns() if self._run.is_recorded() else max(watched, default=0)
        begin = self._end - int(WINDOW_S * 1e9)
        for name, answers in self._answered.items():
            self._answered[name] = answers[answers >= begin]

    @property
    def names(self) -> tuple[str, ...]:
        """The probes that have reported, without the observer."""
        return tuple(sorted((name for name in self._tails if not name.startswith("observer")), key=lane_order))

    def words(self) -> list[Lane]:
        """The lanes as text; a gap is counted within the window, from the first heartbeat on."""
        begin, lanes = self._end - int(WINDOW_S * 1e9), []
        for name in self.names:
            newest = self._newest.get(name)
            since = max(begin, self._oldest.get(name, begin))
            edges = np.concatenate([[since], np.sort(self._answered[name]), [self._end]])
            ago = None if newest is None else max(0.0, (self._end - newest) / 1e9)
            lanes.append(Lane(name, ago, float(np.diff(edges).max(initial=0)) / 1e9))
        return lanes

    def svg(self, extra_lanes: Sequence[Marks] = (), label: str = "") -> str:
        """The lanes as SVG, with a mark in every column that has a heartbeat, so gaps show as holes.

        ``label`` is the text alternative of the picture.
        """
        labels = (*self.names, *(marks.name for marks in extra_lanes))
        height = _LANE * max(1, len(labels))
        drawn = [_text(_LEFT - 8, _LANE * lane + 17, name, "end") for lane, name in enumerate(labels)]
        for lane, name in enumerate(self.names):
            hue = colour(kind_of(name))
            drawn.append(f'<path fill="{hue}" d="{self._runs(name, _LANE * lane + 5)}"/>')
        for lane, marks in enumerate(extra_lanes, start=len(self.names)):
            for at, shape, hue in marks.at:
                ago_s = (at - self._end) / 1e9
                if -WINDOW_S <= ago_s <= 0:
                    x = _LEFT + (1 + ago_s / WINDOW_S) * COLUMNS
                    drawn.append(_text(round(x), _LANE * lane + 18, shape, "middle", hue))
        drawn += [_text(_LEFT + COLUMNS // 2, 20, "No probe has reported yet.", "middle")] if not labels else []
        for ago in range(0, round(WINDOW_S) + 1, 5):
            x = _LEFT + round((1 - ago / WINDOW_S) * COLUMNS)
            drawn.append(f'<path stroke="#6a737d" d="M{x} {height}v5"/>' + _text(x, height + 18, str(ago), "middle"))
        unit = "seconds ago" if self._run.is_recorded() else "seconds before the newest sign of life"
        drawn.append(_text(_LEFT + COLUMNS // 2, height + 36, unit, "middle"))
        width = _LEFT + COLUMNS + 16
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 42}" '
            f'style="width:{width}px;max-width:100%;background:#fff" role="img" aria-label="{escape(label)}" '
            'font-family="DejaVu Sans, sans-serif" font-size="12" fill="#1b1f24">'
            f'<path stroke="#6a737d" d="M{_LEFT} {height}h{COLUMNS}"/>{"".join(drawn)}</svg>'
        )

    def _columns(self, name: str) -> Int64Array:
        """The columns of a lane that contain a heartbeat, in order."""
        begin = self._end - int(WINDOW_S * 1e9)
        columns = (self._answered[name] - begin) * COLUMNS // int(WINDOW_S * 1e9)
        return np.unique(np.clip(columns, 0, COLUMNS - 1))

    def _runs(self, name: str, top: int) -> str:
        """The marks of a lane as a path; adjacent marks are merged."""
        columns = self._columns(name)
        if not len(columns):
            return ""
        breaks = np.flatnonzero(np.diff(columns) > 1) + 1
        runs = np.split(columns, breaks)
        return "".join(f"M{_LEFT + run[0]} {top}h{len(run)}v16h-{len(run)}z" for run in runs)


#: Left edge of the lanes and height of one, in units of the drawing.
_LEFT, _LANE = 150, 26


def _text(x: int, y: int, text: str, anchor: str, hue: str = "#1b1f24") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{hue}">{escape(text)}</text>'
