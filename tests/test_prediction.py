"""Prediction: the rounds, the reading of the counters, learning from past moves, and the documents."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from lpmkit.prediction.distributions import LogNormal, MoveDistribution, Quantiles, WriteDistribution, pooled
from lpmkit.prediction.effects import FIRST_DAY
from lpmkit.prediction.forecast import Counting, copy_state, fitted, forecast
from lpmkit.prediction.history import (
    Forecaster,
    Foresight,
    StoredPrediction,
    completed,
    figure_reliability,
    history,
    inputs_of,
    reliability,
)
from lpmkit.prediction.moves import Actual, Inputs, ObservedMove
from lpmkit.prediction.predicting import MIN_MOVES, conformal, distance, predict
from lpmkit.prediction.prior import POWERVM, by_paging, posterior
from lpmkit.prediction.rounds import CopyRules, Draws, run_copy
from lpmkit.runs.folder import create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Anchor, Clock

MB = 1_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Copy:
    """A made-up copy, played second by second and page by page by other means than the module under test."""

    touched: float = 4000 * MB
    rate: float = 100 * MB
    dirty: float = 30 * MB
    span: float = 600 * MB
    small: float = 20 * MB
    every_s: float = 1.0
    began_s: float = 50.0
    pause_s: float = 0.0  #: between two passes nothing is sent

    def written(self, seconds: float) -> float:
        return self.span * (1 - math.exp(-self.dirty * seconds / self.span))

    def passes(self, most: int = 60) -> list[tuple[float, float, float]]:
        """Begin, size and duration of every pass."""
        found, at, size = list[tuple[float, float, float]](), self.began_s, self.touched
        while len(found) < most:
            took = size / self.rate
            found.append((at, size, took))
            at, size = at + took + self.pause_s, min(self.touched, self.written(took))
            if size <= self.small:
                break
        return found

    @property
    def end_s(self) -> float:
        begin, _, took = self.passes()[-1]
        return begin + took

    def reading(self, at_s: float, grows: bool) -> tuple[int, int, int]:
        sent = 0.0
        for begin, size, took in self.passes():
            if at_s < begin + took:
                gone = max(0.0, at_s - begin)
                done = size * gone / took
                left = size - done + (self.written(gone) if grows else 0.0)
                return int(at_s * SECOND), int(sent + done), int(left)
            sent += size
        return int(at_s * SECOND), int(sent), 0

    def readings(self, grows: bool, until_s: float | None = None) -> list[tuple[int, int, int]]:
        stop = self.end_s if until_s is None else until_s
        return [self.reading(at, grows) for at in np.arange(self.began_s, stop, self.every_s)]


def wide(**changes: object) -> MoveDistribution:
    """A first day's beliefs, with the stop rule of `Copy`."""
    known = MoveDistribution(
        touched_bytes=LogNormal(4000 * MB, 0.05),
        bytes_per_s=LogNormal(80 * MB, 0.6),
        writing=WriteDistribution(LogNormal(8 * MB, 1.3), LogNormal(400 * MB, 0.9)),
        stop_bytes=LogNormal(20 * MB, 0.1),
        fixed_s=LogNormal(1.0, 0.3),
        switch_bytes_per_s=LogNormal(100 * MB, 0.3),
        around_s=LogNormal(30.0, 0.2),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def draws(**given: float) -> Draws:
    figures = {
        "touched_bytes": 4000.0 * MB,
        "bytes_per_s": 100.0 * MB,
        "dirty_bytes_per_s": 30.0 * MB,
        "writable_bytes": 600.0 * MB,
        "stop_bytes": 20.0 * MB,
        "fixed_s": 1.0,
        "switch_bytes_per_s": 50.0 * MB,
        "residual_share": 0.5,
        "around_s": 30.0,
        **given,
    }
    order = np.zeros(3, bool)
    return Draws(**{name: np.full(3, value) for name, value in figures.items()}, in_order=order)


# -- the rounds --------------------------------------------------------------------------------------------------------


def test_an_idle_partition_is_copied_once() -> None:
    course = run_copy(draws(dirty_bytes_per_s=1e-6), CopyRules())
    assert course.copy_s == pytest.approx(40.0)
    assert course.sent_bytes == pytest.approx(4000 * MB)
    assert course.suspended_s == pytest.approx(1.0)
    assert course.whole_s == pytest.approx(71.0)
    assert course.converged.all()


def test_the_rounds_are_those_of_a_copy_played_by_hand() -> None:
    copy = Copy()
    course = run_copy(draws(), CopyRules())
    assert course.copy_s[0] == pytest.approx(copy.end_s - copy.began_s)
    assert course.converged.all()


def test_what_is_left_goes_partly_while_it_stands_still() -> None:
    copy = Copy()
    left = copy.written(copy.passes()[-1][2])
    course = run_copy(draws(), CopyRules())
    assert course.suspended_s[0] == pytest.approx(1.0 + 0.5 * left / (50 * MB))
    rest = 0.5 * left / (100 * MB)
    assert course.whole_s[0] == pytest.approx(30 + course.copy_s[0] + course.suspended_s[0] + rest)


def test_faster_writing_than_sending_never_converges_unless_little_is_ever_written() -> None:
    assert not run_copy(draws(dirty_bytes_per_s=150.0 * MB), CopyRules()).converged.any()
    assert run_copy(draws(dirty_bytes_per_s=150.0 * MB, writable_bytes=15.0 * MB), CopyRules()).converged.all()


@pytest.mark.parametrize("seed", range(12))
def test_more_writing_and_less_bandwidth_never_make_it_shorter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = {
        "bytes_per_s": rng.uniform(20, 400) * MB,
        "dirty_bytes_per_s": rng.uniform(0, 100) * MB,
        "writable_bytes": rng.uniform(1, 3000) * MB,
    }
    plain = run_copy(draws(**base), CopyRules())
    slower = run_copy(draws(**{**base, "bytes_per_s": base["bytes_per_s"] * 0.7}), CopyRules())
    busier = run_copy(draws(**{**base, "dirty_bytes_per_s": base["dirty_bytes_per_s"] * 1.5}), CopyRules())
    assert slower.copy_s[0] >= plain.copy_s[0]
    assert busier.sent_bytes[0] >= plain.sent_bytes[0] * 0.999
    assert plain.copy_s[0] >= plain.sent_bytes[0] / base["bytes_per_s"] - 4000 * MB / base["bytes_per_s"]


# -- during ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grows", [False, True])
def test_both_meanings_of_remaining_are_told_apart(grows: bool) -> None:
    seen = copy_state(Copy().readings(grows))
    assert seen is not None
    assert seen.counting is (Counting.GROWS if grows else Counting.REFILLS)
    assert seen.bytes_per_s == pytest.approx(100 * MB, rel=0.02)


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_rest_is_known_once_a_pass_is_over(grows: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    copy = Copy(dirty=rng.uniform(15, 60) * MB, span=rng.uniform(300, 1500) * MB, every_s=float(rng.uniform(0.5, 2)))
    _, _, first = copy.passes()[0]
    now = copy.began_s + first + 0.3 * copy.passes()[1][2]
    said = forecast(copy.readings(grows, now), wide())
    assert said is not None
    left = copy.end_s - now
    assert said.remaining_s.p50 == pytest.approx(left, rel=0.25, abs=2.5)
    assert said.remaining_s.p10 <= said.remaining_s.p50 <= said.remaining_s.p90
    assert not said.will_not_converge


@pytest.mark.parametrize("grows", [False, True])
def test_looking_back_finds_how_it_wrote(grows: bool) -> None:
    copy = Copy(dirty=30 * MB, span=600 * MB)
    found = fitted(copy.readings(grows), wide())
    assert found is not None
    assert found.dirty_bytes_per_s == pytest.approx(copy.dirty, rel=0.15)
    assert found.writable_bytes == pytest.approx(copy.span, rel=0.15)
    assert found.copy_s == pytest.approx(copy.end_s - copy.began_s, abs=2.0)
    assert found.in_order < 0.5


@pytest.mark.parametrize("grows", [False, True])
def test_a_copy_that_cannot_converge_is_said_early(grows: bool) -> None:
    copy = Copy(dirty=200 * MB, span=3000 * MB)
    # Two passes can also be explained by a partition that writes more slowly and in order; four cannot.
    early = forecast(copy.readings(grows, copy.passes()[4][0] + 3), wide())
    assert early is not None
    assert early.will_not_converge
    assert early.stall > 0.9


@pytest.mark.parametrize("grows", [False, True])
def test_no_warning_for_a_copy_that_converges_at_any_moment(grows: bool) -> None:
    copy = Copy(dirty=50 * MB, span=800 * MB, every_s=2.0)
    readings = copy.readings(grows)
    said = [forecast(readings[:number], wide()) for number in range(2, len(readings), 3)]
    assert not [one for one in said if one is not None and one.will_not_converge]


def test_a_prior_alone_does_not_warn() -> None:
    gloomy = wide(writing=WriteDistribution(LogNormal(500 * MB, 0.1), LogNormal(4000 * MB, 0.1)))
    said = forecast(Copy().readings(False, 60.0), gloomy)
    assert said is not None
    assert said.stall > 0.9
    assert not said.will_not_converge


def test_a_change_of_bandwidth_is_followed() -> None:
    before = [(n * SECOND, n * 100 * MB, 4000 * MB - n * 100 * MB) for n in range(20)]
    sent, left = before[-1][1:]
    after = [((19 + n) * SECOND, sent + n * 50 * MB, left - n * 50 * MB) for n in range(1, 6)]
    seen = copy_state([*before, *after])
    assert seen is not None
    assert seen.bytes_per_s == pytest.approx(50 * MB, rel=0.05)


def test_a_mover_that_stutters_has_its_mean_rate_and_no_change() -> None:
    # Two quick seconds and one in which hardly anything goes, again and again; it ends with a slow one.
    rates = [150, 150, 3] * 8
    sent = [sum(rates[:n]) * MB for n in range(len(rates) + 1)]
    seen = copy_state([(n * SECOND, one, 5000 * MB - one) for n, one in enumerate(sent)])
    assert seen is not None
    assert seen.bytes_per_s == pytest.approx(101 * MB, rel=0.1)
    assert seen.bytes_per_s_error > 0.05


def test_readings_without_counters_or_from_before_the_copy_say_nothing() -> None:
    assert forecast([], wide()) is None
    assert forecast([(0, None, None), (SECOND, 0, 0), (2 * SECOND, 0, 100)], wide()) is None
    assert forecast([(0, 5, 100)], wide()) is None


def test_a_forecast_is_made_at_most_every_two_seconds() -> None:
    forecaster = Forecaster(wide())
    said = [at for at, sent, left in Copy(every_s=0.5).readings(False, 70.0) if forecaster.note(at, sent, left)]
    assert said
    assert min(np.diff(said)) >= 2 * SECOND


def test_the_same_readings_give_the_same_forecast() -> None:
    readings = Copy().readings(True, 100.0)
    assert forecast(readings, wide()) == forecast(readings, wide())


# -- before ------------------------------------------------------------------------------------------------------------

SAP = Inputs("bxaix85", "blade03 to blade07", 4096 * MB)


def past_move(inputs: Inputs, copy: Copy, suspended_s: float = 1.5) -> ObservedMove:
    found = fitted(copy.readings(False), posterior(inputs, [], POWERVM))
    assert found is not None
    actual = Actual(found.copy_s, found.copy_s + 35, found.sent_bytes, suspended_s)
    return ObservedMove(inputs, actual, found, predict(inputs, count=200))


def made_past(count: int, seed: int = 1, noise: float = 0.05) -> list[ObservedMove]:
    rng = np.random.default_rng(seed)

    def about(value: float) -> float:
        return float(value * np.exp(noise * rng.standard_normal()))

    return [
        past_move(
            SAP,
            Copy(touched=about(3500 * MB), rate=about(60 * MB), dirty=about(12 * MB), span=about(300 * MB)),
            about(1.6),
        )
        for _ in range(count)
    ]


def test_the_first_day_is_wide_and_a_few_moves_make_it_narrow() -> None:
    truth = past_move(SAP, Copy(touched=3500 * MB, rate=60 * MB, dirty=12 * MB, span=300 * MB)).actual
    assert truth.copy_s is not None
    first, fifth = predict(SAP), predict(SAP, made_past(5))
    assert first.copy_s.p90 / first.copy_s.p10 > 2
    assert fifth.copy_s.p90 / fifth.copy_s.p10 < 1.5
    assert fifth.copy_s.p50 == pytest.approx(truth.copy_s, rel=0.1)
    assert fifth.suspended_s.p50 == pytest.approx(1.6, rel=0.25)
    assert "5 past moves" in fifth.basis
    assert "based on no past moves, so the ranges are wide" in first.sentence()


@pytest.mark.parametrize("count", [0, 4, MIN_MOVES + 2])
def test_quantiles_are_in_order_and_the_same_twice(count: int) -> None:
    past = made_past(count)
    said = predict(SAP, past, count=300)
    for name in ("copy_s", "whole_s", "sent_bytes", "suspended_s"):
        one = getattr(said, name)
        assert 0 < one.p10 <= one.p50 <= one.p90
    assert said == predict(SAP, past, count=300)


def test_intervals_made_of_errors_hold_as_often_as_they_claim() -> None:
    held = []
    for seed in range(3):
        moves = made_past(MIN_MOVES + 12, seed, noise=0.12)
        known = moves[:MIN_MOVES]
        said = predict(SAP, known, count=300).copy_s
        held += [said.p10 <= (one.actual.copy_s or 0) <= said.p90 for one in moves[MIN_MOVES:]]
    assert 0.55 <= np.mean(held) <= 0.97


def test_what_every_pass_costs_besides_sending_is_learned() -> None:
    past = [
        past_move(SAP, Copy(dirty=dirty * MB, span=1500 * MB, every_s=0.25, pause_s=0.8))
        for dirty in (2, 10, 20, 35, 45, 55, 60)
    ]
    found = posterior(SAP, past)
    assert found.lag_per_pass_s == pytest.approx(0.8, rel=0.35)
    smooth = [past_move(SAP, Copy(dirty=dirty * MB, span=1500 * MB, every_s=0.25)) for dirty in (2, 10, 20, 35, 45, 55)]
    assert posterior(SAP, smooth).lag_per_pass_s < 0.1


def test_too_few_past_copies_say_nothing_about_a_pass() -> None:
    past = [past_move(SAP, Copy(dirty=dirty * MB, every_s=0.25, pause_s=0.8)) for dirty in (2, 60)]
    assert posterior(SAP, past).lag_per_pass_s == 0


def test_the_nearer_the_past_move_the_more_it_counts() -> None:
    far, near = [20.0 * MB] * 3, [90.0 * MB] * 3
    both = pooled(LogNormal(80 * MB, 0.6), [(far, 0.45), (near, 0.08)])
    assert both.median == pytest.approx(90 * MB, rel=0.02)
    assert both.spread < 0.2
    only_far = pooled(LogNormal(80 * MB, 0.6), [(far, 0.45)])
    assert 20 * MB < only_far.median < 40 * MB
    assert only_far.spread > 0.2


def test_one_wild_past_move_does_not_carry_the_others_away() -> None:
    calm = pooled(LogNormal(80.0, 0.6), [([100.0, 101.0, 99.0, 100.0, 5000.0], 0.08)])
    assert calm.median == pytest.approx(100, rel=0.03)


def test_conformal_bounds_leave_a_tenth_outside() -> None:
    rng = np.random.default_rng(1)
    outside = []
    for _ in range(400):
        low, high = conformal(rng.standard_normal(30).tolist())
        outside.append(not low <= rng.standard_normal() <= high)
    assert np.mean(outside) == pytest.approx(0.2, abs=0.05)


def test_distance_is_symmetrical_and_nothing_for_the_same() -> None:
    other = replace(SAP, partition="sapq01", dirty_bytes_per_s=5.0 * MB)
    assert distance(SAP, SAP) == 0
    assert distance(SAP, other) == distance(other, SAP) > 0


def test_touched_memory_lies_between_what_is_in_use_and_all_of_it() -> None:
    bracketed = replace(SAP, in_use_bytes=3000.0 * MB)
    belief = posterior(bracketed, []).touched_bytes
    low, high = belief.median * math.exp(-1.2816 * belief.spread), belief.median * math.exp(1.2816 * belief.spread)
    assert low == pytest.approx(3000 * MB, rel=0.01)
    assert high == pytest.approx(4096 * MB, rel=0.01)
    full = posterior(replace(SAP, in_use_bytes=4096.0 * MB), []).touched_bytes
    assert full.median == pytest.approx(4096 * MB)
    assert 0 < full.spread < 0.1


def test_a_bracket_makes_the_first_days_interval_narrower() -> None:
    blind, bracketed = predict(SAP), predict(replace(SAP, in_use_bytes=3700.0 * MB))
    assert bracketed.sent_bytes.p90 / bracketed.sent_bytes.p10 < blind.sent_bytes.p90 / blind.sent_bytes.p10


def paged_past(writes: list[float], paging: list[float | None]) -> list[ObservedMove]:
    return [
        past_move(replace(SAP, partition=f"p{number}", paging_bytes_per_s=seen), Copy(dirty=dirty * MB))
        for number, (dirty, seen) in enumerate(zip(writes, paging, strict=True))
    ]


def test_a_partition_that_pages_more_is_believed_to_write_more_where_past_moves_did_so() -> None:
    past = paged_past([3, 6, 12, 24, 40], [0.3 * MB, 0.6 * MB, 1.2 * MB, 2.4 * MB, 4.0 * MB])
    calm, busy = (replace(SAP, partition="new", paging_bytes_per_s=rate * MB) for rate in (0.4, 3.5))
    less, more = (posterior(one, past).writing.dirty_bytes_per_s.median for one in (calm, busy))
    assert more > 4 * less


def test_paging_that_never_went_with_writing_or_was_seldom_seen_says_nothing() -> None:
    few = paged_past([3, 6, 12, 24], [0.3 * MB, 0.6 * MB, 1.2 * MB, 2.4 * MB])
    against = paged_past([24, 12, 6, 3, 2], [0.3 * MB, 0.6 * MB, 1.2 * MB, 2.4 * MB, 4 * MB])
    busy = replace(SAP, paging_bytes_per_s=50.0 * MB)
    assert by_paging(few)(busy) == by_paging(against)(busy) == 1.0


def test_a_move_whose_paging_nobody_saw_takes_the_middle_of_the_others() -> None:
    past = paged_past([3, 6, 12, 24, 40], [0.3 * MB, 0.6 * MB, 1.2 * MB, 2.4 * MB, 4.0 * MB])
    assert by_paging(past)(SAP) == 1.0
    assert by_paging(past)(replace(SAP, paging_bytes_per_s=1.2 * MB)) == pytest.approx(1.0)


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_a_document_comes_back_whole() -> None:
    forecaster = Forecaster(wide())
    for reading in Copy().readings(False):
        forecaster.note(*reading)
    anchor = Anchor(mono_ns=0, wall_ns=10**18, uncertainty_ns=0)
    kept = completed(StoredPrediction(SAP, predict(SAP, count=200)), forecaster, 100.0, anchor)
    assert kept.copy_began_ns is not None
    assert kept.fitted is not None
    assert kept.copy_began_ns == 10**18 + kept.fitted.began_ns
    assert kept.during
    assert kept.actual.whole_s == 100.0
    assert StoredPrediction.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept
    end_s, (last_s, *_) = kept.copy_ended_s, kept.during[-1]
    assert end_s is not None
    assert 0 <= end_s - last_s < 3


def test_a_document_of_an_older_version_is_read_as_if_the_model_had_claimed_what_was_said() -> None:
    forecaster = Forecaster(wide())
    for reading in Copy().readings(False):
        forecaster.note(*reading)
    document = completed(StoredPrediction(SAP, predict(SAP, count=200)), forecaster, 100.0).to_dict()
    document["during"]["rows"] = [row[:5] for row in document["during"]["rows"]]
    row = StoredPrediction.from_dict(document).during[0]
    assert (row.claimed_p10_s, row.claimed_p90_s) == (row.p10_s, row.p90_s)


def test_what_was_said_during_past_copies_widens_what_is_said_during_the_next(tmp_path: Path) -> None:
    from lpmkit.runs.folder import Run  # noqa: PLC0415

    def said_of(parent: Path, off_s: float) -> float:
        for number in range(12):
            path = moved(parent, f"past {number}", 1.7)
            document = json.loads((path / "prediction.json").read_text())
            document["copy_ended_s"] = 60.0
            document["actual"]["copy_s"] = 62.0
            # The model claimed a second and was off by ten, late and early in turn.
            document["during"]["rows"] = [
                [at, 0.0, left, 0.0, 0.0, left - 1.0, left + 1.0]
                for at in range(0, 50, 5)
                for left in [60.0 - at + (off_s if number % 2 else -off_s)]
            ]
            write_document(path, "prediction", document)
        foresight = Foresight.of(Run(run_folder(parent, "now")))
        assert foresight is not None
        said = [foresight.note(*reading) for reading in Copy().readings(True)]
        return float(np.median([one.remaining_s.p90 - one.remaining_s.p10 for one in said if one]))

    assert said_of(tmp_path / "wrong", 3.0) > 1.5 * said_of(tmp_path / "right", 0.5)


def run_folder(parent: Path, name: str) -> Path:
    order = {"partition": "bxaix85", "source": "blade03", "target": "blade07"}
    run = create(parent, mode="move", title=name, facts={"order": order})
    listed = [{"name": "vios1", "memory_mb": 512}, {"name": "bxaix85", "memory_mb": 4096, "virtual_processors": 2}]
    write_document(run.path, "survey", {"partition": "bxaix85", "source": {"partitions": listed}})
    return run.path


def moved(parent: Path, name: str, suspended_s: float | None) -> Path:
    path = run_folder(parent, name)
    inputs = replace(SAP, memory_bytes=4096 * 1048576.0)
    one = past_move(inputs, Copy(touched=3500 * MB, rate=60 * MB))
    assert one.predicted is not None
    kept = StoredPrediction(inputs, one.predicted, replace(one.actual, suspended_s=None), one.fitted)
    write_document(path, "prediction", kept.to_dict())
    if suspended_s is not None:
        write_document(path, "summary", {"suspension": {"likely": {"best": suspended_s}}})
    return path


def test_effects_of_past_moves_are_read_from_their_summaries_and_replace_the_first_days_guess(tmp_path: Path) -> None:
    path = moved(tmp_path, "felt", 2.0)
    bounds = {"session_outage_s": (5.0, 7.0), "brown_out_s": (4.0, None), "job_delay_s": (0.0, 0.0)}
    effects = {name: {"low": low, "high": high} for name, (low, high) in bounds.items()}
    write_document(path, "summary", {"suspension": {"likely": {"best": 2.0}}, "effects": effects})
    (one,) = history(tmp_path)
    assert one.actual.effects == {
        "session_outage_s": 6.0,
        "brown_out_s": 4.0,  # the recording ended before it did
        "job_delay_s": None,  # no job ran
        "commit_stall_s": None,
    }
    assert {row.figure for row in reliability(history(tmp_path))} >= {"suspended_s", "session_outage_s", "brown_out_s"}
    fresh, taught = predict(one.inputs, count=300), predict(one.inputs, [one] * 8, count=300)
    assert fresh.session_outage_s is not None
    assert taught.session_outage_s is not None
    ratios = [told.session_outage_s.p50 / told.suspended_s.p50 for told in (fresh, taught) if told.session_outage_s]
    assert ratios == pytest.approx([1.4, 3.0], rel=0.15)
    assert taught.session_outage_s.p90 / taught.session_outage_s.p10 < 6
    without = predict(replace(one.inputs, has_sap=False, has_databases=False), count=50)
    assert (without.job_delay_s, without.commit_stall_s) == (None, None)
    assert "delay of SAP jobs" in fresh.ranges()
    assert "delay of SAP jobs" not in without.ranges()


def test_a_prediction_of_an_earlier_version_has_no_effects() -> None:
    told = predict(SAP, count=50).as_data()
    assert type(predict(SAP, count=50)).from_data(told).as_data() == told
    old = {name: value for name, value in told.items() if name not in FIRST_DAY}
    assert type(predict(SAP, count=50)).from_data(old).figure("brown_out_s") is None


def test_past_moves_are_read_from_their_folders(tmp_path: Path) -> None:
    moved(tmp_path, "analysed", 1.7)
    moved(tmp_path, "not analysed", None)
    found = history(tmp_path)
    assert sorted(one.actual.suspended_s or 0 for one in found) == [0, 1.7]
    rows = {row.figure: row for row in reliability(found)}
    assert rows["copy_s"].count == 2
    assert rows["suspended_s"].count == 1
    assert rows["copy_s"].covered + rows["copy_s"].below + rows["copy_s"].above == pytest.approx(1)


def test_what_the_partition_said_of_its_memory_is_known_before_a_move(tmp_path: Path) -> None:
    from lpmkit.runs.folder import Run  # noqa: PLC0415

    path = run_folder(tmp_path, "asked")
    survey = json.loads((path / "survey.json").read_text())
    memory = {"size": 2000, "in_use": 1500}
    survey["guest"] = {"memory": {"memory": memory, "paging_bytes_per_s": 5e5, "missing": []}}
    write_document(path, "survey", survey)
    found = inputs_of(Run(path))
    assert found is not None
    assert found.in_use_bytes == 0.75 * 4096 * 1048576
    assert found.paging_bytes_per_s == 5e5
    survey["guest"] = {"memory": {"memory": None, "paging_bytes_per_s": None, "missing": ["svmon: not found"]}}
    write_document(path, "survey", survey)
    silent = inputs_of(Run(path))
    assert silent is not None
    assert (silent.in_use_bytes, silent.paging_bytes_per_s) == (None, None)


def test_reliability_counts_on_either_side_and_says_how_sure_it_is() -> None:
    said = Quantiles(10, 20, 30)
    row = figure_reliability("copy_s", [(said, actual) for actual in (5.0, 12.0, 15.0, 25.0, 40.0)])
    assert (row.below, row.below_middle, row.above) == (0.2, 0.6, 0.2)
    assert row.covered == pytest.approx(0.6)
    assert row.words()[2].startswith("60% (")
    first = figure_reliability("copy_s", [(said, 5.0)])
    assert first.words()[1:] == ("1", "1 past move: too few to judge", "", "")
    low, high = row.covered_bounds
    assert low < 0.3
    assert high > 0.85


def test_the_runs_up_to_one_are_its_past(tmp_path: Path) -> None:
    first, second = moved(tmp_path, "first", 1.0), moved(tmp_path, "second", 2.0)
    older, newer = sorted((first.name, second.name))
    assert len(history(tmp_path, until=older)) == 1
    assert len(history(tmp_path, until=newer)) == 2


def test_folders_that_cannot_be_understood_or_are_not_over_are_passed_over(tmp_path: Path) -> None:
    path = moved(tmp_path, "torn", 1.0)
    (path / "prediction.json").write_text('{"format": 1, "inp')
    path = moved(tmp_path, "strange", 1.0)
    write_document(path, "prediction", {"format": 9})
    path = moved(tmp_path, "refused", 1.0)
    write_document(path, "prediction", StoredPrediction(SAP, predict(SAP, count=50)).to_dict())
    (tmp_path / "no run").mkdir()
    write_document(tmp_path / "no run", "prediction", {})
    assert history(tmp_path) == []
    assert history(tmp_path / "nowhere") == []


def test_a_recorder_foresees_from_the_folder_and_the_runs_beside_it(tmp_path: Path) -> None:
    moved(tmp_path, "before", 1.7)
    path = run_folder(tmp_path, "now")
    run = create(
        tmp_path, mode="move", title="unused", facts={"order": {"partition": "x", "source": "a", "target": "b"}}
    )
    assert Foresight.of(run) is None
    from lpmkit.runs.folder import Run  # noqa: PLC0415

    foresight = Foresight.of(Run(path))
    assert foresight is not None
    assert foresight.kept.before.past_moves == 1
    found = inputs_of(Run(path))
    assert found is not None
    assert found.memory_bytes == 4096 * 1048576
    assert found.movers == "blade03 to blade07"
    said = [foresight.note(*reading) for reading in Copy().readings(True)]
    assert [one for one in said if one]
    assert StoredPrediction.from_dict(foresight.completed(120.0, Clock().anchor())).actual.whole_s == 120.0


def test_a_second_recorder_takes_over_what_the_first_read(tmp_path: Path) -> None:
    from lpmkit.runs.folder import Run  # noqa: PLC0415

    path = run_folder(tmp_path, "killed")
    readings = Copy().readings(False, 80.0)
    with RunWriter(path) as writer:
        for _, sent, left in readings:
            writer.event("recorder", "reading", where="blade03", bytes_transmitted=sent, bytes_remaining=left)
        writer.event("recorder", "reading", where="blade07", bytes_transmitted=None, bytes_remaining=None)
    first = predict(replace(SAP, memory_bytes=1234.0 * MB), count=50)
    write_document(path, "prediction", StoredPrediction(replace(SAP, memory_bytes=1234.0 * MB), first).to_dict())
    foresight = Foresight.of(Run(path))
    assert foresight is not None
    assert foresight.kept.before == first
    assert len(foresight._forecaster.readings) == len(readings)


def test_a_picture_of_how_predictions_held_draws_every_one() -> None:
    pytest.importorskip("matplotlib")
    from lpmkit.plots.reliability import plot_reliability  # noqa: PLC0415

    past = made_past(3)
    axes = plot_reliability(past)
    assert len(axes.get_yticks()) == 4


def test_quantiles_stay_in_order_when_scaled() -> None:
    assert Quantiles(1, 2, 3).scaled(10, 1, 1) == Quantiles(2, 3, 10)


def test_the_state_of_a_run_shows_the_newest_forecast(tmp_path: Path) -> None:
    from lpmkit.migration.status import state  # noqa: PLC0415
    from lpmkit.runs.folder import Run  # noqa: PLC0415

    path = run_folder(tmp_path, "shown")
    manifest = {**Run(path).manifest, "lead_in_s": 0.0}
    write_document(path, "run", manifest)
    said = forecast(Copy().readings(False, 80.0), wide())
    assert said is not None
    with RunWriter(path) as writer:
        writer.event("recorder", "reading", where="blade03", bytes_transmitted=3000 * MB, bytes_remaining=1000 * MB)
        writer.event("recorder", "forecast", **said.as_data())
        writer.event("recorder", "reading", where="blade03", bytes_transmitted=3001 * MB, bytes_remaining=999 * MB)
    assert state(Run(path)).progress.remaining_s == pytest.approx(said.remaining_s.p50, abs=0.5)


def test_the_command_says_how_predictions_held_and_that_it_cannot_tell_without_any(tmp_path: Path) -> None:
    from click.testing import CliRunner  # noqa: PLC0415

    from lpmkit.commands.watch import predictions  # noqa: PLC0415

    empty, runs, picture = tmp_path / "empty", tmp_path / "runs", tmp_path / "held.svg"
    empty.mkdir()
    assert CliRunner().invoke(predictions, ["--runs", str(empty)]).exit_code == 3
    moved(runs, "one", 1.7)
    asked = CliRunner().invoke(predictions, ["--runs", str(runs), "--plot", str(picture), "--json"])
    assert asked.exit_code == 0
    assert {row["figure"]: row["count"] for row in json.loads(asked.stdout)["figures"]}["copy_s"] == 1
    assert b"<svg" in picture.read_bytes()
    wrong = CliRunner().invoke(predictions, ["--runs", str(runs), "--plot", str(tmp_path / "held.nothing")])
    assert wrong.exit_code == 2


def test_the_report_of_a_move_says_what_was_known_of_the_memory_and_what_was_not() -> None:
    from lpmkit.report.facts import known_before  # noqa: PLC0415

    kept = StoredPrediction(
        replace(SAP, memory_bytes=4096 * 1048576.0, in_use_bytes=3072 * 1048576.0), predict(SAP, count=50)
    )
    rows = dict(known_before(kept.to_dict(), {"guest": {"memory": {"missing": ["vmstat: not found"]}}}))
    assert rows["of it in use, at least"] == "3072 MiB"
    silent = StoredPrediction(SAP, predict(SAP, count=50))
    rows = dict(known_before(silent.to_dict(), {"guest": {"memory": {"missing": ["vmstat: not found"]}}}))
    assert rows["of it in use, at least"] == "not known (vmstat: not found)"
    assert list(known_before(None, None)) == []
