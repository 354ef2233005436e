"""The phases of a move, as a table, and the readings that drive them.

Nothing here talks to a machine. A *reading* of both control points (`lpmkit.control.base.MigrationReading`) is boiled
down to one `Observation`; the table `TRANSITIONS` has the meaning of each observation in each phase. An unlisted pair
changes nothing: managers of different levels show states in other orders, and a sight that is not understood must never
end a move.

Two rules precede the table. "Gone from the source and running on the target" is the only success; a text that says
*complete* is none (`NOVA-IVM`, `AVOCADO`). And the moment of the suspension is not among the phases: control points do
not report it, the probes measure it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from lpmkit.control.base import MigrationReading


class Phase(StrEnum):
    """The phase of a move."""

    PREPARED = "prepared"  #: probes run, nothing was asked of the managers
    ASKED = "asked"  #: the command to move is sent
    STARTING = "starting"  #: validation inside the manager, shell partition, adapters
    COPYING = "copying"  #: memory goes over while the partition runs
    SWITCHED = "switched"  #: gone from the source, not yet running on the target's list
    SETTLED = "settled"  #: gone from the source and running on the target: the only success
    FAILED = "failed"  #: where it was, not migrating: refused or rolled back
    STOPPED = "stopped"  #: where it was, because somebody asked to stop
    NEEDS_RECOVERY = "needs-recovery"  #: left in between

    @property
    def is_final(self) -> bool:
        """True for a phase that ends a move."""
        return self in FINAL


FINAL = frozenset({Phase.SETTLED, Phase.FAILED, Phase.STOPPED, Phase.NEEDS_RECOVERY})


class Observation(StrEnum):
    """The combined state of both managers at one moment."""

    AT_HOME = "runs on the source; no migration under way"
    STARTING = "migrating, no bytes yet"
    COPYING = "migrating, bytes move"
    ARRIVING = "gone from the source, on the target but not running yet"
    ARRIVED = "gone from the source, running on the target"
    NOWHERE = "listed by neither"
    BROKEN = "the migration has failed, is to be recovered, or is left behind on the source"
    UNKNOWN = "not everybody could be asked"

    @property
    def code(self) -> str:
        """The observation as run folders keep it.

        >>> Observation.AT_HOME.code
        'at-home'
        """
        return self.name.lower().replace("_", "-")


TRANSITIONS: Mapping[tuple[Phase, Observation], Phase] = {
    (Phase.ASKED, Observation.STARTING): Phase.STARTING,
    (Phase.ASKED, Observation.COPYING): Phase.COPYING,
    (Phase.ASKED, Observation.ARRIVING): Phase.SWITCHED,
    (Phase.ASKED, Observation.ARRIVED): Phase.SETTLED,
    (Phase.ASKED, Observation.BROKEN): Phase.NEEDS_RECOVERY,
    (Phase.ASKED, Observation.AT_HOME): Phase.FAILED,
    (Phase.STARTING, Observation.COPYING): Phase.COPYING,
    (Phase.STARTING, Observation.AT_HOME): Phase.FAILED,
    (Phase.STARTING, Observation.ARRIVING): Phase.SWITCHED,
    (Phase.STARTING, Observation.ARRIVED): Phase.SETTLED,
    (Phase.STARTING, Observation.BROKEN): Phase.NEEDS_RECOVERY,
    (Phase.COPYING, Observation.AT_HOME): Phase.FAILED,
    (Phase.COPYING, Observation.ARRIVING): Phase.SWITCHED,
    (Phase.COPYING, Observation.ARRIVED): Phase.SETTLED,
    (Phase.COPYING, Observation.BROKEN): Phase.NEEDS_RECOVERY,
    (Phase.SWITCHED, Observation.ARRIVED): Phase.SETTLED,
    (Phase.SWITCHED, Observation.AT_HOME): Phase.FAILED,
    (Phase.SWITCHED, Observation.BROKEN): Phase.NEEDS_RECOVERY,
    # Recovered, by us or by somebody else, while we looked on.
    (Phase.NEEDS_RECOVERY, Observation.AT_HOME): Phase.FAILED,
    (Phase.NEEDS_RECOVERY, Observation.ARRIVED): Phase.SETTLED,
    (Phase.NEEDS_RECOVERY, Observation.COPYING): Phase.COPYING,
}

#: The number of times in a row that a sight must be seen before it changes the phase; once, if not listed. A migration
#: that was only just accepted may not show yet, and a state that passes by in the course of things is no reason to call
#: a move broken.
PATIENCE: Mapping[tuple[Phase, Observation], int] = {
    (Phase.ASKED, Observation.AT_HOME): 15,
    (Phase.STARTING, Observation.AT_HOME): 2,
    (Phase.COPYING, Observation.AT_HOME): 2,
    (Phase.SWITCHED, Observation.AT_HOME): 2,
    (Phase.ASKED, Observation.BROKEN): 2,
    (Phase.STARTING, Observation.BROKEN): 2,
    (Phase.COPYING, Observation.BROKEN): 2,
    (Phase.SWITCHED, Observation.BROKEN): 2,
}

_BROKEN_WORDS = ("fail", "recover", "invalid")

#: The state of a partition that does not migrate (A `NOVA-IVM`).
NOT_MIGRATING = "Not Migrating"

#: The states of a partition (A `ZIU`, the migrating ones C `OPTEST`, `NOVA-IVM`), with the release where a later
#: one brought it. Another word, of a newer release or another language, is not understood, and what is not understood
#: never ends a move.
STATES: Mapping[str, str | None] = {
    "Not Activated": None,
    "Starting": None,
    "Running": None,
    "Shutting Down": None,
    "Open Firmware": None,
    "Error": None,
    "Not Available": None,
    "Hardware Discovery": "V7R3.2.0",
    "Migrating - Running": "V7R3.2.0",
    "Migrating - Not Activated": "V7R3.2.0",
    "Suspended": "V7R7.2.0",
    "Suspending": "V7R7.2.0",
    "Resuming": "V7R7.2.0",
}
#: The manager does not reach the system, so this is no state of the partition.
UNREACHED = "Not Available"


def is_migrating(reading: MigrationReading) -> bool:
    """True for a partition in a migration, healthy or not."""
    migration = (reading.migration_state or "").lower()
    return (reading.partition_state or "").startswith("Migrating") or migration not in ("", "not migrating")


def is_at_rest(reading: MigrationReading) -> bool:
    """True where a manager shows a state that is understood and says that nothing migrates.

    A migration state that is not told is none: the manager may be about to list a migration, or list no state at all.
    """
    state = reading.partition_state or ""
    return (
        state in STATES
        and state != UNREACHED
        and not state.startswith("Migrating")
        and (reading.migration_state or "").casefold() == NOT_MIGRATING.casefold()
    )


def needs_recovery(reading: MigrationReading) -> bool:
    """True for a migration that has failed or must be recovered."""
    return any(word in (reading.migration_state or "").lower() for word in _BROKEN_WORDS)


def observe(source: MigrationReading | None, target: MigrationReading | None, *, inactive: bool = False) -> Observation:
    """The combined state of two readings; ``None`` is a manager that does not answer.

    ``inactive`` says that the partition was not activated when the move was asked for: then "not activated on the
    target" is where it is meant to be.

    >>> observe(MigrationReading("Migrating - Running", "Migration Starting", 10, 90), None).name
    'COPYING'
    >>> observe(MigrationReading(None, None), MigrationReading("Running", "Not Migrating")).name
    'ARRIVED'
    """
    if source is None:
        return Observation.UNKNOWN
    if source.partition_state is None:
        return _away(target, inactive=inactive)
    # The second: it runs there, and its shell was left behind here (docs/recovery.md; recalled).
    left = source.partition_state == "Not Activated" and target is not None and target.partition_state == "Running"
    if needs_recovery(source) or left:
        return Observation.BROKEN
    if is_at_rest(source):
        return Observation.AT_HOME
    if not is_migrating(source):
        return Observation.UNKNOWN
    return Observation.COPYING if source.bytes_transmitted else Observation.STARTING


def _away(target: MigrationReading | None, *, inactive: bool) -> Observation:
    if target is None:
        return Observation.UNKNOWN
    if target.partition_state is None:
        return Observation.NOWHERE
    meant = "Not Activated" if inactive else "Running"
    return Observation.ARRIVED if target.partition_state == meant and not is_migrating(target) else Observation.ARRIVING


@dataclass(frozen=True, slots=True)
class MoveState:
    """The phase of a move and the last observations in a row. A value: `next_state` makes the next one.

    ``stop_refused``: the manager refused the stop that was asked for, so a move that ends did not end by it.
    """

    phase: Phase
    seen: Observation | None = None
    times: int = 0
    stop_asked: bool = False
    stop_refused: bool = False

    @property
    def is_stopped(self) -> bool:
        """True where a stop was asked for and not refused."""
        return self.stop_asked and not self.stop_refused


def next_state(standing: MoveState, seen: Observation) -> MoveState:
    """The standing after one more look.

    >>> next_state(MoveState(Phase.COPYING), Observation.ARRIVED).phase.value
    'settled'
    >>> next_state(MoveState(Phase.COPYING), Observation.UNKNOWN).phase.value
    'copying'
    """
    times = standing.times + 1 if seen is standing.seen else 1
    phase = standing.phase
    following = TRANSITIONS.get((phase, seen))
    if following is not None and times >= PATIENCE.get((phase, seen), 1):
        phase = Phase.STOPPED if following is Phase.FAILED and standing.is_stopped else following
    return replace(standing, phase=phase, seen=seen, times=times)


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the copy, from the manager's byte counters. Bytes and seconds; ``None`` where not known.

    ``rounds`` counts the passes over memory: the bytes left fall within a pass and rise again when the next one finds
    pages that were written meanwhile. ``remaining_s`` is an estimate for the whole rest of the copy and no promise.
    """

    transmitted: int | None = None
    left: int | None = None
    rounds: int = 0
    bytes_per_s: float | None = None
    remaining_s: float | None = None
    read_ns: int | None = None  #: when the counters were read (monotonic)

    @property
    def fraction(self) -> float:
        """The share of what is known to be needed so far; it falls back when a new pass begins, as the truth does."""
        if not self.transmitted:
            return 0.0
        return self.transmitted / (self.transmitted + (self.left or 0))


#: The rate of a copy is that of its last readings over this time, and not known before they span the least.
RATE_OVER_NS, RATE_LEAST_NS = 15_000_000_000, 2_000_000_000


def progress(readings: Sequence[tuple[int, int | None, int | None]]) -> Progress:
    """Work out the progress from readings of one manager: (monotonic nanoseconds, bytes sent, bytes left), oldest
    first.

    The rest is estimated as the geometric sum of the passes still to come, each as much smaller than the one before as
    the last two were.

    >>> second = 1_000_000_000
    >>> half_way = progress([(0, 10, 100), (10 * second, 60, 50)])
    >>> half_way.rounds, half_way.bytes_per_s, half_way.remaining_s
    (1, 5.0, 10.0)
    """
    known = [(at, sent, left) for at, sent, left in readings if sent is not None and left is not None]
    if not known:
        return Progress()
    at, sent, left = known[-1]
    passes = _pass_sizes(known)
    moving = [reading for reading in known if reading[1]]
    recent = [reading for reading in moving if at - reading[0] <= RATE_OVER_NS] or known[-1:]
    first_at, first_sent, _ = recent[0]
    # before a byte has moved nothing is known of the rate: that time would make the first estimates many times too long
    rate = (sent - first_sent) / ((at - first_at) / 1e9) if at - first_at >= RATE_LEAST_NS else None
    remaining = None
    if rate:
        shrink = min(0.95, passes[-1] / passes[-2]) if len(passes) > 1 and passes[-2] else 0.0
        remaining = left / rate + (passes[-1] * shrink / (1 - shrink)) / rate
    return Progress(sent, left, len(passes), rate, remaining, at)


def _pass_sizes(readings: Sequence[tuple[int, int, int]]) -> list[int]:
    """The bytes of each pass: what was left when it began."""
    sizes = [readings[0][2]]
    for (_, _, before), (_, _, left) in pairwise(readings):
        if left > before:
            sizes.append(left)
    return sizes
