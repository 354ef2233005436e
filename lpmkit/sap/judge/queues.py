"""The fate of what waits in the dispatcher's queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import answers
from lpmkit.sap.judge.spells import JAM_NS, lasting, spells
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, some
from lpmkit.sap.model import DispatcherQueue
from lpmkit.sap.observation import SapObservation

#: Type of a queue, and the place of its instance among those that answered.
_QueuePlace = tuple[str, int]
_Queues = dict[_QueuePlace, DispatcherQueue]


def queues(case: Case) -> Question:
    key, title = f"sap-queues-{case.sid}", f"{case.sid}: dispatcher queues drained?"
    replies = answers(case.observations, "queues", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "queues", replies)
    was, now = _queues(replies.before), _queues(replies.last)
    by = f"by {replies.last.way}"
    looks = [(one.asked_ns, _too_long(case, was, _queues(one))) for one in replies.since(case.pause)]
    long, before = looks[-1][1], looks[-2][1] if len(looks) > 1 else looks[-1][1]
    if long & before:
        full = [f"{now[place].type} {now[place].now} waiting" for place in now if place in long & before]
        text = f"{some(full)}; the limit is {case.slo.queue_now}"
        return Question(key, title, FAILED, text, by, reply=ReplyWord.NO)
    if unlisted := list(dict.fromkeys(row.type for place, row in was.items() if place not in now)):
        return Question(key, title, OPEN, f"not listed after the suspension: {some(unlisted)}", by)
    noted = [f"{now[place].type} {now[place].now} waiting in the last look alone" for place in now if place in long]
    noted += list(_nothing_taken(replies.since(case.pause), was))
    noted += [
        f"{row.type} was full" for place, row in now.items() if place in was and row.high >= row.most > was[place].high
    ]
    noted += [
        f"{place[0]} over the limit for {spell.length_ns / 1e9:.0f} s"
        for place in sorted(set().union(*(each for _, each in looks)))
        for spell in spells(looks, place)
        if spell.length_ns >= JAM_NS
    ]
    high = [f"{row.type} {row.high}" for place, row in now.items() if place in was and row.high > was[place].high]
    marks = f"new high marks: {some(high)}" if high else ""
    text = "; ".join(filter(None, (some(noted), marks)))
    return Question(key, title, PASSED, text, by, warns=bool(noted), reply=None if noted else ReplyWord.YES)


def _nothing_taken(looks: Sequence[SapObservation], was: _Queues) -> Iterator[str]:
    """The queues in which requests have waited since the last look in which one was taken out, long ago: short ones, of
    which nobody takes any, stand as still as long ones.
    """
    waiting = [
        (one.asked_ns, {(place, row.reads) for place, row in _queues(one).items() if row.now > 0}) for one in looks
    ]
    for place, row in _queues(looks[-1]).items():
        before = was.get(place)
        if not row.now or not row.reads or before is None or (before.now and before.reads == row.reads):
            continue
        spell = lasting(waiting, (place, row.reads))
        if spell is not None and spell.length_ns >= JAM_NS:
            yield f"{row.type} {row.now} waiting, and none was taken out for {spell.length_ns / 1e9:.0f} s"


def _too_long(case: Case, was: _Queues, now: _Queues) -> set[_QueuePlace]:
    """The queues that are longer than allowed, and than before the suspension."""
    return {
        place
        for place, row in now.items()
        if row.now > case.slo.queue_now and row.now > (was[place].now if place in was else 0)
    }


def _queues(look: SapObservation) -> _Queues:
    """The queues of a look by type, and which of the instances that answered, in their order, each is of."""
    found: _Queues = {}
    count: Counter[str] = Counter()
    for row in look.rows or ():
        found[row.type, count[row.type]] = row
        count[row.type] += 1
    return found
