"""The bytes: an SSH server of one simulated host, on loopback, for a few users and their keys.

It knows nothing of PowerVM. A channel's command line goes to a `Shell`; what the shell writes goes to the channel at
once. One thread per connection (paramiko's own) and one or two per channel that runs something.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_REQUEST,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)

from lpmkit.simulator.distance import far_away
from lpmkit.simulator.forwarding import STREAM_LOCAL, Connect, relay
from lpmkit.simulator.shells.runner import LoggedOut, Shell
from lpmkit.simulator.terminal import Terminal

# What a client does to a connection is its own affair; nobody wants tracebacks of it on the terminal.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

#: What paramiko raises when the client went away in the middle of something.
GONE = (OSError, EOFError, paramiko.SSHException)

#: Makes the shell of a login: the user, interactive or not, with the variables that the client sent.
ShellFactory = Callable[[str, bool, Mapping[str, str]], Shell]


class ChannelIo:
    """The three streams of a channel. ``closed`` is set when the client has gone."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.closed = threading.Event()
        self._channel = channel

    def out(self, data: bytes) -> None:
        self._send(self._channel.sendall, data)

    def err(self, data: bytes) -> None:
        self._send(self._channel.sendall_stderr, data)

    def read(self) -> bytes:
        try:
            return self._channel.recv(65536)
        except GONE:
            return b""

    def read_ready(self) -> bytes | None:
        return self.read() if self._channel.recv_ready() or self._channel.closed else None

    def _send(self, send: Callable[[bytes], object], data: bytes) -> None:
        try:
            send(data)
        except GONE:
            self.closed.set()


class Transport(paramiko.Transport):
    """paramiko's, except that a command starts only after the client was told that its request is granted.

    paramiko calls ``check_channel_exec_request`` before it sends the answer; a short command started there could end,
    and its channel be closed, before the client has heard that it began.
    """

    granted: dict[int, Callable[[], None]]
    wanted: str = ""
    """The UNIX socket that the channel which is being opened is for."""
    _channel_handler_table: Mapping[int, Callable[[paramiko.Channel, paramiko.Message], None]]

    def __init__(self, sock: socket.socket, *, announces_signatures: bool = True) -> None:
        super().__init__(sock, server_sig_algs=announces_signatures)
        self.granted = {}
        #: Where a channel leads that a client opened to somewhere.
        self.connected: dict[int, socket.socket] = {}
        self._channel_handler_table = {**self._channel_handler_table, MSG_CHANNEL_REQUEST: self._request}

    def _parse_channel_open(self, message: paramiko.Message) -> None:
        look = paramiko.Message(message.asbytes())
        if look.get_text() == STREAM_LOCAL:
            for _ in range(3):
                look.get_int()
            self.wanted = look.get_text()
        super()._parse_channel_open(message)  # type: ignore[misc]  # paramiko's own, which has no public name

    def _queue_incoming_channel(self, channel: paramiko.Channel) -> None:
        """Whoever opened a channel to somewhere is connected to it, now that he was told that it is open."""
        connection = self.connected.pop(channel.get_id(), None)
        if connection is None:
            super()._queue_incoming_channel(channel)  # type: ignore[misc]
        else:
            relay(channel, connection)

    def _request(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        channel._handle_request(message)  # type: ignore[attr-defined]  # the method that stood in paramiko's own table
        start = self.granted.pop(channel.get_id(), None)
        if start is not None:
            start()


class _Login(paramiko.ServerInterface):
    """The rules of who may come in, and of what a channel may do. One per connection."""

    def __init__(self, server: SshServer, transport: Transport) -> None:
        self._server, self._transport = server, transport
        self._terminals: dict[int, Terminal] = {}
        self._variables: dict[int, dict[str, str]] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username in self._server.users and key.asbytes() in self._server.keys
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == STREAM_LOCAL:
            return self._forward(chanid, self._transport.wanted)
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        host, port = destination
        mine = (self._server.host, self._server.address, "localhost", "127.0.0.1", "loopback")
        return self._forward(chanid, port) if host in mine else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def _forward(self, chanid: int, destination: int | str) -> int:
        if self._server.connect is None:
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            self._transport.connected[chanid] = self._server.connect(destination)
        except OSError:
            return OPEN_FAILED_CONNECT_FAILED
        return OPEN_SUCCEEDED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        text = name.decode("ascii", "replace")
        if text == "LANG" or text.startswith("LC_"):
            self._variables.setdefault(channel.get_id(), {})[text] = value.decode("ascii", "replace")
        return True

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
        modes: bytes,
    ) -> bool:
        self._terminals[channel.get_id()] = Terminal(width)
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, pixelwidth: int, pixelheight: int
    ) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self._grant(channel, None)
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._grant(channel, command.decode("utf-8", "replace"))
        return True

    def _grant(self, channel: paramiko.Channel, line: str | None) -> None:
        number = channel.get_id()
        user = self._transport.get_username() or ""
        shell = self._server.factory(user, line is None, self._variables.get(number, {}))
        terminal = self._terminals.get(number)
        name = f"{self._server.host}-channel"
        work = threading.Thread(target=serve, args=(channel, shell, line, terminal), daemon=True, name=name)
        self._transport.granted[number] = work.start


def serve(channel: paramiko.Channel, shell: Shell, line: str | None, terminal: Terminal | None) -> None:
    """Run what a channel was opened for, then close it with the status."""
    io = ChannelIo(channel)
    watch = threading.Thread(target=_watch, args=(channel, io.closed), daemon=True, name="channel-watch")
    watch.start()
    try:
        if terminal is not None:
            status = terminal.run(shell, io, line)
        elif line is not None:
            status = shell.execute(line, io)
        else:
            status = _script(shell, io)
    except LoggedOut as leaving:
        status = int(leaving.args[0])
    try:
        channel.send_exit_status(status)
        channel.shutdown_write()
        channel.close()
    except GONE:
        pass  # the client went first; nobody is left to be told
    io.closed.set()


def _script(shell: Shell, io: ChannelIo) -> int:
    """A shell without a terminal reads its lines from the input."""
    rest = b""
    while data := io.read():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            shell.execute(line.decode("utf-8", "replace"), io)
    return shell.execute(rest.decode("utf-8", "replace"), io)


def _watch(channel: paramiko.Channel, closed: threading.Event) -> None:
    """Notice that the client has gone, even while a command neither reads nor writes."""
    while not closed.wait(0.1):
        if channel.closed or not channel.get_transport().is_active():
            closed.set()


def _read_key(path: Path) -> paramiko.PKey:
    return paramiko.Ed25519Key(filename=str(path))


class SshServer:
    """A simulated host's SSH port. A ``with`` block, or `start` and `close`."""

    def __init__(
        self,
        host: str,
        users: Sequence[str],
        host_key: Path,
        client_keys: set[bytes],
        factory: ShellFactory,
        address: str = "127.0.0.1",
        connect: Connect | None = None,
        round_trip_s: float = 0.0,
        *,
        transport: Callable[[socket.socket], Transport] = Transport,
        read_key: Callable[[Path], paramiko.PKey] = _read_key,
    ) -> None:
        self._transport = transport
        self.round_trip_s = round_trip_s
        self.host, self.users, self.keys, self.factory = host, frozenset(users), client_keys, factory
        self.connect = connect
        self._host_key = read_key(host_key)
        self._transports: set[Transport] = set()
        self._lock = threading.Lock()
        self._away = threading.Event()
        self._closing = threading.Event()
        self._listener = socket.create_server((address, 0), backlog=256)
        self.address, self.port = self._listener.getsockname()[:2]

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True, name=f"{self.host}-sshd").start()

    def drop(self, away_s: float) -> None:
        """Close every connection, and refuse new ones for a while."""
        self._away.set()
        with self._lock:
            transports = list(self._transports)
        for transport in transports:
            transport.close()
        timer = threading.Timer(away_s, self._away.clear)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        self._closing.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        except OSError:
            pass  # it was never connected, which is what a listener is
        self._listener.close()
        with self._lock:
            transports = list(self._transports)
        for transport in transports:
            transport.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._away.is_set():
                connection.close()
                continue
            threading.Thread(target=self._welcome, args=(connection,), daemon=True, name=f"{self.host}-login").start()

    def _welcome(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = self._transport(far_away(connection, self.round_trip_s) if self.round_trip_s > 0 else connection)
        transport.local_version = "SSH-2.0-OpenSSH_4.7"
        transport.add_server_key(self._host_key)
        with self._lock:
            self._transports = {each for each in self._transports if each.is_active()} | {transport}
        try:
            transport.start_server(server=_Login(self, transport))
        except GONE:
            transport.close()  # the client did not get through the handshake; it knows why better than we do
