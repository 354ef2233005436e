"""State of this host's TCP on a connection, in particular a pending retransmission and its age.

Linux reports it for any socket (``TCP_INFO``, ``struct tcp_info`` of linux/tcp.h, whose first 104 bytes are unchanged
since 2.6). No packet is sent for it. Ages are in whole milliseconds, as fine as the kernel's tick (1 to 10 ms).
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass

_INFO = struct.Struct("@8B24I")


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """One reading of TCP_INFO.

    ``rto_us`` is the retransmission timeout, doubled ``backoff`` times so far; ``unacked`` segments are in flight;
    ``since_sent_ms`` is the time since data was last sent, new or retransmitted.
    """

    retransmits: int
    backoff: int
    rto_us: int
    unacked: int
    since_sent_ms: int
    since_received_ms: int
    since_ack_ms: int
    rtt_us: int
    total_retransmits: int


#: ``TCPI_OPT_TIMESTAMPS``, ``TCPI_OPT_SACK`` and ``TCPI_OPT_WSCALE`` of linux/tcp.h.
_AGREED_OPTIONS = 1 | 2 | 4


def agreed_options(wire: socket.socket) -> tuple[int, int] | None:
    """The options that the peer's TCP agreed to in its answer to the request for this connection, and the shift of its
    window. Two connections to one program of one host agree in them; ``None`` if not available.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        raw = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:
        return None
    return (raw[5] & _AGREED_OPTIONS, raw[6] & 15) if len(raw) >= _INFO.size else None


def tcp_info(wire: object) -> TcpInfo | None:
    """Read a connected socket, or the one below a channel of `lpmkit.ssh.mux`.

    ``None`` if not available (not Linux, no socket of ours).
    """
    own = getattr(wire, "tcp", wire)
    if not sys.platform.startswith("linux") or not isinstance(own, socket.socket):
        return None
    try:
        raw = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:
        return None
    if len(raw) < _INFO.size:
        return None
    fields = _INFO.unpack(raw)
    return TcpInfo(
        retransmits=fields[2],
        backoff=fields[4],
        rto_us=fields[8],
        unacked=fields[12],
        since_sent_ms=fields[17],
        since_received_ms=fields[19],
        since_ack_ms=fields[20],
        rtt_us=fields[23],
        total_retransmits=fields[31],
    )
