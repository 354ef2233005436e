"""By which way a database is asked, and the same few verbs on each: python-oracledb without a client (thin) and with one (thick), cx_Oracle, or ``sqlplus`` on its host.

Which way fits which release (`PYTHON-ORACLEDB`, `CX-ORACLE`): thin from 12.1 on, thick with an Oracle Client 19 from 11.2 on, cx_Oracle with an older client for 10g; ``sqlplus``
needs nothing here and works with every release. Drivers are imported when they are used, never before: a missing one is advice, not a traceback.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lpmkit.config import DatabaseSettings
from lpmkit.errors import LpmError, RemoteError
from lpmkit.ssh.client import SshSession
from lpmkit.timeline import Clock, Outcome

Row = tuple[str | None, ...]
#: What separates columns that ``sqlplus`` prints: nothing in a view of Oracle's holds it.
COLUMN_END = "~|~"
#: How long a statement about states may take. Heartbeats have a limit of their own.
PATIENCE_S = 30.0

_ADVICE: tuple[tuple[str, str], ...] = (
    (r"DPI-1047", "No Oracle Client library was found here. Name its folder as `client:` of the database, or say `way: sqlplus`, which needs no client."),
    (r"DPI-1050|DPI-1072", "The Oracle Client here is too old for that database; see docs/oracle.md, or say `way: sqlplus`."),
    (r"DPY-3010", "The database is older than 12.1, which needs an Oracle Client: say `way: thick` (11.2) or `way: sqlplus` (any release)."),
    (r"DPY-3015|DPY-4008", "The password of that user is kept in the form of 10g; set it anew (alter user … identified by …), or say `way: sqlplus`."),
    (r"DPY-3001|ORA-12660", "The database demands native network encryption, which needs an Oracle Client: say `way: thick` or `way: sqlplus`."),
    (r"DPY-6001|ORA-12514|DPY-6003|ORA-12505", "The listener knows no such service: correct `service:`; `lsnrctl status` on the host lists them."),
    (r"Errno 111|ORA-12541", "Nothing listens there: correct `listener:`; `lsnrctl status` on the host says where it listens."),
    (r"ORA-1252[68]", "The instance lets nobody in at present (starting, restricted, or blocked by its DBA)."),
    (r"ORA-01017|ORA-1017", "Check `user:` and what `password:` refers to; docs/oracle.md has the script that makes the user."),
    (r"ORA-01031", "Whoever logs in to the host may not connect as SYSDBA; docs/oracle.md shows a user identified externally instead."),
    (r"ORA-28000", "The account is locked: alter user … account unlock."),
    (r"ORA-01033|ORA-01034", "The instance is not open."),
    (r"not found|0509|cannot execute|No such file", "`sqlplus` was not found on the host: give its path and ORACLE_HOME, as in `sqlplus: [env, ORACLE_SID=BX5, ORACLE_HOME=/oracle/BX5/102_64, /oracle/BX5/102_64/bin/sqlplus]`."),
)  # fmt: skip
#: Errors after which a session is dead (the driver's own list, `PYTHON-ORACLEDB`), also when the driver does not say so.
_DEAD = re.compile(
    r"DPY-(?:4011|1001|4005)|DPI-1010|DPI-1080|ORA-0*(?:22|28|31|45|378|602|603|609|1012|1041|1043|1089|1092|2396|3113|3114|3122|3135|12153|12537|12547|12570|12583|27146|28511|56600)\b"
    r"|SP2-0640|SP2-0642"
)


class QueryFailed(RemoteError):
    """The database gave no answer, or said no. ``outcome`` is what a sample of it says; ``dead`` that the session is gone."""

    def __init__(self, text: str, outcome: Outcome, *, dead: bool = False, where: str | None = None) -> None:
        self.outcome, self.dead = outcome, dead
        super().__init__(short(text), where=where, next_step=advice(text))


def advice(text: str) -> str | None:
    """What to do about an error of a driver or of the database; ``None`` where nobody knows.

    >>> advice("DPY-3010: connections to this database server version are not supported by python-oracledb in thin mode")
    'The database is older than 12.1, which needs an Oracle Client: say `way: thick` (11.2) or `way: sqlplus` (any release).'
    """
    return next((what for pattern, what in _ADVICE if re.search(pattern, text)), None)


def short(text: str) -> str:
    """An error in one line: without addresses of help pages and connection ids.

    >>> short("DPY-6005: cannot connect to database (CONNECTION_ID=x==).\\nDPY-6001: no such service\\nHelp: https://example.invalid/")
    'DPY-6005: cannot connect to database. DPY-6001: no such service'
    """
    lines = [re.sub(r" \(CONNECTION_ID=[^)]*\)", "", line.strip()) for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith("Help:"))[:500]


def outcome_of(text: str) -> tuple[Outcome, bool]:
    """What an error means for a sample, and whether the session is dead.

    >>> outcome_of("ORA-00942: table or view does not exist"), outcome_of("DPY-4011: the database or network closed the connection")
    ((<Outcome.REFUSED: 'refused'>, False), (<Outcome.LOST: 'lost'>, True))
    """
    if "DPY-4024" in text or "DPI-1067" in text:
        return Outcome.SILENT, False
    if _DEAD.search(text):
        return Outcome.LOST, True
    return Outcome.REFUSED, False


# --- which way ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DriverChoice:
    """The way a database will be asked, and why; ``trouble`` says what stands against it, and what to do."""

    way: str
    why: str
    trouble: str | None = None


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def choose_driver(settings: DatabaseSettings, has: Callable[[str], bool] = installed) -> DriverChoice:  # noqa: PLR0911 - one return for each line of the table
    """The way for a database, by its release and by what is here. The site file's word comes first.

    >>> choose_driver(DatabaseSettings(partition="bxaix85", version="10.2.0.2.0")).way
    'sqlplus'
    """
    if settings.way != "auto":
        return DriverChoice(settings.way, "the site file says so", _missing(settings.way, settings, has))
    release = release_of(settings.version)
    if not settings.listener or not settings.user:
        lacks = "listener" if not settings.listener else "user"
        return DriverChoice("sqlplus", f"on its host, with no client here: the site file names no {lacks}")
    if release is None:
        return DriverChoice(
            "thin",
            "no client is needed; the site file does not say the release, thin needs 12.1 or later",
            _missing("thin", settings, has),
        )
    if release >= (12, 1):
        return DriverChoice(
            "thin",
            f"release {settings.version}: python-oracledb needs no client from 12.1 on",
            _missing("thin", settings, has),
        )
    if release >= (11, 2) and settings.client and has("oracledb"):
        return DriverChoice("thick", f"release {settings.version}: with an Oracle Client 19, which the site file names")
    if release < (11, 2) and settings.client and has("cx_Oracle"):
        return DriverChoice(
            "cx_oracle", f"release {settings.version}: cx_Oracle is installed and the site file names a client"
        )
    return DriverChoice("sqlplus", f"release {settings.version}: on its host, with no client here")


def _missing(way: str, settings: DatabaseSettings, has: Callable[[str], bool]) -> str | None:
    module = {"thin": "oracledb", "thick": "oracledb", "cx_oracle": "cx_Oracle"}.get(way)
    if module is not None and not has(module):
        extra = (
            "pip install 'lpmkit[oracle10g]' (it builds with setuptools below 81)"
            if module == "cx_Oracle"
            else "pip install oracledb"
        )
        return f"{module} is not installed: {extra}, or say `way: sqlplus`"
    if module is not None and not settings.listener:
        return "the site file names no listener (HOST:PORT)"
    if module is not None and not settings.user:
        return "the site file names no user"
    return None


def release_of(version: str | None) -> tuple[int, ...] | None:
    return tuple(int(part) for part in version.split(".")) if version else None


# --- asking ---------------------------------------------------------------------------------------------------------


class Connection(Protocol):
    """A session with a database. All values come as texts. Every verb raises `QueryFailed`."""

    def rows(self, sql: str, limit_s: float = PATIENCE_S) -> list[Row]: ...

    def change(self, sql: str, limit_s: float = PATIENCE_S) -> None:
        """One change and its commit."""
        ...

    def close(self) -> None:
        """Let go of everything at once, whatever is being asked."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """How to get at one database: JSON values, but for the password, which is handed over beside it."""

    sid: str
    way: str
    service: str = ""
    listener: str = ""
    user: str = ""
    client: str = ""
    sqlplus: tuple[str, ...] = ("sqlplus",)

    @classmethod
    def of(cls, sid: str, settings: DatabaseSettings) -> ConnectionSettings:
        return cls(
            sid, choose_driver(settings).way, settings.service or sid, settings.listener or "", settings.user or "", settings.client or "", settings.sqlplus
        )  # fmt: skip

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ConnectionSettings:
        return cls(**{**data, "sqlplus": tuple(data.get("sqlplus", ("sqlplus",)))})

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def dsn(self) -> str:
        return f"{self.listener}/{self.service}"


def connect(way: ConnectionSettings, password: str | None, host: SshSession | None, limit_s: float) -> Connection:
    """Log on. Raises `QueryFailed` within ``limit_s``, also when the other side accepts and never answers."""
    if way.way == "thin":
        return ThinConnection(way, password, limit_s)
    if way.way == "sqlplus":
        if host is None:
            raise QueryFailed("sqlplus needs a login to the database's host", Outcome.REFUSED)
        return SqlPlusConnection(way, password, host, limit_s)
    return DriverAsked(way, password, limit_s)


def log_on_once(way: ConnectionSettings, password: str | None, host: SshSession | None, limit_s: float) -> None:
    """One fresh logon and off again, cancelled hard at the limit. Raises `QueryFailed`."""
    if way.way in ("thin", "sqlplus"):
        connect(way, password, host, limit_s).close()
        return
    # these drivers cannot be broken off while they connect, so they do it in a process that can be ended
    order = json.dumps({"way": way.as_data(), "password": password}).encode()
    child = subprocess.Popen(
        [sys.executable, "-m", "lpmkit.oracle.connections"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = child.communicate(order, timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise QueryFailed(f"no logon within {limit_s:g} s; broken off", Outcome.SILENT, where=way.sid) from None
    finally:
        child.kill()
        child.communicate()
    text = said.decode("utf-8", "replace").strip()
    if child.returncode != 0:
        outcome, _ = outcome_of(text)
        raise QueryFailed(text or f"the logon ended with status {child.returncode}", outcome, where=way.sid)


class ThinConnection:
    """python-oracledb in thin mode, through its asyncio face: that one can be broken off at any moment, also while it connects, and then closes its socket."""

    def __init__(self, way: ConnectionSettings, password: str | None, limit_s: float) -> None:
        oracledb = _module("oracledb", way)
        self._way, self._loop = way, asyncio.new_event_loop()
        self._error = oracledb.Error
        self._connection: Any = None
        try:
            self._connection = self._wait(
                oracledb.connect_async(user=way.user, password=password, dsn=way.dsn, tcp_connect_timeout=limit_s),
                limit_s,
                "logon",
            )
        except BaseException:
            self._loop.close()
            raise

    def rows(self, sql: str, limit_s: float = PATIENCE_S) -> list[Row]:
        return [_texts(row) for row in self._wait(self._connection.fetchall(sql), limit_s, "answer")]

    def change(self, sql: str, limit_s: float = PATIENCE_S) -> None:
        async def both() -> None:
            await self._connection.execute(sql)
            await self._connection.commit()

        self._wait(both(), limit_s, "commit")

    def close(self) -> None:
        if self._loop.is_closed():
            return
        try:
            if self._connection is not None:
                self._loop.run_until_complete(asyncio.wait_for(self._connection.close(), 2.0))
        except (self._error, TimeoutError, OSError):
            pass  # it was dead already, or does not answer: nothing is left to be said to it
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._connection = None
        self._loop.close()

    def _wait(self, what: Any, limit_s: float, noun: str) -> Any:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(what, limit_s))
        except TimeoutError:
            self._let_go()
            raise QueryFailed(
                f"no {noun} within {limit_s:g} s; broken off", Outcome.SILENT, dead=True, where=self._way.sid
            ) from None
        except self._error as trouble:
            outcome, dead = outcome_of(str(trouble))
            raise QueryFailed(str(trouble), outcome, dead=dead, where=self._way.sid) from trouble
        except OSError as trouble:
            raise QueryFailed(str(trouble), Outcome.LOST, dead=True, where=self._way.sid) from trouble


class DriverAsked:
    """python-oracledb with an Oracle Client, or cx_Oracle: they keep to a call time-out of their own."""

    def __init__(self, way: ConnectionSettings, password: str | None, limit_s: float) -> None:
        self._way = way
        module = _module("oracledb" if way.way == "thick" else "cx_Oracle", way)
        self._error = module.Error
        try:
            if way.client or way.way == "thick":
                _init_client(module, way.client or None)
            self._connection = module.connect(user=way.user, password=password, dsn=way.dsn)
        except module.Error as trouble:
            raise self._failed(trouble) from trouble
        self._limit(limit_s)

    def _limit(self, limit_s: float) -> None:
        name = "call_timeout" if self._way.way == "thick" else "callTimeout"
        try:
            setattr(self._connection, name, int(limit_s * 1000))
        except self._error:
            pass  # a client before 18 has no call time-out; the probe's own clock still sees the silence

    def _failed(self, trouble: Exception) -> QueryFailed:
        outcome, dead = outcome_of(str(trouble))
        return QueryFailed(str(trouble), outcome, dead=dead, where=self._way.sid)

    def rows(self, sql: str, limit_s: float = PATIENCE_S) -> list[Row]:
        self._limit(limit_s)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return [_texts(row) for row in cursor.fetchall()]
        except self._error as trouble:
            raise self._failed(trouble) from trouble

    def change(self, sql: str, limit_s: float = PATIENCE_S) -> None:
        self._limit(limit_s)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
            self._connection.commit()
        except self._error as trouble:
            raise self._failed(trouble) from trouble

    def close(self) -> None:
        try:
            self._connection.close()
        except self._error:
            pass  # it was dead already


def _init_client(module: Any, folder: str | None) -> None:
    try:
        module.init_oracle_client(lib_dir=folder)
    except module.ProgrammingError as trouble:
        if "already" not in str(trouble):  # the client is there since an earlier session
            raise


def _module(name: str, way: ConnectionSettings) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as trouble:
        settings = DatabaseSettings(partition=way.sid, listener=way.listener or None, user=way.user or None)
        text = _missing(way.way, settings, lambda _: False) or str(trouble)
        raise QueryFailed(text, Outcome.REFUSED, where=way.sid) from trouble


def _texts(row: Sequence[Any]) -> Row:
    return tuple(None if value is None else str(value) for value in row)


class SqlPlusConnection:
    """``sqlplus -S /nolog`` on the database's host, statements on its standard input. Passwords go there too, never onto a command line."""

    def __init__(self, way: ConnectionSettings, password: str | None, host: SshSession, limit_s: float) -> None:
        self._way, self._clock = way, Clock()
        try:
            self._channel = host.stream([*way.sqlplus, "-S", "/nolog"])
        except LpmError as trouble:
            raise QueryFailed(str(trouble), Outcome.LOST, dead=True, where=way.sid) from trouble
        except Exception as trouble:
            raise QueryFailed(f"no channel: {trouble}", Outcome.LOST, dead=True, where=way.sid) from trouble
        self._rest, self._count = b"", 0
        self._poller = select.poll()
        self._poller.register(self._channel.fileno(), select.POLLIN)
        secret = (password or "").replace('"', "")
        who = f'{way.user}/"{secret}"' if way.user else "/"
        try:
            said = self._ask(f"{_SETTINGS}\nconnect {who}", limit_s)
        except QueryFailed:
            self.close()
            raise
        complaint = _complaint(said)
        if complaint:
            self.close()
            raise QueryFailed(complaint, Outcome.REFUSED, where=way.sid)

    def rows(self, sql: str, limit_s: float = PATIENCE_S) -> list[Row]:
        return read_rows(self._checked(self._ask(f"{sql};", limit_s)))

    def change(self, sql: str, limit_s: float = PATIENCE_S) -> None:
        self._checked(self._ask(f"{sql};\ncommit;", limit_s))

    def _checked(self, said: list[str]) -> list[str]:
        trouble = _complaint(said)
        if trouble:
            outcome, dead = outcome_of(trouble)
            raise QueryFailed(trouble, outcome, dead=dead, where=self._way.sid)
        return said

    def _ask(self, text: str, limit_s: float) -> list[str]:
        """Say something and gather what comes, up to a word of our own behind it."""
        self._count += 1
        end = f"lpmkit-{self._count}"
        deadline = self._clock.mono_ns() + int(limit_s * 1e9)
        try:
            self._channel.sendall(f"{text}\nprompt {end}\n".encode())
            while f"{end}\n".encode() not in self._rest:
                left_ms = (deadline - self._clock.mono_ns()) / 1e6
                if left_ms <= 0:
                    raise QueryFailed(
                        f"no answer within {limit_s:g} s; broken off", Outcome.SILENT, dead=True, where=self._way.sid
                    )
                if self._poller.poll(left_ms):
                    self._read()
        except OSError as trouble:
            if self._channel.recv_stderr_ready() or self._channel.recv_ready():
                self._rest += self._channel.recv(65536) if self._channel.recv_ready() else b""
                raise self._ended() from trouble
            raise QueryFailed(
                f"the login was lost: {trouble}", Outcome.LOST, dead=True, where=self._way.sid
            ) from trouble
        answer, _, self._rest = self._rest.partition(f"{end}\n".encode())
        return answer.decode("utf-8", "replace").splitlines()

    def _read(self) -> None:
        data = self._channel.recv(65536)
        if not data:
            raise self._ended()
        self._rest += data

    def _ended(self) -> QueryFailed:
        """What the program said when it ended by itself: mostly that it is not there."""
        said = self._channel.recv_stderr(2000) if self._channel.recv_stderr_ready() else b""
        text = short((said + self._rest).decode("utf-8", "replace")) or "nothing"
        return QueryFailed(f"sqlplus ended by itself and said: {text}", Outcome.LOST, dead=True, where=self._way.sid)

    def close(self) -> None:
        try:
            self._channel.close()
        except (OSError, EOFError):
            pass  # the connection is gone, and the channel with it


_SETTINGS = "\n".join(
    [
        "set pagesize 0 feedback off heading off verify off echo off termout on",
        "set trimout on tab off wrap on linesize 32767 numwidth 38 long 4000 sqlprompt ''",
        f"set colsep '{COLUMN_END}'",
    ]
)


def read_rows(said: Sequence[str]) -> list[Row]:
    """The rows that ``sqlplus`` printed with the settings above: padded columns, a blank for NULL.

    >>> read_rows(["                     12~|~OPEN      ~|~", ""])
    [('12', 'OPEN', None)]
    """
    return [tuple(cell.strip() or None for cell in line.split(COLUMN_END)) for line in said if line.strip()]


def _complaint(said: Sequence[str]) -> str | None:
    """The error that ``sqlplus`` printed, if it did.

    >>> _complaint(["select 1", "*", "ERROR at line 1:", "ORA-00942: table or view does not exist"])
    'ORA-00942: table or view does not exist'
    """
    return next((line.strip() for line in said if re.match(r"(ORA|SP2|TNS)-\d+", line)), None)


def main() -> None:
    """One logon, for `log_on_once`: the order comes on standard input, an error goes to standard output."""
    order = json.loads(sys.stdin.readline())
    try:
        DriverAsked(ConnectionSettings.from_data(order["way"]), order["password"], PATIENCE_S).close()
    except QueryFailed as trouble:
        sys.stdout.write(trouble.what)
        sys.exit(1)


if __name__ == "__main__":
    main()
