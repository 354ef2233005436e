"""A plan of several moves on the simulator, at the prompt."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

from lpmkit.plan.schedule import Stage
from lpmkit.plan.status import plan_status, plans
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import Hold, Said, Terminal, rehearse, soon, times_asked

PLAN = """
title: rack 8
on_failure: go-on
limits: {link: 2}
moves:
  - {partition: p8npiv01, target: p8b, after: [p8vnic01]}
  - {partition: p8aix06, target: p8b, keep_mapping: true}
  - {partition: p8aix01, target: p8b}
  - {partition: p8vnic01, target: p8b}
"""


def _plan(folder: Path, text: str) -> Path:
    path = folder / "rack8.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _moves(said: Said) -> dict[str, dict[str, Any]]:
    return {one["partition"]: one for one in said.json["moves"]}


def _quick(site_file: Path) -> None:
    """Short lead-ins and tails, as a site may want them."""
    with site_file.open("a", encoding="utf-8") as site:
        site.write("runs: {lead_in_s: 3, tail_s: 2}\n")


def test_a_plan_moves_what_it_may_at_once_survives_its_conductor_and_tries_again_what_failed(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    faults = ("suspend-refused:p8vnic01", hold.fault)
    with rehearse(tmp_path / "sim", *faults, landscape="p8pair", speed=60) as rehearsal:
        _quick(rehearsal.site_file)
        terminal, file = Terminal(rehearsal.site_file), _plan(tmp_path, PLAN)
        said = terminal.type("plan", "check", str(file), "--json")
        assert said.status in (0, 3), said
        assert [one["room at its turn"].startswith("yes") for one in said.json["moves"]] == [True] * 4
        assert {one["firmware"] for one in said.json["moves"]} == {"accepts it"}

        assert terminal.type("plan", "run", str(file), "--confirm", "rack").status == 2
        assert not plans(rehearsal.folder / "runs"), "without its title typed nothing is begun"
        said = terminal.type("plan", "run", str(file), "--confirm", "rack 8", "--detach")
        assert said.status == 0, said
        folder = Run(said.output.strip())
        assert terminal.type("plan", "run", str(file), "--confirm", "rack 8").status == 2, "one plan at a time"

        soon(lambda: sum(stage is Stage.MOVING for stage in plan_status(folder).stages.values()) == 2)
        (begun,) = [event.data["pid"] for event in folder.events() if event.kind == "conductor-started"]
        os.kill(begun, signal.SIGKILL)
        soon(lambda: not plan_status(folder).conducted)
        hold.let_go()
        said = terminal.type("plan", "attach", folder.name, "--json")
        assert said.status == 1, said
        moves = _moves(said)
        assert {name: one["stage"] for name, one in moves.items()} == {
            "p8npiv01": "dropped",
            "p8aix06": "arrived",
            "p8aix01": "arrived",
            "p8vnic01": "failed",
        }
        assert all(times_asked(Run(one["run"])) == 1 for one in moves.values() if one["run"])
        assert _most_at_once(folder) == 2
        assert moves["p8aix01"]["suspended_low_s"] > 0
        assert re.sub(r" \(192\.0\.2\.\d+\)", "", moves["p8aix01"]["movers"]) == (
            "p8a-vios1 → p8b-vios1; p8a-vios2 → p8b-vios2"
        ), "both pairs carry it"

        assert terminal.type("plan", "again", folder.name, "p8aix01").status == 2, "it has arrived"
        assert terminal.type("plan", "again", folder.name, "p8vnic01").status == 0
        said = terminal.type("plan", "attach", folder.name, "--json")
        assert {one["stage"] for one in said.json["moves"]} == {"arrived"}, said
        order = [event.data["partition"] for event in folder.events() if event.kind in ("moving", "over")]
        assert order[-4:] == ["p8vnic01", "p8vnic01", "p8npiv01", "p8npiv01"], (
            "one was over before the other was asked for"
        )
        page = Path(said.json["page"]).read_text(encoding="utf-8")
        assert "4 of 4 arrived." in page
        assert page.count("report.html") == 4


def _most_at_once(folder: Run) -> int:
    """The number of moves that were under way at one moment, by the phases of their own runs.

    A conductor that is killed before the recorder's first event leaves a move that its successor puts back.
    """
    marks, events = [], folder.events()
    for number, event in enumerate(events):
        if event.kind != "moving":
            continue
        of_this = [later for later in events[number + 1 :] if later.data.get("partition") == event.data["partition"]]
        if of_this and of_this[0].kind == "put-back":
            ended_ns = of_this[0].wall_ns
        else:
            phases = [one for one in Run(event.data["run"]).events() if one.kind == "phase"]
            ended_ns = next(one.wall_ns for one in phases if one.data["phase"] in ("settled", "failed"))
        marks += [(event.wall_ns, 1), (ended_ns, -1)]
    count = most = 0
    for _, step in sorted(marks):
        count += step
        most = max(most, count)
    return most
