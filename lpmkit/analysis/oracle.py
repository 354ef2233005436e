"""The analysis of a database in a run: the same instance, the same sessions, the alert log's verdict, commits and
logons, and what the database measured itself.

Times of the database are placed on our clock through its own answers: each says what time it was there at some instant
between question and answer. A log that prints whole seconds orders events and tightens nothing; lengths that VKTM or
the log writer measured are shown with their own resolution and held against the suspension.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from lpmkit.analysis.looks import as_far_as_seen, unseen
from lpmkit.analysis.model import MILLISECOND, SECOND, HostAnalysis, Interval, OutageKind, Suspension, Trace
from lpmkit.analysis.oracle_times import LogTimes, host_clock, sessions_of, shifted, without_repetitions
from lpmkit.analysis.record import Record
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle import state as facts
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.judge import Judge, LogPosition, LogTally, LogVerdict, LogWindow
from lpmkit.oracle.rules import Classified, LogRules, Witness
from lpmkit.oracle.stamps import Moment
from lpmkit.oracle.surroundings import lag_s, surroundings, worse_around, worse_itself
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.rules.table import Class
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event, TroubleCode, outwards, trouble_code

PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED
#: How much of the log before the move says what is usual: an evening and its night.
USUAL = timedelta(hours=12)
#: A session older than this when the recording began is one that somebody relies on; younger ones come and go.
LONG_LIVED = timedelta(minutes=10)
#: What VKTM and the log writer measure ends at a tick of theirs, and what they measure it against is not the
#: suspension's edge.
OWN_TICK_NS = 250 * MILLISECOND
#: Around a suspension a fresh logon may fail or wait for this time without any fault.
LOGON_SLACK_NS = 5 * SECOND
#: How long before the end of what is judged the last look may lie, beside three intervals of its probe: a busy
#: observer, a last question.
STATE_SLACK_NS, SESSION_SLACK_NS, LOGON_LOOK_SLACK_NS, LOG_SLACK_NS = 30 * SECOND, 15 * SECOND, 30 * SECOND, 40 * SECOND
#: How much of an entry's first line an answer quotes.
HEADLINE = 80
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
    """A length that the database measured itself.

    ``agrees`` is ``None`` where there is no suspension to hold it against.
    """

    what: str
    seconds: float
    resolution_s: float
    at: Interval
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class DatabaseAnalysis:
    """Everything found about one database.

    ``before`` and ``after`` are states as `lpmkit.oracle.state.gather` has them, ``None`` where it was not asked.
    """

    sid: str
    host: str
    way: str
    version: str | None
    before: JsonMapping | None
    after: JsonMapping | None
    sessions: tuple[JsonMapping, ...]
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


def databases(run: Run, record: Record, hosts: Sequence[HostAnalysis], mode: str) -> tuple[DatabaseAnalysis, ...]:
    """Every database that the run watched, by SID."""
    orders: dict[str, dict[str, JsonMapping]] = {}
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
        orders: Mapping[str, JsonMapping],
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
        self.states = shifted(run.observations(self.names["db-state"]) if "db-state" in orders else [], record.shifts)
        rows = shifted(run.observations(self.names["alert"]) if "alert" in orders else [], record.shifts)
        self.rows = without_repetitions([row for row in rows if "read" not in row])
        self.readings = sorted(int(row["mono_ns"]) for row in rows if "read" in row)
        self.begin_ns = record.window.lo_ns if mode == "move" else record.span.lo_ns
        self.sessions = sessions_of(record.events, self.names.get("sql"))
        self.notes: list[str] = []
        self.clock = host_clock(self.states)

        #: What is judged: from the begin of the move to the end of the post-migration window.
        self.span = Interval(self.begin_ns, max(self.begin_ns, record.window.hi_ns))

    @property
    def turn_ns(self) -> int:
        """The end of the suspension, or the begin of the move where none was found."""
        return self.suspension.end.hi_ns if self.suspension else self.begin_ns

    @property
    def suspension(self) -> Suspension | None:
        return self.analysed_host.suspension if self.analysed_host else None

    def analysed(self) -> DatabaseAnalysis:
        before, after = self._before_and_after()
        kept = self._sessions_around()
        judgement, marks, measures = self._alert(before, after)
        way = str((next(iter(self.orders.values())).get("options") or {}).get("way", {}).get("way", "?"))
        database = DatabaseAnalysis(
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
        return replace(database, questions=tuple(self._questions(database)))

    def _version(self, before: JsonMapping | None) -> str | None:
        rows = (before or {}).get("facts", {}).get("instance") or [event.data for event in self.sessions]
        return str(rows[0].get("version")) if rows else None

    def _before_and_after(self) -> tuple[JsonMapping | None, JsonMapping | None]:
        """The last state asked for before the move, and the last one of all, when it is later than the move's
        suspension or end.
        """
        early = (
            [row for row in self.states if row["mono_ns"] <= self.begin_ns] if self.mode == "move" else self.states[:1]
        )
        turn = self.suspension.end.hi_ns if self.suspension else self.begin_ns
        late = [row for row in self.states if row["mono_ns"] > turn and row is not (early[-1] if early else None)]
        return (early[-1] if early else None), (late[-1] if late else None)

    def _sessions_around(self) -> facts.SessionsRetained | None:
        """The sessions before and after the suspension; in a run without one, those before and after everything."""
        begin = self.suspension.begin.lo_ns if self.suspension else self.begin_ns
        early = [row for row in self.states if row["mono_ns"] <= begin] or self.states[:1]
        late = [row for row in self.states if row["mono_ns"] > self.turn_ns and early and row is not early[-1]]
        if not early or not late:
            return None
        after = late[0] if self.suspension else late[-1]
        return facts.sessions_kept(early[-1], after, self._own(), (after["mono_ns"] - early[-1]["mono_ns"]) / SECOND)

    def _limit(self, name: str) -> int:
        """A limit of the site file as the run keeps it; 0 in runs of earlier versions."""
        options = next(iter(self.orders.values())).get("options") or {}
        return int((options.get("limits") or {}).get(name, 0))

    def _own(self) -> frozenset[tuple[str, str]]:
        """The sessions of our own probes, as far as they identify themselves; fresh logons are recognised by their
        age.
        """
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
        self, before: JsonMapping | None, after: JsonMapping | None
    ) -> tuple[LogVerdict | None, tuple[Mark, ...], tuple[OwnMeasure, ...]]:
        if not any(
            event.kind == "alert-log" and event.data.get("probe") == self.names.get("alert")
            for event in self.record.events
        ):
            return None, (), ()
        rules, judge = self._rules(), Judge(LogWindow(usual=USUAL))
        times = LogTimes(self.clock, self.rows, self.begin_ns)
        marks, measures = [], []
        same = _same_start(before, after)
        for row in self.rows:
            try:
                entry = rules.classify(from_row(row))
                span = times.place(_printed(entry), row)
            except (ValueError, KeyError, TypeError):
                self.notes.append("a line of the alert log's record cannot be read and is left out")
                continue
            if entry.rule is not None and entry.rule.key == BANNER and same:
                entry = replace(entry, meaning=Class.EXPECTED)  # the start time proves that nothing was started
            place, after_begin = times.position(span, judge.window.usual)
            judge.add_placed(entry, place, after_begin)
            at = Interval(max(span.lo_ns, min(self.record.span.lo_ns, span.hi_ns)), span.hi_ns)
            if entry.meaning not in (Class.ROUTINE, Class.OTHER):
                rule = entry.rule.key if entry.rule else entry.meaning.value
                marks.append(Mark(at, entry.meaning, rule, entry.event.headline, place, str(entry.event.when or "")))
            if entry.witness is not None and place is LogPosition.INSIDE:
                measures.append(self._measure(entry.witness, at))
        self.notes += times.zone_notes()
        return judge.judgement(), tuple(marks), tuple(measures)

    def _rules(self) -> LogRules:
        rules, trouble = LogRules.kept((self.orders["alert"].get("options") or {}).get("rules"))
        self.notes += [trouble] if trouble else []
        return rules

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

    def _questions(self, database: DatabaseAnalysis) -> list[Question]:
        title = f"Oracle {self.sid}"
        sql, states = self._looks("sql"), [int(row["mono_ns"]) for row in self.states]
        end = Interval(max(self.span.lo_ns, self.turn_ns), self.span.hi_ns)
        return [
            self._seen(self._restarted(title), [*sql, *states], end, STATE_SLACK_NS, "sql"),
            self._seen(self._session(title), sql, end, SESSION_SLACK_NS, "sql"),
            self._seen(self._others(title, database), states, end, STATE_SLACK_NS, "db-state"),
            self._log(title, database),
            self._seen(self._logons(title), self._looks("logon"), self.span, LOGON_LOOK_SLACK_NS, "logon"),
            *(self._seen(question, states, end, STATE_SLACK_NS, "db-state") for question in _around(title, database)),
            _commits(title, database),
        ]

    def _seen(self, question: Question, looks: Sequence[int], span: Interval, slack_ns: int, kind: str) -> Question:
        """The question, open where its probe did not look.

        An end alone is asked for where a later look speaks for the time before it too.
        """
        if kind != "logon":
            looks = [max(looks)] if looks else []
            span = Interval(min([span.lo_ns, *looks]), span.hi_ns)
            span = Interval(looks[0], span.hi_ns) if looks else span
        slack_ns += 3 * int(self.orders[kind].get("interval_ns") or 0) if kind in self.orders else 0
        excused = [still.outer for still in (self.analysed_host.suspensions if self.analysed_host else ())]
        gaps = unseen(looks, span, slack_ns, excused) if span.length_ns > 0 else []
        return as_far_as_seen(question, [self._of_the_move(gap) for gap in gaps], self.span, self._refusal())

    def _of_the_move(self, gap: Interval) -> Interval:
        return Interval(min(max(gap.lo_ns, self.span.lo_ns), gap.hi_ns), gap.hi_ns)

    def _looks(self, kind: str) -> list[int]:
        """The times at which a probe asked something, whatever became of it."""
        return [sent for sent, _ in self._attempts(kind)]

    def _attempts(self, kind: str) -> list[tuple[int, bool]]:
        """The questions of a probe: the time, and true where the database answered.

        A refusal is an answer of the listener and none of the database.
        """
        name, attempts = self.names.get(kind), []
        for sources in self.record.sources.values():
            for source in sources:
                if source.probe == name:
                    signals = source.between(source.span)
                    attempts += list(zip(signals.sent.tolist(), signals.spoke.tolist(), strict=True))
        return sorted(attempts)

    def _troubles(self, kind: str) -> list[Event]:
        """The troubles that a probe reported, and those that the recorder reported of its process, which several
        probes share.
        """
        name = self.names.get(kind)
        return [
            event
            for event in self.record.events
            if event.kind == "probe-trouble" and name in str(event.data.get("probe", "")).split(", ")
        ]

    def _refusal(self) -> str:
        """The refusal of the database's account in this run, in words; empty where there was none."""
        refused = (event for kind in self.names for event in self._troubles(kind) if event.data.get("refused"))
        return next((str(event.data.get("what")) for event in refused), "")

    def _key(self, name: str) -> str:
        return f"oracle-{name}-{self.sid}"

    def _starts(self) -> list[tuple[tuple[str, str] | None, str]]:
        """Every instance that a session of ours was in, with its start time."""
        beats = [event.data for event in self.sessions]
        beats += [row["own"] for row in self.states if isinstance(row.get("own"), dict)]
        return [(facts.instance_of(beat), str(beat.get("startup_time"))) for beat in beats]

    def _elsewhere(self) -> str:
        """The objection to sessions that did not land on one instance of the watched host; empty where they did."""
        places = sorted({place for place, _ in self._starts() if place is not None})
        named = ", ".join(f"{name} on {host}" for name, host in places)
        if len({host for _, host in places}) > 1:
            return (
                f"the service leads to several instances ({named}), so that nothing is known of one of them: set "
                "`service:` to a service of one instance"
            )
        names = {
            str(event.data["hostname"])
            for event in self.record.events
            if event.kind == "alert-log"
            and event.data.get("probe") == self.names.get("alert")
            and event.data.get("hostname")
        }
        if places and names and _short(places[0][1]) not in {_short(name) for name in names}:
            return (
                f"the sessions are in {named}, and the watched host calls itself {', '.join(sorted(names))}: "
                "correct `listener:` or `service:`"
            )
        return ""

    def _restarted(self, title: str) -> Question:
        name, what = self._key("restart"), f"{title} not restarted?"
        times: dict[tuple[str, str] | None, list[str]] = {}
        for place, start in self._starts():
            times.setdefault(place, []).append(start)
        for starts in times.values():
            if len(set(starts)) > 1:
                text = f"started {_date(starts[0])} before, {_date(sorted(set(starts))[-1])} after"
                return Question(name, what, FAILED, text, "V$INSTANCE.STARTUP_TIME", reply=ReplyWord.NO)
        if elsewhere := self._elsewhere():
            return Question(name, what, OPEN, elsewhere)
        last = max([int(row["mono_ns"]) for row in self.states] + [event.mono_ns for event in self.sessions], default=0)
        if not times or (not self._spoke_after() and last <= self.begin_ns):
            refusal = self._refusal()
            text = "the database was not asked for its start time before and after" + (
                f": {refusal}" if refusal else ""
            )
            return Question(name, what, OPEN, text)
        start = next(iter(times.values()))[0]
        return Question(name, what, PASSED, f"no restart: started {_date(start)}", "V$INSTANCE.STARTUP_TIME")

    def _spoke_after(self) -> bool:
        """Tell whether our own session was answered after the suspension, or late in the record where none
        was found.
        """
        still = self.suspension
        moment = still.end.hi_ns if still else self.begin_ns
        return any(len(trace.alive_lo) and int(trace.alive_lo[-1]) >= moment for trace in self._traces("sql"))

    def _traces(self, kind: str) -> list[Trace]:
        """The signs of life that a probe saw, one trace for each recorder."""
        traces = self.analysed_host.traces if self.analysed_host else ()
        return [trace for trace in traces if trace.probe == self.names.get(kind)]

    def _session(self, title: str) -> Question:  # noqa: PLR0911 - one return for each thing that can be known
        name, what = self._key("session"), f"{title} session kept?"
        if not self.sessions:
            return Question(name, what, OPEN, f"no session could be opened{_because(self._refusal())}")
        identities = [facts.identity(event.data) for event in self.sessions]
        resumed = any(event.kind == "recorder-started" and event.data.get("resumed") for event in self.record.events)
        restarted = any(trouble_code(event.data) is TroubleCode.DIED for event in self._troubles("sql"))
        first = self.sessions[0].data
        if len(set(identities)) > 1:
            if resumed or restarted:
                return Question(name, what, OPEN, "a second recorder or probe had to open a session of its own")
            late = self.sessions[-1].data
            text = f"SID {first['sid']},{first['serial']} was lost, {late['sid']},{late['serial']} is another"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if elsewhere := self._elsewhere():
            return Question(name, what, OPEN, elsewhere)
        if not self._spoke_after():
            if self._refusal() or not self._is_watched_after():
                return Question(
                    name, what, OPEN, f"the session was not observed after the move{_because(self._refusal())}"
                )
            state = FAILED if self._traces("sql") else OPEN
            return Question(name, what, state, "the session did not answer after the move")
        outages = self.analysed_host.outages if self.analysed_host else ()
        waited = [outage for outage in outages if outage.probe == self.names.get("sql")]
        longest = max((outage.outer.length_ns for outage in waited), default=0)
        felt = (
            f"; its longest wait lay within {outwards(0, longest, 1)[1]:.1f} s"
            if longest
            else "; no answer of it was late"
        )
        text = f"SID {first['sid']}, SERIAL# {first['serial']}, logged on {_date(first['logon_time'])}{felt}"
        return Question(name, what, PASSED, text, reply=ReplyWord.YES)

    def _is_watched_after(self) -> bool:
        """Tell whether the session's probe still asked after the suspension: without that, silence is ours."""
        return any(sent >= self.turn_ns for sent in self._looks("sql"))

    def _others(self, title: str, database: DatabaseAnalysis) -> Question:
        name, what = self._key("population"), f"{title} sessions of others kept?"
        if database.kept is None:
            return Question(name, what, OPEN, "who was logged on before and after is not known", counts=False)
        lost, beyond = database.kept.lost, database.kept.beyond_usual
        if len(beyond) > self._limit("lost_sessions"):
            shown = ", ".join(beyond[:5]) + (" …" if len(beyond) > 5 else "")
            text = f"{len(beyond)} of {database.kept.before} ended around the suspension, more than usual: {shown}"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if lost:
            text = (
                f"{database.kept.same} of {database.kept.before}; {len(lost)} ended, as pools renew theirs or the site "
                "file allows"
            )
            return Question(name, what, PASSED, text, reply=ReplyWord.YES)
        return Question(
            name, what, PASSED, f"all {database.kept.before} that were there long before", reply=ReplyWord.YES
        )

    def _log(self, title: str, database: DatabaseAnalysis) -> Question:  # noqa: PLR0911 - as above
        name, what = self._key("alert"), f"{title} alert log: no new critical entries?"
        gaps = self._gaps_of_the_log()
        if database.judgement is None:
            return Question(name, what, OPEN, f"the alert log was not read{_because(gaps[0] if gaps else '')}")
        verdict = database.judgement
        worst = [tally for tally in verdict.tallies if tally.meaning in (Class.FAIL, Class.WARN, Class.UNKNOWN)]
        text = ", ".join(f"{tally.count} × {_named(tally, verdict)} ({tally.meaning.value})" for tally in worst)
        if verdict.verdict == Class.FAIL.value:
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if gaps:
            return Question(name, what, OPEN, f"not all of it was seen: {gaps[0]}" + (f"; {text}" if text else ""))
        if partial := self._partial_view(database):
            return Question(name, what, OPEN, partial + (f"; {text}" if text else ""))
        if verdict.verdict == Class.UNKNOWN.value:
            return Question(name, what, OPEN, f"unclassified entries: {text or 'lines without a time'}")
        entries = f"{verdict.inside} entries, none critical"
        answer = Question(name, what, PASSED, f"with warnings: {text}")
        answer = answer if text else Question(name, what, PASSED, entries, reply=ReplyWord.YES)
        if not self._keeps_readings():
            return answer  # runs of earlier versions did not keep when the log was read
        return self._seen(answer, self.readings, self.span, LOG_SLACK_NS, "alert")

    def _keeps_readings(self) -> bool:
        return any(event.kind == "alert-log" and "hostname" in event.data for event in self.record.events)

    def _partial_view(self, database: DatabaseAnalysis) -> str:
        """The objection to a log that was read by SQL from within a pluggable database: the view shows that container
        alone.
        """
        if "V$DIAG_ALERT_EXT" not in database.paths:
            return ""
        rows = (database.before or database.after or {}).get("facts", {}).get("container") or [{}]
        container, cdb = rows[0].get("con_name"), rows[0].get("cdb")
        if cdb != "YES" or container == "CDB$ROOT":
            return ""
        return (
            f"V$DIAG_ALERT_EXT shows container {container} only; errors of the instance are not seen in it:"
            " use a common user (C##…) of CDB$ROOT, or the file over SSH"
        )

    def _gaps_of_the_log(self) -> list[str]:
        """The parts of the log that were not seen since the move began.

        Trouble that was over before is none, and a probe that was started again reads on.
        """
        begun = (
            event.mono_ns
            for event in self.record.events
            if event.kind == "alert-log" and event.data.get("probe") == self.names.get("alert")
        )
        found_by = min(begun, default=1 << 62)
        over = found_by if found_by <= self.begin_ns else 0
        return [
            str(event.data.get("what"))
            for event in self._troubles("alert")
            if event.mono_ns >= over and trouble_code(event.data) is not TroubleCode.DIED
        ]

    def _logons(self, title: str) -> Question:
        name, what = self._key("logon"), f"{title} logons possible?"
        tried = self._attempts("logon")
        if not tried:
            text = f"fresh logons were not tried{_because(self._refusal())}"
            return Question(name, what, OPEN, text, counts="logon" in self.names)
        host = self.analysed_host
        excused = [still.outer.widened(LOGON_SLACK_NS) for still in (host.suspensions if host else ())]
        outages = host.outages if host else ()
        excused += [outage.outer.widened(LOGON_SLACK_NS) for outage in outages if outage.kind is OutageKind.NETWORK]
        worked = [sent for sent, spoke in tried if spoke]
        failed = [sent for sent, spoke in tried if not spoke and sent >= self.begin_ns]
        unexcused = [moment for moment in failed if not any(span.contains(moment) for span in excused)]
        if not worked:
            why = next((str(event.data.get("what")) for event in self._troubles("logon")), "")
            return Question(name, what, OPEN, f"none of {len(tried)} logons worked, before or after{_because(why)}")
        if len(unexcused) > self._limit("failed_logons"):
            text = f"{len(unexcused)} logons failed while the host ran (of {len(tried)})"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if worked[-1] < self.begin_ns:
            return Question(name, what, OPEN, f"no logon worked since the move began{_because(self._refusal())}")
        if self.suspension is not None and worked[-1] < self.suspension.begin.hi_ns:
            return Question(name, what, OPEN, f"no logon worked since the resume{_because(self._refusal())}")
        during = f"; {len(failed)} failed or waited around the suspension" if failed else ""
        return Question(name, what, PASSED, f"{len(worked)} fresh logons{during}", reply=ReplyWord.YES)


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _short(host: str) -> str:
    """
    >>> _short("BXAIX85.example.net")
    'bxaix85'
    """
    return host.partition(".")[0].lower()


def _around(title: str, database: DatabaseAnalysis) -> Iterator[Question]:
    """The database's role and mode, its containers, standby databases, ASM disk groups, other instances: only where
    there are surroundings before the move or after it, or something got worse.
    """
    name, what = f"oracle-around-{database.sid}", f"{title} role, standby, disk groups and other instances OK?"
    if not database.before or not database.after:
        return
    itself = worse_itself(database.before, database.after)
    there = surroundings(database.before), surroundings(database.after)
    if not any(there) and not itself:
        return
    wrong = [*itself, *worse_around(database.before, database.after)]
    if wrong:
        yield Question(name, what, FAILED, "; ".join(wrong), reply=ReplyWord.NO)
        return
    lag = lag_s(database.after)
    behind = f"; the standby is {lag} s behind" if lag else ""
    yield Question(name, what, PASSED, f"{', '.join(there[1] or there[0])}{behind}", reply=ReplyWord.YES)


def _commits(title: str, database: DatabaseAnalysis) -> Question:
    """The waits of commits; no limit is set, so they are shown and decide nothing."""
    name, what = f"oracle-commit-{database.sid}", f"{title} commits stalled for how long?"
    sync = next((wait for wait in database.waits if wait.event == "log file sync"), None)
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


def _printed(entry: Classified) -> Moment | None:
    """The time of an entry: what the line itself prints, which may be later than the stamp above it, else
    that stamp.
    """
    at = entry.witness.at if entry.witness is not None else None
    return Moment(at, at + timedelta(microseconds=1)) if at is not None else entry.event.when


def _named(tally: LogTally, verdict: LogVerdict) -> str:
    """What a tally counts, as a DBA looks it up: its first entry's code, or the beginning of its text."""
    first = next((entry for entry in verdict.notable if (entry.rule.key if entry.rule else "") == tally.key), None)
    if first is None:  # an entry without a rule: its key is its code or its text
        return tally.key
    return f"{tally.key}: {first.codes[0] if first.codes else first.event.headline[:HEADLINE]}"


def _same_start(before: JsonMapping | None, after: JsonMapping | None) -> bool:
    starts = [str((state.get("own") or {}).get("startup_time")) for state in (before, after) if state]
    return len(starts) == 2 and starts[0] == starts[1] and starts[0] != "None"


def _date(text: Any) -> str:
    """A time of the database as a date; what is none stays as it came.

    >>> _date("20261020013250"), _date(None)
    ('2026-10-20 01:32:50 (time of the database)', 'None')
    """
    at = _time(text)
    return str(text) if at is None else f"{at:%Y-%m-%d %H:%M:%S} (time of the database)"


def _time(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y%m%d%H%M%S")  # noqa: DTZ007 - the database's local time says no zone
    except ValueError:
        return None


def as_dict(database: DatabaseAnalysis) -> JsonObject:
    """One database as JSON values, for the summary."""
    said = database.judgement
    return {
        "sid": database.sid,
        "host": database.host,
        "asked_by": database.way,
        "version": database.version,
        "sessions": [dict(session) for session in database.sessions],
        "sessions_before": database.kept.before if database.kept else None,
        "sessions_lost": list(database.kept.lost) if database.kept else None,
        "waits": [
            {
                "event": wait.event,
                "waits": wait.waits,
                "total_s": wait.seconds,
                "longest_below_ms": wait.longest_ms,
                "method": "counters after minus before",
            }
            for wait in database.waits
        ],
        "changes": [{"what": what, "before": old, "after": new} for what, old, new in database.changes],
        "not_looked_at": dict(database.gaps),
        "alert_log": None
        if said is None
        else {
            "paths": list(database.paths),
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
                "what": measure.what,
                "seconds": measure.seconds,
                "resolution_s": measure.resolution_s,
                "agrees_with_suspension": measure.agrees,
            }
            for measure in database.measures
        ],
        "notes": list(database.notes),
    }
