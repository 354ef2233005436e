"""How to log in: host keys, a client key, ``known_hosts``, ``ssh_config``, and a site file for whoever wants one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lpmkit.simulator.chassis import World
from lpmkit.simulator.oracle.alert_log import release_of
from lpmkit.simulator.oracle.faces import DATABASE_USER


@dataclass(frozen=True, slots=True)
class Address:
    """Where a simulated host's SSH port is, and who may log in."""

    host: str
    user: str
    address: str
    port: int


def make_key(path: Path) -> bytes:
    """Make an ed25519 key pair, ``path`` and ``path.pub``; returns the public key as it travels."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    path.with_name(path.name + ".pub").write_bytes(public + b"\n")
    return public


def write_ssh_config(directory: Path, addresses: Sequence[Address], host_keys: dict[str, bytes]) -> Path:
    """Write ``known_hosts`` and ``ssh_config``; ``ssh -F DIRECTORY/ssh_config HOST`` then works with any OpenSSH."""
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
        f"    LogLevel ERROR\n"
        for each in addresses
    ]
    path = directory / "ssh_config"
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def write_site_file(
    directory: Path, world: World, listeners: Mapping[str, str] | None = None, password: str = ""
) -> Path:
    """Write ``site.yaml``: the frames and partitions by name, for a program that wants to be pointed at them."""
    rows = ["ssh_config: ssh_config            # relative to the site file", "frames:"]
    for frame in world.frames:
        if frame.hmc is not None:
            rows += [
                f"  {frame.name}:",
                "    manager: hmc",
                f"    host: {frame.hmc}",
                f"    system: {frame.system_name}",
                f"    vios: [{frame.vios.name}]",
            ]
            continue
        rows += [
            f"  {frame.name}:",
            "    manager: ivm",
            f"    host: {frame.vios.hostname}",
            f"    mover_address: {frame.vios.address}",
        ]
    rows.append("partitions:")
    rows += [f"  {found.name}: {{host: {found.name}}}" for found in world.partitions if found.host]
    rows += _databases(world, listeners or {}, password)
    path = directory / "site.yaml"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _databases(world: World, listeners: Mapping[str, str], password: str) -> list[str]:
    """The databases of the partitions that run. Whoever logs in to AIX is known to them as ``OPS$ROOT``; over the net there is a user with a password."""
    rows = []
    for found in world.partitions:
        if found.name not in listeners:
            continue
        rows += [
            f"  {found.oracle_sid}:",
            f"    partition: {found.name}",
            f'    version: "{found.oracle_version}"',
            f"    listener: {listeners[found.name]}",
        ]
        if release_of(found.oracle_version) >= (12, 1):
            rows += [f"    user: {DATABASE_USER}", f"    password: env:{password}"]
    return ["databases:", *rows] if rows else []
