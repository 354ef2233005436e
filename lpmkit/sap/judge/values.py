"""The parts of a judgement: the case, one question answered, a job's line, the outcome; and the words that all
questions share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lpmkit.rules.question import AnswerState, Question
from lpmkit.sap.job_history import Answers, JobCourse, Pause
from lpmkit.sap.model import SapSnapshot, interface_of
from lpmkit.sap.observation import SapObservation
from lpmkit.sap.rules import SapRules, SapTally
from lpmkit.settings.sap import SapSlo

PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED
#: Message numbers of the system log that go with a job's end by error.
ENDED_BY_ERROR = ("AB0", "AB1", "D01", "R6F")


@dataclass(frozen=True, slots=True)
class NiLane:
    """The history of the connection to one dispatcher: the number of losses, and its longest unanswered stretch,
    seconds. ``unseen`` names in words when nobody asked it; empty where somebody always did.
    """

    probe: str
    connections: int
    lost: int
    longest_s: float | None
    answered: bool
    trouble: str = ""
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that is known about one system in one run."""

    sid: str
    slo: SapSlo
    observations: Sequence[SapObservation]
    pause: Pause
    before: SapSnapshot | None = None
    after: SapSnapshot | None = None
    lanes: Sequence[NiLane] = ()
    rules: SapRules = field(default_factory=SapRules.standard)
    watch_after_s: float = 900.0
    moved: bool = True
    instances: tuple[str, ...] = ()  #: the numbers of the watched instances
    until_ns: int | None = None  #: how long was to be looked at least; `None` where that is not known
    every_s: Mapping[str, float] = field(default_factory=dict)  #: how often each question is asked
    target_serial: str = ""  #: the serial number of the machine that it was to come to, where that is known


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in the report: what became of it, and how late it was against its own history, seconds."""

    course: JobCourse
    verdict: str
    text: str
    delay_s: float | None = None
    is_away: bool = False  #: it runs on a server whose work processes were never looked at


@dataclass(frozen=True, slots=True)
class SapOutcome:
    """The answers about one system, and the tables behind them."""

    sid: str
    questions: tuple[Question, ...]
    jobs: tuple[JobLine, ...]
    log: tuple[SapTally, ...]
    ways: Mapping[str, tuple[str, ...]]
    occupancy: tuple[tuple[int, Mapping[str, tuple[int, int, int]]], ...] = ()

    def question(self, key: str) -> Question:
        return next(question for question in self.questions if question.key == key)


def not_evaluated(case: Case, key: str, title: str, question: str, replies: Answers) -> Question:
    """Not evaluated, with the reason; it counts only where the site has a source that should have answered."""
    if replies.all and replies.before is None:
        return Question(key, title, OPEN, "it was not looked at before the suspension")
    if replies.all:
        why = _too_short(case, question, replies) or replies.trouble
        return Question(key, title, OPEN, f"it was not looked at after the suspension: {why}")
    if replies.is_configured:
        return Question(key, title, OPEN, replies.trouble)
    return Question(key, title, OPEN, no_way(question), counts=False)


def read_by_others(key: str, title: str, replies: Answers) -> Question | None:
    """Not evaluated where the looks before and after the pause are by two interfaces, which name things differently."""
    before, last = replies.before, replies.last
    if before is None or last is None or interface_of(before.way) == interface_of(last.way):
        return None
    return Question(key, title, OPEN, f"read by {before.way} before the suspension and by {last.way} after it")


def _too_short(case: Case, question: str, replies: Answers) -> str:
    """The recording after the pause against the time between two looks, where that is why nobody asked; else empty."""
    every_s = case.every_s.get(question)
    if replies.unanswered or every_s is None or case.until_ns is None:
        return ""
    after_s = (case.until_ns - case.pause.end_ns) / 1e9
    if after_s >= every_s:
        return ""
    return f"the recording went on for {max(0.0, after_s):.0f} s, and it is looked at every {every_s:g} s"


def no_way(question: str) -> str:
    return f"no SAP interface in the site file provides the {_NOUNS.get(question, question.replace('_', ' '))}"


#: The data behind a question, where its name alone does not say it.
_NOUNS = {
    "enqueue": "enqueue statistics",
    "queues": "dispatcher queues",
    "jobs": "background jobs",
    "users": "user sessions",
    "dumps": "short dumps",
    "updates": "update requests",
    "lsconf": "output of lsconf",
    "licences": "installed licences",
    "machine_id": "machine id",
}


def some(words: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"
