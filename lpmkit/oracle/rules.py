r"""The meaning of the events of an alert log: rules are data (``rules.yaml``), and judging is counting.

>>> from lpmkit.oracle.alert_log import read_alert_log
>>> rules = LogRules.standard()
>>> log = "Fri Aug 15 14:27:20 2003\nORA-600: internal error code, arguments: [kcbz_1], [2]\n"
>>> found = rules.classify(*read_alert_log(log))
>>> found.meaning, found.rule.key, found.codes, found.argument
(<Class.FAIL: 'fail'>, 'internal-error', ('ORA-00600',), 'kcbz_1')

Of the rules that fit the gravest counts. A site's own rules are asked first, and the first of them that fits decides.
An event that no rule knows is `Class.UNKNOWN`, not harmless, when it holds a code or a word of trouble, else
`Class.OTHER`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lpmkit.json_values import JsonMapping
from lpmkit.oracle.alert_log import EventKind, LogEvent
from lpmkit.oracle.stamps import Moment, instants, moved
from lpmkit.rules.table import BaseRule, Class, RuleForm, RuleTable, flag, texts
from lpmkit.rules.trouble import ENGLISH

#: Bare forms of a code: (text before the number, family).
BARE_FORMS = (
    (r"due to (?:ORA )?error ", "ORA"),
    (r"Error (?=\d+ (?:archiving|for archive|received|[Cc]reating|[Cc]losing|signalled))", "ORA"),
    (r"Fatal NI connect error ", "TNS"),
)
_FAMILIES = ("ORA", "TNS", "CRS", "RMAN", "NZE", "LRM", "KUP", "OPW")
_BEGINNINGS = tuple(f"{family}-" for family in _FAMILIES)
_CODE = re.compile(rf"\b({'|'.join(_FAMILIES)})-0*(\d{{1,6}})\b")
_BARE = tuple((re.compile(before + r"0*(\d{1,6})\b"), family) for before, family in BARE_FORMS)
_PROBLEM = re.compile(rf"^({'|'.join(_FAMILIES)})[ -]0*(\d{{1,6}})\b")
_CUT_CODE = re.compile(rf"(?:\b(?:{'|'.join(_FAMILIES)})-|rror )\d*$")
_ARGUMENT = re.compile(r"ORA-0*(?:600|7445|700)\b[^\[]*\[([^\]]*)\]")
_INCIDENT = re.compile(r"\(incident=(\d+)\)")
_CLIENT = re.compile(r"(?m)Client address:\s*(\(.*\)|\S+)|^\s*(\(ADDRESS ?=.*\))|\(HOST=([^)]+)\)\(PORT=\d+\)")
#: The greatest age of the stamp above an entry of a trace: a trace is stamped when something else than VKTM's
#: own lines is written.
STAMP_AGE = timedelta(days=2)
_SHAPED = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|/\S+|\b(?=\w*\d)\w+")
#: The types under which Oracle itself files an entry as an error, whatever its words (`ORACLE-REF`, V$DIAG_ALERT_EXT).
ERROR_TYPES = ("INCIDENT_ERROR", "ERROR")
#: The length of the part of a line that shows what it speaks of.
MAX_SHAPE = 120
#: The number and the length of the texts of lines that are remembered with what was found in them.
MAX_KNOWN_TEXTS, MAX_KNOWN_TEXT = 4096, 1000
_DIGIT, _WITHOUT_DIGITS = re.compile(r"[0-9]"), dict.fromkeys(map(ord, "0123456789"))
_PER_SECOND = {"us": 1_000_000, "ms": 1000, "s": 1}


@dataclass(frozen=True, slots=True)
class Measure:
    """The way to read a length of time off an event, in units of which ``per_second`` make a second."""

    pattern: re.Pattern[str]
    per_second: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRule(BaseRule):
    """One line of the table; see the head of ``rules.yaml``."""

    codes: frozenset[str] = frozenset()
    contains: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    unless: tuple[str, ...] = ()
    calm: bool = False
    above_usual: bool = False
    unless_usual: bool = False
    quotes: bool = False
    crowd: int = 0
    measures: Measure | None = None
    members: re.Pattern[str] | None = None

    def fits(self, text: str, codes: Sequence[str]) -> bool:
        hit = any(code in self.codes for code in codes) if codes else False
        if not hit:
            hit = any(part in text for part in self.contains) if self.contains else not self.codes
        return (
            hit
            and (self.pattern is None or self.pattern.search(text) is not None)
            and not any(part in text for part in self.unless)
        )


@dataclass(frozen=True, slots=True)
class Witness:
    """A length of time that the database measured itself, with the resolution that it prints; negative for a jump
    backward.

    ``at`` is the instant that the line itself prints, where it can be believed: the stamp above it may be hours older.
    """

    what: str
    seconds: float
    resolution_s: float
    at: datetime | None = None

    def __str__(self) -> str:
        digits = {1.0: 0, 0.001: 3}.get(self.resolution_s, 6)
        return f"{self.what}: {self.seconds:.{digits}f} s"


@dataclass(frozen=True, slots=True)
class Classified:
    """An event with its meaning. ``rule`` is ``None`` where none fits."""

    event: LogEvent
    meaning: Class
    rule: LogRule | None
    codes: tuple[str, ...]
    witness: Witness | None = None

    @property
    def argument(self) -> str | None:
        """The first argument of an internal error."""
        return _first(_ARGUMENT, self.event.text)

    @property
    def incident(self) -> str | None:
        return _first(_INCIDENT, self.event.text)

    @property
    def client(self) -> str | None:
        """The client of the session, as the block names it."""
        return _first(_CLIENT, self.event.text)


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return next((group for group in match.groups() if group), None) if match else None


def normalised(family: str, number: str) -> str:
    """A code with five digits.

    >>> normalised("ORA", "600"), normalised("TNS", "00505")
    ('ORA-00600', 'TNS-00505')
    """
    return f"{family}-{int(number):05}"


def _may_hold_a_code(text: str) -> bool:
    if "-" not in text:
        return False
    # A plain loop is several times as fast as the pattern, and this is asked of every event.
    for beginning in _BEGINNINGS:  # noqa: SIM110 - and faster than a generator
        if beginning in text:
            return True
    return False


def codes_in(text: str) -> tuple[str, ...]:
    """Every code of a text once, in their order; a code 0 is none.

    >>> codes_in("ORA-3136 and ORA-03136, Result = ORA-0")
    ('ORA-03136',)
    >>> codes_in("PMON: terminating the instance due to error 600"), codes_in("Fatal NI connect error 12170.")
    (('ORA-00600',), ('TNS-12170',))
    """
    found = [normalised(family, number) for family, number in _CODE.findall(text)] if _may_hold_a_code(text) else []
    if "rror " in text:
        found += [normalised(family, number) for pattern, family in _BARE for number in pattern.findall(text)]
    return tuple(dict.fromkeys(code for code in found if not code.endswith("-00000")))


def codes_of_problem(key: str) -> tuple[str, ...]:
    """The code of a problem key, under which Oracle files an incident (`ORACLE-REF`, V$DIAG_ALERT_EXT).

    >>> codes_of_problem("ORA 7445 [kglic0()+1100]"), codes_of_problem("")
    (('ORA-07445',), ())
    """
    return tuple(normalised(family, number) for family, number in _PROBLEM.findall(key))


def _codes(entry: str) -> list[str]:
    """One code, or a range of them.

    >>> _codes("ORA-600"), _codes("CRS-1609..CRS-1611")
    (['ORA-00600'], ['CRS-01609', 'CRS-01610', 'CRS-01611'])
    """
    ends = [_CODE.fullmatch(part.strip()) for part in entry.split("..")]
    if not 1 <= len(ends) <= 2 or not all(ends):
        raise ValueError(f"{entry!r} is not a code such as ORA-00600 or a range of them")
    first, last = ends[0], ends[-1]
    assert first is not None
    assert last is not None
    return [normalised(first[1], str(number)) for number in range(int(first[2]), int(last[2]) + 1)]


def _code_set(value: Any) -> frozenset[str]:
    return frozenset(code for entry in texts(value) for code in _codes(entry))


def _measure(row: JsonMapping) -> Measure:
    pattern = re.compile(row["pattern"])
    if "amount" not in pattern.groupindex:
        raise ValueError("the pattern of measures has no group 'amount'")
    return Measure(pattern, _PER_SECOND[row["unit"]], str(row["what"]))


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that is known of a text without its digits: the rules of which a text is in it, whether it speaks of trouble;
    and, where that decides for any digits, the rule that fits it without a code.
    """

    near: tuple[int, ...]
    speaks_of_trouble: bool
    is_decided: bool
    rule: LogRule | None


def _members(value: Any) -> re.Pattern[str]:
    pattern = re.compile(value)
    if "members" not in pattern.groupindex:
        raise ValueError("the pattern has no group 'members'")
    return pattern


class LogRules(RuleTable[LogRule]):
    """The table for the alert log."""

    form = RuleForm(
        LogRule,
        {
            "codes": _code_set,
            "contains": texts,
            "pattern": re.compile,
            "unless": texts,
            "calm": flag,
            "above_usual": flag,
            "unless_usual": flag,
            "quotes": flag,
            "crowd": int,
            "measures": _measure,
            "members": _members,
        },
        choosing=("codes", "contains", "pattern"),
    )
    file = Path(__file__).with_name("rules.yaml")

    def __init__(self, rules: Iterable[LogRule], own: Iterable[LogRule] = ()) -> None:
        # what lpmkit only warns of says nothing where it comes as often as ever; a site's own rules are as they stand
        super().__init__((replace(rule, unless_usual=True) if _is_everyday(rule) else rule for rule in rules), own)
        texts = [(text, place) for place, rule in enumerate(self.rules) for text in rule.contains]
        self._texts = tuple(row for row in texts if not _DIGIT.search(row[0]))
        self._texts_with_digits = tuple(row for row in texts if _DIGIT.search(row[0]))
        self._known_texts: dict[str, _Seen] = {}
        self._open = tuple(place for place, rule in enumerate(self.rules) if not rule.contains and not rule.codes)
        self._quoting = frozenset(place for place, rule in enumerate(self.rules) if rule.quotes)
        self._by_code: dict[str, list[int]] = {}
        for place, rule in enumerate(self.rules):
            for code in rule.codes:
                self._by_code.setdefault(code, []).append(place)

    def classify(self, event: LogEvent) -> Classified:
        """The meaning of one event. A statement that the log quotes is text of an application and means nothing."""
        if event.kind is EventKind.STATEMENT:
            return Classified(event, Class.OTHER, None, ())
        text = event.text
        if not event.whole and (cut := _CUT_CODE.search(text)):
            return self._classified_cut(event, text[: cut.start()])
        codes = codes_in(text)
        if event.tags is not None and event.tags.problem:
            codes = tuple(dict.fromkeys((*codes, *codes_of_problem(event.tags.problem))))
        rule = self._rule_for(text, codes)
        if rule is not None and rule.quotes:
            return Classified(event, rule.meaning, rule, ())
        # asked for last: comparing rules is slow, and few events have a code
        is_covered = rule is not None and not (
            codes and rule.meaning is not Class.FAIL and self._grave(codes) and rule not in self.own
        )
        if rule is not None and is_covered:
            return Classified(event, rule.meaning, rule, codes, _measured(rule, event))
        # a code that no rule knows, and whose family is grave, is not covered by a milder rule for its neighbour
        codes = tuple(sorted(codes, key=lambda code: code not in self._grave(codes)))
        known = (
            codes or self._seen(text).speaks_of_trouble or (event.tags is not None and event.tags.type in ERROR_TYPES)
        )
        return Classified(event, Class.UNKNOWN if known else Class.OTHER, None, codes)

    def _seen(self, text: str) -> _Seen:
        """All that is known of a text: looked up once for lines that differ in their digits only, as most lines of a
        log do.
        """
        bare = text.translate(_WITHOUT_DIGITS)
        if (known := self._known_texts.get(bare)) is None:
            known = self._looked_at(bare)
            if len(bare) <= MAX_KNOWN_TEXT:
                if len(self._known_texts) >= MAX_KNOWN_TEXTS:
                    self._known_texts.clear()
                self._known_texts[bare] = known
        return known

    def _looked_at(self, bare: str) -> _Seen:
        near = tuple(place for part, place in self._texts if part in bare)
        speaks_of_trouble = trouble_in(bare) is not None
        rules = [self.rules[place] for place in sorted(near)]
        hangs_on_digits = (
            bool(self.own or self._open)
            or any(part.translate(_WITHOUT_DIGITS) in bare for part, _ in self._texts_with_digits)
            or any(rule.pattern or rule.quotes or _DIGIT.search("".join(rule.unless)) for rule in rules)
        )
        fitting = (rule for rule in rules if not (rule.calm and speaks_of_trouble) and rule.fits(bare, ()))
        return _Seen(near, speaks_of_trouble, not hangs_on_digits, None if hangs_on_digits else next(fitting, None))

    def _grave(self, codes: Sequence[str]) -> list[str]:
        return [code for code in codes if code not in self._by_code and severity_of(code) is Class.FAIL]

    def _classified_cut(self, event: LogEvent, text: str) -> Classified:
        """An event that ends in the middle of a code: ``ORA-0060`` may become ORA-00600.

        The rest of its text counts, else it is unknown.
        """
        codes = codes_in(text)
        rule = self._rule_for(text, codes)
        if rule is not None and rule.meaning in (Class.FAIL, Class.WARN):
            return Classified(event, rule.meaning, rule, codes, _measured(rule, event))
        return Classified(event, Class.UNKNOWN, None, codes)

    def _rule_for(self, text: str, codes: Sequence[str]) -> LogRule | None:
        seen = self._seen(text)
        if seen.is_decided and not codes:
            return seen.rule
        near, speaks_of_trouble = seen.near, seen.speaks_of_trouble
        for rule in self.own:
            if not (rule.calm and speaks_of_trouble) and rule.fits(text, codes):
                return rule
        for place in near:
            if place in self._quoting and self.rules[place].fits(text, codes):
                return self.rules[place]
        # Only rules of which a text or a code is there are asked in full: most lines of a log meet none.
        places = [*near, *self._open]
        places += [place for part, place in self._texts_with_digits if part in text]
        for code in codes:
            places += self._by_code.get(code, ())
        near_rules = [self.rules[place] for place in sorted(places)]
        fitting = (rule for rule in near_rules if not (rule.calm and speaks_of_trouble) and rule.fits(text, codes))
        return next((rule for rule in near_rules if rule.quotes and rule.fits(text, codes)), None) or next(
            fitting, None
        )


def _is_everyday(rule: LogRule) -> bool:
    return rule.meaning is Class.WARN and not rule.above_usual


def _measured(rule: LogRule, event: LogEvent) -> Witness | None:
    if rule.measures is None:
        return None
    match = rule.measures.pattern.search(event.text)
    if match is None or len(match["amount"]) > 15:
        return None
    groups = match.groupdict()
    sign = -1 if groups.get("direction") == "backward" else 1
    per_second = rule.measures.per_second
    at = believed(groups.get("at") or groups.get("at_us"), event.when)
    return Witness(rule.measures.what, sign * int(match["amount"]) / per_second, 1 / per_second, at)


#: Families of codes by what they are about (`ORACLE-REF`, the chapters of the error messages): control files, redo,
#: background processes, data files and recovery,
#: ASM, the operating system's files, and the cluster. Everything else concerns statements, sessions and services.
_GRAVE_FAMILIES = (
    (200, 239),
    (300, 380),
    (443, 490),
    (600, 603),
    (1092, 1092),
    (1100, 1249),
    (1578, 1578),
    (7445, 7445),
    (15000, 15199),
    (27000, 27199),
    (29700, 29770),
)


def severity_of(code: str) -> Class:
    """The class of a code that no rule knows, by its family: fail for the loss of files, disks or the instance, else
    warn.

    >>> severity_of("ORA-00230"), severity_of("ORA-12345"), severity_of("TNS-12599")
    (<Class.FAIL: 'fail'>, <Class.WARN: 'warn'>, <Class.WARN: 'warn'>)
    """
    family, _, number = code.partition("-")
    grave = family == "ORA" and any(low <= int(number) <= high for low, high in _GRAVE_FAMILIES)
    return Class.FAIL if grave else Class.WARN


def trouble_in(text: str) -> str | None:
    """The first line of an event that speaks of trouble, without what differs from time to time: numbers, names, paths.

    >>> trouble_in("Mem# 0: /oracle/log\\nWARNING: 12 blocks of '/oracle/x' lost at 0x1f")
    'WARNING: # blocks of # lost at #'
    >>> trouble_in("Thread 1 advanced to log sequence 12") is None
    True
    """
    if not ENGLISH.search(text.lower()):  # four times as fast as a pattern that ignores case
        return None
    return shape_of(next((line for line in text.splitlines() if ENGLISH.search(line.lower())), text))


def shape_of(line: str) -> str:
    """A line without what differs from time to time: numbers, names, paths."""
    return _SHAPED.sub("#", line.strip())[:MAX_SHAPE]


def believed(number: str | None, stamp: Moment | None) -> datetime | None:
    """The instant that VKTM prints behind ``at``, where it can be one: microseconds or seconds since 1970, near the
    stamp above it.

    On AIX and from 23ai on it is a tick of the machine, which lies years away from any stamp (`ORADOC:1347586.1`,
    `ALERT-LOGS`).

    >>> print(believed("1772359205", Moment(datetime(2026, 3, 1, 10, 0, 5), datetime(2026, 3, 1, 10, 0, 6))))
    2026-03-01 10:00:05+00:00
    >>> believed("16609084909585", Moment(datetime(2026, 3, 1, 10, 0, 5), datetime(2026, 3, 1, 10, 0, 6))) is None
    True
    """
    if not number or len(number) > 16 or stamp is None:
        return None
    span = instants(stamp, None)
    for unit in (timedelta(microseconds=1), timedelta(seconds=1)):
        try:
            at = datetime(1970, 1, 1, tzinfo=UTC) + int(number) * unit
        except OverflowError:
            continue
        if moved(span.earliest, -STAMP_AGE) <= at <= moved(span.latest, STAMP_AGE):
            return at
    return None
