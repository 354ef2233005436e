"""A run shown while it goes on, and its report when it is over: what moving, watching and rehearsing end with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lpmkit.commands.console import COULD_NOT_TELL, FINE, INTERRUPTED, NOT_FINE, Terminal, people, print_line, say_json
from lpmkit.errors import RecordError
from lpmkit.runs.folder import Run


def follow(book: Any, run: Run, console: Console) -> None:
    """Show the move as a progress bar until it is over."""
    from lpmkit.migration.phases import Phase  # noqa: PLC0415
    from lpmkit.migration.status import describe  # noqa: PLC0415

    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
    )
    told_of: set[str] = set()
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("prepared", total=1.0, said="")
        for now in book.follow(run):
            for trouble in now.trouble:
                if trouble not in told_of:
                    told_of.add(trouble)
                    console.print(trouble, style="yellow")
            done = 1.0 if now.phase in (Phase.SETTLED, Phase.SWITCHED) else now.progress.fraction
            bar.update(
                task, completed=done, description=str(now.phase.value if now.phase else "watching"), said=describe(now)
            )


def follow_and_report(book: Any, run: Run, as_json: bool) -> NoReturn:
    from lpmkit.migration.status import state  # noqa: PLC0415

    console = Terminal(stderr=as_json)
    try:
        follow(book, run, console)
    except KeyboardInterrupt:
        console.print(f"\nThe recorder goes on without us. `lpmkit attach {run.path}` shows it again.")
        sys.exit(INTERRUPTED)
    if state(run).is_deserted:
        console.print(
            f"✗ The recorder is gone: what goes on now is not watched. `lpmkit attach {run.path}` starts another, which only looks on.",
            style="red",
            soft_wrap=True,
        )
    report_and_leave(run, as_json)


def report_and_leave(run: Run, as_json: bool, output: Path | None = None) -> NoReturn:
    """Write the report, print the verdict, and exit with its status. What cannot be written is told, and the verdict printed all the same."""
    from lpmkit.analysis import analyse, summary  # noqa: PLC0415
    from lpmkit.report.page import write_analysed  # noqa: PLC0415

    console = Terminal(stderr=as_json)
    analysis = analyse(run)
    found = summary(analysis)
    path = None
    try:
        path = write_analysed(run, analysis, output)
    except RecordError as error:
        print_line(f"lpmkit: the report is not written: {error}", err=True)
    print_summary(found, console)
    if path is not None:
        console.print(f"Report: {path}", soft_wrap=True)
        if path.stem != "report":
            console.print("The report that is there is signed and stays as it is; this one is new.", soft_wrap=True)
    if _is_recorded(run):
        console.print(
            f"SAP's logs are read on; `lpmkit report {run.path}` makes the report again when they are.", soft_wrap=True
        )
    if as_json:
        say_json({**found, "run": str(run.path), "report": None if path is None else str(path)})
    sys.exit(COULD_NOT_TELL if path is None else status_of_verdict(found))


def _is_recorded(run: Run) -> bool:
    try:
        return run.is_recorded()
    except RecordError:
        return False  # an archive of somebody else's: its lock cannot be looked at, and nothing here depends on it


def print_summary(found: dict[str, Any], console: Console | None = None) -> None:
    """Verdict and figures, as they stand at the top of the report."""
    out = console or people
    verdict = found["verdict"]
    out.print(verdict["line"], style="bold")
    for row in verdict["questions"]:
        out.print(f"  {row['state']:>14}  {row['question']}: {row['answer']}")


def status_of_verdict(found: dict[str, Any]) -> int:
    """The exit status that a verdict ends with."""
    return {"passed": FINE, "failed": NOT_FINE}.get(found["verdict"]["state"], COULD_NOT_TELL)
