"""Sessions over real SSH.

Routes come from OpenSSH itself (``ssh -G``), so ``Include``, ``Match``, jump hosts, identities and known hosts mean the
same here as at the prompt. Host keys are always checked; there is no switch for it.
"""

from __future__ import annotations

import select
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, NoReturn

import paramiko

from lpmkit.errors import ConnectionLost, NoAnswer, RemoteError
from lpmkit.ssh.batching import batch_line, batch_replies
from lpmkit.ssh.connection import SshConnection, connect
from lpmkit.ssh.greeting import Greeting, greeting, without_notice
from lpmkit.ssh.login_texts import session_trouble
from lpmkit.ssh.mux import MuxRefused
from lpmkit.ssh.route import Route, by_hand, route
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply, Transcript, command_line
from lpmkit.timeline import Clock

if TYPE_CHECKING:
    # a probes' process opens sessions and reads no site file
    from lpmkit.config import HostSettings, Site

_CHUNK = 65536
#: Maximum size of a reply; a longer one is cut off. The longest listing of a frame with a thousand partitions has some
#: megabytes.
MAX_REPLY_BYTES = 32 * 1024 * 1024
#: Time limit of a line of many commands, in time limits of one.
BATCH_TIMEOUTS = 30
#: Characters of a host's notice that the record shows.
_SHOWN_NOTICE = 200
#: Seconds for a new connection's first word.
GREETING_S = 20.0
#: Bytes of a reply that an error message shows.
_SHOWN_BYTES = 2000


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
    #: Transport, algorithms and login of the newest connection; empty before the first.
    over: str = ""

    def __post_init__(self) -> None:
        self._connection: SshConnection | None = None
        self._unsaid = ""
        self._greeting = Greeting()
        #: Echoed before each command of a host that prints a notice; empty for others.
        self._word = ""
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
        except (paramiko.ChannelException, MuxRefused) as trouble:
            self.close()
            raise ConnectionLost(
                f"it opened no session for the command: {trouble}",
                where=self.where,
                asked=command,
                next_step="The command was not started. The host may limit its sessions (MaxSessions).",
            ) from trouble
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
                output=without_notice(_text(output), self._word) if self._word else _text(output),
                error=self._own_error(error),
                stdin=stdin,
                began_ns=began,
                ended_ns=self.clock.mono_ns(),
                wall_ns=wall,
                over=self._over(),
            )
            if self.transcript:
                self.transcript(reply)
        if status is None:
            self.close()
        if status != 0:
            refusal = session_trouble(reply.text, self.where, self.route.user)
            if refusal is not None:
                raise refusal
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
        text = without_notice(_text(output), self._word) if self._word else _text(output)
        completed, errors = batch_replies(text, token), self._own_error(error)
        if len(completed) > len(commands):
            completed = []  # nobody knows which answer belongs to which command
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
                self.where, command_line(command), status, text, own_error, "", since, until, wall + since - began,
                self._over(),
            )  # fmt: skip
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
        connection = self._connected()
        self.round_trips += 1
        return connection.start(f"echo {self._word}; {line}" if self._word and prepare is None else line, prepare)

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def connect(self) -> None:
        """Log in unless connected. Raises `Unreachable`, `HostKeyRefused` or `LoginRefused`."""
        self._connected()

    def _greet(self, connection: SshConnection, timeout_s: float) -> None:
        """Learn the notices of a new connection. Raises `LoginRefused` if it answers with a trouble of the account."""
        word = "lpmkit-" + token_hex(6)
        self._greeting = greeting(connection, word, min(timeout_s, GREETING_S))
        self._word = word if self._greeting.notice else ""
        refusal = session_trouble(self._greeting.text, self.where, self.route.user)
        if refusal is not None:
            self._connection = None
            connection.close()
            raise refusal

    def _connected(self, timeout_s: float = GREETING_S) -> SshConnection:
        with self._lock:
            if self._connection is not None and not self._connection.is_active():
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = connect(self.route, self.password)
                self.connections += 1
                self._greet(self._connection, timeout_s)
                facts = {**self._connection.facts, "notice": self._greeting.notice.strip()[:_SHOWN_NOTICE]}
                self.over = self._unsaid = "; ".join(f"{name}: {value}" for name, value in facts.items() if value)
            return self._connection

    def _own_error(self, error: bytearray) -> str:
        """Standard error without the notice that every command brings."""
        return _text(error).removeprefix(self._greeting.error)

    def _over(self) -> str:
        """Transport, algorithms and login of a new connection, for its first reply; empty for the others."""
        unsaid, self._unsaid = self._unsaid, ""
        return unsaid

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
        self._connected(timeout_s)
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
    ends, position, sizes = [], output.find(mark), [size for size, _ in came]
    while position >= 0:
        position += len(mark)
        ends.append(came[bisect_left(sizes, position)][1])
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


__all__ = ["Route", "SshSession", "by_hand", "open_session", "reachable", "route"]
