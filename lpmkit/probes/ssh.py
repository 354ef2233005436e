"""Probes over an SSH session: ticks from inside the partition, and lines sent and returned.

The programs that run in the partition are in ``on_host/``, in perl (which every AIX has, with Time::HiRes), python and
shell; they are passed on the command line, leave no file, and end with the connection or after a limited time. The
interpreter of a host is found by trying.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import paramiko
from paramiko.buffered_pipe import BufferedPipe

from lpmkit.errors import ConnectionLost, LoginRefused, NoAnswer, RemoteError
from lpmkit.json_values import JsonObject
from lpmkit.probes.acks import Ended, FollowedSession, SentQuestions
from lpmkit.probes.loop import Aside, Turning, Turns, Wait, rested
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.probes.silence import Silence
from lpmkit.ssh.client import SshSession
from lpmkit.ssh.paramiko_login import Transport
from lpmkit.ssh.refusals import LogonNotTried
from lpmkit.ssh.rx_timestamps import arrival_of
from lpmkit.ssh.tcp_info import tcp_info
from lpmkit.timeline import Clock, Outcome, Sample

#: Lifetime of a program on the host, in case its connection is lost unnoticed.
LIFE_S = 12 * 3600
#: Time limit of a host's first line.
START_S = 20.0
#: Seconds between two attempts to log in; doubled as long as they fail, up to the second figure.
RECONNECT_S, MAX_RECONNECT_S = 2.0, 16.0
#: Seconds until a question that could not be sent is tried again.
BLOCKED_S = 0.01
#: Concurrent logins of a process: a hundred at once exhaust both sides, run into time-outs and retry together.
LOGINS = 6
#: Maximum wait for earlier logins, which may be trying dead hosts.
LOGIN_TURN_S = 60.0
#: Seconds between two looks whether paramiko's thread is done with what it was given back.
THREAD_S = 0.02
#: Name, interpreter with option, and suffix of the program in on_host/.
INTERPRETERS = (
    ("perl", ("perl", "-e"), "pl"),
    ("python3", ("python3", "-c"), "python"),
    ("python", ("python", "-c"), "python"),
    ("shell", ("sh", "-c"), "sh"),
)


_logins = threading.BoundedSemaphore(LOGINS)


@contextmanager
def _its_turn() -> Iterator[None]:
    """Limit concurrent logins."""
    acquired = _logins.acquire(timeout=LOGIN_TURN_S)
    try:
        yield
    finally:
        if acquired:
            _logins.release()


class Arrivals(BufferedPipe):  # type: ignore[type-arg] # generic in the stubs only
    """A channel's buffer that records the arrival of each piece, in the thread that reads it from the transport.

    A piece is fed as soon as its last byte is read, so the transport's newest stamp is that byte's.
    """

    def __init__(self, wire: Any, clock: Clock) -> None:
        super().__init__()
        self._wire, self._clock = wire, clock
        self._marks: deque[tuple[int, int]] = deque()
        self._fed = 0
        self.kernel = False

    def feed(self, data: Any) -> None:
        """Add a piece with its arrival."""
        arrived = arrival_of(self._wire)
        self.kernel = arrived is not None
        self._fed += len(data)
        self._marks.append((self._fed, self._clock.mono_ns() if arrived is None else arrived))
        super().feed(data)

    def wait(self, timeout_s: float) -> None:
        """Wait until something is here, or the end, at most so long."""
        with self._lock:  # type: ignore[attr-defined] # paramiko's own, as the other two
            if not self._buffer and not self._closed:  # type: ignore[attr-defined]
                self._cv.wait(timeout_s)  # type: ignore[attr-defined]

    def of(self, count: int) -> int:
        """Arrival of the first ``count`` bytes of the stream. Call it with rising counts."""
        while self._marks[0][0] < count:
            self._marks.popleft()
        return self._marks[0][1]


#: Maximum length of a line; the programs' own have some dozen characters, and a notice of the host has its own lines.
MAX_LINE_BYTES = 256 * 1024


class Lines:
    """The lines of a channel, each with its arrival: the kernel's stamp if available."""

    def __init__(self, channel: paramiko.Channel, arrivals: Arrivals) -> None:
        self.channel, self.arrivals = channel, arrivals
        self._rest, self._count = b"", 0
        self._put_back: list[tuple[int, str]] = []
        transport = getattr(channel, "transport", None)
        self._turned = transport if isinstance(transport, Transport) and transport.turned is not None else None

    def hand_over(self) -> None:
        """Read the connection in the turns of `next` from now on, where its transport can. Blocks for a moment."""
        if self._turned is not None and self._turned.turned is not None:
            self._turned.turned.hand_over()

    def wait(self, timeout_s: float) -> list[tuple[int, str]]:
        """New complete lines, each after its arrival on the monotonic clock; empty after ``timeout_s`` without a line.

        Blocks. Raises `ConnectionLost` at the end of the stream.
        """
        if not self._put_back and not self.channel.recv_ready():
            self.arrivals.wait(max(0.0, timeout_s))
        return self.taken()

    def next(self, timeout_s: float) -> Generator[Wait | Aside, Any, list[tuple[int, str]]]:
        """The same as `wait`, as turns of a loop."""
        if self._put_back or self.channel.recv_ready():
            yield Wait(0.0)
        elif self._turned is None:
            yield Wait(timeout_s, self.channel)
        else:
            packets = self._turned.turned
            if packets is not None and packets.is_handed_over:
                yield Wait(timeout_s, packets.wire)
            else:
                # paramiko's thread is busy with something else than the channel, or at its end
                yield Wait(min(timeout_s, THREAD_S))
            self._turned.take_turn()
        return self.taken()

    def taken(self) -> list[tuple[int, str]]:
        """The complete lines that are here. Raises `ConnectionLost` at the end of the stream."""
        if self._put_back:
            lines, self._put_back = self._put_back, []
            return lines
        if self.channel.recv_ready():
            *complete, self._rest = (self._rest + self.channel.recv(65536)).split(b"\n")
            if len(self._rest) > MAX_LINE_BYTES:
                raise ConnectionLost("the host sends a line without end", answered=repr(self._rest[:80]))
            return [self._placed(line) for line in complete]
        if self.channel.eof_received or self.channel.closed:
            errors = (
                self.channel.recv_stderr(4096).decode("utf-8", "replace").strip()
                if self.channel.recv_stderr_ready()
                else ""
            )
            raise ConnectionLost("the stream from the host ended", answered=errors or None)
        return []

    def put_back(self, lines: list[tuple[int, str]]) -> None:
        """Let the next `wait` return these lines."""
        self._put_back = lines

    def _placed(self, line: bytes) -> tuple[int, str]:
        self._count += len(line) + 1
        return self.arrivals.of(self._count), line.decode("ascii", "replace")

    def can_send(self) -> bool:
        """True if a line goes out without waiting: for room at the host, a change of keys, or the kernel's buffer."""
        return _can_send(self.channel)

    @property
    def wire(self) -> Any:
        """The transport of the session: a socket of ours, or a channel through another host."""
        return getattr(self.channel.transport, "sock", None)


def _can_send(channel: paramiko.Channel) -> bool:
    transport: Any = channel.transport
    may_send = getattr(transport, "clear_to_send", None)
    if not channel.send_ready() or (may_send is not None and not may_send.is_set()):
        return False
    wire = getattr(transport, "sock", None)
    if isinstance(wire, paramiko.Channel):
        return _can_send(wire)
    if not isinstance(wire, socket.socket):
        return True
    poller = select.poll()
    poller.register(wire, select.POLLOUT)
    return bool(poller.poll(0))


#: Odd lines of a host that are recorded, so that a flood of them does not fill the record.
MAX_ODD_LINES = 20


class _OverSsh(Turning):
    """Base of both probes: a session that is reopened after a loss, and the interpreter for the host."""

    program: str

    def __init__(
        self, order: ProbeOrder, session: SshSession, clock: Clock | None = None, *, setting: RateSetting | None = None
    ) -> None:
        self.order = order
        self.session = session
        self._rate = ProbeRate(order, setting)
        self.clock = clock or Clock()
        self._how: str | None = None
        self._odd_lines = 0

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Probe until ``stop`` is set. Errors are reported and retried."""
        wait_s = RECONNECT_S
        while not stop.is_set():
            try:
                lines = yield Aside(lambda: self._started(sink))
                wait_s = RECONNECT_S
                yield from self._watch(lines, stop, sink)
            except LoginRefused as error:
                # Final: one more login that fails could lock the account.
                self._broken(sink)
                self._tell_refusal(error, sink)
                yield from rested(stop)
            except (RemoteError, paramiko.SSHException, OSError, EOFError) as error:
                self._broken(sink)
                sink.event(self.order.name, "probe-trouble", what=str(error) or type(error).__name__)
                yield Aside(self.session.close)
                yield from rested(stop, wait_s)
                wait_s = min(2 * wait_s, MAX_RECONNECT_S)
        self._finish(sink)
        yield Aside(self.session.close)

    def _tell_refusal(self, error: LoginRefused, sink: Sink) -> None:
        account = self.session.route.account
        if isinstance(error, LogonNotTried):
            sink.event(self.order.name, "probe-trouble", what=str(error))
            return
        text = f"1 login as {account} was refused and none follows in this run: {error}"
        sink.event(self.order.name, "probe-trouble", what=text, refused={account: str(error)})

    def _started(self, sink: Sink) -> Lines:
        """Log in and start the program on the host. Blocks."""
        refused = []
        for interpreter, command, ending in INTERPRETERS:
            if self._how not in (None, interpreter):
                continue
            lines = self._launch([*command, _source(self.program, ending), *self._arguments(interpreter)])
            channel = lines.channel
            try:
                header = _first_line(lines, self.clock)
            except ConnectionLost as error:
                refused.append(f"{interpreter}: {error.answered or 'ended at once'}")
                channel.close()
                continue
            self._how = interpreter
            self._begin(header)
            self._login = {"remote_pid": int(header[1]), **self._started_at(header), **_ends(lines.wire)}
            sink.event(
                self.order.name,
                "session",
                connection=self.session.connections,
                **self._login,
                how=interpreter,
                host=self.order.host,
                stamps="kernel" if lines.arrivals.kernel else "user",
                over=self.session.over,
                **self._told(),
            )
            lines.hand_over()
            return lines
        raise ConnectionLost("it has no interpreter for the probe", where=self.order.host, answered="; ".join(refused))

    def _launch(self, command: list[str]) -> Lines:
        """Start a program on the host; every byte of its output is stamped."""
        arrivals: list[Arrivals] = []

        def prepare(channel: paramiko.Channel) -> None:
            """Replace the channel's buffer before the command starts."""
            arrivals.append(Arrivals(getattr(channel.transport, "sock", None), self.clock))
            channel.in_buffer = arrivals[0]

        with _its_turn():
            return Lines(self.session.stream(command, prepare), arrivals[0])

    def _arguments(self, how: str) -> list[str]:
        return []

    def _begin(self, header: list[str]) -> None:
        """Called with the first line of the host's program."""

    def _started_at(self, header: list[str]) -> dict[str, int]:
        """Start time of the host's program, if it reports one."""
        return {}

    def _told(self) -> JsonObject:
        """Further fields of the `session` event."""
        return {}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> Turns:
        raise NotImplementedError

    def _note_odd_line(self, text: str, sink: Sink) -> None:
        """Record a line that the host's program cannot have meant, such as one with a NUL in it, and go on without it.

        A host in trouble may send many: the first `MAX_ODD_LINES` are recorded.
        """
        self._odd_lines += 1
        if self._odd_lines <= MAX_ODD_LINES:
            sink.event(self.order.name, "probe-trouble", what=f"a line that is none of the probe's: {text[:80]!r}")

    def _broken(self, sink: Sink) -> None:
        """Called when the session broke."""

    def _finish(self, sink: Sink) -> None:
        """Called when the probe ends."""


class TickProbe(_OverSsh):
    """Ticks from inside: the partition is the sender, so its first heartbeat after a suspension needs no request."""

    program = "ticks"
    _last = 0

    def _arguments(self, how: str) -> list[str]:
        pace = self._rate.pace
        arguments = [f"{pace.interval_ns / 1e9:g}", f"{pace.batch_ns / 1e9:g}", str(LIFE_S)]
        # `sh -c SOURCE NAME ARGUMENTS`: the first one after the source is the name
        return ["lpmkit", *arguments] if how == "shell" else arguments

    def _begin(self, header: list[str]) -> None:
        self._two_clocks = header[2] == "1"
        self._start, self._apart, self._period = int(header[3]), int(header[4]), int(header[5])
        self._timer = int(header[6])
        self._base = self._last

    def _told(self) -> JsonObject:
        """The actual period: the requested one, or the resolution of the host's timer if that is slower."""
        return {"interval_ns": self._period, "wished_ns": self._rate.interval_ns, "timer_ns": self._timer}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> Turns:
        self._rate.tell(sink, self._last + 1, self.clock.mono_ns(), self._period)
        while not stop.is_set():
            # A shell ticks once a second at any rate.
            if lines.can_send() and self._rate.follow() and self._how != "shell":
                pace = self._rate.pace
                lines.channel.sendall(b"%.9f %.9f\n" % (pace.interval_ns / 1e9, pace.batch_ns / 1e9))
            for arrived, text in (yield from lines.next(0.5)):
                try:
                    if text.startswith("lpmkit-pace "):
                        self._turn(text.split(), arrived, sink)
                    else:
                        sink.sample(self.order.name, self._tick(text, arrived))
                except (ValueError, IndexError):
                    self._note_odd_line(text, sink)

    def _turn(self, header: list[str], arrived: int, sink: Sink) -> None:
        """The host has changed to another period; its numbers restart."""
        self._start, self._period = int(header[1]), int(header[2])
        self._base = self._last
        self._rate.tell(sink, self._last + 1, arrived, self._period)

    def _tick(self, text: str, arrived: int) -> Sample:
        number, late, drift = (int(word) for word in text.split())
        due = self._start + number * self._period
        self._last = self._base + number
        return Sample(
            seq=self._last,
            answered_ns=arrived,
            remote_due_ns=due,
            remote_mono_ns=due + late if self._two_clocks else None,
            remote_wall_ns=due + late + self._apart + drift,
        )


class EchoProbe(_OverSsh):
    """Sends a line at each interval, independent of earlier replies."""

    program = "echo"

    def __init__(
        self,
        order: ProbeOrder,
        session: SshSession,
        clock: Clock | None = None,
        *,
        setting: RateSetting | None = None,
        questions: SentQuestions | None = None,
    ) -> None:
        """``questions`` takes what is sent to the probe of its acknowledgements, if there is one."""
        super().__init__(order, session, clock, setting=setting)
        self._questions = questions or SentQuestions()
        self._seq = 0
        self._open: dict[int, tuple[int, int]] = {}

    def _arguments(self, how: str) -> list[str]:
        return ["lpmkit"] if how == "shell" else []

    def _begin(self, header: list[str]) -> None:
        self._two_clocks = header[2] == "1"
        self._stamped = self._how != "shell"

    def _started_at(self, header: list[str]) -> dict[str, int]:
        return {"remote_started": int(header[3])}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> Turns:
        due = self.clock.mono_ns()
        self._rate.tell(sink, self._seq + 1, due)
        silence = Silence(self.clock, lines.wire)
        followed = FollowedSession(lines.wire, self._questions)
        while not stop.is_set():
            now = self.clock.mono_ns()
            interval = self._rate.interval_ns
            if self._rate.follow():
                due = self._rate.next_due(due, interval, now)
                self._rate.tell(sink, self._seq + 1, due)
            while due <= now and lines.can_send():
                self._seq += 1
                is_followed, sent = followed.before(), self.clock.mono_ns()
                self._open[self._seq] = (due, sent)
                lines.channel.sendall(b"%d\n" % self._seq)
                if is_followed:
                    followed.sent(self._seq, due, sent)
                due += self._rate.interval_ns
            oldest = next(iter(self._open.values()), None)
            longest_s = silence.look(oldest[1] if oldest else None)
            until_due_s = (due - self.clock.mono_ns()) / 1e9 if due > now else BLOCKED_S
            for arrived, text in (yield from lines.next(min(longest_s, until_due_s))):
                if text.startswith("lpmkit-"):
                    try:
                        self._same_login(text.split(), lines, sink)
                    except (ValueError, IndexError):
                        self._note_odd_line(text, sink)
                    continue
                if tcp_data := silence.ended(arrived):
                    sink.event(self.order.name, "tcp", **tcp_data)
                    # Record the identity of the replying program beside the earlier one.
                    lines.channel.sendall(b"?\n")
                try:
                    self._answer(text, arrived, sink)
                except (ValueError, KeyError):
                    self._note_odd_line(text, sink)

    def _same_login(self, header: list[str], lines: Lines, sink: Sink) -> None:
        login = {"remote_pid": int(header[1]), **self._started_at(header), **_ends(lines.wire)}
        sink.event(self.order.name, "login", connection=self.session.connections, same=login == self._login, **login)

    def _answer(self, text: str, arrived: int, sink: Sink) -> None:
        seq, mono, wall = (int(word) for word in text.split())
        due, sent = self._open.pop(seq)
        sink.sample(
            self.order.name,
            Sample(
                seq=seq,
                due_ns=due,
                sent_ns=sent,
                answered_ns=arrived,
                remote_mono_ns=mono if self._two_clocks else None,
                remote_wall_ns=wall if self._stamped else None,
            ),
        )

    def _broken(self, sink: Sink) -> None:
        self._give_up(sink, Outcome.LOST, "the session broke")

    def _finish(self, sink: Sink) -> None:
        self._give_up(sink, Outcome.SILENT, "unanswered when the probe ended")

    def _give_up(self, sink: Sink, outcome: Outcome, why: str) -> None:
        self._questions.tell(Ended(outcome, why))
        for seq, (due, sent) in self._open.items():
            sink.sample(self.order.name, Sample(seq=seq, due_ns=due, sent_ns=sent, outcome=outcome, detail=why))
        self._open.clear()


def _ends(wire: Any) -> JsonObject:
    """Both ends of our connection to the host, and the availability of TCP data; no ends through another host."""
    if tcp_info(wire) is None:
        return {"tcp": "not looked at: not Linux, or the session goes through another host"}
    local, remote = wire.getsockname(), wire.getpeername()
    return {"local_address": f"{local[0]} {local[1]}", "remote_address": f"{remote[0]} {remote[1]}", "tcp": "looked at"}


def _first_line(lines: Lines, clock: Clock) -> list[str]:
    deadline = clock.mono_ns() + int(START_S * 1e9)
    while clock.mono_ns() < deadline:
        received = lines.wait(1.0)
        for number, (_, text) in enumerate(received, start=1):
            words = text.split()
            if words and words[0].startswith("lpmkit-"):
                lines.put_back(received[number:])
                return words
            # A notice of the host's login scripts comes before the program's own words.
    raise NoAnswer(f"the host did not start the probe within {START_S:g} s")


def _source(program: str, ending: str) -> str:
    """A program's text without comment lines."""
    text = files("lpmkit.probes").joinpath(f"on_host/{program}.{ending}").read_text(encoding="ascii")
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
