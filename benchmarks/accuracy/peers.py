"""Figures of other tools, computed from the same run's ICMP samples and ticks. Nanoseconds; 0 if they see nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lpmkit.runs.cells import MISSING, Int64Array
from lpmkit.runs.folder import SampleTable

MS = 1_000_000
#: Tools: name, ping interval in milliseconds, method.
PEERS = (
    ("Tempest: lost × 200 ms", 200, "lost"),
    ("fping -o: lost × 10 ms", 10, "lost"),
    ("stuntime: last to first reply, 100 ms", 100, "gap"),
    ("last to first reply, 10 ms", 10, "gap"),
    ("ping by hand: gap − 100 ms, 100 ms", 100, "less"),
    ("gap of the guest's own clock − period", 0, "guest"),
)


@dataclass(frozen=True)
class Pings:
    """The ICMP samples of a run, by the time they were sent."""

    sent: Int64Array
    answered: Int64Array
    guest: Int64Array
    arrived: Int64Array
    period_ns: int

    @classmethod
    def of(cls, icmp: SampleTable, ticks: SampleTable, hz: int) -> Pings:
        """From the samples of a run."""
        order = np.argsort(icmp.sent_ns, kind="stable")
        return cls(icmp.sent_ns[order], icmp.answered_ns[order], ticks.remote_mono_ns, ticks.answered_ns, 10**9 // hz)

    def thinned(self, every_ms: int, phase: int) -> tuple[Int64Array, Int64Array]:
        """Every n-th ping, as a tool with that interval would send them."""
        step = max(1, every_ms // 10)
        return self.sent[phase % step :: step], self.answered[phase % step :: step]


def estimate(method: str, every_ms: int, pings: Pings, truth: tuple[int, int], phase: int) -> int:
    """The length that this method gives for the outage at ``truth`` (begin, end)."""
    return _WAYS[method](pings, truth, every_ms, phase)


def _lost(pings: Pings, truth: tuple[int, int], every_ms: int, phase: int) -> int:
    sent, answered = pings.thinned(every_ms, phase)
    near = (sent >= truth[0] - 300 * MS) & (sent <= truth[1] + 400 * MS)
    return int((answered[near] == MISSING).sum()) * every_ms * MS


def _gap(pings: Pings, truth: tuple[int, int], every_ms: int, phase: int) -> int:
    _, answered = pings.thinned(every_ms, phase)
    replies = np.sort(answered[answered != MISSING])
    first = int(np.searchsorted(replies, (truth[0] + truth[1]) // 2))
    return int(replies[first] - replies[first - 1]) if 0 < first < len(replies) else 0


def _less(pings: Pings, truth: tuple[int, int], every_ms: int, phase: int) -> int:
    return max(0, _gap(pings, truth, every_ms, phase) - every_ms * MS)


def _guest(pings: Pings, truth: tuple[int, int], every_ms: int, phase: int) -> int:
    first = int(np.searchsorted(pings.guest, (truth[0] + truth[1]) // 2))
    return int(pings.guest[first] - pings.guest[first - 1]) - pings.period_ns if 0 < first < len(pings.guest) else 0


_WAYS: Mapping[str, Callable[[Pings, tuple[int, int], int, int], int]] = {
    "lost": _lost,
    "gap": _gap,
    "less": _less,
    "guest": _guest,
}
