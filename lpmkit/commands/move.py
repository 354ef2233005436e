"""The commands that move a partition: move, home, attach, stop, recover, approve."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpmkit.commands import candidates
from lpmkit.commands.args import MoveArguments, confirm_option, newest_run_argument, order_arguments, run_argument
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    DONE_OPEN,
    FINE,
    NOT_FINE,
    Command,
    ask_person,
    exchange_runs,
    json_option,
    named_run,
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
)
from lpmkit.commands.progress import follow_and_report
from lpmkit.commands.survey import NEXT_MOVE, print_findings, validate
from lpmkit.json_values import JsonObject

if TYPE_CHECKING:
    from rich.console import Console

    from lpmkit.migration.leftovers import Leftovers
    from lpmkit.migration.recovery import Proposal
    from lpmkit.runbook import Runbook
    from lpmkit.runs.away import Away
    from lpmkit.runs.folder import Run


def recording_options(command: Command) -> Command:
    """The options of a recording: --lead-in, --tail, --detach."""
    for decorate in (
        click.option(
            "--detach", is_flag=True, help="Return once the recorder runs; `lpmkit attach RUN` shows the move."
        ),
        click.option("--tail", "tail_s", type=float, metavar="SECONDS", help="Recording after the move (2 to 3600)."),
        click.option(
            "--lead-in", "lead_in_s", type=float, metavar="SECONDS", help="Baseline before the move (2 to 3600)."
        ),
    ):
        command = decorate(command)
    return command


@click.command()
@order_arguments
@confirm_option
@click.option(
    "--wait",
    "waits",
    is_flag=True,
    help="Wait here until the change window begins, then check and validate again. Ctrl-C ends the waiting.",
)
@recording_options
@json_option
@click.pass_context
@reports_errors
def move(
    context: click.Context,
    wanted: MoveArguments,
    typed: str | None,
    lead_in_s: float | None,
    tail_s: float | None,
    detach: bool,
    as_json: bool,
    waits: bool = False,
) -> None:
    """Move the partition. Needs a recent validation that passed (`lpmkit validate`) and the partition's name as
    confirmation.
    """
    from lpmkit.runbook import Runbook

    book = Runbook(site_of(context)).with_times(lead_in_s=lead_in_s, tail_s=tail_s)
    book.require_secrets(wanted.names()[0])
    order = wanted.order(book)
    run = book.prepare(order)
    if waits:
        if book.opens_in_s(order) > 0.0:
            print_line(f"Waiting for the change window: {book.limits_of(order).window.sentence()}", err=True)
        book.wait_for_window(run)
    if typed is None:
        typed = confirmed(book, run)
    book.move(run, typed)
    if detach:
        tell_started("run", run.path, as_json)
        sys.exit(FINE)
    follow_and_report(book, run, as_json)


def confirmed(book: Runbook, run: Run) -> str:
    """Show what the move does and rests on, and ask for the partition's name; raises what forbids it first."""
    from lpmkit.board.confirm import move_summary
    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.wording.words import words_of

    book.may_begin(run)
    book.refuse_second_move(run)
    approvals = book.require_approvals(run)
    if run.document("findings") is None:
        book.check(run)
    words = words_of(book.site.language)
    for name, text in move_summary(run, approvals, words):
        print_item(name, text, console=Terminal(stderr=True))
    return ask_person(words.said(f"Type {book.order_of(run).partition} to move it"))


@click.command()
@click.argument("partition", required=False, shell_complete=candidates.partitions)
@click.option(
    "--confirm",
    "typed",
    metavar="NAME",
    help="The partition's name as confirmation: move it home. Without it the move is only validated.",
)
@click.option("--keep-mapping", is_flag=True, help="Keep the current mapping of adapters and disks.")
@recording_options
@json_option
@click.pass_context
@reports_errors
def home(
    context: click.Context,
    partition: str | None,
    typed: str | None,
    keep_mapping: bool,
    lead_in_s: float | None,
    tail_s: float | None,
    detach: bool,
    as_json: bool,
) -> None:
    """List the partitions that are not on their home frame, since when and under which change. With PARTITION: check
    and validate the move home, or make it.
    """
    from lpmkit.runs.away import away, ledger

    site = site_of(context)
    folder = site.runs.folder
    exchange_runs(site)
    if partition is None:
        stays = ledger(folder) if folder.is_dir() else []
        if as_json:
            print_json([asdict(stay) for stay in stays])
            return
        print_table("Not on their home frame", [stay.as_row() for stay in stays])
        if not stays:
            terminal().print("All partitions moved by lpmkit are on their home frames.")
        return
    stay = away(folder, partition)
    back = {
        "partition": stay.partition,
        "target": stay.home,
        "source": stay.now_on,
        "keep_mapping": keep_mapping,
        "as_json": as_json,
    }
    if typed is None:
        if not as_json:
            _check_way_home(context, stay, keep_mapping)
        kept = " --keep-mapping" if keep_mapping else ""
        context.meta[NEXT_MOVE] = f"lpmkit home {stay.partition} --confirm {stay.partition}{kept}"
        context.invoke(validate, **back)
    else:
        context.invoke(move, **back, typed=typed, lead_in_s=lead_in_s, tail_s=tail_s, detach=detach)


def _check_way_home(context: click.Context, stay: Away, keep_mapping: bool) -> None:
    """Print the checks of a move home."""
    from lpmkit.runbook import Runbook

    book = Runbook(site_of(context))
    wanted = MoveArguments(stay.partition, stay.home, stay.now_on, keep_mapping, ())
    print_findings(book.check(book.prepare(wanted.order(book))))


@click.command()
@newest_run_argument
@json_option
@click.pass_context
@reports_errors
def attach(context: click.Context, run_name: str | None, as_json: bool) -> None:
    """Show a running move. Restarts the recorder if it died, and logs in again to a manager that refused it; never
    starts a second migration.

    Without RUN: the run that is recorded now, else the newest.
    """
    from lpmkit.runbook import Runbook

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    if book.attach(run):
        people(as_json).print('Recorder restarted. The gap is marked "not observed".', style="yellow")
    for frame in book.log_in_again(run):
        people(as_json).print(f"Logged in to the manager of {frame}; the recorder asks it again.")
    follow_and_report(book, run, as_json)


@click.command()
@run_argument
@confirm_option
@json_option
@click.pass_context
@reports_errors
def stop(context: click.Context, run_name: str, typed: str | None, as_json: bool) -> None:
    """Stop the migration on the source; the partition stays there."""
    out = people(as_json)
    status, facts = _request(context, run_name, typed, "stop", lambda book, run, name: book.stop(run, name), out)
    if as_json:
        print_json(facts)
    sys.exit(status)


@click.command()
@run_argument
@confirm_option
@click.option("--force", is_flag=True, help="Continue despite errors (last resort).")
@click.option(
    "--look",
    "only_look",
    is_flag=True,
    help="Only show the state of both frames and the recommended action. Changes nothing.",
)
@json_option
@click.pass_context
@reports_errors
def recover(
    context: click.Context, run_name: str, typed: str | None, force: bool, only_look: bool, as_json: bool
) -> None:
    """Recover an interrupted migration (migrlpar -o r).

    Shows first the state of both frames and the recommended action: none, wait, stop, recover, recover with force or
    activate.
    """
    from lpmkit.runbook import Runbook
    from lpmkit.wording.words import words_of

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    out, proposal, said = people(as_json), book.way_out(run), words_of(book.site.language).said
    print_proposal(proposal, out, said)
    facts: JsonObject = {"run": str(run.path), "proposal": {**asdict(proposal), "action": proposal.action.value}}
    leftovers: Leftovers | None = None
    if only_look:
        status = STATUS_OF_WAY.get(proposal.action.value, NOT_FINE)
        status = COULD_NOT_TELL if proposal.rule in NOBODY_KNOWS else status
    else:
        book.may_recover(run, proposal)
        status, answer = _request(
            context, run_name, typed, "recover", lambda book, run, name: book.recover(run, name, force=force), out
        )
        facts |= answer
    if only_look or status == FINE:
        leftovers = book.left_behind(run)
        print_left_behind(leftovers, proposal, out, said)
    if not only_look and status == FINE and leftovers is None:
        status = DONE_OPEN
    if as_json:
        left = None if leftovers is None else [asdict(leftover) for leftover in leftovers.things]
        print_json({**facts, "left_behind": left, "complete": status in (FINE, NOT_FINE)})
    sys.exit(status)


#: Exit statuses of a look at a run: 0 no action needed, 1 an action is recommended, 3 the state is not known.
STATUS_OF_WAY = {"hands off": FINE, "wait": FINE}


NOBODY_KNOWS = (
    "nobody-answers",
    "source-silent",
    "gone-target-silent",
    "failed-target-silent",
    "nowhere",
    "down-unconfirmed",
    "unheard-of",
)


def print_proposal(proposal: Proposal, out: Console, said: Callable[[str], str]) -> None:
    """Print the state of both frames, the recommended action, its reason and the commands."""
    for reading in proposal.readings:
        out.print(f"  {said(reading)}", soft_wrap=True)
    out.print(said(f"Recommended action: {proposal.action.words}. {proposal.why}"), soft_wrap=True)
    for position, command in enumerate(proposal.commands):
        if position:  # two commands one below the other read as two steps
            out.print(said("Or the same without lpmkit, typed at the manager of the source:"), soft_wrap=True)
        out.print(f"  {command}", soft_wrap=True)


def print_left_behind(
    leftovers: Leftovers | None, proposal: Proposal, out: Console, said: Callable[[str], str]
) -> None:
    """Print what is on the frame where the partition is not, and what becomes of it by the proposal that was made
    before; `None` if that is not known.
    """
    if leftovers is None:
        out.print(said("Leftovers: unknown. At least one frame did not answer."), style="yellow")
        return
    for line in leftovers.lines(proposal):
        out.print(said(line), style="yellow" if leftovers.things else None, soft_wrap=True)


def _request(
    context: click.Context,
    run_name: str,
    typed: str | None,
    what: str,
    ask: Callable[[Runbook, Run, str], str],
    out: Console,
) -> tuple[int, JsonObject]:
    """Send the request to the recorder, print the answer; returns the exit status and the answer as JSON values."""
    from lpmkit.runbook import ANSWER_TIMEOUT_S, Runbook, answer_to

    run = named_run(context, run_name)
    book = Runbook(site_or_none(context))
    if typed is None:
        book.own_order(run)
        if what == "stop":
            book.may_stop(run)
        typed = _name_for(run, what, book.site.language)
    request = ask(book, run, typed)
    out.print(
        f"Waiting for the recorder's answer, at most {ANSWER_TIMEOUT_S / 60:g} minutes. "
        "Ctrl-C ends the waiting, not the request.",
        soft_wrap=True,
    )
    status, text = answer_to(book, run, request)
    word = "accepted by the manager" if what == "recover" else "done"
    out.print(
        f"{what}: {word if status == 0 else 'refused' if status is not None else 'no answer'}. {text}".strip(),
        markup=False,
    )
    if what == "recover" and status == 0:
        out.print(
            f"`lpmkit recover {run.path} --look` shows where {typed} runs; wait for 'none'.",
            markup=False,
            soft_wrap=True,
        )
    out.print(f"`lpmkit attach {run.path}` shows the progress.")
    facts: JsonObject = {"run": str(run.path), "request": what, "status": status, "text": text}
    return FINE if status == 0 else NOT_FINE if status is not None else COULD_NOT_TELL, facts


def _name_for(run: Run, what: str, language: str) -> str:
    """Show the state of the run and what the request does, and ask for the partition's name."""
    from lpmkit.board.confirm import REQUESTS
    from lpmkit.board.follow import board_of
    from lpmkit.wording.words import words_of

    banner, words = board_of(run, language=language).banner, words_of(language)
    for line in (f"{banner.title}. {banner.sentence}", words.said(REQUESTS[what])):
        print_line(line, err=True)
    return ask_person(words.said(f"Type the partition's name to {what} the migration"))


@click.command()
@run_argument
@confirm_option
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sign with this SSH key, or with the one of this .pub that the agent holds.",
)
@json_option
@click.pass_context
@reports_errors
def approve(context: click.Context, run_name: str, typed: str | None, key: Path | None, as_json: bool) -> None:
    """Approve a prepared move as a second person. The approval covers this order only and expires."""
    from lpmkit.runbook import Runbook
    from lpmkit.runs.approvals import order_hash, require_unmoved

    run = named_run(context, run_name)
    book = Runbook(site_of(context))
    order = book.own_order(run)
    require_unmoved(run)
    if typed is None:
        rows = [{"what": name.replace("_", " "), "": value} for name, value in asdict(order).items() if value]
        rows.append({"what": "hash", "": order_hash(run)})
        print_table(f"Prepared by {run.manifest.get('by', '?')}", rows, people(as_json))
        typed = ask_person(f"Type the partition's name to approve the move as {book.person.login}")
    given = book.approve(run, typed, key=key)
    exchange_runs(book.site)
    if as_json:
        print_json({"run": str(run.path), **given.as_data()})
    else:
        terminal().print(f"Approved by {given.by}{' and signed' if given.signed else ''}: {given.order_hash[:16]}")


COMMANDS = (
    move,
    home,
    attach,
    stop,
    recover,
    approve,
)
