"""The texts of one language: fixed ones from ``texts/LANGUAGE.yaml``, lpmkit's own sentences from its phrase book.

Every language has the same keys with the same places to fill. English is the language of the answers themselves, so it
has no phrase book; only the other languages have titles and remedies of checks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from lpmkit.errors import NotFound
from lpmkit.wording.phrase_book import phrase_book

LANGUAGES = ("en", "de")
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00| UTC)")


class Words:
    """The texts of one language. ``words("section.sap", sid="BX5")`` fills the places of a text."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise NotFound("language", language, known=LANGUAGES)
        self.language = language

    def __call__(self, key: str, **filled: object) -> str:
        return texts_of(self.language)[key].format(**filled)

    def or_as_it_came(self, key: str, text: str) -> str:
        """The text for a key if this language has one, else ``text`` as `said` gives it."""
        texts = texts_of(self.language)
        return texts[key] if key in texts else self.said(text)

    def said(self, text: str) -> str:
        """A sentence of lpmkit in this language; a machine's own text is unchanged."""
        return text if self.language == "en" else phrase_book(self.language)(text)

    def date(self, moment: datetime) -> str:
        """The day of a moment: ``2026-11-30`` or ``30.11.2026``.

        >>> Words("en").date(datetime(2026, 11, 30)), Words("de").date(datetime(2026, 11, 30))
        ('2026-11-30', '30.11.2026')
        """
        return f"{moment:%d.%m.%Y}" if self.language == "de" else f"{moment:%Y-%m-%d}"

    def instant(self, text: str) -> str:
        """A value that is an instant in UTC, as this language writes it; any other value unchanged.

        >>> Words("de").instant("2026-11-30T23:05:00Z"), Words("de").instant("bxaix85")
        ('30.11.2026 23:05:00 UTC', 'bxaix85')
        """
        match = _INSTANT.fullmatch(text)
        if match is None:
            return text
        return f"{self.date(datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC))} {match[4]} UTC"

    def number(self, value: float, digits: int = 0) -> str:
        """A number as it is written in this language: ``1,234.5`` or ``1.234,5``.

        >>> Words("en").number(1234.5, 1), Words("de").number(1234.5, 1)
        ('1,234.5', '1.234,5')
        """
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.language == "de" else text

    def figure(self, value: float) -> str:
        """A number with the digits that it has.

        >>> Words("en").figure(2.76), Words("de").figure(2.76)
        ('2.76', '2,76')
        """
        return self.number(value, len(f"{value:g}".partition(".")[2]))


@cache
def words_of(language: str) -> Words:
    """The words of a language, made once."""
    return Words(language)


@cache
def texts_of(language: str) -> dict[str, str]:
    """All texts of a language by key, flat: ``section.title``."""
    source = resources.files("lpmkit.wording").joinpath("texts", f"{language}.yaml").read_text(encoding="utf-8")
    return dict(_flat(YAML(typ="safe").load(source), ""))


def _flat(value: Any, prefix: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(prefix, str(value))]
    return [pair for name, one in value.items() for pair in _flat(one, f"{prefix}.{name}" if prefix else str(name))]


#: The language of the code, and the default.
ENGLISH = words_of("en")
