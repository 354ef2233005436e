"""The way of a partition's memory to the other side: a model of the copy, not a progress bar. Pure functions.

While the partition runs its touched pages are sent, then those that were written meanwhile, then those written during
*that*; pages never touched are not sent. The set written within ``t`` of a clean state is concave,
``W (1 - exp(-d t / W))``: a working set is written again and again. When what is left is small enough, or stops
shrinking, the partition is suspended. PowerVM does not wait for the last page: it sends the processor state and the
hottest pages, resumes on the target, and fetches the rest on demand. So the suspension is a nearly fixed cost of the
partition's shape plus a residue.

Theory of operation: `plan` computes the whole copy beforehand; `progress` says where it stands at any moment of it.
The costs of `Overheads` and `SuspensionCost` are not measured on real machines; they were chosen so that a 4 GB
partition on a 1 Gb network takes two minutes and stands still for less than two seconds, which was observed on a pair
of JS22.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

PAGE_BYTES = 4096
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Demand:
    """The memory that has to be moved, and how fast it changes."""

    touched_mb: float
    dirty_mb_per_second: float
    writable_set_mb: float
    post_resume_fetch_mb: float
    memory_mb: int
    virtual_processors: int
    virtual_adapters: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds at which the copy stops waiting for a clean partition. All of these are chosen, none was measured."""

    small_enough_mb: float = 64
    least_shrink: float = 0.10
    most_rounds: int = 8
    most_while_suspended_mb: float = 160


@dataclass(frozen=True, slots=True)
class Overheads:
    """Seconds spent on everything but the copy."""

    validate_s: float = 9.0
    prepare_s: float = 10.0
    finish_s: float = 14.0


@dataclass(frozen=True, slots=True)
class SuspensionCost:
    """The costs of stopping and starting before a single page: they depend on the partition's shape."""

    base_s: float = 0.62
    per_processor_s: float = 0.06
    per_adapter_s: float = 0.04
    per_gb_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over the pages: what it sends and how long that takes; what is written meanwhile."""

    send_mb: float
    seconds: float
    dirtied_mb: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole copy, before it begins."""

    rate_mb_per_second: float
    rounds: tuple[Round, ...]
    converged: bool
    suspended_s: float
    sent_while_suspended_mb: float
    fetched_mb: float
    fetch_s: float
    overheads: Overheads
    demand: Demand

    @property
    def copy_s(self) -> float:
        return sum(each.seconds for each in self.rounds)

    @property
    def total_s(self) -> float:
        """From the request until the partition has vanished from the source."""
        around = self.overheads.validate_s + self.overheads.prepare_s + self.overheads.finish_s
        return around + self.copy_s + self.suspended_s + self.fetch_s

    @property
    def sent_mb(self) -> float:
        return sum(each.send_mb for each in self.rounds) + self.sent_while_suspended_mb + self.fetched_mb


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of the copy. ``remaining_mb`` jumps up at the end of a pass, because pages were written meanwhile."""

    round: int
    sent_mb: float
    remaining_mb: float
    done: bool


def dirtied_mb(demand: Demand, seconds: float) -> float:
    """The amount written within a time of a clean state: the rate at first, never more than the writable set.

    >>> demand = Demand(3900, 9, 320, 24, 4096, 2, 2)
    >>> round(dirtied_mb(demand, 1), 1), round(dirtied_mb(demand, 1e6))
    (8.9, 320)
    """
    span = demand.writable_set_mb
    return span * (1 - math.exp(-demand.dirty_mb_per_second * seconds / span)) if span > 0 else 0.0


def whole_pages_mb(megabytes: float) -> float:
    """Pages are sent whole."""
    return math.ceil(megabytes * MB / PAGE_BYTES - 1e-9) * PAGE_BYTES / MB


def copy_rounds(demand: Demand, rate: float, limits: Limits) -> tuple[tuple[Round, ...], float, bool]:
    """The passes, what is left dirty after the last, and whether that is small enough."""
    rounds: list[Round] = []
    left = whole_pages_mb(demand.touched_mb)
    while len(rounds) < limits.most_rounds:
        seconds = left / rate
        after = min(left, whole_pages_mb(dirtied_mb(demand, seconds)))
        rounds.append(Round(left, seconds, after))
        shrunk, left = 1 - after / left if left else 1.0, after
        if left <= limits.small_enough_mb:
            return tuple(rounds), left, True
        if shrunk < limits.least_shrink:
            break
    return tuple(rounds), left, False


def plan(
    demand: Demand,
    link_mb_per_second: float,
    mover_mb_per_second: float,
    seed: int = 0,
    *,
    limits: Limits | None = None,
    overheads: Overheads | None = None,
    cost: SuspensionCost | None = None,
) -> Plan:
    """Plan a copy.

    The same seed gives the same plan; the seed moves times by a few percent, as no two moves are equal.
    """
    limits, overheads, cost = limits or Limits(), overheads or Overheads(), cost or SuspensionCost()
    dice = random.Random(seed)
    rate = min(link_mb_per_second, mover_mb_per_second) * dice.uniform(0.98, 1.02)
    rounds, left, converged = copy_rounds(demand, rate, limits)
    urgent = min(max(0.0, left - demand.post_resume_fetch_mb), limits.most_while_suspended_mb)
    later = left - urgent
    fixed = (
        cost.base_s
        + cost.per_processor_s * demand.virtual_processors
        + cost.per_adapter_s * demand.virtual_adapters
        + cost.per_gb_s * demand.memory_mb / 1024
    )
    return Plan(
        rate_mb_per_second=rate,
        rounds=rounds,
        converged=converged,
        suspended_s=fixed * dice.uniform(0.88, 1.15) + urgent / rate,
        sent_while_suspended_mb=urgent,
        fetched_mb=later,
        fetch_s=later / rate,
        overheads=replace(
            overheads,
            validate_s=overheads.validate_s * dice.uniform(0.9, 1.1),
            prepare_s=overheads.prepare_s * dice.uniform(0.9, 1.1),
            finish_s=overheads.finish_s * dice.uniform(0.9, 1.1),
        ),
        demand=demand,
    )


def progress(course: Plan, copied_s: float) -> Progress:
    """The state of the copy after this many seconds of it."""
    sent, began = 0.0, 0.0
    for number, each in enumerate(course.rounds, start=1):
        if copied_s < began + each.seconds:
            gone = copied_s - began
            part = each.send_mb * gone / each.seconds
            dirty = min(each.dirtied_mb, dirtied_mb(course.demand, gone))
            return Progress(number, sent + part, each.send_mb - part + dirty, False)
        sent += each.send_mb
        began += each.seconds
    return Progress(len(course.rounds), sent, course.sent_while_suspended_mb + course.fetched_mb, True)
