"""Time-outs of what waits for the partition: cluster software, the observer of a fast-start failover, Oracle Net,
and SAP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lpmkit.json_values import JsonMapping
from lpmkit.oracle.net_time_outs import net_waits
from lpmkit.sap.time_outs import profiles_in, sap_waits


@dataclass(frozen=True, slots=True)
class TimeOut:
    """A time-out in seconds, ``None`` where it is not known. ``was_read``: it is no vendor's default.

    ``group`` are those of which only the shortest one counts.
    """

    name: str
    seconds: float | None
    was_read: bool = True
    group: str = ""

    @property
    def words(self) -> str:
        """The time-out in words.

        >>> TimeOut("PowerHA", 20.0).words
        'PowerHA waits 20 s'
        """
        default = "" if self.was_read else " (the default, not read)"
        return f"{self.name} waits {self.seconds or 0:g} s{default}"


def shortest(waits: Sequence[TimeOut]) -> list[TimeOut]:
    """The time-outs that are known; of those of a group the shortest one."""
    known = sorted((one for one in waits if one.seconds is not None), key=lambda one: one.seconds or 0.0)
    best: dict[str, TimeOut] = {}
    for one in known:
        best.setdefault(one.group or one.name, one)
    return [one for one in waits if one in best.values()]


def sap_time_outs(survey: Any) -> list[TimeOut]:
    """The time-outs of the SAP systems in a survey, by their profile parameters; none in runs of earlier versions, and
    where no interface of the site file reads profiles.
    """
    systems = survey.get("sap") if isinstance(survey, dict) else None
    found = []
    for system in systems if isinstance(systems, list) else ():
        if not isinstance(system, dict) or "profiles" not in system:
            continue
        name, profiles = f"SAP {system.get('system')}", profiles_in(system)
        gaps = system.get("missed") or ()
        if profiles is None and any(gap.get("question") == "profiles" and gap.get("configured") for gap in gaps):
            found.append(TimeOut(name, None))
        for wait in sap_waits(profiles or ()):
            found.append(TimeOut(f"{name} ({wait.parameter})", wait.seconds, wait.is_set, name))
    return found


def net_time_outs(survey: Any) -> list[TimeOut]:
    """The time-outs of Oracle Net in a survey, by each server's ``sqlnet.ora``; none in runs of earlier versions.

    >>> rows = {"databases": [{"sid": "BX5", "release": [19], "net": {"SQLNET.RECV_TIMEOUT": "30"}}]}
    >>> [(one.name, one.seconds) for one in net_time_outs(rows)][0]
    ('Oracle Net of BX5 (SQLNET.RECV_TIMEOUT)', 30.0)
    """
    databases = survey.get("databases") if isinstance(survey, dict) else None
    found = []
    for row in databases if isinstance(databases, list) else ():
        if not isinstance(row, dict) or "net" not in row:
            continue
        name = f"Oracle Net of {row.get('sid')}"
        if row["net"] is None:
            found.append(TimeOut(name, None))
        for wait in net_waits(row["net"] or {}, row.get("release") or ()):
            found.append(TimeOut(f"{name} ({wait.parameter})", wait.seconds, wait.is_set, name))
    return found


def failover_patience(sid: str, state: JsonMapping | None) -> tuple[str, float | None]:
    """The threshold of fast-start failover in a database's state (``V$DATABASE``, `ORACLE-REF`), in seconds; ``None``
    where it is off or not known.

    >>> failover_patience("BX5", {"facts": {"failover": [{"status": "TARGET UNDER LAG LIMIT", "threshold": "30"}]}})
    ('fast-start failover of BX5', 30.0)
    >>> failover_patience("BX5", {"facts": {"failover": [{"status": "DISABLED", "threshold": "0"}]}})[1] is None
    True
    """
    name = f"fast-start failover of {sid}"
    row: JsonMapping = next(iter(((state or {}).get("facts") or {}).get("failover") or ()), {})
    status, threshold = str(row.get("status") or "DISABLED"), str(row.get("threshold") or "")
    if status == "DISABLED" or not threshold.isdigit() or int(threshold) == 0:
        return name, None
    return name, float(threshold)


def cluster_time_outs(survey: Any) -> dict[str, float | None]:
    """The time-outs of cluster software that a survey found in the partition, in seconds by name; ``None`` for one
    that could not be read.

    >>> cluster_time_outs({"guest": {"clusters": [{"kind": "GPFS", "tolerates_s": 35.0}, {"kind": "PowerHA"}]}})
    {'GPFS': 35.0, 'PowerHA': None}
    """
    guest = survey.get("guest") if isinstance(survey, dict) else None
    rows = guest.get("clusters") if isinstance(guest, dict) else None
    known: dict[str, float | None] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("kind"):
            tolerates = row.get("tolerates_s")
            known[str(row["kind"])] = float(tolerates) if isinstance(tolerates, int | float) else None
    return known


def time_outs_of(survey: Any) -> list[TimeOut]:
    """The time-outs that a survey found in the partition: of clusters, and of Oracle Net and each SAP system the
    shortest one that is set and the shortest default.

    >>> [one.name for one in time_outs_of({"guest": {"clusters": [{"kind": "GPFS", "tolerates_s": 35.0}]}})]
    ['GPFS']
    """
    software = [*net_time_outs(survey), *sap_time_outs(survey)]
    clusters = [TimeOut(name, seconds) for name, seconds in cluster_time_outs(survey).items()]
    return [
        *clusters,
        *shortest([one for one in software if one.was_read]),
        *shortest([one for one in software if not one.was_read]),
    ]
