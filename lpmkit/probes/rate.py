"""The pace that a probe keeps, and how it takes up another one.

The recorder says which pace all probes of a process should keep (`RateSetting`). Every probe looks at it in its own loop and begins the new schedule where the
old one ended, so that no slot is owed twice or never, and the record says from which sample on it held (event ``pace``).
"""

from __future__ import annotations

from lpmkit.probes.orders import ProbeOrder, Rate, Sink


class RateSetting:
    """The pace that is wanted now; empty as long as nobody wants another than the one that was ordered. Set by one thread, read by many."""

    def __init__(self) -> None:
        self.wanted = ""


class ProbeRate:
    """The pace that one probe keeps."""

    def __init__(self, order: ProbeOrder, tempo: RateSetting | None = None) -> None:
        self._order, self._tempo = order, tempo or RateSetting()
        self.name, self.pace = order.pace, Rate(order.interval_ns, order.batch_ns)
        self.interval_ns = order.interval_ns

    def follow(self) -> bool:
        """Take up the pace that is wanted; whether it is another one than before. A pace that this probe was not given changes nothing."""
        wanted = self._tempo.wanted
        if wanted in ("", self.name) or wanted not in self._order.paces:
            return False
        self.name, self.pace = wanted, self._order.paces[wanted]
        self.interval_ns = self.pace.interval_ns
        return True

    def next_due(self, due_ns: int, was_ns: int, now_ns: int) -> int:
        """When the next question is due, if ``due_ns`` was so by the interval ``was_ns``: an interval after the last one, but not in the past."""
        return max(now_ns, due_ns - was_ns + self.interval_ns)

    def tell(self, sink: Sink, first_seq: int, since_ns: int, interval_ns: int | None = None) -> None:
        """Put into the record that from sample ``first_seq`` on, due at ``since_ns``, this pace is kept (at another interval if the host cannot keep it)."""
        sink.event(
            self._order.name,
            "pace",
            pace=self.name,
            first_seq=first_seq,
            since_ns=since_ns,
            interval_ns=self.interval_ns if interval_ns is None else interval_ns,
            batch_ns=self.pace.batch_ns if self._order.kind == "ticks" else 0,
        )
