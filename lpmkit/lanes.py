"""The last half minute of a run, one lane for each probe: followed as the folder grows, drawn, and said in words.

A `Lanes` keeps what is in the window and reads only what was written since it last looked, and it draws at most one mark for each column of pixels: what a redraw
costs depends neither on how long the run has been going on nor on how often a probe looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from lpmkit.run import Run
from lpmkit.samples import Int64Array, Tail
from lpmkit.timeline import Clock

WINDOW_S = 30.0
#: So many marks are told apart in a lane.
COLUMNS = 640
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
    """The lanes of a run. `follow` reads on; `words` and `png` show what it has."""

    def __init__(self, run: Run, clock: Clock | None = None) -> None:
        self._run, self._clock = run, clock or Clock()
        self._tails: dict[str, Tail] = {}
        self._answered: dict[str, Int64Array] = {}
        self._oldest: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._end = 0
        self._picture: _Picture | None = None

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

    def png(self, others: Sequence[Marks] = ()) -> bytes:
        """A mark for every column of pixels in which there was a sign of life, so that silence shows as a hole."""
        from matplotlib.image import imsave  # noqa: PLC0415 - half a second that only a live view pays

        labels = (*self.names, *(one.name for one in others))
        showing = labels, self._run.is_recorded()
        if self._picture is None or self._picture.showing != showing:
            self._picture = _Picture(*showing)
        picture = self._picture
        picture.begin()
        for lane, name in enumerate(self.names):
            base = "sap-ni" if name.startswith("sap-ni-") else name.split("@")[0]
            picture.mark(lane, self._columns(name), "|", _COLOURS.get(base, "#444444"))
        for lane, one in enumerate(others, start=len(self.names)):
            for shape, hue in {(shape, hue) for _, shape, hue in one.at}:
                mine = [(at - self._end) / 1e9 for at, other, _ in one.at if other == shape]
                picture.mark(lane, mine, shape, hue)
        drawn = BytesIO()
        imsave(drawn, picture.pixels(), format="png")
        return drawn.getvalue()

    def _columns(self, name: str) -> Any:
        ago = (self._answered[name] - self._end) / 1e9
        return np.unique(np.round(ago * (COLUMNS / WINDOW_S))) * (WINDOW_S / COLUMNS)


class _Picture:
    """Axes and labels, drawn once, and marks that are drawn over them again and again: all of it anew would cost five times as much."""

    def __init__(self, labels: tuple[str, ...], is_recorded: bool) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above

        self.showing = labels, is_recorded
        figure = Figure(figsize=(9.6, max(1.6, 0.9 + 0.34 * len(labels))), dpi=100, layout="constrained")
        self._canvas = FigureCanvasAgg(figure)
        self._axes = axes = figure.subplots()
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(max(1, len(labels)) - 0.5, -0.5)
        axes.set_xlim(-WINDOW_S, 0.3)
        axes.set_xlabel("seconds ago" if is_recorded else "seconds before the newest sign of life")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if not labels:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "No probe has reported yet.", ha="center", va="center", transform=axes.transAxes)
        self._canvas.draw()
        self._empty = self._canvas.copy_from_bbox(figure.bbox)
        self._lines: dict[tuple[str, str], Any] = {}

    def begin(self) -> None:
        """Back to what has no marks."""
        self._canvas.restore_region(self._empty)

    def mark(self, lane: int, at_s: Any, shape: str, hue: str) -> None:
        """Marks of one shape and colour in a lane."""
        if (shape, hue) not in self._lines:
            size = 16 if shape == "|" else 7
            (line,) = self._axes.plot([], [], shape, markersize=size, color=hue, animated=True)
            self._lines[shape, hue] = line
        line = self._lines[shape, hue]
        line.set_data(at_s, np.full(len(at_s), lane))
        self._axes.draw_artist(line)

    def pixels(self) -> Any:
        return np.asarray(self._canvas.buffer_rgba())
