"""Checks of the partition itself: its state, its names, RMC, and attributes and adapters that cannot move."""

from __future__ import annotations

import re
from enum import StrEnum

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
)
from lpmkit.checks.profile import current_profile, profile_field, required_field
from lpmkit.control.listings import names
from lpmkit.inventory import Device, OperatingSystem
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
#: What helps in a state other than Running and Not Activated (states A `ZIU`; migrating ones C `OPTEST`). Nothing is
#: started that was not seen to be off.
STATE_REMEDIES = {
    "Suspended": "Do not start it: it is suspended and its memory is in storage. Resume it: chlparstate -o resume -r "
    "lpar{system} -p {partition}",
    "Open Firmware": "It stands in open firmware: boot its operating system from the console, or, for an inactive "
    "move, shut it down: chsysstate -r lpar{system} -o shutdown --immed -n {partition}",
    "Error": "Do not start it before the cause is known: lsrefcode -r lpar{system} --filter lpar_names={partition} -n "
    "10",
    "Not Available": "The manager does not reach the system: see 'System operating'.",
    "not listed": "It may be on another system already, or have another name: lssyscfg -r lpar{system} -F name,state",
    **dict.fromkeys(
        ("Starting", "Shutting Down", "Hardware Discovery", "Suspending", "Resuming"),
        "Wait until it is Running or Not Activated: lssyscfg -r lpar{system} -F name,state",
    ),
}
MIGRATING_REMEDY = "Do not start it: a move is under way or was left half done, see 'No migration under way'."
OTHER_STATE_REMEDY = "Bring it to Running or, for an inactive move, to Not Activated: lsrefcode -r lpar{system} -n 10"


def system_name(survey: Survey, *, target: bool = False) -> str:
    """The managed system's name for a command to copy; the site file's name of the frame where it was not read."""
    side = survey.target if target else survey.source
    return side.frame.name if side.frame else side.name


def partition_running(survey: Survey) -> RuleResult:
    """Require a partition that is Running (active move) or Not Activated (inactive move)."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    if survey.moving and survey.moving.is_vios:
        facts: dict[str, Fact] = {"environment": survey.moving.environment}
        remedy = "A VIOS does not move (migrlpar takes AIX, Linux and IBM i): name another partition."
        return RuleResult(Verdict.FAIL, survey.partition, facts, remedy)
    state = survey.moving.state if survey.moving else "not listed"
    facts = {"state": state, "frame": survey.source.name}
    system = f" -m {system_name(survey)}" if survey.source.manager == "hmc" else ""
    if is_inactive(survey):
        remedy = f"For an active move start it: chsysstate -r lpar{system} -o on -n {survey.partition}"
        return RuleResult(Verdict.WARN, survey.partition, {**facts, "move": "inactive"}, remedy)
    other = MIGRATING_REMEDY if state.startswith("Migrating") else OTHER_STATE_REMEDY
    remedy = STATE_REMEDIES.get(state, other).format(system=system, partition=survey.partition)
    return passed(state == "Running", survey.partition, facts, remedy)


def not_migrating(survey: Survey) -> RuleResult:
    """Require that no migration of the partition is under way."""
    reading = need(survey.migration, survey, "migration", survey.source.name)
    state = need(reading.migration_state, survey, "migration", survey.source.name)
    return passed(
        state == "Not Migrating",
        survey.partition,
        {"migration_state": state},
        f"Wait for its end. If it makes no progress: migrlpar -o s -m {system_name(survey)} -p {survey.partition}; "
        f"if that does not help: migrlpar -o r -m {system_name(survey)} -p {survey.partition}",
    )


def name_free(survey: Survey) -> RuleResult:
    """Require that the target's manager does not list the partition's name."""
    io_servers_of(survey, survey.target)
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    taken = [partition for partition in listed if partition.name == survey.partition]
    return passed(
        not taken,
        survey.target.name,
        {"name": survey.partition, "listed there as id": taken[0].lpar_id if taken else None},
        f"Rename the other one on {survey.target.name}: "
        f'chsyscfg -r lpar -i "name={survey.partition},new_name=NEW". After a failed move recover first.',
    )


def id_free(survey: Survey) -> RuleResult:
    """Warn where the partition's id is taken on the target: another id changes ``uname -L`` and ``uname -f``."""
    io_servers_of(survey, survey.target)
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    lpar_id = moving_of(survey).lpar_id
    owner = next((partition.name for partition in listed if partition.lpar_id == lpar_id), None)
    return passed(
        owner is None,
        survey.target.name,
        {"id now": lpar_id, "taken on the target by": owner},
        f"The partition gets another id than {lpar_id}, which changes uname -L and uname -f. To keep it, free the id "
        "on "
        f"{survey.target.name} before the move.",
        bad=Verdict.WARN,
    )


def rmc_manager(survey: Survey) -> RuleResult:
    """Require an RMC connection from the manager to the partition, as the manager lists it.

    IBM i moves without one, if it can be reconfigured (C `PYPVM`).
    """
    moving = moving_of(survey)
    state = field_of(survey, moving.rmc_state, "RMC state")
    capable = moving.dlpar_mem_capable is not False and moving.dlpar_proc_capable is not False
    facts = {
        "rmc_state": state,
        "dlpar_mem_capable": moving.dlpar_mem_capable,
        "dlpar_proc_capable": moving.dlpar_proc_capable,
    }
    if moving.operating_system is OperatingSystem.IBM_I and capable:
        return RuleResult(Verdict.PASS, survey.partition, {**facts, "needed": "not for IBM i"})
    on_linux = (
        "On the partition as root: rpm -q src rsct.core rsct.basic DynamicRM shows whether IBM's packages are there; "
        if survey.operating_system is OperatingSystem.LINUX
        else ""
    )
    return passed(
        state == "active" and capable,
        survey.partition,
        facts,
        f"{on_linux}On the partition as root: first startsrc -s ctrmc, where AIX shows it inoperative (see 'RMC "
        "subsystem in the partition'). Only if RMC stays inactive after five minutes: /usr/sbin/rsct/bin/rmcctrl -z; "
        "/usr/sbin/rsct/bin/rmcctrl -A; /usr/sbin/rsct/bin/rmcctrl -p. Port 657 must be open for TCP and UDP.",
    )


def rmc_partition(survey: Survey) -> RuleResult:
    """Require a running RMC subsystem (``ctrmc``) in a partition with AIX.

    Linux and IBM i are judged by the manager's RMC state.
    """
    moving_of(survey)
    _only_aix(survey, "RMC of this system is judged by the state that the manager lists")
    guest = need(survey.guest, survey, "partition", survey.partition)
    rmc = need(guest.rmc, survey, "rmc", survey.partition)
    return passed(
        rmc.status == "active",
        survey.partition,
        {"subsystem": rmc.name, "status": rmc.status, "pid": rmc.pid},
        "On the partition as root: startsrc -s ctrmc",
    )


def _only_aix(survey: Survey, why: str) -> None:
    """Raise `NotApplicable` for a partition that is known to run another system than AIX."""
    system = survey.operating_system
    if system in (OperatingSystem.LINUX, OperatingSystem.IBM_I):
        raise NotApplicable(survey.partition, f"the partition runs {system.value}: {why}")


def huge_pages(survey: Survey) -> RuleResult:
    """Require a partition without huge pages."""
    count = field_of(survey, moving_of(survey).huge_pages, "huge pages")
    return passed(
        count == 0,
        survey.partition,
        {"huge pages": count},
        _change_profile(survey, "desired_num_huge_pages=0,min_num_huge_pages=0,max_num_huge_pages=0"),
    )


def workload_group(survey: Survey) -> RuleResult:
    """Require a partition that is in no workload group."""
    group = field_of(survey, moving_of(survey).work_group, "workload group")
    return passed(
        group == "none",
        survey.partition,
        {"work_group_id": group},
        f'chsyscfg -r lpar -i "name={survey.partition},work_group_id=none"',
    )


def error_path_reporting(survey: Survey) -> RuleResult:
    """Require redundant error path reporting to be off."""
    on = field_of(survey, moving_of(survey).redundant_error_path_reporting, "redundant error path reporting")
    return passed(
        not on,
        survey.partition,
        {"redundant_err_path_reporting": on},
        _change_profile(survey, "redundant_err_path_reporting=0"),
    )


def compat_mode(survey: Survey) -> RuleResult:
    """Require the partition's processor compatibility modes in the target's list: the preferred one, and for an
    active move the current one too (B `IBM-PCM`).
    """
    moving = moving_of(survey)
    frame = frame_of(survey, survey.target)
    if not frame.proc_compat_modes:
        raise NotKnown(survey.target.name, f"{survey.target.name} does not list its processor compatibility modes")
    wanted = {} if is_inactive(survey) else {"mode": field_of(survey, moving.proc_compat_mode, "processor mode")}
    listed = {"default", *(mode.casefold() for mode in frame.proc_compat_modes)}
    if all(mode.casefold() in listed for mode in wanted.values()):
        preferred = moving.desired_proc_compat_mode or current_profile(survey).get("lpar_proc_compat_mode")
        if preferred or not wanted:
            wanted["preferred mode"] = field_of(survey, preferred or moving.proc_compat_mode, "processor mode")
    able = frame.highest_mode or frame.proc_compat_modes[-1]
    return passed(
        all(mode.casefold() in listed for mode in wanted.values()),
        survey.partition,
        {**wanted, "modes of the target": joined(frame.proc_compat_modes)},
        _change_profile(survey, f"lpar_proc_compat_mode={able}"),
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
        remedy = _change_profile(survey, "io_slots=none")
        return RuleResult(Verdict.FAIL if needed else Verdict.WARN, survey.partition, facts, remedy)
    return passed(
        not slots,
        survey.partition,
        facts,
        "Move disks and addresses to virtual adapters first. Then remove the slot from the partition "
        f"(lshwres -r io --rsubtype slot -m {system_name(survey)} -F drc_name,drc_index,lpar_name lists its index) "
        "and from the profile.",
    )


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
    _only_aix(survey, "its adapters are judged as the manager lists them")
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
            "partition on "
            "the manager and from its profile."
        )
        return RuleResult(Verdict.FAIL, survey.partition, facts, remedy)
    return passed(
        not strange,
        survey.partition,
        facts,
        f"Find out what {joined(device.name for device in strange)} is (lscfg -vl NAME): only virtual adapters move. "
        "Change nothing "
        "before; lpmkit validate asks the firmware.",
        bad=Verdict.WARN,
    )


# -- fields of the profile -------------------------------------------------------------------------


def _change_profile(survey: Survey, change: str) -> str:
    command = f'chsyscfg -r prof -i "lpar_name={survey.partition},{change}"'
    return f"On the manager: {command}, then shut the partition down and start it."


def barrier_register(survey: Survey) -> RuleResult:
    """Require a partition without a barrier synchronization register."""
    arrays = required_field(survey, "bsr_arrays")
    return passed(
        arrays in ("0", "none", ""),
        survey.partition,
        {"bsr_arrays": arrays},
        _change_profile(survey, "bsr_arrays=0"),
    )


def host_ethernet(survey: Survey) -> RuleResult:
    """Require a partition without logical host Ethernet ports, as the manager lists them."""
    ports = required_field(survey, "lhea_logical_ports")
    return passed(
        ports in ("none", ""),
        survey.partition,
        {"lhea_logical_ports": ports},
        "Give the partition a virtual Ethernet adapter and move its address there; then "
        + _change_profile(survey, "lhea_logical_ports=none"),
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
        f"{survey.partition} "
        f"-s {more[0] if more else 'SLOT'}; remove it from the profile too.",
    )


def profile_kept(survey: Survey) -> RuleResult:
    """Warn of further profiles: the target gets the current configuration as its only one.

    lpmkit stores all of them.
    """
    fields = current_profile(survey)
    moving = moving_of(survey)
    own = [profile.name for profile in survey.source.profiles or () if profile.lpar_id == moving.lpar_id]
    return passed(
        len(own) == 1,
        survey.partition,
        {"runs with": fields["name"], "profiles": joined(own)},
        f"Of {len(own)} profiles the target gets the current one only. All of them are in profiles.txt of the run; "
        "create the "
        "others on the target after the move (mksyscfg -r prof).",
        bad=Verdict.WARN,
    )


# -- fields of newer managers ----------------------------------------------------------------------


def mobility_allowed(survey: Survey) -> RuleResult:
    """Require that migration is not disabled for the partition."""
    disabled = moving_of(survey).mobility_disabled
    remedy = f'chsyscfg -r lpar -m {system_name(survey)} -i "name={survey.partition},migration_disabled=0"'
    if disabled is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list migration_disabled", f"Where it is set: {remedy}"
        )
    return passed(not disabled, survey.partition, {"migration_disabled": disabled}, remedy)


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
        remedy = f"Create a shared memory pool with paging devices on {survey.target.name}, or " + _change_profile(
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


#: States of a paging device that no partition uses (D).
FREE_PAGING = frozenset({"inactive", "defined"})


def required_memory(survey: Survey) -> int:
    """MB that the partition needs on the target: what it has, or what it would get where it is not activated.

    Raises `NotKnown` where neither the manager nor the profile tells.
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


#: The POWER generation from which simplified remote restart exists; its release of firmware is FW820 (B `HMC8`; the
#: generation D).
SIMPLIFIED_RESTART_SINCE = 8


def remote_restart(survey: Survey) -> RuleResult:
    """Require a target with remote restart, classic or simplified, where the partition uses it."""
    moving = moving_of(survey)
    known = {
        "remote_restart_capable": moving.remote_restart_capable,
        "simplified_remote_restart_capable": moving.simplified_remote_restart_capable,
    }
    facts: dict[str, Fact] = {name: value for name, value in known.items() if value is not None}
    if moving.remote_restart_capable is None and moving.simplified_remote_restart_capable is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list remote_restart_capable", "None, if it is not set."
        )
    if not any(known.values()):
        generation = survey.source.frame.generation if survey.source.frame else None
        simplified = moving.simplified_remote_restart_capable
        if simplified is None and generation is not None and generation >= SIMPLIFIED_RESTART_SINCE:
            raise OnlyFirmware(
                survey.partition,
                "this level does not list simplified_remote_restart_capable, the kind that POWER8 and later use",
                "None, if it is not set.",
            )
        return RuleResult(Verdict.PASS, survey.partition, facts)
    target = frame_of(survey, survey.target).generation
    facts["POWER generation of the target"] = target
    remedy = (
        "Require the attribute on the target with --option requirerr=1. To move without it, so that it is lost: "
        "--option requirerr=2."
    )
    if moving.simplified_remote_restart_capable and target is None:
        raise NotKnown(survey.target.name, f"{survey.target.name} does not list its processor compatibility modes")
    too_old = moving.simplified_remote_restart_capable and target is not None and target < SIMPLIFIED_RESTART_SINCE
    wanted = ordered(survey, "requirerr")
    facts |= {"--requirerr": wanted} if wanted else {}
    if wanted == "1" and not too_old:
        raise OnlyFirmware(
            survey.partition, "the order makes the validation require remote restart on the target", "lpmkit validate"
        )
    return RuleResult(Verdict.FAIL if too_old and wanted != "2" else Verdict.WARN, survey.partition, facts, remedy)


def restricted_io(survey: Survey) -> RuleResult:
    """Require restricted I/O of a partition with IBM i (C `PYPVM`, B `IBMI-LPM`)."""
    moving = moving_of(survey)
    if moving.operating_system is not OperatingSystem.IBM_I:
        raise NotApplicable(survey.partition, "the partition does not run IBM i")
    change = (
        f'Shut the partition down; chsyscfg -r lpar -m {system_name(survey)} -i "name={survey.partition},'
        'os400_restricted_io_mode=1"; then start it.'
    )
    if moving.restricted_io is None:
        raise OnlyFirmware(survey.partition, "this level does not list os400_restricted_io_mode", change)
    return passed(moving.restricted_io, survey.partition, {"os400_restricted_io_mode": moving.restricted_io}, change)


def trusted_data(survey: Survey) -> RuleResult:
    """Leave a virtual TPM or a platform keystore to the validation: managers do not list the trusted system key.

    The data of a virtual TPM are encrypted with the system's key (B `HMC-CHTSKEY`); that both systems need the same
    one is recalled (D).
    """
    moving = moving_of(survey)
    known = {"vtpm_enabled": moving.vtpm_enabled, "keystore_kbytes": moving.keystore_kb}
    facts: dict[str, Fact] = {name: value for name, value in known.items() if value is not None}
    if moving.vtpm_enabled is None:
        raise OnlyFirmware(survey.partition, "this level does not list vtpm_enabled", "None, if it has no virtual TPM.")
    if not any(known.values()):
        return RuleResult(Verdict.PASS, survey.partition, facts)
    target = system_name(survey, target=True)
    raise OnlyFirmware(
        survey.partition,
        "the partition has " + joined(f"{name} {value:d}" for name, value in facts.items() if value),
        f"Virtual TPM: give both systems the same trusted system key (chtskey -m {target} -o change --newkey FILE), "
        "before a partition with a virtual TPM runs there. Keystore: the target must support it.",
    )


def affinity_group(survey: Survey) -> RuleResult:
    """Warn of an affinity group: its placement is lost, the target places the memory where it has some."""
    group = moving_of(survey).affinity_group
    if group is None:
        raise OnlyFirmware(survey.partition, "this level does not list affinity_group_id", "None, if it is not set.")
    return passed(
        group == "none",
        survey.partition,
        {"affinity_group_id": group},
        f"After the move: lsmemopt -m {system_name(survey, target=True)} -r lpar -o currscore shows the affinity "
        "score; "
        f"optmem -m {system_name(survey, target=True)} -t affinity -o start improves it",
        bad=Verdict.WARN,
    )


# -- known to the firmware only --------------------------------------------------------------------


def system_ready(survey: Survey) -> RuleResult:
    """Leave the DR scripts in the partition to the firmware's validation, which runs them."""
    system = survey.operating_system
    on_aix = "On AIX as root: drmgr -l lists the scripts that may refuse; then lpmkit validate"
    raise OnlyFirmware(
        survey.partition,
        "the operating system and its DR scripts are asked in the check phase of the validation",
        on_aix if system in (None, OperatingSystem.AIX) else "lpmkit validate asks it",
    )


def terminal_closed(survey: Survey) -> RuleResult:
    """Leave open virtual terminals to the firmware: they do not block a move, which closes them at its end."""
    raise OnlyFirmware(
        survey.partition,
        "managers do not list open virtual terminals",
        f"Close it first: rmvterm -m {system_name(survey)} -p {survey.partition}"
        if survey.source.manager == "hmc"
        else f"Close it first: rmvt -id {survey.moving.lpar_id if survey.moving else 'ID'}",
    )
