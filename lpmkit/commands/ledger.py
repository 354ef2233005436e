"""The commands for ledgers of a site: licences."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    exchange_runs,
    json_option,
    print_json,
    print_line,
    print_table,
    reports_errors,
    site_or_none,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


@click.group("ledger")
def ledger() -> None:
    """Ledgers of a site, made from its recorded moves."""


@ledger.command("licences")
@click.option("--product", type=click.Choice(("Oracle", "SAP")), help="Only partitions with this product.")
@click.option("--was-moved", "logs", multiple=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also moves of an error log: the output of `lpmkit was-moved HOST --json`. Repeatable.")  # fmt: skip
@click.option("--utilization", "samples", multiple=True, metavar="FRAME=FILE",
              help="Also utilization samples of an HMC: its output of `lslparutil -r lpar -m FRAME -d 60 -s h`. "
              "Repeatable.")  # fmt: skip
@click.option("--zone", help="Time zone of these partitions, or of this HMC, such as Europe/Berlin; needed with "
              "--was-moved and --utilization.")  # fmt: skip
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the ledger into this file.")  # fmt: skip
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the ledger as a page into this file.")  # fmt: skip
@click.option("--runs", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="Runs folder; default: the site file's.")  # fmt: skip
@json_option
@click.pass_context
@reports_errors
def licences(
    context: click.Context,
    product: str | None,
    logs: tuple[Path, ...],
    samples: tuple[str, ...],
    zone: str | None,
    csv_file: Path | None,
    page: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """List which partition was on which frame with how many entitled cores, from when to when, by product.

    From the recorded moves: every instant has two bounds, and what was not recorded is a gap. Exit status 3 if there is
    a gap, or a run or a log entry that could not be read.
    """
    from lpmkit.runs.folder import write_file
    from lpmkit.runs.history import elsewhere
    from lpmkit.runs.licences import (
        COLUMNS,
        NOT_KNOWN,
        as_csv,
        licence_rows,
        products,
        read_sightings,
        sightings_elsewhere,
    )

    site = site_or_none(context)
    runs = folder or site.runs.folder
    if folder is None:
        exchange_runs(site)
    sightings, unreadable = read_sightings(runs)
    missing = [f"{name}: {why}" for name, why in unreadable.items()]
    told, untold = sightings_elsewhere(elsewhere(runs))
    for partition, seen in told.items():
        sightings.setdefault(partition, []).extend(seen)
    missing += untold
    if logs:
        missing += _from_logs(runs, logs, zone, sightings)
    for sample in samples:
        missing += _from_samples(sample, zone, sightings)
    rows = licence_rows(sightings, products(site), str(runs.resolve().parent.name))
    rows = [row for row in rows if product in (None, row.product)]
    if csv_file is not None:
        write_file(csv_file, as_csv(rows).encode())
    if page is not None:
        from lpmkit.report.comparison import table_page

        body = [[getattr(row, column) for column in COLUMNS] for row in rows]
        heads = [column.replace("_", " ") for column in COLUMNS]
        title = f"Licence ledger{f': {product}' if product else ''}"
        write_file(page, table_page(title, heads, body, [f"not read: {text}" for text in missing]).encode())
    if as_json:
        print_json({"rows": [asdict(row) for row in rows], "not_read": missing})
    else:
        print_table("Licence ledger", [{name: asdict(row)[name] for name in _SHOWN} for row in rows])
        for text in missing:
            print_line(f"not read: {text}", err=True)
        for path in filter(None, (csv_file, page)):
            print_line(f"Written: {path}")
    gaps = any(row.frame == NOT_KNOWN for row in rows)
    sys.exit(COULD_NOT_TELL if gaps or missing else FINE)


#: The columns that a terminal shows; files and JSON have all.
_SHOWN = (
    "product",
    "system",
    "partition",
    "frame",
    "entitled_cores",
    "from_earliest_utc",
    "from_latest_utc",
    "until_earliest_utc",
    "until_latest_utc",
    "basis",
)


def _zone(zone: str | None) -> ZoneInfo:
    from zoneinfo import ZoneInfo, available_timezones

    from lpmkit.errors import UsageError

    if zone is None or zone not in available_timezones():
        raise UsageError(
            "error logs and utilization samples have local times, and their zone is not known",
            next_step="Name the zone of the partitions, or of the HMC: --zone Europe/Berlin.",
        )
    return ZoneInfo(zone)


def _from_samples(sample: str, zone: str | None, sightings: dict[str, list[Any]]) -> Sequence[str]:
    """Add the sightings of an HMC's samples; returns what could not be placed."""
    from lpmkit.errors import UsageError
    from lpmkit.runs.utilization import utilization_sightings

    frame, equals, path = sample.partition("=")
    if not equals:
        raise UsageError(
            f"{sample} names no frame", next_step="Name the frame that the file is of: --utilization p8a=p8a.txt."
        )
    seen, missing = utilization_sightings(Path(path), frame, _zone(zone))
    for partition, some in seen.items():
        sightings.setdefault(partition, []).extend(some)
    return missing


def _from_logs(runs: Path, logs: Sequence[Path], zone: str | None, sightings: dict[str, list[Any]]) -> list[str]:
    """Add the sightings of error logs; returns what could not be placed."""
    from lpmkit.runs.error_log_moves import log_sightings, machine_ids

    frames, missing = machine_ids(runs), list[str]()
    for path in logs:
        partition, seen, unplaced = log_sightings(path, _zone(zone), frames)
        sightings.setdefault(partition, []).extend(seen)
        missing += unplaced
    return missing


COMMANDS: Sequence[Any] = (ledger,)
