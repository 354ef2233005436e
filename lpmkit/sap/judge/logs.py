"""The system log and the short dumps since the suspension."""

from __future__ import annotations

from collections.abc import Sequence

from lpmkit.rules.question import Question, ReplyWord
from lpmkit.rules.table import Class
from lpmkit.sap.job_history import answers, before_the_record, fresh, is_undated
from lpmkit.sap.judge.values import FAILED, OPEN, PASSED, Case, not_evaluated, some
from lpmkit.sap.rules import EarlierRows, SapTally, describe

#: What is said of a log that was read after the suspension alone, by a clock that nobody knows.
UNDATED = "it was not read before the suspension, and the system's time zone is not known"


def log_tallies(case: Case) -> tuple[SapTally, ...]:
    new, old, read = fresh(case.observations, "system_log", case.pause)
    dumps, old_dumps, _ = fresh(case.observations, "dumps", case.pause)
    until = max(read or 0, case.pause.end_ns)
    hours = (until - case.pause.begin_ns) / 3.6e12
    earlier = EarlierRows(*before_the_record(case.observations, "system_log"))
    return case.rules.tallies([*new, *dumps], [*old, *old_dumps], hours, earlier)


def log(case: Case, tallies: Sequence[SapTally]) -> Question:
    key, title = f"sap-log-{case.sid}", f"{case.sid}: system log and short dumps clean?"
    _, _, read = fresh(case.observations, "system_log", case.pause)
    bad = [tally for tally in tallies if tally.meaning is Class.FAIL]
    if bad:
        return Question(key, title, FAILED, _listed(bad), bad[0].reason, reply=ReplyWord.NO)
    replies = answers(case.observations, "system_log", case.pause)
    if replies.last is None or read is None:
        return not_evaluated(case, key, title, "system_log", replies)
    if is_undated(case.observations, "system_log", case.pause):
        return Question(key, title, OPEN, UNDATED)
    if missing := _missing(case):
        return Question(key, title, OPEN, f"not all of it was seen: {missing}")
    watched = (read - case.pause.end_ns) / 1e9
    wanted = case.watch_after_s
    # the last reading may be an interval before the end of the watch
    if watched < wanted - 90 and watched < 0.9 * wanted:
        return Question(
            key,
            title,
            OPEN,
            f"read until {max(0.0, watched) / 60:.0f} minutes after the suspension; {wanted / 60:.0f} are asked for",
        )
    until = f"read until {max(0.0, watched) / 60:.1f} minutes after the suspension"
    return _without_failures(key, title, tallies, until)


def _without_failures(key: str, title: str, tallies: Sequence[SapTally], until: str) -> Question:
    """The answer where all was read and nothing fails by a rule. What no rule knows and speaks of trouble passes no
    move.
    """
    unknown = [tally for tally in tallies if tally.meaning is Class.UNKNOWN]
    if troubled := [tally for tally in unknown if tally.speaks_of_trouble]:
        return Question(key, title, OPEN, f"no rule knows what speaks of trouble: {_listed(troubled)}", until)
    warn = [tally for tally in tallies if tally.meaning is Class.WARN]
    if noted := [*warn, *unknown]:
        return Question(
            key, title, PASSED, f"nothing that fails; to be read: {_listed(noted)}", until, warns=bool(warn)
        )
    came = sum(tally.count for tally in tallies)
    rest = f"{came} new entries, all routine or expected" if came else "no new entry"
    return Question(key, title, PASSED, rest, until, reply=ReplyWord.YES)


def _listed(tallies: Sequence[SapTally]) -> str:
    return some([f"{one.count} × {one.key}: {one.example}" for one in tallies])


def _missing(case: Case) -> str:
    """The reason why a reading since the pause began may lack entries; empty where none does."""
    read = (one for one in case.observations if one.question == "system_log" and one.rows is not None)
    return next((one.trouble for one in read if one.trouble and one.answered_ns > case.pause.begin_ns), "")


def dumps(case: Case) -> Question:
    key, title = f"sap-dumps-{case.sid}", f"{case.sid}: short dumps checked?"
    new, _, _ = fresh(case.observations, "dumps", case.pause)
    replies = answers(case.observations, "dumps", case.pause)
    if replies.last is None:
        return not_evaluated(case, key, title, "dumps", replies)
    if is_undated(case.observations, "dumps", case.pause):
        return Question(key, title, OPEN, UNDATED)
    if not new:
        return Question(key, title, PASSED, "none since the suspension", reply=ReplyWord.YES)
    return Question(
        key,
        title,
        PASSED,
        f"{len(new)} since the suspension: {some([describe(one) for one in new])}",
        "their classes stand under the log",
        reply=ReplyWord.YES,
    )
