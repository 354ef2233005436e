"""Predictions and forecasts compared with real moves, beside the emulator's own estimate and linear extrapolation of
percent.

Every move is predicted from the other moves of the same run (*left out*: the move itself; *unseen*: all moves of
the same cell). The inputs are those that the operator of such a rig has: memory, bandwidth limit, dirty rate and
writable set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.qemu.moves import DOWNTIME_LIMIT_MS, Cell, Moved
from lpmkit.prediction.calibration import Calibration, PastForecast, elapsed_share
from lpmkit.prediction.distributions import LogNormal, MoveDistribution, Quantiles
from lpmkit.prediction.forecast import fitted, forecast
from lpmkit.prediction.moves import Actual, Inputs, ObservedMove
from lpmkit.prediction.predicting import predict
from lpmkit.prediction.prior import Prior, posterior
from lpmkit.prediction.rounds import CopyRules

#: QEMU stops once the rest fits into the limit, sends in slices of 0.1 s, and does not limit the final copy.
QEMU = Prior(
    touched_of_memory=LogNormal(1.0, 0.01),
    touched_of_known=LogNormal(1.0, 0.01),
    bandwidth=LogNormal(100e6, 0.6),
    bandwidth_of_link=LogNormal(1.0, 0.04),
    dirty=LogNormal(50e6, 1.0),
    dirty_of_known=LogNormal(1.0, 0.15),
    writable_of_touched=LogNormal(0.5, 0.5),
    writable_of_known=LogNormal(1.2, 0.35),
    stop_bytes=LogNormal(1.0, 0.1),
    fixed_s=LogNormal(0.01, 0.7),
    switch_bytes_per_s=LogNormal(1e9, 0.8),
    around_s=LogNormal(0.1, 0.5),
    residual_share=1.0,
    rules=CopyRules(stop_s=DOWNTIME_LIMIT_MS / 1000, pass_ends_s=DOWNTIME_LIMIT_MS / 1000 - 0.05, max_passes=80),
)

Readings = list[tuple[int, int | None, int | None]]


def inputs(cell: Cell) -> Inputs:
    """Inputs of a move in this cell."""
    order = "random" if cell.random else "in order"
    return Inputs(
        partition=f"{cell.share:g} of {cell.span_bytes} {order}",
        movers=f"{cell.accelerator} {cell.cap_bytes_per_s:g}",
        memory_bytes=cell.memory_bytes,
        dirty_bytes_per_s=cell.guest.dirty_bytes_per_s,
        writable_bytes=cell.span_bytes,
        link_bytes_per_s=cell.cap_bytes_per_s,
    )


def readings(moved: Moved) -> Readings:
    """The byte counters: lpmkit sees no more of a real move."""
    return [(poll.at_ns, poll.sent, poll.left) for poll in moved.polls]


def outcome(moved: Moved) -> ObservedMove:
    """A move of the rig as a past move."""
    wide = posterior(inputs(moved.cell), [], QEMU)
    end_ns = None if moved.copy_s is None else moved.asked_ns + int(moved.copy_s * 1e9)
    figures = fitted(readings(moved), wide, end_ns)
    has_ended = moved.copy_s is not None
    whole_s = None if moved.copy_s is None or moved.suspended_s is None else moved.copy_s + moved.suspended_s
    actual = Actual(moved.copy_s, whole_s, figures.sent_bytes if figures and has_ended else None, moved.suspended_s)
    return ObservedMove(inputs(moved.cell), actual, figures if has_ended else None)


def judged(moves: Sequence[Moved], changed: Sequence[Moved] = ()) -> dict[str, Any]:
    """Every figure of the benchmark. ``changed`` are moves whose bandwidth was cut while they ran."""
    ended = [moved for moved in moves if moved.copy_s is not None]
    past = [outcome(moved) for moved in ended]
    left_out = [[*past[:n], *past[n + 1 :]] for n in range(len(past))]
    unseen = [[move for move, other in zip(past, ended, strict=True) if other.cell != moved.cell] for moved in ended]
    endless = [moved for moved in moves if moved.copy_s is None]
    forecasts = [held_of(moved, past_moves) for moved, past_moves in zip(ended, left_out, strict=True)]
    forecasts_left_out = [[*forecasts[:n], *forecasts[n + 1 :]] for n in range(len(forecasts))]
    forecasts_unseen = [
        [h for h, other in zip(forecasts, ended, strict=True) if other.cell != moved.cell] for moved in ended
    ]
    cut_moves = [moved for moved in changed if moved.copy_s is not None]
    return {
        "moves": len(moves),
        "ended": len(ended),
        "copy_left_out": before(ended, left_out),
        "copy_unseen": before(ended, unseen),
        "copy_first_day": before(ended, [[] for _ in ended]),
        "suspension": suspension(ended, past, left_out),
        "remaining": during(ended, left_out, forecasts_left_out),
        "remaining_unseen": during(ended, unseen, forecasts_unseen),
        "remaining_cut": during(cut_moves, [past] * len(cut_moves), [forecasts] * len(cut_moves)),
        "warnings": warnings([*endless, *ended], past),
        "own_downtime_ms": spread(
            moved.own_downtime_ms - 1000 * moved.suspended_s
            for moved in ended
            if moved.own_downtime_ms and moved.suspended_s
        ),
    }


def spread(values: Iterable[float]) -> dict[str, float | int | None]:
    """Count, median, P90 and extremes."""
    samples = np.array(list(values), float)
    if not len(samples):
        return {"n": 0, "median": None, "p90": None, "least": None, "most": None}
    return {
        "n": len(samples),
        "median": float(np.median(samples)),
        "p90": float(np.quantile(samples, 0.9)),
        "least": float(samples.min()),
        "most": float(samples.max()),
    }


def before(moves: Sequence[Moved], pasts: Sequence[Sequence[ObservedMove]]) -> dict[str, Any]:
    """Copy time predicted before the start."""
    rows = []
    for moved, past in zip(moves, pasts, strict=True):
        predicted = predict(inputs(moved.cell), past, QEMU).copy_s
        assert moved.copy_s is not None
        rows.append(
            (
                predicted.p50 / moved.copy_s - 1,
                predicted.p10 <= moved.copy_s <= predicted.p90,
                (predicted.p90 - predicted.p10) / predicted.p50,
            )
        )
    return {
        "error": spread(abs(error) for error, _, _ in rows),
        "bias": spread(error for error, _, _ in rows)["median"],
        "covered": _share(inside for _, inside, _ in rows),
        "width": spread(width for _, _, width in rows)["median"],
    }


def _share(flags: Iterable[bool]) -> float | None:
    values = list(flags)
    return sum(values) / len(values) if values else None


def suspension(
    moves: Sequence[Moved], past: Sequence[ObservedMove], left_out: Sequence[Sequence[ObservedMove]]
) -> dict[str, Any]:
    """Suspension predicted before the start, as factors (1 is exact).

    In the order of the moves from the eleventh on, and left out.
    """

    def factors(pasts: Sequence[Sequence[ObservedMove]], first: int) -> tuple[list[float], list[bool]]:
        errors, covered = [], []
        for moved, past_moves in list(zip(moves, pasts, strict=True))[first:]:
            predicted = predict(inputs(moved.cell), past_moves, QEMU).suspended_s
            if moved.suspended_s:
                errors.append(_factor(predicted.p50, moved.suspended_s))
                covered.append(predicted.p10 <= moved.suspended_s <= predicted.p90)
        return errors, covered

    growing, covered_growing = factors([past[:n] for n in range(len(past))], 10)
    errors_left_out, covered_left_out = factors(left_out, 0)
    emulator = [
        _factor(poll.expected_downtime_ms / 1000, moved.suspended_s)
        for moved in moves
        for poll in moved.polls[-1:]
        if poll.expected_downtime_ms and moved.suspended_s
    ]
    return {
        "after_10": spread(growing),
        "after_10_covered": _share(covered_growing),
        "left_out": spread(errors_left_out),
        "left_out_covered": _share(covered_left_out),
        "emulator_last_guess": spread(emulator),
    }


def _factor(predicted: float, actual: float) -> float:
    return max(predicted / actual, actual / predicted)


#: Below this rest, QEMU's slices of 0.1 s are a tenth of it or more: relative errors mean little, seconds are reported.
LITTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Rest:
    """One forecast and the actual rest, in seconds; ``line_s`` is linear extrapolation of percent."""

    said: Quantiles
    left_s: float
    line_s: float
    copy_s: float
    claimed: Quantiles

    @property
    def part(self) -> float:
        """Elapsed share of the copy."""
        return 1 - self.left_s / self.copy_s

    def inside(self, interval: Quantiles) -> bool:
        """True if the interval covers the actual rest."""
        return interval.p10 <= self.left_s <= interval.p90


def during(
    moves: Sequence[Moved],
    pasts: Sequence[Sequence[ObservedMove]],
    forecasts: Sequence[Sequence[Sequence[PastForecast]]],
) -> dict[str, Any]:
    """Forecasts of the rest from half-way on. ``forecasts`` are those of the past copies that each move may know."""
    every: list[list[Rest]] = []
    for moved, past, past_forecasts in zip(moves, pasts, forecasts, strict=True):
        every.append(_rests(moved, posterior(inputs(moved.cell), past, QEMU), Calibration(past_forecasts)))
    half = [[rest for rest in rests if rest.part >= 0.5][:1] for rests in every]
    later = [[rest for rest in rests if 0.5 <= rest.part <= 0.9] for rests in every]
    return {
        "at_half": _rest_figures(half),
        "from_half": _rest_figures(later),
        "from_half_much": _rest_figures([[rest for rest in rests if rest.left_s >= LITTLE_S] for rests in later]),
        "from_half_little": _rest_figures([[rest for rest in rests if rest.left_s < LITTLE_S] for rests in later]),
    }


def _rest_figures(rests: Sequence[Sequence[Rest]]) -> dict[str, Any]:
    """Figures over all forecasts; coverage is also averaged by copy, so that a long copy has one vote."""
    flat = [rest for move_rests in rests for rest in move_rests]
    return {
        "of_rest": spread(abs(rest.said.p50 / rest.left_s - 1) for rest in flat),
        "of_copy": spread(abs(rest.said.p50 - rest.left_s) / rest.copy_s for rest in flat),
        "seconds": spread(abs(rest.said.p50 - rest.left_s) for rest in flat),
        "covered": _share(rest.inside(rest.said) for rest in flat),
        "covered_by_copy": _mean(_share(rest.inside(rest.said) for rest in move_rests) for move_rests in rests),
        "covered_as_claimed": _share(rest.inside(rest.claimed) for rest in flat),
        "width": spread((rest.said.p90 - rest.said.p10) / rest.left_s for rest in flat)["median"],
        "line_of_rest": spread(abs(rest.line_s / rest.left_s - 1) for rest in flat),
        "line_of_copy": spread(abs(rest.line_s - rest.left_s) / rest.copy_s for rest in flat),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


#: Interval of forecasts in seconds, and the shares of the copy between which they are made.
EVERY_S, FIRST_PART, LAST_PART = 0.25, 0.1, 0.95


def _rests(moved: Moved, expected: MoveDistribution, calibration: Calibration) -> list[Rest]:
    """The forecasts of one move."""
    assert moved.copy_s is not None
    series, rests, next_s = readings(moved), list[Rest](), FIRST_PART * moved.copy_s
    for number, (at_ns, sent, unsent) in enumerate(series):
        elapsed_s = (at_ns - moved.asked_ns) / 1e9
        rest_s = moved.copy_s - elapsed_s
        if elapsed_s < next_s or rest_s < (1 - LAST_PART) * moved.copy_s or not sent:
            continue
        next_s = elapsed_s + EVERY_S
        issued = forecast(series[: number + 1], expected)
        if issued is not None:
            calibrated = issued.calibrated(calibration)
            line_s = elapsed_s * (unsent or 0) / sent
            rests.append(Rest(calibrated.remaining_s, rest_s, line_s, moved.copy_s, issued.claimed))
    return rests


def held_of(moved: Moved, past: Sequence[ObservedMove]) -> list[PastForecast]:
    """The forecasts of one move as a later one knows them."""
    rests = _rests(moved, posterior(inputs(moved.cell), past, QEMU), Calibration(()))
    return [
        PastForecast(elapsed_share(rest.copy_s - rest.left_s, rest.claimed.p50), rest.claimed, rest.left_s)
        for rest in rests
    ]


def warnings(moves: Sequence[Moved], past: Sequence[ObservedMove]) -> dict[str, Any]:
    """Warnings that a copy will not converge: for those that did not, and wrong ones."""
    warned, wrong, ended, endless = [], 0, 0, 0
    for moved in moves:
        expected = posterior(inputs(moved.cell), [move for move in past if move.inputs != inputs(moved.cell)], QEMU)
        at_s = _warned_s(moved, expected)
        if moved.copy_s is None:
            endless += 1
            warned += [at_s] if at_s is not None else []
        else:
            ended += 1
            wrong += at_s is not None
    return {
        "endless": endless,
        "warned": len(warned),
        "after_s": spread(warned),
        "ended": ended,
        "warned_wrongly": wrong,
    }


def _warned_s(moved: Moved, expected: MoveDistribution) -> float | None:
    series = readings(moved)
    for number in range(4, len(series), 5):
        issued = forecast(series[:number], expected)
        if issued is not None and issued.will_not_converge:
            return (series[number - 1][0] - moved.asked_ns) / 1e9
    return None
