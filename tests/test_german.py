"""The board in German: nothing of it stays English but what machines printed, and its numbers are German."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.board.confirm import move_summary
from lpmkit.board.model import Board, Fold
from lpmkit.board.page import board_html
from lpmkit.board.text import board_lines, live_line
from lpmkit.wording.words import words_of
from tests.board_states import CASES_ALIKE, REFUSED, STATES, board_in
from tests.plan_states import PLAN_STATES, plan_in

#: What machines printed, and names.
PRINTED = (
    REFUSED,
    "The operation to get the physical device location failed.",
    "Not Migrating",
    "XBP 2.0",
    "PERFMONITOR",
)
ENGLISH = re.compile(r"\b(the|is|are|has|been|with|its|from|and|no|to|of|at|by|not|yet|running|watched|passed)\b")
ENGLISH_NUMBER = re.compile(r"\d\.\d+ (?:s|ms|GB)\b|\d\.\d{1,2} MB\b")
#: Columns of tables that have what a machine named or printed.
EVIDENCE = ("Jobprotokoll", "Programm", "Job", "Zeile", "Lauf")


def texts(board: Board) -> Iterator[str]:
    """Every text of a board but commands and paths."""
    yield from (board.order, board.banner.word, board.banner.figure, board.banner.sentence, board.lanes.title)
    yield from re.findall(r"<(?:text|title)[^>]*>([^<]*)<", board.lanes.svg)
    for tile in board.tiles:
        yield from (tile.name, tile.value, tile.note)
    yield from (one.text for one in board.happened)
    for fold in (*board.folds, *([board.failure] if board.failure else [])):
        yield from texts_of(fold)


def texts_of(fold: Fold) -> Iterator[str]:
    yield fold.title
    yield from (chip.text for chip in fold.chips)
    for item in fold.items:
        yield from (item.text, *item.lines)
    for row in fold.rows:
        yield from row
        yield from (str(value) for name, value in row.items() if name not in EVIDENCE)


def english_left(board: Board, own: tuple[str, ...] = ()) -> list[str]:
    """Texts with an English word or an English number, where no machine printed it."""
    found = []
    for text in texts(board):
        bare = text
        for printed in (*PRINTED, *own, board.path, board.run):
            bare = bare.replace(printed, "") if printed else bare
        bare = re.sub(r"lpmkit [\w.-]+(?: [\w./-]+)*|`[^`]*`", "", bare)
        if ENGLISH.search(bare) or ENGLISH_NUMBER.search(bare):
            found.append(text)
    return found


@pytest.mark.parametrize("state", [*STATES, *CASES_ALIKE])
def test_the_board_of_a_move_is_german_throughout(state: str, tmp_path: Path) -> None:
    with board_in(tmp_path, state, "de") as (_, board):
        assert english_left(board) == []
        page = board_html(board)
        assert 'lang="de"' in page
        assert "<h3>Ereignisse (UTC)</h3>" in page
        assert "What happened" not in page
        assert "Ereignisse (UTC)" in board_lines(board)
        assert "nicht beobachtet" not in live_line(board), "a tile that is not watched takes no room there"


@pytest.mark.parametrize("state", PLAN_STATES)
def test_the_board_of_a_plan_is_german_throughout(state: str, tmp_path: Path) -> None:
    with plan_in(tmp_path, state, "de") as (_, board):
        assert english_left(board, ("Rack 8",)) == []


def test_a_sentence_without_a_template_is_noticed(tmp_path: Path) -> None:
    with board_in(tmp_path, "copying", "de") as (_, board):
        banner = replace(board.banner, sentence="Wait for the end.")
        assert english_left(replace(board, banner=banner)) == ["Wait for the end."]


def test_the_summary_before_a_move_is_german(tmp_path: Path) -> None:
    with board_in(tmp_path, "ready") as (run, _):
        rows: Mapping[str, Any] = dict(move_summary(run, words=words_of("de")))
        english = dict(move_summary(run))
    assert list(english)[:3] == ["move", "from → to", "validation"]
    assert list(rows)[:3] == ["Migration", "von → nach", "Validierung"]
    assert rows["erwartet"].startswith("Kopie 25 … 147 s, Unterbrechung 0,7 … 2,9 s")
    assert "SAP-Hardware-Schlüssel bleibt gleich" in rows["akzeptiert, nicht erfüllt"]
    assert not [text for text in (*rows, *rows.values()) if ENGLISH.search(text)]
