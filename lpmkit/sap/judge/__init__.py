"""The effect of a move on a SAP system: questions, each answered from observations before and after the pause, and from
the two snapshots.

Missing data never passes. A question that no way of the site file can answer is "not evaluated" and does not count
against the move; one that a way should have answered and did not is "not evaluated" and does.
"""

from __future__ import annotations

from lpmkit.sap.job_history import occupancy
from lpmkit.sap.judge.applicability import as_it_applies, watched_lanes
from lpmkit.sap.judge.jobs import job_lines, jobs
from lpmkit.sap.judge.lock_server import enqueue
from lpmkit.sap.judge.logs import dumps, log, log_tallies
from lpmkit.sap.judge.machine import conversation, host, licence
from lpmkit.sap.judge.processes import processes
from lpmkit.sap.judge.queues import queues
from lpmkit.sap.judge.servers import servers
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, JobLine, NiLane, SapOutcome
from lpmkit.sap.judge.work import ni, updates, users, work_processes

__all__ = ["FAILED", "OPEN", "PASSED", "Case", "JobLine", "NiLane", "SapOutcome", "judge"]


def judge(case: Case) -> SapOutcome:
    """Answer every question about one system."""
    case = watched_lanes(case)
    lines = tuple(job_lines(case))
    tallies = log_tallies(case)
    questions = (
        ni(case),
        processes(case),
        work_processes(case),
        jobs(case, lines),
        users(case),
        log(case, tallies),
        dumps(case),
        updates(case),
        enqueue(case),
        queues(case),
        licence(case),
        host(case),
        *servers(case),
        *conversation(case),
    )
    ways: dict[str, dict[str, None]] = {}
    for observation in case.observations:
        if observation.rows is not None:
            ways.setdefault(observation.question, {})[observation.way] = None
    return SapOutcome(
        case.sid,
        tuple(as_it_applies(case, questions)),
        lines,
        tallies,
        {name: tuple(each) for name, each in ways.items()},
        occupancy(case.observations),
    )
