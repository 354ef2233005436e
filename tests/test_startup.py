"""Starting lpmkit: help and completion load click and nothing else of other people's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib import import_module

import click
import pytest

from lpmkit.cli import MODULES, all_commands, main

_LOADED = """
import json, sys
try:
    {code}
except SystemExit:
    pass
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""


def loaded(code: str, **environment: str) -> set[str]:
    """The modules that are loaded once a new interpreter has run ``code``."""
    child = subprocess.run(
        [sys.executable, "-c", _LOADED.format(code=code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(child.stdout.splitlines()[-1]))


@cache
def with_click_alone() -> frozenset[str]:
    return frozenset(loaded("import click.shell_completion"))


def others(modules: set[str]) -> set[str]:
    """Packages beside click, lpmkit and Python's own."""
    names = {name.partition(".")[0] for name in modules - with_click_alone()}
    return names - sys.stdlib_module_names - {"click", "lpmkit"}


def typed(*words: str) -> str:
    return f"from lpmkit.cli import main; main({list(words)!r}, prog_name='lpmkit')"


@pytest.mark.parametrize("words", [("--help",), ("move", "--help"), ("plan", "run", "--help"), ("--version",)])
def test_help_loads_no_library_but_click(words: tuple[str, ...]) -> None:
    modules = loaded(typed(*words))
    assert others(modules) == set()
    assert not {"lpmkit.config", "lpmkit.runbook", "lpmkit.runs.folder"} & modules


def test_a_command_loads_the_module_of_its_own_and_not_those_of_the_others() -> None:
    modules = {name for name in loaded(typed("explain", "--help")) if name.startswith("lpmkit.commands.")}
    assert "lpmkit.commands.explain" in modules
    assert not {"lpmkit.commands.plan", "lpmkit.commands.watch"} & modules


def test_what_runs_loads_what_it_needs() -> None:
    """The other side of the tests above: they see a library where there is one."""
    assert {"rich", "ruamel"} <= others(loaded(typed("explain", "HSCLA27C")))


def test_the_table_of_modules_names_every_command_once() -> None:
    for module, names in MODULES.items():
        commands = import_module(f"lpmkit.commands.{module}").COMMANDS
        assert tuple(command.name for command in commands) == names, module
    assert len(all_commands()) == sum(map(len, MODULES.values()))
    assert main.get_command(click.Context(main), "no-such-command") is None


def test_jupyters_servers_compile_no_grammar_that_they_never_use() -> None:
    modules = loaded("import lpmkit.notebook.server")
    assert {"jsonschema", "jupyter_server", "voila"} <= others(modules)
    assert "lark" not in others(modules)
