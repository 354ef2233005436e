"""The actions of a move. A widget shows a value and calls a method of the runbook; it decides
nothing.

Buttons start work elsewhere (in the recorder, or in a thread for a survey) and return, so a closed browser or a
restarted kernel changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
from IPython.display import HTML

from lpmkit.board.banner import ACTIONS
from lpmkit.board.confirm import REQUESTS, move_summary
from lpmkit.board.follow import FollowedRun
from lpmkit.board.model import Board
from lpmkit.errors import LpmError
from lpmkit.migration.ends import BothEnds
from lpmkit.migration.status import RunStatus, refusals, still_observed
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.record import WriteUpPanel
from lpmkit.notebook.tables import escaped
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import add_remark
from lpmkit.wording.words import ENGLISH, Words, words_of

#: Layouts: a wide text, a control as wide as its text, a row that wraps in a narrow window.
_FORM = w.Layout(width="30em", max_width="98%")


_FITS = w.Layout(width="auto", min_width="7em")


_WRAPS = w.Layout(flex_flow="row wrap")


class MovePanel(w.VBox):  # type: ignore[misc] # as above
    """The actions of one move: in a row those that the board's banner offers, at most two; the others folded, each with
    the reason why it does not apply.

    What changes something asks for the partition's name first, below a summary of what it does; what forbids it is
    said before that. ``open_page`` are functions for actions that show something elsewhere in the page.
    """

    def __init__(self, book: Runbook, run: Run, open_page: Mapping[str, Callable[[], object]] | None = None) -> None:
        self._book, self._run, self._open_page = book, run, dict(open_page or {})
        self.words = words_of(book.site.language)
        said = self.words.said
        self._name = str(run.manifest["order"]["partition"])
        self.course = RunStatus(run, book.clock)
        self.followed = FollowedRun(run, book.clock, self.course, language=self.words.language)
        #: The answers of both managers to "Check both frames", and their time (monotonic nanoseconds).
        self._looked: tuple[BothEnds, int] | None = None
        self._asked = ""
        #: Held while the board is read and the buttons are set: a press and the board's thread may do so at once.
        self._guard = threading.Lock()
        self.buttons = {key: w.Button(description=said(text), layout=_FITS) for key, text in _WORDS.items()}
        for key, button in self.buttons.items():
            button.on_click(lambda _, key=key: self.press(key))
        self.row = w.HBox(layout=_WRAPS)
        self.summary = w.HTML()
        self.typed = w.Text(placeholder=said(f"type {self._name}"), description=said("name"), continuous_update=True)
        self.go = w.Button(disabled=True, layout=_FITS)
        self.cancel = w.Button(description=said("Cancel"), layout=_FITS)
        self.confirm = w.VBox([self.summary, w.HBox([self.typed, self.go, self.cancel], layout=_WRAPS)])
        self.confirm.layout.display = "none"
        self.says = Acknowledgement(self.words)
        self.below = w.VBox()
        self.approver = w.Text(
            placeholder=said("second person, if the site requires one"), description=said("approval"), layout=_FORM
        )
        self.approve = w.Button(description=said("Record approval"), icon="check", layout=_FITS)
        self.others = w.HBox(layout=_WRAPS)
        self.why_not = w.HTML()
        approval = w.HBox([self.approver, self.approve], layout=_WRAPS)
        self.more = w.Accordion([w.VBox([self.others, self.why_not, approval])], titles=(said("More actions"),))
        self.more.selected_index = None
        self.approve.on_click(lambda _: self._do("approval recorded", self._approved))
        self.go.on_click(lambda _: self._confirmed())
        self.cancel.on_click(lambda _: self._close())
        self.typed.observe(lambda _: self._compare_name(), names="value")
        self.refresh()
        super().__init__([self.row, self.confirm, self.says, self.below, self.more])

    def _approved(self) -> None:
        add_remark(self._run.path, "approval", self.approver.value)

    # -- what applies --------------------------------------------------------------------------------------------------

    def refresh(self, *, full: bool = True) -> Board:
        """Offer the actions that apply now; returns the board of this moment."""
        with self._guard:
            return self._refreshed(full)

    def _refreshed(self, full: bool) -> Board:
        board = self.followed.board(full=full, looked=self._looked)
        offered = [self.buttons[key] for key in board.banner.actions]
        reasons = self.reasons()
        for key, button in self.buttons.items():
            button.disabled = bool(reasons.get(key))
            button.tooltip = self.words.said(reasons.get(key) or "") or button.description
            button.button_style = _STYLES.get(key, "") if board.banner.actions[:1] == (key,) else ""
        if tuple(offered) != self.row.children:
            self.row.children = tuple(offered)
            rest = [button for key, button in self.buttons.items() if button not in offered and key in _FOLDED]
            self.others.children = tuple(rest)
        self.why_not.value = _reasons(
            {_WORDS[key].rstrip(" …"): why for key, why in reasons.items() if why}, self.words
        )
        if self._asked and reasons.get(self._asked):
            self._close()  # it does not apply any more
        return board

    def reasons(self) -> dict[str, str]:
        """The reason why each action does not apply now; empty where it does."""
        now = self.course.state()
        proposal = self.course.proposal(self._looked)
        apply = refusals(now, proposal[0] if proposal else None)
        return {
            "move": self._why_not_move(),
            "stop": apply.stop,
            "recover": apply.recover,
            "force": apply.force,
            "attach": apply.attach,
        }

    def _why_not_move(self) -> str:
        if self.course.events:  # saves reading all of them again
            return "this run has begun; a run folder records one move"
        try:
            self._book.may_begin(self._run)
        except LpmError as error:
            return str(error)
        return ""

    # -- a press, a name -----------------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Take an action, or ask for the name that it needs."""
        if key in self._open_page:
            self._open_page[key]()
        elif key == "look":
            self._look()
        elif key == "attach":
            self._do("recorder restarted; the gap is marked 'not observed'", lambda: self._book.attach(self._run))
        elif key == "report":
            self.below.children = (w.HTML(report_written(self._run, self.words).data),)
        elif key == "write-up":
            self.below.children = (WriteUpPanel(self._book, self._run),)
        else:
            self._ask_name(key)

    def _ask_name(self, key: str) -> None:
        try:
            rows = self._summary_of(key)
        except LpmError as error:
            self._close()
            self.says.trouble(error)
            return
        self._asked = key
        self.summary.value = summary_table(rows).data
        self.go.description = self.words.said(_WORDS[key]).rstrip(" …")
        self.go.button_style = _STYLES.get(key, "")
        self.typed.value = ""
        self.confirm.layout.display = ""
        self._compare_name()

    def _summary_of(self, key: str) -> Sequence[tuple[str, str]]:
        if key != "move":
            order = self._book.own_order(self._run)
            said = self.words.said
            return ((said(_WORDS[key]).rstrip(" …"), f"{order.partition}: {said(REQUESTS[key])}"),)
        self._book.may_begin(self._run)
        self._book.refuse_second_move(self._run)
        return move_summary(self._run, self._book.require_approvals(self._run), self.words)

    def _compare_name(self) -> None:
        self.go.disabled = not self._asked or self.typed.value != self._name

    def _confirmed(self) -> None:
        key, book, run, name = self._asked, self._book, self._run, self.typed.value
        deeds: dict[str, tuple[str, Callable[[], object]]] = {
            "move": ("move requested", lambda: book.move(run, name)),
            "stop": ("stop requested", lambda: book.stop(run, name)),
            "recover": ("recovery requested", lambda: book.recover(run, name)),
            "force": ("forced recovery requested", lambda: book.recover(run, name, force=True)),
        }
        if key in deeds:
            self._close()
            self._do(*deeds[key])

    def _close(self) -> None:
        self._asked = ""
        self.confirm.layout.display = "none"
        self._compare_name()

    def begin(self, name: str) -> None:
        """Press *Move*, type a name and confirm it: for a notebook that runs without a person."""
        self.press("move")
        self.typed.value = name
        if not self.go.disabled:
            self.go.click()

    def _look(self) -> None:
        """Ask both managers in a thread: they may be slow, and the kernel serves other buttons."""
        self.buttons["look"].disabled = True
        self.says.busy("Asking both managers")
        threading.Thread(target=self._ask_both, daemon=True, name=f"check of {self._run.name}").start()

    def _ask_both(self) -> None:
        try:
            self._looked = self._book.look(self._run), self._book.clock.mono_ns()
        except Exception as error:  # noqa: BLE001 - this thread's only reader is the panel
            self.says.trouble(error)
        else:
            self.says.done("Both frames checked.")
            self.refresh()
        finally:
            self.buttons["look"].disabled = False

    def _do(self, done: str, act: Callable[[], object]) -> None:
        if self.says.carried_out(act, f"{done}."):
            self.refresh()


#: The words on the buttons: the banner's actions, and force, which no banner offers.
_WORDS: Mapping[str, str] = {**ACTIONS, "force": "Recover with force …"}
_STYLES: Mapping[str, str] = {"move": "warning", "recover": "danger", "attach": "danger", "force": "danger"}
#: Actions that are folded while the banner does not offer them.
_FOLDED = ("stop", "recover", "force", "attach", "look")


def report_written(run: Run, words: Words = ENGLISH) -> HTML:
    """Write the report of a run and link it."""
    from lpmkit.notebook.verdict import report_link  # noqa: PLC0415 - matplotlib takes a while
    from lpmkit.report.page import write_report  # noqa: PLC0415

    if not still_observed(run):
        write_report(run.path, language=words.language)
    return report_link(run, words)


def summary_table(rows: Sequence[tuple[str, str]]) -> HTML:
    """A summary as a table without a heading."""
    body = "".join(
        f"<tr><td style='text-align:left;padding:0 14px 0 0'>{escaped(name)}</td>"
        f"<td style='text-align:left'><b>{escaped(text)}</b></td></tr>"
        for name, text in rows
    )
    return HTML(f"<table style='line-height:1.4' class='lpm-summary'>{body}</table>")


def _reasons(why_not: Mapping[str, str], words: Words) -> str:
    """The actions that do not apply, grouped by reason, behind one line."""
    together: dict[str, list[str]] = {}
    for button, why in why_not.items():
        together.setdefault(words.said(why), []).append(words.said(button))
    lines = [f"<li><b>{escaped(', '.join(names))}</b>: {escaped(why)}</li>" for why, names in together.items()]
    return f"<p>{words.said('Not available now')}:</p><ul>{''.join(lines)}</ul>" if lines else ""
