"""Widgets that choose a partition and move it. A widget shows a value and calls a method of the runbook; it decides nothing.

Buttons start work elsewhere (in the recorder, or in a thread for a survey) and return, so a closed browser or a restarted kernel changes nothing.
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
from lpmkit.notebook.tables import escaped
from lpmkit.runbook import Runbook, SiteInventory
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import add_remark
from lpmkit.timeline import Clock

#: A text that wants room; what is as wide as it says; what goes on in another line where the window is narrow.
_FORM = w.Layout(width="30em", max_width="98%")


_FITS = w.Layout(width="auto", min_width="7em")


_WRAPS = w.Layout(flex_flow="row wrap")


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
