"""Analyse a run: the suspension of the watched host, the outages of its sessions, other gaps and their causes.

`analyse` needs the folder only. It never changes it; `write_summary` writes ``summary.json``. How the suspend time is
worked out is in ``docs/suspend-time.md``; in short: facts ("it ran at t") give guaranteed bounds, missing signs of life
an inner edge that is likely, and neither is passed off as the other.

    analysis = analyse(Run(path))
    analysis.suspension.length     # Interval, nanoseconds, or no suspension at all
    analysis.verdict.sentence
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpmkit.analysis.chunks import host_analysis
from lpmkit.analysis.coverage import coverage
from lpmkit.analysis.headline import headline, seconds
from lpmkit.analysis.limits import limit_questions, limits_of, time_out_question, window_question
from lpmkit.analysis.missing_rows import as_far_as_kept, missing_rows, probes_of
from lpmkit.analysis.model import (
    Analysis,
    BrownOut,
    ClockRate,
    ClockReading,
    ClockStep,
    HostAnalysis,
    Interval,
    Noise,
    Outage,
    OutageKind,
    PhaseSpan,
    RunVerdict,
    SessionOutage,
    Suspension,
    Trace,
    by_certainty,
)
from lpmkit.analysis.noise import alarms_an_hour
from lpmkit.analysis.oracle import databases
from lpmkit.analysis.oracle_model import DatabaseAnalysis
from lpmkit.analysis.record import Record, read
from lpmkit.analysis.sap import questions_of_sap, sap_outcomes
from lpmkit.analysis.summary import summary, utc
from lpmkit.analysis.verdict import (
    STAYED,
    Evidence,
    identity_of,
    in_utc,
    judge,
    same_boot,
)
from lpmkit.errors import RecordError
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question
from lpmkit.runs.folder import Run, write_document
from lpmkit.sap.judge import SapOutcome

_DOCUMENTS = ("findings", "validation", "survey", "survey-after", "changes", "logs-before")


def analyse(run: Run) -> Analysis:
    """Work out everything from a run folder, also while it is being written."""
    record = read(run)
    hosts = tuple(host_analysis(host, record) for host in dict.fromkeys(host for host, _ in record.sources))
    notes: list[str] = []
    documents = {name: _document(run, name, notes) for name in _DOCUMENTS}
    mode = str(run.manifest.get("mode", "watch"))
    missing = missing_rows(run, record)
    sap = tuple(
        replace(one, questions=as_far_as_kept(one.questions, probes_of(run.manifest, one.sid), missing))
        for one in sap_outcomes(run, record, hosts, documents, notes)
    )
    found = tuple(
        replace(one, questions=as_far_as_kept(one.questions, probes_of(run.manifest, one.sid), missing))
        for one in databases(run, record, hosts, mode)
    )
    asked = tuple(question for one in found for question in one.questions)
    looked = coverage(record, run.manifest, missing)
    unreadable = dict(run.unreadable)
    limited = tuple(_limited(run, record, hosts, sap, found, documents)) if mode == "move" else ()
    evidence = Evidence(
        mode,
        record,
        hosts,
        unreadable,
        documents,
        run.manifest,
        questions_of_sap(sap),
        asked,
        looked,
        limited,
        run.name,
    )
    return Analysis(
        name=run.name,
        mode=mode,
        record=record.span,
        window=record.window,
        hosts=hosts,
        stalls=record.stalls,
        monitor=record.monitor,
        holes=record.holes,
        phases=record.phases,
        readings=record.readings,
        verdict=judge(evidence),
        wall=record.wall,
        unreadable=dict(run.unreadable),
        notes=tuple(notes),
        sap=sap,
        databases=found,
        coverage=looked,
    )


def _limited(
    run: Run,
    record: Record,
    hosts: Sequence[HostAnalysis],
    sap: Sequence[SapOutcome],
    found: Sequence[DatabaseAnalysis],
    documents: JsonMapping,
) -> Iterator[Question]:
    """The questions about limits and time-outs."""
    limits, _ = limits_of(run.manifest)
    stills = [host.suspension for host in hosts if host.suspension is not None]
    still = max(stills, key=by_certainty, default=None)
    yield from limit_questions(limits, hosts, sap, found)
    if still is not None or not (record.phases and record.phases[-1].name in STAYED):
        yield from time_out_question(still.length if still else None, documents.get("survey"), found)
    yield from window_question(limits, record.phases, record.events, record.wall)


def write_summary(path: str | os.PathLike[str]) -> Path:
    """Analyse the run folder and write its ``summary.json``."""
    run = Run(path)
    return write_document(run.path, "summary", summary(analyse(run)))


def _document(run: Run, name: str, notes: list[str]) -> Any:
    try:
        return run.document(name)
    except RecordError as error:
        notes.append(str(error))
        return None


__all__ = [
    "Analysis",
    "AnswerState",
    "BrownOut",
    "ClockRate",
    "ClockReading",
    "ClockStep",
    "HostAnalysis",
    "Interval",
    "Noise",
    "Outage",
    "OutageKind",
    "PhaseSpan",
    "Question",
    "RunVerdict",
    "SessionOutage",
    "Suspension",
    "Trace",
    "alarms_an_hour",
    "analyse",
    "headline",
    "identity_of",
    "in_utc",
    "same_boot",
    "seconds",
    "summary",
    "utc",
    "write_summary",
]
