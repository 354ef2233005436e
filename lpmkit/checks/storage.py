"""Checks of virtual SCSI: the devices behind the partition's disks, as both ends see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

from lpmkit.checks.judging import (
    Fact,
    NotApplicable,
    NotKnown,
    RuleResult,
    Verdict,
    frame_of,
    joined,
    need,
    not_asked,
    passed,
    vios_of,
)
from lpmkit.inventory import PhysicalDisk, StorageCluster, Vios, VirtualTarget
from lpmkit.survey.model import (
    Backing,
    Survey,
    SystemFacts,
    backing_kind,
    disk_named,
    is_configured,
    is_physical_drive,
    same_disk,
    same_disks,
    servers_of,
)

Arguments = ParamSpec("Arguments")

#: Paths that carry data, or would (``lspath``).
GOOD_PATH = "Enabled"
#: The state of a healthy cluster, node and pool (``cluster -status``).
HEALTHY = "OK"


def _of_every_server(rule: Callable[Concatenate[Survey, Arguments], RuleResult]) -> Callable[..., RuleResult]:
    """The rule, which neither passes nor does not apply where a VIOS that serves the partition was not read."""

    @wraps(rule)
    def judged(survey: Survey, *arguments: Arguments.args, **named: Arguments.kwargs) -> RuleResult:
        lpar_id = survey.moving.lpar_id if survey.moving else None
        serving = {each.remote_partition for each in survey.source.scsi_adapters or () if each.lpar_id == lpar_id}
        unread = [name for name in not_asked(survey, survey.source) if name in serving]
        try:
            result = rule(survey, *arguments, **named)
        except NotApplicable:
            if unread:
                raise _unread(survey, unread) from None
            raise
        if unread and result.verdict is not Verdict.FAIL:
            raise _unread(survey, unread)
        return result

    return judged


def _unread(survey: Survey, servers: Sequence[str]) -> NotKnown:
    name = survey.source.name
    return NotKnown(
        name,
        f"{joined(servers)} serves {survey.partition} too, and was not read",
        f"Add {joined(servers)} to frames.{name}.vios of the site file.",
    )


def _targets(survey: Survey) -> tuple[VirtualTarget, ...]:
    """The virtual targets of the partition on the source; raises `NotApplicable` for one without virtual SCSI."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    servers = need(servers_of(survey), survey, "scsi map", survey.source.name)
    if not servers:
        listed = need(survey.source.scsi_adapters, survey, "scsi adapters", survey.source.name)
        if not listed and survey.source.vios and survey.source.vios.scsi_servers:
            name = survey.source.name
            raise NotKnown(name, f"{name} lists no virtual SCSI adapter of any partition, and lsmap shows some")
        if survey.moving and not any(adapter.lpar_id == survey.moving.lpar_id for adapter in listed):
            raise NotApplicable(survey.partition, "the partition has no virtual SCSI adapter")
        raise NotKnown(survey.partition, f"lsmap on {survey.source.name} shows no adapter of {survey.partition}")
    return tuple(target for server in servers for target in server.targets)


def _kind(survey: Survey, target: VirtualTarget) -> Backing:
    """The kind of device behind a target; an empty tray of another name than ``vtopt`` shows in ``lsvopt`` only."""
    media = (survey.source.vios.media if survey.source.vios else None) or ()
    kind = backing_kind(target)
    return Backing.OPTICAL if kind is Backing.NOTHING and target.name in dict(media) else kind


def _disk_targets(survey: Survey) -> tuple[VirtualTarget, ...]:
    """The targets that are disks for the partition, whatever backs them; raises `NotApplicable` where there is none."""
    disks = tuple(target for target in _targets(survey) if _kind(survey, target) not in (Backing.OPTICAL, Backing.TAPE))
    if not disks:
        raise NotApplicable(survey.partition, "the partition has no virtual SCSI disk")
    return disks


def _backing_disks(survey: Survey) -> tuple[PhysicalDisk, ...]:
    """The source's disks behind the partition; other kinds of backing are judged by `whole_luns` and `storage_pool`.

    Raises `NotApplicable` where no LUN backs a disk of the partition.
    """
    targets = _disk_targets(survey)
    vios = vios_of(survey, survey.source, "disks")
    need(vios.disks, survey, "disks", survey.source.name)
    listed = {target: disk_named(survey.source, target.backing) for target in targets}
    unlisted = [
        target.backing for target, disk in listed.items() if disk is None and _kind(survey, target) is Backing.DISK
    ]
    if unlisted:
        raise NotKnown(survey.source.name, f"lspv on {survey.source.name} does not list {joined(unlisted)}")
    disks = tuple(disk for disk in listed.values() if disk is not None)
    if not disks:
        kinds = joined(sorted({_kind(survey, target).value for target in targets}))
        raise NotApplicable(survey.partition, f"no LUN backs a disk of the partition, but: {kinds}")
    return disks


def _disks_on(survey: Survey, side: SystemFacts) -> tuple[PhysicalDisk, ...]:
    """The partition's disks as one side sees them; raises `NotKnown` for a disk that it does not see."""
    backing = _backing_disks(survey)
    if side is survey.source:
        return backing
    need(vios_of(survey, side, "disks").disks, survey, "disks", side.name)
    pairs = [(disk, same_disk(side, disk)[0]) for disk in backing]
    unseen = [disk.name for disk, same in pairs if same is None]
    if unseen:
        raise NotKnown(side.name, f"{side.name} does not see the LUN of {joined(unseen)} on {survey.source.name}")
    return tuple(same for disk in backing for same in same_disks(side, disk))


@_of_every_server
def whole_luns(survey: Survey) -> RuleResult:
    """Require a whole disk or a unit of a shared storage pool behind each virtual disk, and no virtual tape; warn of
    one that the VIOS does not serve now.
    """
    disks = need(vios_of(survey, survey.source, "disks").disks, survey, "disks", survey.source.name)
    whole = {disk.name for disk in disks if disk.volume_group is None}
    targets = [target for target in _targets(survey) if _kind(survey, target) is not Backing.OPTICAL]
    if not targets:
        raise NotApplicable(survey.partition, "the partition has no virtual SCSI disk")
    other = [
        target for target in targets if target.backing not in whole and _kind(survey, target) is not Backing.POOL_UNIT
    ]
    kinds = {target: _kind(survey, target) for target in other}
    facts: dict[str, Fact] = {
        "disks": len(targets),
        "not a whole LUN": joined(
            f"{target.name} on {target.backing or 'nothing'} ({_kind_word(kind)})" for target, kind in kinds.items()
        ),
    }
    if other:
        remedy = "; ".join(dict.fromkeys(_remedy(target, kind) for target, kind in kinds.items()))
        return RuleResult(Verdict.FAIL, survey.partition, facts, remedy)
    idle = [target for target in targets if not is_configured(target)]
    if idle:
        facts["not served now"] = joined(f"{target.name} ({target.status})" for target in idle)
    return passed(
        not idle,
        survey.partition,
        facts,
        f"The VIOS does not serve {joined(target.name for target in idle)}: lsdev -dev NAME -parent shows the adapter; "
        "see why its disk is missing, then cfgdev",
        bad=Verdict.WARN,
    )


def _kind_word(kind: Backing) -> str:
    return "in a volume group, or not listed by lspv" if kind is Backing.DISK else kind.value


def _remedy(target: VirtualTarget, kind: Backing) -> str:
    """The remedy for a device that cannot move; nothing is removed that was not recognised."""
    if kind is Backing.TAPE:
        return f"Close the tape drive in the partition, then on the VIOS: rmvdev -vtd {target.name}"
    if kind is Backing.FILE:
        return (
            f"Give the partition a LUN that both VIOS see and move the data of {target.name} in the partition "
            f"(migratepv, mirrorvg or its counterpart), then: rmvdev -vtd {target.name}"
        )
    return (
        f"Find out what {target.backing or 'the backing device'} is: lsdev -dev {target.backing or target.name}. "
        "Only whole LUNs and units of a shared storage pool move: give the partition such a disk and move the data "
        "there"
    )


@_of_every_server
def storage_pool(survey: Survey) -> RuleResult:
    """Require VIOS of the target in the cluster of the source's storage pool (C `NOVA-PVM`), node and pool OK."""
    units = [target for target in _targets(survey) if _kind(survey, target) is Backing.POOL_UNIT]
    if not units:
        raise NotApplicable(survey.partition, "the partition has no disk of a shared storage pool")
    ends = [
        need(vios_of(survey, side, "storage clusters").clusters, survey, "storage clusters", side.name)
        for side in (survey.source, survey.target)
    ]
    if not ends[0]:
        raise NotKnown(survey.source.name, f"{survey.source.name} lists no cluster, though it serves units of a pool")
    own = {cluster.name: cluster for cluster in ends[0]}
    shared = {cluster.name: cluster for cluster in ends[1] if cluster.name in own}
    serial = frame_of(survey, survey.target).serial
    nodes = [node for cluster in shared.values() for node in cluster.nodes if serial in node.machine]
    healthy = [node for node in nodes if node.state == HEALTHY and node.pool_state in (HEALTHY, None)]
    facts: dict[str, Fact] = {
        "disks of a pool": len(units),
        f"clusters of {survey.source.name}": joined(own),
        f"clusters of {survey.target.name}": joined(cluster.name for cluster in ends[1]),
        "nodes of the target": joined(
            f"{node.name} {node.state}/{node.pool_state or 'pool not shown'}" for node in nodes
        ),
    }
    missing = joined(own)
    if not shared or not nodes:
        remedy = f"Add the VIOS of the target to the cluster: cluster -addnode -clustername {missing} -hostname HOST"
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    remedy = (
        f"cluster -status -clustername {joined(shared)} names the node; start it: clstartstop -start -n NAME -m HOST"
    )
    if not healthy or not _all_healthy(shared.values()):
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    return passed(len(healthy) == len(nodes), survey.target.name, facts, remedy, bad=Verdict.WARN)


def _all_healthy(clusters: Iterable[StorageCluster]) -> bool:
    """False for a cluster that is down; a degraded one still serves its pools."""
    return all(cluster.state in (HEALTHY, "DEGRADED") for cluster in clusters)


@_of_every_server
def optical(survey: Survey) -> RuleResult:
    """Require that no virtual optical media are loaded; an empty drive should be removed too."""
    drives = [target for target in _targets(survey) if _kind(survey, target) is Backing.OPTICAL]
    if not drives:
        raise NotApplicable(survey.partition, "the partition has no virtual optical drive")
    listed = need(vios_of(survey, survey.source, "virtual media").media, survey, "virtual media", survey.source.name)
    # Two VIOS may both have a vtopt0; of two drives of one name the loaded one counts.
    media = dict(sorted(listed, key=lambda drive: drive[1] is not None))
    loaded = {drive.name: drive.backing or media.get(drive.name) for drive in drives}
    facts = {name: medium or "empty" for name, medium in loaded.items()}
    virtual = {drive.name for drive in drives if not is_physical_drive(drive)}
    remedy = "On the VIOS: " + "; ".join(
        f"unloadopt -vtd {name}; rmvdev -vtd {name}" if name in virtual else f"rmvdev -vtd {name}" for name in loaded
    )
    return RuleResult(Verdict.FAIL if any(loaded.values()) else Verdict.WARN, survey.partition, facts, remedy)


@_of_every_server
def same_luns(survey: Survey) -> RuleResult:
    """Require the same LUNs on both sides: ``unique_id`` decides, the PVID must not contradict it."""
    backing = _backing_disks(survey)
    need(vios_of(survey, survey.target, "disks").disks, survey, "disks", survey.target.name)
    matches = {disk: same_disk(survey.target, disk) for disk in backing}
    facts: dict[str, Fact] = {
        disk.name: f"{same.name} by {how}" if same else "not found" for disk, (same, how) in matches.items()
    }
    remedies = []
    unseen = [disk.name for disk, (same, _) in matches.items() if same is None]
    if unseen and not_asked(survey, survey.target):
        raise NotKnown(
            survey.target.name,
            f"no VIOS that was read sees {joined(unseen)}, and {joined(not_asked(survey, survey.target))} was not read",
        )
    if unseen:
        remedies.append(f"Zone and mask the LUNs of {joined(unseen)} to {survey.target.name} too, then there: cfgdev")
    stale = [
        (disk, other) for disk in backing for other in same_disks(survey.target, disk) if _contradicts(disk, other)
    ]
    for disk, other in stale:
        facts[f"PVID of {disk.name}"] = f"{disk.pvid}, on {survey.target.name} ({other.name}) {other.pvid}"
    if stale:
        names = joined(other.name for _, other in stale)
        remedies.append(
            f"On {survey.target.name} the PVID of {names} in the device database is stale, the LUN is the same: read "
            f"it again with rmdev -dev NAME, then cfgdev, for each of: {names}"
        )
    if remedies:
        return RuleResult(Verdict.FAIL, survey.target.name, facts, ". ".join(remedies))
    for disk, (same, how) in matches.items():
        if how == "PVID" and same is not None:
            side, name = (survey.source, disk.name) if disk.unique_id is None else (survey.target, same.name)
            raise NotKnown(side.name, survey.why_not(f"{name} unique_id", side.name))
    fewer = [disk.name for disk in backing if _servers_with(backing, disk) > len(same_disks(survey.target, disk))]
    return passed(
        not fewer,
        survey.target.name,
        facts,
        f"Fewer VIOS of {survey.target.name} see the LUNs of {joined(fewer)}: zone and mask them to the others too, "
        "then cfgdev; else the partition loses a path (the firmware may refuse with HSCLA340).",
        bad=Verdict.WARN,
    )


def _servers_with(disks: Sequence[PhysicalDisk], wanted: PhysicalDisk) -> int:
    """The number of the source's VIOS that give the partition this LUN."""
    return sum(wanted.unique_id is not None and disk.unique_id == wanted.unique_id for disk in disks)


def _contradicts(source: PhysicalDisk, target: PhysicalDisk) -> bool:
    """The same LUN with two PVIDs: one of the two lists is stale. A side without the PVID contradicts nothing."""
    return source.pvid is not None and target.pvid is not None and source.pvid != target.pvid


@_of_every_server
def luns_free(survey: Survey) -> RuleResult:
    """Require that the LUNs are unused on the target, by clients and by volume groups of the VIOS."""
    disks = _disks_on(survey, survey.target)
    servers = need(vios_of(survey, survey.target, "scsi map").scsi_servers, survey, "scsi map", survey.target.name)
    used = {target.backing: f"{target.name} of {server.name}" for server in servers for target in server.targets}
    used |= {disk.name: f"volume group {disk.volume_group}" for disk in disks if disk.volume_group}
    taken = {disk.name: used[disk.name] for disk in disks if disk.name in used}
    if not taken and not_asked(survey, survey.target):
        raise NotKnown(
            survey.target.name, f"{joined(not_asked(survey, survey.target))}, which may use the LUNs, was not read"
        )
    return passed(
        not taken,
        survey.target.name,
        {disk.name: taken.get(disk.name, "free") for disk in disks},
        f"On {survey.target.name}: lsmap -all shows which partition uses {joined(taken)}. Release the disk there, or "
        "give the moving partition another LUN",
    )


@_of_every_server
def reserve_policy(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require the reserve policy ``no_reserve`` of every LUN."""
    disks = _disks_on(survey, side)
    for disk in disks:
        if disk.reserve_policy is None and disk.volume_group is None:
            raise NotKnown(side.name, survey.why_not(f"{disk.name} reserve_policy", side.name))
    bad = [disk.name for disk in disks if disk.reserve_policy != "no_reserve"]
    return passed(
        not bad,
        side.name,
        {disk.name: disk.reserve_policy for disk in disks},
        "On the VIOS: "
        + "; ".join(f"chdev -dev {name} -attr reserve_policy=no_reserve" for name in bad)
        + " (with -perm and a restart where the disk is in use)",
    )


@_of_every_server
def paths(survey: Survey, side: SystemFacts) -> RuleResult:
    """Require an enabled path of every disk, and all of them for redundancy, by ``lspath`` or SDDPCM."""
    vios = vios_of(survey, side, "paths")
    if vios.paths is None and vios.multipath is None:
        raise NotKnown(side.name, survey.why_not("paths", side.name))
    counts = {disk.name: _paths_of(vios, disk.name) for disk in _disks_on(survey, side)}
    for name, (_, all_paths) in counts.items():
        if all_paths == 0:
            raise NotKnown(side.name, f"neither lspath nor pcmpath lists a path of {name}")
    facts: dict[str, Fact] = {name: f"{good} of {count} paths" for name, (good, count) in counts.items()}
    remedy = (
        "lspath and pcmpath query device name the path; check cabling and zoning, then "
        "chpath -dev DISK -pdev PARENT -op enable"
    )
    if any(good == 0 for good, _ in counts.values()):
        return RuleResult(Verdict.FAIL, side.name, facts, remedy)
    whole = all(good == count for good, count in counts.values())
    return passed(whole, side.name, facts, remedy, bad=Verdict.WARN)


def _paths_of(vios: Vios, disk: str) -> tuple[int, int]:
    """Good paths and all paths of a disk, by the less favourable of the two commands."""
    listed = [path.status == GOOD_PATH for path in vios.paths or () if path.disk == disk]
    driven = [
        path.healthy for driver_disk in vios.multipath or () if driver_disk.disk == disk for path in driver_disk.paths
    ]
    views = [(sum(view), len(view)) for view in (listed, driven) if view]
    return min(views, key=lambda view: view[0] - view[1], default=(0, 0))
