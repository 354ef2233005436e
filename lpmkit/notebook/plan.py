"""Widgets for several moves: write a plan, check it, start it, watch it. A widget decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import ipywidgets as w
from IPython.display import HTML
from pydantic import ValidationError

from lpmkit.errors import LpmError, NotAllowed, SiteFileError, UsageError
from lpmkit.json_values import JsonObject
from lpmkit.notebook.acknowledgement import Acknowledgement
from lpmkit.notebook.live import REDRAW_S
from lpmkit.notebook.tables import escaped, table
from lpmkit.plan import LINK_TAKES, Limits, MovePlan, PlannedMove, in_site_order, load_plan, save_plan
from lpmkit.plan.book import MoveCheck, again, answer, attach, go_on, halt, start
from lpmkit.plan.page import headline
from lpmkit.plan.schedule import LOST, Stage
from lpmkit.plan.status import PlanStatus, as_rows, plan_status, plans
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run

_CHECKED = {"ready": "✓ ready", "not ready": "✗ NOT READY", "could not tell": "? could not tell"}
_STAGE_SIGNS = {
    Stage.WAITING: "…",
    Stage.PREPARING: "▷",
    Stage.MOVING: "▶",
    Stage.WATCHING: "▶",
    Stage.ARRIVED: "✓",
    Stage.FAILED: "✗",
    Stage.RECOVERY: "✗",
    Stage.DROPPED: "–",
}


class _Row(w.HBox):  # type: ignore[misc] # ipywidgets has no types
    """One planned move as fields. Its other values in the file are kept."""

    def __init__(
        self, names: list[str], frames: list[str], move: PlannedMove | None, act: Callable[[_Row, str], None]
    ) -> None:
        self._was = move
        partition = move.partition if move else (names[0] if names else "")
        target = move.target if move else (frames[0] if frames else "")
        self.partition = w.Combobox(
            value=partition, options=names, placeholder="partition", layout=w.Layout(width="15em")
        )
        self.target = w.Combobox(
            value=target, options=frames, placeholder="target frame", layout=w.Layout(width="11em")
        )
        self.after = w.Text(
            value=", ".join(move.after) if move else "",
            placeholder="after: none, or names with commas",
            layout=w.Layout(width="18em"),
        )
        self.keep = w.Checkbox(
            value=bool(move and move.keep_mapping),
            description="keep mapping",
            indent=False,
            layout=w.Layout(width="10em"),
        )
        self.buttons = {
            name: w.Button(description=sign, tooltip=f"{name} this move", layout=w.Layout(width="2.6em"))
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
        self._book = book
        there = book.landscape()
        self._names = sorted(one.partition.name for one in there.placed if not one.partition.is_vios)
        self._frames = list(there.frames)
        given = load_plan(Path(file)) if file is not None and Path(file).exists() else None
        self._given = given
        self._named = None if file is None else Path(file).expanduser().resolve()
        self.title = w.Text(value=given.title if given else "", description="title", layout=w.Layout(width="36em"))
        self.on_failure = w.Dropdown(
            options=[("start no further move", "stop"), ("continue with independent moves", "go-on")],
            value=given.on_failure if given else "stop",
            description="if one fails",
            layout=w.Layout(width="36em"),
        )
        self.link = w.BoundedIntText(
            value=given.limits.link if given else LINK_TAKES,
            min=1,
            max=64,
            description="at once",
            layout=w.Layout(width="12em"),
        )
        self.file = w.Text(value=str(file or "plan.yaml"), description="file", layout=w.Layout(width="36em"))
        self.add = w.Button(description="Add a move", icon="plus")
        self.save = w.Button(description="Save", icon="save")
        self.says = Acknowledgement()
        self.rows = w.VBox()
        self.rows.children = tuple(
            _Row(self._names, self._frames, move, self._act) for move in (given.moves if given else ())
        )
        self.add.on_click(lambda _: self._append())
        self.save.on_click(lambda _: self.write())
        silent = "".join(
            f"<p>? <b>{escaped(name)}</b> did not answer: {escaped(why)}</p>" for name, why in there.silent.items()
        )
        limits = w.HBox([self.link, w.HTML("<span>moves at once between two frames</span>")])
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
        row = _Row(self._names, self._frames, None, self._act)
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


def looked_table(looked: tuple[MoveCheck, ...]) -> HTML:
    """The check of each planned move; plain output."""
    rows = [{**one.as_row(), "checks": _marked(one)} for one in looked]
    predicted = table([one.predicted_row() for one in looked], "predicted (P90; in brackets the limits)")
    return HTML(
        f"<p><b>{escaped(_CHECKED[answer(looked).value])}</b></p>"
        + table(rows, "check of the plan").data
        + predicted.data
    )


def _marked(one: MoveCheck) -> str:
    said = one.as_row()["checks"]
    return f"{_CHECKED[one.answer.value]}{said[len(one.answer.value) :]}"


def course_table(now: PlanStatus) -> HTML:
    """The state of every move of a plan; plain output, also while it runs."""
    rows = [
        {**row, "stage": f"{_STAGE_SIGNS[one.stage]} {row['stage']}"}
        for row, one in zip(as_rows(now), now.moves, strict=True)
    ]
    text = headline(now) + (f" Halted: {now.halted}." if now.halted else "")
    ended = "" if now.conducted else f" Not running{': ' + now.ended if now.ended else ''}."
    return HTML(f"<p role='status'>{escaped(text + ended)}</p>" + table(rows, now.plan.title).data)


class PlanPanel(w.VBox):  # type: ignore[misc] # as above
    """Buttons to start a plan (after its title is typed), halt it, continue it and retry a move; the moves below,
    refreshed from the plan's folder.

    With ``folder``, or if a plan of that title is running, that one is shown; nothing is started twice.
    """

    def __init__(self, book: Runbook, plan: MovePlan, folder: Run | None = None) -> None:
        self._book, self._plan = book, plan
        running = [
            one for one in plans(book.site.runs.folder) if one.manifest.get("title") == plan.title and one.is_recorded()
        ]
        self.folder = folder or (running[-1] if running else None)
        self.typed = w.Text(placeholder=f"type {plan.title}", description="title", layout=w.Layout(width="28em"))
        self.start = w.Button(description="Start", icon="play", button_style="warning")
        self.halt = w.Button(description="Halt", icon="pause", tooltip="start no further move")
        self.go_on = w.Button(description="Go on", icon="forward")
        self.which = w.Dropdown(options=[], description="which", layout=w.Layout(width="20em"))
        self.again = w.Button(description="Try again", icon="repeat")
        self.says = Acknowledgement()
        self.board = w.HTML()
        self.start.on_click(lambda _: self._do("plan started; it runs independently of this page", self._start))
        self.halt.on_click(lambda _: self._do("no further move is started", lambda: halt(book, self._known())))
        self.go_on.on_click(lambda _: self._do("the plan continues", lambda: go_on(book, self._known())))
        self.again.on_click(lambda _: self._do("queued again", lambda: again(book, self._known(), self.which.value)))
        self.typed.observe(lambda _: self.refresh(), names="value")
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        if self.folder is not None:
            attach(book, self.folder)
            self._watch()
        self.refresh()
        buttons = w.HBox([self.halt, self.go_on, self.which, self.again])
        super().__init__([w.HBox([self.typed, self.start]), buttons, self.says, self.board])

    def _known(self) -> Run:
        if self.folder is None:
            raise UsageError("the plan is not started yet")
        return self.folder

    def _start(self) -> None:
        self.folder = start(self._book, self._plan, self.typed.value)
        self._watch()

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
            except (LpmError, OSError) as error:
                self.says.trouble(error)  # retried at the next refresh
                continue
            if plan_status(self._known()).is_over:
                return

    def refresh(self) -> None:
        """Show the current state of the folder and enable the buttons that apply."""
        if self.folder is None:
            self.start.disabled = self.typed.value != self._plan.title
            self.start.tooltip = f"type {self._plan.title} to confirm" if self.start.disabled else ""
            self.board.value = (
                f"<p>Not started. Start is disabled: {escaped(self.start.tooltip)}</p>" if self.start.disabled else ""
            )
            for button in (self.halt, self.go_on, self.again):
                button.disabled, button.tooltip = True, "the plan is not started yet"
            return
        now = plan_status(self.folder)
        self.start.disabled, self.start.tooltip = True, "already started"
        self.halt.disabled = not now.conducted or now.halted is not None
        self.go_on.disabled = now.halted is None or now.is_done
        self.go_on.tooltip = "" if now.halted else "the plan is not halted"
        lost = [move.partition for move in now.moves if move.stage in LOST and move.stage is not Stage.RECOVERY]
        if tuple(lost) != tuple(self.which.options):
            self.which.options = lost
        self.again.disabled = not lost
        self.again.tooltip = "" if lost else "no move failed"
        self.board.value = course_table(now).data

    def _do(self, done: str, act: Callable[[], object]) -> None:
        try:
            act()
        except LpmError as error:
            self.says.trouble(error)
            return
        self.says.done(f"{done}.")
        if self.folder is not None:
            self._watch()
        self.refresh()


def plan_page_link(folder: Run | None) -> HTML:
    """The path of a plan's report."""
    if folder is None:
        return HTML("<p>The plan is not started yet.</p>")
    path = folder.path / "plan.html"
    return HTML(
        f"<p>Report of the plan: <code>{escaped(path)}</code></p>" if path.exists() else "<p>No report yet.</p>"
    )


def plan_of_file(book: Runbook, file: str | Path) -> MovePlan:
    """The plan in a file. Raises `SiteFileError` with all problems."""
    path = Path(file)
    if not path.exists():
        raise SiteFileError(str(path), ["no such file: press Save first"], what="the plan")
    return load_plan(path, book.site)


def saved_plan(book: Runbook, maker: PlanMaker) -> MovePlan | None:
    """The plan in the editor's file; ``None`` while nothing is saved there."""
    return plan_of_file(book, maker.file.value) if Path(maker.file.value).exists() else None
