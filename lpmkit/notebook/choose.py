"""A chooser for the partition and its target: a table with a filter on every column, sorted by any, targets by fitness.

The last move of a partition comes from the site's run folders; no machine is asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import ipywidgets as w

from lpmkit.control.base import Order
from lpmkit.errors import UsageError
from lpmkit.inventory import Frame
from lpmkit.notebook.tables import escaped
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory
from lpmkit.runs.away import ledger
from lpmkit.runs.history import History, Move
from lpmkit.wording.words import words_of

#: The columns of the table, with their widths in characters.
COLUMNS: Mapping[str, int] = {
    "name": 18, "frame": 14, "state": 14, "GB": 7, "system": 16, "away": 16, "last move": 34,
}  # fmt: skip
#: Rows that are shown at once; the others are scrolled to.
MOST_ROWS = 16
_ALL, _NEVER = "all", "never"
_WIDE = w.Layout(width="100%", max_width="86em")
#: Steps of the filter of memory, in GB, and of the last move, in days.
_MEMORY_GB = (4, 16, 64)
_DAYS = {"last 24 hours": 1, "last 30 days": 30, "last year": 365}
#: The ways in which the table is sorted, by their names.
SORTED_BY: Mapping[str, Callable[[Row], Any]] = {
    "name": lambda row: row.name,
    "frame": lambda row: (row.frame, row.name),
    "state": lambda row: (row.state, row.name),
    "GB, largest first": lambda row: (-(row.memory_mb or 0), row.name),
    "system": lambda row: (row.system, row.name),
    "last move, newest first": lambda row: (-(row.moved_ns or 0), row.name),
    "last move, longest ago first": lambda row: (row.moved_ns or 0, row.name),
}
#: The lists are tables with aligned columns.
_STYLE = (
    "<style>.lpm-table select, .lpm-table pre { font: 13px 'DejaVu Sans Mono', Menlo, Consolas, monospace; } "
    ".lpm-table pre { margin: 0 0 0 92px; }</style>"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A partition as a row of the table."""

    frame: str
    name: str
    state: str
    memory_mb: int | None
    system: str
    away: str
    moved_ns: int | None = None  #: when its last move was prepared, in nanoseconds since 1970
    moved: str = ""

    def cells(self) -> tuple[str, ...]:
        """The cells under `COLUMNS`."""
        memory = "?" if self.memory_mb is None else f"{self.memory_mb / 1024:.4g}"
        return self.name, self.frame, self.state, memory, self.system, self.away, self.moved or _NEVER

    def line(self, said: Callable[[str], str] = str) -> str:
        """The row as text of fixed columns; ``said`` puts lpmkit's own words into a language."""
        cells = self.name, *(said(cell) for cell in self.cells()[1:])
        return " ".join(cell[:width].ljust(width) for cell, width in zip(cells, COLUMNS.values(), strict=True)).rstrip()


class Chooser(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A chooser for the partition and its target frame. ``order()`` has the choice."""

    def __init__(self, book: Runbook, partition: str | None = None, target: str | None = None) -> None:
        self._book, words = book, words_of(book.site.language)
        self._said = said = words.said
        self.there: SiteInventory = book.landscape()
        self._rows = _rows(book, self.there)
        self._now_ns = book.clock.wall_ns()
        self.search = w.Text(
            placeholder=said("words of any column"), description=said("search"), continuous_update=True
        )
        self.filters = {
            name: w.Dropdown(
                options=[(said(value), value) for value in (_ALL, *self._values(name))], description=said(name)
            )
            for name in COLUMNS
            if name != "name"
        }
        self.order_by = w.Dropdown(options=[(said(name), name) for name in SORTED_BY], description=said("sort by"))
        for one in (*self.filters.values(), self.order_by):
            one.layout = w.Layout(width="15em")
        self.count = w.HTML()
        head = " ".join(said(name)[:width].ljust(width) for name, width in COLUMNS.items())
        self.head = w.HTML(f"{_STYLE}<pre>{escaped(head)}</pre>")
        rows = min(MOST_ROWS, max(3, len(self._rows)))
        self.partition = w.Select(options=[], rows=rows, description=said("partition"), layout=_WIDE)
        self.target = w.Select(options=[], rows=3, description=said("target"), layout=_WIDE)
        self.silent = w.HTML(
            "".join(
                f"<p>? <b>{escaped(name)}</b> {escaped(said(f'did not answer: {why}'))}</p>"
                for name, why in self.there.silent.items()
            )
        )
        self._fill()
        self.search.observe(lambda _: self._fill(), names="value")
        for one in (*self.filters.values(), self.order_by):
            one.observe(lambda _: self._fill(), names="value")
        self.partition.observe(lambda _: self._fill_targets(), names="value")
        _preset(self.partition, partition, lambda value: value[1])
        self._fill_targets()
        _preset(self.target, target, lambda value: value)
        narrow = w.HBox(
            [self.search, *self.filters.values(), self.order_by, self.count], layout=w.Layout(flex_flow="row wrap")
        )
        super().__init__([narrow, self.head, self.partition, self.target, self.silent])
        self.add_class("lpm-table")

    @property
    def is_chosen(self) -> bool:
        """True where partition and target are chosen."""
        return self.partition.value is not None and self.target.value is not None

    def order(self) -> Order:
        """The order as chosen. Raises `UsageError` while partition or target is missing."""
        if not self.is_chosen:
            raise UsageError("no partition or no target is chosen", next_step="Choose both, then try again.")
        source, name = self.partition.value
        return self._book.order(name, self.target.value, source=source)

    def _values(self, column: str) -> list[str]:
        """The choices that narrow a column: its values, or steps where each row has its own."""
        if column == "GB":
            return [*(f"≤ {most}" for most in _MEMORY_GB), f"> {_MEMORY_GB[-1]}"]
        if column == "last move":
            return [_NEVER, *_DAYS]
        at = list(COLUMNS).index(column)
        return sorted({row.cells()[at] for row in self._rows} - {""})

    def _is_wanted(self, row: Row, column: str, value: str) -> bool:
        if column == "GB":
            gigabytes = (row.memory_mb or 0) / 1024
            bound = float(value.split()[1])
            return gigabytes <= bound if value.startswith("≤") else gigabytes > bound
        if column == "last move":
            if value == _NEVER or row.moved_ns is None:
                return value == _NEVER and row.moved_ns is None
            return self._now_ns - row.moved_ns <= _DAYS[value] * 86_400 * 10**9
        return row.cells()[list(COLUMNS).index(column)] == value

    def _fill(self) -> None:
        words = self.search.value.lower().split()
        wanted = {name: one.value for name, one in self.filters.items() if one.value != _ALL}
        found = [
            row
            for row in self._rows
            if all(word in " ".join(row.cells()).lower() for word in words)
            and all(self._is_wanted(row, name, value) for name, value in wanted.items())
        ]
        found.sort(key=SORTED_BY[self.order_by.value])
        chosen = self.partition.value
        self.partition.options = [(row.line(self._said), (row.frame, row.name)) for row in found]
        if chosen in [(row.frame, row.name) for row in found]:
            self.partition.value = chosen  # a filter does not drop what was chosen
        self.count.value = f"<span role='status'>{len(found)} {self._said('of')} {len(self._rows)}</span>"

    def _fill_targets(self) -> None:
        source, name = self.partition.value or (None, None)
        row = next((row for row in self._rows if (row.frame, row.name) == (source, name)), None)
        partner = self._book.site.frames[source].partner if source else ""
        frames = [(name, frame) for name, frame in self.there.frames.items() if name != source]
        frames.sort(key=lambda pair: _fitness(pair[0], pair[1], row, partner))
        self.target.options = [(_target_line(name, frame, row, partner, self._said), name) for name, frame in frames]


def _rows(book: Runbook, there: SiteInventory) -> list[Row]:
    """The partitions as rows, with what the run folders tell of their moves."""
    folder = book.site.runs.folder
    known = folder.is_dir()
    away = {stay.partition: f"since {stay.as_row()['left (UTC)'][:10]}" for stay in (ledger(folder) if known else ())}
    last = {
        move.partition: move
        for move in (History(folder).moves() if known else ())
        if move.mode == "move" and move.outcome not in ("", "prepared")
    }
    return [_row(place, away, last) for place in there.placed if not place.partition.is_vios]


def _row(place: PartitionLocation, away: Mapping[str, str], last: Mapping[str, Move]) -> Row:
    one, move = place.partition, last.get(place.partition.name)
    system = " ".join(str(one.os_version or one.environment or "").split()[:2])
    row = Row(place.frame, one.name, one.state or "?", one.memory_mb, system, away.get(one.name, ""))
    return row if move is None else replace(row, moved_ns=move.created_ns, moved=_moved(move))


def _moved(move: Move) -> str:
    """A past move in a cell: when, to where, and what became of it."""
    at = datetime.fromtimestamp(move.created_ns / 1e9, tz=UTC)
    outcome = "✓" if move.outcome == "settled" else move.outcome
    return f"{at:%Y-%m-%d} → {move.target} {outcome}"


def _missing_mb(frame: Frame, row: Row | None) -> int | None:
    """The memory that the frame lacks for a partition; ``None`` where that is not known."""
    if row is None or row.memory_mb is None or frame.memory_available_mb is None:
        return None
    return max(0, row.memory_mb - frame.memory_available_mb)


def _fitness(name: str, frame: Frame, row: Row | None, partner: str) -> tuple[bool, bool, int, str]:
    """The key by which targets are sorted: those with room first, the partner before others, most room first."""
    missing = _missing_mb(frame, row)
    return missing != 0, name != partner, -(frame.memory_available_mb or 0), name


def _target_line(name: str, frame: Frame, row: Row | None, partner: str, said: Callable[[str], str]) -> str:
    missing = _missing_mb(frame, row)
    fits = "memory not known" if missing is None else "fits" if not missing else f"too small by {missing / 1024:.3g} GB"
    free = "?" if frame.memory_available_mb is None else f"{frame.memory_available_mb / 1024:.4g}"
    star = "★ partner" if name == partner else ""
    room = f"{free} GB, {frame.proc_units_available} processing units free"
    return f"{name:<18} {said(fits):<22} {said(room):<40} {said(star):<10} {frame.machine}".rstrip()


def _preset(choice: w.Select, wanted: str | None, name_of: Callable[[Any], object]) -> None:
    """Choose the option with this name, where there is one."""
    if wanted is not None:
        choice.value = next((value for _, value in choice.options if name_of(value) == wanted), choice.value)
