"""An SSH server of the time of VIOS 1.5 and HMC V7: SHA-1, CBC, an RSA host key, and no word about its signatures.

C `OPENSSH-CLIENT`. A client reaches it only if its configuration asks for these algorithms (`CONFIG`).
"""

from __future__ import annotations

import socket
from hashlib import sha1
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.kex_group14 import KexGroup14SHA256

from lpmkit.simulator.sshd import Transport

#: What a client's configuration needs for such a host.
CONFIG = (
    "KexAlgorithms +diffie-hellman-group14-sha1",
    "HostKeyAlgorithms +ssh-rsa",
    "PubkeyAcceptedAlgorithms +ssh-rsa",
    "Ciphers +aes128-cbc",
)
_KEX = "diffie-hellman-group14-sha1"


class _Group14Sha1(KexGroup14SHA256):
    name = _KEX
    hash_algo = sha1


#: An RSA key that signs with SHA-1, which paramiko's own no longer does.
_RsaKey = type("_RsaKey", (paramiko.RSAKey,), {"HASHES": {**paramiko.RSAKey.HASHES, "ssh-rsa": hashes.SHA1}})


class OldTransport(Transport):
    """The server's end of a connection to an old host."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, announces_signatures=False)
        self._kex_info = {**vars(paramiko.Transport)["_kex_info"], _KEX: _Group14Sha1}
        self._key_info = {**vars(paramiko.Transport)["_key_info"], "ssh-rsa": _RsaKey}
        self._preferred_kex = (_KEX,)
        self._preferred_keys = ("ssh-rsa",)
        self._preferred_ciphers = ("aes128-cbc", "3des-cbc")
        self._preferred_macs = ("hmac-sha1", "hmac-md5")


def read_key(path: Path) -> paramiko.PKey:
    """The host key in a file."""
    key: paramiko.PKey = _RsaKey(filename=str(path))
    return key
