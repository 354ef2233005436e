"""Processes that run later than their kernel: ``python -m benchmarks.late_processes``.

A frozen OpenSSH server that answers no echo requests, whose network and so its kernel comes back before its processes;
and one whose processes alone are stopped, while its kernel acknowledges.

Each is judged with the witnesses of the kernel (``ssh-acks``, ``tcp-syn``) and as if they had not run. ``--again``
judges the record in ``--out``. Needs root, the freezer of cgroup v1 and ``/dev/net/tun``, as `benchmarks.accuracy`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy.rig import Rig
from benchmarks.observing import Watched
from lpmkit.analysis import HostAnalysis, Suspension, analyse
from lpmkit.config import PaceSettings, PartitionSettings
from lpmkit.probes.orders import WATCH, plan
from lpmkit.runs.folder import Run

MS, S = 1_000_000, 1_000_000_000
LEAD_IN_S, BETWEEN_S = 20.0, (4.0, 6.0)
LENGTHS_MS, LATE_MS = (150, 300, 600, 1000, 1500, 2500), (20, 60, 120, 300, 800)
KINDS = ("moved", "moved", "processes stopped", "network cut")
OF_THE_KERNEL = ("ssh-acks", "tcp-syn")


def play(out: Path, events: int, seed: int) -> None:
    """Make a record with its ``truth.json``."""
    chance, done = random.Random(seed), []
    with Rig(out / "partition") as rig:
        settings = PartitionSettings(host=rig.name, watch=PaceSettings())
        probes = [one for one in plan(rig.name, settings, rig.ssh_config, paces=(WATCH,)) if one.kind != "icmp"]
        watched = Watched(out, "late", [rig.name], probes, LEAD_IN_S)
        try:
            watched.wait_for_sessions(2, LEAD_IN_S)
            time.sleep(LEAD_IN_S)
            for number in range(events):
                kind, length_ms, late_ms = KINDS[number % 4], chance.choice(LENGTHS_MS), chance.choice(LATE_MS)
                began = rig.freeze() if kind == "processes stopped" else rig.link("drop")
                if kind == "moved":
                    began = began.hull(rig.freeze())
                time.sleep(length_ms / 1000)
                ended = rig.thaw() if kind == "processes stopped" else rig.link("open")
                if kind == "moved":
                    time.sleep(late_ms / 1000)
                    rig.thaw()
                done.append([kind, length_ms, late_ms, began.as_list(), ended.as_list()])
                time.sleep(chance.uniform(*BETWEEN_S))
        finally:
            watched.end()
    (out / "truth.json").write_text(json.dumps({"run": watched.run.name, "done": done}))


def judged(out: Path, leave_out: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each event of the record, without some probes."""
    truth = json.loads((out / "truth.json").read_text())
    with tempfile.TemporaryDirectory() as copy:
        without = shutil.ignore_patterns(*(f"{probe}.*" for probe in leave_out))
        run = Run(shutil.copytree(out / truth["run"], Path(copy) / "run", ignore=without))
        (host,) = analyse(run).hosts
    return [_row(host, *event) for event in truth["done"]]


def _row(
    host: HostAnalysis, kind: str, length_ms: int, late_ms: int, began: Sequence[int], ended: Sequence[int]
) -> dict[str, Any]:
    def common(one: Suspension) -> int:
        return min(one.outer.hi_ns, ended[1]) - max(one.outer.lo_ns, began[0])

    still = max((one for one in host.suspensions if common(one) > 0), key=common, default=None)
    row: dict[str, Any] = {"kind": kind, "length_ms": length_ms, "late_ms": late_ms, "class": "no suspension"}
    if still is None:
        return row
    row["class"] = "disputed" if still.contradicted else "suspension"
    row["holds"] = still.begin.lo_ns <= began[1] and still.end.hi_ns >= ended[0]
    row["off_ms"] = (still.best_ns - (sum(ended) - sum(began)) / 2) / MS
    row["ended_by"] = still.ended_by
    return row


def table(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Lines of a table for one way of judging."""
    lines = []
    for kind in dict.fromkeys(KINDS):
        some = [row for row in rows if row["kind"] == kind and row["length_ms"] >= 300]
        called = [row for row in some if row["class"] == "suspension"]
        disputed = sum(row["class"] == "disputed" for row in some)
        off = sorted(row["off_ms"] for row in called)
        error = f"{statistics.median(off):+.0f} ({off[0]:+.0f} to {off[-1]:+.0f})" if off else "–"
        holds = f"{sum(row['holds'] for row in called)}/{len(called)}"
        lines.append(f"| {kind}, {name} | {len(some)} | {len(called)} | {disputed} | {holds} | {error} |")
    return lines


def main() -> int:
    """Play, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.late_processes", description=__doc__)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the record here")
    parser.add_argument("--again", action="store_true", help="only judge the record that is in --out")
    wanted = parser.parse_args()
    out = wanted.out or Path(tempfile.mkdtemp(prefix="lpmkit-late-"))
    out.mkdir(parents=True, exist_ok=True)
    if not wanted.again:
        play(out, wanted.events, wanted.seed)
    head = ("from 0.3 s, no echo requests", "events", "called a suspension", "disputed", "outer bound holds")
    print("| " + " | ".join((*head, "error of the most likely length, ms: median (range)")) + " |")
    print("|" + "---|" * 6)
    with_them = judged(out, ())
    print(
        "\n".join(
            [*table(with_them, "with"), *table(judged(out, OF_THE_KERNEL), "without the kernel's acknowledgements")]
        )
    )
    return 0 if all(row["holds"] for row in with_them if row["class"] == "suspension") else 1


if __name__ == "__main__":
    sys.exit(main())
