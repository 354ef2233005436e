"""The alert log by SQL: ``V$DIAG_ALERT_EXT`` (12.1 on; 11.2 may have it too), for a host without a login.

The view reads Oracle's XML files from end to end, so every question is bounded in time, by the database's own clock and
never by ours.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from lpmkit.oracle.alert_log import EventKind, LogEvent, announces_statement, is_statement
from lpmkit.oracle.drivers import Connection, Row
from lpmkit.oracle.log_tail import Position
from lpmkit.oracle.log_xml import Tags
from lpmkit.oracle.stamps import Moment

_FORM = "YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM"
_NOW = f"select to_char(systimestamp, '{_FORM}') from dual"  # noqa: S608 - a form of our own
_SINCE = (
    # a time of the database's own
    f"select to_char(originating_timestamp, '{_FORM}'), component_id, message_type, message_level,"  # noqa: S608
    " process_id, message_text, problem_key"
    f" from v$diag_alert_ext where originating_timestamp > to_timestamp_tz('{{mark}}', '{_FORM}')"
    " order by originating_timestamp"
)
_TYPES = {"1": "UNKNOWN", "2": "INCIDENT_ERROR", "3": "ERROR", "4": "WARNING", "5": "NOTIFICATION", "6": "TRACE"}
MICROSECOND = timedelta(microseconds=1)
#: The time by which each question reaches back beyond the newest entry: a clock that was set back by less hides
#: nothing. The first reaches back further, for what is usual in this log.
OVERLAP, USUAL = timedelta(minutes=10), timedelta(hours=2)


class DiagFollower:
    """Follows the view. The first `poll` takes its place at the database's present moment and gives nothing."""

    path = "V$DIAG_ALERT_EXT"

    def __init__(self, asked: Connection, limit_s: float = 30.0) -> None:
        self.gaps: list[str] = []
        self.began_anew = False
        self.is_there = True
        #: The entries of the time before the place was taken: what is usual.
        self.before: tuple[LogEvent, ...] = ()
        self._announced = False
        self._asked, self._limit_s = asked, limit_s
        self._mark: datetime | None = None
        self._seen: Counter[tuple[str | None, ...]] = Counter()
        self._count = 0

    def poll(self) -> tuple[LogEvent, ...]:
        """The new entries. Raises `lpmkit.oracle.errors.QueryFailed`.

        Every question reaches back over `OVERLAP`: entries come with the time at which they were written, several with
        the same one, and after a move the host's clock may be set back.
        """
        begins = self._mark is None
        if self._mark is None:
            self._mark = _moment(self._asked.rows(_NOW, self._limit_s)[0][0])
        since = self._mark - (USUAL if begins else OVERLAP)
        mark = f"{since:%Y-%m-%d %H:%M:%S.%f} " + f"{since:%z}"[:3] + ":" + f"{since:%z}"[3:5]
        rows = [tuple(row) for row in self._asked.rows(_SINCE.format(mark=mark), self._limit_s)]
        fresh = Counter(rows) - self._seen
        self._seen = Counter(rows)
        if begins:
            self.before = tuple(map(self._event, rows))
            return ()
        events = []
        for row in rows:
            if fresh[row] > 0:
                fresh[row] -= 1
                events.append(self._event(row))
        self._mark = max([self._mark, *(event.when.earliest for event in events if event.when)])
        return tuple(events)

    @property
    def position(self) -> Position:
        """The number of rows read, for the order of the entries."""
        return Position(offset=self._count + 1)

    def finish(self) -> tuple[LogEvent, ...]:
        return ()

    def _event(self, row: Row) -> LogEvent:
        at = _moment(row[0])
        lines = tuple(line for line in (row[5] or "").splitlines() if line.strip()) or ("",)
        level = int(row[3]) if row[3] and row[3].isdigit() else None
        tags = Tags(
            process=row[4], type=_TYPES.get(row[2] or "", row[2]), level=level, component=row[1], problem=row[6]
        )
        self._count += 1
        kind = EventKind.STATEMENT if self._announced and is_statement(lines[0]) else EventKind.MESSAGE
        self._announced = announces_statement(lines[-1])
        return LogEvent(Moment(at, at + MICROSECOND), lines, self._count, len(lines), kind, tags=tags)


def _moment(text: str | None) -> datetime:
    """
    >>> _moment("2026-11-25 04:00:24.782172 +01:00").utcoffset()
    datetime.timedelta(seconds=3600)
    """
    if text is None:
        raise ValueError("the database says no time")
    return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S.%f %z")
