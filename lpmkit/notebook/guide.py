"""The numbered notebooks, a call for each section: what the section shows, or what it waits for.

*Run all* with nothing chosen yet stops nowhere: a section that needs a choice says which one, and how to go on. What
matters is plain output, which stays in the saved copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython import get_ipython
from IPython.display import HTML

from lpmkit.config import load_site
from lpmkit.control.base import Order
from lpmkit.errors import LpmError
from lpmkit.notebook.choose import Chooser
from lpmkit.notebook.live import LiveBoard, plain_board, watch
from lpmkit.notebook.move import MovePanel, summary_table
from lpmkit.notebook.record import HomeChooser, RunChooser
from lpmkit.notebook.tables import (
    causes_table,
    escaped,
    expectation_text,
    findings_table,
    mapping_table,
    table,
    validation_text,
)
from lpmkit.notebook.verdict import report_link, show_verdict
from lpmkit.runbook import Runbook, Validation
from lpmkit.runs.folder import Run
from lpmkit.settings.site_file import find_site_file
from lpmkit.wording.words import ENGLISH, Words, words_of

_GO_ON = "then run the cells from here on (menu Run, Run Selected Cell and All Below)"


def waiting(what: str, words: Words = ENGLISH) -> HTML:
    """A line on what a section waits for, and how to go on."""
    text = escaped(words.said(f"Waiting: {what}, {_GO_ON}"))
    return HTML(f"<p style='border-left:6px solid #f5b025;padding:2px 10px'>{text}.</p>")


def errors_as_boxes() -> None:
    """Show lpmkit's errors in a notebook as their message with the next step, without a traceback."""
    shell: Any = get_ipython()
    if shell is not None:
        shell.set_custom_exc((LpmError,), _box)


def _box(shell: Any, kind: type[LpmError], error: LpmError, _traceback: Any, tb_offset: int | None = None) -> list[str]:
    """The message in place of a traceback; papermill and the kernel see the same error."""
    text = [f"\x1b[1;31m✗ {error}\x1b[0m"]
    shell._showtraceback(kind, error, text)
    return text


class Guide:
    """The sections of a move in a notebook. ``run`` is the chosen run, ``None`` while nothing is chosen."""

    def __init__(self, book: Runbook) -> None:
        errors_as_boxes()
        self.book, self.words = book, words_of(book.site.language)
        self.run: Run | None = None
        self.live: LiveBoard | None = None
        self._chooser: Chooser | HomeChooser | RunChooser | None = None
        self._validation: Validation | None = None

    @classmethod
    def open(cls, site: str | None = None, lead_in_s: float | None = None, tail_s: float | None = None) -> Guide:
        """The guide for the site file that is named, else for the usual one."""
        errors_as_boxes()
        return cls(Runbook(load_site(find_site_file(site))).with_times(lead_in_s=lead_in_s, tail_s=tail_s))

    def watch(self) -> Any:
        """The board of the move that runs now."""
        return watch(self.book)

    def machines(self) -> HTML:
        """Every machine of the site, and whether it answers now."""
        silent = self.book.unreachable()
        rows = [
            {"machine": name, "answers": "yes" if name not in silent else f"NO: {silent[name]}"}
            for name in self.book.hosts()
        ]
        return table(rows, "machines", self.words)

    # -- the choice ----------------------------------------------------------------------------------------------------

    def choose(self, partition: str | None = None, target: str | None = None) -> Chooser:
        """Choose partition and target."""
        self._chooser = Chooser(self.book, partition=partition, target=target)
        return self._chooser

    def choose_run(self, name: str | None = None) -> RunChooser:
        """Choose a prepared run, or the one that moves."""
        self._chooser = RunChooser(self.book, name, wanted=lambda run: bool(run.manifest["mode"] == "move"))
        return self._chooser

    def choose_home(self, partition: str | None = None) -> HomeChooser:
        """Choose a partition that is not on its home frame."""
        self._chooser = HomeChooser(self.book, partition)
        return self._chooser

    def order(self) -> HTML:
        """The chosen order, prepared as a run; or what is to be chosen."""
        chooser = self._chooser
        if chooser is None or not chooser.is_chosen:
            return waiting("choose above", self.words)
        if isinstance(chooser, RunChooser):
            chosen = chooser.run()
            self.run = chosen if chosen.events() else self.book.prepare(self.book.order_of(chosen))
        else:
            self.run = self.book.prepare(chooser.order())
        return order_text(self.book.order_of(self.run), self.run.path, self.words)

    # -- before --------------------------------------------------------------------------------------------------------

    def check(self) -> HTML:
        """Survey and check; what needs somebody first."""
        if self.run is None:
            return waiting("choose above", self.words)
        self.book.ask_for_secrets(self.run)  # what the site file says to prompt for: a button could not ask
        passed = self._validation.passed if self._validation else None
        return findings_table(self.book.check(self.run), passed, self.words, self.run.manifest["order"])

    def mapping(self) -> HTML:
        """The mapping of adapters and disks on both frames."""
        return waiting("choose above", self.words) if self.run is None else mapping_table(self.run, self.words)

    def validate(self) -> HTML:
        """The manager's validation, and what to expect of the move; under a refusal what the checks find."""
        if self.run is None:
            return waiting("choose above", self.words)
        self._validation = self.book.validate(self.run)
        if self._validation.is_refused:
            return HTML(
                validation_text(self._validation, self.words).data
                + causes_table(self.book.causes(self.run), self.words).data
            )
        return HTML(validation_text(self._validation, self.words).data + expectation_text(self.book, self.run).data)

    # -- the move ------------------------------------------------------------------------------------------------------

    def board(self, confirm: str = "") -> Any:
        """The live board with its actions. ``confirm`` is the name of the partition, where no person is to type it."""
        if self.run is None:
            return waiting("choose above", self.words)
        if self.live is not None:
            self.live.close_board()
        panel = MovePanel(self.book, self.run)
        if confirm:
            panel.begin(confirm)
        self.live = LiveBoard(self.run, panel)
        return self.live

    def verdict(self, *, wait: bool = False) -> Any:
        """The verdict of the finished run. ``wait`` keeps the cell busy until it is over."""
        if self.run is None:
            return waiting("choose above", self.words)
        found = show_verdict(self.book, self.run, wait=wait)
        if isinstance(self._chooser, RunChooser):
            self._chooser.refresh()
        return found

    def picture(self) -> HTML:
        """The board as it stays in the saved copy."""
        return waiting("choose above", self.words) if self.run is None else plain_board(self.run, self.words.language)

    def report(self) -> HTML:
        """A link to the report."""
        return waiting("choose above", self.words) if self.run is None else report_link(self.run, self.words)


def order_text(order: Order, path: Path, words: Words = ENGLISH) -> HTML:
    """An order to read aloud: this partition, from this frame, to that one."""
    rows = [("partition", order.partition), ("from", order.source), ("to", f"{order.target} ({order.target_machine})")]
    rows += [(name, value) for name, value in order.mapping.items()]
    rows = [*rows, ("run folder", str(path))]
    return summary_table([(words.said(name), text) for name, text in rows])
