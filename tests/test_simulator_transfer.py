"""The model of the copy, without waiting: the reference case comes out as it was observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lpmkit.simulator.transfer import Demand, Limits, dirtied_mb, plan, progress

ARTICLE = Demand(
    touched_mb=3900,
    dirty_mb_per_second=9,
    writable_set_mb=320,
    post_resume_fetch_mb=24,
    memory_mb=4096,
    virtual_processors=2,
    virtual_adapters=2,
)


@pytest.mark.parametrize("seed", range(50))
def test_the_reference_case_takes_two_minutes_and_stands_still_for_less_than_two_seconds(seed: int) -> None:
    course = plan(ARTICLE, 80, 48, seed)
    assert 110 <= course.total_s <= 135
    assert 1.2 <= course.suspended_s <= 2.0
    assert course.converged


def test_no_two_moves_are_equal_and_every_seed_repeats() -> None:
    assert plan(ARTICLE, 80, 48, 1) == plan(ARTICLE, 80, 48, 1)
    assert plan(ARTICLE, 80, 48, 1).suspended_s != plan(ARTICLE, 80, 48, 2).suspended_s


def test_the_slower_of_link_and_mover_decides() -> None:
    assert plan(ARTICLE, 80, 48).copy_s == plan(ARTICLE, 1000, 48).copy_s
    assert plan(ARTICLE, 20, 48).copy_s > plan(ARTICLE, 80, 48).copy_s


def test_every_pass_is_smaller_than_the_one_before() -> None:
    sends = [each.send_mb for each in plan(ARTICLE, 80, 48, limits=Limits(small_enough_mb=1)).rounds]
    assert sends == sorted(sends, reverse=True)
    assert len(sends) > 2


def test_a_working_set_is_written_again_and_again() -> None:
    assert dirtied_mb(ARTICLE, 10_000) == pytest.approx(320)
    assert dirtied_mb(ARTICLE, 2) < 2 * dirtied_mb(ARTICLE, 1)


def test_a_partition_that_writes_too_fast_does_not_converge_and_fetches_a_lot() -> None:
    course = plan(replace(ARTICLE, dirty_mb_per_second=72, writable_set_mb=3500), 80, 48)
    assert not course.converged
    assert 3 < course.suspended_s < 6
    assert course.fetched_mb > 1000


def test_progress_tells_what_is_sent_and_what_is_left() -> None:
    course = plan(ARTICLE, 80, 48)
    first = course.rounds[0]
    assert progress(course, 0).remaining_mb == first.send_mb
    just_before, just_after = progress(course, first.seconds * 0.999), progress(course, first.seconds * 1.0001)
    assert just_before.round == 1
    assert just_after.round == 2
    assert just_after.remaining_mb == pytest.approx(first.dirtied_mb, rel=0.05)
    assert progress(course, 1e6).done
    assert progress(course, 1e6).sent_mb == pytest.approx(
        course.sent_mb - course.sent_while_suspended_mb - course.fetched_mb
    )
