"""Checks of the two systems, their managers and their I/O servers."""

from __future__ import annotations

from lpmkit.checks.judging import (
    Fact,
    Judgement,
    NotKnown,
    Verdict,
    frame_of,
    io_servers_of,
    joined,
    moving_of,
    need,
    passed,
    said_of,
    sides,
    vios_of,
)
from lpmkit.inventory import Partition
from lpmkit.survey import Side, Survey

#: The hypervisor keeps a page table of about 1/64 of a partition's memory beside it (powervm.md 1.7, hpt ratio 1:64).
PAGE_TABLE_SHARE = 64


#: Slots 0 and 1 of every partition belong to its serial adapters (powervm.md 1.7).
SERIAL_SLOTS = 2


def two_systems(survey: Survey) -> Judgement:
    """#3: a partition cannot move to where it is."""
    here, there = frame_of(survey, survey.source), frame_of(survey, survey.target)
    return passed(
        here.machine != there.machine,
        survey.target.name,
        {"source": here.machine, "target": there.machine},
        "Correct the addresses in the site file: both names lead to the same system.",
    )


def enterprise(survey: Survey, side: Side) -> Judgement:
    """#1: PowerVM Enterprise shows as a capability; a system that lists none at all was not understood."""
    frame = frame_of(survey, side)
    if not frame.capabilities:
        raise NotKnown(side.name, f"{side.name} does not list its capabilities")
    return passed(
        frame.active_mobility_capable,
        side.name,
        {"active_lpar_mobility_capable": frame.active_mobility_capable, "system": frame.machine},
        "Order PowerVM Enterprise Edition and enter the activation: chvet -o e -k CODE",
    )


def concurrency(survey: Survey, side: Side) -> Judgement:
    """#36"""
    frame = frame_of(survey, side)
    supported = need(frame.active_migrations_supported, survey, "active migrations supported", side.name)
    running = need(frame.active_migrations_in_progress, survey, "active migrations in progress", side.name)
    facts: dict[str, Fact] = {"in progress": running, "supported": supported}
    if running >= supported:
        return Judgement(Verdict.FAIL, side.name, facts, "Wait until one of them is over: lslparmigr -r lpar")
    remedy = "Another move is under way and shares the link and the movers; better wait for its end: lslparmigr -r lpar"
    return passed(running == 0, side.name, facts, remedy, bad=Verdict.WARN)


def keys_exchanged(survey: Survey) -> Judgement:
    """#2: any output of the test, even with status 0, means that they are not. One HMC with both frames needs none."""
    if survey.one_manager:
        return Judgement(Verdict.PASS, survey.source.name, {"managers": "one and the same"})
    keys = need(survey.keys, survey, "keys", survey.source.name)
    status = need(keys.status, survey, "keys", survey.source.name)
    return passed(
        status == 0 and not keys.text,
        survey.source.name,
        {"mkauthkeys --test": status, "it said": keys.text or None},
        f"On {survey.source.name}: mkauthkeys -g --ip ADDRESS -u USER of {survey.target.name}, and the same the other way round.",
    )


def memory_region(survey: Survey) -> Judgement:
    """#12"""
    sizes = [
        need(frame_of(survey, side).memory_region_mb, survey, "memory region size", side.name) for side in sides(survey)
    ]
    return passed(
        sizes[0] == sizes[1],
        survey.target.name,
        {f"{side.name} MB": size for side, size in zip(sides(survey), sizes, strict=True)},
        f"Set the logical memory block size of {survey.target.name} to {sizes[0]} MB in the ASM and restart the system.",
    )


def memory_room(survey: Survey) -> Judgement:
    """#13"""
    wanted = said_of(survey, moving_of(survey).memory_mb, "memory")
    frame = frame_of(survey, survey.target)
    free = need(frame.memory_available_mb, survey, "memory available", survey.target.name)
    table = -(-wanted // PAGE_TABLE_SHARE)
    facts: dict[str, Fact] = {"needed MB": wanted, "free MB": free, "left MB": free - wanted, "page table MB": table}
    remedy = (
        f"Free {max(0, wanted + table - free)} MB on {survey.target.name}: shut a partition down, or "
        "chhwres -r mem -o r -p OTHER -q MB"
    )
    if free < wanted:
        return Judgement(Verdict.FAIL, survey.target.name, facts, remedy)
    return passed(free >= wanted + table, survey.target.name, facts, remedy, bad=Verdict.WARN)


def processor_room(survey: Survey) -> Judgement:
    """#14: units of a shared partition, whole processors of a dedicated one."""
    moving = moving_of(survey)
    units = moving.proc_units if moving.proc_units is not None else moving.virtual_processors
    wanted = said_of(survey, units, "processing units")
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


def virtual_slots(survey: Survey) -> Judgement:
    """#16: the target's I/O server needs a slot for every server adapter that is made there."""
    need(survey.target.partitions, survey, "partitions", survey.target.name)
    servers = survey.target.io_servers
    if not servers or any(server.max_virtual_slots is None for server in servers):
        raise NotKnown(
            survey.target.name, f"{survey.target.name} does not say how many virtual slots its I/O server may have"
        )
    scsi = need(survey.target.scsi_adapters, survey, "scsi adapters", survey.target.name)
    ethernet = need(survey.target.ethernet_adapters, survey, "ethernet adapters", survey.target.name)
    moving = moving_of(survey)
    clients = need(survey.source.scsi_adapters, survey, "scsi adapters", survey.source.name)
    wanted = sum(one.lpar_id == moving.lpar_id and one.adapter_type == "client" for one in clients)
    taken = {(one.lpar_id, one.slot) for one in scsi} | {(one.lpar_id, one.slot) for one in ethernet}
    free = {one: _free_slots(one, sum(owner == one.lpar_id for owner, _ in taken)) for one in servers}
    # Which adapter goes to which I/O server is the manager's choice, so the fullest one decides whether it is sure.
    server = min(servers, key=lambda one: free[one])
    most, least = server.max_virtual_slots or 0, free[server]
    return passed(
        wanted <= least,
        survey.target.name,
        {"needed": wanted, "free": least, "highest number": most},
        f'chsyscfg -r prof -i "lpar_name={server.name},max_virtual_slots={most + wanted - least}", '
        "then restart the I/O server.",
        bad=Verdict.WARN if wanted <= sum(max(0, room) for room in free.values()) else Verdict.FAIL,
    )


def _free_slots(server: Partition, used: int) -> int:
    return (server.max_virtual_slots or 0) - used - SERIAL_SLOTS


def vasi(survey: Survey, side: Side) -> Judgement:
    """#9: the mover works through this device."""
    devices = need(vios_of(survey, side, "virtual devices").devices, survey, "virtual devices", side.name)
    found = [one for one in devices if one.name.startswith("vasi")]
    return passed(
        any(one.status == "Available" for one in found),
        side.name,
        {"vasi": joined(f"{one.name} {one.status}" for one in found)},
        "cfgdev; if lsdev -virtual still shows none, enter the PowerVM Enterprise activation and restart the I/O server.",
    )


def movers(survey: Survey, side: Side) -> Judgement:
    """#8: under an HMC an I/O server moves only when its ``msp`` is 1; under an IVM the one there is moves always."""
    servers = io_servers_of(survey, side)
    facts: dict[str, Fact] = {f"msp of {one.name}": one.msp for one in servers}
    if any(one.msp for one in servers):
        return Judgement(Verdict.PASS, side.name, facts)
    silent = [one.name for one in servers if one.msp is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not say whether {joined(silent)} may move partitions (msp)")
    system = side.frame.name if side.frame else "SYSTEM"
    remedy = f'chsyscfg -r lpar -m {system} -i "lpar_id={servers[0].lpar_id},msp=1"'
    return Judgement(Verdict.FAIL, side.name, facts, remedy)


def rmc_vios(survey: Survey, side: Side) -> Judgement:
    """#7: the HMC must reach every I/O server; under an IVM the I/O server is the manager."""
    servers = io_servers_of(survey, side)
    silent = [one.name for one in servers if one.rmc_state is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not say the RMC state of {joined(silent)}")
    down = [one.name for one in servers if one.rmc_state != "active"]
    # One that is switched off serves nobody, as long as there is another.
    idle = len(down) < len(servers) and all(one.state == "Not Activated" for one in servers if one.name in down)
    return passed(
        not down,
        side.name,
        {f"rmc_state of {one.name}": one.rmc_state for one in servers},
        f"On {joined(down)} after oem_setup_env, in /usr/sbin/rsct/bin: rmcctrl -z; rmcctrl -A; rmcctrl -p; then allow five minutes. "
        "On the HMC: lspartition -dlpar",
        bad=Verdict.WARN if idle else Verdict.FAIL,
    )


def io_servers_named(survey: Survey, side: Side) -> Judgement:
    """What an I/O server that the site file does not name would say, no rule has heard."""
    listed = [one.name for one in io_servers_of(survey, side)]
    left_out = [name for name in listed if name not in side.asked]
    return passed(
        not left_out,
        side.name,
        {"I/O servers": joined(listed), "not asked": joined(left_out)},
        f"Add {joined(left_out)} to frames.{side.name}.vios of the site file, so that its disks, paths and bridges are looked at too.",
        bad=Verdict.WARN,
    )
