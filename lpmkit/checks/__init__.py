"""May the partition move? Rules that take a survey's facts and answer pass, warn, fail or unknown.

Every rule is a function of a `Survey` and of nothing else, so a kept survey can be judged again. A rule that misses a fact answers
*unknown* with the reason why the fact is missing; it never passes for want of evidence. ``pass`` means: everything needed was
known, and it is as it should be. ``warn`` does not hinder the move and wants somebody to know.

`CHECKS` is the table, in the order in which an administrator would go through it (`IBMDOC:iphc3ivmvalidation`, `KSH-IVM`; docs/checks.md
lists the prerequisites that they cover). What decides in the end is the firmware's own validation; these rules say beforehand, and in terms of
what to type, what it would say in codes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.checks.cluster import cluster_patience
from lpmkit.checks.fibre import logged_in, masked, ports_free, wwpn_pairs, zoned
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
    once_under_an_hmc,
    ready,
)
from lpmkit.checks.network import bridged, vnic_ports
from lpmkit.checks.partition import (
    affinity_group,
    barrier_register,
    compat_mode,
    dedicated_memory,
    error_path_reporting,
    host_ethernet,
    huge_pages,
    id_free,
    mobility_allowed,
    name_free,
    not_migrating,
    partition_running,
    physical_slots,
    profile_kept,
    remote_restart,
    rmc_manager,
    rmc_partition,
    serial_adapters,
    system_ready,
    terminal_closed,
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
    firmware_pair,
    guest_level,
    io_servers_named,
    keys_exchanged,
    memory_region,
    memory_room,
    movers,
    movers_connected,
    multipath,
    on_mains,
    operating,
    optimizer_idle,
    pool_there,
    processor_room,
    rmc_vios,
    time_reference,
    two_systems,
    vasi,
    vios_level,
    virtual_slots,
)
from lpmkit.survey.model import Survey

__all__ = ["CHECKS", "Answer", "Check", "Finding", "Verdict", "examine", "machine_id_of", "ready"]

CHECKS: Sequence[Check] = (
    Check("partition-running", "The partition runs, or is not activated", AIX_ADMIN, once(partition_running)),
    Check("not-migrating", "No migration of it is under way", VIOS_ADMIN, once(not_migrating)),
    Check("mobility-allowed", "Nobody has switched moves off for it", HMC_ADMIN, once(mobility_allowed)),
    Check("two-systems", "Source and target are two systems", VIOS_ADMIN, once(two_systems)),
    Check("operating", "The system has power and is connected", HMC_ADMIN, each_side(operating)),
    Check("enterprise", "PowerVM Enterprise is active", VIOS_ADMIN, each_side(enterprise)),
    Check("keys", "The managers may talk to each other", VIOS_ADMIN, once(keys_exchanged)),
    Check("concurrency", "The system may take one more move", VIOS_ADMIN, each_side(concurrency)),
    Check("vasi", "The mover's device is there", VIOS_ADMIN, each_side(vasi)),
    Check("movers", "An I/O server may move partitions", HMC_ADMIN, each_under_an_hmc(movers)),
    Check("movers-connected", "A mover of each end reaches the other", NETWORK_ADMIN, once(movers_connected)),
    Check("io-servers", "Every I/O server was looked at", VIOS_ADMIN, each_under_an_hmc(io_servers_named)),
    Check("vios-level", "The I/O servers are new enough", VIOS_ADMIN, each_side(vios_level)),
    Check("guest-level", "The operating system is new enough", AIX_ADMIN, once(guest_level)),
    Check("firmware-pair", "The levels of firmware go together", HMC_ADMIN, once(firmware_pair)),
    Check("rmc-vios", "The HMC reaches the I/O servers (RMC)", VIOS_ADMIN, each_under_an_hmc(rmc_vios)),
    Check("rmc-manager", "The manager reaches the partition (RMC)", AIX_ADMIN, once(rmc_manager)),
    Check("rmc-partition", "RMC runs in the partition", AIX_ADMIN, once(rmc_partition)),
    Check("name-free", "The name is free on the target", VIOS_ADMIN, once(name_free)),
    Check("id-free", "The partition can keep its id", AIX_ADMIN, once(id_free)),
    Check("time-reference", "A partition is the time reference", HMC_ADMIN, each_under_an_hmc(time_reference)),
    Check("memory-region", "Memory regions have the same size", VIOS_ADMIN, once(memory_region)),
    Check("memory-room", "The target has room for the memory", VIOS_ADMIN, once(memory_room)),
    Check("processor-room", "The target has room for the processors", VIOS_ADMIN, once(processor_room)),
    Check("compat-mode", "The target knows the processor mode", VIOS_ADMIN, once(compat_mode)),
    Check("virtual-slots", "The target's I/O server has free virtual slots", VIOS_ADMIN, once(virtual_slots)),
    Check("pool", "The target has its shared processor pool", HMC_ADMIN, once_under_an_hmc(pool_there)),
    Check("huge-pages", "No huge pages", AIX_ADMIN, once(huge_pages)),
    Check("barrier-register", "No barrier synchronisation register", AIX_ADMIN, once(barrier_register)),
    Check("workload-group", "In no workload group", AIX_ADMIN, once(workload_group)),
    Check("error-path-reporting", "Redundant error path reporting is off", AIX_ADMIN, once(error_path_reporting)),
    Check("dedicated-memory", "Its memory is its own", HMC_ADMIN, once(dedicated_memory)),
    Check("remote-restart", "It needs no remote restart", HMC_ADMIN, once_under_an_hmc(remote_restart)),
    Check("affinity-group", "It is in no affinity group", HMC_ADMIN, once_under_an_hmc(affinity_group)),
    Check("physical-slots", "The manager lists no physical adapter", AIX_ADMIN, once(physical_slots)),
    Check("virtual-adapters", "AIX sees virtual adapters only", AIX_ADMIN, once(virtual_adapters)),
    Check("host-ethernet", "No port of a host Ethernet adapter", AIX_ADMIN, once(host_ethernet)),
    Check("serial-adapters", "No third virtual serial adapter", AIX_ADMIN, once(serial_adapters)),
    Check("whole-luns", "Every disk is a whole LUN", VIOS_ADMIN, once(whole_luns)),
    Check("optical", "No virtual optical media", VIOS_ADMIN, once(optical)),
    Check("same-luns", "Both I/O servers see the same LUNs", SAN_ADMIN, once(same_luns)),
    Check("luns-free", "Nobody uses the LUNs on the target", VIOS_ADMIN, once(luns_free)),
    Check("reserve-policy", "No reservation on the disks", VIOS_ADMIN, each_side(reserve_policy)),
    Check("paths", "The disks' paths are healthy", SAN_ADMIN, each_side(paths)),
    Check("wwpn-pairs", "Each Fibre Channel adapter has two WWPNs", HMC_ADMIN, once_under_an_hmc(wwpn_pairs)),
    Check("fc-logged-in", "Its Fibre Channel adapters are logged in", SAN_ADMIN, once_under_an_hmc(logged_in)),
    Check("fc-ports", "The target's Fibre Channel ports have room", VIOS_ADMIN, once_under_an_hmc(ports_free)),
    Check("fc-zoned", "Both WWPNs are zoned, as the target sees it", SAN_ADMIN, once_under_an_hmc(zoned)),
    Check("fc-masked", "The storage shows both WWPNs the disks", SAN_ADMIN, once_under_an_hmc(masked)),
    Check("multipath", "The target has as many I/O servers for it", VIOS_ADMIN, once_under_an_hmc(multipath)),
    Check("bridged", "The partition's VLANs are bridged", NETWORK_ADMIN, each_side(bridged)),
    Check("vnic", "The target has ports for its virtual NICs", NETWORK_ADMIN, once_under_an_hmc(vnic_ports)),
    Check("profile", "Its profile can be made again", HMC_ADMIN, once(profile_kept)),
    Check("terminal", "No virtual terminal is open", HMC_ADMIN, once(terminal_closed)),
    Check("optimizer", "The platform optimizer is idle", HMC_ADMIN, each_under_an_hmc(optimizer_idle)),
    Check("mains", "The system is on mains power", HMC_ADMIN, each_side(on_mains)),
    Check("system-ready", "The operating system would let it go", AIX_ADMIN, once(system_ready)),
    Check("cluster", "Cluster software outwaits the suspension", AIX_ADMIN, once(cluster_patience)),
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
