"""What a plan's folder says of it: where every move stands and why the others wait. For the conductor, which goes by it, and for whoever looks on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lpmkit.errors import LpmError, RecordError
from lpmkit.migration.phases import Phase
from lpmkit.migration.status import State, describe, state
from lpmkit.plan import MovePlan
from lpmkit.plan.schedule import OVER, Stage, UnderWay
from lpmkit.runs.folder import Run
from lpmkit.timeline import Clock, Event

#: Folder of the plans' folders, below the folder of runs.
FOLDER = "plans"

_STAGE_OF = {
    Phase.SETTLED: Stage.WATCHING,
    Phase.FAILED: Stage.FAILED,
    Phase.STOPPED: Stage.FAILED,
    Phase.NEEDS_RECOVERY: Stage.RECOVERY,
}


@dataclass(frozen=True, slots=True)
class MoveStanding:
    """One move: its stage, a sentence why, its run folder once there is one, and how the run stands while it is made.

    ``began_ns`` and ``ended_ns`` are times of day: when the move was asked for, and when it was over. ``verdict`` is that of its report.
    """

    partition: str
    stage: Stage
    why: str = ""
    source: str = ""
    target: str = ""
    run: Path | None = None
    under_way: UnderWay | None = None
    began_ns: int | None = None
    ended_ns: int | None = None
    verdict: str = ""
    now: State | None = None


@dataclass(frozen=True, slots=True)
class Standings:
    """A plan's moves in its order, whether somebody carries it out now, why no further move is started, and how it ended."""

    plan: MovePlan
    moves: tuple[MoveStanding, ...]
    conducted: bool
    halted: str | None
    ended: str | None

    def move(self, partition: str) -> MoveStanding:
        """Of one partition; raises `StopIteration` for one that is not in the plan."""
        return next(move for move in self.moves if move.partition == partition)

    @property
    def stages(self) -> dict[str, Stage]:
        return {move.partition: move.stage for move in self.moves}

    @property
    def is_done(self) -> bool:
        """Nothing more will come of it by itself."""
        return all(move.stage in OVER for move in self.moves)

    @property
    def is_over(self) -> bool:
        """Nobody carries it out, and nothing is under way."""
        return self.ended is not None and not self.conducted


def plan_of(folder: Run) -> MovePlan:
    """The plan as it was started. Raises `RecordError` for a folder that holds none."""
    if folder.manifest.get("mode") != "plan":
        raise RecordError("this folder holds no plan", where=str(folder.path))
    return MovePlan.model_validate(folder.manifest["plan"])


def course(folder: Run, clock: Clock | None = None) -> Standings:
    """Where a plan stands, read from its folder and from those of its moves. Raises `RecordError` for a folder that holds none."""
    plan, events = plan_of(folder), folder.events()
    waiting = folder.document("waiting") or {}
    standings = {
        move.partition: MoveStanding(move.partition, Stage.WAITING, target=move.target, source=move.source or "")
        for move in plan.moves
    }
    halted = ended = None
    for event in events:
        name = event.data.get("partition")
        if name in standings:
            standings[name] = _after(standings[name], event)
        elif event.kind == "halted":
            halted = event.data["why"]
        elif event.kind == "goes-on":
            halted = None
        elif event.kind == "conductor-started":
            ended = None
        elif event.kind == "conductor-ended":
            ended = event.data["why"]
    shown = []
    for one in standings.values():
        if one.stage is Stage.WAITING:
            one = replace(one, why=waiting.get(one.partition, ""))  # noqa: PLW2901 - the same move, told more fully
        shown.append(looked_at(one, clock))
    return Standings(plan, tuple(shown), folder.is_recorded(), halted, ended)


def _after(one: MoveStanding, event: Event) -> MoveStanding:
    """A standing after what the conductor noted of the move."""
    data: Mapping[str, Any] = event.data
    match event.kind:
        case "again":
            return MoveStanding(one.partition, Stage.WAITING, target=one.target, source=one.source)
        case "preparing":
            return replace(one, stage=Stage.PREPARING, why="", source=data["source"])
        case "put-back":
            return replace(one, stage=Stage.WAITING)
        case "moving":
            under_way = UnderWay(one.partition, data["source"], one.target, data["inactive"], tuple(data["movers"]))
            return replace(
                one,
                stage=Stage.MOVING,
                source=data["source"],
                run=Path(data["run"]),
                under_way=under_way,
                began_ns=event.wall_ns,
            )
        case "over":
            return replace(
                one, stage=Stage(data["stage"]), why=data["why"], ended_ns=event.wall_ns, verdict=data.get("verdict", ""),
                run=Path(data["run"]) if data.get("run") else one.run,
            )  # fmt: skip
    return one


def looked_at(one: MoveStanding, clock: Clock | None = None) -> MoveStanding:
    """The same with how its run stands now. A run that cannot be read is said, and taken as still moving: nobody knows better."""
    if one.run is None or one.stage is not Stage.MOVING:
        return one
    try:
        now = state(Run(one.run), clock)
    except LpmError as trouble:
        return replace(one, why=f"its run cannot be read: {trouble}")
    stage = _STAGE_OF.get(now.phase, Stage.MOVING) if now.phase is not None else Stage.MOVING
    why = _words(now) if stage in (Stage.MOVING, Stage.WATCHING) else f"its move is {now.phase}"
    return replace(one, stage=stage, now=now, why=why)


def _words(now: State) -> str:
    if now.phase is Phase.SETTLED:
        return "runs on the target, watched for the tail"
    if now.lead_in_left_s:
        return describe(now)
    return ", ".join(filter(None, (f"{now.phase}", describe(now))))


def plans(runs: Path) -> list[Run]:
    """Every plan's folder of a folder of runs, oldest first; folders that are none are passed over."""
    found = []
    for path in sorted((runs / FOLDER).glob("*/run.json")):
        try:
            found.append(Run(path.parent))
        except RecordError:
            continue
    return found


def as_rows(found: Standings) -> list[dict[str, str]]:
    """A row for each move, as every face shows it."""
    return [
        {
            "partition": move.partition,
            "from": move.source,
            "to": move.target,
            "stage": move.stage.value,
            "what of it": move.why,
            "verdict": move.verdict,
            "run": move.run.name if move.run else "",
        }
        for move in found.moves
    ]


def in_flight(found: Sequence[MoveStanding]) -> list[UnderWay]:
    """What takes a place on frames, movers and links now."""
    return [one.under_way for one in found if one.stage is Stage.MOVING and one.under_way is not None]
