"""The ways in to one SAP system: each answers some questions, in the values of the model, or raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lpmkit.control.aix_identity import read_lparstat
from lpmkit.errors import CommandRefused, LpmError, NoAnswer, RemoteError, UnexpectedReply
from lpmkit.json_values import JsonMapping
from lpmkit.sap import dpmon, fields, host, sapcontrol
from lpmkit.sap.functions import Functions
from lpmkit.sap.lsconf import read_lsconf
from lpmkit.sap.model import Instance, InstanceProfile, Process, SystemIdentity, jobs_of
from lpmkit.sap.time_outs import read_profile
from lpmkit.ssh.session import Reply, Session
from lpmkit.timeline import Clock

if TYPE_CHECKING:
    from lpmkit.sap.webservice import StartService

Value = TypeVar("Value")
#: Seconds before sapstartsrv is asked again after it hung.
SILENT_NS = 60_000_000_000
#: An instance that refused a question which it never answered is asked it again after this time: it may have been
#: starting.
REFUSED_NS = 900_000_000_000


#: The features of which an instance needs one to answer a function (`SAPCONTROL-WSDL`). The lock table is kept by an
#: enqueue server, or by a work process of a central instance.
ANSWERED_BY: Mapping[str, tuple[str, ...]] = {
    "ABAPGetWPTable": ("ABAP",),
    "GetQueueStatistic": ("ABAP",),
    "ABAPReadSyslog": ("ABAP",),
    "GetAlertTree": ("ABAP",),
    "dpmon": ("ABAP",),
    "users": ("ABAP",),
    "EnqGetLockTable": ("ENQUE", "ABAP"),
    "EnqGetStatistic": ("ENQUE", "ABAP"),
}
JAVA, JAVA_PROCESSES = "J2EE", "J2EEGetProcessList"


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

    def close(self) -> None: ...


class _Instances:
    """Asks every instance that can answer.

    One that refused a question and never answered it (central services have no work processes) is left alone for long:
    a start service that is asked for what it has not got, again and again, was seen to malfunction."""

    def __init__(self, numbers: Sequence[str], clock: Clock | None = None) -> None:
        self._numbers = tuple(numbers)
        self._clock = clock or Clock()
        self._features: dict[str, frozenset[str]] = {}
        self._answering: set[tuple[str, str]] = set()
        #: Refusals: until when the question is not asked again, and the answer.
        self._refused: dict[tuple[str, str], tuple[int, LpmError]] = {}

    def learn(self, rows: Sequence[Instance]) -> None:
        """Take the features of each instance, as the start service lists them."""
        self._features |= {row.number.zfill(2): frozenset(map(str.upper, row.features)) for row in rows if row.features}

    def has(self, number: str, feature: str) -> bool:
        """True where an instance is known to have a feature."""
        return feature in self._features.get(number, ())

    def _may_answer(self, question: str, number: str) -> bool:
        """False where the features of an instance leave no answer; true where they are not known."""
        needed, there = ANSWERED_BY.get(question), self._features.get(number)
        return needed is None or there is None or not there.isdisjoint(needed)

    def each(self, question: str, ask: Callable[[str], tuple[Value, ...]]) -> list[tuple[str, tuple[Value, ...]]]:
        """The answers by instance number. Raises what the last instance raised where none answers."""
        found: list[tuple[str, tuple[Value, ...]]] = []
        trouble: LpmError | None = None
        able = [number for number in self._numbers if self._may_answer(question, number)]
        if not able:
            needed = " or ".join(ANSWERED_BY[question])
            raise CommandRefused(f"no watched instance has {needed}, which {question} needs", status=1)
        for number in able:
            key = (question, number)
            until, refusal = self._refused.get(key, (0, None))
            if refusal is not None and self._clock.mono_ns() < until:
                trouble = refusal
                continue
            try:
                found.append((number, ask(number)))
                self._answering.add(key)
                self._refused.pop(key, None)
            except (CommandRefused, UnexpectedReply) as error:
                if isinstance(error, CommandRefused) and key not in self._answering:
                    self._refused[key] = (self._clock.mono_ns() + REFUSED_NS, error)
                if key in self._answering or len(able) == 1:
                    raise
                trouble = error
        if not found and trouble is not None:
            raise trouble
        return found

    def mark(self, number: str) -> str:
        return number if len(self._numbers) > 1 else ""


class _JavaNodes:
    """The Java nodes of instances that have any, asked beside their processes: ``jstart`` lives on while a node of its
    own is started again.
    """

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = tuple(numbers)
        #: Each instance by itself, so that the refusal of one is remembered and keeps no other from being asked.
        self._each = {number: _Instances([number]) for number in numbers}

    def nodes(self, instances: _Instances, ask: Callable[[str], tuple[Process, ...]]) -> tuple[Process, ...]:
        """The nodes of every instance that answers; the judge misses those of one that does not."""
        found: list[Process] = []
        for number in self._numbers:
            if not instances.has(number, JAVA):
                continue
            try:
                found += [row for _, rows in self._each[number].each(JAVA_PROCESSES, ask) for row in rows]
            except (CommandRefused, UnexpectedReply):
                continue
        return tuple(found)


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

    def __init__(self, sid: str, services: Mapping[str, StartService]) -> None:
        self._sid, self._services = sid, services
        self._instances = _Instances(tuple(services))
        self._java = _JavaNodes(tuple(services))
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
        return asked[question](), self.name

    def server_time(self) -> datetime | None:
        return self._time

    def _rows(self, function: str, make: Callable[[JsonMapping], Value], **arguments: Any) -> tuple[Value, ...]:
        def ask(number: str) -> tuple[Value, ...]:
            return tuple(make(row) for row in self._services[number].call(function, **arguments))

        return tuple(row for _, rows in self._instances.each(function, ask) for row in rows)

    def _work_processes(self) -> tuple[Any, ...]:
        def ask(number: str) -> tuple[Any, ...]:
            rows = self._services[number].call("ABAPGetWPTable")
            return tuple(replace(fields.work_process(row), server=self._instances.mark(number)) for row in rows)

        return tuple(row for _, rows in self._instances.each("ABAPGetWPTable", ask) for row in rows)

    def _processes(self) -> tuple[Process, ...]:
        def ask(number: str) -> tuple[Process, ...]:
            rows = self._services[number].call("GetProcessList")
            return tuple(replace(fields.process(row), instance=number) for row in rows)

        def ask_java(number: str) -> tuple[Process, ...]:
            rows = self._services[number].call(JAVA_PROCESSES)
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
            "GetAlertTree", lambda number: fields.alerts(self._services[number].call("GetAlertTree"))
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


class CommandsWay:
    """Commands over SSH: ``sapcontrol``; ``dpmon`` where no start service answers; names in ``ps`` where there is
    neither.
    """

    name = "commands"
    session = ""
    #: Questions that only ``sapcontrol`` can answer.
    _BY_SERVICE = frozenset(["queues", "system_log", "locks", "enqueue", "instances", "alerts"])
    _ALWAYS = frozenset(
        [
            "work_processes",
            "jobs",
            "processes",
            "identity",
            "users",
            "licences",
            "hardware_key",
            "machine_id",
            "lsconf",
            "entitlement",
            "profiles",
        ]
    )

    def __init__(
        self,
        sid: str,
        session: Session,
        numbers: Sequence[str],
        *,
        profile: str = "",
        timeout_s: float = 20.0,
        count: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._silent_until = 0
        self._sid, self._ssh, self._numbers = sid, session, tuple(numbers)
        self._instances = _Instances(numbers)
        self._java = _JavaNodes(numbers)
        self._profiles = {numbers[0]: profile} if profile else {}
        self._timeout_s, self._count = timeout_s, count
        self._time: datetime | None = None
        self._programs: dict[str, str] = {}
        self._without_start_service = False

    @property
    def questions(self) -> frozenset[str]:
        """The questions that it can answer: fewer where there turned out to be no ``sapcontrol`` (4.7 has none)."""
        return self._ALWAYS if self._without_start_service else self._ALWAYS | self._BY_SERVICE

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        """See `SapSource.ask`."""
        self._time = None
        plain: dict[str, tuple[str, Callable[[str], tuple[Any, ...]]]] = {
            "queues": ("GetQueueStatistic", sapcontrol.read_queues),
            "system_log": ("ABAPReadSyslog", sapcontrol.read_system_log),
            "locks": ("EnqGetLockTable", sapcontrol.read_locks),
            "enqueue": ("EnqGetStatistic", sapcontrol.read_enqueue),
            "alerts": ("GetAlertTree", sapcontrol.read_alerts),
            "instances": ("GetSystemInstanceList", sapcontrol.read_instances),
        }
        if question in plain:
            function, read = plain[question]
            found = self._instances.each(function, lambda number: read(self._sapcontrol(function, number)))
            rows = [row for _, each in found for row in each]
            if question == "instances":
                self._instances.learn(rows)
                rows = list(dict.fromkeys(rows))
            return tuple(rows), "sapcontrol"
        asked: dict[str, Callable[[], tuple[tuple[Any, ...], str]]] = {
            "work_processes": self._work_processes,
            "jobs": self._jobs,
            "processes": lambda: self._processes(window),
            "users": self._users,
            "identity": self._identity,
            "licences": self._licences,
            "hardware_key": self._hardware_key,
            "machine_id": lambda: ((self._run(["uname", "-m"]).checked().output.strip(),), "uname"),
            "lsconf": lambda: (read_lsconf(self._run(["lsconf"]).checked().output), "lsconf"),
            "entitlement": lambda: ((self._entitlement(),), "lparstat -i"),
            "profiles": lambda: (tuple(self._profiles_read()), "the profile files"),
        }
        return asked[question]()

    def server_time(self) -> datetime | None:
        return self._time

    # -- sapcontrol ---------------------------------------------------------------------------------------------------

    def _sapcontrol(self, function: str, number: str) -> str:
        places = ("sapcontrol", f"/usr/sap/{self._sid}/SYS/exe/run/sapcontrol", "/usr/sap/hostctrl/exe/sapcontrol")
        if self._clock.mono_ns() < self._silent_until:
            raise NoAnswer(
                "sapcontrol was not answered a moment ago and is left alone for a minute", where=self._ssh.where
            )
        try:
            reply = self._first(places, ["-nr", number, "-format", "list", "-function", function])
        except CommandRefused:
            self._without_start_service = True  # what is not there will not be there next time either
            raise
        except NoAnswer:
            # the service behind it hangs, not the login: what needs no sapcontrol is not kept waiting
            self._silent_until = self._clock.mono_ns() + SILENT_NS
            raise
        answer = sapcontrol.read_answer(reply.output, function)  # raises what FAIL says, whatever the exit status
        if reply.status not in (sapcontrol.ANSWERED if function == "GetProcessList" else {0}):
            reply.checked()
        self._time = answer.at or self._time
        return reply.output

    def _first(self, places: Sequence[str], arguments: Sequence[str]) -> Reply:
        """Run the first of several programs that is there; which one that is, is remembered."""
        known = self._programs.get(places[0])
        reply = None
        for program in (known,) if known else places:
            reply = self._run([program, *arguments])
            if not _is_missing(reply):
                self._programs[places[0]] = program
                return reply
        assert reply is not None
        self._programs.pop(places[0], None)
        raise CommandRefused(
            f"there is no {places[0]}",
            status=reply.status or 127,
            where=self._ssh.where,
            answered=reply.text or None,
            next_step=f"Log in as {self._sid.lower()}adm, whose path has it, or name another way.",
        )

    def _run(self, arguments: Sequence[str], stdin: str = "") -> Reply:
        self._count()
        reply = self._ssh.run(arguments, timeout_s=self._timeout_s, stdin=stdin)
        return reply if reply.status is not None else reply.checked()

    # -- what has a second source --------------------------------------------------------------------------------------

    def _work_processes(self) -> tuple[tuple[Any, ...], str]:
        def by_sapcontrol(number: str) -> tuple[Any, ...]:
            rows = sapcontrol.read_work_processes(self._sapcontrol("ABAPGetWPTable", number))
            return tuple(replace(row, server=self._instances.mark(number)) for row in rows)

        def by_dpmon(number: str) -> tuple[Any, ...]:
            rows = dpmon.read_work_processes(self._dpmon(dpmon.WORK_PROCESSES, number))
            return tuple(replace(row, server=self._instances.mark(number)) for row in rows)

        return self._either("ABAPGetWPTable", by_sapcontrol, "dpmon", by_dpmon)

    def _jobs(self) -> tuple[tuple[Any, ...], str]:
        rows, how = self._work_processes()
        return jobs_of(rows), how

    def _processes(self, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        def by_sapcontrol(number: str) -> tuple[Process, ...]:
            rows = sapcontrol.read_processes(self._sapcontrol("GetProcessList", number))
            return tuple(replace(row, instance=number) for row in rows)

        def java(number: str) -> tuple[Process, ...]:
            rows = sapcontrol.read_java_processes(self._sapcontrol(JAVA_PROCESSES, number))
            return tuple(replace(row, instance=number) for row in rows)

        def by_ps(number: str) -> tuple[Process, ...]:
            said = self._run(["ps", "-e", "-o", "pid,etime,args"]).checked().output
            found = [one for one in host.read_processes(said, self._sid, window.now) if one.name.endswith(number)]
            if not found:
                raise UnexpectedReply(f"ps shows no process of {self._sid} {number}", where=self._ssh.where)
            return tuple(replace(one, instance=number) for one in found)

        found, how = self._either("GetProcessList", by_sapcontrol, "ps", by_ps)
        return (*found, *self._java.nodes(self._instances, java)) if how == "sapcontrol" else found, how

    def _either(
        self,
        function: str,
        by_sapcontrol: Callable[[str], tuple[Any, ...]],
        other: str,
        by_other: Callable[[str], tuple[Any, ...]],
    ) -> tuple[tuple[Any, ...], str]:
        """By the start service; by the other source where there is none or it does not answer."""
        first: LpmError | None = None
        if not self._without_start_service:
            try:
                found = self._instances.each(function, by_sapcontrol)
                return tuple(row for _, rows in found for row in rows), "sapcontrol"
            except (CommandRefused, UnexpectedReply, NoAnswer) as error:
                first = error
        try:
            found = self._instances.each(other, by_other)
        except RemoteError as error:
            if first is not None:
                error.what = f"{error.what}; and by sapcontrol: {first}"
            raise
        return tuple(row for _, rows in found for row in rows), other

    def _dpmon(self, key: str, number: str) -> str:
        profile = f"pf={self._profile(number)}"
        places = ("dpmon", f"/usr/sap/{self._sid}/SYS/exe/run/dpmon")
        known = self._programs.get("dpmon")
        for program in (known,) if known else places:
            reply = self._run([program, profile, key], stdin="q\n")
            if not _is_missing(reply):
                self._programs["dpmon"] = program
                return reply.output
        raise CommandRefused("there is no dpmon", status=127, where=self._ssh.where, answered=reply.text or None)

    def _users(self) -> tuple[tuple[Any, ...], str]:
        found = self._instances.each("users", lambda number: dpmon.read_users(self._dpmon(dpmon.USERS, number)))
        # terminals are the dispatcher's: what two profiles show alike is one
        rows = {
            row: replace(row, server=self._instances.mark(number)) for number, each in reversed(found) for row in each
        }
        return tuple(rows.values()), "dpmon"

    def _profile(self, number: str) -> str:
        """The instance profile: from the site file, else as its processes name it in ``ps``, else what lies where SAP
        puts it.
        """
        if number not in self._profiles:
            said = self._run(["ps", "-e", "-o", "pid,etime,args"]).output
            named = re.search(rf"\bpf=(/\S*/{self._sid}_[A-Z]+{number}_\S+)", said)
            self._profiles[number] = named[1] if named else self._listed_profile(number, said)
        return self._profiles[number]

    def _listed_profile(self, number: str, processes: str) -> str:
        folder = f"/usr/sap/{self._sid}/SYS/profile"
        reply = self._run(["ls", folder])
        pattern = rf"{self._sid}_[A-Z]+{number}_[\w-]+"
        wanted = [name for name in reply.output.split() if re.fullmatch(pattern, name)] if reply.status == 0 else []
        if wanted:
            return f"{folder}/{wanted[0]}"
        instance = re.search(rf"\.sap{self._sid}_([A-Z]+{number})\b", processes)
        if instance is None:
            raise UnexpectedReply(
                f"no instance profile of {number} in {folder}, and no process of it in ps",
                where=self._ssh.where,
                next_step="Name it in the site file: commands.profile",
            )
        name = self._run(["hostname"]).checked().output.strip()
        return f"{folder}/{self._sid}_{instance[1]}_{name}"

    def _profiles_read(self) -> Iterator[InstanceProfile]:
        """What the profiles of each instance set: its own, over the default profile beside it."""
        defaults: dict[str, dict[str, str]] = {}
        for number in self._numbers:
            own = self._profile(number)
            general = f"{own.rpartition('/')[0]}/DEFAULT.PFL"
            if general not in defaults:
                defaults[general] = read_profile(self._run(["cat", general]).checked().output)
            values = read_profile(self._run(["cat", own]).checked().output)
            yield InstanceProfile(number, {**defaults[general], **values}, (own, general))

    def _licences(self) -> tuple[tuple[Any, ...], str]:
        text, tool = self._licence_tool("-show")
        return host.read_licences(text), tool

    def _hardware_key(self) -> tuple[tuple[Any, ...], str]:
        text, tool = self._licence_tool("-get")
        return (host.read_hardware_key(text),), tool

    def _licence_tool(self, option: str) -> tuple[str, str]:
        """The reply and the tool that gave it: ``saplikey``, or ``saplicense`` before 7.00."""
        profile = f"pf={self._profile(self._numbers[0])}"
        exe = f"/usr/sap/{self._sid}/SYS/exe/run"
        try:
            reply, tool = self._first(("saplikey", f"{exe}/saplikey"), [profile, option]), "saplikey"
        except CommandRefused:
            reply, tool = self._first(("saplicense", f"{exe}/saplicense"), [option, profile]), "saplicense"
        return reply.checked().output, tool

    def _entitlement(self) -> float:
        found = read_lparstat(self._run(["lparstat", "-i"]).checked().output).entitled_capacity
        if found is None:
            raise UnexpectedReply("lparstat -i tells no entitled capacity", where=self._ssh.where)
        return found

    def _identity(self) -> tuple[tuple[SystemIdentity, ...], str]:
        exe = f"/usr/sap/{self._sid}/SYS/exe/run"
        reply = self._first(("disp+work", f"{exe}/disp+work"), ["-V"])
        name = self._run(["hostname"]).checked().output.strip()
        return (SystemIdentity(sid=self._sid, host=name, kernel=host.read_disp_work(reply.output)),), "disp+work"

    def close(self) -> None:
        self._ssh.close()


def _is_missing(reply: Reply) -> bool:
    """Tell whether the shell found no such program: 127, or 126 for one that may not be run."""
    return reply.status in (126, 127)


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

    def close(self) -> None:
        self._functions.caller.close()


def utc_now(wall_ns: int) -> datetime:
    """The observer's time of day, UTC, without a zone: to be held against a system's clock."""
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
