"""The command inventory: what frames hold, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpmkit.commands import candidates
from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    json_option,
    print_json,
    print_table,
    reports_errors,
    site_of,
    terminal,
)

if TYPE_CHECKING:
    from lpmkit.survey.listing import Tables


@click.command()
@click.argument("frames", metavar="[FRAME]...", nargs=-1, shell_complete=candidates.frames)
@click.option("--xlsx", "workbook_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write a workbook with a sheet for each table.")  # fmt: skip
@click.option("--csv", "csv_folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Write a CSV file for each table into this folder.")  # fmt: skip
@json_option
@click.pass_context
@reports_errors
def inventory(
    context: click.Context,
    frames: tuple[str, ...],
    workbook_path: Path | None,
    csv_folder: Path | None,
    as_json: bool,
) -> None:
    """List partitions, adapters, disks, networks and levels of frames. Changes nothing.

    Without FRAME: of every frame of the site file. Exit status 3 if something could not be read; it is listed under
    "gaps".
    """
    from lpmkit.runs.files import make_folder
    from lpmkit.runs.folder import write_file
    from lpmkit.ssh.secrets import Secrets
    from lpmkit.survey.listing import read_frames, tables

    site = site_of(context)
    found = tables(read_frames(site, frames or tuple(site.frames), Secrets()))
    written: list[Path] = []
    if workbook_path is not None:
        from lpmkit.report.workbook import workbook

        written.append(write_file(workbook_path, workbook(found)))
    if csv_folder is not None:
        make_folder(csv_folder)
        for name in found:
            written.append(write_file(csv_folder / f"{name.replace(' ', '-')}.csv", csv_of(found, name).encode()))
    if as_json:
        print_json(found)
    elif written:
        for path in written:
            terminal().print(f"Written: {path}", soft_wrap=True)
    else:
        _print(found)
    sys.exit(COULD_NOT_TELL if found["gaps"] else FINE)


#: The columns that a terminal shows of each table; files and JSON have all.
_SHOWN = {
    "systems": ("frame", "system", "type_model", "serial", "state", "memory_available_mb", "proc_units_available"),
    "partitions": ("partition", "frame", "lpar_id", "state", "os_version", "memory_mb", "proc_units"),
    "adapters": ("partition", "frame", "slot", "kind", "served by", "MAC or WWPNs", "VLANs"),
    "disks": ("disk", "I/O server", "pvid", "size_mb", "virtual target", "partition"),
    "levels": ("machine", "frame", "what", "level"),
    "gaps": ("not read", "of", "why"),
}


#: The headings that people read for the keys of files and JSON.
_HEADINGS = {
    "I/O server": "VIOS",
    "type_model": "type-model",
    "memory_available_mb": "free memory MB",
    "proc_units_available": "free processing units",
    "lpar_id": "id",
    "os_version": "OS level",
    "memory_mb": "memory MB",
    "proc_units": "processing units",
    "pvid": "PVID",
    "size_mb": "size MB",
}


def _print(found: Tables) -> None:
    for name, columns in _SHOWN.items():
        rows = [{_HEADINGS.get(column, column): row.get(column) for column in columns} for row in found[name]]
        print_table(name.capitalize(), rows)


def csv_of(found: Tables, name: str) -> str:
    """One table as CSV, with headings."""
    from lpmkit.runs.files import sheet_cell

    rows = found[name]
    heads = list(dict.fromkeys(head for row in rows for head in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    for row in rows:
        writer.writerow([sheet_cell("" if row.get(head) is None else row[head]) for head in heads])
    return out.getvalue()


COMMANDS = (inventory,)
