"""The load on a SAP system: requests counted by interface, and bounded."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable

from lpmkit.timeline import Clock

MINUTE_NS = 60_000_000_000


class Load:
    """Counts requests and holds them back so that no minute has more than the site file allows.

    A request is whatever the system has to answer: an HTTP request, a command over SSH, a function call or a logon.
    """

    def __init__(self, requests_per_minute: int, clock: Clock | None = None) -> None:
        self.limit = requests_per_minute
        self.counts: Counter[str] = Counter()
        self._clock = clock or Clock()
        self._lately: deque[int] = deque()
        self._lock = threading.Lock()

    def take(self, way: str) -> None:
        """Wait until one more request is within the bound, and count it."""
        while (wait_ns := self._wait_ns(way)) > 0:
            self._clock.sleep(wait_ns / 1e9)

    def taking(self, way: str) -> Callable[[], None]:
        """`take` for one way, to be called before every request of it."""
        return lambda: self.take(way)

    def _wait_ns(self, way: str) -> int:
        with self._lock:
            now = self._clock.mono_ns()
            while self._lately and now - self._lately[0] >= MINUTE_NS:
                self._lately.popleft()
            if len(self._lately) >= self.limit:
                return self._lately[0] + MINUTE_NS - now
            self._lately.append(now)
            self.counts[way] += 1
            return 0
