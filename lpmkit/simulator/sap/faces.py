"""Ports: one thread accepts for all of them, and every connection gets a thread of its own.

A port that somebody else on this machine has taken on all addresses is replaced by a free one; the chassis is told the
real numbers and writes them into the site file.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

Serve = Callable[[socket.socket], None]


class Ports:
    """The listening sockets of a partition, by name."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._listening: dict[str, socket.socket] = {}
        self._connected: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self.numbers: dict[str, int] = {}

    def listen(self, name: str, wanted: int, serve: Serve) -> None:
        """Open a port under a name, by its customary number when it can be had."""
        try:
            listener = socket.create_server((self._address, wanted), backlog=64)
        except OSError:
            listener = socket.create_server((self._address, 0), backlog=64)
        self.numbers[name] = listener.getsockname()[1]
        self._add(name, listener, serve)

    def listen_locally(self, name: str, path: Path, serve: Serve) -> None:
        """Open a UNIX socket.

        Its path may be longer than a socket address may be, so it is named through its directory.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(short_name(path))
        listener.listen(16)
        self._add(name, listener, serve)

    @property
    def names(self) -> list[str]:
        """The servers that listen."""
        return list(self._listening)

    def close(self, *names: str) -> None:
        """The program behind a port ends: nobody listens there any more, and the kernel closes what it had open."""
        for name in names:
            listener = self._listening.pop(name, None)
            if listener is not None:
                self._selector.unregister(listener)
                listener.close()
            with self._lock:
                left = [one for one, theirs in self._connected.items() if theirs == name]
            for one in left:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was first

    def _add(self, name: str, listener: socket.socket, serve: Serve) -> None:
        self._listening[name] = listener
        self._selector.register(listener, selectors.EVENT_READ, (name, serve))

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True, name="sap-ports").start()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select(0.5):
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue  # the client went, or the port was closed, before we came to it
                threading.Thread(
                    target=self._guarded, args=(*key.data, connection), daemon=True, name="sap-connection"
                ).start()

    def _guarded(self, name: str, serve: Serve, connection: socket.socket) -> None:
        with self._lock:
            self._connected[connection] = name
        with connection:
            try:
                serve(connection)
            except OSError:
                pass  # the client went away in the middle; it knows why better than we do
            finally:
                with self._lock:
                    del self._connected[connection]


def short_name(path: Path) -> str:
    """A path as the kernel takes it for a UNIX socket, which may not be longer than 107 bytes; good for children of
    this process too.
    """
    return f"/proc/{os.getpid()}/fd/{_held(path.parent)}/{path.name}"


@cache
def _held(folder: Path) -> int:
    """A descriptor of a directory, held for as long as this process lives."""
    return os.open(folder, os.O_PATH | os.O_DIRECTORY)
