"""Checks of packages of the site (entry point ``lpmkit.checks``).

A plug-in is a function that takes a `lpmkit.survey.model.Survey` and returns results of its rule. Whatever goes wrong
in it is a finding of its own that is unknown: it ends no command, and it makes nothing pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from lpmkit.checks.judging import Finding, NotApplicable, NotKnown, RuleResult, Verdict
from lpmkit.installed.plugins import CHECKS, PluginFailed, load, named, plugins
from lpmkit.survey.model import Survey

#: Seconds that a plug-in has for one survey.
LIMIT_S = 20.0
OWNER = "owner of the plug-in"


def plugged_findings(survey: Survey, limit_s: float = LIMIT_S) -> tuple[Finding, ...]:
    """The findings of every plug-in about a survey."""
    found: list[Finding] = []
    for entry in plugins(CHECKS):
        key, title = f"plugin-{entry.name}", f"Plug-in {entry.name}"
        try:
            results = tuple(_results(load(entry), survey, limit_s))
        except NotApplicable as absent:
            results = (RuleResult(Verdict.NOT_APPLICABLE, absent.about, {"not applicable": absent.why}),)
        except NotKnown as missing:
            results = (RuleResult(Verdict.UNKNOWN, missing.about, {"not known": missing.why}, missing.remedy),)
        except Exception as error:  # noqa: BLE001 - code of others: it is named, and ends nothing here
            why = str(error) if isinstance(error, PluginFailed) else f"{type(error).__name__}: {error}"
            remedy = "Correct the package that brings the plug-in, or remove it."
            facts = {"plug-in": named(entry), "does not work": why}
            results = (RuleResult(Verdict.UNKNOWN, survey.partition, facts, remedy),)
        found += [
            Finding(key, each.title or title, each.verdict, each.about, each.facts, each.remedy, OWNER)
            for each in results
        ]
    return tuple(found)


def _results(rule: Callable[[Survey], Any], survey: Survey, limit_s: float) -> Iterator[RuleResult]:
    """The results of a rule, in a thread that is left behind where it takes too long."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(tuple(rule(survey)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again below, in the thread that waits
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    if not outcome:
        raise TimeoutError(f"it took longer than {limit_s:g} s")
    if isinstance(outcome[0], SystemExit):
        raise TypeError("it raised SystemExit")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    if not outcome[0]:
        raise ValueError("it returned no result; raise NotApplicable where there is nothing to judge")
    for result in outcome[0]:
        if not isinstance(result, RuleResult) or not isinstance(result.verdict, Verdict):
            raise TypeError(f"it returned {type(result).__name__}, not a RuleResult with a Verdict")
        yield result
