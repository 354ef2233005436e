"""Checks of virtual SCSI: the LUNs behind the partition, as both ends see them."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.checks.judging import Fact, NotKnown, RuleResult, Verdict, joined, need, passed, vios_of
from lpmkit.inventory import PhysicalDisk, Vios, VirtualTarget
from lpmkit.survey.model import Survey, SystemFacts, disk_named, same_disk, same_disks, servers_of

#: Paths that carry data, or would (``lspath``).
GOOD_PATH = "Enabled"


def _targets(survey: Survey) -> tuple[VirtualTarget, ...]:
    """The virtual targets of the partition on the source."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    servers = need(servers_of(survey), survey, "scsi map", survey.source.name)
    if not servers:
        listed = need(survey.source.scsi_adapters, survey, "scsi adapters", survey.source.name)
        if survey.moving and not any(adapter.lpar_id == survey.moving.lpar_id for adapter in listed):
            return ()  # one that sees its disks through Fibre Channel only
        raise NotKnown(survey.partition, f"lsmap on {survey.source.name} shows no adapter of {survey.partition}")
    return tuple(target for server in servers for target in server.targets)


def _backing_disks(survey: Survey) -> tuple[PhysicalDisk, ...]:
    """The source's disks behind the partition. What is no disk at all is `whole_luns`' business and left out here."""
    vios = vios_of(survey, survey.source, "disks")
    need(vios.disks, survey, "disks", survey.source.name)
    disks = (disk_named(survey.source, target.backing) for target in _targets(survey))
    return tuple(disk for disk in disks if disk is not None)


def _disks_on(survey: Survey, side: SystemFacts) -> tuple[PhysicalDisk, ...]:
    """The partition's disks as one side sees them; of a disk that it does not see nothing is known there."""
    backing = _backing_disks(survey)
    if side is survey.source:
        return backing
    need(vios_of(survey, side, "disks").disks, survey, "disks", side.name)
    pairs = [(disk, same_disk(side, disk)[0]) for disk in backing]
    unseen = [disk.name for disk, same in pairs if same is None]
    if unseen:
        raise NotKnown(side.name, f"{side.name} does not see the LUN of {joined(unseen)} on {survey.source.name}")
    return tuple(same for disk in backing for same in same_disks(side, disk))


def whole_luns(survey: Survey) -> RuleResult:
    """Require a whole disk behind each virtual disk; a logical volume or a file stays with its I/O server."""
    disks = need(vios_of(survey, survey.source, "disks").disks, survey, "disks", survey.source.name)
    whole = {disk.name for disk in disks if disk.volume_group is None}
    targets = [target for target in _targets(survey) if not _is_optical(target)]
    other = [target for target in targets if target.backing not in whole]
    return passed(
        not other,
        survey.partition,
        {
            "disks": len(targets),
            "not a whole LUN": joined(f"{target.name} on {target.backing or 'nothing'}" for target in other),
        },
        "Give the partition a LUN that both I/O servers see (mkvdev -vdev hdiskN -vadapter vhostN -dev NAME), move the data "
        f"in AIX (migratepv or mirrorvg), then rmvdev -vtd {other[0].name if other else 'NAME'}",
    )


def _is_optical(target: VirtualTarget) -> bool:
    return target.name.startswith("vtopt") or target.backing.endswith(".iso")


def optical(survey: Survey) -> RuleResult:
    """Require that no virtual optical media are loaded; an empty drive should be removed too."""
    drives = [drive for drive in _targets(survey) if _is_optical(drive)]
    if not drives:
        return RuleResult(Verdict.PASS, survey.partition, {"virtual optical drives": 0})
    listed = need(vios_of(survey, survey.source, "virtual media").media, survey, "virtual media", survey.source.name)
    # Two I/O servers may both have a vtopt0; of a name that is there twice the loaded one counts.
    media = dict(sorted(listed, key=lambda drive: drive[1] is not None))
    loaded = {drive.name: drive.backing or media.get(drive.name) for drive in drives}
    facts = {name: medium or "empty" for name, medium in loaded.items()}
    name = drives[0].name
    remedy = f"unloadopt -vtd {name}; rmvdev -vtd {name}"
    full = any(loaded.values())
    return RuleResult(Verdict.FAIL if full else Verdict.WARN, survey.partition, facts, remedy)


def same_luns(survey: Survey) -> RuleResult:
    """Require the same LUNs on both sides: ``unique_id`` decides, the PVID must not contradict it."""
    backing = _backing_disks(survey)
    need(vios_of(survey, survey.target, "disks").disks, survey, "disks", survey.target.name)
    matches = {disk: same_disk(survey.target, disk) for disk in backing}
    facts: dict[str, Fact] = {
        disk.name: f"{same.name} by {how}" if same else "not found" for disk, (same, how) in matches.items()
    }
    missing = [
        disk.name
        for disk, (same, _) in matches.items()
        if same is None or any(_contradicts(disk, other) for other in same_disks(survey.target, disk))
    ]
    if missing:
        remedy = f"Zone and mask the LUNs of {joined(missing)} to {survey.target.name} too, then there: cfgdev"
        return RuleResult(Verdict.FAIL, survey.target.name, facts, remedy)
    for disk, (same, how) in matches.items():
        if how == "PVID" and same is not None:
            side, name = (survey.source, disk.name) if disk.unique_id is None else (survey.target, same.name)
            raise NotKnown(side.name, survey.why_not(f"{name} unique_id", side.name))
    fewer = [disk.name for disk in backing if _ways(backing, disk) > len(same_disks(survey.target, disk))]
    return passed(
        not fewer,
        survey.target.name,
        facts or {"disks": 0},
        f"Fewer I/O servers of {survey.target.name} see the LUNs of {joined(fewer)}: zone and mask them to the others too, then cfgdev; "
        "else the partition loses a path (the firmware may say HSCLA340).",
        bad=Verdict.WARN,
    )


def _ways(disks: Sequence[PhysicalDisk], wanted: PhysicalDisk) -> int:
    """How many of the source's I/O servers give the partition this LUN."""
    return sum(wanted.unique_id is not None and disk.unique_id == wanted.unique_id for disk in disks)


def _contradicts(source: PhysicalDisk, target: PhysicalDisk) -> bool:
    """The same LUN with two PVIDs: one of the two lists is stale. A side that has not read the PVID yet says nothing."""
    return source.pvid is not None and target.pvid is not None and source.pvid != target.pvid


def luns_free(survey: Survey) -> RuleResult:
    """Require that the LUNs are unused on the target, by clients and by volume groups of the I/O server."""
    disks = _disks_on(survey, survey.target)
    servers = need(vios_of(survey, survey.target, "scsi map").scsi_servers, survey, "scsi map", survey.target.name)
    used = {target.backing: f"{target.name} of {server.name}" for server in servers for target in server.targets}
    used |= {disk.name: f"volume group {disk.volume_group}" for disk in disks if disk.volume_group}
    taken = {disk.name: used[disk.name] for disk in disks if disk.name in used}
    return passed(
        not taken,
        survey.target.name,
        {disk.name: taken.get(disk.name, "free") for disk in disks} or {"disks": 0},
        f"On {survey.target.name}: lsmap -all shows who uses {joined(taken)}; if nobody needs it: rmvdev -vtd NAME",
    )


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
        {disk.name: disk.reserve_policy for disk in disks} or {"disks": 0},
        "; ".join(f"chdev -dev {name} -attr reserve_policy=no_reserve" for name in bad)
        + " (with -perm and a restart where the disk is in use)",
    )


def paths(survey: Survey, side: SystemFacts) -> RuleResult:
    """Every disk wants an enabled path, and two for a spare; ``lspath`` and SDDPCM are asked, one of them suffices."""
    vios = vios_of(survey, side, "paths")
    if vios.paths is None and vios.multipath is None:
        raise NotKnown(side.name, survey.why_not("paths", side.name))
    counts = {disk.name: _paths_of(vios, disk.name) for disk in _disks_on(survey, side)}
    for name, (_, all_paths) in counts.items():
        if all_paths == 0:
            raise NotKnown(side.name, f"neither lspath nor pcmpath lists a path of {name}")
    facts: dict[str, Fact] = {name: f"{good} of {count} paths" for name, (good, count) in counts.items()}
    remedy = "lspath and pcmpath query device name the path; check cabling and zoning, then chpath -dev DISK -pdev PARENT -op enable"
    if any(good == 0 for good, _ in counts.values()):
        return RuleResult(Verdict.FAIL, side.name, facts, remedy)
    whole = all(good == count for good, count in counts.values())
    return passed(whole, side.name, facts or {"disks": 0}, remedy, bad=Verdict.WARN)


def _paths_of(vios: Vios, disk: str) -> tuple[int, int]:
    """Good paths and all paths of a disk, as the less hopeful of the two commands sees them."""
    listed = [path.status == GOOD_PATH for path in vios.paths or () if path.disk == disk]
    driven = [
        path.healthy for driver_disk in vios.multipath or () if driver_disk.disk == disk for path in driver_disk.paths
    ]
    views = [(sum(view), len(view)) for view in (listed, driven) if view]
    return min(views, key=lambda view: view[0] - view[1], default=(0, 0))
