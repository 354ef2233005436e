"""The Integrated Virtualization Manager: what we type at it, and what we understand of its answers.

Each listing is beside the reader of its answer and shares its list of fields with it (`lpmkit.control.listings`).
The commands carry no ``ioscli``: on a VIOS that prefix belongs to the commands of the I/O server, not to those of the
manager (`NOVA-IVM`, C).

The readers also take the default form of the same listings, ``name=value``, in which captures of other levels mostly
come.

Marks are those of docs/sources.md: A captured, B documented, C from code that drives the real thing, D recalled. What
is D is in the tables named ``RECALLED_…``; nothing depends on it, a level that knows none of it answers with fewer
fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lpmkit.control.base import MigrationReading, Order
from lpmkit.control.listings import (
    Listing,
    understood,
)
from lpmkit.control.managed_system import MAY_GO_ON, VALIDATION_TIMEOUT_S, ManagedSystem, Value, mapped
from lpmkit.control.move_options import option_arguments
from lpmkit.control.system_listings import (
    MIGRATION,
    PARTITION_STATE,
    PHYSICAL_SLOT,
    SYSTEM,
    only,
    read_migrations,
    read_partitions,
    read_physical_slots,
    read_profiles,
    read_systems,
)
from lpmkit.errors import CommandRefused, NotFound, UnexpectedReply, UsageError
from lpmkit.inventory import (
    AffinityScore,
    MemoryPool,
    MoverPair,
    PhysicalSlot,
    Places,
    Pool,
    Profile,
    SriovLogicalPort,
    SriovPort,
    VirtualFcAdapter,
    VnicAdapter,
)
from lpmkit.ssh.session import Reply, Session

#: "There is no such partition" (`NOVA-IVM`, C).
NOT_FOUND_CODE = "VIOSE010401A1-0042"


class Ivm(ManagedSystem):
    """One frame under its IVM; fulfils `lpmkit.control.base.Control`."""

    kind = "ivm"

    def __init__(self, frame_name: str, session: Session) -> None:
        super().__init__(session)
        self._frame_name = frame_name

    @property
    def frame_name(self) -> str:
        """The site file's name of the frame."""
        return self._frame_name

    def physical_slots(self, partition: str) -> tuple[PhysicalSlot, ...]:
        """The physical slots of the partition."""
        question = ["lshwres", "-r", "io", "--rsubtype", "slot", *self._only(partition)]
        return self._manager.ask(question, PHYSICAL_SLOT, read_physical_slots)

    def fc_adapters(self) -> tuple[VirtualFcAdapter, ...]:
        """None: the fields of an IVM's virtual Fibre Channel were never seen, and a blade of its time has none (D,
        recalled).
        """
        return ()

    def vnics(self) -> tuple[VnicAdapter, ...]:
        """None: virtual NICs came with POWER8 and an HMC."""
        return ()

    def sriov_ports(self) -> tuple[SriovPort, ...]:
        """None: SR-IOV came with POWER7+ and an HMC."""
        return ()

    def logical_ports(self) -> tuple[SriovLogicalPort, ...]:
        """None: logical SR-IOV ports came with POWER7+ and an HMC."""
        return ()

    def memory_pools(self) -> tuple[MemoryPool, ...]:
        """No pool is known: the listing of an IVM's shared memory pool was never seen. Raises `UsageError`."""
        raise UsageError("lpmkit does not read the shared memory pool of an IVM", where=self._frame_name)

    def pools(self) -> tuple[Pool, ...]:
        """The one pool that every system has; an IVM makes no others."""
        return ()

    def affinity_scores(self) -> tuple[AffinityScore, ...]:
        """None: an IVM has no such listing (B `IVM-cmds`)."""
        return ()

    def profiles(self) -> tuple[Profile, ...]:
        """One for each partition, with its name (`XCAT`, A)."""
        return understood(self._session.run(["lssyscfg", "-r", "prof"]), read_profiles)

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        """No pairs to choose from: the I/O server that the IVM runs on is the mover (B `IBMDOC:iphc3ivmvalidation`)."""
        return ()

    def places(self, order: Order) -> Places | None:
        """Nothing to choose: there is one I/O server."""
        return None

    def keys_exchanged(self, order: Order) -> Reply:
        """``mkauthkeys --test`` to the other manager."""
        return self._session.run(["mkauthkeys", "--test", *order.manager_options], timeout_s=60.0)

    def validate(self, order: Order, *, disks: bool = False) -> Reply:
        """Raises `UsageError` for ``disks``: there is no virtual Fibre Channel whose disks could be tried."""
        if disks:
            raise UsageError(
                "an IVM has no disks of virtual Fibre Channel to try",
                where=self._frame_name,
                next_step="Validate without; the disks of virtual SCSI are looked at all the same.",
            )
        return self._session.run([*self._migrlpar("v", order), *mapped(order)], timeout_s=VALIDATION_TIMEOUT_S)

    def migrate(self, order: Order) -> Reply:
        """Returns when validation has passed and the copy has begun (``--async``, IVM only; B `IVM-migrlpar`)."""
        words = [*self._migrlpar("m", order), *mapped(order), "--async"]
        return self._session.run(words, timeout_s=VALIDATION_TIMEOUT_S).ended(MAY_GO_ON)

    def outcome(self) -> Reply | None:
        """Nothing: `migrate` has handed the command's reply out already."""
        return None

    def stop(self, partition: str) -> Reply:
        """``migrlpar -o s``."""
        words = ["migrlpar", "-o", "s", *self._system(), *self._called(partition)]
        return self._session.run(words, timeout_s=300.0)

    def recover(self, order: Order, *, force: bool = False) -> Reply:
        """``migrlpar -o r``, with ``--force`` on request."""
        forced = ["--force"] if force else []
        words = [
            "migrlpar",
            "-o",
            "r",
            *self._system(),
            *order.manager_options,
            *self._called(order.partition),
            *forced,
        ]
        return self._session.run(words, timeout_s=300.0)

    def migration(self, partition: str) -> MigrationReading:
        """The state of the partition and its migration; no state at all where the manager does not list the partition.

        Two questions, so a partition may leave between them: then its state is the last one listed and its migration's
        is ``None``.
        """
        states = self._found(["lssyscfg", "-r", "lpar"], partition, PARTITION_STATE, read_partitions)
        if not states:
            self._require_absent(partition)
            return MigrationReading(partition_state=None, migration_state=None)
        migrations = self._found(["lslparmigr", "-r", "lpar"], partition, MIGRATION, read_migrations)
        reading = migrations[0] if migrations else MigrationReading(None, None)
        return replace(reading, partition_state=states[0].state, lpar_id=states[0].lpar_id)

    def _migrlpar(self, operation: str, order: Order) -> list[str]:
        return [
            *("migrlpar", "-o", operation, "-t", order.target_machine),
            *(*order.manager_options, *self._called(order.partition)),
            *option_arguments(order.options, None, ivm=True),
        ]

    def _found(
        self,
        arguments: Sequence[str],
        partition: str,
        listing: Listing,
        reader: Callable[[str], tuple[Value, ...]],
    ) -> tuple[Value, ...]:
        """Rows of one partition; none when the manager says that there is no such partition."""
        try:
            return self._manager.ask([*arguments, *self._only(partition)], listing, reader)
        except NotFound:
            return ()
        except CommandRefused as refusal:
            if NOT_FOUND_CODE in (refusal.answered or ""):
                return ()
            raise

    def _system(self) -> list[str]:
        """``-m NAME``, which stop and recover want (`NOVA-IVM`, C); nothing where the manager will not say its name."""
        try:
            return ["-m", only(self._manager.ask(["lssyscfg", "-r", "sys"], SYSTEM, read_systems)).name]
        except (CommandRefused, UnexpectedReply):  # one system is all it has; the command goes without
            return []
