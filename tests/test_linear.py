"""Readers take time in proportion to what they read: four times the text takes at most some eight times the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from lpmkit.errors import UnexpectedReply
from lpmkit.oracle.alert_log import read_element
from lpmkit.sap.host import read_hardware_key, read_licences

SIZES = (10_000, 20_000, 40_000)
#: What takes less is not told from noise.
SHORT_S = 0.2


@pytest.mark.parametrize("piece", ["\n", " ", ".", "a", "a . ", ": ", "<msg ", "x=", "'", "1 license key ", "- "])
@pytest.mark.parametrize("read", [read_licences, read_hardware_key, read_element])
def test_a_reader_grows_with_its_text_and_not_faster(read: Callable[[str], object], piece: str) -> None:
    took = []
    for size in SIZES:
        text = "<msg " + piece * size
        began = time.process_time()
        with suppress(UnexpectedReply):
            read(text)
        took.append(time.process_time() - began)
    assert took[-1] < max(SHORT_S, 8 * took[0]), took
