"""The first pages of a write-up: what is signed. What, when, by whom, approved when, verdict, deviations, back-out."""

from __future__ import annotations

from collections.abc import Iterator

from lpmkit.analysis import AnswerState, OutageKind, headline
from lpmkit.analysis.limits import limits_of
from lpmkit.analysis.not_moved import interruptions
from lpmkit.analysis.outcome import OutcomeKind
from lpmkit.checks.limits import KEY as PREDICTED
from lpmkit.report.facts import findings_of, longest_session
from lpmkit.report.timeline import ENDS
from lpmkit.report.writeup.document import Block, Facts, Figure, Section, Table, Text
from lpmkit.report.writeup.inputs import (
    TOGETHER,
    WriteUpInputs,
    both_times,
    facts_text,
    instants,
    is_utc_here,
    seconds_text,
    state_word,
)
from lpmkit.report.writeup.window import read_window
from lpmkit.runs.remarks import change_of
from lpmkit.timeline import outwards
from lpmkit.wording.titles import check_title, question_title, who_text

#: Classes of gaps that are no suspension but a deviation.
_DEVIANT = (OutageKind.NETWORK, OutageKind.APPLICATION, OutageKind.MICRO_STOP, OutageKind.UNDECIDED)


def sentence_of(source: WriteUpInputs) -> str:
    """The verdict in one line."""
    words = source.words
    sentence = headline(source.analysis.verdict, source.analysis.suspension, words)
    window, is_outside = _window(source) if source.is_move else ("", False)
    if not is_outside:
        return sentence
    return f"{sentence} {words('state.warn').capitalize()}: {words('window.deviation', window=window)}."


def figures_of(source: WriteUpInputs) -> Iterator[Figure]:
    """The five figures: suspension, session outage, duration of the move, other gaps, unobserved time."""
    words, analysis = source.words, source.analysis
    still = analysis.suspension
    note = (
        words(
            "figure.suspended.note", best=words.number(still.best_ns / 1e9, 3), likely=seconds_text(words, still.likely)
        )
        if still
        else ""
    )
    nothing = "none_found" if any(host.traces for host in analysis.hosts) else "not_looked_at"
    yield Figure(words("figure.suspended.name"), seconds_text(words, still.length) if still else words(nothing), note)
    longest, slowest = analysis.longest_wait, longest_session(analysis)
    watched = any(trace.kind == "echo" for host in analysis.hosts for trace in host.traces)
    felt = words("none_seen") if watched else words("not_looked_at")
    is_shorter = longest is not None and still is not None and longest.hi_ns < still.length.lo_ns
    note = "shorter" if is_shorter else "note"
    yield Figure(
        words("figure.session.name"),
        felt if longest is None else seconds_text(words, longest),
        words(f"figure.session.{note}", probe=slowest.probe) if slowest else words("figure.session.none"),
    )
    yield Figure(words("figure.move.name"), _duration(source), words("figure.move.note"))
    yield Figure(words("figure.other.name"), str(analysis.other_silences), words("figure.other.note"))
    yield Figure(
        words("figure.unseen.name"),
        f"{words.number(analysis.unseen_s, 1)} s",
        words("figure.unseen.note", stalled=words.number(analysis.stalled_s, 2)),
    )


def _duration(source: WriteUpInputs) -> str:
    if not source.is_move:
        return source.words("not_part_of_a_watch")
    bounds, words = source.analysis.move_bounds, source.words
    if source.outcome.kind is OutcomeKind.NEEDS_RECOVERY:
        return words("not_complete")
    if source.outcome.state is AnswerState.FAILED or source.outcome.kind is OutcomeKind.NOT_ASKED:
        return words("not_moved")
    if bounds is None:
        return words("not_known")
    low, high = (words.number(bound, 1) for bound in outwards(bounds.lo_ns, bounds.hi_ns, 1))
    return (f"{low} s" if low == high else f"{low} … {high} s").replace(" ", TOGETHER)


def header(source: WriteUpInputs) -> Section:
    """The header of the write-up: what, when, by whom, approved by whom at what time, and whether within the window."""
    words, facts, order = source.words, source.run.manifest, source.order
    change = change_of(source.remarks[0])
    nobody = words("not_given")
    rows = [(words("header.system"), change.get("system") or source.partition)]
    if source.is_move:
        source_frame, target_frame = order.get("source", "?"), order.get("target", "?")
        machine = f" ({order['target_machine']})" if order.get("target_machine") else ""
        rows.append((words("header.way"), f"{source.partition}: {source_frame} → {target_frame}{machine}"))
    rows.append((words("header.number"), change.get("number") or nobody))
    if source.is_move:
        key = "header.moved" if source.outcome.is_there else "header.tried"
        rows += [(words(key), _moved(source)), (words("header.window"), _window(source)[0])]
    else:
        rows.append((words("header.window"), change.get("window") or nobody))
    rows += [
        (words("header.operator"), change.get("operator") or f"{facts.get('by', '?')} ({facts.get('observer', '?')})"),
        (words("header.approver"), _approvers(source) or nobody),
    ]
    asked = [
        (name, value) for name, value in limits_of(facts)[0].rows() if name != "change window" or not source.is_move
    ]
    limits = "; ".join(f"{words.said(name)}: {words.said(value)}" for name, value in asked)
    if limits:
        rows.append((words("header.limits"), limits))
    rows.append((words("header.run"), source.run.name))
    return Section("header", words("section.header"), (Facts(tuple(rows)),))


def _move_span(source: WriteUpInputs) -> tuple[int, int | None] | None:
    """The span from the command to the end of the move, nanoseconds since 1970; ``None`` where it was not asked for."""
    phases, wall = source.analysis.phases, source.analysis.wall
    begin = next((phase.since_ns for phase in phases if phase.name == "asked"), None)
    if begin is None:
        return None
    end = next((phase.since_ns for phase in reversed(phases) if phase.name in ENDS), None)
    return wall.at(begin), None if end is None else wall.at(end)


def _moved(source: WriteUpInputs) -> str:
    words, span = source.words, _move_span(source)
    if span is None:
        return words("header.not_asked")
    begin, end = span
    first = both_times(words, begin)
    if end is None:
        local = "" if is_utc_here(begin) else f" ({first[1]})"
        return words("header.end_unknown", begin=f"{first[0]} UTC{local}")
    second = 1_000_000_000
    edges = begin // second * second, end // second * second  # cut off, as every other time of day in whole seconds
    local = "" if is_utc_here(begin) else f" ({instants(words, *edges, is_local=True)})"
    return f"{instants(words, *edges)} UTC{local}"


def _window(source: WriteUpInputs) -> tuple[str, bool]:
    """The change window with whether the move lay within it, and whether it surely did not."""
    words, verdict = source.words, source.analysis.verdict
    ordered = next((one for one in verdict.questions if one.key == "window"), None)
    if ordered is not None:
        limits = limits_of(source.run.manifest)[0]
        place = {AnswerState.PASSED: "inside", AnswerState.FAILED: "outside"}.get(ordered.state, "unknown")
        return (
            f"{words.said(limits.window.sentence())}: {words(f'window.{place}')}",
            False,
        )  # a question of its own says the rest
    text = change_of(source.remarks[0]).get("window", "")
    if not text:
        return words("not_given"), False
    span = _move_span(source)
    window = read_window(text, span[0]) if span else None
    if span is None or window is None:
        return f"{text}: {words('window.not_compared')}", False
    holds = window.holds(span[0], span[1] or span[0])
    zone = "" if window.has_zone else f" ({words('window.local')})"
    return f"{text}{zone}: {words('window.inside' if holds else 'window.outside')}", not holds


def _approvers(source: WriteUpInputs) -> str:
    """Approvers of the order, as recorded with the move, and of the change, from the remarks: each with time and
    author.
    """
    words = source.words
    orders = [event.data for event in source.events if event.kind == "approved"]
    seal = words("approval.signed")
    texts = [
        f"{order['by']} ({both_times(words, order['wall_ns'])[0]} UTC{f', {seal}' if order.get('signed') else ''})"
        for order in orders
    ]
    for one in source.of_kind("approval"):
        noted = f", {words('approval.noted', by=one.by)}" if one.text else ""
        texts.append(f"{one.text or one.by} ({both_times(words, one.wall_ns)[0]} UTC{noted})")
    named = [one for one in source.of_kind("change") if one.fields.get("approver")]
    if named:
        last, span = named[-1], _move_span(source)
        late = span is not None and last.wall_ns > span[0]
        noted = words("approval.noted_later" if late else "approval.noted", by=last.by)
        texts.insert(0, f"{last.fields['approver']} ({both_times(words, last.wall_ns)[0]} UTC, {noted})")
    return ", ".join(texts)


def back_out(source: WriteUpInputs) -> Section:
    """The section on how the change would be taken back."""
    words = source.words
    said = source.of_kind("back-out")
    blocks: list[Block] = [Text(f"{one.text} ({one.by})") for one in said]
    if not said and source.is_move:
        places = {side: source.order.get(side, "?") for side in ("source", "target")}
        key = "usual" if source.outcome.is_there else "none" if source.outcome.is_at_home else "unknown"
        key = "not_asked" if source.outcome.kind in (OutcomeKind.CALLED_OFF, OutcomeKind.NOT_ASKED) else key
        blocks.append(Text(words(f"scope.back_out.{key}", partition=source.partition, run=source.run.name, **places)))
    return Section("back-out", words("section.back-out"), tuple(blocks))


def deviations(source: WriteUpInputs) -> Section:
    words = source.words
    rows: list[tuple[str, str, str]] = []
    # a move that nobody asked for deviates in nothing but what failed before
    is_open = not source.is_move or source.outcome.kind is not OutcomeKind.NOT_ASKED
    deviant = (AnswerState.FAILED, AnswerState.NOT_EVALUATED) if is_open else (AnswerState.FAILED,)
    for question in source.analysis.verdict.questions:
        if question.warns or (question.counts and question.state in deviant):
            state = "warn" if question.warns else question.state.value
            text = f"{question_title(words, question.key, question.title)} {words.said(question.answer)}"
            rows.append((state_word(words, state), text, words("owner.operator")))
    rows += _interruptions(source) if source.is_move else ()
    window, is_outside = _window(source)
    if is_outside:
        rows.append((state_word(words, "warn"), words("window.deviation", window=window), words("owner.operator")))
    for finding in findings_of(source.run) if source.is_move else ():
        # a warning that was accepted is no deviation; the validation has answered what only it can check, and the
        # measurement what was predicted
        is_settled = finding.get("only_firmware") or str(finding.get("key")).startswith(PREDICTED)
        if finding.get("verdict") in ("fail", "unknown") and not is_settled:
            text = f"{check_title(words, finding)} ({finding.get('about', '')}): {facts_text(words, finding)}"
            rows.append(
                (state_word(words, str(finding["verdict"])), text, who_text(words, finding) or words("not_given"))
            )
    for host in source.analysis.hosts:
        for kind in _DEVIANT:
            some = [outage for outage in host.outages if outage.kind is kind]
            if some:
                longest = max(one.length.hi_ns for one in some)
                text = words(
                    "deviation.silences",
                    count=len(some),
                    kind=words(f"kind.{kind.value}"),
                    host=host.host,
                    longest=words.number(outwards(0, longest)[1], 3),
                )
                rows.append(
                    (words("state.warn"), text, words("owner.network" if kind is OutageKind.NETWORK else "owner.host"))
                )
    rows += [
        (words("deviation.noted"), f"{one.text} ({one.by})", one.owner or words("not_given"))
        for one in source.of_kind("deviation")
    ]
    head = tuple(words(f"head.{name}") for name in ("state", "what", "owner"))
    block: Block = Table(head, tuple(rows), states=(0,)) if rows else Text(words("deviation.none"))
    return Section("deviations", words("section.deviations"), (block,))


def _interruptions(source: WriteUpInputs) -> Iterator[tuple[str, str, str]]:
    """Each time that the migration stood half way: from when to when, and how it ended."""
    words, order = source.words, source.order
    moved = source.outcome.is_there
    for one in interruptions(source.events, str(source.run.manifest.get("by") or "?")):
        begin = both_times(words, one.since_ns)[0]
        done = words("not_known") if one.percent is None else f"{one.percent} %"
        if one.until_ns is None:
            parts = [words("deviation.open", percent=done, begin=begin), words("deviation.not_recovered")]
        else:
            end = both_times(words, one.until_ns)[0]
            parts = [words("deviation.interrupted", percent=done, begin=begin, end=f"{end} UTC")]
            force = " --force" if one.forced else ""
            how = words("deviation.recovered", who=one.recovered_by, force=force) if one.recovered_by else ""
            parts.append(how or words("deviation.in_order"))
            place = {
                "partition": source.partition,
                "source": order.get("source", "?"),
                "target": order.get("target", "?"),
            }
            parts.append(words("deviation.arrived" if moved else "deviation.stayed", **place))
        yield state_word(words, "warn"), "; ".join(parts), manager_owner(source)


def manager_owner(source: WriteUpInputs) -> str:
    """The administrator of the managers of a move: of an HMC; with an IVM, which is the VIOS itself, of the VIOS."""
    survey = source.surveys[0]
    sides = [survey.get(side) for side in ("source", "target")] if isinstance(survey, dict) else []
    under_hmc = any(isinstance(side, dict) and side.get("manager") == "hmc" for side in sides)
    return source.words("owner.hmc" if under_hmc else "owner.vios")


def _was_broken_off(source: WriteUpInputs) -> bool:
    """True where a copy that had begun came to no end by itself, and nobody had it stopped."""
    names = [phase.name for phase in source.analysis.phases]
    return "needs-recovery" in names or ("copying" in names and names[-1] == "failed")


#: The task that is left after an outcome: the key of its text, and whether those who manage the systems do it.
_TO_DO = {
    OutcomeKind.NEEDS_RECOVERY: ("recover", True),
    OutcomeKind.UNPROVED: ("who_moved", True),
    OutcomeKind.DOWN: ("activate", True),
    OutcomeKind.ELSEWHERE: ("whereabouts", False),
    OutcomeKind.NOT_KNOWN: ("whereabouts", False),
}


def follow_up(source: WriteUpInputs) -> Section:
    words = source.words
    rows = [(one.text, one.owner or words("not_given"), one.by) for one in source.of_kind("follow-up")]
    if source.is_move and source.outcome.is_there:
        owners = {
            "profile": manager_owner(source),
            "inventory": words("owner.operator"),
            "licence": words("owner.sap"),
        }
        rows += [(words(f"follow_up.{name}"), owner, "lpmkit") for name, owner in owners.items()]
    if source.is_move and source.outcome.kind in _TO_DO:
        key, is_managers = _TO_DO[source.outcome.kind]
        owner = manager_owner(source) if is_managers else words("owner.operator")
        rows.append((words(f"follow_up.{key}", run=source.run.name), owner, "lpmkit"))
    if source.is_move and _was_broken_off(source):
        rows.append((words("follow_up.cause"), words("owner.vios"), "lpmkit"))
    head = tuple(words(f"head.{name}") for name in ("what", "owner", "said_by"))
    block: Block = Table(head, tuple(rows)) if rows else Text(words("follow_up.none"))
    return Section("follow-up", words("section.follow-up"), (block,))


def sign_off(source: WriteUpInputs) -> Section:
    """The signatures, or the lines to sign on."""
    words, signed = source.words, source.of_kind("sign-off")
    rows = [(one.text, one.by, f"{both_times(words, one.wall_ns)[0]} UTC") for one in signed]
    rows = rows or [(words(f"sign.{role}"), "", "") for role in ("operator", "approver")]
    head = tuple(words(f"head.{name}") for name in ("sign_off", "name", "when"))
    return Section("sign-off", words("section.sign-off"), (Table(head, tuple(rows)),))
