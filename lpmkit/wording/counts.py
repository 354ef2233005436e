"""Counts with their nouns, in English; the phrase books translate the sentence they stand in."""

from __future__ import annotations


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun; ``nouns`` is the plural, ``noun`` with an *s* if left out.

    >>> plural(1, "probe"), plural(4, "probe"), plural(0, "entry", "entries")
    ('1 probe', '4 probes', '0 entries')
    """
    return f"{count} {noun if count == 1 else nouns or f'{noun}s'}"
