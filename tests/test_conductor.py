"""The conductor of a plan: what is started when, what a failure does, what a conductor that died leaves to the next."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lpmkit.background.requests import put
from lpmkit.control.base import Order
from lpmkit.errors import RecordError, RemoteError
from lpmkit.inventory import MoverPair
from lpmkit.plan.board import FollowedPlan
from lpmkit.plan.conductor import PATIENCE_S, STORE_AGAIN_S
from lpmkit.plan.page import rows_of, write_page
from lpmkit.plan.schedule import Stage, UnderWay
from lpmkit.plan.sharing import Judge, Other, OwnRoom
from lpmkit.plan.status import plan_status
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.timeline import Event
from tests.scripted_machines import (
    BEGAN_NS,
    LEFT_BETWEEN,
    ROLLED_BACK,
    Machines,
    conduct,
    conducting,
    planned,
    stages_of,
)


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path, dict.fromkeys("abcd", "p8a"))


def test_moves_are_made_in_the_plans_order_as_many_at_once_as_the_link_takes(machines: Machines) -> None:
    folder, now = conduct(machines, planned(*({"partition": name} for name in "abcd"), limits={"link": 3}))
    assert machines.moved == ["a", "b", "c", "d"]
    assert machines.most == 3
    assert set(stages_of(now).values()) == {"arrived"}
    assert now.is_over
    assert now.ended == "every move is over"
    assert "4 of 4 arrived." in write_page(folder).read_text(encoding="utf-8")


def test_managers_are_not_asked_again_and_again_while_a_move_takes_its_time(machines: Machines) -> None:
    machines.ways["a"] = ("asked", *["copying"] * 40, "settled")
    conduct(machines, planned({"partition": "a"}, {"partition": "b"}, limits={"link": 1}))
    assert machines.looked <= 4


class _Room(OwnRoom):
    """Room in a store that does not answer from the last arrival on, for so many seconds of its clock."""

    def __init__(self, machines: Machines, gone_s: float) -> None:
        self._machines, self._gone_s = machines, gone_s
        self._since_ns: int | None = None
        self.held: set[str] = set()

    def reserve(self, move: UnderWay, mapping: Mapping[str, str], names_slots: bool, judge: Judge) -> str | None:
        self.held.add(move.partition)
        return super().reserve(move, mapping, names_slots, judge)

    def hold_only(self, partitions: Collection[str]) -> None:
        now = self._machines.clock.mono_ns()
        if not partitions and self.held:
            self._since_ns = self._since_ns or now
            if now - self._since_ns < self._gone_s * 1e9:
                raise RemoteError("the shared store does not answer")
        self.held &= set(partitions)


def test_a_move_waits_for_a_partition_that_another_plan_brings_to_its_frame(tmp_path: Path) -> None:
    where = {"a": "p8a", "b": "p8a", "db": "p8a"}
    machines = Machines(tmp_path, where)
    machines.ways["b"] = ("asked", *["copying"] * 30, "settled")
    seen: list[tuple[str, int]] = []

    def move(run: Run, typed_name: str, really: Any = machines.move) -> None:
        seen.append((where["db"], machines.looked))
        really(run, typed_name)
        if len(seen) == 1:
            where["db"] = "p8b"  # the other plan's move arrives while b is copied

    machines.move = move  # type: ignore[method-assign]
    plan = planned({"partition": "a", "wait_for": {"db": "p8b"}}, {"partition": "b"}, limits={"link": 2})
    _, now = conduct(machines, plan)
    assert machines.moved == ["b", "a"], "b, which waits for nobody, went first"
    assert [frame for frame, _ in seen] == ["p8a", "p8b"]
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}


def test_a_member_of_a_cluster_waits_while_another_plan_moves_its_mate(machines: Machines) -> None:
    class Elsewhere(OwnRoom):
        asked = 0

        def others(self) -> list[Other]:
            self.asked += 1
            mate = Other(UnderWay("z", "p8a", "p8b"), {}, False, "plan x on fra")
            return [mate] if self.asked < 6 else []

        def reserve(self, move: UnderWay, mapping: Mapping[str, str], names_slots: bool, judge: Judge) -> str | None:
            if (why := judge(self.others())) is not None:
                waited.append(why)
            return why

    waited: list[str] = []
    plan = planned({"partition": "a"}, clusters={"ha": ["a", "z"]}, limits={"link": 4})
    _, now = conduct(machines, plan, room=Elsewhere())
    assert set(waited) == {"z of the cluster ha is moving (plan x on fra)"}
    assert stages_of(now) == {"a": "arrived"}


def test_a_plan_whose_moves_are_over_waits_for_the_store_and_gives_its_room_back(machines: Machines) -> None:
    room = _Room(machines, 3 * STORE_AGAIN_S)
    _, now = conduct(machines, planned({"partition": "a"}), room=room)
    assert (stages_of(now), room.held) == ({"a": "arrived"}, set())
    assert now.ended == "every move is over"


def test_a_store_that_is_gone_for_good_does_not_keep_a_plan_from_its_end(machines: Machines) -> None:
    room = _Room(machines, 1e9)
    folder, now = conduct(machines, planned({"partition": "a"}), room=room)
    assert (stages_of(now), room.held) == ({"a": "arrived"}, {"a"})
    assert now.ended == "every move is over"
    told = [str(event.data["text"]) for event in folder.events() if event.kind == "note"]
    assert any(f"`lpmkit plan go-on {folder.name}` gives it back" in text for text in told)


def test_a_plan_that_stops_lets_what_is_under_way_arrive_and_starts_nothing_more(machines: Machines) -> None:
    machines.ways["a"] = ROLLED_BACK
    machines.ways["b"] = ("asked", *["copying"] * 9, "settled")
    folder, now = conduct(machines, planned({"partition": "a"}, {"partition": "b"}, {"partition": "c"}))
    assert stages_of(now) == {"a": "failed", "b": "arrived", "c": "waiting"}
    assert "a failed" in (now.halted or "")
    assert now.move("c").why == now.halted, "why it waits is kept for whoever looks on"
    assert "Halted" in write_page(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("on_failure", ["stop", "go-on"])
def test_a_failed_move_is_watched_to_its_end_and_reported_before_the_plan_ends(
    machines: Machines, on_failure: str
) -> None:
    machines.ways["b"], machines.verdicts["b"] = ROLLED_BACK, "failed"
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]}, on_failure=on_failure)
    _, now = conduct(machines, plan)
    failed = now.move("b")
    assert (failed.stage, failed.verdict) == (Stage.FAILED, "failed")
    assert failed.ended_ns is not None, "the plan ends after the last look at its machines"
    assert failed.run is not None
    assert Run(failed.run).document("summary")["verdict"]["state"] == "failed"


def test_a_plan_that_goes_on_drops_only_what_comes_after_the_failed_move(machines: Machines) -> None:
    machines.refused = {"a"}
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]}, {"partition": "c"}, on_failure="go-on")
    _, now = conduct(machines, plan)
    assert stages_of(now) == {"a": "failed", "b": "dropped", "c": "arrived"}
    assert "HSCLA319" in now.move("a").why
    assert machines.moved == ["c"]


def test_a_failing_check_keeps_a_move_from_being_asked_for_unless_the_plan_accepts_it(machines: Machines) -> None:
    machines.failing = {"a": "memory", "b": "memory"}
    plan = planned({"partition": "a"}, {"partition": "b", "accept": ["memory"]}, on_failure="go-on")
    _, now = conduct(machines, plan)
    assert stages_of(now) == {"a": "failed", "b": "arrived"}
    assert "make room" in now.move("a").why


def test_a_move_of_a_plan_waits_until_somebody_else_approves_its_order(machines: Machines) -> None:
    machines.unapproved = {"a"}
    asked_at: list[int] = []

    def goes_on() -> None:
        machines.step()
        if machines.clock.now_ns - began > 300e9 and machines.unapproved:
            assert machines.moved == ["b"], "the others do not wait for it"
            machines.unapproved.clear()
            asked_at.append(machines.clock.now_ns)

    began, machines.clock.each = machines.clock.now_ns, goes_on
    _, now = conduct(machines, planned({"partition": "a"}, {"partition": "b"}))
    assert asked_at
    assert machines.moved == ["b", "a"]
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}


def test_a_move_that_arrived_with_a_failed_verdict_has_failed(machines: Machines) -> None:
    machines.verdicts["a"] = "failed"
    _, now = conduct(machines, planned({"partition": "a"}, {"partition": "b", "after": ["a"]}))
    assert stages_of(now) == {"a": "failed", "b": "waiting"}


def test_a_report_that_cannot_be_written_does_not_make_an_arrival_a_failure_and_is_said(machines: Machines) -> None:
    machines.verdicts["a"] = "no disk"
    _, now = conduct(machines, planned({"partition": "a"}))
    assert now.move("a").verdict == "not evaluated"
    assert now.move("a").stage is Stage.ARRIVED
    assert "the disk is full" in now.move("a").why


def test_a_migration_left_in_between_halts_until_it_is_recovered_and_somebody_says_go_on(machines: Machines) -> None:
    machines.ways["a"] = LEFT_BETWEEN
    plan = planned({"partition": "a"}, {"partition": "b"}, on_failure="go-on", limits={"link": 1})
    folder, now = conduct(machines, plan)
    assert stages_of(now) == {"a": "needs recovery", "b": "waiting"}
    assert now.halted == "a must be recovered first"
    put(folder, machines.clock, "go-on")
    _, now = conduct(machines, plan, folder)
    assert stages_of(now)["b"] == "waiting", "nobody has recovered it"
    machines.going["a"][1].append("failed")
    machines.step()  # somebody recovered it
    put(folder, machines.clock, "go-on")
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "failed", "b": "arrived"}


def test_what_failed_can_be_tried_again_and_what_was_dropped_with_it_comes_back(machines: Machines) -> None:
    machines.refused = {"a"}
    plan = planned({"partition": "a"}, {"partition": "b", "after": ["a"]}, on_failure="go-on")
    folder, _ = conduct(machines, plan)
    machines.refused = set()
    put(folder, machines.clock, "again", partition="a")
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}


def test_a_halt_is_obeyed_and_what_it_left_goes_on_when_somebody_says_so(machines: Machines) -> None:
    plan = planned({"partition": "a"}, {"partition": "b"}, limits={"link": 1})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    asked = iter([True])

    def step() -> None:
        if next(asked, False):
            put(folder, machines.clock, "halt")
        Machines.step(machines)

    machines.clock.each = step
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived", "b": "waiting"}
    put(folder, machines.clock, "go-on")
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}


def test_a_conductor_that_died_is_followed_by_one_that_asks_for_no_move_twice(machines: Machines) -> None:
    class Killed(BaseException):
        """As a kill does it: between any two lines."""

    def killed_after(count: int, writer: RunWriter) -> Callable[..., Event]:
        left, write = iter(range(count)), writer.event

        def event(*arguments: Any, **data: Any) -> Event:
            if next(left, None) is None:
                raise Killed
            return write(*arguments, **data)

        return event

    plan = planned({"partition": "a"}, {"partition": "b"}, {"partition": "c"})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    for number in range(1, 12):
        try:
            with conducting(machines, folder) as conductor, pytest.MonkeyPatch.context() as patch:
                patch.setattr(conductor.writer, "event", killed_after(number, conductor.writer))
                conductor.conduct()
        except Killed:
            continue
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived", "b": "arrived", "c": "arrived"}
    assert sorted(machines.moved) == ["a", "b", "c"]


def test_two_that_run_the_same_cluster_software_do_not_move_at_once(machines: Machines) -> None:
    machines.clusters = {"a": "PowerHA", "b": "PowerHA", "c": "GPFS"}
    _, now = conduct(machines, planned(*({"partition": name} for name in "abc"), limits={"link": 9}))
    assert machines.moved == ["a", "c", "b"]
    assert set(stages_of(now).values()) == {"arrived"}


def test_the_least_busy_movers_are_named_in_the_order_and_their_limit_holds(machines: Machines) -> None:
    machines.pairs = tuple(MoverPair(f"a{one}", one, "", f"b{one}", one, "") for one in (1, 2))
    machines.takes = 1
    folder, _ = conduct(machines, planned(*({"partition": name} for name in "abcd"), limits={"link": 9}))
    assert machines.most == 2
    moves = [event.data for event in folder.events() if event.kind == "moving"]
    assert [one["movers"] for one in moves[:2]] == [["a1", "b1"], ["a2", "b2"]]
    assert [one["mover_pairs"] for one in moves[:2]] == [["a1 → b1"], ["a2 → b2"]]
    assert [row["movers"] for row in rows_of(FollowedPlan(folder))][:2] == ["a1 → b1", "a2 → b2"]
    assert Run(moves[1]["run"]).manifest["order"]["mapping"] == {"source_msp_name": "a2", "dest_msp_name": "b2"}


@pytest.mark.parametrize(
    ("modes", "mapping"),
    [
        (("POWER10",), {"redundant_msps": "1/a1/1//b1/1/,1/a2/2//b2/2/"}),
        # Not all firmware of POWER8 has it: the manager chooses.
        (("POWER8",), {}),
    ],
)
def test_an_order_of_a_plan_never_takes_the_second_pair_of_movers_away(
    machines: Machines, modes: tuple[str, ...], mapping: dict[str, str]
) -> None:
    machines.modes = modes
    machines.pairs = tuple(
        MoverPair(f"a{here}", here, "", f"b{there}", there, "", redundant=True) for here in (1, 2) for there in (1, 2)
    )
    folder, _ = conduct(machines, planned({"partition": "a"}, limits={"link": 9}))
    (move,) = (event.data for event in folder.events() if event.kind == "moving")
    assert sorted(move["movers"]) == ["a1", "a2", "b1", "b2"]
    assert Run(move["run"]).manifest["order"]["mapping"] == mapping
    notes = [event.data["text"] for event in folder.events() if event.kind == "note"]
    assert "a: two pairs of movers, chosen by the manager" in notes


def test_a_frame_that_does_not_answer_is_waited_for_and_given_up_after_a_while(machines: Machines) -> None:
    machines.away = {"p8b"}
    began = machines.clock.mono_ns()
    _, now = conduct(machines, planned({"partition": "a"}))
    assert stages_of(now) == {"a": "failed"}
    assert "nobody answers" in now.move("a").why
    assert (machines.clock.mono_ns() - began) / 1e9 >= PATIENCE_S


def test_a_partition_that_nobody_lists_is_not_missing_while_a_frame_is_silent(machines: Machines) -> None:
    machines.away = {"p8a"}
    _, now = conduct(machines, planned({"partition": "a"}))
    assert "nobody answers" in now.move("a").why
    assert (machines.clock.mono_ns() - BEGAN_NS) / 1e9 >= PATIENCE_S


def test_a_recorder_that_cannot_be_started_anew_is_said_once_and_the_other_moves_go_on(machines: Machines) -> None:
    machines.ways["a"] = ("asked", *["copying"] * 5, "settled")
    machines.refuses = 3
    folder, now = conduct(machines, planned({"partition": "a"}, {"partition": "b"}))
    assert stages_of(now) == {"a": "arrived", "b": "arrived"}
    said = [event.data["text"] for event in folder.events() if event.kind == "note"]
    assert len(said) == len(set(said)) >= 1
    assert "the disk is full" in said[0]


def test_a_run_that_cannot_be_read_is_said_and_taken_as_moving(machines: Machines) -> None:
    plan = planned({"partition": "a"})
    folder, _ = conduct(machines, plan)
    with RunWriter(folder.path, machines.clock) as writer:
        writer.event("conductor", "again", partition="a")
        where = {"run": str(machines.folder / "nowhere"), "source": "p8a", "inactive": False, "movers": []}
        writer.event("conductor", "moving", partition="a", **where)
    one = plan_status(folder, machines.clock).move("a")
    assert one.stage is Stage.MOVING
    assert "cannot be read" in one.why
    assert replace(one, why="").run is not None


BAD_REQUESTS = {
    "half": b"{half",
    "a list": b'["halt"]',
    "nothing asked": b"{}",
    "an unknown request": b'{"what": "fly"}',
    "no partition": b'{"what": "again"}',
    "a partition of another plan": b'{"what": "again", "partition": "zz"}',
    "a list as a partition": b'{"what": "again", "partition": ["a"]}',
    "no text": b"\xff\xfe\x00",
    "nested too deeply": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_request_that_cannot_be_understood_is_noted_and_the_plan_goes_on(machines: Machines, content: bytes) -> None:
    plan = planned({"partition": "a"})
    folder = create(machines.folder, mode="plan", title="n", facts={"plan": plan.as_data()}, clock=machines.clock)
    requests = folder.path / "requests"
    requests.mkdir()
    (requests / "1.json").write_bytes(content)
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived"}
    assert list(requests.iterdir()) == []
    assert [event for event in folder.events() if event.kind == "note" and "not carried out" in event.data["text"]]


def test_a_request_that_can_be_neither_read_nor_removed_is_noted_once_and_the_plan_goes_on(machines: Machines) -> None:
    plan = planned({"partition": "a"})
    folder = create(machines.folder, mode="plan", title="n", facts={"plan": plan.as_data()}, clock=machines.clock)
    (folder.path / "requests" / "1.json").mkdir(parents=True)
    _, now = conduct(machines, plan, folder)
    assert stages_of(now) == {"a": "arrived"}
    notes = [str(event.data["text"]) for event in folder.events() if event.kind == "note"]
    assert sum("1.json" in text for text in notes) == 2, "that it cannot be read, and that it cannot be removed"


def test_a_plan_whose_folder_is_renamed_is_followed_and_says_so(machines: Machines) -> None:
    plan = planned(*({"partition": name} for name in "abc"), limits={"link": 1})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    renamed = folder.path.with_name("CHG0042317")

    def rename() -> None:
        machines.step()
        if machines.moved == ["a"] and folder.path.exists():
            folder.path.rename(renamed)
            put(Run(renamed), machines.clock, "halt")

    machines.clock.each = rename
    conduct(machines, plan, folder)
    now = plan_status(Run(renamed), machines.clock)
    assert stages_of(now) == {"a": "arrived", "b": "waiting", "c": "waiting"}, "the request in the new place was read"
    assert any(event.data.get("text") == "the folder was renamed to CHG0042317" for event in Run(renamed).events())
    assert not folder.path.exists(), "nothing is written to the old place"


def test_a_plan_whose_folder_is_removed_ends_in_words_and_starts_nothing_more(machines: Machines) -> None:
    plan = planned({"partition": "a"}, {"partition": "b"}, limits={"link": 1})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )

    def remove() -> None:
        machines.step()
        if machines.moved and folder.path.exists():
            shutil.rmtree(folder.path)

    machines.clock.each = remove
    with pytest.raises(RecordError, match="the folder was removed"):
        conduct(machines, plan, folder)
    assert machines.moved == ["a"]


def test_a_partition_that_got_another_id_than_its_order_names_did_not_go_as_ordered(tmp_path: Path) -> None:
    class Otherwise(Machines):
        """A manager that gives the partition another id."""

        def prepare(self, order: Order) -> Run:
            run = super().prepare(order)
            row = {"what": "as ordered: partition id", "before": "7", "after": "9", "as_it_should": False}
            write_document(run.path, "changes", [row])
            return run

    machines = Otherwise(tmp_path, dict.fromkeys("ab", "p8a"))
    _, now = conduct(
        machines, planned({"partition": "a", "mapping": {"dest_lpar_id": "7"}}, {"partition": "b", "after": ["a"]})
    )
    assert stages_of(now) == {"a": "failed", "b": "waiting"}
    assert now.move("a").why.startswith("on the target, but not as ordered: partition id 9 instead of 7")


def test_a_plan_waits_for_the_window_of_its_moves(machines: Machines) -> None:
    begin = datetime.fromtimestamp(machines.clock.wall_ns() / 1e9 + 600, tz=UTC)
    window = {"begin": begin.isoformat(), "end": (begin + timedelta(hours=9)).isoformat()}
    folder, now = conduct(machines, planned({"partition": "a"}, window=window))
    assert stages_of(now) == {"a": "arrived"}
    moving = next(event.wall_ns for event in folder.events() if event.kind == "moving")
    assert moving >= begin.timestamp() * 1e9
