"""Tables and coloured text on a terminal, by rich; loaded when the first of them is printed.

Text that is printed may come from a machine, a file or a folder: everything here goes through `visible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lpmkit.commands.console import MARKS, visible
from lpmkit.json_values import JsonObject


class Terminal(Console):
    """A console that shows control characters of what it prints and sends none but its own. Markup is off: text is
    text.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console.render`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def _cell(value: object) -> Text:
    """A table cell; only the texts of `MARKS` are markup."""
    text = "" if value is None else str(value)
    return Text.from_markup(text) if text in MARKS.values() else Text(visible(text))


def show_table(out: Console, title: str, rows: Sequence[JsonObject]) -> None:
    """Print rows, at least one, as a table with their keys as heading.

    A table that is wider than the terminal becomes a block for each row, so that no cell is cut.
    """
    table = Table(title=title or None, title_justify="left", show_lines=False)
    for name in rows[0]:
        table.add_column(visible(str(name)), overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    # Markup of a width is asked for without the terminal's limit: how wide would every cell be in one line?
    if Measurement.get(out, out.options.update(max_width=_UNLIMITED), table).maximum <= out.width:
        out.print(table)
        return
    if title:
        out.print(Text(visible(title), style="bold"))
    for row in rows:
        _print_block(row, out)


#: A width that no table reaches.
_UNLIMITED = 100_000


def _print_block(row: JsonObject, out: Console) -> None:
    """A row as lines of name and value, the first as heading; values are folded, never cut."""
    (_, head), *rest = row.items()
    out.print(_cell(head), style="bold", overflow="fold")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rest:
        if value not in (None, ""):
            grid.add_row(Text(f"  {visible(str(name))}", style="dim"), _cell(value))
    if grid.row_count:
        out.print(grid)


def show_item(out: Console, mark: str, lines: Sequence[str]) -> None:
    """Print a sign and its lines, wrapped beside it at any width of the terminal; empty lines are left out."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text.from_markup(mark), Text("\n".join(visible(line) for line in lines if line)))
    out.print(grid)
