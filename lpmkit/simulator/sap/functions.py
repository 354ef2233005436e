"""Function modules, as far as a machine may call them from outside (`STECHNO`, `SAPDATASHEET`, `LEANX`).

A module takes import parameters and tables and gives export parameters and tables; every value is text or a number.
What it refuses is an `AbapException` with the key that callers know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from lpmkit.simulator.sap import monitor, xbp
from lpmkit.simulator.sap.abap import AbapException, Call, Result
from lpmkit.simulator.sap.recalled import (
    GERMAN_ACTION,
    GERMAN_ANSWER,
    MSGTYPES,
    WP_ISTATUS,
    WP_ITYPES,
    enqueue_row,
)
from lpmkit.simulator.sap.records import Scalar, clock
from lpmkit.simulator.sap.tables import TABLES, BadClause, Column, Table, joined, select

LONGEST_ROW = 512
LONGEST_LINE = 128
#: Basis 7.50 SP23 and later give the columns in the order of the table and not as asked for (`SAP-HEALTH`).
TABLE_ORDER_SINCE = 750
#: Operating system commands that somebody has defined in SM69.
COMMANDS: Mapping[str, str] = {"ZLSCONF": "/usr/sbin/lsconf", "ZUNAME": "/usr/bin/uname", "ZDATE": "/usr/bin/date"}


def call(asked: Call) -> Result:
    """Carry out a function module. Raises `AbapException`; ``FU_NOT_FOUND`` when there is none of that name."""
    module = MODULES.get(asked.name)
    if module is None:
        raise AbapException("FU_NOT_FOUND", f'Function module "{asked.name}" not found', system=True)
    if (
        module is os_command
    ):  # it runs a command of the machine, which may ask the system things under a lock of its own
        return module(asked)
    with asked.system.lock:
        return module(asked)


def ping(asked: Call) -> Result:
    return Result()


def system_info(asked: Call) -> Result:
    """RFCSI_EXPORT; RFCHOST has eight characters only (`TCLSAP`)."""
    system, installed = asked.system, asked.system.installed
    facts = {
        "RFCPROTO": "011",
        "RFCCHARTYP": "1100" if not installed.has_start_service else "4102",
        "RFCINTTYP": "BIG",
        "RFCFLOTYP": "IE3",
        "RFCDEST": installed.server(system.host),
        "RFCHOST": system.host[:8],
        "RFCSYSID": installed.sid,
        "RFCDATABS": installed.sid,
        "RFCDBHOST": system.host,
        "RFCDBSYS": "ORACLE",
        "RFCSAPRL": installed.basis,
        "RFCMACH": "  324" if not installed.has_start_service else "  320",
        "RFCOPSYS": "AIX",
        "RFCTZONE": "     0",
        "RFCDAYST": "",
        "RFCIPADDR": "",
        "RFCKERNRL": installed.kernel,
        "RFCHOST2": system.host,
    }
    return Result({"RFCSI_EXPORT": facts, "CURRENT_RESOURCES": 6, "MAXIMAL_RESOURCES": 9})


def read_table(asked: Call) -> Result:
    """RFC_READ_TABLE: rows of at most 512 characters, to be cut by the offsets that come back."""
    table = TABLES.get(asked.value("QUERY_TABLE"))
    if table is None:
        raise AbapException(
            "TABLE_NOT_AVAILABLE", f"Table {asked.value('QUERY_TABLE')} is not active in the Dictionary"
        )
    columns = _chosen(asked, table)
    delimiter = asked.value("DELIMITER")[:1]
    width = sum(column.length for column in columns) + len(delimiter) * (len(columns) - 1)
    fields, offset = [], 0
    for column in columns:
        fields.append(
            {
                "FIELDNAME": column.name,
                "OFFSET": f"{offset:06}",
                "LENGTH": f"{column.length:06}",
                "TYPE": column.kind,
                "FIELDTEXT": column.text,
            }
        )
        offset += column.length + len(delimiter)
    if asked.value("NO_DATA"):
        return Result(tables={"FIELDS": fields, "DATA": []})
    if width > LONGEST_ROW:
        raise AbapException("DATA_BUFFER_EXCEEDED", f"The row has {width} characters")
    try:
        rows = select(asked.system, table, joined([line.get("TEXT", "") for line in asked.table("OPTIONS")]))
    except BadClause as problem:
        raise AbapException("OPTION_NOT_VALID", str(problem)) from problem
    skip, count = asked.number("ROWSKIPS"), asked.number("ROWCOUNT")
    rows = rows[skip : skip + count if count else None]
    data = [{"WA": delimiter.join(row[column.name] for column in columns).rstrip()} for row in rows]
    return Result(tables={"FIELDS": fields, "DATA": data})


def _chosen(asked: Call, table: Table) -> Sequence[Column]:
    names = [entry.get("FIELDNAME", "").strip() for entry in asked.table("FIELDS")]
    names = [name for name in names if name]
    if not names:
        return table.columns
    found = [table.column(name) for name in names]
    columns = [column for column in found if column is not None]
    if len(columns) != len(names):
        raise AbapException("FIELD_NOT_VALID", ", ".join(sorted(set(names) - {column.name for column in columns})))
    if int(asked.system.installed.basis) >= TABLE_ORDER_SINCE:
        return [column for column in table.columns if column in columns]
    return columns


def work_processes(asked: Call) -> Result:
    """TH_WPINFO; texts follow the language of the logon (`LEANX`, `SAPNOTE:39412`), and BTC is called BGD in old
    releases.
    """
    system = asked.system
    named = asked.value("SRVNAME")
    if named not in ("", system.installed.server(system.host)):
        raise AbapException("SEND_ERROR", f"Server {named} cannot be reached")
    background = "BTC" if system.installed.has_start_service else "BGD"
    rows: list[dict[str, Scalar]] = [
        {
            "WP_NO": f"{each.number:>2}",
            "WP_INDEX": each.number,
            "WP_ITYPE": WP_ITYPES[each.kind],
            "WP_TYP": {"BTC": background}.get(each.kind, each.kind),
            "WP_PID": str(each.pid),
            "WP_ISTATUS": WP_ISTATUS[each.status],
            "WP_STATUS": monitor.status_text(each, asked.german)[:7],
            "WP_IWAIT": 0,
            "WP_WAITING": each.reason,
            "WP_SEM": "",
            "WP_IRESTRT": 1,
            "WP_RESTART": GERMAN_ANSWER["Yes"] if asked.german else "Yes",
            "WP_DUMPS": str(each.errors) if each.errors else "",
            "WP_CPU": f"{int(each.cpu_s // 60)}:{int(each.cpu_s % 60):02}"
            if asked.value("WITH_CPU") not in ("", "0", "00")
            else "",
            "WP_ELTIME": "" if each.free else str(int(system.wall_s - each.since_s)),
            "WP_MANDT": each.client,
            "WP_BNAME": each.user,
            "WP_REPORT": each.program,
            "WP_IACTION": 0,
            "WP_ACTION": GERMAN_ACTION.get(each.action, each.action) if asked.german else each.action,
            "WP_TABLE": each.table,
        }
        for each in system.work_processes
    ]
    return Result(tables={"WPLIST": rows})


def users(asked: Call) -> Result:
    """TH_USER_LIST; type 4 is a GUI."""
    rows: list[dict[str, Scalar]] = [
        {
            "TID": each.number,
            "MANDT": asked.system.installed.client,
            "BNAME": each.plan.name,
            "TCODE": each.plan.transaction,
            "TERM": each.plan.terminal,
            "ZEIT": clock(each.last_s),
            "TYPE": 4,
            "STAT": 1,
            "EXTMODI": each.plan.sessions,
            "HOSTADDR": each.plan.address,
        }
        for each in asked.system.sessions
    ]
    return Result(tables={"LIST": rows, "USRLIST": rows})


def servers(asked: Call) -> Result:
    """TH_SERVER_LIST: one application server with all services."""
    system = asked.system
    row = {
        "NAME": system.installed.server(system.host),
        "HOST": system.host,
        "SERV": f"sapdp{system.installed.number}",
        "MSGTYPES": MSGTYPES[system.installed.classic],
        "HOSTADR": "C0000255",
        "SERVNO": f"{system.installed.ports.dispatcher:04X}",
    }
    return Result(tables={"LIST": [row], "LIST_IPV6": [row]})


def locks(asked: Call) -> Result:
    """ENQUEUE_READ; empty selections mean all."""
    user = asked.value("GUNAME")
    rows = [enqueue_row(each) for each in asked.system.locks() if user in ("", "*", each.user)]
    return Result({"NUMBER": len(rows), "SUBRC": 0}, {"ENQ": rows})


def os_command(asked: Call) -> Result:
    """SXPG_COMMAND_EXECUTE: a command of SM69 as ``<sid>adm``; its lines are cut at 128 characters (`STECHNO`,
    `SE80`).
    """
    program = COMMANDS.get(asked.value("COMMANDNAME"))
    if program is None:
        raise AbapException("COMMAND_NOT_FOUND", f"Command {asked.value('COMMANDNAME')} is not defined")
    given = asked.value("ADDITIONAL_PARAMETERS")
    if len(given) > 255:
        raise AbapException("PARAMETERS_TOO_LONG", "More than 255 characters")
    if any(char in given for char in "|;&<>`$"):
        raise AbapException("SECURITY_RISK", "The parameters hold characters that are not allowed")
    text, status = asked.execute(f"{program} {given}".strip())
    rows: list[dict[str, Scalar]] = [
        {"LENGTH": min(len(line) - at, LONGEST_LINE), "MESSAGE": line[at : at + LONGEST_LINE]}
        for line in text.splitlines()
        for at in range(0, max(1, len(line)), LONGEST_LINE)
    ]
    return Result({"STATUS": "O" if status == 0 else "E", "EXITCODE": status}, {"EXEC_PROTOCOL": rows})


def connection_test(asked: Call) -> Result:
    """STFC_CONNECTION echoes what it is sent."""
    installed = asked.system.installed
    now = time.gmtime(time.time())
    said = f"SAP R/3 Rel. {installed.basis}   Sysid: {installed.sid}      Date: {time.strftime('%Y%m%d', now)}   "
    said += (
        f"Time: {time.strftime('%H%M%S', now)}   Logon_Data: {installed.client}/{installed.rfc_user}/{asked.language}"
    )
    return Result({"ECHOTEXT": asked.value("REQUTEXT"), "RESPTEXT": said})


MODULES: Mapping[str, Callable[[Call], Result]] = {
    "RFC_PING": ping,
    "RFC_SYSTEM_INFO": system_info,
    "STFC_CONNECTION": connection_test,
    "RFC_READ_TABLE": read_table,
    "TH_WPINFO": work_processes,
    "TH_USER_LIST": users,
    "TH_SERVER_LIST": servers,
    "ENQUEUE_READ": locks,
    "SXPG_COMMAND_EXECUTE": os_command,
    **xbp.MODULES,
}
