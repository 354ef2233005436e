"""Tables that can be read on a phone: each cell carries the heading of its column, which a narrow page shows in it."""

from __future__ import annotations

import re
from html import escape, unescape

_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_HEADING = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<td\b([^>]*)>")
_SPAN = re.compile(r"colspan=[\"'](\d+)")


def with_headings(html: str) -> str:
    """HTML whose tables with a heading have its text in each cell as ``data-head``.

    >>> with_headings("<table><thead><tr><th>job</th></tr></thead><tr><td>A</td></tr></table>")
    '<table><thead><tr><th>job</th></tr></thead><tr><td data-head="job">A</td></tr></table>'
    """
    return _TABLE.sub(lambda table: _table(table[0]), html)


def _table(table: str) -> str:
    head, mark, body = table.partition("</thead>")
    if not mark:
        return table
    names = [unescape(re.sub(r"<[^>]+>", "", name)).strip() for name in _HEADING.findall(head)]
    return head + mark + _ROW.sub(lambda row: _row(row[0], names), body)


def _row(row: str, names: list[str]) -> str:
    at = 0

    def named(cell: re.Match[str]) -> str:
        nonlocal at
        span = _SPAN.search(cell[1])
        wide = int(span[1]) if span else 1
        name = names[at] if at < len(names) and wide == 1 else ""
        at += wide
        return f'<td{cell[1]} data-head="{escape(name)}">' if name else cell[0]

    return _CELL.sub(named, row)
