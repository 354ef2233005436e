"""The widgets for a plan: rows become a file and back, and a button that does not apply says why."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from lpmkit.config import RunSettings, Site
from lpmkit.errors import SiteFileError, UsageError
from lpmkit.notebook.plan import PlanMaker, PlanPanel, course_table, plan_of_file
from lpmkit.plan import MovePlan, load_plan, save_plan
from lpmkit.plan.status import plan_status
from lpmkit.runbook import Runbook
from tests.scripted_machines import ROLLED_BACK, Machines, conduct


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    found = Machines(tmp_path, dict.fromkeys("abcd", "p8a"))
    found.site = Site(runs=RunSettings(folder=tmp_path))
    return found


def _maker(machines: Machines, file: Path) -> PlanMaker:
    return PlanMaker(cast(Runbook, machines), file)


def test_rows_are_a_plan_in_their_order_and_the_file_gives_the_same_rows_back(
    machines: Machines, tmp_path: Path
) -> None:
    maker = _maker(machines, tmp_path / "rack.yaml")
    for _ in range(3):
        maker.add.click()
    rows = maker.rows.children
    assert [row.partition.value for row in rows] == ["a", "b", "c"], "each is offered once"
    for row in rows:
        row.target.value = "p8b"
    rows[0].after.value = "c , b"
    rows[2].buttons["earlier"].click()
    rows[0].keep.value = True
    maker.on_failure.value = "go-on"
    maker.link.value = 3
    maker.save.click()
    assert "✓ saved" in maker.says.value
    plan = load_plan(tmp_path / "rack.yaml")
    assert [one.partition for one in plan.moves] == ["a", "c", "b"]
    assert plan.move("a").after == ("c", "b")
    assert (plan.title, plan.on_failure, plan.limits.link) == ("rack", "go-on", 3)
    assert _maker(machines, tmp_path / "rack.yaml").plan() == plan


def test_what_the_rows_do_not_show_is_kept(machines: Machines, tmp_path: Path) -> None:
    plan = MovePlan.model_validate(
        {
            "title": "night",
            "clusters": {"ha": ["a", "b"]},
            "limits": {"mover": 3},
            "moves": [
                {"partition": "a", "target": "p8b", "accept": ["cluster"], "mapping": {"dest_lpar_id": "9"}},
                {"partition": "b", "target": "p8b", "source": "p8a"},
            ],
        }
    )
    assert _maker(machines, save_plan(plan, tmp_path / "night.yaml")).plan() == plan


def test_rows_that_are_no_plan_are_not_saved_and_the_reason_is_said(machines: Machines, tmp_path: Path) -> None:
    maker = _maker(machines, tmp_path / "rack.yaml")
    maker.save.click()
    assert "role='alert'" in maker.says.value
    maker.add.click()
    maker.rows.children[0].after.value = "z"
    with pytest.raises(UsageError, match="a comes after z"):
        maker.plan()
    maker.rows.children[0].buttons["remove"].click()
    assert maker.rows.children == ()
    assert not (tmp_path / "rack.yaml").exists()
    with pytest.raises(SiteFileError, match="press Save first"):
        plan_of_file(cast(Runbook, machines), tmp_path / "rack.yaml")


def test_start_wants_the_title_and_what_does_not_apply_says_why(machines: Machines) -> None:
    plan = MovePlan.model_validate({"title": "night", "moves": [{"partition": "a", "target": "p8b"}]})
    panel = PlanPanel(cast(Runbook, machines), plan)
    assert panel.start.disabled
    assert "type night" in panel.board.value
    assert all(button.disabled and button.tooltip for button in (panel.halt, panel.go_on, panel.again))
    panel.typed.value = "night"
    assert not panel.start.disabled


def test_a_plan_that_halted_is_shown_with_its_reason_and_offers_to_go_on_or_try_again(machines: Machines) -> None:
    machines.ways["a"] = ROLLED_BACK
    plan = MovePlan.model_validate(
        {"title": "night", "moves": [{"partition": name, "target": "p8b"} for name in "ab"], "limits": {"link": 1}}
    )
    folder, _ = conduct(machines, plan)
    panel = PlanPanel(cast(Runbook, machines), plan, folder)
    panel.close_board()
    panel.refresh()
    assert panel.start.disabled
    assert panel.halt.disabled
    assert not panel.go_on.disabled
    assert panel.which.options == ("a",)
    assert not panel.again.disabled
    assert "✗ failed" in panel.board.value
    assert "Halted: a failed" in course_table(plan_status(folder)).data


def test_markup_in_a_name_is_shown_and_not_obeyed(machines: Machines) -> None:
    machines.partitions = {"<b>x": "p8a"}
    plan = MovePlan.model_validate({"title": "<i>t", "moves": [{"partition": "<b>x", "target": "p8b"}]})
    _, now = conduct(machines, plan)
    assert "<b>x" not in course_table(now).data
    assert "&lt;b&gt;x" in course_table(now).data
