"""The effects that moves of one night have in common: copies beside one another, the power by which they slow, and the
nights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lpmkit.prediction.forecast import Fitted
from lpmkit.prediction.moves import Actual, Inputs, ObservedMove
from lpmkit.prediction.nights import FIRST_DAY, beside, night_of, slowing, usual_beside, with_beside
from lpmkit.prediction.past import as_data, as_move
from lpmkit.prediction.predicting import COMMON, COMMON_LATER, common_shares, predict
from lpmkit.prediction.prior import posterior

MB = 1e6
DAY = 86_400.0


def moved(
    name: str, began_s: float | None, copy_s: float = 100.0, movers: str = "p8a to p8b", mb_per_s: float = 100.0
) -> ObservedMove:
    """A past move whose whole copy went at one rate."""
    size = mb_per_s * MB * copy_s
    fitted = Fitted(0, mb_per_s * MB, size, 1 * MB, 100 * MB, 0.0, 10 * MB, size, copy_s, 2)
    inputs = Inputs(name, movers, size, in_use_bytes=size)
    began_ns = None if began_s is None else int(began_s * 1e9)
    return ObservedMove(inputs, Actual(copy_s, copy_s + 35, size, 1.5), fitted, began_ns=began_ns)


def test_the_copies_beside_one_are_counted_for_the_time_that_they_ran_beside_it() -> None:
    moves = [
        moved("a", 0.0),
        moved("b", 50.0),
        moved("c", 90.0, movers="p8b to p8c"),
        moved("d", 0.0, movers="p8d to p8e"),
        moved("e", 100.0, movers="p8a to p8e"),
        moved("old", None),
    ]
    assert beside(moves) == pytest.approx([0.5 + 0.1, 0.5 + 0.6 + 0.5, 0.1 + 0.6, 0.0, 0.5, 0.0])


def test_a_copy_that_was_over_within_one_reading_is_beside_the_others() -> None:
    """Its begin and its end are one moment in seconds since 1970, as a float has them."""
    moves = [moved("a", 1_796_102_540.0), moved("b", 1_796_102_545.0, copy_s=1e-8), moved("c", 1_796_102_546.0)]
    assert beside(moves) == pytest.approx([0.94, 1.0, 0.94], abs=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_how_far_copies_slow_one_another_down_is_learned_from_those_over_the_same_movers(power: float) -> None:
    rng, past = np.random.default_rng(1), []
    for number in range(40):
        others, level = float(rng.integers(0, 4)), (80.0, 400.0)[number % 2]
        one = moved(f"lp{number}", None, movers=f"p8{'ab'[number % 2]} to p8c", mb_per_s=level / (1 + others) ** power)
        past.append(replace(one, inputs=replace(one.inputs, beside=others)))
    told = slowing(past)
    assert told.power == pytest.approx(power, abs=0.05)
    assert told.error < 0.1
    # A partition alone is expected at the rate that it would have had alone.
    alone = posterior(replace(past[0].inputs, partition="new", beside=0.0), past).bytes_per_s
    assert alone.median == pytest.approx(80 * MB, rel=0.1)


def test_copies_that_have_room_beside_one_another_are_told_from_those_that_share_the_frame() -> None:
    rng, past = np.random.default_rng(1), []
    for number in range(40):
        others = float(rng.integers(0, 6))
        one = moved(f"lp{number}", None, mb_per_s=400.0 / max(1.0, (1 + others) / 3))
        past.append(replace(one, inputs=replace(one.inputs, beside=others)))
    told = slowing(past)
    assert told.room == 3.0
    assert told.power == pytest.approx(1.0, abs=0.05)
    rates = [posterior(replace(past[0].inputs, beside=others), past).bytes_per_s.median for others in (0, 2, 5)]
    assert rates == pytest.approx([400 * MB, 400 * MB, 200 * MB], rel=0.1)


def test_without_past_copies_beside_others_anything_between_nothing_and_half_is_believed() -> None:
    assert slowing([]) == FIRST_DAY
    assert slowing([moved("a", None), moved("b", None)]).error == pytest.approx(FIRST_DAY.error)
    common, own = np.random.default_rng(1).standard_normal((2, 2000))
    powers = FIRST_DAY.at(common, own)
    assert 0 <= powers.min() < 0.1 < 0.9 < powers.max() <= 1
    assert np.corrcoef(common, powers)[0, 1] > 0.7, "what is slow for one copy has no room for two"
    known = replace(FIRST_DAY, power=0.5, error=0.05).at(common, own)
    assert abs(np.corrcoef(common, known)[0, 1]) < 0.1, "past copies tell it, whatever the night"


def test_what_past_copies_had_beside_them_is_known_best() -> None:
    past = [replace(one, inputs=replace(one.inputs, beside=1.0)) for one in (moved("a", None), moved("b", None))]
    assert usual_beside(past) == pytest.approx(1.0)
    with_one, alone = (posterior(replace(past[0].inputs, beside=others), past).bytes_per_s for others in (1.0, 0.0))
    assert with_one.median == pytest.approx(100 * MB, rel=0.1)
    assert alone.spread > with_one.spread


def test_moves_of_a_night_are_told_from_those_of_the_next_one() -> None:
    moves = [moved("a", DAY), moved("b", DAY + 3600), moved("c", 2 * DAY), moved("old", None), moved("older", None)]
    nights = night_of(moves)
    assert nights[0] == nights[1] != nights[2]
    assert len({nights[2], nights[3], nights[4]}) == 3


def test_the_share_that_a_night_has_in_common_is_learned_from_past_nights() -> None:
    def past(of_a_night: float, own: float) -> list[ObservedMove]:
        rng = np.random.default_rng(3)
        moves = []
        for night in range(8):
            level = of_a_night * rng.standard_normal()
            for number in range(6):
                rate = 100 * float(np.exp(level + own * rng.standard_normal()))
                copy_s = 200 * 100 / rate
                began_s = DAY * (night + 1) + 300 * number
                moves.append(moved(f"lp{number}", began_s, copy_s=copy_s, mb_per_s=rate))
        return moves

    together, apart = common_shares(past(0.3, 0.02)).night, common_shares(past(0.0, 0.3)).night
    assert together > 0.6 > 0.2 > apart
    assert common_shares([]).night == pytest.approx(COMMON)
    assert COMMON_LATER[0] < common_shares(past(0.3, 0.02)[:6]).night < COMMON


def test_the_begin_of_a_copy_is_kept_in_the_index_and_an_older_index_has_none() -> None:
    (one,) = with_beside([moved("a", DAY)])
    assert as_move(as_data(one)) == one
    older = as_data(one)
    del older["began_ns"]
    del older["inputs"]["beside"]
    assert as_move(older).began_ns is None


def test_what_copies_do_to_one_another_while_they_run_is_nothing_that_their_night_has_in_common() -> None:
    rng, past = np.random.default_rng(3), []
    for night in range(8):
        for pair in range(4):
            level = 0.3 * rng.standard_normal()
            for number in range(2):
                rate = 100 * float(np.exp(level + 0.02 * rng.standard_normal()))
                began_s = DAY * (night + 1) + 1200 * pair + number
                past.append(moved(f"lp{pair}{number}", began_s, copy_s=200 * 100 / rate, mb_per_s=rate))
    shares = common_shares(past)
    assert shares.night < 0.3 < 0.6 < shares.night + shares.beside <= 0.95


def test_the_errors_of_one_past_serve_every_move_that_is_predicted_from_it() -> None:
    past = [moved(f"lp{number}", DAY * number) for number in range(4)]
    first = predict(past[0].inputs, past, count=200)
    assert first == predict(past[0].inputs, list(past), count=200)
