"""Probes that need no login: a TCP connection that waits for the service to speak."""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import Any

from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.ssh.client import Route
from lpmkit.ssh.tcp_info import tcp_info
from lpmkit.timeline import Clock, Outcome, Sample

#: An attempt that got no banner for so long is closed. It also bounds how many stand open in a server that is frozen:
#: OpenSSH begins to drop at ten that have not logged in (MaxStartups).
GIVE_UP_NS = 2_400_000_000
#: One attempt at a time waits up to so long: a partition with a tenth of a processor takes seconds to show a banner.
MAX_GIVE_UP_NS = 20_000_000_000
#: A banner that takes no longer than this, or than the interval, comes in time.
IN_TIME_NS = 250_000_000
#: So many slow banners one after the other are no suspension, in which no more attempts wait, but a slow host.
SLOW_IN_A_ROW = 20
#: OpenSSH from 9.8 on penalises an address whose connections never log in (PerSourcePenalties, `noauth` one second each), and would soon
#: lock us, and our other sessions, out. At this interval nothing adds up.
POLITE_INTERVAL_NS = 15_000_000_000
#: A name that leads to no address is looked up again after so long.
LOOK_UP_S = 5.0


@dataclass(slots=True)
class _Attempt:
    seq: int
    due_ns: int
    sent_ns: int
    wire: socket.socket


class ConnectProbe:
    """A new connection every interval, each on its own schedule, counted as answered when the peer's banner arrives.

    A kernel accepts connections for a program that does not run; only the banner shows that the program does. An attempt whose SYN was lost succeeds
    when our kernel sends it again (after 1 s, then 2 s); its sample says so, and no other attempt waits for it.
    """

    def __init__(
        self, order: ProbeOrder, way: Route, clock: Clock | None = None, *, tempo: RateSetting | None = None
    ) -> None:
        self.order = order
        self.way = way
        self.clock = clock or Clock()
        self._keeping = ProbeRate(order, tempo)
        self._seq = 0
        self._waiting: dict[int, _Attempt] = {}
        self._selector = selectors.DefaultSelector()
        self._polite = self._resents = False
        #: One attempt at a time: until the first banner comes in time, and again after an attempt without one.
        self._is_single = True
        self._give_up_ns = GIVE_UP_NS
        self._slow_in_a_row = 0

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        if self.way.jumps or self.way.proxy_command:
            sink.event(
                self.order.name,
                "probe-trouble",
                what="not looked at: the host is reached through another one, so this machine has no TCP way of its own to it",
            )
            return
        found = self._addressed(stop, sink)
        if found is None:
            return
        self._family, self._address = found
        due = self.clock.mono_ns()
        self._keeping.tell(sink, 1, due)
        while not stop.is_set():
            now = self.clock.mono_ns()
            interval = self._keeping.interval_ns
            if self._keeping.follow():
                self._slow_down_if_asked()
                due = self._keeping.next_due(due, interval, now)
                self._keeping.tell(sink, self._seq + 1, due)
            while due <= now:
                if self._is_single and any(_is_established(one.wire) for one in self._waiting.values()):
                    self._skip(due, sink)
                else:
                    self._attempt(due, sink)
                due += self._keeping.interval_ns
            self._listen(min(0.25, max(0.0, (due - self.clock.mono_ns()) / 1e9)), sink)
            self._give_up(
                sink, self.clock.mono_ns() - self._give_up_ns, f"no banner within {self._give_up_ns / 1e9:g} s"
            )
        self._give_up(sink, None, "unanswered when the probe ended")
        self._selector.close()

    def _addressed(self, stop: threading.Event, sink: Sink) -> tuple[int, Any] | None:
        """The address behind the name, looked up once: while a host is silent its name server may be too, and no attempt may wait for that."""
        told = False
        while not stop.is_set():
            try:
                family, _, _, _, address = socket.getaddrinfo(
                    self.way.hostname, self.way.port, type=socket.SOCK_STREAM
                )[0]
            except OSError as error:
                if not told:
                    told = True
                    what = f"{self.way.hostname} has no address: {error.strerror}"
                    sink.event(self.order.name, "probe-trouble", what=what)
                stop.wait(LOOK_UP_S)
                continue
            return family, address
        return None

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

    def _listen(self, timeout_s: float, sink: Sink) -> None:
        for key, _ in self._selector.select(timeout_s):
            arrived = self.clock.mono_ns()
            attempt: _Attempt = key.data
            try:
                said = attempt.wire.recv(256)
            except OSError as error:
                self._end(attempt, Outcome.REFUSED, error.strerror or str(error), sink, None)
                continue
            text = said.decode("ascii", "replace").strip()
            if said.startswith(b"SSH-"):
                self._adapt(arrived - attempt.sent_ns, sink)
                self._end(attempt, Outcome.ANSWERED, _sent_again(attempt.wire), sink, arrived)
                self._mind(text, sink)
            else:
                self._end(attempt, Outcome.REFUSED, text or "closed before the banner", sink, None)

    def _mind(self, banner: str, sink: Sink) -> None:
        """Find out from the first banner whether the server would take our schedule amiss."""
        if self._polite:
            return
        self._polite = True
        version = re.search(r"OpenSSH_(\d+)\.(\d+)", banner)
        self._resents = version is not None and (int(version[1]), int(version[2])) >= (9, 8)
        if self._slow_down_if_asked():
            self._keeping.tell(sink, self._seq + 1, self.clock.mono_ns())
            sink.event(
                self.order.name,
                "probe-trouble",
                what=f"{banner} penalises connections that do not log in: one attempt in {POLITE_INTERVAL_NS / 1e9:g} s instead of {self.order.interval_ns / 1e9:g} s",
            )

    def _slow_down_if_asked(self) -> bool:
        """Keep no shorter interval than a server that resents callers without login bears."""
        slower = self._resents and self._keeping.interval_ns < POLITE_INTERVAL_NS
        if slower:
            self._keeping.interval_ns = POLITE_INTERVAL_NS
        return slower

    def _give_up(self, sink: Sink, before_ns: int | None, why: str) -> None:
        late = [one for one in self._waiting.values() if before_ns is None or one.sent_ns < before_ns]
        # A host that does not even accept is not burdened: it stands still, or the path is cut.
        burdened = before_ns is not None and any(_is_established(one.wire) for one in late)
        for attempt in late:
            self._end(attempt, Outcome.SILENT, why, sink, None)
        if burdened:
            self._adapt(None, sink)

    def _adapt(self, took_ns: int | None, sink: Sink) -> None:
        """Follow what the host can take, by the time that a banner took (``None``: accepted, and no banner came).

        Until banners come in time there is one attempt at a time. A host that is slower would get connections faster than it can answer them, and
        nobody could log in any more.
        """
        was = self._is_single, self._give_up_ns
        is_slow = took_ns is None or took_ns > max(self._keeping.interval_ns, IN_TIME_NS)
        self._slow_in_a_row = self._slow_in_a_row + 1 if is_slow else 0
        if took_ns is None:
            self._give_up_ns = min(MAX_GIVE_UP_NS, 2 * self._give_up_ns)
            self._is_single = True
        elif not is_slow:
            self._is_single, self._give_up_ns = False, GIVE_UP_NS
        elif self._slow_in_a_row >= SLOW_IN_A_ROW:
            self._is_single = True
        if (self._is_single, self._give_up_ns) != was:
            self._keeping.tell(sink, self._seq + 1, self.clock.mono_ns(), self._give_up_ns if self._is_single else None)

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
    """How often the SYN of a connection was repeated, in words; empty when the first one arrived or nobody can tell."""
    said = tcp_info(wire)
    return f"its SYN was sent {1 + said.total_retransmits} times" if said and said.total_retransmits else ""
