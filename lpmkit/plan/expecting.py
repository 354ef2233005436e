"""The facts that the forecast of a plan needs of its moves and machines, asked of them. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from lpmkit.control.base import Order
from lpmkit.errors import RemoteError
from lpmkit.inventory import MoverPair, Partition
from lpmkit.plan import MOVER_TAKES, MovePlan
from lpmkit.plan.orders import listed, order_for
from lpmkit.plan.outlook import from_listing, preparations
from lpmkit.plan.schedule import Membership
from lpmkit.plan.timetable import Expected, Surroundings
from lpmkit.prediction.history import history
from lpmkit.prediction.moves import ObservedMove
from lpmkit.prediction.nights import slowing
from lpmkit.prediction.predicting import common_shares
from lpmkit.prediction.prior import MAX_HISTORY
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run


def surroundings(
    book: Runbook,
    inventory: SiteInventory,
    moves: Iterable[Expected],
    clusters: Mapping[str, frozenset[Membership]],
    past: Sequence[ObservedMove],
) -> Surroundings:
    """The limits of these moves: frames as listed, and what their movers take at once.

    A frame that does not report the latter is taken to allow `lpmkit.plan.MOVER_TAKES`.
    """
    at_most: dict[str, int] = {}
    for frame in dict.fromkeys(name for move in moves for name in (move.source, move.target)):
        try:
            takes = book.movers_take(frame)
        except RemoteError:
            takes = {frame: None}
        at_most |= {mover: MOVER_TAKES if limit is None else limit for mover, limit in takes.items()}
    runs, common = book.site.runs, common_shares(past)
    return Surroundings(
        inventory.frames,
        at_most,
        clusters,
        runs.lead_in_s,
        runs.tail_s,
        preparations(runs.folder),
        slowing(past[-MAX_HISTORY:]),
        common.night,
        common.beside,
    )


def expectations(book: Runbook, plan: MovePlan, inventory: SiteInventory) -> tuple[list[Expected], Surroundings]:
    """The moves of a plan that begins, by the managers' listings, and what limits them. Raises as `order_for`."""
    past = history(book.site.runs.folder)
    moves: list[Expected] = []
    pairs: dict[tuple[str, str], tuple[MoverPair, ...]] = {}
    for planned in plan.moves:
        order = order_for(book, plan, planned, inventory)
        way = (order.source, order.target)
        if way not in pairs:
            pairs[way] = book.mover_pairs(order)
        partition = listed(inventory, order)
        window = book.limits_of(order).window
        expected = from_listing(asdict(partition), order.source, order.target, past, window.end_ns)
        moves.append(replace(expected, pairs=pairs[way]))
    return moves, surroundings(book, inventory, moves, {}, past)


def from_survey(book: Runbook, run: Run, order: Order, partition: Partition) -> Expected:
    """A move for the forecast, by its survey; how long it lasts is not known yet."""
    pairs = (run.document("survey") or {}).get("mover_pairs") or ()
    return Expected(
        order.partition,
        order.source,
        order.target,
        None,
        partition.state == "Not Activated",
        tuple(MoverPair(**pair) for pair in pairs),
        window_end_ns=book.limits_of(order).window.end_ns,
    )


def memberships(run: Run) -> frozenset[Membership]:
    """The cluster software in a partition, by the survey of its run."""
    guest = (run.document("survey") or {}).get("guest") or {}
    return frozenset((str(member["kind"]), str(member.get("cluster") or "")) for member in guest.get("clusters") or ())
