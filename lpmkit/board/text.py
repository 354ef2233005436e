"""The board as text: for the command line, and to compare one board with another."""

from __future__ import annotations

from collections.abc import Iterator

from lpmkit.board.model import SIGNS, Board, Fold, Tone
from lpmkit.wording.words import words_of


def live_line(board: Board) -> str:
    """State and tiles in one line, for a terminal that is drawn again and again."""
    unwatched = words_of(board.language).said("not watched")
    tiles = [f"{tile.name} {tile.value}" for tile in board.tiles if tile.value not in {"–", unwatched}]
    return " · ".join([board.banner.title, *tiles])


def board_lines(board: Board) -> list[str]:
    """The whole board as lines: banner, tiles, what is wrong, what happened, and the open folds in full."""
    return list(_lines(board))


def _lines(board: Board) -> Iterator[str]:
    yield f"{board.order}   {board.run}"
    yield board.banner.title
    yield board.banner.sentence
    for tile in board.tiles:
        yield f"  {tile.name}: {tile.value}" + (f" ({tile.note})" if tile.note else "")
    if board.failure is not None:
        yield from _fold(board.failure)
    yield words_of(board.language).said("What happened (UTC)")
    for one in board.happened:
        yield f"  {one.at}  {'✗ ' if one.bad else ''}{one.text}"
    for fold in board.folds:
        yield from _fold(fold)


def _fold(fold: Fold) -> Iterator[str]:
    chips = ", ".join(
        f"{SIGNS[chip.tone]} {chip.text}" if chip.tone is not Tone.QUIET else chip.text for chip in fold.chips
    )
    yield f"{fold.title}{f': {chips}' if chips else ''}"
    if not fold.is_open:
        return
    for item in fold.items:
        sign = f"{SIGNS[item.tone]} " if item.tone is not Tone.QUIET else ""
        yield f"  {sign}{item.text}{item.command}"
        yield from (f"    {line}" for line in item.lines)
