"""The commands for the time after a move: write-up, remark, compare, history, was-moved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpmkit.commands import candidates
from lpmkit.commands.args import newest_run_argument, run_argument
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    exchange_runs,
    json_option,
    named_run,
    output_option,
    print_json,
    print_line,
    print_table,
    reports_errors,
    site_or_none,
)
from lpmkit.errors import UsageError
from lpmkit.json_values import JsonObject
from lpmkit.runs.remarks import CHANGE_FIELDS, KINDS
from lpmkit.settings.site_file import find_site_file

if TYPE_CHECKING:
    from lpmkit.config import WriteUpSettings
    from lpmkit.runs.history import History, Move

_FORMS = ("html", "pdf", "docx", "md", "xlsx", "zip")


@click.command("write-up")
@newest_run_argument
@click.option(
    "--form",
    "forms",
    type=click.Choice(_FORMS),
    multiple=True,
    help="Only this form; may be repeated. Default: all.",
)
@click.option("--language", type=click.Choice(("en", "de")), help="Default: the site file's, else en.")
@click.option(
    "--template",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Jinja template; default: the site file's, else lpmkit's.",
)
@click.option(
    "--logo", type=click.Path(dir_okay=False, path_type=Path), help="PNG, JPEG or GIF picture for the first page."
)
@output_option
@json_option
@click.pass_context
@reports_errors
def write_up(
    context: click.Context,
    run_name: str | None,
    forms: Sequence[str],
    language: str | None,
    template: Path | None,
    logo: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write the verification for the change record into write-up/ of the run folder: HTML, PDF, Word, Markdown, ZIP
    with hashes.

    Without RUN: the run that is recorded now, else the newest.
    """
    from lpmkit.migration.status import refuse_unfinished
    from lpmkit.report.writeup import write_up as write

    run = named_run(context, run_name)
    refuse_unfinished(run)
    site = _settings(context)
    files = write(
        run,
        tuple(forms) or _FORMS,
        language=language or site.language,
        template=template or site.template,
        logo=logo or site.logo,
        output=output,
    )
    if as_json:
        print_json({form: str(path) for form, path in files.items()})
        return
    for path in files.values():
        print_line(path)


def _settings(context: click.Context) -> WriteUpSettings:
    """The write-up settings of the site file; the defaults without a site file."""
    from lpmkit.config import WriteUpSettings, load_site

    try:
        path = find_site_file(context.obj)
    except UsageError:
        return WriteUpSettings()
    return load_site(path).write_up


@click.command()
@run_argument
@click.argument("text", default="")
@click.option("--kind", type=click.Choice(KINDS), default="remark", show_default=True)
@click.option("--owner", default="", help="Owner of a deviation or a follow-up.")
@click.option("--number", default="", help="Change number.")
@click.option("--window", default="", help="Change window, as in the change record.")
@click.option("--operator", default="", help="Operator, if not the logged-in user.")
@click.option("--approver", default="", help="Approver of the change.")
@click.option("--system", default="", help="Name of the system in the change record.")
@json_option
@click.pass_context
@reports_errors
def remark(
    context: click.Context, /, run_name: str, text: str, kind: str, owner: str, as_json: bool, **fields: str
) -> None:
    """Add to the record of a run: a remark, a deviation, a follow-up, the back-out, an approval, a sign-off or the
    change number.

    Remarks are never changed; a correction is another remark. The write-up shows author and time.
    """
    from lpmkit.runs.remarks import add_remark

    run = named_run(context, run_name)
    given = {name: value for name, value in fields.items() if name in CHANGE_FIELDS and value}
    made = add_remark(
        run.path, "change" if given and kind == "remark" and not text else kind, text, owner=owner, fields=given
    )
    exchange_runs(site_or_none(context))
    if as_json:
        print_json(
            {"kind": made.kind, "by": made.by, "text": made.text, "owner": made.owner, "fields": dict(made.fields)}
        )
    else:
        print_line(f"{made.kind}: saved in {run.path / 'remarks.jsonl'}")


runs_option = click.option(
    "--runs",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Runs folder; default: the site file's.",
)
page_option = click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Also write an HTML page into this file."
)


@click.command()
@click.argument("run_names", metavar="RUN RUN...", nargs=-1, required=True, shell_complete=candidates.runs)
@page_option
@json_option
@click.pass_context
@reports_errors
def compare(context: click.Context, run_names: Sequence[str], page: Path | None, as_json: bool) -> None:
    """Compare the figures of several runs; with --html also overlay their suspensions."""
    from lpmkit.analysis import analyse
    from lpmkit.report.comparison import comparison_page, figures
    from lpmkit.runs.folder import write_file

    analyses = [analyse(named_run(context, name)) for name in run_names]
    if page is not None:
        write_file(page, comparison_page(analyses).encode())
    rows = figures(analyses)
    if as_json:
        print_json({"rows": rows, "page": None if page is None else str(page)})
        return
    print_table("", rows)
    if page is not None:
        print_line(str(page))


@click.command()
@click.option("--partition", shell_complete=candidates.partitions, help="Only runs of this partition.")
@click.option("--frame", shell_complete=candidates.frames, help="Only moves from or to this frame.")
@click.option(
    "--way", nargs=2, metavar="FROM TO", shell_complete=candidates.frames, help="Only moves from one frame to another."
)
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="Number of runs, the newest ones."
)
@runs_option
@page_option
@json_option
@click.pass_context
@reports_errors
def history(
    context: click.Context,
    partition: str | None,
    frame: str | None,
    way: tuple[str, str] | None,
    last: int,
    folder: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """List the runs of a site with their figures and outliers; --html writes all of them as a page with the trend."""
    from lpmkit.runs.history import HEAD, History

    site = site_or_none(context)
    if folder is None:
        exchange_runs(site)
    past = History(folder or site.runs.folder)
    moves = past.moves(partition=partition, frame=frame, way=way)
    for name, why in past.unreadable.items():
        print_line(f"{name} cannot be read: {why}", err=True)
    if not past.kept:
        print_line("The index cannot be saved in that folder; it was built in memory.", err=True)
    if page is not None:
        from lpmkit.report.comparison import history_page
        from lpmkit.runs.folder import write_file

        about = partition or frame or " to ".join(way or ()) or str(past.folder)
        write_file(page, history_page(past, moves, f"Runs: {about}").encode())
    if as_json:
        print_json(
            {
                "runs": [_as_data(past, move) for move in moves[-last:]],
                "unreadable": past.unreadable,
                "page": None if page is None else str(page),
            }
        )
        return
    print_table("", [dict(zip(HEAD, row, strict=True)) for row in past.rows(moves[-last:])])
    if page is not None:
        print_line(str(page))


def _as_data(past: History, move: Move) -> JsonObject:
    return {**asdict(move), "beside_the_usual": [asdict(figure) for figure in past.beside_the_usual(move)]}


@click.command("was-moved")
@click.argument("host", shell_complete=candidates.hosts)
@click.option(
    "--ssh-config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="OpenSSH configuration; default: ~/.ssh/config.",
)
@json_option
@click.pass_context
@reports_errors
def was_moved(context: click.Context, host: str, ssh_config: Path | None, as_json: bool) -> None:
    """Read from an AIX partition when it was moved and from where: error log, serial number, boot time. No manager is
    asked.
    """
    from lpmkit.config import HostSettings
    from lpmkit.control.aix import AixShell
    from lpmkit.ssh.client import open_session
    from lpmkit.ssh.secrets import Secrets
    from lpmkit.survey.was_moved import was_moved as ask

    site = site_or_none(context, None, ssh_config)
    settings = site.partitions.get(host) or HostSettings(host=host)
    with closing(open_session(site, settings, secrets=Secrets())) as session:
        past = ask(host, AixShell(session))
    status = COULD_NOT_TELL if past.identity.missing else FINE
    if as_json:
        print_json({**asdict(past), "conclusion": past.conclusion})
        sys.exit(status)
    heads = {"came_from": "from machine ID", "went_to": "to machine ID"}
    print_table("", [{heads.get(name, name): value for name, value in asdict(move).items()} for move in past.moves])
    identity = past.identity
    print_line(f"Now: serial number {identity.serial or 'not known'}, machine ID {identity.machine_id or 'not known'}.")
    for text in identity.missing:
        print_line(f"not read: {text}", err=True)
    print_line(past.conclusion)
    sys.exit(status)


COMMANDS = (write_up, remark, compare, history, was_moved)
