"""Cost of one observer for 1 to 500 partitions: ``python -m benchmarks.observer_load [--counts 1,10,50,200,500]``.

All partitions are names of one real OpenSSH server in a network namespace; each has its own two sessions, perl
programs, echo requests and connections. Ticks, lines and echo requests run at 10 Hz, a connection every 5 s. For
each count: processor time and memory of the watching process and of the observer's ticker, threads, lateness of
requests and of the ticker (median, 99 %, worst), and the share of due samples that were recorded. The partitions
run on the observer's cores, but behind all its processes: on a site they are other machines. ``--in-front`` lets them
run before the observer instead, which is the worst case. Writes ``benchmarks/results/observer_load.json`` and ``.md``.
Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.rig import Rig
from benchmarks.observer_cost import whole_cpu_s
from benchmarks.observing import Watched, cpu_s, memory_mib
from benchmarks.soak import Still, targets_of
from lpmkit.config import PaceSettings, PartitionSettings
from lpmkit.probes.orders import WATCH, ProbeOrder, plan
from lpmkit.runs.cells import MISSING

RESULTS = Path(__file__).parent / "results"
TEN_HZ = PaceSettings(
    tick_hz=10, tick_batch_ms=500, echo_interval_ms=100, icmp_interval_ms=100, connect_interval_ms=5000
)


def put_behind(rig: Rig) -> None:
    """Let the partitions leave the observer its cores, as those of a site do; they have logged in by now."""
    for pid in map(int, (rig.cgroup / "cgroup.procs").read_text().split()):
        with suppress(ProcessLookupError):
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, pid, 5)


def probes_of(names: Sequence[str], ssh_config: Path) -> list[ProbeOrder]:
    """The usual probes of every partition."""
    probes: list[ProbeOrder] = []
    for name in names:
        settings = PartitionSettings(host=name, watch=TEN_HZ)
        probes += plan(name, settings, ssh_config, suffix=f"@{name}", paces=(WATCH,))
    return probes


def _figures(values_ns: Sequence[int]) -> list[float]:
    return [round(float(value) / 1e6, 2) for value in np.quantile(values_ns, [0.5, 0.99, 1.0])]


def measured(folder: Path, rig: Rig, count: int, seconds: float, in_front: bool) -> dict[str, Any]:
    """One count of partitions."""
    names, ssh_config = targets_of(rig, count)
    watched = Watched(folder, f"load-{count}", names, probes_of(names, ssh_config), 5.0)
    began = time.monotonic()
    try:
        sessions = watched.wait_for_sessions(2 * count, 40.0 + 0.6 * count)
        login_s = time.monotonic() - began
        if not in_front:
            put_behind(rig)
        time.sleep(3.0)
        pids = watched.pids
        used, partition_cpu_s, since = (
            {name: cpu_s(pid) for name, pid in pids.items()},
            whole_cpu_s(rig),
            time.monotonic_ns(),
        )
        time.sleep(seconds)
        until = time.monotonic_ns()
        share = {name: 100e9 * (cpu_s(pid) - used[name]) / (until - since) for name, pid in pids.items()}
        partition_share = 100e9 * (whole_cpu_s(rig) - partition_cpu_s) / (until - since)
        watching = [name for name in pids if name.startswith("watching")]
        threads = sum(len(list(Path(f"/proc/{pids[name]}/task").iterdir())) for name in watching)
        memory = {name: memory_mib(pid) for name, pid in pids.items()}
    finally:
        watched.end()
    return {
        "partitions": count,
        "sessions": sessions,
        "until all stood, s": round(login_s, 1),
        "processes that watch": len(watching),
        "threads": threads,
        "watching, % of a core": round(sum(share[name] for name in watching), 1),
        "own ticker, % of a core": round(share["own ticker"], 2),
        "partitions, % of a core": round(partition_share, 1),
        "RSS, MiB": round(sum(process["rss"] for process in memory.values()), 1),
        "PSS, MiB": round(sum(process["pss"] for process in memory.values()), 1),
        **_late(watched, names, since, until),
    }


def _late(watched: Watched, names: Sequence[str], since: int, until: int) -> dict[str, Any]:
    """Lateness of requests, and share of due samples that were recorded, from the record."""
    recorded = set(watched.run.probes())
    late: dict[str, list[int]] = {"ssh-echo": [], "icmp": []}
    in_second: dict[int, list[int]] = {}
    for base, values in late.items():
        for name in names:
            if f"{base}@{name}" not in recorded:
                continue  # it had not logged in by then, which the number of sessions shows
            table = watched.run.samples(f"{base}@{name}")
            inside = (table.due_ns >= since) & (table.due_ns < until) & (table.sent_ns != MISSING)
            values.extend((table.sent_ns - table.due_ns)[inside].tolist())
            for due_ns, late_ns in zip(table.due_ns[inside], (table.sent_ns - table.due_ns)[inside], strict=True):
                in_second.setdefault(int(due_ns - since) // 10**9, []).append(int(late_ns))
    own = watched.run.samples("observer")
    inside = (own.due_ns >= since) & (own.due_ns < until)
    due = len(names) * (until - since) / 1e8
    return {
        "echo leaves late, ms": _figures(late["ssh-echo"]),
        "icmp leaves late, ms": _figures(late["icmp"]),
        "seconds with 99 % within 10 ms, %": round(
            100 * sum(float(np.quantile(values, 0.99)) <= 10e6 for values in in_second.values()) / len(in_second)
        ),
        "own ticker late, ms": _figures((own.answered_ns - own.due_ns)[inside].tolist()),
        "echo samples of those due, %": round(100 * len(late["ssh-echo"]) / due, 1),
    }


def markdown(rows: Sequence[dict[str, Any]], seconds: float) -> str:
    """The table for people: a column for each count."""
    lines = [
        f"<!-- made by: python -m benchmarks.observer_load --seconds {seconds:g} -->",
        f"Late: median / 99 % / worst. The machine has {os.cpu_count()} cores, which the partitions use too.",
        "",
        "| " + " | ".join(["partitions", *(str(row["partitions"]) for row in rows)]) + " |",
        "|---|" + "---|" * len(rows),
    ]
    for name in [name for name in rows[0] if name != "partitions"]:
        values = [" / ".join(map(str, row[name])) if isinstance(row[name], list) else str(row[name]) for row in rows]
        lines.append("| " + " | ".join([name, *values]) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observer_load", description=__doc__)
    parser.add_argument("--counts", default="1,10,50,200,500")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--in-front", action="store_true", help="the partitions run before the observer")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder, rows = Path(tempfile.mkdtemp(prefix="lpmkit-load-")), []
    for count in map(int, options.counts.split(",")):
        with Still(folder / f"partition-{count}") as rig:
            rows.append(measured(folder, rig, count, options.seconds, options.in_front))
        print(json.dumps(rows[-1]), flush=True)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "observer_load.json").write_text(json.dumps(rows, indent=1))
    (options.results / "observer_load.md").write_text(markdown(rows, options.seconds))
    print(markdown(rows, options.seconds))


if __name__ == "__main__":
    main()
