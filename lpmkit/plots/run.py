"""Plots of a run. Each function takes an analysis and optionally axes to draw on, and returns the axes.

No state: figures are `matplotlib.figure.Figure` objects, made without pyplot. Colours are Okabe and Ito's, never the
only sign: probes have a lane and a name, classes a hatch or an outline. Nothing is drawn across a gap but the gap.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lpmkit.analysis import Analysis, Interval, Outage, OutageKind, Suspension, Trace, seconds, utc
from lpmkit.json_values import JsonObject
from lpmkit.plots.colours import FAINT, INK, PAPER, colour, lane_order
from lpmkit.runs.samples import MISSING

_PHASES = {
    "prepared": "#ffffff",
    "asked": "#f4f6f8",
    "starting": "#eaeef2",
    "copying": "#dfe7f0",
    "switched": "#d3dfeb",
    "settled": "#eef6ee",
}
STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "lpmkit",
    "hatch.linewidth": 0.6,
}
_SECOND = 1e9
#: Up to this number values are drawn as dots, above it as ranges in columns: a picture has no more pixels.
_MAX_DOTS, _COLUMNS = 5_000, 1_200


def time_zero(analysis: Analysis) -> int:
    """Zero of the time axis: the begin of the suspension, else of the move or the record."""
    suspension = analysis.suspension
    return suspension.begin.hi_ns if suspension else analysis.window.lo_ns


def _lanes(analysis: Analysis) -> list[str]:
    kinds = {trace.probe: trace.kind for host in analysis.hosts for trace in host.traces}
    return sorted(kinds, key=lambda name: lane_order(name, kinds[name]))


def _traces(analysis: Analysis, probe: str) -> list[Trace]:
    return [trace for host in analysis.hosts for trace in host.traces if trace.probe == probe]


# --- what all panels share ------------------------------------------------------------------------------------------


def shade_unobserved(axes: Axes, analysis: Analysis, zero: int) -> None:
    """Shade observer stalls in grey and hatch the intervals that were not observed."""
    lo, hi = (edge * _SECOND + zero for edge in axes.get_xlim())
    for stall in analysis.stalls:
        if stall.hi_ns >= lo and stall.lo_ns <= hi:
            axes.axvspan(*x_span(stall, zero), color="#9aa2ab", alpha=0.55, linewidth=0, zorder=1.5)
    for gap in analysis.holes:
        axes.axvspan(*x_span(gap, zero), facecolor="#f6f6f6", edgecolor="#9aa2ab", hatch="////", linewidth=0, zorder=4)


def x_span(interval: Interval, zero: int) -> tuple[float, float]:
    """An interval as begin and length on the time axis, seconds."""
    return (interval.lo_ns - zero) / _SECOND, (interval.hi_ns - zero) / _SECOND


def x_limits(analysis: Analysis, zero: int) -> tuple[float, float]:
    """Limits of the time axis: the whole record, seconds."""
    lo, hi = x_span(analysis.record, zero)
    return lo, max(hi, lo + 1.0)


def shade_phases(axes: Axes, analysis: Analysis, zero: int, *, named: bool) -> None:
    """Shade the phases of the move; ``named`` writes their names."""
    for number, phase in enumerate(analysis.phases):
        since, until = (phase.since_ns - zero) / _SECOND, (phase.until_ns - zero) / _SECOND
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
        since = max(lo, (phase.since_ns - zero) / _SECOND)
        if since > hi or (phase.until_ns - zero) / _SECOND < lo:
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
        FuncFormatter(lambda x, _: utc(analysis.wall.at(zero + round(x * _SECOND)), digits)[11:-1].rstrip("."))
    )
    twin.xaxis.set_major_locator(axes.xaxis.get_major_locator())


# --- lanes ----------------------------------------------------------------------------------------------------------


def lanes(analysis: Analysis, axes: Axes | None = None) -> Axes:
    """One lane for each probe: a line over its heartbeats, bars for its gaps (guaranteed bounds pale, probable part
    dark).

    """
    axes = axes or Figure(figsize=(11, 3)).add_subplot()
    zero, names = time_zero(analysis), _lanes(analysis)
    axes.set_xlim(*x_limits(analysis, zero))
    for lane, name in enumerate(names):
        for trace in _traces(analysis, name):
            _alive_line(axes, trace, lane, zero)
        for host in analysis.hosts:
            for outage in host.outages:
                if outage.probe == name:
                    _gap(axes, outage, lane, zero)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    shade_phases(axes, analysis, zero, named=True)
    shade_unobserved(axes, analysis, zero)
    return axes


def _alive_line(axes: Axes, trace: Trace, lane: int, zero: int) -> None:
    """Lines over the stretches with heartbeats."""
    if not len(trace.alive_lo):
        return
    moments = np.sort((trace.alive_lo + trace.alive_hi) // 2)
    apart = np.flatnonzero(np.diff(moments) > trace.apart_at(moments[1:]))
    begins = moments[np.concatenate([[0], apart + 1])]
    ends = moments[np.concatenate([apart, [len(moments) - 1]])]
    axes.hlines(
        np.full(len(begins), lane),
        (begins - zero) / _SECOND,
        (ends - zero) / _SECOND,
        color=colour(trace.kind),
        linewidth=3.2,
        zorder=2,
        capstyle="butt",
    )


def _gap(axes: Axes, outage: Outage, lane: int, zero: int) -> None:
    lo, hi = x_span(outage.outer, zero)
    least = 0.0025 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    look: JsonObject = {"facecolor": "#f0b9b4", "edgecolor": "#8f1d14", "linewidth": 0.5}
    if outage.kind is OutageKind.OBSERVER:
        look = {"facecolor": "#d7dbe0", "edgecolor": FAINT, "linewidth": 0.5}
    elif outage.kind is not OutageKind.SUSPENSION:
        look = {
            "facecolor": "#ffffff",
            "edgecolor": "#8f1d14",
            "linewidth": 0.8,
            "hatch": _HATCHES.get(outage.kind, ""),
        }
    axes.add_patch(Rectangle((lo, lane - 0.36), max(hi - lo, least), 0.72, zorder=3, **look))
    inner = outage.inner
    if inner is not None and outage.kind is OutageKind.SUSPENSION:
        dark_lo, dark_hi = x_span(inner, zero)
        axes.add_patch(
            Rectangle(
                (dark_lo, lane - 0.36), max(dark_hi - dark_lo, least), 0.72, color="#8f1d14", linewidth=0, zorder=3.1
            )
        )


_HATCHES: dict[OutageKind | None, str] = {
    OutageKind.NETWORK: "xxx",
    OutageKind.APPLICATION: "...",
    OutageKind.MICRO_STOP: "|||",
}


def bytes_left(analysis: Analysis, axes: Axes | None = None) -> Axes:
    """Plot the bytes left to copy, as the manager reported them, as steps from poll to poll."""
    axes = axes or Figure(figsize=(11, 1.5)).add_subplot()
    zero = time_zero(analysis)
    readings = [reading for reading in analysis.readings if reading.get("bytes_remaining") is not None]
    axes.set_xlim(*x_limits(analysis, zero))
    if readings:
        times = [(reading["mono_ns"] - zero) / _SECOND for reading in readings]
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


def zoom(analysis: Analysis, suspension: Suspension, axes: Axes | None = None, around_s: float = 2.0) -> Axes:
    """The suspension ± ``around_s``: every heartbeat as a mark, the intervals of begin and end, and its length."""
    axes = axes or Figure(figsize=(11, 3)).add_subplot()
    zero, names = (
        suspension.begin.hi_ns,
        [n for n in _lanes(analysis) if _traces(analysis, n)[0].host == suspension.host],
    )
    length = suspension.length.hi_ns / _SECOND
    axes.set_xlim(-around_s, length + around_s)
    for lane, name in enumerate(names):
        for trace in _traces(analysis, name):
            _marks(axes, trace, lane, zero)
    height = len(names) - 0.45
    axes.set_ylim(height, -1.55)
    _edges(axes, suspension, zero, height)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    shade_unobserved(axes, analysis, zero)
    axes.xaxis.set_major_locator(MaxNLocator(9))
    axes.set_xlabel("seconds from the start of the suspension, time of day in UTC below", labelpad=20)
    add_utc_axis(axes, analysis, zero, 1)
    return axes


def _marks(axes: Axes, trace: Trace, lane: int, zero: int) -> None:
    """Ticks as upright marks; requests as marks at their sending, joined to a dot at the reply."""
    lo, hi = (edge * _SECOND + zero for edge in axes.get_xlim())
    if trace.kind == "ticks":
        moments = (trace.alive_lo + trace.alive_hi) // 2
        moments = moments[(moments >= lo) & (moments <= hi)]
        x = (moments - zero) / _SECOND
        axes.vlines(x, lane - 0.3, lane + 0.3, color=colour(trace.kind), linewidth=0.55, zorder=3)
        return
    shown = (trace.sent >= lo) & (trace.sent <= hi)
    sent, answered = trace.sent[shown], trace.answered[shown]
    replied = answered != MISSING
    tint = colour(trace.kind)
    late = trace.late[shown]
    axes.plot((sent - zero) / _SECOND, np.full(len(sent), lane - 0.22), "|", markersize=7, color=tint, zorder=3)
    replied_at = (answered[replied] - zero) / _SECOND
    axes.plot(replied_at, np.full(len(replied_at), lane + 0.22), ".", markersize=5, color=tint, zorder=3)
    for out, back in zip(sent[replied & late], answered[replied & late], strict=True):
        axes.plot(
            [(out - zero) / _SECOND, (back - zero) / _SECOND],
            [lane - 0.16, lane + 0.19],
            color=tint,
            linewidth=0.6,
            alpha=0.8,
            zorder=2.5,
        )
    unanswered = sent[~replied]
    axes.plot(
        (unanswered - zero) / _SECOND, np.full(len(unanswered), lane + 0.22), "x", markersize=4, color=tint, zorder=3
    )


def _edges(axes: Axes, suspension: Suspension, zero: int, height: float) -> None:
    outer, begin, end = suspension.outer, suspension.begin, suspension.end
    axes.axvspan(*x_span(outer, zero), color="#f0b9b4", alpha=0.45, linewidth=0, zorder=0.5)
    if begin.hi_ns < end.lo_ns:
        axes.axvspan(
            (begin.hi_ns - zero) / _SECOND,
            (end.lo_ns - zero) / _SECOND,
            color="#d98880",
            alpha=0.5,
            linewidth=0,
            zorder=0.6,
        )
    for bound in (begin, end):
        for edge in (bound.lo_ns, bound.hi_ns):
            axes.plot([(edge - zero) / _SECOND] * 2, [-0.75, height], color="#8f1d14", linewidth=0.5, zorder=2)
    y = -0.95
    lo, hi = x_span(outer, zero)
    axes.annotate("", (lo, y), (hi, y), arrowprops={"arrowstyle": "<->", "color": "#8f1d14", "linewidth": 1.0})
    axes.text(
        (lo + hi) / 2,
        y - 0.12,
        f"suspended {seconds(suspension.length)}",
        ha="center",
        va="bottom",
        fontsize=11,
        fontweight="bold",
        color="#8f1d14",
    )
    for bound, name, side in ((begin, "start", "right"), (end, "end", "left")):
        x = x_span(bound, zero)[0 if side == "right" else 1]
        text = f"{name} ± {bound.length_ns / 2e6:.1f} ms"
        axes.text(
            x, y, f"{text}  " if side == "right" else f"  {text}", ha=side, va="center", fontsize=8, color="#8f1d14"
        )


def edge(
    analysis: Analysis, suspension: Suspension, which: str, axes: Axes | None = None, around_ms: float = 45.0
) -> Axes:
    """One end of the suspension in milliseconds: the heartbeats that bound it, and the interval it lies in."""
    axes = axes or Figure(figsize=(5, 2)).add_subplot()
    bound = suspension.begin if which == "begin" else suspension.end
    zero = bound.lo_ns if which == "begin" else bound.hi_ns
    reach = max(around_ms, 1.6 * bound.length_ns / 1e6)
    axes.set_xlim(-reach, reach)
    names = [name for name in _lanes(analysis) if _traces(analysis, name)[0].host == suspension.host]
    for lane, name in enumerate(names):
        for trace in _traces(analysis, name):
            near = (trace.alive_hi >= zero - reach * 1e6) & (trace.alive_lo <= zero + reach * 1e6)
            lo, hi = (trace.alive_lo[near] - zero) / 1e6, (trace.alive_hi[near] - zero) / 1e6
            at = np.full(len(lo), lane)
            axes.hlines(
                at, np.maximum(lo, -reach), np.minimum(hi, reach), color=colour(trace.kind), linewidth=2.2, zorder=3
            )
            axes.plot(lo, at, "|", hi, at, "|", markersize=9, color=colour(trace.kind), zorder=3)
    likely_from, likely_to = (bound.hi_ns - zero) / 1e6, (bound.lo_ns - zero) / 1e6
    axes.axvspan(
        (bound.lo_ns - zero) / 1e6, (bound.hi_ns - zero) / 1e6, color="#f0b9b4", alpha=0.6, linewidth=0, zorder=0.5
    )
    inside = (likely_from, reach) if which == "begin" else (-reach, likely_to)
    axes.axvspan(*inside, color="#d98880", alpha=0.75, linewidth=0, zorder=0.5)
    axes.set_yticks(range(len(names)), names if which == "begin" else [])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(9))
    axes.set_xlabel(f"ms {'after the last' if which == 'begin' else 'from the first'} heartbeat")
    axes.set_title(
        f"{'start' if which == 'begin' else which} ± {bound.length_ns / 2e6:.1f} ms",
        fontsize=9,
        loc="left",
        color="#8f1d14",
        pad=5,
    )
    return axes


# --- the wall chart -------------------------------------------------------------------------------------------------


def wall_chart(analysis: Analysis) -> Figure:
    """One sheet with lanes, gaps and phases, remaining bytes, and the suspension enlarged."""
    with rc_context(STYLE):
        count, suspension = max(1, len(_lanes(analysis))), analysis.suspension
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


class Sheet:
    """Rows of axes on a figure, measured in inches from the top, so labels keep their room at any height."""

    def __init__(self, figure: Figure, *, left: float, right: float, top: float) -> None:
        self.figure, self.left, self.right, self.at = figure, left, right, top

    def pair(self, height: float, gap: float = 0.0) -> tuple[Axes, Axes]:
        """Two axes side by side."""
        full_row = self.row(height, gap)
        box = full_row.get_position()
        full_row.remove()
        half = box.width * 0.485
        return (
            self.figure.add_axes((box.x0, box.y0, half, box.height)),
            self.figure.add_axes((box.x1 - half, box.y0, half, box.height)),
        )

    def row(self, height: float, gap: float = 0.0) -> Axes:
        """Add a row below the others; heights in inches."""
        width_all, height_all = self.figure.get_size_inches()
        self.at += gap + height
        box = (
            self.left / width_all,
            1 - self.at / height_all,
            (width_all - self.left - self.right) / width_all,
            height / height_all,
        )
        return self.figure.add_axes(box)


def _title(figure: Figure, analysis: Analysis) -> None:
    width, height = figure.get_size_inches()
    suspension = analysis.suspension
    head = f"suspended {seconds(suspension.length)}" if suspension else "no suspension found"
    figure.text(0.25 / width, 1 - 0.2 / height, analysis.name, fontsize=13, fontweight="bold", va="top")
    began = utc(analysis.wall.at(analysis.record.lo_ns), 0)[:-1].rstrip(".").replace("T", " ")
    figure.text(0.25 / width, 1 - 0.5 / height, f"{began} UTC · {head}", fontsize=10, va="top", color=FAINT)


def _legend(figure: Figure, analysis: Analysis) -> None:
    width, height = figure.get_size_inches()
    entries: list[Line2D | Patch] = [
        Line2D([], [], color=INK, linewidth=3, label="heartbeats"),
        Patch(facecolor="#f0b9b4", edgecolor="#8f1d14", linewidth=0.5, label="gap: guaranteed bounds"),
        Patch(facecolor="#8f1d14", label="gap: probable"),
    ]
    kinds = {outage.kind for host in analysis.hosts for outage in host.outages}
    entries += [
        Patch(facecolor="#ffffff", edgecolor="#8f1d14", hatch=hatch, label=kind.value)
        for kind, hatch in _HATCHES.items()
        if kind in kinds and kind is not None
    ]
    if analysis.stalls:
        entries.append(Patch(facecolor="#9aa2ab", alpha=0.55, label="observer stall"))
    if analysis.holes:
        entries.append(Patch(facecolor="#f6f6f6", edgecolor="#9aa2ab", hatch="////", label="not observed"))
    figure.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0.18 / width, 0.08 / height),
        ncols=len(entries),
        frameon=False,
        fontsize=8,
        handlelength=1.6,
        columnspacing=1.4,
    )


# --- the ladder -----------------------------------------------------------------------------------------------------


def ladder(suspension: Suspension, axes: Axes | None = None) -> Axes:
    """The length of the suspension by each probe as a bar, the combined length last."""
    axes = axes or Figure(figsize=(7.6, 0.9 + 0.42 * (len(suspension.witnesses) + 1))).add_subplot()
    rows = sorted(suspension.witnesses, key=lambda witness: -witness.length.length_ns)
    names = [witness.probe for witness in rows] + ["agreed"]
    spans = [witness.length for witness in rows] + [suspension.length]
    for lane, (name, span) in enumerate(zip(names, spans, strict=True)):
        agreed = name == "agreed"
        lo, hi = span.lo_ns / _SECOND, span.hi_ns / _SECOND
        axes.plot(
            [lo, hi],
            [lane, lane],
            color="#8f1d14" if agreed else INK,
            linewidth=6 if agreed else 3,
            solid_capstyle="butt",
            zorder=3,
        )
        axes.plot([lo, hi], [lane, lane], "|", color="#8f1d14" if agreed else INK, markersize=11, zorder=3)
        axes.annotate(
            seconds(span),
            (1.02, lane),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            fontweight="bold" if agreed else "normal",
        )
    axes.axvspan(
        suspension.length.lo_ns / _SECOND,
        suspension.length.hi_ns / _SECOND,
        color="#f0b9b4",
        alpha=0.5,
        linewidth=0.8,
        zorder=0,
    )
    axes.plot([suspension.best_ns / _SECOND], [len(names) - 1], "D", color=PAPER, markersize=3.6, zorder=4)
    axes.set_yticks(range(len(names)), names)
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("length of the suspension by each probe alone, in seconds")
    return axes


def ladder_chart(suspension: Suspension) -> Figure:
    """`ladder` as a figure."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.95 + 0.36 * (len(suspension.witnesses) + 1)), facecolor=PAPER)
        sheet = Sheet(figure, left=1.15, right=1.75, top=0.18)
        ladder(suspension, sheet.row(0.36 * (len(suspension.witnesses) + 1)))
    return figure


# --- latency --------------------------------------------------------------------------------------------------------


def latency(analysis: Analysis, traces: Sequence[Trace], axes: Axes | None = None) -> Axes:
    """Round trips of an open session on a logarithmic axis, so that a slow tail after the resume is visible."""
    axes = axes or Figure(figsize=(9.2, 2.6)).add_subplot()
    zero = time_zero(analysis)
    axes.set_xlim(*x_limits(analysis, zero))
    axes.set_yscale("log")
    for trace in traces:
        replied = trace.answered != MISSING
        took = np.maximum((trace.answered - trace.sent)[replied] / 1e6, 1e-3)
        x = (trace.sent[replied] - zero) / _SECOND
        _dots(axes, x, took, colour(trace.kind))
        lost = (trace.sent[~replied] - zero) / _SECOND
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


def latency_chart(analysis: Analysis) -> Figure | None:
    """Round trips of every echo probe of a run; ``None`` without an echo probe."""
    traces = [trace for host in analysis.hosts for trace in host.traces if trace.kind == "echo"]
    if not traces:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.7), facecolor=PAPER)
        latency(analysis, traces, Sheet(figure, left=0.75, right=0.95, top=0.12).row(2.0))
    return figure


def image(figure: Figure, ending: str = "png", dpi: int = 150) -> bytes:
    """A figure as PNG or SVG bytes, in this module's style. The same figure gives the same SVG."""
    metadata = {"Date": None} if ending == "svg" else {"Software": "lpmkit"}
    content = BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format=ending, dpi=dpi, metadata=metadata)
    return content.getvalue()


def data_uri(figure: Figure) -> str:
    """A figure as an inline PNG for a page."""
    return f"data:image/png;base64,{b64encode(image(figure)).decode()}"
