"""Checks of those who wait for a database: its Data Guard partners, and Oracle Net. The suspension must be shorter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lpmkit.checks.cluster import MARGIN
from lpmkit.checks.judging import Fact, Judges, NotApplicable, NotKnown, RuleResult, Verdict
from lpmkit.oracle.net_time_outs import net_waits
from lpmkit.oracle.snapshot import SQLNET, DatabaseSnapshot
from lpmkit.survey.model import Survey

#: NET_TIMEOUT of a destination for which none is set, seconds (`ORACLE-DG`).
NET_TIMEOUT_S = 30.0
PROTECTION, PERFORMANCE = "MAXIMUM PROTECTION", "MAXIMUM PERFORMANCE"
#: States in which no failover starts by itself: it is off, or this standby is not its target (`ORACLE-REF`).
NO_FAILOVER = ("DISABLED", "BYSTANDER")
#: The first releases that have fast-start failover, and pings of the observer's own in place of the threshold.
FAILOVER_SINCE, PINGS_SINCE = (10, 2), (23,)


def each_database(judge: Callable[[Survey, DatabaseSnapshot], RuleResult]) -> Judges:
    """A rule about each database in the partition that the site file says how to log on to."""
    return lambda survey: tuple(partial(judge, survey, database) for database in survey.databases)


def data_guard_protection(survey: Survey, database: DatabaseSnapshot) -> RuleResult:
    """Hold NET_TIMEOUT against the predicted suspension where commits wait for a standby database.

    In maximum protection a primary database shuts down without a synchronised standby (`ORACLE-DG`); in maximum
    availability it goes on alone. A time-out that was not read never passes maximum protection.
    """
    if database.protection_mode is None:
        raise _missing(database, "database")
    facts: dict[str, Fact] = {"protection mode": database.protection_mode, "role": database.role}
    if database.protection_mode == PERFORMANCE:
        return RuleResult(Verdict.PASS, database.sid, facts)
    expected = _expected_s(survey, database)
    set_s = [wait for wait in database.net_timeouts_s or () if wait is not None]
    # a standby database does not show how long its primary waits for it
    was_read = database.is_primary and bool(set_s) and len(set_s) == len(database.net_timeouts_s or ())
    waits = min(set_s) if was_read else NET_TIMEOUT_S
    facts |= {
        "suspension, P90 s": round(expected, 2),
        "NET_TIMEOUT s": f"{waits:g}" if was_read else f"{waits:g} (the default, not read)",
    }
    strict = database.protection_mode == PROTECTION
    if strict and was_read and expected >= waits:
        verdict = Verdict.FAIL
    elif expected * MARGIN > waits or (strict and not was_read):
        verdict = Verdict.WARN
    else:
        verdict = Verdict.PASS
    remedy = (
        "For the time of the move, on the primary database: alter database set standby database to maximize "
        "performance; set the mode again afterwards. Or raise NET_TIMEOUT of the destination above twice the predicted "
        "suspension."
    )
    return RuleResult(verdict, database.sid, facts, "" if verdict is Verdict.PASS else remedy)


def failover_patience(survey: Survey, database: DatabaseSnapshot) -> RuleResult:
    """Hold the observer's patience against the predicted suspension: when it ends, the observer starts a fast-start
    failover (`ORACLE-BROKER`).

    The moved primary database fails; of a moved standby database it only warns.
    """
    if database.release and database.release < FAILOVER_SINCE:
        raise NotApplicable(database.sid, "the release has no fast-start failover")
    if database.failover_status is None:
        raise _missing(database, "failover")
    facts: dict[str, Fact] = {"fast-start failover": database.failover_status, "role": database.role}
    if database.failover_status in NO_FAILOVER or database.observe_only:
        if database.observe_only:
            facts["mode"] = "observe only"
        return RuleResult(Verdict.PASS, database.sid, facts)
    waits = database.observer_waits_s or database.failover_threshold_s
    if waits is None:
        raise _missing(database, "failover")
    if database.release >= PINGS_SINCE and database.observer_waits_s is None:
        raise _missing(database, "observer")
    if database.role is None:
        raise _missing(database, "database")
    expected = _expected_s(survey, database)
    name = "ObserverPingInterval x ObserverPingRetry s" if database.observer_waits_s else "FastStartFailoverThreshold s"
    facts |= {"suspension, P90 s": round(expected, 2), name: f"{waits:g}"}
    verdict = Verdict.PASS
    if expected * MARGIN > waits:
        verdict = Verdict.FAIL if expected >= waits and database.is_primary else Verdict.WARN
    remedy = (
        "For the time of the move, in DGMGRL: disable fast_start failover; enable it again afterwards. Or edit "
        "configuration set property FastStartFailoverThreshold above twice the predicted suspension."
    )
    return RuleResult(verdict, database.sid, facts, "" if verdict is Verdict.PASS else remedy)


def net_patience(survey: Survey, database: DatabaseSnapshot) -> RuleResult:
    """Hold what Oracle Net waits by the server's ``sqlnet.ora`` against the predicted suspension (`ORACLE-NET`).

    One that the file sets can fail; Oracle's default only warns. A value that is not understood is not known.
    """
    if database.net is None:
        raise NotKnown(database.sid, database.gaps.get(SQLNET) or "the server's sqlnet.ora was not read")
    expected = _expected_s(survey, database)
    waits = net_waits(database.net, database.release)
    facts: dict[str, Fact] = {"suspension, P90 s": round(expected, 2), **{wait.parameter: wait.text for wait in waits}}
    over = [wait for wait in waits if wait.seconds is not None and wait.is_set and expected >= wait.seconds]
    near = [
        wait for wait in waits if wait.seconds is not None and wait not in over and expected * MARGIN > wait.seconds
    ]
    unread = [wait.parameter for wait in waits if wait.seconds is None]
    if unread and not over:
        raise NotKnown(database.sid, f"the value of {', '.join(unread)} is not understood")
    verdict = Verdict.FAIL if over else Verdict.WARN if near else Verdict.PASS
    return RuleResult(verdict, database.sid, facts, " ".join(wait.remedy for wait in (*over, *near)))


def _missing(database: DatabaseSnapshot, fact: str) -> NotKnown:
    return NotKnown(database.sid, database.why_not(fact))


def _expected_s(survey: Survey, database: DatabaseSnapshot) -> float:
    """The 90th percentile of the predicted suspension. Raises `NotKnown` without one."""
    if survey.expected_suspension_s is None:
        raise NotKnown(database.sid, survey.why_no_suspension)
    return survey.expected_suspension_s
