"""The output of ``lsconf`` on the host, before a move against after: what must have changed, what must not, and what
else did.

Labels and sections are those of AIX's own ``lsconf`` (`GLPI`). It prints the number of (virtual) processors and the
memory, not the entitlement, which is asked with ``lparstat -i``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lpmkit.errors import UnexpectedReply

SERIAL, MODEL = "Machine Serial Number", "System Model"
#: The lines that belong to the machine and not to the partition: others after a move. The partition's id may be another
#: there.
OF_THE_MACHINE = (
    MODEL,
    SERIAL,
    "Processor Type",
    "Processor Version",
    "Processor Clock Speed",
    "Platform Firmware level",
    "Firmware Version",
    "LPAR Info",
)
#: The lines that the partition brings along.
OF_THE_PARTITION = ("Memory Size", "Good Memory Size", "Number Of Processors")
#: Of a longer answer no more is kept.
MAX_LINES = 2000


def read_lsconf(text: str) -> tuple[str, ...]:
    """The lines, as long as it is an answer of ``lsconf``: one that names the machine's serial number.

    Raises `UnexpectedReply` for another.
    """
    lines = tuple(line.rstrip() for line in text.splitlines()[:MAX_LINES])
    if not head_of(lines).get(SERIAL):
        raise UnexpectedReply("lsconf names no machine serial number", line=text.strip()[:120])
    return lines


def head_of(lines: Sequence[str]) -> dict[str, str]:
    """The labelled lines before the first empty one.

    >>> head_of(["System Model: IBM,7998-61X", "LPAR Info: 5 J - k", " ", "Network: x"])
    {'System Model': 'IBM,7998-61X', 'LPAR Info': '5 J - k'}
    """
    found: dict[str, str] = {}
    for line in lines:
        label, colon, value = line.partition(":")
        if not line.strip():
            if found:
                break
            continue
        if colon:
            found.setdefault(" ".join(label.split()), value.strip())
    return found


@dataclass(frozen=True, slots=True)
class Changes:
    """Two answers of ``lsconf`` side by side; each entry is a line in words (``Firmware Version: a → b``)."""

    machine: tuple[str, ...]  #: of what belongs to the machine
    partition: tuple[str, ...]  #: of what must be the same
    others: tuple[str, ...]
    lost: tuple[str, ...] = ()  #: disks and adapters that are not listed any more


def changes(before: Sequence[str], after: Sequence[str]) -> Changes:
    """The changes from one answer to the other.

    Places of devices hold the machine's model and serial and the partition's id, and are held against each other
    without them.
    """
    was, now = head_of(before), head_of(after)

    def changed(labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            f"{label}: {was.get(label, 'not told')} → {now.get(label, 'not told')}"
            for label in labels
            if was.get(label) != now.get(label)
        )

    known = (*OF_THE_MACHINE, *OF_THE_PARTITION)
    rest = sorted((was.keys() | now.keys()) - set(known))
    gone, come = Counter(_body(before, was)), Counter(_body(after, now))
    lines = [f"gone: {line}" for line in (gone - come).elements()] + [
        f"new: {line}" for line in (come - gone).elements()
    ]
    lost = [name for name in _devices(before) if name not in _devices(after)]
    return Changes(changed(OF_THE_MACHINE), changed(OF_THE_PARTITION), (*changed(rest), *lines), tuple(lost))


def _devices(lines: Sequence[str]) -> list[str]:
    """The disks and adapters in a list of resources, whose lines begin with ``+``, ``-`` or ``*``.

    >>> _devices(["* ent0  U7998-V2-C4-T1  Virtual I/O Ethernet Adapter", "+ mem0   Memory", "+ hdisk2  x"])
    ['ent0', 'hdisk2']
    """
    named = (re.match(r"[+*-]\s+((?:hdisk|ent|fcs|vscsi)\d+)\s", line) for line in lines)
    return [found[1] for found in named if found]


def _body(lines: Sequence[str], head: dict[str, str]) -> list[str]:
    """The lines below the labelled head, without the parts that the machine puts into the places of devices: its
    model, its serial, the partition's id (``U7998.61X.10072EA-V2``).
    """
    first = next(
        (at for at, line in enumerate(lines) if not line.strip() and any(one.strip() for one in lines[:at])), len(lines)
    )
    model = head.get(MODEL, "").removeprefix("IBM,").replace("-", ".")
    place = f"U{model}.{head.get(SERIAL, '')}-V{head.get('LPAR Info', '').partition(' ')[0]}-"
    return [" ".join(line.replace(place, "U…-V…-").split()) for line in lines[first:] if line.strip()]
