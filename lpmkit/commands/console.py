"""The terminal for all commands: exit statuses, errors as messages, JSON, tables, runs by name.

Text that is printed may come from a machine, a file or a folder: everything here goes through `visible`, which shows
control characters.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from lpmkit.errors import LpmError, MoveError, NotFound, RecordError, UsageError, kind_of_error
from lpmkit.installed.extras import missing_extra
from lpmkit.json_values import JsonObject
from lpmkit.settings.site_file import find_site_file, is_named_or_here

if TYPE_CHECKING:
    from rich.console import Console

    from lpmkit.commands.rich_terminal import Terminal
    from lpmkit.config import Site
    from lpmkit.runs.folder import Run

FINE, NOT_FINE, USAGE, COULD_NOT_TELL, INTERRUPTED = 0, 1, 2, 3, 130
#: A move that arrived, or several, with questions open: done, and not everything is proved.
DONE_OPEN = 4

#: Characters that steer a terminal (C0 but for the line's end and the tab, C1), turn the direction of a line, hide, or
#: are half of a pair.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
#: Substitutes for characters that the terminal's encoding lacks; any other becomes a question mark.
_NEAREST = {
    "✓": "+",
    "✗": "x",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "×": "x",
    "≤": "<=",
    "“": '"',
    "”": '"',
    "’": "'",
    "█": "#",
    "━": "-",
    "·": ".",
}


def visible(text: str) -> str:
    r"""``text`` with control characters written out: a terminal obeys none of it.

    >>> print(visible("a\x1b]0;title\x07b\u009b1m\u202ec\r\n"), end="")
    a\x1b]0;title\x07b\x9b1m\u202ec
    """
    return _STEERING.sub(
        lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text.replace("\r\n", "\n")
    )


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Replacements for characters that cannot be encoded; the error handler ``lpmkit.nearest``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_NEAREST.get(one, "?") for one in error.object[error.start : error.end]), error.end


codecs.register_error("lpmkit.nearest", _nearest)


def fit_streams() -> None:
    """Have standard output and error replace what their encoding lacks (a Latin-1 terminal, ``LANG=C``) instead of
    raising `UnicodeEncodeError`.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="lpmkit.nearest")


@cache
def terminal() -> Terminal:
    """Standard output for people; with ``--json`` a command writes to a `Terminal` on standard error instead."""
    from lpmkit.commands.rich_terminal import Terminal

    return Terminal()


def people(as_json: bool) -> Console:
    """The console that people read: standard output, or standard error where a program reads the answer from standard
    output.
    """
    from lpmkit.commands.rich_terminal import Terminal

    return Terminal(stderr=True) if as_json else terminal()


def print_line(text: object, *, err: bool = False) -> None:
    """Print a line as it is, without colours, in full length."""
    click.echo(visible(str(text)), err=err)


def ask_person(question: str) -> str:
    """Ask the person at the terminal, on standard error."""
    return str(click.prompt(visible(question), err=True))


Command = TypeVar("Command", bound=Callable[..., Any])


def status_of(error: LpmError) -> int:
    """Exit status of an error."""
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, MoveError):
        return NOT_FINE
    return COULD_NOT_TELL


def reports_errors(command: Command) -> Command:
    """Print the library's errors as one message, with ``--json`` also as JSON, and exit with the documented status."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except click.Abort:
            print_line("\nlpmkit: Cancelled. Nothing was changed on any machine.", err=True)
            if options.get("as_json"):
                print_json(error_data("Cancelled. Nothing was changed on any machine.", kind="cancelled"))
            sys.exit(INTERRUPTED)
        except LpmError as error:
            _leave(error, as_json=options.get("as_json"))
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            _leave(missing, as_json=options.get("as_json"))

    return wrapped  # type: ignore[return-value]


def _leave(error: LpmError, *, as_json: bool | None) -> NoReturn:
    print_line(f"lpmkit: {error}", err=True)
    if as_json:
        print_json(error_data(error))
    sys.exit(status_of(error))


def error_data(error: LpmError | str, *, kind: str | None = None) -> JsonObject:
    """An error as JSON values: its kind, what, and where known the place, the request, the answer and the next step.

    ``kind`` is that of an error which is none of lpmkit's classes.
    """
    if isinstance(error, str):
        error = LpmError(error)
    return {
        "kind": kind or kind_of_error(error),
        "error": error.what,
        "where": error.where,
        "asked": error.asked,
        "answered": error.answered,
        "next_step": error.next_step,
    }


def print_json(value: Any) -> None:
    """One JSON value on standard output; characters that its encoding lacks are written as JSON's own escapes too."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    click.echo(json_text(value, indent=2, ensure_ascii=not is_unicode))


def json_text(value: Any, *, indent: int | None, ensure_ascii: bool = False) -> str:
    """A value as JSON, in which characters that steer a terminal, turn a line or hide are JSON's own escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, default=str)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def tell_started(what: str, path: Path, as_json: bool) -> None:
    """Print the folder of a run or plan that goes on in the background."""
    if as_json:
        print_json({what: str(path)})
    else:
        print_line(path)


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")


output_option = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write into this folder instead of the run folder, for example for a read-only archive.",
)


def exchange_runs(site: Site) -> None:
    """Exchange runs with the other hosts of a site that has a shared store; a trouble is printed on standard error."""
    if site.store is None:
        return
    from lpmkit.prediction.exchange import exchange
    from lpmkit.ssh.secrets import Secrets

    if trouble := exchange(site, Secrets()):
        print_line(trouble, err=True)


def site_of(context: click.Context) -> Site:
    """The site of the site file that the command line, the environment or a default place names.

    A file outside the current folder that was not named is printed on standard error.
    """
    from lpmkit.config import load_site

    path = find_site_file(context.obj)
    if not is_named_or_here(path, context.obj):
        print_line(f"Site file: {path}", err=True)
    return load_site(path)


def named_run(context: click.Context, name: str | None) -> Run:
    """The run with this path, or with this name in the site's runs folder; without a name the one that is recorded now,
    else the newest. Raises `NotFound`, and `UsageError` where none has begun or several are recorded.
    """
    from lpmkit.runs.folder import Run

    if name is None:
        return current_run(site_of(context).runs.folder)
    if Path(name).is_dir():
        return Run(name)
    folder = site_of(context).runs.folder
    known = [path.parent.name for path in sorted(folder.glob("*/run.json"))]
    if name not in known and (runs_of := _runs_of_partition(folder, name)):
        look = " --look" if context.info_name == "recover" else ""
        raise UsageError(
            f"{name} is a partition. Its newest run is {runs_of[-1]}",
            where=str(folder),
            next_step=f"`{context.command_path} {runs_of[-1]}{look}`.",
        )
    if name not in known:
        raise NotFound("run", name, known=known[-5:], where=str(folder))
    return Run(folder / name)


def _runs_of_partition(folder: Path, partition: str) -> list[str]:
    """The names of the runs that move a partition or watch it, oldest first."""
    from lpmkit.runs.folder import Run

    names = []
    for path in sorted(folder.glob("*/run.json")):
        try:
            manifest = Run(path.parent).manifest
        except RecordError:
            continue  # of a newer format, or not readable: it has to be named
        order, hosts = manifest.get("order"), manifest.get("hosts")
        if (isinstance(order, dict) and order.get("partition") == partition) or (
            isinstance(hosts, list) and partition in hosts
        ):
            names.append(path.parent.name)
    return names


def current_run(folder: Path) -> Run:
    """The run of a folder that is recorded now, else the newest; its name is printed on standard error."""
    from lpmkit.runs.folder import Run

    runs = []
    for path in sorted(folder.glob("*/run.json")):
        try:
            runs.append(Run(path.parent))
        except RecordError:
            continue  # of a newer format, or not readable: it has to be named
    recorded = [run for run in runs if _holds_a_recorder(run)]
    recorded = [run for run in recorded if run.manifest["mode"] == "move"] or recorded
    if len(recorded) > 1:
        names = ", ".join(run.name for run in recorded)
        raise UsageError("several runs are recorded now", where=str(folder), next_step=f"Name one: {names}.")
    begun = recorded or [run for run in runs if run.events()]
    if not begun:
        raise UsageError("no run has begun yet", where=str(folder), next_step="`lpmkit move` starts one.")
    print_line(f"Run: {begun[-1].name}", err=True)
    return begun[-1]


def _holds_a_recorder(run: Run) -> bool:
    try:
        return run.is_recorded()
    except RecordError:
        return False  # a read-only archive: its lock cannot be examined, so no recorder of ours is at work


#: A verdict with sign, word and colour (never colour alone).
MARKS = {
    "pass": "[green]✓ pass[/green]",
    "warn": "[yellow]! warn[/yellow]",
    "fail": "[red]✗ FAIL[/red]",
    "unknown": "[magenta]? unknown[/magenta]",
    "not applicable": "[dim]– not applicable[/dim]",
}


def print_table(title: str, rows: Sequence[JsonObject], console: Console | None = None) -> None:
    """Print rows as a table with their keys as heading; nothing without rows."""
    from lpmkit.commands.rich_terminal import show_table

    if rows:
        show_table(console or terminal(), title, rows)


def print_item(mark: str, *lines: str, console: Console | None = None) -> None:
    """Print a sign and its lines, wrapped beside it at any width of the terminal; empty lines are left out."""
    from lpmkit.commands.rich_terminal import show_item

    show_item(console or terminal(), mark, lines)


def site_or_none(context: click.Context, folder: Path | None = None, ssh_config: Path | None = None) -> Site:
    """The site of the site file, or an empty one without a site file; ``folder`` and ``ssh_config`` replace its runs
    folder and OpenSSH configuration.
    """
    from lpmkit.config import RunSettings, Site

    try:
        site = site_of(context)
    except UsageError:
        if context.obj or os.environ.get("LPMKIT_SITE"):
            raise
        site = Site.model_validate({}).model_copy(update={"runs": RunSettings(folder=Path("runs").resolve())})
    changes: JsonObject = {}
    if folder:
        changes["runs"] = site.runs.model_copy(update={"folder": folder.resolve()})
    if ssh_config:
        changes["ssh_config"] = ssh_config.resolve()
    return site.model_copy(update=changes)
