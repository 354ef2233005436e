"""Translation of lpmkit's own sentences by their English template.

Answers, findings and notes are made and kept in English. A phrase book has a template for each (``"{n} sessions"``) and
its translation with the same places. What fills a place is translated too; a text without a template, such as a
machine's own, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

from ruamel.yaml import YAML

#: Places that hold a number, a figure or a single word; any other holds any text.
_FORMS = {"n": r"[-+0-9.,]+", "m": r"[-+0-9.,]+"}
_FORMS |= {"percent": r"\d+ %", "age": r"[\d.]+ (?:s|min)", "interval": r"(?:[-\d.,]+(?: s)? … )?[-\d.,]+ s"}
_FORMS |= dict.fromkeys(("partition", "source", "target", "name"), r"[^\s,;]+")
#: Places that hold a number alone, and the points and commas of numbers, which German has the other way round.
_NUMBERS = ("n", "m")
_SWAPPED = str.maketrans(",.", ".,")
_PLACE = re.compile(r"\{(\w+)\}")
#: Separators of parts that are translated one by one. A template reaches beyond a strong one only where it has it
#: itself.
_STRONG, _WEAK = (" — ", "; "), (". ", ": ", ", ")
_SENTENCE_END = re.compile(r"(?<=\.) ")
#: Texts that are remembered with their translation.
REMEMBERED = 4096
_UNITS = r"s|ms|µs|%|h|MB|GB|MiB|GiB|MB/s|Hz|kHz|Minuten|minutes"
#: A decimal number with a unit, or one that opens a range: no part of a version, an address or a name.
_NUMBER = re.compile(rf"(?<![\w.:/-])([+-]?\d{{1,3}}(?:,\d{{3}})+|[+-]?\d+)(\.\d+)?(?=\s?(?:{_UNITS})(?!\w)|\s…\s\d)")
_MOMENT = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|\+00:00| UTC)")
#: A moment alone, of a clock that the text around it names.
_MOMENT_ALONE = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)")


class PhraseBook:
    """Templates and their translations. The call translates a text.

    >>> phrases = {"yes": "ja", "{n} sessions": "{n} Sitzungen", "the longest wait {time}": "längste Wartezeit {time}"}
    >>> book = PhraseBook(phrases)
    >>> book("yes: 14 sessions, the longest wait 1.549 s")
    'ja: 14 Sitzungen, längste Wartezeit 1,549 s'
    >>> wide = PhraseBook({"yes": "ja", "{time} in all; taken out": "{time} insgesamt; herausgerechnet"})
    >>> wide("yes: 1 s in all; taken out")
    'ja: 1 s insgesamt; herausgerechnet'
    >>> book("HSCL1234 The operation failed")
    'HSCL1234 The operation failed'
    """

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._exact = {text: other for text, other in phrases.items() if "{" not in text}
        templates = [(text, other) for text, other in phrases.items() if "{" in text]
        # the most literal template first, so that a general one does not take the words of a precise one
        templates.sort(key=lambda pair: (-len(_PLACE.sub("", pair[0])), _free_places(pair[0])))
        patterns = [(_pattern(text), other, any(mark in text for mark in _STRONG)) for text, other in templates]
        self._spanning = [(pattern, other) for pattern, other, _ in patterns if r"\.\ " in pattern.pattern]
        self._wide = [(pattern, other) for pattern, other, is_wide in patterns if is_wide]
        self._narrow = [(pattern, other) for pattern, other, is_wide in patterns if not is_wide]
        self._known: dict[str, str | None] = {}

    def __call__(self, text: str) -> str:
        """The text in the other language; unchanged where no template fits, but for numbers and dates."""
        translated = self.find(text)
        return localised(text) if translated is None else translated

    def find(self, text: str) -> str | None:
        """The translation, or `None` where neither the text nor a part of it has a template.

        A board that is drawn again and again has mostly the same texts: they are looked up once.
        """
        if text not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = self._found(text)
        return self._known[text]

    def _found(self, text: str) -> str | None:
        if text in self._exact:
            return self._exact[text]
        steps: tuple[Callable[[], str | None], ...] = (
            lambda: self._by_template(text, self._spanning),
            lambda: self._in_sentences(text),
            lambda: self._without_stop(text),
            lambda: self._by_template(text, self._wide),
            # before the parts: what follows a "yes: " may have a template that reaches beyond a separator
            lambda: self._after_a_word(text),
            lambda: self._in_parts(text, _STRONG),
            lambda: self._by_template(text, self._narrow),
            lambda: self._in_parts(text, _WEAK),
            lambda: self._capitalised(text),
        )
        return next((translated for step in steps if (translated := step()) is not None), None)

    def _capitalised(self, text: str) -> str | None:
        """A sentence that begins with a capital, by the template of one that does not; a single word, and parts of a
        text, may be a state that a machine named.
        """
        if not text[:1].isupper() or text[1:2].isupper() or " " not in text:
            return None
        lower = text[:1].lower() + text[1:]
        sentence = self._exact.get(lower) or self._by_template(lower, [*self._wide, *self._narrow])
        return None if sentence is None else sentence[:1].upper() + sentence[1:]

    def _in_sentences(self, text: str) -> str | None:
        sentences = _SENTENCE_END.split(text)
        parts = [self.find(sentence) for sentence in sentences] if len(sentences) > 1 else []
        if all(part is None for part in parts):
            return None
        return " ".join(localised(old) if new is None else new for old, new in zip(sentences, parts, strict=True))

    def _without_stop(self, text: str) -> str | None:
        """A sentence with a full stop that its template has not."""
        sentence = self.find(text[:-1]) if text.endswith(".") else None
        return None if sentence is None else f"{sentence.removesuffix('.')}."

    def _by_template(self, text: str, templates: list[tuple[re.Pattern[str], str]]) -> str | None:
        for pattern, other in templates:
            match = pattern.fullmatch(text)
            if match is not None:
                places = match.groupdict().items()
                return other.format(
                    **{name: value.translate(_SWAPPED) if name in _NUMBERS else self(value) for name, value in places}
                )
        return None

    def _after_a_word(self, text: str) -> str | None:
        """A text behind a word of its own and a colon, such as "yes: …"."""
        word, colon, rest = text.partition(": ")
        translated = self.find(rest) if colon and word in self._exact else None
        return None if translated is None else f"{self._exact[word]}{colon}{translated}"

    def _in_parts(self, text: str, separators: tuple[str, ...]) -> str | None:
        for separator in separators:
            head, mark, tail = text.partition(separator)
            if not mark:
                continue
            parts = [self.find(part) for part in (head, tail)]
            if any(part is not None for part in parts):
                pairs = zip((head, tail), parts, strict=True)
                return separator.join(localised(old) if new is None else new for old, new in pairs)
        return None


def _free_places(template: str) -> int:
    """The number of places that hold any text."""
    return sum(name not in _FORMS for name in _PLACE.findall(template))


def _pattern(template: str) -> re.Pattern[str]:
    """A template as a pattern. Places called ``n`` and ``m`` are numbers, some are single words (`_FORMS`)."""
    parts = _PLACE.split(template)
    places = [f"(?P<{name}>{_FORMS.get(name, '.+?')})" for name in parts[1::2]]
    texts = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(text + place for text, place in zip(texts, [*places, ""], strict=True)), re.DOTALL)


def localised(text: str) -> str:
    """Numbers with a unit and moments in UTC as German writes them.

    >>> localised("1.621 s … 1.634 s, VIOS 2.2.6.10 at 192.0.2.83, booted 2026-10-20T01:54:00Z")
    '1,621 s … 1,634 s, VIOS 2.2.6.10 at 192.0.2.83, booted 20.10.2026 01:54:00 UTC'
    """
    if alone := _MOMENT_ALONE.fullmatch(text):
        return alone.expand(r"\3.\2.\1 \4")
    text = _NUMBER.sub(lambda match: match[0].translate(_SWAPPED), text)
    return _MOMENT.sub(r"\3.\2.\1 \4 UTC", text)


@cache
def phrase_book(language: str) -> PhraseBook:
    """The phrase book of a language, from the files in ``phrases/LANGUAGE/``."""
    folder = resources.files("lpmkit.wording").joinpath("phrases", language)
    phrases: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda found: found.name):
        phrases |= YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return PhraseBook(phrases)
