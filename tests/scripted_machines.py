"""A site whose machines do as they are told, for what is carried out over hours: time goes on only when somebody
waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from lpmkit.checks import Finding, Verdict
from lpmkit.config import Site
from lpmkit.control.base import Order
from lpmkit.errors import NotApproved, NotFound, RecordError, Unreachable
from lpmkit.inventory import Frame, MoverPair, Partition
from lpmkit.limits import MoveLimits
from lpmkit.plan import MovePlan
from lpmkit.plan.conductor import Conductor
from lpmkit.plan.sharing import PlanRoom
from lpmkit.plan.status import PlanStatus, plan_status
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.runbook import PartitionLocation, Runbook, SiteInventory, Validation
from lpmkit.runs.folder import Run, create, write_document
from lpmkit.runs.writer import RunWriter
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Reply
from lpmkit.timeline import Clock

#: When these nights begin.
BEGAN_NS = 1_700_000_000 * 10**9
ARRIVES = ("asked", "copying", "settled")
ROLLED_BACK = ("asked", "copying", "failed")
LEFT_BETWEEN = ("asked", "copying", "needs-recovery")
_SPREAD = Quantiles(1.0, 2.0, 4.0)
FORESEEN = Prediction(_SPREAD, _SPREAD, _SPREAD, _SPREAD, stall=0.0, past_moves=0, basis="nothing")


class Told(Clock):
    """A clock that goes on only when somebody sleeps, and tells ``each`` of it."""

    def __init__(self) -> None:
        self.now_ns = BEGAN_NS
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
    secrets: Any = None
    ways: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    unapproved: set[str] = field(default_factory=set)
    allowed: int = 16
    pairs: tuple[MoverPair, ...] = ()
    #: Processor modes of both frames, which tell their generation.
    modes: tuple[str, ...] = ()
    takes: int | None = None
    foresees: Callable[[Run], Prediction | NoForecast] = lambda run: FORESEEN
    refuses: int = 0  #: so often no recorder can be started again
    moved: list[str] = field(default_factory=list)
    going: dict[str, tuple[RunWriter, list[str]]] = field(default_factory=dict)
    looked: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.clock.each = self.step
        self.secrets = Secrets()
        self.site: Any = Site.model_validate({"runs": {"folder": self.folder}})

    def opens_in_s(self, order: Order) -> float:
        return self.limits_of(order).window.opens_in_s(self.clock.wall_ns())

    def limits_of(self, order: Order) -> MoveLimits:
        return MoveLimits.model_validate(order.limits)

    def require_approvals(self, run: Run) -> tuple[()]:
        if run.manifest["order"]["partition"] in self.unapproved:
            raise NotApproved("this order needs 1 approval")
        return ()

    def landscape(self) -> SiteInventory:
        self.looked += 1
        up = [name for name in ("p8a", "p8b") if name not in self.away]
        frames = {
            name: Frame(
                name,
                "8286-42A",
                name,
                proc_compat_modes=self.modes,
                active_migrations_supported=self.allowed,
                active_migrations_in_progress=0,
            )
            for name in up
        }
        placed = tuple(
            PartitionLocation(frame, Partition(name, 3, "Running", memory_mb=1024))
            for name, frame in self.partitions.items()
            if frame in up
        )
        return SiteInventory(frames, placed, {name: Unreachable("nobody answers", where=name) for name in self.away})

    def order(
        self,
        partition: str,
        target: str,
        *,
        source: str | None = None,
        mapping: Any = None,
        options: Any = None,
        limits: Any = None,
        there: Any = None,
    ) -> Order:
        if target in self.away:
            raise there.silent[target]
        if partition not in {one.partition.name for one in there.placed}:
            raise NotFound("partition", partition)
        return Order(
            partition,
            source or self.partitions[partition],
            target,
            target,
            "",
            "",
            dict(mapping or {}),
            dict(options or {}),
            dict(limits or {}),
        )

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

    def predict(self, run: Run) -> Prediction | NoForecast:
        return self.foresees(run)

    def move(self, run: Run, typed_name: str) -> None:
        self.moved.append(typed_name)
        recorder = RunWriter(run.path, self.clock).__enter__()  # it holds the folder's lock until it ends
        recorder.event("recorder", "recorder-started")
        self.going[typed_name] = (recorder, list(self.ways.get(typed_name, ARRIVES)))
        self.most = max(self.most, sum(bool(left) for _, left in self.going.values()))

    def attach(self, run: Run) -> bool:
        if self.refuses:
            self.refuses -= 1
            raise RecordError("the disk is full", where=run.name)
        return False

    def exchange_runs(self) -> str:
        return ""

    def asked(self) -> list[Reply]:
        return []

    def report(self, path: Path) -> None:
        state = self.verdicts.get(Run(path).manifest["order"]["partition"], "passed")
        if state == "no disk":
            raise RecordError("the disk is full", where=str(path))
        write_document(path, "summary", {"verdict": {"state": state, "line": f"it {state}"}})

    def step(self) -> None:
        """Every move that is under way goes one phase on; after the last its recorder ends, but waits for somebody to
        recover.
        """
        for name, (recorder, left) in list(self.going.items()):
            if left:
                recorder.event("recorder", "phase", phase=left.pop(0))
            elif Run(recorder.path).events()[-1].data.get("phase") != "needs-recovery":
                recorder.event("recorder", "recorder-ended", reason="the tail is over")
                recorder.__exit__()
                del self.going[name]


def planned(*moves: Mapping[str, Any], **more: Any) -> MovePlan:
    return MovePlan.model_validate({"title": "night", "moves": [{"target": "p8b", **one} for one in moves], **more})


@contextmanager
def conducting(machines: Machines, folder: Run, room: PlanRoom | None = None) -> Iterator[Conductor]:
    with RunWriter(folder.path, machines.clock) as writer:
        yield Conductor(folder, writer, cast(Runbook, machines), machines.report, lambda _: None, room)


def conduct(
    machines: Machines, plan: MovePlan, folder: Run | None = None, room: PlanRoom | None = None
) -> tuple[Run, PlanStatus]:
    made = folder or create(
        machines.folder / "plans", mode="plan", title="night", facts={"plan": plan.as_data()}, clock=machines.clock
    )
    with conducting(machines, made, room) as conductor:
        conductor.conduct()
    return made, plan_status(made, machines.clock)


def stages_of(now: PlanStatus) -> dict[str, str]:
    return {one.partition: one.stage.value for one in now.moves}
