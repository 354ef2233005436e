"""One SAP system, asked by whichever way in answers.

Every question has an order of ways, best first (`PREFERRED`). A way that does not answer is passed over and tried again
later; every answer names its source, and a question that none answers has the reason of each. ``System.ask`` never
raises for what a machine does.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lpmkit.errors import CommandRefused, LoginRefused, LpmError, NoAnswer, NotPermitted, UnexpectedReply, UsageError
from lpmkit.json_values import JsonObject
from lpmkit.sap.commands_way import CommandsWay
from lpmkit.sap.functions import Functions
from lpmkit.sap.load import Load
from lpmkit.sap.lsconf import SERIAL, head_of
from lpmkit.sap.model import Missed, SapSnapshot, SystemIdentity
from lpmkit.sap.observation import MissingReason, SapObservation
from lpmkit.sap.rfc import Caller, RfcCaller, logon
from lpmkit.sap.sources import FunctionsWay, QueryWindow, SapSource, WebServiceWay, utc_now
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.ssh.client import SshSession, route
from lpmkit.ssh.refusals import Accounts, LogonNotTried
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Transcript
from lpmkit.timeline import Clock

_FUNCTIONS_FIRST = ("rfc", "soap_rfc", "webservice", "commands")
_SERVICE_FIRST = ("webservice", "rfc", "soap_rfc", "commands")
#: The sources of each question, the most complete first.
PREFERRED: Mapping[str, tuple[str, ...]] = {
    "identity": _FUNCTIONS_FIRST,
    "instances": _SERVICE_FIRST,
    "processes": ("webservice", "commands"),
    "work_processes": _SERVICE_FIRST,
    "queues": ("webservice", "commands"),
    "jobs": _FUNCTIONS_FIRST,
    "job_list": ("rfc", "soap_rfc"),
    "job_logs": ("rfc", "soap_rfc"),
    "history": ("rfc", "soap_rfc"),
    "users": ("rfc", "soap_rfc", "commands"),
    "system_log": ("webservice", "commands"),
    "dumps": ("rfc", "soap_rfc"),
    "locks": ("webservice", "commands"),
    "enqueue": ("webservice", "commands"),
    "updates": ("rfc", "soap_rfc"),
    "alerts": ("webservice", "commands"),
    "licences": ("commands",),
    "hardware_key": ("commands",),
    "machine_id": ("commands",),
    "lsconf": ("rfc", "soap_rfc", "commands"),
    "entitlement": ("commands",),
    "profiles": ("commands",),
}
#: The parts of a snapshot, in the order of asking: the identity first, because it has the system's clock.
SNAPSHOT = tuple(question for question in PREFERRED if question not in ("system_log", "dumps", "job_list", "job_logs"))
#: The questions that are asked again after a move; the rest is what the probes saw last.
AFTER = ("identity", "instances", "locks", "licences", "hardware_key", "machine_id", "lsconf", "entitlement")
_ONE_VALUE = ("identity", "hardware_key", "machine_id", "entitlement")
#: Seconds before a failed source is asked again; doubled each time.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
#: The time that a question asks for on either side of what it wants, where the system's clock is not known.
ANY_ZONE = timedelta(hours=14)
_QUARTER_S, _HOUR_S = 900, 3600
#: A clock that is printed in whole seconds, and by a reply that took up to two, is right within this.
_RIGHT_WITHIN_S = 2
#: The time in a reply that took longer may be of any moment of it.
_LONGEST_REPLY_NS = 2_000_000_000


@dataclass(slots=True)
class _Pause:
    until_ns: int
    length_s: float
    why: str


class System:
    """A SAP system and its ways in. Nothing is sent before the first question."""

    def __init__(
        self,
        sid: str,
        settings: SapSystemSettings,
        ways: Sequence[SapSource],
        load: Load,
        *,
        unusable: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        hidden: Sequence[str] = (),
        accounts: Accounts | None = None,
        account_of: Mapping[str, str] | None = None,
    ) -> None:
        self._hidden = hidden
        #: The accounts of this process that refused our credentials, and the account of each way; a way without one
        #: sends no credentials.
        self.accounts = accounts or Accounts()
        self._account_of = dict(account_of or {})
        self._denied: dict[tuple[str, str], str] = {}
        self.sid, self.settings, self.load = sid, settings, load
        self.ways = {way.name: way for way in ways}
        self.unusable = dict(unusable or {})
        #: The offset of the system's zone from UTC, and of the clock that it showed last.
        self._zone_s: int | None = None
        self._told_s: int | None = None
        self._dialog: set[str] = set()  # the watched instances that people log on to
        self._clock = clock or Clock()
        self._pauses: dict[tuple[str, str], _Pause] = {}

    # -- asking -----------------------------------------------------------------------------------------------------

    def ask_by(self, name: str, question: str) -> SapObservation:
        """Ask one question by one way only."""
        return self._ask((name,), question, None)

    def ask(self, question: str, since_wall_ns: int | None = None) -> SapObservation:
        """Ask one question; the answer, or the reason why there is none.

        ``since_wall_ns`` is where its time begins, on the observer's clock (default: now).
        """
        names = PREFERRED[question]
        if question == "users" and len(self._dialog) > 1:
            names = ("commands", "rfc", "soap_rfc")  # function modules list the sessions of one server
        return self._ask(names, question, since_wall_ns)

    def _ask(self, names: Sequence[str], question: str, since_wall_ns: int | None) -> SapObservation:
        reasons = []
        asked, wall = self._clock.mono_ns(), self._clock.wall_ns()
        for name in names:
            why = self._why_not(name, question)
            if why is not None:
                if name in self.ways or name in self.unusable:
                    reasons.append(f"{name}: {why}")
                continue
            way = self.ways[name]
            asked, wall = self._clock.mono_ns(), self._clock.wall_ns()
            try:
                with self._logging_on(name):
                    rows, how = way.ask(question, self._window(since_wall_ns or wall, wall))
            except LpmError as error:
                self._failed(name, question, error)
                reasons.append(f"{name}: {self._blotted(str(error))}")
                continue
            self._went_well(name, question)
            answered = self._clock.mono_ns()
            told = way.server_time() if answered - asked <= _LONGEST_REPLY_NS else None
            self._learn(question, rows, told, wall)
            return SapObservation(
                system=self.sid,
                question=question,
                way=how,
                asked_ns=asked,
                answered_ns=answered,
                wall_ns=wall,
                rows=rows,
                trouble=self._blotted(way.missing),
                session=way.session,
                zone_offset_s=self.offset_s(wall),
            )
        reason = MissingReason.NOT_ANSWERED
        if not self.is_configured(question):
            reason = MissingReason.NOT_CONFIGURED
            reasons = [
                f"no SAP interface in the site file provides it ({', '.join(PREFERRED[question])} would)",
                *reasons,
            ]
        trouble = "; ".join(reasons)
        return SapObservation(self.sid, question, "", asked, self._clock.mono_ns(), wall, None, trouble, reason=reason)

    def _blotted(self, text: str) -> str:
        """A machine's text without the passwords that it may have sent back: it goes into the run's folder."""
        for one in self._hidden:
            text = text.replace(one, "…")
        return text

    @property
    def refused(self) -> dict[str, str]:
        """The accounts that refused our credentials, with the answer; the passwords are taken out of it."""
        return {account: self._blotted(answered) for account, answered in self.accounts.all_refused().items()}

    def is_configured(self, question: str) -> bool:
        """True if the site file names an interface that could answer."""
        return any(
            name in self.unusable or (name in self.ways and question in self.ways[name].questions)
            for name in PREFERRED[question]
        )

    def _why_not(self, name: str, question: str) -> str | None:
        if name in self.unusable:
            return self.unusable[name]
        way = self.ways.get(name)
        if way is None or question not in way.questions:
            return "not provided by it"
        refusal = self.accounts.refusal(self._account_of.get(name, ""))
        if refusal is not None:
            return self._blotted(str(LogonNotTried(self._account_of[name], refusal)))
        if (name, question) in self._denied:
            return self._denied[(name, question)]
        for key in ((name, ""), (name, question)):
            pause = self._pauses.get(key)
            if pause is not None and self._clock.mono_ns() < pause.until_ns:
                return pause.why
        return None

    def _logging_on(self, name: str) -> AbstractContextManager[None]:
        """Hold back other logons of this account until one has worked; nothing where no credentials are sent."""
        account = self._account_of.get(name)
        return self.accounts.attempt(account) if account else nullcontext()

    def _failed(self, name: str, question: str, error: LpmError) -> None:
        """Leave the way alone: for good where it denies, for a while where it failed."""
        if isinstance(error, LogonNotTried):
            return
        if isinstance(error, NotPermitted) or (isinstance(error, LoginRefused) and name not in self._account_of):
            self._denied[(name, question)] = self._blotted(f"not asked again: {error}")
            return
        # one command that hangs does not mean that the next one will
        of_question = isinstance(error, CommandRefused | UnexpectedReply) or (
            name == "commands" and isinstance(error, NoAnswer)
        )
        key = (name, question if of_question else "")
        before = self._pauses.get(key)
        length = min(LONGEST_PAUSE_S, 2 * before.length_s if before else FIRST_PAUSE_S)
        if isinstance(error, UsageError):
            length = LONGEST_PAUSE_S
        self._pauses[key] = _Pause(self._clock.mono_ns() + int(length * 1e9), length, self._blotted(str(error)))

    def _went_well(self, name: str, question: str) -> None:
        self._pauses.pop((name, ""), None)
        self._pauses.pop((name, question), None)

    # -- the system's clock -----------------------------------------------------------------------------------------

    def offset_s(self, wall_ns: int) -> int | None:
        """The offset of the system's clock from UTC, its error included: of the site file's zone or the system's own,
        and by the clock that it showed last.

        That clock may be worked out from start times, which are an hour off where summer time began or ended since: it
        corrects a zone that is known, and does not replace it.
        """
        zone_s = self._zone_s
        if self.settings.zone:
            offset = datetime.fromtimestamp(wall_ns / 1e9, tz=ZoneInfo(self.settings.zone)).utcoffset()
            zone_s = int(offset.total_seconds()) if offset is not None else None
        if zone_s is None or self._told_s is None:
            return self._told_s if zone_s is None else zone_s
        error_s = self._told_s - zone_s
        return zone_s + error_s - round(error_s / _HOUR_S) * _HOUR_S

    def _window(self, since_wall_ns: int, now_wall_ns: int) -> QueryWindow:
        offset = self.offset_s(now_wall_ns)
        if offset is None:
            return QueryWindow(utc_now(since_wall_ns) - ANY_ZONE, utc_now(now_wall_ns) + ANY_ZONE)
        local = timedelta(seconds=offset)
        return QueryWindow(utc_now(since_wall_ns) + local, utc_now(now_wall_ns) + local)

    def _learn(self, question: str, rows: Sequence[Any], told: datetime | None, wall_ns: int) -> None:
        if question == "instances":
            mine = [row for row in rows if row.number in self.settings.instances]
            self._dialog = {row.number for row in mine if "ABAP" in row.features or (row.name and not row.features)}
        if question == "identity" and isinstance(rows[0], SystemIdentity) and rows[0].zone_offset_s is not None:
            self._zone_s = rows[0].zone_offset_s
        if told is not None:
            apart_s = round((told - utc_now(wall_ns)).total_seconds())
            nearest_s = round(apart_s / _QUARTER_S) * _QUARTER_S
            self._told_s = nearest_s if abs(apart_s - nearest_s) <= _RIGHT_WITHIN_S else apart_s

    # -- everything -------------------------------------------------------------------------------------------------

    def snapshot(self, questions: Sequence[str] = SNAPSHOT) -> SapSnapshot:
        """Ask everything once. Unanswered questions are in ``missed``."""
        began = self._clock.wall_ns()
        before = dict(self.load.counts)
        found: JsonObject = {}
        ways: dict[str, str] = {}
        missed: list[Missed] = []
        for question in questions:
            said = self.ask(question, began)
            if said.rows is None:
                missed.append(Missed(question, said.trouble, said.reason is not MissingReason.NOT_CONFIGURED))
                continue
            if said.trouble:
                missed.append(Missed(question, said.trouble))
            ways[question] = said.way
            found[question] = said.rows[0] if question in _ONE_VALUE else said.rows
        requests = {name: count - before.get(name, 0) for name, count in self.load.counts.items()}
        return SapSnapshot(
            system=self.sid,
            wall_ns=began,
            ways=ways,
            missed=tuple(missed),
            requests=requests,
            zone_offset_s=self.offset_s(began),
            machine_serial=head_of(found["lsconf"]).get(SERIAL) if "lsconf" in found else None,
            hardware_keys=dict(self.settings.hardware_keys),
            keys_from=dict.fromkeys(self.settings.hardware_keys, "the site file"),
            slo=self.settings.slo.model_dump(),
            refused=self.refused,
            **found,
        )

    def close(self) -> None:
        """Close every way."""
        for way in self.ways.values():
            way.close()


@dataclass(frozen=True, slots=True)
class _Opening:
    """The parts of which the interfaces of one system are made; each method makes the interface of its name.

    Nothing is sent by that. An interface loads its libraries when it is made: they take a tenth of a second, and
    most systems are asked by one or two interfaces.
    """

    sid: str
    settings: SapSystemSettings
    host: str
    ssh_config: Path | None
    secrets: Secrets
    transcript: Transcript | None
    load: Load
    clock: Clock | None
    #: Passwords that were used, in every form in which they go over a wire.
    hidden: list[str]
    #: The account of each way that sends credentials.
    account_of: dict[str, str]

    def webservice(self) -> SapSource:
        from lpmkit.sap.webservice import start_service, start_service_through  # noqa: PLC0415 - as above

        web = self.settings.webservice
        assert web is not None
        count = self.load.taking("webservice")
        if web.through_ssh:
            session = self._login("webservice")
            return WebServiceWay(
                self.sid,
                {
                    number: start_service_through(session, number, timeout_s=web.timeout_s, count=count)
                    for number in self.settings.instances
                },
            )
        address, password = self._address(web.host), self._secret(web.password, web.user)
        if web.user:
            self.account_of["webservice"] = f"{web.user} of SAPControl at {address}"
        return WebServiceWay(
            self.sid,
            {
                number: start_service(
                    address,
                    web.ports.get(number, int(f"5{number}{14 if web.tls else 13}")),
                    tls=web.tls,
                    user=web.user,
                    password=password,
                    ca_file=web.ca_file,
                    timeout_s=web.timeout_s,
                    count=count,
                )
                for number in self.settings.instances
            },
            anonymous=not web.user,
        )

    def commands(self) -> SapSource:
        login = self.settings.commands
        assert login is not None
        return CommandsWay(
            self.sid,
            self._login("commands"),
            self.settings.instances,
            profile=login.profile,
            timeout_s=login.timeout_s,
            count=self.load.taking("commands"),
            clock=self.clock,
        )

    def rfc(self) -> SapSource:
        login = self.settings.rfc
        assert login is not None
        parameters = logon(
            host=self._address(login.host),
            number=login.number or self.settings.instances[0],
            client=login.client,
            user=login.user,
            password=self._secret(login.password, login.user) or "",
            router=login.router,
        )
        where = f"rfc {parameters['ashost']} {parameters['sysnr']}"
        self.account_of["rfc"] = f"{login.user.upper()} in client {login.client} of {self.sid}"
        caller = RfcCaller(where, parameters, timeout_s=login.timeout_s, count=self.load.taking("rfc"))
        return self._functions("rfc", caller)

    def soap_rfc(self) -> SapSource:
        from lpmkit.sap.soaprfc import SoapCaller  # noqa: PLC0415 - as above

        login = self.settings.soap_rfc
        assert login is not None
        self.account_of["soap_rfc"] = f"{login.user.upper()} in client {login.client} of {self.sid}"
        caller = SoapCaller(
            login.url,
            client=login.client,
            user=login.user,
            password=self._secret(login.password, login.user) or "",
            ca_file=login.ca_file,
            timeout_s=login.timeout_s,
            count=self.load.taking("soap_rfc"),
        )
        return self._functions("soap_rfc", caller)

    def _functions(self, name: str, caller: Caller) -> SapSource:
        days, command = self.settings.history_days, self.settings.lsconf_command
        return FunctionsWay(name, Functions(caller), history_days=days, lsconf_command=command)

    def _login(self, name: str) -> SshSession:
        login = self.settings.commands
        if login is None:
            raise UsageError("through_ssh needs `commands`, whose login it uses", where=self.sid)
        password = self.secrets.get(login.password, login.host)
        way = route(login.host, self.ssh_config)
        self.account_of[name] = f"{way.user}@{login.host}"
        return SshSession(way, password=password, transcript=self.transcript)

    def _secret(self, reference: str | None, user: str | None = None) -> str | None:
        found = self.secrets.get(reference, f"{self.sid} on {self.host}")
        if found:
            self.hidden.extend([found, base64.b64encode(f"{user or ''}:{found}".encode()).decode("ascii")])
        return found

    def _address(self, given: str) -> str:
        return given or route(self.host, self.ssh_config).hostname


def open_system(
    sid: str,
    settings: SapSystemSettings,
    *,
    host: str,
    ssh_config: Path | None,
    secrets: Secrets,
    transcript: Transcript | None = None,
    clock: Clock | None = None,
    requests_per_minute: int | None = None,
    accounts: Accounts | None = None,
) -> System:
    """The system with the ways that the site file names.

    A way that cannot even be set up (no secret, no pyrfc) is kept with the reason.

    ``accounts`` knows the accounts that refused our credentials before in this run.
    ``requests_per_minute`` is this caller's part of the site file's bound, where others ask at the same time.
    """
    load = Load(requests_per_minute or settings.requests_per_minute, clock)
    opening = _Opening(sid, settings, host, ssh_config, secrets, transcript, load, clock, [], {})
    makers: Mapping[str, Callable[[], SapSource]] = {
        "webservice": opening.webservice,
        "commands": opening.commands,
        "rfc": opening.rfc,
        "soap_rfc": opening.soap_rfc,
    }
    ways: list[SapSource] = []
    unusable: dict[str, str] = {}
    for name, make in makers.items():
        if getattr(settings, name) is None:
            continue
        try:
            ways.append(make())
        except LpmError as error:
            unusable[name] = str(error)
    return System(
        sid,
        settings,
        ways,
        load,
        unusable=unusable,
        clock=clock,
        hidden=opening.hidden,
        accounts=accounts,
        account_of=opening.account_of,
    )
