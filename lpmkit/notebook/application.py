"""The application without cells: one widget with a page for each step. `lpmkit app` serves it with Voilà.

Every button does what a cell of the numbered notebooks does, with the same functions; nothing is decided here. A page
that cannot be built shows the reason. A reload rebuilds everything from the run folders, also during a move.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as w

from lpmkit.errors import LpmError
from lpmkit.notebook.live import LiveBoard
from lpmkit.notebook.move import Chooser, MovePanel
from lpmkit.notebook.plan import PlanMaker, PlanPanel, looked_table
from lpmkit.notebook.record import (
    ApprovalForm,
    HomeChooser,
    RecordForm,
    RunChooser,
    WriteUpPanel,
    history_chart,
    history_table,
    ledger_table,
    overlaid,
    side_by_side,
    unusual,
)
from lpmkit.notebook.tables import expectation_text, findings_table, mapping_table, validation_text
from lpmkit.notebook.verdict import judged, report_link
from lpmkit.plan.book import check_plan
from lpmkit.plan.status import plan_of, plans
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run


class _Page(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A page: content, action buttons and the last action's result."""

    def __init__(self, top: Callable[[], Any], deeds: dict[str, Callable[[], list[Any]]], about: str) -> None:
        self.about = w.HTML(f"<p>{html.escape(about)}</p>")
        self.below = w.VBox()
        self.buttons = {name: w.Button(description=name, layout=w.Layout(width="auto")) for name in deeds}
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self.do(name))
        self.children: Any
        self._deeds, self._make = deeds, top
        self.top: Any = None
        super().__init__([self.about, self._made(), w.HBox(list(self.buttons.values())), self.below])

    def _made(self) -> Any:
        """The content, or the reason why it cannot be built."""
        try:
            self.top = self._make()
        except LpmError as error:
            self.top = _trouble(error)
        return self.top

    def renew(self) -> None:
        """Rebuild the content."""
        about, _, *below = tuple(self.children)
        self.children = (about, self._made(), *below)

    def do(self, name: str) -> None:
        """Perform the action of a button and show its result."""
        for button in self.buttons.values():
            button.disabled = True
        self.below.children = (w.HTML(f"<p role='status'>{html.escape(name)} …</p>"),)
        try:
            self.below.children = tuple(_shown(one) for one in self._deeds[name]())
        except LpmError as error:
            self.below.children = (_trouble(error),)
        finally:
            for button in self.buttons.values():
                button.disabled = False


def _trouble(error: LpmError) -> Any:
    return w.HTML(f"<p role='alert'>✗ {html.escape(str(error))}</p>")


def _shown(value: Any) -> Any:
    """A widget, or plain output as a widget."""
    if isinstance(value, w.Widget):
        return value
    return w.HTML(value.data)


class Application(w.Tab):  # type: ignore[misc] # as above
    """The guided move, its verification and its history as six pages."""

    def __init__(self, book: Runbook) -> None:
        self._book = book
        self._board: LiveBoard | None = None
        self._plan: PlanPanel | None = None
        self.prepare = _Page(
            lambda: Chooser(book),
            {"Survey and check": self._do_check, "Validate": self._do_validate},
            "Choose partition and target. Nothing is changed on any machine.",
        )
        self.move = _Page(
            lambda: RunChooser(book, wanted=lambda run: run.manifest["mode"] == "move"),
            {"Open": self._do_open, "Approve": self._do_approve},
            "Choose a prepared run or a running move; newest first.",
        )
        self.verify = _Page(
            lambda: RunChooser(book),
            {"Verdict": self._do_verdict, "Add to the record": self._do_record, "Write up": self._do_write},
            "Verdict, remarks and write-up of a run.",
        )
        self.compare = _Page(
            lambda: RunChooser(book, several=True),
            {"Side by side": self._do_compare, "History": self._do_history},
            "Several runs side by side, and the history of the site.",
        )
        self.home = _Page(
            lambda: w.VBox([_shown(ledger_table(book)), HomeChooser(book)]),
            {"Survey, check and validate": self._do_home},
            "Partitions that are not on their home frame. Make the move itself on the page “Move and watch”.",
        )
        self.several = _Page(
            lambda: PlanMaker(book, book.site.runs.folder / "plan.yaml"),
            {"Check the plan": self._do_look, "Run the plan": self._do_plan},
            "A plan of several moves: save it, check it, run it.",
        )
        pages = {
            "Survey and check": self.prepare,
            "Move and watch": self.move,
            "Verify and write up": self.verify,
            "Compare": self.compare,
            "Move it home": self.home,
            "Move several": self.several,
        }
        super().__init__(list(pages.values()), titles=tuple(pages))
        if any(plan.is_recorded() for plan in plans(book.site.runs.folder)):
            self.selected_index = list(pages).index("Move several")
            self.several.do("Run the plan")
            return
        running = next((run for run in reversed(book.runs()) if run.is_recorded()), None)
        if running is not None:  # a running move comes first
            self.selected_index = 1
            self.move.do("Open")

    def _prepared(self) -> Run:
        run = self._book.prepare(self.prepare.top.order())
        self.move.renew()
        self.verify.renew()
        return run

    def _do_check(self) -> list[Any]:
        run = self._prepared()
        findings = self._book.check(run)
        return [findings_table(findings), mapping_table(run), expectation_text(self._book, run)]

    def _do_validate(self) -> list[Any]:
        run = self._prepared()
        return [validation_text(self._book.validate(run)), expectation_text(self._book, run)]

    def _do_open(self) -> list[Any]:
        chosen = self.move.top.run()
        run = chosen if chosen.events() else self._book.prepare(self._book.order_of(chosen))
        if self._board is not None:
            self._board.close_board()
        validation: list[Any] = []
        if not run.events():
            validation.append(validation_text(self._book.validate(run)))
        panel = MovePanel(self._book, run)
        self._board = LiveBoard(run, panel)
        return [*validation, panel, self._board]

    def _do_approve(self) -> list[Any]:
        """A form to approve the chosen order as the logged-in person."""
        return [ApprovalForm(self._book, self.move.top.run())]

    def _relabel(self) -> None:
        """Update the lists after a run was analysed."""
        for page in (self.move, self.verify, self.compare):
            if isinstance(page.top, RunChooser):
                page.top.refresh()

    def _do_verdict(self) -> list[Any]:
        run = self.verify.top.run()
        answers, *chart = judged(self._book, run)
        self._relabel()
        return [answers, unusual(self._book, run), *chart, report_link(run)]

    def _do_record(self) -> list[Any]:
        return [RecordForm(self.verify.top.run(), self._book.person)]

    def _do_write(self) -> list[Any]:
        panel = WriteUpPanel(self._book, self.verify.top.run())
        panel.write.on_click(lambda _: self._relabel())  # it analyses too
        return [panel]

    def _do_compare(self) -> list[Any]:
        runs = self.compare.top.runs()
        return [side_by_side(runs), overlaid(runs)]

    def _do_history(self) -> list[Any]:
        return [history_table(self._book), history_chart(self._book)]

    def _do_home(self) -> list[Any]:
        order = self.home.top.children[1].order()
        run = self._book.prepare(order)
        result = [findings_table(self._book.check(run)), validation_text(self._book.validate(run))]
        self.move.renew()
        return result

    def _do_look(self) -> list[Any]:
        return [looked_table(check_plan(self._book, self.several.top.plan()))]

    def _do_plan(self) -> list[Any]:
        if self._plan is not None:
            self._plan.close_board()
        folder = next((plan for plan in plans(self._book.site.runs.folder) if plan.is_recorded()), None)
        # a running plan comes before the one in the rows
        plan = self.several.top.plan() if folder is None else plan_of(folder)
        self._plan = PlanPanel(self._book, plan, folder)
        return [self._plan]
