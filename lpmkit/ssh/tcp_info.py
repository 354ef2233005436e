"""What this machine's own TCP is doing on a connection: whether it waits to send again, and since when.

Linux tells it of any socket (``TCP_INFO``, ``struct tcp_info`` of linux/tcp.h, whose first 104 bytes are the same since 2.6). Nothing is sent for it. Ages are in
whole milliseconds and as fine as the kernel's tick (1 to 10 ms).
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any

_INFO = struct.Struct("@8B24I")


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """One reading. ``rto_us`` is the wait before the next time it sends again, doubled ``backoff`` times by now; ``unacked`` segments are on their way;
    ``since_sent_ms`` is how long ago it last sent data, new or again."""

    retransmits: int
    backoff: int
    rto_us: int
    unacked: int
    since_sent_ms: int
    since_received_ms: int
    since_ack_ms: int
    rtt_us: int
    total_retransmits: int


def tcp_info(wire: Any) -> TcpInfo | None:
    """A reading of a connected socket; ``None`` where there is none to be had (not Linux, not a socket of ours)."""
    if not sys.platform.startswith("linux") or not isinstance(wire, socket.socket):
        return None
    try:
        said = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:
        return None
    if len(said) < _INFO.size:
        return None
    value = _INFO.unpack(said)
    return TcpInfo(
        retransmits=value[2],
        backoff=value[4],
        rto_us=value[8],
        unacked=value[12],
        since_sent_ms=value[17],
        since_received_ms=value[19],
        since_ack_ms=value[20],
        rtt_us=value[23],
        total_retransmits=value[31],
    )
