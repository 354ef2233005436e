"""The live board of a run: banner and figures, the actions that apply, lanes, what happened, folds.

A board's thread only reads the folder: make the board again on the same run and the same picture is there. Widget state
is not part of a saved notebook; `LiveBoard.picture` gives the same board as plain output.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import ipywidgets as w
from IPython.display import HTML

from lpmkit.board.follow import FollowedRun, board_of
from lpmkit.board.model import Board
from lpmkit.board.page import board_html
from lpmkit.migration.status import State
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.board_view import board_view
from lpmkit.notebook.move import MovePanel
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.wording.words import words_of

REDRAW_S = 0.4


#: Seconds between two looks for a new recorder, after the old one died.
DESERTED_S = 2.0


#: Refresh tables every fifth redraw; replaced DOM tables are garbage-collected slowly.
TABLES_EVERY = 5


class LiveBoard(w.VBox):  # type: ignore[misc] # as above
    """The live board of a run. Redrawn at least twice a second, the folds every two seconds.

    ``close_board`` ends its thread, which also ends when the run is over. After the death of the recorder it waits for
    a new one at a slower pace. With the `MovePanel` of the same run it has the actions below its banner.

    ``names_page``: the state is the title and the icon of the page. ``over`` is called once when the run is over. The
    language is that of the panel, else ``language``.
    """

    def __init__(
        self,
        run: Run,
        panel: MovePanel | None = None,
        *,
        names_page: bool = False,
        over: Callable[[], None] | None = None,
        language: str = "en",
    ) -> None:
        self._run, self._panel, self._over = run, panel, over
        self._followed = panel.followed if panel else FollowedRun(run, language=language)
        self._guard = threading.Lock()
        self.head = board_view(("head",), names_page=names_page, tells=names_page)
        self.body = board_view(("lanes", "happened", "folds"))
        self.trouble = Acknowledgement(self._followed.words)
        self._end = threading.Event()
        self.now: Board
        super().__init__([self.head, *([panel] if panel else []), self.body, self.trouble])
        self.redraw()
        self._thread = threading.Thread(target=self._keep, daemon=True, name=f"board of {run.name}")
        self._thread.start()

    def close_board(self) -> None:
        """End the redrawing."""
        self._end.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)

    def redraw(self, *, tables: bool = True) -> State:
        """Draw the current state of the folder; without ``tables`` only banner, figures, lanes and actions."""
        with self._guard:
            self.now = self._panel.refresh(full=tables) if self._panel else self._followed.board(full=tables)
            self.head.show(self.now)
            self.body.show(self.now)
            self.trouble.value = ""
            return self._followed.status.state()

    def _keep(self) -> None:
        every, due = REDRAW_S, time.monotonic()
        for turn in count():
            # On schedule: a slow redraw does not delay the next one.
            due = max(due + every, time.monotonic())
            if self._end.wait(due - time.monotonic()):
                return
            try:
                now = self.redraw(tables=turn % TABLES_EVERY == 0)
                # before the move begins, a survey or a validation may hold the folder too
                if now.has_begun and not now.recorded and not now.is_deserted:
                    self.redraw()
                    self._is_over()
                    return
                every = DESERTED_S if now.is_deserted else REDRAW_S
            except Exception as error:  # noqa: BLE001 - the board is drawn again at the next reading, and shows this
                self.trouble.trouble(error)

    def _is_over(self) -> None:
        if self._over is not None:
            self._over()

    def picture(self) -> HTML:
        """The board as plain output, which stays in the saved notebook."""
        return plain_board(self._run, self._followed.words.language)


def plain_board(run: Run, language: str = "en") -> HTML:
    """The board of a run as plain output."""
    return HTML(board_html(board_of(run, language=language)))


def watch(book: Runbook) -> Any:
    """The board of the move that runs now, with its actions, for the first cell of a notebook: it is seen at once
    after a reload. A sentence while nothing moves.
    """
    running = [run for run in book.runs() if run.manifest["mode"] == "move" and run.is_recorded() and run.events()]
    if not running:
        return HTML(f"<p>{words_of(book.site.language).said('No move is running now')}</p>")
    return LiveBoard(running[-1], MovePanel(book, running[-1]))
