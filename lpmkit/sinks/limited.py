"""A limit of time for work that has none of its own: folders on a network, libraries, plug-ins."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lpmkit.sinks.wire import NotDelivered


class TimeLimit:
    """Calls that take ``timeout_s`` seconds at most. One that takes longer counts as not delivered; it cannot be
    stopped, so none is begun beside it.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._last: threading.Thread | None = None

    def call(self, work: Callable[[], object]) -> None:
        """Do some work. Raises `NotDelivered` where it takes too long, or an earlier one still does, and what the work
        raises.
        """
        if self._last is not None and self._last.is_alive():
            raise NotDelivered("the delivery before this one has not ended yet.")
        raised: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that asked
                raised.append(error)

        self._last = threading.Thread(target=run, daemon=True)
        self._last.start()
        self._last.join(self._timeout_s)
        if self._last.is_alive():
            raise NotDelivered(f"it took longer than {self._timeout_s:g} s.")
        if raised:
            raise raised[0]
