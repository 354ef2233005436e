"""Pictures of predictions: how often they held, and how the forecast of one move went. The only module of prediction that needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lpmkit.errors import UsageError
from lpmkit.prediction.history import StoredPrediction
from lpmkit.prediction.prior import FIGURES, LABELS, ObservedMove

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(past: Sequence[ObservedMove], axes: Axes | None = None) -> Axes:
    """Every past prediction as a point: what happened over what was said, with the P10 to P90 that was claimed. On the line is exact."""
    axes = axes if axes is not None else _axes("what was said, P10 to P90 as a part of what happened", "")
    at, ticks = 0, []
    for figure in FIGURES:
        pairs = [
            (getattr(one.predicted, figure), getattr(one.actual, figure))
            for one in past
            if one.predicted is not None and getattr(one.actual, figure)
        ]
        for said, actual in pairs:
            inside = said.p10 <= actual <= said.p90
            colour = "tab:blue" if inside else "tab:orange"
            axes.plot(
                [said.p10 / actual, said.p90 / actual], [at, at], color=colour, linewidth=2, solid_capstyle="butt"
            )
            axes.plot(said.p50 / actual, at, marker="o", markersize=3, color=colour)
            at += 1
        if pairs:
            held = np.mean([said.p10 <= actual <= said.p90 for said, actual in pairs])
            ticks.append((at - (len(pairs) + 1) / 2, f"{LABELS[figure]}\n{held:.0%} of {len(pairs)} held"))
            at += 1
    axes.axvline(1.0, color="0.4", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.invert_yaxis()
    return axes


def save_reliability(past: Sequence[ObservedMove], path: Path) -> None:
    """`plot_reliability` as a file; the ending says which kind. Raises `UsageError` for one that cannot be drawn."""
    axes = plot_reliability(past)
    axes.set_title("Predictions of past moves")
    figure = axes.get_figure(root=True)
    assert figure is not None
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in kinds:
        raise UsageError(
            f"{path.name} is no kind of picture that can be drawn", next_step=f"End it with one of: {', '.join(kinds)}."
        )
    figure.savefig(path)


def plot_forecast(kept: StoredPrediction, axes: Axes | None = None) -> Axes:
    """The forecasts of one move as a fan over its time, with what was really left as a line, when the copy is over."""
    axes = axes if axes is not None else _axes("seconds since the first forecast", "seconds of the copy left")
    rows = np.array([row[:4] for row in kept.during], float).reshape(-1, 4)
    axes.fill_between(rows[:, 0], rows[:, 1], rows[:, 3], color="tab:blue", alpha=0.25, linewidth=0, label="P10 to P90")
    axes.plot(rows[:, 0], rows[:, 2], color="tab:blue", label="P50")
    if kept.copy_ended_s is not None:
        axes.plot(
            rows[:, 0], np.maximum(kept.copy_ended_s - rows[:, 0], 0), color="0.2", linestyle="--", label="was left"
        )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return axes


def _axes(across: str, up: str) -> Axes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only those who draw pay for it

    axes = Figure(figsize=(6, 4), layout="constrained").subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return axes
