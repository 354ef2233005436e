"""The width that an interval needs, learned from past copies: it holds as often as it claims, and no forecast outvotes
another copy's.
"""

from __future__ import annotations

import numpy as np
import pytest

from lpmkit.prediction.calibration import MAX_STRETCH, Calibration, PastForecast, elapsed_share
from lpmkit.prediction.distributions import Quantiles

SAID = Quantiles(8.0, 10.0, 12.0)
#: A standard normal error is beyond one claimed half width of this model in a tenth of the cases, on either side.
HONEST = 2.0 / 1.2816


def copies(count: int, spread_s: float, seed: int = 1, forecasts: int = 10) -> list[list[PastForecast]]:
    """Copies whose forecasts all claim ±2 s; all of one copy are off by the same."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        left = max(0.1, 10.0 + spread_s * rng.standard_normal())
        found.append([PastForecast(0.2 + 0.7 * n / forecasts, SAID, left) for n in range(forecasts)])
    return found


def test_without_a_past_the_models_own_interval_stands() -> None:
    assert Calibration([]).widened(SAID, 0.5) == SAID
    assert Calibration([[], []]).widened(SAID, 0.5) == SAID


@pytest.mark.parametrize("part", [0.3, 1.0, 2.5])
def test_intervals_hold_four_of_five_whatever_the_model_claimed(part: float) -> None:
    held = []
    for seed in range(30):
        known = copies(40, part * HONEST, seed)
        coming = copies(30, part * HONEST, 1000 + seed)
        said = Calibration(known).widened(SAID, 0.5)
        held += [said.p10 <= copy[0].left_s <= said.p90 for copy in coming]
    assert 0.75 <= np.mean(held) <= 0.87


def test_a_model_that_claims_too_much_is_drawn_out_and_one_that_claims_too_little_in() -> None:
    assert min(Calibration(copies(30, 3 * HONEST)).factors(0.5)) > 1.5
    assert max(Calibration(copies(30, 0.2 * HONEST)).factors(0.5)) < 0.7


def test_either_side_is_stretched_for_itself() -> None:
    late = [[PastForecast(0.5, SAID, 10.0 + abs(copy[0].left_s - 10.0))] for copy in copies(40, 2 * HONEST)]
    low, high = Calibration(late).factors(0.5)
    assert low < 0.7
    assert high > 1.5


def test_many_forecasts_of_one_copy_have_one_vote() -> None:
    calm = copies(20, 0.5 * HONEST, forecasts=2)
    wild = [PastForecast(0.5, SAID, 40.0)] * 500
    assert Calibration([*calm, wild]).factors(0.5)[1] < 2


def test_the_end_of_a_copy_is_held_against_the_ends_of_others() -> None:
    known = [
        [PastForecast(0.2, SAID, 10 + off), PastForecast(0.9, SAID, 10 + 4 * off)]
        for off in np.random.default_rng(1).standard_normal(40)
    ]
    calibration = Calibration(known)
    assert calibration.factors(0.9)[1] > 2 * calibration.factors(0.2)[1]


def test_a_site_that_changed_is_followed() -> None:
    was, now = copies(60, 0.3 * HONEST, 1), copies(60, 3 * HONEST, 2)
    assert Calibration([*was, *now]).factors(0.5)[1] > 1.3 * Calibration([*now, *was]).factors(0.5)[1]


def test_a_claim_of_no_error_at_all_cannot_draw_an_interval_out_without_end() -> None:
    exact = Quantiles(10.0, 10.0, 10.0)
    low, high = Calibration([[PastForecast(0.5, exact, 50.0)]] * 40).factors(0.5)
    assert high == MAX_STRETCH
    assert low <= MAX_STRETCH


def test_what_is_left_is_never_less_than_nothing() -> None:
    early = [[PastForecast(0.5, SAID, 0.2)] for _ in range(40)]
    assert Calibration(early).widened(Quantiles(0.5, 5.0, 6.0), 0.5).p10 >= 0


def test_the_part_that_is_over_is_by_what_was_said() -> None:
    assert elapsed_share(0.0, 10.0) == 0
    assert elapsed_share(10.0, 0.0) == 1
