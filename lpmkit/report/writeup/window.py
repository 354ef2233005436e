"""A change window as people write it, and whether a move lay within it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

_TIME = r"(\d{1,2}):(\d{2})"
_ZONE = r"(?:\s*(UTC|GMT|Z|[+-]\d{2}:?\d{2}))?"
_TIMES = re.compile(rf"{_TIME}(?::\d\d)?\s*(?:-|–|—|…|to|bis|until)\s*{_TIME}(?::\d\d)?{_ZONE}")
_DAY = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b|\b(\d{2})\.(\d{2})\.(\d{4})\b")


@dataclass(frozen=True, slots=True)
class WrittenWindow:
    """A change window that a person wrote: instants in nanoseconds since 1970.

    ``has_zone`` is false where none was written, so that the local time of this machine was taken.
    """

    begin_ns: int
    end_ns: int
    has_zone: bool

    def holds(self, begin_ns: int, end_ns: int) -> bool:
        """True where a stretch of time lies within the window."""
        return self.begin_ns <= begin_ns and end_ns <= self.end_ns


def read_window(text: str, near_ns: int) -> WrittenWindow | None:
    """A change window such as ``22:00-23:00 UTC`` or ``2026-11-30 22:00–23:00 +01:00``; ``None`` for any other text.

    Without a day it is the one that lies nearest to ``near_ns``; an end before the begin is on the next day.

    >>> near = int(datetime(2026, 11, 30, 23, 4, tzinfo=UTC).timestamp()) * 1_000_000_000
    >>> window = read_window("22:00–23:00 UTC", near)
    >>> window.holds(near, near), window.has_zone
    (False, True)
    >>> read_window("Sunday night", near) is None
    True
    """
    found = _TIMES.search(text)
    if found is None:
        return None
    zone = _zone(found[5])
    near = datetime.fromtimestamp(near_ns / 1e9, tz=zone or UTC)
    near = near if zone else near.astimezone()
    try:
        first, last = time(int(found[1]), int(found[2])), time(int(found[3]) % 24, int(found[4]))
        day = _day(text)
    except ValueError:
        return None
    days = [day] if day else [(near + timedelta(days=shift)).date() for shift in (-1, 0, 1)]
    spans = []
    for one in days:
        begin = datetime.combine(one, first, tzinfo=near.tzinfo)
        end = datetime.combine(one, last, tzinfo=near.tzinfo)
        spans.append((begin, end if end > begin else end + timedelta(days=1)))
    begin, end = min(spans, key=lambda span: max(span[0] - near, near - span[1], timedelta(0)))
    return WrittenWindow(_ns(begin), _ns(end), zone is not None)


def _zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in ("UTC", "GMT", "Z"):
        return UTC
    digits = text.replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return timezone(-offset if text.startswith("-") else offset)


def _day(text: str) -> date | None:
    found = _DAY.search(text)
    if found is None:
        return None
    if found[1]:
        return date(int(found[1]), int(found[2]), int(found[3]))
    return date(int(found[6]), int(found[5]), int(found[4]))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
