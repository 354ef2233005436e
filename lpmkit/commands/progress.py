"""The progress of a run on the terminal, then its report and verdict."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lpmkit.commands.console import (
    COULD_NOT_TELL,
    DONE_OPEN,
    FINE,
    INTERRUPTED,
    NOT_FINE,
    print_item,
    print_json,
    print_line,
    terminal,
    visible,
)
from lpmkit.errors import RecordError
from lpmkit.installed.extras import MissingExtra, missing_extra
from lpmkit.json_values import JsonObject

if TYPE_CHECKING:
    from rich.console import Console

    from lpmkit.analysis import Analysis
    from lpmkit.runbook import Runbook
    from lpmkit.runs.folder import Run
    from lpmkit.wording.words import Words


def follow(book: Runbook, run: Run, console: Console) -> None:
    """Show the board of a run in a few lines until the run is over; in a pipe a line for each change of state."""
    from rich.live import Live
    from rich.text import Text

    from lpmkit.board.follow import FollowedRun
    from lpmkit.board.text import live_line
    from lpmkit.wording.words import words_of

    words = words_of(book.site.language)
    followed = FollowedRun(run, book.clock, language=words.language)
    told_of, last = set[str](), ""
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for turn, now in enumerate(book.follow(run)):
            for trouble in now.trouble:
                if trouble not in told_of:
                    told_of.add(trouble)
                    live.console.print(words.said(trouble), style="yellow")
            board = followed.board(full=turn % TILES_EVERY == 0)
            if console.is_terminal:
                live.update(Text(visible(f"{live_line(board)}\n{board.banner.sentence}")), refresh=True)
            elif board.banner.key != last:
                last = board.banner.key
                console.print(f"{board.banner.title}. {board.banner.sentence}", soft_wrap=True)


#: The tiles of SAP are read again at every so manieth look.
TILES_EVERY = 4


def follow_and_report(book: Runbook, run: Run, as_json: bool) -> NoReturn:
    """Show the run until it is over, then write the report and exit with the verdict's status."""
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.migration.status import state
    from lpmkit.wording.words import words_of

    console, said = Terminal(stderr=as_json), words_of(book.site.language).said
    again = f"`lpmkit attach {run.path}` restarts the recorder."
    try:
        follow(book, run, console)
    except KeyboardInterrupt:
        text = f"Recording continues in the background. `lpmkit attach {run.path}` shows it again."
        console.print(f"\n{said(text)}")
        sys.exit(INTERRUPTED)
    if state(run).is_deserted:
        console.print(
            f"✗ {said(f'The recorder died; the move is not observed now. {again}')}",
            style="red",
            soft_wrap=True,
        )
    report_and_leave(run, as_json, after_move=True, language=book.site.language)


def report_and_leave(
    run: Run, as_json: bool, output: Path | None = None, *, after_move: bool = False, language: str = "en"
) -> NoReturn:
    """Write the report, print the verdict and exit with its status; the verdict is printed also if the report cannot be
    written, which leaves a question open ``after_move`` and makes any other command inconclusive.
    """
    from lpmkit.analysis import analyse, headline, summary
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.runs.deliveries import undelivered
    from lpmkit.wording.words import words_of

    console, words = Terminal(stderr=as_json), words_of(language)
    said, analysis = words.said, analyse(run)
    found = summary(analysis)
    path = None
    try:
        path = _written(run, analysis, output, words)
    except (RecordError, MissingExtra) as error:
        print_line(f"lpmkit: report not written: {error}", err=True)
    print_summary(found, console, language, headline(analysis.verdict, analysis.suspension, words))
    if path is not None:
        console.print(f"{said('Report')}: {path}", soft_wrap=True)
        if path.stem != "report":
            text = "The existing report is signed and stays unchanged; this is a new file."
            console.print(said(text), soft_wrap=True)
    if _is_recorded(run):
        text = f"The SAP logs are read for another {_time_left(run)}. Then run `lpmkit report {run.path}` again."
        console.print(said(text), soft_wrap=True)
    missed = undelivered(run)
    for sink in missed:
        console.print(sink.sentence(str(run.path)), style="yellow", soft_wrap=True, markup=False)
    if as_json:
        written = None if path is None else str(path)
        complete = path is not None and is_complete(found)
        rows = [asdict(sink) for sink in missed]
        print_json({**found, "run": str(run.path), "report": written, "complete": complete, "undelivered": rows})
    status = status_of_verdict(found)
    if path is None and not after_move:
        status = COULD_NOT_TELL
    elif path is None and status == FINE:
        status = DONE_OPEN if _has_arrived(found) else COULD_NOT_TELL
    sys.exit(status)


def _written(run: Run, analysis: Analysis, output: Path | None, words: Words) -> Path:
    """The written report. Raises `MissingExtra` where its pictures cannot be drawn, and `RecordError`."""
    try:
        from lpmkit.report.page import write_analysed
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from error
    return write_analysed(run, analysis, output, words)


def _time_left(run: Run) -> str:
    from lpmkit.migration.status import state

    left_s = state(run).reads_on_s
    if left_s is None:
        return "while"
    return f"{left_s:.0f} s" if left_s < 90 else f"{left_s / 60:.0f} minutes"


def _is_recorded(run: Run) -> bool:
    try:
        return run.is_recorded()
    except RecordError:
        return False  # a read-only archive: its lock cannot be examined, and nothing here depends on it


#: States of a question in the order in which they are printed, never by colour alone.
#: Colour and sign of each state of a question, the most urgent first.
_SIGNS = {"failed": ("red", "✗"), "not evaluated": ("magenta", "?"), "passed": ("green", "✓")}


def print_summary(found: JsonObject, console: Console | None = None, language: str = "en", line: str = "") -> None:
    """Print the verdict, then the questions: failed, not evaluated, passed. ``line`` is the verdict in the language."""
    from lpmkit.wording.titles import question_title
    from lpmkit.wording.words import words_of

    out, words = console or terminal(), words_of(language)
    verdict = found["verdict"]
    out.print(line or words.said(verdict["line"]), style="bold")
    rows = sorted(verdict["questions"], key=lambda row: list(_SIGNS).index(row["state"]))
    width = max(len(words(f"state.{state}")) for state in _SIGNS)
    for row in rows:
        colour, sign = _SIGNS[row["state"]]
        state = words(f"state.{row['state']}").ljust(width)
        title = question_title(words, row["key"], row["question"])
        print_item(f"[{colour}]{sign} {state}[/{colour}]", f"{title} {words.said(row['answer'])}", console=console)


def status_of_verdict(found: JsonObject) -> int:
    """Exit status of a verdict; with open questions, whether the move arrived makes the difference."""
    open_ = DONE_OPEN if _has_arrived(found) else COULD_NOT_TELL
    return {"passed": FINE, "failed": NOT_FINE}.get(found["verdict"]["state"], open_)


def _has_arrived(found: JsonObject) -> bool:
    """True if the partition moved; a watch has no such question."""
    return any(row["key"] == "moved" and row["state"] == "passed" for row in found["verdict"]["questions"])


def is_complete(found: JsonObject) -> bool:
    """True if no question that counts for the verdict is open."""
    return not any(row["counts"] and row["state"] == "not evaluated" for row in found["verdict"]["questions"])
