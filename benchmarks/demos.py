"""Demos in a row, each held against the simulator's truth: ``python -m benchmarks.demos [COUNT]``.

For each: did it end in a verdict, does the reported interval contain the real stop and resume, how wide is it. Exits with 1 when one does not hold.
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
    """One demo: what it reported, and what really happened."""
    command = [sys.executable, "-m", "lpmkit.cli", "demo", "--json", "--directory", str(folder), "--speed", "20"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    found = json.loads(said.stdout)
    lines = (folder / "simulator" / "truth.jsonl").read_text().splitlines()
    return found, {row["event"]: row for row in map(json.loads, lines)}


def judge(found: dict[str, Any], really: dict[str, Any]) -> tuple[bool, float, float]:
    """Whether the truth lies inside, the width of the reported length and the true length, in seconds."""
    suspension = found["suspension"]
    inside = all(
        suspension[edge]["earliest"]["mono_ns"] <= really[event]["mono_ns_after"]
        and suspension[edge]["latest"]["mono_ns"] >= really[event]["mono_ns_before"]
        for edge, event in (("begin", "suspended"), ("end", "resumed"))
    )
    width = suspension["length"]["high"] - suspension["length"]["low"]
    return inside, width, (really["resumed"]["mono_ns_before"] - really["suspended"]["mono_ns_before"]) / 1e9


def main() -> None:
    """Run them and print a line each."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    widths, bad = [], 0
    for number in range(1, count + 1):
        with tempfile.TemporaryDirectory() as folder:
            found, really = demo(Path(folder))
        inside, width, length = judge(found, really)
        good = inside and width <= WIDEST_S and found["verdict"]["state"] == "passed"
        bad += not good
        widths.append(width)
        reported = f"{found['suspension']['length']['low']:.3f} … {found['suspension']['length']['high']:.3f} s"
        print(
            f"{number:3}  {reported}  true {length:.3f} s  width {1000 * width:5.1f} ms  {'ok' if good else 'NOT OK'}",
            flush=True,
        )
    print(
        f"{count - bad} of {count} hold; width median {1000 * statistics.median(widths):.1f} ms, worst {1000 * max(widths):.1f} ms"
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
