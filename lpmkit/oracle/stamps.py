r"""Times as Oracle prints them: four shapes of a line's stamp, and the time inside a network error block.

::

    Fri Aug 15 14:27:20 2003                    9i to 12.1, and later with UNIFORM_LOG_TIMESTAMP_FORMAT=FALSE
    2017-03-24T17:49:39.327480+09:00            12.2 and later
    2023-01-06 11:23:56.814000 +05:45           adrci, show alert
    *** 2012-06-04 12:19:37.462                 a trace file
      Time: 14-MAR-2018 21:07:55                inside the block of Fatal NI connect error

The first and the last are the host's local time and say not which; they stay without a zone. A stamp in whole seconds
is an interval of one second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
#: The zones of the world lie between these offsets from UTC; a time whose zone is not known can be any of them.
FARTHEST_WEST, FARTHEST_EAST = timedelta(hours=-12), timedelta(hours=14)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class StampForm(Enum):
    """The form in which a log prints its times."""

    CTIME = "ctime"
    ISO = "iso"
    ADRCI = "adrci"
    TRACE = "trace"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Moment:
    """A printed time: it lies in ``[earliest, latest)``. Without a zone it is the database host's local time."""

    earliest: datetime
    latest: datetime

    @property
    def zoned(self) -> bool:
        return self.earliest.tzinfo is not None

    @property
    def resolution_s(self) -> float:
        return (self.latest - self.earliest).total_seconds()

    def until(self, other: Moment | None) -> Moment:
        """The time from here up to another moment, where the two can be compared; else itself."""
        if other is None or other.zoned != self.zoned or other.latest < self.latest:
            return self
        return Moment(self.earliest, other.latest)

    def comes_later_by(self, other: Moment | None) -> timedelta | None:
        """The time by which this is after another; ``None`` where only one of the two has a zone."""
        if other is None or other.zoned != self.zoned:
            return None
        return self.earliest - other.earliest

    @property
    def onwards(self) -> Moment:
        """The time from here on, without a known end."""
        return Moment(self.earliest, datetime.max.replace(tzinfo=self.earliest.tzinfo))

    def __str__(self) -> str:
        return self.earliest.isoformat(sep=" ", timespec="auto" if self.earliest.microsecond else "seconds")


def instants(when: Moment, zone: tzinfo | None) -> Moment:
    """The instants (UTC) that a printed time can be: a time without a zone in ``zone``, or in any zone of the world
    where that is not known.

    Where clocks are set back a local time comes twice, and where they are set forward some never come: both readings
    count.

    >>> from zoneinfo import ZoneInfo
    >>> twice = Moment(datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 2, 30, 1))
    >>> span = instants(twice, ZoneInfo("Europe/Berlin"))
    >>> print(span.earliest, span.latest - span.earliest)
    2026-10-25 00:30:00+00:00 1:00:01
    """
    if when.zoned:
        return Moment(_utc(when.earliest), _utc(when.latest))
    if zone is None:
        return Moment(
            moved(when.earliest.replace(tzinfo=UTC), -FARTHEST_EAST),
            moved(when.latest.replace(tzinfo=UTC), -FARTHEST_WEST),
        )
    first = [_utc(when.earliest.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    last = [_utc(when.latest.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
    return Moment(min(first), max(last))


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return _LAST if at.year > 1 else _FIRST


def moved(at: datetime, by: timedelta) -> datetime:
    """A time earlier or later; at the ends of the calendar its first or last instant."""
    try:
        return at + by
    except OverflowError:
        return _LAST if by > timedelta(0) else _FIRST


@dataclass(frozen=True, slots=True)
class Stamp:
    """A line that is a stamp.

    ``moment`` is ``None`` when the name of its month is unknown; ``rest`` is text behind it.
    """

    form: StampForm
    moment: Moment | None
    rest: str = ""


_CTIME = re.compile(
    r"[^\W\d]+\.? ([^\W\d]+)\.? ([ \d]?\d) (\d\d):(\d\d):(\d\d) "
    r"(?:(?:[A-Za-z]{1,9}|<[-+\w]{1,9}>|(?:GMT|UTC)[+-]\d{1,2}:?\d{0,2}|[+-]\d{2,4}) )?(\d{4})\s*$"
)
_ISO = re.compile(
    r"(\*\*\* )?(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?( ?(?:Z|[+-]\d\d:\d\d))?(?::|:? (.*))?\s*$"
)
#: Behind the stamp of the clusterware's log: the daemon and its process.
_CLUSTERWARE = re.compile(r"\[[^\]\s][^\]]{0,200}\(\d+\)\]\s*CRS-\d+")
_GLUED = re.compile(r"(.*\S)(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} [+-]\d\d:\d\d)")
_INNER = re.compile(r"\s+Time: (\d{1,2})-(\w{3,5})\.?-(\d{4}) (\d\d):(\d\d):(\d\d)")


def read_stamp(line: str) -> Stamp | None:
    r"""The stamp that a line is, or ``None`` for an ordinary line.

    >>> print(read_stamp("Fri Aug 15 14:27:20 2003").moment, read_stamp("Fri Aug  5 14:27:20 2003").moment.resolution_s)
    2003-08-15 14:27:20 1.0
    >>> print(read_stamp("2017-03-24T17:49:39.327480+09:00").moment)
    2017-03-24 17:49:39.327480+09:00
    >>> read_stamp("2023-01-06 11:23:56.814000 +05:45").form
    <StampForm.ADRCI: 'adrci'>
    >>> read_stamp("*** 2012-06-04 12:19:37.462").moment.resolution_s
    0.001
    >>> read_stamp("Fr Mär 15 14:27:20 2003"), read_stamp("Thread 1 advanced to log sequence 8")
    (Stamp(form=<StampForm.CTIME: 'ctime'>, moment=None, rest=''), None)
    """
    if line[:1].isdigit() or line.startswith("*** "):
        return _iso(line)
    found = _CTIME.match(line) if line[-5:-4] == " " or line[-1:].isspace() else None
    if found is None:
        return None
    month, day, hour, minute, second, year = found.groups()
    return Stamp(StampForm.CTIME, _whole_second(year, month, day, hour, minute, second))


def _iso(line: str) -> Stamp | None:
    match = _ISO.match(line)
    if match is None:
        return None
    trace, date, between, time, fraction, zone, rest = match.groups()
    if rest and not zone and not trace and not _CLUSTERWARE.match(rest):
        return None  # a text that begins with a date
    form = StampForm.TRACE if trace else StampForm.ISO if between == "T" else StampForm.ADRCI
    if trace and (rest or "").startswith("("):
        rest = ""  # which container it is about: *** 2021-05-04T22:10:09.1+02:00 (CDB$ROOT(1))
    return Stamp(form, iso_moment(date, time, fraction, zone), rest or "")


def glued_stamp(line: str) -> tuple[str, Stamp] | None:
    """The text and the stamp of a line where adrci printed the next stamp right behind a text that had no end of line.

    >>> text, stamp = glued_stamp("'SYYYY-MM-DD HH24:MI:SS'))2021-12-15 02:00:00.002000 +08:00")
    >>> print(text, stamp.moment)
    'SYYYY-MM-DD HH24:MI:SS')) 2021-12-15 02:00:00.002000+08:00
    """
    match = _GLUED.fullmatch(line)
    stamp = _iso(match[2]) if match else None
    return (match[1], stamp) if match and stamp and stamp.moment else None


def iso_moment(date: str, time: str, fraction: str | None, zone: str | None) -> Moment | None:
    """A moment from its parts; ``None`` when there is no such day or hour."""
    try:
        base = datetime.fromisoformat(f"{date}T{time}{(zone or '').strip()}")
        digits = (fraction or "")[:6]
        earliest = base + timedelta(microseconds=int(digits.ljust(6, "0")) if digits else 0)
        return Moment(earliest, earliest + timedelta(microseconds=10 ** (6 - len(digits))))
    except (ValueError, OverflowError):
        return None


def _whole_second(year: str, month: str, day: str, hour: str, minute: str, second: str) -> Moment | None:
    number = MONTHS.get(month.upper())
    if number is None:
        return None
    try:
        # it says no zone
        earliest = datetime(int(year), number, int(day), int(hour), int(minute), int(second))  # noqa: DTZ001
        return Moment(earliest, earliest + SECOND)
    except (ValueError, OverflowError):
        return None


def read_inner_time(line: str) -> Moment | None:
    """The time inside a network error block; ``None`` for another line or a month in another language.

    >>> print(read_inner_time("  Time: 14-MAR-2018 21:07:55"), read_inner_time("  Time: 14-MÄR-2018 21:07:55"))
    2018-03-14 21:07:55 None
    """
    match = _INNER.match(line)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    return _whole_second(year, month, day, hour, minute, second)
