"""What rows of the system log and short dumps mean: rules are data (``rules.yaml``), and a site may put its own before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from math import sqrt
from pathlib import Path
from typing import Any

from lpmkit.config import parse_yaml
from lpmkit.errors import SiteFileError
from lpmkit.sap.model import Dump, LogEntry

_NEEDED = {"key", "class", "reason", "source"}
_MORE = {"numbers", "errors", "contains", "unless_followed_by", "above_usual", "mark"}
#: A run-time error's name in a row of the log: ``Run-time error "TIME_OUT" occurred``.
_NAMED = re.compile(r'"([A-Z][A-Z0-9_]{3,})"')


class Class(Enum):
    """What a row means for the move, gravest first."""

    FAIL = "fail"
    WARN = "warn"
    EXPECTED = "expected"
    ROUTINE = "routine"
    UNKNOWN = "unknown"


_GRAVITY = {meaning: place for place, meaning in enumerate(Class)}
_LESS = {Class.FAIL: Class.WARN, Class.WARN: Class.ROUTINE}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table; see the head of ``rules.yaml``."""

    key: str
    meaning: Class
    reason: str
    source: str
    numbers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    unless_followed_by: str = ""
    above_usual: bool = False
    mark: str = "U"

    def fits(self, row: LogEntry | Dump) -> bool:
        if isinstance(row, Dump):
            return any(fnmatchcase(row.error, pattern) for pattern in self.errors)
        if any(fnmatchcase(row.number, pattern) for pattern in self.numbers):
            return not self.contains or any(text in row.text for text in self.contains)
        named = _NAMED.search(row.text)
        specific = [pattern for pattern in self.errors if pattern != "*"]
        return named is not None and any(fnmatchcase(named[1], pattern) for pattern in specific)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a rule applied after the move, and the first row that it applied to. ``usual`` is how many came in the hour before."""

    key: str
    meaning: Class
    reason: str
    count: int
    usual: int
    example: str


class Rules:
    """The table, and a site's own rules before it."""

    def __init__(self, rules: Iterable[Rule], own: Iterable[Rule] = ()) -> None:
        self.own = tuple(own)
        self.rules = tuple(sorted(rules, key=lambda rule: _GRAVITY[rule.meaning]))

    @classmethod
    def standard(cls, own: Path | None = None) -> Rules:
        """lpmkit's table; with ``own`` a site's rules before it. Raises `SiteFileError` naming the rule that cannot be."""
        return cls(_standard(), read_rules(own) if own else ())

    def rule_for(self, row: LogEntry | Dump) -> Rule | None:
        """The rule that decides; ``None`` where none fits."""
        return next((rule for rule in (*self.own, *self.rules) if rule.fits(row)), None)

    def tallies(
        self, rows: Sequence[LogEntry | Dump], usual: Sequence[LogEntry | Dump], hours: float
    ) -> tuple[Tally, ...]:
        """What the rows of a window mean, held against those of the hour before it. ``hours`` is how long the window was."""
        found: dict[str, tuple[Rule | None, list[LogEntry | Dump]]] = {}
        for row in rows:
            rule = self.rule_for(row)
            key = rule.key if rule else f"unknown {_code(row)}"
            found.setdefault(key, (rule, []))[1].append(row)
        before = [self.rule_for(row) for row in usual]
        tallies = [
            _tally(key, rule, here, rows, sum(one is not None and one.key == key for one in before), hours)
            for key, (rule, here) in found.items()
        ]
        return tuple(sorted(tallies, key=lambda one: (_GRAVITY[one.meaning], -one.count)))


def _tally(
    key: str,
    rule: Rule | None,
    here: Sequence[LogEntry | Dump],
    all_rows: Sequence[LogEntry | Dump],
    usual: int,
    hours: float,
) -> Tally:
    shown = describe(here[0])
    if rule is None:
        return Tally(key, Class.UNKNOWN, "a message that no rule knows", len(here), usual, shown)
    meaning, reason = rule.meaning, rule.reason
    if rule.above_usual:
        expected = usual * max(hours, 1 / 60)
        if len(here) <= expected + 2 * sqrt(expected):
            meaning, reason = Class.ROUTINE, f"{reason}; as often as before"
    if rule.unless_followed_by and all(_followed(row, rule.unless_followed_by, all_rows) for row in here):
        meaning, reason = _LESS.get(meaning, meaning), f"{reason}; {rule.unless_followed_by} followed each"
    return Tally(key, meaning, reason, len(here), usual, shown)


def _followed(row: LogEntry | Dump, number: str, rows: Sequence[LogEntry | Dump]) -> bool:
    """Whether a row of that number, of the same type and user, comes later in the log."""
    at = next((place for place, one in enumerate(rows) if one is row), len(rows))
    return isinstance(row, LogEntry) and any(
        isinstance(one, LogEntry) and one.number == number and (one.type, one.user) == (row.type, row.user)
        for one in rows[at + 1 :]
    )


def _code(row: LogEntry | Dump) -> str:
    return (row.error or "dump") if isinstance(row, Dump) else (row.number or "row")


def describe(row: LogEntry | Dump) -> str:
    """A row as a person reads it."""
    at = f"{row.at:%H:%M:%S}" if row.at else "?"
    if isinstance(row, Dump):
        return f"{at} {row.error or 'a dump without a name'} of {row.user} on {row.host}"
    return f"{at} {row.number} {row.text} ({row.user})"


@lru_cache(maxsize=1)
def _standard() -> tuple[Rule, ...]:
    return read_rules(Path(__file__).with_name("rules.yaml"))


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file. Raises `SiteFileError` with every rule that cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise SiteFileError(str(path), [str(trouble)]) from trouble
    rows = parse_yaml(text, str(path), what="the file of rules", typ="safe") or []
    if not isinstance(rows, list):
        raise SiteFileError(str(path), ["a list of rules was expected"])
    rules: list[Rule] = []
    problems: list[str] = []
    for number, row in enumerate(rows, 1):
        try:
            rules.append(_rule(row))
        except (ValueError, TypeError, KeyError, AttributeError) as trouble:
            problems.append(f"rule {number} ({row.get('key') if isinstance(row, dict) else row}): {trouble}")
    keys = [rule.key for rule in rules]
    problems += [f"the key {key!r} stands there twice" for key in sorted({one for one in keys if keys.count(one) > 1})]
    if problems:
        raise SiteFileError(str(path), problems)
    return tuple(rules)


def _rule(row: Mapping[str, Any]) -> Rule:
    if missing := _NEEDED - set(row):
        raise ValueError(f"missing: {', '.join(sorted(missing))}")
    if unknown := set(row) - _NEEDED - _MORE:
        raise ValueError(f"not known: {', '.join(sorted(unknown))}")
    meaning = Class(row["class"])
    if meaning is Class.UNKNOWN:
        raise ValueError("no rule has the class unknown")
    if not {"numbers", "errors"} & set(row):
        raise ValueError("it says neither numbers nor errors, and would fit everything")
    return Rule(
        key=str(row["key"]),
        meaning=meaning,
        reason=str(row["reason"]),
        source=str(row["source"]),
        numbers=_texts(row, "numbers"),
        errors=_texts(row, "errors"),
        contains=_texts(row, "contains"),
        unless_followed_by=str(row.get("unless_followed_by", "")),
        above_usual=bool(row.get("above_usual", False)),
        mark=str(row.get("mark", "U")),
    )


def _texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = row.get(name) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{name} is a list of texts")
    return tuple(texts)
