"""What a check is: a question put to a survey, its verdict with facts, remedy and who must act, and the reason where a fact is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from importlib.resources import files
from shlex import quote
from typing import Any, TypeVar

from ruamel.yaml import YAML

from lpmkit.inventory import Frame, Partition, Vios
from lpmkit.sap.model import SapSnapshot
from lpmkit.survey.model import Survey, SystemFacts

Value = TypeVar("Value")


Fact = str | int | float | bool | None


AIX_ADMIN = "AIX administrator"


VIOS_ADMIN = "VIOS administrator"


SAN_ADMIN = "SAN administrator"


NETWORK_ADMIN = "network administrator"


SAP_BASIS = "SAP Basis"


NOT_ACTIVATED = "Not Activated"
HMC_ADMIN = "HMC administrator"


class Verdict(StrEnum):
    """What a rule says. ``UNKNOWN`` is a fact of its own: it could not be looked at."""

    PASS = "pass"  # noqa: S105 - a word, not a secret
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Answer(StrEnum):
    """What all rules together say."""

    READY = "ready"
    NOT_READY = "not ready"
    COULD_NOT_TELL = "could not tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's answer: about which machine or partition, from which facts, what to type, and who must."""

    key: str
    title: str
    verdict: Verdict
    about: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    remedy: str = ""
    who: str = ""
    #: What was asked, each as ``MACHINE: COMMAND``.
    asked: tuple[str, ...] = ()
    #: The message code that an HMC would give (what an IVM says was not found); empty where none is known.
    code: str = ""
    #: Of an unknown: nobody but the firmware's own validation can tell, so it does not keep a partition from being ready.
    only_firmware: bool = False


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule makes of the facts about one thing."""

    verdict: Verdict
    about: str
    facts: Mapping[str, Fact]
    remedy: str = ""


class NotKnown(Exception):
    """A rule's way of saying that a fact it needs is missing. It never leaves this module."""

    def __init__(self, about: str, why: str) -> None:
        self.about, self.why = about, why
        super().__init__(why)


class OnlyFirmware(NotKnown):
    """No command that lpmkit knows tells this at this level; the validation by the firmware does. ``remedy`` says what to do beforehand."""

    def __init__(self, about: str, why: str, remedy: str) -> None:
        super().__init__(about, why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis of a check: its number among the prerequisites, the commands, and how sure it is (A to D, docs/sources.md)."""

    number: int | None = None
    ivm: tuple[str, ...] = ()
    hmc: tuple[str, ...] = ()
    code: str = ""
    mark: str = ""
    active_only: bool = False

    def asked(self, manager: str) -> tuple[str, ...]:
        return self.hmc if manager == "hmc" else self.ivm


@cache
def bases() -> Mapping[str, Basis]:
    """``catalogue.yaml``, by the keys of the checks."""
    return {str(key): Basis(**_tuples(facts)) for key, facts in read_table("catalogue.yaml").items()}


def read_table(name: str) -> dict[str, Any]:
    """One of the tables beside this module."""
    table: dict[str, Any] = YAML(typ="safe").load(files("lpmkit.checks").joinpath(name).read_text(encoding="utf-8"))
    return table


@cache
def prerequisites() -> Mapping[int, Mapping[str, str]]:
    """Read ``prerequisites.yaml``: the numbers of the prerequisites, each with ``what``, ``sure`` and ``source``."""
    return {int(number): facts for number, facts in read_table("prerequisites.yaml").items()}


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


#: What a line of the table does with a survey: the questions to be judged, one or one for each side.
Judges = Callable[[Survey], tuple[Callable[[], RuleResult], ...]]


def once(judge: Callable[[Survey], RuleResult]) -> Judges:
    """A rule about the move as a whole."""
    return lambda survey: (partial(judge, survey),)


def each_side(judge: Callable[[Survey, SystemFacts], RuleResult]) -> Judges:
    """A rule that answers for the source and for the target."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey))


def each_under_an_hmc(judge: Callable[[Survey, SystemFacts], RuleResult]) -> Judges:
    """A rule about a side whose I/O servers are not its manager; it has nothing to say of another."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey) if side.manager == "hmc")


def once_under_an_hmc(judge: Callable[[Survey], RuleResult]) -> Judges:
    """A rule about what only systems under an HMC have."""
    return lambda survey: (partial(judge, survey),) if survey.source.manager == "hmc" else ()


def each_sap(question: str, judge: Callable[[Survey, SapSnapshot], RuleResult]) -> Judges:
    """A rule about each SAP system in the partition; it has nothing to say where the site file names no way in that tells."""
    return lambda survey: tuple(
        partial(_of_sap, survey, snapshot, question, judge)
        for snapshot in survey.sap
        if not any(gap.question == question and not gap.configured for gap in snapshot.missed)
    )


def _of_sap(
    survey: Survey, snapshot: SapSnapshot, question: str, judge: Callable[[Survey, SapSnapshot], RuleResult]
) -> RuleResult:
    if getattr(snapshot, question) is None:
        raise NotKnown(snapshot.system, snapshot.why_not(question))
    return judge(survey, snapshot)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table; called with a survey it gives one finding, or one for each side that it is about."""

    key: str
    title: str
    who: str
    judges: Judges

    @property
    def basis(self) -> Basis:
        return bases()[self.key]

    def __call__(self, survey: Survey) -> tuple[Finding, ...]:
        if self.basis.active_only and is_inactive(survey):
            return ()
        return tuple(self._found(survey, judge) for judge in self.judges(survey))

    def _found(self, survey: Survey, judge: Callable[[], RuleResult]) -> Finding:
        only_firmware = False
        try:
            result = judge()
        except OnlyFirmware as missing:
            only_firmware = True
            result = RuleResult(
                Verdict.UNKNOWN, missing.about, {"only the firmware can tell": missing.why}, missing.remedy
            )
        except NotKnown as missing:
            result = RuleResult(Verdict.UNKNOWN, missing.about, {"not known": missing.why}, look_again(missing.about))
        asked = tuple(_named(command, survey, result.about) for command in self.basis.asked(survey.source.manager))
        return Finding(
            self.key,
            self.title,
            result.verdict,
            result.about,
            result.facts,
            result.remedy,
            self.who,
            asked,
            self.basis.code,
            only_firmware,
        )


def _named(command: str, survey: Survey, about: str) -> str:
    """A command of the catalogue with the names of this move in it, to be copied."""
    side = survey.target if about == survey.target.name else survey.source
    names = {"PARTITION": survey.partition}
    if side.frame:
        names["SYSTEM"] = side.frame.name
    if survey.target.frame:
        names["TARGET"] = survey.target.frame.machine
    return re.sub(r"\b[A-Z]{6,}\b", lambda word: quote(names[word[0]]) if word[0] in names else word[0], command)


def is_inactive(survey: Survey) -> bool:
    """A partition that is not activated is moved as it lies (`IVM-migrlpar`, B): its memory and its operating system have no say."""
    return survey.moving is not None and survey.moving.state == NOT_ACTIVATED


def ready(findings: Iterable[Finding]) -> Answer:
    """Whether the partition may move. One failure says no; else one unknown says that it cannot be told; warnings do not hinder, nor does what only the
    firmware can tell: that is what its validation is for.

    >>> ready([Finding("memory-room", "", Verdict.WARN, "bvio83"), Finding("keys", "", Verdict.PASS, "bvio82")])
    <Answer.READY: 'ready'>
    >>> ready([])
    <Answer.COULD_NOT_TELL: 'could not tell'>
    """
    verdicts = {finding.verdict for finding in findings if not finding.only_firmware}
    if Verdict.FAIL in verdicts:
        return Answer.NOT_READY
    return Answer.COULD_NOT_TELL if Verdict.UNKNOWN in verdicts or not verdicts else Answer.READY


def sides(survey: Survey) -> tuple[SystemFacts, SystemFacts]:
    return survey.source, survey.target


def need(value: Value | None, survey: Survey, what: str, where: str) -> Value:
    """The value, or `NotKnown` with the reason that the survey kept under this name."""
    if value is None:
        raise NotKnown(where, survey.why_not(what, where))
    return value


def look_again(about: str) -> str:
    return f"See that {about} answers, then survey again."


def frame_of(survey: Survey, side: SystemFacts) -> Frame:
    return need(side.frame, survey, "frame", side.name)


def vios_of(survey: Survey, side: SystemFacts, what: str) -> Vios:
    return need(side.vios, survey, what, side.name)


def moving_of(survey: Survey) -> Partition:
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    if survey.moving is None:
        raise NotKnown(survey.partition, f"{survey.source.name} lists no partition {survey.partition}")
    return survey.moving


def field_of(survey: Survey, value: Value | None, what: str) -> Value:
    """A field of the partition that its manager may not know."""
    if value is None:
        raise NotKnown(survey.partition, f"{survey.source.name} does not say the {what} of {survey.partition}")
    return value


def io_servers_of(survey: Survey, side: SystemFacts) -> tuple[Partition, ...]:
    need(side.partitions, survey, "partitions", side.name)
    if not side.io_servers:
        raise NotKnown(side.name, f"{side.name} lists no I/O server")
    return side.io_servers


def passed(good: bool, about: str, facts: Mapping[str, Fact], remedy: str, bad: Verdict = Verdict.FAIL) -> RuleResult:
    """Pass without a remedy, or the given verdict with it."""
    return RuleResult(Verdict.PASS, about, facts) if good else RuleResult(bad, about, facts, remedy)


def joined(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words) or "none"
