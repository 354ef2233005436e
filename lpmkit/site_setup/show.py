"""A site as rows: its frames, and the partitions that are logged in to."""

from __future__ import annotations

from lpmkit.config import Site


def frame_rows(site: Site) -> list[dict[str, object]]:
    """The frames with their managers, VIOS and partners."""
    return [
        {
            "frame": name,
            "manager": f"{frame.manager.upper()} {frame.host}",
            "system": frame.system,
            "VIOS": ", ".join(frame.vios),
            "partner": frame.partner,
        }
        for name, frame in site.frames.items()
    ]


def partition_rows(site: Site) -> list[dict[str, object]]:
    """The partitions with their logins, SAP systems and databases."""
    return [
        {
            "partition": name,
            "login": f"ssh {partition.host}",
            "SAP": ", ".join(site.sap_of(name)),
            "databases": ", ".join(sid for sid, each in site.databases.items() if each.partition == name),
        }
        for name, partition in site.partitions.items()
    ]
