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


def write_charts(
    analysis: Analysis,
    folder: Path,
    ending: str,
    write: Callable[[Path, bytes], Path] = write_file,
    said: Callable[[str], str] | None = None,
) -> dict[str, Path]:
    """Write every chart as ``ending`` (``svg`` or ``png``) into ``folder``; returns the paths by chart name.

    Charts with nothing to show are left out and their old files removed. ``write`` returns the final path of a file.
    ``said`` puts their texts into another language than English.
    Raises `RecordError` when the folder cannot be written.
    """
    make_folder(folder)
    written = {}
    for name, draw in charts(analysis).items():
        path, figure = folder / f"{name}.{ending}", draw()
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            written[name] = write(path, image(translated(figure, said) if said else figure, ending))
    return written
