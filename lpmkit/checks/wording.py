"""Counts and facts of findings as people read them: the same numbers and words in every notebook, report and terminal.

A stored run has findings as rows, a survey that was just judged has them as values; both are counted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lpmkit.checks.judging import Finding, Verdict
from lpmkit.json_values import JsonMapping


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """The number of findings with each verdict. ``left``: unknown, and only the manager's validation can tell."""

    passed: int
    warned: int
    failed: int
    unknown: int
    left: int
    not_applicable: int

    @property
    def needs_attention(self) -> int:
        """Findings that somebody has to look at."""
        return self.warned + self.failed + self.unknown

    def words(self, validated: bool | None = None) -> str:
        """The counts as one line; ``validated`` is the manager's answer, ``None`` before it.

        >>> CheckCounts(48, 4, 0, 0, 6, 1).words(True)
        '48 pass, 4 warn, 0 fail, 6 validated'
        >>> CheckCounts(9, 0, 1, 2, 0, 0).words()
        '9 pass, 0 warn, 1 fail, 2 unknown'
        """
        parts = [f"{self.passed} pass", f"{self.warned} warn", f"{self.failed} fail"]
        parts += [f"{self.unknown} unknown"] if self.unknown else []
        if self.left:
            answer = {True: "validated", False: "left to the validation (failed)", None: "left to the validation"}
            parts.append(f"{self.left} {answer[validated]}")
        return ", ".join(parts)


def count(verdicts: Iterable[tuple[str, bool]]) -> CheckCounts:
    """Count pairs of verdict and "only the firmware can tell". A verdict that is not known here counts as unknown.

    >>> count([("pass", False), ("unknown", True), ("new", False)])
    CheckCounts(passed=1, warned=0, failed=0, unknown=1, left=1, not_applicable=0)
    """
    words = ["left" if word == "unknown" and only_firmware else word for word, only_firmware in verdicts]
    named = {word: words.count(word) for word in ("pass", "warn", "fail", "left", "not applicable")}
    unknown = len(words) - sum(named.values())
    return CheckCounts(named["pass"], named["warn"], named["fail"], unknown, named["left"], named["not applicable"])


def count_findings(findings: Iterable[Finding]) -> CheckCounts:
    """Count the findings of a survey."""
    return count((finding.verdict.value, finding.only_firmware) for finding in findings)


def count_rows(rows: Iterable[JsonMapping]) -> CheckCounts:
    """Count the findings of a stored run."""
    return count((str(row.get("verdict")), bool(row.get("only_firmware"))) for row in rows)


def causes_words(causes: Sequence[Finding]) -> str:
    """The heading over what the checks have against an order that the manager refused.

    >>> causes_words([])
    "The checks of lpmkit find no reason; the manager's message is all there is."
    """
    if not causes:
        return "The checks of lpmkit find no reason; the manager's message is all there is."
    failed = causes[0].verdict is Verdict.FAIL
    return "Failing checks:" if failed else "No check fails. Checks that could not tell:"


def facts_text(facts: Mapping[str, object]) -> str:
    """The facts of a finding as text: a fact without a value is left out, a truth is "yes" or "no".

    >>> facts_text({"name": "bxaix85", "listed there as id": None, "shared": True})
    'name: bxaix85, shared: yes'
    """
    return ", ".join(f"{name}: {fact_value(value)}" for name, value in facts.items() if value not in (None, "", [], {}))


def fact_value(value: object) -> str:
    """A value of a finding as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
