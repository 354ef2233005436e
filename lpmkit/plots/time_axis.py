"""The time axis that all panels of a run share: its zero, phases, gaps of the observation, time of day."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from lpmkit.analysis import Analysis, Interval, utc
from lpmkit.plots.colours import FAINT, INK

#: Nanoseconds, as the axis divides by them.
SECOND = 1e9
_PHASES = {
    "prepared": "#ffffff",
    "asked": "#f4f6f8",
    "starting": "#eaeef2",
    "copying": "#dfe7f0",
    "switched": "#d3dfeb",
    "settled": "#eef6ee",
}


def time_zero(analysis: Analysis) -> int:
    """Zero of the time axis: the begin of the suspension, else of the move or the record."""
    suspension = analysis.suspension
    return suspension.begin.hi_ns if suspension else analysis.window.lo_ns


def x_span(interval: Interval, zero: int) -> tuple[float, float]:
    """An interval as begin and length on the time axis, seconds."""
    return (interval.lo_ns - zero) / SECOND, (interval.hi_ns - zero) / SECOND


def x_limits(analysis: Analysis, zero: int) -> tuple[float, float]:
    """Limits of the time axis: the whole record, seconds."""
    lo, hi = x_span(analysis.record, zero)
    return lo, max(hi, lo + 1.0)


def shade_unobserved(axes: Axes, analysis: Analysis, zero: int) -> None:
    """Shade observer stalls in grey and hatch the intervals that were not observed."""
    lo, hi = (edge * SECOND + zero for edge in axes.get_xlim())
    for stall in analysis.stalls:
        if stall.hi_ns >= lo and stall.lo_ns <= hi:
            axes.axvspan(*x_span(stall, zero), color="#9aa2ab", alpha=0.55, linewidth=0, zorder=1.5)
    for gap in analysis.holes:
        axes.axvspan(*x_span(gap, zero), facecolor="#f6f6f6", edgecolor="#9aa2ab", hatch="////", linewidth=0, zorder=4)


def shade_phases(axes: Axes, analysis: Analysis, zero: int, *, named: bool) -> None:
    """Shade the phases of the move; ``named`` writes their names."""
    for number, phase in enumerate(analysis.phases):
        since, until = (phase.since_ns - zero) / SECOND, (phase.until_ns - zero) / SECOND
        axes.axvspan(since, until, color=_PHASES.get(phase.name, "#fbeeee"), linewidth=0, zorder=0)
        if number:
            axes.axvline(since, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
    if named:
        _name_phases(axes, analysis, zero)


def _name_phases(axes: Axes, analysis: Analysis, zero: int) -> None:
    """Label each phase above its begin, on as many rows as it takes for labels not to touch."""
    lo, hi = axes.get_xlim()
    figure = axes.get_figure(root=True)
    assert figure is not None
    per_inch = (hi - lo) / (axes.get_position().width * float(figure.get_size_inches()[0]))
    taken: list[float] = []
    for phase in analysis.phases:
        since = max(lo, (phase.since_ns - zero) / SECOND)
        if since > hi or (phase.until_ns - zero) / SECOND < lo:
            continue
        needs = (len(phase.name) + 2) * 0.072 * per_inch
        row = next((row for row, end in enumerate(taken) if end <= since), len(taken))
        taken[row : row + 1] = [since + needs]
        axes.annotate(
            f" {phase.name}",
            (since, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3 + 11 * row),
            textcoords="offset points",
            fontsize=8,
            color=FAINT if phase.name == "prepared" else INK,
            ha="right" if since + needs > hi + 0.3 * per_inch else "left",
            va="bottom",
        )


def add_utc_axis(axes: Axes, analysis: Analysis, zero: int, digits: int) -> None:
    """Add a second scale: time of day in UTC."""
    twin = axes.secondary_xaxis(-0.0, functions=(lambda x: x, lambda x: x))
    twin.spines["bottom"].set_visible(False)
    twin.tick_params(axis="x", length=0, pad=16, labelsize=8, labelcolor=FAINT)
    twin.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: utc(analysis.wall.at(zero + round(x * SECOND)), digits)[11:-1].rstrip("."))
    )
    twin.xaxis.set_major_locator(axes.xaxis.get_major_locator())
