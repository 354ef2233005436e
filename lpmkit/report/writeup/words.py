"""The fixed texts of a write-up in one language, from ``texts/LANGUAGE.yaml``. Each file has the same keys with the same places to fill."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from lpmkit.errors import NotFound

LANGUAGES = ("en", "de")


class Words:
    """The texts of one language. ``words("title.sap", sid="BX5")`` fills a text's places."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise NotFound("language", language, known=LANGUAGES)
        self.language = language
        self._texts = texts_of(language)

    def __call__(self, key: str, **filled: object) -> str:
        return self._texts[key].format(**filled)

    def or_as_it_came(self, key: str, text: str) -> str:
        """The text for a key, where this language has one; else what was said already."""
        return self._texts.get(key, text)

    def number(self, value: float, digits: int = 0) -> str:
        """A number as it is written in this language: ``1,234.5`` or ``1.234,5``.

        >>> Words("en").number(1234.5, 1), Words("de").number(1234.5, 1)
        ('1,234.5', '1.234,5')
        """
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.language == "de" else text


@cache
def texts_of(language: str) -> dict[str, str]:
    """All texts of a language by key, flat: ``section.title``."""
    source = resources.files("lpmkit.report.writeup").joinpath("texts", f"{language}.yaml").read_text(encoding="utf-8")
    return dict(_flat(YAML(typ="safe").load(source), ""))


def _flat(value: Any, prefix: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(prefix, str(value))]
    return [pair for name, one in value.items() for pair in _flat(one, f"{prefix}.{name}" if prefix else str(name))]
