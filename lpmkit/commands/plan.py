"""The commands for a plan of several moves."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lpmkit.commands import candidates
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    DONE_OPEN,
    FINE,
    INTERRUPTED,
    NOT_FINE,
    ask_person,
    exchange_runs,
    json_option,
    people,
    print_item,
    print_json,
    print_line,
    print_table,
    reports_errors,
    site_of,
    site_or_none,
    tell_started,
    terminal,
    visible,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from lpmkit.board.model import Board
    from lpmkit.plan import MovePlan
    from lpmkit.plan.by_place import PlaceOfPlan
    from lpmkit.plan.evacuation import Made
    from lpmkit.plan.status import PlanStatus
    from lpmkit.runbook import Runbook
    from lpmkit.runs.folder import Run

plan_file = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
plan_name = click.argument("name", metavar="PLAN", shell_complete=candidates.plans)
_STATUSES = {"ready": FINE, "not ready": NOT_FINE, "could not tell": COULD_NOT_TELL}


@click.group("plan")
def plan() -> None:
    """Move several partitions as a plan: in its order, as many at once as frames, movers and links allow."""


def _runbook(context: click.Context) -> Runbook:
    from lpmkit.runbook import Runbook

    return Runbook(site_of(context))


def _named(context: click.Context, name: str) -> tuple[Runbook, Run]:
    """A runbook for the operator's own site, and the folder of a plan; the folder's content never selects a machine."""
    from lpmkit.plan.book import named_plan
    from lpmkit.plan.status import plan_of
    from lpmkit.runbook import Runbook

    site = site_or_none(context)
    folder = named_plan(site.runs.folder, name)
    plan_of(folder)
    return Runbook(site), folder


@plan.command("make")
@click.option("--evacuate", "source", metavar="FRAME", help="Empty this frame.")
@click.option("--into", "targets", metavar="FRAME,...", help="Target frames; default: the frame's partner.")
@click.option("--return", "back", is_flag=True, help="Bring partitions back to where their moves began.")
@click.option("--home", metavar="FRAME", help="With --return: only partitions whose home is this frame.")
@click.option("--not-after", metavar="TIME", help="End of the window: 03:00, or 2026-12-01T03:00+01:00.")
@click.option("--accept", multiple=True, metavar="CHECK", help="Plan moves although this check fails. Repeatable.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The plan's file; default: after the frame. A file that is there is not changed.")  # fmt: skip
@json_option
@click.pass_context
@reports_errors
def make(
    context: click.Context,
    source: str | None,
    targets: str | None,
    back: bool,
    home: str | None,
    not_after: str | None,
    accept: tuple[str, ...],
    output: Path | None,
    as_json: bool,
) -> None:
    """Write a plan that empties a frame, or brings partitions home. Changes nothing on any machine.

    Partitions are packed by memory, processors, slots, ports, pools, ids and what the checks say. Partitions that leave
    frames of several places get a plan for each place, in a file of its own. Exit status: 0 everything can go, 1
    something cannot; it is named with the reason, on the screen and in the file.
    """
    from lpmkit.errors import UsageError
    from lpmkit.plan.making import evacuation, homecoming, window_until
    from lpmkit.plan.plan_file import refuse_existing, write_plans
    from lpmkit.ssh.secrets import Secrets

    if (source is not None) == back or (home is not None and not back) or (targets is not None and back):
        raise UsageError("say what the plan is for", next_step="Use --evacuate FRAME [--into FRAME,...], or --return.")
    site = site_of(context)
    exchange_runs(site)
    now = datetime.now().astimezone()
    window = window_until(not_after, now) if not_after else None
    path = output or Path("-".join(filter(None, ("evacuate", source) if source else ("return", home))) + ".yaml")
    refuse_existing(path)
    if source is not None:
        into = tuple(name.strip() for name in (targets or "").split(",") if name.strip())
        made = evacuation(site, Secrets(), source, into, window=window, accept=accept)
        purpose = f"Evacuation of {source}" + (f" into {', '.join(into)}" if into else "")
    else:
        made = homecoming(site, Secrets(), home, window=window, accept=accept)
        purpose = f"Return to {home}" if home else "Return of all partitions that are away from home"
    written = write_plans(made, purpose, int(now.timestamp() * 1e9), path, site)
    if as_json:
        only = str(written[0][0]) if len(written) == 1 else None
        print_json({"plan": only, "plans": _plans(written), "moves": _placed(made), "left": _left(made)})
    else:
        print_table(purpose, _placed(made))
        print_table("Cannot go", _left(made))
        for sentence in _next_steps(written):
            terminal().print(sentence, soft_wrap=True)
    sys.exit(NOT_FINE if made.left else FINE)


def _plans(written: Sequence[tuple[Path, PlaceOfPlan]]) -> list[dict[str, object]]:
    return [
        {"plan": str(path), "place": part.place, "step": part.step,
         "partitions": [move.partition for move in part.plan.moves]}
        for path, part in written
    ]  # fmt: skip


def _next_steps(written: Sequence[tuple[Path, PlaceOfPlan]]) -> Iterator[str]:
    """The plans that were written, and the commands to type."""
    if len(written) < 2:
        yield (
            f"Written: {written[0][0]}. Look at it with `lpmkit plan check {written[0][0]}`."
            if written
            else "Nothing can go."
        )
        return
    yield f"{len(written)} plans, as the partitions leave frames that are driven from several places:"
    step = 1
    for path, part in written:
        if part.step > step:
            step = part.step
            yield "Once these are over:"
        yield f"  lpmkit plan check {path}; lpmkit plan run {path}"
    yield "Plans of one step may run at once: limits of frames, links and movers hold across them."


def _placed(made: Made) -> list[dict[str, str]]:
    return [
        {
            "partition": one.need.partition,
            "from": one.need.source,
            "to": one.target,
            "id": str(one.lpar_id),
            "MB": str(one.need.memory_mb),
            "processors": f"{one.need.processors:g}",
            "remarks": "; ".join(one.remarks),
        }
        for one in made.packing.placed
    ]


def _left(made: Made) -> list[dict[str, str]]:
    return [{"partition": left.need.partition, "reason": left.sentence()} for left in made.left]


@plan.command("check")
@plan_file
@click.option("--without-firmware", is_flag=True, help="Skip the validation of each move.")
@click.option("--chart", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also save the forecast as a Gantt chart; the suffix is its format (svg, png, pdf).")  # fmt: skip
@json_option
@click.pass_context
@reports_errors
def check(context: click.Context, file: Path, without_firmware: bool, chart: Path | None, as_json: bool) -> None:
    """Check every move of a plan: order, capacity, prerequisites, validation, and when it would begin and end.

    Changes nothing. Exit status: 0 every move is ready and the window holds, 1 at least one is not ready or finds no
    capacity at its turn, or the window does not hold, 3 at least one is inconclusive.
    """
    from lpmkit.plan import load_plan
    from lpmkit.plan.book import checked_plan
    from lpmkit.plan.outlook import text_chart

    book = _runbook(context)
    read = load_plan(file, book.site)
    exchange_runs(book.site)
    checked = checked_plan(book, read, ask_firmware=not without_firmware)
    ahead, result = checked.outlook, checked.answer.value
    rows = [move.as_row() for move in checked.moves]
    times = [{"partition": move.partition, **ahead.cells(move.partition)} for move in checked.moves]
    predicted = [move.predicted_row() for move in checked.moves]
    if chart is not None:
        from lpmkit.plan.board import bars_ahead
        from lpmkit.plan.gantt import save_chart

        save_chart(bars_ahead(read, checked), ahead.windows.values(), chart)
    if as_json:
        print_json(
            {
                "title": read.title,
                "answer": result,
                "against": list(checked.against()),
                "moves": rows,
                "predicted": predicted,
                "forecast": ahead.as_data(),
            }
        )
    else:
        print_table(read.title, rows)
        print_table("Predicted (P90; any limit in brackets)", predicted)
        print_table("Forecast, UTC (P50 … P90)", times)
        for line in text_chart(ahead):
            print_line(line)
        terminal().print(ahead.sentence(), soft_wrap=True)
        for name in checked.unknown:
            terminal().print(checked.unknown_name(name), soft_wrap=True)
        next_step = (
            f"Start it with `lpmkit plan run {file}`."
            if result == "ready"
            else "Check each move that is not ready: `lpmkit check PARTITION --to FRAME`."
        )
        terminal().print(f"Plan: {result}. {next_step}", soft_wrap=True)
    sys.exit(_STATUSES[result])


@plan.command("run")
@plan_file
@click.option("--confirm", "typed", metavar="TITLE", help="The plan's title as confirmation; without it you are asked.")
@click.option("--detach", is_flag=True, help="Return once the plan runs; `lpmkit plan attach PLAN` shows it.")
@json_option
@click.pass_context
@reports_errors
def run(context: click.Context, file: Path, typed: str | None, detach: bool, as_json: bool) -> None:
    """Run a plan. Each move is checked and validated at its turn; a move that is not ready is not started.

    Without --confirm the whole plan is checked first and its summary is shown; a plan that is not ready is refused.
    """
    from lpmkit.plan import load_plan
    from lpmkit.plan.book import start

    book = _runbook(context)
    read = load_plan(file, book.site)
    if typed is None:
        typed = confirmed(book, read)
    folder = start(book, read, typed)
    if detach:
        tell_started("plan", folder.path, as_json)
        sys.exit(FINE)
    _follow(book, folder, as_json)


def confirmed(book: Runbook, read: MovePlan) -> str:
    """Check the plan, show what a start does and rests on, and ask for its title; raises what forbids it first."""
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.plan.book import checked_plan, may_start
    from lpmkit.plan.confirm import plan_summary

    console = Terminal(stderr=True)
    may_start(book, read)
    console.print(f"Checking {len(read.moves)} moves: survey, checks, validation. Nothing is changed.", soft_wrap=True)
    checked = checked_plan(book, read)
    may_start(book, read, checked)
    for name, text in plan_summary(book, checked):
        print_item(name, text, console=console)
    return ask_person(f"Type the plan's title ({read.title}) to move {len(read.moves)} partitions")


@plan.command("attach")
@plan_name
@json_option
@click.pass_context
@reports_errors
def attach(context: click.Context, name: str, as_json: bool) -> None:
    """Show a running plan. Restarts its conductor if it died; never starts a move twice."""
    from lpmkit.plan.book import attach as make_sure

    book, folder = _named(context, name)
    if make_sure(book, folder):
        people(as_json).print("Conductor restarted; the plan continues.", style="yellow")
    _follow(book, folder, as_json)


@plan.command("halt")
@plan_name
@json_option
@click.pass_context
@reports_errors
def halt(context: click.Context, name: str, as_json: bool) -> None:
    """Start no further move of a plan. Running moves continue; `lpmkit stop RUN` stops one."""
    from lpmkit.plan.book import halt as ask

    book, folder = _named(context, name)
    ask(book, folder)
    _tell(folder, "No further move will be started.", as_json)


@plan.command("go-on")
@plan_name
@json_option
@click.pass_context
@reports_errors
def go_on(context: click.Context, name: str, as_json: bool) -> None:
    """Continue a halted plan, without the failed moves and the moves that depend on them."""
    from lpmkit.plan.book import go_on as ask

    book, folder = _named(context, name)
    ask(book, folder)
    _tell(folder, f"The plan continues; `lpmkit plan attach {folder.name}` shows it.", as_json)


@plan.command("again")
@plan_name
@click.argument("partition", shell_complete=candidates.partitions)
@json_option
@click.pass_context
@reports_errors
def again(context: click.Context, name: str, partition: str, as_json: bool) -> None:
    """Queue a failed move of a plan again, after its cause is fixed."""
    from lpmkit.plan.book import again as ask

    book, folder = _named(context, name)
    ask(book, folder, partition)
    _tell(folder, f"{partition} is queued again; `lpmkit plan attach {folder.name}` shows it.", as_json)


@plan.command("take-over")
@click.argument("place")
@click.option("--to", required=True, metavar="PLACE", help="The place that goes on with its plans.")
@json_option
@click.pass_context
@reports_errors
def take_over(context: click.Context, place: str, to: str, as_json: bool) -> None:
    """Give the plans of a PLACE whose worker is dead to another place; refused while it is alive.

    No move is asked for again: recorders that died with their host are followed by others, which look on.
    """
    from lpmkit.plan.driving import take_over as take

    plans_taken, runs = take(_runbook(context), place, to)
    if as_json:
        print_json({"from": place, "to": to, "plans": plans_taken, "runs": runs})
        return
    terminal().print(f"{to} drives {', '.join(plans_taken) or 'no plan of it: it had none under way'}.", soft_wrap=True)
    if runs:
        terminal().print(f"Looked on from here: {', '.join(runs)}.", soft_wrap=True)


@plan.command("report")
@plan_name
@json_option
@click.pass_context
@reports_errors
def report(context: click.Context, name: str, as_json: bool) -> None:
    """Write the report of a plan (plan.html, plan-summary.json, plan.csv) into its folder."""
    _, folder = _named(context, name)
    _page(folder, as_json)


def _tell(folder: Run, sentence: str, as_json: bool) -> None:
    """Print what was asked of a plan's conductor."""
    if as_json:
        print_json({"plan": str(folder.path), "text": sentence})
    else:
        terminal().print(sentence)


def _follow(book: Runbook, folder: Run, as_json: bool) -> NoReturn:
    """Show the plan until it is over or halted, then write its page."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.plan.board import FollowedPlan
    from lpmkit.plan.book import follow

    console, followed = Terminal(stderr=as_json), FollowedPlan(folder, book.clock, book.site.language)
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                for _ in follow(book, folder):
                    head = Text(visible("\n".join(_head_lines(followed.board()))))
                    live.update(Group(head, _table(followed.status)), refresh=True)
        else:
            stages: dict[str, str] = {}
            for now in follow(book, folder):
                _print_changes(now, stages, console)
    except KeyboardInterrupt:
        console.print(f"\nThe plan continues in the background. `lpmkit plan attach {folder.name}` shows it again.")
        sys.exit(INTERRUPTED)
    _page(folder, as_json)


def _table(now: PlanStatus) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from lpmkit.plan.status import as_rows

    rows = as_rows(now)
    table = Table(title=now.plan.title, title_justify="left")
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(text) for text in row.values()))
    return table


def _print_changes(now: PlanStatus, stages: dict[str, str], console: Console) -> None:
    """Print a line for each move that is in another stage than in ``stages``, and note its stage there."""
    for move in now.moves:
        if stages.get(move.partition) != move.stage.value:
            stages[move.partition] = move.stage.value
            text = f"{move.partition}: {move.stage.value}" + (f" ({move.why})" if move.why else "")
            console.print(text, soft_wrap=True)


def _head_lines(board: Board) -> tuple[str, str]:
    """The head of a plan's board for a terminal: state with figures, and what to do."""
    from lpmkit.board.text import live_line

    return live_line(board), board.banner.sentence


def _page(folder: Run, as_json: bool) -> NoReturn:
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.plan.board import FollowedPlan
    from lpmkit.plan.page import rows_of, write_page

    followed = FollowedPlan(folder)
    board, now = followed.board(), followed.status
    # While moves run the conductor writes the page; what it wrote may be older than the end of the last move.
    by_conductor = now.conducted and not now.is_done
    page = folder.path / "plan.html" if by_conductor else write_page(folder)
    console = Terminal(stderr=as_json)
    console.print(_table(now))
    for line in _head_lines(board):
        console.print(line, soft_wrap=True, markup=False)
    console.print(f"Page: {page}", soft_wrap=True)
    if as_json:
        complete = status_of(now) in (FINE, NOT_FINE) and all(
            move.verdict in ("passed", "failed") for move in now.moves
        )
        facts = {"plan": str(folder.path), "page": str(page), "halted": now.halted, "complete": complete}
        print_json({**facts, "moves": rows_of(followed)})
    sys.exit(status_of(now))


def status_of(now: PlanStatus) -> int:
    """Exit status of a plan: success when every move arrived and every verdict passed; a verdict that failed is a
    failure, and one that is not evaluated leaves questions open.
    """
    from lpmkit.plan.schedule import LOST, Stage

    if any(move.stage in LOST for move in now.moves):
        return NOT_FINE
    if not all(move.stage is Stage.ARRIVED for move in now.moves):
        return COULD_NOT_TELL
    verdicts = {move.verdict for move in now.moves}
    return NOT_FINE if "failed" in verdicts else FINE if verdicts == {"passed"} else DONE_OPEN


COMMANDS: Sequence[Any] = (plan,)
