"""The probe of the alert log: its entries as it grows, and the traces in which VKTM and the log writer note what
they measured.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from lpmkit.errors import LpmError
from lpmkit.oracle.alert_log import LogEvent
from lpmkit.oracle.diag import DiagFollower
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.event_rows import as_row
from lpmkit.oracle.log_tail import AlertFollower, Position, alert_log_places, find_alert_log, find_clusterware_log
from lpmkit.probes.orders import ProbeOrder, Sink
from lpmkit.probes.pending import Pending, SideThread
from lpmkit.probes.watched_database import LAST_ANSWER_S, SESSION_LOGON_S, Database, report_refusal
from lpmkit.ssh.refusals import is_refusal
from lpmkit.timeline import Clock

_TRACES = ("_vktm_", "_lgwr_")
_DIAG_TRACE = "select value from v$diag_info where name = 'Diag Trace'"
_DUMP_DEST = "select value from v$parameter where name = 'background_dump_dest'"
#: Readings of a file that are remembered: an entry that goes on for longer is placed less exactly.
MAX_READINGS = 60
#: The interval at which it is recorded that the log was read.
READING_EVERY_NS = 10_000_000_000
#: New entries of one file, each with the last reading at which it was not there (`None`: not known).
Entry = tuple[str, list[tuple[LogEvent, int | None]]]


class AlertProbe:
    """Follows the alert log and the traces beside it.

    Read over an ordinary login with ``ls``, ``wc`` and ``tail``, or by SQL where the site file has ``alert_log:
    V$DIAG_ALERT_EXT``.
    """

    def __init__(self, order: ProbeOrder, database: Database, clock: Clock | None = None) -> None:
        self.order, self.database = order, database
        self.clock = clock or Clock()
        self._followers: dict[str, AlertFollower | DiagFollower] = {}
        self._reported: set[str] = set()
        self._traces_known = False
        self._before: list[Entry] = []
        self._recorded_ns = -READING_EVERY_NS
        self._listed_ns = 0
        self._hostname: str | None = None
        #: The last readings of each file: when it began, and up to which byte the file was read.
        self._readings: dict[str, deque[tuple[int, int]]] = {}

    def run(self, stop: threading.Event, sink: Sink) -> None:
        """Follow until ``stop`` is set, then look once more. A refused account ends the probe."""
        side = SideThread(self.order.name)
        while True:
            due = self.clock.mono_ns() + self.order.interval_ns
            pending = side.do(self._poll)
            if not pending.wait(stop) and not pending.done.wait(LAST_ANSWER_S):
                text = "the alert log's last lines were not read when the probe ended"
                sink.event(self.order.name, "probe-trouble", what=text)
                return
            if not self._report(pending, sink):
                side.end()
                return
            if stop.is_set():
                break
            stop.wait(max(0.0, due - self.clock.mono_ns()) / 1e9)
        last = side.do(self._finish)
        if last.done.wait(LAST_ANSWER_S):
            self._recorded_ns = -READING_EVERY_NS
            self._report(last, sink)
        side.end()

    def _report(self, pending: Pending[list[Entry]], sink: Sink) -> bool:
        """Record what was read; false where nothing more will be, because the account is refused."""
        if pending.trouble is not None:
            if report_refusal(self.order.name, pending.trouble, self.database.accounts, sink):
                return False
            text = str(pending.trouble)
            if text not in self._reported:
                self._reported.add(text)
                what = text if self._followers else f"not looked at: {text}"
                sink.event(self.order.name, "probe-trouble", what=what)
            return True
        for path, events in pending.value:
            for event, since_ns in events:
                row = as_row(event, path, self.clock.mono_ns(), self.clock.wall_ns(), since_ns)
                sink.observation(self.order.name, row)
        for path, follower in self._followers.items():
            for gap in follower.gaps:
                sink.event(self.order.name, "probe-trouble", what=gap)
            follower.gaps.clear()
            if path not in self._reported:
                self._reported.add(path)
                sink.event(self.order.name, "alert-log", path=path, hostname=self._hostname)
        self._report_reading(sink)
        return True

    def _report_reading(self, sink: Sink) -> None:
        """Record that the log was read to its end: a quiet log and one that is not read look alike otherwise."""
        last = min((readings[-1][0] for readings in self._readings.values() if readings), default=None)
        if last is not None and last - self._recorded_ns >= READING_EVERY_NS:
            self._recorded_ns = last
            row = {"mono_ns": last, "wall_ns": self.clock.wall_ns(), "read": sorted(self._readings)}
            sink.observation(self.order.name, row)

    def _poll(self) -> list[Entry]:
        if not self._followers:
            self._begin()
        self._find_traces()
        before, self._before = self._before, []
        return [*before, *(self._read(path, follower) for path, follower in list(self._followers.items()))]

    def _read(self, path: str, follower: AlertFollower | DiagFollower, *, last: bool = False) -> Entry:
        """The new entries of a file, each with the reading of the file at which its first line was not there yet."""
        now, readings = self.clock.mono_ns(), self._readings.setdefault(path, deque(maxlen=MAX_READINGS))
        events = (*follower.poll(), *(follower.finish() if last else ()))
        if follower.began_anew:
            readings.clear()
        if not follower.is_there and path.endswith(".trc"):  # removed with old traces; it may come again
            del self._followers[path], self._readings[path]
            return path, []
        placed = [(event, _missing_at(readings, event.offset)) for event in events]
        if follower.is_there or last:
            readings.append((now, follower.position.offset))
        return path, placed

    def _finish(self) -> list[Entry]:
        return [self._read(path, follower, last=True) for path, follower in list(self._followers.items())]

    def _begin(self) -> None:
        given = str(self.order.options.get("alert_log") or "")
        if given.upper() == DiagFollower.path:
            view = DiagFollower(self.database.open(SESSION_LOGON_S))
            self._followers[view.path] = view
            view.poll()
            self._before = [(view.path, [(event, None) for event in view.before])]
            return
        with self.database.accounts.attempt(self.database.login):
            listed = self.database.host.run(["ls", *([given] if given else alert_log_places(self.database.way.sid))])
        self._hostname = self.database.host.run(["hostname"]).output.strip() or None
        path = given or self._found(listed.output.splitlines())
        follower = AlertFollower(self.database.host, path)
        follower.poll()
        self._followers[path] = follower
        self._before = [(path, [(event, None) for event in follower.before])]
        cluster = find_clusterware_log(self.database.host, self._hostname) if self._hostname else None
        if cluster is not None:
            beside = AlertFollower(self.database.host, cluster)
            beside.poll()
            self._followers[cluster] = beside
            self._before.append((cluster, [(event, None) for event in beside.before]))

    def _found(self, listed: Sequence[str]) -> str:
        """The path of the log: at one of the usual places, else the instance's own diagnostic directory."""
        sid = self.database.way.sid
        usual = any(line in alert_log_places(sid) for line in listed)
        return find_alert_log(self.database.host, sid, None if usual else self._directory())

    def _directory(self) -> str | None:
        """The folder that the instance writes to; ``None`` when it cannot be asked."""
        try:
            connection = self.database.open(SESSION_LOGON_S)
        except LpmError as error:
            if is_refusal(error):
                raise
            return None
        try:
            for sql in (_DIAG_TRACE, _DUMP_DEST):
                try:
                    rows = connection.rows(sql)
                except QueryFailed:
                    continue  # a release without that view, or a user without that grant
                if rows and rows[0][0]:
                    return rows[0][0]
        finally:
            connection.close()
        return None

    def _find_traces(self) -> None:
        """Follow the traces of VKTM and the log writer.

        They are made with their first entry: one that is new since we began is read from its beginning.
        """
        paths = [path for path in self._followers if path.endswith(".log")]
        if not paths:
            return
        # the first is the instance's own, beside which its traces are
        folder = paths[0].rpartition("/")[0]
        now = self.clock.mono_ns()
        names = self.database.host.run(["ls", folder]).output.split()
        for name in names:
            path = f"{folder}/{name}"
            if path in self._followers or not name.endswith(".trc") or not any(mark in name for mark in _TRACES):
                continue
            self._followers[path] = AlertFollower(self.database.host, path, Position() if self._traces_known else None)
            if not self._traces_known:
                self._followers[path].poll()
            else:
                # it was not there when the folder was listed last
                self._readings[path] = deque([(self._listed_ns, 0)], maxlen=MAX_READINGS)
        self._listed_ns = now
        self._traces_known = True


def _missing_at(readings: Iterable[tuple[int, int]], offset: int) -> int | None:
    """The last reading that ended before a byte; ``None`` where there is none."""
    return max((at for at, end in readings if end <= offset), default=None)
