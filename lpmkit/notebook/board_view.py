"""The board in a page that stays open: a widget that sends the parts which changed.

It needs anywidget, whose one script comes with the message. Without anywidget the parts are plain HTML: the same board,
without a pointer's tip, and a fold that somebody opened closes when its part is drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import ipywidgets as w
import traitlets

from lpmkit.board.follow import title_of
from lpmkit.board.model import Board, Tone
from lpmkit.board.page import PARTS, assembled, parts, style
from lpmkit.wording.words import words_of

#: An installation from before may lack it; the board is the same.
HAS_SCRIPT = find_spec("anywidget") is not None

#: The colours of a page's icon.
ICONS: Mapping[Tone, str] = {
    Tone.QUIET: "#4a5560",
    Tone.BUSY: "#0b5394",
    Tone.STILL: "#f5b025",
    Tone.GOOD: "#17693d",
    Tone.BAD: "#a31a10",
}
#: States that cause a notification, where a person asked for it.
TOLD = frozenset({"needs-recovery", "recorder-gone", "moved", "stopped", "failed"})


class PlainView(w.HTML):  # type: ignore[misc] # ipywidgets has no types
    """Some parts of a board as plain HTML."""

    def __init__(self, shown: tuple[str, ...] = PARTS, **_: Any) -> None:
        self._shown = shown
        super().__init__()

    def show(self, board: Board) -> None:
        """Show a board."""
        made = parts(board)
        self.value = assembled({name: made[name] for name in self._shown}, board.language)


@cache
def _script() -> str:
    return files("lpmkit").joinpath("templates", "board.js").read_text(encoding="utf-8")


if HAS_SCRIPT:
    import anywidget

    class ScriptedView(anywidget.AnyWidget):  # type: ignore[misc] # as above
        """Some parts of a board; each is replaced in the page where it has changed."""

        _esm = _script()
        shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
        css_text = traitlets.Unicode().tag(sync=True)
        head = traitlets.Unicode().tag(sync=True)
        lanes = traitlets.Unicode().tag(sync=True)
        happened = traitlets.Unicode().tag(sync=True)
        folds = traitlets.Unicode().tag(sync=True)
        title = traitlets.Unicode().tag(sync=True)
        sign = traitlets.Unicode().tag(sync=True)
        colour = traitlets.Unicode().tag(sync=True)
        alarm = traitlets.Unicode().tag(sync=True)
        live = traitlets.Bool(False).tag(sync=True)
        names_page = traitlets.Bool(False).tag(sync=True)
        tells = traitlets.Bool(False).tag(sync=True)

        def __init__(self, shown: tuple[str, ...] = PARTS, *, names_page: bool = False, tells: bool = False) -> None:
            super().__init__(shown=list(shown), css_text=style(), names_page=names_page, tells=tells)

        def show(self, board: Board) -> None:
            """Show a board: one message with what has changed."""
            made = parts(board)
            with self.hold_sync():
                for name in self.shown:
                    setattr(self, name, made[name])
                self.live = board.is_live
                if self.names_page:
                    self.title, self.sign = title_of(board), board.banner.sign
                    self.colour = ICONS[board.banner.tone]
                if self.tells:
                    self.alarm = alarm_of(board)


def alarm_of(board: Board) -> str:
    """The text of the notification of now; empty while there is none."""
    too_long = board.banner.key == "suspended" and any(
        tile.name == words_of(board.language).said("suspension") and tile.tone is Tone.BAD for tile in board.tiles
    )
    return title_of(board) if too_long or board.banner.key in TOLD else ""


def board_view(shown: tuple[str, ...] = PARTS, *, names_page: bool = False, tells: bool = False) -> Any:
    """A view of some parts of a board. ``names_page``: the state is the page's title and icon; ``tells``: offer
    notifications.
    """
    if not HAS_SCRIPT:
        return PlainView(shown)
    return ScriptedView(shown, names_page=names_page, tells=tells)
