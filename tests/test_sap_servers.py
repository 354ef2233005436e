"""The instances of a system on other hosts, before and after a move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lpmkit.rules.question import Question
from lpmkit.sap.model import Colour, Instance, Missed, SapSnapshot
from tests.test_sap_judge import WALL, judged

CENTRAL = Instance("bxaix85", "00", ("ABAP",), Colour.GREEN)
OTHER = Instance("bxwin12", "00", ("ABAP",), Colour.GREEN)
NAMED = [Instance("bxaix85", "00", name="bxaix85_BX5_00"), Instance("bxwin12", "02", name="bxwin12_BX5_02")]


def asked(before: list[Instance] | None, after: list[Instance] | None, *, by: str = "webservice") -> list[Question]:
    def snapshot(rows: list[Instance] | None, way: str) -> SapSnapshot:
        return SapSnapshot("BX5", WALL, instances=None if rows is None else tuple(rows), ways={"instances": way})

    more: dict[str, Any] = {"before": snapshot(before, "webservice"), "after": snapshot(after, by)}
    found = judged(instances=("00",), **more)
    return [question for question in found.questions if question.key == "sap-servers-BX5"]


@pytest.mark.parametrize(
    ("before", "after", "warns"),
    [
        ([CENTRAL, OTHER], [OTHER, CENTRAL], False),
        ([CENTRAL, OTHER], [CENTRAL], True),
        ([CENTRAL, OTHER], [CENTRAL, replace(OTHER, colour=Colour.GRAY)], True),
        ([CENTRAL, OTHER], [CENTRAL, replace(OTHER, colour=Colour.YELLOW)], True),
        ([CENTRAL, replace(OTHER, colour=Colour.GRAY)], [CENTRAL], False),
        ([CENTRAL, replace(OTHER, colour=Colour.GRAY)], [CENTRAL, OTHER], False),
        (NAMED, NAMED, False),
        (NAMED, NAMED[:1], True),
    ],
    ids=["as before", "missing", "gray", "yellow", "was stopped", "started since", "by function module", "logged off"],
)
def test_an_instance_that_was_up_and_is_not_warns(before: list[Instance], after: list[Instance], warns: bool) -> None:
    (found,) = asked(before, after)
    assert (found.state, found.warns) == ("passed", warns), found.answer
    assert ("bxwin12" in found.answer) is warns


def test_a_list_by_another_interface_is_no_comparison() -> None:
    (found,) = asked([CENTRAL, OTHER], NAMED, by="rfc")
    assert found.state == "not evaluated"


def test_a_list_that_was_refused_after_the_move_leaves_it_open_and_an_older_run_did_not_ask() -> None:
    assert not asked([CENTRAL, OTHER], None)
    refused = SapSnapshot("BX5", WALL, {}, missed=(Missed("instances", "no answer"),))
    before = SapSnapshot("BX5", WALL, instances=(CENTRAL, OTHER), ways={"instances": "webservice"})
    found = judged(instances=("00",), before=before, after=refused).question("sap-servers-BX5")
    assert found.state == "not evaluated"


def test_a_system_of_the_watched_instances_alone_has_no_such_question() -> None:
    assert not asked([CENTRAL], [CENTRAL])
