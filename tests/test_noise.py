"""The short form of `benchmarks.noise`: clean moves in everyday noise pass, and every planted loss fails."""

from __future__ import annotations

import pytest

from benchmarks.noise.losses import LOSSES, Loss
from benchmarks.noise.trials import Trial, clean, planted, table
from lpmkit.rules.table import Class
from lpmkit.rules.usual import chance_of, held_against_usual


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_move_in_everyday_noise_passes(seed: int) -> None:
    assert clean(seed).wrong == ""


@pytest.mark.parametrize(("seed", "loss"), list(enumerate(LOSSES)), ids=[loss.name for loss in LOSSES])
def test_a_planted_loss_fails_with_the_right_sentence(seed: int, loss: Loss) -> None:
    assert planted(loss, seed).wrong == ""


def test_a_failure_that_came_before_too_is_never_less_than_a_warning_when_it_is_unusual() -> None:
    # a grave code once in twelve hours, and once in the minutes after the move
    assert held_against_usual(Class.FAIL, chance_of(1, 0.05, 1, 12.0)) is Class.WARN
    assert held_against_usual(Class.FAIL, chance_of(1, 0.05, 0, 12.0)) is Class.FAIL
    assert held_against_usual(Class.FAIL, chance_of(4, 0.05, 4, 12.0)) is Class.FAIL


def test_the_table_tells_every_trial_that_came_out_wrong() -> None:
    text = table([Trial(0, ""), Trial(1, "", "BX5: a passed"), Trial(0, "disk offline")])
    assert "| nothing | 2 | 1 |" in text
    assert "- seed 1, nothing: BX5: a passed" in text
