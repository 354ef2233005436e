"""Plots of a database during a move: alert log entries and session latency."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lpmkit.analysis import Analysis
from lpmkit.analysis.oracle_model import DatabaseAnalysis, Mark
from lpmkit.plots.colours import CLASSES, FAINT, PAPER
from lpmkit.plots.figures import STYLE, Sheet
from lpmkit.plots.latency import latency
from lpmkit.plots.time_axis import add_utc_axis, shade_phases, shade_unobserved, time_zero, x_limits, x_span
from lpmkit.rules.table import Class

COLOURS = {meaning: CLASSES[meaning.value][1] for meaning in Class if meaning.value in CLASSES}
_SHAPES = {Class.FAIL: "X", Class.WARN: "^", Class.UNKNOWN: "s", Class.EXPECTED: "o"}
#: Classes as their rows are called.
_NAMES = {"fail": "failure", "warn": "warning"}
#: Kinds of probes that query over an open session.
SESSION_KINDS = ("sql", "commit")


def alert_lane(analysis: Analysis, database: DatabaseAnalysis, axes: Axes | None = None) -> Axes:
    """One row for each class: a marker at each entry, a bar as wide as its time is uncertain. The band is the
    suspension.

    """
    axes = axes if axes is not None else Figure(figsize=(9.2, 1.4)).add_subplot()
    zero, rows = time_zero(analysis), list(COLOURS)
    axes.set_xlim(*x_limits(analysis, zero))
    lo, hi = axes.get_xlim()
    for mark in database.marks:
        begin, end = x_span(mark.at, zero)
        if end < lo or begin > hi or mark.meaning not in COLOURS:
            continue
        row, colour = rows.index(mark.meaning), COLOURS[mark.meaning]
        axes.plot(
            [max(begin, lo), min(end, hi)], [row, row], color=colour, linewidth=3, alpha=0.35, solid_capstyle="butt"
        )
        axes.plot(
            (max(begin, lo) + min(end, hi)) / 2,
            row,
            marker=_SHAPES[mark.meaning],
            markersize=6,
            color=colour,
            markeredgewidth=0,
        )
    axes.set_yticks(range(len(rows)), [_NAMES.get(message_class.value, message_class.value) for message_class in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    suspension = analysis.suspension
    if suspension is not None:
        axes.axvspan(*x_span(suspension.outer, zero), color="#f0b9b4", alpha=0.7, linewidth=0, zorder=0.5)
    shade_phases(axes, analysis, zero, named=True)
    shade_unobserved(axes, analysis, zero)
    if not _within(database.marks, analysis):
        axes.text(
            0.5,
            0.5,
            "the log was not read" if database.judgement is None else "nothing but routine",
            transform=axes.transAxes,
            ha="center",
            color=FAINT,
        )
    return axes


def _within(marks: tuple[Mark, ...], analysis: Analysis) -> bool:
    return any(mark.at.overlaps(analysis.record) for mark in marks)


def database_chart(analysis: Analysis, database: DatabaseAnalysis) -> Figure:
    """Alert log entries above the latency of open sessions and commits, on one time axis."""
    traces = [
        trace
        for host in analysis.hosts
        for trace in host.traces
        if trace.kind in SESSION_KINDS and trace.probe.partition("@")[0].endswith(f"-{database.sid}")
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(9.2, 4.8 if traces else 2.8), facecolor=PAPER)
        sheet = Sheet(figure, left=0.9, right=0.95, top=0.65)
        lane = alert_lane(analysis, database, sheet.row(1.0))
        bottom = lane
        if traces:
            bottom = latency(analysis, traces, sheet.row(2.0, gap=0.25))
            bottom.set_ylabel("session wait")
            lane.tick_params(axis="x", labelbottom=False, length=0)
        bottom.xaxis.set_major_locator(MaxNLocator(10))
        bottom.set_xlabel(
            "seconds from the start of the suspension (else of the record), time of day in UTC below", labelpad=20
        )
        add_utc_axis(bottom, analysis, time_zero(analysis), 0)
    return figure


def chart_name(database: DatabaseAnalysis) -> str:
    """Name of the chart of a database."""
    return f"database-{database.sid}"
