"""Widgets for the time after a move: choose a run, add remarks, write it up, compare runs, choose a partition to move
home.

A widget shows values and calls a library function; it decides nothing. Its content is available as plain output too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ipywidgets as w
from IPython.display import HTML

from lpmkit.account.person import Person
from lpmkit.analysis import analyse
from lpmkit.control.base import Order
from lpmkit.errors import LpmError, UsageError
from lpmkit.migration.status import refuse_unfinished
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.tables import escaped, picture, table
from lpmkit.runbook import Runbook
from lpmkit.runs.approvals import order_hash
from lpmkit.runs.away import Away, ledger
from lpmkit.runs.folder import Run
from lpmkit.runs.history import HEAD, History, Move
from lpmkit.runs.remarks import CHANGE_FIELDS, KINDS, add_remark, remarks
from lpmkit.wording.words import ENGLISH, LANGUAGES, Words, words_of

_WIDE = w.Layout(width="48em")


class RunChooser(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A chooser for one run of the site, or several; the newest is preselected. ``run()`` and ``runs()`` return the
    choice.

    `refresh` updates the list, for example after a run was analysed.
    """

    def __init__(
        self,
        book: Runbook,
        run: str | Sequence[str] | None = None,
        *,
        several: bool = False,
        wanted: Callable[[Run], bool] | None = None,
    ) -> None:
        self._book, self._wanted = book, wanted
        self._words = words_of(book.site.language)
        self._folder = book.site.runs.folder
        options = self._options()
        kind = w.SelectMultiple if several else w.Select
        names = [run] if isinstance(run, str) else list(run or ())
        asked = [Path(name).name for name in names]
        if missing := [name for name in asked if name not in self._runs]:
            raise UsageError(
                f"{', '.join(missing)} is not among the runs",
                where=str(self._folder),
                next_step="Leave RUN as None and choose from the list.",
            )
        chosen = asked or list(self._runs)[: 2 if several else 1]
        value: Any = tuple(chosen) if several else (chosen[0] if chosen else None)
        self.list = kind(
            options=options,
            value=value,
            rows=min(10, max(3, len(options))),
            description=self._words.said("run"),
            layout=_WIDE,
        )
        self.note = w.HTML()
        self._tell()
        super().__init__([self.list, self.note])

    def _tell(self) -> None:
        """Say so while there is no run to choose."""
        text = escaped(self._words.said(f"No run in {self._folder} yet"))
        self.note.value = "" if self.list.options else f"<p>{text}.</p>"

    def _options(self) -> list[tuple[str, str]]:
        """The runs, newest first, with outcome and suspension."""
        wanted, folder = self._wanted, self._folder
        self._runs = {run.name: run for run in reversed(self._book.runs()) if wanted is None or wanted(run)}
        past = {move.run: move for move in History(folder).moves()} if folder.is_dir() else {}
        return [(_label(name, past.get(name), self._words), name) for name in self._runs]

    def refresh(self) -> None:
        """Update the list; the choice is kept."""
        chosen, options = self.list.value, self._options()
        if options == list(self.list.options):
            return
        with self.list.hold_sync():
            self.list.options = options
            known = [name for _, name in options]
            self.list.value = chosen if chosen is not None else (known[0] if known else None)
            self.list.rows = min(10, max(3, len(options)))
        self._tell()

    @property
    def is_chosen(self) -> bool:
        """True where a run is chosen."""
        return bool(self.list.value)

    def run(self) -> Run:
        """The chosen run. Raises `UsageError` without a choice."""
        return self.runs()[0]

    def runs(self) -> list[Run]:
        """The chosen runs, newest first."""
        chosen = self.list.value if isinstance(self.list.value, tuple) else (self.list.value,)
        runs = [self._runs[name] for name in chosen if name in self._runs]
        if not runs:
            raise UsageError("no run is chosen", where=str(self._folder), next_step="Choose one, then try again.")
        return runs


def _label(name: str, move: Move | None, words: Words) -> str:
    if move is None:
        return name
    felt = "" if move.suspended_s is None else f", {words.said(f'suspended {move.suspended_s:.3f} s')}"
    became = dict.fromkeys((OUTCOMES.get(move.outcome, move.outcome) or move.mode, move.state))
    return f"{name}   {', '.join(map(words.said, filter(None, became)))}{felt}"


#: The last phase of a move as its outcome.
OUTCOMES = {"settled": "moved", "failed": "not moved", "stopped": "stopped", "needs-recovery": "needs recovery"}


class ApprovalForm(w.VBox):  # type: ignore[misc] # as above
    """Approve the order of a prepared run, for four eyes: type the partition's name and press Approve. It says who
    approves, and what for.
    """

    def __init__(self, book: Runbook, run: Run) -> None:
        self._book, self._run, said = book, run, words_of(book.site.language).said
        order = book.own_order(run)
        self.typed = w.Text(placeholder=said(f"type {order.partition}"), description=said("name"), layout=_WIDE)
        self.button = w.Button(description=said("Approve"), icon="check")
        self.says = Acknowledgement(words_of(book.site.language))
        self.button.on_click(lambda _: self._approve())
        what = (
            f"{order.partition} from {order.source} to {order.target}, prepared by {run.manifest.get('by', '?')}; "
            f"order {order_hash(run)[:16]}"
        )
        super().__init__(
            [
                w.HTML(f"<p>{escaped(said(f'As {book.person.login}: {what}'))}</p>"),
                w.HBox([self.typed, self.button]),
                self.says,
            ]
        )

    def _approve(self) -> None:
        try:
            given = self._book.approve(self._run, self.typed.value)
        except LpmError as error:
            self.says.trouble(error)
            return
        self.says.done(f"approved by {given.by}")


class RecordForm(w.VBox):  # type: ignore[misc] # as above
    """A form to add to the record of a run: change fields, remark, deviation, follow-up, sign-off. Entries are shown
    below and never changed. ``person`` is the author, by default the person behind this process.
    """

    def __init__(self, run: Run, person: Person | None = None, words: Words = ENGLISH) -> None:
        self._run, self._words, said = run, words, words.said
        self._by = person.login if person is not None else None
        labels = {
            "number": "change no.",
            "window": "window",
            "operator": "operator",
            "approver": "approver",
            "system": "system",
        }
        self.fields = {name: w.Text(description=said(labels[name]), layout=_WIDE) for name in CHANGE_FIELDS}
        self.keep_change = w.Button(description=said("Save change data"), icon="save")
        kinds = [(said(kind), kind) for kind in KINDS if kind != "change"]
        self.kind = w.Dropdown(options=kinds, value="remark", description=said("kind"))
        self.text = w.Textarea(description=said("text"), layout=_WIDE)
        self.owner = w.Text(description=said("owner"), placeholder=said("of a deviation or follow-up"), layout=_WIDE)
        self.keep = w.Button(description=said("Save"), icon="save")
        self.says = Acknowledgement(words)
        self.said = w.HTML()
        self.keep_change.on_click(lambda _: self._keep(self._change))
        self.keep.on_click(lambda _: self._keep(self._remark))
        self._show()
        super().__init__(
            [*self.fields.values(), self.keep_change, self.kind, self.text, self.owner, self.keep, self.says, self.said]
        )

    def _change(self) -> None:
        fields = {name: field.value for name, field in self.fields.items()}
        add_remark(self._run.path, "change", fields=fields, by=self._by)

    def _remark(self) -> None:
        add_remark(self._run.path, self.kind.value, self.text.value, owner=self.owner.value, by=self._by)
        self.text.value = self.owner.value = ""

    def _keep(self, act: Callable[[], None]) -> None:
        if self.says.carried_out(act, "saved"):
            self._show()

    def _show(self) -> None:
        self.said.value = remarks_table(self._run, self._words).data


def remarks_table(run: Run, words: Words = ENGLISH) -> HTML:
    """The remarks of a run; plain output."""
    entries, unreadable = remarks(run.path)
    rows = [
        {
            "when (UTC)": f"{datetime.fromtimestamp(entry.wall_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M}",
            "by": entry.by,
            "kind": entry.kind,
            "text": entry.text or ", ".join(f"{name}: {value}" for name, value in entry.fields.items()),
            "owner": entry.owner,
        }
        for entry in entries
    ]
    note = f"<p>{words('remarks.unreadable', count=unreadable)}.</p>" if unreadable else ""
    return HTML((table(rows, "remarks", words).data if rows else f"<p>{words.said('No remarks yet')}.</p>") + note)


class WriteUpPanel(w.VBox):  # type: ignore[misc] # as above
    """A form to write the verification in the chosen formats and language; lists the files."""

    def __init__(self, book: Runbook, run: Run) -> None:
        from lpmkit.report.writeup import FORMS  # noqa: PLC0415 - as in `overlaid`

        self._book, self._run, said = book, run, words_of(book.site.language).said
        self.forms = {form: w.Checkbox(value=True, description=form, indent=False) for form in FORMS}
        self.language = w.Dropdown(options=list(LANGUAGES), value=book.site.language, description=said("language"))
        self.write = w.Button(description=said("Write it up"), icon="file-text-o", button_style="primary")
        self.says = Acknowledgement(words_of(book.site.language))
        self.write.on_click(lambda _: self.do())
        super().__init__([w.HBox([self.language, *self.forms.values()]), self.write, self.says])

    def do(self) -> None:
        """Write the selected formats."""
        wanted = [form for form, box in self.forms.items() if box.value]
        self.says.busy("Writing")
        try:
            files = written_up(self._book, self._run, wanted, self.language.value)
        except LpmError as error:
            self.says.trouble(error)
            return
        self.says.value = files.data


def written_up(book: Runbook, run: Run, forms: Sequence[str] | None = None, language: str | None = None) -> HTML:
    """Write the verification, in every format where ``forms`` is ``None``, and list its files; plain output.

    Raises `NotAllowed` while the run is observed: a file that lacks its end would stay the run's write-up.
    """
    from lpmkit.report.writeup import FORMS, write_up  # noqa: PLC0415 - as in `overlaid`

    refuse_unfinished(run, book.clock)
    site = book.site.write_up
    wanted = tuple(FORMS) if forms is None else forms
    files = write_up(run, wanted, language=language or site.language, template=site.template, logo=site.logo)
    rows = [{"form": form, "file": str(path), "bytes": path.stat().st_size} for form, path in files.items()]
    words = words_of(book.site.language)
    return table(rows, "write-up", words) if rows else HTML(f"<p>{words.said('No format is selected')}.</p>")


#: In place of the usual figures while there are none.
NOTHING_USUAL = "No usual figures yet: they need three earlier moves of this partition, or between these two frames"


def unusual(book: Runbook, run: Run) -> HTML:
    """A run's figures compared with the median of earlier moves of its partition, or between its two frames."""
    past = History(book.site.runs.folder)
    move = past.move(run.name)
    figures = past.beside_the_usual(move) if move else []
    words = words_of(book.site.language)
    if not figures:
        return HTML(f"<p>{words.said(NOTHING_USUAL)}.</p>")
    return HTML(
        "<ul>"
        + "".join(
            f"<li>{'! ' if figure.stands_out else ''}{escaped(words.said(str(figure)))}</li>" for figure in figures
        )
        + "</ul>"
    )


# --- several runs ---------------------------------------------------------------------------------------------------


def side_by_side(runs: Sequence[Run], words: Words = ENGLISH) -> HTML:
    """The figures of several runs as a table."""
    from lpmkit.report.comparison import figures  # noqa: PLC0415 - as in `overlaid`

    return table(figures([analyse(run) for run in runs]), "side by side", words)


def overlaid(runs: Sequence[Run]) -> HTML:
    """The suspensions of several runs as an overlay."""
    from lpmkit.plots.figures import image  # noqa: PLC0415 - matplotlib takes a third of a second
    from lpmkit.report.comparison import overlay  # noqa: PLC0415

    drawn = image(overlay([analyse(run) for run in runs]))
    return picture(drawn, "The suspensions of these runs as an overlay; the table has the same figures")


def history_table(book: Runbook, *, partition: str | None = None, frame: str | None = None, last: int = 20) -> HTML:
    """The newest runs of the site, newest first, with outliers."""
    past = History(book.site.runs.folder)
    moves = past.moves(partition=partition, frame=frame)[-last:][::-1]
    rows = [dict(zip(HEAD, row, strict=True)) for row in past.rows(moves)]
    words = words_of(book.site.language)
    notes = "".join(
        f"<p>{escaped(words.said(f'{name} cannot be read: {why}'))}</p>" for name, why in past.unreadable.items()
    )
    return HTML((table(rows, "history", words).data if rows else f"<p>{words.said('No runs yet')}.</p>") + notes)


def history_chart(book: Runbook, *, partition: str | None = None, frame: str | None = None) -> HTML:
    """The suspensions of a site over time."""
    from lpmkit.plots.figures import image  # noqa: PLC0415 - as in `overlaid`
    from lpmkit.report.comparison import trend  # noqa: PLC0415

    drawn = trend(History(book.site.runs.folder).moves(partition=partition, frame=frame))
    said = words_of(book.site.language).said
    description = said("The suspensions of the moves over time; the history table has the same figures")
    return picture(image(drawn), description) if drawn else HTML(f"<p>{said('No suspension recorded yet')}.</p>")


# --- home -----------------------------------------------------------------------------------------------------------


ALL_AT_HOME = "All partitions moved by lpmkit are on their home frames"


def ledger_table(book: Runbook) -> HTML:
    """The partitions that are not on their home frame: since when, under which change, with what mapping."""
    rows = [stay.as_row() for stay in _ledger(book)]
    words = words_of(book.site.language)
    if not rows:
        return HTML(f"<p>{words.said(ALL_AT_HOME)}.</p>")
    return table(rows, "not on their home frame", words)


def _ledger(book: Runbook) -> list[Away]:
    return ledger(book.site.runs.folder) if book.site.runs.folder.is_dir() else []


class HomeChooser(w.VBox):  # type: ignore[misc] # as above
    """A chooser for a partition that is not on its home frame; ``order()`` moves it home."""

    def __init__(self, book: Runbook, partition: str | None = None) -> None:
        self._book = book
        self._away = {stay.partition: stay for stay in _ledger(book)}
        if partition is not None and partition not in self._away:
            raise UsageError(
                f"{partition} is on its home frame, by the runs of this site",
                next_step="Leave PARTITION as None and choose from the list.",
            )
        said = words_of(book.site.language).said
        options = [
            (f"{stay.partition}   {said(f'from {stay.now_on} home to {stay.home}')}", stay.partition)
            for stay in self._away.values()
        ]
        self.list = w.Select(
            options=options,
            value=partition or (options[0][1] if options else None),
            rows=min(8, max(3, len(options))),
            description=said("partition"),
            layout=_WIDE,
        )
        super().__init__([self.list])

    @property
    def is_chosen(self) -> bool:
        """True where a partition is chosen."""
        return self.list.value is not None

    def order(self) -> Order:
        """The order to move it home. Raises `UsageError` without a choice."""
        if self.list.value is None:
            raise UsageError(ALL_AT_HOME, next_step="Nothing to do here.")
        chosen = self._away[self.list.value]
        return self._book.order(chosen.partition, chosen.home, source=chosen.now_on)
