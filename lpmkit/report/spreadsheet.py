"""The samples of a run as one CSV file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lpmkit.analysis import (
    Analysis,
    Interval,
)
from lpmkit.runs.cells import MISSING, NUMBERS, TEXTS
from lpmkit.runs.files import sheet_cell
from lpmkit.runs.folder import Run
from lpmkit.runs.rows import COLUMNS
from lpmkit.runs.samples import Piece, SampleFile, columns, pieces, texts

#: Rows that the common spreadsheets hold, with some room.
SPREADSHEET_ROWS = 1_000_000
#: Nanoseconds kept on either side of a suspension, where a record is longer than that.
AROUND_NS = 20_000_000_000


def samples_csv(run: Run, analysis: Analysis) -> Iterator[bytes]:
    """The samples of all probes as one table for a spreadsheet; ``utc`` is the time of day when the sample was
    answered, else sent.

    Of a record that no spreadsheet would hold (`SPREADSHEET_ROWS`) it has what lies around the suspensions; everything
    is in ``samples/``.
    """
    yield (",".join(["probe", "segment", "utc", *COLUMNS]) + "\n").encode()
    found = [(file, pieces(file, {})) for file in run.sample_files()]
    spans = None
    if sum(piece.rows for _, some in found for piece in some) > SPREADSHEET_ROWS:
        spans = [suspension.outer.widened(AROUND_NS) for host in analysis.hosts for suspension in host.suspensions[:5]]
    for file, some in found:
        for piece in some:
            if spans is None or any(span.overlaps(Interval(piece.lo_ns, piece.hi_ns)) for span in spans):
                yield _spreadsheet_rows(file, piece, analysis, spans)


def _spreadsheet_rows(file: SampleFile, piece: Piece, analysis: Analysis, spans: Sequence[Interval] | None) -> bytes:
    table, said = columns([piece]), texts([piece])
    moments = np.where(table.answered_ns == MISSING, table.sent_ns, table.answered_ns)
    moments = np.where(moments == MISSING, table.due_ns, moments)
    kept = np.ones(len(moments), dtype=np.bool_)
    if spans is not None:
        kept = np.logical_or.reduce([(moments >= span.lo_ns) & (moments <= span.hi_ns) for span in spans])
    text = io.StringIO()
    rows = zip(
        _days(moments[kept], analysis),
        *[_blank(getattr(table, name)[kept].tolist()) for name in NUMBERS],
        *[map(sheet_cell, said[name][kept]) for name in TEXTS],
        strict=True,
    )
    csv.writer(text, lineterminator="\n").writerows([sheet_cell(file.probe), file.segment, *row] for row in rows)
    return text.getvalue().encode()


def _blank(values: list[int]) -> list[int | str]:
    return ["" if value == MISSING else value for value in values]


def _days(moments: Any, analysis: Analysis) -> list[str]:
    """ISO UTC with microseconds for many monotonic readings at once."""
    known = moments != MISSING
    wall = analysis.wall
    if not len(wall.mono_ns):
        return [""] * len(moments)
    base = int(wall.offset_ns[0])
    more = np.interp(
        np.where(known, moments, wall.mono_ns[0]) - wall.mono_ns[0],
        wall.mono_ns - wall.mono_ns[0],
        wall.offset_ns - base,
    )
    days = (np.where(known, moments, 0) + base + more.astype(np.int64)).astype("datetime64[ns]")
    texts = np.datetime_as_string(days, unit="us")
    return [f"{text}Z" if there else "" for text, there in zip(texts, known, strict=True)]
