"""The processes and the up time of an AIX partition: ``uptime``, ``who``, ``date``, ``ps``, ``lssrc`` (`BOND`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lpmkit.simulator import recalled
from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells import aix_clusters
from lpmkit.simulator.shells.reply import Context, Reply, lines

RSCT = ("IBM.ConfigRM", "IBM.DRM", "IBM.HostRM", "IBM.MgmtDomainRM", "IBM.ServiceRM")


def uptime(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """``  03:47PM   up 4 days,   5:42,  12 users,  load average: 0.32, 0.43, 0.36`` (`NOVA-IVM`, there on a VIOS)."""
    days, rest = divmod(int(context.wall_s - guest.boot_wall_s), 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return lines(
        f"  {context.time('%I:%M%p')}   up {days} days,  {hours:>2}:{minutes:02},  2 users,  load average: "
        "1.12, 1.04, 0.98"
    )


def who(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    if any("b" in word for word in arguments):
        boot = time.strftime("%b %d %H:%M", time.gmtime(guest.boot_wall_s))
        return lines(f"   .        system boot {boot}     ")
    user = guest.sap.administrator if guest.sap is not None else "root"
    return lines(f"{user:<12}{'pts/0':<12}{context.time('%b %d')} 08:11     (192.0.2.17)")


def date(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    form = next((word[1:] for word in arguments if word.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    seconds = str(int(context.wall_s))
    return lines(context.time(form.replace("%s", seconds).replace("%Z", "UTC").replace("%n", "\n")))


def hostname(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    return lines(guest.name)


def lssrc(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """`` ctrmc            rsct             3801192      active`` (`BOND`); an inoperative line has no process id."""
    names = [
        ("syslogd", "ras"),
        ("sshd", "ssh"),
        ("inetd", "tcpip"),
        ("ctrmc", "rsct"),
        *((name, "rsct_rm") for name in RSCT),
    ]
    if "-a" not in arguments:
        wanted = arguments[-1] if arguments else ""
        names = [(name, group) for name, group in names if wanted in (name, group)]
        if not names:
            return Reply(err=f"0513-085 The {wanted} Subsystem is not on file.\n", status=1)
    head = "Subsystem         Group            PID          Status "
    rows = []
    for at, (name, group) in enumerate(names):
        active = guest.rmc_active or not group.startswith("rsct")
        pid, status = (str(229420 + 4096 * at), "active") if active else ("", "inoperative")
        rows.append(f" {name:<16} {group:<16} {pid:<12} {status}")
    return lines(head, *rows)


@dataclass(frozen=True, slots=True)
class Process:
    user: str
    pid: int
    ppid: int
    command: str
    arguments: str
    started_s: float | None = None

    @property
    def share(self) -> float:
        """The share of a processor that it uses, made up from its name and number: work processes and the database
        work, daemons rest.
        """
        busy = 0.02 if self.command.startswith(("disp+work", "dw.sap", "oracle")) else 0.0004
        return busy * (1 + self.pid // 4096 % 5) / 3

    def cpu_s(self, guest: Guest, context: Context) -> float:
        """The processor time that it has used."""
        began = guest.boot_wall_s if self.started_s is None else self.started_s
        return 2.0 + max(0.0, context.wall_s - began) * self.share

    def column(self, name: str, guest: Guest, context: Context) -> str:
        began = guest.boot_wall_s + self.pid // 10000 if self.started_s is None else self.started_s
        elapsed = int(context.wall_s - began)
        days, rest = divmod(max(0, elapsed), 86400)
        clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
        known = {
            "user": self.user,
            "ruser": self.user,
            "pid": str(self.pid),
            "ppid": str(self.ppid),
            "comm": self.command,
            "args": self.arguments,
            "etime": f"{days}-{clock}" if days else clock,
            "time": _cpu_clock(self.cpu_s(guest, context)),
            "pcpu": "0.1",
            "vsz": "10240",
            "tty": "-",
            "nice": "20",
        }
        return known.get(name, "-")


def processes(guest: Guest) -> list[Process]:
    """Plausible processes: AIX, sshd, a database. Those of an SAP system are its own affair."""
    found = [("root", 1, 0, "init", "/etc/init"), ("root", 155726, 1, "syncd", "/usr/sbin/syncd 60")]
    daemons = ("srcmstr", "errdemon", "cron", "syslogd", "rmcd", "IBM.DRMd", "sshd")
    found += [("root", 188500 + 4096 * at, 1, name, f"/usr/sbin/{name}") for at, name in enumerate(daemons)]
    if guest.oracle_sid:
        user = f"ora{guest.oracle_sid.lower()}"
        for at, name in enumerate(("pmon", "psp0", "mman", "dbw0", "lgwr", "ckpt", "smon", "reco", "arc0", "arc1")):
            found.append((user, 323600 + 4096 * at, 1, "oracle", f"ora_{name}_{guest.oracle_sid}"))
        found.append((user, 401408, 1, "tnslsnr", "/oracle/bin/tnslsnr LISTENER -inherit"))
    for at, line in enumerate(aix_clusters.processes(guest)):
        found.append(("root", 450560 + 4096 * at, 1, line.split()[0].rsplit("/", 1)[-1], line))
    return [Process(*each) for each in found]


def ps(guest: Guest, arguments: Sequence[str], context: Context, others: Sequence[Process] = ()) -> Reply:
    """``ps -ef``, ``ps -e -o user,pid=,args``; ``others`` are the processes of what is installed besides.

    Columns of ``-o`` are joined by single blanks; a name with ``=`` has no heading.
    """
    words, there = list(arguments), [*processes(guest), *others]
    asked = [words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("-") and word.endswith("o")]
    if asked:
        return _columns(guest, there, ",".join(asked).split(","), context)
    if not any("f" in word for word in words):
        rows = [f"{each.pid:>7}      - {_minutes(each.cpu_s(guest, context)):>5} {each.command}" for each in there[:4]]
        return lines("    PID    TTY  TIME CMD", *rows)
    boot = time.strftime("%b %d", time.gmtime(guest.boot_wall_s))
    rows = [
        f"{each.user:>8} {each.pid:>7} {each.ppid:>7} {round(each.share * 100):>3}   {_since(each, boot, context)}"
        f"      - {_minutes(each.cpu_s(guest, context)):>5} {each.arguments}"
        for each in there
    ]
    return lines("     UID     PID    PPID   C    STIME    TTY  TIME CMD", *rows)


def ps_with_environment(
    guest: Guest, pid: str, context: Context, user: str, environment: str, others: Sequence[Process] = ()
) -> Reply:
    """``ps eww PID``: the process, and its environment where the user may see that."""
    process = next((each for each in [*processes(guest), *others] if str(each.pid) == pid), None)
    if process is None:
        return Reply("    PID    TTY STAT  TIME COMMAND\n", status=1)
    shown = f" {environment}" if user in ("root", process.user) and process.user.startswith("ora") else ""
    row = f"{process.pid:>7}      - A    {_minutes(process.cpu_s(guest, context)):>5} {process.arguments}{shown}"
    return lines("    PID    TTY STAT  TIME COMMAND", row)


def _since(process: Process, boot: str, context: Context) -> str:
    """The day, or the time of day of a process younger than that."""
    if process.started_s is None or context.wall_s - process.started_s > 86400:
        return boot
    return time.strftime("%H:%M:%S", time.gmtime(process.started_s))


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _cpu_clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) % 3600 // 60:02}:{int(seconds) % 60:02}"


def topas(guest: Guest, arguments: Sequence[str], context: Context, others: Sequence[Process] = ()) -> Reply:
    """One page of ``topas``: the processes that use the most of the processors."""
    there = sorted([*processes(guest), *others], key=lambda each: (-each.share, each.pid))
    rows = tuple(recalled.TopasRow(each.command, each.pid, each.share * 100, each.user) for each in there[:12])
    busy = min(95.0, sum(each.share for each in there) * 100)
    when = context.time("%a %b %e %H:%M:%S %Y")
    return Reply(recalled.topas_page(guest.name, when, busy, ("en0", 41.2, 38.9), "hdisk0", rows))


def _columns(guest: Guest, there: Sequence[Process], asked: Sequence[str], context: Context) -> Reply:
    names = [name.partition("=")[0].strip() for name in asked]
    titles = {"args": "COMMAND", "comm": "COMMAND", "etime": "ELAPSED", "pcpu": "%CPU", "ruser": "RUSER"}
    head = " ".join(titles.get(name, name.upper()) for name, full in zip(names, asked, strict=True) if "=" not in full)
    rows = [" ".join(each.column(name, guest, context) for name in names) for each in there]
    return lines(head, *rows) if head else lines(*rows)
