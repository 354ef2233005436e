"""The questions that apply to a system: an instance without ABAP has no work processes, and one without an enqueue
server no lock table.

The start service lists the features of every instance (``GetSystemInstanceList``, `SAPCONTROL-WSDL`). Where they are
not known, every question applies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lpmkit.rules.question import AnswerState, Question
from lpmkit.sap.judge.features import features
from lpmkit.sap.judge.values import Case
from lpmkit.sap.model import interface_of
from lpmkit.sap.observation import MissingReason

#: The feature that an instance needs for a question, by the word in the question's key.
NEEDED = {
    "ni": ("ABAP",),
    "work-processes": ("ABAP",),
    "jobs": ("ABAP",),
    "users": ("ABAP",),
    "log": ("ABAP",),
    "dumps": ("ABAP",),
    "updates": ("ABAP",),
    "queues": ("ABAP",),
    "rfc": ("ABAP",),
    "enqueue": ("ENQUE",),
}
#: The question behind each answer, whose last look says how long was looked.
ASKED = {
    "processes": "processes",
    "work-processes": "work_processes",
    "jobs": "jobs",
    "users": "users",
    "updates": "updates",
    "enqueue": "enqueue",
    "queues": "queues",
    "dumps": "dumps",
    "log": "system_log",
}
#: The time before the end of the observation at which the last look may lie, beside three intervals of the question:
#: the bound on requests holds questions back.
SLACK_S = 60.0


def watched_lanes(case: Case) -> Case:
    """The case without connections to instances that have no dispatcher."""
    known = features(case)
    lanes = [lane for lane in case.lanes if "ABAP" in known.get(lane.probe.rpartition("-")[2], frozenset(["ABAP"]))]
    return replace(case, lanes=lanes)


def as_it_applies(case: Case, questions: Sequence[Question]) -> Iterator[Question]:
    """Each question: not counting where no watched instance can answer it, open where it was not looked at until the
    end.
    """
    known = features(case)
    all_known = bool(known) and set(known) == set(case.instances)
    there = frozenset().union(*known.values()) if known else frozenset()
    for question in questions:
        name = question.key.removeprefix("sap-").removesuffix(f"-{case.sid}")
        needed = NEEDED.get(name)
        told = any(row.question == ASKED.get(name) and row.rows for row in case.observations)
        absent = bool(needed) and all_known and not there & set(needed or ()) and not told
        if needed and absent and question.state is not AnswerState.FAILED:
            instances = "; ".join(f"instance {number}: {', '.join(sorted(names))}" for number, names in known.items())
            text = f"does not apply: no watched instance has {' or '.join(needed)} ({instances})"
            yield replace(question, state=AnswerState.NOT_EVALUATED, details=text, counts=False, reply=None)
        else:
            yield _whole(case, _until_the_end(case, question, name), name)


def _until_the_end(case: Case, question: Question, name: str) -> Question:
    """The question, open where its last answer lies long before the end of the recording, or long before the end of all
    watching while it was refused meanwhile.
    """
    asked = ASKED.get(name)
    mine = [row for row in case.observations if row.question == asked]
    looks = [row.asked_ns for row in mine if row.rows is not None]
    if not looks or question.state is not AnswerState.PASSED:
        return question
    refused = [row for row in mine if row.rows is None and row.reason is not MissingReason.NOT_CONFIGURED]
    until_ns = max(looks) if case.until_ns is None else case.until_ns
    if any(row.asked_ns > max(looks) for row in refused):
        until_ns = max(until_ns, *(row.asked_ns for row in case.observations))
    missing_s = (until_ns - max(looks)) / 1e9
    if missing_s <= SLACK_S + 3 * case.every_s.get(asked or "", 0.0):
        return question
    why = f" ({refused[-1].trouble})" if refused and refused[-1].trouble else ""
    text = f"not observed in the last {missing_s:.0f} s{why}; until then: {question.answer}"
    return replace(question, state=AnswerState.NOT_EVALUATED, details=text, reply=None)


def _whole(case: Case, question: Question, name: str) -> Question:
    """The question, open where an instance is missing in the last answer before the suspension or the last after it."""
    if question.state is not AnswerState.PASSED or name == "log":  # the log has every reading looked at
        return question
    looks = [row for row in case.observations if row.question == ASKED.get(name) and row.rows is not None]
    early = [row for row in looks if row.answered_ns <= case.pause.begin_ns]
    late = [row for row in looks if row.asked_ns >= case.pause.end_ns]
    told = (*early[-1:], *late[-1:])
    lacking = next((row.trouble for row in told if row.trouble), "")
    dialog = sorted(number for number, names in features(case, surely=True).items() if "ABAP" in names)
    if name == "users" and len(dialog) > 1 and any(interface_of(row.way) in ("rfc", "soap_rfc") for row in told):
        lacking = lacking or f"function modules list the sessions of one server, and {' and '.join(dialog)} are watched"
    if not lacking:
        return question
    text = f"not all was looked at: {lacking}"
    return replace(question, state=AnswerState.NOT_EVALUATED, details=text, reply=None)
