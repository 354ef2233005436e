"""The instants at which entries of an alert log were written, on our own monotonic clock.

Three sources, each a bound: the readings between which an entry appeared (no zone and no clock of the host enters), the
entry's own stamp, and the zone of the log. A stamp with a zone is an instant. One without needs the zone of the *log*,
which is that of the instance's environment and may differ from the session's; it is learned from entries that appeared
while we read. Where it is not known, a stamp can be anything within a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from lpmkit.analysis.model import SECOND, Interval
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle.judge import LogPosition
from lpmkit.oracle.stamps import Moment, instants
from lpmkit.timeline import Event

#: Offsets of zones are whole quarters of an hour.
QUARTER_NS = 900 * SECOND
#: The time by which an entry may appear to be read before its stamp: the bounds of the clock, and stamps in whole
#: seconds.
EARLY_NS = 30 * SECOND
#: The greatest distance of two zones; a clock that is set is set by less.
ANY_ZONE_NS = 26 * 3600 * SECOND
#: The distance of a bound by a stamp from a bound by readings at which the two contradict each other.
TOLERANCE_NS = 2 * SECOND
#: A bound that is wider than this says nothing about how often something was written before the move.
VAGUE_NS = 3600 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class HostClock:
    """The database host's time of day against our monotonic clock: ``offset`` bounds (its nanoseconds since 1970 minus
    ours), and the zone of our session.
    """

    offset: Interval
    zone: tzinfo

    def place(self, when: Moment, zone: tzinfo | None) -> Interval:
        """The span of our clock in which a printed time lies; ``zone`` is that of a time without one."""
        span = instants(when, zone)
        return Interval(_nanoseconds(span.earliest) - self.offset.hi_ns, _nanoseconds(span.latest) - self.offset.lo_ns)

    def there(self, mono_ns: int) -> datetime:
        """The earliest time that the database host's clock showed at an instant of ours, in the session's zone and
        without it.
        """
        micros = (mono_ns + self.offset.lo_ns) // 1000
        return (_EPOCH + timedelta(microseconds=micros)).astimezone(self.zone).replace(tzinfo=None)


def _nanoseconds(at: datetime) -> int:
    return _FAR_NS if at.year >= 9999 else int((at - _EPOCH) / timedelta(microseconds=1)) * 1000


def host_clock(states: Sequence[JsonMapping]) -> HostClock | None:
    """The clock by the answers that print its time: the bounds of all are joined, because a clock may jump in a
    suspension.
    """
    bounds: list[Interval] = []
    zone: tzinfo | None = None
    for row in states:
        own, sent, answered = row.get("own"), row.get("own_sent_ns"), row.get("own_answered_ns")
        at = _zoned(own.get("server_time")) if isinstance(own, Mapping) else None
        if at is None or not isinstance(sent, int) or not isinstance(answered, int):
            continue
        zone = at.tzinfo
        there = _nanoseconds(at)
        bounds.append(Interval(there - answered, there - sent))
    if not bounds or zone is None:
        return None
    return HostClock(Interval(min(bound.lo_ns for bound in bounds), max(bound.hi_ns for bound in bounds)), zone)


def clock_of_the_log(rows: Iterable[JsonMapping]) -> HostClock | None:
    """The clock by the log itself, where no session shows it: by the entries that appeared between two readings, within
    `ANY_ZONE_NS` both ways. It separates the history of a log from what may be of the move.
    """
    bounds = []
    for row in rows:
        seen, since = row.get("mono_ns"), row.get("since_ns")
        try:
            at = datetime.fromisoformat(row["when"][0])
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        if isinstance(seen, int) and isinstance(since, int):
            there = _nanoseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
            bounds.append(Interval(there - seen - ANY_ZONE_NS, there - since + ANY_ZONE_NS))
    if not bounds:
        return None
    return HostClock(Interval(min(bound.lo_ns for bound in bounds), max(bound.hi_ns for bound in bounds)), UTC)


def _zoned(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


class LogTimes:
    """Places the entries of one log and its traces. ``rows`` are the entries as the run keeps them; ``clock`` is that
    of the host by a session of ours, ``None`` where there was none.
    """

    def __init__(self, clock: HostClock | None, rows: Sequence[JsonMapping], begin_ns: int) -> None:
        self.clock, self.begin_ns = clock, begin_ns
        self._by_the_log = clock_of_the_log(rows) if clock is None else None
        self.notes: list[str] = []
        self._learned: list[tuple[int, tzinfo]] = []
        self._zoned: set[timedelta] = set()
        #: Runs of earlier versions keep no readings; of them the session's zone is taken for the log's, as it was then.
        self._is_old = True
        for row in rows:
            self._is_old = self._is_old and "since_ns" not in row
            self._learn(row)

    def _learn(self, row: JsonMapping) -> None:
        try:
            earliest = datetime.fromisoformat(row["when"][0])
            seen, since = int(row["mono_ns"]), row.get("since_ns")
        except (KeyError, TypeError, ValueError, IndexError):
            return
        if earliest.tzinfo is not None:
            self._zoned.add(earliest.utcoffset() or timedelta(0))
        elif self.clock is not None and isinstance(since, int) and seen - since < QUARTER_NS // 2:
            offset_ns = (self.clock.offset.lo_ns + self.clock.offset.hi_ns) // 2
            value = _nanoseconds(earliest.replace(tzinfo=UTC)) - offset_ns - seen
            quarters = math.ceil((value - EARLY_NS) / QUARTER_NS)
            if -48 <= quarters <= 56:
                self._learned.append((seen, timezone(timedelta(minutes=15 * quarters))))

    def zone_at(self, mono_ns: int) -> tzinfo | None:
        """The zone of stamps without one, by the entry that appeared nearest to an instant; ``None`` where there is
        none.
        """
        if not self._learned:
            return self.clock.zone if self._is_old and self.clock is not None else None
        return min(self._learned, key=lambda learned: abs(learned[0] - mono_ns))[1]

    def place(self, when: Moment | None, row: JsonMapping) -> Interval:
        """The span of our clock in which an entry was written."""
        seen, since = int(row["mono_ns"]), row.get("since_ns")
        observed = Interval(min(int(since), seen) if isinstance(since, int) else -_FAR_NS, seen)
        if when is not None and self._by_the_log is not None:
            latest = self._by_the_log.place(when, UTC).hi_ns
            return Interval(observed.lo_ns, min(observed.hi_ns, max(latest, observed.lo_ns)))
        if when is None or self.clock is None:
            return observed
        zone = self.zone_at(seen)
        if not when.zoned and zone is None and observed.lo_ns < self.begin_ns < observed.hi_ns:
            self._note(
                "the zone of the alert log's stamps is not known: an entry that may be of the move counts as "
                "of the move"
            )
        stamped = self.clock.place(when, zone)
        lo, hi = max(observed.lo_ns, stamped.lo_ns), min(observed.hi_ns, stamped.hi_ns)
        if lo <= hi:
            return Interval(lo, hi)
        if isinstance(since, int):
            if stamped.hi_ns < observed.lo_ns - TOLERANCE_NS or stamped.lo_ns > observed.hi_ns + TOLERANCE_NS:
                self._note("stamps of the alert log contradict the readings that found its entries; the readings count")
            return observed
        return Interval(seen, seen)

    def position(self, span: Interval, usual: timedelta) -> tuple[LogPosition, timedelta | None]:
        """The position of an entry to the beginning of the move, and how long after it the entry was written at the
        latest.
        """
        if span.hi_ns > self.begin_ns:
            return LogPosition.INSIDE, timedelta(microseconds=(span.hi_ns - self.begin_ns) / 1000)
        if span.length_ns > VAGUE_NS:
            return LogPosition.BEFORE, None
        after = timedelta(microseconds=(span.hi_ns - self.begin_ns) / 1000)
        return (LogPosition.USUAL if after > -usual else LogPosition.BEFORE), after

    def zone_notes(self) -> list[str]:
        """The remarks about the zones of log and session, and about stamps that could not be placed."""
        log = {zone.utcoffset(None) or timedelta(0) for _, zone in self._learned} | self._zoned
        session = self.clock.zone.utcoffset(None) if self.clock is not None else None
        notes = list(self.notes)
        if session is not None and log and log != {session}:
            names = ", ".join(_offset(offset) for offset in sorted(log))
            notes.append(
                f"the alert log prints times of {names}, sessions of {_offset(session)}: they were compared as instants"
            )
        return notes

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _offset(offset: timedelta) -> str:
    """
    >>> _offset(timedelta(hours=-5)), _offset(timedelta(minutes=345))
    ('UTC-05:00', 'UTC+05:45')
    """
    minutes = int(offset.total_seconds() // 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def shifted(rows: Iterable[JsonMapping], shifts: Mapping[int, int]) -> list[JsonObject]:
    """Observations of all recorders of a run on the first one's monotonic clock."""
    names = ("mono_ns", "since_ns", "own_sent_ns", "own_answered_ns")
    moved = []
    for row in rows:
        shift = shifts.get(int(row.get("segment") or 1), 0)
        changed = {name: row[name] + shift for name in names if shift and isinstance(row.get(name), int)}
        moved.append({**row, **changed})
    return moved


def without_repetitions(rows: Sequence[JsonMapping]) -> list[JsonMapping]:
    """The entries of a log once each: a recorder that takes over reads the end of the log again."""
    seen: set[tuple[str, int, str]] = set()
    once = []
    for row in rows:
        lines = row.get("lines")
        key = (str(row.get("path")), row.get("offset") or 0, str(lines[0]) if isinstance(lines, list) and lines else "")
        if row.get("since_ns") is None and key in seen:
            continue
        seen.add(key)
        once.append(row)
    return once


def sessions_of(events: Sequence[Event], probe: str | None) -> list[Event]:
    """The sessions that a probe opened."""
    return [event for event in events if event.kind == "db-session" and event.data.get("probe") == probe]
