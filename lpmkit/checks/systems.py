"""Checks of the two systems, their managers and their VIOS."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from shlex import quote

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    OnlyFirmware,
    RuleResult,
    Verdict,
    field_of,
    frame_of,
    io_servers_of,
    is_inactive,
    joined,
    moving_of,
    need,
    ordered,
    passed,
    read_table,
    sides,
    vios_of,
)
from lpmkit.checks.partition import required_memory, required_processors, system_name
from lpmkit.errors import UsageError
from lpmkit.inventory import (
    OperatingSystem,
    Partition,
    VirtualFcAdapter,
    VirtualFcServer,
    VirtualScsiAdapter,
    VirtualScsiServer,
)
from lpmkit.mapping.attributes import FIRST_MOVED_SLOT
from lpmkit.mapping.movers import (
    MOVERS,
    OPTION,
    REQUIRED,
    TWO_PAIRS,
    WITHOUT,
    Redundancy,
    backup_of,
    choose_movers,
    named_movers,
)
from lpmkit.survey.model import Survey, SystemFacts

#: The hypervisor keeps a page table of about 1/64 of a partition's memory beside it (hpt ratio 1:64, A `ZIU`).
PAGE_TABLE_SHARE = 64
#: Slots 0 and 1 of every partition belong to its serial adapters (A `NOVA-IVM`, `ZIU`).
SERIAL_SLOTS = 2


#: Releases of AIX of which no level moves (B `DW-LPM`).
RELEASES_BEFORE = frozenset({"AIX 5.1", "AIX 5.2"})
#: What helps in a state of a system other than Operating (states A `ZIU`; rebuild and recover `BOND`).
SYSTEM_REMEDIES = {
    "Power Off": "chsysstate -r sys -m {system} -o on",
    "No Connection": "Wait until it is connected again: lssysconn -r all",
    "Initializing": "Wait until it is Operating: lssyscfg -r sys -m {system} -F name,state",
    "Incomplete": "chsysstate -r sys -m {system} -o rebuild",
    "Recovery": "chsysstate -r sys -m {system} -o recover",
}
OTHER_SYSTEM_REMEDY = "lsrefcode -r sys -m {system} shows what is wrong, lssysconn -r all how it is connected."


def two_systems(survey: Survey) -> RuleResult:
    """Require two systems: a partition cannot move to where it is."""
    source, target = frame_of(survey, survey.source), frame_of(survey, survey.target)
    return passed(
        source.machine != target.machine,
        survey.target.name,
        {"source": source.machine, "target": target.machine},
        "Correct the addresses in the site file: both names lead to the same system.",
    )


def operating(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require a system that has power and is connected."""
    state = need(frame_of(survey, side).state, survey, "state", side.name)
    system = side.frame.name if side.frame else side.name
    remedy = SYSTEM_REMEDIES.get(state, OTHER_SYSTEM_REMEDY).format(system=system)
    return passed(state == "Operating", side.name, {"state": state}, remedy)


def enterprise(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require PowerVM Enterprise, which shows as a capability; a system that lists none was not understood."""
    frame = frame_of(survey, side)
    if not frame.capabilities:
        raise NotKnown(side.name, f"{side.name} lists no capabilities")
    wanted = "inactive_lpar_mobility_capable" if is_inactive(survey) else "active_lpar_mobility_capable"
    return passed(
        wanted in frame.capabilities,
        side.name,
        {wanted: wanted in frame.capabilities, "system": frame.machine},
        "Order PowerVM Enterprise Edition and enter the activation: chvet -o e -k CODE",
    )


def concurrency(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require a free migration operation on the system."""
    frame = frame_of(survey, side)
    if is_inactive(survey):
        known = (frame.inactive_migrations_supported, frame.inactive_migrations_in_progress)
    else:
        known = (frame.active_migrations_supported, frame.active_migrations_in_progress)
    kind = "inactive" if is_inactive(survey) else "active"
    supported = need(known[0], survey, f"{kind} migrations supported", side.name)
    running = need(known[1], survey, f"{kind} migrations in progress", side.name)
    facts: dict[str, Fact] = {"in progress": running, "supported": supported}
    if running >= supported:
        return RuleResult(Verdict.FAIL, side.name, facts, "Wait until one of them is over: lslparmigr -r lpar")
    remedy = "Another move is under way and shares link and movers. Wait for its end: lslparmigr -r lpar"
    return passed(running == 0, side.name, facts, remedy, bad=Verdict.WARN)


def keys_exchanged(survey: Survey) -> RuleResult:
    """Require exchanged SSH keys, unless one HMC has both frames.

    Any output of the test, even with status 0, means that they are not exchanged.
    """
    if survey.one_manager:
        return RuleResult(Verdict.PASS, survey.source.name, {"managers": "the same for both systems"})
    keys = need(survey.keys, survey, "keys", survey.source.name)
    status = need(keys.status, survey, "keys", survey.source.name)
    return passed(
        status == 0 and not keys.text,
        survey.source.name,
        {"mkauthkeys --test": status, "answer": keys.text or None},
        f"On the manager of {survey.source.name}: mkauthkeys -g with --ip and -u of the manager of "
        f"{survey.target.name}, "
        "and the same in the other direction.",
    )


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


def vasi(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require the VASI device of a VIOS that is a mover; a mover without it does not move."""
    servers = side.servers or (vios_of(survey, side, "virtual devices"),)
    of_an_hmc = io_servers_of(survey, side) if side.manager == "hmc" else ()
    movers = [server.name for server in of_an_hmc if server.msp]
    if side.servers and movers:
        servers = tuple(server for server in servers if server.name in movers)
        if not servers:
            raise NotKnown(side.name, f"{joined(movers)} can be a mover, and was not read")
    facts: dict[str, Fact] = {}
    lacking = []
    for server in servers:
        devices = need(server.devices, survey, "virtual devices", side.name)
        own = [device for device in devices if device.name.startswith("vasi")]
        if not any(device.status == "Available" for device in own):
            lacking.append(server.name)
        fact = f"vasi of {server.name}" if len(servers) > 1 else "vasi"
        facts[fact] = joined(f"{device.name} {device.status}" for device in own)
    remedy = (
        f"On {joined(lacking)}: cfgdev. If lsdev -virtual still lists no vasi: enter the PowerVM Enterprise activation "
        "and restart the VIOS."
    )
    return passed(
        not lacking, side.name, facts, remedy, bad=Verdict.FAIL if len(lacking) == len(servers) else Verdict.WARN
    )


def movers(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require a mover: under an HMC a VIOS with ``msp`` 1, under an IVM its only VIOS."""
    servers = io_servers_of(survey, side)
    facts: dict[str, Fact] = {f"msp of {server.name}": server.msp for server in servers}
    if any(server.msp for server in servers):
        return RuleResult(Verdict.PASS, side.name, facts)
    silent = [server.name for server in servers if server.msp is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not list msp of {joined(silent)}")
    system = side.frame.name if side.frame else side.name
    remedy = f'chsyscfg -r lpar -m {system} -i "lpar_id={servers[0].lpar_id},msp=1"'
    return RuleResult(Verdict.FAIL, side.name, facts, remedy)


def rmc_vios(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require an RMC connection from the HMC to every VIOS; under an IVM the VIOS is the manager."""
    servers = io_servers_of(survey, side)
    silent = [server.name for server in servers if server.rmc_state is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not list the RMC state of {joined(silent)}")
    down = [server.name for server in servers if server.rmc_state != "active"]
    # A VIOS that is off serves no partition; on the target any other one will do.
    idle = len(down) < len(servers) and (
        side is survey.target or all(server.state == "Not Activated" for server in servers if server.name in down)
    )
    return passed(
        not down,
        side.name,
        {f"rmc_state of {server.name}": server.rmc_state for server in servers},
        f"On {joined(down)} after oem_setup_env: lssrc -s ctrmc; startsrc -s ctrmc, if it is inoperative. Only if RMC "
        "stays inactive after five minutes, in /usr/sbin/rsct/bin: rmcctrl -z; rmcctrl -A; rmcctrl -p. On the HMC: "
        "lspartition -dlpar",
        bad=Verdict.WARN if idle else Verdict.FAIL,
    )


def io_servers_named(survey: Survey, side: SystemFacts) -> RuleResult:
    """Warn of VIOS that the site file does not name: their facts are missing in every check."""
    listed = [server.name for server in io_servers_of(survey, side)]
    left_out = [name for name in listed if name not in side.asked]
    return passed(
        not left_out,
        side.name,
        {"VIOS": joined(listed), "not asked": joined(left_out)},
        f"Add {joined(left_out)} to frames.{side.name}.vios of the site file, so that its disks, paths and bridges "
        "are read too.",
        bad=Verdict.WARN,
    )


def movers_connected(survey: Survey) -> RuleResult:
    """Require addresses of a mover on each side. A firewall between them shows only in the move."""
    if survey.source.manager == "hmc":
        pairs = need(survey.mover_pairs, survey, "mover pairs", survey.source.name)
        facts: dict[str, Fact] = {
            f"{pair.source} to {pair.target}": f"{pair.source_address} to {pair.target_address}" for pair in pairs
        }
        remedy = (
            "Give a mover of each end an address that the other can reach: lslparmigr -r msp shows the pairs; "
            "chsyscfg -r lpar -m SYSTEM "
            '-i "lpar_id=ID,msp=1"'
        )
        return passed(bool(pairs), survey.target.name, facts or {"pairs": 0}, remedy)
    keys = need(survey.keys, survey, "keys", survey.source.name)
    if keys.status != 0 or keys.text:
        raise NotKnown(
            survey.target.name,
            "the movers are the VIOS under the managers, which do not reach each other by SSH",
            "Exchange the SSH keys between the managers (mkauthkeys), then check again.",
        )
    return RuleResult(
        Verdict.PASS, survey.target.name, {"movers": "the managers' own VIOS, which reach each other by SSH"}
    )


def redundant_movers(survey: Survey) -> RuleResult:
    """Warn of an order that names one pair of movers where two are possible: the move is then without redundancy."""
    pairs = need(survey.mover_pairs, survey, "mover pairs", survey.source.name)
    if not pairs:
        raise NotKnown(
            survey.target.name, "no pair of movers is listed", "First make the movers reach each other, see above."
        )
    options = survey.options or {}
    try:
        choice = choose_movers(pairs, survey.frames, survey.mapping, options)
    except UsageError as wrong:
        facts: dict[str, Fact] = {TWO_PAIRS: str(wrong)}
        return RuleResult(Verdict.FAIL, survey.target.name, facts, wrong.next_step or "")
    remedy = "lslparmigr -r msp lists the pairs of movers that reach each other; name one of them, or none."
    if choice is None:
        named = {name: value for name, value in (survey.mapping or {}).items() if name in MOVERS}
        return RuleResult(Verdict.FAIL, survey.target.name, {"not listed": joined(named.values()), **named}, remedy)
    facts = {"movers": joined(f"{pair.source} to {pair.target}" for pair in choice.pairs)}
    facts["redundancy"] = choice.redundancy.value
    if choice.redundancy is Redundancy.NOT_POSSIBLE:
        needs_two = options.get(OPTION) == REQUIRED
        remedy = "Order it without --option redundantmsps=1, or give each end a second mover that reaches the other."
        return passed(not needs_two, survey.target.name, facts, remedy)
    meant = options.get(OPTION) == WITHOUT
    both = named_movers(choice.pairs[0], backup_of(choice.pairs[0], pairs) or choice.pairs[-1])
    remedy = (
        "Leave the movers out, then the manager uses two pairs; or name both: "
        f"--map {quote(f'{TWO_PAIRS}={both[TWO_PAIRS]}')}. If one pair is meant: --option {OPTION}={WITHOUT}."
    )
    return passed(
        meant or choice.redundancy is not Redundancy.SWITCHED_OFF,
        survey.target.name,
        facts,
        remedy,
        bad=Verdict.WARN,
    )


def time_reference(survey: Survey, side: SystemFacts) -> RuleResult:
    """Recommend a time reference partition: without it the clock of a partition that arrives may jump."""
    listed = need(side.partitions, survey, "partitions", side.name)
    if all(partition.time_reference is None for partition in listed):
        raise OnlyFirmware(side.name, "this level does not list time_ref", "None, if NTP keeps the clocks.")
    references = [partition.name for partition in listed if partition.time_reference]
    server = next((partition.lpar_id for partition in listed if partition.is_vios), "ID")
    return passed(
        bool(references),
        side.name,
        {"time reference": joined(references)},
        "Without one, the clock may jump on arrival. Not needed if NTP runs in the partition. To set one: "
        f'chsyscfg -r lpar -m {side.frame.name if side.frame else side.name} -i "lpar_id={server},time_ref=1"',
        bad=Verdict.WARN,
    )


def on_mains(survey: Survey, side: SystemFacts) -> RuleResult:
    """Leave the power source to the firmware's validation: managers do not list it."""
    raise OnlyFirmware(
        side.name, "managers do not list the power source of a system", "Make sure that it is on mains power."
    )


def optimizer_idle(survey: Survey, side: SystemFacts) -> RuleResult:
    """Leave the dynamic platform optimizer, which moves memory itself, to the firmware's validation."""
    system = side.frame.name if side.frame else side.name
    raise OnlyFirmware(
        side.name,
        "lsmemopt lists a running optimization, and the format of its answer is not known",
        f"lsmemopt -m {system}; wait for its end, or optmem -m {system} -o stop",
    )


def multipath(survey: Survey) -> RuleResult:
    """Warn where the target has fewer VIOS than the source: a path is lost, which an order can forbid."""
    now = {adapter.remote_lpar_id for adapter in client_adapters(survey)}
    able = [
        server.name
        for server in io_servers_of(survey, survey.target)
        if server.state == "Running" and server.rmc_state in ("active", None)
    ]
    return passed(
        len(able) >= len(now),
        survey.target.name,
        {"VIOS now": len(now), "on the target": joined(able)},
        "Accept fewer paths (without --option redundantvios=1), or make sure that the other VIOS of the target run and "
        "have RMC; --map places the adapters.",
        bad=Verdict.FAIL if ordered(survey, "redundantvios") == "1" else Verdict.WARN,
    )


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


# -- levels ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """A row of ``levels.yaml``: product, minimum level, purpose, and confidence."""

    what: str
    at_least: str
    needed_for: str
    mark: str
    source: str

    @property
    def decides(self) -> bool:
        """True for a row that can fail a check; one that is only recalled warns."""
        return self.mark in "AB"


@cache
def level_rows() -> tuple[Level, ...]:
    """The matrix, in the order of its file."""
    return tuple(Level(**row) for row in read_table("levels.yaml")["levels"])


def numbers_of(level: str) -> tuple[int, ...]:
    """The numbers of a level, to compare.

    >>> numbers_of("1.5.2.1-FP-11.1") >= numbers_of("1.5"), numbers_of("AIX 5.3 5300-07-03-0811"), numbers_of("AIX 7.2")
    (True, (5300, 7, 3, 811), (7, 2))
    >>> numbers_of("2.2.0.10-FP-24 SP-01"), numbers_of("Unknown")
    ((2, 2, 0, 10), ())
    """
    numbered = [word for word in level.split() if word[0].isdigit()]
    plain = numbered[-1].split("-FP")[0] if numbered else ""
    return tuple(int(word) for word in re.split(r"[.-]", plain) if word.isdigit())


def _uses(survey: Survey) -> set[str]:
    """The purposes of the matrix that concern this partition."""
    lpar_id = moving_of(survey).lpar_id
    fibre = any(adapter.lpar_id == lpar_id for adapter in survey.source.fc_adapters or ())
    virtual = any(nic.lpar_id == lpar_id for nic in survey.source.vnics or ())
    ibm_i = survey.operating_system is OperatingSystem.IBM_I
    return {
        "a move",
        *(["NPIV"] if fibre else []),
        *(["vNIC"] if virtual else []),
        *(["IBM i"] if ibm_i else []),
    }


def _held_against(survey: Survey, about: str, what: str, levels: Mapping[str, str], remedy: str) -> RuleResult:
    rows = [row for row in level_rows() if row.what == what and row.needed_for in _uses(survey)]
    old = {
        name: [row for row in rows if numbers_of(level) < numbers_of(row.at_least)] for name, level in levels.items()
    }
    facts: dict[str, Fact] = dict(levels)
    facts |= {f"{row.needed_for} needs": f"{row.at_least} ({row.mark})" for row in rows}
    hard = any(row.decides for short in old.values() for row in short)
    return passed(not any(old.values()), about, facts, remedy, bad=Verdict.FAIL if hard else Verdict.WARN)


def vios_level(survey: Survey, side: SystemFacts) -> RuleResult:
    """Hold the levels of the VIOS against the matrix."""
    servers = side.servers or (vios_of(survey, side, "level"),)
    levels = {f"VIOS level of {server.name}": need(server.level, survey, "level", side.name) for server in servers}
    return _held_against(
        survey, side.name, "VIOS", levels, "Update the VIOS: updateios -install -dev DIRECTORY -accept"
    )


def guest_level(survey: Survey) -> RuleResult:
    """Hold the level of the operating system against the matrix: as the partition itself prints it, else as the
    manager lists it.

    A level of zeros (``5300-00-00-0000``) is a placeholder for one that was not read.
    """
    moving = moving_of(survey)
    listed = moving.os_version
    own = survey.guest.identity.level if survey.guest else None
    if survey.operating_system is OperatingSystem.LINUX:
        raise NotApplicable(
            survey.partition, f"levels are known for AIX and IBM i, and the partition runs {own or listed}"
        )
    if survey.operating_system is OperatingSystem.IBM_I:
        return _ibm_i_level(survey, listed or "")
    version = f"AIX {own}" if own else listed
    level = numbers_of(version) if version else ()
    if version is None or not _is_told(version, level, own=own is not None):
        raise OnlyFirmware(
            survey.partition,
            "neither the partition nor the manager gives the level of the operating system (listed: "
            f"{listed or 'nothing'})",
            "On AIX: oslevel -s.",
        )
    release = (
        f"AIX {level[0] // 1000}.{level[0] // 100 % 10}" if level[0] > 999 else f"AIX {'.'.join(map(str, level[:2]))}"
    )
    remedy = "Install the technology level: install_all_updates -d DIRECTORY"
    source = "oslevel -s" if own else "the manager"
    return _held_against(survey, survey.partition, release, {f"level by {source}": version}, remedy)


def _is_told(version: str, level: tuple[int, ...], *, own: bool) -> bool:
    """Whether this is the level of AIX: zeros behind the release are a placeholder of the manager (and the true level
    in the partition's own words), a release alone tells enough only where the matrix asks for no technology level.
    """
    if not version.startswith("AIX") or len(level) < 2 or (_is_placeholder(level) and not own):
        return False
    released_only = level[0] < 1000
    release = f"AIX {'.'.join(map(str, level[:2]))}"
    return not released_only or release in RELEASES_BEFORE or all(row.what != release for row in level_rows())


def _ibm_i_level(survey: Survey, listed: str) -> RuleResult:
    """The version and release of IBM i, of which a manager lists ``IBM i 7.5.0 310 0`` or ``OS/400 V7R1M0``."""
    found = re.search(r"\bV(\d+)R(\d+)M\d|\b(\d+)\.(\d+)(?:\.\d+)*\b", listed)
    if found is None:
        raise OnlyFirmware(
            survey.partition,
            f"the manager does not give the level of IBM i (listed: {listed or 'nothing'})",
            "DSPSFWRSC",
        )
    level = ".".join(number for number in found.groups() if number)
    return _held_against(survey, survey.partition, "IBM i", {"level by the manager": level}, "Upgrade IBM i.")


def _is_placeholder(level: tuple[int, ...]) -> bool:
    """True for a level of which only the release is there, all else being zeros.

    >>> _is_placeholder((5300, 0, 0, 0)), _is_placeholder((6100, 0, 1, 748)), _is_placeholder((7, 2))
    (True, False, False)
    """
    return len(level) > 2 and not any(level[1:])
