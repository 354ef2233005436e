"""Make ``docs/commands.md`` from the commands, the README's picture of the phases and the table of ``docs/recovery.md`` from theirs: ``make docs``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lpmkit.cli import main
from lpmkit.move import FINAL, TRANSITIONS, Phase
from lpmkit.recovery import RULES

TOP = Path(__file__).parent.parent


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


def phases() -> str:
    """The phases and what leads from one to the next, as a Mermaid diagram."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {(Phase.PREPARED, Phase.ASKED): ["the name is typed"]}
    for (before, seen), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(seen.value)
        if after is Phase.FAILED and before in (Phase.STARTING, Phase.COPYING):
            arrows.setdefault((before, Phase.STOPPED), []).append(f"{seen.value}, and a stop was asked for")
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", "    [*] --> prepared"]
    lines += [f"    {_id(before)} --> {_id(after)}: {' / '.join(why)}" for (before, after), why in arrows.items()]
    lines += [f"    {_id(phase)} --> [*]" for phase in Phase if phase in FINAL]
    return "\n".join([*lines, "```"])


def _id(phase: Phase) -> str:
    return phase.value.replace("-", "_")


def readme_with_phases(text: str) -> str:
    """The README with its picture of the phases made anew."""
    return re.sub(r"```mermaid\n.*?\n```", lambda _: phases(), text, flags=re.DOTALL)


def ways_out() -> str:
    """The table of what to do, in the order in which its rules are tried."""
    rows = [f"| {rule.seen} | **{rule.way.value}** | {rule.why} |" for rule in RULES]
    return "\n".join(["| seen | what to do | why |", "|---|---|---|", *rows])


def page_with_ways_out(text: str) -> str:
    """``docs/recovery.md`` with its table made anew."""
    return re.sub(r"\| seen \|.*?(?=\n\n)", lambda _: ways_out(), text, flags=re.DOTALL)


if __name__ == "__main__":
    (TOP / "docs" / "commands.md").write_text(reference(), encoding="utf-8")
    readme = TOP / "README.md"
    readme.write_text(readme_with_phases(readme.read_text(encoding="utf-8")), encoding="utf-8")
    page = TOP / "docs" / "recovery.md"
    page.write_text(page_with_ways_out(page.read_text(encoding="utf-8")), encoding="utf-8")
