"""The board of a plan: state, figures, the moves as bars, what was decided, made as a `lpmkit.board.model.Board`.

`plan_board` is one look at a folder; `FollowedPlan` keeps what does not change, for a board that is drawn again and
again. `checked_board` is the board of a plan that has not begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lpmkit.board.language import in_language
from lpmkit.board.model import Board, Happening, Tile, Tone
from lpmkit.board.wording import clock_time, cut, of_day
from lpmkit.checks import Answer
from lpmkit.plan import MovePlan
from lpmkit.plan.banner import checked_banner, going, plan_banner
from lpmkit.plan.bars import Bar, bar_of, bars_svg
from lpmkit.plan.book import CheckedPlan
from lpmkit.plan.folds import against_fold, lost_fold, moves_fold
from lpmkit.plan.outlook import Outlook, WindowState, running_outlook, shown, without_forecast
from lpmkit.plan.schedule import OVER, Stage
from lpmkit.plan.status import MoveStatus, PlanStatus, plan_status
from lpmkit.plots.live import LanesPicture
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.runs.folder import Run
from lpmkit.runs.history import Move, bounds, read_move
from lpmkit.timeline import Clock, Event
from lpmkit.wording.counts import plural
from lpmkit.wording.words import words_of

#: Seconds between two forecasts of a plan that runs: one takes longer than a look.
FORECAST_EVERY_S = 10.0
#: The newest decisions that the board shows.
SHOWN = 9
#: Longer reasons are cut where they stand among others.
LONGEST_WHY = 160
_DECISIONS: Mapping[str, str] = {
    "conductor-started": "conductor started",
    "conductor-ended": "conductor ended: {why}",
    "preparing": "{partition}: surveyed, checked, validated on {source}",
    "put-back": "{partition}: queued again",
    "moving": "{partition}: move requested",
    "over": "{partition}: {stage}. {why}",
    "halted": "halted, no further move starts: {why}",
    "goes-on": "continued by an operator",
    "again": "{partition}: queued again by an operator",
    "note": "{text}",
}
_OBSERVED = ("{partition}: observed from {place}", "{partition}: not observed from {place}: {why}")
_LOST = (Stage.FAILED.value, Stage.RECOVERY.value, Stage.DROPPED.value)
_WINDOW_TONES: Mapping[WindowState, Tone] = {
    WindowState.NONE: Tone.QUIET,
    WindowState.HOLDS: Tone.GOOD,
    WindowState.MAY_NOT_HOLD: Tone.STILL,
    WindowState.FAILS: Tone.BAD,
    WindowState.UNKNOWN: Tone.STILL,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the conductor: nanoseconds since 1970, text, and whether a move was lost by it."""

    wall_ns: int
    text: str
    bad: bool = False


def decisions(events: Sequence[Event]) -> tuple[Decision, ...]:
    """The decisions of a plan's conductor, oldest first."""
    return tuple(
        Decision(event.wall_ns, _words_of(event).format(**event.data), _is_bad(event))
        for event in events
        if event.kind in _DECISIONS or event.kind == "observed"
    )


def _words_of(event: Event) -> str:
    return _OBSERVED[bool(event.data["why"])] if event.kind == "observed" else _DECISIONS[event.kind]


def _is_bad(event: Event) -> bool:
    if event.kind == "observed":
        return bool(event.data["why"])
    return event.kind == "halted" or (event.kind == "over" and event.data.get("stage") in _LOST)


# --- a plan that has begun ------------------------------------------------------------------------------------------


def plan_board(folder: Run, clock: Clock | None = None, language: str = "en") -> Board:
    """The board of a plan's folder at this moment. Raises `RecordError` for a folder without a plan."""
    return FollowedPlan(folder, clock, language).board()


class FollowedPlan:
    """A plan whose board is drawn again and again: figures and bars of moves that are over are read once, and the
    forecast is made every `FORECAST_EVERY_S`.
    """

    def __init__(self, folder: Run, clock: Clock | None = None, language: str = "en") -> None:
        self.words = words_of(language)
        self.folder, self._clock = folder, clock or Clock()
        self._measured: dict[str, tuple[int, Move | None]] = {}
        self._bars: dict[str, tuple[str, Bar]] = {}
        self._forecast: tuple[int, tuple[Stage, ...], Outlook | None] | None = None
        self.status: PlanStatus = plan_status(folder, self._clock)

    def board(self) -> Board:
        """The board now."""
        self.status = status = plan_status(self.folder, self._clock)
        now_ns, ahead = self._clock.wall_ns(), self.outlook()
        events = self.folder.events()
        measured = {move.partition: self.measured(move) for move in status.moves}
        bars = [self._bar(move, ahead) for move in status.moves]
        windows = () if ahead is None else ahead.windows.values()
        picture = bars_svg(bars, windows, now_ns if going(status) else None, self.words.said)
        board = Board(
            run=self.folder.name,
            path=str(self.folder.path),
            order=f"{status.plan.title}  plan of {plural(len(status.moves), 'move')}",
            banner=plan_banner(status, ahead, self.folder.name),
            tiles=tuple(_tiles(status, ahead, measured, events, now_ns)),
            lanes=LanesPicture("Moves of the plan", picture),
            happened=tuple(
                Happening(of_day(one.wall_ns), cut(one.text, LONGEST_WHY), one.bad)
                for one in decisions(events)[-SHOWN:]
            ),
            failure=lost_fold(status, self.folder.name),
            folds=(moves_fold(status, ahead, measured),),
            is_live=going(status),
        )
        return in_language(board, self.words)

    def outlook(self) -> Outlook | None:
        """The forecast of what is to come; made again after `FORECAST_EVERY_S`, and when a move changes its stage."""
        now_ns, stages = self._clock.wall_ns(), tuple(move.stage for move in self.status.moves)
        known = self._forecast
        if known is None or known[1] != stages or now_ns - known[0] >= FORECAST_EVERY_S * 1e9 or self.status.halted:
            ahead = forecast_or_why(lambda: running_outlook(self.folder, self.status, now_ns))
            if isinstance(ahead, NoForecast):
                ahead = without_forecast((), now_ns, ahead, begun=True)
            known = now_ns, stages, ahead
            self._forecast = known
        return known[2]

    def measured(self, move: MoveStatus) -> Move | None:
        """Measured figures from the move's own folder; ``None`` if it does not exist or cannot be read."""
        if move.run is None or move.began_ns is None:
            return None
        try:
            stamp = (move.run / "summary.json").stat().st_mtime_ns
        except OSError:
            stamp = 0
        key = str(move.run)
        if key not in self._measured or self._measured[key][0] != stamp:
            self._measured[key] = stamp, _figures(move)
        return self._measured[key][1]

    def _bar(self, move: MoveStatus, ahead: Outlook | None) -> Bar:
        if move.stage not in OVER or move.ended_ns is None:
            return bar_of(move, None if ahead is None else ahead.times(move.partition))
        key = f"{move.run} {move.stage} {move.ended_ns} {self._measured.get(str(move.run), (0,))[0]}"
        if self._bars.get(move.partition, ("",))[0] != key:
            self._bars[move.partition] = key, bar_of(move)
        return self._bars[move.partition][1]


def _figures(move: MoveStatus) -> Move | None:
    assert move.run is not None
    try:
        return read_move(move.run)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tiles(
    status: PlanStatus,
    ahead: Outlook | None,
    measured: Mapping[str, Move | None],
    events: Sequence[Event],
    now_ns: int,
) -> Iterator[Tile]:
    yield _end(status, ahead)
    yield _elapsed(status, events, now_ns)
    count = {stage: sum(move.stage is stage for move in status.moves) for stage in Stage}
    rest = ", ".join(f"{count[stage]} {stage.value}" for stage in Stage if count[stage] and stage is not Stage.ARRIVED)
    lost = any(move.stage.value in _LOST for move in status.moves)
    tone = Tone.BAD if lost else Tone.GOOD if status.is_done else Tone.BUSY
    yield Tile("arrived", f"{count[Stage.ARRIVED]} of {len(status.moves)}", rest or "every move", tone)
    yield _moving(status)
    yield _window(ahead, "every move is over" if status.is_done else "no forecast")
    yield _longest(measured)


def _end(status: PlanStatus, ahead: Outlook | None) -> Tile:
    end = None if ahead is None else ahead.end_ns
    if end is None or not (ahead and ahead.table.moves):
        note = (
            "every move is over" if status.is_done else "halted: nobody knows" if status.halted else "no forecast yet"
        )
        return Tile("expected end", "–", note)
    return _ends(end)


def _ends(end: Quantiles) -> Tile:
    low, middle, high = (of_day(int(value))[:5] for value in (end.p10, end.p50, end.p90))
    return Tile("expected end", f"{middle} UTC", f"{low} … {high} (P10 … P90)", Tone.BUSY)


def _elapsed(status: PlanStatus, events: Sequence[Event], now_ns: int) -> Tile:
    begin = next((event.wall_ns for event in events if event.kind == "conductor-started"), None)
    if begin is None:
        return Tile("elapsed", "–", "not begun yet")
    end = next((event.wall_ns for event in reversed(events) if event.kind == "conductor-ended"), now_ns)
    ended = status.is_over
    at = f"began {of_day(begin)} UTC"
    return Tile("whole plan" if ended else "elapsed", clock_time(((end if ended else now_ns) - begin) / 1e9), at)


def _moving(status: PlanStatus) -> Tile:
    moving = [move for move in status.moves if move.stage in (Stage.MOVING, Stage.WATCHING)]
    if not moving:
        preparing = [move.partition for move in status.moves if move.stage is Stage.PREPARING]
        return Tile("moving now", "–", f"{', '.join(preparing)}: checked and validated" if preparing else "nothing")
    first = moving[0]
    more = f" + {len(moving) - 1}" if len(moving) > 1 else ""
    return Tile("moving now", f"{first.partition}{more}", cut(first.why, 60), Tone.BUSY)


def _window(ahead: Outlook | None, why_not: str) -> Tile:
    if ahead is None or not ahead.windows:
        return Tile("change window", "–", why_not if ahead is None else "none in the plan")
    end = of_day(min(ahead.windows.values()))[:5]
    tone = _WINDOW_TONES[ahead.window]
    sign = {Tone.GOOD: "✓ ", Tone.BAD: "✗ ", Tone.STILL: "! "}.get(tone, "")
    return Tile("change window", f"{sign}{ahead.window.value}", f"until {end} UTC", tone)


def _longest(measured: Mapping[str, Move | None]) -> Tile:
    """The longest suspension of the moves that are over, by its bounds."""
    known = [(name, move) for name, move in measured.items() if move is not None and move.suspended_high_s is not None]
    if not known:
        return Tile("longest suspension", "–", "no move is over yet")
    name, longest = max(known, key=lambda pair: pair[1].suspended_high_s or 0.0)
    return Tile(
        "longest suspension",
        bounds(longest.suspended_low_s, longest.suspended_high_s),
        f"{name}, of {plural(len(known), 'move')}",
        Tone.GOOD,
    )


# --- a plan that has not begun --------------------------------------------------------------------------------------


def checked_board(plan: MovePlan, checked: CheckedPlan | None = None, language: str = "en") -> Board:
    """The board of a plan that has not begun, by its newest check."""
    words = words_of(language)
    ahead = None if checked is None else checked.outlook
    count = len(plan.moves)
    board = Board(
        run="not started",
        path="",
        order=f"{plan.title}  plan of {plural(count, 'move')}",
        banner=checked_banner(plan, checked),
        tiles=tuple(_tiles_ahead(plan, checked)),
        lanes=LanesPicture(
            "Moves of the plan",
            bars_svg(bars_ahead(plan, checked), ahead.windows.values() if ahead else (), said=words.said),
        ),
        happened=(),
        failure=None if checked is None or not checked.against() else against_fold(checked),
        folds=(),
    )
    return in_language(board, words)


def bars_ahead(plan: MovePlan, checked: CheckedPlan | None) -> list[Bar]:
    """A bar for each move of a plan that has not begun, with its expected times where it was checked."""
    if checked is None:
        return [Bar(move.partition, f"{move.source or '?'} → {move.target}") for move in plan.moves]
    return [
        Bar(move.partition, f"{move.source or '?'} → {move.target}", expected=checked.outlook.times(move.partition))
        for move in checked.moves
    ]


def _tiles_ahead(plan: MovePlan, checked: CheckedPlan | None) -> Iterator[Tile]:
    ahead = None if checked is None else checked.outlook
    end = None if ahead is None else ahead.end_ns
    yield (
        Tile("expected end", "–", "not checked yet" if checked is None else "no forecast")
        if end is None
        else _ends(end)
    )
    if ahead is not None and ahead.table.end_s is not None:
        takes = ahead.table.end_s
        yield Tile("takes", clock_time(takes.p50), f"{clock_time(takes.p10)} … {clock_time(takes.p90)} (P10 … P90)")
    else:
        yield Tile("takes", "–", "not known yet")
    ready = 0 if checked is None else sum(move.answer is Answer.READY and move.fits is True for move in checked.moves)
    tone = Tone.QUIET if checked is None else Tone.GOOD if ready == len(plan.moves) else Tone.STILL
    yield Tile("ready", "–" if checked is None else f"{ready} of {len(plan.moves)}", "room, checks, validation", tone)
    yield _window(ahead, "not checked yet" if checked is None else "no forecast")
    start = None if ahead is None else ahead.last_safe_start_ns
    yield Tile(
        "last safe start",
        "–" if start is None else f"{of_day(start)[:5]} UTC",
        "no window" if start is None else shown(start),
    )
    yield Tile("checked", "–" if checked is None else f"{of_day(checked.at_ns)[:5]} UTC", "each move again at its turn")
