"""The grammar of manager output: ``name=value`` records, ``-F``, ``--header``, delimiters and quoting (`ZIU`,
`NOVA-IVM`, `BOND`).

A record is an ordered mapping from field name to text. Fields whose name starts with ``-`` are known to ``-F`` and are
not part of the plain listing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence

from lpmkit.simulator import recalled
from lpmkit.simulator.shells.reply import Context, Reply

Record = Mapping[str, str]


def quoted(text: str, delimiter: str = ",") -> str:
    """
    >>> quoted("default,POWER6"), quoted("a")
    ('"default,POWER6"', 'a')
    """
    if delimiter not in text and '"' not in text:
        return text
    return '"' + text.replace('"', '""') + '"'


def plain(record: Record) -> str:
    """One object as ``k=v,k=v``; a pair whose value holds a comma is wrapped as a whole (`ZIU`).

    >>> plain({"slot_num": "2", "addl_vlan_ids": "1,2", "-hidden": "x"})
    'slot_num=2,"addl_vlan_ids=1,2"'
    """
    return ",".join(quoted(f"{key}={value}") for key, value in record.items() if not key.startswith("-"))


def listing(
    records: Sequence[Record], asked: str | None, context: Context, *, header: bool = False, known: Sequence[str] = ()
) -> Reply:
    """Print records as ``lssyscfg``-like commands do.

    ``asked`` is the word after ``-F``: ``None`` without the flag, empty for all fields. ``known`` are the field names
    when there may be no record at all.
    """
    names = list(known) or [key for record in records[:1] for key in record]
    allowed = {name.lstrip("-") for record in records for name in record} | {name.lstrip("-") for name in names}
    wanted, delimiter = _wanted(asked)
    for name in wanted:
        if allowed and name not in allowed:
            return recalled.refusal("attribute", context.german, attribute=name)
    if not records:
        return recalled.no_results(context.german)
    if asked is None:
        return Reply("".join(f"{plain(record)}\n" for record in records))
    wanted = wanted or [name for name in names if not name.startswith("-")]
    rows = [delimiter.join(wanted)] if header else []
    for record in records:
        rows.append(delimiter.join(quoted(_value(record, name), delimiter) for name in wanted))
    return Reply("".join(f"{row}\n" for row in rows))


def _value(record: Record, name: str) -> str:
    return record.get(name, record.get(f"-{name}", "null"))


def _wanted(asked: str | None) -> tuple[list[str], str]:
    """The field names and the character between them: ``-F a:b`` answers with colons (`BOND`, `IBMDOC:lsmigrdbg`)."""
    if not asked:
        return [], ","
    found = re.search(r"[^A-Za-z0-9_]", asked)
    delimiter = found[0] if found else ","
    return asked.split(delimiter), delimiter


def filtered(records: Sequence[Record], text: str | None) -> list[Record]:
    """The records that ``--filter "name=value"`` lets through; several values are joined by commas.

    Understands ``lpar_names``, ``lpar_ids``, ``profile_names``, ``slots`` and what else ends in ``s``.
    """
    if not text:
        return list(records)
    kept = list(records)
    for name, values in _conditions(text):
        single = name.removesuffix("s")
        keys = {"lpar_name": ("lpar_name", "name"), "profile_name": ("name",), "slot": ("slot_num",)}.get(
            single, (single,)
        )
        kept = [record for record in kept if any(_value(record, key) in values for key in keys)]
    return kept


def _conditions(text: str) -> list[tuple[str, set[str]]]:
    """
    >>> sorted(_conditions('"lpar_names=a,b",slots=2')[0][1])
    ['a', 'b']
    """
    conditions: list[tuple[str, set[str]]] = []
    for part in next(csv.reader([text.strip("\\")]), []):
        name, equals, values = part.partition("=")
        if equals and name.strip().replace("_", "").isalpha():
            conditions.append((name.strip(), set(values.split(","))))
        elif conditions:  # several values without quotes around the whole
            conditions[-1][1].add(part)
    return conditions


def asked_names(text: str | None) -> tuple[str, ...]:
    """The partitions that a filter names, for the message when one does not exist."""
    found = [values for name, values in _conditions(text or "") if name == "lpar_names"]
    return tuple(sorted(found[0])) if found else ()
