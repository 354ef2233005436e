"""Diagnosis of this machine: packages, programs, keys, the site file, hosts that cannot be reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
from packaging.requirements import Requirement

from lpmkit.checks import Verdict
from lpmkit.config import FrameSettings, Site, load_site
from lpmkit.control.hmc import Hmc
from lpmkit.errors import LpmError, SiteFileError, UsageError
from lpmkit.installed.extras import missing_extra
from lpmkit.oracle.check import look_at
from lpmkit.probes.orders import sap_host
from lpmkit.runbook import Runbook
from lpmkit.sap.rfc import trouble
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.settings.site_file import find_site_file
from lpmkit.ssh.client import SshSession, route
from lpmkit.survey.connect import confirm_dialect, control_of

#: The subject of a diagnosis of a package begins so.
PACKAGE = "package "
#: The subject of a diagnosis of a login begins so.
LOGIN = "login to "
if TYPE_CHECKING:
    from lpmkit.sap.system import System

#: Minimum free space: a minute of a move with the usual probes takes about 2 MB, and a night of watching should fit.
ROOM_MB = 2000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Result of one test: ``verdict`` as for a `lpmkit.checks.Finding`, subject, result, next step."""

    verdict: str
    what: str
    found: str
    next_step: str = ""
    #: A part that is only needed for some things, or that something else can take the place of.
    optional: bool = False


def verdict_line(rows: Sequence[Diagnosis]) -> str:
    """All diagnoses in one sentence: ready, not ready or inconclusive, and the optional parts that are missing.

    >>> verdict_line([Diagnosis("pass", "login to p", "works"), Diagnosis("warn", "SSH agent", "none", optional=True)])
    'Ready: all logins work. 1 optional part is missing.'
    """
    failed = sum(row.verdict == Verdict.FAIL for row in rows)
    unknown = sum(row.verdict == Verdict.UNKNOWN for row in rows)
    lacking = sum(row.optional for row in rows)
    if failed:
        line = f"Not ready: {failed} test{'s' * (failed != 1)} failed."
    elif unknown:
        line = f"Inconclusive: {unknown} test{'s' * (unknown != 1)} could not be made."
    else:
        logins = any(row.what.startswith(LOGIN) for row in rows)
        line = "Ready: all logins work." if logins else "Ready. The site file names no machine to log in to."
    return line + (f" {lacking} optional part{'s are' if lacking != 1 else ' is'} missing." if lacking else "")


def examine_machine(site_file: str | None = None) -> list[Diagnosis]:
    """Run all tests. Never raises for a failed test; a test that could not run is ``unknown``."""
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
    return [*rows, Diagnosis(Verdict.PASS, "site file", str(path)), examine_room(site), *examine_hosts(site)]


def _python() -> Diagnosis:
    return Diagnosis(Verdict.PASS, "Python", sys.version.split()[0])


def _packages() -> Iterator[Diagnosis]:
    for text in metadata.requires("lpmkit") or ():
        requirement = Requirement(text)
        extra = next((name for name in (*PURPOSES, "test") if f'extra == "{name}"' in str(requirement.marker)), "")
        if requirement.name != "lpmkit" and (requirement.marker is None or extra in PURPOSES):
            yield _package(requirement, extra)
    yield _rfc()


#: The extras whose packages are examined, and what needs them.
PURPOSES = {
    "parquet": "runs whose samples are packed, and to pack them",
    "notebook": "JupyterLab and the application",
    "report": "reports, write-ups and plans",
    "oracle": "databases that are asked over the network",
    "sap": "SAP systems",
    "keyring": "secrets in the keyring",
    "oracle10g": "an Oracle 10g database",
}


def _package(requirement: Requirement, extra: str) -> Diagnosis:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        if extra:
            return Diagnosis(
                Verdict.WARN,
                f"{PACKAGE}{requirement.name}",
                "not installed",
                f"Only needed for {PURPOSES[extra]}: pip install 'lpmkit[{extra}]'",
                optional=True,
            )
        return Diagnosis(
            Verdict.FAIL,
            f"{PACKAGE}{requirement.name}",
            "missing",
            f"pip install '{requirement.name}{requirement.specifier}'",
        )
    if not requirement.specifier.contains(version, prereleases=True):
        return Diagnosis(
            Verdict.WARN,
            f"{PACKAGE}{requirement.name}",
            f"{version}, tried with {requirement.specifier}",
            f"pip install '{requirement.name}{requirement.specifier}'",
        )
    return Diagnosis(Verdict.PASS, f"{PACKAGE}{requirement.name}", version)


def _rfc() -> Diagnosis:
    reason = trouble()
    if reason is None:
        return Diagnosis(Verdict.PASS, f"{PACKAGE}pyrfc", "can be used")
    next_step = "Not needed: SOAP-RFC provides the same data, and SAP has withdrawn pyrfc."
    return Diagnosis(Verdict.WARN, f"{PACKAGE}pyrfc", reason, next_step, optional=True)


def _ssh_client() -> Diagnosis:
    program = shutil.which("ssh")
    if program is None:
        return Diagnosis(
            Verdict.FAIL,
            "OpenSSH client",
            "missing",
            "Install openssh-client: lpmkit takes addresses and keys of hosts from it.",
        )
    reply = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)  # noqa: S603 - ssh -V
    version = reply.stderr.strip()  # OpenSSH prints its version there
    return Diagnosis(Verdict.PASS, "OpenSSH client", version)


def _agent() -> Diagnosis:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return Diagnosis(
            Verdict.WARN,
            "SSH agent",
            "none",
            "Not needed if the ssh configuration names key files (IdentityFile). Else: eval $(ssh-agent) && ssh-add",
            optional=True,
        )
    keys = paramiko.Agent().get_keys()
    if not keys:
        return Diagnosis(Verdict.WARN, "SSH agent", "holds no key", "ssh-add")
    return Diagnosis(Verdict.PASS, "SSH agent", f"{len(keys)} keys")


def examine_room(site: Site) -> Diagnosis:
    """Diagnosis of the folder of runs: it can be written to and has space."""
    folder = site.runs.folder
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if not os.access(folder, os.W_OK):
        return Diagnosis(
            Verdict.FAIL,
            "folder of runs",
            f"{folder} cannot be written",
            "Set another one in the site file: runs: {folder: …}",
        )
    if free_mb < ROOM_MB:
        return Diagnosis(
            Verdict.WARN,
            "folder of runs",
            f"{free_mb} MB free at {folder}",
            "Free some space: a night of watching should fit.",
        )
    return Diagnosis(Verdict.PASS, "folder of runs", f"{free_mb:,} MB free at {Path(folder)}")


def examine_hosts(site: Site) -> Iterator[Diagnosis]:
    """Diagnoses of every machine of a site: logins, managers, SAP interfaces and databases."""
    try:
        book = Runbook(site)
        trouble = book.unreachable()
    except LpmError as error:
        yield Diagnosis(Verdict.UNKNOWN, "machines", str(error))
        return
    for name, settings in {**site.frames, **site.partitions}.items():
        if name in trouble:
            yield Diagnosis(Verdict.FAIL, f"{LOGIN}{name}", trouble[name], "")
        else:
            yield Diagnosis(Verdict.PASS, f"{LOGIN}{name}", f"works, as `ssh {settings.host}` would log in")
            yield from _ssh_options(site, name, settings.host)
            if isinstance(settings, FrameSettings):
                yield _dialect(book, name)
                if settings.system is not None:
                    yield _console(book, name, settings)
    yield from _sap(book)
    for sid, database in site.databases.items():
        yield from _database(book, sid, database)


def _ssh_options(site: Site, name: str, host: str) -> Iterator[Diagnosis]:
    """Diagnosis of what the ssh configuration of a host asks for and does not get; nothing for an ordinary one."""
    unheeded = list(route(host, site.ssh_config).options.not_honoured())
    if unheeded:
        yield Diagnosis(Verdict.WARN, f"ssh options of {name}", "; ".join(unheeded), "See docs/reaching.md.")


def _dialect(book: Runbook, name: str) -> Diagnosis:
    """Diagnosis of a frame's manager: its kind, compared with the site file."""
    try:
        dialect = confirm_dialect(book.site, name, secrets=book.secrets)
    except UsageError as error:
        return Diagnosis(Verdict.FAIL, f"manager of {name}", error.what, error.next_step or "")
    except LpmError as error:
        return Diagnosis(Verdict.UNKNOWN, f"manager of {name}", str(error))
    return Diagnosis(Verdict.PASS, f"manager of {name}", f"{dialect.kind.upper()}, {dialect.level}")


def _sap(book: Runbook) -> Iterator[Diagnosis]:
    """Diagnoses of the SAP interfaces of the site; each is asked one question that only it can answer."""
    if not book.site.sap_systems:
        return
    from lpmkit.sap.system import open_system  # noqa: PLC0415 - a site without SAP needs none of it

    for sid, settings in book.site.sap_systems.items():
        try:
            system = open_system(
                sid,
                settings,
                host=sap_host(book.site, settings),
                ssh_config=book.site.ssh_config,
                secrets=book.secrets,
            )
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            yield Diagnosis(Verdict.UNKNOWN, f"SAP {sid}", missing.what, missing.next_step or "")
            continue
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
                "the site file configures no SAP interface",
                f"Add to sap_systems.{sid}: webservice, commands, rfc or soap_rfc. The NI ping needs none.",
            )


def _way(system: System, sid: str, name: str) -> Diagnosis:
    answer = system.ask_by(name, "work_processes")
    what = f"SAP {sid} by {name}"
    if answer.rows is None:
        return Diagnosis(Verdict.FAIL, what, answer.trouble, f"Correct sap_systems.{sid}.{name}, or leave it out.")
    return Diagnosis(Verdict.PASS, what, f"{len(answer.rows)} work processes, by {answer.way}")


def _database(book: Runbook, sid: str, settings: DatabaseSettings) -> Iterator[Diagnosis]:
    """Test the driver of a database by logging on once."""
    partition = book.site.partitions.get(settings.partition)
    host = partition.host if partition else settings.partition
    try:
        ssh_route = route(host, book.site.ssh_config)
        session = SshSession(ssh_route, password=book.secrets.get(partition.password if partition else None, host))
        password = book.secrets.get(settings.password, f"database {sid}")
        wallet_password = book.secrets.get(settings.wallet_password, f"wallet of database {sid}")
    except LpmError as error:
        yield Diagnosis(Verdict.UNKNOWN, f"database {sid}", error.what, error.next_step or "")
        return
    try:
        for check in look_at(sid, settings, password, session, wallet_password):
            verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.WARN}[check.works]
            yield Diagnosis(verdict, check.what, check.found, check.next_step)
    finally:
        session.close()


def _console(book: Runbook, name: str, settings: FrameSettings) -> Diagnosis:
    """Diagnosis of an HMC: it is one, lists the system, and the system has the named VIOS."""
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
            f"{settings.system} has no VIOS {', '.join(missing)}",
            f"frames.{name}.vios: it has {', '.join(sorted(listed)) or 'none'}",
        )
    version = f"version {level.version}, release {level.release}" if level else ""
    return Diagnosis(Verdict.PASS, f"HMC of {name}", f"{version}, has {settings.system}")
