"""Plots of a SAP system during a move: jobs, work processes, dispatcher connection, and the suspension across them."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from lpmkit.analysis import Analysis
from lpmkit.plots.colours import FAINT, INK, PAPER
from lpmkit.plots.figures import STYLE, Sheet, legend_below
from lpmkit.plots.latency import latency
from lpmkit.plots.time_axis import add_utc_axis, shade_unobserved, time_zero, x_limits, x_span
from lpmkit.sap.job_history import JobCourse
from lpmkit.sap.judge import JobLine, SapOutcome
from lpmkit.sap.model import JobStatus

#: Colour and hatch by the status of a job, so that colour is not the only sign.
LOOKS = {
    JobStatus.RUNNING: ("#0072b2", ""),
    JobStatus.FINISHED: ("#009e73", ""),
    JobStatus.ABORTED: ("#c1272d", "xxx"),
    JobStatus.RELEASED: ("#ffffff", ""),
    JobStatus.READY: ("#e9c46a", "..."),
}
_OTHER = ("#d7dbe0", "///")
MAX_JOBS = 40
_TYPES = {"DIA": "#d55e00", "BTC": "#0072b2", "UPD": "#009e73", "UP2": "#66c2a5", "SPO": "#7b3294", "ENQ": "#b8860b"}
_SECOND = 1e9


def job_bars(analysis: Analysis, lines: Sequence[JobLine], axes: Axes | None = None) -> Axes:
    """One bar for each job from its start (or first observation) to its end (or last one).

    Waiting jobs are outlined.
    """
    axes = axes or Figure(figsize=(11, 4)).add_subplot()
    zero = time_zero(analysis)
    lo, hi = x_limits(analysis, zero)
    axes.set_xlim(lo, hi)
    for lane, line in enumerate(lines):
        _bar(axes, line, lane, zero)
    names = [line.course.job.title for line in lines]
    axes.set_yticks(range(len(names)), names, fontsize=7.5)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        if line.verdict == "fail":
            label.set_color("#8f1d14")
            label.set_fontweight("bold")
    axes.set_ylim(max(1, len(lines)) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _through(axes, analysis, zero)
    return axes


def _bar(axes: Axes, line: JobLine, lane: int, zero: int) -> None:
    course = line.course
    lo, hi = axes.get_xlim()
    first, last = course.sights[0].asked_ns, course.sights[-1].answered_ns
    outside = _outside(course, zero + int(lo * _SECOND), zero + int(hi * _SECOND))
    if outside:
        aborted = course.status is JobStatus.ABORTED
        axes.annotate(
            outside,
            (lo, lane),
            (6, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
            color=LOOKS[JobStatus.ABORTED][0] if aborted else FAINT,
        )
        return
    ran = course.started_ns is not None or any(sight.job.status is JobStatus.RUNNING for sight in course.sights)
    since = course.started_ns if course.started_ns is not None else first
    until = course.ended_ns or course.gone_ns or last
    if not ran or since > first:
        # Outline the wait before the start.
        waited = min(since, until) if ran else last
        _box(axes, (first - zero) / _SECOND, min(hi, (waited - zero) / _SECOND), lane, "#ffffff", "", FAINT)
    if ran and (since - zero) / _SECOND <= hi:
        colour, hatch = LOOKS.get(course.status, _OTHER)
        begin, end = max(lo, (since - zero) / _SECOND), min(hi, (until - zero) / _SECOND)
        _box(axes, begin, end, lane, colour, hatch, INK)
        if (since - zero) / _SECOND < lo:
            axes.plot([lo], [lane], "<", markersize=4, color=colour, clip_on=False, zorder=5)
    if line.verdict == "fail":
        axes.annotate(
            f" {line.text}"[:70],
            (min(hi, (until - zero) / _SECOND), lane),
            fontsize=7,
            color="#8f1d14",
            va="center",
            zorder=6,
        )


def _outside(course: JobCourse, lo_ns: int, hi_ns: int) -> str:
    """Remark on a job without a bar, because it was over before the plotted time or starts after it; else empty."""
    job = course.job
    if course.ended_ns is not None and course.ended_ns < lo_ns:
        return f"◂ {course.status.word} at {job.ended:%H:%M:%S}"
    if course.sights[0].asked_ns > hi_ns:  # while the logs were read on
        return "▸ first seen later" if job.started is None else f"▸ began at {job.started:%H:%M:%S}"
    if job.status is JobStatus.SCHEDULED:
        return "not released"
    if job.status is JobStatus.RELEASED and job.planned is None:
        return "waits for an event"
    if job.status is JobStatus.RELEASED and len(course.sights) == 1 and job.planned is not None:
        return f"▸ planned for {job.planned:%H:%M:%S}"
    return ""


def _box(axes: Axes, begin: float, end: float, lane: int, colour: str, hatch: str, edge: str) -> None:
    least = 0.003 * (axes.get_xlim()[1] - axes.get_xlim()[0])
    width = max(end - begin, least)
    axes.add_patch(
        Rectangle(
            (begin, lane - 0.32), width, 0.64, facecolor=colour, edgecolor=edge, linewidth=0.5, hatch=hatch, zorder=3
        )
    )


def _through(axes: Axes, analysis: Analysis, zero: int) -> None:
    """The suspension as a band across the axes, observer stalls, and intervals that were not observed."""
    suspension = analysis.suspension
    if suspension:
        axes.axvspan(*x_span(suspension.outer, zero), color="#8f1d14", alpha=0.55, linewidth=0.8, zorder=4)
    shade_unobserved(axes, analysis, zero)


def work_process_steps(analysis: Analysis, outcome: SapOutcome, axes: Axes | None = None) -> Axes:
    """Plot the busy work processes of each type at each reading, with a mark where some were down."""
    axes = axes or Figure(figsize=(11, 2)).add_subplot()
    zero = time_zero(analysis)
    axes.set_xlim(*x_limits(analysis, zero))
    kinds = [kind for kind in _TYPES if any(kind in types for _, types in outcome.occupancy)]
    times = [(moment - zero) / _SECOND for moment, _ in outcome.occupancy]
    max_busy = 1
    for kind in kinds:
        busy = [types.get(kind, (0, 0, 0))[0] for _, types in outcome.occupancy]
        down = [types.get(kind, (0, 0, 0))[1] for _, types in outcome.occupancy]
        max_busy = max([max_busy, *busy])
        axes.step(times, busy, where="post", color=_TYPES[kind], linewidth=1.3, label=kind, zorder=3)
        axes.plot(times, busy, ".", markersize=2.5, color=_TYPES[kind], zorder=3)
        down_at = [(at, count) for at, count in zip(times, down, strict=True) if count]
        if down_at:
            axes.plot(*zip(*down_at, strict=True), "x", color="#8f1d14", markersize=6, zorder=4)
    axes.set_ylim(0, max_busy * 1.5)  # room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylabel("busy", rotation=0, ha="right", va="center")
    if kinds:
        legend = axes.legend(
            loc="upper right",
            ncols=len(kinds),
            fontsize=7.5,
            handlelength=1.2,
            facecolor=PAPER,
            framealpha=0.85,
            edgecolor="none",
        )
        legend.set_zorder(6)
    _through(axes, analysis, zero)
    return axes


def sap_chart(analysis: Analysis, outcome: SapOutcome) -> Figure | None:
    """Jobs, work processes and NI ping of one system on one sheet; ``None`` if nothing of them was observed."""
    lines = shown_jobs(outcome)
    lanes = [
        trace
        for host in analysis.hosts
        for trace in host.traces
        if trace.kind == "ni" and trace.probe.startswith(f"sap-ni-{outcome.sid}-")
    ]
    if not lines and not outcome.occupancy and not lanes:
        return None
    heights = [
        *([0.17 * len(lines) + 0.25] if lines else []),
        *([1.2] if outcome.occupancy else []),
        *([1.4] if lanes else []),
    ]
    with rc_context(STYLE):
        figure = Figure(figsize=(11, sum(heights) + 0.18 * len(heights) + 1.4), facecolor=PAPER)
        sheet = Sheet(figure, left=3.1, right=1.0, top=0.5)
        axes: list[Axes] = []
        if lines:
            axes.append(job_bars(analysis, lines, sheet.row(heights[len(axes)])))
        if outcome.occupancy:
            axes.append(work_process_steps(analysis, outcome, sheet.row(heights[len(axes)], gap=0.18 if axes else 0.0)))
        if lanes:
            axes.append(latency(analysis, lanes, sheet.row(heights[len(axes)], gap=0.18 if axes else 0.0)))
            axes[-1].set_ylabel("NI ping", rotation=0, ha="right", va="center")
        for upper in axes[:-1]:
            upper.tick_params(axis="x", labelbottom=False, length=0)
            upper.set_xlabel("")
        start = "start of the suspension" if analysis.suspension else "start"
        axes[-1].set_xlabel(f"seconds from the {start}, time of day in UTC below", labelpad=20)
        add_utc_axis(axes[-1], analysis, time_zero(analysis), 0)
        width, height = figure.get_size_inches()
        figure.text(
            0.25 / width,
            1 - 0.2 / height,
            f"{outcome.sid}: jobs and work processes",
            fontsize=12,
            fontweight="bold",
            va="top",
        )
        _legend(figure)
    return figure


def shown_jobs(outcome: SapOutcome) -> list[JobLine]:
    """The jobs that get a bar, in the order of their start: first those that decide the verdict, up to `MAX_JOBS`."""
    order = {"fail": 0, "unknown": 1, "pass": 2}
    chosen = sorted(outcome.jobs, key=lambda line: order.get(line.verdict, 3))[:MAX_JOBS]
    return [line for line in outcome.jobs if line in chosen]


def _legend(figure: Figure) -> None:
    names = {
        JobStatus.RUNNING: "running",
        JobStatus.FINISHED: "finished",
        JobStatus.ABORTED: "aborted",
        JobStatus.RELEASED: "waiting",
    }
    entries: list[Patch | Line2D] = [
        Patch(facecolor=LOOKS[status][0], hatch=LOOKS[status][1], edgecolor=INK, linewidth=0.5, label=text)
        for status, text in names.items()
    ]
    entries.append(Patch(facecolor="#8f1d14", alpha=0.55, label="suspended"))
    legend_below(figure, entries)


__all__ = ["job_bars", "sap_chart", "shown_jobs", "work_process_steps"]
