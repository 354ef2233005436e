"""Make ``docs/commands.md`` from the commands themselves: ``make docs``."""

from __future__ import annotations

from pathlib import Path

import click

from lpmkit.cli import main


def reference() -> str:
    """The command reference, as Markdown."""
    parts = [
        "# Commands",
        "",
        "Made from the commands themselves by `make docs`. Exit statuses: 0 fine; 1 not fine; 2 what was asked for cannot be; 3 could not tell; 130 interrupted.",
        "",
    ]
    with click.Context(main, info_name="lpmkit") as context:
        parts += ["```text", main.get_help(context), "```", ""]
        for name, command in main.commands.items():
            with click.Context(command, info_name=f"lpmkit {name}", max_content_width=110) as inner:
                parts += [f"## lpmkit {name}", "", "```text", command.get_help(inner), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(reference(), encoding="utf-8")
