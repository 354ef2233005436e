"""The board as plain values, without a form: banner, tiles, lanes, what happened, folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lpmkit.plots.live import LanesPicture


class Tone(StrEnum):
    """The meaning of a state or a figure for the reader: the colour, always beside a sign and a word."""

    QUIET = "quiet"  #: nothing goes on
    BUSY = "busy"  #: wait
    STILL = "still"  #: the partition stands still, or something wants a look
    GOOD = "good"
    BAD = "bad"  #: somebody has to act


#: The sign of each tone, for eyes that do not tell the colours.
SIGNS: Mapping[Tone, str] = {Tone.QUIET: "○", Tone.BUSY: "●", Tone.STILL: "!", Tone.GOOD: "✓", Tone.BAD: "✗"}


@dataclass(frozen=True, slots=True)
class Banner:
    """The state of the run: a word, its figure, one sentence of what to do, and the actions that apply now.

    ``actions`` are at most two keys of `lpmkit.board.banner.ACTIONS` (of a plan: `lpmkit.plan.banner.ACTIONS`), the
    one to take first. ``fraction`` is the part
    of the copy that is done, ``None`` where there is no copy.
    """

    key: str
    tone: Tone
    word: str
    figure: str
    sentence: str
    actions: tuple[str, ...] = ()
    fraction: float | None = None

    @property
    def sign(self) -> str:
        """The sign of the state, for eyes that do not tell the colours."""
        if self.tone is Tone.STILL:
            return {"suspended": "‖", "late": "!"}.get(self.key, "?")
        return SIGNS[self.tone]

    @property
    def title(self) -> str:
        """Sign, word and figure in one line."""
        return " ".join(filter(None, (self.sign, self.word, self.figure)))


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: name, value, note, and what it means."""

    name: str
    value: str
    note: str = ""
    tone: Tone = Tone.QUIET


@dataclass(frozen=True, slots=True)
class Happening:
    """An event for people: time of day in UTC, text, and whether it is bad."""

    at: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Chip:
    """A count on a fold."""

    text: str
    tone: Tone = Tone.QUIET


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a fold: a text behind a sign, further lines, and a command to copy."""

    text: str
    tone: Tone = Tone.QUIET
    lines: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Fold:
    """A part of the board behind one line; ``is_open`` where something in it wants a look.

    ``rows`` are a table with their keys as heading.
    """

    key: str
    title: str
    chips: tuple[Chip, ...] = ()
    items: tuple[Item, ...] = ()
    rows: tuple[Mapping[str, object], ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that is shown of a run, or of a plan, at one moment.

    ``order`` is the partition and, after two spaces, from where to where it is moved.
    """

    run: str
    path: str
    order: str
    banner: Banner
    tiles: tuple[Tile, ...]
    lanes: LanesPicture
    happened: tuple[Happening, ...]
    failure: Fold | None = None
    folds: tuple[Fold, ...] = field(default=())
    #: True while it changes by itself: the run is observed.
    is_live: bool = False
    language: str = "en"
