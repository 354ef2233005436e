"""Time and memory of analysing a long record of ten probes at 1 kHz, and its size:
``python -m benchmarks.long_record [--minutes 60]``; eight hours of one host:
``--minutes 480 --probes ssh-ticks@bxaix85,icmp@bxaix85,observer --no-tenth``.

The records are generated, with a known suspension; a tenth of the length is analysed too, to show growth. Each step
runs in a process of its own, whose peak memory is the kernel's ``VmHWM``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow

from lpmkit.analysis import analyse
from lpmkit.report.page import write_report
from lpmkit.runs.cells import MISSING, NUMBERS
from lpmkit.runs.folder import Run, create
from lpmkit.runs.rows import COLUMNS
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Clock

MS, S = 1_000_000, 1_000_000_000
START, WALL, OFFSET = 5_000 * S, 1_768_000_000 * S, -4_321 * S
LENGTH_NS = 1_537 * MS
PERIOD = MS
USUAL = (("ssh-ticks", "ticks"), ("ssh-echo", "echo"), ("icmp", "icmp"), ("tcp-connect", "connect"))
PROBES = [
    *[(f"{name}@{host}", kind) for host in ("bxaix85", "bxaix86") for name, kind in USUAL],
    ("icmp@bxaix87", "icmp"),
    ("observer", "observer"),
]
CHUNK = 600_000


def made(folder: Path, minutes: float, probes: Sequence[str] = ()) -> Run:
    """A run folder of ten probes at 1 kHz. The first host is suspended for 1.537 s at seven tenths of it."""
    chosen = [(name, kind) for name, kind in PROBES if not probes or name in probes]
    span = round(minutes * 60 * S)
    stop_ns = START + span * 7 // 10
    run = create(folder, mode="watch", title=f"{minutes:g}-minutes", facts={"hosts": ["bxaix85"], "lead_in_s": 60})
    with RunWriter(run.path) as writer:
        writer.event("recorder", "recorder-started", pid=1, mode="watch", resumed=False)
        for name, kind in chosen:
            host = name.partition("@")[2]
            writer.event(f"probe:{name}", "probe-started", probe=name, kind=kind, host=host, interval_ns=PERIOD)
    for number, (name, kind) in enumerate(chosen):
        stops = (stop_ns, stop_ns + LENGTH_NS) if name.endswith("bxaix85") else (0, 0)
        _write(run.path / "samples" / f"{name}.1.csv", kind, span, stops, np.random.default_rng(number))
    return run


def _write(path: Path, kind: str, span: int, stops: tuple[int, int], chance: np.random.Generator) -> None:
    schema = pa.schema([(name, pa.int64()) for name in NUMBERS] + [("outcome", pa.string()), ("detail", pa.string())])
    with path.open("wb") as out:
        out.write((",".join(COLUMNS) + "\n").encode())
        options = arrow.WriteOptions(include_header=False, quoting_style="none")
        with arrow.CSVWriter(out, schema, write_options=options) as writer:
            for first in range(0, span // PERIOD, CHUNK):
                seq = np.arange(first + 1, min(first + CHUNK, span // PERIOD) + 1, dtype=np.int64)
                writer.write_table(_rows(kind, seq, stops, chance, schema))


def _rows(kind: str, seq: Any, stops: tuple[int, int], rng: np.random.Generator, schema: Any) -> Any:
    due = START + seq * PERIOD
    late = (40_000 * rng.lognormal(0, 0.8, len(seq))).astype(np.int64)
    path = (100_000 + rng.exponential(50_000, len(seq))).astype(np.int64)
    lo, hi = stops
    frozen = (due + late >= lo) & (due + late < hi)
    missing = np.full(len(seq), MISSING)
    columns = dict.fromkeys(NUMBERS, missing) | {"seq": seq}
    answered = np.ones(len(seq), dtype=bool)
    if kind == "ticks":
        seq, due, late, path = seq[~frozen], due[~frozen], late[~frozen], path[~frozen]
        ran = due + late
        arrived = (ran // (100 * MS) + 1) * 100 * MS + path  # sent ten times a second
        arrived = np.where(ran < lo, np.where(arrived >= lo, hi + path, arrived), arrived) if hi else arrived
        guest = ran + OFFSET
        columns = {
            "seq": seq,
            "due_ns": None,
            "sent_ns": None,
            "answered_ns": np.sort(arrived),
            "remote_due_ns": due + OFFSET,
        }
        columns |= {"remote_mono_ns": guest, "remote_wall_ns": ran + WALL}
        answered = np.ones(len(seq), dtype=bool)
    else:
        sent = due + 20_000
        ran = np.where(frozen, hi, sent + path // 2)
        columns |= {"due_ns": due, "sent_ns": sent, "answered_ns": ran + path}
        if kind == "echo":
            columns |= {"remote_mono_ns": ran + path // 2 + OFFSET, "remote_wall_ns": ran + path // 2 + WALL}
        if kind == "observer":
            columns |= {"sent_ns": due, "answered_ns": due + late}
        if kind == "icmp":
            answered = ~frozen
    arrays = [_column(columns[name], len(seq), answered if name == "answered_ns" else None) for name in NUMBERS]
    outcome = pa.array(np.where(answered, "answered", "silent"))
    return pa.Table.from_arrays([*arrays, outcome, pa.array(np.full(len(seq), ""))], schema=schema)


def _column(values: Any, rows: int, present: Any) -> Any:
    if values is None:
        return pa.nulls(rows, pa.int64())
    mask = values == MISSING
    return pa.array(values, mask=mask if present is None else mask | ~present)


def _apart(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run ``work`` in a process of its own; its result with seconds and peak memory."""
    parent_end, child_end = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_measured, args=(child_end, work, arguments))
    child.start()
    result: dict[str, Any] = parent_end.recv()
    child.join()
    return result


def _measured(pipe: Any, work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    idle = _peak_mib()
    began = time.monotonic()
    result = work(*arguments)
    seconds = time.monotonic() - began
    peak = _peak_mib()
    pipe.send({**result, "seconds": round(seconds, 1), "peak_mib": round(peak), "of_it_before_mib": round(idle)})


def _peak_mib() -> float:
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def analysed(path: Path) -> dict[str, Any]:
    """Analyse a run and compare it with the truth."""
    analysis = analyse(Run(path))
    suspension = analysis.suspension
    lo, hi = (suspension.length.lo_ns, suspension.length.hi_ns) if suspension else (0, 0)
    count = sum(len(host.suspensions) for host in analysis.hosts)
    return {"suspended_ms": [lo / MS, hi / MS], "suspensions": count, "holds_truth": lo <= LENGTH_NS <= hi}


def packed(path: Path) -> dict[str, Any]:
    """Pack a run; bytes per row before and after."""
    samples = path / "samples"
    rows = sum(piece.rows for piece in _every_piece(path))
    before = sum(file.stat().st_size for file in samples.iterdir())
    with RunWriter(path, Clock()) as writer:
        writer.pack()
    after = sum(file.stat().st_size for file in samples.iterdir())
    return {"rows": rows, "csv_bytes_per_row": round(before / rows, 1), "packed_bytes_per_row": round(after / rows, 1)}


def _every_piece(path: Path) -> list[Any]:
    from lpmkit.runs.samples import pieces  # noqa: PLC0415 - measured, not needed by the parent

    return [piece for file in Run(path).sample_files() for piece in pieces(file, {})]


def reported(path: Path) -> dict[str, Any]:
    """Write the report of a run; its size."""
    write_report(path)
    return {"report_bytes": (path / "report.html").stat().st_size}


def main() -> None:
    """Measure, print the figures, and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_record", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--probes", default="", help="names with commas; all ten without it")
    parser.add_argument("--no-tenth", action="store_true", help="only the whole length")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lpmkit-long-") as folder:
        for minutes in (options.minutes,) if options.no_tenth else (options.minutes / 10, options.minutes):
            run = made(Path(folder), minutes, tuple(filter(None, options.probes.split(","))))
            steps = {
                "analyse CSV": _apart(analysed, run.path),
                "pack": _apart(packed, run.path),
                "analyse packed": _apart(analysed, run.path),
                "report": _apart(reported, run.path),
            }
            figures[f"{minutes:g} minutes"] = steps
            for name, result in steps.items():
                print(f"{minutes:g} minutes, {name}: {result}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
