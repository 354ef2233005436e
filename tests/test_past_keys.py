"""Hardware keys learned from earlier runs: where each was seen, on which machine, and what the check before a move
makes of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lpmkit.checks import Finding, Verdict, examine
from lpmkit.sap.model import Licence, SapSnapshot
from lpmkit.survey.model import Survey, SystemFacts
from lpmkit.survey.sap_keys import with_past_keys

HERE, THERE = "10071DA", "10072EA"
KEY_HERE, KEY_THERE = "W0416184838", "X4483709531"
NOW = SapSnapshot("BX5", 1, {}, licences=(Licence(KEY_THERE, permanent=True, valid=True),), hardware_key=KEY_HERE)
SERIALS = {"bvio82": HERE, "bvio83": THERE}


def run_that_saw(
    folder: Path,
    name: str,
    key: str | None,
    serial: str | None,
    *,
    sid: str = "BX5",
    document: str = "survey-after.json",
    **more: Any,
) -> None:
    (folder / name).mkdir(exist_ok=True)
    rows = [{"system": sid, "hardware_key": key, "machine_serial": serial}]
    (folder / name / document).write_text(json.dumps({"sap": rows, **more}), encoding="utf-8")


def licence(snapshot: SapSnapshot) -> Finding:
    survey = Survey("bxaix85", SystemFacts("bvio82"), SystemFacts("bvio83"), sap=(snapshot,))
    return next(one for one in examine(survey) if one.key == "sap-licence")


def test_a_key_that_an_earlier_run_saw_on_the_target_is_used_and_says_where_it_is_from(tmp_path: Path) -> None:
    run_that_saw(tmp_path, "20261101-0800-a", KEY_HERE, HERE, document="survey.json")
    run_that_saw(tmp_path, "20261101-0800-a", KEY_THERE, THERE)
    found = with_past_keys(NOW, tmp_path, SERIALS)
    assert found.hardware_keys == {"bvio82": KEY_HERE, "bvio83": KEY_THERE}
    assert licence(found).verdict is Verdict.PASS
    assert "seen in 20261101-0800-a on machine 10072EA, as it has it now (1 run)" in str(licence(found).facts)
    without = replace(found, licences=())
    assert licence(without).verdict is Verdict.WARN
    assert KEY_THERE in licence(without).remedy


def test_without_any_sighting_the_key_is_not_known_and_nothing_passes(tmp_path: Path) -> None:
    run_that_saw(tmp_path, "20261101-0800-a", KEY_HERE, HERE)
    assert licence(with_past_keys(NOW, tmp_path, SERIALS)).verdict is Verdict.UNKNOWN
    assert licence(with_past_keys(NOW, tmp_path / "nothing", SERIALS)).verdict is Verdict.UNKNOWN


def test_a_key_belongs_to_the_machine_and_not_to_the_name_of_the_frame(tmp_path: Path) -> None:
    run_that_saw(tmp_path, "20261101-0800-a", KEY_THERE, "1009999")  # what was called bvio83 then
    assert licence(with_past_keys(NOW, tmp_path, SERIALS)).verdict is Verdict.UNKNOWN


def test_the_newest_sighting_counts_and_another_key_on_the_same_machine_makes_it_unsure(tmp_path: Path) -> None:
    run_that_saw(tmp_path, "20261001-0800-a", "A0000000001", THERE)
    run_that_saw(tmp_path, "20261101-0800-b", KEY_THERE, THERE)
    found = with_past_keys(NOW, tmp_path, SERIALS)
    assert found.hardware_keys["bvio83"] == KEY_THERE
    assert "(2 runs); unsure: other runs saw A0000000001 there" in found.keys_from["bvio83"]


@pytest.mark.parametrize(
    ("seen", "said"), [(KEY_THERE, "and an earlier run saw the same"), ("A0000000001", "but A0000000001 was seen in")]
)
def test_the_site_file_goes_first_and_is_told_where_a_run_says_otherwise(tmp_path: Path, seen: str, said: str) -> None:
    run_that_saw(tmp_path, "20261101-0800-a", seen, THERE)
    named = replace(NOW, hardware_keys={"bvio83": KEY_THERE}, keys_from={"bvio83": "the site file"})
    found = with_past_keys(named, tmp_path, SERIALS)
    assert found.hardware_keys["bvio83"] == KEY_THERE
    assert found.keys_from["bvio83"].startswith(f"the site file, {said}")


def test_where_sap_did_not_tell_the_machine_the_partitions_own_word_is_taken(tmp_path: Path) -> None:
    run_that_saw(tmp_path, "20261101-0800-a", KEY_THERE, None, guest={"identity": {"serial": THERE}})
    assert with_past_keys(NOW, tmp_path, SERIALS).hardware_keys["bvio83"] == KEY_THERE


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", '{"sap": 7}', '{"sap": [7, {"system": "BX5", "hardware_key": 7}]}', '{"guest": []}', "\x00"],
)
def test_a_document_that_is_none_hinders_nothing(tmp_path: Path, content: str) -> None:
    run_that_saw(tmp_path, "20261001-0800-a", KEY_THERE, THERE)
    (tmp_path / "20261101-0800-b").mkdir()
    (tmp_path / "20261101-0800-b" / "survey.json").write_text(content, encoding="utf-8")
    run_that_saw(tmp_path, "20261102-0800-c", "B0000000009", THERE, sid="OTH")
    assert with_past_keys(NOW, tmp_path, SERIALS).hardware_keys == {"bvio83": KEY_THERE}


def test_a_document_that_cannot_be_read_is_named_where_the_key_stays_unknown(tmp_path: Path) -> None:
    (tmp_path / "20261101-0800-b").mkdir()
    (tmp_path / "20261101-0800-b" / "survey.json").write_text("\x00", encoding="utf-8")
    found = licence(with_past_keys(NOW, tmp_path, SERIALS))
    assert found.verdict is Verdict.UNKNOWN
    assert "20261101-0800-b/survey.json" in str(found)
