"""Questions about the limits of a move: its measured bounds against what was asked for, and against time-outs.

A question is asked only where its limit is set. It fails where even the lower bound exceeds the limit, and is not
evaluated where the bounds lie on both sides of it, or where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lpmkit.analysis.model import SECOND, HostAnalysis, Interval, PhaseSpan, WallClock
from lpmkit.analysis.oracle_model import DatabaseAnalysis
from lpmkit.analysis.time_outs import (
    TimeOut,
    cluster_time_outs,
    failover_patience,
    net_time_outs,
    sap_time_outs,
    shortest,
)
from lpmkit.errors import UsageError
from lpmkit.json_values import JsonMapping
from lpmkit.limits import Limit, LimitState, MoveLimits, judge, read_limits
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.sap.judge import SapOutcome
from lpmkit.sap.model import JobStatus
from lpmkit.timeline import Event, outwards

#: SAP prints the begin and the end of a job in whole seconds, and its history's median has the same resolution.
JOB_STAMPS_S = 2.0
SESSION_KINDS = ("echo", "ticks")


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of a run in seconds, by its bounds; ``None`` where one is not known. ``about`` says what it is of."""

    low_s: float | None
    high_s: float | None
    about: str = ""
    why_not: str = ""

    @classmethod
    def of(cls, span: Interval, about: str = "") -> Measured:
        return cls(span.lo_ns / SECOND, span.hi_ns / SECOND, about)

    @property
    def words(self) -> str:
        """The bounds in words, rounded outwards."""
        if self.low_s is None or self.high_s is None:
            return self.why_not
        if self.high_s == 0:
            return "none"
        low, high = outwards(round(self.low_s * SECOND), round(self.high_s * SECOND))
        return f"{low:.3f} s … {high:.3f} s"


STATES = {
    LimitState.PASSED: AnswerState.PASSED,
    LimitState.WARNED: AnswerState.PASSED,
    LimitState.FAILED: AnswerState.FAILED,
    LimitState.COULD_NOT_TELL: AnswerState.NOT_EVALUATED,
}


def limits_of(manifest: JsonMapping) -> tuple[MoveLimits, str]:
    """The limits of a run, and why they cannot be read (empty where they can)."""
    given = manifest.get("limits")
    try:
        return read_limits(given if isinstance(given, dict) else {}), ""
    except UsageError as error:
        return MoveLimits(), str(error)


def against(limit: Limit, found: Measured) -> tuple[LimitState, str]:
    """The state of a figure under its limit, and the sentence about both.

    >>> against(Limit(fail=2), Measured(1.6213, 1.6339))[1]
    '1.621 s … 1.634 s, within 2 s'
    >>> against(Limit(warn=1.5, fail=2), Measured(1.6213, 1.6339))[1]
    '1.621 s … 1.634 s, within 2 s, above the warning limit of 1.5 s'
    """
    state = judge(found.low_s, found.high_s, limit)
    if state is LimitState.COULD_NOT_TELL and (found.low_s is None or found.high_s is None):
        return state, f"{found.words}; {limit.sentence()}"
    if state is LimitState.FAILED:
        return state, f"{found.words}, {limit.sentence()}"
    if state is LimitState.COULD_NOT_TELL:
        return state, f"{found.words}, may exceed {limit.sentence().replace(' is', ' of', 1)}"
    within = f"{found.words}, within {limit.fail:g} s" if limit.fail is not None else found.words
    if state is LimitState.PASSED:
        return state, within if limit.fail is not None else f"{within}, within {limit.warn:g} s"
    surely = found.low_s is not None and limit.warn is not None and found.low_s > limit.warn
    word = "above" if surely else "may exceed"
    return state, f"{within}, {word} the warning limit of {limit.warn:g} s"


def effects_of(
    hosts: Sequence[HostAnalysis], sap: Sequence[SapOutcome], databases: Sequence[DatabaseAnalysis]
) -> dict[str, Measured]:
    """The costs of the move besides the suspension, by the keys of the limits: the worst of all SAP systems and
    databases; none where there is none.
    """
    measured = {"session_outage_s": session_outage(hosts), "brown_out_s": brown_out(hosts)}
    if sap:
        measured["job_delay_s"] = _worst([job_delay(outcome) for outcome in sap])
    if databases:
        measured["commit_stall_s"] = _worst([commit_stall(database) for database in databases])
    return measured


def _worst(figures: Sequence[Measured]) -> Measured:
    """The figure with the greatest upper bound; one that is not known to end comes before all, one of which nothing is
    known after all.
    """

    def rank(one: Measured) -> float:
        if one.high_s is not None:
            return one.high_s
        return -1.0 if one.low_s is None else float("inf")

    return max(figures, key=rank)


def limit_questions(
    limits: MoveLimits,
    hosts: Sequence[HostAnalysis],
    sap: Sequence[SapOutcome],
    databases: Sequence[DatabaseAnalysis],
) -> Iterator[Question]:
    """The questions about limits that are set, but for the suspension, which has its own."""
    if limits.session_outage_s is not None:
        yield _question(
            "limit-session-outage", "Session outage within its limit?", limits.session_outage_s, session_outage(hosts)
        )
    if limits.brown_out_s is not None:
        yield _question("limit-brown-out", "Brown-out within its limit?", limits.brown_out_s, brown_out(hosts))
    for outcome in sap if limits.job_delay_s is not None else ():
        yield _question(
            f"limit-job-delay-{outcome.sid}",
            f"{outcome.sid}: jobs delayed within the limit?",
            limits.job_delay_s,
            job_delay(outcome),
        )
    for database in databases if limits.commit_stall_s is not None else ():
        yield _question(
            f"limit-commit-stall-{database.sid}",
            f"Oracle {database.sid}: commit stall within its limit?",
            limits.commit_stall_s,
            commit_stall(database),
        )


def _question(key: str, title: str, limit: Limit | None, found: Measured) -> Question:
    assert limit is not None
    state, text = against(limit, found)
    reply = {LimitState.FAILED: ReplyWord.NO, LimitState.COULD_NOT_TELL: None}.get(state, ReplyWord.YES)
    return Question(key, title, STATES[state], text, found.about, reply=reply, warns=state is LimitState.WARNED)


def session_outage(hosts: Sequence[HostAnalysis]) -> Measured:
    """The longest session outage. Where no session was silent it lies below what its probe could have shown."""
    waits = [session for host in hosts for session in host.sessions]
    if waits:
        low, high = max(wait.bounds.lo_ns for wait in waits), max(wait.bounds.hi_ns for wait in waits)
        longest = max(waits, key=lambda wait: wait.bounds.hi_ns)
        return Measured.of(Interval(low, high), f"the longest of all open sessions, by {longest.probe}")
    traces = [trace for host in hosts for trace in host.traces if trace.kind in SESSION_KINDS and len(trace.alive_hi)]
    if not traces:
        return Measured(None, None, why_not="no session was watched")
    return Measured.of(Interval(0, max(trace.noise.threshold_ns for trace in traces)), "no session was silent")


def brown_out(hosts: Sequence[HostAnalysis]) -> Measured:
    """The longest brown-out of any probe after the suspension."""
    slow = [brown_out for host in hosts for brown_out in host.brown_outs]
    if not slow:
        return Measured(None, None, why_not="no brown-out was measured: no suspension, or too short a baseline")
    low, high = max(one.lasted.lo_ns for one in slow), max(one.lasted.hi_ns for one in slow)
    longest = max(slow, key=lambda one: one.lasted.hi_ns)
    if longest.lasted.hi_ns > longest.looked_ns + SECOND:
        return Measured(low / SECOND, None, why_not=f"{low / SECOND:.0f} s at least, the recording ended before it did")
    about = f"by {longest.probe}" if high else f"no second was slow, by {longest.probe}"
    return Measured.of(Interval(low, high), about)


def job_delay(outcome: SapOutcome) -> Measured:
    """The greatest delay of a job that ran when the partition was suspended, against the median of its own history."""
    if outcome.question(f"sap-jobs-{outcome.sid}").state is AnswerState.NOT_EVALUATED:
        return Measured(None, None, why_not="the jobs were not evaluated")
    ran = [line for line in outcome.jobs if line.verdict]
    if not ran:
        return Measured(0.0, 0.0, "no job ran when the suspension began")
    known = [line for line in ran if line.delay_s is not None]
    going_on = sum(line.course.status is JobStatus.RUNNING for line in ran)
    if not known:
        return Measured(None, None, why_not=f"no delay is known of {len(ran)} jobs, {going_on} had not ended")
    worst = max(known, key=lambda line: line.delay_s or 0.0)
    delay = max(0.0, worst.delay_s or 0.0)
    rest = f"; {going_on} had not ended" if going_on else ""
    return Measured(
        max(0.0, delay - JOB_STAMPS_S),
        delay + JOB_STAMPS_S,
        f"{worst.course.job.title}, of {len(known)} job{'s' * (len(known) != 1)}{rest}",
    )


def commit_stall(found: DatabaseAnalysis) -> Measured:
    """The longest wait of a commit, from the buckets of ``V$EVENT_HISTOGRAM``: each doubles the one before."""
    sync = next((wait for wait in found.waits if wait.event == "log file sync"), None)
    if sync is None:
        return Measured(None, None, why_not="the waits before and after are not known")
    if sync.waits == 0:
        return Measured(0.0, 0.0, "no commit waited")
    if not sync.longest_ms:
        return Measured(None, None, why_not="the histogram of the waits is not known")
    return Measured(sync.longest_ms / 2000, sync.longest_ms / 1000, "V$EVENT_HISTOGRAM, log file sync")


def time_out_question(
    suspension: Interval | None, survey: object, databases: Sequence[DatabaseAnalysis]
) -> Iterator[Question]:
    """The measured suspension against the time-outs of clusters, of fast-start failover, of Oracle Net and of SAP,
    where there are any.
    """
    waits = [TimeOut(name, value) for name, value in cluster_time_outs(survey).items()]
    for database in databases:
        name, patience = failover_patience(database.sid, database.before)
        if patience is not None:
            waits.append(TimeOut(name, patience))
    waits += [*net_time_outs(survey), *sap_time_outs(survey)]
    if not waits:
        return
    key, title = "time-outs", "Suspension shorter than all time-outs?"
    if suspension is None:
        yield Question(key, title, AnswerState.NOT_EVALUATED, "no suspension was measured", counts=False)
        return
    found = Measured.of(suspension)
    over: list[str] = []
    near: list[str] = []
    for one in waits:
        state = LimitState.PASSED if one.seconds is None else judge(found.low_s, found.high_s, Limit(fail=one.seconds))
        if state is not LimitState.PASSED:
            (over if state is LimitState.FAILED and one.was_read else near).append(one.words)
    unread = [one.name for one in waits if one.seconds is None]
    shown = ", ".join(one.words for one in shortest(waits))
    if over:
        yield Question(
            key, title, AnswerState.FAILED, f"{found.words}; exceeded: {', '.join(over)}", reply=ReplyWord.NO
        )
    elif near:
        yield Question(
            key, title, AnswerState.NOT_EVALUATED, f"{found.words}; may have been exceeded: {', '.join(near)}"
        )
    elif unread:
        text = f"{found.words}; the time-out of {', '.join(unread)} is not known"
        yield Question(key, title, AnswerState.NOT_EVALUATED, text, shown, counts=False)
    else:
        yield Question(key, title, AnswerState.PASSED, f"{found.words}; {shown}", reply=ReplyWord.YES)


def window_question(
    limits: MoveLimits, phases: Sequence[PhaseSpan], events: Sequence[Event], wall: WallClock
) -> Iterator[Question]:
    """The question whether the move lay within the change window, from the command to its end; only where a window is
    set.
    """
    if limits.window == MoveLimits().window:
        return
    key, title, window = "window", "Within the change window?", limits.window.sentence()
    asked = [event.mono_ns for event in events if event.kind == "intent" and event.data.get("what") == "migrate"]
    asked = asked or [phase.since_ns for phase in phases if phase.name == "asked"]
    if not asked:
        yield Question(key, title, AnswerState.NOT_EVALUATED, f"no move was asked for; the window is {window}")
        return
    ends = [one.since_ns for one in phases if one.name in ("settled", "failed", "stopped")]
    begin_ns = wall.at(asked[0])
    why = limits.window.why_outside(begin_ns, wall.at(ends[-1] if ends else asked[0]))
    if why:
        is_early = limits.window.begin_ns is not None and begin_ns < limits.window.begin_ns
        is_late = bool(limits.window.why_outside(begin_ns))
        text = f"the move began {why}" if is_early else f"the move lay {why}" if is_late else f"the move ended {why}"
        yield Question(key, title, AnswerState.FAILED, text, reply=ReplyWord.NO)
    elif not ends:
        yield Question(key, title, AnswerState.NOT_EVALUATED, f"its end was not seen; the window is {window}")
    else:
        yield Question(key, title, AnswerState.PASSED, window, reply=ReplyWord.YES)
