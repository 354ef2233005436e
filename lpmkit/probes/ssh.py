"""Probes over an SSH session: ticks sent from inside the partition, and a line that is asked and answered.

The programs that run in the partition are in ``on_host/``, in perl (which every AIX has, with Time::HiRes), python and shell; they travel on the
command line, leave no file, and end with the connection or after a bounded life. Which one a host can run is found by trying.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import paramiko
from paramiko.buffered_pipe import BufferedPipe

from lpmkit.errors import ConnectionLost, LoginRefused, NoAnswer, RemoteError
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.probes.silence import Silence
from lpmkit.ssh.client import SshSession
from lpmkit.ssh.refusals import LogonNotTried
from lpmkit.ssh.rx_timestamps import arrival_of
from lpmkit.ssh.tcp_info import tcp_info
from lpmkit.timeline import Clock, Outcome, Sample

#: A program on the host that nobody hears any more ends by itself.
LIFE_S = 12 * 3600
#: How long a host may take to show the first line.
START_S = 20.0
#: Seconds between two attempts to log in; doubled as long as they fail, up to the second figure.
RECONNECT_S, MAX_RECONNECT_S = 2.0, 16.0
#: So many probes of a process log in at a time: a hundred at once exhaust both sides, run into their time-outs and begin again together.
LOGINS = 6
#: Nobody waits longer than this for those before it, which may be trying hosts that are gone.
LOGIN_TURN_S = 60.0
#: (how it is called, interpreter and option, file in on_host/)
INTERPRETERS = (
    ("perl", ("perl", "-e"), "pl"),
    ("python3", ("python3", "-c"), "python"),
    ("python", ("python", "-c"), "python"),
    ("shell", ("sh", "-c"), "sh"),
)


_logins = threading.BoundedSemaphore(LOGINS)


@contextmanager
def _its_turn() -> Iterator[None]:
    """Let a few log in at a time."""
    held = _logins.acquire(timeout=LOGIN_TURN_S)
    try:
        yield
    finally:
        if held:
            _logins.release()


class Arrivals(BufferedPipe):  # type: ignore[type-arg] # generic in the stubs only
    """A channel's buffer that notes when each piece had reached this machine, in the thread that takes it off the wire.

    A piece is fed as soon as its last byte is read, so the wire's newest stamp is that byte's.
    """

    def __init__(self, wire: Any, clock: Clock) -> None:
        super().__init__()
        self._wire, self._clock = wire, clock
        self._marks: deque[tuple[int, int]] = deque()
        self._fed = 0
        self.kernel = False

    def feed(self, data: Any) -> None:
        arrived = arrival_of(self._wire)
        self.kernel = arrived is not None
        self._fed += len(data)
        self._marks.append((self._fed, self._clock.mono_ns() if arrived is None else arrived))
        super().feed(data)

    def of(self, count: int) -> int:
        """When the first ``count`` bytes of the stream had all arrived. To be asked with rising counts."""
        while self._marks[0][0] < count:
            self._marks.popleft()
        return self._marks[0][1]


class Lines:
    """The lines of a channel as they come, each with the moment of its arrival: the kernel's, where that stamps."""

    def __init__(self, channel: paramiko.Channel, arrivals: Arrivals) -> None:
        self.channel, self.arrivals = channel, arrivals
        self._rest, self._count = b"", 0
        self._poller = select.poll()
        self._poller.register(channel.fileno(), select.POLLIN)

    def wait(self, timeout_s: float) -> list[tuple[int, str]]:
        """The whole lines that came, each after its arrival on the monotonic clock; none when ``timeout_s`` passed in silence.

        Raises `ConnectionLost` at the end of the stream.
        """
        if not self.channel.recv_ready():
            self._poller.poll(max(0.0, timeout_s) * 1000)
        if self.channel.recv_ready():
            *whole, self._rest = (self._rest + self.channel.recv(65536)).split(b"\n")
            return [self._placed(line) for line in whole]
        if self.channel.eof_received or self.channel.closed:
            said = (
                self.channel.recv_stderr(4096).decode("utf-8", "replace").strip()
                if self.channel.recv_stderr_ready()
                else ""
            )
            raise ConnectionLost("the stream from the host ended", answered=said or None)
        return []

    def _placed(self, line: bytes) -> tuple[int, str]:
        self._count += len(line) + 1
        return self.arrivals.of(self._count), line.decode("ascii", "replace")

    @property
    def wire(self) -> Any:
        """What carries the session: a socket of ours, or something that leads through another host."""
        return getattr(self.channel.transport, "sock", None)


class _OverSsh:
    """What both probes share: a session that is opened again when it breaks, and the right program for the host."""

    program: str

    def __init__(
        self, order: ProbeOrder, session: SshSession, clock: Clock | None = None, *, tempo: RateSetting | None = None
    ) -> None:
        self.order = order
        self.session = session
        self._keeping = ProbeRate(order, tempo)
        self.clock = clock or Clock()
        self._how: str | None = None

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set. Trouble is reported and outlived."""
        wait_s = RECONNECT_S
        while not stop.is_set():
            try:
                with self._started(sink) as lines:
                    wait_s = RECONNECT_S
                    self._watch(lines, stop, sink)
            except LoginRefused as error:
                # Final: one more login that fails could lock the account.
                self._broken(sink)
                self._tell_refusal(error, sink)
                stop.wait()
            except (RemoteError, paramiko.SSHException, OSError, EOFError) as error:
                self._broken(sink)
                sink.event(self.order.name, "probe-trouble", what=str(error) or type(error).__name__)
                self.session.close()
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, MAX_RECONNECT_S)
        self._finish(sink)
        self.session.close()

    def _tell_refusal(self, error: LoginRefused, sink: Sink) -> None:
        account = self.session.route.account
        if isinstance(error, LogonNotTried):
            sink.event(self.order.name, "probe-trouble", what=str(error))
            return
        text = f"1 login as {account} was refused and none follows in this run: {error}"
        sink.event(self.order.name, "probe-trouble", what=text, refused={account: str(error)})

    @contextmanager
    def _started(self, sink: Sink) -> Iterator[Lines]:
        refused = []
        for how, command, ending in INTERPRETERS:
            if self._how not in (None, how):
                continue
            lines = self._launch([*command, _source(self.program, ending), *self._arguments(how)])
            channel = lines.channel
            try:
                header = _first_line(lines, self.clock)
            except ConnectionLost as error:
                refused.append(f"{how}: {error.answered or 'ended at once'}")
                channel.close()
                continue
            self._how = how
            self._begin(header)
            self._login = {"remote_pid": int(header[1]), **self._started_at(header), **_ends(lines.wire)}
            sink.event(
                self.order.name,
                "session",
                connection=self.session.connections,
                **self._login,
                how=how,
                host=self.order.host,
                stamps="kernel" if lines.arrivals.kernel else "user",
                **self._told(),
            )
            try:
                yield lines
            finally:
                channel.close()
            return
        raise ConnectionLost("it can run none of our programs", where=self.order.host, answered="; ".join(refused))

    def _launch(self, command: list[str]) -> Lines:
        """Start a program on the host; every byte of its output is stamped."""
        made: list[Arrivals] = []

        def prepare(channel: paramiko.Channel) -> None:
            made.append(Arrivals(getattr(channel.transport, "sock", None), self.clock))
            channel.in_buffer = made[0]

        with _its_turn():
            return Lines(self.session.stream(command, prepare), made[0])

    def _arguments(self, how: str) -> list[str]:
        return []

    def _begin(self, header: list[str]) -> None:
        """The host's program has introduced itself."""

    def _started_at(self, header: list[str]) -> dict[str, int]:
        """Since when the host's program runs, where it says so."""
        return {}

    def _told(self) -> dict[str, Any]:
        """What else the `session` event says."""
        return {}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> None:
        raise NotImplementedError

    def _broken(self, sink: Sink) -> None:
        """The session broke."""

    def _finish(self, sink: Sink) -> None:
        """The probe ends."""


class TickProbe(_OverSsh):
    """Ticks from inside: the partition is the sender, so its first sign of life after a suspension needs nobody's question."""

    program = "ticks"
    _last = 0

    def _arguments(self, how: str) -> list[str]:
        pace = self._keeping.pace
        arguments = [f"{pace.interval_ns / 1e9:g}", f"{pace.batch_ns / 1e9:g}", str(LIFE_S)]
        # `sh -c SOURCE NAME ARGUMENTS`: the first one after the source is the name
        return ["lpmkit", *arguments] if how == "shell" else arguments

    def _begin(self, header: list[str]) -> None:
        self._two_clocks = header[2] == "1"
        self._start, self._apart, self._period = int(header[3]), int(header[4]), int(header[5])
        self._timer = int(header[6])
        self._base = self._last

    def _told(self) -> dict[str, Any]:
        """The period that is kept: what was wished for, or what the host's timer can do where that is slower."""
        return {"interval_ns": self._period, "wished_ns": self._keeping.interval_ns, "timer_ns": self._timer}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> None:
        self._keeping.tell(sink, self._last + 1, self.clock.mono_ns(), self._period)
        while not stop.is_set():
            # a shell's ticks come once a second whatever is asked for
            if self._keeping.follow() and self._how != "shell":
                pace = self._keeping.pace
                lines.channel.sendall(b"%.9f %.9f\n" % (pace.interval_ns / 1e9, pace.batch_ns / 1e9))
            for arrived, text in lines.wait(0.5):
                if text.startswith("lpmkit-pace "):
                    self._turn(text.split(), arrived, sink)
                else:
                    sink.sample(self.order.name, self._tick(text, arrived))

    def _turn(self, said: list[str], arrived: int, sink: Sink) -> None:
        """The host has taken up another period; its numbers begin anew."""
        self._start, self._period = int(said[1]), int(said[2])
        self._base = self._last
        self._keeping.tell(sink, self._last + 1, arrived, self._period)

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
    """A line every interval, sent when it is due whether or not the last one was answered."""

    program = "echo"

    def __init__(
        self, order: ProbeOrder, session: SshSession, clock: Clock | None = None, *, tempo: RateSetting | None = None
    ) -> None:
        super().__init__(order, session, clock, tempo=tempo)
        self._seq = 0
        self._open: dict[int, tuple[int, int]] = {}

    def _arguments(self, how: str) -> list[str]:
        return ["lpmkit"] if how == "shell" else []

    def _begin(self, header: list[str]) -> None:
        self._two_clocks = header[2] == "1"
        self._stamped = self._how != "shell"

    def _started_at(self, header: list[str]) -> dict[str, int]:
        return {"remote_started": int(header[3])}

    def _watch(self, lines: Lines, stop: threading.Event, sink: Sink) -> None:
        due = self.clock.mono_ns()
        self._keeping.tell(sink, self._seq + 1, due)
        silence = Silence(self.clock, lines.wire)
        while not stop.is_set():
            now = self.clock.mono_ns()
            interval = self._keeping.interval_ns
            if self._keeping.follow():
                due = self._keeping.next_due(due, interval, now)
                self._keeping.tell(sink, self._seq + 1, due)
            while due <= now:
                self._seq += 1
                self._open[self._seq] = (due, self.clock.mono_ns())
                lines.channel.sendall(b"%d\n" % self._seq)
                due += self._keeping.interval_ns
            oldest = next(iter(self._open.values()), None)
            longest_s = silence.look(oldest[1] if oldest else None)
            for arrived, text in lines.wait(min(longest_s, (due - now) / 1e9)):
                if text.startswith("lpmkit-"):
                    self._same_login(text.split(), lines, sink)
                    continue
                if told := silence.ended(arrived):
                    sink.event(self.order.name, "tcp", **told)
                    # who answers now? the answer goes into the record beside who answered before
                    lines.channel.sendall(b"?\n")
                self._answer(text, arrived, sink)

    def _same_login(self, header: list[str], lines: Lines, sink: Sink) -> None:
        now = {"remote_pid": int(header[1]), **self._started_at(header), **_ends(lines.wire)}
        sink.event(self.order.name, "login", connection=self.session.connections, same=now == self._login, **now)

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
        for seq, (due, sent) in self._open.items():
            sink.sample(self.order.name, Sample(seq=seq, due_ns=due, sent_ns=sent, outcome=outcome, detail=why))
        self._open.clear()


def _ends(wire: Any) -> dict[str, Any]:
    """Both ends of our connection to the host, and whether its TCP can be looked into; nothing of one that leads through another host."""
    if tcp_info(wire) is None:
        return {"tcp": "not looked at: not Linux, or the session goes through another host"}
    here, there = wire.getsockname(), wire.getpeername()
    return {"local_address": f"{here[0]} {here[1]}", "remote_address": f"{there[0]} {there[1]}", "tcp": "looked at"}


def _first_line(lines: Lines, clock: Clock) -> list[str]:
    deadline = clock.mono_ns() + int(START_S * 1e9)
    while clock.mono_ns() < deadline:
        came = lines.wait(1.0)
        if came:
            words = came[0][1].split()
            if words and words[0].startswith("lpmkit-"):
                return words
            raise ConnectionLost("something else spoke first", answered=came[0][1])
    raise NoAnswer(f"the host did not start the probe within {START_S:g} s")


def _source(program: str, ending: str) -> str:
    """A program's text without its comment lines."""
    text = files("lpmkit.probes").joinpath(f"on_host/{program}.{ending}").read_text(encoding="ascii")
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
