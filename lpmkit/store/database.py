"""The connection to the shared store, its tables and their migrations.

A transaction gets a connection of its own and a time limit, so that neither a cut cable nor a database that was
restarted leaves anybody waiting. Times are the database's: hosts' clocks are never compared.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from lpmkit.config import StoreSettings
from lpmkit.errors import StoreUnavailable, UsageError

#: Seconds until a connection is given up, and until a transaction on it is.
CONNECT_S, TRANSACTION_S = 5, 15.0
#: Limits that the server keeps itself, in milliseconds: of a statement, of a wait for a lock, of an idle transaction.
_SERVER_LIMITS = "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"
#: Keys of the advisory locks: of migrations, and of decisions on room. Any two numbers that nobody else takes.
MIGRATION_LOCK, ROOM_LOCK = 7_305_001, 7_305_002

SCHEMA = "lpmkit"
metadata = sa.MetaData(schema=SCHEMA)
_TIME = sa.TIMESTAMP(timezone=True)

versions = sa.Table("versions", metadata, sa.Column("version", sa.Integer, primary_key=True))

#: Every command to move that a recorder was about to send. ``ended_at`` is empty while its end is not recorded.
intents = sa.Table(
    "intents",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("partition", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("inactive", sa.Boolean),
    sa.Column("order", JSONB),
    sa.Column("run", sa.Text),
    sa.Column("folder", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("by", sa.Text),
    sa.Column("asked_at", _TIME),
    sa.Column("seen_at", _TIME),
    sa.Column("phase", sa.Text),
    sa.Column("ended_at", _TIME),
)

#: Room that plans hold for moves that they prepare or that are under way.
reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("plan", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("inactive", sa.Boolean),
    sa.Column("movers", JSONB),
    sa.Column("mapping", JSONB),
    sa.Column("names_slots", sa.Boolean),
    sa.Column("reserved_at", _TIME),
)

#: Approvals that served, by their mark.
approvals_used = sa.Table(
    "approvals_used",
    metadata,
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("run", sa.Text),
    sa.Column("used_at", _TIME),
)

#: Every run that a host has shared: its row of the history, its outcome for predictions, remarks and approvals.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("stamp", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("folder", sa.Text),
    sa.Column("move", JSONB),
    sa.Column("observed", JSONB),
    sa.Column("remarks", JSONB),
    sa.Column("approvals", JSONB),
    sa.Column("told_at", _TIME),
)

#: Workers by their place. ``seen_at`` is renewed while one lives, and empty once it has ended by itself.
places = sa.Table(
    "places",
    metadata,
    sa.Column("place", sa.Text, primary_key=True),
    sa.Column("token", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("seen_at", _TIME),
)

#: From which place a plan is driven: the last word on it.
driven_from = sa.Table(
    "driven_from",
    metadata,
    sa.Column("plan", sa.Text, primary_key=True),
    sa.Column("place", sa.Text),
    sa.Column("since", _TIME),
)

#: The migrations, oldest first; a store of version N has had the first N. A migration that was released is never
#: changed.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE lpmkit.intents (
            key text PRIMARY KEY, partition text NOT NULL, source text NOT NULL, target text NOT NULL,
            inactive boolean NOT NULL, "order" jsonb NOT NULL, run text NOT NULL, folder text NOT NULL,
            host text NOT NULL, by text NOT NULL, asked_at timestamptz NOT NULL DEFAULT now(),
            seen_at timestamptz NOT NULL DEFAULT now(), phase text NOT NULL DEFAULT 'asked', ended_at timestamptz)""",
        "CREATE UNIQUE INDEX one_move_of_a_partition ON lpmkit.intents (partition) WHERE ended_at IS NULL",
        """CREATE TABLE lpmkit.reservations (
            partition text PRIMARY KEY, plan text NOT NULL, host text NOT NULL, source text NOT NULL,
            target text NOT NULL, inactive boolean NOT NULL, movers jsonb NOT NULL, mapping jsonb NOT NULL,
            names_slots boolean NOT NULL, reserved_at timestamptz NOT NULL DEFAULT now())""",
        "CREATE INDEX reservations_of_a_plan ON lpmkit.reservations (plan)",
        """CREATE TABLE lpmkit.approvals_used (
            mark text PRIMARY KEY, run text NOT NULL, used_at timestamptz NOT NULL DEFAULT now())""",
        """CREATE TABLE lpmkit.runs (
            key text PRIMARY KEY, stamp text NOT NULL, host text NOT NULL, folder text NOT NULL, move jsonb NOT NULL,
            observed jsonb, remarks jsonb NOT NULL, approvals jsonb NOT NULL,
            told_at timestamptz NOT NULL DEFAULT now())""",
    ),
    (
        """CREATE TABLE lpmkit.places (
            place text PRIMARY KEY, token text NOT NULL, host text NOT NULL, pid integer NOT NULL,
            seen_at timestamptz)""",
        """CREATE TABLE lpmkit.driven_from (
            plan text PRIMARY KEY, place text NOT NULL, since timestamptz NOT NULL DEFAULT now())""",
    ),
)
VERSION = len(MIGRATIONS)


class Store:
    """The shared store of one site. Holds no connection between two calls, and may be used by several threads.

    ``password`` is the secret itself; nothing here writes or shows it.
    """

    def __init__(self, settings: StoreSettings, password: str | None = None) -> None:
        self.where = settings.where
        url = sa.make_url(settings.url).set(drivername="postgresql+psycopg")
        if password is not None:
            url = url.set(password=password)
        self._engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": CONNECT_S, "options": _SERVER_LIMITS, "application_name": "lpmkit"},
        )

    def pooled(self) -> sa.Engine:
        """Connections that are kept open, for an engine of its own; it is disposed of by whoever asked."""
        return sa.create_engine(
            self._engine.url,
            pool_size=5,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_S,
                "application_name": "lpmkit worker",
                "keepalives_idle": 5,
                "keepalives_interval": 5,
                "keepalives_count": 2,
                "tcp_user_timeout": int(TRANSACTION_S * 1000),
            },
        )

    @contextmanager
    def transaction(self, *, any_version: bool = False) -> Iterator[sa.Connection]:
        """One transaction; committed at the end of the block.

        Raises `StoreUnavailable` where the database does not answer or refuses, also if it is not known whether the
        transaction was committed; `UsageError` for a store of another version, unless ``any_version``.
        """
        try:
            with self._engine.connect() as connection, _time_limit(connection), connection.begin():
                if not any_version:
                    self._require_version(_version(connection))
                yield connection
        except DBAPIError as error:
            raise self._unavailable(error) from None

    def require(self) -> None:
        """Raise as `transaction` where the store cannot be used now."""
        with self.transaction():
            pass

    def version(self) -> int:
        """The version of the store's tables; 0 for a database without any. Raises as `transaction`."""
        with self.transaction(any_version=True) as connection:
            return _version(connection)

    def migrate(self) -> int:
        """Bring the tables to `VERSION`, in one transaction; returns the version before. Raises as `transaction`."""
        with self.transaction(any_version=True) as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            before = _version(connection)
            if before > VERSION:
                self._require_version(before)
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            connection.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.versions (version integer PRIMARY KEY)"))
            for number, statements in enumerate(MIGRATIONS[before:], before + 1):
                for statement in statements:
                    connection.execute(sa.text(statement))
                connection.execute(versions.insert().values(version=number))
            return before

    def _require_version(self, version: int) -> None:
        if version > VERSION:
            raise UsageError(
                f"the store has version {version}, and this lpmkit knows {VERSION}; nothing was asked of any manager",
                where=self.where,
                next_step="Update lpmkit on this host.",
            )
        if version < VERSION:
            state = f"has version {version}, and this lpmkit needs {VERSION}" if version else "has no tables yet"
            raise UsageError(
                f"the store {state}; nothing was asked of any manager",
                where=self.where,
                next_step="`lpmkit store init` brings it up to date; hosts with an older lpmkit are refused from then.",
            )

    def _unavailable(self, error: DBAPIError) -> StoreUnavailable:
        return StoreUnavailable(
            "the shared store cannot be used, so no new move begins; moves under way go on",
            where=self.where,
            answered=" ".join(str(error.orig).split())[:300] or type(error.orig).__name__,
            next_step="`lpmkit store show` tries it again. Is the database up, and reachable from this host?",
        )


def _version(connection: sa.Connection) -> int:
    if connection.execute(sa.text(f"SELECT to_regclass('{SCHEMA}.versions')")).scalar() is None:
        return 0
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(versions.c.version), 0))).scalar_one())


@contextmanager
def _time_limit(connection: sa.Connection) -> Iterator[None]:
    """End the connection after `TRANSACTION_S`: a peer that acknowledges and never answers is waited for no longer."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    descriptor = os.dup(raw.fileno())

    def cut() -> None:
        with socket.socket(fileno=os.dup(descriptor)) as peer:
            peer.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(TRANSACTION_S, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        os.close(descriptor)
