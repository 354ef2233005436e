"""The recovery action for every state in which a move can be left, from the states that both managers list.

`RULES` is the table: the first rule that holds gives action and reason. lpmkit proposes and the operator acts; nothing
here changes a machine. `docs/recovery.md` is the same table for people, and a test holds the two together.

*Stop* ends a running operation, on the manager of the source, before the partition is resumed on the target. *Recover*
is for an operation that has ended in an intermediate state: before the point of no return it rolls back, after it it
completes. Force continues after errors; it comes last, and never while it is not known if the other end runs the
partition (stop and recover B `IVM-migrlpar`, `HMC9`; order C `NOVA-IVM`, `OPTEST`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lpmkit.control.base import Control, MigrationReading, Order
from lpmkit.errors import RemoteError
from lpmkit.migration.phases import is_migrating, needs_recovery
from lpmkit.survey.model import Survey, SystemFacts
from lpmkit.timeline import Event

#: Byte counters unchanged for longer mean a stuck mover, not a slow link (recalled: "for minutes").
STILL_S = 120.0
#: A managed system in these states runs nothing (A `ZIU`: "Power Off" among the documented ones).
WITHOUT_POWER = frozenset({"Power Off"})


class RecoveryAction(StrEnum):
    """The action about a move. The values are stored in run folders; `words` is the text for people."""

    HANDS_OFF = "hands off"
    WAIT = "wait"
    STOP = "stop"
    RECOVER = "recover"
    FORCE = "recover with force"
    START = "start it"
    CLEAN = "clean up by hand"

    @property
    def words(self) -> str:
        """The action as it is shown.

        >>> RecoveryAction.HANDS_OFF.words, RecoveryAction.START.words
        ('none', 'activate it')
        """
        return {"hands off": "none", "start it": "activate it"}.get(self.value, self.value)


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
        """True where the partition is known not to run."""
        return not self.is_silent and (self.is_off or self.state in (None, "Not Activated", "Error"))

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


@dataclass(frozen=True, slots=True)
class RecoveryRule:
    """One row of the table. ``why`` may name ``{partition}``, ``{source}`` and ``{target}``."""

    key: str
    seen: str
    action: RecoveryAction
    why: str
    holds: Callable[[BothEnds], bool]

    def reason(self, partition: str = "the partition", source: str = "the source", target: str = "the target") -> str:
        """``why`` with these names, or in general."""
        text = self.why.format(partition=partition, source=source, target=target)
        return text[:1].upper() + text[1:] if text.startswith("the ") else text


@dataclass(frozen=True, slots=True)
class Proposal:
    """The recovery action, its rule and reason, the states of both ends, and the commands to type."""

    action: RecoveryAction
    rule: str
    why: str
    readings: tuple[str, ...]
    commands: tuple[str, ...] = ()


def _home_again(ends: BothEnds) -> bool:
    source = ends.source
    rests = source.state == ("Not Activated" if ends.inactive else "Running")
    return rests and not source.migrates and not source.broken


def _stuck(ends: BothEnds) -> bool:
    return ends.source.migrates and not ends.source.broken and (ends.still_s or 0.0) >= STILL_S


RULES: tuple[RecoveryRule, ...] = (
    RecoveryRule(
        "nobody-answers",
        "neither manager answers",
        RecoveryAction.HANDS_OFF,
        "It is not known where {partition} is. Do not intervene: a migration continues without a manager. Check again "
        "when one of them answers.",
        lambda ends: ends.source.reading is None and ends.target.reading is None,
    ),
    RecoveryRule(
        "runs-there-source-silent",
        "running on the target, the manager of the source does not answer",
        RecoveryAction.HANDS_OFF,
        "{partition} runs on {target}. Only the manager of {source} knows if anything is left there.",
        lambda ends: ends.source.reading is None and ends.target.runs_it,
    ),
    RecoveryRule(
        "source-silent",
        "the manager of the source does not answer",
        RecoveryAction.HANDS_OFF,
        "Do not intervene: stop and recover are commands of the manager of {source}. Check again when it answers.",
        lambda ends: ends.source.reading is None,
    ),
    RecoveryRule(
        "settled",
        "gone from the source, running on the target",
        RecoveryAction.HANDS_OFF,
        "{partition} runs on {target}: it has moved. Verify the workload and keep the report.",
        lambda ends: not ends.source.lists_it and ends.target.runs_it,
    ),
    RecoveryRule(
        "settled-inactive",
        "gone from the source, not activated on the target, as it was before the move",
        RecoveryAction.HANDS_OFF,
        "{partition} is on {target}: it has moved. It was not activated before and is not now.",
        lambda ends: (
            ends.inactive
            and not ends.source.lists_it
            and ends.target.state == "Not Activated"
            and not ends.target.migrates
        ),
    ),
    RecoveryRule(
        "arriving",
        "gone from the source, still migrating on the target",
        RecoveryAction.WAIT,
        "The last phase: the target fetches the remaining memory.",
        lambda ends: not ends.source.lists_it and ends.target.migrates and not ends.target.broken,
    ),
    RecoveryRule(
        "gone-target-silent",
        "gone from the source, the state of the target is not known",
        RecoveryAction.HANDS_OFF,
        "{partition} is most likely on {target}. Check again when the manager of {target} answers. Do not activate it "
        "anywhere.",
        lambda ends: not ends.source.lists_it and ends.target.is_silent,
    ),
    RecoveryRule(
        "down-there",
        "gone from the source, on the target and not running",
        RecoveryAction.START,
        "The move is over and the partition is down: its memory was lost past the point of no return. Nothing is "
        "left to recover. "
        "Activate it on the target.",
        lambda ends: not ends.source.lists_it and ends.target.lists_it and ends.target.surely_does_not_run_it,
    ),
    RecoveryRule(
        "nowhere",
        "listed by neither manager",
        RecoveryAction.HANDS_OFF,
        "Managers lag behind by some seconds. If it stays so, refresh them (chsysstate -r sys -o rebuild), then call "
        "IBM support. "
        "The profile is in profiles.txt of the run.",
        lambda ends: not ends.source.lists_it and not ends.target.lists_it,
    ),
    RecoveryRule(
        "runs-twice",
        "both managers list it as running, without a migration",
        RecoveryAction.HANDS_OFF,
        "Two running partitions on the same disks destroy their data. Change nothing. Check the consoles of both and "
        "call IBM "
        "support.",
        lambda ends: ends.source.runs_it and ends.target.runs_it,
    ),
    RecoveryRule(
        "failed-target-off",
        "the migration failed, the target has no power, recovery was refused",
        RecoveryAction.FORCE,
        "The target runs nothing, so the source may continue without it. What is left on the target shows when it has "
        "power again.",
        lambda ends: ends.source.broken and ends.target.is_off and ends.recover_refused > 0,
    ),
    RecoveryRule(
        "failed-target-silent",
        "the migration failed, the state of the target is not known, recovery was refused",
        RecoveryAction.HANDS_OFF,
        "The target may run it. Do not force while that is not known. Check again when the target's manager answers.",
        lambda ends: (
            ends.source.broken and (ends.target.is_silent or ends.target.system is None) and ends.recover_refused > 0
        ),
    ),
    RecoveryRule(
        "failed-again",
        "the migration failed, recovery was refused twice",
        RecoveryAction.FORCE,
        "Both managers answer and two ordinary recoveries failed. Continue after errors, then check which end has "
        "the partition.",
        lambda ends: ends.source.broken and ends.recover_refused > 1,
    ),
    RecoveryRule(
        "failed",
        "the migration failed or must be recovered",
        RecoveryAction.RECOVER,
        "The operation has ended in an intermediate state. Recovery rolls back before the point of no return and "
        "completes after "
        "it. Delete nothing by hand before.",
        lambda ends: ends.source.broken,
    ),
    RecoveryRule(
        "left-behind",
        "running on the target, still listed by the source without a migration, recovery was refused",
        RecoveryAction.CLEAN,
        "{partition} runs on {target}. A shell partition is left on {source}: compare its adapters, then, as the last "
        "resort, remove it there (rmsyscfg).",
        lambda ends: ends.target.runs_it and not ends.source.migrates and ends.recover_refused > 0,
    ),
    RecoveryRule(
        "finish-it",
        "running on the target, still listed by the source without a migration",
        RecoveryAction.RECOVER,
        "{partition} runs on {target}, and {source} was not cleaned up.",
        lambda ends: ends.target.runs_it and not ends.source.migrates,
    ),
    RecoveryRule(
        "shell-there-no-power",
        "on the source as before; the target lists a shell partition and has no power",
        RecoveryAction.HANDS_OFF,
        "{partition} is on {source}. The shell partition can be removed when {target} has power again. Check again "
        "then.",
        lambda ends: _home_again(ends) and ends.target.lists_it and ends.target.is_off,
    ),
    RecoveryRule(
        "shell-left-there",
        "on the source as before; the target lists a shell partition",
        RecoveryAction.CLEAN,
        "{partition} is on {source}. The shell partition on {target} is left from a recovery that did not reach it: "
        "compare its adapters, then remove it there (rmsyscfg).",
        lambda ends: _home_again(ends) and ends.target.lists_it and not ends.target.migrates,
    ),
    RecoveryRule(
        "at-home",
        "on the source as before, no migration",
        RecoveryAction.HANDS_OFF,
        "{partition} is on {source}; nothing is in progress. The move did not begin, or it was rolled back. Correct "
        "what the manager's message named, if there was one, and validate again.",
        lambda ends: _home_again(ends) and not ends.target.migrates,
    ),
    RecoveryRule(
        "stuck-again",
        "migrating without progress, and stopping was refused",
        RecoveryAction.RECOVER,
        "The mover service partition does not answer. Recovery cleans up after it.",
        lambda ends: _stuck(ends) and ends.stop_refused,
    ),
    RecoveryRule(
        "stuck",
        "migrating, the byte counters unchanged for minutes",
        RecoveryAction.STOP,
        "The mover service partitions have lost their connection. Stopping leaves the partition on the source. If "
        "the state "
        "stays, recover.",
        _stuck,
    ),
    RecoveryRule(
        "under-way",
        "migrating",
        RecoveryAction.WAIT,
        "The copy or the switch-over is under way. Stop it only if the move is no longer wanted.",
        lambda ends: ends.source.migrates,
    ),
    RecoveryRule(
        "down-here",
        "on the source and not running, no migration",
        RecoveryAction.START,
        "The move is over and the partition is down: the source gave it up and the target lost it. Verify that the "
        "target does not "
        "run it, then activate it on the source.",
        lambda ends: ends.source.state in ("Not Activated", "Error") and ends.target.surely_does_not_run_it,
    ),
)

#: The rules under which a running migration can be asked to stop.
STOPPABLE = frozenset({"under-way", "stuck"})
#: The reason when no rule holds.
UNHEARD_OF = (
    "This combination of states is not in the table. Change nothing. Check again, and keep the states of both ends."
)


#: Rules about a migration that has ended. While a recorder follows one, they hold once its phase says so too.
ENDED = frozenset({"at-home", "failed", "failed-again", "failed-target-off", "failed-target-silent", "finish-it"})
NOT_YET = "It was asked for, and the manager does not list the migration yet. That takes seconds."
#: One reading of a migration that is under way may be of a state that passes by.
UNCONFIRMED = "A single reading shows that the migration has ended. The next readings decide."


def wait_for(proposal: Proposal, *, listed: bool) -> Proposal:
    """The same states with the action *wait*: the recorder has not confirmed yet what they would mean.

    ``listed``: a manager has listed the migration already.
    """
    why = UNCONFIRMED if listed else NOT_YET
    return Proposal(RecoveryAction.WAIT, "unconfirmed" if listed else "asked", why, proposal.readings)


def propose(ends: BothEnds, run: str = "RUN") -> Proposal:
    """The recovery action by the first rule of the table that holds. ``run`` is the argument of ``lpmkit recover``.

    >>> order = Order("p8aix01", "p8a", "p8b", "8286-42A*21A40BC", "", "")
    >>> here = EndReading("p8a", MigrationReading("Migrating - Running", "Migration Failed"))
    >>> propose(BothEnds(order, here, EndReading("p8b", MigrationReading(None, None)))).action.value
    'recover'
    """
    rule = next((candidate for candidate in RULES if candidate.holds(ends)), None)
    readings = (ends.source.words(), ends.target.words())
    if rule is None:
        return Proposal(RecoveryAction.HANDS_OFF, "unheard-of", UNHEARD_OF, readings)
    order = ends.order
    why = rule.reason(order.partition, order.source, order.target)
    return Proposal(rule.action, rule.key, why, readings, _commands(rule.action, ends, run))


def _commands(action: RecoveryAction, ends: BothEnds, run: str) -> tuple[str, ...]:
    """The commands to type: lpmkit's own, which keeps a record, and the one that it sends to the manager of the source.

    The latter only where the name of the managed system is known; a placeholder would be copied as it is.
    """
    order = ends.order
    name = ["-p", order.partition]
    source, target = ends.source.system_name, ends.target.system_name or order.target_machine
    if action is RecoveryAction.WAIT:
        return (f"lpmkit attach {run}",)
    if action is RecoveryAction.STOP:
        own, sent = f"lpmkit stop {run}", ["migrlpar", "-o", "s", "-m", source or "", *name]
    elif action in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
        forced = ["--force"] if action is RecoveryAction.FORCE else []
        own = " ".join(["lpmkit", "recover", run, *forced])
        sent = ["migrlpar", "-o", "r", "-m", source or "", *order.manager_options, *name, *forced]
    elif action is RecoveryAction.START:
        where = source if ends.source.lists_it else target
        start = ["chsysstate", "-r", "lpar", *(["-m", where] if where else []), "-o", "on", "-n", order.partition]
        return (shlex.join(start),)
    else:
        return ()
    return (own, shlex.join(sent)) if source else (own,)


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


def was_inactive(events: Sequence[Event], source: str) -> bool:
    """True if the partition was not activated in a run's first reading of the source."""
    first = next((event for event in events if event.kind == "reading" and event.data.get("where") == source), None)
    return first is not None and first.data.get("partition_state") == "Not Activated"


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


@dataclass(frozen=True, slots=True)
class Leftover:
    """A remainder of the partition on a frame where it is not: its record, an adapter, a virtual target."""

    frame: str
    what: str


#: Where nothing is under way and recovery has nothing to do: what is left has to be removed by hand.
AT_REST = frozenset({"settled", "settled-inactive", "at-home", "left-behind", "shell-left-there"})


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The frame where the partition is not, and what is left of it there."""

    frame: str
    things: tuple[Leftover, ...]

    def lines(self, proposal: Proposal) -> list[str]:
        """What is left, each with what becomes of it by the proposal: only what recovery leaves is removed by hand.

        >>> found = Leftovers("bvio83", (Leftover("bvio83", "the partition bxaix85"),))
        >>> found.lines(Proposal(RecoveryAction.RECOVER, "failed", "", ()))
        ['On bvio83 for now; recovery removes it: the partition bxaix85']
        """
        if not self.things:
            return [f"Nothing left behind on {self.frame}."]
        begin = f"On {self.frame} now; do not remove it"
        if proposal.action in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
            begin = f"On {self.frame} for now; recovery removes it"
        elif proposal.rule in AT_REST:
            begin = f"Left behind on {self.frame}, remove by hand"
        return [f"{begin}: {thing.what}" for thing in self.things]


def leftovers_of(survey: Survey) -> Leftovers | None:
    """Remainders of the partition on the end where it is not; ``None`` when a list is missing.

    The partition is where it runs; if it runs nowhere, on the end that lists it, the source first.
    """
    ends = {side.name: side for side in (survey.source, survey.target)}
    if any(side.partitions is None for side in ends.values()):
        return None
    home = next((side for side in ends.values() if _state(side, survey.partition) == "Running"), None)
    home = home or next((side for side in ends.values() if _state(side, survey.partition) is not None), None)
    if home is None:
        return None
    other = next(side for side in ends.values() if side is not home)
    return Leftovers(other.name, tuple(_leftovers(other, survey.partition)))


def left_behind(survey: Survey) -> tuple[Leftover, ...] | None:
    """The things of `leftovers_of`."""
    found = leftovers_of(survey)
    return None if found is None else found.things


def _state(side: SystemFacts, name: str) -> str | None:
    partition = side.partition(name)
    return partition.state if partition else None


def _leftovers(side: SystemFacts, name: str) -> list[Leftover]:
    leftovers: list[Leftover] = []
    listed = side.partition(name)
    if listed is not None:
        leftovers.append(Leftover(side.name, f"the partition {name} (id {listed.lpar_id}, {listed.state})"))
    kinds = (("virtual SCSI", side.scsi_adapters), ("virtual Fibre Channel", side.fc_adapters))
    for kind, adapters in kinds:
        for adapter in adapters or ():
            if adapter.adapter_type == "server" and adapter.remote_partition == name:
                leftovers.append(
                    Leftover(side.name, f"the {kind} server adapter in slot {adapter.slot} of {adapter.partition}")
                )
                leftovers += _targets(side, adapter.partition, adapter.slot)
    return leftovers


def _targets(side: SystemFacts, server: str, slot: int) -> list[Leftover]:
    vios = side.server(server)
    served = next((target for target in (vios.scsi_servers if vios else None) or () if target.slot == slot), None)
    if served is None:
        return []
    return [
        Leftover(side.name, f"the virtual target {target.name} on {served.name} of {server} ({target.backing})")
        for target in served.targets
    ]


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
