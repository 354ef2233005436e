"""Logging on to a database by the driver that fits it, in a child process with limits or by ``sqlplus`` on its host."""

from __future__ import annotations

from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.driver_process import ChildConnection
from lpmkit.oracle.drivers import Connection
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.sqlplus import SqlPlusConnection
from lpmkit.ssh.client import SshSession
from lpmkit.timeline import Outcome


def connect(
    access: DatabaseAccess,
    password: str | None,
    host: SshSession | None,
    limit_s: float,
    wallet_password: str | None = None,
) -> Connection:
    """Log on. Raises `QueryFailed` soon after ``limit_s``, also when the other side accepts and never answers."""
    if access.way != "sqlplus":
        return ChildConnection(access, password, limit_s, wallet_password)
    if host is None:
        raise QueryFailed("sqlplus needs a login to the database's host", Outcome.REFUSED)
    return SqlPlusConnection(access, password, host, limit_s)
