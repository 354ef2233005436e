"""A plan whose partitions leave frames of several places, as a plan for each place: each is driven from there.

The plans have steps. Those of one step may run at once: limits of frames, links and movers hold across them
(`lpmkit.plan.sharing`), and nothing in one waits for another. Those of the next step are started once they are over:
each of their moves names the partitions of other places that it has to wait for, and where they must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from lpmkit.config import Site
from lpmkit.plan import MovePlan, PlannedMove

#: The name of a plan's part whose frames name no place.
HERE = "here"


@dataclass(frozen=True, slots=True)
class PlaceOfPlan:
    """A plan for one place: ``place`` is empty for the host that starts it, ``step`` counts from 1."""

    step: int
    place: str
    plan: MovePlan

    def suffix(self, steps: int) -> str:
        """The suffix of its file's name: the step where there are several, and the place."""
        return (f"-{self.step}" if steps > 1 else "") + f"-{self.place or HERE}"


def by_place(plan: MovePlan, site: Site) -> tuple[PlaceOfPlan, ...]:
    """The plans for the places of a plan, by step; the plan itself where all its frames have one place.

    Every move names its source. A member of a cluster comes a step after another at another place: without a shared
    store two plans do not know that both move at once.
    """
    places = {move.partition: site.frame(move.source).place if move.source else "" for move in plan.moves}
    if len(set(places.values())) == 1:
        return (PlaceOfPlan(1, places[plan.moves[0].partition], plan),)
    steps = _steps(plan, places)
    waits = {
        name: {
            other: plan.move(other).target
            for other in (*plan.move(name).after, *_mates(plan, name))
            if steps.get(other, step) < step
        }
        for name, step in steps.items()
    }
    members: dict[tuple[int, str], set[str]] = {}
    for name, step in steps.items():
        members.setdefault((step, places[name]), set()).add(name)
    last = max(steps.values())
    return tuple(
        PlaceOfPlan(
            step, place, _part(plan, place, f", step {step} of {last}" if last > 1 else "", members[step, place], waits)
        )
        for step, place in sorted(members)
    )


def _steps(plan: MovePlan, places: Mapping[str, str]) -> dict[str, int]:
    """The step of each partition, from 1: after whatever it comes after, one later where that is at another place."""
    order = list(TopologicalSorter({move.partition: move.after for move in plan.moves}).static_order())
    steps: dict[str, int] = {}
    for name in order:
        mates = [mate for mate in _mates(plan, name) if mate in steps and places[mate] != places[name]]
        earlier = [*plan.move(name).after, *mates]
        steps[name] = max((steps[one] + (places[one] != places[name]) for one in earlier), default=1)
    return steps


def _mates(plan: MovePlan, name: str) -> list[str]:
    """The other members of a partition's clusters."""
    return sorted({mate for cluster in plan.clusters_of(name) for mate in plan.clusters[cluster]} - {name})


def _part(plan: MovePlan, place: str, step: str, members: set[str], waits: Mapping[str, Mapping[str, str]]) -> MovePlan:
    """The plan of some of a plan's moves, as they are ordered among one another. Clusters keep all their members."""
    return plan.model_copy(
        update={
            "title": f"{plan.title}, {place or HERE}{step}",
            "clusters": {name: mates for name, mates in plan.clusters.items() if members & {*mates}},
            "moves": tuple(_moves(plan, members, waits)),
        }
    )


def _moves(plan: MovePlan, members: set[str], waits: Mapping[str, Mapping[str, str]]) -> Iterator[PlannedMove]:
    for move in plan.moves:
        if move.partition in members:
            after = tuple(name for name in move.after if name in members)
            yield move.model_copy(update={"after": after, "wait_for": {**move.wait_for, **waits[move.partition]}})
