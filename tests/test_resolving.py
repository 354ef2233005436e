"""The core's dependencies have wheels for newer versions of Python than the one that the tests run with."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def resolved(requirements: list[str], version: str, folder: Path) -> dict[str, str]:
    """The packages that pip would install for a version of Python, wheels alone; raises CalledProcessError."""
    report = folder / "report.json"
    words = ["install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--report", str(report)]
    target = ["--python-version", version, "--target", str(folder / "nothing")]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, *target, *requirements], check=True, capture_output=True, timeout=300
    )
    rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {row["metadata"]["name"].lower(): row["metadata"]["version"] for row in rows}


def an_index_answers(folder: Path) -> bool:
    """True where pip gets a package that surely is there."""
    try:
        return bool(resolved(["packaging"], "3.11", folder))
    except subprocess.CalledProcessError:
        return False


def test_the_core_has_wheels_for_the_newest_python(tmp_path: Path) -> None:
    try:
        found = resolved(PROJECT["dependencies"], "3.14", tmp_path)
    except subprocess.CalledProcessError:
        if not an_index_answers(tmp_path):
            pytest.skip("no package index can be reached")
        raise
    assert {"numpy", "paramiko", "cryptography", "pydantic"} <= set(found)
    assert len(found) <= 25
