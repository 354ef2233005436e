"""Checks of the partition itself: its state, its names, RMC, and what of it cannot travel."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.checks.judging import (
    Fact,
    NotKnown,
    OnlyFirmware,
    RuleResult,
    Verdict,
    field_of,
    frame_of,
    is_inactive,
    joined,
    moving_of,
    need,
    passed,
)
from lpmkit.control.listings import names, records
from lpmkit.survey.model import Survey

#: Descriptions of adapters that a movable partition may have (`GLPI`, A); any other is a piece of the machine it stands on.
VIRTUAL_ADAPTERS = (
    "Virtual I/O Ethernet Adapter (l-lan)",
    "Virtual SCSI Client Adapter",
    "Virtual Fibre Channel Client Adapter",
    "LPAR Virtual Serial Adapter",
)


def partition_running(survey: Survey) -> RuleResult:
    """Require a partition that is Running (active move) or Not Activated (inactive move)."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    state = survey.moving.state if survey.moving else "not listed"
    facts: dict[str, Fact] = {"state": state, "frame": survey.source.name}
    remedy = f"Start it: chsysstate -r lpar -o on -n {survey.partition}"
    if is_inactive(survey):
        return RuleResult(Verdict.WARN, survey.partition, {**facts, "move": "inactive"}, f"For a live move: {remedy}")
    return passed(state == "Running", survey.partition, facts, remedy)


def not_migrating(survey: Survey) -> RuleResult:
    """Require that no migration of the partition is under way."""
    reading = need(survey.migration, survey, "migration", survey.source.name)
    state = need(reading.migration_state, survey, "migration", survey.source.name)
    return passed(
        state == "Not Migrating",
        survey.partition,
        {"migration_state": state},
        f"Wait for its end; if it stands still: migrlpar -o s -m SYSTEM -p {survey.partition}, "
        f"and if it stays so: migrlpar -o r -m SYSTEM -p {survey.partition}",
    )


def name_free(survey: Survey) -> RuleResult:
    """Require that the target's manager does not list the partition's name."""
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    taken = [partition for partition in listed if partition.name == survey.partition]
    return passed(
        not taken,
        survey.target.name,
        {"name": survey.partition, "listed there as id": taken[0].lpar_id if taken else None},
        f"Rename the other one on {survey.target.name}: "
        f'chsyscfg -r lpar -i "name={survey.partition},new_name=NEW"; if it is what a failed move left behind, recover first.',
    )


def id_free(survey: Survey) -> RuleResult:
    """Warn where the partition's id is taken on the target: another id changes ``uname -L`` and ``uname -f``."""
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    lpar_id = moving_of(survey).lpar_id
    owner = next((partition.name for partition in listed if partition.lpar_id == lpar_id), None)
    return passed(
        owner is None,
        survey.target.name,
        {"id now": lpar_id, "taken on the target by": owner},
        f"The partition will get another id than {lpar_id}; tell whoever uses uname -L, or free the id on {survey.target.name}.",
        bad=Verdict.WARN,
    )


def rmc_manager(survey: Survey) -> RuleResult:
    """Require an RMC connection from the manager to the partition, as the manager lists it."""
    moving = moving_of(survey)
    state = field_of(survey, moving.rmc_state, "RMC state")
    capable = moving.dlpar_mem_capable is not False and moving.dlpar_proc_capable is not False
    facts = {
        "rmc_state": state,
        "dlpar_mem_capable": moving.dlpar_mem_capable,
        "dlpar_proc_capable": moving.dlpar_proc_capable,
    }
    return passed(
        state == "active" and capable,
        survey.partition,
        facts,
        "On the partition as root: /usr/sbin/rsct/bin/rmcctrl -z; /usr/sbin/rsct/bin/rmcctrl -A; /usr/sbin/rsct/bin/rmcctrl -p; "
        "then allow five minutes. Port 657 must be open for TCP and UDP.",
    )


def rmc_partition(survey: Survey) -> RuleResult:
    """Require a running RMC subsystem (``ctrmc``) in the partition."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    rmc = need(guest.rmc, survey, "rmc", survey.partition)
    return passed(
        rmc.status == "active",
        survey.partition,
        {"subsystem": rmc.name, "status": rmc.status, "pid": rmc.pid},
        "On the partition as root: startsrc -s ctrmc",
    )


def huge_pages(survey: Survey) -> RuleResult:
    """Require a partition without huge pages."""
    count = field_of(survey, moving_of(survey).huge_pages, "huge pages")
    return passed(
        count == 0,
        survey.partition,
        {"huge pages": count},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},desired_num_huge_pages=0,min_num_huge_pages=0,max_num_huge_pages=0", '
        "then shut the partition down and start it.",
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
        f'chsyscfg -r prof -i "lpar_name={survey.partition},redundant_err_path_reporting=0", '
        "then shut the partition down and start it.",
    )


def compat_mode(survey: Survey) -> RuleResult:
    """Require the partition's processor compatibility mode in the target's list."""
    mode = field_of(survey, moving_of(survey).proc_compat_mode, "processor mode")
    frame = frame_of(survey, survey.target)
    if not frame.proc_compat_modes:
        raise NotKnown(survey.target.name, f"{survey.target.name} does not list its processor modes")
    return passed(
        mode in frame.proc_compat_modes,
        survey.partition,
        {"mode": mode, "modes of the target": joined(frame.proc_compat_modes)},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},lpar_proc_compat_mode={frame.proc_compat_modes[-1]}", '
        "then shut the partition down and start it.",
    )


def physical_slots(survey: Survey) -> RuleResult:
    """Require a partition without physical adapters, as the manager lists them."""
    slots = need(survey.physical_slots, survey, "physical slots", survey.source.name)
    return passed(
        not slots,
        survey.partition,
        {"physical slots": len(slots), "which": joined(f"{slot.drc_name} {slot.description}" for slot in slots)},
        f"Take them away: chhwres -r io -m SYSTEM -o r -p {survey.partition} -l DRC_INDEX, and from the profile.",
    )


def virtual_adapters(survey: Survey) -> RuleResult:
    """Require virtual adapters only, as AIX lists them; a logical host Ethernet port blocks a move too."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    adapters = need(guest.adapters, survey, "adapters", survey.partition)
    physical = [
        device for device in adapters if device.description not in VIRTUAL_ADAPTERS and device.status != "Defined"
    ]
    return passed(
        not physical,
        survey.partition,
        {
            "adapters": len(adapters),
            "not virtual": joined(f"{device.name} {device.description}" for device in physical),
        },
        f"On the partition as root: rmdev -dRl {physical[0].name if physical else 'ADAPTER'}, "
        "after its addresses have moved to a virtual adapter; then take the adapter out of the partition's profile.",
    )


# -- what only the partition's profile tells -------------------------------------------------------------------------------------


def _profile(survey: Survey) -> Mapping[str, str]:
    """The profile that the partition was activated with, field by field; its only one where that is not said."""
    moving = moving_of(survey)
    listed = need(survey.source.profiles, survey, "profiles", survey.source.name)
    own = [profile for profile in listed if profile.lpar_id == moving.lpar_id]
    current = [profile for profile in own if profile.name == moving.profile] or (own if len(own) == 1 else [])
    if not current:
        raise NotKnown(survey.partition, f"{survey.source.name} lists no profile that {survey.partition} runs with")
    return records(current[0].record + "\n")[0]


def _profile_says(survey: Survey, field: str) -> str:
    fields = _profile(survey)
    if field not in fields:
        raise OnlyFirmware(
            survey.partition,
            f"the profile has no field {field} at this level",
            f"lssyscfg -r prof --filter lpar_names={survey.partition} shows what it has; lpmkit validate asks the firmware.",
        )
    return fields[field]


def _change_profile(survey: Survey, change: str) -> str:
    return f'chsyscfg -r prof -i "lpar_name={survey.partition},{change}", then shut the partition down and start it.'


def barrier_register(survey: Survey) -> RuleResult:
    """Require a partition without a barrier synchronization register."""
    arrays = _profile_says(survey, "bsr_arrays")
    return passed(
        arrays in ("0", "none", ""),
        survey.partition,
        {"bsr_arrays": arrays},
        _change_profile(survey, "bsr_arrays=0"),
    )


def host_ethernet(survey: Survey) -> RuleResult:
    """Require a partition without logical host Ethernet ports, as the manager lists them."""
    ports = _profile_says(survey, "lhea_logical_ports")
    return passed(
        ports in ("none", ""),
        survey.partition,
        {"lhea_logical_ports": ports},
        "Give the partition a virtual Ethernet adapter and move its address there; then "
        + _change_profile(survey, "lhea_logical_ports=none"),
    )


def serial_adapters(survey: Survey) -> RuleResult:
    """Require no virtual serial adapters but the two that every partition has, in slots 0 and 1."""
    adapters = names(_profile_says(survey, "virtual_serial_adapters"))
    slots = [adapter.split("/", 1)[0] for adapter in adapters]
    more = [slot for slot in slots if slot not in ("0", "1")]
    return passed(
        not more,
        survey.partition,
        {"virtual serial adapters in slots": joined(slots)},
        f"chhwres -r virtualio --rsubtype serial -o r -p {survey.partition} -s {more[0] if more else 'SLOT'}, and take it out of the profile.",
    )


def profile_kept(survey: Survey) -> RuleResult:
    """Warn of further profiles: the target gets one, made of what the partition runs with. lpmkit stores all of them."""
    fields = _profile(survey)
    moving = moving_of(survey)
    own = [profile.name for profile in survey.source.profiles or () if profile.lpar_id == moving.lpar_id]
    return passed(
        len(own) == 1,
        survey.partition,
        {"runs with": fields["name"], "profiles": joined(own)},
        f"Of {len(own)} profiles the target may have the present one only: lssyscfg -r prof --filter lpar_names={survey.partition} > FILE keeps them, "
        "and migrlpar -n names the one to be made.",
        bad=Verdict.WARN,
    )


# -- what newer managers tell ----------------------------------------------------------------------------------------------------


def mobility_allowed(survey: Survey) -> RuleResult:
    """Require that migration is not disabled for the partition."""
    disabled = moving_of(survey).mobility_disabled
    remedy = f'chsyscfg -r lpar -m SYSTEM -i "name={survey.partition},migration_disabled=0"'
    if disabled is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list migration_disabled", f"Where it is set: {remedy}"
        )
    return passed(not disabled, survey.partition, {"migration_disabled": disabled}, remedy)


def dedicated_memory(survey: Survey) -> RuleResult:
    """Require dedicated memory: a partition in a shared memory pool needs a paging device on the target."""
    mode = moving_of(survey).memory_mode
    if (
        mode is None
        and survey.source.manager == "ivm"
        and "active_mem_sharing_capable" not in frame_of(survey, survey.source).capabilities
    ):
        return RuleResult(Verdict.PASS, survey.partition, {"shared memory": "the system has none"})
    return passed(
        field_of(survey, mode, "memory mode") == "ded",
        survey.partition,
        {"mem_mode": mode},
        "The target needs a shared memory pool with a paging device for it (migrlpar -redundantpgvios), or "
        + _change_profile(survey, "mem_mode=ded"),
    )


def remote_restart(survey: Survey) -> RuleResult:
    """Require a target with remote restart where the partition uses it; else it refuses, unless overridden."""
    capable = moving_of(survey).remote_restart_capable
    if capable is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list remote_restart_capable", "Nothing, where nobody set it."
        )
    return passed(
        not capable,
        survey.partition,
        {"remote_restart_capable": capable},
        "Where the target cannot do it: migrlpar --requirerr 2, and it is lost",
        bad=Verdict.WARN,
    )


def affinity_group(survey: Survey) -> RuleResult:
    """What a group of partitions was placed by, is lost: the target places the memory where it has some."""
    group = moving_of(survey).affinity_group
    if group is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list affinity_group_id", "Nothing, where nobody set it."
        )
    return passed(
        group == "none",
        survey.partition,
        {"affinity_group_id": group},
        "On the target: lsmemopt -m TARGET -r lpar -o currscore shows how it fares; optmem -m TARGET -t affinity -o start mends it",
        bad=Verdict.WARN,
    )


# -- what nobody but the firmware tells ------------------------------------------------------------------------------------------


def system_ready(survey: Survey) -> RuleResult:
    """Leave the DR scripts in the partition to the firmware's validation, which runs them."""
    raise OnlyFirmware(
        survey.partition,
        "the operating system and its DR scripts are asked in the check phase of the validation",
        "On the partition as root: drmgr -l lists the scripts that may refuse; then lpmkit validate",
    )


def terminal_closed(survey: Survey) -> RuleResult:
    """Leave open virtual terminals to the firmware: they do not block a move, which closes them at its end."""
    raise OnlyFirmware(
        survey.partition,
        "managers do not list open virtual terminals",
        f"Close it first: rmvterm -m SYSTEM -p {survey.partition} (HMC), rmvt -id ID (IVM)",
    )
