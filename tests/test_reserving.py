"""Ids and slots that the orders of a plan name: two moves never name the same, and what came otherwise is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from lpmkit.control.base import Order
from lpmkit.mapping.attributes import Reserved, build_attributes
from lpmkit.mapping.changes import changes
from lpmkit.mapping.ordered import ordered_rows
from lpmkit.migration.phases import Phase, Progress
from lpmkit.migration.status import State
from lpmkit.plan import MovePlan
from lpmkit.plan.reserving import collides, not_as_ordered, reserved_by, with_own_id
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import MoveStatus, PlanStatus
from lpmkit.runbook import PartitionLocation, SiteInventory
from lpmkit.runs.folder import create, write_document
from lpmkit.survey.identity import Change
from lpmkit.survey.model import Survey
from lpmkit.timeline import Clock, wait_until
from tests.in_process import Place, place


@pytest.fixture(scope="module")
def up() -> Iterator[Place]:
    with place("p8pair") as found:
        yield found


@pytest.fixture(scope="module")
def surveys(up: Place) -> dict[str, Survey]:
    return {name: up.survey(up.order(name, "p8a", "p8b")) for name in ("p8aix01", "p8vnic01", "p8npiv01")}


def under_way(tmp_path: Path, record: Mapping[str, str], phase: Phase, *, keeps: bool = True) -> PlanStatus:
    """A plan in which ``first`` has its order and ``second`` waits."""
    moves = [
        {"partition": "first", "target": "p8b", "keep_mapping": keeps},
        {"partition": "second", "target": "p8b", "keep_mapping": True},
        {"partition": "third", "target": "p8b", "mapping": {"dest_lpar_id": "21"}},
        {"partition": "fourth", "target": "p8c", "mapping": {"dest_lpar_id": "22"}},
    ]
    plan = MovePlan.model_validate({"moves": moves})
    order = Order("first", "p8a", "p8b", "", "", "", dict(record))
    run = create(tmp_path, mode="move", title="first", facts={"order": asdict(order)})
    status = [MoveStatus(one.partition, Stage.WAITING, target=one.target) for one in plan.moves]
    moving = State(phase, True, None, Progress())
    status[0] = replace(status[0], stage=Stage.MOVING, run=run.path, now=moving)
    return PlanStatus(plan, tuple(status), True, None, None)


RECORD = {
    "dest_lpar_id": "7",
    "virtual_scsi_mappings": "2/p8b-vios1/1/11,3/p8b-vios2/2/11",
    "virtual_fc_mappings": "5//2/31/fcs0",
}


def test_what_a_move_under_way_names_and_what_the_plan_names_for_later_is_reserved(tmp_path: Path) -> None:
    reserved = reserved_by(under_way(tmp_path, RECORD, Phase.ASKED), "second", "p8b")
    assert reserved.ids == {7, 21}
    assert reserved.slots == {("p8b-vios1", 11), ("1", 11), ("p8b-vios2", 11), ("2", 11), ("2", 31)}


def test_an_order_takes_neither_slot_nor_id_of_a_move_under_way(surveys: dict[str, Survey]) -> None:
    reserved = Reserved.of([RECORD, {"virtual_scsi_mappings": "2//1/12"}])
    record = build_attributes(surveys["p8aix01"], reserved).record
    assert record["virtual_scsi_mappings"] == "2/p8b-vios1/1/13,3/p8b-vios2/2/12"
    second = build_attributes(surveys["p8vnic01"], Reserved.of([RECORD, record])).record
    assert second["virtual_scsi_mappings"] == "2/p8b-vios1/1/12,3/p8b-vios2/2/13"
    named = Reserved.of([record]).slots & Reserved.of([second]).slots
    assert not named
    npiv = surveys["p8npiv01"]
    assert build_attributes(npiv).record["dest_lpar_id"] == "4"
    assert "dest_lpar_id" not in build_attributes(npiv, Reserved(frozenset({4}))).record


def test_an_order_gets_an_id_of_its_own_beside_one_under_way(surveys: dict[str, Survey]) -> None:
    plan = MovePlan.model_validate({"moves": [{"partition": "p8aix01", "target": "p8b"}]})
    listed = [("p8b", one) for one in surveys["p8aix01"].target.partitions or ()]
    listed += [("p8a", one) for one in surveys["p8aix01"].source.partitions or ()]
    inventory = SiteInventory({}, tuple(PartitionLocation(frame, one) for frame, one in listed), {})
    order = Order("p8aix01", "p8a", "p8b", "", "", "")
    assert with_own_id(order, plan, inventory).mapping == {}, "nothing else goes there"
    assert with_own_id(order, plan, inventory, Reserved(frozenset({4}))).mapping == {"dest_lpar_id": "5"}


@pytest.mark.parametrize(
    ("phase", "keeps", "waits"),
    [
        (Phase.PREPARED, False, True),
        (Phase.ASKED, False, True),
        (Phase.STARTING, False, True),
        (Phase.COPYING, False, False),
        (Phase.ASKED, True, False),
    ],
)
def test_an_order_with_slots_waits_for_one_without_until_that_has_begun(
    tmp_path: Path, phase: Phase, keeps: bool, waits: bool
) -> None:
    status = under_way(tmp_path, {}, phase, keeps=keeps)
    assert bool(collides(status, "second", "p8b")) is waits
    assert collides(status, "second", "p8c") is None


def test_what_an_order_names_is_what_the_manager_gives_and_what_is_taken_it_refuses() -> None:
    with place("p8pair") as up:
        _move_two_and_name_the_same_again(up)


def _move_two_and_name_the_same_again(up: Place) -> None:
    names = ("p8aix01", "p8vnic01")
    orders: list[Order] = []
    for name, lpar_id in zip(names, (17, 18), strict=True):
        order = up.order(name, "p8a", "p8b")
        record = build_attributes(up.survey(order), Reserved.of(one.mapping for one in orders)).record
        orders.append(replace(order, mapping={**record, "dest_lpar_id": str(lpar_id)}))
    control = up.control("p8a")
    for order in orders:
        control.migrate(order)
    for order in orders:
        assert wait_until(partial(_is_on, up, order), clock=Clock(), timeout_s=60, every_s=0.02)
        target = up.survey(up.order("p8lin01", "p8a", "p8b")).target
        rows = ordered_rows(order.mapping, target, order.partition)
        assert {row.change for row in rows} == {Change.SAME}, rows
        assert len(rows) >= 3
    taken = orders[0].mapping["virtual_scsi_mappings"]
    for attribute, value, said in (
        ("dest_lpar_id", "17", "id 17 is in use"),
        ("virtual_scsi_mappings", taken, "slot 11 of p8b-vios1 is in use"),
        ("virtual_scsi_mappings", "2/nobody//30", "nobody"),
    ):
        refused = control.validate(up.order("p8lin01", "p8a", "p8b", {attribute: value}))
        assert refused.status != 0
        assert said in refused.text


def _is_on(up: Place, order: Order) -> bool:
    there = up.world.partition(order.target, order.partition)
    return there is not None and there.migration is None


def test_an_id_that_is_another_than_the_order_names_is_not_as_ordered(
    surveys: dict[str, Survey], tmp_path: Path
) -> None:
    before = surveys["p8npiv01"]
    moved = next(one for one in before.source.partitions or () if one.name == "p8npiv01")
    there = replace(moved, lpar_id=9, pool="DefaultPool")
    after = replace(
        before,
        source=replace(before.source, partitions=()),
        target=replace(before.target, partitions=(*(before.target.partitions or ()), there)),
        mapping={"dest_lpar_id": "4", "shared_proc_pool_name": "ORACLE", "virtual_fc_mappings": "5/p8b-vios1/1/21"},
    )
    rows = [asdict(row) for row in changes(before, after)]
    run = create(tmp_path, mode="move", title="x", facts={})
    assert not_as_ordered(run) == "", "no survey after the move"
    write_document(run.path, "changes", rows)
    assert not_as_ordered(run) == "partition id 9 instead of 4, processor pool DefaultPool instead of ORACLE"
    (unknown,) = [row for row in rows if "Fibre Channel slot" in row["what"]]
    assert (unknown["change"], unknown["as_it_should"]) == (Change.UNKNOWN, None), "no adapter is listed for it"
