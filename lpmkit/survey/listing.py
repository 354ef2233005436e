"""The inventory of frames as flat tables: systems, partitions, adapters, disks, networks and levels.

Made from what a survey reads of a managed system. A group that could not be read has no rows, and its gap is a row of
the table of gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

from lpmkit.config import Site
from lpmkit.control.hmc import machine_asked
from lpmkit.errors import LpmError
from lpmkit.json_values import JsonObject
from lpmkit.ssh.batching import BatchingSession
from lpmkit.ssh.client import open_session
from lpmkit.ssh.secrets import Secrets
from lpmkit.ssh.session import Transcript
from lpmkit.survey.connect import control_of, vios_shells
from lpmkit.survey.gather import GatheredSystem, in_rounds, survey_frame
from lpmkit.survey.model import Gap, SystemFacts

#: A row of a table, by the names of its columns.
Row = JsonObject
#: Tables by name.
Tables = dict[str, list[Row]]


def read_frames(
    site: Site, names: Sequence[str], secrets: Secrets, transcript: Transcript | None = None
) -> list[GatheredSystem]:
    """The facts of these frames, one after the other, each over one connection to its manager. Reads only.

    A frame that cannot be reached is a gap. Raises `NotFound` for a name that is not in the site file.
    """
    for name in names:
        site.frame(name)
    return [_read(site, name, secrets, transcript) for name in names]


def _read(site: Site, name: str, secrets: Secrets, transcript: Transcript | None) -> GatheredSystem:
    settings = site.frame(name)
    try:
        with ExitStack() as stack:
            opened = open_session(site, settings, secrets=secrets, transcript=transcript)
            ahead = BatchingSession(stack.enter_context(closing(opened)), machine_of=machine_asked)
            control = control_of(site, name, secrets=secrets, session=ahead)
            return in_rounds([ahead], lambda: survey_frame(control, vios_shells(settings, ahead), name))
    except LpmError as error:
        return GatheredSystem(SystemFacts(name, manager=settings.manager), (Gap("frame", name, str(error)),))


def tables(systems: Iterable[GatheredSystem]) -> Tables:
    """The tables of all systems together; every table is there, an empty one too."""
    each = list(systems)
    return {name: [row for one in each for row in make(one)] for name, make in TABLES.items()}


def _systems(one: GatheredSystem) -> Iterator[Row]:
    facts = one.facts
    if facts.frame is not None:
        frame = _flat(asdict(facts.frame))
        yield {"frame": facts.name, "manager": facts.manager, "system": frame.pop("name"), **frame}


def _partitions(one: GatheredSystem) -> Iterator[Row]:
    for partition in one.facts.partitions or ():
        row = _flat(asdict(partition))
        kind = "I/O server" if partition.is_vios else "partition"
        yield {"frame": one.facts.name, "partition": row.pop("name"), "kind": kind, **row}


def _adapters(one: GatheredSystem) -> Iterator[Row]:
    facts = one.facts
    for scsi in facts.scsi_adapters or ():
        yield _adapter(facts, scsi.partition, scsi.slot, "virtual SCSI", scsi.adapter_type, scsi.remote_partition,
                       scsi.remote_slot)  # fmt: skip
    for fibre in facts.fc_adapters or ():
        yield _adapter(facts, fibre.partition, fibre.slot, "virtual Fibre Channel", fibre.adapter_type,
                       fibre.remote_partition, fibre.remote_slot, " ".join(fibre.wwpns))  # fmt: skip
    for ethernet in facts.ethernet_adapters or ():
        vlans = " ".join(map(str, (ethernet.port_vlan_id, *ethernet.additional_vlan_ids)))
        yield _adapter(facts, ethernet.partition, ethernet.slot, "virtual Ethernet",
                       "trunk" if ethernet.is_trunk else "client", None, None, ethernet.mac, vlans)  # fmt: skip
    for nic in facts.vnics or ():
        servers = " ".join(f"{backing.server}:{backing.adapter}/{backing.port}" for backing in nic.backing)
        yield _adapter(facts, nic.partition, nic.slot, "virtual NIC", "client", servers, None, nic.mac,
                       None if nic.port_vlan_id is None else str(nic.port_vlan_id))  # fmt: skip
    for port in facts.logical_ports or ():
        yield _adapter(facts, port.partition, None, f"SR-IOV logical port ({port.level})", port.logical_port,
                       str(port.adapter), None)  # fmt: skip


def _adapter(
    facts: SystemFacts,
    partition: str,
    slot: int | None,
    kind: str,
    role: str,
    served_by: str | None,
    remote_slot: int | None,
    address: str | None = None,
    vlans: str | None = None,
) -> Row:
    return {
        "frame": facts.name,
        "partition": partition,
        "slot": slot,
        "kind": kind,
        "role": role,
        "served by": served_by,
        "remote slot": remote_slot,
        "MAC or WWPNs": address,
        "VLANs": vlans,
    }


def _disks(one: GatheredSystem) -> Iterator[Row]:
    """The disks of each I/O server, and the virtual targets that they back."""
    ids = {partition.lpar_id: partition.name for partition in one.facts.partitions or ()}
    for vios in one.facts.servers:
        used = {
            target.backing: (target.name, ids.get(server.client_lpar_id, ""))
            for server in vios.scsi_servers or ()
            for target in server.targets
        }
        for disk in vios.disks or ():
            target, client = used.get(disk.name, ("", ""))
            row = _flat(asdict(disk))
            yield {
                "frame": one.facts.name,
                "I/O server": vios.name,
                "disk": row.pop("name"),
                **row,
                "virtual target": target,
                "partition": client,
            }


def _networks(one: GatheredSystem) -> Iterator[Row]:
    for vios in one.facts.servers:
        trunks = {trunk.adapter: trunk for trunk in vios.trunks or ()}
        for bridge in vios.shared_ethernets or ():
            trunk = trunks.get(bridge.virtual_adapter)
            row = _flat(asdict(bridge))
            vlans = " ".join(map(str, trunk.vlans)) if trunk else ""
            yield {"frame": one.facts.name, "I/O server": vios.name, **row, "VLANs": vlans}


def _fibre_ports(one: GatheredSystem) -> Iterator[Row]:
    for vios in one.facts.servers:
        for port in vios.fc_ports or ():
            yield {"frame": one.facts.name, "I/O server": vios.name, **_flat(asdict(port))}


def _levels(one: GatheredSystem) -> Iterator[Row]:
    for vios in one.facts.servers:
        yield {"frame": one.facts.name, "machine": vios.name, "what": "VIOS", "level": vios.level}
    for partition in one.facts.partitions or ():
        if partition.os_version not in (None, "", "Unknown") and not partition.is_vios:
            row = {"frame": one.facts.name, "machine": partition.name, "what": partition.environment or ""}
            yield {**row, "level": partition.os_version}


def _pools(one: GatheredSystem) -> Iterator[Row]:
    for pool in one.facts.pools or ():
        yield {"frame": one.facts.name, **_flat(asdict(pool))}


#: The parts of a survey that no table shows.
_IN_NO_TABLE = ("multipath",)


def _gaps(one: GatheredSystem) -> Iterator[Row]:
    for gap in one.gaps:
        if gap.what in _IN_NO_TABLE:
            continue
        yield {"frame": one.facts.name, "not read": gap.what, "of": gap.where, "why": gap.why}


def _flat(row: JsonObject) -> Row:
    """A row whose values are numbers and texts; lists become texts with spaces."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return " ".join(str(_plain(one)) for one in value)
    return value


#: The tables in the order in which they are shown.
TABLES: dict[str, Callable[[GatheredSystem], Iterator[Row]]] = {
    "systems": _systems,
    "partitions": _partitions,
    "adapters": _adapters,
    "disks": _disks,
    "networks": _networks,
    "fibre ports": _fibre_ports,
    "processor pools": _pools,
    "levels": _levels,
    "gaps": _gaps,
}
