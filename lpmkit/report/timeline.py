"""The timeline of a run: events of the record, entries of machines' logs and suspensions, in the order in which they
happened.

A log's entry was read minutes after it was written, and its stamp is in the local time of its machine, some to the
minute. It is new since the recorder began, so it lies between then and the reading; the stamp narrows that down where
one time zone alone makes it fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lpmkit.analysis import Analysis, Interval
from lpmkit.analysis.error_logs import KERNEL_LOGS, rules_of
from lpmkit.control.codes import known_codes
from lpmkit.oracle.judge import LogPosition
from lpmkit.rules.table import Class
from lpmkit.timeline import Event
from lpmkit.wording.words import Words

#: Events that are requests of ours and their answers, or about our own reading.
OWN = ("intent", "answer", "request", "alert-log", "approved")
#: Events that show what happened to the partition or to the recording.
TOLD = ("phase", "guard", "control-lost", "control-back", "ni-lost", "disk-full", "disk-has-room", "arp")
#: The clocks of machine and observer may differ by so much when a zone is looked for.
CLOCK_SLACK = timedelta(seconds=90)
_ZONES = [timedelta(minutes=15 * quarter) for quarter in range(-48, 57)]
#: Phases that end a move, or leave it in between.
ENDS = ("settled", "failed", "stopped", "needs-recovery")
#: The words of an entry about a migration that did not succeed.
_ABORTED = re.compile(r"abort|undone|failed", re.IGNORECASE)
_DONE = re.compile(r"\bdone\b|_done|completed|\bpost\b|partition id changed", re.IGNORECASE)
_BEFORE = re.compile(r"\b(check|prepare|pre)\b", re.IGNORECASE)
_SUSPEND = re.compile(r"suspend issued", re.IGNORECASE)
_MOVE = re.compile(r"migration|pmig|drmgr", re.IGNORECASE)
#: Entries of an alert log that are shown.
MARKS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened between two instants, nanoseconds since 1970 (equal where it is known exactly).

    ``key`` chooses the words, ``text`` is what a machine or the recorder wrote, ``where`` whom it is about.
    ``resolution_s`` is that of a stamp, ``None`` for an event of our own clock. ``rank`` orders what overlaps.
    """

    lo_ns: int
    hi_ns: int
    key: str
    where: str
    text: str = ""
    label: str = ""
    log: str = ""
    resolution_s: float | None = None
    rank_ns: int = 0
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A stamp of a log in local time, as far as it is printed; ``has_date`` is false for a time of day, ``is_utc`` true
    for seconds since 1970.
    """

    at: datetime
    resolution: timedelta
    has_date: bool = True
    is_utc: bool = False


#: Forms of stamps: pattern, format, resolution, and whether a day is in it.
_FORMS = (
    (r"\d{10}", "%m%d%H%M%y", timedelta(minutes=1), True),
    (r"\w{3} [ \d]\d \d\d:\d\d:\d\d", "%Y %b %d %H:%M:%S", timedelta(seconds=1), True),
    (r"\d\d:\d\d:\d\d", "%Y %H:%M:%S", timedelta(seconds=1), False),
)


def read_stamp(text: str, year: int) -> _Stamp | None:
    """A stamp of ``errpt``, a syslog, nmon or a journal; ``None`` for any other text.

    >>> read_stamp("1130230526", 2026).at.isoformat(), read_stamp("Nov 30 07:12:13", 2026).resolution.seconds
    ('2026-11-30T23:05:00', 1)
    >>> read_stamp("1796115600.000042", 2026).at.isoformat(), read_stamp("3541.218905", 2026)
    ('2026-12-01T09:00:00', None)
    """
    if re.fullmatch(r"\d{10}\.\d{6}", text):  # the journal's; seconds since the start (dmesg) are no instant
        at = datetime.fromtimestamp(int(text[:10]), tz=UTC).replace(tzinfo=None)
        return _Stamp(at, timedelta(seconds=1), is_utc=True)
    for pattern, form, resolution, has_date in _FORMS:
        if re.fullmatch(pattern, text):
            dated = text if "%y" in form else f"{year} {text}"
            try:
                at = datetime.strptime(dated, form)  # noqa: DTZ007 - a log's local time has no zone
            except ValueError:
                return None
            return _Stamp(at, resolution, has_date)
    return None


def moments(analysis: Analysis, events: Sequence[Event]) -> list[TimelineEntry]:
    """Everything that happened, in the order of events."""
    found = [
        TimelineEntry(event.wall_ns, event.wall_ns, event.kind, event.source, rank_ns=event.wall_ns, event=event)
        for event in events
        if event.kind in TOLD
    ]
    found += _suspensions(analysis)
    found += _entries(analysis, events)
    found += _alert_logs(analysis)
    return sorted(found, key=lambda one: one.rank_ns)


def own_requests(events: Sequence[Event]) -> list[Event]:
    """Our own requests and their answers, in the order in which they were recorded."""
    return [event for event in events if event.kind in OWN]


def _suspensions(analysis: Analysis) -> Iterator[TimelineEntry]:
    for host in analysis.hosts:
        for still in host.suspensions:
            for key, edge, rank in (("began", still.begin, still.begin.lo_ns), ("ended", still.end, still.end.hi_ns)):
                low, high = (analysis.wall.at(bound) for bound in (edge.lo_ns, edge.hi_ns))
                yield TimelineEntry(low, high, key, host.host, rank_ns=analysis.wall.at(rank))


def _alert_logs(analysis: Analysis) -> Iterator[TimelineEntry]:
    for database in analysis.databases:
        telling = [mark for mark in database.marks if mark.place is LogPosition.INSIDE]
        shown = [mark for mark in telling if mark.meaning in (Class.FAIL, Class.WARN, Class.EXPECTED)]
        for mark in shown[:MARKS_SHOWN]:
            low, high = (analysis.wall.at(bound) for bound in (mark.at.lo_ns, mark.at.hi_ns))
            yield TimelineEntry(low, high, "entry", database.sid, mark.text, mark.rule, "alert log", 1.0, rank_ns=low)
        if left := shown[MARKS_SHOWN:]:
            low, high = analysis.wall.at(left[0].at.lo_ns), analysis.wall.at(left[-1].at.hi_ns)
            yield TimelineEntry(low, high, "more", database.sid, str(len(left)), rank_ns=low)


def _entries(analysis: Analysis, events: Sequence[Event]) -> Iterator[TimelineEntry]:
    """The entries of the machines' logs, each placed as well as its stamp allows."""
    logs = [event for event in events if event.kind == "log" and not _is_routine(event)]
    begin_ns = min((event.wall_ns for event in events if event.kind == "recorder-started"), default=None)
    by_machine: dict[str, list[Event]] = {}
    for event in logs:
        by_machine.setdefault(str(event.data.get("where")), []).append(event)
    for where, lines in by_machine.items():
        first_ns = begin_ns if begin_ns is not None else lines[0].wall_ns
        window = Interval(min(first_ns, lines[0].wall_ns), max(line.wall_ns for line in lines))
        for line, (span, resolution) in zip(lines, _placed(lines, window), strict=True):
            identifier = str(line.data.get("identifier") or "")
            label = known_codes()[identifier].label if identifier in known_codes() else ""
            text = f"{line.data.get('description')}"
            log = " ".join(dict.fromkeys(filter(None, (str(line.data.get("log")), line.data.get("resource")))))
            rank = _rank(analysis, events, f"{label} {log} {text}", span)
            yield TimelineEntry(span.lo_ns, span.hi_ns, "entry", where, text, label, log, resolution, rank)


def _is_routine(event: Event) -> bool:
    """True if a line is one of the hundreds that a kernel writes about nothing that matters here."""
    log, resource, text, level = (str(event.data.get(name)) for name in ("log", "resource", "description", "type"))
    return log in KERNEL_LOGS and rules_of(log).meaning(resource, text, level)[0] is Class.ROUTINE


def _placed(lines: Sequence[Event], window: Interval) -> Iterator[tuple[Interval, float | None]]:
    """The bounds in time of each entry of one machine, and the resolution of its stamp; the whole window where that is
    not known.
    """
    begin = datetime.fromtimestamp(window.lo_ns / 1e9, tz=UTC).replace(tzinfo=None)
    end = datetime.fromtimestamp(window.hi_ns / 1e9, tz=UTC).replace(tzinfo=None)
    stamps = [read_stamp(str(line.data.get("stamp")), begin.year) for line in lines]
    local = [one for one in stamps if one and not one.is_utc]
    zones = [zone for zone in _ZONES if all(_fits(one, zone, begin, end) is not None for one in local)]
    for stamp in stamps:
        known = [timedelta(0)] if stamp and stamp.is_utc else zones
        at = _fits(stamp, known[0], begin, end) if stamp and len(known) == 1 else None
        if stamp is None or at is None:
            yield window, None
            continue
        low_ns = int(at.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
        high_ns = low_ns + int(stamp.resolution.total_seconds() * 1e9)
        yield (
            Interval(min(max(low_ns, window.lo_ns), window.hi_ns), max(min(high_ns, window.hi_ns), window.lo_ns)),
            stamp.resolution.total_seconds(),
        )


def _fits(stamp: _Stamp, zone: timedelta, begin: datetime, end: datetime) -> datetime | None:
    """The instant (UTC) of a stamp in a time zone, if it lies in the window."""
    days = (0,) if stamp.has_date else range(-2, 3)
    base = stamp.at if stamp.has_date else datetime.combine(begin.date(), stamp.at.time())
    for day in days:
        at = base - zone + timedelta(days=day)
        if begin - CLOCK_SLACK - stamp.resolution <= at <= end + CLOCK_SLACK:
            return at
    return None


def _rank(analysis: Analysis, events: Sequence[Event], text: str, span: Interval) -> int:
    """The place of an entry among what overlaps with it: a move starts after it was asked for, a mover's order to
    suspend comes before the suspension, and a move is done after it.
    """
    asked = [
        event.wall_ns
        for event in events
        if (event.kind == "intent" and event.data.get("what") == "migrate")
        or (event.kind == "phase" and event.data.get("phase") == "asked")
    ]
    ends = [e.wall_ns for e in events if e.kind == "phase" and e.data.get("phase") in ENDS]
    still, rank = analysis.suspension, span.lo_ns
    if _ABORTED.search(text) and ends:
        rank = ends[0] - 1
    elif still is not None and _DONE.search(text) and not _BEFORE.search(text):
        rank = analysis.wall.at(still.end.hi_ns) + 1
    elif still is not None and _SUSPEND.search(text):
        rank = analysis.wall.at(still.begin.lo_ns) - 1
    elif asked and _MOVE.search(text):
        rank = max(asked) + 1
    return min(max(rank, span.lo_ns), span.hi_ns)


def stated_resolution(resolution_s: float | None) -> str:
    """The key of the words for a resolution: ``minute``, ``second``, or ``between`` where the stamp shows nothing."""
    if resolution_s is None:
        return "between"
    return "minute" if resolution_s >= 60 else "second"


def moment_text(moment: TimelineEntry, words: Words) -> str:
    """An entry of a log, how many more there are, or an edge of a suspension, as a sentence."""
    if moment.key != "entry":
        return words(f"timeline.{moment.key}", host=moment.where, count=moment.text)
    text = ": ".join(filter(None, (moment.label, moment.text)))
    bound = words(f"timeline.{stated_resolution(moment.resolution_s)}")
    return f"{moment.where}: {text} ({', '.join(filter(None, (moment.log, bound)))})"
