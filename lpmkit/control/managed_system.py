"""One managed system, whose listings an IVM and an HMC answer alike (`lpmkit.control.system_listings`)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lpmkit.control.base import Order
from lpmkit.control.listings import (
    Listing,
    Manager,
    attribute_record,
    is_plain,
    known,
)
from lpmkit.control.system_listings import (
    ETHERNET,
    PARTITION,
    PARTITION_MEMORY,
    PARTITION_PROCESSORS,
    PARTITION_SLOTS,
    PARTITION_STATE,
    SCSI,
    SYSTEM,
    SYSTEM_MEMORY,
    SYSTEM_MIGRATIONS,
    SYSTEM_PROCESSORS,
    WHOLE_LIST,
    Capacity,
    Resources,
    only,
    partition_of,
    read_ethernet_adapters,
    read_partition_memory,
    read_partition_processors,
    read_partition_slots,
    read_partitions,
    read_scsi_adapters,
    read_system_memory,
    read_system_migrations,
    read_system_processors,
    read_systems,
)
from lpmkit.errors import CommandRefused, NotFound, UnexpectedReply
from lpmkit.inventory import (
    Frame,
    Partition,
    VirtualEthernetAdapter,
    VirtualScsiAdapter,
)
from lpmkit.ssh.session import Session

Value = TypeVar("Value")


#: A validation asks both systems and the partition itself; the drivers allow five minutes (`OPTEST`, C), and so twice
#: that.
VALIDATION_TIMEOUT_S = 600.0


#: The advice where the end of a command to move is not known.
MAY_GO_ON = "The command may go on at the manager. It is not sent again."


class ManagedSystem:
    """The listings of one system, which an IVM and an HMC answer alike. ``named`` are the words that name it: ``-m
    SYSTEM``.

    Every method asks again. What a level does not know is learnt once: a refused group of fields is not asked for
    again.
    """

    partition_listing = PARTITION

    def __init__(self, session: Session, named: Sequence[str] = ()) -> None:
        self._session = session
        self._manager = Manager(session)
        self._named = tuple(named)

    @property
    def session(self) -> Session:
        """The session that the commands go over."""
        return self._session

    def system(self) -> Frame:
        """Name, machine, state and capabilities, as ``lssyscfg -r sys`` has them."""
        return only(self._ask(["lssyscfg", "-r", "sys"], SYSTEM, read_systems))

    def frame(self) -> Frame:
        """The system with its memory, its processors and its count of moves; raises when one of them cannot be read."""
        frame = self.system()
        memory = self._hardware("mem", "sys", SYSTEM_MEMORY, read_system_memory)
        processors = self._hardware("proc", "sys", SYSTEM_PROCESSORS, read_system_processors)
        moves = self._ask(["lslparmigr", "-r", "sys"], SYSTEM_MIGRATIONS, read_system_migrations)
        return replace(
            frame,
            memory_configurable_mb=int(memory.configurable),
            memory_available_mb=int(memory.available),
            memory_region_mb=memory.region_mb,
            proc_units_configurable=processors.configurable,
            proc_units_available=processors.available,
            active_migrations_supported=moves.active_supported,
            active_migrations_in_progress=moves.active_in_progress,
            inactive_migrations_supported=moves.inactive_supported,
            inactive_migrations_in_progress=moves.inactive_in_progress,
        )

    def partitions(self) -> tuple[Partition, ...]:
        """Every partition with its resources. A resource listing that the level refuses leaves its fields ``None``.

        Raises `UnexpectedReply` for a list without a VIOS, which is not whole.
        """
        listed = self._ask(["lssyscfg", "-r", "lpar"], self.partition_listing, self._read_partitions)
        self._require_whole([partition.environment for partition in listed])
        memory = self._resources(["mem"], PARTITION_MEMORY, read_partition_memory)
        processors = self._resources(["proc"], PARTITION_PROCESSORS, read_partition_processors)
        slots = self._resources(["virtualio", "--rsubtype", "slot"], PARTITION_SLOTS, read_partition_slots)
        return tuple(
            replace(
                partition,
                memory_mb=_of(memory, partition).memory_mb,
                huge_pages=_of(memory, partition).huge_pages,
                memory_mode=_of(memory, partition).memory_mode,
                pending_memory_mb=_of(memory, partition).pending_memory_mb,
                proc_mode=_of(processors, partition).proc_mode,
                proc_units=_of(processors, partition).proc_units,
                virtual_processors=_of(processors, partition).virtual_processors,
                pending_proc_units=_of(processors, partition).pending_proc_units,
                pending_processors=_of(processors, partition).pending_processors,
                max_virtual_slots=_of(slots, partition).max_virtual_slots,
            )
            for partition in listed
        )

    def scsi_adapters(self) -> tuple[VirtualScsiAdapter, ...]:
        """Both ends of every virtual SCSI pair."""
        return self._ask(
            ["lshwres", "-r", "virtualio", "--rsubtype", "scsi", "--level", "lpar"], SCSI, read_scsi_adapters
        )

    def ethernet_adapters(self) -> tuple[VirtualEthernetAdapter, ...]:
        """Every virtual Ethernet adapter of the system."""
        return self._ask(
            ["lshwres", "-r", "virtualio", "--rsubtype", "eth", "--level", "lpar"], ETHERNET, read_ethernet_adapters
        )

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _called(self, partition: str) -> list[str]:
        """``-p NAME``, or ``--id N`` where the name would be read as a list of names.

        Raises `NotFound` for an unknown name.
        """
        return ["-p", partition] if is_plain(partition) else ["--id", str(self._id_of(partition))]

    def _only(self, partition: str) -> list[str]:
        """``--filter`` for one partition, by name or, as above, by id."""
        told = f"lpar_names={partition}" if is_plain(partition) else f"lpar_ids={self._id_of(partition)}"
        return ["--filter", told]

    def _id_of(self, partition: str) -> int:
        listed = self._ask(["lssyscfg", "-r", "lpar"], PARTITION_STATE, read_partitions)
        lpar_id = next(
            (listed_partition.lpar_id for listed_partition in listed if listed_partition.name == partition), None
        )
        if lpar_id is None:
            raise NotFound(
                "partition",
                partition,
                known=[listed_partition.name for listed_partition in listed],
                where=self._session.where,
            )
        return lpar_id

    def _require_absent(self, partition: str) -> None:
        """Raise `UnexpectedReply` unless the whole list of the system shows that the partition is not there."""
        listed = self._ask(["lssyscfg", "-r", "lpar"], WHOLE_LIST, WHOLE_LIST.read_any)
        self._require_whole([known(row.get("lpar_env")) for row in listed])
        if any(row["name"] == partition for row in listed):
            what = f"one list of partitions has {partition} and another has not"
            raise UnexpectedReply(what, where=self._session.where, next_step="Ask again.")

    def _require_whole(self, environments: Collection[str | None]) -> None:
        """Raise `UnexpectedReply` for a list of partitions that is not the whole list of the system.

        A list without a VIOS is not: empty, of an account that may see some partitions only, or of a manager that
        restarts or has no connection to the system. Where a level does not print ``lpar_env``, one row is enough.
        """
        if "vioserver" in environments or (environments and set(environments) == {None}):
            return
        raise UnexpectedReply(
            "no VIOS is among the partitions: this is not the whole list of the system, or nothing can move there",
            where=self._session.where,
            asked=shlex.join(["lssyscfg", "-r", "lpar", *self._named]),
            next_step="Wait until the manager is connected to the system, or name an account that may see all of it.",
        )

    def _read_partitions(self, text: str) -> tuple[Partition, ...]:
        return tuple(partition_of(row) for row in self.partition_listing.read_any(text))

    def _ask(self, arguments: Sequence[str], listing: Listing, reader: Callable[[str], Value]) -> Value:
        """A listing of this system: the first two words say what, then which system, then the rest."""
        return self._manager.ask([*arguments[:3], *self._named, *arguments[3:]], listing, reader)

    def _hardware(self, resource: str, level: str, listing: Listing, reader: Callable[[str], Capacity]) -> Capacity:
        return self._ask(["lshwres", "-r", resource, "--level", level], listing, reader)

    def _resources(
        self, resource: Sequence[str], listing: Listing, reader: Callable[[str], tuple[Resources, ...]]
    ) -> dict[int, Resources]:
        """Resources by partition; empty when the level refuses the listing, so that every one of them is not known."""
        try:
            rows = self._ask(["lshwres", "-r", *resource, "--level", "lpar"], listing, reader)
        except CommandRefused:  # the refusal stays in the transcript
            return {}
        return {row.lpar_id: row for row in rows}


def _of(resources: Mapping[int, Resources], partition: Partition) -> Resources:
    return resources.get(partition.lpar_id) or Resources(partition.name, partition.lpar_id)


def mapped(order: Order) -> list[str]:
    """The arguments ``-i RECORD`` of an order; none without a mapping."""
    return ["-i", attribute_record(order.mapping)] if order.mapping else []
