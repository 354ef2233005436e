"""The rate of everyday changes before the pause: people log off, work processes reach their heap limit.

It is counted between the looks before the pause, and between the survey's look and the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lpmkit.rules.usual import RARE, chance_of
from lpmkit.sap.job_history import answers
from lpmkit.sap.judge.values import Case
from lpmkit.sap.model import Update, User, WorkProcess, interface_of
from lpmkit.sap.observation import SapObservation

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class UsualRate:
    """The number of changes in this many seconds before the pause."""

    changes: int
    seconds: float

    def explains(self, count: int, seconds: float) -> bool:
        """True where this many changes are as usual.

        >>> usual = UsualRate(20, 1800)
        >>> usual.explains(1, 30), usual.explains(12, 30), UsualRate(0, 1800).explains(1, 30)
        (True, False, False)
        """
        return chance_of(count, seconds, self.changes, self.seconds) >= RARE


def usual_rate(case: Case, question: str, changes: Callable[[Rows, Rows], int]) -> UsualRate:
    """The rate of changes between two looks before the pause, as ``changes`` counts them."""
    looks = [one for one in answers(case.observations, question, case.pause).all if _is_before(case, one)]
    count, seconds = 0, 0.0
    for before, after in pairwise(looks):
        if interface_of(before.way) == interface_of(after.way):
            count += changes(before.rows or (), after.rows or ())
            seconds += (after.asked_ns - before.asked_ns) / 1e9
    survey = case.before
    rows = getattr(survey, question) if survey is not None else None
    if survey is not None and rows and looks:
        same_way = interface_of(survey.ways.get(question, "")) == interface_of(looks[0].way)
        apart = (looks[0].wall_ns - survey.wall_ns) / 1e9
        if same_way and apart > 0:
            count += changes(rows, looks[0].rows or ())
            seconds += apart
    return UsualRate(count, seconds)


def _is_before(case: Case, observation: SapObservation) -> bool:
    return observation.answered_ns <= case.pause.begin_ns


def users_gone(before: Sequence[User], after: Sequence[User]) -> int:
    """The number of people's sessions that ended between two looks."""
    return len({row.key for row in before if not row.is_over_http} - {row.key for row in after})


def web_sessions_gone(before: Sequence[User], after: Sequence[User]) -> int:
    """The number of sessions over HTTP that ended between two looks."""
    return len({row.key for row in before if row.is_over_http} - {row.key for row in after})


def workers_renewed(before: Sequence[WorkProcess], after: Sequence[WorkProcess]) -> int:
    """The number of work processes with another pid, or gone, between two looks."""
    now = {(row.server, row.number): row.pid for row in after}
    return sum(row.pid is not None and now.get((row.server, row.number)) != row.pid for row in before)


def updates_left(before: Sequence[Update], after: Sequence[Update]) -> int:
    """The number of updates that wait in the second look and were not there in the first."""
    known = {row.key for row in before}
    return sum(not row.failed and row.key not in known for row in after)
