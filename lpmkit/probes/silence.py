"""Retransmissions of this host's TCP during a gap of a session, which separate the path outage from TCP's wait.

While requests are unanswered the socket is read (`lpmkit.ssh.tcp_info`), which sends nothing: at first dozens of times
a second, then less often, as TCP doubles its waits; else hundreds of sessions that fall silent together would keep the
other requests of this host from leaving. Each retransmission adds a row: the transmission before it was lost, so the
path was down then. At the first reply the rows become one ``tcp`` event.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

from lpmkit.json_values import JsonObject
from lpmkit.ssh.tcp_info import TcpInfo, tcp_info
from lpmkit.timeline import Clock

#: Age of an unanswered request that starts a gap: Linux waits at least this long before a retransmission.
MIN_NS = 200_000_000
#: Seconds between two looks: a share of the silence, within these. TCP waits at least as long again as it has waited
#: before it sends once more (RFC 6298, 5.5), so several looks fall between any two transmissions.
MIN_LOOK_S, MAX_LOOK_S, LOOKS_IN_SILENCE = 0.02, 0.5, 16
#: Interval of checking a session without a gap.
IDLE_S = 0.5
#: Maximum rows of one gap, the newest ones: TCP doubles its waits, so these cover many hours.
MAX_ROWS = 200
#: TCP reports its last transmission in milliseconds and kernel ticks; two that are closer than this are the same.
_SAME_NS = 15_000_000
COLUMNS = ("mono_ns", *(field.name for field in fields(TcpInfo)))


class Silence:
    """Follows the gaps of one session, in one thread."""

    def __init__(self, clock: Clock, wire: Any) -> None:
        self._clock, self._wire = clock, wire
        self._since: int | None = None
        self._rows: list[tuple[int, ...]] = []
        self._sent_ns = 0

    def look(self, oldest_sent_ns: int | None) -> float:
        """Read the socket if the oldest open request is overdue.

        Returns the seconds until the next call at the latest.
        """
        now = self._clock.mono_ns()
        if oldest_sent_ns is None:
            return IDLE_S
        if now - oldest_sent_ns < MIN_NS:
            return max(0.001, (oldest_sent_ns + MIN_NS - now) / 1e9)
        if self._since is None:
            self._since, self._rows, self._sent_ns = oldest_sent_ns, [], 0
        self._row(always=False)
        return min(max(MIN_LOOK_S, (now - self._since) / 1e9 / LOOKS_IN_SILENCE), MAX_LOOK_S)

    def ended(self, answered_ns: int) -> JsonObject | None:
        """The data of the ``tcp`` event for a gap that a reply ends; ``None`` without a gap or without TCP data."""
        if self._since is None:
            return None
        self._row(always=True)
        since, self._since = self._since, None
        if not self._rows:
            return None
        return {"silent_since_ns": since, "answered_ns": answered_ns, "columns": COLUMNS, "rows": self._rows}

    def _row(self, *, always: bool) -> None:
        info = tcp_info(self._wire)
        if info is None:
            return
        now = self._clock.mono_ns()
        sent = now - info.since_sent_ms * 1_000_000
        last_row = self._rows[-1] if self._rows else None
        acknowledged = last_row is not None and last_row[1 + _UNACKED] and not info.unacked
        if always or last_row is None or acknowledged or sent - self._sent_ns > _SAME_NS:
            self._sent_ns = sent
            self._rows.append((now, *astuple(info)))
            del self._rows[:-MAX_ROWS]


_UNACKED = [field.name for field in fields(TcpInfo)].index("unacked")
