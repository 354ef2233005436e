"""The ``-i`` record of ``migrlpar`` that keeps a partition's mapping (`PYPVM`, `RedMSP`).

`build_attributes` builds the attributes with which each adapter comes to the same place on the target: the partner of
the same VIOS, the same server slot where it is free, the same Fibre Channel and SR-IOV port, the same processor
pool by *name* (its number may be another's there), the same partition id where it is free, and the movers that can
talk. What cannot be kept is reported, and left to the manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from lpmkit.inventory import (
    Partition,
    PhysicalDisk,
    Place,
    SriovPort,
    VirtualFcAdapter,
    VirtualScsiAdapter,
    VnicAdapter,
    VnicBacking,
)
from lpmkit.mapping.adapters import disk_on, fc_clients, nics, scsi_clients, server_named, server_of
from lpmkit.mapping.compare import DEFAULT_POOL, FC, SCSI, pool_named
from lpmkit.mapping.movers import UNSAFE, Redundancy, choose_movers, named_movers
from lpmkit.survey.model import Survey, SystemFacts, same_disk

#: An IVM keeps the slots below for itself (``3,reserved``, A `NOVA-IVM`); that a console begins here too is recalled
#: (D).
FIRST_MOVED_SLOT = 11
#: The attributes that name slots of VIOS.
SLOT_MAPPINGS = ("virtual_scsi_mappings", "virtual_fc_mappings")


@dataclass(frozen=True, slots=True)
class Reserved:
    """Ids and server slots of a target that other orders name and that are not taken there yet.

    A slot is a pair of its VIOS, by name or id as the order has it, and its number.
    """

    ids: frozenset[int] = frozenset()
    slots: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, records: Iterable[Mapping[str, str]]) -> Reserved:
        """The ids and slots that these records name.

        >>> Reserved.of([{"dest_lpar_id": "7", "virtual_scsi_mappings": "2/v1/1/11,3//2/12,4/v1"}]).ids
        frozenset({7})
        """
        ids, slots = set[int](), set[tuple[str, int]]()
        for record in records:
            ids |= {int(number) for number in (record.get("dest_lpar_id", ""),) if number.isdigit()}
            for name in SLOT_MAPPINGS:
                for item in filter(None, record.get(name, "").split(",")):
                    _, server, number, slot, *_ = (*item.split("/"), "", "", "")
                    if slot.isdigit():
                        slots |= {(owner, int(slot)) for owner in (server, number) if owner}
        return cls(frozenset(ids), frozenset(slots))

    def __or__(self, other: Reserved) -> Reserved:
        """The ids and slots that either reserves."""
        return Reserved(self.ids | other.ids, self.slots | other.slots)


@dataclass(frozen=True, slots=True)
class MappingAttributes:
    """The attributes for ``migrlpar -i``, and what of the mapping cannot be kept, with what to do about it."""

    record: Mapping[str, str]
    troubles: tuple[str, ...] = ()


def build_attributes(survey: Survey, reserved: Reserved | None = None) -> MappingAttributes:
    """The attributes with which every adapter, the pool and the id come to the same place on the target, and the
    movers are named.

    With ``reserved`` none of those ids and slots is named, and every server adapter gets a slot by number: a manager
    that chose one itself could take what another order names. A partition whose adapters could not be read gets no
    record: half of a mapping would pass for the whole.
    """
    moving = survey.moving
    scsi, fibre, virtual_nics = scsi_clients(survey), fc_clients(survey), nics(survey)
    if moving is None or scsi is None or fibre is None or virtual_nics is None:
        return MappingAttributes(
            {}, (f"{survey.partition}: its adapters could not all be listed, so there is no record to keep them",)
        )
    keeping = _Keeping(survey, moving, scsi, fibre, virtual_nics, reserved)
    record = {
        "virtual_scsi_mappings": keeping.scsi(),
        "virtual_fc_mappings": keeping.fc(),
        "vnic_mappings": keeping.nics(),
        **keeping.pool(),
        "dest_lpar_id": keeping.lpar_id(),
        **keeping.movers(),
    }
    return MappingAttributes({name: value for name, value in record.items() if value}, tuple(keeping.troubles))


class _Keeping:
    """Builds the parts of a record, and gathers what cannot be kept."""

    def __init__(
        self,
        survey: Survey,
        moving: Partition,
        scsi: Sequence[VirtualScsiAdapter],
        fibre: Sequence[VirtualFcAdapter],
        virtual_nics: Sequence[VnicAdapter],
        reserved: Reserved | None,
    ) -> None:
        self.troubles: list[str] = []
        self._reserved = reserved
        self._survey, self._moving = survey, moving
        self._scsi, self._fc, self._nics = scsi, fibre, virtual_nics
        self._servers = {server.name: server for server in survey.target.io_servers}
        self._able = {(SCSI, adapter.slot): self._for_disks(adapter) for adapter in scsi} | {
            (FC, adapter.slot): self._for_ports(adapter) for adapter in fibre
        }
        self._partner = self._partners()
        self._taken = {name: self._slots_of(name) for name in self._servers}

    # which VIOS

    def _for_disks(self, client: VirtualScsiAdapter) -> list[str]:
        """The target's VIOS that see every LUN behind an adapter and have it free.

        Where the manager says its own, only those.
        """
        server = server_of(self._survey, client)
        if server is None:
            return []
        wanted = [disk_on(self._survey.source, client.remote_partition, target.backing) for target in server.targets]
        seen = [name for name in self._servers if self._sees(name, wanted)]
        return self._said(seen, self._survey.places.scsi if self._survey.places else None, client.slot)

    def _sees(self, name: str, wanted: Iterable[PhysicalDisk | None]) -> bool:
        vios = server_named(self._survey.target, name)
        if vios is None or vios.disks is None or vios.scsi_servers is None:
            return False
        used = {target.backing for server in vios.scsi_servers for target in server.targets}
        for disk in wanted:
            same = None if disk is None else same_disk(SystemFacts("", vios=vios), disk)[0]
            if same is None or same.volume_group is not None or same.name in used:
                return False
        return True

    def _for_ports(self, client: VirtualFcAdapter) -> list[str]:
        """VIOS with a port for another adapter. Only the manager knows the zoning of both WWPNs."""
        free = []
        for name in self._servers:
            vios = server_named(self._survey.target, name)
            if vios is not None and any(port.ports_left for port in vios.fc_ports or ()):
                free.append(name)
        return self._said(free, self._survey.places.fc if self._survey.places else None, client.slot)

    @staticmethod
    def _said(seen: list[str], places: Sequence[Place] | None, slot: int) -> list[str]:
        return (
            seen
            if places is None
            else [name for name in seen if name in {place.server for place in places if place.slot == slot}]
        )

    def _partners(self) -> dict[str, str]:
        """A VIOS of the target for each one of the source, each another where that can be: able ones first, then the
        same id, then alike names.
        """
        source_ids = {server.name: server.lpar_id for server in self._survey.source.io_servers}
        serving = [adapter.remote_partition or "" for adapter in self._scsi] + [
            adapter.remote_partition or "" for adapter in self._fc
        ]
        used = list(dict.fromkeys(serving + [backing.server for nic in self._nics for backing in nic.backing]))
        targets = list(self._servers)
        if not used or not targets:
            return {}
        assignments = (
            permutations(targets, len(used)) if len(targets) >= len(used) else (tuple(targets[:1]) * len(used),)
        )

        def worth(assignment: Sequence[str]) -> tuple[int, int, int]:
            pairs = list(zip(used, assignment, strict=True))
            able = sum(self._can(SCSI, adapter, dict(pairs)) for adapter in self._scsi)
            able += sum(self._can(FC, adapter, dict(pairs)) for adapter in self._fc)
            same_id = sum(source_ids.get(name) == self._servers[target].lpar_id for name, target in pairs)
            return able, same_id, sum(_alike(name, target) for name, target in pairs)

        best = max(assignments, key=worth)
        return dict(zip(used, best, strict=True))

    def _can(self, kind: str, client: VirtualScsiAdapter | VirtualFcAdapter, partner: Mapping[str, str]) -> bool:
        return partner.get(client.remote_partition or "") in self._able[(kind, client.slot)]

    def _server_for(self, kind: str, client: VirtualScsiAdapter | VirtualFcAdapter) -> str | None:
        able = self._able[(kind, client.slot)]
        partner = self._partner.get(client.remote_partition or "")
        if partner in able:
            return partner
        if not able:
            what = "its disks, free" if kind == SCSI else "its WWPNs"
            self.troubles.append(
                f"no VIOS of {self._survey.target.name} takes the {kind} adapter in slot {client.slot} "
                f"({what}); the manager is left to choose"
            )
            return None
        self.troubles.append(
            f"the {kind} adapter in slot {client.slot} goes to {able[0]} together with another: fewer paths than on "
            f"{self._survey.source.name}"
        )
        return able[0]

    # which slot and port

    def _slots_of(self, name: str) -> set[int]:
        target = self._survey.target
        groups = (target.scsi_adapters, target.fc_adapters, target.ethernet_adapters)
        taken = {adapter.slot for group in groups for adapter in group or () if adapter.partition == name}
        owners = {name, str(self._servers[name].lpar_id)}
        return taken | {slot for owner, slot in (self._reserved or Reserved()).slots if owner in owners}

    def _slot(self, name: str, wanted: int | None) -> str:
        """The same slot where it is free and within the VIOS's limit; else empty, for the manager to choose.

        The lowest free one where slots are reserved by number.
        """
        most = self._servers[name].max_virtual_slots
        if wanted is None or wanted in self._taken[name] or (most is not None and wanted >= most):
            free = (slot for slot in range(FIRST_MOVED_SLOT, most or 0) if slot not in self._taken[name])
            wanted = None if self._reserved is None else next(free, None)
        if wanted is None:
            return ""
        self._taken[name].add(wanted)
        return str(wanted)

    def _port(self, name: str, client: VirtualFcAdapter) -> str:
        vios = server_named(self._survey.source, client.remote_partition)
        server = next(
            (server for server in (vios.fc_servers if vios else None) or () if server.slot == client.remote_slot), None
        )
        target_vios = server_named(self._survey.target, name)
        ports = {port.name for port in (target_vios.fc_ports if target_vios else None) or () if port.ports_left}
        return server.port if server is not None and server.port in ports else ""

    def _named(self, name: str) -> str:
        """``name/id``, or the id alone where the name would be taken apart."""
        server = self._servers[name]
        return f"/{server.lpar_id}" if UNSAFE & set(name) else f"{name}/{server.lpar_id}"

    # the attributes

    def scsi(self) -> str:
        """``virtual_scsi_mappings``."""
        items = []
        for client in self._scsi:
            name = self._server_for(SCSI, client)
            if name is not None:
                items.append(_joined(client.slot, self._named(name), self._slot(name, client.remote_slot)))
        return ",".join(items)

    def fc(self) -> str:
        """``virtual_fc_mappings``."""
        items = []
        for client in self._fc:
            name = self._server_for(FC, client)
            if name is not None:
                slot, port = self._slot(name, client.remote_slot), self._port(name, client)
                items.append(_joined(client.slot, self._named(name), slot, port))
        return ",".join(items)

    def nics(self) -> str:
        """``vnic_mappings``."""
        ports = [port for port in self._survey.target.sriov_ports or () if port.up is not False]
        labels = {(port.adapter, port.port): port.label for port in self._survey.source.sriov_ports or ()}
        return ",".join(item for nic in self._nics for item in self._nic(nic, ports, labels))

    def _nic(
        self, nic: VnicAdapter, ports: Sequence[SriovPort], labels: Mapping[tuple[int, int], str | None]
    ) -> list[str]:
        """``slot/ded/VIOS/id/adapter/port/capacity/adapter here/port here`` for each backing device (C `AVOCADO`)."""
        free, items = list(ports), []
        for backing in nic.backing:
            name, label = self._partner.get(backing.server), labels.get((backing.adapter, backing.port))
            port = min(free, key=lambda port: _strange(port, backing, label), default=None)
            if name is None or port is None:
                self.troubles.append(
                    f"no SR-IOV port of {self._survey.target.name} with a link takes the virtual NIC in slot "
                    f"{nic.slot} behind {backing.server}"
                )
                continue
            free.remove(port)
            capacity = "" if backing.capacity is None else f"{backing.capacity:g}"
            place = f"{self._named(name)}/{port.adapter}/{port.port}"
            items.append(f"{nic.slot}/ded/{place}/{capacity}/{backing.adapter}/{backing.port}")
        return items

    def pool(self) -> dict[str, str]:
        """The pool of the same name, by its number where the name would be taken apart."""
        moving, target = self._moving, self._survey.target
        if moving.pool is None or moving.pool_id == DEFAULT_POOL:
            return {}
        number = pool_named(target, moving.pool)
        if number is not None:
            unsafe = UNSAFE & set(moving.pool)
            return {"shared_proc_pool_id": str(number)} if unsafe else {"shared_proc_pool_name": moving.pool}
        why = "has no such pool" if target.pools is not None else "does not list its pools"
        self.troubles.append(
            f"the processor pool {moving.pool!r}: {target.name} {why}, and the partition will come into another one"
        )
        return {}

    def lpar_id(self) -> str:
        """``dest_lpar_id``: the same id where it is free."""
        listed = self._survey.target.partitions
        own = self._moving.lpar_id
        if listed is None or any(partition.lpar_id == own for partition in listed):
            return ""
        if self._reserved is not None and own in self._reserved.ids:
            return ""
        return str(self._moving.lpar_id)

    def movers(self) -> dict[str, str]:
        """Only a running partition needs movers; where two pairs are possible none is named, so that both are used."""
        choice = (
            choose_movers(self._survey.mover_pairs or (), self._survey.frames)
            if self._moving.state == "Running"
            else None
        )
        alone = choice is not None and choice.redundancy is Redundancy.NOT_POSSIBLE
        return named_movers(choice.pairs[0]) if choice is not None and alone else {}


def _joined(slot: int, *parts: str) -> str:
    return "/".join((str(slot), *parts)).rstrip("/")


def _alike(name: str, other: str) -> int:
    """The length of the common end of two names: ``p8a-vios1`` and ``p8b-vios1``.

    >>> _alike("p8a-vios1", "p8b-vios1") > _alike("p8a-vios1", "p8b-vios2")
    True
    """
    same = 0
    for left, right in zip(reversed(name), reversed(other), strict=False):
        if left != right:
            break
        same += 1
    return same


def _strange(port: SriovPort, here: VnicBacking, label: str | None) -> tuple[bool, bool]:
    """The port of the same place and label is the least strange one."""
    return port.label != label, (port.adapter, port.port) != (here.adapter, here.port)
