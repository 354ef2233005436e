"""The summary that is shown before the title of a plan is asked for: which moves in which order, what they rest on, and
when they are expected to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lpmkit.board.confirm import Row
from lpmkit.board.wording import of_day
from lpmkit.checks import Answer, Finding
from lpmkit.checks.wording import count_findings
from lpmkit.errors import NotApproved
from lpmkit.plan.book import CheckedPlan, MoveCheck
from lpmkit.plan.observing import not_served
from lpmkit.plan.outlook import Outlook, shown
from lpmkit.prediction.distributions import Quantiles
from lpmkit.prediction.moves import Prediction
from lpmkit.runbook import Runbook
from lpmkit.wording.counts import plural

#: The ways to take a plan back.
BACK_OUT = (
    "Halt: no further move starts. A move under way: `lpmkit stop RUN` until its switch-over. "
    "Afterwards: `lpmkit plan make --return`."
)
_ON_FAILURE = {
    "stop": "start no further move",
    "go-on": "continue with the moves that do not depend on it",
}


def plan_summary(book: Runbook, checked: CheckedPlan) -> tuple[Row, ...]:
    """The effects of a start of this plan, to be confirmed: moves in order with their expected times, checks and
    warnings that are accepted with it, forecast, change window, back-out, approvals.
    """
    return tuple(_rows(book, checked))


def _rows(book: Runbook, checked: CheckedPlan) -> Iterator[Row]:
    plan, ahead = checked.plan, checked.outlook
    yield "plan", f"{plan.title}: {plural(len(plan.moves), 'move')}, at most {plan.limits.link} at once on one link"
    for number, move in enumerate(checked.moves, start=1):
        yield f"move {number}", _move(move, ahead)
    yield from _checks(checked)
    yield from _forecast(ahead)
    if plan.observe_from:
        dead = not_served(book, plan.observe_from)
        yield (
            "also observed from",
            "; ".join(f"{place}: NOT, {dead[place]}" if place in dead else place for place in plan.observe_from),
        )
    yield "if one fails", _ON_FAILURE[plan.on_failure]
    yield "back-out", BACK_OUT
    yield from _approvals(book, checked.moves)


def _move(move: MoveCheck, ahead: Outlook) -> str:
    """One move: from, to, its place in the order, and when it is expected to begin and end."""
    after = f", after {', '.join(move.after)}" if move.after else ""
    times = ahead.times(move.partition)
    expected = ""
    if times is not None:
        expected = f", begins {_range(times.begin_s)}, ends {_range(times.end_s)} UTC (P10 … P90)"
    still = move.prediction.suspended_s if isinstance(move.prediction, Prediction) else None
    suspended = "" if still is None else f", suspended {still.p10:.1f} … {still.p90:.1f} s"
    return f"{move.partition}  {move.source or '?'} → {move.target}{after}{expected}{suspended}"


def _range(moment: Quantiles) -> str:
    return " … ".join(of_day(int(value))[:5] for value in (moment.p10, moment.p90))


def _checks(checked: CheckedPlan) -> Iterator[Row]:
    moves = checked.moves
    validated = [move for move in moves if move.validation is not None]
    passed = sum(move.validation.passed for move in validated if move.validation is not None)
    if validated:
        at = of_day(checked.at_ns)
        yield "validation", f"{passed} of {plural(len(moves), 'move')} accepted by the firmware at {at} UTC"
    else:
        yield "validation", "not asked for; each move is validated at its turn"
    found = [finding for move in moves for finding in (*move.findings, *move.accepted)]
    yield "checks", count_findings(found).words(passed == len(moves) if validated else None)
    warned = [finding for finding in found if finding.verdict.value == "warn"]
    if warned:
        yield "accepted, not met", _by_title(warned)
    accepted = [one for move in moves for one in move.accepted if one.verdict.value in ("fail", "unknown")]
    if accepted:
        yield "accepted by the plan", _by_title(accepted)
    above = [
        f"{move.partition}: {name} {text}"
        for move in moves
        for name, text in move.predicted_row().items()
        if "ABOVE" in text
    ]
    if above:
        yield "predicted above a limit", "; ".join(above)
    unknown = [
        f"{move.partition}: {move.trouble or 'a check is unknown'}"
        for move in moves
        if move.answer is Answer.COULD_NOT_TELL
    ]
    if unknown:
        yield "not known", "; ".join(unknown)


def _by_title(findings: Sequence[Finding]) -> str:
    """Findings by their titles, each with the partitions that it is about."""
    about: dict[str, list[str]] = {}
    for finding in findings:
        about.setdefault(finding.title, []).append(finding.about)
    return "; ".join(
        f"{title} ({', '.join(dict.fromkeys(filter(None, names)))})" if any(names) else title
        for title, names in about.items()
    )


def _forecast(ahead: Outlook) -> Iterator[Row]:
    end = ahead.end_ns
    if end is None:
        yield "forecast", ahead.sentence()
        return
    yield "forecast", f"ends {shown(end.p10)} … {shown(end.p90)} (P10 … P90), most likely {shown(end.p50)}"
    if ahead.table.never:
        yield "never begins", ", ".join(ahead.table.never)
    if ahead.windows:
        yield "change window", f"until {shown(min(ahead.windows.values()))}: {ahead.window.value}"
    start = ahead.last_safe_start_ns
    if start is not None:
        yield "last safe start", shown(start) + (" (over)" if start < ahead.zero_ns else "")


def _approvals(book: Runbook, moves: Sequence[MoveCheck]) -> Iterator[Row]:
    """The names of those who approved the orders, and the moves that wait for an approval at their turn."""
    approved: dict[str, list[str]] = {}
    missing = []
    for move in moves:
        if move.run is None:
            continue
        try:
            for one in book.require_approvals(move.run):
                approved.setdefault(one.by, []).append(move.partition)
        except NotApproved as error:
            missing.append(f"{move.partition} waits at its turn: {error}")
    if approved:
        yield "approved by", "; ".join(f"{by} ({', '.join(names)})" for by, names in approved.items())
    if missing:
        yield "not approved yet", "; ".join(missing)
