"""The application without cells: the steps of a move in a row, each leads to the next. `lpmkit app` serves it with
Voilà.

Every button does what a cell of the numbered notebooks does, with the same functions; nothing is decided here. A page
is made again when it is opened; one that cannot be built shows the reason. A reload rebuilds everything from the run
folders, also during a move. The state of the run is the title and the icon of the page.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as w

from lpmkit.errors import LpmError, NotFound
from lpmkit.migration.status import still_observed
from lpmkit.notebook.choose import Chooser
from lpmkit.notebook.live import LiveBoard
from lpmkit.notebook.move import MovePanel
from lpmkit.notebook.plan import PlanMaker, checked_table
from lpmkit.notebook.plan_board import PlanPanel
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
from lpmkit.notebook.tables import causes_table, expectation_text, findings_table, mapping_table, validation_text
from lpmkit.notebook.verdict import judged, report_link
from lpmkit.plan.book import CheckedPlan, checked_plan
from lpmkit.plan.status import plan_of, plans
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from lpmkit.wording.words import ENGLISH, Words, words_of

#: The steps in their order, and the pages beside them.
STEPS = ("Choose", "Check", "Approve", "Move", "Verify", "Write up")
OTHERS = ("Compare", "Move it home", "Move several")
_FITS = w.Layout(width="auto")
_WRAPS = w.Layout(flex_flow="row wrap", align_items="center")


class _Page(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A page: content, action buttons and the last action's result."""

    def __init__(
        self,
        top: Callable[[], Any],
        deeds: Mapping[str, Callable[[], list[Any]]],
        about: str,
        words: Words = ENGLISH,
    ) -> None:
        self._said = words.said
        self.about = w.HTML(f"<p>{html.escape(self._said(about))}</p>")
        self.below = w.VBox()
        self.buttons = {name: w.Button(description=self._said(name), layout=_FITS) for name in deeds}
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self.do(name))
        self.children: Any
        self._deeds, self._make = deeds, top
        self.top: Any = None
        self._content = w.VBox()
        self.head = w.VBox([self.about, self._content, w.HBox(list(self.buttons.values()), layout=_WRAPS)])
        super().__init__([self.head, self.below])

    def renew(self) -> None:
        """Make the content again: what it lists may have changed since it was made."""
        try:
            self.top = self._make()
        except LpmError as error:
            self.top = _trouble(error, self._said)
        self._content.children = (self.top,)

    def show(self, results: list[Any]) -> None:
        """Show results in place of the last action's."""
        self.below.children = tuple(_shown(one) for one in results)

    def fold(self, title: str) -> None:
        """Put the results first, and content and buttons behind one line below them."""
        if self.head in self.children:
            self.children = (self.below, w.Accordion([self.head], titles=(self._said(title),), selected_index=None))

    def do(self, name: str) -> None:
        """Perform the action of a button and show its result."""
        for button in self.buttons.values():
            button.disabled = True
        self.below.children = (w.HTML(f"<p role='status'>{html.escape(self._said(name))} …</p>"),)
        try:
            self.show(self._deeds[name]())
        except LpmError as error:
            self.below.children = (_trouble(error, self._said),)
        finally:
            for button in self.buttons.values():
                button.disabled = False


def _trouble(error: LpmError, said: Callable[[str], str]) -> Any:
    return w.HTML(f"<p role='alert'>✗ {html.escape(said(str(error)))}</p>")


def _shown(value: Any) -> Any:
    """A widget, or plain output as a widget."""
    if isinstance(value, w.Widget):
        return value
    return w.HTML(value.data)


class Application(w.VBox):  # type: ignore[misc] # as above
    """The guided move as six steps, and the pages beside it. ``wall``: only the board of a run, large and without
    buttons; ``run`` is its name, else the one that moves.
    """

    def __init__(self, book: Runbook, *, run: str | None = None, wall: bool = False) -> None:
        self._book = book
        self._words = words_of(book.site.language)
        self.run: Run | None = None
        self.board: LiveBoard | None = None
        self._plan: PlanPanel | None = None
        self._checked_plan: CheckedPlan | None = None
        if wall:
            super().__init__([self._wall(run)])
            return
        self._make_pages()
        self.steps = {name: w.Button(description=self._words.said(name), layout=_FITS) for name in (*STEPS, *OTHERS)}
        for name, button in self.steps.items():
            button.on_click(lambda _, name=name: self.go_to(name))
        more = w.HBox([self.steps[name] for name in OTHERS], layout=_WRAPS)
        self.more = w.Accordion([more], titles=(self._words.said("More"),))
        self.more.selected_index = None
        bar = w.HBox([self.steps[name] for name in STEPS], layout=_WRAPS)
        self.page = w.VBox()
        self.at = ""
        super().__init__([w.HBox([bar, self.more], layout=w.Layout(justify_content="space-between")), self.page])
        self._open_first(run)

    def _make_pages(self) -> None:
        book = self._book
        self.choose = _Page(
            lambda: Chooser(book),
            {"Next: check ▸": lambda: self._next("Check", self._chosen)},
            "Choose partition and target. Nothing is changed on any machine.",
            self._words,
        )
        self.check = _Page(
            w.VBox,
            {"Check again": self._do_check, "Next: move ▸": lambda: self._next("Move", self._begun)},
            "Survey, checks and the manager's validation. Nothing is changed on any machine.",
            self._words,
        )
        self.approve = _Page(
            lambda: w.VBox([] if self.run is None else [ApprovalForm(book, self.run)]),
            {"Next: move ▸": lambda: self._next("Move", self._begun)},
            "The approval of another person, bound to this order.",
            self._words,
        )
        moves = lambda: RunChooser(book, wanted=lambda run: run.manifest["mode"] == "move")  # noqa: E731
        self.move = _Page(
            moves, {"Open": self._do_open}, "Choose a prepared run or a running move; newest first.", self._words
        )
        self.verify = _Page(
            lambda: RunChooser(book, self._name()),
            {"Verdict": self._do_verdict, "Add to the record": self._do_record},
            "Verdict and remarks of a run.",
            self._words,
        )
        self.write = _Page(
            lambda: RunChooser(book, self._name()),
            {"Write up": self._do_write},
            "The files for the change record.",
            self._words,
        )
        self.compare = _Page(
            lambda: RunChooser(book, several=True),
            {"Side by side": self._do_compare, "History": self._do_history},
            "Several runs side by side, and the history of the site.",
            self._words,
        )
        self.home = _Page(
            lambda: w.VBox([_shown(ledger_table(book)), HomeChooser(book)]),
            {"Next: check ▸": lambda: self._next("Check", self._chosen_home)},
            "Partitions that are not on their home frame.",
            self._words,
        )
        self.several = _Page(
            lambda: PlanMaker(book, book.site.runs.folder / "plan.yaml"),
            {"Check the plan": self._do_look, "Run the plan": self._do_plan},
            "A plan of several moves: save it, check it, run it.",
            self._words,
        )
        pages = (self.choose, self.check, self.approve, self.move, self.verify, self.write)
        self.pages = dict(zip((*STEPS, *OTHERS), (*pages, self.compare, self.home, self.several), strict=True))

    def _open_first(self, name: str | None) -> None:
        """Open the page that matters now: a running plan, the move that runs, else the choice."""
        if name is not None:
            self.go_to("Move")
            try:
                self.run = _named(self._book, name)
                self.move.show(self._board_of(self.run))
            except LpmError as error:
                self.move.below.children = (_trouble(error, self._words.said),)
            return
        if any(plan.is_recorded() for plan in plans(self._book.site.runs.folder)):
            self.go_to("Move several")
            self.several.do("Run the plan")
            return
        running = next((run for run in reversed(self._book.runs()) if run.is_recorded() and run.events()), None)
        if running is None:
            self.go_to("Choose")
            return
        self.go_to("Move")
        self.move.do("Open")

    # -- steps ---------------------------------------------------------------------------------------------------------

    def go_to(self, name: str) -> None:
        """Open a page; its content is made again."""
        self.at = name
        page = self.pages[name]
        if name not in ("Check", "Move") or page.top is None:
            page.renew()
        elif isinstance(page.top, RunChooser):
            page.top.refresh()
        self.page.children = (page,)
        self._mark()

    def _mark(self) -> None:
        """Show in the row of steps which are done and where one is."""
        done = self._done()
        for number, name in enumerate(STEPS, start=1):
            sign = "✓ " if name in done else ""
            self.steps[name].description = f"{sign}{number} {self._words.said(name)}"
            self.steps[name].button_style = "primary" if name == self.at else ""
        for name in OTHERS:
            self.steps[name].button_style = "primary" if name == self.at else ""

    def _done(self) -> set[str]:
        """The steps that the run has behind it."""
        run = self.run
        if run is None:
            return set()
        begun, over = bool(run.events()), bool(run.events()) and not still_observed(run, self._book.clock)
        asked_for = self._book.site.runs.approvals
        facts = {
            "Choose": True,
            "Check": run.document("findings") is not None and run.document("validation") is not None,
            "Approve": begun or not asked_for,
            "Move": over,
            "Verify": over and run.document("summary") is not None,
            "Write up": (run.path / "write-up").is_dir(),
        }
        return {name for name, is_done in facts.items() if is_done}

    def _next(self, name: str, act: Callable[[], list[Any]]) -> list[Any]:
        """Do what leads to the next step, then open it."""
        results = act()
        self.go_to(name)
        self.pages[name].show(results)
        return []

    def _name(self) -> str | None:
        """The name of the run at hand, if it is among the runs of the site."""
        names = {run.name for run in self._book.runs()}
        return self.run.name if self.run is not None and self.run.name in names else None

    def _chosen(self) -> list[Any]:
        self.run = self._book.prepare(self.choose.top.order())
        return self._checked()

    def _chosen_home(self) -> list[Any]:
        self.run = self._book.prepare(self.home.top.children[1].order())
        return self._checked()

    def _do_check(self) -> list[Any]:
        if self.run is not None and not self.run.events():
            self.run = self._book.prepare(self._book.order_of(self.run))
        results = self._checked()
        self._mark()
        return results

    def _checked(self) -> list[Any]:
        """Checks, mapping, validation and expectation of the run at hand."""
        if self.run is None:
            raise NotFound("prepared run", "", where="step 1")
        findings = self._book.check(self.run)
        validation = self._book.validate(self.run)
        below = (
            causes_table(self._book.causes(self.run), self._words, self.run.manifest["order"])
            if validation.is_refused
            else expectation_text(self._book, self.run)
        )
        return [
            validation_text(validation, self._words),
            below,
            findings_table(findings, validation.passed, self._words, self.run.manifest["order"]),
            mapping_table(self.run, self._words),
        ]

    def _begun(self) -> list[Any]:
        if self.run is None:
            raise NotFound("prepared run", "", where="step 1")
        return self._board_of(self.run)

    # -- the move ------------------------------------------------------------------------------------------------------

    def _do_open(self) -> list[Any]:
        chosen = self.move.top.run()
        self.run = chosen if chosen.events() else self._book.prepare(self._book.order_of(chosen))
        return self._board_of(self.run)

    def _board_of(self, run: Run) -> list[Any]:
        """The live board of a run with its actions; the choice of another one is folded away."""
        if self.board is not None:
            self.board.close_board()
        pages = {"write-up": lambda: self.go_to("Write up"), "report": lambda: self._verify(run)}
        panel = MovePanel(self._book, run, pages) if run.manifest["mode"] == "move" else None
        self.board = LiveBoard(
            run, panel, names_page=True, over=lambda: self._verify(run), language=self._words.language
        )
        self.move.fold("Another run")
        self._mark()
        return [self.board]

    def _verify(self, run: Run) -> None:
        """The verdict by itself, once the run is over; in view of the person who follows the move."""
        self.run = run
        if self.at == "Move":
            self.go_to("Verify")
        elif self.verify.top is None:
            self.verify.renew()
        self.verify.do("Verdict")

    def _do_verdict(self) -> list[Any]:
        run = self.verify.top.run()
        self.run = run
        board, *chart = judged(self._book, run)
        self._relabel()
        self.verify.fold("Another run, remarks")
        return [board, unusual(self._book, run), *chart, report_link(run, self._words)]

    def _relabel(self) -> None:
        """Update the lists after a run was analysed."""
        for page in (self.move, self.verify, self.compare, self.write):
            if isinstance(page.top, RunChooser):
                page.top.refresh()
        self._mark()

    def _do_record(self) -> list[Any]:
        return [RecordForm(self.verify.top.run(), words=self._words)]

    def _do_write(self) -> list[Any]:
        self.run = self.write.top.run()
        panel = WriteUpPanel(self._book, self.run)
        panel.write.on_click(lambda _: self._relabel())  # it analyses too
        return [panel]

    # -- beside the steps ----------------------------------------------------------------------------------------------

    def _do_compare(self) -> list[Any]:
        runs = self.compare.top.runs()
        return [side_by_side(runs, self._words), overlaid(runs)]

    def _do_history(self) -> list[Any]:
        return [history_table(self._book), history_chart(self._book)]

    def _do_look(self) -> list[Any]:
        self._checked_plan = checked_plan(self._book, self.several.top.plan())
        return [checked_table(self._checked_plan, self._words)]

    def _do_plan(self) -> list[Any]:
        if self._plan is not None:
            self._plan.close_board()
        folder = next((plan for plan in plans(self._book.site.runs.folder) if plan.is_recorded()), None)
        # a running plan comes before the one in the rows
        plan = self.several.top.plan() if folder is None else plan_of(folder)
        self._plan = PlanPanel(self._book, plan, folder, self._checked_plan, names_page=True)
        self.several.fold("The plan's moves")
        return [self._plan]

    def _wall(self, name: str | None) -> Any:
        """The board alone: it only reads."""
        runs = [run for run in self._book.runs() if run.events()]
        moving = [run for run in runs if run.is_recorded()]
        try:
            self.run = _named(self._book, name) if name is not None else next(reversed(moving or runs), None)
        except LpmError as error:
            return _trouble(error, self._words.said)
        if self.run is None:
            text = self._words.said("No run has begun yet. Load this page again when one has.")
            return w.HTML(f"<p>{text}</p>")
        self.board = LiveBoard(self.run, names_page=True, language=self._words.language)
        self.board.add_class("lpm-wall")
        return self.board


def _named(book: Runbook, name: str) -> Run:
    """A run of the site by its name; an address of a page names no folder. Raises `NotFound`."""
    runs = {run.name: run for run in book.runs()}
    if name not in runs:
        raise NotFound("run", name, known=list(runs)[-5:])
    return runs[name]


def application_for(book: Runbook, query: str) -> Application:
    """The application as the address of the page asks for it: ``?run=NAME`` opens a run, ``&wall=1`` shows only its
    board.
    """
    asked = parse_qs(query)
    return Application(book, run=next(iter(asked.get("run", ())), None), wall=asked.get("wall") == ["1"])
