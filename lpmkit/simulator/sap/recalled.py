"""Facts about SAP that are recalled and were not seen: texts, numbers and layouts, to be put right here when somebody
captures the real thing.

No reader should rely on a word of this file. Layouts that were seen stand beside the code that prints them, with their
source (docs/sources.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lpmkit.simulator.sap.records import Lock, LogLine, Scalar, clock, date

# --- faults of sapstartsrv ------------------------------------------------------------------------------------------
# ``DpAttachStartService failed`` is seen (3.1); its sister for the enqueue server and the refusals are not.
NO_DISPATCHER = "DpAttachStartService failed"
NO_ENQUEUE = "EnqAttachStartService failed"
NO_JAVA = "J2EE attach failed"
BAD_CREDENTIALS = "Invalid Credentials"

# --- system log -----------------------------------------------------------------------------------------------------
# Message numbers (all U, recalled) and their texts, English and German. Severity is the colour that sapstartsrv gives.
SYSLOG: Mapping[str, tuple[str, str, str]] = {
    "E10": ("Buffer {what} Generated with Length {number}", "Puffer {what} mit Länge {number} generiert", "GREEN"),
    "Q02": ("Stop Workproc{number}, PID {pid}", "Stop Workproc{number}, PID {pid}", "YELLOW"),
    "Q01": ("Start Workproc{number}, Restart: PID {pid}", "Start Workproc{number}, Restart: PID {pid}", "YELLOW"),
    "Q0G": ("Request (type DIA) cannot be processed", "Anforderung (Typ DIA) kann nicht bearbeitet werden", "RED"),
    "Q04": (
        "Connection to user {number} ({user}), terminal {terminal} lost",
        "Verbindung zum Benutzer {number} ({user}), Terminal {terminal} verloren",
        "YELLOW",
    ),
    "R49": (
        "Communication error, CPIC return code 020, SAP return code 223",
        "Kommunikationsfehler, CPIC-Returncode 020, SAP-Returncode 223",
        "YELLOW",
    ),
    "R68": ("Perform rollback", "Rollback durchgeführt", "GREEN"),
    "AB0": ('Run-time error "{what}" occurred', 'Laufzeitfehler "{what}" aufgetreten', "RED"),
    "AB1": ('> Short dump "{what}" generated', '> Kurzdump "{what}" wurde erstellt', "RED"),
    "D01": ("Transaction Canceled {what}", "Transaktionsabbruch {what}", "RED"),
    "F6H": (
        "Database error: TemSe->XRTAB(0)->64 for table TST01 key",
        "Datenbankfehler: TemSe->XRTAB(0)->64 Tabelle TST01",
        "YELLOW",
    ),
    "GEW": ("Lock table contains {number} entries", "Sperrtabelle enthält {number} Einträge", "GREEN"),
    "US1": ("User {user} locked due to incorrect logon", "Benutzer {user} nach Falschanmeldung gesperrt", "YELLOW"),
}

# --- job log --------------------------------------------------------------------------------------------------------
# Message class 00 and its numbers are customary; nobody captured a log for this project.
JOB_LOG: Mapping[str, tuple[str, str]] = {
    "516": ("Job started", "Job wurde gestartet"),
    "550": (
        "Step {step:03d} started (program {program}, variant {variant}, user ID {user})",
        "Step {step:03d} gestartet (Programm {program}, Variante {variant}, Benutzername {user})",
    ),
    "001": ("{done} of {total} objects processed", "{done} von {total} Objekten verarbeitet"),
    "517": ("Job finished", "Job wurde beendet"),
    "518": ("Job cancelled", "Job wurde abgebrochen"),
    "671": (
        "ABAP/4 processor: {what}",
        "ABAP/4-Prozessor: {what}",
    ),
    "564": (
        "Job cancelled after system exception ERROR_MESSAGE",
        "Job wurde nach System-Exception ERROR_MESSAGE abgebrochen",
    ),
}

# --- texts that follow the logon language ---------------------------------------------------------------------------
GERMAN_STATUS: Mapping[str, str] = {
    "Waiting": "wartet",
    "Running": "läuft",
    "On Hold": "hält",
    "Stopped": "gestoppt",
    "Shutdown": "Shutdown",
}
GERMAN_ANSWER: Mapping[str, str] = {"Yes": "Ja", "No": "Nein"}
GERMAN_ACTION: Mapping[str, str] = {
    "Sequential Read": "Sequentielles Lesen",
    "Direct Read": "Direktes Lesen",
    "Insert": "Einfügen",
    "Update": "Ändern",
    "Commit": "Commit",
}

# --- command line ---------------------------------------------------------------------------------------------------
SAPCONTROL_USAGE = (
    "\nUsage: sapcontrol [-prot NI_HTTP|NI_HTTPS|PIPE] [-host <hostname>] [-user <user> <password>] -nr "
    "<instance number>\n"
    "                  [-format list|script] -function <webmethod> [<arguments>]\n"
)


def saplicense_get(sid: str, key: str) -> str:
    """``saplicense -get``: only that it prints the key is known (5.1)."""
    return f"\nSAP System ID : {sid}\nHardware Key  : {key}\n\n"


def saplicense_show(sid: str, keys: list[str], installation: str) -> str:
    """``saplicense -show``: the table's columns and their order are a guess."""
    head = f"{'System':<8}{'Hardware Key':<14}{'Installation':<14}{'Type':<11}{'Valid until':<12}State\n"
    rows = (f"{sid:<8}{key:<14}{installation:<14}{'permanent':<11}{'99991231':<12}valid\n" for key in keys)
    return "\n*** Installed Licenses ***\n\n" + head + "-" * 66 + "\n" + "".join(rows) + "\n"


# --- XMI and XBP ----------------------------------------------------------------------------------------------------
#: The names of the messages are documented (2.3), their numbers in class XM and their words are not known here.
XMI_MESSAGES: Mapping[str, tuple[str, str]] = {
    "MSG_PROBLEM_DETECTED": ("999", "Problem detected"),
    "MSG_CANT_LOG": ("998", "XMI logon or XMI log entry is not possible"),
    "MSG_NOT_LOGGED_ON": ("997", "Not logged on to the XMI interface XBP"),
    "MSG_EXT_USER_MISSING": ("996", "Name of the external user is missing"),
    "MSG_SELECT_JOBNAME_MISSING": ("995", "Job selection without a job name"),
    "MSG_SELECT_USERNAME_MISSING": ("994", "Job selection without a user name"),
    "MSG_INVALID_SELECT_OPTION": ("993", "Invalid selection option"),
    "MSG_NO_JOBS_FOUND": ("992", "No jobs found that match the selection"),
    "MSG_JOB_DOES_NOT_EXIST": ("991", "Job does not exist"),
}

# --- SOAP-RFC -------------------------------------------------------------------------------------------------------
#: A caller who wants to go on in the same session says so in the header of the message and gets a cookie.
SESSION_COOKIE = "sap-contextid"


def session_wanted(header: str) -> bool:
    """True if a message's header asks for a session, in whichever prefix.

    >>> session_wanted("<s:Session><s:enableSession>true</s:enableSession></s:Session>"), session_wanted("")
    (True, False)
    """
    return re.search(r"enableSession>\s*true\s*<", header) is not None


SERVER_HEADER = {
    True: "SAP Web Application Server (1.0;{kernel})",
    False: "SAP NetWeaver Application Server / ABAP {kernel}",
}
"""The name of the ICM, of a kernel before 7.00 and after."""

# --- numbers and fields of function modules and tables ----------------------------------------------------------------
#: 2 for waiting is documented (2.4), the others are not.
WP_ISTATUS: Mapping[str, int] = {"Wait": 2, "Run": 4, "Hold": 5, "Stop": 7, "Ended": 7}
WP_ITYPES: Mapping[str, int] = {"DIA": 1, "UPD": 2, "ENQ": 3, "BTC": 4, "SPO": 5, "UP2": 6}
MSGTYPES: Mapping[bool, str] = {True: "BF", False: "BD"}
"""Services of an application server as TH_SERVER_LIST shows them, with an enqueue work process and without."""


def snap_blocks(**blocks: str) -> str:
    """SNAP-FLIST: two letters, three digits of length, the value, one block after the other.

    >>> snap_blocks(FC="TIME_OUT", AP="SAPLABCD")
    'FC008TIME_OUTAP008SAPLABCD'
    """
    return "".join(f"{name}{len(value):03}{value}" for name, value in blocks.items())


def enqueue_row(lock: Lock) -> dict[str, Scalar]:
    """A row of ENQUEUE_READ."""
    return {
        "GNAME": lock.table, "GARG": lock.argument, "GMODE": lock.mode, "GUSR": lock.owner, "GUSRVB": lock.owner,
        "GUSE": 0, "GUSEVB": 1,
        "GOBJ": lock.object, "GCLIENT": lock.client, "GUNAME": lock.user, "GTCODE": lock.transaction,
        "GBCKTYPE": "X" if lock.backup else "",
    }  # fmt: skip


def job_log_row(line: LogLine, german: bool) -> dict[str, Scalar]:
    """A row of JOB_PROTOCOL."""
    return {
        "ENTERDATE": date(line.wall_s), "ENTERTIME": clock(line.wall_s), "MSGID": line.message_class,
        "MSGNO": line.number,
        "MSGTYPE": line.kind, "TEXT": line.german if german else line.text,
    }  # fmt: skip


# --- dpmon ------------------------------------------------------------------------------------------------------------
#: The work process table in columns, as old kernels print it. The boxed tables are seen (4).
DPMON_ROW = (
    "{number:>2} {kind:<4}{pid:>8} {status:<8}{cause:<6}{start:<6}{err:>3} {sem:>3} {cpu:>8} {time:>5} "
    "{program:<16.16} {client:<3} "
    "{user:<12} {action:<16} {table}"
)
DPMON_HEAD = DPMON_ROW.format(
    number="No", kind="Ty.", pid="Pid", status="Status", cause="Cause", start="Start", err="Err", sem="Sem", cpu="CPU",
    time="Time",
    program="Program", client="Cl", user="User", action="Action", table="Table",
)  # fmt: skip


def dpmon_row(**cells: object) -> str:
    return DPMON_ROW.format(**cells).rstrip()
