"""A board in another language: every text but names, commands and what machines printed."""

from __future__ import annotations

from dataclasses import replace

from lpmkit.board.model import Banner, Board, Chip, Fold, Happening, Item, Tile
from lpmkit.wording.words import Words

#: Columns of tables with what a machine printed.
_AS_PRINTED = frozenset({"line"})


def in_language(board: Board, words: Words) -> Board:
    """The board in a language. Its lanes are drawn in it already."""
    if words.language == board.language:
        return board
    order, gap, what = board.order.partition("  ")
    return replace(
        board,
        language=words.language,
        run=board.run if board.path else words.said(board.run),
        order=f"{order}{gap}{words.said(what)}",
        banner=_banner(board.banner, words),
        tiles=tuple(
            Tile(words.said(tile.name), words.said(tile.value), words.said(tile.note), tile.tone)
            for tile in board.tiles
        ),
        lanes=replace(board.lanes, title=words.said(board.lanes.title)),
        happened=tuple(Happening(one.at, words.said(one.text), one.bad) for one in board.happened),
        failure=_fold(board.failure, words) if board.failure else None,
        folds=tuple(_fold(fold, words) for fold in board.folds),
    )


def _banner(banner: Banner, words: Words) -> Banner:
    return replace(
        banner,
        word=words.said(banner.word),
        figure=words.said(banner.figure),
        sentence=words.said(banner.sentence),
    )


def _fold(fold: Fold, words: Words) -> Fold:
    return replace(
        fold,
        title=words.said(fold.title),
        chips=tuple(Chip(words.said(chip.text), chip.tone) for chip in fold.chips),
        items=tuple(
            Item(words.said(item.text), item.tone, tuple(map(words.said, item.lines)), item.command)
            for item in fold.items
        ),
        rows=tuple(
            {
                words.said(name): words.said(value) if isinstance(value, str) and name not in _AS_PRINTED else value
                for name, value in row.items()
            }
            for row in fold.rows
        ),
    )
