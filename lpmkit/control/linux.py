r"""Commands and answers of Linux on Power: the identity that a move changes, read from ``/proc`` and the device tree.

``lparcfg`` and the firmware's level are `LINUX-LPARCFG` and `INSIGHTS-IBM`: ``serial_number=IBM,0310071DA``,
``system_type=IBM,8247-22L``, ``partition_id=4``; ``FW950.30 (VL950_092)`` with a NUL behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from lpmkit.control.aix_identity import Identity
from lpmkit.control.aix_memory import RealMemory
from lpmkit.control.firmware import FirmwareLevel
from lpmkit.control.linux_logs import (
    DMESG,
    FIELDS,
    HOW_TO_READ,
    JOURNAL,
    MAY_NOT_READ,
    KernelLine,
    hides_lines,
    read_dmesg,
    read_journal,
)
from lpmkit.control.listings import lines, understood, whole
from lpmkit.errors import CommandRefused, NotPermitted, RemoteError, UnexpectedReply
from lpmkit.ssh.session import Reply, Session

Value = TypeVar("Value")

#: What ``uname -s`` prints there.
LINUX = "Linux"
#: The kernel's account of the partition, under its newer and its older name.
LPARCFG = ("/proc/powerpc/lparcfg", "/proc/ppc64/lparcfg")
PARTITION_NAME = "/proc/device-tree/ibm,partition-name"
FIRMWARE = "/proc/device-tree/openprom/ibm,fw-vernum_encoded"


def read_lparcfg(text: str) -> Mapping[str, str]:
    """The names and values of ``lparcfg``. Raises `UnexpectedReply` without a serial number.

    >>> read_lparcfg("lparcfg 1.9\\nserial_number=IBM,0310071DA\\npartition_id=4\\n")["serial_number"]
    'IBM,0310071DA'
    """
    pairs = dict(line.split("=", 1) for line in lines(text) if "=" in line)
    if "serial_number" not in pairs:
        raise UnexpectedReply("lparcfg without a serial number", line=text[:80])
    return pairs


def read_memory(text: str) -> RealMemory:
    r"""All memory and what of it holds something, from ``/proc/meminfo``, whose kB are 1024 bytes (`PROC-MEMINFO`).

    Raises `UnexpectedReply`.

    >>> read_memory("MemTotal:  16777216 kB\nMemFree:  4194304 kB\nHugePages_Total:  0\n").in_use >> 20
    12288
    """
    figures = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines(text))}
    total, free = (figures.get(name, []) for name in ("MemTotal", "MemFree"))
    if len(total) != 2 or len(free) != 2 or (total[1], free[1]) != ("kB", "kB"):
        raise UnexpectedReply("/proc/meminfo without MemTotal and MemFree in kB", line=text[:80])
    size = whole(total[0]) * 1024
    return RealMemory(size, size - whole(free[0]) * 1024)


def read_boot_time(text: str) -> datetime:
    """The instant of the start, from ``/proc/stat``: seconds since 1970, which a step of the clock moves.

    >>> read_boot_time("cpu 1 2\\nbtime 1772359205\\n").isoformat()
    '2026-03-01T10:00:05+00:00'
    """
    for line in lines(text):
        if line.startswith("btime ") and line[6:].strip().isdigit():
            return datetime.fromtimestamp(int(line[6:]), tz=UTC)
    raise UnexpectedReply("/proc/stat without a boot time", line=text[:80])


def read_release(text: str) -> str:
    r"""The distribution's own name, from ``/etc/os-release``.

    >>> read_release('ID="rhel"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n')
    'Red Hat Enterprise Linux 9.4 (Plow)'
    """
    for line in lines(text):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip("\"'")
    raise UnexpectedReply("/etc/os-release without PRETTY_NAME", line=text[:80])


def read_firmware(text: str) -> str:
    r"""The level of the system firmware in the form that the managers use, else as it is printed.

    >>> read_firmware("FW950.30 (VL950_092)\x00"), read_firmware("FW1030.20 (ML1030_058)\x00")
    ('VL950_092', 'ML1030_058')
    """
    plain = _text(text)
    level = FirmwareLevel.from_text(plain)
    return str(level) if level else plain


def read_disks(text: str) -> tuple[tuple[str, str], ...]:
    r"""Disks and their World Wide Names, ``none`` where there is none, from ``lsblk -dn -o NAME,WWN``.

    >>> read_disks("sda 0x600507680c80\nsr0\n")
    (('sda', '0x600507680c80'), ('sr0', 'none'))
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    return tuple((row[0], row[1] if len(row) > 1 else "none") for row in rows)


class LinuxShell:
    """The command line of a partition with Linux. It only reads."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def session(self) -> Session:
        """The session that it asks over."""
        return self._session

    def lpar_label(self) -> tuple[int, str]:
        """Number and name of the partition. Raises `RemoteError`."""
        number = self._lparcfg().get("partition_id", "")
        if not number.isdigit():
            raise UnexpectedReply("lparcfg without a partition id", line=number, where=self._session.where)
        return int(number), self._ask(["cat", PARTITION_NAME], _text)

    def system_id(self) -> str:
        """The system's id with its serial number at the end. Raises `RemoteError`."""
        return self._lparcfg()["serial_number"]

    def memory(self) -> RealMemory:
        """All memory and what of it holds something. Raises `RemoteError`."""
        return self._ask(["cat", "/proc/meminfo"], read_memory)

    def level(self) -> str:
        """The distribution and its release. Raises `RemoteError`."""
        return self._ask(["cat", "/etc/os-release"], read_release)

    def identity(self) -> Identity:
        """Everything that a move changes or must not. What cannot be read is ``None`` and named in ``missing``.

        The ids that AIX derives from the frame (``uname -m``, ``uname -f``) do not exist.
        """
        missing: list[str] = []

        def try_to(question: Callable[[], Value]) -> Value | None:
            try:
                return question()
            except RemoteError as trouble:
                missing.append(str(trouble))
                return None

        machine = try_to(self._lparcfg) or {}
        system_id = machine.get("serial_number")
        number = machine.get("partition_id", "")
        return Identity(
            hostname=try_to(lambda: self._ask(["uname", "-n"], str.strip)),
            lpar_name=try_to(lambda: self._ask(["cat", PARTITION_NAME], _text)),
            lpar_id=int(number) if number.isdigit() else None,
            model=machine.get("system_type"),
            # The plant's two digits stand before the serial number, as in AIX's systemid (`GIB-PARTID`).
            serial=system_id.rpartition(",")[2][-7:] if system_id else None,
            firmware=try_to(lambda: self._ask(["cat", FIRMWARE], read_firmware)),
            system_id=system_id,
            level=try_to(self.level),
            booted=try_to(lambda: self._ask(["cat", "/proc/stat"], read_boot_time)),
            disks=try_to(lambda: self._ask(["lsblk", "-dn", "-o", "NAME,WWN"], read_disks)),
            missing=tuple(missing),
            system=LINUX,
        )

    def journal(self) -> tuple[KernelLine, ...]:
        """The newest lines of the kernel in the journal of this boot, oldest first.

        Raises `RemoteError`, also where it has none: every start of a kernel writes some.
        """
        try:
            told = self._kernel_log((*JOURNAL, FIELDS), read_journal)
        except NotPermitted:
            raise
        except CommandRefused:
            told = self._kernel_log(JOURNAL, read_journal)
        if not told:
            raise UnexpectedReply(
                "the journal has no line of the kernel",
                where=self._session.where,
                next_step="Let journald keep them (ReadKMsg, Storage in journald.conf).",
            )
        return told

    def dmesg(self) -> tuple[KernelLine, ...]:
        """The kernel's ring buffer, oldest first. Raises `RemoteError`."""
        return self._kernel_log(DMESG, read_dmesg)

    def _kernel_log(
        self, command: Sequence[str], reader: Callable[[str], tuple[KernelLine, ...]]
    ) -> tuple[KernelLine, ...]:
        reply: Reply = self._session.run(command)
        if hides_lines(reply):
            status = reply.status or 0
            raise NotPermitted(MAY_NOT_READ, status=status, where=self._session.where, next_step=HOW_TO_READ)
        return understood(reply, reader)

    def _lparcfg(self) -> Mapping[str, str]:
        newer, older = LPARCFG
        try:
            return self._ask(["cat", newer], read_lparcfg)
        except (CommandRefused, UnexpectedReply):
            return self._ask(["cat", older], read_lparcfg)

    def _ask(self, arguments: Sequence[str], reader: Callable[[str], Value]) -> Value:
        return understood(self._session.run(arguments), reader)


def _text(text: str) -> str:
    return text.replace("\0", "").strip()
