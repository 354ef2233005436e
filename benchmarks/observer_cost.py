"""Cost of watching one partition at each rate: ``python -m benchmarks.observer_cost [--seconds 40]``.

One partition (OpenSSH in a network namespace, perl, all four probes) without events. For each default rate of the site
file: frames per second both ways on its link, bytes, processor time in the partition (our programs alone, and with the
server processes that carry them), processor time and memory of both our processes here, and open files of our programs
there. Writes ``benchmarks/results/observer_cost.json`` and ``.md``. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.accuracy.rig import Rig
from benchmarks.observing import Watched, cpu_s, memory_mib
from lpmkit.config import PartitionSettings
from lpmkit.probes.orders import CALM, QUICK, WATCH, plan

RESULTS = Path(__file__).parent / "results"
#: Targets of the calm rate and of the observer.
TARGETS = {
    "frames a second": 20.0,
    "partition, our programs, % of a core": 0.5,
    "here, % of a core": 5.0,
    "memory here, RSS, MiB": 80.0,
}
_OUT_FILES = ("socket", "pipe", "anon_inode", "/dev/null")


def whole_cpu_s(rig: Rig) -> float:
    """Processor seconds of all processes of the partition, past and present."""
    total = 0.0
    for pid in (rig.cgroup / "cgroup.procs").read_text().split():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked; its parent has its time
        total += sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return total


def carried_bytes(rig: Rig) -> int:
    """Bytes carried over the link so far, both ways."""
    counters = Path("/sys/class/net") / rig.ours / "statistics"
    return sum(int((counters / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


def files_of(pids: list[int]) -> list[str]:
    """Open files of processes, without pipes, sockets and the like."""
    names = [str(link.readlink()) for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()]
    return sorted({name for name in names if not name.startswith(_OUT_FILES)})


def measured(watched: Watched, rig: Rig, seconds: float) -> dict[str, Any]:
    """One interval without events."""
    programs = watched.programs()

    def used() -> dict[str, float]:
        seconds_used = {name: cpu_s(pid) for name, pid in {**watched.pids, **programs}.items()}
        return {**seconds_used, "all there": whole_cpu_s(rig), "frames": rig.frames(), "bytes": carried_bytes(rig)}

    before, began = used(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    used_per_s = {name: (value - before[name]) / took for name, value in used().items()}
    memory = [memory_mib(pid) for pid in watched.pids.values()]
    return {
        "frames a second": round(used_per_s["frames"], 1),
        "KiB a second": round(used_per_s["bytes"] / 1024, 2),
        "partition, our programs, % of a core": round(100 * sum(used_per_s[name] for name in programs), 2),
        "partition, with sshd, % of a core": round(100 * used_per_s["all there"], 2),
        "here, % of a core": round(100 * (used_per_s["watching"] + used_per_s["own ticker"]), 2),
        "— our own ticker": round(100 * used_per_s["own ticker"], 2),
        "memory here, RSS, MiB": round(sum(process["rss"] for process in memory), 1),
        "memory here, PSS, MiB": round(sum(process["pss"] for process in memory), 1),
        "files our programs hold open there": files_of(list(programs.values())),
    }


def markdown(figures: dict[str, Any]) -> str:
    """The table for people."""
    paces = list(figures["paces"])
    names = list(next(iter(figures["paces"].values())))
    lines = [
        f"<!-- made by: python -m benchmarks.observer_cost --seconds {figures['seconds']:g} -->",
        f"One partition, {figures['seconds']:g} s at each pace; load average {figures['load']:.1f} at the end "
        f"(the machine has {os.cpu_count()} cores). Both our processes together.",
        "",
        "| what | " + " | ".join(paces) + " | asked for |",
        "|---|" + "---|" * (len(paces) + 1),
    ]
    for name in names:
        values = [str(figures["paces"][pace][name] or "none") for pace in paces]
        target = (
            f"≤ {TARGETS[name]:g}" + (" (calm)" if name.startswith(("frames", "partition")) else "")
            if name in TARGETS
            else ""
        )
        lines.append(f"| {name} | " + " | ".join(values) + f" | {target} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observer_cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder, paces = Path(tempfile.mkdtemp(prefix="lpmkit-cost-")), {}
    with Rig(folder / "partition") as rig:
        settings = PartitionSettings(host=rig.name)
        probes = plan(rig.name, settings, rig.ssh_config, paces=(QUICK, CALM, WATCH))
        watched = Watched(folder, "cost", [rig.name], probes, 10.0)
        try:
            assert watched.wait_for_sessions(2, 60.0) == 2, "not every session came about"
            for pace in (CALM, WATCH, QUICK):
                watched.keep(pace)
                time.sleep(6.0)  # the change, and the connections of the pace before
                paces[pace] = measured(watched, rig, options.seconds)
                print(pace, json.dumps(paces[pace]), flush=True)
        finally:
            watched.end()
    figures = {"seconds": options.seconds, "load": os.getloadavg()[0], "paces": paces}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "observer_cost.json").write_text(json.dumps(figures, indent=1))
    (options.results / "observer_cost.md").write_text(markdown(figures))
    print(markdown(figures))


if __name__ == "__main__":
    main()
