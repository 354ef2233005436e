"""The parts that all tests have in common."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.doctest import DoctestModule
from click.testing import CliRunner, Result

from lpmkit.cli import main

# A deadline is a limit of time, which a busy machine breaks; nothing here depends on time.
hypothesis.settings.register_profile("without a deadline", deadline=None)
hypothesis.settings.load_profile("without a deadline")

# Whoever does without compiled files elsewhere has them here all the same: each worker would read, rewrite and compile
# every test again, and each of the thousand processes that tests start all of lpmkit.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# jsonschema uses this package where it is there, and it compiles grammars of addresses for two seconds when it is
# imported, in every worker; no schema of lpmkit has such a format.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

#: What mostly waits, and is therefore begun first by every worker: the longest before all others, one to each.
LONG = (
    "tests/browser/test_runbook.py",
    "tests/end_to_end/test_notebooks.py::test_the_numbered",
    "tests/browser/test_application.py",
    "tests/accuracy/",
    "tests/end_to_end/test_evacuation.py",
    "tests/end_to_end/",
    "tests/browser/",
)


def _held(invoke: Any) -> Any:
    """Commands of lpmkit that a test invokes, with what they answer for programs held against its schema."""

    @wraps(invoke)
    def invoked(self: CliRunner, cli: Any, args: str | Sequence[str] | None = None, *more: Any, **kept: Any) -> Result:
        result: Result = invoke(self, cli, args, *more, **kept)
        if cli is main and args is not None and not isinstance(args, str) and "--json" in args:
            from tests.answers import hold  # noqa: PLC0415 - loads what few workers need

            hold(args, result.exit_code, result.stdout)
        return result

    return invoked


CliRunner.invoke = _held(CliRunner.invoke)  # type: ignore[method-assign]


class Examples:
    """Looks for examples in docstrings only where there are some: pytest imports every module of lpmkit for them, and
    goes through all its names.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        collectors = yield
        has_none = file_path.suffix == ".py" and b">>> " not in file_path.read_bytes()
        return [each for each in collectors if not (has_none and isinstance(each, DoctestModule))]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Examples())
    if "PYTEST_XDIST_WORKER" in os.environ:
        # for one test alone a process that forks costs more than a partition that starts by itself
        from lpmkit.simulator import host  # noqa: PLC0415
        from tests.durable_disk import wait_for_no_disk  # noqa: PLC0415
        from tests.forked import forking  # noqa: PLC0415

        wait_for_no_disk()
        forking(host).start()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Before any worker starts."""
    from tests.collected import start  # noqa: PLC0415 - only the process that starts workers needs it

    start(specs, config.args)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """All modules and tests stay to the end, so Python does not look through them for garbage again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers)


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests so ordered that each worker, which gets one stretch of them, begins with its share of the long ones.

    Left as they are, all of these would be in the first stretch, and what is stolen from a stretch is stolen from its
    end.
    """
    long = [item for item in items if item.nodeid.startswith(LONG)]
    long.sort(key=lambda item: next(place for place, name in enumerate(LONG) if item.nodeid.startswith(name)))
    short = [item for item in items if not item.nodeid.startswith(LONG)]
    found: list[pytest.Item] = []
    for worker in range(workers):
        mine = long[worker::workers]
        left = len(items) - len(found)
        room = left // (workers - worker) - len(mine)
        found += mine + short[:room]
        del short[:room]
    return found
