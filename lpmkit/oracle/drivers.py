"""A session with a database by a Python driver: python-oracledb in thin mode, or a driver that needs an Oracle Client.

These run in a child process (`lpmkit.oracle.driver_process`), because what a driver does with a hostile or broken
listener is not ours to bound. Drivers are imported when they are used, never before: a missing one is advice, not a
traceback.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Coroutine, Sequence
from types import ModuleType
from typing import Any, Protocol, TypeVar

from lpmkit.oracle.driver_choice import DatabaseAccess, missing_driver
from lpmkit.oracle.errors import QueryFailed, outcome_of
from lpmkit.timeline import Outcome

Row = tuple[str | None, ...]
#: The limit of a statement about states, seconds. Heartbeats have a limit of their own.
STATE_LIMIT_S = 30.0
#: The time that a session may take to log off, seconds.
CLOSE_LIMIT_S = 2.0
#: In place of a wallet's password that was not given: without any the driver asks for one at the terminal. A wallet
#: that is not encrypted ignores it; of one that is the trusted certificates are read all the same.
NO_PASSWORD = "none given"  # noqa: S105 - it stands for none
Answer = TypeVar("Answer")


class Connection(Protocol):
    """A session with a database. All values are texts. Every method raises `QueryFailed`."""

    def rows(self, sql: str, limit_s: float = STATE_LIMIT_S) -> list[Row]:
        """The rows of a query."""
        ...

    def change(self, sql: str, limit_s: float = STATE_LIMIT_S) -> None:
        """Make one change and commit it."""
        ...

    def close(self) -> None:
        """End the session at once, whatever is being asked."""
        ...


class ThinConnection:
    """python-oracledb in thin mode, through its asyncio interface: it can be cancelled at any moment, also while it
    connects, and then closes its socket.
    """

    def __init__(
        self, access: DatabaseAccess, password: str | None, limit_s: float, wallet_password: str | None = None
    ) -> None:
        oracledb = _module("oracledb", access)
        self._way, self._loop = access, asyncio.new_event_loop()
        self._error: type[Exception] = oracledb.Error
        self._connection: Any = None
        tls = {"wallet_password": wallet_password or NO_PASSWORD} if access.protocol == "tcps" else {}

        async def log_on() -> Any:
            # since 26.0 the driver wants to be inside a running loop when it is called
            return await oracledb.connect_async(
                user=access.user, password=password, dsn=access.dsn, tcp_connect_timeout=limit_s, **tls
            )

        try:
            self._connection = self._wait(log_on(), limit_s, access.logon)
        except BaseException:
            self._loop.close()
            raise

    def rows(self, sql: str, limit_s: float = STATE_LIMIT_S) -> list[Row]:
        """See `Connection.rows`."""

        async def fetched() -> Any:
            return await self._connection.fetchall(sql)

        return [as_texts(row) for row in self._wait(fetched(), limit_s, "answer")]

    def change(self, sql: str, limit_s: float = STATE_LIMIT_S) -> None:
        """See `Connection.change`."""

        async def both() -> None:
            await self._connection.execute(sql)
            await self._connection.commit()

        self._wait(both(), limit_s, "commit")

    def close(self) -> None:
        """See `Connection.close`."""
        if self._loop.is_closed():
            return

        async def closed() -> None:
            await self._connection.close()

        try:
            if self._connection is not None:
                self._loop.run_until_complete(asyncio.wait_for(closed(), CLOSE_LIMIT_S))
        except (self._error, TimeoutError, OSError):
            pass  # it was dead already, or does not answer: there is nothing left to close
        finally:
            self._drop()

    def _drop(self) -> None:
        self._connection = None
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, Answer], limit_s: float, noun: str) -> Answer:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, limit_s))
        except TimeoutError:
            self._drop()
            raise QueryFailed(
                f"no {noun} within {limit_s:g} s; aborted", Outcome.SILENT, dead=True, where=self._way.sid
            ) from None
        except self._error as error:
            outcome, dead = outcome_of(str(error))
            raise QueryFailed(str(error), outcome, dead=dead, where=self._way.sid) from error
        except OSError as error:
            raise QueryFailed(str(error), Outcome.LOST, dead=True, where=self._way.sid) from error


class ClientConnection:
    """python-oracledb in thick mode, or cx_Oracle, both with an Oracle Client: they keep to a call time-out of their
    own.
    """

    def __init__(
        self, access: DatabaseAccess, password: str | None, limit_s: float, wallet_password: str | None = None
    ) -> None:
        del wallet_password  # a client opens its wallet by itself
        self._way = access
        module = _module("oracledb" if access.way == "thick" else "cx_Oracle", access)
        self._error: type[Exception] = module.Error
        try:
            if access.client or access.way == "thick":
                _init_client(module, access.client or None)
            self._connection = module.connect(user=access.user, password=password, dsn=access.dsn)
        except module.Error as error:
            raise self._failed(error) from error
        self._limit(limit_s)

    def _limit(self, limit_s: float) -> None:
        name = "call_timeout" if self._way.way == "thick" else "callTimeout"
        try:
            setattr(self._connection, name, int(limit_s * 1000))
        except self._error:
            pass  # a client before 18 has no call time-out; the deadline of the child process holds

    def _failed(self, error: Exception) -> QueryFailed:
        outcome, dead = outcome_of(str(error))
        return QueryFailed(str(error), outcome, dead=dead, where=self._way.sid)

    def rows(self, sql: str, limit_s: float = STATE_LIMIT_S) -> list[Row]:
        """See `Connection.rows`."""
        self._limit(limit_s)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return [as_texts(row) for row in cursor.fetchall()]
        except self._error as error:
            raise self._failed(error) from error

    def change(self, sql: str, limit_s: float = STATE_LIMIT_S) -> None:
        """See `Connection.change`."""
        self._limit(limit_s)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
            self._connection.commit()
        except self._error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """See `Connection.close`."""
        try:
            self._connection.close()
        except self._error:
            pass  # it was dead already


def by_driver(
    access: DatabaseAccess, password: str | None, limit_s: float, wallet_password: str | None = None
) -> ThinConnection | ClientConnection:
    """Log on in this process. Raises `QueryFailed`."""
    made = ThinConnection if access.way == "thin" else ClientConnection
    return made(access, password, limit_s, wallet_password)


def _init_client(module: ModuleType, folder: str | None) -> None:
    try:
        module.init_oracle_client(lib_dir=folder)
    except module.ProgrammingError as error:
        if "already" not in str(error):  # the client was loaded by an earlier session
            raise


def _module(name: str, access: DatabaseAccess) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise QueryFailed(missing_driver(access) or str(error), Outcome.REFUSED, where=access.sid) from error


def as_texts(row: Sequence[object]) -> Row:
    """A row with every value as a text, ``None`` for NULL."""
    return tuple(None if value is None else str(value) for value in row)
