"""The analysis of a database in a run: the same instance, the same sessions, the alert log's verdict, commits and
logons, and what the database measured itself.

Times of the database are placed on our clock through its own answers: each says what time it was there at some instant
between question and answer. A log that prints whole seconds orders events and tightens nothing; lengths that VKTM or
the log writer measured are shown with their own resolution and held against the suspension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from lpmkit.analysis.database_record import DatabaseRecord, time_of
from lpmkit.analysis.model import MILLISECOND, SECOND, HostAnalysis, Interval
from lpmkit.analysis.oracle_model import DatabaseAnalysis, Mark, OwnMeasure
from lpmkit.analysis.oracle_questions import DatabaseQuestions
from lpmkit.analysis.oracle_times import LogTimes
from lpmkit.analysis.record import Record
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle import state as facts
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.judge import Judge, LogPosition, LogVerdict, LogWindow
from lpmkit.oracle.rules import Classified, LogRules, Witness
from lpmkit.oracle.stamps import Moment
from lpmkit.rules.table import Class
from lpmkit.runs.folder import Run

#: The length of the log before the move that shows what is usual: an evening and its night.
USUAL = timedelta(hours=12)
#: A session older than this when the recording began is one that somebody relies on; younger ones come and go.
LONG_LIVED = timedelta(minutes=10)
#: The error of a time that VKTM or the log writer measures: it ends at a tick of theirs, and does not begin at the
#: suspension's edge.
OWN_TICK_NS = 250 * MILLISECOND
BANNER = "start-banner"


def databases(run: Run, record: Record, hosts: Sequence[HostAnalysis], mode: str) -> tuple[DatabaseAnalysis, ...]:
    """Every database that the run watched, by SID."""
    orders: dict[str, dict[str, JsonMapping]] = {}
    for order in run.manifest.get("probes") or ():
        options = order.get("options") or {}
        if order.get("group") == "oracle" and options.get("sid"):
            orders.setdefault(str(options["sid"]), {})[str(order["kind"])] = order
    return tuple(
        _Working(DatabaseRecord(sid, kinds, run, record, hosts, mode)).analysed()
        for sid, kinds in sorted(orders.items())
    )


class _Working:
    """The working out of one database."""

    def __init__(self, record: DatabaseRecord) -> None:
        self._of = record
        self.notes: list[str] = []

    def analysed(self) -> DatabaseAnalysis:
        before, after = self._before_and_after()
        kept = self._sessions_around()
        judgement, marks, measures = self._alert(before, after)
        way = str((next(iter(self._of.orders.values())).get("options") or {}).get("way", {}).get("way", "?"))
        database = DatabaseAnalysis(
            sid=self._of.sid,
            host=self._of.host,
            way=way,
            version=self._version(before),
            before=before,
            after=after,
            sessions=tuple(event.data for event in self._of.sessions),
            kept=kept,
            waits=facts.waits_between(before, after) if before and after else (),
            changes=tuple(facts.state_changes(before, after)) if before and after else (),
            gaps=dict((after or before or {}).get("gaps", {})),
            judgement=judgement,
            marks=marks,
            measures=measures,
            paths=tuple(
                str(e.data.get("path"))
                for e in self._of.record.events
                if e.kind == "alert-log" and e.data.get("probe") == self._of.names.get("alert")
            ),
            questions=(),
            notes=tuple(self.notes),
        )
        return replace(database, questions=tuple(DatabaseQuestions(self._of, database).all()))

    def _version(self, before: JsonMapping | None) -> str | None:
        rows = (before or {}).get("facts", {}).get("instance") or [event.data for event in self._of.sessions]
        return str(rows[0].get("version")) if rows else None

    def _before_and_after(self) -> tuple[JsonMapping | None, JsonMapping | None]:
        """The last state asked for before the move, and the last one of all, when it is later than the move's
        suspension or end.
        """
        early = (
            [row for row in self._of.states if row["mono_ns"] <= self._of.begin_ns]
            if self._of.mode == "move"
            else self._of.states[:1]
        )
        turn = self._of.suspension.end.hi_ns if self._of.suspension else self._of.begin_ns
        late = [row for row in self._of.states if row["mono_ns"] > turn and row is not (early[-1] if early else None)]
        return (early[-1] if early else None), (late[-1] if late else None)

    def _sessions_around(self) -> facts.SessionsRetained | None:
        """The sessions before and after the suspension; in a run without one, those before and after everything."""
        begin = self._of.suspension.begin.lo_ns if self._of.suspension else self._of.begin_ns
        early = [row for row in self._of.states if row["mono_ns"] <= begin]
        early = early or ([] if self._of.suspension else self._of.states[:1])
        late = [row for row in self._of.states if row["mono_ns"] > self._of.turn_ns and early and row is not early[-1]]
        if not early or not late:
            return None
        looks = late[-1:]
        if self._of.suspension:
            noticed = [row for row in late[1:] if row["mono_ns"] <= self._of.turn_ns + facts.NOTICED_S * SECOND]
            looks = [late[0], *noticed[-1:]]
        gaps_s = ((row, (row["mono_ns"] - early[-1]["mono_ns"]) / SECOND) for row in looks)
        return facts.sessions_kept(early[-1], tuple(gaps_s), self._own())

    def _own(self) -> frozenset[facts.SessionKey]:
        """The sessions of our own probes, as far as they identify themselves; fresh logons are recognised by their
        age.
        """
        own = {facts.session_key(row["own"]) for row in self._of.states if isinstance(row.get("own"), dict)}
        own |= {facts.session_key(event.data) for event in self._of.sessions}
        started = self._of.clock.there(self._of.record.span.lo_ns) if self._of.clock else None
        for row in self._of.states:
            for one in row.get("facts", {}).get("sessions", ()):
                logon = time_of(one.get("logon_time"))
                if started is not None and logon is not None and logon > started - LONG_LIVED:
                    own.add(facts.session_key(one))
        return frozenset(own)

    # --- the alert log

    def _alert(
        self, before: JsonMapping | None, after: JsonMapping | None
    ) -> tuple[LogVerdict | None, tuple[Mark, ...], tuple[OwnMeasure, ...]]:
        if not any(
            event.kind == "alert-log" and event.data.get("probe") == self._of.names.get("alert")
            for event in self._of.record.events
        ):
            return None, (), ()
        rules, judge = self._rules(), Judge(LogWindow(usual=USUAL), pause=self._pause())
        times = LogTimes(self._of.clock, self._of.rows, self._of.begin_ns)
        marks, measures = [], []
        same = _same_start(before, after)
        for row in self._of.rows:
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
            at = Interval(max(span.lo_ns, min(self._of.record.span.lo_ns, span.hi_ns)), span.hi_ns)
            if entry.meaning not in (Class.ROUTINE, Class.OTHER):
                rule = entry.rule.key if entry.rule else entry.meaning.value
                marks.append(Mark(at, entry.meaning, rule, entry.event.headline, place, str(entry.event.when or "")))
            if entry.witness is not None and place is LogPosition.INSIDE:
                measures.append(self._measure(entry.witness, at))
        self.notes += times.zone_notes()
        return judge.judgement(), tuple(marks), tuple(measures)

    def _pause(self) -> tuple[timedelta, timedelta] | None:
        """The suspension, as times after the begin of the move."""
        if self._of.suspension is None:
            return None
        outer, begin_ns = self._of.suspension.outer, self._of.begin_ns
        edges = [timedelta(microseconds=(edge - begin_ns) / 1000) for edge in (outer.lo_ns, outer.hi_ns)]
        return edges[0], edges[1]

    def _rules(self) -> LogRules:
        rules, trouble = LogRules.kept((self._of.orders["alert"].get("options") or {}).get("rules"))
        self.notes += [trouble] if trouble else []
        return rules

    def _measure(self, witness: Witness, at: Interval) -> OwnMeasure:
        still = self._of.suspension
        agrees = None
        if still is not None:
            length = Interval(
                int(witness.seconds * SECOND), int((witness.seconds + witness.resolution_s) * SECOND)
            ).widened(OWN_TICK_NS)
            agrees = length.overlaps(still.length) and at.widened(2 * SECOND).overlaps(still.outer)
        return OwnMeasure(witness.what, witness.seconds, witness.resolution_s, at, agrees)


def _printed(entry: Classified) -> Moment | None:
    """The time of an entry: what the line itself prints, which may be later than the stamp above it, else
    that stamp.
    """
    at = entry.witness.at if entry.witness is not None else None
    return Moment(at, at + timedelta(microseconds=1)) if at is not None else entry.event.when


def _same_start(before: JsonMapping | None, after: JsonMapping | None) -> bool:
    starts = [str((state.get("own") or {}).get("startup_time")) for state in (before, after) if state]
    return len(starts) == 2 and starts[0] == starts[1] and starts[0] != "None"


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
