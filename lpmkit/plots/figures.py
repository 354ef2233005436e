"""Figures: their style, rows of axes on a sheet, and their bytes. No state: they are made without pyplot."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter, ScalarFormatter

from lpmkit.errors import UsageError
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


def strokes(
    axes: Axes,
    x_from: npt.NDArray[np.float64],
    y_from: float,
    x_to: npt.NDArray[np.float64],
    y_to: float,
    **look: Any,
) -> None:
    """Draw many strokes as one line with gaps: thousands of lines are slow to draw, and to show in a page."""
    x, y = np.full((len(x_from), 3), np.nan), np.full((len(x_from), 3), np.nan)
    x[:, 0], x[:, 1], y[:, 0], y[:, 1] = x_from, x_to, y_from, y_to
    axes.plot(x.ravel(), y.ravel(), solid_capstyle="butt", **look)


def legend_below(figure: Figure, entries: Sequence[Artist], **looks: Any) -> None:
    """A legend in one row along the lower edge."""
    width, height = figure.get_size_inches()
    figure.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0.18 / width, 0.08 / height),
        ncols=len(entries),
        frameon=False,
        fontsize=8,
        **looks,
    )


def save(figure: Figure, path: Path) -> None:
    """Save a figure; the suffix of the file selects the format. Raises `UsageError` for an unknown one."""
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".") not in kinds:
        raise UsageError(
            f"{path.name}: unknown image format",
            next_step=f"Use a file name that ends with one of: {', '.join(kinds)}.",
        )
    figure.savefig(path)


def image(figure: Figure, ending: str = "png", dpi: int = 150) -> bytes:
    """A figure as PNG or SVG bytes, in this module's style. The same figure gives the same SVG."""
    metadata = {"Date": None} if ending == "svg" else {"Software": "lpmkit"}
    content = BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format=ending, dpi=dpi, metadata=metadata)
    return content.getvalue()


class _Comma(ScalarFormatter):
    """Numbers of an axis with a decimal comma."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return str(super().__call__(x, pos)).replace(".", ",")


def translated(figure: Figure, said: Callable[[str], str]) -> Figure:
    """The figure with its texts in another language: labels, legends, remarks, and the numbers of its axes.

    ``said`` translates a text; what it does not know, such as names, stays.
    """
    for text in figure.findobj(Text):
        words = text.get_text().strip()
        if words:
            text.set_text(text.get_text().replace(words, said(words)))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        formatter: Any = axis.get_major_formatter()
        if isinstance(formatter, FixedFormatter):
            formatter.seq = [said(str(label)) for label in formatter.seq]
        elif isinstance(formatter, FuncFormatter):
            formatter.func = partial(_said_value, formatter.func, said)
        elif type(formatter) is ScalarFormatter:
            axis.set_major_formatter(_Comma())
    return figure


def _said_value(made: Callable[..., str], said: Callable[[str], str], value: float, place: int | None = None) -> str:
    return said(made(value, place))


def data_uri(figure: Figure) -> str:
    """A figure as an inline PNG for a page."""
    return f"data:image/png;base64,{b64encode(image(figure)).decode()}"
