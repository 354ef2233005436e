"""The cells of a samples file as columns: CSV of `lpmkit.runs.rows`, read without pyarrow."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lpmkit.runs.rows import COLUMNS
from lpmkit.timeline import Outcome

#: Columns with integers (the tick's number, and times in nanoseconds), and columns with texts.
NUMBERS, TEXTS = COLUMNS[:7], COLUMNS[7:]
#: A column that no file has: true for the outcome "answered".
ANSWERED = "answered"
#: An unknown time: the smallest 64-bit integer, which no clock shows.
MISSING = int(np.iinfo(np.int64).min)

Int64Array: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
TextArray: TypeAlias = npt.NDArray[np.object_]
#: Columns by their names: `Int64Array` for those of `NUMBERS`, `TextArray` for those of `TEXTS`, `BoolArray` for
#: `ANSWERED`.
Cells: TypeAlias = Mapping[str, npt.NDArray[Any]]

_TYPES: Mapping[str, Any] = {**dict.fromkeys(TEXTS, object), ANSWERED: np.bool_}
#: The cell for an unknown time, as the reader of numbers takes it.
_UNKNOWN = b",%d," % MISSING
# What a spreadsheet made of a time (1.79E+18) is none: numpy before 2.4 reads it with this warning.
warnings.filterwarnings("error", r"loadtxt\(\): Parsing an integer via a float", DeprecationWarning)


def empty(names: Sequence[str]) -> Cells:
    """Columns without rows."""
    return {name: np.zeros(0, dtype=_TYPES.get(name, np.int64)) for name in names}


def joined(parts: Sequence[Cells], names: Sequence[str]) -> Cells:
    """Columns one behind the other."""
    return {name: np.concatenate([part[name] for part in (empty(names), *parts)]) for name in names}


def read_cells(content: bytes, names: Sequence[str]) -> Cells:
    r"""The columns ``names`` of complete lines of CSV, without a heading; raises ValueError for what is no sample.

    >>> cells = read_cells(b"7,100,101,,,,,silent,\n", ("due_ns", "answered_ns", "outcome"))
    >>> cells["due_ns"].tolist(), cells["answered_ns"].tolist() == [MISSING], cells["outcome"].tolist()
    ([100], True, ['silent'])
    """
    if not content.strip():
        return empty(names)
    of_numbers = [name for name in names if name not in TEXTS]
    of_texts = [name for name in names if name in TEXTS]
    return {**(_numbers(content, of_numbers) if of_numbers else {}), **(_texts(content, of_texts) if of_texts else {})}


def _numbers(content: bytes, names: Sequence[str]) -> Cells:
    """Columns of numbers, and `ANSWERED`."""
    wanted = [(name, np.int64) if name in NUMBERS else ("outcome", f"S{len(Outcome.ANSWERED) + 1}") for name in names]
    # twice: two empty cells share a comma
    lines = content.replace(b",,", _UNKNOWN).replace(b",,", _UNKNOWN).decode().split("\n")
    try:
        rows = np.loadtxt(
            lines,
            dtype=np.dtype(wanted),
            delimiter=",",
            quotechar='"',
            comments=None,
            usecols=[COLUMNS.index(name) for name, _ in wanted],
            ndmin=1,
        )
    except DeprecationWarning as error:
        raise ValueError(str(error)) from error
    # loadtxt leaves further cells alone: two lines that ran into one would pass for the first
    if content.count(b",") != len(rows) * (len(COLUMNS) - 1) or content.count(b'"') % 2:
        _rows(content)
    return {
        name: rows["outcome"] == Outcome.ANSWERED.encode() if name == ANSWERED else np.ascontiguousarray(rows[name])
        for name in names
    }


def _texts(content: bytes, names: Sequence[str]) -> Cells:
    """Columns of texts."""
    rows = _rows(content)
    return {name: np.array([row[COLUMNS.index(name)] for row in rows], dtype=object) for name in names}


def _rows(content: bytes) -> list[list[str]]:
    """All cells, as texts. Raises ValueError for a line with more or fewer than a sample has."""
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode(), newline=""), strict=True) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    for row in rows:
        if len(row) != len(COLUMNS):
            raise ValueError(f"a row has {len(row)} cells, and a sample has {len(COLUMNS)}")
    return rows
