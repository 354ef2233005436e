"""``lsmap``: which client sees what through which virtual adapter (layouts `SNAP`, `ZIU` and `GIB-JS22`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Disk, FcPair, FcPort, Frame, Partition, ScsiPair, Vnic, World
from lpmkit.simulator.shells.options import Options, read
from lpmkit.simulator.shells.reply import Context, Reply, at_least

FLAGS = "-vadapter -fmt -field -plc -type"
SCSI_FIELDS = ("svsa", "physloc", "clientid", "vtd", "status", "lun", "backing", "bdphysloc")
NET_FIELDS = ("svea", "physloc", "sea", "backing", "status", "bdphysloc")
NPIV_FIELDS = (
    "name", "physloc", "clntid", "clntname", "clntos", "status", "fc", "fcphysloc", "ports", "flags", "vfcclient",
    "vfcclientdrc"
)  # fmt: skip
"""The order of ``lsmap -all -npiv -fmt :`` (`ANS-VIOS`)."""
FIRST_LUN = 0x81


@dataclass(frozen=True, slots=True)
class Device:
    """One virtual target device of an adapter."""

    vtd: str
    lun: str
    backing: str
    physloc: str
    mirrored: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """One ``vhost``: where it is, for whom, and its devices, which come sorted by name (`SNAP`)."""

    name: str
    physloc: str
    client: str
    devices: tuple[Device, ...]


def disk_location(world: World, frame: Frame, disk: Disk) -> str:
    """The location of a LUN: adapter port, WWPN of the storage port, LUN; empty for what is no LUN (`GIB-JS22`,
    `SNAP`).
    """
    if disk.lun is None:
        return f"{frame.planar}-P1-D1"
    return f"{frame.planar}-P1-C6-T1-W{world.storage_ports[0]}-L{lun_id(disk.lun)}"


def lun_id(volume: str) -> str:
    """A LUN's number as SCSI sees it: two groups that begin with ``40`` (`GIB-JS22`: ``4000402D00000000``).

    >>> lun_id("4001")
    '4000400100000000'
    """
    return f"4000{volume}00000000"


def adapters(world: World, frame: Frame) -> list[Adapter]:
    """Every server adapter of the I/O server, in the order of its number."""
    found = sorted(world.scsi_of(frame, frame.vios.name), key=lambda each: each[1].vhost)
    return [_adapter(world, frame, partition, pair) for partition, pair in found]


def _adapter(world: World, frame: Frame, found: Partition, pair: ScsiPair) -> Adapter:
    devices: list[Device] = []
    for position, mapped in enumerate(pair.disks):
        disk = frame.vios.disk(mapped.backing) if mapped.kind == "lun" else None
        place = disk_location(world, frame, disk) if disk is not None else ""
        lun = f"0x{FIRST_LUN + position:02x}00000000000000"
        devices.append(Device(mapped.vtd, lun, mapped.backing, place, _mirrored(frame.vios.level, mapped.kind)))
    client = found.lpar_id if found.holds_memory else 0
    return Adapter(
        f"vhost{pair.vhost}",
        f"{frame.unit}-V{frame.vios.lpar_id}-C{pair.server_slot}",
        f"0x{client:08x}",
        tuple(sorted(devices, key=lambda device: device.vtd)),
    )


def _mirrored(level: str, kind: str) -> str:
    """The line of a level from 2.2 on (`SNAP`, `NOVA-IVM`); for a unit of a shared storage pool recalled."""
    if at_least(level, 2, 2):
        return "false" if kind == "lun" else "N/A"
    return ""


def lsmap(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, FLAGS, "-all -net -npiv -vnic")
    if options.unknown is not None or options.missing is not None:
        return Reply(err="Option flag is not valid\n", status=1)
    if "-npiv" in options:
        return _npiv(world, frame, options)
    if "-vnic" in options:
        return _vnics(world, frame, options)
    if "-net" in options:
        return _net(frame, options)
    return _scsi(adapters(world, frame), options)


def _scsi(every: Sequence[Adapter], options: Options) -> Reply:
    wanted = options["-vadapter"]
    if wanted is None and "-all" not in options:
        return Reply(err="Option flag is not valid\n", status=1)
    found = [each for each in every if wanted in (None, each.name)]
    if wanted is not None and not found:
        return Reply(err=f"Device {wanted} is not a Server Virtual SCSI Adapter (SVSA).\n", status=15)
    if "-fmt" in options:
        return Reply("".join(f"{_record(each, options)}\n" for each in found))
    return Reply("\n".join(_page(each) for each in found))


def _page(adapter: Adapter) -> str:
    """The default layout: header, adapter, then a block for each device; a level of 2008 has no ``Mirrored``
    (`GIB-JS22`).
    """
    rows = [
        "SVSA            Physloc                                      Client Partition ID",
        "--------------- -------------------------------------------- ------------------",
        f"{adapter.name:<15} {adapter.physloc:<44} {adapter.client}",
        "",
    ]
    for device in adapter.devices:
        rows += [
            f"{'VTD':<22}{device.vtd}",
            f"{'Status':<22}Available",
            f"{'LUN':<22}{device.lun}",
            f"{'Backing device':<22}{device.backing}",
            f"{'Physloc':<22}{device.physloc}".rstrip() if not device.physloc else f"{'Physloc':<22}{device.physloc}",
            *([f"{'Mirrored':<22}{device.mirrored}"] if device.mirrored else []),
            "",
        ]
    if not adapter.devices:
        rows += [f"{'VTD':<22}NO VIRTUAL TARGET DEVICE FOUND", ""]
    return "\n".join(rows[:-1]) + "\n"


def _record(adapter: Adapter, options: Options) -> str:
    """``-fmt``: canonical order whatever was asked, a blank for what is empty (`NOVA-IVM`)."""
    asked = _fields(options, SCSI_FIELDS)
    head = {"svsa": adapter.name, "physloc": adapter.physloc, "clientid": adapter.client}
    values = [value for name, value in head.items() if name in asked]
    for device in adapter.devices:
        row = {
            "vtd": device.vtd,
            "status": "Available",
            "lun": device.lun,
            "backing": device.backing,
            "bdphysloc": device.physloc,
        }
        values += [value or " " for name, value in row.items() if name in asked]
    return (options["-fmt"] or ":").join(values)


def _fields(options: Options, known: Sequence[str]) -> set[str]:
    """``-field a b c`` takes several words; the option reader leaves the later ones as plain words."""
    first = options["-field"]
    return set(known) if first is None else {first, *options.words}


def _net(frame: Frame, options: Options) -> Reply:
    sea = frame.vios.sea
    trunk, slot = (sea.trunk, sea.slot) if sea is not None else ("ent4", 3)
    location = f"{frame.unit}-V{frame.vios.lpar_id}-C{slot}-T1"
    backing_location = f"{frame.planar}-P1-C10-T1"
    wanted = options["-vadapter"]
    if wanted not in (None, trunk):
        return Reply(err=f"Device {wanted} is not a Server Virtual Ethernet Adapter (SVEA).\n", status=16)
    if "-fmt" in options:
        asked = _fields(options, NET_FIELDS)
        values = (trunk, location, sea.name, sea.backing, "Available", backing_location) if sea else (trunk, location)
        row = [value for name, value in zip(NET_FIELDS, values, strict=False) if name in asked]
        return Reply((options["-fmt"] or ":").join(row) + "\n")
    rows = [
        "SVEA   Physloc",
        "------ --------------------------------------------",
        f"{trunk:<6} {location}",
        "",
    ]
    if sea is None:
        return Reply("\n".join([*rows, f"{'SEA':<20}NO SHARED ETHERNET ADAPTER FOUND", ""]))
    rows += [
        f"{'SEA':<22}{sea.name}",
        f"{'Backing device':<22}{sea.backing}",
        f"{'Status':<22}Available",
        f"{'Physloc':<22}{backing_location}",
        "",
    ]
    return Reply("\n".join(rows))


def _npiv(world: World, frame: Frame, options: Options) -> Reply:
    """``lsmap -all -npiv``: every virtual Fibre Channel server adapter (layout `ZIU`, ``-fmt`` `ANS-VIOS`)."""
    found = sorted(world.fc_of(frame, frame.vios.name), key=lambda each: each[1].vfchost)
    wanted = options["-vadapter"]
    if wanted is not None:
        found = [each for each in found if f"vfchost{each[1].vfchost}" == wanted]
    if not found:
        return Reply(err=f"{recalled.NO_NPIV}\n", status=63)
    rows = [_npiv_row(world, frame, partition, pair) for partition, pair in found]
    if "-fmt" in options:
        asked, between = _fields(options, NPIV_FIELDS), options["-fmt"] or ":"
        return Reply(
            "".join(between.join(row[name] or " " for name in NPIV_FIELDS if name in asked) + "\n" for row in rows)
        )
    return Reply("\n".join(_npiv_page(row) for row in rows))


def _npiv_row(world: World, frame: Frame, found: Partition, pair: FcPair) -> dict[str, str]:
    port = next((port for port in frame.vios.fc_ports if port.name == pair.port), None)
    logged_in = found.holds_memory and not found.is_shell and port is not None
    client = f"fcs{found.fc.index(pair)}" if logged_in else ""
    return {
        "name": f"vfchost{pair.vfchost}",
        "physloc": f"{frame.unit}-V{frame.vios.lpar_id}-C{pair.server_slot}",
        "clntid": str(found.lpar_id),
        "clntname": found.name if logged_in else "",
        "clntos": ("AIX" if found.level else "Linux") if logged_in else "",
        "status": "LOGGED_IN" if logged_in else "NOT_LOGGED_IN",
        "fc": pair.port if port is not None else "",
        "fcphysloc": port.location if port is not None else "",
        "ports": str(len(_storage_ports(world, port, pair))) if logged_in else "0",
        "flags": "a" if logged_in else ("4" if port is not None else "1"),
        "vfcclient": client,
        "vfcclientdrc": f"{frame.unit}-V{found.lpar_id}-C{pair.slot}" if logged_in else "",
    }


def _storage_ports(world: World, port: FcPort | None, pair: FcPair) -> tuple[str, ...]:
    fabric = world.fabric(port.fabric) if port is not None else None
    return fabric.zoned(pair.wwpns[0]) if fabric is not None else ()


FLAGS_SAID = {"a": "LOGGED_IN,STRIP_MERGE", "4": "NOT_LOGGED", "1": "NOT_MAPPED,NOT_CONNECTED"}


def _npiv_page(row: dict[str, str]) -> str:
    return "\n".join(
        [
            "Name          Physloc                            ClntID ClntName       ClntOS",
            "------------- ---------------------------------- ------ -------------- -------",
            f"{row['name']:<13} {row['physloc']:<34} {row['clntid']:>6} {row['clntname']:<14} {row['clntos']}".rstrip(),
            "",
            f"Status:{row['status']}",
            f"{'FC name:' + row['fc']:<32}FC loc code:{row['fcphysloc']}",
            f"Ports logged in:{row['ports']}",
            f"Flags:{row['flags']}<{FLAGS_SAID[row['flags']]}>",
            f"{'VFC client name:' + row['vfcclient']:<32}VFC client DRC:{row['vfcclientdrc']}",
            "",
        ]
    )


def _vnics(world: World, frame: Frame, options: Options) -> Reply:
    """``lsmap -all -vnic``: ``label:value`` without padding, ``N/A`` for what is not known (`SNAP`); which labels
    there are is recalled.
    """
    served = [
        (found, nic, one)
        for found in world.on(frame.name)
        for nic in found.vnics
        for one in nic.backing
        if one.server == frame.vios.name
    ]
    if not served:
        return Reply(err=f"{recalled.NO_VNIC}\n", status=88)
    return Reply("\n".join(_vnic_page(frame, found, nic, at) for at, (found, nic, _) in enumerate(served)))


def _vnic_page(frame: Frame, found: Partition, nic: Vnic, number: int) -> str:
    server = f"vnicserver{number}"
    return "\n".join(
        [
            "Name          Physloc                            ClntID ClntName       ClntOS",
            "------------- ---------------------------------- ------ -------------- -------",
            (
                f"{server:<13} {f'{frame.unit}-V{frame.vios.lpar_id}-C{32897 + number}':<34} {found.lpar_id:>6} "
                f"{found.name:<14} {'AIX' if found.level else 'N/A'}"
            ),
            "",
            f"Backing device:ent{8 + number}",
            "Status:Available",
            "Physloc:N/A",
            f"Client device name:ent{found.vnics.index(nic) + len(found.ethernets)}",
            f"Client device physloc:{frame.unit}-V{found.lpar_id}-C{nic.slot}",
            "",
        ]
    )
