"""Checks of the partition itself: its state, its names, RMC, and what of it cannot travel."""

from __future__ import annotations

from lpmkit.checks.judging import Judgement, NotKnown, Verdict, frame_of, joined, moving_of, need, passed, said_of
from lpmkit.survey import Survey

#: Descriptions of adapters that a movable partition may have (`GLPI`, A); any other is a piece of the machine it stands on.
VIRTUAL_ADAPTERS = (
    "Virtual I/O Ethernet Adapter (l-lan)",
    "Virtual SCSI Client Adapter",
    "Virtual Fibre Channel Client Adapter",
    "LPAR Virtual Serial Adapter",
)


def partition_running(survey: Survey) -> Judgement:
    """#4: active mobility moves what runs."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    state = survey.moving.state if survey.moving else "not listed"
    return passed(
        state == "Running",
        survey.partition,
        {"state": state, "frame": survey.source.name},
        f"Start it: chsysstate -r lpar -o on -n {survey.partition}",
    )


def not_migrating(survey: Survey) -> Judgement:
    """#5"""
    reading = need(survey.migration, survey, "migration", survey.source.name)
    state = need(reading.migration_state, survey, "migration", survey.source.name)
    return passed(
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
    return passed(
        not taken,
        survey.target.name,
        {"name": survey.partition, "listed there as id": taken[0].lpar_id if taken else None},
        f"Rename the other one on {survey.target.name}: "
        f'chsyscfg -r lpar -i "name={survey.partition},new_name=NEW"; if it is what a failed move left behind, recover first.',
    )


def id_free(survey: Survey) -> Judgement:
    """#3: the id is kept only where it is free; another one changes what ``uname -L`` and ``uname -f`` say."""
    listed = need(survey.target.partitions, survey, "partitions", survey.target.name)
    lpar_id = moving_of(survey).lpar_id
    owner = next((one.name for one in listed if one.lpar_id == lpar_id), None)
    return passed(
        owner is None,
        survey.target.name,
        {"id now": lpar_id, "taken on the target by": owner},
        f"The partition will get another id than {lpar_id}; tell whoever uses uname -L, or free the id on {survey.target.name}.",
        bad=Verdict.WARN,
    )


def rmc_manager(survey: Survey) -> Judgement:
    """#6: the manager's view of its connection to the partition."""
    moving = moving_of(survey)
    state = said_of(survey, moving.rmc_state, "RMC state")
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


def rmc_partition(survey: Survey) -> Judgement:
    """#6, seen from the partition itself."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    rmc = need(guest.rmc, survey, "rmc", survey.partition)
    return passed(
        rmc.status == "active",
        survey.partition,
        {"subsystem": rmc.name, "status": rmc.status, "pid": rmc.pid},
        "On the partition as root: startsrc -s ctrmc",
    )


def huge_pages(survey: Survey) -> Judgement:
    """#17"""
    count = said_of(survey, moving_of(survey).huge_pages, "huge pages")
    return passed(
        count == 0,
        survey.partition,
        {"huge pages": count},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},desired_num_huge_pages=0,min_num_huge_pages=0,max_num_huge_pages=0", '
        "then shut the partition down and start it.",
    )


def workload_group(survey: Survey) -> Judgement:
    """#22"""
    group = said_of(survey, moving_of(survey).work_group, "workload group")
    return passed(
        group == "none",
        survey.partition,
        {"work_group_id": group},
        f'chsyscfg -r lpar -i "name={survey.partition},work_group_id=none"',
    )


def error_path_reporting(survey: Survey) -> Judgement:
    """#21"""
    on = said_of(survey, moving_of(survey).redundant_error_path_reporting, "redundant error path reporting")
    return passed(
        not on,
        survey.partition,
        {"redundant_err_path_reporting": on},
        f'chsyscfg -r prof -i "lpar_name={survey.partition},redundant_err_path_reporting=0", '
        "then shut the partition down and start it.",
    )


def compat_mode(survey: Survey) -> Judgement:
    """#15"""
    mode = said_of(survey, moving_of(survey).proc_compat_mode, "processor mode")
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


def physical_slots(survey: Survey) -> Judgement:
    """#19, the manager's view."""
    slots = need(survey.physical_slots, survey, "physical slots", survey.source.name)
    return passed(
        not slots,
        survey.partition,
        {"physical slots": len(slots), "which": joined(f"{slot.drc_name} {slot.description}" for slot in slots)},
        f"Take them away: chhwres -r io -m SYSTEM -o r -p {survey.partition} -l DRC_INDEX, and from the profile.",
    )


def virtual_adapters(survey: Survey) -> Judgement:
    """#19 and #20, the partition's view: a logical host Ethernet port hinders as a Fibre Channel adapter does."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    adapters = need(guest.adapters, survey, "adapters", survey.partition)
    physical = [one for one in adapters if one.description not in VIRTUAL_ADAPTERS and one.status != "Defined"]
    return passed(
        not physical,
        survey.partition,
        {"adapters": len(adapters), "not virtual": joined(f"{one.name} {one.description}" for one in physical)},
        f"On the partition as root: rmdev -dRl {physical[0].name if physical else 'ADAPTER'}, "
        "after its addresses have moved to a virtual adapter; then take the adapter out of the partition's profile.",
    )
