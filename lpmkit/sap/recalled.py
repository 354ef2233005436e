"""Facts about SAP that are recalled and were not seen in a source: in this one place, to be replaced by what a system
really prints.

Nothing depends on it for more than a word's meaning: where a word is unknown the value is kept as it is and marked
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Words of a work process' status in other logon languages than English, lower case: (word, English word).
STATUS_WORDS: Mapping[str, str] = {
    "wartet": "waiting",
    "läuft": "running",
    "laeuft": "running",
    "hält": "on hold",
    "haelt": "on hold",
    "gestoppt": "stopped",
    "gestopt": "stopped",
    "beendet": "ended",
    "en attente": "waiting",
    "actif": "running",
    "arrêté": "stopped",
}
#: Other names of a work process' type.
TYPE_WORDS: Mapping[str, str] = {"BGD": "BTC", "BTC": "BTC", "HIN": "BTC", "VB": "UPD", "VB2": "UP2", "UPD2": "UP2"}
#: Labels of ``saplicense -show`` (before 7.00) that ``saplikey -show`` does not use: what they are called there.
LICENCE_LABELS: Mapping[str, str] = {
    "system id": "system",
    "product": "software product",
    "type of key": "type of license key",
    "type of license": "type of license key",
    "license type": "type of license key",
    "valid until": "end of validity",
    "expiration date": "end of validity",
    "license valid": "validity",
}
#: The end of validity of a licence that does not end.
FOR_EVER = "99991231"
#: Headings of dpmon's session table in old kernels; ``Logon-Type``, ``Sess-Key``, ``Cli``, ``User``, ``Terminal``,
#: ``Time``, ``Tcode`` were seen.
DPMON_SESSION_HEADINGS: Mapping[str, str] = {
    "type": "logon_type",
    "session": "sess_key",
    "cl": "cli",
    "cl.": "cli",
    "client": "cli",
    "tcod": "tcode",
}
#: Logon types of sessions that a person sits at.
DIALOG_TYPES = ("", "GUI", "DIALOG", "4", "RFC_UI")
#: Logon types of programs: their terminal is the host that they run on.
PROGRAM_TYPES = (
    "RFC",
    "BATCH",
    "BTC",
    "SYSTEM",
    "ASYNC_RFC",
    "ARFC",
    "BGRFC",
    "TRFC",
    "QRFC",
    "SMTP",
    "UPDATE",
    "SPOOL",
    "DAEMON",
    "APC",
    "32",
    "2",
)
#: Logon types of sessions over HTTP: of people in a browser, and of programs.
WEB_TYPES = ("HTTP", "HTTPS", "PLUGIN", "PLUGIN HTTP", "PLUGIN HTTPS")
#: Headings of dpmon's work-process table: our names for them.
DPMON_HEADINGS: Mapping[str, str] = {
    "no": "no",
    "no.": "no",
    "wp": "no",
    "ty": "typ",
    "ty.": "typ",
    "typ": "typ",
    "type": "typ",
    "pid": "pid",
    "status": "status",
    "cause": "reason",
    "reason": "reason",
    "start": "start",
    "rstr": "start",
    "err": "err",
    "sem": "sem",
    "cpu": "cpu",
    "time": "time",
    "program": "program",
    "cl": "client",
    "cli": "client",
    "client": "client",
    "user": "user",
    "action": "action",
    "table": "table",
}
#: SNAP-FLIST begins with blocks of two letters, three digits of length and the value; ``FC`` holds the error's name.
SNAP_ERROR_BLOCK = "FC"
#: Selection flags of BAPIXMJSEL beside those that the reference names.
XBP_STATUS_FLAGS = ("PRELIM", "SCHEDUL", "READY", "RUNNING", "FINISHED", "ABORTED")
#: The message in a job's log that a step began: class and number; its first number is the step's.
JOB_STEP_MESSAGE = ("00", "550")
#: Words of the error with which BAPI_XBP_JOB_SELECT reports that it has no such job, lower case; its name is
#: MSG_NO_JOBS_FOUND.
XBP_NOTHING_FOUND = ("no_jobs_found", "no jobs", "no job found", "keine jobs")
