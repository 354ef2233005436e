"""The commands of a Hardware Management Console, except `migrlpar`, which changes things.

Its listings are an IVM's with ``-m SYSTEM`` in front of them, so most of them are answered by `ivm`. Different are:
many systems; a 0/1 field for each capability (`ZIU`); errors as ``HSCLxxxx text`` on standard output with status 1
(`HMCMCP`, `ZIU`); and ``viosrvcmd``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import OPERATING, Frame, Hmc, World
from lpmkit.simulator.shells import ivm, vios
from lpmkit.simulator.shells.grammar import SyntaxProblem, parse
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.records import Record, listing
from lpmkit.simulator.shells.reply import Context, Reply, lines

Handler = Callable[[World, Hmc, Sequence[str], Context], Reply]

LISTINGS = ("lssyscfg", "lshwres", "lslparmigr", "lsrefcode", "lslparutil")


def run(world: World, hmc: Hmc, words: Sequence[str], context: Context) -> Reply | None:
    """Answer a command of the console; ``None`` when it is none of them."""
    name, *arguments = words
    if name == "viosrvcmd":
        return viosrvcmd(world, hmc, arguments, context)
    if name in LISTINGS:
        return told(_listing(world, hmc, words, context))
    handler = HANDLERS.get(name)
    return None if handler is None else told(handler(world, hmc, arguments, context))


def told(reply: Reply) -> Reply:
    """The reply as an HMC gives it: what an IVM says on standard error comes on standard output, with codes of its
    own.
    """
    said = "".join(f"{recalled.hmc_told(line)}\n" for line in reply.err.splitlines())
    return Reply(reply.out + said, "", reply.status)


def named_system(world: World, hmc: Hmc, words: Sequence[str], context: Context) -> Frame | Reply:
    """The system that ``-m`` means, or what is wrong with it.

    Without ``-m`` an HMC does not know which (`IBMDOC:p8hcg_chsyscfg`).
    """
    wanted = next((value for flag, value in pairwise(words) if flag == "-m"), None)
    if wanted is None:
        return recalled.refusal("flag-missing", context.german, flag="-m")
    frame = next((each for each in world.under(hmc.host) if each.called(wanted)), None)
    return frame or recalled.refusal("system", context.german, system=wanted)


def _listing(world: World, hmc: Hmc, words: Sequence[str], context: Context) -> Reply:
    options = read(words[1:], ivm.LISTING_FLAGS, "--header --all", optional="-F")
    if words[0] == "lssyscfg" and options["-r"] == "sys":
        return _systems(world, hmc, words, context)
    frame = named_system(world, hmc, words, context)
    if isinstance(frame, Reply):
        return frame
    return ivm.run(world, frame, words, context) or Reply()


def _systems(world: World, hmc: Hmc, words: Sequence[str], context: Context) -> Reply:
    """``lssyscfg -r sys``: of all systems, or of the one that ``-m`` names."""
    options = read(words[1:], ivm.LISTING_FLAGS, "--header", optional="-F")
    if options.unknown is not None:
        return recalled.refusal("flag", context.german, flag=options.unknown)
    chosen = world.under(hmc.host)
    if options["-m"] is not None:
        frame = named_system(world, hmc, words, context)
        if isinstance(frame, Reply):
            return frame
        chosen = (frame,)
    rows = [_system(frame, context.time("%m/%d/%Y %H:%M:%S")) for frame in chosen]
    return listing(rows, options["-F"], context, header="--header" in options)


def _system(frame: Frame, sys_time: str) -> Record:
    """Field names and 0/1 values `ZIU`; the list of processor modes as on an IVM (`NOVA-IVM`)."""
    capable = str(int(frame.enterprise)) if frame.state == OPERATING else "unavailable"
    return {
        "name": frame.system_name,
        "type_model": frame.type_model,
        "serial_num": frame.serial,
        "ipaddr": frame.vios.address,
        "state": frame.state,
        "sys_time": sys_time,
        "power_off_policy": "0",
        "active_lpar_mobility_capable": capable,
        "inactive_lpar_mobility_capable": capable,
        "vet_activation_capable": "1",
        "virtual_io_server_capable": "1",
        "lpar_proc_compat_mode_capable": "1",
        "virtual_fc_capable": str(int(any(server.fc_ports for server in frame.servers))),
        "max_lpars": "254",
        "service_lpar_id": "none",
        "lpar_proc_compat_modes": ",".join(frame.compat_modes),
    }


def viosrvcmd(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``viosrvcmd -m SYS -p VIOS -c "lsmap -all"``, without ``ioscli`` inside (`HMCMCP`).

    Which stream errors take is not known.
    """
    options = read(arguments, "-m -p --id -c", "--admin")
    frame = named_system(world, hmc, arguments, context)
    if isinstance(frame, Reply):
        return told(frame)
    named = [one for one in frame.servers if options["-p"] == one.name or options["--id"] == str(one.lpar_id)]
    if not named:
        return told(recalled.refusal("partition", context.german, partition=options["-p"] or options["--id"]))
    frame = frame.at(named[0].name)
    if frame.vios.rmc_state != "active" or frame.state != OPERATING:
        return told(recalled.refusal("rmc", context.german, partition=frame.vios.name))
    try:
        steps = parse(options["-c"] or "")
    except SyntaxProblem as problem:
        return Reply(f"{problem}\n", "", 1)
    out, status = "", 0
    for step in steps:
        words = step.pipeline[0].words
        said = vios.run(world, frame, words, context) if len(step.pipeline) == 1 and words else None
        said = said or recalled.refusal("command", context.german, command=" ".join(words))
        out, status = out + said.out + said.err, min(said.status, 1)
    return Reply(out, "", status)


def mkauthkeys(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``--test`` is silent when the keys are exchanged (`ANS-HMC`)."""
    options = read(arguments, "--ip -u -a", "--test -g -r --passwd")
    if options.unknown is not None:
        return recalled.refusal("flag", context.german, flag=options.unknown)
    address = options["--ip"] or ""
    if "--test" not in options or address == hmc.address:
        return Reply()
    own = world.under(hmc.host)
    if not own:
        return recalled.refusal("ip", context.german, address=address)
    return ivm.remote_manager(world, own[0], address, options["-u"] or "hscroot", context) or Reply()


def lshmc(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``lshmc -V``: two quoted values over several lines (`ZIU`)."""
    if list(arguments) != ["-V"]:
        return recalled.refusal("flag-missing", context.german, flag="-V")
    return lines(
        f'"version= Version: {hmc.version}',
        f" Release: {hmc.release}",
        f" Service Pack: {hmc.service_pack}",
        f"HMC Build level {hmc.build}",
        f'","base_version=V{hmc.version}R{hmc.release}',
        '"',
    )


def lspartition(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``lspartition -dlpar``: two lines for each partition (`BOND`, `ZIU`)."""
    if list(arguments) != ["-dlpar"]:
        return recalled.refusal("flag-missing", context.german, flag="-dlpar")
    rows: list[str] = []
    for frame in world.under(hmc.host):
        known = [
            (server.lpar_id, server.hostname, server.address, server.rmc_state, f"VIOS, {server.level}")
            for server in frame.servers
        ]
        known += [
            (found.lpar_id, found.name, found.address, found.rmc_state, _os(found.level))
            for found in world.on(frame.name)
            if found.address
        ]
        for lpar_id, host, address, state, system in known:
            active = int(state == "active")
            rows.append(f"<#{len(rows) // 2}> Partition:<{lpar_id}*{frame.machine}, {host}, {address}>")
            rows.append(
                f"       Active:<{active}>, OS:<{system}>, DCaps:<{'0x2c5f' if active else '0x0'}>, "
                "CmdCaps:<0x4000001b, 0x1b>, PinnedMem:<1981>"
            )
    return lines(*rows)


def _os(level: str) -> str:
    return f"AIX, {level[:1]}.{level[1:2]}, {level}"


def diagrmc(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``diagrmc -m SYS --ip IP -p L``: the sentence of success is seen (`AVOCADO`), the other one recalled."""
    options = read(arguments, "-m --ip -p --id", "--autocorrect -v")
    frame = named_system(world, hmc, arguments, context)
    if isinstance(frame, Reply):
        return frame
    for flag in ("--ip",):
        if flag not in options:
            return recalled.refusal("flag-missing", context.german, flag=flag)
    known = [(found.name, found.lpar_id, found.rmc_state) for found in world.on(frame.name)]
    known += [(server.name, server.lpar_id, server.rmc_state) for server in frame.servers]
    named = [state for name, lpar_id, state in known if name == options["-p"] or str(lpar_id) == options["--id"]]
    if not named:
        return recalled.refusal("partition", context.german, partition=options["-p"] or options["--id"])
    address = options["--ip"]
    if named[0] == "active":
        return lines(f"{address} has RMC connection.")
    return lines(recalled.NO_RMC.format(address=address))


def lsmigrdbg(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``lsmigrdbg -r config|file``: that it keeps data of failed moves is documented (lsmigrdbg), its fields are
    recalled.
    """
    options = read(arguments, "-r -m --filter", "--header", optional="-F")
    if options["-r"] not in ("config", "file"):
        return recalled.refusal("resource", context.german, resource=options["-r"])
    if options["-r"] == "config":
        return listing([recalled.DEBUG_CONFIGURATION], options["-F"], context)
    failed = [
        {"name": f"migration_{found.name}_{found.migration.number}.zip", "lpar_name": found.name}
        for found in world.partitions
        if found.migration is not None and not found.migration.mover_running and not found.is_shell
    ]
    return listing(failed, options["-F"], context)


def lsmemopt(world: World, hmc: Hmc, arguments: Sequence[str], context: Context) -> Reply:
    """``lsmemopt -m SYS -r lpar -o currscore``: the affinity scores (`HMCMCP`); a partition that is off has none."""
    options = read(arguments, "-m -r -o -p --id --filter", "--header", optional="-F")
    frame = named_system(world, hmc, arguments, context)
    if isinstance(frame, Reply):
        return frame
    if (options["-r"], options["-o"]) != ("lpar", "currscore"):
        return recalled.refusal("resource", context.german, resource=f"{options['-r']} {options['-o']}")
    servers: list[Record] = [
        {"lpar_name": one.name, "lpar_id": str(one.lpar_id), "curr_lpar_score": "100"} for one in frame.servers
    ]
    rows: list[Record] = [
        {
            "lpar_name": found.name,
            "lpar_id": str(found.lpar_id),
            "curr_lpar_score": found.says("curr_lpar_score", "100") if found.holds_memory else "none",
        }
        for found in world.on(frame.name)
    ]
    return listing([*servers, *rows], options["-F"], context, header="--header" in options)


HANDLERS: dict[str, Handler] = {
    "mkauthkeys": mkauthkeys,
    "lshmc": lshmc,
    "lspartition": lspartition,
    "diagrmc": diagrmc,
    "lsmigrdbg": lsmigrdbg,
    "lsmemopt": lsmemopt,
}
