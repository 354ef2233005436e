"""A picture of every state of the boards, for eyes:
``python -m tests.browser.pictures [--language de] FOLDER [WORD …]``.

Each state of a move and of a plan at 1366×768, at 150 % zoom, in a dark theme, without colours, and on a phone of
390 px. With words only the states whose name has one of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lpmkit.board.page import board_html
from lpmkit.wording.words import LANGUAGES
from tests.board_states import CASES_ALIKE, STATES, board_in
from tests.browser.lab import browser
from tests.browser.test_board_states import DARK, SCREENS, show
from tests.plan_states import PLAN_STATES, plan_in

#: Width, height and style of each picture.
PICTURES: Mapping[str, tuple[int, int, str]] = {
    "1366": (*SCREENS["1366"], ""),
    "150-percent": (*SCREENS["150-percent"], ""),
    "dark": (*SCREENS["1366"], DARK),
    "grey": (*SCREENS["1366"], "filter:grayscale(1)"),
    "phone": (*SCREENS["phone"], ""),
}


def boards(folder: Path, wanted: list[str], language: str) -> Iterator[tuple[str, str]]:
    """Name and board of every wanted state in a language, as HTML."""
    names = [f"move-{state}" for state in (*STATES, *CASES_ALIKE)] + [f"plan-{state}" for state in PLAN_STATES]
    for name in names:
        if wanted and not any(word in name for word in wanted):
            continue
        kind, _, state = name.partition("-")
        place = folder / name
        place.mkdir()
        made = board_in(place, state, language) if kind == "move" else plan_in(place, state, language)
        with made as (_, board):
            yield name, board_html(board)


def main() -> None:
    """Write the pictures into the folder that is named on the command line."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--language", choices=LANGUAGES, default="en")
    reader.add_argument("folder", type=Path)
    reader.add_argument("wanted", metavar="WORD", nargs="*")
    asked = reader.parse_args()
    to = asked.folder
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        for name, html in boards(Path(folder), asked.wanted, asked.language):
            for picture, (width, height, style) in PICTURES.items():
                page.set_viewport_size({"width": width, "height": height})
                show(page, html, style)
                page.screenshot(path=str(to / f"{name}-{picture}.png"))


if __name__ == "__main__":
    main()
