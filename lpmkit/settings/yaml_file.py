"""YAML files that people write, read as a model: what is wrong is reported with line and key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lpmkit.errors import SiteFileError

Settings = TypeVar("Settings", bound=BaseModel)


#: Parts of the YAML parser's messages that quote values of the file.
_VALUES = re.compile(r" with value .*|(?<=undefined alias) .*", re.DOTALL)


def read_settings(path: Path, model: type[Settings], holds: str, what: str | None = None) -> Settings:
    """Read a YAML file as a model; ``holds`` describes its expected content.

    Raises `SiteFileError` with line and key of everything that is wrong. Messages of the parsers are not chained to it,
    because they quote the file, which may contain a password, and a traceback stays in a saved notebook.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SiteFileError(str(path), [f"it is not UTF-8 text: {error.reason}"], what=what) from None
    except OSError as error:
        raise SiteFileError(str(path), [f"it cannot be read: {error.strerror}"], what=what) from error
    data = parse_yaml(text, str(path), what=what)
    if not isinstance(data, Mapping):
        raise SiteFileError(str(path), [f"line 1: it should hold {holds}"], what=what)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SiteFileError(str(path), _problems(data, error), what=what) from None
    except RecursionError:
        raise SiteFileError(str(path), ["it is nested too deep"], what=what) from None


def _problems(data: Any, error: ValidationError) -> list[str]:
    """The problems of a file, with line and key: keys that are missing beside keys that do not exist in one sentence,
    because the one is mostly meant by the other.
    """
    items = [item for item in error.errors() if item["type"] != "too_short" or not _lies_within(item["loc"], error)]
    missing, strange = _keys_of(items, "missing"), _keys_of(items, "extra_forbidden")
    problems: list[str] = []
    told: set[tuple[int | str, ...]] = set()
    for item in items:
        place = tuple(item["loc"])
        part = place[:-1]
        if item["type"] not in ("missing", "extra_forbidden"):
            problems.append(f"line {_line(data, place)}, {_key(place)}: {item['msg']}")
        elif part in missing and part in strange:
            if part not in told:
                told.add(part)
                problems.append(_misnamed(data, part, missing[part], strange[part]))
        else:
            says = "there is no such key" if item["type"] == "extra_forbidden" else "this key is missing"
            problems.append(f"line {_line(data, place)}, {_key(place)}: {says}")
    return problems


def _lies_within(place: tuple[int | str, ...], error: ValidationError) -> bool:
    """True if a member of this part is wrong too: a list is too short for pydantic without its wrong members."""
    return any(len(item["loc"]) > len(place) and item["loc"][: len(place)] == place for item in error.errors())


def _keys_of(items: Sequence[Any], kind: str) -> dict[tuple[int | str, ...], list[str]]:
    """The last keys of the problems of a kind, by the part of the file that they belong to."""
    keys: dict[tuple[int | str, ...], list[str]] = {}
    for item in items:
        if item["type"] == kind:
            keys.setdefault(tuple(item["loc"][:-1]), []).append(str(item["loc"][-1]))
    return keys


def _misnamed(data: Any, part: tuple[int | str, ...], lacks: Sequence[str], odd: Sequence[str]) -> str:
    are = "is not a key" if len(odd) == 1 else "are not keys"
    hint = f". Did you mean {_quoted(lacks)}?" if len(lacks) == len(odd) == 1 else ""
    return f"line {_line(data, (*part, odd[0]))}: {_part(part)} has no {_quoted(lacks)}; {_quoted(odd)} {are}{hint}"


def _quoted(keys: Sequence[str]) -> str:
    return ", ".join(map(repr, keys))


def _part(place: tuple[int | str, ...]) -> str:
    """A part of a file in words; members of a list count from 1.

    >>> _part(("moves", 0)), _part(("frames", "p8a")), _part(())
    ('move 1', 'frames.p8a', 'the file')
    """
    if len(place) == 2 and isinstance(place[1], int):
        return f"{str(place[0]).removesuffix('s')} {place[1] + 1}"
    return _key(place) if place else "the file"


def parse_yaml(text: str, where: str, *, what: str | None = None, typ: str = "rt") -> Any:
    """Parse a YAML text written by a person. Raises `SiteFileError` for anything the parser rejects or crashes on."""
    try:
        return YAML(typ=typ, pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = _VALUES.sub("", error.problem or "it is not YAML")
        raise SiteFileError(where, [f"line {line}: {problem}"], what=what) from None
    except YAMLError as error:
        raise SiteFileError(where, [f"it is not YAML: {error}"], what=what) from None
    except RecursionError:
        raise SiteFileError(where, ["it is nested too deep"], what=what) from None
    except Exception as error:  # noqa: BLE001 - the parser raises TypeError, ValueError and others for odd files
        raise SiteFileError(where, [f"it cannot be understood ({type(error).__name__})"], what=what) from None


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _line(data: Any, location: tuple[int | str, ...]) -> int:
    """Line of the innermost existing key, from 1; a missing key has the line of its parent."""
    line = 1
    for part in location:
        if isinstance(data, CommentedMap) and part in data:
            line = data.lc.key(part)[0] + 1
        elif isinstance(data, CommentedSeq) and isinstance(part, int) and part < len(data):
            line = data.lc.item(part)[0] + 1
        else:
            break
        data = data[part]
    return line
