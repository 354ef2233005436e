"""Resumes of kinds that are rare: each suspension is found with bounds that hold, what it was is right, and nothing is
made up.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lpmkit.analysis import Analysis, analyse
from lpmkit.analysis.breaks import _counted
from lpmkit.analysis.late_start import of_record
from lpmkit.analysis.model import ClockVerdict, Interval, LikelyBy, OutageKind, Suspension
from lpmkit.rules.question import AnswerState
from lpmkit.runs.folder import Run
from lpmkit.timeline import Event
from tests.made_runs import MS, START, Made, S, Spans, make

STOP, RESUME = 16.203, 17.74
ALL: dict[str, Any] = {"icmp": True, "acks": True, "dropped": True}
STOOD: dict[str, Any] = {"counted": 0.0, "wall_counted": 0.0}


def _watched(**world: Any) -> Made:
    return Made(**{"mode": "watch", "duration_s": 30.0, "suspend": (STOP, RESUME), **world})


def _kinds(analysis: Analysis) -> set[OutageKind | None]:
    return {one.kind for host in analysis.hosts for one in host.outages}


def _found(analysis: Analysis, made: Made) -> list[Suspension]:
    """The suspensions, one for each true one, with bounds that hold."""
    (host,) = analysis.hosts
    truths = sorted([*([made.suspend] if made.suspend else []), *made.again])
    assert len(host.suspensions) == len(truths)
    for still, (stop, resume) in zip(host.suspensions, truths, strict=True):
        assert not still.contradicted
        assert still.begin.lo_ns <= START + round(stop * S)
        assert still.end.hi_ns >= START + round(resume * S)
        assert still.length.contains(round((resume - stop) * S))
    return list(host.suspensions)


def _bursts(seed: int, a_second: float, least_ms: float, most_ms: float, until: float = 30.0) -> Spans:
    chance, at, spans = np.random.default_rng(seed), 0.0, []
    while (at := at + chance.exponential(1 / a_second)) < until:
        length = chance.uniform(least_ms, most_ms) / 1000
        spans.append((at, at + length))
        at += length
    return tuple(spans)


STALLS = ((RESUME + 0.2, RESUME + 0.6), (RESUME + 0.9, RESUME + 1.7), (RESUME + 2.3, RESUME + 2.6))


@pytest.mark.parametrize(("limp_s", "length_s"), [(0.15, 1.537), (0.9, 1.537), (0.7, 0.09)])
def test_a_clock_that_stood_still_tells_the_length_where_no_kernel_speaks(
    tmp_path: Path, limp_s: float, length_s: float
) -> None:
    suspend = (STOP, STOP + length_s)
    made = _watched(**STOOD, suspend=suspend, starved=((suspend[1], suspend[1] + limp_s),))
    (still,) = _found(analyse(make(tmp_path, made)), made)
    assert still.likely_by is LikelyBy.CLOCK
    assert abs(still.best_ns - length_s * S) <= 3 * MS
    assert still.length.hi_ns >= (length_s + limp_s) * S - 20 * MS, "that it was longer is not excluded"


@pytest.mark.parametrize(
    "world",
    [
        {**ALL, "slew": (10.0, 28.0, 83_333.0)},
        {**ALL, **STOOD, "slew": (RESUME + 0.5, 30.0, 83_333.0)},
        {"slew": (10.0, 28.0, 83_333.0)},
        {**ALL, "slew": (10.0, 28.0, -20_000.0)},
    ],
    ids=["meanwhile", "after it", "no kernel", "slowed down"],
)
def test_a_clock_that_is_slewed_in_a_hurry_breaks_no_bound_and_makes_up_no_step(
    tmp_path: Path, world: dict[str, Any]
) -> None:
    made = _watched(**world)
    analysis = analyse(make(tmp_path, made))
    _found(analysis, made)
    assert {one.about.split()[0] for one in analysis.hosts[0].steps} == {"slewed"}


def test_a_clock_that_is_slewed_in_a_hurry_makes_up_no_silence(tmp_path: Path) -> None:
    made = _watched(icmp=True, suspend=None, slew=(8.0, 26.0, 83_333.0))
    (host,) = analyse(make(tmp_path, made)).hosts
    assert host.outages == ()
    steps = {one.clock: one for one in host.steps}
    assert set(steps) == {"monotonic", "time of day"}
    assert abs(steps["monotonic"].step.middle_ns - 1.5 * S) <= 60 * MS


@pytest.mark.parametrize("clock", [{}, STOOD], ids=["counts", "stands still"])
@pytest.mark.parametrize("dropped", [True, False], ids=["lost", "queued"])
def test_two_suspensions_within_a_second_are_two(tmp_path: Path, clock: dict[str, Any], dropped: bool) -> None:
    again = ((RESUME + 0.4, RESUME + 0.9),)
    made = _watched(**{**ALL, "dropped": dropped}, **clock, again=again, again_counted=not clock)
    for still, length in zip(_found(analyse(make(tmp_path, made)), made), (RESUME - STOP, 0.5), strict=True):
        assert abs(still.best_ns - length * S) <= 10 * MS


@pytest.mark.parametrize(
    "world",
    [{**ALL, **STOOD}, {"icmp": True, **STOOD}, STOOD],
    ids=["requests were lost", "queued", "no kernel"],
)
def test_a_host_that_waits_for_pages_after_its_resume_is_not_suspended_again(
    tmp_path: Path, world: dict[str, Any]
) -> None:
    made = _watched(**world, stuck=STALLS)
    analysis = analyse(make(tmp_path, made))
    _found(analysis, made)
    assert _kinds(analysis) == {OutageKind.SUSPENSION, OutageKind.BROWN_OUT}
    assert analysis.verdict.question("outages").state is AnswerState.PASSED


@pytest.mark.parametrize("clock", [{}, STOOD], ids=["counts", "stands still"])
def test_a_network_that_returns_long_after_the_host_is_named(tmp_path: Path, clock: dict[str, Any]) -> None:
    made = _watched(**ALL, **clock, network_out=((RESUME, RESUME + 3.0),))
    analysis = analyse(make(tmp_path, made))
    (still,) = _found(analysis, made)
    assert abs(still.best_ns - (RESUME - STOP) * S) <= 8 * MS
    (network,) = [one for one in analysis.hosts[0].outages if one.kind is OutageKind.NETWORK]
    assert abs(network.length.middle_ns - 3 * S) <= 120 * MS
    assert analysis.verdict.question("outages").state is AnswerState.FAILED


@pytest.mark.parametrize("a_second", [10, 25])
def test_a_limit_to_echo_requests_is_no_silence_and_none_of_a_suspension(tmp_path: Path, a_second: int) -> None:
    quiet = _watched(icmp=True, suspend=None, icmp_a_second=a_second)
    assert _kinds(analyse(make(tmp_path / "quiet", quiet))) == set()
    busy = _watched(icmp=True, suspend=None, icmp_a_second=a_second, starved=_bursts(3, 0.3, 60, 150))
    assert _kinds(analyse(make(tmp_path / "busy", busy))) == {OutageKind.MICRO_STOP}
    moved = _watched(**ALL, icmp_a_second=a_second)
    analysis = analyse(make(tmp_path / "moved", moved))
    _found(analysis, moved)
    assert _kinds(analysis) == {OutageKind.SUSPENSION}


def test_many_requests_lost_by_chance_are_no_silence(tmp_path: Path) -> None:
    made = _watched(icmp=True, suspend=None, icmp_lost=0.2, duration_s=60.0)
    assert analyse(make(tmp_path, made)).hosts[0].outages == ()


@pytest.mark.parametrize("clock", [{}, STOOD], ids=["counts", "stands still"])
@pytest.mark.parametrize("noise", ["starved", "stuck"])
def test_a_suspension_at_the_noise_of_a_busy_host_is_found_by_what_it_lost(
    tmp_path: Path, noise: str, clock: dict[str, Any]
) -> None:
    bursts = tuple(one for one in _bursts(5, 2, 20, 80) if not STOP - 0.2 < one[0] < STOP + 0.3)
    made = _watched(**ALL, **clock, suspend=(STOP, STOP + 0.06), **{noise: bursts})
    _found(analyse(make(tmp_path, made)), made)


def test_ten_ticks_a_second_miss_no_slot_where_none_was_due(tmp_path: Path) -> None:
    found = {}
    for name, stop in (("between", 16.21), ("over one", 16.27)):
        made = _watched(**ALL, tick_hz=10, suspend=(stop, stop + 0.06))
        analysis = analyse(make(tmp_path / name, made))
        found[name] = {one.probe for one in analysis.hosts[0].outages if one.kind is OutageKind.SUSPENSION}
        assert OutageKind.MICRO_STOP not in _kinds(analysis)
        assert OutageKind.NETWORK not in _kinds(analysis)
    assert "ssh-ticks" in found["over one"]
    assert not found["between"], "too short for these ticks to tell from a break of the network"


@pytest.mark.parametrize("since", [STOP - 1.0, STOP - 0.2])
@pytest.mark.parametrize("clock", [{}, STOOD], ids=["counts", "stands still"])
def test_a_session_that_came_just_before_tells_as_much(tmp_path: Path, since: float, clock: dict[str, Any]) -> None:
    made = _watched(**ALL, **clock, session_from=since)
    (still,) = _found(analyse(make(tmp_path, made)), made)
    assert abs(still.best_ns - (RESUME - STOP) * S) <= 10 * MS


@pytest.mark.parametrize("since", [STOP + 1.0, RESUME + 2.0])
def test_a_session_that_came_too_late_decides_nothing(tmp_path: Path, since: float) -> None:
    analysis = analyse(make(tmp_path, _watched(**ALL, session_from=since)))
    assert analysis.suspension is None
    assert OutageKind.NETWORK not in _kinds(analysis), "nobody saw that the host ran on"
    assert analysis.verdict.question("outages").state is not AnswerState.PASSED


@pytest.mark.parametrize("seed", range(3))
def test_a_question_lost_in_a_stop_too_short_to_tell_is_no_fault_of_its_service(tmp_path: Path, seed: int) -> None:
    made = _watched(**ALL, seed=seed, suspend=(16.285, 16.315))
    analysis = analyse(make(tmp_path, made))
    assert analysis.suspension is None
    assert {one.kind for one in analysis.hosts[0].outages if one.probe == "ssh-echo"} == {OutageKind.UNDECIDED}
    assert analysis.verdict.question("outages").state is AnswerState.NOT_EVALUATED


def test_a_host_that_loses_what_is_sent_while_it_waits_for_pages_is_not_suspended_again(tmp_path: Path) -> None:
    """Requests to it are lost for 80 ms, and it had just answered 200 ms late: no stop of that size can be told."""
    stuck = tuple((RESUME + at, RESUME + at + 0.2) for at in (0.05, 0.3, 0.55))
    made = _watched(**ALL, stuck=stuck, again=((RESUME + 0.8, RESUME + 0.88),))
    (host,) = analyse(make(tmp_path / "slow", made)).hosts
    assert len(host.suspensions) == 1
    quick = _watched(**ALL, again=((RESUME + 0.8, RESUME + 0.88),))
    _found(analyse(make(tmp_path / "quick", quick)), quick)


@pytest.mark.parametrize("clock", [{}, STOOD], ids=["counts", "stands still"])
def test_short_waits_for_pages_close_behind_each_other_are_no_second_suspension(
    tmp_path: Path, clock: dict[str, Any]
) -> None:
    """Each is shorter than the host was late before it, and began within 100 ms of that."""
    stuck = tuple((RESUME + since, RESUME + until) for since, until in ((0.001, 0.13), (0.15, 0.23), (0.30, 0.36)))
    made = _watched(icmp=True, acks=True, **clock, stuck=stuck)
    _found(analyse(make(tmp_path, made)), made)


@pytest.mark.parametrize("length_s", [0.06, 0.09, 0.15])
def test_a_short_stop_before_a_longer_silence_of_a_busy_host_is_within_its_bounds(
    tmp_path: Path, length_s: float
) -> None:
    """Only acknowledgements show the kernel, and the clock how long it stood, not in which of the two silences."""
    resumed = STOP + length_s
    made = _watched(acks=True, **STOOD, suspend=(STOP, resumed), stuck=((resumed + 0.06, resumed + 0.6),))
    (still,) = _found(analyse(make(tmp_path, made)), made)
    assert abs(still.best_ns - length_s * S) <= 10 * MS


def test_a_clock_counted_one_second_and_no_more_only_where_that_is_known_closely() -> None:
    silence = Interval(1095 * MS, 1707 * MS)
    assert _counted(Interval(434 * MS, 445 * MS), silence) is ClockVerdict.COUNTED_PARTLY
    assert _counted(Interval(434 * MS, 445 * MS), Interval(1425 * MS, 1450 * MS)) is ClockVerdict.COUNTED_ONE_SECOND


def _notes(folder: Path) -> tuple[str, ...]:
    (run,) = (path for path in folder.rglob("run.json"))
    return analyse(Run(run.parent)).hosts[0].notes


@pytest.mark.parametrize("written", ["0.1", None, {"a": 1}, [None, "x", -1.0, 1e300, True, [0.1]]])
def test_what_somebody_wrote_into_a_record_is_no_late_start(written: Any) -> None:
    started = Event(0, START, START, "recorder", "recorder-started", {"late_starts_s": written})
    usual = of_record([started])
    assert usual is None or usual.most_ns <= 10 * S


LATE = {"icmp": False, "acks": False, "dropped": True, "connect": False}


def test_where_no_kernel_shows_the_resume_the_sites_earlier_moves_tell_how_late_processes_start(tmp_path: Path) -> None:
    length = round((RESUME - STOP) * S)
    late = _watched(**LATE, limp_s=0.06)
    (prompt,) = analyse(make(tmp_path / "as before", late)).hosts[0].suspensions
    assert prompt.length.lo_ns > length, "the inner edge allowed for no late start"
    (first_day,) = _found(analyse(make(tmp_path / "first", replace(late, late_starts_s=()))), late)
    assert first_day.length.lo_ns <= length
    assert first_day.likely.contains(length)
    assert any("up to 120 ms after the resume (based on 0 earlier moves" in note for note in _notes(tmp_path / "first"))
    assert not any("earlier move" in note for note in _notes(tmp_path / "as before"))
    known = replace(late, late_starts_s=(0.05, 0.06, 0.07) * 8)
    (later,) = _found(analyse(make(tmp_path / "later", known)), late)
    assert abs(later.best_ns - length) <= 20 * MS
    assert later.likely.contains(length)
    punctual = replace(late, limp_s=0.0, late_starts_s=(0.001,) * 20)
    (narrow,) = _found(analyse(make(tmp_path / "punctual", punctual)), punctual)
    assert narrow.likely.length_ns < first_day.likely.length_ns / 2


def test_the_late_start_of_processes_is_measured_where_a_kernel_shows_the_resume(tmp_path: Path) -> None:
    made = _watched(**ALL, limp_s=0.06)
    (still,) = _found(analyse(make(tmp_path / "seen", made)), made)
    assert still.late_start is not None
    assert still.late_start.widened(2 * MS).contains(60 * MS)
    (unseen,) = analyse(make(tmp_path / "unseen", _watched(**LATE, limp_s=0.06))).hosts[0].suspensions
    assert unseen.late_start is None
