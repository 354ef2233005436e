"""The spells of an observation: looks in a row in which something holds."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

Key = TypeVar("Key")
#: What nobody serves in so many looks over so long a time is jammed; a dialog step takes seconds.
JAM_LOOKS, JAM_NS = 5, 60_000_000_000


@dataclass(frozen=True, slots=True)
class Spell:
    """So many looks in a row, from the first to the last of them."""

    looks: int
    since_ns: int
    until_ns: int

    @property
    def length_ns(self) -> int:
        return self.until_ns - self.since_ns

    @property
    def is_jam(self) -> bool:
        return self.looks >= JAM_LOOKS and self.length_ns >= JAM_NS


def spells(looks: Sequence[tuple[int, Container[Key]]], key: Key) -> list[Spell]:
    """The spells of looks, each with its time, that have ``key``.

    >>> [(one.looks, one.length_ns) for one in spells([(1, "a"), (2, ""), (3, "ab"), (7, "a")], "a")]
    [(1, 0), (2, 4)]
    """
    found = []
    for has_it, group in groupby(looks, key=lambda look: key in look[1]):
        if has_it:
            moments = [at for at, _ in group]
            found.append(Spell(len(moments), moments[0], moments[-1]))
    return found


def lasting(looks: Sequence[tuple[int, Container[Key]]], key: Key) -> Spell | None:
    """The spell that the last look is in; ``None`` where that has no ``key``.

    >>> lasting([(1, "a"), (2, ""), (3, "ab"), (7, "a")], "a").length_ns, lasting([(1, "a"), (2, "")], "a")
    (4, None)
    """
    return spells(looks, key)[-1] if looks and key in looks[-1][1] else None
