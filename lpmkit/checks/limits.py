"""Findings about the limits of a move before it: the predicted P90 and the change window.

They are no prerequisites of the firmware: whether a limit held is answered by the measurement after the move.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from lpmkit.checks.judging import AIX_ADMIN, Fact, Finding, Verdict
from lpmkit.limits import PREDICTED_FIGURES, QUANTITIES, ChangeWindow, Limit, LimitState, MoveLimits, judge
from lpmkit.prediction.moves import Prediction
from lpmkit.prediction.no_forecast import NoForecast
from lpmkit.survey.model import Survey

#: The keys of these findings begin so.
KEY = "limit-"
WINDOW = f"{KEY}window"
#: Titles by key.
TITLES = {
    "limit-suspension": "Predicted suspension within its limit",
    "limit-session-outage": "Predicted session outage within its limit",
    "limit-brown-out": "Predicted brown-out within its limit",
    "limit-job-delay": "Predicted delay of SAP jobs within its limit",
    "limit-commit-stall": "Predicted commit stall within its limit",
    WINDOW: "Move fits the change window",
}
_VERDICTS = {
    LimitState.PASSED: Verdict.PASS,
    LimitState.WARNED: Verdict.WARN,
    LimitState.FAILED: Verdict.FAIL,
    LimitState.COULD_NOT_TELL: Verdict.UNKNOWN,
}


def limit_findings(
    limits: MoveLimits,
    partition: str,
    expected: Prediction | NoForecast,
    starts_ns: int,
    applicable: Collection[str] = tuple(QUANTITIES),
) -> tuple[Finding, ...]:
    """The findings about limits that are set; ``starts_ns`` is when the move would be asked for (since 1970),
    ``applicable`` are the quantities that the partition has.
    """
    return (
        *(
            _of_figure(quantity, limit, partition, expected)
            for quantity in QUANTITIES
            if quantity in applicable and (limit := limits.of(quantity)) is not None
        ),
        *_of_window(limits.window, partition, expected, starts_ns),
    )


def applicable_quantities(survey: Survey) -> tuple[str, ...]:
    """The quantities that a partition has: jobs only with SAP in it, commits only with a database."""
    absent = {"job_delay_s": not survey.sap, "commit_stall_s": not survey.databases}
    return tuple(quantity for quantity in QUANTITIES if not absent.get(quantity, False))


def _of_figure(quantity: str, limit: Limit, partition: str, expected: Prediction | NoForecast) -> Finding:
    name = QUANTITIES[quantity]
    spread = expected.figure(PREDICTED_FIGURES[quantity]) if isinstance(expected, Prediction) else None
    p90 = spread.p90 if spread is not None else None
    facts: dict[str, Fact] = {"not known": f"there is no prediction of the {name}{_because(expected)}"}
    if isinstance(expected, Prediction) and spread is not None:
        facts = {f"{name}, P10 … P90": f"{spread.p10:.1f} … {spread.p90:.1f} s", "basis": expected.basis}
    remedy = (
        "Move when the partition writes less, over a faster link between the movers, or agree on another limit "
        "(`limits:` in the site file, --limit)."
    )
    key = f"{KEY}{quantity.removesuffix('_s').replace('_', '-')}"
    return _finding(key, judge(p90, p90, limit), partition, {**facts, "limit": limit.words}, remedy)


def _of_window(
    window: ChangeWindow, partition: str, expected: Prediction | NoForecast, starts_ns: int
) -> Iterator[Finding]:
    if window == ChangeWindow():
        return
    facts: dict[str, Fact] = {"change window": window.sentence(), "starts at the earliest": _utc(starts_ns)}
    remedy = "Start earlier, or give the order another window: --window BEGIN/END."
    starts_ns = max(starts_ns, int(window.begin.timestamp() * 1e9) if window.begin else starts_ns)
    if why := window.why_outside(starts_ns):
        yield _finding(WINDOW, LimitState.FAILED, partition, {**facts, "outside": why}, remedy)
    elif window.end is None:
        yield _finding(WINDOW, LimitState.PASSED, partition, facts, "")
    elif isinstance(expected, NoForecast):
        missing: dict[str, Fact] = {"not known": f"there is no prediction of the duration{_because(expected)}"}
        yield _finding(WINDOW, LimitState.COULD_NOT_TELL, partition, {**facts, **missing}, remedy)
    else:
        ends_ns = starts_ns + int(expected.whole_s.p90 * 1e9)
        facts["ends, P90"] = _utc(ends_ns)
        late = window.why_outside(starts_ns, ends_ns)
        yield _finding(WINDOW, LimitState.FAILED if late else LimitState.PASSED, partition, facts, remedy)


def _because(expected: Prediction | NoForecast) -> str:
    return f": {expected.why}" if isinstance(expected, NoForecast) else ""


def _finding(key: str, state: LimitState, partition: str, facts: dict[str, Fact], remedy: str) -> Finding:
    verdict = _VERDICTS[state]
    return Finding(
        key, TITLES[key], verdict, partition, facts, "" if verdict is Verdict.PASS else remedy, AIX_ADMIN
    )  # fmt: skip


def _utc(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns / 1e9, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
