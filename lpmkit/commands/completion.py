"""The commands completion install and completion show."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from lpmkit.commands.console import json_option, print_json, print_line, reports_errors
from lpmkit.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
#: The variable by which the shell's function asks; click derives it from the program's name.
VARIABLE = "_LPMKIT_COMPLETE"
#: Marks the line in a shell's start file, so that it is added once.
MARK = "# completion of lpmkit"
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")

shell_choice = click.Choice(SHELLS)


@click.group("completion")
def completion() -> None:
    """Complete commands, partitions, frames, runs and plans with TAB."""


@completion.command("install")
@click.option("--shell", type=shell_choice, help="Default: the one of $SHELL.")
@json_option
@reports_errors
def install(shell: str | None, as_json: bool) -> None:
    """Install the completion for this account. Names come from the site file and the folder of runs; no machine is
    asked.
    """
    chosen = shell or _own_shell()
    written = install_for(chosen, Path.home())
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    for path in written:
        print_line(f"Written: {path}")
    print_line(f"Open a new {chosen}, then type: lpmkit <TAB>")


@completion.command("show")
@click.argument("shell", type=shell_choice)
@json_option
@reports_errors
def show(shell: str, as_json: bool) -> None:
    """Print the completion script of a shell, for an installation of your own."""
    if as_json:
        print_json({"shell": shell, "script": script(shell)})
    else:
        print_line(script(shell))


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UsageError(
            f"the shell {name or '(none)'} has no completion here",
            next_step=f"Name one with --shell: {', '.join(SHELLS)}.",
        )
    return name


def script(shell: str) -> str:
    """The shell's own script, which asks lpmkit at every TAB."""
    maker = get_completion_class(shell)
    assert maker is not None
    # The script holds names only. `source` would also start the shell, to ask for its version.
    asked = maker(click.Command("lpmkit"), {}, "lpmkit", VARIABLE)
    return (asked.source_template % asked.source_vars()).strip()


def install_for(shell: str, home: Path) -> list[Path]:
    """Write the script where the shell finds it, and for zsh (and a bash without bash-completion) one line into its
    start file. Returns the files that were written. Raises `UsageError` where one cannot be.
    """
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = {
        "bash": data / "bash-completion" / "completions" / "lpmkit",
        "zsh": data / "lpmkit" / "completion.zsh",
        "fish": configuration / "fish" / "completions" / "lpmkit.fish",
    }[shell]
    written = [path]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(shell) + "\n", encoding="utf-8")
        if shell == "zsh":
            start = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
            written += _load_in(start, f"autoload -Uz compinit && compinit -i; source {path}")
        elif shell == "bash" and not BASH_COMPLETION.exists():
            written += _load_in(home / ".bashrc", f"source {path}")
    except OSError as error:
        raise UsageError(
            f"the completion cannot be written: {error.strerror}",
            where=str(error.filename or path),
            next_step=f"`lpmkit completion show {shell}` prints the script.",
        ) from error
    return written


def _load_in(start: Path, command: str) -> list[Path]:
    """Add a command to a shell's start file, unless it is there; the file if it was changed."""
    text = start.read_text(encoding="utf-8", errors="surrogateescape") if start.exists() else ""
    if MARK in text:
        return []
    with start.open("a", encoding="utf-8") as file:
        file.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}{command}   {MARK}\n")
    return [start]


COMMANDS = (completion,)
