"""The choice of the instance of a system that is asked: by its features, and by what it refused before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lpmkit.errors import CommandRefused, LoginRefused, LpmError, NotPermitted, UnexpectedReply
from lpmkit.json_values import JsonMapping
from lpmkit.sap import fields
from lpmkit.sap.model import Colour, Instance, Process
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
INSTANCE_PROPERTIES = "GetInstanceProperties"


def features_by_number(rows: Sequence[Instance], *, surely: bool = False) -> dict[str, frozenset[str]]:
    """The features, in capitals, of the instances of each number: two hosts may have one each. All that either has, or
    only those that both have (``surely``).

    >>> two = [Instance("a", "01", ("ENQUE", "Gateway")), Instance("b", "1", ("ABAP", "GATEWAY"))]
    >>> sorted(features_by_number(two)["01"]), sorted(features_by_number(two, surely=True)["01"])
    (['ABAP', 'ENQUE', 'GATEWAY'], ['GATEWAY'])
    """
    found: dict[str, list[frozenset[str]]] = {}
    for row in rows:
        if row.features:
            found.setdefault(row.number.zfill(2), []).append(frozenset(map(str.upper, row.features)))
    return {
        number: frozenset.intersection(*each) if surely else frozenset.union(*each) for number, each in found.items()
    }


class Instances:
    """Asks every instance that can answer.

    One that refused a question and never answered it (central services have no work processes) is left alone for long:
    a start service that is asked for what it has not got, again and again, was seen to malfunction."""

    def __init__(self, numbers: Sequence[str], clock: Clock | None = None) -> None:
        self._numbers = tuple(numbers)
        self._clock = clock or Clock()
        self._features: dict[str, frozenset[str]] = {}
        self._sure: dict[str, frozenset[str]] = {}
        self._down: set[str] = set()
        #: The instances that should have answered the last question and did not, and what they said.
        self.silent: dict[str, LpmError] = {}
        self._answering: set[tuple[str, str]] = set()
        #: Refusals: until when the question is not asked again, and the answer.
        self._refused: dict[tuple[str, str], tuple[int, LpmError]] = {}

    def learn(self, rows: Sequence[Instance]) -> None:
        """Take the features of each instance, as the start service lists them, and which of them are stopped."""
        self._features |= features_by_number(rows)
        self._sure |= features_by_number(rows, surely=True)
        self._down = {row.number.zfill(2) for row in rows if row.colour is Colour.GRAY}

    def has(self, number: str, feature: str) -> bool:
        """True where an instance is known to have a feature."""
        return feature in self._sure.get(number, ())

    def _may_answer(self, question: str, number: str) -> bool:
        """False where the features of an instance leave no answer; true where they are not known."""
        needed, there = ANSWERED_BY.get(question), self._features.get(number)
        return needed is None or there is None or not there.isdisjoint(needed)

    def _should_answer(self, question: str, number: str) -> bool:
        """True where an instance that is up has the feature that a question is about."""
        about = ANSWERED_BY.get(question, ("",))[0]
        return number not in self._down and self.has(number, about)

    @property
    def missing(self) -> str:
        """The instances that are missing in the last answer, in words; empty where none is."""
        return "; ".join(f"instance {number} did not answer: {error}" for number, error in self.silent.items())

    def each(self, question: str, ask: Callable[[str], tuple[Value, ...]]) -> list[tuple[str, tuple[Value, ...]]]:
        """The answers by instance number. Raises what the last instance raised where none answers."""
        found: list[tuple[str, tuple[Value, ...]]] = []
        self.silent = {}
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
                self._note(question, number, refusal)
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
                self._note(question, number, error)
        if not found and trouble is not None:
            raise trouble
        return found

    def _note(self, question: str, number: str, error: LpmError) -> None:
        if self._should_answer(question, number):
            self.silent[number] = error

    def mark(self, number: str) -> str:
        return number if len(self._numbers) > 1 else ""


def sid_of(properties: Sequence[JsonMapping]) -> str:
    """The system's name among the properties of an instance; empty where they do not have it."""
    named = {fields.text(row, "property"): fields.text(row, "value") for row in properties}
    return named.get("SAPSYSTEMNAME", "")


class Owners:
    """The systems that the instance numbers of a host belong to: two systems may be on one, and a number that is
    another's gives answers that are all well and all about the other.
    """

    def __init__(self, sid: str, *, anonymous: bool = False) -> None:
        self._sid = sid
        self._names: dict[str, str] = {}
        #: What means that it does not tell. A refused password is none of it: nothing logs on with that again.
        self._untold: tuple[type[LpmError], ...] = (CommandRefused, UnexpectedReply, NotPermitted)
        if anonymous:
            self._untold += (LoginRefused,)

    def check(self, number: str, ask: Callable[[], str], where: str) -> None:
        """Ask an instance once whose it is. Raises `UnexpectedReply` where it is another system's.

        One that does not tell is taken for what the site file says.
        """
        if number not in self._names:
            try:
                self._names[number] = ask()
            except self._untold:
                self._names[number] = ""
        if self._names[number] not in ("", self._sid):
            raise UnexpectedReply(
                f"instance {number} is of {self._names[number]}, not of {self._sid}",
                where=where,
                next_step=f"Correct the instance numbers of {self._sid} in the site file.",
            )


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
