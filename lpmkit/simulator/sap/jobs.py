"""The life of background jobs: released, ready, at work step by step, finished or cancelled (`SE80`, `SAP-HEALTH`)."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from lpmkit.simulator.sap.recalled import JOB_LOG
from lpmkit.simulator.sap.records import BACKGROUND, Job, LogLine
from lpmkit.simulator.sap.work import JOBS, JobPlan

if TYPE_CHECKING:
    from lpmkit.simulator.sap.system import System

LINE_EVERY_S = 5.0
"""A job that counts objects says so at this interval of work."""
PAST_LINE_EVERY_S = 300.0
KEPT_JOBS = 300
HISTORY_DAYS = 5
KEPT_LINES, FIRST_LINES = 500, 10
"""Of a very long job log the beginning and the end."""


def lay_out(system: System) -> list[Job]:
    """The jobs as they stand when the simulation begins."""
    found = []
    for at, plan in enumerate(JOBS):
        job = _planned(system, plan, None if plan.start_s is None else system.wall_s + plan.start_s, at)
        if plan.start_s is not None and plan.start_s < 0:
            _live_through(system, job, -plan.start_s)
        found.append(job)
    return found


def earlier_runs(system: System) -> list[Job]:
    """The runs of the last days of every job that comes again and ends well: what its own history is made of.

    They are finished and do nothing more.
    """
    found, chance = [], random.Random(f"{system.installed.sid} earlier")
    for plan in JOBS:
        if plan.start_s is None or plan.fate == "A":
            continue
        for day in range(1, HISTORY_DAYS + 1):
            started = system.wall_s + plan.start_s - 86400.0 * day
            took = sum(plan.steps_s) * chance.uniform(0.94, 1.02)
            count = time.strftime("%H%M%S", time.gmtime(started - 60)) + f"{90 + day}"
            job = Job(plan.name, count, plan, "F", started, started - 60)
            job.started_s, job.ended_s, job.server = started, started + took, system.installed.server(system.host)
            found.append(job)
    return found


def _planned(system: System, plan: JobPlan, scheduled_s: float | None, at: int = 0) -> Job:
    """A job that is defined; released unless its plan says that nobody did.

    The count looks like a time and two digits.
    """
    created = min(system.wall_s, scheduled_s or system.wall_s) - (3600 if not system.jobs and at < len(JOBS) else 0)
    count = time.strftime("%H%M%S", time.gmtime(created)) + f"{(at + len(system.jobs)) % 100:02}"
    return Job(plan.name, count, plan, plan.status or "S", scheduled_s, created)


def _live_through(system: System, job: Job, for_s: float) -> None:
    """The part of a job that is done a number of seconds after its begin."""
    began = system.wall_s - for_s
    whole = sum(job.plan.steps_s)
    ended = for_s > whole
    worker = next(each for each in system.work_processes if each.kind == BACKGROUND and (ended or each.free))
    _begin(system, job, began, worker.number, worker.pid)
    left, passed = min(for_s, whole), 0.0
    for at, length in enumerate(job.plan.steps_s):
        if at:
            _step_line(job, at, began + passed)
        here = min(left, length)
        job.step, job.done_s = at, here
        if job.plan.objects:
            for line in range(1, int(here // PAST_LINE_EVERY_S) + 1):
                job.done_s = line * PAST_LINE_EVERY_S
                _count_line(job, began + passed + job.done_s)
            job.done_s = here
        left, passed = left - here, passed + here
        if left <= 0 and not ended:
            break
    if ended:
        _end(system, job, began + whole)
        return
    job.worker = worker
    job.next_line_s = job.done_s + LINE_EVERY_S
    worker.take(began, whole, job.plan.program, system.installed.client, job.plan.user)
    worker.job = job


def advance(system: System, work_s: float) -> None:
    """Let jobs work, end and begin."""
    for job in system.running():
        _work(system, job, work_s)
    for job in list(system.jobs):
        if job.status == "S" and job.scheduled_s is not None and job.scheduled_s <= system.wall_s:
            job.status = "Y"
        if job.status == "Y":
            _try_to_begin(system, job)
    over = len(system.jobs) - KEPT_JOBS
    if over > 0:
        past = [id(job) for job in system.jobs if job.status in "FA"][:over]
        system.jobs = [job for job in system.jobs if id(job) not in past]


def _try_to_begin(system: System, job: Job) -> None:
    worker = system.request(BACKGROUND, 0.0, job.plan.program, job.plan.user)
    if worker is None:
        return
    _begin(system, job, system.wall_s, worker.number, worker.pid)
    job.worker, worker.job = worker, job
    if job.plan.every_s and job.scheduled_s is not None:
        system.jobs.append(_planned(system, job.plan, max(system.wall_s, job.scheduled_s + job.plan.every_s)))


def _begin(system: System, job: Job, wall_s: float, number: int, pid: int) -> None:
    job.status, job.started_s, job.server = "R", wall_s, system.installed.server(system.host)
    job.worker_number, job.worker_pid = number, pid
    job.step, job.done_s, job.next_line_s = 0, 0.0, LINE_EVERY_S
    _line(job, "516", wall_s)
    _step_line(job, 0, wall_s)


def _work(system: System, job: Job, work_s: float) -> None:
    job.done_s += work_s
    if job.plan.objects and job.done_s >= job.next_line_s:
        job.next_line_s = job.done_s + LINE_EVERY_S
        _count_line(job, system.wall_s)
    if job.done_s < job.plan.steps_s[job.step]:
        return
    if job.step + 1 < len(job.plan.steps_s):
        job.step, job.done_s, job.next_line_s = job.step + 1, 0.0, LINE_EVERY_S
        _step_line(job, job.step, system.wall_s)
        return
    _end(system, job, system.wall_s)


def _end(system: System, job: Job, wall_s: float) -> None:
    if job.plan.fate == "A":
        cancel(system, job, wall_s, job.plan.why)
        return
    job.done_s = job.plan.steps_s[-1]
    _line(job, "517", wall_s)
    _leave(job, "F", wall_s)


def cancel(system: System, job: Job, wall_s: float, error: str) -> None:
    """A run-time error ends the job: a short dump, two lines in its log, status ``A``."""
    system.dump(error, job.plan.program, job.plan.user, "BTC", wall_s)
    _line(job, "671", wall_s, kind="A", what=error)
    _line(job, "518", wall_s, kind="A")
    _leave(job, "A", wall_s)


def _leave(job: Job, status: str, wall_s: float) -> None:
    job.status, job.ended_s = status, wall_s
    if job.worker is not None:
        job.worker.let_go()
        job.worker = None


def _step_line(job: Job, step: int, wall_s: float) -> None:
    variant = f"&{job.count.rjust(13, '0')}"
    _line(job, "550", wall_s, step=step + 1, program=job.plan.program, variant=variant, user=job.plan.user)


def _count_line(job: Job, wall_s: float) -> None:
    _line(job, "001", wall_s, message_class="ZB", done=job.objects_done, total=job.plan.objects)


def _line(job: Job, number: str, wall_s: float, /, message_class: str = "00", kind: str = "S", **facts: object) -> None:
    english, german = JOB_LOG[number]
    if len(job.log) >= KEPT_LINES:
        del job.log[FIRST_LINES]
    job.log.append(LogLine(wall_s, number, english.format(**facts), german.format(**facts), message_class, kind))
