"""Intents and reservations: what is moved, by whom, seen from every host.

`begin` writes the row without which no command is sent. Two unique keys make a second one impossible: the intent's own,
and the partition's while a move of it has no recorded end. `reserve` decides on room with every other plan's moves in
view, one decision at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from lpmkit.errors import NotAllowed, NotApproved
from lpmkit.json_values import JsonMapping
from lpmkit.store.database import ROOM_LOCK, Store, approvals_used, intents, reservations


@dataclass(frozen=True, slots=True)
class IntentRow:
    """A command to move, as the store has it. ``key`` is the run's, ``phase`` the last one of its recorder."""

    key: str
    partition: str
    source: str
    target: str
    inactive: bool
    order: JsonMapping
    run: str
    folder: str
    host: str
    by: str
    phase: str = "asked"
    asked_at: datetime | None = None
    #: Seconds since its recorder reported anything, by the database's clock.
    silent_s: float | None = None

    def words(self) -> str:
        """The intent in words, for who is refused because of it."""
        when = f" at {self.asked_at:%Y-%m-%d %H:%M:%S %Z}" if self.asked_at else ""
        return f"the run {self.run} on {self.host} asked for a move of {self.partition}{when}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Room that a move takes: frames, movers (empty if not known), and the ids and slots that its order names."""

    partition: str
    source: str
    target: str
    inactive: bool = False
    movers: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    #: True if the order names server slots, or will; ``None`` if only ``mapping`` tells.
    names_slots: bool | None = None
    #: The holder's name, for whoever has to wait.
    holder: str = ""


def begin(store: Store, intent: IntentRow, approvals: Mapping[str, str] | None = None, *, again: bool = False) -> None:
    """Write the row of a command that is about to be sent, and note its approvals (marks, and who gave them) as used.

    Raises `NotAllowed` where this command, or another one for the partition without a recorded end, is there already,
    or where an approval served before on any host; `StoreUnavailable` where it is not known to be written. Nothing may
    be sent then. ``again``: an earlier try of this recorder may have written it.
    """
    row = {name: getattr(intent, name) for name in _GIVEN}
    with store.transaction() as connection:
        mine = (intents.c.key == intent.key, intents.c.host == intent.host, intents.c.folder == intent.folder)
        if again and _rows(connection, _OPEN, *mine):
            return
        for mark, by in (approvals or {}).items():
            _use(connection, intent.run, mark, by)
        written = connection.execute(
            insert(intents).values(row).on_conflict_do_nothing().returning(intents.c.key)
        ).scalar()
        if written is not None:
            return
        same = intents.c.key == intent.key
        others = [*_rows(connection, same), *_rows(connection, _OPEN, intents.c.partition == intent.partition)]
        raise NotAllowed(
            (others[0].words() if others else f"another run asked for a move of {intent.partition} in this moment")
            + (" and has not seen its end" if others and others[0].key != intent.key else ""),
            where=store.where,
            next_step="`lpmkit store show` lists the moves under way on every host.",
        )


def _use(connection: sa.Connection, run: str, mark: str, by: str) -> None:
    row = insert(approvals_used).values(mark=mark, run=run).on_conflict_do_nothing()
    if connection.execute(row.returning(approvals_used.c.mark)).scalar() is None:
        raise NotApproved(
            f"a move was asked for already with the approval of {by}",
            where=run,
            next_step="Prepare the move again, and have it approved.",
        )


_GIVEN = ("key", "partition", "source", "target", "inactive", "order", "run", "folder", "host", "by")
_OPEN = intents.c.ended_at.is_(None)


def tell(store: Store, intent: IntentRow, phase: str, *, is_over: bool, adopt: bool = False) -> None:
    """Note the phase of a move, and that it is over; nothing where the store has no such intent, or another folder's.

    ``adopt``: this folder's recorder looks on in place of the one that asked.
    """
    mine = {"host": intent.host, "folder": intent.folder, "run": intent.run}
    where = [intents.c.key == intent.key, _OPEN]
    if not adopt:
        where += [intents.c.host == intent.host, intents.c.folder == intent.folder]
    ended = {"ended_at": sa.func.now()} if is_over else {}
    with store.transaction() as connection:
        connection.execute(intents.update().where(*where).values(phase=phase, seen_at=sa.func.now(), **mine, **ended))


def open_intents(store: Store, partition: str | None = None) -> list[IntentRow]:
    """The intents without a recorded end, oldest first; optionally of one partition."""
    with store.transaction() as connection:
        return _rows(connection, _OPEN, *(() if partition is None else (intents.c.partition == partition,)))


def _rows(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[IntentRow]:
    silent_s = sa.cast(sa.extract("epoch", sa.func.now() - intents.c.seen_at), sa.Float)
    columns = [*(intents.c[name] for name in (*_GIVEN, "phase", "asked_at")), silent_s]
    return [
        IntentRow(*row) for row in connection.execute(sa.select(*columns).where(*where).order_by(intents.c.asked_at))
    ]


def others(store: Store, plan: str) -> list[Claim]:
    """Room that other plans, and moves outside of plans, hold now."""
    with store.transaction() as connection:
        return _others(connection, plan)


def reservations_held(store: Store) -> list[Claim]:
    """Room that plans hold now, oldest first."""
    with store.transaction() as connection:
        rows = connection.execute(sa.select(reservations).order_by(reservations.c.reserved_at)).mappings()
        return [_claim(row, _plan_words(row)) for row in rows]


def _plan_words(row: sa.RowMapping) -> str:
    return f"plan {row['plan']} on {row['host']}"


def _others(connection: sa.Connection, plan: str) -> list[Claim]:
    held, own = list[Claim](), set[str]()
    for row in connection.execute(sa.select(reservations)).mappings():
        own.add(row["partition"])
        if row["plan"] != plan:
            held.append(_claim(row, _plan_words(row)))
    for row in connection.execute(sa.select(intents).where(_OPEN)).mappings():
        if row["partition"] not in own:
            held.append(
                _claim(
                    {**row, "movers": (), "mapping": row["order"].get("mapping"), "names_slots": None},
                    f"run {row['run']}",
                )
            )
    return held


def _claim(row: Mapping[str, Any] | sa.RowMapping, holder: str) -> Claim:
    return Claim(
        partition=row["partition"],
        source=row["source"],
        target=row["target"],
        inactive=row["inactive"],
        movers=tuple(row["movers"]),
        mapping=dict(row["mapping"] or {}),
        names_slots=row["names_slots"],
        holder=holder,
    )


def reserve(
    store: Store, plan: str, host: str, claim: Claim, judge: Callable[[Sequence[Claim]], str | None]
) -> str | None:
    """Hold room for a move of a plan, or change what it holds; the reason to wait where ``judge`` has one.

    ``judge`` gets the room of all others, and no other decision is made meanwhile, on whatever host.
    """
    with store.transaction() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ROOM_LOCK)))
        held = _others(connection, plan)
        rival = next((one for one in held if one.partition == claim.partition), None)
        why = f"{claim.partition} is moved already ({rival.holder})" if rival else judge(held)
        if why is not None:
            return why
        row = {
            "partition": claim.partition, "plan": plan, "host": host, "source": claim.source, "target": claim.target,
            "inactive": claim.inactive, "movers": list(claim.movers), "mapping": dict(claim.mapping),
            "names_slots": bool(claim.names_slots),
        }  # fmt: skip
        held_now = insert(reservations).values(row).on_conflict_do_update(index_elements=["partition"], set_=row)
        connection.execute(held_now)
    return None


def hold_only(store: Store, plan: str, partitions: Collection[str]) -> None:
    """Give back what a plan holds, but for these partitions."""
    with store.transaction() as connection:
        connection.execute(
            reservations.delete().where(
                reservations.c.plan == plan, reservations.c.partition.not_in(sorted(partitions) or [""])
            )
        )
