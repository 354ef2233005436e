"""The command line of an I/O server. The readers of its longer answers are in `vios_maps`, `vios_disks` and
`vios_statistics`.

Over a connection without a terminal the commands of a VIOS carry the prefix ``ioscli`` (`NOVA-IVM`, C); through an HMC
they carry none. Layouts are those of `SNAP`, `ZIU` and `NOVA-IVM`, marks A and B unless a docstring says otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from lpmkit.control.aix_logs import read_errpt
from lpmkit.control.firmware import FirmwareLevel, read_firmware
from lpmkit.control.labels import one_line
from lpmkit.control.listings import lines, understood
from lpmkit.control.vios_disks import (
    read_cluster_status,
    read_clusters,
    read_disks,
    read_media,
    read_multipath,
    read_paths,
)
from lpmkit.control.vios_maps import read_fc_map_fields, read_fc_ports, read_network_map, read_scsi_map
from lpmkit.control.vios_statistics import MoverStatistics, SharedEthernetStatistics, read_mover, read_shared_ethernet
from lpmkit.errors import CommandRefused, UnexpectedReply
from lpmkit.inventory import (
    Device,
    DiskPath,
    ErrorEntry,
    FcPort,
    MultipathDisk,
    PhysicalDisk,
    SharedEthernet,
    StorageCluster,
    VirtualFcServer,
    VirtualScsiServer,
)
from lpmkit.ssh.session import Session

Value = TypeVar("Value")


#: ``cluster -list`` of a server that is in no cluster (D).
NOT_CLUSTERED = re.compile(r"Cluster does not exist|not (currently )?configured|no clusters?\b", re.IGNORECASE)


#: ``lsmap -npiv``, ``-vnic`` and ``lsnports`` end so where there is nothing of the kind (C `ANS-VIOS`, which calls 63
#: "not a virtual FC adapter").
NOTHING_OF_THE_KIND = (63, 69, 88)


def read_devices(text: str) -> tuple[Device, ...]:
    r"""``lsdev -virtual`` and ``lsdev -dev vasi0`` (`SNAP`, A)::

        name             status      description
        vasi0            Available   Virtual Asynchronous Services Interface (VASI)
        vhost0           Available   Virtual SCSI Server Adapter

    >>> read_devices("name             status      description\n"
    ...     "vasi0            Available   Virtual Asynchronous\n")[0].status
    'Available'
    """
    rows = [line for line in lines(text) if line.strip()]
    if rows and rows[0].split() != ["name", "status", "description"]:
        raise UnexpectedReply("the heading of lsdev was expected", line=rows[0])
    return tuple(_device(line) for line in rows[1:])


def _device(line: str) -> Device:
    fields = line.split(None, 2)
    if len(fields) < 2 or line[0].isspace():
        raise UnexpectedReply("this is not a row of lsdev", line=line)
    return Device(fields[0], fields[1], fields[2].strip() if len(fields) == 3 else "")


def read_attribute(text: str) -> str:
    r"""``lsdev -dev X -attr A``: the word ``value``, an empty line, the value, which may hold blanks (`NOVA-IVM`, A)::

        value

        no_reserve

    >>> read_attribute("value\n\n240C50 13413252806OPEN-V07HITACHIfcp\n")
    '240C50 13413252806OPEN-V07HITACHIfcp'
    """
    rows = [line.strip() for line in lines(text) if line.strip()]
    if not rows or rows[0] != "value" or len(rows) > 2:
        raise UnexpectedReply("the word 'value' and one value were expected", line=rows[0] if rows else None)
    return rows[1] if len(rows) == 2 else ""


def read_level(text: str) -> str:
    r"""``ioslevel``: four numbers, in the years around 2008 with a fix pack behind them (`ANS-VIOS`, C; the suffix D)::

        1.5.1.1-FP-10.1

    >>> read_level("1.5.1.1-FP-10.1\n"), read_level("2.2.3.4\n")
    ('1.5.1.1-FP-10.1', '2.2.3.4')
    """
    level = one_line(text, r"\d+\.\d+\.\d+.*")
    numbers = level.partition("-")[0].split(".")
    if len(numbers) < 3 or not all(word.isdigit() for word in numbers):
        raise UnexpectedReply("a level such as 2.2.3.4 was expected", line=level)
    return level


class ViosShell:
    """Questions to an I/O server. All of them only read."""

    def __init__(self, session: Session, prefix: str = "ioscli") -> None:
        self._session = session
        self._prefix = [prefix] if prefix else []

    @property
    def session(self) -> Session:
        """The session that the commands go over."""
        return self._session

    def level(self) -> str:
        """``ioslevel``."""
        return self._ask(["ioslevel"], read_level)

    def firmware(self) -> FirmwareLevel:
        """``lsfware``: the firmware of the system on which the I/O server runs."""
        return self._ask(["lsfware"], read_firmware)

    def scsi_map(self) -> tuple[VirtualScsiServer, ...]:
        """``lsmap -all``."""
        return self._ask(["lsmap", "-all"], read_scsi_map)

    def network_map(self) -> tuple[SharedEthernet, ...]:
        """``lsmap -all -net``."""
        return self._ask(["lsmap", "-all", "-net"], read_network_map)

    def disks(self) -> tuple[PhysicalDisk, ...]:
        """``lspv``: names, PVIDs, volume groups."""
        return self._ask(["lspv"], read_disks)

    def sizes(self) -> tuple[PhysicalDisk, ...]:
        """``lspv -size``: names, PVIDs, sizes."""
        return self._ask(["lspv", "-size"], read_disks)

    def attribute(self, device: str, attribute: str) -> str:
        """``lsdev -dev DEVICE -attr ATTRIBUTE``."""
        return self._ask(["lsdev", "-dev", device, "-attr", attribute], read_attribute)

    def virtual_devices(self) -> tuple[Device, ...]:
        """``lsdev -virtual``."""
        return self._ask(["lsdev", "-virtual"], read_devices)

    def device(self, name: str) -> Device:
        """One device; raises `CommandRefused` when there is none of that name."""
        devices = self._ask(["lsdev", "-dev", name], read_devices)
        if len(devices) != 1:
            raise UnexpectedReply(
                f"one device was expected and {len(devices)} came", where=self._session.where, asked=name
            )
        return devices[0]

    def paths(self, disk: str) -> tuple[DiskPath, ...]:
        """``lspath -dev DISK``."""
        return self._ask(["lspath", "-dev", disk, "-fmt", ":"], read_paths)

    def multipath(self) -> tuple[MultipathDisk, ...]:
        """The disks of SDDPCM, asked as root. Raises `CommandRefused` where SDDPCM is not installed."""
        reply = self._session.run(["oem_setup_env"], stdin="pcmpath query device\n")
        return understood(reply, read_multipath)

    def fc_map(self) -> tuple[VirtualFcServer, ...]:
        """``lsmap -all -npiv``; empty where there is no virtual Fibre Channel."""
        return self._ask_unless_none(["lsmap", "-all", "-npiv", "-fmt", ":"], read_fc_map_fields)

    def fc_ports(self) -> tuple[FcPort, ...]:
        """``lsnports``; empty where there is none."""
        return self._ask_unless_none(["lsnports"], read_fc_ports)

    def clusters(self) -> tuple[StorageCluster, ...]:
        """The clusters of shared storage pools that the server is a node of, each with its nodes."""
        reply = self._session.run([*self._prefix, "cluster", "-list"])
        if NOT_CLUSTERED.search(reply.text):
            return ()
        return tuple(
            self._ask(["cluster", "-status", "-clustername", name], read_cluster_status)
            for name in understood(reply, read_clusters)
        )

    def media(self) -> tuple[tuple[str, str | None], ...]:
        """``lsvopt``."""
        return self._ask(["lsvopt"], read_media)

    def shared_ethernet(self, sea: str) -> SharedEthernetStatistics:
        """``entstat -all SEA``."""
        return self._ask(["entstat", "-all", sea], read_shared_ethernet)

    def error_log(self) -> tuple[ErrorEntry, ...]:
        """``errlog``, newest first."""
        return self._ask(["errlog"], read_errpt)

    def mover(self, device: str = "vasi0") -> MoverStatistics:
        """``vasistat -all``."""
        return self._ask(["vasistat", "-all", device], read_mover)

    def moves_at_once(self) -> int | None:
        """The number of moves that the mover takes (``vioslpm0``, from 2.2.2.0.

        A `RHDISK0`); ``None`` without such a device.
        """
        try:
            value = self.attribute("vioslpm0", "cfg_msp_lpm_ops")
        except CommandRefused:
            return None
        return int(value) if value.isascii() and value.isdigit() else None

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def _ask(self, arguments: Sequence[str], reader: Callable[[str], Value]) -> Value:
        return understood(self._session.run([*self._prefix, *arguments]), reader)

    def _ask_unless_none(
        self, arguments: Sequence[str], reader: Callable[[str], tuple[Value, ...]]
    ) -> tuple[Value, ...]:
        """Empty where the server says by its status that it has nothing of the kind."""
        reply = self._session.run([*self._prefix, *arguments])
        return () if reply.status in NOTHING_OF_THE_KIND else understood(reply, reader)
