"""The times at which the probes may be calm: only when nothing can happen soon, and only as long as that is known."""

from __future__ import annotations

import pytest

from lpmkit.migration.phases import Phase
from lpmkit.probes.orders import CALM, QUICK
from lpmkit.recorder.rate_policy import AHEAD_S, SETTLED_S, RateController

S = 1_000_000_000
GB = 1_000_000_000
RATE = 0.1  # GB a second


def _copying(left_gb: float, *, seconds: int = 10, forecast_s: float | None = 1000.0) -> tuple[RateController, int]:
    """A pacemaker that has seen a copy for some seconds, polled once a second; and the moment of the last poll."""
    pacemaker = RateController(1.0)
    pacemaker.entered(Phase.COPYING, 0)
    for second in range(seconds + 1):
        _poll(pacemaker, second, left_gb + RATE * (seconds - second), forecast_s)
    return pacemaker, seconds * S


def _poll(pacemaker: RateController, second: int, left_gb: float, forecast_s: float | None = 1000.0) -> None:
    pacemaker.read(second * S, round(second * RATE * GB), round(left_gb * GB))
    if forecast_s is not None:
        pacemaker.foreseen(second * S, forecast_s)


def test_the_bulk_of_a_long_copy_is_calm() -> None:
    pacemaker, now = _copying(left_gb=100.0)
    assert pacemaker.wanted(now) == CALM


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.COPYING])
def test_no_other_phase_is_calm_before_the_move_is_over(phase: Phase) -> None:
    pacemaker, now = _copying(left_gb=100.0)
    pacemaker.entered(phase, now)
    assert pacemaker.wanted(now) == QUICK


def test_a_short_move_is_never_calm() -> None:
    """4 GB at 80 MB/s, the article's: fifty seconds."""
    pacemaker = RateController(1.0)
    pacemaker.entered(Phase.COPYING, 0)
    paces = set()
    for second in range(50):
        pacemaker.read(second * S, second * 80_000_000, (50 - second) * 80_000_000)
        pacemaker.foreseen(second * S, 50.0 - second)
        paces.add(pacemaker.wanted(second * S))
    assert paces == {QUICK}


def test_without_a_forecast_it_stays_quick() -> None:
    pacemaker, now = _copying(left_gb=100.0, forecast_s=None)
    assert pacemaker.wanted(now) == QUICK


def test_a_forecast_that_the_end_is_near_makes_it_quick_whatever_is_left() -> None:
    pacemaker, now = _copying(left_gb=100.0)
    assert pacemaker.wanted(now) == CALM
    pacemaker.foreseen(now, AHEAD_S - 1)
    assert pacemaker.wanted(now) == QUICK


def test_a_control_point_that_is_lost_makes_it_quick_at_once() -> None:
    pacemaker, now = _copying(left_gb=100.0)
    assert pacemaker.wanted(now) == CALM
    pacemaker.lost()
    assert pacemaker.wanted(now) == QUICK


def test_a_poll_that_hangs_makes_it_quick_although_nobody_reports_anything() -> None:
    pacemaker, now = _copying(left_gb=100.0)
    assert pacemaker.wanted(now + 3 * S) == CALM
    assert pacemaker.wanted(now + 6 * S) == QUICK


def test_counters_that_a_manager_leaves_out_make_it_quick() -> None:
    pacemaker, now = _copying(left_gb=100.0)
    pacemaker.read(now + S, None, None)
    assert pacemaker.wanted(now + S) == QUICK


def test_it_is_quick_well_before_the_copy_could_end_and_does_not_swing() -> None:
    """The last of 100 GB, at a rate that may grow by half: quick from about thirty seconds before its end on, and only
    once.
    """
    left, changes, was = 12.0, [], CALM
    pacemaker, now = _copying(left_gb=left)
    assert pacemaker.wanted(now) == CALM
    for second in range(11, 130):
        left -= RATE
        _poll(pacemaker, second, max(0.0, left))
        if (pace := pacemaker.wanted(second * S)) != was:
            changes.append((pace, left / RATE))
            was = pace
    assert [pace for pace, _ in changes] == [QUICK]
    assert 1.4 * AHEAD_S < changes[0][1] < 1.6 * AHEAD_S


def test_a_new_pass_over_much_memory_is_calm_again() -> None:
    pacemaker, now = _copying(left_gb=0.1)
    assert pacemaker.wanted(now) == QUICK
    _poll(pacemaker, 11, 30.0)
    assert pacemaker.wanted(11 * S) == CALM


@pytest.mark.parametrize("phase", [Phase.SETTLED, Phase.FAILED, Phase.STOPPED])
def test_it_is_calm_half_a_minute_after_the_end(phase: Phase) -> None:
    pacemaker = RateController(1.0)
    pacemaker.entered(phase, 100 * S)
    assert pacemaker.wanted(round((100 + SETTLED_S - 1) * S)) == QUICK
    assert pacemaker.wanted(round((100 + SETTLED_S + 1) * S)) == CALM


def test_a_move_that_needs_recovery_is_watched_closely_as_long_as_it_takes() -> None:
    pacemaker = RateController(1.0)
    pacemaker.entered(Phase.NEEDS_RECOVERY, 0)
    assert pacemaker.wanted(3600 * S) == QUICK
