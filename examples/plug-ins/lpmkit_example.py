"""One plug-in of each kind for lpmkit: a check, a probe, a sink and a hook."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lpmkit.checks.judging import RuleResult, Verdict
from lpmkit.runs.audit import Action, AuditRecord
from lpmkit.survey.model import Survey


def naming(survey: Survey) -> Iterator[RuleResult]:
    """A check: partitions of this site have names in lower case."""
    name = survey.partition
    verdict = Verdict.PASS if name == name.lower() else Verdict.WARN
    yield RuleResult(verdict, name, {"name": name}, title="Name in lower case")


class Load:
    """A probe: the load of the machine that lpmkit runs on, kept beside the record of a move."""

    def __init__(self, host: str, settings: Mapping[str, Any]) -> None:
        self.host, self.digits = host, int(settings.get("digits", 2))

    def look(self) -> list[dict[str, float]]:
        """One look, as JSON values."""
        return [{"load_1min": round(os.getloadavg()[0], self.digits)}]


class Journal:
    """A sink: sentences in a file. What it raises is the reason why a record was not delivered."""

    def __init__(self, name: str, settings: Mapping[str, Any], secret: str | None) -> None:
        self.path = Path(settings["path"])

    def wants(self, record: AuditRecord) -> bool:
        """Phases are too many for a journal."""
        return record.action is not Action.PHASE

    def deliver(self, record: AuditRecord, folder: Path) -> None:
        """Write one record; ``folder`` is the run's, to be read only."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{record.identity}: {record.text}\n")


def bell(record: AuditRecord, folder: Path) -> None:
    """A hook: leaves a file beside the runs when a move has ended."""
    if record.action is Action.ENDED:
        folder.with_suffix(".ended").touch()
