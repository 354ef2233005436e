"""The summary that is shown before the name of the partition is asked for: what is about to be done, and what it rests
on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lpmkit.analysis.limits import limits_of
from lpmkit.board.wording import of_day
from lpmkit.checks.wording import count_rows
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.prediction.moves import Prediction
from lpmkit.runs.approvals import Approval
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import change_of, remarks
from lpmkit.wording.titles import check_title
from lpmkit.wording.words import Words, words_of

#: A row of the summary: name and text.
Row = tuple[str, str]


def move_summary(run: Run, approvals: Sequence[Approval] = (), words: Words | None = None) -> tuple[Row, ...]:
    """The effects of a move of this run, to be confirmed: partition, way, validation, warnings that are accepted with
    it, expectation, back-out, approvals, change. In English unless there are ``words``.
    """
    words = words or words_of("en")
    return tuple((words.said(name), words.said(text)) for name, text in _rows(run, approvals, words))


def _rows(run: Run, approvals: Sequence[Approval], words: Words) -> Iterator[Row]:
    order = run.manifest["order"]
    survey = run.document("survey")
    yield "move", _what(order["partition"], survey)
    machine = f" ({order['target_machine']})" if order.get("target_machine") else ""
    yield "from → to", f"{order['source']} → {order['target']}{machine}"
    validation = run.document("validation")
    if isinstance(validation, dict):
        word = "passed" if validation.get("passed") else "failed"
        yield "validation", f"{word} at {of_day(int(validation.get('wall_ns') or 0))} UTC"
    yield from _checks(run, validation, words)
    yield "expected", _expected(run.document("prediction"))
    limits, _ = limits_of(run.manifest)
    yield from ((f"limit of {name}" if "above" in text else name, text) for name, text in limits.rows())
    yield "back-out", "Stop until the switch-over; afterwards a move home."
    if approvals:
        yield "approved by", ", ".join(one.by for one in approvals)
    told, _ = remarks(run.path)
    change = change_of(told)
    if change:
        yield "change", ", ".join(f"{name} {value}" for name, value in change.items() if value)


def _what(partition: str, survey: Any) -> str:
    """The partition with its system, memory and the SAP systems in it, as the survey has them."""
    if not isinstance(survey, dict):
        return f"{partition} (no survey yet)"
    mine: JsonMapping = next(
        (one for one in (survey.get("source") or {}).get("partitions") or () if one.get("name") == partition), {}
    )
    memory = mine.get("memory_mb")
    sap: list[JsonObject] = survey.get("sap") or []
    facts = [
        " ".join(str(mine.get("os_version") or "").split()[:2]),
        f"{memory / 1024:g} GB" if isinstance(memory, int | float) else "",
        *(f"SAP {one['system']}" for one in sap if one.get("system")),
    ]
    known = ", ".join(filter(None, facts))
    return f"{partition} ({known})" if known else partition


def _checks(run: Run, validation: Any, words: Words) -> Iterator[Row]:
    found = run.document("findings")
    rows = found.get("findings") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        yield "checks", "not done yet; they are done before the move"
        return
    passed = validation.get("passed") if isinstance(validation, dict) else None
    yield "checks", count_rows(rows).words(passed)
    warned = [check_title(words, row) for row in rows if row.get("verdict") == "warn"]
    if warned:
        yield "accepted, not met", "; ".join(dict.fromkeys(warned))
    failed = [check_title(words, row) for row in rows if row.get("verdict") == "fail"]
    if failed:
        yield "failed checks", "; ".join(dict.fromkeys(failed))


def _expected(prediction: Any) -> str:
    before = prediction.get("before") if isinstance(prediction, dict) else None
    if not isinstance(before, dict):
        return "not worked out: no survey yet"
    return Prediction.from_data(before).ranges()


#: The effect of each other request, in a sentence.
REQUESTS = {
    "stop": "Stops the migration on the source. The partition stays there.",
    "recover": "Recovers the migration: it rolls back, or completes where it is past the point of no return.",
    "force": "Recovers despite errors. It is the last resort: check first that the target does not run the partition.",
}
