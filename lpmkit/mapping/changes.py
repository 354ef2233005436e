"""Compare two surveys of a partition: which rows of its identity and of its mapping changed."""

from __future__ import annotations

from lpmkit.control.aix_identity import Identity
from lpmkit.mapping.arrived import arrived
from lpmkit.mapping.ordered import ordered_rows
from lpmkit.survey.identity import IdentityRow, IdentitySnapshot, changed
from lpmkit.survey.model import Survey


def changes(before: Survey, after: Survey) -> tuple[IdentityRow, ...]:
    """Rows of identity between two surveys: frame, ids, boot time.

    Where the partition has arrived also its mapping, and what the order named.
    """
    here, there = after.source.partition(after.partition), after.target.partition(after.partition)
    has_arrived = here is None and there is not None
    stayed = here is not None and here.state == "Running" and (there is None or there.state != "Running")
    rows = changed(_snapshot(before), _snapshot(after), stayed=stayed)
    if not has_arrived:
        return rows
    return (*rows, *arrived(before, after), *ordered_rows(after.mapping or {}, after.target, after.partition))


def _snapshot(survey: Survey) -> IdentitySnapshot:
    # During the switch both may list it; where it runs is where it is.
    sides = [
        side
        for side in (survey.source, survey.target)
        if (partition := side.partition(survey.partition)) and partition.state == "Running"
    ]
    side = sides[0] if len(sides) == 1 else None
    identity = survey.guest.identity if survey.guest else Identity()
    return IdentitySnapshot(side.name if side else None, identity, side.frame.machine if side and side.frame else None)
