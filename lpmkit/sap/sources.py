"""The ways in to one SAP system: each answers some questions, in the values of the model, or raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lpmkit.errors import UnexpectedReply
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap import fields
from lpmkit.sap.functions import Functions
from lpmkit.sap.instances import INSTANCE_PROPERTIES, JAVA_PROCESSES, Instances, JavaNodes, Owners, sid_of
from lpmkit.sap.lsconf import read_lsconf
from lpmkit.sap.model import Process, SystemIdentity, jobs_of

if TYPE_CHECKING:
    from lpmkit.sap.webservice import StartService

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class QueryWindow:
    """The time that a question is about, on the system's own clock: from ``begin`` on; ``now`` is its present."""

    begin: datetime
    now: datetime


class SapSource(Protocol):
    """One way in."""

    name: str

    @property
    def questions(self) -> frozenset[str]:
        """The questions that it can answer at all."""
        ...

    @property
    def session(self) -> str:
        """The identity of its conversation, where it has one."""
        ...

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        """The rows, and what really carried the answer (``dpmon``). Raises `RemoteError`."""
        ...

    def server_time(self) -> datetime | None:
        """The system's own clock in the last answer, where that has it."""
        ...

    @property
    def missing(self) -> str:
        """What the last answer may lack, in words; empty where it is whole."""
        ...

    def close(self) -> None: ...


class WebServiceWay:
    """SAPControl over SOAP."""

    name = "webservice"
    questions = frozenset(
        [
            "work_processes",
            "jobs",
            "processes",
            "queues",
            "system_log",
            "locks",
            "enqueue",
            "instances",
            "alerts",
            "identity",
        ]
    )
    session = ""

    def __init__(self, sid: str, services: Mapping[str, StartService], *, anonymous: bool = False) -> None:
        self._sid, self._services = sid, services
        self._owners = Owners(sid, anonymous=anonymous)
        self._instances = Instances(tuple(services))
        self._java = JavaNodes(tuple(services))
        self._time: datetime | None = None

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        """See `SapSource.ask`."""
        asked = {
            "work_processes": self._work_processes,
            "jobs": lambda: jobs_of(self._work_processes()),
            "processes": self._processes,
            "queues": lambda: self._rows("GetQueueStatistic", fields.queue),
            "system_log": lambda: self._rows("ABAPReadSyslog", fields.log_entry),
            "locks": lambda: self._rows("EnqGetLockTable", fields.lock),
            "enqueue": lambda: self._rows("EnqGetStatistic", fields.enqueue),
            "instances": self._one_list,
            "alerts": self._alerts,
            "identity": self._identity,
        }
        self._time = None
        self._instances.silent = {}
        return asked[question](), self.name

    def server_time(self) -> datetime | None:
        return self._time

    @property
    def missing(self) -> str:
        return self._instances.missing

    def _call(self, number: str, function: str, **arguments: Any) -> list[JsonObject]:
        """The rows of an operation of an instance of this system."""
        service = self._services[number]
        self._owners.check(number, lambda: sid_of(service.call(INSTANCE_PROPERTIES)), service.where)
        return service.call(function, **arguments)

    def _rows(self, function: str, make: Callable[[JsonMapping], Value], **arguments: Any) -> tuple[Value, ...]:
        def ask(number: str) -> tuple[Value, ...]:
            return tuple(make(row) for row in self._call(number, function, **arguments))

        return tuple(row for _, rows in self._instances.each(function, ask) for row in rows)

    def _work_processes(self) -> tuple[Any, ...]:
        def ask(number: str) -> tuple[Any, ...]:
            rows = self._call(number, "ABAPGetWPTable")
            return tuple(replace(fields.work_process(row), server=self._instances.mark(number)) for row in rows)

        return tuple(row for _, rows in self._instances.each("ABAPGetWPTable", ask) for row in rows)

    def _processes(self) -> tuple[Process, ...]:
        def ask(number: str) -> tuple[Process, ...]:
            rows = self._call(number, "GetProcessList")
            return tuple(replace(fields.process(row), instance=number) for row in rows)

        def ask_java(number: str) -> tuple[Process, ...]:
            rows = self._call(number, JAVA_PROCESSES)
            return tuple(replace(fields.java_process(row), instance=number) for row in rows)

        found = tuple(row for _, rows in self._instances.each("GetProcessList", ask) for row in rows)
        self._time = clock_of(found)
        return (*found, *self._java.nodes(self._instances, ask_java))

    def _one_list(self) -> tuple[Any, ...]:
        service = next(iter(self._services.values()))
        rows = tuple(fields.instance(row) for row in service.call("GetSystemInstanceList", timeout=0))
        self._instances.learn(rows)
        return rows

    def _alerts(self) -> tuple[Any, ...]:
        found = self._instances.each(
            "GetAlertTree", lambda number: fields.alerts(list(self._call(number, "GetAlertTree")))
        )
        return tuple(row for _, rows in found for row in rows)

    def _identity(self) -> tuple[SystemIdentity, ...]:
        service = next(iter(self._services.values()))
        said = {
            fields.text(row, "property"): fields.text(row, "value") for row in service.call("GetInstanceProperties")
        }
        versions = service.call("GetVersionInfo")
        kernel = fields.text(versions[0], "versioninfo") if versions else ""
        sid = said.get("SAPSYSTEMNAME", "")
        if sid and sid != self._sid:
            raise UnexpectedReply(f"the system calls itself {sid}, not {self._sid}", where=service.where)
        return (SystemIdentity(sid=sid or self._sid, host=said.get("SAPLOCALHOST", ""), kernel=kernel),)

    def close(self) -> None:
        for service in self._services.values():
            service.close()


def clock_of(processes: Sequence[Process]) -> datetime | None:
    """The system's clock, worked out from a process that reports its start time and its age."""
    told = [process for process in processes if process.started is not None and process.elapsed_s is not None]
    if not told or told[0].started is None or told[0].elapsed_s is None:
        return None
    return told[0].started + timedelta(seconds=told[0].elapsed_s)


class FunctionsWay:
    """Function modules, by RFC or by SOAP."""

    questions = frozenset(
        [
            "work_processes",
            "jobs",
            "job_list",
            "job_logs",
            "history",
            "users",
            "dumps",
            "updates",
            "identity",
            "instances",
            "lsconf",
        ]
    )

    def __init__(self, name: str, functions: Functions, *, history_days: int, lsconf_command: str) -> None:
        self.name = name
        self._functions, self._days, self._lsconf = functions, history_days, lsconf_command

    @property
    def session(self) -> str:
        return self._functions.caller.session

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        """See `SapSource.ask`."""
        of = self._functions
        asked: dict[str, Callable[[], tuple[Any, ...]]] = {
            "work_processes": of.work_processes,
            "jobs": lambda: of.jobs(window.begin, window.now),
            "job_list": lambda: of.job_list(window.now),
            "job_logs": lambda: of.job_logs(window.begin, window.now),
            "history": lambda: of.history(window.now, self._days),
            "users": of.users,
            "dumps": lambda: of.dumps(window.begin),
            "updates": of.updates,
            "identity": lambda: (of.identity(),),
            "instances": of.instances,
            "lsconf": lambda: read_lsconf(of.host_command(self._lsconf)),
        }
        rows = asked[question]()
        return rows, f"{self.name}, {of.how}" if question == "jobs" and of.how else self.name

    def server_time(self) -> datetime | None:
        return None

    @property
    def missing(self) -> str:
        return ""

    def close(self) -> None:
        self._functions.caller.close()


def utc_now(wall_ns: int) -> datetime:
    """The observer's time of day, UTC, without a zone: to be held against a system's clock."""
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
