"""Rules that judge a survey: pass, warn, fail, unknown or not applicable.

Every rule is a function of a `Survey` and of nothing else, so a stored survey can be judged again. A rule without a
fact that it needs is *unknown*, with the reason; it never passes for want of evidence, nor over nothing: what a
partition does not have is *not applicable*. ``warn`` does not block the move.

`CHECKS` is the table, in the order in which an administrator would check (`IBMDOC:iphc3ivmvalidation`, `KSH-IVM`;
docs/checks.md lists the prerequisites). The firmware's own validation decides; these rules come before it, with the
commands to type.
"""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.checks.adapters import host_ethernet, physical_slots, serial_adapters, virtual_adapters
from lpmkit.checks.cluster import cluster_patience
from lpmkit.checks.database import data_guard_protection, each_database, failover_patience, net_patience
from lpmkit.checks.fibre import logged_in, masked, ports_free, wwpn_pairs, zoned
from lpmkit.checks.firmware import firmware_pair
from lpmkit.checks.judging import (
    AIX_ADMIN,
    DATABASE_ADMIN,
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
from lpmkit.checks.levels import guest_level, vios_level
from lpmkit.checks.movers import movers, movers_connected, multipath, redundant_movers, rmc_vios, vasi
from lpmkit.checks.network import bridged, sriov_ports, vnic_ports
from lpmkit.checks.partition import (
    affinity_group,
    barrier_register,
    compat_mode,
    error_path_reporting,
    id_free,
    mobility_allowed,
    name_free,
    not_migrating,
    partition_running,
    profile_kept,
    remote_restart,
    restricted_io,
    rmc_manager,
    rmc_partition,
    system_ready,
    terminal_closed,
    trusted_data,
    workload_group,
)
from lpmkit.checks.plugged import plugged_findings
from lpmkit.checks.resources import (
    dedicated_memory,
    huge_pages,
    memory_region,
    memory_room,
    pool_there,
    processor_room,
    virtual_slots,
)
from lpmkit.checks.sap import (
    machine_id_of,
    sap_enqueue,
    sap_hardware_key,
    sap_licence,
    sap_long_jobs,
    sap_next_jobs,
    sap_time_outs,
    sap_updates,
    sap_work_processes,
)
from lpmkit.checks.storage import luns_free, optical, paths, reserve_policy, same_luns, storage_pool, whole_luns
from lpmkit.checks.systems import (
    concurrency,
    enterprise,
    io_servers_named,
    keys_exchanged,
    on_mains,
    operating,
    optimizer_idle,
    time_reference,
    two_systems,
)
from lpmkit.survey.model import Survey

__all__ = ["CHECKS", "Answer", "Check", "Finding", "Verdict", "examine", "machine_id_of", "ready"]

CHECKS: Sequence[Check] = (
    Check("partition-running", "Partition running, or not activated", AIX_ADMIN, once(partition_running)),
    Check("not-migrating", "No migration under way", VIOS_ADMIN, once(not_migrating)),
    Check("mobility-allowed", "Migration not disabled", HMC_ADMIN, once(mobility_allowed)),
    Check("two-systems", "Source and target differ", VIOS_ADMIN, once(two_systems)),
    Check("operating", "System operating", HMC_ADMIN, each_side(operating)),
    Check("enterprise", "PowerVM Enterprise active", VIOS_ADMIN, each_side(enterprise)),
    Check("keys", "SSH keys exchanged between the managers", VIOS_ADMIN, once(keys_exchanged)),
    Check("concurrency", "Migration capacity left", VIOS_ADMIN, each_side(concurrency)),
    Check("vasi", "VASI device present", VIOS_ADMIN, each_side(vasi)),
    Check("movers", "Mover service partition enabled", HMC_ADMIN, each_under_an_hmc(movers)),
    Check("movers-connected", "Mover service partitions reach each other", NETWORK_ADMIN, once(movers_connected)),
    Check("redundant-movers", "Redundant movers not switched off", HMC_ADMIN, once_under_an_hmc(redundant_movers)),
    Check("io-servers", "All VIOS surveyed", VIOS_ADMIN, each_under_an_hmc(io_servers_named)),
    Check("vios-level", "VIOS level", VIOS_ADMIN, each_side(vios_level)),
    Check("guest-level", "Level of the operating system", AIX_ADMIN, once(guest_level)),
    Check("firmware-pair", "Firmware levels compatible", HMC_ADMIN, once(firmware_pair)),
    Check("rmc-vios", "RMC connection to the VIOS", VIOS_ADMIN, each_under_an_hmc(rmc_vios)),
    Check("rmc-manager", "RMC connection to the partition", AIX_ADMIN, once(rmc_manager)),
    Check("rmc-partition", "RMC subsystem in the partition", AIX_ADMIN, once(rmc_partition)),
    Check("name-free", "Partition name free on the target", VIOS_ADMIN, once(name_free)),
    Check("id-free", "Partition id free on the target", AIX_ADMIN, once(id_free)),
    Check("time-reference", "Time reference partition", HMC_ADMIN, each_under_an_hmc(time_reference)),
    Check("memory-region", "Same memory region size", VIOS_ADMIN, once(memory_region)),
    Check("memory-room", "Free memory on the target", VIOS_ADMIN, once(memory_room)),
    Check("processor-room", "Free processors on the target", VIOS_ADMIN, once(processor_room)),
    Check("compat-mode", "Processor compatibility mode supported", VIOS_ADMIN, once(compat_mode)),
    Check("virtual-slots", "Free virtual slots on the target", VIOS_ADMIN, once(virtual_slots)),
    Check("pool", "Shared processor pool on the target", HMC_ADMIN, once_under_an_hmc(pool_there)),
    Check("huge-pages", "No huge pages", AIX_ADMIN, once(huge_pages)),
    Check("barrier-register", "No barrier synchronisation register", AIX_ADMIN, once(barrier_register)),
    Check("workload-group", "No workload group", AIX_ADMIN, once(workload_group)),
    Check("error-path-reporting", "Redundant error path reporting is off", AIX_ADMIN, once(error_path_reporting)),
    Check(
        "dedicated-memory", "Dedicated memory, or a shared memory pool on the target", HMC_ADMIN, once(dedicated_memory)
    ),
    Check("remote-restart", "Remote restart", HMC_ADMIN, once_under_an_hmc(remote_restart)),
    Check("restricted-io", "Restricted I/O of IBM i", HMC_ADMIN, once_under_an_hmc(restricted_io)),
    Check("trusted-data", "No virtual TPM and no platform keystore", HMC_ADMIN, once_under_an_hmc(trusted_data)),
    Check("affinity-group", "No affinity group", HMC_ADMIN, once_under_an_hmc(affinity_group)),
    Check("physical-slots", "No physical adapters (manager)", AIX_ADMIN, once(physical_slots)),
    Check("virtual-adapters", "No physical adapters (AIX)", AIX_ADMIN, once(virtual_adapters)),
    Check("host-ethernet", "No logical host Ethernet port", AIX_ADMIN, once(host_ethernet)),
    Check("serial-adapters", "No additional virtual serial adapters", AIX_ADMIN, once(serial_adapters)),
    Check("whole-luns", "Disks are whole LUNs", VIOS_ADMIN, once(whole_luns)),
    Check("storage-pool", "Shared storage pool on both ends", VIOS_ADMIN, once(storage_pool)),
    Check("optical", "No virtual optical media", VIOS_ADMIN, once(optical)),
    Check("same-luns", "Same LUNs on both ends", SAN_ADMIN, once(same_luns)),
    Check("luns-free", "LUNs unused on the target", VIOS_ADMIN, once(luns_free)),
    Check("reserve-policy", "No disk reservation", VIOS_ADMIN, each_side(reserve_policy)),
    Check("paths", "Disk paths healthy", SAN_ADMIN, each_side(paths)),
    Check("wwpn-pairs", "Two WWPNs for each Fibre Channel adapter", HMC_ADMIN, once_under_an_hmc(wwpn_pairs)),
    Check("fc-logged-in", "Fibre Channel adapters logged in", SAN_ADMIN, once_under_an_hmc(logged_in)),
    Check("fc-ports", "Fibre Channel ports free on the target", VIOS_ADMIN, once_under_an_hmc(ports_free)),
    Check("fc-zoned", "Both WWPNs zoned on the target", SAN_ADMIN, once_under_an_hmc(zoned)),
    Check("fc-masked", "Both WWPNs masked on the storage", SAN_ADMIN, once_under_an_hmc(masked)),
    Check("multipath", "VIOS redundancy kept", VIOS_ADMIN, once_under_an_hmc(multipath)),
    Check("bridged", "VLANs bridged", NETWORK_ADMIN, each_side(bridged)),
    Check("vnic", "SR-IOV ports for the virtual NICs", NETWORK_ADMIN, once_under_an_hmc(vnic_ports)),
    Check("sriov", "No logical SR-IOV ports", HMC_ADMIN, once_under_an_hmc(sriov_ports)),
    Check("profile", "Single profile", HMC_ADMIN, once(profile_kept)),
    Check("terminal", "No open virtual terminal", HMC_ADMIN, once(terminal_closed)),
    Check("optimizer", "Dynamic platform optimizer idle", HMC_ADMIN, each_under_an_hmc(optimizer_idle)),
    Check("mains", "Mains power, not UPS", HMC_ADMIN, each_side(on_mains)),
    Check("system-ready", "Operating system ready", AIX_ADMIN, once(system_ready)),
    Check("cluster", "Cluster time-outs longer than the suspension", AIX_ADMIN, once(cluster_patience)),
    Check(
        "oracle-protection",
        "Data Guard tolerates the suspension",
        DATABASE_ADMIN,
        each_database(data_guard_protection),
    ),
    Check(
        "oracle-failover",
        "Fast-start failover waits longer than the suspension",
        DATABASE_ADMIN,
        each_database(failover_patience),
    ),
    Check("oracle-net", "Oracle Net time-outs longer than the suspension", DATABASE_ADMIN, each_database(net_patience)),
    Check("sap-hardware-key", "SAP hardware key unchanged or licensed", SAP_BASIS, once(sap_hardware_key)),
    Check("sap-licence", "SAP licence for the target's hardware key", SAP_BASIS, each_sap("licences", sap_licence)),
    Check(
        "sap-work-processes", "SAP work processes running", SAP_BASIS, each_sap("work_processes", sap_work_processes)
    ),
    Check("sap-long-jobs", "No long-running SAP job", SAP_BASIS, each_sap("jobs", sap_long_jobs)),
    Check("sap-next-jobs", "No SAP job starts soon", SAP_BASIS, each_sap("jobs", sap_next_jobs)),
    Check("sap-updates", "No SAP update terminations", SAP_BASIS, each_sap("updates", sap_updates)),
    Check("sap-time-outs", "SAP time-outs longer than the suspension", SAP_BASIS, each_sap("profiles", sap_time_outs)),
    Check("sap-enqueue", "SAP enqueue server and replication healthy", SAP_BASIS, each_sap("enqueue", sap_enqueue)),
)


def examine(survey: Survey) -> tuple[Finding, ...]:
    """The findings of all checks, in the order of the table, then of plug-ins; a check of both sides has two."""
    own = tuple(finding for check in CHECKS for finding in check(survey))
    return (*own, *plugged_findings(survey))
