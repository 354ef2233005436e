"""The commands that watch without a move, and those that work a record out: watch, analyse, report, predictions, alert."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lpmkit.commands.args import runbook_of
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    json_option,
    named_run,
    output_option,
    people,
    print_line,
    print_table,
    say_json,
    site_or_none,
    told,
)
from lpmkit.commands.progress import print_summary, report_and_leave, status_of_verdict
from lpmkit.config import PaceSettings, PartitionSettings
from lpmkit.errors import RecordError


@click.command()
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
    report_and_leave(run, as_json)


@click.command()
@click.argument("run_name", metavar="RUN")
@output_option
@json_option
@click.pass_context
@told
def analyse(context: click.Context, run_name: str, output: Path | None, as_json: bool) -> None:
    """Work out the suspension and the outages from a run folder, and write summary.json. Where it cannot be written the answer is printed all the same."""
    from lpmkit.analysis import analyse as work_out  # noqa: PLC0415
    from lpmkit.analysis import summary  # noqa: PLC0415
    from lpmkit.report.outputs import Outputs  # noqa: PLC0415
    from lpmkit.runs.folder import as_document  # noqa: PLC0415

    run = named_run(context, run_name)
    found = summary(work_out(run))
    to = Outputs(run, output)
    try:
        to.write(to.folder / "summary.json", as_document(found))
    except RecordError as error:
        print_line(f"not written: {error}", err=True)
    if as_json:
        say_json(found)
    else:
        print_summary(found)
    sys.exit(status_of_verdict(found))


@click.command()
@click.argument("run_name", metavar="RUN")
@output_option
@json_option
@click.pass_context
@told
def report(context: click.Context, run_name: str, output: Path | None, as_json: bool) -> None:
    """Write report.html, summary.json, the plots and samples.csv into a run folder, beside a report that is signed."""
    report_and_leave(named_run(context, run_name), as_json, output)


@click.command()
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
    from lpmkit.prediction.history import RELIABLE_HEADINGS, history, reliability  # noqa: PLC0415

    folder = folder or runbook_of(context).site.runs.folder
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


@click.command()
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
    from lpmkit.oracle.rules import LogRules  # noqa: PLC0415

    found = judge.examine(file, judge.LogWindow.asked(since, usual_h, zone), LogRules.standard(own_rules))
    if as_json:
        say_json({"file": str(file), **judge.as_dict(found)})
    else:
        print_post_mortem(found)
    sys.exit(NOT_FINE if found.judgement.verdict == "fail" else FINE)


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
        out.print(f"{one.event.when or 'time unknown'}  {one.meaning.value}  {one.event.headline}{client}")
    for when, witness in said.witnesses:
        out.print(f"{when or 'time unknown'}  {witness}")
    counts = found.counts
    out.print(
        f"{counts.lines} lines, {counts.events} events, {said.before} before the time asked for, {said.timeless} without a time. Read from byte {found.started_at} of {found.size}."
    )
    out.print(f"Verdict: {said.verdict}")


COMMANDS = (
    watch,
    analyse,
    report,
    predictions,
    alert,
)
