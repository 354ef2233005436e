"""The Hardware Management Console: what we type at it about one managed system, and what we understand of its answers.

One HMC has many systems, so every listing names the one it is about (``-m SYSTEM``, its own name or
``tttt-mmm*sssssss``; `HMC9`, `ZIU`). The records are those of an IVM, and so are their readers (`lpmkit.control.ivm`),
but for the following: capabilities are a field each, 0 or 1, and ``msp`` shows if a VIOS may move (A `ZIU`, C
`AVOCADO`).

Errors come on standard *output* with status 1 and nothing on standard error (A `HMCMCP`, `ZIU`), in whatever language;
they are recognised by their status and their code, never by their words. So that "there is no such partition" never has
to be recognised at all, partitions are not asked for by name: the whole list is asked for and looked through. That also
survives an HMC that says "nothing found" in another language (A `ZIU`, in Polish).

**Moving.** An HMC has no ``--async``: ``migrlpar -o m`` ends when the move has ended. `Hmc.migrate` runs it in a
thread over a connection of its own and looks beside it at ``lslparmigr`` until the migration shows; then it returns,
and `Hmc.outcome` hands the command's reply out when it has ended. If that connection is lost the move goes on and only
its last words are missing (D, recalled); the command is not sent again.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lpmkit.control.base import MigrationReading, Order
from lpmkit.control.hmc_resources import (
    AFFINITY,
    FC,
    LOGICAL_PORT,
    MEMORY_POOL,
    MOVERS,
    PAGING_DEVICE,
    PARTITION_POOL,
    PLACES,
    POOL,
    SRIOV_PORT,
    VNIC,
    read_affinity_scores,
    read_fc_adapters,
    read_logical_ports,
    read_memory_pools,
    read_mover_pairs,
    read_paging_devices,
    read_partition_pools,
    read_places,
    read_pools,
    read_sriov_ports,
    read_vnics,
)
from lpmkit.control.listings import Listing, flag, split, understood
from lpmkit.control.managed_system import MAY_GO_ON, VALIDATION_TIMEOUT_S, ManagedSystem, mapped
from lpmkit.control.move_options import move_options, option_arguments
from lpmkit.control.system_listings import (
    MIGRATION,
    PARTITION_STATE,
    PHYSICAL_SLOT,
    frame_of,
    only,
    read_migration_of,
    read_physical_slots,
    read_profiles,
    read_state_of,
)
from lpmkit.control.system_listings import PARTITION as LISTED_PARTITION
from lpmkit.errors import CommandRefused, RemoteError, UnexpectedReply, UsageError
from lpmkit.inventory import (
    AffinityScore,
    Frame,
    MemoryPool,
    MoverPair,
    Partition,
    PhysicalSlot,
    Places,
    Pool,
    Profile,
    SriovLogicalPort,
    SriovPort,
    VirtualFcAdapter,
    VnicAdapter,
)
from lpmkit.ssh.session import Reply, Session, command_line
from lpmkit.timeline import Clock

Value = TypeVar("Value")

#: The longest that ``migrlpar -o m`` is waited for; it takes as long as the move.
MOVE_TIMEOUT_S = 24 * 3600.0
#: Says in a reply of `Hmc.migrate` that the command has not ended; ours, not the machine's.
RUNS_ON = "(the migration runs; its command has not ended yet)"

#: One 0/1 field for each capability (A `ZIU`); the middle group is a list as on an IVM (C `NOVA-IVM`).
SYSTEM = Listing(
    ("name", "type_model", "serial_num", "state"),
    (
        ("active_lpar_mobility_capable", "inactive_lpar_mobility_capable"),
        ("lpar_proc_compat_modes",),
        ("virtual_io_server_capable", "lpar_proc_compat_mode_capable"),
        ("virtual_fc_capable",),
    ),
)
CAPABILITIES = (*SYSTEM.optional[0], *SYSTEM.optional[2], *SYSTEM.optional[3])
#: Fields that a console does not know before the release that is named; the earliest ones first, since a level that
#: refuses is asked without the last. ``msp`` C `AVOCADO`, `HMCMCP`; the POWER7 fields A `ZIU` (an HMC V7R7.9.0; the
#: release of ``affinity_group_id`` D); ``migration_disabled`` A (a field script), its release D; ``vtpm_enabled`` A
#: `ZIU`, ``os400_restricted_io_mode`` C `IBMI-LPM`, ``keystore_kbytes`` C `ANS-HMC`, their releases D.
FIELDS_SINCE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("msp",), "V7R3.2.0"),
    (("curr_profile", "time_ref"), "V7R3.2.0"),
    (("desired_lpar_proc_compat_mode", "suspend_capable", "remote_restart_capable"), "V7R7.2.0"),
    (("affinity_group_id",), "V7R7.8.0"),
    (("simplified_remote_restart_capable",), "V8R8.2.0"),
    (("migration_disabled",), "V8R8.6.0"),
    (("vtpm_enabled",), "V7R7.4.0"),
    (("os400_restricted_io_mode",), "V7R7.2.0"),
    (("keystore_kbytes",), "V9R2.950.0"),
)
PARTITION = Listing(LISTED_PARTITION.required, (*LISTED_PARTITION.optional, *(fields for fields, _ in FIELDS_SINCE)))
#: The release since which a console can be asked for a listing: an older one has no such thing (B: announcements of
#: POWER6 and POWER8 functions).
LISTINGS_SINCE = {
    "fc": (7, 3, 4),
    "vnic": (8, 8, 4),
    "eth": (8, 8, 1),
    "ethc": (8, 8, 1),
    "roce": (9, 9, 1),
    "procpool": (7, 3, 2),
    "mempool": (7, 3, 4),
    "affinity": (7, 7, 7),
}
#: Flags of ``migrlpar`` that a console does not know before a release (B: its manual pages of POWER7, which lack it,
#: and of POWER8; that of the two it was V8R8.4.0 is D).
FLAGS_SINCE = {"--npivval": (8, 8, 4)}
#: The system gives no affinity scores (C `AFFINITY-SCRIPT`).
NO_AFFINITY_CODE = "HSCLA012"
#: The system has no virtual Fibre Channel (A `ZIU`, in Polish).
NO_VIRTUAL_FC_CODE = "HSCLA4C0"


@dataclass(frozen=True, slots=True)
class ConsoleLevel:
    """``lshmc -V``: which HMC this is."""

    version: str
    release: str
    build: str
    service_pack: str | None = None
    base_version: str | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The level as numbers that can be compared: version, and the release without the version that it repeats.

        >>> ConsoleLevel("8", "8.7.0", "1803290030").numbers
        (8, 8, 7, 0)
        """
        words = (self.version, *self.release.split("."))
        return tuple(int(word) for word in words if word.isdigit())


def read_managed_systems(text: str) -> tuple[Frame, ...]:
    r"""``lssyscfg -r sys`` of an HMC::

        Server-9117-MMD-SN1045EE7,9117-MMD,1045EE7,Operating,1,1,"default,POWER6,POWER6+,POWER7",1,1

    What the system is capable of is a field each; ``unavailable`` when the system is off (`ZIU`, A).

    >>> line = 'Server-9117-MMD-SN1045EE7,9117-MMD,1045EE7,Operating,1,0,"default,POWER7",1,1\n'
    >>> read_managed_systems(line)[0].capabilities
    ('active_lpar_mobility_capable', 'virtual_io_server_capable', 'lpar_proc_compat_mode_capable')
    """
    return tuple(
        frame_of(row, tuple(name for name in CAPABILITIES if flag(row.get(name)))) for row in SYSTEM.read_any(text)
    )


def read_console_level(text: str) -> ConsoleLevel:
    r"""``lshmc -V``: two quoted values over several lines (`ZIU`, A)::

        "version= Version: 7
         Release: 7.9.0
         Service Pack: 3
        HMC Build level 20151216.1
        ","base_version=V7R7.9.0
        "

    >>> level = ('"version= Version: 8\n Release: 8.2.0\n Service Pack: 0\nHMC Build level 20141006.3\n'
    ...     '","base_version=V8R8.2.0\n"\n')
    >>> read_console_level(level).version, read_console_level(level).build
    ('8', '20141006.3')
    """
    labels: dict[str, str] = {}
    for value in split(text.rstrip("\n")):
        for line in value.removeprefix("version=").splitlines():
            build = line.partition("HMC Build level")
            label, mark, rest = build if build[1] else line.partition("=" if line.startswith("base_version") else ":")
            labels[build[1] or label.strip()] = rest.strip() if mark else ""
    if not (labels.get("Version") and labels.get("Release") and labels.get("HMC Build level")):
        raise UnexpectedReply("version, release and build of an HMC were expected", line=text.partition("\n")[0])
    return ConsoleLevel(
        labels["Version"],
        labels["Release"],
        labels["HMC Build level"],
        labels.get("Service Pack") or None,
        labels.get("base_version") or None,
    )


class ViosThroughHmc:
    """A VIOS's command line through its HMC (``viosrvcmd``, A `HMCMCP`); fulfils `lpmkit.ssh.session.Session`.

    The commands carry no ``ioscli`` there. They have no standard input, and no way to root is tried.
    """

    def __init__(self, session: Session, system: str, vios: str) -> None:
        self._session = session
        self._system, self._vios = system, vios

    @property
    def where(self) -> str:
        """The VIOS and its HMC, for messages."""
        return f"{self._vios} (through {self._session.where})"

    def run(self, arguments: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "") -> Reply:
        """Run a command on the VIOS. Raises `RemoteError` for a root shell, which an HMC does not offer."""
        if stdin or list(arguments[:1]) == ["oem_setup_env"]:
            raise RemoteError(
                "this needs a root shell, and an HMC gives none",
                where=self.where,
                asked=shlex.join(arguments),
                next_step="Log in to the VIOS itself to see it; nothing else depends on it.",
            )
        inner = shlex.join(arguments)
        return self._session.run(["viosrvcmd", "-m", self._system, "-p", self._vios, "-c", inner], timeout_s=timeout_s)

    def close(self) -> None:
        """Close the session to the HMC."""
        self._session.close()


def machine_asked(arguments: Sequence[str]) -> str:
    """The machine that answers a command typed at an HMC: an I/O server, as ``viosrvcmd`` names it, or, empty, the
    console.

    >>> machine_asked(["viosrvcmd", "-m", "p8a", "-p", "vios1", "-c", "lspv"]), machine_asked(["lshmc", "-V"])
    ('p8a/vios1', '')
    """
    return f"{arguments[2]}/{arguments[4]}" if arguments[0] == "viosrvcmd" else ""


class _Background:
    """One command that blocks, in a thread; what it ended with is kept."""

    def __init__(self, session: Session, arguments: Sequence[str], *, own: bool) -> None:
        self._session, self._arguments, self._own = session, arguments, own
        self._ended = threading.Event()
        self._reply: Reply | None = None
        self._trouble: RemoteError | None = None
        threading.Thread(target=self._run, daemon=True, name="migrlpar").start()

    def _run(self) -> None:
        try:
            self._reply = self._session.run(self._arguments, timeout_s=MOVE_TIMEOUT_S)
        except RemoteError as trouble:
            self._trouble = trouble
        finally:
            self._ended.set()
            if self._own:
                self._session.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the command; true when it has ended."""
        return self._ended.wait(seconds)

    def result(self) -> Reply:
        """The reply of the command; raises what came instead of one."""
        if self._trouble is not None:
            raise self._trouble
        assert self._reply is not None
        return self._reply.ended(MAY_GO_ON)


class Hmc(ManagedSystem):
    """One managed system behind an HMC; fulfils `lpmkit.control.base.Control`.

    ``open_another`` opens a second connection to the same HMC, for the command that blocks as long as the move lasts;
    without it the command shares the connection of the questions.
    """

    kind = "hmc"
    partition_listing = PARTITION

    def __init__(
        self,
        frame_name: str,
        session: Session,
        system: str,
        *,
        open_another: Callable[[], Session] | None = None,
        look_every_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(session, ("-m", system))
        self._frame_name, self._open_another = frame_name, open_another
        self._look_every_s = look_every_s
        self._clock = clock or Clock()
        self._moving: _Background | None = None
        self._console: ConsoleLevel | None = None

    @property
    def frame_name(self) -> str:
        """The site file's name of the frame."""
        return self._frame_name

    def system(self) -> Frame:
        """Name, machine, state and capabilities of the managed system."""
        return only(self._ask(["lssyscfg", "-r", "sys"], SYSTEM, read_managed_systems))

    def console(self) -> ConsoleLevel:
        """The level of the HMC; raises `CommandRefused` where it is none (C `HMCSCAN`)."""
        return understood(self._session.run(["lshmc", "-V"]), read_console_level)

    def partitions(self) -> tuple[Partition, ...]:
        """Every partition with its resources and, where the console has such, its processor pool."""
        listed = super().partitions()
        if not self._knows("procpool"):
            return listed
        try:
            pools = self._ask(["lshwres", "-r", "proc", "--level", "lpar"], PARTITION_POOL, read_partition_pools)
        except CommandRefused:  # the refusal stays in the transcript, and the pools are not known
            return listed
        known_pools = ((partition, *pools.get(partition.lpar_id, (None, None))) for partition in listed)
        return tuple(replace(partition, pool_id=number, pool=name) for partition, number, name in known_pools)

    def fc_adapters(self) -> tuple[VirtualFcAdapter, ...]:
        """Both ends of every virtual Fibre Channel pair; none where the console or the system can have none."""
        if not self._knows("fc"):
            return ()
        try:
            return self._ask(
                ["lshwres", "-r", "virtualio", "--rsubtype", "fc", "--level", "lpar"], FC, read_fc_adapters
            )
        except CommandRefused as refusal:
            if NO_VIRTUAL_FC_CODE in (refusal.answered or ""):
                return ()
            raise

    def vnics(self) -> tuple[VnicAdapter, ...]:
        """Every virtual NIC; none where the HMC's release has no such listing."""
        if not self._knows("vnic"):
            return ()
        return self._ask(["lshwres", "-r", "virtualio", "--rsubtype", "vnic", "--level", "lpar"], VNIC, read_vnics)

    def sriov_ports(self) -> tuple[SriovPort, ...]:
        """The physical SR-IOV ports of every kind of adapter; none where the HMC's release has no such listing.

        The ports of a RoCE or of a converged network adapter are listed at the level of that kind only, whatever
        runs over them (A `HMCMCP`).
        """
        ports = self._sriov("physport", ("eth", "ethc", "roce"), SRIOV_PORT, lambda level: read_sriov_ports)
        return tuple({(port.adapter, port.port): port for port in ports}.values())

    def logical_ports(self) -> tuple[SriovLogicalPort, ...]:
        """The logical SR-IOV ports that partitions own, Ethernet and RoCE; none where the system has no SR-IOV port."""
        return self._sriov(
            "logport", ("eth", "roce"), LOGICAL_PORT, lambda level: partial(read_logical_ports, level=level)
        )

    def _sriov(
        self,
        kind: str,
        levels: Sequence[str],
        listing: Listing,
        reader_of: Callable[[str], Callable[[str], tuple[Value, ...]]],
    ) -> tuple[Value, ...]:
        ports: tuple[Value, ...] = ()
        for level in levels:
            if self._knows(level):
                question = ["lshwres", "-r", "sriov", "--rsubtype", kind, "--level", level]
                ports += self._ask(question, listing, reader_of(level))
        return ports

    def memory_pools(self) -> tuple[MemoryPool, ...]:
        """The shared memory pool with its paging devices; none where the system has no pool."""
        if not self._knows("mempool"):
            return ()
        pools = self._ask(["lshwres", "-r", "mempool"], MEMORY_POOL, read_memory_pools)
        if not pools:
            return ()
        devices = self._ask(["lshwres", "-r", "mempool", "--rsubtype", "pgdev"], PAGING_DEVICE, read_paging_devices)
        return tuple(replace(pool, paging_devices=devices) for pool in pools)

    def pools(self) -> tuple[Pool, ...]:
        """The system's shared processor pools, the default one among them."""
        if not self._knows("procpool"):
            return ()
        return self._ask(["lshwres", "-r", "procpool"], POOL, read_pools)

    def affinity_scores(self) -> tuple[AffinityScore, ...]:
        """The affinity score of each partition; none where the console or the system gives none."""
        if not self._knows("affinity"):
            return ()
        try:
            return self._ask(["lsmemopt", "-r", "lpar", "-o", "currscore"], AFFINITY, read_affinity_scores)
        except CommandRefused as refusal:
            if NO_AFFINITY_CODE in (refusal.answered or ""):
                return ()
            raise

    def profiles(self) -> tuple[Profile, ...]:
        """Every profile of every partition, word for word."""
        return understood(self._session.run(["lssyscfg", "-r", "prof", *self._named]), read_profiles)

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        """Mover service partitions of both ends that reach each other, with their addresses (D)."""
        pairs = self._towards("msp", order, MOVERS, read_mover_pairs)
        level = self._level()
        redundant = level is not None and level >= move_options()["redundantmsps"].since
        return tuple(replace(pair, redundant=redundant) for pair in pairs)

    def places(self, order: Order) -> Places:
        """Candidates on the target for the partition's adapters, which only the managers know (D)."""
        return self._towards("virtualio", order, PLACES, read_places)

    def _towards(self, resource: str, order: Order, listing: Listing, reader: Callable[[str], Value]) -> Value:
        """``lslparmigr`` about a move of one partition."""
        question = [
            "lslparmigr",
            "-r",
            resource,
            "-t",
            order.target_machine,
            *order.manager_options,
            *self._only(order.partition),
        ]
        return self._ask(question, listing, reader)

    def _knows(self, what: str) -> bool:
        """True if this HMC's release has such a listing or flag; true too where it does not print its release."""
        level = self._level()
        return level is None or level >= (FLAGS_SINCE.get(what) or LISTINGS_SINCE[what])

    def physical_slots(self, partition: str) -> tuple[PhysicalSlot, ...]:
        """The physical slots of the partition, from the whole list of the system."""
        slots = self._ask(["lshwres", "-r", "io", "--rsubtype", "slot"], PHYSICAL_SLOT, read_physical_slots)
        return tuple(slot for slot in slots if slot.partition == partition)

    def keys_exchanged(self, order: Order) -> Reply:
        """``mkauthkeys --test`` to the other manager.

        Raises `UsageError` when this one has both frames: there is no other manager to ask.
        """
        if not order.target_address:
            raise UsageError("one manager has both frames; there are no keys to be tested", where=self._frame_name)
        return self._session.run(["mkauthkeys", "--test", *order.manager_options], timeout_s=60.0)

    def validate(self, order: Order, *, disks: bool = False) -> Reply:
        """Validate with ``-v``, or a validation that passes keeps its warnings to itself (B `HMC7`).

        ``disks`` is ``--npivval portdisk`` (B `HMC8`). Raises `UsageError` where the console's release has no such
        flag.
        """
        if disks and not self._knows("--npivval"):
            raise UsageError(
                "this console cannot try the disks of virtual Fibre Channel",
                where=self._session.where,
                next_step="It takes V8R8.4.0. Validate without: then the zoning is looked at, and not the masking.",
            )
        if disks:
            order = replace(order, options={name: value for name, value in order.options.items() if name != "npivval"})
        tried = ["--npivval", "portdisk"] if disks else []
        return self._session.run([*self._migrlpar("v", order), *tried, "-v"], timeout_s=VALIDATION_TIMEOUT_S)

    def migrate(self, order: Order) -> Reply:
        """Returns when the migration shows, with status ``None``, or when the command ended before, with its reply."""
        session = self._open_another() if self._open_another else self._session
        command = self._migrlpar("m", order)
        deadline = self._clock.mono_ns() + int(VALIDATION_TIMEOUT_S * 1e9)
        work = _Background(session, command, own=session is not self._session)
        while not work.wait(self._look_every_s):
            if self._has_begun(order.partition) or self._clock.mono_ns() > deadline:
                self._moving = work
                return Reply(self._session.where, command_line(command), None, "", RUNS_ON)
        return work.result()

    def outcome(self) -> Reply | None:
        """See `lpmkit.control.base.Control.outcome`. Raises what came instead of a reply, once."""
        if self._moving is None or not self._moving.wait(0.0):
            return None
        ended, self._moving = self._moving, None
        return ended.result()

    def stop(self, partition: str) -> Reply:
        """``migrlpar -o s``."""
        return self._session.run(["migrlpar", "-o", "s", *self._named, *self._called(partition)], timeout_s=300.0)

    def recover(self, order: Order, *, force: bool = False) -> Reply:
        """``migrlpar -o r``, with ``--force`` on request."""
        forced = ["--force"] if force else []
        words = ["migrlpar", "-o", "r", *self._named, *order.manager_options, *self._called(order.partition), *forced]
        return self._session.run(words, timeout_s=300.0)

    def migration(self, partition: str) -> MigrationReading:
        """The state of the partition and its migration; no state at all where the system does not list the partition.

        Two questions, so a partition may leave between them: then its state is the last one listed and its migration's
        is ``None``.
        """
        moving = self._ask(["lssyscfg", "-r", "lpar"], PARTITION_STATE, partial(read_state_of, partition=partition))
        if moving is None:
            self._require_absent(partition)
            return MigrationReading(partition_state=None, migration_state=None)
        moves = self._ask(["lslparmigr", "-r", "lpar"], MIGRATION, partial(read_migration_of, partition=partition))
        return _standing(moving, moves)

    def _has_begun(self, partition: str) -> bool:
        """True once the migration shows or the partition has left. A failed query proves nothing."""
        try:
            seen = self.migration(partition)
        except RemoteError:  # the command beside it is what counts; the next look may succeed
            return False
        state = seen.partition_state
        return state is None or state.startswith("Migrating") or seen.migration_state not in (None, "Not Migrating")

    def _migrlpar(self, operation: str, order: Order) -> list[str]:
        """``--ip`` and ``-u`` only where another manager has the target (B `HMC9`)."""
        return [
            *("migrlpar", "-o", operation, *self._named, "-t", order.target_machine, *order.manager_options),
            *(*self._called(order.partition), *mapped(order)),
            *(option_arguments(order.options, self._level()) if order.options else []),
        ]

    def _level(self) -> tuple[int, ...] | None:
        """The numbers of the HMC's release; ``None`` where it does not print them."""
        try:
            self._console = self._console or self.console()
        except (CommandRefused, UnexpectedReply):
            return None
        return self._console.numbers


def _standing(listed: Partition, moving: MigrationReading | None) -> MigrationReading:
    return MigrationReading(
        listed.state,
        moving.migration_state if moving else None,
        moving.bytes_transmitted if moving else None,
        moving.bytes_remaining if moving else None,
        listed.lpar_id,
    )
