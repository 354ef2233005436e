"""The fate of the processes of each instance, and of the nodes of a Java instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.sap.job_history import Answers, answers
from lpmkit.sap.judge.features import features
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, read_by_others, some
from lpmkit.sap.model import JAVA_NODE, Colour, Process, interface_of
from lpmkit.sap.observation import SapObservation

#: Whole seconds of two clocks: a start time may differ by so much and be the same.
SAME_START_S = 2.0
#: By how much summer time changes a printed time.
HOUR_S = 3600.0
#: The time after the suspension within which a process has to be green again: queues of some seconds make a dispatcher
#: yellow for as long as they take (`SCN-DYNAMIC-WP`).
TO_RECOVER_NS = 60_000_000_000
_UNWELL = (Colour.RED, Colour.GRAY)
#: Instance, name, description and pid of a process.
_Key = tuple[str, str, str, int | None]


def processes(case: Case) -> Question:
    key, title = f"sap-processes-{case.sid}", f"{case.sid}: no process restarted?"
    replies = answers(case.observations, "processes", case.pause)
    if replies.before is None or replies.last is None:
        return not_evaluated(case, key, title, "processes", replies)
    if (others := read_by_others(key, title, replies)) is not None:
        return others
    was, now, by = replies.before.rows or (), replies.last.rows or (), f"by {replies.last.way}"
    gray = _gray_before(case, replies)
    stopped = {number for number, has_pids in gray.items() if not has_pids}
    known, shown = ([row for row in rows if row.instance not in gray] for rows in (was, now))
    wrong = _process_changes(_listed_again(known, shown), shown)
    states = _states(case, was, replies, stopped)
    started = {row.instance for row in now if row.colour is Colour.GREEN} & gray.keys() - stopped
    unknown = started if {row.instance for row in now} - stopped else stopped
    states.untold.extend(f"instance {number} (before the suspension)" for number in sorted(unknown))
    if wrong or states.unwell:
        return Question(key, title, FAILED, some([*wrong, *states.unwell]), by, reply=ReplyWord.NO)
    if missing := _not_listed(case, was, now):
        return Question(key, title, OPEN, f"not all was listed before and after: {some(missing)}")
    if states.untold:
        return Question(key, title, OPEN, f"not shown as running: {some(states.untold)}", by)
    number, idle = len({_name(row) for row in shown}), [f"instance {number}" for number in sorted(stopped)]
    noted = f"; not green: {some(states.noted)}" if states.noted else ""
    noted += f"; stopped before the suspension: {some(idle)}" if idle else ""
    text = f"{number} processes with the same pids{noted}"
    return Question(key, title, PASSED, text, by, warns=bool(noted), reply=None if noted else ReplyWord.YES)


@dataclass(frozen=True, slots=True)
class _States:
    """The processes of the last look that are not green: those that the move left so, those of which it is not known,
    and those that were so before or were green in between.
    """

    unwell: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)


def _gray_before(case: Case, replies: Answers) -> dict[str, bool]:
    """The instances that were gray in every look before the suspension, and whether their rows have pids.

    Without pids they had no process and lost nothing, whatever became of them. With pids it is not known: the cluster
    may have started them itself (`SCN-TSA`).
    """
    way = interface_of(replies.last.way) if replies.last is not None else ""
    looks = [one for one in replies.all if one.answered_ns <= case.pause.begin_ns and interface_of(one.way) == way]
    rows = [row for one in looks for row in one.rows or ()]
    up = {row.instance for row in rows if row.from_ps or row.started or row.colour is not Colour.GRAY}
    with_pids = {row.instance for row in rows if (row.pid or 0) > 0}
    return {row.instance: row.instance in with_pids for row in rows if row.instance not in up}


def _states(case: Case, before: Sequence[Process], replies: Answers, stopped: set[str]) -> _States:
    """The same pid is not enough: a dispatcher that has lost its message server, or a Java node that starts its
    applications, has it too. Only green is well; ``ps`` tells no colour.
    """
    found = _States()
    last = replies.last
    looks = [one for one in replies.all if last and one.asked_ns >= case.pause.end_ns and one.way == last.way]
    long_enough = bool(looks) and looks[-1].asked_ns - looks[0].asked_ns >= TO_RECOVER_NS
    colours = {_name(row): row.colour for row in before}
    spells = _spells(looks)
    green = {_name(row) for one in looks for row in one.rows or () if row.colour is Colour.GREEN}
    down = {row.instance for row in before} - {row.instance for row in before if row.colour is not Colour.GRAY}
    for row in (last.rows or ()) if last else ():
        if row.instance in stopped:
            continue
        long_ago = [until - since for since, until in spells[_name(row)] if until - since >= TO_RECOVER_NS]
        if row.colour is Colour.GREEN and colours.get(_name(row)) is Colour.GREEN and long_ago:
            found.noted.append(f"{row.name} (for {max(long_ago) / 1e9:.0f} s, then green again)")
        if row.colour is Colour.GREEN or row.from_ps:
            continue
        text = f"{row.name} ({': '.join(filter(None, (row.colour.value.lower(), row.text)))})"
        if row.instance in down:
            # processes that the cluster started itself are all shown as stopped, with pids of another time (`SCN-TSA`)
            found.untold.append(text)
        elif colours.get(_name(row)) is not Colour.GREEN:
            found.noted.append(text)
        elif row.colour in _UNWELL:
            continue  # a change that fails, however long it has been
        elif _name(row) in green:
            since, until = spells[_name(row)][-1]
            (found.unwell if until - since >= TO_RECOVER_NS else found.noted).append(text)
        else:
            (found.unwell if long_enough else found.untold).append(text)
    return found


def _spells(looks: Sequence[SapObservation]) -> dict[_Key, list[tuple[int, int]]]:
    """The spells in which each process was not green: the first and the last look of each."""
    found: dict[_Key, list[tuple[int, int]]] = {}
    unwell: set[_Key] = set()
    for look in looks:
        for row in look.rows or ():
            key, spells = _name(row), found.setdefault(_name(row), [])
            if row.colour is Colour.GREEN or row.from_ps:
                unwell.discard(key)
            elif key in unwell:
                spells[-1] = (spells[-1][0], look.asked_ns)
            else:
                unwell.add(key)
                spells.append((look.asked_ns, look.asked_ns))
    return found


def _name(row: Process) -> _Key:
    return row.instance, row.name, row.description, row.pid


def _not_listed(case: Case, before: Sequence[Process], after: Sequence[Process]) -> list[str]:
    """The watched instances whose processes, and the Java instances whose nodes, are missing in one of two answers.

    Older runs do not show whose process a row is.
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
        java = {number for number, names in features(case, surely=True).items() if "J2EE" in names}
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
    """True if a start is printed an hour off because summer time began or ended, and the process ran on."""
    return (
        before.pid is not None
        and abs(apart - HOUR_S) <= SAME_START_S
        and before.elapsed_s is not None
        and after.elapsed_s is not None
        and after.elapsed_s >= before.elapsed_s
    )
