"""Round trips of open sessions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lpmkit.analysis import Analysis, Trace
from lpmkit.plots.colours import FAINT, INK, PAPER, colour
from lpmkit.plots.figures import STYLE, Sheet
from lpmkit.plots.time_axis import SECOND, shade_unobserved, time_zero, x_limits, x_span
from lpmkit.runs.cells import MISSING

#: Up to this number values are drawn as dots, above it as ranges in columns: a picture has no more pixels.
_MAX_DOTS, _COLUMNS = 5_000, 1_200


def latency(analysis: Analysis, traces: Sequence[Trace], axes: Axes | None = None) -> Axes:
    """Round trips of an open session on a logarithmic axis, so that a slow tail after the resume is visible."""
    axes = axes or Figure(figsize=(9.2, 2.6)).add_subplot()
    zero = time_zero(analysis)
    axes.set_xlim(*x_limits(analysis, zero))
    axes.set_yscale("log")
    for trace in traces:
        replied = trace.answered != MISSING
        took = np.maximum((trace.answered - trace.sent)[replied] / 1e6, 1e-3)
        x = (trace.sent[replied] - zero) / SECOND
        _dots(axes, x, took, colour(trace.kind))
        lost = (trace.sent[~replied] - zero) / SECOND
        axes.plot(
            lost,
            np.full(len(lost), 0.97),
            "x",
            transform=axes.get_xaxis_transform(),
            markersize=5,
            color=colour(trace.kind),
            zorder=3,
        )
        median_ms = trace.noise.median_ns / 1e6
        if median_ms > 0:
            axes.axhline(median_ms, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
            axes.annotate(
                f"median before\n{median_ms:.2g} ms",
                (1.01, median_ms),
                xycoords=("axes fraction", "data"),
                fontsize=8,
                va="center",
                color=FAINT,
            )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} ms" if y < 1000 else f"{y / 1000:g} s"))
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    suspension = analysis.suspension
    if suspension:
        axes.axvspan(*x_span(suspension.outer, zero), color="#f0b9b4", alpha=0.7, linewidth=0, zorder=0.5)
    shade_unobserved(axes, analysis, zero)
    axes.set_xlabel(f"sent, seconds from the start{' of the suspension' if suspension else ''}")
    return axes


def latency_chart(analysis: Analysis) -> Figure | None:
    """Round trips of every echo probe of a run; ``None`` without an echo probe."""
    traces = [trace for host in analysis.hosts for trace in host.traces if trace.kind == "echo"]
    if not traces:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.7), facecolor=PAPER)
        latency(analysis, traces, Sheet(figure, left=0.75, right=0.95, top=0.12).row(2.0))
    return figure


def _dots(axes: Axes, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], tint: str) -> None:
    """Every value as a dot; of more than `_MAX_DOTS` the range in each column, which hides no outlier."""
    if len(x) <= _MAX_DOTS:
        axes.plot(x, y, ".", markersize=2.4, color=tint, zorder=3)
        return
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    column = np.minimum(((x - x[0]) / max(x[-1] - x[0], 1e-9) * _COLUMNS).astype(int), _COLUMNS - 1)
    first = np.flatnonzero(np.diff(column, prepend=-1))
    axes.vlines(
        x[first], np.minimum.reduceat(y, first), np.maximum.reduceat(y, first), color=tint, linewidth=1.0, zorder=3
    )
