"""When the moves of a plan begin and end: the plan is carried out many times with drawn durations. Pure functions.

The rules are those of `lpmkit.plan.schedule`: order, clusters, frames, links and movers; preparations go one after the
other, as the conductor makes them. Seconds, counted from the start of the forecast.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np

from lpmkit.inventory import Frame, MoverPair
from lpmkit.plan import MovePlan
from lpmkit.plan.schedule import Membership, Stage, room_of_frame, shared_clusters
from lpmkit.prediction.distributions import LogNormal, Quantiles

#: Number of times that a plan is carried out, and the seed: the same facts give the same forecast.
DRAWS, SEED = 200, 20_261_130
#: Seconds from the begin of a preparation (survey, checks, validation) to the order, before past plans tell. A choice.
PREPARING = LogNormal(60.0, 0.5)
#: Share of the errors of durations that all moves have in common without past moves, and the number of past moves that
#: halves it. A choice: the bandwidth of a link is one unknown for all moves over it.
COMMON, HALVED_BY = 0.8, 5.0
_NORMAL = NormalDist()
_P90 = _NORMAL.inv_cdf(0.9)


@dataclass(frozen=True, slots=True)
class Expected:
    """One move as it is now. ``whole_s`` lasts from the order to its end; ``None`` is not known.

    ``since_s`` is how long it has been in its stage: since it was asked for, or since it settled. ``baseline_left_s``
    is the rest of a baseline that has begun.
    """

    partition: str
    source: str
    target: str
    whole_s: Quantiles | None
    inactive: bool = False
    pairs: tuple[MoverPair, ...] = ()
    past_moves: int = 0
    stage: Stage = Stage.WAITING
    since_s: float = 0.0
    baseline_left_s: float = 0.0
    movers: tuple[str, ...] = ()
    #: End of its change window, in nanoseconds since 1970; ``None`` if it is open.
    window_end_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What limits the moves: frames as listed, capacity of movers, and the lengths that are the site's choice."""

    frames: Mapping[str, Frame]
    at_most: Mapping[str, int] = field(default_factory=dict)
    clusters: Mapping[str, frozenset[Membership]] = field(default_factory=dict)
    baseline_s: float = 0.0
    watched_s: float = 0.0
    preparing_s: LogNormal = PREPARING


@dataclass(frozen=True, slots=True)
class Times:
    """When a move begins (is asked for) and ends (runs on the target)."""

    partition: str
    begin_s: Quantiles
    end_s: Quantiles


@dataclass(frozen=True, slots=True)
class Timetable:
    """The forecast of a plan. ``end_s`` is when the last move has ended; ``ends`` are the draws of it.

    ``unknown`` are moves without a prediction: then nothing is said about times. ``never`` are moves that nothing lets
    begin: what they come after is lost, or a frame takes none; ``end_s`` is that of the others.
    """

    moves: tuple[Times, ...]
    end_s: Quantiles | None
    ends: tuple[float, ...] = ()
    unknown: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def of(self, partition: str) -> Times | None:
        """The times of one move; ``None`` if it is over or not forecast."""
        return next((times for times in self.moves if times.partition == partition), None)


def timetable(
    plan: MovePlan, moves: Sequence[Expected], around: Surroundings, *, count: int = DRAWS, seed: int = SEED
) -> Timetable:
    """Forecast the moves that are not over. Every move is taken to succeed."""
    open_moves = [move for move in moves if move.stage in _OPEN]
    unknown = tuple(move.partition for move in open_moves if move.whole_s is None and move.stage is not Stage.WATCHING)
    if unknown or not open_moves:
        return Timetable((), None if unknown else Quantiles(0.0, 0.0, 0.0), (), unknown)
    course = _Course(plan, moves, around)
    begins, ends = np.empty((count, len(moves))), np.empty((count, len(moves)))
    durations, preparations = _drawn(moves, around, count, seed)
    for draw in range(count):
        begins[draw], ends[draw] = course.carried_out(durations[draw], preparations[draw])
    shown = [index for index, move in enumerate(moves) if move.stage in _OPEN and move.stage is not Stage.WATCHING]
    never = tuple(moves[index].partition for index in shown if not np.isfinite(ends[:, index]).all())
    shown = [index for index in shown if moves[index].partition not in never]
    last = ends[:, shown].max(axis=1) if shown else np.zeros(count)
    times = tuple(
        Times(moves[index].partition, Quantiles.of(begins[:, index]), Quantiles.of(ends[:, index])) for index in shown
    )
    return Timetable(times, Quantiles.of(last), tuple(float(end) for end in last), never=never)


#: Stages of moves that take time yet.
_OPEN = (Stage.WAITING, Stage.PREPARING, Stage.MOVING, Stage.WATCHING)


def _drawn(
    moves: Sequence[Expected], around: Surroundings, count: int, seed: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Durations of the moves (of one under way: its rest), and of their preparations, a row for each draw."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal(count), rng.standard_normal((count, len(moves)))
    preparations = around.preparing_s.median * np.exp(
        around.preparing_s.spread * rng.standard_normal((count, len(moves)))
    )
    durations = np.zeros((count, len(moves)))
    for index, move in enumerate(moves):
        if move.whole_s is None:
            continue
        shared = COMMON / (1 + move.past_moves / HALVED_BY)
        scores = sqrt(shared) * common + sqrt(1 - shared) * own[:, index]
        passed = move.since_s if move.stage is Stage.MOVING else 0.0
        durations[:, index] = [rest(move.whole_s, float(score), passed) for score in scores]
    return durations, preparations


def rest(whole_s: Quantiles, score: float, passed_s: float) -> float:
    """Duration at a standard score; of a move that runs for ``passed_s`` already, the rest, given that it runs yet.

    >>> [round(rest(Quantiles(50.0, 100.0, 400.0), score, 0.0)) for score in (-1.2816, 0.0, 1.2816)]
    [50, 100, 400]
    >>> rest(Quantiles(50.0, 100.0, 400.0), 0.0, 300.0) > 0
    True
    """
    if passed_s > 0:
        below = _NORMAL.cdf(_score(whole_s, passed_s))
        share = below + (1 - below) * _NORMAL.cdf(score)
        score = _NORMAL.inv_cdf(min(max(share, 1e-9), 1 - 1e-9))
    bound = whole_s.p90 if score > 0 else whole_s.p10
    spread = abs(log(max(bound, 1e-9) / max(whole_s.p50, 1e-9))) / _P90
    return max(0.0, whole_s.p50 * exp(spread * score) - passed_s)


def _score(whole_s: Quantiles, value: float) -> float:
    """The standard score of a duration."""
    bound = whole_s.p90 if value > whole_s.p50 else whole_s.p10
    spread = abs(log(max(bound, 1e-9) / max(whole_s.p50, 1e-9))) / _P90
    return 0.0 if spread == 0 else log(value / max(whole_s.p50, 1e-9)) / spread


class _Course:
    """The rules of one plan, by the index of each move."""

    def __init__(self, plan: MovePlan, moves: Sequence[Expected], around: Surroundings) -> None:
        self._moves, self._around, self._limits = moves, around, plan.limits
        index = {move.partition: number for number, move in enumerate(moves)}
        self._after = [[index[name] for name in plan.move(move.partition).after if name in index] for move in moves]
        self._mates = [
            {
                index[other.partition]
                for other in moves
                if other is not move and _are_mates(plan, around.clusters, move.partition, other.partition)
            }
            for move in moves
        ]

    def carried_out(self, durations: Sequence[float], preparations: Sequence[float]) -> tuple[list[float], list[float]]:
        """Carry the plan out once: when each move is asked for and when it ends.

        A move that nothing lets begin (a frame that takes none) never does; its times are infinite.
        """
        state = _State(self._moves, durations, self._around)
        while state.waiting:
            ready = next((number for number in state.waiting if self._may_begin(number, state)), None)
            if ready is not None:
                state.begin(ready, preparations[ready], durations[ready], self._pair(ready, state))
            elif not state.go_on():
                break
        return state.begins, state.ends

    def _may_begin(self, number: int, state: _State) -> bool:
        if any(earlier not in state.arrived for earlier in self._after[number]):
            return False
        if self._mates[number] & (state.busy.keys() | state.watched):
            return False
        return not self._held(number, state)

    def _held(self, number: int, state: _State) -> bool:
        """The rule of `lpmkit.plan.schedule.hold`."""
        move, limits = self._moves[number], self._limits
        busy = [(self._moves[other], movers) for other, movers in state.busy.items()]
        for name in (move.source, move.target):
            frame = self._around.frames.get(name)
            allowed = 1 if frame is None else room_of_frame(frame, inactive=move.inactive)[0]
            own = sum(name in (other.source, other.target) and other.inactive == move.inactive for other, _ in busy)
            if own >= allowed or (limits.frame is not None and own >= limits.frame):
                return True
        ends = {move.source, move.target}
        if sum({other.source, other.target} == ends for other, _ in busy) >= limits.link:
            return True
        for mover in self._pair(number, state):
            known = [most for most in (limits.mover, self._around.at_most.get(mover)) if most is not None]
            if known and sum(mover in movers for _, movers in busy) >= min(known):
                return True
        return False

    def _pair(self, number: int, state: _State) -> tuple[str, ...]:
        """The movers of a move: the least busy pair, or the frames where there is no choice."""
        move = self._moves[number]
        if move.inactive or not move.pairs:
            return (move.source, move.target)
        used = [name for movers in state.busy.values() for name in movers]
        pair = min(
            move.pairs, key=lambda one: (used.count(one.source) + used.count(one.target), one.source_id, one.target_id)
        )
        return (pair.source, pair.target)


def _are_mates(plan: MovePlan, clusters: Mapping[str, frozenset[Membership]], partition: str, other: str) -> bool:
    """The rule of `lpmkit.plan.schedule.cluster_mate`: both may be members of one cluster."""
    own, others = plan.clusters_of(partition), plan.clusters_of(other)
    if own and others:
        return bool(set(own) & set(others))
    return bool(shared_clusters(clusters.get(partition, frozenset()), clusters.get(other, frozenset())))


class _State:
    """One carrying out: the time, what is under way, and what has ended."""

    def __init__(self, moves: Sequence[Expected], durations: Sequence[float], around: Surroundings) -> None:
        self._around, self._now = around, 0.0
        self.begins, self.ends = [float("inf")] * len(moves), [float("inf")] * len(moves)
        #: Moves that occupy frames, links and movers, with their movers.
        self.busy: dict[int, tuple[str, ...]] = {}
        self.watched: set[int] = set()
        self.arrived: set[int] = set()
        self.waiting: list[int] = []
        self._events: list[tuple[float, int, int]] = []
        for number, move in enumerate(moves):
            if move.stage in (Stage.WAITING, Stage.PREPARING):
                self.waiting.append(number)
            elif move.stage is Stage.MOVING:
                self.begins[number] = move.baseline_left_s - move.since_s
                self._moving(
                    number, move.baseline_left_s + durations[number], move.movers or (move.source, move.target)
                )
            elif move.stage is Stage.WATCHING:
                self.watched.add(number)
                self.ends[number] = -move.since_s
                heapq.heappush(self._events, (max(0.0, around.watched_s - move.since_s), 1, number))
            elif move.stage is Stage.ARRIVED:
                self.arrived.add(number)
        # One that is being prepared comes first.
        self.waiting.sort(key=lambda number: moves[number].stage is not Stage.PREPARING)

    def begin(self, number: int, preparing_s: float, duration_s: float, movers: tuple[str, ...]) -> None:
        """Prepare a move, which takes the conductor's time, and ask for it after its baseline."""
        self.waiting.remove(number)
        self._until(self._now + preparing_s)
        self.begins[number] = self._now + self._around.baseline_s
        self._moving(number, self.begins[number] + duration_s, movers)

    def _moving(self, number: int, end_s: float, movers: tuple[str, ...]) -> None:
        self.busy[number], self.ends[number] = movers, end_s
        heapq.heappush(self._events, (end_s, 0, number))

    def _until(self, moment: float) -> None:
        """Let time pass, with everything that ends meanwhile."""
        while self._events and self._events[0][0] <= moment:
            self._take()
        self._now = moment

    def go_on(self) -> bool:
        """Let time pass to the next end; false if nothing is under way."""
        if not self._events:
            return False
        self._take()
        return True

    def _take(self) -> None:
        moment, kind, number = heapq.heappop(self._events)
        self._now = max(self._now, moment)
        if kind == 0:
            del self.busy[number]
            self.watched.add(number)
            heapq.heappush(self._events, (moment + self._around.watched_s, 1, number))
        else:
            self.watched.discard(number)
            self.arrived.add(number)
