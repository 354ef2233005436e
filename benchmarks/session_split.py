"""Split of session outages against the truth: ``python -m benchmarks.session_split [--rounds 3] [--no-icmp]``.

An SSH session sends a line every tenth of a second while its link is cut (the host runs), or cut while its host is
frozen, for 0.1 to 8 s. lpmkit splits every outage of the session into the path outage (or suspension) and the
following wait of our TCP for its retransmission. The truth is the time of cutting and opening the link; TCP's wait
lasts from there to the session's first reply. Once with all probes of a partition, and once from the same record
without the echo requests. Writes ``benchmarks/results/session_split.json`` and ``.md``. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.rig import Rig
from benchmarks.observing import Watched
from lpmkit.analysis import Interval, SessionOutage, analyse
from lpmkit.config import PartitionSettings
from lpmkit.probes.orders import QUICK, plan
from lpmkit.runs.folder import Run

RESULTS = Path(__file__).parent / "results"
LENGTHS_MS = (100, 200, 300, 500, 800, 1000, 1500, 2000, 3000, 4000, 8000)
LEAD_IN_S = 20.0


def play(folder: Path, rounds: int, seed: int) -> tuple[Run, list[dict[str, Any]]]:
    """Cut and freeze in random order; returns the run and the times of each action."""
    with Rig(folder / "partition") as rig:
        probes = plan(rig.name, PartitionSettings(host=rig.name), rig.ssh_config, paces=(QUICK,))
        watched = Watched(folder, "split", [rig.name], probes, LEAD_IN_S)
        actions = []
        try:
            assert watched.wait_for_sessions(2, 60.0) == 2, "not every session came about"
            time.sleep(LEAD_IN_S + 1)
            trials = [(kind, ms) for kind in ("cut", "frozen and cut") for ms in LENGTHS_MS] * rounds
            random.Random(seed).shuffle(trials)
            chance = random.Random(seed + 1)
            for kind, ms in trials:
                began = rig.link("drop")
                if kind != "cut":
                    began = began.hull(rig.freeze())
                time.sleep(ms / 1000)
                ended = rig.link("open") if kind == "cut" else rig.thaw().hull(rig.link("open"))
                actions.append({"kind": kind, "ms": ms, "began": began.as_list(), "ended": ended.as_list()})
                # Until TCP has recovered, which takes at most about as long again.
                time.sleep(1.5 + 1.2 * ms / 1000 + 0.3 * chance.random())
        finally:
            watched.end()
    return watched.run, actions


def judged(run: Run, actions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each action: the split, and its distance from the truth in milliseconds."""
    (host,) = analyse(run).hosts
    rows = []
    for action in actions:
        truth = Interval(action["ended"][0] - action["began"][1], action["ended"][1] - action["began"][0])
        around = Interval(action["began"][0], action["ended"][1])
        sessions = [
            session for session in host.sessions if Interval(session.began.lo_ns, session.ended_ns).overlaps(around)
        ]
        errors = _errors(sessions[0], truth, action) if len(sessions) == 1 else {}
        rows.append({**action, "found": len(sessions), **errors})
    return rows


def _errors(session: SessionOutage, truth: Interval, action: Mapping[str, Any]) -> dict[str, Any]:
    assert session.split is not None
    path, own = session.split.path_ns, session.split.waited_ns
    waited = Interval(max(0, session.ended_ns - action["ended"][1]), max(0, session.ended_ns - action["ended"][0]))
    return {
        "session_ms": session.waited_ns / 1e6,
        "path_error_ms": abs(path.middle_ns - truth.middle_ns) / 1e6,
        "path_holds": path.lo_ns <= truth.hi_ns and path.hi_ns >= truth.lo_ns,
        "path_width_ms": path.length_ns / 1e6,
        "own_ms": waited.middle_ns / 1e6,
        "own_error_ms": abs(own.middle_ns - waited.middle_ns) / 1e6,
        "own_holds": own.lo_ns <= waited.hi_ns and own.hi_ns >= waited.lo_ns,
        "repeats": session.split.repeats,
        "same_login": session.login.startswith("the same"),
        "how": session.split.how,
    }


def summed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By kind: number of splits, errors, and how often the bounds hold."""
    lines = []
    for kind in ("cut", "frozen and cut"):
        rows_of_kind = [row for row in rows if row["kind"] == kind]
        split = [row for row in rows_of_kind if "path_error_ms" in row]
        figures = {
            name: [round(float(value), 1) for value in np.quantile([row[name] for row in split], [0.5, 0.95, 1.0])]
            for name in ("path_error_ms", "path_width_ms", "own_ms", "own_error_ms")
        }
        lines.append(
            {
                "kind": kind,
                "done": len(rows_of_kind),
                "split": len(split),
                "path_within_20_ms": sum(row["path_error_ms"] <= 20 for row in split),
                "path_holds": sum(row["path_holds"] for row in split),
                "own_holds": sum(row["own_holds"] for row in split),
                "same_login": sum(row["same_login"] for row in split),
                **figures,
            }
        )
    return lines


def markdown(figures: Mapping[str, Any]) -> str:
    """The table for people."""
    lines = [
        f"<!-- made by: python -m benchmarks.session_split --rounds {figures['rounds']} --seed {figures['seed']} -->",
        "Errors, widths and waits in ms: median / p95 / worst. "
        f"Load average {figures['load']:.1f} at the end, {os.cpu_count()} cores.",
        "",
        (
            "| watched by | what was done | split / done | way closed: within 20 ms | bounds hold | error | width "
            "| own TCP waited | error | bounds hold | same login shown |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in figures["summary"].items():
        for row in rows:
            figure = {key: " / ".join(map(str, value)) for key, value in row.items() if isinstance(value, list)}
            lines.append(
                f"| {name} | {row['kind']} | {row['split']} / {row['done']} | {row['path_within_20_ms']} | "
                f"{row['path_holds']} | {figure['path_error_ms']} "
                f"| {figure['path_width_ms']} | {figure['own_ms']} | {figure['own_error_ms']} | "
                f"{row['own_holds']} | {row['same_login']} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    """Play, judge, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.session_split", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", type=Path, help="judge the records in this folder again")
    options = parser.parse_args()
    folder = options.again or Path(tempfile.mkdtemp(prefix="lpmkit-split-"))
    if options.again:
        truth = json.loads((folder / "truth.json").read_text())
        run, actions = Run(folder / truth["run"]), truth["done"]
    else:
        run, actions = play(folder, options.rounds, options.seed)
        (folder / "truth.json").write_text(json.dumps({"run": run.name, "done": actions}))
    blind = folder / "without-icmp"
    shutil.copytree(run.path, blind, dirs_exist_ok=True)
    for path in (blind / "samples").glob("icmp*"):
        path.unlink()
    rows = {"all probes": judged(run, actions), "without echo requests": judged(Run(blind), actions)}
    figures = {"rounds": options.rounds, "seed": options.seed, "load": os.getloadavg()[0]}
    figures |= {"summary": {name: summed(rows_of_watch) for name, rows_of_watch in rows.items()}, "rows": rows}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "session_split.json").write_text(json.dumps(figures, indent=1))
    (options.results / "session_split.md").write_text(markdown(figures))
    print(markdown(figures))
    print(f"{folder}: the record and the truth")


if __name__ == "__main__":
    main()
