"""An answer passes only where somebody looked; taking data away never makes one pass."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import Analysis, analyse
from lpmkit.runs.folder import Run
from lpmkit.runs.rows import COLUMNS
from lpmkit.runs.samples import files, last_rows
from tests.made_runs import START, Made, S, make

FIXTURES = Path(__file__).parent.parent / "fixtures" / "runs"
RECORDED = [
    FIXTURES / "watch",
    FIXTURES / "ivm-move",
    FIXTURES / "hmc-move",
    FIXTURES / "recovered-move",
    FIXTURES / "stopped-move",
]
#: Stretches that are removed from each recorded run, with a fixed seed.
CUTS = 6


def states(analysis: Analysis) -> dict[str, str]:
    return {question.key: question.state.value for question in analysis.verdict.questions}


def answer(analysis: Analysis, key: str) -> str:
    return next(question.answer for question in analysis.verdict.questions if question.key == key)


def without(run: Run, probe: str, wanted: Callable[[int], bool]) -> Run:
    """The run without the rows of one probe at the times that are not ``wanted`` (its own clock's nanoseconds)."""
    for file in files(run.path / "samples"):
        if file.probe != probe:
            continue
        rows = last_rows(file, 2**31, 2**31)
        kept = [row for row in rows if wanted(int(row[3] or row[2] or row[1] or 0))]
        file.path.unlink()
        text = "\n".join(
            [",".join(COLUMNS), *(",".join([*row[:8], json.dumps(row[8]) if row[8] else ""]) for row in kept)]
        )
        file.path.with_suffix(".csv").write_text(text + "\n", encoding="utf-8")
    return Run(run.path)


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_no_answer_becomes_better_when_any_probes_data_are_removed_for_any_stretch(
    folder: Path, tmp_path: Path
) -> None:
    before = states(analyse(Run(folder)))
    rng = random.Random(8)
    recorded = files(folder / "samples")
    for number in range(CUTS):
        run = Run(shutil.copytree(folder, tmp_path / str(number)))
        file = rng.choice(recorded)
        rows = last_rows(file, 2**31, 2**31)
        times = [int(row[3] or row[2] or row[1]) for row in rows if row[3] or row[2] or row[1]]
        low, high = sorted(rng.uniform(min(times), max(times)) for _ in range(2))
        if number == 0:
            low, high = min(times), max(times)  # all of it
        run = without(run, file.probe, lambda at, low=low, high=high: not low <= at <= high)  # type: ignore[misc]
        after = states(analyse(run))
        better = {key for key, state in after.items() if state == "passed" and before.get(key) != "passed"}
        assert not better, f"{file.probe} without {(high - low) / 1e9:.1f} s: {better}"


def test_probes_that_were_killed_are_not_evaluated_in_words_with_the_time(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=60.0, suspend=None))
    assert states(analyse(run))["outages"] == "passed"
    for probe in ("ssh-ticks", "ssh-echo", "tcp-connect"):
        run = without(run, probe, lambda at: at < START + 20 * S)
    found = analyse(run)
    assert states(found) | {"ora": "", "sap": ""} == {
        "outages": "not evaluated",
        "session": "not evaluated",
        "complete": "not evaluated",
        "ora": "",
        "sap": "",
    }
    assert "ssh-echo, ssh-ticks did not look from" in answer(found, "session")


def test_a_recorder_that_died_has_observed_nothing_completely(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=30.0, suspend=None, ended=False))
    found = states(analyse(run))
    assert found["complete"] == "not evaluated"
    assert found["outages"] == "not evaluated"
    assert "the recorder has not ended properly" in answer(analyse(run), "complete")


def test_a_watch_that_is_shorter_than_ordered_is_not_complete(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=30.0, suspend=None))
    facts: dict[str, Any] = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**facts, "duration_s": 60.0}))
    found = analyse(Run(run.path))
    assert states(found)["complete"] == "not evaluated"
    assert "30 s of the 60 s ordered were recorded" in answer(found, "complete")


def test_a_probe_that_was_ordered_and_never_began_withholds_the_answer(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=60.0, suspend=None))
    for file in (run.path / "samples").glob("ssh-echo*"):
        file.unlink()
    found = analyse(Run(run.path))
    assert states(found)["complete"] == "not evaluated"
    assert "ssh-echo did not look" in answer(found, "complete")


def test_a_silence_while_our_own_ticker_did_not_run_is_not_held_against_the_host(tmp_path: Path) -> None:
    made = Made(mode="watch", duration_s=60.0, suspend=None, banner_out=((30.0, 32.0),))
    run = make(tmp_path, made)
    assert states(analyse(run))["outages"] == "failed"
    run = without(run, "observer", lambda at: at < START + 20 * S)
    found = analyse(run)
    assert states(found)["outages"] == "not evaluated"
    assert "own ticker did not look" in answer(found, "outages")


def test_a_host_that_never_answered_has_no_answer(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=60.0, suspend=None, ticks=False, echo=False))
    for file in files(run.path / "samples"):
        if file.probe != "observer":
            text = file.path.read_text().replace(",answered,", ",silent,")
            lines = [",".join([*line.split(",")[:3], "", *line.split(",")[4:]]) for line in text.splitlines()[1:]]
            file.path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    found = analyse(Run(run.path))
    assert states(found)["outages"] == "not evaluated"
    assert "bxaix85 never answered" in answer(found, "outages")


@pytest.mark.parametrize("at_s", [0.5, 30.0])
def test_a_death_of_the_probes_process_is_a_gap_however_soon_the_next_one_looks(tmp_path: Path, at_s: float) -> None:
    run = make(tmp_path, Made(mode="watch", duration_s=60.0, suspend=None))
    died = START + int(at_s * S)
    run = without(run, "ssh-echo", lambda at: not died <= at <= died + S)
    what = {
        "probe": "ssh-ticks, ssh-echo",
        "what": "the process of ssh-ticks, ssh-echo ended by itself (exit status -9)",
    }
    row = {"mono_ns": died, "wall_ns": died, "segment": 1, "source": "recorder", "kind": "probe-trouble", "data": what}
    lines = (run.path / "events.jsonl").read_text().splitlines()
    (run.path / "events.jsonl").write_text("\n".join([*lines[:-1], json.dumps(row), lines[-1]]) + "\n")
    found = analyse(Run(run.path))
    assert states(found)["complete"] == "not evaluated"
    assert "ssh-echo, ssh-ticks did not look" in answer(found, "complete")


def test_probes_look_until_they_are_asked_to_end_however_much_later_the_last_of_them_has_ended(tmp_path: Path) -> None:
    """On a busy machine the observer's own ticker may end seconds after the others."""
    run = make(tmp_path, Made(mode="watch", duration_s=60.0, suspend=None))
    asked = START + 50 * S
    for probe in ("ssh-ticks", "ssh-echo", "tcp-connect"):
        run = without(run, probe, lambda at: at < asked)
    assert states(analyse(run))["complete"] == "not evaluated", "a run of an earlier version does not tell"
    events = run.path / "events.jsonl"
    *lines, last = events.read_text().splitlines()
    ended = json.loads(last)
    for until, state in ((asked, "passed"), (START + 58 * S, "not evaluated")):
        told = json.dumps({**ended, "data": {**ended["data"], "watched_to_ns": until}})
        events.write_text("\n".join([*lines, told]) + "\n")
        found = states(analyse(run))
        assert (found["complete"], found["outages"]) == (state, state)
