"""The newest answers of a run's SAP systems and the newest entries of its databases' alert logs, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from lpmkit.board.wording import cut
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.rules import Classified, LogRules
from lpmkit.plots.colours import CLASSES, FAINT
from lpmkit.plots.live import Marks
from lpmkit.runs.folder import Run
from lpmkit.sap.model import JobStatus
from lpmkit.timeline import Event

#: Jobs that are listed at most, and entries of an alert log.
MOST_JOBS, MOST_ENTRIES = 40, 8
_JOB_ORDER = {"R": 0, "A": 1, "Y": 2, "Z": 2, "S": 3}


def sap_systems_of(run: Run) -> list[str]:
    """SAP systems that the run records."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "sap"]


def databases_of(run: Run) -> list[str]:
    """Databases whose alert log the run follows."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "alert"]


def sap_answers(run: Run, sid: str) -> dict[str, JsonObject]:
    """The newest answer of a SAP system to each question; where the newest has no rows and an earlier one does, the
    earlier one with the trouble since as ``no_answer_since``.
    """
    answers: dict[str, JsonObject] = {}
    for row in run.latest(f"sap-{sid}"):
        name = str(row.get("question"))
        if "rows" in row or "rows" not in answers.get(name, {}):
            answers[name] = row
        else:
            since = answers[name].get("no_answer_wall_ns") or row.get("wall_ns")
            why = str(row.get("trouble") or "no reason is known")
            answers[name] = {**answers[name], "no_answer_since": why, "no_answer_wall_ns": since}
    return answers


def job_rows(answers: dict[str, JsonObject]) -> list[JsonObject]:
    """The background jobs as last read, running ones first."""
    jobs = answers.get("jobs", {}).get("rows") or ()
    logs = {(row["name"], row["count"]): row for row in answers.get("job_logs", {}).get("rows") or ()}
    busy = {row.get("pid"): row for row in answers.get("work_processes", {}).get("rows") or ()}
    shown = []
    for row in sorted(jobs, key=lambda job: _JOB_ORDER.get(job["status"], 4))[:MOST_JOBS]:
        process = busy.get(row.get("pid")) or {}
        shown.append(
            {
                "job": row.get("name") or row.get("program"),
                "status": JobStatus(row["status"]).word,
                "started": str(row.get("started") or row.get("planned") or "")[11:19],
                "program": row.get("program") or process.get("program"),
                "user": row.get("user"),
                "work process": "" if row.get("pid") is None else f"{row.get('work_process')}, pid {row['pid']}",
                "CPU s of the work process": process.get("cpu_s"),
                "its log": _job_log(logs.get((row.get("name"), row.get("count"))), row.get("steps")),
            }
        )
    return shown


def _job_log(log: JsonObject | None, steps: Any) -> str:
    """The current step of a job and the last line of its log."""
    if log is None:
        return ""
    step = f"step {log['step']} of {steps or '?'}: " if log.get("step") else ""
    return f"{step}{log.get('last', '')}"


# --- alert logs -----------------------------------------------------------------------------------------------------


def alert_order(run: Run, sid: str) -> JsonMapping:
    """The probe order that follows a database's alert log."""
    probes = run.manifest["probes"]
    return next(probe for probe in probes if probe.get("kind") == "alert" and probe["options"]["sid"] == sid)


def alert_entries(run: Run, sid: str) -> list[tuple[JsonObject, Classified]]:
    """The newest alert log entries with their class by the run's own rules; unreadable rows are left out (the report
    counts them).
    """
    order = alert_order(run, sid)
    rules, _ = rules_of(str(order["options"].get("rules") or ""))
    entries = []
    for row in run.latest(str(order["name"]), 64 * 1024):
        try:
            entries.append((row, rules.classify(from_row(row))))
        except (KeyError, TypeError, ValueError):
            continue  # the report counts it
    return entries


def since_the_run_began(
    run: Run, sid: str, entries: Sequence[tuple[JsonObject, Classified]], events: Sequence[Event]
) -> list[tuple[JsonObject, Classified]]:
    """The entries without those from before the run, which are read when the log is opened, before its probe reports
    that.
    """
    name = alert_order(run, sid)["name"]
    opened = next((e.mono_ns for e in events if e.kind == "alert-log" and e.data.get("probe") == name), None)
    return [] if opened is None else [one for one in entries if int(one[0]["mono_ns"]) > opened]


@lru_cache(maxsize=8)
def rules_of(text: str) -> tuple[LogRules, str]:
    """The rules for alert logs that a run holds, and what is wrong with them."""
    return LogRules.kept(text)


def alert_marks(sid: str, entries: Sequence[tuple[JsonObject, Classified]]) -> Marks:
    """A database's alert log as a lane with a mark for each entry, by class."""
    classes = [(int(row["mono_ns"]), entry.meaning.value) for row, entry in entries]
    return Marks(f"{sid} alert log", [(ns, *CLASSES.get(name, ("•", FAINT))) for ns, name in classes])


def alert_lines(entries: Sequence[tuple[JsonObject, Classified]]) -> list[JsonObject]:
    """The newest entries of an alert log, newest first."""
    return [
        {
            "seen (UTC)": f"{datetime.fromtimestamp(row['wall_ns'] / 1e9, tz=UTC):%H:%M:%S}",
            "class": f"{CLASSES.get(entry.meaning.value, ('·', ''))[0]} {entry.meaning.value}",
            "log time": str((row.get("when") or [""])[0])[11:19],
            "line": cut(entry.event.headline, 160),
        }
        for row, entry in entries[-MOST_ENTRIES:][::-1]
    ]
