"""The monitoring tree of an instance (GetAlertTree, `SAPCONTROL-WSDL`): nodes address their parent by its place in the
list.
"""

from __future__ import annotations

from lpmkit.simulator.sap.records import BACKGROUND, DIALOG, stamp
from lpmkit.simulator.sap.system import System

Node = tuple[str, int, str, str, str, str, str, str, str, str, str]


def alert_tree(system: System) -> list[Node]:
    """The nodes in order, parents first; the root's parent is -1 (U).

    Names repeat under different parents, as they do in life.
    """
    with system.lock:
        free = {
            kind: 100 * sum(each.free for each in system.work_processes if each.kind == kind)
            // max(1, sum(each.kind == kind for each in system.work_processes))
            for kind in (DIALOG, BACKGROUND)
        }  # fmt: skip
        aborted = sum(job.status == "A" for job in system.jobs)
        waiting = sum(job.status == "Y" for job in system.jobs)
        users, locks, dumps = len(system.sessions), len(system.locks()), len(system.dumps)
        errors = sum(each.errors for each in system.work_processes)
        broken = sum(each.state != 255 for each in system.updates)
        now = stamp(system.wall_s)
    made: list[Node] = []

    def add(name: str, parent: int, value: str = "", color: str = "GREEN", level: str = "OPERATOR") -> int:
        at, sid = len(made), system.installed.sid
        uid = f"{4711 + 13 * at:010d}"
        tid = (
            f"MTSYSID={sid};MTMCNAME={system.installed.server(system.host)};MTNUMRANGE=004;MTUID={uid};MTCLASS=100;"
            f"MTINDEX={at:010d};EXTINDEX=0000000000;"
        )
        tool = f"TCODE=rz25;DSPMODE=E;SYSID={sid};TOOL=\\sap\\{name.lower()};" if value else ""
        made.append(
            (name, parent, color if value else "GREEN", value, now, tool, f"SAPControl-{level}", color, "", "", tid)
        )
        return at

    root = add(f"SAP CCMS Monitor Templates\\{system.installed.sid}", -1)
    services = add("R3Services", root)
    dialog = add("Dialog", services)
    add("ResponseTime", dialog, "412 msec")
    add("QueueTime", dialog, "1 msec")
    add("UsersLoggedIn", dialog, str(users))
    add("FreeWPPercentage", dialog, f"{free[DIALOG]} %")
    background = add("Background", services)
    add("FreeWPPercentage", background, f"{free[BACKGROUND]} %")
    add("AbortedJobs", background, str(aborted), "YELLOW" if aborted else "GREEN")
    add("WaitingJobs", background, str(waiting))
    update = add("Update", services)
    add("ErrorsInWpUPD", update, str(broken), "RED" if broken > 5 else "GREEN")
    enqueue = add("Enqueue", services)
    add("EnqueueTableEntries", enqueue, str(locks))
    basis = add("R3BasisSystem", root)
    abap = add("R3Abap", basis)
    add("Shortdumps", abap, f"{dumps} /day", "YELLOW" if dumps > 10 else "GREEN")
    add("WorkProcessTerminations", basis, str(errors), "RED" if errors else "GREEN", "EXPERT")
    host = add("OperatingSystem", root)
    add("Percentage_Used", add("CPU", host), "31 %")
    add("Percentage_Used", add("/usr/sap", host), "62 %")
    add("Percentage_Used", add("/oracle", host), "- %")
    return made
