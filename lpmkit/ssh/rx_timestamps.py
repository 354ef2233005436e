"""When bytes reached this machine, by its kernel: not when a busy process got round to reading them.

Linux stamps what it receives with its time of day (``SO_TIMESTAMPNS``). `KernelStamps` puts that on the monotonic clock with a pair of readings, always
on the late side, so that "it was sent before it arrived" stays true. Where there is no stamp, or the time of day was set meanwhile, the moment after
the read is used, as it is later than both.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any, Self

from lpmkit.timeline import Clock

#: ``SO_TIMESTAMPNS`` of Linux, which is also the type of the message that carries the stamp; Python does not name it.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
#: The time of day may be slewed while a stamp waits to be read; more than this is nowhere allowed.
_SLEW = 600e-6
#: Between two readings the time of day gains no more than this on the monotonic clock, unless it was set.
_SET_NS = 1_000_000

Ancillary = Iterable[tuple[int, int, bytes]]


def ask_for_stamps(wire: socket.socket) -> bool:
    """Ask the kernel to stamp what ``wire`` receives; False where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


class KernelStamps:
    """Turns the kernel's stamps into readings of the monotonic clock, for one socket.

    ``kernel`` says whether the newest one came from the kernel.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._apart: int | None = None
        self.kernel = False

    def arrived_ns(self, ancillary: Ancillary) -> int:
        """When what was just read had arrived, from what `socket.recvmsg` gave beside it; never too early."""
        pair = self._clock.anchor(tries=2)
        now = self._clock.mono_ns()
        apart, was = pair.wall_ns - pair.mono_ns, self._apart
        self._apart = apart
        stamp = _stamp(ancillary)
        self.kernel = stamp is not None
        if stamp is None or was is None or abs(apart - was) > _SET_NS:
            return now
        waited = pair.wall_ns - stamp
        arrived = stamp - apart + pair.uncertainty_ns + int(max(0, waited) * _SLEW)
        return min(now, arrived)


def _stamp(ancillary: Ancillary) -> int | None:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


class StampedSocket(socket.socket):
    """A stream socket that knows when the bytes of its last `recv` had arrived."""

    stamps: KernelStamps
    arrived_ns: int | None = None

    @classmethod
    def around(cls, wire: socket.socket, clock: Clock | None = None) -> Self:
        """Take over a connected socket; ``wire`` itself is of no use afterwards."""
        timeout = wire.gettimeout()
        stamped = cls(wire.family, wire.type, wire.proto, fileno=wire.detach())
        stamped.settimeout(timeout)
        stamped.stamps = KernelStamps(clock)
        ask_for_stamps(stamped)
        return stamped

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        content, ancillary, _, _ = self.recvmsg(bufsize, ANCILLARY_BYTES, flags)
        self.arrived_ns = self.stamps.arrived_ns(ancillary)
        return content

    def stamped_by_kernel(self) -> bool:
        """Whether the last bytes bore a stamp of the kernel."""
        return self.stamps.kernel


def arrival_of(wire: Any) -> int | None:
    """When the last bytes read from a transport's ``wire`` had arrived by its kernel, ``None`` when it cannot tell."""
    return wire.arrived_ns if isinstance(wire, StampedSocket) and wire.stamped_by_kernel() else None
