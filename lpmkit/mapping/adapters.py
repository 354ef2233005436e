"""The adapters of a partition and the servers behind them, out of a survey."""

from __future__ import annotations

from typing import TypeVar

from lpmkit.inventory import (
    PhysicalDisk,
    Vios,
    VirtualEthernetAdapter,
    VirtualFcAdapter,
    VirtualScsiAdapter,
    VirtualScsiServer,
    VnicAdapter,
)
from lpmkit.survey.model import Survey, SystemFacts

Client = TypeVar("Client", VirtualScsiAdapter, VirtualFcAdapter)


Network = TypeVar("Network", VnicAdapter, VirtualEthernetAdapter)


def scsi_clients(survey: Survey) -> tuple[VirtualScsiAdapter, ...] | None:
    """The partition's virtual SCSI adapters; ``None`` when they could not be listed."""
    return _clients(survey, survey.source.scsi_adapters)


def fc_clients(survey: Survey) -> tuple[VirtualFcAdapter, ...] | None:
    """The partition's virtual Fibre Channel adapters with their WWPNs; ``None`` when they could not be listed."""
    return _clients(survey, survey.source.fc_adapters)


def _clients(survey: Survey, listed: tuple[Client, ...] | None) -> tuple[Client, ...] | None:
    moving = survey.moving
    if moving is None or listed is None:
        return None
    return tuple(
        adapter for adapter in listed if adapter.lpar_id == moving.lpar_id and adapter.adapter_type == "client"
    )


def nics(survey: Survey, side: SystemFacts | None = None) -> tuple[VnicAdapter, ...] | None:
    """The partition's virtual NICs on a side, the source if none is named."""
    return _own(survey, side or survey.source, (side or survey.source).vnics)


def ethernets(survey: Survey, side: SystemFacts | None = None) -> tuple[VirtualEthernetAdapter, ...] | None:
    """The partition's virtual Ethernet adapters on a side, the source if none is named."""
    return _own(survey, side or survey.source, (side or survey.source).ethernet_adapters)


def _own(survey: Survey, side: SystemFacts, listed: tuple[Network, ...] | None) -> tuple[Network, ...] | None:
    moving = side.partition(survey.partition)
    if moving is None or listed is None:
        return None
    return tuple(adapter for adapter in listed if adapter.lpar_id == moving.lpar_id)


def server_named(side: SystemFacts, name: str | None) -> Vios | None:
    """The VIOS of that partition name; under an IVM the only one goes by the site file's name of the frame."""
    if name is None:
        return None
    servers = servers_on(side)
    match = next((server for server in servers if server.name == name), None)
    return match or (servers[0] if side.manager == "ivm" and len(servers) == 1 else None)


def servers_on(side: SystemFacts) -> tuple[Vios, ...]:
    """The VIOS of a side, each by itself; of a survey that was kept before they were, the only one."""
    return side.servers or ((side.vios,) if side.vios is not None and len(side.asked) <= 1 else ())


def server_of(survey: Survey, adapter: VirtualScsiAdapter) -> VirtualScsiServer | None:
    """The ``vhost`` that faces a client's adapter, found by its slot on the VIOS."""
    vios = server_named(survey.source, adapter.remote_partition)
    if vios is None or vios.scsi_servers is None:
        return None
    return next((server for server in vios.scsi_servers if server.slot == adapter.remote_slot), None)


def disk_on(side: SystemFacts, server: str | None, name: str) -> PhysicalDisk | None:
    """The disk that a VIOS calls so."""
    vios = server_named(side, server)
    return next((disk for disk in (vios.disks if vios else None) or () if disk.name == name), None)
