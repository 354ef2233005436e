"""Gather the facts about a move from both ends. Nothing here judges; `lpmkit.checks` does.

A question that fails does not end a survey and never becomes an empty answer: the fact is ``None``, and a `Gap` names
fact, machine and reason. So does a reply that a reader cannot read, whatever it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lpmkit.control.aix import AixShell
from lpmkit.control.aix_memory import MemoryUse, MemoryWatch
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.control.clusters import members
from lpmkit.control.linux import LINUX, LinuxShell
from lpmkit.control.listings import READER_FAULTS
from lpmkit.control.vios import ViosShell
from lpmkit.control.vios_statistics import SharedEthernetStatistics
from lpmkit.errors import LpmError, RemoteError
from lpmkit.inventory import (
    DiskPath,
    MoverPair,
    PhysicalDisk,
    PhysicalSlot,
    Places,
    SharedEthernet,
    Vios,
    VirtualScsiServer,
)
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.session import Session
from lpmkit.survey.model import Backing, Gap, Guest, KeyTest, Survey, SystemFacts, backing_kind

Value = TypeVar("Value")

#: POWER generations of the first systems with SR-IOV (POWER7+) and with virtual NICs (B, announcements). An older
#: system is not asked: its manager would refuse, and what it has not would be unknown for ever.
SRIOV_SINCE, VNIC_SINCE = 7, 8


class Gathering:
    """Runs queries and records the ones that failed."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def ask(self, what: str, where: str, question: Callable[[], Value]) -> Value | None:
        """The answer, or ``None`` and a gap.

        The one gate of a survey: a query costs its own fact, whatever it raises.
        """
        try:
            return question()
        except LpmError as trouble:
            self.gaps.append(Gap(what, where, str(trouble)))
        except READER_FAULTS as fault:
            self.gaps.append(Gap(what, where, f"could not be read: {type(fault).__name__}: {fault}"))
        return None


#: Facts that are read only where the partition needs them, since they cost commands.
CLUSTERS, MEMORY_POOLS = "storage clusters", "memory pools"
#: The I/O servers of a frame: the one, or several by name.
Shells = ViosShell | Mapping[str, ViosShell]


@dataclass(frozen=True, slots=True)
class GatheredSystem:
    """One managed system, for every move from it and to it, and its gaps."""

    facts: SystemFacts
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """Facts of one move that only the source's manager has; the fields are those of `Survey`."""

    migration: MigrationReading | None = None
    physical_slots: tuple[PhysicalSlot, ...] | None = None
    keys: KeyTest | None = None
    mover_pairs: tuple[MoverPair, ...] | None = None
    places: Places | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """The facts of a partition's own system, with its gaps, while its paging is still watched (AIX only)."""

    guest: Guest
    watch: MemoryWatch | None
    gaps: tuple[Gap, ...]

    def end(self, session: Session) -> Guest:
        """Read the memory counters a second time; ``session`` must not be a caching one."""
        return self.guest if self.watch is None else replace(self.guest, memory=self.watch.end(session))


def gather(
    order: Order,
    source: Control,
    target: Control,
    source_vios: Shells,
    target_vios: Shells,
    aix: AixShell | None,
    *,
    rounds: Sequence[BatchingSession] = (),
    after: bool = False,
) -> Survey:
    """Read everything that the checks need, from both managers, all I/O servers and the partition itself.

    ``rounds`` are the sessions under the controls and shells that ask in batches; without them each question is one
    round trip. ``after`` a move nothing is asked about a move to come. Reads only. Never raises for a machine that
    does not answer or refuses; see `Survey.gaps`.
    """
    inside = None if aix is None else survey_guest(BatchingSession(aix.session), order.partition)

    def ends() -> Survey:
        plain = survey_frame(source, source_vios, order.source)
        wanted = needs_of(plain.facts, order.partition)
        from_source = survey_frame(source, source_vios, order.source, wanted) if wanted else plain
        at_target = survey_frame(target, target_vios, order.target, wanted)
        return build_survey(order, from_source, at_target, survey_move(order, source, after=after))

    survey = in_rounds(rounds, ends)
    if aix is None or inside is None:
        return without_guest(survey, f"the site file does not say how to log in to {order.partition}")
    return replace(survey, guest=inside.end(aix.session), gaps=(*survey.gaps, *inside.gaps))


def build_survey(order: Order, source: GatheredSystem, target: GatheredSystem, survey_move: MoveFacts) -> Survey:
    """Assemble the survey of one move, without the facts of the partition's own system."""
    return Survey(
        partition=order.partition,
        source=source.facts,
        target=target.facts,
        migration=survey_move.migration,
        physical_slots=survey_move.physical_slots,
        keys=survey_move.keys,
        mover_pairs=survey_move.mover_pairs,
        places=survey_move.places,
        gaps=(*source.gaps, *target.gaps, *survey_move.gaps),
        one_manager=not order.target_address,
        mapping=dict(order.mapping),
        options=dict(order.options),
    )


def without_guest(survey: Survey, why: str) -> Survey:
    """A survey without login to the partition, which becomes a gap."""
    return replace(survey, gaps=(*survey.gaps, Gap("partition", survey.partition, why)))


def needs_of(source: SystemFacts, partition: str) -> frozenset[str]:
    """Facts beyond the ordinary ones that moving this partition needs of both ends: `CLUSTERS`, `MEMORY_POOLS`."""
    moving = source.partition(partition)
    if moving is None:
        return frozenset()
    own = [
        target
        for server in (source.vios.scsi_servers if source.vios else None) or ()
        if server.client_lpar_id == moving.lpar_id
        for target in server.targets
    ]
    pooled = any(backing_kind(target) is Backing.POOL_UNIT for target in own)
    return frozenset(([CLUSTERS] if pooled else []) + ([MEMORY_POOLS] if moving.memory_mode == "shared" else []))


def survey_frame(control: Control, vios: Shells, name: str, wanted: frozenset[str] = frozenset()) -> GatheredSystem:
    """Read the facts of one managed system from its manager and its I/O servers, with those that are ``wanted``
    besides.
    """
    asking = Gathering()
    side = _side(asking, control, vios, name, wanted)
    return GatheredSystem(side, tuple(asking.gaps))


def survey_move(order: Order, source: Control, *, after: bool = False) -> MoveFacts:
    """Read the facts of one move from the source's manager.

    ``after`` it only its state, for the partition may have left.
    """
    asking = Gathering()
    if after:
        migration = asking.ask("migration", order.source, lambda: source.migration(order.partition))
        return MoveFacts(migration=migration, gaps=tuple(asking.gaps))
    # One manager that has both frames needs no keys to itself.
    keys = asking.ask("keys", order.source, lambda: source.keys_exchanged(order)) if order.target_address else None
    return MoveFacts(
        keys=None if keys is None else KeyTest(keys.status, keys.text),
        migration=asking.ask("migration", order.source, lambda: source.migration(order.partition)),
        physical_slots=asking.ask("physical slots", order.source, lambda: source.physical_slots(order.partition)),
        mover_pairs=asking.ask("mover pairs", order.source, lambda: source.mover_pairs(order)),
        places=asking.ask("places", order.source, lambda: source.places(order)),
        gaps=tuple(asking.gaps),
    )


def survey_guest(ahead: BatchingSession, partition: str) -> GuestFacts:
    """Read the facts of the partition's own system in a round or two; its paging is watched until `GuestFacts.end`."""
    return in_rounds([ahead], partial(_inside, ahead, partition))


#: A survey has at most this many questions that depend on each other; more would be a defect.
MAX_ROUNDS = 40


def in_rounds(sessions: Sequence[BatchingSession], look: Callable[[], Value]) -> Value:
    """The result of ``look`` once all its questions are asked, a round at a time, in one batch for each session.

    ``look`` is called once more than there are rounds and gets the same answers to the same questions; it must only
    read.
    """
    for _ in range(MAX_ROUNDS):
        facts = look()
        new_questions = [session.ask() for session in sessions]
        if not any(new_questions):
            return facts
    return look()


def _side(
    asking: Gathering, control: Control, vios: Shells, name: str, wanted: frozenset[str] = frozenset()
) -> SystemFacts:
    # A system without power lists its name and state, and little else.
    frame = asking.ask("frame", name, control.frame) or asking.ask("system", name, control.system)
    fibre = control.kind == "hmc" and (frame is None or frame.virtual_fc_capable is not False)
    servers = _servers(asking, vios, name, fibre=fibre, clusters=CLUSTERS in wanted)
    generation = (frame.generation if frame else None) or VNIC_SINCE
    sriov_ports = asking.ask("sriov ports", name, control.sriov_ports) if generation >= SRIOV_SINCE else ()
    return SystemFacts(
        name=name,
        frame=frame,
        partitions=asking.ask("partitions", name, control.partitions),
        scsi_adapters=asking.ask("scsi adapters", name, control.scsi_adapters),
        ethernet_adapters=asking.ask("ethernet adapters", name, control.ethernet_adapters),
        vios=merge_vios(name, servers),
        manager=control.kind,
        asked=tuple(vios) if control.kind == "hmc" and not isinstance(vios, ViosShell) else (),
        servers=tuple(servers.values()),
        fc_adapters=asking.ask("fc adapters", name, control.fc_adapters) if fibre else (),
        vnics=asking.ask("vnics", name, control.vnics) if generation >= VNIC_SINCE else (),
        sriov_ports=sriov_ports,
        logical_ports=() if sriov_ports == () else asking.ask("logical ports", name, control.logical_ports),
        memory_pools=asking.ask("memory pools", name, control.memory_pools) if MEMORY_POOLS in wanted else None,
        pools=asking.ask("pools", name, control.pools),
        profiles=asking.ask("profiles", name, control.profiles),
        affinity_scores=asking.ask("affinity scores", name, control.affinity_scores),
    )


def _servers(asking: Gathering, shells: Shells, name: str, *, fibre: bool, clusters: bool) -> dict[str, Vios]:
    """Each I/O server by its name; its gaps are gaps of the frame."""
    each = {name: shells} if isinstance(shells, ViosShell) else shells
    return {
        server: _vios(asking, shell, name, server, fibre=fibre, clusters=clusters) for server, shell in each.items()
    }


def merge_vios(name: str, servers: Mapping[str, Vios]) -> Vios:
    """The union of several I/O servers. The owner follows the name of a device: ``hdisk4@vios2``.

    A group that could not be read of one of them is ``None``: a part would pass for the whole. A single server is left
    as it is.
    """
    if len(servers) == 1:
        return next(iter(servers.values()))
    owned = [_owned(vios, owner) for owner, vios in servers.items()]
    levels = {vios.level for vios in owned}
    return Vios(
        name=name,
        level=None if None in levels else ", ".join(f"{vios.level}" for vios in owned),
        scsi_servers=_all_of([vios.scsi_servers for vios in owned]),
        shared_ethernets=_all_of([vios.shared_ethernets for vios in owned]),
        trunks=_all_of([vios.trunks for vios in owned]),
        disks=_all_of([vios.disks for vios in owned]),
        paths=_all_of([vios.paths for vios in owned]),
        multipath=_all_of([vios.multipath for vios in owned]),
        devices=_all_of([vios.devices for vios in owned]),
        media=_all_of([vios.media for vios in owned]),
        fc_servers=_all_of([vios.fc_servers for vios in owned]),
        fc_ports=_all_of([vios.fc_ports for vios in owned]),
        clusters=_all_of([vios.clusters for vios in owned]),
        firmware=next((vios.firmware for vios in owned if vios.firmware), None),
    )


def _all_of(groups: Sequence[tuple[Value, ...] | None]) -> tuple[Value, ...] | None:
    if any(group is None for group in groups):
        return None
    return tuple(item for group in groups for item in group or ())


def _owned(vios: Vios, owner: str) -> Vios:
    """The same with the owner behind every device name. Virtual targets keep theirs, which are those of the client."""

    def mine(name: str) -> str:
        return f"{name}@{owner}"

    def maybe(name: str | None) -> str | None:
        return None if name is None else mine(name)

    disks = {disk.name for disk in vios.disks or ()}

    def server(item: VirtualScsiServer) -> VirtualScsiServer:
        targets = (replace(t, backing=mine(t.backing)) if t.backing in disks else t for t in item.targets)
        return replace(item, name=mine(item.name), targets=tuple(targets))

    return replace(
        vios,
        scsi_servers=_each(vios.scsi_servers, server),
        shared_ethernets=_each(
            vios.shared_ethernets,
            lambda item: replace(item, virtual_adapter=mine(item.virtual_adapter), sea=maybe(item.sea)),
        ),
        trunks=_each(vios.trunks, lambda item: replace(item, adapter=mine(item.adapter))),
        disks=_each(vios.disks, lambda item: replace(item, name=mine(item.name))),
        paths=_each(vios.paths, lambda item: replace(item, disk=mine(item.disk))),
        multipath=_each(vios.multipath, lambda item: replace(item, disk=mine(item.disk))),
        devices=_each(vios.devices, lambda item: replace(item, name=mine(item.name))),
        fc_servers=_each(vios.fc_servers, lambda item: replace(item, name=mine(item.name), port=maybe(item.port))),
        fc_ports=_each(vios.fc_ports, lambda item: replace(item, name=mine(item.name))),
    )


def _each(group: tuple[Value, ...] | None, change: Callable[[Value], Value]) -> tuple[Value, ...] | None:
    return None if group is None else tuple(change(item) for item in group)


def _vios(asking: Gathering, vios: ViosShell, name: str, server: str, *, fibre: bool, clusters: bool) -> Vios:
    bridges = asking.ask("network map", name, vios.network_map)
    pages = None if bridges is None else _sea_pages(asking, vios, name, bridges)
    disks = asking.ask("disks", name, vios.disks)
    return Vios(
        name=server,
        level=asking.ask("level", name, vios.level),
        scsi_servers=asking.ask("scsi map", name, vios.scsi_map),
        shared_ethernets=bridges if bridges is None else _with_states(bridges, pages or {}),
        trunks=None if pages is None else tuple(trunk for page in pages.values() for trunk in page.trunks),
        disks=None if disks is None else _known_disks(asking, vios, name, disks),
        paths=None if disks is None else _paths(asking, vios, name, disks),
        multipath=asking.ask("multipath", name, vios.multipath),
        devices=asking.ask("virtual devices", name, vios.virtual_devices),
        media=asking.ask("virtual media", name, vios.media),
        fc_servers=asking.ask("fc map", name, vios.fc_map) if fibre else (),
        fc_ports=asking.ask("fc ports", name, vios.fc_ports) if fibre else (),
        clusters=asking.ask("storage clusters", name, vios.clusters) if clusters else None,
        firmware=asking.ask("firmware", name, lambda: str(vios.firmware())),
    )


def _sea_pages(
    asking: Gathering, vios: ViosShell, name: str, bridges: tuple[SharedEthernet, ...]
) -> dict[str, SharedEthernetStatistics] | None:
    """``entstat -all`` of each SEA.

    ``None`` when one of them could not be read, since a part would pass for the whole.
    """
    seas = sorted({bridge.sea for bridge in bridges if bridge.sea})
    pages = {sea: asking.ask("trunks", name, partial(vios.shared_ethernet, sea)) for sea in seas}
    read = {sea: page for sea, page in pages.items() if page is not None}
    return read if len(read) == len(pages) else None


def _with_states(
    bridges: tuple[SharedEthernet, ...], pages: Mapping[str, SharedEthernetStatistics]
) -> tuple[SharedEthernet, ...]:
    """The same with failover state and physical link of each SEA."""
    return tuple(
        replace(bridge, state=page.state, link_up=page.link_up) if (page := pages.get(bridge.sea or "")) else bridge
        for bridge in bridges
    )


def _known_disks(
    asking: Gathering, vios: ViosShell, name: str, disks: tuple[PhysicalDisk, ...]
) -> tuple[PhysicalDisk, ...]:
    sizes = {disk.name: disk.size_mb for disk in asking.ask("disk sizes", name, vios.sizes) or ()}
    return tuple(
        replace(
            disk,
            size_mb=sizes.get(disk.name),
            unique_id=_attribute(asking, vios, name, disk, "unique_id"),
            reserve_policy=_attribute(asking, vios, name, disk, "reserve_policy"),
        )
        for disk in disks
    )


def _attribute(asking: Gathering, vios: ViosShell, name: str, disk: PhysicalDisk, attribute: str) -> str | None:
    """A disk's attribute; not asked of the I/O server's own disks, which often have no ``reserve_policy``."""
    if disk.volume_group is not None:
        return None
    return asking.ask(f"{disk.name} {attribute}", name, lambda: vios.attribute(disk.name, attribute)) or None


def _paths(
    asking: Gathering, vios: ViosShell, name: str, disks: tuple[PhysicalDisk, ...]
) -> tuple[DiskPath, ...] | None:
    groups = [asking.ask("paths", name, partial(vios.paths, disk.name)) for disk in disks if disk.volume_group is None]
    if any(paths is None for paths in groups):
        return None
    return tuple(path for paths in groups for path in paths or ())


def _inside(session: Session, partition: str) -> GuestFacts:
    asking, watch, aix = Gathering(), MemoryWatch(session), AixShell(session)
    if runs_linux(session):
        return _inside_linux(session, partition)
    identity = aix.identity()
    asking.gaps.extend(Gap("identity", partition, reason) for reason in identity.missing)
    guest = Guest(
        identity=identity,
        adapters=asking.ask("adapters", partition, aix.adapters),
        disks=asking.ask("partition disks", partition, aix.disks),
        paths=asking.ask("partition paths", partition, aix.paths),
        rmc=asking.ask("rmc", partition, aix.rmc),
        clusters=asking.ask("clusters", partition, lambda: members(session)),
    )
    return GuestFacts(guest, watch, tuple(asking.gaps))


def runs_linux(session: Session) -> bool:
    """True if the partition says that it runs Linux; one that does not report it is asked as AIX."""
    try:
        return session.run(["uname", "-s"]).checked().output.strip() == LINUX
    except RemoteError:
        return False


def _inside_linux(session: Session, partition: str) -> GuestFacts:
    """The facts from inside Linux. Its adapters and RMC are judged as the manager lists them."""
    asking = Gathering()
    shell = LinuxShell(session)
    identity = shell.identity()
    asking.gaps.extend(Gap("identity", partition, reason) for reason in identity.missing)
    clusters = asking.ask("clusters", partition, lambda: members(session))
    try:
        memory = MemoryUse(shell.memory())
    except RemoteError as trouble:
        memory = MemoryUse(missing=(str(trouble),))
    return GuestFacts(Guest(identity=identity, memory=memory, clusters=clusters), None, tuple(asking.gaps))
