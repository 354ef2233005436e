"""Kernel receive time stamps: the arrival of bytes at this host, independent of when a busy process reads them.

Linux stamps received data with its wall clock (``SO_TIMESTAMPNS``). `KernelStamps` converts stamps to the monotonic
clock with a pair of readings, never too early, so that "sent before it arrived" stays true. Without a stamp, or if the
wall clock was set meanwhile, the time after the read is used, which is later than both.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from lpmkit.ssh.acknowledgements import AcknowledgementStamps, ask_for_acknowledgements, unacknowledged_bytes
from lpmkit.timeline import Clock

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: ``SO_TIMESTAMPNS`` of Linux, also the type of the message with the stamp; Python has no name for it.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
#: Limit of wall-clock slewing while a stamp waits to be read; no system allows more.
_SLEW = 600e-6
#: Limit of the wall clock's drift against the monotonic clock between two readings, unless it was set.
_SET_NS = 1_000_000

Ancillary = Iterable[tuple[int, int, bytes]]


def ask_for_stamps(wire: socket.socket) -> bool:
    """Enable kernel stamps on ``wire``; false if not supported."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


class KernelStamps:
    """Converts kernel stamps of one socket to the monotonic clock. ``kernel`` is true if the newest stamp was the
    kernel's.

    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._apart: int | None = None
        self.kernel = False

    def another(self) -> KernelStamps:
        """Stamps on the same clock, for another kind of event of the socket."""
        return KernelStamps(self._clock)

    def arrived_ns(self, ancillary: Ancillary) -> int:
        """Arrival time of the bytes just read, from the ancillary data of `socket.recvmsg`; never too early."""
        return self.placed_ns(_stamp(ancillary))

    def placed_ns(self, stamp: int | None) -> int:
        """The moment of a stamp in nanoseconds of the wall clock; never too early. ``None`` is placed now."""
        pair = self._clock.anchor(tries=2)
        now = self._clock.mono_ns()
        difference, earlier_difference = pair.wall_ns - pair.mono_ns, self._apart
        self._apart = difference
        self.kernel = stamp is not None
        if stamp is None or earlier_difference is None or abs(difference - earlier_difference) > _SET_NS:
            return now
        waited = pair.wall_ns - stamp
        arrived = stamp - difference + pair.uncertainty_ns + int(max(0, waited) * _SLEW)
        return min(now, arrived)


def _stamp(ancillary: Ancillary) -> int | None:
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None


class StampedSocket(socket.socket):
    """A stream socket that records the arrival time of the bytes of its last `recv`, and on request when the peer's
    kernel acknowledged what it sent (`follow_acknowledgements`).

    One thread reads it; several may send.
    """

    stamps: KernelStamps
    arrived_ns: int | None = None
    _sending: threading.Lock
    _acknowledgements: AcknowledgementStamps | None = None

    @classmethod
    def around(cls, wire: socket.socket, clock: Clock | None = None) -> Self:
        """Take over a connected socket; ``wire`` itself cannot be used afterwards."""
        timeout = wire.gettimeout()
        stamped = cls(wire.family, wire.type, wire.proto, fileno=wire.detach())
        stamped.settimeout(timeout)
        stamped.stamps = KernelStamps(clock)
        stamped._sending = threading.Lock()
        ask_for_stamps(stamped)
        return stamped

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Read like `socket.socket.recv` and set ``arrived_ns``."""
        while self._acknowledgements is not None and not self._acknowledgements.wait_to_read(self):
            pass
        content, ancillary, _, _ = self.recvmsg(bufsize, ANCILLARY_BYTES, flags)
        self.arrived_ns = self.stamps.arrived_ns(ancillary)
        return content

    def taken(self, bufsize: int) -> bytes | None:
        """As `recv` of a socket that does not block; ``None`` while nothing is here."""
        if self._acknowledgements is not None:
            self._acknowledgements.take(self)
        try:
            content, ancillary, _, _ = self.recvmsg(bufsize, ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        self.arrived_ns = self.stamps.arrived_ns(ancillary)
        return content

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send like `socket.socket.send`, and count what is followed."""
        with self._sending:
            count = super().send(data, flags)
            if self._acknowledgements is not None:
                self._acknowledgements.sent_bytes += count
        return count

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send like `socket.socket.sendall`, and count what is followed."""
        with self._sending:
            super().sendall(data, flags)
            if self._acknowledgements is not None:
                self._acknowledgements.sent_bytes += len(memoryview(data).cast("B"))

    def follow_acknowledgements(self) -> AcknowledgementStamps | None:
        """Have the kernel stamp every acknowledgement from now on.

        ``None`` while something sent before is not acknowledged yet: call it again. Raises `OSError` where this
        machine's kernel has no such stamps.
        """
        with self._sending:
            if self._acknowledgements is None and unacknowledged_bytes(self) == 0:
                ask_for_acknowledgements(self)
                self._acknowledgements = AcknowledgementStamps(self.stamps.another().placed_ns)
            return self._acknowledgements

    def stamped_by_kernel(self) -> bool:
        """True if the last bytes had a kernel stamp."""
        return self.stamps.kernel


def arrival_of(wire: Any) -> int | None:
    """Kernel arrival time of the last bytes read from a transport's ``wire``; ``None`` if unknown.

    A wire that stamps has ``arrived_ns`` and ``stamped_by_kernel()``. It is asked at every piece, so by name: a check
    against a protocol took a twentieth of the observer's processor time.
    """
    stamped_by_kernel = getattr(wire, "stamped_by_kernel", None)
    return wire.arrived_ns if stamped_by_kernel is not None and stamped_by_kernel() else None
