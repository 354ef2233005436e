"""A database and its surroundings before and after a move: what serves less than it did.

Roles, modes and containers of the database itself; its standby databases, disk groups, and the other instances of its
cluster. A fault of before is not the move's; what could not be asked is not called gone.
"""

from __future__ import annotations

import re
from datetime import datetime

from lpmkit.json_values import JsonMapping
from lpmkit.oracle.state import whole


def surroundings(state: JsonMapping) -> list[str]:
    """The surroundings of the instance, in words: standby destinations, disk groups, other instances of a cluster."""
    facts, words = state.get("facts", {}), []
    words += [f"standby destination {row['dest_id']}" for row in facts.get("standby", ())]
    words += [f"disk group {row['name']}" for row in facts.get("asm", ())]
    if len(facts.get("cluster", ())) > 1:
        words += [f"instance {row['instance_name']}" for row in facts["cluster"]]
    return words


#: States in which ASM and a database see a group that is in use (V$ASM_DISKGROUP).
_GROUP_IN_USE = ("MOUNTED", "CONNECTED")


#: Values of a database that serves, by fact and column (`ORACLE-REF`): what it changed to from one of them is a loss.
_SERVING: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("database", "database_role", ("PRIMARY", "PHYSICAL STANDBY", "LOGICAL STANDBY", "SNAPSHOT STANDBY")),
    ("database", "open_mode", ("READ WRITE", "READ ONLY WITH APPLY", "READ ONLY")),
    ("instance", "status", ("OPEN", "OPEN MIGRATE")),
    ("instance", "database_status", ("ACTIVE",)),
    ("instance", "logins", ("ALLOWED",)),
    ("instance", "archiver", ("STARTED",)),
    ("instance", "active_state", ("NORMAL",)),
    ("instance", "shutdown_pending", ("NO",)),
    ("failover", "status", ("SYNCHRONIZED", "TARGET UNDER LAG LIMIT")),
    ("failover", "observer", ("YES",)),
)
#: Protection of the data, the least first (`ORACLE-REF`); a level that is none of them, such as RESYNCHRONIZATION, is
#: less.
_PROTECTION = ("MAXIMUM PERFORMANCE", "MAXIMUM AVAILABILITY", "MAXIMUM PROTECTION")
#: Modes in which a standby database applies redo (`ORACLE-REF`, V$ARCHIVE_DEST_STATUS).
_APPLIES = ("MANAGED", "LOGICAL")
#: A standby database that is further behind than before by this much, or was silent for it, does not just catch up:
#: the primary sends redo, or word of it, all the time. A choice.
STANDBY_SLACK_S = 120
#: The facts that are compared with their state before the move, and are open where they were answered before it only.
_COMPARED = ("database", "instance", "pluggable", "services", "failover", "standby", "asm", "cluster")


def worse(before: JsonMapping, after: JsonMapping) -> list[str]:
    """The ways in which the database itself and its surroundings serve less than before."""
    return [*worse_itself(before, after), *worse_around(before, after)]


def worse_itself(before: JsonMapping, after: JsonMapping) -> list[str]:
    """The ways in which the database itself serves less than before: its role, its mode, its containers, its services.

    >>> states = [{"facts": {"database": [{"database_role": role}]}} for role in ("PRIMARY", "PHYSICAL STANDBY")]
    >>> worse_itself(*states)
    ['database_role is PHYSICAL STANDBY, PRIMARY before']
    """
    early, late = before.get("facts", {}), after.get("facts", {})
    found = []
    for fact, column, serving in _SERVING:
        old, new = (_first(facts, fact).get(column) for facts in (early, late))
        if old in serving and new is not None and new != old:
            found.append(f"{fact if fact == 'failover' else ''} {column} is {new}, {old} before".strip())
    for column in ("protection_mode", "protection_level"):
        old, new = (_first(facts, "database").get(column) for facts in (early, late))
        if old in _PROTECTION and new is not None and new not in _PROTECTION[_PROTECTION.index(old) :]:
            found.append(f"{column} is {new}, {old} before")
    for pdb, again in _pairs(early, late, "pluggable", "name"):
        now = str(again["open_mode"]) if again else "gone"
        if str(pdb["open_mode"]).startswith("READ") and now != pdb["open_mode"]:
            found.append(f"pluggable database {pdb['name']} is {now}, {pdb['open_mode']} before")
        elif again is not None and pdb.get("restricted") == "NO" and again.get("restricted") == "YES":
            found.append(f"pluggable database {pdb['name']} is open to restricted sessions only")
        elif again is not None and now.startswith("READ") and again.get("open_time") != pdb.get("open_time"):
            found.append(f"pluggable database {pdb['name']} was opened again")
    for service, again in _pairs(early, late, "services", "name"):
        if again is None:
            found.append(f"service {service['name']} is no longer active here")
    return found


def _first(facts: JsonMapping, name: str) -> JsonMapping:
    row: JsonMapping = next(iter(facts.get(name, ())), {})
    return row


def worse_around(before: JsonMapping, after: JsonMapping) -> list[str]:
    """The surroundings that are worse than before.

    A fault of before is not the move's; what could not be asked is not called gone.
    """
    early, late = before.get("facts", {}), after.get("facts", {})
    found: list[str] = []
    for old, new in _pairs(early, late, "standby", "dest_id"):
        if old["status"] == "VALID" and new is None:
            found.append(f"standby destination {old['dest_id']} is gone")
        elif old["status"] == "VALID" and new is not None and new["status"] != "VALID":
            found.append(
                f"standby destination {old['dest_id']} is "
                f"{new['status']}{': ' + str(new['error']) if new['error'] else ''}"
            )
    for old, new in _pairs(early, late, "asm", "name"):
        if new is None or (old["state"] in _GROUP_IN_USE and new["state"] not in _GROUP_IN_USE):
            found.append(f"disk group {old['name']} is {new['state'] if new else 'gone'}")
        elif whole(new["offline_disks"]) > whole(old["offline_disks"]):
            found.append(
                f"disk group {old['name']} has {new['offline_disks']} disks offline, {old['offline_disks']} before"
            )
    for old, new in _pairs(early, late, "cluster", "instance_name"):
        if new is None:
            found.append(f"instance {old['instance_name']} on {old['host_name']} is gone from the cluster")
        elif new["startup_time"] != old["startup_time"]:
            found.append(f"instance {old['instance_name']} was started again")
        elif old["status"] == "OPEN" != new["status"]:
            found.append(f"instance {old['instance_name']} is {new['status']}")
    return found


def doubtful(before: JsonMapping, after: JsonMapping) -> list[str]:
    """What is behind on the way to a standby database or on it, and may still catch up.

    >>> states = [{"facts": {"standby_gap": [{"dest_id": "2", "gap_status": gap}]}} for gap in ("NO GAP", "LOCALLY")]
    >>> doubtful(*states)
    ['redo is missing at standby destination 2: LOCALLY']
    """
    early, late, found = before.get("facts", {}), after.get("facts", {}), []
    for old, new in _pairs(early, late, "standby_gap", "dest_id"):
        if old["gap_status"] == "NO GAP" and new is not None and new["gap_status"] not in ("NO GAP", None):
            found.append(f"redo is missing at standby destination {old['dest_id']}: {new['gap_status']}")
    for old, new in _pairs(early, late, "standby_apply", "dest_id"):
        applied = str(old["recovery_mode"]).startswith(_APPLIES)
        if applied and new is not None and not str(new["recovery_mode"]).startswith(_APPLIES):
            found.append(f"standby destination {old['dest_id']} applies no redo: {new['recovery_mode']}")
    was, now = _silent_s(before), _silent_s(after)
    if was is not None and now is not None and was < STANDBY_SLACK_S < now:
        found.append(f"this standby database heard of its primary {now} s before the last look")
    was, now = lag_s(before), lag_s(after)
    if was is not None and now is not None and now > was + STANDBY_SLACK_S:
        found.append(f"the standby is {now} s behind, {was} s before")
    return found


def _silent_s(state: JsonMapping) -> int | None:
    """The time since a standby database heard of its primary, in whole seconds; ``None`` where nothing shows it."""
    try:
        now = datetime.fromisoformat(str((state.get("own") or {}).get("server_time"))).replace(tzinfo=None)
        heard = max(
            # the standby's local time says no zone
            datetime.strptime(str(row["datum_time"]), "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007
            for row in state.get("facts", {}).get("standby_heard", ())
        )
    except ValueError:
        return None
    return round((now - heard).total_seconds())


def not_asked_again(before: JsonMapping, after: JsonMapping) -> list[str]:
    """The facts that were answered before the move and not after it, each with the reason.

    >>> not_asked_again({"facts": {"asm": [{"name": "DATA"}]}}, {"facts": {}, "gaps": {"asm": "ORA-00942"}})
    ['asm: ORA-00942']
    """
    early, late, gaps = before.get("facts", {}), after.get("facts", {}), after.get("gaps", {})
    return [f"{name}: {gaps.get(name, 'no answer')}" for name in _COMPARED if early.get(name) and name not in late]


def _pairs(early: JsonMapping, late: JsonMapping, name: str, key: str) -> list[tuple[JsonMapping, JsonMapping | None]]:
    """Each row of a fact before the move with its row after it; nothing where one side was not asked."""
    if name not in early or name not in late:
        return []
    new = {row[key]: row for row in late[name]}
    return [(row, new.get(row[key])) for row in early[name]]


def lag_s(state: JsonMapping) -> int | None:
    """The greatest lag of the standby in whole seconds; ``None`` where nothing shows it.

    >>> lag_s({"facts": {"standby_lag": [{"name": "apply lag", "value": "+00 00:01:35"}]}})
    95
    """
    found = [_LAG.fullmatch(str(row["value"]).strip()) for row in state.get("facts", {}).get("standby_lag", ())]
    spans = [tuple(map(int, one.groups())) for one in found if one is not None]
    return max(
        (((days * 24 + hours) * 60 + minutes) * 60 + seconds for days, hours, minutes, seconds in spans), default=None
    )


_LAG = re.compile(r"\+?(\d+) (\d\d):(\d\d):(\d\d)(?:\.\d+)?")
