"""The charts of a run as files: what belongs to a report, by name, each drawn when it is asked for.

A report shows SVG; what cannot (a Word file, a cell of a notebook, a wiki) asks for PNG, and only then is one drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from lpmkit.analysis import Analysis
from lpmkit.plots.database import chart_name, database_chart
from lpmkit.plots.run import image, ladder_chart, latency_chart, wall_chart
from lpmkit.plots.sap import sap_chart
from lpmkit.runs.files import make_folder
from lpmkit.runs.folder import write_file


def charts(analysis: Analysis) -> dict[str, Callable[[], Figure | None]]:
    """Every chart of a run by the name of its file; one that has nothing to show draws ``None``."""
    still = analysis.suspension
    return {
        "wall": partial(wall_chart, analysis),
        "ladder": lambda: ladder_chart(still) if still else None,
        "latency": partial(latency_chart, analysis),
        **{f"sap-{one.sid}": partial(sap_chart, analysis, one) for one in analysis.sap},
        **{chart_name(database): partial(database_chart, analysis, database) for database in analysis.databases},
    }


def write_charts(
    analysis: Analysis, folder: Path, ending: str, write: Callable[[Path, bytes], Path] = write_file
) -> dict[str, Path]:
    """Every chart as ``ending`` (``svg`` or ``png``) into ``folder``, by name; charts that have nothing to show are left out, old ones removed.

    ``write`` says where a file is in the end.

    Raises `RecordError` when the folder cannot be written.
    """
    make_folder(folder)
    written = {}
    for name, draw in charts(analysis).items():
        path, figure = folder / f"{name}.{ending}", draw()
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            written[name] = write(path, image(figure, ending))
    return written
