"""The wall chart of a run: lanes, bytes left to copy, and the suspension enlarged, on one sheet."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lpmkit.analysis import Analysis, Interval, seconds, utc
from lpmkit.plots.colours import FAINT, INK, PAPER
from lpmkit.plots.figures import STYLE, Sheet, legend_below
from lpmkit.plots.heartbeats import HATCHES, edge, lane_names, lanes, zoom
from lpmkit.plots.time_axis import SECOND, add_utc_axis, shade_phases, shade_unobserved, time_zero, x_limits, x_span


def wall_chart(analysis: Analysis) -> Figure:
    """One sheet with lanes, gaps and phases, remaining bytes, and the suspension enlarged."""
    with rc_context(STYLE):
        count, suspension = max(1, len(lane_names(analysis))), analysis.suspension
        with_copy = analysis.mode == "move"
        heights = [
            0.62 * count + 0.35,
            *([0.9] if with_copy else []),
            *([0.5 * count + 1.0, 0.28 * count + 0.15] if suspension else []),
        ]
        gaps = 1.2 + 0.14 * with_copy + 1.05 + (1.95 if suspension else 0.0)
        figure = Figure(figsize=(11, sum(heights) + gaps), facecolor=PAPER)
        frame = Sheet(figure, left=1.15, right=0.4, top=1.2)
        top = lanes(analysis, frame.row(heights[0]))
        bottom = top
        if with_copy:
            bottom = bytes_left(analysis, frame.row(heights[1], gap=0.14))
            top.tick_params(axis="x", labelbottom=False, length=0)
        zero = time_zero(analysis)
        bottom.set_xlabel(
            f"seconds from the start{' of the suspension' if suspension else ''}, time of day in UTC below",
            labelpad=20,
        )
        bottom.xaxis.set_major_locator(MaxNLocator(10))
        top.xaxis.set_major_locator(MaxNLocator(10))
        add_utc_axis(bottom, analysis, zero, 0)
        if suspension:
            zoom(analysis, suspension, frame.row(heights[-2], gap=0.85))
            begin, end = frame.pair(heights[-1], gap=1.1)
            edge(analysis, suspension, "begin", begin)
            edge(analysis, suspension, "end", end)
            _mark_close_up(top, suspension.outer.widened(2_000_000_000), zero)
        _title(figure, analysis)
        _legend(figure, analysis)
    return figure


def bytes_left(analysis: Analysis, axes: Axes | None = None) -> Axes:
    """Plot the bytes left to copy, as the manager reported them, as steps from poll to poll."""
    axes = axes or Figure(figsize=(11, 1.5)).add_subplot()
    zero = time_zero(analysis)
    readings = [reading for reading in analysis.readings if reading.get("bytes_remaining") is not None]
    axes.set_xlim(*x_limits(analysis, zero))
    if readings:
        times = [(reading["mono_ns"] - zero) / SECOND for reading in readings]
        remaining_gb = [reading["bytes_remaining"] / 1e9 for reading in readings]
        axes.plot(times, remaining_gb, "o", markersize=2.6, color=INK, zorder=3)
        axes.step(times, remaining_gb, where="post", linewidth=0.9, color=INK, zorder=2)
        axes.set_ylim(0, max([*remaining_gb, 0.001]) * 1.15)
    else:
        axes.text(0.5, 0.5, "no manager reported remaining bytes", transform=axes.transAxes, ha="center", color=FAINT)
        axes.set_yticks([])
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylabel("GB left", rotation=0, ha="right", va="center")
    shade_phases(axes, analysis, zero, named=False)
    shade_unobserved(axes, analysis, zero)
    return axes


def _mark_close_up(axes: Axes, span: Interval, zero: int) -> None:
    """Mark the part of the lanes that the panel below enlarges."""
    lo, hi = x_span(span, zero)
    transform = axes.get_xaxis_transform()
    axes.plot(
        [lo, lo, hi, hi],
        [0.05, 0.0, 0.0, 0.05],
        transform=transform,
        color="#8f1d14",
        linewidth=1.6,
        clip_on=False,
        zorder=5,
    )
    axes.text(hi, 0.02, "  enlarged below", transform=transform, fontsize=7.5, color="#8f1d14", va="bottom", zorder=5)


def _title(figure: Figure, analysis: Analysis) -> None:
    width, height = figure.get_size_inches()
    suspension = analysis.suspension
    head = f"suspended {seconds(suspension.length)}" if suspension else "no suspension found"
    figure.text(0.25 / width, 1 - 0.2 / height, analysis.name, fontsize=13, fontweight="bold", va="top")
    began = utc(analysis.wall.at(analysis.record.lo_ns), 0)[:-1].rstrip(".").replace("T", " ")
    figure.text(0.25 / width, 1 - 0.5 / height, f"{began} UTC · {head}", fontsize=10, va="top", color=FAINT)


def _legend(figure: Figure, analysis: Analysis) -> None:
    entries: list[Line2D | Patch] = [
        Line2D([], [], color=INK, linewidth=3, label="heartbeats"),
        Patch(facecolor="#f0b9b4", edgecolor="#8f1d14", linewidth=0.5, label="gap: guaranteed bounds"),
        Patch(facecolor="#8f1d14", label="gap: probable"),
    ]
    kinds = {outage.kind for host in analysis.hosts for outage in host.outages}
    entries += [
        Patch(facecolor="#ffffff", edgecolor="#8f1d14", hatch=hatch, label=kind.value)
        for kind, hatch in HATCHES.items()
        if kind in kinds and kind is not None
    ]
    if analysis.stalls:
        entries.append(Patch(facecolor="#9aa2ab", alpha=0.55, label="observer stall"))
    if analysis.holes:
        entries.append(Patch(facecolor="#f6f6f6", edgecolor="#9aa2ab", hatch="////", label="not observed"))
    legend_below(figure, entries, handlelength=1.6, columnspacing=1.4)
