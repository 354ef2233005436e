"""The jobs that were to begin since the suspension: does the scheduler start them?"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.sap.job_history import JobCourse, answers
from lpmkit.sap.judge.values import Case
from lpmkit.sap.model import Activity, JobStatus

#: States of a job that has not started yet.
WAITING = (JobStatus.RELEASED, JobStatus.READY, JobStatus.PUT_ACTIVE)
#: The interval of the time scheduler, ``rdisp/btctime``, as SAP delivers it (`SAP-HELP-BTC`), and the time after which
#: a job that it should have started is late: twice that, and one for the looks. A choice.
EVERY_NS = 60_000_000_000
TO_START_NS = 3 * EVERY_NS


def not_started(case: Case, courses: Sequence[JobCourse]) -> list[str]:
    """The jobs that were due since the suspension, were not started within `TO_START_NS`, and are not yet.

    The scheduler comes by every minute where nobody set another interval; one that is overdue from before waits for
    something that the move has nothing to do with (`SAPNOTE:165084`).
    """
    found = []
    for course in courses:
        last = course.sights[-1]
        due = course.planned_ns
        if course.status not in WAITING or course.gone_ns is not None or due is None:
            continue
        if case.pause.begin_ns - EVERY_NS <= due <= last.asked_ns - TO_START_NS:
            overdue = (last.asked_ns - due) / 1e9
            found.append(f"{course.job.title} ({course.status.word} and due for {overdue:.0f} s)")
    return found


def nothing_starts(case: Case, courses: Sequence[JobCourse]) -> bool:
    """True if no job has started since the suspension though a background work process waits for one, and that none
    was overdue before: the scheduler does not run.
    """
    if any(one.started_ns is not None and one.started_ns >= case.pause.end_ns for one in courses):
        return False
    early = [one for one in courses if one.at(case.pause.begin_ns) in WAITING]
    if any(one.planned_ns is not None and one.planned_ns < case.pause.begin_ns - TO_START_NS for one in early):
        return False
    last = answers(case.observations, "work_processes", case.pause).last
    rows = (last.rows or ()) if last is not None else ()
    return any(row.type == "BTC" and row.activity is Activity.WAITING for row in rows)
