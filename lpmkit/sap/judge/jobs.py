"""The fate of the jobs: did each that ran go on or end well, and how late by its own history?"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import (
    Answers,
    JobCourse,
    JobProgress,
    Pause,
    answers,
    fresh,
    is_stamped_before,
    job_courses,
    progress,
)
from lpmkit.sap.judge.due_jobs import not_started, nothing_starts
from lpmkit.sap.judge.values import (
    ENDED_BY_ERROR,
    FAILED,
    OPEN,
    PASSED,
    Case,
    JobLine,
    not_evaluated,
    some,
)
from lpmkit.sap.model import Dump, Job, JobHistory, JobStatus, LogEntry, WorkProcess
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.rules import describe
from lpmkit.wording.counts import plural


def job_lines(case: Case) -> list[JobLine]:
    history = {one.name: one for snapshot in (case.before,) if snapshot for one in snapshot.history or ()}
    work = answers(case.observations, "work_processes", case.pause)
    logs = progress(case.observations, case.pause)
    courses = job_courses(case.observations)
    running = [one.job for one in courses if one.gone_ns is None and one.status is JobStatus.RUNNING and one.job.name]
    lines = [_job_line(case, one, work, history.get(one.job.name), logs.get(one.key)) for one in courses]
    return [_unless_replaced(line, running) for line in lines]


def _unless_replaced(line: JobLine, running: Sequence[Job]) -> JobLine:
    """The line of a job; a stale status where a job that began later is listed in its very process."""
    mine = line.course.job
    if line.verdict not in ("pass", "unknown") or mine not in running or mine.pid is None or mine.started is None:
        return line
    later = (one for one in running if (one.pid, one.server) == (mine.pid, mine.server) and one.started is not None)
    other = next((one for one in later if one.started is not None and one.started > mine.started), None)
    if other is None:
        return line
    text = f"says that it runs, and process {mine.pid} does {other.title}: a stale status"
    return JobLine(line.course, "fail", text, line.delay_s)


def _job_line(
    case: Case, course: JobCourse, work: Answers, history: JobHistory | None, log: JobProgress | None
) -> JobLine:
    was = course.at(case.pause.begin_ns)
    delay = _delay(course, history)
    if course.status is JobStatus.ABORTED:
        return _aborted(case, course, was, delay)
    if course.status is JobStatus.FINISHED:
        return _finished(case, course, was, history)
    if course.status is not JobStatus.RUNNING:
        # each run has a count of its own: nothing but its end, or somebody, takes this state from it
        back = was is JobStatus.RUNNING
        text = f"ran, and is {course.status.word} now" if back else course.status.word
        return JobLine(course, "unknown" if back else "", text, delay)
    if course.gone_ns is not None:
        return _vanished(case, course, was)
    return _running(case, course, was, work, history, log)


def _finished(case: Case, course: JobCourse, was: JobStatus | None, history: JobHistory | None) -> JobLine:
    delay = _delay(course, history)
    late = ""
    if delay is not None and history is not None:
        late = f", {round(delay):+d} s against the median of {plural(history.runs, 'run')}"
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
        return JobLine(course, "", f"aborted before the suspension{because}", delay)
    ran = [sight.asked_ns for sight in course.sights if sight.job.status is JobStatus.RUNNING]
    if is_stamped_before(course.ended_ns, case.pause.begin_ns, ran[-1] if ran else None):
        return JobLine(course, "", f"aborted before the suspension{because}", delay)
    return JobLine(course, "fail", f"aborted{because}", delay)


def _reason(case: Case, job: Job) -> str:
    """The entry of the dumps or the system log about the end of a job: of its user, at its end."""
    rows: list[Dump | LogEntry] = [
        row for observation in case.observations if observation.question == "dumps" for row in observation.rows or ()
    ]
    rows += [
        row
        for observation in case.observations
        if observation.question == "system_log"
        for row in observation.rows or ()
        if row.number in ENDED_BY_ERROR
    ]
    for row in rows:
        near = job.ended is None or row.at is None or abs((row.at - job.ended).total_seconds()) <= 5
        if near and row.user and row.user == job.user:
            return describe(row)
    return ""


def _running(
    case: Case,
    course: JobCourse,
    was: JobStatus | None,
    work: Answers,
    history: JobHistory | None,
    log: JobProgress | None,
) -> JobLine:
    """A job reported as running: a work process must carry it, and it must have gone on since, by its log or by
    processor time.
    """
    ran = was is JobStatus.RUNNING
    if not any(sight.asked_ns >= case.pause.end_ns for sight in course.sights):
        return JobLine(course, "unknown" if ran else "", "not looked at after the suspension")
    look = _look_between(case, course, work)
    far = _how_far(course, history, log)
    wrote = log is not None and log.went_on
    if look is None:
        why = "says that it runs; its work process was not looked at between two such answers"
        verdict, text = ("pass", f"runs on{far}") if wrote else ("unknown", f"{why}{far}")
        return JobLine(course, verdict if ran else "", text if ran else f"running{far}")
    pids = {sight.job.pid for sight in course.sights if sight.answered_ns >= case.pause.end_ns}
    now = next((row for row in look.rows or () if row.pid in pids and row.is_busy and _may_run(row, course.job)), None)
    if now is None:
        return _carried_by_none(case, course, work, far, ran=ran)
    before = next((one for one in (work.before.rows or () if work.before else ()) if one.pid == now.pid), None)
    if not ran:
        return JobLine(course, "", f"running{far}")
    on = wrote or (before is not None and _went_on(before, now))
    text = f"runs on in process {now.pid}" if on else f"process {now.pid} is there and has not been seen to go on"
    return JobLine(course, "pass" if on else "unknown", f"{text}{far}")


def _how_far(course: JobCourse, history: JobHistory | None, log: JobProgress | None) -> str:
    """The job's step and its log, and its run time beside its usual time; empty where none of it is known."""
    said = ""
    if log is not None:
        if log.last.step is not None:
            said += f", step {log.last.step}" + (f" of {course.job.steps}" if course.job.steps else "")
        if log.went_on:
            said += f", its job log continued: {log.last.last}" if log.last.last else ", its job log continued"
        elif log.last.lines is not None:
            said += ", nothing new in its job log since"
    if history is not None and course.started_ns is not None:
        so_far = (course.sights[-1].answered_ns - course.started_ns) / 1e9
        said += f"; {so_far:.0f} s so far, usually {history.median_s:.0f} s (median of {plural(history.runs, 'run')})"
    return said


def _look_between(case: Case, course: JobCourse, work: Answers) -> SapObservation | None:
    """The last look at the work processes after the pause with the job running in the answer before it and in the one
    after.

    Without the answer after it, a job that ended in between could be mistaken for one that is only listed as running.
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
    return max(looks, key=lambda look: look.asked_ns, default=None)


def _carried_by_none(case: Case, course: JobCourse, work: Answers, far: str, *, ran: bool) -> JobLine:
    """A job reported as running that none of the work processes does: stale, or on a server that nobody looks at."""
    if _is_watched(case, course, work):
        return JobLine(course, "fail", f"says that it runs, and process {course.job.pid} does not: a stale status{far}")
    since = [one for one in work.all if course.sights[0].answered_ns <= one.asked_ns]
    never_here = any(one.answered_ns <= case.pause.begin_ns for one in since)
    text = f"running on {course.job.server}, whose work processes are not watched{far}"
    return JobLine(course, "unknown" if ran and not never_here else "", text, is_away=ran and never_here)


def _is_watched(case: Case, course: JobCourse, work: Answers) -> bool:
    """True if the work processes of the server that runs a job are among those that were looked at.

    The list of jobs is the whole system's, the start service shows the work processes of its own instance. A server is
    known by its name, or by a job of it whose process was seen at work.
    """
    server = course.job.server
    if not server or not course.job.name:
        return True
    rows = [row for look in work.all for row in look.rows or ()]
    if any(row.server == server for row in rows):
        return True
    busy = {row.pid for row in rows if row.type == "BTC" and row.is_busy and _may_run(row, course.job)}
    return any(
        sight.job.server == server and sight.job.pid in busy
        for other in job_courses(case.observations)
        for sight in other.sights
        if sight.job.status is JobStatus.RUNNING
    )


def _may_run(row: WorkProcess, job: Job) -> bool:
    """False for a work process of another server, where both are named: two hosts may have one pid."""
    return "_" not in row.server or not job.server or row.server == job.server


def _went_on(before: WorkProcess, now: WorkProcess) -> bool:
    """True if the work process has used the processor since, or does something else."""
    if before.cpu_s is not None and now.cpu_s is not None and now.cpu_s > before.cpu_s:
        return True
    return (before.action, before.table, before.program) != (now.action, now.table, now.program)


def _vanished(case: Case, course: JobCourse, was: JobStatus | None) -> JobLine:
    """The line of a job that ran and is not listed any more: work that a way shows without its job, or a job that was
    deleted.
    """
    if course.job.name:
        return JobLine(course, "unknown" if was is JobStatus.RUNNING else "", "is not listed any more")
    if course.gone_ns is not None and course.gone_ns <= case.pause.begin_ns:
        return JobLine(course, "", "ended before the suspension")
    seen = course.sights[-1]
    log, _, read = fresh(case.observations, "system_log", Pause(seen.asked_ns, seen.answered_ns))
    if read is None:
        return JobLine(
            course, "unknown" if was is JobStatus.RUNNING else "", "ended; this SAP interface does not show how"
        )
    bad = [row for row in log if row.number in ENDED_BY_ERROR and row.user == course.job.user]
    if bad:
        return JobLine(course, "fail", f"ended by an error: {describe(bad[0])}")
    if course.gone_ns is not None and read < course.gone_ns:
        return JobLine(
            course, "unknown" if was is JobStatus.RUNNING else "", "ended; the system log was not read since"
        )
    return JobLine(course, "pass" if was is JobStatus.RUNNING else "", "ended, and the system log knows of no error")


def jobs(case: Case, lines: Sequence[JobLine]) -> Question:
    key, title = f"sap-jobs-{case.sid}", f"{case.sid}: jobs continued?"
    replies = answers(case.observations, "jobs", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "jobs", replies)
    by = f"by {replies.last.way}"
    failed = [line for line in lines if line.verdict == "fail"]
    unknown = [line for line in lines if line.verdict == "unknown"]
    passed = [line for line in lines if line.verdict == "pass"]
    aborted = [one for one in failed if one.course.status is JobStatus.ABORTED or not one.course.job.name]
    if len(failed) > len(aborted) or len(aborted) > case.slo.aborted_jobs:
        texts = [f"{one.course.job.title} {one.text}" for one in failed]
        return Question(key, title, FAILED, some(texts), by, reply=ReplyWord.NO)
    courses = [line.course for line in lines]
    late = not_started(case, courses)
    if late and nothing_starts(case, courses):
        text = f"no job has started since the suspension, and processes for them are free: {some(late)}"
        return Question(key, title, FAILED, text, by, reply=ReplyWord.NO)
    if unknown:
        texts = [f"{one.course.job.title} {one.text}" for one in unknown]
        return Question(key, title, OPEN, f"not known: {some(texts)}", by)
    waits = f"; not started yet: {some(late)}" if late else ""
    away = [f"{one.course.job.title} on {one.course.job.server}" for one in lines if one.is_away]
    said = f"{_well(passed, len(aborted), away)}{waits}"
    reply = ReplyWord.YES if passed and not late else None
    return Question(key, title, PASSED, said, by, warns=bool(late), reply=reply)


def _well(passed: Sequence[JobLine], aborted: int, away: Sequence[str]) -> str:
    """The jobs that continued or finished normally, and by how much they were late; and those that run on servers that
    are not watched.
    """
    elsewhere = f"still listed as running on servers that are not watched: {some(away)}" if away else ""
    if not passed:
        return elsewhere or "no job ran when the suspension began"
    on = sum(one.course.status is JobStatus.RUNNING and one.course.gone_ns is None for one in passed)
    delays = [one.delay_s for one in passed if one.delay_s is not None]
    late = f"; at most {round(max(delays)):+d} s compared with earlier runs" if delays else ""
    accepted = f"; {plural(aborted, 'aborted job')} within the limit" if aborted else ""
    ended = len(passed) - on
    counts = ", ".join(filter(None, (f"{on} continued" if on else "", f"{ended} finished normally" if ended else "")))
    more = f"; {elsewhere}" if elsewhere else ""
    return f"{counts}{late}{accepted}{more}"
