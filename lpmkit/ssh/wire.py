"""The connection below SSH: TCP with kernel receive stamps, or the proxy command of the configuration."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from typing import IO, Any, Protocol, Self

from lpmkit.errors import NotResolved, TimedOut, Unreachable
from lpmkit.ssh.route import Route, by_hand, filled_in
from lpmkit.ssh.rx_timestamps import StampedSocket

#: ``SO_BINDTODEVICE`` of Linux; Python has a name for it only there.
_SO_BINDTODEVICE = 25
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class Wire(Protocol):
    """A stream of bytes to a host: a socket, or a channel through a jump host."""

    def recv(self, bufsize: int, /) -> bytes:
        """Up to ``bufsize`` bytes; empty at the end."""
        ...

    def sendall(self, data: bytes, /) -> Any:
        """Send all of ``data``."""
        ...

    def settimeout(self, timeout: float | None, /) -> Any:
        """Time limit of one call in seconds; ``None`` for no limit."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def dial(target: Route) -> socket.socket:
    """Connect to the host directly or by its proxy command. Raises `Unreachable` or a kind of it."""
    if target.proxy_command:
        return _by_proxy(target, filled_in(target.proxy_command, target))
    attempts = max(1, target.options.number("connectionattempts", 1))
    for attempt in range(1, attempts + 1):
        try:
            return _tcp(target)
        except TimeoutError as error:
            trouble: Unreachable = TimedOut(
                f"no connection to {target.address} within {target.connect_timeout_s:g} s",
                where=target.host,
                next_step=f"Check power, name and firewalls. Try `{by_hand(target)}`.",
            )
            reason: OSError = error
        except socket.gaierror as error:
            address = "" if target.hostname == target.host else f" {target.hostname}"
            raise NotResolved(
                f"its name{address} cannot be resolved: {error.strerror}",
                where=target.host,
                next_step="Correct the name in the site file or HostName in the ssh configuration, "
                "or see to the name service.",
            ) from error
        except OSError as error:
            trouble = Unreachable(
                f"no connection to {target.address}: {error.strerror or error}",
                where=target.host,
                next_step=f"Check power, name and firewalls. Try `{by_hand(target)}`.",
            )
            reason = error
        if attempt == attempts:
            raise trouble from reason
        time.sleep(1)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _tcp(target: Route) -> socket.socket:
    """A TCP connection to the first address of the host that accepts one. Raises `OSError`."""
    options = target.options
    family = _FAMILIES.get(options.first("addressfamily") or "", socket.AF_UNSPEC)
    deadline = time.monotonic() + target.connect_timeout_s
    trouble: OSError = OSError("no address")
    for kind, _, protocol, _, address in socket.getaddrinfo(target.hostname, target.port, family, socket.SOCK_STREAM):
        wire = socket.socket(kind, socket.SOCK_STREAM, protocol)
        try:
            wire.settimeout(max(0.1, deadline - time.monotonic()))
            _bind(wire, kind, options.first("bindaddress"), options.first("bindinterface"))
            wire.connect(address)
        except OSError as error:
            wire.close()
            trouble = error
            continue
        # Two small writes in a row would wait for a delayed acknowledgement; paramiko never sets this.
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if options.is_on("tcpkeepalive", default=True):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return StampedSocket.around(wire)
    raise trouble


def _bind(wire: socket.socket, family: int, address: str | None, interface: str | None) -> None:
    if address:
        wire.bind(socket.getaddrinfo(address, None, family, socket.SOCK_STREAM)[0][4])
    elif interface:
        wire.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode())


class ProxySocket(socket.socket):
    """The standard input and output of a proxy command."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    @classmethod
    def start(cls, command: str) -> Self:
        """Run a command as OpenSSH does, in the user's shell."""
        ours, theirs = socket.socketpair()
        shell = os.environ.get("SHELL") or "/bin/sh"
        proxy = cls(ours.family, ours.type, ours.proto, fileno=ours.detach())
        proxy.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        try:
            proxy.process = subprocess.Popen(  # noqa: S603 - the command of the user's own ssh configuration
                [shell, "-c", f"exec {command}"], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=proxy.errors
            )
        except OSError:
            socket.socket.close(proxy)
            proxy.errors.close()
            raise
        finally:
            theirs.close()
        return proxy

    def told(self) -> str:
        """The text that the command has written to standard error."""
        self.errors.seek(0)
        return self.errors.read(4000).decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the command and close its streams."""
        super().close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def _by_proxy(target: Route, command: str) -> socket.socket:
    try:
        proxy = ProxySocket.start(command)
    except OSError as error:
        raise Unreachable(
            f"its proxy command cannot be started: {error.strerror}",
            where=target.host,
            asked=command,
            next_step="Correct ProxyCommand in the ssh configuration.",
        ) from error
    if not target.options.is_on("proxyusefdpass"):
        return proxy
    try:
        proxy.settimeout(target.connect_timeout_s)
        _, handed, _, _ = socket.recv_fds(proxy, 1, 1)
    except TimeoutError as error:
        raise TimedOut(
            f"its proxy command handed over no connection within {target.connect_timeout_s:g} s",
            where=target.host,
            asked=command,
            answered=proxy.told() or None,
        ) from error
    if not handed:
        proxy.process.wait()
        raise Unreachable(
            "its proxy command handed over no connection",
            where=target.host,
            asked=command,
            answered=proxy.told() or None,
            next_step=f"Try `{by_hand(target)}`.",
        )
    proxy.close()
    return StampedSocket.around(socket.socket(fileno=handed[0]))


def words_of_proxy(wire: object) -> str | None:
    """The text that a proxy command has written to standard error; ``None`` for another wire and for silence."""
    return (wire.told() or None) if isinstance(wire, ProxySocket) else None
