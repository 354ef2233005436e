"""The accounts that refused our credentials in a run, as its survey and its events keep them, for whatever logs on
next in that run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmkit.runs.folder import Run


def refused_accounts(run: Run) -> dict[str, str]:
    """Every account that refused us, with the answer. A survey or an event in another form tells of none."""
    found: dict[str, str] = {}
    for name in ("survey", "survey-after"):
        document = run.document(name)
        rows = document.get("sap") if isinstance(document, dict) else None
        for row in rows if isinstance(rows, list) else ():
            _add(found, row.get("refused") if isinstance(row, dict) else None)
    for event in run.events():
        if event.kind == "probe-trouble":
            _add(found, event.data.get("refused"))
    return found


def _add(found: dict[str, str], refused: Any) -> None:
    if isinstance(refused, Mapping):
        found.update({str(account): str(answered) for account, answered in refused.items()})
