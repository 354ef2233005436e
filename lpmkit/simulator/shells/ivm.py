"""The Integrated Virtualization Manager's commands, except `migrlpar`, which changes things (see `migrlpar`).

``-m`` is accepted and optional, as IVM manages exactly one system (`IBMDOC:p8hcg_chsyscfg`, `NOVA-IVM`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import NOT_MIGRATING, OPERATING, Frame, Migration, Partition, World
from lpmkit.simulator.shells import ivm_records, ivm_resources
from lpmkit.simulator.shells.options import Options, read
from lpmkit.simulator.shells.records import Record, asked_names, filtered, listing
from lpmkit.simulator.shells.reply import Context, Reply, lines

Handler = Callable[[World, Frame, Sequence[str], Context], Reply]

LISTING_FLAGS = "-r -m --rsubtype --level --filter -t --ip -u -n"


def run(world: World, frame: Frame, words: Sequence[str], context: Context) -> Reply | None:
    """Answer a command of the manager; ``None`` when it is none of them."""
    handler = HANDLERS.get(words[0])
    return None if handler is None else handler(world, frame, words[1:], context)


def problem(world: World, frame: Frame, options: Options, context: Context, required: str = "-r") -> Reply | None:
    """The trouble with the options of a command, if any."""
    german = context.german
    if options.unknown is not None:
        return recalled.refusal("flag", german, flag=options.unknown)
    if options.missing is not None:
        return recalled.refusal("flag-value", german, flag=options.missing)
    for flag in required.split():
        if flag not in options:
            return recalled.refusal("flag-missing", german, flag=flag)
    system = options["-m"]
    if system is not None and not frame.called(system):
        return recalled.refusal("system", german, system=system)
    there = {*(server.name for server in frame.servers), *(found.name for found in world.on(frame.name))}
    for name in asked_names(options["--filter"]):
        if name not in there:
            return recalled.refusal("partition", german, partition=name)
    return None


def _print(records: Sequence[Record], options: Options, context: Context) -> Reply:
    known = list(records[0]) if records else []
    chosen = filtered(records, options["--filter"])
    return listing(chosen, options["-F"], context, header="--header" in options, known=known)


def lssyscfg(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, LISTING_FLAGS, "--header", optional="-F")
    wrong = problem(world, frame, options, context)
    if wrong is not None:
        return wrong
    here = world.on(frame.name)
    if options["-r"] == "sys":
        return _print([ivm_records.system(world, frame, context.time("%m/%d/%Y %H:%M:%S"))], options, context)
    if options["-r"] == "lpar":
        servers = (ivm_records.vios_partition(frame, server) for server in frame.servers)
        rows = [*servers, *(ivm_records.partition(frame, found) for found in here)]
        return _print(rows, options, context)
    if options["-r"] == "prof":
        return _print([record for found in here for record in ivm_records.profiles(frame, found)], options, context)
    return recalled.refusal("resource", context.german, resource=options["-r"])


def lshwres(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    options = read(arguments, LISTING_FLAGS, "--header", optional="-F")
    wrong = problem(world, frame, options, context)
    if wrong is not None:
        return wrong
    if frame.state != OPERATING:
        return recalled.refusal("system-state", context.german, system=frame.system_name, state=frame.state)
    rows = _resources(world, frame, options["-r"] or "", options["--rsubtype"], options["--level"])
    if rows is None:
        asked = " ".join(filter(None, (options["-r"], options["--rsubtype"], options["--level"])))
        return recalled.refusal("resource", context.german, resource=asked)
    return _print(rows, options, context)


def _resources(world: World, frame: Frame, kind: str, subtype: str | None, level: str | None) -> list[Record] | None:
    here = world.on(frame.name)
    listings: dict[tuple[str, str | None, str | None], Callable[[], list[Record]]] = {
        ("mem", None, "sys"): lambda: [ivm_resources.memory_of_system(world, frame)],
        ("mem", None, "lpar"): lambda: [
            *(ivm_resources.memory_of_vios(server) for server in frame.servers),
            *(ivm_resources.memory_of_partition(found) for found in here),
        ],
        ("proc", None, "sys"): lambda: [ivm_resources.processors_of_system(world, frame)],
        ("proc", None, "lpar"): lambda: [
            *(ivm_resources.processors_of_vios(frame, server) for server in frame.servers),
            *(ivm_resources.processors_of_partition(frame, found) for found in here),
        ],
        ("virtualio", "scsi", "lpar"): lambda: ivm_resources.scsi_adapters(world, frame),
        ("virtualio", "eth", "lpar"): lambda: ivm_resources.ethernet_adapters(world, frame),
        ("virtualio", "serial", "lpar"): lambda: ivm_resources.serial_adapters(world, frame),
        ("virtualio", "slot", "lpar"): lambda: ivm_resources.slot_limits(world, frame),
        ("virtualio", "slot", "slot"): lambda: ivm_resources.slots(world, frame),
        ("io", "slot", None): lambda: ivm_resources.physical_slots(world, frame),
    }
    if frame.hmc is not None:
        listings |= {
            ("virtualio", "fc", "lpar"): lambda: ivm_resources.fc_adapters(world, frame),
            ("virtualio", "vnic", "lpar"): lambda: ivm_resources.vnics(world, frame),
            ("virtualio", "vnic", None): lambda: ivm_resources.vnics(world, frame),
            ("virtualio", "vswitch", None): lambda: ivm_resources.switches(world, frame),
            ("sriov", "physport", "eth"): lambda: ivm_resources.sriov_ports(world, frame, "eth"),
            ("sriov", "physport", "ethc"): lambda: ivm_resources.sriov_ports(world, frame, "ethc"),
            ("sriov", "physport", "roce"): lambda: ivm_resources.sriov_ports(world, frame, "roce"),
            ("sriov", "logport", "eth"): lambda: ivm_resources.logical_ports(world, frame),
            ("sriov", "logport", "roce"): list,
            ("mempool", None, None): lambda: ivm_resources.memory_pool(world, frame),
            ("mempool", "pgdev", None): lambda: ivm_resources.paging_devices(world, frame),
            ("procpool", None, None): lambda: ivm_resources.pools(world, frame),
        }
    made = listings.get((kind, subtype, level))
    return None if made is None else made()


def lslparmigr(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """Counts and ``migration_state`` are seen (`NOVA-IVM`); the other fields are recalled."""
    options = read(arguments, LISTING_FLAGS, "--header", optional="-F")
    wrong = problem(world, frame, options, context)
    if wrong is not None:
        return wrong
    resource = options["-r"]
    if resource == "sys":
        return _print([_counts(world, frame)], options, context)
    if resource == "lpar":
        return _print([_standing(world, frame, found) for found in world.on(frame.name)], options, context)
    if resource == "manager":
        return _print([{"remote_lpar_mobility_capable": str(int(frame.keys_exchanged))}], options, context)
    if resource in ("msp", "virtualio", "procpool"):
        return _possibilities(world, frame, resource, options, context)
    return recalled.refusal("resource", context.german, resource=resource)


def _counts(world: World, frame: Frame) -> Record:
    return {
        "inactive_lpar_mobility_capable": str(int(frame.enterprise)),
        "num_inactive_migrations_supported": str(frame.inactive_migrations_supported),
        "num_inactive_migrations_in_progress": str(world.migrations_on(frame.name, "inactive")),
        "active_lpar_mobility_capable": str(int(frame.enterprise)),
        "num_active_migrations_supported": str(frame.active_migrations_supported),
        "num_active_migrations_in_progress": str(world.migrations_on(frame.name, "active")),
    }


_MOVING_FIELDS = (
    "migration_type",
    "dest_sys_name",
    "dest_lpar_id",
    "source_msp_name",
    "source_msp_id",
    "dest_msp_name",
    "dest_msp_id",
    "bytes_transmitted",
    "bytes_remaining",
    "remote_manager",
    "remote_user",
)


def _standing(world: World, frame: Frame, found: Partition) -> Record:
    moving = found.migration
    state = NOT_MIGRATING if moving is None else moving.state
    known = {"name": found.name, "lpar_id": str(found.lpar_id), "migration_state": state}
    if moving is None:
        return known | {f"-{name}": "unavailable" for name in _MOVING_FIELDS}
    return known | dict(zip(_MOVING_FIELDS, _moving_values(world, moving), strict=True))


def _moving_values(world: World, moving: Migration) -> tuple[str, ...]:
    source, target = world.frame(moving.source), world.frame(moving.target)
    return (
        moving.type,
        target.system_name,
        str(moving.dest_lpar_id),
        moving.source_msp,
        str(source.server(moving.source_msp).lpar_id),
        moving.dest_msp,
        str(target.server(moving.dest_msp).lpar_id),
        str(moving.bytes_transmitted),
        str(moving.bytes_remaining),
        moving.remote_manager,
        moving.remote_user,
    )


def _possibilities(world: World, frame: Frame, resource: str, options: Options, context: Context) -> Reply:
    """The resources that a move could use on the target. All of it is recalled."""
    for flag in ("-t", "--filter"):
        if flag not in options:
            return recalled.refusal("flag-missing", context.german, flag=flag)
    target = world.frame_called(options["-t"] or "")
    if target is None:
        return recalled.refusal("system", context.german, system=options["-t"])
    listed = [(found, {"lpar_name": found.name, "lpar_id": str(found.lpar_id)}) for found in world.on(frame.name)]
    chosen = [found for found, row in listed if filtered([row], options["--filter"])]
    if resource == "msp":
        return _listed([row for found in chosen for row in recalled.mover_pairs(frame, target)], options, context)
    if resource == "virtualio":
        return _listed([recalled.possible_mappings(world, found, frame, target) for found in chosen], options, context)
    return _listed([recalled.possible_pools(target) for found in chosen], options, context)


def _listed(rows: Sequence[Record], options: Options, context: Context) -> Reply:
    return listing(rows, options["-F"], context, header="--header" in options)


def lsrefcode(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """An AIX partition that runs has no reference code (`NOVA-IVM`, where Linux shows ``Linux ppc64``)."""
    options = read(arguments, LISTING_FLAGS, "--header", optional="-F")
    wrong = problem(world, frame, options, context)
    if wrong is not None:
        return wrong
    stamp = context.time("%m/%d/%Y %H:%M:%S")
    rows = [
        {
            "lpar_name": found.name,
            "lpar_id": str(found.lpar_id),
            "time_stamp": stamp,
            "refcode": "" if found.holds_memory else "00000000",
        }
        for found in world.on(frame.name)
    ]
    return _print(rows, options, context)


def mkauthkeys(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """``--test`` is silent when the keys are exchanged (`NOVA-IVM`); what the other forms do is `exchanged`."""
    options = read(arguments, "--ip -u -a", "--test -g -r --passwd")
    wrong = problem(world, frame, options, context, required="")
    if wrong is not None:
        return wrong
    if "--test" not in options:
        return Reply()
    user = options["-u"] or "padmin"
    return remote_manager(world, frame, options["--ip"] or "", user, context) or Reply()


def exchanged(world: World, frame: Frame, arguments: Sequence[str]) -> World:
    """The world after ``mkauthkeys -g --ip ADDRESS -u USER``: this manager and that one trust each other.

    Nobody is asked for a password here.
    """
    options = read(arguments, "--ip -u -a", "--test -g -r --passwd")
    if options.unknown is not None or "-g" not in options or "--test" in options:
        return world
    there = next((one for one in managers(world) if options["--ip"] in one.addresses), None)
    for name in (*Manager.of(world, frame).frames, *there.frames) if there else ():
        world = world.with_frame(replace(world.frame(name), keys_exchanged=True))
    return world


@dataclass(frozen=True, slots=True)
class Manager:
    """A console or an IVM as another manager reaches it; ``keys`` is whether it has exchanged keys."""

    addresses: tuple[str, ...]
    user: str
    frames: tuple[str, ...]
    keys: bool

    @classmethod
    def of(cls, world: World, frame: Frame) -> Manager:
        """Whoever manages a frame."""
        return next(one for one in managers(world) if frame.name in one.frames)


def managers(world: World) -> tuple[Manager, ...]:
    """Every manager there is."""
    alone = [frame for frame in world.frames if frame.hmc is None]
    consoles = [
        Manager(
            (hmc.address, hmc.host),
            "hscroot",
            tuple(frame.name for frame in world.under(hmc.host)),
            all(frame.keys_exchanged for frame in world.under(hmc.host)),
        )
        for hmc in world.hmcs
    ]
    return (
        *(Manager((one.vios.address, one.vios.hostname), "padmin", (one.name,), one.keys_exchanged) for one in alone),
        *consoles,
    )


def remote_manager(world: World, frame: Frame, address: str, user: str, context: Context) -> Reply | None:
    """The obstacle between this frame's manager and the one at that address, if any."""
    there = next((one for one in managers(world) if address in one.addresses), None)
    if there is None:
        return recalled.refusal("ip", context.german, address=address)
    if user != there.user:
        return recalled.refusal("authority", context.german, user=user, address=address)
    if not (Manager.of(world, frame).keys and there.keys):
        return recalled.refusal("keys", context.german, user=user, address=address)
    return None


def lslparutil(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """Only ``-r sys -F proc_cycles_per_second``, which is the time base of POWER6 (`NOVA-IVM`: 512000000)."""
    options = read(arguments, LISTING_FLAGS, "--header", optional="-F")
    return problem(world, frame, options, context) or _print(
        [{"proc_cycles_per_second": "512000000"}], options, context
    )


def lsvet(world: World, frame: Frame, arguments: Sequence[str], context: Context) -> Reply:
    """No output of this command was ever captured; only that it exists is known (`IVM-cmds`)."""
    return lines(f"mobility_capable={int(frame.enterprise)}")


HANDLERS: dict[str, Handler] = {
    "lssyscfg": lssyscfg,
    "lshwres": lshwres,
    "lslparmigr": lslparmigr,
    "lsrefcode": lsrefcode,
    "mkauthkeys": mkauthkeys,
    "lslparutil": lslparutil,
    "lsvet": lsvet,
}
