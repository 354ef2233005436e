"""The live board for an hour at full rate: ``python -m benchmarks.board [--minutes 60]``.

A real move of the simulator, of a partition so large that its copy outlasts the hour, with every probe at its quick
pace (1000 ticks a second, 100 echo requests, …) all the time; the notebook `20_move_and_watch` in JupyterLab in a
real Chromium, with the board in view. Said are the memory (RSS) of the kernel, of Chromium's renderers and of all
its processes, sampled over time, with the slope over the second half, and once more after Chromium was told to
collect its garbage; and for each redraw what the kernel and the browser needed and what went over the websocket.
Other work may run beside it: it is a benchmark of memory, and costs are processor time. Writes
``benchmarks/results/board.json`` and ``.md``. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import CDPSession, Page
from ruamel.yaml import YAML

from benchmarks.observing import cpu_s, memory_mib
from lpmkit.config import load_site
from lpmkit.migration.status import state
from lpmkit.rehearsal import Rehearsal
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from tests.browser.lab import browser, find, lab, open_notebook, run_all, shot

RESULTS = Path(__file__).parent / "results"
LANDSCAPE = Path(__file__).parent.parent / "lpmkit" / "simulator" / "landscapes" / "js22.yaml"
QUICK = {
    "tick_hz": 1000,
    "tick_batch_ms": 100,
    "echo_interval_ms": 100,
    "icmp_interval_ms": 10,
    "connect_interval_ms": 250,
}
MODEL = "20_move_and_watch"
MEMORY_EVERY_S = 10.0
#: Time of the copy beyond the measurement: login, browser, baseline.
AROUND_MINUTES = 5.0
#: Time after which a redraw is painted in the browser.
PAINTED_S = 0.25

#: What the measured notebook gets besides: each redraw is timed where it happens.
TIMED = """
import json, os, time
from lpmkit.notebook import live

def _timed(redraw, out):
    def timed(board, **how):
        began, thread = time.monotonic_ns(), time.thread_time_ns()
        now = redraw(board, **how)
        row = dict(
            pid=os.getpid(),
            began_ns=began,
            ms=(time.monotonic_ns() - began) / 1e6,
            thread_ms=(time.thread_time_ns() - thread) / 1e6,
            process_ns=time.process_time_ns(),
        )
        out.write(json.dumps(row) + "\\n")
        return now
    return timed

live.LiveBoard.redraw = _timed(live.LiveBoard.redraw, open({costs!r}, "a", buffering=1))
"""


def large(folder: Path, minutes: float) -> Path:
    """The reference landscape with a partition whose copy takes ``minutes``."""
    yaml = YAML(typ="safe")
    world = yaml.load(LANDSCAPE)
    moved = next(partition for partition in world["partitions"] if partition["name"] == "bxaix85")
    touched = round(minutes * 60 * world["link"]["mover_megabytes_per_second"])
    memory = -(-touched * 21 // 20 // 64) * 64
    moved["workload"]["touched_mb"] = touched
    moved["memory"] = {"min_mb": 1024, "mb": memory, "max_mb": 2 * memory}
    for frame in world["frames"]:
        frame["memory_mb"] = 4 * memory
    path = folder / "large.yaml"
    yaml.dump(world, path)
    return path


def at_full_rate(site_file: Path) -> None:
    """Let the probes of the partition be quick in the bulk of the copy too."""
    yaml = YAML()
    site = yaml.load(site_file)
    site["partitions"]["bxaix85"] |= {"quick": QUICK, "calm": QUICK}
    yaml.dump(site, site_file)


def prepared(site_file: Path) -> Run:
    """A run that is ready to move."""
    book = Runbook(load_site(site_file))
    run = book.prepare(book.order("bxaix85", "bvio83"))
    book.check(run)
    word = book.validate(run)
    assert word.passed, word.text
    return run


def write_timed(copies: Path, costs: Path, parameters: Mapping[str, object]) -> str:
    """The model with its parameters set, and each redraw timed; its name."""
    model = json.loads((copies / f"{MODEL}.ipynb").read_text(encoding="utf-8"))
    place = next(i for i, cell in enumerate(model["cells"]) if "parameters" in cell["metadata"].get("tags", []))
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cell: dict[str, Any] = {"cell_type": "code", "id": "timed", "metadata": {}, "execution_count": None, "outputs": []}
    model["cells"].insert(place + 1, {**cell, "source": source + TIMED.replace("{costs!r}", repr(str(costs)))})
    (copies / "timed.ipynb").write_text(json.dumps(model), encoding="utf-8")
    return "timed"


def descendants(pid: int) -> dict[int, str]:
    """The processes under one, with their command lines."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(path.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(path.parent.name))
        except OSError:
            continue  # it ended meanwhile
    commands: dict[int, str] = {}
    pending = [pid]
    while pending:
        for child in parents.get(pending.pop(), []):
            pending.append(child)
            try:
                commands[child] = (
                    Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue
    return commands


def chromium() -> dict[int, str]:
    """Chromium's processes that we started, by what they are (``browser``, ``renderer``, ``gpu-process``, …)."""
    kinds = {}
    for pid, command in descendants(os.getpid()).items():
        if "chrom" in command.split(" ", 1)[0]:
            kind = re.search(r"--type=(\S+)", command)
            kinds[pid] = kind[1] if kind else "browser"
    return kinds


def _memory(pid: int) -> dict[str, float]:
    try:
        return memory_mib(pid)
    except (OSError, KeyError, IndexError):
        return {"rss": 0.0, "pss": 0.0}  # it ended meanwhile


class Measurement:
    """Samples taken while the board is drawn."""

    def __init__(self, page: Page, costs: Path) -> None:
        self._page, self._costs, self._read_to = page, costs, 0
        self._bytes = 0
        self._performance: CDPSession = page.context.new_cdp_session(page)
        self._performance.send("Performance.enable")
        self.memory: list[dict[str, float]] = []
        self.redraws: list[dict[str, float]] = []
        self.browser: list[dict[str, float]] = []

    def received(self, payload: str | bytes) -> None:
        """Count bytes of the websocket."""
        self._bytes += len(payload)

    def _came(self) -> list[dict[str, float]]:
        with self._costs.open("rb") as file:
            file.seek(self._read_to)
            content = file.read()
        complete = content.rfind(b"\n") + 1
        self._read_to += complete
        return [json.loads(line) for line in content[:complete].splitlines()]

    def _page_metrics(self) -> dict[str, float]:
        return {
            metric["name"]: metric["value"] for metric in self._performance.send("Performance.getMetrics")["metrics"]
        }

    def sample_memory(self) -> None:
        """Record the memory of the kernel and of Chromium."""
        kinds = chromium()
        kernel = _memory(int(self.redraws[-1]["pid"]))
        usage = {pid: _memory(pid) for pid in kinds}
        page = self._page_metrics()
        self.memory.append(
            {
                "at_s": time.monotonic(),
                "kernel": kernel["rss"],
                "renderers": sum(usage[pid]["rss"] for pid, kind in kinds.items() if kind == "renderer"),
                "chromium": sum(process["pss"] for process in usage.values()),
                "heap": page["JSHeapUsedSize"] / 2**20,
                "nodes": page["Nodes"],
            }
        )

    def collected(self) -> dict[str, float]:
        """The memory after a garbage collection of Chromium."""
        profiler = self._page.context.new_cdp_session(self._page)
        for _ in range(3):
            profiler.send("HeapProfiler.collectGarbage")
            self._page.wait_for_timeout(1_000)
        self.sample_memory()
        return self.memory.pop()

    def over(self, seconds: float) -> Iterator[float]:
        """Measure for ``seconds``; yields the remaining seconds now and then."""
        self.redraws = self._came()[-1:] or self.redraws
        began = due = time.monotonic()
        end = began + seconds
        before, self._bytes = self._page_metrics()["TaskDuration"], 0
        while (now := time.monotonic()) < end:
            if now >= due:
                self.sample_memory()
                due = max(due + MEMORY_EVERY_S, now)
                yield end - now
            new_rows = self._came()
            self.redraws += new_rows
            if not new_rows:
                self._page.wait_for_timeout(30)
                continue
            painted = new_rows[-1]["began_ns"] / 1e9 + PAINTED_S
            self._page.wait_for_timeout(max(1.0, 1000 * (painted - time.monotonic())))
            after = self._page_metrics()["TaskDuration"]
            row = {"redraws": len(new_rows), "task_ms": 1000 * (after - before), "bytes": self._bytes}
            self.browser.append(row)
            before, self._bytes = after, 0


def slope_per_hour(times_s: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope of a line through the values, per hour, and its standard error."""
    at = np.asarray(times_s) / 3600
    (slope, _), covariance = np.polyfit(at, np.asarray(values), 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    median, high, worst = np.quantile(np.asarray(values), [0.5, 0.95, 1.0])
    return {"median": round(float(median), 2), "p95": round(float(high), 2), "worst": round(float(worst), 2)}


def figures(measured: Measurement, chromium_cpu_s: float) -> dict[str, Any]:
    """The figures of a measurement."""
    rows, memory = measured.redraws, measured.memory
    span_s = (rows[-1]["began_ns"] - rows[0]["began_ns"]) / 1e9
    apart = (np.diff([row["began_ns"] for row in rows]) / 1e6).tolist()
    kernel = (np.diff([row["process_ns"] for row in rows]) / 1e6).tolist()
    single = [row for row in measured.browser if row["redraws"] == 1]
    half = memory[len(memory) // 2 :]
    times = [row["at_s"] for row in half]
    memory_figures = {}
    for name in ("kernel", "renderers", "chromium", "heap", "nodes"):
        slope, error = slope_per_hour(times, [row[name] for row in half])
        values = [row[name] for row in memory]
        memory_figures[name] = {
            "first": round(values[0], 1),
            "last": round(values[-1], 1),
            "most": round(max(values), 1),
            "slope_per_hour": round(slope, 2),
            "standard_error": round(error, 2),
        }
    return {
        "minutes": round(span_s / 60, 1),
        "redraws": len(rows),
        "redraws_per_s": round((len(rows) - 1) / span_s, 3),
        "between_redraws_ms": _spread(apart),
        "redraw_thread_cpu_ms": _spread([row["thread_ms"] for row in rows]),
        "kernel_cpu_ms": _spread(kernel),
        "redraw_wall_ms": _spread([row["ms"] for row in rows]),
        "websocket_bytes": _spread([row["bytes"] for row in single]),
        "page_ms": _spread([row["task_ms"] for row in single]),
        "chromium_cpu_ms_mean": round(1000 * chromium_cpu_s / len(rows), 1),
        "memory": memory_figures,
    }


def markdown(figures_found: Mapping[str, Any]) -> str:
    """The tables for people."""
    memory = figures_found["memory"]
    rows = [
        ("the kernel's processor time, all of it, ms", "kernel_cpu_ms"),
        ("of that in the redraw itself, ms", "redraw_thread_cpu_ms"),
        ("bytes over the websocket", "websocket_bytes"),
        ("the page's main thread busy, ms", "page_ms"),
        ("from one redraw to the next, ms", "between_redraws_ms"),
    ]
    names = {
        "kernel": "kernel, RSS in MiB",
        "renderers": "Chromium's renderers, RSS in MiB",
        "chromium": "all of Chromium, PSS in MiB",
        "heap": "the page's JavaScript heap in use, MiB",
        "nodes": "nodes of the page",
    }
    lines = [
        f"<!-- made by: python -m benchmarks.board --minutes {figures_found['asked_minutes']:g} -->",
        (
            f"{figures_found['minutes']} minutes of a move, every probe at its quick pace, "
            f"{figures_found['samples']:,} samples recorded; {figures_found['redraws']:,} redraws, "
            f"{figures_found['redraws_per_s']} a second."
        ),
        "",
        "| for each redraw | median | p95 | worst |",
        "|---|---|---|---|",
        *(
            f"| {text} | " + " | ".join(f"{figures_found[key][name]:,}" for name in ("median", "p95", "worst")) + " |"
            for text, key in rows
        ),
        "",
        (
            f"All of Chromium's processes together: {figures_found['chromium_cpu_ms_mean']} ms of processor time "
            "for each redraw, in the mean."
        ),
        "",
        "| memory | at first | at last | most | slope over the second half, per hour |",
        "|---|---|---|---|---|",
        *(
            f"| {text} | "
            + " | ".join(f"{memory[key][name]:,}" for name in ("first", "last", "most"))
            + f" | {memory[key]['slope_per_hour']:+} ± {memory[key]['standard_error']} |"
            for key, text in names.items()
        ),
        "",
    ]
    if collected := figures_found.get("collected"):
        lines += [
            f"Told to collect its garbage then, Chromium had {collected['renderers']:.1f} MiB in its renderers,",
            f"{collected['heap']:.1f} MiB of that in the page's JavaScript heap, and {collected['nodes']:,.0f} nodes.",
            "",
        ]
    return "\n".join(lines)


def measured(folder: Path, minutes: float, results: Path) -> dict[str, Any]:
    """The whole measurement. Intermediate results are written repeatedly, in case it is cut short."""
    options = ["--landscape", str(large(folder, minutes + AROUND_MINUTES))]
    with Rehearsal(folder / "sim", options=options) as rehearsal:
        at_full_rate(rehearsal.site_file)
        run = prepared(rehearsal.site_file)
        costs = folder / "costs.jsonl"
        costs.touch()
        environment = {"LPMKIT_SITE": str(rehearsal.site_file)}
        with lab(folder, environment) as (address, copies), browser() as page:
            name = write_timed(copies, costs, {"RUN": run.name, "LEAD_IN_S": 10.0, "CONFIRM": "bxaix85"})
            counted: list[Measurement] = []

            def heard(payload: bytes | str) -> None:
                for measurement in counted:
                    measurement.received(payload)

            page.on("websocket", lambda wire: wire.on("framereceived", heard))
            open_notebook(page, address, name)
            run_all(page)
            find(page, page.locator("[data-state=copying]"), timeout_s=240.0)
            find(page, page.locator('.jupyter-widgets svg[aria-label^="Signs of life"]'))
            page.wait_for_timeout(5_000)  # everything is loaded and laid out
            counted.append(Measurement(page, costs))
            cpu = {pid: cpu_s(pid) for pid in chromium()}

            def so_far() -> dict[str, Any]:
                assert state(run).phase == "copying", "the copy was to last longer than the measurement"
                used = sum(cpu_s(pid) - cpu.get(pid, 0.0) for pid in chromium())
                recorded = sum(path.read_bytes().count(b"\n") for path in run.path.glob("samples/*.csv"))
                summary = figures(counted[0], used)
                return {
                    "asked_minutes": minutes,
                    "samples": recorded,
                    **summary,
                    "samples_of_memory": counted[0].memory,
                }

            for number, left_s in enumerate(counted[0].over(60 * minutes)):
                row = counted[0].memory[-1]
                print(
                    f"{left_s / 60:5.1f} minutes left: kernel {row['kernel']:.1f} MiB, "
                    f"renderers {row['renderers']:.1f} MiB, {len(counted[0].redraws)} redraws",
                    flush=True,
                )
                if number % 12 == 11:
                    write(so_far(), results)
            result = so_far()
            result |= {"collected": counted[0].collected()}
            shot(page, "board-at-the-end")
        Runbook(rehearsal.site).stop(run, "bxaix85")
    write(result, results)
    return result


def write(figures_found: Mapping[str, Any], results: Path) -> None:
    """The figures, for programs and for people."""
    results.mkdir(parents=True, exist_ok=True)
    (results / "board.json").write_text(json.dumps(figures_found, indent=1))
    (results / "board.md").write_text(markdown(figures_found))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.board", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    print(markdown(measured(Path(tempfile.mkdtemp(prefix="lpmkit-board-")), options.minutes, options.results)))


if __name__ == "__main__":
    main()
