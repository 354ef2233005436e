"""Thirty clean moves in everyday noise, and each loss planted into each: ``python -m benchmarks.noise [--moves 30]``.

The runs are made from a model of a database and a SAP system with pools that renew their sessions, people who log
off, network blocks, codes that no rule knows, work processes at their heap limit and operation modes that change, in
zones of log and session that differ. Every clean move has to pass and every loss has to fail with the right words;
``benchmarks/results/noise.md`` is written anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.noise.losses import LOSSES
from benchmarks.noise.trials import clean, planted, table

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    """Run all trials and write the table; exit status 1 where one came out wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=30)
    moves = parser.parse_args().moves
    trials = [clean(seed) for seed in range(moves)]
    for loss in LOSSES:
        trials += [planted(loss, seed) for seed in range(moves)]
    text = table(trials)
    head = f"# Noise and losses\n\nMade by `python -m benchmarks.noise --moves {moves}`.\n\n"
    (RESULTS / "noise.md").write_text(head + text, encoding="utf-8")
    sys.stdout.write(text)
    sys.exit(any(trial.wrong for trial in trials))


if __name__ == "__main__":
    main()
