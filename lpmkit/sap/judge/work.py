"""The fate of the connections, work processes, users and updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
from lpmkit.sap.judge.spells import lasting, spells
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, read_by_others, some
from lpmkit.sap.model import SOON_ANSWERED, Activity, User, WorkProcess, interface_of
from lpmkit.sap.observation import SapObservation
from lpmkit.wording.counts import plural

#: So long at the end is a jam also where one was free before, and so long an update that nobody does: choices.
SURELY_JAMMED_S, STANDING_S = 300, 300
#: The types whose requests are short, as they are called. A posting or a print list may take its minutes, so those are
#: told and only dialog fails (`STECHIES-SM13`); a job may take all night.
JAM_TYPES = {"DIA": "dialog", "UPD": "update", "UP2": "V2 update", "SPO": "spool", "ENQ": "enqueue"}
#: People leave in groups, at noon and after a meeting: so many that went together say little. A choice.
IN_A_GROUP = 3
#: So many sessions over HTTP, and most of them, have to be gone to be told. A choice.
MANY = 5
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
    place = server, kind
    jammed = [
        (look.asked_ns, {place} - _free(replies, look))
        for look in looks
        if any((_place(replies, row)[0], row.type) == place for row in look.rows or ())
    ]
    for spell in spells(jammed, place):
        if spell.is_jam:
            lasts, ever = spell.until_ns == looks[-1].asked_ns, spell.looks == len(looks)
            yield _Jam(kind, spell.length_ns / 1e9, lasts, ever)


def _unanswered(replies: Answers, looks: Sequence[SapObservation]) -> Iterator[str]:
    """The work processes that have waited for the lock server or the number ranges until the last look, for long: its
    answer was lost, and nothing but an administrator ends that.
    """
    waits = [
        (look.asked_ns, {_work_of(replies, row) for row in look.rows or () if _waits_for_an_answer(row)})
        for look in looks
    ]
    for row in looks[-1].rows or () if looks else ():
        spell = lasting(waits, _work_of(replies, row))
        if spell is not None and spell.is_jam:
            yield f"{row.type} {row.number} has waited for an answer ({row.reason}) for {spell.length_ns / 1e9:.0f} s"


def _work_of(replies: Answers, row: WorkProcess) -> tuple[_Place, int | None, str, str]:
    """A work process and what it does, for whom."""
    return _place(replies, row), row.pid, row.program, row.user


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
    standing = [spell for key in (looks[-1][1] if looks else ()) if (spell := lasting(looks, key)) is not None]
    long = [seconds for spell in standing if (seconds := spell.length_ns / 1e9) >= STANDING_S]
    return len(long), max(long, default=0.0)
