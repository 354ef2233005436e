"""The time that Oracle Net waits for a silent partition or its clients: parameters of the server's ``sqlnet.ora``.

The file lies in ``network/admin`` of the database's home, which ``/etc/oratab`` names (`ORATAB`, `ORACLE-NET`). A
read-only home has a base home, whose file comes first (`ORACLE-HOMES`). The folder that TNS_ADMIN names comes before
both (`ORACLE-TNS-ADMIN`): it is read from the environment of the instance's process monitor, which ``ps`` shows to root
and to the owner of the process (`AIX-PS`). A listener that was started with another one is not looked at.
SQLNET.EXPIRE_TIME is not held against a suspension: its probes go to the clients, from the partition that stands still.
Nor is ENABLE=BROKEN, which turns on TCP's own keep-alive at the client: that waits for hours unless the host is tuned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpmkit.errors import LpmError, UnexpectedReply
from lpmkit.ssh.session import Session

ORATAB = "/etc/oratab"
_INCLUDED = re.compile(r"^\s*IFILE\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
#: No other variable of the environment leaves the host. Every instance has ORACLE_SID: its line tells an environment
#: without TNS_ADMIN from one that may not be seen.
_ENVIRONMENT = "ps eww {pid} | tr ' ' '\\n' | grep -E '^(ORACLE_SID|TNS_ADMIN)='"
_SETTING = re.compile(r"\s*([A-Za-z][\w.]*)\s*=\s*(.*?)\s*$")


@dataclass(frozen=True, slots=True)
class _Parameter:
    waits: str
    remedy: str
    default_s: float | None = None
    since: tuple[int, ...] = ()  #: of the default


#: By their names in capitals (`ORACLE-NET`). None waits where it is set to 0.
PARAMETERS: Mapping[str, _Parameter] = {
    "SQLNET.RECV_TIMEOUT": _Parameter(
        "a server process, for the next word of its client; then the session ends",
        "Take SQLNET.RECV_TIMEOUT out of the server's sqlnet.ora, or raise it.",
    ),
    "SQLNET.SEND_TIMEOUT": _Parameter(
        "a server process, until its client takes what it sends; then the session ends",
        "Take SQLNET.SEND_TIMEOUT out of the server's sqlnet.ora, or raise it.",
    ),
    "SQLNET.INBOUND_CONNECT_TIMEOUT": _Parameter(
        "a server process, for a client that logs on; then the logon fails (ORA-03136)",
        "Raise SQLNET.INBOUND_CONNECT_TIMEOUT, or let nobody log on during the suspension.",
        60.0,
        (10, 2),
    ),
}


@dataclass(frozen=True, slots=True)
class NetWait:
    """The time that Oracle Net waits by one parameter, in seconds; ``None`` where the value says no time.

    ``is_set``: the file has it; else it is Oracle's default.
    """

    parameter: str
    seconds: float | None
    is_set: bool
    text: str

    @property
    def remedy(self) -> str:
        return PARAMETERS[self.parameter].remedy


def read_sqlnet(text: str) -> dict[str, str]:
    """The parameters of the table that a ``sqlnet.ora`` sets; one that it sets twice to different values: ``?``.

    >>> read_sqlnet("# a comment\\nsqlnet.recv_timeout = 30\\nNAMES.DIRECTORY_PATH=(TNSNAMES)\\n")
    {'SQLNET.RECV_TIMEOUT': '30'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _SETTING.match(line)
        name = match[1].upper() if match else ""
        if match and name in PARAMETERS:
            found[name] = match[2] if found.get(name, match[2]) == match[2] else "?"
    return found


def home_in(oratab: str, sid: str) -> str | None:
    """The home of a database in ``oratab``: by its SID, or by the name of a cluster's database without the instance's
    number.

    >>> home_in("# SID:HOME:Y\\n+ASM1:/grid:N\\nBX5:/oracle/BX5/19:N # by the agent\\n", "BX51")
    '/oracle/BX5/19'
    """
    homes = {}
    for line in oratab.splitlines():
        name, _, rest = line.partition("#")[0].strip().partition(":")
        if name and rest.startswith("/"):
            homes[name] = rest.partition(":")[0].strip()
    without_number = re.sub(r"\d$", "", sid)
    return homes.get(sid) or homes.get(without_number)


def base_home(orabasetab: str, home: str) -> str | None:
    """The base home of a read-only home, by its ``install/orabasetab`` (`ORACLE-HOMES`); ``None`` of another home.

    Raises `UnexpectedReply` where the file does not name the home.

    >>> base_home("# comment\\n/u01/19:/u01/app/oracle:OraDB19Home1:Y:\\n", "/u01/19")
    '/u01/app/oracle/homes/OraDB19Home1'
    >>> base_home("/u01/19:/u01/app/oracle:OraDB19Home1:N:\\n", "/u01/19")
    """
    for line in reversed(orabasetab.splitlines()):
        path, *fields = line.strip().split(":")
        if path.rstrip("/") == home.rstrip("/") and len(fields) >= 3:
            base, name, is_read_only = fields[:3]
            return f"{base}/homes/{name}" if is_read_only == "Y" else None
    raise UnexpectedReply(f"orabasetab does not name {home}")


def net_parameters(host: Session, sid: str, sqlplus: Sequence[str] = ()) -> dict[str, str]:
    """The parameters that the server's ``sqlnet.ora`` sets; none where there is no such file.

    ``sqlplus`` is the site file's: an ORACLE_HOME and a TNS_ADMIN in it are the database's.
    Raises `LpmError` where the host does not show it.
    """
    admin = _given("TNS_ADMIN", sqlplus) or tns_admin(host, sid)
    found = _file_in(host, admin) if admin else None
    if found is not None:
        return found
    found = _file_in_homes(host, sid, sqlplus)
    if admin and found is not None:
        raise UnexpectedReply(
            f"TNS_ADMIN of {sid} is {admin}, which has no sqlnet.ora, and its home has one: the release decides",
            where=host.where,
        )
    return found or {}


def tns_admin(host: Session, sid: str) -> str | None:
    """The TNS_ADMIN that an instance was started with; ``None`` where it was started without.

    Raises `LpmError` where the host does not show it.
    """
    listed = host.run(["ps", "-e", "-o", "pid,args"]).checked().output.splitlines()
    rows = [line.split() for line in listed]
    pid = next(
        (row[0] for row in rows if row[1:] == [f"ora_pmon_{sid}"] and row[0].isascii() and row[0].isdecimal()), None
    )
    if pid is None:
        raise UnexpectedReply(f"TNS_ADMIN of {sid} was not looked at: no process ora_pmon_{sid}", where=host.where)
    shown = host.run(["sh", "-c", _ENVIRONMENT.format(pid=pid)]).output.splitlines()
    values = dict(line.split("=", 1) for line in shown if "=" in line)
    if "ORACLE_SID" not in values:
        raise UnexpectedReply(
            f"TNS_ADMIN of {sid} was not looked at: this login may not see the environment of process {pid}"
            f" (ora_pmon_{sid})",
            where=host.where,
            next_step="Name it in `sqlplus` of the site file, as in [env, TNS_ADMIN=/oracle/net, …], or let root or the"
            " owner of the database log in.",
        )
    return values.get("TNS_ADMIN") or None


def _given(name: str, sqlplus: Sequence[str]) -> str:
    return next((word.partition("=")[2] for word in sqlplus if word.startswith(f"{name}=")), "")


def _file_in_homes(host: Session, sid: str, sqlplus: Sequence[str]) -> dict[str, str] | None:
    home = _given("ORACLE_HOME", sqlplus) or home_in(host.run(["cat", ORATAB]).checked().output, sid)
    if not home:
        raise UnexpectedReply(f"{ORATAB} does not name the home of {sid}", where=host.where)
    homes = [home]
    # the folder has been there always, the file since 18c: what cannot be listed is asked for no more
    if "orabasetab" in host.run(["ls", f"{home}/install"]).output.split():
        first = base_home(host.run(["cat", f"{home}/install/orabasetab"]).checked().output, home)
        homes = [home] if first is None else [first, home]
    read = (_file_in(host, f"{one}/network/admin") for one in homes)
    return next((values for values in read if values is not None), None)


def _file_in(host: Session, folder: str) -> dict[str, str] | None:
    """The parameters of the file in a folder; ``None`` where there is no file."""
    if "sqlnet.ora" not in host.run(["ls", folder]).checked().output.split():
        return None
    text = host.run(["cat", f"{folder.rstrip('/')}/sqlnet.ora"]).checked().output
    if included := _INCLUDED.search(text):
        raise UnexpectedReply(f"sqlnet.ora includes {included[1]}, which was not read", where=host.where)
    return read_sqlnet(text)


def told(host: Session, sid: str, sqlplus: Sequence[str] = ()) -> tuple[dict[str, str] | None, str]:
    """The parameters of `net_parameters`, with the reason where they could not be read."""
    try:
        return net_parameters(host, sid, sqlplus), ""
    except LpmError as trouble:
        return None, str(trouble)


def net_waits(values: Mapping[str, str], release: Sequence[int]) -> tuple[NetWait, ...]:
    """The waits of Oracle Net by each parameter that counts, in the order of the table.

    >>> [(wait.parameter, wait.text) for wait in net_waits({"SQLNET.RECV_TIMEOUT": "30"}, (19,))]
    [('SQLNET.RECV_TIMEOUT', '30 s'), ('SQLNET.INBOUND_CONNECT_TIMEOUT', "60 s, Oracle's default")]
    """
    found = []
    for name, row in PARAMETERS.items():
        value = values.get(name)
        if value is None:
            if row.default_s is not None and tuple(release) >= row.since:
                found.append(NetWait(name, row.default_s, False, f"{row.default_s:g} s, Oracle's default"))
        elif not re.fullmatch(r"[0-9]{1,9}", value):
            found.append(NetWait(name, None, True, f"{value} (not understood)"))
        elif int(value):
            found.append(NetWait(name, float(value), True, f"{int(value)} s"))
    return tuple(found)
