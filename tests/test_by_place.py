"""A plan over frames of several places becomes a plan for each place, in steps where one has to wait for another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.config import Site
from lpmkit.errors import NotAllowed
from lpmkit.plan import MovePlan, load_plan
from lpmkit.plan.by_place import by_place
from lpmkit.plan.driving import driving_place
from lpmkit.plan.evacuation import Made
from lpmkit.plan.packing import Left, Need, Packing, Placed
from lpmkit.plan.plan_file import write_plans
from lpmkit.runbook import SiteInventory
from tests.scripted_machines import planned

FRAME = {"manager": "ivm", "host": "x.invalid", "mover_address": "192.0.2.1"}
#: Frames m1 and m2 are driven from muc, f1 from fra, n1 from wherever a plan is started.
PLACES = {"m1": "muc", "m2": "muc", "f1": "fra", "n1": ""}
SITE = Site.model_validate(
    {
        "frames": {name: {**FRAME, "place": place} for name, place in PLACES.items()} | {"p8b": FRAME},
        "store": "postgresql://lpmkit@db1/lpmkit",
    }
)


def _parts(*moves: Mapping[str, Any], **more: Any) -> list[tuple[int, str, list[str]]]:
    return [
        (part.step, part.place, [move.partition for move in part.plan.moves])
        for part in by_place(planned(*moves, **more), SITE)
    ]


def test_partitions_of_one_place_stay_one_plan_as_it_was() -> None:
    plan = planned({"partition": "p", "source": "m1"}, {"partition": "q", "source": "m2", "after": ["p"]})
    (part,) = by_place(plan, SITE)
    assert (part.step, part.place) == (1, "muc")
    assert part.plan == plan


def test_each_place_gets_its_moves_in_their_order_and_all_may_run_at_once() -> None:
    moves = [
        {"partition": name, "source": source} for name, source in zip("pqrs", ("m1", "f1", "m2", "n1"), strict=True)
    ]
    assert _parts(*moves) == [(1, "", ["s"]), (1, "fra", ["q"]), (1, "muc", ["p", "r"])]


def test_what_waits_for_a_move_at_another_place_is_a_step_later_with_all_that_waits_for_it() -> None:
    moves: list[dict[str, Any]] = [
        {"partition": "app", "source": "f1"},
        {"partition": "db", "source": "m1", "after": ["app"]},
        {"partition": "standby", "source": "m2", "after": ["db"]},
        {"partition": "back", "source": "f1", "after": ["standby"]},
        {"partition": "other", "source": "m1"},
    ]
    assert _parts(*moves) == [
        (1, "fra", ["app"]), (1, "muc", ["other"]), (2, "muc", ["db", "standby"]), (3, "fra", ["back"]),
    ]  # fmt: skip


def test_members_of_a_cluster_at_two_places_are_never_in_plans_of_one_step() -> None:
    moves = [{"partition": "node1", "source": "m1"}, {"partition": "node2", "source": "f1"}]
    assert _parts(*moves, clusters={"hacmp1": ["node1", "node2"]}) == [(1, "muc", ["node1"]), (2, "fra", ["node2"])]
    first, second = by_place(planned(*moves, clusters={"hacmp1": ["node1", "node2"]}), SITE)
    assert first.plan.clusters == second.plan.clusters == {"hacmp1": ("node1", "node2")}
    assert (first.plan.moves[0].wait_for, second.plan.moves[0].wait_for) == ({}, {"node1": "p8b"})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_the_order_every_move_is_in_one_plan_and_waits_for_none_of_its_step(data: st.DataObject) -> None:
    names = [f"lp{number}" for number in range(data.draw(st.integers(1, 9)))]
    moves = [
        {"partition": name, "source": data.draw(st.sampled_from(sorted(PLACES))),
         "after": data.draw(st.lists(st.sampled_from(names[:number] or [""]), unique=True,
                                     max_size=2)) if number else []}
        for number, name in enumerate(names)
    ]  # fmt: skip
    members = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    plan = planned(*data.draw(st.permutations(moves)), clusters={"c": members} if len(members) > 1 else {})
    parts = by_place(plan, SITE)
    at = {move.partition: (part.step, part.place) for part in parts for move in part.plan.moves}
    assert sorted(at) == sorted(names)
    assert sum(len(part.plan.moves) for part in parts) == len(names)
    for part in parts:
        assert driving_place(SITE, part.plan, SiteInventory({}, (), {})) == part.place
        for move in part.plan.moves:
            for earlier in plan.move(move.partition).after:
                assert earlier in move.after or (at[earlier][0] < part.step and earlier in move.wait_for)
            for mate in members if move.partition in members else ():
                assert mate in part.plan.clusters.get("c", members)
                same = at[mate] == (part.step, part.place)
                assert same or (at[mate][0] < part.step) == (mate in move.wait_for)
                assert same or at[mate][0] != part.step
    assert {step for step, _ in at.values()} == set(range(1, parts[-1].step + 1))


def _made(plan: MovePlan) -> Made:
    needs = [Need(move.partition, str(move.source), 3, 1024, 0.5, 0) for move in plan.moves]
    left = Left(Need("stays", "m1", 4, None, None, None), {"p8b": ("no room",)})
    return Made(plan, Packing(tuple(Placed(need, "p8b", 3) for need in needs), (left,)))


def test_the_files_have_the_places_names_are_read_as_the_plans_and_say_what_comes_first(tmp_path: Path) -> None:
    plan = planned({"partition": "app", "source": "f1"}, {"partition": "db", "source": "m1", "after": ["app"]})
    written = write_plans(_made(plan), "Return", 10**18, tmp_path / "return.yaml", SITE)
    assert [path.name for path, _ in written] == ["return-1-fra.yaml", "return-2-muc.yaml"]
    for path, part in written:
        assert load_plan(path) == part.plan
    first, second = (path.read_text() for path, _ in written)
    assert "Start it once these are over" in second
    assert "return-1-fra.yaml" in second
    assert ("stays: " in first, "stays: " in second) == (True, False)
    titles = [part.plan.title for _, part in written]
    assert titles == ["night, fra, step 1 of 2", "night, muc, step 2 of 2"]


def test_no_file_is_written_where_one_of_them_is_there(tmp_path: Path) -> None:
    plan = planned({"partition": "p", "source": "m1"}, {"partition": "q", "source": "f1"})
    (tmp_path / "return-muc.yaml").write_text("mine")
    with pytest.raises(NotAllowed, match="there is a file of that name"):
        write_plans(_made(plan), "Return", 10**18, tmp_path / "return.yaml", SITE)
    assert [path.name for path in tmp_path.iterdir()] == ["return-muc.yaml"]
