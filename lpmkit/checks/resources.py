"""Checks of memory, processors, virtual slots and pools: what the partition needs and the target has."""

from __future__ import annotations

import re
from collections.abc import Collection

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    RuleResult,
    Verdict,
    field_of,
    frame_of,
    is_inactive,
    joined,
    moving_of,
    need,
    passed,
    sides,
    system_name,
)
from lpmkit.checks.profile import change_profile, profile_field
from lpmkit.inventory import (
    Partition,
    VirtualFcAdapter,
    VirtualFcServer,
    VirtualScsiAdapter,
    VirtualScsiServer,
)
from lpmkit.mapping.attributes import FIRST_MOVED_SLOT
from lpmkit.survey.model import Survey, SystemFacts

#: The hypervisor keeps a page table of about 1/64 of a partition's memory beside it (hpt ratio 1:64, A `ZIU`).
PAGE_TABLE_SHARE = 64


#: Slots 0 and 1 of every partition belong to its serial adapters (A `NOVA-IVM`, `ZIU`).
SERIAL_SLOTS = 2


def memory_region(survey: Survey) -> RuleResult:
    """Require the same memory region size on both systems."""
    sizes = [
        need(frame_of(survey, side).memory_region_mb, survey, "memory region size", side.name) for side in sides(survey)
    ]
    return passed(
        sizes[0] == sizes[1],
        survey.target.name,
        {f"{side.name} MB": size for side, size in zip(sides(survey), sizes, strict=True)},
        f"Set the logical memory block size of {survey.target.name} to {sizes[0]} MB in the ASM and restart the "
        "system.",
    )


def required_memory(survey: Survey) -> int:
    """MB that the partition needs on the target: what it has, or what it would get where it is not activated.

    Raises `NotKnown` where neither the manager nor the profile shows it.
    """
    moving = moving_of(survey)
    if not is_inactive(survey):
        return field_of(survey, moving.memory_mb, "memory")
    pending = moving.pending_memory_mb or _profile_number(survey, "desired_mem")
    return int(field_of(survey, moving.memory_mb or pending, "memory it would get when it is activated"))


def required_processors(survey: Survey) -> float:
    """Processing units (shared) or processors (dedicated) that the partition needs on the target, likewise."""
    moving = moving_of(survey)
    now = moving.proc_units if moving.proc_units is not None else moving.virtual_processors
    if not is_inactive(survey):
        return field_of(survey, now, "processing units")
    pending = moving.pending_proc_units or moving.pending_processors
    pending = pending or _profile_number(survey, "desired_proc_units") or _profile_number(survey, "desired_procs")
    return field_of(survey, now or pending, "processors it would get when it is activated")


def _profile_number(survey: Survey, field: str) -> float | None:
    value = (profile_field(survey, field) or "").replace(",", ".")
    return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) and float(value) > 0 else None


def memory_room(survey: Survey) -> RuleResult:
    """Require free memory for the partition on the target; shared memory comes out of a pool that has its own."""
    if moving_of(survey).memory_mode == "shared":
        raise NotApplicable(survey.partition, "its memory comes out of the shared memory pool of the target")
    wanted = required_memory(survey)
    frame = frame_of(survey, survey.target)
    free = need(frame.memory_available_mb, survey, "memory available", survey.target.name)
    table = -(-wanted // PAGE_TABLE_SHARE)
    facts: dict[str, Fact] = {"needed MB": wanted, "free MB": free, "left MB": free - wanted, "page table MB": table}
    remedy = (
        f"Free {max(0, wanted + table - free)} MB on {survey.target.name}: shut a partition down, or "
        "chhwres -r mem -o r -p OTHER -q MB"
    )
    if free < wanted:
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    return passed(free >= wanted + table, survey.target.name, facts, remedy, bad=Verdict.WARN)


def processor_room(survey: Survey) -> RuleResult:
    """Require free processing units (shared partition) or processors (dedicated) on the target."""
    wanted = required_processors(survey)
    free = need(
        frame_of(survey, survey.target).proc_units_available, survey, "processors available", survey.target.name
    )
    short = round(max(0.0, wanted - free), 2)
    return passed(
        wanted <= free,
        survey.target.name,
        {"needed units": wanted, "free units": free, "left units": round(free - wanted, 2)},
        f"Free {short} processing units on {survey.target.name}: shut a partition down, or "
        "chhwres -r proc -o r -p OTHER --procunits UNITS",
    )


#: States of a paging device that no partition uses (D).
FREE_PAGING = frozenset({"inactive", "defined"})


def dedicated_memory(survey: Survey) -> RuleResult:
    """Require dedicated memory, or a shared memory pool on the target with a free paging device of the size of the
    partition's maximum memory (B `IBM-PAGING`).
    """
    moving = moving_of(survey)
    mode = moving.memory_mode
    if (
        mode is None
        and survey.source.manager == "ivm"
        and frame_of(survey, survey.source).capabilities
        and "active_mem_sharing_capable" not in frame_of(survey, survey.source).capabilities
    ):
        return RuleResult(Verdict.PASS, survey.partition, {"shared memory": "not supported by the system"})
    if field_of(survey, mode, "memory mode") == "ded":
        return RuleResult(Verdict.PASS, survey.partition, {"mem_mode": mode})
    facts: dict[str, Fact] = {"mem_mode": mode}
    pools = need(survey.target.memory_pools, survey, "memory pools", survey.target.name)
    if not pools:
        remedy = f"Create a shared memory pool with paging devices on {survey.target.name}, or " + change_profile(
            survey, "mem_mode=ded"
        )
        return RuleResult(Verdict.FAIL, survey.target.name, {**facts, "shared memory pools of the target": 0}, remedy)
    devices = need(pools[0].paging_devices, survey, "memory pools", survey.target.name)
    most = _profile_number(survey, "max_mem")
    needed = int(field_of(survey, most, "maximum memory (max_mem of its profile)"))
    free = [
        device
        for device in devices
        if (device.state or "").casefold() in FREE_PAGING and (device.size_mb is None or device.size_mb >= needed)
    ]
    facts |= {
        "pool MB": pools[0].size_mb,
        "needed MB": needed,
        "free paging devices": joined(f"{device.name} {device.size_mb} MB" for device in free),
    }
    remedy = (
        f"Add a paging device of at least {needed} MB to the shared memory pool of {survey.target.name}: "
        f"chhwres -r mempool -m {system_name(survey, target=True)} --rsubtype pgdev -o a --device NAME -p VIOS"
    )
    return passed(bool(free), survey.target.name, facts, remedy)


def huge_pages(survey: Survey) -> RuleResult:
    """Require a partition without huge pages."""
    count = field_of(survey, moving_of(survey).huge_pages, "huge pages")
    return passed(
        count == 0,
        survey.partition,
        {"huge pages": count},
        change_profile(survey, "desired_num_huge_pages=0,min_num_huge_pages=0,max_num_huge_pages=0"),
    )


def client_adapters(survey: Survey) -> list[VirtualScsiAdapter | VirtualFcAdapter]:
    """The partition's client adapters, SCSI and Fibre Channel.

    Raises `NotApplicable` where it has none, by all that lists them.
    """
    lpar_id = moving_of(survey).lpar_id
    listed: list[VirtualScsiAdapter | VirtualFcAdapter] = [
        *need(survey.source.scsi_adapters, survey, "scsi adapters", survey.source.name),
        *need(survey.source.fc_adapters, survey, "fc adapters", survey.source.name),
    ]
    adapters = [adapter for adapter in listed if adapter.lpar_id == lpar_id and adapter.adapter_type == "client"]
    vios = survey.source.vios
    served: list[VirtualScsiServer | VirtualFcServer] = [
        *((vios.scsi_servers if vios else None) or ()),
        *((vios.fc_servers if vios else None) or ()),
    ]
    if not adapters and any(server.client_lpar_id == lpar_id for server in served):
        raise NotKnown(
            survey.partition,
            f"{survey.source.name} lists no client adapter of {survey.partition}, but its VIOS serve it",
        )
    if not adapters:
        raise NotApplicable(survey.partition, "the partition has no virtual SCSI and no virtual Fibre Channel adapter")
    return adapters


def virtual_slots(survey: Survey) -> RuleResult:
    """Require a free virtual slot on the target's VIOS for every server adapter that is made there."""
    need(survey.target.partitions, survey, "partitions", survey.target.name)
    servers = survey.target.io_servers
    if not servers or any(server.max_virtual_slots is None for server in servers):
        raise NotKnown(
            survey.target.name, f"{survey.target.name} does not list the number of virtual slots of its VIOS"
        )
    scsi = need(survey.target.scsi_adapters, survey, "scsi adapters", survey.target.name)
    ethernet = need(survey.target.ethernet_adapters, survey, "ethernet adapters", survey.target.name)
    wanted = len(client_adapters(survey))
    target_fc = need(survey.target.fc_adapters, survey, "fc adapters", survey.target.name)
    server_adapters: list[VirtualScsiAdapter | VirtualFcAdapter] = [*scsi, *target_fc]
    taken = {(adapter.lpar_id, adapter.slot) for adapter in server_adapters} | {
        (adapter.lpar_id, adapter.slot) for adapter in ethernet
    }
    free = {
        server: _free_slots(server, {slot for owner, slot in taken if owner == server.lpar_id}) for server in servers
    }
    # Which adapter goes to which VIOS is the manager's choice, so the fullest one decides whether it is sure.
    fullest = min(servers, key=lambda server: len(free[server]))
    most, least = fullest.max_virtual_slots or 0, len(free[fullest])
    low = sum(slot < FIRST_MOVED_SLOT for slot in free[fullest])
    facts: dict[str, Fact] = {"needed": wanted, "free": least, "of them below 11": low, "highest number": most}
    slots = most + max(1, wanted + low - least)
    command = f'chsyscfg -r prof -i "lpar_name={fullest.name},max_virtual_slots={slots}"'
    remedy = f"On the manager: {command}, then restart the VIOS."
    enough = sum(map(len, free.values()))
    if wanted <= least - low:
        return RuleResult(Verdict.PASS, survey.target.name, facts)
    if wanted > enough:
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    if wanted > least:
        return RuleResult(Verdict.WARN, survey.target.name, facts, remedy)
    if survey.target.manager == "ivm":
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    raise NotKnown(
        survey.target.name,
        f"only slots below {FIRST_MOVED_SLOT} are free, and it is not known if the HMC uses those; {remedy}",
    )


def lowest_free_slots(facts: SystemFacts) -> int | None:
    """The virtual slots that are surely free on every VIOS of a target, for adapters of arriving partitions.

    ``None`` where slots or adapters are not listed.
    """
    groups = (facts.scsi_adapters, facts.fc_adapters, facts.ethernet_adapters)
    servers = facts.io_servers
    if not servers or None in groups or any(server.max_virtual_slots is None for server in servers):
        return None
    taken = {(adapter.lpar_id, adapter.slot) for group in groups for adapter in group or ()}
    free = [_free_slots(server, {slot for owner, slot in taken if owner == server.lpar_id}) for server in servers]
    return min(sum(slot >= FIRST_MOVED_SLOT for slot in slots) for slots in free)


def _free_slots(server: Partition, taken: Collection[int]) -> tuple[int, ...]:
    return tuple(slot for slot in range(SERIAL_SLOTS, server.max_virtual_slots or 0) if slot not in taken)


def pool_there(survey: Survey) -> RuleResult:
    """Require the partition's shared processor pool on the target, named in the order.

    Else it joins the default pool.
    """
    moving = moving_of(survey)
    if moving.proc_mode == "ded":
        raise NotApplicable(survey.partition, "the partition has dedicated processors")
    pool = field_of(survey, moving.pool, "shared processor pool")
    if moving.pool_id == 0:
        return RuleResult(Verdict.PASS, survey.partition, {"pool": pool})
    pools = need(survey.target.pools, survey, "pools", survey.target.name)
    facts: dict[str, Fact] = {"pool": pool, "pools of the target": joined(known.name for known in pools)}
    number = next((known.number for known in pools if known.name == pool), None)
    if number is None:
        system = system_name(survey, target=True)
        remedy = (
            f"Create it first: chhwres -r procpool -m {system} -o s --poolname '{pool}' -a max_pool_proc_units=UNITS"
        )
        return RuleResult(Verdict.WARN, survey.target.name, facts, remedy)
    order = survey.mapping or {}
    named = order.get("shared_proc_pool_name") == pool or order.get("shared_proc_pool_id") == str(number)
    facts["named in the order"] = named
    remedy = f"Name it in the order: --map shared_proc_pool_name='{pool}'. Without it the default pool may be chosen."
    return passed(named, survey.target.name, facts, remedy, bad=Verdict.WARN)
