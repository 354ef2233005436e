"""Readers take work in proportion to what they read.

What a reader does in Python is counted, line by line: twice the text is at most somewhat more than twice the lines, on
any machine. What the C library does in one line (a regular expression that goes back and back) is not counted, so the
processor's time for a long text is looked at too, and only where it is long: a reader that grows with the square of
its text takes sixteen times as long for four times the text.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from lpmkit.control.codes import codes_in
from lpmkit.errors import LpmError
from lpmkit.mapping.movers import TWO_PAIRS, choose_movers
from lpmkit.oracle.sqlplus import read_rows
from tests.test_recordings import FIXTURES
from tests.test_sap_readers import reader_of

#: Packages that read what machines print, and the beginnings of their readers' names.
PACKAGES = ("control", "sap", "oracle", "runs", "ssh", "probes")
BEGINNINGS = ("read_", "parse_", "_parsed")
#: Numbers of lines whose work is counted, and numbers of pieces whose time is looked at.
COUNTED = (200, 400, 800)
TIMED = (10_000, 40_000)
#: Processor seconds that are not looked at more closely.
SHORT_S = 0.5
#: What readers go back over: blanks, empty lines, words, separators, beginnings of records.
PIECES = ("\n", " ", ".", "a", "a . ", ": ", "<msg ", "x=", "'", '"', ",", "1 license key ", "- ", "a=b,", "name:\n")


def readers() -> dict[str, Callable[[Any], object]]:
    """Every function of these packages that reads a text and needs nothing else."""
    found: dict[str, Callable[[Any], object]] = {}
    for package in PACKAGES:
        root = importlib.import_module(f"lpmkit.{package}")
        for module in pkgutil.walk_packages(root.__path__, f"lpmkit.{package}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if inspect.isfunction(value) and value.__module__ == module.name and _reads_a_text(name, value):
                    found[f"{module.name.removeprefix('lpmkit.')}.{name}"] = value
    return found


def _reads_a_text(name: str, value: Callable[..., object]) -> bool:
    first, *others = [*inspect.signature(value).parameters.values(), None]
    return (
        name.startswith(BEGINNINGS)
        and first is not None
        and str(first.annotation) in ("str", "bytes")
        and all(other is None or other.default is not other.empty for other in others)
    )


@cache
def recordings() -> dict[str, str]:
    """One recorded text for each reader that has one."""
    found: dict[str, str] = {}
    for notes, text in _recorded():
        found.setdefault(notes["reader"].removeprefix("lpmkit.").replace(":", "."), text)
    return found


def _recorded() -> Iterator[tuple[dict[str, Any], str]]:
    for path in sorted(FIXTURES.glob("*/*/*.json")):
        notes = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(notes, dict) and isinstance(notes.get("reader"), str) and path.with_suffix(".txt").is_file():
            text = path.with_suffix(".txt").read_text(encoding="utf-8")
            if text.strip():
                yield notes, text if text.endswith("\n") else f"{text}\n"


def with_arguments() -> dict[str, Callable[[Any], object]]:
    """The readers of SAP's answers that need more than a text, as a recording calls them."""
    return {
        notes["reader"].removeprefix("lpmkit.").replace(":", "."): reader_of(notes)
        for notes, _ in _recorded()
        if notes.get("arguments")
    }


READERS: dict[str, Callable[[Any], object]] = {
    **with_arguments(),
    **readers(),
    "oracle.sqlplus.read_rows": lambda text: read_rows(text.splitlines()),
    "control.codes.codes_in": codes_in,
    "mapping.movers.choose_movers": lambda text: choose_movers((), (), {TWO_PAIRS: text}),
}


def given(name: str, text: str) -> str | bytes:
    """A text as its reader takes it."""
    parameter = next(iter(inspect.signature(READERS[name]).parameters.values()))
    return text.encode() if str(parameter.annotation) == "bytes" else text


def lines_of(work: Callable[[], object]) -> int:
    """The number of lines of Python that some work executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def of_lines(text: str, number: int) -> str:
    """So many lines of a text, which is repeated whole."""
    return text * max(1, number // text.count("\n"))


@pytest.mark.parametrize("name", READERS)
def test_the_lines_that_a_reader_executes_grow_with_its_text_and_not_faster(name: str) -> None:
    for text in filter(None, (recordings().get(name), 'a:b:c d=e,f="g" 1 0x2 -\n')):
        executed = []
        for number in COUNTED:
            long = of_lines(text, number)
            executed.append(lines_of(partial(_tried, name, given(name, long))) / long.count("\n"))
        growth = [after / before for before, after in pairwise(executed)]
        assert all(factor <= 1.1 for factor in growth), f"{executed} lines for each of {COUNTED} lines of {text[:80]!r}"


def _tried(name: str, text: str | bytes) -> None:
    # pyarrow refuses with a ValueError of its own; whether a text is refused is not what is counted here.
    with suppress(LpmError, ValueError):
        READERS[name](text)


def seconds_of(name: str, text: str | bytes) -> float:
    began = time.process_time()
    _tried(name, text)
    return time.process_time() - began


@pytest.mark.parametrize("name", READERS)
def test_what_a_reader_leaves_to_the_library_grows_with_its_text_and_not_with_its_square(name: str) -> None:
    for piece in PIECES:
        short, long = (given(name, f"<msg {piece * number}") for number in TIMED)
        if seconds_of(name, long) < SHORT_S:
            continue
        # Three times each, and the fastest: what else this machine does is no growth.
        took = [min(seconds_of(name, text) for _ in range(3)) for text in (short, long)]
        assert took[1] < max(SHORT_S, 10 * took[0]), f"{took} s for {TIMED} times {piece!r}"


def test_the_readers_are_found_and_the_count_tells_a_square_from_a_line() -> None:
    recorded = {name for name in recordings() if name.rpartition(".")[2].startswith("read_")}
    assert recorded <= set(READERS)
    assert {"sap.host.read_licences", "oracle.log_xml.read_element", "sap.sapcontrol.read_system_log"} <= set(READERS)

    def square(number: int) -> int:
        return sum(1 for one in range(number) for other in range(number) if one == other)

    few, many = lines_of(lambda: square(40)), lines_of(lambda: square(80))
    assert many > 3 * few
