"""Sampling rate of a probe, and its changes.

The recorder sets the rate for all probes of a process (`RateSetting`). Every probe checks it in its own loop and starts
the new schedule where the old one ended, so that no sample is due twice or never; the record has the first sample of
each rate (event ``pace``).
"""

from __future__ import annotations

from lpmkit.probes.orders import ProbeOrder, Rate, Sink


class RateSetting:
    """The requested rate by name; empty for the ordered one. Set by one thread, read by many."""

    def __init__(self) -> None:
        self.wanted = ""


class ProbeRate:
    """The current rate of one probe."""

    def __init__(self, order: ProbeOrder, setting: RateSetting | None = None) -> None:
        self._order, self._setting = order, setting or RateSetting()
        self.name, self.pace = order.pace, Rate(order.interval_ns, order.batch_ns)
        self.interval_ns = order.interval_ns

    def follow(self) -> bool:
        """Adopt the requested rate; true if it changed. A rate that this probe does not have changes nothing."""
        wanted = self._setting.wanted
        if wanted in ("", self.name) or wanted not in self._order.paces:
            return False
        self.name, self.pace = wanted, self._order.paces[wanted]
        self.interval_ns = self.pace.interval_ns
        return True

    def next_due(self, due_ns: int, was_ns: int, now_ns: int) -> int:
        """Due time after a change: the first of the new schedule, begun at the last due time, that is not in the past.

        ``due_ns`` was the next due time at the former interval ``was_ns``. The probes of a process change together;
        each keeps its place within the interval, or all their requests would be due at one moment ever after.
        """
        last_ns = due_ns - was_ns
        return last_ns + max(1, -((last_ns - now_ns) // self.interval_ns)) * self.interval_ns

    def tell(self, sink: Sink, first_seq: int, since_ns: int, interval_ns: int | None = None) -> None:
        """Record that this rate applies from sample ``first_seq`` on, due at ``since_ns``.

        ``interval_ns`` is the actual interval if the host cannot keep the requested one.
        """
        sink.event(
            self._order.name,
            "pace",
            pace=self.name,
            first_seq=first_seq,
            since_ns=since_ns,
            interval_ns=self.interval_ns if interval_ns is None else interval_ns,
            batch_ns=self.pace.batch_ns if self._order.kind == "ticks" else 0,
        )
