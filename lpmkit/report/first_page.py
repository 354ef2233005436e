"""The first page of the report, for a manager: five figures with bounds, who and when, deviations, back-out,
follow-ups.

The texts are those of the write-up, which is what gets signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from lpmkit.analysis import Analysis
from lpmkit.report.writeup.document import Facts, Figure, Section, Table, Text
from lpmkit.report.writeup.front import back_out, deviations, figures_of, follow_up, header
from lpmkit.report.writeup.inputs import WriteUpInputs, recorded_text
from lpmkit.runs.deliveries import undelivered
from lpmkit.runs.folder import Run
from lpmkit.wording.words import ENGLISH, Words


@dataclass(frozen=True, slots=True)
class Part:
    """A titled part: a table with its headings, or sentences."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The five figures, facts by name, and the parts below them."""

    figures: tuple[Figure, ...]
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def first_page(run: Run, analysis: Analysis, words: Words = ENGLISH) -> FirstPage:
    """The first page of a run's report."""
    source = WriteUpInputs(run, analysis, words)
    facts = [row for block in header(source).blocks if isinstance(block, Facts) for row in block.rows]
    facts.append((words("header.recorded"), recorded_text(source)))
    facts += [(words("report.not_delivered"), words.said(sink.sentence(run.name))) for sink in undelivered(run)]
    sections = [deviations(source), back_out(source), follow_up(source)]
    return FirstPage(tuple(figures_of(source)), tuple(facts), tuple(_part(one) for one in sections if one.blocks))


def _part(section: Section) -> Part:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return Part(
        section.title,
        tables[0].head if tables else (),
        tuple(row for table in tables for row in table.rows),
        tuple(block.text for block in section.blocks if isinstance(block, Text)),
    )
