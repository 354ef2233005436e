"""The verdict of a run, its chart and its report in a notebook; the end of a rehearsal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.display import HTML

from lpmkit.migration.phases import Phase
from lpmkit.migration.status import state
from lpmkit.notebook.live import LiveBoard
from lpmkit.notebook.tables import escaped, picture, table
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run

#: What stands for the chart of a run where it cannot be seen.
CHART_SAID = "What each probe saw around the suspension, lane by lane; the verdict says it in words"


def show_verdict(book: Runbook, run: Run, *, wait: bool = False) -> Any:
    """The verdict of a run that is over, and the chart. ``wait`` keeps this cell busy until then (no button works meanwhile)."""
    from IPython.display import display  # noqa: PLC0415

    if wait:
        for _ in book.follow(run):
            pass
    found, *chart = judged(book, run)
    for one in chart:
        display(one)
    return found


def judged(book: Runbook, run: Run) -> list[HTML]:
    """Every question with its state and answer, worked out now, and the chart; of a run that is not over, where it stands.

    The chart is a PNG, which fits into a cell and shows in a saved copy that nobody trusts yet. Writes the report as well.
    """
    from lpmkit.analysis import analyse  # noqa: PLC0415
    from lpmkit.plots.run import image, wall_chart  # noqa: PLC0415
    from lpmkit.report.page import write_analysed  # noqa: PLC0415

    now = state(run, book.clock)
    if not now.is_over or now.phase is Phase.PREPARED:
        return [
            HTML(
                f"<p>Not over yet: <b>{escaped(now.phase.value if now.phase else 'watching')}</b>. Look again later.</p>"
            )
        ]
    analysis = analyse(run)
    write_analysed(run, analysis)
    rows = [
        {"question": one.title, "state": one.state.value, "answer": one.answer} for one in analysis.verdict.questions
    ]
    return [table(rows, analysis.verdict.sentence), picture(image(wall_chart(analysis)), CHART_SAID)]


def clean_up(rehearsal: Any, board: LiveBoard, run: Run) -> HTML:
    """End a rehearsal's machines, unless its run has yet to begin or goes on."""
    if run.is_recorded() or not run.events():
        return HTML("<p>Nothing was ended: the run has not begun, or goes on. Run this cell again when it is over.</p>")
    board.close_board()
    rehearsal.close()
    return HTML(f"<p>The simulated machines are gone. The record stays in <code>{escaped(run.path)}</code></p>")


def report_link(run: Run) -> HTML:
    """Where the report of a run lies."""
    path = run.path / "report.html"
    if not path.exists():
        return HTML("<p>No report yet: run the verdict's cell when the run is over.</p>")
    here = Path.cwd()
    # A notebook's page may open files beside it, no others of the machine.
    if not path.resolve().is_relative_to(here):
        return HTML(f"<p>Report: <code>{escaped(path)}</code></p>")
    relative = path.resolve().relative_to(here)
    return HTML(f"<p>Report: <a href='{escaped(relative)}' target='_blank'>{escaped(relative)}</a></p>")
