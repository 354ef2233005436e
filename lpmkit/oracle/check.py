"""A look at a database with the driver that a site will use: one logon, within a limit. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpmkit.errors import LpmError
from lpmkit.oracle import state
from lpmkit.oracle.connections import connect
from lpmkit.oracle.diag import DiagFollower
from lpmkit.oracle.driver_choice import DatabaseAccess, choose_driver
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.tnsping import ping
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.ssh.client import SshSession

LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """One thing looked at: ``works`` is ``None`` where it could not be looked at."""

    what: str
    works: bool | None
    found: str
    next_step: str = ""


def look_at(
    sid: str,
    settings: DatabaseSettings,
    password: str | None,
    host: SshSession,
    wallet_password: str | None = None,
) -> list[Look]:
    """The way and why, whether its listener answers, whether a logon works, and what the user may see."""
    chosen = choose_driver(settings)
    looks = [
        Look(f"driver of database {sid}", chosen.trouble is None, f"{chosen.way}: {chosen.why}", chosen.trouble or "")
    ]
    if settings.listener:
        looks.append(_listener(sid, settings.listener, settings.protocol))
    if chosen.way != "none" and chosen.trouble is None:
        access = DatabaseAccess.of(sid, settings)
        looks.append(_logon(access, password, host, settings, wallet_password))
        if looks[-1].works is not False and _own_objects(settings):
            looks += _objects(access, password, host, settings, wallet_password)
    return looks


def _own_objects(settings: DatabaseSettings) -> dict[str, tuple[str, str]]:
    """The objects in the database that the site file names: the statement that reads each, and what to do where it
    cannot be read.
    """
    found = {}
    if settings.commit_table:
        # the site file's check limits the table's name
        found[f"commit table {settings.commit_table}"] = (
            f"select at from {settings.commit_table}",  # noqa: S608
            "Make the table of one row with a column `at` (docs/oracle.md), or leave commit_table out.",
        )
    if (settings.alert_log or "").upper() == DiagFollower.path:
        found["V$DIAG_ALERT_EXT"] = (
            "select count(*) from v$diag_alert_ext where rownum = 1",
            "It needs release 12.1 and the grant of docs/oracle.md; else name the alert log's path.",
        )
    return found


def _objects(
    access: DatabaseAccess,
    password: str | None,
    host: SshSession,
    settings: DatabaseSettings,
    wallet_password: str | None,
) -> list[Look]:
    looks = []
    for what, (sql, remedy) in _own_objects(settings).items():
        try:
            asked = connect(access, password, host, LIMIT_S, wallet_password)
            try:
                rows = asked.rows(sql, LIMIT_S)
            finally:
                asked.close()
        except LpmError as trouble:
            looks.append(Look(f"{what} of {access.sid}", False, str(trouble), remedy))
            continue
        good = what == "V$DIAG_ALERT_EXT" or len(rows) == 1
        found = "can be read" if good else f"has {len(rows)} rows, and needs one"
        looks.append(Look(f"{what} of {access.sid}", good, found, "" if good else remedy))
    return looks


def _listener(sid: str, listener: str, protocol: str) -> Look:
    try:
        ping(listener, LIMIT_S, protocol)
    except QueryFailed as trouble:
        step = trouble.next_step or "Correct `listener:`, or leave it out when no listener may be reached from here."
        return Look(f"listener of {sid}", False, f"{listener}: {trouble.what}", step)
    return Look(f"listener of {sid}", True, f"{listener} answers")


def _service_trouble(access: DatabaseAccess, facts: Mapping[str, Sequence[Mapping[str, str | None]]]) -> str:
    """The objection to a service that several instances serve: sessions of one probe would land on different hosts."""
    serving = sorted(str(row["inst_id"]) for row in facts.get("service", ()))
    if access.way == "sqlplus" or len(serving) < 2:
        return ""
    return (
        f"the service {access.service} runs on {len(serving)} instances (numbers {', '.join(serving)}), and a logon "
        "may land on any of them"
    )


def _partial_log(settings: DatabaseSettings, facts: Mapping[str, Sequence[Mapping[str, str | None]]]) -> str:
    """The objection to an alert log that is read by SQL from within a pluggable database: it has that one's lines
    alone.
    """
    row = next(iter(facts.get("container", ())), {})
    by_sql = (settings.alert_log or "").upper() == DiagFollower.path
    if not by_sql or row.get("cdb") != "YES" or row.get("con_name") == "CDB$ROOT":
        return ""
    return f"its user is in container {row.get('con_name')}, and V$DIAG_ALERT_EXT shows that container only"


def _logon(  # noqa: PLR0911 - one return for each thing that can be wrong
    access: DatabaseAccess,
    password: str | None,
    host: SshSession,
    settings: DatabaseSettings,
    wallet_password: str | None,
) -> Look:
    what = f"logon to {access.sid}"
    try:
        asked = connect(access, password, host, LIMIT_S, wallet_password)
    except QueryFailed as trouble:
        return Look(what, False, trouble.what, trouble.next_step or "Try it by hand with the same user.")
    except LpmError as trouble:
        return Look(what, False, str(trouble))
    try:
        beat = state.beat_of(asked.rows(state.BEAT, LIMIT_S))
        gathered = state.gather(asked, LIMIT_S, state.release_in(beat))
    except (QueryFailed, ValueError) as trouble:
        return Look(what, False, str(trouble), "The user lacks the grants of docs/oracle.md.")
    finally:
        asked.close()
    said = f"release {beat['version']}, {beat['status']}, SID {beat['sid']}"
    if (
        settings.version
        and beat["version"]
        and not str(beat["version"]).startswith(settings.version.split(".")[0] + ".")
    ):
        return Look(
            what, False, f"{said}; the site file says {settings.version}", f"Correct databases.{access.sid}.version."
        )
    chosen = "" if access.way == "sqlplus" else access.service
    if not state.is_the_watched(access.sid, chosen, [str(beat["instance"])], [gathered["facts"]]):
        return Look(
            what,
            False,
            f"{said}; this is instance {beat['instance']} on {beat['host_name']}, not {access.sid}",
            f"Set databases.{access.sid}.sqlplus to a call with ORACLE_SID={access.sid}, or correct its service.",
        )
    if objection := _partial_log(settings, gathered["facts"]):
        step = (
            f"Set databases.{access.sid}.user to a common user (C##…) of CDB$ROOT, or let alert_log be the path of the"
            " file."
        )
        return Look(what, False, f"{said}; {objection}", step)
    if objection := _service_trouble(access, gathered["facts"]):
        return Look(
            what,
            False,
            f"{said}; {objection}",
            (
                f"Set databases.{access.sid}.service to a service that runs on one instance only (srvctl add service … "
                "-preferred INSTANCE)"
            ),
        )
    gaps = gathered["gaps"]
    if gaps:
        missing = ", ".join(f"{name} ({why})" for name, why in gaps.items())
        return Look(
            what,
            None,
            f"{said}; not to be seen: {missing}",
            "Fine where the release has no such view; else the grants of docs/oracle.md are missing.",
        )
    return Look(what, True, said)
