"""Plain output of a notebook: tables, pictures and sentences as HTML that stays in the saved copy."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from IPython.display import HTML

from lpmkit.checks import Finding
from lpmkit.checks.wording import causes_words, count_findings, facts_text
from lpmkit.control.codes import explain
from lpmkit.errors import UsageError
from lpmkit.json_values import JsonMapping
from lpmkit.plots.colours import SIGNS, sign_colour
from lpmkit.prediction.moves import Prediction
from lpmkit.runbook import Runbook, Validation, as_row
from lpmkit.runs.folder import Run
from lpmkit.wording.titles import check_title, remedy_text, who_text
from lpmkit.wording.words import ENGLISH, Words, words_of

#: Of findings that are shown without an order.
NO_ORDER: JsonMapping = {}
_CELL = "text-align:left;padding:1px 12px 1px 4px"


def escaped(value: object) -> str:
    """A value as text without markup."""
    return html.escape("" if value is None else str(value))


def table(rows: Sequence[Mapping[str, object]], caption: str = "", words: Words = ENGLISH) -> HTML:
    """Rows as an HTML table, its texts in the language of ``words``."""
    caption = words.said(caption)
    if not rows:
        return HTML(f"<p>{escaped(caption)}: {words('none')}.</p>")
    rows = [
        {words.said(name): words.said(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    head = "".join(f"<th style='{_CELL}' scope='col'>{escaped(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f"<td style='{_CELL};vertical-align:top'>{escaped(value)}</td>" for value in row.values())
        + "</tr>"
        for row in rows
    )
    return HTML(
        f"<table style='line-height:1.5'><caption style='text-align:left'>{escaped(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def picture(png: bytes, description: str) -> HTML:
    """A picture with its description for screen readers."""
    data = b64encode(png).decode()
    return HTML(f"<img style='max-width:100%' alt='{escaped(description)}' src='data:image/png;base64,{data}'>")


def findings_table(
    findings: Sequence[Finding],
    validated: bool | None = None,
    words: Words = ENGLISH,
    order: JsonMapping = NO_ORDER,
) -> HTML:
    """All checks by exception: the counts, what needs attention with facts, remedy and owner, and the rest folded.

    ``findings`` are all findings of a survey; the counts are those of every other place. ``validated`` is the manager's
    answer, ``None`` before it. Remedies have the names of the ``order``.
    """
    rank = ["fail", "unknown", "warn"]
    urgent = [one for one in findings if one.verdict.value in rank and not one.only_firmware]
    rows = [
        _finding_row(one, words, order) for one in sorted(urgent, key=lambda finding: rank.index(finding.verdict.value))
    ]
    table_of = _findings_rows(rows, words) if rows else ""
    folds = (
        ("validated" if validated else "left to the validation", [one for one in findings if one.only_firmware]),
        ("passed", [one for one in findings if one.verdict.value == "pass"]),
        ("not applicable", [one for one in findings if one.verdict.value == "not applicable"]),
    )
    counts = f"{words.said('Checks')}: {words.said(count_findings(findings).words(validated))}"
    return HTML(f"<p><b>{counts}</b></p>{table_of}" + "".join(_folded(name, members, words) for name, members in folds))


def _findings_rows(rows: Sequence[str], words: Words) -> str:
    head = "".join(
        f"<th style='text-align:left'>{words.said(name)}</th>"
        for name in ("verdict", "check, as it should be", "facts", "remedy, owner")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def causes_table(causes: Sequence[Finding], words: Words = ENGLISH, order: JsonMapping = NO_ORDER) -> HTML:
    """The findings of lpmkit's own checks against an order that the manager refused, with remedies; or that there are
    none.
    """
    heading = words.said(causes_words(causes))
    rows = [_finding_row(one, words, order) for one in causes]
    return HTML(f"<p><b>{escaped(heading)}</b></p>" + (_findings_rows(rows, words) if rows else ""))


def _finding_row(one: Finding, words: Words, order: JsonMapping) -> str:
    sign, word, _ = SIGNS[one.verdict.value]
    row = as_row(one)
    about = f" ({escaped(one.about)})" if one.about else ""
    owner = f" <i>({escaped(who_text(words, row))})</i>" if one.who else ""
    remedy = escaped(remedy_text(words, row, order))
    facts = escaped(words.said(facts_text(one.facts)))
    cells = (f"{escaped(check_title(words, row))}{about}", facts, remedy + owner)
    style = f"white-space:nowrap;color:{sign_colour(one.verdict.value)};font-weight:600;text-align:left"
    return (
        f"<tr><td style='{style}'>{sign} {words.said(word)}</td>"
        + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _folded(name: str, findings: Sequence[Finding], words: Words) -> str:
    """Findings without anything to do, behind one line."""
    if not findings:
        return ""
    items = []
    for one in findings:
        about = f" ({escaped(one.about)})" if one.about else ""
        facts = escaped(words.said(facts_text(one.facts)))
        items.append(f"<li>{escaped(check_title(words, as_row(one)))}{about}: {facts}</li>")
    return f"<details><summary>{words.said(f'{len(findings)} {name}')}</summary><ul>{''.join(items)}</ul></details>"


def validation_text(validation: Validation, words: Words = ENGLISH) -> HTML:
    """The result of the validation, with its time, and the manager's message."""
    at = f"{datetime.fromtimestamp(validation.wall_ns / 1e9, tz=UTC):%H:%M:%S} UTC"
    if validation.passed:
        text = f" <code>{escaped(validation.text)}</code>" if validation.text else ""
        return HTML(f"<p>✓ {words.said(f'Validation passed at {at}')}.{text}</p>")
    if validation.status is None:
        silent = words.said(f"Not validated at {at}: the manager gave no answer")
        return HTML(f"<p>✗ <b>{silent}.</b> {escaped(validation.text)}</p>")
    meanings = "".join(
        f"<li>{escaped(words('checks.explained', text=code.sentences(), code=code.code))}</li>"
        for code in explain(validation.text)
    )
    refused = words.said(f"Validation failed at {at}: the manager refuses the move")
    return HTML(
        f"<p>✗ <b>{refused}</b> ({words.said(f'status {validation.status}')}):</p>"
        f"<pre>{escaped(validation.text or words.said('no message'))}</pre>"
        + (f"<ul>{meanings}</ul>" if meanings else "")
    )


def expectation_text(book: Runbook, run: Run) -> HTML:
    """The expected duration of copy and suspension, from the survey and the site's past moves; or why there is none."""
    expected, words = book.predict(run), words_of(book.site.language)
    text = f"Expected: {expected.sentence()}." if isinstance(expected, Prediction) else expected.sentence()
    return HTML(f"<p>{escaped(words.said(text))}</p>")


def mapping_table(run: Run, words: Words = ENGLISH) -> HTML:
    """The mapping of adapters and disks before and after the move, from the survey in the folder."""
    from lpmkit.mapping.compare import as_row as mapping_row  # noqa: PLC0415 - a notebook may do without
    from lpmkit.mapping.compare import compare_mapping  # noqa: PLC0415
    from lpmkit.survey.model import Survey  # noqa: PLC0415

    survey = run.document("survey")
    if survey is None:
        raise UsageError("there is no survey yet", where=run.name, next_step="Survey and check first.")
    record = run.manifest["order"]["mapping"] or None
    rows = [mapping_row(line) for line in compare_mapping(Survey.from_dict(survey), record)]
    return table(rows, "mapping", words)
