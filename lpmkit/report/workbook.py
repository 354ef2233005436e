"""Tables as a workbook (XLSX): numbers as numbers, texts as texts and never as formulas."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lpmkit.json_values import JsonMapping

#: The widest column, in characters.
WIDEST = 60
#: Characters that the name of a sheet cannot have, and its length.
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")
_NAME_LENGTH = 31
#: The longest text that a cell holds.
_CELL_LENGTH = 32_767
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def workbook(sheets: Mapping[str, Sequence[JsonMapping]]) -> bytes:
    """A workbook with a sheet for each table: headings that stay in view, filters, columns as wide as their texts.

    A table without rows has a sheet that says so: an empty table is an answer too.
    """
    import openpyxl  # noqa: PLC0415 - only a workbook needs it

    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        _fill(made.create_sheet(sheet_name(name, made.sheetnames)), rows)
    kept = io.BytesIO()
    made.save(kept)
    return kept.getvalue()


def sheet_name(name: str, taken: Sequence[str] = ()) -> str:
    """A name that a sheet can have, and that no other has.

    >>> sheet_name("SAP: jobs/logs"), sheet_name("disks", ["disks"])
    ('SAP  jobs logs', 'disks 2')
    """
    plain = _NOT_IN_NAMES.sub(" ", name).strip("' ")[:_NAME_LENGTH] or "table"
    number, unique = 1, plain
    while unique.lower() in {one.lower() for one in taken}:
        number += 1
        unique = f"{plain[: _NAME_LENGTH - 3]} {number}"
    return unique


def _fill(sheet: Any, rows: Sequence[JsonMapping]) -> None:
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415 - as above
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 - as above

    heads = list(dict.fromkeys(name for row in rows for name in row)) or ["no rows"]
    for column, head in enumerate(heads, start=1):
        _write(sheet.cell(row=1, column=column), head)
        sheet.cell(row=1, column=column).font = Font(bold=True)
        longest = len(head)
        for number, row in enumerate(rows, start=2):
            value = _value(row.get(head))
            if value is None:
                continue
            cell = sheet.cell(row=number, column=column)
            _write(cell, value)
            cell.alignment = Alignment(vertical="top", wrap_text=isinstance(value, str) and len(value) > WIDEST)
            longest = max(longest, len(str(value)))
        sheet.column_dimensions[get_column_letter(column)].width = min(WIDEST, longest) + 2
    sheet.freeze_panes = "A2"
    if rows:
        sheet.auto_filter.ref = sheet.dimensions


def _value(value: Any) -> Any:
    """A value as a cell holds it: numbers and truth as they are, everything else as text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return _NOT_XML.sub("", str(value))[:_CELL_LENGTH]


def _write(cell: Any, value: Any) -> None:
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"  # "=1+1" from a machine is a text
