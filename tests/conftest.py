"""What all tests have in common."""

from __future__ import annotations

import os

import pytest

#: Whole moves with a dozen processes each, four at a time: one that waits for a core too long is tried once more, and both tries are reported.
CROWDED = ("tests/end_to_end/", "tests/browser/")
#: What mostly waits, and is therefore begun first by every worker.
LONG = (*CROWDED, "tests/accuracy/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(CROWDED):
            item.add_marker(pytest.mark.flaky(reruns=1))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A first try that failed is shown in full: a test that passes with the second may still tell of a defect."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests so ordered that each worker, which gets one stretch of them, begins with its share of the long ones.

    Left as they are, all of these would be in the first stretch, and what is stolen from a stretch is stolen from its end.
    """
    long = [item for item in items if item.nodeid.startswith(LONG)]
    short = [item for item in items if not item.nodeid.startswith(LONG)]
    found: list[pytest.Item] = []
    for worker in range(workers):
        mine = long[worker::workers]
        left = len(items) - len(found)
        room = left // (workers - worker) - len(mine)
        found += mine + short[:room]
        del short[:room]
    return found
