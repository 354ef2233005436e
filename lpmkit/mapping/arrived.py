"""The mapping of a partition after its move, held against the one before."""

from __future__ import annotations

from collections.abc import Callable

from lpmkit.mapping.adapters import Client, disk_on, ethernets, nics, server_named
from lpmkit.survey.identity import Change, IdentityRow
from lpmkit.survey.model import Survey, SystemFacts


def arrived(before: Survey, after: Survey) -> tuple[IdentityRow, ...]:
    """Rows of the mapping after a move: pool, WWPNs, disks, networks and the number of VIOS.

    Rows of which nothing is known on either end are left out; a thing that only one survey could read is ``UNKNOWN``.
    """
    at_source, at_target = _Standing(before, before.source), _Standing(after, after.target)
    questions: tuple[tuple[str, Callable[[_Standing], object | None]], ...] = (
        ("processor pool", lambda end: end.pool),
        ("virtual Fibre Channel (WWPNs)", lambda end: end.wwpns),
        ("virtual disks (LUNs)", lambda end: end.luns),
        ("MAC addresses", lambda end: end.macs),
        ("number of VIOS serving it", lambda end: end.servers),
    )
    rows = []
    for what, ask in questions:
        old, new = ask(at_source), ask(at_target)
        if old or new:
            rows.append(_row(what, old, new))
    return (*rows, *_affinity_row(at_source.affinity, at_target.affinity))


def _affinity_row(old: int | None, new: int | None) -> tuple[IdentityRow, ...]:
    """The affinity score before and after: a lower one means slower memory, and is not as it should be."""
    if old is None or new is None:
        return () if old is new else (_row("affinity score", old, new),)
    change = Change.SAME if old == new else Change.CHANGED
    return (IdentityRow("affinity score", str(old), str(new), change, new >= old),)


def _row(what: str, old: object | None, new: object | None) -> IdentityRow:
    if old is None or new is None:
        return IdentityRow(what, _words(old), _words(new), Change.UNKNOWN, None)
    same = old == new
    return IdentityRow(what, _words(old), _words(new), Change.SAME if same else Change.CHANGED, same)


def _words(value: object | None) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


class _Standing:
    """The things of a partition on one side; ``None`` is not known."""

    def __init__(self, survey: Survey, side: SystemFacts) -> None:
        self._survey, self._side = survey, side
        self._found = side.partition(survey.partition)

    def _mine(self, listed: tuple[Client, ...] | None) -> tuple[Client, ...] | None:
        if self._found is None or listed is None:
            return None
        return tuple(
            adapter for adapter in listed if adapter.lpar_id == self._found.lpar_id and adapter.adapter_type == "client"
        )

    @property
    def pool(self) -> str | None:
        """The name of its processor pool."""
        return self._found.pool if self._found else None

    @property
    def affinity(self) -> int | None:
        """The partition's affinity score."""
        listed = self._side.affinity_scores if self._found else None
        return next((one.score for one in listed or () if self._found and one.lpar_id == self._found.lpar_id), None)

    @property
    def wwpns(self) -> tuple[str, ...] | None:
        """All its WWPNs, sorted."""
        adapters = self._mine(self._side.fc_adapters)
        return None if adapters is None else tuple(sorted(wwpn for adapter in adapters for wwpn in adapter.wwpns))

    @property
    def luns(self) -> tuple[str, ...] | None:
        """Each once, by its ``unique_id``; ``None`` when one of them could not be recognised."""
        adapters = self._mine(self._side.scsi_adapters)
        if adapters is None:
            return None
        luns = set()
        for client in adapters:
            vios = server_named(self._side, client.remote_partition)
            server = next(
                (target for target in (vios.scsi_servers if vios else None) or () if target.slot == client.remote_slot),
                None,
            )
            if server is None:
                return None
            disks = [disk_on(self._side, client.remote_partition, target.backing) for target in server.targets]
            if any(disk is None or not disk.unique_id for disk in disks):
                return None
            luns |= {f"{disk.unique_id}" for disk in disks if disk is not None}
        return tuple(sorted(luns))

    @property
    def macs(self) -> tuple[str, ...] | None:
        """All its MAC addresses, sorted."""
        adapters, virtual = ethernets(self._survey, self._side), nics(self._survey, self._side)
        if adapters is None or virtual is None:
            return None
        return tuple(sorted({f"{adapter.mac}" for adapter in adapters} | {f"{adapter.mac}" for adapter in virtual}))

    @property
    def servers(self) -> int | None:
        """The number of VIOS that serve it."""
        scsi, fibre = self._mine(self._side.scsi_adapters), self._mine(self._side.fc_adapters)
        if scsi is None or fibre is None:
            return None
        return len({adapter.remote_partition for adapter in scsi} | {adapter.remote_partition for adapter in fibre})
