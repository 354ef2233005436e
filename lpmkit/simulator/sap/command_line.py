"""The commands that ``<sid>adm`` can type: ``sapcontrol``, ``dpmon``, ``saplikey`` or ``saplicense``, ``disp+work -V``,
``R3trans -d``.

Which of them there are depends on the kernel: ``sapcontrol`` and ``saplikey`` from 7.00, ``saplicense`` before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lpmkit.simulator.sap import monitor
from lpmkit.simulator.sap.installation import hardware_key
from lpmkit.simulator.sap.operations import OPERATIONS, Operation, OperationFault, Row, Seat
from lpmkit.simulator.sap.recalled import SAPCONTROL_USAGE, saplicense_get, saplicense_show
from lpmkit.simulator.sap.startsrv import text_of
from lpmkit.simulator.sap.system import System
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Reply, lines

COPYRIGHT = "SAP License Key Administration  -  Copyright (C) 2003 - 2016 SAP AG"
REFUSED = "NIECONN_REFUSED (Connection refused), NiRawConnect failed in plugin_fopen()"

#: Exit statuses of sapcontrol (`SAPAGENT`): a healthy instance is 3.
SUCCEEDED, FAILED, ALL_RUNNING, ALL_STOPPED = 0, 1, 3, 4


def run(system: System, name: str, arguments: Sequence[str], stdin: Callable[[], str]) -> Reply | None:
    """Answer a command of the SAP kernel; ``None`` when this system has none of that name."""
    modern = system.installed.has_start_service
    handlers: dict[str, Callable[[], Reply]] = {
        "dpmon": lambda: monitor.dpmon(system, arguments, stdin()),
        "disp+work": lambda: version(system),
        "R3trans": lambda: r3trans(system, arguments),
    }
    if modern:
        handlers |= {
            "sapcontrol": lambda: sapcontrol(system, arguments),
            "saplikey": lambda: saplikey(system, arguments),
        }
    else:
        handlers |= {"saplicense": lambda: saplicense(system, arguments)}
    if system.installed.other is not None:
        del handlers["dpmon"], handlers["disp+work"]
    handler = handlers.get(name)
    return None if handler is None else handler()


def sapcontrol(system: System, arguments: Sequence[str]) -> Reply:
    """``sapcontrol -nr NN [-format script] -function NAME [ARGUMENT …]``, list and script form (`SAPAGENT`,
    `SAP-RA`).
    """
    words = list(arguments)
    given: list[str] = []
    if "-function" in words:
        at = words.index("-function")
        words, given = words[:at], words[at + 1 :]
    if "-user" in words:  # takes two words
        at = words.index("-user")
        del words[at : at + 3]
    options = read(words, "-nr -format -prot -host -repeat -systempki")
    form, number = options["-format"] or "list", options["-nr"]
    if number is None or not given or not number.isdecimal() or form not in ("list", "script"):
        return Reply(SAPCONTROL_USAGE, status=FAILED)
    head = f"\n{time.strftime('%d.%m.%Y %H:%M:%S', time.gmtime(time.time()))}\n{given[0]}\n"
    installed = system.installed
    seats = {int(installed.number): False} | ({} if installed.classic else {int(installed.central_services): True})
    if int(number) not in seats or not system.start_service_runs:
        return Reply(f"{head}FAIL: {REFUSED}\n", status=FAILED)
    operation = OPERATIONS.get(given[0])
    if operation is None:
        return Reply(f"{head}FAIL: Unknown function\n", status=FAILED)
    parameters = dict(zip((each.name for each in operation.parameters), given[1:], strict=False))
    try:
        rows = operation.answer(Seat(system, seats[int(number)]), parameters)
    except OperationFault as problem:
        return Reply(f"{head}FAIL: {problem}\n", status=FAILED)
    body = _script(operation, rows) if form == "script" else _list(operation, rows)
    return Reply(f"{head}OK\n{body}", status=_status(operation, rows))


def _status(operation: Operation, rows: Sequence[Row]) -> int:
    if operation.name != "GetProcessList":
        return SUCCEEDED
    states = {str(row[2]) for row in rows}
    return {"GREEN": ALL_RUNNING, "GRAY": ALL_STOPPED}.get("".join(states), SUCCEEDED)


def _titles(operation: Operation) -> list[str]:
    """Underscores where the XML has hyphens (`SAPCONTROL-WSDL`, `SAPAGENT`)."""
    return [column.name.replace("-", "_") for column in operation.fields]


def _list(operation: Operation, rows: Sequence[Row]) -> str:
    if not operation.listed:
        return "".join(
            f"{title}: {text_of(column, value)}\n"
            for title, column, value in zip(_titles(operation), operation.fields, rows[0], strict=True)
        )
    body = [
        ", ".join(text_of(column, value) for column, value in zip(operation.fields, row, strict=True)) for row in rows
    ]
    return "".join(f"{line}\n" for line in [", ".join(_titles(operation)), *body])


def _script(operation: Operation, rows: Sequence[Row]) -> str:
    return "".join(
        f"{at} {title}: {text_of(column, value)}\n"
        for at, row in enumerate(rows)
        for title, column, value in zip(_titles(operation), operation.fields, row, strict=True)
    )


def saplikey(system: System, arguments: Sequence[str]) -> Reply:
    """``saplikey pf=… -get`` and ``-show`` (`SAPLIKEY`; the list as the sap_operations collection quotes it)."""
    installed = system.installed
    key = hardware_key(system.machine_id())
    if "-get" in arguments:
        return lines(
            COPYRIGHT,
            "",
            f"System ID. . . . : {installed.sid}",
            f"Hardware Key . . : {key}        (of this computer)",
            f"Installation No. : {installed.installation_number}",
            "System No. . . . : 000000000312345678",
            f"Release. . . . . : {installed.kernel}",
            "Software products: NetWeaver_ORA",
        )
    if "-show" not in arguments:
        return Reply(
            err=f"{COPYRIGHT}\n\nusage: saplikey pf=<profile> -get | -show | -install <file> | -delete …\n", status=1
        )
    rows = [COPYRIGHT, "", "List of installed License Keys:", "=" * 42, ""]
    for at, machine in enumerate(installed.licensed, start=1):
        rows += [
            f"{at}. License Key:",
            "-" * 42,
            f"System                : {installed.sid}",
            f"Hardware Key          : {hardware_key(machine)}",
            "Software Product      : NetWeaver_ORA",
            "Software Product Limit: 2147483647",
            "Type of License Key   : permanent",
            f"Installation Number   : {installed.installation_number}",
            "System Number         : 000000000312345678",
            f"Begin of Validity     : {time.strftime('%Y%m%d', time.gmtime(system.started_s - 8e6))}",
            "End   of Validity     : 99991231",
            f"Last successful check : {time.strftime('%Y%m%d', time.gmtime(system.wall_s)) if machine == system.machine_id() else '00000000'}",
            "Validity              : valid",
            "",
        ]
    return lines(*rows, "-" * 42, f"{len(installed.licensed)} license keys listed.")


def saplicense(system: System, arguments: Sequence[str]) -> Reply:
    """``saplicense -get`` and ``-show`` of a kernel before 7.00."""
    installed = system.installed
    if "-get" in arguments:
        return Reply(saplicense_get(installed.sid, hardware_key(system.machine_id())))
    if "-show" in arguments:
        keys = [hardware_key(machine) for machine in installed.licensed]
        return Reply(saplicense_show(installed.sid, keys, installed.installation_number))
    return Reply(err="usage: saplicense -get | -show | -install | -delete | -temp | -test\n", status=1)


def version(system: System) -> Reply:
    """``disp+work -V``: label and value in columns, blank lines and other talk between them (`TRENTO`)."""
    installed = system.installed
    return lines(
        "",
        "--------------------",
        "disp+work information",
        "--------------------",
        "",
        f"kernel release                {installed.kernel}",
        "",
        "kernel make variant           " + f"{installed.kernel}_REL",
        "",
        "DBMS client library           OCI_102 / OCI_112"
        if int(installed.kernel) >= 700
        else "DBMS client library           OCI_920_SHARE",
        "",
        "compiled on                   AIX 2 5 00538A4A4C00"
        if installed.classic
        else "compiled on                   AIX 1 6 00CFADC14C00 for rs6000_64",
        "",
        f"compilation mode              {'UNICODE' if installed.has_start_service else 'Non-Unicode'}",
        "",
        "compile time                  Oct 16 2021 00:03:15"
        if installed.has_start_service
        else "compile time                  Feb 21 2008 22:09:48",
        "",
        f"patch number                  {installed.patch}",
        "",
        "source id                     0." + str(installed.patch),
        "",
    )


def r3trans(system: System, arguments: Sequence[str]) -> Reply:
    """``R3trans -d``: whether the database can be reached."""
    if "-d" not in arguments:
        return Reply(err="usage: R3trans -d | -x | …\n", status=8)
    return lines("This is R3trans version 6.14 (release " + system.installed.kernel + ").", "R3trans finished (0000).")
