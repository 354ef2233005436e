"""The VIOS side of a ``padmin`` login: which command is whose, ``ioscli``, ``oem_setup_env``, and the small commands.

Typed by a person, VIOS commands need no prefix. Over an SSH exec they are there only as ``ioscli lsmap …``, and the
manager's commands only without it (`NOVA-IVM`, `HMCSCAN`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import Frame, LoggedError, World
from lpmkit.simulator.shells import vios_devices, vios_maps
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Context, Reply, lines, not_found

Handler = Callable[[World, Frame, Sequence[str], Context], Reply]

UP_SINCE_S = 41 * 86400 + 5 * 3600 + 42 * 60
"""How long both VIOS have been up when the simulator starts: it has to be something."""


def run(world: World, frame: Frame, words: Sequence[str], context: Context) -> Reply | None:
    """Answer a VIOS command; ``None`` when there is none of that name."""
    handler = HANDLERS.get(words[0])
    return None if handler is None else handler(world, frame, words[1:], context)


def error_log(entries: Sequence[LoggedError], date: Callable[[LoggedError], str]) -> Reply:
    """The summary that ``errlog`` and ``errpt`` share, newest first."""
    head = f"{'IDENTIFIER':<10} {'TIMESTAMP':<10} T C {'RESOURCE_NAME':<14} DESCRIPTION"
    rows = [
        (
            f"{entry.identifier:<10} {date(entry):<10} {entry.type} {entry.error_class} {entry.resource:<14} "
            f"{entry.description}"
        )
        for entry in reversed(entries)
    ]
    return lines(head, *rows) if rows else Reply()


def errlog(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, "-seq -rm", "-ls")
    entries = frame.vios.errors
    if "-ls" not in options:
        return error_log(entries, lambda entry: context_at(entry).time("%m%d%H%M%y"))
    return lines(*(line for entry in reversed(entries) for line in _long(frame, entry)))


def context_at(entry: LoggedError) -> Context:
    return Context(wall_s=entry.wall_s)


def _long(frame: Frame, entry: LoggedError) -> list[str]:
    return [
        "-" * 75,
        f"LABEL:          {entry.label}",
        f"IDENTIFIER:     {entry.identifier}",
        "",
        f"Date/Time:       {context_at(entry).time('%a %b %e %H:%M:%S UTC %Y')}",
        f"Node Id:         {frame.vios.hostname}",
        f"Class:           {entry.error_class}",
        f"Type:            {entry.type}",
        f"Resource Name:   {entry.resource}",
        "",
        "Description",
        entry.description,
        "",
    ]


def vasistat(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, "-stream -interval", "-all -debug -reset")
    vios = frame.vios
    device = (*options.words, vios.vasi or "")[0]
    if options.unknown is not None or options.missing is not None or vios.vasi is None or device != vios.vasi:
        return Reply(err=f"vasistat: 0909-003 Unable to connect to device {device}, errno = 19\n", status=1)
    every = [found.migration for found in world.on(frame.name) if found.migration is not None]
    moving = [each for each in every if (each.source_msp if each.source == frame.name else each.dest_msp) == vios.name]
    streams = tuple(
        recalled.Stream(
            each.stream,
            each.phase,
            "migration source" if each.source == frame.name else "migration target",
            each.bytes_transmitted + each.bytes_remaining,
            each.bytes_remaining,
        )
        for each in moving
    )
    out, received = vios_devices.mover_bytes(world, frame)
    shown = streams if "-all" in options else ()
    if "-stream" in options:
        shown = tuple(each for each in streams if str(each.number) == options["-stream"])
    return Reply(recalled.vasistat_page(device, UP_SINCE_S, out, received, shown))


#: Kilobytes a second of a move over a link of 1 Gb, and of the rest.
COPY_KB, IDLE_KB = 112_400.0, 14.6


def topas(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """One page of ``topas``: a move shows on the interface of the shared Ethernet adapter, and in the processors."""
    every = [found.migration for found in world.on(frame.name) if found.migration is not None]
    copying = [each for each in every if each.bytes_transmitted and each.bytes_remaining]
    out = IDLE_KB + (COPY_KB if any(each.source == frame.name for each in copying) else 0.0)
    into = IDLE_KB + (COPY_KB if any(each.target == frame.name for each in copying) else 0.0)
    interface = f"en{frame.vios.sea.name.removeprefix('ent')}" if frame.vios.sea else "en0"
    usual = (recalled.TopasRow("seaproc", 176_200, 2.1, "root"), recalled.TopasRow("java", 245_760, 0.4, "padmin"))
    rows = (recalled.TopasRow("mover", 311_412, 31.0, "root"), *usual) if copying else usual
    busy = 38.0 if copying else 4.0
    when = context.time("%a %b %e %H:%M:%S %Y")
    return Reply(recalled.topas_page(frame.vios.hostname, when, busy, (interface, into, out), "hdisk0", rows))


def cluster(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``cluster -list`` and ``-status -clustername NAME``: the cluster of a shared storage pool (both recalled)."""
    options = read(arguments, "-clustername", "-list -status -info")
    pool = world.pool_of(frame.vios.name)
    if options.unknown is not None or options.missing is not None:
        return Reply(err="Option flag is not valid\n", status=1)
    if pool is None or ("-status" in options and options["-clustername"] != pool.cluster):
        return Reply(err=f"{recalled.NO_CLUSTER}\n", status=1)
    if "-list" in options:
        return lines(f"CLUSTER_NAME:    {pool.cluster}", f"CLUSTER_ID:      {pool.cluster_id}")
    nodes = [(server, one) for one in world.frames for server in one.servers if server.name in pool.servers]
    return Reply(recalled.cluster_page(pool, nodes))


def ioslevel(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    return lines(frame.vios.level)


def lsfware(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``lsfware``: one line (`VIOS-lsfware`)."""
    return lines(f"System Firmware level is {frame.firmware}")


def hostname(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    return lines(frame.vios.hostname)


def netstat(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``netstat -num -state``-like: the interface table of AIX."""
    address = frame.vios.address
    network = address.rsplit(".", 1)[0] + ".0"
    mac = (
        ".".join(frame.vios.sea.mac[at : at + 2].lower().lstrip("0") or "0" for at in range(0, 12, 2))
        if frame.vios.sea
        else ""
    )
    head = f"{'Name':<5} {'Mtu':<5} {'Network':<11} {'Address':<17} {'Ipkts':>8} Ierrs {'Opkts':>11} Oerrs  Coll"
    return lines(
        head,
        f"{'en6':<5} {'1500':<5} {'link#2':<11} {mac:<17} {51200913:>8}     0 {48213377:>11}     3     0",
        f"{'en6':<5} {'1500':<5} {network:<11} {address:<17} {51200913:>8}     0 {48213377:>11}     3     0",
        f"{'lo0':<5} {'16896':<5} {'127':<11} {'127.0.0.1':<17} {88122:>8}     0 {88194:>11}     0     0",
    )


def sysstat(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    days, rest = divmod(UP_SINCE_S, 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return lines(
        f"{context.time('%I:%M%p')}   up {days} days,  {hours:>2}:{minutes:02},  1 user,  load average: 0.32, "
        "0.43, 0.36"
    )


def date(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    return lines(context.time("%a %b %e %H:%M:%S UTC %Y"))


def ioscli_help(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    return lines("The commands of this simulated VIOS:", *(f"  {name}" for name in sorted(HANDLERS)))


def root(world: World, frame: Frame, words: Sequence[str], context: Context) -> Reply:
    """A command behind ``oem_setup_env``: the AIX under the VIOS, of which only a little is here."""
    if list(words) == ["pcmpath", "query", "device"]:
        return vios_devices.pcmpath(world, frame)
    if words[0] == "hostname":
        return lines(frame.vios.hostname)
    if words[0] == "ioscli" and len(words) > 1:
        return run(world, frame, words[1:], context) or not_found(words[1])
    if words[0] == "date":
        return date(world, frame, words[1:], context)
    return not_found(words[0])


HANDLERS: dict[str, Handler] = {
    "lsmap": vios_maps.lsmap,
    "lsdev": vios_devices.lsdev,
    "lspv": vios_devices.lspv,
    "lspath": vios_devices.lspath,
    "lsnports": vios_devices.lsnports,
    "cluster": cluster,
    "chkdev": vios_devices.chkdev,
    "lsrep": vios_devices.lsrep,
    "lsvopt": vios_devices.lsvopt,
    "entstat": vios_devices.entstat,
    "vasistat": vasistat,
    "errlog": errlog,
    "ioslevel": ioslevel,
    "lsfware": lsfware,
    "hostname": hostname,
    "netstat": netstat,
    "sysstat": sysstat,
    "topas": topas,
    "help": ioscli_help,
}
