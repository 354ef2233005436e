"""The phases of a move: what each sight means, and what must never end a move."""

from __future__ import annotations

import itertools

import pytest

from lpmkit.control.base import MigrationReading
from lpmkit.migration.phases import PATIENCE, TRANSITIONS, MoveState, Observation, Phase, next_state, observe, progress

HOME = MigrationReading("Running", "Not Migrating")
STARTING = MigrationReading("Migrating - Running", "Migration Starting")
COPYING = MigrationReading("Migrating - Running", "Migration Starting", 1000, 9000)
GONE = MigrationReading(None, None)
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (HOME, None, Observation.AT_HOME),
        (STARTING, None, Observation.STARTING),
        (COPYING, None, Observation.COPYING),
        (GONE, MigrationReading("Migrating - Running", None), Observation.ARRIVING),
        (GONE, MigrationReading("Running", "Not Migrating"), Observation.ARRIVED),
        (GONE, GONE, Observation.NOWHERE),
        (GONE, None, Observation.UNKNOWN),
        (None, MigrationReading("Running", "Not Migrating"), Observation.UNKNOWN),
        (MigrationReading("Running", "Migration Failed"), None, Observation.BROKEN),
        (MigrationReading("Not Activated", "Not Migrating"), MigrationReading("Running", None), Observation.BROKEN),
        (MigrationReading("Running", None), None, Observation.UNKNOWN),
        (MigrationReading("Running", ""), None, Observation.UNKNOWN),
        (MigrationReading("Not Available", "Not Migrating"), None, Observation.UNKNOWN),
        (MigrationReading("Error", "Not Migrating"), None, Observation.AT_HOME),
    ],
)
def test_two_readings_have_one_meaning(
    source: MigrationReading | None, target: MigrationReading | None, expected: Observation
) -> None:
    assert observe(source, target) is expected


def _through(*sights: Observation, start: Phase = Phase.ASKED, stop_asked: bool = False) -> Phase:
    standing = MoveState(start, stop_asked=stop_asked)
    for seen in sights:
        standing = next_state(standing, seen)
    return standing.phase


def test_the_usual_course_ends_settled() -> None:
    assert (
        _through(
            Observation.AT_HOME, Observation.STARTING, Observation.COPYING, Observation.ARRIVING, Observation.ARRIVED
        )
        is Phase.SETTLED
    )


def test_a_text_that_says_complete_is_no_success() -> None:
    complete = MigrationReading("Migrating - Running", "Migration Complete", 10, 0)
    assert _through(Observation.COPYING, observe(complete, None)) is Phase.COPYING


def test_a_control_point_that_cannot_be_asked_never_changes_the_phase() -> None:
    for phase in Phase:
        assert _through(*[Observation.UNKNOWN] * 50, start=phase) is phase
        assert _through(*[Observation.NOWHERE] * 50, start=phase) is phase


def test_back_home_is_failed_or_stopped_when_somebody_asked() -> None:
    assert _through(Observation.COPYING, Observation.AT_HOME) is Phase.COPYING
    assert _through(Observation.COPYING, Observation.AT_HOME, Observation.AT_HOME) is Phase.FAILED
    assert _through(Observation.COPYING, Observation.AT_HOME, Observation.AT_HOME, stop_asked=True) is Phase.STOPPED


def test_an_accepted_move_that_never_shows_is_failed_only_after_patience() -> None:
    needed = PATIENCE[Phase.ASKED, Observation.AT_HOME]
    assert _through(*[Observation.AT_HOME] * (needed - 1)) is Phase.ASKED
    assert _through(*[Observation.AT_HOME] * needed) is Phase.FAILED


def test_a_broken_state_that_passes_by_is_not_believed_at_once() -> None:
    assert _through(Observation.COPYING, Observation.BROKEN, Observation.COPYING) is Phase.COPYING
    assert _through(Observation.COPYING, Observation.BROKEN, Observation.BROKEN) is Phase.NEEDS_RECOVERY
    assert _through(Observation.BROKEN, Observation.BROKEN, Observation.AT_HOME) is Phase.FAILED


def test_an_unlisted_pair_changes_nothing() -> None:
    for phase, seen in itertools.product(Phase, Observation):
        if (phase, seen) not in TRANSITIONS:
            assert _through(*[seen] * 40, start=phase) is phase


def test_only_one_sight_leads_to_success_and_success_is_never_left() -> None:
    assert {seen for (_, seen), after in TRANSITIONS.items() if after is Phase.SETTLED} == {Observation.ARRIVED}
    assert not [pair for pair in TRANSITIONS if pair[0] in (Phase.SETTLED, Phase.FAILED, Phase.STOPPED)]


def test_progress_counts_a_pass_each_time_the_bytes_left_rise_again() -> None:
    readings = [
        (0, 0, 100),
        (5 * SECOND, 50, 50),
        (10 * SECOND, 100, 20),
        (11 * SECOND, 110, 10),
        (12 * SECOND, 120, 4),
    ]
    assert progress(readings[:3]).rounds == 1
    assert progress([*readings, (13 * SECOND, 124, 6)]).rounds == 2


def test_progress_without_counters_says_that_it_does_not_know() -> None:
    assert progress([(0, None, None)]).transmitted is None
    assert progress([]).remaining_s is None


def test_the_rest_of_the_copy_is_more_than_the_rest_of_this_pass() -> None:
    # the second pass has a tenth of the first: more of that kind follow
    sent = [(1, 100, 900), (10 * SECOND, 1000, 0), (10 * SECOND + 1, 1000, 100), (10_500_000_000, 1050, 50)]
    found = progress(sent)
    assert found.remaining_s is not None
    assert found.bytes_per_s is not None
    assert found.remaining_s > 50 / found.bytes_per_s


def test_the_rate_of_a_copy_is_not_that_of_the_time_before_a_byte_moved() -> None:
    still = [(second * SECOND, 0, 4000) for second in range(12)]
    first = progress([*still, (12 * SECOND, 100, 3900)])
    assert first.transmitted == 100
    assert first.remaining_s is None, "one reading gives no rate, and no estimate is better than a wrong one"
    moving = [(second * SECOND, 100 * (second - 11), 4000 - 100 * (second - 11)) for second in range(12, 16)]
    found = progress([*still, *moving])
    assert found.bytes_per_s == 100
    assert found.remaining_s == 36.0
