"""What all tests have in common."""

from __future__ import annotations

import pytest

#: Whole moves with a dozen processes each, four at a time: one that waits for a core too long is tried once more, and both tries are reported.
CROWDED = ("tests/end_to_end/", "tests/browser/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(CROWDED):
            item.add_marker(pytest.mark.flaky(reruns=1))
