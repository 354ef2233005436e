"""The imports of lpmkit are declared in pyproject.toml, and nothing else is."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pyarrow.csv import WriteOptions, write_csv
from pyarrow.parquet import read_table

from lpmkit.cli import main
from lpmkit.installed.extras import EXTRAS
from tests.test_startup import loaded

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Declared packages that no import statement names, with the text that does.
BY_NAME = {
    "jupyterlab": 'return ["jupyterlab", *address',
    "oracledb": '"oracledb"',
    "cx-oracle": '"cx_Oracle"',
    "psycopg": '"postgresql+psycopg"',
}


def names(requirements: list[str]) -> set[str]:
    return {str(canonicalize_name(Requirement(text).name)) for text in requirements} - {"lpmkit"}


#: What the extras for users bring.
OPTIONAL = names([text for extra in (*EXTRAS, "oracle10g") for text in PROJECT["optional-dependencies"][extra]])


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
            # the last one is the type checker's own
            if name in sys.stdlib_module_names or name in ("lpmkit", "tests", "benchmarks", "docs", "_typeshed"):
                continue
            users.setdefault(canonicalize_name(known[name][0]), set()).add(str(path.relative_to(TOP)))
    return users


def test_every_package_that_lpmkit_imports_is_declared_and_no_other() -> None:
    users, declared = packages_of("lpmkit"), names(PROJECT["dependencies"]) | OPTIONAL
    assert {name: users[name] for name in set(users) - declared} == {}, "imported, not declared"
    assert declared - set(users) - set(BY_NAME) == set(), "declared, imported nowhere"


@pytest.mark.parametrize("name", BY_NAME)
def test_a_package_that_is_started_or_loaded_by_its_name_is_named(name: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in (TOP / "lpmkit").rglob("*.py")]
    assert any(BY_NAME[name] in " ".join(source.split()) for source in sources)


def test_every_package_that_the_tests_import_is_declared() -> None:
    declared = names(PROJECT["dependencies"]) | OPTIONAL | names(PROJECT["optional-dependencies"]["test"])
    users = packages_of("tests", "benchmarks", "docs")
    assert {name: users[name] for name in set(users) - declared} == {}


# --- extras ----------------------------------------------------------------------------------------------------------

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
"""
OF_EXTRAS = {package for packages in EXTRAS.values() for package in packages}
RUN = TOP / "fixtures" / "runs" / "hmc-move"


def without_extras(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command where no package of an extra can be imported, in its children neither."""
    (folder / "sitecustomize.py").write_text(BLOCKER.format(packages=OF_EXTRAS))
    return subprocess.run(
        [sys.executable, "-m", "lpmkit.cli", *words],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        input="x\n",
        check=False,
    )


def test_the_extras_name_the_packages_that_pyproject_gives_them() -> None:
    known = packages_distributions()
    for extra, packages in EXTRAS.items():
        brought = {canonicalize_name(known[package][0]) for package in packages if package in known}
        assert brought == names(PROJECT["optional-dependencies"][extra]), extra
    assert PROJECT["optional-dependencies"]["all"] == [f"lpmkit[{','.join(EXTRAS)}]"]
    assert "lpmkit[all]" in PROJECT["optional-dependencies"]["test"]


def test_what_moves_and_records_imports_no_package_of_an_extra() -> None:
    names = ("runbook", "recorder.process", "probes.process", "doctor", "analysis", "sap.system")
    modules = ", ".join(f"lpmkit.{name}" for name in names)
    assert not {name.partition(".")[0] for name in loaded(f"import {modules}")} & OF_EXTRAS


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("write-up", str(RUN), "--json"), "report"),
        (("analyse", str(RUN), "--json"), "parquet"),
        (("lab", "--no-browser"), "notebook"),
        (("app", "--no-browser"), "notebook"),
        (("secret", "set", "a/b"), "keyring"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_missing_extra_is_named_with_the_line_to_type(words: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    done = without_extras(*words, folder=tmp_path)
    assert done.returncode == 2, done
    assert f"pip install 'lpmkit[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    if "--json" in words:
        assert json.loads(done.stdout)["next_step"] == f"pip install 'lpmkit[{extra}]'"


def test_the_verdict_needs_no_extra_and_a_report_that_does_is_told(tmp_path: Path) -> None:
    run = shutil.copytree(RUN, tmp_path / "run")
    for path in (run / "samples").iterdir():  # as a recorder leaves them that cannot pack them
        write_csv(read_table(path), path.with_suffix(".csv"), WriteOptions(quoting_style="needed"))
        path.unlink()
    told = without_extras("report", str(run), "--output", str(tmp_path / "out"), "--json", folder=tmp_path)
    assert told.returncode == 3, told
    assert "report not written: this needs the extra 'report'" in told.stderr
    answer = json.loads(told.stdout)
    assert answer["verdict"]["line"]
    assert (answer["report"], answer["complete"]) == (None, False)


def test_a_module_that_belongs_to_no_extra_is_a_defect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: object) -> None:
        raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("lpmkit.doctor.examine_machine", broken)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 3
    assert "a defect of lpmkit" in result.output
