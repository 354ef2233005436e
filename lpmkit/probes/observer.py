"""The observer's own ticker: an idle process that shows stalls of *this* host.

A gap that the partition's probes share with this ticker is an observer stall.
"""

from __future__ import annotations

import ctypes
import threading

from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.timeline import Clock, Sample

_PR_SET_TIMERSLACK = 29


class ObserverProbe:
    """Wakes on an absolute schedule and records its lateness; missed ticks are skipped in ``seq``."""

    def __init__(self, order: ProbeOrder, clock: Clock | None = None) -> None:
        self.order = order
        self.clock = clock or Clock()

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Tick until ``stop`` is set."""
        _shorten_timer_slack()
        period = self.order.interval_ns
        start = self.clock.mono_ns()
        seq = 0
        while not stop.is_set():
            seq += 1
            due = start + seq * period
            self.clock.sleep(max(0, due - self.clock.mono_ns()) / 1e9)
            now = self.clock.mono_ns()
            sink.sample(self.order.name, Sample(seq=seq, due_ns=due, sent_ns=due, answered_ns=now))
            seq += max(0, (now - due) // period)


def _shorten_timer_slack() -> None:
    """Minimise the timer slack: Linux wakes ordinary threads up to 50 µs late on purpose."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
