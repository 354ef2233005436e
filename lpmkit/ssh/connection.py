"""Logged-in connections to hosts, and the choice of their transport.

paramiko is the default. OpenSSH itself takes over where its configuration, or what the host answers before any login,
asks for what the installed paramiko cannot do. A session that the user holds open (``ControlPath``) is used as `ssh`
would use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import paramiko

from lpmkit.account.log_file import redirect_library_logs
from lpmkit.errors import ConnectionLost, Unreachable, UsageError
from lpmkit.ssh.logins import login, newest_password
from lpmkit.ssh.openssh import OpenSshConnection, join_open_session, start_master
from lpmkit.ssh.paramiko_login import NeedsOpenSsh, Transport, log_in
from lpmkit.ssh.route import Route, by_hand, jump_route
from lpmkit.ssh.wire import Wire, dial

#: Seconds for a channel of a connection that is open.
CHANNEL_TIMEOUT_S = 15.0

#: Called with a channel before its command starts.
Prepare = Callable[[paramiko.Channel], object]


class SshConnection(Protocol):
    """A login on a host that carries commands."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Transport, algorithms and login that served, for the record."""
        ...

    def is_active(self) -> bool:
        """False once the connection is gone."""
        ...

    def start(self, line: str, prepare: Prepare | None = None) -> paramiko.Channel:
        """Start a command line; its channel."""
        ...

    def reach(self, hostname: str, port: int) -> Wire:
        """A stream through this host to another."""
        ...

    def close(self) -> None:
        """Close it, with everything that it goes through."""
        ...


class ParamikoConnection:
    """A connection over paramiko; ``below`` is the jump host that it goes through."""

    def __init__(self, transport: Transport, facts: Mapping[str, str], below: SshConnection | None = None) -> None:
        self.transport, self.facts, self._below = transport, facts, below

    def is_active(self) -> bool:
        """False once the connection is gone."""
        return self.transport.is_active()

    def start(self, line: str, prepare: Prepare | None = None) -> paramiko.Channel:
        """Start a command line. Raises paramiko's errors."""
        channel = self.transport.open_session(timeout=CHANNEL_TIMEOUT_S)
        if prepare is not None:
            prepare(channel)
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            with suppress(EOFError, OSError, paramiko.SSHException):  # the connection went in this moment
                channel.close()

        # paramiko waits for the host's word without end, and a host that is suspended in this moment gives none
        limit = threading.Timer(CHANNEL_TIMEOUT_S, give_up)
        limit.daemon = True
        limit.start()
        try:
            channel.exec_command(line.encode())
        except paramiko.SSHException:
            if is_late.is_set():
                raise TimeoutError(f"it did not start the command within {CHANNEL_TIMEOUT_S:g} s") from None
            raise
        finally:
            limit.cancel()
        return channel

    def reach(self, hostname: str, port: int) -> Wire:
        """A stream through this host to another. Raises paramiko's errors."""
        channel = self.transport.open_channel(
            "direct-tcpip", (hostname, port), ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT_S
        )
        channel.settimeout(CHANNEL_TIMEOUT_S)
        return channel

    def close(self) -> None:
        """Close it and its jump host."""
        self.transport.close()
        if self._below is not None:
            self._below.close()


class _Choices:
    """The reasons why routes need OpenSSH, once a host has shown it; a reconnection then wastes no attempt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def of(self, target: Route) -> str | None:
        with self._lock:
            return self._reasons.get(self._key(target))

    def note(self, target: Route, reason: str) -> None:
        with self._lock:
            self._reasons[self._key(target)] = reason

    def _key(self, target: Route) -> str:
        return f"{' '.join(target.command)} {sorted(target.options.values.items())}"


_choices = _Choices()


def connect(target: Route, password: str | None = None, depth: int = 0) -> SshConnection:
    """Log in. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`, each with the next step."""
    redirect_library_logs()  # paramiko logs tracebacks of its threads
    opened = join_open_session(target)
    if opened is not None:
        return opened
    reason = _choices.of(target) or next(target.options.beyond_paramiko(), None)
    if reason is None:
        try:
            return _by_paramiko(target, password, depth)
        except NeedsOpenSsh as need:
            reason = str(need)
            _choices.note(target, reason)
    return _by_openssh(target, password, reason, depth)


def _by_paramiko(target: Route, password: str | None, depth: int) -> SshConnection:
    wire, below = _wire(target, depth)
    try:
        with login(target.account):
            transport, facts = log_in(target, wire, newest_password(target.account, password))
    except BaseException:
        _close(wire, below)
        raise
    return ParamikoConnection(transport, facts, below)


def _by_openssh(target: Route, password: str | None, reason: str, depth: int) -> OpenSshConnection:
    wire, below = _wire(target, depth)
    try:
        with login(target.account):
            return start_master(target, wire, newest_password(target.account, password), reason, below)
    except BaseException:
        _close(wire, below)
        raise


def _close(wire: Wire, below: SshConnection | None) -> None:
    with suppress(OSError, EOFError):  # it may be closed already, by the transport that used it
        wire.close()
    if below is not None:
        below.close()


def _wire(target: Route, depth: int) -> tuple[Wire, SshConnection | None]:
    """The stream to the host, and the connection to the jump host that carries it."""
    if not target.jumps:
        return dial(target), None
    try:
        jump = jump_route(target, depth)
    except UsageError as error:
        raise Unreachable(
            f"there is no route to its jump host: {error.what}",
            where=target.host,
            answered=error.answered,
            next_step=error.next_step,
        ) from error
    below = connect(jump, depth=depth + 1)
    try:
        return below.reach(target.hostname, target.port), below
    except (paramiko.SSHException, OSError, EOFError, ConnectionLost) as error:
        below.close()
        raise Unreachable(
            f"no connection to {target.address} through the jump host {jump.host}: {error or type(error).__name__}",
            where=target.host,
            next_step=f"See that {jump.host} reaches it and allows forwarding (AllowTcpForwarding). "
            f"Try `{by_hand(target)}`.",
        ) from error
