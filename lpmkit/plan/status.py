"""State of a plan from its folder: the stage of every move and the reason of the waiting ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lpmkit.errors import LpmError, RecordError
from lpmkit.json_values import JsonMapping
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
class MoveStatus:
    """Status of one move: stage, reason, run folder, and the state of its run while it moves.

    ``began_ns`` and ``ended_ns`` are wall-clock times of the request and of the end. ``verdict`` comes from its report.
    ``not_observed`` are the other places that do not watch it, with the reason.
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
    not_observed: Mapping[str, str] = field(default_factory=dict)

    @property
    def not_observed_text(self) -> str:
        """The other places that do not watch it, with the reason, as a text; empty if every one does."""
        return "; ".join(f"not observed from {place}: {why}" for place, why in self.not_observed.items())


@dataclass(frozen=True, slots=True)
class PlanStatus:
    """Status of a plan: its moves in order, ``conducted`` while a conductor runs, and why it halted or ended."""

    plan: MovePlan
    moves: tuple[MoveStatus, ...]
    conducted: bool
    halted: str | None
    ended: str | None

    def move(self, partition: str) -> MoveStatus:
        """Status of one partition's move; raises `StopIteration` if the plan does not contain it."""
        return next(move for move in self.moves if move.partition == partition)

    @property
    def stages(self) -> dict[str, Stage]:
        """Stage of every partition."""
        return {move.partition: move.stage for move in self.moves}

    @property
    def is_done(self) -> bool:
        """True if every move has reached a final stage."""
        return all(move.stage in OVER for move in self.moves)

    @property
    def is_over(self) -> bool:
        """True if the conductor has ended."""
        return self.ended is not None and not self.conducted


def plan_of(folder: Run) -> MovePlan:
    """The plan as it was started. Raises `RecordError` for a folder without a plan."""
    if folder.manifest.get("mode") != "plan":
        raise RecordError("this folder holds no plan", where=str(folder.path))
    return MovePlan.model_validate(folder.manifest["plan"])


def plan_status(folder: Run, clock: Clock | None = None) -> PlanStatus:
    """Read the state of a plan from its folder and those of its moves. Raises `RecordError` for a folder without a
    plan.

    """
    plan, events = plan_of(folder), folder.events()
    waiting = folder.document("waiting") or {}
    moves = {
        planned.partition: MoveStatus(
            planned.partition, Stage.WAITING, target=planned.target, source=planned.source or ""
        )
        for planned in plan.moves
    }
    halted = ended = None
    for event in events:
        name = event.data.get("partition")
        if name in moves:
            moves[name] = (_observed if event.kind == "observed" else _after)(moves[name], event)
        elif event.kind == "halted":
            halted = event.data["why"]
        elif event.kind == "goes-on":
            halted = None
        elif event.kind == "conductor-started":
            ended = None
        elif event.kind == "conductor-ended":
            ended = event.data["why"]
    current = []
    for move in moves.values():
        waits = move.stage is Stage.WAITING
        current.append(looked_at(replace(move, why=waiting.get(move.partition, "")) if waits else move, clock))
    return PlanStatus(plan, tuple(current), folder.is_recorded(), halted, ended)


def _after(move: MoveStatus, event: Event) -> MoveStatus:
    """The status of a move after an event of the conductor."""
    data: JsonMapping = event.data
    match event.kind:
        case "again":
            return MoveStatus(move.partition, Stage.WAITING, target=move.target, source=move.source)
        case "preparing":
            return replace(move, stage=Stage.PREPARING, why="", source=data["source"])
        case "put-back":
            return replace(move, stage=Stage.WAITING)
        case "moving":
            movers, pairs = tuple(data["movers"]), tuple(data.get("mover_pairs") or ())
            under_way = UnderWay(move.partition, data["source"], move.target, data["inactive"], movers, pairs)
            return replace(
                move,
                stage=Stage.MOVING,
                source=data["source"],
                run=Path(data["run"]),
                under_way=under_way,
                began_ns=event.wall_ns,
            )
        case "over":
            return replace(
                move,
                stage=Stage(data["stage"]),
                why=data["why"],
                ended_ns=event.wall_ns,
                verdict=data.get("verdict", ""),
                run=Path(data["run"]) if data.get("run") else move.run,
            )
    return move


def _observed(move: MoveStatus, event: Event) -> MoveStatus:
    """The status of a move after a conductor's word on another place that watches it, or does not."""
    place, why = event.data["place"], event.data["why"]
    others = {name: reason for name, reason in move.not_observed.items() if name != place}
    return replace(move, not_observed={**others, place: why} if why else others)


def looked_at(move: MoveStatus, clock: Clock | None = None) -> MoveStatus:
    """Add the current state of the move's run. A run that cannot be read counts as still moving, with the error as
    reason.

    """
    if move.run is None or move.stage is not Stage.MOVING:
        return move
    try:
        run_state = state(Run(move.run), clock)
    except LpmError as trouble:
        return replace(move, why=f"its run cannot be read: {trouble}")
    stage = _STAGE_OF.get(run_state.phase, Stage.MOVING) if run_state.phase is not None else Stage.MOVING
    why = _words(run_state) if stage in (Stage.MOVING, Stage.WATCHING) else _ENDED.get(run_state.phase, "")
    return replace(move, stage=stage, now=run_state, why=why)


#: Ends of a move that did not arrive.
_ENDED: Mapping[Phase | None, str] = {
    Phase.FAILED: "refused or rolled back",
    Phase.STOPPED: "stopped as asked for",
    Phase.NEEDS_RECOVERY: "the migration was interrupted and needs recovery",
}


def _words(run_state: State) -> str:
    if run_state.phase is Phase.SETTLED:
        return "runs on the target, post-migration window"
    if run_state.lead_in_left_s:
        return describe(run_state)
    return ", ".join(filter(None, (f"{run_state.phase}", describe(run_state))))


def plans(runs: Path) -> list[Run]:
    """Every plan's folder of a folder of runs, oldest first; other folders are skipped."""
    folders = []
    for path in sorted((runs / FOLDER).glob("*/run.json")):
        try:
            folders.append(Run(path.parent))
        except RecordError:
            continue
    return folders


def as_rows(status: PlanStatus) -> list[dict[str, str]]:
    """A row for each move, as every front end shows it."""
    return [
        {
            "partition": move.partition,
            "from": move.source,
            "to": move.target,
            "stage": move.stage.value,
            "what of it": "; ".join(filter(None, (move.why, move.not_observed_text))),
            "verdict": move.verdict,
            "run": move.run.name if move.run else "",
        }
        for move in status.moves
    ]


def in_flight(moves: Sequence[MoveStatus]) -> list[UnderWay]:
    """Moves that occupy frames, movers and links now."""
    return [move.under_way for move in moves if move.stage is Stage.MOVING and move.under_way is not None]
