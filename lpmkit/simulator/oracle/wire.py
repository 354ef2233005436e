"""TNS packets: what a listener and a client send each other before there is any SQL (`OWN-TNS`).

A packet is its length, two bytes of checksum, its type, flags, two more bytes of checksum, and a body. The length has
two bytes until a version from 315 (12.1) on is accepted, four from then on. The body of a data packet begins with two
bytes of flags.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

CONNECT, ACCEPT, REFUSE, REDIRECT, DATA, RESEND, MARKER = 1, 2, 4, 5, 6, 11, 12
BREAK_MARK, RESET_MARK = 1, 2
#: The last packet of a client that ends a session in order.
END_OF_FILE = 0x40
#: The version of the protocol that a release accepts: 10.2, 11.2 (U), 12.1 and later (V).
PROTOCOL_OF_RELEASE = {10: 313, 11: 314}
LARGE_LENGTHS = 315
SDU = 8192
#: A client may not announce more than this; nobody sends as much in one packet.
LONGEST_PACKET = 1 << 21


class Gone(Exception):
    """The peer has gone, or sent what is no packet."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet without its head. The flags of a data packet are split off."""

    kind: int
    body: bytes
    data_flags: int = 0


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.large = False

    def read(self) -> Packet:
        """The next packet; raises `Gone`."""
        head = self._exactly(8)
        length = struct.unpack(">I", head[:4])[0] if self.large else struct.unpack(">H", head[:2])[0]
        if not 8 <= length <= LONGEST_PACKET:
            raise Gone(f"a packet of {length} bytes")
        body, kind = self._exactly(length - 8), head[4]
        if kind == DATA:
            if len(body) < 2:
                raise Gone("a data packet without flags")
            return Packet(kind, body[2:], int.from_bytes(body[:2], "big"))
        return Packet(kind, body)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self._socket.recv(count - len(data))
            except OSError as problem:
                raise Gone(str(problem)) from problem
            if not piece:
                raise Gone("the connection ended")
            data += piece
        return data

    def send(self, kind: int, body: bytes) -> None:
        """Send one packet; raises `Gone`."""
        length = len(body) + 8
        front = struct.pack(">I", length) if self.large else struct.pack(">HH", length, 0)
        try:
            self._socket.sendall(front + bytes([kind, 0, 0, 0]) + body)
        except OSError as problem:
            raise Gone(str(problem)) from problem

    def send_data(self, content: bytes) -> None:
        """Send content of any length in data packets of at most the negotiated size."""
        room = SDU - 10
        for begin in range(0, max(1, len(content)), room):
            self.send(DATA, b"\0\0" + content[begin : begin + room])

    def mark(self, which: int) -> None:
        self.send(MARKER, bytes([1, 0, which]))


def accept(version: int) -> bytes:
    """The body of an ACCEPT: version, options (no out-of-band breaks), the data unit in two and in four bytes.

    >>> accept(315)[:4].hex(), len(accept(315))
    ('013b0001', 28)
    """
    return struct.pack(">HHHHHHHBBQI", version, 1, SDU, 32767, 1, 0, 28, 0x41, 0x41, 0, SDU)[:28].ljust(28, b"\0")


def refuse(error: int, reason: int = 4) -> bytes:
    """The body of a REFUSE as listeners word it."""
    if error:
        text = f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={error})(ERROR_STACK=(ERROR=(CODE={error})(EMFI=4))))"
    else:  # what tnsping is answered
        text = "(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=0)(ALIAS=LISTENER))"
    return struct.pack(">BBH", reason, reason, len(text)) + text.encode()


def connect_data(packet: Packet, peer: Peer) -> str:
    """The description that a client asks to be connected to; a long one comes in a data packet of its own."""
    if len(packet.body) < 20:
        raise Gone("a connect packet that ends early")
    length, offset = struct.unpack_from(">HH", packet.body, 16)
    begin = max(0, offset - 8)
    if length and begin >= len(packet.body):
        return peer.read().body[:length].decode("utf-8", "replace")
    return packet.body[begin : begin + length].decode("utf-8", "replace")
