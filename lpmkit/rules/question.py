"""A question of the verdict and its answer. Missing data never passes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AnswerState(StrEnum):
    """The outcome of a question. Missing data is never `PASSED`."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_EVALUATED = "not evaluated"


class ReplyWord(StrEnum):
    """The word that an answer opens with, where the question can be answered by one."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the verdict and its answer: a ``reply`` where there is one, and the ``details``.

    >>> Question("jobs", "Jobs ran on?", AnswerState.FAILED, "1 job was lost", reply=ReplyWord.NO).answer
    'no: 1 job was lost'
    """

    key: str
    title: str
    state: AnswerState
    details: str
    why: str = ""
    counts: bool = True  #: `False` where the overall verdict does not depend on it
    reply: ReplyWord | None = None
    warns: bool = False  #: passed, and above a limit that warns

    @property
    def answer(self) -> str:
        """Reply and details as one text."""
        return ": ".join(filter(None, (self.reply, self.details)))
