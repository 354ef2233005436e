"""The meaning of rows of the system log and of short dumps: rules are data (``rules.yaml``), and a site may put its
own before them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lpmkit.rules.table import GRAVITY, BaseRule, Class, RuleForm, RuleTable, flag, texts
from lpmkit.rules.trouble import in_system_log
from lpmkit.rules.usual import RARE, chance_of, held_against_usual
from lpmkit.sap.model import Colour, Dump, LogEntry

#: A run-time error's name in a row of the log: ``Run-time error "TIME_OUT" occurred``.
_NAMED = re.compile(r'"([A-Z][A-Z0-9_]{3,})"')


#: The length of the log before the record that says what is usual, hours.
USUAL_H = 1.0
#: A routine entry that comes so often, and more often than chance explains, is reported: a burst of rollbacks is none.
BURST = 20
_LESS = {Class.FAIL: Class.WARN, Class.WARN: Class.ROUTINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class SapRule(BaseRule):
    """One line of the table; see the head of ``rules.yaml``."""

    numbers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    unless_followed_by: str = ""
    above_usual: bool = False

    def fits(self, row: LogEntry | Dump) -> bool:
        if isinstance(row, Dump):
            return any(fnmatchcase(row.error, pattern) for pattern in self.errors)
        if any(fnmatchcase(row.number, pattern) for pattern in self.numbers):
            return not self.contains or any(text.casefold() in row.text.casefold() for text in self.contains)
        named = _NAMED.search(row.text)
        specific = [pattern for pattern in self.errors if pattern != "*"]
        return named is not None and any(fnmatchcase(named[1], pattern) for pattern in specific)


@dataclass(frozen=True, slots=True)
class SapTally:
    """The number of times that a rule applied after the move, and its first row.

    ``usual`` is the number in the hour before; ``speaks_of_trouble`` tells it of entries that no rule knows: SAP rates
    them yellow or red, or their words do.
    """

    key: str
    meaning: Class
    reason: str
    count: int
    usual: int
    example: str
    speaks_of_trouble: bool = False


@dataclass(frozen=True, slots=True)
class EarlierRows:
    """The rows of the log as it was before the record, and the hours that they are of."""

    rows: Sequence[LogEntry | Dump]
    hours: float


@dataclass(frozen=True, slots=True)
class _Usual:
    """The number of rows of one kind in the hour before, and in the whole log before."""

    in_the_hour: int
    in_the_log: int
    hours: float

    def chance_of(self, count: int, hours: float) -> float:
        return max(
            chance_of(count, hours, self.in_the_hour, USUAL_H), chance_of(count, hours, self.in_the_log, self.hours)
        )


class SapRules(RuleTable[SapRule]):
    """The table for the system log and short dumps."""

    form = RuleForm(
        SapRule,
        {"numbers": texts, "errors": texts, "contains": texts, "unless_followed_by": str, "above_usual": flag},
        choosing=("numbers", "errors"),
    )
    file = Path(__file__).with_name("rules.yaml")

    def rule_for(self, row: LogEntry | Dump) -> SapRule | None:
        """The rule that decides; ``None`` where none fits."""
        return next((rule for rule in self if rule.fits(row)), None)

    def tallies(
        self,
        rows: Sequence[LogEntry | Dump],
        usual: Sequence[LogEntry | Dump],
        hours: float,
        earlier: EarlierRows | None = None,
    ) -> tuple[SapTally, ...]:
        """The meaning of the rows of a window, held against those of the hour before it and of the whole log before it:
        what either explains is as usual.

        ``hours`` is the length of the window.
        """
        found: dict[_Kind, tuple[SapRule | None, list[LogEntry | Dump]]] = {}
        for row in rows:
            rule = self.rule_for(row)
            found.setdefault(_kind(rule, row), (rule, []))[1].append(row)
        before = Counter(_kind(self.rule_for(row), row) for row in usual)
        long_before = Counter(_kind(self.rule_for(row), row) for row in earlier.rows) if earlier else Counter()
        length = earlier.hours if earlier else 0.0
        tallies = [
            _tally(
                kind,
                rule,
                here,
                rows,
                _Usual(before[kind], long_before[kind], length),
                hours,
                of_the_site=rule in self.own,
            )
            for kind, (rule, here) in found.items()
        ]
        return tuple(sorted(tallies, key=lambda tally: (GRAVITY[tally.meaning], -tally.count)))


#: A kind of row: the key of its rule, or its code; and whether it speaks of trouble, where no rule knows it.
_Kind = tuple[str, bool]


def _tally(
    kind: _Kind,
    rule: SapRule | None,
    here: Sequence[LogEntry | Dump],
    all_rows: Sequence[LogEntry | Dump],
    usual: _Usual,
    hours: float,
    *,
    of_the_site: bool,
) -> SapTally:
    shown, reason = describe(here[0]), rule.reason if rule else "a message that no rule knows"
    meaning = rule.meaning if rule else Class.UNKNOWN
    chance = usual.chance_of(len(here), max(hours, 1 / 60))
    if rule is None or rule.above_usual:
        meaning = held_against_usual(meaning, chance)
        if meaning is Class.UNKNOWN and chance >= RARE:
            meaning, reason = Class.WARN, f"{reason}; it came before, seldom"
        if meaning is Class.ROUTINE:
            reason = f"{reason}; as often as before"
    elif meaning is Class.ROUTINE and not of_the_site and len(here) >= BURST and chance < RARE:
        meaning, reason = Class.WARN, f"{reason}; but not as often"
    if (
        rule is not None
        and rule.unless_followed_by
        and all(_followed(row, rule.unless_followed_by, all_rows) for row in here)
    ):
        meaning, reason = _LESS.get(meaning, meaning), f"{reason}; {rule.unless_followed_by} followed each"
    return SapTally(kind[0], meaning, reason, len(here), usual.in_the_hour, shown, kind[1])


def _followed(row: LogEntry | Dump, number: str, rows: Sequence[LogEntry | Dump]) -> bool:
    """True if a row of that number, of the same type and user, comes later in the log."""
    at = next((place for place, one in enumerate(rows) if one is row), len(rows))
    return isinstance(row, LogEntry) and any(
        isinstance(one, LogEntry) and one.number == number and (one.type, one.user) == (row.type, row.user)
        for one in rows[at + 1 :]
    )


def _kind(rule: SapRule | None, row: LogEntry | Dump) -> _Kind:
    return (rule.key, False) if rule else (f"unknown {_code(row)}", _speaks_of_trouble(row))


def _speaks_of_trouble(row: LogEntry | Dump) -> bool:
    """True for trouble by SAP's own rating, which no language changes, or by the words."""
    if isinstance(row, Dump):
        return True
    return row.colour in (Colour.YELLOW, Colour.RED) or in_system_log(row.text)


def _code(row: LogEntry | Dump) -> str:
    return (row.error or "dump") if isinstance(row, Dump) else (row.number or "row")


def describe(row: LogEntry | Dump) -> str:
    """A row as a person reads it."""
    at = f"{row.at:%H:%M:%S}" if row.at else "?"
    if isinstance(row, Dump):
        return f"{at} {row.error or 'a dump without a name'} of {row.user} on {row.host}"
    return f"{at} {row.number} {row.text} ({row.user})"
