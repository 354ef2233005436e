"""The banner of a plan: its state in a word, with one sentence of what to do, and the actions that apply."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.board.model import Banner, Tone
from lpmkit.board.wording import cut, of_day
from lpmkit.checks import Answer
from lpmkit.plan import MovePlan
from lpmkit.plan.book import CheckedPlan
from lpmkit.plan.outlook import Outlook, WindowState
from lpmkit.plan.schedule import OVER, Stage
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.wording.counts import plural

#: The actions on a plan, with the words on their buttons.
ACTIONS: Mapping[str, str] = {
    "start": "Start …",
    "check": "Check the plan",
    "halt": "Halt",
    "go-on": "Go on",
    "again": "Try again",
    "attach": "Restart conductor",
    "report": "Open the report",
}
_UNDER_WAY = (Stage.PREPARING, Stage.MOVING, Stage.WATCHING)
#: A longer reason is cut: the board has it in full below.
_LONGEST_WHY = 150


def going(status: PlanStatus) -> bool:
    """True while moves are under way or to come: the plan changes by itself."""
    return status.conducted and not status.is_done


def plan_banner(status: PlanStatus, ahead: Outlook | None, name: str) -> Banner:
    """The banner of a plan that has begun; ``name`` is that of its folder."""
    if any(move.stage is Stage.RECOVERY for move in status.moves):
        return _needs_recovery(status)
    if not status.conducted and status.ended is None:
        text = (
            "Restart the conductor: it died, and no further move starts. Moves under way go on; none is made twice. "
            f"lpmkit plan attach {name}"
        )
        return _made(status, "conductor-gone", Tone.BAD, "NOT CONDUCTED", "CONDUCTOR GONE", text, "attach")
    if status.is_done:
        return _done(status)
    if status.halted is not None:
        return _halted(status, name)
    if status.is_over:
        text = f"The conductor ended before the plan did: {status.ended}. Read why below, then go on."
        return _made(status, "ended", Tone.BAD, "STOPPED", _arrived(status), text, "go-on")
    return _running(status, ahead)


def _made(status: PlanStatus, key: str, tone: Tone, word: str, figure: str, sentence: str, *actions: str) -> Banner:
    return Banner(key, tone, word, figure, " ".join(sentence.split()), actions, _fraction(status))


def _fraction(status: PlanStatus) -> float:
    return sum(map(_share, status.moves)) / len(status.moves)


def _share(move: MoveStatus) -> float:
    if move.stage in OVER or move.stage is Stage.WATCHING:
        return 1.0
    return move.now.progress.fraction if move.stage is Stage.MOVING and move.now is not None else 0.0


def _arrived(status: PlanStatus) -> str:
    return f"{sum(move.stage is Stage.ARRIVED for move in status.moves)} of {len(status.moves)} arrived"


def _under_way(status: PlanStatus) -> str:
    """The moves that go on by themselves, for a plan that starts nothing more."""
    going_on = [move.partition for move in status.moves if move.stage in _UNDER_WAY]
    return f" {', '.join(going_on)} {'goes' if len(going_on) == 1 else 'go'} on by itself." if going_on else ""


def _needs_recovery(status: PlanStatus) -> Banner:
    lost = [move for move in status.moves if move.stage is Stage.RECOVERY]
    runs = " and ".join(f"lpmkit recover {move.run.name}" for move in lost if move.run is not None)
    names = ", ".join(move.partition for move in lost)
    text = (
        f"Recover {names}: {runs}. Delete nothing. No further move starts before that; then go on.{_under_way(status)}"
    )
    return _made(status, "needs-recovery", Tone.BAD, "INTERRUPTED", f"RECOVER {names}", text, "go-on")


def _halted(status: PlanStatus, name: str) -> Banner:
    failed = [move.partition for move in status.moves if move.stage is Stage.FAILED]
    why = cut(f"{status.halted}", _LONGEST_WHY)
    if not failed:
        text = f"No further move starts: {why}.{_under_way(status)} Go on when you want: lpmkit plan go-on {name}."
        return _made(status, "halted", Tone.QUIET, "HALTED", _arrived(status), text, "go-on")
    text = (
        f"No further move starts: {why}.{_under_way(status)} "
        f"Read why below, then try {', '.join(failed)} again or go on without."
    )
    return _made(status, "halted-failed", Tone.BAD, "HALTED", _arrived(status), text, "again", "go-on")


def _done(status: PlanStatus) -> Banner:
    lost = [move.partition for move in status.moves if move.stage is not Stage.ARRIVED]
    if lost:
        text = f"Not moved, or with a failure: {', '.join(lost)}. Read why below; try again what can be mended."
        return _made(status, "done-failed", Tone.BAD, "ENDED", _arrived(status), text, "again", "report")
    verdicts = [move.verdict or "not evaluated" for move in status.moves]
    counts = ", ".join(
        f"{verdicts.count(word)} {word}" for word in ("passed", "failed", "not evaluated") if verdicts.count(word)
    )
    tone = Tone.GOOD if set(verdicts) == {"passed"} else Tone.STILL
    text = f"Every move has arrived. Verdicts: {counts}." + (
        "" if tone is Tone.GOOD else " Look at those in the report."
    )
    return _made(status, "done", tone, "DONE", _arrived(status), text, "report")


def _running(status: PlanStatus, ahead: Outlook | None) -> Banner:
    under_way = [move for move in status.moves if move.stage in _UNDER_WAY]
    if not under_way:
        waiting = next((move for move in status.moves if move.stage is Stage.WAITING and move.why), None)
        why = (
            f"{waiting.partition}: {cut(waiting.why, _LONGEST_WHY)}."
            if waiting is not None
            else "The first move is prepared."
        )
        return _made(status, "waiting", Tone.BUSY, "WAITING", _arrived(status), f"Nothing moves now. {why}", "halt")
    names = "; ".join(f"{move.partition} {_doing(move)}" for move in under_way)
    if ahead is not None and ahead.window in (WindowState.FAILS, WindowState.MAY_NOT_HOLD):
        late = "ends" if ahead.window is WindowState.FAILS else "may end"
        end = of_day(min(ahead.windows.values()))[:5]
        text = f"Halt it, or let it go on after its change window. {_arrived(status)}; {names}."
        return _made(status, "late", Tone.STILL, "MOVING", f"{late} after {end}", text, "halt")
    return _made(status, "moving", Tone.BUSY, "MOVING", _arrived(status), f"Wait. {names}.", "halt")


def _doing(move: MoveStatus) -> str:
    if move.stage is Stage.PREPARING:
        return "is checked"
    if move.stage is Stage.WATCHING:
        return f"runs on {move.target}, watched on"
    if move.now is not None and move.now.progress.transmitted:
        return f"→ {move.target} {int(100 * move.now.progress.fraction)} %"
    return f"→ {move.target}"


# --- a plan that has not begun --------------------------------------------------------------------------------------


def checked_banner(plan: MovePlan, checked: CheckedPlan | None) -> Banner:
    """The banner of a plan that has not begun, by its newest check."""
    count = plural(len(plan.moves), "move")
    if checked is None:
        text = "Check the plan: survey, checks and validation of every move. Nothing is changed."
        return Banner("not-checked", Tone.QUIET, "NOT CHECKED", count, text, ("check",))
    if checked.answer is Answer.NOT_READY:
        text = "Mend what is named below, or take those moves out of the plan. Then check it again."
        return Banner("not-ready", Tone.BAD, "NOT READY", count, text, ("check",))
    if checked.answer is Answer.COULD_NOT_TELL:
        open_ = [move.partition for move in checked.moves if move.answer is not Answer.READY or move.fits is None]
        text = (
            f"Nothing stands against it, but not all is known of {', '.join(open_) or 'the change window'}. "
            "Each move is checked again at its turn."
        )
        return Banner("not-known", Tone.STILL, "NOT ALL KNOWN", count, text, ("start", "check"))
    text = "Every move is ready. Nothing moves before you type the title of the plan."
    return Banner("ready", Tone.QUIET, "READY", count, text, ("start",))
