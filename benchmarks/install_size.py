"""The size of an installation: packages and megabytes of a new environment, for the core and for each extra.

    python -m benchmarks.install_size [core] [notebook] …     (default: core and all)

Python's own environment, with pip, is subtracted. Megabytes are of 10^6 bytes, as the files are long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TOP = Path(__file__).parent.parent
LARGEST = 5


def megabytes(folder: Path) -> float:
    """The length of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def packages(python: Path) -> int:
    """The number of installed packages, as pip lists them."""
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
    return len(json.loads(listed.stdout))


def measure(extra: str) -> str:
    """Install into a new environment, and say what came."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        site = next(folder.glob("lib/python*/site-packages"))
        number, size = packages(python), megabytes(site)
        wanted = str(TOP) if extra == "core" else f"{TOP}[{extra}]"
        subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
        sizes = sorted(((megabytes(path), path.name) for path in site.iterdir() if path.is_dir()), reverse=True)
        largest = ", ".join(f"{name} {each:.0f}" for each, name in sizes[:LARGEST])
        return f"{extra:10} {packages(python) - number:4} packages {megabytes(site) - size:6.0f} MB   {largest}"


def main() -> None:
    for extra in sys.argv[1:] or ("core", "all"):
        print(measure(extra), flush=True)


if __name__ == "__main__":
    main()
