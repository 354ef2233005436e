"""The board in German: nothing of it stays English but what machines printed, and its numbers are German."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse
from lpmkit.board.confirm import move_summary
from lpmkit.board.model import Board, Fold
from lpmkit.board.page import board_html
from lpmkit.board.text import board_lines, live_line
from lpmkit.report.page import render
from lpmkit.runs.folder import Run
from lpmkit.wording.words import words_of
from tests.board_states import CASES_ALIKE, CASES_ENDED, FIXTURE, REFUSED, STATES, board_in
from tests.plan_states import PLAN_STATES, plan_in

#: What machines printed, and names.
PRINTED = (
    REFUSED,
    "The operation to get the physical device location failed.",
    "Not Migrating",
    "XBP 2.0",
    "PERFMONITOR",
)
_WORDS = """
    the is are has been with its from and no to of at by not yet running watched passed before after during while which
    that this these only other could would each longest shortest sessions suspension suspended probes answered answer
    failed known changed because until since seen none most least read where when how what who why they there were can
    must should does did had have started ended recording stopped lines seconds minutes between within
    above below nothing nobody
"""
ENGLISH = re.compile(rf"\b({'|'.join(_WORDS.split())})\b")
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


class _Texts(HTMLParser):
    """The texts of a page, but for commands, code, hashes and drawings."""

    APART = frozenset({"pre", "code", "style", "svg"})
    VOID = frozenset({"meta", "br", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self._open.append(tag in self.APART or ("class", "hash") in attrs or ("data-name", "Zeile") in attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(self._open):
            self.texts.append(" ".join(data.split()))


def english_in(page: str, run: Run, printed: tuple[str, ...] = ()) -> list[str]:
    """Texts of a page with an English word or an English number; ``printed`` are patterns of what machines printed."""
    reader = _Texts()
    reader.feed(page)
    own = (re.escape(str(run.path)), re.escape(run.name), r"lpmkit [\w.-]+(?: [\w./-]+)*", r"[\w-]+\.json", *printed)
    return [
        text
        for text in reader.texts
        for bare in [re.sub("|".join(own), "", text)]
        if ENGLISH.search(bare) or ENGLISH_NUMBER.search(bare)
    ]


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


@pytest.mark.parametrize("state", [*STATES, *CASES_ALIKE, *CASES_ENDED])
def test_the_board_of_a_move_is_german_throughout(state: str, tmp_path: Path) -> None:
    with board_in(tmp_path, state, "de") as (_, board):
        assert english_left(board) == []
        page = board_html(board)
        assert 'lang="de"' in page
        assert "<h3>Ereignisse (UTC)</h3>" in page
        assert "What happened" not in page
        assert "Ereignisse (UTC)" in board_lines(board)
        assert "nicht beobachtet" not in live_line(board), "a tile that is not watched takes no room there"


#: What machines printed in the recorded move, as patterns.
RECORDED = (
    r"\d+ of \d+ objects processed",
    r"Step 001 started .*?\)",
    r"(?:log|control|db) file (?:sync|parallel write)",
    r"[\w-]+ of \w+ on bxaix85",
    r"bxaix85: \w+ phase of the partition migration completed",
    r"PARTID_CHANGE: Partition ID changed since last boot",
    r"The partition bxaix85 was not found",
    r"no way in the site file tells it \(.*?\); commands: liefert sie nicht",  # as an earlier version recorded it
)


def test_the_report_of_a_recorded_move_is_german_but_for_what_machines_printed(tmp_path: Path) -> None:
    run = Run(shutil.copytree(FIXTURE, tmp_path / "ivm-move"))
    page = render(run, analyse(run), {}, words_of("de"))
    assert 'lang="en"' not in page
    assert english_in(page, run, RECORDED) == []


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
    assert "SAP-Hardware-Schlüssel bleibt gleich" in rows["Warnungen (Sollzustand nicht erreicht)"]
    assert not [text for text in (*rows, *rows.values()) if ENGLISH.search(text)]
