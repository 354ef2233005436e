"""A run shown while it goes on, and its report when it is over: what moving, watching and rehearsing end with."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lpmkit.commands.console import COULD_NOT_TELL, FINE, INTERRUPTED, NOT_FINE, Terminal, people, say_json
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


def report_and_leave(run: Run, as_json: bool) -> NoReturn:
    from lpmkit.report.page import write_report  # noqa: PLC0415

    console = Terminal(stderr=as_json)
    path = write_report(run.path)
    found = Run(run.path).document("summary")
    print_summary(found, console)
    console.print(f"Report: {path}", soft_wrap=True)
    if run.is_recorded():
        console.print(
            f"SAP's logs are read on; `lpmkit report {run.path}` makes the report again when they are.", soft_wrap=True
        )
    if as_json:
        say_json({**found, "run": str(run.path), "report": str(path)})
    sys.exit(status_of_verdict(found))


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
