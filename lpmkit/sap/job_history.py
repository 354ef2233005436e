"""The course of things, from observations: each job from its first sight to its last, each question's answers before
and after a pause.

Observations know when they were asked and answered; what lies between two of them is not known and not filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from lpmkit.sap.model import Job, JobLog, JobStatus, interface_of
from lpmkit.sap.observation import MissingReason, SapObservation

#: A stamp in whole seconds, and the system's clock as it was read: together they may be wrong by this.
STAMP_ERROR_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Pause:
    """The time that is judged, on the observer's monotonic clock: it stood still somewhere in ``[begin_ns, end_ns]``,
    or a move went on there.
    """

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Answers:
    """The answered observations of one question, and the three that matter to a pause."""

    question: str
    all: tuple[SapObservation, ...]
    before: SapObservation | None
    after: SapObservation | None
    last: SapObservation | None
    unanswered: tuple[SapObservation, ...] = ()

    def since(self, pause: Pause) -> list[SapObservation]:
        """The answers after the pause by the way of the last one."""
        way = interface_of(self.last.way) if self.last is not None else ""
        return [one for one in self.all if one.asked_ns >= pause.end_ns and interface_of(one.way) == way]

    @property
    def trouble(self) -> str:
        return self.unanswered[-1].trouble if self.unanswered else "nobody asked"

    @property
    def is_configured(self) -> bool:
        """True if it was asked, and an interface in the site file could have answered."""
        return bool(self.unanswered) and self.unanswered[-1].reason is not MissingReason.NOT_CONFIGURED


def answers(observations: Sequence[SapObservation], question: str, pause: Pause) -> Answers:
    """The answers to one question.

    ``before`` was answered before the pause, ``after`` asked after it; what spans it is neither.

    An answer by another way is no fair comparison for identities, so ``before`` is the last one by a way that answered
    after the pause too, where there is any, and ``after`` and ``last`` are those of the same way.
    """
    mine = [observation for observation in observations if observation.question == question]
    answered = [one for one in mine if one.rows is not None]
    before = [observation for observation in answered if observation.answered_ns <= pause.begin_ns]
    after = [observation for observation in answered if observation.asked_ns >= pause.end_ns]
    ways = {interface_of(one.way) for one in after}
    chosen = next((one for one in reversed(before) if interface_of(one.way) in ways), before[-1] if before else None)
    same = [one for one in after if chosen is not None and interface_of(one.way) == interface_of(chosen.way)]
    after = same or after
    return Answers(
        question,
        tuple(answered),
        chosen,
        after[0] if after else None,
        after[-1] if after else None,
        tuple(one for one in mine if one.rows is None),
    )


@dataclass(frozen=True, slots=True)
class JobObservation:
    """A job in one observation: when, and as what."""

    asked_ns: int
    answered_ns: int
    job: Job


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The progress of a job by its own log: the last reading, the last one before the pause, and whether a line was
    written after it.
    """

    last: JobLog
    before: JobLog | None
    went_on: bool


def progress(observations: Sequence[SapObservation], pause: Pause) -> dict[str, JobProgress]:
    """The job logs that were read after the pause, by the job's key.

    A line counts as written after the pause where the system stamped it so, or where the log grew between two readings
    after it.
    """
    read = [
        observation
        for observation in observations
        if observation.question == "job_logs" and observation.rows is not None
    ]
    before: dict[str, JobLog] = {}
    after: dict[str, list[JobLog]] = {}
    ends = {}
    for one in read:
        for row in one.rows or ():
            if one.answered_ns <= pause.begin_ns:
                before[row.key] = row
            elif one.asked_ns >= pause.end_ns:
                after.setdefault(row.key, []).append(row)
                ends[row.key] = _local(pause.end_ns, one)
    found = {}
    for key, rows in after.items():
        first, last, end = rows[0], rows[-1], ends[key]
        # whole seconds: a line of the second in which the pause ended may be from before it
        stamped = end is not None and last.at is not None and last.at > end
        grew = first.lines is not None and last.lines is not None and last.lines > first.lines
        found[key] = JobProgress(last, before.get(key), stamped or grew)
    return found


@dataclass(frozen=True, slots=True)
class JobCourse:
    """One job through the record: every observation of it, and its start, end and planned start on the observer's clock
    where the system reports them.
    """

    key: str
    sights: tuple[JobObservation, ...]
    started_ns: int | None
    ended_ns: int | None
    planned_ns: int | None
    gone_ns: int | None  #: asked at this time it was not listed any more

    @property
    def job(self) -> Job:
        """The job as it was last seen."""
        return self.sights[-1].job

    @property
    def status(self) -> JobStatus:
        return self.sights[-1].job.status

    @property
    def word(self) -> str:
        """The job's status in a word; one that ran when it was last seen, and is not listed since, need not run any
        more.
        """
        if self.gone_ns is not None and self.status is JobStatus.RUNNING:
            return "not listed any more"
        return self.status.word

    @property
    def program(self) -> str:
        """The program that it ran when that was last shown: a job that has ended has no work process any more."""
        return next((sight.job.program for sight in reversed(self.sights) if sight.job.program), "")

    def at(self, moment_ns: int) -> JobStatus | None:
        """The job's status in the last observation that was answered by then."""
        known = [sight.job.status for sight in self.sights if sight.answered_ns <= moment_ns]
        return known[-1] if known else None

    @property
    def took_s(self) -> float | None:
        """The run time by the system's own stamps, whole seconds."""
        job = self.job
        if job.started is None or job.ended is None:
            return None
        return (job.ended - job.started).total_seconds()


def job_courses(observations: Sequence[SapObservation]) -> tuple[JobCourse, ...]:
    """Every job that was seen, in the order of its start.

    What only the whole list (``job_list``) held is not missed in the others.
    """
    listed = [
        observation
        for observation in observations
        if observation.question in ("jobs", "job_list") and observation.rows is not None
    ]
    sights: dict[str, list[JobObservation]] = {}
    gone: dict[str, int] = {}
    for one in listed:
        here = set()
        for job in one.rows or ():
            key = job.key
            here.add(key)
            sights.setdefault(key, []).append(JobObservation(one.asked_ns, one.answered_ns, job))
        if one.question == "job_list":
            continue
        for key in sights.keys() - here:
            gone.setdefault(key, one.asked_ns)
        for key in here:
            gone.pop(key, None)  # it was only not listed once
    anchor = next(((one.wall_ns - one.asked_ns) for one in listed), 0)
    offset = next((one.zone_offset_s for one in reversed(listed) if one.zone_offset_s is not None), None)
    courses = [
        JobCourse(
            key=key,
            sights=tuple(each),
            started_ns=_moment(each[-1].job.started, offset, anchor),
            ended_ns=_moment(each[-1].job.ended, offset, anchor),
            planned_ns=_moment(each[-1].job.planned, offset, anchor),
            gone_ns=gone.get(key),
        )
        for key, each in sights.items()
    ]
    return tuple(sorted(courses, key=lambda course: (course.started_ns or course.sights[0].asked_ns, course.key)))


def _moment(at: datetime | None, offset_s: int | None, anchor_ns: int) -> int | None:
    """A time of the system's clock on the observer's monotonic one; ``None`` where its zone is not known."""
    if at is None or offset_s is None:
        return None
    utc = (at - timedelta(seconds=offset_s)).replace(tzinfo=UTC)
    return int(utc.timestamp() * 1e9) - anchor_ns


def occupancy(observations: Sequence[SapObservation]) -> tuple[tuple[int, Mapping[str, tuple[int, int, int]]], ...]:
    """The occupancy at each look at the work processes: the moment, and by type how many were busy, how many down, of
    how many.
    """
    found = []
    for observation in observations:
        if observation.question != "work_processes" or observation.rows is None:
            continue
        by_type: dict[str, tuple[int, int, int]] = {}
        for row in observation.rows:
            busy, down, count = by_type.get(row.type, (0, 0, 0))
            by_type[row.type] = (busy + row.is_busy, down + row.is_down, count + 1)
        found.append(((observation.asked_ns + observation.answered_ns) // 2, by_type))
    return tuple(found)


def fresh(
    observations: Sequence[SapObservation], question: str, pause: Pause
) -> tuple[list[Any], list[Any], int | None]:
    """The news of a growing answer: what is new since the pause began, what was there in the hour before the record,
    and when it was last read.

    What the first reading holds is from before; where that came after the pause, its stamps decide. A row that came
    with a later reading is new since the one before it; where the system's clock is known, one that is stamped earlier
    than the pause is not counted (`is_stamped_before`).
    """
    read = [
        observation for observation in observations if observation.question == question and observation.rows is not None
    ]
    new, old = _of_the_first_reading(read[0], pause) if read else ([], [])
    known: Counter[Any] = Counter([*new, *old])
    for before, one in pairwise(read):
        rows = one.rows or ()
        if one.segment != before.segment:
            # another recorder read all of it again
            rows = tuple((Counter(rows) - known).elements())
        known.update(rows)
        same = one.segment == before.segment and interface_of(one.way) == interface_of(before.way)
        for row in rows:
            written = _moment(row.at, one.zone_offset_s, one.wall_ns - one.asked_ns)
            early = is_stamped_before(written, pause.begin_ns, before.asked_ns if same else None)
            (old if early or one.answered_ns < pause.begin_ns else new).append(row)
    if read:
        start = _local(read[0].asked_ns, read[0])
        if start is not None:
            old = [row for row in old if row.at is None or row.at >= start - timedelta(hours=1)]
    return new, old, read[-1].asked_ns if read else None


def _of_the_first_reading(first: SapObservation, pause: Pause) -> tuple[list[Any], list[Any]]:
    """The rows of the first reading that are new since the pause began, and the others."""
    new: list[Any] = []
    old: list[Any] = []
    late = first.answered_ns >= pause.begin_ns and first.zone_offset_s is not None
    for row in first.rows or ():
        written = _moment(row.at, first.zone_offset_s, first.wall_ns - first.asked_ns)
        (new if late and not is_stamped_before(written, pause.begin_ns, None) else old).append(row)
    return new, old


def is_undated(observations: Sequence[SapObservation], question: str, pause: Pause) -> bool:
    """True if a growing answer was first read when the pause had begun, and its stamps cannot be placed."""
    first = next((one for one in observations if one.question == question and one.rows is not None), None)
    return first is not None and first.answered_ns >= pause.begin_ns and first.zone_offset_s is None


def before_the_record(observations: Sequence[SapObservation], question: str) -> tuple[tuple[Any, ...], float]:
    """The rows of the first reading of a growing answer, and the hours that they are of by their own stamps; none of
    either where the system's clock is not known.
    """
    first = next((one for one in observations if one.question == question and one.rows is not None), None)
    start = _local(first.asked_ns, first) if first is not None else None
    if first is None or start is None:
        return (), 0.0
    rows = tuple(row for row in first.rows or () if row.at is not None and row.at <= start)
    return rows, max(((start - row.at).total_seconds() / 3600 for row in rows), default=0.0)


def is_stamped_before(written_ns: int | None, moment_ns: int, unseen_ns: int | None) -> bool:
    """True if a stamp of the system's, as an instant, places something before a moment.

    What was not there yet at ``unseen_ns`` was written later. A stamp that says otherwise is of a clock or a zone that
    is not what we take it for, and places nothing.

    >>> second = 1_000_000_000
    >>> [is_stamped_before(at * second, 60 * second, 40 * second) for at in (50, 61, 20)]
    [True, False, False]
    """
    if written_ns is None or written_ns >= moment_ns - STAMP_ERROR_NS:
        return False
    return unseen_ns is None or written_ns >= unseen_ns - STAMP_ERROR_NS


def _local(moment_ns: int, sap_observation: SapObservation) -> datetime | None:
    """A moment of the observer's monotonic clock, on the system's clock."""
    if sap_observation.zone_offset_s is None:
        return None
    wall = moment_ns + sap_observation.wall_ns - sap_observation.asked_ns
    return datetime.fromtimestamp(wall / 1e9, tz=UTC).replace(tzinfo=None) + timedelta(
        seconds=sap_observation.zone_offset_s
    )
