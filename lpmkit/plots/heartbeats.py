"""Heartbeats of a run's probes: lanes over the whole run, the suspension enlarged, its two edges.

Each function takes an analysis and optionally axes to draw on, and returns the axes. Colours are Okabe and Ito's, never
the only sign: probes have a lane and a name, classes a hatch or an outline. Nothing is drawn across a gap but the gap.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from lpmkit.analysis import Analysis, Outage, OutageKind, Suspension, Trace, seconds
from lpmkit.json_values import JsonObject
from lpmkit.plots.colours import FAINT, colour, lane_order
from lpmkit.plots.figures import strokes
from lpmkit.plots.time_axis import SECOND, add_utc_axis, shade_phases, shade_unobserved, time_zero, x_limits, x_span
from lpmkit.runs.cells import MISSING

#: The hatch of each kind of gap that is no suspension.
HATCHES: dict[OutageKind | None, str] = {
    OutageKind.NETWORK: "xxx",
    OutageKind.APPLICATION: "...",
    OutageKind.MICRO_STOP: "|||",
}


def lane_names(analysis: Analysis) -> list[str]:
    """The probes of a run, in the order of their lanes."""
    kinds = {trace.probe: trace.kind for host in analysis.hosts for trace in host.traces}
    return sorted(kinds, key=lambda name: lane_order(name, kinds[name]))


def _traces(analysis: Analysis, probe: str) -> list[Trace]:
    return [trace for host in analysis.hosts for trace in host.traces if trace.probe == probe]


def lanes(analysis: Analysis, axes: Axes | None = None) -> Axes:
    """One lane for each probe: a line over its heartbeats, bars for its gaps (guaranteed bounds pale, probable part
    dark).

    """
    axes = axes or Figure(figsize=(11, 3)).add_subplot()
    zero, names = time_zero(analysis), lane_names(analysis)
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
        (begins - zero) / SECOND,
        (ends - zero) / SECOND,
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
            "hatch": HATCHES.get(outage.kind, ""),
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


def zoom(analysis: Analysis, suspension: Suspension, axes: Axes | None = None, around_s: float = 2.0) -> Axes:
    """The suspension ± ``around_s``: every heartbeat as a mark, the intervals of begin and end, and its length."""
    axes = axes or Figure(figsize=(11, 3)).add_subplot()
    zero, names = (
        suspension.begin.hi_ns,
        [n for n in lane_names(analysis) if _traces(analysis, n)[0].host == suspension.host],
    )
    length = suspension.length.hi_ns / SECOND
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
    lo, hi = (edge * SECOND + zero for edge in axes.get_xlim())
    if trace.kind == "ticks":
        moments = (trace.alive_lo + trace.alive_hi) // 2
        moments = moments[(moments >= lo) & (moments <= hi)]
        x = (moments - zero) / SECOND
        strokes(axes, x, lane - 0.3, x, lane + 0.3, color=colour(trace.kind), linewidth=0.55, zorder=3)
        return
    shown = (trace.sent >= lo) & (trace.sent <= hi)
    sent, answered = trace.sent[shown], trace.answered[shown]
    replied = answered != MISSING
    tint = colour(trace.kind)
    late = trace.late[shown]
    axes.plot((sent - zero) / SECOND, np.full(len(sent), lane - 0.22), "|", markersize=7, color=tint, zorder=3)
    replied_at = (answered[replied] - zero) / SECOND
    axes.plot(replied_at, np.full(len(replied_at), lane + 0.22), ".", markersize=5, color=tint, zorder=3)
    out, back = ((moments[replied & late] - zero) / SECOND for moments in (sent, answered))
    strokes(axes, out, lane - 0.16, back, lane + 0.19, color=tint, linewidth=0.6, alpha=0.8, zorder=2.5)
    unanswered = sent[~replied]
    axes.plot(
        (unanswered - zero) / SECOND, np.full(len(unanswered), lane + 0.22), "x", markersize=4, color=tint, zorder=3
    )


def _edges(axes: Axes, suspension: Suspension, zero: int, height: float) -> None:
    outer, begin, end = suspension.outer, suspension.begin, suspension.end
    axes.axvspan(*x_span(outer, zero), color="#f0b9b4", alpha=0.45, linewidth=0, zorder=0.5)
    if begin.hi_ns < end.lo_ns:
        axes.axvspan(
            (begin.hi_ns - zero) / SECOND,
            (end.lo_ns - zero) / SECOND,
            color="#d98880",
            alpha=0.5,
            linewidth=0,
            zorder=0.6,
        )
    for bound in (begin, end):
        for edge in (bound.lo_ns, bound.hi_ns):
            axes.plot([(edge - zero) / SECOND] * 2, [-0.75, height], color="#8f1d14", linewidth=0.5, zorder=2)
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
    names = [name for name in lane_names(analysis) if _traces(analysis, name)[0].host == suspension.host]
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
