"""A look into a partition: whether its name leads to it, and the SAP systems and databases that run there. Reads only,
with one login to each account.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from lpmkit.config import HostSettings, Site
from lpmkit.control.aix import AixShell
from lpmkit.control.linux import LinuxShell
from lpmkit.errors import LpmError, NotResolved, RemoteError
from lpmkit.inventory import OperatingSystem, Partition
from lpmkit.oracle.errors import QueryFailed
from lpmkit.oracle.tnsping import ping
from lpmkit.site_setup.managers import ManagedFrame
from lpmkit.ssh.client import SshSession, open_session, reachable
from lpmkit.ssh.secrets import Secrets

#: A partition's name that can be a host name: others are not handed to ``ssh``.
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: ``dw.sapBX5_DVEBMGS00`` and its like (`SAP-PS`): what an instance's processes are called.
_SAP_PROCESS = re.compile(r"(?:^|[/\s])(dw|ms|en|enq|er|enqr|gw|jc)\.sap([A-Z][A-Z0-9]{2})_([A-Z]+)(\d\d)(?:\s|$)")
#: ``ora_pmon_BX5`` (`ORACLE-REF`): the process monitor that every instance of a database has.
_PMON = re.compile(r"(?:^|\s)ora_pmon_([A-Za-z][\w$#]*)\s*$")
_LISTENER = re.compile(r"(?:^|[/\s])tnslsnr\s")
#: The diagnostics agent: no system that people work with.
AGENT = "DAA"
#: The port of a listener unless its configuration names another one.
LISTENER_PORT = 1521
PING_LIMIT_S = 5.0
#: Partitions that are looked into at a time.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class SapInstances:
    """The instances of a SAP system that run in a partition, by number; ``dispatchers`` are those with a dispatcher.

    ``administrator`` is the login of ``<sid>adm`` as typed after ``ssh``, with the reason in ``remark`` where it does
    not work.
    """

    sid: str
    instances: tuple[str, ...]
    dispatchers: tuple[str, ...]
    administrator: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class RunningDatabase:
    """An instance of an Oracle database that runs in a partition; ``listener`` if one answers from here."""

    sid: str
    listener: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Inside:
    """A partition seen from inside. ``host`` is its name after ``ssh``, empty without a login, with the reason."""

    frame: str
    partition: Partition
    host: str = ""
    why: str = ""
    level: str = ""
    sap: tuple[SapInstances, ...] = ()
    databases: tuple[RunningDatabase, ...] = ()
    remarks: tuple[str, ...] = ()


def look_into_all(
    site: Site, frames: Sequence[ManagedFrame], secrets: Secrets, tell: Callable[[Inside], None] = lambda _: None
) -> tuple[Inside, ...]:
    """Look into every partition of all frames, some at a time; ``tell`` gets each when it is known."""

    def look(job: tuple[ManagedFrame, Partition]) -> Inside:
        inside = look_into(site, *job, secrets)
        tell(inside)
        return inside

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(look, [(frame, partition) for frame in frames for partition in frame.clients]))


def look_into(site: Site, frame: ManagedFrame, partition: Partition, secrets: Secrets) -> Inside:
    """One partition from inside; never raises for one that cannot be looked into."""
    unseen = Inside(frame.name, partition)
    if reason := _not_to_be_tried(partition):
        return replace(unseen, why=reason)
    try:
        session = _logged_in(site, partition, secrets)
    except LpmError as error:
        return replace(unseen, why=str(error).removeprefix(f"{partition.name}: "))  # it stands before the reason
    with closing(session):
        is_linux = partition.operating_system is OperatingSystem.LINUX
        shell = LinuxShell(session) if is_linux else AixShell(session)
        try:
            if stranger := _another_machine(shell, frame, partition):
                return replace(unseen, why=stranger)
            inside = replace(unseen, host=session.route.host, level=shell.level())
        except RemoteError as error:
            return replace(unseen, why=f"logged in, and it does not tell which partition it is: {error}")
        try:
            text = session.run(["ps", "-e", "-o", "pid,etime,args"]).checked().output
        except RemoteError as error:
            return replace(inside, remarks=(f"SAP and Oracle were not looked for: {error}",))
    sap = tuple(_with_administrator(site, each, inside.host, secrets) for each in read_sap_instances(text))
    return replace(inside, sap=sap, databases=tuple(_databases(text, session.route.hostname)))


def _not_to_be_tried(partition: Partition) -> str:
    if partition.state != "Running":
        return f"it is {partition.state}"
    if partition.operating_system is OperatingSystem.IBM_I:
        return f"{partition.operating_system}: lpmkit does not look into it; `lpmkit watch` can record it"
    if not HOST_NAME.fullmatch(partition.name):
        return "its name is no host name"
    return ""


def _logged_in(site: Site, partition: Partition, secrets: Secrets) -> SshSession:
    """A session to a partition, by its name or else by the address that the manager lists. Raises `LpmError`."""
    trouble: RemoteError | None = None
    for host in _names(partition):
        session = open_session(site, HostSettings(host=host), secrets=secrets)
        error = reachable(session)
        if error is None:
            return session
        session.close()
        trouble = trouble or error
        if not isinstance(error, NotResolved):
            break
    assert trouble is not None
    raise trouble


def _names(partition: Partition) -> Iterator[str]:
    yield partition.name
    try:
        yield str(ipaddress.ip_address(partition.rmc_ipaddr or ""))
    except ValueError:
        return  # the manager lists none


def _another_machine(shell: AixShell | LinuxShell, frame: ManagedFrame, partition: Partition) -> str:
    """The objection to a login that led to another machine, by partition number and serial number; empty if it is the
    one that the manager lists.
    """
    lpar_id, name = shell.lpar_label()
    system = shell.system_id()
    if lpar_id == partition.lpar_id and system.endswith(frame.frame.serial):
        return ""
    return (
        f"`ssh {shell.session.where}` leads to another machine: partition {lpar_id} {name} on {system}, not partition "
        f"{partition.lpar_id} on {frame.frame.machine}"
    )


def read_sap_instances(text: str) -> tuple[SapInstances, ...]:
    r"""The SAP instances among the processes that ``ps -e -o pid,etime,args`` lists (`SAP-PS`).

    >>> read_sap_instances("PID ELAPSED COMMAND\n 77 02:00 dw.sapBX5_DVEBMGS00 pf=/usr/sap/BX5/SYS/profile/x\n")
    (SapInstances(sid='BX5', instances=('00',), dispatchers=('00',), administrator='', remark=''),)
    """
    numbers: dict[str, set[str]] = {}
    dispatchers: dict[str, set[str]] = {}
    for line in text.splitlines():
        process = _SAP_PROCESS.search(line)
        if process is None or process[2] == AGENT:
            continue
        numbers.setdefault(process[2], set()).add(process[4])
        if process[1] == "dw":
            dispatchers.setdefault(process[2], set()).add(process[4])
    return tuple(
        SapInstances(sid, tuple(sorted(found)), tuple(sorted(dispatchers.get(sid, ()))))
        for sid, found in sorted(numbers.items())
    )


def read_database_sids(text: str) -> tuple[str, ...]:
    r"""The Oracle instances among the same processes (`ORACLE-REF`).

    >>> read_database_sids("PID ELAPSED COMMAND\n 5 1:00 ora_pmon_BX5\n 6 1:00 asm_pmon_+ASM\n 7 1:00 vi ora_pmon_X y")
    ('BX5',)
    """
    found = (_PMON.search(line) for line in text.splitlines())
    return tuple(dict.fromkeys(match[1] for match in found if match))


def _databases(text: str, address: str) -> Iterator[RunningDatabase]:
    sids = read_database_sids(text)
    if not sids:
        return
    listener, remark = f"{address}:{LISTENER_PORT}", ""
    if not any(_LISTENER.search(line) for line in text.splitlines()):
        listener, remark = "", "no listener runs there"
    else:
        try:
            ping(listener, PING_LIMIT_S)
        except QueryFailed as error:
            listener, remark = "", f"its listener does not answer from here at port {LISTENER_PORT}: {error.what}"
    for sid in sids:
        yield RunningDatabase(sid, listener, remark)


def _with_administrator(site: Site, system: SapInstances, host: str, secrets: Secrets) -> SapInstances:
    """The system with the login of ``<sid>adm``, tried once."""
    administrator = f"{system.sid.lower()}adm@{host.rpartition('@')[2]}"
    try:
        session = open_session(site, HostSettings(host=administrator), secrets=secrets)
        with closing(session):
            error: LpmError | None = reachable(session)
    except LpmError as refused:
        error = refused
    return replace(system, administrator=administrator, remark="" if error is None else str(error))
