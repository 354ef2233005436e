"""The commands that set a site up: site init, site check, site show."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
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
from lpmkit.errors import UsageError
from lpmkit.site_file import SITE_FILES, find_site_file

if TYPE_CHECKING:
    from lpmkit.site_setup.inside import Inside
    from lpmkit.site_setup.managers import ManagedFrame, NamedManager


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
    from lpmkit.config import Site
    from lpmkit.site_setup.inside import Inside, look_into_all
    from lpmkit.site_setup.managers import Managers
    from lpmkit.site_setup.text import site_text
    from lpmkit.ssh.secrets import Secrets

    named = named_managers(hmcs, ivms)
    refuse_existing(output)
    reference = checked_reference(password)
    absolute = ssh_config.resolve() if ssh_config else None
    secrets = Secrets()
    with Managers(Site(ssh_config=absolute), named, secrets, reference) as managers:
        frames = managers.read()
        if not as_json:
            print_line(f"{len(frames)} managed systems. Looking into the partitions …", err=True)
        inside: Sequence[Inside] = (
            [Inside(frame.name, each, why="not tried") for frame in frames for each in frame.clients]
            if skip_partitions
            else look_into_all(managers.site, frames, secrets)
        )
    command = shlex.join(["lpmkit", "site", "init", *_words("--hmc", hmcs), *_words("--ivm", ivms)])
    day = datetime.now(tz=UTC).date().isoformat()
    text = site_text(command, day, frames, inside, ssh_config=_beside(absolute, output), password=reference)
    write_new(output, text)
    _tell(output, frames, inside, as_json)


def _words(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def named_managers(hmcs: Sequence[str], ivms: Sequence[str]) -> list[NamedManager]:
    """The managers of the command line. Raises `UsageError` without one, and for a name that ``ssh`` would take as an
    option.
    """
    from lpmkit.site_setup.managers import NamedManager
    from lpmkit.ssh.route import is_host_name

    if not hmcs and not ivms:
        raise UsageError("no manager is named", next_step="Such as: lpmkit site init --hmc hmc01")
    named = [NamedManager("hmc", host) for host in dict.fromkeys(hmcs)]
    named += [NamedManager("ivm", host, address) for host, _, address in (text.partition("=") for text in ivms)]
    for each in named:
        if not is_host_name(each.host):
            raise UsageError(f"{each.host!r} is no name of a host")
    return named


def checked_reference(password: str | None) -> str | None:
    """A reference to a secret. Raises `UsageError` for anything else, without showing it: it may be the secret."""
    from pydantic import ValidationError

    from lpmkit.config import HostSettings

    try:
        HostSettings(host="manager", password=password)
    except ValidationError:
        raise UsageError(
            "--password takes a reference, never the password itself",
            next_step="env:NAME, keyring:SERVICE/USER or prompt; `lpmkit secret set SERVICE/USER` fills the keyring.",
        ) from None
    return password


def refuse_existing(output: Path) -> None:
    """Raise `UsageError` where the file is there already, before any machine is asked."""
    if output.exists() or output.is_symlink():
        raise UsageError(
            "there is a file already, and it is not overwritten",
            where=str(output),
            next_step="Name another one with --output, or move it away.",
        )


def _beside(ssh_config: Path | None, output: Path) -> Path | None:
    """The path of the OpenSSH configuration as the site file names it: relative if it lies in the same folder."""
    if ssh_config is None or ssh_config.parent != output.resolve().parent:
        return ssh_config
    return Path(ssh_config.name)


def write_new(output: Path, text: str) -> None:
    """Write a file that was not there. Raises `UsageError` if it is there by now or cannot be written."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        refuse_existing(output)
    except OSError as error:
        with suppress(OSError):  # half a file is none; where it cannot be removed the reason above says enough
            output.unlink(missing_ok=True)
        raise UsageError(
            f"the site file cannot be written: {error.strerror}", where=str(output), next_step="Name --output FILE."
        ) from error


def _tell(output: Path, frames: Sequence[ManagedFrame], partitions: Sequence[Inside], as_json: bool) -> None:
    left_out = {frame.name: frame.gap for frame in frames if not frame.is_usable}
    seen = [inside for inside in partitions if inside.host]
    unseen = {inside.partition.name: inside.why for inside in partitions if not inside.host}
    systems = sorted({system.sid for inside in seen for system in inside.sap})
    databases = sorted({database.sid for inside in seen for database in inside.databases})
    if as_json:
        print_json(
            {
                "site_file": str(output.resolve()),
                "frames": [frame.name for frame in frames if frame.is_usable],
                "partners": {frame.name: frame.partner for frame in frames if frame.partner},
                "partitions": [inside.partition.name for inside in seen],
                "sap_systems": systems,
                "databases": databases,
                "left_out": {**left_out, **unseen},
            }
        )
        return
    out = terminal()
    out.print(f"Written: {output}", soft_wrap=True)
    out.print(f"Frames: {len(frames) - len(left_out)}. Partitions logged in to: {len(seen)} of {len(partitions)}.")
    out.print(f"SAP systems: {', '.join(systems) or 'none'}. Databases: {', '.join(databases) or 'none'}.")
    for name, reason in {**left_out, **unseen}.items():
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

    path = find_site_file(context.obj)
    loaded = load_site(path)
    if as_json:
        print_json({"site_file": str(path.resolve()), "site": loaded.as_data()})
        return
    out = terminal()
    out.print(f"Site file: {path.resolve()}", soft_wrap=True)
    out.print(f"Runs: {loaded.runs.folder}", soft_wrap=True)
    out.print(f"OpenSSH configuration: {loaded.ssh_config or '~/.ssh/config'}", soft_wrap=True)
    print_table(
        "Frames",
        [
            {
                "frame": name,
                "manager": f"{frame.manager.upper()} {frame.host}",
                "system": frame.system,
                "VIOS": ", ".join(frame.vios),
                "partner": frame.partner,
            }
            for name, frame in loaded.frames.items()
        ],
    )
    print_table(
        "Partitions",
        [
            {
                "partition": name,
                "login": f"ssh {partition.host}",
                "SAP": ", ".join(loaded.sap_of(name)),
                "databases": ", ".join(sid for sid, each in loaded.databases.items() if each.partition == name),
            }
            for name, partition in loaded.partitions.items()
        ],
    )


COMMANDS = (site,)
