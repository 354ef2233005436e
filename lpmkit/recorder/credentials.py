"""New credentials for a recorder at work: handed over by a socket between two processes of one account, in no file.

A refused login is final for its account in the recorder's process. Only a person can say that the credentials are
right now: a front end logs in with them first, and hands over what worked.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from lpmkit.errors import RecordError

#: Time limit of a hand-over in seconds, and the size of one in bytes.
LIMIT_S, MAX_BYTES = 10.0, 64 * 1024
_TAKEN = b"taken\n"
#: ``struct ucred`` of Linux: process, user, group.
_UCRED = struct.Struct("3i")

#: SSH accounts and their passwords; ``None`` for a login by key.
Passwords = Mapping[str, str | None]


def _name(run: Path) -> bytes:
    """The socket's name outside of the file system; it belongs to a folder, whatever that is called."""
    facts = run.stat()
    return f"\0lpmkit-recorder-{os.getuid()}-{facts.st_dev:x}-{facts.st_ino:x}".encode()


def _is_own(connection: socket.socket) -> bool:
    """True where the process at the other end is this account's: anybody may take a name outside of the file system."""
    facts = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(facts)[1]) == os.getuid()


class CredentialsDoor:
    """The recorder's end: ``take`` gets what a front end of the same account hands over. Closed by `close`.

    Without a socket (another process has its name) the recorder works on, and nothing can be handed over.
    """

    def __init__(self, run: Path, take: Callable[[Passwords], object]) -> None:
        self._take = take
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(_name(run))
            self._socket.listen(1)
        except OSError:
            self._socket.close()
            return
        threading.Thread(target=self._serve, daemon=True, name="credentials").start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            with connection:
                try:
                    self._receive(connection)
                except (OSError, ValueError, RecursionError):
                    continue  # broken off, or no JSON: the front end learns that nothing was taken

    def _receive(self, connection: socket.socket) -> None:
        connection.settimeout(LIMIT_S)
        if not _is_own(connection):
            return
        with connection.makefile("rb") as file:
            given = json.loads(file.readline(MAX_BYTES))
        if isinstance(given, dict) and all(isinstance(word, str | None) for word in given.values()):
            self._take(given)
            connection.sendall(_TAKEN)

    def close(self) -> None:
        """Take nothing more."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was never bound
        self._socket.close()


def hand_over(run: Path, passwords: Passwords) -> None:
    """Hand credentials that worked to the recorder of a run. Raises `RecordError` where it takes none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(LIMIT_S)
            connection.connect(_name(run))
            if _is_own(connection):
                connection.sendall(json.dumps(passwords).encode() + b"\n")
                if connection.recv(len(_TAKEN)) == _TAKEN:
                    return
        why = "another account's process answered"
    except OSError as error:
        why = error.strerror or str(error)
    raise RecordError(
        f"the recorder takes no new credentials: {why}",
        where=run.name,
        next_step="Only the account and the machine that record can hand them over.",
    )
