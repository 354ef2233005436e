"""What a move will take, said before it begins. Bytes, seconds, bytes per second.

`expectation` turns what is known of the partition and what past moves of the site showed into beliefs, `predict` plays the rounds with
a thousand guesses from them (`lpmkit.prediction.rounds`) and corrects the result by how far today's model would have been off for the most similar past moves.
During the move `lpmkit.prediction.forecast` renews the rest; `lpmkit.prediction.history` keeps what was said beside what happened, and reads it again as past moves.

Nothing here reads or writes anything. docs/prediction.md has the arithmetic and its limits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lpmkit.prediction.calibration import Held
from lpmkit.prediction.distributions import Belief, Expectation, Quantiles, Writing
from lpmkit.prediction.forecast import Fitted
from lpmkit.prediction.rounds import CopyRules, Courses, play

MB = 1e6
DRAWS = 1000
SEED = 20_240_229
#: So many past moves, those most like the one to come, correct it.
NEIGHBOURS = 5
#: From so many past moves on the interval is made of their errors, not of the model's guesses.
ENOUGH = 20
#: The newest past moves that are looked at.
MAX_HISTORY = 80
#: So many past moves whose paging was seen say how writing goes with it.
MIN_PAGED = 5
#: So many past copies say what a pass costs besides sending.
MIN_LAGS = 5
#: The figures that are predicted, as the fields of `Prediction` and `Actual` are called.
FIGURES = ("copy_s", "whole_s", "sent_bytes", "suspended_s")
#: What people call them.
LABELS = {"copy_s": "copy", "whole_s": "whole move", "sent_bytes": "bytes sent", "suspended_s": "suspension"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a move before it begins; ``None`` where nobody knows. ``movers`` names the pair of movers, in the direction of the move."""

    partition: str
    movers: str
    memory_bytes: float
    touched_bytes: float | None = None
    dirty_bytes_per_s: float | None = None
    writable_bytes: float | None = None
    link_bytes_per_s: float | None = None
    virtual_processors: int | None = None
    #: What the partition says is in use: touched memory lies between this and all of it.
    in_use_bytes: float | None = None
    #: Pages that came and went, in bytes a second: more of them is more writing, and no more is known of it.
    paging_bytes_per_s: float | None = None

    @property
    def bracket_bytes(self) -> float | None:
        """The middle of what is in use and all memory, by ratio."""
        return math.sqrt(min(self.in_use_bytes, self.memory_bytes) * self.memory_bytes) if self.in_use_bytes else None

    @property
    def known_bytes(self) -> float:
        """Touched memory where it is known or bracketed, all of it otherwise."""
        return self.touched_bytes or self.bracket_bytes or self.memory_bytes


#: A factor that follows from what is known of a move.
Scale = Callable[[Inputs], float]


@dataclass(frozen=True, slots=True)
class Actual:
    """What a move took; ``None`` where it was not seen."""

    copy_s: float | None = None
    whole_s: float | None = None
    sent_bytes: float | None = None
    suspended_s: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said before. ``stall`` is the probability that the copy does not get small enough; ``past_moves`` how many stood behind it."""

    copy_s: Quantiles
    whole_s: Quantiles
    sent_bytes: Quantiles
    suspended_s: Quantiles
    stall: float
    past_moves: int
    basis: str

    def sentence(self) -> str:
        """For people: in four of five cases between these bounds, if the model is right."""
        copy, still = self.copy_s, self.suspended_s
        text = f"copy {copy.p10:.0f} … {copy.p90:.0f} s, suspended {still.p10:.1f} … {still.p90:.1f} s (P10 … P90; {self.basis})"
        return text + (f"; it may not get through: {self.stall:.0%}" if self.stall >= 0.1 else "")

    def as_data(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_data(cls, kept: Mapping[str, Any]) -> Prediction:
        """What was kept with `as_data`."""
        figures = {name: Quantiles(**kept[name]) for name in FIGURES}
        return cls(**figures, stall=kept["stall"], past_moves=kept["past_moves"], basis=kept["basis"])


@dataclass(frozen=True, slots=True)
class ObservedMove:
    """A past move: what was known, what was said before and while it was copied (``held``), what happened and what its copy showed."""

    inputs: Inputs
    actual: Actual
    fitted: Fitted | None = None
    predicted: Prediction | None = None
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed where no past move says otherwise: wide, and for PowerVM partly guessed (docs/prediction.md says which).

    ``bandwidth_of_link`` and the like are factors on what the inputs give; they hold where the input is given.
    """

    touched_of_memory: Belief
    touched_of_known: Belief
    bandwidth: Belief
    bandwidth_of_link: Belief
    dirty: Belief
    dirty_of_known: Belief
    writable_of_touched: Belief
    writable_of_known: Belief
    stop_bytes: Belief
    fixed_s: Belief
    switch_bytes_per_s: Belief
    around_s: Belief
    residual_share: float
    rules: CopyRules


#: PowerVM resumes before the last page came: only a part of the rest goes over while the partition stands still.
POWERVM = Prior(
    touched_of_memory=Belief(0.85, 0.25),
    touched_of_known=Belief(1.0, 0.05),
    bandwidth=Belief(80 * MB, 0.6),
    bandwidth_of_link=Belief(0.8, 0.25),
    dirty=Belief(8 * MB, 1.3),
    dirty_of_known=Belief(1.0, 0.2),
    writable_of_touched=Belief(0.1, 0.9),
    writable_of_known=Belief(1.0, 0.4),
    stop_bytes=Belief(48 * MB, 0.8),
    fixed_s=Belief(1.2, 0.6),
    switch_bytes_per_s=Belief(100 * MB, 0.6),
    around_s=Belief(35.0, 0.6),
    residual_share=0.3,
    rules=CopyRules(),
)

#: How far figures lie apart where little is known of it yet (deviations of logarithms): over the site, and for one partition or one pair of movers.
OVER_SITE, OVER_ONE = 0.45, 0.08
MIN_SPREAD = 0.015


def pooled(prior: Belief, levels: Sequence[tuple[Sequence[float], float]]) -> Belief:
    """A belief after past figures, level by level from the widest (the site) to the narrowest (the same partition).

    Normal on the logarithm. A level is its figures, without those of the narrower ones, and how far figures of it lie apart. Each moves the
    belief to the median of its figures, the more the more there are; what remains is how far the figures of the narrowest level lie apart.

    >>> pooled(Belief(80.0, 0.6), [])
    Belief(median=80.0, spread=0.6)
    >>> round(pooled(Belief(80.0, 0.6), [([100.0, 101.0, 99.0], 0.08)]).median)
    100
    """
    middle, variance, apart = math.log(prior.median), prior.spread**2, 0.0
    for values, scatter in levels:
        known = [math.log(value) for value in values if value > 0]
        if known:
            # What the wider level says holds for its members only as well as they are alike.
            variance += apart
            apart = _scatter(known, scatter**2)
            # The median of n figures is as good as the mean of two thirds of them.
            precision = max(1.0, len(known) / 1.57) / apart
            middle = (middle / variance + float(np.median(known)) * precision) / (1 / variance + precision)
            variance = 1 / (1 / variance + precision)
    if not apart:
        return prior
    return Belief(math.exp(middle), min(math.sqrt(variance + apart), max(prior.spread, MIN_SPREAD)))


def _scatter(logarithms: Sequence[float], believed: float) -> float:
    """The variance within a level: believed while there are few figures, more and more their own."""
    middle, count = float(np.median(logarithms)), len(logarithms)
    own = (1.4826 * float(np.median(np.abs(np.asarray(logarithms) - middle)))) ** 2
    return max((3 * believed + (count - 1) * own) / (count + 2), MIN_SPREAD**2)


def expectation(inputs: Inputs, past: Sequence[ObservedMove], prior: Prior = POWERVM) -> Expectation:
    """What is believed of a move, from its inputs and past moves."""
    looked = [one for one in past if one.fitted is not None]

    def learn(belief: Belief, figure: str, given: str | Scale | None, *alike: str) -> Belief:
        """The belief about ``figure`` of `Fitted`, as a factor on the input ``given``; ``alike`` are the inputs that narrow it down."""

        def scale_of(known: Inputs) -> float:
            if given is None:
                return 1.0
            return float((given(known) if callable(given) else getattr(known, given)) or 0)

        scale = scale_of(inputs)
        values: list[list[float]] = [[] for _ in range(len(alike) + 1)]
        for one in looked:
            reference = scale_of(one.inputs)
            if reference > 0:
                depth = _depth(inputs, one.inputs, alike)
                values[depth].append(getattr(one.fitted, figure) / reference)
        apart = [OVER_SITE, *(OVER_ONE for _ in alike)]
        found = pooled(belief, list(zip(values, apart, strict=True)))
        return Belief(found.median * scale, found.spread)

    touched_belief, touched = _touched(inputs, prior)
    span = "writable_bytes" if inputs.writable_bytes else "known_bytes"
    link = "link_bytes_per_s" if inputs.link_bytes_per_s else None
    dirty: str | Scale = "dirty_bytes_per_s" if inputs.dirty_bytes_per_s else by_paging(looked)
    dirty_belief = prior.dirty_of_known if inputs.dirty_bytes_per_s else prior.dirty
    fixed, switch = _switch_over(inputs, looked, prior)
    around = [_around(one) for one in looked]
    lag_s, lag_per_pass_s, lag_error_s = _lag(looked)
    return Expectation(
        touched_bytes=learn(touched_belief, "touched_bytes", touched, "partition"),
        bytes_per_s=learn(
            prior.bandwidth_of_link if link else prior.bandwidth, "bytes_per_s", link, "movers", "partition"
        ),
        writing=Writing(
            _still(inputs, learn(dirty_belief, "dirty_bytes_per_s", dirty, "partition")),
            learn(
                prior.writable_of_known if inputs.writable_bytes else prior.writable_of_touched,
                "writable_bytes",
                span,
                "partition",
            ),
            _in_order(inputs, looked),
        ),
        stop_bytes=prior.stop_bytes,
        fixed_s=fixed,
        switch_bytes_per_s=switch,
        around_s=pooled(prior.around_s, [([value for value in around if value], OVER_SITE)]),
        residual_share=prior.residual_share,
        most_bytes=inputs.memory_bytes * 1.1,
        lag_s=lag_s,
        lag_per_pass_s=lag_per_pass_s,
        lag_error_s=lag_error_s,
        rules=prior.rules,
    )


def _touched(inputs: Inputs, prior: Prior) -> tuple[Belief, str]:
    """The belief in touched memory as a factor on an input, and which input. A bracket is taken for P10 and P90."""
    if inputs.touched_bytes:
        return prior.touched_of_known, "touched_bytes"
    if inputs.in_use_bytes:
        width = math.log(inputs.memory_bytes / min(inputs.in_use_bytes, inputs.memory_bytes))
        return Belief(1.0, max(width / 2.563, prior.touched_of_known.spread)), "bracket_bytes"
    return prior.touched_of_memory, "memory_bytes"


def by_paging(past: Sequence[ObservedMove]) -> Scale:
    """How the rate of writing went with the paging that was seen before past moves, as a factor; 1 where too little is known.

    The factor is the paging to a power: the median slope of all pairs of moves (Theil and Sen) on logarithms, from 0 to 1, times how much more pairs
    agree in their order than do not (Kendall). Five moves are the least; what goes up and down by chance gets a power near 0.
    """
    seen = [
        (math.log(one.inputs.paging_bytes_per_s + MB / 100), math.log(one.fitted.dirty_bytes_per_s))
        for one in past
        if one.fitted and one.inputs.paging_bytes_per_s is not None and one.fitted.dirty_bytes_per_s > 0
    ]
    pairs = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.combinations(seen, 2) if abs(b[0] - a[0]) > 0.05]
    if len(seen) < MIN_PAGED or not pairs:
        return lambda _: 1.0
    slope = min(1.0, max(0.0, float(np.median([up / along for along, up in pairs]))))
    agreed = float(np.mean([np.sign(along * up) for along, up in pairs]))
    power, middle = slope * max(0.0, agreed), float(np.median([along for along, _ in seen]))

    def factor(inputs: Inputs) -> float:
        if inputs.paging_bytes_per_s is None:
            return 1.0
        return math.exp(power * (math.log(inputs.paging_bytes_per_s + MB / 100) - middle))

    return factor


def _in_order(inputs: Inputs, past: Sequence[ObservedMove]) -> float:
    """How likely the partition goes through its writable set page by page, by its own past moves; even odds count as two."""
    own = [one.fitted.in_order for one in past if one.fitted and one.inputs.partition == inputs.partition]
    return (1.0 + sum(own)) / (2 + len(own))


def _depth(mine: Inputs, other: Inputs, alike: Sequence[str]) -> int:
    """In how many of the inputs ``alike``, one after the other, two moves agree."""
    for depth, name in enumerate(alike):
        if getattr(mine, name) != getattr(other, name):
            return depth
    return len(alike)


def _level(mine: Inputs, other: Inputs) -> int:
    if mine.partition == other.partition and mine.movers == other.movers:
        return 2
    return 1 if mine.movers == other.movers else 0


def _still(inputs: Inputs, belief: Belief) -> Belief:
    """A partition that is known to write nothing: any small figure will do."""
    return Belief(max(1.0, inputs.memory_bytes * 1e-5), 0.5) if inputs.dirty_bytes_per_s == 0 else belief


def _around(one: ObservedMove) -> float | None:
    actual = one.actual
    if actual.whole_s is None or actual.copy_s is None:
        return None
    return actual.whole_s - actual.copy_s - (actual.suspended_s or 0.0)


def _lag(past: Sequence[ObservedMove]) -> tuple[float, float, float]:
    """How much later than the rounds say past copies ended, in seconds: whatever they were like, for each pass that was to come, and how far what is left of
    it lies apart. Drawn towards none while there are few."""
    lags = np.array([(one.fitted.lag_s, one.fitted.lag_passes) for one in past if one.fitted]).reshape(-1, 2)
    if not len(lags):
        return 0.0, 0.0, 0.0
    drawn = len(lags) / (len(lags) + 2)
    first, second = np.triu_indices(len(lags), 1)
    more = lags[second, 1] - lags[first, 1]
    apart = np.abs(more) >= 1.0
    each = 0.0
    if len(lags) >= MIN_LAGS and apart.any():
        slopes = (lags[second, 0] - lags[first, 0])[apart] / more[apart]
        each = max(0.0, float(np.median(slopes))) * drawn
    left = lags[:, 0] - each * lags[:, 1]
    middle = float(np.median(left))
    return middle * drawn, each, 1.4826 * float(np.median(np.abs(left - middle)))


def _switch_over(inputs: Inputs, past: Sequence[ObservedMove], prior: Prior) -> tuple[Belief, Belief]:
    """The fixed part of the suspension and how fast the rest goes, such that past suspensions fit best: a grid of both, weighed by belief and past.

    Same partition and same movers weigh more than the others.
    """
    seen = [one for one in past if one.actual.suspended_s and one.fitted]
    if not seen:
        return prior.fixed_s, prior.switch_bytes_per_s
    steps = np.linspace(-3.0, 3.0, 49)
    fixed, switch = (grid.ravel() for grid in np.meshgrid(steps, steps))
    score = -0.5 * (fixed**2 + switch**2)
    fixed_s = prior.fixed_s.median * np.exp(fixed * prior.fixed_s.spread)
    speed = prior.switch_bytes_per_s.median * np.exp(switch * prior.switch_bytes_per_s.spread)
    for one in seen[-MAX_HISTORY:]:
        assert one.fitted is not None
        assert one.actual.suspended_s is not None
        said = fixed_s + prior.residual_share * one.fitted.last_left_bytes / speed
        off = np.log(one.actual.suspended_s / said) / 0.3
        score -= (0.3, 0.6, 1.0)[_level(inputs, one.inputs)] * 2.5 * np.log1p(off**2 / 4)
    weights = np.exp(score - score.max())
    return _belief(fixed_s, weights), _belief(speed, weights)


def _belief(values: Any, weights: Any) -> Belief:
    logarithms = np.log(values)
    middle = float(np.average(logarithms, weights=weights))
    spread = math.sqrt(float(np.average((logarithms - middle) ** 2, weights=weights)))
    return Belief(math.exp(middle), max(spread, 0.1))


def predict(
    inputs: Inputs, past: Sequence[ObservedMove] = (), prior: Prior = POWERVM, *, count: int = DRAWS, seed: int = SEED
) -> Prediction:
    """Say what a move will take. The same inputs, past and seed give the same words."""
    past = list(past)[-MAX_HISTORY:]
    expected = expectation(inputs, past, prior)
    draws = expected.draws(count, seed)
    courses = play(draws, expected.rules)
    plain = {name: Quantiles.of(getattr(courses, name)) for name in FIGURES}
    errors = replayed(past, prior)
    told = {name: _corrected(inputs, name, plain[name], errors) for name in FIGURES}
    usable = sum(one.actual.copy_s is not None for one in past)
    return Prediction(**told, stall=_stall(courses), past_moves=usable, basis=_basis(inputs, past, usable))


def _stall(courses: Courses) -> float:
    return float(1 - courses.converged.mean())


def _basis(inputs: Inputs, past: Sequence[ObservedMove], usable: int) -> str:
    if not usable:
        return "no past move: wide guesses"
    own = sum(_level(inputs, one.inputs) == 2 for one in past)
    made = "interval from their errors" if usable >= ENOUGH else "interval from the model"
    return f"{usable} past move{'s' * (usable != 1)}, {own} of this partition over these movers; {made}"


@dataclass(frozen=True, slots=True)
class Error:
    """How far today's model would have been off for one past move, had it not been known, by figure: the logarithm of actual over said, and how
    sure the model was (the deviation it claimed for it)."""

    inputs: Inputs
    logs: Mapping[str, float]
    spreads: Mapping[str, float]


def replayed(past: Sequence[ObservedMove], prior: Prior = POWERVM) -> list[Error]:
    """Predict every past move from the others. The corrections and the intervals are made of what comes out."""
    found = []
    for index, one in enumerate(past):
        others = [*past[:index], *past[index + 1 :]]
        expected = expectation(one.inputs, others, prior)
        courses = play(expected.draws(200, SEED + 1), expected.rules)
        logs, spreads = {}, {}
        for name in FIGURES:
            actual, said = getattr(one.actual, name), Quantiles.of(getattr(courses, name))
            if actual and said.p10 > 0:
                logs[name], spreads[name] = math.log(actual / said.p50), _spread(said)
        found.append(Error(one.inputs, logs, spreads))
    return found


def _spread(said: Quantiles) -> float:
    """The deviation of the logarithm that P10 to P90 stand for; never less than the scatter of equal moves."""
    return max(math.log(said.p90 / said.p10) / 2.563, MIN_SPREAD)


def _corrected(inputs: Inputs, figure: str, plain: Quantiles, errors: Sequence[Error]) -> Quantiles:
    """The plain figure times what similar past moves were off by, with an interval of the errors that were left once there are enough."""
    known = [error for error in errors if figure in error.logs]
    if len(known) < 3:
        return plain
    shift = _typical(inputs, figure, known)
    middle = plain.p50 * math.exp(shift)
    if len(known) < ENOUGH:
        return plain.scaled(math.exp(shift), math.exp(shift), math.exp(shift))
    left = sorted(
        (one.logs[figure] - _typical(one.inputs, figure, [other for other in known if other is not one]))
        / one.spreads[figure]
        for one in known
    )
    # In units of what the model claims, so that a move it is sure of gets a narrow interval.
    low, high = (bound * _spread(plain) for bound in conformal(left))
    return Quantiles(middle * math.exp(min(low, 0.0)), middle, middle * math.exp(max(high, 0.0)))


def conformal(errors: Sequence[float], outside: float = 0.1) -> tuple[float, float]:
    """The split-conformal bounds for the next error: ``outside`` of it beyond either, whatever the distribution is.

    >>> conformal([float(n) for n in range(1, 20)])
    (2.0, 18.0)
    """
    ordered, count = sorted(errors), len(errors)
    low = max(1, math.floor((count + 1) * outside + 1e-9))
    high = min(count, math.ceil((count + 1) * (1 - outside) - 1e-9))
    return ordered[low - 1], ordered[high - 1]


def _typical(inputs: Inputs, figure: str, errors: Sequence[Error]) -> float:
    """The median error of the most similar past moves; drawn towards none while there are few."""
    near = sorted(errors, key=lambda one: distance(inputs, one.inputs))[:NEIGHBOURS]
    return float(np.median([one.logs[figure] for one in near])) * len(near) / (len(near) + 1)


def distance(one: Inputs, other: Inputs) -> float:
    """How unlike two moves are: other partition, other movers, and the ratios of what is known of both.

    >>> distance(Inputs("a", "x>y", 1e9), Inputs("a", "x>y", 1e9))
    0.0
    """
    total = 0.5 * (one.partition != other.partition) + 0.5 * (one.movers != other.movers)
    total += abs(math.log(one.known_bytes / other.known_bytes))
    for name in ("dirty_bytes_per_s", "link_bytes_per_s", "writable_bytes", "paging_bytes_per_s"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None:
            total += abs(math.log((mine + 1 * MB) / (theirs + 1 * MB)))
    return total
