"""Demos in a row, each compared with the simulator's truth: ``python -m benchmarks.demos [COUNT]``.

Each must end in a verdict, and its reported interval must contain the actual stop and resume. Exits with 1 otherwise.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WIDEST_S = 0.060


def demo(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """One demo: its summary, and the actual events."""
    command = [sys.executable, "-m", "lpmkit.cli", "demo", "--json", "--directory", str(folder), "--speed", "20"]
    reply = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    summary = json.loads(reply.stdout)
    lines = (folder / "simulator" / "truth.jsonl").read_text().splitlines()
    return summary, {row["event"]: row for row in map(json.loads, lines)}


def judge(summary: dict[str, Any], truth: dict[str, Any]) -> tuple[bool, float, float]:
    """True if the truth lies inside; width of the reported length, and true length, in seconds."""
    suspension = summary["suspension"]
    inside = all(
        suspension[edge]["earliest"]["mono_ns"] <= truth[event]["mono_ns_after"]
        and suspension[edge]["latest"]["mono_ns"] >= truth[event]["mono_ns_before"]
        for edge, event in (("begin", "suspended"), ("end", "resumed"))
    )
    width = suspension["length"]["high"] - suspension["length"]["low"]
    return inside, width, (truth["resumed"]["mono_ns_before"] - truth["suspended"]["mono_ns_before"]) / 1e9


def main() -> None:
    """Run them and print a line each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    widths, bad = [], 0
    for number in range(1, count + 1):
        with tempfile.TemporaryDirectory() as folder:
            summary, truth = demo(Path(folder))
        inside, width, length = judge(summary, truth)
        good = inside and width <= WIDEST_S and summary["verdict"]["state"] == "passed"
        bad += not good
        widths.append(width)
        reported = f"{summary['suspension']['length']['low']:.3f} … {summary['suspension']['length']['high']:.3f} s"
        print(
            f"{number:3}  {reported}  true {length:.3f} s  width {1000 * width:5.1f} ms  {'ok' if good else 'NOT OK'}",
            flush=True,
        )
    median_ms, worst_ms = 1000 * statistics.median(widths), 1000 * max(widths)
    print(f"{count - bad} of {count} hold; width median {median_ms:.1f} ms, worst {worst_ms:.1f} ms")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
