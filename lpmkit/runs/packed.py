"""Packed samples: Parquet files, which pandas, DuckDB and others read too.

pyarrow, of the extra ``parquet``, writes and reads them. It is loaded with this module, which takes a quarter of a
second: import it where a packed file is at hand. Raises OSError and ValueError for a file that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as arrow

from lpmkit.json_values import JsonObject
from lpmkit.runs.cells import ANSWERED, MISSING, NUMBERS, TEXTS, BoolArray, Cells, Int64Array
from lpmkit.runs.rows import COLUMNS

#: Rows in a row group.
GROUP_ROWS = 25_000
_SCHEMA = pa.schema([(name, pa.int64()) for name in NUMBERS] + [(name, pa.string()) for name in TEXTS])
#: Times on this host's clock, which give the limits of a group.
_OURS = ("due_ns", "sent_ns", "answered_ns")


@dataclass(frozen=True, slots=True)
class Group:
    """A row group of a packed file. The times on our clock lie within ``lo_ns`` … ``hi_ns``."""

    rows: int
    lo_ns: int
    hi_ns: int


def groups(path: Path) -> list[Group]:
    """The row groups of a file, with times from their statistics."""
    metadata = pq.read_metadata(path)
    if metadata.schema.to_arrow_schema() != _SCHEMA:
        raise ValueError("its columns are none of lpmkit")
    return [_group(metadata.row_group(number)) for number in range(metadata.num_row_groups)]


def _group(group: Any) -> Group:
    statistics = [group.column(COLUMNS.index(name)).statistics for name in _OURS]
    limits = [limit for limit in statistics if limit is not None and limit.has_min_max]
    return Group(
        group.num_rows,
        min((limit.min for limit in limits), default=MISSING),
        max((limit.max for limit in limits), default=MISSING),
    )


def read_group(path: Path, number: int, names: Sequence[str]) -> Cells:
    """The columns ``names`` of a row group."""
    wanted = ["outcome" if name == ANSWERED else name for name in names]
    with pq.ParquetFile(path) as packed:
        table = packed.read_row_group(number, columns=list(dict.fromkeys(wanted)))
    return {name: _column(table, name) for name in names}


def _column(table: Any, name: str) -> npt.NDArray[Any]:
    if name in TEXTS:
        return np.asarray(table[name].to_pylist(), dtype=object)
    return _truths(pc.match_like(table["outcome"], "answered")) if name == ANSWERED else _numbers(table[name])


def _numbers(column: Any) -> Int64Array:
    if not column.null_count:
        return _array(column)
    numbers = np.full(len(column), MISSING, dtype=np.int64)
    numbers[_truths(column.is_valid())] = _array(column.drop_null())
    return numbers


def _truths(column: Any) -> BoolArray:
    return _array(column.cast("uint8")).astype(np.bool_)


def _array(column: Any) -> npt.NDArray[Any]:
    """A column of numbers without nulls.

    Arrow's own ``to_numpy`` loads pandas where that is installed, and so does whatever takes a Python value.
    """
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks or [column.combine_chunks()]])


def write(out: IO[bytes], parts: Iterable[bytes]) -> None:
    """Write parts of a CSV, complete lines without a heading, one behind the other."""
    options: JsonObject = {
        "compression": "zstd",
        "use_dictionary": list(TEXTS),
        "column_encoding": dict.fromkeys(NUMBERS, "DELTA_BINARY_PACKED"),
    }
    with pq.ParquetWriter(out, _SCHEMA, **options) as writer:
        for content in parts:
            writer.write_table(_parsed(content), row_group_size=GROUP_ROWS)


def _parsed(content: bytes) -> Any:
    if not content.strip():
        return _SCHEMA.empty_table()
    return arrow.read_csv(
        pa.BufferReader(content),
        read_options=arrow.ReadOptions(column_names=list(COLUMNS), block_size=1 << 20),
        parse_options=arrow.ParseOptions(newlines_in_values=False),
        convert_options=arrow.ConvertOptions(column_types=_SCHEMA, null_values=[""], strings_can_be_null=False),
    )


def row_count(path: Path) -> int:
    """The number of rows of a file."""
    return int(pq.read_metadata(path).num_rows)
