"""The licence ledger: what was recorded is there with its bounds, and what was not is a gap."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.cli import main
from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import UsageError
from lpmkit.runs.error_log_moves import log_sightings
from lpmkit.runs.folder import create
from lpmkit.runs.history import Elsewhere
from lpmkit.runs.licences import (
    Entitlement,
    LicenceBasis,
    LicensedStay,
    Onward,
    Sighting,
    as_csv,
    licence_rows,
    products,
    read_sightings,
    sightings_elsewhere,
    stays,
)
from lpmkit.runs.utilization import utilization_sightings
from lpmkit.runs.writer import RunWriter
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.settings.sap import SapSystemSettings
from tests.scripted_machines import BEGAN_NS, Told

TWO, FOUR = Entitlement(2.0, "shared"), Entitlement(4.0, "ded")


def seen(at: int, frame: str, entitled: Entitlement = TWO, onward: Onward = Onward.NOTHING) -> Sighting:
    return Sighting(at, frame, f"8286-42A*{frame}", entitled, f"run{at}", onward)


def move(at: int, source: str, target: str, entitled: Entitlement = TWO) -> list[Sighting]:
    return [seen(at, source, entitled, Onward.MOVED), seen(at + 5, target, entitled)]


def short(found: list[LicensedStay]) -> list[tuple[Any, ...]]:
    return [(one.frame, one.cores, one.since, one.until) for one in found]


def test_two_moves_that_fit_together_are_three_stays_without_a_gap() -> None:
    found = stays("a", [*move(10, "p8a", "p8b"), *move(90, "p8b", "p8a")])
    assert short(found) == [
        ("p8a", 2.0, (None, 10), (10, 15)),
        ("p8b", 2.0, (10, 15), (90, 95)),
        ("p8a", 2.0, (90, 95), (95, None)),
    ]
    assert [one.basis for one in found] == [LicenceBasis.FIRST, LicenceBasis.RECORDED, LicenceBasis.LAST]


def test_a_partition_that_is_found_elsewhere_leaves_a_gap_with_the_bounds_of_both_sightings() -> None:
    found = stays("a", [*move(10, "p8a", "p8b"), *move(90, "p8c", "p8a")])
    assert short(found)[1:4] == [
        ("p8b", 2.0, (10, 15), (15, 90)),
        ("", None, (15, 90), (15, 90)),
        ("p8c", 2.0, (15, 90), (90, 95)),
    ]
    assert [one.is_gap for one in found] == [False, False, True, False, False]


def test_a_move_of_unknown_outcome_is_a_gap_until_the_next_sighting() -> None:
    lost = seen(10, "p8a", onward=Onward.OPEN)
    assert short(stays("a", [lost])) == [("p8a", 2.0, (None, 10), (10, None)), ("", None, (10, None), (10, None))]
    found = stays("a", [lost, seen(50, "p8a")])
    assert [(one.frame, one.basis) for one in found] == [
        ("p8a", LicenceBasis.FIRST),
        ("", LicenceBasis.UNKNOWN),
        ("p8a", LicenceBasis.LAST),
    ]


def test_another_entitlement_began_at_an_instant_between_two_sightings() -> None:
    found = stays("a", [*move(10, "p8a", "p8b"), *move(90, "p8b", "p8a", FOUR)])
    assert short(found)[1:3] == [("p8b", 2.0, (10, 15), (15, 90)), ("p8b", 4.0, (15, 90), (90, 95))]


def test_a_sighting_without_entitlement_is_no_sign_that_it_changed() -> None:
    nobody = seen(50, "p8b", Entitlement(None, ""))
    found = stays("a", [*move(10, "p8a", "p8b"), nobody, *move(90, "p8b", "p8a")])
    assert short(found)[1] == ("p8b", 2.0, (10, 15), (90, 95))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([TWO, FOUR]), st.sampled_from(list(Onward))), max_size=8)
)
def test_every_sighting_lies_in_a_stay_on_its_frame_and_stays_follow_one_another(
    made: list[tuple[str, Entitlement, Onward]],
) -> None:
    sightings = [seen(10 * number, frame, entitled, onward) for number, (frame, entitled, onward) in enumerate(made)]
    found = stays("a", sightings)
    real = [one for one in found if not one.is_gap]
    for one in sightings:
        assert any(
            stay.frame == one.frame
            and stay.cores == one.entitled.cores
            and (stay.since[1] or 0) <= one.at_ns
            and (stay.until[0] is None or one.at_ns <= stay.until[0])
            for stay in real
        ), (one, found)
    for before, after in pairwise(real):
        assert before.until == after.since
        if before.frame != after.frame and Onward.MOVED not in {one.onward for one in sightings}:
            assert any(gap.since == before.until for gap in found if gap.is_gap), "nobody recorded how it got there"


def test_a_partition_has_a_row_for_each_of_its_products_and_one_without() -> None:
    site = Site(
        sap_systems={"BX5": SapSystemSettings(partition="a")},
        databases={"BX5": DatabaseSettings(partition="a"), "ORA": DatabaseSettings(partition="b")},
    )
    sightings = {name: [seen(10, "p8a")] for name in "abc"}
    rows = licence_rows(sightings, products(site), "muc")
    assert [(row.product, row.system, row.partition) for row in rows] == [
        ("Oracle", "BX5", "a"),
        ("Oracle", "ORA", "b"),
        ("SAP", "BX5", "a"),
        ("", "", "c"),
    ]
    (first, *_) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert (first["site"], first["entitled_cores"], first["from_earliest_utc"]) == ("muc", "2", "")
    assert first["until_latest_utc"] == "", "until when is not known"


def recorded(folder: Path, name: str, source: str, target: str, *phases: str, at_s: int = 0) -> None:
    """A run with a move, as a recorder leaves it."""
    clock = Told()
    clock.now_ns += at_s * 10**9
    listed = [{"name": name, "proc_units": 1.5, "proc_mode": "shared"}]
    frames = {end: {"type_model": "8286-42A", "serial": end} for end in (source, target)}
    order = asdict(Order(name, source, target, f"8286-42A*{target}", "", ""))
    run = create(folder, mode="move", title=f"{name}-{at_s}", facts={"order": order}, clock=clock)
    with RunWriter(run.path, clock) as writer:
        writer.document("survey", {"source": {"frame": frames[source], "partitions": listed}})
        writer.event("recorder", "intent", what="migrate")
        for phase in phases:
            clock.now_ns += 60 * 10**9
            writer.event("recorder", "phase", phase=phase)
        writer.document("survey-after", {"target": {"frame": frames[target], "partitions": listed}})


def test_runs_become_rows_at_the_prompt_as_csv_and_as_a_page(tmp_path: Path) -> None:
    runs = tmp_path / "muc" / "runs"
    recorded(runs, "a", "p8a", "p8b", "copying", "settled")
    recorded(runs, "a", "p8b", "p8a", "copying", "failed", at_s=1000)
    recorded(runs, "a", "p8b", "p8a", "copying", "settled", at_s=5000)
    recorded(runs, "b", "p8a", "p8b", "copying", "needs-recovery")
    (runs / "odd").mkdir()
    (runs / "odd" / "run.json").write_text("{", encoding="utf-8")
    table, page = tmp_path / "licences.csv", tmp_path / "licences.html"
    site = tmp_path / "site.yaml"
    site.write_text("databases: {ORA: {partition: a}}\n", encoding="utf-8")
    options = ["--runs", str(runs), "--csv", str(table), "--html", str(page), "--json"]
    result = CliRunner().invoke(main, ["--site", str(site), "ledger", "licences", *options])
    assert result.exit_code == 3, result.output
    answer = json.loads(result.output)
    assert [(row["product"], row["partition"], row["frame"], row["entitled_cores"]) for row in answer["rows"]] == [
        ("Oracle", "a", "p8a", "1.5"),
        ("Oracle", "a", "p8b", "1.5"),
        ("Oracle", "a", "p8a", "1.5"),
        ("", "b", "p8a", "1.5"),
        ("", "b", "not known", ""),
    ]
    stay = answer["rows"][1]
    assert (stay["from_earliest_utc"], stay["from_latest_utc"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:15:20Z")
    assert (stay["until_earliest_utc"], stay["until_latest_utc"]) == ("2023-11-14T23:36:40Z", "2023-11-14T23:38:40Z")
    assert stay["runs"].count(",") == 2, "the move that failed saw it there too"
    assert len(list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))) == 5
    text = page.read_text(encoding="utf-8")
    assert "gap: a move whose outcome is not recorded" in text
    only = CliRunner().invoke(
        main, ["--site", str(site), "ledger", "licences", "--runs", str(runs), "--product", "SAP"]
    )
    assert "p8a" not in only.output


def test_a_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    recorded(tmp_path, "a", "p8a", "p8b", "settled")
    path = next(tmp_path.glob("*/run.json"))
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "order": {"partition": "a"}}), encoding="utf-8")
    found, unreadable = read_sightings(tmp_path)
    assert found == {}
    assert list(unreadable) == [path.parent.name]


LOG = {
    "host": "bxaix85",
    "identity": {"lpar_name": "a"},
    "moves": [
        {
            "started": "Tue Nov 14 23:20:00 CET 2023",
            "ended": "Tue Nov 14 23:25:00 2023",
            "came_from": "00F61A3F4C00",
            "went_to": "00F61A404C00",
            "outcome": "completed",
        },
        {"started": "irgendwann", "ended": "", "came_from": "1", "went_to": "", "outcome": "still under way"},
    ],
}


def test_an_error_log_fills_a_gap_where_it_tells_of_the_move(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(LOG), encoding="utf-8")
    frames = {"00F61A3F4C00": "p8b", "00F61A404C00": "p8c"}
    name, sightings, missing = log_sightings(path, ZoneInfo("Europe/Berlin"), frames)
    assert name == "a"
    assert missing == ("a: a move of irgendwann: the time 'irgendwann' cannot be read",)
    assert [one.at_ns - BEGAN_NS for one in sightings] == [400 * 10**9, 700 * 10**9]
    at = sightings[0].at_ns
    ours = [*move(at - 100, "p8a", "p8b"), *move(at + 10**12, "p8c", "p8a")]
    assert any(one.is_gap for one in stays("a", ours))
    both = stays("a", [*ours, *sightings])
    assert [one.frame for one in both] == ["p8a", "p8b", "p8c", "p8a"]
    assert both[2].cores == 2.0
    unknown = log_sightings(path, ZoneInfo("Europe/Berlin"), {})[1]
    assert unknown[0].frame == "machine ID 00F61A3F4C00", "no run knows it"


def test_what_is_no_output_of_was_moved_is_refused_and_a_zone_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError):
        log_sightings(path, ZoneInfo("UTC"), {})
    recorded(tmp_path / "runs", "a", "p8a", "p8b", "settled")
    result = CliRunner().invoke(
        main, ["ledger", "licences", "--runs", str(tmp_path / "runs"), "--was-moved", str(path)]
    )
    assert result.exit_code == 2
    assert "zone" in result.output


def test_sightings_in_any_order_give_the_same_ledger() -> None:
    ours = [*move(10, "p8a", "p8b"), *move(90, "p8b", "p8a")]
    assert stays("a", ours[::-1]) == stays("a", ours)
    assert replace(ours[0], onward=Onward.NOTHING) != ours[0]


# -- from an HMC's utilization samples, and from other hosts -----------------------------------------------------------


def sample(time: str, name: str, mode: str = "shared", units: str = "2.0", more: str = "") -> str:
    """A record as an HMC prints it; it has further fields that nothing here reads."""
    return (
        f"time={time},event_type=sample,resource_type=lpar,sys_time={time},time_cycles=10166426530034943,"
        f"lpar_name={name},lpar_id=6,curr_proc_mode={mode},curr_proc_units={units},curr_procs=4{more}\n"
    )


def utilization(tmp_path: Path, frame: str, text: str) -> tuple[dict[str, list[Sighting]], tuple[str, ...]]:
    path = tmp_path / f"{frame}.txt"
    path.write_text(text, encoding="utf-8")
    return utilization_sightings(path, frame, ZoneInfo("Europe/Berlin"))


def test_samples_of_a_console_narrow_a_gap_down_to_the_hour_between_two(tmp_path: Path) -> None:
    on_b, _ = utilization(tmp_path, "p8b", sample("01/10/2026 10:00:00", "a") + sample("01/10/2026 11:00:00", "a"))
    on_c, _ = utilization(tmp_path, "p8c", sample("01/10/2026 12:00:00", "a") + sample("01/10/2026 13:00:00", "a"))
    ten = int(datetime(2026, 1, 10, 9, tzinfo=UTC).timestamp()) * 10**9
    hour = 3600 * 10**9
    recorded = [seen(ten - hour, "p8b"), seen(ten + 9 * hour, "p8c")]
    before, without = stays("a", recorded)[1], stays("a", [*recorded, *on_b["a"], *on_c["a"]])
    assert (before.is_gap, before.since, before.until) == (
        True,
        (ten - hour, ten + 9 * hour),
        (ten - hour, ten + 9 * hour),
    )
    assert [(stay.frame, stay.cores) for stay in without] == [("p8b", 2.0), ("", None), ("p8c", 2.0)]
    assert without[1].since == (ten + hour, ten + 2 * hour), "what no sample shows stays a gap"


def test_dedicated_processors_are_counted_and_what_is_no_sample_of_a_partition_is_left_out(tmp_path: Path) -> None:
    text = (
        sample("01/10/2026 10:00:00", "a", "ded", "null")
        + "time=01/10/2026 10:00:00,event_type=sample,resource_type=pool,total_pool_cycles=1\n"
        + "time=01/10/2026 10:00:00,event_type=state_change,resource_type=lpar,lpar_name=a\n"
    )
    seen_there, missing = utilization(tmp_path, "p8b", text)
    assert [one.entitled for one in seen_there["a"]] == [Entitlement(4.0, "ded")]
    assert missing == ()
    assert utilization(tmp_path, "p8b", "No results were found.\n") == ({}, ())


def test_a_sample_whose_time_or_partition_is_not_certain_is_named(tmp_path: Path) -> None:
    text = sample("10/25/2026 02:30:00", "a") + sample("01/10/2026 10:00:00", "a").replace("lpar_name=a,", "")
    seen_there, missing = utilization(tmp_path, "p8b", text)
    assert seen_there == {}
    assert missing == (
        "p8b.txt: 1 samples: when clocks are changed their time is not certain",
        "p8b.txt: 1 samples: it has no lpar_name",
    )
    with pytest.raises(UsageError, match="this is no output of"):
        utilization(tmp_path, "p8b", "Password:\n")


def test_moves_of_other_hosts_are_in_the_ledger_as_these_told_them() -> None:
    told = {"sightings": [one.as_data() for one in move(10, "p8a", "p8b")]}

    def row(name: str, observed: Any, mode: str = "move") -> Elsewhere:
        return Elsewhere(name, "", json.dumps({"run": name, "mode": mode, "partition": "a"}), json.dumps(observed))

    rows = [row("r1", told), row("r2", None), row("r3", {"sightings": None}), row("r4", None, "watch")]
    sightings, untold = sightings_elsewhere(rows)
    assert sightings == {"a": move(10, "p8a", "p8b")}
    assert [text.partition(":")[0] for text in untold] == ["r2", "r3"], "an older lpmkit told nothing of it"
