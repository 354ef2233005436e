"""Control points: where a move is asked for, and where one sees how it goes.

`Control` is the contract that the manager of a frame fulfils, whatever it is called. `ivm` types at the Integrated
Virtualization Manager of a VIOS; `vios` and `aix` read the machines themselves; `records` reads the grammar that the
managers print. Everything here turns text into values, or raises; nothing here judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

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
    VirtualEthernetAdapter,
    VirtualFcAdapter,
    VirtualScsiAdapter,
    VnicAdapter,
)
from lpmkit.json_values import JsonMapping
from lpmkit.ssh.session import Reply


@dataclass(frozen=True, slots=True)
class Order:
    """The order of one move: partition, source, target and mapping.

    ``source`` and ``target`` are the site file's names of the two frames. ``target_machine`` is the target as firmware
    names it (``7998-61X*10071DA``), ``target_address`` the address of its manager and ``target_user`` the login there,
    as ``migrlpar -t/--ip/-u`` want them (B `HMC9`, C `NOVA-IVM`, `KSH-IVM`). An empty address says that one manager
    has both frames: no ``--ip``, no ``-u``. ``mapping`` holds attributes for ``-i``, empty for the manager's choice.
    """

    partition: str
    source: str
    target: str
    target_machine: str
    target_address: str
    target_user: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    #: Options of ``migrlpar`` by name without dashes, the same for validation and move (`lpmkit.control.move_options`).
    options: Mapping[str, str] = field(default_factory=dict)
    #: Limits of this move over those of the site, as JSON values (`lpmkit.limits.MoveLimits`).
    limits: JsonMapping = field(default_factory=dict)

    @property
    def manager_options(self) -> list[str]:
        """``--ip`` and ``-u`` of the target's manager; none where one manager has both frames (B `HMC9`)."""
        return ["--ip", self.target_address, "-u", self.target_user] if self.target_address else []


@dataclass(frozen=True, slots=True)
class MigrationReading:
    """The state of one partition's migration at one manager, at one moment.

    ``partition_state`` is ``None`` when the partition is not in its list at all; ``migration_state`` likewise. Bytes
    are as the manager counts them, ``None`` where it does not say.
    """

    partition_state: str | None
    migration_state: str | None
    bytes_transmitted: int | None = None
    bytes_remaining: int | None = None
    lpar_id: int | None = None


class Control(Protocol):
    """One frame's manager. Every method asks the machine again and raises `RemoteError` without an answer."""

    @property
    def kind(self) -> str:
        """``ivm`` or ``hmc``."""
        ...

    @property
    def frame_name(self) -> str:
        """The site file's name of the frame, for messages."""
        ...

    def system(self) -> Frame:
        """Name, machine, state and capabilities: one question.

        A system without power can be asked this and little else.
        """
        ...

    def frame(self) -> Frame:
        """The system with its memory, processors and count of moves."""
        ...

    def partitions(self) -> tuple[Partition, ...]:
        """Every partition with its resources."""
        ...

    def scsi_adapters(self) -> tuple[VirtualScsiAdapter, ...]:
        """Both ends of every virtual SCSI pair."""
        ...

    def ethernet_adapters(self) -> tuple[VirtualEthernetAdapter, ...]:
        """Every virtual Ethernet adapter of the system."""
        ...

    def physical_slots(self, partition: str) -> tuple[PhysicalSlot, ...]:
        """The physical slots of a partition."""
        ...

    def fc_adapters(self) -> tuple[VirtualFcAdapter, ...]:
        """Empty where the manager or the system can have none, and so for the three that follow."""
        ...

    def vnics(self) -> tuple[VnicAdapter, ...]:
        """Every virtual NIC with its backing devices."""
        ...

    def sriov_ports(self) -> tuple[SriovPort, ...]:
        """The physical ports of all SR-IOV adapters."""
        ...

    def logical_ports(self) -> tuple[SriovLogicalPort, ...]:
        """Logical SR-IOV ports that partitions own, Ethernet and RoCE."""
        ...

    def memory_pools(self) -> tuple[MemoryPool, ...]:
        """The shared memory pool with its paging devices; empty where the system has none."""
        ...

    def pools(self) -> tuple[Pool, ...]:
        """Shared processor pools."""
        ...

    def affinity_scores(self) -> tuple[AffinityScore, ...]:
        """The affinity score of each partition; empty where the manager or the system gives none."""
        ...

    def profiles(self) -> tuple[Profile, ...]:
        """Every profile of every partition."""
        ...

    def mover_pairs(self, order: Order) -> tuple[MoverPair, ...]:
        """Mover service partitions of both ends that reach each other; empty under an IVM, which moves itself."""
        ...

    def places(self, order: Order) -> Places | None:
        """Candidates on the target for the partition's adapters; ``None`` where there is nothing to choose."""
        ...

    def keys_exchanged(self, order: Order) -> Reply:
        """``mkauthkeys --test``: silent and 0 when the two managers may talk."""
        ...

    def validate(self, order: Order, *, disks: bool = False) -> Reply:
        """``migrlpar -o v``. The reply is the answer: a status other than 0 is not raised.

        ``disks``: the I/O servers try every disk of virtual Fibre Channel, not its zoning only. Raises `UsageError`
        where the manager cannot ask that.
        """
        ...

    def migrate(self, order: Order) -> Reply:
        """``migrlpar -o m``, returning as soon as the migration runs. A status other than 0 is not raised.

        A status of ``None`` says that its command has not ended yet; `outcome` will hand the rest out. Raises
        `ConnectionLost` or `NoAnswer` where it may have arrived and its end is not known.
        """
        ...

    def outcome(self) -> Reply | None:
        """The reply of the command of `migrate`, once, if it ended after `migrate` had returned; else ``None``."""
        ...

    def stop(self, partition: str) -> Reply:
        """``migrlpar -o s``."""
        ...

    def recover(self, order: Order, *, force: bool = False) -> Reply:
        """``migrlpar -o r``; the other manager is named where there is another."""
        ...

    def migration(self, partition: str) -> MigrationReading:
        """The state of a partition and of its migration."""
        ...

    def close(self) -> None:
        """Close the session."""
        ...
