"""Checks as values: the verdict of a rule about a survey, with facts, remedy and owner, and the reason where a fact
is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from importlib.resources import files
from shlex import quote
from typing import TypeVar

from ruamel.yaml import YAML

from lpmkit.control.listings import READER_FAULTS
from lpmkit.errors import UnexpectedReply
from lpmkit.inventory import Frame, OperatingSystem, Partition, Vios
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.sap.model import SapSnapshot
from lpmkit.survey.model import NOT_ACTIVATED, Survey, SystemFacts

Value = TypeVar("Value")


Fact = str | int | float | bool | None


AIX_ADMIN = "AIX administrator"
#: The administrator where the partition runs another system.
SYSTEM_ADMINS = {OperatingSystem.LINUX: "Linux administrator", OperatingSystem.IBM_I: "IBM i administrator"}
VIOS_ADMIN = "VIOS administrator"
HMC_ADMIN = "HMC administrator"
SAN_ADMIN = "SAN administrator"
NETWORK_ADMIN = "network administrator"
SAP_BASIS = "SAP Basis"
DATABASE_ADMIN = "database administrator"


class Verdict(StrEnum):
    """The result of a rule. ``UNKNOWN``: a fact could not be read. ``NOT_APPLICABLE``: there is nothing of the kind
    to judge.
    """

    PASS = "pass"  # noqa: S105 - a word, not a secret
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


class Answer(StrEnum):
    """The result of all rules together."""

    READY = "ready"
    NOT_READY = "not ready"
    COULD_NOT_TELL = "could not tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: machine or partition, facts, remedy and owner."""

    key: str
    title: str
    verdict: Verdict
    about: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    remedy: str = ""
    who: str = ""
    #: The commands behind the facts, each as ``MACHINE: COMMAND``.
    asked: tuple[str, ...] = ()
    #: The message code that an HMC gives for this; empty where none is known.
    code: str = ""
    #: Of an unknown: only the validation can tell, so the partition may still be ready.
    only_firmware: bool = False


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The verdict of one rule about one thing."""

    verdict: Verdict
    about: str
    facts: Mapping[str, Fact]
    remedy: str = ""
    #: The title with the limit that was applied; empty: the title of the check.
    title: str = ""


class NotKnown(Exception):
    """A fact that a rule needs is missing. Caught by `Check`. ``remedy`` is what helps; by default to look again."""

    def __init__(self, about: str, why: str, remedy: str = "") -> None:
        self.about, self.why = about, why
        self.remedy = remedy or look_again(about)
        super().__init__(why)


class NotApplicable(Exception):
    """The partition has nothing that a rule could judge, or its operating system has no such thing.

    Caught by `Check`.
    """

    def __init__(self, about: str, why: str) -> None:
        self.about, self.why = about, why
        super().__init__(why)


class OnlyFirmware(NotKnown):
    """No command shows this at this level; the validation does. ``remedy`` is what to do before it."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis of a check: its number among the prerequisites, the commands, and how sure it is (A to D,
    docs/sources.md).
    """

    number: int | None = None
    ivm: tuple[str, ...] = ()
    hmc: tuple[str, ...] = ()
    code: str = ""
    mark: str = ""
    active_only: bool = False

    def asked(self, manager: str) -> tuple[str, ...]:
        """The commands for a kind of manager, ``ivm`` or ``hmc``."""
        return self.hmc if manager == "hmc" else self.ivm


@cache
def bases() -> Mapping[str, Basis]:
    """``catalogue.yaml``, by the keys of the checks."""
    return {str(key): Basis(**_tuples(facts)) for key, facts in read_table("catalogue.yaml").items()}


def read_table(name: str) -> JsonObject:
    """One of the tables beside this module."""
    table: JsonObject = YAML(typ="safe").load(files("lpmkit.checks").joinpath(name).read_text(encoding="utf-8"))
    return table


@cache
def prerequisites() -> Mapping[int, Mapping[str, str]]:
    """Read ``prerequisites.yaml``: the numbers of the prerequisites, each with ``what``, ``sure`` and ``source``."""
    return {int(number): facts for number, facts in read_table("prerequisites.yaml").items()}


def _tuples(facts: JsonMapping) -> JsonObject:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


#: The rules that one line of the table applies to a survey: one, or one for each side.
Judges = Callable[[Survey], tuple[Callable[[], RuleResult], ...]]


def once(judge: Callable[[Survey], RuleResult]) -> Judges:
    """A rule about the move as a whole."""
    return lambda survey: (partial(judge, survey),)


def each_side(judge: Callable[[Survey, SystemFacts], RuleResult]) -> Judges:
    """A rule that answers for the source and for the target."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey))


def each_under_an_hmc(judge: Callable[[Survey, SystemFacts], RuleResult]) -> Judges:
    """A rule about each side that is under an HMC."""
    return lambda survey: tuple(partial(judge, survey, side) for side in sides(survey) if side.manager == "hmc")


def once_under_an_hmc(judge: Callable[[Survey], RuleResult]) -> Judges:
    """A rule about the move, for systems under an HMC."""
    return lambda survey: (partial(judge, survey),) if survey.source.manager == "hmc" else ()


def each_sap(question: str, judge: Callable[[Survey, SapSnapshot], RuleResult]) -> Judges:
    """A rule about each SAP system in the partition; skipped where no configured SAP interface provides the data."""
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
    result = judge(survey, snapshot)
    if result.verdict is Verdict.PASS and any(gap.question == question for gap in snapshot.missed):
        raise NotKnown(snapshot.system, f"not all was looked at: {snapshot.why_not(question)}")
    return result


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table. A call with a survey returns one finding, or one for each side."""

    key: str
    title: str
    who: str
    judges: Judges

    @property
    def basis(self) -> Basis:
        """The row of ``catalogue.yaml`` for this check."""
        return bases()[self.key]

    def __call__(self, survey: Survey) -> tuple[Finding, ...]:
        """Judge a survey; nothing where the check is about active moves only and the partition is not activated."""
        if self.basis.active_only and is_inactive(survey):
            return ()
        return tuple(self._judged(survey, judge) for judge in self.judges(survey))

    def _owner(self, survey: Survey, about: str) -> str:
        """The administrator who must act. Under an IVM the manager is the VIOS, and nobody administers an HMC; a
        partition has the administrator of its own operating system.
        """
        if self.who == AIX_ADMIN and survey.operating_system in SYSTEM_ADMINS:
            return SYSTEM_ADMINS[survey.operating_system]
        side = survey.target if about == survey.target.name else survey.source
        return VIOS_ADMIN if self.who == HMC_ADMIN and side.manager == "ivm" else self.who

    def _judged(self, survey: Survey, judge: Callable[[], RuleResult]) -> Finding:
        only_firmware = False
        try:
            result = judge()
        except NotApplicable as absent:
            result = RuleResult(Verdict.NOT_APPLICABLE, absent.about, {"not applicable": absent.why})
        except OnlyFirmware as missing:
            only_firmware = True
            facts: dict[str, Fact] = {"only the firmware can tell": missing.why}
            result = RuleResult(Verdict.UNKNOWN, missing.about, facts, missing.remedy)
        except NotKnown as missing:
            result = RuleResult(Verdict.UNKNOWN, missing.about, {"not known": missing.why}, missing.remedy)
        except (*READER_FAULTS, UnexpectedReply) as fault:
            why = f"this rule could not be applied ({type(fault).__name__}: {fault})"
            remedy = "This is a fault of lpmkit. lpmkit validate asks the firmware."
            result = RuleResult(Verdict.UNKNOWN, survey.partition, {"not known": why}, remedy)
        asked = tuple(_named(command, survey, result.about) for command in self.basis.asked(survey.source.manager))
        return Finding(
            self.key,
            result.title or self.title,
            result.verdict,
            result.about,
            result.facts,
            result.remedy,
            self._owner(survey, result.about),
            asked,
            self.basis.code,
            only_firmware,
        )


def _named(command: str, survey: Survey, about: str) -> str:
    """A command of the catalogue with the names of this move, to copy."""
    side = survey.target if about == survey.target.name else survey.source
    names = {"PARTITION": survey.partition}
    if side.frame:
        names["SYSTEM"] = side.frame.name
    if survey.target.frame:
        names["TARGET"] = survey.target.frame.machine
    return re.sub(r"\b[A-Z]{6,}\b", lambda word: quote(names[word[0]]) if word[0] in names else word[0], command)


def is_inactive(survey: Survey) -> bool:
    """True if the partition is not activated: the move is inactive (`IVM-migrlpar`, B), without memory and operating
    system.
    """
    return survey.moving is not None and survey.moving.state == NOT_ACTIVATED


def ready(findings: Iterable[Finding]) -> Answer:
    """Combine findings: one failure means not ready, else one unknown means "could not tell".

    Warnings do not count, nor what does not apply, nor what only the firmware's validation can tell.

    >>> ready([Finding("memory-room", "", Verdict.WARN, "bvio83"), Finding("keys", "", Verdict.PASS, "bvio82")])
    <Answer.READY: 'ready'>
    >>> ready([])
    <Answer.COULD_NOT_TELL: 'could not tell'>
    """
    verdicts = {finding.verdict for finding in findings if not finding.only_firmware}
    verdicts.discard(Verdict.NOT_APPLICABLE)
    if Verdict.FAIL in verdicts:
        return Answer.NOT_READY
    return Answer.COULD_NOT_TELL if Verdict.UNKNOWN in verdicts or not verdicts else Answer.READY


def sides(survey: Survey) -> tuple[SystemFacts, SystemFacts]:
    """Source and target."""
    return survey.source, survey.target


def need(value: Value | None, survey: Survey, what: str, where: str) -> Value:
    """The value; raises `NotKnown` with the reason that the survey has for ``what`` where it is missing."""
    if value is None:
        raise NotKnown(where, survey.why_not(what, where))
    return value


def look_again(about: str) -> str:
    """The remedy of an unknown."""
    return f"Correct on {about} what the facts name, then check again."


def frame_of(survey: Survey, side: SystemFacts) -> Frame:
    """The managed system of a side; raises `NotKnown`."""
    return need(side.frame, survey, "frame", side.name)


def vios_of(survey: Survey, side: SystemFacts, what: str) -> Vios:
    """The VIOS of a side as one; raises `NotKnown` with the gap named ``what``."""
    return need(side.vios, survey, what, side.name)


def moving_of(survey: Survey) -> Partition:
    """The partition as the source lists it; raises `NotKnown`."""
    need(survey.source.partitions, survey, "partitions", survey.source.name)
    if survey.moving is None:
        raise NotKnown(survey.partition, f"{survey.source.name} lists no partition {survey.partition}")
    return survey.moving


def field_of(survey: Survey, value: Value | None, what: str) -> Value:
    """A field of the partition; raises `NotKnown` where its manager does not list it."""
    if value is None:
        raise NotKnown(survey.partition, f"{survey.source.name} does not list the {what} of {survey.partition}")
    return value


def io_servers_of(survey: Survey, side: SystemFacts) -> tuple[Partition, ...]:
    """The VIOS that a side lists; raises `NotKnown` where it lists none."""
    need(side.partitions, survey, "partitions", side.name)
    if not side.io_servers:
        raise NotKnown(side.name, f"{side.name} lists no VIOS")
    return side.io_servers


def ordered(survey: Survey, option: str) -> str | None:
    """The value of an option of the order (`lpmkit.control.move_options`); ``None`` where it is not ordered."""
    return (survey.options or {}).get(option)


def not_asked(survey: Survey, side: SystemFacts) -> list[str]:
    """VIOS that the manager lists, that may run, and that were not asked: what they have is not known.

    Raises `NotKnown` where it lists none.
    """
    if not side.asked:
        return []
    listed = [server.name for server in io_servers_of(survey, side) if server.state != NOT_ACTIVATED]
    return [name for name in listed if name not in side.asked]


def passed(good: bool, about: str, facts: Mapping[str, Fact], remedy: str, bad: Verdict = Verdict.FAIL) -> RuleResult:
    """A pass without remedy where ``good``, else ``bad`` with the remedy."""
    return RuleResult(Verdict.PASS, about, facts) if good else RuleResult(bad, about, facts, remedy)


def joined(words: Iterable[object]) -> str:
    """Words with commas between them, or ``none``."""
    return ", ".join(str(word) for word in words) or "none"


def system_name(survey: Survey, *, target: bool = False) -> str:
    """The managed system's name for a command to copy; the site file's name of the frame where it was not read."""
    side = survey.target if target else survey.source
    return side.frame.name if side.frame else side.name


def only_aix(survey: Survey, why: str) -> None:
    """Raise `NotApplicable` for a partition that is known to run another system than AIX."""
    system = survey.operating_system
    if system in (OperatingSystem.LINUX, OperatingSystem.IBM_I):
        raise NotApplicable(survey.partition, f"the partition runs {system.value}: {why}")
