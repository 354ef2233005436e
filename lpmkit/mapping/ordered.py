"""The order of a partition against what it got on the target: id, processor pool, VIOS and their slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lpmkit.inventory import VirtualFcAdapter, VirtualScsiAdapter
from lpmkit.mapping.attributes import SLOT_MAPPINGS
from lpmkit.survey.identity import Change, IdentityRow
from lpmkit.survey.model import SystemFacts

#: Every row begins with this.
ORDERED = "as ordered: "


def ordered_rows(record: Mapping[str, str], target: SystemFacts, partition: str) -> tuple[IdentityRow, ...]:
    """A row for everything that the record of an order (``migrlpar -i``) names; before is what was ordered.

    What the target does not list is unknown. Movers are not in it: the manager does not tell which it used.
    """
    return tuple(
        _row(what, wanted, actual)
        for what, wanted, actual in (
            *_plain(record, target, partition),
            *(row for name in SLOT_MAPPINGS for row in _slots(name, record, target, partition)),
        )
    )


def _row(what: str, wanted: str, actual: str | None) -> IdentityRow:
    if actual is None:
        return IdentityRow(f"{ORDERED}{what}", wanted, None, Change.UNKNOWN, None)
    same = wanted == actual
    return IdentityRow(f"{ORDERED}{what}", wanted, actual, Change.SAME if same else Change.CHANGED, same)


def _plain(record: Mapping[str, str], target: SystemFacts, name: str) -> Iterator[tuple[str, str, str | None]]:
    arrived = target.partition(name)
    if "dest_lpar_id" in record:
        yield "partition id", record["dest_lpar_id"], None if arrived is None else str(arrived.lpar_id)
    if "shared_proc_pool_name" in record:
        yield "processor pool", record["shared_proc_pool_name"], None if arrived is None else arrived.pool
    elif "shared_proc_pool_id" in record:
        number = None if arrived is None else arrived.pool_id
        yield "processor pool", record["shared_proc_pool_id"], None if number is None else str(number)


def _slots(
    attribute: str, record: Mapping[str, str], target: SystemFacts, name: str
) -> Iterator[tuple[str, str, str | None]]:
    """The VIOS and slot of each adapter that the record maps, in the form of the record: ``server/slot``."""
    fibre = attribute == "virtual_fc_mappings"
    arrived = target.partition(name)
    listed: tuple[VirtualScsiAdapter | VirtualFcAdapter, ...] | None = (
        target.fc_adapters if fibre else target.scsi_adapters
    )
    for item in filter(None, record.get(attribute, "").split(",")):
        client, server, number, slot, *_ = (*item.split("/"), "", "", "")
        adapter = next(
            (
                one
                for one in listed or ()
                if arrived is not None
                and one.lpar_id == arrived.lpar_id
                and one.adapter_type == "client"
                and str(one.slot) == client
            ),
            None,
        )
        parts: list[tuple[str, object]] = []
        if adapter is not None:
            there = ((server, adapter.remote_partition), (number, adapter.remote_lpar_id), (slot, adapter.remote_slot))
            parts = [(wanted, actual) for wanted, actual in there if wanted]
        what = f"{'Fibre Channel' if fibre else 'SCSI'} slot {client}"
        wanted = "/".join(filter(None, (server, number, slot)))
        known = bool(parts) and all(actual is not None for _, actual in parts)
        yield what, wanted, "/".join(str(actual) for _, actual in parts) if known else None
