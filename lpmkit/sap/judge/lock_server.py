"""The fate of the locks and of the lock server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import Answers, answers
from lpmkit.sap.judge.spells import lasting
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, some
from lpmkit.sap.model import Colour, Enqueue, interface_of
from lpmkit.wording.counts import plural

#: A lock server that began anew and holds less than this part of the locks of before has lost them; programs give back
#: and take a few at any time.
LOCKS_LOST = 2
#: For so long nobody asks a lock server, of which so many requests are to be expected, before it is told: choices.
UNASKED_S, EXPECTED_REQUESTS = 120, 20


def enqueue(case: Case) -> Question:
    key, title = f"sap-enqueue-{case.sid}", f"{case.sid}: enqueue server and replication OK?"
    replies = answers(case.observations, "enqueue", case.pause)
    if replies.before is None or replies.last is None or not replies.before.rows or not replies.last.rows:
        return not_evaluated(case, key, title, "enqueue", replies)
    early, late, by = replies.before.rows, replies.last.rows, f"by {replies.last.way}"
    if len(early) != len(late):
        text = f"{plural(len(early), 'lock server')} answered before the suspension, {len(late)} after it"
        return Question(key, title, OPEN, text, by)
    pairs = list(zip(early, late, strict=True))
    steps = [pair for was, now in pairwise(_lock_servers(case, replies)) for pair in zip(was, now, strict=True)]
    errors = sum(_new_errors(*pair) for pair in steps)
    wrong = [text for pair in pairs for text in _worse_lock_server(*pair)]
    wrong += [plural(errors, "new error")] if errors else []
    wrong += [text for pair in steps for text in _lost_locks(*pair)]
    if wrong:
        return Question(key, title, FAILED, some(wrong), by, reply=ReplyWord.NO)
    # a dialog instance beside the lock server may answer too, and has no figures
    now = max(late, key=lambda row: row.requests or 0)
    locks = "" if now.locks is None else f"{plural(now.locks, 'lock')} held, "
    replica = (
        "no replication" if now.replication in (None, Colour.GRAY) else f"replication {now.replication.value.lower()}"
    )
    text = f"{locks}{replica}{_locks_kept(case)}"
    noted = _meanwhile(steps) or _nobody_asks(case, replies)
    return Question(key, title, PASSED, f"{text}{noted}", by, warns=bool(noted), reply=None if noted else ReplyWord.YES)


def _meanwhile(steps: Sequence[tuple[Enqueue, Enqueue]]) -> str:
    """The first thing to be noted about a lock server that is well at the end; empty where there is none."""
    if any(_began_anew(*pair) for pair in steps):
        return "; its counters started again meanwhile"
    if any(was.replication is Colour.GREEN and now.replication is not Colour.GREEN for was, now in steps):
        return "; without a replica meanwhile"
    if any((now.cleanups or 0) > was.cleanups for was, now in steps if was.cleanups is not None):
        return "; an application server began or ended meanwhile: all its locks were given back"
    return ""


def _nobody_asks(case: Case, replies: Answers) -> str:
    """The time for which a lock server was asked for no lock, where it was asked often before the suspension: its
    clients may not reach it. Empty where somebody asks, or nothing is to be expected.
    """
    way = interface_of(replies.last.way) if replies.last is not None else ""
    mine = [one for one in replies.all if interface_of(one.way) == way]
    early, since = (
        [(one.asked_ns, max((row.requests or 0 for row in one.rows or ()), default=0)) for one in looks]
        for looks in ([one for one in mine if one.answered_ns <= case.pause.begin_ns], replies.since(case.pause))
    )
    if len(early) < 2 or not since:
        return ""
    rate = (early[-1][1] - early[0][1]) / (early[-1][0] - early[0][0])
    unasked = lasting([(at, (requests,)) for at, requests in since], since[-1][1])
    if unasked is None or unasked.length_ns < UNASKED_S * 1e9 or rate * unasked.length_ns < EXPECTED_REQUESTS:
        return ""
    return f"; nobody has asked it for a lock for {unasked.length_ns / 1e9:.0f} s"


def _lock_servers(case: Case, replies: Answers) -> list[Sequence[Enqueue]]:
    """The figures of the last look before the suspension and of every look since in which the same servers answered."""
    looks = [one.rows for one in (replies.before, *replies.since(case.pause)) if one is not None and one.rows]
    return [rows for rows in looks if len(rows) == len(looks[0])]


def _lost_locks(was: Enqueue, now: Enqueue) -> Iterator[str]:
    """A server that starts again has the locks of its replica, or none (`SAP-LOCKS-FAILOVER`)."""
    if _began_anew(was, now) and was.locks and now.locks is not None and now.locks * LOCKS_LOST < was.locks:
        yield f"it began anew, with {plural(now.locks, 'lock')} of {was.locks}"


def _new_errors(was: Enqueue, now: Enqueue) -> int:
    """The errors between two looks. Counters that started again count from zero."""
    errors = 0 if _began_anew(was, now) else was.errors
    return 0 if errors is None or now.errors is None else max(0, now.errors - errors)


def _worse_lock_server(was: Enqueue, now: Enqueue) -> Iterator[str]:
    """The replica and the rating of a lock server where they are worse than before."""
    if was.replication is Colour.GREEN and now.replication is not Colour.GREEN:
        yield f"replication was green and is {now.replication.value.lower() if now.replication else 'unknown'}"
    if now.state is Colour.RED and was.state is not Colour.RED:
        yield "it is rated red"


def _began_anew(was: Enqueue, now: Enqueue) -> bool:
    """True if the counters were reset, or the server was started again, between two looks."""
    counters = ((was.requests, now.requests), (was.errors, now.errors), (was.rejects, now.rejects))
    return any(early is not None and late is not None and late < early for early, late in counters)


def _locks_kept(case: Case) -> str:
    """The number of locks from before that are held still; some are given back meanwhile, as they should be."""
    if case.before is None or case.after is None or case.before.locks is None or case.after.locks is None:
        return ""
    now = {lock.key for lock in case.after.locks}
    kept = sum(lock.key in now for lock in case.before.locks)
    return f"; {kept} of the {plural(len(case.before.locks), 'lock')} from before the move still held"
