"""The folded parts of a plan's board: what went wrong with what to type, and the moves as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lpmkit.board.model import Chip, Fold, Item, Tone
from lpmkit.board.wording import of_day
from lpmkit.plan.bars import STAGE_SIGNS
from lpmkit.plan.book import CheckedPlan
from lpmkit.plan.outlook import Outlook
from lpmkit.plan.schedule import OVER, Stage
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.runs.history import Move, bounds
from lpmkit.wording.counts import plural

_LOST = (Stage.FAILED, Stage.RECOVERY, Stage.DROPPED)


def lost_fold(status: PlanStatus, name: str) -> Fold | None:
    """The fold on what went wrong, with the commands to type; ``None`` while nothing is wrong. ``name`` is that of the
    folder.
    """
    items = tuple(_lost(status, name))
    return Fold("failure", "What went wrong", (), items, is_open=True) if items else None


def _lost(status: PlanStatus, name: str) -> Iterator[Item]:
    gone = not status.conducted and status.ended is None
    if not gone and not _has_lost(status):
        return
    if gone:
        yield Item("The conductor died; no further move starts.", Tone.BAD)
        yield Item("", command=f"lpmkit plan attach {name}")
    if status.halted is not None:
        yield Item(f"Halted: {status.halted}.", Tone.BAD)
    for move in status.moves:
        if move.stage not in _LOST:
            continue
        yield Item(f"{move.partition}: {move.stage.value}. {move.why}", Tone.BAD)
        if move.stage is Stage.RECOVERY and move.run is not None:
            yield Item("", command=f"lpmkit recover {move.run}")
        elif move.stage is Stage.FAILED and move.ended_ns is not None:
            yield Item("", command=f"lpmkit plan again {name} {move.partition}")
    if status.halted is not None:
        yield Item("", command=f"lpmkit plan go-on {name}")


def _has_lost(status: PlanStatus) -> bool:
    return any(move.stage in _LOST for move in status.moves)


def against_fold(checked: CheckedPlan) -> Fold:
    """The fold with the reasons against a start."""
    items = tuple(Item(text, Tone.BAD) for text in checked.against())
    return Fold("failure", "Not ready", (), items, is_open=True)


def moves_fold(status: PlanStatus, ahead: Outlook | None, measured: Mapping[str, Move | None]) -> Fold:
    """The moves in their order, with times, figures and reasons."""
    every = [_row(move, ahead, measured.get(move.partition)) for move in status.moves]
    used = [name for name in every[0] if any(row[name] for row in every)]
    rows = tuple({name: row[name] for name in used} for row in every)
    count = {stage: sum(move.stage is stage for move in status.moves) for stage in Stage}
    chips = tuple(Chip(f"{count[stage]} {stage.value}", _tone(stage)) for stage in Stage if count[stage])
    return Fold("moves", plural(len(rows), "move"), chips, rows=rows, is_open=True)


def _tone(stage: Stage) -> Tone:
    return Tone.BAD if stage in _LOST else Tone.GOOD if stage is Stage.ARRIVED else Tone.QUIET


def _row(move: MoveStatus, ahead: Outlook | None, measured: Move | None) -> dict[str, object]:
    times = None if ahead is None or move.stage in OVER else ahead.cells(move.partition)
    return {
        "partition": move.partition,
        "from → to": f"{move.source or '?'} → {move.target}",
        "stage": f"{STAGE_SIGNS[move.stage]} {move.stage.value}",
        "asked for (UTC)": of_day(move.began_ns) if move.began_ns else "",
        "over (UTC)": of_day(move.ended_ns) if move.ended_ns and move.began_ns else "",
        "expected end (P50 … P90)": times["ends"] if times else "",
        "suspended": bounds(measured.suspended_low_s, measured.suspended_high_s) if measured else "",
        "verdict": move.verdict,
        "run": move.run.name if move.run else "",
        "reason": move.why,
        "other observers": move.not_observed_text,
    }
