"""The interface for external job schedulers, XBP over XMI (`STECHNO`, `REDWOOD-XBP`).

Its logon lives as long as the connection does.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping

from lpmkit.simulator.sap.abap import AbapException, Call, Result
from lpmkit.simulator.sap.recalled import XMI_MESSAGES, job_log_row
from lpmkit.simulator.sap.records import Job, Scalar, clock, date
from lpmkit.simulator.sap.tables import job_facts

#: Versions by the first basis release that has them (2.0 came to 6.20 by support package).
VERSIONS = (("0.1", 310), ("1.0", 400), ("2.0", 620), ("3.0", 700))
#: Flags of BAPIXMJSEL, and the states that they choose; with none of them set, all.
FLAGS = {"PRELIM": "P", "SCHEDUL": "S", "READY": "Y", "RUNNING": "R", "FINISHED": "F", "ABORTED": "A"}


def offered(basis: str) -> list[str]:
    """
    >>> offered("620"), offered("750")[-1]
    (['0.1', '1.0', '2.0'], '3.0')
    """
    return [version for version, since in VERSIONS if int(basis) >= since]


def told(key: str, kind: str = "E", text: str = "") -> dict[str, str | int]:
    """A BAPIRET2."""
    number, message = XMI_MESSAGES[key]
    return {"TYPE": kind, "ID": "XM", "NUMBER": number, "MESSAGE": text or message, "MESSAGE_V1": "", "MESSAGE_V2": ""}


NOTHING: Mapping[str, str | int] = {
    "TYPE": "",
    "ID": "",
    "NUMBER": "000",
    "MESSAGE": "",
    "MESSAGE_V1": "",
    "MESSAGE_V2": "",
}


def logon(asked: Call) -> Result:
    interface, version = asked.value("INTERFACE"), asked.value("VERSION")
    if not asked.value("EXTCOMPANY") or not asked.value("EXTPRODUCT"):
        return Result({"SESSIONID": "", "RETURN": told("MSG_CANT_LOG")})
    if interface != "XBP" or version not in offered(asked.system.installed.basis):
        return Result({"SESSIONID": "", "RETURN": told("MSG_CANT_LOG")})
    asked.conversation.interfaces.add(interface)
    session = f"{date(asked.system.wall_s)}{clock(asked.system.wall_s)}{asked.system.chance.randint(0, 10**9):010d}"[
        :24
    ]
    return Result({"SESSIONID": session, "RETURN": NOTHING})


def logoff(asked: Call) -> Result:
    asked.conversation.interfaces.discard(asked.value("INTERFACE"))
    return Result({"RETURN": NOTHING})


def versions(asked: Call) -> Result:
    rows = [{"INTERFACE": "XBP", "VERSION": version} for version in offered(asked.system.installed.basis)]
    chosen = [row for row in rows if asked.value("INTERFACE") in ("", "XBP")]
    return Result({"RETURN": NOTHING}, {"VERSIONS": chosen})


def _refusal(asked: Call) -> dict[str, str | int] | None:
    if "XBP" not in asked.conversation.interfaces:
        return told("MSG_NOT_LOGGED_ON")
    return None if asked.value("EXTERNAL_USER_NAME") else told("MSG_EXT_USER_MISSING")


def select(asked: Call) -> Result:
    """Nothing found is an error return (`STECHNO`)."""
    wanted = asked.structure("JOB_SELECT_PARAM")
    refusal = _refusal(asked)
    if refusal is None and not wanted.get("JOBNAME"):
        refusal = told("MSG_SELECT_JOBNAME_MISSING")
    if refusal is None and not wanted.get("USERNAME"):
        refusal = told("MSG_SELECT_USERNAME_MISSING")
    found = (
        []
        if refusal is not None
        else [job for job in (*asked.system.jobs, *asked.system.earlier_jobs) if _matches(job, wanted)]
    )
    if refusal is None and not found:
        refusal = told("MSG_NO_JOBS_FOUND")
    rows = [job_facts(asked.system, job) for job in found]
    names = [{"JOBNAME": job.name, "JOBCOUNT": job.count} for job in found]
    return Result(
        {"ERROR_CODE": "" if refusal is None else refusal["NUMBER"], "RETURN": refusal or NOTHING},
        {"JOB_HEAD": rows, "SELECTED_JOBS": names},
    )


def _matches(job: Job, wanted: Mapping[str, str]) -> bool:
    states = {state for flag, state in FLAGS.items() if wanted.get(flag) == "X"}
    when = date(job.started_s or job.scheduled_s) + clock(job.started_s or job.scheduled_s)
    begin = wanted.get("FROM_DATE", "").replace("-", "") + wanted.get("FROM_TIME", "").replace(":", "")
    end = wanted.get("TO_DATE", "").replace("-", "") + wanted.get("TO_TIME", "").replace(":", "")
    dated = job.started_s is not None or job.scheduled_s is not None
    return (
        fnmatch.fnmatchcase(job.name, wanted["JOBNAME"])
        and fnmatch.fnmatchcase(job.plan.user, wanted["USERNAME"])
        and (not states or job.status in states)
        and (not dated or not begin.strip("0") or when >= begin.ljust(14, "0"))
        and (not dated or not end.strip("0") or when <= end.ljust(14, "9"))
    )


def _one(asked: Call) -> tuple[Job | None, Mapping[str, str | int]]:
    """The job that is meant, and what is to be said of it."""
    refusal = _refusal(asked)
    if refusal is not None:
        return None, refusal
    name, count = asked.value("JOBNAME"), asked.value("JOBCOUNT")
    job = next((each for each in asked.system.jobs if (each.name, each.count) == (name, count)), None)
    return job, NOTHING if job is not None else told("MSG_JOB_DOES_NOT_EXIST")


def status(asked: Call) -> Result:
    job, said = _one(asked)
    return Result({"STATUS": "" if job is None else job.status, "HAS_CHILD": "", "RETURN": said})


def status_check(asked: Call) -> Result:
    """The status in the table and the real one: a job without a work process is not active, and the row is repaired
    (`STECHNO`).
    """
    job, said = _one(asked)
    if job is None:
        return Result({"ACTUAL_STATUS": "", "STATUS_ACCORDING_TO_DB": "", "RETURN": said})
    recorded = job.status
    if recorded == "R" and job.worker is None:
        job.status, job.ended_s = "A", asked.system.wall_s
    return Result({"ACTUAL_STATUS": job.status, "STATUS_ACCORDING_TO_DB": recorded, "RETURN": said})


def definition(asked: Call) -> Result:
    job, said = _one(asked)
    if job is None:
        return Result({"RETURN": said}, {"STEP_TBL": []})
    steps: list[dict[str, Scalar]] = [
        {"STEPCOUNT": at + 1, "PROGNAME": job.plan.program, "AUTHCKNAM": job.plan.user, "TYP": "A"}
        for at in range(len(job.plan.steps_s))
    ]
    return Result({"JOB_HEAD": job_facts(asked.system, job), "RETURN": said}, {"STEP_TBL": steps})


def log(asked: Call) -> Result:
    """The job's log, in the language of the logon."""
    job, said = _one(asked)
    lines = [] if job is None else job.log
    rows = [job_log_row(line, asked.german) for line in lines]
    return Result({"RETURN": said}, {"JOB_PROTOCOL": rows})


def dialog_only(asked: Call) -> Result:
    """BP_JOB_SELECT and its sisters are the calls behind SM37, not for callers from outside."""
    raise AbapException(
        "CALL_FUNCTION_NOT_REMOTE", f'Function module "{asked.name}" cannot be called remotely', system=True
    )


MODULES: Mapping[str, Callable[[Call], Result]] = {
    "BAPI_XMI_LOGON": logon,
    "BAPI_XMI_LOGOFF": logoff,
    "BAPI_XMI_GET_VERSIONS": versions,
    "SXMI_VERSIONS_GET": versions,
    "BAPI_XBP_JOB_SELECT": select,
    "BAPI_XBP_JOB_STATUS_GET": status,
    "BAPI_XBP_JOB_STATUS_CHECK": status_check,
    "BAPI_XBP_JOB_DEFINITION_GET": definition,
    "BAPI_XBP_JOB_JOBLOG_READ": log,
    "BP_JOB_SELECT": dialog_only,
    "BP_JOBLOG_READ": dialog_only,
}
