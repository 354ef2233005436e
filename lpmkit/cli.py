"""The command line. Every command parses, calls the library once, and prints.

Exit status: 0 done and everything is fine, 1 a check, validation or move failed, 2 usage error, 3 inconclusive (a
machine did not answer, data is missing, the record cannot be written), 4 the move arrived and questions are open, 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import lpmkit
from lpmkit.account.log_file import keep_traceback, log_path, redirect_library_logs
from lpmkit.commands.console import COULD_NOT_TELL, error_data, fit_streams, print_json, print_line, visible

#: The modules of `lpmkit.commands` with the names of their commands. A module is loaded when one of its commands is
#: asked for, and loads the libraries of a command when that runs.
MODULES: Mapping[str, tuple[str, ...]] = {
    "survey": ("survey", "mapping", "check", "validate"),
    "inventory": ("inventory",),
    "move": ("move", "home", "attach", "stop", "recover", "approve"),
    "plan": ("plan",),
    "watch": ("watch", "analyse", "report", "predictions", "alert"),
    "site": ("site",),
    "secret": ("secret",),
    "completion": ("completion",),
    "setup": ("simulate", "demo", "lab", "app", "doctor"),
    "explain": ("explain",),
    "ledger": ("ledger",),
    "store": ("store", "worker"),
    "mcp": ("mcp",),
    "schema": ("schema",),
    "sinks": ("sinks",),
    "records": ("write-up", "remark", "compare", "history", "was-moved"),
}


#: Windows has no locks, accounts, signals and time stamps of the kernel as lpmkit needs them.
NOT_ON_WINDOWS = (
    "lpmkit runs on Linux (and, for analysis and reports, on macOS). On Windows install it within WSL: "
    "`wsl --install`, then as on Linux."
)
#: Commands that go on while credentials are corrected, or start others that ask.
LONG_RUNNING = ("app", "demo", "lab", "mcp", "simulate", "worker")
#: Whether the command line asks for JSON, in the context's ``meta``.
AS_JSON = "lpmkit.as_json"


class _Commands(click.Group):
    """The group of all commands. An unexpected error becomes one sentence; its traceback goes to the log file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group.list_commands`."""
        return sorted(name for names in MODULES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group.get_command`."""
        module = next((module for module, names in MODULES.items() if cmd_name in names), None)
        if module is None:
            return None
        commands = import_module(f"lpmkit.commands.{module}").COMMANDS
        command: click.Command = next(command for command in commands if command.name == cmd_name)
        # Each by itself too: click keeps the help option of the first time that a command is shown.
        command.context_settings.setdefault("help_option_names", self.context_settings["help_option_names"])
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Group.parse_args`. An error in a command's own options is JSON too where it is asked for."""
        ctx.meta[AS_JSON] = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if ctx.meta[AS_JSON]:
                print_json(error_data(visible(error.format_message()), kind="usage-error"))
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        fit_streams()
        redirect_library_logs()
        as_json = ctx.meta[AS_JSON]
        try:
            if sys.platform == "win32":
                raise click.UsageError(NOT_ON_WINDOWS, ctx)
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = visible(error.message)  # type: ignore[misc] # final for subclasses, not for us
            if as_json:
                print_json(error_data(error.format_message(), kind="usage-error"))
            raise
        except (click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: the traceback is kept, the person gets a sentence
            sentence = _sentence(error)
            print_line(f"lpmkit: {sentence}", err=True)
            if as_json:
                print_json(error_data(sentence, kind="defect"))
            sys.exit(COULD_NOT_TELL)


def _sentence(error: Exception) -> str:
    """The sentence for an unexpected error."""
    kept = keep_traceback(error)
    where = f"The details are in {kept}." if kept else f"The details could not be written to {log_path()}."
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}. {where}"
    what = " ".join(str(error).split())[:200]
    return (
        f"a defect of lpmkit: {type(error).__name__}{f': {what}' if what else ''}. {where} Please report it. "
        "A running move continues; `lpmkit attach RUN` shows it."
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(lpmkit.__version__, prog_name="lpmkit")
@click.option(
    "--site",
    "site_file",
    metavar="FILE",
    help="Site file; default: $LPMKIT_SITE, else ./site.yaml, ~/.config/lpmkit/site.yaml, /etc/lpmkit/site.yaml.",
)
@click.pass_context
def main(context: click.Context, site_file: str | None) -> None:
    """Move a running partition with PowerVM Live Partition Mobility, and measure what its users noticed.

    Exit status: 0 success, 1 check, validation or move failed, 2 usage error, 3 inconclusive, 4 moved with questions
    open, 130 interrupted.
    """
    context.obj = site_file
    if context.invoked_subcommand not in LONG_RUNNING:
        _make_refusals_final(context)


def _make_refusals_final(context: click.Context) -> None:
    """A wrong password in the site file is offered once, however many frames it is for."""
    # imported late: completion is quick without it
    from lpmkit.ssh.logins import forget_refusals, keep_refusals, refusals_are_kept  # noqa: PLC0415
    from lpmkit.ssh.refusal_book import BOOK, keep_refusals_in  # noqa: PLC0415

    if refusals_are_kept():
        return
    context.call_on_close(forget_refusals)
    keep_refusals()
    if book := os.environ.get(BOOK):
        keep_refusals_in(Path(book))


def all_commands() -> dict[str, click.Command]:
    """Every command by its name, in the order of `MODULES`; loads all their modules."""
    context = click.Context(main)
    names = [name for names in MODULES.values() for name in names]
    return {name: command for name in names if (command := main.get_command(context, name)) is not None}


if __name__ == "__main__":
    main()
