"""Disks, adapters and volume groups of an AIX partition (`GLPI`, `BOND`)."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.simulator import recalled
from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Context, Reply, lines


def lsdev(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``lsdev -Cc CLASS``.

    Any adapter that is not virtual stops a move; device texts `GLPI`, column widths recalled.
    """
    options = read(arguments, "-c -Cc -t -l -s", "-C")
    rows = {"disk": _disks(guest), "adapter": _adapters(guest)}
    kind = options["-Cc"] or options["-c"]
    if kind is not None and kind not in rows:
        return Reply()
    found = rows[kind] if kind is not None else [*rows["adapter"], *rows["disk"]]
    width = 8 if kind != "adapter" else max(len(place) for _, place, _ in found)
    return lines(*(f"{name:<6} Available {place:<{width}} {text}" for name, place, text in found))


def _disks(guest: Guest) -> list[tuple[str, str, str]]:
    return [(disk.name, "", recalled.AIX_NPIV_DISK if disk.npiv else "Virtual SCSI Disk Drive") for disk in guest.disks]


def _adapters(guest: Guest) -> list[tuple[str, str, str]]:
    network = [(name, "", text) for name, text in guest.adapters if name.startswith("ent")]
    storage = [(name, "", text) for name, text in guest.adapters if not name.startswith("ent")]
    real = [(f"ent{at}", "02-08", text) for at, text in enumerate(guest.physical, start=len(network))]
    return [*network, *real, ("vsa0", "", "LPAR Virtual Serial Adapter"), *storage]


def lspv(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """The PVIDs must be the same before and after a move."""
    rows = [
        f"{disk.name:<16}{disk.pvid:<36}{disk.volume_group:<16}{'active' if disk.volume_group != 'None' else ''}".rstrip()
        for disk in guest.disks
    ]
    return lines(*rows)


def lsvg(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``-o`` lists the active groups, the last one varied on first."""
    groups = list(dict.fromkeys(disk.volume_group for disk in guest.disks if disk.volume_group != "None"))
    words = [word for word in arguments if not word.startswith("-")]
    if not words:
        return lines(*(reversed(groups) if "-o" in arguments else groups))
    if words[0] not in groups:
        return Reply(
            err=f"0516-306 lsvg: Unable to find volume group {words[0]} in the Device\n\tConfiguration Database.\n",
            status=1,
        )
    members = [disk for disk in guest.disks if disk.volume_group == words[0]]
    if "-p" in arguments:
        head = f"{words[0]}:\nPV_NAME           PV STATE          TOTAL PPs   FREE PPs    FREE DISTRIBUTION"
        rows = [
            f"{disk.name:<18}{'active':<18}{disk.size_mb // 64:<12}{disk.size_mb // 640:<12}00..00..00..00..00"
            for disk in members
        ]
        return lines(head, *rows)
    total = sum(disk.size_mb for disk in members)
    return lines(
        f"VOLUME GROUP:       {words[0]:<24} VG IDENTIFIER:  00{guest.disks[0].pvid[2:8]}00004c00",
        f"VG STATE:           {'active':<24} PP SIZE:        64 megabyte(s)",
        f"VG PERMISSION:      {'read/write':<24} TOTAL PPs:      {total // 64} ({total} megabytes)",
        f"TOTAL PVs:          {len(members):<24} VG DESCRIPTORS: {len(members) + 1}",
        f"STALE PVs:          {'0':<24} STALE PPs:      0",
        f"ACTIVE PVs:         {len(members):<24} AUTO ON:        yes",
    )


def lspath(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """One path through every adapter of the disk's kind: ``Enabled hdisk0 vscsi0``."""
    names = [name for name, _ in guest.adapters]
    scsi = [name for name in names if name.startswith("vscsi")]
    fibre = [name.replace("fcs", "fscsi") for name in names if name.startswith("fcs")]
    return lines(
        *(f"Enabled {disk.name} {parent}" for disk in guest.disks for parent in (fibre if disk.npiv else scsi))
    )


def lsattr(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``lsattr -El sys0 [-a systemid]``: the identity once more (`GIB-PARTID`)."""
    options = read(arguments, "-El -l -a", "-E")
    if (options["-El"] or options["-l"]) != "sys0":
        return Reply(
            err=(
                "lsattr: 0514-519 The following device was not found in the customized\n\tdevice configuration "
                "database.\n"
            ),
            status=1,
        )
    facts = {
        "fwversion": (f"IBM,{guest.identity.firmware}", "Firmware version and revision levels", "False"),
        "modelname": (f"IBM,{guest.identity.type_model}", "Machine name", "False"),
        "realmem": (str(guest.memory_mb * 1024), "Amount of usable physical memory in Kbytes", "False"),
        "systemid": (guest.identity.system_id, "Hardware system identifier", "False"),
    }
    wanted = [options["-a"]] if options["-a"] else list(facts)
    return lines(
        *(f"{name:<15} {facts[name][0]:<22} {facts[name][1]:<45} {facts[name][2]}" for name in wanted if name in facts)
    )


def ifconfig(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    network = guest.address.rsplit(".", 1)[0]
    return lines(
        "en0: flags=1e080863,480<UP,BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),CHAIN>",
        f"\tinet {guest.address} netmask 0xffffff00 broadcast {network}.255",
    )
