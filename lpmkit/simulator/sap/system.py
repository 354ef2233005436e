"""The live system: what goes on in it from tick to tick. All faces read from here, so they agree.

`System.advance` is told how much work was done and what time it is, and does no waiting of its own; `Heart` calls it
from a thread. A partition that is stopped does no work: the heart counts no more than a few ticks for any gap, however
long it was, while the wall clock has gone on when the partition runs again. So a job is later by as long as the
partition stood still, as in life.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from lpmkit.simulator.sap import jobs
from lpmkit.simulator.sap.installation import Installation
from lpmkit.simulator.sap.kinds import InstanceKind
from lpmkit.simulator.sap.recalled import SYSLOG
from lpmkit.simulator.sap.records import (
    BACKGROUND,
    DIALOG,
    ENQUEUE,
    SPOOL,
    UPDATE,
    UPDATE_2,
    Dump,
    Job,
    Lock,
    LogEntry,
    Queue,
    Session,
    UpdateRequest,
    WorkProcess,
)
from lpmkit.simulator.sap.work import USERS

TICK_S = 0.1
LONGEST_TICK_S = 0.3
"""Of a longer gap no more than this was work: somebody had stopped us, or gave us no processor."""

#: Forty work processes of a central instance; beside central services of its own there is no enqueue work process.
SHAPE = ((DIALOG, 21), (UPDATE, 4), (ENQUEUE, 1), (BACKGROUND, 10), (SPOOL, 2), (UPDATE_2, 2))
ACTIONS = ("Sequential Read", "Direct Read", "Sequential Read", "Update", "Insert", "Commit", "")
CHANGING = ("VA01", "VA02", "MIGO", "FB01", "ME21N", "LT12")
ROUTINE_SYSLOG_EVERY_S = 25.0
KEPT_LOG_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Process:
    """An operating-system process of the system, as ``ps`` and GetProcessList show it."""

    pid: int
    parent: int
    name: str
    arguments: str
    description: str
    started_s: float
    running: bool = True


class System:
    """An ABAP system on one host. Every public method may be called from any thread."""

    def __init__(
        self,
        installed: Installation,
        host: str,
        boot_wall_s: float,
        wall_s: float,
        machine_id: Callable[[], str] = lambda: "",
        german: bool = False,
    ) -> None:
        self.installed, self.host, self.machine_id, self.german = installed, host, machine_id, german
        self.lock = threading.RLock()
        self.chance = random.Random(f"{installed.sid}{host}")
        self.began_s = wall_s
        self.wall_s = wall_s
        self.work_s = 0.0
        self.started_s = boot_wall_s + 300
        self.dispatcher_runs = installed.other is None
        #: What was started again since: the new process and when.
        self._again: dict[str, tuple[int, float]] = {}
        self.start_service_runs = installed.has_start_service
        #: Whether the enqueue server, where there is one, has its replica, which is on another host.
        self.replicated = installed.keeps_locks_apart
        self.jobs: list[Job] = []
        #: Runs of earlier days, which only the table of jobs still knows.
        self.earlier_jobs: list[Job] = []
        self.syslog: list[LogEntry] = []
        self.dumps: list[Dump] = []
        self.updates: list[UpdateRequest] = []
        self._next_pid = 10_158_246 if installed.has_start_service else 454_656
        self.dispatcher_pid = self.new_pid()
        self.work_processes = self._work_processes()
        self._own_pids = {
            name: self.new_pid()
            for name in ("sapstart", "ms", "en", "gw", "icm", "igs", "se", "co", "os", "srv", "srv2")
        }
        names = ("NOWP", "DIA", "UPD", "ENQ", "BTC", "SPO", "UP2")
        other = installed.other
        self._others = (
            {}
            if other is None
            else {name: self.new_pid() for name in (*(one.name for one in other.programs), *other.nodes)}
        )
        self.queues = {name: Queue(f"ABAP/{name}") for name in names} | {"ICM": Queue("ICM/Intern", size=6000)}
        self.sessions = self._log_users_on()
        self._seed_history()
        self._next_syslog_s = ROUTINE_SYSLOG_EVERY_S

    # --- how it begins ------------------------------------------------------------------------------------------------

    def new_pid(self) -> int:
        """The next process id."""
        pid, self._next_pid = self._next_pid, self._next_pid + 4096
        return pid

    def _work_processes(self) -> list[WorkProcess]:
        found: list[WorkProcess] = []
        for kind, count in SHAPE:
            spare = 1 if kind == DIALOG and not self.installed.classic else 0
            for _ in range(0 if kind == ENQUEUE and not self.installed.classic else count + spare):
                found.append(WorkProcess(len(found), kind, self.new_pid(), self.started_s))
        for each in found:
            busy = {DIALOG: 2400 / (1 + each.number), BACKGROUND: 5200.0, ENQUEUE: 900.0}.get(each.kind, 310.0)
            each.cpu_s = busy * self.chance.uniform(0.7, 1.3)
        return found

    def _log_users_on(self) -> list[Session]:
        sessions = []
        for at, plan in enumerate(USERS):
            since = self.wall_s - self.chance.uniform(900, 22000)
            last = self.wall_s - self.chance.uniform(2, 240)
            sessions.append(Session(11 + 3 * at, plan, since, last, self.chance.uniform(0, 12)))
        return sessions

    def _seed_history(self) -> None:
        for name, queue in self.queues.items():
            queue.writes = queue.reads = {"DIA": 184_220, "ICM": 5_112, "UPD": 21_904, "BTC": 3_377}.get(name, 940)
            queue.high = {"DIA": 9, "UPD": 3, "BTC": 4}.get(name, 1)
        for plan_at in jobs.lay_out(self):
            self.jobs.append(plan_at)
        self.earlier_jobs = jobs.earlier_runs(self)
        for before, user, transaction, report in (
            (93_600, "WAGNERT", "MB1A", "SAPMM07M"),
            (40_500, "BECKERA", "FB05", "SAPMF05A"),
        ):
            self.updates.append(self._update_request(self.wall_s - before, user, transaction, report, state=13))
        self.updates.sort(key=lambda each: each.wall_s)
        self.log("E10", self.started_s, kind="S", what="SCSA", number=4096)
        self.log(
            "US1",
            self.wall_s - 5200,
            kind="DIA",
            transaction="SESSION_MANAGER",
            user="WOLFD",
            client=self.installed.client,
        )
        for before in (1900, 640, 75):
            self.log(
                "R68",
                self.wall_s - before,
                kind="DIA",
                user="RICHTERM",
                transaction="ME22N",
                client=self.installed.client,
            )
        self.syslog.sort(key=lambda entry: entry.wall_s)

    # --- what goes on -------------------------------------------------------------------------------------------------

    def advance(self, work_s: float, wall_s: float) -> None:
        """So much was worked, and it is this time now."""
        with self.lock:
            self.work_s += work_s
            self.wall_s = wall_s
            if not self.dispatcher_runs:
                return
            jobs.advance(self, work_s)
            self._serve_requests(work_s)
            self._serve_users()
            if self.work_s >= self._next_syslog_s:
                self._next_syslog_s = self.work_s + ROUTINE_SYSLOG_EVERY_S
                self.log("R68", wall_s, kind="DIA", user="RICHTERM", transaction="ME22N", client=self.installed.client)

    def _serve_requests(self, work_s: float) -> None:
        """Work processes use the processor, change what they do, and are done with what they did."""
        for each in self.work_processes:
            if each.status != "Run":
                continue
            each.cpu_s += work_s * 0.6
            if each.job is not None:
                each.action = ACTIONS[int(self.work_s * 2 + each.number) % len(ACTIONS)]
                each.table = each.job.plan.table if each.action not in ("", "Commit") else ""
            elif self.work_s >= each.until_s:
                each.let_go()

    def _serve_users(self) -> None:
        """People press keys: a dialog step each few seconds, an update now and then."""
        for session in self.sessions:
            if self.work_s < session.next_s:
                continue
            session.next_s = self.work_s + self.chance.uniform(3, 15)
            if self.request(DIALOG, self.chance.uniform(0.05, 0.7), session.plan.program, session.plan.name) is None:
                continue
            session.last_s = self.wall_s
            if session.plan.transaction in CHANGING and self.chance.random() < 0.4:
                self._post(session)

    def request(self, kind: str, for_s: float, program: str, user: str) -> WorkProcess | None:
        """Give a request to the first free work process of a kind; ``None`` when there is none."""
        queue = self.queues["BTC" if kind == BACKGROUND else kind]
        worker = next((each for each in self.work_processes if each.kind == kind and each.free), None)
        if worker is None:
            return None
        queue.passed()
        worker.take(self.wall_s, self.work_s + for_s, program, self.installed.client, user)
        return worker

    def _post(self, session: Session) -> None:
        """An update request that is carried out at once leaves no row behind."""
        worker = self.request(UPDATE, self.chance.uniform(0.1, 0.4), "RSM13000", session.plan.name)
        if worker is not None:
            worker.action, worker.table = "Insert", "VBDATA"

    def _update_request(self, wall_s: float, user: str, transaction: str, report: str, state: int) -> UpdateRequest:
        key = f"{self.chance.getrandbits(128):032X}"
        return UpdateRequest(key, wall_s, self.installed.client, user, transaction, report, state)

    # --- what is written down -----------------------------------------------------------------------------------------

    def log(
        self, number: str, wall_s: float, /, *, kind: str = "DIA", client: str = "000", user: str = "SAPSYS",
        transaction: str = "",
        **facts: object,
    ) -> None:  # fmt: skip
        """Write into the system log; ``facts`` fill the message."""
        english, german, severity = SYSLOG[number]
        facts.setdefault("user", user)
        entry = LogEntry(
            wall_s, kind, client, user, transaction, number, english.format(**facts), german.format(**facts), severity
        )
        self.syslog.append(entry)
        del self.syslog[:-KEPT_LOG_ENTRIES]

    def dump(self, error: str, program: str, user: str, kind: str, wall_s: float) -> None:
        """A run-time error: a short dump, and its two lines in the system log."""
        client = self.installed.client
        self.dumps.append(Dump(wall_s, self.host, user, client, error, program))
        self.log("AB0", wall_s, kind=kind, client=client, user=user, what=error)
        stamp = time.strftime("%y%m%d %H%M%S", time.gmtime(wall_s))
        self.log("AB1", wall_s, kind=kind, client=client, user=user, what=f"{stamp} {self.host} {user}")

    # --- what can be seen ---------------------------------------------------------------------------------------------

    def locks(self) -> list[Lock]:
        """The lock table: who changes something holds a lock, and so does a job that writes."""
        with self.lock:
            found = []
            for session in self.sessions:
                plan = session.plan
                if plan.locks[0]:
                    owner = self._owner(session.logon_s, session.number)
                    found.append(self._lock(*plan.locks, owner, plan.name, plan.transaction, plan.object))
            for job in self.running():
                if job.plan.table and job.started_s is not None:
                    owner, argument = (
                        self._owner(job.started_s, job.worker_number),
                        f"{self.installed.client}{job.name[:20]}",
                    )
                    found.append(self._lock(job.plan.table, argument, owner, job.plan.user, "", f"E_{job.plan.table}"))
            return found

    def _lock(self, table: str, argument: str, owner: str, user: str, transaction: str, name: str) -> Lock:
        return Lock(table, argument, owner, self.installed.client, user, transaction, name, backup=self.replicated)

    def _owner(self, wall_s: float, number: int) -> str:
        """``20240304081502123456000012host…``: since when, which work process, where."""
        when = time.strftime("%Y%m%d%H%M%S", time.gmtime(wall_s))
        return f"{when}{int(wall_s % 1 * 1e6):06}{number:06}{self.host}".ljust(58, ".")[:58]

    def running(self) -> list[Job]:
        """The jobs that are really at work."""
        return [job for job in self.jobs if job.status == "R" and job.worker is not None]

    def processes(self, central_services: bool | None = None) -> list[Process]:
        """The processes of an instance that GetProcessList watches, in its order; of both when nothing is said."""
        return [self._now(each) for each in self._installed_processes(central_services)]

    def start_again(self, name: str | None) -> None:
        """A program ends and is started again; without a name the first that is watched."""
        self._again[name or self.processes()[0].name] = (self.new_pid(), self.wall_s)

    def java_nodes(self) -> list[tuple[str, int]]:
        """The nodes of a Java instance, each with its process."""
        other = self.installed.other
        names = () if other is None else other.nodes
        return [(name, self._again.get(name, (self._others[name],))[0]) for name in names]

    def _now(self, installed: Process) -> Process:
        if installed.name not in self._again:
            return installed
        pid, since = self._again[installed.name]
        return replace(installed, pid=pid, started_s=since)

    def _installed_processes(self, central_services: bool | None) -> list[Process]:
        if self.installed.other is not None:
            return self._of_another_kind(self.installed.other)
        installed, pids, since = self.installed, self._own_pids, self.started_s
        profile = installed.profile(self.host)
        services = installed.instance if installed.classic else installed.services_instance
        services_profile = profile if installed.classic else profile.replace(installed.instance, services)
        top = pids["sapstart"]
        mine = [
            Process(self.dispatcher_pid, top, "disp+work", f"dw.sap{installed.sid}_{installed.instance} pf={profile}",
                    "Dispatcher", since),
            Process(pids["igs"], top, "igswd_mt",
                    f"ig.sap{installed.sid}_{installed.instance} -mode=profile pf={profile}", "IGS Watchdog", since),
            Process(pids["gw"], self.dispatcher_pid, "gwrd", f"gwrd -dp pf={profile}", "Gateway", since + 2),
            Process(pids["icm"], self.dispatcher_pid, "icman", f"icman -attach pf={profile}", "ICM", since + 2),
        ]  # fmt: skip
        if not self.dispatcher_runs:
            mine = [replace(each, running=each.name == "igswd_mt") for each in mine]
        central = [
            Process(
                pids["ms"],
                top,
                "msg_server",
                f"ms.sap{installed.sid}_{services} pf={services_profile}",
                "MessageServer",
                since - 4,
            )
        ]
        if not installed.classic:
            central.append(
                Process(
                    pids["en"],
                    top,
                    "enserver",
                    f"en.sap{installed.sid}_{services} pf={services_profile}",
                    "EnqueueServer",
                    since - 4,
                )
            )
        if installed.classic:
            return [*central, *mine]
        return {None: [*central, *mine], True: central, False: mine}[central_services]

    def _of_another_kind(self, other: InstanceKind) -> list[Process]:
        installed, top = self.installed, self._own_pids["sapstart"]
        named = f"{installed.sid}_{installed.instance} pf={installed.profile(self.host)}"
        return [
            Process(self._others[one.name], top, one.name, f"{one.process}{named}", one.description, self.started_s)
            for one in other.programs
        ]

    def unwatched(self) -> list[Process]:
        """The processes that only ``ps`` shows: sapstart, work processes, collectors, sapstartsrv."""
        installed, pids, since = self.installed, self._own_pids, self.started_s
        profile = installed.profile(self.host)
        found = [
            Process(
                pids["sapstart"],
                1,
                f"sap{installed.sid}_{installed.number}",
                f"/usr/sap/{installed.sid}/SYS/exe/run/sapstart pf={profile}",
                "",
                since - 5,
            )
        ]
        if self.dispatcher_runs:
            work = f"dw.sap{installed.sid}_{installed.instance} pf={profile}"
            found += [
                Process(each.pid, self.dispatcher_pid, "disp+work", work, "", each.started_s)
                for each in self.work_processes
            ]
        found.append(Process(pids["os"], 1, "saposcol", "/usr/sap/exe/run/saposcol", "", since - 60))
        if installed.classic and installed.other is None:
            name = f"{installed.sid}_{installed.instance}"
            found.append(Process(pids["co"], pids["sapstart"], "co.sap", f"co.sap{name} -F pf={profile}", "", since))
            found.append(Process(pids["se"], pids["sapstart"], "se.sap", f"se.sap{name} -F pf={profile}", "", since))
        if self.start_service_runs:
            found.append(
                Process(
                    pids["srv"],
                    1,
                    "sapstartsrv",
                    f"/usr/sap/{installed.sid}/{installed.instance}/exe/sapstartsrv pf={profile} -D",
                    "",
                    since - 40,
                )
            )
            if not installed.classic:
                services = profile.replace(installed.instance, installed.services_instance)
                found.append(
                    Process(
                        pids["srv2"],
                        1,
                        "sapstartsrv",
                        f"/usr/sap/{installed.sid}/{installed.services_instance}/exe/sapstartsrv pf={services} -D",
                        "",
                        since - 44,
                    )
                )
        return found


class Heart:
    """Lets a system go on, by a thread, for as long as the process runs."""

    def __init__(self, system: System) -> None:
        self._system = system

    def start(self) -> None:
        threading.Thread(target=self._beat, daemon=True, name="sap-heart").start()

    def _beat(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(TICK_S)
            now = time.monotonic()
            self._system.advance(min(now - last, LONGEST_TICK_S), time.time())
            last = now
