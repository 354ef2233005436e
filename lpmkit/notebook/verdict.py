"""The verdict of a run, its chart and its report in a notebook; the end of a rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import HTML

from lpmkit.board.follow import board_of
from lpmkit.board.page import board_html
from lpmkit.migration.status import still_observed
from lpmkit.notebook.live import LiveBoard
from lpmkit.notebook.tables import escaped, picture
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.wording.words import ENGLISH, Words, words_of

if TYPE_CHECKING:
    from lpmkit.rehearsal import Rehearsal

#: Description of a run's chart for screen readers.
NOT_BEGUN = "The move has not begun."
CHART_TEXT = "The lane of each probe around the suspension; the verdict has the same as text"


def show_verdict(book: Runbook, run: Run, *, wait: bool = False) -> Any:
    """Display the verdict of a finished run, and return its chart. ``wait`` keeps the cell busy until the run is over
    (no button works meanwhile).
    """
    from IPython.display import display  # noqa: PLC0415

    if wait:
        for _ in book.follow(run):
            pass
    *first, last = judged(book, run)
    for one in first:
        display(one)
    return last


def judged(book: Runbook, run: Run) -> list[HTML]:
    """The board with the verdict, then the chart; only a sentence while the run is not over. Writes the report too.

    The chart is a PNG: it fits into a cell and is shown in a saved copy that is not trusted yet.
    """
    from lpmkit.analysis import analyse, summary  # noqa: PLC0415
    from lpmkit.plots.figures import image  # noqa: PLC0415
    from lpmkit.plots.wall_chart import wall_chart  # noqa: PLC0415
    from lpmkit.report.page import charts_of, write_analysed  # noqa: PLC0415

    words, why = words_of(book.site.language), still_observed(run, book.clock)
    if why or not run.events():
        return [HTML(f"<p>{escaped(words.said(f'Not finished yet. {why or NOT_BEGUN}'))}</p>")]
    analysis = analyse(run)
    charts = charts_of(analysis, words)
    write_analysed(run, analysis, words=words, charts=charts)
    chart = charts.figure("wall") or charts.in_words(wall_chart(analysis))
    board = board_html(board_of(run, summary=summary(analysis), language=words.language))
    return [HTML(board), picture(image(chart), words.said(CHART_TEXT))]


def clean_up(rehearsal: Rehearsal, board: LiveBoard, run: Run) -> HTML:
    """Stop the simulated machines, unless the run has not begun or is not over."""
    if run.is_recorded() or not run.events():
        return HTML("<p>Not stopped: the run has not begun or is not over. Run this cell again afterwards.</p>")
    board.close_board()
    rehearsal.close()
    return HTML(f"<p>Simulated machines stopped. The record stays in <code>{escaped(run.path)}</code></p>")


def report_link(run: Run, words: Words = ENGLISH) -> HTML:
    """A link to the report of a run."""
    path, name = run.path / "report.html", words.said("Report")
    if not path.exists():
        return HTML(f"<p>{words.said('No report yet. It is written with the verdict, after the run.')}</p>")
    here = Path.cwd()
    # A notebook page may only open files beside it.
    if not path.resolve().is_relative_to(here):
        return HTML(f"<p>{name}: <code>{escaped(path)}</code></p>")
    relative = path.resolve().relative_to(here)
    return HTML(f"<p>{name}: <a href='{escaped(relative)}' target='_blank'>{escaped(relative)}</a></p>")
