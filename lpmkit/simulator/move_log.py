"""The error log entries that a move leaves, on AIX and on the movers."""

from __future__ import annotations

from lpmkit.simulator import recalled
from lpmkit.simulator.chassis import LoggedError, World
from lpmkit.simulator.guest import identity
from lpmkit.simulator.recalled import LogTemplate

#: Identifiers, labels and texts as on AIX up to 7.1 (`ZIU`, `GIB-PARTID`).
AIX_EVENTS = {
    "started": LogTemplate("08917DC6", "CLIENT_PMIG_STARTED", "I", "S", "pmig", "Client Partition Migration Started"),
    "done": LogTemplate("A5E6DB96", "CLIENT_PMIG_DONE", "I", "S", "pmig", "Client Partition Migration Completed"),
    "changed": LogTemplate("60AFC9E5", "PARTID_CHANGE", "I", "O", "sys0", "Partition ID changed since last boot."),
    "aborted": recalled.CLIENT_ABORTED,
}


def entry(template: LogTemplate, wall_s: float, machine_id: str = "") -> LoggedError:
    return LoggedError(
        wall_s,
        template.identifier,
        template.label,
        template.type,
        template.error_class,
        template.resource,
        template.description,
        machine_id,
    )


def aix_entry(world: World, frame: str, partition: str, event: str, wall_s: float) -> LoggedError:
    """An entry of the partition's own log. Its machine id is that of the frame it was written on (`ZIU`)."""
    found = world.partition(frame, partition)
    here = identity(world.frame(frame), 0 if found is None else found.lpar_id)
    return entry(AIX_EVENTS[event], wall_s, here.machine_id)
