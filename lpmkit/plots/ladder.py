"""The length of a suspension by each of its probes."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lpmkit.analysis import Suspension, seconds
from lpmkit.plots.colours import INK, PAPER
from lpmkit.plots.figures import STYLE, Sheet
from lpmkit.plots.time_axis import SECOND


def ladder(suspension: Suspension, axes: Axes | None = None) -> Axes:
    """The length of the suspension by each probe as a bar, the combined length last."""
    axes = axes or Figure(figsize=(7.6, 0.9 + 0.42 * (len(suspension.witnesses) + 1))).add_subplot()
    rows = sorted(suspension.witnesses, key=lambda witness: -witness.length.length_ns)
    names = [witness.probe for witness in rows] + ["all probes"]
    spans = [witness.length for witness in rows] + [suspension.length]
    for lane, (name, span) in enumerate(zip(names, spans, strict=True)):
        agreed = name == "all probes"
        lo, hi = span.lo_ns / SECOND, span.hi_ns / SECOND
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
        suspension.length.lo_ns / SECOND,
        suspension.length.hi_ns / SECOND,
        color="#f0b9b4",
        alpha=0.5,
        linewidth=0.8,
        zorder=0,
    )
    axes.plot([suspension.best_ns / SECOND], [len(names) - 1], "D", color=PAPER, markersize=3.6, zorder=4)
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
