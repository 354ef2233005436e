"""Accounts that refused our credentials in a run, from its survey and events, for later logons of that run."""

from __future__ import annotations

from collections.abc import Mapping

from lpmkit.runs.folder import Run


def refused_accounts(run: Run) -> dict[str, str]:
    """Every account that refused a logon, with the answer; none from a survey or event in an unknown form."""
    accounts: dict[str, str] = {}
    for name in ("survey", "survey-after"):
        document = run.document(name)
        for part in ("sap", "databases"):
            rows = document.get(part) if isinstance(document, dict) else None
            for row in rows if isinstance(rows, list) else ():
                _add(accounts, row.get("refused") if isinstance(row, dict) else None)
    for event in run.events():
        if event.kind == "probe-trouble":
            _add(accounts, event.data.get("refused"))
    return accounts


def _add(accounts: dict[str, str], refused: object) -> None:
    if isinstance(refused, Mapping):
        accounts.update({str(account): str(answered) for account, answered in refused.items()})
