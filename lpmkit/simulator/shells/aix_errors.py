"""``errpt``: the error log of AIX (layouts `ZIU` and `SNAP`)."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.simulator.chassis import LoggedError
from lpmkit.simulator.guest import Guest
from lpmkit.simulator.shells.options import read
from lpmkit.simulator.shells.reply import Context, Reply, lines
from lpmkit.simulator.shells.vios import context_at, error_log

TYPES = {"I": "INFO", "P": "PERM", "T": "TEMP", "U": "UNKN"}


def errpt(guest: Guest, arguments: Sequence[str], context: Context) -> Reply:
    """The summary, or with ``-a`` every entry at length; ``-J`` chooses labels, ``-j`` identifiers, ``-s`` a start
    time.
    """
    options = read(arguments, "-J -j -s -e -N -d -T", "-a -t -D")
    entries = list(enumerate(sorted(guest.errors, key=lambda entry: entry.wall_s), start=1))
    entries = [
        (number, entry) for number, entry in entries if _chosen(entry, options["-J"], options["-j"], options["-s"])
    ]
    if not entries:
        return Reply()
    if "-a" not in options:
        return error_log([entry for _, entry in entries], lambda entry: context_at(entry).time("%m%d%H%M%y"))
    return lines(*(line for number, entry in reversed(entries) for line in _long(guest, number, entry)))


def _chosen(entry: LoggedError, labels: str | None, identifiers: str | None, since: str | None) -> bool:
    if labels is not None and entry.label not in labels.split(","):
        return False
    if identifiers is not None and entry.identifier not in identifiers.upper().split(","):
        return False
    return since is None or _sortable(context_at(entry).time("%m%d%H%M%y")) >= _sortable(since)


def _sortable(stamp: str) -> str:
    """``MMDDhhmmYY`` with the year in front."""
    return stamp[-2:] + stamp[:-2]


def _long(guest: Guest, number: int, entry: LoggedError) -> list[str]:
    """A block of ``errpt -a``. ``Machine Id`` is what ``uname -m`` said when the entry was written (`ZIU`)."""
    return [
        "-" * 75,
        f"LABEL:\t\t{entry.label}",
        f"IDENTIFIER:\t{entry.identifier}",
        "",
        f"Date/Time:       {context_at(entry).time('%a %b %e %H:%M:%S UTC %Y')}",
        f"Sequence Number: {number}",
        f"Machine Id:      {entry.machine_id}",
        f"Node Id:         {guest.name}",
        f"Class:           {entry.error_class}",
        f"Type:            {TYPES.get(entry.type, entry.type)}",
        f"Resource Name:   {entry.resource:<16}",
        "Resource Class:  NONE",
        "Resource Type:   NONE",
        "Location:        ",
        "",
        "Description",
        entry.description,
        "",
        "Probable Causes",
        entry.description,
        "",
        "Failure Causes",
        "CAUSE NOT DETERMINED" if entry.type == "P" else "NONE",
        "",
        "\tRecommended Actions",
        "\tNO ACTION NECESSARY" if entry.type == "I" else "\tPERFORM PROBLEM DETERMINATION PROCEDURES",
        "",
    ]
