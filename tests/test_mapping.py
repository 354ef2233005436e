"""The adapters and disks that serve a partition on both ends, and the record that keeps them so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from lpmkit.control.listings import attribute_record
from lpmkit.inventory import Places
from lpmkit.mapping.arrived import arrived
from lpmkit.mapping.attributes import build_attributes
from lpmkit.mapping.compare import FC, ID, MOVER, NIC, POOL, SCSI, MappingRow, compare_mapping
from lpmkit.simulator.chassis import World
from lpmkit.simulator.placement import wishes_of
from lpmkit.survey.identity import Change
from lpmkit.survey.model import Survey
from tests.in_process import Place, place

PARTITIONS = ("p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06")


@pytest.fixture(scope="module")
def frames() -> Iterator[Place]:
    with place("p8pair") as up:
        yield up


@pytest.fixture(scope="module")
def surveys(frames: Place) -> dict[str, Survey]:
    return {name: frames.survey(frames.order(name, "p8a", "p8b")) for name in PARTITIONS}


def lines(survey: Survey, kind: str, record: dict[str, str] | None = None) -> list[MappingRow]:
    return [line for line in compare_mapping(survey, record) if line.kind == kind]


def test_nothing_is_missing_of_the_survey(surveys: dict[str, Survey]) -> None:
    assert {name: survey.gaps for name, survey in surveys.items()} == dict.fromkeys(PARTITIONS, ())


def test_each_disk_stands_beside_the_same_lun_on_the_target_whatever_it_is_called_there(
    surveys: dict[str, Survey],
) -> None:
    found = lines(surveys["p8aix01"], SCSI)
    second = next(line for line in found if line.slot == 3 and line.name == "p8aix01_rvg")
    assert second.here.words() == "p8a-vios2, vhost0, slot 11, hdisk1"
    assert second.there is not None
    assert (second.there.server, second.there.device) == ("p8b-vios2", "hdisk4")
    assert "hdisk1 is hdisk4 there" in second.changes
    assert second.known_by == "200B75FBLA1500007210790003IBMfcp"


def test_a_generated_target_name_is_announced_as_one_that_will_change(surveys: dict[str, Survey]) -> None:
    found = {line.name: line for line in lines(surveys["p8aix01"], SCSI) if line.slot == 3}
    assert found["vtscsi1"].name_after is None
    assert "target name (generated)" in found["vtscsi1"].changes
    assert found["p8aix01_rvg"].name_after == "p8aix01_rvg"


def test_both_wwpns_of_a_pair_are_shown_with_the_port_they_are_on(surveys: dict[str, Survey]) -> None:
    first, second = lines(surveys["p8npiv01"], FC)
    assert first.name == "c050760871fa0010 c050760871fa0011"
    assert first.here.words() == "p8a-vios1, vfchost0, slot 21, fcs0"
    assert second.there is not None
    assert second.there.server == "p8b-vios2"


def test_the_pair_of_movers_is_shown_with_its_addresses_for_a_running_partition_only(
    surveys: dict[str, Survey],
) -> None:
    first, second = lines(surveys["p8aix01"], MOVER)
    assert first.there is not None
    assert second.there is not None
    assert (first.here.device, first.there.device) == ("192.0.2.111", "192.0.2.121")
    assert (second.here.device, second.there.device) == ("192.0.2.112", "192.0.2.122")
    assert first.remark == "two pairs of movers, chosen by the manager"
    (line,) = lines(surveys["p8aix01"], MOVER, {"source_msp_name": "p8a-vios2"})
    assert line.remark == "one pair of movers by the order; two are possible"
    assert lines(surveys["p8aix06"], MOVER) == []


def test_a_partition_id_that_another_has_is_named_with_its_owner(surveys: dict[str, Survey]) -> None:
    (line,) = lines(surveys["p8aix01"], ID)
    assert line.remark.endswith("belongs to p8ibmi01")
    assert line.words_there() == "another id, chosen by the manager"


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_kept_record_is_one_that_the_manager_understands_and_accepts(
    frames: Place, surveys: dict[str, Survey], name: str
) -> None:
    kept = build_attributes(surveys[name])
    assert kept.troubles == ()
    assert wishes_of(attribute_record(kept.record)).bad is None
    reply = frames.control("p8a").validate(frames.order(name, "p8a", "p8b", kept.record))
    assert (reply.status, reply.text) == (0, "")


def test_the_record_names_partner_slot_port_and_pool(surveys: dict[str, Survey]) -> None:
    assert build_attributes(surveys["p8npiv01"]).record == {
        "virtual_fc_mappings": "5/p8b-vios1/1//fcs0,6/p8b-vios2/2//fcs1",  # slot 21 is another's there
        "shared_proc_pool_name": "ORACLE",
        "dest_lpar_id": "4",
    }, "no movers: the manager uses two pairs"
    assert build_attributes(surveys["p8aix01"]).record["virtual_scsi_mappings"] == "2/p8b-vios1/1/11,3/p8b-vios2/2/11"
    assert build_attributes(surveys["p8vnic01"]).record["vnic_mappings"] == (
        "7/ded/p8b-vios1/1/1/0/2/1/0,7/ded/p8b-vios2/2/2/0/2/2/0"
    )
    assert "source_msp_name" not in build_attributes(surveys["p8aix06"]).record


def test_the_pool_goes_by_its_name_and_a_pool_that_is_not_there_is_said() -> None:
    with place("p8pair", "pool-missing") as up:
        survey = up.survey(up.order("p8aix01", "p8a", "p8b"))
    kept = build_attributes(survey)
    assert "shared_proc_pool_name" not in kept.record
    assert any("SAP pool" in trouble for trouble in kept.troubles)
    (line,) = lines(survey, POOL, dict(kept.record))
    assert line.there is None


def test_without_a_record_the_pool_is_not_promised(surveys: dict[str, Survey]) -> None:
    (line,) = lines(surveys["p8aix01"], POOL)
    assert (line.there, "default pool" in line.remark) == (None, True)
    assert line.words_there() == "SAP pool exists, not requested"
    assert line.remark.endswith("add --map shared_proc_pool_name='SAP pool'")
    (line,) = lines(surveys["p8aix01"], POOL, dict(build_attributes(surveys["p8aix01"]).record))
    assert line.changes == "its number is 2 there"


@pytest.mark.parametrize(
    ("fault", "partition", "kind", "word"),
    [
        ("wwpn-not-zoned", "p8npiv01", FC, "slot 6"),
        ("one-vios", "p8npiv01", FC, "fewer paths"),
        ("no-link", "p8vnic01", NIC, "no SR-IOV port"),
        ("lun-not-seen:hdisk2", "p8aix01", SCSI, "slot 2"),
    ],
)
def test_what_cannot_be_kept_is_said_and_left_to_the_manager(fault: str, partition: str, kind: str, word: str) -> None:
    with place("p8pair", fault) as up:
        kept = build_attributes(up.survey(up.order(partition, "p8a", "p8b")))
    assert any(kind in trouble or word in trouble for trouble in kept.troubles)
    assert any(word in trouble for trouble in kept.troubles)


def test_a_partition_whose_adapters_cannot_be_listed_gets_no_record(surveys: dict[str, Survey]) -> None:
    survey = surveys["p8npiv01"]
    kept = build_attributes(replace(survey, source=replace(survey.source, fc_adapters=None)))
    assert kept.record == {}
    assert kept.troubles


def test_what_could_not_be_read_stands_as_a_line_that_says_so(surveys: dict[str, Survey]) -> None:
    survey = surveys["p8aix01"]
    silent = replace(survey, source=replace(survey.source, scsi_adapters=None))
    (line,) = lines(silent, SCSI)
    assert line.name == "not known"
    assert line.remark


def test_a_manager_that_sees_no_place_is_believed_before_our_own_reckoning(surveys: dict[str, Survey]) -> None:
    survey = replace(surveys["p8aix01"], places=Places())
    assert all(line.there is None and "the manager lists no VIOS" in line.remark for line in lines(survey, SCSI))
    assert "virtual_scsi_mappings" not in build_attributes(survey).record


def test_an_io_server_whose_name_would_be_taken_apart_is_named_by_its_id(surveys: dict[str, Survey]) -> None:
    survey = surveys["p8aix01"]
    text = json.dumps(survey.to_dict()).replace("p8b-vios1", "vios/1, b").replace("p8a-vios1", 'vios \\"a\\"=1')
    odd = Survey.from_dict(json.loads(text))
    alone = tuple(replace(pair, redundant=False) for pair in odd.mover_pairs or ())
    record = build_attributes(replace(odd, mover_pairs=alone)).record
    assert record["virtual_scsi_mappings"] == "2//1/11,3/p8b-vios2/2/11"
    assert (record["source_msp_id"], record["dest_msp_id"]) == ("1", "1")


def test_the_blades_have_one_io_server_and_it_is_where_everything_goes() -> None:
    with place("js22") as up:
        survey = up.survey(up.order("bxaix85", "bvio82", "bvio83"))
    found = {line.name: line for line in compare_mapping(survey)}
    assert found["bxaix85_rvg"].there is not None
    assert found["bxaix85_rvg"].there.words() == "10-072EA, hdisk1"
    assert found["vtscsi2"].name_after is None
    assert found["6A8880001204"].there is not None
    assert found["6A8880001204"].there.adapter == "ent6"
    assert build_attributes(survey).record == {
        "virtual_scsi_mappings": "2/10-072EA/1"
    }  # its slot and its id are others' there


def _has_left(world: World, name: str) -> bool:
    return world.partition("p8a", name) is None


def test_after_a_kept_move_pool_wwpns_disks_and_servers_are_as_they_were() -> None:
    with place("p8pair") as up:
        for partition in ("p8aix01", "p8npiv01"):
            order = up.order(partition, "p8a", "p8b")
            before = up.survey(order)
            kept = replace(order, mapping=build_attributes(before).record)
            control = up.control("p8a")
            control.migrate(kept)
            assert up.chassis.wait_for(partial(_has_left, name=partition), 30)
            rows = arrived(before, up.survey(kept))
            assert [row for row in rows if row.as_it_should is not True] == []
            assert "processor pool" in {row.what for row in rows}
            moved = up.world.partition("p8b", partition)
            assert moved is not None
            placed = [pair.server for pair in moved.scsi] + [pair.server for pair in moved.fc]
            assert placed == ["p8b-vios1", "p8b-vios2"]


def test_a_pool_that_was_lost_on_the_way_is_told() -> None:
    with place("p8pair") as up:
        order = up.order("p8aix01", "p8a", "p8b")
        before = up.survey(order)
        up.control("p8a").migrate(order)
        assert up.chassis.wait_for(lambda world: world.partition("p8a", "p8aix01") is None, 30)
        after = up.survey(order)
    rows = {row.what: row for row in arrived(before, after)}
    assert (rows["processor pool"].after, rows["processor pool"].change) == ("DefaultPool", Change.CHANGED)
    assert rows["processor pool"].as_it_should is False
    for score, well in ((100, True), (60, False), (None, None)):
        scores = tuple(replace(one, score=score) for one in after.target.affinity_scores or ())
        there = replace(after, target=replace(after.target, affinity_scores=scores))
        (row,) = (row for row in arrived(before, there) if row.what == "affinity score")
        assert (row.before, row.after, row.as_it_should) == ("100", None if score is None else str(score), well)
