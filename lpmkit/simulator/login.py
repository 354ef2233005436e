"""The means to log in: host keys, a client key, ``known_hosts``, ``ssh_config``, and a site file if wanted."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import World
from lpmkit.simulator.old_ssh import CONFIG
from lpmkit.simulator.oracle.alert_log import release_of
from lpmkit.simulator.oracle.faces import DATABASE_USER
from lpmkit.simulator.sap.installation import Installation


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a simulated host's SSH port, and who may log in."""

    host: str
    user: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class SapFace:
    """A SAP system as the site file names it: its ports by the name of what listens, and the hardware key of each
    frame.
    """

    partition: str
    address: str
    installed: Installation
    ports: Mapping[str, int]
    keys: Mapping[str, str]


def make_key(path: Path, *, old: bool = False) -> bytes:
    """Make a key pair, ``path`` and ``path.pub``: ed25519, or RSA for an ``old`` host. Returns the public key as it
    travels.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if old else Ed25519PrivateKey.generate()
    form = PrivateFormat.TraditionalOpenSSL if old else PrivateFormat.OpenSSH
    secret = key.private_bytes(Encoding.PEM, form, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    path.with_name(path.name + ".pub").write_bytes(public + b"\n")
    return public


def write_ssh_config(
    directory: Path, addresses: Sequence[Address], host_keys: dict[str, bytes], old: Collection[str] = ()
) -> Path:
    """Write ``known_hosts`` and ``ssh_config``; ``ssh -F DIRECTORY/ssh_config HOST`` then works with any OpenSSH.

    ``old`` are the hosts for which old algorithms must be asked for.
    """
    known = directory / "known_hosts"
    known.write_text("".join(f"{host} {key.decode()}\n" for host, key in host_keys.items()), encoding="ascii")
    blocks = [
        f"Host {each.host}\n"
        f"    HostName {each.address}\n"
        f"    Port {each.port}\n"
        f"    User {each.user}\n"
        f"    HostKeyAlias {each.host}\n"
        f'    IdentityFile "{directory / "client_key"}"\n'
        f"    IdentitiesOnly yes\n"
        f"    IdentityAgent none\n"
        f'    UserKnownHostsFile "{known}"\n'
        f"    GlobalKnownHostsFile /dev/null\n"
        f"    StrictHostKeyChecking yes\n"
        f"    BatchMode yes\n"
        f"    LogLevel ERROR\n" + "".join(f"    {line}\n" for line in CONFIG if each.host in old)
        for each in addresses
    ]
    path = directory / "ssh_config"
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def write_site_file(
    directory: Path,
    world: World,
    sap: Sequence[SapFace] = (),
    listeners: Mapping[str, str] | None = None,
    password: str = "",
) -> Path:
    """Write ``site.yaml``: the frames, partitions, SAP systems and databases by name, for a program that wants to be
    pointed at them.

    ``listeners`` is where the database of each partition is reached; ``password`` is the name of the environment
    variable that holds the password of the SAP systems and databases.
    """
    names = [frame.name for frame in world.frames]
    partners = {name: names[at ^ 1] for at, name in enumerate(names)}  # every landscape is made of pairs
    rows = ["ssh_config: ssh_config            # relative to the site file", "frames:"]
    for frame in world.frames:
        if frame.hmc is not None:
            rows += [
                f"  {frame.name}:",
                "    manager: hmc",
                f"    host: {frame.hmc}",
                f"    system: {frame.system_name}",
                f"    vios: [{', '.join(server.name for server in frame.servers)}]",
                f"    partner: {partners[frame.name]}",
            ]
            continue
        rows += [
            f"  {frame.name}:",
            "    manager: ivm",
            f"    host: {frame.vios.hostname}",
            f"    mover_address: {frame.vios.address}",
            f"    partner: {partners[frame.name]}",
        ]
    rows.append("partitions:")
    nmon = PurePosixPath(recalled.NMON).parent
    rows += [f"  {found.name}: {{host: {found.name}, nmon: {nmon}}}" for found in world.partitions if found.host]
    if sap:
        rows.append("sap_systems:")
        for face in sap:
            rows += _sap_rows(face, password)
    rows += _databases(world, listeners or {}, password)
    path = directory / "site.yaml"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _sap_rows(face: SapFace, password: str) -> list[str]:
    """One SAP system: every way in that it has, and the bounds of a rehearsal."""
    installed, ports = face.installed, face.ports
    numbers = [installed.number, *([] if installed.classic else [installed.central_services])]
    quoted = ", ".join(f'"{number}"' for number in numbers)
    secret = f'password: "env:{password}"'
    rows = [
        f"  {installed.sid}:",
        f"    partition: {face.partition}",
        f"    instances: [{quoted}]",
        *(_dispatcher_rows(face) if installed.other is None else ()),
        f"    commands: {{host: {installed.administrator}@{face.partition}}}",
        *([_soap_rfc_row(face, secret)] if installed.other is None else ()),
        "    hardware_keys: {" + ", ".join(f"{frame}: {key}" for frame, key in face.keys.items()) + "}",
        "    watch_after_minutes: 0.15     # a rehearsal; fifteen minutes where it counts",
        "    every_s: {work_processes: 1, jobs: 1.5, job_logs: 3, users: 2, system_log: 4, dumps: 4, processes: 3, "
        "queues: 4, enqueue: 4, updates: 4}",
        "    requests_per_minute: 600      # of a system that nobody works with",
    ]
    if installed.has_start_service:
        central = {} if installed.classic else {installed.central_services: ports["start_service_central"]}
        listening = {installed.number: ports["start_service"], **central}
        shown = ", ".join(f'"{number}": {port}' for number, port in listening.items())
        rows.append(
            f"    webservice: {{host: {face.address}, user: {installed.administrator}, {secret}, ports: {{{shown}}}}}"
        )
    return rows


def _dispatcher_rows(face: SapFace) -> list[str]:
    """The dispatcher, which only an ABAP instance has."""
    number = face.installed.number
    return [f'    dispatchers: ["{number}"]', f'    dispatcher_ports: {{"{number}": {face.ports["dispatcher"]}}}']


def _soap_rfc_row(face: SapFace, secret: str) -> str:
    """The way to function modules, which only an ABAP instance has."""
    url, client = f"http://{face.address}:{face.ports['http']}", face.installed.client
    return f'    soap_rfc: {{url: "{url}", client: "{client}", user: {face.installed.rfc_user}, {secret}}}'


def _databases(world: World, listeners: Mapping[str, str], password: str) -> list[str]:
    """The databases of the partitions that run.

    Whoever logs in to AIX is known to them as ``OPS$ROOT``; over the net there is a user with a password.
    """
    rows: list[str] = []
    for found in world.partitions:
        if found.name not in listeners or f"  {found.oracle_sid}:" in rows:
            continue  # it does not run, or two partitions of one name have one database between them
        rows += [
            f"  {found.oracle_sid}:",
            f"    partition: {found.name}",
            f'    version: "{found.oracle_version}"',
            f"    listener: {listeners[found.name]}",
        ]
        if release_of(found.oracle_version) >= (12, 1):
            rows += [f"    user: {DATABASE_USER}", f"    password: env:{password}"]
    return ["databases:", *rows] if rows else []
