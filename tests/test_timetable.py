"""The forecast of a plan: it keeps the rules of the conductor, and says what the windows allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.inventory import Frame, MoverPair
from lpmkit.limits import ChangeWindow
from lpmkit.plan import MovePlan
from lpmkit.plan.bars import Bar, bars_of, bars_svg
from lpmkit.plan.gantt import save_chart
from lpmkit.plan.outlook import (
    Outlook,
    WindowState,
    beside_then,
    from_listing,
    outlook,
    preparations,
    running_outlook,
    text_chart,
    to_document,
)
from lpmkit.plan.page import write_page
from lpmkit.plan.schedule import Stage, UnderWay, hold
from lpmkit.plan.status import plan_status
from lpmkit.plan.timetable import PREPARING, Expected, Surroundings, timetable, tonight
from lpmkit.prediction.distributions import LogNormal, Quantiles
from lpmkit.prediction.nights import Slowing
from lpmkit.runs.folder import create, write_document
from lpmkit.runs.writer import RunWriter
from tests.scripted_machines import BEGAN_NS, Machines, Told, conducting, planned

EXACT = Quantiles(100.0, 100.0, 100.0)
AT_ONCE = LogNormal(1e-6, 0.0)
FRAMES = {
    name: Frame(name, "8286-42A", name, active_migrations_supported=16, inactive_migrations_supported=16)
    for name in ("p8a", "p8b", "p8c")
}
AROUND = Surroundings(FRAMES, preparing_s=AT_ONCE)


def move(name: str, **more: Any) -> Expected:
    return Expected(name, "p8a", **{"target": "p8b", "whole_s": EXACT, **more})


def spans(plan: MovePlan, moves: list[Expected], around: Surroundings = AROUND) -> dict[str, tuple[int, int]]:
    """Begin and end of every move in the middle of the forecast, in seconds."""
    table = timetable(plan, moves, around, count=5)
    return {one.partition: (round(one.begin_s.p50), round(one.end_s.p50)) for one in table.moves}


def test_two_at_once_go_over_a_link_and_the_third_follows() -> None:
    plan = planned(*({"partition": name} for name in "abc"))
    assert spans(plan, [move(name) for name in "abc"]) == {"a": (0, 100), "b": (0, 100), "c": (100, 200)}


def test_another_target_is_another_link() -> None:
    plan = planned(*({"partition": name} for name in "ab"), {"partition": "c", "target": "p8c"})
    moves = [move("a"), move("b"), move("c", target="p8c")]
    assert spans(plan, moves)["c"] == (0, 100)


def test_what_comes_after_waits_for_the_post_migration_window_too() -> None:
    plan = planned({"partition": "db", "after": ["app"]}, {"partition": "app"})
    around = replace(AROUND, baseline_s=10.0, watched_s=60.0)
    assert spans(plan, [move("db"), move("app")], around) == {"app": (10, 110), "db": (180, 280)}


def test_members_of_a_cluster_follow_one_another_by_the_plan_and_by_what_they_told() -> None:
    named = planned({"partition": "a"}, {"partition": "b"}, clusters={"ha": ["a", "b"]})
    assert spans(named, [move("a"), move("b")])["b"] == (100, 200)
    plan = planned({"partition": "a"}, {"partition": "b"})
    told = replace(AROUND, clusters=dict.fromkeys("ab", frozenset({("PowerHA", "")})))
    assert spans(plan, [move("a"), move("b")], told)["b"] == (100, 200)


def test_a_frame_that_tells_no_limit_takes_one_and_movers_their_number() -> None:
    plan = planned(*({"partition": name} for name in "ab"))
    silent = replace(AROUND, frames={**FRAMES, "p8b": replace(FRAMES["p8b"], active_migrations_supported=None)})
    assert spans(plan, [move("a"), move("b")], silent)["b"] == (100, 200)
    pairs = (MoverPair("a1", 1, "", "b1", 1, ""),)
    busy = replace(AROUND, at_most={"a1": 1})
    assert spans(plan, [move("a", pairs=pairs), move("b", pairs=pairs)], busy)["b"] == (100, 200)
    two = (*pairs, MoverPair("a2", 2, "", "b2", 2, ""))
    assert spans(plan, [move("a", pairs=two), move("b", pairs=two)], replace(busy, at_most={"a1": 1, "a2": 1}))[
        "b"
    ] == (
        0,
        100,
    )


def test_preparations_follow_one_another() -> None:
    plan = planned(*({"partition": name} for name in "ab"))
    around = replace(AROUND, preparing_s=LogNormal(30.0, 0.0))
    assert spans(plan, [move("a"), move("b")], around) == {"a": (30, 130), "b": (60, 160)}


def test_what_is_under_way_or_over_is_where_it_is() -> None:
    plan = planned({"partition": "a"}, {"partition": "b"}, {"partition": "c", "after": ["a"]}, limits={"link": 1})
    moves = [move("a", stage=Stage.ARRIVED), move("b", stage=Stage.MOVING, since_s=60.0), move("c")]
    assert spans(plan, moves) == {"b": (-60, 40), "c": (40, 140)}
    in_baseline = [moves[0], move("b", stage=Stage.MOVING, baseline_left_s=5.0), moves[2]]
    assert spans(plan, in_baseline) == {"b": (5, 105), "c": (105, 205)}


def test_a_move_that_takes_longer_than_expected_is_not_over_yet() -> None:
    plan = planned({"partition": "a"})
    wide = Quantiles(50.0, 100.0, 200.0)
    table = timetable(plan, [move("a", whole_s=wide, stage=Stage.MOVING, since_s=500.0)], AROUND)
    assert table.end_s is not None
    assert 0 < table.end_s.p10 < table.end_s.p90 < 500


def test_without_a_prediction_nothing_is_said_about_times() -> None:
    plan = planned({"partition": "a"}, {"partition": "b"})
    ahead = outlook(plan, [move("a"), move("b", whole_s=None, window_end_ns=1)], AROUND, BEGAN_NS)
    assert (ahead.table.moves, ahead.end_ns, ahead.window) == ((), None, WindowState.UNKNOWN)
    assert ahead.last_safe_start_ns is None
    assert ahead.sentence() == "No forecast: there is no prediction of b."
    assert text_chart(ahead) == []


def test_what_can_never_begin_is_named_and_the_rest_is_forecast() -> None:
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]}, {"partition": "c"})
    ahead = outlook(plan, [move("a", stage=Stage.FAILED), move("b", window_end_ns=1), move("c")], AROUND, BEGAN_NS)
    assert ahead.table.never == ("b",)
    assert ahead.times("c") is not None
    assert ahead.window is WindowState.UNKNOWN
    assert "Never begins: b." in ahead.sentence()


@pytest.mark.parametrize(
    ("seconds", "state"), [(300, WindowState.HOLDS), (150, WindowState.MAY_NOT_HOLD), (50, WindowState.FAILS)]
)
def test_the_window_is_held_against_p50_and_p90(seconds: int, state: WindowState) -> None:
    end_ns = BEGAN_NS + seconds * 10**9
    whole_s = Quantiles(50.0, 100.0, 200.0)
    ahead = outlook(planned({"partition": "a"}), [move("a", whole_s=whole_s, window_end_ns=end_ns)], AROUND, BEGAN_NS)
    assert ahead.window is state
    start = ahead.last_safe_start_ns
    assert start is not None
    assert ahead.table.end_s is not None
    assert start + ahead.table.end_s.p90 * 1e9 == pytest.approx(end_ns, abs=2e3), "P90 ends with the window"
    late = outlook(planned({"partition": "a"}), [move("a", whole_s=whole_s, window_end_ns=end_ns)], AROUND, start)
    assert late.window is WindowState.HOLDS
    assert ("That is over." in ahead.sentence()) is (state is not WindowState.HOLDS)


def test_a_plan_begins_with_its_window() -> None:
    window = ChangeWindow.model_validate({"begin": "2030-01-01T00:00+00:00"})
    plan = planned({"partition": "a"}).model_copy(update={"window": window})
    ahead = outlook(plan, [move("a")], AROUND, BEGAN_NS)
    assert ahead.zero_ns == 1_893_456_000 * 10**9


def test_what_the_moves_of_one_night_have_in_common_widens_the_end() -> None:
    plan = planned(*({"partition": str(number)} for number in range(8)), limits={"link": 1})
    wide = Quantiles(50.0, 100.0, 200.0)

    def width(common: float) -> float:
        moves = [move(str(number), whole_s=wide) for number in range(8)]
        table = timetable(plan, moves, replace(AROUND, common=common))
        assert table.end_s is not None
        return table.end_s.p90 - table.end_s.p10

    assert width(0.8) > 1.5 * width(0.1)


def test_copies_beside_one_another_are_slower_as_far_as_the_site_knows() -> None:
    plan = planned({"partition": "a"}, {"partition": "b"}, {"partition": "c", "target": "p8c"})
    pair = [move("a", copy_share=1.0), move("b", copy_share=1.0)]
    shares = replace(AROUND, slowing=Slowing(1.0, 0.0))
    assert spans(plan, pair, shares) == {"a": (0, 200), "b": (0, 200)}
    assert spans(plan, pair, replace(AROUND, slowing=Slowing(0.0, 0.0))) == {"a": (0, 100), "b": (0, 100)}
    # Expected with one beside it: no slower than that.
    assert spans(plan, [replace(one, beside=1.0) for one in pair], shares) == {"a": (0, 100), "b": (0, 100)}
    # A copy to another frame leaves the same one; once it has ended the longer one has all.
    short = move("c", target="p8c", copy_share=1.0, whole_s=Quantiles(50.0, 50.0, 50.0))
    assert spans(plan, [pair[0], short], shares) == {"a": (0, 150), "c": (0, 100)}
    elsewhere = replace(short, source="p8d")
    frames = {**FRAMES, "p8d": replace(FRAMES["p8c"], name="p8d")}
    assert spans(plan, [pair[0], elsewhere], replace(shares, frames=frames)) == {"a": (0, 100), "c": (0, 50)}


def test_moves_that_took_longer_tonight_make_the_others_be_expected_later() -> None:
    plan = planned(*({"partition": name} for name in "abc"))
    wide = Quantiles(50.0, 100.0, 200.0)
    over = [move(name, whole_s=wide, stage=Stage.ARRIVED, took_s=180.0) for name in "ab"]
    common = replace(AROUND, common=0.7)
    as_expected = [replace(one, took_s=100.0) for one in over]
    late, usual = (timetable(plan, [*past, move("c", whole_s=wide)], common) for past in (over, as_expected))
    assert late.end_s is not None
    assert usual.end_s is not None
    assert late.end_s.p50 > 1.3 * usual.end_s.p50
    assert usual.end_s.p50 == pytest.approx(100.0, rel=0.15)


def test_what_the_moves_of_tonight_told_is_not_counted_again_where_the_copy_was_seen() -> None:
    plan = planned(*({"partition": name} for name in "abc"))
    wide = Quantiles(50.0, 100.0, 200.0)
    late = [move(name, whole_s=wide, stage=Stage.ARRIVED, took_s=300.0) for name in "ab"]
    seen = move("c", whole_s=wide, stage=Stage.MOVING, is_seen=True)
    around = replace(AROUND, common=0.9)

    def end_s(one: Expected, over: list[Expected]) -> float:
        ends = timetable(plan, [*over, one], around).end_s
        assert ends is not None
        return ends.p50

    nothing = [replace(one, took_s=None) for one in late]
    assert end_s(seen, late) == pytest.approx(end_s(seen, nothing), rel=0.15)
    unseen = replace(seen, is_seen=False)
    assert end_s(unseen, late) > 1.5 * end_s(unseen, nothing)


def test_a_preparation_that_lasts_is_expected_to_last_as_those_do_that_lasted_so_long() -> None:
    plan, around = planned({"partition": "a"}), replace(AROUND, preparing_s=LogNormal(60.0, 0.5))
    begins = [
        timetable(plan, [move("a", stage=Stage.PREPARING, since_s=since_s)], around).moves[0].begin_s
        for since_s in (0.0, 30.0, 120.0)
    ]
    assert [round(begin_s.p50 / 60, 1) for begin_s in begins[:2]] == [1.0, pytest.approx(0.6, abs=0.15)]
    assert begins[2].p10 > 0
    assert begins[2].p50 > 15, "one in ten lasts 114 s or longer, and half of those 20 s more"


@st.composite
def plans(draw: st.DrawFn) -> tuple[MovePlan, list[Expected], Surroundings]:
    names = [f"lp{number}" for number in range(draw(st.integers(1, 7)))]
    moves: list[dict[str, Any]] = []
    expected = []
    for number, name in enumerate(names):
        target = draw(st.sampled_from(["p8b", "p8c"]))
        after = draw(st.sets(st.sampled_from(names[:number]), max_size=2)) if number else set()
        moves.append({"partition": name, "target": target, "after": sorted(after)})
        whole_s = Quantiles(*sorted(draw(st.lists(st.integers(1, 500), min_size=3, max_size=3))))
        expected.append(Expected(name, "p8a", target, whole_s, inactive=draw(st.booleans())))
    limits = draw(st.fixed_dictionaries({"link": st.integers(1, 3), "frame": st.one_of(st.none(), st.integers(1, 3))}))
    clusters = {"ha": draw(st.lists(st.sampled_from(names), max_size=3, unique=True))}
    frames = {
        name: replace(
            frame,
            active_migrations_supported=draw(st.integers(1, 3)),
            inactive_migrations_supported=draw(st.integers(1, 3)),
        )
        for name, frame in FRAMES.items()
    }
    around = Surroundings(frames, {"p8a": draw(st.integers(1, 4))}, {}, 5.0, 20.0, LogNormal(10.0, 0.3))
    return planned(*moves, limits=limits, clusters=clusters), expected, around


@settings(max_examples=60, deadline=None)
@given(plans())
def test_every_draw_keeps_the_rules_of_the_conductor(made: tuple[MovePlan, list[Expected], Surroundings]) -> None:
    plan, moves, around = made
    table = timetable(plan, moves, around, count=1)
    assert not table.never
    times = {one.partition: (one.begin_s.p50 - around.baseline_s, one.end_s.p50) for one in table.moves}
    assert len(times) == len(moves)
    for one in moves:
        begin, _ = times[one.partition]
        busy = [
            UnderWay(other.partition, other.source, other.target, other.inactive, (other.source, other.target))
            for other in moves
            if other is not one and times[other.partition][0] < begin < times[other.partition][1] - 1e-9
        ]
        wish = UnderWay(one.partition, one.source, one.target, one.inactive, (one.source, one.target))
        assert hold(wish, busy, around.frames, plan.limits, around.at_most) is None
        for earlier in plan.move(one.partition).after:
            assert begin >= times[earlier][1] + around.watched_s - 1e-9
        for other in moves:
            if other is not one and set(plan.clusters_of(one.partition)) & set(plan.clusters_of(other.partition)):
                apart = min(times[other.partition][1], times[one.partition][1]) + around.watched_s
                assert apart <= max(times[other.partition][0], begin) + 1e-9


# -- of a plan that runs, on the page, as a chart ----------------------------------------------------------------------


def test_a_move_by_its_listing_has_the_prior_and_an_inactive_one_copies_nothing() -> None:
    listed = {"name": "a", "state": "Running", "memory_mb": 65536}
    running = from_listing(listed, "p8a", "p8b", (), None)
    resting = from_listing({**listed, "state": "Not Activated"}, "p8a", "p8b", (), 7)
    assert running.whole_s is not None
    assert resting.whole_s is not None
    assert resting.whole_s.p50 < running.whole_s.p50 / 3
    assert (resting.inactive, resting.window_end_ns) == (True, 7)
    assert from_listing({"name": "a", "state": "Running"}, "p8a", "p8b", (), None).whole_s is None


def test_a_running_plan_has_a_forecast_on_its_page_that_goes_on_with_it(tmp_path: Path) -> None:
    machines = Machines(tmp_path, dict.fromkeys("abc", "p8a"))
    machines.ways["a"] = ("asked", *["copying"] * 400, "settled")
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]}, {"partition": "c", "after": ["b"]})
    folder = create(
        tmp_path / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    seen: list[Outlook | None] = []
    steps: list[None] = []

    def look() -> None:
        machines.step()
        steps.append(None)
        if len(steps) % 10 == 0 and len(seen) < 20:
            seen.append(running_outlook(folder, plan_status(folder, machines.clock), machines.clock.wall_ns()))
        if len(steps) == 60:
            page = write_page(folder).read_text(encoding="utf-8")
            assert "Expected end" in page
            assert '<meta http-equiv="refresh" content="60">' in page, "a browser shows the newest chart"
            bars = bars_of(plan_status(folder, machines.clock), seen[-1])
            assert [bool(bar.parts) for bar in bars] == [True, False, False]
            assert bars_svg(bars).count("(P10 … P90)") == 3

    machines.clock.each = look
    with conducting(machines, folder) as conductor:
        conductor.conduct()
    known = [one for one in seen if one is not None]
    assert len(known) > 10
    first, late = known[0], known[-1]
    assert first.times("c") is not None
    assert first.begun
    assert first.last_safe_start_ns is None
    assert late.end_ns is not None
    assert first.end_ns is not None
    running = late.times("a")
    assert running is not None
    assert running.end_s.p10 > late.zero_ns, "it runs yet"
    final = running_outlook(folder, plan_status(folder, machines.clock), machines.clock.wall_ns())
    assert final is None, "nothing is to come"
    page = write_page(folder).read_text(encoding="utf-8")
    assert "Expected end" not in page
    assert "refresh" not in page, "nothing of it changes any more"


def test_a_move_that_others_slowed_down_says_little_of_the_network() -> None:
    wide = Quantiles(50.0, 100.0, 200.0)
    over = move("a", whole_s=wide, copy_share=1.0, stage=Stage.ARRIVED, took_s=300.0)
    around = replace(AROUND, slowing=Slowing(1.0, 0.01))

    def common(one: Expected) -> float:
        return float(tonight([one] * 3, around, np.random.default_rng(1), 500)[0].mean())

    assert common(over) > 1.0
    assert abs(common(replace(over, had_beside=2.0))) < 0.2, "three copies of one link take three times as long"


def test_what_ran_beside_a_move_that_is_over_counts_for_the_time_that_it_did() -> None:
    a, b, c = (
        move("a", copy_share=0.5, stage=Stage.ARRIVED, took_s=100.0),
        move("b", copy_share=0.8, stage=Stage.MOVING),
        replace(move("c", copy_share=0.8, target="p8d", stage=Stage.MOVING), source="p8c"),
    )
    spans = {"a": (0.0, 100.0), "b": (50.0, 400.0), "c": (0.0, 400.0)}
    then = beside_then([a, b, c], spans)
    assert then[0].had_beside == pytest.approx(0.5 * 0.8)
    assert [one.had_beside for one in then[1:]] == [None, None], "only those that are over tell something"


def test_the_preparation_is_learned_from_past_plans(tmp_path: Path) -> None:
    assert preparations(tmp_path) == PREPARING
    for number in range(3):
        clock = Told()
        folder = create(tmp_path / "plans", mode="plan", title=f"night {number}", facts={}, clock=clock)
        with RunWriter(folder.path, clock) as writer:
            writer.event("conductor", "preparing", partition="a", source="p8a")
            clock.now_ns += 600 * 10**9
            writer.event("conductor", "moving", partition="a", source="p8a", run="", inactive=False, movers=[])
            clock.now_ns += 10**9
            writer.event("conductor", "preparing", partition="b", source="p8a")  # and put back
    learned = preparations(tmp_path)
    assert 400 < learned.median < 600
    assert learned.spread < PREPARING.spread


def test_what_the_recorder_of_a_move_foretells_goes_before_what_was_expected(tmp_path: Path) -> None:
    clock = Told()
    plan = planned({"partition": "a"})
    folder = create(tmp_path / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=clock)
    run = create(tmp_path, mode="move", title="a", facts={"order": {"source": "p8a"}}, clock=clock)
    write_document(folder.path, "expected", to_document([move("a", whole_s=Quantiles(10.0, 20.0, 30.0))], AROUND))
    with RunWriter(folder.path, clock) as plan_writer, RunWriter(run.path, clock) as writer:
        facts: dict[str, Any] = {"source": "p8a", "inactive": False, "movers": ["a1", "b1"]}
        plan_writer.event("conductor", "moving", partition="a", run=str(run.path), **facts)
        writer.event("recorder", "intent", what="migrate")
        writer.event("recorder", "phase", phase="copying")
        told = {"p10": 500.0, "p50": 500.0, "p90": 500.0}
        writer.event("recorder", "forecast", whole_s=told, remaining_s=told)
        clock.now_ns += 200 * 10**9
        ahead = running_outlook(folder, plan_status(folder, clock), clock.wall_ns())
    assert ahead is not None
    assert ahead.table.end_s is not None
    assert ahead.table.end_s.p50 == pytest.approx(300.0, abs=1.0)


def test_a_halted_plan_has_no_forecast_until_it_goes_on(tmp_path: Path) -> None:
    clock = Told()
    plan = planned({"partition": "a"})
    folder = create(tmp_path / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=clock)
    write_document(folder.path, "expected", to_document([move("a")], AROUND))
    with RunWriter(folder.path, clock) as writer:
        writer.event("conductor", "halted", why="somebody asked")
        assert running_outlook(folder, plan_status(folder, clock), clock.wall_ns()) is None
        writer.event("conductor", "goes-on", despite=[])
        assert running_outlook(folder, plan_status(folder, clock), clock.wall_ns()) is not None


def test_what_a_folder_keeps_for_the_forecast_comes_back(tmp_path: Path) -> None:
    around = replace(AROUND, clusters={"a": frozenset({("PowerHA", "x")})}, at_most={"v1": 2})
    moves = [move("a", pairs=(MoverPair("a1", 1, "", "b1", 1, ""),))]
    document = to_document(moves, around)
    plan = planned({"partition": "a"})
    folder = create(tmp_path, mode="plan", title="night", facts={"plan": plan.as_data()})
    write_document(folder.path, "expected", document)
    ahead = running_outlook(folder, plan_status(folder), BEGAN_NS)
    assert ahead is not None
    assert ahead.table == timetable(plan, moves, around)


def test_the_chart_has_a_lane_for_every_move_and_a_line_at_the_window(tmp_path: Path) -> None:
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]})
    end_ns = BEGAN_NS + 250 * 10**9
    moves = [move("a", window_end_ns=end_ns), move("b", window_end_ns=end_ns)]
    ahead = outlook(plan, moves, AROUND, BEGAN_NS)
    first, second, scale = text_chart(ahead, width=50)
    assert first.index("=") < second.index("=")
    assert first.index("|") == second.index("|")
    assert "UTC" in scale
    bars = [Bar(name, "p8a → p8b", expected=ahead.times(name)) for name in "ab"]
    assert (
        save_chart(bars, ahead.windows.values(), tmp_path / "plan.svg").read_text(encoding="utf-8").startswith("<?xml")
    )
    assert "end of window" in bars_svg(bars, ahead.windows.values())
    assert "end of window" not in bars_svg(bars, [end_ns + 3600 * 10**9]), "it would press the bars together"
