"""What every command of lpmkit has in common: exit statuses, errors as messages, JSON for programs, tables for people, a run by its name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lpmkit.config import RunSettings, Site, find_site_file, load_site
from lpmkit.errors import LpmError, MoveError, NotFound, UsageError
from lpmkit.runs.folder import Run

FINE, NOT_FINE, USAGE, COULD_NOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130

#: People read standard error when a program reads standard output.
people = Console(stderr=False, highlight=False)

Command = TypeVar("Command", bound=Callable[..., Any])


def status_of(error: LpmError) -> int:
    """The exit status that an error ends with."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, MoveError):
        return NOT_FINE
    return COULD_NOT_TELL


def told(command: Command) -> Command:
    """Turn the library's errors into one clear message and the documented exit status."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except click.Abort:
            click.echo("\nlpmkit: interrupted; nothing was asked of any machine.", err=True)
            sys.exit(INTERRUPTED)
        except LpmError as error:
            click.echo(f"lpmkit: {error}", err=True)
            sys.exit(status_of(error))

    return wrapped  # type: ignore[return-value]


def say_json(value: Any) -> None:
    """One JSON value on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the answer for programs, last on standard output."
)


def named_run(context: click.Context, name: str) -> Run:
    """A run by its path, or by its name in the site's folder of runs."""
    if Path(name).is_dir():
        return Run(name)
    folder = load_site(find_site_file(context.obj)).runs.folder
    known = [path.parent.name for path in sorted(folder.glob("*/run.json"))]
    if name not in known:
        raise NotFound("run", name, known=known[-5:], where=str(folder))
    return Run(folder / name)


#: How a verdict is shown: never by colour alone.
MARKS = {
    "pass": "[green]✓ pass[/green]",
    "warn": "[yellow]! warn[/yellow]",
    "fail": "[red]✗ FAIL[/red]",
    "unknown": "[magenta]? unknown[/magenta]",
}


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def print_table(title: str, rows: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """Rows under the names of their values; nothing for no rows."""
    if not rows:
        return
    table = Table(title=title or None, title_justify="left", show_lines=False)
    for name in rows[0]:
        table.add_column(str(name))
    for row in rows:
        # What a machine said may hold square brackets; only the marks are ours.
        table.add_row(*(text if text in MARKS.values() else escape(text) for text in map(_shown, row.values())))
    (console or people).print(table)


def site_or_none(context: click.Context, folder: Path | None = None, ssh_config: Path | None = None) -> Site:
    """The site file's site when there is one, with another folder of runs or OpenSSH configuration where given; else a site that names nothing."""
    try:
        site = load_site(find_site_file(context.obj))
    except UsageError:
        if context.obj or os.environ.get("LPMKIT_SITE"):
            raise
        site = Site.model_construct(
            ssh_config=None, frames={}, partitions={}, runs=RunSettings(folder=Path("runs").resolve())
        )
    changes: dict[str, Any] = {}
    if folder:
        changes["runs"] = site.runs.model_copy(update={"folder": folder.resolve()})
    if ssh_config:
        changes["ssh_config"] = ssh_config.resolve()
    return site.model_copy(update=changes)
