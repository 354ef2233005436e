"""The commands for what comes after moves: the write-up and what people add to it, runs side by side, a site's history, a partition's own past."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    Terminal,
    json_option,
    named_run,
    output_option,
    print_line,
    print_table,
    say_json,
    site_or_none,
    told,
)
from lpmkit.config import WriteUpSettings, find_site_file, load_site
from lpmkit.errors import UsageError
from lpmkit.runs.remarks import CHANGE_FIELDS, KINDS

_FORMS = ("html", "pdf", "docx", "md", "zip")


@click.command("write-up")
@click.argument("run_name", metavar="RUN")
@click.option(
    "--form",
    "forms",
    type=click.Choice(_FORMS),
    multiple=True,
    help="Only this form; may be repeated. All, if left out.",
)
@click.option("--language", type=click.Choice(("en", "de")), help="Instead of the site's (en).")
@click.option(
    "--template",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A Jinja template instead of the site's or ours.",
)
@click.option(
    "--logo", type=click.Path(dir_okay=False, path_type=Path), help="A PNG, JPEG or GIF picture for the top of it."
)
@output_option
@json_option
@click.pass_context
@told
def write_up(
    context: click.Context,
    run_name: str,
    forms: Sequence[str],
    language: str | None,
    template: Path | None,
    logo: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write the verification for the change record into write-up/ of a run folder: HTML, PDF, Word, Markdown, a ZIP with hashes."""
    from lpmkit.report.writeup import write_up as write  # noqa: PLC0415

    run = named_run(context, run_name)
    site = _settings(context)
    found = write(
        run,
        tuple(forms) or _FORMS,
        language=language or site.language,
        template=template or site.template,
        logo=logo or site.logo,
        output=output,
    )
    if as_json:
        say_json({form: str(path) for form, path in found.items()})
        return
    console = Terminal()
    for path in found.values():
        console.print(str(path), soft_wrap=True)


def _settings(context: click.Context) -> WriteUpSettings:
    """The site's wishes; a run folder can be written up without a site file."""
    try:
        path = find_site_file(context.obj)
    except UsageError:
        return WriteUpSettings()
    return load_site(path).write_up


@click.command()
@click.argument("run_name", metavar="RUN")
@click.argument("text", default="")
@click.option("--kind", type=click.Choice(KINDS), default="remark", show_default=True)
@click.option("--owner", default="", help="Who has to act, of a deviation or a follow-up.")
@click.option("--number", default="", help="The number of the change.")
@click.option("--window", default="", help="The change window, as it stands in the change record.")
@click.option("--operator", default="", help="Who carried it out, where that is not whoever was logged in.")
@click.option("--approver", default="", help="Who approved the change.")
@click.option("--system", default="", help="The system's name in the change record.")
@json_option
@click.pass_context
@told
def remark(
    context: click.Context, /, run_name: str, text: str, kind: str, owner: str, as_json: bool, **fields: str
) -> None:
    """Add to the record of a run: a remark, a deviation, a follow-up, the back-out, an approval, a sign-off, or the change's number.

    Nothing that was said is ever changed; a correction is another remark. The write-up shows who said what and when.
    """
    from lpmkit.runs.remarks import add_remark  # noqa: PLC0415

    run = named_run(context, run_name)
    given = {name: value for name, value in fields.items() if name in CHANGE_FIELDS and value}
    made = add_remark(
        run.path, "change" if given and kind == "remark" and not text else kind, text, owner=owner, fields=given
    )
    if as_json:
        say_json(
            {"kind": made.kind, "by": made.by, "text": made.text, "owner": made.owner, "fields": dict(made.fields)}
        )
    else:
        print_line(f"{made.kind}: kept in {run.path / 'remarks.jsonl'}")


runs_option = click.option(
    "--runs",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="This folder of runs instead of the site's.",
)
page_option = click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page into this file."
)


@click.command()
@click.argument("run_names", metavar="RUN RUN...", nargs=-1, required=True)
@page_option
@json_option
@click.pass_context
@told
def compare(context: click.Context, run_names: Sequence[str], page: Path | None, as_json: bool) -> None:
    """Put the figures of several runs side by side; with --html their suspensions are laid over each other too."""
    from lpmkit.analysis import analyse  # noqa: PLC0415
    from lpmkit.report.comparison import comparison_page, figures  # noqa: PLC0415
    from lpmkit.runs.folder import write_file  # noqa: PLC0415

    analyses = [analyse(named_run(context, name)) for name in run_names]
    if page is not None:
        write_file(page, comparison_page(analyses).encode())
    rows = figures(analyses)
    if as_json:
        say_json({"rows": rows, "page": None if page is None else str(page)})
        return
    print_table("", rows)
    if page is not None:
        print_line(str(page))


@click.command()
@click.option("--partition", help="Only this partition's.")
@click.option("--frame", help="Only what left or came to this frame.")
@click.option("--way", nargs=2, metavar="FROM TO", help="Only from one frame to another: the same pair of movers.")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="So many of the newest.")
@runs_option
@page_option
@json_option
@click.pass_context
@told
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
    """List the runs of a site with their figures, and what was far from the usual; --html writes all of them as a page with the trend."""
    from lpmkit.runs.history import HEAD, History  # noqa: PLC0415

    past = History(folder or site_or_none(context).runs.folder)
    moves = past.moves(partition=partition, frame=frame, way=way)
    for name, why in past.unreadable.items():
        print_line(f"{name} cannot be read: {why}", err=True)
    if not past.kept:
        print_line("The index cannot be kept in that folder; it was made in memory.", err=True)
    if page is not None:
        from lpmkit.report.comparison import history_page  # noqa: PLC0415
        from lpmkit.runs.folder import write_file  # noqa: PLC0415

        about = partition or frame or " to ".join(way or ()) or str(past.folder)
        write_file(page, history_page(past, moves, f"Runs: {about}").encode())
    if as_json:
        say_json(
            {
                "runs": [_as_data(past, one) for one in moves[-last:]],
                "unreadable": past.unreadable,
                "page": None if page is None else str(page),
            }
        )
        return
    print_table("", [dict(zip(HEAD, row, strict=True)) for row in past.rows(moves[-last:])])
    if page is not None:
        print_line(str(page))


def _as_data(past: Any, move: Any) -> dict[str, Any]:
    return {**asdict(move), "beside_the_usual": [asdict(one) for one in past.beside_the_usual(move)]}


@click.command("was-moved")
@click.argument("host")
@click.option("--ssh-config", type=click.Path(dir_okay=False, path_type=Path), help="This OpenSSH configuration.")
@json_option
@click.pass_context
@told
def was_moved(context: click.Context, host: str, ssh_config: Path | None, as_json: bool) -> None:
    """Ask an AIX partition when it was moved lately and from where, by its error log, serial number and boot time. Nothing is asked of a frame."""
    from lpmkit.config import HostSettings  # noqa: PLC0415
    from lpmkit.control.aix import AixShell  # noqa: PLC0415
    from lpmkit.ssh.client import open_session  # noqa: PLC0415
    from lpmkit.ssh.secrets import Secrets  # noqa: PLC0415
    from lpmkit.survey.was_moved import was_moved as ask  # noqa: PLC0415

    site = site_or_none(context, None, ssh_config)
    settings = site.partitions.get(host) or HostSettings(host=host)
    with closing(open_session(site, settings, secrets=Secrets())) as session:
        found = ask(host, AixShell(session))
    status = COULD_NOT_TELL if found.identity.missing else FINE
    if as_json:
        say_json({**asdict(found), "conclusion": found.conclusion})
        sys.exit(status)
    print_table("", [asdict(one) for one in found.moves])
    identity = found.identity
    print_line(f"Now: serial {identity.serial or 'not known'}, machine id {identity.machine_id or 'not known'}.")
    for text in identity.missing:
        print_line(f"could not look: {text}", err=True)
    print_line(found.conclusion)
    sys.exit(status)


COMMANDS = (write_up, remark, compare, history, was_moved)
