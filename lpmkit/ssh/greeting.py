"""The notice that a host's login scripts print around every reply, and that is no part of any reply.

A new connection is asked for one ``echo``. What comes before its word is a notice that every command will bring; what
comes instead of it may be a trouble of the account, such as an expired password.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko

if TYPE_CHECKING:
    from lpmkit.ssh.connection import SshConnection

#: Bytes of a notice that are read; a longer one is none.
_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to an ``echo``.

    ``notice`` stands before replies on standard output, ``error`` on standard error; ``text`` is all of it where the
    word did not come back.
    """

    notice: str = ""
    error: str = ""
    text: str = ""


def greeting(connection: SshConnection, word: str, limit_s: float) -> Greeting:
    """Let a new connection echo a word. A host that does not answer is left to the first command."""
    try:
        channel = connection.start(f"echo {word}")
    except (paramiko.SSHException, OSError, EOFError):
        return Greeting()
    try:
        channel.shutdown_write()
        output = _read(channel, limit_s)
        error = channel.recv_stderr(_MAX_BYTES) if channel.recv_stderr_ready() else b""
    except (paramiko.SSHException, OSError, EOFError):
        return Greeting()
    finally:
        channel.close()
    said, complaint = output.decode("utf-8", "replace"), error.decode("utf-8", "replace")
    before, found, _ = said.partition(f"{word}\n")
    if not found:
        return Greeting(text=f"{said}\n{complaint}".strip())
    return Greeting(before, complaint)


def _read(channel: paramiko.Channel, limit_s: float) -> bytes:
    """Standard output up to its end, a limit of bytes or one of time, of which the last raises `TimeoutError`."""
    output, deadline = bytearray(), time.monotonic() + limit_s
    while len(output) < _MAX_BYTES:
        channel.settimeout(max(0.01, deadline - time.monotonic()))
        data = channel.recv(65536)
        if not data:
            break
        output += data
    return bytes(output)


def without_notice(output: str, word: str) -> str:
    """Output after a word that was echoed before the command; all of it if the word is not there.

    >>> without_notice("Welcome\\nx1\\nAIX\\n", "x1")
    'AIX\\n'
    """
    before, found, reply = output.partition(f"{word}\n")
    return reply if found else before
