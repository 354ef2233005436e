"""A plan that empties a frame, made from what both ends list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from lpmkit.config import Site
from lpmkit.control.aix_identity import Identity
from lpmkit.control.clusters import ClusterMember
from lpmkit.errors import NotAllowed, UsageError
from lpmkit.limits import ChangeWindow
from lpmkit.plan import load_plan
from lpmkit.plan.evacuation import Destination, Made, cluster_labels, make_plan, room_of
from lpmkit.plan.making import window_until
from lpmkit.plan.plan_file import plan_text, write_new
from lpmkit.settings.oracle import DatabaseSettings
from lpmkit.settings.sap import SapSystemSettings
from lpmkit.survey.fleet import Direction, FrameSurvey, UnreachableMachine
from lpmkit.survey.model import Guest
from tests.in_process import Place, place

NOW_NS = 1_796_000_000 * 10**9


@pytest.fixture(scope="module")
def up() -> Iterator[Place]:
    with place("p8pair") as found:
        yield found


@pytest.fixture(scope="module")
def surveyed(up: Place) -> FrameSurvey:
    """Everything that p8a holds, for a move to p8b."""
    partitions = [one for one in up.control("p8a").partitions() if not one.is_vios]
    return FrameSurvey(
        Direction("p8a", "p8b"),
        tuple((one, up.survey(up.order(one.name, "p8a", "p8b"))) for one in partitions),
        (),
    )


def made(surveyed: FrameSurvey, site: Site | None = None, **more: object) -> Made:
    return make_plan("evacuate p8a", [surveyed], site or Site(), **more)  # type: ignore[arg-type]


def changed(surveyed: FrameSurvey, name: str, **facts: object) -> FrameSurvey:
    """The survey with other facts about one partition's move."""
    return replace(
        surveyed,
        partitions=tuple(
            (one, survey and replace(survey, **facts) if one.name == name else survey)  # type: ignore[arg-type]
            for one, survey in surveyed.partitions
        ),
    )


def guest_with(*members: tuple[str, str | None]) -> Guest:
    return Guest(Identity(), clusters=tuple(ClusterMember(kind, kind, 30, name) for kind, name in members))


def test_the_file_is_read_as_the_plan_that_was_made(surveyed: FrameSurvey, tmp_path: Path) -> None:
    site = Site(
        sap_systems={"BX5": SapSystemSettings(partition="p8aix01")},
        databases={"BX5": DatabaseSettings(partition="p8npiv01")},
    )
    window = ChangeWindow.model_validate({"end": "2026-12-01T03:00+01:00"})
    result = made(surveyed, site, window=window)
    path = write_new(plan_text(result, "Evacuation of p8a into p8b", NOW_NS), tmp_path / "evacuate.yaml")
    plan = load_plan(path, site)
    assert plan == result.plan
    assert {one.partition for one in plan.moves} == {"p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06"}
    assert plan.move("p8npiv01").after == ("p8aix01",), "the database comes after its application server"
    assert plan.limits_of("p8aix01").window == window
    assert all(one.source == "p8a" and one.keep_mapping for one in plan.moves)


def test_every_id_is_named_once_and_none_is_one_that_the_target_has(surveyed: FrameSurvey, up: Place) -> None:
    plan = made(surveyed).plan
    assert plan is not None
    ids = [int(one.mapping["dest_lpar_id"]) for one in plan.moves]
    assert len(set(ids)) == len(ids) == 5
    assert not {one.lpar_id for one in up.control("p8b").partitions()} & set(ids)
    assert plan.move("p8lin01").mapping["dest_lpar_id"] == "6", "free there, so it is kept"
    assert plan.move("p8aix01").mapping["dest_lpar_id"] != "3", "p8ibmi01 has it"


def test_what_cannot_go_is_named_with_its_reason_in_the_file_and_the_rest_goes(tmp_path: Path) -> None:
    with place("p8pair", "huge-pages:p8aix01") as up:
        order = [up.order(name, "p8a", "p8b") for name in ("p8aix01", "p8lin01")]
        found = up.control("p8a").partitions()
        partitions = tuple(
            (next(one for one in found if one.name == each.partition), up.survey(each)) for each in order
        )
    result = made(FrameSurvey(Direction("p8a", "p8b"), partitions, ()))
    assert [left.need.partition for left in result.left] == ["p8aix01"]
    text = plan_text(result, "Evacuation of p8a", NOW_NS)
    assert "1 cannot go:" in text
    assert "p8aix01: p8b: check huge-pages fails: No huge pages" in " ".join(text.replace("#", " ").split())
    assert [one.partition for one in load_plan(write_new(text, tmp_path / "p.yaml")).moves] == ["p8lin01"]
    accepted = make_plan("e", [FrameSurvey(Direction("p8a", "p8b"), partitions, ())], Site(), accept=["huge-pages"])
    assert not accepted.left
    assert accepted.plan is not None
    assert accepted.plan.move("p8aix01").accept == ("huge-pages",)


def test_what_no_check_could_tell_is_said_above_the_move(surveyed: FrameSurvey) -> None:
    text = plan_text(made(surveyed), "Evacuation of p8a", NOW_NS)
    above = text[: text.index("- partition: p8aix01")].splitlines()[-3:]
    assert any("not known yet: " in line for line in above), "nobody logged in to it"


def test_a_target_that_is_short_of_room_is_told_in_figures_and_no_check_is_repeated(surveyed: FrameSurvey) -> None:
    partitions = []
    for one, survey in surveyed.partitions:
        assert survey is not None
        assert survey.target.frame is not None
        small = replace(survey.target.frame, memory_available_mb=20000, active_migrations_in_progress=16)
        partitions.append((one, replace(survey, target=replace(survey.target, frame=small))))
    result = made(replace(surveyed, partitions=tuple(partitions)))
    assert result.plan is not None, "a frame that is busy now takes them later"
    reasons = [left.sentence() for left in result.left]
    assert reasons
    assert all("MB of memory" in reason and "check " not in reason for reason in reasons)


def test_an_evacuation_that_nothing_can_join_makes_no_file(surveyed: FrameSurvey) -> None:
    silent = replace(
        surveyed,
        partitions=tuple((one, None) for one, _ in surveyed.partitions),
        silent=(UnreachableMachine("hmc02", "nobody answers"),),
    )
    result = made(silent)
    assert result.plan is None
    assert len(result.left) == 5
    assert "could not be surveyed (hmc02: nobody answers)" in result.left[0].sentence()
    with pytest.raises(NotAllowed, match="nothing can go"):
        plan_text(result, "Evacuation of p8a", NOW_NS)


def test_members_of_a_cluster_are_named_in_the_plan(surveyed: FrameSurvey) -> None:
    one = changed(surveyed, "p8aix01", guest=guest_with(("PowerHA", "hacmp1")))
    both = changed(one, "p8npiv01", guest=guest_with(("PowerHA", None)))
    plan = made(both).plan
    assert plan is not None
    (members,) = plan.clusters.values()
    assert set(members) == {"p8aix01", "p8npiv01"}
    other = changed(one, "p8npiv01", guest=guest_with(("PowerHA", "hacmp2")))
    assert (made(other).plan or plan).clusters == {}, "both told their names"


def test_partitions_that_share_one_of_several_clusters_get_one_label() -> None:
    labels = cluster_labels(
        {
            "a": frozenset({("Oracle Clusterware", "rac1"), ("GPFS", "g1")}),
            "b": frozenset({("GPFS", "g1")}),
            "c": frozenset({("Oracle Clusterware", "rac1")}),
            "d": frozenset({("GPFS", "g2")}),
            "e": frozenset(),
        }
    )
    assert labels.keys() == {"a", "b", "c"}
    assert len(set(labels.values())) == 1


def test_only_the_wanted_go_home_with_the_id_that_they_had(surveyed: FrameSurvey) -> None:
    wanted = {"p8lin01": Destination(("p8b",), 17), "gone": Destination(("p8b",))}
    result = made(surveyed, wanted=wanted, missing={"old": "the site file has no frame p7"})
    assert result.plan is not None
    (move,) = result.plan.moves
    assert (move.partition, move.mapping) == ("p8lin01", {"dest_lpar_id": "17"})
    reasons = {left.need.partition: left.sentence() for left in result.left}
    assert reasons["gone"] == "the ledger: it is not where lpmkit moved it to"
    assert reasons["old"] == "the ledger: the site file has no frame p7"


def test_the_room_of_a_target_is_what_is_free_there(surveyed: FrameSurvey) -> None:
    survey = next(survey for _, survey in surveyed.partitions if survey is not None)
    room = room_of(survey.target)
    assert room.memory_mb == survey.target.frame.memory_available_mb  # type: ignore[union-attr]
    assert room.pools == {"DefaultPool": None, "ORACLE": 7.0, "SAP pool": 12.0}
    assert room.taken_ids == {1, 2, 3}
    assert room.slots is not None
    assert 250 < room.slots < 300
    blind = replace(survey.target, frame=None, fc_adapters=None)
    assert (room_of(blind).memory_mb, room_of(blind).slots) == (None, None)


def test_a_file_that_is_there_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "evacuate.yaml"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(NotAllowed):
        write_new("theirs", path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_comment_cannot_become_a_part_of_the_plan(surveyed: FrameSurvey, tmp_path: Path) -> None:
    odd = replace(surveyed, silent=(UnreachableMachine("hmc", "no\nmoves: []\r\n\x85title: x\u2028y"),))
    partitions = ((odd.partitions[0][0], None), *odd.partitions[1:])
    text = plan_text(made(replace(odd, partitions=partitions)), "Evacuation", NOW_NS)
    assert load_plan(write_new(text, tmp_path / "p.yaml")).title == "evacuate p8a"


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("23:30", "2026-11-30T23:30:00+01:00"),
        ("03:00", "2026-12-01T03:00:00+01:00"),
        ("2026-12-02T01:00+00:00", "2026-12-02T01:00:00+00:00"),
    ],
)
def test_the_end_of_the_window_is_the_next_time_of_day_or_an_instant(text: str, end: str) -> None:
    window = window_until(text, datetime.fromisoformat("2026-11-30T22:15+01:00"))
    assert window.end is not None
    assert window.end == datetime.fromisoformat(end)


@pytest.mark.parametrize("text", ["25:00", "3", "soon", "2026-12-02T01:00", "2026-11-01T01:00+00:00"])
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        window_until(text, datetime.fromisoformat("2026-11-30T22:15+01:00"))
