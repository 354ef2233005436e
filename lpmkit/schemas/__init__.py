"""JSON Schemas of the documents and of the answers for programs (``lpmkit schema``).

One source: the types that lpmkit itself writes and reads (`lpmkit.schemas.documents`, `lpmkit.schemas.answers`,
`lpmkit.schemas.events`, `lpmkit.schemas.summary`). ``docs/schemas.md`` has the promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lpmkit.errors import NotFound
from lpmkit.json_values import JsonObject
from lpmkit.schemas.answers import ANSWERS, ErrorAnswer
from lpmkit.schemas.documents import DOCUMENTS
from lpmkit.schemas.events import events_schema
from lpmkit.schemas.making import either, schema_of, whole

__all__ = ["VERSION", "schema", "schema_names"]

#: The version of all schemas together: docs/schemas.md has what may change within one.
VERSION = 1
#: The names of the schemas that are neither a document's nor a command's.
EVENTS, ERROR = "events.jsonl", "error"


def schema_names() -> Mapping[str, tuple[str, str]]:
    """Every schema by its name: its kind (``document`` or ``answer``), and what it describes."""
    documents = {name: ("document", about) for name, (about, _, _) in DOCUMENTS.items()}
    documents[EVENTS] = ("document", "One line of the events of a run")
    answers = {name: ("answer", f"The answer of `lpmkit {name} --json`") for name in ANSWERS}
    answers[ERROR] = ("answer", "The answer of any command with --json that ends with an error")
    return documents | answers


@cache
def schema(name: str) -> JsonObject:
    """The JSON Schema of a document (``run.json``) or of a command's answer (``plan check``).

    Raises `NotFound` for a name that is none of `schema_names`.
    """
    names = schema_names()
    if name not in names:
        raise NotFound("schema", name, known=names)
    if name in DOCUMENTS:
        _, kind, mode = DOCUMENTS[name]
        made = schema_of(kind, mode)
    elif name == EVENTS:
        made = events_schema()
    else:
        kinds = (ErrorAnswer,) if name == ERROR else ANSWERS[name]
        made = either([schema_of(kind) for kind in kinds])
    return whole(made, name=name, version=VERSION, title=names[name][1])
