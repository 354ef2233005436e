"""The findings at a site, its check and its site file, as plain tables that stay in the saved copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from IPython.display import HTML

from lpmkit.config import Site
from lpmkit.doctor import Diagnosis, verdict_line
from lpmkit.notebook.tables import escaped, table
from lpmkit.plots.colours import SIGNS
from lpmkit.site_setup.discovery import Discovery
from lpmkit.site_setup.inside import Inside
from lpmkit.site_setup.managers import ManagedFrame
from lpmkit.site_setup.show import frame_rows, partition_rows

#: Verdicts in the order of a table: what needs somebody first.
_ORDER = ("fail", "unknown", "warn", "pass", "not applicable")


def discovery_tables(found: Discovery) -> HTML:
    """The managed systems and partitions that were found, and what was left out with the reason."""
    return HTML(
        f"<p><b>{escaped(summary(found))}</b></p>"
        + table([system_row(frame) for frame in found.frames], "managed systems").data
        + table([partition_row(inside) for inside in found.partitions], "partitions").data
    )


def checks_table(rows: Sequence[Diagnosis]) -> HTML:
    """The rows of ``site check`` under its verdict, what needs somebody first."""
    in_order = sorted(rows, key=lambda row: _ORDER.index(row.verdict))
    cells = [check_row(row) for row in in_order]
    return HTML(f"<p><b>{escaped(verdict_line(rows))}</b></p>" + table(cells, "site check").data)


def summary(found: Discovery) -> str:
    """The numbers of frames and partitions that were found, and the SAP systems and databases."""
    usable = sum(frame.is_usable for frame in found.frames)
    systems, databases = ", ".join(found.sap_systems) or "none", ", ".join(found.databases) or "none"
    return (
        f"Frames: {usable} of {len(found.frames)}. "
        f"Partitions logged in to: {len(found.logged_in)} of {len(found.partitions)}. "
        f"SAP systems seen there: {systems}. Databases: {databases}."
    )


def system_row(frame: ManagedFrame) -> dict[str, str]:
    """A managed system as a row of a table."""
    partner = frame.partner or (f"one of {', '.join(frame.could_be_partners)}" if frame.could_be_partners else "none")
    servers = [each.name if each.state == "Running" else f"{each.name} ({each.state})" for each in frame.servers]
    also = f"also under {', '.join(frame.also_under)}" if frame.also_under else ""
    left_out = "" if frame.is_usable else f"left out: {frame.gap}"
    address = f"mover address {frame.address}: {frame.address_remark}" if frame.address_remark else ""
    return {
        "system": frame.name,
        "machine": frame.frame.machine,
        "state": frame.frame.state or "?",
        "manager": f"{frame.manager.kind.upper()} {frame.manager.host} {frame.level}",
        "VIOS": ", ".join(servers),
        "partitions": "?" if frame.partitions is None else str(len(frame.clients)),
        "partner": partner,
        "remarks": "; ".join(filter(None, [left_out, address, also])),
    }


def partition_row(inside: Inside) -> dict[str, str]:
    """A partition as a row of a table; without a login the reason is among the remarks."""
    sap = [f"{system.sid} ({', '.join(system.instances)})" for system in inside.sap]
    databases = [f"{each.sid} at {each.listener}" if each.listener else each.sid for each in inside.databases]
    remarks = [inside.why, *inside.remarks]
    remarks += [f"ssh {each.administrator}: {each.remark}" for each in inside.sap if each.remark]
    remarks += [f"{each.sid}: {each.remark}" for each in inside.databases if each.remark]
    nothing = "none" if inside.host and not inside.remarks else "?"  # remarks: SAP and Oracle were not looked for
    return {
        "partition": inside.partition.name,
        "frame": inside.frame,
        "state": inside.partition.state or "?",
        "login": f"ssh {inside.host}" if inside.host else "NO",
        "SAP": ", ".join(sap) or nothing,
        "Oracle": ", ".join(databases) or nothing,
        "remarks": "; ".join(filter(None, remarks)),
    }


def check_row(row: Diagnosis) -> dict[str, str]:
    """A row of ``site check`` as a row of a table."""
    sign, word, _ = SIGNS[row.verdict]
    return {"verdict": f"{sign} {word}", "what": row.what, "result": row.found, "next step": row.next_step}


def site_tables(path: Path, site: Site) -> HTML:
    """A site as ``site show`` shows it."""
    config = site.ssh_config or "~/.ssh/config"
    return HTML(
        f"<p>Site file: <b>{escaped(path)}</b>. Runs: {escaped(site.runs.folder)}. "
        f"OpenSSH configuration: {escaped(config)}.</p>"
        + table(frame_rows(site), "frames").data
        + table(partition_rows(site), "partitions").data
    )
