"""Sample files of a run, read in pieces: memory does not grow with the record.

A samples file is CSV while it grows (`lpmkit.runs.writer.RunWriter` appends) and may be *packed* into Parquet once
it is complete (`pack`): same rows, same order, a sixth of the size. Readers here accept both; packed files need the
extra ``parquet``. `pieces` lists the pieces of a file with their times, `columns` reads some of them.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lpmkit.errors import RecordError
from lpmkit.runs.appender import sync_folder
from lpmkit.runs.cells import (
    ANSWERED,
    MISSING,
    NUMBERS,
    TEXTS,
    BoolArray,
    Cells,
    Int64Array,
    TextArray,
    joined,
    read_cells,
)
from lpmkit.runs.files import open_plain, refuse_links
from lpmkit.runs.rows import COLUMNS

#: Bytes in a piece of CSV.
PIECE_BYTES = 2 * 1024 * 1024
_ROW_BYTES = 90
#: Limit of what stays in memory of the columns that were read last.
AT_HAND_BYTES = 24 * 1024 * 1024
#: Times on this host's clock, which give the limits of a piece.
_OURS = ("due_ns", "sent_ns", "answered_ns")
_FILE = re.compile(r"(?P<probe>.+)\.(?P<segment>\d+)\.(?P<ending>csv|parquet)")

Row = TypeVar("Row")


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


def pieces(file: SampleFile, unreadable: dict[str, int], known: Sequence[Piece] = ()) -> list[Piece]:
    """Every piece of a file. A torn last line is left out and counted in ``unreadable``.

    ``known`` are the pieces of an earlier call: of a file that has grown only what is new is read.
    """
    if file.is_packed:
        return list(_groups(file))
    try:
        # the last one may have grown
        return [*known[:-1], *_parts(file, unreadable, known[-1] if known else None)]
    except FileNotFoundError:
        return list(_groups(_packed_since(file)))


def columns(wanted: Sequence[Piece]) -> Columns:
    """The rows of some pieces, in the order of the pieces."""
    names = (*NUMBERS, ANSWERED)
    cells: Any = joined([_cells(piece, names) for piece in wanted], names)
    return Columns(**cells)


def texts(wanted: Sequence[Piece]) -> dict[str, TextArray]:
    """Outcome and detail of some pieces, as texts."""
    return dict(joined([_cells(piece, TEXTS) for piece in wanted], TEXTS))


def last_rows(file: SampleFile, last_bytes: int, at_most: int) -> list[list[str]]:
    """The newest rows of a file as texts, about as many as ``last_bytes`` of CSV.

    Of more than ``at_most`` rows an even selection that includes the newest.
    """
    if file.is_packed:
        row_count = last_bytes // _ROW_BYTES
        cells = joined([_cells(group, COLUMNS) for group in _newest(file, row_count)], COLUMNS)
        rows = list(zip(*(cells[name][-row_count:].tolist() for name in COLUMNS), strict=True))
        return [["" if cell in (None, MISSING) else str(cell) for cell in row] for row in _some(rows, at_most)]
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
        # The first line may be cut, and the very first one is the heading, which may have come late.
        lines = lines[1:] if jumps or begin == 0 else lines
        self._read_to = begin + complete
        cells = (line.split(b",", 4) for line in lines)
        return np.asarray([int(cell[3]) for cell in cells if len(cell) == 5 and cell[3]], dtype=np.int64)

    def _packed(self, file: SampleFile) -> Int64Array:
        """The values of a completed file: all at the first call, none later."""
        if self._read_to is not None:
            return np.zeros(0, dtype=np.int64)
        self._read_to = 0
        row_count = TAIL_BYTES // _ROW_BYTES
        parts = [_cells(group, ["answered_ns"]) for group in _newest(file, row_count)]
        values = joined(parts, ["answered_ns"])["answered_ns"][-row_count:]
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
    from lpmkit.runs import packed  # noqa: PLC0415 - pyarrow, of an extra

    target = file.path.with_suffix(".parquet")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    torn: dict[str, int] = {}
    parts = pieces(file, torn)
    if any(torn.values()):
        unreadable.update(torn)
        return file.path
    try:
        with open_plain(draft, "wb") as out:
            packed.write(out, map(_content, parts))
            out.flush()
            os.fsync(out.fileno())
        if packed.row_count(draft) != sum(piece.rows for piece in parts):
            raise RecordError("the packed file has other rows than the CSV", where=str(file.path))
        draft.replace(target)
        sync_folder(target.parent)  # before the CSV goes: a power cut must leave one of both
    except ValueError as error:
        raise _cannot_read(file, error) from error
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


def _cells(piece: Piece, names: Sequence[str]) -> Cells:
    """Columns of a piece. Raises `RecordError`."""
    if piece.file.is_packed:
        from lpmkit.runs import packed  # noqa: PLC0415 - as above

        try:
            return packed.read_group(piece.file.path, piece.start, names)
        except (OSError, ValueError) as error:
            raise _cannot_read(piece.file, error) from error
    try:
        return _parsed(piece.file, _content(piece), names)
    except FileNotFoundError:
        return _rows_again(piece, names)


def _content(piece: Piece) -> bytes:
    """The bytes of a piece of CSV. Raises `OSError`."""
    with open_plain(piece.file.path, "rb") as raw:
        raw.seek(piece.start)
        return raw.read(piece.size)


def _packed_since(file: SampleFile) -> SampleFile:
    """The packed file that replaced a CSV, because a recorder may end during reading."""
    return replace(file, path=file.path.with_suffix(".parquet"))


def _rows_again(piece: Piece, names: Sequence[str]) -> Cells:
    """The rows of a piece of CSV, from the packed file that replaced it."""
    last_row = piece.first_row + piece.rows
    groups = [
        group
        for group in _groups(_packed_since(piece.file))
        if group.first_row < last_row and group.first_row + group.rows > piece.first_row
    ]
    cells = joined([_cells(group, names) for group in groups], names)
    begin = piece.first_row - groups[0].first_row if groups else 0
    return {name: column[begin : begin + piece.rows] for name, column in cells.items()}


def _parsed(file: SampleFile, content: bytes, names: Sequence[str]) -> Cells:
    try:
        if set(names) & set(TEXTS):
            return read_cells(content, names)
        cells = _at_hand.numbers(content)
    except ValueError as error:
        raise _cannot_read(file, error) from error
    return {name: cells[name] for name in names}


class _AtHand:
    """The columns of numbers that were read last, by the hash of their text: the same rows are read for the limits of a
    piece, for the analysis, and for when the probe looked.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Cells] = {}
        self._held_bytes = 0
        self._guard = threading.Lock()

    def numbers(self, content: bytes) -> Cells:
        """All columns of numbers, not to be written to. Raises ValueError for what is no sample."""
        key = hashlib.sha256(content).digest()
        with self._guard:
            if key in self._known:
                return self._known[key]
        cells = read_cells(content, (*NUMBERS, ANSWERED))
        for column in cells.values():
            column.setflags(write=False)
        with self._guard:
            self._held_bytes += _bytes(cells) if key not in self._known else 0
            self._known[key] = cells
            while self._held_bytes > AT_HAND_BYTES:
                self._held_bytes -= _bytes(self._known.pop(next(iter(self._known))))
        return cells


def _bytes(cells: Cells) -> int:
    return sum(column.nbytes for column in cells.values())


_at_hand = _AtHand()


def _cannot_read(file: SampleFile, error: Exception) -> RecordError:
    return RecordError(
        f"samples/{file.path.name} cannot be read: {error}",
        where=str(file.path.parent.parent),
        next_step="The other files of the run are intact; move this one away to read them.",
    )


def _parts(file: SampleFile, unreadable: dict[str, int], begin: Piece | None) -> Iterator[Piece]:
    """A CSV in pieces of complete lines, from the begin of a piece on."""
    torn, rows = 0, begin.first_row if begin else 0
    with open_plain(file.path, "rb") as raw:
        start = len(raw.readline(PIECE_BYTES))  # the heading
        if begin:
            start = raw.seek(begin.start)
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
    cells = _parsed(file, content, _OURS)
    known = [times[times != MISSING] for times in (cells[name] for name in _OURS)]
    lows, highs = ([int(limit(times)) for times in known if len(times)] for limit in (np.min, np.max))
    lo, hi = min(lows, default=MISSING), max(highs, default=MISSING)
    return Piece(file, start, len(content), first_row, len(cells[_OURS[0]]), lo, hi)


def _groups(file: SampleFile) -> Iterator[Piece]:
    """The row groups of a packed file."""
    from lpmkit.runs import packed  # noqa: PLC0415 - as above

    try:
        groups = packed.groups(file.path)
    except (OSError, ValueError) as error:
        raise _cannot_read(file, error) from error
    rows = 0
    for number, group in enumerate(groups):
        yield Piece(file, number, 0, rows, group.rows, group.lo_ns, group.hi_ns)
        rows += group.rows
