"""The commands for what comes after a move: the write-up, what people add to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from lpmkit.config import WriteUpSettings, find_site_file, load_site
from lpmkit.errors import UsageError
from lpmkit.remarks import CHANGE_FIELDS, KINDS
from lpmkit.terminal import json_option, named_run, say_json, told

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
@click.option("--logo", type=click.Path(dir_okay=False, path_type=Path), help="A picture for the top of it.")
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
    as_json: bool,
) -> None:
    """Write the verification for the change record into write-up/ of a run folder: HTML, PDF, Word, Markdown, a ZIP with hashes."""
    from lpmkit.writeup import write_up as write  # noqa: PLC0415

    run = named_run(context, run_name)
    site = _settings(context)
    found = write(
        run,
        tuple(forms) or _FORMS,
        language=language or site.language,
        template=template or site.template,
        logo=logo or site.logo,
    )
    if as_json:
        say_json({form: str(path) for form, path in found.items()})
        return
    console = Console(highlight=False)
    for path in found.values():
        console.print(str(path), soft_wrap=True, markup=False)


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
    from lpmkit.remarks import add_remark  # noqa: PLC0415

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
        click.echo(f"{made.kind}: kept in {run.path / 'remarks.jsonl'}")


COMMANDS = (write_up, remark)
