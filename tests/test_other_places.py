"""One host watched from two places with clocks of their own: figures side by side, and a silence of a path told from a
suspension.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lpmkit.analysis import analyse
from lpmkit.analysis.model import ClockStep, ClockTie, Interval
from lpmkit.analysis.other_places import Heard, ahead, compared, same_length
from lpmkit.migration.observers import Observer, note_observers, observers_of
from lpmkit.report.other_places import seen_elsewhere
from lpmkit.report.page import write_report
from lpmkit.report.writeup import write_up
from lpmkit.runs.folder import Run, write_document
from tests.made_runs import Made, make

#: By so much the clock of the other place is ahead of ours, and began later, seconds.
AHEAD_S = 7.25
HERE = Made(duration_s=40.0, suspend=(20.0, 21.5), dropped=True, network_out=((30.0, 32.0),))


def _there(made: Made) -> Made:
    """The same host, seen by an observer whose clock is `AHEAD_S` ahead: what happens has later times on it."""
    assert made.suspend is not None
    return replace(
        made,
        seed=2,
        mode="watch",
        offset_s=made.offset_s - AHEAD_S * (1 + made.drift),
        suspend=(made.suspend[0] + AHEAD_S, made.suspend[1] + AHEAD_S),
        duration_s=made.duration_s + AHEAD_S,
        network_out=(),
        icmp=True,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("places")
    mine, theirs = make(folder, HERE), make(folder, _there(HERE))
    note_observers(mine, [Observer("fra", theirs.name), Observer("ber", why="no worker has served it yet")])
    return mine, theirs


def test_the_clock_of_the_host_ties_those_of_two_observers_within_a_bound_that_holds(runs: tuple[Run, Run]) -> None:
    mine, theirs = (analyse(run).hosts[0] for run in runs)
    between = ahead(mine.tie, theirs.tie, mine.suspensions[0].begin.lo_ns)
    assert between is not None
    assert between.contains(round(AHEAD_S * 1e9))
    assert between.length_ns < 0.1e9
    assert ahead(None, theirs.tie, 0) is None
    assert ahead(ClockTie("time of day", 0, Interval(0, 1)), theirs.tie, 0) is None, (
        "two clocks of the host tie nothing"
    )


def test_a_suspension_is_silent_at_both_places_and_a_break_of_the_path_at_one(runs: tuple[Run, Run]) -> None:
    mine, theirs = (analyse(run).hosts[0] for run in runs)
    told = [(one.is_ours, one.heard, round(one.length.hi_ns / 1e9)) for one in compared(mine, theirs)]
    assert (True, Heard.NO, 2) in told
    assert (False, Heard.NO, 2) in told
    assert [heard for is_ours, heard, _ in told if is_ours] == [Heard.NO, Heard.YES], "the network was out here alone"
    assert [heard for is_ours, heard, _ in told if not is_ours] == [Heard.NO]
    back = [(one.is_ours, one.heard) for one in compared(theirs, mine)]
    assert back == [(True, Heard.NO), (False, Heard.NO), (False, Heard.YES)], "seen from there it is the same"


def test_without_a_common_clock_or_after_it_was_set_nothing_is_compared_but_lengths(runs: tuple[Run, Run]) -> None:
    mine, theirs = (analyse(run).hosts[0] for run in runs)
    step = ClockStep("bxaix85", "monotonic", Interval(0, 1), Interval(5, 6), "set")
    for other in (replace(theirs, tie=None), replace(theirs, steps=(step,))):
        assert {one.heard for one in compared(mine, other)} == {Heard.UNKNOWN}
        assert {one.at_ns for one in compared(mine, other) if not one.is_ours} == {None}


def test_who_did_not_look_heard_nothing_and_vouches_for_nothing(runs: tuple[Run, Run]) -> None:
    mine, theirs = (analyse(run).hosts[0] for run in runs)
    gone = replace(theirs, traces=())
    assert {one.heard for one in compared(mine, gone) if one.is_ours} == {Heard.UNKNOWN}
    early = replace(
        theirs,
        traces=tuple(
            replace(
                trace,
                span=Interval(trace.span.lo_ns, trace.span.lo_ns + 10**10),
                alive_lo=trace.alive_lo[trace.alive_hi < trace.span.lo_ns + 10**10],
                alive_hi=trace.alive_hi[trace.alive_hi < trace.span.lo_ns + 10**10],
            )
            for trace in theirs.traces
        ),
    )
    assert {one.heard for one in compared(mine, early) if one.is_ours} == {Heard.UNKNOWN}


def test_lengths_by_two_clocks_agree_within_what_clocks_drift() -> None:
    assert same_length(Interval(1_500_000_000, 1_510_000_000), Interval(1_510_500_000, 1_520_000_000))
    assert not same_length(Interval(1_500_000_000, 1_510_000_000), Interval(1_530_000_000, 1_540_000_000))


def test_the_report_shows_the_other_place_beside_and_names_the_one_that_did_not_watch(runs: tuple[Run, Run]) -> None:
    mine, theirs = runs
    seen = seen_elsewhere(mine, analyse(mine))
    (figure,) = seen.figures
    assert (figure.place, figure.run) == ("fra", theirs.name)
    assert figure.compared == "both bounds allow the same length"
    assert seen.missing == ("not observed from ber: no worker has served it yet",)
    assert any("the path from this observer was interrupted" in row["told"] for row in seen.silences)
    for language, sentence, path in (
        ("en", "not observed from ber: no worker has served it yet", "fra heard the host meanwhile"),
        ("de", "von ber nicht beobachtet: noch kein Arbeitsprozess", "fra hörte die Partition währenddessen"),
    ):
        page = write_report(mine.path, language=language).read_text()
        assert page.count(sentence) == 2, "beside the figures, and among what was not looked at"
        assert path in page


def test_the_summary_and_the_write_up_have_the_figures_of_other_places_too(runs: tuple[Run, Run]) -> None:
    mine, theirs = runs
    write_report(mine.path)
    places = json.loads((mine.path / "summary.json").read_text())["other_places"]
    (row,) = places["figures"]
    here = json.loads((mine.path / "summary.json").read_text())["suspension"]["length"]
    assert (row["place"], row["run"]) == ("fra", theirs.name)
    assert row["suspension"]["low"] < 1.5 < row["suspension"]["high"]
    assert row["suspension"] != here, "a figure of its own"
    assert places["missing"] == ["not observed from ber: no worker has served it yet"]
    for language, compared_text, missing in (
        ("en", "both bounds allow the same length", "not observed from ber: no worker has served it yet"),
        ("de", "beide Grenzen lassen dieselbe Länge zu", "von ber nicht beobachtet: noch kein Arbeitsprozess"),
    ):
        text = write_up(mine, ("md",), language=language)["md"].read_text()
        assert compared_text in text
        assert missing in text


def test_a_watch_that_never_began_or_died_or_is_not_here_is_told_of(tmp_path: Path) -> None:
    mine = make(tmp_path, HERE)
    died = make(tmp_path, replace(_there(HERE), ended=False))
    never = make(tmp_path, replace(HERE, mode="watch", duration_s=0.0, ticks=False, echo=False, connect=False))
    (never.path / "events.jsonl").unlink()
    write_document(never.path, "not-observed", {"place": "ham", "why": "your site file does not name that"})
    note_observers(mine, [Observer("fra", died.name), Observer("ham", never.name), Observer("muc", "nowhere")])
    fra, ham, muc = seen_elsewhere(mine, analyse(mine)).missing[:3]
    assert fra == "not observed from fra: its recorder died"
    assert ham == "not observed from ham: your site file does not name that"
    assert muc.startswith("not observed from muc: there is no run folder")
    write_document(mine.path, "observers", [{"place": "x", "run": "../../etc", "why": ""}])
    (text,) = seen_elsewhere(mine, analyse(mine)).missing
    assert "not known which other places watched" in text


def test_the_places_are_read_back_as_they_were_noted(tmp_path: Path) -> None:
    mine = make(tmp_path, replace(HERE, duration_s=1.0, suspend=None))
    assert observers_of(mine) == []
    note_observers(mine, [Observer("fra", "x"), Observer("ber", why="y")])
    assert observers_of(mine) == [Observer("fra", "x"), Observer("ber", why="y")]
