"""The command; the package's own text describes it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.accuracy.score import classes_of, peers_of, rows_of, summary_of, violations
from benchmarks.accuracy.trials import CLOCKS, KINDS, listed, play_all
from lpmkit.runs.folder import Run


def judged(folders: Sequence[Path], seed: int) -> dict[str, Any]:
    """Figures from the records and the truth of one or several sittings."""
    rows: list[dict[str, Any]] = []
    made_up, analyses, trials, cost = 0, 0.0, 0, dict[str, Any]()
    for folder in folders:
        truth = json.loads((folder / "truth.json").read_text())
        cost = cost or truth["cost"]
        trials += len({action["number"] for action in truth["done"]})
        for hz, name in truth["runs"].items():
            began = time.monotonic()
            trial_rows, false_ones, _ = rows_of(Run(folder / name), int(hz), truth["done"])
            analyses += time.monotonic() - began
            rows += [{"sitting": folder.name, **row} for row in trial_rows]
            made_up += len(false_ones)
    return {
        "seed": seed,
        "trials": trials,
        "made_up": made_up,
        "violations": violations(rows, made_up),
        "summary": summary_of(rows),
        "classes": classes_of(rows),
        "peers_error_ms": peers_of(rows),
        "cost": cost,
        "analysis_s": round(analyses, 1),
        "rows": rows,
    }


def _figures(quantiles: Mapping[str, float]) -> str:
    return " / ".join(f"{quantiles[name]:.2f}" for name in ("median", "p95", "worst")) if quantiles else "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def markdown(figures: Mapping[str, Any]) -> str:
    """The tables for people. Figures are median / p95 / worst in milliseconds.

    "All" is every suspension that began while all probes were answered; "twice" are two within a twentieth of a
    second, and "clock" and "time of day" those during which a script held back the partition's clocks, with the
    same bounds. The truth lies in a bracket. *Off* is the distance from the bracket's middle, *outside* the
    distance beyond the bracket; the 95 % interval is compared with the bracket (can it be right?) and with its
    middle.
    """
    lines = [f"# Accuracy of the suspend time: {figures['trials']} trials, seed {figures['seed']}", ""]
    rows = [
        [
            f"{group['hz']} Hz, {group['what']}",
            str(group["trials"]),
            group["seen_from_50_ms"],
            group["hull"],
            group["truth_known"],
            group["inner"],
            group["likely"],
            group["likely_middle"],
            *(
                _figures(group[name])
                for name in ("off_ms", "error_ms", "likely_width_ms", "width_ms", "truth_bracket_ms")
            ),
            "–" if group["bias_ms"] is None else f"{group['bias_ms']:+.2f}",
        ]
        for group in figures["summary"]
    ]
    head: tuple[str, ...] = (
        "ticks, load, frames",
        "trials",
        "seen ≥ 50 ms",
        "hull holds",
        "truth within 5 ms",
        "shortest holds",
    )
    head += ("95 % can be right", "95 % holds the middle", "off", "outside", "95 % width", "hull width")
    head += ("width of the truth", "bias")
    lines += _table(head, rows)
    lines += ["## What each was called", ""]
    lines += _table(
        ("done", "called"),
        [[name, ", ".join(f"{n} × {what}" for what, n in count.items())] for name, count in figures["classes"].items()],
    )
    lines += ["## Others' ways in the same trials (quiet, from 50 ms): how far outside the truth's bracket, ms", ""]
    lines += _table(
        ("way", "median / p95 / worst"), [[name, _figures(group)] for name, group in figures["peers_error_ms"].items()]
    )
    lines += ["## Cost while nothing happens", ""]
    lines += _table(
        ("what", "value"),
        [
            [f"{hz} Hz ticks: {name}", f"{value:.2f}"]
            for hz, cost in figures["cost"].items()
            for name, value in cost.items()
        ],
    )
    lines += ["## Violations", "", *(f"* {group}" for group in figures["violations"] or ["none"]), ""]
    return "\n".join(lines)


def sittings_of(options: argparse.Namespace) -> list[tuple[int, tuple[str, ...]]]:
    """Number of trials and kinds of each sitting: mixed ones, and one for each script of the clocks."""
    if options.short:
        return [(60, ())]
    per_sitting = options.trials // options.sittings
    if options.only:
        return [(per_sitting, (options.only,))] * options.sittings
    return [(per_sitting, ())] * options.sittings + [(max(8, options.trials // 40), (kind,)) for kind in CLOCKS]


def main() -> None:
    """Play, judge, write; exits with 1 after a violation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument(
        "--short",
        action="store_true",
        help="60 trials up to half a second, within three minutes; other work may run beside it",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the records and results here")
    parser.add_argument("--only", help="trials of this kind only", choices=[*(kind for kind, _ in KINDS), *CLOCKS])
    parser.add_argument("--again", action="store_true", help="only judge the records that are in --out")
    parser.add_argument(
        "--sittings", type=int, default=1, help="play the trials in so many parts, each with records of its own"
    )
    parser.add_argument(
        "--transport", choices=["paramiko", "openssh"], default="paramiko", help="what carries the sessions"
    )
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="lpmkit-accuracy-"))
    out.mkdir(parents=True, exist_ok=True)
    if options.again:
        folders = sorted(out.glob("sitting-*"))
    else:
        folders = []
        for number, (count, only) in enumerate(sittings_of(options), start=1):
            folders.append(out / f"sitting-{number:02d}")
            folders[-1].mkdir()
            trials = listed(count, options.seed + 1000 * number, 500 if options.short else 8000, only)
            if options.short:  # what runs beside it is load enough
                trials = [replace(trial, hogged=False) for trial in trials]
            runs, truth = play_all(
                folders[-1],
                trials,
                options.seed + number,
                lambda text: print(text, file=sys.stderr),
                options.transport,
            )
            truth["runs"] = {hz: run.name for hz, run in runs.items()}
            (folders[-1] / "truth.json").write_text(json.dumps(truth))
    figures = judged(folders, options.seed)
    (out / "accuracy.json").write_text(json.dumps(figures, indent=1))
    (out / "accuracy.md").write_text(markdown(figures))
    print(markdown(figures))
    print(f"{out}: accuracy.json, accuracy.md and the records")
    sys.exit(1 if figures["violations"] else 0)


if __name__ == "__main__":
    main()
