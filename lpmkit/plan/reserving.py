"""Ids and slots that the orders of a plan name: reserved for the moves under way, and compared after the move."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from lpmkit.control.base import Order
from lpmkit.mapping.attributes import SLOT_MAPPINGS, Reserved
from lpmkit.mapping.ordered import ORDERED
from lpmkit.migration.phases import Phase
from lpmkit.plan import MovePlan, PlannedMove
from lpmkit.plan.schedule import OVER, Stage
from lpmkit.plan.status import PlanStatus
from lpmkit.runbook import SiteInventory
from lpmkit.runs.folder import Run

#: Nothing is reserved.
NOTHING = Reserved()
#: Phases before the target's manager lists what an order names.
_NOT_THERE_YET = (None, Phase.PREPARED, Phase.ASKED, Phase.STARTING)


def with_own_id(order: Order, plan: MovePlan, inventory: SiteInventory, reserved: Reserved = NOTHING) -> Order:
    """The order with an id that no other move of the plan will need, where it names none.

    Another partition that moves to the same frame keeps its id, or its plan or its order under way names one
    (``reserved``): a manager that chooses freely could assign that id first. Without such a move the order is
    unchanged.
    """
    if "dest_lpar_id" in order.mapping:
        return order
    ids = {placed.partition.name: placed.partition.lpar_id for placed in inventory.placed}
    wanted = {
        int(move.mapping.get("dest_lpar_id", 0)) or ids.get(move.partition, 0)
        for move in plan.moves
        if move.partition != order.partition
        and move.target == order.target
        and (move.keep_mapping or "dest_lpar_id" in move.mapping)
    } | reserved.ids
    if not wanted - {0}:
        return order
    taken = wanted | {placed.partition.lpar_id for placed in inventory.placed if placed.frame == order.target}
    own = ids.get(order.partition, 0)
    free = own if own and own not in taken else next(number for number in count(1) if number not in taken)
    return replace(order, mapping={**order.mapping, "dest_lpar_id": str(free)})


def reserved_by(status: PlanStatus, partition: str, target: str) -> Reserved:
    """Ids and slots of a target that other orders name: those under way, and ids that the plan names for later."""
    records = [
        move.mapping
        for move in status.plan.moves
        if move.partition != partition and move.target == target and status.stages[move.partition] not in OVER
    ]
    for move in status.moves:
        if move.target == target and move.stage is Stage.MOVING and move.run is not None:
            records.append((Run(move.run).manifest.get("order") or {}).get("mapping") or {})
    return Reserved.of(records)


def collides(status: PlanStatus, partition: str, target: str) -> str | None:
    """Reason to wait for another move to the same target: only one of the two orders names its slots.

    Until the target lists what the one has named, its manager could give it to the other.
    """
    named = names_slots(status.plan.move(partition))
    for move in status.moves:
        begun = move.now is not None and move.now.phase not in _NOT_THERE_YET
        under_way = move.stage is Stage.MOVING and move.target == target and not begun
        if under_way and names_slots(status.plan.move(move.partition)) != named:
            return f"{move.partition} is about to take its slots on {target}"
    return None


def names_slots(move: PlannedMove) -> bool:
    """True if the order of a move names slots of the target's I/O servers."""
    return move.keep_mapping or any(move.mapping.get(name) for name in SLOT_MAPPINGS)


def not_as_ordered(run: Run) -> str:
    """The values that a partition got otherwise than its order names; empty if there are none, or no survey after the
    move shows them.
    """
    document: Any = run.document("changes")
    rows = [row for row in document if isinstance(row, dict)] if isinstance(document, list) else []
    return ", ".join(
        f"{str(row['what']).removeprefix(ORDERED)} {row['after']} instead of {row['before']}"
        for row in rows
        if str(row.get("what", "")).startswith(ORDERED) and row.get("as_it_should") is False
    )
