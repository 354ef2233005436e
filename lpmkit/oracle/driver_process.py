"""A driver of Oracle in a child process with limits of memory, processor time and wall-clock time.

A hostile or broken listener can end a driver with a signal, fill the memory in seconds, or keep it busy for ever. In
here that costs one child: its end becomes a `QueryFailed` in words. The children are forked from a small server process
that has the driver loaded already, so a logon costs no start of Python.
"""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, TypeVar

from lpmkit.background.bounded import bound, bound_memory
from lpmkit.oracle.driver_choice import DatabaseAccess
from lpmkit.oracle.drivers import CLOSE_LIMIT_S, STATE_LIMIT_S, Connection, Row, by_driver
from lpmkit.oracle.errors import QueryFailed
from lpmkit.timeline import Clock, Outcome

#: The memory that a session may take beyond that of the loaded driver, bytes. A hundred thousand rows of V$SESSION
#: take less than half of it.
MAX_MEMORY = 512 << 20
#: The time after the driver's own time-out at which the child is ended, seconds: a fork, and a busy machine.
GRACE_S = 3.0
#: Processor seconds beyond the limit of a question before the kernel ends the child.
CPU_GRACE_S = 5
#: Modules that the server of children has loaded. A child runs the main module of its parent once more, so that of the
#: probes is among them.
_PRELOADED = ("lpmkit.probes.process", "lpmkit.oracle.driver_process", "oracledb", "encodings.idna")
Failure = tuple[str, str, bool]
Value = TypeVar("Value")


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


class ChildConnection:
    """A `lpmkit.oracle.drivers.Connection` whose driver runs in a child process.

    Raises `QueryFailed` at the latest `GRACE_S` after a limit.
    """

    def __init__(
        self, access: DatabaseAccess, password: str | None, limit_s: float, wallet_password: str | None = None
    ) -> None:
        self._way, self._clock, self._lock = access, Clock(), threading.Lock()
        self._closed = False
        self._pipe, far = _context().Pipe()
        self._child = _context().Process(target=_serve, args=(far,), daemon=True, name=f"driver of {access.sid}")
        self._child.start()
        far.close()
        self._ask(("log on", access.as_data(), password, wallet_password), limit_s, access.logon)

    def rows(self, sql: str, limit_s: float = STATE_LIMIT_S) -> list[Row]:
        """See `lpmkit.oracle.drivers.Connection.rows`."""
        rows: list[Row] = self._ask(("rows", sql), limit_s, "answer")
        return rows

    def change(self, sql: str, limit_s: float = STATE_LIMIT_S) -> None:
        """See `lpmkit.oracle.drivers.Connection.change`."""
        self._ask(("change", sql), limit_s, "commit")

    def close(self) -> None:
        """See `lpmkit.oracle.drivers.Connection.close`. A child that is busy is ended."""
        if self._closed:
            return
        if self._lock.acquire(blocking=False):
            try:
                self._pipe.send((("close",), CLOSE_LIMIT_S))
                self._pipe.poll(CLOSE_LIMIT_S)
            except (OSError, EOFError):
                pass  # it has ended already
            finally:
                self._lock.release()
        self._end()

    def _ask(self, question: tuple[Any, ...], limit_s: float, noun: str) -> Any:
        with self._lock:
            if self._closed:
                raise QueryFailed("the session is closed", Outcome.LOST, dead=True, where=self._way.sid)
            try:
                self._pipe.send((question, limit_s))
                if not self._pipe.poll(limit_s + GRACE_S):
                    raise self._aborted(f"no {noun} within {limit_s:g} s; aborted", Outcome.SILENT)
                failure, value = self._pipe.recv()
            except (EOFError, OSError):
                raise self._crashed(noun, limit_s) from None
        if failure is not None:
            text, outcome, dead = failure
            if dead or question[0] == "log on":
                self._end()
            raise QueryFailed(text, Outcome(outcome), dead=dead, where=self._way.sid)
        return value

    def _aborted(self, text: str, outcome: Outcome) -> QueryFailed:
        self._end()
        return QueryFailed(text, outcome, dead=True, where=self._way.sid)

    def _crashed(self, noun: str, limit_s: float) -> QueryFailed:
        self._child.join(GRACE_S)
        code = self._child.exitcode
        if code == -signal.SIGALRM:
            return self._aborted(f"no {noun} within {limit_s:g} s; aborted", Outcome.SILENT)
        try:
            end = signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"
        except ValueError:
            end = f"signal {-(code or 0)}"
        text = (
            f"the driver's process ended with {end}: what answers at {self._way.listener} is no Oracle listener, or "
            "a broken one"
        )
        return self._aborted(text, Outcome.LOST)

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._child.kill()
        self._child.join(GRACE_S)
        self._pipe.close()


def _serve(pipe: Pipe) -> None:
    """Answer questions until there are none: ``(question, limit)`` in, ``(failure or None, value)`` out."""
    with Path(os.devnull).open("wb") as nowhere:  # a driver's tracebacks go nowhere: its error comes over the pipe
        os.dup2(nowhere.fileno(), 2)
    logging.disable(logging.CRITICAL)
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    bound_memory(MAX_MEMORY)
    session: Connection | None = None
    while True:
        try:
            question, limit_s = pipe.recv()
        except (EOFError, OSError):
            break
        _bound_time(limit_s)
        if question[0] == "log on":
            _, data, password, wallet_password = question
            access = DatabaseAccess.from_data(data)
            failure, session = _tried(partial(by_driver, access, password, limit_s, wallet_password))
            answer = None
        else:
            failure, answer = _tried(partial(_asked, session, question, limit_s))
        signal.alarm(0)
        pipe.send((failure, answer))


def _asked(session: Connection | None, question: tuple[str, ...], limit_s: float) -> list[Row] | None:
    if session is None:
        raise QueryFailed("there is no session", Outcome.LOST, dead=True)
    if question[0] == "rows":
        return session.rows(question[1], limit_s)
    if question[0] == "change":
        session.change(question[1], limit_s)
    else:
        session.close()
    return None


def _tried(work: Callable[[], Value]) -> tuple[Failure | None, Value | None]:
    try:
        return None, work()
    except QueryFailed as error:
        return (error.what, error.outcome.value, error.dead), None
    except MemoryError:
        text = (
            f"the answer took more than {MAX_MEMORY >> 20} MB of memory: what answers there is no Oracle listener, "
            "or a broken one"
        )
        return (text, Outcome.LOST.value, True), None
    except Exception as error:  # noqa: BLE001 - a driver's own defect on what a peer sent
        return (f"the driver failed: {type(error).__name__}: {error}", Outcome.LOST.value, True), None


def _bound_time(limit_s: float) -> None:
    """Have the kernel end this process when a question takes too long, whatever its driver does."""
    signal.alarm(int(limit_s + GRACE_S) + 1)
    used = resource.getrusage(resource.RUSAGE_SELF)
    bound(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limit_s) + CPU_GRACE_S)
