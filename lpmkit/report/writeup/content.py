"""The content of a write-up from a run folder and its analysis: a function for each section, in the order of a change
record.

All texts of lpmkit are in the chosen language, answers included. A machine's own messages stay as recorded:
they are evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lpmkit.analysis import Analysis, AnswerState, Interval, OutageKind, Question
from lpmkit.control.codes import explain
from lpmkit.json_values import JsonObject
from lpmkit.report.facts import (
    document_of,
    evidence,
    findings_of,
    identity_changes,
    missed,
    sap_identity,
    shown,
    survey_gaps,
)
from lpmkit.report.writeup.document import (
    Block,
    Document,
    Facts,
    Figure,
    Items,
    Picture,
    Section,
    Table,
    Text,
    Verbatim,
)
from lpmkit.report.writeup.whereabouts import whereabouts
from lpmkit.report.writeup.words import Words
from lpmkit.runs.away import disk_mapping
from lpmkit.runs.folder import Run
from lpmkit.runs.remarks import Remark, change_of, remarks
from lpmkit.timeline import Event, outwards

#: Classes of gaps that are no suspension but a deviation.
_DEVIANT = (OutageKind.NETWORK, OutageKind.APPLICATION, OutageKind.MICRO_STOP, OutageKind.UNDECIDED)
#: A space at which no line is broken.
_TOGETHER = "\u00a0"
_STATES = ("pass", "passed", "warn", "fail", "failed", "unknown", "not evaluated", "not applicable")


@dataclass(frozen=True)
class WriteUpInputs:
    """Everything that the sections are made from."""

    run: Run
    analysis: Analysis
    words: Words

    @cached_property
    def events(self) -> list[Event]:
        """All events of the run."""
        return self.run.events()

    @cached_property
    def remarks(self) -> tuple[list[Remark], int]:
        """Remarks of the run, and the number of unreadable lines."""
        return remarks(self.run.path)

    @cached_property
    def surveys(self) -> tuple[Any, Any]:
        """The surveys before and after the move."""
        return document_of(self.run, "survey"), document_of(self.run, "survey-after")

    @property
    def order(self) -> JsonObject:
        """The order of the move; empty for a watch."""
        return self.run.manifest.get("order") or {}

    @property
    def is_move(self) -> bool:
        """True if the run is a move, not a watch."""
        return self.analysis.mode == "move"

    @property
    def partition(self) -> str:
        """The partition that moved, or the hosts that were watched."""
        return str(self.order.get("partition") or ", ".join(host.host for host in self.analysis.hosts))

    def of_kind(self, *kinds: str) -> list[Remark]:
        """Remarks of these kinds."""
        return [remark for remark in self.remarks[0] if remark.kind in kinds]


def written(run: Run, analysis: Analysis, words: Words) -> Document:
    """The write-up of a run, for any form."""
    source = WriteUpInputs(run, analysis, words)
    verdict = analysis.verdict
    title = words("title.move" if source.is_move else "title.watch", partition=source.partition)
    sections = [make(source) for make in (_header, _scope, _before_after, _checks, _timeline, _measurements)]
    sections += [*_sap(source), *_databases(source)]
    sections += [make(source) for make in (_sessions, _deviations, _licence, _follow_up, _unseen, _said, _evidence)]
    return Document(
        title=title,
        language=words.language,
        run=run.name,
        state=verdict.state.value,
        state_word=words(f"state.{verdict.state.value}"),
        sentence=_sentence(source),
        figures=tuple(_figures(source)),
        sections=tuple(section for section in sections if section.blocks),
        footer=words("footer", version=str(run.manifest.get("lpmkit", "?"))),
        states={word: words(f"state.{word}") for word in _STATES},
    )


# --- words for values -----------------------------------------------------------------------------------------------


def _seconds(words: Words, span: Interval) -> str:
    """Bounds in seconds, rounded outwards to milliseconds so that they still hold; one number if both are equal."""
    lo, hi = (words.number(bound, 3) for bound in outwards(span.lo_ns, span.hi_ns))
    text = f"{lo} s" if lo == hi else f"{lo} … {hi} s"
    return text.replace(" ", _TOGETHER)


def _utc(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)


def _both_times(words: Words, wall_ns: int, digits: int = 0) -> tuple[str, str]:
    """A moment in UTC and in the local time of the machine where this is written."""
    moment = _utc(wall_ns)
    local = moment.astimezone()
    part = f".{moment.microsecond // 1000:03d}" if digits else ""
    zone = f"{_TOGETHER}{local.tzname()}" if local.tzname() else ""
    return f"{words.date(moment)}{_TOGETHER}{moment:%H:%M:%S}{part}", f"{local:%H:%M:%S}{part}{zone}"


def _state(words: Words, word: str) -> str:
    return words(f"state.{word}") if word in _STATES else word


def _title(words: Words, question: Question) -> str:
    """The question in the language of the write-up; the name of the system that it is about stays."""
    family, _, system = question.key.rpartition("-")
    named = words.or_as_it_came(f"question.{family}", "")
    if named:
        return f"{system}: {named}"
    return words.or_as_it_came(f"question.{question.key}", question.title)


def _questions(source: WriteUpInputs, keys: Sequence[str]) -> Table:
    """The rows of the verdict whose keys begin so."""
    words = source.words
    asked = [question for question in source.analysis.verdict.questions if question.key.startswith(tuple(keys))]
    rows = [
        (
            _title(words, one),
            _state(words, one.state.value),
            words.said(" — ".join(filter(None, (one.answer, one.why)))),
        )
        for one in asked
    ]
    head = tuple(words(f"head.{name}") for name in ("question", "state", "answer"))
    return Table(head, tuple(rows), states=(1,))


# --- the top --------------------------------------------------------------------------------------------------------


def _sentence(source: WriteUpInputs) -> str:
    """The verdict in one line."""
    verdict, words = source.analysis.verdict, source.words
    if words.language == "en":
        return verdict.sentence
    still = source.analysis.suspension
    if source.is_move:
        moved = verdict.question("moved").state
        head = words(f"verdict.moved.{moved.value}")
    else:
        head = words("verdict.watched")
    head += ", " + (
        words("verdict.suspended", length=_seconds(words, still.length)) if still else words("verdict.none")
    )
    if verdict.state is AnswerState.PASSED:
        return f"{head}. {words('verdict.passed')}"
    because = [question for question in verdict.questions if question.counts and question.state is verdict.state]
    texts = "; ".join(f"{_title(words, one).rstrip('?')}: {words.said(one.answer)}" for one in because)
    return f"{head}. {words(f'verdict.{verdict.state.value}')}: {texts}." if texts else f"{head}."


def _figures(source: WriteUpInputs) -> Iterator[Figure]:
    """The five figures: suspension, session outage, duration of the move, other gaps, unobserved time."""
    words, analysis = source.words, source.analysis
    still = analysis.suspension
    note = (
        words("figure.suspended.note", best=words.number(still.best_ns / 1e9, 3), likely=_seconds(words, still.likely))
        if still
        else ""
    )
    yield Figure(words("figure.suspended.name"), _seconds(words, still.length) if still else words("none_found"), note)
    longest = analysis.longest_wait
    watched = any(trace.kind == "echo" for host in analysis.hosts for trace in host.traces)
    felt = words("none_seen") if watched else words("not_looked_at")
    yield Figure(
        words("figure.session.name"),
        felt if longest is None else _seconds(words, longest),
        words("figure.session.note"),
    )
    yield Figure(words("figure.move.name"), _duration(source), words("figure.move.note"))
    yield Figure(words("figure.other.name"), str(analysis.other_silences), words("figure.other.note"))
    unseen = sum(hole.length_ns for hole in analysis.holes) / 1e9
    stalled = sum(stall.length_ns for stall in analysis.stalls) / 1e9
    yield Figure(
        words("figure.unseen.name"),
        f"{words.number(unseen, 1)} s",
        words("figure.unseen.note", stalled=words.number(stalled, 2)),
    )


def _duration(source: WriteUpInputs) -> str:
    if not source.is_move:
        return source.words("not_part_of_a_watch")
    took = source.analysis.move_ns
    return source.words("not_known") if took is None else f"{source.words.number(took / 1e9)} s"


def _header(source: WriteUpInputs) -> Section:
    words, facts, order = source.words, source.run.manifest, source.order
    change = change_of(source.remarks[0])
    nobody = words("not_given")
    span = source.analysis.record
    begin, end = (_both_times(words, source.analysis.wall.at(one)) for one in (span.lo_ns, span.hi_ns))
    rows = [(words("header.system"), change.get("system") or source.partition)]
    if source.is_move:
        source_frame, target_frame = order.get("source", "?"), order.get("target", "?")
        machine = f" ({order['target_machine']})" if order.get("target_machine") else ""
        rows.append((words("header.way"), f"{source.partition}: {source_frame} → {target_frame}{machine}"))
    rows += [
        (words("header.number"), change.get("number") or nobody),
        (words("header.window"), change.get("window") or nobody),
        (words("header.recorded"), f"{begin[0]} … {end[0][11:]} UTC ({begin[1]} … {end[1]})"),
        (words("header.operator"), change.get("operator") or f"{facts.get('by', '?')} ({facts.get('observer', '?')})"),
        (words("header.approver"), ", ".join(filter(None, (change.get("approver"), _approvers(source)))) or nobody),
        (words("header.versions"), ", ".join(_versions(source))),
        (words("header.run"), source.run.name),
    ]
    return Section("header", words("section.header"), (Facts(tuple(rows)), _questions(source, ("",))))


def _approvers(source: WriteUpInputs) -> str:
    """Approvers of the order, as recorded with the move, and of the change, from the remarks."""
    orders = [event.data for event in source.events if event.kind == "approved"]
    seal = source.words("approval.signed")
    texts = [
        f"{order['by']} ({_both_times(source.words, order['wall_ns'])[0]} "
        f"UTC{f', {seal}' if order.get('signed') else ''})"
        for order in orders
    ]
    for one in source.of_kind("approval"):
        noted = f", {source.words('approval.noted', by=one.by)}" if one.text else ""
        texts.append(f"{one.text or one.by} ({_both_times(source.words, one.wall_ns)[0]} UTC{noted})")
    return ", ".join(texts)


def _versions(source: WriteUpInputs) -> Iterator[str]:
    yield f"lpmkit {source.run.manifest.get('lpmkit', '?')}"
    before = source.surveys[0]
    if not isinstance(before, dict):
        return
    for side in ("source", "target"):
        for vios in _listed((before.get(side) or {}).get("vios")):
            yield f"{vios.get('name', '?')}: VIOS {vios.get('level', '?')}"
    level = ((before.get("guest") or {}).get("identity") or {}).get("level")
    if level:
        yield f"{source.partition}: AIX {level}"


def _listed(value: Any) -> list[JsonObject]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, dict)]


# --- what, and how it would be taken back ---------------------------------------------------------------------------


def _scope(source: WriteUpInputs) -> Section:
    words = source.words
    blocks: list[Block] = []
    watched = ", ".join(sorted({trace.probe for host in source.analysis.hosts for trace in host.traces}))
    if source.is_move:
        blocks.append(Text(words("scope.move", partition=source.partition, target=source.order.get("target", "?"))))
    else:
        blocks.append(Text(words("scope.watch", hosts=source.partition)))
    blocks.append(Text(words("scope.watched", probes=watched or words("none"))))
    said = source.of_kind("back-out")
    if said:
        blocks += [Text(f"{words('scope.back_out')} {one.text} ({one.by})") for one in said]
    elif source.is_move:
        back = {
            "partition": source.partition,
            "source": source.order.get("source", "?"),
            "target": source.order.get("target", "?"),
        }
        blocks.append(Text(f"{words('scope.back_out')} {words('scope.back_out.usual', **back)}"))
    return Section("scope", words("section.scope"), tuple(blocks))


# --- before and after -----------------------------------------------------------------------------------------------


def _before_after(source: WriteUpInputs) -> Section:
    if not source.is_move:
        return Section("before-after", "", ())
    words = source.words
    rows = [
        (words.or_as_it_came(f"fact.{what}", what), was, now, _changed(words, how))
        for what, was, now, how in identity_changes(source.run)
    ]
    rows += [_row(words, name, was, now) for name, was, now in _held(*source.surveys)]
    for outcome in source.analysis.sap:
        for what, was, now in sap_identity(outcome.sid, *source.surveys):
            rows.append(_row(words, f"{outcome.sid}: {words.or_as_it_came(f'fact.{what}', what)}", was, now))
    if not rows:
        return Section("before-after", words("section.before-after"), (Text(words("no_survey")),))
    head = ("", *(words(f"head.{name}") for name in ("before", "after", "changed")))
    return Section("before-after", words("section.before-after"), (Table(head, tuple(rows)),))


def _changed(words: Words, how: str) -> str:
    word, _, wrong = how.partition(", ")
    text = words.or_as_it_came(f"changed.{word}", word)
    return f"{text}, {words('changed.wrong')}" if wrong else text


def _row(words: Words, name: str, was: str, now: str) -> tuple[str, str, str, str]:
    known = "–" not in (was, now)
    how = ("same" if was == now else "changed") if known else "not known"
    return words.or_as_it_came(f"fact.{name}", name), was, now, words.or_as_it_came(f"changed.{how}", how)


#: What is compared of the partition as its frame lists it.
_PARTITION_FACTS = (
    "memory_mb",
    "proc_mode",
    "proc_units",
    "virtual_processors",
    "shared_proc_pool",
    "proc_compat_mode",
)


def _held(before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    """Resources of the partition before and after: entitlement, pool, VIOS level, disk mapping."""
    was, now = _placed(before), _placed(after)
    if was is None and now is None:
        return
    for name in _PARTITION_FACTS:
        values = [None if one is None else one[1].get(name) for one in (was, now)]
        if any(value not in (None, "") for value in values):
            yield name, shown(values[0]), shown(values[1])
    levels = [[str(vios.get("level")) for vios in _listed(one[0].get("vios"))] if one else None for one in (was, now)]
    yield "VIOS", shown(levels[0]), shown(levels[1])
    mapped = [list(disk_mapping(one[0], one[1].get("name"))) if one else [] for one in (was, now)]
    if any(mapped):
        yield "mapping", "; ".join(mapped[0]) or "–", "; ".join(mapped[1]) or "–"


def _placed(survey: Any) -> tuple[JsonObject, JsonObject] | None:
    """The side on which a survey found the partition running, and how that side lists it."""
    if not isinstance(survey, dict):
        return None
    for side in ("source", "target"):
        found = survey.get(side) or {}
        for one in found.get("partitions") or ():
            if one.get("name") == survey.get("partition") and one.get("state") == "Running":
                return found, one
    return None


def _checks(source: WriteUpInputs) -> Section:
    words = source.words
    if not source.is_move:
        return Section("checks", "", ())
    found = findings_of(source.run)
    blocks: list[Block] = []
    if found:
        counted = {
            word: sum(one.get("verdict") == word for one in found)
            for word in ("fail", "unknown", "warn", "pass", "not applicable")
        }
        blocks.append(Text(", ".join(f"{count} × {_state(words, word)}" for word, count in counted.items() if count)))
        rows = [
            (
                _state(words, str(one.get("verdict"))),
                _check_title(words, one),
                str(one.get("about", "")),
                _facts(words, one),
                _remedy(source, one),
                _who(words, one),
            )
            for one in found
            if one.get("verdict") not in ("pass", "not applicable")
        ]
        head = tuple(words(f"head.{name}") for name in ("state", "check", "about", "facts", "remedy", "who"))
        if rows:
            blocks.append(Table(head, tuple(rows), states=(0,)))
        passed = [_check_title(words, one) for one in found if one.get("verdict") == "pass"]
        if passed:
            blocks.append(Text(words("checks.passed", names="; ".join(dict.fromkeys(passed)))))
    else:
        blocks.append(Text(words("checks.none")))
    told = document_of(source.run, "validation")
    if isinstance(told, dict):
        passed_word = _state(words, "passed" if told.get("passed") else "failed")
        blocks.append(Text(words("checks.validation", state=passed_word, status=shown(told.get("status")))))
        if told.get("text"):
            blocks.append(Verbatim(str(told["text"])))
            blocks += [
                Text(words("checks.explained", text=code.sentences(), code=code.code))
                for code in explain(str(told["text"]))
            ]
    else:
        blocks.append(Text(words("checks.no_validation")))
    return Section("checks", words("section.checks"), tuple(blocks))


def _facts(words: Words, finding: JsonObject) -> str:
    facts = finding.get("facts")
    if not isinstance(facts, dict):
        return words.said(shown(facts))
    return ", ".join(f"{words.said(str(name))}: {words.said(shown(value))}" for name, value in facts.items())


def _check_title(words: Words, finding: JsonObject) -> str:
    return words.or_as_it_came(f"check.{finding.get('key')}.title", str(finding.get("title") or finding.get("key")))


def _remedy(source: WriteUpInputs, finding: JsonObject) -> str:
    """The remedy of a finding; in another language than English that of its check, with the names of the move."""
    remedy = str(finding.get("remedy") or "")
    if not remedy:
        return ""
    text = source.words.or_as_it_came(f"check.{finding.get('key')}.remedy", "")
    if not text:
        return source.words.said(remedy)
    places = {"partition": source.partition, "about": finding.get("about", "")}
    places |= {side: source.order.get(side, "?") for side in ("source", "target")}
    for place, value in places.items():
        text = text.replace(f"{{{place}}}", str(value))
    return text


def _who(words: Words, finding: JsonObject) -> str:
    who = str(finding.get("who") or "")
    return words.or_as_it_came(f"who.{who}", who) if who else ""


# --- what happened --------------------------------------------------------------------------------------------------

#: The events that a reader of a change record wants; the report has them all.
_TOLD = (
    "phase",
    "intent",
    "answer",
    "request",
    "guard",
    "log",
    "alert-log",
    "control-lost",
    "control-back",
    "ni-lost",
    "disk-full",
)


def _timeline(source: WriteUpInputs) -> Section:
    words = source.words
    moments: list[tuple[int, str]] = [
        (event.wall_ns, f"{event.source}: {_event(words, event)}") for event in source.events if event.kind in _TOLD
    ]
    for host in source.analysis.hosts:
        for still in host.suspensions:
            for word, moment in (("began", still.begin.lo_ns), ("ended", still.end.hi_ns)):
                moments.append((source.analysis.wall.at(moment), words(f"timeline.{word}", host=host.host)))
    rows = [(*_both_times(words, wall_ns, 3), text) for wall_ns, text in sorted(moments)]
    head = tuple(words(f"head.{name}") for name in ("utc", "local", "what"))
    clocks = [
        (
            host.host,
            words(
                "timeline.offset",
                bounds=" … ".join(words.number(ns / 1e6, 2) for ns in (host.offset_ns.lo_ns, host.offset_ns.hi_ns))
                + " ms",
            ),
        )
        for host in source.analysis.hosts
        if host.offset_ns is not None and abs(host.offset_ns.lo_ns) < 86400 * 10**9
    ]
    blocks: list[Block] = [Text(words("timeline.about")), Table(head, tuple(rows))]
    if clocks:
        blocks.append(Facts(tuple(clocks)))
    return Section("timeline", words("section.timeline"), tuple(blocks))


def _event(words: Words, event: Event) -> str:
    """An event of the record as a sentence."""
    data = event.data
    if event.kind == "phase":
        why = f" — {words.said(str(data['why']))}" if data.get("why") else ""
        return f"{words.said(str(data.get('phase')))}{why}"
    if event.kind == "log":
        names = ("where", "log", "stamp", "resource", "description")
        return words("event.log", **{name: data.get(name, "") for name in names})
    text = words(f"event.{event.kind}")
    if event.kind == "answer" and data.get("status") is not None:
        text += f" ({words('event.status', status=data['status'])})"
    details = [str(data[name]) for name in ("what", "path", "why", "text") if data.get(name)]
    return f"{text}: {words.said('; '.join(details))}" if details else text


def _measurements(source: WriteUpInputs) -> Section:
    words, analysis = source.words, source.analysis
    blocks: list[Block] = []
    rows: list[tuple[str, ...]] = []
    for host in analysis.hosts:
        for still in host.suspensions:
            for witness in still.witnesses:
                rows.append(
                    (witness.probe, _seconds(words, witness.length), *_edges(source, witness.begin, witness.end))
                )
            best = words("measure.agreed", host=host.host)
            rows.append((best, _seconds(words, still.length), *_edges(source, still.begin, still.end)))
            rows.append((words("measure.likely"), _seconds(words, still.likely), "", ""))
    if rows:
        head = tuple(words(f"head.{name}") for name in ("witness", "suspended", "began", "ended"))
        blocks.append(Table(head, tuple(rows), words("measure.caption")))
    else:
        blocks.append(Text(words("measure.none")))
    for host in analysis.hosts:
        for still in host.suspensions:
            blocks += [Text(words("measure.disagreement", text=words.said(text))) for text in still.disagreement]
    for name in ("wall", "ladder", "latency"):
        blocks += _picture(source, name, f"picture.{name}")
    return Section("measurements", words("section.measurements"), tuple(blocks))


def _edges(source: WriteUpInputs, begin: Interval, end: Interval) -> tuple[str, str]:
    wall, words = source.analysis.wall, source.words
    first, last = (_both_times(words, wall.at(one), 3)[0][11:] for one in (begin.lo_ns, end.hi_ns))
    return (
        f"{first} + {words.number(begin.length_ns / 1e6, 1)} ms",
        f"{last} − {words.number(end.length_ns / 1e6, 1)} ms",
    )


def _picture(source: WriteUpInputs, name: str, key: str) -> list[Picture]:
    if not (source.run.path / "plots" / f"{name}.svg").exists():
        return []
    return [Picture(name, source.words(f"{key}.alt"), source.words(f"{key}.caption"))]


def _sap(source: WriteUpInputs) -> Iterator[Section]:
    words = source.words
    for outcome in source.analysis.sap:
        keys = [
            question.key
            for question in source.analysis.verdict.questions
            if question.key.startswith("sap-") and question.key.endswith(f"-{outcome.sid}")
        ]
        blocks: list[Block] = [_questions(source, keys)] if keys else []
        rows = [
            (
                _state(words, line.verdict) if line.verdict else "",
                line.course.job.title,
                line.course.program,
                words.said(line.course.status.word),
                words.said(line.text),
            )
            for line in outcome.jobs
        ]
        if rows:
            head = tuple(words(f"head.{name}") for name in ("state", "job", "program", "status", "became"))
            blocks.append(Table(head, tuple(rows), states=(0,)))
        blocks += _picture(source, f"sap-{outcome.sid}", "picture.sap")
        yield Section(f"sap-{outcome.sid}", words("section.sap", sid=outcome.sid), tuple(blocks))


def _databases(source: WriteUpInputs) -> Iterator[Section]:
    words = source.words
    for found in source.analysis.databases:
        keys = [
            question.key
            for question in source.analysis.verdict.questions
            if question.key.startswith("oracle-") and question.key.endswith(f"-{found.sid}")
        ]
        blocks: list[Block] = [_questions(source, keys)] if keys else []
        blocks += _picture(source, f"database-{found.sid}", "picture.database")
        yield Section(f"oracle-{found.sid}", words("section.oracle", sid=found.sid), tuple(blocks))


def _sessions(source: WriteUpInputs) -> Section:
    words, rows = source.words, []
    for host in source.analysis.hosts:
        for session in host.sessions:
            split = session.split
            path = _seconds(words, split.path_ns) if split else words("not_known")
            tcp = _seconds(words, split.waited_ns) if split else words("not_known")
            rows.append(
                (
                    session.probe,
                    f"{words.number(session.waited_ns / 1e9, 3)} s",
                    _seconds(words, session.bounds),
                    path,
                    tcp,
                    str(session.unanswered),
                    words.said(session.login),
                )
            )
    head = tuple(words(f"head.{name}") for name in ("session", "waited", "bounds", "way", "tcp", "unanswered", "login"))
    blocks: tuple[Block, ...] = (
        (Text(words("sessions.about")), Table(head, tuple(rows))) if rows else (Text(words("sessions.none")),)
    )
    return Section("sessions", words("section.sessions"), blocks)


# --- what people have to do -----------------------------------------------------------------------------------------


def _deviations(source: WriteUpInputs) -> Section:
    words = source.words
    rows: list[tuple[str, str, str]] = []
    for question in source.analysis.verdict.questions:
        if question.counts and question.state is not AnswerState.PASSED:
            rows.append(
                (
                    _state(words, question.state.value),
                    f"{_title(words, question)} {words.said(question.answer)}",
                    words("owner.operator"),
                )
            )
    for finding in findings_of(source.run) if source.is_move else ():
        # the validation has answered what only it can check
        if finding.get("verdict") in ("fail", "unknown", "warn") and not finding.get("only_firmware"):
            text = (
                f"{_check_title(source.words, finding)} ({finding.get('about', '')}): {_facts(source.words, finding)}"
            )
            rows.append((_state(words, str(finding["verdict"])), text, _who(words, finding) or words("not_given")))
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


def _licence(source: WriteUpInputs) -> Section:
    if not source.is_move:
        return Section("licence", "", ())
    words = source.words
    stays, unreadable = whereabouts(source.run)
    rows = [
        (f"{stay.frame} {stay.machine}".strip(), _stay(words, stay.since_ns), _stay(words, stay.until_ns), stay.run)
        for stay in stays
    ]
    head = tuple(words(f"head.{name}") for name in ("frame", "since", "until", "by_run"))
    blocks: list[Block] = [Text(words("licence.about"))]
    blocks.append(Table(head, tuple(rows)) if rows else Text(words("licence.none")))
    if unreadable:
        blocks.append(Text(words("licence.unreadable", names=", ".join(unreadable))))
    asked = _questions(source, ("sap-licence-",))
    if asked.rows:
        blocks.append(asked)
    return Section("licence", words("section.licence"), tuple(blocks))


def _stay(words: Words, wall_ns: int | None) -> str:
    return words("not_known") if wall_ns is None else f"{_both_times(words, wall_ns)[0]} UTC"


def _follow_up(source: WriteUpInputs) -> Section:
    words = source.words
    rows = [(one.text, one.owner or words("not_given"), one.by) for one in source.of_kind("follow-up")]
    if source.is_move and source.analysis.verdict.question("moved").state is AnswerState.PASSED:
        rows += [
            (words(f"follow_up.{name}"), words(f"owner.{who}"), "lpmkit")
            for name, who in (("profile", "vios"), ("inventory", "operator"), ("licence", "sap"))
        ]
    head = tuple(words(f"head.{name}") for name in ("what", "owner", "said_by"))
    block: Block = Table(head, tuple(rows)) if rows else Text(words("follow_up.none"))
    return Section("follow-up", words("section.follow-up"), (block,))


def _unseen(source: WriteUpInputs) -> Section:
    words = source.words
    texts = [
        f"{_title(words, question).rstrip('?')}: {words.said(question.answer)}"
        for question in source.analysis.verdict.questions
        if question.state is AnswerState.NOT_EVALUATED
    ]
    texts += map(words.said, (*missed(source.analysis, source.events), *survey_gaps(*source.surveys)))
    if source.remarks[1]:
        texts.append(words("remarks.unreadable", count=source.remarks[1]))
    block: Block = Items(tuple(texts)) if texts else Text(words("unseen.none"))
    return Section("not-looked-at", words("section.not-looked-at"), (block,))


def _said(source: WriteUpInputs) -> Section:
    """Remarks and the lines to sign on."""
    words = source.words
    blocks: list[Block] = [
        Text(f"{_both_times(words, one.wall_ns)[0]} UTC, {one.by}: {one.text}") for one in source.of_kind("remark")
    ]
    signed = source.of_kind("sign-off")
    rows = [(one.text, one.by, f"{_both_times(words, one.wall_ns)[0]} UTC") for one in signed]
    rows = rows or [(words(f"sign.{role}"), "", "") for role in ("operator", "approver")]
    blocks.append(Table(tuple(words(f"head.{name}") for name in ("sign_off", "name", "when")), tuple(rows)))
    return Section("remarks", words("section.remarks"), tuple(blocks))


def _evidence(source: WriteUpInputs) -> Section:
    words = source.words
    rows = [(name, words.number(size), digest) for name, size, digest in evidence(source.run.path)]
    head = tuple(words(f"head.{name}") for name in ("file", "bytes", "sha256"))
    return Section("evidence", words("section.evidence"), (Table(head, tuple(rows), words("evidence.about")),))
