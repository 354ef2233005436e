"""Every partition of a frame judged in one pass, kept, and held against the night before.

What is common to all (both managers' listings, the I/O servers) is asked once, see `lpmkit.reach.survey_frame`. It only reads, over one connection to each
manager and one to a partition at a time.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, select_autoescape

from lpmkit.checks import Answer, Finding, Verdict, examine, ready
from lpmkit.config import Site
from lpmkit.errors import RecordError, UsageError
from lpmkit.prediction.before import predict
from lpmkit.prediction.experience import history, inputs_from
from lpmkit.reach import survey_frame
from lpmkit.run import write_document, write_file
from lpmkit.secrets import Secrets
from lpmkit.timeline import Clock

#: Where nights are kept below the folder of runs.
FOLDER = "checks"
HEAD = ("partition", "state", "answer", "verdict", "check", "about", "facts", "remedy", "who", "code", "asked")


@dataclass(frozen=True, slots=True)
class Judged:
    """One partition: its state as listed, what the checks together say, and each finding."""

    partition: str
    state: str
    answer: Answer
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        """How many findings say so; what only the firmware can tell is no unknown here."""
        return sum(one.verdict is verdict and not one.only_firmware for one in self.findings)


@dataclass(frozen=True, slots=True)
class Night:
    """All partitions of ``source``, asked whether they could move to ``target``; when, in nanoseconds since 1970."""

    source: str
    target: str
    wall_ns: int
    partitions: tuple[Judged, ...]

    @property
    def answer(self) -> Answer:
        """Not ready if one is not; could not tell if of one it cannot be told, or if there is none."""
        said = {one.answer for one in self.partitions}
        if Answer.NOT_READY in said:
            return Answer.NOT_READY
        return Answer.READY if said == {Answer.READY} else Answer.COULD_NOT_TELL

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; `from_dict` brings it back."""
        return {
            "source": self.source,
            "target": self.target,
            "wall_ns": self.wall_ns,
            "answer": self.answer.value,
            "partitions": [
                {
                    "partition": one.partition,
                    "state": one.state,
                    "answer": one.answer.value,
                    "findings": [{**asdict(found), "verdict": found.verdict.value} for found in one.findings],
                }
                for one in self.partitions
            ],
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Night:
        return cls(
            kept["source"],
            kept["target"],
            kept["wall_ns"],
            tuple(
                Judged(
                    one["partition"],
                    one["state"],
                    Answer(one["answer"]),
                    tuple(
                        Finding(**{**row, "verdict": Verdict(row["verdict"]), "asked": tuple(row["asked"])})
                        for row in one["findings"]
                    ),
                )
                for one in kept["partitions"]
            ),
        )


@dataclass(frozen=True, slots=True)
class Changed:
    """What one check says now and said the last time of one thing; ``None`` where it was or is not asked, because the partition or the check is new or gone."""

    partition: str
    check: str
    about: str
    before: Verdict | None
    now: Verdict | None


def examine_frame(site: Site, source: str, target: str, *, secrets: Secrets, clock: Clock | None = None) -> Night:
    """Survey and judge every partition of ``source`` for a move to ``target``.

    Raises `RemoteError` when one of the managers cannot be asked at all, and `UsageError` for a frame that is its own target.
    """
    if source == target:
        raise UsageError(f"{source} is source and target", next_step="Name another frame with --to.")
    judged = []
    past = history(site.runs.folder) if site.runs.folder.is_dir() else []
    for one, found in survey_frame(site, source, target, secrets):
        inputs = inputs_from(
            {"partition": one.name, "source": source, "target": target},
            {"source": {"partitions": [asdict(one)]}, "guest": asdict(found.guest) if found.guest else None},
        )
        expected = None if inputs is None else predict(inputs, past).suspended_s.p90
        findings = examine(replace(found, expected_suspension_s=expected))
        judged.append(Judged(one.name, one.state, ready(findings), findings))
    return Night(source, target, (clock or Clock()).wall_ns(), tuple(judged))


def keep(night: Night, runs: Path) -> Path:
    """Write the night as JSON, CSV and HTML below the folder of runs, and say where; raises `RecordError` when it cannot be written."""
    folder = _folder(runs, night.source, night.target)
    before = last(runs, night.source, night.target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"it cannot be made: {error.strerror}", where=str(folder)) from error
    stamp = f"{_time(night):%Y%m%dT%H%M%S.%fZ}"
    write_file(folder / f"{stamp}.csv", as_csv(night).encode())
    write_file(folder / f"{stamp}.html", as_html(night, before).encode())
    return write_document(folder, stamp, night.to_dict())


def last(runs: Path, source: str, target: str) -> Night | None:
    """The latest night that was kept of these two frames. Raises `RecordError` for a file that is not one."""
    kept = sorted(_folder(runs, source, target).glob("*.json"))
    if not kept:
        return None
    try:
        return Night.from_dict(json.loads(kept[-1].read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"this is not what a night of checks left: {error}",
            where=str(kept[-1]),
            next_step="Move it away and repeat the command.",
        ) from error


def changes(before: Night | None, now: Night) -> tuple[Changed, ...]:
    """Every verdict that is another one, in the order of now, what is gone at the end; nothing where there is no night before."""
    if before is None:
        return ()
    old, new = _verdicts(before), _verdicts(now)
    keys = [*new, *(key for key in old if key not in new)]
    return tuple(Changed(*key, old.get(key), new.get(key)) for key in keys if old.get(key) is not new.get(key))


def _verdicts(night: Night) -> dict[tuple[str, str, str], Verdict]:
    """By partition, check and what it is about."""
    found: dict[tuple[str, str, str], Verdict] = {}
    for one in night.partitions:
        found |= {(one.partition, each.key, each.about): each.verdict for each in one.findings}
    return found


def as_csv(night: Night) -> str:
    """A row for each finding; facts and commands are joined with semicolons."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(HEAD)
    for one in night.partitions:
        for found in one.findings:
            facts = "; ".join(f"{name}: {value}" for name, value in found.facts.items())
            rows.writerow(
                [
                    *(one.partition, one.state, one.answer.value, _shown(found), found.key, found.about, facts),
                    *(found.remedy, found.who, found.code, "; ".join(found.asked)),
                ]
            )
    return out.getvalue()


def _shown(found: Finding) -> str:
    return "only the firmware can tell" if found.only_firmware else found.verdict.value


def as_html(night: Night, before: Night | None) -> str:
    """A page of its own: the table of partitions, what changed since ``before``, and whatever is not as it should be with its remedy."""
    environment = Environment(loader=PackageLoader("lpmkit"), autoescape=select_autoescape(default=True))
    return environment.get_template("nightly.html.j2").render(
        title=f"Could they move? {night.source} to {night.target}, {_time(night):%Y-%m-%d %H:%M} UTC",
        overview=overview(night),
        since=None if before is None else f"{_time(before):%Y-%m-%d %H:%M} UTC",
        changes=changes_as_rows(changes(before, night)),
        trouble=[
            (one.partition, _shown(found), found)
            for one in night.partitions
            for found in one.findings
            if found.verdict is not Verdict.PASS and not found.only_firmware
        ],
        alone=sorted({found.title for one in night.partitions for found in one.findings if found.only_firmware}),
    )


def overview(night: Night) -> list[dict[str, Any]]:
    """A row for each partition."""
    return [
        {
            "partition": one.partition,
            "state": one.state,
            "answer": one.answer.value,
            **{verdict.value: one.count(verdict) for verdict in Verdict},
            "what": "; ".join(dict.fromkeys(each.title for each in one.findings if each.verdict is Verdict.FAIL)),
        }
        for one in night.partitions
    ]


def changes_as_rows(found: Sequence[Changed]) -> list[dict[str, str]]:
    """What changed, as words."""
    return [
        {
            "partition": one.partition,
            "check": one.check,
            "about": one.about,
            "before": one.before.value if one.before else "not asked",
            "now": one.now.value if one.now else "not asked",
        }
        for one in found
    ]


def _folder(runs: Path, source: str, target: str) -> Path:
    return runs / FOLDER / f"{quote(source, safe='')}-to-{quote(target, safe='')}"


def _time(night: Night) -> datetime:
    return datetime.fromtimestamp(night.wall_ns / 1e9, tz=UTC)
