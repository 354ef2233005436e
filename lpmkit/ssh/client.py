"""Sessions over real SSH, with paramiko.

How a host is reached is asked of OpenSSH itself (``ssh -G``), so that ``Include``, ``Match``, jump hosts, identities and known
hosts mean here what they mean at the prompt. Host keys are checked always; there is no switch for it.
"""

from __future__ import annotations

import getpass
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import paramiko

from lpmkit.errors import ConnectionLost, HostKeyRefused, LoginRefused, NoAnswer, RemoteError, Unreachable, UsageError
from lpmkit.log_file import redirect_library_logs
from lpmkit.ssh.batching import batch_line, batch_replies
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply, Transcript, command_line
from lpmkit.timeline import Clock

if TYPE_CHECKING:
    # a probes' process opens sessions and reads no site file
    from lpmkit.config import HostSettings, Site

CONNECT_TIMEOUT_S = 15.0
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a host, as OpenSSH understands its configuration (``ssh -G HOST``)."""

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
        return f"{self.hostname}:{self.port}"


def route(host: str, ssh_config: Path | None = None) -> Route:
    """Ask OpenSSH how ``host`` is reached. Raises `UsageError` when it cannot say."""
    program = shutil.which("ssh")
    if program is None:
        raise UsageError(
            "there is no OpenSSH client on this machine",
            next_step="Install openssh-client: lpmkit asks it how hosts are reached.",
        )
    if ssh_config is not None and not ssh_config.is_file():
        raise UsageError(
            f"there is no ssh config {ssh_config}", where=host, next_step="Correct `ssh_config` in the site file."
        )
    options = ["-F", str(ssh_config)] if ssh_config else []
    answer = subprocess.run(  # noqa: S603 - OpenSSH itself, with a host name as one argument behind "--"
        [program, "-G", *options, "--", host], capture_output=True, text=True, check=False, timeout=30
    )
    if answer.returncode != 0:
        raise UsageError("OpenSSH does not understand its configuration for it", where=host, answered=answer.stderr)
    return read_route(host, answer.stdout, ssh_config)


def read_route(host: str, text: str, ssh_config: Path | None = None) -> Route:
    r"""Read what ``ssh -G`` prints.

    >>> read_route("b", "host b\nuser padmin\nhostname 192.0.2.82\nport 22\nidentityfile ~/.ssh/id\nproxyjump none\n").address
    '192.0.2.82:22'
    """
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value)

    def one(key: str) -> str | None:
        value = values.get(key, ["none"])[0]
        return None if value == "none" else value

    files = " ".join(values.get("userknownhostsfile", []) + values.get("globalknownhostsfile", [])).split()
    jumps = one("proxyjump")
    return Route(
        host=host,
        hostname=one("hostname") or host,
        port=int(one("port") or 22),
        user=one("user") or getpass.getuser(),
        identities=tuple(str(Path(name).expanduser()) for name in values.get("identityfile", [])),
        known_hosts=tuple(str(Path(name).expanduser()) for name in files),
        host_key_alias=one("hostkeyalias"),
        jumps=tuple(jumps.split(",")) if jumps else (),
        proxy_command=one("proxycommand"),
        use_agent=one("identitiesonly") != "yes",
        ssh_config=ssh_config,
    )


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):
    def __init__(self, way: Route) -> None:
        self._way = way

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise HostKeyRefused(
            f"its host key is not known here ({key.get_name()} {key.fingerprint})",
            where=self._way.host,
            next_step=f"Compare the fingerprint with the machine's console, then log in once with `{by_hand(self._way)}` and accept it.",
        )


def by_hand(way: Route) -> str:
    """The command with which a person logs in on the same way."""
    return f"ssh -F {way.ssh_config} {way.host}" if way.ssh_config else f"ssh {way.host}"


def connect(way: Route, password: str | None = None) -> paramiko.SSHClient:
    """Log in. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`, each with what to type next."""
    redirect_library_logs()  # paramiko logs tracebacks of its threads
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_RefuseUnknown(way))
    for name in way.known_hosts:
        if Path(name).is_file():
            client.load_host_keys(name)
    wire = _wire(way)
    named = (
        {"hostname": way.host_key_alias, "port": 22}
        if way.host_key_alias
        else {"hostname": way.hostname, "port": way.port}
    )
    try:
        client.connect(
            **named,  # type: ignore[arg-type] # a str and an int under their own names
            sock=wire,
            username=way.user,
            password=password,
            key_filename=[name for name in way.identities if Path(name).is_file()],  # type: ignore[arg-type] # a list is documented
            allow_agent=way.use_agent,
            look_for_keys=False,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
        )
    except BaseException as error:
        client.close()
        wire.close()
        raise _refusal(way, error) from error
    return client


def _refusal(way: Route, error: BaseException) -> BaseException:
    if isinstance(error, paramiko.BadHostKeyException):
        return HostKeyRefused(
            f"its host key has changed: known is {error.expected_key.fingerprint}, it shows {error.key.fingerprint}",
            where=way.host,
            next_step="Find out why before anything else. If the machine was reinstalled, remove the old key with "
            f"`ssh-keygen -R '{way.host_key_alias or way.hostname}'` and accept the new one with `{by_hand(way)}`.",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return LoginRefused(
            f"it does not let {way.user} in",
            where=way.host,
            answered=str(error),
            next_step=f"Try `{by_hand(way)}`; load the key with ssh-add, or name it as IdentityFile in the ssh configuration.",
        )
    if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
        return Unreachable(
            f"no SSH session at {way.address}: {error or type(error).__name__}",
            where=way.host,
            next_step=f"Try `{by_hand(way)}`.",
        )
    return error


def _wire(way: Route) -> socket.socket | paramiko.Channel | paramiko.ProxyCommand:
    """The bytes' way to the host: a socket, a channel through jump hosts, or a proxy command."""
    try:
        if way.jumps:
            return _through(way)
        if way.proxy_command:
            command = way.proxy_command.replace("%h", way.hostname).replace("%p", str(way.port)).replace("%r", way.user)
            return paramiko.ProxyCommand(command)
        wire = socket.create_connection((way.hostname, way.port), timeout=CONNECT_TIMEOUT_S)
        # Two small writes in a row would wait for a delayed acknowledgement; paramiko never sets this.
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = StampedSocket.around(wire)
    except (OSError, paramiko.SSHException) as error:
        raise Unreachable(
            f"no connection to {way.address}: {error}",
            where=way.host,
            next_step=f"Is it switched on, is the name right, is a firewall between? Try `{by_hand(way)}`.",
        ) from error
    return wire


def _through(way: Route) -> paramiko.Channel:
    *before, last = way.jumps
    name = last.rsplit("@", 1)[-1]
    jump = route(last, way.ssh_config)
    if before and not jump.jumps:
        jump = replace(jump, jumps=tuple(before))
    client = connect(jump)
    transport = client.get_transport()
    if transport is None:
        raise Unreachable(f"the jump host {name} closed the connection", where=way.host)
    channel = transport.open_channel(
        "direct-tcpip", (way.hostname, way.port), ("127.0.0.1", 0), timeout=CONNECT_TIMEOUT_S
    )
    channel.settimeout(CONNECT_TIMEOUT_S)
    # The channel keeps its jump alive: paramiko closes a client that nobody refers to.
    channel.jump_client = client  # type: ignore[attr-defined]
    return channel


@dataclass(eq=False)
class SshSession:
    """A `lpmkit.ssh.session.Session` over SSH: connects when first used, again after a loss, and tells the transcript everything."""

    way: Route
    password: str | None = field(default=None, repr=False)
    transcript: Transcript | None = None
    clock: Clock = field(default_factory=Clock)
    connections: int = 0
    #: Lines that were sent, of one command or many; each is waited for.
    round_trips: int = 0

    def __post_init__(self) -> None:
        self._client: paramiko.SSHClient | None = None
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        return self.way.host

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
                next_step="The command may still be running there; look before you repeat it.",
            ) from trouble
        finally:
            # A command that got no whole answer stands in the transcript too, with what there was of it.
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
        """Run several commands as one line, one after the other, and return what each of them said; ``None`` where that is not certain.

        ``timeout_s`` is for each of them: the line ends early when nothing has come for so long. Each reply has the time in which it came. Raises what `run` raises where
        there is no connection.

        Not certain is what came after a time-out or a lost connection, and, because errors of all of them come on one stream, whose an error was when more
        than one of them may have said it: those are to be asked again, alone.
        """
        self._connected()
        token = "lpmkit-" + token_hex(6)
        began, wall = self.clock.mono_ns(), self.clock.wall_ns()
        output, error = bytearray(), bytearray()
        came: list[tuple[int, int]] = []
        try:
            self._exchange_line(batch_line(commands, token), "", output, error, timeout_s, came)
        except (RemoteError, paramiko.SSHException, OSError, EOFError):
            # What had ended before is certain all the same; the rest is asked again, alone, and says itself what is the matter.
            self.close()
        ended, complaint = batch_replies(_text(output), token), _text(error)
        moments = [began, *_ends(bytes(output), token.encode(), came)]
        suspects = [at for at, (text, status) in enumerate(ended) if status != 0 or not text]
        found: list[Reply | None] = []
        for at, command in enumerate(commands):
            if at >= len(ended) or (complaint and at in suspects and len(suspects) > 1):
                found.append(None)
                continue
            text, status = ended[at]
            own = complaint if at in suspects or not suspects else ""
            since, until = moments[at], moments[at + 1]
            reply = Reply(self.where, command_line(command), status, text, own, "", since, until, wall + since - began)
            found.append(reply)
            if self.transcript:
                self.transcript(reply)
        return found

    def stream(
        self, arguments: Sequence[str], prepare: Callable[[paramiko.Channel], object] | None = None
    ) -> paramiko.Channel:
        """Start a command and hand out its channel; the caller reads, writes and closes it.

        ``prepare`` sees the channel before the command starts, so that it misses nothing of its output.
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
        """Log in, unless it is logged in. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`."""
        self._connected()

    def _connected(self) -> paramiko.SSHClient:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if self._client is None or transport is None or not transport.is_active():
                self._client = connect(self.way, self.password)
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
        came: list[tuple[int, int]] | None = None,
    ) -> int | None:
        channel = self._start(line)
        try:
            if stdin:
                channel.sendall(stdin.encode())
            channel.shutdown_write()
            return self._collect(channel, output, error, timeout_s, line, came)
        finally:
            channel.close()

    def _collect(
        self,
        channel: paramiko.Channel,
        output: bytearray,
        error: bytearray,
        timeout_s: float,
        command: str,
        came: list[tuple[int, int]] | None = None,
    ) -> int | None:
        """Gather until the end. With ``came`` the time runs anew whenever something comes, and how much output there was when is noted in it."""
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        deadline = self.clock.mono_ns() + int(timeout_s * 1e9)
        while True:
            before = len(output) + len(error)
            while channel.recv_ready():
                output += channel.recv(_CHUNK)
            while channel.recv_stderr_ready():
                error += channel.recv_stderr(_CHUNK)
            if came is not None and len(output) + len(error) > before:
                now = self.clock.mono_ns()
                deadline = now + int(timeout_s * 1e9)
                came.append((len(output), now))
            if channel.eof_received and not channel.recv_ready() and not channel.recv_stderr_ready():
                # The exit status may follow the end of file by a moment.
                channel.status_event.wait(5.0)
                return None if channel.exit_status == -1 else channel.exit_status
            if channel.closed and not channel.recv_ready() and not channel.recv_stderr_ready():
                # Output, end of file and close may all have come since the buffers were last looked at.
                return None if channel.exit_status == -1 else channel.exit_status
            left_ms = (deadline - self.clock.mono_ns()) // 1_000_000
            if left_ms <= 0:
                self.close()
                raise NoAnswer(
                    f"no answer within {timeout_s:g} s",
                    where=self.where,
                    asked=command,
                    answered=_text(output + error) or None,
                    next_step="The machine may be busy or hung; look at it, then repeat.",
                )
            poller.poll(min(left_ms, 1000))


def _ends(output: bytes, mark: bytes, came: Sequence[tuple[int, int]]) -> list[int]:
    """When each mark had come, given how much output there was when.

    >>> _ends(b"a x 0 b x 0", b"x", [(3, 100), (11, 200)])
    [100, 200]
    """
    found, at = [], output.find(mark)
    while at >= 0:
        at += len(mark)
        found.append(next(when for size, when in came if size >= at))
        at = output.find(mark, at)
    return found


def _text(content: bytes | bytearray) -> str:
    """Machines of this age speak UTF-8 or ISO-8859-1 and do not say which (A `SNAP`)."""
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
    """The session for one machine of the site. Nothing is sent before it is used."""
    password = (secrets or Secrets()).get(settings.password, settings.host)
    return SshSession(route(settings.host, site.ssh_config), password=password, transcript=transcript)


def reachable(session: SshSession) -> RemoteError | None:
    """Log in and out; ``None`` when that works, else the trouble."""
    try:
        session.connect()
    except RemoteError as error:
        return error
    return None
