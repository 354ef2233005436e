"""The commands that record without a move or evaluate a record: watch, analyse, report, predictions, alert."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from lpmkit.commands import candidates
from lpmkit.commands.args import newest_run_argument, run_argument, runbook_of
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    json_option,
    named_run,
    output_option,
    people,
    print_json,
    print_line,
    print_table,
    reports_errors,
    site_or_none,
    terminal,
)
from lpmkit.commands.progress import is_complete, print_summary, report_and_leave, status_of_verdict
from lpmkit.errors import RecordError

if TYPE_CHECKING:
    from rich.console import Console

    from lpmkit.oracle.judge import PostMortem
    from lpmkit.runbook import Runbook
    from lpmkit.runs.folder import Run


@click.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True, shell_complete=candidates.hosts)
@click.option("--for", "duration_s", type=float, metavar="SECONDS", help="Duration; without it, until Ctrl-C.")
@click.option(
    "--hz",
    "tick_hz",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Ticks per second in each host.",
)
@click.option("--runs", "folder", type=click.Path(file_okay=False, path_type=Path), help="Parent of the run folder.")
@click.option(
    "--ssh-config",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="OpenSSH configuration; default: ~/.ssh/config.",
)
@click.option(
    "--from",
    "places",
    metavar="PLACE,...",
    help="Record from these places, each by its worker, instead of from this host.",
)
@click.option("--share", is_flag=True, help="With --from: each host from one of the places only, shared out evenly.")
@json_option
@click.pass_context
@reports_errors
def watch(
    context: click.Context,
    hosts: Sequence[str],
    duration_s: float | None,
    tick_hz: int,
    folder: Path | None,
    ssh_config: Path | None,
    places: str | None,
    share: bool,
    as_json: bool,
) -> None:
    """Record any hosts with an SSH login, for moves that are started elsewhere.

    With --from the hosts are partitions of the site file, and each place writes a run folder of its own.
    """
    from lpmkit.config import PaceSettings, PartitionSettings
    from lpmkit.errors import UsageError
    from lpmkit.runbook import Runbook

    book = Runbook(site_or_none(context, folder, ssh_config))
    if share and places is None:
        raise UsageError("--share needs places", next_step="Name them with --from PLACE,...")
    if places is not None:
        _watch_from(book, hosts, places, share=share, duration_s=duration_s, as_json=as_json)
    settings = (
        None
        if any(host in book.site.partitions for host in hosts)
        else PartitionSettings(host=hosts[0], watch=PaceSettings(tick_hz=tick_hz))
    )
    run = book.watch(hosts, duration_s=duration_s, settings=settings)
    people(as_json).print(f"Recording in {run.path}" + ("" if duration_s else "; Ctrl-C ends it"))
    try:
        for _ in book.follow(run):
            pass
    except KeyboardInterrupt:
        book.end(run)
        for _ in book.follow(run):
            pass
    report_and_leave(run, as_json, language=book.site.language)


def _watch_from(
    book: Runbook, hosts: Sequence[str], places: str, *, share: bool, duration_s: float | None, as_json: bool
) -> NoReturn:
    """Watch from several places until all are over, then report each and exit with the worst status."""
    from lpmkit.analysis import analyse as work_out
    from lpmkit.analysis import summary
    from lpmkit.plan.observing import ask_to_end, watch_from
    from lpmkit.report.page import write_report
    from lpmkit.runs.folder import Run

    names = tuple(dict.fromkeys(name.strip() for name in places.split(",") if name.strip()))
    told = watch_from(book, tuple(dict.fromkeys(hosts)), names, share=share, duration_s=duration_s)
    out = people(as_json)
    for one in told:
        text = f"not observed from {one.place}: {one.why}" if one.why else f"{one.place}: recording in {one.run}"
        out.print(text, style="yellow" if one.why else None, soft_wrap=True, markup=False)
    runs = {one.place: Run(book.site.runs.folder / one.run) for one in told if one.run}
    try:
        out.print("Recording" + ("" if duration_s else "; Ctrl-C ends it"))
        _until_over(book, [runs[one.place] for one in told if not one.why])
    except KeyboardInterrupt:
        for run in runs.values():
            ask_to_end(run, book.clock, book.person.login)
        _until_over(book, [runs[one.place] for one in told if not one.why])
    rows, missing = [], {one.place: one.why for one in told if one.why}
    for place, run in runs.items():
        if place in missing:
            continue
        found = summary(work_out(run))
        page = write_report(run.path, language=book.site.language)
        rows.append({"place": place, "run": str(run.path), "report": str(page), "hosts": run.manifest["hosts"],
                     "state": found["verdict"]["state"], "line": found["verdict"]["line"]})  # fmt: skip
        out.print(f"{place}: {found['verdict']['line']}\n  {page}", soft_wrap=True, markup=False)
    if as_json:
        print_json({"watches": rows, "not_observed": missing})
    states = {row["state"] for row in rows}
    sys.exit(NOT_FINE if "failed" in states else FINE if states == {"passed"} and not missing else COULD_NOT_TELL)


def _until_over(book: Runbook, runs: Sequence[Run]) -> None:
    for run in runs:
        for _ in book.follow(run):
            pass


@click.command()
@run_argument
@output_option
@json_option
@click.pass_context
@reports_errors
def analyse(context: click.Context, run_name: str, output: Path | None, as_json: bool) -> None:
    """Analyse a run folder: suspension and outages; write summary.json. The result is printed even if it cannot be
    written.
    """
    from lpmkit.analysis import analyse as work_out
    from lpmkit.analysis import headline, summary
    from lpmkit.report.outputs import Outputs
    from lpmkit.runs.folder import as_document
    from lpmkit.wording.words import words_of

    run = named_run(context, run_name)
    found = work_out(run)
    figures = summary(found)
    to = Outputs(run, output)
    try:
        to.write(to.folder / "summary.json", as_document(figures))
    except RecordError as error:
        print_line(f"not written: {error}", err=True)
    if as_json:
        print_json({**figures, "complete": is_complete(figures)})
    else:
        words = words_of(site_or_none(context).language)
        line = headline(found.verdict, found.suspension, words)
        print_summary(figures, language=words.language, line=line)
    sys.exit(status_of_verdict(figures))


@click.command()
@newest_run_argument
@output_option
@json_option
@click.pass_context
@reports_errors
def report(context: click.Context, run_name: str | None, output: Path | None, as_json: bool) -> None:
    """Write report.html, summary.json, the plots and samples.csv into a run folder. A signed report is kept.

    Without RUN: the run that is recorded now, else the newest.
    """
    report_and_leave(named_run(context, run_name), as_json, output, language=site_or_none(context).language)


@click.command()
@click.option(
    "--runs",
    "folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Runs folder; default: the site file's.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Plot every prediction into this file (.svg, .png, .pdf).",
)
@json_option
@click.pass_context
@reports_errors
def predictions(context: click.Context, folder: Path | None, plot: Path | None, as_json: bool) -> None:
    """Compare past predictions with the outcome, over all runs of the site."""
    from lpmkit.prediction.history import RELIABLE_HEADINGS, history, reliability

    folder = folder or runbook_of(context).site.runs.folder
    past = history(folder)
    figures = reliability(past)
    if plot and figures:
        from lpmkit.plots.reliability import save_reliability

        save_reliability(past, plot)
    if as_json:
        print_json({"runs": str(folder), "moves": len(past), "figures": [asdict(figure) for figure in figures]})
    elif figures:
        print_table(
            f"Past moves in {folder}: {len(past)}",
            [dict(zip(RELIABLE_HEADINGS, figure.words(), strict=True)) for figure in figures],
        )
        terminal().print("In brackets: 95 % confidence interval of the share.")
    else:
        terminal().print(f"No completed move with a prediction in {folder}.")
    sys.exit(FINE if figures else COULD_NOT_TELL)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--since",
    metavar="TIME",
    help="Only entries from this time on, such as 2008-08-08T20:14; without a zone: the clock of the log.",
)
@click.option(
    "--usual",
    "usual_h",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="HOURS",
    help="Hours before --since that define the usual entries.",
)
@click.option(
    "--zone", metavar="NAME", help="Time zone of the database host, such as Europe/Berlin, for a log without zones."
)
@click.option(
    "--rules",
    "own_rules",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The site's own rules; they take precedence over lpmkit's.",
)
@json_option
@reports_errors
def alert(
    file: Path, since: str | None, usual_h: float, zone: str | None, own_rules: Path | None, as_json: bool
) -> None:
    """Evaluate an Oracle alert log (text or log.xml, any release). Changes nothing."""
    from lpmkit.oracle import judge
    from lpmkit.oracle.rules import LogRules

    result = judge.examine(file, judge.LogWindow.asked(since, usual_h, zone), LogRules.standard(own_rules))
    if as_json:
        print_json({"file": str(file), **judge.as_dict(result)})
    else:
        print_post_mortem(result)
    sys.exit(NOT_FINE if result.judgement.verdict == "fail" else FINE)


def print_post_mortem(result: PostMortem, console: Console | None = None) -> None:
    """Print the evaluation of an alert log: counts by rule, the notable entries, the verdict."""
    out, judgement = console or terminal(), result.judgement
    rows = [
        {
            "": MARKS.get(tally.meaning.value, tally.meaning.value),
            "rule": tally.key,
            "count": tally.count,
            "first": tally.first,
            "last": tally.last,
            "reason": tally.reason,
        }
        for tally in judgement.tallies
    ]
    print_table("", rows, out)
    for entry in judgement.notable:
        client = f" {entry.client}" if entry.client else ""
        out.print(f"{entry.event.when or 'time unknown'}  {entry.meaning.value}  {entry.event.headline}{client}")
    for when, witness in judgement.witnesses:
        out.print(f"{when or 'time unknown'}  {witness}")
    counts = result.counts
    out.print(
        f"{counts.lines} lines, {counts.events} entries, {judgement.before} before --since, "
        f"{judgement.timeless} without a time. Read from byte {result.started_at} of {result.size}."
    )
    out.print(f"Verdict: {judgement.verdict}")


COMMANDS = (
    watch,
    analyse,
    report,
    predictions,
    alert,
)
