"""The command line of a partition with AIX: its devices here, its identity and its logs in `aix_identity` and
`aix_logs`.

What a move changes and what it must not is gathered by `AixShell.identity`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from lpmkit.control.aix_identity import (
    Configuration,
    Identity,
    LparStat,
    Uptime,
    boot_time,
    read_configuration,
    read_date,
    read_frame_id,
    read_hostname,
    read_level,
    read_lpar_label,
    read_lparstat,
    read_machine_id,
    read_system_id,
    read_uptime,
)
from lpmkit.control.aix_logs import (
    ChangeRow,
    ErrorReport,
    SyslogLine,
    read_change_rows,
    read_dr_lines,
    read_error_reports,
    read_errpt,
    read_syslog_files,
)
from lpmkit.control.listings import lines, understood
from lpmkit.errors import RemoteError, UnexpectedReply
from lpmkit.inventory import Device, DiskPath, ErrorEntry, PhysicalDisk
from lpmkit.ssh.session import Session

Value = TypeVar("Value")


#: The layout of ``lsdev -Cc``: status words, and the look of a location code (widths are D, so columns are told by
#: their words).
RECALLED_LSDEV_STATUS = ("Available", "Defined", "Stopped")


@dataclass(frozen=True, slots=True)
class Subsystem:
    """``lssrc -s``: ``pid`` is ``None`` for one that does not run."""

    name: str
    group: str | None
    pid: int | None
    status: str


def read_adapters(text: str) -> tuple[Device, ...]:
    r"""``lsdev -Cc adapter``; the location is blank for a virtual one::

        ent0   Available       Virtual I/O Ethernet Adapter (l-lan)
        vscsi0 Available       Virtual SCSI Client Adapter
        fcs0   Available 05-08 4Gb FC PCI Express Adapter (df1000fe)

    Names and texts `GLPI`, A; column widths D.

    >>> [(device.name, device.location) for device in read_adapters("ent0 Available  Virtual I/O\n"
    ...     "fcs0 Available 05-08 4Gb FC\n")]
    [('ent0', None), ('fcs0', '05-08')]
    """
    return tuple(_adapter(line) for line in lines(text) if line.strip())


def _adapter(line: str) -> Device:
    fields = line.split(None, 3)
    if len(fields) < 3 or fields[1] not in RECALLED_LSDEV_STATUS:
        raise UnexpectedReply("this is not a row of lsdev", line=line)
    name, status, third = fields[:3]
    if len(fields) == 4 and _LOCATION.fullmatch(third):
        return Device(name, status, fields[3].strip(), location=third)
    return Device(name, status, line.split(None, 2)[2].strip())


#: ``05-08``, ``1S-08-00``, ``AB-T1`` or ``00-00-00-8,0``.
_LOCATION = re.compile(r"[0-9A-Z]{2}(?:-(?:T\d+|[0-9A-Z]{1,4}(?:,\d+)?))+")


def read_disks(text: str) -> tuple[PhysicalDisk, ...]:
    r"""``lspv`` of AIX, without a heading (`BOND` layout, A)::

        hdisk0          00c71da1e5b1f0a2                    rootvg          active
        hdisk3          none                                None

    >>> read_disks("hdisk0 00c71da1e5b1f0a2 rootvg active\nhdisk3 none None\n")[1].pvid is None
    True
    """
    return tuple(_disk(line) for line in lines(text) if line.strip())


def _disk(line: str) -> PhysicalDisk:
    fields = line.split()  # behind the group: its state, and whether the disk is locked (lkdev)
    if not 3 <= len(fields) <= 5:
        raise UnexpectedReply("this is not a row of lspv", line=line)
    return PhysicalDisk(fields[0], pvid=_unless_none(fields[1]), volume_group=_unless_none(fields[2]))


def _unless_none(word: str) -> str | None:
    return None if word.casefold() == "none" else word


def read_paths(text: str) -> tuple[DiskPath, ...]:
    r"""``lspath`` (`BOND`, A)::

        Enabled hdisk0 vscsi0

    >>> read_paths("Failed  hdisk1 vscsi1\n")
    (DiskPath(disk='hdisk1', status='Failed', parent='vscsi1', connection=''),)
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    for fields in rows:
        if len(fields) != 3:
            raise UnexpectedReply("this is not a row of lspath", line=" ".join(fields))
    return tuple(DiskPath(disk, status, parent) for status, disk, parent in rows)


def read_subsystem(text: str) -> Subsystem:
    r"""``lssrc -s ctrmc``; one that does not run has no process (`BOND`, A)::

        Subsystem         Group            PID          Status
         ctrmc            rsct             3801192      active

    >>> read_subsystem("Subsystem         Group            PID          Status\n"
    ...     " ctrmc            rsct             3801192      active\n")
    Subsystem(name='ctrmc', group='rsct', pid=3801192, status='active')
    >>> read_subsystem("Subsystem         Group            PID          Status\n"
    ...     " ctrmc            rsct                          inoperative\n")
    Subsystem(name='ctrmc', group='rsct', pid=None, status='inoperative')
    """
    rows = [line.split() for line in lines(text) if line.strip()]
    if len(rows) != 2 or rows[0] != ["Subsystem", "Group", "PID", "Status"]:
        raise UnexpectedReply("the heading and one row of lssrc were expected", line=text.partition("\n")[0])
    fields = rows[1]
    if not 2 <= len(fields) <= 4:
        raise UnexpectedReply("this is not a row of lssrc", line=" ".join(fields))
    numbers = [word for word in fields[1:-1] if word.isascii() and word.isdigit()]
    groups = [word for word in fields[1:-1] if word not in numbers]
    return Subsystem(fields[0], groups[0] if groups else None, int(numbers[0]) if numbers else None, fields[-1])


class AixShell:
    """Questions to the partition's own operating system. All of them only read."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def session(self) -> Session:
        """The session that the commands go over."""
        return self._session

    def configuration(self) -> Configuration:
        """``lsconf``."""
        return self._ask(["lsconf"], read_configuration)

    def machine_id(self) -> str:
        """``uname -m``."""
        return self._ask(["uname", "-m"], read_machine_id)

    def system_id(self) -> str:
        """``uname -u``."""
        return self._ask(["uname", "-u"], read_system_id)

    def frame_id(self) -> str:
        """``uname -f``."""
        return self._ask(["uname", "-f"], read_frame_id)

    def lpar_label(self) -> tuple[int, str]:
        """``uname -L``: id and name of the partition."""
        return self._ask(["uname", "-L"], read_lpar_label)

    def hostname(self) -> str:
        """``uname -n``."""
        return self._ask(["uname", "-n"], read_hostname)

    def level(self) -> str:
        """``oslevel -s``."""
        return self._ask(["oslevel", "-s"], read_level)

    def lparstat(self) -> LparStat:
        """``lparstat -i``."""
        return self._ask(["lparstat", "-i"], read_lparstat)

    def error_log(self) -> tuple[ErrorEntry, ...]:
        """``errpt``, newest first."""
        return self._ask(["errpt"], read_errpt)

    def error_reports(self) -> tuple[ErrorReport, ...]:
        """``errpt -a``, newest first."""
        return self._ask(["errpt", "-a"], read_error_reports)

    def dr_lines(self) -> tuple[SyslogLine, ...]:
        """Entries of the dynamic reconfiguration daemon in the last 500 lines of every file that syslog writes to.

        Raises `RemoteError` when there is no such file or it cannot be read.
        """
        files = self._ask(["cat", "/etc/syslog.conf"], read_syslog_files)
        if not files:
            raise UnexpectedReply("/etc/syslog.conf names no file: syslog keeps nothing on this machine")
        return tuple(line for file in files for line in self._ask(["tail", "-n", "500", file], read_dr_lines))

    def change_rows(self, folder: str) -> tuple[ChangeRow, ...]:
        """Rows about changes in the newest nmon recording (``*.nmon``) of a folder.

        Raises `RemoteError` when there is none or it cannot be read.
        """
        names = self._ask(["ls", "-t", folder], lambda text: [line.strip() for line in lines(text)])
        newest = next((name for name in names if name.endswith(".nmon")), None)
        if newest is None:
            raise UnexpectedReply(f"{folder} holds no recording of nmon (*.nmon)")
        reply = self._session.run(["grep", "^BBBR", f"{folder.rstrip('/')}/{newest}"])
        return () if reply.status == 1 and not reply.error.strip() else understood(reply, read_change_rows)

    def adapters(self) -> tuple[Device, ...]:
        """``lsdev -Cc adapter``."""
        return self._ask(["lsdev", "-Cc", "adapter"], read_adapters)

    def disks(self) -> tuple[PhysicalDisk, ...]:
        """``lspv``."""
        return self._ask(["lspv"], read_disks)

    def paths(self) -> tuple[DiskPath, ...]:
        """``lspath``."""
        return self._ask(["lspath"], read_paths)

    def rmc(self) -> Subsystem:
        """``lssrc -s ctrmc``."""
        return self._ask(["lssrc", "-s", "ctrmc"], read_subsystem)

    def uptime(self) -> Uptime:
        """``uptime``."""
        return self._ask(["uptime"], read_uptime)

    def date(self) -> datetime:
        """``date -u``."""
        return self._ask(["date", "-u"], read_date)

    def booted(self) -> datetime:
        """The start of the system, derived from ``date`` and ``uptime``; accurate to about a minute and a half."""
        return boot_time(self.date(), self.uptime())

    def identity(self) -> Identity:
        """Everything that a move changes or must not. What cannot be read is ``None`` and named in ``missing``."""
        missing: list[str] = []

        def try_to(question: Callable[[], Value]) -> Value | None:
            try:
                return question()
            except RemoteError as trouble:
                missing.append(str(trouble))
                return None

        machine = try_to(self.configuration)
        label = try_to(self.lpar_label)
        disks = try_to(self.disks)
        date, uptime = try_to(self.date), try_to(self.uptime)
        return Identity(
            hostname=try_to(self.hostname),
            lpar_id=label[0] if label else None,
            lpar_name=label[1] if label else None,
            model=machine.model if machine else None,
            serial=machine.serial if machine else None,
            firmware=machine.firmware if machine else None,
            machine_id=try_to(self.machine_id),
            system_id=try_to(self.system_id),
            frame_id=try_to(self.frame_id),
            level=try_to(self.level),
            booted=boot_time(date, uptime) if date and uptime else None,
            disks=None if disks is None else tuple((disk.name, disk.pvid or "none") for disk in disks),
            missing=tuple(missing),
        )

    def _ask(self, arguments: Sequence[str], reader: Callable[[str], Value]) -> Value:
        return understood(self._session.run(arguments), reader)
