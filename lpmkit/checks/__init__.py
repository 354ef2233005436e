"""May the partition move? Rules that take a survey's facts and answer pass, warn, fail or unknown.

Every rule is a function of a `Survey` and of nothing else, so a kept survey can be judged again. A rule that misses a fact answers
*unknown* with the reason why the fact is missing; it never passes for want of evidence. ``pass`` means: everything needed was
known, and it is as it should be. ``warn`` does not hinder the move and wants somebody to know.

`CHECKS` is the table, in the order in which an administrator would go through it (powervm.md 4.2, 4.3 and 4.5; the number behind a
rule is its number there). What decides in the end is the firmware's own validation; these rules say beforehand, and in terms of
what to type, what it would say in codes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.checks.judging import (
    AIX_ADMIN,
    HMC_ADMIN,
    NETWORK_ADMIN,
    SAN_ADMIN,
    SAP_BASIS,
    VIOS_ADMIN,
    Answer,
    Check,
    Finding,
    Verdict,
    each_sap,
    each_side,
    each_under_an_hmc,
    once,
    ready,
)
from lpmkit.checks.network import bridged
from lpmkit.checks.partition import (
    compat_mode,
    error_path_reporting,
    huge_pages,
    id_free,
    name_free,
    not_migrating,
    partition_running,
    physical_slots,
    rmc_manager,
    rmc_partition,
    virtual_adapters,
    workload_group,
)
from lpmkit.checks.sap import (
    machine_id_of,
    sap_enqueue,
    sap_hardware_key,
    sap_licence,
    sap_long_jobs,
    sap_next_jobs,
    sap_updates,
    sap_work_processes,
)
from lpmkit.checks.storage import luns_free, optical, paths, reserve_policy, same_luns, whole_luns
from lpmkit.checks.systems import (
    concurrency,
    enterprise,
    io_servers_named,
    keys_exchanged,
    memory_region,
    memory_room,
    movers,
    processor_room,
    rmc_vios,
    two_systems,
    vasi,
    virtual_slots,
)
from lpmkit.survey import Survey

__all__ = ["CHECKS", "Answer", "Check", "Finding", "Verdict", "examine", "machine_id_of", "ready"]

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


def examine(survey: Survey) -> tuple[Finding, ...]:
    """Every rule's answer, in the order of the table; rules about both sides answer for each."""
    return tuple(finding for check in CHECKS for finding in check(survey))
