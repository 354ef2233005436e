"""Who carries a plan out: what is started when, what a failure does, what a conductor that died leaves to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from lpmkit.checks import Finding, Verdict
from lpmkit.control import Order
from lpmkit.errors import RecordError, Unreachable
from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.plan import MovePlan
from lpmkit.plan import book as planner
from lpmkit.plan.conductor import PATIENCE_S, Conductor
from lpmkit.plan.course import Course, course
from lpmkit.plan.page import write_page
from lpmkit.plan.schedule import Stage
from lpmkit.prediction.before import Prediction
from lpmkit.run import Run, RunWriter, create, write_document
from lpmkit.runbook import Landscape, Placed, Runbook, Validation
from lpmkit.session import Reply
from lpmkit.timeline import Clock

ARRIVES = ("asked", "copying", "settled")
ROLLED_BACK = ("asked", "copying", "failed")
LEFT_BETWEEN = ("asked", "copying", "needs-recovery")


class Told(Clock):
    """A clock that goes on only when somebody sleeps, and tells ``each`` of it."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000 * 10**9
        self.each: Any = lambda: None

    def mono_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
        self.each()


@dataclass
class Machines:
    """A site whose machines do as they are told; fulfils what a conductor asks of a `Runbook`."""

    folder: Path
    partitions: Mapping[str, str]
    clock: Told = field(default_factory=Told)
    ways: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    allowed: int = 16
    pairs: tuple[MoverPair, ...] = ()
    takes: int | None = None
    moved: list[str] = field(default_factory=list)
    going: dict[str, tuple[RunWriter, list[str]]] = field(default_factory=dict)
    looked: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.clock.each = self.step

    def landscape(self) -> Landscape:
        self.looked += 1
        up = [name for name in ("p8a", "p8b") if name not in self.away]
        frames = {
            name: Frame(
                name, "8286-42A", name, active_migrations_supported=self.allowed, active_migrations_in_progress=0
            )
            for name in up
        }
        placed = tuple(
            Placed(frame, Partition(name, 3, "Running", memory_mb=1024)) for name, frame in self.partitions.items()
        )
        return Landscape(frames, placed, {name: Unreachable("nobody answers", where=name) for name in self.away})

    def order(
        self, partition: str, target: str, *, source: str | None = None, mapping: Any = None, there: Any = None
    ) -> Order:
        if target in self.away:
            raise there.silent[target]
        return Order(partition, source or self.partitions[partition], target, target, "", "", dict(mapping or {}))

    def keep_mapping(self, order: Order) -> Any:
        raise NotImplementedError

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        return self.pairs

    def movers_take(self, frame: str) -> dict[str, int | None]:
        return dict.fromkeys(("a1", "a2") if frame == "p8a" else ("b1", "b2"), self.takes)

    def prepare(self, order: Order) -> Run:
        facts = {
            "order": {"partition": order.partition, "source": order.source, "mapping": dict(order.mapping)},
            "lead_in_s": 0.0,
        }
        return create(self.folder, mode="move", title=order.partition, facts=facts, clock=self.clock)

    def check(self, run: Run) -> tuple[Finding, ...]:
        name = run.manifest["order"]["partition"]
        kind = self.clusters.get(name)
        write_document(run.path, "survey", {"guest": {"clusters": [{"kind": kind}] if kind else []}})
        if name not in self.failing:
            return ()
        return (Finding(self.failing[name], "Room", Verdict.FAIL, name, {}, "make room", "AIX"),)

    def validate(self, run: Run) -> Validation:
        name = run.manifest["order"]["partition"]
        return Validation(cast(Order, None), name not in self.refused, 0, "HSCLA319 no", self.clock.wall_ns())

    def predict(self, run: Run) -> Prediction | None:
        return None

    def move(self, run: Run, typed_name: str) -> None:
        self.moved.append(typed_name)
        recorder = RunWriter(run.path, self.clock).__enter__()  # it holds the folder's lock until it ends
        recorder.event("recorder", "recorder-started")
        self.going[typed_name] = (recorder, list(self.ways.get(typed_name, ARRIVES)))
        self.most = max(self.most, len(self.going))

    def attach(self, run: Run) -> bool:
        return False

    def asked(self) -> list[Reply]:
        return []

    def report(self, path: Path) -> None:
        state = self.verdicts.get(Run(path).manifest["order"]["partition"], "passed")
        if state == "no disk":
            raise RecordError("the disk is full", where=str(path))
        write_document(path, "summary", {"verdict": {"state": state, "line": f"it {state}"}})

    def step(self) -> None:
        """Every move that is under way goes one phase on; after the last its recorder ends, but waits for somebody to recover."""
        for name, (recorder, left) in list(self.going.items()):
            if left:
                recorder.event("recorder", "phase", phase=left.pop(0))
            elif Run(recorder.path).events()[-1].data.get("phase") != "needs-recovery":
                recorder.event("recorder", "recorder-ended", reason="the tail is over")
                recorder.__exit__()
                del self.going[name]


def _plan(*moves: Mapping[str, Any], **more: Any) -> MovePlan:
    return MovePlan.model_validate({"title": "night", "moves": [{"target": "p8b", **one} for one in moves], **more})


@contextmanager
def _conducting(machines: Machines, folder: Run) -> Iterator[Conductor]:
    with RunWriter(folder.path, machines.clock) as writer:
        yield Conductor(folder, writer, cast(Runbook, machines), machines.report)


def _conduct(machines: Machines, plan: MovePlan, folder: Run | None = None) -> tuple[Run, Course]:
    made = folder or create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    with _conducting(machines, made) as conductor:
        conductor.conduct()
    return made, course(made, machines.clock)


def _stages(now: Course) -> dict[str, str]:
    return {one.partition: one.stage.value for one in now.moves}


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path, dict.fromkeys("abcd", "p8a"))


def test_moves_are_made_in_the_plans_order_as_many_at_once_as_the_link_takes(machines: Machines) -> None:
    folder, now = _conduct(machines, _plan(*({"partition": name} for name in "abcd"), limits={"link": 3}))
    assert machines.moved == ["a", "b", "c", "d"]
    assert machines.most == 3
    assert set(_stages(now).values()) == {"arrived"}
    assert now.is_over
    assert now.ended == "every move is over"
    assert "4 of 4 arrived." in (folder.path / "plan.html").read_text(encoding="utf-8")


def test_managers_are_not_asked_again_and_again_while_a_move_takes_its_time(machines: Machines) -> None:
    machines.ways["a"] = ("asked", *["copying"] * 40, "settled")
    _conduct(machines, _plan({"partition": "a"}, {"partition": "b"}, limits={"link": 1}))
    assert machines.looked <= 4


def test_a_plan_that_stops_lets_what_is_under_way_arrive_and_starts_nothing_more(machines: Machines) -> None:
    machines.ways["a"] = ROLLED_BACK
    machines.ways["b"] = ("asked", *["copying"] * 9, "settled")
    folder, now = _conduct(machines, _plan({"partition": "a"}, {"partition": "b"}, {"partition": "c"}))
    assert _stages(now) == {"a": "failed", "b": "arrived", "c": "waiting"}
    assert "a failed" in (now.halted or "")
    assert now.move("c").why == now.halted
    assert "Halted" in write_page(folder).read_text(encoding="utf-8")


def test_a_plan_that_goes_on_drops_only_what_comes_after_the_failed_move(machines: Machines) -> None:
    machines.refused = {"a"}
    plan = _plan({"partition": "a"}, {"partition": "b", "after": ["a"]}, {"partition": "c"}, on_failure="go-on")
    _, now = _conduct(machines, plan)
    assert _stages(now) == {"a": "failed", "b": "dropped", "c": "arrived"}
    assert "HSCLA319" in now.move("a").why
    assert machines.moved == ["c"]


def test_a_failing_check_keeps_a_move_from_being_asked_for_unless_the_plan_accepts_it(machines: Machines) -> None:
    machines.failing = {"a": "memory", "b": "memory"}
    plan = _plan({"partition": "a"}, {"partition": "b", "accept": ["memory"]}, on_failure="go-on")
    _, now = _conduct(machines, plan)
    assert _stages(now) == {"a": "failed", "b": "arrived"}
    assert "make room" in now.move("a").why


def test_a_move_that_arrived_with_a_failed_verdict_has_failed(machines: Machines) -> None:
    machines.verdicts["a"] = "failed"
    _, now = _conduct(machines, _plan({"partition": "a"}, {"partition": "b", "after": ["a"]}))
    assert _stages(now) == {"a": "failed", "b": "waiting"}


def test_a_report_that_cannot_be_written_does_not_make_an_arrival_a_failure_and_is_said(machines: Machines) -> None:
    machines.verdicts["a"] = "no disk"
    _, now = _conduct(machines, _plan({"partition": "a"}))
    assert now.move("a").verdict == "not evaluated"
    assert now.move("a").stage is Stage.ARRIVED
    assert "the disk is full" in now.move("a").why


def test_a_migration_left_in_between_halts_until_it_is_recovered_and_somebody_says_go_on(machines: Machines) -> None:
    machines.ways["a"] = LEFT_BETWEEN
    plan = _plan({"partition": "a"}, {"partition": "b"}, on_failure="go-on", limits={"link": 1})
    folder, now = _conduct(machines, plan)
    assert _stages(now) == {"a": "needs recovery", "b": "waiting"}
    assert "lpmkit recover" in (now.halted or "")
    planner._request(cast(Runbook, machines), folder, {"what": "go-on"})
    _, now = _conduct(machines, plan, folder)
    assert _stages(now)["b"] == "waiting", "nobody has recovered it"
    machines.going["a"][1].append("failed")
    planner._request(cast(Runbook, machines), folder, {"what": "go-on"})
    _, now = _conduct(machines, plan, folder)
    assert _stages(now) == {"a": "failed", "b": "arrived"}


def test_what_failed_can_be_tried_again_and_what_was_dropped_with_it_comes_back(machines: Machines) -> None:
    machines.refused = {"a"}
    plan = _plan({"partition": "a"}, {"partition": "b", "after": ["a"]}, on_failure="go-on")
    folder, _ = _conduct(machines, plan)
    machines.refused = set()
    planner._request(cast(Runbook, machines), folder, {"what": "again", "partition": "a"})
    _, now = _conduct(machines, plan, folder)
    assert _stages(now) == {"a": "arrived", "b": "arrived"}


def test_a_halt_is_obeyed_and_what_it_left_goes_on_when_somebody_says_so(machines: Machines) -> None:
    plan = _plan({"partition": "a"}, {"partition": "b"}, limits={"link": 1})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    asked = iter([True])

    def step() -> None:
        if next(asked, False):
            planner._request(cast(Runbook, machines), folder, {"what": "halt"})
        Machines.step(machines)

    machines.clock.each = step
    _, now = _conduct(machines, plan, folder)
    assert _stages(now) == {"a": "arrived", "b": "waiting"}
    planner._request(cast(Runbook, machines), folder, {"what": "go-on"})
    _, now = _conduct(machines, plan, folder)
    assert _stages(now) == {"a": "arrived", "b": "arrived"}


def test_a_conductor_that_died_is_followed_by_one_that_asks_for_no_move_twice(machines: Machines) -> None:
    class Killed(BaseException):
        """As a kill does it: between any two lines."""

    plan = _plan({"partition": "a"}, {"partition": "b"}, {"partition": "c"})
    folder = create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    for number in range(1, 12):
        left = iter(range(number))

        def event(writer: RunWriter, left: Iterator[int] = left, *arguments: Any, **data: Any) -> Any:
            if next(left, None) is None:
                raise Killed
            return RunWriter.event(writer, *arguments, **data)

        try:
            with _conducting(machines, folder) as conductor:
                conductor.writer.event = lambda *given, _w=conductor.writer, _l=left, **data: event(
                    _w, _l, *given, **data
                )  # type: ignore[method-assign]
                conductor.conduct()
        except Killed:
            continue
    _, now = _conduct(machines, plan, folder)
    assert _stages(now) == {"a": "arrived", "b": "arrived", "c": "arrived"}
    assert sorted(machines.moved) == ["a", "b", "c"]


def test_two_that_run_the_same_cluster_software_do_not_move_at_once(machines: Machines) -> None:
    machines.clusters = {"a": "PowerHA", "b": "PowerHA", "c": "GPFS"}
    _, now = _conduct(machines, _plan(*({"partition": name} for name in "abc"), limits={"link": 9}))
    assert machines.moved == ["a", "c", "b"]
    assert set(_stages(now).values()) == {"arrived"}


def test_the_least_busy_movers_are_named_in_the_order_and_their_limit_holds(machines: Machines) -> None:
    machines.pairs = tuple(MoverPair(f"a{one}", one, "", f"b{one}", one, "") for one in (1, 2))
    machines.takes = 1
    folder, _ = _conduct(machines, _plan(*({"partition": name} for name in "abcd"), limits={"link": 9}))
    assert machines.most == 2
    moves = [event.data for event in folder.events() if event.kind == "moving"]
    assert [one["movers"] for one in moves[:2]] == [["a1", "b1"], ["a2", "b2"]]
    assert Run(moves[1]["run"]).manifest["order"]["mapping"] == {"source_msp_name": "a2", "dest_msp_name": "b2"}


def test_a_frame_that_does_not_answer_is_waited_for_and_given_up_after_a_while(machines: Machines) -> None:
    machines.away = {"p8b"}
    began = machines.clock.mono_ns()
    _, now = _conduct(machines, _plan({"partition": "a"}))
    assert _stages(now) == {"a": "failed"}
    assert "nobody answers" in now.move("a").why
    assert (machines.clock.mono_ns() - began) / 1e9 >= PATIENCE_S


def test_a_run_that_cannot_be_read_is_said_and_taken_as_moving(machines: Machines) -> None:
    plan = _plan({"partition": "a"})
    folder, _ = _conduct(machines, plan)
    with RunWriter(folder.path, machines.clock) as writer:
        writer.event("conductor", "again", partition="a")
        where = {"run": str(machines.folder / "nowhere"), "source": "p8a", "inactive": False, "movers": []}
        writer.event("conductor", "moving", partition="a", **where)
    one = course(folder, machines.clock).move("a")
    assert one.stage is Stage.MOVING
    assert "cannot be read" in one.why
    assert replace(one, why="").run is not None
