"""A site file compared with itself, with the files that it names, and with its machines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path

from lpmkit.checks import Verdict
from lpmkit.config import Site
from lpmkit.doctor import Diagnosis, examine_hosts, examine_room
from lpmkit.errors import LpmError
from lpmkit.json_values import JsonMapping
from lpmkit.runbook import Runbook


def check_file(path: Path, site: Site) -> list[Diagnosis]:
    """The rows for the file alone; no machine is asked. It could be read: `load_site` raises otherwise."""
    counts: dict[str, Sized] = {
        "frames": site.frames,
        "partitions": site.partitions,
        "SAP systems": site.sap_systems,
        "databases": site.databases,
    }
    contents = ", ".join(f"{name} {len(rows)}" for name, rows in counts.items())
    read = Diagnosis(Verdict.PASS, "site file", f"{path}: {contents}")
    return [read, *_frames(site), *_logins(site), *_files(site), *_references(site), examine_room(site)]


def check_machines(site: Site) -> list[Diagnosis]:
    """The rows for the machines: logins, managers, VIOS, interfaces, and the frame that lists each partition."""
    return [*examine_hosts(site), *_placed(site)]


def _frames(site: Site) -> Iterator[Diagnosis]:
    if not site.frames:
        yield Diagnosis(
            Verdict.WARN, "frames", "none", "`lpmkit site init --hmc HOST` asks a manager which ones there are."
        )
    named: dict[tuple[str, str | None], str] = {}
    for name, frame in site.frames.items():
        first = named.setdefault((frame.host, frame.system), name)
        if first != name:
            yield Diagnosis(Verdict.FAIL, f"frame {name}", f"the same system as {first}", "Leave one of them out.")
        if len(site.frames) > 1 and not frame.partner:
            yield Diagnosis(
                Verdict.WARN, f"frame {name}", "no partner", f"frames.{name}.partner: `check --all` leaves it out."
            )


def _logins(site: Site) -> Iterator[Diagnosis]:
    """SAP systems and databases in a partition whose login the file does not name."""
    systems = {f"SAP system {sid}": (system.partition, system.host) for sid, system in site.sap_systems.items()}
    databases = {f"database {sid}": (database.partition, "") for sid, database in site.databases.items()}
    for what, (partition, host) in {**systems, **databases}.items():
        if partition not in site.partitions and not host:
            yield Diagnosis(
                Verdict.WARN,
                what,
                f"its partition {partition} is not under `partitions:`",
                f"Add `{partition}: {{host: …}}` there, or correct the name.",
            )


def _files(site: Site) -> Iterator[Diagnosis]:
    named: dict[str, Path | None] = {
        "ssh_config": site.ssh_config,
        "runs.allowed_signers": site.runs.allowed_signers,
        "write_up.template": site.write_up.template,
        "write_up.logo": site.write_up.logo,
    }
    for sid, system in site.sap_systems.items():
        named[f"sap_systems.{sid}.rules"] = system.rules
        for way in ("webservice", "soap_rfc"):
            named[f"sap_systems.{sid}.{way}.ca_file"] = getattr(getattr(system, way), "ca_file", None)
    for sid, database in site.databases.items():
        named[f"databases.{sid}.rules"] = database.rules
        named[f"databases.{sid}.wallet"] = database.wallet
    for key, path in named.items():
        if path is not None and not path.exists():
            yield Diagnosis(Verdict.FAIL, key, f"{path} is not there", "Correct the path; it is relative to the file.")


def _references(site: Site) -> Iterator[Diagnosis]:
    """References to variables of the environment that are not set here. The values are not shown."""
    for key, reference in _secrets_of(site.as_data(), ""):
        name = reference.removeprefix("env:")
        if name != reference and name not in os.environ:
            yield Diagnosis(
                Verdict.WARN, key, f"{name} is not set in this environment", f"export {name}, or keyring:SERVICE/USER"
            )


def _secrets_of(data: JsonMapping, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _secrets_of(value, f"{prefix}{key}.")
        elif key in ("password", "wallet_password") and isinstance(value, str):
            yield prefix + key, value


def _placed(site: Site) -> Iterator[Diagnosis]:
    """The frame that lists each partition of the file."""
    try:
        landscape = Runbook(site).landscape()
    except LpmError as error:
        yield Diagnosis(Verdict.UNKNOWN, "partitions", str(error))
        return
    for name in site.partitions:
        frames = [placed.frame for placed in landscape.placed if placed.partition.name == name]
        if len(frames) == 1:
            yield Diagnosis(Verdict.PASS, f"partition {name}", f"on {frames[0]}")
        elif frames:
            where = ", ".join(frames)
            yield Diagnosis(Verdict.WARN, f"partition {name}", f"listed on {where}", "Name the source with --from.")
        elif landscape.silent:
            silent = ", ".join(landscape.silent)
            yield Diagnosis(Verdict.UNKNOWN, f"partition {name}", f"on no frame that answered; silent: {silent}")
        else:
            yield Diagnosis(
                Verdict.FAIL,
                f"partition {name}",
                "no frame of the file lists it",
                "The key is the partition's name at its manager; `host:` is its name after ssh.",
            )
