"""False suspensions in hours without events: ``python -m benchmarks.soak [--hours 8] [--targets 4] [--hogs 4]
[--detach]``.

Several targets (names of one OpenSSH server in a network namespace, each with all its probes) are watched while the
rate changes between quick and calm every few minutes. The time is cut into slices; each is a run folder that is
analysed like any other, and adds a line to ``benchmarks/results/soak.jsonl``; ``soak.md`` is rewritten from all
lines. Any suspension found here is false, unless it is attributed to this host (class "observer"). A slice with one
is retained. With ``--hogs`` that many busy loops run beside it. Needs root, like `benchmarks.accuracy`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.accuracy.rig import Rig
from benchmarks.accuracy.trials import hogs
from benchmarks.observing import Watched, cpu_s, memory_mib
from lpmkit.analysis import analyse
from lpmkit.config import CalmPace, PartitionSettings, QuickPace
from lpmkit.probes.orders import CALM, QUICK, ProbeOrder, plan
from lpmkit.runs.folder import Run
from lpmkit.simulator.isolation import _ip

RESULTS = Path(__file__).parent / "results"
LEAD_IN_S = 60.0
#: Maximum interval between two readings of the processes' memory.
LOOK_S = 30.0


class Still(Rig):
    """A partition without interruptions that stands in for another host: only the observer is short of a core.

    Its link is the kernel's own pair of interfaces, and its processes run before all others, so that no process of
    the rig is starved and mistaken for the partition.
    """

    def _link(self) -> None:
        _ip("netns", "add", self.space)
        _ip("link", "add", self.ours, "type", "veth", "peer", "name", "en0", "netns", self.space)
        _ip("address", "add", f"{self.outside}/30", "dev", self.ours)
        _ip("link", "set", self.ours, "up")
        _ip("-n", self.space, "address", "add", f"{self.address}/30", "dev", "en0")
        for name in ("lo", "en0"):
            _ip("-n", self.space, "link", "set", name, "up")


def targets_of(rig: Rig, count: int) -> tuple[list[str], Path]:
    """Several names of one server, each with its own sessions."""
    names = [f"target{n}" for n in range(1, count + 1)]
    text = rig.ssh_config.read_text()
    path = rig.folder / "ssh_config_of_targets"
    path.write_text("".join(text.replace(f"Host {rig.name}\n", f"Host {name}\n") for name in names))
    return names, path


def probes_of(names: list[str], ssh_config: Path) -> list[ProbeOrder]:
    """All probes of a move; the first target's ticks at the highest rate, the others' at 100 Hz."""
    probes: list[ProbeOrder] = []
    for number, name in enumerate(names):
        settings = PartitionSettings(host=name, quick=QuickPace(tick_hz=1000 if number == 0 else 100), calm=CalmPace())
        probes += plan(name, settings, ssh_config, suffix=f"@{name}")
    return probes


def slice_of(folder: Path, rig: Rig, count: int, seconds: float, turn_s: float) -> tuple[Run, dict[str, Any]]:
    """One slice of the soak, and its cost."""
    names, ssh_config = targets_of(rig, count)
    watched = Watched(folder, "soak", names, probes_of(names, ssh_config), LEAD_IN_S)
    try:
        assert watched.wait_for_sessions(2 * count, 60.0) == 2 * count, "not every session came about"
        time.sleep(10.0)
        began, used = time.monotonic(), {name: cpu_s(pid) for name, pid in watched.pids.items()}
        held, pace, turned, loads = [], QUICK, time.monotonic(), []
        while time.monotonic() - began < seconds:
            time.sleep(min(LOOK_S, max(0.1, seconds - (time.monotonic() - began))))
            held.append({name: memory_mib(pid) for name, pid in watched.pids.items()})
            loads.append(os.getloadavg()[0])
            if time.monotonic() - turned > turn_s:
                pace, turned = (CALM if pace == QUICK else QUICK), time.monotonic()
                watched.keep(pace)
        duration = time.monotonic() - began
        cpu = sum(cpu_s(pid) - used[name] for name, pid in watched.pids.items())
    finally:
        watched.end()

    def sums(kind: str) -> list[float]:
        return [round(sum(memory[kind] for memory in row.values()), 1) for row in (held[0], held[-1])]

    return watched.run, {
        "seconds": round(duration),
        "cpu_percent_of_a_core": round(100 * cpu / duration, 2),
        "rss_mib_first_and_last": sums("rss"),
        "pss_mib_first_and_last": sums("pss"),
        "load_median": round(sorted(loads)[len(loads) // 2], 1),
        "load_worst": round(max(loads), 1),
    }


def judged(run: Run) -> dict[str, Any]:
    """Findings of the analysis in a slice without events."""
    began = time.monotonic()
    analysis = analyse(run)
    kinds = Counter(str(outage.kind) for host in analysis.hosts for outage in host.outages)
    made_up = [
        {
            "host": suspension.host,
            "length_ms": [suspension.length.lo_ns / 1e6, suspension.length.hi_ns / 1e6],
            "own_stalls_ms": suspension.stalled_ns / 1e6,
        }
        for host in analysis.hosts
        for suspension in host.suspensions
    ]
    troubles = [event.data.get("what") for event in run.events() if event.kind == "probe-trouble"]
    return {
        "made_up": made_up,
        "silences": dict(kinds),
        "own_stalls": len(analysis.stalls),
        "longest_own_stall_ms": max((round(stall.length_ns / 1e6) for stall in analysis.stalls), default=0),
        "paces": len([event for event in run.events() if event.kind == "pace"]),
        "troubles": troubles,
        "analysis_s": round(time.monotonic() - began, 1),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table for people: a line per slice, and the sum."""
    hours = sum(row["seconds"] * row["targets"] for row in rows) / 3600
    busy = sum(row["seconds"] * row["targets"] for row in rows if row["hogs"]) / 3600
    count = sum(len(row["made_up"]) for row in rows)
    lines = [
        "<!-- made by: python -m benchmarks.soak -->",
        (
            f"{hours:.1f} partition-hours in which nothing happened ({busy:.1f} of them beside busy loops): "
            f"**{count} suspensions made up**."
        ),
        "",
        (
            "Load is the machine's load average: where it is above the number of cores although no busy loops are\n"
            "named, other work ran at the same time."
        ),
        "",
        (
            "The partition's processes run before all others of this machine, for it stands for another one; its\n"
            "link is the kernel's."
        ),
        "",
        (
            "| began | minutes × targets | busy loops / cores | load, median / worst | made up | other silences | "
            "own stalls, longest | processor | memory, first → last |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        kinds = ", ".join(f"{n} × {name}" for name, n in row["silences"].items()) or "none"
        rss, pss = row["rss_mib_first_and_last"], row["pss_mib_first_and_last"]
        lines.append(
            f"| {row['began']} | {row['seconds'] / 60:.0f} × {row['targets']} | {row['hogs']} / {row['cores']} "
            f"| {row['load_median']} / {row['load_worst']} "
            f"| {len(row['made_up'])} | {kinds} | {row['own_stalls']}, {row['longest_own_stall_ms']} ms | "
            f"{row['cpu_percent_of_a_core']} % of a core "
            f"| RSS {rss[0]} → {rss[1]} MiB, PSS {pss[0]} → {pss[1]} MiB |"
        )
    return "\n".join([*lines, ""])


def soak(options: argparse.Namespace) -> int:
    """Run slice after slice; returns the number of false suspensions."""
    folder = Path(tempfile.mkdtemp(prefix="lpmkit-soak-"))
    remaining_s, count = options.hours * 3600, 0
    with Still(folder / "partition") as rig, hogs(options.hogs):
        while remaining_s > 1:
            began = datetime.now(UTC)
            seconds = min(remaining_s, options.slice_minutes * 60)
            remaining_s -= seconds
            run, cost = slice_of(folder, rig, options.targets, seconds, options.turn_s)
            row = {
                "began": f"{began:%Y-%m-%d %H:%M}",
                "targets": options.targets,
                "hogs": options.hogs,
                "cores": os.cpu_count(),
            }
            row |= {"link": "veth", "partition": "first"} | cost | judged(run)
            count += len(row["made_up"])
            if row["made_up"]:
                print(f"{run.path}: {row['made_up']}", flush=True)
            else:
                shutil.rmtree(run.path)
            options.results.mkdir(parents=True, exist_ok=True)
            with (options.results / "soak.jsonl").open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            rows = [json.loads(line) for line in (options.results / "soak.jsonl").read_text().splitlines()]
            (options.results / "soak.md").write_text(markdown(rows))
            print(json.dumps(row), flush=True)
    return count


def main() -> None:
    """Soak; exits with 1 after a false suspension."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--hogs", type=int, default=0, help="busy loops beside it; twice the cores is the hard case")
    parser.add_argument("--slice-minutes", type=float, default=60.0)
    parser.add_argument("--turn-s", type=float, default=120.0, help="the pace changes so often")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--detach",
        action="store_true",
        help="go on without this terminal; the output goes to soak.log beside the results",
    )
    options = parser.parse_args()
    if options.detach:
        options.results.mkdir(parents=True, exist_ok=True)
        with (options.results / "soak.log").open("ab") as log:
            arguments = [word for word in sys.argv[1:] if word != "--detach"]
            child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        print(f"process {child.pid}, {options.results / 'soak.log'}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the namespace is taken down
    sys.exit(1 if soak(options) else 0)


if __name__ == "__main__":
    main()
