"""The partition itself: its identity, its devices, its error log, as AIX prints them.

What a move changes and what it must not is gathered by `AixShell.identity`. Times that the partition prints are its
own clock's, in whole seconds or minutes; they order things and tighten no measurement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from lpmkit.control.listings import lines, understood, units, whole
from lpmkit.errors import RemoteError, UnexpectedReply
from lpmkit.inventory import Device, DiskPath, ErrorEntry, PhysicalDisk
from lpmkit.ssh.session import Session

Value = TypeVar("Value")

#: The layout of ``lsdev -Cc``: status words, and the look of a location code (widths are D, so columns are told by
#: their words).
RECALLED_LSDEV_STATUS = ("Available", "Defined", "Stopped")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The head of ``lsconf``; figures in MB and MHz."""

    model: str
    serial: str
    processors: int | None
    clock_mhz: int | None
    lpar_id: int | None
    lpar_name: str | None
    memory_mb: int | None
    firmware: str | None


@dataclass(frozen=True, slots=True)
class LparStat:
    """``lparstat -i``: what is understood of it, and every label as it was printed."""

    partition_name: str
    lpar_id: int
    mode: str | None
    entitled_capacity: float | None
    online_virtual_cpus: int | None
    online_memory_mb: int | None
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """One entry of ``errpt -a``. ``machine_id`` is ``uname -m`` at that moment, which a move changes."""

    label: str
    identifier: str
    at: str
    sequence: int
    machine_id: str
    node_id: str
    resource: str
    description: str


@dataclass(frozen=True, slots=True)
class Subsystem:
    """``lssrc -s``: ``pid`` is ``None`` for one that does not run."""

    name: str
    group: str | None
    pid: int | None
    status: str


@dataclass(frozen=True, slots=True)
class Uptime:
    """``uptime``, to the minute as it prints it."""

    minutes: int
    users: int
    load: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Identity:
    """Attributes of a partition: those that a move changes (machine, firmware, ids) and those that stay (name, level,
    boot time, disks).
    """

    hostname: str | None = None
    lpar_name: str | None = None
    lpar_id: int | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    machine_id: str | None = None
    system_id: str | None = None
    frame_id: str | None = None
    level: str | None = None
    booted: datetime | None = None
    disks: tuple[tuple[str, str], ...] | None = None
    missing: tuple[str, ...] = ()
    #: What ``uname -s`` prints, where it was asked: AIX or Linux.
    system: str | None = None


def decode(content: bytes) -> str:
    r"""Text from a machine that says not how it wrote it: UTF-8 if it is that, else ISO 8859-1, which reads anything
    (`SNAP`, A).

    >>> decode(b"Fehler: Gr\xc3\xb6\xc3\x9fe"), decode(b"Fehler: Gr\xf6\xdfe")
    ('Fehler: Größe', 'Fehler: Größe')
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def one_line(text: str, form: str = "") -> str:
    r"""The reply of a command that prints one line. With a ``form``, login notices around the one line of that form
    are skipped.

    >>> one_line("000071DA4C00\n")
    '000071DA4C00'
    >>> one_line("Your password will expire in 3 days.\n000071DA4C00\n", "[0-9A-F]{12}")
    '000071DA4C00'
    """
    rows = [line.strip() for line in lines(text) if line.strip()]
    fitting = [row for row in rows if re.fullmatch(form, row)] if form else rows
    if len(fitting) == 1:
        return fitting[0]
    if len(rows) != 1:
        strange = [row for row in rows if row not in fitting] or rows
        raise UnexpectedReply(f"one line was expected and {len(rows)} came", line=strange[0] if strange else None)
    return rows[0]


def read_machine_id(text: str) -> str:
    r"""``uname -m``::

        000071DA4C00

    Twelve hexadecimal digits; the SAP hardware key follows from them (A `GLPI` in its parts, D as a whole).

    >>> read_machine_id("000071DA4C00\n")
    '000071DA4C00'
    """
    return _hexadecimal(one_line(text, "[0-9A-Fa-f]{12}"), 12)


def read_frame_id(text: str) -> str:
    r"""``uname -f``, the identifier whose low digits are the partition's (`GIB-PARTID`, A)::

        80000BA02DC00063

    >>> read_frame_id("80000BA02DC00063\n")
    '80000BA02DC00063'
    """
    return _hexadecimal(one_line(text, "[0-9A-Fa-f]{16}"), 16)


def _hexadecimal(text: str, digits: int) -> str:
    if len(text) != digits or set(text) - set("0123456789ABCDEFabcdef"):
        raise UnexpectedReply(f"{digits} hexadecimal digits were expected", line=text)
    return text


def read_system_id(text: str) -> str:
    r"""``uname -u`` (`GIB-PARTID`, `GLPI`, A)::

        IBM,0310071DA

    >>> read_system_id("IBM,0310071DA\n")
    'IBM,0310071DA'
    """
    text = one_line(text, r"IBM,\S+")
    if not text.startswith("IBM,") or " " in text:
        raise UnexpectedReply("a system identifier such as IBM,0310071DA was expected", line=text)
    return text


def read_lpar_label(text: str) -> tuple[int, str]:
    r"""``uname -L``; the name may hold blanks (`GIB-PARTID`, `OHAI`, A)::

        29 virtlpar03 - 7.1 testers

    >>> read_lpar_label("29 virtlpar03 - 7.1 testers\n")
    (29, 'virtlpar03 - 7.1 testers')
    """
    lpar_id, _, name = one_line(text, r"\d+ \S.*").partition(" ")
    return whole(lpar_id), name


def read_hostname(text: str) -> str:
    r"""``uname -n``.

    >>> read_hostname("bxaix85\n")
    'bxaix85'
    """
    name = one_line(text)
    if " " in name:
        raise UnexpectedReply("a host name was expected", line=name)
    return name


def read_level(text: str) -> str:
    r"""``oslevel -s``: base, technology level, service pack, build (`BOND`, A)::

        5300-07-03-0811

    Early levels of AIX 5.3 have a word for the service pack and may lack the build (D).

    >>> read_level("5300-07-03-0811\n"), read_level("5300-05-CSP-0000\n")
    ('5300-07-03-0811', '5300-05-CSP-0000')
    """
    level = one_line(text, _LEVEL.pattern)
    if not _LEVEL.fullmatch(level):
        raise UnexpectedReply("a level as 5300-07-03-0811 was expected", line=level)
    return level


_LEVEL = re.compile(r"\d{4}-\d\d-(?:\d\d|CSP)(?:-\d{4})?")


def read_configuration(text: str) -> Configuration:
    r"""``lsconf`` (``prtconf`` is the same command)::

        System Model: IBM,9080-M9S
        Machine Serial Number: 45XY777
        Number Of Processors: 1
        Processor Clock Speed: 3400 MHz
        LPAR Info: 5 JAVADEV1 - kukicha
        Memory Size: 8192 MB
        Platform Firmware level: VH950_099

    Model, serial, processors, clock, partition, memory, firmware; what follows the first empty line is not read.
    `GLPI`, A.

    >>> found = read_configuration("System Model: IBM,9080-M9S\nMachine Serial Number: 45XY777\nLPAR Info: 5 J - k\n"
    ...     "\nNetwork\n")
    >>> found.serial, found.lpar_id, found.lpar_name, found.memory_mb
    ('45XY777', 5, 'J - k', None)
    """
    head: list[str] = []
    for line in lines(text):
        if not line.strip():
            break
        head.append(line)
    labels = dict(_labelled(line) for line in head)
    lpar_id, _, lpar_name = labels.get("LPAR Info", "").partition(" ")
    return Configuration(
        model=_required(labels, "System Model"),
        serial=_required(labels, "Machine Serial Number"),
        processors=_figure(labels, "Number Of Processors"),
        clock_mhz=_figure(labels, "Processor Clock Speed"),
        lpar_id=int(lpar_id) if lpar_id.isascii() and lpar_id.isdigit() else None,
        lpar_name=lpar_name or None,
        memory_mb=_figure(labels, "Memory Size"),
        firmware=labels.get("Platform Firmware level"),
    )


def _labelled(line: str) -> tuple[str, str]:
    label, colon, value = line.partition(":")
    if not colon or not label.strip():
        raise UnexpectedReply("a line of the form 'label: value' was expected", line=line)
    return " ".join(label.split()), value.strip()


def _required(labels: dict[str, str], label: str) -> str:
    if not labels.get(label):
        raise UnexpectedReply(f"the line {label!r} is missing")
    return labels[label]


def _figure(labels: dict[str, str], label: str) -> int | None:
    """The number at the head of a value such as ``4096 MB``; None where the label is missing or holds a dash."""
    first = labels.get(label, "").partition(" ")[0]
    return int(first) if first.isascii() and first.isdigit() else None


def read_lparstat(text: str) -> LparStat:
    r"""``lparstat -i``::

        Node Name                                  : bxaix85
        Partition Number                           : 2
        Entitled  Capacity                          : 4,00
        Unallocated Variable Memory Capacity Weight: -

    The label ends at the first colon, padded or not; blanks inside it vary; decimals may have a comma. `GLPI`, A.

    >>> found = read_lparstat("Partition Name : a:b\nPartition Number: 2\nEntitled  Capacity     : 4,00\n"
    ...     "Mode : Capped\n")
    >>> found.partition_name, found.lpar_id, found.entitled_capacity
    ('a:b', 2, 4.0)
    """
    labels = tuple(_labelled(line) for line in lines(text) if line.strip())
    values = dict(labels)
    capacity = values.get("Entitled Capacity")
    return LparStat(
        partition_name=_required(values, "Partition Name"),
        lpar_id=whole(_required(values, "Partition Number")),
        mode=values.get("Mode"),
        entitled_capacity=None if capacity == "-" else units(capacity),
        online_virtual_cpus=_figure(values, "Online Virtual CPUs"),
        online_memory_mb=_figure(values, "Online Memory"),
        labels=labels,
    )


def read_errpt(text: str) -> tuple[ErrorEntry, ...]:
    r"""``errpt``, newest first (``errlog`` of a VIOS has the same layout)::

        IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION
        A5E6DB96   0414083416 I S pmig           Client Partition Migration Completed
        08917DC6   0414083316 I S pmig           Client Partition Migration Started

    `ZIU`, A. An empty log prints nothing.

    >>> text = ("IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION\n"
    ...     "08917DC6   0414083316 I S pmig           Client X\n")
    >>> read_errpt(text)[0].resource, read_errpt(text)[0].description
    ('pmig', 'Client X')
    """
    rows = [line for line in lines(text) if line.strip()]
    if not rows:
        return ()
    if rows[0].split()[:2] != ["IDENTIFIER", "TIMESTAMP"]:
        raise UnexpectedReply("the heading of an error log was expected", line=rows[0])
    return tuple(_error_entry(line) for line in rows[1:])


def _error_entry(line: str) -> ErrorEntry:
    fields = line.split(None, 5)
    if len(fields) != 6 or len(fields[0]) != 8 or len(fields[1]) != 10 or not fields[1].isdigit():
        raise UnexpectedReply("this is not a row of an error log", line=line)
    identifier, stamp, error_type, error_class, resource, description = fields
    return ErrorEntry(identifier, stamp, error_type, error_class, resource, description.strip())


def read_error_reports(text: str) -> tuple[ErrorReport, ...]:
    r"""``errpt -a``: entries between lines of dashes, each of ``Label: value`` lines and then headed paragraphs.
    `ZIU`, `SNAP`, A.

    >>> text = '''---------------------------------------------------------------------------
    ... LABEL:          CLIENT_PMIG_STARTED
    ... IDENTIFIER:     08917DC6
    ...
    ... Date/Time:       Thu Apr 14 08:33:01 CEST 2016
    ... Sequence Number: 4711
    ... Machine Id:      00F617474C00
    ... Node Id:         lpar1
    ... Class:           S
    ... Type:            INFO
    ... Resource Name:   pmig
    ...
    ... Description
    ... Client Partition Migration Started
    ... '''
    >>> report, = read_error_reports(text)
    >>> report.label, report.machine_id, report.sequence, report.description
    ('CLIENT_PMIG_STARTED', '00F617474C00', 4711, 'Client Partition Migration Started')
    """
    entries: list[list[str]] = []
    for line in lines(text):
        if len(line) > 20 and not line.strip("-"):
            entries.append([])
        elif entries:
            entries[-1].append(line)
        elif line.strip():
            raise UnexpectedReply("an error report begins with a line of dashes", line=line)
    return tuple(_error_report(entry) for entry in entries if any(map(str.strip, entry)))


def _error_report(entry: list[str]) -> ErrorReport:
    if "Description" not in entry:
        raise UnexpectedReply("an error report has no description", line=entry[0])
    middle = entry.index("Description")
    labels = dict(_labelled(line) for line in entry[:middle] if ":" in line and not line[:1].isspace())
    return ErrorReport(
        label=_required(labels, "LABEL"),
        identifier=_required(labels, "IDENTIFIER"),
        at=_required(labels, "Date/Time"),
        sequence=whole(_required(labels, "Sequence Number")),
        machine_id=_required(labels, "Machine Id"),
        node_id=_required(labels, "Node Id"),
        resource=_required(labels, "Resource Name"),
        description=next((line.strip() for line in entry[middle + 1 :] if line.strip()), ""),
    )


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
    if len(fields) == 4 and _is_location(third):
        return Device(name, status, fields[3].strip(), location=third)
    return Device(name, status, line.split(None, 2)[2].strip())


def _is_location(word: str) -> bool:
    """``05-08``, ``1S-08-00`` or ``00-00-00-8,0``: groups of few characters that begin with a digit, joined by
    dashes.
    """
    groups = word.split("-")
    return (
        len(groups) > 1
        and all(group and group[0].isalnum() and len(group) <= 4 for group in groups)
        and word[0].isdigit()
    )


def read_disks(text: str) -> tuple[PhysicalDisk, ...]:
    r"""``lspv`` of AIX, without a heading (`BOND` layout, A)::

        hdisk0          00c71da1e5b1f0a2                    rootvg          active
        hdisk3          none                                None

    >>> read_disks("hdisk0 00c71da1e5b1f0a2 rootvg active\nhdisk3 none None\n")[1].pvid is None
    True
    """
    return tuple(_disk(line) for line in lines(text) if line.strip())


def _disk(line: str) -> PhysicalDisk:
    fields = line.split()
    if not 3 <= len(fields) <= 4:
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


def read_uptime(text: str) -> Uptime:
    r"""``uptime``, whose blanks vary and which says ``1 user`` for one (`NOVA-IVM`, A and C)::

        03:47PM   up 4 days,   5:42,  12 users,  load average: 0.32, 0.43, 0.36

    >>> read_uptime("03:47PM   up 4 days,   5:42,  12 users,  load average: 0.32, 0.43, 0.36\n")
    Uptime(minutes=6102, users=12, load=(0.32, 0.43, 0.36))
    >>> read_uptime("  10:05AM   up 35 mins,  1 user,  load average: 0,32, 0,43, 0,36\n").minutes
    35
    """
    line = one_line(text)
    before, marker, load = line.partition("load average:")
    _, up, rest = before.partition(" up ")
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    if not marker or not up or not parts or not parts[-1].endswith(("user", "users")):
        raise UnexpectedReply("this is not the line of uptime", line=line)
    first, second, third = (units(figure) or 0.0 for figure in _three(load, line))
    return Uptime(sum(_minutes(part, line) for part in parts[:-1]), whole(parts[-1].split()[0]), (first, second, third))


def _three(load: str, line: str) -> list[str]:
    figures = [figure.rstrip(",") for figure in load.split()]
    if len(figures) != 3:
        raise UnexpectedReply("three load averages were expected", line=line)
    return figures


def _minutes(part: str, line: str) -> int:
    """One stretch of an uptime: ``4 days``, ``5:42``, ``35 mins``, ``2 hrs``."""
    amount, _, unit = part.partition(" ")
    if ":" in amount and not unit:
        hours, _, minutes = amount.partition(":")
        return whole(hours) * 60 + whole(minutes)
    for name, minutes_each in (("day", 24 * 60), ("hr", 60), ("hour", 60), ("min", 1)):
        if unit.strip().startswith(name):
            return whole(amount) * minutes_each
    raise UnexpectedReply("a stretch of time was expected", line=line)


def read_date(text: str) -> datetime:
    r"""``date -u``; the zone is part of the answer and has to be a universal one::

        Fri Aug  8 20:15:02 UTC 2008

    >>> read_date("Fri Aug  8 20:15:02 UTC 2008\n").isoformat()
    '2008-08-08T20:15:02+00:00'
    """
    line = one_line(text)
    fields = line.split()
    if len(fields) != 6 or fields[4] not in ("UTC", "GMT", "CUT"):
        raise UnexpectedReply("a date in universal time was expected", line=line)
    try:
        moment = datetime.strptime(" ".join([*fields[1:4], fields[5]]), "%b %d %H:%M:%S %Y")  # noqa: DTZ007 - set below
    except ValueError as trouble:
        raise UnexpectedReply("a date in universal time was expected", line=line) from trouble
    return moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SyslogLine:
    """A line of syslog: ``stamp`` as printed (local time, whole seconds, no year), its program, and its text."""

    stamp: str
    process: str
    text: str


def read_syslog_files(text: str) -> tuple[str, ...]:
    r"""The files that ``/etc/syslog.conf`` writes to, each once: its second column where that is a path.

    >>> read_syslog_files("# comment\n*.debug\t/var/adm/messages rotate size 1m files 4\nmail.debug @loghost\n"
    ...     "auth.info /dev/console\n")
    ('/var/adm/messages',)
    """
    rows = [line.split() for line in lines(text) if line.strip() and not line.lstrip().startswith("#")]
    files = [row[1] for row in rows if len(row) > 1 and row[1].startswith("/") and not row[1].startswith("/dev/")]
    return tuple(dict.fromkeys(files))


def read_dr_lines(text: str) -> tuple[SyslogLine, ...]:
    r"""Entries of the dynamic reconfiguration daemon in a syslog file, in the order of the file; other lines are
    skipped.

    The tag ``DRMGR`` is documented (dr_scripts, AIX 7.2); of what it says of a migration one line is known ("Starting
    CHECK phase for partition migration", the article), so the words are kept as they come.

    >>> read_dr_lines("Aug  8 20:14:02 bxaix85 daemon:notice DRMGR[241]: post phase\n"
    ...     "Aug  8 20:14:02 bxaix85 auth:info sshd: x\n")
    (SyslogLine(stamp='Aug  8 20:14:02', process='DRMGR[241]', text='post phase'),)
    """
    return tuple(
        SyslogLine(match["stamp"], match["process"], match["text"])
        for line in lines(text)
        if (match := _DR_LINE.match(line))
    )


_DR_LINE = re.compile(r"(?P<stamp>\w{3} [ \d]\d \d\d:\d\d:\d\d) .*?\b(?P<process>DRMGR(?:\[\d+\])?):\s*(?P<text>.*\S)")


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A row of nmon about a change of its machine: ``stamp`` is the row's time, if it has one, ``text`` the row as it
    is.
    """

    stamp: str
    text: str


def read_change_rows(text: str) -> tuple[ChangeRow, ...]:
    r"""The ``BBBR`` rows of an nmon recording, in its order; any other line is passed over.

    nmon for AIX has itself signalled when the machine is reconfigured or has moved, and notes the check, the pre and
    the post phase in such rows (IBM support document 1115625). How their fields are laid out was not found in print,
    so they are kept as they come; the time is the field that is one.

    >>> read_change_rows("ZZZZ,T0007,20:13:59,08-AUG-2008\nBBBR,T0007,20:14:02,08-AUG-2008,post,migrate\n")
    (ChangeRow(stamp='20:14:02', text='T0007,08-AUG-2008,post,migrate'),)
    """
    rows = []
    for line in lines(text):
        tag, *fields = [field.strip() for field in line.split(",")]
        if tag == "BBBR":
            stamp = next((field for field in fields if _TIME_OF_DAY.fullmatch(field)), "")
            rows.append(ChangeRow(stamp, ",".join(field for field in fields if field != stamp)))
    return tuple(rows)


_TIME_OF_DAY = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?")


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
        return _boot(self.date(), self.uptime())

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
            booted=_boot(date, uptime) if date and uptime else None,
            disks=None if disks is None else tuple((disk.name, disk.pvid or "none") for disk in disks),
            missing=tuple(missing),
        )

    def _ask(self, arguments: Sequence[str], reader: Callable[[str], Value]) -> Value:
        return understood(self._session.run(arguments), reader)


def _boot(date: datetime, uptime: Uptime) -> datetime:
    return date.replace(second=0) - timedelta(minutes=uptime.minutes)
