"""Checks of the two systems and their managers."""

from __future__ import annotations

from lpmkit.checks.judging import (
    Fact,
    NotKnown,
    OnlyFirmware,
    RuleResult,
    Verdict,
    frame_of,
    io_servers_of,
    is_inactive,
    joined,
    need,
    passed,
)
from lpmkit.survey.model import Survey, SystemFacts

#: The remedy in a state of a system other than Operating (states A `ZIU`; rebuild and recover `BOND`).
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
        f"{survey.target.name}, and the same in the other direction.",
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
