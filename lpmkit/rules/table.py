"""A YAML table of rules that classify another program's messages; the site's own rules come before lpmkit's.

Each rule has a key, a class, a reason and a source, and fields that select messages. Of lpmkit's matching rules the
gravest applies; of the site's own the first in its file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from lpmkit.errors import SiteFileError
from lpmkit.json_values import JsonMapping
from lpmkit.settings.yaml_file import parse_yaml

#: The words for such a file in an error.
RULES_FILE = "the rules file"
_NEEDED = frozenset({"key", "class", "reason", "source"})


class Class(Enum):
    """The meaning of a message for the move, gravest first."""

    FAIL = "fail"
    WARN = "warn"
    EXPECTED = "expected"
    ROUTINE = "routine"
    UNKNOWN = "unknown"  #: no rule knows it
    OTHER = "other"  #: no rule knows it, and it holds no code that a rule could know


GRAVITY: Mapping[Class, int] = {meaning: place for place, meaning in enumerate(Class)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRule:
    """The fields of every rule. ``mark`` is the confidence in its source."""

    key: str
    meaning: Class
    reason: str
    source: str
    mark: str = "U"


Rule = TypeVar("Rule", bound=BaseRule)


@dataclass(frozen=True, slots=True, eq=False)
class RuleForm(Generic[Rule]):
    """The form of a table's rules: fields with their readers, and those of which a rule needs at least one."""

    rule: Callable[..., Rule]
    fields: Mapping[str, Callable[[Any], Any]]
    choosing: tuple[str, ...]

    def parse(self, text: str, where: str) -> tuple[Rule, ...]:
        """Parse the text of a rules file. Raises `SiteFileError` with every invalid rule."""
        rows = parse_yaml(text, where, what=RULES_FILE, typ="safe") or []
        if not isinstance(rows, list):
            raise SiteFileError(where, ["a list of rules was expected"], what=RULES_FILE)
        rules: list[Rule] = []
        problems: list[str] = []
        for number, row in enumerate(rows, 1):
            try:
                rules.append(self._rule(row))
            except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
                problems.append(f"rule {number} ({row.get('key') if isinstance(row, dict) else row}): {error}")
        keys = [rule.key for rule in rules]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        problems += [f"the key {key!r} is used twice" for key in twice]
        if problems:
            raise SiteFileError(where, problems, what=RULES_FILE)
        return tuple(rules)

    def read(self, path: Path) -> tuple[Rule, ...]:
        """The rules of a file. Raises as `parse`, also for a file that cannot be read."""
        return self.parse(_text(path), str(path))

    def checked_text(self, path: Path | None) -> str | None:
        """The text of a valid rules file, to be stored in a run; ``None`` without a file. Raises as `read`."""
        if path is None:
            return None
        text = _text(path)
        self.parse(text, str(path))
        return text

    def _rule(self, row: JsonMapping) -> Rule:
        if missing := _NEEDED - set(row):
            raise ValueError(f"missing: {', '.join(sorted(missing))}")
        if unknown := set(row) - _NEEDED - {"mark", *self.fields}:
            raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
        meaning = Class(row["class"])
        if meaning in (Class.UNKNOWN, Class.OTHER):
            raise ValueError(f"no rule has the class {meaning.value}")
        values = {name: self._value(row, name) for name in self.fields if name in row}
        if not set(self.choosing) & set(values):
            raise ValueError(f"it has none of {', '.join(self.choosing)}, so it would match everything")
        common = {name: str(row[name]) for name in ("key", "reason", "source", "mark") if name in row}
        return self.rule(**common, meaning=meaning, **values)

    def _value(self, row: JsonMapping, name: str) -> Any:
        try:
            return self.fields[name](row[name])
        except (ValueError, TypeError, KeyError, re.error) as error:
            raise ValueError(f"{name}: {error}") from error


def texts(value: object) -> tuple[str, ...]:
    """A field that is a list of texts. Raises `ValueError` for anything else."""
    rows = value or []
    if not isinstance(rows, list) or not all(isinstance(text, str) and text for text in rows):
        raise ValueError("a list of texts was expected")
    return tuple(rows)


def flag(value: object) -> bool:
    """A field that is true or false. Raises `ValueError` for anything else."""
    if not isinstance(value, bool):
        raise ValueError("true or false was expected")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SiteFileError(str(path), [f"it cannot be read: {error.strerror or error}"], what=RULES_FILE) from error
    except UnicodeDecodeError as error:
        raise SiteFileError(str(path), [f"it is not UTF-8: {error}"], what=RULES_FILE) from error


class RuleTable(Generic[Rule]):
    """lpmkit's rules by gravity, and a site's own before them."""

    form: ClassVar[RuleForm[Any]]
    #: The file of lpmkit's own rules.
    file: ClassVar[Path]

    def __init__(self, rules: Iterable[Rule], own: Iterable[Rule] = ()) -> None:
        self.own = tuple(own)
        self.rules = tuple(sorted(rules, key=lambda rule: GRAVITY[rule.meaning]))

    @classmethod
    def standard(cls, own: Path | None = None) -> Self:
        """lpmkit's table; with ``own`` the rules of a site's file before it. Raises `SiteFileError` for an invalid
        file.

        """
        return cls(_standard(cls.form, cls.file), cls.form.read(own) if own else ())

    @classmethod
    def kept(cls, text: str | None) -> tuple[Self, str]:
        """The table with the site's own rules from a run's stored text, and the reason if they had to be left out."""
        try:
            own = cls.form.parse(text, "the site's rules in this run") if text else ()
        except SiteFileError as error:
            return cls.standard(), str(error)
        return cls(_standard(cls.form, cls.file), own), ""

    def __iter__(self) -> Iterator[Rule]:
        return iter((*self.own, *self.rules))


@lru_cache(maxsize=8)
def _standard(form: RuleForm[Any], file: Path) -> tuple[Any, ...]:
    return form.read(file)
