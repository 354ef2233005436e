"""Carrying bytes to a receiver with a limit of time for the whole delivery, whatever the receiver does.

A time-out of a socket limits one call: a receiver that sends a byte now and then would hold it for ever. Here a timer
shuts the connection when the delivery's time is over.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

#: The most that is read of an answer.
LONGEST_ANSWER = 64 * 1024


class NotDelivered(Exception):
    """A receiver did not take a record; the text says why. ``is_final``: the same again would not help."""

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        self.is_final = is_final
        super().__init__(why)


@contextmanager
def _connection(host: str, port: int, timeout_s: float, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A connection that is shut when its time is over; its errors are `NotDelivered`."""
    over = threading.Event()
    held: list[socket.socket] = []

    def shut() -> None:
        over.set()
        for wire in held:
            try:
                # below TLS: a shutdown of the TLS object would itself wait
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already

    timer = threading.Timer(timeout_s, shut)
    timer.daemon = True
    timer.start()
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as plain:
            held.append(plain)
            _require_time(over)  # a name with several addresses takes a time-out for each
            if context is None:
                yield plain
            else:
                with context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as wrapped:
                    held[:] = [wrapped]
                    _require_time(over)  # the timer found the socket that was wrapped
                    wrapped.do_handshake()
                    yield wrapped
    except (OSError, http.client.HTTPException) as error:
        if over.is_set() or isinstance(error, TimeoutError):
            raise NotDelivered(f"{host}:{port} took longer than {timeout_s:g} s.") from error
        raise NotDelivered(f"{host}:{port}: {_reason(error)}.") from error
    finally:
        timer.cancel()
    if over.is_set():  # what looked like the receiver's end was ours
        raise NotDelivered(f"{host}:{port} took longer than {timeout_s:g} s.")


def _require_time(over: threading.Event) -> None:
    if over.is_set():
        raise TimeoutError


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"no TLS ({error.reason or error})"
    if isinstance(error, http.client.IncompleteRead):
        return "it closed in the middle of its answer"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"what it answered is not HTTP ({type(error).__name__})"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or type(error).__name__


def tls(ca_file: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A context that trusts the system's authorities, or those of ``ca_file``, and shows a certificate of ours.

    Raises `NotDelivered` for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        file = ca_file if certificate is None else certificate
        raise NotDelivered(f"{file}: {error.strerror or error}.", is_final=True) from error
    return context


def send_stream(host: str, port: int, content: bytes, timeout_s: float, context: ssl.SSLContext | None = None) -> None:
    """Send bytes, tell the end of them, and wait until the receiver closes: it has taken them all then.

    TCP alone proves nothing: bytes that were sent may still be refused. Raises `NotDelivered`.
    """
    with _connection(host, port, timeout_s, context) as wire:
        wire.sendall(content)
        if isinstance(wire, ssl.SSLSocket):
            _say_goodbye(wire)
        else:
            try:
                wire.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:
                    raise
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error
            while wire.recv(4096):
                pass  # a syslog server says nothing; whatever this one says is not for us


def _say_goodbye(wire: ssl.SSLSocket) -> None:
    """End TLS from our side, and wait for the other's end.

    Many servers close the connection without an end of TLS, which is no error here: a reset is one.
    """
    try:
        wire.unwrap()
    except ConnectionResetError:
        raise
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
    # what is left is read below TLS, until the receiver closes
    while socket.socket.recv(wire, 4096):
        pass


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer of a web server."""

    status: int
    body: bytes

    @property
    def is_taken(self) -> bool:
        """True where the server says that it took the request."""
        return 200 <= self.status < 300


def request(
    method: str, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float, ca_file: Path | None = None
) -> HttpAnswer:
    """Ask a web server once and read its whole answer. No redirection is followed: it would carry the secret on.

    Raises `NotDelivered` without a whole answer.
    """
    parts = urlsplit(url)
    context = tls(ca_file) if parts.scheme == "https" else None
    port = parts.port or (443 if context else 80)
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    began = time.monotonic()
    with _connection(host, port, timeout_s, context) as wire:
        client = http.client.HTTPConnection(host, port, timeout=timeout_s)
        client.sock = wire
        client.request(method, path, body, {"User-Agent": "lpmkit", "Connection": "close", **headers})
        response = client.getresponse()
        content = response.read(LONGEST_ANSWER + 1)
        # http.client counts a body that ends early as read, where a limit was given
        missing = response.length
        if missing and len(content) <= LONGEST_ANSWER:
            raise http.client.IncompleteRead(content, missing)
        answer = HttpAnswer(response.status, content[:LONGEST_ANSWER])
    if time.monotonic() - began > timeout_s:
        raise NotDelivered(f"{host}:{port} took longer than {timeout_s:g} s.")
    return answer


def post(
    url: str, body: bytes, headers: Mapping[str, str], timeout_s: float, ca_file: Path | None = None
) -> HttpAnswer:
    """Post, and raise `NotDelivered` unless the server says that it took it."""
    answer = request("POST", url, body, headers, timeout_s, ca_file)
    if answer.is_taken:
        return answer
    shown = " ".join(answer.body.decode("utf-8", "replace").split())
    says = f"{urlsplit(url).hostname} answered {answer.status}{f': {shown}' if shown else ''}."
    # a request that is wrong stays wrong; these two are asked again (RFC 9110, 15.5.9; RFC 6585, 4)
    raise NotDelivered(says, is_final=300 <= answer.status < 500 and answer.status not in (408, 429))
