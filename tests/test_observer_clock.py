"""The observer's own clocks: its time of day may be set, jump by a leap second, or be that of another zone. Lengths and
places are by its monotonic clock, which runs on within one boot.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import analyse, summary
from lpmkit.json_values import JsonObject
from lpmkit.runs.folder import Run
from lpmkit.runs.rows import COLUMNS
from tests.made_runs import START, Made, S, make

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
#: A recorder that died, and another one 5 s later.
TWO = Made(mode="watch", duration_s=40.0, suspend=(25.0, 26.5), hole=(12.0, 17.0))


def changed(run: Run, change: Callable[[JsonObject], object]) -> Run:
    """The run with its events changed."""
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    for event in events:
        change(event)
    (run.path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return Run(run.path)


def booted(boot: str) -> Callable[[JsonObject], object]:
    def note(event: JsonObject) -> None:
        if event["kind"] == "recorder-started":
            event["data"]["boot"] = boot

    return note


def lengths(run: Run) -> list[Any]:
    """The lengths that were found, by the monotonic clock."""
    found = analyse(run)
    (host,) = found.hosts
    return [
        [still.length for still in host.suspensions],
        [outage.outer for outage in host.outages],
        found.holes,
        found.record,
        [(one.key, one.state) for one in found.verdict.questions],
    ]


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 1.0, -1.0])
def test_a_time_of_day_that_is_set_moves_nothing(by_s: float, tmp_path: Path) -> None:
    """Between two recorders, and in the life of one; a leap second is a step of one second."""
    whole = lengths(changed(make(tmp_path / "whole", TWO), booted("one")))
    for at_s in (14.0, 30.0):
        run = changed(make(tmp_path / f"{at_s}", TWO), booted("one"))
        step = int(by_s * S)
        after = START + int(at_s * S)
        stepped = changed(run, lambda event, after=after, step=step: _set(event, after, step))  # type: ignore[misc]
        assert lengths(stepped) == whole


def _set(event: JsonObject, after: int, step: int) -> None:
    if event["mono_ns"] >= after:
        event["wall_ns"] += step


def test_a_process_of_probes_that_begins_anew_after_the_time_of_day_was_set_has_its_recorders_clock(
    tmp_path: Path,
) -> None:
    made = Made(mode="watch", duration_s=30.0, suspend=(22.0, 23.5))
    whole = lengths(make(tmp_path / "whole", made))
    run = make(tmp_path / "stepped", made)
    at = START + 15 * S
    path = run.path / "samples" / "ssh-echo.1.csv"
    head, *rows = path.read_text().splitlines()
    sent = COLUMNS.index("sent_ns")
    for segment in (1, 2):
        mine = [row for row in rows if (int(row.split(",")[sent]) >= at) is (segment == 2)]
        path.with_name(f"ssh-echo.{segment}.csv").write_text("\n".join([head, *mine]) + "\n")
    lines = (run.path / "events.jsonl").read_text().splitlines()
    began = next(json.loads(line) for line in lines if '"probe-started"' in line and "ssh-echo" in line)
    row = {**began, "mono_ns": at, "wall_ns": began["wall_ns"] + (at - began["mono_ns"]) + 3600 * S, "segment": 2}
    (run.path / "events.jsonl").write_text("\n".join([*lines[:-1], json.dumps(row), lines[-1]]) + "\n")

    def step(event: JsonObject) -> None:
        if event["segment"] == 1:
            _set(event, at, 3600 * S)

    stepped = lengths(changed(Run(run.path), step))
    assert stepped[3] == whole[3], "the record is as long as it was"
    (still,), (before,) = stepped[0], whole[0]
    assert still.lo_ns <= before.hi_ns
    assert before.lo_ns <= still.hi_ns
    assert stepped[2] == ()


def test_an_observer_that_was_restarted_is_placed_by_its_time_of_day(tmp_path: Path) -> None:
    whole = lengths(changed(make(tmp_path / "whole", TWO), booted("one")))
    run = make(tmp_path / "restarted", TWO)
    back = START + 10 * S
    for path in (run.path / "samples").glob("*.2.csv"):
        head, *rows = path.read_text().splitlines()
        own = [COLUMNS.index(name) for name in ("due_ns", "sent_ns", "answered_ns")]
        moved = [
            [str(int(cell) - back) if at in own and cell else cell for at, cell in enumerate(row.split(","))]
            for row in rows
        ]
        path.write_text("\n".join([head, *(",".join(row) for row in moved)]) + "\n")

    def restarted(event: JsonObject) -> None:
        booted("one" if event["segment"] == 1 else "two")(event)
        if event["segment"] == 2:
            event["mono_ns"] -= back

    assert lengths(changed(Run(run.path), restarted)) == whole


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def live_in(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield live_in
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", ["Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
def test_an_observer_in_another_zone_finds_the_same(name: str, zone: Callable[[str], None]) -> None:
    zone("UTC")
    at_home = summary(analyse(Run(FIXTURES / "hmc-move")))
    zone(name)
    assert summary(analyse(Run(FIXTURES / "hmc-move"))) == at_home
