"""The board as HTML: one style, four parts. The parts together are the whole board, which needs no script.

A live widget replaces each part where it has changed; a saved notebook, a report and a page that is printed have the
same text. Colours come from the theme of the page around it (JupyterLab's variables), with fallbacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from lpmkit.board.model import SIGNS, Board, Fold, Item, Tile
from lpmkit.wording.words import Words, words_of

#: Values of tiles that are longer are written smaller.
LONG_VALUE = 9
#: The parts of a board, in their order.
PARTS = ("head", "lanes", "happened", "folds")


def board_html(board: Board) -> str:
    """The whole board as one self-contained piece of HTML."""
    return assembled(parts(board), board.language)


def assembled(made: Mapping[str, str], language: str = "en") -> str:
    """The parts of a board in a language, put together as `board_html` does."""
    wanted = [name for name in PARTS if name in made]
    sections = "".join(
        f'<div class="lpm-part lpm-part-{name}" data-part="{name}">{made[name]}</div>' for name in wanted
    )
    label = words_of(language).said("Board")
    board = f'<section class="lpm-board" lang="{language}" aria-label="{label}">{sections}</section>'
    return f'<style>{style()}</style><div class="lpm-room">{board}</div>'


def parts(board: Board) -> dict[str, str]:
    """The parts of a board by name."""
    words = words_of(board.language)
    return {
        "head": _head(board),
        "lanes": f"<h3>{escape(board.lanes.title)}</h3>{board.lanes.svg}",
        "happened": _happened(board, words),
        "folds": "".join(_fold(fold, words) for fold in board.folds),
    }


@cache
def style() -> str:
    """The style of the board."""
    return files("lpmkit").joinpath("templates", "board.css").read_text(encoding="utf-8")


def _head(board: Board) -> str:
    banner = board.banner
    done = "" if banner.fraction is None else f"<i style='width:{100 * banner.fraction:.0f}%'></i>"
    figure = f"<span class='lpm-figure'>{_unbroken(banner.figure)}</span>" if banner.figure else ""
    return (
        f"<p class='lpm-order'>{escape(board.order)} <span>{escape(board.run)}</span></p>"
        f"<div class='lpm-banner lpm-{banner.tone.value}' data-state='{banner.key}' role='status'>"
        f"<p class='lpm-word'><span aria-hidden='true'>{banner.sign}</span> {_unbroken(banner.word)} {figure}</p>"
        f"<p class='lpm-sentence'>{escape(banner.sentence)}</p></div>"
        f"<div class='lpm-progress lpm-{banner.tone.value}' aria-hidden='true'>{done}</div>"
        f"<div class='lpm-tiles'>{''.join(map(_tile, board.tiles))}</div>"
    )


def _unbroken(text: str) -> str:
    """A figure as HTML, no line broken between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:s|%|GB|MB|UTC)\b|%)", "\u00a0", escape(text))


def _tile(tile: Tile) -> str:
    long = " lpm-long" if len(tile.value) > LONG_VALUE else ""
    return (
        f"<div class='lpm-tile lpm-{tile.tone.value}{long}'><span class='lpm-name'>{escape(tile.name)}</span> "
        f"<b>{_unbroken(tile.value)}</b> <span class='lpm-note'>{escape(tile.note)}</span></div>"
    )


def _happened(board: Board, words: Words) -> str:
    wrong = _fold(board.failure, words) if board.failure else ""
    lines = "".join(
        f"<li class='lpm-{'bad' if one.bad else 'quiet'}'><time>{one.at}</time> {'✗ ' if one.bad else ''}"
        f"{escape(one.text)}</li>"
        for one in board.happened
    )
    heading, nothing = words.said("What happened (UTC)"), words.said("Nothing yet")
    return f"{wrong}<h3>{heading}</h3><ol>{lines or f'<li>{nothing}</li>'}</ol>"


def _fold(fold: Fold, words: Words) -> str:
    chips = "".join(
        f" <span class='lpm-chip lpm-{chip.tone.value}'>{SIGNS[chip.tone] if chip.tone != 'quiet' else ''} "
        f"{escape(chip.text)}</span>"
        for chip in fold.chips
    )
    items = "".join(map(_item, fold.items))
    body = f"<ul>{items}</ul>" if items else ""
    body += _table(fold.rows) if fold.rows else ""
    body = body or f"<p>{words.said('Nothing more')}</p>"
    opened = " open" if fold.is_open else ""
    return (
        f"<details data-key='{escape(fold.key)}'{opened}><summary>{escape(fold.title)}{chips}</summary>"
        f"<div class='lpm-body'>{body}</div></details>"
    )


def _item(item: Item) -> str:
    sign = f"{SIGNS[item.tone]} " if item.tone != "quiet" else ""
    text = f"<span class='lpm-text'>{sign}{escape(item.text)}</span>" if item.text else ""
    command = f"<code class='lpm-command'>{escape(item.command)}</code>" if item.command else ""
    lines = "".join(f"<br><small>{escape(line)}</small>" for line in item.lines)
    return f"<li class='lpm-{item.tone.value}'>{text}{command}{lines}</li>"


def _cell(name: str, text: str) -> str:
    """A cell with the name of its column, which a narrow page shows beside it; an empty one is left out there."""
    return f"<td data-name='{escape(name)}'>{escape(text)}</td>"


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    head = "".join(f"<th scope='col'>{escape(str(name))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(_cell(str(name), "" if value is None else str(value)) for name, value in row.items()) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
