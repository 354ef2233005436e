"""Probe without a login: a TCP connection that waits for the service's banner."""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import Any

from lpmkit.probes.loop import Aside, Turning, Turns, Wait, rested
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.ssh.client import Route
from lpmkit.ssh.tcp_info import tcp_info
from lpmkit.timeline import Clock, Outcome, Sample, TroubleCode

#: Time limit of an attempt without a banner. It also limits the open attempts at a frozen server: OpenSSH starts to
#: drop connections at ten without a login (MaxStartups).
GIVE_UP_NS = 2_400_000_000
#: Limit of the time limit while there is one attempt at a time: a partition with a tenth of a processor takes seconds
#: for a banner.
MAX_GIVE_UP_NS = 20_000_000_000
#: A banner within this time, or within the interval, is in time.
IN_TIME_NS = 250_000_000
#: This number of consecutive slow banners means a slow host: in a suspension fewer attempts wait.
SLOW_IN_A_ROW = 20
#: OpenSSH from 9.8 on penalises an address whose connections never log in (PerSourcePenalties, `noauth` one second
#: each) and would soon refuse all our sessions. At this interval penalties do not accumulate.
POLITE_INTERVAL_NS = 15_000_000_000
#: Interval of retrying a failed name lookup.
LOOK_UP_S = 5.0


@dataclass(slots=True)
class _Attempt:
    seq: int
    due_ns: int
    sent_ns: int
    wire: socket.socket


class ConnectProbe(Turning):
    """Opens a connection at each interval, on schedule, and counts it as answered when the peer's banner arrives.

    A kernel accepts connections for a program that does not run; only the banner proves that it runs. An attempt
    whose SYN was lost succeeds when our kernel retransmits it (after 1 s, then 2 s); its sample records that, and
    no other attempt waits for it.
    """

    def __init__(
        self, order: ProbeOrder, target: Route, clock: Clock | None = None, *, setting: RateSetting | None = None
    ) -> None:
        self.order = order
        self.target = target
        self.clock = clock or Clock()
        self._rate = ProbeRate(order, setting)
        self._seq = 0
        self._waiting: dict[int, _Attempt] = {}
        self._selector = selectors.DefaultSelector()
        self._polite = self._resents = False
        #: One attempt at a time: until the first banner comes in time, and again after an attempt without one.
        self._is_single = True
        self._give_up_ns = GIVE_UP_NS
        self._slow_in_a_row = 0
        #: The interval that the record has.
        self._told_ns = order.interval_ns

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Probe until ``stop`` is set."""
        if self.target.jumps or self.target.proxy_command:
            sink.event(
                self.order.name,
                "probe-trouble",
                what="not looked at: the host is reached through a jump host, "
                "so this host has no TCP path of its own to it",
                code=TroubleCode.BY_DESIGN.value,
            )
            return
        yield from self._addressed(stop, sink)
        if stop.is_set():
            return
        due = self.clock.mono_ns()
        self._tell(sink, due)
        while not stop.is_set():
            now = self.clock.mono_ns()
            interval = self._rate.interval_ns
            if self._rate.follow():
                self._slow_down_if_asked()
                due = self._rate.next_due(due, interval, now)
                self._tell(sink, due)
            while due <= now:
                if self._is_single and any(_is_established(attempt.wire) for attempt in self._waiting.values()):
                    self._skip(due, sink)
                else:
                    self._attempt(due, sink)
                due += self._rate.interval_ns
            if (yield Wait(min(0.25, (due - self.clock.mono_ns()) / 1e9), self._selector)):
                self._listen(sink)
            self._give_up(
                sink, self.clock.mono_ns() - self._give_up_ns, f"no banner within {self._give_up_ns / 1e9:g} s"
            )
        self._give_up(sink, None, "unanswered when the probe ended")
        self._selector.close()

    def _addressed(self, stop: threading.Event, sink: Sink) -> Turns:
        """Resolve the address once, before probing: during a suspension the name server may be silent too."""
        reported = False
        while not stop.is_set():
            try:
                self._family, _, _, _, self._address = yield Aside(self._look_up)
            except OSError as error:
                if not reported:
                    reported = True
                    what = f"{self.target.hostname} has no address: {error.strerror}"
                    sink.event(self.order.name, "probe-trouble", what=what)
                yield from rested(stop, LOOK_UP_S)
                continue
            return

    def _look_up(self) -> tuple[Any, ...]:
        return socket.getaddrinfo(self.target.hostname, self.target.port, type=socket.SOCK_STREAM)[0]

    def _skip(self, due: int, sink: Sink) -> None:
        """Note a slot in which nothing was sent, because the host has not answered the attempt before."""
        self._seq += 1
        why = "not sent: the attempt before has no banner yet"
        sink.sample(self.order.name, Sample(seq=self._seq, due_ns=due, outcome=Outcome.SILENT, detail=why))

    def _attempt(self, due: int, sink: Sink) -> None:
        self._seq += 1
        wire = socket.socket(self._family, socket.SOCK_STREAM)
        wire.setblocking(False)
        sent = self.clock.mono_ns()
        error = wire.connect_ex(self._address)
        attempt = _Attempt(self._seq, due, sent, wire)
        if error not in (0, errno.EINPROGRESS, errno.EAGAIN):
            self._end(attempt, Outcome.REFUSED, os.strerror(error), sink, None)
            return
        self._waiting[self._seq] = attempt
        self._selector.register(wire, selectors.EVENT_READ, attempt)

    def _listen(self, sink: Sink) -> None:
        for key, _ in self._selector.select(0):
            arrived = self.clock.mono_ns()
            attempt: _Attempt = key.data
            try:
                content = attempt.wire.recv(256)
            except OSError as error:
                self._end(attempt, Outcome.REFUSED, error.strerror or str(error), sink, None)
                continue
            text = content.decode("ascii", "replace").strip()
            if content.startswith(b"SSH-"):
                self._adapt(arrived - attempt.sent_ns, sink)
                self._end(attempt, Outcome.ANSWERED, _sent_again(attempt.wire), sink, arrived)
                self._mind(text, sink)
            else:
                self._end(attempt, Outcome.REFUSED, text or "closed before the banner", sink, None)

    def _mind(self, banner: str, sink: Sink) -> None:
        """Check the first banner for a server that penalises our schedule."""
        if self._polite:
            return
        self._polite = True
        version = re.search(r"OpenSSH_(\d+)\.(\d+)", banner)
        self._resents = version is not None and (int(version[1]), int(version[2])) >= (9, 8)
        if self._slow_down_if_asked():
            self._tell(sink, self.clock.mono_ns())
            sink.event(
                self.order.name,
                "probe-trouble",
                what=f"{banner} penalises connections that do not log in: one attempt in "
                f"{POLITE_INTERVAL_NS / 1e9:g} s instead of {self.order.interval_ns / 1e9:g} s",
            )

    def _slow_down_if_asked(self) -> bool:
        """Limit the interval for a server that penalises connections without a login."""
        slower = self._resents and self._rate.interval_ns < POLITE_INTERVAL_NS
        if slower:
            self._rate.interval_ns = POLITE_INTERVAL_NS
        return slower

    def _give_up(self, sink: Sink, before_ns: int | None, reason: str) -> None:
        late = [attempt for attempt in self._waiting.values() if before_ns is None or attempt.sent_ns < before_ns]
        # A host that does not accept either is not overloaded: it is suspended, or the path is down.
        overloaded = before_ns is not None and any(_is_established(attempt.wire) for attempt in late)
        for attempt in late:
            self._end(attempt, Outcome.SILENT, reason, sink, None)
        if overloaded:
            self._adapt(None, sink)

    def _adapt(self, took_ns: int | None, sink: Sink) -> None:
        """Adapt to the host's speed, by the time of a banner (``None``: accepted without a banner).

        Until banners are in time there is one attempt at a time. Otherwise a slow host would get connections faster
        than it can answer them, and logins would become impossible.
        """
        earlier = self._is_single, self._give_up_ns
        is_slow = took_ns is None or took_ns > max(self._rate.interval_ns, IN_TIME_NS)
        self._slow_in_a_row = self._slow_in_a_row + 1 if is_slow else 0
        if took_ns is None:
            self._give_up_ns = min(MAX_GIVE_UP_NS, 2 * self._give_up_ns)
            self._is_single = True
        elif not is_slow:
            self._is_single, self._give_up_ns = False, GIVE_UP_NS
        elif self._slow_in_a_row >= SLOW_IN_A_ROW:
            self._is_single = True
        interval_ns = self._give_up_ns if self._is_single else self._rate.interval_ns
        if (self._is_single, self._give_up_ns) != earlier and interval_ns != self._told_ns:
            self._tell(sink, self.clock.mono_ns(), interval_ns)

    def _tell(self, sink: Sink, since_ns: int, interval_ns: int | None = None) -> None:
        """Record the interval from the next attempt on."""
        self._told_ns = self._rate.interval_ns if interval_ns is None else interval_ns
        self._rate.tell(sink, self._seq + 1, since_ns, self._told_ns)

    def _end(self, attempt: _Attempt, outcome: Outcome, detail: str, sink: Sink, arrived: int | None) -> None:
        if self._waiting.pop(attempt.seq, None):
            self._selector.unregister(attempt.wire)
        attempt.wire.close()
        sink.sample(
            self.order.name,
            Sample(
                seq=attempt.seq,
                due_ns=attempt.due_ns,
                sent_ns=attempt.sent_ns,
                answered_ns=arrived,
                outcome=outcome,
                detail=detail,
            ),
        )


def _is_established(wire: socket.socket) -> bool:
    try:
        wire.getpeername()
    except OSError:
        return False
    return True


def _sent_again(wire: socket.socket) -> str:
    """Number of transmissions of a connection's SYN as text; empty for one, or if unknown."""
    info = tcp_info(wire)
    return f"its SYN was sent {1 + info.total_retransmits} times" if info and info.total_retransmits else ""
