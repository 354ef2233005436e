"""The last half minute of a run, one lane for each probe: followed as the folder grows, drawn, and said in words.

A `Lanes` keeps what is in the window and reads only what was written since it last looked, and it draws at most one mark for each column: what a redraw
costs depends neither on how long the run has been going on nor on how often a probe looks. It is drawn as SVG, because a browser keeps the pictures that it has unpacked: two PNGs a second were half a gigabyte in two minutes
(docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from lpmkit.runs.folder import Run
from lpmkit.runs.samples import Int64Array, Tail
from lpmkit.timeline import Clock

WINDOW_S = 30.0
#: So many marks are told apart in a lane.
COLUMNS = 720
_NONE: Int64Array = np.zeros(0, dtype=np.int64)
_COLOURS = {
    "ssh-ticks": "#0072B2",
    "ssh-echo": "#D55E00",
    "tcp-connect": "#009E73",
    "icmp": "#7B3294",
    "sap-ni": "#B8860B",
}


@dataclass(frozen=True, slots=True)
class Lane:
    """One probe in words: seconds since its last sign of life (``None``: never), and its longest silence in the window."""

    probe: str
    ago_s: float | None
    longest_s: float


@dataclass(frozen=True, slots=True)
class Marks:
    """A lane that is not a probe's: moments (monotonic nanoseconds), each with the shape and the colour of its class."""

    name: str
    at: Sequence[tuple[int, str, str]]


class Lanes:
    """The lanes of a run. `follow` reads on; `words` and `svg` show what it has."""

    def __init__(self, run: Run, clock: Clock | None = None) -> None:
        self._run, self._clock = run, clock or Clock()
        self._tails: dict[str, Tail] = {}
        self._answered: dict[str, Int64Array] = {}
        self._oldest: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._end = 0

    def follow(self) -> None:
        """Read what was written since the last time. Of a run that is recorded the window ends now, of another at its newest sign of life."""
        newest = {file.probe: file for file in self._run.sample_files()}  # by recorder's life, so the last one counts
        for name, file in newest.items():
            if name not in self._tails or self._tails[name].file.segment != file.segment:
                self._tails[name] = Tail(file)
            came = self._tails[name].answers()
            known = np.concatenate([self._answered.get(name, _NONE), came])
            if len(known):
                self._oldest.setdefault(name, int(known.min()))
                self._newest[name] = max(self._newest.get(name, 0), int(known.max()))
            self._answered[name] = known
        watched = [when for name, when in self._newest.items() if not name.startswith("observer")]
        self._end = self._clock.mono_ns() if self._run.is_recorded() else max(watched, default=0)
        begin = self._end - int(WINDOW_S * 1e9)
        for name, known in self._answered.items():
            self._answered[name] = known[known >= begin]

    @property
    def names(self) -> tuple[str, ...]:
        """The probes that have reported, but for our own ticker."""
        return tuple(sorted(name for name in self._tails if not name.startswith("observer")))

    def words(self) -> list[Lane]:
        """The lanes as text; a silence counts from the begin of the window, or the first sign of life, and up to the window's end."""
        begin, found = self._end - int(WINDOW_S * 1e9), []
        for name in self.names:
            newest = self._newest.get(name)
            since = max(begin, self._oldest.get(name, begin))
            edges = np.concatenate([[since], np.sort(self._answered[name]), [self._end]])
            ago = None if newest is None else max(0.0, (self._end - newest) / 1e9)
            found.append(Lane(name, ago, float(np.diff(edges).max(initial=0)) / 1e9))
        return found

    def svg(self, others: Sequence[Marks] = (), said: str = "") -> str:
        """A mark for every column in which there was a sign of life, so that silence shows as a hole; ``said`` is what stands for the picture where it cannot be seen."""
        labels = (*self.names, *(other.name for other in others))
        height = _LANE * max(1, len(labels))
        drawn = [_text(_LEFT - 8, _LANE * lane + 17, name, "end") for lane, name in enumerate(labels)]
        for lane, name in enumerate(self.names):
            base = "sap-ni" if name.startswith("sap-ni-") else name.split("@")[0]
            hue = _COLOURS.get(base, "#444444")
            drawn.append(f'<path fill="{hue}" d="{self._runs(name, _LANE * lane + 5)}"/>')
        for lane, one in enumerate(others, start=len(self.names)):
            for at, shape, hue in one.at:
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
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 42}" style="width:{width}px;max-width:100%;background:#fff" role="img" aria-label="{escape(said)}" '
            f'font-family="DejaVu Sans, sans-serif" font-size="12" fill="#1b1f24"><path stroke="#6a737d" d="M{_LEFT} {height}h{COLUMNS}"/>{"".join(drawn)}</svg>'
        )

    def _columns(self, name: str) -> Int64Array:
        """The columns of a lane in which there was a sign of life, in their order."""
        begin = self._end - int(WINDOW_S * 1e9)
        columns = (self._answered[name] - begin) * COLUMNS // int(WINDOW_S * 1e9)
        return np.unique(np.clip(columns, 0, COLUMNS - 1))

    def _runs(self, name: str, top: int) -> str:
        """The marks of a lane as a path, those side by side as one."""
        columns = self._columns(name)
        if not len(columns):
            return ""
        breaks = np.flatnonzero(np.diff(columns) > 1) + 1
        runs = np.split(columns, breaks)
        return "".join(f"M{_LEFT + run[0]} {top}h{len(run)}v16h-{len(run)}z" for run in runs)


#: Where the lanes begin, and how high one is, in units of the drawing.
_LEFT, _LANE = 150, 26


def _text(x: int, y: int, text: str, anchor: str, hue: str = "#1b1f24") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{hue}">{escape(text)}</text>'
