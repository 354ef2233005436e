"""What a run says of a database: the same instance, the same sessions, the alert log's verdict, what commits and logons went through, what the database measured itself.

Times of the database are placed on our clock through its own answers: each says what time it was there at some instant between question and answer. A log that prints
whole seconds orders events and tightens nothing; lengths that VKTM or the log writer measured are shown with their own resolution and held against the suspension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from lpmkit.analysis.model import MILLISECOND, SECOND, HostAnalysis, Interval, OutageKind, Suspension, Trace
from lpmkit.analysis.record import Record
from lpmkit.oracle import state as facts
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.judge import Judge, LogPosition, LogVerdict, LogWindow
from lpmkit.oracle.rules import Classified, LogRules, Witness
from lpmkit.oracle.stamps import Moment
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.rules.table import Class
from lpmkit.runs.folder import Run
from lpmkit.runs.samples import MISSING
from lpmkit.timeline import Event

PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED
#: A session older than this when the recording began is one that somebody relies on; younger ones come and go.
LONG_LIVED = timedelta(minutes=10)
#: What VKTM and the log writer measure ends at a tick of theirs, and what they measure it against is not the suspension's edge.
OWN_TICK_NS = 250 * MILLISECOND
#: Around a suspension a fresh logon may fail or wait for so long without anything being the matter.
LOGON_SLACK_NS = 5 * SECOND
BANNER, STARTED = "start-banner", "instance-started"


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the alert log's lane: somewhere in ``at`` on our clock."""

    at: Interval
    meaning: Class
    rule: str
    text: str
    place: LogPosition
    printed: str


@dataclass(frozen=True, slots=True)
class OwnMeasure:
    """A length that the database measured itself. ``agrees`` is ``None`` where there is no suspension to hold it against."""

    what: str
    seconds: float
    resolution_s: float
    at: Interval
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class DatabaseAnalysis:
    """Everything found about one database. ``before`` and ``after`` are states as `lpmkit.oracle.state.gather` has them, ``None`` where nobody was asked."""

    sid: str
    host: str
    way: str
    version: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    sessions: tuple[Mapping[str, Any], ...]
    kept: facts.SessionsRetained | None
    waits: tuple[facts.WaitChange, ...]
    changes: tuple[tuple[str, str, str], ...]
    gaps: Mapping[str, str]
    judgement: LogVerdict | None
    marks: tuple[Mark, ...]
    measures: tuple[OwnMeasure, ...]
    paths: tuple[str, ...]
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Clock:
    """The database host's time of day against our monotonic clock: ``offset`` bounds (its nanoseconds since 1970 minus ours), and the zone that it prints."""

    offset: Interval
    zone: tzinfo

    def place(self, when: Moment) -> Interval:
        """Where a printed time lies on our clock."""
        lo, hi = (self._ns(one) for one in (when.earliest, when.latest))
        return Interval(lo - self.offset.hi_ns, hi - self.offset.lo_ns)

    def there(self, mono_ns: int) -> datetime:
        """What the database's clock showed at the earliest, at an instant of ours; without a zone, as its log prints it."""
        micros = (mono_ns + self.offset.lo_ns) // 1000
        return (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))
            .astimezone(self.zone)
            .replace(tzinfo=None)
        )

    def _ns(self, moment: datetime) -> int:
        if moment.year >= 9999:
            return 1 << 62
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self.zone)
        return int((aware - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


def databases(run: Run, record: Record, hosts: Sequence[HostAnalysis], mode: str) -> tuple[DatabaseAnalysis, ...]:
    """Every database that the run watched, by SID."""
    orders: dict[str, dict[str, Mapping[str, Any]]] = {}
    for order in run.manifest.get("probes") or ():
        options = order.get("options") or {}
        if order.get("group") == "oracle" and options.get("sid"):
            orders.setdefault(str(options["sid"]), {})[str(order["kind"])] = order
    return tuple(_Database(sid, kinds, run, record, hosts, mode).analysed() for sid, kinds in sorted(orders.items()))


class _Database:
    """The working out of one database."""

    def __init__(
        self,
        sid: str,
        orders: Mapping[str, Mapping[str, Any]],
        run: Run,
        record: Record,
        hosts: Sequence[HostAnalysis],
        mode: str,
    ) -> None:
        self.sid, self.orders, self.record, self.mode = sid, orders, record, mode
        self.host = str(next(iter(orders.values())).get("host"))
        self.names = {kind: str(order["name"]) for kind, order in orders.items()}
        self.analysed_host = next(
            (one for one in hosts if any(trace.probe in self.names.values() for trace in one.traces)), None
        )
        self.states = run.observations(self.names["db-state"]) if "db-state" in orders else []
        self.rows = run.observations(self.names["alert"]) if "alert" in orders else []
        self.begin_ns = record.window.lo_ns if mode == "move" else record.span.lo_ns
        self.sessions = [
            event
            for event in record.events
            if event.kind == "db-session" and event.data.get("probe") == self.names.get("sql")
        ]
        self.notes: list[str] = []
        self.clock = _clock(self.states, self.sessions)

    @property
    def suspension(self) -> Suspension | None:
        return self.analysed_host.suspension if self.analysed_host else None

    def analysed(self) -> DatabaseAnalysis:
        before, after = self._before_and_after()
        kept = facts.sessions_kept(before, after, self._own()) if before and after else None
        judgement, marks, measures = self._alert(before, after)
        way = str((next(iter(self.orders.values())).get("options") or {}).get("way", {}).get("way", "?"))
        found = DatabaseAnalysis(
            sid=self.sid,
            host=self.host,
            way=way,
            version=self._version(before),
            before=before,
            after=after,
            sessions=tuple(event.data for event in self.sessions),
            kept=kept,
            waits=facts.waits_between(before, after) if before and after else (),
            changes=tuple(facts.state_changes(before, after)) if before and after else (),
            gaps=dict((after or before or {}).get("gaps", {})),
            judgement=judgement,
            marks=marks,
            measures=measures,
            paths=tuple(
                str(e.data.get("path"))
                for e in self.record.events
                if e.kind == "alert-log" and e.data.get("probe") == self.names.get("alert")
            ),
            questions=(),
            notes=tuple(self.notes),
        )
        return replace(found, questions=tuple(self._questions(found)))

    def _version(self, before: Mapping[str, Any] | None) -> str | None:
        rows = (before or {}).get("facts", {}).get("instance") or [event.data for event in self.sessions]
        return str(rows[0].get("version")) if rows else None

    def _before_and_after(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """The last state asked for before the move, and the last one of all, when it is later than the move's suspension or end."""
        early = (
            [row for row in self.states if row["mono_ns"] <= self.begin_ns] if self.mode == "move" else self.states[:1]
        )
        turn = self.suspension.end.hi_ns if self.suspension else self.begin_ns
        late = [row for row in self.states if row["mono_ns"] > turn and row is not (early[-1] if early else None)]
        return (early[-1] if early else None), (late[-1] if late else None)

    def _own(self) -> frozenset[tuple[str, str]]:
        """The sessions of our own probes, as far as they say who they are; fresh logons are recognised by their age."""
        own = {
            (str(row["own"]["sid"]), str(row["own"]["serial"]))
            for row in self.states
            if isinstance(row.get("own"), dict)
        }
        own |= {(str(event.data.get("sid")), str(event.data.get("serial"))) for event in self.sessions}
        started = self.clock.there(self.record.span.lo_ns) if self.clock else None
        for row in self.states:
            for one in row.get("facts", {}).get("sessions", ()):
                logon = _time(one.get("logon_time"))
                if started is not None and logon is not None and logon > started - LONG_LIVED:
                    own.add((str(one["sid"]), str(one["serial"])))
        return frozenset(own)

    # --- the alert log

    def _alert(
        self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> tuple[LogVerdict | None, tuple[Mark, ...], tuple[OwnMeasure, ...]]:
        if not any(
            event.kind == "alert-log" and event.data.get("probe") == self.names.get("alert")
            for event in self.record.events
        ):
            return None, (), ()
        rules = self._rules()
        judge = Judge(self._window())
        marks, measures = [], []
        same = _same_start(before, after)
        for row in self.rows:
            try:
                found = rules.classify(from_row(row))
            except (ValueError, KeyError, TypeError):
                self.notes.append("a line of the alert log's record cannot be read and is left out")
                continue
            if found.rule is not None and found.rule.key == BANNER and same:
                found = replace(found, meaning=Class.EXPECTED)  # the start time says that nothing started
            place = judge.add(found)
            at = self._placed(found, row)
            if found.meaning not in (Class.ROUTINE, Class.OTHER):
                rule = found.rule.key if found.rule else found.meaning.value
                marks.append(Mark(at, found.meaning, rule, found.event.headline, place, str(found.event.when or "")))
            if found.witness is not None and place is LogPosition.INSIDE:
                measures.append(self._measure(found.witness, at))
        return judge.judgement(), tuple(marks), tuple(measures)

    def _rules(self) -> LogRules:
        rules, trouble = LogRules.kept((self.orders["alert"].get("options") or {}).get("rules"))
        self.notes += [trouble] if trouble else []
        return rules

    def _window(self) -> LogWindow:
        """From the beginning of the move, as the log prints it. Without the database's clock: from the last line that we had seen before."""
        if self.clock is not None:
            return LogWindow(self.clock.there(self.begin_ns), zone=self.clock.zone)
        seen = [row for row in self.rows if row["mono_ns"] < self.begin_ns and row.get("when")]
        if not seen:
            return LogWindow()
        return LogWindow(max(datetime.fromisoformat(row["when"][0]).replace(tzinfo=None) for row in seen))

    def _placed(self, found: Classified, row: Mapping[str, Any]) -> Interval:
        """When a line was written: what its own stamp says on our clock, and not later than we saw it."""
        seen = int(row["mono_ns"])
        moment = found.event.when
        if found.witness is not None and found.witness.at is not None:
            moment = Moment(found.witness.at, found.witness.at + timedelta(microseconds=1))
        if moment is None or self.clock is None:
            earlier = [int(one["mono_ns"]) for one in self.rows if int(one["mono_ns"]) < seen]
            return Interval(max(earlier, default=self.record.span.lo_ns), seen)
        placed = self.clock.place(moment)
        return Interval(min(placed.lo_ns, seen), min(placed.hi_ns, seen))

    def _measure(self, witness: Witness, at: Interval) -> OwnMeasure:
        still = self.suspension
        agrees = None
        if still is not None:
            length = Interval(
                int(witness.seconds * SECOND), int((witness.seconds + witness.resolution_s) * SECOND)
            ).widened(OWN_TICK_NS)
            agrees = length.overlaps(still.length) and at.widened(2 * SECOND).overlaps(still.outer)
        return OwnMeasure(witness.what, witness.seconds, witness.resolution_s, at, agrees)

    # --- the questions

    def _questions(self, found: DatabaseAnalysis) -> list[Question]:
        title = f"Oracle {self.sid}"
        return [
            self._restarted(title, found),
            self._session(title, found),
            self._others(title, found),
            self._log(title, found),
            self._logons(title),
            *_around(title, found),
            _commits(title, found),
        ]

    def _key(self, name: str) -> str:
        return f"oracle-{name}-{self.sid}"

    def _restarted(self, title: str, found: DatabaseAnalysis) -> Question:
        starts = [str(event.data.get("startup_time")) for event in self.sessions]
        starts += [str(row["own"].get("startup_time")) for row in self.states if isinstance(row.get("own"), dict)]
        name, what = self._key("restart"), f"{title} not restarted?"
        last = max([int(row["mono_ns"]) for row in self.states] + [event.mono_ns for event in self.sessions], default=0)
        if len(set(starts)) > 1:
            return Question(
                name,
                what,
                FAILED,
                f"started {starts[0]} before, {sorted(set(starts))[-1]} after",
                "V$INSTANCE.STARTUP_TIME",
                reply=ReplyWord.NO,
            )
        if not starts or (not self._spoke_after() and last <= self.begin_ns):
            return Question(name, what, OPEN, "the database was not asked for its start time before and after")
        return Question(name, what, PASSED, f"no restart: started {starts[0]}", "V$INSTANCE.STARTUP_TIME")

    def _spoke_after(self) -> bool:
        """Whether our own session gave an answer after the suspension, or late in the record where none was found."""
        still = self.suspension
        moment = still.end.hi_ns if still else self.begin_ns
        return any(len(trace.alive_lo) and int(trace.alive_lo[-1]) >= moment for trace in self._traces("sql"))

    def _traces(self, kind: str) -> list[Trace]:
        """What a probe saw, one trace for each recorder."""
        traces = self.analysed_host.traces if self.analysed_host else ()
        return [trace for trace in traces if trace.probe == self.names.get(kind)]

    def _session(self, title: str, found: DatabaseAnalysis) -> Question:
        name, what = self._key("session"), f"{title} session kept?"
        if not self.sessions:
            return Question(name, what, OPEN, "no session could be opened")
        identities = [facts.identity(event.data) for event in self.sessions]
        resumed = any(event.kind == "recorder-started" and event.data.get("resumed") for event in self.record.events)
        first = self.sessions[0].data
        if len(set(identities)) > 1:
            if resumed:
                return Question(name, what, OPEN, "a second recorder had to open a session of its own")
            late = self.sessions[-1].data
            return Question(
                name,
                what,
                FAILED,
                f"SID {first['sid']},{first['serial']} was lost, {late['sid']},{late['serial']} is another",
                reply=ReplyWord.NO,
            )
        if not self._spoke_after():
            return Question(
                name, what, FAILED if self._traces("sql") else OPEN, "the session was not heard of after the move"
            )
        waited = [
            one
            for one in (self.analysed_host.outages if self.analysed_host else ())
            if one.probe == self.names.get("sql")
        ]
        longest = max((one.outer.length_ns for one in waited), default=0)
        felt = f"; its longest wait lay within {longest / SECOND:.1f} s" if longest else "; no answer of it was late"
        return Question(
            name,
            what,
            PASSED,
            f"SID {first['sid']}, SERIAL# {first['serial']}, logged on {first['logon_time']}{felt}",
            reply=ReplyWord.YES,
        )

    def _others(self, title: str, found: DatabaseAnalysis) -> Question:
        name, what = self._key("population"), f"{title} sessions of others kept?"
        if found.kept is None:
            return Question(name, what, OPEN, "who was logged on before and after is not known", counts=False)
        if found.kept.lost:
            shown = ", ".join(found.kept.lost[:5]) + (" …" if len(found.kept.lost) > 5 else "")
            return Question(
                name,
                what,
                FAILED,
                f"{len(found.kept.lost)} of {found.kept.before} are gone: {shown}",
                reply=ReplyWord.NO,
            )
        return Question(name, what, PASSED, f"all {found.kept.before} that were there long before", reply=ReplyWord.YES)

    def _log(self, title: str, found: DatabaseAnalysis) -> Question:
        name, what = self._key("alert"), f"{title} alert log without new trouble?"
        if found.judgement is None:
            return Question(name, what, OPEN, "the alert log was not read")
        said = found.judgement
        worst = [tally for tally in said.tallies if tally.meaning in (Class.FAIL, Class.WARN, Class.UNKNOWN)]
        text = ", ".join(f"{tally.count} × {tally.key} ({tally.meaning.value})" for tally in worst)
        gaps = self._gaps_of_the_log()
        if said.verdict == Class.FAIL.value:
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if gaps:
            return Question(name, what, OPEN, f"not all of it was seen: {gaps[0]}" + (f"; {text}" if text else ""))
        if said.verdict == Class.UNKNOWN.value:
            return Question(name, what, OPEN, f"nobody knows what to make of: {text or 'lines without a time'}")
        if text:
            return Question(name, what, PASSED, f"with warnings: {text}")
        entries = f"{said.inside} entries, none that speaks against the move"
        return Question(name, what, PASSED, entries, reply=ReplyWord.YES)

    def _gaps_of_the_log(self) -> list[str]:
        """What of the log was not seen since the move began. Trouble that was over before is none."""
        mine = [event for event in self.record.events if event.data.get("probe") == self.names.get("alert")]
        found_by = min((event.mono_ns for event in mine if event.kind == "alert-log"), default=1 << 62)
        over = found_by if found_by <= self.begin_ns else 0
        return [
            str(event.data.get("what")) for event in mine if event.kind == "probe-trouble" and event.mono_ns >= over
        ]

    def _logons(self, title: str) -> Question:
        name, what = self._key("logon"), f"{title} logons possible?"
        traces = self._traces("logon")
        if not traces:
            return Question(name, what, OPEN, "fresh logons were not tried", counts="logon" in self.names)
        host = self.analysed_host
        assert host is not None
        excused = [one.outer.widened(LOGON_SLACK_NS) for one in host.suspensions]
        excused += [one.outer.widened(LOGON_SLACK_NS) for one in host.outages if one.kind is OutageKind.NETWORK]
        tried = [
            pair
            for trace in traces
            for pair in zip(trace.sent.tolist(), (trace.answered != MISSING).tolist(), strict=True)
        ]
        failed = [sent for sent, spoke in tried if not spoke and sent >= self.begin_ns]
        unexcused = [moment for moment in failed if not any(span.contains(moment) for span in excused)]
        worked = [sent for sent, spoke in tried if spoke]
        if unexcused:
            return Question(
                name,
                what,
                FAILED,
                f"{len(unexcused)} logons failed while the host ran (of {len(tried)})",
                reply=ReplyWord.NO,
            )
        if not worked or worked[-1] < self.begin_ns:
            return Question(name, what, OPEN, "no logon worked since the move began")
        during = f"; {len(failed)} failed or waited around the suspension" if failed else ""
        return Question(name, what, PASSED, f"{len(worked)} fresh logons{during}", reply=ReplyWord.YES)


def _around(title: str, found: DatabaseAnalysis) -> Iterator[Question]:
    """Standby databases, ASM disk groups, other instances: only where there are any before the move or after it."""
    name, what = f"oracle-around-{found.sid}", f"{title} standby, disk groups and other instances well?"
    if not found.before or not found.after:
        return
    there = facts.surroundings(found.before), facts.surroundings(found.after)
    if not any(there):
        return
    wrong = facts.worse_around(found.before, found.after)
    if wrong:
        yield Question(name, what, FAILED, "; ".join(wrong), reply=ReplyWord.NO)
        return
    lag = facts.lag_s(found.after)
    behind = f"; the standby is {lag} s behind" if lag else ""
    yield Question(name, what, PASSED, f"{', '.join(there[1] or there[0])}{behind}", reply=ReplyWord.YES)


def _commits(title: str, found: DatabaseAnalysis) -> Question:
    """What commits went through; no limit was set, so it is told and decides nothing."""
    name, what = f"oracle-commit-{found.sid}", f"{title} commits stalled for how long?"
    sync = next((one for one in found.waits if one.event == "log file sync"), None)
    if sync is None:
        return Question(name, what, OPEN, "the waits before and after are not known", counts=False)
    bucket = f", the longest below {sync.longest_ms / 1000:g} s" if sync.longest_ms else ""
    return Question(
        name,
        what,
        PASSED,
        f"log file sync: {sync.waits} waits, {sync.seconds:.2f} s in all{bucket}",
        "V$SYSTEM_EVENT, V$EVENT_HISTOGRAM",
        counts=False,
    )


def _same_start(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    starts = [str((state.get("own") or {}).get("startup_time")) for state in (before, after) if state]
    return len(starts) == 2 and starts[0] == starts[1] and starts[0] != "None"


def _clock(states: Sequence[Mapping[str, Any]], sessions: Sequence[Event]) -> _Clock | None:
    """The database's clock against ours, from the answers that say its time; the narrowest before any jump would be a fiction, so all are joined."""
    bounds: list[Interval] = []
    zone: tzinfo | None = None
    for row in states:
        own, sent, answered = row.get("own"), row.get("own_sent_ns"), row.get("own_answered_ns")
        said = _server_time(own.get("server_time")) if isinstance(own, Mapping) else None
        if said is None or not isinstance(sent, int) or not isinstance(answered, int):
            continue
        zone = said.tzinfo
        there = int((said - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
        bounds.append(Interval(there - answered, there - sent))
    if not bounds or zone is None:
        return None
    return _Clock(Interval(min(one.lo_ns for one in bounds), max(one.hi_ns for one in bounds)), zone)


def _server_time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _time(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y%m%d%H%M%S")  # noqa: DTZ007 - the database's local time says no zone
    except ValueError:
        return None


def as_dict(found: DatabaseAnalysis) -> dict[str, Any]:
    """One database as JSON values, for the summary."""
    said = found.judgement
    return {
        "sid": found.sid,
        "host": found.host,
        "asked_by": found.way,
        "version": found.version,
        "sessions": [dict(one) for one in found.sessions],
        "sessions_before": found.kept.before if found.kept else None,
        "sessions_lost": list(found.kept.lost) if found.kept else None,
        "waits": [
            {
                "event": one.event,
                "waits": one.waits,
                "total_s": one.seconds,
                "longest_below_ms": one.longest_ms,
                "method": "counters after minus before",
            }
            for one in found.waits
        ],
        "changes": [{"what": what, "before": old, "after": new} for what, old, new in found.changes],
        "not_looked_at": dict(found.gaps),
        "alert_log": None
        if said is None
        else {
            "paths": list(found.paths),
            "verdict": said.verdict,
            "inside": said.inside,
            "before": said.before,
            "rules": [
                {
                    "rule": t.key,
                    "class": t.meaning.value,
                    "count": t.count,
                    "reason": t.reason,
                    "usual_per_hour": t.usual_per_hour,
                }
                for t in said.tallies
            ],
        },
        "own_measures": [
            {
                "what": one.what,
                "seconds": one.seconds,
                "resolution_s": one.resolution_s,
                "agrees_with_suspension": one.agrees,
            }
            for one in found.measures
        ],
        "notes": list(found.notes),
    }
