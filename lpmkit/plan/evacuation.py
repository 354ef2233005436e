"""Plans that empty a frame, or bring partitions home: facts of both ends, packed onto targets, as a plan.

The facts come from one pass over the frames (`lpmkit.survey.fleet`), the rules from the checks, the packing from
`lpmkit.plan.packing`. Everything after the pass is a function of plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lpmkit.checks import Finding, Verdict, examine
from lpmkit.checks.fibre import WWPNS_EACH
from lpmkit.checks.judging import NotApplicable, NotKnown
from lpmkit.checks.resources import (
    PAGE_TABLE_SHARE,
    client_adapters,
    lowest_free_slots,
    required_memory,
    required_processors,
)
from lpmkit.config import Site
from lpmkit.errors import UsageError
from lpmkit.inventory import VirtualFcAdapter
from lpmkit.limits import ChangeWindow
from lpmkit.mapping.compare import DEFAULT_POOL
from lpmkit.plan import MovePlan, PlannedMove, in_site_order
from lpmkit.plan.packing import Left, Need, Packing, Placed, Room, pack
from lpmkit.plan.schedule import Membership, shared_clusters
from lpmkit.survey.fleet import FrameSurvey
from lpmkit.survey.model import Survey, SystemFacts

Value = TypeVar("Value")

#: Checks whose figure is shared by all moves to a target: the packing counts it for all of them together.
COUNTED = frozenset({"memory-room", "processor-room", "virtual-slots", "fc-ports"})
#: Checks that fail only for the moment: the plan waits for its turn.
PASSING = frozenset({"concurrency"})


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of a partition: its targets, and the id that it should have there (0: the one it has)."""

    targets: tuple[str, ...]
    lpar_id: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that was made, with its packing. ``plan`` is ``None`` if nothing can go."""

    plan: MovePlan | None
    packing: Packing

    @property
    def left(self) -> tuple[Left, ...]:
        """Partitions that cannot go."""
        return self.packing.left

    def placed(self, partition: str) -> Placed:
        """The placement of one partition; raises `StopIteration` if it has none."""
        return next(one for one in self.packing.placed if one.need.partition == partition)


def make_plan(
    title: str,
    surveys: Sequence[FrameSurvey],
    site: Site,
    *,
    wanted: Mapping[str, Destination] | None = None,
    window: ChangeWindow | None = None,
    accept: Collection[str] = (),
    missing: Mapping[str, str] | None = None,
) -> Made:
    """Pack the partitions of surveys onto their targets and make the plan.

    ``wanted`` limits partitions and their targets; without it everything may go to every target that was surveyed.
    ``accept`` are keys of checks that may fail, ``missing`` partitions that cannot even be surveyed, with the reason.
    A wanted one that no frame lists is missing too. The same facts give the same plan.
    """
    facts = _by_partition(surveys)
    chosen = {name: facts[name] for name in facts if wanted is None or name in wanted}
    labels = cluster_labels({name: _memberships(directions) for name, directions in chosen.items()})
    needs = [
        _need(name, directions, None if wanted is None else wanted[name], labels.get(name), accept)
        for name, directions in chosen.items()
    ]
    targets = dict.fromkeys(survey.direction.target for survey in surveys)
    packing = pack(needs, [_room(name, surveys) for name in targets])
    packing = Packing(packing.placed, (*packing.left, *_absent(surveys, facts, wanted or {}, missing or {})))
    if not packing.placed:
        return Made(None, packing)
    return Made(_plan(title, packing, site, window, accept), packing)


def _absent(
    surveys: Sequence[FrameSurvey],
    facts: Collection[str],
    wanted: Mapping[str, Destination],
    missing: Mapping[str, str],
) -> Iterator[Left]:
    """Partitions that are wanted and that no frame listed: either it is silent, or they are elsewhere by now."""
    silent = dict.fromkeys(f"{machine.machine}: {machine.why}" for frame in surveys for machine in frame.silent)
    why = f"not known where it is ({'; '.join(silent)})" if silent else "it is not where lpmkit moved it to"
    reasons = {name: why for name in wanted if name not in facts} | dict(missing)
    for name, reason in reasons.items():
        yield Left(Need(name, "", 0, None, None, None), {"the ledger": (reason,)})


def _plan(title: str, packing: Packing, site: Site, window: ChangeWindow | None, accept: Collection[str]) -> MovePlan:
    clusters: dict[str, list[str]] = {}
    for one in packing.placed:
        if one.need.cluster is not None:
            clusters.setdefault(one.need.cluster, []).append(one.need.partition)
    moves = tuple(
        PlannedMove(
            partition=one.need.partition,
            source=one.need.source,
            target=one.target,
            after=one.after,
            keep_mapping=True,
            mapping={"dest_lpar_id": str(one.lpar_id)},
            accept=tuple(sorted(accept)),
        )
        for one in packing.placed
    )
    several = {name: tuple(members) for name, members in clusters.items() if len(members) > 1}
    plan = MovePlan(title=title, window=window or ChangeWindow(), clusters=several, moves=moves)
    return in_site_order(plan, site)


# -- what a partition needs --------------------------------------------------------------------------------------------


def _by_partition(surveys: Sequence[FrameSurvey]) -> dict[str, list[tuple[FrameSurvey, Survey | None]]]:
    """The surveys of each partition, one for each target. A name on two frames is refused: it is not one partition."""
    facts: dict[str, list[tuple[FrameSurvey, Survey | None]]] = {}
    for frame in surveys:
        for partition, survey in frame.partitions:
            known = facts.setdefault(partition.name, [])
            if known and known[0][0].direction.source != frame.direction.source:
                raise UsageError(
                    f"{known[0][0].direction.source} and {frame.direction.source} both list a partition "
                    f"{partition.name}",
                    next_step="Recover or rename one of them, then make the plan again.",
                )
            known.append((frame, survey))
    return facts


def _need(
    name: str,
    directions: Sequence[tuple[FrameSurvey, Survey | None]],
    wanted: Destination | None,
    cluster: str | None,
    accept: Collection[str],
) -> Need:
    """The needs of one partition, with the targets that its checks rule out."""
    source = directions[0][0].direction.source
    listed = next(partition for partition, _ in directions[0][0].partitions if partition.name == name)
    surveyed = next((survey for _, survey in directions if survey is not None), None)
    barred: dict[str, tuple[str, ...]] = {}
    remarks: dict[str, tuple[str, ...]] = {}
    for frame, survey in directions:
        target = frame.direction.target
        if wanted is not None and target not in wanted.targets:
            barred[target] = (f"goes to {', '.join(wanted.targets)} only",)
        elif survey is None:
            why = "; ".join(f"{machine.machine}: {machine.why}" for machine in frame.silent) or "no answer"
            barred[target] = (f"not known: it could not be surveyed ({why})",)
        else:
            findings = examine(survey)
            if failing := tuple(_failing(findings, accept)):
                barred[target] = failing
            remarks[target] = tuple(_unsure(findings))
    if surveyed is None:
        return Need(name, source, listed.lpar_id, None, None, None, barred=barred)
    memory = _known(lambda: required_memory(surveyed))
    adapters = _adapters(surveyed)
    shared = listed.pool is not None and listed.pool_id != DEFAULT_POOL
    return Need(
        partition=name,
        source=source,
        lpar_id=(wanted.lpar_id if wanted is not None else 0) or listed.lpar_id,
        memory_mb=None if memory is None else memory + -(-memory // PAGE_TABLE_SHARE),
        processors=_known(lambda: required_processors(surveyed)),
        adapters=None if adapters is None else len(adapters),
        fibre=sum(isinstance(adapter, VirtualFcAdapter) for adapter in adapters or ()),
        pool=listed.pool if shared else None,
        affinity=None if listed.affinity_group in (None, "none") else listed.affinity_group,
        cluster=cluster,
        inactive=listed.state == "Not Activated",
        barred=barred,
        remarks=remarks,
    )


def _failing(findings: Iterable[Finding], accept: Collection[str]) -> Iterator[str]:
    for finding in findings:
        if finding.verdict is Verdict.FAIL and finding.key not in COUNTED | PASSING and finding.key not in accept:
            remedy = f" ({finding.remedy})" if finding.remedy else ""
            yield f"check {finding.key} fails: {finding.title}{remedy}"


def _unsure(findings: Iterable[Finding]) -> Iterator[str]:
    """Checks without an answer: the move is planned, and they are judged again at its turn."""
    titles = [finding.title for finding in findings if finding.verdict is Verdict.UNKNOWN and not finding.only_firmware]
    if titles:
        yield f"not known yet: {', '.join(dict.fromkeys(titles))}"


def _known(figure: Callable[[], Value]) -> Value | None:
    """A figure that a check works out; ``None`` where its facts are missing."""
    try:
        return figure()
    except NotKnown:
        return None


def _adapters(survey: Survey) -> Sequence[object] | None:
    """The partition's client adapters; ``None`` where they could not be listed."""
    try:
        return client_adapters(survey)
    except NotApplicable:
        return ()
    except NotKnown:
        return None


# -- clusters ----------------------------------------------------------------------------------------------------------


def _memberships(directions: Sequence[tuple[FrameSurvey, Survey | None]]) -> frozenset[Membership]:
    """The cluster software that the partition itself reported."""
    members = next(
        (survey.guest.clusters for _, survey in directions if survey is not None and survey.guest is not None), None
    )
    return frozenset((member.kind, member.cluster or "") for member in members or ())


def cluster_labels(memberships: Mapping[str, frozenset[Membership]]) -> dict[str, str]:
    """A label for the cluster of each partition that may be a member of one with another partition.

    Members of one cluster, and members of clusters that have a partition in common, get the same label, because a plan
    parts two partitions whose labels differ.
    """
    groups: list[set[str]] = []
    for name, own in memberships.items():
        mates = {other for other, theirs in memberships.items() if other != name and shared_clusters(own, theirs)}
        if mates:
            joined = {name, *mates}.union(*(group for group in groups if group & {name, *mates}))
            groups = [group for group in groups if not group & joined] + [joined]
    labels: dict[str, str] = {}
    for group in groups:
        kinds = sorted({f"{kind} {cluster}".strip() for name in group for kind, cluster in memberships[name]})
        label = " and ".join(kinds)
        while label in labels.values():
            label += " (another one)"
        labels |= dict.fromkeys(group, label)
    return labels


# -- the room of a target ----------------------------------------------------------------------------------------------


def _room(target: str, surveys: Sequence[FrameSurvey]) -> Room:
    """The free capacity of a target as it was surveyed."""
    facts = next(
        (
            survey.target
            for frame in surveys
            if frame.direction.target == target
            for _, survey in frame.partitions
            if survey is not None
        ),
        None,
    )
    return Room(target, None, None, None) if facts is None else room_of(facts)


def room_of(facts: SystemFacts) -> Room:
    """The free capacity of a managed system; ``None`` where it does not show it."""
    frame, vios = facts.frame, facts.vios
    ports = None if vios is None else vios.fc_ports
    return Room(
        target=facts.name,
        memory_mb=None if frame is None else frame.memory_available_mb,
        processors=None if frame is None else frame.proc_units_available,
        slots=lowest_free_slots(facts),
        fibre_ports=None
        if ports is None
        else sum(min(port.ports_left, port.wwpns_left // WWPNS_EACH) for port in ports if port.fabric),
        taken_ids=frozenset(partition.lpar_id for partition in facts.partitions or ()),
        pools=_pools(facts),
    )


def _pools(facts: SystemFacts) -> dict[str, float | None]:
    """The units left in each shared processor pool: its maximum less the reserved ones and the entitlements in it."""
    pools: dict[str, float | None] = {}
    for pool in facts.pools or ():
        members = [partition for partition in facts.partitions or () if partition.pool_id == pool.number]
        used = [partition.proc_units or 0.0 for partition in members]
        unlimited = pool.max_units is None or pool.number == DEFAULT_POOL
        pools[pool.name] = None if unlimited else (pool.max_units or 0.0) - (pool.reserved_units or 0.0) - sum(used)
    return pools
