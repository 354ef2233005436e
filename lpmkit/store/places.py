"""Places: the workers of several jump hosts, whether they live, and which plans they drive.

A worker renews its row; whoever asks compares it with the database's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from lpmkit.errors import NotAllowed
from lpmkit.store.database import Store, driven_from, places

#: Seconds between two signs of life of a worker, and without one until it counts as dead.
BEAT_S, GONE_S = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """The worker of a place. ``silent_s`` are the seconds since its last sign of life by the database's clock; ``None``
    once it has ended by itself.
    """

    place: str
    host: str
    pid: int
    silent_s: float | None

    @property
    def is_alive(self) -> bool:
        """True if it gave a sign of life lately."""
        return self.silent_s is not None and self.silent_s < GONE_S

    def words(self) -> str:
        """The place's last sign of life in words."""
        return "it has ended" if self.silent_s is None else f"its last sign of life was {self.silent_s:.0f} s ago"


def all_places(store: Store) -> dict[str, PlaceRow]:
    """Every place that a worker has served, by name."""
    silent_s = sa.cast(sa.extract("epoch", sa.func.now() - places.c.seen_at), sa.Float)
    query = sa.select(places.c.place, places.c.host, places.c.pid, silent_s).order_by(places.c.place)
    with store.transaction() as connection:
        return {row[0]: PlaceRow(*row) for row in connection.execute(query)}


def take_place(store: Store, place: str, token: str, host: str, pid: int) -> None:
    """Serve a place from now on. Raises `NotAllowed` while another worker does; ``token`` tells them apart."""
    row = {"place": place, "token": token, "host": host, "pid": pid, "seen_at": sa.func.now()}
    gone = sa.or_(
        places.c.token == token,
        places.c.seen_at.is_(None),
        places.c.seen_at < sa.func.now() - sa.text(f"interval '{GONE_S:.0f} s'"),
    )
    with store.transaction() as connection:
        taken = connection.execute(
            insert(places)
            .values(row)
            .on_conflict_do_update(index_elements=["place"], set_=row, where=gone)
            .returning(places.c.place)
        ).scalar()
    if taken is None:
        other = all_places(store)[place]
        raise NotAllowed(
            f"another worker serves {place}: process {other.pid} on {other.host}, {other.words()}",
            where=store.where,
            next_step=f"End that one, or choose another name. One that was killed is forgotten after {GONE_S:.0f} s.",
        )


def beat(store: Store, place: str, token: str) -> bool:
    """Give a sign of life; false if the place belongs to another worker by now."""
    with store.transaction() as connection:
        done = connection.execute(
            places.update().where(places.c.place == place, places.c.token == token).values(seen_at=sa.func.now())
        )
        return done.rowcount == 1


def leave_place(store: Store, place: str, token: str) -> None:
    """End: the place counts as dead at once."""
    with store.transaction() as connection:
        connection.execute(places.update().where(places.c.place == place, places.c.token == token).values(seen_at=None))


def drive_from(store: Store, plan: str, place: str) -> None:
    """Note from which place a plan is driven from now on."""
    row = {"plan": plan, "place": place, "since": sa.func.now()}
    with store.transaction() as connection:
        connection.execute(insert(driven_from).values(row).on_conflict_do_update(index_elements=["plan"], set_=row))


def move_plans(store: Store, place: str, to: str) -> None:
    """All plans that are driven from one place are driven from another from now on."""
    with store.transaction() as connection:
        connection.execute(
            driven_from.update().where(driven_from.c.place == place).values(place=to, since=sa.func.now())
        )


def place_of_plan(store: Store, plan: str) -> str | None:
    """The place from which a plan is driven; ``None`` for one that no worker drives."""
    with store.transaction() as connection:
        return connection.execute(sa.select(driven_from.c.place).where(driven_from.c.plan == plan)).scalar()
