"""Compare the identity of a partition before and after a move: frame, ids, level, disks, boot time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lpmkit.control.aix_identity import Identity
from lpmkit.control.linux import LINUX

#: Boot times are worked out from ``date`` and ``uptime``, which print whole minutes: two readings of one boot may
#: differ so much.
BOOT_TIME_RESOLUTION = timedelta(seconds=120)


class Change(StrEnum):
    """The fate of a fact over a move."""

    CHANGED = "changed"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class IdentitySnapshot:
    """A partition at one moment: the frame that lists it, and its identity."""

    frame: str | None
    identity: Identity
    firmware_machine: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """One line of the table of what changed. ``as_it_should`` is ``None`` where nothing can be said."""

    what: str
    before: str | None
    after: str | None
    change: Change
    as_it_should: bool | None


#: The parts of an identity that a move changes, must leave alone, and may change (B `IBMDOC:iphc3attributes`):
#: True, False, None.
IDENTITY_ROWS: tuple[tuple[str, str, bool | None], ...] = (
    ("machine model", "model", None),
    ("machine serial", "serial", True),
    ("firmware", "firmware", None),
    ("uname -m", "machine_id", True),
    ("uname -u", "system_id", True),
    ("uname -f", "frame_id", True),
    ("partition id", "lpar_id", None),
    ("partition name", "lpar_name", False),
    ("host name", "hostname", False),
    ("AIX level", "level", False),
    ("disks (PVID)", "disks", False),
)
#: Linux has no ids of its own that follow the frame but the system's; its disks have World Wide Names.
LINUX_ROWS = tuple(
    ({"AIX level": "Linux level", "disks (PVID)": "disks (WWN)"}.get(what, what), field, should_change)
    for what, field, should_change in IDENTITY_ROWS
    if field not in ("machine_id", "frame_id")
)


def changed(before: IdentitySnapshot, after: IdentitySnapshot, *, stayed: bool = False) -> tuple[IdentityRow, ...]:
    """Rows of identity before and after a move, in the order to show.

    The boot time is the last row and must be the same. ``stayed``: the move was stopped, refused or rolled back, so
    that nothing should have changed.
    """
    rows = [
        _row("frame", before.frame, after.frame, not stayed),
        _row("system", before.firmware_machine, after.firmware_machine, not stayed),
    ]
    linux = before.identity.system == LINUX
    for what, field, should_change in LINUX_ROWS if linux else IDENTITY_ROWS:
        expected = False if stayed else should_change
        rows.append(_row(what, getattr(before.identity, field), getattr(after.identity, field), expected))
    rows.append(_boot_row(before.identity.booted, after.identity.booted))
    return tuple(rows)


def _row(what: str, before: object, after: object, should_change: bool | None) -> IdentityRow:
    if before is None or after is None:
        return IdentityRow(what, _shown(before), _shown(after), Change.UNKNOWN, None)
    change = Change.SAME if before == after else Change.CHANGED
    expected = True if should_change is None else (change is Change.CHANGED) == should_change
    return IdentityRow(what, _shown(before), _shown(after), change, expected)


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        return ", ".join(" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in value)
    return str(value)


def _boot_row(before: datetime | None, after: datetime | None) -> IdentityRow:
    if before is None or after is None:
        return IdentityRow("boot time", _shown(before), _shown(after), Change.UNKNOWN, None)
    same = abs(after - before) <= BOOT_TIME_RESOLUTION
    return IdentityRow("boot time", str(before), str(after), Change.SAME if same else Change.CHANGED, same)
