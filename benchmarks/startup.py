"""The cost of starting a command: processor time and number of modules of help and completion, in new interpreters.

python -m benchmarks.startup [--times 15]

The site file has 8 frames and 200 partitions.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LPMKIT = str(Path(sys.executable).with_name("lpmkit"))
COMMANDS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "python -c pass": ([sys.executable, "-c", "pass"], {}),
    "python -c 'import click'": ([sys.executable, "-c", "import click"], {}),
    "lpmkit --help": ([LPMKIT, "--help"], {}),
    "lpmkit move --help": ([LPMKIT, "move", "--help"], {}),
    "completion of lpmkit <TAB>": ([LPMKIT], {"COMP_WORDS": "lpmkit ", "COMP_CWORD": "1"}),
    "completion of lpmkit move <TAB>": ([LPMKIT], {"COMP_WORDS": "lpmkit move ", "COMP_CWORD": "2"}),
    "completion of lpmkit move --<TAB>": ([LPMKIT], {"COMP_WORDS": "lpmkit move --", "COMP_CWORD": "2"}),
}


def site_file(folder: Path) -> Path:
    """A site file of 8 frames and 200 partitions."""
    frames = [f"  f{at}: {{manager: hmc, host: hmc01, system: s{at}, vios: [v1, v2]}}" for at in range(8)]
    partitions = [f"  aix{at:03}: {{host: aix{at:03}}}" for at in range(200)]
    path = folder / "site.yaml"
    path.write_text("\n".join(["frames:", *frames, "partitions:", *partitions, ""]), encoding="utf-8")
    return path


def processor_s(words: Sequence[str], environment: Mapping[str, str]) -> float:
    """Processor time of one run, user and system, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env={**os.environ, **environment}, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=15)
    times = parser.parse_args().times
    folder = tempfile.TemporaryDirectory()
    os.environ["LPMKIT_SITE"] = str(site_file(Path(folder.name)))
    print(f"processor time in seconds, median (fastest to slowest) of {times}")
    for name, (words, environment) in COMMANDS.items():
        asked = {**environment, "_LPMKIT_COMPLETE": "bash_complete"} if environment else {}
        processor_s(words, asked)  # compiles, and fills the cache of files
        figures = [processor_s(words, asked) for _ in range(times)]
        print(f"{name:36} {statistics.median(figures):.3f} ({min(figures):.3f} to {max(figures):.3f})")


if __name__ == "__main__":
    main()
