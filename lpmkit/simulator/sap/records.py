"""The values that `system.System` keeps: work processes, jobs, sessions, locks, log entries.

Times are seconds of the partition's own wall clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lpmkit.simulator.sap.work import JobPlan, UserPlan

DIALOG, UPDATE, ENQUEUE, BACKGROUND, SPOOL, UPDATE_2 = "DIA", "UPD", "ENQ", "BTC", "SPO", "UP2"


#: A value of a field as ABAP has it: text or a number.
Scalar = str | int


class Date(str):
    """A date as ABAP keeps it, ``YYYYMMDD``; `iso` is its form in XML (the patterns of every WSDL of a function
    module).
    """

    __slots__ = ()

    @property
    def iso(self) -> str:
        return f"{self[:4]}-{self[4:6]}-{self[6:]}"


class Time(str):
    """A time of day as ABAP keeps it, ``HHMMSS``."""

    __slots__ = ()

    @property
    def iso(self) -> str:
        return f"{self[:2]}:{self[2:4]}:{self[4:]}"


def date(wall_s: float | None) -> Date:
    """``YYYYMMDD``, and the initial date of something that has not happened (`SE80`).

    >>> date(1218226442), date(1218226442).iso, date(None)
    ('20080808', '2008-08-08', '00000000')
    """
    return Date("00000000" if wall_s is None else time.strftime("%Y%m%d", time.gmtime(wall_s)))


def clock(wall_s: float | None) -> Time:
    """``HHMMSS``, initial when it has not happened."""
    return Time("000000" if wall_s is None else time.strftime("%H%M%S", time.gmtime(wall_s)))


def stamp(wall_s: float) -> str:
    """``YYYY MM DD HH:MM:SS``, as sapstartsrv writes times (`SAPAGENT`)."""
    return time.strftime("%Y %m %d %H:%M:%S", time.gmtime(wall_s))


def lasted(seconds: float) -> str:
    """Hours without bound, minutes, seconds.

    >>> lasted(3711727), lasted(1300)
    ('1031:02:07', '0:21:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


@dataclass(slots=True)
class WorkProcess:
    """One work process.

    ``since_s`` is when it took its request; ``until_s`` is on the clock of work done, which stands while the partition
    does.
    """

    number: int
    kind: str
    pid: int
    started_s: float
    status: str = "Wait"
    reason: str = ""
    errors: int = 0
    cpu_s: float = 0.0
    since_s: float = 0.0
    until_s: float = 0.0
    program: str = ""
    client: str = ""
    user: str = ""
    action: str = ""
    table: str = ""
    job: Job | None = None

    @property
    def free(self) -> bool:
        return self.status == "Wait"

    def take(self, wall_s: float, until_s: float, program: str, client: str, user: str) -> None:
        """Begin a request that is done when so much work was done in all."""
        self.status, self.since_s, self.until_s = "Run", wall_s, until_s
        self.program, self.client, self.user = program, client, user

    def let_go(self) -> None:
        self.status, self.reason, self.job = "Wait", "", None
        self.program = self.client = self.user = self.action = self.table = ""


@dataclass(slots=True)
class LogLine:
    """A line of a job log: when, message class, number, type, text in English and German."""

    wall_s: float
    number: str
    text: str
    german: str
    message_class: str = "00"
    kind: str = "S"


@dataclass(slots=True)
class Job:
    """A background job. Its identity is (name, count). ``done_s`` is the work done in the present step."""

    name: str
    count: str
    plan: JobPlan
    status: str
    scheduled_s: float | None
    created_s: float
    started_s: float | None = None
    ended_s: float | None = None
    step: int = 0
    done_s: float = 0.0
    worker: WorkProcess | None = None
    worker_number: int = 0
    worker_pid: int = 0
    server: str = ""
    log: list[LogLine] = field(default_factory=list)
    next_line_s: float = 0.0

    @property
    def objects_done(self) -> int:
        """The number of its objects that are processed, over all steps."""
        whole = sum(self.plan.steps_s)
        done = sum(self.plan.steps_s[: self.step]) + self.done_s
        return int(self.plan.objects * min(1.0, done / whole))


@dataclass(slots=True)
class Session:
    """A logged-on user. ``number`` is the terminal id (TID)."""

    number: int
    plan: UserPlan
    logon_s: float
    last_s: float
    next_s: float


@dataclass(frozen=True, slots=True)
class Lock:
    """An entry of the lock table."""

    table: str
    argument: str
    owner: str
    client: str
    user: str
    transaction: str
    object: str
    mode: str = "E"
    backup: bool = False


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the system log."""

    wall_s: float
    kind: str
    client: str
    user: str
    transaction: str
    number: str
    text: str
    german: str
    severity: str


@dataclass(frozen=True, slots=True)
class Dump:
    """A short dump (table SNAP)."""

    wall_s: float
    host: str
    user: str
    client: str
    error: str
    program: str


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """An update request (table VBHDR). ``state`` is 255 for one that goes its way, else where it broke."""

    key: str
    wall_s: float
    client: str
    user: str
    transaction: str
    report: str
    state: int = 255


@dataclass(slots=True)
class Queue:
    """A request queue of the dispatcher: entries now and at most, its size, what came and went."""

    name: str
    now: int = 0
    high: int = 0
    size: int = 14000
    writes: int = 0
    reads: int = 0

    def passed(self, count: int = 1) -> None:
        """Requests that came and found somebody at once."""
        self.writes += count
        self.reads += count
        self.high = max(self.high, count)
