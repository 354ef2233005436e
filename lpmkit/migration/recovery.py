"""The way out of every state that a move can be left in, from what both ends say.

`RULES` is the table: the first rule that holds says what to do and why. lpmkit proposes, the operator types: nothing here asks a machine to change anything.
`docs/recovery.md` is the same table for people, and a test holds the two together.

Stop or recover? *Stop* asks the running operation to end, on the console of the source, before the partition is resumed on the target. *Recover* is for an operation
that runs no more while the state is intermediate: before the point of no return it rolls back, after it it finishes. Force goes on after errors and comes
last, and never while nobody knows whether the other end runs the partition (stop and recover B `IVM-migrlpar`, `HMC9`; order C `NOVA-IVM`, `OPTEST`).
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

#: Counters that stand still so long are a mover that is stuck, not a slow link (recalled: "for minutes").
STILL_S = 120.0
#: A managed system in these states runs nothing (A `ZIU`: "Power Off" among the documented ones).
WITHOUT_POWER = frozenset({"Power Off"})


class RecoveryAction(StrEnum):
    """What to do about a move. The values stand in run folders; `words` is the text for people."""

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
        ('none (do not intervene)', 'activate it')
        """
        return {"hands off": "none (do not intervene)", "start it": "activate it"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class EndReading:
    """What one end says. ``reading`` is ``None`` where its manager could not be asked, and ``why_not`` is the reason; ``system`` is the state of the frame."""

    frame: str
    reading: MigrationReading | None = None
    system: str | None = None
    why_not: str = ""

    @property
    def state(self) -> str | None:
        return self.reading.partition_state if self.reading else None

    @property
    def lists_it(self) -> bool:
        return self.state is not None

    @property
    def runs_it(self) -> bool:
        return self.state == "Running" and not self.migrates

    @property
    def migrates(self) -> bool:
        return self.reading is not None and is_migrating(self.reading)

    @property
    def broken(self) -> bool:
        return self.reading is not None and needs_recovery(self.reading)

    @property
    def is_off(self) -> bool:
        return self.system in WITHOUT_POWER

    @property
    def is_silent(self) -> bool:
        """Nobody can say what runs there: its manager could not be asked, or has no connection to it."""
        return self.reading is None or (self.system not in (None, "Operating", "Standby") and not self.is_off)

    @property
    def surely_does_not_run_it(self) -> bool:
        return not self.is_silent and (self.is_off or self.state in (None, "Not Activated", "Error"))

    def words(self) -> str:
        """
        >>> EndReading("p8a", MigrationReading("Running", "Not Migrating"), "Operating").words()
        'p8a (Operating): Running, Not Migrating'
        """
        named = f"{self.frame} ({self.system})" if self.system else self.frame
        if self.reading is None:
            return f"{named}: could not be asked: {self.why_not or 'no reason is known'}"
        if not self.lists_it:
            return f"{named}: does not list it"
        reading = self.reading
        counted = (
            ""
            if reading.bytes_transmitted is None
            else f", {reading.bytes_transmitted} bytes sent, {reading.bytes_remaining} left"
        )
        return f"{named}: {reading.partition_state}, {reading.migration_state or 'no word of a migration'}{counted}"


@dataclass(frozen=True, slots=True)
class BothEnds:
    """What both ends say of a move, and what was tried. ``inactive``: the partition was not activated when the move was asked for.

    ``still_s`` is for how long the byte counters have not changed, ``None`` where nobody compared them.
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
    """One row of the table."""

    key: str
    seen: str
    action: RecoveryAction
    why: str
    holds: Callable[[BothEnds], bool]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to do, by which rule, why, what both ends said, and what to type."""

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
        "nobody-answers", "neither manager could be asked", RecoveryAction.HANDS_OFF,
        "Nobody knows where the partition is. Look again when one of them answers; a migration goes on without anybody watching.",
        lambda ends: ends.source.reading is None and ends.target.reading is None,
    ),
    RecoveryRule(
        "runs-there-source-silent", "the target runs it, the source's manager could not be asked", RecoveryAction.HANDS_OFF,
        "It runs on the target. Whether anything is left on the source only the source's manager can say.",
        lambda ends: ends.source.reading is None and ends.target.runs_it,
    ),
    RecoveryRule(
        "source-silent", "the source's manager could not be asked", RecoveryAction.HANDS_OFF,
        "Stop and recover are asked of the source's manager. Look again when it answers.",
        lambda ends: ends.source.reading is None,
    ),
    RecoveryRule(
        "settled", "gone from the source, running on the target", RecoveryAction.HANDS_OFF,
        "It has moved. Verify the workload and keep the report.",
        lambda ends: not ends.source.lists_it and ends.target.runs_it,
    ),
    RecoveryRule(
        "settled-inactive", "gone from the source, not activated on the target, and it was not activated before", RecoveryAction.HANDS_OFF,
        "It has moved; it was not running and is not.",
        lambda ends: ends.inactive and not ends.source.lists_it and ends.target.state == "Not Activated" and not ends.target.migrates,
    ),
    RecoveryRule(
        "arriving", "gone from the source, still migrating on the target", RecoveryAction.WAIT,
        "The last phase: the target takes over what is left.",
        lambda ends: not ends.source.lists_it and ends.target.migrates and not ends.target.broken,
    ),
    RecoveryRule(
        "gone-target-silent", "gone from the source, nobody can say what the target runs", RecoveryAction.HANDS_OFF,
        "It is most likely on the target. Look again when its manager answers; start it nowhere.",
        lambda ends: not ends.source.lists_it and ends.target.is_silent,
    ),
    RecoveryRule(
        "down-there", "gone from the source, on the target but not running", RecoveryAction.START,
        "The move is over and the partition is down: past the point of no return it lost its memory. Nothing is left to recover; activate it on the target.",
        lambda ends: not ends.source.lists_it and ends.target.lists_it and ends.target.surely_does_not_run_it,
    ),
    RecoveryRule(
        "nowhere", "listed by neither", RecoveryAction.HANDS_OFF,
        "Managers lag behind for some seconds. If it stays so, refresh them (chsysstate -r sys -o rebuild), then call support; its profile is in profiles.txt of the run.",
        lambda ends: not ends.source.lists_it and not ends.target.lists_it,
    ),
    RecoveryRule(
        "runs-twice", "both say that it runs, and neither that it migrates", RecoveryAction.HANDS_OFF,
        "Two partitions on the same disks would destroy them. Touch nothing; look at the consoles of both, and call support.",
        lambda ends: ends.source.runs_it and ends.target.runs_it,
    ),
    RecoveryRule(
        "failed-target-off", "the migration failed, and the target has no power; recovery was refused", RecoveryAction.FORCE,
        "The target runs nothing, so the source may go on without it. What is left on the target shows when it has power again.",
        lambda ends: ends.source.broken and ends.target.is_off and ends.recover_refused > 0,
    ),
    RecoveryRule(
        "failed-target-silent", "the migration failed, nobody can say what the target runs; recovery was refused", RecoveryAction.HANDS_OFF,
        "The target may run it. Do not force while nobody knows; look again when its manager answers.",
        lambda ends: ends.source.broken and (ends.target.is_silent or ends.target.system is None) and ends.recover_refused > 0,
    ),
    RecoveryRule(
        "failed-again", "the migration failed; recovery was refused twice", RecoveryAction.FORCE,
        "Both ends answer and an ordinary recovery did not go through twice: go on after errors, then look which side holds the partition.",
        lambda ends: ends.source.broken and ends.recover_refused > 1,
    ),
    RecoveryRule(
        "failed", "the migration failed or is to be recovered", RecoveryAction.RECOVER,
        "The operation runs no more and its state is intermediate. Recovery rolls back before the point of no return and finishes after it. Delete nothing by hand before.",
        lambda ends: ends.source.broken,
    ),
    RecoveryRule(
        "left-behind", "the target runs it, the source still lists it without a migration; recovery was refused", RecoveryAction.CLEAN,
        "It runs on the target. What the source lists is a shell: compare its adapters, then remove it there (rmsyscfg), as the last resort.",
        lambda ends: ends.target.runs_it and not ends.source.migrates and ends.recover_refused > 0,
    ),
    RecoveryRule(
        "finish-it", "the target runs it, the source still lists it without a migration", RecoveryAction.RECOVER,
        "It runs on the target and the source was not cleaned up.",
        lambda ends: ends.target.runs_it and not ends.source.migrates,
    ),
    RecoveryRule(
        "shell-there-no-power", "it is where it was, and the target, which has no power, lists a shell of it", RecoveryAction.HANDS_OFF,
        "It is on the source. What the target still has of it is removed there once it has power again; look again then.",
        lambda ends: _home_again(ends) and ends.target.lists_it and ends.target.is_off,
    ),
    RecoveryRule(
        "shell-left-there", "it is where it was, and the target lists a shell of it", RecoveryAction.CLEAN,
        "It is on the source. The target's shell was left by a recovery that could not reach it: compare its adapters, then remove it there (rmsyscfg).",
        lambda ends: _home_again(ends) and ends.target.lists_it and not ends.target.migrates,
    ),
    RecoveryRule(
        "at-home", "where it was, no migration", RecoveryAction.HANDS_OFF,
        "Nothing began, or it was rolled back. Read the manager's message, mend it, validate again.",
        lambda ends: _home_again(ends) and not ends.target.migrates,
    ),
    RecoveryRule(
        "stuck-again", "migrating, the bytes stand still, and stopping was refused", RecoveryAction.RECOVER,
        "The mover does not answer. Recovery cleans up after it.",
        lambda ends: _stuck(ends) and ends.stop_refused,
    ),
    RecoveryRule(
        "stuck", "migrating, the bytes stand still for minutes", RecoveryAction.STOP,
        "The movers have lost each other. Stopping leaves the partition on the source; if the state stays, recover.",
        _stuck,
    ),
    RecoveryRule(
        "under-way", "migrating", RecoveryAction.WAIT,
        "The copy is under way, or the switch-over is. Stop it only if that is wanted.",
        lambda ends: ends.source.migrates,
    ),
    RecoveryRule(
        "down-here", "on the source and not running, no migration", RecoveryAction.START,
        "The move is over and the partition is down: it was given up by the source and lost by the target. Activate it on the source, after a look that the target does not run it.",
        lambda ends: ends.source.state in ("Not Activated", "Error") and ends.target.surely_does_not_run_it,
    ),
)  # fmt: skip

#: The rules under which a migration runs that can be asked to stop.
STOPPABLE = frozenset({"under-way", "stuck"})
#: When no rule holds.
UNHEARD_OF = "This combination is in no table. Touch nothing; ask again, and keep what both ends say."


def propose(ends: BothEnds, run: str = "RUN") -> Proposal:
    """What to do about a move, by the first rule of the table that holds. ``run`` is what the operator types after ``lpmkit recover``.

    >>> order = Order("p8aix01", "p8a", "p8b", "8286-42A*21A40BC", "", "")
    >>> here = EndReading("p8a", MigrationReading("Migrating - Running", "Migration Failed"))
    >>> propose(BothEnds(order, here, EndReading("p8b", MigrationReading(None, None)))).action.value
    'recover'
    """
    rule = next((candidate for candidate in RULES if candidate.holds(ends)), None)
    readings = (ends.source.words(), ends.target.words())
    if rule is None:
        return Proposal(RecoveryAction.HANDS_OFF, "unheard-of", UNHEARD_OF, readings)
    return Proposal(rule.action, rule.key, rule.why, readings, _commands(rule.action, ends, run))


def _commands(action: RecoveryAction, ends: BothEnds, run: str) -> tuple[str, ...]:
    """What to type: lpmkit's command, which keeps a record, and what it stands for on the console of the source."""
    order = ends.order
    remote = ["--ip", order.target_address, "-u", order.target_user] if order.target_address else []
    name = ["-p", order.partition]
    if action is RecoveryAction.STOP:
        return (f"lpmkit stop {run}", shlex.join(["migrlpar", "-o", "s", "-m", "SOURCE", *name]))
    if action in (RecoveryAction.RECOVER, RecoveryAction.FORCE):
        forced = ["--force"] if action is RecoveryAction.FORCE else []
        ours = " ".join(["lpmkit", "recover", run, *forced])
        return (ours, shlex.join(["migrlpar", "-o", "r", "-m", "SOURCE", *remote, *name, *forced]))
    if action is RecoveryAction.START:
        where = "TARGET" if not ends.source.lists_it else "SOURCE"
        return (shlex.join(["chsysstate", "-r", "lpar", "-m", where, "-o", "on", "-n", order.partition]),)
    if action is RecoveryAction.WAIT:
        return (f"lpmkit attach {run}",)
    return ()


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
    """Ask both managers about a partition and about their systems; who does not answer is an end without a reading."""
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
        system = control.system().state
    except RemoteError:  # the reading is what counts; without the system's state nothing is ever forced on its account
        system = None
    return EndReading(control.frame_name, reading, system)


def stillness_s(readings: Sequence[tuple[int, int | None]]) -> float | None:
    """For how long the bytes sent have not changed, from readings (monotonic nanoseconds, bytes), oldest first; ``None`` without two to compare.

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
    """Whether a run's first reading of the source says that the partition was not activated."""
    first = next((event for event in events if event.kind == "reading" and event.data.get("where") == source), None)
    return first is not None and first.data.get("partition_state") == "Not Activated"


def recorded(events: Sequence[Event], source: str) -> tuple[bool, float | None, bool, int]:
    """What a run's record says besides where its move stands: inactive, for how long the bytes stand still, stop refused, recoveries refused."""
    readings = [
        (event.mono_ns, event.data.get("bytes_transmitted"))
        for event in events
        if event.kind == "reading" and event.data.get("where") == source
    ]
    answers = [event.data for event in events if event.kind == "answer"]
    return (was_inactive(events, source), stillness_s(readings), *tried(answers))


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of the partition that stands on a frame where it is not: the partition's record, an adapter, a virtual target."""

    frame: str
    what: str


def left_behind(survey: Survey) -> tuple[Leftover, ...] | None:
    """What is left of the partition on the end where it is not; ``None`` when that cannot be told.

    It is where it runs; where it runs nowhere, on the end that lists it and says of no migration, the source first.
    """
    ends = {side.name: side for side in (survey.source, survey.target)}
    if any(side.partitions is None for side in ends.values()):
        return None
    home = next((side for side in ends.values() if _state(side, survey.partition) == "Running"), None)
    home = home or next((side for side in ends.values() if _state(side, survey.partition) is not None), None)
    if home is None:
        return None
    return tuple(
        leftover for side in ends.values() if side is not home for leftover in _leftovers(side, survey.partition)
    )


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
    """Whether stopping was refused, and how often recovery was, out of a run's answers in their order; a later success wipes the slate.

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
