"""The fate of the connections, work processes, users, updates, locks and queues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import Answers, answers
from lpmkit.sap.judge.everyday import updates_left, users_gone, usual_rate, workers_renewed
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, some
from lpmkit.sap.model import Activity, Colour, Enqueue, User, WorkProcess, interface_of
from lpmkit.sap.observation import SapObservation
from lpmkit.wording.counts import plural

#: A lock server that began anew and holds less than this part of the locks of before has lost them; programs give back
#: and take a few at any time.
LOCKS_LOST = 2
#: Dialog work processes that are all busy in so many looks over so long a time are jammed; a dialog step takes seconds.
JAM_LOOKS, JAM_NS = 5, 60_000_000_000
#: Seconds until a session that the pause broke is missing from the list: the dispatcher has to come upon it. A choice.
NOTICED_S = 3

# --- the NI lane ------------------------------------------------------------------------------------------------------


def ni(case: Case) -> Question:
    key, title = f"sap-ni-{case.sid}", f"{case.sid}: connections to the dispatcher kept?"
    if not case.lanes:
        return Question(key, title, OPEN, "no connection was watched", counts=False)
    dead = [lane for lane in case.lanes if not lane.answered]
    if dead:
        reasons = some([f"{one.probe}: {one.trouble or 'it never answered'}" for one in dead])
        return Question(key, title, OPEN, f"no dispatcher answered: {reasons}")
    lost = sum(lane.lost for lane in case.lanes)
    if lost > case.slo.ni_reconnects:
        names = some([f"{lane.probe} {plural(lane.lost, 'time')}" for lane in case.lanes if lane.lost])
        return Question(
            key,
            title,
            FAILED,
            f"lost and opened again: {names}",
            "a SAP GUI session would have been cut off",
            reply=ReplyWord.NO,
        )
    longest = max((lane.longest_s or 0.0 for lane in case.lanes), default=0.0)
    if longest > case.slo.ni_gap_s:
        return Question(
            key, title, FAILED, f"kept, but {longest:.1f} s without an answer; the limit is {case.slo.ni_gap_s:g} s"
        )
    unseen = [f"{lane.probe}: {lane.unseen}" for lane in case.lanes if lane.unseen]
    if unseen:
        return Question(key, title, OPEN, some(unseen))
    waited = f"the longest wait {longest:.3f} s" if longest else "no wait worth mentioning"
    return Question(key, title, PASSED, f"one connection throughout, {waited}", reply=ReplyWord.YES)


# --- work processes, sessions, updates, locks, queues -----------------------------------------------------------------


def work_processes(case: Case) -> Question:
    key, title = f"sap-work-processes-{case.sid}", f"{case.sid}: work processes intact?"
    replies = answers(case.observations, "work_processes", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "work_processes", replies)
    before = {(row.server, row.number): row for row in replies.before.rows or ()}
    after = {(row.server, row.number): row for row in replies.last.rows or ()}
    looks = [one for one in replies.all if one.asked_ns >= case.pause.end_ns and one.way == replies.last.way]
    well = {(row.server, row.number) for one in looks[-2:-1] for row in one.rows or () if not row.is_down}
    wrong: list[str] = []
    everyday: list[str] = []
    errors = intact = 0
    for place, was in before.items():
        now = after.get(place)
        if now is None:
            everyday.append(f"{was.type} {was.number} is gone")
            continue
        more = max(0, now.errors - was.errors)
        errors += more
        if now.is_down and not was.is_down:
            # in the middle of a restart, where it was well in the look before
            begins = now.restarts and now.errors <= was.errors and place in well
            (everyday if begins else wrong).append(f"{was.type} {was.number} is {now.activity.value}")
        elif was.pid is not None and now.pid is None:
            wrong.append(f"{was.type} {was.number} has no process any more")
        elif was.pid is not None and now.pid != was.pid:
            text = f"{was.type} {was.number} was restarted (pid {was.pid}, now {now.pid})"
            (wrong if more else everyday).append(text)
        else:
            intact += not more
    wrong += _types_without_any(before.values(), after.values())
    wrong += _jammed(case, replies, looks)
    # heap limit, automatic restart, a dynamic work process given back (`SCN-WP-ENDS`, `SCN-DYNAMIC-WP`): every day,
    # while Err does not rise and most of the others live on, or where they come as often as before
    spent_s = (replies.last.asked_ns - replies.before.asked_ns) / 1e9
    usual = usual_rate(case, "work_processes", workers_renewed)
    too_many = len(everyday) > min(case.slo.work_process_restarts, intact)
    if too_many and not usual.explains(len(everyday), spent_s):
        wrong += everyday
        everyday = []
    if errors > case.slo.work_process_errors and not wrong:
        wrong.append(f"{plural(errors, 'termination')} counted")
    if wrong:
        return Question(
            key,
            title,
            FAILED,
            some(wrong),
            f"{plural(errors, 'new termination')} in the Err column; by {replies.last.way}",
            reply=ReplyWord.NO,
        )
    return Question(
        key,
        title,
        PASSED,
        f"{len(after)} work processes, none stopped or terminated"
        + (f"; in an everyday way, without a new termination: {some(everyday)}" if everyday else ", none restarted"),
        f"by {replies.last.way}",
        reply=ReplyWord.YES,
    )


def _jammed(case: Case, replies: Answers, looks: Sequence[SapObservation]) -> Iterator[str]:
    """The dialog work processes that are all there and all busy in every look since the suspension: they wait for the
    lock server or the database, and nobody else is served. On a system that had none free before it says nothing.
    """
    if len(looks) < JAM_LOOKS or looks[-1].asked_ns - looks[0].asked_ns < JAM_NS:
        return
    before = [one for one in replies.all if one.answered_ns <= case.pause.begin_ns][-len(looks) :]

    def free(look: SapObservation) -> bool:
        return any(row.type == "DIA" and row.activity is Activity.WAITING for row in look.rows or ())

    there = any(row.type == "DIA" for row in looks[-1].rows or ())
    if there and before and all(map(free, before)) and not any(map(free, looks)):
        seconds = (looks[-1].asked_ns - looks[0].asked_ns) / 1e9
        yield f"no dialog work process was free for {seconds:.0f} s"


def _types_without_any(before: Collection[WorkProcess], after: Collection[WorkProcess]) -> list[str]:
    """The types of which a server had work processes and has none now: nobody does updates, or prints, any more.

    One that an operation mode gave another type lives on.
    """
    alive = {(row.server, row.number, row.pid) for row in after}
    left = {(row.server, row.type) for row in after}
    left |= {(row.server, row.type) for row in before if (row.server, row.number, row.pid) in alive}
    had = dict.fromkeys((row.server, row.type) for row in before)
    return [f"no work process of type {kind} is left" for server, kind in had if (server, kind) not in left]


def _look_without_the_lost(answered: Sequence[SapObservation], after: SapObservation, end_ns: int) -> SapObservation:
    """The first look by the way of ``after`` that was asked `NOTICED_S` after the pause, else the last one."""
    looks = [one for one in answered if one.asked_ns >= end_ns and interface_of(one.way) == interface_of(after.way)]
    return next((one for one in looks if one.asked_ns >= end_ns + NOTICED_S * 1e9), looks[-1])


def users(case: Case) -> Question:
    key, title = f"sap-users-{case.sid}", f"{case.sid}: user sessions kept?"
    replies = answers(case.observations, "users", case.pause)
    if replies.before is None or replies.after is None or replies.last is None:
        return not_evaluated(case, key, title, "users", replies)
    first = _look_without_the_lost(replies.all, replies.after, case.pause.end_ns)
    before: dict[str, User] = {row.key: row for row in replies.before.rows or ()}
    after = {row.key for row in first.rows or ()}
    last = {row.key for row in replies.last.rows or ()}
    lost = [one for name, one in before.items() if name not in after]
    names = some([f"{one.name} ({one.tid}{', ' + one.terminal if one.terminal else ''})" for one in lost])
    by = f"by {first.way}"
    gap = (first.asked_ns - replies.before.answered_ns) / 1e9
    usual = usual_rate(case, "users", users_gone)
    if len(lost) > case.slo.lost_users and not usual.explains(len(lost), gap):
        return Question(
            key,
            title,
            FAILED,
            f"{plural(len(lost), 'session')} gone: {names}",
            f"within the {gap:.0f} s between two looks; {by}",
            reply=ReplyWord.NO,
        )
    later = sum(name in after and name not in last for name in before)
    extra = f"; {plural(later, 'session')} ended later" if later else ""
    within = "within the limit" if len(lost) <= case.slo.lost_users else "as often as before the move"
    extra += f"; gone {within}: {names}" if lost else ""
    return Question(key, title, PASSED, f"{plural(len(before) - len(lost), 'session')}{extra}", by, reply=ReplyWord.YES)


def updates(case: Case) -> Question:
    key, title = f"sap-updates-{case.sid}", f"{case.sid}: no update terminations (SM13)?"
    replies = answers(case.observations, "updates", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "updates", replies)
    was = {row.key for row in replies.before.rows or () if row.failed}
    now = [row for row in replies.last.rows or () if row.failed and row.key not in was]
    if len(now) > case.slo.update_errors:
        return Question(
            key,
            title,
            FAILED,
            f"{plural(len(now), 'update')} failed: {some([f'{one.key} of {one.user}' for one in now])}",
            reply=ReplyWord.NO,
        )
    left = updates_left(replies.before.rows or (), replies.last.rows or ())
    waited_s = (replies.last.asked_ns - replies.before.asked_ns) / 1e9
    if left > case.slo.queue_now and not usual_rate(case, "updates", updates_left).explains(left, waited_s):
        # a deactivated update lets them pile up, none of them in error (`SAP-UPDATE-ERRORS`)
        text = f"{left} more wait than before the suspension; the limit is {case.slo.queue_now}"
        return Question(key, title, FAILED, text, f"by {replies.last.way}", reply=ReplyWord.NO)
    return Question(
        key,
        title,
        PASSED,
        f"{len(replies.last.rows or ())} waiting or failed, none new in error",
        f"by {replies.last.way}",
        reply=ReplyWord.YES,
    )


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
    if wrong := [text for was, now in pairs for text in _worse_lock_server(was, now)]:
        return Question(key, title, FAILED, some(wrong), by, reply=ReplyWord.NO)
    # a dialog instance beside the lock server may answer too, and has no figures
    now = max(late, key=lambda row: row.requests or 0)
    locks = "" if now.locks is None else f"{plural(now.locks, 'lock')} held, "
    replica = (
        "no replication" if now.replication in (None, Colour.GRAY) else f"replication {now.replication.value.lower()}"
    )
    text = f"{locks}{replica}{_locks_kept(case)}"
    if any(_began_anew(*pair) for pair in pairs):
        return Question(key, title, PASSED, f"{text}; its counters started again meanwhile", by, warns=True)
    return Question(key, title, PASSED, text, by, reply=ReplyWord.YES)


def _worse_lock_server(was: Enqueue, now: Enqueue) -> Iterator[str]:
    """The signs against the move in a lock server's own figures. Counters that started again count from zero."""
    if was.replication is Colour.GREEN and now.replication is not Colour.GREEN:
        yield f"replication was green and is {now.replication.value.lower() if now.replication else 'unknown'}"
    errors = 0 if _began_anew(was, now) else was.errors
    if errors is not None and now.errors is not None and now.errors > errors:
        yield plural(now.errors - errors, "new error")
    if now.state is Colour.RED and was.state is not Colour.RED:
        yield "it is rated red"
    if _began_anew(was, now) and was.locks and now.locks is not None and now.locks * LOCKS_LOST < was.locks:
        # a server that starts again has the locks of its replica, or none (`SAP-LOCKS-FAILOVER`)
        yield f"it began anew, with {plural(now.locks, 'lock')} of {was.locks}"


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


def queues(case: Case) -> Question:
    key, title = f"sap-queues-{case.sid}", f"{case.sid}: dispatcher queues drained?"
    replies = answers(case.observations, "queues", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "queues", replies)
    was = {row.type: row for row in replies.before.rows or ()}
    if was and not replies.last.rows:
        return Question(key, title, OPEN, "no queue was listed after the suspension", f"by {replies.last.way}")
    full = [
        f"{row.type} {row.now} waiting"
        for row in replies.last.rows or ()
        if row.now > case.slo.queue_now and row.now > (was[row.type].now if row.type in was else 0)
    ]
    if full:
        return Question(
            key,
            title,
            FAILED,
            f"{some(full)}; the limit is {case.slo.queue_now}",
            f"by {replies.last.way}",
            reply=ReplyWord.NO,
        )
    high = [
        f"{row.type} {row.high}" for row in replies.last.rows or () if row.type in was and row.high > was[row.type].high
    ]
    marks = f"new high marks: {some(high)}" if high else ""
    return Question(key, title, PASSED, marks, f"by {replies.last.way}", reply=ReplyWord.YES)
