"""The command line. Every command parses, calls the library once, and prints.

Exit statuses: 0 fine; 1 not fine (a check failed, the firmware refused, the move did not succeed); 2 what was asked for cannot be; 3 could not
tell (a machine did not answer, something was not looked at, the record cannot be written); 130 interrupted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import lpmkit
from lpmkit import advice, paperwork, planning
from lpmkit.config import PaceSettings, PartitionSettings, RunSettings, Site, find_site_file, load_site
from lpmkit.control.codes import explain
from lpmkit.errors import UsageError
from lpmkit.run import Run
from lpmkit.terminal import (
    COULD_NOT_TELL,
    FINE,
    INTERRUPTED,
    MARKS,
    NOT_FINE,
    Command,
    json_option,
    named_run,
    people,
    print_table,
    say_json,
    site_or_none,
    told,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(lpmkit.__version__, prog_name="lpmkit")
@click.option("--site", "site_file", metavar="FILE", help="The site file; otherwise $LPMKIT_SITE or ./site.yaml.")
@click.pass_context
def main(context: click.Context, site_file: str | None) -> None:
    """Move a running partition with PowerVM Live Partition Mobility, and prove what its users felt.

    Exit status: 0 fine, 1 not fine, 2 cannot be, 3 could not tell.
    """
    context.obj = site_file


def _runbook(context: click.Context) -> Any:
    from lpmkit.runbook import Runbook  # noqa: PLC0415 - `lpmkit --help` should not load paramiko

    return Runbook(load_site(find_site_file(context.obj)))


def _order(book: Any, partition: str, target: str, source: str | None, keep_mapping: bool, asked: Sequence[str]) -> Any:
    """The order that the arguments mean; says what of a mapping cannot be kept."""
    said = dict(text.partition("=")[::2] for text in asked)
    if not all(name and value for name, value in said.items()):
        raise UsageError("--map takes NAME=VALUE", next_step="Such as --map shared_proc_pool_name=ORACLE.")
    order = book.order(partition, target, source=source, mapping=said)
    if not keep_mapping:
        return order
    order, kept = book.keep_mapping(order)
    for trouble in kept.troubles:
        click.echo(f"not kept: {trouble}", err=True)
    return order


def order_options(command: Command, *, target_needed: bool = True) -> Command:
    """--to TARGET [--from SOURCE] [--keep-mapping] [--map NAME=VALUE]…, the same everywhere."""
    for decorate in (
        click.option(
            "--map",
            "asked",
            metavar="NAME=VALUE",
            multiple=True,
            help="An attribute for migrlpar -i, such as dest_lpar_id=12; goes before --keep-mapping. May be repeated.",
        ),
        click.option(
            "--keep-mapping",
            is_flag=True,
            help="Say with -i where each adapter goes, so that the mapping stays (`lpmkit mapping` shows it).",
        ),
        click.option(
            "--from", "source", metavar="FRAME", help="Only needed when more than one frame lists the partition."
        ),
        click.option(
            "--to",
            "target",
            metavar="FRAME",
            required=target_needed,
            help="The target frame, as the site file calls it.",
        ),
    ):
        command = decorate(command)
    return command


def order_arguments(command: Command) -> Command:
    """PARTITION and the options of an order, the same everywhere."""
    return click.argument("partition")(order_options(command))


# -- looking -------------------------------------------------------------------------------------------------------------------


@main.command()
@order_arguments
@json_option
@click.pass_context
@told
def survey(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    as_json: bool,
) -> None:
    """Gather every fact about a move from both ends; changes nothing."""
    book = _runbook(context)
    run = book.prepare(_order(book, partition, target, source, keep_mapping, asked))
    found = book.survey(run)
    if as_json:
        say_json(found.to_dict())
    else:
        from lpmkit.mapping import as_row, lay_out  # noqa: PLC0415

        people.print(f"Facts about [b]{partition}[/b] and both ends are in {run.path / 'survey.json'}")
        print_table("What becomes of the mapping", [as_row(line) for line in lay_out(found, _record(run))])
        for gap in found.gaps:
            people.print(f"not looked at: {gap.what} on {gap.where}: {gap.why}", style="yellow")
    sys.exit(COULD_NOT_TELL if found.gaps else FINE)


def _record(run: Run) -> dict[str, str] | None:
    """The -i record of a run's order; None where the manager chooses."""
    return dict(run.manifest["order"]["mapping"]) or None


@main.command()
@order_arguments
@json_option
@click.pass_context
@told
def mapping(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    as_json: bool,
) -> None:
    """Show what serves the partition on both ends, what stays and what is renamed; changes nothing.

    Without --keep-mapping and --map: as the manager would choose. With them: as the record says that migrlpar -i would get.
    """
    from lpmkit.control.records import attribute_record  # noqa: PLC0415
    from lpmkit.mapping import LOST, UNKNOWN, as_row, lay_out  # noqa: PLC0415

    book = _runbook(context)
    run = book.prepare(_order(book, partition, target, source, keep_mapping, asked))
    found, record = book.survey(run), _record(run)
    lines = lay_out(found, record)
    if as_json:
        said = None if record is None else attribute_record(record)
        say_json({"run": str(run.path), "record": record, "i": said, "lines": [asdict(line) for line in lines]})
    else:
        print_table(f"{partition} on both ends", [as_row(line) for line in lines])
        if record is not None:
            people.print(f"migrlpar -i {shlex.quote(attribute_record(record))}", markup=False, soft_wrap=True)
        if (run.path / "profiles.txt").exists():
            people.print(f"Its profiles are kept in {run.path / 'profiles.txt'}")
    states = {line.state for line in lines}
    sys.exit(NOT_FINE if LOST in states else COULD_NOT_TELL if UNKNOWN in states else FINE)


@main.command()
@click.argument("partition", required=False)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Judge every partition of the frame that --from names, or of every frame that has a partner, and keep it.",
)
@partial(order_options, target_needed=False)
@json_option
@click.pass_context
@told
def check(
    context: click.Context,
    partition: str | None,
    target: str | None,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    every: bool,
    as_json: bool,
) -> None:
    """Judge every prerequisite of a move, and say how to mend what is missing; changes nothing.

    With --all instead of PARTITION: of every partition of the frame that --from names, or, without --from, of every frame that has a partner in
    the site file, in one pass; kept as JSON, CSV and HTML in checks/ of the folder of runs, with what changed since the last time. Exit status: 0
    ready, all of them with --all; 1 one is not ready; 3 none is, but of one it could not be told.
    """
    from lpmkit.checks import ready  # noqa: PLC0415
    from lpmkit.runbook import as_row  # noqa: PLC0415

    statuses = {"ready": FINE, "not ready": NOT_FINE, "could not tell": COULD_NOT_TELL}
    if every:
        if partition is not None or keep_mapping or asked or (target is not None and source is None):
            raise UsageError("--all judges whole frames", next_step="lpmkit check --all [--from FRAME [--to FRAME]]")
        sys.exit(statuses[advice.check_frames(context, source, target, as_json)])
    if partition is None:
        raise UsageError("no partition is named", next_step="Name one, or whole frames with --all.")
    if target is None:
        raise UsageError("no target is named", next_step="Name the target frame with --to.")
    book = _runbook(context)
    run = book.prepare(_order(book, partition, target, source, keep_mapping, asked))
    findings = book.check(run)
    if as_json:
        say_json({"run": str(run.path), "answer": ready(findings).value, "findings": [as_row(one) for one in findings]})
    else:
        print_findings(findings)
        people.print(f"Kept in {run.path}")
    sys.exit(statuses[ready(findings).value])


@main.command()
@order_arguments
@click.option(
    "--npiv-disks",
    "disks",
    is_flag=True,
    help="Have the I/O servers try every disk of virtual Fibre Channel, not its zoning only (--npivval portdisk, an HMC from V8R8.4.0).",
)
@json_option
@click.pass_context
@told
def validate(
    context: click.Context,
    partition: str,
    target: str,
    source: str | None,
    keep_mapping: bool,
    asked: Sequence[str],
    disks: bool,
    as_json: bool,
) -> None:
    """Ask the firmware whether the move would be accepted (migrlpar -o v); changes nothing."""
    book = _runbook(context)
    run = book.prepare(_order(book, partition, target, source, keep_mapping, asked))
    word = book.validate(run, disks=disks)
    if as_json:
        say_json({"run": str(run.path), **asdict(word), "explained": [asdict(one) for one in explain(word.text)]})
    else:
        print_validation(word)
        print_prediction(book.predict(run))
        people.print(f"Kept in {run.path}")
    sys.exit(FINE if word.passed else NOT_FINE if word.status is not None else COULD_NOT_TELL)


# -- moving --------------------------------------------------------------------------------------------------------------------


@main.command()
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
    run = book.prepare(_order(book, partition, target, source, keep_mapping, asked))
    if typed is None:
        typed = click.prompt(f"Type the partition's name to move it to {target}", err=True)
    book.move(run, typed)
    if detach:
        click.echo(str(run.path))
        sys.exit(FINE)
    _follow_and_report(book, run, as_json)


@main.command()
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
    from lpmkit.home import away, ledger  # noqa: PLC0415

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


@main.command()
@click.argument("run_name", metavar="RUN")
@json_option
@click.pass_context
@told
def attach(context: click.Context, run_name: str, as_json: bool) -> None:
    """Show a run that is being recorded; starts a new recorder when the old one died, never a second migration."""
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(Site.model_validate(run.manifest["site"]))
    if book.attach(run):
        people.print(
            "The recorder had died; a new one looks on. What was missed is recorded as not observed.", style="yellow"
        )
    _follow_and_report(book, run, as_json)


@main.command()
@click.argument("run_name", metavar="RUN")
@click.option("--confirm", "typed", metavar="NAME", help="The partition's name, typed; asked for when left out.")
@click.pass_context
@told
def stop(context: click.Context, run_name: str, typed: str | None) -> None:
    """Ask the source's manager to stop the migration; the partition stays where it is."""
    sys.exit(_request(context, run_name, typed, "stop", lambda book, run, name: book.stop(run, name)))


@main.command()
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
    book = Runbook(Site.model_validate(run.manifest["site"]))
    proposal = book.way_out(run)
    print_proposal(proposal)
    if only_look:
        print_left_behind(book.left_behind(run))
        sys.exit(
            STATUS_OF_WAY.get(proposal.way.value, NOT_FINE) if proposal.rule not in NOBODY_KNOWS else COULD_NOT_TELL
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
    for said in proposal.said:
        people.print(f"  {said}", markup=False, soft_wrap=True)
    people.print(f"What to do: {proposal.way.value}. {proposal.why}", markup=False, soft_wrap=True)
    for command in proposal.commands:
        people.print(f"  {command}", markup=False, soft_wrap=True)


def print_left_behind(found: Sequence[Any] | None) -> None:
    """What stands on the end where the partition is not."""
    if found is None:
        people.print("Whether anything is left behind could not be told: not everybody could be asked.", style="yellow")
    elif not found:
        people.print("Nothing is left behind on the other end.")
    for one in found or ():
        people.print(f"left behind on {one.frame}: {one.what}", markup=False, style="yellow")


def _request(
    context: click.Context, run_name: str, typed: str | None, what: str, ask: Callable[[Any, Run, str], None]
) -> int:
    """Ask the recorder, print the answer, and return the exit status that it means."""
    from lpmkit.runbook import Runbook, answer_to  # noqa: PLC0415

    run = named_run(context, run_name)
    book = Runbook(Site.model_validate(run.manifest["site"]))
    if typed is None:
        typed = click.prompt(f"Type the partition's name to {what} its migration", err=True)
    before = len(run.events())
    ask(book, run, typed)
    status, text = answer_to(book, run, what, before)
    people.print(
        f"{what}: {'done' if status == 0 else 'refused' if status is not None else 'no answer'}. {text}".strip(),
        markup=False,
    )
    people.print(f"`lpmkit attach {run.path}` shows what becomes of it.")
    return FINE if status == 0 else NOT_FINE if status is not None else COULD_NOT_TELL


# -- watching ------------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@click.option(
    "--for", "duration_s", type=float, metavar="SECONDS", help="End by itself after so long; otherwise with Ctrl-C."
)
@click.option(
    "--hz",
    "tick_hz",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Ticks a second from inside each host.",
)
@click.option(
    "--runs", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the run folder is made."
)
@click.option(
    "--ssh-config", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Instead of ~/.ssh/config."
)
@json_option
@click.pass_context
@told
def watch(
    context: click.Context,
    hosts: Sequence[str],
    duration_s: float | None,
    tick_hz: int,
    folder: Path | None,
    ssh_config: Path | None,
    as_json: bool,
) -> None:
    """Watch any hosts you can log in to, without a move: for moves that somebody starts elsewhere."""
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    book = Runbook(site_or_none(context, folder, ssh_config))
    settings = (
        None
        if any(host in book.site.partitions for host in hosts)
        else PartitionSettings(host=hosts[0], watch=PaceSettings(tick_hz=tick_hz))
    )
    run = book.watch(hosts, duration_s=duration_s, settings=settings)
    people.print(f"Recording in {run.path}" + ("" if duration_s else "; Ctrl-C ends it"))
    try:
        for _ in book.follow(run):
            pass
    except KeyboardInterrupt:
        book.end(run)
        for _ in book.follow(run):
            pass
    _report_and_leave(run, as_json)


# -- afterwards ----------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("run_name", metavar="RUN")
@json_option
@click.pass_context
@told
def analyse(context: click.Context, run_name: str, as_json: bool) -> None:
    """Work out the suspension and the outages from a run folder, and write summary.json."""
    from lpmkit.analysis import analyse as work_out  # noqa: PLC0415
    from lpmkit.analysis import summary, write_summary  # noqa: PLC0415

    run = named_run(context, run_name)
    worked_out = work_out(run)
    write_summary(run.path)
    found = summary(worked_out)
    if as_json:
        say_json(found)
    else:
        print_summary(found)
    sys.exit(status_of_verdict(found))


@main.command()
@click.argument("run_name", metavar="RUN")
@json_option
@click.pass_context
@told
def report(context: click.Context, run_name: str, as_json: bool) -> None:
    """Write report.html, summary.json, the plots and samples.csv into a run folder."""
    _report_and_leave(named_run(context, run_name), as_json)


@main.command()
@click.option(
    "--runs", "folder", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Instead of the site's."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw every prediction into this file (.svg, .png, .pdf).",
)
@json_option
@click.pass_context
@told
def predictions(context: click.Context, folder: Path | None, plot: Path | None, as_json: bool) -> None:
    """Say how well past predictions held: what they claimed beside what happened, over the site's runs."""
    from lpmkit.prediction.experience import RELIABLE_HEADINGS, history, reliability  # noqa: PLC0415

    folder = folder or _runbook(context).site.runs.folder
    past = history(folder)
    found = reliability(past)
    if plot and found:
        from lpmkit.prediction.pictures import save_reliability  # noqa: PLC0415

        save_reliability(past, plot)
    if as_json:
        say_json({"runs": str(folder), "moves": len(past), "figures": [asdict(one) for one in found]})
    elif found:
        print_table(
            f"Past moves in {folder}: {len(past)}",
            [dict(zip(RELIABLE_HEADINGS, one.words(), strict=True)) for one in found],
        )
        people.print("Few moves say little: in brackets is what the part may really be, with 95 % certainty.")
    else:
        people.print(
            f"No move in {folder} was predicted and has ended well, so there is nothing to hold predictions against."
        )
    sys.exit(FINE if found else COULD_NOT_TELL)


@main.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--since",
    metavar="TIME",
    help="Only what came at or after it, such as 2008-08-08T20:14; without a zone it is the log's own clock.",
)
@click.option(
    "--usual",
    "usual_h",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="HOURS",
    help="How long before --since says what is usual.",
)
@click.option(
    "--zone", metavar="NAME", help="The database host's zone, such as Europe/Berlin, for a log without zones."
)
@click.option(
    "--rules",
    "own_rules",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The site's own rules, asked before lpmkit's.",
)
@json_option
@told
def alert(
    file: Path, since: str | None, usual_h: float, zone: str | None, own_rules: Path | None, as_json: bool
) -> None:
    """Read an Oracle alert log (text or log.xml, any release) and say what in it speaks against a move; changes nothing."""
    from lpmkit.oracle import judge  # noqa: PLC0415
    from lpmkit.oracle.classify import Rules  # noqa: PLC0415

    found = judge.examine(file, judge.Window.asked(since, usual_h, zone), Rules.standard(own_rules))
    if as_json:
        say_json({"file": str(file), **judge.as_dict(found)})
    else:
        print_post_mortem(found)
    sys.exit(NOT_FINE if found.judgement.verdict == "fail" else FINE)


# -- trying and fitting out ----------------------------------------------------------------------------------------------------


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: Sequence[str]) -> NoReturn:
    """Run the simulated pair of blades and its partition, to log in to with ssh (`lpmkit simulate --help`)."""
    # A program of its own: lpmkit knows nothing of it but its name.
    os.execv(sys.executable, [sys.executable, "-m", "lpmkit.simulator", *arguments])  # noqa: S606


@main.command()
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1),
    default=8.0,
    show_default=True,
    help="Shortens the copy, never the suspension.",
)
@json_option
@told
def demo(directory: Path, speed: float, as_json: bool) -> None:
    """Rehearse the whole guided move on the simulator, without a person, and leave a report to look at."""
    from lpmkit.checks import ready  # noqa: PLC0415
    from lpmkit.rehearsal import Rehearsal  # noqa: PLC0415
    from lpmkit.runbook import Runbook  # noqa: PLC0415

    tell = Console(stderr=as_json, highlight=False)
    tell.print(
        "Starting two simulated JS22 blades, [b]bvio82[/b] and [b]bvio83[/b], and the partition [b]bxaix85[/b] …"
    )
    with Rehearsal(directory.resolve() / "simulator", speed=speed) as rehearsal:
        runs = RunSettings(folder=directory.resolve() / "runs", lead_in_s=8.0, tail_s=6.0, poll_s=0.5)
        book = Runbook(rehearsal.site.model_copy(update={"runs": runs}))
        run = book.prepare(book.order("bxaix85", "bvio83"))
        findings = book.check(run)
        print_findings(findings, tell, only_trouble=True)
        word = book.validate(run)
        print_validation(word, tell)
        print_prediction(book.predict(run), tell)
        if ready(findings).value == "not ready" or not word.passed:
            sys.exit(NOT_FINE)
        tell.print("Typing the partition's name for you: [b]bxaix85[/b]. It moves now; the probes are running.")
        book.move(run, "bxaix85")
        _follow(book, run, tell)
    tell.print("The same guided in a notebook: [b]make lab[/b], then 00_rehearse_on_the_simulator.ipynb")
    _report_and_leave(run, as_json)


@main.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lab"),
    show_default=True,
    help="Where the dated copies go.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@told
def lab(context: click.Context, directory: Path, no_browser: bool, jupyter_options: Sequence[str]) -> None:
    """Open JupyterLab on a dated copy of the notebooks, which its launcher has as cards; the models stay as they are."""
    from lpmkit.notebooks import copy_models  # noqa: PLC0415

    folder = copy_models(directory)
    environment = dict(os.environ)
    try:
        environment["LPMKIT_SITE"] = str(find_site_file(context.obj).resolve())
    except UsageError as error:
        if context.obj:
            raise
        people.print(f"No site file yet ({error.what}): the rehearsal needs none.")
    people.print(f"The notebooks are copied to {folder}")
    cards = Path(__file__).parent / "templates" / "jupyter" / "labextensions"
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.extra_labextensions_path={cards}", *jupyter_options]
    if no_browser:
        command.append("--no-browser")
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 - JupyterLab, with the operator's options


@main.command("app", context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.argument("voila_options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@told
def app(context: click.Context, port: int, no_browser: bool, voila_options: Sequence[str]) -> None:
    """Serve the guided move, its verification and its history as pages without code, on this machine only (Voilà)."""
    from lpmkit.notebooks import write_application  # noqa: PLC0415

    site = find_site_file(context.obj).resolve()
    templates = str(Path(__file__).parent / "templates" / "jupyter")
    found = [templates, *filter(None, [os.environ.get("JUPYTER_PATH")])]
    environment = {**os.environ, "LPMKIT_SITE": str(site), "JUPYTER_PATH": os.pathsep.join(found)}
    with tempfile.TemporaryDirectory(prefix="lpmkit-app-") as folder:
        notebook = write_application(Path(folder))
        command = [
            sys.executable,
            "-m",
            "voila",
            str(notebook),
            f"--port={port}",
            "--Voila.ip=127.0.0.1",
            "--template=lpmkit",
            *voila_options,
        ]
        command += ["--no-browser"] if no_browser else []
        people.print(f"http://127.0.0.1:{port}/ for {site}")
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603 - Voilà, with the operator's options


@main.command()
@json_option
@click.pass_context
@told
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is missing here: packages, programs, the SSH agent, the site file, machines that cannot be reached."""
    from lpmkit.doctor import examine_machine  # noqa: PLC0415

    rows = examine_machine(context.obj)
    if as_json:
        say_json([asdict(row) for row in rows])
    else:
        print_table(
            "", [{"": MARKS[row.verdict], "what": row.what, "found": row.found, "next": row.next_step} for row in rows]
        )
    verdicts = {row.verdict for row in rows}
    sys.exit(NOT_FINE if "fail" in verdicts else COULD_NOT_TELL if "unknown" in verdicts else FINE)


# -- printing ------------------------------------------------------------------------------------------------------------------


def print_findings(findings: Sequence[Any], console: Console | None = None, *, only_trouble: bool = False) -> None:
    """The findings as a table: verdict, what, facts, remedy, who."""
    shown = [one for one in findings if one.verdict.value != "pass"] if only_trouble else findings
    rows = [
        {
            "": MARKS[one.verdict.value],
            "check": one.title,
            "about": one.about,
            "facts": ", ".join(f"{key}: {value}" for key, value in one.facts.items()),
            "remedy": f"{one.remedy} ({one.who})" if one.remedy and one.verdict.value != "pass" else "",
        }
        for one in shown
        if not one.only_firmware
    ]
    alone = [one.title for one in findings if one.only_firmware]
    count = sum(one.verdict.value == "pass" for one in findings)
    (console or people).print(f"{count} of {len(findings)} checks pass.")
    print_table("", rows, console)
    if alone:
        said = "; ".join(dict.fromkeys(alone))
        (console or people).print(f"Only the firmware's validation can tell (lpmkit validate): {said}.", markup=False)


def print_post_mortem(found: Any, console: Console | None = None) -> None:
    """What an alert log says: counts by rule, the events behind them, the verdict."""
    out, said = console or people, found.judgement
    rows = [
        {
            "": MARKS.get(tally.meaning.value, tally.meaning.value),
            "rule": tally.key,
            "count": tally.count,
            "first": tally.first,
            "last": tally.last,
            "because": tally.reason,
        }
        for tally in said.tallies
    ]
    print_table("", rows, out)
    for one in said.notable:
        client = f" {one.client}" if one.client else ""
        out.print(
            f"{one.event.when or 'time unknown'}  {one.meaning.value}  {one.event.headline}{client}", markup=False
        )
    for when, witness in said.witnesses:
        out.print(f"{when or 'time unknown'}  {witness}", markup=False)
    counts = found.counts
    out.print(
        f"{counts.lines} lines, {counts.events} events, {said.before} before the time asked for, {said.timeless} without a time. Read from byte {found.started_at} of {found.size}."
    )
    out.print(f"Verdict: {said.verdict}")


def print_validation(word: Any, console: Console | None = None) -> None:
    """The firmware's word."""
    if word.passed:
        (console or people).print(
            "The firmware's validation [green]passed[/green]." + (f" It says: {word.text}" if word.text else "")
        )
    else:
        (console or people).print("The firmware's validation [red]refused[/red] the move:")
        (console or people).print(word.text or "(it says nothing)", markup=False)
    for one in explain(word.text):
        (console or people).print(f"  {one.sentences()}", markup=False)


def print_prediction(said: Any, console: Console | None = None) -> None:
    """What to expect of the move."""
    if said is not None:
        (console or people).print(f"Expected: {said.sentence()}.", markup=False)


def print_summary(found: dict[str, Any], console: Console | None = None) -> None:
    """Verdict and figures, as they stand at the top of the report."""
    out = console or people
    verdict = found["verdict"]
    out.print(f"[b]{verdict['line']}[/b]")
    for row in verdict["questions"]:
        out.print(f"  {row['state']:>14}  {row['question']}: {row['answer']}", markup=False)


def status_of_verdict(found: dict[str, Any]) -> int:
    """The exit status that a verdict ends with."""
    return {"passed": FINE, "failed": NOT_FINE}.get(found["verdict"]["state"], COULD_NOT_TELL)


def _follow(book: Any, run: Run, console: Console) -> None:
    """Show the move as a progress bar until it is over."""
    from lpmkit.move import Phase  # noqa: PLC0415

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    told_of: set[str] = set()
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("prepared", total=1.0, said="")
        for now in book.follow(run):
            for trouble in now.trouble:
                if trouble not in told_of:
                    told_of.add(trouble)
                    console.print(trouble, style="yellow", markup=False)
            done = 1.0 if now.phase in (Phase.SETTLED, Phase.SWITCHED) else now.progress.fraction
            bar.update(
                task, completed=done, description=str(now.phase.value if now.phase else "watching"), said=_said(now)
            )


def _said(now: Any) -> str:
    if now.lead_in_left_s:
        return f"quiet lead-in, {now.lead_in_left_s:.0f} s to go"
    copied = now.progress
    if copied.transmitted is None:
        return ""
    text = f"{copied.transmitted / 1e6:,.0f} MB sent, {(copied.left or 0) / 1e6:,.0f} MB left, pass {copied.rounds}"
    if copied.remaining_s is not None and not now.phase.is_final:
        text += f", about {copied.remaining_s:.0f} s"
    return text


def _follow_and_report(book: Any, run: Run, as_json: bool) -> NoReturn:
    console = Console(stderr=as_json, highlight=False)
    try:
        _follow(book, run, console)
    except KeyboardInterrupt:
        console.print(f"\nThe recorder goes on without us. `lpmkit attach {run.path}` shows it again.")
        sys.exit(INTERRUPTED)
    _report_and_leave(run, as_json)


def _report_and_leave(run: Run, as_json: bool) -> NoReturn:
    from lpmkit.report import write_report  # noqa: PLC0415

    console = Console(stderr=as_json, highlight=False)
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


for _command in (*advice.COMMANDS, *planning.COMMANDS, *paperwork.COMMANDS):
    main.add_command(_command)
for _command in main.commands.values():
    # Each by itself too: click keeps the help option of the first time that a command is shown.
    _command.context_settings.setdefault("help_option_names", main.context_settings["help_option_names"])

if __name__ == "__main__":
    main()
