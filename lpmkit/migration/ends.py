"""The state of both ends of a move, from the managers and from a run's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.errors import RemoteError
from lpmkit.migration.phases import is_at_rest, is_migrating, needs_recovery
from lpmkit.runs.whereabouts import was_inactive
from lpmkit.timeline import Event

#: A managed system in these states runs nothing (A `ZIU`: "Power Off" among the documented ones).
WITHOUT_POWER = frozenset({"Power Off"})


def _amount(number: int | None) -> str:
    """
    >>> _amount(2251760666), _amount(53_000_000), _amount(None)
    ('2.25 GB', '53 MB', 'an unknown amount')
    """
    if number is None:
        return "an unknown amount"
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


@dataclass(frozen=True, slots=True)
class EndReading:
    """The state of one end. ``reading`` is ``None`` where its manager does not answer, and ``why_not`` is the reason.

    ``system`` is the state of the managed system and ``system_name`` its name, for commands to copy.
    """

    frame: str
    reading: MigrationReading | None = None
    system: str | None = None
    why_not: str = ""
    system_name: str | None = None

    @property
    def state(self) -> str | None:
        """The partition's state; ``None`` where it is not listed or the manager does not answer."""
        return self.reading.partition_state if self.reading else None

    @property
    def lists_it(self) -> bool:
        """True where the manager lists the partition."""
        return self.state is not None

    @property
    def runs_it(self) -> bool:
        """True where the partition runs without a migration."""
        return self.state == "Running" and not self.migrates

    @property
    def migrates(self) -> bool:
        """True during a migration, healthy or not."""
        return self.reading is not None and is_migrating(self.reading)

    @property
    def rests(self) -> bool:
        """True where it is known that nothing migrates."""
        return self.reading is not None and is_at_rest(self.reading)

    @property
    def broken(self) -> bool:
        """True where the migration has failed or must be recovered."""
        return self.reading is not None and needs_recovery(self.reading)

    @property
    def is_off(self) -> bool:
        """True for a managed system without power."""
        return self.system in WITHOUT_POWER

    @property
    def is_silent(self) -> bool:
        """True where it is not known what runs there: the manager does not answer, or has no connection to the
        system.
        """
        return self.reading is None or (self.system not in (None, "Operating", "Standby") and not self.is_off)

    @property
    def surely_does_not_run_it(self) -> bool:
        """True where the partition is known not to run, by its own state and by that of the system."""
        if self.system is None or self.is_silent:
            return False
        return self.is_off or self.state in (None, "Not Activated", "Error")

    def words(self) -> str:
        """
        >>> EndReading("p8a", MigrationReading("Running", "Not Migrating"), "Operating").words()
        'p8a (Operating): Running, Not Migrating'
        """
        named = f"{self.frame} ({self.system})" if self.system else self.frame
        if self.reading is None:
            return f"{named}: no answer from its manager: {self.why_not or 'no reason is known'}"
        if not self.lists_it:
            return f"{named}: the partition is not listed"
        reading = self.reading
        counted = (
            ""
            if reading.bytes_transmitted is None
            else f", {_amount(reading.bytes_transmitted)} sent, {_amount(reading.bytes_remaining)} left"
        )
        return f"{named}: {reading.partition_state}, {reading.migration_state or 'no migration state'}{counted}"


@dataclass(frozen=True, slots=True)
class BothEnds:
    """The states of both ends, and the requests that were refused. ``inactive``: the partition was not activated at
    the order.

    ``still_s`` is the time in seconds for which the byte counters have not changed; ``None`` without two readings.
    """

    order: Order
    source: EndReading
    target: EndReading
    inactive: bool = False
    still_s: float | None = None
    stop_refused: bool = False
    recover_refused: int = 0


def look(
    order: Order,
    source: Control,
    target: Control,
    *,
    inactive: bool = False,
    still_s: float | None = None,
    stop_refused: bool = False,
    recover_refused: int = 0,
) -> BothEnds:
    """Ask both managers about the partition and its systems.

    A manager that does not answer gives an end without a reading.
    """
    return BothEnds(
        order,
        _end(source, order.partition),
        _end(target, order.partition),
        inactive,
        still_s,
        stop_refused,
        recover_refused,
    )


def _end(control: Control, partition: str) -> EndReading:
    try:
        reading = control.migration(partition)
    except RemoteError as trouble:
        return EndReading(control.frame_name, why_not=str(trouble))
    try:
        system = control.system()
    except RemoteError:  # the reading counts; without the state of the system no rule forces anything
        return EndReading(control.frame_name, reading)
    return EndReading(control.frame_name, reading, system.state, system_name=system.name)


def stillness_s(readings: Sequence[tuple[int, int | None]]) -> float | None:
    """Seconds for which the bytes sent have not changed; ``None`` without two readings.

    ``readings`` are pairs of monotonic nanoseconds and bytes, oldest first.

    >>> stillness_s([(0, 10), (60_000_000_000, 500), (200_000_000_000, 500)])
    140.0
    """
    known = [(at, sent) for at, sent in readings if sent is not None]
    if len(known) < 2:
        return None
    last_at, last = known[-1]
    since = last_at
    for at, sent in reversed(known):
        if sent != last:
            break
        since = at
    return (last_at - since) / 1e9


def recorded(events: Sequence[Event], source: str) -> tuple[bool, float | None, bool, int]:
    """Facts of a run's record for `BothEnds`: inactive, seconds without progress, stop refused, number of refused
    recoveries.
    """
    readings = [
        (event.mono_ns, event.data.get("bytes_transmitted"))
        for event in events
        if event.kind == "reading" and event.data.get("where") == source
    ]
    answers = [event.data for event in events if event.kind == "answer"]
    return (was_inactive(events, source), stillness_s(readings), *tried(answers))


def tried(answers: Sequence[Mapping[str, object]]) -> tuple[bool, int]:
    """Stop refused, and the number of refused recoveries, from a run's answers in order; a success resets them.

    >>> tried([{"what": "stop", "status": 1}, {"what": "recover", "status": 1}, {"what": "migrate", "status": 1}])
    (True, 1)
    """
    stop_refused, recover_refused = False, 0
    for answer in answers:
        refused = answer.get("status") not in (0, None)
        if answer.get("what") == "stop":
            stop_refused = refused
        elif answer.get("what") == "recover":
            recover_refused = recover_refused + 1 if refused else 0
    return stop_refused, recover_refused
