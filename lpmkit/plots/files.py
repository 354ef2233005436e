"""The charts of a run as files, each drawn on demand.

A report embeds SVG; a Word file, a notebook cell or a wiki requests PNG.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from lpmkit.analysis import Analysis
from lpmkit.plots.database import chart_name, database_chart
from lpmkit.plots.figures import image, translated
from lpmkit.plots.ladder import ladder_chart
from lpmkit.plots.latency import latency_chart
from lpmkit.plots.sap import sap_chart
from lpmkit.plots.wall_chart import wall_chart
from lpmkit.runs.files import make_folder
from lpmkit.runs.folder import write_file


def charts(analysis: Analysis) -> dict[str, Callable[[], Figure | None]]:
    """Drawing functions of every chart of a run, by file name; a chart with nothing to show draws ``None``."""
    suspension = analysis.suspension
    return {
        "wall": lambda: wall_chart(analysis) if analysis.hosts else None,
        "ladder": lambda: ladder_chart(suspension) if suspension else None,
        "latency": partial(latency_chart, analysis),
        **{f"sap-{outcome.sid}": partial(sap_chart, analysis, outcome) for outcome in analysis.sap},
        **{chart_name(database): partial(database_chart, analysis, database) for database in analysis.databases},
    }


class Charts:
    """The charts of a run, each drawn once, however often it is written.

    ``said`` puts their texts into another language than English.
    """

    def __init__(self, analysis: Analysis, said: Callable[[str], str] | None = None) -> None:
        self._draw, self._said = charts(analysis), said
        self._drawn: dict[str, Figure | None] = {}

    def write(self, folder: Path, ending: str, write: Callable[[Path, bytes], Path] = write_file) -> dict[str, Path]:
        """Write every chart as ``ending`` (``svg`` or ``png``) into ``folder``; returns the paths by chart name.

        Charts with nothing to show are left out and their old files removed. ``write`` returns the final path of a
        file. Raises `RecordError` when the folder cannot be written.
        """
        make_folder(folder)
        written = {}
        for name in self._draw:
            path, figure = folder / f"{name}.{ending}", self.figure(name)
            if figure is None:
                path.unlink(missing_ok=True)
            else:
                written[name] = write(path, image(figure, ending))
        return written

    def figure(self, name: str) -> Figure | None:
        """A chart by its name; ``None`` where it has nothing to show."""
        if name not in self._drawn:
            figure = self._draw[name]()
            self._drawn[name] = figure and self.in_words(figure)
        return self._drawn[name]

    def in_words(self, figure: Figure) -> Figure:
        """Another figure with its texts in the language of these charts."""
        return translated(figure, self._said) if self._said else figure
