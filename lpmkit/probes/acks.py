"""A witness of the machine where echo requests are filtered: its kernel acknowledges the questions of an SSH session.

A kernel acknowledges what reaches it although the program that it is for does not run: at once together with the
program's answer, or up to half a second later by itself (RFC 1122, 4.2.3.2). So a question and its acknowledgement
enclose an instant at which the machine ran. Nothing is sent for it: the questions are those of the echo probe. While
they are not acknowledged, requests for a connection find the end of the silence (`lpmkit.probes.syn`).
"""

from __future__ import annotations

import queue
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lpmkit.probes.icmp import CannotProbe, Peer, is_own, peer
from lpmkit.probes.loop import Aside, Turning, Turns, Wait
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.rate import ProbeRate, RateSetting
from lpmkit.probes.syn import SynRequests, name_beside
from lpmkit.ssh.acknowledgements import AcknowledgementStamps
from lpmkit.ssh.client import Route
from lpmkit.ssh.rx_timestamps import StampedSocket
from lpmkit.timeline import Clock, Outcome, Sample, TroubleCode

#: Seconds between two looks for acknowledgements; each has the kernel's stamp, however late it is looked at. A question
#: that is not acknowledged is seen before requests for a connection would begin (`lpmkit.probes.syn.PATIENCE_NS`). In a
#: silence the looks become as rare as a share of it, at most the third figure.
LOOK_S, LOOKS_IN_SILENCE, MAX_LOOK_S = 0.05, 16, 0.5
#: The same while every question is acknowledged: the next look is at the next question when it is as old as that, at
#: most this, for the rate may change meanwhile.
IDLE_S = 0.15


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question of the echo probe: its number, when it was due and sent (monotonic nanoseconds), and the number of
    the bytes of its session up to its end.
    """

    seq: int
    due_ns: int
    sent_ns: int
    last_byte: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A session whose questions follow; ``stamps`` are of its socket."""

    wire: socket.socket
    stamps: AcknowledgementStamps


@dataclass(frozen=True, slots=True)
class Ended:
    """The session ended, or the probe."""

    outcome: Outcome
    why: str


class SentQuestions:
    """The questions of one host on their way from the probe that sends them to the one that follows their
    acknowledgements. ``wanted`` while that one runs.
    """

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[OpenQuestion | Opened | Ended | CannotProbe] = queue.SimpleQueue()
        self.wanted = False

    def tell(self, what: OpenQuestion | Opened | Ended | CannotProbe) -> None:
        """Hand something over, if somebody wants it."""
        if self.wanted:
            self._told.put(what)

    def taken(self) -> Iterator[OpenQuestion | Opened | Ended | CannotProbe]:
        """All that was handed over since the last call, in its order."""
        with suppress(queue.Empty):
            while True:
                yield self._told.get_nowait()


class FollowedSession:
    """One session of the echo probe, in its thread; ``wire`` is its transport."""

    def __init__(self, wire: Any, questions: SentQuestions) -> None:
        self._questions = questions
        self._stamps: AcknowledgementStamps | None = None
        self._wire = wire if isinstance(wire, StampedSocket) else None
        if self._wire is None:
            # a jump host, a proxy command, or OpenSSH
            questions.tell(CannotProbe("the session does not run over a connection of our own to the host"))
        elif is_own(Peer(self._wire.family, self._wire.getpeername())):
            questions.tell(CannotProbe("the session ends at an address of this machine, whose kernel acknowledges"))
            self._wire = None

    def before(self) -> bool:
        """Called before a question is sent; true if its acknowledgement is followed."""
        wire = self._wire
        if self._stamps is None and wire is not None and self._questions.wanted:
            try:
                self._stamps = wire.follow_acknowledgements()
            except OSError as error:
                why = f"this machine's kernel does not stamp acknowledgements: {error.strerror}"
                self._questions.tell(CannotProbe(why))
                self._wire = None
            if self._stamps is not None:
                self._questions.tell(Opened(wire, self._stamps))
        return self._stamps is not None

    def sent(self, seq: int, due_ns: int, sent_ns: int) -> None:
        """Hand over a question that was sent and is followed."""
        if self._stamps is not None:
            self._questions.tell(OpenQuestion(seq, due_ns, sent_ns, self._stamps.sent_bytes))


class AckProbe(Turning):
    """Yields a sample for each question of the echo probe that is followed: from its sending to its
    acknowledgement.
    """

    def __init__(
        self,
        order: ProbeOrder,
        target: Route,
        questions: SentQuestions,
        clock: Clock | None = None,
        *,
        setting: RateSetting | None = None,
    ) -> None:
        self.order, self.target = order, target
        self.clock = clock or Clock()
        self._rate = ProbeRate(order, setting)
        self._questions = questions
        self._stamps: AcknowledgementStamps | None = None
        self._open: deque[OpenQuestion] = deque()
        self._newest_due_ns = 0
        self._requests = SynRequests(name_beside(order.name), order.host, self.clock)
        self._declined = ""

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Follow until ``stop`` is set."""
        try:
            yield Aside(lambda: peer(self.target))
        except CannotProbe as reason:
            self._decline(reason, sink)
            return
        self._questions.wanted = True
        self._rate.tell(sink, 1, self.clock.mono_ns())
        while not stop.is_set():
            for told in self._questions.taken():
                self._hear(told, sink)
            self._acknowledge(sink)
            oldest = self._open[0].sent_ns if self._open else None
            wait_s = min(self._next_look_s(), self._requests.look(oldest, sink))
            yield Wait(wait_s, self._requests.answers if self._requests.is_asking() else None)
        for told in self._questions.taken():
            self._hear(told, sink)
        self._acknowledge(sink)
        self._give_up(sink, Outcome.SILENT, "not acknowledged when the probe ended")
        self._requests.end(sink)

    def _next_look_s(self) -> float:
        if self._open:
            silent_s = (self.clock.mono_ns() - self._open[0].sent_ns) / 1e9
            return min(max(LOOK_S, silent_s / LOOKS_IN_SILENCE), MAX_LOOK_S)
        next_due_ns = self._newest_due_ns + self._rate.interval_ns
        return min(IDLE_S, max(LOOK_S, (next_due_ns - self.clock.mono_ns()) / 1e9 + LOOK_S))

    def _hear(self, told: OpenQuestion | Opened | Ended | CannotProbe, sink: Sink) -> None:
        if isinstance(told, OpenQuestion):
            if self._rate.follow():
                self._rate.tell(sink, told.seq, told.due_ns)
            self._open.append(told)
            self._newest_due_ns = told.due_ns
        elif isinstance(told, Opened):
            self._stamps = told.stamps
            self._requests.along(told.wire)
        elif isinstance(told, Ended):
            self._acknowledge(sink)
            self._give_up(sink, told.outcome, told.why)
            self._stamps = None
        else:
            self._decline(told, sink)

    def _decline(self, reason: CannotProbe, sink: Sink) -> None:
        if str(reason) != self._declined:
            self._declined = str(reason)
            sink.event(self.order.name, "probe-trouble", what=f"not used: {reason}", code=TroubleCode.BY_DESIGN.value)

    def _acknowledge(self, sink: Sink) -> None:
        """Yield the samples of the questions that were acknowledged."""
        for count, arrived in self._stamps.taken() if self._stamps is not None else ():
            while self._open and self._open[0].last_byte <= count:
                one = self._open.popleft()
                self._requests.acknowledged(arrived - one.sent_ns)
                sink.sample(self.order.name, Sample(one.seq, one.due_ns, one.sent_ns, arrived))

    def _give_up(self, sink: Sink, outcome: Outcome, why: str) -> None:
        while self._open:
            one = self._open.popleft()
            sample = Sample(one.seq, one.due_ns, one.sent_ns, outcome=outcome, detail=why)
            sink.sample(self.order.name, sample)
