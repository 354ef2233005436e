"""The identity of an AIX system: ``uname``, ``lsconf``, ``oslevel``, ``lparstat -i`` (`GLPI`, `GIB-PARTID`)."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells.reply import Context, Reply, lines


def uname(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    here = guest.identity
    facts = {
        "s": "AIX",
        "n": guest.name,
        "r": "3",
        "v": "5",
        "m": here.machine_id,
        "p": "powerpc",
        "u": here.system_id,
        "f": here.unique_id,
        "M": f"IBM,{here.type_model}",
        "L": f"{here.lpar_id} {guest.name}",
        "x": f"AIX {guest.name} 3 5 {here.machine_id}",
    }
    flags = "".join(word[1:] for word in arguments) or "s"
    if "a" in flags:
        return lines(f"AIX {guest.name} 3 5 {here.machine_id}")
    wrong = [flag for flag in flags if flag not in facts]
    if wrong:
        return Reply(err=f"uname: illegal option -- {wrong[0]}\nUsage: uname [-amnprsvxuMfLFl] [-S Name]\n", status=1)
    ordered = [name for name in "snrvmpufMLx" if name in flags]
    return lines(" ".join(facts[name] for name in ordered))


def oslevel(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``-s`` has four groups, ``-r`` two, without a flag the release (`BOND`)."""
    groups = guest.level.split("-")
    if "-s" in arguments:
        return lines(guest.level)
    return lines("-".join(groups[:2]) if "-r" in arguments else ".".join([*groups[0][:3], "0"]))


def lsconf(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``lsconf`` and ``prtconf`` (labels and sections `GLPI`); ``-L`` and ``-m`` as short forms."""
    here = guest.identity
    if "-L" in arguments:
        return lines(f"LPAR Info: {here.lpar_id} {guest.name}")
    if "-m" in arguments:
        return lines(f"Memory Size: {guest.memory_mb} MB")
    return lines(*_machine(guest), *_surroundings(guest), *_resources(guest))


def _machine(guest: Guest) -> list[str]:
    here = guest.identity
    return [
        f"System Model: IBM,{here.type_model}",
        f"Machine Serial Number: {here.serial}",
        f"Processor Type: PowerPC_{guest.compat_mode}",
        f"Processor Implementation Mode: {guest.compat_mode.replace('POWER', 'POWER ')}",
        f"Processor Version: PV_{guest.compat_mode.removeprefix('POWER')}",
        f"Number Of Processors: {guest.virtual}",
        f"Processor Clock Speed: {here.clock_mhz} MHz",
        "CPU Type: 64-bit",
        "Kernel Type: 64-bit",
        f"LPAR Info: {here.lpar_id} {guest.name}",
        f"Memory Size: {guest.memory_mb} MB",
        f"Good Memory Size: {guest.memory_mb} MB",
        f"Platform Firmware level: {here.firmware}",
        f"Firmware Version: IBM,{here.firmware}",
        "Console Login: enable",
        "Auto Restart: true",
        "Full Core: false",
    ]


def _surroundings(guest: Guest) -> list[str]:
    network = guest.address.rsplit(".", 1)[0]
    return [
        " ",
        "Network Information",
        f"\tHost Name: {guest.name}",
        f"\tIP Address: {guest.address}",
        "\tSub Netmask: 255.255.255.0",
        f"\tGateway: {network}.1",
        f"\tName Server: {network}.1",
        "\tDomain Name: example.com",
        " ",
        "Paging Space Information",
        "\tTotal Paging Space: 8192MB",
        "\tPercent Used: 4%",
        " ",
        "Volume Groups Information",
        "=" * 78,
    ]


def _resources(guest: Guest) -> list[str]:
    rows: list[str] = []
    for group in dict.fromkeys(disk.volume_group for disk in guest.disks):
        rows += [
            f"{group}:",
            "PV_NAME           PV STATE          TOTAL PPs   FREE PPs    FREE DISTRIBUTION",
            *(
                f"{disk.name:<18}{'active':<18}{disk.size_mb // 64:<12}{disk.size_mb // 640:<12}00..00..00..00..{disk.size_mb // 640}"
                for disk in guest.disks
                if disk.volume_group == group
            ),
            "=" * 78,
            " ",
        ]
    unit = f"U{guest.identity.type_model.replace('-', '.')}.{guest.identity.serial}-V{guest.identity.lpar_id}"
    return [
        *rows,
        "INSTALLED RESOURCE LIST",
        " ",
        "The following resources are installed on the machine.",
        "+/- = Added or deleted from Resource List.",
        "*   = Diagnostic support not available.",
        " ",
        "  Model Architecture: chrp",
        "  Model Implementation: Multiple Processor, PCI bus",
        " ",
        "+ sys0                            System Object",
        "+ sysplanar0                      System Planar",
        "* vio0                            Virtual I/O Bus",
        f"* vscsi0           {unit}-C2-T1  Virtual SCSI Client Adapter",
        *(
            f"* {disk.name:<16} {unit}-C2-T1-L8{at + 1}0000000000  Virtual SCSI Disk Drive"
            for at, disk in enumerate(guest.disks)
        ),
        f"* ent0             {unit}-C4-T1  Virtual I/O Ethernet Adapter (l-lan)",
        f"* vsa0             {unit}-C0  LPAR Virtual Serial Adapter",
        "+ L2cache0                        L2 Cache",
        "+ mem0                            Memory",
        *(f"+ proc{2 * at}                           Processor" for at in range(guest.virtual)),
    ]


def lparstat(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``lparstat -i``: labels padded to column 43 (`GLPI`). In German the numbers have commas."""
    if "-i" not in arguments:
        return _sampled(guest)
    here = guest.identity
    mode = "Uncapped" if guest.sharing == "uncap" else "Capped"
    facts = {
        "Node Name": guest.name,
        "Partition Name": guest.name,
        "Partition Number": str(here.lpar_id),
        "Type": "Shared-SMT" if guest.mode == "shared" else "Dedicated-SMT",
        "Mode": mode,
        "Entitled Capacity": f"{guest.units:.2f}",
        "Partition Group-ID": str(32768 + here.lpar_id),
        "Shared Pool ID": "0",
        "Online Virtual CPUs": str(guest.virtual),
        "Maximum Virtual CPUs": str(guest.max_virtual),
        "Minimum Virtual CPUs": str(guest.min_virtual),
        "Online Memory": f"{guest.memory_mb} MB",
        "Maximum Memory": f"{guest.max_memory_mb} MB",
        "Minimum Memory": f"{guest.min_memory_mb} MB",
        "Variable Capacity Weight": str(guest.weight),
        "Minimum Capacity": f"{guest.min_units:.2f}",
        "Maximum Capacity": f"{guest.max_units:.2f}",
        "Capacity Increment": f"{0.01:.2f}",
        "Maximum Physical CPUs in system": str(here.processors_in_system),
        "Active Physical CPUs in system": str(here.processors_in_system),
        "Active CPUs in Pool": str(here.processors_in_system),
        "Unallocated Capacity": f"{0:.2f}",
        "Physical CPU Percentage": f"{guest.units / guest.virtual:.2%}",
        "Unallocated Weight": "0",
    }
    if not context.german:
        return lines(*(f"{label:<43}: {value}" for label, value in facts.items()))
    return lines(*(f"{label.replace(' ', '  '):<43}: {_comma(value)}" for label, value in facts.items()))


def _comma(value: str) -> str:
    """
    >>> _comma("0.80"), _comma("bxaix85.example")
    ('0,80', 'bxaix85.example')
    """
    return value.replace(".", ",") if value.rstrip("%").replace(".", "", 1).isdigit() else value


def _sampled(guest: Guest) -> Reply:
    mode = "Uncapped" if guest.sharing == "uncap" else "Capped"
    return lines(
        "",
        f"System configuration: type=Shared mode={mode} smt=On lcpu={guest.virtual * 2} mem={guest.memory_mb} "
        f"psize={guest.identity.processors_in_system} ent={guest.units:.2f}",
        "",
        "%user  %sys  %wait  %idle physc %entc  lbusy  vcsw phint",
        "----- ----- ------ ------ ----- ----- ------ ----- -----",
        " 21.4   6.3    2.2   70.1  0.31  38.7   11.2  1843    12",
    )
