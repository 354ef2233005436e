"""Checks of the partition's adapters: what no move takes along."""

from __future__ import annotations

import re
from enum import StrEnum

from lpmkit.checks.judging import (
    Fact,
    NotKnown,
    RuleResult,
    Verdict,
    is_inactive,
    joined,
    moving_of,
    need,
    only_aix,
    passed,
    system_name,
)
from lpmkit.checks.profile import change_profile, required_field
from lpmkit.control.listings import names
from lpmkit.inventory import Device
from lpmkit.survey.model import Survey

#: Words in the descriptions of adapters without hardware: virtual ones and pseudo devices over others (`GLPI`, A;
#: vNIC, EtherChannel and VLAN A, field captures). A move takes them along.
VIRTUAL_WORDS = (
    "(l-lan)",
    "Virtual SCSI Client Adapter",
    "Virtual Fibre Channel Client Adapter",
    "LPAR Virtual Serial Adapter",
    "Virtual NIC Client Adapter",
    "(vnic)",
)


PSEUDO_WORDS = ("EtherChannel", "Link Aggregation", "VLAN")


#: A logical port of a host Ethernet adapter, and the virtual function of an SR-IOV adapter (A, field captures).
HOST_ETHERNET_WORDS = ("(lp-hea)", "(l-hea)")


VIRTUAL_FUNCTION = re.compile(r"\bVF\b|Virtual Function", re.IGNORECASE)


class AdapterKind(StrEnum):
    """The kinds of adapters that AIX lists."""

    VIRTUAL = "virtual"
    PSEUDO = "over other adapters"
    HOST_ETHERNET = "host Ethernet port"
    VIRTUAL_FUNCTION = "logical SR-IOV port"
    PHYSICAL = "physical"
    OTHER = "not recognised"


def adapter_kind(device: Device) -> AdapterKind:
    """The kind of an adapter, by its description, and by its location code where the description is not known.

    Only hardware has a location code in ``lsdev -Cc adapter``, and virtual Fibre Channel (``C5-T1``); a pseudo device
    has none.

    >>> adapter_kind(Device("ent1", "Available", "Virtual NIC Client Adapter (vnic)")).name
    'VIRTUAL'
    >>> adapter_kind(Device("fcs0", "Available", "4Gb FC PCI Express Adapter (df1000fe)", "05-08")).name
    'PHYSICAL'
    >>> adapter_kind(Device("new0", "Available", "An adapter of a later level")).name
    'OTHER'
    """
    text = device.description
    if any(word in text for word in VIRTUAL_WORDS):
        return AdapterKind.VIRTUAL
    if any(word in text for word in HOST_ETHERNET_WORDS):
        return AdapterKind.HOST_ETHERNET
    if VIRTUAL_FUNCTION.search(text):
        return AdapterKind.VIRTUAL_FUNCTION
    if any(word in text for word in PSEUDO_WORDS) and device.location is None:
        return AdapterKind.PSEUDO
    return AdapterKind.OTHER if device.location is None else AdapterKind.PHYSICAL


#: The kinds that no move takes along.
IMMOVABLE = frozenset({AdapterKind.PHYSICAL, AdapterKind.HOST_ETHERNET, AdapterKind.VIRTUAL_FUNCTION})


def virtual_adapters(survey: Survey) -> RuleResult:
    """Require adapters that a move takes along, as AIX lists them.

    One that is not recognised is a warning, never removed.
    """
    moving = moving_of(survey)
    only_aix(survey, "its adapters are judged as the manager lists them")
    guest = need(survey.guest, survey, "partition", survey.partition)
    adapters = need(guest.adapters, survey, "adapters", survey.partition)
    if not adapters:
        raise NotKnown(survey.partition, "lsdev lists no adapter at all, and a partition has at least one")
    kinds = {device: adapter_kind(device) for device in adapters if device.status != "Defined"}
    ports = survey.source.logical_ports or ()
    migratable = any(port.lpar_id == moving.lpar_id and port.migratable for port in ports)
    fixed = [
        device
        for device, kind in kinds.items()
        if kind in IMMOVABLE and not (kind is AdapterKind.VIRTUAL_FUNCTION and migratable)
    ]
    strange = [device for device, kind in kinds.items() if kind is AdapterKind.OTHER]
    facts: dict[str, Fact] = {
        "adapters": len(adapters),
        "not virtual": joined(f"{device.name} {device.description}" for device in fixed),
    }
    if strange:
        facts["not recognised"] = joined(f"{device.name} {device.description}" for device in strange)
    if fixed:
        names_of_fixed = joined(device.name for device in fixed)
        remedy = (
            f"Move addresses and disks of {names_of_fixed} to virtual adapters. Then remove the hardware from the "
            "partition on the manager and from its profile."
        )
        return RuleResult(Verdict.FAIL, survey.partition, facts, remedy)
    return passed(
        not strange,
        survey.partition,
        facts,
        f"Find out what {joined(device.name for device in strange)} is (lscfg -vl NAME): only virtual adapters move. "
        "Change nothing before; lpmkit validate asks the firmware.",
        bad=Verdict.WARN,
    )


def physical_slots(survey: Survey) -> RuleResult:
    """Require a partition without physical adapters, as the manager lists them.

    One that is not activated gets those of its profile: a required one keeps it here, another one is lost.
    """
    moving_of(survey)
    slots = need(survey.physical_slots, survey, "physical slots", survey.source.name)
    facts: dict[str, Fact] = {
        "physical slots": len(slots),
        "which": joined(f"{slot.drc_name} {slot.description}" for slot in slots),
    }
    own = names(required_field(survey, "io_slots")) if is_inactive(survey) and not slots else ()
    if own:
        facts["io_slots of the profile"] = joined(own)
        needed = any(slot.rpartition("/")[2] == "1" for slot in own)
        remedy = change_profile(survey, "io_slots=none")
        return RuleResult(Verdict.FAIL if needed else Verdict.WARN, survey.partition, facts, remedy)
    return passed(
        not slots,
        survey.partition,
        facts,
        "Move disks and addresses to virtual adapters first. Then remove the slot from the partition "
        f"(lshwres -r io --rsubtype slot -m {system_name(survey)} -F drc_name,drc_index,lpar_name lists its index) "
        "and from the profile.",
    )


def host_ethernet(survey: Survey) -> RuleResult:
    """Require a partition without logical host Ethernet ports, as the manager lists them."""
    ports = required_field(survey, "lhea_logical_ports")
    return passed(
        ports in ("none", ""),
        survey.partition,
        {"lhea_logical_ports": ports},
        "Give the partition a virtual Ethernet adapter and move its address there; then "
        + change_profile(survey, "lhea_logical_ports=none"),
    )


def serial_adapters(survey: Survey) -> RuleResult:
    """Require no virtual serial adapters but the two that every partition has, in slots 0 and 1."""
    adapters = names(required_field(survey, "virtual_serial_adapters"))
    slots = [adapter.split("/", 1)[0] for adapter in adapters]
    more = [slot for slot in slots if slot not in ("0", "1")]
    return passed(
        not more,
        survey.partition,
        {"virtual serial adapters in slots": joined(slots)},
        f"Nothing uses them? Then: chhwres -r virtualio -m {system_name(survey)} --rsubtype serial -o r -p "
        f"{survey.partition} -s {more[0] if more else 'SLOT'}; remove it from the profile too.",
    )
