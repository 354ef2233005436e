"""Every fact about a move, gathered from both ends before anything is judged.

A survey asks and never decides. One question that fails does not end it, and never turns into an empty answer: the fact stays
``None`` and a `Gap` says what could not be looked at, where and why. `lpmkit.checks` reads it; it can be kept as JSON and judged
again a year later, since the rules are functions of these values alone.

`changed` lays a partition's identity before a move beside the one after it; `lpmkit.mapping.compare` does so for its adapters, disks and networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lpmkit.control.aix import AixShell
from lpmkit.control.aix_memory import MemoryWatch
from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.control.clusters import members
from lpmkit.control.vios import ViosShell
from lpmkit.errors import RemoteError
from lpmkit.inventory import (
    DiskPath,
    MoverPair,
    PhysicalDisk,
    PhysicalSlot,
    Places,
    Trunk,
    Vios,
    VirtualScsiServer,
)
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.session import Session
from lpmkit.survey.model import Gap, Guest, KeyTest, Survey, SystemFacts

Value = TypeVar("Value")


class Gathering:
    """Asks, and writes down what could not be answered."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def ask(self, what: str, where: str, question: Callable[[], Value]) -> Value | None:
        try:
            return question()
        except RemoteError as trouble:
            self.gaps.append(Gap(what, where, str(trouble)))
            return None


#: The I/O servers of a frame: the one, or several by name.
Shells = ViosShell | Mapping[str, ViosShell]


@dataclass(frozen=True, slots=True)
class GatheredSystem:
    """One frame as it is for every move from it and to it, and what could not be gathered of it."""

    facts: SystemFacts
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """What only the source's manager can say, and only of this very move; the fields are those of `Survey`."""

    migration: MigrationReading | None = None
    physical_slots: tuple[PhysicalSlot, ...] | None = None
    keys: KeyTest | None = None
    mover_pairs: tuple[MoverPair, ...] | None = None
    places: Places | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What a partition's own system says, its paging still being watched, and what it does not say."""

    guest: Guest
    watch: MemoryWatch
    gaps: tuple[Gap, ...]

    def end(self, session: Session) -> Guest:
        """The same with its memory, whose counters are asked for once more; ``session`` must ask anew."""
        return replace(self.guest, memory=self.watch.end(session))


def gather(
    order: Order,
    source: Control,
    target: Control,
    source_vios: Shells,
    target_vios: Shells,
    aix: AixShell | None,
    *,
    rounds: Sequence[BatchingSession] = (),
) -> Survey:
    """Everything that the checks want to know, from both managers, all I/O servers and the partition itself.

    ``rounds`` are the sessions under the controls and shells that gather their questions and ask them together; without them each question is asked by itself.
    Reads only. Never raises for a machine that does not answer or refuses; see `Survey.gaps`.
    """
    inside = None if aix is None else survey_guest(BatchingSession(aix.session), order.partition)

    def ends() -> Survey:
        from_source, at_target = (
            survey_frame(source, source_vios, order.source),
            survey_frame(target, target_vios, order.target),
        )
        return build_survey(order, from_source, at_target, survey_move(order, source))

    survey = in_rounds(rounds, ends)
    if aix is None or inside is None:
        return without_guest(survey, f"the site file does not say how to log in to {order.partition}")
    return replace(survey, guest=inside.end(aix.session), gaps=(*survey.gaps, *inside.gaps))


def build_survey(order: Order, source: GatheredSystem, target: GatheredSystem, survey_move: MoveFacts) -> Survey:
    """A survey of one move out of its parts, without what the partition itself says."""
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
    )


def without_guest(survey: Survey, why: str) -> Survey:
    """A survey whose partition was not logged in to."""
    return replace(survey, gaps=(*survey.gaps, Gap("partition", survey.partition, why)))


def survey_frame(control: Control, vios: Shells, name: str) -> GatheredSystem:
    """What the manager of one frame and its I/O servers say."""
    asking = Gathering()
    side = _side(asking, control, vios, name)
    return GatheredSystem(side, tuple(asking.gaps))


def survey_move(order: Order, source: Control) -> MoveFacts:
    """What the source's manager says of one move."""
    asking = Gathering()
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
    """What the partition's own system says, all of it in a round or two. Its paging is watched from here on, see `GuestFacts.end`."""
    return in_rounds([ahead], partial(_inside, ahead, partition))


#: A survey has so many questions one after the other at most; more would be a defect.
MAX_ROUNDS = 40


def in_rounds(sessions: Sequence[BatchingSession], look: Callable[[], Value]) -> Value:
    """What ``look`` finds once every question of it has been asked, a round at a time, on each session in one go.

    ``look`` is called once more than there are rounds, with the same answers to the same questions; it must only read.
    """
    for _ in range(MAX_ROUNDS):
        facts = look()
        new_questions = [session.ask() for session in sessions]
        if not any(new_questions):
            return facts
    return look()


def _side(asking: Gathering, control: Control, vios: Shells, name: str) -> SystemFacts:
    # A system without power says what it is and in which state, and little else.
    frame = asking.ask("frame", name, control.frame) or asking.ask("system", name, control.system)
    fibre = control.kind == "hmc" and (frame is None or frame.virtual_fc_capable is not False)
    servers = _servers(asking, vios, name, fibre=fibre)
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
        vnics=asking.ask("vnics", name, control.vnics),
        sriov_ports=asking.ask("sriov ports", name, control.sriov_ports),
        pools=asking.ask("pools", name, control.pools),
        profiles=asking.ask("profiles", name, control.profiles),
    )


def _servers(asking: Gathering, shells: Shells, name: str, *, fibre: bool) -> dict[str, Vios]:
    """Each I/O server by its name; what it does not say is a gap of the frame."""
    if isinstance(shells, ViosShell):
        return {name: _vios(asking, shells, name, name, fibre=fibre)}
    return {server: _vios(asking, shell, name, server, fibre=fibre) for server, shell in shells.items()}


def merge_vios(name: str, servers: Mapping[str, Vios]) -> Vios:
    """What several I/O servers have, as one. What a device is called is followed by whose it is: ``hdisk4@vios2``.

    A group that one of them did not tell is not known of all: a part would pass for the whole. One alone is left as it is.
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
    )


def _all_of(groups: Sequence[tuple[Value, ...] | None]) -> tuple[Value, ...] | None:
    if any(group is None for group in groups):
        return None
    return tuple(item for group in groups for item in group or ())


def _owned(vios: Vios, owner: str) -> Vios:
    """The same with the owner behind every name that two I/O servers may both use. Virtual targets keep theirs: clients' matters are named so."""

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


def _vios(asking: Gathering, vios: ViosShell, name: str, server: str, *, fibre: bool) -> Vios:
    bridges = asking.ask("network map", name, vios.network_map)
    disks = asking.ask("disks", name, vios.disks)
    return Vios(
        name=server,
        level=asking.ask("level", name, vios.level),
        scsi_servers=asking.ask("scsi map", name, vios.scsi_map),
        shared_ethernets=bridges,
        trunks=None
        if bridges is None
        else _trunks(asking, vios, name, sorted({bridge.sea for bridge in bridges if bridge.sea})),
        disks=None if disks is None else _known_disks(asking, vios, name, disks),
        paths=None if disks is None else _paths(asking, vios, name, disks),
        multipath=asking.ask("multipath", name, vios.multipath),
        devices=asking.ask("virtual devices", name, vios.virtual_devices),
        media=asking.ask("virtual media", name, vios.media),
        fc_servers=asking.ask("fc map", name, vios.fc_map) if fibre else (),
        fc_ports=asking.ask("fc ports", name, vios.fc_ports) if fibre else (),
    )


def _trunks(asking: Gathering, vios: ViosShell, name: str, seas: list[str]) -> tuple[Trunk, ...] | None:
    """Trunks below the bridges; ``None`` when one of the bridges could not be read, since a part would pass for the whole."""
    pages = [asking.ask("trunks", name, partial(vios.shared_ethernet, sea)) for sea in seas]
    if any(page is None for page in pages):
        return None
    return tuple(trunk for page in pages if page for trunk in page.trunks)


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
    """A disk's attribute. The I/O server's own disks often have no ``reserve_policy``; nobody needs it of them."""
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
