"""The driver that asks a database: python-oracledb without a client (thin) or with one (thick), cx_Oracle, or
``sqlplus`` on its host.

Which driver fits which release (`PYTHON-ORACLEDB`, `CX-ORACLE`): thin from 12.1 on, thick with an Oracle Client 19 from
11.2 on, cx_Oracle with an older client for 10g; ``sqlplus`` needs nothing here and works with every release.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass

from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.settings.oracle import DatabaseSettings


@dataclass(frozen=True, slots=True)
class DriverChoice:
    """The driver for a database and the reason; ``trouble`` is an obstacle, with the remedy."""

    way: str
    why: str
    trouble: str | None = None


def installed(module: str) -> bool:
    """True if a module can be imported here, without importing it."""
    return importlib.util.find_spec(module) is not None


# one return for each line of the table
def choose_driver(settings: DatabaseSettings, has: Callable[[str], bool] = installed) -> DriverChoice:  # noqa: PLR0911
    """The driver for a database, by its release and by what is installed here. The site file's choice comes first.

    >>> choose_driver(DatabaseSettings(partition="bxaix85", version="10.2.0.2.0")).way
    'sqlplus'
    """
    if settings.way != "auto":
        return DriverChoice(settings.way, "set in the site file", _missing(settings.way, settings, has))
    release = release_of(settings.version)
    if release is not None and release < (8,):
        why = f"release {settings.version} is no release of Oracle Database"
        step = (
            "A HANA database is out of scope here; the processes of its instance are watched through SAPControl "
            "(sap_systems)."
        )
        return DriverChoice("none", why, f"{why}. {step}")
    if not settings.listener or not settings.user:
        lacks = "listener" if not settings.listener else "user"
        return DriverChoice("sqlplus", f"on its host, without a client here: the site file names no {lacks}")
    if release is None:
        why = "no client is needed; the site file does not name the release, thin needs 12.1 or later"
        return DriverChoice("thin", why, _missing("thin", settings, has))
    if release >= (12, 1):
        why = f"release {settings.version}: python-oracledb needs no client from 12.1 on"
        return DriverChoice("thin", why, _missing("thin", settings, has))
    if release >= (11, 2) and settings.client and has("oracledb"):
        return DriverChoice("thick", f"release {settings.version}: with an Oracle Client 19, which the site file names")
    if release < (11, 2) and settings.client and has("cx_Oracle"):
        why = f"release {settings.version}: cx_Oracle is installed and the site file names a client"
        return DriverChoice("cx_oracle", why)
    return DriverChoice("sqlplus", f"release {settings.version}: on its host, without a client here")


def _missing(access: str, settings: DatabaseSettings, has: Callable[[str], bool]) -> str | None:
    module = {"thin": "oracledb", "thick": "oracledb", "cx_oracle": "cx_Oracle"}.get(access)
    if module is not None and not has(module):
        extra = (
            "pip install 'lpmkit[oracle10g]' (it builds with setuptools below 81)"
            if module == "cx_Oracle"
            else "pip install oracledb"
        )
        return f"{module} is not installed: {extra}, or set `way: sqlplus`"
    if module is not None and not settings.listener:
        return "the site file names no listener (HOST:PORT)"
    if module is not None and not settings.user:
        return "the site file names no user"
    return None


def release_of(version: str | None) -> tuple[int, ...] | None:
    """A release as numbers, or ``None`` where it is not known.

    >>> release_of("12.1.0.2.0")
    (12, 1, 0, 2, 0)
    """
    return tuple(int(part) for part in version.split(".")) if version else None


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """The connection to one database: JSON values, except for the passwords, which are handed over beside it."""

    sid: str
    way: str
    service: str = ""
    listener: str = ""
    user: str = ""
    client: str = ""
    sqlplus: tuple[str, ...] = ("sqlplus",)
    protocol: str = "tcp"
    wallet: str = ""
    server_dn: str = ""

    @classmethod
    def of(cls, sid: str, settings: DatabaseSettings) -> DatabaseAccess:
        """The connection that the site file describes."""
        return cls(
            sid=sid,
            way=choose_driver(settings).way,
            service=settings.service or sid,
            listener=settings.listener or "",
            user=settings.user or "",
            client=settings.client or "",
            sqlplus=settings.sqlplus,
            protocol=settings.protocol,
            wallet=str(settings.wallet or ""),
            server_dn=settings.server_dn or "",
        )

    @classmethod
    def from_data(cls, data: JsonMapping) -> DatabaseAccess:
        """The connection as a run keeps it."""
        return cls(**{**data, "sqlplus": tuple(data.get("sqlplus", ("sqlplus",)))})

    def as_data(self) -> JsonObject:
        """JSON values, for the run."""
        return asdict(self)

    @property
    def dsn(self) -> str:
        """The Easy Connect text; over TLS a connect descriptor, which every driver and client reads, with the wallet's
        folder and the server's name.
        """
        if self.protocol != "tcps":
            return f"{self.listener}/{self.service}"
        host, _, port = self.listener.rpartition(":")
        security = "(SSL_SERVER_DN_MATCH=ON)"
        security += f'(SSL_SERVER_CERT_DN="{self.server_dn}")' if self.server_dn else ""
        security += f"(MY_WALLET_DIRECTORY={self.wallet})" if self.wallet else ""
        address = f"(ADDRESS=(PROTOCOL=tcps)(HOST={host.strip('[]')})(PORT={port}))"
        return f"(DESCRIPTION={address}(CONNECT_DATA=(SERVICE_NAME={self.service}))(SECURITY={security}))"

    @property
    def logon(self) -> str:
        """The step that is waited for when nothing answers: a port without TLS is silent when it is asked for TLS."""
        return "logon over TLS" if self.protocol == "tcps" else "logon"

    @property
    def account(self) -> str:
        """The account that a logon uses, for messages and for `lpmkit.ssh.refusals.Accounts`."""
        where = "on its host" if self.way == "sqlplus" else f"at {self.listener}"
        return f"{self.user or '/'} of database {self.sid} {where}"


def missing_driver(access: DatabaseAccess) -> str | None:
    """The words for the driver of a connection when it could not be imported; ``None`` for ``sqlplus``, which is no
    module.
    """
    settings = DatabaseSettings(partition=access.sid, listener=access.listener or None, user=access.user or None)
    return _missing(access.way, settings, lambda _: False)
