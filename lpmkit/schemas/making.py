"""JSON Schemas from the types that lpmkit writes and reads.

A schema is made by pydantic from a dataclass, a model or a `TypedDict`, and closed: an object has the keys that its
type has, and all that its type requires. Only a value whose type is an open mapping (such as the facts of a finding)
takes keys that are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

# A TypedDict that is made here needs the one that pydantic can read on every Python that lpmkit runs on.
from typing_extensions import TypedDict

from lpmkit.json_values import JsonObject

#: The dialect of the schemas.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Mode = Literal["validation", "serialization"]


class _Written(GenerateJsonSchema):
    """The schema of what lpmkit writes: a field that has a default is written too."""

    def field_is_required(
        self,
        field: Any,
        total: bool,
    ) -> bool:
        """See `GenerateJsonSchema.field_is_required`."""
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return True
        return bool(super().field_is_required(field, total))


def schema_of(kind: Any, mode: Mode = "serialization") -> JsonObject:
    """The closed schema of a type: as lpmkit writes it, or for ``validation`` as a person may write it.

    >>> schema_of(TypedDict("Place", {"frame": str}))["additionalProperties"]
    False
    """
    made: JsonObject = TypeAdapter(kind).json_schema(mode=mode, schema_generator=_Written)
    closed: JsonObject = _closed(made)
    return closed


def _closed(node: Any) -> Any:
    """A part of a schema with its objects closed, and without titles that only repeat the keys."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(value) for name, value in node.items() if name != "properties"}
    if isinstance(node.get("properties"), dict):
        # under this name the keys are those of the object, whatever they are called
        closed["properties"] = {name: _untitled(_closed(value)) for name, value in node["properties"].items()}
        closed.setdefault("additionalProperties", False)
    return closed


def _untitled(schema: Any) -> Any:
    return {name: value for name, value in schema.items() if name != "title"} if isinstance(schema, dict) else schema


def extended(base: type, title: str, **more: Any) -> Any:
    """The type of an object with the fields of a dataclass or the keys of a `TypedDict`, and ``more`` keys.

    >>> from lpmkit.account.person import Person
    >>> sorted(schema_of(extended(Person, "Author", at=int))["properties"])
    ['account', 'at', 'known_by', 'login']
    """
    return with_keys(title, {**_hints(base), **more})


def flat_row(base: type, title: str, before: Mapping[str, Any], without: str = "") -> Any:
    """The type of a row of a table: the keys ``before``, then the fields of a dataclass, whose lists are texts.

    ``without`` is the field that is among ``before`` under another name.
    """
    hints = {field: _cell(hint) for field, hint in _hints(base).items() if field != without}
    return with_keys(title, {**before, **hints})


def _cell(hint: Any) -> Any:
    if get_origin(hint) is tuple:
        return str
    return hint if tuple not in {get_origin(part) for part in getattr(hint, "__args__", ())} else str | None


def _hints(base: type) -> dict[str, Any]:
    hints = get_type_hints(base, include_extras=True)
    return {field.name: hints[field.name] for field in fields(base)} if hasattr(base, "__dataclass_fields__") else hints


def many(kind: Any) -> Any:
    """The type of a list of a type that was made here, which a type checker cannot know."""
    return list[kind]


def with_keys(title: str, hints: Mapping[str, Any]) -> Any:
    """The type of an object with these keys."""
    made: Any = TypedDict
    return made(title, dict(hints))


def whole(schema: JsonObject, *, name: str, version: int, title: str) -> JsonObject:
    """A schema as a document of its own, with dialect, identifier and title."""
    rest = {key: value for key, value in schema.items() if key not in ("title", "$schema", "$id")}
    return {
        "$schema": DIALECT,
        "$id": f"urn:lpmkit:schema:{version}:{name.replace(chr(32), chr(45))}",
        "title": title,
        **rest,
    }


def either(schemas: list[JsonObject]) -> JsonObject:
    """The schema of a value that fits one of several; their definitions are put together."""
    if len(schemas) == 1:
        return schemas[0]
    definitions: JsonObject = {}
    parts = []
    for schema in schemas:
        for name, definition in schema.get("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise AssertionError(f"two definitions are called {name}")
        parts.append({key: value for key, value in schema.items() if key != "$defs"})
    return {"anyOf": parts, **({"$defs": definitions} if definitions else {})}
