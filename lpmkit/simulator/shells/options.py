"""Reading a command's options: which take a value, which do not, what else stood there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """``values`` by flag, ``switches`` that were given, ``words`` besides, and the first flag that is ``unknown``."""

    values: Mapping[str, str] = field(default_factory=dict)
    switches: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    unknown: str | None = None
    missing: str | None = None

    def __getitem__(self, flag: str) -> str | None:
        return self.values.get(flag)

    def __contains__(self, flag: str) -> bool:
        return flag in self.switches or flag in self.values


def read(arguments: Sequence[str], valued: str, switches: str = "", optional: str = "") -> Options:
    """Read arguments. ``valued`` are flags with a value, ``optional`` those whose value may be left out.

    >>> given = read(["-r", "lpar", "-F", "--header"], "-r", "--header", optional="-F")
    >>> given["-r"], given["-F"], "--header" in given
    ('lpar', '', True)
    """
    values: dict[str, str] = {}
    found: set[str] = set()
    words: list[str] = []
    unknown = missing = None
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in valued.split():
            missing = missing or (None if rest else word)
            values[word] = rest.pop(0) if rest else ""
        elif word in optional.split():
            values[word] = rest.pop(0) if rest and not rest[0].startswith("-") else ""
        elif word in switches.split():
            found.add(word)
        elif word.startswith("-") and len(word) > 1:
            unknown = unknown or word
        else:
            words.append(word)
    return Options(values, frozenset(found), tuple(words), unknown, missing)
