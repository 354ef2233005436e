"""Time of reading a site's history: ``python -m benchmarks.history [--runs 1000] [--from RUN]``.

Creates run folders from the ``summary.json`` of a real run (`lpmkit demo` leaves one), reads them for the first
time, then again with one new run, and writes the page; each in a process of its own, like the command. The files
were just written, so the disk's share of the first reading is small.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
DOCUMENTS = ("run", "summary", "prediction")


def made(folder: Path, count: int, pattern: Path) -> None:
    """Create ``count`` runs with the pattern's documents; names, times and figures differ."""
    rng = random.Random(7)
    documents = {
        name: json.loads((pattern / f"{name}.json").read_text())
        for name in DOCUMENTS
        if (pattern / f"{name}.json").exists()
    }
    for number in range(count):
        make_run(folder / f"run-{number:06d}", number, documents, rng)


def make_run(path: Path, number: int, documents: dict[str, dict[str, object]], rng: random.Random) -> None:
    """Create one run."""
    path.mkdir()
    day, minute = divmod(number * 37, 1440)
    manifest = json.loads(json.dumps(documents["run"]))
    date = f"{2020 + day // 330}-{day % 330 // 28 + 1:02d}-{day % 28 + 1:02d}"
    manifest["created"] = f"{date}T{minute // 60:02d}:{minute % 60:02d}:00+00:00"
    manifest["order"]["partition"] = f"aix{rng.randrange(200):03d}"
    summary = json.loads(json.dumps(documents["summary"]))
    factor = rng.lognormvariate(0, 0.3)
    for name in ("low", "high"):
        summary["suspension"]["length"][name] *= factor
    summary["suspension"]["likely"]["best"] *= factor
    for name, value in {**documents, "run": manifest, "summary": summary}.items():
        (path / f"{name}.json").write_text(json.dumps(value, indent=2))


def seconds(folder: Path, *more: str) -> float:
    """Seconds of one command."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "lpmkit.cli", "history", "--runs", str(folder), *more],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200"},
    )
    return time.monotonic() - began


def main() -> None:
    """Measure, write the results, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument(
        "--from", dest="pattern", type=Path, required=True, help="a run folder that has its summary.json"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lpmkit-history-"))
    try:
        made(folder, options.runs, options.pattern)
        size = (options.pattern / "summary.json").stat().st_size
        nothing = statistics.median(seconds(Path(tempfile.mkdtemp(dir=folder))) for _ in range(5))
        first = seconds(folder)
        again = statistics.median(seconds(folder) for _ in range(5))
        page = statistics.median(seconds(folder, "--html", str(folder / "page.html")) for _ in range(5))
        figures = {
            "runs": options.runs,
            "summary_bytes": size,
            "an empty folder, s": round(nothing, 2),
            "first reading, s": round(first, 2),
            "after that, s": round(again, 2),
            "with the page, s": round(page, 2),
            "page_bytes": (folder / "page.html").stat().st_size,
        }
    finally:
        shutil.rmtree(folder)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "history.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
