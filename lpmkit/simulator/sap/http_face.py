"""HTTP of a simulated server: one request read, one answer written, connections kept (HTTP/1.1).

It knows nothing of SAP.
"""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from lpmkit.simulator.sap.envelope import LONGEST_REQUEST

Answer = Callable[["Exchange"], None]
IDLE_S = 300.0
"""A connection that says nothing for this long is closed; what a suspension lasts is far less."""


class Exchange(BaseHTTPRequestHandler):
    """A connection's requests, one after the other, each handed to the server's ``answer``."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def __init__(self, connection: socket.socket, answer: Answer, name: str, secure: bool = False) -> None:
        self._answer, self._name, self._secure = answer, name, secure
        self.method, self.body = "", b""
        server: Any = None
        super().__init__(connection, ("", 0), server)

    def version_string(self) -> str:
        return self._name

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self.method, self.body = "GET", b""
        self._answer(self)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal() or int(length) > LONGEST_REQUEST:
            self.reply(413 if length.isdecimal() else 411, b"", "text/plain")
            self.close_connection = True
            return
        self.method, self.body = "POST", self.rfile.read(int(length))
        self._answer(self)

    @property
    def query(self) -> str:
        """The part of the address behind the question mark."""
        return self.path.partition("?")[2]

    @property
    def place(self) -> str:
        return self.path.partition("?")[0]

    @property
    def base(self) -> str:
        """The server as the client called it."""
        return f"{'https' if self._secure else 'http'}://{self.headers.get('Host', 'localhost')}"

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of basic authentication, in UTF-8; ``None`` when there are none that can be read."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon else None

    def reply(self, status: int, body: bytes, kind: str = "text/xml; charset=utf-8", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def unauthorized(self, realm: str, body: bytes) -> None:
        self.reply(401, body, WWW_Authenticate=f'Basic realm="{realm}"')

    def hang(self) -> None:
        """Never answer, until the client gives up."""
        self.close_connection = True
        self.connection.settimeout(None)
        try:
            while self.connection.recv(4096):
                pass  # it may send what it likes
        except OSError:
            pass  # it has gone


def web(answer: Answer, name: str, context: ssl.SSLContext | None = None) -> Callable[[socket.socket], None]:
    """The handler of a connection of a web server of that name, with TLS when there is a context."""

    def serve(connection: socket.socket) -> None:
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            Exchange(connection, answer, name)
            return
        connection.settimeout(IDLE_S)
        with context.wrap_socket(connection, server_side=True) as secured:
            Exchange(secured, answer, name, secure=True)

    return serve
