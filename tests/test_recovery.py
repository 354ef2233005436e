"""The table of what to do: complete, and never dangerous."""

from __future__ import annotations

import re
from itertools import product

import pytest

from lpmkit.control.base import MigrationReading, Order
from lpmkit.migration.ends import BothEnds, EndReading, stillness_s, tried
from lpmkit.migration.recovery import RULES, RecoveryAction, propose

ORDER = Order("p8 aix;01", "p8a", "p8b", "8286-42A*21A40BC", "192.0.2.99", "hscroot")
STATES = (
    None,
    "Running",
    "Not Activated",
    "Error",
    "Not Available",
    "Migrating - Running",
    "Migrating - Not Activated",
    "Nicht aktiviert",
)
MIGRATIONS = ("Not Migrating", "Migration Starting", "Migration Failed", None)
SYSTEMS = ("Operating", "Power Off", "No Connection", None)


def every_end(frame: str, systems: tuple[str | None, ...]) -> list[EndReading]:
    readings = [MigrationReading(None, None)]
    readings += [MigrationReading(state, migration) for state, migration in product(STATES[1:], MIGRATIONS)]
    return [EndReading(frame), *(EndReading(frame, reading, system) for reading, system in product(readings, systems))]


def every_pair() -> list[BothEnds]:
    connected = [
        BothEnds(ORDER, source, target, inactive, still_s, stop_refused, refused)
        for source in every_end("p8a", ("Operating",))
        for target in every_end("p8b", SYSTEMS)
        for inactive in (False, True)
        for still_s, stop_refused in ((None, False), (500.0, False), (500.0, True))
        for refused in (0, 1, 2)
    ]
    return connected + [
        BothEnds(ORDER, source, target, recover_refused=refused)
        for source in every_end("p8a", SYSTEMS[1:])
        for target in every_end("p8b", SYSTEMS)
        for refused in (0, 2)
    ]


@pytest.fixture(scope="module")
def proposals() -> list[tuple[BothEnds, RecoveryAction, str]]:
    found = []
    for ends in every_pair():
        said = propose(ends)
        found.append((ends, said.action, said.rule))
    return found


def test_nothing_is_forced_while_nobody_knows_what_the_target_runs(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    forced = [ends for ends, way, _ in proposals if way is RecoveryAction.FORCE]
    assert forced
    assert {ends.target.system for ends in forced} == {"Operating", "Power Off"}
    assert all(ends.target.reading is not None and ends.recover_refused for ends in forced)


def test_a_partition_is_started_only_where_the_other_end_surely_does_not_run_it(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    started = [ends for ends, way, _ in proposals if way is RecoveryAction.START]
    assert started
    for ends in started:
        assert not ends.source.migrates
        assert not ends.target.runs_it
        assert not {ends.source.system, ends.target.system} & {"No Connection", None}
        assert ends.source.reading is not None
        assert ends.target.reading is not None


def test_a_source_without_a_known_migration_state_is_never_called_as_it_was_before(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    unknown = [
        rule for ends, _, rule in proposals if ends.source.reading and ends.source.reading.migration_state is None
    ]
    assert unknown
    assert not {"at-home", "shell-left-there", "shell-there-no-power", "down-here"} & set(unknown)


def test_hands_are_kept_off_two_that_run_and_off_what_nobody_could_say(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    for ends, way, rule in proposals:
        if ends.source.runs_it and ends.target.runs_it and not ends.source.is_silent:
            assert (way, rule) == (RecoveryAction.HANDS_OFF, "runs-twice")
        if ends.source.reading is None or ends.source.system == "No Connection":
            assert way is RecoveryAction.HANDS_OFF


def test_recovery_comes_before_force_and_stop_before_recovery(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    for ends, way, _ in proposals:
        if way is RecoveryAction.FORCE:
            assert ends.recover_refused > 0
        if way is RecoveryAction.RECOVER and not ends.source.broken and not ends.target.runs_it:
            assert ends.stop_refused


def test_a_state_that_nobody_has_heard_of_proposes_nothing(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    foreign = [
        (way, rule)
        for ends, way, rule in proposals
        if ends.source.state == "Nicht aktiviert"
        and not ends.source.is_silent
        and not ends.source.migrates
        and not ends.target.migrates
        and not ends.target.runs_it
    ]
    assert foreign
    assert set(foreign) == {(RecoveryAction.HANDS_OFF, "unheard-of")}


def test_every_row_of_the_table_is_of_use(proposals: list[tuple[BothEnds, RecoveryAction, str]]) -> None:
    used = {rule for _, _, rule in proposals}
    assert {rule.key for rule in RULES} <= used
    assert len({rule.key for rule in RULES}) == len(RULES)


def test_what_is_to_be_typed_names_the_other_manager_and_cannot_be_taken_apart() -> None:
    here = EndReading(
        "p8a", MigrationReading("Migrating - Running", "Migration Failed"), "Operating", system_name="Server-8286"
    )
    said = propose(
        BothEnds(ORDER, here, EndReading("p8b", MigrationReading(None, None), "Operating"), recover_refused=2), "runs/x"
    )
    assert said.commands == (
        "lpmkit recover runs/x --force",
        "migrlpar -o r -m Server-8286 --ip 192.0.2.99 -u hscroot -p 'p8 aix;01' --force",
    )


def test_no_command_has_a_placeholder_where_the_system_is_not_known(
    proposals: list[tuple[BothEnds, RecoveryAction, str]],
) -> None:
    for ends, _, _ in proposals:
        for command in propose(ends, "runs/x").commands:
            assert not re.search(r"\b(SOURCE|TARGET|SYSTEM)\b", command), command
            assert " -m '' " not in command


def test_bytes_stand_still_since_they_last_changed() -> None:
    second = 1_000_000_000
    assert stillness_s([(0, 5), (10 * second, 9), (70 * second, 9), (80 * second, None)]) == 60.0
    assert stillness_s([(0, 5)]) is None


def test_a_recovery_that_went_through_wipes_the_slate() -> None:
    refused, done = {"what": "recover", "status": 1}, {"what": "recover", "status": 0}
    assert tried([refused, refused]) == (False, 2)
    assert tried([refused, done]) == (False, 0)
    assert tried([{"what": "recover", "status": None}]) == (False, 0)
