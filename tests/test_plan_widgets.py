"""The widgets for a plan: rows become a file and back, and a button that does not apply says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from lpmkit.checks import Answer
from lpmkit.config import FrameSettings, RunSettings, Site
from lpmkit.errors import SiteFileError, UsageError
from lpmkit.notebook.plan import PlanMaker, plan_of_file
from lpmkit.notebook.plan_board import PlanPanel, plan_picture
from lpmkit.plan import MovePlan, load_plan, save_plan
from lpmkit.plan.book import CheckedPlan, MoveCheck
from lpmkit.plan.outlook import outlook
from lpmkit.plan.timetable import Surroundings
from lpmkit.runbook import Runbook
from lpmkit.runs.folder import Run
from tests.scripted_machines import BEGAN_NS, ROLLED_BACK, Machines, conduct


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    found = Machines(tmp_path, dict.fromkeys("abcd", "p8a"))
    frames = {name: FrameSettings(host=name, mover_address="192.0.2.1") for name in ("p8a", "p8b")}
    found.site = Site(frames=frames, runs=RunSettings(folder=tmp_path))
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


def _panel(machines: Machines, plan: MovePlan, folder: Run | None = None, **more: Any) -> PlanPanel:
    panel = PlanPanel(cast(Runbook, machines), plan, folder, **more)
    panel.close_board()
    return panel


def _offered(panel: PlanPanel) -> list[str]:
    return [button.description for button in panel.row.children]


def _checked(plan: MovePlan, *, ready: bool = True) -> CheckedPlan:
    answer = Answer.READY if ready else Answer.NOT_READY
    moves = tuple(
        MoveCheck(one.partition, "p8a", one.target, (), answer, fits=ready, room="0 MB") for one in plan.moves
    )
    return CheckedPlan(plan, moves, outlook(plan, [], Surroundings({}), BEGAN_NS), BEGAN_NS)


ONE = MovePlan.model_validate({"title": "night", "moves": [{"partition": "a", "target": "p8b"}]})


def test_a_start_shows_its_summary_and_wants_the_title(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr("lpmkit.notebook.plan_board.start", lambda book, plan, title: started.append(title))
    panel = _panel(machines, ONE, checked=_checked(ONE))
    assert _offered(panel) == ["Start …"]
    assert all(panel.buttons[key].disabled and panel.buttons[key].tooltip for key in ("halt", "go-on", "again"))
    panel.buttons["start"].click()
    assert "back-out" in panel.summary.value
    assert panel.go.disabled
    panel.go.click()
    assert started == [], "without its title typed nothing is begun"
    panel.typed.value = "night"
    panel.go.click()
    assert started == ["night"]


def test_what_stands_against_a_start_is_said_before_the_title_is_asked_for(machines: Machines) -> None:
    panel = _panel(machines, ONE, checked=_checked(ONE, ready=False))
    assert panel.now.banner.word == "NOT READY"
    assert _offered(panel) == ["Check the plan"]
    panel.press("start")
    assert not panel.asks
    assert "no room on p8b at its turn" in panel.says.value


def test_a_plan_that_halted_is_shown_with_its_reason_and_offers_to_go_on_or_try_again(machines: Machines) -> None:
    machines.ways["a"] = ROLLED_BACK
    plan = MovePlan.model_validate(
        {"title": "night", "moves": [{"partition": name, "target": "p8b"} for name in "ab"], "limits": {"link": 1}}
    )
    folder, _ = conduct(machines, plan)
    panel = _panel(machines, plan, folder)
    assert _offered(panel) == ["Try again", "Go on"]
    assert panel.buttons["start"].disabled
    assert panel.buttons["halt"].disabled
    assert panel.which.options == ("a",)
    assert panel.now.banner.title == "✗ HALTED 0 of 2 arrived"
    assert "✗ failed" in plan_picture(folder).data
    assert "Halted: a failed" in plan_picture(folder).data


def test_markup_in_a_name_is_shown_and_not_obeyed(machines: Machines) -> None:
    machines.partitions = {"<b>x": "p8a"}
    plan = MovePlan.model_validate({"title": "<i>t", "moves": [{"partition": "<b>x", "target": "p8b"}]})
    folder, _ = conduct(machines, plan)
    assert "<b>x" not in plan_picture(folder).data
    assert "&lt;b&gt;x" in plan_picture(folder).data
