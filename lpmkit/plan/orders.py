"""The orders of planned moves."""

from __future__ import annotations

from lpmkit.control.base import Order
from lpmkit.errors import NotFound
from lpmkit.inventory import Partition
from lpmkit.plan import MovePlan, PlannedMove
from lpmkit.runbook import Runbook, SiteInventory


def order_for(book: Runbook, plan: MovePlan, move: PlannedMove, inventory: SiteInventory) -> Order:
    """The order of a planned move, as `Runbook.order` builds it.

    Raises the connection error of a silent frame instead of `NotFound` if no frame lists the partition.
    """
    try:
        return book.order(
            move.partition,
            move.target,
            source=move.source,
            mapping=move.mapping,
            options=move.options,
            limits=plan.limits_of(move.partition).as_data(),
            there=inventory,
        )
    except NotFound:
        for error in inventory.silent.values():
            raise error from None
        raise


def listed(inventory: SiteInventory, order: Order) -> Partition:
    """The partition of an order as its source lists it."""
    return next(
        place.partition
        for place in inventory.placed
        if place.frame == order.source and place.partition.name == order.partition
    )
