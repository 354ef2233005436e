"""What is missing on this machine: packages, programs, keys, the site file, machines that cannot be reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import paramiko
from packaging.requirements import Requirement

from lpmkit.checks import Verdict
from lpmkit.config import DatabaseSettings, FrameSettings, Site, find_site_file, load_site
from lpmkit.control.hmc import Hmc
from lpmkit.errors import LpmError, SiteFileError, UsageError
from lpmkit.oracle.check import look_at
from lpmkit.probes.orders import sap_host
from lpmkit.runbook import Runbook
from lpmkit.sap.rfc import trouble
from lpmkit.sap.system import System, open_system
from lpmkit.ssh.client import SshSession, route
from lpmkit.survey.connect import confirm_dialect, control_of

#: A minute of a move with the usual probes takes about 2 MB; a night of watching should fit.
ROOM_MB = 2000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at: ``verdict`` as for a `lpmkit.checks.Finding`, what was found, what to do next."""

    verdict: str
    what: str
    found: str
    next_step: str = ""


def examine_machine(site_file: str | None = None) -> list[Diagnosis]:
    """Look at everything. Never raises for what it finds; a thing that could not be looked at is ``unknown``."""
    rows = [_python(), *_packages(), _ssh_client(), _agent()]
    try:
        path = find_site_file(site_file)
        site = load_site(path)
    except SiteFileError as error:
        return [
            *rows,
            *(
                Diagnosis(Verdict.FAIL, "site file", f"{error.where}: {problem}", "Correct that line.")
                for problem in error.problems
            ),
        ]
    except UsageError as error:
        return [*rows, Diagnosis(Verdict.UNKNOWN, "site file", error.what, error.next_step or "")]
    return [*rows, Diagnosis(Verdict.PASS, "site file", str(path)), _room(site), *_hosts(site)]


def _python() -> Diagnosis:
    return Diagnosis(Verdict.PASS, "Python", sys.version.split()[0])


def _packages() -> Iterator[Diagnosis]:
    for text in metadata.requires("lpmkit") or ():
        wanted = Requirement(text)
        optional = wanted.marker is not None
        if optional and wanted.name not in ("cx_Oracle", "cx-oracle"):
            continue
        yield _package(wanted, optional=optional)
    yield _rfc()


def _package(wanted: Requirement, *, optional: bool) -> Diagnosis:
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        if optional:
            return Diagnosis(
                Verdict.WARN,
                f"package {wanted.name}",
                "not installed",
                "Only needed for Oracle 10g: pip install 'lpmkit[oracle10g]'",
            )
        return Diagnosis(
            Verdict.FAIL, f"package {wanted.name}", "missing", f"pip install '{wanted.name}{wanted.specifier}'"
        )
    if not wanted.specifier.contains(version, prereleases=True):
        return Diagnosis(
            Verdict.WARN,
            f"package {wanted.name}",
            f"{version}, tried with {wanted.specifier}",
            f"pip install '{wanted.name}{wanted.specifier}'",
        )
    return Diagnosis(Verdict.PASS, f"package {wanted.name}", version)


def _rfc() -> Diagnosis:
    why = trouble()
    if why is None:
        return Diagnosis(Verdict.PASS, "package pyrfc", "can be used")
    return Diagnosis(
        Verdict.WARN,
        "package pyrfc",
        why,
        "Withdrawn from the index and never needed: SOAP-RFC tells the same without it.",
    )


def _ssh_client() -> Diagnosis:
    program = shutil.which("ssh")
    if program is None:
        return Diagnosis(
            Verdict.FAIL, "OpenSSH client", "missing", "Install openssh-client: lpmkit asks it how hosts are reached."
        )
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr.strip()  # noqa: S603 - ssh -V
    return Diagnosis(Verdict.PASS, "OpenSSH client", said)


def _agent() -> Diagnosis:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return Diagnosis(
            Verdict.WARN,
            "SSH agent",
            "none",
            "Fine with key files named in the ssh configuration; else: eval $(ssh-agent) && ssh-add",
        )
    keys = paramiko.Agent().get_keys()
    if not keys:
        return Diagnosis(Verdict.WARN, "SSH agent", "holds no key", "ssh-add")
    return Diagnosis(Verdict.PASS, "SSH agent", f"{len(keys)} keys")


def _room(site: Site) -> Diagnosis:
    folder = site.runs.folder
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if not os.access(folder, os.W_OK):
        return Diagnosis(
            Verdict.FAIL,
            "folder of runs",
            f"{folder} cannot be written",
            "Name another in the site file: runs: {folder: …}",
        )
    if free_mb < ROOM_MB:
        return Diagnosis(
            Verdict.WARN,
            "folder of runs",
            f"{free_mb} MB free at {folder}",
            "Make room: a night of watching should fit.",
        )
    return Diagnosis(Verdict.PASS, "folder of runs", f"{free_mb:,} MB free at {Path(folder)}")


def _hosts(site: Site) -> Iterator[Diagnosis]:
    try:
        book = Runbook(site)
        trouble = book.unreachable()
    except LpmError as error:
        yield Diagnosis(Verdict.UNKNOWN, "machines", str(error))
        return
    for name, settings in {**site.frames, **site.partitions}.items():
        if name in trouble:
            yield Diagnosis(Verdict.FAIL, f"login to {name}", trouble[name], "")
        else:
            yield Diagnosis(Verdict.PASS, f"login to {name}", f"as ssh {settings.host} does")
            if isinstance(settings, FrameSettings):
                yield _dialect(book, name)
                if settings.system is not None:
                    yield _console(book, name, settings)
    yield from _sap(book)
    for sid, database in site.databases.items():
        yield from _database(book, sid, database)


def _dialect(book: Runbook, name: str) -> Diagnosis:
    """What the manager of a frame is, and whether the site file calls it so."""
    try:
        found = confirm_dialect(book.site, name, secrets=book.secrets)
    except UsageError as error:
        return Diagnosis(Verdict.FAIL, f"manager of {name}", error.what, error.next_step or "")
    except LpmError as error:
        return Diagnosis(Verdict.UNKNOWN, f"manager of {name}", str(error))
    return Diagnosis(Verdict.PASS, f"manager of {name}", f"{found.kind.upper()}, {found.level}")


def _sap(book: Runbook) -> Iterator[Diagnosis]:
    """Which ways in each SAP system of the site has: every way is asked one question that it alone answers for."""
    for sid, settings in book.site.sap_systems.items():
        try:
            system = open_system(
                sid,
                settings,
                host=sap_host(book.site, settings),
                ssh_config=book.site.ssh_config,
                secrets=book.secrets,
            )
        except LpmError as error:
            yield Diagnosis(Verdict.UNKNOWN, f"SAP {sid}", str(error))
            continue
        with closing(system):
            for name, why in system.unusable.items():
                yield Diagnosis(
                    Verdict.FAIL, f"SAP {sid} by {name}", why, f"Correct sap_systems.{sid}.{name}, or leave it out."
                )
            for name in system.ways:
                yield _way(system, sid, name)
        if not (system.ways or system.unusable):
            yield Diagnosis(
                Verdict.WARN,
                f"SAP {sid}",
                "the site file names no way in",
                f"sap_systems.{sid}: webservice, commands, rfc or soap_rfc; the NI ping needs none.",
            )


def _way(system: System, sid: str, name: str) -> Diagnosis:
    said = system.ask_by(name, "work_processes")
    what = f"SAP {sid} by {name}"
    if said.rows is None:
        return Diagnosis(Verdict.FAIL, what, said.trouble, f"Correct sap_systems.{sid}.{name}, or leave it out.")
    return Diagnosis(Verdict.PASS, what, f"{len(said.rows)} work processes, by {said.way}")


def _database(book: Runbook, sid: str, settings: DatabaseSettings) -> Iterator[Diagnosis]:
    """By which way a database will be asked and why, and whether that works: by logging on once."""
    known = book.site.partitions.get(settings.partition)
    host = known.host if known else settings.partition
    try:
        way = route(host, book.site.ssh_config)
        session = SshSession(way, password=book.secrets.get(known.password if known else None, host))
        password = book.secrets.get(settings.password, f"database {sid}")
    except LpmError as error:
        yield Diagnosis(Verdict.UNKNOWN, f"database {sid}", error.what, error.next_step or "")
        return
    try:
        for look in look_at(sid, settings, password, session):
            verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.WARN}[look.works]
            yield Diagnosis(verdict, look.what, look.found, look.next_step)
    finally:
        session.close()


def _console(book: Runbook, name: str, settings: FrameSettings) -> Diagnosis:
    """Whether the host is an HMC at all, has that system, and the system those I/O servers: by asking it."""
    control = control_of(book.site, name, secrets=book.secrets)
    try:
        level = control.console() if isinstance(control, Hmc) else None
        listed = {partition.name for partition in control.partitions() if partition.is_vios}
    except LpmError as error:
        return Diagnosis(Verdict.FAIL, f"HMC of {name}", str(error), f"Correct `host` and `system` of frames.{name}.")
    finally:
        control.close()
    missing = [vios for vios in settings.vios if vios not in listed]
    if missing:
        return Diagnosis(
            Verdict.FAIL,
            f"HMC of {name}",
            f"{settings.system} has no I/O server {', '.join(missing)}",
            f"frames.{name}.vios: it has {', '.join(sorted(listed)) or 'none'}",
        )
    said = f"version {level.version}, release {level.release}" if level else ""
    return Diagnosis(Verdict.PASS, f"HMC of {name}", f"{said}, has {settings.system}")
