"""The verdict on classified events: counts by rule, excess over the usual rate, notable events.

A `LogWindow` selects the events of the question. Those of the time before it give what is usual: a rule with
``above_usual`` counts as what it says only when it comes more often than then, and is unknown when there is no before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import MAXYEAR, datetime, timedelta, tzinfo
from enum import Enum
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from lpmkit.errors import LpmError, NotFound, UnexpectedReply, UsageError
from lpmkit.json_values import JsonObject
from lpmkit.oracle.alert_log import AlertReader, Counts, EventKind, LogEvent
from lpmkit.oracle.log_xml import read_element
from lpmkit.oracle.rules import Classified, LogRule, LogRules, Witness, severity_of, shape_of, trouble_in
from lpmkit.oracle.stamps import MICROSECOND, Moment, instants, read_stamp
from lpmkit.rules.table import Class
from lpmkit.rules.usual import RARE, chance_of, held_against_usual

#: The number of events of each rule that are kept as they are; all are counted.
MAX_KEPT = 20
#: The number of kinds of lines without a code that are held against the time before, each by itself.
MAX_SHAPES = 500
#: The number of rules, codes and texts that are counted each by itself.
MAX_TALLIES = 4 * MAX_SHAPES
#: A resource of the clusterware: named so in every language.
_RESOURCE = re.compile(r"\bora\.[\w.$-]*\w")
#: A local clock goes back by an hour once a year: a start is looked for this much before.
CLOCK_SET_BACK = timedelta(hours=1, minutes=5)
#: A line of a listener's log: its time, then parts with stars between them.
_LISTENER = re.compile(r"\d{1,2}-\S{3,5}-\d{4} \d\d:\d\d:\d\d \* ")
#: A burst in the time before, of a night's work on a disk or a listener, is one occasion and no rate; what follows a
#: suspension within `NEAR` is held against the rate of occasions. Choices: a quarter of an hour, and the three minutes
#: in which lost sessions are noticed too.
OCCASION, NEAR = timedelta(minutes=15), timedelta(minutes=3)
PIECE, FIRST_STEP, MAX_TO_A_STAMP = 1 << 18, 1 << 16, 1 << 20


class LogPosition(Enum):
    """The position of an event to the window."""

    BEFORE = "before"
    USUAL = "usual"
    INSIDE = "inside"


@dataclass(frozen=True, slots=True)
class LogWindow:
    """The time that the question is about, and the time before it that says what is usual.

    ``since`` without a zone is meant as the log prints its times. With a zone it can be held against a log without one
    only when ``zone``, the database host's, is given. An event without a time cannot be left out and is inside.
    """

    since: datetime | None = None
    usual: timedelta = timedelta(hours=1)
    zone: tzinfo | None = None

    @classmethod
    def asked(cls, since: str | None, usual_h: float = 1.0, zone: str | None = None) -> LogWindow:
        """A window from what an operator typed. Raises `UsageError`.

        >>> LogWindow.asked("2008-08-08T20:14").since, LogWindow.asked("2008-08-08T20:14Z").since.tzinfo
        (datetime.datetime(2008, 8, 8, 20, 14), datetime.timezone.utc)
        """
        try:
            moment = datetime.fromisoformat(since) if since else None
        except ValueError as trouble:
            raise UsageError("that is no time", asked=since, next_step="Type it like 2008-08-08T20:14:00.") from trouble
        try:
            return cls(moment, timedelta(hours=usual_h), ZoneInfo(zone) if zone else None)
        except (ValueError, OSError, LookupError, OverflowError) as trouble:
            raise UsageError("that zone or length of time is not known", asked=zone or str(usual_h)) from trouble

    def place(self, when: Moment | None) -> LogPosition:
        if self.since is None or when is None:
            return LogPosition.INSIDE
        after = self.after_since(when)
        if after > timedelta(0):
            return LogPosition.INSIDE
        return LogPosition.USUAL if after > -self.usual else LogPosition.BEFORE

    def as_asked(self, at: datetime) -> Moment | None:
        """A moment with a zone in the terms of the question; ``None`` when that is the log's own clock and its zone is
        unknown.
        """
        if self.since is not None and self.since.tzinfo is None:
            if self.zone is None:
                return None
            at = at.astimezone(self.zone).replace(tzinfo=None)
        return Moment(at, at + MICROSECOND)

    def after_since(self, when: Moment) -> timedelta:
        """The time from the beginning of the window to the end of a moment.

        Raises `UsageError` when the zones leave it open.
        """
        return self._held_against(when)[1]

    def is_certain(self, when: Moment) -> bool:
        """True if all of a moment lies after the beginning of the window."""
        return self.since is not None and self._held_against(when)[0] >= timedelta(0)

    def _held_against(self, when: Moment) -> tuple[timedelta, timedelta]:
        """The beginning and the end of a moment, after the beginning of the window."""
        assert self.since is not None
        since = self.since
        if since.tzinfo is None and self.zone is None:
            return when.earliest.replace(tzinfo=None) - since, when.latest.replace(tzinfo=None) - since
        if since.tzinfo is None:
            since = instants(Moment(since, since + MICROSECOND), self.zone).earliest
        if not when.zoned and self.zone is None:
            raise UsageError(
                "the log prints local times without a zone, and the time asked for has one",
                asked=since.isoformat(),
                next_step="Give the time by the database host's clock, without a zone, or name that host's zone.",
            )
        span = instants(when, self.zone)
        return span.earliest - since, span.latest - since


@dataclass(frozen=True, slots=True)
class LogTally:
    """The number of times that a rule applied inside the window.

    ``usual_per_hour`` is ``None`` when nothing is known of the time before.
    """

    key: str
    meaning: Class
    reason: str
    count: int
    first: Moment | None
    last: Moment | None
    usual_per_hour: float | None = None

    def with_those_of(self, other: LogTally) -> LogTally:
        """The two together."""
        usual = [each.usual_per_hour for each in (self, other) if each.usual_per_hour is not None]
        return replace(
            self,
            count=self.count + other.count,
            first=_earlier(self.first, other.first),
            last=other.last if _earlier(self.last, other.last) is self.last else self.last,
            usual_per_hour=sum(usual) if usual else None,
        )


def _earlier(one: Moment | None, other: Moment | None) -> Moment | None:
    if one is None or other is None:
        return one or other
    later_by = one.comes_later_by(other)
    return other if later_by is not None and later_by > timedelta(0) else one


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The answer.

    ``verdict`` is ``fail``, ``warn``, ``unknown`` or ``pass``; ``notable`` are the events behind it, at most `MAX_KEPT`
    a rule.
    """

    verdict: str
    tallies: tuple[LogTally, ...]
    notable: tuple[Classified, ...]
    witnesses: tuple[tuple[Moment | None, Witness], ...]
    inside: int
    before: int
    timeless: int

    def count(self, meaning: Class) -> int:
        return sum(tally.count for tally in self.tallies if tally.meaning is meaning)


@dataclass(slots=True)
class _Tally:
    first_seen: Classified
    count: int = 0
    usual: int = 0
    first: Moment | None = None
    last: Moment | None = None
    kept: list[Classified] = field(default_factory=list)
    #: The stretches of `OCCASION` of the time before in which it came, once or many times.
    occasions: set[int] = field(default_factory=set)
    is_near: bool = False


class Judge:
    """Takes classified events one by one and answers at the end. Its memory is that of the table, not of the log."""

    def __init__(
        self,
        window: LogWindow | None = None,
        first: Moment | None = None,
        pause: tuple[timedelta, timedelta] | None = None,
    ) -> None:
        self.window = window or LogWindow()
        #: Begin and end of the suspension, after the beginning of the window.
        self._pause = pause
        #: The first stamp of a file; what stands above it is older than that, and of the window where there is none.
        self._first = first
        #: By rule, and by what has a rate of its own below it.
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._witnesses: list[tuple[Moment | None, Witness]] = []
        self._inside = self._before = self._timeless = 0
        self._usual_from = self._last = timedelta(0)
        self._shapes: set[str] = set()
        #: The members of a cluster that each rule's last list named.
        self._members: dict[str, frozenset[str]] = {}
        self._is_inside = self._is_stamped = False

    def add(self, entry: Classified) -> LogPosition:
        """Count the next event of a file; the answer is its position.

        A log is only appended to: what follows an event of the window is of the window too, also when the clock was set
        back in between.
        """
        when = self._when(entry)
        place, after = self.window.place(when), None
        if self.window.since is not None and when is not None:
            after = self.window.after_since(when)
            self._is_inside = self._is_inside or self.window.is_certain(when)
        elif self.window.since is not None and not self._is_stamped and self._first is not None:
            # the rest of an event that was cut off, above the first stamp
            place = self.window.place(self._first)
            place = place if place is LogPosition.INSIDE else LogPosition.BEFORE
        self._is_stamped = self._is_stamped or when is not None
        if self._is_inside:
            place = LogPosition.INSIDE
        self.add_placed(entry, place, after)
        return place

    def add_placed(self, entry: Classified, place: LogPosition, after: timedelta | None) -> None:
        """Count an event at a known position, ``after`` the beginning of the window; ``None`` where its time is not
        known.
        """
        if entry.rule is not None and entry.rule.members is not None:
            entry = self._with_members_gone(entry, entry.rule)
        if place is LogPosition.BEFORE:
            # what was read reaches over all of the usual time, also where nothing was written
            self._usual_from = -self.window.usual if after is not None else self._usual_from
        elif after is not None:
            self._usual_from = min(self._usual_from, after)
            self._last = max(self._last, after)
        if place is LogPosition.INSIDE:
            self._inside += 1
            self._timeless += after is None and self._when(entry) is None
        else:
            self._before += 1
        if place is not LogPosition.BEFORE:
            self._count(entry, place, after)

    def _with_members_gone(self, entry: Classified, rule: LogRule) -> Classified:
        """An entry that lists the members of a cluster: a failure where one is missing that the last list had.

        All words are held against each other, so that it works in any language.
        """
        listed = rule.members.search(entry.event.text) if rule.members else None
        if listed is None:
            return entry
        now = frozenset(listed["members"].split())
        gone = self._members.get(rule.key, now) - now
        self._members[rule.key] = now
        if not gone:
            return entry
        gone_rule = replace(
            rule, key=f"{rule.key}-gone", meaning=Class.FAIL, unless_usual=False, reason=_MEMBERS_GONE, members=None
        )
        return replace(entry, meaning=Class.FAIL, rule=gone_rule)

    def _when(self, entry: Classified) -> Moment | None:
        """The time of an event: what the line itself prints, where that can be held against the window, is better than
        the stamp above.
        """
        at = entry.witness.at if entry.witness else None
        return (self.window.as_asked(at) if at else None) or entry.event.when

    def _is_near(self, after: timedelta | None) -> bool:
        """True for what was written in the suspension or in the minutes after it."""
        return self._pause is not None and after is not None and self._pause[0] <= after <= self._pause[1] + NEAR

    def _count(self, entry: Classified, place: LogPosition, after: timedelta | None) -> None:
        key, subject = entry.rule.key if entry.rule else entry.meaning.value, ""
        if entry.rule is None and entry.meaning is Class.UNKNOWN and entry.event.whole:
            key = entry.codes[0] if entry.codes else self._shape(entry)
        elif entry.rule is not None and entry.rule.unless_usual:
            subject = self._subject(entry)
            if (key, subject) not in self._tallies and len(self._tallies) >= MAX_TALLIES:
                subject = ""
        tally = self._tallies.setdefault((key, subject), _Tally(entry))
        if place is LogPosition.USUAL:
            tally.usual += 1
            if after is not None:
                tally.occasions.add(after // OCCASION)
            return
        tally.is_near = tally.is_near or self._is_near(after)
        when = self._when(entry)
        tally.count += 1
        tally.first, tally.last = tally.first or when, when or tally.last
        if entry.meaning not in (Class.ROUTINE, Class.OTHER) and len(tally.kept) < MAX_KEPT:
            tally.kept.append(entry)
        if entry.witness is not None and len(self._witnesses) < 1000:
            self._witnesses.append((when, entry.witness))

    def _subject(self, entry: Classified) -> str:
        """The subject that has a rate of its own below a rule: the codes of a stack and the clusterware's resources
        that it names, the first code of a network block, which may be torn, or the text without what differs from time
        to time.
        """
        if entry.event.kind is EventKind.NETWORK:
            return entry.codes[0] if entry.codes else ""
        names = _RESOURCE.findall(entry.event.text) if entry.codes else []
        return " ".join(dict.fromkeys((*entry.codes, *names))) or self._shape(entry)

    def _shape(self, entry: Classified) -> str:
        """The subject of an event without a code; past `MAX_SHAPES` of them they are one, which is never usual."""
        shape = trouble_in(entry.event.text) or shape_of(entry.event.headline) or Class.UNKNOWN.value
        if shape not in self._shapes and len(self._shapes) >= MAX_SHAPES:
            return Class.UNKNOWN.value
        self._shapes.add(shape)
        return shape

    def judgement(self) -> LogVerdict:
        """The answer as far as the events go."""
        rows: dict[tuple[str, Class], LogTally] = {}
        notable = []
        for (key, _), tally in self._tallies.items():
            if tally.count:
                row = self._row(key, tally)
                place = row.key, row.meaning
                rows[place] = rows[place].with_those_of(row) if place in rows else row
                notable += [replace(entry, meaning=row.meaning) for entry in tally.kept]
        tallies = rows.values()
        there = {tally.meaning for tally in tallies}
        verdict = next((worst.value for worst in (Class.FAIL, Class.WARN, Class.UNKNOWN) if worst in there), "pass")
        if self._timeless and verdict == "pass":
            verdict = Class.UNKNOWN.value
        order = list(Class)
        return LogVerdict(
            verdict=verdict,
            tallies=tuple(sorted(tallies, key=lambda tally: (order.index(tally.meaning), -tally.count))),
            notable=tuple(sorted(notable, key=lambda entry: entry.event.offset)),
            witnesses=tuple(self._witnesses),
            inside=self._inside,
            before=self._before,
            timeless=self._timeless,
        )

    def _row(self, key: str, tally: _Tally) -> LogTally:
        first = tally.first_seen
        rule, meaning = first.rule, first.meaning
        hours = -self._usual_from / timedelta(hours=1)
        usual = tally.usual / hours if hours > 0 else None
        since = self._last / timedelta(hours=1)
        chance = chance_of(tally.count, since, tally.usual, hours)
        grave = meaning if rule is not None else severity_of(key) if key in first.codes else Class.WARN
        if tally.is_near and self._pause is not None and grave is Class.FAIL:
            near = (self._pause[1] + NEAR - self._pause[0]) / timedelta(hours=1)
            chance = min(chance, chance_of(1, near, len(tally.occasions), hours))
        if rule is not None and (rule.above_usual or rule.unless_usual):
            known = usual is not None or rule.unless_usual
            meaning = held_against_usual(meaning, chance) if known else Class.UNKNOWN
        elif rule is not None and rule.crowd and tally.count >= rule.crowd and chance < RARE:
            meaning = Class.WARN
        reason = rule.reason if rule else _WITHOUT_RULE[meaning]
        if rule is None and (key in first.codes or key in self._shapes):
            # the time before the move is in the log: what is as frequent as ever is nothing new
            severity, kind = (
                (severity_of(key), "a code that no rule knows")
                if key in first.codes
                else (Class.WARN, "a line that speaks of trouble and that no rule knows")
            )
            meaning = held_against_usual(severity, chance)
            reason = f"{kind}, " + ("as often as before" if meaning is Class.ROUTINE else "more often than before")
            if key in first.codes and meaning is not Class.ROUTINE:
                reason += f"; {_SEVERITY[severity]}"
        return LogTally(key, meaning, reason, tally.count, tally.first, tally.last, usual)


_MEMBERS_GONE = "the cluster goes on without a member that it had"
_WITHOUT_RULE = {Class.UNKNOWN: "a code that no rule knows", Class.OTHER: "a text that no rule knows, without a code"}
_SEVERITY = {
    Class.FAIL: "its family is the loss of files, disks or the instance",
    Class.WARN: "its family is errors of statements, sessions and services",
}


# -- a whole file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PostMortem:
    """The result of reading a file: the judgement, the account of its lines, and from which byte on it was read."""

    judgement: LogVerdict
    counts: Counts
    started_at: int
    size: int


def examine(path: Path | str, window: LogWindow | None = None, rules: LogRules | None = None) -> PostMortem:
    """Read a log that is a local file and judge it. Only what the window needs is read, however long the file is.

    Raises `NotFound` for no such file, `UnexpectedReply` for one that cannot be read or holds no time of any format.
    """
    path, window, rules = Path(path), window or LogWindow(), rules or LogRules.standard()
    if not path.is_file():
        raise NotFound("alert log", str(path))
    try:
        with path.open("rb") as file:
            return _examined(file, window, rules)
    except OSError as trouble:
        raise UnexpectedReply(
            f"it cannot be read: {trouble.strerror}", where=str(path), next_step="Check who may read it."
        ) from trouble
    except LpmError as trouble:
        trouble.where = trouble.where or str(path)
        raise


def _examined(file: BinaryIO, window: LogWindow, rules: LogRules) -> PostMortem:
    size = file.seek(0, 2)
    start = 0 if window.since is None else find_start(file, size, window)
    first = _first_stamp(file, start)
    reader, judge = AlertReader(start), Judge(window, first[1] if first is not None else None)
    is_log = False
    for event in _events(file, reader):
        if event.lines and _LISTENER.match(event.lines[0]):
            raise UnexpectedReply(
                "this is the log of a listener, which says nothing of the instance",
                line=event.lines[0][:80],
                next_step="Name the alert log of the instance: alert_<SID>.log or log.xml.",
            )
        entry = rules.classify(event)
        is_log = is_log or event.inner is not None or (entry.rule is not None and bool(entry.codes))
        judge.add(entry)
    if not reader.counts.forms and not is_log:
        file.seek(0)
        raise UnexpectedReply(
            "this is not an alert log: it has no stamp and no message of Oracle's",
            line=file.read(80).decode("latin-1").partition("\n")[0],
            next_step="Name the file alert_<SID>.log or log.xml, unpacked.",
        )
    return PostMortem(judge.judgement(), reader.counts, start, size)


def _events(file: BinaryIO, reader: AlertReader) -> Iterator[LogEvent]:
    file.seek(reader.offset)
    while piece := file.read(PIECE):
        yield from reader.feed(piece)
    yield from reader.finish()


def find_start(file: BinaryIO, size: int, window: LogWindow) -> int:
    """The offset from which nothing of the window or of the usual time before it is missed: steps back from the end,
    each twice the last.
    """
    step = FIRST_STEP
    while step < size:
        stamp = _first_stamp(file, size - step)
        if stamp is not None and window.after_since(stamp[1]) < -(window.usual + CLOCK_SET_BACK):
            return stamp[0]
        step *= 2
    return 0


def _first_stamp(file: BinaryIO, offset: int) -> tuple[int, Moment] | None:
    """The first line at or after an offset that is a time, and where it begins. Not looked for beyond a megabyte."""
    file.seek(offset)
    data = file.read(MAX_TO_A_STAMP)
    begin = data.find(b"\n") + 1
    while begin and (end := data.find(b"\n", begin)) >= 0:
        moment = _moment_of(data[begin:end])
        if moment is not None:
            return offset + begin, moment
        begin = end + 1
    return None


def _moment_of(raw: bytes) -> Moment | None:
    line = raw[:1000].decode("latin-1").rstrip("\r")
    if line.startswith("<msg "):
        return read_element(line)[0]
    stamp = read_stamp(line)
    return stamp.moment if stamp else None


def as_dict(post_mortem: PostMortem) -> JsonObject:
    """The answer for programs; times as they are printed in the log, each with its earliest and latest."""
    verdict, counts = post_mortem.judgement, post_mortem.counts
    return {
        "verdict": verdict.verdict,
        "counts": {meaning.value: verdict.count(meaning) for meaning in Class},
        "rules": [
            {
                "rule": tally.key,
                "class": tally.meaning.value,
                "count": tally.count,
                "reason": tally.reason,
                "first": _times(tally.first),
                "last": _times(tally.last),
                "usual_per_hour": tally.usual_per_hour,
            }
            for tally in verdict.tallies
        ],
        "events": [_event_row(entry) for entry in verdict.notable],
        "witnesses": [
            {
                "what": witness.what,
                "seconds": witness.seconds,
                "resolution_s": witness.resolution_s,
                "at": witness.at.isoformat() if witness.at else None,
                "when": _times(when),
            }
            for when, witness in verdict.witnesses
        ],
        "log": {
            "size_bytes": post_mortem.size,
            "read_from_byte": post_mortem.started_at,
            "lines": counts.lines,
            "events": counts.events,
            "events_inside": verdict.inside,
            "events_before": verdict.before,
            "events_without_time": verdict.timeless,
            "cut_bytes": counts.cut_bytes,
            "time_forms": {form.value: count for form, count in counts.forms.items()},
        },
    }


def _times(when: Moment | None) -> JsonObject | None:
    if when is None:
        return None
    latest = None if when.latest.year == MAXYEAR else when.latest.isoformat()
    return {"earliest": when.earliest.isoformat(), "latest": latest, "zoned": when.zoned}


def _event_row(entry: Classified) -> JsonObject:
    return {
        "rule": entry.rule.key if entry.rule else None,
        "class": entry.meaning.value,
        "codes": list(entry.codes),
        "when": _times(entry.event.when),
        "byte": entry.event.offset,
        "text": list(entry.event.lines[:30]),
        "argument": entry.argument,
        "incident": entry.incident,
        "client": entry.client,
    }
