"""Imports point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lpmkit

PACKAGE = Path(lpmkit.__file__).parent
ORDER = [
    "errors",
    "log_file",
    "timeline",
    "inventory",
    "config",
    "rules",
    "ssh",
    "control",
    "runs",
    "background",
    "oracle",
    "sap",
    "probes",
    "prediction",
    "analysis",
    "survey",
    "mapping",
    "checks",
    "migration",
    "plots",
    "report",
    "recorder",
    "runbook",
    "doctor",
    "rehearsal",
    "plan",
    "notebook",
    "commands",
    "cli",
]


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[tuple[str, int]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "lpmkit" else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {(name.split(".")[1], node.lineno) for name in names if name.startswith("lpmkit.")}
    return found


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if _module(path) not in ("__init__", "simulator"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_before_it(path: Path) -> None:
    mine = _module(path)
    strays = [
        f"{path.name}:{line} imports {name}"
        for name, line in _imported(path)
        if name != mine and (name == "simulator" or ORDER.index(name) > ORDER.index(mine))
    ]
    assert not strays


def test_importing_lpmkit_loads_neither_matplotlib_nor_ipywidgets() -> None:
    code = "import sys, lpmkit, lpmkit.cli; print([m for m in ('matplotlib', 'ipywidgets', 'paramiko', 'pandas') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_paramiko_is_spoken_only_by_the_session_and_what_streams_over_it() -> None:
    speakers = {
        str(path.relative_to(PACKAGE)) for path in SOURCES if "import paramiko" in path.read_text(encoding="utf-8")
    }
    assert speakers == {"ssh/client.py", "probes/ssh.py", "doctor.py"}


def test_every_public_name_is_there_and_the_list_is_whole() -> None:
    assert sorted(lpmkit._WHERE) == sorted(lpmkit.__all__)
    for name in lpmkit.__all__:
        assert getattr(lpmkit, name).__module__.startswith("lpmkit.")
