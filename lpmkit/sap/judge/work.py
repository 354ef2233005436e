"""The fate of the connections, work processes, users, updates, locks and queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.rules.table import Class
from lpmkit.rules.usual import RARE, chance_of, held_against_usual
from lpmkit.sap.job_history import Answers, answers
from lpmkit.sap.judge.everyday import (
    UsualRate,
    updates_left,
    users_gone,
    usual_rate,
    web_sessions_gone,
    workers_renewed,
)
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, read_by_others, some
from lpmkit.sap.model import (
    SOON_ANSWERED,
    Activity,
    Colour,
    DispatcherQueue,
    Enqueue,
    User,
    WorkProcess,
    interface_of,
)
from lpmkit.sap.observation import SapObservation
from lpmkit.wording.counts import plural

#: A lock server that began anew and holds less than this part of the locks of before has lost them; programs give back
#: and take a few at any time.
LOCKS_LOST = 2
#: Dialog work processes that are all busy in so many looks over so long a time are jammed; a dialog step takes seconds.
JAM_LOOKS, JAM_NS = 5, 60_000_000_000
#: So long at the end is a jam also where one was free before: a choice.
SURELY_JAMMED_S = 300
#: So long in every look is an update that nobody does, and a lock server that nobody asks: choices.
STANDING_S, UNASKED_S = 300, 120
#: So many requests are to be expected of a lock server before their absence is told: a choice.
EXPECTED_REQUESTS = 20
#: The types whose requests are short, as they are called. A posting or a print list may take its minutes, so those are
#: told and only dialog fails (`STECHIES-SM13`); a job may take all night.
JAM_TYPES = {"DIA": "dialog", "UPD": "update", "UP2": "V2 update", "SPO": "spool", "ENQ": "enqueue"}
#: People leave in groups, at noon and after a meeting: so many that went together say little. A choice.
IN_A_GROUP = 3
#: So many sessions over HTTP, and most of them, have to be gone to be told. A choice.
MANY = 5
#: Type of a queue, and the place of its instance among those that answered.
_QueuePlace = tuple[str, int]
_Queues = dict[_QueuePlace, DispatcherQueue]
#: Server and number of a work process.
_Place = tuple[str, int]
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
    others = read_by_others(key, title, replies)
    if others is not None and not _one_server(replies.before, replies.last):
        return others
    before = {_place(replies, row): row for row in replies.before.rows or ()}
    after = {_place(replies, row): row for row in replies.last.rows or ()}
    looks = [one for one in replies.all if one.asked_ns >= case.pause.end_ns and one.way == replies.last.way]
    well = {_place(replies, row) for one in looks[-2:-1] for row in one.rows or () if not row.is_down}
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
    wrong += _types_without_any(before, after)
    jams = _jams(case, replies, looks)
    wrong += [str(jam) for jam in jams if jam.fails]
    noted = "".join(f"; {text}" for text in (*(jam for jam in jams if not jam.fails), *_unanswered(replies, looks)))
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
        + (f"; in an everyday way, without a new termination: {some(everyday)}" if everyday else ", none restarted")
        + noted,
        f"by {replies.last.way}",
        warns=bool(noted),
        reply=None if noted else ReplyWord.YES,
    )


@dataclass(frozen=True, slots=True)
class _Jam:
    """A spell in which none of the work processes of one type was free; ``lasts`` until the last look, ``ever`` since
    the first.
    """

    kind: str
    seconds: float
    lasts: bool
    ever: bool

    @property
    def fails(self) -> bool:
        return self.kind == "DIA" and self.lasts and (self.ever or self.seconds >= SURELY_JAMMED_S)

    def __str__(self) -> str:
        when = "" if self.lasts else ", then there was one again"
        return f"no {JAM_TYPES[self.kind]} work process was free for {self.seconds:.0f} s{when}"


def _jams(case: Case, replies: Answers, looks: Sequence[SapObservation]) -> list[_Jam]:
    """The longest jam of each type since the suspension, on the server where it was worst: its work processes wait for
    the lock server, the database or a printer, and nobody else is served. It may begin when the first of them has need
    of what is gone. Where none was free in some look before, it says nothing.
    """
    if replies.before is None or not looks:
        return []
    way = interface_of(replies.before.way)
    early = [one for one in replies.all if one.answered_ns <= case.pause.begin_ns and interface_of(one.way) == way]
    before = [_free(replies, look) for look in early[-len(looks) :]]
    worst: dict[str, _Jam] = {}
    for server, kind in sorted({(_place(replies, row)[0], row.type) for row in looks[-1].rows or ()}):
        if kind in JAM_TYPES and all((server, kind) in free for free in before):
            for jam in _jams_of(server, kind, replies, looks):
                rank = (jam.lasts, jam.seconds)
                if kind not in worst or rank > (worst[kind].lasts, worst[kind].seconds):
                    worst[kind] = jam
    return list(worst.values())


def _jams_of(server: str, kind: str, replies: Answers, looks: Sequence[SapObservation]) -> Iterator[_Jam]:
    """The spells of so many looks, and so long, in which a server had no free work process of a type."""
    listed = [
        one for one in looks if any((_place(replies, row)[0], row.type) == (server, kind) for row in one.rows or ())
    ]
    for is_free, group in groupby(listed, key=lambda look: (server, kind) in _free(replies, look)):
        spell = list(group)
        length = spell[-1].asked_ns - spell[0].asked_ns
        if not is_free and len(spell) >= JAM_LOOKS and length >= JAM_NS:
            yield _Jam(kind, length / 1e9, spell[-1] is looks[-1], len(spell) == len(looks))


def _unanswered(replies: Answers, looks: Sequence[SapObservation]) -> Iterator[str]:
    """The work processes that have waited for the lock server or the number ranges until the last look, for long: its
    answer was lost, and nothing but an administrator ends that.
    """
    for row in looks[-1].rows or () if looks else ():
        if not _waits_for_an_answer(row):
            continue
        same = (_place(replies, row), row.pid, row.program, row.user)
        spell = list(
            takewhile(
                lambda look, same=same: any(  # type: ignore[misc]
                    _waits_for_an_answer(one) and (_place(replies, one), one.pid, one.program, one.user) == same
                    for one in look.rows or ()
                ),
                reversed(looks),
            )
        )
        length = spell[0].asked_ns - spell[-1].asked_ns
        if len(spell) >= JAM_LOOKS and length >= JAM_NS:
            yield f"{row.type} {row.number} has waited for an answer ({row.reason}) for {length / 1e9:.0f} s"


def _waits_for_an_answer(row: WorkProcess) -> bool:
    return row.is_held and row.reason.strip().upper().startswith(SOON_ANSWERED)


def _free(replies: Answers, look: SapObservation) -> set[tuple[str, str]]:
    """Server and type of the work processes that wait for a request."""
    rows = look.rows or ()
    return {(_place(replies, row)[0], row.type) for row in rows if row.activity is Activity.WAITING}


def _one_server(*looks: SapObservation) -> bool:
    """True if the looks show work processes of one server: it needs no name, which each interface gives in its way."""
    return all(len({row.server for row in look.rows or ()}) <= 1 for look in looks)


def _place(replies: Answers, row: WorkProcess) -> _Place:
    """Server and number of a work process; the number alone where two interfaces name the one server differently."""
    ways = {interface_of(one.way) for one in (replies.before, replies.last) if one is not None}
    return (row.server if len(ways) == 1 else "", row.number)


def _types_without_any(before: Mapping[_Place, WorkProcess], after: Mapping[_Place, WorkProcess]) -> list[str]:
    """The types of which a server had work processes and has none now: nobody does updates, or prints, any more.

    One that an operation mode gave another type lives on.
    """
    left = {(place[0], row.type) for place, row in after.items()}
    left |= {(place[0], row.type) for place, row in before.items() if place in after and after[place].pid == row.pid}
    had = dict.fromkeys((place[0], row.type) for place, row in before.items())
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
    if (others := read_by_others(key, title, replies)) is not None:
        return others
    first = _look_without_the_lost(replies.all, replies.after, case.pause.end_ns)
    before: dict[str, User] = {row.key: row for row in replies.before.rows or () if not row.is_over_http}
    after = {row.key for row in first.rows or ()}
    last = {row.key for row in replies.last.rows or ()}
    lost = [one for name, one in before.items() if name not in after]
    by = f"by {first.way}"
    gap = (first.asked_ns - replies.before.answered_ns) / 1e9
    usual = usual_rate(case, "users", users_gone)
    if len(lost) > case.slo.lost_users and not usual.explains(len(lost), gap):
        return Question(
            key,
            title,
            FAILED,
            f"{plural(len(lost), 'session')} gone: {_named(lost)}",
            f"within the {gap:.0f} s between two readings; {by}",
            reply=ReplyWord.NO,
        )
    later = [one for name, one in before.items() if name in after and name not in last]
    late = _came_later(case, replies, first, before, usual)
    if late.meaning is Class.FAIL and len(lost) + len(later) > case.slo.lost_users:
        text = f"{plural(late.count, 'session')} gone later: {_named(late.lost)}"
        details = f"within {late.seconds:.0f} s, more than before the move; {by}"
        return Question(key, title, FAILED, text, details, reply=ReplyWord.NO)
    extra = f"; {plural(len(later), 'session')} ended later" if later else ""
    within = "within the limit" if len(lost) <= case.slo.lost_users else "as often as before the move"
    extra += f"; gone {within}: {_named(lost)}" if lost else ""
    text = f"{plural(len(before) - len(lost), 'session')}{extra}"
    web = _web_sessions_lost(case, replies.before, replies.last)
    if late.meaning is Class.WARN or web:
        details = f"more than before the move; {by}"
        return Question(key, title, PASSED, f"{text}{web}", details, warns=True)
    return Question(key, title, PASSED, text, by, reply=ReplyWord.YES)


def _web_sessions_lost(case: Case, before: SapObservation, last: SapObservation) -> str:
    """The sessions over HTTP that are gone, where it is most of them and more than as usual; empty otherwise."""
    count = sum(row.is_over_http for row in before.rows or ())
    gone = web_sessions_gone(before.rows or (), last.rows or ())
    seconds = (last.asked_ns - before.answered_ns) / 1e9
    if gone < MANY or gone * 2 <= count or usual_rate(case, "users", web_sessions_gone).explains(gone, seconds):
        return ""
    return f"; {gone} of {plural(count, 'session')} over HTTP gone"


def _named(sessions: Sequence[User]) -> str:
    return some([f"{one.name} ({one.tid}{', ' + one.terminal if one.terminal else ''})" for one in sessions])


@dataclass(frozen=True, slots=True)
class _Late:
    """The sessions of before that ended after the first look, where they are most against what is usual."""

    meaning: Class
    lost: Sequence[User]
    seconds: float

    @property
    def count(self) -> int:
        return len(self.lost)


def _came_later(
    case: Case, replies: Answers, first: SapObservation, before: Mapping[str, User], usual: UsualRate
) -> _Late:
    """The sessions that went after the first look. A dispatcher finds a dead one when it asks next, which may be twenty
    minutes after the pause, and takes it down a minute later (`SAPNOTE:27320`, `ITSITI-PFL`).

    People log off too: those that went together are held against all other times, and all of them against the time
    before the move. There one is counted more than was seen, because somebody logs off at some time.
    """
    way = interface_of(first.way)
    looks = [one for one in replies.all if one.asked_ns >= first.asked_ns and interface_of(one.way) == way]
    steps = []
    there = {row.key for row in first.rows or ()} & before.keys()
    for was, now in pairwise(looks):
        left = there & {row.key for row in now.rows or ()}
        steps.append((sorted(there - left), (now.asked_ns - was.asked_ns) / 1e9))
        there = left
    gone = [name for names, _ in steps for name in names]
    length = sum(seconds for _, seconds in steps)
    if not gone:
        return _Late(Class.ROUTINE, (), length)
    most, seconds = max(steps, key=lambda step: len(step[0]))
    others = max(IN_A_GROUP, usual.changes + len(gone) - len(most))
    together = _chance(len(most), seconds, others, usual.seconds + length - seconds) * len(steps)
    in_all = _chance(len(gone), length, max(1, usual.changes), usual.seconds)
    if together <= in_all:
        return _Late(held_against_usual(Class.FAIL, together), [before[name] for name in most], seconds)
    return _Late(held_against_usual(Class.FAIL, in_all), [before[name] for name in gone], length)


def _chance(count: int, seconds: float, usual: int, usual_s: float) -> float:
    """As `chance_of`; where there is no other time to hold it against, as much as warns."""
    return chance_of(count, seconds, usual, usual_s) if usual_s > 0 else RARE


def updates(case: Case) -> Question:
    key, title = f"sap-updates-{case.sid}", f"{case.sid}: no update terminations (SM13)?"
    replies = answers(case.observations, "updates", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "updates", replies)
    was = {row.key for row in replies.before.rows or () if row.failed}
    # one that somebody posted again or deleted meanwhile was terminated all the same
    since = {row.key: row for one in replies.since(case.pause) for row in one.rows or () if row.failed}
    now = [row for key, row in since.items() if key not in was]
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
    known = {row.key for row in replies.before.rows or ()}
    untold = [row.key for row in replies.last.rows or () if row.failed is None and row.key not in known]
    if untold:
        text = f"{plural(len(untold), 'new update')} whose state is not told"
        return Question(key, title, OPEN, text, f"by {replies.last.way}")
    count, seconds = _standing_updates(case, replies)
    noted = f"; {plural(count, 'update')} waiting for {seconds:.0f} s, where none waited before" if count else ""
    return Question(
        key,
        title,
        PASSED,
        f"{len(replies.last.rows or ())} waiting or terminated, none newly terminated{noted}",
        f"by {replies.last.way}",
        warns=bool(noted),
        reply=None if noted else ReplyWord.YES,
    )


def _standing_updates(case: Case, replies: Answers) -> tuple[int, float]:
    """The number of updates that have waited in every look of the last minutes, and the seconds of the longest; none
    where some waited before the suspension. A system that does few updates does not pile them up (`SAP-UPDATE-ERRORS`).
    """
    if any(not row.failed for row in (replies.before.rows if replies.before is not None else None) or ()):
        return 0, 0.0
    looks = [(one.asked_ns, {row.key for row in one.rows or () if not row.failed}) for one in replies.since(case.pause)]
    stood = []
    for key in looks[-1][1] if looks else ():
        spell = [at for at, keys in takewhile(lambda look, key=key: key in look[1], reversed(looks))]  # type: ignore[misc]
        stood.append((looks[-1][0] - spell[-1]) / 1e9)
    long = [seconds for seconds in stood if seconds >= STANDING_S]
    return len(long), max(long, default=0.0)


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
        return "; all locks of an application server were given back meanwhile: it began or ended"
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
    still = list(takewhile(lambda look: look[1] == since[-1][1], reversed(since)))
    unasked_ns = still[0][0] - still[-1][0]
    if unasked_ns < UNASKED_S * 1e9 or rate * unasked_ns < EXPECTED_REQUESTS:
        return ""
    return f"; nobody has asked it for a lock for {unasked_ns / 1e9:.0f} s"


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
        f"{place[0]} over the limit for {(until - since) / 1e9:.0f} s"
        for place in sorted(set().union(*(each for _, each in looks)))
        for since, until in _spells(looks, place)
        if until - since >= JAM_NS
    ]
    high = [f"{row.type} {row.high}" for place, row in now.items() if place in was and row.high > was[place].high]
    marks = f"new high marks: {some(high)}" if high else ""
    text = "; ".join(filter(None, (some(noted), marks)))
    return Question(key, title, PASSED, text, by, warns=bool(noted), reply=None if noted else ReplyWord.YES)


def _nothing_taken(looks: Sequence[SapObservation], was: _Queues) -> Iterator[str]:
    """The queues in which requests have waited since the last look in which one was taken out, long ago: short ones, of
    which nobody takes any, stand as still as long ones.
    """
    tables = [(one.asked_ns, _queues(one)) for one in looks]
    for place, row in tables[-1][1].items():
        before = was.get(place)
        if not row.now or not row.reads or before is None or (before.now and before.reads == row.reads):
            continue
        still = list(
            takewhile(
                lambda look, place=place, row=row: (  # type: ignore[misc]
                    place in look[1] and look[1][place].now > 0 and look[1][place].reads == row.reads
                ),
                reversed(tables),
            )
        )
        length = still[0][0] - still[-1][0]
        if length >= JAM_NS:
            yield f"{row.type} {row.now} waiting, and none was taken out for {length / 1e9:.0f} s"


def _too_long(case: Case, was: _Queues, now: _Queues) -> set[_QueuePlace]:
    """The queues that are longer than allowed, and than before the suspension."""
    return {
        place
        for place, row in now.items()
        if row.now > case.slo.queue_now and row.now > (was[place].now if place in was else 0)
    }


def _spells(looks: Sequence[tuple[int, set[_QueuePlace]]], place: _QueuePlace) -> Iterator[tuple[int, int]]:
    """The spells in which a queue was too long: the first and the last look of each."""
    for is_long, spell in groupby(looks, key=lambda look: place in look[1]):
        if is_long:
            moments = [at for at, _ in spell]
            yield moments[0], moments[-1]


def _queues(look: SapObservation) -> _Queues:
    """The queues of a look by type, and which of the instances that answered, in their order, each is of."""
    found: _Queues = {}
    count: Counter[str] = Counter()
    for row in look.rows or ():
        found[row.type, count[row.type]] = row
        count[row.type] += 1
    return found
