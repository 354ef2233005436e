"""The connections of ``ssh -L``: of the host on behalf of the client, to a port of its own or to a UNIX socket of its
own.

Only the host itself can be reached: its addresses by any of its names, and sockets in its file system. paramiko hands
over the destination of a port; that of a UNIX socket (OpenSSH's ``direct-streamlocal@openssh.com``) is read out of the
message that opens the channel.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import paramiko

STREAM_LOCAL = "direct-streamlocal@openssh.com"
DIRECT_TCPIP = "direct-tcpip"

#: Connects to a destination (a port, or a socket's path), or raises `OSError`.
Connect = Callable[[int | str], socket.socket]


def relay(channel: paramiko.Channel, connection: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended; starts two threads and returns."""
    threading.Thread(
        target=_carry, args=(channel.recv, connection.sendall, lambda: _end(connection)), daemon=True
    ).start()
    threading.Thread(target=_back, args=(channel, connection), daemon=True).start()


def _back(channel: paramiko.Channel, connection: socket.socket) -> None:
    _carry(connection.recv, channel.sendall, channel.close)
    connection.close()


def _carry(receive: Callable[[int], bytes], send: Callable[[bytes], object], end: Callable[[], object]) -> None:
    try:
        while data := receive(65536):
            send(data)
    except (OSError, EOFError):
        pass  # one side went; the other is told so now
    end()


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has gone already
