"""The chart of past predictions: how often their intervals held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lpmkit.plots.figures import save
from lpmkit.prediction.history import predicted_and_actual
from lpmkit.prediction.moves import FIGURES, LABELS, ObservedMove


def plot_reliability(past: Sequence[ObservedMove], axes: Axes | None = None) -> Axes:
    """Plot the P10 to P90 interval of every past prediction, relative to the actual value. A marker on the line is
    exact.
    """
    if axes is None:
        axes = Figure(figsize=(6, 4), layout="constrained").subplots()
        axes.set_xlabel("predicted P10 to P90 / actual")
    at, ticks = 0, []
    for figure in FIGURES:
        pairs = predicted_and_actual(past, figure)
        for claimed, actual in pairs:
            inside = claimed.p10 <= actual <= claimed.p90
            colour = "tab:blue" if inside else "tab:orange"
            axes.plot(
                [claimed.p10 / actual, claimed.p90 / actual], [at, at], color=colour, linewidth=2, solid_capstyle="butt"
            )
            axes.plot(claimed.p50 / actual, at, marker="o", markersize=3, color=colour)
            at += 1
        if pairs:
            covered = np.mean([claimed.p10 <= actual <= claimed.p90 for claimed, actual in pairs])
            ticks.append((at - (len(pairs) + 1) / 2, f"{LABELS[figure]}\n{covered:.0%} of {len(pairs)} covered"))
            at += 1
    axes.axvline(1.0, color="0.4", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.invert_yaxis()
    return axes


def save_reliability(past: Sequence[ObservedMove], path: Path) -> None:
    """Save `plot_reliability` as a file; its suffix selects the format. Raises `UsageError` for an unknown format."""
    axes = plot_reliability(past)
    axes.set_title("Predictions of past moves")
    figure = axes.get_figure(root=True)
    assert figure is not None
    save(figure, path)
