"""The sample files of a run, read piece by piece: what is in memory at a time does not grow with the record.

A samples file is CSV while it grows (`lpmkit.runs.folder.RunWriter` appends) and may be *packed* into Parquet once nobody writes it any more
(`pack`): the same rows in the same order, a sixth of the size. Readers here take either. `pieces` lists what there is with the times that
each piece covers, `columns` reads some of them.
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
from lpmkit.runs.files import open_plain, refuse_links
from lpmkit.runs.rows import COLUMNS

#: The columns that hold whole numbers (the number of the tick, and times in nanoseconds), and the ones that hold texts.
NUMBERS, TEXTS = COLUMNS[:7], COLUMNS[7:]
#: For a time that is not known: the smallest 64-bit integer, which no clock shows.
MISSING = int(np.iinfo(np.int64).min)
#: A piece of CSV is read in so many bytes, a packed file has so many rows in a group.
PIECE_BYTES = 2 * 1024 * 1024
GROUP_ROWS = 25_000
_ROW_BYTES = 90
#: The times on this machine's clock, by which a piece is found.
_OURS = ("due_ns", "sent_ns", "answered_ns")
_FILE = re.compile(r"(?P<probe>.+)\.(?P<segment>\d+)\.(?P<ending>csv|parquet)")

Row = TypeVar("Row")
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file of samples: whose, and of which recorder's life."""

    probe: str
    segment: int
    path: Path

    @property
    def is_packed(self) -> bool:
        return self.path.suffix == ".parquet"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a file: bytes of CSV (``start``, ``size``) or a row group (``start``). All its times lie within ``lo_ns`` … ``hi_ns``.

    ``first_row`` is how many rows of the file stand before it: a piece of a CSV that was packed since is found again by it.
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
    """Rows as columns, in the order in which they were written; `MISSING` where a time is not known."""

    seq: Int64Array
    due_ns: Int64Array
    sent_ns: Int64Array
    answered_ns: Int64Array
    remote_due_ns: Int64Array
    remote_mono_ns: Int64Array
    remote_wall_ns: Int64Array
    answered: BoolArray  #: whether the outcome is "answered"

    def __len__(self) -> int:
        return len(self.seq)


def files(folder: Path) -> list[SampleFile]:
    """The sample files in ``samples/`` of a run folder, sorted. Where a packed file stands beside its CSV, the CSV counts: packing was cut short."""
    found: dict[tuple[str, int], SampleFile] = {}
    if not folder.is_dir():
        return []
    refuse_links(folder)
    # in this order: a file that is packed between the two listings is in both, never in neither
    growing = sorted(folder.glob("*.csv"))
    for path in sorted(folder.glob("*.parquet")) + growing:
        match = _FILE.fullmatch(path.name)
        if match:
            found[match["probe"], int(match["segment"])] = SampleFile(match["probe"], int(match["segment"]), path)
    return [found[key] for key in sorted(found)]


def pieces(file: SampleFile, unreadable: dict[str, int]) -> list[Piece]:
    """Every piece of a file. A last line that is torn (a kill, or a writer at work) is left out and counted in ``unreadable``."""
    if file.is_packed:
        return list(_groups(file))
    try:
        return list(_parts(file, unreadable))
    except FileNotFoundError:
        return list(_groups(_packed_since(file)))


def columns(wanted: Sequence[Piece]) -> Columns:
    """The rows of some pieces, one piece after the other."""
    import pyarrow as pa  # noqa: PLC0415 - a quarter of a second that only readers of samples pay

    tables = [_table(piece, (*NUMBERS, "outcome")) for piece in wanted]
    table = pa.concat_tables(tables) if tables else _schema().empty_table().select([*NUMBERS, "outcome"])
    numbers: dict[str, Any] = {name: _numbers(table[name]) for name in NUMBERS}
    return Columns(**numbers, answered=_is_answered(table["outcome"]))


def texts(wanted: Sequence[Piece]) -> dict[str, npt.NDArray[np.object_]]:
    """Outcome and detail of some pieces, as text."""
    tables = [_table(piece, TEXTS) for piece in wanted]
    return {
        name: np.concatenate(
            [np.zeros(0, dtype=object), *[np.asarray(one[name].to_pylist(), dtype=object) for one in tables]]
        )
        for name in TEXTS
    }


def last_rows(file: SampleFile, last_bytes: int, at_most: int) -> list[list[str]]:
    """The newest rows of a file as texts, about as many as ``last_bytes`` of CSV hold; of more than ``at_most`` an even selection, with the newest."""
    if file.is_packed:
        wanted = last_bytes // _ROW_BYTES
        rows: list[dict[str, Any]] = []
        for group in reversed(list(_groups(file))):
            rows = _table(group, COLUMNS).to_pylist() + rows
            if len(rows) >= wanted:
                break
        rows = rows[-wanted:]
        return [["" if row[name] is None else str(row[name]) for name in COLUMNS] for row in _some(rows, at_most)]
    try:
        with open_plain(file.path, "rb") as raw:
            size = raw.seek(0, os.SEEK_END)
            raw.seek(max(0, size - last_bytes))
            lines = raw.read().split(b"\n")
    except FileNotFoundError:
        return last_rows(_packed_since(file), last_bytes, at_most)
    # The first line may be the heading or cut, the last one is empty or not whole yet.
    return list(csv.reader(line.decode() for line in _some(lines[1:-1], at_most)))


#: What a tail reads at once, at most: half a minute of a thousand samples a second.
TAIL_BYTES = 3 * 1024 * 1024


class Tail:
    """The newest rows of one file, read on as it grows: for a live view, whose cost must not grow."""

    def __init__(self, file: SampleFile) -> None:
        self.file = file
        self._read_to: int | None = None

    def answers(self) -> Int64Array:
        """When the answers came (``answered_ns``) that were written since the last call; at first, those of the last `TAIL_BYTES`."""
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
        whole = content.rfind(b"\n") + 1  # the last line may not be whole yet
        lines = content[:whole].split(b"\n")[:-1]
        # The first line may be cut, and the very first one is the heading.
        lines = lines[1:] if jumps or self._read_to is None else lines
        self._read_to = begin + whole
        cells = (line.split(b",", 4) for line in lines)
        return np.asarray([int(cell[3]) for cell in cells if len(cell) == 5 and cell[3]], dtype=np.int64)

    def _packed(self, file: SampleFile) -> Int64Array:
        """Of a file that nobody writes any more: everything at the first call, nothing more later."""
        if self._read_to is not None:
            return np.zeros(0, dtype=np.int64)
        self._read_to = 0
        place = COLUMNS.index("answered_ns")
        rows = last_rows(file, TAIL_BYTES, TAIL_BYTES // _ROW_BYTES)
        return np.asarray([int(row[place]) for row in rows if row[place]], dtype=np.int64)


def _some(rows: list[Row], at_most: int) -> list[Row]:
    """Every row, or an even selection that ends with the last one."""
    step = max(1, -(-len(rows) // at_most))
    return rows[::-1][::step][::-1]


def pack(file: SampleFile, unreadable: dict[str, int]) -> Path:
    """Pack a CSV that nobody writes any more into Parquet beside it, and remove the CSV once the packed file is on disk and as long.

    A torn last line is no row and would be lost: such a file stays as it is, and so does one that holds something else than samples. Raises
    `RecordError` when the disk is full or the file cannot be read; the CSV is still there then.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    target = file.path.with_suffix(".parquet")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    torn: dict[str, int] = {}
    found = pieces(file, torn)
    if any(torn.values()):
        unreadable.update(torn)
        return file.path
    try:
        with open_plain(draft, "wb") as out:
            options: dict[str, Any] = {
                "compression": "zstd",
                "use_dictionary": list(TEXTS),
                "column_encoding": dict.fromkeys(NUMBERS, "DELTA_BINARY_PACKED"),
            }
            with pq.ParquetWriter(out, _schema(), **options) as writer:
                for piece in found:
                    writer.write_table(_table(piece, COLUMNS), row_group_size=GROUP_ROWS)
            out.flush()
            os.fsync(out.fileno())
        if pq.read_metadata(draft).num_rows != sum(piece.rows for piece in found):
            raise RecordError("the packed file has other rows than the CSV", where=str(file.path))
        draft.replace(target)
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
    known = column.fill_null(MISSING) if column.null_count else column
    return np.asarray(known.to_numpy(), dtype=np.int64)


def _is_answered(column: Any) -> BoolArray:
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    return np.asarray(pc.equal(column, "answered").to_numpy(), dtype=np.bool_)


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
    """The packed file that took the place of a CSV, because a recorder may end while somebody reads."""
    return replace(file, path=file.path.with_suffix(".parquet"))


def _rows_again(piece: Piece, names: Sequence[str]) -> Any:
    """The rows of a piece of CSV out of the packed file that took its place: the same rows in the same order."""
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
        next_step="The other files of the run are untouched; move this one aside to read them.",
    )


def _parts(file: SampleFile, unreadable: dict[str, int]) -> Iterator[Piece]:
    """A CSV in pieces of whole lines."""
    torn = rows = 0
    with open_plain(file.path, "rb") as raw:
        start = len(raw.readline())  # the heading
        while content := raw.read(PIECE_BYTES):
            whole = content.rfind(b"\n") + 1
            if not whole:
                torn = 1
                break
            part = _measured(file, start, rows, content[:whole])
            yield part
            start, rows = start + whole, rows + part.rows
            raw.seek(start)
    unreadable[f"samples/{file.path.name}"] = torn


def _measured(file: SampleFile, start: int, first_row: int, content: bytes) -> Piece:
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    table = _parsed(file, content, _OURS)
    found = [pc.min_max(table[name]).as_py() for name in _OURS]
    lows = [one["min"] for one in found if one["min"] is not None]
    highs = [one["max"] for one in found if one["max"] is not None]
    lo, hi = min(lows, default=MISSING), max(highs, default=MISSING)
    return Piece(file, start, len(content), first_row, table.num_rows, lo, hi)


def _groups(file: SampleFile) -> Iterator[Piece]:
    """A packed file by its row groups, whose own statistics tell the times."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    try:
        described = pq.read_metadata(file.path)
    except (OSError, ValueError) as error:
        raise _cannot_read(file, error) from error
    places = {described.schema.column(i).name: i for i in range(described.num_columns)}
    rows = 0
    for number in range(described.num_row_groups):
        group = described.row_group(number)
        told = [group.column(places[name]).statistics for name in _OURS]
        known = [one for one in told if one is not None and one.has_min_max]
        lo, hi = min((one.min for one in known), default=MISSING), max((one.max for one in known), default=MISSING)
        yield Piece(file, number, 0, rows, group.num_rows, lo, hi)
        rows += group.num_rows
