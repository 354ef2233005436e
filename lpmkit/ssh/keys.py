"""The keys with which a login may be tried, in OpenSSH's order, and the signature that each would make."""

from __future__ import annotations

import base64
import binascii
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH

from lpmkit.ssh.known_hosts import fingerprint
from lpmkit.ssh.options import agent_socket
from lpmkit.ssh.route import Route

_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_RSA_SHA2 = ("rsa-sha2-512", "rsa-sha2-256")
_OPENSSH_HEADER = "-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
AGENT_TIMEOUT_S = 10.0


class Usable(StrEnum):
    """The use of a key in one login."""

    YES = "yes"
    OPENSSH = "only OpenSSH can sign with it"
    LOCKED = "locked by a passphrase"
    NOT_ACCEPTED = "its signature is not accepted"
    UNREADABLE = "cannot be read"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that might be offered. ``label`` is its file, or its comment in the agent; ``key`` signs."""

    label: str
    key_type: str
    blob: bytes
    key: paramiko.PKey | None = None
    usable: Usable = Usable.YES
    why: str = ""

    @property
    def named(self) -> str:
        """Type, fingerprint and place of the key."""
        mark = f" {fingerprint(self.blob)}" if self.blob else ""
        return f"{self.key_type or 'key'}{mark} ({self.label})"


class Agent(AgentSSH):
    """The agent behind a socket; without one it holds no key."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        if path is None:
            return
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(AGENT_TIMEOUT_S)
        try:
            wire.connect(path)
            self._connect(wire)  # type: ignore[attr-defined] # paramiko has no public name for another socket
        except (OSError, paramiko.SSHException, EOFError):
            wire.close()


def candidates(target: Route, agent: Agent) -> list[Candidate]:
    """The keys of a route in the order in which OpenSSH offers them (C `OPENSSH-CLIENT`).

    Keys in the agent that a file names come first, then the agent's others, then the files that the agent lacks.
    """
    files = [read_file(Path(name)) for name in target.identities if _is_there(name)]
    held = [
        Candidate(
            f"agent, {comment}" if (comment := getattr(key, "comment", "")) else "agent", key.get_name(), key.blob, key
        )
        for key in agent.get_keys()
    ]
    named = {candidate.blob for candidate in files if candidate.blob}
    first = [candidate for candidate in held if candidate.blob in named]
    others = [candidate for candidate in held if candidate.blob not in named] if target.use_agent else []
    in_agent = {candidate.blob for candidate in held}
    return [
        *first,
        *others,
        *(candidate for candidate in files if candidate.blob not in in_agent or not candidate.blob),
    ]


def _is_there(name: str) -> bool:
    """True if a key file is there, or the public part alone, whose private part an agent may hold."""
    return Path(name).is_file() or Path(f"{name}.pub").is_file()


def judged(
    candidate: Candidate, accepted: Sequence[str], server_algorithms: Sequence[str] | None, can_sign: Sequence[str]
) -> Candidate:
    """The candidate with what can be done with it.

    ``accepted`` are the configuration's signatures (empty: all), ``server_algorithms`` the host's ``server-sig-algs``
    (``None`` if it sent none) and ``can_sign`` those that the installed paramiko makes.
    """
    if candidate.usable is not Usable.YES:
        return candidate
    if "-cert-v01@" in candidate.key_type:
        return replace(candidate, usable=Usable.OPENSSH, why="a certificate")
    algorithm = signature(candidate.key_type, accepted, server_algorithms)
    if algorithm is None:
        return replace(candidate, usable=Usable.NOT_ACCEPTED)
    usable = Usable.YES if algorithm in can_sign and candidate.key is not None else Usable.OPENSSH
    return replace(candidate, usable=usable, why=algorithm)


def signature(key_type: str, accepted: Sequence[str], server_algorithms: Sequence[str] | None) -> str | None:
    """The signature that OpenSSH would make with a key of this type; ``None`` if it would not offer the key.

    An RSA key signs with SHA-2 only for a host that says it understands that (C `OPENSSH-CLIENT`).

    >>> signature("ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256"], None) is None
    True
    >>> signature("ssh-rsa", ["rsa-sha2-512", "ssh-rsa"], None)
    'ssh-rsa'
    """
    if key_type != "ssh-rsa" or server_algorithms is None:
        return key_type if not accepted or _is_in(key_type, accepted) else None
    for algorithm in accepted or _RSA_SHA2:
        for own in (*_RSA_SHA2, "ssh-rsa"):
            if fnmatchcase(own, algorithm) and own in server_algorithms:
                return own
    return None


def _is_in(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def read_file(path: Path) -> Candidate:
    """A key file; never raises. A file that others may read is not used, as OpenSSH does not use it."""
    key_type, blob = public_part(path)
    try:
        state = path.stat()
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        return Candidate(str(path), key_type, blob, None, Usable.UNREADABLE, str(error.strerror))
    if state.st_uid == os.getuid() and state.st_mode & 0o077:
        return Candidate(str(path), key_type, blob, None, Usable.UNREADABLE, f"others may read it: chmod 600 {path}")
    if Path(f"{path}-cert.pub").is_file():
        return Candidate(str(path), f"{key_type}-cert-v01@openssh.com", blob, None, Usable.YES, "it has a certificate")
    if "PRIVATE KEY" not in text:
        return Candidate(str(path), key_type, blob, None, Usable.UNREADABLE, "it holds no private key")
    if "BEGIN ENCRYPTED PRIVATE KEY" in text:
        return Candidate(str(path), key_type, blob, None, Usable.LOCKED)
    return _read_private(path, key_type, blob)


def _read_private(path: Path, key_type: str, blob: bytes) -> Candidate:
    """A private key in its file. paramiko takes the handle of a FIDO key for a plain ECDSA key: one whose type is not
    that of its public part is left to OpenSSH.
    """
    for kind in _CLASSES:
        try:
            key = kind.from_private_key_file(str(path))
        except paramiko.PasswordRequiredException:
            return Candidate(str(path), key_type, blob, None, Usable.LOCKED)
        except Exception:  # noqa: BLE001, S112 - a key of another kind; the libraries raise whatever they like
            continue
        if key_type in ("", key.get_name()):
            return Candidate(str(path), key.get_name(), key.asbytes(), key)
    if not key_type:
        return Candidate(str(path), "", blob, None, Usable.OPENSSH, "paramiko cannot read its file")
    return Candidate(str(path), key_type, blob, None)


def public_part(path: Path) -> tuple[str, bytes]:
    """Type and public part of a key file, from the ``.pub`` beside it or from itself; empty if neither says.

    The configuration may name the ``.pub`` itself, for a key that an agent holds.
    """
    for line in (*_lines(Path(f"{path}.pub")), *(_lines(path) if path.suffix == ".pub" else ())):
        words = line.split()
        if len(words) >= 2:
            try:
                return words[0], base64.b64decode(words[1], validate=True)
            except (binascii.Error, ValueError):
                break
    lines = list(_lines(path))
    if lines and lines[0].strip() == _OPENSSH_HEADER:
        try:
            return _public_of(base64.b64decode("".join(lines[1:-1])))
        except (binascii.Error, ValueError, struct.error, UnicodeDecodeError):
            return "", b""
    return "", b""


def _public_of(content: bytes) -> tuple[str, bytes]:
    """Type and public part of a private key in OpenSSH's own format, whose public part is never encrypted."""
    if not content.startswith(_MAGIC):
        raise ValueError("not in this format")
    rest = content[len(_MAGIC) :]
    for _ in ("cipher", "key derivation", "its options"):
        (size,) = struct.unpack_from(">I", rest)
        rest = rest[4 + size :]
    _, size = struct.unpack_from(">II", rest)
    blob = rest[8 : 8 + size]
    (length,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + length].decode("ascii"), blob


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return


def agent_of(target: Route) -> Agent:
    """The agent of a route's configuration."""
    return Agent(agent_socket(target.options))
