"""Room that a plan shares with other plans and moves, on this host and others, through the shared store.

Without a store nobody else is known: a site carries out one plan at a time then, and every decision is the plan's own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.mapping.attributes import SLOT_MAPPINGS, Reserved
from lpmkit.mapping.movers import TWO_PAIRS
from lpmkit.plan.schedule import UnderWay
from lpmkit.runs.folder import Run, run_key
from lpmkit.ssh.secrets import Secrets
from lpmkit.store import shared_store

if TYPE_CHECKING:
    from lpmkit.store.database import Store
    from lpmkit.store.moves import Claim


@dataclass(frozen=True, slots=True)
class Other:
    """A move of somebody else: what it occupies, the mapping that its order names, and who makes it."""

    under_way: UnderWay
    mapping: Mapping[str, str]
    names_slots: bool
    holder: str


#: Judges room with the moves of all others in view; the reason to wait, or ``None``.
Judge = Callable[[Sequence[Other]], str | None]


class PlanRoom(Protocol):
    """The room that a conductor's plan has beside the moves of others."""

    def others(self) -> list[Other]:
        """The moves of others that hold room now. Raises `StoreUnavailable`."""
        ...

    def reserve(self, move: UnderWay, mapping: Mapping[str, str], names_slots: bool, judge: Judge) -> str | None:
        """Hold room for a move; the reason to wait, or ``None``. Raises `StoreUnavailable`."""
        ...

    def hold_only(self, partitions: Collection[str]) -> None:
        """Give back the plan's room but for these partitions. Raises `StoreUnavailable`."""
        ...


class OwnRoom:
    """Room without a shared store: nobody else is known."""

    def others(self) -> list[Other]:
        """See `PlanRoom.others`."""
        return []

    def reserve(self, move: UnderWay, mapping: Mapping[str, str], names_slots: bool, judge: Judge) -> str | None:
        """See `PlanRoom.reserve`."""
        del move, mapping, names_slots
        return judge([])

    def hold_only(self, partitions: Collection[str]) -> None:
        """See `PlanRoom.hold_only`."""


class SharedRoom:
    """Room in the shared store, for the plan of one folder."""

    def __init__(self, store: Store, plan: str) -> None:
        self._store, self._plan = store, plan
        #: The partitions that may have a reservation; ``None`` before the first look.
        self._held: set[str] | None = None

    def others(self) -> list[Other]:
        """See `PlanRoom.others`."""
        from lpmkit.store.moves import others  # noqa: PLC0415 - an extra

        return [_other(claim) for claim in others(self._store, self._plan)]

    def reserve(self, move: UnderWay, mapping: Mapping[str, str], names_slots: bool, judge: Judge) -> str | None:
        """See `PlanRoom.reserve`."""
        from lpmkit.store.moves import Claim, reserve  # noqa: PLC0415 - an extra

        claim = Claim(move.partition, move.source, move.target, move.inactive, move.movers, dict(mapping), names_slots)
        if self._held is not None:
            self._held.add(move.partition)
        return reserve(
            self._store,
            self._plan,
            socket.gethostname(),
            claim,
            lambda claims: judge([_other(one) for one in claims]),
        )

    def hold_only(self, partitions: Collection[str]) -> None:
        """See `PlanRoom.hold_only`. Asks the store only if there is something to give back."""
        from lpmkit.store.moves import hold_only  # noqa: PLC0415 - an extra

        if self._held is None or self._held - set(partitions):
            hold_only(self._store, self._plan, partitions)
            self._held = set(partitions)


def room_of(site: Site, secrets: Secrets, folder: Run) -> PlanRoom:
    """The room of a folder's plan: in the site's shared store, if it has one."""
    store = shared_store(site, secrets)
    return OwnRoom() if store is None else SharedRoom(store, plan_key(folder))


def plan_key(folder: Run) -> str:
    """The name of a plan in the shared store: the same after its folder was renamed, or its conductor replaced."""
    return f"{folder.manifest['title']} ({run_key(folder.manifest)[:12]})"


def movers_of(claim: Claim) -> tuple[str, ...]:
    """The movers that a claim occupies: those that it lists, else those that its order names, else its frames.

    >>> from lpmkit.store.moves import Claim
    >>> movers_of(Claim("p", "a", "b", mapping={"redundant_msps": "1/a1/1/192.0.2.1/b2/2/,1/a2/2//b1/1/"}))
    ('a1', 'b2', 'a2', 'b1')
    >>> movers_of(Claim("p", "a", "b", mapping={"source_msp_name": "a1"}))
    ('a1', 'b')
    """
    if claim.movers:
        return claim.movers
    items = [item.split("/") for item in claim.mapping.get(TWO_PAIRS, "").split(",")]
    named = tuple(name for item in items if len(item) > 4 for name in (item[1], item[4]) if name)
    one_pair = (claim.mapping.get("source_msp_name", claim.source), claim.mapping.get("dest_msp_name", claim.target))
    return named or one_pair


def _other(claim: Claim) -> Other:
    move = UnderWay(claim.partition, claim.source, claim.target, claim.inactive, movers_of(claim))
    named = any(claim.mapping.get(name) for name in SLOT_MAPPINGS) if claim.names_slots is None else claim.names_slots
    return Other(move, claim.mapping, named, claim.holder)


def reserved_by_others(others: Sequence[Other], target: str) -> Reserved:
    """Ids and slots of a target that the orders of others name."""
    return Reserved.of(other.mapping for other in others if other.under_way.target == target)


def slots_of_others(others: Sequence[Other], target: str, names_slots: bool) -> str | None:
    """Reason to wait for another's move to the same target: only one of the two orders names its slots."""
    for other in others:
        if other.under_way.target == target and other.names_slots != names_slots:
            return f"{other.under_way.partition} ({other.holder}) takes its slots on {target}"
    return None


def taken_by_others(others: Sequence[Other], order: Order) -> str | None:
    """Reason to wait: an id or a slot that an order names is named by another's."""
    mine = Reserved.of([order.mapping])
    for other in others:
        theirs = reserved_by_others([other], order.target)
        if mine.ids & theirs.ids or mine.slots & theirs.slots:
            return f"{other.under_way.partition} ({other.holder}) gets the same id or slot on {order.target}"
    return None
