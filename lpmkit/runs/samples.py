"""Sample files of a run, read in pieces: memory does not grow with the record.

A samples file is CSV while it grows (`lpmkit.runs.folder.RunWriter` appends) and may be *packed* into Parquet once
it is complete (`pack`): same rows, same order, a sixth of the size. Readers here accept both. `pieces` lists the
pieces of a file with their times, `columns` reads some of them.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lpmkit.errors import RecordError
from lpmkit.json_values import JsonObject
from lpmkit.runs.appender import sync_folder
from lpmkit.runs.files import open_plain, refuse_links
from lpmkit.runs.rows import COLUMNS

#: Columns with integers (the tick's number, and times in nanoseconds), and columns with texts.
NUMBERS, TEXTS = COLUMNS[:7], COLUMNS[7:]
#: An unknown time: the smallest 64-bit integer, which no clock shows.
MISSING = int(np.iinfo(np.int64).min)
#: Bytes in a piece of CSV, and rows in a row group of a packed file.
PIECE_BYTES = 2 * 1024 * 1024
GROUP_ROWS = 25_000
_ROW_BYTES = 90
#: Times on this host's clock, which give the limits of a piece.
_OURS = ("due_ns", "sent_ns", "answered_ns")
_FILE = re.compile(r"(?P<probe>.+)\.(?P<segment>\d+)\.(?P<ending>csv|parquet)")

Row = TypeVar("Row")
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of samples, of one probe and one segment."""

    probe: str
    segment: int
    path: Path

    @property
    def is_packed(self) -> bool:
        """True for Parquet."""
        return self.path.suffix == ".parquet"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a file: bytes of CSV (``start``, ``size``) or a row group (``start``). Its times lie within ``lo_ns`` …
    ``hi_ns``.

    ``first_row`` is the number of rows before it, which locates a piece of CSV in the file that was packed meanwhile.
    """

    file: SampleFile
    start: int
    size: int
    first_row: int
    rows: int
    lo_ns: int
    hi_ns: int


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows as columns, in the order of writing; `MISSING` for an unknown time."""

    seq: Int64Array
    due_ns: Int64Array
    sent_ns: Int64Array
    answered_ns: Int64Array
    remote_due_ns: Int64Array
    remote_mono_ns: Int64Array
    remote_wall_ns: Int64Array
    answered: BoolArray  #: true for the outcome "answered"

    def __len__(self) -> int:
        return len(self.seq)


def files(folder: Path) -> list[SampleFile]:
    """The sample files of a folder, sorted.

    A CSV takes precedence over the packed file beside it: packing was interrupted.
    """
    latest: dict[tuple[str, int], SampleFile] = {}
    if not folder.is_dir():
        return []
    refuse_links(folder)
    # In this order: a file that is packed between the two listings is in both, never in neither.
    growing = sorted(folder.glob("*.csv"))
    for path in sorted(folder.glob("*.parquet")) + growing:
        match = _FILE.fullmatch(path.name)
        if match:
            latest[match["probe"], int(match["segment"])] = SampleFile(match["probe"], int(match["segment"]), path)
    return [latest[key] for key in sorted(latest)]


def pieces(file: SampleFile, unreadable: dict[str, int]) -> list[Piece]:
    """Every piece of a file. A torn last line is left out and counted in ``unreadable``."""
    if file.is_packed:
        return list(_groups(file))
    try:
        return list(_parts(file, unreadable))
    except FileNotFoundError:
        return list(_groups(_packed_since(file)))


def columns(wanted: Sequence[Piece]) -> Columns:
    """The rows of some pieces, in the order of the pieces."""
    import pyarrow as pa  # noqa: PLC0415 - its import takes a quarter of a second

    tables = [_table(piece, (*NUMBERS, "outcome")) for piece in wanted]
    table = pa.concat_tables(tables) if tables else _schema().empty_table().select([*NUMBERS, "outcome"])
    numbers: JsonObject = {name: _numbers(table[name]) for name in NUMBERS}
    return Columns(**numbers, answered=_is_answered(table["outcome"]))


def texts(wanted: Sequence[Piece]) -> dict[str, npt.NDArray[np.object_]]:
    """Outcome and detail of some pieces, as texts."""
    tables = [_table(piece, TEXTS) for piece in wanted]
    return {
        name: np.concatenate(
            [np.zeros(0, dtype=object), *[np.asarray(table[name].to_pylist(), dtype=object) for table in tables]]
        )
        for name in TEXTS
    }


def last_rows(file: SampleFile, last_bytes: int, at_most: int) -> list[list[str]]:
    """The newest rows of a file as texts, about as many as ``last_bytes`` of CSV.

    Of more than ``at_most`` rows an even selection that includes the newest.
    """
    if file.is_packed:
        row_count = last_bytes // _ROW_BYTES
        tables = [_table(group, COLUMNS) for group in _newest(file, row_count)]
        rows = [row for table in tables for row in table.to_pylist()][-row_count:]
        return [["" if row[name] is None else str(row[name]) for name in COLUMNS] for row in _some(rows, at_most)]
    try:
        with open_plain(file.path, "rb") as raw:
            size = raw.seek(0, os.SEEK_END)
            raw.seek(max(0, size - last_bytes))
            lines = raw.read().split(b"\n")
    except FileNotFoundError:
        return last_rows(_packed_since(file), last_bytes, at_most)
    # The first line may be the heading or cut, the last one is empty or incomplete.
    return list(csv.reader(line.decode() for line in _some(lines[1:-1], at_most)))


#: Maximum bytes that a tail reads at once: half a minute of a thousand samples a second.
TAIL_BYTES = 3 * 1024 * 1024


class Tail:
    """The newest rows of one growing file, for a live view with constant cost."""

    def __init__(self, file: SampleFile) -> None:
        self.file = file
        self._read_to: int | None = None

    def answers(self) -> Int64Array:
        """New ``answered_ns`` values since the last call; the first call reads at most `TAIL_BYTES`."""
        if self.file.is_packed:
            return self._packed(self.file)
        try:
            with open_plain(self.file.path, "rb") as raw:
                size = raw.seek(0, os.SEEK_END)
                begin = 0 if self._read_to is None else self._read_to
                jumps = size - begin > TAIL_BYTES
                begin = max(begin, size - TAIL_BYTES)
                raw.seek(begin)
                content = raw.read()
        except FileNotFoundError:
            return self._packed(_packed_since(self.file))
        complete = content.rfind(b"\n") + 1  # the last line may be incomplete
        lines = content[:complete].split(b"\n")[:-1]
        # The first line may be cut, and the very first one is the heading.
        lines = lines[1:] if jumps or self._read_to is None else lines
        self._read_to = begin + complete
        cells = (line.split(b",", 4) for line in lines)
        return np.asarray([int(cell[3]) for cell in cells if len(cell) == 5 and cell[3]], dtype=np.int64)

    def _packed(self, file: SampleFile) -> Int64Array:
        """The values of a completed file: all at the first call, none later."""
        if self._read_to is not None:
            return np.zeros(0, dtype=np.int64)
        self._read_to = 0
        row_count = TAIL_BYTES // _ROW_BYTES
        parts = [_numbers(_table(group, ["answered_ns"])["answered_ns"]) for group in _newest(file, row_count)]
        values = np.concatenate([np.zeros(0, dtype=np.int64), *parts])[-row_count:]
        answered: Int64Array = values[values != MISSING]
        return answered


def _newest(file: SampleFile, row_count: int) -> list[Piece]:
    """The last groups of a packed file, in their order, with at least ``row_count`` rows together."""
    newest: list[Piece] = []
    for group in reversed(list(_groups(file))):
        newest.insert(0, group)
        if sum(piece.rows for piece in newest) >= row_count:
            break
    return newest


def _some(rows: list[Row], at_most: int) -> list[Row]:
    """Every row, or an even selection that ends with the last one."""
    step = max(1, -(-len(rows) // at_most))
    return rows[::-1][::step][::-1]


def pack(file: SampleFile, unreadable: dict[str, int]) -> Path:
    """Pack a complete CSV into Parquet, and remove the CSV once the packed file is on disk and has all its rows.

    A CSV with a torn last line or with other content stays as it is. Raises `RecordError` if the disk is full or
    the file cannot be read; the CSV is intact then.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    target = file.path.with_suffix(".parquet")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    torn: dict[str, int] = {}
    parts = pieces(file, torn)
    if any(torn.values()):
        unreadable.update(torn)
        return file.path
    try:
        with open_plain(draft, "wb") as out:
            options: JsonObject = {
                "compression": "zstd",
                "use_dictionary": list(TEXTS),
                "column_encoding": dict.fromkeys(NUMBERS, "DELTA_BINARY_PACKED"),
            }
            with pq.ParquetWriter(out, _schema(), **options) as writer:
                for piece in parts:
                    writer.write_table(_table(piece, COLUMNS), row_group_size=GROUP_ROWS)
            out.flush()
            os.fsync(out.fileno())
        if pq.read_metadata(draft).num_rows != sum(piece.rows for piece in parts):
            raise RecordError("the packed file has other rows than the CSV", where=str(file.path))
        draft.replace(target)
        sync_folder(target.parent)  # before the CSV goes: a power cut must leave one of both
    except OSError as error:
        raise RecordError(
            f"{target.name} cannot be written: {error.strerror or error}",
            where=str(target.parent),
            next_step="The samples stay as CSV, and nothing is lost; free some space and pack again.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    file.path.unlink()
    return target


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as above

    return pa.schema([(name, pa.int64()) for name in NUMBERS] + [(name, pa.string()) for name in TEXTS])


def _numbers(column: Any) -> Int64Array:
    if not column.null_count:
        return _array(column)
    numbers = np.full(len(column), MISSING, dtype=np.int64)
    numbers[_truths(column.is_valid())] = _array(column.drop_null())
    return numbers


def _is_answered(column: Any) -> BoolArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    return _truths(pc.match_like(column, "answered"))


def _truths(column: Any) -> BoolArray:
    return _array(column.cast("uint8")).astype(np.bool_)


def _array(column: Any) -> npt.NDArray[Any]:
    """A column of numbers without nulls.

    Arrow's own ``to_numpy`` loads pandas where that is installed, and so does whatever takes a Python value.
    """
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks or [column.combine_chunks()]])


def _table(piece: Piece, names: Sequence[str]) -> Any:
    if piece.file.is_packed:
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        try:
            with pq.ParquetFile(piece.file.path) as packed:
                return packed.read_row_group(piece.start, columns=list(names))
        except (OSError, ValueError) as error:
            raise _cannot_read(piece.file, error) from error
    try:
        with open_plain(piece.file.path, "rb") as raw:
            raw.seek(piece.start)
            return _parsed(piece.file, raw.read(piece.size), names)
    except FileNotFoundError:
        return _rows_again(piece, names)


def _packed_since(file: SampleFile) -> SampleFile:
    """The packed file that replaced a CSV, because a recorder may end during reading."""
    return replace(file, path=file.path.with_suffix(".parquet"))


def _rows_again(piece: Piece, names: Sequence[str]) -> Any:
    """The rows of a piece of CSV, from the packed file that replaced it."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    last_row = piece.first_row + piece.rows
    groups = [
        group
        for group in _groups(_packed_since(piece.file))
        if group.first_row < last_row and group.first_row + group.rows > piece.first_row
    ]
    if not groups:
        return _schema().empty_table().select(list(names))
    table = pa.concat_tables([_table(group, names) for group in groups])
    return table.slice(piece.first_row - groups[0].first_row, piece.rows)


def _parsed(file: SampleFile, content: bytes, names: Sequence[str]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as above
    from pyarrow import csv as arrow  # noqa: PLC0415 - as above

    schema = _schema()
    try:
        return arrow.read_csv(
            pa.BufferReader(content),
            read_options=arrow.ReadOptions(column_names=list(COLUMNS), block_size=1 << 20),
            parse_options=arrow.ParseOptions(newlines_in_values=False),
            convert_options=arrow.ConvertOptions(
                column_types=schema, null_values=[""], strings_can_be_null=False, include_columns=list(names)
            ),
        )
    except pa.ArrowInvalid as error:
        if not content.strip():
            return schema.empty_table().select(list(names))
        raise _cannot_read(file, error) from error


def _cannot_read(file: SampleFile, error: Exception) -> RecordError:
    return RecordError(
        f"samples/{file.path.name} cannot be read: {error}",
        where=str(file.path.parent.parent),
        next_step="The other files of the run are intact; move this one away to read them.",
    )


def _parts(file: SampleFile, unreadable: dict[str, int]) -> Iterator[Piece]:
    """A CSV in pieces of complete lines."""
    torn = rows = 0
    with open_plain(file.path, "rb") as raw:
        start = len(raw.readline(PIECE_BYTES))  # the heading
        while content := raw.read(PIECE_BYTES):
            complete = content.rfind(b"\n") + 1
            if not complete:
                torn = 1
                break
            part = _measured(file, start, rows, content[:complete])
            yield part
            start, rows = start + complete, rows + part.rows
            raw.seek(start)
    unreadable[f"samples/{file.path.name}"] = torn


def _measured(file: SampleFile, start: int, first_row: int, content: bytes) -> Piece:
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    table = _parsed(file, content, _OURS)
    ranges = [pc.min_max(table[name]).as_py() for name in _OURS]
    lows = [limits["min"] for limits in ranges if limits["min"] is not None]
    highs = [limits["max"] for limits in ranges if limits["max"] is not None]
    lo, hi = min(lows, default=MISSING), max(highs, default=MISSING)
    return Piece(file, start, len(content), first_row, table.num_rows, lo, hi)


def _groups(file: SampleFile) -> Iterator[Piece]:
    """The row groups of a packed file, with times from their statistics."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    try:
        metadata = pq.read_metadata(file.path)
    except (OSError, ValueError) as error:
        raise _cannot_read(file, error) from error
    column_index = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    if metadata.schema.to_arrow_schema() != _schema():
        raise _cannot_read(file, ValueError("its columns are none of lpmkit"))
    rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        statistics = [group.column(column_index[name]).statistics for name in _OURS]
        limits = [limit for limit in statistics if limit is not None and limit.has_min_max]
        lo, hi = (
            min((limit.min for limit in limits), default=MISSING),
            max((limit.max for limit in limits), default=MISSING),
        )
        yield Piece(file, number, 0, rows, group.num_rows, lo, hi)
        rows += group.num_rows
