"""Work in a thread beside a probe, so that a hanging query does not keep the probe from its schedule."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Pending(Generic[Value]):
    """A query in progress. ``done`` is set at its end; then `trouble` is its error, or `value` its result."""

    def __init__(self, work: Callable[[], Value]) -> None:
        self._work = work
        self.done = threading.Event()
        self._value: Value | None = None
        self.trouble: Exception | None = None

    @property
    def value(self) -> Value:
        """The result; valid only without trouble."""
        return self._value  # type: ignore[return-value] # set before `done` where there is no trouble

    def run(self) -> None:
        """Run the work. Called once, in the thread that does it."""
        try:
            self._value = self._work()
        except Exception as error:  # noqa: BLE001 - handed over to the probe
            self.trouble = error
        self.done.set()

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the end; false if ``stop`` was set first."""
        while not self.done.wait(0.05):
            if stop.is_set():
                return self.done.is_set()
        return True


class SideThread:
    """A thread that does its work in order."""

    def __init__(self, name: str) -> None:
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name=name).start()

    def do(self, work: Callable[[], Value]) -> Pending[Value]:
        """Queue work; the probe may wait for it or continue."""
        pending = Pending(work)
        self._todo.put(pending.run)
        return pending

    def end(self) -> None:
        """End the thread after its work."""
        self._todo.put(None)

    def _work(self) -> None:
        while (work := self._todo.get()) is not None:
            work()
