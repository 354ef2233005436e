"""A chooser for the partition and its target: a table with a filter on every column, targets by fitness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from lpmkit.control.base import Order
from lpmkit.errors import UsageError
from lpmkit.inventory import Frame
from lpmkit.notebook.tables import escaped
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory
from lpmkit.runs.away import Away, ledger

#: The columns of the table, with their widths in characters.
COLUMNS: Mapping[str, int] = {"name": 18, "frame": 14, "state": 14, "GB": 7, "system": 28, "away": 10}
_ALL = "all"
_WIDE = w.Layout(width="100%", max_width="64em")
#: The lists are tables: their columns stand below each other.
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

    def cells(self) -> tuple[str, ...]:
        """The cells under `COLUMNS`."""
        memory = "?" if self.memory_mb is None else f"{self.memory_mb / 1024:.4g}"
        return self.name, self.frame, self.state, memory, self.system, self.away

    def line(self) -> str:
        """The row as text of fixed columns."""
        cells = zip(self.cells(), COLUMNS.values(), strict=True)
        return " ".join(cell[:width].ljust(width) for cell, width in cells).rstrip()


class Chooser(w.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A chooser for the partition and its target frame. ``order()`` has the choice."""

    def __init__(self, book: Runbook, partition: str | None = None, target: str | None = None) -> None:
        self._book = book
        self.there: SiteInventory = book.landscape()
        away = {stay.partition: f"since {stay.as_row()['left (UTC)'][:10]}" for stay in _away(book)}
        self._rows = [_row(place, away) for place in self.there.placed if not place.partition.is_vios]
        self.search = w.Text(placeholder="words of any column", description="search", continuous_update=True)
        self.filters = {
            name: w.Dropdown(options=[_ALL, *sorted({row.cells()[at] for row in self._rows} - {""})], description=name)
            for at, name in enumerate(COLUMNS)
            if name in ("frame", "state", "system", "away")
        }
        for one in self.filters.values():
            one.layout = w.Layout(width="15em")
        self.count = w.HTML()
        head = " ".join(name.ljust(width) for name, width in COLUMNS.items())
        self.head = w.HTML(f"{_STYLE}<pre>{escaped(head)}</pre>")
        rows = min(8, max(3, len(self._rows)))
        self.partition = w.Select(options=[], rows=rows, description="partition", layout=_WIDE)
        self.target = w.Select(options=[], rows=3, description="target", layout=_WIDE)
        self.silent = w.HTML(
            "".join(
                f"<p>? <b>{escaped(name)}</b> did not answer: {escaped(why)}</p>"
                for name, why in self.there.silent.items()
            )
        )
        self._fill()
        self.search.observe(lambda _: self._fill(), names="value")
        for one in self.filters.values():
            one.observe(lambda _: self._fill(), names="value")
        self.partition.observe(lambda _: self._fill_targets(), names="value")
        _preset(self.partition, partition, lambda value: value[1])
        self._fill_targets()
        _preset(self.target, target, lambda value: value)
        narrow = w.HBox([self.search, *self.filters.values(), self.count], layout=w.Layout(flex_flow="row wrap"))
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

    def _fill(self) -> None:
        words = self.search.value.lower().split()
        names = list(COLUMNS)
        wanted = {names.index(name): one.value for name, one in self.filters.items() if one.value != _ALL}
        found = [
            row
            for row in self._rows
            if all(word in " ".join(row.cells()).lower() for word in words)
            and all(row.cells()[at] == value for at, value in wanted.items())
        ]
        self.partition.options = [(row.line(), (row.frame, row.name)) for row in found]
        self.count.value = f"<span role='status'>{len(found)} of {len(self._rows)}</span>"

    def _fill_targets(self) -> None:
        source, name = self.partition.value or (None, None)
        row = next((row for row in self._rows if (row.frame, row.name) == (source, name)), None)
        partner = self._book.site.frames[source].partner if source else ""
        frames = [(name, frame) for name, frame in self.there.frames.items() if name != source]
        frames.sort(key=lambda pair: _fitness(pair[0], pair[1], row, partner))
        self.target.options = [(_target_line(name, frame, row, partner), name) for name, frame in frames]


def _row(place: PartitionLocation, away: Mapping[str, str]) -> Row:
    one = place.partition
    system = " ".join(str(one.os_version or one.environment or "").split()[:2])
    return Row(place.frame, one.name, one.state or "?", one.memory_mb, system, away.get(one.name, ""))


def _away(book: Runbook) -> Sequence[Away]:
    return ledger(book.site.runs.folder) if book.site.runs.folder.is_dir() else []


def _missing_mb(frame: Frame, row: Row | None) -> int | None:
    """The memory that the frame lacks for a partition; ``None`` where that is not known."""
    if row is None or row.memory_mb is None or frame.memory_available_mb is None:
        return None
    return max(0, row.memory_mb - frame.memory_available_mb)


def _fitness(name: str, frame: Frame, row: Row | None, partner: str) -> tuple[bool, bool, int, str]:
    """The key by which targets are sorted: those with room first, the partner before others, most room first."""
    missing = _missing_mb(frame, row)
    return missing != 0, name != partner, -(frame.memory_available_mb or 0), name


def _target_line(name: str, frame: Frame, row: Row | None, partner: str) -> str:
    missing = _missing_mb(frame, row)
    fits = "memory not known" if missing is None else "fits" if not missing else f"too small by {missing / 1024:.3g} GB"
    free = "?" if frame.memory_available_mb is None else f"{frame.memory_available_mb / 1024:.4g}"
    star = "★ partner" if name == partner else ""
    room = f"{free} GB, {frame.proc_units_available} processing units free"
    return f"{name:<18} {fits:<22} {room:<40} {star:<10} {frame.machine}".rstrip()


def _preset(choice: w.Select, wanted: str | None, name_of: Callable[[Any], object]) -> None:
    """Choose what a name stands for, where it is among the options."""
    if wanted is not None:
        choice.value = next((value for _, value in choice.options if name_of(value) == wanted), choice.value)
