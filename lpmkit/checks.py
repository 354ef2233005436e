"""May the partition move? Rules that take a survey's facts and answer pass, warn, fail or unknown.

Every rule is a function of a `Survey` and of nothing else, so a kept survey can be judged again. A rule that misses a fact answers
*unknown* with the reason why the fact is missing; it never passes for want of evidence. ``pass`` means: everything needed was
known, and it is as it should be. ``warn`` does not hinder the move and wants somebody to know.

`CHECKS` is the table, in the order in which an administrator would go through it (powervm.md 4.2, 4.3 and 4.5; the number behind a
rule is its number there). What decides in the end is the firmware's own validation; these rules say beforehand, and in terms of
what to type, what it would say in codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar

from lpmkit.inventory import Frame, Partition, PhysicalDisk, Vios, VirtualEthernetAdapter, VirtualTarget
from lpmkit.sap.model import Colour, JobStatus
from lpmkit.sap.model import Snapshot as SapSnapshot
from lpmkit.survey import Side, Survey, adapters_of, bridge_for, disk_named, same_disk, same_disks, servers_of

Value = TypeVar("Value")
Fact = str | int | float | bool | None

AIX_ADMIN = "AIX administrator"
VIOS_ADMIN = "VIOS administrator"
SAN_ADMIN = "SAN administrator"
NETWORK_ADMIN = "network administrator"
SAP_BASIS = "SAP Basis"
HMC_ADMIN = "HMC administrator"

#: Descriptions of adapters that a movable partition may have (`GLPI`, A); any other is a piece of the machine it stands on.
VIRTUAL_ADAPTERS = (
    "Virtual I/O Ethernet Adapter (l-lan)",
    "Virtual SCSI Client Adapter",
    "Virtual Fibre Channel Client Adapter",
    "LPAR Virtual Serial Adapter",
)
#: The hypervisor keeps a page table of about 1/64 of a partition's memory beside it (powervm.md 1.7, hpt ratio 1:64).
PAGE_TABLE_SHARE = 64
#: Slots 0 and 1 of every partition belong to its serial adapters (powervm.md 1.7).
SERIAL_SLOTS = 2
#: Paths that carry data, or would (``lspath``).
GOOD_PATH = "Enabled"


class Verdict(StrEnum):
    """What a rule says. ``UNKNOWN`` is a fact of its own: it could not be looked at."""

    PASS = "pass"  # noqa: S105 - a word, not a secret
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Answer(StrEnum):
    """What all rules together say."""

    READY = "ready"
    NOT_READY = "not ready"
    COULD_NOT_TELL = "could not tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's answer: about which machine or partition, from which facts, what to type, and who must."""

    key: str
    title: str
    verdict: Verdict
    about: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    remedy: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule makes of the facts about one thing."""

    verdict: Verdict
    about: str
    facts: Mapping[str, Fact]
    remedy: str = ""


class NotKnown(Exception):
    """A rule's way of saying that a fact it needs is missing. It never leaves this module."""

    def __init__(self, about: str, why: str) -> None:
        self.about, self.why = about, why
        super().__init__(why)


#: What a line of the table does with a survey: the questions to be judged, one or one for each side.
Judges = Callable[[Survey], tuple[Callable[[], Judgement], ...]]


def once(judge: Callable[[Survey], Judgement]) -> Judges:
    """A rule about the move as a whole."""
    return lambda survey: (partial(judge, survey),)


def each_side(judge: Callable[[Survey, Side], Judgement]) -> Judges:
    """A rule that answers for the source and for the target."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey))


def each_under_an_hmc(judge: Callable[[Survey, Side], Judgement]) -> Judges:
    """A rule about a side whose I/O servers are not its manager; it has nothing to say of another."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey) if side.manager == "hmc")


def each_sap(question: str, judge: Callable[[Survey, SapSnapshot], Judgement]) -> Judges:
    """A rule about each SAP system in the partition; it has nothing to say where the site file names no way in that tells."""
    return lambda survey: tuple(
        partial(_of_sap, survey, one, question, judge)
        for one in survey.sap
        if not any(gap.question == question and not gap.configured for gap in one.missed)
    )


def _of_sap(
    survey: Survey, one: SapSnapshot, question: str, judge: Callable[[Survey, SapSnapshot], Judgement]
) -> Judgement:
    if getattr(one, question) is None:
        raise NotKnown(one.system, one.why_not(question))
    return judge(survey, one)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table; called with a survey it gives one finding, or one for each side that it is about."""

    key: str
    title: str
    who: str
    judges: Judges

    def __call__(self, survey: Survey) -> tuple[Finding, ...]:
        return tuple(self._found(judge) for judge in self.judges(survey))

    def _found(self, judge: Callable[[], Judgement]) -> Finding:
        try:
            said = judge()
        except NotKnown as missing:
            said = Judgement(Verdict.UNKNOWN, missing.about, {"not known": missing.why}, _look_again(missing.about))
        return Finding(self.key, self.title, said.verdict, said.about, said.facts, said.remedy, self.who)


def examine(survey: Survey) -> tuple[Finding, ...]:
    """Every rule's answer, in the order of the table; rules about both sides answer for each."""
    return tuple(finding for check in CHECKS for finding in check(survey))


def ready(findings: Iterable[Finding]) -> Answer:
    """Whether the partition may move. One failure says no; else one unknown says that it cannot be told; warnings do not hinder.

    >>> ready([Finding("memory-room", "", Verdict.WARN, "bvio83"), Finding("keys", "", Verdict.PASS, "bvio82")])
    <Answer.READY: 'ready'>
    >>> ready([])
    <Answer.COULD_NOT_TELL: 'could not tell'>
    """
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAIL in verdicts:
        return Answer.NOT_READY
    return Answer.COULD_NOT_TELL if Verdict.UNKNOWN in verdicts or not verdicts else Answer.READY


def sides(survey: Survey) -> tuple[Side, Side]:
    return survey.source, survey.target


# -- facts that rules need, or the reason why they are missing -----------------------------------------------------------------


def need(value: Value | None, survey: Survey, what: str, where: str) -> Value:
    """The value, or `NotKnown` with the reason that the survey kept under this name."""
    if value is None:
        raise NotKnown(where, survey.why_not(what, where))
    return value


def _look_again(about: str) -> str:
    return f"See that {about} answers, then survey again."


def _frame(survey: Survey, side: Side) -> Frame:
    return need(side.frame, survey, "frame", side.name)


def _vios(survey: Survey, side: Side, what: str) -> Vios:
    return need(side.vios, survey, what, side.name)


def _moving(survey: Survey) -> Partition:
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    if survey.moving is None:
        raise NotKnown(survey.partition, f"{survey.source.name} lists no partition {survey.partition}")
    return survey.moving


def _said(survey: Survey, value: Value | None, what: str) -> Value:
    """A field of the partition that its manager may not know."""
    if value is None:
        raise NotKnown(survey.partition, f"{survey.source.name} does not say the {what} of {survey.partition}")
    return value


def _targets(survey: Survey) -> tuple[VirtualTarget, ...]:
    """The virtual targets of the partition on the source."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    servers = need(servers_of(survey), survey, "scsi map", survey.source.name)
    if not servers:
        raise NotKnown(survey.partition, f"lsmap on {survey.source.name} shows no adapter of {survey.partition}")
    return tuple(target for server in servers for target in server.targets)


def _backing_disks(survey: Survey) -> tuple[PhysicalDisk, ...]:
    """The source's disks behind the partition. What is no disk at all is `whole_luns`' business and left out here."""
    vios = _vios(survey, survey.source, "disks")
    need(vios.disks, survey, "disks", survey.source.name)
    found = (disk_named(survey.source, target.backing) for target in _targets(survey))
    return tuple(disk for disk in found if disk is not None)


def _disks_on(survey: Survey, side: Side) -> tuple[PhysicalDisk, ...]:
    """The partition's disks as one side sees them; of a disk that it does not see nothing is known there."""
    here = _backing_disks(survey)
    if side is survey.source:
        return here
    need(_vios(survey, side, "disks").disks, survey, "disks", side.name)
    found = [(disk, same_disk(side, disk)[0]) for disk in here]
    unseen = [disk.name for disk, there in found if there is None]
    if unseen:
        raise NotKnown(side.name, f"{side.name} does not see the LUN of {_listed(unseen)} on {survey.source.name}")
    return tuple(there for disk in here for there in same_disks(side, disk))


def _adapters(survey: Survey) -> tuple[VirtualEthernetAdapter, ...]:
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    return need(adapters_of(survey), survey, "ethernet adapters", survey.source.name)


def _passed(good: bool, about: str, facts: Mapping[str, Fact], remedy: str, bad: Verdict = Verdict.FAIL) -> Judgement:
    """Pass without a remedy, or the given verdict with it."""
    return Judgement(Verdict.PASS, about, facts) if good else Judgement(bad, about, facts, remedy)


def _listed(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words) or "none"


# -- the partition ---------------------------------------------------------------------------------------------------------------


def partition_running(survey: Survey) -> Judgement:
    """#4: active mobility moves what runs."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    state = survey.moving.state if survey.moving else "not listed"
    return _passed(
        state == "Running",
        survey.partition,
        {"state": state, "frame": survey.source.name},
        f"Start it: chsysstate -r lpar -o on -n {survey.partition}",
    )


def not_migrating(survey: Survey) -> Judgement:
    """#5"""
    reading = need(survey.migration, survey, "migration", survey.source.name)
    state = need(reading.migration_state, survey, "migration", survey.source.name)
    return _passed(
        state == "Not Migrating",
        survey.partition,
        {"migration_state": state},
        f"Wait for its end; if it stands still: migrlpar -o s -m SYSTEM -p {survey.partition}, "
        f"and if it stays so: migrlpar -o r -m SYSTEM -p {survey.partition}",
    )


def name_free(survey: Survey) -> Judgement:
    """#3: the target's manager must not list the name."""
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    taken = [one for one in listed if one.name == survey.partition]
    return _passed(
        not taken,
        survey.target.name,
        {"name": survey.partition, "listed there as id": taken[0].lpar_id if taken else None},
        f"Rename the other one on {survey.target.name}: "
        f'chsyscfg -r lpar -i "name={survey.partition},new_name=NEW"; if it is what a failed move left behind, recover first.',
    )


def id_free(survey: Survey) -> Judgement:
    """#3: the id is kept only where it is free; another one changes what ``uname -L`` and ``uname -f`` say."""
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    lpar_id = _moving(survey).lpar_id
    owner = next((one.name for one in listed if one.lpar_id == lpar_id), None)
    return _passed(
        owner is None,
        survey.target.name,
        {"id now": lpar_id, "taken on the target by": owner},
        f"The partition will get another id than {lpar_id}; tell whoever uses uname -L, or free the id on {survey.target.name}.",
        bad=Verdict.WARN,
    )


def rmc_manager(survey: Survey) -> Judgement:
    """#6: the manager's view of its connection to the partition."""
    moving = _moving(survey)
    state = _said(survey, moving.rmc_state, "RMC state")
    capable = moving.dlpar_mem_capable is not False and moving.dlpar_proc_capable is not False
    facts = {
        "rmc_state": state,
        "dlpar_mem_capable": moving.dlpar_mem_capable,
        "dlpar_proc_capable": moving.dlpar_proc_capable,
    }
    return _passed(
        state == "active" and capable,
        survey.partition,
        facts,
        "On the partition as root: /usr/sbin/rsct/bin/rmcctrl -z; /usr/sbin/rsct/bin/rmcctrl -A; /usr/sbin/rsct/bin/rmcctrl -p; "
        "then allow five minutes. Port 657 must be open for TCP and UDP.",
    )


def rmc_partition(survey: Survey) -> Judgement:
    """#6, seen from the partition itself."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    rmc = need(guest.rmc, survey, "rmc", survey.partition)
    return _passed(
        rmc.status == "active",
        survey.partition,
        {"subsystem": rmc.name, "status": rmc.status, "pid": rmc.pid},
        "On the partition as root: startsrc -s ctrmc",
    )


def huge_pages(survey: Survey) -> Judgement:
    """#17"""
    count = _said(survey, _moving(survey).huge_pages, "huge pages")
    return _passed(
        count == 0,
        survey.partition,
        {"huge pages": count},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},desired_num_huge_pages=0,min_num_huge_pages=0,max_num_huge_pages=0", '
        "then shut the partition down and start it.",
    )


def workload_group(survey: Survey) -> Judgement:
    """#22"""
    group = _said(survey, _moving(survey).work_group, "workload group")
    return _passed(
        group == "none",
        survey.partition,
        {"work_group_id": group},
        f'chsyscfg -r lpar -i "name={survey.partition},work_group_id=none"',
    )


def error_path_reporting(survey: Survey) -> Judgement:
    """#21"""
    on = _said(survey, _moving(survey).redundant_error_path_reporting, "redundant error path reporting")
    return _passed(
        not on,
        survey.partition,
        {"redundant_err_path_reporting": on},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},redundant_err_path_reporting=0", '
        "then shut the partition down and start it.",
    )


def compat_mode(survey: Survey) -> Judgement:
    """#15"""
    mode = _said(survey, _moving(survey).proc_compat_mode, "processor mode")
    frame = _frame(survey, survey.target)
    if not frame.proc_compat_modes:
        raise NotKnown(survey.target.name, f"{survey.target.name} does not list its processor modes")
    return _passed(
        mode in frame.proc_compat_modes,
        survey.partition,
        {"mode": mode, "modes of the target": _listed(frame.proc_compat_modes)},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},lpar_proc_compat_mode={frame.proc_compat_modes[-1]}", '
        "then shut the partition down and start it.",
    )


def physical_slots(survey: Survey) -> Judgement:
    """#19, the manager's view."""
    slots = need(survey.physical_slots, survey, "physical slots", survey.source.name)
    return _passed(
        not slots,
        survey.partition,
        {"physical slots": len(slots), "which": _listed(f"{slot.drc_name} {slot.description}" for slot in slots)},
        f"Take them away: chhwres -r io -m SYSTEM -o r -p {survey.partition} -l DRC_INDEX, and from the profile.",
    )


def virtual_adapters(survey: Survey) -> Judgement:
    """#19 and #20, the partition's view: a logical host Ethernet port hinders as a Fibre Channel adapter does."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    adapters = need(guest.adapters, survey, "adapters", survey.partition)
    physical = [one for one in adapters if one.description not in VIRTUAL_ADAPTERS and one.status != "Defined"]
    return _passed(
        not physical,
        survey.partition,
        {"adapters": len(adapters), "not virtual": _listed(f"{one.name} {one.description}" for one in physical)},
        f"On the partition as root: rmdev -dRl {physical[0].name if physical else 'ADAPTER'}, "
        "after its addresses have moved to a virtual adapter; then take the adapter out of the partition's profile.",
    )


# -- the two systems ---------------------------------------------------------------------------------------------------------------


def two_systems(survey: Survey) -> Judgement:
    """#3: a partition cannot move to where it is."""
    here, there = _frame(survey, survey.source), _frame(survey, survey.target)
    return _passed(
        here.machine != there.machine,
        survey.target.name,
        {"source": here.machine, "target": there.machine},
        "Correct the addresses in the site file: both names lead to the same system.",
    )


def enterprise(survey: Survey, side: Side) -> Judgement:
    """#1: PowerVM Enterprise shows as a capability; a system that lists none at all was not understood."""
    frame = _frame(survey, side)
    if not frame.capabilities:
        raise NotKnown(side.name, f"{side.name} does not list its capabilities")
    return _passed(
        frame.active_mobility_capable,
        side.name,
        {"active_lpar_mobility_capable": frame.active_mobility_capable, "system": frame.machine},
        "Order PowerVM Enterprise Edition and enter the activation: chvet -o e -k CODE",
    )


def concurrency(survey: Survey, side: Side) -> Judgement:
    """#36"""
    frame = _frame(survey, side)
    supported = need(frame.active_migrations_supported, survey, "active migrations supported", side.name)
    running = need(frame.active_migrations_in_progress, survey, "active migrations in progress", side.name)
    facts: dict[str, Fact] = {"in progress": running, "supported": supported}
    if running >= supported:
        return Judgement(Verdict.FAIL, side.name, facts, "Wait until one of them is over: lslparmigr -r lpar")
    remedy = "Another move is under way and shares the link and the movers; better wait for its end: lslparmigr -r lpar"
    return _passed(running == 0, side.name, facts, remedy, bad=Verdict.WARN)


def keys_exchanged(survey: Survey) -> Judgement:
    """#2: any output of the test, even with status 0, means that they are not. One HMC with both frames needs none."""
    if survey.one_manager:
        return Judgement(Verdict.PASS, survey.source.name, {"managers": "one and the same"})
    keys = need(survey.keys, survey, "keys", survey.source.name)
    status = need(keys.status, survey, "keys", survey.source.name)
    return _passed(
        status == 0 and not keys.text,
        survey.source.name,
        {"mkauthkeys --test": status, "it said": keys.text or None},
        f"On {survey.source.name}: mkauthkeys -g --ip ADDRESS -u USER of {survey.target.name}, and the same the other way round.",
    )


def memory_region(survey: Survey) -> Judgement:
    """#12"""
    sizes = [
        need(_frame(survey, side).memory_region_mb, survey, "memory region size", side.name) for side in sides(survey)
    ]
    return _passed(
        sizes[0] == sizes[1],
        survey.target.name,
        {f"{side.name} MB": size for side, size in zip(sides(survey), sizes, strict=True)},
        f"Set the logical memory block size of {survey.target.name} to {sizes[0]} MB in the ASM and restart the system.",
    )


def memory_room(survey: Survey) -> Judgement:
    """#13"""
    wanted = _said(survey, _moving(survey).memory_mb, "memory")
    frame = _frame(survey, survey.target)
    free = need(frame.memory_available_mb, survey, "memory available", survey.target.name)
    table = -(-wanted // PAGE_TABLE_SHARE)
    facts: dict[str, Fact] = {"needed MB": wanted, "free MB": free, "left MB": free - wanted, "page table MB": table}
    remedy = (
        f"Free {max(0, wanted + table - free)} MB on {survey.target.name}: shut a partition down, or "
        "chhwres -r mem -o r -p OTHER -q MB"
    )
    if free < wanted:
        return Judgement(Verdict.FAIL, survey.target.name, facts, remedy)
    return _passed(free >= wanted + table, survey.target.name, facts, remedy, bad=Verdict.WARN)


def processor_room(survey: Survey) -> Judgement:
    """#14: units of a shared partition, whole processors of a dedicated one."""
    moving = _moving(survey)
    units = moving.proc_units if moving.proc_units is not None else moving.virtual_processors
    wanted = _said(survey, units, "processing units")
    free = need(_frame(survey, survey.target).proc_units_available, survey, "processors available", survey.target.name)
    short = round(max(0.0, wanted - free), 2)
    return _passed(
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
    moving = _moving(survey)
    clients = need(survey.source.scsi_adapters, survey, "scsi adapters", survey.source.name)
    wanted = sum(one.lpar_id == moving.lpar_id and one.adapter_type == "client" for one in clients)
    taken = {(one.lpar_id, one.slot) for one in scsi} | {(one.lpar_id, one.slot) for one in ethernet}
    free = {one: _free_slots(one, sum(owner == one.lpar_id for owner, _ in taken)) for one in servers}
    # Which adapter goes to which I/O server is the manager's choice, so the fullest one decides whether it is sure.
    server = min(servers, key=lambda one: free[one])
    most, least = server.max_virtual_slots or 0, free[server]
    return _passed(
        wanted <= least,
        survey.target.name,
        {"needed": wanted, "free": least, "highest number": most},
        f'chsyscfg -r prof -i "lpar_name={server.name},max_virtual_slots={most + wanted - least}", '
        "then restart the I/O server.",
        bad=Verdict.WARN if wanted <= sum(max(0, room) for room in free.values()) else Verdict.FAIL,
    )


def _free_slots(server: Partition, used: int) -> int:
    return (server.max_virtual_slots or 0) - used - SERIAL_SLOTS


# -- the I/O servers -----------------------------------------------------------------------------------------------------------------


def vasi(survey: Survey, side: Side) -> Judgement:
    """#9: the mover works through this device."""
    devices = need(_vios(survey, side, "virtual devices").devices, survey, "virtual devices", side.name)
    found = [one for one in devices if one.name.startswith("vasi")]
    return _passed(
        any(one.status == "Available" for one in found),
        side.name,
        {"vasi": _listed(f"{one.name} {one.status}" for one in found)},
        "cfgdev; if lsdev -virtual still shows none, enter the PowerVM Enterprise activation and restart the I/O server.",
    )


def movers(survey: Survey, side: Side) -> Judgement:
    """#8: under an HMC an I/O server moves only when its ``msp`` is 1; under an IVM the one there is moves always."""
    servers = _io_servers(survey, side)
    facts: dict[str, Fact] = {f"msp of {one.name}": one.msp for one in servers}
    if any(one.msp for one in servers):
        return Judgement(Verdict.PASS, side.name, facts)
    silent = [one.name for one in servers if one.msp is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not say whether {_listed(silent)} may move partitions (msp)")
    system = side.frame.name if side.frame else "SYSTEM"
    remedy = f'chsyscfg -r lpar -m {system} -i "lpar_id={servers[0].lpar_id},msp=1"'
    return Judgement(Verdict.FAIL, side.name, facts, remedy)


def rmc_vios(survey: Survey, side: Side) -> Judgement:
    """#7: the HMC must reach every I/O server; under an IVM the I/O server is the manager."""
    servers = _io_servers(survey, side)
    silent = [one.name for one in servers if one.rmc_state is None]
    if silent:
        raise NotKnown(side.name, f"the manager does not say the RMC state of {_listed(silent)}")
    down = [one.name for one in servers if one.rmc_state != "active"]
    # One that is switched off serves nobody, as long as there is another.
    idle = len(down) < len(servers) and all(one.state == "Not Activated" for one in servers if one.name in down)
    return _passed(
        not down,
        side.name,
        {f"rmc_state of {one.name}": one.rmc_state for one in servers},
        f"On {_listed(down)} after oem_setup_env, in /usr/sbin/rsct/bin: rmcctrl -z; rmcctrl -A; rmcctrl -p; then allow five minutes. "
        "On the HMC: lspartition -dlpar",
        bad=Verdict.WARN if idle else Verdict.FAIL,
    )


def io_servers_named(survey: Survey, side: Side) -> Judgement:
    """What an I/O server that the site file does not name would say, no rule has heard."""
    listed = [one.name for one in _io_servers(survey, side)]
    left_out = [name for name in listed if name not in side.asked]
    return _passed(
        not left_out,
        side.name,
        {"I/O servers": _listed(listed), "not asked": _listed(left_out)},
        f"Add {_listed(left_out)} to frames.{side.name}.vios of the site file, so that its disks, paths and bridges are looked at too.",
        bad=Verdict.WARN,
    )


def _io_servers(survey: Survey, side: Side) -> tuple[Partition, ...]:
    need(side.partitions, survey, "partitions", side.name)
    if not side.io_servers:
        raise NotKnown(side.name, f"{side.name} lists no I/O server")
    return side.io_servers


def bridged(survey: Survey, side: Side) -> Judgement:
    """#30: every VLAN of the partition must be bridged by an SEA, on the same virtual switch where there are several."""
    adapters = _adapters(survey)
    vios = _vios(survey, side, "network map")
    need(vios.shared_ethernets, survey, "network map", side.name)
    need(vios.trunks, survey, "trunks", side.name)
    seas = {vlan: bridge_for(side, vlan, one.vswitch) for one in adapters for vlan in one.vlans}
    missing = [vlan for vlan, sea in seas.items() if sea is None]
    return _passed(
        not missing,
        side.name,
        {f"VLAN {vlan}": sea or "no SEA" for vlan, sea in seas.items()} or {"adapters": 0},
        f"Bridge VLAN {_listed(missing)} on {side.name}: mkvdev -sea ADAPTER -vadapter TRUNK -default TRUNK -defaultid VLAN, "
        "or add the VLAN to the trunk; the switch port must carry it.",
    )


def whole_luns(survey: Survey) -> Judgement:
    """#26: what lies behind a virtual disk must be a whole disk; a logical volume or a file stays with its I/O server."""
    disks = need(_vios(survey, survey.source, "disks").disks, survey, "disks", survey.source.name)
    whole = {disk.name for disk in disks if disk.volume_group is None}
    targets = [one for one in _targets(survey) if not _is_optical(one)]
    other = [one for one in targets if one.backing not in whole]
    return _passed(
        not other,
        survey.partition,
        {
            "disks": len(targets),
            "not a whole LUN": _listed(f"{one.name} on {one.backing or 'nothing'}" for one in other),
        },
        "Give the partition a LUN that both I/O servers see (mkvdev -vdev hdiskN -vadapter vhostN -dev NAME), move the data "
        f"in AIX (migratepv or mirrorvg), then rmvdev -vtd {other[0].name if other else 'NAME'}",
    )


def _is_optical(target: VirtualTarget) -> bool:
    return target.name.startswith("vtopt") or target.backing.endswith(".iso")


def optical(survey: Survey) -> Judgement:
    """#29: media loaded hinder; an empty drive ought to go too."""
    drives = [one for one in _targets(survey) if _is_optical(one)]
    if not drives:
        return Judgement(Verdict.PASS, survey.partition, {"virtual optical drives": 0})
    found = need(_vios(survey, survey.source, "virtual media").media, survey, "virtual media", survey.source.name)
    # Two I/O servers may both have a vtopt0; of a name that is there twice the loaded one counts.
    media = dict(sorted(found, key=lambda one: one[1] is not None))
    loaded = {one.name: one.backing or media.get(one.name) for one in drives}
    facts = {name: medium or "empty" for name, medium in loaded.items()}
    name = drives[0].name
    remedy = f"unloadopt -vtd {name}; rmvdev -vtd {name}"
    full = any(loaded.values())
    return Judgement(Verdict.FAIL if full else Verdict.WARN, survey.partition, facts, remedy)


def same_luns(survey: Survey) -> Judgement:
    """#27: ``unique_id`` decides, the PVID must not speak against it."""
    here = _backing_disks(survey)
    need(_vios(survey, survey.target, "disks").disks, survey, "disks", survey.target.name)
    found = {disk: same_disk(survey.target, disk) for disk in here}
    facts: dict[str, Fact] = {
        disk.name: f"{there.name} by {how}" if there else "not found" for disk, (there, how) in found.items()
    }
    missing = [
        disk.name
        for disk, (there, _) in found.items()
        if there is None or any(_contradicts(disk, one) for one in same_disks(survey.target, disk))
    ]
    if missing:
        remedy = f"Zone and mask the LUNs of {_listed(missing)} to {survey.target.name} too, then there: cfgdev"
        return Judgement(Verdict.FAIL, survey.target.name, facts, remedy)
    for disk, (there, how) in found.items():
        if how == "PVID" and there is not None:
            side, name = (survey.source, disk.name) if disk.unique_id is None else (survey.target, there.name)
            raise NotKnown(side.name, survey.why_not(f"{name} unique_id", side.name))
    fewer = [disk.name for disk in here if _ways(here, disk) > len(same_disks(survey.target, disk))]
    return _passed(
        not fewer,
        survey.target.name,
        facts or {"disks": 0},
        f"Fewer I/O servers of {survey.target.name} see the LUNs of {_listed(fewer)}: zone and mask them to the others too, then cfgdev; "
        "else the partition loses a path (the firmware may say HSCLA340).",
        bad=Verdict.WARN,
    )


def _ways(disks: Sequence[PhysicalDisk], wanted: PhysicalDisk) -> int:
    """How many of the source's I/O servers give the partition this LUN."""
    return sum(wanted.unique_id is not None and disk.unique_id == wanted.unique_id for disk in disks)


def _contradicts(here: PhysicalDisk, there: PhysicalDisk) -> bool:
    """The same LUN with two PVIDs: one of the two lists is stale. A side that has not read the PVID yet says nothing."""
    return here.pvid is not None and there.pvid is not None and here.pvid != there.pvid


def luns_free(survey: Survey) -> Judgement:
    """#27: nobody on the target may use them, neither a client nor a volume group of the I/O server."""
    there = _disks_on(survey, survey.target)
    servers = need(_vios(survey, survey.target, "scsi map").scsi_servers, survey, "scsi map", survey.target.name)
    used = {target.backing: f"{target.name} of {server.name}" for server in servers for target in server.targets}
    used |= {disk.name: f"volume group {disk.volume_group}" for disk in there if disk.volume_group}
    taken = {disk.name: used[disk.name] for disk in there if disk.name in used}
    return _passed(
        not taken,
        survey.target.name,
        {disk.name: taken.get(disk.name, "free") for disk in there} or {"disks": 0},
        f"On {survey.target.name}: lsmap -all shows who uses {_listed(taken)}; if nobody needs it: rmvdev -vtd NAME",
    )


def reserve_policy(survey: Survey, side: Side) -> Judgement:
    """#28"""
    disks = _disks_on(survey, side)
    for disk in disks:
        if disk.reserve_policy is None and disk.volume_group is None:
            raise NotKnown(side.name, survey.why_not(f"{disk.name} reserve_policy", side.name))
    bad = [disk.name for disk in disks if disk.reserve_policy != "no_reserve"]
    return _passed(
        not bad,
        side.name,
        {disk.name: disk.reserve_policy for disk in disks} or {"disks": 0},
        "; ".join(f"chdev -dev {name} -attr reserve_policy=no_reserve" for name in bad)
        + " (with -perm and a restart where the disk is in use)",
    )


def paths(survey: Survey, side: Side) -> Judgement:
    """Every disk wants an enabled path, and two for a spare; ``lspath`` and SDDPCM are asked, one of them suffices."""
    vios = _vios(survey, side, "paths")
    if vios.paths is None and vios.multipath is None:
        raise NotKnown(side.name, survey.why_not("paths", side.name))
    counts = {disk.name: _paths_of(vios, disk.name) for disk in _disks_on(survey, side)}
    for name, (_, all_paths) in counts.items():
        if all_paths == 0:
            raise NotKnown(side.name, f"neither lspath nor pcmpath lists a path of {name}")
    facts: dict[str, Fact] = {name: f"{good} of {count} paths" for name, (good, count) in counts.items()}
    remedy = "lspath and pcmpath query device name the path; check cabling and zoning, then chpath -dev DISK -pdev PARENT -op enable"
    if any(good == 0 for good, _ in counts.values()):
        return Judgement(Verdict.FAIL, side.name, facts, remedy)
    whole = all(good == count for good, count in counts.values())
    return _passed(whole, side.name, facts or {"disks": 0}, remedy, bad=Verdict.WARN)


def _paths_of(vios: Vios, disk: str) -> tuple[int, int]:
    """Good paths and all paths of a disk, as the less hopeful of the two commands sees them."""
    listed = [path.status == GOOD_PATH for path in vios.paths or () if path.disk == disk]
    driven = [path.healthy for one in vios.multipath or () if one.disk == disk for path in one.paths]
    views = [(sum(view), len(view)) for view in (listed, driven) if view]
    return min(views, key=lambda view: view[0] - view[1], default=(0, 0))


# -- what the move means to others ---------------------------------------------------------------------------------------------------


def sap_hardware_key(survey: Survey) -> Judgement:
    """SAP derives its hardware key from ``uname -m``, which follows the machine (powervm.md 3.1 and 5.6).

    The target's is derived from its serial, a rule that is only trusted when it yields the source's, which was read.
    """
    guest = need(survey.guest, survey, "partition", survey.partition)
    now = need(guest.identity.machine_id, survey, "identity", survey.partition)
    here, there = _frame(survey, survey.source), _frame(survey, survey.target)
    then = machine_id_of(there.serial) if machine_id_of(here.serial) == now else None
    facts: dict[str, Fact] = {
        "uname -m now": now,
        "on the target, derived from its serial": then or "cannot be derived",
    }
    remedy = (
        "Before the move, install a SAP licence for the target's hardware key beside the present one (order it for the key that "
        "saplicense -get prints there; transaction SLICENSE installs it). SAP runs on for its grace period without."
    )
    return _passed(then == now, survey.partition, facts, remedy, bad=Verdict.WARN)


def sap_licence(survey: Survey, one: SapSnapshot) -> Judgement:
    """Every frame has a hardware key of its own, and a licence belongs to a key (sap-oracle.md 5.1)."""
    key = one.hardware_keys.get(survey.target.name)
    if key is None:
        raise NotKnown(
            one.system,
            f"neither the site file nor an earlier run says the hardware key of {survey.target.name}: "
            f"sap_systems.{one.system}.hardware_keys, as saplikey -get printed it there",
        )
    mine = [licence for licence in one.licences or () if licence.key == key]
    good = [licence for licence in mine if licence.permanent is not False and licence.valid is not False]
    facts: dict[str, Fact] = {
        "hardware key now": one.hardware_key,
        f"on {survey.target.name}": key,
        "known from": one.keys_from.get(survey.target.name),
        "licences installed": _listed(sorted({licence.key for licence in one.licences or ()})),
    }
    return _passed(
        bool(good),
        one.system,
        facts,
        f"Order a permanent licence for {key} and install it before the move, beside the present one (transaction SLICENSE, or saplikey -install).",
        bad=Verdict.WARN,
    )


def sap_long_jobs(survey: Survey, one: SapSnapshot) -> Judgement:
    """A job that has run for long would be the dearest to lose."""
    limit = one.slo.get("long_job_s", 3600.0)
    now = _sap_now(one)
    running = [job for job in one.jobs or () if job.status is JobStatus.RUNNING]
    long = {
        job.title: f"for {(now - job.started).total_seconds() / 60:.0f} minutes"
        for job in running
        if now is not None and job.started is not None and (now - job.started).total_seconds() > limit
    }
    work = {(row.pid, row.program): row.request_s for row in one.work_processes or ()}
    for job in running:
        for_s = work.get((job.pid, job.program))
        if job.started is None and for_s is not None and for_s > limit:
            long[job.title] = f"for {for_s / 60:.0f} minutes"
    return _passed(
        not long,
        one.system,
        {"jobs running": len(running), **long},
        "They go on through the move; wait for them, or know that they are what is at stake.",
        bad=Verdict.WARN,
    )


def sap_next_jobs(survey: Survey, one: SapSnapshot) -> Judgement:
    """A job that starts during the move meets a busy partition, and a pause."""
    now = _sap_now(one)
    if now is None:
        raise NotKnown(one.system, "its time zone is not known: sap_systems.SID.zone in the site file says it")
    if one.ways.get("jobs", "").startswith(("webservice", "sapcontrol", "dpmon")):
        raise NotKnown(one.system, f"{one.ways['jobs']} shows what runs and no schedule; RFC or SOAP-RFC would")
    window = timedelta(seconds=one.slo.get("window_s", 3600.0))
    soon = [
        job
        for job in one.jobs or ()
        if job.status in (JobStatus.RELEASED, JobStatus.READY, JobStatus.PUT_ACTIVE)
        and job.planned is not None
        and job.planned <= now + window
    ]
    return _passed(
        not soon,
        one.system,
        {
            "system time": f"{now:%H:%M:%S}",
            **{job.title: f"at {job.planned:%H:%M:%S}" for job in soon if job.planned is not None},
        },
        "Move before or after, or put them off in SM37.",
        bad=Verdict.WARN,
    )


def _sap_now(one: SapSnapshot) -> datetime | None:
    """The system's own clock when it was asked."""
    if one.zone_offset_s is None:
        return None
    at = datetime.fromtimestamp(one.wall_ns / 1e9, tz=UTC).replace(tzinfo=None)
    return at + timedelta(seconds=one.zone_offset_s)


def sap_updates(survey: Survey, one: SapSnapshot) -> Judgement:
    """Update requests in error before the move would be taken for its doing."""
    failed = [update for update in one.updates or () if update.failed]
    return _passed(
        not failed,
        one.system,
        {"waiting or failed": len(one.updates or ()), "failed": len(failed)},
        "Look at them in SM13 first.",
        bad=Verdict.WARN,
    )


def sap_enqueue(survey: Survey, one: SapSnapshot) -> Judgement:
    """A lock server or replica that is unwell already."""
    said = next(iter(one.enqueue or ()), None)
    if said is None:
        raise NotKnown(one.system, "no lock server answered")
    good = said.state is not Colour.RED and said.replication not in (Colour.RED, Colour.YELLOW)
    return _passed(
        good,
        one.system,
        {
            "state": said.state.value if said.state else None,
            "replica": said.replication.value if said.replication else None,
            "errors": said.errors,
        },
        "See SM12 and the lock server's trace first.",
        bad=Verdict.WARN,
    )


def sap_work_processes(survey: Survey, one: SapSnapshot) -> Judgement:
    """Work processes that are down before the move."""
    rows = one.work_processes or ()
    down = [row for row in rows if row.activity.is_down]
    return _passed(
        not down,
        one.system,
        {
            "by": one.ways.get("work_processes"),
            "work processes": len(rows),
            "down": _listed(f"{row.type} {row.number}" for row in down),
        },
        "Restart them in SM50 first.",
        bad=Verdict.WARN,
    )


def machine_id_of(serial: str) -> str:
    """``uname -m`` as it follows from a blade's serial: ``000``, its last five characters, the model, ``00`` (derived, D).

    >>> machine_id_of("106BDCA")
    '0006BDCA4C00'
    """
    return f"000{serial[-5:]}4C00"


CHECKS: Sequence[Check] = (
    Check("partition-running", "The partition runs", AIX_ADMIN, once(partition_running)),
    Check("not-migrating", "No migration of it is under way", VIOS_ADMIN, once(not_migrating)),
    Check("two-systems", "Source and target are two systems", VIOS_ADMIN, once(two_systems)),
    Check("enterprise", "PowerVM Enterprise is active", VIOS_ADMIN, each_side(enterprise)),
    Check("keys", "The managers may talk to each other", VIOS_ADMIN, once(keys_exchanged)),
    Check("concurrency", "The system may take one more move", VIOS_ADMIN, each_side(concurrency)),
    Check("vasi", "The mover's device is there", VIOS_ADMIN, each_side(vasi)),
    Check("movers", "An I/O server may move partitions", HMC_ADMIN, each_under_an_hmc(movers)),
    Check("io-servers", "Every I/O server was looked at", VIOS_ADMIN, each_under_an_hmc(io_servers_named)),
    Check("rmc-vios", "The HMC reaches the I/O servers (RMC)", VIOS_ADMIN, each_under_an_hmc(rmc_vios)),
    Check("rmc-manager", "The manager reaches the partition (RMC)", AIX_ADMIN, once(rmc_manager)),
    Check("rmc-partition", "RMC runs in the partition", AIX_ADMIN, once(rmc_partition)),
    Check("name-free", "The name is free on the target", VIOS_ADMIN, once(name_free)),
    Check("id-free", "The partition can keep its id", AIX_ADMIN, once(id_free)),
    Check("memory-region", "Memory regions have the same size", VIOS_ADMIN, once(memory_region)),
    Check("memory-room", "The target has room for the memory", VIOS_ADMIN, once(memory_room)),
    Check("processor-room", "The target has room for the processors", VIOS_ADMIN, once(processor_room)),
    Check("compat-mode", "The target knows the processor mode", VIOS_ADMIN, once(compat_mode)),
    Check("virtual-slots", "The target's I/O server has free virtual slots", VIOS_ADMIN, once(virtual_slots)),
    Check("huge-pages", "No huge pages", AIX_ADMIN, once(huge_pages)),
    Check("workload-group", "In no workload group", AIX_ADMIN, once(workload_group)),
    Check("error-path-reporting", "Redundant error path reporting is off", AIX_ADMIN, once(error_path_reporting)),
    Check("physical-slots", "The manager lists no physical adapter", AIX_ADMIN, once(physical_slots)),
    Check("virtual-adapters", "AIX sees virtual adapters only", AIX_ADMIN, once(virtual_adapters)),
    Check("whole-luns", "Every disk is a whole LUN", VIOS_ADMIN, once(whole_luns)),
    Check("optical", "No virtual optical media", VIOS_ADMIN, once(optical)),
    Check("same-luns", "Both I/O servers see the same LUNs", SAN_ADMIN, once(same_luns)),
    Check("luns-free", "Nobody uses the LUNs on the target", VIOS_ADMIN, once(luns_free)),
    Check("reserve-policy", "No reservation on the disks", VIOS_ADMIN, each_side(reserve_policy)),
    Check("paths", "The disks' paths are healthy", SAN_ADMIN, each_side(paths)),
    Check("bridged", "The partition's VLANs are bridged", NETWORK_ADMIN, each_side(bridged)),
    Check("sap-hardware-key", "The SAP hardware key stays", SAP_BASIS, once(sap_hardware_key)),
    Check("sap-licence", "SAP has a licence for the target's key", SAP_BASIS, each_sap("licences", sap_licence)),
    Check(
        "sap-work-processes", "SAP's work processes are up", SAP_BASIS, each_sap("work_processes", sap_work_processes)
    ),
    Check("sap-long-jobs", "No long SAP job is running", SAP_BASIS, each_sap("jobs", sap_long_jobs)),
    Check("sap-next-jobs", "No SAP job starts in the window", SAP_BASIS, each_sap("jobs", sap_next_jobs)),
    Check("sap-updates", "No SAP update is in error", SAP_BASIS, each_sap("updates", sap_updates)),
    Check("sap-enqueue", "SAP's lock server is well", SAP_BASIS, each_sap("enqueue", sap_enqueue)),
)
