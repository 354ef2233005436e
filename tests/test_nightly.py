"""A frame judged at night: one pass, kept in three forms, held against the night before."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lpmkit.checks import Answer, Finding, Verdict
from lpmkit.checks.nightly import (
    Changed,
    FleetCheck,
    PartitionResult,
    answer_of,
    as_csv,
    as_html,
    changes,
    frames_as_rows,
    keep,
    last,
)
from lpmkit.cli import main
from lpmkit.errors import RecordError
from lpmkit.survey.fleet import UnreachableMachine

GOOD = Finding("keys", "The managers may talk", Verdict.PASS, "p8b", {"status": 0}, asked=("the manager: mkauthkeys",))
BAD = Finding(
    "zoned", "Both WWPNs", Verdict.FAIL, "p8b", {"slot 5": "none"}, "Zone <both>, please", "SAN", code="HSCLA319"
)
ALONE = Finding("mains", "On mains", Verdict.UNKNOWN, "p8b", only_firmware=True)
LAST_NIGHT = FleetCheck(
    "p8a",
    "p8b",
    1_790_000_000_000_000_000,
    (
        PartitionResult("well", "Running", Answer.READY, (GOOD, ALONE)),
        PartitionResult("gone", "Running", Answer.READY, (GOOD,)),
    ),
)
TONIGHT = FleetCheck(
    "p8a",
    "p8b",
    1_790_086_400_000_000_000,
    (
        PartitionResult("well", "Running", Answer.NOT_READY, (replace(GOOD, verdict=Verdict.WARN), BAD, ALONE)),
        PartitionResult("new, one", "Not Activated", Answer.READY, (GOOD,)),
    ),
)


def test_a_night_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    assert last(tmp_path, "p8a", "p8b") is None
    keep(LAST_NIGHT, tmp_path)
    path = keep(TONIGHT, tmp_path)
    assert last(tmp_path, "p8a", "p8b") == TONIGHT
    assert last(tmp_path, "p8b", "p8a") is None
    assert {one.suffix for one in path.parent.glob(f"{path.stem}*")} == {".json", ".csv", ".html"}


def test_what_changed_since_the_last_night_is_told_and_what_stayed_is_not() -> None:
    assert changes(LAST_NIGHT, TONIGHT) == (
        Changed("well", "keys", "p8b", Verdict.PASS, Verdict.WARN),
        Changed("well", "zoned", "p8b", None, Verdict.FAIL),
        Changed("new, one", "keys", "p8b", None, Verdict.PASS),
        Changed("gone", "keys", "p8b", Verdict.PASS, None),
    )
    assert changes(TONIGHT, TONIGHT) == ()
    assert changes(None, TONIGHT) == ()


def test_a_frame_is_ready_when_all_of_it_is() -> None:
    assert LAST_NIGHT.answer is Answer.READY
    assert TONIGHT.answer is Answer.NOT_READY
    unsure = replace(LAST_NIGHT.partitions[0], answer=Answer.COULD_NOT_TELL)
    assert replace(LAST_NIGHT, partitions=(unsure, LAST_NIGHT.partitions[1])).answer is Answer.COULD_NOT_TELL
    assert replace(LAST_NIGHT, partitions=()).answer is Answer.COULD_NOT_TELL


def test_the_csv_has_a_row_for_every_finding_and_survives_commas() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(TONIGHT))))
    assert [(row["partition"], row["check"], row["verdict"]) for row in rows] == [
        ("well", "keys", "warn"),
        ("well", "zoned", "fail"),
        ("well", "mains", "only the firmware can tell"),
        ("new, one", "keys", "pass"),
    ]
    assert rows[1]["code"] == "HSCLA319"


def test_the_page_shows_remedies_and_changes_and_takes_no_markup_from_a_machine() -> None:
    page = as_html(TONIGHT, LAST_NIGHT)
    assert "Zone &lt;both&gt;, please" in page
    assert "HSCLA319" in page
    assert "not asked" in page
    assert "no earlier night" in as_html(TONIGHT, None)


def test_a_spoilt_night_is_said_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = keep(LAST_NIGHT, tmp_path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(RecordError, match="Move it away"):
        keep(TONIGHT, tmp_path)
    assert path.read_text(encoding="utf-8") == "{"


@pytest.mark.parametrize(
    "words", [["--all", "--to", "p8b"], ["p8aix01", "--all", "--from", "p8a", "--to", "p8b"], ["--to", "p8b"]]
)
def test_an_order_that_is_neither_one_partition_nor_a_frame_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(main, ["check", *words])
    assert done.exit_code == 2
    assert "--all" in done.output


#: A night on which the target's console was away.
AWAY = FleetCheck(
    "p8a",
    "p8b",
    TONIGHT.wall_ns + 1_000_000_000,
    (PartitionResult("well", "Running", Answer.COULD_NOT_TELL, ()),),
    (UnreachableMachine("hmc02", "no <way>"),),
    judged=False,
)


def test_a_night_is_plain_json() -> None:
    for night in (TONIGHT, AWAY):
        assert FleetCheck.from_dict(json.loads(json.dumps(night.to_dict()))) == night


def test_a_night_on_which_nobody_could_ask_is_said_and_changes_nothing(tmp_path: Path) -> None:
    keep(TONIGHT, tmp_path)
    keep(AWAY, tmp_path)
    assert last(tmp_path, "p8a", "p8b") == TONIGHT, "the next night is held against one that was judged"
    assert changes(TONIGHT, AWAY) == ()
    assert AWAY.answer is Answer.COULD_NOT_TELL
    page = as_html(AWAY, TONIGHT)
    assert "could not be asked" in page
    assert "no &lt;way&gt;" in page


def test_many_frames_are_ready_when_all_of_them_are_and_an_empty_one_says_nothing() -> None:
    empty = FleetCheck("spare", "p8a", 0, ())
    assert answer_of([LAST_NIGHT, empty]) is Answer.READY
    assert answer_of([LAST_NIGHT, AWAY]) is Answer.COULD_NOT_TELL
    assert answer_of([LAST_NIGHT, AWAY, TONIGHT]) is Answer.NOT_READY
    assert answer_of([empty]) is Answer.COULD_NOT_TELL
    assert frames_as_rows([AWAY])[0] == {
        "from": "p8a",
        "to": "p8b",
        "partitions": 1,
        "ready": 0,
        "not ready": 0,
        "could not tell": 1,
        "could not be asked": "hmc02",
    }
