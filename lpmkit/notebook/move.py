"""Widgets that choose a partition and move it. A widget shows a value and calls a method of the runbook; it decides
nothing.

Buttons start work elsewhere (in the recorder, or in a thread for a survey) and return, so a closed browser or a
restarted kernel changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import ipywidgets as w
from IPython.display import HTML

from lpmkit.control.base import Order
from lpmkit.errors import LpmError, UsageError
from lpmkit.migration.phases import Phase
from lpmkit.migration.recovery import BothEnds, Proposal
from lpmkit.migration.status import RunStatus, State, refusals
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.tables import escaped
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import add_remark
from lpmkit.timeline import Clock

#: Layouts: a wide text, a control as wide as its text, a row that wraps in a narrow window.
_FORM = w.Layout(width="30em", max_width="98%")


_FITS = w.Layout(width="auto", min_width="7em")


_WRAPS = w.Layout(flex_flow="row wrap")


class Chooser(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A chooser for the partition and its target frame. ``order()`` has the choice."""

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
                f"<p>? <b>{escaped(name)}</b> did not answer: {escaped(why)}</p>"
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
        """The order as chosen. Raises `UsageError` while partition or target is missing."""
        if self.partition.value is None or self.target.value is None:
            raise UsageError("no partition or no target is chosen", next_step="Choose both, then try again.")
        source, name = self.partition.value
        return self._book.order(name, self.target.value, source=source)

    def _fill(self) -> None:
        wanted = self.search.value.strip().lower()
        self.partition.options = [
            (
                f"{one.partition.name}   on {one.frame}, {one.partition.state}, {one.partition.memory_mb or '?'} MB, "
                f"{one.partition.os_version or ''}",
                (one.frame, one.partition.name),
            )
            for one in self._movable
            if wanted in one.partition.name.lower()
        ]

    def _fill_targets(self) -> None:
        source = self.partition.value[0] if self.partition.value else None
        self.target.options = [
            (
                f"{name}   {frame.machine}, {frame.memory_available_mb} MB and {frame.proc_units_available} "
                "processing units free",
                name,
            )
            for name, frame in self.there.frames.items()
            if name != source
        ]


class MovePanel(w.VBox):  # type: ignore[misc] # as above
    """Buttons for one move: move, stop, recover, restart recorder. Each is enabled exactly while it applies; the reason
    is shown otherwise.

    The recommended action comes from the record while a recorder polls, and from both managers after "Check both
    frames".
    """

    def __init__(self, book: Runbook, run: Run) -> None:
        self._book, self._run = book, run
        self._name = str(run.manifest["order"]["partition"])
        self.course = RunStatus(run, book.clock)
        #: The answers of both managers to "Check both frames", and their time (monotonic nanoseconds).
        self._looked: tuple[BothEnds, int] | None = None
        self.typed = w.Text(placeholder=f"type {self._name}", description="name", continuous_update=True)
        self.move = w.Button(description="Move", icon="truck", button_style="warning", layout=_FITS)
        self.stop = w.Button(description="Stop", icon="hand-paper", layout=_FITS)
        self.recover = w.Button(description="Recover", icon="medkit", layout=_FITS)
        self.force = w.Button(description="Recover with force", icon="exclamation-triangle", layout=_FITS)
        self.look = w.Button(description="Check both frames", icon="search", layout=_FITS)
        self.attach = w.Button(description="Restart recorder", icon="eye", layout=_FITS)
        self.approver = w.Text(
            placeholder="second person, if the site requires one", description="approval", layout=_FORM
        )
        self.approve = w.Button(description="Record approval", icon="check", layout=_FITS)
        self.says = Acknowledgement()
        self.way = w.HTML()
        self.why_not = w.HTML()
        self.approve.on_click(lambda _: self._do("approval recorded", self._approved))
        self.move.on_click(lambda _: self._do("move requested", lambda: book.move(run, self.typed.value)))
        self.stop.on_click(lambda _: self._do("stop requested", lambda: book.stop(run, self.typed.value)))
        self.recover.on_click(lambda _: self._do("recovery requested", lambda: book.recover(run, self.typed.value)))
        self.force.on_click(
            lambda _: self._do("forced recovery requested", lambda: book.recover(run, self.typed.value, force=True))
        )
        self.look.on_click(lambda _: self._look())
        self.attach.on_click(
            lambda _: self._do("recorder restarted; the gap is marked 'not observed'", lambda: book.attach(run))
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
        add_remark(self._run.path, "approval", self.approver.value, by=self._book.person.login)

    def refresh(self) -> State:
        """Enable the buttons that apply now; show for the others why they do not."""
        now = self.course.state()
        proposal = self.course.proposal(self._looked)
        apply = refusals(now, proposal[0] if proposal else None)
        unnamed = "" if self.typed.value == self._name else f"type {self._name} to confirm"
        reasons = {
            self.move: self._why_not_move() or unnamed,
            self.stop: apply.stop or unnamed,
            self.recover: apply.recover or unnamed,
            self.force: apply.force or unnamed,
            self.attach: apply.attach,
        }
        for button, why in reasons.items():
            button.disabled, button.tooltip = bool(why), why or button.description
        self.why_not.value = _reasons({button.description: why for button, why in reasons.items() if why})
        self.way.value = "" if proposal is None or now.phase is Phase.PREPARED else proposal_text(*proposal).data
        return now

    def _why_not_move(self) -> str:
        if self.course.events:  # saves reading all of them again
            return "this run has begun; a run folder records one move"
        try:
            self._book.may_begin(self._run)
        except LpmError as error:
            return str(error)
        return ""

    def _look(self) -> None:
        """Ask both managers in a thread: they may be slow, and the kernel serves other buttons."""
        self.look.disabled = True
        self.says.busy("Asking both managers")
        threading.Thread(target=self._ask_both, daemon=True, name=f"check of {self._run.name}").start()

    def _ask_both(self) -> None:
        try:
            self._looked = self._book.look(self._run), self._book.clock.mono_ns()
        except LpmError as error:
            self.says.trouble(error)
        else:
            self.says.done("Both frames checked.")
            self.refresh()
        finally:
            self.look.disabled = False

    def _do(self, done: str, act: Callable[[], object]) -> None:
        try:
            act()
        except LpmError as error:
            self.says.trouble(error)
            return
        self.says.done(f"{done}.")
        self.refresh()


def _reasons(why_not: Mapping[str, str]) -> str:
    """The buttons that do not apply, grouped by reason."""
    together: dict[str, list[str]] = {}
    for button, why in why_not.items():
        together.setdefault(why, []).append(button)
    lines = [f"<li><b>{escaped(', '.join(names))}</b>: {escaped(why)}</li>" for why, names in together.items()]
    return f"<p>Not available now:</p><ul>{''.join(lines)}</ul>" if lines else ""


def proposal_text(proposal: Proposal, at_ns: int) -> HTML:
    """The recommended action, its reason, the state of both frames and the commands; ``at_ns`` is the time of the
    readings (monotonic nanoseconds).
    """
    ago = max(0.0, (Clock().mono_ns() - at_ns) / 1e9)
    typed = "".join(f"<li><code>{escaped(command)}</code></li>" for command in proposal.commands)
    ends = "".join(f"<li>{escaped(line)}</li>" for line in proposal.readings)
    return HTML(
        f"<p>Recommended action: <b>{escaped(proposal.action.words)}</b>. {escaped(proposal.why)}</p>"
        f"<details><summary>State of both frames, {_age(ago)}{', and the commands' if typed else ''}</summary>"
        f"<ul>{ends}{typed}</ul></details>"
    )


def _age(seconds: float) -> str:
    """A coarse age: a text that changes with every refresh is sent and drawn every time."""
    return (
        "just now"
        if seconds < 10
        else f"{seconds // 10 * 10:.0f} s ago"
        if seconds < 120
        else f"{seconds // 60:.0f} minutes ago"
    )
