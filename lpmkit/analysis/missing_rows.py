"""Rows that a recorder wrote and that are not in the folder any more.

When it ends, the recorder notes how many rows of every probe it wrote (``written`` of ``recorder-ended``). Where fewer
are there, somebody or a disk took them away. It is not known what they held, so no answer that rests on that probe
passes. Runs of earlier versions, and recorders that were killed, noted nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lpmkit.analysis.model import MissingRows
from lpmkit.analysis.record import Record
from lpmkit.json_values import JsonMapping
from lpmkit.rules.question import AnswerState, Question
from lpmkit.runs.folder import Run


def missing_rows(run: Run, record: Record) -> dict[str, MissingRows]:
    """The probes of which rows are missing."""
    present: Counter[str] = Counter()
    for source in (*(one for group in record.sources.values() for one in group), *record.observer):
        present[f"samples/{source.probe}.{source.segment}"] += source.rows
    for event in record.events:
        present[f"events/{event.source}.{event.segment}"] += 1
    present.update(run.observation_counts())
    missing: dict[str, MissingRows] = {}
    for event in record.events:
        written = event.data.get("written") if event.kind == "recorder-ended" else None
        for name, rows in written.items() if isinstance(written, Mapping) else ():
            if isinstance(rows, int) and present[name] < rows:
                probe = _probe(str(name))
                before = missing.get(probe, MissingRows(probe, 0, 0))
                missing[probe] = MissingRows(probe, before.missing + rows - present[name], before.written + rows)
    return missing


def _probe(name: str) -> str:
    """
    >>> _probe("samples/ssh-echo.1"), _probe("events/probe:sap-ni-BX5-00.2")
    ('ssh-echo', 'sap-ni-BX5-00')
    """
    return name.partition("/")[2].rpartition(".")[0].removeprefix("probe:")


def probes_of(manifest: JsonMapping, sid: str) -> tuple[str, ...]:
    """The probes that were ordered for a SAP system and its database.

    >>> probes_of({"probes": [{"name": "ora-sql-BX5", "options": {"sid": "BX5"}}, {"name": "sap-ni-BX5-00"}]}, "BX5")
    ('ora-sql-BX5', 'sap-ni-BX5-00')
    """
    names = []
    for order in manifest.get("probes") or ():
        name, options = str(order.get("name")), order.get("options") or {}
        if options.get("sid") == sid or name.startswith(f"sap-ni-{sid}-"):
            names.append(name)
    return tuple(names)


def as_far_as_kept(
    questions: Iterable[Question], probes: Iterable[str], missing: Mapping[str, MissingRows]
) -> tuple[Question, ...]:
    """The questions, where those that passed on these probes are not evaluated if rows of one are missing."""
    reasons = [str(missing[probe]) for probe in sorted(probes) if probe in missing]
    if not reasons:
        return tuple(questions)
    text = "; ".join(reasons)
    return tuple(
        replace(
            question,
            state=AnswerState.NOT_EVALUATED,
            details=f"{text}; in what is left: {question.answer}",
            reply=None,
        )
        if question.state is AnswerState.PASSED
        else question
        for question in questions
    )
