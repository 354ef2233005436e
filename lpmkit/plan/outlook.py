"""The forecast of a plan at a moment: times of each move, whether the windows hold, and the last safe start.

Made from the checks of a plan that is to come, and from the folder of one that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from math import exp
from pathlib import Path

from pydantic import TypeAdapter

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.migration.phases import Phase
from lpmkit.plan import MovePlan
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus, PlanStatus, plans
from lpmkit.plan.timetable import PREPARING, PREPARING_SCATTER, Expected, Surroundings, Times, Timetable, timetable
from lpmkit.prediction.distributions import LogNormal, Quantiles, pooled
from lpmkit.prediction.history import inputs_from
from lpmkit.prediction.moves import Inputs, ObservedMove
from lpmkit.prediction.nights import usual_beside
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.prediction.predicting import predict
from lpmkit.prediction.prior import posterior
from lpmkit.runs.folder import Run

#: Document of a plan's folder with what the forecast needs of moves and surroundings.
DOCUMENT = "expected"


#: Standard scores of P10, P50 and P90.
_SCORES = (-1.2816, 0.0, 1.2816)


class WindowState(StrEnum):
    """The forecast held against the change windows."""

    NONE = "no window"
    HOLDS = "holds"
    MAY_NOT_HOLD = "may not hold"
    FAILS = "does not hold"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast with its zero, in nanoseconds since 1970. ``begun``: the plan runs already.

    ``windows`` are the ends of the moves' windows. ``why_not``: making the forecast failed.
    """

    zero_ns: int
    table: Timetable
    windows: Mapping[str, int]
    begun: bool = False
    why_not: NoForecast | None = None

    @property
    def end_ns(self) -> Quantiles | None:
        """The time at which the last move has ended, in nanoseconds since 1970."""
        return None if self.table.end_s is None else _shifted(self.table.end_s, self.zero_ns)

    def times(self, partition: str) -> Times | None:
        """Begin and end of one move, in nanoseconds since 1970."""
        times = self.table.of(partition)
        if times is None:
            return None
        return Times(partition, _shifted(times.begin_s, self.zero_ns), _shifted(times.end_s, self.zero_ns))

    @property
    def window(self) -> WindowState:
        """Every move's P90 and P50 against the end of its window."""
        if not self.windows:
            return WindowState.NONE
        if self.table.end_s is None or self.table.never:
            return WindowState.UNKNOWN
        ends = [(times.end_s, end) for name, end in self.windows.items() if (times := self.times(name)) is not None]
        if any(end_ns.p50 > end for end_ns, end in ends):
            return WindowState.FAILS
        return WindowState.MAY_NOT_HOLD if any(end_ns.p90 > end for end_ns, end in ends) else WindowState.HOLDS

    @property
    def last_safe_start_ns(self) -> int | None:
        """The latest start with which the P90 of every move is within its window; ``None`` without window or forecast,
        and of a plan that runs.
        """
        if self.begun or self.table.end_s is None or self.table.never:
            return None
        return min(
            (
                end - int(times.end_s.p90 * 1e9)
                for times in self.table.moves
                if (end := self.windows.get(times.partition))
            ),
            default=None,
        )

    def sentence(self) -> str:
        """The forecast for people."""
        if self.why_not is not None:
            return self.why_not.sentence()
        if self.table.unknown:
            return f"No forecast: there is no prediction of {', '.join(self.table.unknown)}."
        end = self.end_ns
        assert end is not None
        never = f" Never begins: {', '.join(self.table.never)}." if self.table.never else ""
        if not self.table.moves:
            return f"Every move has ended.{never}" if not never else never.strip()
        text = f"Expected end {shown(end.p50)} (P50), {shown(end.p90)} (P90).{never}"
        if self.windows:
            text += f" Change window until {shown(min(self.windows.values()))}: {self.window.value}."
        if (start := self.last_safe_start_ns) is not None:
            late = " That is over." if start < self.zero_ns else ""
            text += f" Last safe start {shown(start)}.{late}"
        return text

    def as_data(self) -> JsonObject:
        """The forecast as JSON values: times as nanoseconds since 1970, P10, P50 and P90."""
        moves = [times for move in self.table.moves if (times := self.times(move.partition)) is not None]
        return {
            "zero_ns": self.zero_ns,
            "moves": [
                {"partition": move.partition, "begin_ns": _rounded(move.begin_s), "end_ns": _rounded(move.end_s)}
                for move in moves
            ],
            "end_ns": None if (end := self.end_ns) is None else _rounded(end),
            "window": self.window.value,
            "last_safe_start_ns": self.last_safe_start_ns,
            "no_prediction": list(self.table.unknown),
            "no_forecast": None if self.why_not is None else self.why_not.why,
            "never_begin": list(self.table.never),
        }

    def cells(self, partition: str) -> dict[str, str]:
        """Begin and end of one move for a table."""
        times = self.times(partition)
        if times is None:
            return {"begins": "", "ends": ""}
        begin, end = times.begin_s, times.end_s
        late = self.windows.get(partition)
        mark = " AFTER THE WINDOW" if late is not None and end.p90 > late else ""
        return {"begins": _span(begin), "ends": f"{_span(end)}{mark}"}


def _shifted(seconds: Quantiles, zero_ns: int) -> Quantiles:
    return Quantiles(*(zero_ns + value * 1e9 for value in (seconds.p10, seconds.p50, seconds.p90)))


def _rounded(moment: Quantiles) -> JsonObject:
    return {"p10": round(moment.p10), "p50": round(moment.p50), "p90": round(moment.p90)}


def text_chart(ahead: Outlook, width: int = 60) -> list[str]:
    """The forecast as lines of text.

    ``=`` from the P50 of the begin to that of the end, ``-`` on to the P90 of the end, ``|`` at the end of the change
    window.
    """
    moves = [times for move in ahead.table.moves if (times := ahead.times(move.partition)) is not None]
    if not moves:
        return []
    first = min(ahead.zero_ns, *(int(move.begin_s.p50) for move in moves))
    ends = [int(move.end_s.p90) for move in moves]
    # A window that ends long after the plan would press the bars together.
    near = [end for end in ahead.windows.values() if first < end < first + 2 * (max(ends) - first)]
    per_cell = max(1, max([*ends, *near]) - first) / width
    label = max(len(move.partition) for move in moves)
    lines = []
    for move in moves:
        cells = [" "] * (width + 1)
        marks = [(move.end_s.p50, move.end_s.p90, "-"), (move.begin_s.p50, move.end_s.p50, "=")]
        for since, until, sign in marks:
            low, high = (max(0, int((moment - first) / per_cell)) for moment in (since, until))
            cells[low : max(low + 1, high)] = sign * (max(low + 1, high) - low)
        for end in near:
            cells[int((end - first) / per_cell)] = "|"
        lines.append(f"{move.partition:<{label}} {''.join(cells).rstrip()}")
    last = first + int(per_cell * width)
    return [*lines, f"{'':<{label}} {shown(first)} … {shown(last)}"]


def shown(wall_ns: float) -> str:
    """An instant to the minute; a P90 of minutes has no seconds.

    >>> shown(1_796_076_001_000_000_000)
    '2026-11-30 22:00 UTC'
    """
    return f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M} UTC"


def _span(moment: Quantiles) -> str:
    first, last = (datetime.fromtimestamp(value / 1e9, tz=UTC) for value in (moment.p50, moment.p90))
    return f"{first:%H:%M:%S} … {last:%H:%M:%S}"


# -- what is expected of a move ----------------------------------------------------------------------------------------


def with_duration(move: Expected, inputs: Inputs | None, past: Sequence[ObservedMove]) -> Expected:
    """The move with how long it lasts from the order to its end; an inactive one copies nothing.

    It is that of a move with as many beside it as past moves had: what is known best. Not known without the memory.
    """
    if inputs is None:
        return move
    if move.inactive:
        around = posterior(inputs, past).around_s
        return replace(move, whole_s=Quantiles(*(around.median * exp(around.spread * score) for score in _SCORES)))
    beside = usual_beside(past)
    predicted = predict(replace(inputs, beside=beside), past)
    copy_share = min(1.0, predicted.copy_s.p50 / predicted.whole_s.p50)
    return replace(move, whole_s=predicted.whole_s, copy_share=copy_share, beside=beside)


def from_listing(
    partition: JsonMapping, source: str, target: str, past: Sequence[ObservedMove], window_end_ns: int | None
) -> Expected:
    """A move by the manager's listing of its partition alone."""
    inactive = partition.get("state") == "Not Activated"
    order = {"partition": partition["name"], "source": source, "target": target}
    inputs = inputs_from(order, {"source": {"partitions": [partition]}})
    move = Expected(partition["name"], source, target, None, inactive, window_end_ns=window_end_ns)
    return with_duration(move, inputs, past)


def preparations(runs: Path) -> LogNormal:
    """The time that the conductor needs to prepare a move, by the plans of a folder of runs."""
    seconds = []
    for folder in plans(runs)[-20:]:
        since: dict[str, int] = {}
        for event in folder.events():
            name = str(event.data.get("partition"))
            if event.kind == "preparing":
                since[name] = event.mono_ns
            elif event.kind == "moving" and name in since:
                seconds.append((event.mono_ns - since.pop(name)) / 1e9)
    return preparing_of(seconds)


def preparing_of(past_s: Sequence[float]) -> LogNormal:
    """The time that a move takes to prepare, by past preparations in seconds."""
    return pooled(PREPARING, [(past_s, PREPARING_SCATTER)])


# -- of a plan that is to come, and of one that runs -------------------------------------------------------------------


def outlook(plan: MovePlan, moves: Iterable[Expected], around: Surroundings, now_ns: int) -> Outlook:
    """The forecast of a plan that begins now, or with its window."""
    expected = list(moves)
    begin = plan.window.begin
    zero_ns = max(now_ns, int(begin.timestamp() * 1e9)) if begin is not None else now_ns
    return Outlook(zero_ns, timetable(plan, expected, around), _windows(expected))


def without_forecast(moves: Iterable[Expected], now_ns: int, why_not: NoForecast, *, begun: bool = False) -> Outlook:
    """The outlook without a forecast, where none could be made: the windows, of which nothing is known."""
    return Outlook(now_ns, Timetable((), None), _windows(moves), begun, why_not)


def _windows(moves: Iterable[Expected]) -> dict[str, int]:
    return {move.partition: move.window_end_ns for move in moves if move.window_end_ns is not None}


def to_document(moves: Iterable[Expected], around: Surroundings) -> JsonObject:
    """The input of a running plan's forecast, as JSON values; `running_outlook` reads it."""
    surroundings = asdict(around)
    surroundings["clusters"] = {name: sorted(map(list, members)) for name, members in around.clusters.items()}
    return {"moves": [asdict(move) for move in moves], "around": surroundings}


def running_outlook(folder: Run, status: PlanStatus, now_ns: int) -> Outlook | None:
    """The forecast of a plan from its folder; ``None`` before the conductor has written what it needs, and of a plan
    that is over or halted: nobody knows when it goes on.
    """
    document = folder.document(DOCUMENT)
    if document is None or status.is_over or status.is_done or status.halted is not None:
        return None
    surroundings, expected = _kept_forms()
    around = surroundings.validate_python(document["around"])
    known = {row["partition"]: expected.validate_python(row) for row in document["moves"]}
    moves = [_as_it_is(known[move.partition], move, now_ns) for move in status.moves if move.partition in known]
    if len(moves) < len(status.moves):
        return None
    moves = beside_now(beside_then(moves, _spans(moves, status, around.baseline_s, now_ns)))
    return Outlook(now_ns, timetable(status.plan, moves, around), _windows(moves), begun=True)


@cache
def _kept_forms() -> tuple[TypeAdapter[Surroundings], TypeAdapter[Expected]]:
    """The forms of what `to_document` keeps, made once for all boards of a process."""
    return TypeAdapter(Surroundings), TypeAdapter(Expected)


def _spans(
    moves: Sequence[Expected], status: PlanStatus, baseline_s: float, now_ns: int
) -> dict[str, tuple[float, float]]:
    """Since when and until when each move ran, as far as it was asked for; seconds since 1970."""
    now_s, spans = now_ns / 1e9, dict[str, tuple[float, float]]()
    for move in moves:
        began_ns = status.move(move.partition).began_ns
        if move.took_s:
            spans[move.partition] = now_s - move.since_s - move.took_s, now_s - move.since_s
        elif move.stage is Stage.MOVING and not move.baseline_left_s and began_ns is not None:
            spans[move.partition] = min(now_s, began_ns / 1e9 + baseline_s), now_s
    return spans


def _as_it_is(expected: Expected, move: MoveStatus, now_ns: int) -> Expected:
    """The move in its present stage, with the newest forecast of its own recorder."""
    changed = replace(expected, stage=move.stage, source=move.source or expected.source)
    if move.stage in (Stage.WATCHING, Stage.ARRIVED) and move.run is not None:
        events = Run(move.run).events()
        asked = next((e for e in events if e.kind == "intent" and e.data.get("what") == "migrate"), None)
        settled = next((e for e in events if e.kind == "phase" and e.data.get("phase") == Phase.SETTLED.value), None)
        if settled is None:
            return replace(changed, since_s=0.0)
        took_s = None if asked is None else (settled.mono_ns - asked.mono_ns) / 1e9
        return replace(changed, since_s=max(0.0, (now_ns - settled.wall_ns) / 1e9), took_s=took_s)
    if move.stage is not Stage.MOVING or move.run is None:
        return changed
    movers = move.under_way.movers if move.under_way else ()
    if move.now is not None and move.now.lead_in_left_s:
        return replace(changed, movers=movers, baseline_left_s=move.now.lead_in_left_s)
    events = Run(move.run).events()
    asked = next((event for event in events if event.kind == "intent"), None)
    told = next((event for event in reversed(events) if event.kind == "forecast"), None)
    whole_s = None if told is None else Quantiles.from_data(told.data.get("whole_s"))
    if told is None or whole_s is None:
        since_ns = asked.wall_ns if asked is not None else move.began_ns or now_ns
        return replace(changed, movers=movers, since_s=max(0.0, (now_ns - since_ns) / 1e9))
    # The recorder has seen the copy itself; what it said is counted from when it said it, and holds for what ran then.
    rest_s = Quantiles.from_data(told.data.get("remaining_s"))
    copy_share = 0.0 if rest_s is None or not whole_s.p50 else min(1.0, rest_s.p50 / whole_s.p50)
    since_s = max(0.0, (now_ns - told.wall_ns) / 1e9)
    return replace(changed, movers=movers, whole_s=whole_s, since_s=since_s, copy_share=copy_share, is_seen=True)


def beside_then(moves: Sequence[Expected], spans: Mapping[str, tuple[float, float]]) -> list[Expected]:
    """The moves with what ran beside those that are over, as a mean over their time; ``spans`` are in seconds."""
    return [
        replace(move, had_beside=_company(move, moves, spans)) if move.took_s and move.partition in spans else move
        for move in moves
    ]


def _company(move: Expected, moves: Sequence[Expected], spans: Mapping[str, tuple[float, float]]) -> float:
    since_s, until_s = spans[move.partition]
    total_s = 0.0
    for other in moves:
        if other is not move and other.partition in spans and {move.source, move.target} & {other.source, other.target}:
            began_s, ended_s = spans[other.partition]
            total_s += other.copy_share * max(0.0, min(until_s, ended_s) - max(since_s, began_s))
    return total_s / max(until_s - since_s, 1e-9)


def beside_now(moves: Sequence[Expected]) -> list[Expected]:
    """The moves with what runs beside those whose recorder has seen the copy: it slows that one down already."""
    copying = [move for move in moves if move.stage is Stage.MOVING and not move.baseline_left_s]

    def others(move: Expected) -> float:
        """The others over one of its frames, each as far as it copies."""
        frames = {move.source, move.target}
        return sum(other.copy_share for other in copying if other is not move and frames & {other.source, other.target})

    return [replace(move, beside=others(move)) if move.is_seen else move for move in moves]
