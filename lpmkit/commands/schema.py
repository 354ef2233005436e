"""The command schema."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lpmkit.commands.console import json_option, print_json, print_table, reports_errors


@click.command()
@click.argument("words", metavar="[NAME]", nargs=-1)
@json_option
@reports_errors
def schema(words: Sequence[str], as_json: bool) -> None:
    """Print the JSON Schema of a document or of a command's answer (`lpmkit schema plan check`).

    Without NAME: list the schemas. docs/schemas.md has what may change from one release to the next.
    """
    from lpmkit.schemas import schema as schema_of
    from lpmkit.schemas import schema_names

    if words:
        print_json(schema_of(" ".join(words)))
        return
    rows = [{"name": name, "kind": kind, "about": about} for name, (kind, about) in schema_names().items()]
    if as_json:
        print_json(rows)
    else:
        print_table("Schemas", rows)


COMMANDS = (schema,)
