"""The questions about a database after a move, each answered only as far as its probe looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from lpmkit.analysis.database_record import DatabaseRecord, time_of
from lpmkit.analysis.looks import as_far_as_seen, unseen
from lpmkit.analysis.model import SECOND, Interval, OutageKind
from lpmkit.analysis.oracle_model import DatabaseAnalysis
from lpmkit.json_values import JsonMapping
from lpmkit.oracle import state as facts
from lpmkit.oracle.diag import USUAL, DiagFollower
from lpmkit.oracle.judge import LogTally, LogVerdict
from lpmkit.oracle.rules import Classified
from lpmkit.oracle.surroundings import doubtful, lag_s, not_asked_again, surroundings, worse
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.rules.table import Class
from lpmkit.timeline import TroubleCode, outwards, trouble_code

PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED
#: Around a suspension a fresh logon may fail or wait for this time without any fault.
LOGON_SLACK_NS = 5 * SECOND
#: The time before the end of what is judged at which the last look may lie, beside three intervals of its probe: a busy
#: observer, a last question.
STATE_SLACK_NS, SESSION_SLACK_NS, LOGON_LOOK_SLACK_NS, LOG_SLACK_NS = 30 * SECOND, 15 * SECOND, 30 * SECOND, 40 * SECOND
#: Distances of a log's last entry from what the instance did last at which it may still be its log: clocks that were
#: set and summer time, and for a log without zones the distance of any two zones.
CLOCK_SLACK, ZONE_SLACK, QUARTER = timedelta(hours=2), timedelta(hours=26), timedelta(minutes=15)
#: The number of characters of an entry's first line that an answer quotes.
HEADLINE = 80


class DatabaseQuestions:
    """Answers the questions about one database."""

    def __init__(self, record: DatabaseRecord, database: DatabaseAnalysis) -> None:
        self._of, self._database = record, database

    def all(self) -> list[Question]:
        title, database = f"Oracle {self._of.sid}", self._database
        sql, states = self._of.looks("sql"), [int(row["mono_ns"]) for row in self._of.states]
        end = Interval(max(self._of.span.lo_ns, self._of.turn_ns), self._of.span.hi_ns)
        return [
            self._seen(self._restarted(title), [*sql, *states], end, STATE_SLACK_NS, "sql"),
            self._seen(self._session(title), sql, end, SESSION_SLACK_NS, "sql"),
            self._seen(self._here(self._others(title, database)), states, end, STATE_SLACK_NS, "db-state"),
            self._log(title, database),
            self._seen(self._logons(title), self._of.looks("logon"), self._of.span, LOGON_LOOK_SLACK_NS, "logon"),
            *(
                self._seen(self._here(question), states, end, STATE_SLACK_NS, "db-state")
                for question in _around(title, database, self._between(), self._of.mode)
            ),
            _commits(title, database),
        ]

    def _between(self) -> Sequence[JsonMapping]:
        """The states between the suspension and the last one."""
        return [row for row in self._of.states if row["mono_ns"] > self._of.turn_ns][:-1]

    def _seen(self, question: Question, looks: Sequence[int], span: Interval, slack_ns: int, kind: str) -> Question:
        """The question, open where its probe did not look.

        An end alone is asked for where a later look speaks for the time before it too.
        """
        if kind != "logon":
            looks = [max(looks)] if looks else []
            span = Interval(min([span.lo_ns, *looks]), span.hi_ns)
            span = Interval(looks[0], span.hi_ns) if looks else span
        slack_ns += 3 * int(self._of.orders[kind].get("interval_ns") or 0) if kind in self._of.orders else 0
        excused = [still.outer for still in (self._of.analysed_host.suspensions if self._of.analysed_host else ())]
        gaps = unseen(looks, span, slack_ns, excused) if span.length_ns > 0 else []
        return as_far_as_seen(question, [self._of_the_move(gap) for gap in gaps], self._of.span, self._of.refusal())

    def _of_the_move(self, gap: Interval) -> Interval:
        return Interval(min(max(gap.lo_ns, self._of.span.lo_ns), gap.hi_ns), gap.hi_ns)

    def _key(self, name: str) -> str:
        return f"oracle-{name}-{self._of.sid}"

    def _starts(self) -> list[tuple[tuple[str, str] | None, str]]:
        """Every instance that a session of ours was in, with its start time."""
        beats = [event.data for event in self._of.sessions]
        beats += [row["own"] for row in self._of.states if isinstance(row.get("own"), dict)]
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
            for event in self._of.record.events
            if event.kind == "alert-log"
            and event.data.get("probe") == self._of.names.get("alert")
            and event.data.get("hostname")
        }
        if places and names and _short(places[0][1]) not in {_short(name) for name in names}:
            return (
                f"the sessions are in {named}, and the watched host calls itself {', '.join(sorted(names))}: "
                "correct `listener:` or `service:`"
            )
        if places and not self._is_the_watched({name for name, _ in places}):
            cure = "correct `sqlplus:` (ORACLE_SID) or `service:`"
            return f"the sessions are in {named}, which is not {self._of.sid}: {cure}"
        return ""

    def _is_the_watched(self, instances: set[str]) -> bool:
        options = next(iter(self._of.orders.values())).get("options") or {}
        way = options.get("way") or {}
        chosen = "" if way.get("way") == "sqlplus" else str(way.get("service") or "")
        return facts.is_the_watched(self._of.sid, chosen, instances, [row.get("facts", {}) for row in self._of.states])

    def _here(self, question: Question) -> Question:
        """The question, open where the database that answered is not the watched one."""
        elsewhere = self._elsewhere()
        if not elsewhere or question.state is OPEN:
            return question
        return Question(question.key, question.title, OPEN, elsewhere)

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
        last = max(
            [int(row["mono_ns"]) for row in self._of.states] + [event.mono_ns for event in self._of.sessions], default=0
        )
        if not times or (not self._spoke_after() and last <= self._of.begin_ns):
            refusal = self._of.refusal()
            text = "the database was not asked for its start time before and after" + (
                f": {refusal}" if refusal else ""
            )
            return Question(name, what, OPEN, text)
        start = next(iter(times.values()))[0]
        return Question(name, what, PASSED, f"no restart: started {_date(start)}", "V$INSTANCE.STARTUP_TIME")

    def _spoke_after(self) -> bool:
        """True if our own session was answered after the suspension, or late in the record where none
        was found.
        """
        still = self._of.suspension
        moment = still.end.hi_ns if still else self._of.begin_ns
        return any(len(trace.alive_lo) and int(trace.alive_lo[-1]) >= moment for trace in self._of.traces("sql"))

    def _session(self, title: str) -> Question:  # noqa: PLR0911 - one return for each thing that can be known
        name, what = self._key("session"), f"{title} session kept?"
        if not self._of.sessions:
            return Question(name, what, OPEN, f"no session could be opened{_because(self._of.refusal())}")
        identities = [facts.identity(event.data) for event in self._of.sessions]
        resumed = any(
            event.kind == "recorder-started" and event.data.get("resumed") for event in self._of.record.events
        )
        restarted = any(trouble_code(event.data) is TroubleCode.DIED for event in self._of.troubles("sql"))
        first = self._of.sessions[0].data
        if len(set(identities)) > 1:
            if resumed or restarted:
                return Question(name, what, OPEN, "a second recorder or probe had to open a session of its own")
            late = self._of.sessions[-1].data
            text = f"SID {first['sid']},{first['serial']} was lost, {late['sid']},{late['serial']} is another"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if elsewhere := self._elsewhere():
            return Question(name, what, OPEN, elsewhere)
        if not self._spoke_after():
            if self._of.refusal() or not self._is_watched_after():
                return Question(
                    name, what, OPEN, f"the session was not observed after the move{_because(self._of.refusal())}"
                )
            state = FAILED if self._of.traces("sql") else OPEN
            return Question(name, what, state, "the session did not answer after the move")
        outages = self._of.analysed_host.outages if self._of.analysed_host else ()
        waited = [outage for outage in outages if outage.probe == self._of.names.get("sql")]
        longest = max((outage.outer.length_ns for outage in waited), default=0)
        felt = (
            f"; its longest wait at most {outwards(0, longest, 1)[1]:.1f} s"
            if longest
            else "; no answer of it was late"
        )
        text = f"SID {first['sid']}, SERIAL# {first['serial']}, logged on {_date(first['logon_time'])}{felt}"
        return Question(name, what, PASSED, text, reply=ReplyWord.YES)

    def _is_watched_after(self) -> bool:
        """True if the session's probe still asked after the suspension: without that, silence is ours."""
        return any(sent >= self._of.turn_ns for sent in self._of.looks("sql"))

    def _others(self, title: str, database: DatabaseAnalysis) -> Question:
        name, what = self._key("population"), f"{title} sessions of other users kept?"
        if database.kept is None:
            counts = any(row.get("facts", {}).get("sessions") is not None for row in self._of.states)
            return Question(name, what, OPEN, "who was logged on before and after is not known", counts=counts)
        lost, beyond = database.kept.lost, database.kept.beyond_usual
        if len(beyond) > self._of.limit("lost_sessions"):
            shown = ", ".join(beyond[:5]) + (" …" if len(beyond) > 5 else "")
            text = f"{len(beyond)} of {database.kept.before} ended around the suspension, more than usual: {shown}"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if utilities := database.kept.utilities:
            shown = ", ".join(utilities[:5]) + (" …" if len(utilities) > 5 else "")
            text = (
                f"{database.kept.same} of {database.kept.before}; sessions of a backup or an export ended, done or "
                f"broken off, as its own log says: {shown}"
            )
            return Question(name, what, PASSED, text, warns=True)
        if lost:
            text = (
                f"{database.kept.same} of {database.kept.before}; {len(lost)} ended, as pools renew theirs or the site "
                "file allows"
            )
            return Question(name, what, PASSED, text, reply=ReplyWord.YES)
        return Question(name, what, PASSED, f"all {database.kept.before} long-standing sessions", reply=ReplyWord.YES)

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
        if partial := self._partial_view(database) or self._silence(database):
            return Question(name, what, OPEN, partial + (f"; {text}" if text else ""))
        if verdict.verdict == Class.UNKNOWN.value:
            return Question(name, what, OPEN, f"unclassified entries: {text or 'lines without a time'}")
        entries = f"{verdict.inside} entries, none critical"
        answer = Question(name, what, PASSED, f"with warnings: {text}", warns=True)
        answer = answer if text else Question(name, what, PASSED, entries, reply=ReplyWord.YES)
        if not self._keeps_readings():
            return answer  # runs of earlier versions did not keep when the log was read
        return self._seen(answer, self._of.readings, self._of.span, LOG_SLACK_NS, "alert")

    def _keeps_readings(self) -> bool:
        return any(event.kind == "alert-log" and "hostname" in event.data for event in self._of.record.events)

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

    def _silence(self, database: DatabaseAnalysis) -> str:
        """The objection to a log to which this instance does not write: it holds nothing of the instance's last start
        or of its last log switch, each of which leaves a line. The log of before an upgrade still lies where it was.
        """
        path = database.paths[0] if database.paths else ""
        rows = [row for row in self._of.rows if row.get("path") == path]
        if any(isinstance(row.get("since_ns"), int) for row in rows):
            return ""
        newest, slack = self._newest(rows)
        switched, started = self._last_acts()
        acts = [act for act in ((switched, started) if newest is not None else (switched,)) if act is not None]
        if not acts or (newest is not None and newest > max(acts) - slack):
            return ""
        if newest is None and path == DiagFollower.path and self._is_before_the_view(max(acts)):
            return ""
        holds = f"its last entry is of {newest:%Y-%m-%d %H:%M:%S}" if newest is not None else "it is empty"
        return (
            f"{path} shows nothing of this instance: {holds}, and the instance wrote to its log at "
            f"{max(acts):%Y-%m-%d %H:%M:%S}; correct `alert_log:`"
        )

    def _is_before_the_view(self, act: datetime) -> bool:
        """True if something lies before what is read of V$DIAG_ALERT_EXT."""
        first = self._of.clock.there(self._of.record.span.lo_ns) if self._of.clock is not None else None
        return first is None or act < first - USUAL + QUARTER

    def _newest(self, rows: Sequence[JsonMapping]) -> tuple[datetime | None, timedelta]:
        """The time of the last entry as the database tells time, and the error of that."""
        times = [datetime.fromisoformat(row["when"][0]) for row in rows if row.get("when")]
        zone = self._of.clock.zone if self._of.clock is not None else None
        zoned = bool(times) and zone is not None and all(time.tzinfo is not None for time in times)
        there = [(time.astimezone(zone) if zoned else time).replace(tzinfo=None) for time in times]
        return max(there, default=None), CLOCK_SLACK if zoned else ZONE_SLACK

    def _last_acts(self) -> tuple[datetime | None, datetime | None]:
        """The last log switch of a primary database, of a cluster that of the thread that waited longest, and the last
        start of the instance, both in the database's time.
        """
        switches, starts = [], []
        for row in self._of.states:
            asked = row.get("facts", {})
            is_primary = any(one.get("database_role") == "PRIMARY" for one in asked.get("database", ()))
            times = [time_of(one.get("first_time")) for one in asked.get("redo", ()) if is_primary]
            switches += [min(time for time in times if time is not None)] if any(times) else []
            start = time_of((row.get("own") or {}).get("startup_time"))
            starts += [start] if start is not None else []
        return max(switches, default=None), max(starts, default=None)

    def _gaps_of_the_log(self) -> list[str]:
        """The parts of the log that were not seen since the move began.

        Trouble that was over before is none, and a probe that was started again reads on.
        """
        begun = (
            event.mono_ns
            for event in self._of.record.events
            if event.kind == "alert-log" and event.data.get("probe") == self._of.names.get("alert")
        )
        found_by = min(begun, default=1 << 62)
        over = found_by if found_by <= self._of.begin_ns else 0
        return [
            str(event.data.get("what"))
            for event in self._of.troubles("alert")
            if event.mono_ns >= over and trouble_code(event.data) is not TroubleCode.DIED
        ]

    def _logons(self, title: str) -> Question:
        name, what = self._key("logon"), f"{title} logons possible?"
        tried = self._of.attempts("logon")
        if not tried:
            text = f"no new logons were tried{_because(self._of.refusal())}"
            return Question(name, what, OPEN, text, counts="logon" in self._of.names)
        host = self._of.analysed_host
        excused = [still.outer.widened(LOGON_SLACK_NS) for still in (host.suspensions if host else ())]
        outages = host.outages if host else ()
        excused += [outage.outer.widened(LOGON_SLACK_NS) for outage in outages if outage.kind is OutageKind.NETWORK]
        worked = [sent for sent, spoke in tried if spoke]
        failed = [sent for sent, spoke in tried if not spoke and sent >= self._of.begin_ns]
        unexcused = [moment for moment in failed if not any(span.contains(moment) for span in excused)]
        if not worked:
            why = next((str(event.data.get("what")) for event in self._of.troubles("logon")), "")
            return Question(name, what, OPEN, f"none of {len(tried)} logons worked, before or after{_because(why)}")
        if len(unexcused) > self._of.limit("failed_logons"):
            text = f"{len(unexcused)} logons failed while the host ran (of {len(tried)})"
            return Question(name, what, FAILED, text, reply=ReplyWord.NO)
        if worked[-1] < self._of.begin_ns:
            return Question(name, what, OPEN, f"no logon worked since the move began{_because(self._of.refusal())}")
        if self._of.suspension is not None and worked[-1] < self._of.suspension.begin.hi_ns:
            return Question(name, what, OPEN, f"no logon worked since the resume{_because(self._of.refusal())}")
        during = f"; {len(failed)} failed or waited around the suspension" if failed else ""
        return Question(name, what, PASSED, f"{len(worked)} new logons{during}", reply=ReplyWord.YES)


def _because(why: str) -> str:
    return f": {why}" if why else ""


def _short(host: str) -> str:
    """
    >>> _short("BXAIX85.example.net")
    'bxaix85'
    """
    return host.partition(".")[0].lower()


def _around(title: str, database: DatabaseAnalysis, between: Sequence[JsonMapping], mode: str) -> Iterator[Question]:
    """The database's role and mode, its containers and services, standby databases, ASM disk groups, other instances:
    only where there are surroundings before the move or after it, or something got worse, if for a while only; open
    where only one side of a move was asked.
    """
    name, what = f"oracle-around-{database.sid}", f"{title} role, standby, disk groups and other instances OK?"
    if not database.before or not database.after:
        if mode == "move" and (known := database.before or database.after):
            side = "after the suspension" if database.before else "before the move"
            if surroundings(known) or known.get("facts", {}).get("database"):
                yield Question(name, what, OPEN, f"the database was not asked for its state {side}")
        return
    wrong = worse(database.before, database.after)
    meanwhile = dict.fromkeys(text for state in between for text in worse(database.before, state))
    there = surroundings(database.before), surroundings(database.after)
    unanswered, doubts = not_asked_again(database.before, database.after), doubtful(database.before, database.after)
    if not any(there) and not wrong and not meanwhile and not unanswered and not doubts:
        return
    if wrong:
        yield Question(name, what, FAILED, "; ".join(wrong), reply=ReplyWord.NO)
        return
    if unanswered:
        yield Question(name, what, OPEN, f"not answered after the move: {'; '.join(unanswered)}")
        return
    lag = lag_s(database.after)
    behind = f"; the standby is {lag} s behind" if lag else ""
    if doubts:
        yield Question(name, what, PASSED, "; ".join(doubts), warns=True)
        return
    if meanwhile:
        text = f"for a while after the suspension, and over: {'; '.join(meanwhile)}{behind}"
        yield Question(name, what, PASSED, text, warns=True)
        return
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


def _named(tally: LogTally, verdict: LogVerdict) -> str:
    """The name of a tally, with its first entry's code, or the beginning of its text, for a DBA to look up."""
    first = next((entry for entry in verdict.notable if _is_counted_in(entry, tally)), None)
    if first is None:  # an entry without a rule: its key is its code or its text
        return tally.key
    return f"{tally.key}: {first.codes[0] if first.codes else first.event.headline[:HEADLINE]}"


def _is_counted_in(entry: Classified, tally: LogTally) -> bool:
    return entry.rule is not None and entry.rule.key == tally.key and entry.meaning is tally.meaning


def _date(text: Any) -> str:
    """A time of the database as a date; what is none stays as it came.

    >>> _date("20261020013250"), _date(None)
    ('2026-10-20 01:32:50 (time of the database)', 'None')
    """
    at = time_of(text)
    return str(text) if at is None else f"{at:%Y-%m-%d %H:%M:%S} (time of the database)"
