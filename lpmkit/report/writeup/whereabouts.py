"""On which frame a partition was, from when to when, by the run folders beside a run: what a licence audit asks for."""

from __future__ import annotations

from dataclasses import dataclass

from lpmkit.runs.folder import Run
from lpmkit.runs.history import NAME, History


@dataclass(frozen=True, slots=True)
class Stay:
    """A partition on a frame. Times are nanoseconds since 1970, `None` if no run has them; ``run`` is the run by
    which it came (or left, of the first).
    """

    frame: str
    machine: str
    since_ns: int | None
    until_ns: int | None
    run: str


def whereabouts(run: Run) -> tuple[list[Stay], list[str]]:
    """The stays of the run's partition, oldest first, and the names of run folders that could not be read.

    Only moves that ended on the target count. Where a partition left another frame than the one it had come to,
    somebody moved it without lpmkit: its coming there is not known then.
    """
    folder = run.path.parent
    past = History(folder, keep=(folder / NAME).exists())  # a run folder that lies anywhere leaves nothing beside it
    partition = (run.manifest.get("order") or {}).get("partition")
    settled = [(move.settled_ns, move) for move in past.moves(partition=partition) if move.settled_ns is not None]
    settled.sort(key=lambda pair: pair[0])
    stays: list[Stay] = []
    for number, (at, move) in enumerate(settled):
        came = number > 0 and settled[number - 1][1].target == move.source
        if not came:
            stays.append(Stay(move.source, move.source_machine, None, at, move.run))
        after = settled[number + 1] if number + 1 < len(settled) else None
        left = after[0] if after is not None and after[1].source == move.target else None
        stays.append(Stay(move.target, move.target_machine, at, left, move.run))
    return stays, sorted(past.unreadable)
