"""Plain output of a notebook: tables, pictures and sentences as HTML that stays in the saved copy."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence

from IPython.display import HTML

from lpmkit.checks import Finding
from lpmkit.errors import UsageError
from lpmkit.runbook import Runbook, Validation
from lpmkit.runs.folder import Run

_SIGNS = {
    "pass": ("✓", "pass", "#1b7f4b"),
    "warn": ("!", "warn", "#9a6700"),
    "fail": ("✗", "FAIL", "#b42318"),
    "unknown": ("?", "unknown", "#6f42c1"),
    "not applicable": ("–", "not applicable", "#59636e"),
}


_CELL = "text-align:left;padding:1px 12px 1px 4px"


def escaped(value: object) -> str:
    """A value as text without markup."""
    return html.escape("" if value is None else str(value))


def table(rows: Sequence[Mapping[str, object]], caption: str = "") -> HTML:
    """Rows as an HTML table."""
    if not rows:
        return HTML(f"<p>{escaped(caption)}: none.</p>")
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


def findings_table(findings: Sequence[Finding]) -> HTML:
    """The checks with verdict, facts, remedy and owner; those that need attention first."""
    order = ["fail", "unknown", "warn", "pass", "not applicable"]
    rows = []
    for one in sorted(findings, key=lambda finding: order.index(finding.verdict.value)):
        sign, word, colour = _SIGNS[one.verdict.value]
        facts = ", ".join(f"{name}: {value}" for name, value in one.facts.items())
        about = f" ({escaped(one.about)})" if one.about else ""
        mend = (
            f"{escaped(one.remedy)} <i>({escaped(one.who)})</i>" if one.verdict.value != "pass" and one.remedy else ""
        )
        rows.append(
            f"<tr><td style='white-space:nowrap;color:{colour};font-weight:600;text-align:left'>{sign} {word}</td><td "
            f"style='text-align:left'>{escaped(one.title)}{about}</td>"
            f"<td style='text-align:left'>{escaped(facts)}</td><td style='text-align:left'>{mend}</td></tr>"
        )
    passed = sum(finding.verdict.value == "pass" for finding in findings)
    return HTML(
        f"<table><caption style='text-align:left'>{passed} of {len(findings)} checks pass</caption>"
        "<thead><tr><th style='text-align:left'>verdict</th>"
        "<th style='text-align:left'>check</th><th style='text-align:left'>facts</th><th "
        f"style='text-align:left'>remedy, owner</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def validation_text(validation: Validation) -> HTML:
    """The result of the validation and the manager's message."""
    if validation.passed:
        text = f" <code>{escaped(validation.text)}</code>" if validation.text else ""
        return HTML(f"<p>✓ Validation passed.{text}</p>")
    return HTML(
        f"<p>✗ <b>Validation failed: the manager refuses the move</b> (exit status {escaped(validation.status)}):</p>"
        f"<pre>{escaped(validation.text)}</pre>"
    )


def expectation_text(book: Runbook, run: Run) -> HTML:
    """The expected duration of copy and suspension, from the survey and the site's past moves."""
    prediction = book.predict(run)
    return HTML(
        f"<p>Expected: {escaped(prediction.sentence())}.</p>"
        if prediction
        else "<p>Run a survey first to get an estimate.</p>"
    )


def mapping_table(run: Run) -> HTML:
    """The mapping of adapters and disks before and after the move, from the survey in the folder."""
    from lpmkit.mapping.compare import as_row, compare_mapping  # noqa: PLC0415
    from lpmkit.survey.model import Survey  # noqa: PLC0415

    survey = run.document("survey")
    if survey is None:
        raise UsageError("there is no survey yet", where=run.name, next_step="Survey and check first.")
    record = run.manifest["order"]["mapping"] or None
    return table([as_row(line) for line in compare_mapping(Survey.from_dict(survey), record)], "mapping")
