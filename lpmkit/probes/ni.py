"""A connection to a SAP dispatcher that stays open, like a SAP GUI session (`PYSAP`).

NI, the framing of all SAP protocols, has a ping that any peer answers between messages: no logon, no licence, no dialog
process. The dispatcher's process answers, not its kernel. A connection that had to be reopened is one that logged-in
users would have lost. Pings of the peer are answered, as a SAP GUI does.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
from collections import deque
from functools import partial
from typing import Any

from lpmkit.probes.loop import Aside, Turning, Turns, Wait
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.ssh.client import Route
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.timeline import Clock, Outcome, Sample, TroubleCode

PING, PONG = b"NI_PING\0", b"NI_PONG\0"
#: Maximum length of a frame; no reply to a ping is longer.
LONGEST_FRAME = 1 << 20
#: Time limit of a new connection until it is tried again.
CONNECT_TIMEOUT_NS = 3_000_000_000
#: Delay of the next attempt after a lost or refused connection.
RETRY_NS = 500_000_000


def frame(payload: bytes) -> bytes:
    r"""A payload with its length in front.

    >>> frame(PING)
    b'\x00\x00\x00\x08NI_PING\x00'
    """
    return len(payload).to_bytes(4, "big") + payload


class Frames:
    """Splits received bytes into complete payloads."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, content: bytes) -> list[bytes]:
        """Add bytes and return the payloads completed by them. Raises `ValueError` for a length that no SAP program
        sends.

        """
        self._rest += content
        payloads = []
        while len(self._rest) >= 4:
            length = int.from_bytes(self._rest[:4], "big")
            if length > LONGEST_FRAME:
                raise ValueError(f"a frame of {length} bytes: this is no SAP dispatcher")
            if len(self._rest) < 4 + length:
                break
            payloads.append(bytes(self._rest[4 : 4 + length]))
            del self._rest[: 4 + length]
        return payloads


class NiProbe(Turning):
    """Pings the dispatcher at each interval, independent of earlier replies, over one connection for as long as it
    lives.

    """

    def __init__(
        self, order: ProbeOrder, target: Route | None, clock: Clock | None = None, *, setting: RateSetting | None = None
    ) -> None:
        self.order = order
        self.clock = clock or Clock()
        self._target = target
        self._address = (
            str(order.options.get("address") or (target.hostname if target else "")),
            int(order.options["port"]),
        )
        self._selector = selectors.DefaultSelector()
        self._wire: socket.socket | None = None
        self._connected = False
        self._since = 0
        self._next_try = 0
        self._frames = Frames()
        self._unsent = bytearray()
        self._asked: deque[tuple[int, int, int]] = deque()
        self._rate = ProbeRate(order, setting)
        self._seq = 0
        self._connections = 0
        self._found: Any = None
        self._why = ""

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Probe until ``stop`` is set."""
        if (
            self._target is not None
            and (self._target.jumps or self._target.proxy_command)
            and not self.order.options.get("address")
        ):
            what = (
                "not looked at: the host is reached through a jump host, "
                "so this host has no TCP path of its own to its dispatcher"
            )
            sink.event(self.order.name, "probe-trouble", what=what, code=TroubleCode.BY_DESIGN.value)
            return
        # The first ping is due when there has been time to connect.
        due = self.clock.mono_ns() + self.order.interval_ns
        self._rate.tell(sink, 1, due)
        while not stop.is_set():
            now = self.clock.mono_ns()
            earlier_ns = self._rate.interval_ns
            if self._rate.follow():
                due = self._rate.next_due(due, earlier_ns, now)
                self._rate.tell(sink, self._seq + 1, due)
            if self._wire is None and now >= self._next_try:
                yield from self._open(sink)
            while due <= now:
                self._ask(due, sink)
                due += self._rate.interval_ns
            reading = None if self._wire is None else self._selector
            if (yield Wait(min(0.25, (due - self.clock.mono_ns()) / 1e9), reading)):
                self._listen(sink)
            if self._wire is not None and not self._connected and now - self._since > CONNECT_TIMEOUT_NS:
                self._lose(sink, "the connection was not accepted in time")
        self._give_up(sink, Outcome.SILENT, "unanswered when the probe ended")
        if self._wire is not None:
            self._selector.unregister(self._wire)
            self._wire.close()
        self._selector.close()

    # -- the connection ---------------------------------------------------------------------------------------------

    def _open(self, sink: Sink) -> Turns:
        self._since = self.clock.mono_ns()
        try:
            # Resolved once: during a suspension the name server may be silent too.
            if self._found is None:
                look_up = partial(socket.getaddrinfo, *self._address, type=socket.SOCK_STREAM)
                self._found = (yield Aside(look_up))[0]
            family = self._found
            wire = StampedSocket.around(socket.socket(family[0], socket.SOCK_STREAM), self.clock)
            wire.setblocking(False)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            error = wire.connect_ex(family[4])
        except OSError as trouble:
            self._refused(sink, trouble.strerror or str(trouble))
            return
        if error not in (0, errno.EINPROGRESS, errno.EAGAIN):
            wire.close()
            self._refused(sink, f"error {errno.errorcode.get(error, error)}")
            return
        self._wire, self._frames = wire, Frames()
        self._unsent.clear()
        self._selector.register(wire, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _accepted(self, sink: Sink) -> None:
        self._connected = True
        self._connections += 1
        sink.event(
            self.order.name,
            "ni-connection",
            connection=self._connections,
            address=f"{self._address[0]}:{self._address[1]}",
            why=self._why,
        )
        self._why = ""

    def _refused(self, sink: Sink, why: str) -> None:
        if not self._why:
            what = f"no connection to the dispatcher at {self._address[0]}:{self._address[1]}: {why}"
            if not self._connections and "REFUSED" in why.upper():
                what += "; an instance of central services has none: name those that have one in `dispatchers:`"
            sink.event(self.order.name, "probe-trouble", what=what)
        self._why = self._why or why
        self._next_try = self.clock.mono_ns() + RETRY_NS

    def _lose(self, sink: Sink, why: str) -> None:
        """The connection is lost: fail its pending pings and schedule another one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._selector.unregister(wire)
            wire.close()
        was_connected, self._connected = self._connected, False
        self._give_up(sink, Outcome.LOST if was_connected else Outcome.REFUSED, why)
        if was_connected:
            self._why = why
            sink.event(self.order.name, "ni-lost", connection=self._connections, why=why)
            self._next_try = self.clock.mono_ns() + RETRY_NS
        else:
            self._refused(sink, why)

    # -- pings and replies -----------------------------------------------------------------------------------------

    def _ask(self, due: int, sink: Sink) -> None:
        self._seq += 1
        sent = self.clock.mono_ns()
        if not self._connected:
            outcome = Outcome.REFUSED if self._connections == 0 or self._why else Outcome.SILENT
            sink.sample(
                self.order.name, Sample(self._seq, due, sent, outcome=outcome, detail=self._why or "not connected")
            )
            return
        self._asked.append((self._seq, due, sent))
        self._send(frame(PING), sink)

    def _send(self, content: bytes, sink: Sink) -> None:
        """Send as much as possible now; the rest follows in order when the kernel has room."""
        self._unsent += content
        if self._wire is None:
            return
        try:
            while self._unsent:
                del self._unsent[: self._wire.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass  # its buffer is full: the selector reports when there is room
        except OSError as error:
            self._lose(sink, error.strerror or str(error))
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._wire, events)

    def _listen(self, sink: Sink) -> None:
        for _, events in self._selector.select(0):
            wire = self._wire
            if wire is None:
                return
            if not self._connected:
                error = wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    self._lose(sink, f"{errno.errorcode.get(error, error)}")
                    return
                self._accepted(sink)
                self._send(b"", sink)
            elif events & selectors.EVENT_WRITE:
                self._send(b"", sink)
            if events & selectors.EVENT_READ and self._wire is not None:
                self._read(wire, sink)

    def _read(self, wire: socket.socket, sink: Sink) -> None:
        try:
            content = wire.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(sink, error.strerror or str(error))
            return
        arrived = wire.arrived_ns if isinstance(wire, StampedSocket) else None
        arrived = arrived or self.clock.mono_ns()
        if not content:
            self._lose(sink, "the dispatcher closed the connection")
            return
        try:
            payloads = self._frames.feed(content)
        except ValueError as error:
            self._lose(sink, str(error))
            return
        for payload in payloads:
            if payload == PING:
                self._send(frame(PONG), sink)
            elif payload == PONG and self._asked:
                seq, due, sent = self._asked.popleft()
                sink.sample(self.order.name, Sample(seq, due, sent, max(arrived, sent)))

    def _give_up(self, sink: Sink, outcome: Outcome, why: str) -> None:
        while self._asked:
            seq, due, sent = self._asked.popleft()
            sink.sample(self.order.name, Sample(seq, due, sent, outcome=outcome, detail=why))
