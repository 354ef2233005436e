"""Everything that nobody could look up: texts, codes and layouts that are remembered or made up, in one place.

When somebody captures the real thing, it is put right here and nowhere else. No reader should rely on a word of this
file. Their mark is D (docs/sources.md): message texts of IVM for a refused validation,
the fields of ``lslparmigr`` other than counts and state, the streams of ``vasistat``, the error log of a mover, the
wording of the DR manager.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lpmkit.simulator.placement import Wishes, fc_ports_for, movers, place, scsi_servers_for
from lpmkit.simulator.shells.reply import Reply

if TYPE_CHECKING:
    from lpmkit.simulator.chassis import Backing, Frame, Partition, StoragePool, Vios, World

# --- the pseudo-device of a mover -----------------------------------------------------------------------------------
# Names and values of the attributes are seen (`RHDISK0`); the descriptions are recalled.

LPM_DEVICE = "LPM Adapter"
LPM_ATTRIBUTES: tuple[tuple[str, str, str, bool], ...] = (
    ("cfg_msp_lpm_ops", "8", "Number of concurrent LPM operations for MSP", True),
    ("concurrency_lvl", "3", "LPM concurrency level", True),
    ("lpm_msnap_succ", "1", "Create LPM snapshot on success", True),
    ("max_lpm_vasi", "1", "Maximum number of VASI adapters used for LPM", True),
    ("max_vasi_ops", "8", "Maximum number of concurrent operations per VASI", True),
    ("tcp_port_high", "0", "TCP highest ephemeral port", True),
    ("tcp_port_low", "0", "TCP lowest ephemeral port", True),
)

# --- clusters -------------------------------------------------------------------------------------------------------
# Where the programs are and what PowerHA and GPFS answer is recalled; crsctl's answer is seen in print.


@dataclass(frozen=True, slots=True)
class Cluster:
    """Cluster software in a partition: what shows among the processes, the program that is asked, and its answer to
    these arguments; ``{}`` is the timer.
    """

    processes: tuple[str, ...]
    program: str
    arguments: tuple[str, ...]
    answer: str
    as_shipped: str
    #: How many of the timer's units make a second.
    per_second: int = 1


_CLMGR = """CLUSTER_NAME="prod"
STATE="STABLE"
TYPE="NSC"
HEARTBEAT_TYPE="UNICAST"
VERSION="{version}"
RG_SETTLING_TIME="0"
HEARTBEAT_FREQUENCY="{heartbeat}"
GRACE_PERIOD="10"
SITE_POLICY_FAILURE_ACTION="fallover"
"""

CLUSTERS: Mapping[str, Cluster] = {
    "powerha": Cluster(
        ("/usr/es/sbin/cluster/clstrmgr", "/usr/sbin/clcomd -d", "/usr/sbin/clconfd"),
        "/usr/es/sbin/cluster/utilities/clmgr",
        ("query", "cluster"),
        _CLMGR.format(version="7.2.4.0", heartbeat="30") + 'LPM_POLICY=""\nHEARTBEAT_FREQUENCY_DURING_LPM="{}"\n',
        "0",
    ),
    "powerha71": Cluster(
        ("/usr/es/sbin/cluster/clstrmgr", "/usr/sbin/clcomd -d", "/usr/sbin/clconfd"),
        "/usr/es/sbin/cluster/utilities/clmgr",
        ("query", "cluster"),
        _CLMGR.format(version="7.1.3.0", heartbeat="{}"),
        "20",
    ),
    "rac": Cluster(
        ("/u01/app/19.0.0/grid/bin/ohasd.bin reboot", "/u01/app/19.0.0/grid/bin/ocssd.bin",
         "/u01/app/19.0.0/grid/bin/crsd.bin reboot"),
        "/u01/app/19.0.0/grid/bin/crsctl",
        ("get", "css", "misscount"),
        "CRS-4678: Successful get misscount {} for Cluster Synchronization Services.\n",
        "30",
    ),
    "gpfs": Cluster(
        ("/usr/lpp/mmfs/bin/mmsdrserv 1191 10 10 /dev/null 128", "/usr/lpp/mmfs/bin/mmfsd"),
        "/usr/lpp/mmfs/bin/mmlsconfig",
        ("failureDetectionTime",),
        "failureDetectionTime {}\n",
        "35",
    ),
    # Veritas runs on AIX, Pacemaker on Linux; the names and units are documented (`VCS-LLT`, `COROSYNC`).
    "vcs": Cluster(
        ("/opt/VRTSvcs/bin/had", "/opt/VRTSvcs/bin/hashadow"),
        "/sbin/lltconfig",
        ("-T", "query"),
        "Current LLT timer values (.01 sec units):\n    heartbeat   = 50\n    peertrouble = 200\n    peerinact   = {}\n",
        "1600",
        100,
    ),
    "pacemaker": Cluster(
        ("/usr/sbin/corosync -f", "/usr/sbin/pacemakerd"),
        "corosync-cmapctl",
        ("runtime.config.totem.token",),
        "runtime.config.totem.token (u32) = {}\n",
        "3000",
        1000,
    ),
}  # fmt: skip

# --- messages -------------------------------------------------------------------------------------------------------
# The form ``[VIOSEnnnnnnnn-nnnn] text`` on standard error is seen (`KSH-IVM`, `NOVA-IVM`). So are the codes
# VIOSE010401A1-0042
# (partition not found), VIOSE03FF0000-0149 (firmware error) and VIOSI01040010-0003 (no results). Everything else is
# recalled.

NO_RESULTS = {False: "No results were found.", True: "Es wurden keine Ergebnisse gefunden."}

TEXTS: Mapping[str, tuple[str, str]] = {
    "attribute": (
        "VIOSE01010018-0002",
        "The attribute entered is not valid. The invalid attribute is {attribute}.",
    ),
    "command": ("VIOSE01010001-0001", "The command {command} is not valid."),
    "flag": ("VIOSE01010002-0003", "The flag {flag} is not valid for this command."),
    "flag-value": ("VIOSE01010004-0005", "The flag {flag} needs a value."),
    "flag-missing": ("VIOSE01010005-0006", "The required flag {flag} is missing."),
    "resource": ("VIOSE01010006-0007", "The resource type {resource} is not valid for this command."),
    "system": ("VIOSE01040009-0041", "The managed system {system} was not found."),
    "partition": ("VIOSE010401A1-0042", "The partition {partition} was not found."),
    "ip": ("VIOSE01042016-0020", "The remote manager {address} cannot be reached."),
    "authority": ("VIOSE01042001-0021", "The user {user} at {address} is not known there."),
    "keys": (
        "VIOSE01042017-0022",
        (
            "The SSH keys between this manager and user {user} at {address} are not set up. Use the mkauthkeys "
            "command first."
        ),
    ),
    "not-enterprise": (
        "VIOSE01042002-0101",
        (
            "The managed system {system} is not capable of partition mobility. Enter the PowerVM Enterprise "
            "activation code."
        ),
    ),
    "already": ("VIOSE01042003-0102", "A migration operation is already in progress for partition {partition}."),
    "state": (
        "VIOSE01042004-0103",
        "The partition {partition} is in the state {state}, in which it cannot be migrated.",
    ),
    "limit": (
        "VIOSE01042005-0104",
        "The number of migrations in progress on {system} has reached the supported number {supported}.",
    ),
    "name": ("VIOSE01042006-0105", "A partition named {partition} already exists on the destination managed system."),
    "rmc": (
        "VIOSE01042007-0106",
        "The management partition cannot communicate with partition {partition}. Either the network connection is not "
        "available or the partition does not have a level of software that supports this operation.",
    ),
    "vasi": (
        "VIOSE01042008-0107",
        "The management partition of {system} has no available Virtual Asynchronous Services Interface and cannot move "
        "partitions.",
    ),
    "region": (
        "VIOSE01042009-0108",
        "The memory region size of the source ({source} MB) and of the destination ({target} MB) do not match.",
    ),
    "compat": (
        "VIOSE01042010-0109",
        "The processor compatibility mode {mode} of the partition is not supported by the destination managed system.",
    ),
    "memory": (
        "VIOSE01042011-0110",
        "The destination managed system does not have enough memory. Needed: {needed} MB. Available: {available} MB.",
    ),
    "processors": (
        "VIOSE01042012-0111",
        (
            "The destination managed system does not have enough processing units. Needed: {needed}. Available: "
            "{available}."
        ),
    ),
    "slots": ("VIOSE01042013-0112", "The management partition of {system} has no free virtual slot."),
    "physical": (
        "VIOSE01042014-0113",
        "The partition owns the physical adapter {slot}. Remove it before the migration.",
    ),
    "backing": (
        "VIOSE01042015-0114",
        (
            "The virtual target device {vtd} is backed by {backing}, which is not a physical volume. It cannot be "
            "migrated."
        ),
    ),
    "media": ("VIOSE01042018-0115", "The virtual optical device {vtd} holds the media {backing}. Unload it first."),
    "reserve": (
        "VIOSE01042019-0116",
        "The reserve policy of {disk} on {system} is {policy}. It must be no_reserve.",
    ),
    "lun": (
        "VIOSE01042020-0117",
        "The physical volume {disk} ({unique_id}) is not available to the management partition of {system}.",
    ),
    "pvid": (
        "VIOSE01042021-0118",
        "The physical volume {disk} has the identifier {source} on the source and {target} on the destination.",
    ),
    "in-use": ("VIOSE01042022-0119", "The physical volume {disk} is already in use on {system}."),
    "paths": ("VIOSE01042023-0120", "No path to the physical volume {disk} is usable on {system}."),
    "vlan": (
        "VIOSE01042024-0121",
        "The virtual LAN {vlan} is not bridged by a shared Ethernet adapter on the destination managed system.",
    ),
    "same": ("VIOSE01042025-0122", "The source and the destination are the same managed system."),
    "stop-late": (
        "VIOSE01042030-0201",
        (
            "The migration of partition {partition} cannot be stopped any more: the partition is running on the "
            "destination."
        ),
    ),
    "stop-none": ("VIOSE01042031-0202", "No migration operation is in progress for partition {partition}."),
    "stop-mover": ("VIOSE01042032-0203", "The mover does not answer. Recover partition {partition}."),
    "recover-none": ("VIOSE01042033-0204", "The partition {partition} does not need to be recovered."),
    "recover-busy": ("VIOSE01042034-0205", "The migration of partition {partition} is still running. Stop it first."),
    "recover-remote": (
        "VIOSE01042060-0209",
        (
            "The destination managed system {system} cannot be asked to recover partition {partition}. Use the "
            "--force flag to go on without it."
        ),
    ),
    "system-state": ("VIOSE01042061-0210", "The managed system {system} is in the state {state}."),
    "rmc-lost": (
        "VIOSE01042062-0211",
        (
            "The migration of partition {partition} failed: the partition could not be reached any more. Recover "
            "the partition."
        ),
    ),
    "lost": (
        "VIOSE01042063-0212",
        (
            "The migration of partition {partition} failed after the partition was resumed: its memory cannot be "
            "fetched any more. Recover the partition."
        ),
    ),
    "console-restarted": (
        "VIOSE01042064-0213",
        (
            "The migration of partition {partition} was left by the management console when it was restarted. "
            "Recover the partition."
        ),
    ),
    "stopped": ("VIOSE01042035-0206", "The migration of partition {partition} was stopped."),
    "mover-died": (
        "VIOSE01042036-0207",
        (
            "The migration of partition {partition} failed: the connection between the movers was lost. Recover "
            "the partition."
        ),
    ),
    "not-converging": (
        "VIOSE01042037-0208",
        "The migration of partition {partition} failed: its memory changes faster than it can be sent.",
    ),
    "failed": ("VIOSE03FF0000-0149", "The migration of partition {partition} failed: {message}"),
    "msp": (
        "VIOSE01042041-0123",
        "No virtual I/O server of {system} is a mover service partition.",
    ),
    "huge-pages": (
        "VIOSE01042050-0130",
        "The partition {partition} uses huge pages and cannot be migrated while it runs.",
    ),
    "bsr": ("VIOSE01042051-0131", "The partition {partition} uses barrier synchronization register arrays."),
    "hea": ("VIOSE01042052-0132", "The partition {partition} has a logical port of a host Ethernet adapter."),
    "error-path": ("VIOSE01042053-0133", "Redundant error path reporting is enabled for partition {partition}."),
    "work-group": ("VIOSE01042054-0134", "The partition {partition} is in a partition workload group."),
    "disabled": ("VIOSE01042055-0135", "Migration is disabled for partition {partition}."),
    "shared-memory": (
        "VIOSE01042056-0136",
        "The partition {partition} uses shared memory, and the destination has no paging device for it.",
    ),
    "pool-unit": (
        "VIOSE01042067-0143",
        "The logical unit {backing} of the virtual target device {vtd} is not available to the virtual I/O servers "
        "of {system}.",
    ),
    "redundant-msps": ("VIOSE01042073-0149", "Redundant mover service partitions are not available."),
    "firmware": (
        "VIOSE01042071-0147",
        "The firmware level {source} of the source does not support a migration to the level {target}.",
    ),
    "restart": (
        "VIOSE01042072-0148",
        "The partition {partition} is capable of remote restart, and {system} does not support it.",
    ),
    "restricted-io": (
        "VIOSE01042069-0145",
        "The partition {partition} with IBM i does not have restricted I/O.",
    ),
    "vtpm": (
        "VIOSE01042070-0146",
        "The trusted system key of the destination does not match, and partition {partition} has a virtual trusted "
        "platform module.",
    ),
    "sriov-room": (
        "VIOSE01042068-0144",
        "The logical SR-IOV port {number} of partition {partition} has no physical port on {system}.",
    ),
    "serial": (
        "VIOSE01042057-0137",
        "The virtual serial adapter in slot {slot} of partition {partition} cannot be migrated.",
    ),
    "sriov": (
        "VIOSE01042060-0139",
        "The partition {partition} has a logical SR-IOV port that cannot be migrated.",
    ),
    "id": ("VIOSE01042061-0140", "The partition id {number} is in use on {system}."),
    "slot-taken": ("VIOSE01042065-0141", "The virtual slot {number} of {server} is in use or does not exist."),
    "no-such-server": (
        "VIOSE01042066-0142",
        "The virtual adapter in slot {slot} is mapped to {server}, which is no virtual I/O server of {system}.",
    ),
    "not-ready": (
        "VIOSE01042058-0138",
        "The operating system of partition {partition}, or an application in it, is not ready for the migration.",
    ),
    "vterm": ("VIOSI01042059-0303", "A virtual terminal of partition {partition} is open. Its session will be closed."),
    "no-fc-port": (
        "VIOSE01042043-0125",
        (
            "The virtual Fibre Channel adapter in slot {slot} of partition {partition} cannot be hosted by the "
            "virtual I/O servers of {system}."
        ),
    ),
    "no-fc-disk": (
        "VIOSE01042047-0128",
        (
            "The virtual Fibre Channel adapter in slot {slot} of partition {partition} does not see its disks "
            "through {wwpn}."
        ),
    ),
    "no-nic-port": (
        "VIOSE01042044-0126",
        "The virtual NIC in slot {slot} of partition {partition} has no physical port on {system}.",
    ),
    "pool": ("VIOSE01042045-0127", "The shared processor pool {pool} does not exist on {system}."),
    "multipath": (
        "VIOSI01042046-0302",
        "The multipath I/O configuration of partition {partition} may not be replicated on the destination.",
    ),
    "one-path": ("VIOSI01042040-0301", "Some paths to the physical volume {disk} on {system} are not usable."),
}


def message(key: str, **facts: object) -> str:
    """A message with its code in front."""
    code, text = TEXTS[key]
    return f"[{code}] {text.format(**facts)}"


def refusal(key: str, german: bool = False, **facts: object) -> Reply:
    """An error on standard error with a status that is not 0 (which one is not known)."""
    del german  # the messages were never seen in another language
    return Reply(err=message(key, **facts) + "\n", status=1)


def no_results(german: bool) -> Reply:
    """On standard error with status 0 (`NOVA-IVM`); the German words are a guess."""
    return Reply(err=f"[VIOSI01040010-0003] {NO_RESULTS[german]}\n")


# --- HMC ------------------------------------------------------------------------------------------------------------
# An HMC prints ``HSCLxxxx text`` on standard output, with status 1 (A: `HMCMCP`, `ZIU`). Seen with their wording:
# HSCL3653 and HSCLA246
# (A); HSCL8012 is what drivers take for "no such partition" and HSCL05DF for a wrong state (C). HSCLA24E is recalled
# (D). Which code
# comes with the other refusals is not known at all: they carry one that no HMC has.
HMC_UNKNOWN_CODE = "HSCLFFFF"
HMC_CODES: Mapping[str, str] = {
    "partition": "HSCL8012",
    "keys": "HSCL3653",
    "state": "HSCL05DF",
    "rmc": "HSCLA246",
    "lun": "HSCLA24E",
    "pvid": "HSCLA24E",
    "paths": "HSCLA24E",
    "reserve": "HSCLA24E",
    "in-use": "HSCLA24E",
    "no-fc-port": "HSCLA319",
    "no-fc-disk": "HSCLA319",
    "multipath": "HSCLA340",
    "not-ready": "HSCLA257",
    "vterm": "HSCLA291",
}
#: How the wording of an HMC differs from that of an IVM (HSCLA246 as captured).
HMC_WORDING: tuple[tuple[str, str], ...] = (
    ("The management partition cannot communicate", "The management console cannot communicate"),
    (". Either the network", ".  Either the network"),
    (
        "a level of software that supports this operation.",
        "a level of software that is capable of supporting this operation.  Verify the correct network and setup of "
        "the partition, and try the operation again.",
    ),
)
#: What ``diagrmc`` says of a connection that does not work, and what ``lsmigrdbg -r config`` shows.
NO_RMC = "{address} does not have RMC connection."
DEBUG_CONFIGURATION = {"collect_debug_data": "1", "max_num_files": "10"}
#: What an HMC's restricted shell says of a command that is not there.
HMC_NO_COMMAND = "hmcbash: {command}: command not found"


def hmc_told(text: str) -> str:
    """A manager's message as an HMC words it: another code in another form."""
    code, bracket, said = text.removeprefix("[").partition("] ")
    if not bracket or not text.startswith("[VIOS"):
        return text
    if code == "VIOSI01040010-0003":
        return said
    key = next((key for key, (known, _) in TEXTS.items() if known == code), "")
    if key == "partition":
        said = said.replace("The partition ", "The partition named ", 1)
    for ours, theirs in HMC_WORDING:
        said = said.replace(ours, theirs)
    return f"{HMC_CODES.get(key, HMC_UNKNOWN_CODE)} {said}"


#: Whether a partition that is moved without a word about its pool comes into one of the same name (nobody could be
#: asked; the manuals have it
#: chosen by the operator).
POOL_GOES_WITH_ITS_NAME = False


def backing_device(one: Backing, server_id: int) -> str:
    """A backing device of a virtual NIC as ``lshwres`` prints it; seen are the fields up to the port (avocado)."""
    capacity = f"{one.capacity:.1f}"
    place = f"sriov/{one.server}/{server_id}/{one.adapter}/{one.port}"
    return f"{place}/{one.logical_port}/{capacity}/{capacity}/{one.priority}/100.0/100.0"


# --- lslparmigr -----------------------------------------------------------------------------------------------------
STATE_STARTING = "Migration Starting"
STATE_FAILED = "Migration Failed"
#: A partition that lost its memory in the last phase of a move, as the target lists it until it is recovered.
PARTITION_LOST = "Error"


def mover_pairs(source: Frame, target: Frame) -> list[dict[str, str]]:
    """``lslparmigr -r msp``: for each mover of the source the movers of the target, with the addresses that
    can talk.
    """
    there = movers(target)
    return [
        {
            "source_msp_name": here.name,
            "source_msp_id": str(here.lpar_id),
            "dest_msp_names": ",".join(one.name for one in there),
            "dest_msp_ids": ",".join(str(one.lpar_id) for one in there),
            "ipaddr_mappings": ",".join(f"{here.address}//{one.lpar_id}/{one.name}/{one.address}" for one in there),
        }
        for here in movers(source)
    ]


def possible_mappings(world: World, moved: Partition, source: Frame, target: Frame) -> dict[str, str]:
    """``lslparmigr -r virtualio``: where each virtual SCSI and Fibre Channel adapter could go, and where it would."""
    placed = place(world, moved, source, target, Wishes())

    def at(slot: int, server: Vios) -> str:
        return f"{slot}/{server.name}/{server.lpar_id}"

    scsi = [(pair, server) for pair in moved.scsi for server in scsi_servers_for(world, source, target, pair)]
    able = {pair.slot for pair, _ in scsi}
    fc = [at(pair.slot, server) for pair in moved.fc for server, _ in fc_ports_for(world, target, pair)]
    return {
        "possible_virtual_scsi_mappings": ",".join(at(pair.slot, server) for pair, server in scsi) or "none",
        "suggested_virtual_scsi_mappings": ",".join(
            at(pair.slot, target.server(pair.server)) for pair in placed.scsi if pair.slot in able
        )
        or "none",
        "possible_virtual_fc_mappings": ",".join(dict.fromkeys(fc)) or "none",
        "suggested_virtual_fc_mappings": ",".join(at(pair.slot, target.server(pair.server)) for pair in placed.fc)
        or "none",
    }


def possible_pools(target: Frame) -> dict[str, str]:
    """``lslparmigr -r procpool``."""
    return {
        "shared_proc_pool_ids": ",".join(str(pool.number) for pool in target.every_pool),
        "shared_proc_pool_names": ",".join(pool.name for pool in target.every_pool),
    }


# --- error log of a mover -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LogTemplate:
    """An error log entry but for its time."""

    identifier: str
    label: str
    type: str
    error_class: str
    resource: str
    description: str


MOVER_SUSPEND = LogTemplate("6CB10B8D", "MVR_MIG_SUSPEND", "I", "S", "unspecified", "Client partition suspend issued")
MOVER_DONE = LogTemplate("3EB09F5A", "MVR_MIG_COMPLETED", "I", "S", "Migration", "Migration completed successfully")
MOVER_FAILED = LogTemplate("B3B6A8F1", "MVR_MIG_FAILED", "P", "S", "Migration", "Migration failed")

#: How AIX calls a client of an SR-IOV port and a disk of a DS8000 that it sees through its own WWPNs.
AIX_VIRTUAL_NIC = "Virtual NIC Client Adapter (vnic)"
AIX_NPIV_DISK = "MPIO IBM 2107 FC Disk"

# --- AIX ------------------------------------------------------------------------------------------------------------
# Identifier and label of the aborted move are seen, type, class and resource are not.
CLIENT_ABORTED = LogTemplate("5E075ADF", "CLIENT_PMIG_ABORTED", "I", "S", "pmig", "Client Partition Migration Aborted")
SYSLOG = "/var/adm/messages"
# The line of the check phase is printed in the article that the reference case comes from; the others are like it.
DRMGR_LINES = {
    "check": "DRMGR: Starting CHECK phase for partition migration.",
    "prepare": "DRMGR: Starting PRE phase for partition migration.",
    "post": "DRMGR: Starting POST phase for partition migration.",
    "undo": "DRMGR: Starting UNDO phase for partition migration.",
}


# nmon for AIX notes the three phases of a reconfiguration in BBBR rows (IBM support document 1115625); the fields
# behind the tag are made up.
NMON = "/var/perf/nmon/recording.nmon"
NMON_HEADING = "AAA,progname,topas_nmon\nAAA,interval,60\n"
NMON_ROWS = {
    "check": "BBBR,{stamp},DR check,partition migration",
    "prepare": "BBBR,{stamp},DR pre,partition migration",
    "post": "BBBR,{stamp},DR post,partition migration",
}


# --- topas ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class TopasRow:
    """A process on the page of ``topas``: name, process id, share of the processors in percent, owner."""

    name: str
    pid: int
    cpu: float
    owner: str


def topas_page(
    host: str, when: str, busy: float, network: tuple[str, float, float], disk: str, rows: tuple[TopasRow, ...]
) -> str:
    """One page of ``topas``, as it stands for an interval; ``network`` is an interface with KB in and out a second."""
    interface, into, out = network
    user, kernel = busy * 0.7, busy * 0.3
    head = [
        f"Topas Monitor for host:    {host}",
        f"{when}   Interval:  2",
        "",
        f"Kernel {kernel:6.1f}   |{'#' * round(kernel / 4):<25}|",
        f"User   {user:6.1f}   |{'#' * round(user / 4):<25}|",
        f"Wait   {0.3:6.1f}   |{'':<25}|",
        f"Idle   {100 - busy - 0.3:6.1f}   |{'#' * round((100 - busy) / 4):<25}|",
        "",
        "Network  KBPS   I-Pack  O-Pack   KB-In  KB-Out",
        f"{interface:<6} {into + out:9.1f} {into / 1.4:8.1f} {out / 1.4:7.1f} {into:8.1f} {out:7.1f}",
        f"{'lo0':<6} {0.2:9.1f} {1.0:8.1f} {1.0:7.1f} {0.1:8.1f} {0.1:7.1f}",
        "",
        "Disk    Busy%     KBPS     TPS KB-Read KB-Writ",
        f"{disk:<7} {busy / 20:5.1f} {busy * 3:8.1f} {busy / 4:7.1f} {busy:7.1f} {busy * 2:7.1f}",
        "",
        "Name            PID  CPU%  PgSp Owner",
    ]
    return (
        "\n".join(head + [f"{row.name:<11} {row.pid:>9} {row.cpu:5.1f} {10.2:5.1f} {row.owner}" for row in rows]) + "\n"
    )


# --- vasistat -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a mover."""

    number: int
    state: str
    operation: str
    total_bytes: int
    left_bytes: int


def vasistat_page(device: str, elapsed_s: float, out_bytes: int, in_bytes: int, streams: tuple[Stream, ...]) -> str:
    """The page of ``vasistat``; the streams come with ``-all``.

    Field names of the generic part `IBMDOC:p8hcg_vasistat`.
    """
    minutes, seconds = divmod(int(elapsed_s), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    rule = "-" * 60
    head = [
        rule,
        f"VASI STATISTICS ({device}) :",
        "Device Type: Virtual Asynchronous Services Interface (VASI)",
        f"Elapsed Time: {days} days {hours} hours {minutes} minutes {seconds} seconds",
        "",
        f"{'Transmit Statistics:':<46}Receive Statistics:",
        f"{'--------------------':<46}-------------------",
    ]
    pairs = [
        (f"Packets: {out_bytes // 65536}", f"Packets: {in_bytes // 65536}"),
        (f"Bytes: {out_bytes}", f"Bytes: {in_bytes}"),
        (f"Interrupts: {out_bytes // 262144}", f"Interrupts: {in_bytes // 262144}"),
        ("Transmit Errors: 0", "Receive Errors: 0"),
        ("Packets Dropped: 0", "Packets Dropped: 0"),
        ("", "Bad Packets: 0"),
    ]
    body = [f"{left:<46}{right}" for left, right in pairs]
    tail: list[str] = []
    for stream in streams:
        tail += [
            "",
            f"Stream ID: {stream.number}",
            f"Stream State: {stream.state}",
            f"Operation Type: {stream.operation}",
            f"Total Bytes to Transfer: {stream.total_bytes}",
            f"Bytes Left to Transfer: {stream.left_bytes}",
        ]
    return "\n".join([*head, *body, *tail]) + "\n"


# --- shared storage pools -------------------------------------------------------------------------------------------
NO_CLUSTER = "Cluster does not exist."


def cluster_page(pool: StoragePool, nodes: Sequence[tuple[Vios, Frame]]) -> str:
    """``cluster -status``: the state of the cluster, then its nodes; one that is down says nothing of the pool."""
    state = "DEGRADED" if pool.down else "OK"
    rows = [f"{'Cluster Name':<20} State", f"{pool.cluster:<20} {state}", ""]
    rows.append(f"    {'Node Name':<16} {'MTM':<20} {'Partition Num':>13}  State  Pool State")
    for server, frame in nodes:
        machine = f"{frame.type_model}02{frame.serial}"
        states = "OK     OK" if pool.serves(server.name) else "DOWN"
        rows.append(f"    {server.hostname:<16} {machine:<20} {server.lpar_id:>13}  {states}")
    return "\n".join(rows) + "\n"


# --- VIOS -----------------------------------------------------------------------------------------------------------
LSPV_HEADER = f"{'NAME':<16} {'PVID':<36} {'VG':<16} STATUS"
LSPV_ROW = "{name:<16} {pvid:<36} {vg:<16} {status}"
LSPV_SIZE_HEADER = f"{'NAME':<16}{'PVID':<36}SIZE(megabytes)"
LSPV_SIZE_ROW = "{name:<16}{pvid:<36}{size}"
NO_VNIC = "There is no vNIC server adapter."
NO_NPORTS = "There is no Fibre Channel port that virtual adapters could use."
NO_NPIV = "No virtual Fibre Channel adapter was found."
