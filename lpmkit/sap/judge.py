"""What a move did to a SAP system: questions, each answered from observations before and after the pause, and from the two snapshots.

Missing data never passes. A question that no way of the site file can answer is "not evaluated" and does not count against the move; one that a way should have
answered and did not is "not evaluated" and does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lpmkit.config import SapSlo
from lpmkit.sap.classify import Class, Rules, Tally, describe
from lpmkit.sap.course import Answers, JobCourse, Pause, answers, fresh, job_courses, occupancy
from lpmkit.sap.host import BY_NAME
from lpmkit.sap.model import (
    NO_WAY,
    Colour,
    Dump,
    Job,
    JobHistory,
    JobStatus,
    LogEntry,
    Observation,
    Process,
    Snapshot,
    User,
    WorkProcess,
)

PASSED, FAILED, OPEN = "passed", "failed", "not evaluated"
#: Whole seconds of two clocks: a start time may differ by so much and be the same.
SAME_START_S = 2.0
#: Message numbers of the system log that go with a job's end by error.
_ENDED_BY_ERROR = ("AB0", "AB1", "D01", "R6F")


@dataclass(frozen=True, slots=True)
class Said:
    """One question about one system, answered. ``counts`` says whether the verdict of the run depends on it."""

    key: str
    title: str
    state: str
    answer: str
    why: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class NiLane:
    """What the connection to one dispatcher lived through: how often it was lost, and its longest unanswered stretch, seconds."""

    probe: str
    connections: int
    lost: int
    longest_s: float | None
    answered: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that is known about one system in one run."""

    sid: str
    slo: SapSlo
    observations: Sequence[Observation]
    pause: Pause
    before: Snapshot | None = None
    after: Snapshot | None = None
    lanes: Sequence[NiLane] = ()
    rules: Rules = field(default_factory=Rules.standard)
    watch_after_s: float = 900.0
    moved: bool = True


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in the report: what became of it, and how late it was against its own history, seconds."""

    course: JobCourse
    verdict: str
    text: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answers about one system, and the tables behind them."""

    sid: str
    said: tuple[Said, ...]
    jobs: tuple[JobLine, ...]
    log: tuple[Tally, ...]
    ways: Mapping[str, tuple[str, ...]]
    occupancy: tuple[tuple[int, Mapping[str, tuple[int, int, int]]], ...] = ()

    def question(self, key: str) -> Said:
        return next(one for one in self.said if one.key == key)


def judge(case: Case) -> Outcome:
    """Answer every question about one system."""
    jobs = tuple(_job_lines(case))
    tallies = _log_tallies(case)
    said = (
        _ni(case),
        _processes(case),
        _work_processes(case),
        _jobs(case, jobs),
        _users(case),
        _log(case, tallies),
        _dumps(case),
        _updates(case),
        _enqueue(case),
        _queues(case),
        _licence(case),
        *_conversation(case),
    )
    ways: dict[str, dict[str, None]] = {}
    for one in case.observations:
        if one.rows is not None:
            ways.setdefault(one.question, {})[one.way] = None
    return Outcome(
        case.sid, said, jobs, tallies, {name: tuple(each) for name, each in ways.items()}, occupancy(case.observations)
    )


def _open(case: Case, key: str, title: str, question: str, found: Answers) -> Said:
    """Not evaluated, with the reason; counting only where the site has a way that should have told."""
    if found.all and found.before is None:
        return Said(key, title, OPEN, "it was not looked at before the pause")
    if found.all:
        return Said(key, title, OPEN, f"it was not looked at after the pause: {found.trouble}")
    trouble = found.trouble
    configured = bool(found.unanswered) and not trouble.startswith(NO_WAY)
    return Said(key, title, OPEN, trouble if configured else _no_way(question), counts=configured)


def _no_way(question: str) -> str:
    return f"the site file names no way in that tells the {question.replace('_', ' ')}"


def _some(words: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


# --- the NI lane ------------------------------------------------------------------------------------------------------


def _ni(case: Case) -> Said:
    key, title = f"sap-ni-{case.sid}", f"{case.sid}: connections to the dispatcher kept?"
    if not case.lanes:
        return Said(key, title, OPEN, "no connection was watched", counts=False)
    dead = [one for one in case.lanes if not one.answered]
    if dead:
        reasons = _some([f"{one.probe}: {one.trouble or 'it never answered'}" for one in dead])
        return Said(key, title, OPEN, f"no dispatcher answered: {reasons}")
    lost = sum(one.lost for one in case.lanes)
    if lost > case.slo.ni_reconnects:
        names = _some([f"{one.probe} {_plural(one.lost, 'time')}" for one in case.lanes if one.lost])
        return Said(
            key, title, FAILED, f"no: lost and opened again: {names}", "a SAP GUI session would have been cut off"
        )
    longest = max((one.longest_s or 0.0 for one in case.lanes), default=0.0)
    if longest > case.slo.ni_gap_s:
        return Said(
            key, title, FAILED, f"kept, but {longest:.1f} s without an answer; the limit is {case.slo.ni_gap_s:g} s"
        )
    waited = f"the longest wait {longest:.3f} s" if longest else "no wait worth mentioning"
    return Said(key, title, PASSED, f"yes: one connection throughout, {waited}")


# --- processes ---------------------------------------------------------------------------------------------------------


def _processes(case: Case) -> Said:
    key, title = f"sap-processes-{case.sid}", f"{case.sid}: no process restarted?"
    found = answers(case.observations, "processes", case.pause)
    if found.before is None or found.last is None:
        return _open(case, key, title, "processes", found)
    before = {(one.instance, one.name): one for one in found.before.rows or ()}
    after = {(one.instance, one.name): one for one in found.last.rows or ()}
    wrong = [f"{name[1]} is gone" for name in before if name not in after]
    wrong += [text for name, one in before.items() if name in after and (text := _restarted(one, after[name]))]
    if wrong:
        return Said(key, title, FAILED, f"no: {_some(wrong)}", f"by {found.last.way}")
    yellow = [one.name for one in after.values() if one.colour is Colour.YELLOW]
    extra = f"; yellow: {_some(yellow)}" if yellow else ""
    return Said(key, title, PASSED, f"yes: {len(after)} processes with the same pids{extra}", f"by {found.last.way}")


def _restarted(before: Process, after: Process) -> str:
    if before.pid is not None and after.pid is not None and before.pid != after.pid:
        return f"{after.name} has another pid ({before.pid}, now {after.pid})"
    if before.pid is not None and after.pid is None:
        return f"{after.name} has no process any more"
    if before.text != BY_NAME and before.started is not None and after.started is not None:
        apart = abs((after.started - before.started).total_seconds())
        if apart > SAME_START_S:
            return f"{after.name} started at {after.started:%H:%M:%S}"
    if before.colour is Colour.GREEN and after.colour in (Colour.RED, Colour.GRAY):
        return f"{after.name} is {after.colour.value.lower()}: {after.text}"
    return ""


def _work_processes(case: Case) -> Said:
    key, title = f"sap-work-processes-{case.sid}", f"{case.sid}: work processes intact?"
    found = answers(case.observations, "work_processes", case.pause)
    if found.before is None or found.last is None:
        return _open(case, key, title, "work_processes", found)
    before = {(one.server, one.number): one for one in found.before.rows or ()}
    after = {(one.server, one.number): one for one in found.last.rows or ()}
    wrong, errors = [], 0
    for place, was in before.items():
        now = after.get(place)
        if now is None:
            wrong.append(f"{was.type} {was.number} is gone")
            continue
        errors += max(0, now.errors - was.errors)
        if was.pid is not None and now.pid != was.pid:
            wrong.append(f"{was.type} {was.number} was restarted (pid {was.pid}, now {now.pid})")
        elif now.activity.is_down and not was.activity.is_down:
            wrong.append(f"{was.type} {was.number} is {now.activity.value}")
    if errors > case.slo.work_process_errors and not wrong:
        wrong.append(f"{_plural(errors, 'termination')} counted")
    if wrong:
        return Said(
            key,
            title,
            FAILED,
            f"no: {_some(wrong)}",
            f"{_plural(errors, 'new termination')} in the Err column; by {found.last.way}",
        )
    return Said(
        key,
        title,
        PASSED,
        f"yes: {len(after)} work processes, none restarted, stopped or terminated",
        f"by {found.last.way}",
    )


# --- jobs ----------------------------------------------------------------------------------------------------------------


def _job_lines(case: Case) -> list[JobLine]:
    history = {one.name: one for snapshot in (case.before,) if snapshot for one in snapshot.history or ()}
    work = answers(case.observations, "work_processes", case.pause)
    lines = []
    for course in job_courses(case.observations):
        lines.append(_job_line(case, course, work, history.get(course.job.name)))
    return lines


def _job_line(case: Case, course: JobCourse, work: Answers, history: JobHistory | None) -> JobLine:
    was = course.at(case.pause.begin_ns)
    delay = _delay(course, history)
    if course.status is JobStatus.ABORTED:
        return _aborted(case, course, was, delay)
    if course.status is JobStatus.FINISHED:
        return _finished(case, course, was, history)
    if course.status is not JobStatus.RUNNING:
        return JobLine(course, "", course.status.word, delay)
    if course.gone_ns is not None:
        return _vanished(case, course, was)
    return _running(case, course, was, work)


def _finished(case: Case, course: JobCourse, was: JobStatus | None, history: JobHistory | None) -> JobLine:
    delay = _delay(course, history)
    late = ""
    if delay is not None and history is not None:
        late = f", {delay:+.0f} s against the median of {_plural(history.runs, 'run')}"
    if was is not JobStatus.RUNNING:
        return JobLine(course, "", f"finished{late}", delay)
    if _too_late(case, course, history):
        return JobLine(course, "fail", f"finished later than ever{late}", delay)
    return JobLine(course, "pass", f"finished{late}", delay)


def _delay(course: JobCourse, history: JobHistory | None) -> float | None:
    took = course.took_s
    return None if took is None or history is None else took - history.median_s


def _too_late(case: Case, course: JobCourse, history: JobHistory | None) -> bool:
    took = course.took_s
    return took is not None and history is not None and took > history.longest_s + case.slo.job_delay_s


def _aborted(case: Case, course: JobCourse, was: JobStatus | None, delay: float | None) -> JobLine:
    reason = _reason(case, course.job)
    because = f": {reason}" if reason else ""
    if was is JobStatus.ABORTED:
        return JobLine(course, "", f"aborted before the pause{because}", delay)
    ended = course.ended_ns
    # The system's stamps are whole seconds: an end in the second of the pause is the pause's.
    if ended is not None and ended < case.pause.begin_ns - 1_000_000_000:
        return JobLine(course, "", f"aborted before the pause{because}", delay)
    return JobLine(course, "fail", f"aborted{because}", delay)


def _reason(case: Case, job: Job) -> str:
    """What the dumps or the system log say of the end of a job: of its user, at its end."""
    rows: list[Dump | LogEntry] = [
        row for one in case.observations if one.question == "dumps" for row in one.rows or ()
    ]
    rows += [
        row
        for one in case.observations
        if one.question == "system_log"
        for row in one.rows or ()
        if row.number in _ENDED_BY_ERROR
    ]
    for row in rows:
        near = job.ended is None or row.at is None or abs((row.at - job.ended).total_seconds()) <= 5
        if near and row.user and row.user == job.user:
            return describe(row)
    return ""


def _running(case: Case, course: JobCourse, was: JobStatus | None, work: Answers) -> JobLine:
    """It says that it runs: is there a work process that does it, and has it gone on since?"""
    ran = was is JobStatus.RUNNING
    if not any(sight.asked_ns >= case.pause.end_ns for sight in course.sights):
        return JobLine(course, "unknown" if ran else "", "not looked at after the pause")
    look = _look_between(case, course, work)
    if look is None:
        why = "says that it runs; its work process was not looked at between two such answers"
        return JobLine(course, "unknown" if ran else "", why if ran else "running")
    pids = {sight.job.pid for sight in course.sights if sight.answered_ns >= case.pause.end_ns}
    now = next((one for one in look.rows or () if one.pid in pids and one.is_busy), None)
    if now is None:
        return JobLine(course, "fail", f"says that it runs, and process {course.job.pid} does not: a stale status")
    before = next((one for one in (work.before.rows or () if work.before else ()) if one.pid == now.pid), None)
    if not ran:
        return JobLine(course, "", "running")
    if before is not None and _went_on(before, now, course):
        return JobLine(course, "pass", f"runs on in process {now.pid}")
    return JobLine(course, "unknown", f"process {now.pid} is there and has not been seen to go on")


def _look_between(case: Case, course: JobCourse, work: Answers) -> Observation | None:
    """The last look at the work processes after the pause with the job running in the answer before it and in the one after.

    Without the answer after it, a job that ended in between would pass for one that only says that it runs.
    """
    if course.job.pid is None:
        return None
    running = [sight for sight in course.sights if sight.job.status is JobStatus.RUNNING]
    first, last = running[0], running[-1]
    looks = [
        one
        for one in work.all
        if one.asked_ns >= max(case.pause.end_ns, first.answered_ns) and one.answered_ns <= last.asked_ns
    ]
    if not course.job.name:  # it was read off that very table
        looks += [one for one in work.all if one.asked_ns >= case.pause.end_ns]
    return max(looks, key=lambda one: one.asked_ns, default=None)


def _went_on(before: WorkProcess, now: WorkProcess, course: JobCourse) -> bool:
    """Whether the work process has used the processor since, or does something else, or its job wrote to its log."""
    if before.cpu_s is not None and now.cpu_s is not None and now.cpu_s > before.cpu_s:
        return True
    if (before.action, before.table, before.program) != (now.action, now.table, now.program):
        return True
    lines = [sight.job.log_lines for sight in course.sights if sight.job.log_lines is not None]
    return bool(lines) and lines[-1] > lines[0]


def _vanished(case: Case, course: JobCourse, was: JobStatus | None) -> JobLine:
    """It ran and is not listed any more: work that a way shows without its job, or a job that was deleted."""
    if course.job.name:
        return JobLine(course, "unknown" if was is JobStatus.RUNNING else "", "is not listed any more")
    if course.gone_ns is not None and course.gone_ns <= case.pause.begin_ns:
        return JobLine(course, "", "ended before the pause")
    seen = course.sights[-1]
    log, _, read = fresh(case.observations, "system_log", Pause(seen.asked_ns, seen.answered_ns))
    if read is None:
        return JobLine(course, "unknown" if was is JobStatus.RUNNING else "", "ended; this way does not tell how")
    bad = [row for row in log if row.number in _ENDED_BY_ERROR and row.user == course.job.user]
    if bad:
        return JobLine(course, "fail", f"ended by an error: {describe(bad[0])}")
    if course.gone_ns is not None and read < course.gone_ns:
        return JobLine(
            course, "unknown" if was is JobStatus.RUNNING else "", "ended; the system log was not read since"
        )
    return JobLine(course, "pass" if was is JobStatus.RUNNING else "", "ended, and the system log knows of no error")


def _jobs(case: Case, lines: Sequence[JobLine]) -> Said:
    key, title = f"sap-jobs-{case.sid}", f"{case.sid}: jobs ran on?"
    found = answers(case.observations, "jobs", case.pause)
    if found.before is None or found.last is None:
        return _open(case, key, title, "jobs", found)
    by = f"by {found.last.way}"
    failed = [one for one in lines if one.verdict == "fail"]
    unknown = [one for one in lines if one.verdict == "unknown"]
    passed = [one for one in lines if one.verdict == "pass"]
    aborted = [one for one in failed if one.course.status is JobStatus.ABORTED or not one.course.job.name]
    if len(failed) > len(aborted) or len(aborted) > case.slo.aborted_jobs:
        texts = [f"{one.course.job.title} {one.text}" for one in failed]
        return Said(key, title, FAILED, f"no: {_some(texts)}", by)
    if unknown:
        texts = [f"{one.course.job.title} {one.text}" for one in unknown]
        return Said(key, title, OPEN, f"not known of {_some(texts)}", by)
    if not passed:
        return Said(key, title, PASSED, "no job ran when the pause began", by)
    on = sum(one.course.status is JobStatus.RUNNING and one.course.gone_ns is None for one in passed)
    delays = [one.delay_s for one in passed if one.delay_s is not None]
    late = f"; at most {max(delays):+.0f} s against their own history" if delays else ""
    accepted = f"; {_plural(len(aborted), 'aborted job')} within the limit" if aborted else ""
    return Said(key, title, PASSED, f"yes: {on} ran on, {len(passed) - on} ended well{late}{accepted}", by)


# --- users, logs, the rest ----------------------------------------------------------------------------------------------


def _users(case: Case) -> Said:
    key, title = f"sap-users-{case.sid}", f"{case.sid}: users still logged on?"
    found = answers(case.observations, "users", case.pause)
    if found.before is None or found.after is None or found.last is None:
        return _open(case, key, title, "users", found)
    before: dict[str, User] = {one.key: one for one in found.before.rows or ()}
    after = {one.key for one in found.after.rows or ()}
    last = {one.key for one in found.last.rows or ()}
    lost = [one for name, one in before.items() if name not in after]
    names = _some([f"{one.name} ({one.tid}{', ' + one.terminal if one.terminal else ''})" for one in lost])
    by = f"by {found.after.way}"
    if len(lost) > case.slo.lost_users:
        gap = (found.after.asked_ns - found.before.answered_ns) / 1e9
        return Said(
            key,
            title,
            FAILED,
            f"no: {_plural(len(lost), 'session')} gone: {names}",
            f"within the {gap:.0f} s between two looks; {by}",
        )
    later = sum(name in after and name not in last for name in before)
    extra = f"; {_plural(later, 'session')} ended later" if later else ""
    extra += f"; gone within the limit: {names}" if lost else ""
    return Said(key, title, PASSED, f"yes: {_plural(len(before) - len(lost), 'session')}{extra}", by)


def _log_tallies(case: Case) -> tuple[Tally, ...]:
    new, old, read = fresh(case.observations, "system_log", case.pause)
    dumps, old_dumps, _ = fresh(case.observations, "dumps", case.pause)
    until = max(read or 0, case.pause.end_ns)
    hours = (until - case.pause.begin_ns) / 3.6e12
    return case.rules.tallies([*new, *dumps], [*old, *old_dumps], hours)


def _log(case: Case, tallies: Sequence[Tally]) -> Said:
    key, title = f"sap-log-{case.sid}", f"{case.sid}: system log and dumps quiet?"
    _, _, read = fresh(case.observations, "system_log", case.pause)
    bad = [one for one in tallies if one.meaning is Class.FAIL]
    if bad:
        texts = _some([f"{one.count} × {one.key}: {one.example}" for one in bad])
        return Said(key, title, FAILED, f"no: {texts}", bad[0].reason)
    if read is None:
        found = answers(case.observations, "system_log", case.pause)
        return _open(case, key, title, "system_log", found)
    watched = (read - case.pause.end_ns) / 1e9
    wanted = case.watch_after_s
    # the last reading may be an interval before the end of the watch
    if watched < wanted - 90 and watched < 0.9 * wanted:
        return Said(
            key,
            title,
            OPEN,
            f"read until {max(0.0, watched) / 60:.0f} minutes after the pause; {wanted / 60:.0f} are asked for",
        )
    warn = [one for one in tallies if one.meaning is Class.WARN]
    unknown = [one for one in tallies if one.meaning is Class.UNKNOWN]
    noted = _some([f"{one.count} × {one.key}: {one.example}" for one in (*warn, *unknown)])
    rest = f"{sum(one.count for one in tallies)} new entries"
    answer = f"nothing that fails; to be read: {noted}" if noted else f"yes: {rest}, all routine or expected"
    return Said(key, title, PASSED, answer, f"read until {max(0.0, watched) / 60:.1f} minutes after the pause")


def _dumps(case: Case) -> Said:
    key, title = f"sap-dumps-{case.sid}", f"{case.sid}: short dumps looked at?"
    new, _, read = fresh(case.observations, "dumps", case.pause)
    if read is None:
        found = answers(case.observations, "dumps", case.pause)
        return _open(case, key, title, "dumps", found)
    if not new:
        return Said(key, title, PASSED, "yes: none since the pause began")
    return Said(
        key,
        title,
        PASSED,
        f"yes: {len(new)} since the pause began: {_some([describe(one) for one in new])}",
        "their classes stand under the log",
    )


def _updates(case: Case) -> Said:
    key, title = f"sap-updates-{case.sid}", f"{case.sid}: no update broke off?"
    found = answers(case.observations, "updates", case.pause)
    if found.before is None or found.last is None:
        return _open(case, key, title, "updates", found)
    was = {one.key for one in found.before.rows or () if one.failed}
    now = [one for one in found.last.rows or () if one.failed and one.key not in was]
    if len(now) > case.slo.update_errors:
        return Said(
            key,
            title,
            FAILED,
            f"no: {_plural(len(now), 'update')} failed: {_some([f'{one.key} of {one.user}' for one in now])}",
        )
    return Said(
        key,
        title,
        PASSED,
        f"yes: {len(found.last.rows or ())} waiting or failed, none new in error",
        f"by {found.last.way}",
    )


def _enqueue(case: Case) -> Said:
    key, title = f"sap-enqueue-{case.sid}", f"{case.sid}: lock server and replica well?"
    found = answers(case.observations, "enqueue", case.pause)
    if found.before is None or found.last is None or not found.before.rows or not found.last.rows:
        return _open(case, key, title, "enqueue", found)
    was, now = found.before.rows[0], found.last.rows[0]
    wrong = []
    if was.replication is Colour.GREEN and now.replication is not Colour.GREEN:
        wrong.append(f"the replica was green and is {now.replication.value.lower() if now.replication else 'not told'}")
    if was.errors is not None and now.errors is not None and now.errors > was.errors:
        wrong.append(f"{_plural(now.errors - was.errors, 'new error')}")
    if now.state in (Colour.RED,) and was.state is not Colour.RED:
        wrong.append("it is rated red")
    if wrong:
        return Said(key, title, FAILED, f"no: {_some(wrong)}", f"by {found.last.way}")
    locks = "" if now.locks is None else f"{_plural(now.locks, 'lock')} held, "
    replica = "no replica" if now.replication in (None, Colour.GRAY) else f"replica {now.replication.value.lower()}"
    return Said(key, title, PASSED, f"yes: {locks}{replica}{_locks_kept(case)}", f"by {found.last.way}")


def _locks_kept(case: Case) -> str:
    """How many locks of before are held still; some are given back meanwhile, as they should be."""
    if case.before is None or case.after is None or case.before.locks is None or case.after.locks is None:
        return ""
    now = {one.key for one in case.after.locks}
    kept = sum(one.key in now for one in case.before.locks)
    return f"; {kept} of the {_plural(len(case.before.locks), 'lock')} from before the move still held"


def _queues(case: Case) -> Said:
    key, title = f"sap-queues-{case.sid}", f"{case.sid}: request queues worked off?"
    found = answers(case.observations, "queues", case.pause)
    if found.before is None or found.last is None:
        return _open(case, key, title, "queues", found)
    was = {one.type: one for one in found.before.rows or ()}
    full = [
        f"{one.type} {one.now} waiting"
        for one in found.last.rows or ()
        if one.now > case.slo.queue_now and one.now > (was[one.type].now if one.type in was else 0)
    ]
    if full:
        return Said(key, title, FAILED, f"no: {_some(full)}; the limit is {case.slo.queue_now}", f"by {found.last.way}")
    high = [
        f"{one.type} {one.high}" for one in found.last.rows or () if one.type in was and one.high > was[one.type].high
    ]
    extra = f"; new high marks: {_some(high)}" if high else ""
    return Said(key, title, PASSED, f"yes{extra}", f"by {found.last.way}")


def _licence(case: Case) -> Said:
    key, title = f"sap-licence-{case.sid}", f"{case.sid}: licence valid on this machine?"
    now = case.after or (None if case.moved else case.before)
    if now is None:
        return Said(
            key,
            title,
            OPEN,
            "nobody asked after the move",
            counts=case.before is not None and case.before.licences is not None,
        )
    if now.hardware_key is None or now.licences is None:
        missing = "hardware_key" if now.hardware_key is None else "licences"
        configured = next((one.configured for one in now.missed if one.question == missing), True)
        return Said(key, title, OPEN, now.why_not(missing) if configured else _no_way(missing), counts=configured)
    mine = [one for one in now.licences if one.key == now.hardware_key]
    good = [one for one in mine if one.permanent is not False and one.valid is not False]
    changed = ""
    if case.before is not None and case.before.hardware_key not in (None, now.hardware_key):
        changed = f", another one than before ({case.before.hardware_key})"
    if not good:
        what = "no permanent licence" if not mine else "no valid permanent licence"
        return Said(
            key,
            title,
            FAILED,
            f"no: {what} for the hardware key {now.hardware_key}{changed}",
            "logged-on users go on, new logons fail once the grace period is over",
        )
    return Said(
        key,
        title,
        PASSED,
        f"yes: permanent, for the hardware key {now.hardware_key}{changed}",
        "by saplikey -get and -show; whether the message server has reckoned its key anew is not asked",
    )


def _conversation(case: Case) -> list[Said]:
    """Whether the RFC conversation lived through it, where there was one. The library opens another without a word."""
    told = [one for one in case.observations if one.session and one.rows is not None]
    if not told:
        return []
    key, title = f"sap-rfc-{case.sid}", f"{case.sid}: RFC conversation kept?"
    # a recorder that takes over has a conversation of its own
    lives = {one.segment for one in told}
    count = len({(one.segment, one.session) for one in told}) - len(lives)
    if count:
        return [
            Said(
                key,
                title,
                FAILED,
                f"no: it was reopened {_plural(count, 'time')} behind our back",
                "its handle and conversation id changed; whatever lived in it is gone",
            )
        ]
    return [Said(key, title, PASSED, "yes: the same handle and conversation id in every answer")]
