"""Checks of cluster software in the partition: the suspension must be shorter than the other members' time-outs."""

from __future__ import annotations

from lpmkit.checks.judging import Fact, NotApplicable, NotKnown, RuleResult, Verdict, moving_of, need
from lpmkit.control.clusters import cluster_kinds
from lpmkit.inventory import OperatingSystem
from lpmkit.survey.model import Survey

#: A time-out should be at least this multiple of the 90th percentile of the predicted suspension.
MARGIN = 2.0


def cluster_patience(survey: Survey) -> RuleResult:
    """Hold time-outs against the suspension's 90th percentile.

    One that was read can fail; a vendor's default only warns.
    """
    moving_of(survey)
    system = survey.operating_system
    if system is OperatingSystem.IBM_I:
        raise NotApplicable(
            survey.partition, "no cluster software of IBM i is known to lpmkit: ask its administrator for PowerHA"
        )
    if survey.guest is None and system is OperatingSystem.LINUX:
        raise NotKnown(
            survey.partition,
            f"its cluster software is read over a login, and nobody was logged in to this {system} partition",
            "Name a login for it in the site file; or ask its administrator whether it is a node of a cluster, and "
            "compare the time-out with the expected suspension.",
        )
    guest = need(survey.guest, survey, "partition", survey.partition)
    members = need(guest.clusters, survey, "clusters", survey.partition)
    if not members:
        return RuleResult(Verdict.PASS, survey.partition, {"cluster software": "none runs"})
    expected = survey.expected_suspension_s
    if expected is None:
        raise NotKnown(survey.partition, f"{members[0].kind} runs, and {survey.why_no_suspension}")
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
