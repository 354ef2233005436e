"""What lpmkit imports is declared in pyproject.toml, and nothing else is."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Declared packages that no import statement names, with the text that does.
BY_NAME = {"jupyterlab": '"-m", "jupyterlab"', "oracledb": '"oracledb"', "cx-oracle": '"cx_Oracle"'}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def imported(source: str) -> Iterator[str]:
    """The top-level packages that a module imports, in functions too, but not for the type checker alone."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def packages_of(*folders: str) -> dict[str, set[str]]:
    """The packages that the modules of folders import, with the modules that do."""
    known = packages_distributions()
    users: dict[str, set[str]] = {}
    for path in sorted(path for folder in folders for path in (TOP / folder).rglob("*.py")):
        for name in imported(path.read_text(encoding="utf-8")):
            if name in sys.stdlib_module_names or name in ("lpmkit", "tests", "benchmarks", "docs"):
                continue
            users.setdefault(canonicalize_name(known[name][0]), set()).add(str(path.relative_to(TOP)))
    return users


def test_every_package_that_lpmkit_imports_is_declared_and_no_other() -> None:
    users, declared = packages_of("lpmkit"), names(PROJECT["dependencies"])
    assert {name: users[name] for name in set(users) - declared} == {}, "imported, not declared"
    assert declared - set(users) - set(BY_NAME) == set(), "declared, imported nowhere"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_package_that_is_started_or_loaded_by_its_name_is_named(name: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in (TOP / "lpmkit").rglob("*.py")]
    assert any(BY_NAME[name] in " ".join(source.split()) for source in sources)


def test_every_package_that_the_tests_import_is_declared() -> None:
    declared = names([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    users = packages_of("tests", "benchmarks", "docs")
    assert {name: users[name] for name in set(users) - declared} == {}
