"""The command. See the package's own text for what it does."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy.score import classes_of, peers_of, rows_of, summary_of, violations
from benchmarks.accuracy.trials import listed, play_all
from lpmkit.run import Run


def judged(runs: Mapping[int, Run], truth: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the records and the truth say."""
    rows, made_up, analyses = [], 0, 0.0
    for hz, run in runs.items():
        began = time.monotonic()
        found, strays, _ = rows_of(run, hz, truth["done"])
        analyses += time.monotonic() - began
        rows += found
        made_up += len(strays)
    return {
        "seed": truth["seed"],
        "trials": len({row["number"] for row in rows}),
        "made_up": made_up,
        "violations": violations(rows, made_up),
        "summary": summary_of(rows),
        "classes": classes_of(rows),
        "peers_error_ms": peers_of(rows),
        "cost": truth["cost"],
        "analysis_s": round(analyses, 1),
        "rows": rows,
    }


def _figures(one: Mapping[str, float]) -> str:
    return " / ".join(f"{one[name]:.2f}" for name in ("median", "p95", "worst")) if one else "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def markdown(found: Mapping[str, Any]) -> str:
    """The tables for people. Errors are distances from the truth's bracket; figures are median / p95 / worst in milliseconds."""
    lines = [f"# Accuracy of the suspend time: {found['trials']} trials, seed {found['seed']}", ""]
    rows = [
        [
            f"{one['hz']} Hz, {one['what']}", str(one["trials"]), one["seen_from_50_ms"], one["hull"], one["inner"], one["likely"],
            *(_figures(one[name]) for name in ("error_ms", "width_ms", "likely_width_ms", "truth_bracket_ms")),
        ]
        for one in found["summary"]
    ]  # fmt: skip
    head: tuple[str, ...] = (
        "ticks, load, frames",
        "trials",
        "seen ≥ 50 ms",
        "hull holds",
        "shortest holds",
        "95 % holds",
    )
    head += ("error ms", "hull width ms", "95 % width ms", "width of the truth ms")
    lines += _table(head, rows)
    lines += ["## What each was called", ""]
    lines += _table(
        ("done", "called"),
        [[name, ", ".join(f"{n} × {what}" for what, n in count.items())] for name, count in found["classes"].items()],
    )
    lines += ["## Others' ways in the same trials (quiet, from 50 ms): error in ms", ""]
    lines += _table(
        ("way", "median / p95 / worst"), [[name, _figures(one)] for name, one in found["peers_error_ms"].items()]
    )
    lines += ["## Cost while nothing happens", ""]
    lines += _table(
        ("what", "value"),
        [
            [f"{hz} Hz ticks: {name}", f"{value:.2f}"]
            for hz, cost in found["cost"].items()
            for name, value in cost.items()
        ],
    )
    lines += ["## Violations", "", *(f"* {one}" for one in found["violations"] or ["none"]), ""]
    return "\n".join(lines)


def main() -> None:
    """Play, judge, write; exits with 1 when something happened that may never happen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--short", action="store_true", help="60 trials up to half a second: within three minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the records and results here")
    parser.add_argument("--again", action="store_true", help="only judge the records that are in --out")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="lpmkit-accuracy-"))
    out.mkdir(parents=True, exist_ok=True)
    if options.again:
        truth = json.loads((out / "truth.json").read_text())
        runs = {int(hz): Run(out / name) for hz, name in truth["runs"].items()}
    else:
        trials = listed(60, options.seed, 500) if options.short else listed(options.trials, options.seed)
        runs, truth = play_all(out, trials, options.seed, lambda text: print(text, file=sys.stderr, flush=True))
        truth["runs"] = {hz: run.name for hz, run in runs.items()}
        (out / "truth.json").write_text(json.dumps(truth))
    found = judged(runs, truth)
    (out / "accuracy.json").write_text(json.dumps(found, indent=1))
    (out / "accuracy.md").write_text(markdown(found))
    print(markdown(found))
    print(f"{out}: accuracy.json, accuracy.md and the records")
    sys.exit(1 if found["violations"] else 0)


if __name__ == "__main__":
    main()
