"""What an operator clicks in a notebook. A widget shows a value and calls a method of the runbook; it decides nothing.

Nothing in here keeps a kernel busy: buttons start work elsewhere (in the recorder, or a thread for a survey) and return, and a `LiveBoard`'s
thread only reads the run folder. So a closed browser or a restarted kernel changes nothing: make the board again on the same run and the same picture
is there. Whatever a widget shows is also to be had as plain output (`findings_table`, `LiveBoard.picture`), because widget state is not part of a saved notebook.
"""

from __future__ import annotations

import html
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import HTML

from lpmkit.checks import Finding
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, UsageError
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import BothEnds, Proposal
from lpmkit.migration.status import RunStatus, State, describe, refusals, state
from lpmkit.oracle.event_rows import from_row
from lpmkit.oracle.rules import Classified, Rules
from lpmkit.plots.live import WINDOW_S, Lane, Lanes, Marks
from lpmkit.runbook import Runbook, SiteInventory, Validation
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import add_remark
from lpmkit.sap.model import JobStatus
from lpmkit.timeline import Clock, Event

REDRAW_S = 0.4
#: A board whose recorder is gone looks for another one so often.
DESERTED_S = 2.0
#: The tables are renewed with every fifth redraw: nobody reads faster, and a browser lets a table that was replaced lie about for long.
TABLES_EVERY = 5

_SIGNS = {
    "pass": ("✓", "pass", "#1b7f4b"),
    "warn": ("!", "warn", "#9a6700"),
    "fail": ("✗", "FAIL", "#b42318"),
    "unknown": ("?", "unknown", "#6f42c1"),
}
#: A text that wants room; what is as wide as it says; what goes on in another line where the window is narrow.
_FORM = w.Layout(width="30em", max_width="98%")
_FITS = w.Layout(width="auto", min_width="7em")
_WRAPS = w.Layout(flex_flow="row wrap")


_CELL = "text-align:left;padding:1px 12px 1px 4px"

# -- plain output --------------------------------------------------------------------------------------------------------------


def escaped(value: object) -> str:
    """A value as text that no browser takes for markup."""
    return html.escape("" if value is None else str(value))


def table(rows: Sequence[Mapping[str, object]], caption: str = "") -> HTML:
    """Rows as an HTML table; plain output that stays in the saved notebook."""
    if not rows:
        return HTML(f"<p>{escaped(caption)}: nothing.</p>")
    head = "".join(f"<th style='{_CELL}' scope='col'>{escaped(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f"<td style='{_CELL};vertical-align:top'>{escaped(value)}</td>" for value in row.values())
        + "</tr>"
        for row in rows
    )
    return HTML(
        f"<table style='line-height:1.5'><caption style='text-align:left'>{escaped(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def picture(png: bytes, said: str) -> HTML:
    """A picture with what it shows in words, for whoever cannot see it; plain output."""
    data = b64encode(png).decode()
    return HTML(f"<img style='max-width:100%' alt='{escaped(said)}' src='data:image/png;base64,{data}'>")


def findings_table(findings: Sequence[Finding]) -> HTML:
    """The checks with verdict, facts, remedy and who must act; the ones that need attention first."""
    order = ["fail", "unknown", "warn", "pass"]
    rows = []
    for one in sorted(findings, key=lambda finding: order.index(finding.verdict.value)):
        sign, word, colour = _SIGNS[one.verdict.value]
        facts = ", ".join(f"{name}: {value}" for name, value in one.facts.items())
        about = f" ({escaped(one.about)})" if one.about else ""
        mend = (
            f"{escaped(one.remedy)} <i>({escaped(one.who)})</i>" if one.verdict.value != "pass" and one.remedy else ""
        )
        rows.append(
            f"<tr><td style='white-space:nowrap;color:{colour};font-weight:600;text-align:left'>{sign} {word}</td><td style='text-align:left'>{escaped(one.title)}{about}</td>"
            f"<td style='text-align:left'>{escaped(facts)}</td><td style='text-align:left'>{mend}</td></tr>"
        )
    passed = sum(one.verdict.value == "pass" for one in findings)
    return HTML(
        f"<table><caption style='text-align:left'>{passed} of {len(findings)} checks pass</caption><thead><tr><th style='text-align:left'>verdict</th>"
        f"<th style='text-align:left'>check</th><th style='text-align:left'>facts</th><th style='text-align:left'>what to do, and who</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def validation_text(word: Validation) -> HTML:
    """The firmware's own word."""
    if word.passed:
        text = f" <code>{escaped(word.text)}</code>" if word.text else ""
        return HTML(f"<p>✓ The firmware accepts the move.{text}</p>")
    return HTML(
        f"<p>✗ <b>The firmware refuses the move</b> (exit status {escaped(word.status)}):</p><pre>{escaped(word.text)}</pre>"
    )


def expectation_text(book: Runbook, run: Run) -> HTML:
    """What to expect of the move, from the survey and the site's own past moves."""
    said = book.predict(run)
    return HTML(
        f"<p>Expected: {escaped(said.sentence())}.</p>" if said else "<p>Nothing can be foreseen without a survey.</p>"
    )


# -- choosing ------------------------------------------------------------------------------------------------------------------


class Chooser(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """Choose the partition and its target frame. ``order()`` has the choice."""

    def __init__(self, book: Runbook, partition: str | None = None, target: str | None = None) -> None:
        self._book = book
        self.there: SiteInventory = book.landscape()
        movable = [place for place in self.there.placed if not place.partition.is_vios]
        self.search = w.Text(placeholder="part of a name", description="search", continuous_update=True)
        self.partition = w.Select(
            options=[], rows=min(8, max(3, len(movable))), description="partition", layout=w.Layout(width="48em")
        )
        self.target = w.Select(options=[], rows=3, description="target", layout=w.Layout(width="48em"))
        self.silent = w.HTML(
            "".join(
                f"<p>? <b>{escaped(name)}</b> could not be asked: {escaped(why)}</p>"
                for name, why in self.there.silent.items()
            )
        )
        self._movable = movable
        self._fill()
        self.search.observe(lambda _: self._fill(), names="value")
        self.partition.observe(lambda _: self._fill_targets(), names="value")
        if partition is not None:
            self.partition.value = next(
                (value for _, value in self.partition.options if value[1] == partition), self.partition.value
            )
        self._fill_targets()
        if target is not None:
            self.target.value = next((value for _, value in self.target.options if value == target), self.target.value)
        super().__init__([self.search, self.partition, self.target, self.silent])

    def order(self) -> Order:
        """The order as chosen; raises `UsageError` while something is missing."""
        if self.partition.value is None or self.target.value is None:
            raise UsageError(
                "no partition or no target is chosen yet", next_step="Choose both above, then run this cell again."
            )
        source, name = self.partition.value
        return self._book.order(name, self.target.value, source=source)

    def _fill(self) -> None:
        wanted = self.search.value.strip().lower()
        self.partition.options = [
            (
                f"{one.partition.name}   on {one.frame}, {one.partition.state}, {one.partition.memory_mb or '?'} MB, {one.partition.os_version or ''}",
                (one.frame, one.partition.name),
            )
            for one in self._movable
            if wanted in one.partition.name.lower()
        ]

    def _fill_targets(self) -> None:
        source = self.partition.value[0] if self.partition.value else None
        self.target.options = [
            (
                f"{name}   {frame.machine}, {frame.memory_available_mb} MB and {frame.proc_units_available} processing units free",
                name,
            )
            for name, frame in self.there.frames.items()
            if name != source
        ]


# -- moving --------------------------------------------------------------------------------------------------------------------


class MovePanel(w.VBox):  # type: ignore[misc] # as above
    """Type the partition's name and move; stop and recover exactly while they apply, and record on when the recorder died, which asks no machine for anything.
    What does not apply says why, and below stands what is to be done and why.

    What is to be done comes from the record while a recorder polls, and from both managers when "Look at both ends" is pressed.
    """

    def __init__(self, book: Runbook, run: Run) -> None:
        self._book, self._run = book, run
        self._name = str(run.manifest["order"]["partition"])
        self.course = RunStatus(run, book.clock)
        #: What both managers said when they were asked here, and when (monotonic nanoseconds).
        self._looked: tuple[BothEnds, int] | None = None
        self.typed = w.Text(placeholder=f"type {self._name}", description="name", continuous_update=True)
        self.move = w.Button(description="Move", icon="truck", button_style="warning", layout=_FITS)
        self.stop = w.Button(description="Stop", icon="hand-paper", layout=_FITS)
        self.recover = w.Button(description="Recover", icon="medkit", layout=_FITS)
        self.force = w.Button(description="Recover with force", icon="exclamation-triangle", layout=_FITS)
        self.look = w.Button(description="Look at both ends", icon="search", layout=_FITS)
        self.attach = w.Button(description="Record on", icon="eye", layout=_FITS)
        self.approver = w.Text(
            placeholder="a second person's name, if your site wants one", description="approval", layout=_FORM
        )
        self.approve = w.Button(description="Record approval", icon="check", layout=_FITS)
        self.says = w.HTML()
        self.way = w.HTML()
        self.why_not = w.HTML()
        self.approve.on_click(lambda _: self._do("approval recorded", self._approved))
        self.move.on_click(lambda _: self._do("moving", lambda: book.move(run, self.typed.value)))
        self.stop.on_click(lambda _: self._do("asked to stop", lambda: book.stop(run, self.typed.value)))
        self.recover.on_click(lambda _: self._do("asked to recover", lambda: book.recover(run, self.typed.value)))
        self.force.on_click(
            lambda _: self._do("asked to recover with force", lambda: book.recover(run, self.typed.value, force=True))
        )
        self.look.on_click(lambda _: self._look())
        self.attach.on_click(
            lambda _: self._do("a new recorder looks on; what was missed is not observed", lambda: book.attach(run))
        )
        self.typed.observe(lambda _: self.refresh(), names="value")
        self.refresh()
        buttons = [self.move, self.stop, self.recover, self.force, self.attach, self.look]
        super().__init__(
            [
                w.HBox([self.approver, self.approve], layout=_WRAPS),
                w.HBox([self.typed, *buttons], layout=_WRAPS),
                self.says,
                self.why_not,
                self.way,
            ]
        )

    def _approved(self) -> None:
        add_remark(self._run.path, "approval", self.approver.value)

    def refresh(self) -> State:
        """Enable what applies now, and say why the rest does not."""
        now = self.course.state()
        said = self.course.proposal(self._looked)
        apply = refusals(now, said[0] if said else None)
        unnamed = "" if self.typed.value == self._name else f"type {self._name} to show that you mean it"
        reasons = {
            self.move: unnamed or self._why_not_move(),
            self.stop: apply.stop or unnamed,
            self.recover: apply.recover or unnamed,
            self.force: apply.force or unnamed,
            self.attach: apply.attach,
        }
        for button, why in reasons.items():
            button.disabled, button.tooltip = bool(why), why or button.description
        self.why_not.value = _reasons({button.description: why for button, why in reasons.items() if why})
        self.way.value = "" if said is None or now.phase is Phase.PREPARED else proposal_text(*said).data
        return now

    def _why_not_move(self) -> str:
        if self.course.events:  # nobody need read all of them again for that
            return "this run has begun already; a folder records one move"
        try:
            self._book.may_move(self._run, self.typed.value)
        except LpmError as error:
            return str(error)
        return ""

    def _look(self) -> None:
        """Ask both managers, elsewhere: they may take their time, and the kernel has other buttons to serve."""
        self.look.disabled = True
        self.says.value = "<p role='status'>asking both managers …</p>"
        threading.Thread(target=self._ask_both, daemon=True, name=f"look at {self._run.name}").start()

    def _ask_both(self) -> None:
        try:
            self._looked = self._book.look(self._run), self._book.clock.mono_ns()
        except LpmError as error:
            self.says.value = f"<p role='alert'>✗ {escaped(error)}</p>"
        else:
            self.says.value = "<p role='status'>✓ both ends were looked at.</p>"
            self.refresh()
        finally:
            self.look.disabled = False

    def _do(self, done: str, act: Callable[[], object]) -> None:
        try:
            act()
        except LpmError as error:
            self.says.value = f"<p role='alert'>✗ {escaped(error)}</p>"
            return
        after = (
            "; the recorder works on by itself, whatever becomes of this notebook" if self._run.is_recorded() else ""
        )
        self.says.value = f"<p role='status'>✓ {escaped(done)}{after}.</p>"
        self.refresh()


def _reasons(why_not: Mapping[str, str]) -> str:
    """Which buttons do not apply and why, those with the same reason together."""
    together: dict[str, list[str]] = {}
    for button, why in why_not.items():
        together.setdefault(why, []).append(button)
    lines = [f"<li><b>{escaped(', '.join(names))}</b>: {escaped(why)}</li>" for why, names in together.items()]
    return f"<p>Not now:</p><ul>{''.join(lines)}</ul>" if lines else ""


def proposal_text(said: Proposal, at_ns: int) -> HTML:
    """What is to be done about a move, why, what both ends said, and what one would type; ``at_ns`` is when they said it (monotonic nanoseconds)."""
    ago = max(0.0, (Clock().mono_ns() - at_ns) / 1e9)
    typed = "".join(f"<li><code>{escaped(command)}</code></li>" for command in said.commands)
    ends = "".join(f"<li>{escaped(line)}</li>" for line in said.readings)
    return HTML(
        f"<p>What to do: <b>{escaped(said.action.value)}</b>. {escaped(said.why)}</p>"
        f"<details><summary>what both ends said, {_age(ago)}{', and what one would type' if typed else ''}</summary><ul>{ends}{typed}</ul></details>"
    )


def _age(seconds: float) -> str:
    """How long ago, coarsely: a text that changes with every look is sent and drawn with every look."""
    return (
        "just now"
        if seconds < 10
        else f"{seconds // 10 * 10:.0f} s ago"
        if seconds < 120
        else f"{seconds // 60:.0f} minutes ago"
    )


# -- live ----------------------------------------------------------------------------------------------------------------------


class LiveBoard(w.VBox):  # type: ignore[misc] # as above
    """The run as it is recorded: phase, bytes, estimate, one lane for each probe. Redrawn from the folder at least twice a second, its tables every two seconds.

    ``close_board`` ends its thread; it ends by itself when the run is over. Where the recorder is gone without a word it goes on to look for another,
    at a slower pace. Give it the `MovePanel` of the same run, and the buttons are kept true as well.
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
        """Draw what the folder holds now; without ``tables`` only the headline, the lanes and the buttons."""
        with self._guard:
            now = self._panel.refresh() if self._panel else self._course.state()
            self._lanes.follow()
            alerts = {sid: _alert_rows(self._run, sid) for sid in databases_of(self._run)}
            self.headline.value = _headline(self._run, now)
            self.bar.value = 1.0 if now.phase in (Phase.SETTLED, Phase.SWITCHED) else now.progress.fraction
            self.trouble.value = "".join(f"<p>! {escaped(line)}</p>" for line in now.trouble[-3:])
            marks = [_marks(sid, rows) for sid, rows in alerts.items()]
            self.picture_of_lanes.value = self._lanes.svg(marks, LANES_SAID)
            if tables:
                self.lanes.value = lanes_table(self._lanes).data
                self.jobs.value = "".join(jobs_table(self._run, sid).data for sid in sap_systems_of(self._run))
                told = self._course.events
                self.alerts.value = "".join(_alerts(self._run, sid, rows, told).data for sid, rows in alerts.items())
        return now

    def _keep(self) -> None:
        every, due = REDRAW_S, time.monotonic()
        for turn in count():
            # By the schedule, not after a pause: what a redraw takes does not make the next one late.
            due = max(due + every, time.monotonic())
            if self._end.wait(due - time.monotonic()):
                return
            try:
                now = self.redraw(tables=turn % TABLES_EVERY == 0)
                # a survey or a validation holds the folder too, before anything has begun
                if now.has_begun and not now.recorded and not now.is_deserted:
                    self.redraw()
                    return
                every = DESERTED_S if now.is_deserted else REDRAW_S
            except (LpmError, OSError) as error:
                # the folder could not be read this time: said, and looked at again
                self.trouble.value = f"<p>! {escaped(error)}</p>"

    def picture(self) -> HTML:
        """The board's lanes as plain output, which stays in the saved notebook."""
        return lanes_picture(self._run)


def lanes_picture(run: Run) -> HTML:
    """The newest lanes of a run as a picture, and the same in words."""
    lanes = Lanes(run)
    lanes.follow()
    marks = [_marks(sid, _alert_rows(run, sid)) for sid in databases_of(run)]
    return HTML(lanes.svg(marks, LANES_SAID) + lanes_table(lanes).data)


#: What stands for the picture of the lanes where it cannot be seen.
LANES_SAID = f"Signs of life within the last {WINDOW_S:.0f} seconds, a lane for each probe; the table below says the same in words"


def lanes_table(lanes: Lanes) -> HTML:
    """The lanes in words: the same as the picture, for whoever cannot see it."""
    rows = [
        {
            "probe": one.probe,
            "last sign of life": _ago(one),
            f"longest silence within {WINDOW_S:.0f} s": f"{one.longest_s:.1f} s",
        }
        for one in lanes.words()
    ]
    return table(rows, "the lanes in words") if rows else HTML("<p>No probe has reported yet.</p>")


def _ago(lane: Lane) -> str:
    return "never" if lane.ago_s is None else f"{lane.ago_s:.1f} s ago"


def _marks(sid: str, rows: Sequence[tuple[dict[str, Any], Classified]]) -> Marks:
    """A database's alert log as a lane: a mark for each line, shaped by its class."""
    classes = [(int(row["mono_ns"]), found.meaning.value) for row, found in rows]
    at = [(ns, _CLASS_MARKS.get(name, "•"), _CLASS_COLOURS.get(name, "#6a737d")) for ns, name in classes]
    return Marks(f"{sid} alert log", at)


def _headline(run: Run, now: State) -> str:
    phase = now.phase.value if now.phase else "watching"
    text = f"<b>{escaped(phase)}</b>"
    if words := describe(now):
        text += f" — {escaped(words)}"
    if now.recorded and now.reads_on_s is not None:
        text += f" — logs are read on, {now.reads_on_s:.0f} s to go"
    if now.is_deserted:
        text += f" — ✗ its recorder is gone: attach another, which only looks on (<b>Record on</b>, or <code>lpmkit attach {escaped(run.name)}</code>)"
    elif not now.recorded:
        text += f" — not recorded now{', ' + escaped(now.ended) if now.ended else ''}"
    return f"<p role='status'>{text}<br><code>{escaped(run.path)}</code></p>"


def sap_systems_of(run: Run) -> list[str]:
    """The SAP systems that the run watches."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "sap"]


def jobs_table(run: Run, sid: str) -> HTML:
    """The background jobs of a SAP system as they were last seen, what runs first; plain output, also during the run."""
    seen = run.latest(f"sap-{sid}")
    rows = {str(row.get("question")): row for row in seen if "rows" in row}
    newest = next((row for row in reversed(seen) if row.get("question") == "jobs"), None)
    said, work = rows.get("jobs"), rows.get("work_processes")
    if newest is None:
        return HTML(f"<p>{escaped(sid)}: no job list yet.</p>")
    if said is None:
        return HTML(f"<p>{escaped(sid)}: the jobs could not be looked at: {escaped(newest.get('trouble'))}</p>")
    # while nobody answers the last list stands, with its age
    since = "" if newest is said else f"; not answered since: {str(newest.get('trouble', ''))[:160]}"
    logs = {(row["name"], row["count"]): row for row in rows.get("job_logs", {}).get("rows", ())}
    busy = {row.get("pid"): row for row in (work or {}).get("rows", ())}
    order = {"R": 0, "A": 1, "Y": 2, "Z": 2, "S": 3}
    shown = []
    for row in sorted(said["rows"], key=lambda one: order.get(one["status"], 4))[:40]:
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
    age = (Clock().mono_ns() - int(said["answered_ns"])) / 1e9
    return table(shown, f"{sid}: jobs, by {said.get('way')}, {max(0.0, age):.0f} s ago{since}")


def _job_log(log: dict[str, Any] | None, steps: Any) -> str:
    """The step that a job is at and the last line of its log."""
    if log is None:
        return ""
    step = f"step {log['step']} of {steps or '?'}: " if log.get("step") else ""
    return f"{step}{log.get('last', '')}"


def databases_of(run: Run) -> list[str]:
    """The databases whose alert log the run follows."""
    return [str(probe["options"]["sid"]) for probe in run.manifest.get("probes") or () if probe.get("kind") == "alert"]


def _alert_order(run: Run, sid: str) -> Mapping[str, Any]:
    """The order of the probe that follows a database's alert log."""
    probes = run.manifest["probes"]
    return next(one for one in probes if one.get("kind") == "alert" and one["options"]["sid"] == sid)


def _alert_rows(run: Run, sid: str) -> list[tuple[dict[str, Any], Classified]]:
    """What the alert log said lately, each with its class by the rules that the run keeps; of an unreadable row nothing."""
    order = _alert_order(run, sid)
    rules, _ = _alert_rules(str(order["options"].get("rules") or ""))
    found = []
    for row in run.latest(str(order["name"]), 64 * 1024):
        try:
            found.append((row, rules.classify(from_row(row))))
        except (KeyError, TypeError, ValueError):
            continue  # the report counts it
    return found


@lru_cache(maxsize=8)
def _alert_rules(text: str) -> tuple[Rules, str]:
    return Rules.kept(text)


def alert_lines(run: Run, sid: str) -> HTML:
    """The newest entries of a database's alert log with their class, newest first; plain output, also during the run."""
    return _alerts(run, sid, _alert_rows(run, sid), run.events())


def _alerts(run: Run, sid: str, rows: Sequence[tuple[dict[str, Any], Classified]], events: Sequence[Event]) -> HTML:
    order = _alert_order(run, sid)
    mine = [event for event in events if event.data.get("probe") == order["name"]]
    trouble = [event.data.get("what") for event in mine if event.kind == "probe-trouble"]
    _, wrong = _alert_rules(str(order["options"].get("rules") or ""))
    notes = "".join(f"<p>! {escaped(sid)}: {escaped(text)}</p>" for text in filter(None, (wrong, *trouble[-1:])))
    if not rows:
        followed = any(event.kind == "alert-log" for event in mine)
        text = "has said nothing since the run began" if followed else "is not followed yet"
        return HTML(f"<p>{escaped(sid)}: the alert log {text}.</p>{notes}")
    shown = [
        {
            "seen (UTC)": f"{datetime.fromtimestamp(row['wall_ns'] / 1e9, tz=UTC):%H:%M:%S}",
            "class": f"{_CLASS_MARKS.get(found.meaning.value, '·')} {found.meaning.value}",
            "stands at": str((row.get("when") or [""])[0])[11:19],
            "line": found.event.headline[:160],
        }
        for row, found in rows[-8:][::-1]
    ]
    return HTML(table(shown, f"{sid}: alert log, the newest first").data + notes)


#: How a class of alert lines is marked, in the table and in its lane, and in which colour there.
_CLASS_MARKS = {"fail": "✗", "warn": "!", "expected": "✓", "unknown": "?"}
_CLASS_COLOURS = {"fail": "#b42318", "warn": "#9a6700", "expected": "#0072b2", "unknown": "#7b3294"}


# -- afterwards ----------------------------------------------------------------------------------------------------------------


def mapping_table(run: Run) -> HTML:
    """What becomes of the virtual adapters and disks, from the survey in the folder."""
    from lpmkit.mapping.compare import as_row, compare_mapping  # noqa: PLC0415
    from lpmkit.survey.model import Survey  # noqa: PLC0415

    found = run.document("survey")
    if found is None:
        raise UsageError("there is no survey yet", where=run.name, next_step="Run the cell that checks first.")
    record = run.manifest["order"]["mapping"] or None
    return table([as_row(line) for line in compare_mapping(Survey.from_dict(found), record)], "mapping")


#: What stands for the chart of a run where it cannot be seen.
CHART_SAID = "What each probe saw around the suspension, lane by lane; the verdict says it in words"


def verdict(book: Runbook, run: Run, *, wait: bool = False) -> Any:
    """The verdict of a run that is over, and the chart. ``wait`` keeps this cell busy until then (no button works meanwhile)."""
    from IPython.display import display  # noqa: PLC0415

    if wait:
        for _ in book.follow(run):
            pass
    found, *chart = judged(book, run)
    for one in chart:
        display(one)
    return found


def judged(book: Runbook, run: Run) -> list[HTML]:
    """Every question with its state and answer, worked out now, and the chart; of a run that is not over, where it stands.

    The chart is a PNG, which fits into a cell and shows in a saved copy that nobody trusts yet. Writes the report as well.
    """
    from lpmkit.analysis import analyse  # noqa: PLC0415
    from lpmkit.plots.run import image, wall_chart  # noqa: PLC0415
    from lpmkit.report.page import write_analysed  # noqa: PLC0415

    now = state(run, book.clock)
    if not now.is_over or now.phase is Phase.PREPARED:
        return [
            HTML(
                f"<p>Not over yet: <b>{escaped(now.phase.value if now.phase else 'watching')}</b>. Look again later.</p>"
            )
        ]
    analysis = analyse(run)
    write_analysed(run, analysis)
    rows = [
        {"question": one.title, "state": one.state.value, "answer": one.answer} for one in analysis.verdict.questions
    ]
    return [table(rows, analysis.verdict.sentence), picture(image(wall_chart(analysis)), CHART_SAID)]


def clean_up(rehearsal: Any, board: LiveBoard, run: Run) -> HTML:
    """End a rehearsal's machines, unless its run has yet to begin or goes on."""
    if run.is_recorded() or not run.events():
        return HTML("<p>Nothing was ended: the run has not begun, or goes on. Run this cell again when it is over.</p>")
    board.close_board()
    rehearsal.close()
    return HTML(f"<p>The simulated machines are gone. The record stays in <code>{escaped(run.path)}</code></p>")


def report_link(run: Run) -> HTML:
    """Where the report of a run lies."""
    path = run.path / "report.html"
    if not path.exists():
        return HTML("<p>No report yet: run the verdict's cell when the run is over.</p>")
    here = Path.cwd()
    # A notebook's page may open files beside it, no others of the machine.
    if not path.resolve().is_relative_to(here):
        return HTML(f"<p>Report: <code>{escaped(path)}</code></p>")
    relative = path.resolve().relative_to(here)
    return HTML(f"<p>Report: <a href='{escaped(relative)}' target='_blank'>{escaped(relative)}</a></p>")
