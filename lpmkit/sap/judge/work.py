"""The fate of the connections, processes, users, updates, locks and queues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import answers
from lpmkit.sap.judge.everyday import users_gone, usual_rate, workers_renewed
from lpmkit.sap.judge.features import features
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, some
from lpmkit.sap.model import JAVA_NODE, Colour, Enqueue, Process, User, WorkProcess
from lpmkit.wording.counts import plural

#: Whole seconds of two clocks: a start time may differ by so much and be the same.
SAME_START_S = 2.0
#: By how much summer time changes a printed time.
HOUR_S = 3600.0
_UNWELL = (Colour.RED, Colour.GRAY)

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


# --- processes --------------------------------------------------------------------------------------------------------


def processes(case: Case) -> Question:
    key, title = f"sap-processes-{case.sid}", f"{case.sid}: no process restarted?"
    replies = answers(case.observations, "processes", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "processes", replies)
    was, now = replies.before.rows or (), replies.last.rows or ()
    wrong = _process_changes(_listed_again(was, now), now)
    after = {(row.instance, row.name, row.description, row.pid): row for row in replies.last.rows or ()}
    if wrong:
        return Question(key, title, FAILED, some(wrong), f"by {replies.last.way}", reply=ReplyWord.NO)
    if missing := _not_listed(case, was, now):
        return Question(key, title, OPEN, f"not all was listed before and after: {some(missing)}")
    yellow = [one.name for one in after.values() if one.colour is Colour.YELLOW]
    extra = f"; yellow: {some(yellow)}" if yellow else ""
    return Question(
        key,
        title,
        PASSED,
        f"{len(after)} processes with the same pids{extra}",
        f"by {replies.last.way}",
        reply=ReplyWord.YES,
    )


def _not_listed(case: Case, before: Sequence[Process], after: Sequence[Process]) -> list[str]:
    """The watched instances whose processes, and the Java instances whose nodes, are missing in one of two answers.

    Older runs do not tell whose process a row is.
    """
    missing = []
    for rows, when in ((before, "before"), (after, "after")):
        shown = {row.instance for row in rows}
        if "" in shown:
            continue
        if not shown:
            missing.append(f"no process {when} the suspension")
            continue
        missing += [f"instance {number} {when} the suspension" for number in case.instances if number not in shown]
        nodes = {row.instance for row in rows if row.description == JAVA_NODE}
        java = {number for number, names in features(case).items() if "J2EE" in names}
        java |= {row.instance for row in (*before, *after) if row.description == JAVA_NODE}
        if not any(row.from_ps for row in rows):
            lacking = sorted(java - nodes)
            missing += [f"Java nodes of instance {number} {when} the suspension" for number in lacking]
    return missing


def _listed_again(before: Sequence[Process], after: Sequence[Process]) -> list[Process]:
    """The processes of before whose list was had again: of an instance that did not answer nothing is "gone"."""
    again = {(row.instance, row.description == JAVA_NODE) for row in after}
    return [row for row in before if (row.instance, row.description == JAVA_NODE) in again]


def _process_changes(before: Sequence[Process], after: Sequence[Process]) -> list[str]:
    """The changes of processes.

    Several may have one name (a HANA index server for each tenant, ``jstart`` for each node), so they are compared by
    name
    as sets of pids; the order of the rows means nothing."""
    groups: dict[tuple[str, str, str], tuple[list[Process], list[Process]]] = {}
    for place, rows in enumerate((before, after)):
        for row in rows:
            groups.setdefault((row.instance, row.name, row.description), ([], []))[place].append(row)
    wrong = []
    for (_, name, _), (was, now) in groups.items():
        same = {row.pid for row in was if row.pid is not None} & {row.pid for row in now if row.pid is not None}
        kept = {row.pid: row for row in now if row.pid in same}
        wrong += [text for row in was if row.pid in same and (text := _restarted(row, kept[row.pid]))]
        others = ([row for row in was if row.pid not in same], [row for row in now if row.pid not in same])
        first, second = (
            sorted(rows, key=lambda row: (row.started is None, str(row.started), str(row.pid))) for rows in others
        )
        wrong += [text for old, new in zip(first, second, strict=False) if (text := _restarted(old, new))]
        wrong += [f"{name} is gone" for _ in first[len(second) :]]
    return wrong


def _restarted(before: Process, after: Process) -> str:
    if before.pid is not None and after.pid is not None and before.pid != after.pid:
        return f"{after.name} has another pid ({before.pid}, now {after.pid})"
    if before.pid is not None and after.pid is None:
        return f"{after.name} has no process any more"
    if not before.from_ps and before.started is not None and after.started is not None:
        apart = abs((after.started - before.started).total_seconds())
        if apart > SAME_START_S and not _is_another_hour(before, after, apart):
            return f"{after.name} started at {after.started:%H:%M:%S}"
    if after.colour in _UNWELL and before.colour not in _UNWELL:
        return f"{after.name} is {after.colour.value.lower()}: {after.text}"
    return ""


def _is_another_hour(before: Process, after: Process, apart: float) -> bool:
    """Tell whether a start is printed an hour off because summer time began or ended, and the process ran on."""
    return (
        before.pid is not None
        and abs(apart - HOUR_S) <= SAME_START_S
        and before.elapsed_s is not None
        and after.elapsed_s is not None
        and after.elapsed_s >= before.elapsed_s
    )


def work_processes(case: Case) -> Question:
    key, title = f"sap-work-processes-{case.sid}", f"{case.sid}: work processes intact?"
    replies = answers(case.observations, "work_processes", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "work_processes", replies)
    before = {(row.server, row.number): row for row in replies.before.rows or ()}
    after = {(row.server, row.number): row for row in replies.last.rows or ()}
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
        if was.pid is not None and now.pid != was.pid:
            text = f"{was.type} {was.number} was restarted (pid {was.pid}, now {now.pid})"
            (wrong if more else everyday).append(text)
        elif now.is_down and not was.is_down:
            wrong.append(f"{was.type} {was.number} is {now.activity.value}")
        else:
            intact += not more
    wrong += _types_without_any(before.values(), after.values())
    # heap limit, automatic restart, a dynamic work process given back: every day, while Err does not rise and most of
    # the others live on
    spent_s = (replies.last.asked_ns - replies.before.asked_ns) / 1e9
    usual = usual_rate(case, "work_processes", workers_renewed)
    too_many = len(everyday) > case.slo.work_process_restarts and not usual.explains(len(everyday), spent_s)
    if too_many or len(everyday) > intact:
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


def _types_without_any(before: Collection[WorkProcess], after: Collection[WorkProcess]) -> list[str]:
    """The types of which a server had work processes and has none now: nobody does updates, or prints, any more.

    One that an operation mode gave another type lives on.
    """
    alive = {(row.server, row.number, row.pid) for row in after}
    left = {(row.server, row.type) for row in after}
    left |= {(row.server, row.type) for row in before if (row.server, row.number, row.pid) in alive}
    had = dict.fromkeys((row.server, row.type) for row in before)
    return [f"no work process of type {kind} is left" for server, kind in had if (server, kind) not in left]


def users(case: Case) -> Question:
    key, title = f"sap-users-{case.sid}", f"{case.sid}: user sessions kept?"
    replies = answers(case.observations, "users", case.pause)
    if replies.before is None or replies.after is None or replies.last is None:
        return not_evaluated(case, key, title, "users", replies)
    before: dict[str, User] = {row.key: row for row in replies.before.rows or ()}
    after = {row.key for row in replies.after.rows or ()}
    last = {row.key for row in replies.last.rows or ()}
    lost = [one for name, one in before.items() if name not in after]
    names = some([f"{one.name} ({one.tid}{', ' + one.terminal if one.terminal else ''})" for one in lost])
    by = f"by {replies.after.way}"
    gap = (replies.after.asked_ns - replies.before.answered_ns) / 1e9
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
    reset = "; its counters started again meanwhile" if any(_began_anew(*pair) for pair in pairs) else ""
    return Question(key, title, PASSED, f"{locks}{replica}{_locks_kept(case)}{reset}", by, reply=ReplyWord.YES)


def _worse_lock_server(was: Enqueue, now: Enqueue) -> Iterator[str]:
    """What a lock server's own figures say against the move. Counters that started again count from zero."""
    if was.replication is Colour.GREEN and now.replication is not Colour.GREEN:
        yield f"replication was green and is {now.replication.value.lower() if now.replication else 'unknown'}"
    errors = 0 if _began_anew(was, now) else was.errors
    if errors is not None and now.errors is not None and now.errors > errors:
        yield plural(now.errors - errors, "new error")
    if now.state is Colour.RED and was.state is not Colour.RED:
        yield "it is rated red"


def _began_anew(was: Enqueue, now: Enqueue) -> bool:
    """Tell whether the counters were reset, or the server was started again, between two looks."""
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
