"""A database before its move: the waits of its Data Guard partners, which a suspension must not exceed.

One logon, three questions to views that need no option and no pack (`ORACLE-REF`): the protection mode, the standby
databases that commits wait for, fast-start failover. What the release does not have is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lpmkit.errors import LpmError
from lpmkit.json_values import JsonMapping
from lpmkit.oracle.connections import connect
from lpmkit.oracle.driver_choice import DatabaseAccess, choose_driver
from lpmkit.oracle.drivers import Connection
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.net_time_outs import told
from lpmkit.oracle.snapshot import LOGON, SQLNET, DatabaseSnapshot
from lpmkit.oracle.state import BEAT, Fact, beat_of, gather, release_in
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.ssh.client import SshSession
from lpmkit.ssh.refusals import Accounts, is_refusal

LIMIT_S = 10.0
FACTS: tuple[Fact, ...] = (
    Fact("database", ("database_role", "protection_mode"), "select database_role, protection_mode from v$database"),
    Fact("synchronous", ("dest_id", "net_timeout"),
         "select dest_id, net_timeout from v$archive_dest where status <> 'INACTIVE' and target = 'STANDBY'"
         " and transmit_mode in ('SYNCHRONOUS', 'PARALLELSYNC')", (10, 1)),
    Fact("failover", ("status", "threshold"),
         "select fs_failover_status, fs_failover_threshold from v$database", (10, 2)),
    Fact("observer", ("mode", "ping_interval", "ping_retry"),
         "select fast_start_failover_mode, ping_interval, ping_retry from v$fast_start_failover_config", (23,)),
)  # fmt: skip


def is_asked(settings: DatabaseSettings) -> bool:
    """True for a database that the site file says how to log on to."""
    return choose_driver(settings).way != "none"


def look_before(
    sid: str,
    settings: DatabaseSettings,
    host: SshSession,
    *,
    password: str | None = None,
    wallet_password: str | None = None,
    accounts: Accounts | None = None,
    login_works: bool = True,
) -> DatabaseSnapshot:
    """Ask a database once, and its host for the server's ``sqlnet.ora``.

    Raises nothing of theirs: what they did not answer is a gap.
    """
    if login_works:
        net, why = told(host, sid, settings.sqlplus)
    else:
        net, why = None, "the login to its host did not work"
    found = _logged_on(sid, settings, host, password, wallet_password, accounts)
    return replace(found, net=net, gaps={**found.gaps, SQLNET: why} if why else found.gaps)


def _logged_on(
    sid: str,
    settings: DatabaseSettings,
    host: SshSession,
    password: str | None,
    wallet_password: str | None,
    accounts: Accounts | None,
) -> DatabaseSnapshot:
    chosen, way, accounts = choose_driver(settings), DatabaseAccess.of(sid, settings), accounts or Accounts()
    if chosen.trouble is not None:
        return DatabaseSnapshot(sid, gaps={LOGON: chosen.trouble})
    try:
        with accounts.attempt(way.account, LIMIT_S):
            connection = connect(way, password, host, LIMIT_S, wallet_password)
    except LpmError as trouble:
        refused = {way.account: str(trouble)} if is_refusal(trouble) else {}
        return DatabaseSnapshot(sid, gaps={LOGON: str(trouble)}, refused=refused)
    try:
        return ask_before(sid, connection)
    except (QueryFailed, ValueError) as trouble:
        return DatabaseSnapshot(sid, gaps={LOGON: str(trouble)})
    finally:
        connection.close()


def ask_before(sid: str, connection: Connection) -> DatabaseSnapshot:
    """The facts from an open session. Raises `QueryFailed` where that is lost, `ValueError` for an odd answer."""
    release = release_in(beat_of(connection.rows(BEAT, LIMIT_S)))
    state = gather(connection, LIMIT_S, release, FACTS)
    rows: JsonMapping = state["facts"]
    database, failover, observer = (_first(rows, name) for name in ("database", "failover", "observer"))
    destinations = rows.get("synchronous")
    return DatabaseSnapshot(
        sid,
        release,
        role=database.get("database_role"),
        protection_mode=database.get("protection_mode"),
        net_timeouts_s=None if destinations is None else tuple(_seconds(row["net_timeout"]) for row in destinations),
        failover_status=failover.get("status"),
        failover_threshold_s=_seconds(failover.get("threshold")),
        observer_waits_s=_observer_waits(observer),
        observe_only=observer.get("mode") == "OBSERVE-ONLY",
        gaps=state["gaps"],
    )


def _first(rows: JsonMapping, name: str) -> Mapping[str, str | None]:
    row: Mapping[str, str | None] = next(iter(rows.get(name, ())), {})
    return row


def _observer_waits(row: Mapping[str, str | None]) -> float | None:
    """The product of ObserverPingInterval (milliseconds) and ObserverPingRetry; both have to be set.

    >>> _observer_waits({"ping_interval": "100", "ping_retry": "10"}), _observer_waits({"ping_interval": "3000"})
    (1.0, 0.0)
    """
    if not row:
        return None
    interval_ms, retries = _seconds(row.get("ping_interval")), _seconds(row.get("ping_retry"))
    return (interval_ms or 0.0) * (retries or 0.0) / 1000


def _seconds(value: str | None) -> float | None:
    """A number above zero; ``None`` for anything else, a zero among it, which stands for "not set" in these views."""
    try:
        number = float(value or 0)
    except ValueError:
        return None
    return number if number > 0 else None
