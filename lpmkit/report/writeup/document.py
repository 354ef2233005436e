"""A write-up before it has a form: sections of blocks as plain values. All forms are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of short texts."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, two columns without a heading."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. ``states`` are the column numbers that hold a state, which a form may mark (never by colour
    alone).
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    states: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot of the run folder: ``name`` is its stem in ``plots/``, ``alt`` its description for screen readers."""

    name: str
    alt: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A machine's own message, verbatim."""

    text: str


Block = Text | Items | Facts | Table | Picture | Verbatim


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the write-up; ``key`` is its name in every language, for a site's template. What is signed comes first,
    the rest is annex.
    """

    key: str
    title: str
    blocks: tuple[Block, ...] = ()
    is_annex: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure at the top: name, number, note."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole write-up. ``state`` is ``passed``, ``failed`` or ``not evaluated``; ``state_word`` says it in the
    document's language.
    """

    title: str
    language: str
    run: str
    state: str
    state_word: str
    sentence: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    footer: str
    states: dict[str, str] = field(
        default_factory=dict
    )  #: the words of this language for pass, fail … and which of them they are
    annex: str = ""  #: the heading above the sections of the annex

    @property
    def first_annex(self) -> Section | None:
        """The section with which the annex begins."""
        return next((section for section in self.sections if section.is_annex), None)
