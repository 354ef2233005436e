"""The facts about a SAP system as plain values. Every interface fills the same ones.

A value that a source does not provide is ``None`` (or an empty text where SAP itself prints nothing); it is never
guessed. Times are as the SAP system's clock shows them, without a zone, unless their name says otherwise;
`SapSnapshot.zone_offset_s` ties them to UTC. Durations are seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lpmkit.sap.recalled import WEB_TYPES


def interface_of(way: str) -> str:
    """The interface in the text of a way; its details follow after a comma or a blank.

    >>> interface_of("soap_rfc, XBP 3.0"), interface_of("dpmon over ssh"), interface_of("")
    ('soap_rfc', 'dpmon', '')
    """
    return re.split(r"[, ]", way, maxsplit=1)[0]


class Colour(StrEnum):
    """SAP's rating of a process or a queue (``dispstatus``)."""

    GRAY = "GRAY"
    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"


class Activity(StrEnum):
    """The activity of a work process, in one vocabulary for all interfaces and languages."""

    WAITING = "waiting"
    RUNNING = "running"
    ON_HOLD = "on hold"
    STOPPED = "stopped"
    ENDED = "ended"
    SHUTDOWN = "shutdown"
    OTHER = "other"  #: a word that nobody has seen; `WorkProcess.said` holds it

    @property
    def is_down(self) -> bool:
        """True if it serves no request any more."""
        return self in (Activity.STOPPED, Activity.ENDED, Activity.SHUTDOWN)


class JobStatus(StrEnum):
    """TBTCO-STATUS."""

    SCHEDULED = "P"
    RELEASED = "S"
    READY = "Y"
    PUT_ACTIVE = "Z"
    RUNNING = "R"
    FINISHED = "F"
    ABORTED = "A"
    UNKNOWN = "X"

    @property
    def word(self) -> str:
        """The status as SM37 shows it."""
        return self.name.lower().replace("_", " ")


#: The reasons for which a work process waits while a session holds it (`SAPDATASHEET`, WPWAITING), and the beginnings
#: of newer texts (SSI_WORKER_STATE_INFO_DISP). Kernels print such a process as on hold or as stopped.
HELD_FOR = ("PRIV", "DEBUG", "RFC", "ARFC", "CPIC", "ENQ", "UPD", "UP2", "SPO", "ADM", "NUM", "GUI")
HELD_FOR_LONG = ("DEBUGGING", "RFC RESP", "ENQUEUE RESP", "UPDATE", "INTERNAL RESP", "SAP GUI RESP", "SESSION IN PRIV")
#: Those of them that the lock server or the number range server answers, within a moment.
SOON_ANSWERED = ("ENQ", "NUM", "INTERNAL RESPONSE (NUM")


def is_held_for(reason: str) -> bool:
    """True for a reason of a work process that a session holds.

    >>> [is_held_for(text) for text in ("PRIV", "rfc", "RFC response", "Session in PRIV mode", "", "heap")]
    [True, True, True, True, False, False]
    """
    said = reason.strip().upper()
    return said in HELD_FOR or said.startswith(HELD_FOR_LONG)


#: The description of a process that is a node of a Java instance.
JAVA_NODE = "Java node"


@dataclass(frozen=True, slots=True)
class Process:
    """A process of an instance, as its start service lists it; from ``ps`` there are only name, pid and start."""

    name: str
    pid: int | None = None
    colour: Colour = Colour.GRAY
    text: str = ""
    started: datetime | None = None
    elapsed_s: int | None = None
    description: str = ""
    instance: str = ""
    from_ps: bool = False  #: worked out from ``ps``: the start is only as exact as its elapsed time


@dataclass(frozen=True, slots=True)
class WorkProcess:
    """A row of SM50.

    ``type`` is DIA, BTC, UPD, UP2, ENQ, SPO; ``errors`` how often it was terminated and started again.
    """

    number: int
    type: str
    pid: int | None
    activity: Activity
    said: str = ""
    reason: str = ""
    restarts: bool | None = None
    errors: int = 0
    semaphore: str = ""
    cpu_s: int | None = None
    request_s: int | None = None
    program: str = ""
    client: str = ""
    user: str = ""
    action: str = ""
    table: str = ""
    server: str = ""

    @property
    def is_held(self) -> bool:
        """True if a session holds it: its program waits for somebody, in PRIV mode for example."""
        return self.activity is Activity.ON_HOLD or (self.activity is Activity.STOPPED and is_held_for(self.reason))

    @property
    def is_busy(self) -> bool:
        return self.activity in (Activity.RUNNING, Activity.OTHER) or self.is_held

    @property
    def is_down(self) -> bool:
        """True if it serves no request any more."""
        return self.activity.is_down and not self.is_held


@dataclass(frozen=True, slots=True)
class Job:
    """A background job.

    ``name`` and ``count`` are its identity; both are empty where a way only shows the work that a BTC process does.

    ``pid`` and ``work_process`` are of the work process that runs it, ``program``, ``client`` and ``user`` of its
    present step.
    """

    name: str
    count: str
    status: JobStatus
    program: str = ""
    client: str = ""
    user: str = ""
    server: str = ""
    work_process: int | None = None
    pid: int | None = None
    planned: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    steps: int | None = None
    periodic: bool | None = None

    @property
    def key(self) -> str:
        """The identity of the job: name and count, else the process and its program."""
        return f"{self.name}/{self.count}" if self.name else f"pid {self.pid}: {self.program} {self.client} {self.user}"

    @property
    def title(self) -> str:
        return f"{self.name} {self.count}" if self.name else f"{self.program} ({self.user})"

    @property
    def work(self) -> tuple[int | None, str, str, str]:
        """The part of a running job that every interface shows: process, program, client, user."""
        return self.pid, self.program, self.client, self.user


@dataclass(frozen=True, slots=True)
class JobLog:
    """The progress of a running job by its own log: number of lines, the step that began last, the last line.

    ``lines`` is ``None`` for a log that is too long to be read again and again.
    """

    name: str
    count: str
    lines: int | None
    step: int | None = None
    last: str = ""
    at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.name}/{self.count}"


@dataclass(frozen=True, slots=True)
class JobHistory:
    """The recent run times of the finished jobs of one name, seconds."""

    name: str
    runs: int
    median_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class DispatcherQueue:
    """A request queue of the dispatcher: how many wait now, the most since the start, its length."""

    type: str
    now: int
    high: int
    most: int
    writes: int
    reads: int


@dataclass(frozen=True, slots=True)
class User:
    """A logged-on user's session; ``tid`` is the terminal id, the identity of a session as long as it lives."""

    tid: str
    client: str
    name: str
    transaction: str = ""
    terminal: str = ""
    last: str = ""
    type: str = ""
    server: str = ""

    @property
    def key(self) -> str:
        return f"{self.server}/{self.tid}/{self.client}/{self.name}"

    @property
    def is_over_http(self) -> bool:
        """True if a browser or a program holds it by HTTP: it ends by a time-out, and the next click may open another
        without a word (`SCN-HTTP-SESSIONS`).
        """
        return self.type.upper() in WEB_TYPES


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A row of the system log (SM21). ``number`` is the message number (``Q04``)."""

    at: datetime | None
    type: str
    client: str
    user: str
    transaction: str
    number: str
    text: str
    colour: Colour = Colour.GRAY


@dataclass(frozen=True, slots=True)
class Dump:
    """A short dump (ST22); ``error`` is its name, ``ZDATE_LARGE_TIME_DIFF`` for example."""

    at: datetime | None
    host: str
    user: str
    client: str
    error: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A row of the lock table (SM12)."""

    name: str
    argument: str
    mode: str
    owner: str
    client: str = ""
    user: str = ""
    transaction: str = ""
    object: str = ""
    backup: bool | None = None

    @property
    def key(self) -> str:
        return f"{self.owner}/{self.name}/{self.argument}"


@dataclass(frozen=True, slots=True)
class Enqueue:
    """The lock server's own figures. ``replication`` is ``replication-state``, grey where there is none.

    ``errors`` are those of taking and of giving back locks, ``state`` the gravest rating of its tables, ``cleanups``
    how often it gave back all locks of an application server, which began or ended (`SAP-ENQ-MONITOR`).
    """

    locks: int | None
    locks_most: int | None
    requests: int | None
    rejects: int | None
    errors: int | None
    replication: Colour | None
    state: Colour | None = None
    cleanups: int | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """An update request that has not been carried out or failed (SM13, VBHDR)."""

    key: str
    at: datetime | None
    user: str
    client: str
    state: str

    @property
    def failed(self) -> bool | None:
        """``None`` where the source does not report the state."""
        return bool(self.state.strip("0 ")) if self.state else None


@dataclass(frozen=True, slots=True)
class Instance:
    """An application server of the system."""

    host: str
    number: str
    features: tuple[str, ...] = ()
    colour: Colour = Colour.GRAY
    name: str = ""


@dataclass(frozen=True, slots=True)
class Licence:
    """An installed licence. ``permanent`` and ``valid`` are ``None`` where it is not stated, ``system`` is empty."""

    key: str
    product: str = ""
    permanent: bool | None = None
    valid: bool | None = None
    until: str = ""
    system: str = ""

    @property
    def lets_log_on(self) -> bool:
        """True if it lets people log on for good. A maintenance certificate (``Maintenance_ORA``) is listed among the
        licences and is none: it lets software be updated (`SAP-MAINTENANCE`).
        """
        certificate = self.product.upper().startswith("MAINTENANCE")
        return not certificate and self.permanent is not False and self.valid is not False


def licences_to_log_on(licences: Sequence[Licence], sid: str, key: str) -> list[Licence]:
    """The licences with which people log on for good to this system on the machine with this hardware key."""
    return [one for one in licences if one.key == key and one.system in ("", sid) and one.lets_log_on]


def licensed_products(licences: Sequence[Licence]) -> set[str]:
    """The products of licences, where they are told; each is one database's (``NetWeaver_ORA``), and does not serve
    another (`SAP-LICENCE-NEW`).
    """
    return {one.product for one in licences if one.product}


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """The identity of the system as it names itself: ``host`` and ``kernel`` among it, and its clock."""

    sid: str
    host: str = ""
    release: str = ""
    kernel: str = ""
    machine: str = ""
    database: str = ""
    zone_offset_s: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A node of the alert tree that is not green: its path from the root, and its text."""

    path: str
    colour: Colour
    text: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A question that no source answered, or whose rows may not be all, and why; ``configured`` is true where the site
    file has a source for it.
    """

    question: str
    why: str
    configured: bool = True


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """The parameters that are read from the profiles of one instance, and the files that were read."""

    instance: str
    values: Mapping[str, str]
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SapSnapshot:
    """Everything about a system at one time. ``None`` was not answered, an empty tuple was and holds nothing.

    ``ways`` names for each question the source that answered. ``wall_ns`` is the observer's time of day at the begin,
    ``zone_offset_s`` how far the system's clock is before UTC. ``machine_id`` is ``uname -m``, ``hardware_key`` what
    SAP's licence tool makes of it.
    """

    system: str
    wall_ns: int
    ways: Mapping[str, str]
    missed: tuple[Missed, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    zone_offset_s: int | None = None
    identity: SystemIdentity | None = None
    instances: tuple[Instance, ...] | None = None
    processes: tuple[Process, ...] | None = None
    work_processes: tuple[WorkProcess, ...] | None = None
    queues: tuple[DispatcherQueue, ...] | None = None
    jobs: tuple[Job, ...] | None = None
    history: tuple[JobHistory, ...] | None = None
    users: tuple[User, ...] | None = None
    locks: tuple[Lock, ...] | None = None
    enqueue: tuple[Enqueue, ...] | None = None
    updates: tuple[Update, ...] | None = None
    alerts: tuple[Alert, ...] | None = None
    licences: tuple[Licence, ...] | None = None
    hardware_key: str | None = None
    machine_id: str | None = None
    machine_serial: str | None = None
    #: What ``lsconf`` printed on the host, line by line, run from inside SAP where a way does that.
    lsconf: tuple[str, ...] | None = None
    #: The entitled capacity in processors, as ``lparstat -i`` prints it on the host.
    entitlement: float | None = None
    #: The time-outs that the profiles of its instances set (`lpmkit.sap.time_outs`).
    profiles: tuple[InstanceProfile, ...] | None = None
    #: The hardware key of each frame beside the system's own, and where each is from: the site file, or an earlier run.
    hardware_keys: Mapping[str, str] = field(default_factory=dict)
    keys_from: Mapping[str, str] = field(default_factory=dict)
    #: Thresholds of the site file.
    slo: Mapping[str, float] = field(default_factory=dict)
    #: The accounts that refused our credentials, with the answer; nothing logs on with them again in this run.
    refused: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, question: str) -> str:
        return next((one.why for one in self.missed if one.question == question), "it was not asked")


def jobs_of(work_processes: tuple[WorkProcess, ...]) -> tuple[Job, ...]:
    """The background work that the work processes themselves show: no names, but what runs, for whom, in which
    process.
    """
    return tuple(
        Job(
            name="",
            count="",
            status=JobStatus.RUNNING,
            program=process.program,
            client=process.client,
            user=process.user,
            server=process.server,
            work_process=process.number,
            pid=process.pid,
        )
        for process in work_processes
        if process.type == "BTC" and process.is_busy
    )
