"""The commands of a partition with Linux that only look at its state, and the files of its kernel.

The kernel's files are `LINUX-LPARCFG` and `INSIGHTS-IBM`; programs print as their manual pages show. A program of AIX
is none here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells import aix_clusters, aix_system
from lpmkit.simulator.shells.reply import Context, Reply, lines

Handler = Callable[[Guest, Sequence[str], Context], Reply]

#: Distributions by the word that a manager lists for them, as ``/etc/os-release`` has their names.
DISTRIBUTIONS = {
    "Red Hat": "Red Hat Enterprise Linux",
    "SuSE": "SUSE Linux Enterprise Server",
    "Ubuntu": "Ubuntu",
}
_LISTED = re.compile(r"Linux/(?P<distribution>.+?) (?P<kernel>\d\S+) (?P<release>.+)")


def run(guest: Guest, words: Sequence[str], context: Context) -> Reply | None:
    """Answer a command; ``None`` for a file that is not the kernel's, which the partition has itself."""
    clustered = aix_clusters.run(guest, words)
    if clustered is not None:
        return clustered
    name = words[0].rsplit("/", 1)[-1]
    if name == "cat":
        found = [kernel_file(guest, path) for path in words[1:]]
        texts = [text for text in found if text is not None]
        return Reply(out="".join(texts)) if texts and len(texts) == len(found) else None
    handler = HANDLERS.get(name)
    if handler is None:
        return Reply(err=f"bash: line 1: {words[0]}: command not found\n", status=127)
    return handler(guest, words[1:], context)


def kernel_file(guest: Guest, path: str) -> str | None:
    """The content that the kernel shows under a path; ``None`` where it has no such file."""
    here = guest.identity
    texts = {
        "/proc/powerpc/lparcfg": (
            "lparcfg 1.9\n\n"
            f"serial_number={here.system_id}\n"
            f"system_type=IBM,{here.type_model}\n"
            f"partition_id={here.lpar_id}\n"
            f"system_potential_processors={here.processors_in_system}\n"
            f"partition_entitled_capacity={round(guest.units * 100)}\n"
            f"shared_processor_mode={int(guest.mode == 'shared')}\n"
        ),
        "/proc/device-tree/ibm,partition-name": f"{guest.name}\0",
        "/proc/device-tree/openprom/ibm,fw-vernum_encoded": f"{here.firmware}\0",
        "/proc/meminfo": (
            f"MemTotal:       {guest.memory_mb << 10:>8} kB\n"
            f"MemFree:        {max(0, guest.memory_mb - round(guest.touched_mb)) << 10:>8} kB\n"
        ),
        "/proc/stat": f"cpu  712 0 431 908112 17 0 9 0 0 0\nbtime {int(guest.boot_wall_s)}\nprocesses 4711\n",
        "/etc/os-release": _os_release(guest),
    }
    return texts.get(path)


def _os_release(guest: Guest) -> str:
    listed = _LISTED.fullmatch(guest.level)
    name = DISTRIBUTIONS.get(listed["distribution"], listed["distribution"]) if listed else "Linux"
    release = listed["release"] if listed else ""
    return f'NAME="{name}"\nVERSION="{release}"\nPRETTY_NAME="{name} {release}"\n'


def uname(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    listed = _LISTED.fullmatch(guest.level)
    kernel = listed["kernel"] if listed else ""
    facts = {"s": "Linux", "n": guest.name, "r": kernel, "m": "ppc64le", "o": "GNU/Linux"}
    flags = "".join(word[1:] for word in arguments) or "s"
    wrong = [flag for flag in flags if flag not in facts]
    if wrong:
        return Reply(err=f"uname: invalid option -- '{wrong[0]}'\nTry 'uname --help' for more information.\n", status=1)
    return lines(" ".join(facts[flag] for flag in facts if flag in flags))


def lsblk(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``lsblk -dn -o NAME,WWN``: the disks; a WWN is the first digits of the LUN's own number, which begins behind five
    others of the ``unique_id`` (`NOVA-IVM`).
    """
    names = [f"sd{chr(ord('a') + at)}" for at in range(len(guest.disks))]
    wwns = [f"0x{disk.unique_id[5:21].lower()}" if disk.unique_id else "" for disk in guest.disks]
    return lines(*(f"{name} {wwn}" for name, wwn in zip(names, wwns, strict=True)))


def kernel_log(guest: Guest) -> list[tuple[float, int, str]]:
    """The kernel's log: time of day, level, text. What a move adds is printed by the kernel at its end
    (`LINUX-KERNEL`), and like every line in the order of time.
    """
    written = [
        (guest.boot_wall_s, 5, "Kernel command line: root=/dev/mapper/rhel-root ro"),
        (guest.boot_wall_s + 0.4, 6, "EEH: pSeries platform initialized"),
        (guest.boot_wall_s + 1.7, 6, "ibmvscsi 30000002: SRP_LOGIN succeeded"),
        (guest.boot_wall_s + 3.1, 4, "hrtimer: interrupt took 8296 ns"),
    ]
    for error in guest.errors:
        if error.label == "CLIENT_PMIG_DONE":
            written += [
                (error.wall_s - 0.2, 6, "ibmvscsi 30000002: Re-enabling adapter!"),
                (error.wall_s - 0.1, 6, "ibmvscsi 30000002: SRP_LOGIN succeeded"),
                (error.wall_s, 6, "mobility: memory transfer completed."),
            ]
    return sorted(written)


def journalctl(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``journalctl -k -o json``: every line of this boot whose level a match ``PRIORITY=`` names; ``-n`` the newest."""
    if "-k" not in arguments or "json" not in arguments:
        return Reply(err="journalctl: only -k -o json is simulated\n", status=1)
    levels = {int(word.partition("=")[2]) for word in arguments if word.startswith("PRIORITY=")}
    newest = int(arguments[arguments.index("-n") + 1]) if "-n" in arguments else 0
    rows = [row for row in kernel_log(guest) if not levels or row[1] in levels][-newest:]
    return lines(
        *(
            json.dumps(
                {
                    "__CURSOR": f"s=1;i={at:x}",
                    "__REALTIME_TIMESTAMP": str(round(wall_s * 1e6)),
                    "__MONOTONIC_TIMESTAMP": str(round((wall_s - guest.boot_wall_s) * 1e6)),
                    "_BOOT_ID": "0" * 32,
                    "PRIORITY": str(level),
                    "MESSAGE": text,
                },
                separators=(",", ":"),
            )
            for at, (wall_s, level, text) in enumerate(rows, 1)
        )
    )


def ps(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``ps -e -o pid,args``: what a system that was just installed runs."""
    daemons = ["/usr/lib/systemd/systemd", "/usr/sbin/sshd -D", "/opt/rsct/bin/rmcd -a IBM.LPCommands -r"]
    daemons += aix_clusters.processes(guest)
    return lines("    PID COMMAND", *(f"{1 + 700 * at:>7} {line}" for at, line in enumerate(daemons)))


HANDLERS: dict[str, Handler] = {
    "uname": uname,
    "lsblk": lsblk,
    "ps": ps,
    "journalctl": journalctl,
    "date": aix_system.date,
    "hostname": aix_system.hostname,
    "uptime": aix_system.uptime,
    "whoami": lambda guest, arguments, context: lines("root"),
    "id": lambda guest, arguments, context: lines("uid=0(root) gid=0(root) groups=0(root)"),
}
