"""The commands for a plan of several moves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    INTERRUPTED,
    NOT_FINE,
    Terminal,
    ask_person,
    json_option,
    people,
    print_line,
    print_table,
    say_json,
    site_or_none,
    told,
)
from lpmkit.config import find_site_file, load_site

if TYPE_CHECKING:
    from lpmkit.plan.status import Standings
    from lpmkit.runbook import Runbook
    from lpmkit.runs.folder import Run

plan_file = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
plan_name = click.argument("name", metavar="PLAN")
_STATUSES = {"ready": FINE, "not ready": NOT_FINE, "could not tell": COULD_NOT_TELL}


@click.group("plan")
def plan() -> None:
    """Move several partitions in the order of a plan, as many at once as frames, movers and links take."""


def _runbook(context: click.Context) -> Runbook:
    from lpmkit.runbook import Runbook  # noqa: PLC0415 - `lpmkit --help` should not load paramiko

    return Runbook(load_site(find_site_file(context.obj)))


def _named(context: click.Context, name: str) -> tuple[Runbook, Run]:
    """A plan's folder, and a runbook for the operator's own site: what stands in a folder chooses no machine."""
    from lpmkit.plan.book import named_plan  # noqa: PLC0415
    from lpmkit.plan.status import plan_of  # noqa: PLC0415
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    site = site_or_none(context)
    folder = named_plan(site.runs.folder, name)
    plan_of(folder)
    return Runbook(site), folder


@plan.command("check")
@plan_file
@click.option("--without-firmware", is_flag=True, help="Do not ask the firmware to validate each move.")
@json_option
@click.pass_context
@told
def check(context: click.Context, file: Path, without_firmware: bool, as_json: bool) -> None:
    """Look at every move of a plan beforehand: order, room, checks, the firmware's validation; changes nothing.

    Exit status: 0 every move is ready, 1 one is not or has no room at its turn, 3 none is but of one it could not be told.
    """
    from lpmkit.plan import load_plan  # noqa: PLC0415
    from lpmkit.plan.book import answer, look  # noqa: PLC0415

    book = _runbook(context)
    read = load_plan(file, book.site)
    found = look(book, read, ask_firmware=not without_firmware)
    if as_json:
        say_json({"title": read.title, "answer": answer(found).value, "moves": [one.as_row() for one in found]})
    else:
        print_table(read.title, [one.as_row() for one in found])
        people.print(f"{answer(found).value}. `lpmkit plan run {file}` starts it.", soft_wrap=True)
    sys.exit(_STATUSES[answer(found).value])


@plan.command("run")
@plan_file
@click.option("--confirm", "typed", metavar="TITLE", help="The plan's title, typed; asked for when left out.")
@click.option("--detach", is_flag=True, help="Return as soon as it is carried out; `lpmkit plan attach PLAN` shows it.")
@json_option
@click.pass_context
@told
def run(context: click.Context, file: Path, typed: str | None, detach: bool, as_json: bool) -> None:
    """Carry a plan out. Each move is checked and validated when its turn comes; one that is not ready is not asked for."""
    from lpmkit.plan import load_plan  # noqa: PLC0415
    from lpmkit.plan.book import start  # noqa: PLC0415

    book = _runbook(context)
    read = load_plan(file, book.site)
    if typed is None:
        people.print(", ".join(f"{one.partition} to {one.target}" for one in read.moves))
        typed = ask_person(f"Type the plan's title ({read.title}) to move {len(read.moves)} partitions")
    folder = start(book, read, typed)
    if detach:
        print_line(str(folder.path))
        sys.exit(FINE)
    _follow(book, folder, as_json)


@plan.command("attach")
@plan_name
@json_option
@click.pass_context
@told
def attach(context: click.Context, name: str, as_json: bool) -> None:
    """Show a plan that is carried out; starts a new conductor when the old one died. No move is ever asked for twice."""
    from lpmkit.plan.book import attach as make_sure  # noqa: PLC0415

    book, folder = _named(context, name)
    if make_sure(book, folder):
        people.print("The conductor had died; a new one carries on.", style="yellow")
    _follow(book, folder, as_json)


@plan.command("halt")
@plan_name
@click.pass_context
@told
def halt(context: click.Context, name: str) -> None:
    """Start no further move of a plan. What is under way goes on; `lpmkit stop RUN` stops one migration."""
    from lpmkit.plan.book import halt as ask  # noqa: PLC0415

    book, folder = _named(context, name)
    ask(book, folder)
    people.print("No further move will be started.")


@plan.command("go-on")
@plan_name
@click.pass_context
@told
def go_on(context: click.Context, name: str) -> None:
    """Go on with a plan after a halt, without the moves that failed and those that come after them."""
    from lpmkit.plan.book import go_on as ask  # noqa: PLC0415

    book, folder = _named(context, name)
    ask(book, folder)
    people.print(f"It goes on; `lpmkit plan attach {folder.name}` shows it.")


@plan.command("again")
@plan_name
@click.argument("partition")
@click.pass_context
@told
def again(context: click.Context, name: str, partition: str) -> None:
    """Put a move that failed back into the queue of its plan, once what kept it is mended."""
    from lpmkit.plan.book import again as ask  # noqa: PLC0415

    book, folder = _named(context, name)
    ask(book, folder, partition)
    people.print(f"{partition} waits again; `lpmkit plan attach {folder.name}` shows it.")


@plan.command("report")
@plan_name
@json_option
@click.pass_context
@told
def report(context: click.Context, name: str, as_json: bool) -> None:
    """Write the page of a plan (plan.html, plan-summary.json, plan.csv) into its folder again."""
    _, folder = _named(context, name)
    _page(folder, as_json)


def _follow(book: Runbook, folder: Run, as_json: bool) -> NoReturn:
    """Show the plan until it is over or halts, then its page."""
    from lpmkit.plan.book import follow  # noqa: PLC0415

    console = Terminal(stderr=as_json)
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                for now in follow(book, folder):
                    live.update(_table(now), refresh=True)
        else:
            said: dict[str, str] = {}
            for now in follow(book, folder):
                _tell(now, said, console)
    except KeyboardInterrupt:
        console.print(f"\nThe conductor goes on without us. `lpmkit plan attach {folder.name}` shows it again.")
        sys.exit(INTERRUPTED)
    _page(folder, as_json)


def _table(now: Standings) -> Table:
    from lpmkit.plan.status import as_rows  # noqa: PLC0415

    rows = as_rows(now)
    table = Table(title=now.plan.title, title_justify="left")
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(text) for text in row.values()))
    return table


def _tell(now: Standings, said: dict[str, str], console: Console) -> None:
    """A line for each move whose stage is another one."""
    for one in now.moves:
        if said.get(one.partition) != one.stage.value:
            said[one.partition] = one.stage.value
            text = f"{one.partition}: {one.stage.value}" + (f" ({one.why})" if one.why else "")
            console.print(text, soft_wrap=True)


def _page(folder: Run, as_json: bool) -> NoReturn:
    from lpmkit.plan.page import headline, rows_of, write_page  # noqa: PLC0415
    from lpmkit.plan.status import course  # noqa: PLC0415

    now = course(folder)
    # while it is carried out its conductor writes the page
    page = folder.path / "plan.html" if now.conducted else write_page(folder)
    console = Terminal(stderr=as_json)
    console.print(_table(now))
    console.print(headline(now) + (f" Halted: {now.halted}." if now.halted else ""), soft_wrap=True)
    console.print(f"Page: {page}", soft_wrap=True)
    if as_json:
        say_json({"plan": str(folder.path), "page": str(page), "halted": now.halted, "moves": rows_of(now)})
    sys.exit(status_of(now))


def status_of(now: Standings) -> int:
    """The exit status that a plan ends with: fine when every move arrived and none of their verdicts is open."""
    from lpmkit.plan.schedule import LOST, Stage  # noqa: PLC0415

    if any(one.stage in LOST for one in now.moves):
        return NOT_FINE
    fine = all(one.stage is Stage.ARRIVED and one.verdict == "passed" for one in now.moves)
    return FINE if fine else COULD_NOT_TELL


COMMANDS: Sequence[Any] = (plan,)
