"""The grammar in which managers print (A `ZIU`, C `NOVA-IVM`), and how a question shares one list with its answer.

Two forms come out of an IVM or an HMC. Records, the default::

    name=nim1,lpar_id=5,state=Running,"capabilities=a,b"

and values, when ``-F`` names the fields: the same without the names, in the order asked. A value that holds the
delimiter is quoted; a list inside a quoted value doubles its quotes. Both are what `csv` reads, so no regular
expression is used.

A `Listing` declares the fields once. It builds ``-F`` and it names the columns of the reply, strictly: a reply with
one column more or fewer is refused, never shifted. Fields that older levels may not know are in groups of their own;
a machine that refuses the whole list is asked again without the group that it names, or the last one (A `ZIU`: an
unknown name is an error, not
a blank).

Doubt: that "nothing found" ends with status 0 on every level is recorded for IVM only (`NOVA-IVM`); on an HMC it is
recalled.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.ssh.session import Reply, Session

Value = TypeVar("Value")

#: IVM says "nothing found" with this code, whatever the language (`NOVA-IVM`, A).
NO_RESULTS_CODE = "VIOSI01040010-0003"
#: An HMC says it in a sentence. Every command is sent with ``LANG=C``; a console that ignores that says it in its own
#: language, and only sentences that were seen (English and Polish A `ZIU`) or that an IBM translation has (German, D)
#: are taken for it: any other sentence is refused, never read as "nothing".
NO_RESULTS = frozenset({"No results were found.", "Nie znaleziono wyników.", "Es wurden keine Ergebnisse gefunden."})
#: Words printed where a value is absent.
ABSENT = frozenset({"", "null", "unavailable"})
WRONG_LANGUAGE = (
    "The reply is not in the manager's record form; its language or its terminal looks wrong. "
    "Commands are sent with LANG=C and without a terminal: check the login profile of that user."
)


def lines(text: str) -> list[str]:
    r"""The lines of a whole text; raises `UnexpectedReply` when the last one has no end.

    >>> lines("a\nb\n")
    ['a', 'b']
    """
    if text and not text.endswith("\n"):
        raise UnexpectedReply("the reply stops in the middle of a line", line=text.rsplit("\n", 1)[-1])
    return [line.removesuffix("\r") for line in text.split("\n")[:-1]] if text else []


def is_empty(text: str) -> bool:
    """True for the reply of a manager that found nothing: no output, a known sentence, or the code in any language.

    >>> is_empty("[VIOSI01040010-0003] Keine Ergebnisse gefunden.")
    True
    >>> is_empty("Nie znaleziono wyników."), is_empty("Ei tuloksia.")
    (True, False)
    """
    reply = text.strip()
    return not reply or reply in NO_RESULTS or reply.startswith(f"[{NO_RESULTS_CODE}]")


def split(line: str, delimiter: str = ",", *, loose: bool = False) -> list[str]:
    """One line into its values, quotes taken off. ``loose`` forgives the blanks that web pages put after commas.

    >>> split('bvio82,"active_lpar_mobility_capable,shared_proc_capable",Operating')
    ['bvio82', 'active_lpar_mobility_capable,shared_proc_capable', 'Operating']
    >>> split("192.0.2.82:Operating", ":")
    ['192.0.2.82', 'Operating']
    """
    try:
        rows = list(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=loose))
    except csv.Error as trouble:
        raise UnexpectedReply(f"a record is not whole: {trouble}", line=line, next_step=WRONG_LANGUAGE) from trouble
    return rows[0] if rows else []


def join(values: Sequence[str]) -> str:
    """The reverse of `split`: quotes where the grammar wants them.

    >>> join(["virtual_scsi_mappings=12/vios1//16,13/vios1//17", "dest_lpar_id=4"])
    '"virtual_scsi_mappings=12/vios1//16,13/vios1//17",dest_lpar_id=4'
    """
    return ",".join('"' + value.replace('"', '""') + '"' if set(value) & set(',"') else value for value in values)


def is_plain(name: str) -> bool:
    """True for a name that can be part of a list of names (``-p a,b``, ``--filter lpar_names=a,b``); others go by their
    id.

    >>> is_plain("teacher02 9.200.104.218"), is_plain("a,b")
    (True, False)
    """
    return not set(name) & set(',"')


def attribute_record(attributes: Mapping[str, str]) -> str:
    """The argument of ``-i``; a value with commas is quoted together with its name (C `PYPVM`).

    >>> attribute_record({"dest_lpar_id": "4"})
    'dest_lpar_id=4'
    """
    return join([f"{name}={value}" for name, value in attributes.items()])


def records(text: str) -> list[dict[str, str]]:
    r'''Records, one a line, as dictionaries. Which keys there are is the machine's business; a field without ``=`` is
    refused.

    >>> records('name=nim1,lpar_id=5,os_version=AIX 6.1 6100-00-01-0748,rmc_ipaddr=,"virtual_eth_adapters=""2/1/1/3,'
    ...     '4/0/1"""\n')
    [{'name': 'nim1', 'lpar_id': '5', 'os_version': 'AIX 6.1 6100-00-01-0748', 'rmc_ipaddr': '',
      'virtual_eth_adapters': '"2/1/1/3,4/0/1"'}]
    >>> records("No results were found.\n")
    []
    '''
    if is_empty(text):
        return []
    return [_record(line) for line in lines(text)]


def _record(line: str) -> dict[str, str]:
    fields = [field.strip(" ").partition("=") for field in split(line, loose=True)]
    if not all(name and equals for name, equals, _ in fields):
        raise UnexpectedReply("this is not a record of name=value fields", line=line, next_step=WRONG_LANGUAGE)
    record = {name: value for name, _, value in fields}
    if len(record) != len(fields):
        raise UnexpectedReply("a record names the same field twice", line=line)
    return record


#: A field name of a record; some begin with a digit (``5250_application_capable``, `ZIU` form, B).
_FIELD_NAME = re.compile(r"[A-Za-z0-9_]*[A-Za-z_][A-Za-z0-9_]*")


def _names_itself(field: str) -> bool:
    name, equals, _ = field.strip(" ").partition("=")
    return bool(equals) and _FIELD_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """The fields of one question, declared once. ``optional`` are groups that a level may not know, dropped from the
    end.

    One field alone would let any sentence pass for an answer, so there are at least two.

    >>> listing = Listing(("name", "lpar_id"), (("bytes_transmitted", "bytes_remaining"),))
    >>> listing.fields()
    ('name', 'lpar_id', 'bytes_transmitted', 'bytes_remaining')
    >>> listing.fields(groups=0)
    ('name', 'lpar_id')
    """

    required: tuple[str, ...]
    optional: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(self.required) < 2:
            raise ValueError("a listing needs two fields, or any sentence would read as an answer")

    def fields(self, groups: int | None = None) -> tuple[str, ...]:
        """The names of the fields, with the first ``groups`` of the optional ones, or all."""
        chosen = self.optional if groups is None else self.optional[:groups]
        return self.required + tuple(field for group in chosen for field in group)

    def question(self, groups: int | None = None) -> list[str]:
        """The arguments ``-F FIELDS``."""
        return ["-F", ",".join(self.fields(groups))]

    def read(self, text: str, groups: int | None = None) -> list[dict[str, str]]:
        """The rows of an answer to `question`, named.

        Raises `UnexpectedReply` where the columns are not those asked for.
        """
        if is_empty(text):
            return []
        return [self._row(line, self.fields(groups)) for line in lines(text)]

    def read_any(self, text: str) -> list[dict[str, str]]:
        """The rows of an answer that may be records, or values asked for with fewer groups: its first line tells."""
        if is_empty(text):
            return []
        first = split(text.split("\n", 1)[0], loose=True)
        if all(_names_itself(field) for field in first):
            return records(text)
        widths = {len(self.fields(groups)): groups for groups in range(len(self.optional) + 1)}
        return self.read(text, widths.get(len(first)))

    def without(self, refusal: str) -> Listing:
        """The listing less the optional group with a field that a refusal names; less the last one, where it names
        fields of none or of several.

        >>> listing = Listing(("name", "lpar_id"), (("msp",), ("time_ref",)))
        >>> listing.without("The invalid attribute is msp.").optional, listing.without("HSCL0001 No.").optional
        ((('time_ref',),), (('msp',),))
        """
        words = set(re.findall(r"\w+", refusal))
        named = [group for group in self.optional if words.intersection(group)]
        (dropped,) = named if len(named) == 1 else (self.optional[-1],)
        return replace(self, optional=tuple(group for group in self.optional if group is not dropped))

    def _row(self, line: str, fields: tuple[str, ...]) -> dict[str, str]:
        values = split(line)
        if len(values) != len(fields):
            raise UnexpectedReply(
                f"{len(fields)} columns were asked for and {len(values)} came", line=line, next_step=WRONG_LANGUAGE
            )
        return dict(zip(fields, values, strict=True))


#: Errors that a reader raises by a fault of its own; with any of them the reply counts as one that could not be read.
READER_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
#: Characters of a reply that an error quotes; the whole is in the transcript.
MAX_QUOTED = 300


def understood(reply: Reply, reader: Callable[[str], Value]) -> Value:
    """The value that ``reader`` makes of a successful reply.

    Raises `CommandRefused` for a refusal, before the reader sees it, and `UnexpectedReply` with machine and command
    for a reply that cannot be read, also where the reader itself is at fault.
    """
    reply.checked()
    try:
        return reader(reply.output)
    except READER_FAULTS as fault:
        raise UnexpectedReply(
            f"the reply could not be read ({type(fault).__name__}: {fault})",
            line=reply.output[:MAX_QUOTED],
            where=reply.where,
            asked=reply.command,
            next_step="This is a fault of lpmkit. The whole reply is in the transcript.",
        ) from fault
    except UnexpectedReply as trouble:
        raise UnexpectedReply(
            trouble.what, line=trouble.line, where=reply.where, asked=reply.command, next_step=trouble.next_step
        ) from trouble


class Manager:
    """Asks listings of one manager and remembers which groups of fields its level does not know."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Listing, Listing] = {}

    def ask(self, arguments: Sequence[str], listing: Listing, reader: Callable[[str], Value]) -> Value:
        """The value that ``reader`` makes of the answer, whose columns are exactly those of the question.

        A group of fields with one that the refusal names is asked no more (`ZIU`: "the invalid attribute is"), or,
        where it names none, the last group. Raises `CommandRefused` in the words of the first refusal when asking for
        fewer fields does not help either.
        """
        refusals: list[CommandRefused] = []
        asked = self._known.get(listing, listing)
        while True:
            reply = self._session.run([*arguments, *asked.question()])
            try:
                rows = understood(reply, asked.read)
            except CommandRefused as refusal:
                refusals.append(refusal)
                if not asked.optional:
                    raise refusals[0] from None
                asked = asked.without(refusal.answered or "")
                continue
            self._known[listing] = asked
            if asked.optional == listing.optional[: len(asked.optional)]:
                return understood(reply, reader)
            # The columns alone do not say which group is missing.
            return understood(replace(reply, output="".join(f"{_named(row)}\n" for row in rows)), reader)


def _named(row: Mapping[str, str]) -> str:
    return join([f"{name}={value}" for name, value in row.items()])


def known(value: str | None) -> str | None:
    """The text, or None where the manager prints one of its words for "nothing here"."""
    return None if value is None or value in ABSENT else value


def number(value: str | None) -> int | None:
    """A whole number, or None where there is none.

    >>> number("4096"), number("null"), number(None)
    (4096, None, None)
    """
    text = known(value)
    return None if text is None else whole(text)


def units(value: str | None) -> float | None:
    """Processing units, with a point or, from a localised level, a comma.

    >>> units("0.80"), units("4,00"), units("")
    (0.8, 4.0, None)
    """
    text = known(value)
    if text is None:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as trouble:
        raise UnexpectedReply("a number was expected", line=text) from trouble


def flag(value: str | None) -> bool | None:
    """``1``, ``0``, or None where the manager does not say, in whatever word.

    >>> flag("1"), flag("0"), flag("unavailable"), flag("unknown")
    (True, False, None, None)
    """
    text = known(value)
    if text is None or text.isalpha():
        return None
    if text not in ("0", "1"):
        raise UnexpectedReply("0 or 1 was expected", line=text)
    return text == "1"


def names(value: str | None) -> tuple[str, ...]:
    """A list inside one value.

    >>> names("default,POWER6,POWER6+")
    ('default', 'POWER6', 'POWER6+')
    >>> names("none")
    ()
    """
    text = known(value)
    return () if text is None or text == "none" else tuple(split(text))


def needed(row: Mapping[str, str], field: str) -> str:
    """A value that a row cannot do without."""
    text = known(row.get(field))
    if text is None:
        raise UnexpectedReply(
            f"the field {field} is missing", line=join([f"{name}={value}" for name, value in row.items()])
        )
    return text


def needed_number(row: Mapping[str, str], field: str) -> int:
    """A whole number that a row cannot do without."""
    return whole(needed(row, field))


def whole(text: str) -> int:
    """A whole number that must be there.

    >>> whole("11")
    11
    """
    if not (text.isascii() and text.isdigit()):
        raise UnexpectedReply("a whole number was expected", line=text)
    return int(text)
