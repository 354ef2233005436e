"""NI: the frame around every SAP protocol, and the dispatcher's side of it (`PYSAP`).

A frame is four bytes of length, most significant first, and so much payload. ``NI_PING`` is answered by ``NI_PONG`` at
any time between messages. A peer that says nothing for ``rdisp/keepalive`` is pinged, and cut off when it does not
answer in ``rdisp/keepalive_timeout``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

PING, PONG = b"NI_PING\0", b"NI_PONG\0"
LONGEST_FRAME = 1 << 20


def frame(payload: bytes) -> bytes:
    """
    >>> frame(PING)[:5]
    b'\\x00\\x00\\x00\\x08N'
    """
    return struct.pack(">I", len(payload)) + payload


class Peer:
    """One connection: what came of the next frame so far, and the last word either way."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def next(self, timeout_s: float) -> bytes | None:
        """The next frame's payload; ``None`` after this long without one.

        Raises `EOFError` at the end, and on a frame no program sends.
        """
        self._connection.settimeout(timeout_s)
        try:
            while (payload := self._whole()) is None:
                data = self._connection.recv(65536)
                if not data:
                    raise EOFError
                self._rest += data
        except TimeoutError:
            return None
        return payload

    def _whole(self) -> bytes | None:
        if len(self._rest) < 4:
            return None
        (length,) = struct.unpack(">I", self._rest[:4])
        if length > LONGEST_FRAME:
            raise EOFError
        if len(self._rest) < 4 + length:
            return None
        payload, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
        return payload


def serve(keepalive_s: float, timeout_s: float, dead: Callable[[str], None]) -> Callable[[socket.socket], None]:
    """The port of a dispatcher, gateway or message server; ``dead`` hears of a peer that did not answer a ping."""

    def connected(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(connection)
        pinged = False
        try:
            while True:
                payload = peer.next(timeout_s if pinged else keepalive_s)
                if payload is None and pinged:
                    dead(connection.getpeername()[0])
                    return
                if payload is None:
                    connection.sendall(frame(PING))
                    pinged = True
                    continue
                pinged = False
                if payload == PING:
                    connection.sendall(frame(PONG))
                elif payload not in (PONG, b""):
                    return  # a logon or another protocol: this server speaks none, and closes as on a bad header
        except EOFError:
            return

    return connected
