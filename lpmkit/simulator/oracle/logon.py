"""Passwords over the wire, as 11g verifiers have it (O5LOGON): both sides prove that they know it, and nobody sends it.

The server sends half a session key under the password's hash; the client answers with the other half and with the
password under the key made of both; the server shows that it got it by sending words of its own under the same key.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

#: A verifier of the kind that 11g introduced.
VERIFIER_11G = 0x1B25


def encrypted(key: bytes, plain: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(plain) + cipher.finalize()


def decrypted(key: bytes, secret: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
    return cipher.update(secret) + cipher.finalize()


@dataclass(slots=True)
class Challenge:
    """One logon of a user whose password is known here."""

    password: str
    verifier: int = VERIFIER_11G
    salt: bytes = field(default_factory=lambda: os.urandom(10))
    half: bytes = field(default_factory=lambda: os.urandom(48))

    @property
    def _hash(self) -> bytes:
        return hashlib.sha1(self.password.encode() + self.salt, usedforsecurity=False).digest() + bytes(4)

    def pairs(self) -> list[tuple[str, str, int]]:
        """The answer to the first message of a logon."""
        key = encrypted(self._hash, self.half).hex().upper()
        return [("AUTH_SESSKEY", key, 0), ("AUTH_VFR_DATA", self.salt.hex().upper(), self.verifier)]

    def answer(self, session_key: str, password: str) -> str | None:
        """The server's proof, when the client's second message shows the right password; ``None`` when it does not."""
        try:
            other = decrypted(self._hash, bytes.fromhex(session_key))
            mixed = bytes(a ^ b for a, b in zip(self.half[16:40], other[16:40], strict=True))
            parts = (mixed[:16], mixed[16:])
            key = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)[:24]
            shown = decrypted(key, bytes.fromhex(password))
        except ValueError:
            return None
        if not shown or shown[16 : len(shown) - shown[-1]] != self.password.encode():
            return None
        return encrypted(key, os.urandom(16) + b"SERVER_TO_CLIENT").hex().upper()
