"""A write-up's tables for a spreadsheet: figures as numbers in seconds, rounded outwards, and the inventory of both
ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from lpmkit.analysis import Interval
from lpmkit.analysis.limits import limits_of
from lpmkit.json_values import JsonObject
from lpmkit.limits import PREDICTED_FIGURES
from lpmkit.report.facts import findings_of, predicted_figures, shown
from lpmkit.report.writeup.document import Document, Table
from lpmkit.report.writeup.inputs import WriteUpInputs, state_word
from lpmkit.survey.gather import GatheredSystem
from lpmkit.survey.listing import tables
from lpmkit.survey.model import Survey
from lpmkit.timeline import outwards
from lpmkit.wording.titles import check_title, question_title, who_text

Rows = list[JsonObject]


def sheets(source: WriteUpInputs, document: Document) -> dict[str, Rows]:
    """The sheets of a write-up: questions, checks, measurements, timeline, inventory."""
    words = source.words
    found: dict[str, Rows] = {
        words("section.questions"): list(_questions(source)),
        words("section.measurements"): list(_measurements(source)),
    }
    if predicted := list(_predicted(source)):
        found[words("section.predicted")] = predicted
    if source.is_move:
        found[words("section.checks")] = list(_checks(source))
    timeline = next((section for section in document.sections if section.key == "timeline"), None)
    for block in timeline.blocks if timeline else ():
        if isinstance(block, Table):
            name = block.caption.rstrip(".") or words("section.timeline")
            found[name] = [dict(zip(block.head, row, strict=False)) for row in block.rows]
    return {**found, **_inventory(source.surveys[0])}


def _questions(source: WriteUpInputs) -> Iterator[JsonObject]:
    words = source.words
    for one in source.analysis.verdict.questions:
        yield {
            words("head.question"): question_title(words, one.key, one.title),
            words("head.state"): state_word(words, one.state.value),
            words("head.answer"): words.said(one.answer),
            words("head.facts"): words.said(one.why),
        }


def _checks(source: WriteUpInputs) -> Iterator[JsonObject]:
    words = source.words
    for one in findings_of(source.run):
        facts = one.get("facts")
        texts = [f"{name}: {shown(value)}" for name, value in facts.items()] if isinstance(facts, dict) else []
        yield {
            words("head.state"): state_word(words, str(one.get("verdict"))),
            words("head.check"): check_title(words, one),
            words("head.about"): str(one.get("about") or ""),
            words("head.facts"): "; ".join(texts),
            words("head.remedy"): str(one.get("remedy") or ""),
            words("head.who"): who_text(words, one),
        }


def _measurements(source: WriteUpInputs) -> Iterator[JsonObject]:
    """Every figure with its bounds in seconds."""
    words, analysis = source.words, source.analysis

    def row(what: str, host: str, probe: str, bounds: Interval) -> JsonObject:
        low, high = outwards(bounds.lo_ns, bounds.hi_ns)
        head = (words("head.what"), words("head.about"), words("head.witness"))
        return {
            **dict(zip(head, (what, host, probe), strict=True)),
            words("head.low_s"): low,
            words("head.high_s"): high,
        }

    for host in analysis.hosts:
        for still in host.suspensions:
            everybody = words("measure.agreed", host=host.host)
            yield row(words("figure.suspended.name"), host.host, everybody, still.length)
            yield row(words("measure.likely"), host.host, everybody, still.likely)
            for witness in still.witnesses:
                yield row(words("figure.suspended.name"), host.host, witness.probe, witness.length)
        for session in host.sessions:
            yield row(words("figure.session.name"), host.host, session.probe, session.bounds)
        for slow in host.brown_outs:
            yield row(words("measure.brown_out"), host.host, slow.probe, slow.lasted)
        for outage in host.outages:
            kind = outage.kind.value if outage.kind else "undecided"
            yield row(words.or_as_it_came(f"kind.{kind}", kind), host.host, outage.probe, outage.length)
    if analysis.move_bounds is not None:
        yield row(words("figure.move.name"), source.partition, "", analysis.move_bounds)


def _predicted(source: WriteUpInputs) -> Iterator[JsonObject]:
    """The figures predicted before the move, with the limit and the outcome; seconds."""
    words = source.words
    limits, _ = limits_of(source.run.manifest)
    quantities = {figure: quantity for quantity, figure in PREDICTED_FIGURES.items()}
    for one in predicted_figures(source.run, source.analysis):
        limit = limits.of(quantities[one.figure]) if one.figure in quantities else None
        yield {
            words("head.what"): words(f"predicted.{one.figure}"),
            "P10 (s)": round(one.predicted.p10, 3),
            "P50 (s)": round(one.predicted.p50, 3),
            "P90 (s)": round(one.predicted.p90, 3),
            words("head.warn_s"): limit.warn if limit else None,
            words("head.fail_s"): limit.fail if limit else None,
            words("head.low_s"): None if one.low_s is None else outwards(round(one.low_s * 1e9), 0)[0],
            words("head.high_s"): None if one.high_s is None else outwards(0, round(one.high_s * 1e9))[1],
            words("head.about"): words.said(one.of),
        }


def _inventory(survey: Any) -> dict[str, Rows]:
    """The tables of both ends, as the survey before the move read them; none where it cannot be read as one."""
    if not isinstance(survey, dict):
        return {}
    try:
        read = Survey.from_dict(survey)
    except (ValidationError, TypeError, ValueError):
        return {}
    ends = [GatheredSystem(side, ()) for side in (read.source, read.target)]
    found = tables(ends)
    found["gaps"] = [{"not read": gap.what, "of": gap.where, "why": gap.why} for gap in read.gaps]
    return dict(found)
