"""Probes of an Oracle database: an open session, fresh logons, listener pings, states. `lpmkit.probes.alert` has the
log.

A statement hangs as long as a partition is suspended, so no probe waits for one: every query runs in a thread
beside the probe, the probe keeps its schedule, and a query without an answer leaves its sample too. An account that
refuses our credentials is not used a second time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from lpmkit.json_values import JsonMapping
from lpmkit.oracle import state
from lpmkit.oracle.drivers import Connection
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.tnsping import ping
from lpmkit.probes.alert import AlertProbe
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.pending import Pending, SideThread
from lpmkit.probes.watched_database import LAST_ANSWER_S, SESSION_LOGON_S, Database, failed_sample, report_refusal
from lpmkit.ssh.refusals import Accounts, is_refusal
from lpmkit.ssh.secrets import Secrets
from lpmkit.timeline import Clock, Outcome, Sample

RECONNECT_S = 1.0
#: Maximum overdue queries that are sent late; earlier ones are recorded as not asked.
MAX_LATE = 20
#: Maximum concurrent attempts; a frozen listener accepts connections and answers none.
MAX_OPEN = 8
#: Time limit of a listener ping.
PING_LIMIT_S = 5.0


class SessionProbe:
    """Queries the identity over an open session at each interval; with a table to write to, each heartbeat is a commit.

    Queries queue in a session: one that falls due while another is unanswered follows it, and its sample has the
    due time.
    """

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()
        self._connection: Connection | None = None
        self._identity: tuple[str | None, ...] | None = None
        self._connections = 0
        self._last_trouble = ""
        self._refused = False

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set, or the account is refused."""
        side = SideThread(self.order.name)
        due, seq, opened = self.clock.mono_ns(), 0, -(1 << 62)
        while not (stop.is_set() or self._refused):
            now = self.clock.mono_ns()
            if now < due:
                stop.wait((due - now) / 1e9)
                continue
            while now - due > MAX_LATE * self.order.interval_ns:
                seq += 1
                detail = "not asked: the question before it was not answered yet"
                sink.sample(self.order.name, Sample(seq, due, outcome=Outcome.SILENT, detail=detail))
                due += self.order.interval_ns
            seq += 1
            if self._connection is None and now - opened < RECONNECT_S * 1e9:
                sink.sample(self.order.name, Sample(seq, due, outcome=Outcome.LOST, detail=self._last_trouble))
            else:
                opened = now if self._connection is None else opened
                self._beat(seq, due, side, stop, sink)
            due += self.order.interval_ns
        side.do(self._close)
        side.end()

    def _beat(self, seq: int, due: int, side: SideThread, stop: threading.Event, sink: Sink) -> None:
        sent = self.clock.mono_ns()
        pending = side.do(self._ask)
        if not pending.wait(stop):
            detail = "unanswered when the probe ended"
            sink.sample(self.order.name, Sample(seq, due, sent, outcome=Outcome.SILENT, detail=detail))
            return
        if pending.trouble is not None:
            if report_refusal(self.order.name, pending.trouble, self.database.accounts, sink):
                self._refused = True
                return
            sink.sample(self.order.name, failed_sample(seq, due, sent, self.clock.mono_ns(), pending.trouble))
            self._failed(pending.trouble, sink)
            return
        answered, beat = pending.value
        sink.sample(self.order.name, Sample(seq, due, sent, answered))
        self._last_trouble = ""
        if beat is not None and state.identity(beat) != self._identity:
            self._identity = state.identity(beat)
            sink.event(self.order.name, "db-session", connection=self._connections, way=self.database.way.way, **beat)

    def _ask(self) -> tuple[int, dict[str, str | None] | None]:
        if self._connection is None:
            self._connection = self.database.open(min(self.database.limit_s, SESSION_LOGON_S))
            self._connections += 1
        table = self.order.options.get("commit_table")
        if table and self._identity is not None:
            # The site file's check limits the table's name.
            self._connection.change(f"update {table} set at = systimestamp", self.database.limit_s)  # noqa: S608
            return self.clock.mono_ns(), None
        rows = self._connection.rows(state.BEAT, self.database.limit_s)
        answered = self.clock.mono_ns()
        return answered, state.beat_of(rows)

    def _failed(self, trouble: Exception, sink: Sink) -> None:
        dead = not isinstance(trouble, QueryFailed) or trouble.dead or self._connection is None
        if dead:
            self._close()
            self._identity = None
        if str(trouble) != self._last_trouble:
            self._last_trouble = str(trouble)
            sink.event(self.order.name, "probe-trouble", what=self._last_trouble)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class AttemptProbe:
    """A fresh attempt at each interval, independent of earlier ones: a logon, a ping.

    Each is aborted by itself at its limit of ``limit_s`` seconds; a refused account ends the probe. One that is under
    way when the probe ends, and younger than its limit, has no outcome and leaves no row.
    """

    def __init__(
        self,
        order: ProbeOrder,
        attempt: Callable[[], None],
        limit_s: float,
        clock: Clock | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.order, self._attempt, self._limit_ns = order, attempt, int(limit_s * 1e9)
        self._accounts = accounts or Accounts()
        self.clock = clock or Clock()
        self._reported: set[str] = set()
        self._refused = False

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Probe until ``stop`` is set, or the account is refused."""
        due, seq = self.clock.mono_ns(), 0
        under_way: dict[int, tuple[int, int, Pending[int]]] = {}
        while not stop.is_set():
            self._gather(under_way, sink)
            if self._refused:
                return
            now = self.clock.mono_ns()
            if now < due:
                stop.wait(min(0.05, (due - now) / 1e9))
                continue
            seq += 1
            if len(under_way) >= MAX_OPEN:
                detail = f"not tried: {MAX_OPEN} attempts are unanswered"
                sink.sample(self.order.name, Sample(seq, due, outcome=Outcome.SILENT, detail=detail))
            else:
                pending = Pending(self._timed)
                under_way[seq] = (due, now, pending)
                threading.Thread(target=pending.run, daemon=True, name=f"{self.order.name}-{seq}").start()
            due += self.order.interval_ns
        self._gather(under_way, sink)
        ended = self.clock.mono_ns()
        for number, (due_ns, sent, _) in under_way.items():
            if ended - sent >= self._limit_ns:
                detail = "unanswered when the probe ended"
                sink.sample(self.order.name, Sample(number, due_ns, sent, outcome=Outcome.SILENT, detail=detail))

    def _timed(self) -> int:
        self._attempt()
        return self.clock.mono_ns()

    def _gather(self, under_way: dict[int, tuple[int, int, Pending[int]]], sink: Sink) -> None:
        for number, (due, sent, pending) in list(under_way.items()):
            if not pending.done.is_set():
                continue
            del under_way[number]
            if pending.trouble is None:
                sink.sample(self.order.name, Sample(number, due, sent, pending.value))
                continue
            if is_refusal(pending.trouble):
                if not self._refused:
                    report_refusal(self.order.name, pending.trouble, self._accounts, sink)
                self._refused = True
                continue
            sink.sample(self.order.name, failed_sample(number, due, sent, self.clock.mono_ns(), pending.trouble))
            if str(pending.trouble) not in self._reported and len(self._reported) < 20:
                self._reported.add(str(pending.trouble))
                sink.event(self.order.name, "probe-trouble", what=str(pending.trouble))


class StateProbe:
    """Polls the state of the database over a session of its own, for the comparison of before and after."""

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Query at once, at each interval, and once more at the end. A refused account ends the probe."""
        side, last_trouble = SideThread(self.order.name), ""
        connection: Connection | None = None
        while True:
            due = self.clock.mono_ns() + self.order.interval_ns
            pending = side.do(lambda connection=connection: self._look(connection))  # type: ignore[misc]
            if not pending.wait(stop) and not pending.done.wait(LAST_ANSWER_S):
                text = "the last state was not answered when the probe ended"
                sink.event(self.order.name, "probe-trouble", what=text)
                return
            if pending.trouble is not None:
                connection = None
                if report_refusal(self.order.name, pending.trouble, self.database.accounts, sink):
                    break
                if str(pending.trouble) != last_trouble:
                    last_trouble = str(pending.trouble)
                    sink.event(self.order.name, "probe-trouble", what=last_trouble)
            else:
                connection, facts = pending.value
                sink.observation(self.order.name, facts)
            if stop.is_set():
                break
            stop.wait(max(0.0, due - self.clock.mono_ns()) / 1e9)
        if connection is not None:
            side.do(connection.close).done.wait(2.0)
        side.end()

    def _look(self, connection: Connection | None) -> tuple[Connection, JsonMapping]:
        """One state; over a new session when the old one turns out to be dead."""
        if connection is not None:
            try:
                return connection, self._state(connection)
            except QueryFailed as error:
                connection.close()
                if not error.dead:
                    raise
        connection = self.database.open(SESSION_LOGON_S)
        try:
            return connection, self._state(connection)
        except BaseException:
            connection.close()
            raise

    def _state(self, connection: Connection) -> JsonMapping:
        wall, sent = self.clock.wall_ns(), self.clock.mono_ns()
        own = state.beat_of(connection.rows(state.BEAT, 30.0))
        answered = self.clock.mono_ns()
        when = {"mono_ns": sent, "wall_ns": wall, "own": own, "own_sent_ns": sent, "own_answered_ns": answered}
        return {**when, **state.gather(connection, 30.0, state.release_in(own))}


#: Accounts of this process, shared by all probes of its databases.
_ACCOUNTS = Accounts()


def build(
    order: ProbeOrder, known: Mapping[str, str], accounts: Accounts = _ACCOUNTS
) -> SessionProbe | AttemptProbe | StateProbe | AlertProbe:
    """Create the probe of an order."""
    if order.kind == "tnsping":
        listener, protocol = str(order.options["listener"]), str(order.options.get("protocol") or "tcp")
        return AttemptProbe(order, lambda: ping(listener, PING_LIMIT_S, protocol), PING_LIMIT_S)
    database = Database.of(order, Secrets(known, may_ask=False), accounts)
    for account, answered in dict(order.options.get("refused") or {}).items():
        accounts.refuse(account, answered)
    if order.kind == "logon":
        limit_s = float(order.options["logon_limit_s"])
        return AttemptProbe(order, lambda: database.open(limit_s).close(), limit_s, accounts=accounts)
    if order.kind == "db-state":
        return StateProbe(order, database)
    if order.kind == "alert":
        return AlertProbe(order, database)
    return SessionProbe(order, database)
