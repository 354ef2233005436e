r"""Readers for the kernel's log of Linux: the journal as JSON lines (`SYSTEMD-JOURNAL`), and ``dmesg -x`` (`DMESG`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lpmkit.control.listings import lines
from lpmkit.errors import UnexpectedReply
from lpmkit.ssh.session import Reply

#: The newest lines of the kernel that are read of the journal; a boot writes about a thousand.
LINES_READ = 2000
#: All levels but notice and debug. At notice the kernel prints its command line, in which passwords may stand.
_LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "info": 6}
#: With ``-k`` this boot's lines that came through the kernel; matches of one field are alternatives, of two both hold.
#: Facility 0 is the kernel itself: what programs write there early in a start may hold its command line too.
JOURNAL = (
    *("journalctl", "-k", "--no-pager", "-o", "json", "-n", str(LINES_READ)),
    *("SYSLOG_FACILITY=0", *(f"PRIORITY={level}" for level in _LEVELS.values())),
)
#: The option that keeps the answer small; older systemd than 236 (RHEL 7, SLES 12) does not know it.
FIELDS = "--output-fields=PRIORITY,MESSAGE"
#: With the clock of the kernel: ``-T`` would reckon other times of day for the same lines after a suspension. With
#: ``-r`` most releases refuse a choice of levels.
DMESG = ("dmesg", "-k", "-x", "-l", ",".join(_LEVELS))
MAY_NOT_READ = "the account may not read the kernel's log"
HOW_TO_READ = "Put it into the group systemd-journal, or set kernel.dmesg_restrict to 0, then move again."
_HIDDEN = re.compile(
    r"not seeing messages from|insufficient permissions|permission denied|operation not permitted", re.I
)
_NOTHING = "-- No entries --"
_UNREADABLE = "a line that the journal does not show"
_DECODED = re.compile(r"kern *:(\w+) *: (?:\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?)?(.*)")


@dataclass(frozen=True, slots=True)
class KernelLine:
    """A line of the kernel's log; ``level`` is from 0 (emergency) to 7 (debug).

    ``stamp`` is in seconds: of the journal since 1970, of ``dmesg`` since the start, by a clock that need not go on
    through a suspension; empty where the kernel prints none.
    """

    stamp: str
    level: int
    text: str


def read_journal(text: str) -> tuple[KernelLine, ...]:
    r"""``journalctl -o json``, oldest first. Raises `UnexpectedReply`.

    >>> read_journal('{"__REALTIME_TIMESTAMP":"1772359205000042","PRIORITY":"3","MESSAGE":"Oops"}\n')
    (KernelLine(stamp='1772359205.000042', level=3, text='Oops'),)
    """
    return tuple(_entry(line) for line in lines(text) if line != _NOTHING)


def _entry(line: str) -> KernelLine:
    try:
        fields = json.loads(line)
        moment, level = int(fields["__REALTIME_TIMESTAMP"]), int(fields["PRIORITY"])
    except (ValueError, LookupError, TypeError) as error:
        raise UnexpectedReply("this is no entry of a journal", line=line[:200]) from error
    return KernelLine(f"{moment // 10**6}.{moment % 10**6:06}", level, _message(fields.get("MESSAGE")))


def _message(value: object) -> str:
    """A text; one that is not UTF-8 comes as a list of its bytes, one that is too long as ``null``."""
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        value = bytes(value).decode("utf-8", "replace")
    return " ".join(value.split()) if isinstance(value, str) and value else _UNREADABLE


def read_dmesg(text: str) -> tuple[KernelLine, ...]:
    r"""``dmesg -k -x``, oldest first. Raises `UnexpectedReply`.

    >>> read_dmesg("kern  :err   : [12345.678901] I/O error, dev sda\n")
    (KernelLine(stamp='12345.678901', level=3, text='I/O error, dev sda'),)
    """
    found = []
    for line in lines(text):
        match = _DECODED.fullmatch(line)
        if match is None or match[1] not in _LEVELS:
            raise UnexpectedReply("this is no line of dmesg -k -x", line=line[:200])
        found.append(KernelLine(match[2] or "", _LEVELS[match[1]], " ".join(match[3].split())))
    return tuple(found)


def hides_lines(reply: Reply) -> bool:
    """True if the account was not shown everything; ``journalctl`` ends with status 0 even so."""
    return _HIDDEN.search(reply.error) is not None
