"""The last half minute of a run, one lane for each probe: followed as the folder grows, drawn, and said in words.

A `Lanes` keeps what is in the window and reads only what was written since it last looked, and it draws at most one mark for each column of pixels: what a redraw
costs depends neither on how long the run has been going on nor on how often a probe looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._figure: Any = None
        self._drawn: tuple[str, ...] = ()

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
        rows: Mapping[str, Any] = {name: self._columns(name) for name in self.names}
        labels = (*rows, *(one.name for one in others))
        if self._figure is None or labels != self._drawn:
            self._begin_figure(labels)
        axes = self._figure.axes[0]
        axes.set_xlabel("seconds ago" if self._run.is_recorded() else "seconds before the newest sign of life")
        for line in list(axes.lines):
            line.remove()
        for lane, (name, times) in enumerate(rows.items()):
            base = "sap-ni" if name.startswith("sap-ni-") else name.split("@")[0]
            axes.plot(times, np.full(len(times), lane), "|", markersize=16, color=_COLOURS.get(base, "#444444"))
        for lane, one in enumerate(others, start=len(rows)):
            for at, shape, hue in one.at:
                axes.plot([(at - self._end) / 1e9], [lane], shape, color=hue, markersize=7)
        picture = BytesIO()
        self._figure.savefig(picture, format="png")
        return picture.getvalue()

    def _columns(self, name: str) -> Any:
        ago = (self._answered[name] - self._end) / 1e9
        return np.unique(np.round(ago * (COLUMNS / WINDOW_S))) * (WINDOW_S / COLUMNS)

    def _begin_figure(self, labels: tuple[str, ...]) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a live view pays

        self._drawn = labels
        self._figure = Figure(figsize=(9.6, max(1.6, 0.9 + 0.34 * len(labels))), dpi=100, layout="constrained")
        axes = self._figure.subplots()
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(max(1, len(labels)) - 0.5, -0.5)
        axes.set_xlim(-WINDOW_S, 0.3)
        axes.set_xlabel("seconds ago")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if not labels:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "No probe has reported yet.", ha="center", va="center", transform=axes.transAxes)
        # Laid out once: that is half of what a drawing costs, and the labels stay.
        self._figure.draw_without_rendering()
        self._figure.set_layout_engine("none")
