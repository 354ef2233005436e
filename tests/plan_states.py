"""Plans in every state that their board can show, each as its conductor has left it at one moment.

A folder whose conductor is at work is held as a conductor holds it, for as long as the context lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lpmkit.board.model import Board
from lpmkit.checks import Answer, Finding, Verdict
from lpmkit.inventory import Frame
from lpmkit.plan import MovePlan
from lpmkit.plan.board import checked_board, plan_board
from lpmkit.plan.book import CheckedPlan, MoveCheck
from lpmkit.plan.outlook import outlook, to_document
from lpmkit.plan.timetable import Expected, Surroundings
from lpmkit.prediction.distributions import LogNormal, Quantiles
from lpmkit.runbook import Validation
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from tests.scripted_machines import BEGAN_NS, Told

S = 10**9
NAMES = ("bxapp1", "bxaix85", "p8npiv01", "p8vnic01")
FRAMES = {name: Frame(name, "8286-42A", name, active_migrations_supported=8) for name in ("p8a", "p8b")}
AROUND = Surroundings(FRAMES, baseline_s=20.0, watched_s=30.0, preparing_s=LogNormal(40.0, 0.4))


def plan_of_four(window_end_s: float | None = 3600.0) -> MovePlan:
    """A plan of four moves; its window ends this many seconds after its begin."""
    window = (
        {}
        if window_end_s is None
        else {"window": {"end": datetime.fromtimestamp(_ends_ns(window_end_s) / 1e9, tz=UTC)}}
    )
    moves = [{"partition": name, "target": "p8b", "source": "p8a"} for name in NAMES]
    moves[1]["after"] = ["bxapp1"]  # type: ignore[assignment]
    return MovePlan.model_validate({"title": "Rack 8", "limits": {"link": 1}, "moves": moves, **window})


def _ends_ns(window_end_s: float) -> int:
    return BEGAN_NS + int(window_end_s * S)


def expected(window_end_s: float | None = 3600.0) -> list[Expected]:
    """The expected end of each move: two minutes and a half, at most four and a half."""
    end_ns = None if window_end_s is None else _ends_ns(window_end_s)
    whole_s = Quantiles(90.0, 150.0, 270.0)
    return [Expected(name, "p8a", "p8b", whole_s, window_end_ns=end_ns) for name in NAMES]


def checked(*, failing: bool = False, unknown: bool = False, window_end_s: float | None = 3600.0) -> CheckedPlan:
    """The plan as it was checked: ready, with one move that fails, or with one that could not be asked."""
    plan, moves = plan_of_four(window_end_s), []
    for one in plan.moves:
        warn = Finding("licence", "The SAP hardware key stays", Verdict.WARN, one.partition)
        check = MoveCheck(
            one.partition, "p8a", "p8b", one.after, Answer.READY, True, "4096 MB of 65536 MB free",
            findings=(Finding("rmc", "RMC is active", Verdict.PASS, one.partition), warn),
            validation=Validation(None, True, 0, "", BEGAN_NS),  # type: ignore[arg-type]
        )  # fmt: skip
        moves.append(check)
    if failing:
        fail = Finding("memory", "The target has room for the memory", Verdict.FAIL, "p8npiv01", {}, "free 8 GB")
        moves[2] = MoveCheck(
            "p8npiv01", "p8a", "p8b", (), Answer.NOT_READY, False, "memory 65536 MB of 57344 MB", findings=(fail,)
        )
    if unknown:
        moves[3] = MoveCheck(
            "p8vnic01", "p8a", "p8b", (), Answer.COULD_NOT_TELL, trouble="p8b: nobody answers on port 22."
        )
    return CheckedPlan(plan, tuple(moves), outlook(plan, expected(window_end_s), AROUND, BEGAN_NS), BEGAN_NS)


# --- a conductor at work --------------------------------------------------------------------------------------------


class Night:
    """Writes what a conductor and the recorders of its moves would write."""

    def __init__(self, runs: Path, clock: Told, writer: RunWriter) -> None:
        self.runs, self.clock, self.writer = runs, clock, writer

    def asks(self, name: str) -> RunWriter:
        """The move is prepared and asked for; returns the writer of its run."""
        self.writer.event("conductor", "preparing", partition=name, source="p8a")
        self.clock.now_ns += 30 * S
        order = {"partition": name, "source": "p8a", "target": "p8b", "target_machine": "", "mapping": {}}
        run = create(self.runs, mode="move", title=name, facts={"order": order, "lead_in_s": 0.0}, clock=self.clock)
        facts: dict[str, Any] = {"source": "p8a", "inactive": False, "movers": ["p8a-vios1", "p8b-vios1"]}
        self.writer.event("conductor", "moving", partition=name, run=str(run.path), **facts)
        recorder = RunWriter(run.path, self.clock).__enter__()
        recorder.event("recorder", "recorder-started")
        self.phases(recorder, 20, "asked", 3, "copying")
        return recorder

    def phases(self, recorder: RunWriter, *steps: int | str) -> None:
        """Seconds that go by, and phases that are told."""
        for step in steps:
            if isinstance(step, int):
                self.clock.now_ns += step * S
            else:
                recorder.event("recorder", "phase", phase=step)

    def copies(self, recorder: RunWriter, done: float) -> None:
        """A reading of the manager of the source in mid-copy."""
        sent = {"bytes_transmitted": int(4e9 * done), "bytes_remaining": int(4e9 * (1 - done))}
        facts = {"partition_state": "Migrating - Running", "migration_state": "Migration Starting", "lpar_id": 2}
        recorder.event("recorder", "reading", where="p8a", **facts, **sent)

    def arrives(self, name: str, suspended: tuple[float, float] = (1.551, 1.601), verdict: str = "passed") -> None:
        """The whole move, with its verdict."""
        recorder = self.asks(name)
        self.phases(recorder, 90, "settled", 30)
        recorder.event("recorder", "recorder-ended", reason="the tail is over")
        recorder.__exit__()
        began = datetime.fromtimestamp((self.clock.now_ns - 33 * S) / 1e9, tz=UTC).isoformat()
        line = f"Moved, suspended {suspended[0]:.3f} … {suspended[1]:.3f} s"
        summary = {
            "verdict": {"state": verdict, "line": line},
            "suspension": {
                "length": dict(zip(("low", "high"), suspended, strict=True)),
                "begin": {"earliest": {"utc": began}},
            },
        }
        write_document(recorder.path, "summary", summary)
        self.over(name, "arrived", line, recorder.path, verdict)

    def over(self, name: str, stage: str, why: str, run: Path | None = None, verdict: str = "") -> None:
        """The conductor notes the end of a move."""
        more = {} if run is None else {"run": str(run)}
        self.writer.event("conductor", "over", partition=name, stage=stage, why=why, verdict=verdict, **more)


def _moving(night: Night) -> None:
    night.arrives("bxapp1")
    recorder = night.asks("bxaix85")
    night.phases(recorder, 40)
    night.copies(recorder, 0.62)
    waits = "the plan allows 1 at once between p8a and p8b"
    night.writer.document("waiting", {"p8npiv01": waits, "p8vnic01": waits})


def _waiting(night: Night) -> None:
    night.arrives("bxapp1")
    night.writer.document("waiting", dict.fromkeys(NAMES[1:], "p8b takes 2 at once and is busy with 2"))
    night.clock.now_ns += 20 * S


def _failed(night: Night) -> Path:
    night.arrives("bxapp1")
    recorder = night.asks("bxaix85")
    night.phases(recorder, 60, "failed", 20)
    recorder.event("recorder", "recorder-ended", reason="failed")
    recorder.__exit__()
    why = "Not moved. The migration was refused by the manager: HSCLA246 The management console cannot communicate."
    night.over("bxaix85", "failed", why, recorder.path, "failed")
    return recorder.path


def _halted_by_a_failure(night: Night) -> None:
    _failed(night)
    night.writer.event("conductor", "halted", why="bxaix85 failed, and the plan stops at a failure")


def _halted(night: Night) -> None:
    _moving(night)
    night.writer.event("conductor", "halted", why="an operator asked to start no further move")


def _interrupted(night: Night) -> None:
    night.arrives("bxapp1")
    recorder = night.asks("bxaix85")
    night.phases(recorder, 60)
    night.copies(recorder, 0.5)
    night.phases(recorder, "needs-recovery", 20)
    night.writer.event("conductor", "halted", why="bxaix85 must be recovered first")


def _done(night: Night) -> None:
    for number, name in enumerate(NAMES):
        night.arrives(name, (0.9 + number / 4, 0.95 + number / 4))


def _done_with_a_failure(night: Night) -> None:
    _failed(night)
    for name in NAMES[2:]:
        night.arrives(name)


#: States of a plan that has begun: what has happened, the end of the window, whether a conductor is at work and whether
#: it has ended.
BEGUN: Mapping[str, tuple[Callable[[Night], object], float, bool, bool]] = {
    "moving": (_moving, 3600.0, True, False),
    "waiting": (_waiting, 3600.0, True, False),
    "late": (_moving, 700.0, True, False),
    "halted": (_halted, 3600.0, True, False),
    "halted-failed": (_halted_by_a_failure, 3600.0, False, True),
    "needs-recovery": (_interrupted, 3600.0, False, True),
    "conductor-gone": (_moving, 3600.0, False, False),
    "done": (_done, 3600.0, False, True),
    "done-failed": (_done_with_a_failure, 3600.0, False, True),
}
#: States of a plan that has not begun.
CHECKED: Mapping[str, Callable[[], CheckedPlan | None]] = {
    "not-checked": lambda: None,
    "ready": checked,
    "not-ready": lambda: checked(failing=True),
    "not-known": lambda: checked(unknown=True),
}
#: All states of the banner of a plan.
PLAN_STATES = (*CHECKED, *BEGUN)


@contextmanager
def plan_in(folder: Path, state: str, language: str = "en") -> Iterator[tuple[Run | None, Board]]:
    """A plan in a state with its folder, ``None`` before it has begun, and its board in a language."""
    if state in CHECKED:
        yield None, checked_board(plan_of_four(), CHECKED[state](), language)
        return
    happens, window_end_s, conducted, ended = BEGUN[state]
    with ExitStack() as held:
        clock = Told()
        facts = {"plan": plan_of_four(window_end_s).as_data(), "by": "root", "observer": "nim"}
        made = create(folder / "plans", mode="plan", title="rack8", facts=facts, clock=clock)
        write_document(made.path, "expected", to_document(expected(window_end_s), AROUND))
        with RunWriter(made.path, clock) as writer:
            writer.event("conductor", "conductor-started", pid=1)
            happens(Night(folder, clock, writer))
            if ended:
                writer.event("conductor", "conductor-ended", why="every move is over")
        if conducted:
            held.enter_context(RunWriter(made.path, clock))
        yield made, plan_board(made, clock, language)
