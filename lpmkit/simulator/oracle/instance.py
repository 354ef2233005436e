"""The instance: its sessions, what it waited for, what it does with its days. What the faces show comes from here.

`Instance.live` is its background work, in a thread of its own: the log writer writes every few milliseconds and
switches logs. When the partition was stopped, a write that was in flight took that long, and this is where the instance
notes it as a real one does: in its waits, in LGWR's trace, in the alert log through VKTM.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lpmkit.simulator.oracle.alert_log import AlertLog, log_switch, release_of

WRITE_EVERY_S = 0.02
LOG_SWITCH_EVERY_S = 3.0
#: VKTM says nothing of a jump below a second; LGWR says nothing of a write below half a second (`ORADOC:1347586.1`,
#: `ALERT-LOGS`).
VKTM_ALLOWS_S, LGWR_ALLOWS_S = 1.0, 0.5
HISTOGRAM = tuple(2**power for power in range(23))
BACKGROUND = ("PMON", "PSP0", "MMAN", "DBW0", "LGWR", "CKPT", "SMON", "RECO", "ARC0", "ARC1")
OPEN, DOWN = "OPEN", "DOWN"

ERRORS = {
    28: "your session has been killed",
    600: "internal error code, arguments: [kcbz_check_objd_typ_1], [0], [0], [1], [], [], [], []",
    900: "invalid SQL statement",
    904: "{detail}: invalid identifier",
    933: "SQL command not properly ended",
    942: "table or view does not exist",
    1013: "user requested cancel of current operation",
    1017: "invalid username/password; logon denied",
    1031: "insufficient privileges",
    1033: "ORACLE initialization or shutdown in progress",
    1034: "ORACLE not available",
    1109: "database not open",
    1747: "invalid user.table.column, table.column, or column specification",
    257: "archiver error. Connect internal only, until freed.",
    3113: "end-of-file on communication channel",
    28000: "the account is locked",
    12514: "TNS:listener does not currently know of service requested in connect descriptor",
}


def message(code: int, detail: str = "") -> str:
    """
    >>> message(1017)
    'ORA-01017: invalid username/password; logon denied'
    """
    return f"ORA-{code:05}: {ERRORS.get(code, 'simulated').format(detail=detail)}"


class OracleError(Exception):
    """The error that the database answers instead."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(message(code, detail))
        self.code = code


@dataclass(slots=True)
class Session:
    """One session. ``ended`` says that somebody killed it, or that the instance went down."""

    sid: int
    serial: int
    username: str
    program: str
    machine: str
    logon_wall_s: float
    kind: str = "USER"
    status: str = "INACTIVE"
    killed: threading.Event = field(default_factory=threading.Event)
    hang_up: Callable[[], None] = lambda: None
    #: The instance of the cluster that the service has put this session on; ``None`` for the one here.
    member: Member | None = None


@dataclass(slots=True)
class Waits:
    """The cost of a wait event: count, time in all, and by the powers of two of a millisecond."""

    count: int = 0
    micros: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, times: int = 1) -> None:
        self.count += times
        self.micros += int(seconds * 1e6) * times
        bucket = next(edge for edge in HISTOGRAM if seconds * 1000 < edge)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + times


@dataclass(slots=True)
class Switches:
    """The faults that are switched on.

    ``listener`` answers, refuses (with ``refusal``), hangs or resets; the numbers are ORA- errors, 0 for none.
    """

    listener: str = "answers"
    refusal: int = 12514
    logon_error: int = 0
    sql_error: int = 0
    sql_hangs: bool = False
    commit_delay_s: float = 0.0
    #: The service runs on every instance of the cluster: each second logon lands on another one.
    service_everywhere: bool = False
    #: Views that the user of the probes may not see.
    hidden: frozenset[str] = frozenset()


@dataclass(slots=True)
class Standby:
    """A destination of redo: what ``V$ARCHIVE_DEST`` says of it, and how far the other side is behind.

    ``net_timeout_s``: how long a commit waits for it; ``None`` where redo goes there asynchronously.
    """

    name: str
    status: str = "VALID"
    error: str | None = None
    lag_s: int = 0
    net_timeout_s: int | None = None


@dataclass(slots=True)
class DiskGroup:
    """An ASM disk group as a database sees it."""

    name: str
    state: str = "CONNECTED"
    offline_disks: int = 0


@dataclass(slots=True)
class Member:
    """Another instance of a cluster database."""

    name: str
    host: str
    started_wall_s: float
    status: str = "OPEN"


@dataclass(slots=True)
class Around:
    """The surroundings: standby databases, disk groups, the other instances (``NAME@HOST``)."""

    standbys: list[Standby] = field(default_factory=list)
    disk_groups: list[DiskGroup] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    protection_mode: str = "MAXIMUM PERFORMANCE"
    #: Where it differs from the mode: RESYNCHRONIZATION while the standby database catches up.
    protection_level: str = ""
    #: FastStartFailoverThreshold; 0 where fast-start failover is off.
    failover_threshold_s: int = 0
    #: ObserverPingInterval and ObserverPingRetry, in place of the threshold; both from 26ai on.
    observer_ping_ms: int = 0
    observer_retries: int = 0


#: The limit of the profile DEFAULT (`ORACLE-REF`).
FAILED_LOGIN_ATTEMPTS = 10


class Instance:
    """An instance that has been up for a while."""

    def __init__(
        self,
        log: AlertLog,
        host: str,
        started_wall_s: float,
        *,
        users: dict[str, str] | None = None,
        around: Around | None = None,
    ) -> None:
        self.around = around or Around()
        self.log, self.host = log, host
        self.sid, self.version = log.sid, log.version
        self.started_wall_s = started_wall_s
        self.users = users or {}
        #: Refused logons of each user; at `FAILED_LOGIN_ATTEMPTS` the account is locked.
        self.refused: dict[str, int] = {}
        self.switches = Switches()
        #: The pluggable database that sessions are in; ``None`` where there are none.
        self.container: str | None = None
        self.state = OPEN
        self.lock = threading.RLock()
        self.sequence = 4711
        #: The time of day of the last log switch.
        self.switched_wall_s = started_wall_s
        self.events = {
            name: Waits()
            for name in (
                "log file sync",
                "log file parallel write",
                "control file parallel write",
                "db file parallel write",
            )
        }
        self.sessions: dict[int, Session] = {}
        self._next_sid, self._next_serial = 1, 1
        self._populate()

    @property
    def release(self) -> tuple[int, ...]:
        return release_of(self.version)

    def check_lock(self, user: str) -> None:
        """Raise ORA-28000 for a locked account, also with the right password."""
        if self.refused.get(user, 0) >= FAILED_LOGIN_ATTEMPTS:
            raise OracleError(28000)

    def refuse(self, user: str) -> OracleError:
        """Count a wrong password; the error for it."""
        with self.lock:
            self.refused[user] = self.refused.get(user, 0) + 1
        return OracleError(1017)

    def _populate(self) -> None:
        for name in BACKGROUND:
            self.log_on("", f"oracle@{self.host} ({name})", self.host, kind="BACKGROUND", at=self.started_wall_s)
        for number in range(14):
            self.log_on(
                "SAPR3",
                f"dw.sap{self.sid}_DVEBMGS00@{self.host} (TNS V1-V3)",
                self.host,
                at=self.started_wall_s + 60 + number,
            )

    def log_on(
        self, username: str, program: str, machine: str, *, kind: str = "USER", at: float | None = None
    ) -> Session:
        """A new session; numbers of sessions that ended are given again with another serial number."""
        with self.lock:
            if self.state == DOWN:
                raise OracleError(1034)
            sid = next(number for number in range(1, len(self.sessions) + 2) if number not in self.sessions)
            self._next_serial += 2
            made = Session(
                sid, self._next_serial % 65536, username, program, machine, self.log.now() if at is None else at, kind
            )
            if self.switches.service_everywhere and kind == "USER" and self.around.members and made.serial % 4 == 1:
                made.member = self.around.members[0]
            self.sessions[sid] = made
            return made

    def log_off(self, session: Session) -> None:
        with self.lock:
            if self.sessions.get(session.sid) is session:
                del self.sessions[session.sid]

    def committed(self, seconds: float) -> None:
        """A commit of somebody who waited for it."""
        with self.lock:
            self.events["log file sync"].add(seconds)

    # --- what happens to it

    def do(self, what: str) -> None:
        """Carry out a switch or an incident by its name, as faults word it: ``ora600``, ``listener-hangs``,
        ``kill:SAPR3`` …
        """
        name, _, argument = what.partition(":")
        deeds: dict[str, Callable[[], None]] = {
            "ora600": self.internal_error,
            "tns-timeout": lambda: self.log.write_block(argument or _CLIENT),
            "interleaved": lambda: self.log.write_interleaved(argument or _CLIENT),
            "restart": lambda: self.restart(float(argument or 3)),
            "banner": self.log.write_banner,
            "rotate": self._rotate,
            "truncate": self.log.truncate,
            "kill": lambda: self.kill(argument or "SAPR3"),
            "old-form": lambda: setattr(self.log, "old_form", True),
            "checkpoints": self.checkpoints,
            "standby-lost": self.lose_standby,
            "disk-offline": lambda: self.lose_disk(argument),
            "evict": lambda: self.evict(argument),
            "protect": lambda: self.protect(*argument.split("|")),
            "failover": lambda: setattr(self.around, "failover_threshold_s", int(argument or 30)),
            "observer": lambda: self.hurry_observer(*argument.split("|")),
            "service-everywhere": lambda: setattr(self.switches, "service_everywhere", True),
            "pluggable": lambda: setattr(self, "container", argument or "PDB1"),
            "write": lambda: self.log.write(*argument.split("|")),
            "ora": lambda: setattr(self.switches, "sql_error", int(argument or 0)),
            "logon-ora": lambda: setattr(self.switches, "logon_error", int(argument or 0)),
        }
        if name.startswith("listener-"):
            self.switches.listener = name.removeprefix("listener-")
            self.switches.refusal = int(argument or 12514)
        elif name in deeds:
            deeds[name]()
        else:
            raise ValueError(f"an Oracle instance cannot {what!r}")

    def internal_error(self) -> None:
        trace = f"{self.log.folder}/{self.sid}_ora_4063494.trc"
        incident = " (incident=41234)" if self.release >= (11,) else ""
        self.log.write(f"Errors in file {trace}{incident}:", message(600))

    def lose_standby(self) -> None:
        """The first standby can no longer be reached: redo stays here."""
        lost = self.around.standbys[0]
        lost.status, lost.error, lost.lag_s = "ERROR", "ORA-03135: connection lost contact", 95
        self.log.write(f"Error 3135 for archive log file 2 to '{lost.name}'", "ORA-03135: connection lost contact")

    def protect(self, mode: str, net_timeout_s: str = "30") -> None:
        """Raise the protection mode; the standby databases get redo synchronously."""
        self.around.protection_mode = f"MAXIMUM {mode.upper()}"
        for one in self.around.standbys:
            one.net_timeout_s = int(net_timeout_s)

    def hurry_observer(self, ping_ms: str, retries: str) -> None:
        """Let the observer count its own pings in place of the threshold."""
        self.around.observer_ping_ms, self.around.observer_retries = int(ping_ms), int(retries)

    def lose_disk(self, group: str) -> None:
        """A disk of a group is taken offline after an error."""
        found = next(one for one in self.around.disk_groups if one.name == group)
        found.offline_disks += 1

    def evict(self, name: str) -> None:
        """Another instance leaves the cluster."""
        self.around.members = [one for one in self.around.members if one.name != name]
        self.log.write("Reconfiguration started (old inc 4, new inc 6)", "List of instances (total 1) :", " 1")

    def checkpoints(self, count: int = 12) -> None:
        """The log writer waits for checkpoints, again and again."""
        for number in range(count):
            self.log.write(
                f"Thread 1 cannot allocate new log, sequence {self.sequence + number + 1}", "Checkpoint not complete"
            )

    def _rotate(self) -> None:
        self.log.rotate()
        self.log.write(*log_switch(self.sequence, self.sid))

    def kill(self, username: str) -> None:
        """``alter system kill session`` for the oldest session of a user."""
        with self.lock:
            found = min(
                (one for one in self.sessions.values() if one.username == username),
                key=lambda one: one.logon_wall_s,
                default=None,
            )
            if found is None:
                return
            found.killed.set()
            self.log_off(found)
        if self.release >= (11,):
            self.log.write(f"opiodr aborting process unknown ospid ({4063000 + found.sid}) as a result of ORA-28")
        found.hang_up()

    def restart(self, down_s: float) -> None:
        """A real one: everything that was connected is gone, and so is the old start time.

        Comes back by itself, in a thread of its own.
        """
        with self.lock:
            ended, self.sessions = list(self.sessions.values()), {}
            self.state = DOWN
        for one in ended:
            one.killed.set()
            one.hang_up()
        self.log.write(
            "Shutting down instance (abort)",
            "License high water mark = 32",
            "Instance terminated by USER, pid = 4063494",
        )
        threading.Thread(target=self._start_again, args=(down_s,), daemon=True, name="oracle-startup").start()

    def _start_again(self, down_s: float) -> None:
        time.sleep(down_s)
        self.log.write_banner()
        self.log.write("PMON started with pid=2, OS id=4063500", "Completed: ALTER DATABASE   MOUNT")
        with self.lock:
            self.started_wall_s = self.log.now()
            self.state = OPEN
            self._populate()
        self.log.write("Completed: ALTER DATABASE OPEN")

    # --- its own work

    def live(self) -> None:
        """The background work, for as long as this process runs."""
        last, switched = time.monotonic(), time.monotonic()
        while True:
            time.sleep(WRITE_EVERY_S)
            now = time.monotonic()
            late, last = now - last - WRITE_EVERY_S, now
            self.wrote(late)
            if self.state == OPEN and now - switched >= LOG_SWITCH_EVERY_S:
                switched = now
                self.sequence += 1
                self.switched_wall_s = self.log.now()
                self.log.write(*log_switch(self.sequence, self.sid))

    def wrote(self, late_s: float) -> None:
        """One log write that took so much longer than it should, and what an instance says of it."""
        took = 0.0008 + (late_s if late_s > 0.1 else 0.0)
        with self.lock:
            if self.state != OPEN:
                return
            for name, times in (
                ("log file parallel write", 1),
                ("log file sync", 1),
                ("control file parallel write", late_s > 0.1),
            ):
                if times:
                    self.events[name].add(took)
        if took > LGWR_ALLOWS_S and self.release >= (10, 2, 0, 4):
            self.log.trace("lgwr", f"Warning: log write elapsed time {took * 1000:.0f}ms, size 7KB")
        if late_s > VKTM_ALLOWS_S and self.release >= (11, 2):
            self._drifted(late_s)

    def _drifted(self, late_s: float) -> None:
        # on AIX a tick of the machine and no time (fixtures/oracle-11.2/vktm_trace/ticks_and_stalls)
        at = int((self.log.now() - self.started_wall_s) * 1e6)
        line = (
            f"kstmchkdrift (kstmhighrestimecntkeeper:highres): Time jumped forward by ({int(late_s * 1e6)})usec at "
            f"({at}) whereas (1000000) is allowed"
        )
        self.log.trace("vktm", line)
        if self.release >= (12, 2):
            # fixtures/oracle-19/alert_log/forward_time_drift
            self.log.write(
                "Warning: VKTM detected a forward time drift.",
                "Please see the VKTM trace file for more details:",
                f"{self.log.folder}/{self.sid}_vktm_5021.trc",
            )
        elif self.release >= (11, 2, 0, 4):
            self.log.write(
                "Warning: VKTM detected a time drift.",
                (
                    "Time drifts can result in an unexpected behavior such as time-outs. Please check trace file "
                    "for more details."
                ),
            )
        else:
            self.log.write("Time drift detected. Please check VKTM trace file for more details.")


_CLIENT = "(ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.201)(PORT=51234))"
