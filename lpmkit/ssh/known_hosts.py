"""Known host keys: what the files of known hosts say about a key, read as OpenSSH reads them (C `OPENSSH-CONFIG`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Trust(StrEnum):
    """The standing of a host's key in the files. Any other key of the host, of any type, makes it a changed one."""

    KNOWN = "known"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A line of a file of known hosts. ``marker`` is empty, ``@cert-authority`` or ``@revoked``."""

    marker: str
    hosts: str
    key_type: str
    blob: bytes
    file: str
    line: int

    def is_for(self, name: str) -> bool:
        """True if the line is about the host ``name`` (``[host]:port`` for another port than 22)."""
        if self.hosts.startswith("|1|"):
            return _matches_hash(self.hosts, name)
        return matches(self.hosts.split(","), name)


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The lines of all files of known hosts of a route, and the names of the host there, the exact one first."""

    keys: tuple[KnownKey, ...]
    names: Sequence[str]

    @classmethod
    def read(cls, files: Iterable[str], names: Sequence[str]) -> KnownHosts:
        """Read the files that exist; a line that is no entry is skipped, as OpenSSH does."""
        keys = []
        for name in files:
            path = Path(name)
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                keys += [key for number, line in enumerate(lines, 1) if (key := read_line(line, name, number))]
        return cls(tuple(keys), names)

    def trust(self, key_type: str, blob: bytes) -> tuple[Trust, KnownKey | None]:
        """The standing of this key of the host, and the line that shows it.

        A key that was found only under the host's name without its port counts as known; one that differs from it does
        not count as changed.
        """
        revoked = self._revoking(blob)
        if revoked is not None:
            return Trust.REVOKED, revoked
        own = self._of(self.names[0])
        for key in own:
            if key.blob == blob:
                return Trust.KNOWN, key
        for name in self.names[1:]:
            for key in self._of(name):
                if key.blob == blob:
                    return Trust.KNOWN, key
        if own:
            return Trust.CHANGED, next((key for key in own if key.key_type == key_type), own[0])
        return Trust.UNKNOWN, None

    def types(self) -> tuple[str, ...]:
        """The types of the host's known keys."""
        return tuple(dict.fromkeys(key.key_type for name in self.names for key in self._of(name)))

    def authority(self) -> KnownKey | None:
        """A line that trusts an authority for this host's certificates; ``None`` without one."""
        return next(
            (
                key
                for key in self.keys
                if key.marker == "@cert-authority" and any(key.is_for(name) for name in self.names)
            ),
            None,
        )

    def _of(self, name: str) -> list[KnownKey]:
        return [key for key in self.keys if not key.marker and key.is_for(name)]

    def _revoking(self, blob: bytes) -> KnownKey | None:
        return next(
            (
                key
                for key in self.keys
                if key.marker == "@revoked" and key.blob == blob and any(key.is_for(name) for name in self.names)
            ),
            None,
        )


def read_line(line: str, file: str, number: int) -> KnownKey | None:
    """An entry of a file of known hosts; ``None`` for a comment and for what is no entry."""
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3 or marker not in ("", "@cert-authority", "@revoked"):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return KnownKey(marker, words[0], words[1], blob, file, number)


def matches(patterns: Iterable[str], name: str) -> bool:
    """True if a list of patterns names the host: ``*``, ``?``, and ``!`` for those that it excludes.

    >>> matches(["*.example.com", "!old.example.com"], "old.example.com")
    False
    """
    hit = False
    for pattern in patterns:
        excludes, text = pattern.startswith("!"), pattern.lower().removeprefix("!")
        expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in text)
        if re.fullmatch(expression, name.lower()):
            if excludes:
                return False
            hit = True
    return hit


def _matches_hash(hosts: str, name: str) -> bool:
    try:
        _, _, salt, digest = hosts.split("|")
        expected = hmac.new(base64.b64decode(salt), name.lower().encode(), hashlib.sha1).digest()
        return hmac.compare_digest(expected, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


def fingerprint(blob: bytes) -> str:
    """A key's fingerprint as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
