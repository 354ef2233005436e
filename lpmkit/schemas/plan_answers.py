"""The types of the answers of ``plan`` commands with ``--json``."""

from __future__ import annotations

from typing_extensions import TypedDict

from lpmkit.schemas.summary import Judged


class PlanStarted(TypedDict):
    """``plan run --detach``: the plan that goes on in the background."""

    plan: str


PlacedRow = TypedDict(
    "PlacedRow",
    {"partition": str, "from": str, "to": str, "id": str, "MB": str, "processors": str, "remarks": str},
)


class LeftRow(TypedDict):
    """A partition that cannot go."""

    partition: str
    reason: str


class PlaceOfPlanRow(TypedDict):
    """The plan of one place (empty: of the host that starts it); one of a later step waits for those of an earlier."""

    plan: str
    place: str
    step: int
    partitions: list[str]


class PlanMakeAnswer(TypedDict):
    """``plan make``: the plans that were written, their moves, and the partitions that cannot go.

    ``plan`` is the only one; none where frames of several places need several, which are in ``plans``.
    """

    plan: str | None
    plans: list[PlaceOfPlanRow]
    moves: list[PlacedRow]
    left: list[LeftRow]


PlanCheckRow = TypedDict(
    "PlanCheckRow",
    {
        "partition": str,
        "from": str,
        "to": str,
        "after": str,
        "room at its turn": str,
        "checks": str,
        "firmware": str,
        "trouble": str,
    },
)


class Moments(TypedDict):
    """An instant that is forecast: nanoseconds since 1970."""

    p10: int
    p50: int
    p90: int


class ForecastRow(TypedDict):
    """Begin and end of a move, forecast."""

    partition: str
    begin_ns: Moments
    end_ns: Moments


class PlanForecast(TypedDict):
    """The forecast of a plan."""

    zero_ns: int
    moves: list[ForecastRow]
    end_ns: Moments | None
    window: str
    last_safe_start_ns: int | None
    no_prediction: list[str]
    no_forecast: str | None
    never_begin: list[str]


class PlanCheckAnswer(TypedDict):
    """``plan check``: every move with its checks, what it costs (P90 by quantity, with the limit), and the forecast.
    ``against``: what stands against a start, a sentence each.
    """

    title: str
    answer: Judged
    against: list[str]
    moves: list[PlanCheckRow]
    predicted: list[dict[str, str]]
    forecast: PlanForecast


class PlanRequestAnswer(TypedDict):
    """The request that was made to a plan's conductor."""

    plan: str
    text: str


PlanTakeOverAnswer = TypedDict("PlanTakeOverAnswer", {"from": str, "to": str, "plans": list[str], "runs": list[str]})


class PlanMoveRow(TypedDict):
    """A move of a plan, as far as it came."""

    partition: str
    source: str
    target: str
    stage: str
    why: str
    not_observed_from: str
    verdict: str
    began_utc: str | None
    over_utc: str | None
    suspended_s: float | None
    suspended_low_s: float | None
    suspended_high_s: float | None
    session_outage_s: float | None
    session_outage_low_s: float | None
    session_outage_high_s: float | None
    copy_s: float | None
    whole_move_s: float | None
    movers: str
    run: str


class PlanReportAnswer(TypedDict):
    """``plan run``, ``plan attach`` and ``plan report``: every move, and the page."""

    plan: str
    page: str
    halted: str | None
    complete: bool
    moves: list[PlanMoveRow]
