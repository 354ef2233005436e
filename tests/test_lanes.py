"""The live lanes: what they cost does not grow, and a silence shows however long the run is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lpmkit.plots.live import COLUMNS, WINDOW_S, Lanes
from lpmkit.runs import samples
from lpmkit.runs.folder import Run, create
from lpmkit.runs.samples import Tail, files
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Outcome, Sample
from tests.made_runs import MadeClock

S = 1_000_000_000


@pytest.fixture
def clock() -> MadeClock:
    return MadeClock(now_ns=100 * S)


@pytest.fixture
def run(tmp_path: Path, clock: MadeClock) -> Run:
    return create(tmp_path, mode="watch", title="a test", facts={"hosts": ["h"]}, clock=clock)


def answered(*at_s: float) -> list[Sample]:
    return [Sample(n, answered_ns=round(at * S)) for n, at in enumerate(at_s)]


def test_a_tail_gives_each_answer_once_and_a_line_that_is_not_whole_later(run: Run) -> None:
    with RunWriter(run.path) as writer:
        writer.samples("icmp", [*answered(1.0, 2.0), Sample(9, outcome=Outcome.LOST, detail='gone, "they" say')])
        writer.flush()
        (file,) = run.sample_files()
        tail = Tail(file)
        assert tail.answers().tolist() == [S, 2 * S]
        with file.path.open("ab") as torn:
            torn.write(b"10,,,3000000000,,")
        assert tail.answers().tolist() == []
        with file.path.open("ab") as torn:
            torn.write(b",,answered,\n")
        assert tail.answers().tolist() == [3 * S]
        writer.pack()
    assert tail.answers().tolist() == [], "packed meanwhile: nothing is given twice"
    (packed,) = run.sample_files()
    assert Tail(packed).answers().tolist() == [S, 2 * S, 3 * S]


def test_a_tail_of_a_long_file_begins_near_its_end_and_leaves_out_what_is_cut(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "TAIL_BYTES", 500)
    with RunWriter(run.path) as writer:
        writer.samples("icmp", answered(*range(1, 2000)))
    (file,) = run.sample_files()
    came = Tail(file).answers()
    assert came.tolist() == [n * S for n in range(2000 - len(came), 2000)]
    assert 5 < len(came) < 50


def test_a_silence_shows_in_a_slow_lane_of_a_long_run(run: Run, clock: MadeClock) -> None:
    """An even selection of the last megabytes had left a mark every few seconds of it."""
    lines = np.arange(1.0, 3600.0, 0.1)
    with RunWriter(run.path, clock) as writer:
        writer.samples("ssh-echo", answered(*lines[(lines < 3590.0) | (lines > 3591.5)]))
        writer.flush()
        clock.now_ns = 3600 * S
        lanes = Lanes(run, clock)
        lanes.follow()
        (lane,) = lanes.words()
        assert lane.longest_s == pytest.approx(1.6, abs=0.05)
        drawn = lanes._columns("ssh-echo")
        assert len(drawn) > 0.9 * (WINDOW_S - 1.6) * 10, "every answer within the window has its mark"


def test_a_lane_has_no_more_marks_than_columns_of_pixels_and_forgets_what_left_the_window(
    run: Run, clock: MadeClock
) -> None:
    lanes = Lanes(run, clock)
    with RunWriter(run.path, clock) as writer:
        for second in range(100, 200, 10):
            writer.samples("ssh-ticks", answered(*np.arange(second, second + 10, 0.001)))
            writer.flush()
            clock.now_ns = (second + 10) * S
            lanes.follow()
        assert len(lanes._answered["ssh-ticks"]) == pytest.approx(WINDOW_S * 1000, abs=2)
        assert len(lanes._columns("ssh-ticks")) <= COLUMNS
        assert lanes.svg().count("M") <= 3 + 7, "a busy lane is one mark"


def test_while_a_run_is_recorded_a_silence_grows_and_afterwards_the_window_ends_with_the_last_answer(
    run: Run, clock: MadeClock
) -> None:
    with RunWriter(run.path, clock) as writer:
        writer.samples("icmp", answered(90.0, 95.0))
        writer.flush()
        lanes = Lanes(run, clock)
        lanes.follow()
        assert [(one.ago_s, one.longest_s) for one in lanes.words()] == [(5.0, 5.0)]
        clock.now_ns = 200 * S
        lanes.follow()
        assert [(one.ago_s, one.longest_s) for one in lanes.words()] == [(105.0, WINDOW_S)]
    lanes = Lanes(run, clock)
    lanes.follow()
    assert [(one.ago_s, one.longest_s) for one in lanes.words()] == [(0.0, 5.0)]


@pytest.mark.parametrize("written", [0, 5], ids=["empty", "half a heading"])
def test_a_file_whose_heading_is_not_written_yet_is_followed(run: Run, clock: MadeClock, written: int) -> None:
    with RunWriter(run.path, clock) as writer:
        writer.samples("icmp", answered(1.0, 2.0))
    (file,) = files(run.path / "samples")
    content = file.path.read_bytes()
    file.path.write_bytes(content[:written])
    tail = Tail(file)
    assert tail.answers().tolist() == []
    file.path.write_bytes(content)
    assert len(tail.answers()) == 2


def test_the_next_recorders_file_is_followed_and_a_run_without_samples_says_so(run: Run, clock: MadeClock) -> None:
    lanes = Lanes(run, clock)
    lanes.follow()
    assert lanes.words() == []
    assert "No probe has reported yet." in lanes.svg()
    for at in (90.0, 95.0):
        with RunWriter(run.path, clock) as writer:
            writer.event("recorder", "recorder-started")
            writer.samples("icmp", answered(at))
            writer.flush()
            lanes.follow()
    assert [one.ago_s for one in lanes.words()] == [5.0]
    assert len(lanes._answered["icmp"]) == 2
