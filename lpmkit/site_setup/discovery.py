"""The way from the names of managers to a new site file: the same for the command line and for a notebook."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lpmkit.config import Site
from lpmkit.errors import UsageError
from lpmkit.settings.references import is_reference
from lpmkit.site_setup.inside import Inside, look_into_all
from lpmkit.site_setup.managers import ManagedFrame, Managers, NamedManager
from lpmkit.site_setup.text import site_text
from lpmkit.ssh.route import is_host_name
from lpmkit.ssh.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Discovery:
    """Managed systems and partitions as the managers listed them and as they look from inside.

    ``ssh_config`` and ``password`` (a reference) are those that were used to ask.
    """

    named: tuple[NamedManager, ...]
    frames: tuple[ManagedFrame, ...]
    partitions: tuple[Inside, ...]
    ssh_config: Path | None = None
    password: str | None = None

    @property
    def logged_in(self) -> tuple[Inside, ...]:
        """The partitions that were logged in to."""
        return tuple(inside for inside in self.partitions if inside.host)

    @property
    def sap_systems(self) -> list[str]:
        """The SAP systems in the partitions, by SID."""
        return sorted({system.sid for inside in self.logged_in for system in inside.sap})

    @property
    def databases(self) -> list[str]:
        """The Oracle databases in the partitions, by SID."""
        return sorted({database.sid for inside in self.logged_in for database in inside.databases})

    @property
    def left_out(self) -> dict[str, str]:
        """The systems that a site file cannot name and the partitions without a login, with the reason."""
        unseen = {inside.partition.name: inside.why for inside in self.partitions if not inside.host}
        return {frame.name: frame.gap for frame in self.frames if not frame.is_usable} | unseen

    def command(self) -> str:
        """The command that asks the same managers.

        >>> Discovery((NamedManager("ivm", "bvio82", "192.0.2.82"),), (), ()).command()
        'lpmkit site init --ivm bvio82=192.0.2.82'
        """
        words = ["lpmkit", "site", "init"]
        for each in self.named:
            words += [f"--{each.kind}", f"{each.host}={each.address}" if each.address else each.host]
        return shlex.join(words)

    def text(self, output: Path, *, author: str | None = None) -> str:
        """The site file with comments, as ``output`` gets it. ``author`` wrote it, `command` where that is left
        out. Raises `SiteFileError` if it could not be read back: a defect.
        """
        day = datetime.now(tz=UTC).date().isoformat()
        config = _beside(self.ssh_config, output)
        wrote = f"`{self.command()}`" if author is None else author
        return site_text(wrote, day, self.frames, self.partitions, ssh_config=config, password=self.password)


def discover(
    named: Sequence[NamedManager],
    secrets: Secrets,
    *,
    ssh_config: Path | None = None,
    password: str | None = None,
    skip_partitions: bool = False,
    tell_frames: Callable[[Sequence[ManagedFrame]], None] = lambda _: None,
    tell_partition: Callable[[Inside], None] = lambda _: None,
) -> Discovery:
    """Ask the managers, and look into every partition unless ``skip_partitions``. Changes nothing on any machine.

    ``tell_partition`` is called from several threads. Raises `LpmError` where a manager cannot be asked.
    """
    absolute = ssh_config.resolve() if ssh_config else None
    with Managers(Site(ssh_config=absolute), named, secrets, password) as managers:
        frames = managers.read()
        tell_frames(frames)
        partitions = (
            tuple(Inside(frame.name, each, why="not tried") for frame in frames for each in frame.clients)
            if skip_partitions
            else look_into_all(managers.site, frames, secrets, tell_partition)
        )
    return Discovery(tuple(named), frames, partitions, absolute, password)


def named_managers(hmcs: Sequence[str], ivms: Sequence[str]) -> list[NamedManager]:
    """The managers by their names, an IVM's with ``=ADDRESS`` behind it where that is given. Raises `UsageError`
    without one, and for a name that ``ssh`` would take as an option.
    """
    if not hmcs and not ivms:
        raise UsageError("no manager is named", next_step="Such as: lpmkit site init --hmc hmc01")
    named = [NamedManager("hmc", host) for host in dict.fromkeys(hmcs)]
    named += [NamedManager("ivm", host, address) for host, _, address in (text.partition("=") for text in ivms)]
    for each in named:
        if not is_host_name(each.host):
            raise UsageError(f"{each.host!r} is no name of a host")
    return named


def password_reference(text: str | None) -> str | None:
    """A reference to a secret. Raises `UsageError` for anything else, without showing it: it may be the secret."""
    if text is not None and not is_reference(text):
        raise UsageError(
            "the password is given as a reference, never the password itself",
            next_step="env:NAME, keyring:SERVICE/USER or prompt; `lpmkit secret set SERVICE/USER` fills the keyring.",
        )
    return text


def refuse_existing(output: Path) -> None:
    """Raise `UsageError` where the file is there already."""
    if output.exists() or output.is_symlink():
        raise UsageError(
            "there is a file already, and it is not overwritten",
            where=str(output),
            next_step="Name another file, or move this one away.",
        )


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
            f"the site file cannot be written: {error.strerror}", where=str(output), next_step="Name another file."
        ) from error


def _beside(ssh_config: Path | None, output: Path) -> Path | None:
    """The path of the OpenSSH configuration as the site file names it: relative if it lies in the same folder."""
    if ssh_config is None or ssh_config.parent != output.resolve().parent:
        return ssh_config
    return Path(ssh_config.name)
