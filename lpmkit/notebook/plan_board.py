"""The live board of a plan with its actions. A widget shows a value and calls a function of the plan; it decides
nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import ipywidgets as w
from IPython.display import HTML

from lpmkit.board.model import Board
from lpmkit.board.page import board_html
from lpmkit.errors import LpmError, UsageError
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.board_view import board_view
from lpmkit.notebook.move import summary_table
from lpmkit.notebook.tables import escaped
from lpmkit.plan import MovePlan
from lpmkit.plan.banner import ACTIONS
from lpmkit.plan.board import FollowedPlan, checked_board, plan_board
from lpmkit.plan.book import CheckedPlan, again, attach, checked_plan, go_on, halt, may_start, start
from lpmkit.plan.confirm import plan_summary
from lpmkit.plan.page import write_page
from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import plans
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.wording.words import ENGLISH, Words, words_of

#: Seconds between two redraws: stages of a plan change slowly.
REDRAW_S = 1.0
#: Seconds for which a check of the plan counts when it is started.
CHECK_HOLDS_S = 900.0
_FITS = w.Layout(width="auto", min_width="7em")
_WRAPS = w.Layout(flex_flow="row wrap")
_STYLES: Mapping[str, str] = {"start": "warning", "again": "danger", "attach": "danger", "go-on": "warning"}


NOT_STARTED = "The plan is not started yet."


class PlanPanel(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The board of a plan, with the actions that apply below its banner, at most two; the others folded, each with the
    reason why it does not apply.

    A start shows a summary of what it does and asks for the plan's title; what forbids it is said before that.
    With ``folder``, or if a plan of that title is running, that one is shown; nothing is started twice. ``checked`` is
    the newest check of the plan; without one, or with one of more than `CHECK_HOLDS_S`, a start checks it first.
    ``names_page``: the state is the title and the icon of the page.
    """

    def __init__(
        self,
        book: Runbook,
        plan: MovePlan,
        folder: Run | None = None,
        checked: CheckedPlan | None = None,
        *,
        names_page: bool = False,
    ) -> None:
        self._book, self._plan, self._words = book, plan, words_of(book.site.language)
        said = self._words.said
        self.checked = checked if checked is not None and checked.plan == plan else None
        running = [
            one for one in plans(book.site.runs.folder) if one.manifest.get("title") == plan.title and one.is_recorded()
        ]
        self.folder = folder or (running[-1] if running else None)
        self._followed: FollowedPlan | None = None
        self._guard = threading.Lock()
        self.buttons = {key: w.Button(description=said(text), layout=_FITS) for key, text in ACTIONS.items()}
        for key, button in self.buttons.items():
            button.on_click(lambda _, key=key: self.press(key))
        self.head = board_view(("head",), names_page=names_page, tells=names_page)
        self.body = board_view(("lanes", "happened", "folds"))
        self.row = w.HBox(layout=_WRAPS)
        self.summary = w.HTML()
        self.typed = w.Text(
            placeholder=said(f"type {plan.title}"), description=said("title"), layout=w.Layout(width="28em")
        )
        self.go = w.Button(description=said("Start"), button_style="warning", disabled=True, layout=_FITS)
        self.cancel = w.Button(description=said("Cancel"), layout=_FITS)
        self.confirm = w.VBox([self.summary, w.HBox([self.typed, self.go, self.cancel], layout=_WRAPS)])
        self.confirm.layout.display = "none"
        self.says = Acknowledgement(self._words)
        self.below = w.VBox()
        self.which = w.Dropdown(options=[], description=said("which"), layout=w.Layout(width="20em"))
        self.others = w.HBox(layout=_WRAPS)
        self.why_not = w.HTML()
        self.more = w.Accordion([w.VBox([self.which, self.others, self.why_not])], titles=(said("More actions"),))
        self.more.selected_index = None
        self.go.on_click(lambda _: self._confirmed())
        self.cancel.on_click(lambda _: self._close())
        self.typed.observe(lambda _: self._compare_title(), names="value")
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        if self.folder is not None:
            attach(book, self.folder)
            self._watch()
        self.now: Board = self.refresh()
        super().__init__([self.head, self.row, self.confirm, self.says, self.below, self.body, self.more])

    # -- what applies --------------------------------------------------------------------------------------------------

    def refresh(self) -> Board:
        """Show the current state of the folder and offer the actions that apply; returns the board of this moment."""
        with self._guard:
            self.now = board = self._board()
            reasons = self.reasons()
            offered = [self.buttons[key] for key in board.banner.actions if not reasons.get(key)]
            for key, button in self.buttons.items():
                button.disabled = bool(reasons.get(key))
                button.tooltip = self._words.said(reasons.get(key) or "") or button.description
                button.button_style = _STYLES.get(key, "") if offered[:1] == [button] else ""
            lost = self._lost()
            if tuple(lost) != tuple(self.which.options):
                self.which.options = lost
            self.which.layout.display = "" if len(lost) > 1 else "none"
            if tuple(offered) != self.row.children:
                self.row.children = tuple(offered)
                self.others.children = tuple(button for button in self.buttons.values() if button not in offered)
            said = self._words.said
            self.why_not.value = "".join(
                f"<p><b>{escaped(said(ACTIONS[key]).rstrip(' …'))}</b>: {escaped(said(why))}</p>"
                for key, why in reasons.items()
                if why
            )
            self.head.show(board)
            self.body.show(board)
            return board

    def _board(self) -> Board:
        if self.folder is None:
            return checked_board(self._plan, self.checked, self._words.language)
        if self._followed is None or self._followed.folder.path != self.folder.path:
            self._followed = FollowedPlan(self.folder, self._book.clock, self._words.language)
        return self._followed.board()

    def _lost(self) -> list[str]:
        """The moves that can be tried again."""
        if self._followed is None:
            return []
        return [move.partition for move in self._followed.status.moves if move.stage in (Stage.FAILED, Stage.DROPPED)]

    def reasons(self) -> dict[str, str]:
        """The reason why each action does not apply now; empty where it does."""
        if self._followed is None:
            later = dict.fromkeys(("halt", "go-on", "again", "attach", "report"), "the plan is not started yet")
            return {"start": "", "check": "", **later}
        now = self._followed.status
        begun = "the plan has started already"
        return {
            "start": begun,
            "check": begun,
            "halt": "no conductor runs" if not now.conducted else "it is halted already" if now.halted else "",
            "go-on": "every move is over" if now.is_done else "" if now.halted or now.is_over else "it is not halted",
            "again": "" if self._lost() else "no move failed",
            "attach": "" if not now.conducted and now.ended is None else "the conductor is not missing",
            "report": "",
        }

    # -- a press, a title ----------------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Take an action, or ask for the title that it needs."""
        book = self._book
        deeds: dict[str, tuple[str, Callable[[], object]]] = {
            "halt": ("no further move is started", lambda: halt(book, self._known())),
            "go-on": ("the plan continues", lambda: go_on(book, self._known())),
            "again": ("queued again", lambda: again(book, self._known(), self.which.value)),
            "attach": ("conductor restarted", lambda: attach(book, self._known())),
        }
        if key == "check":
            self._in_background(lambda: None)
        elif key == "start":
            self._ask_title()
        elif key == "report":
            write_page(self._known())
            self.below.children = (w.HTML(plan_page_link(self.folder, self._words).data),)
        else:
            self._do(*deeds[key])

    def _ask_title(self) -> None:
        """Say what forbids a start, else show its summary and ask for the title; a check comes first."""
        if self._is_fresh():
            self._show_summary()
        else:
            self._in_background(self._show_summary)

    def _is_fresh(self) -> bool:
        now_ns = self._book.clock.wall_ns()
        return self.checked is not None and now_ns - self.checked.at_ns < CHECK_HOLDS_S * 1e9

    def _in_background(self, then: Callable[[], object]) -> None:
        """Check the plan in a thread: it asks many machines, and the kernel serves other buttons."""
        self.says.busy("Checking every move: survey, checks, validation")
        self.buttons["check"].disabled = self.buttons["start"].disabled = True
        threading.Thread(target=self._check, args=(then,), daemon=True, name=f"check of {self._plan.title}").start()

    def _check(self, then: Callable[[], object]) -> None:
        try:
            self.checked = checked_plan(self._book, self._plan)
        except Exception as error:  # noqa: BLE001 - this thread's only reader is the panel
            self.says.trouble(error)
        else:
            self.says.done("Plan checked.")
            self.refresh()
            then()
        finally:
            self.refresh()

    def _show_summary(self) -> None:
        try:
            may_start(self._book, self._plan, self.checked)
            assert self.checked is not None
            rows = plan_summary(self._book, self.checked)
        except LpmError as error:
            self._close()
            self.says.trouble(error)
            return
        self.summary.value = summary_table(
            [(self._words.said(name), self._words.said(text)) for name, text in rows]
        ).data
        self.typed.value = ""
        self.confirm.layout.display = ""
        self._compare_title()

    @property
    def asks(self) -> bool:
        """True while the summary is shown and the title is asked for."""
        return bool(self.confirm.layout.display == "")

    def _compare_title(self) -> None:
        self.go.disabled = not self.asks or self.typed.value != self._plan.title

    def _close(self) -> None:
        self.confirm.layout.display = "none"
        self._compare_title()

    def _confirmed(self) -> None:
        title = self.typed.value
        if self.go.disabled:
            return
        self._close()
        self._do("plan started; it runs independently of this page", lambda: self._start(title))

    def begin(self, title: str) -> None:
        """Check the plan, then start it as if somebody had typed ``title`` and confirmed: for a notebook that runs
        without a person. What forbids it is shown.
        """
        if not self._is_fresh():
            self.checked = checked_plan(self._book, self._plan)
        self._show_summary()
        self.typed.value = title
        if not self.go.disabled:
            self.go.click()

    def _known(self) -> Run:
        if self.folder is None:
            raise UsageError("the plan is not started yet")
        return self.folder

    def _start(self, title: str) -> None:
        self.folder = start(self._book, self._plan, title)

    def _do(self, done: str, act: Callable[[], object]) -> None:
        if not self.says.carried_out(act, f"{done}."):
            return
        if self.folder is not None:
            self._watch()
        self.refresh()

    # -- redrawing -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._keep, daemon=True, name=f"board of {self._plan.title}")
            self._thread.start()

    def close_board(self) -> None:
        """End the redrawing."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _keep(self) -> None:
        while not self._end.wait(REDRAW_S):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - retried at the next refresh, and shown meanwhile
                self.says.trouble(error)
                continue
            if self._followed is not None and self._followed.status.is_over:
                return


def plan_picture(folder: Run | None, words: Words = ENGLISH) -> HTML:
    """The board of a plan as plain output, which stays in the saved notebook."""
    if folder is None:
        return HTML(f"<p>{words.said(NOT_STARTED)}</p>")
    return HTML(board_html(plan_board(folder, language=words.language)))


def plan_page_link(folder: Run | None, words: Words = ENGLISH) -> HTML:
    """The path of a plan's report."""
    if folder is None:
        return HTML(f"<p>{words.said(NOT_STARTED)}</p>")
    path: Path = folder.path / "plan.html"
    text = f"{words.said('Report of the plan')}: <code>{escaped(path)}</code>"
    return HTML(f"<p>{text if path.exists() else words.said('No report yet.')}</p>")
