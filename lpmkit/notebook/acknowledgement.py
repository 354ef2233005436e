"""The answer to a click, beside the button: an acknowledgement that goes by itself, or what is wrong.

What was done a while ago is no state. The board has the state.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

import ipywidgets as w

from lpmkit.errors import LpmError
from lpmkit.notebook.tables import escaped
from lpmkit.wording.words import ENGLISH, Words

#: An acknowledgement is gone after this time; trouble stays until the next click.
STAYS_S = 5.0


class Acknowledgement(w.HTML):  # type: ignore[misc] # ipywidgets has no types
    """A line for the answer to a click."""

    def __init__(self, words: Words = ENGLISH) -> None:
        self._said = words.said
        super().__init__()

    def done(self, text: str) -> None:
        """Acknowledge, for `STAYS_S`."""
        self.value = f"<p role='status'>✓ {escaped(self._said(text))}</p>"
        timer = threading.Timer(STAYS_S, self._let_go, (self.value,))
        timer.daemon = True
        timer.start()

    def busy(self, text: str) -> None:
        """Say what is being done."""
        self.value = f"<p role='status'>{escaped(self._said(text))} …</p>"

    def result(self, text: str) -> None:
        """Say what came of it; stays until the next click."""
        self.value = f"<p role='status'>{escaped(self._said(text))}</p>"

    def trouble(self, error: Exception | str) -> None:
        """Say what is wrong and what to do; stays until the next click."""
        text = defect(error) if isinstance(error, Exception) else error
        self.value = f"<p role='alert'>✗ {escaped(self._said(text))}</p>"

    def carried_out(self, act: Callable[[], object], done: str) -> bool:
        """Carry out an action and acknowledge it; false after trouble, which is shown."""
        try:
            act()
        except LpmError as error:
            self.trouble(error)
            return False
        self.done(done)
        return True

    def _let_go(self, text: str) -> None:
        if self.value == text:
            self.value = ""


def defect(error: Exception) -> str:
    """An error as text: lpmkit's own and the system's as they are, any other as a defect with its place in the code."""
    if isinstance(error, LpmError | OSError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return (
        f"Defect in lpmkit: {type(error).__name__}: {error}{place}. A recorder at work is not affected. "
        "Run the cell again; if this comes back, report it."
    )
