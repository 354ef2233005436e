"""Figures: their style, rows of axes on a sheet, and their bytes. No state: they are made without pyplot."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lpmkit.plots.colours import FAINT, INK

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
