"""Generate ``docs/commands.md``, ``docs/checks.md``, the table and diagram of ``docs/recovery.md`` and the table of
``docs/reaching.md`` from the code: ``make docs``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from lpmkit.checks import CHECKS
from lpmkit.checks.judging import prerequisites
from lpmkit.checks.levels import level_rows
from lpmkit.cli import all_commands, main
from lpmkit.control.codes import known_codes
from lpmkit.json_values import JsonObject
from lpmkit.migration.phases import FINAL, TRANSITIONS, Phase
from lpmkit.migration.recovery import RULES
from lpmkit.schemas import schema, schema_names
from lpmkit.ssh.options import OPTIONS, Support

TOP = Path(__file__).parent.parent


def reference() -> str:
    """The command reference, as Markdown."""
    parts = [
        "# Commands",
        "",
        "Generated from the commands by `make docs`.",
        "Exit status: 0 success, 1 check, validation or move failed, 2 usage error, 3 inconclusive,",
        "4 moved with questions open, 130 interrupted.",
        "",
    ]
    # The same settings as when it is typed: click keeps a command's help option once it was shown.
    with click.Context(main, info_name="lpmkit", **main.context_settings) as context:
        parts += ["```text", main.get_help(context), "```", ""]
        for name, command in all_commands().items():
            with click.Context(command, info_name=name, parent=context) as inner:
                parts += [f"## lpmkit {name}", "", "```text", command.get_help(inner), "```", ""]
                for word, part in getattr(command, "commands", {}).items():
                    with click.Context(part, info_name=word, parent=inner) as innermost:
                        parts += [f"### lpmkit {name} {word}", "", "```text", part.get_help(innermost), "```", ""]
    return "\n".join(parts)


def phases() -> str:
    """The phases and their transitions as a Mermaid diagram."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {(Phase.PREPARED, Phase.ASKED): ["the name is typed"]}
    for (before, seen), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(seen.value)
        if after is Phase.FAILED and before in (Phase.STARTING, Phase.COPYING):
            arrows.setdefault((before, Phase.STOPPED), []).append(f"{seen.value}, and a stop was asked for")
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR", "    [*] --> prepared"]
    lines += [f"    {_id(before)} --> {_id(after)}: {' / '.join(why)}" for (before, after), why in arrows.items()]
    lines += [f"    {_id(phase)} --> [*]" for phase in Phase if phase in FINAL]
    return "\n".join([*lines, "```"])


def options_page(text: str) -> str:
    """``docs/reaching.md`` with its table of options generated again."""
    rows = ["| option | | |", "|---|---|---|"]
    for support in Support:
        names = [
            f"`{name}`" for name, option in sorted(OPTIONS.items()) if option.support is support and not option.why
        ]
        if names:
            rows.append(f"| {', '.join(names)} | {support.value} | |")
        rows += [
            f"| `{name}` | {support.value} | {option.why} |"
            for name, option in sorted(OPTIONS.items())
            if option.support is support and option.why
        ]
    table = "\n".join(rows)
    return re.sub(
        r"(<!-- options.*? -->\n).*?(<!-- end of options -->)",
        lambda match: f"{match[1]}\n{table}\n\n{match[2]}",
        text,
        flags=re.DOTALL,
    )


#: The fields of all schemas, a line each, in version control: what a version of the schemas promises.
SCHEMA_FIELDS = TOP / "fixtures" / "schema-fields.txt"


def schema_fields() -> list[str]:
    """Every field of every schema as a line: its schema, its path and its types."""
    return sorted({line for name in schema_names() for line in _fields(name, schema(name))})


def _fields(name: str, top: JsonObject) -> Iterator[str]:
    """The fields of a schema. What a reference names is listed once, under its own name."""
    for definition, part in top.get("$defs", {}).items():
        yield from _fields_of(f"#{definition}", part)
    yield from _fields_of(name, top)


def _fields_of(path: str, part: JsonObject) -> Iterator[str]:
    for key, value in part.get("properties", {}).items():
        required = "" if key in part.get("required", ()) else "?"
        yield f"{path}.{key}{required}: {' | '.join(_kinds(value))}"
        yield from _fields_of(f"{path}.{key}", value)
    for choice in (*part.get("anyOf", ()), *([part["items"]] if isinstance(part.get("items"), dict) else ())):
        yield from _fields_of(f"{path}[]", choice)


def _kinds(part: JsonObject) -> list[str]:
    """The types of a value: names of JSON's, of a definition, or the constants."""
    if "anyOf" in part:
        return sorted({kind for choice in part["anyOf"] for kind in _kinds(choice)})
    if "$ref" in part:
        return [part["$ref"].rpartition("/")[2]]
    if "enum" in part or "const" in part:
        return sorted(json.dumps(value) for value in part.get("enum", [part.get("const")]))
    kind = str(part.get("type", "any"))
    inner = part.get("items") if kind == "array" else part.get("additionalProperties")
    return [f"{kind} of ({' | '.join(_kinds(inner))})" if isinstance(inner, dict) else kind]


def _id(phase: Phase) -> str:
    return phase.value.replace("-", "_")


def ways_out() -> str:
    """The table of recommended actions, in the order in which the rules are tried."""
    rows = [f"| {rule.seen} | **{rule.action.words}** | {rule.reason()} |" for rule in RULES]
    return "\n".join(["| seen | recommended action | why |", "|---|---|---|", *rows])


def recovery_page(text: str) -> str:
    """``docs/recovery.md`` with its table and its diagram generated again."""
    text = re.sub(r"\| seen \|.*?(?=\n\n)", lambda _: ways_out(), text, flags=re.DOTALL)
    return re.sub(r"```mermaid\n.*?\n```", lambda _: phases(), text, flags=re.DOTALL)


def checks_page() -> str:
    """Every check with what is asked, the code, who acts; the matrix of levels; every code that can be explained."""
    parts = [
        "# Checks, levels and codes",
        "",
        "Made from the tables of `lpmkit.checks` and `lpmkit.control.codes` by `make docs`.",
        "How sure a fact is: A seen in a captured output, B stated by the vendor's documentation,",
        "C from code that drives the real thing, D recalled.",
        "A check passes only when everything it needs was known; what could not be looked at is *unknown*.",
        "Where only the firmware's own validation can tell, the check says so and does not keep a",
        "partition from being ready.",
        "The number is that of the prerequisite, AI: of active and inactive moves, A: of active ones only.",
        "",
        "## Prerequisites",
        "",
        "What a partition mobility operation needs. The keys of the sources are those of [sources.md](sources.md).",
        "",
        *prerequisite_rows(),
        "",
        "## Checks",
        "",
        "| check | number | moves | asked under an IVM | asked under an HMC | code | who | sure |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for check in CHECKS:
        basis = check.basis
        ivm, hmc = ("<br>".join(_code(line) for line in lines) for lines in (basis.ivm, basis.hmc))
        moves = "A" if basis.active_only else "AI"
        cells = (
            f"{check.title} (`{check.key}`)",
            basis.number or "",
            moves,
            ivm,
            hmc,
            basis.code,
            check.who,
            basis.mark,
        )
        parts.append("| " + " | ".join(map(str, cells)) + " |")
    parts += ["", "## Levels", "", "| what | at least | for | sure | source |", "|---|---|---|---|---|"]
    parts += [f"| {one.what} | {one.at_least} | {one.needed_for} | {one.mark} | {one.source} |" for one in level_rows()]
    parts += [
        "",
        "## Codes",
        "",
        "`lpmkit explain CODE` says the same.",
        "",
        "| code | meaning | proved by | mend | who | sure | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for code, known in known_codes().items():
        name = f"{code} ({known.label})" if known.label else code
        parts.append(
            f"| {name} | {known.meaning} | `{known.prove}` | {known.mend} | {known.who} | {known.mark} | "
            f"{known.source} |"
        )
    return "\n".join([*parts, ""])


def prerequisite_rows() -> list[str]:
    """Make the table of the prerequisites, each with the checks that cover it."""
    rows = ["| number | prerequisite | moves | checks | sure | source |", "|---|---|---|---|---|---|"]
    for number, facts in prerequisites().items():
        checks = [check for check in CHECKS if check.basis.number == number]
        moves = "A" if all(check.basis.active_only for check in checks) else "AI"
        keys = ", ".join(f"`{check.key}`" for check in checks)
        rows.append(f"| {number} | {facts['what']} | {moves} | {keys} | {facts['sure']} | {facts['source']} |")
    return rows


def _code(line: str) -> str:
    where, _, command = line.partition(": ")
    return f"{where}: `{command}`"


if __name__ == "__main__":
    (TOP / "docs" / "checks.md").write_text(checks_page(), encoding="utf-8")
    (TOP / "docs" / "commands.md").write_text(reference(), encoding="utf-8")
    page = TOP / "docs" / "recovery.md"
    page.write_text(recovery_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    page = TOP / "docs" / "reaching.md"
    page.write_text(options_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA_FIELDS.write_text("\n".join(schema_fields()) + "\n", encoding="utf-8")
