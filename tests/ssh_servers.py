"""Real SSH servers on loopback of the kinds that are met at Power systems, and clients' configurations for them."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.real_host import RealHost


@dataclass(frozen=True)
class Kind:
    """A kind of server: its host keys' types, and lines of its sshd_config."""

    host_keys: tuple[str, ...] = ("ed25519",)
    lines: tuple[str, ...] = ()
    #: What a client's configuration needs for it.
    needs: tuple[str, ...] = field(default=())


KINDS = {
    "today": Kind(("ed25519", "rsa")),
    "VIOS 1.5": Kind(
        ("rsa",),
        (
            "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
            "HostKeyAlgorithms ssh-rsa",
            "Ciphers aes128-cbc,3des-cbc",
            "MACs hmac-sha1",
        ),
        (
            "KexAlgorithms +diffie-hellman-group14-sha1",
            "HostKeyAlgorithms +ssh-rsa",
            "PubkeyAcceptedAlgorithms +ssh-rsa",
            "Ciphers +aes128-cbc",
        ),
    ),
    "HMC V7": Kind(
        ("rsa",),
        ("HostKeyAlgorithms ssh-rsa", "KexAlgorithms diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256"),
        ("HostKeyAlgorithms +ssh-rsa", "PubkeyAcceptedAlgorithms +ssh-rsa"),
    ),
    "AIX 7.1": Kind(("ecdsa",), ("Ciphers aes256-cbc,aes128-ctr", "KexAlgorithms ecdh-sha2-nistp521")),
    "CBC only": Kind(lines=("Ciphers aes256-cbc,aes128-cbc",), needs=("Ciphers +aes256-cbc",)),
    "new algorithms only": Kind(
        lines=(
            "KexAlgorithms sntrup761x25519-sha512@openssh.com",
            "Ciphers chacha20-poly1305@openssh.com",
            "MACs umac-128-etm@openssh.com",
        )
    ),
}


@cache
def _key_folder() -> TemporaryDirectory[str]:
    """Once for all tests of a process, and removed with it."""
    return TemporaryDirectory(prefix="lpmkit-test-keys-")


def key_file(name: str) -> Path:
    """A key, generated once for all tests of a process, by its type and more words; ``rsa-locked`` has a passphrase."""
    path = Path(_key_folder().name) / name
    if not path.exists():
        kind = next(word for word in name.split("-") if word in ("ed25519", "rsa", "ecdsa"))
        size = ["-b", "2048"] if kind == "rsa" else []
        phrase = "secret" if name.endswith("-locked") else ""
        command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", phrase, "-f", str(path)]
        subprocess.run(command, check=True)
    return path


class KindOfHost(RealHost):
    """A real OpenSSH server of a kind, whose user has every key of `key_file` in the list of authorized keys."""

    keys = ("ed25519", "rsa", "ecdsa", "rsa-locked")

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.kind = kind
        super().__init__(folder)
        self.allow(*self.keys)

    def make_keys(self) -> None:
        for key in self.kind.host_keys:
            for suffix in ("", ".pub"):
                shutil.copy(f"{key_file(key)}{suffix}", self.folder / f"host_{key}{suffix}")

    def server_lines(self) -> list[str]:
        return [*(f"HostKey {self.folder}/host_{key}" for key in self.kind.host_keys), *self.kind.lines]

    def host_key(self) -> str:
        return (self.folder / f"host_{self.kind.host_keys[0]}.pub").read_text()

    def knows(self, *keys: str) -> None:
        """Let the client's file of known hosts have these keys for this host."""
        lines = [f"{self.name} {Path(f'{key_file(key)}.pub').read_text()}" for key in keys]
        (self.folder / "known_hosts").write_text("".join(lines))

    def allow(self, *keys: str) -> None:
        """Let in whoever has one of these keys."""
        (self.folder / "authorized").write_text("".join(Path(f"{key_file(key)}.pub").read_text() for key in keys))

    def config(self, *lines: str, key: str | None = "ed25519", name: str = "config") -> Path:
        """A client's configuration for this host, with more lines."""
        path = self.folder / name
        identity = [f"IdentityFile {key_file(key)}"] if key else ["IdentityFile none"]
        known = f"{self.name} {self.host_key()}"
        (self.folder / "known_hosts").write_text(known)
        own = [
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {getpass.getuser()}",
            f"HostKeyAlias {self.name}",
            *identity,
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {self.folder}/known_hosts",
            "GlobalKnownHostsFile /dev/null",
        ]
        # The first value that ssh finds counts.
        path.write_text("\n".join([f"Host {self.name}", *(f"  {line}" for line in [*lines, *own])]) + "\n")
        return path
