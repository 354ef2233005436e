"""Forecasts of whole plans held against what came:
``python -m benchmarks.forecasts [--sites 30] [--nights 6] [--kind other]``.

Each site (`benchmarks.nights`) empties a frame into one to three others, brings everything home the next night, empties
another, and so on. Before each night, and when half of its moves are over, lpmkit forecasts begin and end of every move
and of the plan from what it knows by then: the partitions as surveyed, and the moves of the nights before as its
recorders would have kept them. Writes ``benchmarks/results/forecasts.json`` and ``.md`` (``forecasts_other`` of the
other kind of truth).
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nights import BASELINE_S, KINDS, Copy, Instant, Moved, Site, night, pairs_of, site
from lpmkit.plan import MOVER_TAKES, Limits, MovePlan, PlannedMove
from lpmkit.plan.outlook import beside_now, beside_then, preparing_of, with_duration
from lpmkit.plan.schedule import Stage
from lpmkit.plan.timetable import Expected, Surroundings, Timetable, timetable
from lpmkit.prediction.calibration import Calibration
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.forecast import forecast
from lpmkit.prediction.history import Forecaster, StoredPrediction, completed, held, wilson
from lpmkit.prediction.moves import Inputs, ObservedMove
from lpmkit.prediction.nights import slowing, with_beside
from lpmkit.prediction.predicting import common_shares, predict
from lpmkit.prediction.prior import MAX_HISTORY, posterior

RESULTS = Path(__file__).parent / "results"
DAY_NS = 86_400 * 10**9
#: Forecasts during one copy, at most one in ten seconds; a recorder makes one every two.
FORECASTS = 20
#: Groups of nights by the number of past moves that the forecast had.
PAST = ((0, 0), (1, 19), (20, 10**9))


@dataclass(frozen=True, slots=True)
class Told:
    """A forecast beside the outcome, in seconds from the moment when it was made."""

    seed: int
    past: int
    what: str  #: "plan", "move", or "window": a plan started at its last safe start, ``p90`` is the end of the window
    when: str  #: "before" or "half-way"
    p10: float
    p50: float
    p90: float
    actual: float


def inputs_of(truth: Site, name: str, source: str, target: str) -> Inputs:
    """The facts of a partition that a survey finds."""
    partition = truth.partitions[name]
    return Inputs(name, f"{source} to {target}", partition.memory, in_use_bytes=partition.in_use)


def nights_of(seed: int, count: int, kind: str) -> list[Told]:
    """The forecasts of the nights of one site."""
    truth, rng = site(seed, kind), np.random.default_rng([seed, 2])
    names = list(truth.frames)
    past: list[ObservedMove] = []
    prepared: list[float] = []
    told: list[Told] = []
    away: list[tuple[str, str]] = []
    for number in range(count):
        if away:
            order, away = away, []
        else:
            source = str(rng.choice(names))
            targets = [name for name in names if name != source]
            targets = list(rng.choice(targets, int(rng.integers(1, 4)), replace=False))
            leaving = [one for one in truth.partitions.values() if one.frame == source]
            leaving.sort(key=lambda one: -one.memory)  # the largest copies first, as `plan make` orders them
            order = [(one.name, str(targets[at % len(targets)])) for at, one in enumerate(leaving)]
            away = [(one.name, source) for one in leaving]
        told += _one_night(truth, seed, number, order, past, prepared)
    return told


def _one_night(
    truth: Site, seed: int, number: int, order: list[tuple[str, str]], past: list[ObservedMove], prepared: list[float]
) -> list[Told]:
    """Forecast and play one night; what came is added to ``past`` and ``prepared``."""
    sources = {name: truth.partitions[name].frame for name, _ in order}
    plan = MovePlan(
        limits=Limits(link=truth.takes),
        moves=tuple(PlannedMove(partition=name, target=target) for name, target in order),
    )
    common = common_shares(past)
    around = Surroundings(
        truth.frames,
        {f"{frame}-vios{which}": MOVER_TAKES for frame in truth.frames for which in (1, 2)},
        baseline_s=BASELINE_S,
        watched_s=BASELINE_S,
        preparing_s=preparing_of(prepared),
        slowing=slowing(past[-MAX_HISTORY:]),
        common=common.night,
        beside_common=common.beside,
    )
    known = {name: inputs_of(truth, name, sources[name], target) for name, target in order}
    expected = [
        with_duration(
            Expected(name, sources[name], target, None, pairs=pairs_of(sources[name], target)), known[name], past
        )
        for name, target in order
    ]
    before = timetable(plan, expected, around)
    standing: list[tuple[Instant, Timetable]] = []

    def look(instant: Instant) -> None:
        now = [_as_it_is(one, instant, known[one.partition], past) for one in expected]
        standing.append((instant, timetable(plan, beside_now(beside_then(now, _spans(instant))), around)))

    moved = night(truth, order, (seed, 3, number), look, (len(order) // 2,))
    told = _held(seed, len(past), "before", before, moved, 0.0)
    for instant, table in standing:
        told += _held(seed, len(past), "half-way", table, moved, instant.at_s)
    seen = [_observed(known[one.partition], one, past, number) for one in moved]
    past += with_beside(seen)
    prepared += [one.prepared_s for one in moved]
    return told


def _as_it_is(one: Expected, instant: Instant, known: Inputs, past: Sequence[ObservedMove]) -> Expected:
    """A move at half-time, as the plan's folder has it: with the forecast of its recorder once it copies."""
    moved = next((moved for moved in instant.moved if moved.partition == one.partition), None)
    if moved is not None:
        return replace(one, stage=Stage.ARRIVED, took_s=moved.ended_s - moved.asked_s)
    if one.partition == instant.preparing:
        return replace(one, stage=Stage.PREPARING, since_s=instant.prepared_s)
    copy = next((copy for copy in instant.under_way if copy.partition.name == one.partition), None)
    if copy is None:
        return one
    movers = copy.way.movers
    if instant.at_s < copy.asked_s:
        return replace(one, stage=Stage.MOVING, movers=movers, baseline_left_s=copy.asked_s - instant.at_s)
    return _copying(replace(one, stage=Stage.MOVING, movers=movers), copy, instant, known, past)


def _spans(instant: Instant) -> dict[str, tuple[float, float]]:
    over = {moved.partition: (moved.asked_s, moved.ended_s) for moved in instant.moved}
    under_way = {copy.partition.name: (copy.asked_s, instant.at_s) for copy in instant.under_way}
    return {name: span for name, span in {**over, **under_way}.items() if span[0] < instant.at_s}


def _copying(one: Expected, copy: Copy, instant: Instant, known: Inputs, past: Sequence[ObservedMove]) -> Expected:
    renewed = None
    if len(copy.readings) > 2:
        renewed = forecast(copy.readings, posterior(known, past))
    if renewed is not None:
        renewed = renewed.calibrated(Calibration([one.held for one in past]))
    if renewed is None:
        return replace(one, since_s=instant.at_s - copy.asked_s)
    since_s = instant.at_s - copy.readings[-1][0] / 1e9
    copy_share = min(1.0, renewed.remaining_s.p50 / renewed.whole_s.p50)
    return replace(one, whole_s=renewed.whole_s, since_s=since_s, copy_share=copy_share, is_seen=True)


def _held(seed: int, past: int, when: str, table: Timetable, moved: Sequence[Moved], zero_s: float) -> list[Told]:
    ends = {one.partition: one.ended_s - zero_s for one in moved}

    def row(what: str, said: Quantiles, actual: float) -> Told:
        return Told(seed, past, what, when, said.p10, said.p50, said.p90, actual)

    assert table.end_s is not None
    rows = [row("move", times.end_s, ends[times.partition]) for times in table.moves]
    last = max(ends.values())
    window_s = max(times.end_s.p90 for times in table.moves)  # as `Outlook.last_safe_start_ns` counts back from it
    window = row("window", Quantiles(0.0, table.end_s.p50, window_s), last)
    return [*rows, row("plan", table.end_s, last), window]


def _observed(known: Inputs, moved: Moved, past: Sequence[ObservedMove], number: int) -> ObservedMove:
    """The part of a move that its recorder keeps, with its forecasts during the copy."""
    forecaster = Forecaster(
        posterior(known, past), max(10.0, moved.copy_s / FORECASTS), Calibration([one.held for one in past])
    )
    for reading in moved.readings:
        forecaster.note(*reading)
    stored = completed(StoredPrediction(known, predict(known, past)), forecaster, moved.ended_s - moved.asked_s)
    return ObservedMove(
        known,
        replace(stored.actual, suspended_s=moved.suspended_s),
        stored.fitted,
        held=held(stored),
        began_ns=int((number + 1) * DAY_NS + moved.began_s * 1e9),
    )


def summary(told: Sequence[Told]) -> list[dict[str, Any]]:
    """Coverage, error and width by what was forecast, when, and from how many past moves."""
    rows = []
    for what, when in (*itertools.product(("plan", "move"), ("before", "half-way")), ("window", "before")):
        for least, most in (*PAST, (0, 10**9)):
            some = [one for one in told if (one.what, one.when) == (what, when) and least <= one.past <= most]
            if some:
                rows.append({"what": what, "when": when, "past": [least, most], **_figures(some)})
    return rows


def _figures(some: Sequence[Told]) -> dict[str, Any]:
    inside = float(np.mean([one.p10 <= one.actual <= one.p90 for one in some]))
    # The forecasts of one site are not independent: the uncertainty is that of the sites' means.
    by_site: dict[int, list[bool]] = {}
    for one in some:
        by_site.setdefault(one.seed, []).append(one.p10 <= one.actual <= one.p90)
    means = [float(np.mean(held)) for held in by_site.values()]
    return {
        "count": len(some),
        "inside": inside,
        "inside ±": 1.96 * float(np.std(means, ddof=1)) / len(means) ** 0.5 if len(means) > 1 else None,
        "inside, Wilson": wilson(inside, len(some)),
        "below P10": float(np.mean([one.actual < one.p10 for one in some])),
        "above P90": float(np.mean([one.actual > one.p90 for one in some])),
        "median error of P50": float(np.median([abs(one.p50 / one.actual - 1) for one in some])),
        "P50 within 10 %": float(np.mean([abs(one.p50 / one.actual - 1) <= 0.1 for one in some])),
        "median of P50 over actual": float(np.median([one.p50 / one.actual for one in some])),
        "width": float(np.median([(one.p90 - one.p10) / one.actual for one in some])),
    }


def markdown(rows: Sequence[dict[str, Any]], sites: int, nights: int, first_seed: int, kind: str) -> str:
    """The table for people."""
    options = f"--sites {sites} --nights {nights} --seed {first_seed} --kind {kind}"
    lines = [
        f"<!-- made by: python -m benchmarks.forecasts {options} -->",
        "# Forecasts of plans held against what came",
        "",
        f"{sites} sites that are not there, {nights} nights each.",
        "The interval claims 80 %. ± is the 95 % uncertainty of the share, from the scatter between sites.",
        "",
        "| end of | forecast | past moves | forecasts | between P10 and P90 | below P10 / above P90 | "
        "median error of P50 | P50 within 10 % | P50 / actual | width of P10–P90 / actual |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in (row for row in rows if row["what"] != "window"):
        spread = "" if row["inside ±"] is None else f" ± {row['inside ±']:.1%}"
        lines.append(
            f"| {row['what']} | {row['when']} | {_past(row)} | {row['count']} | {row['inside']:.1%}{spread} | "
            f"{row['below P10']:.1%} / {row['above P90']:.1%} | {row['median error of P50']:.1%} | "
            f"{row['P50 within 10 %']:.0%} | {row['median of P50 over actual']:.2f} | {row['width']:.0%} |"
        )
    lines += ["", "Plans that would have overrun a window if started at its last safe start (10 % are claimed):", ""]
    lines += [
        f"- {_past(row)} past moves: {row['above P90']:.1%} of {row['count']}"
        for row in rows
        if row["what"] == "window"
    ]
    return "\n".join([*lines, ""])


def _past(row: dict[str, Any]) -> str:
    least, most = row["past"]
    if (least, most) == (0, 10**9):
        return "all"
    return str(least) if least == most else f"{least} to {most}" if most < 10**9 else f"{least} and more"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasts", description=__doc__)
    parser.add_argument("--sites", type=int, default=30)
    parser.add_argument("--nights", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(KINDS), default="shared", help="how the truth works")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    told: list[Told] = []
    options.results.mkdir(parents=True, exist_ok=True)
    for number in range(1, options.sites + 1):
        told += nights_of(options.seed + number - 1, options.nights, options.kind)
        rows = summary(told)
        table = markdown(rows, number, options.nights, options.seed, options.kind)
        name = "forecasts" if options.kind == "shared" else f"forecasts_{options.kind}"
        (options.results / f"{name}.json").write_text(json.dumps(rows, indent=1))
        (options.results / f"{name}.md").write_text(table)
        print(f"{number} of {options.sites} sites", flush=True)
    print(table)


if __name__ == "__main__":
    main()
