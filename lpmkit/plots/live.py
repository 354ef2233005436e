"""Live lanes of the last half minute, one for each probe, followed as the run folder grows.

A `Lanes` holds only the window, reads only new rows, and draws at most one mark per column, so a redraw costs the same
however long the run lasts and however often a probe samples. It draws SVG because browsers retain decoded bitmaps: two
PNGs a second took half a gigabyte in two minutes (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape

import numpy as np

from lpmkit.plots.colours import colour, kind_of, lane_order
from lpmkit.runs.cells import Int64Array
from lpmkit.runs.folder import Run
from lpmkit.runs.samples import Tail
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
        self._end = self._clock.mono_ns() if self._run.is_live() else max(watched, default=0)
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

    @property
    def end_ns(self) -> int:
        """The right edge of the window (monotonic nanoseconds)."""
        return self._end

    @property
    def answered(self) -> dict[str, Int64Array]:
        """The heartbeats within the window by probe, without the observer, in the order of the lanes."""
        return {name: np.sort(self._answered[name]) for name in self.names}

    def written_to_ns(self) -> int:
        """A moment to which the samples are known to be written: the observer's newest own tick, else the newest
        heartbeat.
        """
        own = [when for name, when in self._newest.items() if name.startswith("observer")]
        return max(own or self._newest.values(), default=0)

    def svg(self, extra_lanes: Sequence[Marks] = (), label: str = "") -> str:
        """The lanes as SVG, with a mark in every column that has a heartbeat, so gaps show as holes.

        ``label`` is the text alternative of the picture.
        """
        unit = "seconds ago" if self._run.is_recorded() else "seconds before the newest sign of life"
        window = Window(self._end - int(WINDOW_S * 1e9), self._end, 0, unit)
        return lanes_svg({name: self._answered[name] for name in self.names}, window, extra_lanes, label=label)

    def _columns(self, name: str) -> Int64Array:
        """The columns of a lane that contain a heartbeat, in order."""
        return _columns_of(self._answered[name], Window(self._end - int(WINDOW_S * 1e9), self._end))


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that the lanes show (monotonic nanoseconds), and its axis: ``zero_ns`` is the moment of its
    zero (0: the right edge), ``unit`` its name. ``to_wall_ns`` added to a time gives nanoseconds since 1970, 0 where
    that is not known.
    """

    begin_ns: int
    end_ns: int
    zero_ns: int = 0
    unit: str = "seconds ago"
    to_wall_ns: int = 0

    def column(self, at_ns: int) -> int:
        """The column of a moment."""
        return int((at_ns - self.begin_ns) * COLUMNS // max(1, self.end_ns - self.begin_ns))


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch behind the lanes (monotonic nanoseconds): a phase, or the silence that they share (``is_gap``)."""

    begin_ns: int
    end_ns: int
    name: str
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class LanesPicture:
    """The lanes as they are shown: heading, SVG, and the same in words."""

    title: str
    svg: str
    words: tuple[Lane, ...] = ()


#: Left edge of the lanes, height of one and of the names of phases above them, in units of the drawing.
_LEFT, _LANE, _TOP = 138, 22, 14
#: Silences longer than this, and than this many usual intervals, can be pointed at.
_POINTED_NS, _INTERVALS = 200_000_000, 5


def lanes_svg(
    answered: Mapping[str, Int64Array],
    window: Window,
    extra_lanes: Sequence[Marks] = (),
    bands: Sequence[Band] = (),
    label: str = "",
    said: Callable[[str], str] = str,
) -> str:
    """Lanes as SVG: bands behind them, a mark in every column with a heartbeat, and silences that can be pointed at.

    ``said`` puts a text into the language of the reader.
    """
    names = (*answered, *(marks.name for marks in extra_lanes))
    height = _TOP + _LANE * max(1, len(names))
    drawn = [_band(replace(band, name=said(band.name)), window, height) for band in bands]
    drawn += [_text(_LEFT - 8, _top(lane) + 15, said(name), "end") for lane, name in enumerate(names)]
    for lane, (name, times) in enumerate(answered.items()):
        within = times[(times >= window.begin_ns) & (times <= window.end_ns)]
        path = _runs(_columns_of(within, window), _top(lane) + 3)
        drawn.append(f'<path fill="{colour(kind_of(name))}" data-probe="{escape(name)}" d="{path}"/>')
        drawn += _silences(name, np.sort(within), window, _top(lane), said)
    for lane, marks in enumerate(extra_lanes, start=len(answered)):
        drawn += [
            _text(_LEFT + window.column(at), _top(lane) + 16, shape, "middle", hue)
            for at, shape, hue in marks.at
            if window.begin_ns <= at <= window.end_ns
        ]
    drawn += (
        [_text(_LEFT + COLUMNS // 2, _TOP + 16, f"{said('No probe has reported yet')}.", "middle")] if not names else []
    )
    drawn += _axis(replace(window, unit=said(window.unit)), height)
    width = _LEFT + COLUMNS + 16
    edges = f'data-left="{_LEFT}" data-columns="{COLUMNS}" data-begin="{window.begin_ns + window.to_wall_ns}"'
    edges += f' data-length="{window.end_ns - window.begin_ns}" data-top="{_TOP}" data-lane="{_LANE}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 34}" {edges} '
        f'style="width:100%;max-width:{2 * width}px" role="img" aria-label="{escape(said(label))}" '
        'font-family="DejaVu Sans, sans-serif" font-size="12" fill="currentColor">'
        f'<path stroke="currentColor" opacity=".5" d="M{_LEFT} {height}h{COLUMNS}"/>{"".join(drawn)}</svg>'
    )


def _top(lane: int) -> int:
    return _TOP + _LANE * lane


def _columns_of(times: Int64Array, window: Window) -> Int64Array:
    """The columns that contain a heartbeat, in order."""
    columns = (times - window.begin_ns) * COLUMNS // max(1, window.end_ns - window.begin_ns)
    return np.unique(np.clip(columns, 0, COLUMNS - 1))


def _runs(columns: Int64Array, top: int) -> str:
    """The marks of a lane as a path; adjacent marks are merged."""
    if not len(columns):
        return ""
    breaks = np.flatnonzero(np.diff(columns) > 1) + 1
    runs = np.split(columns, breaks)
    return "".join(f"M{_LEFT + run[0]} {top}h{len(run)}v15h-{len(run)}z" for run in runs)


def _silences(name: str, times: Int64Array, window: Window, top: int, said: Callable[[str], str]) -> list[str]:
    """Silences of a probe as boxes with a text for the pointer: length, and from when to when."""
    if len(times) <= _INTERVALS:
        return []
    pauses = np.diff(times)
    long = np.flatnonzero(pauses > max(_POINTED_NS, _INTERVALS * float(np.median(pauses))))
    boxes = []
    for at in long[-8:]:
        begin, end = int(times[at]), int(times[at + 1])
        x, width = _LEFT + window.column(begin), max(1, window.column(end) - window.column(begin))
        span = f", {_of_day(begin + window.to_wall_ns)} … {_of_day(end + window.to_wall_ns)} UTC"
        text = f"{name}: no heartbeat for {(end - begin) / 1e9:.3f} s{span if window.to_wall_ns else ''}"
        box = f'x="{x}" y="{top + 3}" width="{width}" height="15"'
        boxes.append(f'<rect class="lpm-gap" {box} fill="transparent"><title>{escape(said(text))}</title></rect>')
    return boxes


def _of_day(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns // 10**9, tz=UTC):%H:%M:%S}.{wall_ns // 10**6 % 1000:03d}"


def _band(band: Band, window: Window, height: int) -> str:
    begin, end = (min(COLUMNS, max(0, window.column(at))) for at in (band.begin_ns, band.end_ns))
    if end <= begin:
        return ""
    fill = 'fill="#d97706" fill-opacity=".35"' if band.is_gap else 'fill="currentColor" fill-opacity=".05"'
    name = _text(_LEFT + begin + 3, 10, band.name, "start") if band.is_gap or end - begin > 8 * len(band.name) else ""
    edge = f'<path stroke="currentColor" opacity=".35" stroke-dasharray="2 3" d="M{_LEFT + begin} 2v{height - 2}"/>'
    return f'<rect x="{_LEFT + begin}" y="2" width="{end - begin}" height="{height - 2}" {fill}/>{edge}{name}'


def _axis(window: Window, height: int) -> list[str]:
    length_s = (window.end_ns - window.begin_ns) / 1e9
    step = next((step for step in (1, 2, 5, 10, 20, 60) if length_s / step <= 12), 600)
    zero = window.zero_ns or window.end_ns
    first = -int((zero - window.begin_ns) / 1e9 // step)
    drawn = []
    for number in range(first, int((window.end_ns - zero) / 1e9 // step) + 1):
        x = _LEFT + window.column(zero + number * step * 10**9)
        text = str(number * step if window.zero_ns else abs(number * step))
        drawn.append(f'<path stroke="currentColor" opacity=".5" d="M{x} {height}v4"/>')
        drawn.append(_text(x, height + 15, text, "middle"))
    return [*drawn, _text(_LEFT + COLUMNS // 2, height + 29, window.unit, "middle")]


def _text(x: int, y: int, text: str, anchor: str, hue: str = "") -> str:
    fill = f' fill="{hue}"' if hue else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{fill}>{escape(text)}</text>'
