"""Receivers on loopback for the sinks: honest ones, slow ones and ones that lie."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: What a receiver does with a connection; it may raise OSError when it is hung up on.
Manner = Callable[[socket.socket, list[bytes]], None]


@dataclass
class Listening:
    """A receiver: its port, what each connection sent, and how often it was asked."""

    port: int
    got: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def receiver(manner: Manner, context: ssl.SSLContext | None = None) -> Iterator[Listening]:
    """A receiver with these manners, for every connection, until the block ends."""
    door = socket.create_server(("127.0.0.1", 0))
    listening = Listening(door.getsockname()[1])
    open_: list[socket.socket] = []

    def serve(wire: socket.socket) -> None:
        try:
            if context is not None:
                wire = context.wrap_socket(wire, server_side=True)
                open_.append(wire)
            manner(wire, listening.got)
        except OSError:
            pass  # the other side hung up, which is what many tests are about
        finally:
            wire.close()

    def accept() -> None:
        while True:
            try:
                wire, _ = door.accept()
            except OSError:
                return
            open_.append(wire)
            threading.Thread(target=serve, args=(wire,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()
        for wire in open_:
            wire.close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


# --- streams ---------------------------------------------------------------------------------------------------------


def takes_all(wire: socket.socket, got: list[bytes]) -> None:
    """Reads until the sender ends, then closes: as a syslog server does."""
    content = bytearray()
    while piece := wire.recv(4096):
        content += piece
    got.append(bytes(content))


def never_closes(wire: socket.socket, got: list[bytes]) -> None:
    """Reads, and never closes."""
    takes_all(wire, got)
    threading.Event().wait(30)


def never_reads(wire: socket.socket, got: list[bytes]) -> None:
    threading.Event().wait(30)


def resets(wire: socket.socket, got: list[bytes]) -> None:
    """Takes a little, then breaks the connection off, with a reset."""
    wire.recv(10)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


# --- the web ---------------------------------------------------------------------------------------------------------


def _request(wire: socket.socket) -> bytes:
    """A whole request with its body."""
    content = bytearray()
    while b"\r\n\r\n" not in content:
        content += wire.recv(4096) or _hung_up()
    head, _, body = bytes(content).partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += wire.recv(4096) or _hung_up()
    return head + b"\r\n\r\n" + body


def _hung_up() -> bytes:
    raise ConnectionResetError


def answers(answer: bytes) -> Manner:
    """Takes a request and answers these bytes."""

    def manner(wire: socket.socket, got: list[bytes]) -> None:
        got.append(_request(wire))
        wire.sendall(answer)

    return manner


OK = answers(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
BROKEN = answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
FORBIDDEN = answers(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
ELSEWHERE = answers(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
GARBAGE = answers(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
HALF = answers(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"half":')
NOTHING = answers(b"")


def sends_back(wire: socket.socket, got: list[bytes]) -> None:
    """Refuses, with everything that it was sent in its answer, well behind the beginning."""
    got.append(_request(wire))
    body = b"x" * 200 + got[-1]
    wire.sendall(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def drips(wire: socket.socket, got: list[bytes]) -> None:
    """Answers a byte now and then, so that no single wait is long."""
    got.append(_request(wire))
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000:
        wire.sendall(bytes([byte]))
        threading.Event().wait(0.02)
