"""The types of ``summary.json``, which `lpmkit.analysis.summary` writes. Seconds, unless a ``unit`` says otherwise."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from lpmkit.json_values import JsonObject

Scalar = str | int | float | bool | None
Judged = Literal["ready", "not ready", "could not tell"]


class FigureRow(TypedDict):
    """A figure with its bounds."""

    low: float
    high: float
    unit: Literal["s", "ppm"]
    method: str


class LikelyFigure(FigureRow):
    """A figure with its best value and the confidence of its bounds."""

    confidence: float
    best: float


class Point(TypedDict):
    """An instant: UTC, and nanoseconds on the observer's monotonic clock."""

    utc: str
    mono_ns: int


class Span(TypedDict):
    """An instant that is known within bounds, or a stretch of time."""

    earliest: Point
    latest: Point
    width: float
    unit: Literal["s"]


class SummaryQuestion(TypedDict):
    """A question of the verdict. ``counts``: the verdict depends on it."""

    key: str
    question: str
    state: Literal["passed", "failed", "not evaluated"]
    answer: str
    why: str
    counts: bool
    warns: NotRequired[bool]


class SummaryOutcome(TypedDict):
    """The outcome of a move: the kind, where the partition is as far as it is known, why, and the next command."""

    kind: str
    place: str
    heard: str
    cause: str
    doubt: str
    next_command: str


class SummaryVerdict(TypedDict):
    """The verdict of a run. ``outcome`` is that of a move."""

    state: Literal["passed", "failed", "not evaluated"]
    line: str
    questions: list[SummaryQuestion]
    outcome: NotRequired[SummaryOutcome]


SummaryOutage = TypedDict(
    "SummaryOutage",
    {"probe": str, "class": str | None, "why": str, "length": FigureRow, "begin": Span, "end": Span},
)


class SummaryClock(TypedDict):
    """The behaviour of a guest clock in the suspension."""

    clock: str
    verdict: str
    text: str
    missed: FigureRow
    counted: FigureRow


class SummarySuspension(TypedDict):
    """A suspension, with its witnesses."""

    host: str
    length: FigureRow
    likely: LikelyFigure
    begin: Span
    end: Span
    method: str
    mechanisms: list[str]
    witnesses: list[SummaryOutage]
    disagreement: list[str]
    contradicted_by: list[str]
    clocks: list[SummaryClock]
    own_stalls_within_s: float
    #: Not in summaries of earlier versions.
    late_start: NotRequired[FigureRow | None]


class Waited(FigureRow):
    """The wait of a user who typed."""

    typed_at_first_unanswered: float


class SessionSplit(TypedDict):
    """A session's silence, parted into the host's and our TCP's."""

    way_closed: FigureRow
    own_tcp_waited: FigureRow
    repeats: int | None
    how: str


class SummarySession(TypedDict):
    """An outage of an open SSH session."""

    probe: str
    waited: Waited
    began: Span
    ended: Point
    after_resume: FigureRow | None
    slow_until: Point
    unanswered: int
    split: SessionSplit | None
    same_login: str | None


class SummaryBrownOut(TypedDict):
    """The slow time after a resume, as one probe saw it."""

    probe: str
    values: Literal["lateness of ticks", "round trips"]
    since: Point
    lasted: FigureRow
    looked_s: float
    usual_median_s: float
    usual_p99_s: float
    slow_median_s: float | None
    worst_s: float | None


class FalseAlarms(TypedDict):
    """The false alarms of a probe alone in the baseline, where nothing happened."""

    seen: int
    over_s: float
    at_most_an_hour: float | None
    method: str


class SummaryNoise(TypedDict):
    """The punctuality of a probe in quiet times."""

    p99_9_s: float
    median_s: float
    worst_s: float
    threshold_s: float
    basis: str
    false_alarms: FalseAlarms


class SummaryPace(TypedDict):
    """The interval of a probe from an instant on."""

    since: Point
    interval_s: float


class SummaryProbe(TypedDict):
    """One probe in one segment."""

    probe: str
    kind: str
    segment: int
    interval_s: float
    paces: list[SummaryPace]
    signs_of_life: int
    noise: SummaryNoise


class ClockStepRow(TypedDict):
    """A step of a guest clock."""

    clock: str
    at: Span
    step: FigureRow
    about: str


class SummaryClockRate(TypedDict):
    """The rate by which a guest clock ran faster than the observer's."""

    clock: str
    over: Span
    faster: FigureRow


class SummaryHost(TypedDict):
    """The observations of one host."""

    host: str
    suspensions: list[SummarySuspension]
    session_outages: list[SummarySession]
    brown_outs: list[SummaryBrownOut]
    silences: list[SummaryOutage]
    probes: list[SummaryProbe]
    clock_steps: list[ClockStepRow]
    clock_rates: list[SummaryClockRate]
    clock_offset: FigureRow | None
    notes: list[str]


class WaitRow(TypedDict):
    """A wait event of a database over the move."""

    event: str
    waits: int
    total_s: float
    longest_below_ms: float | None
    method: str


class IdentityChangeRow(TypedDict):
    """A value of a database that is another one after the move."""

    what: str
    before: str
    after: str


LogRuleRow = TypedDict(
    "LogRuleRow",
    {"rule": str, "class": str, "count": int, "reason": str, "usual_per_hour": float | None},
)


class AlertLogRow(TypedDict):
    """The alert log of a database around the move."""

    paths: list[str]
    verdict: str
    inside: int
    before: int
    rules: list[LogRuleRow]


class OwnMeasureRow(TypedDict):
    """A stretch that a database measured itself."""

    what: str
    seconds: float
    resolution_s: float
    agrees_with_suspension: bool | None


class SummaryDatabase(TypedDict):
    """The observations of one database."""

    sid: str
    host: str
    asked_by: str
    version: str | None
    sessions: list[JsonObject]
    sessions_before: int | None
    sessions_lost: list[JsonObject] | None
    waits: list[WaitRow]
    changes: list[IdentityChangeRow]
    not_looked_at: dict[str, str]
    alert_log: AlertLogRow | None
    own_measures: list[OwnMeasureRow]
    notes: list[str]


class ClockPair(TypedDict):
    """An instant on both clocks of the observer."""

    mono_ns: int
    wall_ns: int


class LookedSpan(TypedDict):
    """A stretch in which a probe looked."""

    begin: ClockPair
    end: ClockPair


class NotLookedSpan(LookedSpan):
    """A stretch in which a probe did not look, with the reason."""

    why: str


class LookedRow(TypedDict):
    """The times at which a probe looked, and did not, and what answered."""

    probe: str
    host: str
    kind: str
    looked: list[LookedSpan]
    not_looked: list[NotLookedSpan]
    answered: int
    unanswered: int
    declined: str
    missing_rows: int


class OwnStalls(TypedDict):
    """Stalls of the observer itself."""

    count: int
    total: FigureRow
    longest_s: float
    threshold_s: float | None
    list: list[Span]


class PhaseRow(TypedDict):
    """A phase of the move, and what it follows from."""

    phase: str
    began: Point
    why: str


class Effect(TypedDict):
    """An effect of the move on the users of the partition, by its bounds; ``null`` where it was not measured."""

    low: float | None
    high: float | None
    unit: Literal["s"]
    of: str
    why_not: str


class OtherPlaceRow(TypedDict):
    """The suspension of a host as another place measured it in a run of its own, compared with that of this one."""

    place: str
    host: str
    run: str
    suspension: FigureRow | None
    looked: str
    compared: str


class OtherPlaces(TypedDict):
    """What other places measured, and which of them did not, with the reason."""

    figures: list[OtherPlaceRow]
    missing: list[str]


class Summary(TypedDict):
    """``summary.json``: the analysis of a run."""

    run: str
    mode: Literal["move", "watch", "plan"]
    verdict: SummaryVerdict
    suspension: SummarySuspension | None
    hosts: list[SummaryHost]
    databases: list[SummaryDatabase]
    move: FigureRow | None
    session_outage: FigureRow | None
    effects: dict[str, Effect]
    window: Span
    record: Span
    looked: list[LookedRow]
    not_observed: list[Span]
    own_stalls: OwnStalls
    phases: list[PhaseRow]
    unreadable_lines: dict[str, int]
    notes: list[str]
    methods: dict[str, str]
    other_places: NotRequired[OtherPlaces]
