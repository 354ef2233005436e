"""``tnsping``: whether a listener answers.

No user, no password, no driver; it says nothing of the database behind it.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress

from lpmkit.oracle.errors import QueryFailed
from lpmkit.timeline import Outcome

_DATA = b"(DESCRIPTION=(CONNECT_DATA=(COMMAND=ping)))"
#: ACCEPT, REFUSE, REDIRECT, RESEND: whatever it answers, it answers.
_ANSWERS = frozenset({2, 4, 5, 11})


def request() -> bytes:
    """The packet that ``tnsping`` sends: a CONNECT whose data is a command (`TNSPING`).

    >>> request()[4], request().endswith(_DATA), len(request()) == int.from_bytes(request()[:2], "big")
    (1, True, True)
    """
    body = struct.pack(">HHHHHHHHHHIBB", 315, 300, 0, 8192, 65535, 0x4F98, 0, 1, len(_DATA), 58, 0, 0, 0).ljust(
        50, b"\0"
    )
    return struct.pack(">HHBBH", 58 + len(_DATA), 0, 1, 0, 0) + body + _DATA


def answered(packet: bytes) -> bool:
    """True if a packet is a listener's answer.

    >>> answered(bytes([0, 60, 0, 0, 4, 0, 0, 0])), answered(b"SSH-2.0-OpenSSH_9.2")
    (True, False)
    """
    return len(packet) >= 8 and packet[4] in _ANSWERS and int.from_bytes(packet[:2], "big") >= 8


def ping(listener: str, limit_s: float, protocol: str = "tcp") -> None:
    """Ask ``HOST:PORT`` once; ``tcps`` for a port that speaks TLS.

    Raises `QueryFailed`: refused, lost, or silent past the limit, which is what a frozen partition's listener is.
    """
    host, _, port = listener.rpartition(":")
    over = " over TLS" if protocol == "tcps" else ""
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=limit_s) as connection:
            connection.settimeout(limit_s)
            packet = _asked(connection, protocol, listener)
    except ConnectionRefusedError as trouble:
        raise QueryFailed("nothing listens there", Outcome.REFUSED, where=listener) from trouble
    except TimeoutError as trouble:
        raise QueryFailed(f"no answer{over} within {limit_s:g} s", Outcome.SILENT, where=listener) from trouble
    except ssl.SSLEOFError as trouble:
        raise QueryFailed("the listener hung up", Outcome.LOST, where=listener) from trouble
    except ssl.SSLError as trouble:
        if "ALERT" in str(trouble.reason):
            return  # the listener asks for a certificate of ours, or for another release of TLS: it answers
        raise QueryFailed(
            f"what answers there speaks no TLS ({trouble.reason})", Outcome.REFUSED, where=listener
        ) from trouble
    except OSError as trouble:
        raise QueryFailed(
            f"the connection was lost: {trouble.strerror or trouble}", Outcome.LOST, where=listener
        ) from trouble
    if not answered(packet):
        raise QueryFailed("what answers there is no listener", Outcome.REFUSED, where=listener)


def _asked(connection: socket.socket, protocol: str, listener: str) -> bytes:
    """The first bytes of the answer."""
    with _over_tls(connection) if protocol == "tcps" else connection as wire:
        wire.sendall(request())
        packet = b""
        while len(packet) < 8:
            piece = wire.recv(4096)
            if not piece:
                raise QueryFailed("the listener hung up", Outcome.LOST, where=listener)
            packet += piece
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
    return packet


def _over_tls(connection: socket.socket) -> ssl.SSLSocket:
    """TLS that trusts anybody: a ping says nothing and believes nothing, and needs no wallet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)
