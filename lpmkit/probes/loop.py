"""The event loop of a probes' process: one thread takes the turns of all its periodic probes.

A probe is a generator (`Turns`). It yields a `Wait` until a time has passed or something can be read, or an `Aside` for
work that may block, such as a login, which gets a thread of its own. Between two yields it must not block: every other
probe of the process waits for it.

A thread for each probe would wait for Python's lock: with a thousand of them requests leave seconds late
(``python -m benchmarks.observer_load``).
"""

from __future__ import annotations

import heapq
import os
import queue
import select
import selectors
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpmkit.probes.orders import Sink

#: Seconds between two looks at whether the probes must end.
LOOK_S = 0.1
#: Seconds that work aside may take at the end; a login to a dead host takes longer and is left to itself.
END_S = 5.0


class Readable(Protocol):
    """Anything with a file descriptor: a socket, a channel, a selector."""

    def fileno(self) -> int:
        """The file descriptor."""
        ...


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait so many seconds at most, or until ``reading`` can be read: the yield is true then."""

    seconds: float
    reading: Readable | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """Work for a thread of its own. The yield is its result, or raises its error."""

    work: Callable[[], Any]


#: The course of a periodic probe: it yields what it waits for.
Turns = Generator[Wait | Aside, Any, None]


class Turning:
    """Base of the periodic probes: `turns` for a loop of many, `run` for one alone."""

    def turns(self, stop: threading.Event, sink: Sink) -> Turns:
        """Probe until ``stop`` is set."""
        raise NotImplementedError

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set, in a loop of its own."""
        take_turns((self.turns(stop, sink),), stop)


def rested(stop: threading.Event, seconds: float | None = None) -> Turns:
    """Let time pass until ``stop`` is set: so many seconds at most."""
    until = None if seconds is None else time.monotonic() + seconds
    while not stop.is_set():
        left_s = 1.0 if until is None else until - time.monotonic()
        if left_s <= 0:
            return
        yield Wait(left_s)


@dataclass(eq=False, slots=True)
class _Task:
    """One probe's turns; ``number`` counts them, so that a timer of an earlier turn wakes nobody."""

    turns: Turns
    number: int = 0
    reading: Readable | None = None
    is_aside: bool = False
    is_over: bool = field(default=False)


class _Loop:
    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, int, _Task]] = []
        self._order = 0
        self._done: queue.SimpleQueue[tuple[_Task, Any, BaseException | None]] = queue.SimpleQueue()
        self._woken, self._wake = os.pipe()
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def run(self, all_turns: Iterable[Turns]) -> None:
        tasks = [_Task(turns) for turns in all_turns]
        try:
            for task in tasks:
                self._turn(task, None)
                self._pass()
            while not self._stop.is_set() and not all(task.is_over for task in tasks):
                self._pass(LOOK_S)
            self._end(tasks)
        finally:
            for task in tasks:
                task.turns.close()
            self._selector.close()
            os.close(self._wake)
            os.close(self._woken)

    def _end(self, tasks: list[_Task]) -> None:
        """Give every probe the turns in which it ends."""
        deadline = time.monotonic() + END_S
        for task in tasks:
            if not task.is_aside:
                self._turn(task, False)
        while time.monotonic() < deadline and not all(task.is_over for task in tasks):
            self._pass(LOOK_S)

    def _pass(self, longest_s: float = 0.0) -> None:
        """Wait for the next thing to do, at most so long, and do everything that is to be done by then."""
        now = time.monotonic()
        if self._timers:
            longest_s = min(longest_s, max(0.0, self._timers[0][0] - now))
        for task, number in self._readable(longest_s):
            self._due()  # what came has its stamp from the kernel and may wait; what is to leave may not
            if task.number == number:  # otherwise it had a turn by now, and is told again if it still wants to read
                self._turn(task, True)
        self._due()

    def _due(self) -> None:
        """Give their turns to the probes whose time has come."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, number, task = heapq.heappop(self._timers)
            if task.number == number and not task.is_aside:
                self._turn(task, False)

    def _readable(self, longest_s: float) -> list[tuple[_Task, int]]:
        """The probes that can read, each with the number of its turn."""
        # A wait of epoll is rounded up to milliseconds; that of select is not, and one descriptor stands for all.
        if longest_s > 0:
            select.select([self._selector], [], [], longest_s)
        ready = []
        for key, _ in self._selector.select(0):
            if key.fileobj is self._woken:
                self._take_results()
            else:
                ready.append((key.data, key.data.number))
        return ready

    def _take_results(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        while True:
            try:
                task, result, error = self._done.get_nowait()
            except queue.Empty:
                return
            task.is_aside = False
            self._turn(task, result, error)

    def _turn(self, task: _Task, told: Any, error: BaseException | None = None) -> None:
        """Let a probe go on to its next yield."""
        if task.is_over:
            return
        task.number += 1
        try:
            wish = task.turns.send(told) if error is None else task.turns.throw(error)
        except StopIteration:
            task.is_over = True
            self._read(task, None)
            return
        if isinstance(wish, Aside):
            self._read(task, None)
            task.is_aside = True
            threading.Thread(target=self._work, args=(task, wish.work), daemon=True).start()
            return
        self._read(task, wish.reading)
        self._order += 1
        heapq.heappush(self._timers, (time.monotonic() + max(0.0, wish.seconds), self._order, task.number, task))

    def _work(self, task: _Task, work: Callable[[], Any]) -> None:
        result, trouble = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is the probe's, which gets it at its yield
            trouble = error
        self._done.put((task, result, trouble))
        with suppress(OSError):  # awake already, or at its end
            os.write(self._wake, b"\0")

    def _read(self, task: _Task, reading: Readable | None) -> None:
        """Watch what a probe wants to read, and nothing else of it."""
        if task.reading is reading:
            return
        if task.reading is not None:
            with suppress(KeyError, ValueError):
                if self._selector.get_key(task.reading).data is task:
                    self._selector.unregister(task.reading)
        task.reading = reading
        if reading is None:
            return
        try:
            self._selector.register(reading, selectors.EVENT_READ, task)
        except KeyError:
            # The number of something that was closed, and came back.
            number = reading.fileno()
            self._selector.get_key(number).data.reading = None
            self._selector.unregister(number)
            self._selector.register(reading, selectors.EVENT_READ, task)


def take_turns(all_turns: Iterable[Turns], stop: threading.Event) -> None:
    """Run probes in this thread until all have ended, or ``stop`` is set and each has had its last turns.

    An error of one ends all: a probe of many handles its own.
    """
    _Loop(stop).run(all_turns)
