"""The commands that move, go home, stop and recover."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lpmkit.commands.args import order_arguments, order_of
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    NOT_FINE,
    ask_person,
    json_option,
    named_run,
    people,
    print_line,
    print_table,
    say_json,
    site_or_none,
    told,
)
from lpmkit.commands.progress import follow_and_report
from lpmkit.commands.survey import validate
from lpmkit.config import find_site_file, load_site
from lpmkit.runs.folder import Run


@click.command()
@order_arguments
@click.option("--confirm", "typed", metavar="NAME", help="The partition's name, typed; asked for when left out.")
@click.option(
    "--lead-in", "lead_in_s", type=float, metavar="SECONDS", help="Quiet time before the move, for the noise floor."
)
@click.option("--tail", "tail_s", type=float, metavar="SECONDS", help="Time to watch on afterwards.")
@click.option("--detach", is_flag=True, help="Return as soon as it is recorded; `lpmkit attach RUN` shows it.")
@json_option
@click.pass_context
@told
def move(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    typed: str | None,
    lead_in_s: float | None,
    tail_s: float | None,
    detach: bool,
    as_json: bool,
) -> None:
    """Move the partition. Needs a validation that passed lately (`lpmkit validate`) and its name typed."""
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    book = Runbook(load_site(find_site_file(context.obj))).with_times(lead_in_s=lead_in_s, tail_s=tail_s)
    book.require_secrets(partition)
    run = book.prepare(order_of(book, partition, target, source, keep_mapping, asked))
    if typed is None:
        typed = ask_person(f"Type the partition's name to move it to {target}")
    book.move(run, typed)
    if detach:
        print_line(str(run.path))
        sys.exit(FINE)
    follow_and_report(book, run, as_json)


@click.command()
@click.argument("partition", required=False)
@click.option(
    "--confirm",
    "typed",
    metavar="NAME",
    help="The partition's name, typed: move it home. Without it the firmware is only asked.",
)
@click.option("--keep-mapping", is_flag=True, help="Keep the names of adapters and disks that it has now.")
@json_option
@click.pass_context
@told
def home(context: click.Context, partition: str | None, typed: str | None, keep_mapping: bool, as_json: bool) -> None:
    """List which partitions are away from the frame they came from, when they left, under which change; with a name, validate its way home or move it."""
    from lpmkit.runs.away import away, ledger  # noqa: PLC0415

    folder = load_site(find_site_file(context.obj)).runs.folder
    if partition is None:
        found = ledger(folder) if folder.is_dir() else []
        if as_json:
            say_json([asdict(one) for one in found])
            return
        print_table("Away from home", [{"partition": one.partition, "home": one.home, "now on": one.now_on, "left (UTC)": f"{datetime.fromtimestamp(one.left_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M}", "change": one.change, "by": one.by, "mapping at home": "; ".join(one.mapping)} for one in found])  # fmt: skip
        if not found:
            people.print("Nobody is away: every partition that lpmkit moved is where it came from.")
        return
    one = away(folder, partition)
    back = {"partition": one.partition, "target": one.home, "source": one.now_on, "keep_mapping": keep_mapping, "asked": (), "as_json": as_json}  # fmt: skip
    if typed is None:
        context.invoke(validate, **back)
    else:
        context.invoke(move, **back, typed=typed, lead_in_s=None, tail_s=None, detach=False)


@click.command()
@click.argument("run_name", metavar="RUN")
@json_option
@click.pass_context
@told
def attach(context: click.Context, run_name: str, as_json: bool) -> None:
    """Show a run that is being recorded; starts a new recorder when the old one died, never a second migration."""
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    if book.attach(run):
        people.print(
            "The recorder had died; a new one looks on. What was missed is recorded as not observed.", style="yellow"
        )
    follow_and_report(book, run, as_json)


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--confirm", "typed", metavar="NAME", help="The partition's name, typed; asked for when left out.")
@click.pass_context
@told
def stop(context: click.Context, run_name: str, typed: str | None) -> None:
    """Ask the source's manager to stop the migration; the partition stays where it is."""
    sys.exit(_request(context, run_name, typed, "stop", lambda book, run, name: book.stop(run, name)))


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--confirm", "typed", metavar="NAME", help="The partition's name, typed; asked for when left out.")
@click.option("--force", is_flag=True, help="Go on after errors; the last resort.")
@click.option("--look", "only_look", is_flag=True, help="Only say what both ends say and what to do; changes nothing.")
@click.pass_context
@told
def recover(context: click.Context, run_name: str, typed: str | None, force: bool, only_look: bool) -> None:
    """Ask the source's manager to clean up after a migration that was left in between.

    Says first what both ends say, and which of wait, stop, recover, recover with force or hands off applies and why.
    """
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    proposal = book.way_out(run)
    print_proposal(proposal)
    if only_look:
        print_left_behind(book.left_behind(run))
        sys.exit(
            STATUS_OF_WAY.get(proposal.action.value, NOT_FINE) if proposal.rule not in NOBODY_KNOWS else COULD_NOT_TELL
        )
    status = _request(context, run_name, typed, "recover", lambda book, run, name: book.recover(run, name, force=force))
    if status == FINE:
        print_left_behind(book.left_behind(run))
    sys.exit(status)


#: What a look at a run ends with: 1 where somebody has to type something, 3 where nobody could tell.
STATUS_OF_WAY = {"hands off": FINE, "wait": FINE}


NOBODY_KNOWS = (
    "nobody-answers",
    "source-silent",
    "gone-target-silent",
    "failed-target-silent",
    "nowhere",
    "unheard-of",
)


def print_proposal(proposal: Any) -> None:
    """What to do about a move, why, and what to type."""
    for reading in proposal.readings:
        people.print(f"  {reading}", soft_wrap=True)
    people.print(f"What to do: {proposal.action.value}. {proposal.why}", soft_wrap=True)
    for command in proposal.commands:
        people.print(f"  {command}", soft_wrap=True)


def print_left_behind(found: Sequence[Any] | None) -> None:
    """What stands on the end where the partition is not."""
    if found is None:
        people.print("Whether anything is left behind could not be told: not everybody could be asked.", style="yellow")
    elif not found:
        people.print("Nothing is left behind on the other end.")
    for one in found or ():
        people.print(f"left behind on {one.frame}: {one.what}", style="yellow")


def _request(
    context: click.Context, run_name: str, typed: str | None, what: str, ask: Callable[[Any, Run, str], str]
) -> int:
    """Ask the recorder, print the answer, and return the exit status that it means."""
    from lpmkit.runbook import Runbook, answer_to  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    if typed is None:
        typed = ask_person(f"Type the partition's name to {what} its migration")
    status, text = answer_to(book, run, ask(book, run, typed))
    people.print(
        f"{what}: {'done' if status == 0 else 'refused' if status is not None else 'no answer'}. {text}".strip(),
        markup=False,
    )
    people.print(f"`lpmkit attach {run.path}` shows what becomes of it.")
    return FINE if status == 0 else NOT_FINE if status is not None else COULD_NOT_TELL


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--confirm", "typed", metavar="NAME", help="The partition's name, typed; asked for when left out.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sign with this SSH key, or with the one of this .pub that the agent holds.",
)
@json_option
@click.pass_context
@told
def approve(context: click.Context, run_name: str, typed: str | None, key: Path | None, as_json: bool) -> None:
    """Approve the order of a prepared run, as another person than the one who will move it. It holds for this order only, and for a time."""
    from lpmkit.approvals import order_hash  # noqa: PLC0415
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(load_site(find_site_file(context.obj)))
    order = book.own_order(run)
    if typed is None:
        rows = [{"what": name, "": value} for name, value in asdict(order).items() if value]
        print_table(f"Prepared by {run.manifest.get('by', '?')}", [*rows, {"what": "hash", "": order_hash(run)}])
        typed = ask_person(f"Type the partition's name to approve its move as {book.person.login}")
    given = book.approve(run, typed, key=key)
    if as_json:
        say_json({"run": str(run.path), **given.as_data()})
    else:
        people.print(f"Approved by {given.by}{' and signed' if given.signed else ''}: {given.order_hash[:16]}")


COMMANDS = (
    move,
    home,
    attach,
    stop,
    recover,
    approve,
)
