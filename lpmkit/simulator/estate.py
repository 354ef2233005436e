"""An estate of many frames as a landscape file would describe it: pairs of servers under consoles, two I/O servers
each, and many partitions that can be asked.

Machine type, levels and names are of the form that such machines use; serial numbers, addresses, WWPNs and identifiers
are made up. Of 25 partitions of a frame six have virtual Fibre Channel, one is a Linux, one is not activated, and the
rest are AIX with two paths of virtual SCSI to two disks.
"""

from __future__ import annotations

from typing import Any

MODEL = "8286-42A"
VIOS_LEVEL = "2.2.6.10"
AIX_LEVEL = "7200-02-02-1810"
#: The first partition id on the second frame of a pair, so that an id is free on both.
OTHER_IDS = 100


def entry(frames: int, each: int, under_one: int) -> dict[str, Any]:
    """``frames`` in pairs (an even number), with this many partitions each, ``under_one`` console this many of
    the frames.
    """
    names = [f"f{number:02}" for number in range(1, frames + 1)]
    partitions = {name: _partitions(at, each) for at, name in enumerate(names)}
    luns = {lun: facts for those in partitions.values() for one in those for lun, facts in one["luns"].items()}
    consoles = [f"hmc{number:02}" for number in range(1, (frames - 1) // under_one + 2)]
    found = [one for each_frame in partitions.values() for one in each_frame]
    fabrics: dict[str, dict[str, list[str]]] = {"fabric_a": {}, "fabric_b": {}}
    for one in found:
        for adapter, fabric in zip(one["entry"].get("fc", ()), fabrics, strict=False):
            port = PORTS[list(fabrics).index(fabric)]
            fabrics[fabric] |= {wwpn: [port] for wwpn in adapter["wwpns"]}
    return {
        "name": "estate",
        "hmcs": [
            {
                "host": host,
                "address": f"192.0.2.{100 + at}",
                "version": "8",
                "release": "8.7.0",
                "service_pack": "2",
                "build": "1803290030",
            }
            for at, host in enumerate(consoles)
        ],
        "link": {"megabytes_per_second": 1100, "mover_megabytes_per_second": 900},
        "frames": [
            _frame(at, name, consoles[at // under_one], [*_disks(partitions[name]), *_disks(partitions[names[at ^ 1]])])
            for at, name in enumerate(names)
        ],
        "storage": {
            "model": "2107900",
            "ports": list(PORTS),
            "luns": luns,
            "masked": {
                wwpn: [disk["lun"] for disk in one["entry"]["npiv_disks"]]
                for one in found
                for adapter in one["entry"].get("fc", ())
                for wwpn in adapter["wwpns"]
            },
        },
        "fabrics": fabrics,
        "partitions": [one["entry"] for one in found],
    }


PORTS = ("500507680B21AC01", "500507680B22AC01")


def _disks(partitions: list[dict[str, Any]]) -> list[str]:
    """The LUNs that go through the I/O servers, in the order of their disks there."""
    return [lun for one in partitions if "scsi" in one["entry"] for lun in one["luns"]]


def _partitions(at: int, each: int) -> list[dict[str, Any]]:
    """The partitions of a frame, each with its entry and its LUNs."""
    found: list[dict[str, Any]] = []
    for number in range(1, each + 1):
        found.append(_partition(at, number, each, len(_disks(found)) + 1))
    return found


def _frame(at: int, name: str, console: str, luns: list[str]) -> dict[str, Any]:
    serial = f"21B{at + 1:04X}"
    return {
        "name": name,
        "hmc": console,
        "system_name": f"Server-{MODEL}-SN{serial}",
        "type_model": MODEL,
        "serial": serial,
        "firmware": "SV860_138",
        "memory_mb": 1048576,
        "firmware_memory_mb": 12288,
        "memory_region_mb": 256,
        "processors": 48,
        "clock_mhz": 3525,
        "compat_modes": ["default", "POWER6", "POWER6+", "POWER7", "POWER8"],
        "enterprise": True,
        "active_migrations_supported": 16,
        "inactive_migrations_supported": 16,
        "planar": f"U78C9.001.WZS{at:04X}",
        "unique_frame_id": f"8000{at + 10:02X}2861B000",
        "vios": [_vios(at, name, number, luns) for number in (1, 2)],
    }


def _vios(at: int, name: str, number: int, luns: list[str]) -> dict[str, Any]:
    planar = f"U78C9.001.WZS{at:04X}-P1-C{11 + number}"
    return {
        "name": f"{name}-vios{number}",
        "hostname": f"{name}-vios{number}",
        "lpar_id": number,
        "level": VIOS_LEVEL,
        "memory_mb": 16384,
        "proc_units": 1.0,
        "virtual_processors": 4,
        "address": f"192.0.2.{110 + 2 * at + number}",
        "max_virtual_slots": 600,
        "sea": {
            "name": "ent8",
            "backing": "ent0",
            "trunk": "ent4",
            "slot": 3,
            "port_vlan_id": 1,
            "additional_vlan_ids": [100],
            "mac": f"5A8F{at:02X}{number:02X}0003",
            "priority": number,
        },
        "physical_ethernet": "PCIe2 4-port Adapter (10GbE SFP+) (e4148a1614109304)",
        "vasi": "vasi0",
        "fc_ports": [
            {"name": "fcs0", "location": f"{planar}-T1", "fabric": "fabric_a"},
            {"name": "fcs1", "location": f"{planar}-T2", "fabric": "fabric_b"},
        ],
        "disks": [
            {"name": "hdisk0", "pvid": f"00fa{at:02x}{number}73f1b6d2", "volume_group": "rootvg", "size_mb": 286102},
            # Its own partitions' disks come first, so that a LUN has another number on the other frame.
            *({"name": f"hdisk{place}", "lun": lun, "size_mb": 51200} for place, lun in enumerate(luns, 1)),
        ],
    }


def _partition(at: int, number: int, each: int, first_disk: int) -> dict[str, Any]:
    name, frame = f"lp{at + 1:02}{number:03}", f"f{at + 1:02}"
    kinds = {each: "not activated", each - 1: "linux"} if each > 2 else {}
    kind = kinds.get(number, "fibre" if number % 4 == 2 else "scsi")
    luns = {
        f"{at:01x}{number:02x}{disk}": {
            "pvid": f"00f21a{at:02x}{number:04x}{disk:04x}",
            "unique_id": f"200B75FBLA1{at:01X}{number:02X}{disk}07210790003IBMfcp",
            "size_mb": 51200,
        }
        for disk in (0, 1)
    }
    running = kind != "not activated"
    aix = kind in ("scsi", "fibre")
    found: dict[str, Any] = {
        "name": name,
        "frame": frame,
        "lpar_id": 2 + number + OTHER_IDS * (at % 2),
        "state": "Running" if running else "Not Activated",
        "environment": "aixlinux",
        "os_version": f"AIX 7.2 {AIX_LEVEL}"
        if aix
        else "Linux/SuSE 4.4.103-92.56-default 12.2"
        if running
        else "Unknown",
        "level": AIX_LEVEL if aix else "",
        "compat_mode": "POWER8",
        "memory": {"min_mb": 2048, "mb": 8192, "max_mb": 16384},
        "processors": {
            "mode": "shared",
            "min_units": 0.1,
            "units": 0.4,
            "max_units": 8.0,
            "min": 1,
            "virtual": 2,
            "max": 16,
            "sharing": "uncap",
            "weight": 128,
        },
        "profiles": ["normal"],
        "max_virtual_slots": 20,
        "ethernets": [{"slot": 4, "mac": f"5A8F{at:02X}{number:02X}0004", "port_vlan_id": 100}],
        "address": f"198.51.{100 + at}.{number}",
        "rmc_state": "active" if running else "none",
    }
    if aix:
        found["host"] = "shared"
    if kind == "fibre":
        wwpns = [f"c0507608{at:02x}{number:02x}00{last:02x}" for last in range(4)]
        found["fc"] = [
            {"slot": 5, "server": f"{frame}-vios1", "server_slot": 200 + number, "port": "fcs0", "wwpns": wwpns[:2]},
            {"slot": 6, "server": f"{frame}-vios2", "server_slot": 200 + number, "port": "fcs1", "wwpns": wwpns[2:]},
        ]
        groups = ("rootvg", "datavg")
        found["npiv_disks"] = [{"lun": lun, "volume_group": group} for lun, group in zip(luns, groups, strict=True)]
    else:
        disks = [
            {"vtd": f"{name}_{part}", "backing": f"hdisk{first_disk + place}", "volume_group": f"{part}vg"}
            for place, part in enumerate(("root", "data"))
        ]
        found["scsi"] = [
            {"slot": 1 + server, "server": f"{frame}-vios{server}", "server_slot": 10 + number, "disks": disks}
            for server in (1, 2)
        ]
    return {"entry": found, "luns": luns}
