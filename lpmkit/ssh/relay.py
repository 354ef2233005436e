"""The bytes between an ``ssh`` process and a host, relayed through a socket of ours so that its kernel stamps stay.

``ssh`` gets one end of a socket pair as its connection (``ProxyUseFdpass``). Output that it writes at a time came in
bytes that were relayed before; the newest of these has the latest stamp that they can have, so an arrival is never too
early.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

import paramiko

from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.ssh.wire import Wire
from lpmkit.timeline import Clock

_CHUNK = 65536
#: Stamps that are kept: those of some seconds at a thousand packets a second.
_MAX_STAMPS = 4096
#: The program of the proxy command: it takes the socket over a Unix socket and hands it to ssh, its standard output.
HAND_OVER = (
    "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
    "f=socket.recv_fds(s,1,1)[1];"
    "socket.send_fds(socket.socket(fileno=1),[b'x'],f)"
)


class Relay:
    """Relays between a wire to a host and an ``ssh`` process, until either ends."""

    def __init__(self, wire: Wire, door: Path, clock: Clock | None = None) -> None:
        self._wire, self._clock = wire, clock or Clock()
        self._stamps: deque[tuple[int, int, bool]] = deque(maxlen=_MAX_STAMPS)
        self._lock = threading.Lock()
        self.is_open = True
        self._ours, self._theirs = socket.socketpair()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(door))
        self._door.listen(1)
        wire.settimeout(None)
        for work in (self._hand_over, self._to_ssh, self._to_host):
            threading.Thread(target=work, name="ssh relay", daemon=True).start()

    @property
    def tcp(self) -> socket.socket | None:
        """The TCP connection to the host; ``None`` if it goes through another host or a proxy command."""
        return self._wire if isinstance(self._wire, StampedSocket) else None

    def placed(self, written_ns: int) -> tuple[int, bool] | None:
        """The arrival of the newest bytes relayed before ``written_ns``, and whether the kernel stamped it."""
        with self._lock:
            for relayed, arrived, by_kernel in reversed(self._stamps):
                if relayed <= written_ns:
                    return min(arrived, written_ns), by_kernel
        return None

    def _hand_over(self) -> None:
        with suppress(OSError):  # `close` shuts the door where nobody came
            visitor, _ = self._door.accept()
            with visitor:
                socket.send_fds(visitor, [b"x"], [self._theirs.fileno()])
        self._door.close()
        self._theirs.close()

    def _to_ssh(self) -> None:
        stamped = self._wire if isinstance(self._wire, StampedSocket) else None
        with suppress(OSError, EOFError, paramiko.SSHException):
            while data := self._wire.recv(_CHUNK):
                now = self._clock.mono_ns()
                by_kernel = stamped is not None and stamped.stamped_by_kernel()
                arrived = stamped.arrived_ns if stamped is not None and stamped.arrived_ns is not None else now
                with self._lock:
                    self._stamps.append((now, arrived, by_kernel))
                self._ours.sendall(data)
        self.is_open = False
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)  # ssh reads the end, and says what it means

    def _to_host(self) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while data := self._ours.recv(_CHUNK):
                self._wire.sendall(data)
        self._end()

    def close(self) -> None:
        """Close both ends; a second call does nothing."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._end()
        self._ours.close()

    def _end(self) -> None:
        """End both streams."""
        self.is_open = False
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, EOFError):
            if isinstance(self._wire, socket.socket):
                self._wire.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, EOFError):
            self._wire.close()
