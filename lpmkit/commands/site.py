"""The commands that set a site up: site init, site check, site show."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lpmkit.commands.console import (
    COULD_NOT_TELL,
    FINE,
    MARKS,
    NOT_FINE,
    json_option,
    print_json,
    print_line,
    print_table,
    reports_errors,
    terminal,
)
from lpmkit.settings.site_file import SITE_FILES, find_site_file

if TYPE_CHECKING:
    from lpmkit.site_setup.discovery import Discovery
    from lpmkit.site_setup.managers import ManagedFrame


@click.group("site")
def site() -> None:
    """Write, check and show the site file."""


@site.command("init")
@click.option("--hmc", "hmcs", metavar="HOST", multiple=True, help="An HMC, as typed after ssh. May be repeated.")
@click.option(
    "--ivm",
    "ivms",
    metavar="HOST[=ADDRESS]",
    multiple=True,
    help="An IVM, as typed after ssh; ADDRESS is for the other manager's migrlpar --ip. May be repeated.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(SITE_FILES[0]),
    show_default=True,
    help="The file to write; an existing one is never overwritten.",
)
@click.option(
    "--ssh-config",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="OpenSSH configuration; default: ~/.ssh/config.",
)
@click.option(
    "--password",
    metavar="REFERENCE",
    help="Where the password for the managers is kept: env:NAME, keyring:SERVICE/USER or prompt. Default: SSH keys.",
)
@click.option("--skip-partitions", is_flag=True, help="Do not log in to partitions.")
@json_option
@reports_errors
def init(
    hmcs: Sequence[str],
    ivms: Sequence[str],
    output: Path,
    ssh_config: Path | None,
    password: str | None,
    skip_partitions: bool,
    as_json: bool,
) -> None:
    """Ask managers what they manage, and write a site file with comments. Changes nothing on any machine.

    Partitions are logged in to once, with SSH keys, to see which of them can be probed and where SAP and Oracle run.
    """
    from lpmkit.site_setup.discovery import discover, named_managers, password_reference, refuse_existing, write_new
    from lpmkit.ssh.secrets import Secrets

    named = named_managers(hmcs, ivms)
    refuse_existing(output)  # before any machine is asked
    reference = password_reference(password)

    def tell(frames: Sequence[ManagedFrame]) -> None:
        if not as_json:
            print_line(f"{len(frames)} managed systems. Looking into the partitions …", err=True)

    found = discover(
        named,
        Secrets(),
        ssh_config=ssh_config,
        password=reference,
        skip_partitions=skip_partitions,
        tell_frames=tell,
    )
    write_new(output, found.text(output))
    _tell(output, found, as_json)


def _tell(output: Path, found: Discovery, as_json: bool) -> None:
    usable = [frame for frame in found.frames if frame.is_usable]
    if as_json:
        print_json(
            {
                "site_file": str(output.resolve()),
                "frames": [frame.name for frame in usable],
                "partners": {frame.name: frame.partner for frame in found.frames if frame.partner},
                "partitions": [inside.partition.name for inside in found.logged_in],
                "sap_systems": found.sap_systems,
                "databases": found.databases,
                "left_out": found.left_out,
            }
        )
        return
    out = terminal()
    out.print(f"Written: {output}", soft_wrap=True)
    out.print(f"Frames: {len(usable)}. Partitions logged in to: {len(found.logged_in)} of {len(found.partitions)}.")
    systems, databases = ", ".join(found.sap_systems) or "none", ", ".join(found.databases) or "none"
    out.print(f"SAP systems: {systems}. Databases: {databases}.")
    for name, reason in found.left_out.items():
        out.print(f"  {name}: {reason}", soft_wrap=True)
    out.print("Next: `lpmkit site check --machines`, then `lpmkit check PARTITION --to FRAME`.")


@site.command("check")
@click.option("--machines", is_flag=True, help="Also ask the machines whether they are as the file says.")
@json_option
@click.pass_context
@reports_errors
def check(context: click.Context, machines: bool, as_json: bool) -> None:
    """Check the site file: its form, what it refers to, and with --machines whether the machines are as it says.

    Exit status: 0 fine, 1 at least one row fails, 2 the file cannot be read, 3 something could not be looked at.
    """
    from lpmkit.config import load_site
    from lpmkit.site_setup.check import check_file, check_machines

    path = find_site_file(context.obj)
    loaded = load_site(path)
    rows = check_file(path, loaded)
    if machines:
        rows += check_machines(loaded)
    if as_json:
        print_json({"site_file": str(path.resolve()), "rows": [asdict(row) for row in rows]})
    else:
        print_table(
            str(path),
            [
                {"": MARKS[row.verdict], "what": row.what, "result": row.found, "next step": row.next_step}
                for row in rows
            ],
        )
    verdicts = {row.verdict for row in rows}
    sys.exit(NOT_FINE if "fail" in verdicts else COULD_NOT_TELL if "unknown" in verdicts else FINE)


@site.command("show")
@json_option
@click.pass_context
@reports_errors
def show(context: click.Context, as_json: bool) -> None:
    """Show which site file is used, and its content with all defaults."""
    from lpmkit.config import load_site
    from lpmkit.site_setup.show import frame_rows, partition_rows

    path = find_site_file(context.obj)
    loaded = load_site(path)
    if as_json:
        print_json({"site_file": str(path.resolve()), "site": loaded.as_data()})
        return
    out = terminal()
    out.print(f"Site file: {path.resolve()}", soft_wrap=True)
    out.print(f"Runs: {loaded.runs.folder}", soft_wrap=True)
    out.print(f"OpenSSH configuration: {loaded.ssh_config or '~/.ssh/config'}", soft_wrap=True)
    print_table("Frames", frame_rows(loaded))
    print_table("Partitions", partition_rows(loaded))


COMMANDS = (site,)
