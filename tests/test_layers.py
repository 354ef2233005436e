"""Imports point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import lpmkit

PACKAGE = Path(lpmkit.__file__).parent
ORDER = [
    "errors",
    "json_values",
    "installed",
    "account",
    "timeline",
    "wording",
    "inventory",
    "limits",
    "settings",
    "config",
    "rules",
    "ssh",
    "control",
    "runs",
    "store",
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
    "board",
    "report",
    "sinks",
    "recorder",
    "runbook",
    "doctor",
    "site_setup",
    "rehearsal",
    "plan",
    "notebook",
    "schemas",
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
    code = (
        "import sys, lpmkit, lpmkit.cli; print([m for m in ('matplotlib', 'ipywidgets', 'paramiko', 'pandas') if m "
        "in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_paramiko_is_spoken_only_by_the_transports_and_what_streams_over_them() -> None:
    speakers = {
        str(path.relative_to(PACKAGE)) for path in SOURCES if "import paramiko" in path.read_text(encoding="utf-8")
    }
    transports = {"client", "connection", "greeting", "keys", "mux", "openssh", "paramiko_login", "relay"}
    assert speakers == {*(f"ssh/{name}.py" for name in transports), "probes/ssh.py", "doctor.py"}


def test_every_public_name_is_there_and_the_list_is_whole() -> None:
    assert sorted(lpmkit._WHERE) == sorted(lpmkit.__all__)
    for name in lpmkit.__all__:
        assert getattr(lpmkit, name).__module__.startswith("lpmkit.")


# --- cycles, inside of packages too ---------------------------------------------------------------------------------


def _loaded(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when a module is loaded: not those of a function, nor those for the type checker only."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from _loaded(node.body)
            yield from _loaded(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _loaded(node.body + [line for handler in node.handlers for line in handler.body])
            yield from _loaded(node.orelse + node.finalbody)
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from _loaded(node.body)


def imports_of(source: str, modules: Collection[str]) -> set[str]:
    """Those of ``modules`` that a module with this source names in the imports which run when it is loaded."""
    targets: set[str] = set()
    for node in _loaded(ast.parse(source).body):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif node.module and node.level == 0:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            targets |= {name if name in modules else node.module for name in inside}
    return targets & set(modules)


def cycles_of(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one node, or of one that names itself (Tarjan)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], index[other])
        if lowest[name] == index[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1 or name in graph[name]:
                cycles.append(sorted(part))

    for name in graph:
        if name not in index:
            visit(name)
    return cycles


def test_no_module_imports_itself_through_others_inside_of_a_package_or_across() -> None:
    paths = {
        ".".join(("lpmkit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    graph = {name: imports_of(path.read_text(encoding="utf-8"), paths) for name, path in paths.items()}
    assert sum(map(len, graph.values())) > len(graph)
    assert cycles_of(graph) == []


@pytest.mark.parametrize(
    ("sources", "cycles"),
    [
        ({"p": "", "p.a": "from p import b", "p.b": "from p.a import f"}, [["p.a", "p.b"]]),
        ({"p": "import p.b", "p.a": "import p.b", "p.b": "if x:\n    import p.a"}, [["p.a", "p.b"]]),
        ({"p": "from p.a import f", "p.a": "from p import f"}, [["p", "p.a"]]),
        (
            {
                "p.a": "try:\n    import p.b\nexcept E:\n    raise",
                "p.b": "class C:\n    import p.c",
                "p.c": "import p.a",
            },
            [["p.a", "p.b", "p.c"]],
        ),
        ({"p.a": "if TYPE_CHECKING:\n    from p import b", "p.b": "from p import a"}, []),
        ({"p.a": "def f():\n    from p import b", "p.b": "from p import a"}, []),
        ({"p.a": "from p.b import f\nfrom p.c import g", "p.b": "import p.c", "p.c": "import os"}, []),
    ],
)
def test_a_cycle_is_seen_as_such(sources: dict[str, str], cycles: list[list[str]]) -> None:
    assert cycles_of({name: imports_of(source, sources) for name, source in sources.items()}) == cycles
