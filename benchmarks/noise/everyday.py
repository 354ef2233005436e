"""A database and a SAP system on an ordinary evening, by a seed: rates of noise as sites have them, and nothing lost.

Times are seconds since the record began. A world is plain values; a loss changes them before they are written.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lpmkit.sap.model import Activity, Dump, Job, JobStatus, LogEntry, Update, User, WorkProcess

#: The move is asked for, the partition stands, it is settled, the record ends.
ASKED, BEGIN, RESUME, SETTLED, END = 60.0, 120.0, 121.537, 125.0, 240.0
#: How far back the alert log goes that the probe reads at its start, and SAP's system log.
HOURS_OF_LOG, HOURS_OF_SYSLOG = 8.0, 1.0
#: The survey before the move.
SURVEYED = -1800.0

Entry = tuple[float, tuple[str, ...]]

#: Everyday entries of an alert log: how many an hour, and their lines. ``{n}`` is a number that goes up.
ALERT_NOISE: tuple[tuple[float, tuple[str, ...]], ...] = (
    (8.0, ("Thread 1 advanced to log sequence {n} (LGWR switch)", "  Current log# 2 seq# {n} mem# 0: +DATA/BX5/log2")),
    (6.0, ("***********************************************************************",
           "Fatal NI connect error 12170, connecting to:", " (LOCAL=NO)",
           "  TNS for IBM/AIX RISC System/6000: Version 19.0.0.0.0", "  Tns error struct:",
           "    ns main err code: 12535", "    nt secondary err code: 505",
           "  Client address: (ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.9)(PORT={n}))")),
    (3.0, ("***********************************************************************",
           "Fatal NI connect error 12537, connecting to:", " (ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.9)(PORT={n}))",
           "  TNS-12537: TNS:connection closed")),
    (2.0, ("WARNING: inbound connection timed out (ORA-3136)",)),
    (1.0, ("opiodr aborting process unknown ospid ({n}) as a result of ORA-28",)),
    (8.0, ("Errors in file /oracle/BX5/saptrace/BX5_j001_{n}.trc:", "ORA-25228: timeout or end-of-fetch in queue")),
    (4.0, ("Errors in file /oracle/BX5/saptrace/BX5_ora_{n}.trc:", "ORA-15173: entry 'BX5' does not exist")),
    (5.0, ("Resize operation completed for file# 3, old size 1024000K, new size 1034240K",)),
    (2.0, ("minact-scn: useg scan done, entries {n}",)),
    (1.0, ("Error ORA-235 occurred during an un-locked control file transaction",)),
)  # fmt: skip
#: Everyday rows of SAP's system log (number, text, rows an hour) and short dumps (name, dumps an hour).
SYSLOG_NOISE = (
    ("R68", "Perform rollback", 120.0),
    ("R49", "Communication error, CPIC return code 027", 20.0),
    ("D01", "Transaction cancelled 00 671", 6.0),
    ("Q02", "Stop Workproc 7, PID 10158246", 30.0),
    ("Q01", "Start Workproc 7, 1 restarts", 30.0),
    ("ZA7", "A message of the site's own", 12.0),
)
DUMP_NOISE = (("CONVT_NO_NUMBER", 4.0), ("TIME_OUT", 4.0))
USERS, POOL, OLD = 60, 14, 14


def arrivals(rng: random.Random, per_hour: float, begin: float, end: float) -> Iterator[float]:
    """Times of things that happen at a rate, by chance."""
    at = begin + rng.expovariate(per_hour / 3600)
    while at < end:
        yield at
        at += rng.expovariate(per_hour / 3600)


@dataclass(frozen=True)
class DatabaseSession:
    """A session of a pool that renews it after half an hour, or of a work process that keeps it for days."""

    sid: int
    user: str
    logon: float
    ends: float = 1e9


@dataclass
class World:
    """The world as it really is."""

    seed: int
    log: list[Entry] = field(default_factory=list)
    sessions: list[DatabaseSession] = field(default_factory=list)
    logon_fails: tuple[tuple[float, float], ...] = ((BEGIN, RESUME),)
    starts: tuple[tuple[float, str], ...] = ((-1e9, "20260201060000"),)
    own_serial: tuple[tuple[float, str], ...] = ((0.0, "7"),)
    offline_disks: tuple[tuple[float, int], ...] = ((0.0, 0),)
    users: list[tuple[User, float, float]] = field(default_factory=list)
    #: Work processes by number: (from when, what it is).
    workers: dict[int, list[tuple[float, WorkProcess | None]]] = field(default_factory=dict)
    jobs: list[tuple[float, Job]] = field(default_factory=list)
    syslog: list[tuple[float, LogEntry]] = field(default_factory=list)
    dumps: list[tuple[float, Dump]] = field(default_factory=list)
    updates: list[tuple[float, Update]] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    #: Processes of the instance by name: (from when, pid).
    processes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    replicated: list[tuple[float, bool]] = field(default_factory=lambda: [(-1e9, True)])

    def __post_init__(self) -> None:
        self.rng = random.Random(f"noise {self.seed}")
        self._alert_log()
        self._database_sessions()
        self._users()
        self._work_processes()
        self._sap_logs()
        self.processes = {
            name: [(-1e9, 100 + n)] for n, name in enumerate(("disp+work", "gwrd", "icman", "igswd_mt", "enserver"))
        }
        self.waiting = [(at, self.rng.choice((0, 0, 1, 3))) for at in range(-10, int(END), 7)]
        old = Update("A1" * 16, None, "WAGNERT", "100", "13")
        self.updates = [(-9e4, old), (BEGIN + 20, Update("B2" * 16, None, "BECKERA", "100", "0"))]

    def started_at(self, moment: float) -> str:
        """The start time of the instance that runs at a moment."""
        return next(start for begin, start in reversed(self.starts) if begin <= moment)

    @property
    def zone_minutes(self) -> tuple[int, int]:
        """The zones of the log and of sessions, in minutes before UTC."""
        zones = (0, 60, 120, 330, 345, -210, -480, 765)
        return zones[self.seed % len(zones)], zones[(self.seed // 3) % len(zones)]

    def log_zone_minutes(self, moment: float) -> int:
        """The zone in which the log prints a moment, in minutes before UTC."""
        return self.zone_minutes[0]

    @property
    def is_zoned(self) -> bool:
        """Tell whether the log prints a zone, as from 12.2 on, or local times without one."""
        return self.seed % 2 == 0

    def _alert_log(self) -> None:
        number = 4100
        for per_hour, lines in ALERT_NOISE:
            for at in arrivals(self.rng, per_hour, -HOURS_OF_LOG * 3600, END):
                number += 1
                moment = RESUME + 0.2 if BEGIN <= at < RESUME else at
                self.log.append((moment, tuple(line.replace("{n}", str(number)) for line in lines)))
        drift = ("Warning: VKTM detected a forward time drift.", "Please see the VKTM trace file for more details:",
                 "/oracle/BX5/saptrace/BX5_vktm_5021.trc")  # fmt: skip
        self.log.append((RESUME + 0.05, drift))

    def _database_sessions(self) -> None:
        self.sessions = [DatabaseSession(n + 1, "SAPR3", -86400.0 - n) for n in range(OLD)]
        lives = 1800.0
        for place in range(POOL):
            begins = -self.rng.uniform(0, lives)
            while begins < END:
                # a pool renews a session after its life, and a little earlier or later
                ends = begins + lives * self.rng.uniform(0.95, 1.0)
                self.sessions.append(DatabaseSession(100 + place, "WEBAPP", begins, ends))
                begins = ends + self.rng.uniform(0.1, 2.0)
        for number, at in enumerate(arrivals(self.rng, 60.0, -600, END)):
            self.sessions.append(DatabaseSession(200 + number, "BATCH", at, at + self.rng.expovariate(1 / 20)))

    def _users(self) -> None:
        for number in range(USERS):
            begins, tid = -self.rng.uniform(2000, 20000), f"T{number}"
            while begins < END:
                ends = begins + self.rng.expovariate(1 / 4000.0)
                self.users.append((User(tid, "100", f"USER{number:02}", "VA01"), begins, ends))
                begins, tid = ends + self.rng.uniform(1, 60), f"{tid}x"

    def _work_processes(self) -> None:
        for number in range(30):
            kind = "DIA" if number < 18 else "BTC" if number < 26 else "UPD"
            worker = WorkProcess(number, kind, 5000 + number, Activity.WAITING, cpu_s=10, program="")
            self.workers[number] = [(-1e9, worker)]
        pid = 9000
        for at in arrivals(self.rng, 60.0, -600, END):  # the heap limit, or a dynamic work process
            pid += 1
            number = self.rng.randrange(8, 18)
            was = self.workers[number][-1][1]
            assert was is not None
            self.workers[number].append((at, replace(was, pid=pid)))
        if self.seed % 3 == 0:  # another operation mode: dialog work processes become background ones
            for number in range(4, 8):
                was = self.workers[number][-1][1]
                assert was is not None
                self.workers[number].append((SETTLED + 10, replace(was, type="BTC")))
        for number, name in enumerate(("NIGHTLY", "LOAD", "REPORT")):
            self.jobs.append(
                (-600.0, Job(name, f"2000000{number}", JobStatus.RUNNING, user="BATCH", pid=5018 + number))
            )
            idle = self.workers[18 + number][0][1]
            assert idle is not None
            self.workers[18 + number] = [
                (at, replace(idle, activity=Activity.RUNNING, program="ZJOB", user="BATCH", cpu_s=10 + int(at + 600)))
                for at in range(-600, int(END), 2)
            ]

    def _sap_logs(self) -> None:
        for number, text, per_hour in SYSLOG_NOISE:
            for at in arrivals(self.rng, per_hour, -HOURS_OF_SYSLOG * 3600, END):
                self.syslog.append((at, LogEntry(None, "DIA", "100", "RICHTERM", "ME22N", number, text)))
        for name, per_hour in DUMP_NOISE:
            for at in arrivals(self.rng, per_hour, -HOURS_OF_SYSLOG * 3600, END):
                self.dumps.append((at, Dump(None, "bxaix85", "WOLFD", "100", name)))
