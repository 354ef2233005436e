"""The verdict in one line, in any language: what became of the move, where the partition is, the next command, and what
failed or is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lpmkit.analysis.model import Interval, RunVerdict, Suspension
from lpmkit.analysis.outcome import HEADS, MoveOutcome, OutcomeKind
from lpmkit.rules.question import AnswerState, Question
from lpmkit.timeline import outwards
from lpmkit.wording.titles import question_title
from lpmkit.wording.words import ENGLISH, Words

PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED


def seconds(span: Interval) -> str:
    """A duration's bounds as text, rounded outwards to milliseconds.

    >>> seconds(Interval(1_532_400_000, 1_547_100_000))
    '1.532 s … 1.548 s'
    """
    low, high = outwards(span.lo_ns, span.hi_ns)
    return f"{low:.3f} s … {high:.3f} s"


def headline(verdict: RunVerdict, still: Suspension | None, words: Words = ENGLISH) -> str:
    """The verdict in one line. ``still`` is the suspension that counts, if there is one."""
    outcome, said = verdict.outcome, words.said
    if outcome is None:
        begin = said(verdict.question("outages").answer)
    else:
        begin = ". ".join(_of_the_move(outcome, still, words))
        if outcome.kind is OutcomeKind.NOT_ASKED and verdict.state is OPEN:
            return f"{begin}."
    if verdict.state is PASSED:
        warned = _reasons([one for one in verdict.questions if one.warns], still, words)
        warning = f" {words('state.warn').capitalize()}: {warned}." if warned else ""
        return f"{begin}. {said(counted(verdict.questions))}{warning}"
    because = [one for one in verdict.questions if one.counts and one.state is verdict.state]
    texts = _reasons([one for one in because if one.key not in ("moved", "outages")], still, words)
    return f"{begin}. {words(f'state.{verdict.state}').capitalize()}: {texts}." if texts else f"{begin}."


def _of_the_move(outcome: MoveOutcome, still: Suspension | None, words: Words) -> Iterator[str]:
    """Sentences on what became of the move, without their full stops."""
    head = words.said(HEADS[outcome.kind])
    if still is not None:
        head += f", {words.said(f'suspended {seconds(still.length)}')}"
    elif outcome.state is not FAILED and outcome.kind is not OutcomeKind.NOT_ASKED:
        head += f", {words.said('no suspension found')}"  # where it stayed there was nothing to suspend it for
    yield head
    if outcome.state is PASSED:
        return
    yield from (_as_sentence(words.said(text), outcome) for text in outcome.sentences)
    if outcome.next_command:
        yield f"{words.said('Next step')}: {outcome.next_command}"


def _as_sentence(text: str, outcome: MoveOutcome) -> str:
    """A text with a capital, unless it begins with the name of a partition or a frame, as the place does."""
    is_name = bool(outcome.place) and text.split(" ", maxsplit=1)[0] == outcome.place.split(" ")[0]
    return text if is_name and not outcome.place.startswith("where ") else text[:1].upper() + text[1:]


# --- reasons --------------------------------------------------------------------------------------------------------


#: The subject of a question whose title states that all is well: "within its limit" is no name of what is not.
_SUBJECTS = {
    "session": "SSH sessions",
    "restarted": "boot time",
    "error-log": "error logs",
    "complete": "observation",
    "validation": "validation",
    "suspended": "suspension",
    "identity": "identity and mapping",
    "window": "change window",
    "time-outs": "time-outs",
    "limit-session-outage": "session outage",
    "limit-brown-out": "brown-out",
}
_SUBJECTS_BY_SYSTEM = {
    "sap-ni-": "connections to the dispatcher",
    "sap-processes-": "processes",
    "sap-work-processes-": "work processes",
    "sap-users-": "users",
    "sap-dumps-": "short dumps",
    "sap-updates-": "updates",
    "sap-enqueue-": "enqueue",
    "sap-queues-": "dispatcher queues",
    "sap-licence-": "licence",
    "sap-host-": "lsconf",
    "sap-servers-": "other instances",
    "sap-rfc-": "RFC session",
    "oracle-restart-": "Oracle restart",
    "oracle-session-": "Oracle session",
    "oracle-population-": "other Oracle sessions",
    "oracle-alert-": "alert log",
    "oracle-around-": "standby, disk groups and instances",
    "oracle-logon-": "Oracle logons",
    "oracle-commit-": "commits",
    "limit-job-delay-": "delay of SAP jobs",
    "limit-commit-stall-": "commit stall",
    "sap-jobs-": "jobs",
    "sap-log-": "system log and dumps",
}


def subject(question: Question) -> str:
    """The subject of a question, for a sentence, where its title states what is well; empty for any other.

    >>> subject(Question("limit-job-delay-BX5", "BX5: jobs delayed within the limit?", FAILED, ""))
    'BX5: delay of SAP jobs'
    """
    for start, name in _SUBJECTS_BY_SYSTEM.items():
        if question.key.startswith(start):
            return f"{question.key.removeprefix(start)}: {name}"
    return _SUBJECTS.get(question.key, "")


def _named(question: Question, words: Words) -> str:
    """The subject of a question, within a sentence."""
    if about := subject(question):
        return words.said(about)
    title = question_title(words, question.key, question.title).rstrip("?")
    return _within_a_sentence(title) if words.language == "en" else title


def _reasons(because: Sequence[Question], still: Suspension | None, words: Words) -> str:
    return reasons((_named(one, words), words.said(beside_the_head(one, still))) for one in because)


#: The words after an answer that is withheld for what was not looked at (`lpmkit.analysis.coverage`).
_WITHHELD = "; but "


def beside_the_head(question: Question, still: Suspension | None) -> str:
    """The details of a question without the length of the suspension, which the sentence begins with; of an answer
    that is withheld the reason alone.

    >>> beside_the_head(Question("session", "SSH sessions kept?", OPEN, "open; but ssh-echo did not look"), None)
    'ssh-echo did not look'
    """
    if question.state is OPEN and _WITHHELD in question.details:
        return question.details.rpartition(_WITHHELD)[2]
    if still is None:
        return (
            question.details.removeprefix("no suspension found: ") if question.key == "suspended" else question.details
        )
    return question.details.removeprefix(f"{seconds(still.length)}, ").removeprefix(f"{seconds(still.length)}; ")


def reasons(answers: Iterable[tuple[str, str]]) -> str:
    """Pairs of title and answer as one text; an answer that several have is there once, behind all their titles.

    >>> reasons([("jobs", "no data."), ("dumps", "refused."), ("queues", "no data.")])
    'jobs, queues: no data; dumps: refused'
    """
    titles: dict[str, list[str]] = {}
    for title, answer in answers:
        titles.setdefault(answer.rstrip("."), []).append(title)
    return "; ".join(
        ": ".join(filter(None, (", ".join(filter(None, names)), answer))) for answer, names in titles.items()
    )


def counted(questions: Sequence[Question]) -> str:
    """The numbers of questions that passed, failed and were not evaluated, as a sentence.

    >>> counted([Question("moved", "Moved?", PASSED, ""), Question("ora", "Oracle?", OPEN, "", counts=False)])
    '1 question passed, none failed, 1 not evaluated.'
    """
    passed, failed, still_open = (sum(one.state is state for one in questions) for state in (PASSED, FAILED, OPEN))
    text = f"{passed} question{'s' * (passed != 1)} passed, {failed or 'none'} failed"
    return f"{text}, {still_open} not evaluated." if still_open else f"{text}."


def _within_a_sentence(title: str) -> str:
    """A question's title within a text; the name of a system before it stays as it is.

    >>> _within_a_sentence("BX5: jobs continued?"), _within_a_sentence("Moved?")
    ('BX5: jobs continued', 'moved')
    >>> _within_a_sentence("BX5: no update terminations (SM13)?"), _within_a_sentence("SSH sessions kept?")
    ('BX5: no update terminations (SM13)', 'SSH sessions kept')
    """
    system, colon, rest = title.rstrip("?").rpartition(": ")
    is_name = rest[:2].isupper() or rest.startswith("Oracle")
    return f"{system}{colon}{rest if is_name else rest[:1].lower() + rest[1:]}"
