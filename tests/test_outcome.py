"""The outcome of a move, from the events of a run: the kind, where the partition is, why, and the next command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpmkit.analysis import AnswerState, analyse, headline
from lpmkit.analysis.model import RunVerdict
from lpmkit.analysis.not_moved import Interruption, interruptions
from lpmkit.analysis.outcome import HEADS, MoveOutcome, OutcomeKind, outcome_of
from lpmkit.migration.phases import Observation
from lpmkit.rules.question import Question
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.licences import Onward, sightings_of
from lpmkit.runs.whereabouts import AT_HOME
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Event
from lpmkit.wording.words import words_of
from tests.board_states import board_in
from tests.made_runs import Made, make

ORDER = {"partition": "bxaix85", "source": "bvio82", "target": "bvio83"}
HOME = "runs on the source; no migration under way"
Told = tuple[str, dict[str, object]]
HALF: Told = ("reading", {"where": "bvio82", "bytes_transmitted": 50, "bytes_remaining": 50})
RECOVERY: tuple[Told, ...] = (
    ("request", {"what": "recover", "by": "root", "force": False}),
    ("intent", {"what": "recover", "force": False}),
)


def phase(name: str, why: str = "", **more: object) -> Told:
    return "phase", {"phase": name, "why": why, **more}


def reading(where: str, state: str | None, migration: str | None = None) -> Told:
    return "reading", {"where": where, "partition_state": state, "migration_state": migration}


def events(*told: Told) -> list[Event]:
    second = 1_000_000_000
    return [Event(at * second, at * second, 1, "recorder", kind, data) for at, (kind, data) in enumerate(told, 1)]


def outcome(*told: Told, answered_ns: int | None = None) -> MoveOutcome:
    return outcome_of(events(*told), ORDER, "RUN", answered_ns)


STARTED = (phase("asked"), phase("copying"), HALF)
AS_BEFORE = "bxaix85 runs on bvio82 as before"


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (
            (*STARTED, phase("needs-recovery"), *RECOVERY, phase("failed", HOME)),
            "the migration was interrupted at 50 % and rolled back by recovery",
        ),
        ((*STARTED, phase("needs-recovery"), phase("failed", HOME)),
         "the migration was interrupted at 50 % and was rolled back"),
        (
            (phase("asked"), ("answer", {"what": "migrate", "status": 1, "text": "HSCLA27C  no\n room"}),
             phase("failed", HOME)),
            "the migration was refused by the manager: HSCLA27C no room",
        ),
        (
            (*STARTED, ("answer", {"what": "migrate", "status": 1, "text": "HSCL"}), phase("failed", HOME)),
            "the migration failed at 50 % and was rolled back: HSCL",
        ),
        ((*STARTED, phase("failed", HOME)), "the migration was rolled back at 50 %; the manager gave no message"),
        ((phase("asked"), phase("failed", HOME)), "the manager started no migration and gave no message"),
        ((*STARTED, phase("stopped", HOME)), "the migration was stopped at 50 % as asked for"),
        (
            (phase("asked"), phase("copying"), ("request", {"what": "stop", "by": "guard", "why": "too slow"}),
             phase("stopped")),
            "the guard stopped the copy: too slow",
        ),
    ],
)  # fmt: skip
def test_a_partition_that_stayed_runs_as_before_and_it_is_said_why(told: tuple[Told, ...], cause: str) -> None:
    assert outcome(*told) == MoveOutcome(OutcomeKind.STAYED, AS_BEFORE, cause=cause)


#: The other kinds: events, kind, what the verdict says after its head, and the next command.
OTHERS: dict[str, tuple[tuple[Told, ...], OutcomeKind, tuple[str, ...], str]] = {
    "left in between": (
        (*STARTED, reading("bvio82", "Migrating - Running", "Migration Failed"), phase("needs-recovery")),
        OutcomeKind.NEEDS_RECOVERY,
        (
            "Where bxaix85 runs is not proved: "
            "bvio82 listed it at 00:00:04 UTC as Migrating - Running, Migration Failed. "
            "It answered last at 00:00:09 UTC",
            "The migration was interrupted at 50 %",
        ),
        "lpmkit recover RUN",
    ),
    "runs on the target, and was not cleaned up": (
        (*STARTED, reading("bvio82", "Not Activated"), reading("bvio83", "Running"), phase("needs-recovery")),
        OutcomeKind.NEEDS_RECOVERY,
        ("bvio82 listed it at 00:00:04 UTC as Not Activated, bvio83 listed it at 00:00:05 UTC as Running",),
        "lpmkit recover RUN",
    ),
    "gone before the command": (
        (phase("failed", "not asked for: bxaix85 is not on bvio82 any more; nothing was moved by this run",
               seen=None),),
        OutcomeKind.ELSEWHERE,
        ("Where bxaix85 runs is not proved", "The move was not asked for: bxaix85 is not on bvio82 any more"),
        "lpmkit recover RUN --look",
    ),
    "somebody else's migration": (
        (phase("asked"),
         phase("failed",
               "the manager refused the command (no); the migration in progress was asked for by somebody else",
               seen=None)),
        OutcomeKind.ELSEWHERE,
        ("asked for by somebody else",),
        "lpmkit recover RUN --look",
    ),
    "down at home": (
        (reading("bvio82", "Running"), *STARTED, reading("bvio82", "Error"), phase("failed", HOME, seen="at-home")),
        OutcomeKind.DOWN,
        ("bxaix85 is on bvio82 and does not run: Error",),
        "lpmkit recover RUN --look",
    ),
    "not activated, as before": (
        (reading("bvio82", "Not Activated"), phase("asked"), reading("bvio82", "Not Activated"),
         phase("failed", HOME, seen="at-home")),
        OutcomeKind.STAYED,
        ("bxaix85 is on bvio82 as before",),
        "",
    ),
    "arrived, and the command failed": (
        (*STARTED, ("answer", {"what": "migrate", "status": 1, "text": "HSCL1"}), phase("settled")),
        OutcomeKind.UNPROVED,
        (
            "bxaix85 runs on bvio83. The command to move ended with status 1: HSCL1. "
            "Which command moved it is not known.",
        ),
        "",
    ),
    "the recorder died in the copy": (STARTED, OutcomeKind.NOT_KNOWN, ("The last phase seen is copying",),
                                      "lpmkit recover RUN --look"),
    "the recorder died beside the command": (
        (phase("prepared"), ("intent", {"what": "migrate"})),
        OutcomeKind.NOT_KNOWN,
        ("The last phase seen is prepared",),
        "lpmkit recover RUN --look",
    ),
    "called off": (
        (phase("prepared"), ("recorder-started", {}), ("request", {"what": "stop", "by": "root"})),
        OutcomeKind.CALLED_OFF,
        ("Called off. No command to move was sent.",),
        "",
    ),
    "called off by the guard": (
        (phase("prepared"), ("recorder-started", {}), ("request", {"what": "stop", "by": "guard", "why": "too late"})),
        OutcomeKind.CALLED_OFF,
        ("The guard called the move off: too late",),
        "",
    ),
    "validated only": ((), OutcomeKind.NOT_ASKED, ("Nothing was recorded: the move is prepared only",), ""),
    "ended in its lead-in": (
        (phase("prepared"), ("recorder-started", {})),
        OutcomeKind.NOT_ASKED,
        ("The record ends before the command to move",),
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_no_head_hides_what_is_to_be_done(case: str) -> None:
    told, kind, says, command = OTHERS[case]
    found = outcome(*told, answered_ns=9_000_000_000 if case == "left in between" else None)
    assert found.kind is kind
    assert found.next_command == command
    verdict = RunVerdict(found.state, "", (Question("moved", "Moved?", found.state, found.details),), found)
    line = headline(verdict, None)
    assert line.startswith(HEADS[kind])
    for text in says:
        assert text in line
    assert (f"Next step: {command}." in line) is bool(command)


def test_only_an_arrival_passes_and_what_is_not_known_is_open() -> None:
    assert {kind for kind in OutcomeKind if MoveOutcome(kind).state is AnswerState.PASSED} == {
        OutcomeKind.MOVED,
        OutcomeKind.MOVED_BROKEN,
        OutcomeKind.RESTARTED,
    }
    assert MoveOutcome(OutcomeKind.NOT_KNOWN).state is AnswerState.NOT_EVALUATED
    assert not any(MoveOutcome(kind).is_there and MoveOutcome(kind).is_at_home for kind in OutcomeKind)


def test_an_arrival_after_a_recovery_is_told_apart() -> None:
    arrived = outcome(*STARTED, phase("needs-recovery"), *RECOVERY, phase("settled", "gone, running"))
    assert arrived.kind is OutcomeKind.MOVED_BROKEN
    assert outcome(*STARTED, phase("settled")).kind is OutcomeKind.MOVED


@pytest.mark.parametrize("kind", OutcomeKind)
def test_every_head_is_there_in_german(kind: OutcomeKind) -> None:
    assert words_of("de").said(HEADS[kind]) != HEADS[kind]


def test_an_interruption_lasts_until_the_next_phase_and_names_who_recovered() -> None:
    second = 1_000_000_000
    told = events(*STARTED, phase("needs-recovery"), *RECOVERY, phase("failed", HOME))
    assert list(interruptions(told, "operator")) == [Interruption(4 * second, 7 * second, 50, "root")]
    unnamed = events(*STARTED, phase("needs-recovery"), RECOVERY[1], phase("settled"))
    assert [one.recovered_by for one in interruptions(unnamed, "operator")] == ["operator"]
    lasting = events(*STARTED, phase("needs-recovery"))
    assert list(interruptions(lasting, "operator")) == [Interruption(4 * second, None, 50)]


@pytest.mark.parametrize(("seen", "is_home"), [("at-home", True), (None, False), ("broken", False)])
def test_a_code_tells_that_the_partition_is_on_its_source_and_no_sentence(seen: str | None, is_home: bool) -> None:
    told = phase("failed", f"{HOME} in other words", seen=seen)
    assert (outcome(told).place == AS_BEFORE) is is_home
    assert Observation.AT_HOME.code == AT_HOME
    reworded = phase("failed", "it is where it was", seen="at-home")
    assert outcome(reworded).place == AS_BEFORE


@pytest.mark.parametrize(
    ("state", "word", "says"),
    [
        (
            "elsewhere",
            "NOT MOVED BY THIS RUN",
            "The move was not asked for: bxaix85 is not on blade13 any more. Look where",
        ),
        ("down", "NOT RUNNING", "bxaix85 is on blade13 and does not run."),
    ],
)
def test_the_board_says_the_same(state: str, word: str, says: str, tmp_path: Path) -> None:
    with board_in(tmp_path, state) as (_, board):
        assert board.banner.word == word
        assert board.banner.sentence.startswith(says)
        assert "as before" not in board.banner.sentence
        assert not any("as before" in one.text for one in board.happened if state == "elsewhere")


@pytest.mark.parametrize(
    ("why", "seen", "onward"),
    [
        ("refused", "at-home", Onward.NOTHING),
        ("the migration in progress was asked for by somebody else", None, Onward.OPEN),
    ],
)
def test_the_licence_ledger_knows_only_of_a_partition_that_was_seen_at_home(
    why: str, seen: str | None, onward: Onward, tmp_path: Path
) -> None:
    run = create(tmp_path, mode="move", title="t", facts={"order": ORDER})
    with RunWriter(run.path) as writer:
        writer.event("recorder", "intent", what="migrate", order=ORDER)
        writer.event("recorder", "phase", phase="failed", was="asked", why=why, seen=seen)
    sightings = sightings_of(Run(run.path))
    assert sightings[-1].onward is onward
    assert len(sightings) == (2 if onward is Onward.NOTHING else 1)


WELL = {"what": "machine serial", "before": "1", "after": "2", "change": "changed", "as_it_should": True}
UNREAD = {"what": "disks (PVID)", "before": "a", "after": None, "change": "unknown", "as_it_should": None}
NEVER_READ = {"what": "AIX level", "before": None, "after": None, "change": "unknown", "as_it_should": None}


def _row(what: str, before: str, after: str) -> dict[str, object]:
    return {"what": what, "before": before, "after": after, "change": "changed", "as_it_should": False}


@pytest.mark.parametrize(
    ("rows", "state", "says"),
    [
        ([WELL, NEVER_READ], AnswerState.PASSED, "1 value"),
        ([WELL, UNREAD, NEVER_READ], AnswerState.NOT_EVALUATED, "not compared: disks (PVID)"),
        ([WELL, UNREAD, _row("MAC addresses", "a", "b")], AnswerState.FAILED, "MAC addresses: a → b"),
        ([WELL, _row("affinity score", "100", "60")], AnswerState.PASSED, "affinity score: 100 → 60"),
        ([WELL, _row("number of VIOS serving it", "1", "2")], AnswerState.PASSED, "number of VIOS serving it: 1 → 2"),
    ],
    ids=["as expected", "not read afterwards", "worse beside it", "slower memory", "more paths"],
)
def test_what_could_not_be_compared_is_never_as_expected(
    tmp_path: Path, rows: list[dict[str, object]], state: AnswerState, says: str
) -> None:
    run = make(tmp_path, Made(duration_s=26.0, suspend=(15.0, 16.537)))
    write_document(run.path, "changes", rows)
    question = analyse(run).verdict.question("identity")
    assert (question.state, question.details) == (state, says)
    assert question.warns is ("→" in says and state is AnswerState.PASSED)
