"""A plan of several moves: what it may say, and what holds each of its moves back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.config import Site
from lpmkit.errors import SiteFileError
from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import Limits, MovePlan, in_site_order, load_plan, save_plan
from lpmkit.plan.schedule import (
    LOST,
    OVER,
    Stage,
    UnderWay,
    cluster_mate,
    cluster_mate_elsewhere,
    fits,
    halts,
    hold,
    least_busy,
    not_there_yet,
    queue,
)
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.settings.sap import SapSystemSettings

ROOMY = Frame("p8b", "8286-42A", "21A40BC", active_migrations_supported=16, active_migrations_in_progress=0)


def _plan(*moves: dict[str, object], **more: object) -> MovePlan:
    given = [{"target": "p8b", **one} for one in moves]
    return MovePlan.model_validate({"title": "night", "moves": given, **more})


def _waiting(plan: MovePlan, **others: Stage) -> dict[str, Stage]:
    return {one.partition: others.get(one.partition, Stage.WAITING) for one in plan.moves}


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rack7.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_is_named_by_its_file_unless_it_says_its_title(tmp_path: Path) -> None:
    plan = load_plan(_write(tmp_path, "moves:\n  - {partition: a, target: p8b}\n"))
    assert plan.title == "rack7"
    assert plan.on_failure == "stop"


def test_a_plan_that_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    plan = _plan(
        {"partition": "a b", "accept": ("power-ha",)},
        {"partition": "ü*,'", "after": ("a b",), "keep_mapping": True, "mapping": {"dest_lpar_id": "12"}},
        on_failure="go-on",
        limits={"link": 1, "mover": 3},
        clusters={"hacmp1": ("a b", "ü*,'")},
    )
    assert load_plan(save_plan(plan, tmp_path / "plan.yaml")) == plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("moves: []\n", "at least 1"),
        ("title: x\n", "moves"),
        ("- a\n", "it should hold `moves:`"),
        ("moves: [{partition: a, target: b}, {partition: a, target: c}]\n", "more than once: a"),
        ("moves: [{partition: a, target: b, after: [z]}]\n", "a comes after z, which the plan does not move"),
        (
            "moves: [{partition: a, target: b, after: [c]}, {partition: c, target: b, after: [a]}]\n",
            "these moves wait for each other",
        ),
        (
            "moves: [{partition: a, target: b}]\nclusters: {ha: [y, z]}\n",
            "the plan moves no partition of the cluster ha (y, z)",
        ),
        ("moves: [{partition: a, target: b, wait_for: {a: b}}]\n", "a waits for a, which this plan moves: use `after`"),
        ("moves:\n  - {partition: a, target: b}\n  - {partition: c, targget: b}\n", "line 3"),
        ("moves: [{partition: a, target: b}]\nlimits: {link: 0}\n", "line 2, limits.link"),
        ("moves: [{partition: a\n", "line"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named_by_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_plan(_write(tmp_path, text))
    assert said in str(caught.value)
    assert "the plan cannot be used" in str(caught.value)


def test_a_database_comes_after_the_application_servers_of_its_system() -> None:
    site = Site(
        sap_systems={"BX5": SapSystemSettings(partition="app"), "ONE": SapSystemSettings(partition="both")},
        databases={"BX5": DatabaseSettings(partition="db"), "ONE": DatabaseSettings(partition="both")},
    )

    plan = in_site_order(_plan({"partition": "db"}, {"partition": "app"}, {"partition": "both"}), site)
    assert plan.move("db").after == ("app",)
    assert plan.move("both").after == ()
    opposite = _plan({"partition": "db"}, {"partition": "app", "after": ("db",)})
    assert in_site_order(opposite, site) == opposite, "the plan's own word goes first"


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_a_move_waits_for_what_it_comes_after_and_says_so() -> None:
    plan = _plan({"partition": "db", "after": ("app",)}, {"partition": "app"})
    found = queue(plan, _waiting(plan), {}, None)
    assert found.ready == ("app",)
    assert found.waits == {"db": "comes after app"}
    watching = queue(plan, _waiting(plan, app=Stage.WATCHING), {}, None)
    assert watching.waits == {"db": "comes after app"}, "until its tail is over nobody knows how it fares"
    assert queue(plan, _waiting(plan, app=Stage.ARRIVED), {}, None).ready == ("db",)


@pytest.mark.parametrize("stage", LOST)
def test_what_comes_after_a_lost_move_is_dropped_with_all_that_follows(stage: Stage) -> None:
    plan = _plan(
        {"partition": "a"}, {"partition": "b", "after": ("a",)}, {"partition": "c", "after": ("b",)}, {"partition": "d"}
    )
    found = queue(plan, _waiting(plan, a=stage), {}, None)
    assert set(found.dropped) == {"b", "c"}
    assert found.ready == ("d",)
    assert "a, which did not arrive" in found.dropped["b"]


def test_a_halted_plan_starts_and_drops_nothing() -> None:
    plan = _plan({"partition": "a"}, {"partition": "b", "after": ("a",)}, {"partition": "c"})
    found = queue(plan, _waiting(plan, a=Stage.FAILED), {}, "a failed")
    assert found.ready == ()
    assert found.dropped == {}
    assert set(found.waits.values()) == {"a failed"}


def test_a_failure_halts_a_plan_that_stops_and_a_migration_left_in_between_halts_every_plan() -> None:
    stops, goes_on = (_plan({"partition": "a"}, {"partition": "b"}, on_failure=word) for word in ("stop", "go-on"))
    assert halts(stops, _waiting(stops, a=Stage.FAILED))
    assert halts(goes_on, _waiting(goes_on, a=Stage.FAILED)) is None
    assert "recover" in (halts(goes_on, _waiting(goes_on, a=Stage.RECOVERY)) or "")
    assert halts(stops, _waiting(stops, a=Stage.ARRIVED)) is None


def test_two_of_one_cluster_are_never_on_their_way_at_once_whether_the_plan_or_the_partitions_say_so() -> None:
    said = _plan(
        {"partition": "a"}, {"partition": "b"}, {"partition": "c"}, clusters={"one": ("a", "b"), "two": ("c",)}
    )
    busy = _waiting(said, a=Stage.WATCHING)
    assert queue(said, busy, {}, None).ready == ("c",)
    found = {name: frozenset({("PowerHA", "")}) for name in "abc"}
    assert queue(said, busy, found, None).ready == ("c",), "the plan says that c is of another cluster"
    unsaid = _plan({"partition": "a"}, {"partition": "b"}, {"partition": "d"})
    ha, gpfs, rac = ("PowerHA", ""), ("GPFS", ""), ("Oracle Clusterware", "")
    kinds = {"a": frozenset({ha, gpfs}), "b": frozenset({gpfs}), "d": frozenset({rac})}
    assert "GPFS" in (cluster_mate(unsaid, "b", _waiting(unsaid, a=Stage.MOVING), kinds) or "")
    assert cluster_mate(unsaid, "d", _waiting(unsaid, a=Stage.MOVING), kinds) is None
    assert cluster_mate(unsaid, "b", _waiting(unsaid, a=Stage.ARRIVED), kinds) is None


def test_another_of_its_cluster_that_somebody_else_moves_holds_a_partition_back() -> None:
    plan = _plan({"partition": "a"}, {"partition": "b"}, clusters={"ha": ("a", "z")})
    assert cluster_mate_elsewhere(plan, "a", {"z": "plan x on fra"}) == "z of the cluster ha is moving (plan x on fra)"
    assert cluster_mate_elsewhere(plan, "a", {"y": "plan x on fra"}) is None
    assert cluster_mate_elsewhere(plan, "b", {"z": "plan x on fra"}) is None
    assert plan.named_elsewhere() == {"z"}


@pytest.mark.parametrize(
    ("listed", "waits"),
    [
        ([("p8b", "Running")], None),
        ([("p8b", "Not Activated")], None),
        ([("p8a", "Running")], "waits for db on p8b; another plan moves it (p8a: Running)"),
        ([("p8a", "Migrating - Running"), ("p8b", "Migrating - Running")], "p8b: Migrating - Running"),
        ([("p8b", "Migrating - Running")], "another plan moves it"),
        ([], "no frame lists it"),
    ],
)
def test_a_move_waits_until_a_partition_of_another_plan_is_at_rest_on_its_frame(
    listed: list[tuple[str, str]], waits: str | None
) -> None:
    move = _plan({"partition": "a", "wait_for": {"db": "p8b"}}).move("a")
    why = not_there_yet(move, [(frame, Partition("db", 3, state)) for frame, state in listed])
    assert (why is None) if waits is None else waits in (why or "")


@pytest.mark.parametrize(
    ("one", "other", "waits"), [("prod", "prod", True), ("prod", "test", False), ("prod", "", True)]
)
def test_two_powerha_nodes_that_told_the_names_of_their_clusters_are_held_to_them(
    one: str, other: str, waits: bool
) -> None:
    plan = _plan({"partition": "a"}, {"partition": "b"})
    found = {"a": frozenset({("PowerHA", one)}), "b": frozenset({("PowerHA", other)})}
    assert bool(cluster_mate(plan, "b", _waiting(plan, a=Stage.MOVING), found)) is waits


# -- room --------------------------------------------------------------------------------------------------------------


def _hold(
    busy: int, frames: Mapping[str, Frame] | None = None, limits: Limits | None = None, **more: object
) -> str | None:
    under_way = [UnderWay(f"p{number}", "p8a", "p8b", movers=("a1", "b1")) for number in range(busy)]
    wish = replace(UnderWay("x", "p8a", "p8b", movers=("a1", "b1")), **more)  # type: ignore[arg-type]
    there = frames or {"p8a": replace(ROOMY, name="p8a"), "p8b": ROOMY}
    return hold(wish, under_way, there, limits or Limits(link=99), {"a1": 8, "b1": 8})


def test_a_frame_takes_as_many_moves_as_its_manager_allows_counting_those_of_others() -> None:
    def frames(running: int, allowed: int | None = 4) -> dict[str, Frame]:
        there = replace(ROOMY, active_migrations_supported=allowed, active_migrations_in_progress=running)
        return {"p8a": replace(ROOMY, name="p8a"), "p8b": there}

    assert _hold(0, frames(3)) is None
    assert _hold(0, frames(4)) == "p8b takes 4 at once and is busy with 4"
    assert _hold(3, frames(0)) is None
    assert _hold(4, frames(0)), "ours that the manager does not count yet"
    assert _hold(1, frames(0, None)) == "p8b takes 1 at once and is busy with 1", "one at a time where it does not say"


def test_an_inactive_move_counts_against_the_limit_for_inactive_ones() -> None:
    full = replace(ROOMY, active_migrations_in_progress=16, inactive_migrations_supported=64)
    frames = {"p8a": replace(full, name="p8a"), "p8b": full}
    assert _hold(0, frames, inactive=True, movers=()) is None
    assert _hold(0, frames)


def test_the_plans_own_limits_hold_beside_those_of_the_managers() -> None:
    assert "between p8a and p8b" in (_hold(2, limits=Limits(link=2)) or "")
    assert "the plan allows 3 at once on p8a" in (_hold(3, limits=Limits(link=9, frame=3)) or "")
    assert _hold(2, limits=Limits(link=9, mover=2)) == "the mover a1 takes 2 at once"
    assert _hold(2, limits=Limits(link=9, mover=2), movers=("a2", "b2")) is None
    assert _hold(8, limits=Limits(link=99, mover=12)) == "the mover a1 takes 8 at once", (
        "what it says goes before the plan"
    )


def test_the_least_busy_pair_of_movers_is_taken_and_the_lowest_ids_among_equals() -> None:
    pairs = [
        MoverPair("a1", 1, "", "b1", 1, ""),
        MoverPair("a2", 2, "", "b1", 1, ""),
        MoverPair("a2", 2, "", "b2", 2, ""),
    ]
    assert least_busy(pairs, []) == pairs[0]
    assert least_busy(pairs, [UnderWay("x", "p8a", "p8b", movers=("a1", "b1"))]) == pairs[2]
    assert least_busy([], []) is None


def test_room_on_the_target_is_counted_in_the_plans_order_and_what_left_makes_room() -> None:
    def lpar(name: str, memory: int | None, state: str = "Running", units: float | None = 1.0) -> Partition:
        return Partition(name, 3, state, memory_mb=memory, proc_units=units)

    frames = {
        "p8a": replace(ROOMY, name="p8a", memory_available_mb=0, proc_units_available=0.5),
        "p8b": replace(ROOMY, memory_available_mb=8192, proc_units_available=4.0),
    }
    found = fits(
        [
            (lpar("first", 6144), "p8a", "p8b"),
            (lpar("second", 4096), "p8a", "p8b"),
            (lpar("back", 4096), "p8b", "p8a"),
            (lpar("off", 9999, "Not Activated"), "p8a", "p8b"),
            (lpar("silent", None), "p8a", "p8b"),
            (lpar("busy", 1024, units=9.0), "p8a", "p8b"),
        ],
        frames,
    )
    assert [one.fits for one in found] == [True, False, True, True, None, False]
    assert found[1].why == "memory 4096 MB of 2048 MB"
    assert "processors 9" in found[5].why


# -- the whole course --------------------------------------------------------------------------------------------------

PAIRS = [MoverPair(f"a{one}", one, "", f"b{two}", two, "") for one in (1, 2) for two in (1, 2)]


@st.composite
def plans(draw: st.DrawFn) -> MovePlan:
    names = [f"p{number}" for number in range(draw(st.integers(1, 9)))]
    moves: list[dict[str, object]] = [
        {
            "partition": name,
            "after": tuple(draw(st.sets(st.sampled_from(names[:number]), max_size=2)) if number else ()),
        }
        for number, name in enumerate(names)
    ]
    members = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
    limits = {"link": draw(st.integers(1, 4)), "mover": draw(st.integers(1, 3))}
    return _plan(
        *moves, limits=limits, clusters={"ha": tuple(members)}, on_failure=draw(st.sampled_from(["stop", "go-on"]))
    )


@given(plans(), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_happens_no_limit_is_passed_no_order_broken_and_every_plan_ends(
    plan: MovePlan, data: st.DataObject
) -> None:
    frames = {"p8a": replace(ROOMY, name="p8a"), "p8b": replace(ROOMY, active_migrations_supported=3)}
    stages = _waiting(plan)
    under_way: dict[str, UnderWay] = {}
    for _ in range(20 * len(plan.moves)):
        halted = halts(plan, stages)
        found = queue(plan, stages, {}, halted)
        stages |= dict.fromkeys(found.dropped, Stage.DROPPED)
        started = False
        for name in found.ready:
            pair = least_busy(PAIRS, list(under_way.values()))
            assert pair is not None
            wish = UnderWay(name, "p8a", "p8b", movers=(pair.source, pair.target))
            if hold(wish, list(under_way.values()), frames, plan.limits, {}) is None:
                assert all(stages[other] is Stage.ARRIVED for other in plan.move(name).after)
                stages[name], under_way[name], started = Stage.MOVING, wish, True
                break
        assert len(under_way) <= min(3, plan.limits.link)
        for mover in ("a1", "a2", "b1", "b2"):
            assert sum(mover in one.movers for one in under_way.values()) <= (plan.limits.mover or 0)
        assert sum(name in plan.clusters["ha"] for name in under_way) <= 1
        if started or found.dropped:
            continue
        if not under_way:
            break
        name = data.draw(st.sampled_from(sorted(under_way)))
        del under_way[name]
        stages[name] = data.draw(st.sampled_from([Stage.ARRIVED, Stage.ARRIVED, Stage.FAILED, Stage.RECOVERY]))
    assert not under_way
    assert all(stage in OVER for stage in stages.values()) or halts(plan, stages)
