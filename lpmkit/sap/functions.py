"""Questions put to function modules: the same for RFC and SOAP-RFC.

Names of modules, parameters and fields are those of `STECHNO`, `SAPDATASHEET`, `SE80` and `LEANX`; what is only
recalled is named in `lpmkit.sap.recalled` and left out where a system does not know it.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from lpmkit.errors import RemoteError, UnexpectedReply
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap import fields as records
from lpmkit.sap.model import (
    Dump,
    Instance,
    Job,
    JobHistory,
    JobLog,
    JobStatus,
    SystemIdentity,
    Update,
    User,
    WorkProcess,
)
from lpmkit.sap.recalled import JOB_STEP_MESSAGE, SNAP_ERROR_BLOCK, XBP_NOTHING_FOUND, XBP_STATUS_FLAGS
from lpmkit.sap.rfc import Caller, Refused

COMPANY = "LPMKIT"
#: OPTIONS-TEXT holds 72 characters, of which 71 can be used (`SYBASE-RFC`, `SAP-HEALTH`).
OPTION_WIDTH = 71
#: Rows of a table beyond this are cut off by the system, and the answer is refused as not whole.
MAX_ROWS = 2000
#: Job logs read at a time, those of the jobs that have run longest; a log of more lines is not read again.
MAX_LOGS, LONGEST_LOG = 8, 5000
_JOB_FIELDS = ("JOBNAME", "JOBCOUNT", "STATUS", "STRTDATE", "STRTTIME", "ENDDATE", "ENDTIME")
_JOB_MORE = (
    "SDLSTRTDT",
    "SDLSTRTTM",
    "SDLUNAME",
    "PERIODIC",
    "STEPCOUNT",
    "REAXSERVER",
    "WPNUMBER",
    "WPPROCID",
    "AUTHCKMAN",
)
_DAY_FORM, _TIME_FORM = "%Y%m%d", "%H%M%S"


class NoInterface(UnexpectedReply):
    """The job interface cannot be used here, now or later."""


def rows_of(answer: JsonMapping, table: str) -> list[JsonObject]:
    """A table of an answer; empty where it is empty or missing. Raises `UnexpectedReply` when it is no table."""
    rows = answer.get(table) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedReply(f"{table} is no table", line=str(rows)[:200])
    return rows


def read_table(
    caller: Caller,
    table: str,
    fields: Sequence[str],
    where: str,
    *,
    optional: Sequence[str] = (),
    most: int = MAX_ROWS,
    whole: bool = True,
) -> list[dict[str, str]]:
    """RFC_READ_TABLE: rows by field name, cut by the offsets that come back.

    The order of the columns is not ours (Basis 7.50 SP23 and later return the table's own), and a delimiter can occur
    in data, so neither is relied upon. A row may hold 512 characters: where it does not fit, or a field is unknown
    there, ``optional`` ones are left out. Raises `UnexpectedReply` where there are ``most`` rows, because the rest was
    cut off, and it is as likely the newest as any; not where the rows need not be ``whole``.
    """
    try:
        answer = _asked_table(caller, table, (*fields, *optional), where, most)
    except Refused as error:
        if not optional or error.key not in ("DATA_BUFFER_EXCEEDED", "FIELD_NOT_VALID"):
            raise
        answer = _asked_table(caller, table, fields, where, most)
    rows = cut_rows(answer)
    if whole and len(rows) >= most:
        raise UnexpectedReply(f"{most} rows of {table} or more; the rest was cut off", where=caller.where)
    return rows


def _asked_table(caller: Caller, table: str, fields: Sequence[str], where: str, most: int) -> JsonMapping:
    return caller.call(
        "RFC_READ_TABLE",
        tables=("DATA",),
        QUERY_TABLE=table,
        DELIMITER="",
        ROWCOUNT=most,
        OPTIONS=[{"TEXT": line} for line in option_lines(where)],
        FIELDS=[{"FIELDNAME": name} for name in fields],
    )


def cut_rows(answer: JsonMapping) -> list[dict[str, str]]:
    """The rows of RFC_READ_TABLE's answer. Raises `UnexpectedReply` when they do not fit their own description."""
    places = []
    for field in rows_of(answer, "FIELDS"):
        offset, length = records.number(field, "OFFSET"), records.number(field, "LENGTH")
        name = records.text(field, "FIELDNAME")
        if not name or length is None or length < 0 or (offset or 0) < 0:
            raise UnexpectedReply("a field without name or length", line=str(field)[:200])
        places.append((name, offset or 0, length))
    rows = rows_of(answer, "DATA")
    if rows and not places:
        raise UnexpectedReply("rows without a description of their fields", line=str(rows[0])[:200])
    return [_cut(str(row.get("WA", "")), places) for row in rows]


def _cut(line: str, places: Sequence[tuple[str, int, int]]) -> dict[str, str]:
    end = max(offset + length for _, offset, length in places)
    if len(line) > end:
        raise UnexpectedReply(f"a row of {len(line)} characters where {end} were described", line=line[:200])
    return {name: line[offset : offset + length].strip() for name, offset, length in places}


def option_lines(where: str) -> list[str]:
    """A WHERE text in lines that fit OPTIONS, cut between words and never inside quotes.

    >>> option_lines("STATUS = 'R'")
    ["STATUS = 'R'"]
    """
    lines: list[str] = []
    for word in re.findall(r"'[^']*'|\S+", where):
        if lines and len(lines[-1]) + 1 + len(word) <= OPTION_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def quoted(value: str) -> str:
    """A literal in a WHERE text; a quote in it is doubled, as ABAP wants it."""
    return "'" + value.replace("'", "''") + "'"


def since(moment: datetime, date: str, time: str) -> str:
    """At or after a moment: the days after it whole, its own day from its second on. (``D >= d AND T >= t`` would lose
    what comes after midnight.)

    >>> since(datetime(2008, 8, 8, 23, 58), "ENDDATE", "ENDTIME")
    "( ( ENDDATE = '20080808' AND ENDTIME >= '235800' ) OR ENDDATE > '20080808' )"
    """
    day, clock = moment.strftime(_DAY_FORM), moment.strftime(_TIME_FORM)
    return f"( ( {date} = '{day}' AND {time} >= '{clock}' ) OR {date} > '{day}' )"


def until(moment: datetime, date: str, time: str) -> str:
    """At or before a moment, and not initial."""
    day, clock = moment.strftime(_DAY_FORM), moment.strftime(_TIME_FORM)
    return f"( ( {date} = '{day}' AND {time} <= '{clock}' ) OR {date} < '{day}' ) AND {date} > '00000000'"


class Functions:
    """The questions, for one caller. ``how`` names the interface that gave the last answer about jobs."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.how = ""
        self._interface: str | None = None  # the session in which the job interface is logged on
        self._no_interface = ""
        self._running: tuple[Job, ...] | None = None
        self._too_long: set[str] = set()
        self._servers: list[str] | None = None

    # -- identity ------------------------------------------------------------------------------------------------------

    def identity(self) -> SystemIdentity:
        """RFC_SYSTEM_INFO: the system's identity, and how far its clock is before UTC."""
        said = self.caller.call("RFC_SYSTEM_INFO").get("RFCSI_EXPORT")
        if not isinstance(said, Mapping):
            raise UnexpectedReply("RFC_SYSTEM_INFO said nothing of the system", line=str(said)[:200])
        zone = records.number(said, "RFCTZONE")
        daylight = 3600 if records.text(said, "RFCDAYST").upper() == "X" else 0
        return SystemIdentity(
            sid=records.text(said, "RFCSYSID"),
            host=records.text(said, "RFCHOST2", "RFCHOST"),
            release=records.text(said, "RFCSAPRL"),
            kernel=records.text(said, "RFCKERNRL"),
            machine=records.text(said, "RFCOPSYS"),
            database=records.text(said, "RFCDBSYS"),
            zone_offset_s=None if zone is None else zone + daylight,
        )

    def servers(self) -> list[str]:
        """TH_SERVER_LIST: the names of the active application servers, ``host_SID_nn``."""
        answer = self.caller.call("TH_SERVER_LIST", tables=("LIST",))
        self._servers = [records.text(row, "NAME") for row in rows_of(answer, "LIST") if records.text(row, "NAME")]
        return self._servers

    def instances(self) -> tuple[Instance, ...]:
        """The same as instances, their numbers out of their names."""
        found = []
        for name in self.servers():
            parts = re.fullmatch(r"(.+)_([A-Z][A-Z0-9]{2})_(\d\d)", name)
            found.append(
                Instance(host=parts[1], number=parts[3], name=name) if parts else Instance(name, "", name=name)
            )
        return tuple(found)

    # -- work processes and users -----------------------------------------------------------------------------------

    def work_processes(self) -> tuple[WorkProcess, ...]:
        """TH_WPINFO of every server that TH_SERVER_LIST named when it was last asked."""
        found: list[WorkProcess] = []
        for server in (self.servers() if self._servers is None else self._servers) or [""]:
            answer = self.caller.call("TH_WPINFO", tables=("WPLIST",), SRVNAME=server, WITH_CPU=b"\x01")
            rows = [{name.lower(): value for name, value in row.items()} for row in rows_of(answer, "WPLIST")]
            found += [records.work_process_of_rfc(row, server) for row in rows]
        if not found:
            raise UnexpectedReply("TH_WPINFO lists no work process, and it ran in one", where=self.caller.where)
        return tuple(found)

    def users(self) -> tuple[User, ...]:
        """TH_USER_LIST: the sessions of the server that answers, without those of programs."""
        answer = self.caller.call("TH_USER_LIST", tables=("USRLIST",))
        return tuple(
            User(
                tid=f"T{tid}" if (tid := records.required(row, "TID")).isdigit() else tid,
                client=records.text(row, "MANDT"),
                name=records.text(row, "BNAME"),
                transaction=records.text(row, "TCODE"),
                terminal=records.text(row, "TERM"),
                last=records.text(row, "ZEIT"),
                type=records.text(row, "TYPE"),
            )
            for row in rows_of(answer, "USRLIST")
            if records.text(row, "BNAME")
            and records.is_of_a_person(records.text(row, "TYPE"), records.text(row, "TERM"))
        )

    # -- jobs -------------------------------------------------------------------------------------------------------

    def jobs(self, begin: datetime, now: datetime, ahead: timedelta = timedelta(hours=1)) -> tuple[Job, ...]:
        """The jobs that run, are ready or being started, begin within ``ahead``, or have ended since ``begin`` (the
        system's own clock).

        By the job interface (XBP) where there is one, else from the table TBTCO. Where a job runs is in the table
        alone.
        """
        # SAP stamps whole seconds: a job that ends in the second of ``begin`` bears a stamp before it
        begin = begin.replace(microsecond=0)
        try:
            found = self._jobs_by_interface(begin, now + ahead)
            self.how = f"XBP {self._version}"
        except RemoteError as error:
            if not isinstance(error, Refused | UnexpectedReply):
                raise
            if isinstance(error, Refused | NoInterface):  # one garbled answer says nothing of the next
                self._no_interface = self._no_interface or str(error)
            self.how = "RFC_READ_TABLE on TBTCO"
            if self._kept_no_session:
                self.how += " (XBP needs a session and the service keeps none)"
            kept = self._with_programs(self._jobs_by_table(begin, now + ahead))
        else:
            kept = self._with_programs(self._with_places(found))
        self._running = tuple(job for job in kept if job.status is JobStatus.RUNNING)
        return kept

    _version = ""
    _kept_no_session = False

    def job_list(self, now: datetime, span: timedelta = timedelta(hours=3)) -> tuple[Job, ...]:
        """Every job that has ended within ``span``, runs, starts within ``span``, or waits for an event or to be
        released: from TBTCO, asked once.
        """
        begin, end = now - span, now + span
        where = (
            "STATUS = 'P' OR STATUS = 'R' OR STATUS = 'Y' OR STATUS = 'Z' OR "
            f"( STATUS = 'S' AND ( SDLSTRTDT = '00000000' OR {until(end, 'SDLSTRTDT', 'SDLSTRTTM')} ) ) OR "
            f"{since(begin, 'ENDDATE', 'ENDTIME')}"
        )
        return tuple(job_of(row) for row in self._table_rows(where))

    def job_logs(self, begin: datetime, now: datetime) -> tuple[JobLog, ...]:
        """The logs of the jobs that run, by the job interface: BAPI_XBP_JOB_JOBLOG_READ.

        Raises `Refused` or `UnexpectedReply` where there is none.

        Each call leaves a line in SAP's own log of the interface (TXMILOGRAW), so few are read, and not often.
        """
        if self._no_interface:
            raise NoInterface(f"job logs need the job interface: {self._no_interface}")
        running = self._running if self._running is not None else self.jobs(begin, now)
        self._log_on_to_interface()
        wanted = sorted((job for job in running if job.status is JobStatus.RUNNING), key=lambda job: job.started or now)
        return tuple(self._job_log(job) for job in wanted[:MAX_LOGS])

    def _job_log(self, job: Job) -> JobLog:
        if job.key in self._too_long:
            return JobLog(job.name, job.count, None)
        answer = self.caller.call(
            "BAPI_XBP_JOB_JOBLOG_READ",
            tables=("JOB_PROTOCOL",),
            JOBNAME=job.name,
            JOBCOUNT=job.count,
            EXTERNAL_USER_NAME=COMPANY,
        )
        _good(answer, "BAPI_XBP_JOB_JOBLOG_READ", self.caller.where)
        found = job_log_of(job.name, job.count, rows_of(answer, "JOB_PROTOCOL"))
        if (found.lines or 0) > LONGEST_LOG:
            self._too_long.add(job.key)
        return found

    def _jobs_by_table(self, begin: datetime, end: datetime) -> list[Job]:
        where = (
            "STATUS = 'R' OR STATUS = 'Y' OR STATUS = 'Z' OR "
            f"( STATUS = 'S' AND {until(end, 'SDLSTRTDT', 'SDLSTRTTM')} ) OR {since(begin, 'ENDDATE', 'ENDTIME')}"
        )
        return [job_of(row) for row in self._table_rows(where)]

    def _table_rows(self, where: str) -> list[dict[str, str]]:
        return read_table(self.caller, "TBTCO", _JOB_FIELDS, where, optional=_JOB_MORE)

    def _with_places(self, jobs: Sequence[Job]) -> list[Job]:
        """The work process of each running job, which the job interface does not report."""
        if not any(job.status is JobStatus.RUNNING and job.pid is None for job in jobs):
            return list(jobs)
        try:
            placed = {job.key: job for job in map(job_of, self._table_rows("STATUS = 'R'"))}
        except Refused:
            return list(jobs)  # the table is not for this user; the job list still is
        return [placed.get(job.key, job) if job.status is JobStatus.RUNNING else job for job in jobs]

    def _with_programs(self, jobs: Sequence[Job]) -> tuple[Job, ...]:
        """The program, client and user of each running job, from the work process that runs it."""
        if not any(job.status is JobStatus.RUNNING for job in jobs):
            return tuple(jobs)
        by_pid = {one.pid: one for one in self.work_processes() if one.type == "BTC" and one.is_busy}
        return tuple(_joined(job, by_pid) for job in jobs)

    def _jobs_by_interface(self, begin: datetime, end: datetime) -> list[Job]:
        if self._no_interface:
            raise NoInterface(self._no_interface)
        self._log_on_to_interface()
        running = self._select(datetime(1980, 1, 1), end, {"READY", "RUNNING"})  # noqa: DTZ001 - the system's own clock
        rest = self._select(begin - timedelta(days=1), end, {"SCHEDUL", "FINISHED", "ABORTED"})
        jobs = {job.key: job for job in (*running, *rest)}
        kept = [job for job in jobs.values() if job.ended is None or job.ended >= begin]
        return [job for job in kept if job.status is not JobStatus.RELEASED or (job.planned and job.planned <= end)]

    def _log_on_to_interface(self) -> None:
        """Log on with the highest version offered.

        The logon lives in the conversation: when that is another one, it is made again.
        """
        if self._interface == self.caller.session and self._interface != "":
            return
        versions = [text for row in self._versions() if (text := records.text(row, "VERSION"))]
        if not versions:
            raise NoInterface("no version of the job interface is offered", where=self.caller.where)
        self._version = max(versions, key=_as_version)
        answer = self.caller.call(
            "BAPI_XMI_LOGON", EXTCOMPANY=COMPANY, EXTPRODUCT=COMPANY, INTERFACE="XBP", VERSION=self._version
        )
        _good(answer, "BAPI_XMI_LOGON", self.caller.where)
        self._interface = self.caller.session

    def _versions(self) -> list[JsonObject]:
        try:
            answer = self.caller.call("SXMI_VERSIONS_GET", tables=("VERSIONS",), INTERFACE="XBP")
        except Refused:
            answer = self.caller.call("BAPI_XMI_GET_VERSIONS", tables=("VERSIONS",), INTERFACE="XBP")
        return [row for row in rows_of(answer, "VERSIONS") if records.text(row, "INTERFACE") in ("XBP", "")]

    def _select(self, begin: datetime, end: datetime, wanted: set[str], *, again: bool = True) -> list[Job]:
        chosen = {
            "JOBNAME": "*",
            "USERNAME": "*",
            "FROM_DATE": begin.strftime(_DAY_FORM),
            "FROM_TIME": begin.strftime(_TIME_FORM),
            "TO_DATE": end.strftime(_DAY_FORM),
            "TO_TIME": end.strftime(_TIME_FORM),
            **{name: "X" if name in wanted else "" for name in XBP_STATUS_FLAGS},
        }
        try:
            answer = self.caller.call(
                "BAPI_XBP_JOB_SELECT",
                tables=("JOB_HEAD", "SELECTED_JOBS"),
                EXTERNAL_USER_NAME=COMPANY,
                JOB_SELECT_PARAM=chosen,
                SELECTION="AL",
            )
        except Refused as error:
            if error.key == "MSG_NO_JOBS_FOUND":
                return []
            raise
        said = _said(answer)
        if any(word in said.lower() for word in XBP_NOTHING_FOUND):
            return []  # an empty result comes as an error (`STECHNO`)
        if said and again and not self.caller.session:
            self._kept_no_session = True
        elif said and again:
            self._interface = None  # whatever it says: a conversation that was reopened is not logged on any more
            self._log_on_to_interface()
            return self._select(begin, end, wanted, again=False)
        _good(answer, "BAPI_XBP_JOB_SELECT", self.caller.where)
        heads = rows_of(answer, "JOB_HEAD")
        if not heads and rows_of(answer, "SELECTED_JOBS"):
            raise NoInterface("it selects jobs and does not tell their status", where=self.caller.where)
        return [job_of(row) for row in heads]

    def history(self, now: datetime, days: int) -> tuple[JobHistory, ...]:
        """The run times of the jobs that finished in the last days, by name."""
        where = f"STATUS = 'F' AND {since(now - timedelta(days=days), 'ENDDATE', 'ENDTIME')}"
        rows = read_table(self.caller, "TBTCO", _JOB_FIELDS, where, whole=False)
        return histories(job_of(row) for row in rows)

    # -- dumps, updates, the host -----------------------------------------------------------------------------------

    def dumps(self, begin: datetime) -> tuple[Dump, ...]:
        """SNAP: short dumps since a moment.

        The error's name is in a field whose layout is recalled; without it the name is empty.
        """
        # One dump is many rows; the first holds what we want.
        where = since(begin, "DATUM", "UZEIT")
        try:
            rows = read_table(
                self.caller,
                "SNAP",
                ("DATUM", "UZEIT", "AHOST", "UNAME", "SEQNO"),
                f"SEQNO = '000' AND {where}",
                optional=("MANDT", "FLIST"),
            )
        except Refused as error:
            if error.key not in ("FIELD_NOT_VALID", "OPTION_NOT_VALID"):
                raise
            rows = read_table(self.caller, "SNAP", ("DATUM", "UZEIT", "AHOST", "UNAME"), where)
        found = [
            Dump(
                at=records.date_and_time(row, "DATUM", "UZEIT"),
                host=row.get("AHOST", ""),
                user=row.get("UNAME", ""),
                client=row.get("MANDT", ""),
                error=dump_error(row.get("FLIST", "")),
            )
            for row in rows
        ]
        return tuple(dict.fromkeys(found))

    def updates(self) -> tuple[Update, ...]:
        """VBHDR: update requests that are not done. VBDATE is one text of 14 characters."""
        rows = read_table(self.caller, "VBHDR", ("VBKEY", "VBDATE", "VBUSR"), "", optional=("VBMANDT", "VBRC"))
        return tuple(
            Update(
                key=records.text(row, "VBKEY"),
                at=records.moment(row.get("VBDATE", "")[:14]),
                user=row.get("VBUSR", ""),
                client=row.get("VBMANDT", ""),
                state=row.get("VBRC", ""),
            )
            for row in rows
        )

    def host_command(self, name: str) -> str:
        """SXPG_COMMAND_EXECUTE: what a command that is defined in SM69 prints on the server.

        Lines are cut at 128 characters and put together again.
        """
        answer = self.caller.call(
            "SXPG_COMMAND_EXECUTE",
            tables=("EXEC_PROTOCOL",),
            COMMANDNAME=name,
            ADDITIONAL_PARAMETERS="",
            STDOUT="X",
            STDERR="X",
            TERMINATIONWAIT="X",
        )
        if records.text(answer, "STATUS") != "O":
            raise UnexpectedReply(f"{name} did not run to its end", line=str(answer.get("EXITCODE"))[:40])
        return joined_lines(rows_of(answer, "EXEC_PROTOCOL"))


def job_log_of(name: str, count: str, rows: Sequence[JsonMapping]) -> JobLog:
    """A job's log: its length, the last step that began, its last line. A line without a text is counted, no more."""
    step = None
    for row in rows:
        if (records.text(row, "MSGID"), records.text(row, "MSGNO")) != JOB_STEP_MESSAGE:
            continue
        said = re.search(r"\d{1,4}", records.text(row, "TEXT", "MSGV1"))
        step = int(said[0]) if said else step
    last = rows[-1] if rows else {}
    return JobLog(
        name, count, len(rows), step, records.text(last, "TEXT"), records.date_and_time(last, "ENTERDATE", "ENTERTIME")
    )


def joined_lines(rows: Iterable[JsonMapping], width: int = 128) -> str:
    r"""Rows of EXEC_PROTOCOL as the text that was printed: a full row goes on in the next one.

    >>> joined_lines([{"MESSAGE": "abc"}, {"MESSAGE": "d"}, {"MESSAGE": "ef"}], width=3)
    'abcd\nef\n'
    """
    said = ""
    for row in rows:
        message = str(row.get("MESSAGE", ""))
        said += message if len(message) == width else f"{message}\n"
    return said if not said or said.endswith("\n") else f"{said}\n"


def dump_error(flist: str) -> str:
    """The name of a run-time error out of SNAP-FLIST, which begins with blocks of two letters, three digits of length,
    and the value.

    >>> dump_error("FC021ZDATE_LARGE_TIME_DIFFAP008SAPLTIME")
    'ZDATE_LARGE_TIME_DIFF'
    """
    rest = flist
    while match := re.match(r"([A-Z][A-Z0-9])(\d{3})", rest):
        length = int(match[2])
        value = rest[5 : 5 + length]
        if match[1] == SNAP_ERROR_BLOCK:
            return value.strip()
        rest = rest[5 + length :]
    return ""


def job_of(row: JsonMapping) -> Job:
    """A row of TBTCO, or of the job interface, whose heads have the same names."""
    said = records.text(row, "STATUS").upper()
    try:
        status = JobStatus(said)
    except ValueError:
        raise UnexpectedReply("this is no status of a job", line=str(row)[:200]) from None
    running = status is JobStatus.RUNNING
    number = records.number(row, "WPNUMBER")
    return Job(
        name=records.required(row, "JOBNAME"),
        count=records.required(row, "JOBCOUNT"),
        status=status,
        client=records.text(row, "AUTHCKMAN"),
        user=records.text(row, "SDLUNAME"),
        server=records.text(row, "REAXSERVER"),
        work_process=number if running else None,
        pid=(records.number(row, "WPPROCID") or None) if running else None,
        planned=records.date_and_time(row, "SDLSTRTDT", "SDLSTRTTM"),
        started=records.date_and_time(row, "STRTDATE", "STRTTIME"),
        ended=records.date_and_time(row, "ENDDATE", "ENDTIME"),
        steps=records.number(row, "STEPCOUNT"),
        periodic=records.text(row, "PERIODIC") == "X" if "PERIODIC" in row else None,
    )


def _joined(job: Job, by_pid: Mapping[int | None, WorkProcess]) -> Job:
    """A running job with the program that its work process reports.

    A job whose process is not there, or does something else, keeps its own.
    """
    one = by_pid.get(job.pid) if job.status is JobStatus.RUNNING and job.pid is not None else None
    if one is None:
        return job
    return Job(
        name=job.name,
        count=job.count,
        status=job.status,
        program=one.program,
        client=one.client or job.client,
        user=one.user or job.user,
        server=job.server or one.server,
        work_process=one.number,
        pid=job.pid,
        planned=job.planned,
        started=job.started,
        ended=job.ended,
        steps=job.steps,
        periodic=job.periodic,
    )


def histories(jobs: Iterable[Job]) -> tuple[JobHistory, ...]:
    """The durations of finished jobs by name."""
    took: dict[str, list[float]] = {}
    for job in jobs:
        if job.started is not None and job.ended is not None and job.ended >= job.started:
            took.setdefault(job.name, []).append((job.ended - job.started).total_seconds())
    return tuple(JobHistory(name, len(each), statistics.median(each), max(each)) for name, each in sorted(took.items()))


def _as_version(said: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,6}", said))


def _returned(answer: JsonMapping) -> JsonMapping:
    said = answer.get("RETURN")
    if isinstance(said, list):
        said = said[0] if said else {}
    return said if isinstance(said, Mapping) else {}


def _said(answer: JsonMapping) -> str:
    """The whole error text of a BAPI, to be searched for a message's name."""
    said = _returned(answer)
    if records.text(said, "TYPE").upper() not in ("E", "A"):
        return ""
    return " ".join(str(value) for value in (*said.values(), answer.get("ERROR_CODE", "")))


def _good(answer: JsonMapping, function: str, where: str) -> None:
    said = _said(answer)
    if said:
        raise Refused(function, records.text(_returned(answer), "MESSAGE"), said, where)
