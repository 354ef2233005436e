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
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lpmkit.migration.ends import BothEnds, EndReading

#: The states of a partition that does not run.
DOWN_STATES = ("Not Activated", "Error")
#: Byte counters unchanged for longer mean a stuck mover, not a slow link (recalled: "for minutes").
STILL_S = 120.0


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
    return rests and source.rests


def _reads_down(end: EndReading) -> bool:
    return end.state in DOWN_STATES and end.rests


def _is_down(end: EndReading) -> bool:
    """True for a partition that is down by its own state, while its system was asked too."""
    return _reads_down(end) and end.surely_does_not_run_it


def _stuck(ends: BothEnds) -> bool:
    return ends.source.migrates and not ends.source.broken and (ends.still_s or 0.0) >= STILL_S


RULES: tuple[RecoveryRule, ...] = (
    RecoveryRule(
        "nobody-answers",
        "neither manager answers, or has a connection to its system",
        RecoveryAction.HANDS_OFF,
        "It is not known where {partition} is. Do not intervene: a migration continues without a manager. Check again "
        "when one of them answers.",
        lambda ends: ends.source.is_silent and ends.target.is_silent,
    ),
    RecoveryRule(
        "runs-there-source-silent",
        "running on the target, the manager of the source does not answer, or has no connection to it",
        RecoveryAction.HANDS_OFF,
        "{partition} runs on {target}. Only the manager of {source} knows if anything is left there.",
        lambda ends: ends.source.is_silent and ends.target.runs_it,
    ),
    RecoveryRule(
        "source-silent",
        "the manager of the source does not answer, or has no connection to it",
        RecoveryAction.HANDS_OFF,
        "Do not intervene: stop and recover are commands of the manager of {source}. Check again when it answers.",
        lambda ends: ends.source.is_silent,
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
        "The move is over and the partition is down: its memory was lost past the point of no return. Nothing is left "
        "to recover. Activate it on the target.",
        lambda ends: not ends.source.lists_it and ends.source.surely_does_not_run_it and _is_down(ends.target),
    ),
    RecoveryRule(
        "nowhere",
        "listed by neither manager",
        RecoveryAction.HANDS_OFF,
        "Managers lag behind by some seconds. If it stays so, refresh them (chsysstate -r sys -o rebuild), then call "
        "IBM support. The profile is in profiles.txt of the run.",
        lambda ends: not ends.source.lists_it and not ends.target.lists_it,
    ),
    RecoveryRule(
        "runs-twice",
        "both managers list it as running, without a migration",
        RecoveryAction.HANDS_OFF,
        "Two running partitions on the same disks destroy their data. Change nothing. Check the consoles of both and "
        "call IBM support.",
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
        "completes after it. Until then, delete nothing by hand.",
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
        "{partition} is on {source}; no migration is in progress. The move has not begun, or it was rolled back. "
        "If its recorder has ended: correct what the manager's message named, if there was one, and validate again.",
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
        "The mover service partitions have lost their connection. Stopping leaves the partition on the source. If the "
        "state stays, recover.",
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
        "target does not run it, then activate it on the source.",
        lambda ends: _is_down(ends.source) and ends.target.surely_does_not_run_it,
    ),
    RecoveryRule(
        "down-unconfirmed",
        "not running by the last readings, the state of one of the systems is not known",
        RecoveryAction.HANDS_OFF,
        "{partition} does not run by the last readings, and nobody has asked if both systems are connected. Activate "
        "it nowhere until both were asked: lpmkit recover --look.",
        lambda ends: (
            (_reads_down(ends.source) and ends.target.state in (None, *DOWN_STATES))
            or (not ends.source.lists_it and _reads_down(ends.target))
        ),
    ),
)

#: The rules of a partition that is down.
DOWN = frozenset({"down-here", "down-there", "down-unconfirmed"})
#: The rules under which a running migration can be asked to stop.
STOPPABLE = frozenset({"under-way", "stuck"})
#: The reason when no rule holds.
UNHEARD_OF = (
    "This combination of states is not in the table. Change nothing. Check again, and keep the states of both ends."
)


#: Rules about a migration that has ended. While a recorder follows one, they hold once its phase says so too.
ENDED = frozenset({"at-home", "failed", "failed-again", "failed-target-off", "failed-target-silent", "finish-it"})
NOT_YET = (
    "It was asked for, and the manager does not list the migration yet. That takes seconds, and minutes where the "
    "command's end is not known."
)
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

    >>> from lpmkit.control.base import MigrationReading, Order
    >>> from lpmkit.migration.ends import EndReading
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
