"""The questions that a change record asks, and the run's answer to each. Missing data never passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lpmkit.analysis.coverage import withheld
from lpmkit.analysis.error_logs import error_log_question
from lpmkit.analysis.headline import headline, seconds
from lpmkit.analysis.limits import STATES, Measured, against, limits_of
from lpmkit.analysis.model import Coverage, HostAnalysis, OutageKind, RunVerdict, Suspension, by_certainty
from lpmkit.analysis.noise import MIN_SILENCE_NS
from lpmkit.analysis.outcome import MoveOutcome, OutcomeKind, outcome_of
from lpmkit.analysis.record import Record
from lpmkit.json_values import JsonMapping, JsonObject
from lpmkit.limits import LimitState
from lpmkit.rules.question import AnswerState, Question, ReplyWord
from lpmkit.timeline import TroubleCode, outwards, trouble_code

#: Boot times are worked out from commands that print whole minutes.
BOOT_TIME_RESOLUTION = timedelta(seconds=120)
#: Last phases of a move whose partition is where it was: stopped, refused or rolled back.
STAYED = ("failed", "stopped")
#: The keys of findings about predicted figures begin so.
PREDICTED = "limit-"
PASSED, FAILED, OPEN = AnswerState.PASSED, AnswerState.FAILED, AnswerState.NOT_EVALUATED


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for the questions. ``documents`` are the run's JSON documents, ``None`` where there is none."""

    mode: str
    record: Record
    hosts: Sequence[HostAnalysis]
    unreadable: Mapping[str, int]
    documents: JsonMapping
    manifest: JsonMapping
    sap: Sequence[Question] = ()
    databases: Sequence[Question] = ()
    coverage: Sequence[Coverage] = ()
    limits: Sequence[Question] = ()
    run: str = "RUN"  #: its name, for commands

    @property
    def phase(self) -> str | None:
        return self.record.phases[-1].name if self.record.phases else None


def judge(evidence: Evidence) -> RunVerdict:
    """Every question's answer, and one over all: failed when one failed, passed when all that count passed."""
    asked = _MOVE if evidence.mode == "move" else _WATCH
    asked_for = [answer for question in asked if (answer := question(evidence)) is not None]
    judged = (*asked_for, *evidence.limits, *evidence.sap, *evidence.databases)
    questions = withheld(judged, evidence.coverage, evidence.record, evidence.hosts, evidence.manifest)
    counting = [one for one in questions if one.counts]
    failed = [one for one in counting if one.state is FAILED]
    still_open = [one for one in counting if one.state is OPEN]
    state = FAILED if failed else OPEN if still_open else PASSED
    verdict = RunVerdict(state, "", questions, _outcome(evidence, questions) if evidence.mode == "move" else None)
    return replace(verdict, sentence=headline(verdict, _longest(evidence.hosts)))


def _outcome(evidence: Evidence, questions: Sequence[Question] = ()) -> MoveOutcome:
    """The outcome of the move; a partition that was started anew was not moved live."""
    outcome = outcome_of(
        evidence.record.events, evidence.manifest.get("order") or {}, evidence.run, _answered_ns(evidence)
    )
    restarted = any(one.key == "restarted" and one.state is FAILED for one in questions)
    if restarted and outcome.state is PASSED:
        return replace(outcome, kind=OutcomeKind.RESTARTED)
    return outcome


def _answered_ns(evidence: Evidence) -> int | None:
    """The time at which the partition was last heard of, nanoseconds since 1970; ``None`` where it never was."""
    heard = [int(trace.alive_hi[-1]) for host in evidence.hosts for trace in host.traces if len(trace.alive_hi)]
    return evidence.record.wall.at(max(heard)) if heard else None


def _longest(hosts: Sequence[HostAnalysis]) -> Any:
    return max((one.suspension for one in hosts if one.suspension), key=by_certainty, default=None)


# --- the questions --------------------------------------------------------------------------------------------------


def _moved(evidence: Evidence) -> Question:
    outcome = _outcome(evidence)
    # where it may be anywhere, the reply is not "no"
    reply = {PASSED: ReplyWord.YES, FAILED: ReplyWord.NO if outcome.is_at_home else None}.get(outcome.state)
    why = f"Next step: {outcome.next_command}" if outcome.next_command else ""
    return Question("moved", "Moved?", outcome.state, outcome.details, why, reply=reply)


def _suspended(evidence: Evidence) -> Question:
    title = "Suspended for how long?"
    still = _longest(evidence.hosts)
    if still is None:
        # Where the partition stayed there was nothing to suspend it for; a question without an answer is no fault then.
        return Question("suspended", title, OPEN, _no_suspension(evidence), counts=evidence.phase not in STAYED)
    answer = seconds(still.length)
    basis = _basis(still)
    if still.contradicted:
        names = ", ".join(still.contradicted)
        why = "either its processes hung while it ran, or something else answers for its address"
        return Question("suspended", title, OPEN, f"{answer}, but {names} was answered meanwhile", why)
    if still.is_alone:
        return Question("suspended", title, OPEN, f"{answer}, by {still.mechanisms[0]} alone", "a single mechanism")
    limits, trouble = limits_of(evidence.manifest)
    if trouble:
        return Question("suspended", title, OPEN, answer, trouble)
    if limits.suspension_s is None:
        return Question("suspended", title, PASSED, answer, f"{basis}; no limit was set")
    state, text = against(limits.suspension_s, Measured.of(still.length))
    return Question("suspended", title, STATES[state], text, basis, warns=state is LimitState.WARNED)


def _basis(still: Suspension) -> str:
    """The probes that bound the suspension, and how many more agree."""
    closest = min(still.witnesses, key=lambda one: one.length.length_ns, default=None)
    if closest is None:
        return "by a clock of the host that stood still"
    others = sorted({one.probe for one in still.witnesses} - {closest.probe})
    text = f"bounded by {closest.probe}"
    if not others:
        return text
    rest = others[0] if len(others) == 1 else f"the other {len(others)} probes"
    return f"{text}; {'not consistent' if still.disagreement else 'consistent'} with {rest}"


def _no_suspension(evidence: Evidence) -> str:
    levels = [noise.threshold_ns for host in evidence.hosts for noise in host.noises.values()]
    if not levels:
        return "nothing was watching"
    hole = " Part of the time was not observed." if evidence.record.holes else ""
    text = f"no suspension found: no silence beyond {min(levels) // 1_000_000} ms that all probes share."
    return f"{text}{_shortest(evidence)}{hole}"


def _shortest(evidence: Evidence) -> str:
    """The statement of what a suspension must last to be told from the partition's own noise; empty where nothing is
    known of it.
    """
    told = [one.shortest_ns for one in evidence.hosts if one.shortest_ns is not None]
    noises = [one.own_noise_ns for one in evidence.hosts if one.own_noise_ns is not None]
    if not told:
        return ""
    text = f" The shortest suspension that could have been told is {-(-max(told) // 1_000_000)} ms"
    if not noises or max(noises) < MIN_SILENCE_NS:
        return f"{text}."
    return f" Gaps up to {-(-max(noises) // 1_000_000)} ms are within the partition's own noise.{text}."


def _session(evidence: Evidence) -> Question:
    title = "SSH sessions kept?"
    opened: dict[str, list[JsonMapping]] = {}
    for event in evidence.record.events:
        if event.kind == "session":
            opened.setdefault(str(event.data.get("probe", event.source)), []).append(event.data)
    if not opened:
        return Question("session", title, OPEN, "no session was watched")
    again = [name for name, lines in opened.items() if len({(one.get("remote_pid")) for one in lines}) > 1]
    attached = any(event.kind == "recorder-started" and event.data.get("resumed") for event in evidence.record.events)
    died = any(
        event.kind == "probe-trouble" and trouble_code(event.data) is TroubleCode.DIED
        for event in evidence.record.events
    )
    if again and (attached or died):
        text = (
            "a second recorder had to open sessions of its own"
            if attached
            else "our own probes died and had to log in again"
        )
        return Question("session", title, OPEN, text)
    if again:
        return Question("session", title, FAILED, f"{', '.join(again)} had to log in again", reply=ReplyWord.NO)
    if evidence.mode == "move" and not _spoke_after(evidence, opened):
        return Question("session", title, OPEN, "no session was heard of after the move")
    pids = ", ".join(f"{name} (process {lines[0].get('remote_pid', '?')})" for name, lines in opened.items())
    return Question("session", title, PASSED, f"{pids} stayed open", reply=ReplyWord.YES)


def _spoke_after(evidence: Evidence, opened: JsonMapping) -> bool:
    """True where every session's probe gave a sign of life after the suspension, or after the move where none was
    found.
    """
    still = _longest(evidence.hosts)
    phases = evidence.record.phases
    moment = still.end.hi_ns if still else phases[-1].since_ns if phases else evidence.record.span.hi_ns
    heard = {
        trace.probe
        for host in evidence.hosts
        for trace in host.traces
        if len(trace.alive_hi) and trace.alive_hi[-1] >= moment
    }
    return set(opened) <= heard


def _restarted(evidence: Evidence) -> Question:
    title = "Partition not restarted?"
    before, after = (_boot_time(evidence.documents.get(name)) for name in ("survey", "survey-after"))
    if before is None or after is None:
        missing = "before" if before is None else "after"
        return Question("restarted", title, OPEN, f"the boot time {missing} the move is not known")
    if same_boot(before, after):
        return Question("restarted", title, PASSED, f"no restart: booted {in_utc(after)}")
    return Question("restarted", title, FAILED, f"booted {in_utc(before)} before, {in_utc(after)} after")


def identity_of(document: Any) -> JsonMapping:
    """The partition's identity in a survey: its ``identity``, at the top or within ``guest``; empty when there is none.

    >>> identity_of({"guest": {"identity": {"serial": "10071DA"}}})
    {'serial': '10071DA'}
    """
    for place in (document, document.get("guest") if isinstance(document, dict) else None):
        identity = place.get("identity") if isinstance(place, dict) else None
        if isinstance(identity, dict):
            return identity
    return {}


def _boot_time(document: Any) -> str | None:
    return next(
        (str(value) for label, value in identity_of(document).items() if "boot" in str(label).lower() and value), None
    )


def in_utc(text: str) -> str:
    """A moment with a zone as it is written everywhere; any other text unchanged.

    >>> in_utc("2026-10-20 12:27:00+00:00"), in_utc("2026-10-20T14:27:00+02:00"), in_utc("blade13")
    ('2026-10-20 12:27:00 UTC', '2026-10-20 12:27:00 UTC', 'blade13')
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment.tzinfo else text


def same_boot(before: str, after: str) -> bool:
    """True where two boot times can be of one boot.

    >>> same_boot("2026-01-01T10:00:00+00:00", "2026-01-01T10:00:40+00:00")
    True
    """
    try:
        apart = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    except (ValueError, TypeError):
        return before == after
    return abs(apart) <= BOOT_TIME_RESOLUTION


#: The differences that are only a warning where the order did not name them, as in the checks before the move: another
#: pool, fewer paths or more of them, memory that is slower.
_ONLY_WARNS = ("processor pool", "number of VIOS serving it", "affinity score")


def _identity(evidence: Evidence) -> Question | None:
    """The identity and the mapping of a partition that has arrived, as the recorder compared them; ``None`` where it
    did not. What could be read on one side of the move alone is named, and nothing of it is said to be as expected.
    """
    rows = evidence.documents.get("changes")
    judged = [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
    # a restart is a question of its own
    known = [one for one in judged if isinstance(one.get("as_it_should"), bool) and one.get("what") != "boot time"]
    if not known or not _outcome(evidence).is_there:
        return None
    title = "Identity and mapping as expected?"
    wrong = [one for one in known if not one["as_it_should"]]
    told = "; ".join(f"{one.get('what')}: {one.get('before') or '–'} → {one.get('after') or '–'}" for one in wrong)
    if any(one.get("what") not in _ONLY_WARNS for one in wrong):
        return Question("identity", title, FAILED, told, reply=ReplyWord.NO)
    if wrong:
        return Question("identity", title, PASSED, told, warns=True)
    unread = [one.get("what") for one in judged if one.get("as_it_should") is None and _is_half_known(one)]
    if unread:
        return Question("identity", title, OPEN, f"not compared: {', '.join(map(str, unread))}", counts=False)
    return Question("identity", title, PASSED, _count(len(known), "value"), reply=ReplyWord.YES)


def _is_half_known(row: JsonMapping) -> bool:
    return (row.get("before") is None) != (row.get("after") is None) and row.get("what") != "boot time"


def _complete(evidence: Evidence) -> Question:
    title = "Observation complete?"
    if not evidence.hosts:
        return Question("complete", title, OPEN, "there are no samples")
    faults = [f"{outwards(0, span.length_ns, 1)[1]:.1f} s not observed" for span in evidence.record.holes]
    lost = max(
        [int(e.data.get("lost_bytes") or 0) for e in evidence.record.events if e.kind in ("disk-full", "disk-has-room")]
        or [0]
    )
    faults += [f"{lost} bytes lost to a full disk"] if lost else []
    torn = sum(evidence.unreadable.values())
    if faults:
        # Unobserved time counts neither for the move nor against it.
        return Question("complete", title, OPEN, ", ".join(faults), reply=ReplyWord.NO)
    remarks = [f"{torn} unreadable line{'s' if torn > 1 else ''}"] if torn else []
    if evidence.record.monitor is None:
        return Question("complete", title, OPEN, "; ".join(["no monitor of our own was running", *remarks]))
    stalled = outwards(0, sum(span.length_ns for span in evidence.record.stalls), 2)[1]
    remarks += [f"the observer stalled for {stalled:.2f} s in all; taken out"] if stalled else []
    return Question("complete", title, PASSED, "; ".join(remarks), reply=ReplyWord.YES)


def _checks(evidence: Evidence) -> Question:
    title, found = "Checks before the move?", evidence.documents.get("findings")
    if isinstance(found, dict):
        found = found.get("findings")
    if not isinstance(found, list):
        return Question("checks", title, OPEN, "there are no findings")
    # What only the firmware can tell is answered by its validation, the question after this one.
    found = [one for one in found if not (one.get("verdict") == "unknown" and one.get("only_firmware"))]
    found = [one for one in found if one.get("verdict") != "not applicable"]
    # What was predicted is answered by what was measured.
    found = [one for one in found if not str(one.get("key")).startswith(PREDICTED)]
    if not found:
        return Question("checks", title, OPEN, "there are no findings")
    count = {word: sum(one.get("verdict") == word for one in found) for word in ("pass", "warn", "fail", "unknown")}
    text = ", ".join(f"{number} {word}" for word, number in count.items() if number)
    state = FAILED if count["fail"] else OPEN if count["unknown"] or sum(count.values()) < len(found) else PASSED
    return Question("checks", title, state, text)


def _validation(evidence: Evidence) -> Question:
    title, found = "Validated by the manager?", evidence.documents.get("validation")
    if not isinstance(found, dict) or not isinstance(found.get("passed"), bool):
        return Question("validation", title, OPEN, "there is no validation")
    if found["passed"]:
        return Question("validation", title, PASSED, "", reply=ReplyWord.YES)
    return Question("validation", title, FAILED, "refused")


#: Kinds of silences that fail a watch, and their names; in a watch of a move that was started elsewhere only its
#: suspension is expected.
_UNEXPECTED = {
    OutageKind.NETWORK: "network silence",
    OutageKind.APPLICATION: "silence of one service",
    OutageKind.MICRO_STOP: "micro-stop",
}
#: A suspension whose least length is shorter may have been none.
_CERTAIN_NS = 1_000_000


def _outages(evidence: Evidence) -> Question:
    title = "Any silence but a suspension?"
    if not evidence.hosts:
        return Question("outages", title, OPEN, "Nothing was watching")
    stills = [one for host in evidence.hosts for one in host.suspensions]
    disputed = [one for one in stills if one.contradicted]
    alone = [one for one in stills if one.is_alone and not one.contradicted]
    agreed = [one for one in stills if not one.is_alone and not one.contradicted]
    certain = [one for one in agreed if one.length.lo_ns >= _CERTAIN_NS]
    parts = [_count(len(certain), "suspension")] if certain else []
    parts += [f"{len(agreed) - len(certain)} × a suspension or none"] if len(agreed) > len(certain) else []
    parts += [f"{len(disputed)} × all processes silent while a kernel answered"] if disputed else []
    parts += [f"{len(alone)} × {alone[0].mechanisms[0]} alone silent"] if alone else []
    outages = [one for host in evidence.hosts for one in host.outages]
    undecided = [one for one in outages if one.kind is OutageKind.UNDECIDED]
    if undecided:
        names = ", ".join(dict.fromkeys(one.probe for one in undecided))
        parts += [f"{len(undecided)} × {names} silent, a suspension or a break of the network"]
    count = {kind: sum(one.kind is kind for one in outages) for kind in _UNEXPECTED}
    parts += [f"{number} × {_UNEXPECTED[kind]}" for kind, number in count.items() if number]
    if not parts:
        return Question("outages", title, PASSED, f"No silence of any host.{_shortest(evidence)}".rstrip("."))
    longest = max(certain, key=lambda one: one.length.hi_ns, default=None)
    text = f", the longest suspension {seconds(longest.length)}" if longest else ""
    # One mechanism alone proves no suspension, and a host that hangs is none.
    unsure = disputed or alone or undecided
    state = FAILED if any(count.values()) else OPEN if unsure else PASSED
    return Question("outages", title, state, f"Silences found: {', '.join(parts)}{text}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}"


def _together(key: str, title: str, questions: Sequence[Question]) -> Question:
    """One line for the questions of all databases: as good as the worst of them."""
    count = {state: sum(question.state is state for question in questions) for state in AnswerState}
    text = f"{count[PASSED]} of {len(questions)} questions below passed"
    text += f", {count[FAILED]} failed" if count[FAILED] else ""
    text += f", {count[OPEN]} not evaluated" if count[OPEN] else ""
    state = FAILED if count[FAILED] else OPEN if count[OPEN] or not questions else PASSED
    return Question(key, title, state, text, counts=False)


def _application(key: str, name: str) -> Callable[[Evidence], Question]:
    def question(evidence: Evidence) -> Question:
        title = f"{name} sessions and work?"
        if key == "ora" and evidence.databases:
            return _together(key, title, [question for question in evidence.databases if question.counts])
        traces = [one for host in evidence.hosts for one in host.traces if one.probe.lower().startswith(key)]
        if not traces:
            return Question(key, title, OPEN, "not looked at", counts=False)
        spoke = all(len(one.alive_hi) for one in traces)
        return Question(
            key, title, PASSED if spoke else OPEN, f"watched by {', '.join(t.probe for t in traces)}", counts=False
        )

    return question


def _error_log(evidence: Evidence) -> Question | None:
    """``None`` for a run of an earlier version, and for a partition that was not activated."""
    return error_log_question(
        str((evidence.manifest.get("order") or {}).get("partition")),
        evidence.record.events,
        evidence.documents.get("logs-before"),
        evidence.record.span,
    )


_ENDING: tuple[Callable[[Evidence], Question], ...] = (_application("ora", "Oracle"),)
_MOVE: tuple[Callable[[Evidence], Question | None], ...] = (
    _moved,
    _suspended,
    _session,
    _restarted,
    _identity,
    _error_log,
    _complete,
    _checks,
    _validation,
    *_ENDING,
)
_WATCH: tuple[Callable[[Evidence], Question | None], ...] = (_outages, _session, _complete, *_ENDING)


def questions_of(verdict: RunVerdict) -> Iterator[JsonObject]:
    """The questions as JSON values."""
    for one in verdict.questions:
        yield {
            "key": one.key,
            "question": one.title,
            "state": one.state.value,
            "answer": one.answer,
            "why": one.why,
            "counts": one.counts,
            **({"warns": True} if one.warns else {}),
        }
