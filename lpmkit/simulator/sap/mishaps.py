"""The damage that a move may do to an SAP system: faults that strike the model when the partition has come to its new
frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from lpmkit.simulator.sap import jobs
from lpmkit.simulator.sap.system import System


def job_cancelled(system: System, named: str | None) -> None:
    """The job notices that the clock jumped and dumps (`SCN-TIMEJUMP`); without a name the one that began last."""
    running = [job for job in system.running() if named in (None, job.name)]
    if running:
        job = max(running, key=lambda each: each.started_s or 0.0)
        jobs.cancel(system, job, system.wall_s, "ZDATE_LARGE_TIME_DIFF")


def work_process_died(system: System, named: str | None) -> None:
    """A work process ends and is started again: another pid, one more error, and its request is gone; else the first
    dialog one.
    """
    number = int(named) if named and named.isdecimal() else 0
    if number >= len(system.work_processes):
        return
    worker = system.work_processes[number]
    kind, old = worker.kind, worker.pid
    if worker.job is not None:
        jobs.cancel(system, worker.job, system.wall_s, "SYSTEM_CORE_DUMPED")
    worker.let_go()
    worker.pid, worker.errors, worker.started_s, worker.cpu_s = system.new_pid(), worker.errors + 1, system.wall_s, 0.0
    system.log("Q02", system.wall_s, kind=kind, number=f"{number:2}", pid=old)
    system.log("Q01", system.wall_s, kind=kind, number=f"{number:2}", pid=worker.pid)


def user_cut(system: System, named: str | None) -> None:
    """A GUI loses its connection: the session goes, its locks go, the system log says so."""
    for session in system.sessions:
        if named in (None, session.plan.name):
            system.sessions.remove(session)
            plan = session.plan
            system.log(
                "Q04",
                system.wall_s,
                kind="DIA",
                client=system.installed.client,
                user=plan.name,
                number=session.number,
                terminal=plan.terminal,
            )
            return


def dispatcher_gone(system: System, named: str | None) -> None:
    """The dispatcher ends, and work processes, gateway and ICM with it; what ran did not end, so the table of jobs
    still says R.
    """
    system.dispatcher_runs = False
    for worker in system.work_processes:
        worker.let_go()
    for job in system.running():
        job.worker = None
    system.sessions.clear()


def start_service_gone(system: System, named: str | None) -> None:
    """sapstartsrv ends; what it started runs on."""
    system.start_service_runs = False


def replication_lost(system: System, named: str | None) -> None:
    """The enqueue server loses its replica: no lock has a copy any more."""
    system.replicated = False


def server_restarted(system: System, named: str | None) -> None:
    """A program of the instance, or a Java node, ends and is started again."""
    system.start_again(named)


#: What strikes when the partition has moved; asked with the object that the fault names.
AT_THE_MOVE: Mapping[str, Callable[[System, str | None], None]] = {
    "sap-job-cancelled": job_cancelled,
    "sap-work-process-died": work_process_died,
    "sap-user-cut": user_cut,
    "sap-dispatcher-gone": dispatcher_gone,
    "sap-replication-lost": replication_lost,
    "sap-server-restarted": server_restarted,
    "sapstartsrv-gone": start_service_gone,
}


def strike(system: System, effect: str, named: str | None) -> None:
    """Let it happen now, at the time that the partition's clock says."""
    with system.lock:
        system.wall_s = time.time()
        AT_THE_MOVE[effect](system, named)
