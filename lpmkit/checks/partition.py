"""Checks of the partition itself: its state, its names, RMC, and attributes that keep it from moving."""

from __future__ import annotations

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
    only_aix,
    ordered,
    passed,
    system_name,
)
from lpmkit.checks.profile import change_profile, current_profile, required_field
from lpmkit.inventory import OperatingSystem
from lpmkit.survey.model import Survey

#: The remedy in a state other than Running and Not Activated (states A `ZIU`; migrating ones C `OPTEST`). Nothing is
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


def partition_running(survey: Survey) -> RuleResult:
    """Require a partition that is Running (active move) or Not Activated (inactive move)."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    if survey.moving and survey.moving.is_vios:
        facts: dict[str, Fact] = {"environment": survey.moving.environment}
        remedy = "A VIOS does not move (migrlpar takes AIX, Linux and IBM i): name another partition."
        return RuleResult(Verdict.FAIL, survey.partition, facts, remedy)
    if survey.moving is None:
        io_servers_of(survey, survey.source)  # a list without a VIOS is not whole
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
        f"on {survey.target.name} before the move.",
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
    only_aix(survey, "RMC of this system is judged by the state that the manager lists")
    guest = need(survey.guest, survey, "partition", survey.partition)
    rmc = need(guest.rmc, survey, "rmc", survey.partition)
    return passed(
        rmc.status == "active",
        survey.partition,
        {"subsystem": rmc.name, "status": rmc.status, "pid": rmc.pid},
        "On the partition as root: startsrc -s ctrmc",
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
        change_profile(survey, "redundant_err_path_reporting=0"),
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
        if wanted and not preferred:
            raise OnlyFirmware(
                survey.partition,
                f"neither {survey.source.name} nor the profile lists the preferred processor compatibility mode",
                f"On the manager: the preferred mode has to be one of {joined(frame.proc_compat_modes)}.",
            )
        wanted["preferred mode"] = field_of(survey, preferred or moving.proc_compat_mode, "processor mode")
    able = frame.highest_mode or frame.proc_compat_modes[-1]
    return passed(
        all(mode.casefold() in listed for mode in wanted.values()),
        survey.partition,
        {**wanted, "modes of the target": joined(frame.proc_compat_modes)},
        change_profile(survey, f"lpar_proc_compat_mode={able}"),
    )


def barrier_register(survey: Survey) -> RuleResult:
    """Require a partition without a barrier synchronization register."""
    arrays = required_field(survey, "bsr_arrays")
    return passed(
        arrays in ("0", "none", ""),
        survey.partition,
        {"bsr_arrays": arrays},
        change_profile(survey, "bsr_arrays=0"),
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
        "create the others on the target after the move (mksyscfg -r prof).",
        bad=Verdict.WARN,
    )


def mobility_allowed(survey: Survey) -> RuleResult:
    """Require that migration is not disabled for the partition."""
    disabled = moving_of(survey).mobility_disabled
    remedy = f'chsyscfg -r lpar -m {system_name(survey)} -i "name={survey.partition},migration_disabled=0"'
    if disabled is None:
        raise OnlyFirmware(
            survey.partition, "this level does not list migration_disabled", f"Where it is set: {remedy}"
        )
    return passed(not disabled, survey.partition, {"migration_disabled": disabled}, remedy)


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
        f"score; optmem -m {system_name(survey, target=True)} -t affinity -o start improves it",
        bad=Verdict.WARN,
    )


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
