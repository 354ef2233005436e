"""Probes of an Oracle database: a session that stays, fresh logons, a listener that is pinged, states, and the alert log. They run in a process of their own.

A statement can hang as long as a partition stands still, so nobody here waits for one: every question is asked in a thread beside the probe, the probe keeps to
its schedule, and a question that is never answered leaves its mark all the same.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpmkit.errors import LpmError
from lpmkit.oracle import state
from lpmkit.oracle.alert_log import LogEvent
from lpmkit.oracle.connections import Connection, ConnectionSettings, QueryFailed, connect, log_on_once
from lpmkit.oracle.diag import DiagFollower
from lpmkit.oracle.event_rows import as_row
from lpmkit.oracle.log_tail import AlertFollower, Position, alert_log_places, find_alert_log
from lpmkit.oracle.tnsping import ping
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Outcome, Sample

RECONNECT_S = 1.0
#: Questions that fell due while one was unanswered are asked late, so many at most; the ones before them are told as not asked.
MAX_LATE = 20
#: So many attempts may be under way at once; a frozen listener takes connections and answers none.
MAX_OPEN = 8
#: A ping of a listener that takes longer is given up.
PING_LIMIT_S = 5.0
_TRACES = ("_vktm_", "_lgwr_")


@dataclass(frozen=True, slots=True)
class Database:
    """What a probe needs of the database that it asks."""

    way: ConnectionSettings
    password: str | None
    host: SshSession
    limit_s: float

    @classmethod
    def of(cls, order: ProbeOrder, secrets: Secrets) -> Database:
        options = order.options
        way = ConnectionSettings.from_data(options["way"])
        host = SshSession(
            route(order.host, Path(order.ssh_config) if order.ssh_config else None),
            password=secrets.get(order.password, order.host),
        )
        password = secrets.get(options.get("password"), f"database {way.sid}")
        return cls(way, password, host, float(options.get("limit_s", 60.0)))

    def open(self, limit_s: float) -> Connection:
        return connect(self.way, self.password, self.host, limit_s)


class _Beside:
    """A thread that carries out what it is given, one after the other; whoever gave it may wait, or go on."""

    def __init__(self, name: str) -> None:
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name=name).start()

    def do(self, work: Callable[[], Any]) -> _Pending:
        pending = _Pending(work)
        self._todo.put(pending.run)
        return pending

    def end(self) -> None:
        self._todo.put(None)

    def _work(self) -> None:
        while (work := self._todo.get()) is not None:
            work()


class _Pending:
    """Something that is being asked. ``done`` is set when ``value`` or ``trouble`` is there."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.done = threading.Event()
        self.value: Any = None
        self.trouble: Exception | None = None

    def run(self) -> None:
        try:
            self.value = self._work()
        except Exception as trouble:  # noqa: BLE001 - handed over to whoever asked
            self.trouble = trouble
        self.done.set()

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the end; false when ``stop`` was set first."""
        while not self.done.wait(0.05):
            if stop.is_set():
                return self.done.is_set()
        return True


def failed_sample(seq: int, due: int, sent: int, ended: int, trouble: BaseException) -> Sample:
    """What a question that failed leaves behind. A refusal is an answer of a kind: its moment is kept."""
    if isinstance(trouble, QueryFailed):
        outcome, detail = trouble.outcome, trouble.what
    else:
        outcome, detail = Outcome.LOST, str(trouble)
    answered = ended if outcome is Outcome.REFUSED else None
    return Sample(seq, due, sent, answered, outcome=outcome, detail=detail)


class SessionProbe:
    """One long-lived session that is asked who it is, every interval; with a table to write to, each beat is a commit.

    A session is a queue: what falls due while a question is unanswered is asked after it, and its sample says when it was due.
    """

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()
        self._asked: Connection | None = None
        self._known: tuple[str | None, ...] | None = None
        self._connections = 0
        self._said = ""

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        beside = _Beside(self.order.name)
        due, seq, opened = self.clock.mono_ns(), 0, -(1 << 62)
        while not stop.is_set():
            now = self.clock.mono_ns()
            if now < due:
                stop.wait((due - now) / 1e9)
                continue
            while now - due > MAX_LATE * self.order.interval_ns:
                seq += 1
                detail = "not asked: the one before it was not answered yet"
                sink.sample(self.order.name, Sample(seq, due, outcome=Outcome.SILENT, detail=detail))
                due += self.order.interval_ns
            seq += 1
            if self._asked is None and now - opened < RECONNECT_S * 1e9:
                sink.sample(self.order.name, Sample(seq, due, outcome=Outcome.LOST, detail=self._said))
            else:
                opened = now if self._asked is None else opened
                self._beat(seq, due, beside, stop, sink)
            due += self.order.interval_ns
        beside.do(self._close)
        beside.end()

    def _beat(self, seq: int, due: int, beside: _Beside, stop: threading.Event, sink: Sink) -> None:
        sent = self.clock.mono_ns()
        pending = beside.do(self._ask)
        if not pending.wait(stop):
            sink.sample(
                self.order.name,
                Sample(seq, due, sent, outcome=Outcome.SILENT, detail="unanswered when the probe ended"),
            )
            return
        if pending.trouble is not None:
            sink.sample(self.order.name, failed_sample(seq, due, sent, self.clock.mono_ns(), pending.trouble))
            self._failed(pending.trouble, sink)
            return
        answered, beat = pending.value
        sink.sample(self.order.name, Sample(seq, due, sent, answered))
        self._said = ""
        if beat is not None and state.identity(beat) != self._known:
            self._known = state.identity(beat)
            sink.event(self.order.name, "db-session", connection=self._connections, way=self.database.way.way, **beat)

    def _ask(self) -> tuple[int, dict[str, str | None] | None]:
        if self._asked is None:
            self._asked = self.database.open(min(self.database.limit_s, 20.0))
            self._connections += 1
        table = self.order.options.get("commit_table")
        if table and self._known is not None:
            self._asked.change(f"update {table} set at = systimestamp", self.database.limit_s)  # noqa: S608 - a name that the site file was checked for
            return self.clock.mono_ns(), None
        rows = self._asked.rows(state.BEAT, self.database.limit_s)
        answered = self.clock.mono_ns()
        return answered, state.beat_of(rows)

    def _failed(self, trouble: Exception, sink: Sink) -> None:
        dead = not isinstance(trouble, QueryFailed) or trouble.dead or self._asked is None
        if dead:
            self._close()
            self._known = None
        if str(trouble) != self._said:
            self._said = str(trouble)
            sink.event(self.order.name, "probe-trouble", what=self._said)

    def _close(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.close()


class AttemptProbe:
    """Something fresh every interval, whatever became of the last one: a logon, a ping. Each is broken off at its limit."""

    def __init__(self, order: ProbeOrder, attempt: Callable[[], None], clock: Clock | None = None) -> None:
        self.order, self._attempt = order, attempt
        self.clock = clock or Clock()
        self._open = 0
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set."""
        due, seq = self.clock.mono_ns(), 0
        under_way: dict[int, tuple[int, int, _Pending]] = {}
        while not stop.is_set():
            self._gather(under_way, sink)
            now = self.clock.mono_ns()
            if now < due:
                stop.wait(min(0.05, (due - now) / 1e9))
                continue
            seq += 1
            if len(under_way) >= MAX_OPEN:
                sink.sample(
                    self.order.name,
                    Sample(seq, due, outcome=Outcome.SILENT, detail=f"not tried: {MAX_OPEN} attempts are unanswered"),
                )
            else:
                pending = _Pending(self._timed)
                under_way[seq] = (due, now, pending)
                threading.Thread(target=pending.run, daemon=True, name=f"{self.order.name}-{seq}").start()
            due += self.order.interval_ns
        self._gather(under_way, sink)
        for number, (due_ns, sent, _) in under_way.items():
            sink.sample(
                self.order.name,
                Sample(number, due_ns, sent, outcome=Outcome.SILENT, detail="unanswered when the probe ended"),
            )

    def _timed(self) -> int:
        self._attempt()
        return self.clock.mono_ns()

    def _gather(self, under_way: dict[int, tuple[int, int, _Pending]], sink: Sink) -> None:
        for number, (due, sent, pending) in list(under_way.items()):
            if not pending.done.is_set():
                continue
            del under_way[number]
            if pending.trouble is None:
                sink.sample(self.order.name, Sample(number, due, sent, pending.value))
                continue
            sink.sample(self.order.name, failed_sample(number, due, sent, self.clock.mono_ns(), pending.trouble))
            if str(pending.trouble) not in self._told and len(self._told) < 20:
                self._told.add(str(pending.trouble))
                sink.event(self.order.name, "probe-trouble", what=str(pending.trouble))


class StateProbe:
    """What the database says of itself, again and again, over a session of its own: before and after come out of it."""

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Ask at once, every interval, and once more when it ends."""
        beside, said, asked = _Beside(self.order.name), "", None
        while True:
            due = self.clock.mono_ns() + self.order.interval_ns
            pending = beside.do(lambda asked=asked: self._look(asked))  # type: ignore[misc]
            if not pending.wait(stop) and not pending.done.wait(3.0):
                sink.event(
                    self.order.name, "probe-trouble", what="the last state was not answered when the probe ended"
                )
                return
            if pending.trouble is not None:
                asked = None
                if str(pending.trouble) != said:
                    said = str(pending.trouble)
                    sink.event(self.order.name, "probe-trouble", what=said)
            else:
                asked, found = pending.value
                sink.observation(self.order.name, found)
            if stop.is_set():
                break
            stop.wait(max(0.0, due - self.clock.mono_ns()) / 1e9)
        if asked is not None:
            beside.do(asked.close).done.wait(2.0)
        beside.end()

    def _look(self, asked: Connection | None) -> tuple[Connection, Mapping[str, Any]]:
        """One state; over a new session when the old one turns out to be dead."""
        if asked is not None:
            try:
                return asked, self._state(asked)
            except QueryFailed as trouble:
                asked.close()
                if not trouble.dead:
                    raise
        asked = self.database.open(20.0)
        try:
            return asked, self._state(asked)
        except BaseException:
            asked.close()
            raise

    def _state(self, asked: Connection) -> Mapping[str, Any]:
        wall, sent = self.clock.wall_ns(), self.clock.mono_ns()
        own = state.beat_of(asked.rows(state.BEAT, 30.0))
        answered = self.clock.mono_ns()
        when = {"mono_ns": sent, "wall_ns": wall, "own": own, "own_sent_ns": sent, "own_answered_ns": answered}
        return {**when, **state.gather(asked, 30.0)}


class AlertProbe:
    """The alert log, line by line as it grows, and the traces in which VKTM and the log writer note what they measured.

    Read over an ordinary login with ``ls``, ``wc`` and ``tail``, or by SQL where the site file says ``alert_log: V$DIAG_ALERT_EXT``.
    """

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()
        self._followers: dict[str, AlertFollower | DiagFollower] = {}
        self._told: set[str] = set()
        self._traces_known = False
        self._before: list[tuple[str, Iterable[LogEvent]]] = []

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Follow until ``stop`` is set, then look once more."""
        beside = _Beside(self.order.name)
        while True:
            due = self.clock.mono_ns() + self.order.interval_ns
            pending = beside.do(self._poll)
            if not pending.wait(stop) and not pending.done.wait(3.0):
                sink.event(
                    self.order.name,
                    "probe-trouble",
                    what="the alert log's last lines were not read when the probe ended",
                )
                return
            self._tell(pending, sink)
            if stop.is_set():
                break
            stop.wait(max(0.0, due - self.clock.mono_ns()) / 1e9)
        last = beside.do(self._finish)
        if last.done.wait(3.0):
            self._tell(last, sink)
        beside.end()

    def _tell(self, pending: _Pending, sink: Sink) -> None:
        if pending.trouble is not None:
            text = str(pending.trouble)
            if text not in self._told:
                self._told.add(text)
                sink.event(
                    self.order.name, "probe-trouble", what=f"not looked at: {text}" if not self._followers else text
                )
            return
        for path, events in pending.value:
            for event in events:
                sink.observation(self.order.name, as_row(event, path, self.clock.mono_ns(), self.clock.wall_ns()))
        for path, follower in self._followers.items():
            for gap in follower.gaps:
                sink.event(self.order.name, "probe-trouble", what=gap)
            follower.gaps.clear()
            if path not in self._told:
                self._told.add(path)
                sink.event(self.order.name, "alert-log", path=path)

    def _poll(self) -> list[tuple[str, Iterable[LogEvent]]]:
        if not self._followers:
            self._begin()
        self._find_traces()
        before, self._before = self._before, []
        return [*before, *((path, follower.poll()) for path, follower in list(self._followers.items()))]

    def _finish(self) -> list[tuple[str, Iterable[LogEvent]]]:
        return [(path, (*follower.poll(), *follower.finish())) for path, follower in list(self._followers.items())]

    def _begin(self) -> None:
        given = str(self.order.options.get("alert_log") or "")
        if given.upper() == DiagFollower.path:
            self._followers[DiagFollower.path] = DiagFollower(self.database.open(20.0))
            return
        path = given or find_alert_log(self.database.host, self.database.way.sid, self._directory())
        follower = AlertFollower(self.database.host, path)
        follower.poll()
        self._followers[path] = follower
        self._before = [(path, follower.before)]

    def _directory(self) -> str | None:
        """Where the instance says that it writes; ``None`` when it cannot be asked, and the usual places are tried."""
        sid = self.database.way.sid
        known = self.database.host.run(["ls", *alert_log_places(sid)])
        if any(line in alert_log_places(sid) for line in known.output.splitlines()):
            return None
        try:
            asked = self.database.open(20.0)
        except LpmError:
            return None
        try:
            for sql in (_DIAG_TRACE, _DUMP_DEST):
                try:
                    rows = asked.rows(sql)
                except QueryFailed:
                    continue  # a release without that view, or a user without that grant
                if rows and rows[0][0]:
                    return rows[0][0]
        finally:
            asked.close()
        return None

    def _find_traces(self) -> None:
        """Traces of VKTM and the log writer. They come to be with their first entry: what is new since we began is read from its beginning."""
        paths = [path for path in self._followers if path.endswith(".log")]
        if not paths:
            return
        folder = paths[0].rpartition("/")[0]
        names = self.database.host.run(["ls", folder]).output.split()
        for name in names:
            path = f"{folder}/{name}"
            if path in self._followers or not name.endswith(".trc") or not any(mark in name for mark in _TRACES):
                continue
            self._followers[path] = AlertFollower(self.database.host, path, Position() if self._traces_known else None)
            if not self._traces_known:
                self._followers[path].poll()
        self._traces_known = True


_DIAG_TRACE = "select value from v$diag_info where name = 'Diag Trace'"
_DUMP_DEST = "select value from v$parameter where name = 'background_dump_dest'"


def build(order: ProbeOrder, known: Mapping[str, str]) -> SessionProbe | AttemptProbe | StateProbe | AlertProbe:
    """The probe that an order asks for."""
    if order.kind == "tnsping":
        listener = str(order.options["listener"])
        return AttemptProbe(order, lambda: ping(listener, PING_LIMIT_S))
    database = Database.of(order, Secrets(known, may_ask=False))
    if order.kind == "logon":
        limit_s = float(order.options["logon_limit_s"])
        return AttemptProbe(order, lambda: log_on_once(database.way, database.password, database.host, limit_s))
    if order.kind == "db-state":
        return StateProbe(order, database)
    if order.kind == "alert":
        return AlertProbe(order, database)
    return SessionProbe(order, database)
