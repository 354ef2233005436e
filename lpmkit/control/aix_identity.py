"""The identity of a partition as its AIX prints it: ids, level, configuration, start.

Times are the partition's own clock's, in whole seconds or minutes; they order things and tighten no measurement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lpmkit.control.labels import figure, labelled, one_line, required
from lpmkit.control.listings import lines, units, whole
from lpmkit.errors import UnexpectedReply


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
    labels = dict(labelled(line) for line in head)
    lpar_id, _, lpar_name = labels.get("LPAR Info", "").partition(" ")
    return Configuration(
        model=required(labels, "System Model"),
        serial=required(labels, "Machine Serial Number"),
        processors=figure(labels, "Number Of Processors"),
        clock_mhz=figure(labels, "Processor Clock Speed"),
        lpar_id=int(lpar_id) if lpar_id.isascii() and lpar_id.isdigit() else None,
        lpar_name=lpar_name or None,
        memory_mb=figure(labels, "Memory Size"),
        firmware=labels.get("Platform Firmware level"),
    )


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
    labels = tuple(labelled(line) for line in lines(text) if line.strip())
    values = dict(labels)
    capacity = values.get("Entitled Capacity")
    return LparStat(
        partition_name=required(values, "Partition Name"),
        lpar_id=whole(required(values, "Partition Number")),
        mode=values.get("Mode"),
        entitled_capacity=None if capacity == "-" else units(capacity),
        online_virtual_cpus=figure(values, "Online Virtual CPUs"),
        online_memory_mb=figure(values, "Online Memory"),
        labels=labels,
    )


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


def boot_time(date: datetime, uptime: Uptime) -> datetime:
    return date.replace(second=0) - timedelta(minutes=uptime.minutes)
