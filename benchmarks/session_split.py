"""Whose part a session outage is, against the truth: ``python -m benchmarks.session_split [--rounds 3] [--no-icmp]``.

An SSH session asks a line every tenth of a second while its link is cut (the host runs on), or cut while its host is frozen, for 0.1 to 8 s. lpmkit splits every outage of
the session that it finds into the part of the way (or the host) and what our own TCP then still waited. The truth is when the link was cut and opened; what TCP
waited is the time from there to the session's first answer. Once with everything that watches a partition, and from the same record without the echo requests.
Writes ``benchmarks/results/session_split.json`` and ``.md``. Needs root.
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
    """Cut and freeze in random order; when each was really done."""
    with Rig(folder / "partition") as rig:
        probes = plan(rig.name, PartitionSettings(host=rig.name), rig.ssh_config, paces=(QUICK,))
        watched = Watched(folder, "split", [rig.name], probes, LEAD_IN_S)
        done = []
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
                done.append({"kind": kind, "ms": ms, "began": began.as_list(), "ended": ended.as_list()})
                # until TCP, which waits about as long again at most, has caught up
                time.sleep(1.5 + 1.2 * ms / 1000 + 0.3 * chance.random())
        finally:
            watched.end()
    return watched.run, done


def judged(run: Run, done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each thing done: what the split says, and how far it is from the truth, milliseconds."""
    (host,) = analyse(run).hosts
    rows = []
    for one in done:
        truth = Interval(one["ended"][0] - one["began"][1], one["ended"][1] - one["began"][0])
        around = Interval(one["began"][0], one["ended"][1])
        found = [
            session for session in host.sessions if Interval(session.began.lo_ns, session.ended_ns).overlaps(around)
        ]
        rows.append({**one, "found": len(found), **(_errors(found[0], truth, one) if len(found) == 1 else {})})
    return rows


def _errors(session: SessionOutage, truth: Interval, one: Mapping[str, Any]) -> dict[str, Any]:
    assert session.split is not None
    path, own = session.split.path_ns, session.split.waited_ns
    waited = Interval(max(0, session.ended_ns - one["ended"][1]), max(0, session.ended_ns - one["ended"][0]))
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
    """By kind: how many were found, how far off, how often the bounds hold."""
    found = []
    for kind in ("cut", "frozen and cut"):
        mine = [row for row in rows if row["kind"] == kind]
        split = [row for row in mine if "path_error_ms" in row]
        figures = {
            name: [round(float(value), 1) for value in np.quantile([row[name] for row in split], [0.5, 0.95, 1.0])]
            for name in ("path_error_ms", "path_width_ms", "own_ms", "own_error_ms")
        }
        found.append(
            {
                "kind": kind,
                "done": len(mine),
                "split": len(split),
                "path_within_20_ms": sum(row["path_error_ms"] <= 20 for row in split),
                "path_holds": sum(row["path_holds"] for row in split),
                "own_holds": sum(row["own_holds"] for row in split),
                "same_login": sum(row["same_login"] for row in split),
                **figures,
            }
        )
    return found


def markdown(found: Mapping[str, Any]) -> str:
    """The table for people."""
    lines = [
        f"<!-- made by: python -m benchmarks.session_split --rounds {found['rounds']} --seed {found['seed']} -->",
        f"Errors, widths and waits in ms: median / p95 / worst. Load average {found['load']:.1f} at the end, {os.cpu_count()} cores.",
        "",
        "| watched by | what was done | split / done | way closed: within 20 ms | bounds hold | error | width | own TCP waited | error | bounds hold | same login shown |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in found["summary"].items():
        for one in rows:
            figure = {key: " / ".join(map(str, value)) for key, value in one.items() if isinstance(value, list)}
            lines.append(
                f"| {name} | {one['kind']} | {one['split']} / {one['done']} | {one['path_within_20_ms']} | {one['path_holds']} | {figure['path_error_ms']} "
                f"| {figure['path_width_ms']} | {figure['own_ms']} | {figure['own_error_ms']} | {one['own_holds']} | {one['same_login']} |"
            )
    return "\n".join([*lines, ""])


def main() -> None:
    """Play, judge, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.session_split", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", type=Path, help="judge the records in this folder anew")
    options = parser.parse_args()
    folder = options.again or Path(tempfile.mkdtemp(prefix="lpmkit-split-"))
    if options.again:
        truth = json.loads((folder / "truth.json").read_text())
        run, done = Run(folder / truth["run"]), truth["done"]
    else:
        run, done = play(folder, options.rounds, options.seed)
        (folder / "truth.json").write_text(json.dumps({"run": run.name, "done": done}))
    blind = folder / "without-icmp"
    shutil.copytree(run.path, blind, dirs_exist_ok=True)
    for path in (blind / "samples").glob("icmp*"):
        path.unlink()
    rows = {"all probes": judged(run, done), "without echo requests": judged(Run(blind), done)}
    found = {"rounds": options.rounds, "seed": options.seed, "load": os.getloadavg()[0]}
    found |= {"summary": {name: summed(one) for name, one in rows.items()}, "rows": rows}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "session_split.json").write_text(json.dumps(found, indent=1))
    (options.results / "session_split.md").write_text(markdown(found))
    print(markdown(found))
    print(f"{folder}: the record and the truth")


if __name__ == "__main__":
    main()
