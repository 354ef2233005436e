"""The live board of a run: phase, progress, lanes of the probes, SAP jobs and alert logs, redrawn from the run folder.

A board's thread only reads the folder: make the board again on the same run and the same picture is there. Widget state
is not part of a saved notebook; `LiveBoard.picture` and `jobs_table` give the same as plain output.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Any

import ipywidgets as w
from IPython.display import HTML

from lpmkit.errors import LpmError
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import RunStatus, State, describe
from lpmkit.notebook.move import MovePanel
from lpmkit.notebook.tables import escaped, table
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.rules import Classified, LogRules
from lpmkit.plots.colours import CLASSES, FAINT
from lpmkit.plots.live import WINDOW_S, Lane, Lanes, Marks
from lpmkit.runs.folder import Run
from lpmkit.sap.model import JobStatus
from lpmkit.timeline import Clock, Event

REDRAW_S = 0.4


#: Seconds between two looks for a new recorder, after the old one died.
DESERTED_S = 2.0


#: Refresh tables every fifth redraw; replaced DOM tables are garbage-collected slowly.
TABLES_EVERY = 5


class LiveBoard(w.VBox):  # type: ignore[misc] # as above
    """The live view of a run: phase, progress, forecast, a lane for each probe. Redrawn at least twice a second, the
    tables every two seconds.

    ``close_board`` ends its thread, which also ends when the run is over. After the death of the recorder it waits for
    a new one at a slower pace. With the `MovePanel` of the same run it refreshes the buttons too.
    """

    def __init__(self, run: Run, panel: MovePanel | None = None) -> None:
        self._run, self._panel = run, panel
        self._course = panel.course if panel else RunStatus(run)
        self._lanes = Lanes(run)
        self._guard = threading.Lock()
        self.headline = w.HTML()
        self.bar = w.FloatProgress(
            min=0.0, max=1.0, description="copied", layout=w.Layout(width="60em", max_width="98%")
        )
        self.lanes = w.HTML()
        self.picture_of_lanes = w.HTML()
        self.jobs = w.HTML()
        self.alerts = w.HTML()
        self.trouble = w.HTML()
        self._end = threading.Event()
        super().__init__(
            [self.headline, self.bar, self.picture_of_lanes, self.lanes, self.jobs, self.alerts, self.trouble]
        )
        self.redraw()
        self._thread = threading.Thread(target=self._keep, daemon=True, name=f"board of {run.name}")
        self._thread.start()

    def close_board(self) -> None:
        """End the redrawing."""
        self._end.set()
        self._thread.join(timeout=5.0)

    def redraw(self, *, tables: bool = True) -> State:
        """Draw the current state of the folder; without ``tables`` only headline, lanes and buttons."""
        with self._guard:
            now = self._panel.refresh() if self._panel else self._course.state()
            self._lanes.follow()
            alerts = {sid: _alert_rows(self._run, sid) for sid in databases_of(self._run)}
            self.headline.value = _headline(self._run, now)
            self.bar.value = 1.0 if now.phase in (Phase.SETTLED, Phase.SWITCHED) else now.progress.fraction
            self.trouble.value = "".join(f"<p>! {escaped(line)}</p>" for line in now.trouble[-3:])
            marks = [_marks(sid, rows) for sid, rows in alerts.items()]
            self.picture_of_lanes.value = self._lanes.svg(marks, LANES_TEXT)
            if tables:
                self.lanes.value = lanes_table(self._lanes).data
                self.jobs.value = "".join(jobs_table(self._run, sid).data for sid in sap_systems_of(self._run))
                told = self._course.events
                self.alerts.value = "".join(_alerts(self._run, sid, rows, told).data for sid, rows in alerts.items())
        return now

    def _keep(self) -> None:
        every, due = REDRAW_S, time.monotonic()
        for turn in count():
            # On schedule: a slow redraw does not delay the next one.
            due = max(due + every, time.monotonic())
            if self._end.wait(due - time.monotonic()):
                return
            try:
                now = self.redraw(tables=turn % TABLES_EVERY == 0)
                # before the move begins, a survey or a validation may hold the folder too
                if now.has_begun and not now.recorded and not now.is_deserted:
                    self.redraw()
                    return
                every = DESERTED_S if now.is_deserted else REDRAW_S
            except (LpmError, OSError) as error:
                # not readable this time: show it and try again
                self.trouble.value = f"<p>! {escaped(error)}</p>"

    def picture(self) -> HTML:
        """The lanes as plain output, which stays in the saved notebook."""
        return lanes_picture(self._run)


def lanes_picture(run: Run) -> HTML:
    """The newest lanes of a run as a picture and as a table."""
    lanes = Lanes(run)
    lanes.follow()
    marks = [_marks(sid, _alert_rows(run, sid)) for sid in databases_of(run)]
    return HTML(lanes.svg(marks, LANES_TEXT) + lanes_table(lanes).data)


#: Description of the picture of the lanes for screen readers.
LANES_TEXT = (
    f"Signs of life within the last {WINDOW_S:.0f} seconds, a lane for each probe; the table below has the same data"
)


def lanes_table(lanes: Lanes) -> HTML:
    """The lanes as a table, with the same data as the picture."""
    rows = [
        {
            "probe": lane.probe,
            "last heartbeat": _ago(lane),
            f"longest gap within {WINDOW_S:.0f} s": f"{lane.longest_s:.1f} s",
        }
        for lane in lanes.words()
    ]
    return table(rows, "lanes as a table") if rows else HTML("<p>No probe has reported yet.</p>")


def _ago(lane: Lane) -> str:
    return "never" if lane.ago_s is None else f"{lane.ago_s:.1f} s ago"


def _marks(sid: str, rows: Sequence[tuple[JsonObject, Classified]]) -> Marks:
    """A database's alert log as a lane with a mark for each entry, by class."""
    classes = [(int(row["mono_ns"]), entry.meaning.value) for row, entry in rows]
    at = [(ns, *CLASSES.get(name, ("•", FAINT))) for ns, name in classes]
    return Marks(f"{sid} alert log", at)


def _headline(run: Run, now: State) -> str:
    phase = now.phase.value if now.phase else "watching"
    text = f"<b>{escaped(phase)}</b>"
    if words := describe(now):
        text += f" — {escaped(words)}"
    if now.recorded and now.reads_on_s is not None:
        text += f" — reading logs, {now.reads_on_s:.0f} s to go"
    if now.is_deserted:
        text += (
            " — ✗ the recorder died, the move is not observed: press <b>Restart recorder</b>, "
            f"or type <code>lpmkit attach {escaped(run.name)}</code>"
        )
    elif not now.recorded:
        text += f" — recording over{': ' + escaped(now.ended) if now.ended else ''}"
    return f"<p role='status'>{text}<br><code>{escaped(run.path)}</code></p>"


def sap_systems_of(run: Run) -> list[str]:
    """SAP systems that the run records."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "sap"]


def jobs_table(run: Run, sid: str) -> HTML:
    """The background jobs of a SAP system as last read, running ones first; plain output, also during the run."""
    seen = run.latest(f"sap-{sid}")
    rows = {str(row.get("question")): row for row in seen if "rows" in row}
    newest = next((row for row in reversed(seen) if row.get("question") == "jobs"), None)
    jobs, work = rows.get("jobs"), rows.get("work_processes")
    if newest is None:
        return HTML(f"<p>{escaped(sid)}: no job list yet.</p>")
    if jobs is None:
        return HTML(f"<p>{escaped(sid)}: no job list: {escaped(newest.get('trouble'))}</p>")
    # without an answer, the last list is shown with its age
    since = "" if newest is jobs else f"; no answer since: {str(newest.get('trouble', ''))[:160]}"
    logs = {(row["name"], row["count"]): row for row in rows.get("job_logs", {}).get("rows", ())}
    busy = {row.get("pid"): row for row in (work or {}).get("rows", ())}
    order = {"R": 0, "A": 1, "Y": 2, "Z": 2, "S": 3}
    shown = []
    for row in sorted(jobs["rows"], key=lambda job: order.get(job["status"], 4))[:40]:
        process = busy.get(row.get("pid")) or {}
        cpu = process.get("cpu_s")
        shown.append(
            {
                "job": row.get("name") or row.get("program"),
                "status": JobStatus(row["status"]).word,
                "started": str(row.get("started") or row.get("planned") or "")[11:19],
                "program": row.get("program") or process.get("program"),
                "user": row.get("user"),
                "work process": "" if row.get("pid") is None else f"{row.get('work_process')}, pid {row['pid']}",
                "CPU s": cpu,
                "its log": _job_log(logs.get((row.get("name"), row.get("count"))), row.get("steps")),
            }
        )
    age = (Clock().mono_ns() - int(jobs["answered_ns"])) / 1e9
    return table(shown, f"{sid}: jobs, by {jobs.get('way')}, {max(0.0, age):.0f} s ago{since}")


def _job_log(log: JsonObject | None, steps: Any) -> str:
    """The current step of a job and the last line of its log."""
    if log is None:
        return ""
    step = f"step {log['step']} of {steps or '?'}: " if log.get("step") else ""
    return f"{step}{log.get('last', '')}"


def databases_of(run: Run) -> list[str]:
    """Databases whose alert log the run follows."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "alert"]


def _alert_order(run: Run, sid: str) -> JsonMapping:
    """The probe order that follows a database's alert log."""
    probes = run.manifest["probes"]
    return next(probe for probe in probes if probe.get("kind") == "alert" and probe["options"]["sid"] == sid)


def _alert_rows(run: Run, sid: str) -> list[tuple[JsonObject, Classified]]:
    """The newest alert log entries with their class by the run's own rules; unreadable rows are left out (the report
    counts them).
    """
    order = _alert_order(run, sid)
    rules, _ = _alert_rules(str(order["options"].get("rules") or ""))
    entries = []
    for row in run.latest(str(order["name"]), 64 * 1024):
        try:
            entries.append((row, rules.classify(from_row(row))))
        except (KeyError, TypeError, ValueError):
            continue  # the report counts it
    return entries


@lru_cache(maxsize=8)
def _alert_rules(text: str) -> tuple[LogRules, str]:
    return LogRules.kept(text)


def _alerts(run: Run, sid: str, rows: Sequence[tuple[JsonObject, Classified]], events: Sequence[Event]) -> HTML:
    order = _alert_order(run, sid)
    mine = [event for event in events if event.data.get("probe") == order["name"]]
    trouble = [event.data.get("what") for event in mine if event.kind == "probe-trouble"]
    _, wrong = _alert_rules(str(order["options"].get("rules") or ""))
    notes = "".join(f"<p>! {escaped(sid)}: {escaped(text)}</p>" for text in filter(None, (wrong, *trouble[-1:])))
    if not rows:
        followed = any(event.kind == "alert-log" for event in mine)
        text = "has no new entry since the run began" if followed else "is not followed yet"
        return HTML(f"<p>{escaped(sid)}: the alert log {text}.</p>{notes}")
    shown = [
        {
            "seen (UTC)": f"{datetime.fromtimestamp(row['wall_ns'] / 1e9, tz=UTC):%H:%M:%S}",
            "class": f"{CLASSES.get(entry.meaning.value, ('·', ''))[0]} {entry.meaning.value}",
            "log time": str((row.get("when") or [""])[0])[11:19],
            "line": entry.event.headline[:160],
        }
        for row, entry in rows[-8:][::-1]
    ]
    return HTML(table(shown, f"{sid}: alert log, newest first").data + notes)
