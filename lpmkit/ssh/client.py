"""Sessions over real SSH, with paramiko.

Routes come from OpenSSH itself (``ssh -G``), so ``Include``, ``Match``, jump hosts, identities and known hosts mean the
same here as at the prompt. Host keys are always checked; there is no switch for it.
"""

from __future__ import annotations

import getpass
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, NoReturn

import paramiko

from lpmkit.errors import ConnectionLost, HostKeyRefused, LoginRefused, NoAnswer, RemoteError, Unreachable, UsageError
from lpmkit.log_file import redirect_library_logs
from lpmkit.ssh.batching import batch_line, batch_replies
from lpmkit.ssh.logins import login, newest_password
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply, Transcript, command_line
from lpmkit.timeline import Clock

if TYPE_CHECKING:
    # a probes' process opens sessions and reads no site file
    from lpmkit.config import HostSettings, Site

CONNECT_TIMEOUT_S = 15.0
_CHUNK = 65536
#: Maximum size of a reply; a longer one is cut off. The longest listing of a frame with a thousand partitions has some
#: megabytes.
MAX_REPLY_BYTES = 32 * 1024 * 1024
#: Time limit of a line of many commands, in time limits of one.
BATCH_TIMEOUTS = 30
#: Bytes of a reply that an error message shows.
_SHOWN_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Route:
    """Route to a host by OpenSSH's configuration (``ssh -G HOST``)."""

    host: str
    hostname: str
    port: int
    user: str
    identities: tuple[str, ...] = ()
    known_hosts: tuple[str, ...] = ()
    host_key_alias: str | None = None
    jumps: tuple[str, ...] = ()
    proxy_command: str | None = None
    use_agent: bool = True
    ssh_config: Path | None = None

    @property
    def address(self) -> str:
        """Host name and port of the connection."""
        return f"{self.hostname}:{self.port}"

    @property
    def account(self) -> str:
        """The account of the login, as it is named in refusals."""
        return f"ssh {self.user}@{self.address}"


def route(host: str, ssh_config: Path | None = None) -> Route:
    """Ask OpenSSH for the route to ``host``. Raises `UsageError` if it cannot provide one."""
    program = shutil.which("ssh")
    if program is None:
        raise UsageError(
            "there is no OpenSSH client on this machine",
            next_step="Install openssh-client: lpmkit takes addresses and keys of hosts from it.",
        )
    if ssh_config is not None and not ssh_config.is_file():
        raise UsageError(
            f"there is no ssh config {ssh_config}", where=host, next_step="Correct `ssh_config` in the site file."
        )
    options = ["-F", str(ssh_config)] if ssh_config else []
    reply = subprocess.run(  # noqa: S603 - OpenSSH itself, with a host name as one argument behind "--"
        [program, "-G", *options, "--", host], capture_output=True, text=True, check=False, timeout=30
    )
    if reply.returncode != 0:
        raise UsageError("OpenSSH rejects its configuration for this host", where=host, answered=reply.stderr)
    return read_route(host, reply.stdout, ssh_config)


def read_route(host: str, text: str, ssh_config: Path | None = None) -> Route:
    r"""Parse the output of ``ssh -G``.

    >>> read_route("b", "user padmin\nhostname 192.0.2.82\nport 22\nidentityfile ~/.ssh/id\nproxyjump none\n").address
    '192.0.2.82:22'
    """
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value)

    def first(key: str) -> str | None:
        """The first value of a key; ``None`` for ``none``."""
        value = values.get(key, ["none"])[0]
        return None if value == "none" else value

    files = " ".join(values.get("userknownhostsfile", []) + values.get("globalknownhostsfile", [])).split()
    jumps = first("proxyjump")
    return Route(
        host=host,
        hostname=first("hostname") or host,
        port=int(first("port") or 22),
        user=first("user") or getpass.getuser(),
        identities=tuple(str(Path(name).expanduser()) for name in values.get("identityfile", [])),
        known_hosts=tuple(str(Path(name).expanduser()) for name in files),
        host_key_alias=first("hostkeyalias"),
        jumps=tuple(jumps.split(",")) if jumps else (),
        proxy_command=first("proxycommand"),
        use_agent=first("identitiesonly") != "yes",
        ssh_config=ssh_config,
    )


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):
    def __init__(self, target: Route) -> None:
        self._target = target

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Refuse a host without a known key."""
        raise HostKeyRefused(
            f"its host key is not known here ({key.get_name()} {key.fingerprint})",
            where=self._target.host,
            next_step=(
                "Compare the fingerprint with the one on the host's console, then log in once with "
                f"`{by_hand(self._target)}` and accept it."
            ),
        )


def by_hand(target: Route) -> str:
    """The command with which a person logs in by the same route."""
    return f"ssh -F {target.ssh_config} {target.host}" if target.ssh_config else f"ssh {target.host}"


def connect(target: Route, password: str | None = None) -> paramiko.SSHClient:
    """Log in. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`, each with the next step."""
    redirect_library_logs()  # paramiko logs tracebacks of its threads
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_RefuseUnknown(target))
    for name in target.known_hosts:
        if Path(name).is_file():
            client.load_host_keys(name)
    wire = _wire(target)
    address: dict[str, str | int] = (
        {"hostname": target.host_key_alias, "port": 22}
        if target.host_key_alias
        else {"hostname": target.hostname, "port": target.port}
    )
    try:
        with login(target.account):
            _log_in(client, target, wire, address, newest_password(target.account, password))
    except BaseException:
        client.close()
        wire.close()
        raise
    return client


def _log_in(
    client: paramiko.SSHClient,
    target: Route,
    wire: socket.socket | paramiko.Channel | paramiko.ProxyCommand,
    address: Mapping[str, str | int],
    password: str | None,
) -> None:
    identities = [name for name in target.identities if Path(name).is_file()]
    try:
        client.connect(
            **address,  # type: ignore[arg-type] # a str and an int under their own names
            sock=wire,
            username=target.user,
            password=password,
            key_filename=identities,  # type: ignore[arg-type] # a list is documented
            allow_agent=target.use_agent,
            look_for_keys=False,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
        )
    except BaseException as error:
        raise _refusal(target, error) from error


def _refusal(target: Route, error: BaseException) -> BaseException:
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyRefused(
            f"its host key has changed from {error.expected_key.fingerprint} to {error.key.fingerprint}",
            where=target.host,
            next_step="Find out why before anything else. If the host was reinstalled, remove the old key with "
            f"`ssh-keygen -R '{target.host_key_alias or target.hostname}'` and accept the new one "
            f"with `{by_hand(target)}`.",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return LoginRefused(
            f"it does not let {target.user} in",
            where=target.host,
            answered=str(error),
            next_step=(
                f"Try `{by_hand(target)}`; load the key with ssh-add, "
                "or name it as IdentityFile in the ssh configuration."
            ),
        )
    if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
        return Unreachable(
            f"no SSH session at {target.address}: {error or type(error).__name__}",
            where=target.host,
            next_step=f"Try `{by_hand(target)}`.",
        )
    return error


def _wire(target: Route) -> socket.socket | paramiko.Channel | paramiko.ProxyCommand:
    """Open the transport to the host: a socket, a channel through jump hosts, or a proxy command."""
    try:
        if target.jumps:
            return _through(target)
        if target.proxy_command:
            command = (
                target.proxy_command.replace("%h", target.hostname)
                .replace("%p", str(target.port))
                .replace("%r", target.user)
            )
            return paramiko.ProxyCommand(command)
        wire = socket.create_connection((target.hostname, target.port), timeout=CONNECT_TIMEOUT_S)
        # Two small writes in a row would wait for a delayed acknowledgement; paramiko never sets this.
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = StampedSocket.around(wire)
    except (OSError, paramiko.SSHException) as error:
        raise Unreachable(
            f"no connection to {target.address}: {error}",
            where=target.host,
            next_step=f"Check power, name and firewalls. Try `{by_hand(target)}`.",
        ) from error
    return wire


def _through(target: Route) -> paramiko.Channel:
    *earlier, last = target.jumps
    name = last.rsplit("@", 1)[-1]
    jump = route(last, target.ssh_config)
    if earlier and not jump.jumps:
        jump = replace(jump, jumps=tuple(earlier))
    client = connect(jump)
    transport = client.get_transport()
    if transport is None:
        raise Unreachable(f"the jump host {name} closed the connection", where=target.host)
    channel = transport.open_channel(
        "direct-tcpip", (target.hostname, target.port), ("127.0.0.1", 0), timeout=CONNECT_TIMEOUT_S
    )
    channel.settimeout(CONNECT_TIMEOUT_S)
    # The channel keeps its jump alive: paramiko closes a client without references.
    channel.jump_client = client  # type: ignore[attr-defined]
    return channel


@dataclass(eq=False)
class SshSession:
    """A `lpmkit.ssh.session.Session` over SSH: connects on first use and after a loss, and reports to the
    transcript.
    """

    route: Route
    password: str | None = field(default=None, repr=False)
    transcript: Transcript | None = None
    clock: Clock = field(default_factory=Clock)
    connections: int = 0
    #: Number of lines sent, of one or many commands.
    round_trips: int = 0

    def __post_init__(self) -> None:
        self._client: paramiko.SSHClient | None = None
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The host's name, for messages."""
        return self.route.host

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """See `lpmkit.ssh.session.Session.run`."""
        command = command_line(arguments)
        began, wall = self.clock.mono_ns(), self.clock.wall_ns()
        output, error = bytearray(), bytearray()
        status: int | None = None
        try:
            status = self._exchange(arguments, stdin, output, error, timeout_s)
        except (paramiko.SSHException, OSError, EOFError) as trouble:
            self.close()
            raise ConnectionLost(
                f"the connection was lost: {trouble or type(trouble).__name__}",
                where=self.where,
                asked=command,
                next_step="The command may still be running there; check before you repeat it.",
            ) from trouble
        finally:
            # A command without a complete reply is in the transcript too, with the part that arrived.
            reply = Reply(
                where=self.where,
                command=command,
                status=status,
                output=_text(output),
                error=_text(error),
                stdin=stdin,
                began_ns=began,
                ended_ns=self.clock.mono_ns(),
                wall_ns=wall,
            )
            if self.transcript:
                self.transcript(reply)
        if status is None:
            self.close()
        return reply

    def run_all(self, commands: Sequence[Sequence[str]], *, timeout_s: float = 60.0) -> list[Reply | None]:
        """Run several commands as one line, in order, and return their replies; ``None`` for an uncertain one.

        ``timeout_s`` applies to each command: the line ends when no output arrives for that time. Each reply has
        the time in which it arrived. Raises like `run` without a connection.

        Replies after a time-out or a lost connection are uncertain; so are those of several commands that may have
        printed an error, since errors share one stream. Ask these again, alone.
        """
        self._connected()
        token = "lpmkit-" + token_hex(6)
        began, wall = self.clock.mono_ns(), self.clock.wall_ns()
        output, error = bytearray(), bytearray()
        arrivals: list[tuple[int, int]] = []
        try:
            self._exchange_line(batch_line(commands, token), "", output, error, timeout_s, arrivals)
        except (RemoteError, paramiko.SSHException, OSError, EOFError):
            # Completed commands are certain; the others are asked again, alone, and raise their own errors.
            self.close()
        completed, errors = batch_replies(_text(output), token), _text(error)
        moments = [began, *_ends(bytes(output), token.encode(), arrivals)]
        suspects = [index for index, (text, status) in enumerate(completed) if status != 0 or not text]
        replies: list[Reply | None] = []
        for index, command in enumerate(commands):
            if index >= len(completed) or (errors and index in suspects and len(suspects) > 1):
                replies.append(None)
                continue
            text, status = completed[index]
            own_error = errors if index in suspects or not suspects else ""
            since, until = moments[index], moments[index + 1]
            reply = Reply(
                self.where, command_line(command), status, text, own_error, "", since, until, wall + since - began
            )
            replies.append(reply)
            if self.transcript:
                self.transcript(reply)
        return replies

    def stream(
        self, arguments: Sequence[str], prepare: Callable[[paramiko.Channel], object] | None = None
    ) -> paramiko.Channel:
        """Start a command and return its channel; the caller reads, writes and closes it.

        ``prepare`` gets the channel before the command starts, so that it misses no output.
        """
        return self._start(command_line(arguments), prepare)

    def _start(self, line: str, prepare: Callable[[paramiko.Channel], object] | None = None) -> paramiko.Channel:
        client = self._connected()
        transport = client.get_transport()
        if transport is None or not transport.is_active():
            self.close()
            raise ConnectionLost("the connection is gone", where=self.where, asked=line)
        self.round_trips += 1
        channel = transport.open_session(timeout=CONNECT_TIMEOUT_S)
        if prepare is not None:
            prepare(channel)
        channel.exec_command(line.encode())
        return channel

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def connect(self) -> None:
        """Log in unless connected. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`."""
        self._connected()

    def _connected(self) -> paramiko.SSHClient:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if self._client is None or transport is None or not transport.is_active():
                self._client = connect(self.route, self.password)
                self.connections += 1
            return self._client

    def _exchange(
        self, arguments: Sequence[str], stdin: str, output: bytearray, error: bytearray, timeout_s: float
    ) -> int | None:
        return self._exchange_line(command_line(arguments), stdin, output, error, timeout_s)

    def _exchange_line(
        self,
        line: str,
        stdin: str,
        output: bytearray,
        error: bytearray,
        timeout_s: float,
        arrivals: list[tuple[int, int]] | None = None,
    ) -> int | None:
        channel = self._start(line)
        try:
            if stdin:
                channel.sendall(stdin.encode())
            channel.shutdown_write()
            return self._collect(channel, output, error, timeout_s, line, arrivals)
        finally:
            channel.close()

    def _receive(
        self, is_ready: Callable[[], bool], receive: Callable[[int], bytes], into: bytearray, last_ns: int
    ) -> None:
        """Take what has come, up to the bounds of bytes and time."""
        while is_ready() and len(into) <= MAX_REPLY_BYTES and self.clock.mono_ns() < last_ns:
            into += receive(_CHUNK)

    def _cut_off(self, output: bytearray, error: bytearray, command: str, timeout_s: float) -> NoReturn:
        """Close the connection to a machine that sends without end; the beginning of its reply is kept."""
        self.close()
        is_long = max(len(output), len(error)) > MAX_REPLY_BYTES
        shown = _shown(output, error)
        for stream in (output, error):
            del stream[MAX_REPLY_BYTES:]
        raise NoAnswer(
            f"its reply is longer than {MAX_REPLY_BYTES // 1048576} MB and was cut off"
            if is_long
            else f"its reply did not end within {timeout_s:g} s",
            where=self.where,
            asked=command,
            answered=shown,
            next_step="The machine may be busy, or it repeats itself; look at it, then repeat.",
        )

    def _collect(
        self,
        channel: paramiko.Channel,
        output: bytearray,
        error: bytearray,
        timeout_s: float,
        command: str,
        arrivals: list[tuple[int, int]] | None = None,
    ) -> int | None:
        """Collect output until its end.

        With ``arrivals`` the time limit restarts with any output, and pairs of output length and time are appended
        to it.
        """
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        deadline = self.clock.mono_ns() + int(timeout_s * 1e9)
        # The time limit covers a single command as a whole; for a line of many it restarts, up to a limit.
        last = self.clock.mono_ns() + int(timeout_s * (1 if arrivals is None else BATCH_TIMEOUTS) * 1e9)
        while True:
            before = len(output) + len(error)
            self._receive(channel.recv_ready, channel.recv, output, last)
            self._receive(channel.recv_stderr_ready, channel.recv_stderr, error, last)
            is_sending = channel.recv_ready() or channel.recv_stderr_ready()
            if max(len(output), len(error)) > MAX_REPLY_BYTES or (is_sending and self.clock.mono_ns() >= last):
                self._cut_off(output, error, command, timeout_s)
            if arrivals is not None and len(output) + len(error) > before:
                now = self.clock.mono_ns()
                deadline = now + int(timeout_s * 1e9)
                arrivals.append((len(output), now))
            if channel.eof_received and not channel.recv_ready() and not channel.recv_stderr_ready():
                # The exit status may follow the end of file by a moment.
                channel.status_event.wait(5.0)
                return None if channel.exit_status == -1 else channel.exit_status
            if channel.closed and not channel.recv_ready() and not channel.recv_stderr_ready():
                # Output, end of file and close may all have arrived since the buffers were last read.
                return None if channel.exit_status == -1 else channel.exit_status
            left_ms = (deadline - self.clock.mono_ns()) // 1_000_000
            if left_ms <= 0:
                self.close()
                raise NoAnswer(
                    f"no answer within {timeout_s:g} s",
                    where=self.where,
                    asked=command,
                    answered=_shown(output, error),
                    next_step="The host may be busy or hung; check it, then repeat.",
                )
            poller.poll(min(left_ms, 1000))


def _shown(output: bytearray, error: bytearray) -> str | None:
    """The beginning of what was answered, for a message."""
    return _text((output + error)[:_SHOWN_BYTES]) or None


def _ends(output: bytes, mark: bytes, came: Sequence[tuple[int, int]]) -> list[int]:
    """The arrival time of each mark, from pairs of output length and time.

    >>> _ends(b"a x 0 b x 0", b"x", [(3, 100), (11, 200)])
    [100, 200]
    """
    ends, position = [], output.find(mark)
    while position >= 0:
        position += len(mark)
        ends.append(next(time_ns for size, time_ns in came if size >= position))
        position = output.find(mark, position)
    return ends


def _text(content: bytes | bytearray) -> str:
    """Decode output; systems of this age use UTF-8 or ISO-8859-1 and do not declare it (A `SNAP`)."""
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        return bytes(content).decode("latin-1")


def open_session(
    site: Site,
    settings: HostSettings,
    *,
    secrets: Secrets | None = None,
    transcript: Transcript | None = None,
) -> SshSession:
    """The session for one host of the site. Sends nothing before it is used."""
    password = (secrets or Secrets()).get(settings.password, settings.host)
    return SshSession(route(settings.host, site.ssh_config), password=password, transcript=transcript)


def reachable(session: SshSession) -> RemoteError | None:
    """Log in and out; ``None`` on success, otherwise the error."""
    try:
        session.connect()
    except RemoteError as error:
        return error
    return None
