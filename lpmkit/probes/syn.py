"""Requests for a connection (TCP SYN) while the questions of an SSH session are not acknowledged.

TCP doubles its pauses before it sends again what was lost, so an open session may find out a long time after its host
that the host runs again. A new request goes out at once, and the host's kernel answers it without any process (SYN-ACK,
RFC 9293, 3.5). A request that is not answered soon is dropped before TCP would send it again, so that each is one
packet, like an echo request. A host that stands still has no load of them; once one is answered, none follows.
"""

from __future__ import annotations

import errno
import selectors
import socket

from lpmkit.probes.orders import KINDS, Sink
from lpmkit.ssh.tcp_info import agreed_options
from lpmkit.timeline import Clock, Outcome, Sample

#: Age of a question that is not acknowledged at which requests begin: beyond the 40 ms after which Linux acknowledges
#: by itself, and this many usual round trips.
PATIENCE_NS, PATIENCE_ROUND_TRIPS = 50_000_000, 2
#: Interval of the requests, and the share of the silence that it grows to: a host that is down for hours is not asked
#: forty times a second.
INTERVAL_NS, SHARE_OF_SILENCE = 25_000_000, 100
#: A request that is not answered so soon was lost: so much at least, and this many usual round trips. At most this
#: divided by the interval are open together: a server may refuse logins from ten that do not log in (MaxStartups).
GIVE_UP_NS, ROUND_TRIPS = 200_000_000, 4
#: Rest after requests that were answered: a host whose kernel answers is not asked again and again.
REST_NS = 1_000_000_000


class SynRequests:
    """Asks one host, in one thread, and yields a sample for each request."""

    def __init__(self, name: str, host: str, clock: Clock) -> None:
        self._name, self._host, self._clock = name, host, clock
        self._family, self._from, self._to = socket.AF_INET, ("", 0), ("", 0)
        self._open: dict[int, tuple[int, int, int, socket.socket]] = {}
        #: Ready to be read while an answer waits to be taken.
        self.answers = selectors.DefaultSelector()
        self._seq = 0
        self._due: int | None = None
        self._not_before = 0
        self._round_trip_ns = 0
        self._agreed: tuple[int, int] | None = None
        self._is_another = self._told = False

    def along(self, wire: socket.socket) -> None:
        """Ask from the address and to the address of a connected socket."""
        self._family, self._from, self._to = wire.family, wire.getsockname(), wire.getpeername()
        self._agreed, self._is_another = agreed_options(wire), False
        self._round_trip_ns = 0

    def acknowledged(self, took_ns: int) -> None:
        """Take note of a round trip; the shortest counts."""
        self._round_trip_ns = min(self._round_trip_ns or took_ns, took_ns)

    def look(self, oldest_ns: int | None, sink: Sink) -> float:
        """Send what is due and take the answers. ``oldest_ns`` is when the oldest question was sent that is not
        acknowledged.

        Returns the seconds until the next call at the latest.
        """
        now = self._clock.mono_ns()
        if self._open:
            self._listen(sink)
            self._give_up(now, sink)
        begins = None if oldest_ns is None else max(oldest_ns + self._patience_ns(), self._not_before)
        if oldest_ns is None or begins is None or now < begins or self._is_another:
            self._due = None
        else:
            self._due = self._due or now
            if now >= self._due:
                self._ask(self._due, sink)
                self._due = max(now, self._due) + self._interval_ns(now - oldest_ns)
        waits = [at - now for at in (self._due, begins if self._due is None else None) if at is not None]
        waits += [INTERVAL_NS // 5] if self._open else []
        return max(0.001, min(waits, default=10**9) / 1e9)

    def end(self, sink: Sink) -> None:
        """Drop the open requests."""
        self._give_up(None, sink)
        self.answers.close()

    def is_asking(self) -> bool:
        """True while requests are open."""
        return bool(self._open)

    def _patience_ns(self) -> int:
        return max(PATIENCE_NS, PATIENCE_ROUND_TRIPS * self._round_trip_ns)

    def _limit_ns(self) -> int:
        return max(GIVE_UP_NS, ROUND_TRIPS * self._round_trip_ns)

    def _interval_ns(self, silence_ns: int) -> int:
        return max(INTERVAL_NS * self._limit_ns() // GIVE_UP_NS, silence_ns // SHARE_OF_SILENCE)

    def _ask(self, due: int, sink: Sink) -> None:
        if not self._told:
            self._told = True
            sink.event(
                self._name, "probe-started", kind="syn", host=self._host, interval_ns=INTERVAL_NS, about=KINDS["syn"][0]
            )
        self._seq += 1
        wire = socket.socket(self._family, socket.SOCK_STREAM)
        wire.setblocking(False)
        sent = self._clock.mono_ns()
        try:
            wire.bind((self._from[0], 0, *self._from[2:]))
            error = wire.connect_ex(self._to)
        except OSError as trouble:
            error = trouble.errno or errno.EINVAL
        if error not in (0, errno.EINPROGRESS):
            wire.close()
            detail = f"not sent: {errno.errorcode.get(error, error)}"
            sink.sample(self._name, Sample(self._seq, due, outcome=Outcome.SILENT, detail=detail))
            return
        self._open[wire.fileno()] = (self._seq, due, sent, wire)
        self.answers.register(wire, selectors.EVENT_WRITE)

    def _listen(self, sink: Sink) -> None:
        for key, _ in self.answers.select(0):
            arrived, number = self._clock.mono_ns(), key.fd
            error = self._open[number][3].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                # A refusal may be a firewall's; a router's complaint is no answer of the host.
                self._end(number, sink, None, Outcome.REFUSED, errno.errorcode.get(error, str(error)))
                continue
            self._not_before = arrived + REST_NS
            if agreed_options(self._open[number][3]) != self._agreed:
                # A firewall that answers in the host's stead (SYN proxy) says nothing of the host.
                self._is_another = True
                self._end(number, sink, None, Outcome.REFUSED, "answered by another TCP than the session's")
                continue
            self._end(number, sink, arrived, Outcome.ANSWERED, "")

    def _give_up(self, now: int | None, sink: Sink) -> None:
        limit = self._limit_ns()
        for number, (_, _, sent, _) in list(self._open.items()):
            if now is None or now - sent >= limit:
                self._end(number, sink, None, Outcome.SILENT, f"no answer within {limit / 1e9:g} s")

    def _end(self, number: int, sink: Sink, arrived: int | None, outcome: Outcome, detail: str) -> None:
        seq, due, sent, wire = self._open.pop(number)
        self.answers.unregister(wire)
        wire.close()
        sink.sample(self._name, Sample(seq, due, sent, arrived, outcome=outcome, detail=detail))


def name_beside(acks: str) -> str:
    """The name of these requests' samples, by that of the probe of acknowledgements.

    >>> name_beside("ssh-acks@bxaix85")
    'tcp-syn@bxaix85'
    """
    return "tcp-syn" + acks.removeprefix("ssh-acks")
