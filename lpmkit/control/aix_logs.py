"""The logs of AIX: its error log, dynamic reconfiguration in syslog, changes in recordings of nmon."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lpmkit.control.labels import labelled, required
from lpmkit.control.listings import lines, whole
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import ErrorEntry


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
    labels = dict(labelled(line) for line in entry[:middle] if ":" in line and not line[:1].isspace())
    return ErrorReport(
        label=required(labels, "LABEL"),
        identifier=required(labels, "IDENTIFIER"),
        at=required(labels, "Date/Time"),
        sequence=whole(required(labels, "Sequence Number")),
        machine_id=required(labels, "Machine Id"),
        node_id=required(labels, "Node Id"),
        resource=required(labels, "Resource Name"),
        description=next((line.strip() for line in entry[middle + 1 :] if line.strip()), ""),
    )


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
