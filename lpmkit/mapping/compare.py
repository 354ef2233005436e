"""The servers of a partition's adapters on the source and on the target, side by side.

Values out of a `lpmkit.survey.model.Survey`; nothing here talks to a machine. `compare_mapping` shows every adapter
with the VIOS, the server adapter and the device behind it on both ends, what stays and what is renamed.
`arrived` lays two surveys side by side after a move. The record that keeps a mapping is built by
`lpmkit.mapping.attributes`.

A manager that is told nothing chooses by itself; what it would choose is shown where it says so (``lslparmigr -r
virtualio``).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lpmkit.inventory import (
    VirtualEthernetAdapter,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VirtualTarget,
    VnicAdapter,
    VnicBacking,
)
from lpmkit.mapping.adapters import (
    disk_on,
    ethernets,
    fc_clients,
    nics,
    scsi_clients,
    server_named,
    server_of,
    servers_on,
)
from lpmkit.mapping.movers import choose_movers
from lpmkit.survey.model import Survey, SystemFacts, bridge_for, keeps_its_name, same_disk

SCSI, FC, ETHERNET, NIC, POOL, MOVER, ID = "vSCSI", "NPIV", "Ethernet", "vNIC", "pool", "mover", "id"


CHOSEN_THERE = "chosen by the manager"


LOST, UNKNOWN = "lost", "unknown"


#: The pool that every system has and that needs no naming.
DEFAULT_POOL = 0


@dataclass(frozen=True, slots=True)
class AdapterEnd:
    """One end of an adapter: the VIOS, its server adapter (or bridge), the slot of that, and the device behind
    it; ``None`` is not known.
    """

    server: str | None = None
    adapter: str | None = None
    slot: int | None = None
    device: str | None = None

    def words(self) -> str:
        """
        >>> AdapterEnd("vios1", "vhost0", 11, "hdisk1").words()
        'vios1, vhost0, slot 11, hdisk1'
        """
        slot = None if self.slot is None else f"slot {self.slot}"
        return ", ".join(part for part in (self.server, self.adapter, slot, self.device) if part)


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One thing of the partition on both ends.

    ``there`` is ``None`` without a place on the target, or where that is not known; ``remark`` has the reason.
    ``state`` is `LOST` where the target has no place, `UNKNOWN` where a list is missing, else empty. ``note_there``
    is what people read in place of an end that is not settled yet.

    ``slot`` is the client's. ``name_after`` is ``None`` where the target will choose. ``known_by`` is what makes it
    the same on both ends.
    """

    kind: str
    name: str
    slot: int | None = None
    name_after: str | None = None
    here: AdapterEnd = AdapterEnd()
    there: AdapterEnd | None = None
    known_by: str | None = None
    stays: str = ""
    changes: str = ""
    remark: str = ""
    state: str = ""
    note_there: str = ""

    def words_there(self) -> str:
        """The place on the target, or why none is named: none exists, not known, or for the manager to choose.

        >>> MappingRow(SCSI, "vt", state=LOST).words_there(), MappingRow(NIC, "b0").words_there()
        ('none', 'chosen by the manager')
        """
        if self.there is not None:
            return self.there.words()
        return self.note_there or {LOST: "none", UNKNOWN: "not known"}.get(self.state, CHOSEN_THERE)


class PlacementChooser:
    """The place of each adapter on the target: by the record, else by the manager's suggestion, else not known."""

    def __init__(self, survey: Survey, record: Mapping[str, str] | None = None) -> None:
        self._record = record or {}
        places = survey.places
        suggested = {SCSI: places.scsi_suggested if places else (), FC: places.fc_suggested if places else ()}
        self._suggested = {
            (kind, place.slot): place for kind, places_of_kind in suggested.items() for place in places_of_kind
        }
        only = survey.target.io_servers
        self._only = only[0] if len(only) == 1 else None
        self._ids = {server.lpar_id: server.name for server in only}
        self._pools = {pool.number: pool.name for pool in survey.target.pools or ()}

    def of(self, kind: str, slot: int) -> AdapterEnd | None:
        """The place of a SCSI or Fibre Channel adapter by its slot."""
        asked = self._asked({SCSI: "virtual_scsi_mappings", FC: "virtual_fc_mappings"}[kind]).get(slot)
        if asked is not None:
            return asked
        place = self._suggested.get((kind, slot))
        if place is not None:
            return AdapterEnd(place.server)
        return None if self._only is None or self._suggested else AdapterEnd(self._only.name)

    def of_nic(self, slot: int, backing: VnicBacking) -> AdapterEnd | None:
        """The place of a backing device of a virtual NIC."""
        for item in _items(self._record.get("vnic_mappings")):
            parts = [*item.split("/"), *[""] * 9]
            if parts[0] == str(slot) and parts[7:9] == [str(backing.adapter), str(backing.port)]:
                return AdapterEnd(self._server(parts[2], parts[3]), device=f"adapter {parts[4]} port {parts[5]}")
        return None

    def pool(self, number: int) -> bool:
        """True if the record names the target's pool of this number, by number or name."""
        asked = self._record.get("shared_proc_pool_id"), self._record.get("shared_proc_pool_name")
        return asked in ((str(number), None), (None, self._pools.get(number, "")))

    def _asked(self, attribute: str) -> dict[int, AdapterEnd]:
        ends: dict[int, AdapterEnd] = {}
        for item in _items(self._record.get(attribute)):
            slot, name, number, server_slot, port = (*item.split("/"), "", "", "", "")[:5]
            ends[int(slot)] = AdapterEnd(
                self._server(name, number), slot=int(server_slot) if server_slot else None, device=port or None
            )
        return ends

    def _server(self, name: str, number: str) -> str | None:
        return name or self._ids.get(int(number) if number else -1)


def _items(value: str | None) -> list[str]:
    return [item for item in (value or "").split(",") if item]


def as_row(line: MappingRow) -> dict[str, str]:
    """A line as a person compares it: the headings are those of the table.

    >>> as_row(MappingRow(POOL, "SAP pool", here=AdapterEnd(device="pool 1"), there=AdapterEnd(device="pool "
    ...     "2"), changes="its number"))["there"]
    'pool 2'
    """
    return {
        "kind": line.kind,
        "slot": "" if line.slot is None else str(line.slot),
        "name": line.name,
        "name there": line.name_after or "",
        "here": line.here.words(),
        "there": line.words_there(),
        "same by": line.known_by or "",
        "stays": line.stays,
        "changes": line.changes,
        "remark": line.remark,
    }


def compare_mapping(survey: Survey, record: Mapping[str, str] | None = None) -> tuple[MappingRow, ...]:
    """Every adapter, disk, network, the pool and the mover on both ends: under a record, or as the manager would
    choose.

    What could not be read has a line of its own: an empty table would look as if there were nothing.
    """
    choice = PlacementChooser(survey, record)
    return (
        *_scsi_lines(survey, choice),
        *_fc_lines(survey, choice),
        *_ethernet_lines(survey),
        *_nic_lines(survey, choice, told=bool(record)),
        *_pool_lines(survey, choice),
        *_id_lines(survey, record or {}),
        *_mover_lines(survey, record or {}),
    )


def _unread(kind: str, survey: Survey, what: str) -> tuple[MappingRow, ...]:
    return (MappingRow(kind, "not known", remark=survey.why_not(what, survey.source.name), state=UNKNOWN),)


def _scsi_lines(survey: Survey, choice: PlacementChooser) -> tuple[MappingRow, ...]:
    clients = scsi_clients(survey)
    if clients is None:
        return _unread(SCSI, survey, "scsi adapters")
    rows: list[MappingRow] = []
    for client in clients:
        server = server_of(survey, client)
        if server is None:
            on_source = AdapterEnd(client.remote_partition, slot=client.remote_slot)
            rows.append(
                MappingRow(
                    SCSI,
                    "not known",
                    client.slot,
                    here=on_source,
                    remark=_silent(survey, client.remote_partition),
                    state=UNKNOWN,
                )
            )
            continue
        on_target = choice.of(SCSI, client.slot)
        for target in server.targets:
            rows.append(_disk_line(survey, client, server, target, on_target))
    return tuple(rows)


def _silent(survey: Survey, server: str | None) -> str:
    why = survey.why_not("scsi map", survey.source.name)
    return f"the virtual targets of this adapter on {server} are not known: {why}"


def _disk_line(
    survey: Survey,
    client: VirtualScsiAdapter,
    server: VirtualScsiServer,
    target: VirtualTarget,
    chosen: AdapterEnd | None,
) -> MappingRow:
    disk = disk_on(survey.source, client.remote_partition, target.backing)
    keeps = keeps_its_name(target.name)
    line = MappingRow(
        SCSI,
        target.name,
        client.slot,
        target.name if keeps else None,
        AdapterEnd(client.remote_partition, server.name, client.remote_slot, target.backing),
        stays="client slot, LUN" + (", target name" if keeps else ""),
        changes="vhost" + ("" if keeps else ", target name (generated)"),
    )
    if disk is None:
        return replace(line, remark=f"{client.remote_partition} lists no disk {target.backing}", state=LOST)
    known = replace(line, known_by=disk.unique_id or disk.pvid)
    if chosen is None:
        return replace(known, remark=_no_choice(survey, SCSI, client.slot), state=_state(survey))
    target_vios = server_named(survey.target, chosen.server)
    if target_vios is None or target_vios.disks is None:
        return replace(known, there=chosen, remark=f"the disks of {chosen.server} are not known", state=UNKNOWN)
    same, how = same_disk(SystemFacts("", vios=target_vios), disk)
    if same is None:
        return replace(known, there=chosen, remark=f"{chosen.server} does not see this LUN", state=LOST)
    seat = replace(chosen, device=same.name)
    renamed = "" if same.name == target.backing else f", {target.backing} is {same.name} there"
    return replace(
        known, there=seat, changes=line.changes + renamed, remark="" if how != "PVID" else "known by its PVID only"
    )


def _state(survey: Survey) -> str:
    """The state of an adapter without a place: lost where the manager lists candidates, else unknown."""
    return LOST if survey.places is not None else UNKNOWN


def _no_choice(survey: Survey, kind: str, slot: int) -> str:
    if survey.places is None:
        return f"the target chooses the VIOS: {survey.why_not('places', survey.source.name)}"
    return f"the manager lists no VIOS of {survey.target.name} for the adapter in slot {slot}"


def _fc_lines(survey: Survey, choice: PlacementChooser) -> tuple[MappingRow, ...]:
    clients = fc_clients(survey)
    if clients is None:
        return _unread(FC, survey, "fc adapters")
    rows = []
    for client in clients:
        vios = server_named(survey.source, client.remote_partition)
        server = next(
            (
                server_adapter
                for server_adapter in (vios.fc_servers if vios else None) or ()
                if server_adapter.slot == client.remote_slot
            ),
            None,
        )
        on_target = choice.of(FC, client.slot)
        port = server.port if server else None
        rows.append(
            MappingRow(
                FC,
                " ".join(client.wwpns) or "WWPNs not known",
                client.slot,
                " ".join(client.wwpns) or None,
                AdapterEnd(client.remote_partition, server.name if server else None, client.remote_slot, port),
                on_target,
                known_by="WWPNs",
                stays="client slot, both WWPNs (the other one is logged in)",
                changes="vfchost"
                + (
                    ""
                    if on_target is None or on_target.device in (None, port)
                    else f", {port} is {on_target.device} there"
                ),
                remark="" if on_target is not None else _no_choice(survey, FC, client.slot),
                state="" if on_target is not None else _state(survey),
            )
        )
    return tuple(rows)


def _ethernet_lines(survey: Survey) -> tuple[MappingRow, ...]:
    adapters = ethernets(survey)
    if adapters is None:
        return _unread(ETHERNET, survey, "ethernet adapters")
    return tuple(_ethernet_line(survey, adapter, vlan) for adapter in adapters for vlan in adapter.vlans)


def _ethernet_line(survey: Survey, adapter: VirtualEthernetAdapter, vlan: int) -> MappingRow:
    on_source, on_target = (_bridge_seat(side, vlan, adapter.vswitch) for side in (survey.source, survey.target))
    switch = f" of {adapter.vswitch}" if adapter.vswitch else ""
    remark = state = ""
    if on_target is None:
        state = LOST if survey.target.vios is not None and survey.target.vios.trunks is not None else UNKNOWN
        remark = f"no SEA of {survey.target.name} bridges VLAN {vlan}{switch}"
        if state == UNKNOWN:
            remark = (
                f"the bridges of {survey.target.name} are not known: {survey.why_not('trunks', survey.target.name)}"
            )
    name = adapter.mac or f"slot {adapter.slot}"
    return MappingRow(
        ETHERNET,
        name,
        adapter.slot,
        name,
        on_source or AdapterEnd(),
        on_target,
        f"VLAN {vlan}{switch}",
        "client slot, MAC address, VLAN",
        "",
        remark,
        state,
    )


def _bridge_seat(side: SystemFacts, vlan: int, vswitch: str | None) -> AdapterEnd | None:
    """The VIOS and SEA that bridge a VLAN; the active one first of several."""
    seats = []
    for server in servers_on(side):
        sea = bridge_for(SystemFacts(side.name, vios=server), vlan, vswitch)
        if sea is not None:
            active = any(trunk.active and vlan in trunk.vlans for trunk in server.trunks or ())
            seats.append((not active, AdapterEnd(server.name, sea)))
    return min(seats, key=lambda seat: seat[0])[1] if seats else None


def _nic_lines(survey: Survey, choice: PlacementChooser, *, told: bool) -> tuple[MappingRow, ...]:
    adapters = nics(survey)
    if adapters is None:
        return _unread(NIC, survey, "vnics")
    return tuple(_nic_line(survey, nic, backing, choice, told=told) for nic in adapters for backing in nic.backing)


def _nic_line(
    survey: Survey, nic: VnicAdapter, backing: VnicBacking, choice: PlacementChooser, *, told: bool
) -> MappingRow:
    on_target = choice.of_nic(nic.slot, backing)
    role = "active" if backing.active else "backup"
    remark = ""
    if on_target is None:
        remark = "the record does not place it" if told else "the target chooses the SR-IOV port"
    name = nic.mac or f"slot {nic.slot}"
    return MappingRow(
        NIC,
        name,
        nic.slot,
        name,
        AdapterEnd(backing.server, device=f"adapter {backing.adapter} port {backing.port}"),
        on_target,
        f"VLAN {nic.port_vlan_id}, {role}",
        "client slot, MAC address, VLAN",
        "logical port" if survey.moving else "",
        remark,
        LOST if on_target is None and told else "",
    )


def _pool_lines(survey: Survey, choice: PlacementChooser) -> tuple[MappingRow, ...]:
    moving = survey.moving
    if moving is None or moving.pool is None:
        return ()
    on_source = AdapterEnd(device=f"pool {moving.pool_id}")
    if moving.pool_id == DEFAULT_POOL:
        return (MappingRow(POOL, moving.pool, None, moving.pool, on_source, on_source, "name", "the default pool"),)
    target_pool = pool_named(survey.target, moving.pool)
    if target_pool is None:
        why = "has no pool of this name" if survey.target.pools is not None else "does not list its pools"
        return (
            MappingRow(
                POOL,
                moving.pool,
                here=on_source,
                remark=f"{survey.target.name} {why}",
                state=LOST if survey.target.pools is not None else UNKNOWN,
            ),
        )
    if not choice.pool(target_pool):
        requested = shlex.quote(moving.pool)
        remark = f"the default pool may be chosen: add --map shared_proc_pool_name={requested}"
        note = f"{moving.pool} exists, not requested"
        return (MappingRow(POOL, moving.pool, None, None, on_source, None, "name", remark=remark, note_there=note),)
    number = "" if target_pool == moving.pool_id else f"its number is {target_pool} there"
    return (
        MappingRow(
            POOL,
            moving.pool,
            None,
            moving.pool,
            on_source,
            AdapterEnd(device=f"pool {target_pool}"),
            "name",
            "name",
            number,
        ),
    )


def pool_named(side: SystemFacts, name: str) -> int | None:
    """The number of a side's processor pool of that name."""
    return next((pool.number for pool in side.pools or () if pool.name == name), None)


def _id_lines(survey: Survey, record: Mapping[str, str]) -> tuple[MappingRow, ...]:
    """The partition's id, which is kept only where it is free (B `IBMDOC:iphc3attributes`)."""
    moving, listed = survey.moving, survey.target.partitions
    if moving is None:
        return ()
    on_source, wanted = AdapterEnd(device=f"id {moving.lpar_id}"), record.get("dest_lpar_id")
    owner = next((partition.name for partition in listed or () if partition.lpar_id == moving.lpar_id), None)
    remark, note = f"id {moving.lpar_id} is free there", CHOSEN_THERE
    if listed is None:
        remark, note = "the partitions of the target are not known", ""
    elif owner:
        remark, note = f"id {moving.lpar_id} belongs to {owner}", f"another id, {CHOSEN_THERE}"
    on_target = AdapterEnd(device=f"id {wanted}") if wanted else None
    return (
        MappingRow(
            ID,
            moving.name,
            None,
            moving.name,
            on_source,
            on_target,
            remark=remark,
            note_there=note,
        ),
    )


def _mover_lines(survey: Survey, record: Mapping[str, str]) -> tuple[MappingRow, ...]:
    """The movers of an active move: the pairs that the record names, or that would be chosen here."""
    choice = choose_movers(survey.mover_pairs or (), survey.frames, record, survey.options)
    if choice is None or (survey.moving is not None and survey.moving.state != "Running"):
        return ()
    return tuple(
        MappingRow(
            MOVER,
            f"{pair.source} to {pair.target}",
            None,
            None,
            AdapterEnd(pair.source, device=pair.source_address),
            AdapterEnd(pair.target, device=pair.target_address),
            "addresses that can talk",
            remark=choice.redundancy.value,
        )
        for pair in choice.pairs
    )
