"""Commands over SSH as a way in to a SAP system: ``sapcontrol``, ``dpmon``, the licence tools, profiles, ``ps``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from lpmkit.control.aix_identity import read_lparstat
from lpmkit.errors import CommandRefused, LpmError, NoAnswer, RemoteError, UnexpectedReply
from lpmkit.sap import dpmon, host, sapcontrol
from lpmkit.sap.instances import INSTANCE_PROPERTIES, JAVA_PROCESSES, Instances, JavaNodes, Owners, sid_of
from lpmkit.sap.lsconf import read_lsconf
from lpmkit.sap.model import InstanceProfile, Process, SystemIdentity, jobs_of
from lpmkit.sap.sources import QueryWindow
from lpmkit.sap.time_outs import read_profile
from lpmkit.ssh.session import Reply, Session
from lpmkit.timeline import Clock

#: Seconds before sapstartsrv is asked again after it hung.
SILENT_NS = 60_000_000_000


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
        self._instances = Instances(numbers)
        self._java = JavaNodes(numbers)
        self._profiles = {numbers[0]: profile} if profile else {}
        self._timeout_s, self._count = timeout_s, count
        self._time: datetime | None = None
        self._programs: dict[str, str] = {}
        self._without_start_service = False
        self._owners = Owners(sid)

    @property
    def questions(self) -> frozenset[str]:
        """The questions that it can answer: fewer where there turned out to be no ``sapcontrol`` (4.7 has none)."""
        return self._ALWAYS if self._without_start_service else self._ALWAYS | self._BY_SERVICE

    def ask(self, question: str, window: QueryWindow) -> tuple[tuple[Any, ...], str]:
        """See `SapSource.ask`."""
        self._time = None
        self._instances.silent = {}
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

    @property
    def missing(self) -> str:
        return self._instances.missing

    # -- sapcontrol ---------------------------------------------------------------------------------------------------

    def _sapcontrol(self, function: str, number: str) -> str:
        """The output of ``sapcontrol``; which system of the host has this number is asked before."""
        self._owners.check(number, lambda: self._owner(number), self._ssh.where)
        return self._called(function, number)

    def _owner(self, number: str) -> str:
        printed = self._called(INSTANCE_PROPERTIES, number)
        return sid_of(sapcontrol.read_answer(printed, INSTANCE_PROPERTIES).rows)

    def _called(self, function: str, number: str) -> str:
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
        """The answer of the start service; of the other source where there is none or it does not answer."""
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
        """The values that the profiles of each instance set: its own, over the default profile beside it."""
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
    """True if the shell found no such program: 127, or 126 for one that may not be run."""
    return reply.status in (126, 127)
