"""A frame of twelve partitions is emptied into two others and refilled by the real conductor: by its events and those
of its moves no limit was broken at any instant, and the page says what is true. The machines refuse what has no room.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import MovePlan
from lpmkit.plan.page import write_page
from lpmkit.runbook import PartitionLocation, SiteInventory
from lpmkit.runs.folder import Run
from tests.scripted_machines import ARRIVES, ROLLED_BACK, Machines, conduct, stages_of

NAMES = tuple(f"lp{number:02}" for number in range(12))
FRAMES = ("p8a", "p8b", "p8c")
MEMORY_MB = {name: 1024 * (1 + number % 3) for number, name in enumerate(NAMES)}
#: What a target has: no more than the half of the partitions that goes there needs.
ROOM_MB = {"p8a": sum(MEMORY_MB.values()), "p8b": 13 * 1024, "p8c": 13 * 1024}


@dataclass
class Frames(Machines):
    """Three frames with memory, ids and movers; they refuse an order for which there is no room, as managers do."""

    allowed: int = 3
    takes: int | None = 2
    ids: dict[str, int] = field(default_factory=dict)
    #: Partitions under way, with source, target and the id that the order names.
    under_way: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def landscape(self) -> SiteInventory:
        frames = {
            name: Frame(
                name,
                "8286-42A",
                name,
                memory_available_mb=self.free_mb(name),
                active_migrations_supported=self.allowed,
                active_migrations_in_progress=sum(name in way[:2] for way in self.under_way.values()),
            )
            for name in FRAMES
        }
        placed = tuple(
            PartitionLocation(frame, Partition(name, self.ids[name], "Running", memory_mb=MEMORY_MB[name]))
            for name, frame in self.partitions.items()
        )
        return SiteInventory(frames, placed, {})

    def free_mb(self, frame: str) -> int:
        """Memory that nobody has, and that no partition on its way was promised."""
        there = [name for name, where in self.partitions.items() if where == frame]
        coming = [name for name, (_, target, _) in self.under_way.items() if target == frame]
        return ROOM_MB[frame] - sum(MEMORY_MB[name] for name in (*there, *coming))

    def mover_pairs(self, order: Any) -> tuple[MoverPair, ...]:
        return tuple(
            MoverPair(f"{order.source}-v{here}", here, "", f"{order.target}-v{there}", there, "")
            for here in (1, 2)
            for there in (1, 2)
        )

    def movers_take(self, frame: str) -> dict[str, int | None]:
        return dict.fromkeys((f"{frame}-v1", f"{frame}-v2"), self.takes)

    def move(self, run: Run, typed_name: str) -> None:
        order = run.manifest["order"]
        target, wanted = str(self._targets[typed_name]), int(order["mapping"]["dest_lpar_id"])
        source = self.partitions[typed_name]
        for frame in (source, target):
            if sum(frame in way[:2] for way in self.under_way.values()) >= self.allowed:
                self.refusals.append(f"{typed_name}: {frame} takes no more moves")
        taken = {self.ids[name] for name, where in self.partitions.items() if where == target}
        taken |= {number for _, where, number in self.under_way.values() if where == target}
        if wanted in taken:
            self.refusals.append(f"{typed_name}: the id {wanted} is taken on {target}")
        if self.free_mb(target) < MEMORY_MB[typed_name]:
            self.refusals.append(f"{typed_name}: no memory on {target}")
        self.under_way[typed_name] = (source, target, wanted)
        super().move(run, typed_name)

    def step(self) -> None:
        for name, (_, left) in self.going.items():
            if left and left[0] in ("settled", "failed"):
                source, target, number = self.under_way.pop(name)
                self.partitions = {**self.partitions, name: target if left[0] == "settled" else source}
                if left[0] == "settled":
                    self.ids[name] = number
        super().step()

    def carried_out(self, plan: MovePlan) -> tuple[Run, dict[str, str]]:
        """Carry a plan out; its folder, and how each move ended."""
        self._targets = {move.partition: move.target for move in plan.moves}
        folder, status = conduct(self, plan)
        return folder, stages_of(status)


def _plan(title: str, moves: list[Mapping[str, Any]], limits: Mapping[str, int]) -> MovePlan:
    return MovePlan.model_validate({"title": title, "moves": moves, "limits": limits, "on_failure": "go-on"})


def _spans(folder: Run) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
    """Every move that was asked for: from its preparation to its end, with what it occupied; by the events alone."""
    prepared: dict[str, int] = {}
    for event in folder.events():
        if event.kind == "preparing":
            prepared[event.data["partition"]] = event.mono_ns
        elif event.kind == "moving":
            phases = [one for one in Run(event.data["run"]).events() if one.kind == "phase"]
            mapping = Run(event.data["run"]).manifest["order"]["mapping"]
            yield prepared[event.data["partition"]], phases[-1].mono_ns, {**event.data, "id": mapping["dest_lpar_id"]}


def _at_every_instant(folder: Run, plan: MovePlan) -> Iterator[list[Mapping[str, Any]]]:
    """The moves under way together, whenever something begins."""
    spans = list(_spans(folder))
    targets = {move.partition: move.target for move in plan.moves}
    for moment, _, _ in spans:
        yield [
            {**what, "target": targets[what["partition"]]} for since, until, what in spans if since <= moment < until
        ]


def _no_limit_was_broken(folder: Run, plan: MovePlan, machines: Frames) -> None:
    for together in _at_every_instant(folder, plan):
        for frame in FRAMES:
            assert sum(frame in (one["source"], one["target"]) for one in together) <= machines.allowed
        ways = [frozenset((one["source"], one["target"])) for one in together]
        assert all(ways.count(way) <= plan.limits.link for way in ways)
        movers = [name for one in together for name in one["movers"]]
        assert machines.takes is not None
        most = min(machines.takes, plan.limits.mover or machines.takes)
        assert all(movers.count(name) <= most for name in movers)
        ids = [(one["target"], one["id"]) for one in together]
        assert len(set(ids)) == len(ids)
    assert machines.refusals == []


def _page_is_true(folder: Run, ended: Mapping[str, str], machines: Frames, home: str) -> None:
    page = write_page(folder).read_text(encoding="utf-8")
    with (folder.path / "plan.csv").open(encoding="utf-8") as file:
        rows = {row["partition"]: row for row in csv.DictReader(file)}
    assert {name: row["stage"] for name, row in rows.items()} == dict(ended)
    for name, row in rows.items():
        assert machines.partitions[name] == (row["target"] if row["stage"] == "arrived" else home or row["source"])
        assert name in page
    arrived = sum(stage == "arrived" for stage in ended.values())
    assert f"{arrived} of {len(ended)}" in page


@st.composite
def nights(draw: st.DrawFn) -> tuple[dict[str, int], int, int, set[str], list[str]]:
    limits = {"link": draw(st.integers(1, 3)), "mover": draw(st.integers(1, 2))}
    rolled_back = draw(st.sets(st.sampled_from(NAMES), max_size=2))
    return limits, draw(st.integers(1, 4)), draw(st.integers(1, 2)), rolled_back, draw(st.permutations(NAMES))


@given(nights())
@settings(max_examples=4, deadline=None)
def test_twelve_partitions_leave_a_frame_and_come_home_and_no_limit_is_broken_at_any_instant(
    made: tuple[dict[str, int], int, int, set[str], list[str]],
) -> None:
    limits, allowed, takes, rolled_back, order = made
    with tempfile.TemporaryDirectory() as folder:
        machines = Frames(Path(folder), dict.fromkeys(NAMES, "p8a"), allowed=allowed, takes=takes)
        machines.ids = {name: 3 + number for number, name in enumerate(NAMES)}
        at_home = dict(machines.ids)
        machines.ways = {name: ROLLED_BACK if name in rolled_back else ARRIVES for name in NAMES}
        halves = {name: FRAMES[1 + NAMES.index(name) // 6] for name in NAMES}
        away = _plan("evacuate p8a", [{"partition": name, "target": halves[name]} for name in order], limits)
        # As `lpmkit plan make` does: every move names its id.
        numbers = {name: {"dest_lpar_id": str(20 + NAMES.index(name) % 6)} for name in NAMES}
        away = away.model_copy(
            update={"moves": tuple(m.model_copy(update={"mapping": numbers[m.partition]}) for m in away.moves)}
        )
        plan_folder, ended = machines.carried_out(away)
        assert ended == {name: "failed" if name in rolled_back else "arrived" for name in NAMES}
        _no_limit_was_broken(plan_folder, away, machines)
        _page_is_true(plan_folder, ended, machines, "p8a")

        machines.ways, machines.moved = {}, []
        gone = [name for name in order if machines.partitions[name] != "p8a"]
        home = _plan(
            "return home",
            [{"partition": name, "target": "p8a", "mapping": {"dest_lpar_id": str(at_home[name])}} for name in gone],
            limits,
        )
        plan_folder, ended = machines.carried_out(home)
        assert set(ended.values()) == {"arrived"}
        assert sorted(machines.moved) == sorted(gone), "each was asked for once"
        _no_limit_was_broken(plan_folder, home, machines)
        _page_is_true(plan_folder, ended, machines, "")
        assert machines.ids == at_home
        assert set(machines.partitions.values()) == {"p8a"}
