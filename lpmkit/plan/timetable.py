"""The times at which the moves of a plan begin and end: the plan is carried out many times with drawn durations. Pure
functions.

The rules are those of `lpmkit.plan.schedule`: order, clusters, frames, links and movers; preparations go one after the
other, as the conductor makes them. Seconds, counted from the start of the forecast.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np

from lpmkit.inventory import Frame, MoverPair
from lpmkit.plan import MovePlan
from lpmkit.plan.schedule import Membership, Stage, room_of_frame, shared_clusters
from lpmkit.prediction.distributions import LogNormal, Quantiles
from lpmkit.prediction.nights import FIRST_DAY, Slowing
from lpmkit.prediction.predicting import COMMON
from lpmkit.prediction.rounds import Floats

#: Number of times that a plan is carried out, and the seed: the same facts give the same forecast.
DRAWS, SEED = 200, 20_261_130
#: Seconds from the begin of a preparation (survey, checks, validation) to the order, without past plans. A choice.
PREPARING = LogNormal(60.0, 0.5)
#: Scatter of the preparations of one site, as the standard deviation of logarithms, without past plans. A choice.
#: What is not known beyond it is the same for every preparation of a night.
PREPARING_SCATTER = 0.3
#: Standard scores at which what tonight's moves have in common is weighed, and those of the power of slowing down.
_COMMON, _POWER = np.linspace(-4.0, 4.0, 81), np.linspace(-3.0, 3.0, 31)
#: Moves that follow one another in the plan and run at the same time, for what those have in common: two at once over
#: a link, and the one that follows the first of them.
_SIDE = 3
#: Least share of a duration's variance that is the move's own.
_MIN_OWN = 0.05
_NORMAL = NormalDist()
_P90 = _NORMAL.inv_cdf(0.9)


@dataclass(frozen=True, slots=True)
class Expected:
    """One move as it is now. ``whole_s`` lasts from the order to its end; ``None`` is not known.

    It is that of a copy with ``beside`` others over one of its frames; ``copy_share`` is the part of it that they slow
    down. ``had_beside`` are the others that one which is over did have; ``None`` if not known. ``since_s`` is how long
    it has been in its stage: prepared, since it was asked for, or since it settled. ``baseline_left_s`` is the rest of
    a baseline that has begun, and ``took_s`` how long one that is over took.
    """

    partition: str
    source: str
    target: str
    whole_s: Quantiles | None
    inactive: bool = False
    pairs: tuple[MoverPair, ...] = ()
    copy_share: float = 0.0
    beside: float = 0.0
    had_beside: float | None = None
    stage: Stage = Stage.WAITING
    since_s: float = 0.0
    baseline_left_s: float = 0.0
    took_s: float | None = None
    #: Its own recorder has seen the copy, and reported ``whole_s``.
    is_seen: bool = False
    movers: tuple[str, ...] = ()
    #: End of its change window, in nanoseconds since 1970; ``None`` if it is open.
    window_end_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The limits of the moves: frames as listed, capacity of movers, and the lengths that are the site's choice.

    ``slowing`` is how far copies slow one another down; ``common`` the share of their durations' errors that the moves
    of one night have in common, ``beside_common`` the further share of those that run at the same time.
    """

    frames: Mapping[str, Frame]
    at_most: Mapping[str, int] = field(default_factory=dict)
    clusters: Mapping[str, frozenset[Membership]] = field(default_factory=dict)
    baseline_s: float = 0.0
    watched_s: float = 0.0
    preparing_s: LogNormal = PREPARING
    slowing: Slowing = FIRST_DAY
    common: float = COMMON
    beside_common: float = 0.0


@dataclass(frozen=True, slots=True)
class Times:
    """The times at which a move begins (is asked for) and ends (runs on the target)."""

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
    rng = np.random.default_rng(seed)
    common, powers = tonight(moves, around, rng, count)
    durations, preparations = _drawn(moves, around, common, rng)
    for draw in range(count):
        begins[draw], ends[draw] = course.carried_out(durations[draw], preparations[draw], float(powers[draw]))
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
    moves: Sequence[Expected], around: Surroundings, common: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Durations of the moves (of one under way: its rest), and of their preparations, a row for each draw of what they
    have in common.
    """
    count = len(common)
    own = rng.standard_normal((count, len(moves)))
    side = rng.standard_normal((count, len(moves) + _SIDE - 1))
    scatter = min(PREPARING_SCATTER, around.preparing_s.spread)
    unknown = sqrt(around.preparing_s.spread**2 - scatter**2) * rng.standard_normal((count, 1))
    preparations = around.preparing_s.median * np.exp(unknown + scatter * rng.standard_normal((count, len(moves))))
    for index, move in enumerate(moves):
        if move.stage is Stage.PREPARING:
            whole_s = around.preparing_s.quantiles
            preparations[:, index] = [rest(whole_s, float(score), move.since_s) for score in own[:, index]]
    durations = np.zeros((count, len(moves)))
    for index, move in enumerate(moves):
        if move.whole_s is None:
            continue
        scores = (
            sqrt(around.common) * common
            + sqrt(around.beside_common) * side[:, index : index + _SIDE].sum(axis=1) / sqrt(_SIDE)
            + sqrt(max(0.0, 1 - around.common - around.beside_common)) * own[:, index]
        )
        if move.is_seen:
            # The recorder has measured the network of tonight: its forecast holds what the moves have in common.
            scores = own[:, index]
        passed = move.since_s if move.stage is Stage.MOVING else 0.0
        durations[:, index] = [rest(move.whole_s, float(score), passed) for score in scores]
    return durations, preparations


def tonight(
    moves: Sequence[Expected], around: Surroundings, rng: np.random.Generator, count: int
) -> tuple[Floats, Floats]:
    """Draws of what the moves of tonight have in common (a standard score) and of the power by which their copies slow
    one another down, given those that are over.

    The error of each is sqrt(common) times the score, and the rest its own (Student's distribution, four degrees of
    freedom: one that stalled says little of the others). Both unknowns are weighed on a grid.

    >>> over = Expected("a", "p8a", "p8b", Quantiles(50.0, 100.0, 200.0), stage=Stage.ARRIVED, took_s=200.0)
    >>> means = [tonight([over] * n, Surroundings({}), np.random.default_rng(1), 500)[0].mean() for n in (0, 1, 4)]
    >>> bool(means[0] < means[1] < means[2])
    True
    """
    over = [move for move in moves if move.whole_s is not None and move.took_s]
    if not over:
        common, own = rng.standard_normal((2, count))
        return common, around.slowing.at(common, own)
    common, own = (grid.ravel() for grid in np.meshgrid(_COMMON, _POWER))
    powers = around.slowing.at(common, own)
    own_share = max(1 - around.common, _MIN_OWN)
    # Those that ran at the same time say much the same: so many count as one.
    repeated = 1 + (_SIDE - 1) * around.beside_common / own_share
    weight = -0.5 * (common**2 + own**2)
    for move in over:
        off = _scores_of(move, around.slowing, powers) - sqrt(around.common) * common
        weight -= 2.5 * np.log1p(off**2 / own_share / 4) / repeated
    shares = np.cumsum(np.exp(weight - weight.max()))
    chosen = np.searchsorted(shares / shares[-1], (np.arange(count) + rng.random(count)) / count).clip(0, len(own) - 1)
    rng.shuffle(chosen)
    common = common[chosen] + (rng.random(count) - 0.5) * (_COMMON[1] - _COMMON[0])
    return common, powers[chosen]


def _scores_of(move: Expected, slow: Slowing, powers: Floats) -> Floats:
    """The standard score of a move that is over, at each power: with the others beside it that it did have."""
    assert move.whole_s is not None
    assert move.took_s is not None
    others = move.beside if move.had_beside is None else move.had_beside
    slower = 1 + move.copy_share * ((slow.load(others) / slow.load(move.beside)) ** powers - 1)
    return np.array([_score(move.whole_s, move.took_s / float(factor)) for factor in slower])


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
        self._neighbours = [
            frozenset(
                number
                for number, other in enumerate(moves)
                if other is not move and {move.source, move.target} & {other.source, other.target}
            )
            for move in moves
        ]
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

    def carried_out(
        self, durations: Sequence[float], preparations: Sequence[float], power: float
    ) -> tuple[list[float], list[float]]:
        """Carry the plan out once: when each move is asked for and when it ends.

        ``power`` is that of `lpmkit.prediction.nights.Slowing`.
        A move that nothing lets begin (a frame that takes none) never does; its times are infinite.
        """
        state = _State(self._moves, durations, self._around, self._neighbours, power)
        while state.waiting:
            ready = next((number for number in state.waiting if self._may_begin(number, state)), None)
            if ready is not None:
                state.begin(ready, preparations[ready], durations[ready], self._pair(ready, state))
            elif not state.go_on():
                break
        while state.go_on():
            pass
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
    """One carrying out: the time, what is under way, and what has ended.

    A copy goes on at a rate that depends on what copies beside it; between two events no rate changes.
    """

    def __init__(
        self,
        moves: Sequence[Expected],
        durations: Sequence[float],
        around: Surroundings,
        neighbours: Sequence[frozenset[int]],
        power: float,
    ) -> None:
        self._moves, self._around, self._neighbours, self._power = moves, around, neighbours, power
        self._now = 0.0
        self.begins, self.ends = [float("inf")] * len(moves), [float("inf")] * len(moves)
        #: Moves that occupy frames, links and movers, with their movers.
        self.busy: dict[int, tuple[str, ...]] = {}
        self.watched: set[int] = set()
        self.arrived: set[int] = set()
        self.waiting: list[int] = []
        #: Moves that were asked for: the seconds left at their own rate, and by how much they are slower now.
        self._left: dict[int, float] = {}
        self._slower: dict[int, float] = {}
        self._events: list[tuple[float, _Event, int, float]] = []
        for number, move in enumerate(moves):
            if move.stage in (Stage.WAITING, Stage.PREPARING):
                self.waiting.append(number)
            elif move.stage is Stage.MOVING:
                self.begins[number] = move.baseline_left_s - move.since_s
                self._moving(number, move.baseline_left_s, durations[number], move.movers or (move.source, move.target))
            elif move.stage is Stage.WATCHING:
                self.watched.add(number)
                self.ends[number] = -move.since_s
                self._at(max(0.0, around.watched_s - move.since_s), _Event.WATCHED, number)
            elif move.stage is Stage.ARRIVED:
                self.arrived.add(number)
        # One that is being prepared comes first.
        self.waiting.sort(key=lambda number: moves[number].stage is not Stage.PREPARING)

    def begin(self, number: int, preparing_s: float, duration_s: float, movers: tuple[str, ...]) -> None:
        """Prepare a move, which takes the conductor's time, and ask for it after its baseline."""
        self.waiting.remove(number)
        self.busy[number] = movers
        self._until(self._now + preparing_s)
        self.begins[number] = self._now + self._around.baseline_s
        self._moving(number, self.begins[number], duration_s, movers)

    def go_on(self) -> bool:
        """Let time pass to the next end; false if nothing is under way."""
        before = len(self.watched), len(self.arrived)
        while (moment := self._next()) is not None:
            self._pass(moment)
            if (len(self.watched), len(self.arrived)) != before:
                return True
        return False

    def _moving(self, number: int, asked_s: float, duration_s: float, movers: tuple[str, ...]) -> None:
        self.busy[number] = movers
        self._at(asked_s, _Event.ASKED, number, duration_s)

    def _at(self, moment: float, event: _Event, number: int, duration_s: float = 0.0) -> None:
        heapq.heappush(self._events, (moment, event, number, duration_s))

    def _until(self, moment: float) -> None:
        """Let time pass, with everything that happens meanwhile."""
        while (earlier := self._next()) is not None and earlier <= moment:
            self._pass(earlier)
        self._advance(moment)

    def _next(self) -> float | None:
        """The time at which something happens next."""
        ends = [self._now + left * self._slower[number] for number, left in self._left.items()]
        if self._events:
            ends.append(self._events[0][0])
        return max(self._now, min(ends)) if ends else None

    def _advance(self, moment: float) -> None:
        passed = moment - self._now
        self._now = moment
        for number in self._left:
            self._left[number] -= passed / self._slower[number]

    def _pass(self, moment: float) -> None:
        """Go to a moment, and let happen what happens then."""
        self._advance(moment)
        ended = [number for number, left in self._left.items() if left <= 1e-9]
        for number in ended:
            del self._left[number], self.busy[number]
            self.ends[number] = moment
            self.watched.add(number)
            self._at(moment + self._around.watched_s, _Event.WATCHED, number)
        while self._events and self._events[0][0] <= moment:
            _, event, number, duration_s = heapq.heappop(self._events)
            if event is _Event.ASKED:
                self._left[number] = duration_s
                ended.append(number)
            else:
                self.watched.discard(number)
                self.arrived.add(number)
        if ended:
            self._slower = {number: self._slower_by(number) for number in self._left}

    def _slower_by(self, number: int) -> float:
        """The factor by which a move is slower now than it was expected to be."""
        move = self._moves[number]
        if not move.copy_share:
            return 1.0
        others = sum(self._moves[other].copy_share for other in self._left if other in self._neighbours[number])
        slow = self._around.slowing
        slower: float = (slow.load(others) / slow.load(move.beside)) ** self._power
        return 1 + move.copy_share * (slower - 1)


class _Event(IntEnum):
    """An event whose time is known in advance: the order after a baseline, the end of a recording."""

    ASKED = 0
    WATCHED = 1
