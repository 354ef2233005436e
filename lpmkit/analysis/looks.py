"""The time for which a question was observed: a probe that died, never began or was refused leaves its question open,
in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from lpmkit.analysis.model import SECOND, Interval, uncovered_ns
from lpmkit.rules.question import AnswerState, Question


def unseen(looks: Iterable[int], span: Interval, slack_ns: int, excused: Sequence[Interval] = ()) -> list[Interval]:
    """The stretches of ``span`` longer than ``slack_ns`` without a look, apart from what is ``excused`` (a suspended
    host answers nothing).

    >>> unseen([0, 4, 8, 30], Interval(0, 60), 10)
    [Interval(lo_ns=8, hi_ns=30), Interval(lo_ns=30, hi_ns=60)]
    """
    inside = sorted(look for look in looks if span.lo_ns <= look <= span.hi_ns)
    edges = [span.lo_ns, *inside, span.hi_ns]
    stretches = [Interval(begin, end) for begin, end in pairwise(edges)]
    return [stretch for stretch in stretches if uncovered_ns(stretch, excused) > slack_ns]


def in_words(stretches: Sequence[Interval], span: Interval) -> str:
    """The stretches without a look, in seconds after the begin of what is judged.

    >>> in_words([Interval(8 * SECOND, 60 * SECOND)], Interval(0, 60 * SECOND))
    'not observed from 8 s on until the end, 52 s'
    """
    words = []
    for stretch in stretches[:3]:
        begin, length = (stretch.lo_ns - span.lo_ns) / SECOND, stretch.length_ns / SECOND
        if stretch == span:
            words.append(f"not observed at all, {length:.0f} s")
        elif stretch.hi_ns == span.hi_ns:
            words.append(f"not observed from {begin:.0f} s on until the end, {length:.0f} s")
        else:
            words.append(f"not observed from {begin:.0f} s on for {length:.0f} s")
    more = f" and {len(stretches) - 3} times more" if len(stretches) > 3 else ""
    return "; ".join(words) + more


def as_far_as_seen(question: Question, stretches: Sequence[Interval], span: Interval, why: str = "") -> Question:
    """The question as it is, or not evaluated where it passed in spite of a gap in observation.

    A failure that was seen stays one.
    """
    if question.state is not AnswerState.PASSED or not stretches:
        return question
    reason = f" ({why})" if why else ""
    details = f"{in_words(stretches, span)}{reason}; while observed: {question.answer}"
    return replace(question, state=AnswerState.NOT_EVALUATED, details=details, reply=None)
