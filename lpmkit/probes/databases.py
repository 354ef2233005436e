"""Probes for the databases of a partition, from the site file. Loads no driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lpmkit.config import Site
from lpmkit.errors import UsageError
from lpmkit.json_values import JsonMapping
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.rules import LogRules
from lpmkit.probes.orders import KINDS, ProbeOrder
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.ssh.secrets import Secrets

GROUP = "oracle"
#: Intervals of state queries (a dozen small ones) and of listener pings.
STATE_EVERY_NS, PING_EVERY_NS = 20_000_000_000, 1_000_000_000


def databases_of(site: Site, partition: str) -> dict[str, DatabaseSettings]:
    """The databases of a partition, by SID."""
    return {sid: database for sid, database in site.databases.items() if database.partition == partition}


def database_plan(site: Site, partition: str, *, suffix: str = "") -> tuple[ProbeOrder, ...]:
    """Every probe of the databases of a partition; empty without a database in the site file."""
    return tuple(
        order
        for sid, database in databases_of(site, partition).items()
        for order in _orders(site, sid, database, suffix)
    )


def _orders(site: Site, sid: str, settings: DatabaseSettings, suffix: str) -> Iterator[ProbeOrder]:
    partition = site.partitions.get(settings.partition)
    connection = DatabaseAccess.of(sid, settings)
    limits = {"lost_sessions": settings.lost_sessions, "failed_logons": settings.failed_logons}

    def order(name: str, kind: str, interval_ns: int, **more: Any) -> ProbeOrder:
        """An order for one kind of probe."""
        return ProbeOrder(
            name=f"ora-{name}-{sid}{suffix}",
            kind=kind,
            interval_ns=interval_ns,
            host=partition.host if partition else settings.partition,
            about=f"{KINDS[kind][0]} ({connection.way})" if kind in ("sql", "commit", "logon") else KINDS[kind][0],
            ssh_config=str(site.ssh_config) if site.ssh_config else None,
            password=partition.password if partition else None,
            group=GROUP,
            options={
                "sid": sid,
                "way": connection.as_data(),
                "password": settings.password,
                "wallet_password": settings.wallet_password,
                "limits": limits,
                **more,
            },
        )

    if settings.way != "none":
        beat_ns = settings.interval_ms * 1_000_000
        yield order("sql", "sql", beat_ns, limit_s=settings.survive_s)
        if settings.commit_table:
            yield order("commit", "commit", beat_ns, limit_s=settings.survive_s, commit_table=settings.commit_table)
        yield order("logon", "logon", settings.logon_interval_ms * 1_000_000, logon_limit_s=settings.logon_limit_s)
        yield order("state", "db-state", STATE_EVERY_NS)
    if settings.listener:
        yield order("tnsping", "tnsping", PING_EVERY_NS, listener=settings.listener, protocol=settings.protocol)
    yield order(
        "alert",
        "alert",
        settings.alert_interval_ms * 1_000_000,
        alert_log=settings.alert_log,
        rules=LogRules.form.checked_text(settings.rules),
    )


def learn_secrets(orders: Sequence[JsonMapping], secrets: Secrets) -> None:
    """Resolve the database passwords while an operator can be prompted. A reference that does not resolve is left to
    its probe.

    """
    for order in orders:
        options = order.get("options") or {}
        if order.get("group") != GROUP:
            continue
        for name, label in (("password", "database"), ("wallet_password", "wallet of database")):
            try:
                secrets.get(options.get(name), f"{label} {options['sid']}")
            except UsageError:
                continue  # the rest of the run does not depend on it
