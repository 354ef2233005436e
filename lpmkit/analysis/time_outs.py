"""Time-outs of those who wait for the partition: cluster software in it, and the observer of a fast-start failover."""

from __future__ import annotations

from typing import Any

from lpmkit.json_values import JsonMapping


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
