"""The forecast of a plan as a picture in a file. Needs matplotlib; `lpmkit.plan.bars` has the same as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import dates, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lpmkit.errors import UsageError
from lpmkit.json_values import JsonObject
from lpmkit.plan.bars import Bar
from lpmkit.plan.timetable import Times
from lpmkit.plots.colours import INK, PAPER
from lpmkit.plots.figures import STYLE, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EXPECTED: JsonObject = {"facecolor": "#ffffff", "edgecolor": "#0072b2", "hatch": "....", "linestyle": "--"}


def gantt(bars: Sequence[Bar], window_ends_ns: Iterable[int] = ()) -> Figure | None:
    """The chart of the bars with a forecast; ``None`` without one.

    What is expected is a dotted bar from the P50 of its begin to that of its end, and a line from P10 to P90 of its
    end. The end of the change window is an upright line.
    """
    ahead = [(bar, bar.expected) for bar in bars if bar.expected is not None]
    if not ahead:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(11, 1.5 + 0.42 * len(ahead)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        for number, (_, expected) in enumerate(ahead):
            _draw(axes, number, expected)
        for end_ns in _near(window_ends_ns, [expected for _, expected in ahead]):
            axes.axvline(_day(end_ns), color="#b3261e", linewidth=1.4)
        axes.set_yticks(range(len(ahead)), [f"{bar.partition}\n{bar.way}" for bar, _ in ahead], fontsize=8)
        axes.set_ylim(len(ahead) - 0.4, -0.6)
        axes.margins(x=0.06)
        locator = dates.AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
        axes.set_xlabel("time of day, UTC")
        figure.legend(handles=_legend(axes), loc="outside upper left", ncols=6, frameon=False, fontsize=8)
    return figure


def _near(window_ends_ns: Iterable[int], moves: Sequence[Times]) -> list[int]:
    """The ends of windows that are worth a line: one long after the plan would press the bars together."""
    last, first = max(move.end_s.p90 for move in moves), min(move.begin_s.p50 for move in moves)
    return sorted({end for end in window_ends_ns if end <= last + 2 * (last - first)})


def _draw(axes: Axes, number: int, expected: Times) -> None:
    begin, end = expected.begin_s, expected.end_s
    span = (_day(begin.p50), _day(end.p50) - _day(begin.p50))
    axes.broken_barh([span], (number - 0.3, 0.6), linewidth=0.9, **_EXPECTED)
    axes.plot([_day(end.p10), _day(end.p90)], [number, number], color=INK, marker="|", linewidth=1.2)


def _legend(axes: Axes) -> list[Any]:
    line = axes.plot([], [], color=INK, marker="|", linewidth=1.2, label="end, P10 to P90")
    return [Patch(label="expected (P50)", **_EXPECTED), *line]


def save_chart(bars: Sequence[Bar], windows_ns: Iterable[int], path: Path) -> Path:
    """Save the chart; the suffix of the file selects the format. Raises `UsageError` for an unknown one, or if there is
    nothing to draw.
    """
    figure = gantt(bars, windows_ns)
    if figure is None:
        raise UsageError("there is no forecast to draw", where=str(path))
    save(figure, path)
    return path


def _day(wall_ns: float) -> float:
    """A time (nanoseconds since 1970) as matplotlib's axis counts it, in days."""
    return float(dates.date2num(datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)))  # type: ignore[no-untyped-call]
