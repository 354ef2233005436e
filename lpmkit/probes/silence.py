"""What our own TCP did during a silence of a session: how long it waited before it sent again, beside how long the way was closed.

While questions stay unanswered the socket is looked at (`lpmkit.ssh.tcp_info`) some dozens of times a second, which costs microseconds and sends nothing. Every time
it had sent again, a row is kept: that transmission was lost, so the way was closed then. At the first answer all of it becomes one ``tcp`` event.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

from lpmkit.ssh.tcp_info import TcpInfo, tcp_info
from lpmkit.timeline import Clock

#: A question that is open for so long makes a silence: Linux waits at least this long before it sends again.
MIN_NS = 200_000_000
LOOK_EVERY_S = 0.02
#: A session is looked at so often when nothing is silent.
IDLE_S = 0.5
#: So many rows are kept of one silence, the newest: TCP doubles its waits, so these are many hours.
MAX_ROWS = 200
#: The moment at which TCP last sent is told in whole milliseconds and kernel ticks; two that lie closer are one.
_SAME_NS = 15_000_000
COLUMNS = ("mono_ns", *(one.name for one in fields(TcpInfo)))


class Silence:
    """Follows one session's silences, from one thread."""

    def __init__(self, clock: Clock, wire: Any) -> None:
        self._clock, self._wire = clock, wire
        self._since: int | None = None
        self._rows: list[tuple[int, ...]] = []
        self._sent_ns = 0

    def look(self, oldest_sent_ns: int | None) -> float:
        """Look at the socket if the oldest open question is open for too long. Returns after how many seconds to look again at the latest."""
        now = self._clock.mono_ns()
        if oldest_sent_ns is None:
            return IDLE_S
        if now - oldest_sent_ns < MIN_NS:
            return max(0.001, (oldest_sent_ns + MIN_NS - now) / 1e9)
        if self._since is None:
            self._since, self._rows, self._sent_ns = oldest_sent_ns, [], 0
        self._row(always=False)
        return LOOK_EVERY_S

    def ended(self, answered_ns: int) -> dict[str, Any] | None:
        """At an answer: what the record should say of the silence that it ends, if there was one and the socket can be looked at."""
        if self._since is None:
            return None
        self._row(always=True)
        since, self._since = self._since, None
        if not self._rows:
            return None
        return {"silent_since_ns": since, "answered_ns": answered_ns, "columns": COLUMNS, "rows": self._rows}

    def _row(self, *, always: bool) -> None:
        said = tcp_info(self._wire)
        if said is None:
            return
        now = self._clock.mono_ns()
        sent = now - said.since_sent_ms * 1_000_000
        last = self._rows[-1] if self._rows else None
        acknowledged = last is not None and last[1 + _UNACKED] and not said.unacked
        if always or last is None or acknowledged or sent - self._sent_ns > _SAME_NS:
            self._sent_ns = sent
            self._rows.append((now, *astuple(said)))
            del self._rows[:-MAX_ROWS]


_UNACKED = [one.name for one in fields(TcpInfo)].index("unacked")
