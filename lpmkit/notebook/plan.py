"""Widgets that write and check a plan of several moves. A widget decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as w
from IPython.display import HTML
from pydantic import ValidationError

from lpmkit.errors import LpmError, NotAllowed, SiteFileError, UsageError
from lpmkit.json_values import JsonObject
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.tables import escaped, table
from lpmkit.plan import LINK_TAKES, Limits, MovePlan, PlannedMove, in_site_order, load_plan, save_plan
from lpmkit.plan.book import CheckedPlan, MoveCheck
from lpmkit.runbook import Runbook
from lpmkit.wording.words import ENGLISH, Words, words_of

_CHECKED = {"ready": "✓ ready", "not ready": "✗ NOT READY", "could not tell": "? could not tell"}


class _Row(w.HBox):  # type: ignore[misc] # ipywidgets has no types
    """One planned move as fields. Its other values in the file are kept."""

    def __init__(
        self,
        names: list[str],
        frames: list[str],
        move: PlannedMove | None,
        act: Callable[[_Row, str], None],
        words: Words,
    ) -> None:
        self._was, said = move, words.said
        partition = move.partition if move else (names[0] if names else "")
        target = move.target if move else (frames[0] if frames else "")
        self.partition = w.Combobox(
            value=partition, options=names, placeholder=said("partition"), layout=w.Layout(width="15em")
        )
        self.target = w.Combobox(
            value=target, options=frames, placeholder=said("target frame"), layout=w.Layout(width="11em")
        )
        self.after = w.Text(
            value=", ".join(move.after) if move else "",
            placeholder=said("after: none, or names with commas"),
            layout=w.Layout(width="18em"),
        )
        self.keep = w.Checkbox(
            value=bool(move and move.keep_mapping),
            description=said("keep mapping"),
            indent=False,
            layout=w.Layout(width="10em"),
        )
        self.buttons = {
            name: w.Button(description=sign, tooltip=said(f"{name} this move"), layout=w.Layout(width="2.6em"))
            for name, sign in (("earlier", "▲"), ("later", "▼"), ("remove", "✕"))
        }
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: act(self, name))
        super().__init__([self.partition, self.target, self.after, self.keep, *self.buttons.values()])

    def move(self) -> JsonObject:
        """The fields as a planned move's values."""
        was = self._was.model_dump() if self._was and self._was.partition == self.partition.value else {}
        after = tuple(part.strip() for part in self.after.value.split(",") if part.strip())
        fields = {
            "partition": self.partition.value,
            "target": self.target.value,
            "after": after,
            "keep_mapping": self.keep.value,
        }
        return {**was, **fields}


class PlanMaker(w.VBox):  # type: ignore[misc] # as above
    """An editor for a plan: rows in the order of the moves, dependencies, limits. ``plan()`` returns it; Save writes it
    as YAML.
    """

    def __init__(self, book: Runbook, file: str | Path | None = None) -> None:
        self._book, self._words = book, words_of(book.site.language)
        said = self._words.said
        there = book.landscape()
        self._names = sorted(one.partition.name for one in there.placed if not one.partition.is_vios)
        self._frames = list(there.frames)
        given = load_plan(Path(file)) if file is not None and Path(file).exists() else None
        self._given = given
        self._named = None if file is None else Path(file).expanduser().resolve()
        self.title = w.Text(
            value=given.title if given else "", description=said("title"), layout=w.Layout(width="36em")
        )
        self.on_failure = w.Dropdown(
            options=[(said("start no further move"), "stop"), (said("continue with independent moves"), "go-on")],
            value=given.on_failure if given else "stop",
            description=said("if one fails"),
            layout=w.Layout(width="36em"),
        )
        self.link = w.BoundedIntText(
            value=given.limits.link if given else LINK_TAKES,
            min=1,
            max=64,
            description=said("at once"),
            layout=w.Layout(width="12em"),
        )
        self.file = w.Text(value=str(file or "plan.yaml"), description=said("file"), layout=w.Layout(width="36em"))
        self.add = w.Button(description=said("Add a move"), icon="plus")
        self.save = w.Button(description=said("Save"), icon="save")
        self.says = Acknowledgement(self._words)
        self.rows = w.VBox()
        self.rows.children = tuple(
            _Row(self._names, self._frames, move, self._act, self._words) for move in (given.moves if given else ())
        )
        self.add.on_click(lambda _: self._append())
        self.save.on_click(lambda _: self.write())
        silent = "".join(
            f"<p>? <b>{escaped(name)}</b> {escaped(said(f'did not answer: {why}'))}</p>"
            for name, why in there.silent.items()
        )
        limits = w.HBox([self.link, w.HTML(f"<span>{said('moves at once between two frames')}</span>")])
        super().__init__(
            [
                self.title,
                self.on_failure,
                limits,
                self.rows,
                self.add,
                w.HBox([self.file, self.save]),
                self.says,
                w.HTML(silent),
            ]
        )

    def plan(self) -> MovePlan:
        """The plan in the rows. Raises `UsageError` with what is wrong."""
        more = {} if self._given is None else self._given.model_dump(include={"clusters"})
        limits = (self._given.limits if self._given else Limits()).model_dump() | {"link": self.link.value}
        values = {
            **more,
            "title": self.title.value or Path(self.file.value).name.split(".")[0],
            "on_failure": self.on_failure.value,
            "limits": limits,
            "moves": [row.move() for row in self.rows.children],
        }
        try:
            read = MovePlan.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(str(problem["msg"]) for problem in error.errors())
            raise UsageError(f"the plan is not valid: {problems}", next_step="Correct the rows.") from error
        return in_site_order(read, self._book.site)

    def write(self) -> None:
        """Save the plan into its file, or show what is wrong."""
        try:
            path = save_plan(self.plan(), self._place())
        except LpmError as error:
            self.says.trouble(error)
            return
        self.says.done(f"saved in {path}")

    def _place(self) -> Path:
        """The file that the plan is saved in: the one that the notebook's cell names, or one below the folder of runs.

        Raises `NotAllowed` for any other, and for a file that holds something else.
        """
        path, runs = Path(self.file.value).expanduser(), self._book.site.runs.folder
        wanted = path.resolve()
        inside = (
            wanted.is_relative_to(runs.resolve())
            and wanted.suffix in (".yaml", ".yml")
            and not _in_a_run(wanted, runs.resolve())
        )
        if path.is_symlink() or not (inside or (self._named is not None and wanted == self._named)):
            raise NotAllowed(
                f"a plan is not saved as {path}",
                next_step=f"Name a .yaml file in {runs}, outside of any run.",
            )
        if wanted.exists():
            load_plan(wanted)  # a file that is no plan is not written over
        return wanted

    def _append(self) -> None:
        taken = {row.partition.value for row in self.rows.children}
        free = [name for name in self._names if name not in taken]
        row = _Row(self._names, self._frames, None, self._act, self._words)
        row.partition.value = free[0] if free else ""
        self.rows.children = (*self.rows.children, row)

    def _act(self, row: _Row, what: str) -> None:
        rows = list(self.rows.children)
        at = rows.index(row)
        rows.remove(row)
        if what != "remove":
            rows.insert(max(0, at - 1) if what == "earlier" else at + 1, row)
        self.rows.children = tuple(rows)


def _in_a_run(path: Path, runs: Path) -> bool:
    """True if a path is below a run folder."""
    return any(
        (folder / "run.json").exists() for folder in path.parents if folder != runs and folder.is_relative_to(runs)
    )


def checked_table(checked: CheckedPlan, words: Words = ENGLISH) -> HTML:
    """The check of each planned move, with the forecast; plain output."""
    rows = [{**one.as_row(), "checks": _marked(one), **_times(checked, one.partition)} for one in checked.moves]
    return HTML(
        f"<p><b>{escaped(words.said(_CHECKED[checked.answer.value]))}</b>. "
        f"{escaped(words.said(checked.outlook.sentence()))}</p>"
        + table(rows, "check of the plan", words).data
        + table([one.predicted_row() for one in checked.moves], "predicted (P90; any limit in brackets)", words).data
    )


def _times(checked: CheckedPlan, partition: str) -> dict[str, str]:
    cells = checked.outlook.cells(partition)
    return {"begins (UTC, P50 … P90)": cells["begins"], "ends (UTC, P50 … P90)": cells["ends"]}


def _marked(one: MoveCheck) -> str:
    said = one.as_row()["checks"]
    return f"{_CHECKED[one.answer.value]}{said[len(one.answer.value) :]}"


def plan_of_file(book: Runbook, file: str | Path) -> MovePlan:
    """The plan in a file. Raises `SiteFileError` with all problems."""
    path = Path(file)
    if not path.exists():
        raise SiteFileError(str(path), ["no such file: press Save first"], what="the plan")
    return load_plan(path, book.site)


def saved_plan(book: Runbook, maker: PlanMaker) -> MovePlan | None:
    """The plan in the editor's file; ``None`` while nothing is saved there."""
    return plan_of_file(book, maker.file.value) if Path(maker.file.value).exists() else None
