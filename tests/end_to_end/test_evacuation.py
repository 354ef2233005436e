"""A frame is emptied and everything comes home, at the prompt, by the ordinary conductor."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from lpmkit.plan import LINK_TAKES
from lpmkit.runs.folder import Run
from tests.end_to_end.cases import Terminal, rehearse, times_asked

EVERYTHING = {"p8aix01", "p8npiv01", "p8vnic01", "p8lin01", "p8aix06"}


def test_a_frame_is_emptied_and_everything_comes_home_with_no_limit_broken(tmp_path: Path) -> None:
    with rehearse(tmp_path / "sim", landscape="p8pair", speed=400) as rehearsal:
        with rehearsal.site_file.open("a", encoding="utf-8") as site:
            site.write("runs: {lead_in_s: 2, tail_s: 2}\n")
        terminal = Terminal(rehearsal.site_file)
        ids = _ids(terminal, "p8a")
        assert ids.keys() >= EVERYTHING

        away = tmp_path / "away.yaml"
        made = terminal.type("plan", "make", "--evacuate", "p8a", "--into", "p8b", "--output", str(away), "--json")
        assert made.status == 0, made
        wanted = {move["partition"]: int(move["id"]) for move in made.json["moves"]}
        assert wanted.keys() == EVERYTHING
        _carried_out(terminal, away, "evacuate p8a")
        assert not _ids(terminal, "p8a").keys() & EVERYTHING
        there = _ids(terminal, "p8b")
        assert {name: there[name] for name in EVERYTHING} == wanted, "the ids are those that the plan named"

        home = tmp_path / "home.yaml"
        made = terminal.type("plan", "make", "--return", "--output", str(home), "--json")
        assert made.status == 0, made
        _carried_out(terminal, home, "return home")
        assert _ids(terminal, "p8a") == ids, "everything is where it was, under its old id"
        assert terminal.type("home", "--json").json == []


def _ids(terminal: Terminal, frame: str) -> dict[str, int]:
    rows = terminal.type("inventory", frame, "--json").json["partitions"]
    return {row["partition"]: row["lpar_id"] for row in rows}


def _carried_out(terminal: Terminal, file: Path, title: str) -> None:
    """Run a plan to its end; hold every instant of it against the plan's limits."""
    said = terminal.type("plan", "run", str(file), "--confirm", title, "--json")
    moves: list[dict[str, Any]] = said.json["moves"]
    assert {move["stage"] for move in moves} == {"arrived"}, said
    assert {move["partition"] for move in moves} == EVERYTHING
    runs = [Run(move["run"]) for move in moves]
    assert all(times_asked(run) == 1 for run in runs)
    assert _most_under_way(runs) <= LINK_TAKES
    folder = Run(said.json["plan"])
    assert folder.document("expected") is not None
    assert all(run.document("changes") is not None for run in runs), "every order was held against what came"
    named = [run.manifest["order"]["mapping"] for run in runs]
    assert len({record["dest_lpar_id"] for record in named}) == len(named)
    for first, second in _overlapping(runs):
        slots = [_slots(run.manifest["order"]["mapping"]) for run in (first, second)]
        assert not slots[0] & slots[1], "two moves at once name the same slot"


def _slots(record: dict[str, str]) -> set[tuple[str, str]]:
    items = [item.split("/") for name in ("virtual_scsi_mappings", "virtual_fc_mappings")
             for item in record.get(name, "").split(",") if item]  # fmt: skip
    return {(item[1], item[3]) for item in items if len(item) > 3 and item[3]}


def _span(run: Run) -> tuple[int, int]:
    """From the first event of a move's recorder to the end of its migration."""
    events = run.events()
    return events[0].wall_ns, next(event.wall_ns for event in events if event.data.get("phase") == "settled")


def _overlapping(runs: list[Run]) -> list[tuple[Run, Run]]:
    ordered = sorted(runs, key=_span)
    return [(first, second) for first, second in pairwise(ordered) if _span(second)[0] < _span(first)[1]]


def _most_under_way(runs: list[Run]) -> int:
    count = most = 0
    marks = [(moment, step) for run in runs for moment, step in zip(_span(run), (1, -1), strict=True)]
    for _, step in sorted(marks):
        count += step
        most = max(most, count)
    return most
