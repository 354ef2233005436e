"""Every answer for programs that a test provokes, held against its schema (`lpmkit.schemas`).

`tests.conftest` and `tests.forked` call `hold` for each command with ``--json`` that a test runs: standard output is
one JSON value and nothing else, and fits the schema of the command, or that of an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema

from lpmkit.schemas import schema, schema_names
from lpmkit.schemas.answers import ErrorAnswer

#: Options of lpmkit itself, which stand before the command.
_WITH_VALUE = ("--site",)
_ERROR_KEYS = frozenset(ErrorAnswer.__annotations__)


def command_of(arguments: Sequence[str]) -> str:
    """The name of the command that a command line asks for; empty without one.

    >>> command_of(["--site", "x.yaml", "plan", "check", "p.yaml", "--json"]), command_of(["check", "--json"])
    ('plan check', 'check')
    """
    words = list(arguments)
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] in _WITH_VALUE else 1]
    names = schema_names()
    return next((name for name in (" ".join(words[:2]), " ".join(words[:1])) if name in names), "")


@cache
def validator(name: str) -> Any:
    return jsonschema.Draft202012Validator(schema(name))


def hold(arguments: Sequence[str], status: int, output: str) -> None:
    """Raise an AssertionError unless ``output`` is the answer that a command line with ``--json`` promises.

    A command that was ended from outside may have said nothing; a schema is no answer to be held against one.
    """
    name = command_of(arguments)
    if "--json" not in arguments or not name or (name == "schema" and arguments[-1] != "schema"):
        return
    if not output.strip() and (status < 0 or status == 130):
        return
    try:
        value = json.loads(output)
    except ValueError as error:
        raise AssertionError(f"{name} --json printed something that is not one JSON value: {output[:300]!r}") from error
    is_error = status != 0 and isinstance(value, dict) and value.keys() == _ERROR_KEYS
    trouble = troubles("error" if is_error else name, value)
    assert not trouble, f"the answer of {name} does not fit `lpmkit schema {name}`: {'; '.join(trouble[:5])}"


def troubles(name: str, value: Any) -> list[str]:
    """The parts that do not fit a schema, each with its place in the value."""
    found = validator(name).iter_errors(value)
    return [f"{best.json_path}: {best.message[:300]}" for best in map(_deepest, found)]


def _deepest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """The error inside of a choice that is most likely meant."""
    return jsonschema.exceptions.best_match(error.context) or error if error.context else error
