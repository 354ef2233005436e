"""Partition ids in a plan: no move gets the id that another one keeps."""

from __future__ import annotations

from lpmkit.control.base import Order
from lpmkit.inventory import Partition
from lpmkit.plan import MovePlan
from lpmkit.plan.reserving import with_own_id
from lpmkit.runbook import PartitionLocation, SiteInventory

ORDER = Order("p8aix01", "p8a", "p8b", "8286-42A*21A40BC", "", "")
PLACED = {
    "p8a": [Partition("p8aix01", 3, "Running"), Partition("p8npiv01", 4, "Running")],
    "p8b": [Partition("p8b-vios1", 1, "Running", "vioserver"), Partition("other", 3, "Running")],
}
INVENTORY = SiteInventory(
    {}, tuple(PartitionLocation(frame, partition) for frame, listed in PLACED.items() for partition in listed), {}
)


def plan(**second: object) -> MovePlan:
    first = {"partition": "p8aix01", "target": "p8b", "keep_mapping": True}
    return MovePlan.model_validate({"moves": [first, {"partition": "p8npiv01", "target": "p8b", **second}]})


def test_an_order_without_an_id_leaves_the_id_that_another_move_keeps() -> None:
    order = with_own_id(ORDER, plan(keep_mapping=True), INVENTORY)
    assert order.mapping["dest_lpar_id"] == "2"


def test_an_id_that_another_move_names_is_left_too() -> None:
    order = with_own_id(ORDER, plan(mapping={"dest_lpar_id": "2"}), INVENTORY)
    assert order.mapping["dest_lpar_id"] == "4"


def test_an_order_stays_as_it_is_where_no_other_move_needs_an_id() -> None:
    assert with_own_id(ORDER, plan(), INVENTORY) is ORDER
    assert with_own_id(ORDER, plan(keep_mapping=True, target="p8c"), INVENTORY) is ORDER
