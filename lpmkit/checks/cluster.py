"""Checks of cluster software in the partition: a suspension must be shorter than what the other members wait for a silent one."""

from __future__ import annotations

from lpmkit.checks.judging import Fact, NotKnown, RuleResult, Verdict, need
from lpmkit.control.clusters import cluster_kinds
from lpmkit.survey.model import Survey

#: The suspension may be this many times as long as is expected in nine of ten moves before a timer runs out.
MARGIN = 2.0


def cluster_patience(survey: Survey) -> RuleResult:
    """Timers against the suspension's P90. A timer that was read decides; a vendor's default only warns."""
    guest = need(survey.guest, survey, "partition", survey.partition)
    members = need(guest.clusters, survey, "clusters", survey.partition)
    if not members:
        return RuleResult(Verdict.PASS, survey.partition, {"cluster software": "none runs"})
    expected = survey.expected_suspension_s
    if expected is None:
        raise NotKnown(
            survey.partition, f"{members[0].kind} runs, and nobody could say how long the suspension will be"
        )
    facts: dict[str, Fact] = {"suspension, P90 s": round(expected, 2)}
    remedies: list[str] = []
    worst = Verdict.PASS
    for member in members:
        kind = cluster_kinds()[member.kind]
        limit = kind.default_s if member.tolerates_s is None else member.tolerates_s
        facts[f"{member.kind} waits s"] = (
            f"{limit:g}" if member.tolerates_s is not None else f"{limit:g} (the vendor's default, not read)"
        )
        if expected >= limit and member.tolerates_s is not None:
            worst = Verdict.FAIL
        elif worst is Verdict.PASS and (member.tolerates_s is None or expected * MARGIN > limit):
            worst = Verdict.WARN
        remedies.append(kind.remedy)
    return RuleResult(worst, survey.partition, facts, "" if worst is Verdict.PASS else "; ".join(remedies))
