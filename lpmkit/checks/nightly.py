"""Every partition of a frame, or of an estate of many, judged in one pass, kept, and held against the night before.

What is common to many (managers, frames, VIOS) is asked once, see `lpmkit.survey.fleet`. It only reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, select_autoescape

from lpmkit.checks import Answer, Finding, Verdict, examine, ready
from lpmkit.config import Site
from lpmkit.errors import RecordError
from lpmkit.inventory import Partition
from lpmkit.json_values import JsonMapping, JsonObject, parse_json
from lpmkit.prediction.history import history, inputs_from
from lpmkit.prediction.moves import ObservedMove
from lpmkit.prediction.no_forecast import NoForecast, forecast_or_why
from lpmkit.prediction.predicting import predict
from lpmkit.runs.files import make_folder, read_plain, sheet_cell
from lpmkit.runs.folder import write_document, write_file
from lpmkit.ssh.secrets import Secrets
from lpmkit.survey.fleet import Cost, Direction, FrameSurvey, SurveyProgress, UnreachableMachine, survey_fleet
from lpmkit.survey.model import Survey
from lpmkit.timeline import Clock

#: The folder of the nights, below the folder of runs.
FOLDER = "checks"
HEAD = ("partition", "state", "answer", "verdict", "check", "about", "facts", "remedy", "who", "code", "asked")


@dataclass(frozen=True, slots=True)
class PartitionResult:
    """One partition: its state as listed, what the checks together say, and each finding."""

    partition: str
    state: str
    answer: Answer
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        """The number of findings with a verdict, without those that only the firmware can judge."""
        return sum(finding.verdict is verdict and not finding.only_firmware for finding in self.findings)


@dataclass(frozen=True, slots=True)
class FleetCheck:
    """All partitions of ``source``, asked whether they could move to ``target``; when, in nanoseconds since 1970, and
    which machines could not be asked.

    Where one of the two managers could not be asked, ``judged`` is false and the partitions, as far as they could be
    listed, have no findings.
    """

    source: str
    target: str
    wall_ns: int
    partitions: tuple[PartitionResult, ...]
    silent: tuple[UnreachableMachine, ...] = ()
    judged: bool = True

    @property
    def answer(self) -> Answer:
        """Not ready if one is not; could not tell if one could not tell, or if there is none."""
        return _together(result.answer for result in self.partitions)

    def to_dict(self) -> JsonObject:
        """The night as JSON values; `from_dict` brings it back."""
        return {
            "source": self.source,
            "target": self.target,
            "wall_ns": self.wall_ns,
            "answer": self.answer.value,
            "partitions": [
                {
                    "partition": result.partition,
                    "state": result.state,
                    "answer": result.answer.value,
                    "findings": [{**asdict(finding), "verdict": finding.verdict.value} for finding in result.findings],
                }
                for result in self.partitions
            ],
            "silent": [asdict(machine) for machine in self.silent],
            "judged": self.judged,
        }

    @classmethod
    def from_dict(cls, document: JsonMapping) -> FleetCheck:
        """A result from `to_dict`."""
        return cls(
            document["source"],
            document["target"],
            document["wall_ns"],
            tuple(
                PartitionResult(
                    row["partition"],
                    row["state"],
                    Answer(row["answer"]),
                    tuple(
                        Finding(**{**finding, "verdict": Verdict(finding["verdict"]), "asked": tuple(finding["asked"])})
                        for finding in row["findings"]
                    ),
                )
                for row in document["partitions"]
            ),
            tuple(UnreachableMachine(**row) for row in document.get("silent", ())),
            document.get("judged", True),
        )


def answer_of(nights: Sequence[FleetCheck]) -> Answer:
    """The combined answer of many frames; one without partitions does not count."""
    return _together(night.answer for night in nights if night.partitions or not night.judged)


def _together(answers: Iterable[Answer]) -> Answer:
    verdicts = set(answers)
    if Answer.NOT_READY in verdicts:
        return Answer.NOT_READY
    return Answer.READY if verdicts == {Answer.READY} else Answer.COULD_NOT_TELL


@dataclass(frozen=True, slots=True)
class Changed:
    """The verdicts of one check on one thing, now and last time; ``None`` where partition or check is new or gone."""

    partition: str
    check: str
    about: str
    before: Verdict | None
    now: Verdict | None


def examine_estate(
    site: Site,
    directions: Sequence[Direction],
    *,
    secrets: Secrets,
    clock: Clock | None = None,
    tell: Callable[[SurveyProgress], None] = lambda progress: None,
) -> tuple[tuple[FleetCheck, ...], Cost]:
    """Survey every partition of these directions in one pass and judge it.

    A night for each, and what the pass cost. Raises as `lpmkit.survey.fleet.survey_fleet`.
    """
    surveys, cost = survey_fleet(site, directions, secrets, tell=tell)
    past = forecast_or_why(lambda: history(site.runs.folder))
    wall_ns = (clock or Clock()).wall_ns()
    return tuple(_judged(frame_survey, past, wall_ns) for frame_survey in surveys), cost


def _judged(frame_survey: FrameSurvey, past: Sequence[ObservedMove] | NoForecast, wall_ns: int) -> FleetCheck:
    rows = []
    for partition, survey in frame_survey.partitions:
        findings = () if survey is None else examine(expecting(survey, partition, past))
        rows.append(PartitionResult(partition.name, partition.state, ready(findings), findings))
    judged = all(survey is not None for _, survey in frame_survey.partitions) and (
        bool(rows) or not frame_survey.silent
    )
    return FleetCheck(
        frame_survey.direction.source, frame_survey.direction.target, wall_ns, tuple(rows), frame_survey.silent, judged
    )


def expecting(survey: Survey, partition: Partition, past: Sequence[ObservedMove] | NoForecast) -> Survey:
    """The survey with how long the suspension will be, or why that is not known."""
    return survey.expecting(
        past if isinstance(past, NoForecast) else forecast_or_why(lambda: _suspension_s(survey, partition, past))
    )


def _suspension_s(survey: Survey, partition: Partition, past: Sequence[ObservedMove]) -> float | NoForecast:
    inputs = inputs_from(
        {"partition": partition.name, "source": survey.source.name, "target": survey.target.name},
        {"source": {"partitions": [asdict(partition)]}, "guest": asdict(survey.guest) if survey.guest else None},
    )
    return NoForecast("its memory is not listed") if inputs is None else predict(inputs, past).suspended_s.p90


def keep(night: FleetCheck, runs: Path) -> Path:
    """Write the night as JSON, CSV and HTML below the folder of runs, and say where.

    Raises `RecordError` when it cannot be written.
    """
    folder = _folder(runs, night.source, night.target)
    before = last(runs, night.source, night.target)
    for path in reversed([folder, *folder.parents]):
        if not path.exists():
            make_folder(path)
    stamp = f"{_time(night):%Y%m%dT%H%M%S.%fZ}"
    write_file(folder / f"{stamp}.csv", as_csv(night).encode())
    write_file(folder / f"{stamp}.html", as_html(night, before).encode())
    return write_document(folder, stamp, night.to_dict())


def last(runs: Path, source: str, target: str) -> FleetCheck | None:
    """The latest night that was kept of these two frames and was judged.

    Raises `RecordError` for a file that is not one.
    """
    for path in sorted(_folder(runs, source, target).glob("*.json"), reverse=True):
        try:
            night = FleetCheck.from_dict(parse_json(read_plain(path)))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RecordError(
                f"this is not what a night of checks left: {error}",
                where=str(path),
                next_step="Move it away and try again.",
            ) from error
        if night.judged:
            return night
    return None


def changes(before: FleetCheck | None, now: FleetCheck) -> tuple[Changed, ...]:
    """Every verdict that is another one, in the order of now, what is gone at the end.

    Nothing where there is no night before, or now nobody could ask.
    """
    if before is None or not now.judged:
        return ()
    old, new = _verdicts(before), _verdicts(now)
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(Changed(*key, old.get(key), new.get(key)) for key in keys if old.get(key) is not new.get(key))


def _verdicts(night: FleetCheck) -> dict[tuple[str, str, str], Verdict]:
    """The verdicts by partition, check and what it is about."""
    verdicts: dict[tuple[str, str, str], Verdict] = {}
    for result in night.partitions:
        verdicts |= {(result.partition, finding.key, finding.about): finding.verdict for finding in result.findings}
    return verdicts


def as_csv(night: FleetCheck) -> str:
    """A row for each finding; facts and commands are joined with semicolons."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(HEAD)
    for result in night.partitions:
        for finding in result.findings:
            facts = "; ".join(f"{name}: {value}" for name, value in finding.facts.items())
            cells = (
                *(result.partition, result.state, result.answer.value, _shown(finding)),
                *(finding.key, finding.about, facts),
                *(finding.remedy, finding.who, finding.code, "; ".join(finding.asked)),
            )
            rows.writerow(map(sheet_cell, cells))
    return out.getvalue()


def _shown(finding: Finding) -> str:
    return "only the firmware can tell" if finding.only_firmware else finding.verdict.value


def as_html(night: FleetCheck, before: FleetCheck | None) -> str:
    """A page of its own: the table of partitions, what changed since ``before``, and whatever is not as it should be
    with its remedy.
    """
    environment = Environment(loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True))
    return environment.get_template("nightly.html.j2").render(
        title=f"Could they move? {night.source} to {night.target}, {_time(night):%Y-%m-%d %H:%M} UTC",
        overview=overview(night),
        since=None if before is None else f"{_time(before):%Y-%m-%d %H:%M} UTC",
        changes=changes_as_rows(changes(before, night)),
        trouble=[
            (result.partition, _shown(finding), finding)
            for result in night.partitions
            for finding in result.findings
            if finding.verdict is not Verdict.PASS and not finding.only_firmware
        ],
        silent=night.silent,
        alone=sorted(
            {finding.title for result in night.partitions for finding in result.findings if finding.only_firmware}
        ),
    )


def overview(night: FleetCheck) -> list[JsonObject]:
    """A row for each partition."""
    return [
        {
            "partition": result.partition,
            "state": result.state,
            "answer": result.answer.value,
            **{verdict.value: result.count(verdict) for verdict in Verdict},
            "what": "; ".join(
                dict.fromkeys(finding.title for finding in result.findings if finding.verdict is Verdict.FAIL)
            )
            or ("" if result.findings else "could not be asked"),
        }
        for result in night.partitions
    ]


def frames_as_rows(nights: Sequence[FleetCheck]) -> list[JsonObject]:
    """A row for each frame: how many of its partitions could move, and what could not be asked."""
    return [
        {
            "from": night.source,
            "to": night.target,
            "partitions": len(night.partitions),
            **{answer.value: sum(result.answer is answer for result in night.partitions) for answer in Answer},
            "could not be asked": ", ".join(result.machine for result in night.silent),
        }
        for night in nights
    ]


def silent_as_rows(nights: Sequence[FleetCheck]) -> list[dict[str, str]]:
    """Every machine that could not be asked, once, with the reason."""
    return [asdict(machine) for machine in dict.fromkeys(machine for night in nights for machine in night.silent)]


def changes_as_rows(rows: Sequence[Changed]) -> list[dict[str, str]]:
    """The changes as rows of a table."""
    return [
        {
            "partition": change.partition,
            "check": change.check,
            "about": change.about,
            "before": change.before.value if change.before else "not asked",
            "now": change.now.value if change.now else "not asked",
        }
        for change in rows
    ]


def _folder(runs: Path, source: str, target: str) -> Path:
    return runs / FOLDER / f"{quote(source, safe='')}-to-{quote(target, safe='')}"


def _time(night: FleetCheck) -> datetime:
    return datetime.fromtimestamp(night.wall_ns / 1e9, tz=UTC)
