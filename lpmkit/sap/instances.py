"""The choice of the instance of a system that is asked: by its features, and by what it refused before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lpmkit.errors import CommandRefused, LpmError, UnexpectedReply
from lpmkit.sap.model import Instance, Process
from lpmkit.timeline import Clock

Value = TypeVar("Value")
#: An instance that refused a question which it never answered is asked it again after this time: it may have been
#: starting.
REFUSED_NS = 900_000_000_000
#: The features of which an instance needs one to answer a function (`SAPCONTROL-WSDL`). The lock table is kept by an
#: enqueue server, or by a work process of a central instance.
ANSWERED_BY: Mapping[str, tuple[str, ...]] = {
    "ABAPGetWPTable": ("ABAP",),
    "GetQueueStatistic": ("ABAP",),
    "ABAPReadSyslog": ("ABAP",),
    "GetAlertTree": ("ABAP",),
    "dpmon": ("ABAP",),
    "users": ("ABAP",),
    "EnqGetLockTable": ("ENQUE", "ABAP"),
    "EnqGetStatistic": ("ENQUE", "ABAP"),
}
JAVA, JAVA_PROCESSES = "J2EE", "J2EEGetProcessList"


class Instances:
    """Asks every instance that can answer.

    One that refused a question and never answered it (central services have no work processes) is left alone for long:
    a start service that is asked for what it has not got, again and again, was seen to malfunction."""

    def __init__(self, numbers: Sequence[str], clock: Clock | None = None) -> None:
        self._numbers = tuple(numbers)
        self._clock = clock or Clock()
        self._features: dict[str, frozenset[str]] = {}
        self._answering: set[tuple[str, str]] = set()
        #: Refusals: until when the question is not asked again, and the answer.
        self._refused: dict[tuple[str, str], tuple[int, LpmError]] = {}

    def learn(self, rows: Sequence[Instance]) -> None:
        """Take the features of each instance, as the start service lists them."""
        self._features |= {row.number.zfill(2): frozenset(map(str.upper, row.features)) for row in rows if row.features}

    def has(self, number: str, feature: str) -> bool:
        """True where an instance is known to have a feature."""
        return feature in self._features.get(number, ())

    def _may_answer(self, question: str, number: str) -> bool:
        """False where the features of an instance leave no answer; true where they are not known."""
        needed, there = ANSWERED_BY.get(question), self._features.get(number)
        return needed is None or there is None or not there.isdisjoint(needed)

    def each(self, question: str, ask: Callable[[str], tuple[Value, ...]]) -> list[tuple[str, tuple[Value, ...]]]:
        """The answers by instance number. Raises what the last instance raised where none answers."""
        found: list[tuple[str, tuple[Value, ...]]] = []
        trouble: LpmError | None = None
        able = [number for number in self._numbers if self._may_answer(question, number)]
        if not able:
            needed = " or ".join(ANSWERED_BY[question])
            raise CommandRefused(f"no watched instance has {needed}, which {question} needs", status=1)
        for number in able:
            key = (question, number)
            until, refusal = self._refused.get(key, (0, None))
            if refusal is not None and self._clock.mono_ns() < until:
                trouble = refusal
                continue
            try:
                found.append((number, ask(number)))
                self._answering.add(key)
                self._refused.pop(key, None)
            except (CommandRefused, UnexpectedReply) as error:
                if isinstance(error, CommandRefused) and key not in self._answering:
                    self._refused[key] = (self._clock.mono_ns() + REFUSED_NS, error)
                if key in self._answering or len(able) == 1:
                    raise
                trouble = error
        if not found and trouble is not None:
            raise trouble
        return found

    def mark(self, number: str) -> str:
        return number if len(self._numbers) > 1 else ""


class JavaNodes:
    """The Java nodes of instances that have any, asked beside their processes: ``jstart`` lives on while a node of its
    own is started again.
    """

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = tuple(numbers)
        #: Each instance by itself, so that the refusal of one is remembered and keeps no other from being asked.
        self._each = {number: Instances([number]) for number in numbers}

    def nodes(self, instances: Instances, ask: Callable[[str], tuple[Process, ...]]) -> tuple[Process, ...]:
        """The nodes of every instance that answers; the judge misses those of one that does not."""
        found: list[Process] = []
        for number in self._numbers:
            if not instances.has(number, JAVA):
                continue
            try:
                found += [row for _, rows in self._each[number].each(JAVA_PROCESSES, ask) for row in rows]
            except (CommandRefused, UnexpectedReply):
                continue
        return tuple(found)
