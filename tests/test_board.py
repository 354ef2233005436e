"""The board: every state says what happens, what to do and how long the partition stood still, on one screen."""

from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from lpmkit.analysis import analyse, summary, write_summary
from lpmkit.board.banner import ACTIONS
from lpmkit.board.confirm import move_summary
from lpmkit.board.events import event_text
from lpmkit.board.follow import FollowedRun, board_of, title_of
from lpmkit.board.model import Board, Tile, Tone
from lpmkit.board.page import PARTS, board_html, parts
from lpmkit.board.provisional import Cause, SharedSilence, common_gap, explained, silent_since
from lpmkit.board.text import board_lines, live_line
from lpmkit.cli import main
from lpmkit.commands import move
from lpmkit.commands.console import current_run
from lpmkit.config import Site
from lpmkit.errors import NotAllowed, UsageError
from lpmkit.runbook import Runbook
from lpmkit.runs.cells import MISSING
from lpmkit.runs.folder import Run, write_document
from lpmkit.runs.samples import Columns
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Event
from tests.board_states import FIXTURE, STATES, SUSPENDED, board_in
from tests.made_runs import START, Made, MadeClock, S, make
from tests.test_widgets import Recorder, book, run, site

__all__ = ["book", "run", "site"]

#: Of each state its tone, the words in its title, words of its sentence, and its actions.
SAYS: dict[str, tuple[Tone, str, str, tuple[str, ...]]] = {
    "ready": (Tone.QUIET, "READY blade13 → blade14", "The validation passed at", ("move",)),
    "lead-in": (Tone.BUSY, "LEAD-IN 0:05", "Wait. The baseline is recorded", ("stop",)),
    "asked": (Tone.BUSY, "ASKED", "Wait. The manager of blade13 was asked", ("stop", "look")),
    "copying": (Tone.BUSY, "COPYING 63 %", "Wait. 1.7 GB of 4.6 GB left", ("stop", "look")),
    "suspended": (Tone.STILL, "SUSPENDED 1.2 s so far", "Wait. bxaix85 is suspended", ("stop", "look")),
    "resumed": (Tone.BUSY, "RESUMED suspended at most 1.", "have not yet reported where it runs", ("look",)),
    "switched": (Tone.BUSY, "SWITCHED suspended at most 1.7 s", "Wait. It has left blade13", ("look",)),
    "arrived": (Tone.GOOD, "ARRIVED suspended at most 1.7 s", "Watching on for 0:13", ()),
    "moved": (Tone.STILL, "MOVED suspended 1.5", "not evaluated. bxaix85 runs on blade14.", ("write-up", "report")),
    "stopped": (Tone.QUIET, "STOPPED", "bxaix85 runs on blade13 as before", ("look",)),
    "failed": (Tone.BAD, "NOT MOVED", "The manager refused the move. bxaix85 runs on blade13", ("look",)),
    "needs-recovery": (
        Tone.BAD,
        "INTERRUPTED AT 51 %",
        "bxaix85 still runs and answers. Delete nothing. Recover it: lpmkit recover ",
        ("recover", "look"),
    ),
    "recorder-gone": (Tone.BAD, "NOT OBSERVED RECORDER GONE", "Restart the recorder", ("attach", "look")),
}


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Run, Board]]:
    """The board of every state. A recorder's hold on a folder ends here, the board was made before."""
    made = {}
    for state in STATES:
        with board_in(tmp_path_factory.mktemp(state), state) as (run, board):
            made[state] = run, board
    return made


def tile(board: Board, name: str) -> Tile:
    return next(one for one in board.tiles if one.name.startswith(name))


#: Of each silence that is not surely the suspension: its title, words of its sentence, the tile of the suspension.
SILENCES: dict[str, tuple[str, str, str]] = {
    "silent": ("? NO ANSWER 1.2 s so far", "the network is down, or bxaix85 is suspended early", "silent 1.2 s"),
    "break": ("● COPYING 71 %", "The network broke for at most 1.7 s: no suspension, the partition ran on.", "not yet"),
    "break-without-stamps": (
        "● ANSWERS AGAIN silent at most 1.7 s",
        "suspended or the network broke is not known",
        "≤ 1.7 s",
    ),
    "break-reported": ("● COPYING 63 %", "1.7 GB of 4.6 GB left. It answers again; blade13 and", "≤ 1.7 s"),
    "rest-reported": ("● RESUMED suspended at most 1.7 s", "have not yet reported where it runs", "≤ 1.7 s"),
}


@pytest.mark.parametrize("state", SILENCES)
def test_a_silence_is_called_what_is_known_of_it_at_that_moment(state: str, tmp_path: Path) -> None:
    title, sentence, value = SILENCES[state]
    with board_in(tmp_path, state) as (_, board):
        assert board.banner.title == title
        assert sentence in board.banner.sentence
        assert tile(board, "suspension").value == value
        assert tile(board, "partition").value in ("✓ answers", "no answer")
        happened = [one.text for one in board.happened if "1.7 s" in one.text]
    assert ("network break of at most 1.7 s: bxaix85 ran on, by its own stamps" in happened) == (state == "break")


@pytest.mark.parametrize("state", STATES)
def test_a_state_has_its_word_its_sentence_and_only_the_actions_that_apply(
    state: str, boards: dict[str, tuple[Run, Board]]
) -> None:
    tone, title, sentence, actions = SAYS[state]
    banner = boards[state][1].banner
    assert banner.tone is tone
    assert title in banner.title
    assert sentence in banner.sentence
    assert banner.actions == actions
    assert len(banner.actions) <= 2
    assert set(banner.actions) <= set(ACTIONS)


def test_no_two_states_look_alike_even_without_colours(boards: dict[str, tuple[Run, Board]]) -> None:
    assert len({board.banner.title for _, board in boards.values()}) == len(STATES)


@pytest.mark.parametrize("state", STATES)
def test_the_forms_of_a_board_say_the_same(state: str, boards: dict[str, tuple[Run, Board]]) -> None:
    _, board = boards[state]
    page = board_html(board)
    without = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)
    shown = " ".join(html.unescape(without).split())
    for line in board_lines(board):
        for piece in re.split(r": |, |   | \(|\)", line):
            text = " ".join(re.sub(r"^[\s✗✓!●○‖?]+", "", piece).split())
            assert text in shown
    assert board.banner.title in live_line(board)
    assert board.banner.title in title_of(board)
    assert [name for name in PARTS if f'data-part="{name}"' in page] == list(PARTS)


def test_a_state_is_told_in_few_words(boards: dict[str, tuple[Run, Board]]) -> None:
    """What is folded is not counted: it is read by who asks for it."""
    for state, (_, board) in boards.items():
        page = re.sub(r"<svg.*?</svg>|(?s:<style>.*?</style>)", " ", board_html(board))
        page = re.sub(r"<details[^>]*(?<!open)>(<summary>.*?</summary>).*?</details>", r"\1", page)
        words = re.sub(r"<[^>]+>", " ", page).split()
        assert len(words) <= (450 if state in ("ready", "moved") else 300), (state, len(words))


# --- tiles ----------------------------------------------------------------------------------------------------------


def test_the_suspension_is_told_before_while_and_after_it(boards: dict[str, tuple[Run, Board]]) -> None:
    suspension = {state: tile(board, "suspension") for state, (_, board) in boards.items()}
    assert suspension["copying"].value == "not yet"
    assert "expected 0.7 … 2.9 s" in suspension["copying"].note
    assert suspension["suspended"].value == "1.2 s so far"
    assert suspension["arrived"].value == "≤ 1.7 s"
    assert "provisional, seen by 3 probes" in suspension["arrived"].note
    low, high = (float(one) for one in suspension["moved"].value.removesuffix(" s").split(" … "))
    assert low <= SUSPENDED[1] - SUSPENDED[0] <= high
    assert suspension["stopped"].value == "none"


def test_tiles_have_the_rest_the_elapsed_time_and_the_workload(boards: dict[str, tuple[Run, Board]]) -> None:
    _, board = boards["copying"]
    told = {one.name: (one.value, one.note) for one in board.tiles}
    assert told["to go"] == ("0:16", "0:12 … 0:40 likely")
    assert told["elapsed"][0] == "0:19"
    assert told["partition"][0] == "✓ answers"
    assert told["SAP BX5"][0] == "✓ 40/40 WP"
    assert told["Oracle BX5"][0] == "✓ open"


@pytest.mark.parametrize(("limit_s", "tone"), [(1.0, Tone.BAD), (3.0, Tone.GOOD)])
def test_a_suspension_beyond_the_sites_limit_is_red(limit_s: float, tone: Tone, tmp_path: Path) -> None:
    with board_in(tmp_path, "moved") as (run, _):
        write_document(run.path, "run", {**run.manifest, "limits": {"suspend_s": limit_s}})
        assert tile(board_of(Run(run.path)), "suspension").tone is tone


def test_an_answer_of_sap_that_is_old_says_so(tmp_path: Path) -> None:
    with board_in(tmp_path, "copying") as (run, board):
        assert tile(board, "SAP").tone is Tone.GOOD
        late = board_of(run, MadeClock(START + 70 * S))
        assert tile(late, "SAP").tone is Tone.STILL
        assert "s ago" in tile(late, "SAP").note
        assert tile(late, "partition").tone is Tone.BAD, "and a partition that is silent outside a suspension too"


def test_without_an_estimate_the_time_to_go_is_worked_out_within_what_was_expected(tmp_path: Path) -> None:
    with board_in(tmp_path, "asked") as (run, _):
        assert "…" in tile(board_of(run, MadeClock(START + 11 * S)), "to go").value
    with board_in(tmp_path, "suspended") as (run, board):
        assert board.banner.fraction is not None
        # a rate of nearly nothing would give hours; P90 of before is 147 s, 27 s of it are over
        assert tile(board, "to go").value <= "2:00"


# --- the provisional suspension -------------------------------------------------------------------------------------


def ticks(interval_s: float, *gaps: tuple[float, float], until_s: float = 30.0) -> Any:
    times = np.arange(0.0, until_s, interval_s)
    for lo, hi in gaps:
        times = times[(times < lo) | (times >= hi)]
    return (times * 1e9).astype(np.int64)


def test_a_silence_counts_where_two_probes_share_it() -> None:
    lanes = {"ssh-ticks": ticks(0.01, (10, 11.5)), "ssh-echo": ticks(0.1, (10, 11.5)), "icmp": ticks(0.01)}
    gap = common_gap(lanes, 0)
    assert gap is not None
    assert gap.probes == ("ssh-echo", "ssh-ticks")
    assert gap.length_s == pytest.approx(1.5, abs=0.12)
    assert common_gap(lanes, 12 * S) is None, "one before the move is none"
    assert common_gap({"ssh-ticks": lanes["ssh-ticks"], "icmp": lanes["icmp"]}, 0) is None
    apart = {"ssh-ticks": ticks(0.01, (10, 11.5)), "ssh-echo": ticks(0.1, (20, 21.5))}
    assert common_gap(apart, 0) is None
    assert common_gap({"ssh-ticks": ticks(0.01, (5, 8)), "ora-sql-BX5": ticks(0.1, (5, 8))}, 0) is None


def test_all_probes_are_silent_only_where_what_they_would_have_said_is_written() -> None:
    lanes = {"ssh-ticks": ticks(0.01, (28, 30)), "ssh-echo": ticks(0.1, (28, 30))}
    still = silent_since(lanes, 30 * S)
    assert still is not None
    assert still.length_s == pytest.approx(2.0, abs=0.15)
    assert silent_since(lanes, round(28.2 * S)) is None
    assert silent_since({**lanes, "icmp": ticks(0.01)}, 30 * S) is None


def stamped(gap: tuple[float, float], *, ran: bool, counted: bool = True) -> Columns:
    """Ticks of every 20 ms, each stamped inside, that stop for a while or only come late, with a clock that counts the
    time it stood or not.
    """
    begin, end = gap
    local = np.arange(8.0, 13.0, 0.02)
    if not ran:
        local = local[(local < begin) | (local >= end)]
    late = np.where((local >= begin) & (local < end), end + 0.004, local + 0.001)
    inside = local - 4000 - np.where((local >= end) & (not ran) & (not counted), end - begin, 0.0)
    none = np.full(len(local), MISSING, dtype=np.int64)
    nanoseconds = [(one * 1e9).astype(np.int64) for one in (late, inside)]
    number = np.arange(len(local), dtype=np.int64)
    return Columns(number, none, none, nanoseconds[0], none, nanoseconds[1], none, np.ones(len(local), dtype=np.bool_))


@pytest.mark.parametrize("counted", [True, False])
def test_stamps_from_inside_tell_a_suspension_from_a_break_of_the_network(counted: bool) -> None:
    gap = SharedSilence(10 * S, round(11.5 * S), ("ssh-ticks", "ssh-echo"))
    assert explained(gap, {"ssh-ticks": stamped((10.0, 11.5), ran=False, counted=counted)}).cause is Cause.SUSPENSION
    assert explained(gap, {"ssh-ticks": stamped((10.0, 11.5), ran=True)}).cause is Cause.NETWORK
    assert explained(gap, {"ssh-echo": stamped((10.0, 11.5), ran=True)}).cause is Cause.UNKNOWN
    rows = stamped((10.0, 11.5), ran=True)
    cut = replace(rows, remote_mono_ns=np.where(rows.answered_ns < 11 * S, MISSING, rows.remote_mono_ns))
    assert explained(gap, {"ssh-ticks": cut}).cause is Cause.UNKNOWN, "none from before it"


def test_the_upper_bound_counts_from_the_last_request_that_was_answered() -> None:
    """An answer under way when it stops comes after it stopped."""
    gap = SharedSilence(10 * S, round(11.5 * S), ("icmp", "ssh-ticks"))
    answered = np.asarray([9.9, 10.0, 11.5]) * 1e9
    rows = replace(
        stamped((10.0, 11.5), ran=False),
        answered_ns=answered.astype(np.int64),
        sent_ns=(answered - 30e6).astype(np.int64),
    )
    assert explained(gap, {"icmp": rows}).begin_ns == round(9.97 * S)


def test_a_break_that_is_known_does_not_hide_the_suspension_after_it() -> None:
    lanes = {"ssh-ticks": ticks(0.01, (5, 8), (20, 21.5)), "ssh-echo": ticks(0.1, (5, 8), (20, 21.5))}
    found = common_gap(lanes, 0)
    assert found is not None
    later = common_gap(lanes, 0, [found])
    assert later is not None
    assert later.begin_ns > 19 * S


# --- failure --------------------------------------------------------------------------------------------------------


def test_a_failure_says_the_managers_words_their_meaning_where_it_runs_and_what_to_type(
    boards: dict[str, tuple[Run, Board]],
) -> None:
    run, board = boards["needs-recovery"]
    assert board.failure is not None
    told = [line for item in board.failure.items for line in (item.text, *item.lines, item.command)]
    assert any("HSCLA27C The operation to get the physical device location failed." in line for line in told)
    assert any(line.startswith("HSCLA27C: A VIOS could not say") for line in told)
    assert "blade13: Migrating - Running, Migration Failed, 2.20 GB sent, 2.10 GB left" in told
    assert "bxaix85 still runs and answers." in told
    assert f"lpmkit recover {run.path}" in told


def test_nothing_is_said_of_users_where_nobody_looks(boards: dict[str, tuple[Run, Board]]) -> None:
    _, board = boards["recorder-gone"]
    assert board.failure is not None
    told = " ".join(item.text for item in board.failure.items)
    assert "not known" in told
    assert "feel nothing" not in told


# --- folds ----------------------------------------------------------------------------------------------------------


def test_what_is_not_fine_is_open_and_first(boards: dict[str, tuple[Run, Board]]) -> None:
    for _, board in boards.values():
        opened = [fold.is_open for fold in board.folds]
        assert opened == sorted(opened, reverse=True)
    by_key = {fold.key: fold for fold in boards["copying"][1].folds}
    assert [chip.text for chip in by_key["checks"].chips] == [
        "48 pass", "4 warn", "0 fail", "6 validated"
    ]  # fmt: skip
    assert all("pass" not in item.text for item in by_key["checks"].items)
    ready = {fold.key: fold for fold in boards["ready"][1].folds}
    assert ready["checks"].is_open


# --- from the folder ------------------------------------------------------------------------------------------------


def test_a_board_that_was_followed_and_one_that_was_opened_late_are_the_same(tmp_path: Path) -> None:
    made = Made(duration_s=62.0, suspend=SUSPENDED, ended=False, icmp=True)
    run = make(tmp_path, made)
    with RunWriter(run.path, MadeClock(START + 62 * S)):
        followed = FollowedRun(run, MadeClock(START + 62 * S))
        followed.board(full=False)
        assert board_html(followed.board()) == board_html(board_of(run, MadeClock(START + 62 * S)))


def test_the_board_of_a_finished_run_does_not_change_with_the_time_of_day(tmp_path: Path) -> None:
    run = make(tmp_path, Made(duration_s=62.0, suspend=SUSPENDED))
    write_summary(run.path)
    first, later = (board_html(board_of(run, MadeClock(START + at * S))) for at in (70, 7000))
    assert first == later
    assert "MOVED" in first


def test_names_and_texts_of_machines_are_no_markup(tmp_path: Path) -> None:
    with board_in(tmp_path, "failed") as (run, board):
        nasty = "<img src=x onerror=alert(1)>"
        events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
        for event in events:
            if event["kind"] == "answer":
                event["data"]["text"] = nasty
        (run.path / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
        assert "<img" not in board_html(board_of(run))
        assert "&lt;img" in board_html(board_of(run))
        hostile = replace(board, order=nasty, happened=(replace(board.happened[0], text=nasty),))
        assert "<img" not in "".join(parts(hostile).values())


# --- confirmation and terminal --------------------------------------------------------------------------------------


def test_the_summary_before_the_name_says_what_from_to_and_what_is_accepted(tmp_path: Path) -> None:
    with board_in(tmp_path, "ready") as (run, _):
        (run.path / "survey.json").write_bytes((FIXTURE / "survey.json").read_bytes())
        rows = dict(move_summary(run))
    assert rows["move"] == "bxaix85 (AIX 5.3, 4 GB, SAP BX5)"
    assert rows["from → to"] == "blade13 → blade14"
    assert rows["validation"] == "passed at 07:10:58 UTC"
    assert rows["checks"] == "48 pass, 4 warn, 0 fail, 6 validated"
    assert len(rows["accepted, not met"].split("; ")) == 4
    assert rows["expected"] == "copy 25 … 147 s, suspended 0.7 … 2.9 s"
    assert "Stop until the switch-over" in rows["back-out"]


def test_a_command_without_a_run_takes_the_one_that_moves_else_the_newest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="no run has begun yet"):
        current_run(tmp_path)
    made = Made(duration_s=2.0, suspend=None)
    older, newer = make(tmp_path, made), make(tmp_path, replace(made, host="bxaix86"))
    assert current_run(tmp_path).name == newer.name
    assert newer.name in capsys.readouterr().err
    with RunWriter(older.path):
        assert current_run(tmp_path).name == older.name
        with RunWriter(newer.path), pytest.raises(UsageError, match="several runs are recorded now"):
            current_run(tmp_path)
        watch = make(tmp_path, replace(made, host="other", mode="watch"))
        with RunWriter(watch.path):
            assert current_run(tmp_path).name == older.name, "a move comes before a watch"


@pytest.mark.parametrize("command", ["attach", "report", "write-up"])
def test_attach_report_and_write_up_need_no_run_named(command: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("frames: {}\npartitions: {}\nruns: {folder: runs}\n")
    said = CliRunner().invoke(main, ["--site", str(path), command])
    assert "no run has begun yet" in said.output


def test_the_name_is_asked_for_after_what_stands_against_the_move(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(question: str) -> str:
        raise AssertionError(question)

    monkeypatch.setattr(move, "ask_person", asked)
    (run.path / "validation.json").unlink()
    with pytest.raises(NotAllowed, match="there is no validation"):
        move.confirmed(book, run)


def test_the_name_is_asked_for_under_the_summary(
    book: Runbook, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(move, "ask_person", lambda question: question)
    (run.path / "findings.json").write_bytes((FIXTURE / "findings.json").read_bytes())
    assert move.confirmed(book, run) == "Type bxaix85 to move it"
    shown = capsys.readouterr().err
    assert "from → to bvio82 → bvio83" in shown
    assert "accepted, not met" in shown


def test_a_stop_shows_where_the_run_stands_before_the_name_and_is_refused_before_it(
    site: Site, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LPMKIT_SITE", str(tmp_path / "site.yaml"))
    monkeypatch.setattr(move, "ask_person", pytest.fail)
    said = CliRunner().invoke(main, ["stop", str(run.path)])
    assert said.exit_code == 2
    assert "no move has begun" in said.output
    monkeypatch.setattr(move, "ask_person", lambda question: "nobody")
    with RunWriter(run.path) as writer:
        Recorder(writer).begins()
        Recorder(writer).enters("asked")
        said = CliRunner().invoke(main, ["stop", str(run.path)])
    assert "ASKED" in said.output
    assert "The partition stays there." in said.output
    assert "nothing was asked" in said.output


@pytest.mark.parametrize("path", sorted(FIXTURE.parent.glob("*/run.json")), ids=lambda path: path.parent.name)
def test_runs_of_earlier_versions_have_a_board(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path.parent, tmp_path / "run")
    board = board_of(Run(tmp_path / "run"))
    assert board.banner.key in ("moved", "stopped", "failed", "watched")
    raw = [line for line in board_lines(board) if re.search(r"\bNone\b|\bnan\b|[{}]", line)]
    assert raw == []
    assert live_line(board).startswith(board.banner.title)
    assert tile(board, "suspension").value != "not yet", "it is over"


def test_a_move_that_was_recovered_says_what_the_manager_reported_and_that_it_is_home() -> None:
    run = Run(FIXTURE.parent / "recovered-move")
    board = board_of(run, summary=summary(analyse(run)))
    lines = board_lines(board)
    told = "The manager gave no message. It reported: Migration Failed, at 51 % of the copy."
    assert f"  ✗ {told} Look into errlog -ls on bvio82 and bvio83." in lines
    assert "  07:15:46  rolled back: bxaix85 runs on bvio82 as before" in lines
    assert any(line.startswith("  until rolled back: 0:10") for line in lines)
    assert "  No user's wait was seen in the record." in lines
    assert "  07:15:50  recording ended: not moved" in lines


def test_an_alert_log_counts_what_came_since_the_run_began() -> None:
    board = board_of(Run(FIXTURE.parent / "hmc-move"))
    (fold,) = (fold for fold in board.folds if fold.key.startswith("alerts-"))
    assert [chip.text for chip in fold.chips] == ["7 entries since the run began, nothing unusual"]
    assert len(fold.rows) == 7


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("recorder-ended", {"reason": "settled"}, "recording ended: moved"),
        ("tail-over", {"goes_on_s": 1.0}, "observation after the move ended; reading logs for 1 s more"),
        ("sap-way", {"probe": "sap-BX5", "question": "queues", "way": "soap_rfc"},
         "sap-BX5: dispatcher queues by soap_rfc"),
        (
            "sap-way",
            {"probe": "sap-BX5", "question": "queues", "way": "",
             "why": "no SAP interface in the site file provides it"},
            "sap-BX5: dispatcher queues: no SAP interface in the site file provides them",
        ),
    ],
)  # fmt: skip
def test_events_are_told_in_the_words_of_the_trade(kind: str, data: dict[str, Any], text: str) -> None:
    assert event_text(Event(0, 0, 1, "recorder", kind, data)) == text
