"""``lsdev``, ``lspv``, ``lspath``, ``lsrep``, ``lsvopt``, ``pcmpath`` and ``entstat`` on a VIOS (`SNAP`, `NOVA-IVM`,
`BOND`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Disk, Frame, Sea, VirtualDisk, World
from lpmkit.simulator.shells.options import Options, read
from lpmkit.simulator.shells.reply import Context, Reply, at_least, lines
from lpmkit.simulator.shells.vios_maps import lun_id

KINDS_OF_BACKING = {
    "lun": "Disk",
    "pool_unit": "Disk",
    "logical_volume": "Logical Volume",
    "file": "File",
    "optical": "File-backed Optical",
    "tape": "Tape",
}


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    kind: str
    virtual: bool
    description: str
    status: str = "Available"


def devices(world: World, frame: Frame) -> list[Device]:
    """The devices of a VIOS, sorted by name as ``lsdev`` does (descriptions `SNAP`, `GLPI`)."""
    vios, sea = frame.vios, frame.vios.sea
    found = [
        Device("ent0", "adapter", False, vios.physical_ethernet),
        Device("ent1", "adapter", False, vios.physical_ethernet),
        Device(sea.trunk if sea else "ent4", "adapter", True, "Virtual I/O Ethernet Adapter (l-lan)"),
        Device("fcs0", "adapter", False, "4Gb FC PCI Express Adapter (df1000fe)"),
        Device("fcs1", "adapter", False, "4Gb FC PCI Express Adapter (df1000fe)"),
        Device("lhea0", "adapter", False, "Logical Host Ethernet Adapter (l-hea)"),
        Device("sissas0", "adapter", False, "PCI-X266 Planar 3Gb SAS Adapter"),
        Device("vbsd0", "adapter", True, "Virtual Block Storage Device (VBSD)"),
        Device("vsa0", "adapter", True, "LPAR Virtual Serial Adapter"),
    ]
    if sea is not None:
        found.append(Device(sea.name, "sea", True, "Shared Ethernet Adapter"))
    if vios.vasi is not None:
        found.append(Device(vios.vasi, "adapter", True, "Virtual Asynchronous Services Interface (VASI)"))
    if _has_lpm_device(vios.level):
        found.append(Device("vioslpm0", "lpm", False, recalled.LPM_DEVICE))
    found += [Device(disk.name, "disk", False, _disk_description(disk)) for disk in vios.disks]
    for _, pair in world.fc_of(frame, vios.name):
        found.append(Device(f"vfchost{pair.vfchost}", "adapter", True, "Virtual FC Server Adapter"))
    for _, served in world.scsi_of(frame, vios.name):
        found.append(Device(f"vhost{served.vhost}", "adapter", True, "Virtual SCSI Server Adapter"))
        for mapped in served.disks:
            text = f"Virtual Target Device - {KINDS_OF_BACKING[mapped.kind]}"
            found.append(Device(mapped.vtd, "optical" if mapped.kind == "optical" else "disk", True, text))
    return sorted(found, key=lambda device: device.name)


def _has_lpm_device(level: str) -> bool:
    """The pseudo-device of a mover came with 2.2.2.0 (`RHDISK0`, `IBMDOC:iphc3lpmpseudo`)."""
    return at_least(level, 2, 2, 2, 0)


def _disk_description(disk: Disk) -> str:
    return "SAS Disk Drive" if disk.lun is None else "IBM MPIO FC 2107"


def lsdev(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, "-dev -type -field -fmt -state", "-virtual -vpd", optional="-attr")
    if options.unknown is not None or options.missing is not None:
        return Reply(err="Option flag is not valid\n", status=1)
    found = devices(world, frame)
    name, kind = options["-dev"], options["-type"]
    if name is not None:
        found = [device for device in found if device.name == name]
        if not found:
            return Reply(err=f'"{name}": No such device.\n', status=1)
        if "-attr" in options:
            return _attributes(world, frame, found[0], options["-attr"] or "")
    if "-virtual" in options:
        found = sorted((device for device in found if device.virtual), key=_rank)
    if kind is not None:
        found = [device for device in found if _is_of_type(device, kind)]
    return _table(found, options)


def _rank(device: Device) -> int:
    """``lsdev -virtual`` shows adapters, then target devices, then the SEA (order `SNAP`)."""
    return {"adapter": 0, "sea": 2}.get(device.kind, 1)


def _is_of_type(device: Device, kind: str) -> bool:
    if kind.startswith("ent"):
        return device.name.startswith("ent")
    return device.kind == kind


def _table(found: Sequence[Device], options: Options) -> Reply:
    """Columns 17 and 12 wide (`SNAP`)."""
    if "-fmt" in options:
        between = options["-fmt"] or ":"
        return lines(*(between.join((each.name, each.status, each.description)) for each in found))
    if options["-field"] is not None:
        asked = [options["-field"], *options.words]
        rows = [{"name": each.name, "status": each.status, "description": each.description} for each in found]
        return lines(*(" ".join(row.get(field or "", "") for field in asked) for row in rows))
    head = f"{'name':<17}{'status':<12}description"
    return lines(head, *(f"{each.name:<17}{each.status:<12}{each.description}" for each in found))


Attribute = tuple[str, str, str, bool]


def attributes(world: World, frame: Frame, device: Device) -> list[Attribute]:
    """Name, value, description, user_settable.

    Of the SEA only that ``lsdev -attr`` has such lines is seen (`HMCSCAN`).
    """
    disk, sea = frame.vios.disk(device.name), frame.vios.sea
    if disk is not None:
        return _disk_attributes(world, disk)
    if sea is not None and device.name == sea.name:
        return [
            ("ctl_chan", "", "Control Channel adapter for SEA failover", True),
            ("ha_mode", "disabled", "High Availability Mode", True),
            ("largesend", "0", "Enable Hardware Transmit TCP Resegmentation", True),
            ("pvid", str(sea.port_vlan_id), "PVID to use for the SEA device", True),
            ("pvid_adapter", sea.trunk, "Default virtual adapter to use for non-VLAN-tagged packets", True),
            ("real_adapter", sea.backing, "Physical adapter associated with the SEA", True),
            ("thread", "1", "Thread mode enabled (1) or disabled (0)", True),
            ("virt_adapters", sea.trunk, "List of virtual adapters associated with the SEA (comma separated)", True),
        ]
    if device.kind == "lpm":
        return list(recalled.LPM_ATTRIBUTES)
    return [("status", device.status, "Status", False)]


def _disk_attributes(world: World, disk: Disk) -> list[Attribute]:
    port = world.storage_ports[0].lower()
    pvid = disk.pvid if disk.pvid == "none" else f"{disk.pvid}0000000000000000"
    common: list[Attribute] = [
        ("algorithm", "load_balance" if disk.lun else "fail_over", "Algorithm", True),
        ("max_transfer", "0x100000", "Maximum TRANSFER Size", True),
        ("pvid", pvid, "Physical volume identifier", False),
        ("queue_depth", "20" if disk.lun else "3", "Queue DEPTH", True),
        ("reserve_policy", disk.reserve_policy, "Reserve Policy", True),
        ("unique_id", disk.unique_id, "Unique device identifier", False),
    ]
    if disk.lun is None:
        return common
    fibre: list[Attribute] = [
        ("lun_id", f"0x{lun_id(disk.lun)}", "Logical Unit Number ID", False),
        ("ww_name", f"0x{port}", "FC World Wide Name", False),
    ]
    return sorted(common + fibre)


def _attributes(world: World, frame: Frame, device: Device, wanted: str) -> Reply:
    """One attribute is three lines: ``value``, an empty one, the value (`NOVA-IVM`)."""
    found = attributes(world, frame, device)
    if not wanted:
        rows = [f"{name:<15} {value:<50} {text:<60} {settable}" for name, value, text, settable in found]
        return lines(f"{'attribute':<15} {'value':<50} {'description':<60} user_settable", "", *rows)
    values = [value for name, value, _, _ in found if name == wanted]
    if not values:
        return Reply(err=f'The "{wanted}" attribute is not valid for the device "{device.name}".\n', status=1)
    return lines("value", "", values[0])


def in_use(world: World, frame: Frame, disk: Disk) -> bool:
    mapped = {each.backing for _, pair in world.scsi_of(frame, frame.vios.name) for each in pair.disks}
    return disk.volume_group is not None or disk.name in mapped


def lspv(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, "-fmt -field", "-size -free -avail")
    if options.unknown is not None or options.missing is not None:
        return Reply(err="Option flag is not valid\n", status=1)
    found = list(frame.vios.disks)
    if "-free" in options or "-avail" in options:
        found = [disk for disk in found if not in_use(world, frame, disk)]
    sized = "-size" in options or "-free" in options
    rows = [_volume(disk, sized) for disk in found]
    if "-fmt" in options:
        return lines(*((options["-fmt"] or ":").join(value or " " for value in row.values()) for row in rows))
    if sized:
        return lines(recalled.LSPV_SIZE_HEADER, *(recalled.LSPV_SIZE_ROW.format(**row) for row in rows))
    return lines(recalled.LSPV_HEADER, *(recalled.LSPV_ROW.format(**row).rstrip() for row in rows))


def _volume(disk: Disk, sized: bool) -> dict[str, str]:
    row = {"name": disk.name, "pvid": disk.pvid}
    if sized:
        return {**row, "size": str(disk.size_mb)}
    return {**row, "vg": disk.volume_group or "None", "status": "active" if disk.volume_group else ""}


def paths(world: World, disk: Disk) -> list[tuple[str, str, str]]:
    """Status, parent and connection of every path."""
    if disk.lun is None:
        return [("Enabled", "sas0", "5000c50001a2b3c4,0")]
    failed = len(world.storage_ports) - disk.failed_paths
    return [
        ("Enabled" if number < failed else "Failed", f"fscsi{number}", f"{port.lower()},{lun_id(disk.lun)}")
        for number, port in enumerate(world.storage_ports)
    ]


def lspath(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``-fmt :`` as ``Enabled:hdisk4:fscsi2:5005076803080067,2000000000000`` (`NOVA-IVM`)."""
    options = read(arguments, "-dev -fmt -field -pdev -status")
    name = options["-dev"]
    if options.unknown is not None or options.missing is not None:
        return Reply(err="Option flag is not valid\n", status=1)
    if name is not None and frame.vios.disk(name) is None:
        return Reply(err=f'"{name}": No such device.\n', status=1)
    chosen = [disk for disk in frame.vios.disks if name in (None, disk.name)]
    rows = [(status, disk.name, parent, where) for disk in chosen for status, parent, where in paths(world, disk)]
    if "-fmt" in options:
        return lines(*((options["-fmt"] or ":").join(row) for row in rows))
    head = f"{'status':<10}{'name':<8}{'parent':<8}connection"
    return lines(head, *(f"{status:<10}{disk:<8}{parent:<8}{where}" for status, disk, parent, where in rows))


def _served(world: World, frame: Frame) -> list[VirtualDisk]:
    return [disk for _, pair in world.scsi_of(frame, frame.vios.name) for disk in pair.disks]


def lsrep(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """The media library (layout `GIB-JS22`, `NOVA-IVM`)."""
    media = [disk.backing for disk in _served(world, frame) if disk.kind == "optical"]
    rows = [f"{name.rsplit('/', 1)[-1]:<40}{4096:>9} {'vtopt0':<15} ro" for name in media]
    return lines(
        "Size(mb) Free(mb) Parent Pool         Parent Size      Parent Free",
        f"{10198:>8} {10198 - 4096 * len(media):>8} {'rootvg':<20} {69888:>11} {38656:>16}",
        "",
        f"{'Name':<40}File Size {'Optical':<15} Access",
        *rows,
    )


def lsvopt(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``No Media`` in an empty drive; any loaded medium blocks a move (`KSH-IVM`)."""
    drives = [disk for disk in _served(world, frame) if disk.kind == "optical"]
    rows = []
    for drive in drives:
        name = drive.backing.rsplit("/", 1)[-1]
        rows.append(f"{drive.vtd:<16}{name or 'No Media':<40}{'4096' if name else 'n/a':>9}")
    return lines(f"{'VTD':<16}{'Media':<40}{'Size(mb)':>9}", *rows) if rows else Reply()


def pcmpath(world: World, frame: Frame) -> Reply:
    """``pcmpath query device`` of SDDPCM (layout `BOND`)."""
    luns = [disk for disk in frame.vios.disks if disk.lun is not None]
    rows = ["", f"Total Dual Active and Active/Asymmetric Devices : {len(luns)}", ""]
    for disk in luns:
        number = disk.name.removeprefix("hdisk")
        title = f"DEV#: {number:>3}  DEVICE NAME: {disk.name}  TYPE: {world.storage_model}  ALGORITHM:  Load Balance"
        rows += [title, f"SERIAL: {disk.unique_id[4:15]}", "=" * 75]
        rows.append("Path#      Adapter/Path Name          State     Mode     Select     Errors")
        for path, (status, parent, _) in enumerate(paths(world, disk)):
            state, mode = ("OPEN", "NORMAL") if status == "Enabled" else ("FAILED", "NORMAL")
            rows.append(
                f"{path:>5}           {parent + '/path' + str(path):<18}{state:>9}{mode:>9}{48211 + path:>11}{0:>11}"
            )
        rows.append("")
    return lines(*rows[:-1])


#: Bytes and packets of a shared Ethernet adapter before the first move; they have to be something.
SEA_BYTES, SEA_PACKETS = (30_117_283_311, 28_830_111_204), (48_213_377, 51_200_913)
#: Bytes of a move in one packet.
PACKET_BYTES = 1448


def mover_bytes(world: World, frame: Frame) -> tuple[int, int]:
    """Bytes that the mover of an I/O server has sent and received, those of moves under way included: they cross its
    shared Ethernet adapter.
    """
    vios = frame.vios
    every = [found.migration for found in world.on(frame.name) if found.migration is not None]
    mine = [each for each in every if (each.source_msp if each.source == frame.name else each.dest_msp) == vios.name]
    out = vios.moved_bytes_out + sum(each.bytes_transmitted for each in mine if each.source == frame.name)
    received = vios.moved_bytes_in + sum(each.bytes_transmitted for each in mine if each.target == frame.name)
    return out, received


def entstat(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``entstat -all`` of the SEA: itself, its real adapter, its trunk (blocks SNAP; counters are made up)."""
    options = read(arguments, "-d", "-all -reset")
    name = (*options.words, options["-d"] or "")[0]
    sea = frame.vios.sea
    if sea is None or name != sea.name:
        return Reply(err=f"entstat: 0909-003 Unable to connect to device {name}, errno = 2\n", status=1)
    tags = "   ".join(map(str, sea.additional_vlan_ids)) or "None"
    moved = mover_bytes(world, frame)
    sent, received = (base + more for base, more in zip(SEA_BYTES, moved, strict=True))
    packets_out, packets_in = (base + more // PACKET_BYTES for base, more in zip(SEA_PACKETS, moved, strict=True))
    return lines(
        "-" * 61,
        f"ETHERNET STATISTICS ({sea.name}) :",
        "Device Type: Shared Ethernet Adapter",
        f"Hardware Address: {_mac(sea.mac)}",
        "Elapsed Time: 41 days 5 hours 42 minutes 0 seconds",
        "",
        f"{'Transmit Statistics:':<46}Receive Statistics:",
        f"{'--------------------':<46}-------------------",
        f"{f'Packets: {packets_out}':<46}Packets: {packets_in}",
        f"{f'Bytes: {sent}':<46}Bytes: {received}",
        f"{'Interrupts: 0':<46}Interrupts: 41882190",
        f"{'Transmit Errors: 0':<46}Receive Errors: 0",
        f"{'Packets Dropped: 0':<46}Packets Dropped: 0",
        f"{'':<46}Bad Packets: 0",
        "",
        "General Statistics:",
        "-------------------",
        "No mbuf Errors: 0",
        "Adapter Reset Count: 0",
        "Driver Flags: Up Broadcast Running",
        "\tSimplex 64BitSupport ChecksumOffload",
        "\tDataRateSet",
        "",
        "-" * 62,
        f"Statistics for adapters in the Shared Ethernet Adapter {sea.name}",
        "-" * 62,
        "Number of adapters: 2",
        "SEA Flags: 00000001",
        "    < THREAD >",
        "VLAN Ids :",
        f"    {sea.trunk}: {' '.join(map(str, sea.vlans))}",
        *_high_availability(frame, sea),
        "Real Side Statistics:",
        f"    Packets received: {packets_in}",
        "    Packets bridged: 51100214",
        "",
        "-" * 62,
        f"Real Adapter: {sea.backing}",
        "",
        f"ETHERNET STATISTICS ({sea.backing}) :",
        f"Device Type: {frame.vios.physical_ethernet}",
        *_link_lines(frame.vios.physical_ethernet, "Down" if sea.state == LIMBO else "Up"),
        "",
        "-" * 62,
        f"Virtual Adapter: {sea.trunk}",
        "",
        f"ETHERNET STATISTICS ({sea.trunk}) :",
        "Device Type: Virtual I/O Ethernet Adapter (l-lan)",
        f"Hardware Address: {_mac(sea.mac)}",
        "",
        "Virtual I/O Ethernet Adapter (l-lan) Specific Statistics:",
        "-" * 57,
        "RQ Length: 4481",
        "Trunk Adapter: True",
        f"  Priority: {sea.priority}  Active: {sea.priority == min(_priorities(frame, sea))}",
        f"Port VLAN ID: {sea.port_vlan_id:>5}",
        f"VLAN Tag IDs: {tags:>5}",
        f"Switch ID: {sea.vswitch}",
    )


#: The failover state of an SEA whose physical port has no link.
LIMBO = "LIMBO"


def _link_lines(driver: str, link: str) -> list[str]:
    """The lines that the driver of a physical port prints of its link: ports of a host Ethernet adapter, 1 Gb ports
    (recalled), and later ones (`SNAP`).
    """
    if "lp-hea" in driver:
        return [f"Logical Port Link State: {link}", f"Physical Port Link State: {link}"]
    if "10/100/1000" in driver:
        return [f"Link Status : {link}"]
    return [f"Physical Port Link Status: {link}", f"Logical Port Link Status: {link}"]


def _priorities(frame: Frame, sea: Sea) -> list[int]:
    """The trunk priorities of all bridges of the same VLAN on the same switch that work; the lowest one is active."""
    others = [server.sea for server in frame.servers if server.sea is not None and server.sea.state in ("", sea.state)]
    return [one.priority for one in others if one.vswitch == sea.vswitch and set(one.vlans) & set(sea.vlans)]


def _high_availability(frame: Frame, sea: Sea) -> list[str]:
    """The lines of a bridge that has a partner (`SNAP`)."""
    if sum(server.sea is not None for server in frame.servers) < 2 and not sea.state:
        return []
    state = sea.state or ("PRIMARY" if sea.priority == min(_priorities(frame, sea)) else "BACKUP")
    mode = "All" if state == "PRIMARY" else "None"
    return [
        "High Availability Statistics:",
        f"    State: {state}",
        f"    Bridge Mode: {mode}",
        f"    Priority: {sea.priority}",
    ]


def lsnports(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """The ports that take virtual adapters, and how many more: ports and WWPNs in all and left (`ZIU`)."""
    options = read(arguments, "-fmt -field")
    rows = [("name", "physloc", "fabric", "tports", "aports", "swwpns", "awwpns")]
    for port in frame.vios.fc_ports:
        used = sum(1 for _, pair in world.fc_of(frame, frame.vios.name) if pair.port == port.name)
        left = (port.ports - used, port.wwpns - 2 * used)
        rows.append((port.name, port.location, "1", str(port.ports), str(left[0]), str(port.wwpns), str(left[1])))
    if len(rows) == 1:
        return Reply(err=f"{recalled.NO_NPORTS}\n", status=63)
    if "-fmt" in options:
        return lines(*((options["-fmt"] or ":").join(row) for row in rows[1:]))
    return lines(
        *(f"{row[0]:<16} {row[1]:<30} {row[2]:>6} {row[3]:>6} {row[4]:>6} {row[5]:>7} {row[6]:>7}" for row in rows)
    )


def chkdev(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``chkdev -fmt : -field name identifier``: every disk's ``unique_id`` at once (`HMCSCAN` asks so)."""
    options = read(arguments, "-fmt -field -dev", "-verbose")
    if "-fmt" not in options or {options["-field"], *options.words} != {"name", "identifier"}:
        return Reply(err="Option flag is not valid\n", status=1)
    return lines(*((options["-fmt"] or ":").join((disk.name, disk.unique_id)) for disk in frame.vios.disks))


def _mac(address: str) -> str:
    """
    >>> _mac("6A8880001003")
    '6a:88:80:00:10:03'
    """
    return ":".join(address[at : at + 2] for at in range(0, 12, 2)).lower()
