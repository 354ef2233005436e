"""The recordings are the referee: what the simulator prints is what they say, and what the readers understand.

Simulator and readers were written apart from one another, and every recording of a machine of the landscape is held
against both: here against the simulator, before a move, in mid-copy and after it; in ``test_recordings`` against the
reader. How strictly a recording is compared stands in it (``compare``, ``varying``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmkit.simulator import Simulator
from lpmkit.ssh.session import Reply
from tests.simulator_cases import FAST, migrate, ssh, until
from tests.test_recordings import all_recordings, as_json, named, reader_of


def _of(moment: str) -> list[Any]:
    notes = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in all_recordings()]
    return [
        pytest.param(path, about, id=named(path))
        for path, about in notes
        if about["command"] and about["moment"] == moment
    ]


@pytest.fixture(scope="module")
def before() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def copying() -> Iterator[Simulator]:
    """A move whose movers have stopped sending: it stays in mid-copy as long as somebody looks."""
    with Simulator(speed=FAST, faults=["mover-hangs"]) as simulator:
        assert ssh(simulator, "bvio82", migrate("m", "--async")).status == 0
        assert until(lambda: _bytes_moved(simulator))
        yield simulator


@pytest.fixture(scope="module")
def after() -> Iterator[Simulator]:
    with Simulator(speed=FAST) as simulator:
        assert ssh(simulator, "bvio82", migrate()).status == 0
        yield simulator


def _bytes_moved(simulator: Simulator) -> bool:
    said = ssh(simulator, "bvio82", "lslparmigr -r lpar -F bytes_transmitted --filter lpar_names=bxaix85")
    return said.out.strip().isdigit() and int(said.out) > 0


def _blanked(text: str, patterns: list[str]) -> str:
    for pattern in patterns:
        text = re.sub(pattern, "~", text, flags=re.MULTILINE)
    return text


def _read(path: Path, about: dict[str, Any], text: str, error: str) -> Any:
    if about["reader"].endswith(":messages"):
        return as_json(reader_of(about)(Reply(about["host"], about["command"], about["status"], text, error)))
    return as_json(reader_of(about)(text))


def _hold_against(simulator: Simulator, path: Path, about: dict[str, Any]) -> None:
    answer = ssh(simulator, about["host"], about["command"], about["stdin"])
    recorded = path.with_suffix(".txt").read_text(encoding="utf-8")
    patterns, how = about.get("varying", []), about.get("compare", "text")
    assert answer.status == about["status"], answer
    if how == "text":
        assert _blanked(answer.out, patterns) == _blanked(recorded, patterns)
        assert _blanked(answer.err, patterns) == _blanked(about["stderr"], patterns)
    elif how == "lines":
        assert set(_blanked(recorded, patterns).splitlines()) <= set(_blanked(answer.out, patterns).splitlines())
    elif how == "values":
        assert _read(path, about, answer.out, answer.err) == about["expected"]
    else:
        assert how == "form"
    # Whatever differs, the reader understands what the simulator says.
    _read(path, about, answer.out, answer.err)


@pytest.mark.parametrize(("path", "about"), _of("before"))
def test_before_a_move_the_simulator_prints_what_is_recorded(
    before: Simulator, path: Path, about: dict[str, Any]
) -> None:
    _hold_against(before, path, about)


@pytest.mark.parametrize(("path", "about"), _of("copying"))
def test_in_mid_copy_the_simulator_prints_what_is_recorded(
    copying: Simulator, path: Path, about: dict[str, Any]
) -> None:
    _hold_against(copying, path, about)


@pytest.mark.parametrize(("path", "about"), _of("after"))
def test_after_a_move_the_simulator_prints_what_is_recorded(
    after: Simulator, path: Path, about: dict[str, Any]
) -> None:
    _hold_against(after, path, about)


def test_no_recording_of_the_landscape_is_left_out() -> None:
    moments = {json.loads(path.read_text(encoding="utf-8"))["moment"] for path in all_recordings()}
    assert moments == {"before", "copying", "after", None}
