"""``dpmon``, the dispatcher's monitor: it looks into shared memory, so it answers when neither logon nor sapstartsrv
does (`SCN-DPMON`).

The boxed tables (sessions, queues) follow what readers of them expect; the work process table is of the form of old
kernels and recalled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lpmkit.simulator.sap.recalled import DPMON_HEAD, GERMAN_ANSWER, GERMAN_STATUS, dpmon_row
from lpmkit.simulator.sap.records import DIALOG, WorkProcess, lasted
from lpmkit.simulator.sap.system import System
from lpmkit.simulator.shells.reply import Reply

#: How SM50 and dpmon call the states that sapstartsrv shortens.
STATUS_TEXTS = {"Wait": "Waiting", "Run": "Running", "Hold": "On Hold", "Stop": "Stopped", "Ended": "Stopped"}


def dpmon(system: System, arguments: Sequence[str], stdin: str) -> Reply:
    """``dpmon pf=PROFILE [KEY]`` with keys on standard input too; ``q`` ends it, and so does the end of the input."""
    if not any(word.startswith("pf=") for word in arguments) or not system.dispatcher_runs:
        return Reply("*** ERROR => DpMonInit failed (rc=-1) [dpmon.c]\n", status=1)
    keys = [word for word in arguments if len(word) == 1] + [line.strip()[:1] for line in stdin.splitlines()]
    shown: list[str] = []
    for key in keys:
        if key == "q":
            break
        shown += KEYS[key](system) if key in KEYS else []
        shown += MENU
    return Reply("\n".join(shown or MENU))  # the prompt of the menu has no line end


def status_text(each: WorkProcess, german: bool) -> str:
    text = STATUS_TEXTS[each.status]
    return GERMAN_STATUS[text] if german else text


def _title(system: System, text: str) -> list[str]:
    """The time is the server's own; older kernels underline the title."""
    modern = system.installed.has_start_service
    when = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(time.time()))
    if modern:
        return ["", f"ABAP {text:<21}{when} (UTC)", ""]
    return ["", f"{text:<26}{when}", "=" * len(text), ""]


def _work_processes(system: System) -> list[str]:
    yes = GERMAN_ANSWER["Yes"] if system.german else "yes"
    with system.lock:
        rows = [
            dpmon_row(
                number=each.number, kind=each.kind, pid=each.pid, status=status_text(each, system.german),
                cause=each.reason, start=yes,
                err=each.errors or "", sem="", cpu=lasted(each.cpu_s),
                time="" if each.free else int(system.wall_s - each.since_s),
                program=each.program, client=each.client, user=each.user, action=each.action, table=each.table,
            )
            for each in system.work_processes
        ]  # fmt: skip
    return [*_title(system, "Workprocess Table"), DPMON_HEAD, "-" * 120, *rows, ""]


def _box(titles: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    rule = "+" + "+".join("-" * width for width in widths) + "+"
    drawn = [
        "|" + "|".join(f"{cell:<{width}.{width}}" for cell, width in zip(row, widths, strict=True)) + "|"
        for row in (titles, *rows)
    ]
    return [rule, drawn[0], rule, *drawn[1:], rule]


def _queues(system: System) -> list[str]:
    with system.lock:
        rows = [
            [
                each.name.removeprefix("ABAP/"),
                *(f"{number:>9}" for number in (each.now, each.high, each.size, each.writes, each.reads)),
            ]
            for each in system.queues.values()
            if each.name.startswith("ABAP/")
        ]
    titles = ["Typ", *(f"{word:>9}" for word in ("now", "high", "max", "writes", "reads"))]
    return [*_title(system, "Dispatcher Queue Statistics"), *_box(titles, rows, (6, 9, 9, 9, 9, 9)), ""]


def _sessions(system: System) -> list[str]:
    """GUI sessions, and one of type BATCH for every job at work."""
    with system.lock:
        client = system.installed.client
        rows = [
            ["GUI", f"T{each.number}_U{4000 + each.number}_M{mode}", client, each.plan.name, each.plan.terminal,
             time.strftime("%H:%M:%S", time.gmtime(each.last_s)), each.plan.transaction, "low"]
            for each in system.sessions
            for mode in range(each.plan.sessions)
        ]  # fmt: skip
        rows += [
            ["BATCH", f"T{200 + job.worker_number}_U{4711 + job.worker_number}_M0", client, job.plan.user, system.host,
             time.strftime("%H:%M:%S", time.gmtime(system.wall_s)), "", "low"]
            for job in system.running()
        ]  # fmt: skip
    titles = ["Type", "Session", "Cl.", "User", "Terminal", "Time", "Tcode", "Prio"]
    if system.installed.has_start_service:
        titles[:3] = ["Logon-Type", "Sess-Key", "Cli"]
    return [
        *_title(system, "Session Table"),
        *_box(titles, rows, (12, 16, 3, 12, 20, 8, 20, 4)),
        "",
        f"Found {len(rows)} logons with {len(rows)} sessions",
        "",
    ]


def _connections(system: System) -> list[str]:
    titles = ["No", "Conv.-Id", "Cl.", "User", "Type", "Partner"]
    with system.lock:
        free = sum(each.free for each in system.work_processes if each.kind == DIALOG)
    rows = [["0", "47110815", system.installed.client, "ALEREMOTE", "SERVER", "192.0.2.40"]] if free else []
    return [
        *_title(system, "RFC-Connection Table"),
        *_box(titles, rows, (4, 10, 3, 12, 8, 20)),
        "",
        f"Found {len(rows)} RFC-Connections",
        "",
    ]


KEYS: dict[str, Callable[[System], list[str]]] = {
    "p": _work_processes,
    "l": _work_processes,
    "d": _queues,
    "e": _queues,
    "v": _sessions,
    "c": _connections,
}
MENU = ["", "\tp - workprocess table", "\tl - workprocess table (long)", "\td - queue statistics",
        "\tv - session table",
        "\tc - RFC connections", "\tm - menue", "\tq - quit", "", "--> "]  # fmt: skip
