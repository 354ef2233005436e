"""The order in which a machine, its processes and its services resume; and what is no suspension though it looks like
one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lpmkit.analysis import Analysis, analyse, summary
from lpmkit.analysis.model import LikelyBy, OutageKind, Suspension
from lpmkit.plan.page import shown
from lpmkit.report.facts import brownout_row
from lpmkit.report.page import write_report
from lpmkit.report.writeup import write_up
from lpmkit.rules.question import AnswerState
from lpmkit.runs.history import History
from lpmkit.timeline import outwards
from tests.made_runs import MS, START, Made, S, make

STOP, RESUME = 30.0, 31.537


def _at(seconds: float) -> int:
    return START + round(seconds * S)


def _resumed(limp_s: float, **more: Any) -> Made:
    """A host whose kernel answers ``limp_s`` before its processes run."""
    world: dict[str, Any] = {"icmp": True, "suspend": (STOP, RESUME), "starved": ((RESUME, RESUME + limp_s),), **more}
    return Made(mode="watch", **world)


def _only(analysis: Analysis) -> Suspension:
    (host,) = analysis.hosts
    (still,) = host.suspensions
    return still


def _kinds(analysis: Analysis) -> set[OutageKind | None]:
    return {one.kind for host in analysis.hosts for one in host.outages}


@pytest.mark.parametrize("dropped", [True, False], ids=["lost", "queued"])
@pytest.mark.parametrize("limp_ms", [20, 60, 120, 600])
def test_a_kernel_that_answers_before_its_processes_run_ends_the_suspension(
    tmp_path: Path, limp_ms: int, dropped: bool
) -> None:
    analysis = analyse(make(tmp_path, _resumed(limp_ms / 1000, dropped=dropped)))
    still = _only(analysis)
    assert not still.contradicted
    assert still.begin.lo_ns <= _at(STOP)
    assert still.end.hi_ns >= _at(RESUME)
    assert still.end.hi_ns <= _at(RESUME) + 15 * MS
    assert still.likely.widened(2 * MS).contains(_at(RESUME) - _at(STOP))
    assert abs(still.best_ns - (_at(RESUME) - _at(STOP))) <= 8 * MS
    assert _kinds(analysis) <= {OutageKind.SUSPENSION, OutageKind.BROWN_OUT}
    assert analysis.verdict.question("outages").state is AnswerState.PASSED


def test_a_suspension_much_shorter_than_what_follows_it_is_one(tmp_path: Path) -> None:
    made = _resumed(0.7, suspend=(STOP, STOP + 0.09), starved=((STOP + 0.09, STOP + 0.8),), dropped=True)
    analysis = analyse(make(tmp_path, made))
    assert abs(_only(analysis).best_ns - 90 * MS) <= 10 * MS
    assert analysis.verdict.question("outages").state is AnswerState.PASSED


def test_the_brown_out_lasts_until_the_processes_tick_as_before(tmp_path: Path) -> None:
    (host,) = analyse(make(tmp_path, _resumed(0.6, dropped=True))).hosts
    (slow,) = [one for one in host.brown_outs if one.kind == "ticks"]
    assert slow.lasted.lo_ns <= 600 * MS
    assert slow.lasted.hi_ns >= 600 * MS
    assert slow.lasted.length_ns <= 200 * MS
    assert "0.6" in brownout_row(slow)["lasted"] or "0.7" in brownout_row(slow)["lasted"]


def test_a_host_that_hangs_while_a_kernel_answers_leaves_a_watch_open(tmp_path: Path) -> None:
    made = Made(mode="watch", suspend=None, icmp=True, starved=((30.0, 31.4),))
    question = analyse(make(tmp_path, made)).verdict.question("outages")
    assert question.state is AnswerState.NOT_EVALUATED
    assert "while a kernel answered" in question.answer


@pytest.mark.parametrize("probes", [{"icmp": True}, {"icmp": True, "connect": True}], ids=["icmp", "no session"])
def test_what_no_session_takes_part_in_is_no_suspension(tmp_path: Path, probes: dict[str, Any]) -> None:
    world: dict[str, Any] = {"ticks": False, "echo": False, "connect": False, "dropped": True, **probes}
    analysis = analyse(make(tmp_path, Made(mode="watch", **world)))
    assert analysis.suspension is None
    assert OutageKind.UNDECIDED in _kinds(analysis)
    assert analysis.verdict.question("outages").state is not AnswerState.PASSED


def test_ticks_alone_prove_no_suspension(tmp_path: Path) -> None:
    analysis = analyse(make(tmp_path, Made(mode="watch", echo=False, connect=False)))
    assert analysis.suspension is None
    assert analysis.verdict.question("outages").state is AnswerState.NOT_EVALUATED


def test_one_mechanism_alone_is_not_evaluated_within_a_limit_either(tmp_path: Path) -> None:
    run = make(tmp_path, Made(mode="move", echo=False, connect=False, phases=((20.0, "asked"), (40.0, "settled"))))
    manifest = run.path / "run.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "limits": {"suspend_s": 60.0}}))
    assert analyse(type(run)(run.path)).verdict.question("suspended").state is AnswerState.NOT_EVALUATED


@pytest.mark.parametrize("length_ms", [60, 90, 150, 300])
@pytest.mark.parametrize("seed", range(3))
def test_a_question_lost_in_a_short_suspension_is_explained_by_it(tmp_path: Path, length_ms: int, seed: int) -> None:
    made = Made(mode="watch", seed=seed, icmp=True, dropped=True, suspend=(30.03, 30.03 + length_ms / 1000))
    analysis = analyse(make(tmp_path, made))
    assert _kinds(analysis) <= {OutageKind.SUSPENSION, OutageKind.BROWN_OUT}
    assert analysis.verdict.question("outages").state is AnswerState.PASSED


def test_the_baseline_of_a_watch_is_what_was_quiet_wherever_it_lies(tmp_path: Path) -> None:
    events: dict[str, Any] = {"again": ((8.0, 8.9), (14.0, 15.2), (21.0, 21.7)), "suspend": (45.0, 45.3)}
    loud = analyse(make(tmp_path / "loud", Made(mode="watch", icmp=True, **events)))
    quiet = analyse(make(tmp_path / "quiet", Made(mode="watch", icmp=True, suspend=None)))
    for probe, noise in quiet.hosts[0].noises.items():
        assert loud.hosts[0].noises[probe].threshold_ns <= 1.3 * noise.threshold_ns, probe
        assert loud.hosts[0].noises[probe].alarms == 0
    assert any(one.began.hi_ns >= _at(44.9) for one in loud.hosts[0].sessions)


@pytest.mark.parametrize("seed", range(3))
def test_a_queue_that_is_full_does_not_tell_when_the_host_stopped(tmp_path: Path, seed: int) -> None:
    made = Made(mode="watch", seed=seed, icmp=True, suspend=(STOP, STOP + 2.5), queue_s=1.8)
    still = _only(analyse(make(tmp_path, made)))
    assert still.likely.widened(MS).contains(round(2.5 * S))
    assert abs(still.best_ns - 2.5 * S) <= 8 * MS


@pytest.mark.parametrize("limp_s", [0.0, 0.15, 0.9])
def test_a_clock_that_stood_still_tells_the_length_whatever_limps(tmp_path: Path, limp_s: float) -> None:
    made = _resumed(limp_s, counted=0.0, wall_counted=0.0, icmp=False)
    analysis = analyse(make(tmp_path, made))
    still = _only(analysis)
    assert still.likely_by is LikelyBy.CLOCK
    assert abs(still.best_ns - (_at(RESUME) - _at(STOP))) <= 5 * MS
    assert _kinds(analysis) <= {OutageKind.SUSPENSION, OutageKind.BROWN_OUT}


def test_a_clock_that_is_set_on_after_the_resume_makes_no_second_event(tmp_path: Path) -> None:
    made = _resumed(0.1, counted=0.0, wall_counted=0.0, step=(RESUME + 0.9, RESUME - STOP))
    analysis = analyse(make(tmp_path, made))
    still = _only(analysis)
    assert still.begin.lo_ns <= _at(STOP)
    assert still.end.hi_ns >= _at(RESUME)
    assert abs(still.best_ns - (_at(RESUME) - _at(STOP))) <= 25 * MS


def test_the_shortest_suspension_that_could_be_told_is_stated(tmp_path: Path) -> None:
    quiet = analyse(make(tmp_path / "quiet", Made(mode="watch", suspend=None, icmp=True)))
    busy = analyse(make(tmp_path / "busy", Made(mode="watch", suspend=None, icmp=True, jitter_ms=20.0, network_ms=9.0)))
    assert "shortest suspension that could have been told is" in quiet.verdict.question("outages").answer
    assert (busy.hosts[0].shortest_ns or 0) > (quiet.hosts[0].shortest_ns or 0)
    assert busy.suspension is None


def test_every_form_rounds_the_same_bounds_outwards(tmp_path: Path) -> None:
    run = make(tmp_path, Made(icmp=True, phases=((10.0, "asked"), (12.0, "copying"), (40.0, "settled"))))
    still = analyse(run).suspension
    assert still is not None
    low, high = outwards(still.length.lo_ns, still.length.hi_ns)
    assert low * 1e9 <= still.length.lo_ns
    assert high * 1e9 >= still.length.hi_ns
    write_report(run.path)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert f"{low:.3f} s … {high:.3f} s" in page
    figures = summary(analyse(run))["verdict"]["line"]
    assert f"{low:.3f} s … {high:.3f} s" in figures
    past = History(run.path.parent, keep=False)
    (row,) = past.rows(past.moves())
    assert f"{low:.3f} … {high:.3f} s" in row
    exact = {"suspended_low_s": still.length.lo_ns / 1e9, "suspended_high_s": still.length.hi_ns / 1e9}
    plan = {
        "suspended_s": still.best_ns / 1e9,
        "session_outage_low_s": low,
        "session_outage_high_s": high,
        "copy_s": None,
        "began_utc": "",
        "over_utc": "",
    }
    cells = shown({**exact, **plan})
    assert f"{low:.3f} … {high:.3f} s" in cells["suspended"]
    assert cells["outage"] == f"{low:.3f} … {high:.3f} s"
    for language, comma in (("en", "."), ("de", ",")):
        text = write_up(run, ("html",), language=language)["html"].read_text(encoding="utf-8")
        bounds = f"{low:.3f} … {high:.3f}".replace(".", comma)
        assert bounds in re.sub("[\u00a0\u202f]", " ", text), language


@pytest.mark.parametrize("ticked_ms", [15, 40, 80])
@pytest.mark.parametrize("seed", range(3))
def test_ticks_between_a_resume_and_a_late_tick_are_not_placed_before_the_stop(
    tmp_path: Path, ticked_ms: int, seed: int
) -> None:
    late = ((RESUME + ticked_ms / 1000, RESUME + ticked_ms / 1000 + 0.15),)
    made = _resumed(0.0, seed=seed, counted=0.0, wall_counted=0.0, dropped=True, starved=late)
    still = _only(analyse(make(tmp_path, made)))
    assert still.begin.lo_ns <= _at(STOP)
    assert still.end.hi_ns >= _at(RESUME)
    assert still.length.hi_ns >= _at(RESUME) - _at(STOP)
    assert abs(still.best_ns - (_at(RESUME) - _at(STOP))) <= 10 * MS
