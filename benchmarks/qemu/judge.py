"""Predictions and forecasts held against moves that really happened, beside the emulator's own guess and percent drawn out in a line.

Every move is predicted from the other moves of the same run (*left out*: the move itself; *unseen*: all moves of the same cell). What is known
beforehand is what the operator of such a rig knows: memory, the limit of the bandwidth, the guest's rate of writing and how much it ever writes.
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
from lpmkit.prediction.prior import Actual, Inputs, ObservedMove, Prior, posterior, predict
from lpmkit.prediction.rounds import CopyRules

#: What QEMU is known to do: it stops once the rest fits into the limit, sends in slices of 0.1 s, and does not limit the final copy.
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
    """What is known of a move in this cell before it begins."""
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
    """The byte counters alone: lpmkit sees no more of a real move."""
    return [(poll.at_ns, poll.sent, poll.left) for poll in moved.polls]


def outcome(moved: Moved) -> ObservedMove:
    """A move of the rig as lpmkit keeps one."""
    wide = posterior(inputs(moved.cell), [], QEMU)
    end_ns = None if moved.copy_s is None else moved.asked_ns + int(moved.copy_s * 1e9)
    seen = fitted(readings(moved), wide, end_ns)
    over = moved.copy_s is not None
    whole = None if moved.copy_s is None or moved.suspended_s is None else moved.copy_s + moved.suspended_s
    actual = Actual(moved.copy_s, whole, seen.sent_bytes if seen and over else None, moved.suspended_s)
    return ObservedMove(inputs(moved.cell), actual, seen if over else None)


def judged(moves: Sequence[Moved], changed: Sequence[Moved] = ()) -> dict[str, Any]:
    """Every figure of the benchmark. ``changed`` are moves whose bandwidth was cut while they ran."""
    ended = [moved for moved in moves if moved.copy_s is not None]
    past = [outcome(moved) for moved in ended]
    left_out = [[*past[:n], *past[n + 1 :]] for n in range(len(past))]
    unseen = [[o for o, m in zip(past, ended, strict=True) if m.cell != moved.cell] for moved in ended]
    endless = [moved for moved in moves if moved.copy_s is None]
    held = [held_of(moved, known) for moved, known in zip(ended, left_out, strict=True)]
    held_out = [[*held[:n], *held[n + 1 :]] for n in range(len(held))]
    held_unseen = [[h for h, m in zip(held, ended, strict=True) if m.cell != moved.cell] for moved in ended]
    cut = [moved for moved in changed if moved.copy_s is not None]
    return {
        "moves": len(moves),
        "ended": len(ended),
        "copy_left_out": before(ended, left_out),
        "copy_unseen": before(ended, unseen),
        "copy_first_day": before(ended, [[] for _ in ended]),
        "suspension": suspension(ended, past, left_out),
        "remaining": during(ended, left_out, held_out),
        "remaining_unseen": during(ended, unseen, held_unseen),
        "remaining_cut": during(cut, [past] * len(cut), [held] * len(cut)),
        "warnings": warnings([*endless, *ended], past),
        "own_downtime_ms": spread(
            moved.own_downtime_ms - 1000 * moved.suspended_s
            for moved in ended
            if moved.own_downtime_ms and moved.suspended_s
        ),
    }


def spread(values: Iterable[float]) -> dict[str, float | int | None]:
    """How many, and their median, P90 and extremes."""
    known = np.array(list(values), float)
    if not len(known):
        return {"n": 0, "median": None, "p90": None, "least": None, "most": None}
    return {
        "n": len(known),
        "median": float(np.median(known)),
        "p90": float(np.quantile(known, 0.9)),
        "least": float(known.min()),
        "most": float(known.max()),
    }


def before(moves: Sequence[Moved], pasts: Sequence[Sequence[ObservedMove]]) -> dict[str, Any]:
    """The copy time said before the start."""
    rows = []
    for moved, past in zip(moves, pasts, strict=True):
        said = predict(inputs(moved.cell), past, QEMU).copy_s
        assert moved.copy_s is not None
        rows.append(
            (said.p50 / moved.copy_s - 1, said.p10 <= moved.copy_s <= said.p90, (said.p90 - said.p10) / said.p50)
        )
    return {
        "error": spread(abs(error) for error, _, _ in rows),
        "bias": spread(error for error, _, _ in rows)["median"],
        "covered": _share(inside for _, inside, _ in rows),
        "width": spread(width for _, _, width in rows)["median"],
    }


def _share(flags: Iterable[bool]) -> float | None:
    known = list(flags)
    return sum(known) / len(known) if known else None


def suspension(
    moves: Sequence[Moved], past: Sequence[ObservedMove], left_out: Sequence[Sequence[ObservedMove]]
) -> dict[str, Any]:
    """The suspension said before the start, in the order of the moves from the eleventh on, and left out; as factors, 1 is exact."""

    def factors(pasts: Sequence[Sequence[ObservedMove]], first: int) -> tuple[list[float], list[bool]]:
        found, covered = [], []
        for moved, known in list(zip(moves, pasts, strict=True))[first:]:
            said = predict(inputs(moved.cell), known, QEMU).suspended_s
            if moved.suspended_s:
                found.append(_factor(said.p50, moved.suspended_s))
                covered.append(said.p10 <= moved.suspended_s <= said.p90)
        return found, covered

    growing, inside = factors([past[:n] for n in range(len(past))], 10)
    out, inside_out = factors(left_out, 0)
    emulator = [
        _factor(poll.expected_downtime_ms / 1000, moved.suspended_s)
        for moved in moves
        for poll in moved.polls[-1:]
        if poll.expected_downtime_ms and moved.suspended_s
    ]
    return {
        "after_10": spread(growing),
        "after_10_covered": _share(inside),
        "left_out": spread(out),
        "left_out_covered": _share(inside_out),
        "emulator_last_guess": spread(emulator),
    }


def _factor(said: float, actual: float) -> float:
    return max(said / actual, actual / said)


#: With less than this left, QEMU's slices of 0.1 s are a tenth of it and more: an error as a part of the rest then says little, and seconds are told.
LITTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Rest:
    """One forecast and what was really left, in seconds; ``part`` of the copy was over. ``line_s`` is percent drawn out in a line."""

    said: Quantiles
    left_s: float
    line_s: float
    copy_s: float
    claimed: Quantiles

    @property
    def part(self) -> float:
        return 1 - self.left_s / self.copy_s

    def inside(self, said: Quantiles) -> bool:
        return said.p10 <= self.left_s <= said.p90


def during(
    moves: Sequence[Moved], pasts: Sequence[Sequence[ObservedMove]], helds: Sequence[Sequence[Sequence[PastForecast]]]
) -> dict[str, Any]:
    """The rest of the copy as said from half-way on. ``helds`` are the forecasts of the past copies that each may know."""
    every: list[list[Rest]] = []
    for moved, past, held in zip(moves, pasts, helds, strict=True):
        every.append(_rests(moved, posterior(inputs(moved.cell), past, QEMU), Calibration(held)))
    half = [[one for one in rests if one.part >= 0.5][:1] for rests in every]
    later = [[one for one in rests if 0.5 <= one.part <= 0.9] for rests in every]
    return {
        "at_half": _rest_figures(half),
        "from_half": _rest_figures(later),
        "from_half_much": _rest_figures([[one for one in rests if one.left_s >= LITTLE_S] for rests in later]),
        "from_half_little": _rest_figures([[one for one in rests if one.left_s < LITTLE_S] for rests in later]),
    }


def _rest_figures(rests: Sequence[Sequence[Rest]]) -> dict[str, Any]:
    """The figures over all forecasts; what was held is counted by copy, so that a long one has no more votes than a short one."""
    flat = [one for each in rests for one in each]
    return {
        "of_rest": spread(abs(one.said.p50 / one.left_s - 1) for one in flat),
        "of_copy": spread(abs(one.said.p50 - one.left_s) / one.copy_s for one in flat),
        "seconds": spread(abs(one.said.p50 - one.left_s) for one in flat),
        "covered": _share(one.inside(one.said) for one in flat),
        "covered_by_copy": _mean(_share(one.inside(one.said) for one in each) for each in rests),
        "covered_as_claimed": _share(one.inside(one.claimed) for one in flat),
        "width": spread((one.said.p90 - one.said.p10) / one.left_s for one in flat)["median"],
        "line_of_rest": spread(abs(one.line_s / one.left_s - 1) for one in flat),
        "line_of_copy": spread(abs(one.line_s - one.left_s) / one.copy_s for one in flat),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


#: A forecast is made so often, from a tenth of the copy on, as long as a twentieth of it is left.
EVERY_S, FIRST_PART, LAST_PART = 0.25, 0.1, 0.95


def _rests(moved: Moved, expected: MoveDistribution, calibration: Calibration) -> list[Rest]:
    """The forecasts of one move."""
    assert moved.copy_s is not None
    seen, found, next_s = readings(moved), list[Rest](), FIRST_PART * moved.copy_s
    for number, (at_ns, sent, left) in enumerate(seen):
        gone_s = (at_ns - moved.asked_ns) / 1e9
        rest_s = moved.copy_s - gone_s
        if gone_s < next_s or rest_s < (1 - LAST_PART) * moved.copy_s or not sent:
            continue
        next_s = gone_s + EVERY_S
        said = forecast(seen[: number + 1], expected)
        if said is not None:
            told = said.calibrated(calibration)
            line_s = gone_s * (left or 0) / sent
            found.append(Rest(told.remaining_s, rest_s, line_s, moved.copy_s, said.claimed))
    return found


def held_of(moved: Moved, past: Sequence[ObservedMove]) -> list[PastForecast]:
    """The forecasts of one move as a later one knows them."""
    rests = _rests(moved, posterior(inputs(moved.cell), past, QEMU), Calibration(()))
    return [
        PastForecast(elapsed_share(one.copy_s - one.left_s, one.claimed.p50), one.claimed, one.left_s) for one in rests
    ]


def warnings(moves: Sequence[Moved], past: Sequence[ObservedMove]) -> dict[str, Any]:
    """When it was said that a copy will not converge: for those that did not, and wrongly for those that did."""
    said, wrong, ended, endless = [], 0, 0, 0
    for moved in moves:
        expected = posterior(inputs(moved.cell), [one for one in past if one.inputs != inputs(moved.cell)], QEMU)
        at_s = _warned_s(moved, expected)
        if moved.copy_s is None:
            endless += 1
            said += [at_s] if at_s is not None else []
        else:
            ended += 1
            wrong += at_s is not None
    return {"endless": endless, "warned": len(said), "after_s": spread(said), "ended": ended, "warned_wrongly": wrong}


def _warned_s(moved: Moved, expected: MoveDistribution) -> float | None:
    seen = readings(moved)
    for number in range(4, len(seen), 5):
        said = forecast(seen[:number], expected)
        if said is not None and said.will_not_converge:
            return (seen[number - 1][0] - moved.asked_ns) / 1e9
    return None
