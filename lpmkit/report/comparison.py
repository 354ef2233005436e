"""Several runs side by side: a table of their figures, their suspensions laid over each other, and a site's history as
a page.

The pictures are `matplotlib.figure.Figure` objects as in `lpmkit.plots.figures`; the pages are self-contained HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from lpmkit.analysis import Analysis, Interval, seconds
from lpmkit.json_values import JsonObject
from lpmkit.plots.colours import FAINT, INK
from lpmkit.plots.figures import STYLE, data_uri
from lpmkit.report.templates import page_template
from lpmkit.runs.cells import MISSING
from lpmkit.runs.history import HEAD, History, Move

#: The time before and after each suspension that is laid over the others'.
BEFORE_S, AFTER_S = 1.0, 2.5
#: Hues of Okabe and Ito's for runs; each run has a lane, a name and a line style of its own besides.
_HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", "-.", ":")


def labels(analyses: Sequence[Analysis]) -> list[str]:
    """Label of each run: its name, with a number if two folders hold runs of one name."""
    found: list[str] = []
    for number, analysis in enumerate(analyses):
        same = sum(one.name == analysis.name for one in analyses[:number])
        found.append(f"{analysis.name} ({same + 1})" if same else analysis.name)
    return found


def figures(analyses: Sequence[Analysis]) -> list[dict[str, str]]:
    """A row for each figure, a column for each run by its label; an en dash where a run has no value."""
    named = list(zip(labels(analyses), analyses, strict=True))
    return [{"figure": name, **{label: of(one) or "–" for label, one in named}} for name, of in _FIGURES]


def _suspended(analysis: Analysis) -> str:
    return seconds(analysis.suspension.length) if analysis.suspension else ""


def _likely(analysis: Analysis) -> str:
    still = analysis.suspension
    return f"{still.best_ns / 1e9:.3f} s ({seconds(still.likely)})" if still else ""


def _span(time_ns: int | None, digits: int = 0) -> str:
    return "" if time_ns is None else f"{time_ns / 1e9:.{digits}f} s"


def _copied(analysis: Analysis) -> str:
    begin = next((phase.since_ns for phase in analysis.phases if phase.name == "copying"), None)
    still = analysis.suspension
    return f"{(still.begin.lo_ns - begin) / 1e9:.1f} s" if begin is not None and still else ""


def _sent(analysis: Analysis) -> str:
    sent = [
        reading["bytes_transmitted"] for reading in analysis.readings if reading.get("bytes_transmitted") is not None
    ]
    return f"{max(sent) / 1e6:,.0f} MB" if sent else ""


_FIGURES = (
    ("verdict", lambda one: one.verdict.state.value),
    ("suspended, bounds", _suspended),
    ("suspended, most likely (95 %)", _likely),
    ("longest wait of a session", lambda one: seconds(one.longest_wait) if one.longest_wait else ""),
    ("copy, until the suspension", _copied),
    ("sent", _sent),
    ("the whole move", lambda one: _span(one.move_ns)),
    ("witnesses", lambda one: ", ".join(one.suspension.mechanisms) if one.suspension else ""),
    ("other silences", lambda one: str(one.other_silences)),
    ("observer stalls", lambda one: f"{one.stalled_s:.2f} s"),
)


def overlay(analyses: Sequence[Analysis]) -> Figure:
    """The suspensions of several runs, each from its own likely begin: a lane each (hull pale, 95 % dark), and what the
    finest session felt below.
    """
    with rc_context(STYLE):
        lanes = len(analyses)
        figure = Figure(figsize=(9.6, 2.6 + 0.42 * lanes + 2.2), layout="constrained")
        bars, waits = figure.subplots(2, 1, sharex=True, height_ratios=(0.6 + 0.42 * lanes, 2.4))
        longest = 0.0
        for lane, analysis in enumerate(analyses):
            still = analysis.suspension
            hue, dash = _HUES[lane % len(_HUES)], _DASHES[lane // len(_HUES) % len(_DASHES)]
            if still is None:
                bars.text(0.02, lane, "no suspension found", va="center", color=FAINT, fontsize=8)
                continue
            zero = still.begin.middle_ns
            _lane(bars, still.begin, still.end, zero, lane, hue)
            bars.text(
                (still.end.hi_ns - zero) / 1e9 + 0.02, lane, f"{still.best_ns / 1e9:.3f} s", va="center", fontsize=8
            )
            longest = max(longest, (still.end.hi_ns - zero) / 1e9)
            _felt_line(waits, analysis, zero, labels(analyses)[lane], (hue, dash))
        bars.set_yticks(range(lanes), labels(analyses))
        bars.set_ylim(lanes - 0.4, -0.6)
        bars.axvline(0, color=INK, linewidth=0.6)
        waits.axvline(0, color=INK, linewidth=0.6)
        waits.set_yscale("log")
        waits.set_ylabel("round trip, ms")
        waits.set_xlabel("seconds from the start of each run's own suspension")
        waits.set_xlim(-BEFORE_S, longest + AFTER_S)
        if waits.get_legend_handles_labels()[1]:
            waits.legend(frameon=False, fontsize=7.5, loc="upper right")
    return figure


def _lane(axes: Any, begin: Interval, end: Interval, zero: int, lane: int, hue: str) -> None:
    outer = ((begin.lo_ns - zero) / 1e9, (end.hi_ns - begin.lo_ns) / 1e9)
    inner = ((begin.hi_ns - zero) / 1e9, max(0, end.lo_ns - begin.hi_ns) / 1e9)
    axes.broken_barh([outer], (lane - 0.3, 0.6), facecolor=hue, alpha=0.25, edgecolor=hue, linewidth=0.8)
    axes.broken_barh([inner], (lane - 0.3, 0.6), facecolor=hue)


def _felt_line(axes: Any, analysis: Analysis, zero: int, label: str, look: tuple[str, str]) -> None:
    traces = [trace for host in analysis.hosts for trace in host.traces if trace.kind == "echo"]
    if not traces:
        return
    trace = traces[0]
    known = (trace.sent != MISSING) & (trace.took != MISSING)
    x = (trace.sent[known] - zero) / 1e9
    y = trace.took[known] / 1e6
    near = (x >= -BEFORE_S - 1) & (x <= 120)
    axes.plot(
        x[near],
        np.maximum(y[near], 0.01),
        look[1],
        color=look[0],
        linewidth=1,
        marker=".",
        markersize=3,
        label=f"{label}: {trace.probe}",
    )


def comparison_page(analyses: Sequence[Analysis]) -> str:
    """The table and the picture as one file of HTML."""
    return page_template("comparison.html.j2").render(
        title="Runs side by side",
        head=["figure", *labels(analyses)],
        rows=[list(row.values()) for row in figures(analyses)],
        pictures=[("The suspensions of these runs, laid over each other at their begin", data_uri(overlay(analyses)))],
        notes=[],
    )


# --- the history ----------------------------------------------------------------------------------------------------


#: Number of partitions with a hue, a mark and a name of their own in the trend.
_MAX_NAMED = 14


def trend(moves: Sequence[Move]) -> Figure | None:
    """The suspensions over time with their bounds, a mark and a hue per partition; ``None`` without any."""
    known = [move for move in moves if move.suspended_s is not None]
    if not known:
        return None
    names = sorted({one.partition for one in known})
    named = len(names) <= _MAX_NAMED
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.4), layout="constrained")
        axes = figure.subplots()
        # more partitions than a legend holds are one crowd
        groups = {name: [one for one in known if one.partition == name] for name in names} if named else {"": known}
        for number, (name, mine) in enumerate(groups.items()):
            x = np.array([one.created_ns for one in mine], dtype="datetime64[ns]")
            y = np.array([one.suspended_s for one in mine], dtype=float)
            low = np.array([one.suspended_low_s or one.suspended_s for one in mine], dtype=float)
            high = np.array([one.suspended_high_s or one.suspended_s for one in mine], dtype=float)
            look: JsonObject = {"color": _HUES[number % len(_HUES)], "markersize": 4, "linewidth": 0.8}
            bars = np.maximum(0.0, np.vstack([y - low, high - y]))
            axes.errorbar(x, y, yerr=bars, fmt="osD^vP*X"[number % 8], label=name or None, **look)
        axes.set_ylabel("suspended, s")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("when the run was made (UTC)")
        if named:
            axes.legend(frameon=False, fontsize=8, ncols=min(4, len(names)), loc="upper left")
        figure.autofmt_xdate()
    return figure


def history_page(past: History, moves: Sequence[Move], title: str) -> str:
    """The history as one file of HTML: the trend, the outliers, every run."""
    drawn = trend(moves)
    notes = [f"{name} cannot be read: {why}" for name, why in sorted(past.unreadable.items())]
    return page_template("comparison.html.j2").render(
        title=title,
        head=HEAD,
        rows=past.rows(list(reversed(moves))),
        pictures=[("Suspensions over time, with their bounds", data_uri(drawn))] if drawn else [],
        notes=notes,
    )


def table_page(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table as one file of HTML, with notes above it."""
    page = page_template("comparison.html.j2")
    return page.render(title=title, head=head, rows=rows, pictures=[], notes=notes)
