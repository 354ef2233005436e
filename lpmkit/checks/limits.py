"""Findings about the limits of a move before it: the predicted P90 and the change window.

They are no prerequisites of the firmware: whether a limit held is answered by the measurement after the move.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lpmkit.checks.judging import AIX_ADMIN, Fact, Finding, Verdict
from lpmkit.limits import ChangeWindow, LimitState, MoveLimits, judge
from lpmkit.prediction.prior import Prediction

#: The keys of these findings begin so.
KEY = "limit-"
WINDOW = f"{KEY}window"
#: Titles by key.
TITLES = {
    "limit-suspension": "Predicted suspension within its limit",
    "limit-session-outage": "Predicted session outage within its limit",
    "limit-commit-stall": "Predicted commit stall within its limit",
    WINDOW: "Move fits the change window",
}
#: Quantities that last as long as the suspension at least.
_AT_LEAST = {"limit-session-outage": "session_outage_s", "limit-commit-stall": "commit_stall_s"}
_VERDICTS = {
    LimitState.PASSED: Verdict.PASS,
    LimitState.WARNED: Verdict.WARN,
    LimitState.FAILED: Verdict.FAIL,
    LimitState.COULD_NOT_TELL: Verdict.UNKNOWN,
}


def limit_findings(
    limits: MoveLimits, partition: str, expected: Prediction | None, starts_ns: int
) -> tuple[Finding, ...]:
    """The findings about limits that are set; ``starts_ns`` is when the move would be asked for (since 1970)."""
    return (*_of_suspension(limits, partition, expected), *_of_window(limits.window, partition, expected, starts_ns))


def _of_suspension(limits: MoveLimits, partition: str, expected: Prediction | None) -> Iterator[Finding]:
    p90 = expected.suspended_s.p90 if expected else None
    facts: dict[str, Fact] = {"not known": "there is no prediction of the suspension"}
    if expected is not None:
        spread = expected.suspended_s
        facts = {"suspension, P10 … P90": f"{spread.p10:.1f} … {spread.p90:.1f} s", "basis": expected.basis}
    remedy = (
        "Move when the partition writes less, over a faster link between the movers, or agree on another limit "
        "(`limits:` in the site file, --limit)."
    )
    if limits.suspension_s is not None:
        state = judge(p90, p90, limits.suspension_s)
        yield _finding("limit-suspension", state, partition, {**facts, "limit": limits.suspension_s.words}, remedy)
    for key, quantity in _AT_LEAST.items():
        limit = limits.of(quantity)
        # The suspension is only its lower bound: more is not predicted, so that nothing passes here.
        if limit is not None and (state := judge(p90, None, limit)) in (LimitState.FAILED, LimitState.WARNED):
            yield _finding(key, state, partition, {**facts, "limit": limit.words}, remedy)


def _of_window(window: ChangeWindow, partition: str, expected: Prediction | None, starts_ns: int) -> Iterator[Finding]:
    if window == ChangeWindow():
        return
    facts: dict[str, Fact] = {"change window": window.sentence(), "starts at the earliest": _utc(starts_ns)}
    remedy = "Start earlier, or give the order another window: --window BEGIN/END."
    starts_ns = max(starts_ns, int(window.begin.timestamp() * 1e9) if window.begin else starts_ns)
    if why := window.why_outside(starts_ns):
        yield _finding(WINDOW, LimitState.FAILED, partition, {**facts, "outside": why}, remedy)
    elif window.end is None:
        yield _finding(WINDOW, LimitState.PASSED, partition, facts, "")
    elif expected is None:
        missing: dict[str, Fact] = {"not known": "there is no prediction of the duration"}
        yield _finding(WINDOW, LimitState.COULD_NOT_TELL, partition, {**facts, **missing}, remedy)
    else:
        ends_ns = starts_ns + int(expected.whole_s.p90 * 1e9)
        facts["ends, P90"] = _utc(ends_ns)
        late = window.why_outside(starts_ns, ends_ns)
        yield _finding(WINDOW, LimitState.FAILED if late else LimitState.PASSED, partition, facts, remedy)


def _finding(key: str, state: LimitState, partition: str, facts: dict[str, Fact], remedy: str) -> Finding:
    verdict = _VERDICTS[state]
    return Finding(
        key, TITLES[key], verdict, partition, facts, "" if verdict is Verdict.PASS else remedy, AIX_ADMIN
    )  # fmt: skip


def _utc(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
