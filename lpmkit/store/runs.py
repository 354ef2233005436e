"""The index of runs in the shared store: what each host has shared of its runs, for the histories of the others.

The run folders remain what a run is; a row can be made again from its folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from lpmkit.json_values import JsonMapping
from lpmkit.store.database import Store, runs

#: Rows that are sent or fetched at once.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a host shares it, as JSON values; ``observed`` is the outcome of a move that succeeded, and what any
    move saw for the licence ledger (``sightings``).
    """

    key: str
    stamp: str
    host: str
    folder: str
    move: JsonMapping
    observed: JsonMapping | None
    remarks: list[Any]
    approvals: list[Any]


def stamps(store: Store) -> dict[str, str]:
    """The stamp of every run in the store, by key."""
    with store.transaction() as connection:
        return {row.key: row.stamp for row in connection.execute(sa.select(runs.c.key, runs.c.stamp))}


def keep(store: Store, rows: Iterable[RunRow]) -> None:
    """Write rows, each in place of the older one with its key."""
    waiting = [asdict(row) for row in rows]
    while waiting:
        some, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        row = insert(runs).values(some)
        changed = {name: row.excluded[name] for name in some[0] if name != "key"}
        with store.transaction() as connection:
            connection.execute(
                row.on_conflict_do_update(index_elements=["key"], set_={**changed, "told_at": sa.func.now()})
            )


def fetch(store: Store, keys: Iterable[str]) -> list[sa.RowMapping]:
    """The rows with these keys: key, stamp, move and observed."""
    waiting, rows = sorted(keys), list[sa.RowMapping]()
    columns = sa.select(runs.c.key, runs.c.stamp, runs.c.move, runs.c.observed)
    while waiting:
        some, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        with store.transaction() as connection:
            rows += connection.execute(columns.where(runs.c.key.in_(some))).mappings()
    return rows
