"""Losses that are planted into a world of noise, each with the question that has to fail and words of its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.noise.everyday import BEGIN, END, POOL, RESUME, SETTLED, DatabaseSession, World
from lpmkit.sap.model import Activity, Dump, JobStatus, LogEntry, Update


@dataclass(frozen=True)
class Loss:
    """Something that really goes wrong: how it comes about, which question fails, and what its answer says."""

    name: str
    plant: Callable[[World], None]
    question: str
    words: str


def written(*lines: str, after: float = RESUME + 1.0, times: int = 1) -> Callable[[World], None]:
    """An entry of the alert log."""
    return lambda world: world.log.extend((after + 0.1 * number, lines) for number in range(times))


def restarted(world: World) -> None:
    world.starts = (*world.starts, (RESUME, "20260301230502"))
    world.own_serial = (*world.own_serial, (RESUME + 8, "4411"))
    world.sessions = [one if one.logon > RESUME else replace(one, ends=min(one.ends, RESUME)) for one in world.sessions]


def own_session_lost(world: World) -> None:
    world.own_serial = (*world.own_serial, (RESUME + 3, "4412"))


def pool_lost(world: World) -> None:
    def ended(one: DatabaseSession) -> DatabaseSession:
        in_pool = one.user == "WEBAPP" and one.logon <= BEGIN < one.ends and one.sid < 100 + POOL // 2
        return replace(one, ends=RESUME) if in_pool else one

    world.sessions = [ended(one) for one in world.sessions]


def old_session_lost(world: World) -> None:
    world.sessions[3] = replace(world.sessions[3], ends=RESUME)


def logons_fail(world: World) -> None:
    world.logon_fails = (*world.logon_fails, (RESUME + 20, RESUME + 45))


def disk_offline(world: World) -> None:
    world.offline_disks = (*world.offline_disks, (RESUME, 1))


def workers_restarted(world: World) -> None:
    for number, history in world.workers.items():
        was = history[-1][1]
        assert was is not None
        world.workers[number] = [*history, (RESUME + 2, replace(was, pid=7000 + number))]


def worker_terminated(world: World) -> None:
    was = world.workers[2][-1][1]
    assert was is not None
    world.workers[2].append((RESUME + 2, replace(was, pid=7002, errors=1)))


def worker_down(world: World) -> None:
    was = world.workers[3][-1][1]
    assert was is not None
    world.workers[3].append((RESUME + 2, replace(was, activity=Activity.ENDED)))


def job_aborted(world: World) -> None:
    _, job = world.jobs[1]
    world.jobs.append((RESUME + 3, replace(job, status=JobStatus.ABORTED)))


def job_stale(world: World) -> None:
    _, idle = world.workers[19][0]
    assert idle is not None
    runs = [(at, one) for at, one in world.workers[19] if at < RESUME]
    world.workers[19] = [*runs, (RESUME, replace(idle, activity=Activity.WAITING, program="", user=""))]


def users_lost(world: World) -> None:
    world.users = [(one, begin, min(end, RESUME) if begin < BEGIN and number % 2 else end)
                   for number, (one, begin, end) in enumerate(world.users)]  # fmt: skip


def update_failed(world: World) -> None:
    world.updates.append((RESUME + 5, Update("C3" * 16, None, "WOLFD", "100", "13")))


def queue_full(world: World) -> None:
    world.waiting += [(at, 200) for at in range(int(SETTLED), int(END), 7)]
    world.waiting.sort()


def replication_lost(world: World) -> None:
    world.replicated.append((RESUME, False))


def process_restarted(world: World) -> None:
    world.processes["gwrd"].append((RESUME + 2, 777))


def logged(number: str, text: str, times: int = 1) -> Callable[[World], None]:
    """Rows of SAP's system log."""
    row = LogEntry(None, "DIA", "100", "WOLFD", "VA02", number, text)
    return lambda world: world.syslog.extend((RESUME + 2 + at, row) for at in range(times))


def dumped(name: str, times: int = 1) -> Callable[[World], None]:
    """Short dumps."""
    row = Dump(None, "bxaix85", "WOLFD", "100", name)
    return lambda world: world.dumps.extend((RESUME + 4 + at, row) for at in range(times))


TRACE = "Errors in file /oracle/BX5/saptrace/BX5_ora_4711.trc:"
ALERT, LOG, WORKERS = "oracle-alert-BX5", "sap-log-BX5", "sap-work-processes-BX5"
LOSSES: tuple[Loss, ...] = (
    Loss("internal error", written(TRACE, "ORA-00600: internal error code, arguments: [kcbz_1]"), ALERT,
         "internal-error"),
    Loss("instance terminated", written("PMON (ospid: 4711): terminating the instance due to error 484"), ALERT,
         "instance-terminated"),
    Loss("disk error", written(TRACE, "ORA-27063: number of bytes read/written is incorrect"), ALERT, "disk-error"),
    Loss("pluggable database closed", written("Pluggable database PDB1 closed"), ALERT, "container-closed"),
    Loss("fast-start failover", written(
        "Primary has heard from neither observer nor target standby within FastStartFailoverThreshold seconds"), ALERT,
        "failover-threatens"),
    Loss("disk group dismounted", written("NOTE: cache dismounted group 2/0xA4F8 (DATA)"), ALERT, "asm-quorum"),
    Loss("row cache", written(">>> WAITED TOO LONG FOR A ROW CACHE ENQUEUE LOCK! <<<"), ALERT, "row-cache-deadlock"),
    Loss("grave code that no rule knows", written(TRACE, "ORA-15025: could not open disk"), ALERT, "ORA-15025"),
    Loss("burst of an everyday grave code", written(TRACE, "ORA-15173: entry 'BX5' does not exist", times=12), ALERT,
         "ORA-15173"),
    Loss("instance restarted", restarted, "oracle-restart-BX5", "2026-03-01 23:05:02"),
    Loss("own session lost", own_session_lost, "oracle-session-BX5", "was lost"),
    Loss("half of a pool lost", pool_lost, "oracle-population-BX5", "more than usual"),
    Loss("an old session lost", old_session_lost, "oracle-population-BX5", "SAPR3"),
    Loss("logons fail", logons_fail, "oracle-logon-BX5", "logons failed while the host ran"),
    Loss("disk offline", disk_offline, "oracle-around-BX5", "1 disks offline"),
    Loss("work processes restarted", workers_restarted, WORKERS, "was restarted"),
    Loss("work process terminated", worker_terminated, WORKERS, "was restarted"),
    Loss("work process down", worker_down, WORKERS, "DIA 3 is"),
    Loss("job aborted", job_aborted, "sap-jobs-BX5", "LOAD"),
    Loss("job with a stale status", job_stale, "sap-jobs-BX5", "LOAD"),
    Loss("half of the users lost", users_lost, "sap-users-BX5", "sessions gone"),
    Loss("update failed", update_failed, "sap-updates-BX5", "of WOLFD"),
    Loss("queue full", queue_full, "sap-queues-BX5", "ABAP/DIA 200 waiting"),
    Loss("replication lost", replication_lost, "sap-enqueue-BX5", "replication was green"),
    Loss("gateway restarted", process_restarted, "sap-processes-BX5", "gwrd has another pid"),
    Loss("database connection lost", logged("BYM", "Database connection lost"), LOG, "work-process-lost-database"),
    Loss("clock difference", dumped("ZDATE_LARGE_TIME_DIFF"), LOG, "clock-difference"),
    Loss("burst of time-outs", dumped("TIME_OUT", times=8), LOG, "system-dump"),
)  # fmt: skip
