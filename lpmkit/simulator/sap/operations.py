"""The functions of sapstartsrv: names, parameters, fields in order, and the answers out of the system
(`SAPCONTROL-WSDL`).

The web service and ``sapcontrol`` are two forms of the same table, so both are made from this one. A field's value is
text, a number, a truth or a `Color`; ``None`` is a field that is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lpmkit.simulator.sap.alerts import alert_tree
from lpmkit.simulator.sap.recalled import NO_DISPATCHER, NO_ENQUEUE, NO_JAVA
from lpmkit.simulator.sap.records import WorkProcess, lasted, stamp
from lpmkit.simulator.sap.system import System

Value = str | int | bool | None
Row = tuple[Value, ...]


class OperationFault(Exception):
    """The function cannot be carried out; the text is the fault's."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The instance whose sapstartsrv is asked: its number, and whether it is that of the central services."""

    system: System
    central: bool

    @property
    def number(self) -> str:
        installed = self.system.installed
        return installed.central_services if self.central else installed.number

    @property
    def instance(self) -> str:
        installed = self.system.installed
        return installed.services_instance if self.central else installed.instance

    def dispatcher(self) -> System:
        """The system, when its dispatcher's shared memory can be had from here."""
        if self.central or not self.system.dispatcher_runs:  # one that is not there does not run
            raise OperationFault(NO_DISPATCHER)
        return self.system

    def enqueue(self) -> System:
        """The system, when this instance keeps its locks."""
        other = self.system.installed.other
        if self.central != (not self.system.installed.classic) or (other is not None and not other.keeps_locks):
            raise OperationFault(NO_ENQUEUE)
        return self.system


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an answer or a parameter: ``kind`` is ``string``, ``int``, ``boolean`` or ``STATE-COLOR``."""

    name: str
    kind: str = "string"


Answer = Callable[[Seat, Mapping[str, str]], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One function. ``listed`` is the element around the items; without it the fields stand in the answer itself."""

    name: str
    listed: str
    item: str
    fields: tuple[Field, ...]
    answer: Answer
    parameters: tuple[Field, ...] = ()
    protected: bool = True


def _fields(text: str) -> tuple[Field, ...]:
    """
    >>> _fields("name pid:int")
    (Field(name='name', kind='string'), Field(name='pid', kind='int'))
    """
    pairs = (word.partition(":") for word in text.split())
    return tuple(Field(name, {"": "string", "color": "STATE-COLOR"}.get(kind, kind)) for name, _, kind in pairs)


def process_list(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    """GREEN and Running, and with the dispatcher more than one text; a process that has gone is GRAY and Stopped,
    without times.
    """
    system = seat.system
    with system.lock:
        rows: list[Row] = []
        for each in system.processes(seat.central):
            if not each.running:
                rows.append((each.name, each.description, "GRAY", "Stopped", "", "", each.pid))
                continue
            text = "Running"
            if each.name == "disp+work":
                text = "Running, Message Server connection ok, Dialog Queue time: 0.00 sec"
            elapsed = lasted(system.wall_s - each.started_s)
            rows.append((each.name, each.description, "GREEN", text, stamp(each.started_s), elapsed, each.pid))
        return rows


def work_process_row(system: System, each: WorkProcess) -> Row:
    """One work process with the fields of ABAPGetWPTable.

    ``Err`` and ``Time`` are empty when there is nothing to say.
    """
    elapsed = "" if each.free else str(int(system.wall_s - each.since_s))
    errors = str(each.errors) if each.errors else ""
    return (
        each.number, each.kind, each.pid, each.status, each.reason, "yes", errors, "", lasted(each.cpu_s), elapsed,
        each.program, each.client, each.user, each.action, each.table,
    )  # fmt: skip


def work_process_table(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.dispatcher()
    with system.lock:
        return [work_process_row(system, each) for each in system.work_processes]


def system_work_process_table(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.dispatcher()
    only_active = given.get("activeonly", "").lower() in ("1", "true")
    with system.lock:
        server = system.installed.server(system.host)
        chosen = [each for each in system.work_processes if not (only_active and each.free)]
        return [(server, *work_process_row(system, each)) for each in chosen]


def queue_statistic(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.dispatcher()
    with system.lock:
        return [(each.name, each.now, each.high, each.size, each.writes, each.reads) for each in system.queues.values()]


def read_syslog(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    """The texts are in the language of the system, for nobody has logged on."""
    system = seat.dispatcher()
    with system.lock:
        return [
            (
                stamp(each.wall_s), each.kind, each.client, each.user, each.transaction, each.number,
                each.german if system.german else each.text, each.severity,
            )
            for each in sorted(system.syslog, key=lambda entry: entry.wall_s)
        ]  # fmt: skip


def system_instances(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.system
    installed, state = system.installed, "GREEN" if system.dispatcher_runs else "RED"
    ports, other = installed.ports, installed.other
    if other is not None:
        at = (ports.start_service, ports.start_service_tls)
        return [(system.host, int(ports.number), *at, "1", other.features, "GREEN")]
    features = "ABAP|GATEWAY|ICMAN|IGS"
    rows: list[Row] = []
    if not installed.classic:
        central = installed.services_ports
        number = int(central.number)
        rows.append(
            (system.host, number, central.start_service, central.start_service_tls, "1", "MESSAGESERVER|ENQUE", "GREEN")
        )
    else:
        features += "|MESSAGESERVER|ENQUE"
    rows.append((system.host, int(ports.number), ports.start_service, ports.start_service_tls, "3", features, state))
    return rows


def instance_properties(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    """Names and types as far as `SAPCONTROL-WSDL` and `SUSE-EXPORTER` have them."""
    installed = seat.system.installed
    other = installed.other
    kind = "Message Server and Enqueue Server" if seat.central else "ABAP Instance"
    if other is not None:
        kind = f"{other.programs[-1].description} Instance"
    return [
        ("SAPSYSTEM", "string", seat.number),
        ("SAPSYSTEMNAME", "string", installed.sid),
        ("SAPLOCALHOST", "string", seat.system.host),
        ("INSTANCE_NAME", "string", seat.instance),
        ("INSTANCE_TYPE", "NODE", kind),
        ("Webmethods", "Webmethods", ",".join(OPERATIONS)),
        ("Process List", "NODE", "GetProcessList"),
        *(
            []
            if seat.central or other is not None
            else [("ABAP WP Table", "NODE", "ABAPGetWPTable"), ("Queue Statistic", "NODE", "GetQueueStatistic")]
        ),
    ]


def version_text(system: System) -> str:
    """``753, patch 900, changelist 2094654, RKS compatibility level 1, optU (…), rs6000_64`` (`TRENTO`;
    AIX's word U).
    """
    installed = system.installed
    return (
        f"{installed.kernel}, patch {installed.patch}, changelist 2094654, RKS compatibility level 1, optU (Oct 16 "
        "2021, 00:03:15), rs6000_64"
    )


def version_info(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    base = f"/usr/sap/{seat.system.installed.sid}/{seat.instance}/exe"
    names = ["sapstartsrv", *(each.name for each in seat.system.processes(seat.central))]
    return [(f"{base}/{name}", version_text(seat.system), "2021 10 16 02:11:40") for name in names]


def java_processes(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    """The nodes of a Java instance, in the columns of `SAPCONTROL-WSDL`; times and counters are left out."""
    system = seat.system
    if system.installed.other is None or not system.installed.other.nodes:
        raise OperationFault(NO_JAVA)
    with system.lock:
        return [
            (
                50_000 + place,
                name,
                pid,
                "ICM" if name == "ICM" else "J2EE Server",
                "TRUE",
                "",
                "SAPControl-J2EE-RUNNING",
                "Running",
                *("", "", 0, 0, "", "FALSE"),
            )
            for place, (name, pid) in enumerate(system.java_nodes())
        ]


def lock_table(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.enqueue()
    return [
        (
            each.table,
            each.argument,
            each.mode,
            each.owner,
            each.owner,
            0,
            1,
            each.client,
            each.user,
            each.transaction,
            each.object,
            each.backup,
        )
        for each in system.locks()
    ]


def enqueue_statistic(seat: Seat, given: Mapping[str, str]) -> list[Row]:
    system = seat.enqueue()
    with system.lock:
        locks = len(system.locks())
        asked = 41_280 + 3 * int(system.work_s) + locks
        owners = len(system.sessions) + len(system.running())
    return [
        (
            owners, owners + 9, 18500, "GREEN", locks, locks + 14, 18500, "GREEN", locks, locks + 14, 18500, "GREEN",
            asked, 12, 0, asked - locks, 0, 17_220, 4, 31, 3, "0.01", "0.0", "0.02",
            "GRAY" if not system.installed.keeps_locks_apart else ("GREEN" if system.replicated else "RED"),
        )
    ]  # fmt: skip


_WORK_PROCESS = "No:int Typ Pid:int Status Reason Start Err Sem Cpu Time Program Client User Action Table"
_ENQUEUE = " ".join(
    f"{what}-now:int {what}-high:int {what}-max:int {what}-state:color" for what in ("owner", "arguments", "locks")
)
_ENQUEUE += " enqueue-requests:int enqueue-rejects:int enqueue-errors:int"
_ENQUEUE += " dequeue-requests:int dequeue-errors:int dequeue-all-requests:int"
_ENQUEUE += " cleanup-requests:int backup-requests:int reporting-requests:int"
_ENQUEUE += " lock-time lock-wait-time server-time replication-state:color"

OPERATIONS: Mapping[str, Operation] = {
    each.name: each
    for each in (
        Operation("GetProcessList", "process", "OSProcess",
                  _fields("name description dispstatus:color textstatus starttime elapsedtime pid:int"), process_list,
                  protected=False),
        Operation("GetSystemInstanceList", "instance", "SAPInstance",
                  _fields("hostname instanceNr:int httpPort:int httpsPort:int startPriority features dispstatus:color"),
                  system_instances, _fields("timeout:int"), protected=False),
        Operation("GetInstanceProperties", "properties", "InstanceProperty", _fields("property propertytype value"),
                  instance_properties, protected=False),
        Operation("GetVersionInfo", "version", "InstanceVersionInfo", _fields("Filename VersionInfo Time"),
                  version_info),
        Operation("ABAPGetWPTable", "workprocess", "WorkProcess", _fields(_WORK_PROCESS), work_process_table),
        Operation("ABAPGetSystemWPTable", "workprocess", "SystemWorkProcess", _fields(f"Instance {_WORK_PROCESS}"),
                  system_work_process_table, _fields("activeonly:boolean")),
        Operation("GetQueueStatistic", "queue", "TaskHandlerQueue",
                  _fields("Typ Now:int High:int Max:int Writes:int Reads:int"), queue_statistic),
        Operation("ABAPReadSyslog", "log", "SyslogEntry", _fields("Time Typ Client User Tcode MNo Text Severity:color"),
                  read_syslog),
        Operation("EnqGetLockTable", "lock", "EnqLock",
                  _fields("lock-name lock-arg lock-mode owner owner-vb use-count-owner:int use-count-owner-vb:int "
                          "client user transaction object backup:boolean"), lock_table),
        Operation("J2EEGetProcessList", "process", "J2EEProcess", _fields(
                "telnetPort:int name pid:int type restart exitCode state statetext startTime elapsedTime"
                " restartCount:int errorCount:int cpu debug"
            ), java_processes),
        Operation("EnqGetStatistic", "", "EnqStatistic", _fields(_ENQUEUE), enqueue_statistic),
        Operation("GetAlertTree", "tree", "AlertNode",
                  _fields("name parent:int ActualValue:color description Time AnalyseTool VisibleLevel "
                          "HighAlertValue:color AlDescription AlTime Tid"),
                  lambda seat, given: alert_tree(seat.dispatcher()), protected=False),
    )
}  # fmt: skip
"""The default of ``service/protectedwebmethods`` protects nearly everything (`SCN-PROTECTED`)."""
