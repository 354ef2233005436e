"""The commands of an AIX partition that only look at its state; files and ``perl`` are the partition process's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells import aix_clusters, aix_devices, aix_errors, aix_identity, aix_memory, aix_system
from lpmkit.simulator.shells.reply import Context, Reply, lines

Handler = Callable[[Guest, Sequence[str], Context], Reply]


def run(guest: Guest, words: Sequence[str], context: Context, user: str = "root") -> Reply | None:
    """Answer a command; ``None`` when there is none of that name (``python3`` is none on an AIX 5.3)."""
    clustered = aix_clusters.run(guest, words)
    if clustered is not None:
        return clustered
    name = words[0].rsplit("/", 1)[-1] if words[0].startswith(("/usr/", "/bin/", "/sbin/", "/etc/")) else words[0]
    if user != "root" and name in ("whoami", "id"):
        return lines(user if name == "whoami" else f"uid=205({user}) gid=201(sapsys) groups=202(oper),203(dba)")
    handler = HANDLERS.get(name)
    return None if handler is None else handler(guest, words[1:], context)


def whoami(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    return lines("root")


def user_id(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    return lines("uid=0(root) gid=0(system) groups=2(bin),3(sys),7(security),8(cron),10(audit),11(lp)")


HANDLERS: dict[str, Handler] = {
    "uname": aix_identity.uname,
    "oslevel": aix_identity.oslevel,
    "lsconf": aix_identity.lsconf,
    "prtconf": aix_identity.lsconf,
    "lparstat": aix_identity.lparstat,
    "errpt": aix_errors.errpt,
    "lsdev": aix_devices.lsdev,
    "lspv": aix_devices.lspv,
    "lsvg": aix_devices.lsvg,
    "lspath": aix_devices.lspath,
    "lsattr": aix_devices.lsattr,
    "ifconfig": aix_devices.ifconfig,
    "lssrc": aix_system.lssrc,
    "uptime": aix_system.uptime,
    "who": aix_system.who,
    "ps": aix_system.ps,
    "topas": aix_system.topas,
    "date": aix_system.date,
    "hostname": aix_system.hostname,
    "svmon": aix_memory.svmon,
    "vmstat": aix_memory.vmstat,
    "whoami": whoami,
    "id": user_id,
}
