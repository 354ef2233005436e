"""Acknowledgements of what a TCP socket of ours sent, with the moment at which this host's kernel took each in.

The peer's kernel acknowledges what reaches it, whether or not any process there runs. Linux stamps the moment at which
everything up to the last byte of a `send` is acknowledged (``SOF_TIMESTAMPING_TX_ACK``, `LINUX-TIMESTAMPING`): for any
user, in nanoseconds, without a packet. The age that ``TCP_INFO`` tells (``tcpi_last_ack_recv``) is as coarse as a
kernel tick, 1 to 10 ms, and does not say what was acknowledged.
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import struct
import sys
import termios
from collections import deque
from collections.abc import Callable

#: ``SO_TIMESTAMPING`` of Linux, also the type of the message with the stamps; Python has no name for it.
_SO_TIMESTAMPING = 37
#: Flags of linux/net_tstamp.h: stamps by the kernel, numbered by the stream's bytes, at the acknowledgement, and
#: without a copy of what was sent.
_SOFTWARE, _OPT_ID, _TX_ACK, _OPT_TSONLY = 1 << 4, 1 << 7, 1 << 9, 1 << 11
#: ``struct scm_timestamping``: three times, the first is the kernel's.
_STAMPS = struct.Struct("@6l")
#: ``struct sock_extended_err`` of linux/errqueue.h: error, origin, type, code, padding, info, data.
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
_ORIGIN_TIMESTAMPING, _OF_ACKNOWLEDGEMENT = 4, 2
#: Messages that carry it: ``IP_RECVERR`` and ``IPV6_RECVERR``.
_EXTENDED_ERRORS = ((socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25))
#: Both messages, the second with the address of an offender.
_ANCILLARY_BYTES = socket.CMSG_SPACE(_STAMPS.size) + socket.CMSG_SPACE(_EXTENDED_ERROR.size + 28)
#: Byte numbers of the kernel have 32 bits.
_WRAP = 1 << 32
#: Acknowledgements that wait for their reader at most; without one the oldest are forgotten.
_MAX_HELD = 1000


def ask_for_acknowledgements(wire: socket.socket) -> None:
    """Have the kernel stamp acknowledgements of what is sent from now on. Raises `OSError` where it has no such
    stamps.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOPROTOOPT, "only Linux has such stamps")
    wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE | _OPT_ID | _TX_ACK | _OPT_TSONLY)


def unacknowledged_bytes(wire: socket.socket) -> int:
    """The number of bytes in a socket's send buffer, which holds what was not acknowledged (``SIOCOUTQ``, tcp(7))."""
    return int(struct.unpack("i", fcntl.ioctl(wire.fileno(), termios.TIOCOUTQ, bytes(4)))[0])


class AcknowledgementStamps:
    """The acknowledgements of one socket, read in the thread that reads the socket.

    ``placed`` gives the moment of a stamp in nanoseconds of the wall clock on our monotonic clock, never too early.
    ``sent_bytes`` is what was sent since they are followed.
    """

    def __init__(self, placed: Callable[[int], int]) -> None:
        self._placed = placed
        self._held: deque[tuple[int, int]] = deque(maxlen=_MAX_HELD)
        self._newest = 0
        self._poller: select.poll | None = None
        self.sent_bytes = 0

    def taken(self) -> list[tuple[int, int]]:
        """New acknowledgements: the number of bytes acknowledged in all, and when that arrived here (monotonic
        nanoseconds).
        """
        some = []
        while self._held:
            some.append(self._held.popleft())
        return some

    def wait_to_read(self, wire: socket.socket) -> bool:
        """Wait until ``wire`` can be read, at most its time-out; false after an acknowledgement, to wait again.

        Raises `TimeoutError`. A socket with an acknowledgement to report looks ready to Python, which would then try to
        read it without end.
        """
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(wire.fileno(), select.POLLIN)
        timeout = wire.gettimeout()
        ready = self._poller.poll(None if timeout is None else timeout * 1000)
        if not ready:
            raise TimeoutError("timed out")
        (_, events), *_ = ready
        return not (events & select.POLLERR and self.take(wire)) or bool(events & (select.POLLIN | select.POLLHUP))

    def take(self, wire: socket.socket) -> bool:
        """Read one stamp off the socket; false where it has none."""
        try:
            _, ancillary, _, _ = wire.recvmsg(1, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except (BlockingIOError, TimeoutError):
            return False
        stamp = last_byte = None
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING) and len(content) >= _STAMPS.size:
                seconds, nanoseconds, *_ = _STAMPS.unpack_from(content)
                stamp = seconds * 1_000_000_000 + nanoseconds
            elif (level, kind) in _EXTENDED_ERRORS and len(content) >= _EXTENDED_ERROR.size:
                _, origin, _, _, _, info, number = _EXTENDED_ERROR.unpack_from(content)
                if (origin, info) == (_ORIGIN_TIMESTAMPING, _OF_ACKNOWLEDGEMENT):
                    last_byte = number
        if stamp is not None and last_byte is not None:
            ahead = (last_byte + 1 - self._newest) % _WRAP
            if ahead < _WRAP // 2:  # otherwise it is an older one
                self._newest += ahead
                self._held.append((self._newest, self._placed(stamp)))
        return True
