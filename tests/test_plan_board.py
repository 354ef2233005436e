"""The board of a plan: every state says what happens, what to do and how long the partitions stood still."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lpmkit.board.model import Board, Tone
from lpmkit.board.page import board_html
from lpmkit.checks import Answer
from lpmkit.commands import plan as commands
from lpmkit.config import FrameSettings, RunSettings, Site
from lpmkit.control.base import Order
from lpmkit.errors import NotReady
from lpmkit.plan import confirm
from lpmkit.plan.banner import ACTIONS
from lpmkit.plan.board import FollowedPlan
from lpmkit.plan.book import CheckedPlan, may_start
from lpmkit.plan.confirm import plan_summary
from lpmkit.plan.page import write_page
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from tests.plan_states import NAMES, PLAN_STATES, checked, plan_in, plan_of_four
from tests.scripted_machines import Machines, Told

#: Of each state its tone, its title, words of its sentence, and its actions.
SAYS: dict[str, tuple[Tone, str, str, tuple[str, ...]]] = {
    "not-checked": (Tone.QUIET, "○ NOT CHECKED 4 moves", "Nothing is changed", ("check",)),
    "ready": (Tone.QUIET, "○ READY 4 moves", "Nothing moves before you type the title", ("start",)),
    "not-ready": (Tone.BAD, "✗ NOT READY 4 moves", "Mend what is named below", ("check",)),
    "not-known": (Tone.STILL, "? NOT ALL KNOWN 4 moves", "not all is known of p8vnic01", ("start", "check")),
    "moving": (Tone.BUSY, "● MOVING 1 of 4 arrived", "Wait. bxaix85 → p8b 62 %.", ("halt",)),
    "waiting": (Tone.BUSY, "● WAITING 1 of 4 arrived", "Nothing moves now. bxaix85: p8b takes 2", ("halt",)),
    "late": (Tone.STILL, "! MOVING ends after 22:25", "Halt it, or let it go on", ("halt",)),
    "halted": (Tone.QUIET, "○ HALTED 1 of 4 arrived", "bxaix85 goes on by itself. Go on when you want", ("go-on",)),
    "halted-failed": (Tone.BAD, "✗ HALTED 1 of 4 arrived", "then try bxaix85 again or go on", ("again", "go-on")),
    "needs-recovery": (Tone.BAD, "✗ INTERRUPTED RECOVER bxaix85", "Recover bxaix85: lpmkit recover", ("go-on",)),
    "conductor-gone": (Tone.BAD, "✗ NOT CONDUCTED CONDUCTOR GONE", "Restart the conductor", ("attach",)),
    "done": (Tone.GOOD, "✓ DONE 4 of 4 arrived", "Every move has arrived. Verdicts: 4 passed.", ("report",)),
    "done-failed": (Tone.BAD, "✗ ENDED 3 of 4 arrived", "Not moved, or with a failure: bxaix85", ("again", "report")),
}


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Run | None, Board]]:
    """The board of every state."""
    made = {}
    for state in PLAN_STATES:
        with plan_in(tmp_path_factory.mktemp(state), state) as (folder, board):
            made[state] = folder, board
    return made


@pytest.mark.parametrize("state", PLAN_STATES)
def test_a_state_has_its_word_its_sentence_and_only_the_actions_that_apply(
    state: str, boards: dict[str, tuple[Run | None, Board]]
) -> None:
    tone, title, sentence, actions = SAYS[state]
    banner = boards[state][1].banner
    assert (banner.tone, banner.title, banner.actions) == (tone, title, actions)
    assert sentence in banner.sentence
    assert set(actions) <= set(ACTIONS)
    assert len(actions) <= 2
    assert len(boards[state][1].tiles) == 6


def test_no_two_states_look_alike_even_without_colours(boards: dict[str, tuple[Run | None, Board]]) -> None:
    seen = [(board.banner.title, board.banner.sentence) for _, board in boards.values()]
    assert len(set(seen)) == len(PLAN_STATES)


def test_the_longest_suspension_is_that_of_the_move_with_the_highest_bound(
    boards: dict[str, tuple[Run | None, Board]],
) -> None:
    told = {state: board.tiles[-1] for state, (_, board) in boards.items()}
    assert (told["done"].name, told["done"].value) == ("longest suspension", "1.650 … 1.700 s")
    assert "p8vnic01, of 4 moves" in told["done"].note
    assert told["moving"].value == "1.551 … 1.601 s"


def test_bars_show_what_happened_and_what_is_expected(boards: dict[str, tuple[Run | None, Board]]) -> None:
    svg = boards["moving"][1].lanes.svg
    assert "bxapp1: moving 22:13:53" not in svg
    assert re.search(r"bxapp1: moving 22:\d\d:\d\d … 22:\d\d:\d\d UTC", svg)
    assert svg.count("(P10 … P90)") == 3
    assert ">now<" in svg
    assert "▼" in svg, "the suspension of the move that is over"
    assert ">end of window<" in boards["late"][1].lanes.svg
    assert ">now<" not in boards["done"][1].lanes.svg


def test_a_failure_is_told_with_what_to_type(boards: dict[str, tuple[Run | None, Board]]) -> None:
    folder, board = boards["halted-failed"]
    assert folder is not None
    assert board.failure is not None
    assert [item.command for item in board.failure.items if item.command] == [
        f"lpmkit plan again {folder.name} bxaix85",
        f"lpmkit plan go-on {folder.name}",
    ]
    assert boards["halted"][1].failure is None, "a halt that somebody asked for is no failure"


def test_a_plan_that_is_followed_shows_what_one_look_shows(tmp_path: Path) -> None:
    with plan_in(tmp_path, "done") as (folder, board):
        assert folder is not None
        followed = FollowedPlan(folder, Told())
        followed.board()
        again = followed.board()
        assert again.tiles[2:] == board.tiles[2:]
        assert again.lanes.svg == board.lanes.svg


def test_the_page_of_a_plan_has_its_board(tmp_path: Path) -> None:
    with plan_in(tmp_path, "done") as (folder, board):
        assert folder is not None
        page = write_page(folder).read_text(encoding="utf-8")
    assert f"data-state='{board.banner.key}'" in page
    assert "4 of 4 arrived." in page
    assert "Moves of the plan over the time of day" in page


# --- before a start -------------------------------------------------------------------------------------------------


def _summary(tmp_path: Path, wanted: CheckedPlan) -> dict[str, str]:
    return dict(plan_summary(cast(Runbook, Machines(tmp_path, {})), wanted))


def test_the_summary_has_the_moves_in_order_the_warnings_the_forecast_and_the_back_out(tmp_path: Path) -> None:
    rows = _summary(tmp_path, checked())
    assert [rows[f"move {number}"].split()[0] for number in (1, 2, 3, 4)] == list(NAMES)
    assert re.search(
        r"p8a → p8b, after bxapp1, begins 22:\d\d … 22:\d\d, ends 22:\d\d … 22:\d\d UTC \(P10 … P90\)", rows["move 2"]
    )
    assert rows["validation"] == "4 of 4 moves accepted by the firmware at 22:13:20 UTC"
    assert rows["accepted, not met"] == f"The SAP hardware key stays ({', '.join(NAMES)})"
    assert "(P10 … P90), most likely" in rows["forecast"]
    assert rows["change window"].endswith(": holds")
    assert rows["last safe start"] == "2023-11-14 22:52 UTC"
    assert rows["if one fails"] == "start no further move"
    assert "lpmkit stop RUN" in rows["back-out"]
    assert "approved by" not in rows


def test_a_move_that_waits_for_an_approval_says_who_types_what(tmp_path: Path) -> None:
    machines = Machines(tmp_path, {}, unapproved={"bxapp1"})
    prepared = machines.prepare(Order("bxapp1", "p8a", "p8b", "p8b", "", "", {}, {}, {}))
    case = checked()
    case = replace(case, moves=(replace(case.moves[0], run=prepared), *case.moves[1:]))
    rows = dict(plan_summary(cast(Runbook, machines), case))
    assert rows["not approved yet"].startswith("bxapp1 waits at its turn: this order needs 1 approval")


def test_the_summary_names_the_other_places_that_are_to_watch_and_those_that_will_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirm, "not_served", lambda *_: {"ber": "no worker has served it yet"})
    case = checked()
    case = replace(case, plan=case.plan.model_copy(update={"observe_from": ("fra", "ber")}))
    assert _summary(tmp_path, case)["also observed from"] == "fra; ber: NOT, no worker has served it yet"
    assert "also observed from" not in _summary(tmp_path, checked())


def test_what_could_not_be_asked_stands_in_the_summary(tmp_path: Path) -> None:
    assert _summary(tmp_path, checked(unknown=True))["not known"].startswith("p8vnic01: p8b: nobody answers")


def _book(tmp_path: Path) -> Runbook:
    frames = {name: FrameSettings(host=name, mover_address="192.0.2.1") for name in ("p8a", "p8b")}
    machines = Machines(tmp_path, {})
    machines.site = Site(frames=frames, runs=RunSettings(folder=tmp_path))
    return cast(Runbook, machines)


def test_a_plan_that_is_not_ready_is_refused_before_its_title_is_asked_for(tmp_path: Path) -> None:
    book = _book(tmp_path)
    for case, why in (
        (checked(failing=True), "p8npiv01: .*room for the memory.*no room on p8b at its turn"),
        (checked(window_end_s=700.0), "the change window does not hold"),
        (checked(window_end_s=1200.0), "the change window may not hold"),
    ):
        with pytest.raises(NotReady, match=why):
            may_start(book, case.plan, case)
    may_start(book, plan_of_four(), checked())
    may_start(book, plan_of_four(), checked(unknown=True))


def test_at_the_prompt_a_plan_that_is_not_ready_is_refused_and_one_that_is_shows_its_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    book, asked = _book(tmp_path), list[str]()

    def answer(question: str) -> str:
        asked.append(question)
        return "Rack 8"

    monkeypatch.setattr(commands, "ask_person", answer)
    monkeypatch.setattr("lpmkit.plan.book.checked_plan", lambda book, plan: checked(failing=True))
    with pytest.raises(NotReady):
        commands.confirmed(book, plan_of_four())
    assert asked == []
    monkeypatch.setattr("lpmkit.plan.book.checked_plan", lambda book, plan: checked())
    assert commands.confirmed(book, plan_of_four()) == "Rack 8"
    assert len(asked) == 1
    assert "last safe start" in capsys.readouterr().err


def test_the_words_of_a_state_are_not_more_than_can_be_read(boards: dict[str, tuple[Run | None, Board]]) -> None:
    for state, (_, board) in boards.items():
        page = re.sub(r"<svg.*?</svg>|(?s:<style>.*?</style>)", " ", board_html(board))
        assert len(re.sub(r"<[^>]+>", " ", page).split()) <= 300, state


def test_a_name_that_no_frame_lists_is_refused_and_not_known_while_a_frame_is_silent() -> None:
    well = checked()
    slip = replace(well, unknown=("nodde2",))
    assert (well.answer, slip.answer) == (Answer.READY, Answer.NOT_READY)
    assert slip.against() == ("nodde2: the plan names it under `clusters` or `wait_for`, and no frame lists it",)
    silent = replace(slip, silent=("p8c",))
    assert silent.answer is Answer.COULD_NOT_TELL, "it may be on the frame that was not asked"
    assert silent.against()[0].endswith("no frame lists it; p8c could not be asked")
